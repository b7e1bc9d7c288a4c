//! What a request is waiting for, told to whoever wants to know while it waits.
//!
//! An embedder that wraps another, or a model of one's own, need not pass anything on: the listener belongs to the task in which
//! the request is made ([`listened`]), and who is not listened to pays for a look at a task-local.

use std::sync::Arc;

use futures_util::Stream;
use futures_util::stream::poll_fn;

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

/// Reads a stream, and has the listener hear what each request waits for that it makes.
pub(crate) fn listened_stream<S: Stream>(listener: WaitingListener, stream: S) -> impl Stream<Item = S::Item> {
    let (mut stream, listener) = (Box::pin(stream), Some(listener));
    poll_fn(move |context| LISTENER.sync_scope(listener.clone(), || stream.as_mut().poll_next(context)))
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
