//! What the ledger is for: a worker that keeps its rules, and is killed between any two of its calls, leaves no point in the
//! store that the ledger does not know of, and the next run that is not disturbed ends in the index of the sources.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};
use ragstream::ingest::ledger::{Commit, Difference, Epoch, Intent, Ledger, Listing, Meta, RunId, Scope, Staged, StoredPoint};
use ragstream::source::{SourceId, Version};
use uuid::Uuid;

use super::{Keeper, files, scope, site};

/// What happens to the sources, the store and the ledger.
#[derive(Debug, Clone)]
enum Event {
    /// A document has other content; none: it is removed.
    Edit(SourceId, &'static str, Option<Vec<StoredPoint>>),
    /// A run over these sources, killed after so many calls.
    Run(Vec<SourceId>, usize),
    /// The ledger's file is deleted.
    LoseLedger,
    /// The store is put back to what it was some events ago.
    RestoreStore(usize),
}

const OF_FILES: [&str; 3] = ["a.md", "b.md", "docs/c.md"];
const OF_SITE: [&str; 2] = ["https://w.org/a", "d.md"];

fn events() -> impl Strategy<Value = Event> {
    let content = || {
        let points = vec((0..6_u128, 0..3_u64), 0..4).prop_map(|points| {
            let points: BTreeMap<u128, u64> = points.into_iter().collect();
            points.into_iter().map(|(n, digest)| StoredPoint { id: Uuid::from_u128(n), digest: digest + 1 }).collect::<Vec<_>>()
        });
        prop_oneof![1 => Just(None), 4 => points.prop_map(Some)]
    };
    let sources = select(vec![vec![files()], vec![site()], vec![files(), site()]]);
    let calls = prop_oneof![4 => 0..40_usize, 1 => Just(usize::MAX)];
    prop_oneof![
        6 => (select(&OF_FILES), content()).prop_map(|(uri, content)| Event::Edit(files(), uri, content)),
        3 => (select(&OF_SITE), content()).prop_map(|(uri, content)| Event::Edit(site(), uri, content)),
        6 => (sources, calls).prop_map(|(sources, calls)| Event::Run(sources, calls)),
        1 => Just(Event::LoseLedger),
        1 => (0..9_usize).prop_map(Event::RestoreStore),
    ]
}

/// The store: its generation, and its points with their document and digest. Ids are the document's own.
#[derive(Debug, Clone, Default, PartialEq)]
struct Store {
    generation: u128,
    points: BTreeMap<(String, Uuid), (SourceId, u64)>,
}

impl Store {
    fn of(&self, uri: &str) -> impl Iterator<Item = StoredPoint> {
        let points = self.points.iter().filter(move |((document, _), _)| document == uri);
        points.map(|((_, id), (_, digest))| StoredPoint { id: *id, digest: *digest })
    }
}

#[derive(Debug, Clone)]
struct Content {
    source: SourceId,
    version: u64,
    points: Vec<StoredPoint>,
}

/// The process is gone.
#[derive(Debug)]
struct Killed;

struct World {
    ledger: Arc<dyn Ledger>,
    store: Store,
    documents: BTreeMap<String, Content>,
    /// How often anything was edited; generations that there have been.
    edits: u64,
    generations: u128,
    /// Calls until the kill.
    calls: usize,
    /// Points that were written or deleted.
    written: usize,
    /// The ledger speaks of this very store.
    reconciled: bool,
}

impl World {
    /// One more call was made. Whatever the moment, the ledger covers the store.
    async fn made(&mut self) -> Result<(), Killed> {
        if self.reconciled {
            let known: BTreeSet<String> =
                self.documents.keys().cloned().chain(self.store.points.keys().map(|(uri, _)| uri.clone())).collect();
            let known: Vec<String> = known.into_iter().collect();
            let states = self.ledger.claim(known.clone()).await.unwrap();
            for (uri, state) in known.iter().zip(states) {
                let points = state.entry.map(|entry| entry.points).unwrap_or_default();
                let certain: BTreeMap<Uuid, u64> = points.iter().map(|point| (point.id, point.digest)).collect();
                let held: BTreeMap<Uuid, u64> = self.store.of(uri).map(|point| (point.id, point.digest)).collect();
                let unknown = held.keys().find(|id| !certain.contains_key(id) && !state.intended.contains(id));
                assert_eq!(unknown, None, "the store has a point of {uri} that nobody knows of");
                let wrong =
                    certain.iter().find(|(id, digest)| held.get(id).is_none_or(|held| held != *digest && **digest != 0));
                assert_eq!(wrong, None, "a point of {uri} is certain and not so: {held:?}");
            }
        }
        self.calls = self.calls.checked_sub(1).ok_or(Killed)?;
        Ok(())
    }

