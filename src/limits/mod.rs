//! Limits of a provider: requests and tokens a minute, requests in flight. One [`Limiter`] a provider, shared by
//! everything in the process that talks to it.
//!
//! First come, first served: a request draws a [`Ticket`] when it arrives and only the oldest ticket in the queue may leave.
//! A retry keeps its ticket and so its place. Tokens are reserved before sending and settled by what the answer says
//! ([`Charge::settle`]). Dropping whatever waits or is in flight gives its place free.
//!
//! What is declared is kept to. What is not is taken from the headers of answers ([`headers`]); without those it is learned
//! from refusals ([`guess`]) and latencies ([`flight`]), and kept for the next run ([`memory`]).

mod flight;
mod guess;
mod headers;
mod memory;
mod permit;
mod quota;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::header::HeaderMap;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::sync::Notify;
use tokio::time::Instant;

use flight::Flight;
use headers::{Seen, Window};
use permit::Place;
use quota::Quota;

pub(crate) use headers::parse_duration;
pub(crate) use memory::Memory;
pub use permit::{Charge, Permit, Sent, Slot};

/// The tokens a single request can be charged with: no request has so many, and a server that claims it must not stop a run
/// for good.
const MAX_CHARGE: u64 = 10_000_000;

/// Of so many requests one may be sent a second time.
const HEDGED: u64 = 20;

/// For so long what was learned is believed, from when the first of it was: limits change with what a customer pays, and one
/// that was raised would never be noticed by keeping to it. Then all of it is learned anew, for a few refusals a day.
const LASTS: Duration = Duration::from_hours(24);

/// What a wait counts for after each request that leaves.
const WAITS_COUNT: f64 = 0.9;

/// A silence below this is no reason to send a second copy, however fast the others were.
///
/// A second copy may be billed twice, so it must be rare: it is sent when the first is most likely lost (5 times what 95 of
/// 100 answers took, and never before 10 s), and then it costs no more than what would happen anyway, a retry after the
/// timeout. Unlike a shorter timeout it does not throw away an answer that is only slow.
const LONG_SILENCE: Duration = Duration::from_secs(10);

/// A provider's quota.
// What is not declared (`None`) is learned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "limits")]
pub struct Limits {
    /// Requests a minute.
    #[schemars(range(min = 1, max = 1_000_000_000), example = 3000)]
    pub rpm: Option<u32>,
    /// Tokens a minute.
    #[schemars(range(min = 1, max = 1_000_000_000), example = 1_000_000)]
    pub tpm: Option<u32>,
    /// Requests in flight at once.
    #[schemars(range(min = 1, max = 1024), example = 64)]
    pub concurrency: Option<u32>,
}

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
    /// Second copies of requests that seemed to hang.
    pub hedged: u64,
    /// Tokens that may have been paid for in vain, as reserved: those of second copies, and of answers that made no sense.
    pub wasted: u64,
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
        self.hedged += other.hedged;
        self.wasted += other.wasted;
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
    requests: Quota,
    tokens: Quota,
    flight: Flight,
    paused_until: Option<Instant>,
    next_charge: u64,
    stats: Stats,
    /// When the first of what is known now was learned, in this run.
    learned_at: Option<Instant>,
    /// Seconds that the last requests waited for a quota, and for a place, the older the less they count.
    quota_waited: f64,
    slot_waited: f64,
    /// Told when somebody may leave who could not: a place came free, the queue is empty, a pause ended.
    freed: Arc<Notify>,
}

/// What was learned of the limits that are not declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub(crate) struct Learned {
    pub(crate) rpm: Option<u64>,
    pub(crate) tpm: Option<u64>,
    pub(crate) concurrency: Option<u32>,
    /// More than so many in flight were refused.
    #[serde(default)]
    pub(crate) places: Option<u32>,
}

/// Why a ticket may not leave yet.
enum Wait {
    /// Others are before it.
    Turn,
    /// Too many are in flight.
    Slot,
    /// Not before this instant, for a quota.
    Until(Instant),
    /// Not before this instant: it was asked for a pause.
    Pause(Instant),
}

impl State {
    fn wake_first(&self) {
        if let Some(turn) = self.queue.values().next() {
            turn.notify_one();
        } else {
            self.freed.notify_waiters();
        }
    }

    /// Whether a request of so many tokens may leave, were it the first in the queue.
    fn may_leave(&mut self, tokens: u64, now: Instant) -> Result<(), Wait> {
        if !self.flight.has_room() {
            return Err(Wait::Slot);
        }
        let paused = self.paused_until.filter(|&until| until > now);
        let requests = self.requests.ready_at(1, now);
        let tokens = self.tokens.ready_at(tokens, now);
        let paced = self.flight.ready_at(now);
        match (paused, requests.max(tokens).max(paced)) {
            (None, None) => Ok(()),
            (Some(pause), quota) if Some(pause) >= quota => Err(Wait::Pause(pause)),
            (_, quota) => Err(Wait::Until(quota.unwrap_or(now))),
        }
    }

