//! The limiter against models of servers, under a paused clock: what it uses of a quota, and how often it is refused.

#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use std::collections::VecDeque;

use tokio::task::JoinSet;

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
}

impl Server {
    fn new(counts: Counts, limit: u32, start: Instant) -> Self {
        let limit = f64::from(limit);
        let level = if let Counts::Bucket(seconds) = counts { (limit / 60.0 * seconds).max(1.0) } else { 0.0 };
        Self { counts, limit, start, level, at: start, log: VecDeque::new() }
    }

    fn window(&self, now: Instant) -> f64 {
        match self.counts {
            Counts::Fixed(before) => ((now - self.start).as_secs_f64() + before as f64).rem_euclid(60.0),
            _ => 60.0,
        }
    }

    /// `None`: accepted. Else when to come back.
    fn ask(&mut self, amount: f64, now: Instant) -> Option<Duration> {
        if let Counts::Bucket(seconds) = self.counts {
            let rate = self.limit / 60.0;
            self.level = (self.level + (now - self.at).as_secs_f64() * rate).min((rate * seconds).max(amount));
            self.at = now;
            if self.level + 1e-9 >= amount {
                self.level -= amount;
                return None;
            }
            return Some(Duration::from_secs_f64((amount - self.level) / rate));
        }
        let from = self.window(now);
        while self.log.front().is_some_and(|(at, _)| (now - *at).as_secs_f64() >= from) {
            self.log.pop_front();
        }
        if self.used() + amount <= self.limit {
            self.log.push_back((now, amount));
            return None;
        }
        let oldest = self.log.front().map_or(now, |(at, _)| *at);
        Some(match self.counts {
            Counts::Sliding => (oldest + Duration::from_mins(1)) - now,
            _ => Duration::from_secs_f64(60.0 - from),
        })
    }

