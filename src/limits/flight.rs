//! How many requests may be in flight.
//!
//! As TCP does it: additive increase, multiplicative decrease. A refusal halves; a timeout or a server whose latency has
//! grown says that more only queues there. Where the number is declared, it is where the search starts and ends, and latency
//! does not lower it. Otherwise it starts at one, so that the first answer's headers are known before more is sent, and doubles
//! each round of answers until something says stop.
//!
//! Latency has grown above what it is with few in flight ([`Flight::best`]), which changes with the server's load and must be
//! measured again. With as many in flight as ever it would be measured with a queue before the server, and each time more would
//! seem right: so for a round now and then few are sent (a *dip*, as BBR does it to measure a path's delay).

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// Requests in flight where nothing says stop: sockets and memory are finite.
pub(super) const MOST: u32 = 256;

/// The round's mean latency over the best one's, above which no more is tried, and above which less is.
const HOLD: f64 = 2.0;
const LOWER: f64 = 3.0;

/// Held back by latency for so many rounds, or begun where an earlier run ended, it is measured again with a part of them in
/// flight: of what is held, more than twice what the server works on, that leaves no queue.
const DIP_AFTER: u32 = 32;
const DIP: f64 = 0.25;

/// One more than what was refused is tried again after so long; once that was refused too, after [`LULL`], and each time it
/// is refused again after twice as long.
const DOUBT: Duration = Duration::from_secs(20);
const LULL: Duration = Duration::from_mins(15);

/// Latencies kept to know the slow ones among them.
const RECENT: usize = 64;

/// Requests that go out a second while no quota is known: what is sent until the first refusal has come back is refused too.
const UNKNOWN_PACE: f64 = 30.0;

/// After so many accepted in a row (a minute of it at first), the pace without a known quota doubles.
const PROVEN: f64 = 1800.0;

/// A timer that is late by less is made up for.
const LATE: Duration = Duration::from_millis(5);

/// Sums over the answers of a round: as many as may be in flight when it begins.
#[derive(Debug, Default)]
struct Round {
    size: f64,
    answers: f64,
    seconds: f64,
    tokens: f64,
}

/// A server that refuses more than so many in flight.
#[derive(Debug)]
struct Ceiling {
    most: f64,
    /// When one more is tried, and how long after that the next.
    raise_at: Instant,
    lull: Duration,
}

impl Ceiling {
    fn new(most: f64, lull: Duration, now: Instant) -> Self {
        Self { most: most.max(1.0), raise_at: now + lull, lull }
    }
}

/// Few are in flight, for a measurement.
#[derive(Debug)]
struct Dip {
    most: f64,
    /// More still are.
    draining: bool,
    /// Answers whose latency says nothing.
    mute: f64,
}

impl Dip {
    fn new(allowed: f64, draining: bool) -> Self {
        Self { most: (allowed * DIP).max(1.0), draining, mute: 0.0 }
    }
}

/// See the module's page.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "what was declared, and what the search has seen: any combination has a meaning"
)]
pub(super) struct Flight {
    pub(super) now: u32,
    allowed: f64,
    most: f64,
    declared: bool,
    doubling: bool,
    /// Whether somebody had to wait for a place since the number last changed: without demand, more is not tried.
    pub(super) wanted: bool,
    /// A failure of what left before this was caused by the old number.
    lowered_at: Option<Instant>,
    /// The best round's mean latency in seconds, and its mean tokens a request.
    best: Option<(f64, f64)>,
    round: Round,
    /// The latency of what left before was that of another number.
    since: Option<Instant>,
    hold: bool,
    /// Rounds since the latency was measured without a queue.
    rounds: u32,
    /// What was allowed before latency lowered it, until it is measured again.
    before: Option<f64>,
    dip: Option<Dip>,
    ceiling: Option<Ceiling>,
    /// The most in flight of which one more was accepted.
    held: f64,
    /// One alone may be in flight, until it is answered.
    probing: bool,
    recent: VecDeque<f64>,
    /// Accepted since the last refusal.
    accepted: f64,
    next_at: Option<Instant>,
}

