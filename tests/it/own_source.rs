//! A source that a stranger wrote, with public items alone: its documents come, change and go by its own word, and no other source
//! has a say in that.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use ragstream::cluster::{Cluster, LEASE};
use ragstream::document::{Markup, Metadata, Passage, Scalar};
use ragstream::ingest::ledger::SqliteLedger;
use ragstream::ingest::report::{IngestSummary, Report};
use ragstream::ingest::{self, Options, Setup};
use ragstream::providers::{EmbedLimits, Embedded, Embedder, Fingerprint, InputType, ProviderError};
use ragstream::source::{
    self, Body, FetchError, Fetched, Files, FilesPlan, FormatHint, Item, Listed, SkipReason, Source, SourceError, SourceId,
    Version,
};
use ragstream::vectordb::VectorStore;
use ragstream::vectordb::embedded::EmbeddedStore;
use tokio_util::sync::CancellationToken;

use crate::sql::servers;

/// Embeds a text as two numbers of its own; breaks at the text that it is given.
#[derive(Debug, Default)]
struct Lengths {
    breaks_at: Option<&'static str>,
}

#[async_trait]
impl Embedder for Lengths {
    fn model(&self) -> &'static str {
        "own/lengths"
    }
    fn fingerprint(&self) -> Fingerprint {
        "own:lengths".into()
    }
    async fn dimensions(&self) -> Result<usize, ProviderError> {
        Ok(2)
    }
    fn limits(&self) -> EmbedLimits {
        EmbedLimits::new(16, 10_000, 1000)
    }
    async fn embed(&self, inputs: &[String], _kind: InputType) -> Result<Embedded, ProviderError> {
        assert!(!inputs.iter().any(|text| self.breaks_at.is_some_and(|word| text.contains(word))), "a bug");
        let vectors = inputs.iter().map(|text| vec![text.len() as f32, text.split(' ').count() as f32]).collect();
        Ok(Embedded::new(vectors))
    }
}

/// Tickets of some system: what is listed, and what each call was asked for.
#[derive(Debug)]
struct Tickets {
    id: SourceId,
    all: Mutex<Vec<(u32, &'static str, &'static str)>>,
    /// How the listing ends.
    end: Mutex<End>,
    fetched: Mutex<Vec<String>>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum End {
    Complete,
    /// One part of it could not be listed.
    Unreadable(&'static str),
    CutShort,
    Panics,
}

impl Tickets {
    fn new() -> Arc<Self> {
        let end = Mutex::new(End::Complete);
        Arc::new(Self { id: SourceId::new("tickets"), all: Mutex::default(), end, fetched: Mutex::default() })
    }

    fn set(&self, tickets: &[(u32, &'static str, &'static str)], end: End) {
        *self.all.lock().unwrap() = tickets.to_vec();
        *self.end.lock().unwrap() = end;
        self.fetched.lock().unwrap().clear();
    }

    fn fetched(&self) -> Vec<String> {
        let mut fetched = self.fetched.lock().unwrap().clone();
        fetched.sort_unstable();
        fetched
    }
}

#[async_trait]
impl Source for Tickets {
    fn id(&self) -> &SourceId {
        &self.id
    }

    fn list(&self) -> BoxStream<'_, Listed> {
        let mut steps: Vec<_> = self
            .all
            .lock()
            .unwrap()
            .iter()
            .map(|(number, updated, _)| {
                let uri = format!("tickets://a/{number}");
                let mut item = Item::new(uri, Version::new(updated));
                item.key = number.to_be_bytes().into();
                Listed::Item(item)
            })
            .collect();
        steps.push(Listed::Skipped { uri: "tickets://a/secret".into(), reason: SkipReason::Excluded });
        let end = *self.end.lock().unwrap();
        match end {
            End::Complete => steps.push(Listed::Complete),
            End::Unreadable(prefix) => {
                steps.push(Listed::Unreadable { prefix: prefix.into(), error: SourceError::new("the queue is closed") });
                steps.push(Listed::Complete);
            }
            End::CutShort | End::Panics => {}
        }
        let breaks = async move { if end == End::Panics { panic!("the database is gone") } else { None } };
        stream::iter(steps).chain(stream::once(breaks).filter_map(std::future::ready)).boxed()
    }

    async fn fetch(&self, items: &[Item]) -> Vec<Result<Fetched, FetchError>> {
        let fetch = |item: &Item| {
            self.fetched.lock().unwrap().push(item.uri.clone());
            let number = u32::from_be_bytes(item.key.as_slice().try_into().map_err(SourceError::new)?);
            let tickets = self.all.lock().unwrap();
            let (_, updated, text) = tickets.iter().find(|(known, ..)| *known == number).ok_or(FetchError::Gone)?;
            let title = Some(format!("Ticket {number}"));
            let body = Body::Text { text: (*text).to_owned(), markup: Markup::Text, title };
            let mut fetched = Fetched::new(body, Version::new(updated));
            fetched.modified_ns = Some(1_700_000_000_000_000_000);
            fetched.metadata =
                Metadata::from([("number".into(), Scalar::from(i64::from(number))), ("open".into(), true.into())]);
            Ok(fetched)
        };
        items.iter().map(fetch).collect()
    }
}

/// An index with its ledger, and whatever sources a run is given.
struct Index {
    folder: tempfile::TempDir,
    store: Arc<EmbeddedStore>,
    /// What it is called in the one Postgres of the tests, where its ledger is there.
    shared: Option<String>,
}

impl Index {
    /// With the ledger of one process.
    fn alone() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(EmbeddedStore::new(folder.path().join("index")));
        Self { folder, store, shared: None }
    }

