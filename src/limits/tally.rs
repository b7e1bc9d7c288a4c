//! The requests of one use of a provider, told apart from those that others in the process make to it meanwhile: chunks may be situated
//! and embedded by one provider, and questions be asked of it.
//!
//! As with what a request waits for (`waiting.rs`), nothing has to be passed on: a tally belongs to the task in which requests are made.

use std::sync::{Arc, Mutex, PoisonError};

/// What a tally has counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counted {
    /// Requests sent, retries and second copies included.
    pub requests: u64,
    /// Requests sent again.
    pub retries: u64,
    /// Refusals that asked to slow down (429).
    pub throttled: u64,
    /// Second copies of requests that seemed to hang.
    pub hedged: u64,
    /// Tokens that may have been paid for in vain, as reserved: those of second copies, and of answers that made no sense.
    pub wasted: u64,
}

/// Counts the requests of one use.
#[derive(Debug, Default)]
pub struct Tally(Mutex<Counted>);

tokio::task_local! {
    static TALLY: Arc<Tally>;
}

impl Tally {
    /// Does `work`, and counts the requests that are made in it.
    pub async fn counts<F: Future>(self: &Arc<Self>, work: F) -> F::Output {
        TALLY.scope(Arc::clone(self), work).await
    }

    /// So far.
    pub fn counted(&self) -> Counted {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts for whoever makes the request, where that is known.
pub(super) fn count(change: impl FnOnce(&mut Counted)) {
    // An error means that nobody counts.
    let _ = TALLY.try_with(|tally| change(&mut tally.0.lock().unwrap_or_else(PoisonError::into_inner)));
}
