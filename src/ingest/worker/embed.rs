//! Asks for the vectors of chunks.

use std::sync::Arc;

use futures_util::{Stream, StreamExt as _};

use crate::cache::Vector;
use crate::error::{Error, reason};
use crate::ingest::clocks::{Step, Wanted};
use crate::ingest::diff::ChunkTask;
use crate::ingest::embed::EmbedError;
use crate::ingest::report::Stage;
use crate::ingest::run::{Ended, Run};

/// Embeds chunks, as many at once as fill the batches in flight. A document whose chunk is refused fails; the others go on.
pub(super) fn embed(run: &Arc<Run>, tasks: impl Stream<Item = ChunkTask> + Send + 'static) -> Wanted<(ChunkTask, Vector)> {
    let at_once = run.batching.texts;
    let (run, clocks) = (Arc::clone(run), Arc::clone(&run.report.clocks));
    let embedded = tasks
        .map(move |task| {
            let run = Arc::clone(&run);
            async move { embed_one(&run, task).await.ok().flatten() }
        })
        .buffer_unordered(at_once)
        .filter_map(std::future::ready);
    Wanted::new(embedded, &clocks, Step::Embed)
}

/// `None`: the provider refused this text, and the document fails.
async fn embed_one(run: &Run, task: ChunkTask) -> Result<Option<(ChunkTask, Vector)>, Ended> {
    run.goes_on()?;
    let text = task.text();
    let tokens = run.estimate(&text, task.tokens());
    let error = match run.embed_queue.embed_of(text, tokens, &task.diff.span).await {
        Ok(vector) => return Ok(Some((task, vector))),
        Err(error) => error,
    };
    match &*error {
        EmbedError::Stopped => Err(Ended::Stopped),
        EmbedError::Broken => Err(run.abort(Error::shared(error))),
        EmbedError::Tripped(error) => Err(run.abort(Error::shared(Arc::clone(error)))),
        EmbedError::Provider(error) => {
            if task.diff.fail() {
                run.fail_one(&task.diff.source, &task.diff.document.uri, Stage::Embed, reason(&**error)).await?;
            }
            Ok(None)
        }
    }
}
