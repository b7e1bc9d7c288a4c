//! Several workers on one index, over a real Postgres: whatever becomes of them, the index is the one that a single process makes.
//! Here they are tasks of this process, each with its own connections, and one that is killed is a task that is dropped; as
//! processes, with a quota, they run in `scripts/torture-cluster`.

mod altered;
mod contexts;
mod corpus;
mod failover;
mod late;
mod met;
mod pages;
mod partitions;
mod plan;
mod processes;
mod rounds;
mod simulation;
mod status;
mod steps;
mod zombies;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use ragstream::cluster::Cluster;
use ragstream::document::Passage;
use ragstream::ingest::coordination::Coordination as _;
use ragstream::ingest::ledger::SqliteLedger;
use ragstream::ingest::report::{IngestSummary, Report};
use ragstream::ingest::{self, Options, Setup};
use ragstream::vectordb::VectorStore;
use ragstream::vectordb::embedded::EmbeddedStore;
use ragstream::{CancellationToken, Error, Source};
use tokio::task::JoinHandle;
use uuid::Uuid;

use self::corpus::{Corpus, Paid};
use crate::sql::servers;

/// How long a worker may be silent here.
const LEASE: Duration = Duration::from_secs(3);

/// Where workers meet: an index of its own in the one Postgres of the tests, and a store.
struct Meeting {
    url: String,
    name: String,
    store: Arc<dyn VectorStore>,
    corpus: Arc<Corpus>,
    paid: Arc<Paid>,
    lease: Duration,
    _folder: tempfile::TempDir,
}

impl Meeting {
    fn new(corpus: Corpus) -> Self {
        let url = format!("postgres://postgres@127.0.0.1:{}/postgres", servers::postgres().port);
        Self::at(url, corpus)
    }

    fn at(url: String, corpus: Corpus) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(EmbeddedStore::new(folder.path().join("index")));
        let name = format!("工人 {}", NEXT.fetch_add(1, Ordering::Relaxed));
        Self { url, name, store, corpus: Arc::new(corpus), paid: Arc::new(Paid::default()), lease: LEASE, _folder: folder }
    }

    async fn cluster(&self) -> Cluster {
        Cluster::open(&self.url, Path::new("."), &self.name, self.lease).await.unwrap()
    }

    async fn setup(&self, store: Arc<dyn VectorStore>) -> Setup {
        let cluster = Arc::new(self.cluster().await);
        let mut setup = Setup::new("together", self.paid.embedder(), store, Arc::clone(&cluster) as _);
        setup.sources = vec![Arc::clone(&self.corpus) as Arc<dyn Source>];
        setup.workers = Some(cluster);
        setup
    }

    /// A worker, on its way.
    async fn worker(&self) -> Worker {
        self.worker_at(Arc::clone(&self.store)).await
    }

    async fn worker_at(&self, store: Arc<dyn VectorStore>) -> Worker {
        Self::worker_of(self.setup(store).await, Options::default())
    }

    fn worker_of(setup: Setup, options: Options) -> Worker {
        let stop = CancellationToken::new();
        let run = ingest::run(setup, options, Arc::new(Report::default()), stop.clone());
        Worker { task: tokio::spawn(run), stop }
    }

    /// So many workers through one round.
    async fn round(&self, workers: usize) -> Vec<IngestSummary> {
        let mut running = Vec::new();
        for _ in 0..workers {
            running.push(self.worker().await);
        }
        let mut ended = Vec::new();
        for worker in running {
            ended.push(worker.task.await.unwrap().unwrap());
        }
        ended
    }

    /// All that the store holds.
    async fn contents(&self) -> Vec<(Uuid, Passage)> {
        contents(&*self.store).await
    }

    /// What a single process makes of the corpus as it is now, from nothing.
    async fn alone(&self) -> Vec<(Uuid, Passage)> {
        self.alone_with(|_| {}).await
    }

    /// The same, of a setup that has something more.
    async fn alone_with(&self, more: impl FnOnce(&mut Setup)) -> Vec<(Uuid, Passage)> {
        let folder = tempfile::tempdir().unwrap();
        let store: Arc<dyn VectorStore> = Arc::new(EmbeddedStore::new(folder.path().join("index")));
        let ledger = SqliteLedger::open(&folder.path().join("alone.ledger")).await.unwrap();
        let mut setup = Setup::new("alone", Arc::new(Paid::default()).embedder(), Arc::clone(&store), Arc::new(ledger));
        setup.sources = vec![Arc::clone(&self.corpus) as Arc<dyn Source>];
        more(&mut setup);
        ingest::run(setup, Options::default(), Arc::new(Report::default()), CancellationToken::new()).await.unwrap();
        contents(&*store).await
    }

    /// The index is what a single process makes.
    async fn is_as_alone(&self) {
        let (found, wanted) = (self.contents().await, self.alone().await);
        let differing = |one: &[(Uuid, Passage)], other: &[(Uuid, Passage)]| {
            let of = one.iter().filter(|point| !other.contains(point)).map(|(_, passage)| passage.uri.clone());
            of.collect::<std::collections::BTreeSet<_>>()
        };
        let (surplus, lacking) = (differing(&found, &wanted), differing(&wanted, &found));
        assert!(found == wanted, "not a single process's: of {surplus:?}; lacking: of {lacking:?}");
    }

    /// Nothing waits, nobody has anything, and what is recorded is what the store holds.
    async fn is_settled(&self) {
        let cluster = self.cluster().await;
        let outstanding = cluster.outstanding().await.unwrap();
        assert_eq!((outstanding.jobs, outstanding.sweeps), (0, 0));
        cluster.leave().await;
    }

    /// An answer of the database's.
    fn sql(&self, sql: &str) -> String {
        let corpus = format!("(SELECT id FROM ragstream.corpora WHERE name = '{}')", self.name);
        servers::psql(servers::postgres().port, "postgres", &sql.replace("$corpus", &corpus)).trim().to_owned()
    }
}

/// A worker that runs as a task.
struct Worker {
    task: JoinHandle<Result<IngestSummary, Error>>,
    stop: CancellationToken,
}

impl Worker {
    /// It is gone from one moment to the next, as after `kill -9`.
    async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

async fn contents(store: &dyn VectorStore) -> Vec<(Uuid, Passage)> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = store.scroll(after, 1000).await.unwrap();
        after = page.last().map(|(id, _)| *id);
        let end = page.len() < 1000;
        all.extend(page);
        if end {
            return all;
        }
    }
}
