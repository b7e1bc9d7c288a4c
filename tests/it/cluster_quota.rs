//! Workers that share one quota in a real Postgres, before a provider that counts strictly: a minute that slides, and a bucket that
//! holds five seconds' worth. `scripts/cluster-quota` runs the long one.

#![allow(clippy::print_stdout, reason = "the long one is run for its figures")]

mod promotion;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ragstream::cluster::{Quotas, SCHEMA};
use ragstream::limits::{Change, LearnedLimits, Limiter, Limits, NotKept, Seen as Found, SharedLimits as _, SharedQuota};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::sql::servers::{Server, new_bouncer, new_postgres, psql};

/// The seconds' worth that a provider's bucket holds.
const BUCKET: f64 = 5.0;

/// One dimension of what a provider counts.
struct Count {
    limit: f64,
    level: f64,
    at: Instant,
    minute: VecDeque<(Instant, u64)>,
    sum: u64,
}

impl Count {
    fn new(limit: u32) -> Self {
        let limit = f64::from(limit);
        Self { limit, level: limit / 60.0 * BUCKET, at: Instant::now(), minute: VecDeque::new(), sum: 0 }
    }

    fn has_room(&mut self, amount: u64, now: Instant) -> bool {
        let rate = self.limit / 60.0;
        self.level = ((now - self.at).as_secs_f64().mul_add(rate, self.level)).min(rate * BUCKET);
        self.at = now;
        while let Some((_, old)) = self.minute.pop_front_if(|(at, _)| now - *at >= Duration::from_mins(1)) {
            self.sum -= old;
        }
        (self.sum + amount) as f64 <= self.limit && amount as f64 <= self.level
    }

    fn take(&mut self, amount: u64, now: Instant) {
        self.level -= amount as f64;
        self.minute.push_back((now, amount));
        self.sum += amount;
    }
}

/// What a provider has seen.
#[derive(Debug, Default)]
struct Seen {
    requests: AtomicU64,
    tokens: AtomicU64,
    refused: AtomicU64,
    /// The last that was accepted, and the longest time between two, in milliseconds.
    last: Mutex<Option<Instant>>,
    silence: AtomicU64,
}

/// A provider: four bytes are a request of so many tokens, and one is its answer.
struct Provider {
    address: SocketAddr,
    seen: Arc<Seen>,
    _serves: JoinSet<()>,
}

impl Provider {
    async fn start(limits: Limits, latency: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Seen::default());
        let counts = Arc::new(Mutex::new((Count::new(limits.rpm.unwrap()), Count::new(limits.tpm.unwrap()))));
        let mut serves = JoinSet::new();
        let told = seen.clone();
        serves.spawn(async move {
            let mut clients = JoinSet::new();
            while let Ok((mut client, _)) = listener.accept().await {
                let (seen, counts) = (told.clone(), counts.clone());
                clients.spawn(async move {
                    while let Ok(tokens) = client.read_u32().await {
                        let (now, tokens) = (Instant::now(), u64::from(tokens));
                        let accepted = {
                            let mut counts = counts.lock().unwrap();
                            let (requests, of_tokens) = &mut *counts;
                            // Both are asked: each refills.
                            let accepted = requests.has_room(1, now) & of_tokens.has_room(tokens, now);
                            if accepted {
                                requests.take(1, now);
                                of_tokens.take(tokens, now);
                            }
                            accepted
                        };
                        if accepted {
                            seen.requests.fetch_add(1, Ordering::Relaxed);
                            seen.tokens.fetch_add(tokens, Ordering::Relaxed);
                            let silence =
                                seen.last.lock().unwrap().replace(now).map_or(0, |last| (now - last).as_millis() as u64);
                            seen.silence.fetch_max(silence, Ordering::Relaxed);
                        } else {
                            seen.refused.fetch_add(1, Ordering::Relaxed);
                        }
                        tokio::time::sleep(latency).await;
                        if client.write_u8(u8::from(accepted)).await.is_err() {
                            break;
                        }
                    }
                });
            }
        });
        Self { address, seen, _serves: serves }
    }
}

/// What visits took, of all workers that are tasks.
#[derive(Debug, Default)]
struct Visits {
    done: AtomicU64,
    failed: AtomicU64,
    millis: AtomicU64,
}

/// A quota whose visits are counted.
#[derive(Debug)]
struct Counted(Arc<dyn SharedQuota>, Arc<Visits>);

