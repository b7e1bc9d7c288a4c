//! A large table, compared: how long a run takes that finds nothing changed, and how old its oldest transaction gets.
//!
//! ```text
//! cargo bench --bench sql                  1,000,000 rows of Postgres; some minutes, most of them to fill table and index
//! ROWS=100000 cargo bench --bench sql      fewer
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
use ragstream::ingest::ledger::SqliteLedger;
use ragstream::ingest::report::{IngestSummary, Report};
use ragstream::ingest::{self, Options, Setup};
use ragstream::providers::{EmbedLimits, Embedded, Embedder, Fingerprint, InputType, ProviderError};
use ragstream::source::Source;
use ragstream::source::sql::{Connection, From, Sql, SqlPlan, Text};
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

struct Bench {
    folder: tempfile::TempDir,
    url: String,
}

impl Bench {
    /// A run: its summary, the bytes of the rows that it read, and how long it took.
    async fn ingest(&self, updated: bool) -> (IngestSummary, u64, Duration) {
        let connection = Connection::open(&self.url, self.folder.path(), Duration::from_mins(5)).unwrap();
        let mut plan = SqlPlan::new(connection, From::Table("items".into()), vec!["id".into()]);
        plan.text = Text::Columns(vec!["body".into()]);
        plan.updated = updated.then(|| "changed".to_owned());
        let ledger = SqliteLedger::open(&self.folder.path().join("own.ledger")).await.unwrap();
        let store = Arc::new(EmbeddedStore::new(self.folder.path().join("index")));
        let mut setup = Setup::new("own", Arc::new(Nothing), store, Arc::new(ledger));
        setup.sources = vec![Arc::new(Sql::new(plan)) as Arc<dyn Source>];
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
        let (summary, read, took) = self.ingest(updated).await;
        over.store(true, Ordering::SeqCst);
        watching.await.unwrap();
        (summary, read, took, Duration::from_micros(oldest.load(Ordering::SeqCst)))
    }
}

fn main() {
    let full = std::env::args().any(|argument| argument == "--bench");
    let rows: u64 = std::env::var("ROWS").map_or(if full { 1_000_000 } else { 2_000 }, |rows| rows.parse().unwrap());
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
    let bench = Bench { folder: tempfile::tempdir().unwrap(), url };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        println!("| {rows} rows of 0.9 KB | seconds | rows read | oldest transaction |\n|---|---|---|---|");
        for (name, updated) in [("by `updated`", true), ("by a hash", false)] {
            let (filled, _, took) = bench.ingest(updated).await;
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
