//! What a request is waiting for, told to whoever wants to know while it waits.
//!
//! An embedder that wraps another, or a model of one's own, need not pass anything on: the listener belongs to the task in which
//! the request is made ([`listened`]), and who is not listened to pays for a look at a task-local.

use std::sync::Arc;

/// What a request does at this moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waiting {
    /// Nothing: it is made, or its answer is read.
    Nothing,
    /// For the quota, or for the end of a pause that the server asked for.
    Quota,
    /// For a place among the requests in flight.
    Place,
    /// For the answer to its first attempt.
    Wire,
    /// For another attempt to be made: the pause before it, its turn. Nothing is on its way.
    Pause,
    /// For the answer to another attempt.
    Retry,
}

/// Hears what a request does, each time that changes. Called on the runtime: it must not block.
pub type WaitingListener = Arc<dyn Fn(Waiting) + Send + Sync>;

tokio::task_local! {
    static LISTENER: Option<WaitingListener>;
}

/// Does `work`, and has the listener hear what each request of it waits for.
pub async fn listened<F: Future>(listener: WaitingListener, work: F) -> F::Output {
    LISTENER.scope(Some(listener), work).await
}

/// Does a part of `work` that the listener is not to hear of.
pub(crate) async fn unheard<F: Future>(work: F) -> F::Output {
    LISTENER.scope(None, work).await
}

/// Tells the listener, if there is one.
pub(crate) fn tell(waiting: Waiting) {
    // An error means that nobody listens.
    let _ = LISTENER.try_with(|listener| listener.as_ref().map(|listener| listener(waiting)));
}