    /// With the ledger that several workers share, of whom each run is one.
    fn shared() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        Self { shared: Some(format!("own {}", NEXT.fetch_add(1, Ordering::Relaxed))), ..Self::alone() }
    }

    async fn setup(&self, sources: Vec<Arc<dyn Source>>) -> Setup {
        let store: Arc<dyn VectorStore> = self.store.clone();
        let embedder = Arc::new(Lengths::default());
        let mut setup = if let Some(name) = &self.shared {
            let url = format!("postgres://postgres@127.0.0.1:{}/postgres", servers::postgres().port);
            let cluster = Arc::new(Cluster::open(&url, Path::new("."), name, LEASE).await.unwrap());
            let mut setup = Setup::new("own", embedder, store, Arc::clone(&cluster) as _);
            setup.workers = Some(cluster);
            setup
        } else {
            let ledger = SqliteLedger::open(&self.folder.path().join("own.ledger")).await.unwrap();
            Setup::new("own", embedder, store, Arc::new(ledger))
        };
        setup.sources = sources;
        setup
    }

    fn lose_ledger(&self) {
        if let Some(name) = &self.shared {
            let this = format!("(SELECT id FROM ragstream.corpora WHERE name = '{name}')");
            let sql = format!(
                "DELETE FROM ragstream.documents WHERE corpus = {this}; UPDATE ragstream.corpora SET generation = NULL WHERE id = {this}"
            );
            servers::psql(servers::postgres().port, "postgres", &sql);
        }
        for file in ["own.ledger", "own.ledger-wal", "own.ledger-shm"] {
            let _ = std::fs::remove_file(self.folder.path().join(file));
        }
    }

    async fn ingest(&self, sources: Vec<Arc<dyn Source>>, options: Options) -> IngestSummary {
        let report = Arc::new(Report::default());
        ingest::run(self.setup(sources).await, options, report, CancellationToken::new()).await.unwrap()
    }

    async fn passages(&self) -> Vec<Passage> {
        let mut passages: Vec<_> =
            self.store.scroll(None, 100).await.unwrap().into_iter().map(|(_, passage)| passage).collect();
        passages.sort_by(|a, b| a.uri.cmp(&b.uri));
        passages
    }

    async fn uris(&self) -> Vec<String> {
        self.passages().await.into_iter().map(|passage| passage.uri).collect()
    }
}

fn files(folder: &Path) -> Arc<dyn Source> {
    let set = globset::GlobSet::empty;
    let plan = FilesPlan { paths: vec![folder.join("docs")], include: set(), exclude: set(), max_bytes: 1000, shared: false };
    Arc::new(Files::new(plan, folder))
}

fn counts(summary: &IngestSummary) -> [u64; 6] {
    let documents = summary.documents;
    [documents.seen, documents.added, documents.changed, documents.unchanged, documents.removed, documents.failed]
}

