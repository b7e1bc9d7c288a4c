//! Writers that change a table as hard as they can, and what they did.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::servers::Database;

const WRITERS: u64 = 8;
/// Keys that the writers fight for.
const KEYS: u64 = 300;
/// What a process that writes is told.
const FILE: &str = "TORTURE_FILE";
const SEED: &str = "TORTURE_SEED";
const LONGEST: &str = "TORTURE_LONGEST";

/// A small seeded sequence (splitmix64).
pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

/// What was committed.
#[derive(Default)]
pub struct Tape {
    pub transactions: AtomicU64,
    pub writes: AtomicU64,
    /// Of the longest transaction, in milliseconds.
    pub longest: AtomicU64,
}

impl Tape {
    fn add(&self, writes: u64, milliseconds: u64) {
        self.transactions.fetch_add(1, Ordering::SeqCst);
        self.writes.fetch_add(writes, Ordering::SeqCst);
        self.longest.fetch_max(milliseconds, Ordering::SeqCst);
    }
}

/// Where writers write to.
#[derive(Clone)]
enum Target {
    Postgres(String),
    MariaDb(String),
    Sqlite(PathBuf),
}

impl Target {
    /// How a transaction begins, and what stamps a row.
    fn words(&self) -> (&'static str, &'static str) {
        match self {
            Self::Sqlite(_) => ("BEGIN IMMEDIATE", "strftime('%Y-%m-%d %H:%M:%f', 'now')"),
            Self::MariaDb(_) => ("START TRANSACTION", "now()"),
            Self::Postgres(_) => ("BEGIN", "now()"),
        }
    }
}

/// A connection of a writer. Each is the driver that the source uses, too; what is compared at the end is not read by it.
enum Writer {
    Postgres(tokio_postgres::Client),
    MariaDb(Box<mysql_async::Conn>),
    Sqlite(rusqlite::Connection),
}

impl Writer {
    async fn connect(target: &Target) -> Option<Self> {
        match target {
            Target::Postgres(url) => {
                let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.ok()?;
                tokio::spawn(connection);
                Some(Self::Postgres(client))
            }
            Target::MariaDb(url) => {
                let options = mysql_async::Opts::from_url(url).ok()?;
                Some(Self::MariaDb(Box::new(mysql_async::Conn::new(options).await.ok()?)))
            }
            Target::Sqlite(path) => {
                let file = rusqlite::Connection::open(path).ok()?;
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

/// Starts the writers of a server's database. They end once it is over.
pub fn start(database: &Database, longest: Duration, over: &Arc<AtomicBool>, tape: &Arc<Tape>) -> JoinSet<()> {
    let target = match database {
        Database::Postgres { .. } | Database::Bouncer { .. } => Target::Postgres(database.url()),
        Database::MariaDb { .. } => Target::MariaDb(database.url()),
        Database::Sqlite { .. } => unreachable!("a process of its own writes to it"),
    };
    let mut all = JoinSet::new();
    for n in 0..WRITERS {
        let (over, tape) = (Arc::clone(over), Arc::clone(tape));
        all.spawn(write(target.clone(), 77 + n, longest, over, move |writes, took| tape.add(writes, took)));
    }
    all
}

/// One of the writers, until it is over. Each transaction that it committed is noted: its writes, and its milliseconds.
async fn write(target: Target, seed: u64, longest: Duration, over: Arc<AtomicBool>, note: impl Fn(u64, u64)) {
    let (mut dice, (begin, stamp)) = (Dice(seed), target.words());
    let most = longest.as_millis() as u64;
    // One at a time writes to SQLite: the others have to have their turns.
    let rare = if matches!(target, Target::Sqlite(_)) { 4 * WRITERS } else { 4 };
    while !over.load(Ordering::SeqCst) {
        let Some(mut writer) = Writer::connect(&target).await else {
            tokio::time::sleep(Duration::from_millis(200)).await;
            continue;
        };
        while !over.load(Ordering::SeqCst) {
            // Many short ones, some long ones.
            let lasts = if dice.below(rare) == 0 { dice.below(most) } else { dice.below(most / 20 + 1) };
            let steps = 1 + dice.below(4);
            let mut good = writer.run(begin).await;
            let began = Instant::now();
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
                note(steps, began.elapsed().as_millis() as u64);
            }
            tokio::time::sleep(Duration::from_millis(dice.below(30))).await;
        }
    }
}

/// The writers of a file, in a process of their own, which can be killed.
pub struct Process {
    child: Child,
    reading: Option<JoinHandle<()>>,
}

impl Process {
    pub fn start(database: &Database, seed: u64, longest: Duration, tape: &Arc<Tape>) -> Self {
        let Database::Sqlite { folder } = database else { unreachable!("servers are written to by tasks") };
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "sql::writers::child", "--ignored", "--nocapture", "--test-threads=1"])
            .env(FILE, folder.path().join("test.db"))
            .env(SEED, seed.to_string())
            .env(LONGEST, longest.as_millis().to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let tape = Arc::clone(tape);
        let reading = std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let numbers: Vec<u64> = line.split(' ').filter_map(|word| word.parse().ok()).collect();
                if let (true, [writes, took]) = (line.starts_with("committed "), numbers.as_slice()) {
                    tape.add(*writes, *took);
                }
            }
        });
        Self { child, reading: Some(reading) }
    }

    /// Ends it at once, in the middle of whatever it writes.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        if let Some(reading) = self.reading.take() {
            reading.join().unwrap();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.reading.is_some() {
            self.kill();
        }
    }
}

/// A process that writes to a file until it is killed, or whoever started it is.
#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
#[ignore = "a process that is killed by the test of the torture"]
async fn child() {
    let told = |name: &str| std::env::var(name).unwrap();
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    let (target, seed) = (Target::Sqlite(told(FILE).into()), told(SEED).parse::<u64>().unwrap());
    let longest = Duration::from_millis(told(LONGEST).parse().unwrap());
    let mut all = JoinSet::new();
    for n in 0..WRITERS {
        let over = Arc::new(AtomicBool::new(false));
        all.spawn(write(target.clone(), seed + n, longest, over, |writes, took| {
            std::io::stdout().write_all(format!("committed {writes} {took}\n").as_bytes()).unwrap();
        }));
    }
    all.join_all().await;
}
