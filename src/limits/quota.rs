//! One quota a minute (of requests, or of tokens): when may the next amount be sent?
//!
//! Servers count in different ways: a window of a minute that starts on the minute or slides, a bucket that refills all
//! the time, or the same rate enforced second by second. A sender is refused by none of them if it keeps to both rules here:
//! a bucket that holds a second's worth paces what is sent, and a log of the last [`WINDOW`] never sums up to more than the
//! limit. An amount larger than the bucket leaves once the bucket is full and takes it into debt, so it is paid for by the time
//! that follows and never starves; one larger than the limit leaves when nothing else is in the window.
//!
//! A limit that is not known holds nothing back; what is sent is logged all the same, since the limit is learned from it
//! (see [`super::guess`]).

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::guess::{Guess, Past, Refusal, WINDOW_LIKE, scatter};

/// A minute as seen from here. A request that is sent 60 s after another can arrive less than 60 s after it, when the earlier
/// one was slow on its way (a TLS handshake, a retransmission): the second that is added covers that, for 1.6 % of the quota.
pub(super) const WINDOW: Duration = Duration::from_secs(61);

/// What was sent while something is measured is kept for so long.
const MEASURED: Duration = Duration::from_mins(15);

/// And no more than so much.
const MOST_MEASURED: usize = 20_000;

/// What was sent and when.
#[derive(Debug)]
struct Sent {
    at: Instant,
    id: u64,
    amount: u64,
}

/// See the module's page.
#[derive(Debug)]
pub(super) struct Quota {
    /// A minute.
    limit: Option<f64>,
    /// Whether it was declared or the server said so; else it is learned from refusals.
    told: bool,
    guess: Option<Guess>,
    /// What the bucket holds now; below 0 is debt.
    level: f64,
    filled_at: Instant,
    /// What the bucket holds at least when it is full.
    burst: u64,
    /// What left within the last [`WINDOW`] (while something is measured, [`MEASURED`]), ids ascending.
    sent: VecDeque<Sent>,
    /// So many of `sent`, the oldest, are older than [`WINDOW`].
    older: usize,
    /// The sum of the others.
    used: u64,
    /// Whether what leaves next had to wait for it.
    waited: bool,
    /// It refused what it should not have, so its bucket holds less than was thought: what is sent leaves evenly.
    even: bool,
    /// What others have used, as the server last said, and when it comes back.
    unseen: Option<(u64, Instant)>,
}

impl Quota {
    /// A quota that nobody has told yet.
    pub(super) fn unknown(now: Instant) -> Self {
        Self {
            limit: None,
            told: false,
            guess: None,
            level: 0.0,
            filled_at: now,
            burst: 0,
            sent: VecDeque::new(),
            older: 0,
            used: 0,
            waited: false,
            even: false,
            unseen: None,
        }
    }

    /// A quota of `limit` a minute (at least 1), whose bucket holds at least `burst`.
    pub(super) fn new(limit: u64, burst: u64, now: Instant) -> Self {
        let mut quota = Self::unknown(now);
        quota.set(limit, burst, now);
        quota
    }

    /// A quota that an earlier run has learned.
    pub(super) fn remembered(limit: u64, burst: u64, now: Instant) -> Self {
        Self { told: false, even: true, level: 0.0, ..Self::new(limit, burst, now) }
    }

    /// The limit a minute if it was told.
    pub(super) fn told(&self) -> Option<u64> {
        self.limit().filter(|_| self.told)
    }

    /// The limit a minute, as far as it is known.
    pub(super) fn limit(&self) -> Option<u64> {
        self.limit.map(|limit| limit as u64)
    }

    /// Forgets what was learned, to learn it anew.
    pub(super) fn forget(&mut self) {
        if !self.told {
            (self.limit, self.guess) = (None, None);
        }
    }

    /// The limit a minute that a later run may begin with: not one that is still tried.
    pub(super) fn learned(&self) -> Option<u64> {
        self.limit().filter(|_| !self.tries())
    }

    /// Makes the limit known, with a full bucket. What was sent before counts.
    pub(super) fn set(&mut self, limit: u64, burst: u64, now: Instant) {
        self.refill(now);
        self.burst = burst;
        (self.told, self.guess, self.even) = (true, None, false);
        self.limit = Some(limit.max(1) as f64);
        self.level = self.capacity();
    }

    /// Compares with what the server says is `used`: the difference was used by others. It comes back at `reset`, where the
    /// server says so, and leaves the window in any case.
    pub(super) fn note_used(&mut self, used: u64, reset: Option<Duration>, now: Instant) {
        self.refill(now);
        let Some(limit) = self.limit() else { return };
        let unseen = used.min(limit).saturating_sub(self.used);
        self.unseen = (unseen > 0).then(|| (unseen, now + reset.unwrap_or(WINDOW).min(WINDOW)));
        if unseen > 0 {
            self.level = self.level.min((limit - used.min(limit)) as f64);
        }
    }

