//! One quota a minute (of requests, or of tokens): when may the next amount be sent?
//!
//! Servers count in different ways: a window of a minute that starts on the minute or slides, a bucket that refills all
//! the time, or the same rate enforced second by second. A sender is refused by none of them if it keeps to both rules here:
//! a bucket that holds a second's worth paces what is sent, and a log of the last [`WINDOW`] never sums up to more than the
//! limit. An amount larger than the bucket leaves once the bucket is full and takes it into debt, so it is paid for by the time
//! that follows and never starves; one larger than the limit leaves when nothing else is in the window.
//!
//! # How the limit is known
//!
//! ```text
//! any state ───────────── declared, or in a header ──▶ Told
//! Unknown ─────────────── an earlier run ────────────▶ Remembered
//! Unknown, Remembered ─── a refusal that teaches ────▶ Estimated ◀─┐
//!                                                          └────────┘ further refusals
//! Remembered, Estimated ─ after a day ───────────────▶ Unknown
//! ```
//!
//! Unknown holds nothing back. What is told is believed over any refusal: those only make that what is sent leaves evenly. What
//! an earlier run came to is kept to until a refusal corrects it. What is sent is logged in every state, since the limit is
//! learned from it, by a [`RateEstimator`].

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::bytes::{Reader, Writer};
use super::estimator::{RateEstimator, Refusal};
use super::log::{Entry, SendLog, WINDOW};

/// What could not be sent for want of somebody to allow it is made up for, at most so many seconds' worth of it,
const MADE_UP: f64 = 3.0;
/// by so much more a second.
const MAKES_UP: f64 = 0.25;
/// Requests of one question, at once: it is embedded and answered.
const QUESTION: u64 = 2;
/// No limit is larger, and no debt.
const MOST: f64 = 1e13;
/// After a longer silence nobody has waited all the time.
const SILENT: Duration = Duration::from_secs(60);

/// The way in which a limit a minute is known.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Knowledge {
    Unknown,
    Told {
        limit: f64,
        /// It refused what keeps to it, so its bucket holds less than was thought: what is sent leaves evenly.
        refused: bool,
    },
    Remembered {
        limit: f64,
    },
    Estimated {
        limit: f64,
    },
}

/// A limit a minute, with what was sent under it.
#[derive(Debug)]
pub(super) struct Quota {
    knowledge: Knowledge,
    estimator: Box<dyn RateEstimator>,
    /// The bucket's content; below 0 is debt.
    level: f64,
    filled_at: Instant,
    /// The least that a full bucket holds.
    burst: u64,
    log: SendLog,
    /// Whether what leaves next had to wait for it.
    waited: bool,
    /// The amount that others have used, as the server last said, and when it comes back.
    foreign: Option<(u64, Instant)>,
    /// Whether somebody waits who cannot ask all the time: what runs over then is made up for.
    awaited: bool,
    /// What is to be made up for.
    owed: f64,
}

impl Quota {
    /// A quota that nobody has told yet.
    pub(super) fn unknown(estimator: Box<dyn RateEstimator>, now: Instant) -> Self {
        Self {
            knowledge: Knowledge::Unknown,
            estimator,
            level: 0.0,
            filled_at: now,
            burst: 0,
            log: SendLog::default(),
            waited: false,
            foreign: None,
            awaited: false,
            owed: 0.0,
        }
    }

    /// Makes it a quota that an earlier run has learned: `limit` a minute, with a full bucket, which holds less than `burst`. (As
    /// with one that is declared, what an earlier run has sent just before is not known.)
    pub(super) fn remember(&mut self, limit: u64, burst: u64) {
        self.burst = burst;
        self.knowledge = Knowledge::Remembered { limit: limit.max(1) as f64 };
        self.level = self.capacity();
    }

    /// Makes the limit a minute known, with a full bucket that holds at least `burst`. What was sent before counts.
    pub(super) fn set(&mut self, limit: u64, burst: u64, now: Instant) {
        self.refill(now);
        self.burst = burst;
        self.estimator.reset();
        self.knowledge = Knowledge::Told { limit: limit.max(1) as f64, refused: false };
        self.level = self.capacity();
    }

