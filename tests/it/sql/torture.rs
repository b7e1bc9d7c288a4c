//! Whatever the writers did: a table and its index are equal.
//!
//! Eight writers insert, change, remove and renumber rows, in transactions that last up to a while and may be taken back, while
//! `ingest` runs again and again and is killed, as is the server. At the end one more run makes the index equal to the table, as an
//! independent client reads it. Beside it the method of the watermark (`updated > the greatest one so far`) reads the same tape.
//!
//! `scripts/torture-sql` runs it for as long as one likes.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::servers::{Database, Server, new_bouncer, new_mariadb, new_postgres};
use crate::project::{Project, ended};

const WRITERS: u64 = 8;
/// Keys that the writers fight for.
const KEYS: u64 = 300;

/// A small seeded sequence (splitmix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

/// How hard it is.
#[derive(Clone, Copy)]
struct Terms {
    /// How long the writers write.
    lasts: Duration,
    /// How long one of their transactions may last.
    transaction: Duration,
    /// How often the server or `ingest` is killed.
    kills: u32,
}

/// A connection of a writer. Each is the driver that the source uses, too; what is compared at the end is not read by it.
enum Writer {
    Postgres(tokio_postgres::Client),
    MariaDb(Box<mysql_async::Conn>),
    Sqlite(rusqlite::Connection),
}

impl Writer {
    async fn connect(database: &Database) -> Option<Self> {
        match database {
            Database::Postgres { .. } | Database::Bouncer { .. } => {
                let (client, connection) = tokio_postgres::connect(&database.url(), tokio_postgres::NoTls).await.ok()?;
                tokio::spawn(connection);
                Some(Self::Postgres(client))
            }
            Database::MariaDb { .. } => {
                let options = mysql_async::Opts::from_url(&database.url()).ok()?;
                Some(Self::MariaDb(Box::new(mysql_async::Conn::new(options).await.ok()?)))
            }
            Database::Sqlite { folder } => {
                let file = rusqlite::Connection::open(folder.path().join("test.db")).ok()?;
                file.busy_timeout(Duration::from_secs(5)).ok()?;
                Some(Self::Sqlite(file))
            }
        }
    }

    /// Whether it was done.
    async fn run(&mut self, sql: &str) -> bool {
        use mysql_async::prelude::Queryable as _;
        match self {
            Self::Postgres(client) => client.batch_execute(sql).await.is_ok(),
            Self::MariaDb(connection) => connection.query_drop(sql).await.is_ok(),
            Self::Sqlite(file) => tokio::task::block_in_place(|| file.execute_batch(sql).is_ok()),
        }
    }
}

/// One of the writers, until it is over; how many transactions it committed.
async fn write(database: Arc<Database>, seed: u64, terms: Terms, over: Arc<AtomicBool>, committed: Arc<AtomicU64>) {
    let mut dice = Dice(seed);
    let (begin, stamp) = match &*database {
        Database::Sqlite { .. } => ("BEGIN IMMEDIATE", "strftime('%Y-%m-%d %H:%M:%f', 'now')"),
        Database::MariaDb { .. } => ("START TRANSACTION", "now()"),
        _ => ("BEGIN", "now()"),
    };
    while !over.load(Ordering::SeqCst) {
        let Some(mut writer) = Writer::connect(&database).await else {
            tokio::time::sleep(Duration::from_millis(200)).await;
            continue;
        };
        while !over.load(Ordering::SeqCst) {
            // One at a time writes to SQLite: the others have to have their turns.
            let most = terms.transaction.as_millis() as u64 / if database.is_sqlite() { WRITERS } else { 1 };
            // Many short ones, some long ones.
            let lasts = if dice.below(4) == 0 { dice.below(most) } else { dice.below(most / 20 + 1) };
            let steps = 1 + dice.below(4);
            let mut good = writer.run(begin).await;
            for _ in 0..steps {
                if !good {
                    break;
                }
                let (key, other, word) = (dice.below(KEYS), dice.below(KEYS), dice.below(1_000_000));
                let sql = match dice.below(10) {
                    0..=2 => format!("INSERT INTO t (id, body, changed) VALUES ({key}, 'the body of {word}', {stamp})"),
                    3..=6 => format!("UPDATE t SET body = 'the body is now {word}', changed = {stamp} WHERE id = {key}"),
                    7 => format!("UPDATE t SET id = {other}, changed = {stamp} WHERE id = {key}"),
                    _ => format!("DELETE FROM t WHERE id = {key}"),
                };
                good = writer.run(&sql).await;
                tokio::time::sleep(Duration::from_millis(lasts / steps)).await;
            }
            let end = if good && dice.below(8) > 0 { "COMMIT" } else { "ROLLBACK" };
            if !writer.run(end).await {
                break;
            }
            if end == "COMMIT" {
                committed.fetch_add(1, Ordering::SeqCst);
            }
            tokio::time::sleep(Duration::from_millis(dice.below(30))).await;
        }
    }
}

