//! The model that embeds, where the pipeline leaves the choice: the index's own, else the one that suits the documents.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::time::{Instant, timeout, timeout_at};

use super::Runtime;
use crate::error::Error;
use crate::ingest::report::Report;
use crate::language::Language;
use crate::parse::{self, ParseOptions};
use crate::providers::{EmbedPlan, Embedder, ErrorKind, ModelRef, ProviderError, ProviderKind, local};
use crate::source::state::{MemoryState, State};
use crate::source::{self, Body, Fetched, Item, Listed, Purpose, Source, SourceId, SourcePlan};

/// Documents that are looked at, of each source.
const SAMPLE: usize = 32;
/// Documents that a source fetched to list them: enough where each costs a request.
const FETCHED: usize = 8;
/// Items that the sample is drawn from.
const LISTED: usize = 20_000;
/// How long a source is listed for it, and how long its documents are fetched.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a site is listed for it, which ends its sample itself, after as long as its robots.txt asks for between two requests.
const SITE_PATIENCE: Duration = Duration::from_mins(2);
/// Larger documents take longer to read than they tell more.
const LARGEST: u64 = 4 << 20;

impl Runtime {
    /// Opens the model that embeds. `anew`: what the index has does not count, as it is about to go. `purpose`: only for a sample are
    /// pages of sites fetched.
    pub(super) async fn open_embedder(&self, anew: bool, purpose: Purpose) -> Result<Arc<dyn Embedder>, Error> {
        let embed = &self.plan.embed;
        if !self.chooses_model() {
            return Ok(self.providers.embedder(embed).await?);
        }
        // Of a site whose pages are not to be fetched, what the index has is all that is known.
        let anew = anew && (purpose == Purpose::Sample || !self.has_sites());
        let index = if anew { None } else { self.slots()?.look().await?.current.index };
        if let Some(index) = index {
            // With what another kind of model has made, the error says so.
            let model = local::model_of(index.model.as_str()).unwrap_or(local::ENGLISH);
            return Ok(self.local(model).await?);
        }
        let languages = self.languages(purpose).await;
        let (model, of) = (local::model_for(&languages), languages.len());
        if model == local::ENGLISH {
            tracing::info!(model, documents = of, "the embedding model was chosen by a sample of the documents");
            return Ok(self.local(model).await?);
        }
        let foreign = languages.iter().flatten().filter(|language| **language != Language::ENGLISH).count();
        let said = format!("{foreign} of {of} documents looked at are not in English");
        match self.local(model).await {
            Ok(embedder) => {
                tracing::warn!("{said}: embedding with local/{model} (`embed.model` says otherwise)");
                Ok(embedder)
            }
            // Words find them, and a run that nobody gave a model does not fail for want of one.
            Err(missing) if missing.kind == ErrorKind::ModelMissing => {
                let english = self.local(local::ENGLISH).await?;
                self.said_of_language.store(true, Ordering::Relaxed);
                tracing::warn!(
                    "{said}, and local/{model} is not there: embedding with local/{}, so that words alone find them. To find them \
                     by meaning too: {}; then ingest --rebuild",
                    local::ENGLISH,
                    missing.hint.unwrap_or_else(|| missing.message.clone()),
                );
                Ok(english)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Says what an index pays for keeping its model, where it was made before documents came that another one would be chosen for. Of
    /// those that a run has found new.
    pub(super) fn tell_of_language(&self, report: &Report) {
        let said = self.said_of_language.swap(false, Ordering::Relaxed);
        let Some(embedder) = self.embedder.get().filter(|_| !said && !self.own_embedder && self.chooses_model()) else {
            return;
        };
        let (of, foreign) = (report.languages.documents.get(), report.languages.foreign.get());
        if local::model_of(embedder.fingerprint().as_str()) == Some(local::ENGLISH)
            && let Some(told) = words_alone(foreign, of)
        {
            tracing::warn!("{told}");
        }
    }

    /// Chooses the model for an ingest that is about to make the index: by pages of its sites, too.
    pub(super) async fn choose_for_ingest(&self, anew: bool) -> Result<(), Error> {
        if anew || self.is_undecided().await? {
            self.embedder.get_or_try_init(|| self.open_embedder(anew, Purpose::Sample)).await?;
        }
        Ok(())
    }

    /// Whether an ingest alone can tell the model: there is no index yet, and what a site holds shows when its pages are fetched.
    pub(super) async fn is_undecided(&self) -> Result<bool, Error> {
        let left = self.has_sites() && !self.embedder.initialized() && self.chooses_model();
        Ok(left && self.slots()?.look().await?.current.index.is_none())
    }

    fn has_sites(&self) -> bool {
        self.plan.sources.iter().any(|plan| matches!(plan, SourcePlan::Web(_)))
    }

    /// Whether the pipeline leaves the choice of a local model.
    fn chooses_model(&self) -> bool {
        let ModelRef { provider, model } = &self.plan.embed.model;
        let is_local = self.plan.providers.get(provider).is_some_and(|plan| plan.kind == ProviderKind::Local);
        is_local && model.eq_ignore_ascii_case(local::AUTO)
    }

    async fn local(&self, model: &str) -> Result<Arc<dyn Embedder>, ProviderError> {
        let embed = &self.plan.embed;
        let plan = EmbedPlan { model: ModelRef::new(&embed.model.provider, model), ..embed.clone() };
        self.providers.embedder(&plan).await
    }

    /// The languages of a sample of the documents, as far as they are certain.
    async fn languages(&self, purpose: Purpose) -> Vec<Option<Language>> {
        let nothing = |_: &SourceId| -> Arc<dyn State> { Arc::new(MemoryState::default()) };
        let mut languages = Vec::new();
        for plan in &self.plan.sources {
            let is_site = matches!(plan, SourcePlan::Web(_));
            // A preview lists what earlier runs have found, and it is asked where there was none.
            if is_site && purpose != Purpose::Sample {
                continue;
            }
            let source = source::open(plan, &self.settings.cwd, nothing, purpose);
            let patience = if is_site { SITE_PATIENCE } else { PATIENCE };
            languages.extend(sample(&*source, &self.plan.parse, patience).await);
        }
        for source in &self.sources {
            languages.extend(sample(&**source, &self.plan.parse, PATIENCE).await);
        }
        languages
    }
}

/// What is said of documents that an index's model of English alone does not know, if they are so many that another one would be chosen.
fn words_alone(foreign: u64, of: u64) -> Option<String> {
    let wanted = local::model_for_share(foreign as usize, of as usize);
    (wanted != local::ENGLISH).then(|| {
        format!(
            "{foreign} of {of} documents that are new are not in English, which this index's model, local/{}, does not know: they are \
             found by their words; `embed: {{ model: local/{wanted} }}` changes it",
            local::ENGLISH,
        )
    })
}

/// The languages of some of a source's documents. What cannot be listed or read is for the run to tell.
async fn sample(source: &dyn Source, options: &ParseOptions, patience: Duration) -> Vec<Option<Language>> {
    let until = Instant::now() + patience;
    let (mut items, mut fetched): (Vec<Item>, Vec<(String, Fetched)>) = Default::default();
    let mut listing = source.list();
    while let Ok(Some(listed)) = timeout_at(until, listing.next()).await {
        match listed {
            Listed::Item(item) if item.size.is_none_or(|size| size <= LARGEST) => items.push(item),
            Listed::Fetched(item, body) => fetched.push((item.uri, *body)),
            Listed::Complete => break,
            _ => {}
        }
        if items.len() >= LISTED || fetched.len() >= FETCHED {
            break;
        }
    }
    drop(listing);
    // The same ones each time, and from everywhere: documents in a language may all be in one folder.
    items.sort_by_cached_key(|item| *blake3::hash(item.uri.as_bytes()).as_bytes());
    items.truncate(SAMPLE);
    if let Ok(bodies) = timeout(PATIENCE, source.fetch(&items)).await {
        let bodies = items.into_iter().zip(bodies).filter_map(|(item, body)| Some((item.uri, body.ok()?)));
        fetched.extend(bodies);
    }
    let options = options.clone();
    let languages = move || fetched.into_iter().filter_map(|(uri, body)| language(&uri, body, &options).ok()).collect();
    tokio::task::spawn_blocking(languages).await.unwrap_or_default()
}

/// The language of a document, if it is of a certain one.
fn language(uri: &str, fetched: Fetched, options: &ParseOptions) -> Result<Option<Language>, parse::ParseError> {
    let (text, markup) = match fetched.body {
        Body::Text { text, markup, .. } => (text, markup),
        Body::Bytes { bytes, hint } => {
            // Scans are not worth the minutes that reading their pictures takes.
            let options = ParseOptions { ocr: None, ..options.clone() };
            let extracted = parse::parse_with(hint.of(uri), bytes, &options)?.extracted;
            (extracted.text, extracted.markup)
        }
    };
    Ok(Language::of_document(&text, markup))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_words_alone_find_is_told_where_another_model_would_be_chosen() {
        assert_eq!((words_alone(0, 0), words_alone(0, 20), words_alone(1, 20)), (None, None, None));
        let told = words_alone(8, 20).unwrap_or_default();
        assert!(told.starts_with("8 of 20 documents") && told.contains("local/use-multilingual-v3"), "{told}");
        let report = Report::default();
        for language in [Some(Language::CHINESE), Some(Language::ENGLISH), None] {
            report.languages.add(language);
        }
        assert_eq!((report.languages.documents.get(), report.languages.foreign.get()), (3, 1));
    }
}
