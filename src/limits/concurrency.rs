//! The number of requests that may be in flight.
//!
//! Found as TCP does it: additive increase, multiplicative decrease. A refusal halves; a timeout or a server whose latency has
//! grown says that more only queues there. Where the number is declared, it is where the search starts and ends, and latency
//! does not lower it. Otherwise it starts at one, so that the first answer's headers are known before more is sent; where they
//! tell the quotas, it is at once what uses them at that answer's latency, and in any case it doubles each round of answers
//! until something says stop.
//!
//! # States
//!
//! ```text
//!   nothing known               an earlier run ended here, or declared
//!         │                                │
//!         ▼                                ▼
//!     Doubling ── a refusal, a timeout ──▶ Linear ◀── a round as fast as ever ── Held
//!         │                                │                                      ▲
//!         └────────────────────────────────┴── a round of twice the latency ──────┘
//! ```
//!
//! [`Latency`] judges the rounds. A server that refuses more than so many in flight has a [`Ceiling`] besides, in every state.

use std::time::Duration;

use tokio::time::Instant;

use super::latency::{Latency, Timed, Verdict};

/// Requests in flight where nothing says stop: sockets and memory are finite.
const MOST: u32 = 256;

/// One more than what was refused is tried again after so long; once that was refused too, after [`LULL`], and each time it
/// is refused again after twice as long.
const DOUBT: Duration = Duration::from_secs(20);
const LULL: Duration = Duration::from_mins(15);

/// Requests that go out a second while no quota is known: what is sent until the first refusal has come back is refused too.
const UNKNOWN_PACE: f64 = 30.0;

/// After so many accepted in a row (a minute of it at first), the pace without a known quota doubles.
const PROVEN: f64 = 1800.0;

/// The answers from the first on that tell how many must be in flight to use quotas that were told. Not more: where the server
/// queues, each later one would take longer and ask for more.
const TELLING: f64 = 4.0;

/// How many more must be in flight than the mean latency says, as some answers take longer.
const SPARE: f64 = 1.5;

/// A timer that is late by less is made up for.
const LATE: Duration = Duration::from_millis(5);

/// The growth of the number with each answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Growth {
    /// By one: it doubles each round of answers.
    Doubling,
    /// By one a round.
    Linear,
    /// Not at all: latency has grown.
    Held,
}

/// A server that refuses more than so many in flight.
#[derive(Debug, Clone)]
struct Ceiling {
    most: f64,
    /// The instant at which one more is tried, and the time until the next.
    raise_at: Instant,
    lull: Duration,
}

impl Ceiling {
    fn new(most: f64, lull: Duration, now: Instant) -> Self {
        Self { most: most.max(1.0), raise_at: now + lull, lull }
    }
}

/// Whether a refusal may mean that too many were in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Crowding {
    /// More were accepted at once.
    No,
    /// No fewer than ever were in flight.
    Maybe,
    /// No fewer than were refused before.
    Likely,
}

/// The number of requests that may be in flight, as far as it is known.
#[derive(Debug, Clone)]
pub(super) struct ConcurrencyLimiter {
    in_flight: u32,
    allowed: f64,
    most: f64,
    /// [`Self::most`] of all the workers that share the provider, and their number.
    total: f64,
    workers: f64,
    declared: bool,
    growth: Growth,
    /// Whether somebody had to wait for a place since the number last changed: without demand, more is not tried.
    wanted: bool,
    /// The last refusal or failure: what left before it says nothing new.
    heard_at: Option<Instant>,
    latency: Latency,
    ceiling: Option<Ceiling>,
    /// The most in flight of which one more was accepted.
    proven: f64,
    /// One alone may be in flight, until it is answered.
    alone: bool,
    /// Accepted since the last refusal.
    accepted: f64,
    next_at: Option<Instant>,
}

impl ConcurrencyLimiter {
    /// `learned`: what an earlier run came to. `ceiling`: and that more were refused.
    pub(super) fn new(declared: Option<u32>, learned: Option<u32>, ceiling: Option<u32>, now: Instant) -> Self {
        let most = f64::from(declared.unwrap_or(MOST).max(1));
        let start = if declared.is_some() { most } else { f64::from(learned.unwrap_or(1)).clamp(1.0, most) };
        let undeclared = declared.is_none();
        Self {
            in_flight: 0,
            allowed: start,
            most,
            total: most,
            workers: 1.0,
            declared: declared.is_some(),
            growth: if learned.is_none() { Growth::Doubling } else { Growth::Linear },
            wanted: false,
            heard_at: None,
            latency: Latency::new(undeclared, learned.filter(|_| undeclared).map(|_| start)),
            ceiling: ceiling.filter(|_| undeclared).map(|most| Ceiling::new(most.into(), LULL, now)),
            proven: ceiling.map_or(0.0, f64::from),
            alone: false,
            accepted: 0.0,
            next_at: None,
        }
    }

