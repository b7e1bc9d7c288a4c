//! What it costs to be one of several workers: the same documents by a single process, with its ledger in a file, and by one worker
//! of a cluster, whose ledger and queue are in Postgres; and by two.
//!
//! ```text
//! cargo bench --bench cluster               in turns, three times; a minute or two
//! DOCUMENTS=20000 cargo bench --bench cluster
//! ```
//! Twice: before a model that answers after 50 ms to four requests at once, as an API does; and before one that answers at once, where
//! all that is left is reading, cutting, the ledger and the store.
//!
//! Without `--bench`, as `cargo test --benches` starts it, in small. Needs Postgres (`scripts/test` installs it).

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the figures are the result, and a bench fails by panicking"
)]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use ragstream::cluster::{Cluster, LEASE};
use ragstream::ingest::ledger::SqliteLedger;
use ragstream::ingest::report::Report;
use ragstream::ingest::{self, Options, Setup};
use ragstream::providers::{EmbedLimits, Embedded, Embedder, Fingerprint, InputType, ProviderError};
use ragstream::source::{Documents, documents};
use ragstream::vectordb::embedded::EmbeddedStore;
use ragstream::{CancellationToken, Source, VectorStore};
use tokio::sync::Semaphore;

#[path = "../it/sql/servers.rs"]
#[allow(dead_code, reason = "tests need more of it")]
mod servers;

/// Numbers that follow from the text; `latency` after it was asked, to so many at once.
#[derive(Debug)]
struct Model {
    latency: Duration,
    places: Semaphore,
}

#[async_trait]
impl Embedder for Model {
    fn model(&self) -> &'static str {
        "bench/hash"
    }
    fn fingerprint(&self) -> Fingerprint {
        "bench:hash".into()
    }
    async fn dimensions(&self) -> Result<usize, ProviderError> {
        Ok(32)
    }
    fn limits(&self) -> EmbedLimits {
        EmbedLimits::new(64, 100_000, 8000)
    }
    async fn embed(&self, inputs: &[String], _: InputType) -> Result<Embedded, ProviderError> {
        let _place = self.places.acquire().await.expect("it is never closed");
        if !self.latency.is_zero() {
            tokio::time::sleep(self.latency).await;
        }
        let vector =
            |text: &String| blake3::hash(text.as_bytes()).as_bytes().iter().map(|byte| f32::from(*byte) + 1.0).collect();
        Ok(Embedded::new(inputs.iter().map(vector).collect()))
    }
}

fn corpus(count: usize) -> Arc<Documents> {
    let text = |n: usize| {
        let line = format!("Document {n} says in this line what it has to say of 第 {n} 份文档, and then once more. ");
        format!("# Document {n}\n\n{}\n\n## More\n\n{}\n", line.repeat(12), line.repeat(9))
    };
    let all: Vec<(String, String)> = (0..count).map(|n| (format!("notes://{n:06}"), text(n))).collect();
    Arc::new(documents("notes", all.iter().map(|(uri, text)| (uri.as_str(), text.as_str()))))
}

struct Bench {
    url: String,
    source: Arc<Documents>,
    documents: u64,
    latency: Duration,
    /// Each index is a new one.
    turn: usize,
}

impl Bench {
    fn setup(&self, store: &Arc<dyn VectorStore>, ledger: Arc<dyn ragstream::ingest::ledger::Ledger>) -> Setup {
        let model = Arc::new(Model { latency: self.latency, places: Semaphore::new(4) });
        let mut setup = Setup::new("bench", model, Arc::clone(store), ledger);
        setup.sources = vec![Arc::clone(&self.source) as Arc<dyn Source>];
        setup
    }

    /// Seconds of a run from nothing, by so many workers; `None`: a single process.
    async fn run(&mut self, workers: Option<usize>) -> f64 {
        self.turn += 1;
        let folder = tempfile::tempdir().unwrap();
        let store: Arc<dyn VectorStore> = Arc::new(EmbeddedStore::new(folder.path().join("index")));
        let mut setups = Vec::new();
        match workers {
            None => {
                let ledger = SqliteLedger::open(&folder.path().join("bench.ledger")).await.unwrap();
                setups.push(self.setup(&store, Arc::new(ledger)));
            }
            Some(workers) => {
                for _ in 0..workers {
                    let cluster = Arc::new(
                        Cluster::open(&self.url, Path::new("."), &format!("bench {}", self.turn), LEASE).await.unwrap(),
                    );
                    let mut setup = self.setup(&store, Arc::clone(&cluster) as _);
                    setup.workers = Some(cluster);
                    setups.push(setup);
                }
            }
        }
        let began = Instant::now();
        let runs = setups.into_iter().map(|setup| {
            tokio::spawn(ingest::run(setup, Options::default(), Arc::new(Report::default()), CancellationToken::new()))
        });
        let mut added = 0;
        for run in runs.collect::<Vec<_>>() {
            added += run.await.unwrap().unwrap().documents.added;
        }
        assert_eq!(added, self.documents);
        began.elapsed().as_secs_f64()
    }
}

#[tokio::main]
async fn main() {
    let whole = std::env::args().any(|argument| argument == "--bench");
    let count: usize = std::env::var("DOCUMENTS").ok().map_or(if whole { 6000 } else { 200 }, |count| count.parse().unwrap());
    let server = tokio::task::spawn_blocking(servers::postgres).await.unwrap();
    // The tests' server writes every statement down, which costs more than the statements.
    servers::psql(server.port, "postgres", "ALTER SYSTEM SET log_statement = 'none'");
    servers::psql(server.port, "postgres", "SELECT pg_reload_conf()");
    let url = format!("postgres://postgres@127.0.0.1:{}/postgres", server.port);
    let source = corpus(count);
    for (what, latency) in [("an API's latency", Duration::from_millis(50)), ("no latency", Duration::ZERO)] {
        let mut bench = Bench { url: url.clone(), source: Arc::clone(&source), documents: count as u64, latency, turn: 0 };
        bench.url.clone_from(&url);
        // Warm.
        bench.turn = latency.as_millis() as usize * 100;
        bench.run(None).await;
        let mut times: [Vec<f64>; 3] = Default::default();
        for _ in 0..if whole { 3 } else { 1 } {
            for (at, workers) in [None, Some(1), Some(2)].into_iter().enumerate() {
                times[at].push(bench.run(workers).await);
            }
        }
        let median = |times: &[f64]| {
            let mut times = times.to_vec();
            times.sort_by(f64::total_cmp);
            times[times.len() / 2]
        };
        let [alone, one, two] = times.map(|times| median(&times));
        println!(
            "{what}: {count} documents alone {alone:.2} s ({:.0}/s), one worker {one:.2} s ({:.3} of its throughput), two {two:.2} s ({:.3})",
            count as f64 / alone,
            alone / one,
            alone / two,
        );
    }
}
