//! The latency of answers, and its verdict on the number of requests in flight.
//!
//! It has grown above what it is with few in flight ([`Latency::best`]), which changes with the server's load and must be
//! measured again. With as many in flight as ever it would be measured with a queue before the server, and each time more would
//! seem right: so for a round now and then few are sent (a *dip*, as BBR does it to measure a path's delay).

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// The round's mean latency over the best one's, above which no more is tried, and above which less is.
const HOLD: f64 = 2.0;
const LOWER: f64 = 3.0;

/// Held back by latency for so many rounds, or begun where an earlier run ended, it is measured again with a part of them in
/// flight: of what is held, more than twice what the server works on, that leaves no queue.
const DIP_AFTER: u32 = 32;
const DIP: f64 = 0.25;

/// A round has as many answers as may be in flight, and no fewer than this.
const SMALLEST_ROUND: f64 = 4.0;

/// Latencies kept to know the slow ones among them.
const RECENT: usize = 64;

/// An answer whose latency says something about others.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timed {
    /// The instant at which its request left.
    pub(super) left: Instant,
    /// The latency in seconds.
    pub(super) seconds: f64,
    pub(super) tokens: f64,
    /// Requests in flight, this one included.
    pub(super) in_flight: u32,
}

/// The verdict of a round that has just ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// About as fast as ever.
    Steady,
    /// Slower: more in flight only queue at the server.
    Slower,
}

/// Sums over the answers of a round.
#[derive(Debug, Clone, Default)]
struct Round {
    size: f64,
    answers: f64,
    seconds: f64,
    tokens: f64,
}

/// Few are in flight, for a measurement.
#[derive(Debug, Clone)]
struct Dip {
    most: f64,
    stage: DipStage,
    /// Answers whose latency says nothing.
    mute: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DipStage {
    /// More still are in flight.
    Draining,
    /// The round that is measured.
    Measuring,
}

impl Dip {
    fn new(allowed: f64, stage: DipStage) -> Self {
        Self { most: (allowed * DIP).max(1.0), stage, mute: 0.0 }
    }
}

/// The latency of a server's answers, round by round.
#[derive(Debug, Clone)]
pub(super) struct Latency {
    /// Whether latency may change how many are in flight.
    advises: bool,
    /// The best round's mean in seconds, and its mean tokens a request.
    best: Option<(f64, f64)>,
    round: Round,
    /// Rounds since it was measured without a queue.
    rounds: u32,
    dip: Option<Dip>,
    /// The number that was allowed before it was lowered for latency, until that is measured again.
    before: Option<f64>,
    /// The latency of what left before was that of another number in flight.
    since: Option<Instant>,
    recent: VecDeque<f64>,
}

impl Latency {
    /// `advises`: whether it may change how many are in flight. `learned`: how many an earlier run came to.
    pub(super) fn new(advises: bool, learned: Option<f64>) -> Self {
        Self {
            advises,
            best: None,
            round: Round::default(),
            rounds: 0,
            dip: learned.map(|learned| Dip::new(learned, DipStage::Measuring)),
            before: None,
            since: None,
            recent: VecDeque::new(),
        }
    }

    /// The best round's mean latency in seconds.
    pub(super) fn best(&self) -> Option<f64> {
        self.best.map(|(best, _)| best)
    }

    /// The number that may be in flight of those that are allowed: fewer while latency is measured.
    pub(super) fn most(&self, allowed: f64) -> f64 {
        self.dip.as_ref().map_or(allowed, |dip| dip.most.min(allowed))
    }

    /// Lets so many be in flight even while latency is measured.
    pub(super) fn make_room(&mut self, places: f64) {
        if let Some(dip) = &mut self.dip {
            dip.most = dip.most.max(places);
        }
    }

    /// Notes an answer that says nothing about others (a stream's).
    pub(super) fn mute(&mut self) {
        if let Some(dip) = &mut self.dip {
            dip.mute += 1.0;
            if dip.mute >= dip.most.max(SMALLEST_ROUND) {
                self.dip = None;
            }
        }
    }

    /// Notes an answer, and changes `allowed` where it tells to. Returns what a round says whose last answer it was.
    pub(super) fn note(&mut self, answer: Timed, allowed: &mut f64, now: Instant) -> Option<Verdict> {
        self.recent.push_back(answer.seconds);
        if self.recent.len() > RECENT {
            self.recent.pop_front();
        }
        if let Some(dip) = self.dip.as_mut().filter(|dip| {
            // The one that is answered counts as in flight still.
            dip.stage == DipStage::Draining && f64::from(answer.in_flight) <= dip.most + 1.0
        }) {
            dip.stage = DipStage::Measuring;
            self.since = Some(now);
        }
        let draining = self.dip.as_ref().is_some_and(|dip| dip.stage == DipStage::Draining);
        if draining || self.since.is_some_and(|since| answer.left < since) {
            return None;
        }
        if self.round.answers < 1.0 {
            self.round.size = self.dip.as_ref().map_or(*allowed, |dip| dip.most).max(SMALLEST_ROUND);
        }
        self.round.answers += 1.0;
        self.round.seconds += answer.seconds;
        self.round.tokens += answer.tokens;
        if self.round.answers < self.round.size {
            return None;
        }
        let Round { answers, seconds, tokens, .. } = std::mem::take(&mut self.round);
        Some(self.judge(seconds / answers, tokens / answers, allowed, now))
    }

    /// Compares a round's mean latency and mean tokens a request with the best round's.
    fn judge(&mut self, mean: f64, size: f64, allowed: &mut f64, now: Instant) -> Verdict {
        let measured = self.dip.take().is_some();
        self.rounds = if measured { 0 } else { self.rounds + 1 };
        if measured && let Some(before) = self.before.take().filter(|_| self.best().is_some_and(|best| mean > best * HOLD)) {
            // It was not the number: the server has become slower.
            *allowed = before;
        }
        // Larger requests take longer by themselves.
        let best = self.best.filter(|(_, of)| !measured && size < of * 1.5).map_or(mean, |(best, _)| best.min(mean));
        self.best = Some((best, size));
        let grown = mean / best.max(1e-6);
        if !self.advises || grown <= HOLD {
            return Verdict::Steady;
        }
        let lowered = self.before.is_some();
        if grown > LOWER && !lowered {
            self.before = Some(*allowed);
            *allowed = (*allowed * HOLD / grown).max(*allowed / 2.0).max(1.0);
            self.since = Some(now);
        } else if grown > LOWER || self.rounds >= DIP_AFTER {
            self.dip = Some(Dip::new(*allowed, DipStage::Draining));
        }
        Verdict::Slower
    }

    /// The latency that 95 of 100 answers keep to, once enough came to tell.
    pub(super) fn p95(&self) -> Option<Duration> {
        let mut sorted: Vec<f64> = self.recent.iter().copied().collect();
        sorted.sort_unstable_by(f64::total_cmp);
        let at = sorted.len() * 95 / 100;
        sorted.get(at).filter(|_| sorted.len() >= 20).map(|&latency| Duration::from_secs_f64(latency))
    }
}