    /// Makes it what is declared, unless it is already. What it held it holds, as far as there is room.
    pub(super) fn declare(&mut self, limit: u64, burst: u64, now: Instant) {
        if self.told() != Some(limit.max(1)) {
            let level = self.level;
            self.set(limit, burst, now);
            self.level = self.level.min(level);
        }
    }

    /// The limit a minute if it was told.
    pub(super) fn told(&self) -> Option<u64> {
        self.limit().filter(|_| self.is_told())
    }

    /// The limit a minute, as far as it is known.
    pub(super) fn limit(&self) -> Option<u64> {
        self.exact_limit().map(|limit| limit as u64)
    }

    /// The amount that was sent in the last minute.
    pub(super) fn used(&mut self, now: Instant) -> u64 {
        self.refill(now);
        self.log.used()
    }

    fn exact_limit(&self) -> Option<f64> {
        match self.knowledge {
            Knowledge::Unknown => None,
            Knowledge::Told { limit, .. } | Knowledge::Remembered { limit } | Knowledge::Estimated { limit } => Some(limit),
        }
    }

    fn is_told(&self) -> bool {
        matches!(self.knowledge, Knowledge::Told { .. })
    }

    fn is_estimated(&self) -> bool {
        matches!(self.knowledge, Knowledge::Estimated { .. })
    }

    /// Whether a limit is being measured.
    pub(super) fn is_measuring(&self) -> bool {
        self.is_estimated() && self.estimator.is_measuring()
    }

    /// Whether a refusal teaches nothing of it, unless requests wait for it: it was told, or refused before.
    pub(super) fn is_settled(&self) -> bool {
        self.is_told() || self.is_estimated()
    }

    /// Forgets what was learned, to learn it anew.
    pub(super) fn forget(&mut self) {
        if !self.is_told() {
            self.knowledge = Knowledge::Unknown;
            self.estimator.reset();
        }
    }

    /// The limit a minute that a later run may begin with: not one that is still measured.
    pub(super) fn learned(&self) -> Option<u64> {
        self.limit().filter(|_| !self.is_measuring())
    }

    /// Compares with what the server says is `used`: the difference was used by others. It comes back at `reset`, where the
    /// server says so, and leaves the window in any case.
    pub(super) fn note_used(&mut self, used: u64, reset: Option<Duration>, now: Instant) {
        self.refill(now);
        let Some(limit) = self.limit() else { return };
        let foreign = used.min(limit).saturating_sub(self.log.used());
        self.foreign = (foreign > 0).then(|| (foreign, now + reset.unwrap_or(WINDOW).min(WINDOW)));
        if foreign > 0 {
            self.level = self.level.min((limit - used.min(limit)) as f64);
        }
    }

    /// Takes what was refused out of the log, where refusals are what is learned from. (Servers that tell their limits may
    /// count what they refuse.)
    pub(super) fn uncount(&mut self, id: u64, now: Instant) {
        if !self.is_told() {
            self.settle(id, 0, now);
        }
    }

    /// Learns from a refusal. Returns for how long nothing should be sent, where something was learned.
    pub(super) fn refused(&mut self, refusal: Refusal) -> Option<Duration> {
        let believed = match &mut self.knowledge {
            Knowledge::Told { refused, .. } => {
                *refused = true;
                return None;
            }
            Knowledge::Remembered { limit } => Some(*limit),
            Knowledge::Unknown | Knowledge::Estimated { .. } => None,
        };
        let estimate = self.estimator.refused(refusal, &self.log, believed)?;
        self.knowledge = Knowledge::Estimated { limit: estimate.limit.max(1.0) };
        self.level = 0.0;
        Some(estimate.pause)
    }

    /// `None` when `amount` may leave now, else when to ask again.
    pub(super) fn ready_at(&mut self, amount: u64, now: Instant) -> Option<Instant> {
        self.ready_after(0, amount, now)
    }