    async fn run(&mut self, sources: &[SourceId]) -> Result<(), Killed> {
        let run = self.ledger.begin_run().await.unwrap();
        self.reconcile(run).await?;
        let mut all = Scope::default();
        for source in sources {
            let items: Vec<_> = self.documents.iter().filter(|(_, content)| content.source == *source).collect();
            let listed: Vec<Listing> =
                items.iter().map(|(uri, content)| Listing { uri: (*uri).clone(), version: version(content) }).collect();
            let uris: Vec<String> = listed.iter().map(|item| item.uri.clone()).collect();
            let differences = self.ledger.note_listed(run, source, listed).await.unwrap();
            self.made().await?;
            for (uri, difference) in uris.into_iter().zip(differences) {
                if difference == Difference::Changed {
                    self.index(&uri).await?;
                }
            }
            all.sources.extend(scope(source.clone(), &[""], &[]).sources);
        }
        self.remove_missing(run, &all).await?;
        let meta = self.ledger.meta().await.unwrap();
        if meta.generation.is_none() {
            self.generations += 1;
            self.reconciled = false;
            self.store.generation = self.generations;
            self.made().await?;
            self.ledger.set_meta(&Meta { generation: Some(Uuid::from_u128(self.generations)), ..meta }).await.unwrap();
            self.reconciled = true;
            self.made().await?;
        }
        Ok(())
    }

    async fn reconcile(&mut self, run: RunId) -> Result<(), Killed> {
        let generation = Uuid::from_u128(self.store.generation);
        if self.ledger.meta().await.unwrap().generation != Some(generation) {
            self.reconciled = false;
            let points: Vec<_> = self.store.points.iter().collect();
            for page in points.chunks(3) {
                let staged = page.iter().map(|((uri, id), (source, digest))| Staged {
                    source: source.clone(),
                    uri: uri.clone(),
                    point: StoredPoint { id: *id, digest: *digest },
                });
                self.ledger.stage_stored(run, staged.collect()).await.unwrap();
            }
            self.made().await?;
            self.ledger.reconcile(run).await.unwrap();
            self.reconciled = true;
            self.made().await?;
            self.ledger.set_meta(&Meta { base: None, generation: Some(generation) }).await.unwrap();
        }
        self.reconciled = true;
        self.made().await
    }

    async fn index(&mut self, uri: &str) -> Result<(), Killed> {
        let content = self.documents[uri].clone();
        let prior = self.ledger.claim(vec![uri.to_owned()]).await.unwrap().remove(0);
        let recorded: BTreeMap<Uuid, u64> =
            prior.entry.iter().flat_map(|entry| &entry.points).map(|point| (point.id, point.digest)).collect();
        let written: Vec<StoredPoint> =
            content.points.iter().filter(|point| recorded.get(&point.id) != Some(&point.digest)).copied().collect();
        let stale = recorded.keys().chain(&prior.intended).filter(|id| content.points.iter().all(|point| point.id != **id));
        let stale: BTreeSet<Uuid> = stale.copied().collect();
        let ids: Vec<Uuid> = written.iter().map(|point| point.id).chain(stale.iter().copied()).collect();
        if !ids.is_empty() {
            // Of a point that has the id and another payload, the payload is uncertain until it is written.
            let untouched = content.points.iter().filter_map(|point| {
                let digest = *recorded.get(&point.id)?;
                Some(StoredPoint { id: point.id, digest: if digest == point.digest { digest } else { 0 } })
            });
            let (source, epoch, untouched) = (content.source.clone(), prior.epoch, untouched.collect());
            let fenced = self.ledger.intend(vec![Intent { source, uri: uri.to_owned(), epoch, ids, untouched }]).await.unwrap();
            assert!(fenced.uris.is_empty());
            self.made().await?;
        }
        for point in written {
            self.store.points.insert((uri.to_owned(), point.id), (content.source.clone(), point.digest));
            self.written += 1;
            self.made().await?;
        }
        for id in stale {
            self.store.points.remove(&(uri.to_owned(), id));
            self.written += 1;
            self.made().await?;
        }
        let commit = Commit {
            uri: uri.to_owned(),
            epoch: prior.epoch,
            version: version(&content),
            hash: [1; 32],
            modified: None,
            source: content.source,
            points: content.points,
        };
        assert!(self.ledger.commit(vec![commit]).await.unwrap().uris.is_empty());
        self.made().await
    }