/// The table, by the database's own client: (id, body).
fn table(database: &Database) -> BTreeMap<String, String> {
    let told = match database {
        Database::Sqlite { folder } => {
            // Python's own SQLite.
            let code = "import sqlite3,sys\nfor row in sqlite3.connect(sys.argv[1]).execute('SELECT id, body FROM t'): print(*row, sep='|')";
            let file = folder.path().join("test.db");
            let done = Command::new("python3").args(["-c", code]).arg(file).output().unwrap();
            assert!(done.status.success(), "{done:?}");
            String::from_utf8(done.stdout).unwrap()
        }
        Database::MariaDb { .. } => database.run("SELECT concat(id, '|', body) FROM t"),
        _ => database.run("SELECT id, body FROM t"),
    };
    told.lines().map(|line| line.split_once('|').map(|(id, body)| (id.to_owned(), body.to_owned())).unwrap()).collect()
}

/// What the watermark method would have: rows whose stamp is greater than the greatest so far, read again and again.
#[derive(Default)]
struct Watermark {
    rows: BTreeMap<String, String>,
    greatest: String,
}

impl Watermark {
    fn read(&mut self, database: &Database) {
        let sql = match database {
            Database::MariaDb { .. } => format!(
                "SELECT concat(id, '|', body, '|', changed) FROM t WHERE changed > '{}'",
                if self.greatest.is_empty() { "1970-01-02" } else { &self.greatest }
            ),
            _ => format!(
                "SELECT id, body, changed FROM t WHERE changed > '{}'",
                if self.greatest.is_empty() { "-infinity" } else { &self.greatest }
            ),
        };
        // A server that was killed may not answer yet: the next time.
        for line in database.try_run(&sql).unwrap_or_default().lines() {
            let mut parts = line.split('|').map(str::to_owned);
            let (id, body, changed) = (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap());
            self.rows.insert(id, body);
            self.greatest = changed.max(std::mem::take(&mut self.greatest));
        }
    }

    /// Rows of the table that it lacks or has in an older state. (What was deleted it cannot know at all.)
    fn lost(&self, table: &BTreeMap<String, String>) -> usize {
        table.iter().filter(|(id, body)| self.rows.get(*id) != Some(body)).count()
    }
}