async fn documents_of_an_own_source_come_change_and_go(index: Index) {
    let tickets = Tickets::new();
    let sources = || vec![Arc::clone(&tickets) as Arc<dyn Source>];
    let prune = || Options { prune: true, ..Options::default() };

    tickets.set(&[(1, "monday", "The key is lost."), (2, "monday", "The door is open.")], End::Complete);
    let summary = index.ingest(sources(), Options::default()).await;
    assert_eq!(counts(&summary), [2, 2, 0, 0, 0, 0]);
    assert_eq!(summary.skipped, [(SkipReason::Excluded, 1)]);
    let passages = index.passages().await;
    assert_eq!(passages[0].uri, "tickets://a/1");
    assert_eq!(passages[0].title.as_deref(), Some("Ticket 1"));
    assert_eq!((passages[0].text.as_str(), passages[0].modified), ("The key is lost.", 1_700_000_000));
    assert_eq!(passages[0].source.as_deref(), Some("tickets"));
    assert_eq!(passages[1].metadata, Metadata::from([("number".into(), Scalar::from(2)), ("open".into(), true.into())]));

    // The same versions: nothing is fetched. Another version with the same content: nothing is embedded.
    index.ingest(sources(), Options::default()).await;
    assert!(tickets.fetched().len() == 2, "those of the first run");
    tickets.set(&[(1, "tuesday", "The key is lost."), (2, "tuesday", "The door is shut.")], End::Complete);
    let summary = index.ingest(sources(), Options::default()).await;
    assert_eq!((counts(&summary), summary.embeddings.embedded), ([2, 0, 1, 1, 0, 0], 1));

    // A part that could not be listed keeps what it has; what is not below it goes.
    tickets.set(&[], End::Unreadable("tickets://a/1"));
    let summary = index.ingest(sources(), prune()).await;
    assert_eq!(counts(&summary), [0, 0, 0, 0, 1, 1]);
    assert_eq!(index.uris().await, ["tickets://a/1"]);
    for end in [End::CutShort, End::Panics] {
        tickets.set(&[], end);
        let summary = index.ingest(sources(), prune()).await;
        assert_eq!((counts(&summary)[4], counts(&summary)[5]), (0, 1), "{end:?}");
        assert_eq!(index.uris().await, ["tickets://a/1"], "{end:?}");
    }
    tickets.set(&[], End::Complete);
    index.ingest(sources(), prune()).await;
    assert_eq!(index.uris().await, [""; 0]);
}

async fn no_source_removes_what_another_gave(index: Index) {
    let tickets = Tickets::new();
    let folder = index.folder.path();
    std::fs::create_dir(folder.join("docs")).unwrap();
    for name in ["a.md", "b.md"] {
        std::fs::write(folder.join("docs").join(name), format!("# {name}\n\nThis is what {name} says.\n")).unwrap();
    }
    tickets.set(&[(1, "monday", "The key is lost."), (2, "monday", "The door is open.")], End::Complete);
    let both = || vec![files(folder), Arc::clone(&tickets) as Arc<dyn Source>];
    let all = ["docs/a.md", "docs/b.md", "tickets://a/1", "tickets://a/2"];
    index.ingest(both(), Options::default()).await;
    assert_eq!(index.uris().await, all);

    // Either alone, asked for all that there is or for itself only, and with leave to remove most of the index.
    for scoped in [false, true] {
        let options = || Options { prune: true, scoped, ..Options::default() };
        index.ingest(vec![files(folder)], options()).await;
        index.ingest(vec![Arc::clone(&tickets) as Arc<dyn Source>], options()).await;
        assert_eq!(index.uris().await, all);
    }
    tickets.set(&[(2, "monday", "The door is open.")], End::Complete);
    std::fs::remove_file(folder.join("docs/a.md")).unwrap();
    let summary = index.ingest(vec![files(folder)], Options::default()).await;
    assert_eq!(counts(&summary), [1, 0, 0, 1, 1, 0]);
    assert_eq!(index.uris().await, &all[1..]);
    let summary = index.ingest(both(), Options::default()).await;
    assert_eq!(counts(&summary), [2, 0, 0, 2, 1, 0]);
    assert_eq!(index.uris().await, ["docs/b.md", "tickets://a/2"]);
}

async fn a_lost_ledger_learns_from_the_store_which_source_gave_what(index: Index) {
    let tickets = Tickets::new();
    let folder = index.folder.path();
    std::fs::create_dir(folder.join("docs")).unwrap();
    std::fs::write(folder.join("docs/a.md"), "This is what a says.\n").unwrap();
    tickets.set(&[(1, "monday", "The key is lost.")], End::Complete);
    let both = || vec![files(folder), Arc::clone(&tickets) as Arc<dyn Source>];
    index.ingest(both(), Options::default()).await;
    index.lose_ledger();
    index.ingest(vec![files(folder)], Options { prune: true, ..Options::default() }).await;
    assert_eq!(index.uris().await, ["docs/a.md", "tickets://a/1"]);
    let summary = index.ingest(both(), Options::default()).await;
    assert_eq!((counts(&summary), summary.embeddings.embedded), ([2, 0, 1, 1, 0, 0], 0), "compared anew, and nothing paid for");
}

/// Lists and fetches in one, as a crawler does: bytes with a media type, and links that are known only afterwards.
#[derive(Debug)]
struct Site(SourceId);

#[async_trait]
impl Source for Site {
    fn id(&self) -> &SourceId {
        &self.0
    }