    fn has_room(&mut self, now: Instant) -> Result<(), Wait> {
        if self.queue.is_empty() { self.may_leave(0, now) } else { Err(Wait::Turn) }
    }

    fn try_admit(&mut self, ticket: Ticket, tokens: u64, now: Instant) -> Result<Sent, Wait> {
        if self.queue.keys().next().is_some_and(|&first| first < ticket) {
            return Err(Wait::Turn);
        }
        if self.learned_at.is_some_and(|at| now.saturating_duration_since(at) > LASTS) {
            self.requests.forget();
            self.tokens.forget();
            self.flight.forget();
            self.learned_at = None;
        }
        self.may_leave(tokens, now)?;
        let id = self.next_charge;
        self.next_charge += 1;
        self.requests.take(id, 1, now);
        self.tokens.take(id, tokens, now);
        let unknown = self.requests.limit().is_none() && self.tokens.limit().is_none();
        let in_flight = self.flight.leave(unknown, now);
        self.stats.requests += 1;
        self.stats.tokens += tokens;
        self.quota_waited *= WAITS_COUNT;
        self.slot_waited *= WAITS_COUNT;
        Ok(Sent { id, in_flight, left: now })
    }
}

impl Limiter {
    /// A limiter that keeps to what is declared, and learns the rest.
    pub fn new(declared: Limits) -> Arc<Self> {
        Self::with(declared, Learned::default())
    }

