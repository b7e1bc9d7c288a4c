//! What a request holds while it waits and while it is in flight. Dropping it gives it free.

use std::sync::Arc;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::{Limiter, MAX_CHARGE, Ticket};

/// A place in the queue; dropping it lets the next one ask.
pub(super) struct Place<'a> {
    limiter: &'a Limiter,
    ticket: Ticket,
    pub(super) turn: Arc<Notify>,
}

impl<'a> Place<'a> {
    pub(super) fn take(limiter: &'a Limiter, ticket: Ticket) -> Self {
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

/// A request that was sent.
#[derive(Debug, Clone, Copy)]
pub struct Sent {
    pub(super) id: u64,
    /// It was one of so many then.
    pub(super) in_flight: u32,
    /// When it left.
    pub left: Instant,
}

/// Leave to send one request.
#[derive(Debug)]
pub struct Permit {
    /// Who leaves, and when.
    pub sent: Sent,
    /// What was reserved.
    pub charge: Charge,
    /// A place among those in flight, to be held until the answer is complete.
    pub slot: Slot,
}

/// A place among the requests in flight; dropping it frees it.
#[derive(Debug)]
pub struct Slot {
    pub(super) limiter: Arc<Limiter>,
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut state = self.limiter.state();
        state.flight.now = state.flight.now.saturating_sub(1);
        state.wake_first();
    }
}

/// Tokens that were reserved for a request. Dropped unsettled, the reservation stands: failed requests count as well.
#[derive(Debug)]
pub struct Charge {
    pub(super) limiter: Arc<Limiter>,
    pub(super) id: u64,
    pub(super) reserved: u64,
}

impl Charge {
    /// Replaces what was reserved by what the provider says it was.
    pub fn settle(self, tokens: u64) {
        let tokens = tokens.min(MAX_CHARGE);
        let mut guard = self.limiter.state();
        let state = &mut *guard;
        state.stats.tokens = (state.stats.tokens + tokens).saturating_sub(self.reserved);
        if state.tokens.settle(self.id, tokens, Instant::now()) {
            state.wake_first();
        }
    }
}