#[async_trait::async_trait]
impl SharedQuota for Counted {
    async fn change(&self, change: Change<'_>) -> std::result::Result<(), NotKept> {
        let began = Instant::now();
        let kept = self.0.change(change).await;
        let counts = if kept.is_ok() { &self.1.done } else { &self.1.failed };
        counts.fetch_add(1, Ordering::Relaxed);
        self.1.millis.fetch_add(began.elapsed().as_millis() as u64, Ordering::Relaxed);
        kept
    }

    async fn run(&self) -> std::result::Result<u64, NotKept> {
        self.0.run().await
    }

    fn workers(&self) -> u32 {
        self.0.workers()
    }
}

/// What a worker does.
#[derive(Debug, Clone)]
struct Work {
    visits: Arc<Visits>,
    database: String,
    provider: SocketAddr,
    limits: Limits,
    tokens: u32,
    at_once: usize,
}

impl Work {
    fn limiter(&self, workers: Arc<AtomicU32>) -> Limiter {
        let quotas = Quotas::new(&self.database, Path::new("/"), workers).unwrap();
        let quota = Counted(quotas.quota("api", "k"), self.visits.clone());
        Limiter::sharing(self.limits, LearnedLimits::default(), Arc::new(quota))
    }

    /// Sends as much as may be, until it is dropped.
    async fn go(self, workers: Arc<AtomicU32>) {
        let limiter = self.limiter(workers);
        let mut all = JoinSet::new();
        for _ in 0..self.at_once {
            let (limiter, work) = (limiter.clone(), self.clone());
            all.spawn(async move {
                let mut provider = TcpStream::connect(work.provider).await.unwrap();
                provider.set_nodelay(true).unwrap();
                loop {
                    // A tenth more than it will be.
                    let permit = limiter.admitted(limiter.ticket(), u64::from(work.tokens) * 11 / 10).await.unwrap();
                    // At the end of a test it may be gone first.
                    let Ok(()) = provider.write_u32(work.tokens).await else { return };
                    let Ok(answer) = provider.read_u8().await else { return };
                    let accepted = answer == 1;
                    drop(permit.in_flight);
                    if accepted {
                        permit.reservation.settle(work.tokens.into());
                    } else {
                        limiter.throttled(permit.sent, None);
                    }
                }
            });
        }
        while let Some(ended) = all.join_next().await {
            ended.unwrap();
        }
    }
}

/// A worker as a task, or as a process of its own.
enum Worker {
    /// It ends when this is dropped.
    Task {
        _task: JoinSet<()>,
    },
    Process(Child),
}

