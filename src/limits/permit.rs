//! The places that a request holds while it waits and while it is in flight. Dropping one gives it free.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::sent::Sent;
use super::state::{Counts, Shared, Waiter};
use super::tally::count;
use super::visits::Note;
use super::{MAX_TOKENS, Ticket};

/// What may leave must leave so soon: it counts from when it was allowed. Together with what a visit may take it is less than the second
/// that a window is longer than a minute.
const FRESH: Duration = Duration::from_millis(400);

/// A place in the queue; dropping it lets the next one ask.
pub(super) struct QueueEntry<'a> {
    shared: &'a Shared,
    ticket: Ticket,
    pub(super) turn: Arc<Notify>,
}

impl<'a> QueueEntry<'a> {
    pub(super) fn join(shared: &'a Shared, ticket: Ticket, tokens: u64) -> Self {
        let turn = Arc::new(Notify::new());
        shared.lock().queue.insert(ticket, Waiter { bell: turn.clone(), tokens, granted: None });
        Self { shared, ticket, turn }
    }

    /// The leave that a visit to a shared quota has given it, unless it is too old to be of use.
    pub(super) fn granted(&self) -> Option<Sent> {
        let mut guard = self.shared.lock();
        let state = &mut *guard;
        let waiter = state.queue.get_mut(&self.ticket)?;
        let (sent, tokens) = (waiter.granted.take()?, waiter.tokens);
        if sent.left.elapsed() <= FRESH {
            return Some(sent);
        }
        state.give_back(sent, tokens);
        None
    }
}

impl Drop for QueueEntry<'_> {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        if let Some(Waiter { granted: Some(sent), tokens, .. }) = state.queue.remove(&self.ticket) {
            state.give_back(sent, tokens);
        }
        state.wake_first();
    }
}

/// Leave to send one request.
#[derive(Debug)]
pub struct Permit {
    /// The request, and when it left.
    pub sent: Sent,
    /// The tokens that were reserved for it.
    pub reservation: Reservation,
    /// Its place among those in flight, to be held until the answer is complete.
    pub in_flight: InFlight,
}

impl Permit {
    pub(super) fn new(shared: &Arc<Shared>, counts: &Arc<Counts>, sent: Sent, tokens: u64) -> Self {
        counts.lock().requests += 1;
        count(|counted| counted.requests += 1);
        Self {
            sent,
            reservation: Reservation { shared: shared.clone(), counts: counts.clone(), id: sent.id, tokens, billed: tokens },
            in_flight: InFlight { shared: shared.clone() },
        }
    }
}

/// A place among the requests in flight; dropping it frees it.
#[derive(Debug)]
pub struct InFlight {
    shared: Arc<Shared>,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.concurrency.end();
        state.wake_first();
    }
}

/// Tokens that were reserved for a request. Dropped unsettled, the reservation stands: failed requests count as well.
#[derive(Debug)]
pub struct Reservation {
    shared: Arc<Shared>,
    counts: Arc<Counts>,
    id: u64,
    tokens: u64,
    /// Those that [`super::Stats`] count once it is over: a count that grows never falls.
    billed: u64,
}

impl Reservation {
    /// Replaces what was reserved by what the provider says it was.
    pub fn settle(mut self, tokens: u64) {
        self.bills(tokens);
        self.settle_quota(tokens);
    }

    /// What is billed for all that is known, if nothing more is heard of it. The reservation stands: what a server counts of a
    /// request that ends early, it does not say.
    pub fn bills(&mut self, tokens: u64) {
        self.billed = tokens.min(MAX_TOKENS);
    }

    /// Replaces what was reserved by what the provider's quota counts, where that is not what it bills.
    pub fn settle_quota(self, tokens: u64) {
        let tokens = tokens.min(MAX_TOKENS);
        let mut guard = self.shared.lock();
        let state = &mut *guard;
        if state.visits.is_some() {
            if tokens != self.tokens {
                state.note(Note::Settled { id: self.id, reserved: self.tokens, actual: tokens }, false);
            }
        } else if state.budget.tokens.settle(self.id, tokens, Instant::now()) {
            state.wake_first();
        }
    }

    /// The request was not done: nobody bills it. The reservation stands all the same, as servers may count what they refuse.
    pub fn unbilled(mut self) {
        self.billed = 0;
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.counts.lock().tokens += self.billed;
    }
}
