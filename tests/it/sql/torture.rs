//! Whatever the writers did: a table and its index are equal.
//!
//! Eight writers insert, change, remove and renumber rows, in transactions that last up to a while and may be taken back, while
//! `ingest` runs again and again and is killed, as is the server, each by a schedule of its own. (`SQLite` has no server: there the
//! program that writes is killed.) At the end one more run makes the index equal to the table, as an independent client reads it.
//! Beside it the method of the watermark (`updated > the greatest one so far`) reads the same tape.
//!
//! `scripts/torture-sql` runs it for as long as one likes.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::servers::{Database, Server, new_bouncer, new_mariadb, new_postgres};
use super::writers::{Dice, Process, Tape, start};
use crate::project::{Project, ended};

/// How hard it is.
#[derive(Clone, Copy)]
struct Terms {
    /// How long the writers write.
    lasts: Duration,
    /// How long one of their transactions may last.
    transaction: Duration,
    /// How often the server is killed, and how often `ingest`.
    kills: u32,
}

impl Terms {
    /// When something is killed for the n-th time: `kills` times in all, the last one well before the end.
    fn due(self, n: u32) -> Duration {
        self.lasts * (n + 1) / (self.kills + 2)
    }
}

/// Who writes, and what is killed meanwhile beside `ingest`.
enum Victim {
    /// The servers, the database itself first, and the tasks that write.
    Servers(Vec<Server>, JoinSet<()>),
    /// The process that writes.
    Writers(Process),
}

impl Victim {
    /// Kills it, for the n-th time, and lets it start again.
    fn kill(&mut self, n: u32, again: impl Fn(u64) -> Process) {
        match self {
            // What stands before the database falls now and then, too.
            Self::Servers(servers, _) => {
                servers
                    .iter_mut()
                    .enumerate()
                    .filter(|(at, _)| *at == 0 || n % 4 == 1)
                    .for_each(|(_, server)| server.restart());
            }
            Self::Writers(process) => {
                process.kill();
                *process = again(u64::from(n));
            }
        }
    }

    /// The end of all writing; the servers live on.
    async fn ended(self) -> Vec<Server> {
        match self {
            Self::Servers(servers, writers) => {
                writers.join_all().await;
                servers
            }
            Self::Writers(mut process) => {
                tokio::task::block_in_place(|| process.kill());
                Vec::new()
            }
        }
    }
}

/// A torture while it lasts.
struct Torture {
    name: &'static str,
    database: Database,
    terms: Terms,
    project: Project,
    tape: Arc<Tape>,
    over: Arc<AtomicBool>,
    /// How often the server was killed, or the process that writes.
    killed: AtomicU32,
}

impl Torture {
    fn new(name: &'static str, database: Database, updated: bool, terms: Terms) -> Arc<Self> {
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
        let source = format!("{{ url: \"${{TABLE_URL}}\", table: t, key: id, text: body, page: 40{updated} }}");
        project.write("t.yaml", format!("name: t\nsources:\n  - sql: {source}\n"));
        let (tape, over, killed) = (Arc::default(), Arc::default(), AtomicU32::new(0));
        Arc::new(Self { name, database, terms, project, tape, over, killed })
    }

    /// Writes and kills until it is over; the servers.
    async fn write(self: Arc<Self>, servers: Vec<Server>) -> Vec<Server> {
        let Self { database, terms, tape, over, .. } = &*self;
        let process = |seed| Process::start(database, seed * 1000, terms.transaction, tape);
        let mut victim = if database.is_sqlite() {
            Victim::Writers(process(77))
        } else {
            Victim::Servers(servers, start(database, terms.transaction, over, tape))
        };
        let (began, mut dice, mut killed) = (Instant::now(), Dice(9), 0);
        while !over.load(Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_millis(20 + dice.below(100))).await;
            if killed < terms.kills && began.elapsed() >= terms.due(killed) {
                tokio::task::block_in_place(|| victim.kill(killed, process));
                killed += 1;
                self.killed.store(killed, Ordering::SeqCst);
            }
        }
        victim.ended().await
    }

    /// Runs `ingest` again and again, and kills it by the schedule: how often it ran and how often it was killed.
    async fn ingest(&self, watermark: &mut Watermark) -> (u32, u32) {
        let Self { terms, name, .. } = self;
        let (began, mut dice) = (Instant::now(), Dice(4));
        let (mut runs, mut killed, mut lasts) = (0, 0, Duration::from_secs(1));
        while began.elapsed() < terms.lasts || killed < terms.kills || self.killed.load(Ordering::SeqCst) < terms.kills {
            assert!(began.elapsed() < terms.lasts * 4, "{name}: {killed} runs and {:?} servers killed", self.killed);
            let (mut started, at) = (self.project.start(&RUN), Instant::now());
            runs += 1;
            if killed < terms.kills && began.elapsed() >= terms.due(killed) {
                tokio::time::sleep(Duration::from_millis(dice.below(lasts.as_millis() as u64 + 1))).await;
                if started.try_wait().unwrap().is_none() {
                    started.kill().unwrap();
                    started.wait().unwrap();
                    killed += 1;
                    continue;
                }
            }
            let done = tokio::task::block_in_place(|| ended(started));
            lasts = at.elapsed();
            // 1: a server was killed under it.
            assert!(matches!(done.code, 0 | 1), "{name}: {}{}", done.stdout, done.stderr);
            tokio::task::block_in_place(|| watermark.read(&self.database));
        }
        (runs, killed)
    }

    /// Whether the index is the table.
    fn compare(&self) -> BTreeMap<String, String> {
        let Self { name, database, project, .. } = self;
        project.run(&RUN).expect_code(0);
        let table = table(database);
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
        table
    }
}