    /// The same, once `ahead` has left, too.
    pub(super) fn ready_after(&mut self, ahead: u64, amount: u64, now: Instant) -> Option<Instant> {
        self.refill(now);
        let limit = self.limit()?;
        let paced = self.paced_at(ahead, amount, now);
        // What is being measured is a bucket, which does not count minutes.
        let counted = self.counted_at(ahead.saturating_add(amount), limit).filter(|_| !self.is_measuring());
        let ready = paced.max(counted);
        self.waited |= ready.is_some();
        ready
    }

    /// Takes `amount`, which [`Self::ready_at`] has let pass. Ids ascend from call to call.
    pub(super) fn take(&mut self, id: u64, amount: u64, now: Instant) {
        let waited = std::mem::take(&mut self.waited);
        if let (Knowledge::Estimated { limit }, true) = (&mut self.knowledge, waited) {
            *limit = self.estimator.raise(*limit, now);
        }
        if self.knowledge != Knowledge::Unknown {
            self.level -= amount as f64;
        }
        self.log.push(id, amount, now);
    }

    /// Replaces the amount that was taken as `id` by what it really was. Returns whether something came free.
    pub(super) fn settle(&mut self, id: u64, actual: u64, now: Instant) -> bool {
        self.refill(now);
        let Some(reserved) = self.log.replace(id, actual) else { return false };
        self.level = (self.level + reserved as f64 - actual as f64).min(self.capacity());
        actual < reserved
    }

    /// The same of what may have been told together with others, in a log that was made short.
    pub(super) fn correct(&mut self, id: u64, reserved: u64, actual: u64, now: Instant) {
        self.refill(now);
        if self.log.correct(id, reserved, actual) {
            self.level = (self.level + reserved as f64 - actual as f64).min(self.capacity());
        }
    }

    /// Takes what has left already.
    pub(super) fn restore(&mut self, id: u64, amount: u64, at: Instant) {
        if self.knowledge != Knowledge::Unknown {
            self.level -= amount as f64;
        }
        self.log.insert(Entry { at, id, amount });
    }

    /// Whether somebody waits who cannot ask all the time.
    pub(super) fn await_more(&mut self, awaited: bool) {
        self.awaited = awaited;
        if !awaited {
            self.owed = 0.0;
        }
    }

    /// How many of `amount` may leave a second, where that is known.
    pub(super) fn pace(&self, amount: u64) -> Option<f64> {
        self.exact_limit().filter(|_| amount > 0).map(|_| self.rate() / amount as f64)
    }

    /// A second.
    fn rate(&self) -> f64 {
        self.exact_limit().unwrap_or(0.0) / WINDOW.as_secs_f64()
    }

    /// The bucket's size: a second's worth. To leave evenly, only what makes up for a late timer; of what an earlier run has
    /// learned, what one question needs.
    fn capacity(&self) -> f64 {
        let even = (self.rate() / 10.0).max(1.5);
        match self.knowledge {
            Knowledge::Told { refused: false, .. } => self.rate().max(self.burst as f64).max(1.0),
            Knowledge::Remembered { .. } => even.max(self.burst.min(QUESTION) as f64),
            _ => even,
        }
    }

    fn refill(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.filled_at);
        let seconds = elapsed.as_secs_f64();
        let made_up = self.owed.min(seconds * self.rate() * MAKES_UP);
        self.owed -= made_up;
        let level = self.level + seconds * self.rate() + made_up;
        self.level = level.min(self.capacity());
        if self.awaited && elapsed < SILENT {
            // What it was told to hold is all that a server has whose bucket is small.
            let most = if self.capacity() >= self.rate() { MADE_UP * self.rate() } else { 0.0 };
            self.owed = (self.owed + level - self.level).min(most);
        }
        self.filled_at = now;
        self.log.expire(self.is_measuring(), now);
        self.foreign = self.foreign.filter(|(_, until)| *until > now);
    }

    /// The instant from which the bucket lets `amount` pass, once `ahead` has left.
    fn paced_at(&self, ahead: u64, amount: u64, now: Instant) -> Option<Instant> {
        // A millionth of a unit: the sum of many refills is not exact, and a wait of 0 ns would spin.
        let missing = ahead as f64 + (amount as f64).min(self.capacity()) - self.level;
        (missing > 1e-6).then(|| now + Duration::from_secs_f64(missing / self.rate()))
    }

    /// The instant from which the log lets `amount` pass: when so much has left the window that the sum keeps to the limit, or
    /// nothing is left.
    fn counted_at(&self, amount: u64, limit: u64) -> Option<Instant> {
        let mut foreign = self.foreign;
        let used = self.log.used() + foreign.map_or(0, |(amount, _)| amount);
        let mut excess = (used + amount).checked_sub(limit).filter(|&excess| excess > 0)?;
        let mut at = None;
        for entry in self.log.window() {
            let until = entry.at + WINDOW;
            if let Some((amount, back)) = foreign.take_if(|(_, back)| *back <= until) {
                at = Some(back);
                excess = excess.saturating_sub(amount);
                if excess == 0 {
                    return at;
                }
            }
            at = Some(until);
            excess = excess.saturating_sub(entry.amount);
            if excess == 0 {
                return at;
            }
        }
        foreign.map(|(_, back)| back).or(at)
    }
}

