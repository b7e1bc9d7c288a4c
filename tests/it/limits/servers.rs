//! Models of servers, as they count and refuse, and a sender that does what the HTTP layer does, under a paused clock. Every
//! run follows from its seed.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ragstream::limits::{LearnedLimits, Limiter, Limits};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use reqwest::header::HeaderMap;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// How a server counts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Counts {
    /// A bucket that holds so many seconds' worth.
    Bucket(f64),
    /// Windows of a minute, the first of which began so many seconds before the first request.
    Fixed(u64),
    /// The last minute.
    Sliding,
}

/// What a server says of its limits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Says {
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
pub struct Case {
    pub counts: Counts,
    pub says: Says,
    pub declared: bool,
    pub rpm: u32,
    pub tpm: u32,
    /// Requests in flight.
    pub places: u32,
    /// Whether more are kept waiting, or refused.
    pub queues: bool,
    /// Tokens of a request, a third more or less.
    pub tokens: u64,
    /// Of an answer, a third more or less.
    pub latency: Duration,
    /// By how much longer it is in the second half of the run.
    pub slows: f64,
    /// Of the way to the server, and back.
    pub travel: Duration,
    pub minutes: u64,
    pub seed: u64,
}

pub const CASE: Case = Case {
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
pub struct Run {
    /// Of what is scarce, by what the server accepted.
    pub used: f64,
    pub refused: u64,
    pub learned: LearnedLimits,
    /// When the refusals were, in seconds.
    #[allow(dead_code, reason = "shown when a test fails, and by the bench")]
    pub at: Vec<u64>,
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
pub fn simulate(case: Case, learned: LearnedLimits) -> Run {
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

pub const SERVERS: [Counts; 7] = [
    Counts::Sliding,
    Counts::Fixed(0),
    Counts::Fixed(25),
    Counts::Bucket(60.0),
    Counts::Bucket(10.0),
    Counts::Bucket(5.0),
    Counts::Bucket(1.0),
];

/// Bound by requests (a fast and a slow one), and by tokens.
pub fn bounds() -> [Case; 4] {
    [
        CASE,
        Case { rpm: 1500, latency: Duration::from_millis(120), ..CASE },
        Case { rpm: 60, latency: Duration::from_millis(1500), ..CASE },
        Case { rpm: 100_000, tpm: 1_000_000, tokens: 8000, latency: Duration::from_millis(900), ..CASE },
    ]
}

/// Bound by the number of requests in flight: refused beyond it with and without a word, or kept waiting.
pub fn places() -> Vec<Case> {
    let mut cases = Vec::new();
    for (says, queues) in [(Says::Nothing, false), (Says::RetryAfter, false), (Says::Nothing, true)] {
        for (places, millis) in [(32, 1000), (8, 1000), (8, 300), (2, 500), (20, 3000)] {
            let latency = Duration::from_millis(millis);
            cases.push(Case { says, queues, places, latency, rpm: 1_000_000, ..CASE });
        }
    }
    cases
}