impl Flight {
    /// `learned`: what an earlier run came to. `places`: and that more were refused.
    pub(super) fn new(declared: Option<u32>, learned: Option<u32>, places: Option<u32>, now: Instant) -> Self {
        let most = f64::from(declared.unwrap_or(MOST).max(1));
        let start = if declared.is_some() { most } else { f64::from(learned.unwrap_or(1)).clamp(1.0, most) };
        Self {
            now: 0,
            allowed: start,
            most,
            declared: declared.is_some(),
            doubling: learned.is_none(),
            wanted: false,
            lowered_at: None,
            best: None,
            round: Round::default(),
            since: None,
            hold: false,
            rounds: 0,
            before: None,
            dip: learned.filter(|_| declared.is_none()).map(|_| Dip::new(start, false)),
            ceiling: places.filter(|_| declared.is_none()).map(|places| Ceiling::new(places.into(), LULL, now)),
            held: places.map_or(0.0, f64::from),
            probing: false,
            recent: VecDeque::new(),
            accepted: 0.0,
            next_at: None,
        }
    }

    /// How many may be in flight now.
    pub(super) fn allowed(&self) -> u32 {
        self.allowed as u32
    }

    pub(super) fn has_room(&mut self) -> bool {
        let most = self.dip.as_ref().map_or(self.allowed, |dip| dip.most.min(self.allowed)) as u32;
        let room = self.now < if self.probing { 1 } else { most };
        self.wanted |= !room;
        room
    }

    /// When the next may leave while no quota is known.
    pub(super) fn ready_at(&self, now: Instant) -> Option<Instant> {
        self.next_at.filter(|&at| at > now)
    }

    /// Notes that one leaves, as one of so many in flight. `unknown`: no quota is known.
    pub(super) fn leave(&mut self, unknown: bool, now: Instant) -> u32 {
        self.now += 1;
        let gap = if !unknown {
            0.0
        } else if self.declared {
            // Answers that came together would be followed by as many requests together, and those refused together.
            self.best.map_or(0.0, |(best, _)| best / (2.0 * self.most))
        } else {
            let gap = 1.0 / (UNKNOWN_PACE * (self.accepted / PROVEN).floor().min(10.0).exp2());
            // A refusal is heard no later than an answer.
            self.best.map_or(gap, |(best, _)| gap.min(best))
        };
        let from = self.next_at.max(now.checked_sub(LATE)).unwrap_or(now);
        self.next_at = Some(from + Duration::from_secs_f64(gap));
        self.now
    }

    /// Notes an answer to what left at `left` as one of `in_flight`, with its latency and tokens where they say something about others
    /// (not of a stream). Returns whether more may leave.
    pub(super) fn answered(&mut self, left: Instant, in_flight: u32, took: Option<(Duration, u64)>, now: Instant) -> bool {
        self.accepted += 1.0;
        self.held = self.held.max(f64::from(in_flight));
        let probed = self.probing && self.is_new(left);
        self.probing &= !probed;
        if let Some((latency, tokens)) = took {
            self.note(left, latency.as_secs_f64(), tokens as f64, now);
        } else if let Some(dip) = &mut self.dip {
            dip.mute += 1.0;
            if dip.mute >= dip.most.max(4.0) {
                self.dip = None;
            }
        }
        let most = self.ceiling.as_ref().map_or(self.most, |ceiling| ceiling.most.min(self.most));
        if let Some(ceiling) = self.ceiling.as_mut().filter(|ceiling| self.allowed >= ceiling.most && now >= ceiling.raise_at) {
            ceiling.most += 1.0;
            ceiling.raise_at = now + ceiling.lull;
        }
        if self.allowed >= most || self.hold || !(self.wanted || self.declared) {
            return probed;
        }
        self.allowed = (self.allowed + if self.doubling { 1.0 } else { 1.0 / self.allowed }).min(most);
        self.wanted = false;
        true
    }