    fn used(&self) -> f64 {
        match self.counts {
            Counts::Bucket(seconds) => (self.limit / 60.0 * seconds - self.level).max(0.0),
            _ => self.log.iter().map(|(_, amount)| amount).sum(),
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Case {
    counts: Counts,
    says: Says,
    declared: bool,
    rpm: u32,
    tpm: u32,
    /// Tokens of a request, a third more or less.
    tokens: u64,
    /// Of an answer, a third more or less.
    latency: Duration,
    /// Of the way to the server and of a refusal.
    travel: Duration,
    minutes: u64,
}

const CASE: Case = Case {
    counts: Counts::Sliding,
    says: Says::Nothing,
    declared: false,
    rpm: 600,
    tpm: 100_000_000,
    tokens: 1000,
    latency: Duration::from_millis(400),
    travel: Duration::from_millis(15),
    minutes: 10,
};

#[derive(Debug)]
struct Run {
    /// Of the quota, by what the server accepted.
    used: f64,
    refused: u64,
    learned: Learned,
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

fn jitter(mean: Duration) -> Duration {
    mean.mul_f64(0.67 + 0.66 * rand::random::<f64>())
}

/// Sends as much as the limiter allows, as the HTTP layer does it.
fn simulate(case: Case, learned: Learned) -> Run {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
        let declared = if case.declared {
            Limits { rpm: Some(case.rpm), tpm: Some(case.tpm), concurrency: Some(200) }
        } else {
            Limits::default()
        };
        let limiter = Limiter::with(declared, learned);
        let start = Instant::now();
        let end = start + Duration::from_mins(case.minutes);
        let server = |limit| Arc::new(Mutex::new(Server::new(case.counts, limit, start)));
        let servers = (server(case.rpm), server(case.tpm));
        let accepted = Arc::new(Mutex::new((0_u64, 0_u64)));
        let mut tasks = JoinSet::new();
        while Instant::now() < end {
            limiter.room().await;
            let (limiter, servers, accepted) = (limiter.clone(), (servers.0.clone(), servers.1.clone()), accepted.clone());
            let ticket = limiter.ticket();
            while tasks.try_join_next().is_some() {}
            tasks.spawn(async move {
                let tokens = jitter(Duration::from_nanos(case.tokens)).as_nanos() as u64;
                loop {
                    let permit = limiter.admit(ticket, tokens).await;
                    if Instant::now() > end {
                        return;
                    }
                    tokio::time::sleep(jitter(case.travel)).await;
                    let now = Instant::now();
                    let refused = {
                        let (mut requests, mut amounts) = (servers.0.lock().unwrap(), servers.1.lock().unwrap());
                        let refused = requests.ask(1.0, now).or_else(|| amounts.ask(tokens as f64, now));
                        (refused, (case.says == Says::Headers).then(|| headers(&requests, &amounts)))
                    };
                    let (refused, headers) = refused;
                    if refused.is_none() {
                        let mut accepted = accepted.lock().unwrap();
                        *accepted = (accepted.0 + 1, accepted.1 + tokens);
                    }
                    tokio::time::sleep(jitter(if refused.is_some() { case.travel } else { case.latency })).await;
                    if let Some(headers) = headers {
                        limiter.observe(&headers);
                    }
                    let Some(wait) = refused else {
                        limiter.answered(Some((permit.sent.left.elapsed(), tokens)));
                        permit.charge.settle(tokens);
                        return;
                    };
                    // Whole seconds, as the header says it.
                    let asked = (case.says != Says::Nothing).then(|| Duration::from_secs(wait.as_secs() + 1));
                    limiter.throttled(permit.sent, asked);
                    limiter.pause_until(Instant::now() + asked.unwrap_or(Duration::from_millis(500)));
                }
            });
            tokio::task::yield_now().await;
        }
        let (requests, tokens) = *accepted.lock().unwrap();
        let minutes = case.minutes as f64;
        let used = (requests as f64 / f64::from(case.rpm)).max(tokens as f64 / f64::from(case.tpm)) / minutes;
        Run { used, refused: limiter.stats().throttled, learned: limiter.learned() }
    })
}

const SERVERS: [Counts; 6] =
    [Counts::Sliding, Counts::Fixed(0), Counts::Fixed(25), Counts::Bucket(60.0), Counts::Bucket(10.0), Counts::Bucket(5.0)];

/// Bound by requests (a fast and a slow one), and by tokens.
fn bounds() -> [Case; 4] {
    [
        CASE,
        Case { rpm: 1500, latency: Duration::from_millis(120), ..CASE },
        Case { rpm: 60, latency: Duration::from_millis(1500), ..CASE },
        Case { rpm: 100_000, tpm: 1_000_000, tokens: 8000, latency: Duration::from_millis(900), ..CASE },
    ]
}

#[test]
fn declared_limits_are_used_and_never_exceeded() {
    for counts in SERVERS {
        for case in bounds() {
            let travel = Duration::from_millis(200);
            let run = simulate(Case { counts, declared: true, minutes: 15, travel, ..case }, Learned::default());
            assert!(run.used >= 0.97 && run.refused == 0, "{counts:?} {case:?}: {run:?}");
        }
    }
}

#[test]
fn limits_in_headers_are_used_without_a_refusal() {
    for counts in SERVERS {
        for case in bounds() {
            let run = simulate(Case { counts, says: Says::Headers, ..case }, Learned::default());
            assert!(run.used >= 0.93 && run.refused <= 3, "{counts:?} {case:?}: {run:?}");
        }
    }
}

#[test]
fn limits_that_nobody_tells_are_learned_from_few_refusals() {
    let mut wrong = Vec::new();
    for says in [Says::RetryAfter, Says::Nothing] {
        for counts in SERVERS {
            for case in bounds() {
                let run = simulate(Case { counts, says, ..case }, Learned::default());
                // The goal is 93 % with 3 refusals. Windows keep to it but for what is on its way when the first refusal comes;
                // a bucket that holds little needs a climb more to be measured.
                let window = matches!(counts, Counts::Sliding | Counts::Fixed(0));
                let (least, most) = if window { (0.93, 5) } else { (0.85, 8) };
                if run.used < least || run.refused > most {
                    wrong.push(format!("{says:?} {counts:?} rpm {} tpm {}: {run:?}", case.rpm, case.tpm));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn what_was_learned_spares_the_next_run_the_refusals() {
    for counts in [Counts::Sliding, Counts::Fixed(0), Counts::Bucket(60.0)] {
        let case = Case { counts, ..CASE };
        let learned = simulate(case, Learned::default()).learned;
        let run = simulate(case, learned);
        assert!(run.used >= 0.9 && run.refused <= 2, "{counts:?}: {learned:?} {run:?}");
    }
}
