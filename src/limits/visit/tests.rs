//! Workers that share a quota, under a paused clock: what they use of it, and that they never use more.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test may fail loudly, and tells its figures"
)]

use std::collections::VecDeque;
use std::future::Future;
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use tokio::task::JoinSet;

use super::*;
use crate::error::{Failure, Origin};
use crate::limits::shared::{Change, SharedQuota};
use crate::limits::{LearnedLimits, Limiter, Limits};

/// A database with one row, whose transactions take a while each, and whose last moments are lost when it breaks down.
#[derive(Debug)]
struct Table {
    row: tokio::sync::Mutex<Row>,
    began: Instant,
    workers: AtomicU32,
    visits: AtomicU64,
    largest: AtomicU64,
    latency: Duration,
    /// Seconds by which its clock was set.
    set: AtomicI64,
}

#[derive(Debug, Clone, Default)]
struct Row {
    state: Option<Vec<u8>>,
    version: u64,
    run: u64,
    away_until: Option<Instant>,
    before: VecDeque<(Instant, Option<Vec<u8>>, u64)>,
}

impl Table {
    fn new(workers: u32) -> Arc<Self> {
        Arc::new(Self {
            row: tokio::sync::Mutex::default(),
            began: Instant::now(),
            workers: AtomicU32::new(workers),
            visits: AtomicU64::new(0),
            largest: AtomicU64::new(0),
            latency: Duration::from_millis(2),
            set: AtomicI64::new(0),
        })
    }

    /// Breaks down, losing what was saved in the last `lost`, and is away for a while.
    async fn crash(&self, lost: Duration, away: Duration) {
        let now = Instant::now();
        let mut row = self.row.lock().await;
        while let Some((at, state, version)) = row.before.back().cloned()
            && now - at < lost
        {
            (row.state, row.version) = (state, version);
            row.before.pop_back();
        }
        row.run += 1;
        row.away_until = Some(now + away);
    }

    fn away(row: &Row) -> Result<(), NotKept> {
        let away = row.away_until.is_some_and(|until| until > Instant::now());
        if away { Err(NotKept { source: Away.into(), perhaps: false }) } else { Ok(()) }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the database is away")]
struct Away;

impl Failure for Away {
    fn origin(&self) -> Origin {
        Origin::Ledger
    }

    fn code(&self) -> &'static str {
        "away"
    }

    fn is_transient(&self) -> bool {
        true
    }

    fn stops_all(&self) -> bool {
        true
    }
}

#[async_trait]
impl SharedQuota for Table {
    async fn change(&self, change: Change<'_>) -> Result<(), NotKept> {
        let mut row = self.row.lock().await;
        Self::away(&row)?;
        tokio::time::sleep(self.latency).await;
        let now = Instant::now();
        let set = self.set.load(Ordering::Relaxed) * 1_000_000;
        let micros = 1_800_000_000_000_000 + i64::try_from((now - self.began).as_micros()).unwrap() + set;
        let seen = Seen { state: row.state.as_deref(), version: row.version, run: row.run, micros };
        let Some(kept) = change(seen) else { return Ok(()) };
        tokio::time::sleep(self.latency).await;
        self.visits.fetch_add(1, Ordering::Relaxed);
        self.largest.fetch_max(kept.len() as u64, Ordering::Relaxed);
        let before = (now, row.state.take(), row.version);
        row.before.push_back(before);
        while row.before.len() > 1000 {
            row.before.pop_front();
        }
        row.state = Some(kept);
        row.version += 1;
        Ok(())
    }

    async fn run(&self) -> Result<u64, NotKept> {
        let row = self.row.lock().await;
        Self::away(&row)?;
        Ok(row.run)
    }

    fn workers(&self) -> u32 {
        self.workers.load(Ordering::Relaxed)
    }
}

/// What a provider has seen: when, from which worker, how many tokens.
type Seen60 = Arc<Mutex<Vec<(Instant, usize, u64)>>>;

/// A worker that always has some requests waiting, until it is dropped.
struct Worker {
    limiter: Limiter,
    _tasks: JoinSet<()>,
}

#[derive(Debug, Clone, Copy)]
struct Load {
    limits: Limits,
    /// Tokens that are reserved, and those that are then billed.
    tokens: (u64, u64),
    at_once: usize,
    latency: Duration,
}

impl Worker {
    fn start(table: &Arc<Table>, number: usize, load: Load, seen: &Seen60) -> Self {
        let limiter = Limiter::sharing(load.limits, LearnedLimits::default(), table.clone());
        let mut tasks = JoinSet::new();
        for _ in 0..load.at_once {
            let (limiter, seen) = (limiter.clone(), seen.clone());
            tasks.spawn(async move {
                loop {
                    let permit = limiter.admit(limiter.ticket(), load.tokens.0).await;
                    seen.lock().unwrap().push((Instant::now(), number, load.tokens.1));
                    tokio::time::sleep(load.latency).await;
                    drop(permit.in_flight);
                    permit.reservation.settle(load.tokens.1);
                }
            });
        }
        Self { limiter, _tasks: tasks }
    }
}

fn paused<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(future)
}