    /// A limiter that knows what an earlier run has learned. What is declared wins.
    pub(crate) fn with(declared: Limits, learned: Learned) -> Arc<Self> {
        let now = Instant::now();
        let quota = |declared: Option<u32>, learned: Option<u64>, burst: fn(u64) -> u64| match (declared, learned) {
            (Some(limit), _) => Quota::new(limit.into(), burst(limit.into()), now),
            (None, Some(limit)) => Quota::remembered(limit, burst(limit), now),
            (None, None) => Quota::unknown(now),
        };
        let state = State {
            queue: BTreeMap::new(),
            requests: quota(declared.rpm, learned.rpm, requests_burst),
            tokens: quota(declared.tpm, learned.tpm, |_| 0),
            flight: Flight::new(declared.concurrency, learned.concurrency, learned.places, now),
            paused_until: None,
            next_charge: 0,
            stats: Stats::default(),
            learned_at: (learned != Learned::default()).then_some(now),
            quota_waited: 0.0,
            slot_waited: 0.0,
            freed: Arc::default(),
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
                Ok(sent) => {
                    let slot = Slot { limiter: self.clone() };
                    let charge = Charge { limiter: self.clone(), id: sent.id, reserved: tokens };
                    return Permit { sent, charge, slot };
                }
                Err(wait) => wait,
            };
            match wait {
                Wait::Turn => place.turn.notified().await,
                Wait::Slot => {
                    place.turn.notified().await;
                    let mut state = self.state();
                    state.stats.slot_wait += now.elapsed();
                    state.slot_waited += now.elapsed().as_secs_f64();
                }
                Wait::Until(at) => {
                    // Whether time or news woke it, it asks again.
                    let _ = tokio::time::timeout_at(at, place.turn.notified()).await;
                    let mut state = self.state();
                    state.stats.quota_wait += now.elapsed();
                    state.quota_waited += now.elapsed().as_secs_f64();
                }
                Wait::Pause(at) => {
                    let _ = tokio::time::timeout_at(at, place.turn.notified()).await;
                    self.state().stats.quota_wait += now.elapsed();
                }
            }
        }
    }

    /// Waits until nobody is in the queue and a request could leave at once: until then a batch had better go on filling up.
    pub async fn room(&self) {
        loop {
            let freed = self.state().freed.clone();
            let freed = freed.notified();
            let mut freed = std::pin::pin!(freed);
            // From here on a notification counts, before the state is looked at.
            freed.as_mut().enable();
            let wait = self.state().has_room(Instant::now());
            match wait {
                Ok(()) => return,
                Err(Wait::Until(at) | Wait::Pause(at)) => {
                    let _ = tokio::time::timeout_at(at, freed).await;
                }
                Err(Wait::Turn | Wait::Slot) => freed.await,
            }
        }
    }

    /// What is declared.
    pub fn declared(&self) -> Limits {
        self.declared
    }

    /// How many may be in flight now.
    pub fn in_flight(&self) -> usize {
        self.state().flight.allowed() as usize
    }

    /// Tokens a minute, as far as they are known.
    pub fn tpm(&self) -> Option<u64> {
        self.state().tokens.limit()
    }

    /// Requests a minute, as far as they are known.
    pub fn rpm(&self) -> Option<u64> {
        self.state().requests.limit()
    }

    /// Sends nothing before `until`: one `Retry-After` holds for the whole provider.
    pub fn pause_until(&self, until: Instant) {
        let mut state = self.state();
        state.paused_until = state.paused_until.max(Some(until));
    }

    /// Learns from an answer's headers. What is declared stays as it is declared. Returns whether a limit is new.
    pub fn observe(&self, headers: &HeaderMap) -> bool {
        let seen = Seen::read(headers);
        let now = Instant::now();
        let mut guard = self.state();
        let state = &mut *guard;
        let learn = |quota: &mut Quota, seen: Option<Window>, burst: u64| {
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
        self.state().stats.retries += 1;
    }

    /// Notes a refusal that asks to slow down, and for how long. The first of a burst pauses all, and teaches; returns
    /// whether it did.
    pub fn throttled(&self, sent: Sent, asked: Option<Duration>) -> bool {
        let now = Instant::now();
        let mut guard = self.state();
        let state = &mut *guard;
        state.stats.throttled += 1;
        state.requests.uncount(sent.id, now);
        state.tokens.uncount(sent.id, now);
        if !state.flight.is_new(sent.left) {
            // It left before the first refusal was heard, and says the same.
            return false;
        }
        let (crowded, again) = state.flight.crowded(sent.in_flight, now);
        let known = state.requests.is_known() && state.tokens.is_known();
        let quota = if known && (again || crowded && state.slot_waited > state.quota_waited) {
            // Requests wait for each other, not for what is known of the quotas.
            None
        } else {
            let requests = state.requests.refused(sent.left, asked, now);
            let tokens = state.tokens.refused(sent.left, asked, now);
            requests.max(tokens)
        };
        match (quota, crowded) {
            (Some(_), _) => {
                state.flight.heard(now);
                state.flight.probe();
                if !state.requests.tries() && !state.tokens.tries() {
                    state.flight.forget();
                }
            }
            (None, true) => state.flight.heard(now),
            (None, false) => state.flight.lower(0.5, now),
        }
        if crowded || quota.is_some() {
            state.learned_at.get_or_insert(now);
        }
        let until = quota.or(asked).and_then(|pause| now.checked_add(pause));
        state.paused_until = state.paused_until.max(until);
        crowded || quota.is_some()
    }

    /// Notes that what left at `left` timed out, or found the server overloaded.
    pub fn overloaded(&self, left: Instant) {
        let mut state = self.state();
        if state.flight.is_new(left) {
            state.flight.lower(0.7, Instant::now());
        }
    }

    /// Notes a request that was accepted, and how long its whole answer took and for how many tokens, where that says
    /// something about others.
    pub fn answered(&self, sent: Sent, took: Option<(Duration, u64)>) {
        let mut state = self.state();
        if state.flight.answered(sent.left, sent.in_flight, took, Instant::now()) {
            state.wake_first();
        }
    }

    /// After which silence a request has most likely been lost, once enough answers came to tell.
    pub fn hangs_after(&self) -> Option<Duration> {
        self.state().flight.p95().map(|slow| (slow * 5).max(LONG_SILENCE))
    }

    /// Whether a second copy of a request may be sent (one in [`HEDGED`] requests at most); counts it if so.
    pub fn may_hedge(&self, tokens: u64) -> bool {
        let stats = &mut self.state().stats;
        let may = (stats.hedged + 1) * HEDGED <= stats.requests;
        if may {
            stats.hedged += 1;
            stats.wasted += tokens.min(MAX_CHARGE);
        }
        may
    }

    /// Counts the tokens of an answer that makes no sense.
    pub fn count_wasted(&self, tokens: u64) {
        self.state().stats.wasted += tokens.min(MAX_CHARGE);
    }

    /// What was learned so far.
    pub(crate) fn learned(&self) -> Learned {
        let state = self.state();
        Learned {
            rpm: state.requests.learned().filter(|_| self.declared.rpm.is_none()),
            tpm: state.tokens.learned().filter(|_| self.declared.tpm.is_none()),
            concurrency: self.declared.concurrency.is_none().then(|| state.flight.allowed()),
            places: state.flight.places(),
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
fn requests_burst(rpm: u64) -> u64 {
    (rpm / 4).min(4)
}

#[cfg(test)]
mod sim;
#[cfg(test)]
mod tests;
