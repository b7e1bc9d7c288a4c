//! The state that a [`Limiter`](super::Limiter) shares with the permits it has given out, behind one lock.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::concurrency::ConcurrencyLimiter;
use super::quota::Quota;
use super::waiting::Waiting;
use super::{Stats, Ticket};

/// The time for which what was learned is believed, from when the first of it was: limits change with what a customer pays, and
/// one that was raised would never be noticed by keeping to it. Then all of it is learned anew, for a few refusals a day.
pub(super) const BELIEVED: Duration = Duration::from_hours(24);

/// The weight that a wait keeps after each request that leaves.
const WAITS_COUNT: f64 = 0.9;

/// The state, and the lock before it.
#[derive(Debug)]
pub(super) struct Shared(Mutex<State>);

impl Shared {
    pub(super) fn new(state: State) -> Arc<Self> {
        Arc::new(Self(Mutex::new(state)))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // A panic while it was held leaves counters that are off by one request at most.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
pub(super) struct State {
    /// Those who wait, with the bell of each.
    pub(super) queue: BTreeMap<Ticket, Arc<Notify>>,
    pub(super) requests: Quota,
    pub(super) tokens: Quota,
    pub(super) concurrency: ConcurrencyLimiter,
    pub(super) paused_until: Option<Instant>,
    pub(super) next_id: u64,
    pub(super) stats: Stats,
    /// The instant at which the first of what is known now was learned, in this run.
    pub(super) learned_at: Option<Instant>,
    /// Seconds that the last requests waited for a quota, and for a place, the older the less they count.
    pub(super) quota_waited: f64,
    pub(super) slot_waited: f64,
    /// What the first of the queue waited for when it asked last: those behind it wait for the same.
    pub(super) first_waits: Waiting,
    /// Told when somebody may leave who could not: a place came free, the queue is empty, a pause ended.
    pub(super) freed: Arc<Notify>,
}

/// A request that was sent.
#[derive(Debug, Clone, Copy)]
pub struct Sent {
    pub(super) id: u64,
    /// It was one of so many then.
    pub(super) in_flight: u32,
    /// The instant at which it left.
    pub left: Instant,
}

/// The reason why a request may not leave yet.
#[derive(Debug, Clone, Copy)]
pub(super) enum Wait {
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
    pub(super) fn wake_first(&self) {
        if let Some(turn) = self.queue.values().next() {
            turn.notify_one();
        } else {
            self.freed.notify_waiters();
        }
    }

    /// Whether a request of so many tokens may leave, were it the first in the queue.
    fn may_leave(&mut self, tokens: u64, now: Instant) -> Result<(), Wait> {
        if !self.concurrency.has_room() {
            return Err(Wait::Slot);
        }
        let paused = self.paused_until.filter(|&until| until > now);
        let requests = self.requests.ready_at(1, now);
        let tokens = self.tokens.ready_at(tokens, now);
        let paced = self.concurrency.ready_at(now);
        match (paused, requests.max(tokens).max(paced)) {
            (None, None) => Ok(()),
            (Some(pause), quota) if Some(pause) >= quota => Err(Wait::Pause(pause)),
            (_, quota) => Err(Wait::Until(quota.unwrap_or(now))),
        }
    }

    /// Whether somebody who draws a ticket now could leave at once.
    pub(super) fn is_ready(&mut self, now: Instant) -> Result<(), Wait> {
        if self.queue.is_empty() { self.may_leave(0, now) } else { Err(Wait::Turn) }
    }

    pub(super) fn try_admit(&mut self, ticket: Ticket, tokens: u64, now: Instant) -> Result<Sent, Wait> {
        if self.queue.keys().next().is_some_and(|&first| first < ticket) {
            return Err(Wait::Turn);
        }
        if self.learned_at.is_some_and(|at| now.saturating_duration_since(at) > BELIEVED) {
            self.requests.forget();
            self.tokens.forget();
            self.concurrency.forget_ceiling();
            self.learned_at = None;
        }
        if let Err(wait) = self.may_leave(tokens, now) {
            self.first_waits = if matches!(wait, Wait::Slot) { Waiting::Place } else { Waiting::Quota };
            return Err(wait);
        }
        let id = self.next_id;
        self.next_id += 1;
        self.requests.take(id, 1, now);
        self.tokens.take(id, tokens, now);
        let unknown = self.requests.limit().is_none() && self.tokens.limit().is_none();
        let in_flight = self.concurrency.leave(unknown, now);
        self.stats.requests += 1;
        self.stats.tokens += tokens;
        self.quota_waited *= WAITS_COUNT;
        self.slot_waited *= WAITS_COUNT;
        Ok(Sent { id, in_flight, left: now })
    }
}