/// Tortures a database; what happened, in a line.
async fn torture(name: &str, database: Database, mut server: Option<Server>, updated: bool, terms: Terms) -> String {
    let kind = match &database {
        Database::MariaDb { .. } => "timestamp NOT NULL DEFAULT current_timestamp",
        Database::Sqlite { .. } => "text",
        _ => "timestamptz",
    };
    database.run(&format!("CREATE TABLE t (id int PRIMARY KEY, body varchar(100), changed {kind})"));
    if database.is_sqlite() {
        database.run("PRAGMA journal_mode = WAL");
    }
    let project = Project::new().with("TABLE_URL", database.url());
    let updated = if updated { ", updated: changed" } else { "" };
    project.write(
        "t.yaml",
        format!(
            "name: t\nsources:\n  - sql: {{ url: \"${{TABLE_URL}}\", table: t, key: id, text: body, page: 40{updated} }}\n"
        ),
    );
    let database = Arc::new(database);
    let (over, committed) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let writers: Vec<_> = (0..WRITERS)
        .map(|n| tokio::spawn(write(Arc::clone(&database), 77 + n, terms, Arc::clone(&over), Arc::clone(&committed))))
        .collect();
    let (mut dice, mut watermark) = (Dice(4), Watermark::default());
    let (mut killed_runs, mut killed_servers, mut runs) = (0, 0, 0);
    let began = Instant::now();
    while began.elapsed() < terms.lasts {
        let started = project.start(&["ingest", "-p", "t.yaml", "--json", "--prune"]);
        let due = terms.kills * began.elapsed().as_millis() as u32 / terms.lasts.as_millis() as u32;
        runs += 1;
        // The first is killed, whatever the machine has to do besides.
        if killed_runs + killed_servers < due.max(1) {
            tokio::time::sleep(Duration::from_millis(dice.below(1200))).await;
            if let Some(server) = server.as_mut().filter(|_| killed_runs > killed_servers) {
                tokio::task::block_in_place(|| server.restart());
                killed_servers += 1;
            } else {
                let mut started = started;
                started.kill().unwrap();
                started.wait().unwrap();
                killed_runs += 1;
                continue;
            }
        }
        let done = tokio::task::block_in_place(|| ended(started));
        // 1: a server was killed under it.
        assert!(matches!(done.code, 0 | 1), "{name}: {}{}", done.stdout, done.stderr);
        if !database.is_sqlite() {
            tokio::task::block_in_place(|| watermark.read(&database));
        }
    }
    over.store(true, Ordering::SeqCst);
    for writer in writers {
        writer.await.unwrap();
    }
    tokio::task::block_in_place(|| {
        project.run(&["ingest", "-p", "t.yaml", "--json", "--prune"]).expect_code(0);
        if !database.is_sqlite() {
            watermark.read(&database);
        }
        let table = table(&database);
        let prefix = format!("sql://{}/t/", database.name());
        let id = |uri: &str| uri.strip_prefix(&prefix).unwrap().to_owned();
        let hits = project.everything(&["-p", "t.yaml"]);
        let index: BTreeMap<String, String> =
            hits.iter().map(|hit| (id(hit["uri"].as_str().unwrap()), hit["text"].as_str().unwrap().to_owned())).collect();
        assert_eq!(index.len(), hits.len(), "{name}: a document twice");
        let missing: Vec<_> = table.keys().filter(|id| !index.contains_key(*id)).collect();
        let left: Vec<_> = index.keys().filter(|id| !table.contains_key(*id)).collect();
        let stale: Vec<_> = table.iter().filter(|(id, body)| index.get(*id).is_some_and(|text| text != *body)).collect();
        assert!(
            missing.is_empty() && left.is_empty() && stale.is_empty(),
            "{name}: missing {missing:?}, left over {left:?}, stale {stale:?}"
        );
        assert!(committed.load(Ordering::SeqCst) > 20, "{name}: the writers hardly wrote");
        let lost =
            if database.is_sqlite() { String::new() } else { format!("; a watermark lost {} of them", watermark.lost(&table)) };
        format!(
            "{name}: {} rows equal after {} transactions, {runs} runs, {killed_runs} of them and {killed_servers} servers killed{lost}",
            table.len(),
            committed.load(Ordering::SeqCst)
        )
    })
}

async fn torture_all(terms: Terms) {
    let (postgres, behind, mariadb) = tokio::task::block_in_place(|| (new_postgres(), new_postgres(), new_mariadb()));
    let bouncer = new_bouncer(behind.port, 12);
    let direct = Database::postgres_at(postgres.port);
    let Database::Postgres { name, .. } = Database::postgres_at(behind.port) else { unreachable!() };
    let bounced = Database::Bouncer { name, port: bouncer.port, behind: behind.port };
    let maria = Database::mariadb_at(mariadb.port);
    // Each on a task of its own: a run is waited for by a thread.
    let all = [
        tokio::spawn(torture("Postgres, by its stamps", direct, Some(postgres), true, terms)),
        tokio::spawn(torture("Postgres behind pgbouncer, by hashes", bounced, Some(behind), false, terms)),
        tokio::spawn(torture("MariaDB, by stamps of whole seconds", maria, Some(mariadb), true, terms)),
        tokio::spawn(torture("SQLite, by hashes", Database::sqlite(), None, false, terms)),
    ];
    for told in all {
        std::io::stdout().write_all(format!("{}\n", told.await.unwrap()).as_bytes()).unwrap();
    }
    drop(bouncer);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn a_table_and_its_index_are_equal() {
    torture_all(Terms { lasts: Duration::from_mins(1), transaction: Duration::from_secs(3), kills: 4 }).await;
}

/// `scripts/torture-sql` says how long.
#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
#[ignore = "takes as long as one likes"]
async fn a_table_and_its_index_are_equal_for_long() {
    let number = |name: &str, usual: u64| std::env::var(name).map_or(usual, |text| text.parse().unwrap());
    torture_all(Terms {
        lasts: Duration::from_secs(number("TORTURE_SECONDS", 600)),
        transaction: Duration::from_secs(number("TORTURE_TRANSACTION", 30)),
        kills: u32::try_from(number("TORTURE_KILLS", 20)).unwrap(),
    })
    .await;
}
