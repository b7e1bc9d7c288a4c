//! Sites, crawled into an index: what becomes a document, what is asked for again, what is removed, and above all what is not.

mod commands;
mod crawls;
mod gone;
mod history;
mod interrupted;
mod leads;
mod sample;
mod site;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use globset::{Glob, GlobSet};
use ragstream::cluster::Cluster;
use ragstream::document::Passage;
use ragstream::ingest::coordination::Coordination;
use ragstream::ingest::ledger::{Ledger, SqliteLedger};
use ragstream::ingest::report::{IngestSummary, Report};
use ragstream::ingest::{self, Options, Setup};
use ragstream::providers::{EmbedLimits, Embedded, Embedder, Fingerprint, InputType, ProviderError};
use ragstream::source::{Purpose, Source, Web, WebPlan};
use ragstream::vectordb::VectorStore;
use ragstream::vectordb::embedded::EmbeddedStore;
use tokio_util::sync::CancellationToken;
use url::Url;

use self::site::{Asked, Site, manual};
use crate::both::{Ledger as Kept, Together};

/// Embeds a text as two numbers of its own, each in its time.
#[derive(Debug, Default)]
struct Lengths {
    delay: Duration,
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
        EmbedLimits::new(16, 10_000, 4)
    }
    async fn embed(&self, inputs: &[String], _kind: InputType) -> Result<Embedded, ProviderError> {
        tokio::time::sleep(self.delay).await;
        let vectors = inputs.iter().map(|text| vec![text.len() as f32, 1.0 + text.split(' ').count() as f32]).collect();
        Ok(Embedded::new(vectors))
    }
}

/// How long a worker may be silent: what a run that was dropped had said already is heard after it.
const LEASE: Duration = Duration::from_secs(5);

/// A site with the index that is made of it.
struct Bench {
    site: Site,
    folder: tempfile::TempDir,
    store: Arc<EmbeddedStore>,
    plan: WebPlan,
    embed_delay: Duration,
    /// Where the ledger is, if it is not in the folder.
    together: Option<Together>,
}

/// What a run came to.
struct Run {
    summary: IngestSummary,
    notices: Vec<String>,
    failures: Vec<String>,
    asked: Vec<Asked>,
}

impl Run {
    fn counts(&self) -> [u64; 6] {
        let documents = self.summary.documents;
        [documents.seen, documents.added, documents.changed, documents.unchanged, documents.removed, documents.failed]
    }

    fn skipped(&self, name: &str) -> u64 {
        self.summary.skipped.iter().filter(|(reason, _)| reason.name() == name).map(|(_, count)| count).sum()
    }

    /// Paths that were asked for, but for those that every crawl begins with.
    fn paths(&self) -> Vec<&str> {
        let begin = |path: &&str| {
            !path.starts_with("/robots.txt")
                && !path.contains("sitemap")
                && !path.contains("ragstream-")
                && *path != "/llms.txt"
        };
        self.asked.iter().map(|asked| asked.path.as_str()).filter(begin).collect()
    }

    fn told(&self, part: &str) -> bool {
        self.notices.iter().any(|notice| notice.contains(part))
    }
}

impl Bench {
    /// A manual of so many pages below `/docs/`, each with a link to the next and to the first.
    async fn manual(ledger: Kept, pages: usize) -> Self {
        let bench = Self::empty(ledger, "/docs/").await;
        for n in 0..pages {
            bench.page(n, pages);
        }
        bench
    }

    async fn empty(ledger: Kept, seed: &str) -> Self {
        let site = Site::start().await;
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(EmbeddedStore::new(folder.path().join("index")));
        let mut plan = WebPlan::new(vec![Url::parse(&site.at(seed)).unwrap()], 1_000_000);
        plan.patience = Duration::from_millis(100);
        let together = (ledger == Kept::Postgres).then(Together::new);
        Self { site, folder, store, plan, embed_delay: Duration::ZERO, together }
    }

