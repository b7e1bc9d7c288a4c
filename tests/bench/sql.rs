//! A large table, compared: how long a run takes that finds nothing changed, and how old its oldest transaction gets.
//!
//! ```text
//! cargo bench --bench sql                  1,000,000 rows of Postgres; some minutes, most of them to fill table and index
//! ROWS=100000 cargo bench --bench sql      fewer
//! cargo bench --bench sql -- first         200,000 rows that are all new: asked for a few at a time, as files are read, and as the
//!                                          source likes it, in turns
//! ```
//! Without `--bench`, as `cargo test --benches` starts it, in small. Needs Postgres (`scripts/test` installs it).

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the figures are the result, and a bench fails by panicking"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use ragstream::ingest::ledger::SqliteLedger;
use ragstream::ingest::report::{IngestSummary, Report};
use ragstream::ingest::{self, Options, Setup};
use ragstream::providers::{EmbedLimits, Embedded, Embedder, Fingerprint, InputType, ProviderError};
use ragstream::source::sql::{Connection, From, Sql, SqlPlan, Text};
use ragstream::source::{FetchError, Fetched, Item, Listed, Source, SourceId};
use ragstream::vectordb::embedded::EmbeddedStore;
use tokio_util::sync::CancellationToken;

#[path = "../it/sql/servers.rs"]
#[allow(dead_code, reason = "tests need more of it")]
mod servers;

/// What a run over a million unchanged rows may take, and its oldest transaction.
const GOAL: Duration = Duration::from_secs(10);
const OLDEST: Duration = Duration::from_secs(1);

/// Costs nothing: what is measured is the source and the ledger.
#[derive(Debug)]
struct Nothing;

#[async_trait]
impl Embedder for Nothing {
    fn model(&self) -> &'static str {
        "bench/nothing"
    }
    fn fingerprint(&self) -> Fingerprint {
        "bench:nothing".into()
    }
    async fn dimensions(&self) -> Result<usize, ProviderError> {
        Ok(2)
    }
    fn limits(&self) -> EmbedLimits {
        EmbedLimits::new(2048, 1_000_000, 1000)
    }
    async fn embed(&self, inputs: &[String], _: InputType) -> Result<Embedded, ProviderError> {
        Ok(Embedded::new(inputs.iter().map(|text| vec![text.len() as f32, 1.0]).collect()))
    }
}

/// A table that is asked for a few rows at a time, as if it did not say how many it likes.
#[derive(Debug)]
struct Few(Sql);

#[async_trait]
impl Source for Few {
    fn id(&self) -> &SourceId {
        self.0.id()
    }
    fn roots(&self) -> Vec<String> {
        self.0.roots()
    }
    fn list(&self) -> BoxStream<'_, Listed> {
        self.0.list()
    }
    async fn fetch(&self, items: &[Item]) -> Vec<Result<Fetched, FetchError>> {
        self.0.fetch(items).await
    }
}

struct Bench {
    folder: tempfile::TempDir,
    url: String,
}

impl Bench {
    /// A run: its summary, the bytes of the rows that it read, and how long it took.
    async fn ingest(&self, updated: bool, few: bool) -> (IngestSummary, u64, Duration) {
        let connection = Connection::open(&self.url, self.folder.path(), Duration::from_mins(5)).unwrap();
        let mut plan = SqlPlan::new(connection, From::Table("items".into()), vec!["id".into()]);
        plan.text = Text::Columns(vec!["body".into()]);
        plan.updated = updated.then(|| "changed".to_owned());
        let ledger = SqliteLedger::open(&self.folder.path().join("own.ledger")).await.unwrap();
        let store = Arc::new(EmbeddedStore::new(self.folder.path().join("index")));
        let mut setup = Setup::new("own", Arc::new(Nothing), store, Arc::new(ledger));
        let table = Sql::new(plan);
        setup.sources = vec![if few { Arc::new(Few(table)) as Arc<dyn Source> } else { Arc::new(table) }];
        let (report, began) = (Arc::new(Report::default()), Instant::now());
        let summary = ingest::run(setup, Options::default(), Arc::clone(&report), CancellationToken::new()).await.unwrap();
        (summary, report.documents.bytes.get(), began.elapsed())
    }

