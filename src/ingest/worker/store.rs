//! Writes points in batches, and tells which documents are complete by that.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{Stream, StreamExt as _};
use tokio::sync::Semaphore;
use tokio_util::task::AbortOnDropHandle;

use crate::cache::Vector;
use crate::document::Point;
use crate::ingest::clocks::{Place, Step, Wanted};
use crate::ingest::diff::{ChunkTask, DocumentDiff};
use crate::ingest::point::point;
use crate::ingest::run::{Ended, Run, WRITERS};

/// Points a write.
pub(in crate::ingest) const BATCH: usize = 128;
/// How long a batch waits to be filled.
const LINGER: Duration = Duration::from_millis(50);

/// Writes what was embedded, and gives out the documents whose last new chunk the store has acknowledged.
pub(super) fn store(
    run: &Arc<Run>,
    embedded: impl Stream<Item = (ChunkTask, Vector)> + Send + 'static,
) -> Wanted<Vec<Arc<DocumentDiff>>> {
    let (run, joined) = (Arc::clone(run), Arc::clone(run));
    let writers = Arc::new(Semaphore::new(WRITERS));
    let waiting = run.batching.waiting / BATCH;
    let clocks = Arc::clone(&run.report.clocks);
    let stored = tokio_stream::StreamExt::chunks_timeout(embedded, BATCH, LINGER)
        .map(move |batch| {
            let (run, writers) = (Arc::clone(&run), Arc::clone(&writers));
            // A task of its own: a write goes on while the stages before it are looked after.
            AbortOnDropHandle::new(tokio::spawn(async move {
                #[expect(clippy::expect_used, reason = "nobody closes it")]
                let _writer = writers.acquire().await.expect("the semaphore is never closed");
                write(&run, batch).await
            }))
        })
        .buffer_unordered(WRITERS + waiting)
        .filter_map(move |finished| std::future::ready(joined.joined("write to the store", finished).ok()))
        .filter(|finished| std::future::ready(!finished.is_empty()));
    Wanted::new(stored, &clocks, Step::Store)
}

/// Writes one batch; the documents that it completed, if any.
async fn write(run: &Run, batch: Vec<(ChunkTask, Vector)>) -> Result<Vec<Arc<DocumentDiff>>, Ended> {
    let _place = Place::take(&run.report.clocks, Step::Store);
    let batch = Arc::new(batch);
    // Made anew for another attempt, which is seldom: a copy to go back to would be as large as the batch. What was waited for so
    // long that another worker has it is left out.
    let written = run
        .with_store(|store| {
            let batch = Arc::clone(&batch);
            async move {
                let held = held(run, batch).await;
                if held.is_empty() {
                    return Ok(Ok(held));
                }
                match points(run, Arc::clone(&held)).await {
                    Ok(points) => store.upsert(points).await.map(|()| Ok(held)),
                    Err(ended) => Ok(Err(ended)),
                }
            }
        })
        .await??;
    run.report.chunks.upserted.add(written.len() as u64);
    Ok(written.iter().filter(|(task, _)| task.diff.acknowledge()).map(|(task, _)| Arc::clone(&task.diff)).collect())
}

/// Of a batch, what no other worker has taken over.
async fn held(run: &Run, batch: Arc<Vec<(ChunkTask, Vector)>>) -> Arc<Vec<(ChunkTask, Vector)>> {
    if run.setup.workers.is_none() {
        return batch;
    }
    Arc::new(run.held(batch.to_vec(), |(task, _)| &task.diff).await)
}

/// What the store is to hold. BM25 tokenises and stems: work for a core.
async fn points(run: &Run, batch: Arc<Vec<(ChunkTask, Vector)>>) -> Result<Vec<Point>, Ended> {
    let bm25 = Arc::clone(&run.setup.bm25);
    let make = move |(task, vector): &(ChunkTask, Vector)| {
        let (id, passage) = task.passage();
        point(&bm25, id, vector.to_vec(), passage)
    };
    run.computed("make BM25 vectors", move || batch.iter().map(make).collect()).await
}