/// What is kept of a quota that several share.
impl Quota {
    /// Makes the log short, and tells it. Ids are microseconds; `instant` tells their times.
    pub(super) fn short_log(&mut self, instant: impl Fn(u64) -> Instant) -> &SendLog {
        self.log.shorten(instant);
        &self.log
    }

    /// Writes all but the log.
    pub(super) fn save(&self, to: &mut Writer) {
        let (tag, limit) = match self.knowledge {
            Knowledge::Unknown => (0, None),
            Knowledge::Told { limit, refused: false } => (1, Some(limit)),
            Knowledge::Told { limit, refused: true } => (2, Some(limit)),
            Knowledge::Remembered { limit } => (3, Some(limit)),
            Knowledge::Estimated { limit } => (4, Some(limit)),
        };
        to.byte(tag);
        to.option(limit, Writer::float);
        to.float(self.level);
        to.instant(self.filled_at);
        to.number(self.burst);
        to.byte(u8::from(self.waited) | u8::from(self.awaited) << 1);
        to.float(self.owed);
        to.option(self.foreign, |to, (amount, back)| {
            to.number(amount);
            to.instant(back);
        });
        self.estimator.save(to);
    }

    /// What was written, with its log, at the reader's time.
    pub(super) fn load(from: &mut Reader<'_>, estimator: LoadEstimator, log: VecDeque<Entry>) -> Option<Self> {
        let tag = from.byte()?;
        let limit = from.option(Reader::float)?;
        let known = || limit.filter(|limit| (1.0..=MOST).contains(limit));
        let knowledge = match tag {
            0 => Knowledge::Unknown,
            1 => Knowledge::Told { limit: known()?, refused: false },
            2 => Knowledge::Told { limit: known()?, refused: true },
            3 => Knowledge::Remembered { limit: known()? },
            4 => Knowledge::Estimated { limit: known()? },
            _ => return None,
        };
        let (level, filled_at, burst, flags, owed) =
            (from.float()?, from.instant()?, from.number()?, from.byte()?, from.float()?);
        let foreign = from.option(|from| Some((from.number()?, from.instant()?)))?;
        let quota = Self {
            knowledge,
            estimator: estimator(from)?,
            level: level.clamp(-MOST, MOST),
            filled_at: filled_at.min(from.clock.now),
            burst,
            log: SendLog::from_entries(log),
            waited: flags & 1 != 0,
            foreign,
            awaited: flags & 2 != 0,
            owed: owed.clamp(0.0, MOST),
        };
        Some(quota)
    }

    /// A quota of which nothing is left for a minute, whatever it is.
    pub(super) fn spend(&mut self, id: u64, now: Instant) {
        self.refill(now);
        let limit = self.limit().unwrap_or(0);
        self.level = 0.0;
        self.log.insert(Entry { at: now, id, amount: limit });
    }
}

/// Reads what an estimator has written.
pub(super) type LoadEstimator = fn(&mut Reader<'_>) -> Option<Box<dyn RateEstimator>>;

#[cfg(test)]
mod tests;
