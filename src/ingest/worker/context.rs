//! Has a model say where chunks stand in their documents, where one is to.

use std::sync::Arc;

use futures_util::future::Either;
use futures_util::{Stream, StreamExt as _};

use crate::error::{Error, reason};
use crate::ingest::clocks::{Step, Wanted};
use crate::ingest::context::{Asked, ContextError, Writer, fitted};
use crate::ingest::diff::ChunkTask;
use crate::ingest::report::Stage;
use crate::ingest::run::{Ended, Run, SITUATED};

/// Situates chunks, many at once. A document of which one chunk is refused fails; the others go on.
pub(super) fn situate<S>(run: &Arc<Run>, tasks: S) -> impl Stream<Item = ChunkTask> + Send + use<S>
where
    S: Stream<Item = ChunkTask> + Send + 'static,
{
    if run.contexts.is_none() {
        return Either::Left(tasks);
    }
    let (run, clocks) = (Arc::clone(run), Arc::clone(&run.report.clocks));
    let situated = tasks
        .map(move |task| {
            let run = Arc::clone(&run);
            async move { situate_one(&run, task).await.ok().flatten() }
        })
        .buffer_unordered(SITUATED)
        .filter_map(std::future::ready);
    Either::Right(Wanted::new(situated, &clocks, Step::Context))
}

/// `None`: no model says it, and the document fails.
async fn situate_one(run: &Run, task: ChunkTask) -> Result<Option<ChunkTask>, Ended> {
    run.goes_on()?;
    let Some((writer, asked)) = asked(run, &task) else { return Ok(Some(task)) };
    let error = match writer.write(asked).await {
        Ok(context) => return Ok(Some(within_room(run, task, &context))),
        Err(error) => error,
    };
    match &*error {
        ContextError::Stopped => Err(Ended::Stopped),
        ContextError::Run(_) => Err(run.abort(Error::shared(error))),
        ContextError::Chunk(error) => {
            if task.diff.fail() {
                run.fail_one(&task.diff.source, &task.diff.document.uri, Stage::Context, reason(error)).await?;
            }
            Ok(None)
        }
    }
}

fn asked<'a>(run: &'a Run, task: &ChunkTask) -> Option<(&'a Writer, Asked)> {
    let (writer, context) = (run.contexts.as_ref()?, run.setup.context.as_ref()?);
    Some((writer, task.asked(context.model())?))
}

/// The chunk with as much of its context as the embedding model takes.
pub(in crate::ingest) fn within_room(run: &Run, task: ChunkTask, context: &str) -> ChunkTask {
    let most = run.setup.embedder.limits().input_tokens;
    let fits = |context: &str| {
        let text = task.clone().situated(Some(context)).text();
        // No token is less than a byte.
        text.len() <= most || run.setup.embedder.count_tokens(&text).is_none_or(|tokens| tokens <= most)
    };
    let context = fitted(context, fits).map(str::to_owned);
    task.situated(context.as_deref())
}