    fn list(&self) -> BoxStream<'_, Listed> {
        let page = |n: u32| {
            let bytes =
                format!("<html><head><title>Page {n}</title></head><body><p>Words of page {n}.</p></body></html>").into();
            let hint = FormatHint::default().with_media_type("text/html; charset=utf-8");
            let version = Version::new(format!("\"etag-{n}\""));
            let item = Item::new(format!("https://a.example/pages/{n}.php"), version);
            Listed::Fetched(item, Box::new(Fetched::new(Body::Bytes { bytes, hint }, version)))
        };
        stream::iter((0..300).map(page).chain([Listed::Complete])).boxed()
    }

    async fn fetch(&self, items: &[Item]) -> Vec<Result<Fetched, FetchError>> {
        panic!("fetched while it was listed: {items:?}");
    }
}

async fn what_a_listing_had_to_fetch_is_not_fetched_again(index: Index) {
    let sources = || vec![Arc::new(Site(SourceId::new("web"))) as Arc<dyn Source>];
    let summary = index.ingest(sources(), Options::default()).await;
    assert_eq!(counts(&summary), [300, 300, 0, 0, 0, 0]);
    let page = index.passages().await.into_iter().find(|page| page.uri == "https://a.example/pages/7.php").unwrap();
    assert_eq!((page.title.as_deref(), page.text.trim()), (Some("Page 7"), "Words of page 7."));
    let summary = index.ingest(sources(), Options::default()).await;
    assert_eq!(counts(&summary), [300, 0, 0, 300, 0, 0]);
}

async fn texts_in_memory_are_a_source(index: Index) {
    let notes = |texts: &[(&str, &str)]| vec![Arc::new(source::documents("notes", texts.iter().copied())) as Arc<dyn Source>];
    let texts =
        [("notes://1", "# Keys\n\nThey are rotated on Mondays."), ("notes://2", "Doors stay shut."), ("notes://1", "twice")];
    let summary = index.ingest(notes(&texts), Options::default()).await;
    assert_eq!(counts(&summary), [2, 2, 0, 0, 0, 0]);
    assert_eq!(index.passages().await[0].title.as_deref(), Some("Keys"));
    let summary = index.ingest(notes(&texts[1..2]), Options { prune: true, ..Options::default() }).await;
    assert_eq!((counts(&summary), index.uris().await), ([1, 0, 0, 1, 1, 0], vec!["notes://2".to_owned()]));
}

async fn a_part_that_breaks_ends_the_run_aloud_and_the_next_run_makes_up_for_it(index: Index) {
    let tickets = Tickets::new();
    let sources = || vec![Arc::clone(&tickets) as Arc<dyn Source>];
    let run = |setup| ingest::run(setup, Options::default(), Arc::new(Report::default()), CancellationToken::new());
    tickets.set(&[(1, "monday", "The key is lost."), (2, "monday", "The door is open.")], End::Complete);
    let mut setup = index.setup(sources()).await;
    setup.embedder = Arc::new(Lengths { breaks_at: Some("door") });
    let error = run(setup).await.unwrap_err();
    assert_eq!((error.code(), error.to_string().as_str()), ("internal", "the embedding model broke"));

    let broken: Vec<Arc<dyn Source>> = vec![Arc::new(Unfetchable(SourceId::new("tickets")))];
    let error = run(index.setup(broken).await).await.unwrap_err();
    assert!(ragstream::error::reason(&error).contains("fetch documents"), "{error}");

    index.ingest(sources(), Options::default()).await;
    assert_eq!(index.uris().await, ["tickets://a/1", "tickets://a/2"]);
}

/// Breaks when it is asked for anything.
#[derive(Debug)]
struct Unfetchable(SourceId);

#[async_trait]
impl Source for Unfetchable {
    fn id(&self) -> &SourceId {
        &self.0
    }

    fn list(&self) -> BoxStream<'_, Listed> {
        stream::iter([Listed::Item(Item::new("tickets://a/3", Version::UNKNOWN)), Listed::Complete]).boxed()
    }

    async fn fetch(&self, items: &[Item]) -> Vec<Result<Fetched, FetchError>> {
        panic!("a bug in the fetching of {items:?}");
    }
}

macro_rules! over_every_ledger {
    ($($behaviour:ident)*) => {
        mod alone {
            $(#[tokio::test]
            async fn $behaviour() {
                super::$behaviour(super::Index::alone()).await;
            })*
        }
        mod as_one_of_several {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $behaviour() {
                super::$behaviour(super::Index::shared()).await;
            })*
        }
    };
}
over_every_ledger! {
    documents_of_an_own_source_come_change_and_go
    no_source_removes_what_another_gave
    a_lost_ledger_learns_from_the_store_which_source_gave_what
    what_a_listing_had_to_fetch_is_not_fetched_again
    texts_in_memory_are_a_source
    a_part_that_breaks_ends_the_run_aloud_and_the_next_run_makes_up_for_it
}
