//! The limiter that everything in the process shares which talks to one provider.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use reqwest::header::HeaderMap;
use tokio::time::{Instant, timeout_at};

use super::bucket::BucketEstimator;
use super::concurrency::{ConcurrencyLimiter, Crowding};
use super::estimator::Refusal;
use super::headers::{RateLimits, RateWindow};
use super::permit::{Permit, QueueEntry};
use super::quota::Quota;
use super::state::{Sent, Shared, State, Wait};
use super::waiting::{Waiting, tell};
use super::{Allowed, LearnedLimits, Limits, MAX_TOKENS, Stats, Ticket};

/// The number of requests of which one may be sent a second time.
const HEDGED: u64 = 20;

/// A silence below this is no reason to send a second copy, however fast the others were.
///
/// A second copy may be billed twice, so it must be rare: it is sent when the first is most likely lost (5 times what 95 of
/// 100 answers took, and never before 10 s), and then it costs no more than what would happen anyway, a retry after the
/// timeout. Unlike a shorter timeout it does not throw away an answer that is only slow.
const LONG_SILENCE: Duration = Duration::from_secs(10);

/// A provider's limits, and the queue of those who want to talk to it. Cheap to clone; all clones are one limiter.
#[derive(Debug, Clone)]
pub struct Limiter {
    declared: Limits,
    next_ticket: Arc<AtomicU64>,
    shared: Arc<Shared>,
}

impl Limiter {
    /// A limiter that keeps to what is declared, and learns the rest.
    pub fn new(declared: Limits) -> Self {
        Self::with_learned(declared, LearnedLimits::default())
    }

    /// A limiter that begins with what an earlier run has learned ([`Self::learned`]). What is declared wins.
    pub fn with_learned(declared: Limits, learned: LearnedLimits) -> Self {
        let now = Instant::now();
        let quota = |declared: Option<u32>, learned: Option<u64>, burst: fn(u64) -> u64| {
            let mut quota = Quota::unknown(Box::<BucketEstimator>::default(), now);
            match (declared.map(u64::from), learned) {
                (Some(limit), _) => quota.set(limit, burst(limit), now),
                (None, Some(limit)) => quota.remember(limit, burst(limit)),
                (None, None) => {}
            }
            quota
        };
        let state = State {
            queue: BTreeMap::new(),
            requests: quota(declared.rpm, learned.rpm, requests_burst),
            tokens: quota(declared.tpm, learned.tpm, |_| 0),
            concurrency: ConcurrencyLimiter::new(declared.concurrency, learned.concurrency, learned.ceiling, now),
            paused_until: None,
            next_id: 0,
            stats: Stats::default(),
            learned_at: (learned != LearnedLimits::default()).then_some(now),
            quota_waited: 0.0,
            slot_waited: 0.0,
            first_waits: Waiting::Place,
            freed: Arc::default(),
        };
        Self { declared, next_ticket: Arc::default(), shared: Shared::new(state) }
    }

    /// The end of the queue. To be drawn when a request arrives, and kept for its retries.
    pub fn ticket(&self) -> Ticket {
        Ticket(self.next_ticket.fetch_add(1, Ordering::Relaxed))
    }

    /// Waits until the request that drew `ticket` may be sent, and reserves `tokens` for it. Dropping the future leaves the
    /// queue.
    pub async fn admit(&self, ticket: Ticket, tokens: u64) -> Permit {
        let tokens = tokens.min(MAX_TOKENS);
        let entry = QueueEntry::join(&self.shared, ticket);
        loop {
            let now = Instant::now();
            let (wait, first) = {
                let mut state = self.shared.lock();
                match state.try_admit(ticket, tokens, now) {
                    Ok(sent) => return Permit::new(&self.shared, sent, tokens),
                    Err(wait) => (wait, state.first_waits),
                }
            };
            tell(waiting(wait, first));
            match wait {
                Wait::Turn => entry.turn.notified().await,
                Wait::Slot => {
                    entry.turn.notified().await;
                    let mut state = self.shared.lock();
                    state.stats.slot_wait += now.elapsed();
                    state.slot_waited += now.elapsed().as_secs_f64();
                }
                Wait::Until(at) => {
                    // Whether time or news woke it, it asks again.
                    let _ = timeout_at(at, entry.turn.notified()).await;
                    let mut state = self.shared.lock();
                    state.stats.quota_wait += now.elapsed();
                    state.quota_waited += now.elapsed().as_secs_f64();
                }
                Wait::Pause(at) => {
                    let _ = timeout_at(at, entry.turn.notified()).await;
                    self.shared.lock().stats.quota_wait += now.elapsed();
                }
            }
        }
    }