/// The most that was seen in any minute.
fn worst(seen: &[(Instant, usize, u64)], amount: impl Fn(u64) -> u64) -> u64 {
    let (mut sum, mut most, mut from) = (0, 0, 0);
    for (at, _, tokens) in seen {
        sum += amount(*tokens);
        while *at - seen[from].0 > Duration::from_mins(1) {
            sum -= amount(seen[from].2);
            from += 1;
        }
        most = most.max(sum);
    }
    most
}

const LOAD: Load = Load {
    limits: Limits { rpm: Some(1200), tpm: Some(600_000), concurrency: Some(512) },
    tokens: (600, 600),
    at_once: 4,
    latency: Duration::from_millis(900),
};

/// So many workers for some minutes, one of which is killed every 10 s, while the database breaks down each minute.
async fn torture(workers: usize, load: Load, minutes: u64, faults: bool) -> (Vec<(Instant, usize, u64)>, Arc<Table>, Duration) {
    let table = Table::new(workers as u32);
    let seen = Seen60::default();
    let start = Instant::now();
    let mut alive: VecDeque<Worker> = (0..workers).map(|number| Worker::start(&table, number, load, &seen)).collect();
    for tick in 1..=minutes * 6 {
        tokio::time::sleep_until(start + Duration::from_secs(tick * 10)).await;
        if faults {
            alive.pop_front();
            alive.push_back(Worker::start(&table, tick as usize % workers, load, &seen));
            if tick % 6 == 3 {
                table.crash(Duration::from_millis(600), Duration::from_millis(900)).await;
            }
        }
    }
    drop(alive);
    let seen = seen.lock().unwrap().clone();
    (seen, table, start.elapsed())
}

#[test]
fn any_number_of_workers_use_a_quota_and_never_more() {
    for (workers, faults) in [(1, false), (1, true), (2, true), (8, false), (8, true), (64, true)] {
        let load = Load { at_once: (64 / workers).max(3), ..LOAD };
        let (seen, table, took) = paused(torture(workers, load, 6, faults));
        let (rpm, tpm) = (LOAD.limits.rpm.unwrap().into(), LOAD.limits.tpm.unwrap().into());
        let used = seen.iter().map(|(.., tokens)| tokens).sum::<u64>() as f64 / (tpm as f64 * took.as_secs_f64() / 60.0);
        let visits = table.visits.load(Ordering::Relaxed) as f64 / took.as_secs_f64();
        let largest = table.largest.load(Ordering::Relaxed);
        println!("{workers} workers, faults {faults}: {used:.4} of the quota, {visits:.1} visits a second, {largest} bytes");
        assert!(worst(&seen, |_| 1) <= rpm && worst(&seen, |tokens| tokens) <= tpm, "{workers} {faults}");
        assert!(used >= 0.97, "{workers} {faults}: {used}");
        assert!(visits < 110.0, "{workers} {faults}: {visits} visits a second");
        assert!(largest < 4000, "{workers} {faults}: {largest} bytes");
    }
}

#[test]
fn a_clock_that_is_set_in_the_middle_of_it_lets_nothing_through() {
    for set in [45, -45, 3600, -3600, 2, -2] {
        let (seen, took) = paused(async {
            let table = Table::new(8);
            let seen = Seen60::default();
            let start = Instant::now();
            let load = Load { at_once: 8, ..LOAD };
            let all: Vec<Worker> = (0..8).map(|number| Worker::start(&table, number, load, &seen)).collect();
            tokio::time::sleep(Duration::from_secs(100)).await;
            table.set.store(set, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_secs(200)).await;
            drop(all);
            let seen = seen.lock().unwrap().clone();
            (seen, start.elapsed())
        });
        assert!(worst(&seen, |_| 1) <= 1200 && worst(&seen, |tokens| tokens) <= 600_000, "{set}");
        let used = seen.iter().map(|(.., tokens)| tokens).sum::<u64>() as f64 / (600_000.0 * took.as_secs_f64() / 60.0);
        println!("set by {set} s: {used:.3} of the quota");
        assert!(used > 0.75, "{set}: {used}");
    }
}