    /// Takes what was refused out of the log, where refusals are what is learned from. (Servers that tell their limits may
    /// count what they refuse.)
    pub(super) fn uncount(&mut self, id: u64, now: Instant) {
        if !self.told {
            self.settle(id, 0, now);
        }
    }

    /// Whether a refusal teaches nothing of it, unless requests wait for it: it was told or refused before.
    pub(super) fn is_known(&self) -> bool {
        self.told || self.guess.is_some()
    }

    /// Learns from a refusal of what left at `left`. Returns for how long nothing should be sent, where something was learned.
    pub(super) fn refused(&mut self, left: Instant, asked: Option<Duration>, now: Instant) -> Option<Duration> {
        self.even |= self.limit.is_some();
        if self.told {
            return None;
        }
        let minute = Duration::from_mins(1);
        // A window that is over in so long has begun a minute before. Whole seconds may be half a second too many.
        let window = asked.filter(|asked| *asked >= WINDOW_LIKE).map_or(minute, |asked| minute.saturating_sub(asked));
        let window = if window < minute { window + Duration::from_millis(500) } else { window };
        let (count, minute) = self.accepted(left, window);
        // Too little to learn from: a refusal at the very beginning is an outage or somebody else's doing.
        if self.guess.is_none() && count < 3 {
            return None;
        }
        let since = self.guess.as_ref().map(Guess::refused_at);
        let recent = |sent: &&Sent| sent.amount > 0 && sent.at <= left && Some(sent.at) > since;
        let past = |sent: &Sent| Past { ago: (left - sent.at).as_secs_f64(), amount: sent.amount as f64 };
        let accepted = self.sent.iter().filter(recent).map(past).collect();
        let refusal = Refusal { left, heard: now, asked, minute, accepted };
        let spent = self.guess.as_ref().map(|guess| self.accepted(guess.spent_at(), Duration::from_mins(1)).1);
        let step = match &mut self.guess {
            None => {
                let (guess, step) = Guess::first(refusal, self.limit);
                self.guess = Some(guess);
                step
            }
            Some(guess) => guess.again(refusal, spent.unwrap_or(minute)),
        };
        self.limit = Some(step.limit.max(1.0));
        self.level = 0.0;
        Some(step.pause)
    }

    /// How many were accepted of what had left until `left`, `within` before that, and their sum (see [`scatter`]).
    fn accepted(&self, left: Instant, within: Duration) -> (usize, f64) {
        let from = left.checked_sub(within);
        let within = |sent: &&Sent| sent.at <= left && Some(sent.at) > from && sent.amount > 0;
        let amounts = self.sent.iter().filter(within).map(|sent| sent.amount as f64);
        (amounts.clone().count(), amounts.clone().sum::<f64>() * (1.0 + scatter(amounts)))
    }

    /// `None` when `amount` may leave now, else when to ask again.
    pub(super) fn ready_at(&mut self, amount: u64, now: Instant) -> Option<Instant> {
        self.refill(now);
        let limit = self.limit?;
        let paced = self.paced_at(amount, now);
        // What is being measured is a bucket, which does not count minutes.
        let counted = self.counted_at(amount, limit as u64).filter(|_| !self.tries());
        let ready = paced.max(counted);
        self.waited |= ready.is_some();
        ready
    }

    /// Takes `amount`, which [`Self::ready_at`] has let pass. Ids ascend from call to call.
    pub(super) fn take(&mut self, id: u64, amount: u64, now: Instant) {
        let waited = std::mem::take(&mut self.waited);
        if let (Some(guess), true) = (&mut self.guess, waited) {
            self.limit = Some(guess.climb(now));
        }
        if self.limit.is_some() {
            self.level -= amount as f64;
        }
        self.used += amount;
        self.sent.push_back(Sent { at: now, id, amount });
    }

    /// Replaces the amount that was taken as `id` by what it really was. Returns whether something came free.
    pub(super) fn settle(&mut self, id: u64, actual: u64, now: Instant) -> bool {
        self.refill(now);
        let Ok(index) = self.sent.binary_search_by_key(&id, |sent| sent.id) else { return false };
        let Some(sent) = self.sent.get_mut(index) else { return false };
        let reserved = std::mem::replace(&mut sent.amount, actual);
        if index >= self.older {
            self.used = self.used - reserved + actual;
        }
        self.level = (self.level + reserved as f64 - actual as f64).min(self.capacity());
        actual < reserved
    }

    fn rate(&self) -> f64 {
        self.limit.unwrap_or(0.0) / WINDOW.as_secs_f64()
    }

