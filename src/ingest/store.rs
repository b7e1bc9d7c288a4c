//! Vectors in, finished documents out: points are written in batches, and a document is done when all of its points are.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{Stream, StreamExt as _};
use tokio_util::task::AbortOnDropHandle;

use super::job::{Job, Piece};
use super::report::Stage;
use super::run::Run;
use crate::cache::Vector;
use crate::document::Point;

/// Points a write.
const BATCH: usize = 256;
/// How long a batch waits to be filled.
const LINGER: Duration = Duration::from_millis(50);
/// Writes at once.
pub(super) const WRITERS: usize = 4;

/// Writes what was embedded, and gives out each document whose last new chunk the store has acknowledged.
pub(super) fn store(
    run: &Arc<Run>,
    embedded: impl Stream<Item = (Piece, Vector)> + Send,
) -> impl Stream<Item = Arc<Job>> + Send {
    let (run, joined) = (Arc::clone(run), Arc::clone(run));
    tokio_stream::StreamExt::chunks_timeout(embedded, BATCH, LINGER)
        .map(move |batch| {
            let run = Arc::clone(&run);
            // A task of its own: a write goes on while the stages before it are looked after.
            AbortOnDropHandle::new(tokio::spawn(async move { Some(write(&run, batch).await) }))
        })
        .buffer_unordered(WRITERS)
        .flat_map(move |finished| futures_util::stream::iter(joined.joined(finished).unwrap_or_default()))
}

/// Writes one batch; the documents that it finished.
async fn write(run: &Arc<Run>, batch: Vec<(Piece, Vector)>) -> Vec<Arc<Job>> {
    let _busy = run.report.busy(Stage::Store);
    let (pieces, vectors): (Vec<Piece>, Vec<Vector>) = batch.into_iter().unzip();
    let wanted = pieces.clone();
    let bm25 = Arc::clone(&run.bm25);
    // BM25 tokenises and stems: work for a core.
    let points = tokio::task::spawn_blocking(move || -> Vec<Point> {
        wanted
            .iter()
            .zip(vectors)
            .filter_map(|(piece, vector)| {
                let (id, passage) = piece.job.passage(piece.index)?;
                let sparse = bm25.passage(&piece.job.embedded_text(piece.index)?);
                Some(Point { id, dense: vector.to_vec(), sparse, passage })
            })
            .collect()
    })
    .await;
    let points = match points {
        Ok(points) => points,
        Err(panic) => {
            run.abort::<()>(crate::error::Error::Worker { action: "make BM25 vectors", source: panic });
            return Vec::new();
        }
    };
    let count = points.len() as u64;
    if run
        .with_store(|store| {
            let points = points.clone();
            async move { store.upsert(points).await }
        })
        .await
        .is_none()
    {
        return Vec::new();
    }
    run.report.chunks.upserted.add(count);
    pieces.into_iter().filter(|piece| piece.job.acknowledge()).map(|piece| piece.job).collect()
}

/// Finishes a document whose new chunks are all in the store: moves what moved, deletes what is stale, records it as done.
pub(super) async fn finish(run: &Arc<Run>, job: Arc<Job>) -> Option<()> {
    for part in job.moved.chunks(BATCH) {
        let passages: Vec<_> = part.iter().filter_map(|index| job.passage(*index)).collect();
        let write = |store: Arc<dyn crate::vectordb::VectorStore>| {
            let passages = passages.clone();
            async move { store.set_passages(passages).await }
        };
        run.with_store(write).await?;
    }
    for part in job.stale.chunks(BATCH * 4) {
        run.with_store(|store| {
            let ids = part.to_vec();
            async move { store.delete(ids).await }
        })
        .await?;
        run.report.chunks.deleted.add(part.len() as u64);
    }
    run.report.chunks.upserted.add(job.moved.len() as u64);
    run.report.chunks.kept.add((job.chunks.len() - job.new.len() - job.moved.len()) as u64);
    let counted = Arc::clone(&job);
    run.with_ledger(move |ledger| ledger.done(&job.document.uri, job.stamp, &job.hash, &job.points)).await?;
    let documents = &run.report.documents;
    match (counted.touched, counted.known) {
        (true, _) => documents.unchanged.add(1),
        (false, true) => documents.changed.add(1),
        (false, false) => documents.added.add(1),
    }
    Some(())
}