const RUN: [&str; 5] = ["ingest", "-p", "t.yaml", "--json", "--prune"];

/// Tortures a database; what happened, in a line.
async fn torture(name: &'static str, database: Database, servers: Vec<Server>, updated: bool, terms: Terms) -> String {
    let (torture, began) = (Torture::new(name, database, updated, terms), Instant::now());
    let writing = tokio::spawn(Arc::clone(&torture).write(servers));
    let mut watermark = Watermark::default();
    let (runs, killed) = torture.ingest(&mut watermark).await;
    torture.over.store(true, Ordering::SeqCst);
    let servers = writing.await.unwrap();
    let lasted = began.elapsed().as_secs();
    tokio::task::block_in_place(|| {
        let table = torture.compare();
        watermark.read(&torture.database);
        drop(servers);
        let count = |number: &AtomicU64| number.load(Ordering::SeqCst);
        let Tape { transactions, writes, longest } = &*torture.tape;
        assert!(count(transactions) > 20, "{name}: the writers hardly wrote");
        format!(
            "{name}: {} rows equal after {lasted} s, {} writes in {} transactions, the longest of {:.1} s; {runs} runs, {killed} of them and \
             {} times {} killed; a watermark lost {} of the rows",
            table.len(),
            count(writes),
            count(transactions),
            count(longest) as f64 / 1000.0,
            torture.killed.load(Ordering::SeqCst),
            if torture.database.is_sqlite() { "the writers'" } else { "the server's" }.to_owned() + " process",
            watermark.lost(&table),
        )
    })
}

/// By the database's own client; of `SQLite` by Python's. `None`: a server that was killed does not answer yet.
fn told(database: &Database, sql: &str) -> Option<String> {
    let Database::Sqlite { folder } = database else { return database.try_run(sql) };
    let code = "import sqlite3,sys\nfor row in sqlite3.connect(sys.argv[1]).execute(sys.argv[2]): print(*row, sep='|')";
    let done = Command::new("python3").args(["-c", code]).arg(folder.path().join("test.db")).arg(sql).output().unwrap();
    assert!(done.status.success(), "{done:?}");
    Some(String::from_utf8(done.stdout).unwrap())
}

/// The table: (id, body).
fn table(database: &Database) -> BTreeMap<String, String> {
    let sql = match database {
        Database::MariaDb { .. } => "SELECT concat(id, '|', body) FROM t",
        _ => "SELECT id, body FROM t",
    };
    let told = told(database, sql).unwrap();
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
        let (columns, least) = match database {
            Database::MariaDb { .. } => ("concat(id, '|', body, '|', changed)", "1970-01-02"),
            Database::Sqlite { .. } => ("id, body, changed", ""),
            _ => ("id, body, changed", "-infinity"),
        };
        let greatest = if self.greatest.is_empty() { least } else { &self.greatest };
        let sql = format!("SELECT {columns} FROM t WHERE changed > '{greatest}'");
        // A server that was killed may not answer yet: the next time.
        for line in told(database, &sql).unwrap_or_default().lines() {
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

async fn torture_all(terms: Terms) {
    let (postgres, behind, mariadb) = tokio::task::block_in_place(|| (new_postgres(), new_postgres(), new_mariadb()));
    let bouncer = new_bouncer(behind.port, 12);
    let direct = Database::postgres_at(postgres.port);
    let Database::Postgres { name, .. } = Database::postgres_at(behind.port) else { unreachable!() };
    let bounced = Database::Bouncer { name, port: bouncer.port, behind: behind.port };
    let maria = Database::mariadb_at(mariadb.port);
    // Each on tasks of its own: a run is waited for by a thread, and a server, too.
    let mut all = JoinSet::new();
    all.spawn(torture("Postgres, by its stamps", direct, vec![postgres], true, terms));
    all.spawn(torture("Postgres behind pgbouncer, by hashes", bounced, vec![behind, bouncer], false, terms));
    all.spawn(torture("MariaDB, by stamps of whole seconds", maria, vec![mariadb], true, terms));
    all.spawn(torture("SQLite, by hashes", Database::sqlite(), Vec::new(), false, terms));
    while let Some(told) = all.join_next().await {
        std::io::stdout().write_all(format!("{}\n", told.unwrap()).as_bytes()).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 16)]
async fn a_table_and_its_index_are_equal() {
    torture_all(Terms { lasts: Duration::from_secs(40), transaction: Duration::from_secs(3), kills: 2 }).await;
}

/// `scripts/torture-sql` says how long.
#[tokio::test(flavor = "multi_thread", worker_threads = 16)]
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