    /// [`Self::ingest`] with the age of its oldest transaction, asked for all the time.
    async fn watched(&self, updated: bool) -> (IngestSummary, u64, Duration, Duration) {
        let (over, oldest) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (client, connection) = tokio_postgres::connect(&self.url, tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        let watching = tokio::spawn({
            let (over, oldest) = (Arc::clone(&over), Arc::clone(&oldest));
            async move {
                let ages = "SELECT coalesce(max(extract(epoch FROM clock_timestamp() - xact_start) * 1e6), 0)::bigint::text \
                            FROM pg_stat_activity WHERE application_name = 'ragstream'";
                while !over.load(Ordering::SeqCst) {
                    for message in client.simple_query(ages).await.unwrap() {
                        if let tokio_postgres::SimpleQueryMessage::Row(row) = message {
                            oldest.fetch_max(row.get(0).unwrap().parse().unwrap(), Ordering::SeqCst);
                        }
                    }
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            }
        });
        let (summary, read, took) = self.ingest(updated, false).await;
        over.store(true, Ordering::SeqCst);
        watching.await.unwrap();
        (summary, read, took, Duration::from_micros(oldest.load(Ordering::SeqCst)))
    }
}

/// First ingests in turns: rows asked for a few at a time, and as the source likes it.
async fn first_ingests(url: &str, rows: u64) {
    println!("| {rows} new rows of 0.9 KB | seconds | its CPU seconds |\n|---|---|---|");
    for (name, few) in [("a few at a time", true), ("as the source likes it", false)].repeat(3) {
        let bench = Bench { folder: tempfile::tempdir().unwrap(), url: url.to_owned() };
        let before = cpu_seconds();
        let (summary, _, took) = bench.ingest(true, few).await;
        assert_eq!((summary.documents.added, summary.documents.failed), (rows, 0));
        println!("| {name} | {:.1} | {:.1} |", took.as_secs_f64(), cpu_seconds() - before);
    }
}

/// What this process has used of all cores. (Linux; zero elsewhere.)
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after = stat.rsplit(')').next().unwrap_or_default();
    // utime and stime, the 14th and 15th field, in hundredths of a second.
    after.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum::<f64>() / 100.0
}

fn main() {
    let full = std::env::args().any(|argument| argument == "--bench");
    let first = std::env::args().any(|argument| argument == "first");
    let usual = if first { 200_000 } else { 1_000_000 };
    let rows: u64 = std::env::var("ROWS").map_or(if full { usual } else { 2_000 }, |rows| rows.parse().unwrap());
    let server = servers::new_postgres();
    // The command line says that all statements are logged.
    servers::psql(server.port, "postgres", "ALTER ROLE postgres SET log_statement = 'none'");
    let fill = format!(
        "CREATE TABLE items (id bigint PRIMARY KEY, body text NOT NULL, changed timestamptz NOT NULL); \
         INSERT INTO items SELECT n, 'The body of row ' || n || ', ' || repeat(md5(n::text) || ' ', 25), \
         timestamptz '2026-01-01' + n * interval '1 ms' + interval '7 us' FROM generate_series(1, {rows}) AS n"
    );
    servers::psql(server.port, "postgres", &fill);
    servers::psql(server.port, "postgres", "VACUUM ANALYZE items");
    let url = format!("postgres://postgres@127.0.0.1:{}/postgres", server.port);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    if first {
        runtime.block_on(first_ingests(&url, rows));
        return;
    }
    let bench = Bench { folder: tempfile::tempdir().unwrap(), url };
    runtime.block_on(async {
        println!("| {rows} rows of 0.9 KB | seconds | rows read | oldest transaction |\n|---|---|---|---|");
        for (name, updated) in [("by `updated`", true), ("by a hash", false)] {
            let (filled, _, took) = bench.ingest(updated, false).await;
            assert_eq!(filled.documents.failed, 0);
            println!("| {name}, all new or read anew | {:.1} | {rows} | |", took.as_secs_f64());
            let (again, read, took, oldest) = bench.watched(updated).await;
            assert_eq!((again.documents.unchanged, read), (rows, 0), "{:?}", again.documents);
            println!("| {name}, nothing changed | {:.2} | 0 | {:.0} ms |", took.as_secs_f64(), oldest.as_secs_f64() * 1000.0);
            if full && rows == 1_000_000 {
                assert!(took <= GOAL && oldest <= OLDEST, "goals: {GOAL:?}, {OLDEST:?}");
            }
        }
    });
}
