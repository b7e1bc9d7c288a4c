//! The places that a request holds while it waits and while it is in flight. Dropping one gives it free.

use std::sync::Arc;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::state::{Sent, Shared};
use super::{MAX_TOKENS, Ticket};

/// A place in the queue; dropping it lets the next one ask.
pub(super) struct QueueEntry<'a> {
    shared: &'a Shared,
    ticket: Ticket,
    pub(super) turn: Arc<Notify>,
}

impl<'a> QueueEntry<'a> {
    pub(super) fn join(shared: &'a Shared, ticket: Ticket) -> Self {
        let turn = Arc::new(Notify::new());
        shared.lock().queue.insert(ticket, turn.clone());
        Self { shared, ticket, turn }
    }
}

impl Drop for QueueEntry<'_> {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.queue.remove(&self.ticket);
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
    pub(super) fn new(shared: &Arc<Shared>, sent: Sent, tokens: u64) -> Self {
        Self {
            sent,
            reservation: Reservation { shared: shared.clone(), id: sent.id, tokens },
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
    id: u64,
    tokens: u64,
}

impl Reservation {
    /// Replaces what was reserved by what the provider says it was.
    pub fn settle(self, tokens: u64) {
        let tokens = tokens.min(MAX_TOKENS);
        let mut guard = self.shared.lock();
        let state = &mut *guard;
        state.stats.tokens = (state.stats.tokens + tokens).saturating_sub(self.tokens);
        if state.tokens.settle(self.id, tokens, Instant::now()) {
            state.wake_first();
        }
    }
}