    /// Whether a limit is being measured.
    pub(super) fn tries(&self) -> bool {
        self.guess.as_ref().is_some_and(Guess::tries)
    }

    /// What the bucket holds at most: a second's worth. To leave evenly, only what makes up for a late timer.
    fn capacity(&self) -> f64 {
        if self.even || self.guess.is_some() {
            return (self.rate() / 10.0).max(1.5);
        }
        self.rate().max(self.burst as f64).max(1.0)
    }

    fn refill(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.filled_at);
        self.level = (self.level + elapsed.as_secs_f64() * self.rate()).min(self.capacity());
        self.filled_at = now;
        while let Some(sent) = self.sent.get(self.older).filter(|sent| sent.at + WINDOW <= now) {
            self.used -= sent.amount;
            self.older += 1;
        }
        let kept = if self.tries() && self.sent.len() <= MOST_MEASURED { MEASURED } else { WINDOW };
        while self.older > 0 && self.sent.front().is_some_and(|sent| sent.at + kept <= now) {
            self.sent.pop_front();
            self.older -= 1;
        }
        self.unseen = self.unseen.filter(|(_, until)| *until > now);
    }

    /// When the bucket lets `amount` pass.
    fn paced_at(&self, amount: u64, now: Instant) -> Option<Instant> {
        // A millionth of a unit: the sum of many refills is not exact, and a wait of 0 ns would spin.
        let missing = (amount as f64).min(self.capacity()) - self.level;
        (missing > 1e-6).then(|| now + Duration::from_secs_f64(missing / self.rate()))
    }

    /// When the log lets `amount` pass: when so much has left the window that the sum keeps to the limit, or nothing is left.
    fn counted_at(&self, amount: u64, limit: u64) -> Option<Instant> {
        let mut unseen = self.unseen;
        let used = self.used + unseen.map_or(0, |(amount, _)| amount);
        let mut excess = (used + amount).checked_sub(limit).filter(|&excess| excess > 0)?;
        let mut at = None;
        for sent in self.sent.iter().skip(self.older) {
            let until = sent.at + WINDOW;
            if let Some((amount, back)) = unseen.take_if(|(_, back)| *back <= until) {
                at = Some(back);
                excess = excess.saturating_sub(amount);
                if excess == 0 {
                    return at;
                }
            }
            at = Some(until);
            excess = excess.saturating_sub(sent.amount);
            if excess == 0 {
                return at;
            }
        }
        unseen.map(|(_, back)| back).or(at)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

    use super::*;

    fn secs(s: f64) -> Duration {
        Duration::from_secs_f64(s)
    }

    #[test]
    fn an_amount_above_the_limit_passes_alone() {
        let start = Instant::now();
        let mut quota = Quota::new(100, 0, start);
        assert_eq!(quota.ready_at(1, start), None);
        quota.take(1, 1, start);
        let later = start + secs(30.0);
        assert_eq!(quota.ready_at(500, later), Some(start + WINDOW), "not while the window holds anything");
        assert_eq!(quota.ready_at(500, start + WINDOW), None);
        quota.take(2, 500, start + WINDOW);
        assert!(quota.ready_at(1, start + WINDOW + secs(60.0)).unwrap() >= start + WINDOW + WINDOW, "and is paid for");
    }

    #[test]
    fn settling_gives_back_and_takes_more() {
        let start = Instant::now();
        let mut quota = Quota::new(6100, 0, start);
        quota.take(1, 100, start);
        assert!(quota.ready_at(100, start).is_some(), "the bucket of one second is empty");
        assert!(quota.settle(1, 0, start), "all came free");
        assert_eq!(quota.ready_at(100, start), None);
        quota.take(2, 100, start);
        assert!(!quota.settle(2, 300, start));
        let ready = quota.ready_at(100, start).unwrap();
        assert_eq!((ready - start).as_millis(), 3000, "two seconds of debt, one to fill");
        assert!(!quota.settle(99, 1, start), "unknown ids change nothing");
    }

    #[test]
    fn what_was_used_before_counts() {
        let start = Instant::now();
        let mut quota = Quota::new(60, 4, start);
        quota.note_used(60, None, start);
        assert_eq!(quota.ready_at(1, start), Some(start + WINDOW));
    }

    #[test]
    fn what_others_use_counts_once_and_comes_back_at_the_reset() {
        let start = Instant::now();
        let mut quota = Quota::new(600, 4, start);
        quota.take(0, 1, start);
        quota.note_used(1, None, start);
        assert_eq!(quota.ready_at(1, start), None, "that was us");
        for _ in 0..3 {
            quota.note_used(600, Some(secs(20.0)), start);
        }
        assert_eq!(quota.ready_at(1, start), Some(start + secs(20.0)));
        assert_eq!(quota.ready_at(1, start + secs(20.0)), None);
    }
}
