//! The limiter against models of servers, under a paused clock: what it uses of a quota, and how often it is refused. Every
//! run follows from its seed.

#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use std::collections::VecDeque;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use std::sync::Mutex;

use super::*;

/// How a server counts.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Counts {
    /// A bucket that holds so many seconds' worth.
    Bucket(f64),
    /// Windows of a minute, the first of which began so many seconds before the first request.
    Fixed(u64),
    /// The last minute.
    Sliding,
}

/// What a server says of its limits.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Says {
    Headers,
    RetryAfter,
    Nothing,
}

/// One dimension of a server's quota.
#[derive(Debug)]
struct Server {
    counts: Counts,
    limit: f64,
    start: Instant,
    level: f64,
    at: Instant,
    log: VecDeque<(Instant, f64)>,
    accepted: f64,
    /// Of that, in the window that had begun before.
    first_window: f64,
}

impl Server {
    fn new(counts: Counts, limit: u32, start: Instant) -> Self {
        let limit = f64::from(limit);
        let mut server =
            Self { counts, limit, start, level: 0.0, at: start, log: VecDeque::new(), accepted: 0.0, first_window: 0.0 };
        server.level = server.capacity();
        server
    }

    fn capacity(&self) -> f64 {
        if let Counts::Bucket(seconds) = self.counts { (self.limit / 60.0 * seconds).max(1.0) } else { 0.0 }
    }

    fn window(&self, now: Instant) -> f64 {
        match self.counts {
            Counts::Fixed(before) => ((now - self.start).as_secs_f64() + before as f64).rem_euclid(60.0),
            _ => 60.0,
        }
    }

    /// `None`: there is room. Else when to come back.
    fn ask(&mut self, amount: f64, now: Instant) -> Option<Duration> {
        if matches!(self.counts, Counts::Bucket(_)) {
            let rate = self.limit / 60.0;
            self.level = (self.level + (now - self.at).as_secs_f64() * rate).min(self.capacity().max(amount));
            self.at = now;
            return (self.level + 1e-9 < amount).then(|| Duration::from_secs_f64((amount - self.level) / rate));
        }
        let from = self.window(now);
        while self.log.front().is_some_and(|(at, _)| (now - *at).as_secs_f64() >= from) {
            self.log.pop_front();
        }
        if self.used() + amount <= self.limit {
            return None;
        }
        let oldest = self.log.front().map_or(now, |(at, _)| *at);
        Some(match self.counts {
            Counts::Sliding => (oldest + Duration::from_mins(1)) - now,
            _ => Duration::from_secs_f64(60.0 - from),
        })
    }

    /// After [`Self::ask`] found room.
    fn take(&mut self, amount: f64, now: Instant) {
        self.level -= amount;
        self.log.push_back((now, amount));
        self.accepted += amount;
        if let Counts::Fixed(before) = self.counts
            && (now - self.start).as_secs_f64() < 60.0 - before as f64
        {
            self.first_window += amount;
        }
    }

    fn used(&self) -> f64 {
        match self.counts {
            Counts::Bucket(_) => (self.capacity() - self.level).max(0.0),
            _ => self.log.iter().map(|(_, amount)| amount).sum(),
        }
    }

    /// The share of what became available in so many minutes: what a bucket held in the beginning is not counted, and of a
    /// window that had begun only what remained of it.
    fn share(&self, minutes: f64) -> f64 {
        let gift = match self.counts {
            Counts::Bucket(_) => self.capacity() - self.level.max(0.0),
            Counts::Fixed(before) => (self.first_window - self.limit * (1.0 - before as f64 / 60.0)).max(0.0),
            Counts::Sliding => 0.0,
        };
        (self.accepted - gift) / self.limit / minutes
    }
}

#[derive(Debug, Clone, Copy)]
struct Case {
    counts: Counts,
    says: Says,
    declared: bool,
    rpm: u32,
    tpm: u32,
    /// Requests in flight.
    places: u32,
    /// Whether more are kept waiting, or refused.
    queues: bool,
    /// Tokens of a request, a third more or less.
    tokens: u64,
    /// Of an answer, a third more or less.
    latency: Duration,
    /// By how much longer it is in the second half of the run.
    slows: f64,
    /// Of the way to the server, and back.
    travel: Duration,
    minutes: u64,
    seed: u64,
}

const CASE: Case = Case {
    counts: Counts::Sliding,
    says: Says::Nothing,
    declared: false,
    rpm: 600,
    tpm: 100_000_000,
    places: 10_000,
    queues: false,
    tokens: 1000,
    latency: Duration::from_millis(400),
    slows: 1.0,
    travel: Duration::from_millis(15),
    minutes: 15,
    seed: 0,
};

