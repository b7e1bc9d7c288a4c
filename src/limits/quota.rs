//! One quota a minute (of requests, or of tokens): when may the next amount be sent?
//!
//! Servers count in different ways: a window of a minute that starts on the minute or slides, a bucket that refills all
//! the time, or the same rate enforced second by second. A sender is refused by none of them if it keeps to both rules here:
//! a bucket that holds a second's worth paces what is sent, and a log of the last [`WINDOW`] never sums up to more than the
//! limit. An amount larger than the bucket leaves once the bucket is full and takes it into debt, so it is paid for by the time
//! that follows and never starves; one larger than the limit leaves when nothing else is in the window.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// A minute as seen from here. A request that is sent 60 s after another can arrive less than 60 s after it, when the earlier
/// one was slow on its way (a TLS handshake, a retransmission): the second that is added covers that, for 1.6 % of the quota.
pub(super) const WINDOW: Duration = Duration::from_secs(61);

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
    limit: u64,
    /// What the bucket holds now; below 0 is debt.
    level: f64,
    filled_at: Instant,
    /// What the bucket holds at most.
    capacity: f64,
    /// What left within the last [`WINDOW`], ids ascending.
    sent: VecDeque<Sent>,
    /// The sum of `sent`.
    used: u64,
}

impl Quota {
    /// A quota of `limit` a minute (at least 1), whose bucket holds at least `burst`.
    pub(super) fn new(limit: u64, burst: u64, now: Instant) -> Self {
        let limit = limit.max(1);
        let capacity = (limit as f64 / WINDOW.as_secs_f64()).max(burst as f64).max(1.0);
        Self { limit, level: capacity, filled_at: now, capacity, sent: VecDeque::new(), used: 0 }
    }

    /// The limit a minute.
    pub(super) fn limit(&self) -> u64 {
        self.limit
    }

    /// Counts what others, or we before this quota was known, are said to have used.
    pub(super) fn charge_unseen(&mut self, id: u64, amount: u64, now: Instant) {
        let amount = amount.min(self.limit);
        self.level = self.level.min((self.limit - amount) as f64);
        self.log(id, amount, now);
    }

    /// `None` when `amount` may leave now, else when to ask again.
    pub(super) fn ready_at(&mut self, amount: u64, now: Instant) -> Option<Instant> {
        self.refill(now);
        let paced = self.paced_at(amount, now);
        let counted = self.counted_at(amount);
        paced.max(counted)
    }

    /// Takes `amount`, which [`Self::ready_at`] has let pass. Ids ascend from call to call.
    pub(super) fn take(&mut self, id: u64, amount: u64, now: Instant) {
        self.level -= amount as f64;
        self.log(id, amount, now);
    }

    /// Replaces the amount that was taken as `id` by what it really was. Returns whether something came free.
    pub(super) fn settle(&mut self, id: u64, actual: u64, now: Instant) -> bool {
        self.refill(now);
        let Ok(index) = self.sent.binary_search_by_key(&id, |sent| sent.id) else { return false };
        let Some(sent) = self.sent.get_mut(index) else { return false };
        let reserved = std::mem::replace(&mut sent.amount, actual);
        self.used = self.used - reserved + actual;
        self.level = (self.level + reserved as f64 - actual as f64).min(self.capacity);
        actual < reserved
    }

    fn log(&mut self, id: u64, amount: u64, now: Instant) {
        self.used += amount;
        self.sent.push_back(Sent { at: now, id, amount });
    }

    fn rate(&self) -> f64 {
        self.limit as f64 / WINDOW.as_secs_f64()
    }

    fn refill(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.filled_at);
        self.level = (self.level + elapsed.as_secs_f64() * self.rate()).min(self.capacity);
        self.filled_at = now;
        while self.sent.front().is_some_and(|sent| sent.at + WINDOW <= now) {
            if let Some(sent) = self.sent.pop_front() {
                self.used -= sent.amount;
            }
        }
    }

    /// When the bucket lets `amount` pass.
    fn paced_at(&self, amount: u64, now: Instant) -> Option<Instant> {
        // A millionth of a unit: the sum of many refills is not exact, and a wait of 0 ns would spin.
        let missing = (amount as f64).min(self.capacity) - self.level;
        (missing > 1e-6).then(|| now + Duration::from_secs_f64(missing / self.rate()))
    }

    /// When the log lets `amount` pass: when so much has left the window that the sum keeps to the limit, or nothing is left.
    fn counted_at(&self, amount: u64) -> Option<Instant> {
        let mut excess = (self.used + amount).checked_sub(self.limit).filter(|&excess| excess > 0)?;
        let mut at = None;
        for sent in &self.sent {
            at = Some(sent.at + WINDOW);
            excess = excess.saturating_sub(sent.amount);
            if excess == 0 {
                break;
            }
        }
        at
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
        quota.charge_unseen(0, 60, start);
        assert_eq!(quota.ready_at(1, start), Some(start + WINDOW));
    }
}