    /// Waits until nobody is in the queue and a request could leave at once: until then a batch had better go on filling up.
    pub async fn ready(&self) {
        loop {
            let freed = self.shared.lock().freed.clone();
            let freed = freed.notified();
            let mut freed = std::pin::pin!(freed);
            // From here on a notification counts, before the state is looked at.
            freed.as_mut().enable();
            let (wait, first) = {
                let mut state = self.shared.lock();
                (state.is_ready(Instant::now()), state.first_waits)
            };
            if let Err(wait) = wait {
                tell(waiting(wait, first));
            }
            match wait {
                Ok(()) => return,
                Err(Wait::Until(at) | Wait::Pause(at)) => {
                    let _ = timeout_at(at, freed).await;
                }
                Err(Wait::Turn | Wait::Slot) => freed.await,
            }
        }
    }

    /// The declared limits.
    pub fn declared(&self) -> Limits {
        self.declared
    }

    /// Requests that may be in flight now.
    pub fn concurrency(&self) -> usize {
        self.shared.lock().concurrency.allowed() as usize
    }

    /// Tokens a minute, as far as they are known.
    pub fn tpm(&self) -> Option<u64> {
        self.shared.lock().tokens.limit()
    }

    /// Requests a minute, as far as they are known.
    pub fn rpm(&self) -> Option<u64> {
        self.shared.lock().requests.limit()
    }

    /// What is allowed now, and how much of it is used.
    pub fn allowed(&self) -> Allowed {
        let mut state = self.shared.lock();
        let now = Instant::now();
        let used = (state.requests.used(now), state.tokens.used(now));
        Allowed {
            rpm: state.requests.limit(),
            tpm: state.tokens.limit(),
            concurrency: state.concurrency.allowed(),
            in_flight: state.concurrency.in_flight(),
            used,
        }
    }

    /// Sends nothing before `until`: one `Retry-After` holds for the whole provider.
    pub fn pause_until(&self, until: Instant) {
        let mut state = self.shared.lock();
        state.paused_until = state.paused_until.max(Some(until));
    }

    /// Learns from an answer's headers. What is declared stays as it is declared. Returns whether a limit is new.
    pub fn observe(&self, headers: &HeaderMap) -> bool {
        let seen = RateLimits::read(headers);
        let now = Instant::now();
        let mut guard = self.shared.lock();
        let state = &mut *guard;
        let learn = |quota: &mut Quota, seen: Option<RateWindow>, burst: u64| {
            let Some(window) = seen else { return false };
            let new = quota.told() != Some(window.limit);
            if new {
                quota.set(window.limit, burst, now);
            }
            quota.note_used(window.used(), window.reset, now);
            new
        };
        let requests = seen.requests.filter(|_| self.declared.rpm.is_none());
        let tokens = seen.tokens.filter(|_| self.declared.tpm.is_none());
        let burst = requests.map_or(0, |window| requests_burst(window.limit));
        let changed = learn(&mut state.requests, requests, burst) | learn(&mut state.tokens, tokens, 0);
        if changed {
            state.wake_first();
        }
        changed
    }

    /// Counts a request that is sent again.
    pub fn count_retry(&self) {
        self.shared.lock().stats.retries += 1;
    }