#[derive(Debug)]
struct Run {
    /// Of what is scarce, by what the server accepted.
    used: f64,
    refused: u64,
    learned: LearnedLimits,
    /// When the refusals were, in seconds.
    at: Vec<u64>,
}

/// The server of one run.
struct World {
    case: Case,
    random: Mutex<StdRng>,
    quotas: Mutex<(Server, Server)>,
    places: Semaphore,
    /// Seconds for which places were taken.
    busy: Mutex<f64>,
    refused_at: Mutex<Vec<u64>>,
    end: Instant,
}

impl World {
    fn jitter(&self, mean: Duration) -> Duration {
        mean.mul_f64(0.67 + 0.66 * self.random.lock().unwrap().random::<f64>())
    }

    /// The way to the server, its answer and the way back: headers and, when refused, when to come back.
    async fn post(&self, tokens: u64) -> (Option<HeaderMap>, Option<Duration>) {
        tokio::time::sleep(self.jitter(self.case.travel)).await;
        let half = self.end - Duration::from_mins(self.case.minutes) / 2;
        let latency = self.jitter(self.case.latency).mul_f64(if Instant::now() < half { 1.0 } else { self.case.slows });
        let queued = if self.case.queues { Some(self.places.acquire().await.unwrap()) } else { None };
        let place = self.places.try_acquire();
        let now = Instant::now();
        let (headers, refused) = {
            let (requests, amounts) = &mut *self.quotas.lock().unwrap();
            let crowded = (!self.case.queues && place.is_err()).then_some(Duration::from_millis(50));
            let refused = crowded.or(requests.ask(1.0, now)).or_else(|| amounts.ask(tokens as f64, now));
            if refused.is_none() && now < self.end {
                requests.take(1.0, now);
                amounts.take(tokens as f64, now);
                // A sender has no more in flight than there are places: its answers are on their way as well.
                *self.busy.lock().unwrap() += (self.end - now).min(latency + self.case.travel * 2).as_secs_f64();
            }
            ((self.case.says == Says::Headers).then(|| headers(requests, amounts)), refused)
        };
        if refused.is_none() {
            tokio::time::sleep(latency).await;
        } else {
            self.refused_at.lock().unwrap().push((now + Duration::from_mins(self.case.minutes) - self.end).as_secs());
        }
        drop((place, queued));
        tokio::time::sleep(self.jitter(self.case.travel)).await;
        (headers, refused)
    }

    fn used(&self) -> f64 {
        let minutes = self.case.minutes as f64;
        let (requests, tokens) = &*self.quotas.lock().unwrap();
        let places = *self.busy.lock().unwrap() / f64::from(self.case.places) / minutes / 60.0;
        requests.share(minutes).max(tokens.share(minutes)).max(places)
    }
}

fn headers(requests: &Server, tokens: &Server) -> HeaderMap {
    let pair = |name: String, value: f64| (name.parse::<reqwest::header::HeaderName>().unwrap(), (value as i64).into());
    [("requests", requests), ("tokens", tokens)]
        .into_iter()
        .flat_map(|(of, server)| {
            [
                pair(format!("x-ratelimit-limit-{of}"), server.limit),
                pair(format!("x-ratelimit-remaining-{of}"), server.limit - server.used()),
                pair(format!("x-ratelimit-reset-{of}"), 1.0),
            ]
        })
        .collect()
}

/// Sends as much as the limiter allows, as the HTTP layer does it.
fn simulate(case: Case, learned: LearnedLimits) -> Run {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
        let declared = if case.declared {
            Limits { rpm: Some(case.rpm), tpm: Some(case.tpm), concurrency: Some(200) }
        } else {
            Limits::default()
        };
        let limiter = Limiter::with_learned(declared, learned);
        let start = Instant::now();
        let end = start + Duration::from_mins(case.minutes);
        let quotas = (Server::new(case.counts, case.rpm, start), Server::new(case.counts, case.tpm, start));
        let world = Arc::new(World {
            case,
            random: Mutex::new(StdRng::seed_from_u64(case.seed)),
            quotas: Mutex::new(quotas),
            places: Semaphore::new(case.places as usize),
            busy: Mutex::default(),
            refused_at: Mutex::default(),
            end,
        });
        let mut tasks = JoinSet::new();
        while Instant::now() < end {
            if tokio::time::timeout_at(end, limiter.ready()).await.is_err() {
                break;
            }
            while tasks.try_join_next().is_some() {}
            tasks.spawn(send(limiter.clone(), world.clone()));
            tokio::task::yield_now().await;
        }
        let at = world.refused_at.lock().unwrap().clone();
        Run { used: world.used(), refused: limiter.stats().throttled, learned: limiter.learned(), at }
    })
}