#[test]
fn no_worker_starves_and_greed_is_of_no_use() {
    let seen = paused(async {
        let table = Table::new(16);
        let seen = Seen60::default();
        let all: Vec<Worker> = (0..16)
            .map(|number| {
                // One wants twenty times as much.
                let at_once = if number == 0 { 40 } else { 2 };
                Worker::start(&table, number, Load { at_once, latency: Duration::from_millis(50), ..LOAD }, &seen)
            })
            .collect();
        tokio::time::sleep(Duration::from_mins(3)).await;
        drop(all);
        seen.lock().unwrap().clone()
    });
    let mut counts = [0_usize; 16];
    for (_, worker, _) in &seen {
        counts[*worker] += 1;
    }
    let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
    assert!(*most <= least * 13 / 10, "{counts:?}");
}

#[test]
fn tokens_that_were_reserved_in_vain_are_used_by_others() {
    let load = Load { tokens: (750, 600), at_once: 8, ..LOAD };
    let (seen, _, took) = paused(torture(8, load, 4, true));
    let used = seen.iter().map(|(.., tokens)| tokens).sum::<u64>() as f64 / (600_000.0 * took.as_secs_f64() / 60.0);
    assert!(worst(&seen, |tokens| tokens) <= 600_000);
    assert!(used > 0.9, "{used}");
}

#[test]
fn a_pause_that_one_hears_of_holds_for_all() {
    let (before, after) = paused(async {
        let table = Table::new(8);
        let seen = Seen60::default();
        let all: Vec<Worker> = (0..8).map(|number| Worker::start(&table, number, LOAD, &seen)).collect();
        tokio::time::sleep(Duration::from_secs(10)).await;
        let heard = Instant::now();
        all[3].limiter.pause_until(heard + Duration::from_secs(20));
        tokio::time::sleep(Duration::from_secs(30)).await;
        let seen = seen.lock().unwrap();
        // It takes a visit until they know.
        let during = seen.iter().filter(|(at, ..)| (100..19_900).contains(&(*at - heard).as_millis())).count();
        (during, seen.iter().filter(|(at, ..)| *at > heard + Duration::from_secs(20)).count())
    });
    assert_eq!(before, 0);
    assert!(after > 100);
}

#[test]
fn a_limit_that_nobody_tells_is_learned_by_all_together() {
    // A window of a minute that slides: 600 requests.
    let (refused, accepted, took) = paused(async {
        let table = Table::new(4);
        let log = Arc::new(Mutex::new((VecDeque::<Instant>::new(), 0_u64, 0_u64)));
        let mut tasks = JoinSet::new();
        let start = Instant::now();
        for _ in 0..4 {
            let limiter = Limiter::sharing(Limits::default(), LearnedLimits::default(), table.clone());
            for _ in 0..8 {
                let (limiter, log) = (limiter.clone(), log.clone());
                tasks.spawn(async move {
                    let mut ticket = limiter.ticket();
                    loop {
                        let permit = limiter.admit(ticket, 10).await;
                        let now = Instant::now();
                        let asked = {
                            let mut log = log.lock().unwrap();
                            while log.0.front().is_some_and(|at| now - *at >= Duration::from_mins(1)) {
                                log.0.pop_front();
                            }
                            if log.0.len() < 600 {
                                log.0.push_back(now);
                                log.1 += 1;
                                None
                            } else {
                                log.2 += 1;
                                Some(log.0[0] + Duration::from_mins(1) - now)
                            }
                        };
                        tokio::time::sleep(Duration::from_millis(300)).await;
                        if asked.is_some() {
                            limiter.throttled(permit.sent, asked);
                        } else {
                            limiter.answered(permit.sent, Some((Duration::from_millis(300), 10)));
                            ticket = limiter.ticket();
                        }
                    }
                });
            }
        }
        tokio::time::sleep(Duration::from_mins(10)).await;
        drop(tasks);
        let log = log.lock().unwrap();
        (log.2, log.1, start.elapsed())
    });
    let used = accepted as f64 / (600.0 * took.as_secs_f64() / 60.0);
    println!("learned by four: {used:.3} of the quota, {refused} refusals");
    assert!(used > 0.85 && refused <= 40, "{used} {refused}");
}