    fn note(&mut self, left: Instant, latency: f64, tokens: f64, now: Instant) {
        self.recent.push_back(latency);
        if self.recent.len() > RECENT {
            self.recent.pop_front();
        }
        // The one that is answered counts as in flight still.
        if let Some(dip) = self.dip.as_mut().filter(|dip| dip.draining && f64::from(self.now) <= dip.most + 1.0) {
            dip.draining = false;
            self.since = Some(now);
        }
        let draining = self.dip.as_ref().is_some_and(|dip| dip.draining);
        if draining || self.since.is_some_and(|since| left < since) {
            return;
        }
        if self.round.answers < 1.0 {
            self.round.size = self.dip.as_ref().map_or(self.allowed, |dip| dip.most).max(4.0);
        }
        self.round.answers += 1.0;
        self.round.seconds += latency;
        self.round.tokens += tokens;
        if self.round.answers < self.round.size {
            return;
        }
        let Round { answers, seconds, tokens, .. } = std::mem::take(&mut self.round);
        let (mean, size) = (seconds / answers, tokens / answers);
        let measured = self.dip.take().is_some();
        self.rounds = if measured { 0 } else { self.rounds + 1 };
        if measured && let Some(before) = self.before.take().filter(|_| self.best.is_some_and(|(best, _)| mean > best * HOLD)) {
            // It was not the number: the server has become slower.
            self.allowed = before;
        }
        // Larger requests take longer by themselves.
        let best = self.best.filter(|(_, of)| !measured && size < of * 1.5).map_or(mean, |(best, _)| best.min(mean));
        self.best = Some((best, size));
        let grown = mean / best.max(1e-6);
        self.hold = !self.declared && grown > HOLD;
        if !self.hold {
            return;
        }
        self.doubling = false;
        let lowered = self.before.is_some();
        if grown > LOWER && !lowered {
            self.before = Some(self.allowed);
            self.allowed = (self.allowed * HOLD / grown).max(self.allowed / 2.0).max(1.0);
            self.since = Some(now);
        } else if grown > LOWER || self.rounds >= DIP_AFTER {
            self.dip = Some(Dip::new(self.allowed, true));
        }
    }

    /// Whether what left at `left` is the first of its burst to fail.
    pub(super) fn is_new(&self, left: Instant) -> bool {
        self.lowered_at.is_none_or(|lowered| left > lowered)
    }

    /// Notes a refusal of what left as one of `in_flight`. Returns whether that may have been too many, and whether it most
    /// likely was: as many as were refused before. Once: a ceiling that is kept to and refused at again explains too little.
    pub(super) fn crowded(&mut self, in_flight: u32, now: Instant) -> (bool, bool) {
        let in_flight = f64::from(in_flight);
        if self.declared || in_flight < self.held * 0.9 {
            return (false, false);
        }
        let again = self.ceiling.as_ref().is_some_and(|ceiling| ceiling.lull < LULL && in_flight >= ceiling.most * 0.95);
        let lull = match &self.ceiling {
            None => DOUBT,
            Some(ceiling) => (ceiling.lull * 2).max(LULL),
        };
        let most = (in_flight - 1.0).max(1.0);
        self.ceiling = Some(Ceiling::new(most, lull, now));
        self.allowed = self.allowed.min(most);
        self.held = most;
        (true, again)
    }

    /// So many places that more were refused, and again when one more was tried.
    pub(super) fn places(&self) -> Option<u32> {
        self.ceiling.as_ref().filter(|ceiling| ceiling.lull >= LULL).map(|ceiling| ceiling.most as u32)
    }

    /// What was refused was refused for something else, or may be accepted by now.
    pub(super) fn forget(&mut self) {
        self.ceiling = None;
    }

    /// From now on what left before says nothing new.
    pub(super) fn heard(&mut self, now: Instant) {
        self.doubling = false;
        self.lowered_at = Some(now);
        self.accepted = 0.0;
    }

    /// Notes a refusal or a failure for load, the first of a burst.
    pub(super) fn lower(&mut self, by: f64, now: Instant) {
        self.allowed = (self.allowed * by).max(1.0);
        self.heard(now);
    }

    /// Lets one alone leave until it is answered.
    pub(super) fn probe(&mut self) {
        self.probing = true;
    }

    /// The latency that 95 of 100 answers keep to, once enough came to tell.
    pub(super) fn p95(&self) -> Option<Duration> {
        let mut sorted: Vec<f64> = self.recent.iter().copied().collect();
        sorted.sort_unstable_by(f64::total_cmp);
        let at = sorted.len() * 95 / 100;
        sorted.get(at).filter(|_| sorted.len() >= 20).map(|&latency| Duration::from_secs_f64(latency))
    }
}