    /// The number that may be in flight now.
    pub(super) fn allowed(&self) -> u32 {
        self.allowed as u32
    }

    /// The number that is in flight.
    pub(super) fn in_flight(&self) -> u32 {
        self.in_flight
    }

    /// The latency that 95 of 100 answers keep to, once enough came to tell.
    pub(super) fn p95(&self) -> Option<Duration> {
        self.latency.p95()
    }

    /// Divides what may be in flight, and the pace while no quota is known, by so many workers.
    pub(super) fn share(&mut self, workers: u32) {
        self.workers = f64::from(workers.max(1));
        let most = (self.total / self.workers).max(1.0);
        if self.declared {
            self.allowed *= most / self.most;
        }
        self.most = most;
        self.allowed = self.allowed.clamp(1.0, most);
    }

    /// How many more may leave. If none, more is wanted.
    pub(super) fn room(&mut self) -> u32 {
        let most = if self.alone { 1 } else { self.latency.most(self.allowed) as u32 };
        let room = most.saturating_sub(self.in_flight);
        self.wanted |= room == 0;
        room
    }

    /// How many may leave together where those who wait are asked every `gap`. `unknown`: no quota is known.
    pub(super) fn at_once(&self, unknown: bool, gap: Duration) -> usize {
        let pace = self.gap(unknown);
        if pace > 0.0 { (gap.as_secs_f64() / pace).ceil().max(1.0) as usize } else { usize::MAX }
    }

    /// What was noted of another moment, with what is in flight now.
    pub(super) fn go_back(&mut self, to: Self) {
        *self = Self { in_flight: self.in_flight, ..to };
    }

    /// Whether one more may leave. If not, more is wanted.
    pub(super) fn has_room(&mut self) -> bool {
        self.room() > 0
    }

    /// The instant from which the next may leave while no quota is known.
    pub(super) fn ready_at(&self, now: Instant) -> Option<Instant> {
        self.next_at.filter(|&at| at > now)
    }

    /// Makes room for so many that are asked at the same moment, unless something is known against it.
    pub(super) fn make_room(&mut self, together: u32) {
        if self.declared || self.alone || self.ceiling.is_some() || self.growth == Growth::Held {
            return;
        }
        let places = f64::from(self.in_flight.saturating_add(together)).min(self.most);
        self.allowed = self.allowed.max(places);
        self.latency.make_room(places);
    }

    /// Notes that one leaves, as one of so many in flight. `unknown`: no quota is known.
    pub(super) fn leave(&mut self, unknown: bool, now: Instant) -> u32 {
        self.in_flight += 1;
        let gap = self.gap(unknown);
        let from = self.next_at.max(now.checked_sub(LATE)).unwrap_or(now);
        self.next_at = Some(from + Duration::from_secs_f64(gap));
        self.in_flight
    }

    /// The seconds between one and the next while no quota is known.
    fn gap(&self, unknown: bool) -> f64 {
        if !unknown {
            0.0
        } else if self.declared {
            // Answers that came together would be followed by as many requests together, and those refused together.
            self.latency.best().map_or(0.0, |best| best / (2.0 * self.most))
        } else {
            let gap = self.workers / (UNKNOWN_PACE * (self.accepted / PROVEN).floor().min(10.0).exp2());
            // A refusal is heard no later than an answer.
            self.latency.best().map_or(gap, |best| gap.min(best))
        }
    }

