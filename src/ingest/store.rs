//! Vectors in, finished documents out: points are written in batches, and a document is done when all of its points are.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{Stream, StreamExt as _};
use tokio::sync::Semaphore;
use tokio_util::task::AbortOnDropHandle;

use super::job::{Job, Piece};
use super::report::Stage;
use super::run::Run;
use crate::cache::Vector;
use crate::document::Point;
use crate::error::Error;

/// Points a write.
const BATCH: usize = 128;
/// How long a batch waits to be filled.
const LINGER: Duration = Duration::from_millis(50);
/// Writes at once.
pub(super) const WRITERS: usize = 4;

/// Writes what was embedded, and gives out the documents whose last new chunk the store has acknowledged.
pub(super) fn store(
    run: &Arc<Run>,
    embedded: impl Stream<Item = (Piece, Vector)> + Send,
) -> impl Stream<Item = Vec<Arc<Job>>> + Send {
    let (run, joined) = (Arc::clone(run), Arc::clone(run));
    let writers = Arc::new(Semaphore::new(WRITERS));
    let waiting = run.batching.waiting / BATCH;
    tokio_stream::StreamExt::chunks_timeout(embedded, BATCH, LINGER)
        .map(move |batch| {
            let (run, writers) = (Arc::clone(&run), Arc::clone(&writers));
            // A task of its own: a write goes on while the stages before it are looked after.
            AbortOnDropHandle::new(tokio::spawn(async move {
                let _writer = writers.acquire().await.ok()?;
                write(&run, batch).await
            }))
        })
        .buffer_unordered(WRITERS + waiting)
        .filter_map(move |finished| std::future::ready(joined.joined(finished)))
}

/// Writes one batch; the documents that it finished, if any.
async fn write(run: &Arc<Run>, batch: Vec<(Piece, Vector)>) -> Option<Vec<Arc<Job>>> {
    let _busy = run.report.busy(Stage::Store);
    let batch = Arc::new(batch);
    // Made anew for another attempt, which is seldom: a copy to go back to would be as large as the batch.
    let written = run.with_store(|store| {
        let batch = Arc::clone(&batch);
        async move { if let Some(points) = points(run, batch).await { store.upsert(points).await.map(Some) } else { Ok(None) } }
    });
    written.await??;
    run.report.chunks.upserted.add(batch.len() as u64);
    let finished: Vec<_> =
        batch.iter().filter(|(piece, _)| piece.job.acknowledge()).map(|(piece, _)| Arc::clone(&piece.job)).collect();
    (!finished.is_empty()).then_some(finished)
}

/// What the store is to hold. BM25 tokenises and stems: work for a core.
async fn points(run: &Arc<Run>, batch: Arc<Vec<(Piece, Vector)>>) -> Option<Vec<Point>> {
    let bm25 = Arc::clone(&run.bm25);
    let made = tokio::task::spawn_blocking(move || {
        let point = |(piece, vector): &(Piece, Vector)| {
            let (id, passage) = piece.job.passage(piece.index)?;
            let sparse = bm25.passage_in(piece.job.language, &piece.job.embedded_text(piece.index)?);
            Some(Point { id, dense: vector.to_vec(), sparse, passage })
        };
        batch.iter().filter_map(point).collect()
    });
    match made.await {
        Ok(points) => Some(points),
        Err(source) => run.abort(Error::worker("make BM25 vectors", source)),
    }
}

/// Finishes documents whose new chunks are all in the store: moves what moved, deletes what is stale, records them as done.
pub(super) async fn finish(run: &Arc<Run>, jobs: Vec<Arc<Job>>) -> Option<()> {
    let moved: Vec<_> = jobs.iter().flat_map(|job| job.moved.iter().map(move |index| (Arc::clone(job), *index))).collect();
    for part in moved.chunks(BATCH) {
        let write = |store: Arc<dyn crate::vectordb::VectorStore>| {
            let passages = part.iter().filter_map(|(job, index)| job.passage(*index)).collect();
            async move { store.set_passages(passages).await }
        };
        run.with_store(write).await?;
    }
    let stale: Vec<_> = jobs.iter().flat_map(|job| &job.stale).copied().collect();
    for part in stale.chunks(BATCH * 4) {
        run.with_store(|store| {
            let ids = part.to_vec();
            async move { store.delete(ids).await }
        })
        .await?;
        run.report.chunks.deleted.add(part.len() as u64);
    }
    let fenced = run.recorded(run.ledger.commit(jobs.iter().map(|job| job.commit()).collect()).await)?;
    let mut jobs = jobs;
    jobs.retain(|job| !fenced.uris.contains(&job.document.uri));
    run.report.chunks.upserted.add(moved.len() as u64);
    for job in &jobs {
        run.report.chunks.kept.add((job.chunks.len() - job.new.len() - job.moved.len()) as u64);
        let documents = &run.report.documents;
        match (job.touched, job.known) {
            (true, _) => documents.unchanged.add(1),
            (false, true) => documents.changed.add(1),
            (false, false) => documents.added.add(1),
        }
    }
    Some(())
}
