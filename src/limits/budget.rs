//! What all share who talk to one provider: its quotas, what was sent under them, and the pauses it asked for.
//!
//! In one process it stands in the limiter's own state, behind the lock of that. Workers on several machines share one that is
//! kept elsewhere (see `exclusive.rs`): each visit loads it, does with it what a limiter does with its own, and saves it.

use std::time::Duration;

use tokio::time::Instant;

use super::bucket::BucketEstimator;
use super::headers::{RateLimits, RateWindow};
use super::quota::Quota;
use super::{Known, LearnedLimits, Limits};

/// The time for which what was learned is believed, from when the first of it was: limits change with what a customer pays, and
/// one that was raised would never be noticed by keeping to it. Then all of it is learned anew, for a few refusals a day.
pub(super) const BELIEVED: Duration = Duration::from_hours(24);

/// The quotas of a provider, and what is known of them.
#[derive(Debug)]
pub(super) struct Budget {
    pub(super) requests: Quota,
    pub(super) tokens: Quota,
    pub(super) paused_until: Option<Instant>,
    /// The last refusal that taught: what left before it says nothing new.
    pub(super) heard_at: Option<Instant>,
    /// The instant at which the first of what is known now was learned.
    pub(super) learned_at: Option<Instant>,
    pub(super) next_id: u64,
}

impl Budget {
    /// A budget with full buckets. What is declared wins over what an earlier run has learned.
    pub(super) fn new(declared: Limits, learned: LearnedLimits, now: Instant) -> Self {
        let quota = |declared: Option<u32>, learned: Option<u64>, burst: fn(u64) -> u64| {
            let mut quota = Quota::unknown(Box::<BucketEstimator>::default(), now);
            match (declared.map(u64::from), learned) {
                (Some(limit), _) => quota.set(limit, burst(limit), now),
                (None, Some(limit)) => quota.remember(limit, burst(limit)),
                (None, None) => {}
            }
            quota
        };
        Self {
            requests: quota(declared.rpm, learned.rpm, requests_burst),
            tokens: quota(declared.tpm, learned.tpm, |_| 0),
            paused_until: None,
            heard_at: None,
            learned_at: (learned != LearnedLimits::default()).then_some(now),
            next_id: 0,
        }
    }

    /// How the limits are known.
    pub(super) fn known(&self) -> Known {
        if self.requests.told().or(self.tokens.told()).is_some() {
            Known::Told
        } else if self.is_unknown() {
            Known::Assumed
        } else {
            Known::Learned
        }
    }

    /// Whether no limit is known.
    pub(super) fn is_unknown(&self) -> bool {
        self.requests.limit().is_none() && self.tokens.limit().is_none()
    }

    /// Forgets what was learned too long ago. Returns whether it did.
    pub(super) fn forget_old(&mut self, now: Instant) -> bool {
        let old = self.learned_at.is_some_and(|at| now.saturating_duration_since(at) > BELIEVED);
        if old {
            self.requests.forget();
            self.tokens.forget();
            self.learned_at = None;
        }
        old
    }

    /// Takes a request of so many tokens, which both quotas have let pass. Returns its id.
    pub(super) fn take(&mut self, tokens: u64, now: Instant) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        self.requests.take(id, 1, now);
        self.tokens.take(id, tokens, now);
        id
    }

    /// Learns from an answer's headers. What is declared stays as it is declared. Returns whether a limit is new.
    pub(super) fn observed(&mut self, seen: RateLimits, declared: Limits, now: Instant) -> bool {
        let learn = |quota: &mut Quota, seen: Option<RateWindow>, burst: u64| {
            let Some(window) = seen else { return false };
            let new = quota.told() != Some(window.limit);
            if new {
                quota.set(window.limit, burst, now);
            }
            quota.note_used(window.used(), window.reset, now);
            new
        };
        let requests = seen.requests.filter(|_| declared.rpm.is_none());
        let tokens = seen.tokens.filter(|_| declared.tpm.is_none());
        let burst = requests.map_or(0, |window| requests_burst(window.limit));
        learn(&mut self.requests, requests, burst) | learn(&mut self.tokens, tokens, 0)
    }

    /// What is declared holds, whatever others have found or declared.
    pub(super) fn declare(&mut self, declared: Limits, now: Instant) {
        if let Some(rpm) = declared.rpm {
            self.requests.declare(rpm.into(), requests_burst(rpm.into()), now);
        }
        if let Some(tpm) = declared.tpm {
            self.tokens.declare(tpm.into(), 0, now);
        }
    }

    /// When so many requests of so many tokens together may leave, once others have; `None`: now.
    pub(super) fn ready_after(
        &mut self,
        (requests_ahead, tokens_ahead): (u64, u64),
        requests: u64,
        tokens: u64,
        now: Instant,
    ) -> Option<Instant> {
        let requests = self.requests.ready_after(requests_ahead, requests, now);
        let tokens = self.tokens.ready_after(tokens_ahead, tokens, now);
        self.paused_until.filter(|until| *until > now).max(requests).max(tokens)
    }

    /// How many requests like one of so many tokens leave together if they leave `times` a second.
    pub(super) fn together(&self, tokens: u64, times: f64) -> usize {
        let paces = [self.requests.pace(1), self.tokens.pace(tokens)];
        let pace = paces.into_iter().flatten().fold(f64::INFINITY, f64::min);
        if pace.is_finite() { (pace / times).ceil().max(1.0) as usize } else { 1 }
    }

    /// Takes what has left already, as far as is known.
    pub(super) fn restore(&mut self, id: u64, tokens: u64, at: Instant) {
        self.requests.restore(id, 1, at);
        self.tokens.restore(id, tokens, at);
    }

    /// Counts what may have been let go within a time of which nobody tells: as much as is let go while many wait.
    pub(super) fn lose(&mut self, long: Duration, id: u64, at: Instant) -> (u64, u64) {
        let worth = |quota: &Quota| quota.pace(1).map_or(0, |pace| (pace * long.as_secs_f64()) as u64);
        let lost = (worth(&self.requests), worth(&self.tokens));
        self.requests.restore(id, lost.0, at);
        self.tokens.restore(id, lost.1, at);
        lost
    }

    /// Takes back a request that was not sent.
    pub(super) fn give_back(&mut self, id: u64, tokens: u64, now: Instant) {
        self.requests.correct(id, 1, 0, now);
        self.tokens.correct(id, tokens, 0, now);
    }

    /// Takes what was refused out of what was sent, where limits are learned from that.
    pub(super) fn uncount(&mut self, id: u64, tokens: u64, now: Instant) {
        if self.requests.told().is_none() {
            self.requests.correct(id, 1, 0, now);
        }
        if self.tokens.told().is_none() {
            self.tokens.correct(id, tokens, 0, now);
        }
    }

    /// Sends nothing before `until`.
    pub(super) fn pause(&mut self, until: Option<Instant>) {
        self.paused_until = self.paused_until.max(until);
    }
}

/// Below 60 a minute a second's worth is less than one request. A question needs two at once (embed, answer), so a few may
/// always leave together.
fn requests_burst(rpm: u64) -> u64 {
    (rpm / 4).min(4)
}
