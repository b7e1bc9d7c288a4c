//! Limits of a provider: requests and tokens a minute, requests in flight. One [`Limiter`] a provider, shared by
//! everything in the process that talks to it.
//!
//! First come, first served: a request draws a [`Ticket`] when it arrives and only the oldest ticket in the queue may leave.
//! A retry keeps its ticket and so its place. Tokens are reserved before sending and settled by what the answer says
//! ([`Charge::settle`]). Dropping whatever waits or is in flight gives its place free.

mod headers;
mod quota;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::header::HeaderMap;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::pipeline::Limits;
use headers::Seen;
use quota::Quota;

pub(crate) use headers::parse_duration;

/// Requests in flight where the plan does not say.
const DEFAULT_CONCURRENCY: u32 = 32;

/// The tokens a single request can be charged with: no request has so many, and a server that claims it must not stop a run
/// for good.
const MAX_CHARGE: u64 = 10_000_000;

/// A place in the queue. The smallest goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(u64);

/// What a provider was asked so far. Cheap to take, and to be subtracted from a later one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Requests sent, retries included.
    pub requests: u64,
    /// Requests sent again.
    pub retries: u64,
    /// Refusals that asked to slow down (429).
    pub throttled: u64,
    /// Tokens, as billed where the provider says so, else as reserved.
    pub tokens: u64,
    /// Wall time during which a request was ready and the quota (or a pause that the provider asked for) held it back. Close
    /// to the run's own time: the quota is the bottleneck.
    pub quota_wait: Duration,
    /// Wall time during which a request was ready and those in flight were too many. Close to the run's own time: the
    /// provider's latency is the bottleneck, and a higher `concurrency` may help.
    pub slot_wait: Duration,
}

impl std::ops::AddAssign for Stats {
    fn add_assign(&mut self, other: Self) {
        self.requests += other.requests;
        self.retries += other.retries;
        self.throttled += other.throttled;
        self.tokens += other.tokens;
        self.quota_wait += other.quota_wait;
        self.slot_wait += other.slot_wait;
    }
}

/// See the module's page.
#[derive(Debug)]
pub struct Limiter {
    declared: Limits,
    next_ticket: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Who waits, with what wakes them.
    queue: BTreeMap<Ticket, Arc<Notify>>,
    requests: Option<Quota>,
    tokens: Option<Quota>,
    in_flight: u32,
    /// What may be in flight: halved by a refusal, and raised again by a request's worth for each round of answers (as TCP
    /// does it, additive increase and multiplicative decrease), from 1 to `most_in_flight`. Without it, a provider that
    /// tells no limits would refuse the same burst after every pause.
    concurrency: f64,
    most_in_flight: f64,
    /// A refusal of what left before this was caused by the old `concurrency`.
    lowered_at: Option<Instant>,
    paused_until: Option<Instant>,
    next_charge: u64,
    stats: Stats,
}

/// Why a ticket may not leave yet.
enum Wait {
    /// Others are before it.
    Turn,
    /// Too many are in flight.
    Slot,
    /// Not before this instant.
    Until(Instant),
}

impl State {
    fn wake_first(&self) {
        if let Some(turn) = self.queue.values().next() {
            turn.notify_one();
        }
    }

    fn try_admit(&mut self, ticket: Ticket, tokens: u64, now: Instant) -> Result<u64, Wait> {
        if self.queue.keys().next().is_some_and(|&first| first < ticket) {
            return Err(Wait::Turn);
        }
        if f64::from(self.in_flight) + 1.0 > self.concurrency {
            return Err(Wait::Slot);
        }
        let paused = self.paused_until.filter(|&until| until > now);
        let requests = self.requests.as_mut().and_then(|quota| quota.ready_at(1, now));
        let tokens_ready = self.tokens.as_mut().and_then(|quota| quota.ready_at(tokens, now));
        if let Some(at) = paused.max(requests).max(tokens_ready) {
            return Err(Wait::Until(at));
        }
        let id = self.next_charge;
        self.next_charge += 1;
        if let Some(quota) = &mut self.requests {
            quota.take(id, 1, now);
        }
        if let Some(quota) = &mut self.tokens {
            quota.take(id, tokens, now);
        }
        self.in_flight += 1;
        self.stats.requests += 1;
        self.stats.tokens += tokens;
        Ok(id)
    }
}

impl Limiter {
    /// A limiter that keeps to what is declared, and learns the rest from [`Self::observe`].
    pub fn new(declared: Limits) -> Arc<Self> {
        let now = Instant::now();
        let most_in_flight = f64::from(declared.concurrency.unwrap_or(DEFAULT_CONCURRENCY).max(1));
        let state = State {
            queue: BTreeMap::new(),
            requests: declared.rpm.map(|rpm| requests_quota(rpm.into(), now)),
            tokens: declared.tpm.map(|tpm| Quota::new(tpm.into(), 0, now)),
            in_flight: 0,
            concurrency: most_in_flight,
            most_in_flight,
            lowered_at: None,
            paused_until: None,
            next_charge: 0,
            stats: Stats::default(),
        };
        Arc::new(Self { declared, next_ticket: AtomicU64::new(0), state: Mutex::new(state) })
    }

    /// The end of the queue. To be drawn when a request arrives, and kept for its retries.
    pub fn ticket(&self) -> Ticket {
        Ticket(self.next_ticket.fetch_add(1, Ordering::Relaxed))
    }