#[test]
fn a_limit_that_one_is_told_holds_for_all_at_once() {
    // A window of a minute that slides, and every answer tells it: 600 requests.
    let (refused, accepted, took) = paused(async {
        let table = Table::new(6);
        let log = Arc::new(Mutex::new((VecDeque::<Instant>::new(), 0_u64, 0_u64)));
        let mut tasks = JoinSet::new();
        let start = Instant::now();
        for _ in 0..6 {
            let limiter = Limiter::sharing(Limits::default(), LearnedLimits::default(), table.clone());
            for _ in 0..8 {
                let (limiter, log) = (limiter.clone(), log.clone());
                tasks.spawn(async move {
                    loop {
                        let permit = limiter.admit(limiter.ticket(), 10).await;
                        let now = Instant::now();
                        let remaining = {
                            let mut log = log.lock().unwrap();
                            while log.0.front().is_some_and(|at| now - *at >= Duration::from_mins(1)) {
                                log.0.pop_front();
                            }
                            let remaining = 600_usize.checked_sub(log.0.len() + 1);
                            if remaining.is_some() {
                                log.0.push_back(now);
                                log.1 += 1;
                            } else {
                                log.2 += 1;
                            }
                            remaining.unwrap_or(0)
                        };
                        tokio::time::sleep(Duration::from_millis(300)).await;
                        let headers = [("x-ratelimit-limit-requests", 600), ("x-ratelimit-remaining-requests", remaining)];
                        let headers = headers.map(|(name, value)| (name.parse().unwrap(), value.to_string().parse().unwrap()));
                        limiter.observe(&headers.into_iter().collect());
                        limiter.answered(permit.sent, Some((Duration::from_millis(300), 10)));
                    }
                });
            }
        }
        tokio::time::sleep(Duration::from_mins(5)).await;
        drop(tasks);
        let log = log.lock().unwrap();
        (log.2, log.1, start.elapsed())
    });
    let used = accepted as f64 / (600.0 * took.as_secs_f64() / 60.0);
    println!("told to six: {used:.3} of the quota, {refused} refusals");
    assert!(used > 0.95 && refused == 0, "{used} {refused}");
}

#[test]
fn a_database_that_stays_away_ends_the_waiting_and_nothing_before() {
    paused(async {
        let table = Table::new(1);
        let limiter = Limiter::sharing(LOAD.limits, LearnedLimits::default(), table.clone());
        let permit = limiter.admitted(limiter.ticket(), 1).await.unwrap();
        table.crash(Duration::ZERO, Duration::from_secs(60)).await;
        let start = Instant::now();
        limiter.admitted(limiter.ticket(), 1).await.unwrap();
        assert!((60..65).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
        table.crash(Duration::ZERO, Duration::from_hours(1)).await;
        let start = Instant::now();
        let error = limiter.admitted(limiter.ticket(), 1).await.unwrap_err();
        assert!((60..125).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
        assert!(error.to_string().contains("the database"), "{error}");
        drop(permit);
    });
}

#[test]
fn what_is_noted_is_told_at_the_end() {
    paused(async {
        let table = Table::new(1);
        let limiter = Limiter::sharing(LOAD.limits, LearnedLimits::default(), table.clone());
        let permit = limiter.admit(limiter.ticket(), 5000).await;
        permit.reservation.settle(9000);
        limiter.flush().await;
        drop(limiter);
        let other = Limiter::sharing(LOAD.limits, LearnedLimits::default(), table.clone());
        let _permit = other.admit(other.ticket(), 1).await;
        assert_eq!(other.allowed().used, (2, 9001));
        Limiter::new(LOAD.limits).flush().await;
    });
}

#[test]
fn who_gives_up_waiting_gives_back_what_was_taken() {
    paused(async {
        let table = Table::new(1);
        let limiter = Limiter::sharing(LOAD.limits, LearnedLimits::default(), table.clone());
        for wait in 0..60 {
            let admitted = limiter.admit(limiter.ticket(), 100);
            let _ = tokio::time::timeout(Duration::from_micros(wait * 300), async { drop(admitted.await.in_flight) }).await;
        }
        limiter.flush().await;
        let last = limiter.admit(limiter.ticket(), 100).await;
        drop(last.reservation);
        let allowed = limiter.allowed();
        assert_eq!(allowed.in_flight, 1);
        assert_eq!(allowed.used.0, limiter.stats().requests, "{allowed:?}");
        assert_eq!(allowed.used.1, limiter.stats().tokens, "{allowed:?}");
    });
}