impl Worker {
    fn start(work: &Work, workers: &Arc<AtomicU32>, process: bool) -> Self {
        if process {
            let one = std::env::current_exe().unwrap();
            let mut command = Command::new(one);
            command.args(["--exact", "cluster_quota::one_worker", "--ignored", "--nocapture"]);
            command.env("QUOTA_DATABASE", &work.database).env("QUOTA_PROVIDER", work.provider.to_string());
            let terms = [
                work.limits.rpm.unwrap(),
                work.limits.tpm.unwrap(),
                work.tokens,
                work.at_once as u32,
                workers.load(Ordering::Relaxed),
            ];
            command.env("QUOTA_TERMS", terms.map(|term| term.to_string()).join(","));
            return Self::Process(command.stdout(Stdio::null()).spawn().unwrap());
        }
        let mut task = JoinSet::new();
        task.spawn(work.clone().go(workers.clone()));
        Self::Task { _task: task }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if let Self::Process(child) = self {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

/// The other side of [`Worker::Process`].
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a process of the long one"]
async fn one_worker() {
    let variable = |name: &str| std::env::var(name).unwrap();
    let terms: Vec<u32> = variable("QUOTA_TERMS").split(',').map(|term| term.parse().unwrap()).collect();
    let work = Work {
        visits: Arc::default(),
        database: variable("QUOTA_DATABASE"),
        provider: variable("QUOTA_PROVIDER").parse().unwrap(),
        limits: Limits { rpm: Some(terms[0]), tpm: Some(terms[1]), concurrency: Some(1024) },
        tokens: terms[2],
        at_once: terms[3] as usize,
    };
    work.go(Arc::new(AtomicU32::new(terms[4]))).await;
}

/// How long and how hard.
struct Terms {
    workers: u32,
    processes: bool,
    lasts: Duration,
    kills: Option<Duration>,
    restarts: Option<Duration>,
    limits: Limits,
    tokens: u32,
}

/// What came of it.
#[derive(Debug)]
struct Result {
    used: f64,
    refused: u64,
    visits: f64,
    bytes: usize,
    /// Seconds in which nothing was sent, the longest.
    silence: f64,
}

fn database() -> (Server, String) {
    let server = new_postgres();
    psql(server.port, "postgres", SCHEMA);
    let url = format!("postgres://postgres@127.0.0.1:{}/postgres?sslmode=disable", server.port);
    (server, url)
}

async fn torture(terms: Terms) -> Result {
    let (mut server, url) = tokio::task::spawn_blocking(database).await.unwrap();
    let provider = Provider::start(terms.limits, Duration::from_millis(700)).await;
    let (rpm, tpm) = (terms.limits.rpm.unwrap(), terms.limits.tpm.unwrap());
    // As many as it takes, twice over, and a second's worth of a database that is slow.
    let pace = (f64::from(rpm) / 60.0).min(f64::from(tpm) / 60.0 / f64::from(terms.tokens));
    let at_once = (pace * 3.0 / f64::from(terms.workers)).ceil().max(2.0) as usize;
    let work = Work {
        visits: Arc::default(),
        database: url,
        provider: provider.address,
        limits: terms.limits,
        tokens: terms.tokens,
        at_once,
    };
    let workers = Arc::new(AtomicU32::new(terms.workers));
    let mut all: VecDeque<Worker> = (0..terms.workers).map(|_| Worker::start(&work, &workers, terms.processes)).collect();
    let tokens = |provider: &Provider| provider.seen.tokens.load(Ordering::Relaxed);
    // From when the first has got through.
    while tokens(&provider) == 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let (began, first) = (Instant::now(), tokens(&provider));
    let (mut killed, mut restarted) = (began, began);
    while began.elapsed() < terms.lasts {
        tokio::time::sleep(Duration::from_millis(100)).await;
        if terms.kills.is_some_and(|every| killed.elapsed() >= every) {
            killed = Instant::now();
            all.pop_front();
            all.push_back(Worker::start(&work, &workers, terms.processes));
        }
        if terms.restarts.is_some_and(|every| restarted.elapsed() >= every) {
            restarted = Instant::now();
            server = tokio::task::spawn_blocking(move || {
                server.restart();
                server
            })
            .await
            .unwrap();
        }
    }
    let took = began.elapsed().as_secs_f64();
    println!("{:?} in {took:.0} s", work.visits);
    let used = (tokens(&provider) - first) as f64 / (f64::from(tpm) / 60.0 * took);
    drop(all);
    let row = psql(server.port, "postgres", "SELECT version, octet_length(state) FROM ragstream.quota");
    let (version, bytes) = row.trim().split_once('|').unwrap();
    let visits = version.parse::<f64>().unwrap() / took;
    Result {
        used,
        refused: provider.seen.refused.load(Ordering::Relaxed),
        visits,
        bytes: bytes.parse().unwrap(),
        silence: provider.seen.silence.load(Ordering::Relaxed) as f64 / 1000.0,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn workers_that_die_and_a_server_that_does_cost_no_refusal() {
    let result = torture(Terms {
        workers: 8,
        processes: false,
        lasts: Duration::from_secs(24),
        kills: Some(Duration::from_secs(5)),
        restarts: Some(Duration::from_secs(11)),
        limits: Limits { rpm: Some(1800), tpm: Some(600_000), concurrency: Some(1024) },
        tokens: 500,
    })
    .await;
    println!("{result:?}");
    assert_eq!(result.refused, 0, "{result:?}");
    // Too short for more: what the server's ends cost is made up for in the minute that follows.
    assert!(result.used > 0.3, "{result:?}");
    assert!(result.bytes < 4000 && result.visits < 200.0, "{result:?}");
}

/// Whatever one worker was allowed is known to those who come after it, also when the server has lost it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_the_server_lost_is_written_again() {
    let (mut server, url) = tokio::task::spawn_blocking(database).await.unwrap();
    let limits = Limits { rpm: Some(6000), tpm: None, concurrency: Some(1024) };
    let provider = "127.0.0.1:1".parse().unwrap();
    let work = Work { visits: Arc::default(), database: url, provider, limits, tokens: 0, at_once: 0 };
    let one = work.limiter(Arc::new(AtomicU32::new(2)));
    let mut lost = false;
    let mut sent = 0;
    for _ in 0..8 {
        let port = server.port;
        for _ in 0..20 {
            drop(one.admitted(one.ticket(), 1).await.unwrap());
            sent += 1;
        }
        let version = move || psql(port, "postgres", "SELECT version FROM ragstream.quota").trim().parse::<u64>().unwrap();
        (server, lost) = tokio::task::spawn_blocking(move || {
            let before = version();
            server.restart();
            loop {
                let answered = std::panic::catch_unwind(version);
                if let Ok(after) = answered {
                    return (server, after < before);
                }
                std::thread::sleep(Duration::from_millis(50));
            }
        })
        .await
        .unwrap();
        let other = work.limiter(Arc::new(AtomicU32::new(2)));
        drop(other.admitted(other.ticket(), 1).await.unwrap());
        sent += 1;
        assert!(other.allowed().used.0 >= sent, "{} of {sent}, lost: {lost}", other.allowed().used.0);
        if lost {
            return;
        }
    }
    assert!(lost, "the server lost nothing in eight ends: it was not tested");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn who_stops_with_the_lock_in_its_hand_holds_nobody_up() {
    let (_server, url) = tokio::task::spawn_blocking(database).await.unwrap();
    let quota = |workers: u32| -> Arc<dyn SharedQuota> {
        Quotas::new(&url, Path::new("/"), Arc::new(AtomicU32::new(workers))).unwrap().quota("api", "k")
    };
    let (stopped, other) = (quota(1), quota(1));
    // The row is made first.
    let write = async |quota: &Arc<dyn SharedQuota>, byte: u8, sleeps: Duration| {
        let mut change = |_: Found<'_>| {
            std::thread::sleep(sleeps);
            Some(vec![byte])
        };
        quota.change(&mut change).await
    };
    let _ = write(&other, 1, Duration::ZERO).await;
    write(&other, 1, Duration::ZERO).await.unwrap();
    let stops = tokio::spawn(async move { write(&stopped, 2, Duration::from_secs(6)).await });
    tokio::time::sleep(Duration::from_millis(500)).await;
    let began = Instant::now();
    write(&other, 3, Duration::ZERO).await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert!(stops.await.unwrap().is_err(), "its time is over");
    let mut kept = Vec::new();
    let mut look = |seen: Found<'_>| {
        kept = seen.state.unwrap().to_vec();
        None
    };
    other.change(&mut look).await.unwrap();
    assert_eq!(kept, [3]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn behind_a_pooler_that_has_one_connection_for_all() {
    let (server, _) = tokio::task::spawn_blocking(database).await.unwrap();
    let port = server.port;
    let bouncer = tokio::task::spawn_blocking(move || new_bouncer(port, 1)).await.unwrap();
    let url = format!("postgres://postgres@127.0.0.1:{}/postgres?sslmode=disable", bouncer.port);
    let limits = Limits { rpm: Some(1200), tpm: Some(600_000), concurrency: Some(1024) };
    let provider = Provider::start(limits, Duration::from_millis(100)).await;
    let work = Work { visits: Arc::default(), database: url, provider: provider.address, limits, tokens: 100, at_once: 4 };
    let workers = Arc::new(AtomicU32::new(6));
    let all: Vec<Worker> = (0..6).map(|_| Worker::start(&work, &workers, false)).collect();
    tokio::time::sleep(Duration::from_secs(8)).await;
    drop(all);
    assert_eq!(provider.seen.refused.load(Ordering::Relaxed), 0);
    let requests = provider.seen.requests.load(Ordering::Relaxed);
    assert!(requests > 90, "{requests} of 160");
}

/// The long one: `QUOTA=workers,minutes,rpm,tpm,tokens[,processes]`, one worker killed every 10 s, the server each minute.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "minutes: scripts/cluster-quota runs it"]
async fn long() {
    let terms = std::env::var("QUOTA").unwrap_or_else(|_| "8,3,3000,1000000,500".into());
    let terms: Vec<u32> = terms.split(',').map(|term| term.parse().unwrap()).collect();
    let result = torture(Terms {
        workers: terms[0],
        processes: terms.get(5).is_some_and(|processes| *processes > 0),
        lasts: Duration::from_mins(terms[1].into()),
        kills: Some(Duration::from_secs(10)),
        restarts: Some(Duration::from_mins(1)),
        limits: Limits { rpm: Some(terms[2]), tpm: Some(terms[3]), concurrency: Some(1024) },
        tokens: terms[4],
    })
    .await;
    println!("{result:?}");
    println!(
        "{:>3} workers: {:.1} % of the quota, {} refused, {:.0} visits a second, a row of {} bytes, {:.1} s of silence",
        terms[0],
        result.used * 100.0,
        result.refused,
        result.visits,
        result.bytes,
        result.silence
    );
    assert!(result.refused == 0 && result.used >= 0.97, "{result:?}");
}
