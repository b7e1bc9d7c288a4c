//! A place of a step, and the way in which a step hears whether the next one waits for it.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::Stream;
use futures_util::stream::BoxStream;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::board::{Clocks, lock};
use super::step::{DOINGS, Doing, Step};
use crate::limits::{Waiting, WaitingListener};

/// How often a stopped run looks whether what is under way waits for its turn only.
const LOOK: Duration = Duration::from_millis(50);

/// A place that is taken until the last copy of it is dropped.
#[derive(Debug, Clone)]
pub struct Place(Arc<Taken>);

#[derive(Debug)]
struct Taken {
    clocks: Arc<Clocks>,
    step: Step,
    now: Mutex<(Doing, Instant)>,
}

impl Place {
    /// Takes a place of this step.
    pub fn take(clocks: &Arc<Clocks>, step: Step) -> Self {
        let clocks = Arc::clone(clocks);
        clocks.change(step, |step| count(&mut step.doing, Doing::Working, true));
        Self(Arc::new(Taken { clocks, step, now: Mutex::new((Doing::Working, Instant::now())) }))
    }

    /// Something else is done in it from now on.
    pub fn does(&self, doing: Doing) {
        let Taken { clocks, step, now } = &*self.0;
        let mut now = now.lock().unwrap_or_else(PoisonError::into_inner);
        let (was, since) = *now;
        if was == doing {
            return;
        }
        *now = (doing, Instant::now());
        let asks = *step == Step::Context;
        clocks.change(*step, |step| {
            count(&mut step.doing, was, false);
            count(&mut step.doing, doing, true);
            if asks {
                step.free = step.held_back();
            }
        });
        if was == Doing::Wire && *step == Step::Embed {
            lock(&clocks.latencies).note(since.elapsed(), Instant::now());
        }
    }

    /// What its requests wait for is what it does.
    pub fn listener(&self) -> WaitingListener {
        let place = self.clone();
        Arc::new(move |waiting| {
            place.does(match waiting {
                Waiting::Nothing => Doing::Working,
                Waiting::Quota => Doing::Quota,
                Waiting::Place => Doing::Places,
                Waiting::Wire => Doing::Wire,
                Waiting::Pause | Waiting::Retry => Doing::Retry,
            });
        })
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let (was, _) = *self.now.lock().unwrap_or_else(PoisonError::into_inner);
        let asks = self.step == Step::Context;
        self.clocks.change(self.step, |step| {
            count(&mut step.doing, was, false);
            if asks {
                step.free = step.held_back();
            }
        });
    }
}

/// A request in a place of its own, of which a run that is stopped wants to know whether it has left.
#[derive(Debug)]
pub struct Asking {
    place: Place,
    now: Arc<Mutex<Waiting>>,
}

impl Asking {
    /// In this place.
    pub fn begin(place: Place) -> Self {
        Self { place, now: Arc::new(Mutex::new(Waiting::Nothing)) }
    }

    /// What it waits for from now on.
    pub fn is(&self, waiting: Waiting) {
        self.listener()(waiting);
    }

    /// It waits for the answer to a request of others. It was not sent itself.
    pub fn follows(&self) {
        self.place.does(Doing::Wire);
    }

    /// Something else is done in its place from now on.
    pub fn does(&self, doing: Doing) {
        self.place.does(doing);
    }

    /// Whether it was sent and is not answered.
    pub fn is_on_wire(&self) -> bool {
        matches!(self.now(), Waiting::Wire | Waiting::Retry)
    }

    /// Whether it waits to be sent: nothing is lost by dropping it.
    pub fn is_held_back(&self) -> bool {
        matches!(self.now(), Waiting::Quota | Waiting::Place | Waiting::Pause)
    }

    /// What `work` gives in this place, unless the run is stopped. What may be lost then is waited for, since it is paid for: as soon as
    /// `may_go`, it is dropped (`None`). Of a run that was stopped already nothing is begun.
    pub async fn unless_stopped<T>(
        &self,
        stop: &CancellationToken,
        may_go: impl Fn(&Self) -> bool,
        work: impl Future<Output = T>,
    ) -> Option<T> {
        let sends_nothing = stop.is_cancelled();
        let stopped = async {
            stop.cancelled().await;
            while !sends_nothing && !may_go(self) {
                tokio::time::sleep(LOOK).await;
            }
        };
        tokio::select! {
            // First, so that a run that was stopped already sends nothing.
            biased;
            () = stopped => None,
            done = work => Some(done),
        }
    }

    fn now(&self) -> Waiting {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hears what it waits for.
    pub fn listener(&self) -> WaitingListener {
        let (place, now) = (self.place.listener(), Arc::clone(&self.now));
        Arc::new(move |waiting| {
            *now.lock().unwrap_or_else(PoisonError::into_inner) = waiting;
            place(waiting);
        })
    }
}

fn count(doing: &mut [u64; DOINGS], what: Doing, more: bool) {
    let [working, quota, places, wire, retry, held] = doing;
    let count = match what {
        Doing::Working => working,
        Doing::Quota => quota,
        Doing::Places => places,
        Doing::Wire => wire,
        Doing::Retry => retry,
        Doing::Held => held,
    };
    *count = if more { *count + 1 } else { count.saturating_sub(1) };
}

/// What comes out of a step. The step is wanted from when it was asked and had nothing until it has given something.
///
/// The type of the stream is forgotten here: steps that hold those before them have names of four megabytes, which were most of
/// what the compiler wrote and the linker read.
pub struct Wanted<T> {
    stream: BoxStream<'static, T>,
    clocks: Arc<Clocks>,
    step: Step,
    asked: bool,
}

impl<T> Wanted<T> {
    /// Of this step.
    pub fn new(stream: impl Stream<Item = T> + Send + 'static, clocks: &Arc<Clocks>, step: Step) -> Self {
        Self { stream: Box::pin(stream), clocks: Arc::clone(clocks), step, asked: true }
    }
}

impl<T> Stream for Wanted<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let polled = self.stream.as_mut().poll_next(cx);
        let ended = matches!(polled, Poll::Ready(None));
        let wanted = polled.is_pending() || ended;
        if wanted != self.asked || ended {
            self.asked = wanted;
            self.clocks.asked(self.step, wanted, ended);
        }
        polled
    }
}