async fn send(limiter: Limiter, world: Arc<World>) {
    let ticket = limiter.ticket();
    let tokens = world.jitter(Duration::from_nanos(world.case.tokens)).as_nanos() as u64;
    loop {
        let permit = limiter.admit(ticket, tokens).await;
        let (headers, refused) = world.post(tokens).await;
        if let Some(headers) = headers {
            limiter.observe(&headers);
        }
        let Some(wait) = refused else {
            limiter.answered(permit.sent, Some((permit.sent.left.elapsed(), tokens)));
            permit.reservation.settle(tokens);
            return;
        };
        // Whole seconds, as the header says it.
        let asked = (world.case.says != Says::Nothing).then(|| Duration::from_secs(wait.as_secs() + 1));
        limiter.throttled(permit.sent, asked);
        limiter.pause_until(Instant::now() + asked.unwrap_or(Duration::from_millis(450)));
    }
}

const SERVERS: [Counts; 7] = [
    Counts::Sliding,
    Counts::Fixed(0),
    Counts::Fixed(25),
    Counts::Bucket(60.0),
    Counts::Bucket(10.0),
    Counts::Bucket(5.0),
    Counts::Bucket(1.0),
];

/// Bound by requests (a fast and a slow one), and by tokens.
fn bounds() -> [Case; 4] {
    [
        CASE,
        Case { rpm: 1500, latency: Duration::from_millis(120), ..CASE },
        Case { rpm: 60, latency: Duration::from_millis(1500), ..CASE },
        Case { rpm: 100_000, tpm: 1_000_000, tokens: 8000, latency: Duration::from_millis(900), ..CASE },
    ]
}

/// Bound by the number of requests in flight: refused beyond it with and without a word, or kept waiting.
fn places() -> Vec<Case> {
    let mut cases = Vec::new();
    for (says, queues) in [(Says::Nothing, false), (Says::RetryAfter, false), (Says::Nothing, true)] {
        for (places, millis) in [(32, 1000), (8, 1000), (8, 300), (2, 500), (20, 3000)] {
            let latency = Duration::from_millis(millis);
            cases.push(Case { says, queues, places, latency, rpm: 1_000_000, ..CASE });
        }
    }
    cases
}

#[test]
fn declared_limits_are_used_and_never_exceeded() {
    for counts in SERVERS.into_iter().filter(|counts| *counts != Counts::Bucket(1.0)) {
        for case in bounds() {
            let travel = Duration::from_millis(200);
            let run = simulate(Case { counts, declared: true, travel, ..case }, LearnedLimits::default());
            assert!(run.used >= 0.97 && run.refused == 0, "{counts:?} {case:?}: {run:?}");
        }
    }
}

#[test]
fn limits_in_headers_are_used_without_a_refusal() {
    for counts in SERVERS.into_iter().filter(|counts| *counts != Counts::Bucket(1.0)) {
        for case in bounds() {
            let run = simulate(Case { counts, says: Says::Headers, ..case }, LearnedLimits::default());
            assert!(run.used >= 0.97 && run.refused == 0, "{counts:?} {case:?}: {run:?}");
        }
    }
}

/// What is asked of a run against a server that tells nothing, or only when to come back: the goal is 93 % with 3 refusals.
fn goal(case: &Case) -> (f64, u64) {
    // 25 a second, or another on its way every 40 ms, while a refusal takes 30 to be heard: those that are on their way are
    // refused as well. Which happens to slower senders too, now and then.
    let refusals = if case.rpm == 1500 { 6 } else { 5 };
    match case.counts {
        // It holds two requests or one: one more sent at once is refused as if there were too many in flight, and nothing in what
        // is accepted and refused tells which of both it is.
        Counts::Bucket(1.0) if case.rpm == 60 || case.tpm == 1_000_000 => (0.4, 8),
        // The jitter of a request on its way is a tenth of what it holds.
        Counts::Bucket(1.0) => (0.85, refusals),
        // It takes most of a minute to use up a window, so it is another one that refuses than the one that was counted, and
        // nothing tells when it began.
        Counts::Fixed(25) if case.rpm == 1500 && case.says == Says::Nothing => (0.93, 8),
        // Five requests: one more or less is much.
        Counts::Bucket(5.0) if case.rpm == 60 => (0.9, refusals),
        _ => (0.93, refusals),
    }
}

