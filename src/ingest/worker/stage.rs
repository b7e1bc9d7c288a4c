//! What the stages have in common that work on batches: a place a core, and a task of its own for each batch.

use std::sync::Arc;

use futures_util::{Stream, StreamExt as _};
use tokio_util::task::AbortOnDropHandle;

use crate::ingest::clocks::{Doing, Place, Step, Wanted};
use crate::ingest::run::{Ended, Run};

/// Works on a core's worth of batches at once. `action`: what a task that breaks was to do.
pub(super) fn stage<T, U, F>(
    run: &Arc<Run>,
    step: Step,
    action: &'static str,
    batches: impl Stream<Item = T> + Send + 'static,
    work: impl Fn(Arc<Run>, T, Place) -> F + Send + 'static,
) -> Wanted<U>
where
    T: Send,
    U: Send + 'static,
    F: Future<Output = Result<U, Ended>> + Send + 'static,
{
    let (run, joined) = (Arc::clone(run), Arc::clone(run));
    let clocks = Arc::clone(&run.report.clocks);
    let done = batches
        .map(move |batch| {
            let place = Place::take(&run.report.clocks, step);
            let work = work(Arc::clone(&run), batch, place.clone());
            AbortOnDropHandle::new(tokio::spawn(async move {
                let done = work.await;
                // Until the next stage has taken it, nothing else is done in its place.
                place.does(Doing::Held);
                done.map(|done| (done, place))
            }))
        })
        .buffer_unordered(Run::cores())
        .filter_map(move |done| std::future::ready(joined.joined(action, done).ok().map(|(done, _place)| done)));
    Wanted::new(done, &clocks, step)
}
