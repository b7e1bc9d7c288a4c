//! What it costs to be one of several workers: the same documents by a single process, with its ledger in a file, and by one worker
//! of a cluster, whose ledger and queue are in Postgres; and by two.
//!
//! ```text
//! cargo bench --bench cluster               in turns, three times; a minute or two
//! DOCUMENTS=20000 cargo bench --bench cluster -- 'no latency'
//! ```
//! Four times: with a model in process, which takes all that the cores can do; before an API as fast as a quota of five million tokens a
//! minute, four requests of 64 texts at once; before one as fast as a near API without any quota, each request 50 ms; and before one
//! that answers at once, where all that is left is reading, cutting, the ledger and the store. And what it costs in time of cores, of
//! this process and of Postgres, which tells more than a throughput where both share two cores.
//!
//! Without `--bench`, as `cargo test --benches` starts it, in small. Needs Postgres (`scripts/test` installs it), and Linux for its time.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the figures are the result, and a bench fails by panicking"
)]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use ragstream::cluster::{Cluster, LEASE};
use ragstream::ingest::ledger::SqliteLedger;
use ragstream::ingest::report::Report;
use ragstream::ingest::{self, Options, Setup};
use ragstream::providers::local::{Hub, load};
use ragstream::providers::{EmbedLimits, Embedded, Embedder, Fingerprint, InputType, ProviderError};
use ragstream::source::{Documents, documents};
use ragstream::vectordb::embedded::EmbeddedStore;
use ragstream::{CancellationToken, Settings, Source, VectorStore};
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

/// What a run took, in seconds: by the clock, of cores in this process, of cores in Postgres.
#[derive(Clone, Copy)]
struct Cost {
    seconds: f64,
    own: f64,
    server: f64,
}

/// The middle one of each figure.
fn median(costs: &[Cost]) -> Cost {
    let middle = |of: fn(&Cost) -> f64| {
        let mut all: Vec<f64> = costs.iter().map(of).collect();
        all.sort_by(f64::total_cmp);
        all[all.len() / 2]
    };
    Cost { seconds: middle(|cost| cost.seconds), own: middle(|cost| cost.own), server: middle(|cost| cost.server) }
}

fn own_cpu() -> f64 {
    let used = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    used.tv_sec as f64 + used.tv_nsec as f64 / 1e9
}

/// The first process of the Postgres.
#[derive(Clone, Copy)]
struct Postmaster(u32);

impl Postmaster {
    fn of(port: u16) -> Self {
        let folder = servers::psql(port, "postgres", "SHOW data_directory");
        let told = std::fs::read_to_string(Path::new(folder.trim()).join("postmaster.pid")).unwrap();
        Self(told.lines().next().unwrap().trim().parse().unwrap())
    }

    /// Seconds on cores of it and of its children, those that have ended included. 0 where there is no /proc.
    fn cpu(self) -> f64 {
        let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let ticks = processes.filter_map(|entry| {
            let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
            let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
            // Behind the name, which may hold anything: state, parent, …, and from the twelfth on user, system, and both of children.
            let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
            let number = |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok());
            (pid == self.0 || number(1)? == u64::from(self.0)).then_some(())?;
            Some(number(11)? + number(12)? + number(13)? + number(14)?)
        });
        ticks.sum::<u64>() as f64 / 100.0
    }
}

struct Bench {
    url: String,
    server: Postmaster,
    source: Arc<Documents>,
    documents: u64,
    model: Arc<dyn Embedder>,
    /// Each index is a new one.
    turn: usize,
}

impl Bench {
    fn setup(&self, store: &Arc<dyn VectorStore>, ledger: Arc<dyn ragstream::ingest::ledger::Ledger>) -> Setup {
        let mut setup = Setup::new("bench", Arc::clone(&self.model), Arc::clone(store), ledger);
        setup.sources = vec![Arc::clone(&self.source) as Arc<dyn Source>];
        setup
    }

    /// A run from nothing, by so many workers; `None`: a single process.
    async fn run(&mut self, workers: Option<usize>) -> Cost {
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
        let (began, before) = (Instant::now(), (own_cpu(), self.server.cpu()));
        let runs = setups.into_iter().map(|setup| {
            tokio::spawn(ingest::run(setup, Options::default(), Arc::new(Report::default()), CancellationToken::new()))
        });
        let mut added = 0;
        for run in runs.collect::<Vec<_>>() {
            added += run.await.unwrap().unwrap().documents.added;
        }
        assert_eq!(added, self.documents);
        let (own, server) = (own_cpu() - before.0, self.server.cpu() - before.1);
        Cost { seconds: began.elapsed().as_secs_f64(), own, server }
    }
}

#[tokio::main]
async fn main() {
    let whole = std::env::args().any(|argument| argument == "--bench");
    let count: usize = std::env::var("DOCUMENTS").ok().map_or(if whole { 6000 } else { 200 }, |count| count.parse().unwrap());
    let server = tokio::task::spawn_blocking(servers::postgres).await.unwrap();
    // The tests' server writes every statement down, which costs more than the statements.
    // What its command line says, a file does not overrule, and a role does.
    servers::psql(server.port, "postgres", "ALTER ROLE postgres SET log_statement = 'none'");
    let url = format!("postgres://postgres@127.0.0.1:{}/postgres", server.port);
    let postmaster = Postmaster::of(server.port);
    // 256 texts of 285 tokens in flight.
    let quota = Duration::from_millis(877);
    let loads = [
        ("a model in process", None, 20),
        ("five million tokens a minute", Some(quota), 2),
        ("50 ms a request", Some(Duration::from_millis(50)), 1),
        ("no latency", Some(Duration::ZERO), 1),
    ];
    // Whatever follows that is no option, as the test runner's are.
    let only = std::env::args().skip(1).find(|argument| !argument.starts_with('-')).unwrap_or_default();
    for (what, latency, divisor) in loads.into_iter().filter(|(what, ..)| what.contains(&only)) {
        let rounds = if whole { 3 } else { 1 };
        let count = count / divisor;
        let model: Arc<dyn Embedder> = if let Some(latency) = latency {
            Arc::new(Model { latency, places: Semaphore::new(4) })
        } else {
            let cache = std::env::var_os("RAGSTREAM_CACHE").map(PathBuf::from).or_else(Settings::users_cache).unwrap();
            load("all-MiniLM-L6-v2", &cache, &Hub::from_env()).await.unwrap()
        };
        let source = corpus(count);
        // Each has indexes of its own.
        let turn = latency.map_or(1, |latency| latency.as_millis() as usize + 2) * 100;
        let mut bench = Bench { url: url.clone(), server: postmaster, source, documents: count as u64, model, turn };
        // Warm.
        if whole {
            bench.run(None).await;
        }
        let mut costs: [Vec<Cost>; 3] = Default::default();
        for _ in 0..rounds {
            for (at, workers) in [None, Some(1), Some(2)].into_iter().enumerate() {
                costs[at].push(bench.run(workers).await);
            }
        }
        let [alone, one, two] = costs.map(|costs| median(&costs));
        println!("{what}: {count} documents, {:.0} a second by a single process", count as f64 / alone.seconds);
        let each = |seconds: f64| seconds / count as f64 * 1e6;
        for (who, cost) in [("a single process", alone), ("one worker", one), ("two workers", two)] {
            println!(
                "  {who:17} {:6.2} s ({:.3} of its throughput); a document {:4.0} µs of cores, and {:4.0} µs in Postgres",
                cost.seconds,
                alone.seconds / cost.seconds,
                each(cost.own),
                each(cost.server),
            );
        }
    }
}