    /// Notes that one is no longer in flight.
    pub(super) fn end(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// Notes an answer to what left at `left` as one of `in_flight`, with its latency and tokens where they say something about
    /// others (not of a stream). Returns whether more may leave.
    ///
    /// `pace`: so many like it may leave a second, by quotas that the server told. Then it takes no rounds to find out how many must
    /// be in flight for that.
    pub(super) fn answered(
        &mut self,
        left: Instant,
        in_flight: u32,
        took: Option<(Duration, u64)>,
        pace: Option<f64>,
        now: Instant,
    ) -> bool {
        self.accepted += 1.0;
        self.proven = self.proven.max(f64::from(in_flight));
        let was_alone = self.alone && self.is_news(left);
        self.alone &= !was_alone;
        if let Some((latency, tokens)) = took {
            let answer = Timed { left, seconds: latency.as_secs_f64(), tokens: tokens as f64, in_flight: self.in_flight };
            match self.latency.note(answer, &mut self.allowed, now) {
                Some(Verdict::Slower) => self.growth = Growth::Held,
                Some(Verdict::Steady) if self.growth == Growth::Held => self.growth = Growth::Linear,
                Some(Verdict::Steady) | None => {}
            }
        } else {
            self.latency.mute();
        }
        let most = self.ceiling.as_ref().map_or(self.most, |ceiling| ceiling.most.min(self.most));
        if let Some(ceiling) = self.ceiling.as_mut().filter(|ceiling| self.allowed >= ceiling.most && now >= ceiling.raise_at) {
            ceiling.most += 1.0;
            ceiling.raise_at = now + ceiling.lull;
        }
        let step = match self.growth {
            // A stream goes on when it has answered: it makes room for one like it and, in place of itself, for another.
            Growth::Doubling if took.is_none() => 2.0,
            Growth::Doubling => 1.0,
            Growth::Linear => 1.0 / self.allowed,
            Growth::Held => return was_alone,
        };
        if let (Some((latency, _)), Some(pace), Growth::Doubling) = (took, pace, self.growth)
            && self.accepted <= TELLING
        {
            self.allowed = self.allowed.max(latency.as_secs_f64().mul_add(pace / self.workers * SPARE, 1.0).min(most));
        }
        // Streams begin at a pace, so that who waits for it does not wait for a place: what is in flight tells of the demand, too.
        let used = took.is_none() && f64::from(self.in_flight) * 2.0 >= self.allowed;
        if self.allowed >= most || !(self.wanted || self.declared || used) {
            return true;
        }
        self.allowed = (self.allowed + step).min(most);
        self.wanted = false;
        true
    }

    /// Whether what left at `left` says something new by being refused: it is the first of its burst.
    pub(super) fn is_news(&self, left: Instant) -> bool {
        self.heard_at.is_none_or(|heard| left > heard)
    }

    /// Notes a refusal of what left as one of `in_flight`, and whether that may have been too many. That it was is likely only
    /// once: a ceiling that is kept to and refused at again explains too little.
    pub(super) fn refused(&mut self, in_flight: u32, now: Instant) -> Crowding {
        let in_flight = f64::from(in_flight);
        // One alone is not one too many, where nobody else sends.
        let only = in_flight < 2.0 && self.workers < 2.0;
        if self.declared || only || in_flight < self.proven * 0.9 {
            return Crowding::No;
        }
        let again = self.ceiling.as_ref().is_some_and(|ceiling| ceiling.lull < LULL && in_flight >= ceiling.most * 0.95);
        let lull = match &self.ceiling {
            None => DOUBT,
            Some(ceiling) => (ceiling.lull * 2).max(LULL),
        };
        let most = (in_flight - 1.0).max(1.0);
        self.ceiling = Some(Ceiling::new(most, lull, now));
        self.allowed = self.allowed.min(most);
        self.proven = most;
        if again { Crowding::Likely } else { Crowding::Maybe }
    }

    /// The number in flight of which one more was refused, and again when it was tried later.
    pub(super) fn ceiling(&self) -> Option<u32> {
        self.ceiling.as_ref().filter(|ceiling| ceiling.lull >= LULL).map(|ceiling| ceiling.most as u32)
    }

    /// Forgets the ceiling: what was refused was refused for something else, or may be accepted by now.
    pub(super) fn forget_ceiling(&mut self) {
        self.ceiling = None;
    }

    /// From now on what left before says nothing new.
    pub(super) fn heard(&mut self, now: Instant) {
        if self.growth == Growth::Doubling {
            self.growth = Growth::Linear;
        }
        self.heard_at = Some(now);
        self.accepted = 0.0;
    }

    /// Notes a refusal or a failure for load, the first of a burst.
    pub(super) fn lower(&mut self, by: f64, now: Instant) {
        self.allowed = (self.allowed * by).max(1.0);
        self.heard(now);
    }

    /// Lets one alone leave until it is answered.
    pub(super) fn send_alone(&mut self) {
        self.alone = true;
    }
}