    /// Notes a refusal that asks to slow down, and for how long. The first of a burst pauses all, and teaches; returns
    /// whether it did.
    pub fn throttled(&self, sent: Sent, asked: Option<Duration>) -> bool {
        let now = Instant::now();
        let mut guard = self.shared.lock();
        let state = &mut *guard;
        state.stats.throttled += 1;
        state.requests.uncount(sent.id, now);
        state.tokens.uncount(sent.id, now);
        if !state.concurrency.is_news(sent.left) {
            // It left before the first refusal was heard, and says the same.
            return false;
        }
        let crowding = state.concurrency.refused(sent.in_flight, now);
        let crowded = crowding != Crowding::No;
        let settled = state.requests.is_settled() && state.tokens.is_settled();
        // Requests wait for each other, not for what is known of the quotas.
        let bound_by_places = crowding == Crowding::Likely || crowded && state.slot_waited > state.quota_waited;
        let pause = if settled && bound_by_places {
            None
        } else {
            let refusal = Refusal { left: sent.left, heard: now, asked };
            let requests = state.requests.refused(refusal);
            let tokens = state.tokens.refused(refusal);
            requests.max(tokens)
        };
        match (pause, crowded) {
            (Some(_), _) => {
                state.concurrency.heard(now);
                state.concurrency.send_alone();
                if !state.requests.is_measuring() && !state.tokens.is_measuring() {
                    state.concurrency.forget_ceiling();
                }
            }
            (None, true) => state.concurrency.heard(now),
            (None, false) => state.concurrency.lower(0.5, now),
        }
        let learned = crowded || pause.is_some();
        if learned {
            state.learned_at.get_or_insert(now);
        }
        let until = pause.or(asked).and_then(|pause| now.checked_add(pause));
        state.paused_until = state.paused_until.max(until);
        learned
    }

    /// Notes that what left at `left` timed out, or found the server overloaded.
    pub fn overloaded(&self, left: Instant) {
        let mut state = self.shared.lock();
        if state.concurrency.is_news(left) {
            state.concurrency.lower(0.7, Instant::now());
        }
    }

    /// Notes a request that was accepted, and how long its whole answer took and for how many tokens, where that says
    /// something about others.
    pub fn answered(&self, sent: Sent, took: Option<(Duration, u64)>) {
        let mut guard = self.shared.lock();
        let state = &mut *guard;
        let tokens = took.map_or(0, |(_, tokens)| tokens.clamp(1, MAX_TOKENS));
        let paces = [(state.requests.told(), 1), (state.tokens.told(), tokens)];
        let pace =
            paces.into_iter().filter(|(_, cost)| *cost > 0).filter_map(|(told, cost)| Some(told? as f64 / 60.0 / cost as f64));
        let pace = pace.reduce(f64::min);
        if state.concurrency.answered(sent.left, sent.in_flight, took, pace, Instant::now()) {
            state.wake_first();
        }
    }

    /// After which silence a request has most likely been lost, once enough answers came to tell.
    pub fn hangs_after(&self) -> Option<Duration> {
        self.shared.lock().concurrency.p95().map(|slow| (slow * 5).max(LONG_SILENCE))
    }

    /// Whether a second copy of a request may be sent (one in 20 requests at most); counts it if so.
    pub fn may_hedge(&self, tokens: u64) -> bool {
        let stats = &mut self.shared.lock().stats;
        let may = (stats.hedged + 1) * HEDGED <= stats.requests;
        if may {
            stats.hedged += 1;
            stats.wasted += tokens.min(MAX_TOKENS);
        }
        may
    }

    /// Counts the tokens of an answer that makes no sense.
    pub fn count_wasted(&self, tokens: u64) {
        self.shared.lock().stats.wasted += tokens.min(MAX_TOKENS);
    }

    /// The limits that were learned so far, for a later run to begin with.
    pub fn learned(&self) -> LearnedLimits {
        let state = self.shared.lock();
        LearnedLimits {
            rpm: state.requests.learned().filter(|_| self.declared.rpm.is_none()),
            tpm: state.tokens.learned().filter(|_| self.declared.tpm.is_none()),
            concurrency: self.declared.concurrency.is_none().then(|| state.concurrency.allowed()),
            ceiling: state.concurrency.ceiling(),
        }
    }

    /// The requests so far.
    pub fn stats(&self) -> Stats {
        self.shared.lock().stats
    }
}

/// What somebody waits for who is told to; `first`: what the first of the queue waited for when it asked last.
fn waiting(wait: Wait, first: Waiting) -> Waiting {
    match wait {
        Wait::Turn => first,
        Wait::Slot => Waiting::Place,
        Wait::Until(_) | Wait::Pause(_) => Waiting::Quota,
    }
}

/// Below 60 a minute a second's worth is less than one request. A question needs two at once (embed, answer), so a few may
/// always leave together.
fn requests_burst(rpm: u64) -> u64 {
    (rpm / 4).min(4)
}

#[cfg(test)]
mod tests;
