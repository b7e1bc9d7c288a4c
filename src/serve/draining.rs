//! What is under way when an answer is given up: parts of all documents that are being read are paid for, so they are read to their end
//! and kept.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::{Stream, StreamExt as _};
use tokio::runtime::Handle;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

use crate::answer::{AnswerEvent, Answerer, DRAIN, Events};
use crate::error::Error;

/// A place, which is free again when the last who has it drops it.
pub(super) type Place = Arc<OwnedSemaphorePermit>;

/// What is read to its end.
#[derive(Debug, Default)]
pub(super) struct Drains(TaskTracker);

impl Drains {
    /// The events of an answer. Dropped while all documents are read, it keeps its place until the parts under way are read, and begins
    /// no other.
    pub(super) fn of(
        &self,
        answerer: &Answerer,
        place: &Place,
        ask: impl FnOnce(&Answerer) -> Events<AnswerEvent>,
    ) -> Events<AnswerEvent> {
        let stop = CancellationToken::new();
        let events = ask(&answerer.clone().stopping_with(stop.clone()));
        Draining { events: Some(events), stop, reading: false, place: Arc::clone(place), drains: self.0.clone() }.boxed()
    }

    /// Waits for all that is begun by now.
    pub(super) async fn ended(&self) {
        self.0.close();
        self.0.wait().await;
    }
}

struct Draining {
    /// `None`: it is at its end.
    events: Option<Events<AnswerEvent>>,
    stop: CancellationToken,
    /// Parts are read.
    reading: bool,
    place: Place,
    drains: TaskTracker,
}

impl Stream for Draining {
    type Item = Result<AnswerEvent, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(events) = &mut self.events else { return Poll::Ready(None) };
        let polled = events.poll_next_unpin(cx);
        match &polled {
            Poll::Ready(Some(event)) => {
                self.reading = match event {
                    Ok(AnswerEvent::Estimate(estimate)) => estimate.reads,
                    Ok(AnswerEvent::Reading { .. }) => true,
                    Ok(_) | Err(_) => false,
                };
            }
            Poll::Ready(None) => self.events = None,
            Poll::Pending => {}
        }
        polled
    }
}

impl Drop for Draining {
    fn drop(&mut self) {
        let (Some(mut events), true, Ok(runtime)) = (self.events.take(), self.reading, Handle::try_current()) else { return };
        self.stop.cancel();
        let place = Arc::clone(&self.place);
        let drained = async move {
            let rest = async { while events.next().await.is_some() {} };
            if timeout(DRAIN, rest).await.is_err() {
                tracing::info!("parts of documents that were being read for an answer that nobody waits for are given up");
            }
            drop(place);
        };
        self.drains.spawn_on(drained.in_current_span(), &runtime);
    }
}