    /// A run that was dropped was that of a worker which is dead now.
    fn all_are_dead(&self) {
        if let Some(together) = &self.together {
            together.all_are_dead();
        }
    }

    fn page(&self, n: usize, of: usize) {
        let next = format!("/docs/p{}.html", n + 1);
        let links: Vec<&str> = if n + 1 < of { vec!["/docs/", next.as_str()] } else { vec!["/docs/"] };
        self.site.put(&path(n), manual(&format!("chapter-{n}"), &links));
    }

    async fn setup(&self) -> Setup {
        let store: Arc<dyn VectorStore> = self.store.clone();
        let embedder = Arc::new(Lengths { delay: self.embed_delay });
        let (ledger, workers) = self.ledger().await;
        let mut setup = Setup::new("own", embedder, store, Arc::clone(&ledger));
        setup.workers = workers;
        let web = Web::new(self.plan.clone(), |id| ledger.state(id), Purpose::Index);
        setup.sources = vec![Arc::new(web) as Arc<dyn Source>];
        setup
    }

    async fn ledger(&self) -> (Arc<dyn Ledger>, Option<Arc<dyn Coordination>>) {
        if let Some(together) = &self.together {
            let cluster = Arc::new(Cluster::open(&together.url(), Path::new("."), "own", LEASE).await.unwrap());
            return (Arc::clone(&cluster) as _, Some(cluster));
        }
        loop {
            match SqliteLedger::open(&self.folder.path().join("own.ledger")).await {
                Ok(ledger) => return (Arc::new(ledger), None),
                // A run that was dropped has calls that are still being carried out.
                Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    }

    async fn ingest(&self) -> Run {
        self.ingest_with(Options::default()).await
    }

    async fn ingest_with(&self, options: Options) -> Run {
        let (notices, failures) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(Vec::new())));
        let (told, failed) = (Arc::clone(&notices), Arc::clone(&failures));
        let options = Options {
            listener: Arc::new(move |_, notice| told.lock().unwrap().push(notice.to_owned())),
            observer: Arc::new(move |failure| failed.lock().unwrap().push(format!("{}: {}", failure.uri, failure.error))),
            ..options
        };
        self.site.asked();
        let run = ingest::run(self.setup().await, options, Arc::new(Report::default()), CancellationToken::new());
        let summary = tokio::time::timeout(Duration::from_secs(60), run).await.expect("an end").unwrap();
        let (notices, failures) = (notices.lock().unwrap().clone(), failures.lock().unwrap().clone());
        Run { summary, notices, failures, asked: self.site.asked() }
    }

    async fn passages(&self) -> Vec<Passage> {
        // There is no index before the first run that got so far.
        let found = self.store.scroll(None, 10_000).await.unwrap_or_default();
        let mut passages: Vec<_> = found.into_iter().map(|(_, passage)| passage).collect();
        passages.sort_by(|a, b| (&a.uri, a.index).cmp(&(&b.uri, b.index)));
        passages
    }

    /// The paths of the documents in the index.
    async fn indexed(&self) -> BTreeSet<String> {
        let uris = self.passages().await.into_iter().map(|passage| passage.uri);
        uris.map(|uri| uri.strip_prefix(&self.site.url).map(str::to_owned).unwrap_or(uri)).collect()
    }
}

/// The n-th page of the manual.
fn path(n: usize) -> String {
    if n == 0 { "/docs/".to_owned() } else { format!("/docs/p{n}.html") }
}

fn paths<const N: usize>(paths: [&str; N]) -> BTreeSet<String> {
    paths.iter().map(ToString::to_string).collect()
}

/// Globs, as `include` and `exclude` have them.
fn globs(patterns: &[&str]) -> GlobSet {
    let mut set = GlobSet::builder();
    for pattern in patterns {
        set.add(Glob::new(pattern).unwrap());
    }
    set.build().unwrap()
}