#[test]
fn limits_that_nobody_tells_are_learned_from_few_refusals() {
    let (mut wrong, mut refused) = (Vec::new(), Vec::new());
    for says in [Says::RetryAfter, Says::Nothing] {
        for counts in SERVERS {
            for (seed, case) in (0..).zip(bounds()) {
                let case = Case { counts, says, seed, ..case };
                let run = simulate(case, LearnedLimits::default());
                let (least, most) = goal(&case);
                if run.used < least || run.refused > most {
                    wrong.push(format!("{says:?} {counts:?} rpm {} tpm {}: {run:?}", case.rpm, case.tpm));
                }
                refused.push(run.refused);
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let mean = refused.iter().sum::<u64>() as f64 / refused.len() as f64;
    assert!(mean <= 3.0, "{mean} refusals on average");
}

#[test]
fn places_that_nobody_tells_are_found_and_kept() {
    let mut wrong = Vec::new();
    for (seed, case) in (0..).zip(places()) {
        let case = Case { seed, ..case };
        let run = simulate(case, LearnedLimits::default());
        let again = simulate(Case { seed: seed + 100, ..case }, run.learned);
        if run.used < 0.93 || run.refused > 3 || again.used < 0.97 || again.refused > 0 {
            wrong.push(format!("{case:?}: {run:?}, then {again:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// A server that keeps waiting what it has no place for: more in flight only makes each answer later, until they time out.
#[test]
fn a_server_that_queues_is_not_flooded_however_long_and_often() {
    let mut wrong = Vec::new();
    for (seed, case) in (0..).zip(places().into_iter().filter(|case| case.queues)) {
        let mut learned = LearnedLimits::default();
        for round in 0..3 {
            let run = simulate(Case { seed: seed + round * 100, ..case }, learned);
            learned = run.learned;
            let most = case.places * 4;
            if run.used < 0.93 || learned.concurrency.is_none_or(|learned| learned < case.places * 9 / 10 || learned > most) {
                wrong.push(format!("round {round} {case:?}: {run:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_server_that_grows_slower_or_faster_is_used_all_the_same() {
    let mut wrong = Vec::new();
    for (seed, case) in (0..).zip(places().into_iter().filter(|case| case.queues)) {
        for slows in [4.0, 0.25] {
            let run = simulate(Case { slows, seed, ..case }, LearnedLimits::default());
            let most = case.places * 4;
            if run.used < 0.93 || run.learned.concurrency.is_none_or(|learned| learned > most) {
                wrong.push(format!("{slows} {case:?}: {run:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn what_was_learned_spares_the_next_run_the_refusals() {
    for counts in SERVERS {
        let case = Case { counts, ..CASE };
        let learned = simulate(case, LearnedLimits::default()).learned;
        let run = simulate(Case { seed: 100, ..case }, learned);
        assert!(run.used >= 0.9 && run.refused <= 1, "{counts:?}: {learned:?} {run:?}");
    }
}

/// What the goals are held against, for a look at all of it at once:
/// `cargo test --lib limits::sim::table -- --ignored --nocapture`.
#[test]
#[ignore = "a report, of a minute"]
#[allow(clippy::print_stdout, reason = "which is printed")]
fn table() {
    let seeds = std::env::var("SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(10);
    let verbose = std::env::var("VERBOSE").is_ok();
    let report = |name: String, case: Case| {
        let runs: Vec<Run> = (0..seeds).map(|seed| simulate(Case { seed, ..case }, LearnedLimits::default())).collect();
        let again: Vec<Run> =
            (0..seeds).zip(&runs).map(|(seed, run)| simulate(Case { seed: seed + 1000, ..case }, run.learned)).collect();
        let of = |runs: &[Run]| {
            let n = runs.len() as f64;
            let used = runs.iter().map(|run| run.used).sum::<f64>() / n * 100.0;
            let least = runs.iter().map(|run| run.used).fold(9.0, f64::min) * 100.0;
            let refused = runs.iter().map(|run| run.refused as f64).sum::<f64>() / n;
            let most = runs.iter().map(|run| run.refused).max().unwrap();
            format!("{used:6.1} {least:6.1} | {refused:4.1} {most:3}")
        };
        println!("| {name:46} | {} | {} |", of(&runs), of(&again));
        if verbose {
            for run in &runs {
                println!("      {:.3} {:?} {:?}", run.used, run.at, run.learned);
            }
        }
    };
    let only = std::env::var("ONLY").unwrap_or_default();
    let report = |name: String, case: Case| {
        if name.contains(&only) {
            report(name, case);
        }
    };
    for says in [Says::Nothing, Says::RetryAfter, Says::Headers] {
        for counts in SERVERS {
            for case in bounds() {
                let name = format!("{says:?} {counts:?} rpm {} tpm {}k", case.rpm, case.tpm / 1000);
                report(name, Case { counts, says, ..case });
            }
        }
    }
    for case in places() {
        let name = format!("{:?} places {} queue {} {:?}", case.says, case.places, case.queues, case.latency);
        report(name, case);
    }
}
