//! From batches of items to committed documents: a stage a file, each a stream that pulls from the one before it.

mod chunk;
mod context;
mod embed;
mod fetch;
mod finish;
mod parse;
mod settle;
mod stage;
mod store;

use std::sync::Arc;

use async_stream::stream;
use futures_util::stream::select;
use futures_util::{Stream, StreamExt as _};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::clocks::{Place, Step, Wanted};
use super::diff::{ChunkTask, DocumentDiff};
use super::queue::Claim;
use super::run::{Run, WRITERS};

pub(super) use self::context::within_room;
pub(super) use self::store::BATCH;

/// Carries everything that the queue holds into the index; returns when nothing more comes, or when the run is stopped and what was
/// in flight is done.
pub(super) async fn work(run: &Arc<Run>, claims: impl Claim) {
    let (tasks, nothing_new) = split(diffs(run, claims));
    let situated = context::situate(run, tasks);
    let embedded = embed::embed(run, situated);
    let stored = store::store(run, embedded);
    select(stored, nothing_new)
        .for_each_concurrent(WRITERS, |documents| async {
            let _place = Place::take(&run.report.clocks, Step::Commit);
            // Why it was not finished is known to the run.
            let _ = finish::finish(run, documents).await;
        })
        .await;
}

/// Documents, cut and compared with what the index has of them.
pub(super) fn diffs(run: &Arc<Run>, claims: impl Claim) -> Wanted<Vec<Arc<DocumentDiff>>> {
    let fetched = fetch::fetch(run, claims);
    let parsed = parse::parse(run, fetched);
    chunk::chunk(run, parsed)
}

/// Chunks that are to be embedded, and beside them the documents that have none: those go straight to the end.
fn split(
    diffs: impl Stream<Item = Vec<Arc<DocumentDiff>>> + Send,
) -> (impl Stream<Item = ChunkTask> + Send, impl Stream<Item = Vec<Arc<DocumentDiff>>> + Send) {
    let (aside, nothing_new) = mpsc::channel(WRITERS);
    let tasks = stream! {
        let mut diffs = std::pin::pin!(diffs);
        while let Some(documents) = diffs.next().await {
            let (new, done): (Vec<_>, Vec<_>) = documents.into_iter().partition(|document| document.has_new());
            if !done.is_empty() && aside.send(done).await.is_err() {
                // The receiver lives as long as the run's last stage.
                return;
            }
            for document in new {
                for task in ChunkTask::of(&document) {
                    yield task;
                }
            }
        }
    };
    (tasks, ReceiverStream::new(nothing_new))
}