    async fn remove_missing(&mut self, run: RunId, scope: &Scope) -> Result<(), Killed> {
        for (source, uri) in super::missing(&*self.ledger, run, scope).await {
            let prior = self.ledger.claim(vec![uri.clone()]).await.unwrap().remove(0);
            let points = prior.entry.map(|entry| entry.points).unwrap_or_default();
            let ids = points.iter().map(|point| point.id).collect();
            let intent = Intent { source, uri: uri.clone(), epoch: prior.epoch, ids, untouched: vec![] };
            assert!(self.ledger.intend(vec![intent]).await.unwrap().uris.is_empty());
            self.made().await?;
            let before = self.store.points.len();
            self.store.points.retain(|(document, _), _| *document != uri);
            self.written += before - self.store.points.len();
            self.made().await?;
            assert!(self.ledger.forget(vec![(uri, prior.epoch)]).await.unwrap().uris.is_empty());
            self.made().await?;
        }
        Ok(())
    }

    /// What the store is to hold.
    fn wanted(&self) -> BTreeMap<(String, Uuid), (SourceId, u64)> {
        let points = self.documents.iter().flat_map(|(uri, content)| {
            content.points.iter().map(|point| ((uri.clone(), point.id), (content.source.clone(), point.digest)))
        });
        points.collect()
    }
}

fn version(content: &Content) -> Version {
    Version::new(content.version.to_le_bytes())
}

/// What a source's documents hold in the store.
fn of_source(store: &Store, source: &SourceId) -> Vec<(String, Uuid, u64)> {
    let points = store.points.iter().filter(|(_, (of, _))| of == source);
    points.map(|((uri, id), (_, digest))| (uri.clone(), *id, *digest)).collect()
}

async fn survives(keeper: impl Keeper, events: Vec<Event>) -> Result<(), TestCaseError> {
    let mut world = World {
        ledger: keeper.open().await,
        store: Store::default(),
        documents: BTreeMap::new(),
        edits: 0,
        generations: 0,
        calls: 0,
        written: 0,
        reconciled: false,
    };
    let mut stores = vec![world.store.clone()];
    for event in events {
        match event {
            Event::Edit(source, uri, content) => {
                world.edits += 1;
                match content {
                    Some(points) => {
                        let content = Content { source, version: world.edits, points };
                        world.documents.insert(uri.to_owned(), content);
                    }
                    None => drop(world.documents.remove(uri)),
                }
            }
            Event::Run(sources, calls) => {
                world.calls = calls;
                let before = world.store.clone();
                let killed = world.run(&sources).await.is_err();
                for other in [files(), site()].iter().filter(|source| !sources.contains(source)) {
                    prop_assert_eq!(of_source(&world.store, other), of_source(&before, other), "another source's documents");
                }
                if killed {
                    drop(world.ledger);
                    world.ledger = keeper.open().await;
                }
            }
            Event::LoseLedger => {
                let all = OF_FILES.iter().chain(&OF_SITE).map(|uri| ((*uri).to_owned(), Epoch(0))).collect();
                prop_assert!(world.ledger.forget(all).await.unwrap().uris.is_empty());
                world.ledger.set_meta(&Meta::default()).await.unwrap();
                world.reconciled = false;
            }
            Event::RestoreStore(back) => {
                let older = &stores[stores.len().saturating_sub(back + 1)];
                // A generation says which sealed state a store is of. Two states between the same two seals are not told apart.
                if older.generation != world.store.generation {
                    world.store = older.clone();
                    world.reconciled = false;
                }
            }
        }
        stores.push(world.store.clone());
    }
    let both = [files(), site()];
    world.calls = usize::MAX;
    world.run(&both).await.unwrap();
    prop_assert_eq!(&world.store.points, &world.wanted(), "the index of the sources");
    let before = world.written;
    world.run(&both).await.unwrap();
    prop_assert_eq!(world.written, before, "nothing more to do");
    Ok(())
}

/// The copy of yesterday, a run that is killed as soon as its ledger speaks of that, and the store of today again.
pub async fn a_store_that_is_put_back_and_back_again_is_looked_through(keeper: impl Keeper) {
    let point = StoredPoint { id: Uuid::from_u128(0), digest: 1 };
    let events = vec![
        Event::Edit(site(), "https://w.org/a", Some(vec![point])),
        Event::Run(vec![site()], usize::MAX),
        Event::RestoreStore(1),
        Event::Run(vec![files()], 1),
        Event::RestoreStore(2),
    ];
    survives(keeper, events).await.unwrap();
}

pub fn a_worker_that_is_killed_anywhere_leaves_nothing_unknown<K: Keeper>(keeper: impl Fn() -> K) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let mut runner = TestRunner::new(Config { cases: K::CASES, source_file: Some(file!()), ..Config::default() });
    runner.run(&vec(events(), 1..20), |events| runtime.block_on(survives(keeper(), events))).unwrap();
}
