//! The state that a [`Limiter`](super::Limiter) shares with the permits it has given out, behind one lock.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

pub(super) use super::budget::BELIEVED;
use super::budget::Budget;
use super::concurrency::{ConcurrencyLimiter, Crowding};
use super::estimator::Refusal;
use super::sent::Sent;
use super::visits::Visits;
use super::waiting::Waiting;
use super::{Stats, Ticket};

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

/// What was counted of requests. It may be locked while the state is, never the other way round.
#[derive(Debug, Default)]
pub(super) struct Counts(Mutex<Stats>);

impl Counts {
    pub(super) fn lock(&self) -> MutexGuard<'_, Stats> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
pub(super) struct State {
    /// Those who wait.
    pub(super) queue: BTreeMap<Ticket, Waiter>,
    /// What others share with it.
    pub(super) budget: Budget,
    pub(super) concurrency: ConcurrencyLimiter,
    /// The waits of visits, which are for all who wait.
    pub(super) waits: Stats,
    /// Seconds that the last requests waited for a quota, and for a place, the older the less they count.
    pub(super) quota_waited: f64,
    pub(super) slot_waited: f64,
    /// What the first of the queue waited for when it asked last: those behind it wait for the same.
    pub(super) first_waits: Waiting,
    /// Told when somebody may leave who could not: a place came free, the queue is empty, a pause ended.
    pub(super) freed: Arc<Notify>,
    /// The visits to what is shared, where workers share it.
    pub(super) visits: Option<Visits>,
}

/// One who waits in the queue.
#[derive(Debug, Default)]
pub(super) struct Waiter {
    /// Rung when it should ask again.
    pub(super) bell: Arc<Notify>,
    pub(super) tokens: u64,
    /// Leave to send it, of a visit.
    pub(super) granted: Option<Sent>,
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
    pub(super) fn wake_visitor(&self) {
        if let Some(visits) = &self.visits {
            visits.news.notify_one();
        }
    }

    pub(super) fn wake_first(&self) {
        self.wake_visitor();
        if let Some(first) = self.queue.values().next() {
            first.bell.notify_one();
        } else {
            self.freed.notify_waiters();
        }
    }

    /// Whether a request of so many tokens may leave, were it the first in the queue.
    fn may_leave(&mut self, tokens: u64, now: Instant) -> Result<(), Wait> {
        if !self.concurrency.has_room() {
            return Err(Wait::Slot);
        }
        let paused = self.budget.paused_until.filter(|&until| until > now);
        let requests = self.budget.requests.ready_at(1, now);
        let tokens = self.budget.tokens.ready_at(tokens, now);
        let paced = self.concurrency.ready_at(now);
        match (paused, requests.max(tokens).max(paced)) {
            (None, None) => Ok(()),
            (Some(pause), quota) if Some(pause) >= quota => Err(Wait::Pause(pause)),
            (_, quota) => Err(Wait::Until(quota.unwrap_or(now))),
        }
    }

    /// Whether somebody who draws a ticket now could leave at once.
    pub(super) fn is_ready(&mut self, now: Instant) -> Result<(), Wait> {
        if let Some(at) = self.visits.as_ref().and_then(|visits| visits.not_before).filter(|at| *at > now) {
            return Err(Wait::Until(at));
        }
        if self.queue.is_empty() { self.may_leave(0, now) } else { Err(Wait::Turn) }
    }

    pub(super) fn try_admit(&mut self, ticket: Ticket, tokens: u64, now: Instant) -> Result<Sent, Wait> {
        if self.queue.keys().next().is_some_and(|&first| first < ticket) {
            return Err(Wait::Turn);
        }
        if self.budget.forget_old(now) {
            self.concurrency.forget_ceiling();
        }
        if let Err(wait) = self.may_leave(tokens, now) {
            self.first_waits = if matches!(wait, Wait::Slot) { Waiting::Place } else { Waiting::Quota };
            return Err(wait);
        }
        let id = self.budget.take(tokens, now);
        Ok(self.leave(id, now))
    }

    /// Notes that what was taken as `id` leaves.
    pub(super) fn leave(&mut self, id: u64, now: Instant) -> Sent {
        let in_flight = self.concurrency.leave(self.budget.is_unknown(), now);
        self.quota_waited *= WAITS_COUNT;
        self.slot_waited *= WAITS_COUNT;
        Sent { id, in_flight, left: now }
    }

    /// Takes what was refused out of what was sent.
    pub(super) fn uncount(&mut self, id: u64, now: Instant) {
        self.budget.requests.uncount(id, now);
        self.budget.tokens.uncount(id, now);
    }

    /// Notes a refusal of what had left, heard at `now`. The first of a burst pauses all, and teaches; returns whether it did.
    pub(super) fn taught(&mut self, sent: Sent, asked: Option<Duration>, now: Instant) -> bool {
        let budget = &mut self.budget;
        if !self.concurrency.is_news(sent.left) || budget.heard_at.is_some_and(|heard| sent.left <= heard) {
            // It left before the first refusal was heard, and says the same.
            return false;
        }
        let crowding = self.concurrency.refused(sent.in_flight, now);
        let crowded = crowding != Crowding::No;
        let settled = budget.requests.is_settled() && budget.tokens.is_settled();
        // Requests wait for each other, not for what is known of the quotas.
        let bound_by_places = crowding == Crowding::Likely || crowded && self.slot_waited > self.quota_waited;
        let pause = if settled && bound_by_places {
            None
        } else {
            let refusal = Refusal { left: sent.left, heard: now, asked };
            let requests = budget.requests.refused(refusal);
            let tokens = budget.tokens.refused(refusal);
            requests.max(tokens)
        };
        match (pause, crowded) {
            (Some(_), _) => {
                self.concurrency.heard(now);
                self.concurrency.send_alone();
                if !budget.requests.is_measuring() && !budget.tokens.is_measuring() {
                    self.concurrency.forget_ceiling();
                }
            }
            (None, true) => self.concurrency.heard(now),
            (None, false) => self.concurrency.lower(0.5, now),
        }
        budget.heard_at = Some(now);
        let learned = crowded || pause.is_some();
        if learned {
            budget.learned_at.get_or_insert(now);
        }
        budget.pause(pause.or(asked).and_then(|pause| now.checked_add(pause)));
        learned
    }
}