    /// Waits until the request that drew `ticket` may be sent, and reserves `tokens` for it.
    pub async fn admit(self: &Arc<Self>, ticket: Ticket, tokens: u64) -> Permit {
        let tokens = tokens.min(MAX_CHARGE);
        let place = Place::take(self, ticket);
        loop {
            let now = Instant::now();
            let wait = match self.state().try_admit(ticket, tokens, now) {
                Ok(id) => {
                    let slot = Slot { limiter: self.clone() };
                    return Permit { charge: Charge { limiter: self.clone(), id, reserved: tokens }, slot };
                }
                Err(wait) => wait,
            };
            match wait {
                Wait::Turn => place.turn.notified().await,
                Wait::Slot => {
                    place.turn.notified().await;
                    self.state().stats.slot_wait += now.elapsed();
                }
                Wait::Until(at) => {
                    // Whether time or news woke it, it asks again.
                    let _ = tokio::time::timeout_at(at, place.turn.notified()).await;
                    self.state().stats.quota_wait += now.elapsed();
                }
            }
        }
    }

    /// Sends nothing before `until`: one `Retry-After` holds for the whole provider.
    pub fn pause_until(&self, until: Instant) {
        let mut state = self.state();
        state.paused_until = state.paused_until.max(Some(until));
    }

    /// Learns from an answer's headers. What is declared stays as it is declared.
    ///
    /// Now the limits alone are learned, the newest answer's. Room for more (remaining and reset, keeping what was learned) is
    /// here.
    pub fn observe(&self, headers: &HeaderMap) {
        let seen = Seen::read(headers);
        let now = Instant::now();
        let mut guard = self.state();
        let state = &mut *guard;
        let mut changed = false;
        if let (None, Some(window)) = (self.declared.rpm, seen.requests)
            && state.requests.as_ref().is_none_or(|quota| quota.limit() != window.limit)
        {
            let quota = state.requests.insert(requests_quota(window.limit, now));
            quota.charge_unseen(state.next_charge, window.used(), now);
            changed = true;
        }
        if let (None, Some(window)) = (self.declared.tpm, seen.tokens)
            && state.tokens.as_ref().is_none_or(|quota| quota.limit() != window.limit)
        {
            let quota = state.tokens.insert(Quota::new(window.limit, 0, now));
            quota.charge_unseen(state.next_charge, window.used(), now);
            changed = true;
        }
        if changed {
            state.next_charge += 1;
            state.wake_first();
        }
    }

    /// Counts a request that is sent again.
    pub fn count_retry(&self) {
        self.state().stats.retries += 1;
    }

    /// Notes a refusal that asks to slow down, of a request that left at `left`.
    pub fn throttled(&self, left: Instant) {
        let mut state = self.state();
        state.stats.throttled += 1;
        if state.lowered_at.is_none_or(|lowered| left > lowered) {
            state.concurrency = (state.concurrency / 2.0).max(1.0);
            state.lowered_at = Some(Instant::now());
        }
    }

    /// Notes a request that was accepted.
    pub fn accepted(&self) {
        let mut state = self.state();
        if state.concurrency < state.most_in_flight {
            state.concurrency = (state.concurrency + 1.0 / state.concurrency).min(state.most_in_flight);
            state.wake_first();
        }
    }

    /// What was asked so far.
    pub fn stats(&self) -> Stats {
        self.state().stats
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic while it was held leaves counters that are off by one request at most.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Below 60 a minute a second's worth is less than one request. A question needs two at once (embed, answer), so a few may
/// always leave together.
fn requests_quota(rpm: u64, now: Instant) -> Quota {
    Quota::new(rpm, (rpm / 4).min(4), now)
}

/// A place in the queue; dropping it lets the next one ask.
struct Place<'a> {
    limiter: &'a Limiter,
    ticket: Ticket,
    turn: Arc<Notify>,
}

impl<'a> Place<'a> {
    fn take(limiter: &'a Limiter, ticket: Ticket) -> Self {
        let turn = Arc::new(Notify::new());
        limiter.state().queue.insert(ticket, turn.clone());
        Self { limiter, ticket, turn }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut state = self.limiter.state();
        state.queue.remove(&self.ticket);
        state.wake_first();
    }
}

/// Leave to send one request.
#[derive(Debug)]
pub struct Permit {
    /// What was reserved.
    pub charge: Charge,
    /// A place among those in flight, to be held until the answer is complete.
    pub slot: Slot,
}

/// A place among the requests in flight; dropping it frees it.
#[derive(Debug)]
pub struct Slot {
    limiter: Arc<Limiter>,
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut state = self.limiter.state();
        state.in_flight = state.in_flight.saturating_sub(1);
        state.wake_first();
    }
}

/// Tokens that were reserved for a request. Dropped unsettled, the reservation stands: failed requests count as well.
#[derive(Debug)]
pub struct Charge {
    limiter: Arc<Limiter>,
    id: u64,
    reserved: u64,
}

impl Charge {
    /// Replaces what was reserved by what the provider says it was.
    pub fn settle(self, tokens: u64) {
        let tokens = tokens.min(MAX_CHARGE);
        let mut guard = self.limiter.state();
        let state = &mut *guard;
        state.stats.tokens = (state.stats.tokens + tokens).saturating_sub(self.reserved);
        if state.tokens.as_mut().is_some_and(|quota| quota.settle(self.id, tokens, Instant::now())) {
            state.wake_first();
        }
    }
}

#[cfg(test)]
mod tests;
