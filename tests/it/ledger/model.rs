//! What a ledger is, as plainly as it can be said: maps in memory, and no word of how they are kept.

use std::collections::{BTreeMap, BTreeSet};

use ragstream::ingest::ledger::{
    Commit, Difference, Entry, Epoch, FailedDocument, Fenced, Intent, Listing, Meta, MissingCount, PriorState, Scope, Staged,
    StoredPoint, Totals,
};
use ragstream::ingest::report::Stage;
use ragstream::source::{SourceId, Version};
use uuid::Uuid;

#[derive(Debug, Clone)]
struct Document {
    source: SourceId,
    version: Version,
    entry: Option<Entry>,
    intended: BTreeSet<Uuid>,
    failure: Option<(Stage, String)>,
}

/// A ledger whose epochs are all 0, with one run at a time.
#[derive(Debug, Clone, Default)]
pub struct Model {
    meta: Meta,
    documents: BTreeMap<String, Document>,
    listed: BTreeSet<String>,
    staged: BTreeMap<String, BTreeMap<Uuid, (SourceId, u64)>>,
}

impl Model {
    fn document(&mut self, uri: &str, source: &SourceId) -> &mut Document {
        self.documents.entry(uri.to_owned()).or_insert_with(|| Document {
            source: source.clone(),
            version: Version::UNKNOWN,
            entry: None,
            intended: BTreeSet::new(),
            failure: None,
        })
    }

    pub fn meta(&self) -> Meta {
        self.meta.clone()
    }

    pub fn set_meta(&mut self, meta: Meta) {
        self.meta = meta;
    }

    /// Another run begins, or the ledger is opened again.
    pub fn begin_run(&mut self) {
        self.listed.clear();
        self.staged.clear();
    }

    pub fn note_listed(&mut self, source: &SourceId, items: &[Listing]) -> Vec<Difference> {
        let mut compare = |item: &Listing| {
            if !self.listed.insert(item.uri.clone()) {
                return Difference::Repeated;
            }
            let same = |document: &Document| {
                document.source == *source && item.version.proves(&document.version) && document.failure.is_none()
            };
            if self.documents.get(&item.uri).is_some_and(same) { Difference::Unchanged } else { Difference::Changed }
        };
        items.iter().map(&mut compare).collect()
    }

    pub fn unlist(&mut self, uris: &[String]) {
        for uri in uris {
            self.listed.remove(uri);
        }
    }

    pub fn claim(&self, uri: &str) -> PriorState {
        let Some(document) = self.documents.get(uri) else { return PriorState::default() };
        let intended = document.intended.iter().copied().collect();
        PriorState { entry: document.entry.clone(), intended, epoch: Epoch(0) }
    }

    pub fn intend(&mut self, intents: Vec<Intent>) -> Fenced {
        let mut fenced = Fenced::default();
        for Intent { source, uri, epoch, ids, untouched } in intents {
            if epoch != Epoch(0) {
                fenced.uris.push(uri);
                continue;
            }
            self.meta.generation = None;
            let document = self.document(&uri, &source);
            document.intended.extend(ids);
            document.version = Version::UNKNOWN;
            document.source = source.clone();
            if document.entry.is_some() {
                document.entry = Some(Entry { source, hash: None, modified: None, points: untouched });
            }
        }
        fenced
    }

    pub fn commit(&mut self, commits: Vec<Commit>) -> Fenced {
        let mut fenced = Fenced::default();
        for Commit { source, uri, epoch, version, hash, modified, points } in commits {
            if epoch != Epoch(0) {
                fenced.uris.push(uri);
                continue;
            }
            let entry = Some(Entry { source: source.clone(), hash: Some(hash), modified, points });
            let document = Document { source, version, entry, intended: BTreeSet::new(), failure: None };
            self.documents.insert(uri, document);
        }
        fenced
    }

    pub fn fail(&mut self, failures: Vec<FailedDocument>) {
        for FailedDocument { source, uri, stage, error } in failures {
            self.document(&uri, &source).failure = Some((stage, error));
        }
    }

    pub fn forget(&mut self, documents: Vec<(String, Epoch)>) -> Fenced {
        let (gone, fenced): (Vec<_>, Vec<_>) = documents.into_iter().partition(|(_, epoch)| *epoch == Epoch(0));
        for (uri, _) in gone {
            self.documents.remove(&uri);
        }
        Fenced { uris: fenced.into_iter().map(|(uri, _)| uri).collect() }
    }

    /// What is missing, by source and uri.
    pub fn missing(&self, scope: &Scope) -> Vec<(SourceId, String)> {
        let in_scope = self.documents.iter().filter(|(uri, document)| scope.covers(&document.source, uri));
        let missing = in_scope.filter(|(uri, _)| !self.listed.contains(*uri));
        let mut missing: Vec<_> = missing.map(|(uri, document)| (document.source.clone(), uri.clone())).collect();
        missing.sort();
        missing
    }

    pub fn count_missing(&self, scope: &Scope) -> MissingCount {
        let missing = self.missing(scope);
        let counted = |source: &SourceId| scope.beginnings(source).is_none() || missing.iter().any(|gone| gone.0 == *source);
        let known = self.documents.iter().filter(|(uri, of)| scope.would_cover(&of.source, uri) && counted(&of.source)).count();
        MissingCount { known: known as u64, missing: missing.len() as u64 }
    }

    pub fn stage_stored(&mut self, page: Vec<Staged>) {
        for Staged { source, uri, point } in page {
            self.staged.entry(uri).or_default().insert(point.id, (source, point.digest));
        }
    }

    pub fn reconcile(&mut self) {
        self.meta.generation = None;
        let staged = std::mem::take(&mut self.staged);
        for (uri, document) in &mut self.documents {
            let held = staged.get(uri).into_iter().flatten().map(|(id, (_, digest))| (*id, *digest));
            let agrees = document.entry.as_ref().is_some_and(|entry| {
                let mut recorded: Vec<_> = entry.points.iter().map(|point| (point.id, point.digest)).collect();
                recorded.sort_unstable();
                recorded == held.collect::<Vec<_>>()
            });
            if !agrees {
                (document.entry, document.version) = (None, Version::UNKNOWN);
            }
        }
        for (uri, points) in staged {
            let source = points.values().map(|(source, _)| source).min().unwrap().clone();
            let points = points.into_iter().map(|(id, (_, digest))| StoredPoint { id, digest }).collect();
            let document = self.document(&uri, &source);
            if document.entry.is_none() {
                document.entry = Some(Entry { source: source.clone(), hash: None, modified: None, points });
                document.source = source;
            }
        }
        self.documents
            .retain(|_, document| document.entry.is_some() || !document.intended.is_empty() || document.failure.is_some());
    }

    pub fn failures(&self) -> Vec<FailedDocument> {
        let failed = |(uri, document): (&String, &Document)| {
            let (stage, error) = document.failure.clone()?;
            Some(FailedDocument { source: document.source.clone(), uri: uri.clone(), stage, error })
        };
        self.documents.iter().filter_map(failed).collect()
    }

    pub fn totals(&self) -> Totals {
        let documents = self.documents.values().filter(|document| document.entry.is_some()).count() as u64;
        Totals { documents, failed: self.failures().len() as u64 }
    }
}
