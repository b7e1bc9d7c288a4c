//! The last step of a document.

use std::sync::Arc;

use super::settle::settled;
use super::store::BATCH;
use crate::ingest::diff::DocumentDiff;
use crate::ingest::run::{Ended, Run};
use crate::vectordb::VectorStore;

/// Finishes documents whose new chunks are all in the store: moves what moved, deletes what is stale, records them as done.
pub(super) async fn finish(run: &Run, documents: Vec<Arc<DocumentDiff>>) -> Result<(), Ended> {
    let mut documents = run.held(documents, |diff| diff).await;
    // Where the store was waited for so long that another worker has one of them, the others go on.
    while !tidied(run, &documents).await? {
        documents = run.held(documents, |diff| diff).await;
    }
    let fenced = run.recorded(run.setup.ledger.commit(documents.iter().map(|diff| diff.commit()).collect()).await)?.uris;
    documents.retain(|diff| !fenced.contains(&diff.document.uri));
    for diff in &documents {
        run.report.chunks.kept.add(diff.kept() as u64);
        let documents = &run.report.documents;
        match (diff.touched, diff.known) {
            (true, _) => documents.unchanged.add(1),
            (false, true) => documents.changed.add(1),
            (false, false) => documents.added.add(1),
        }
    }
    settled(run, documents.iter().map(|diff| (&diff.source, diff.document.uri.as_str()))).await;
    Ok(())
}

/// Moves what moved, and deletes what is stale. `false`: another worker has one of the documents, and not all of it was done.
async fn tidied(run: &Run, documents: &[Arc<DocumentDiff>]) -> Result<bool, Ended> {
    let all_held = async || match run.setup.workers {
        None => true,
        Some(_) => run.held(documents.to_vec(), |diff| diff).await.len() == documents.len(),
    };
    let moved: Vec<_> = documents.iter().flat_map(|diff| diff.moved().map(move |index| (diff, index))).collect();
    for part in moved.chunks(BATCH) {
        let done = run.with_store(|store: Arc<dyn VectorStore>| {
            let passages = part.iter().map(|(diff, index)| diff.passage(*index)).collect();
            async move { if all_held().await { store.set_passages(passages).await.map(|()| true) } else { Ok(false) } }
        });
        if !done.await? {
            return Ok(false);
        }
        run.report.chunks.upserted.add(part.len() as u64);
    }
    let stale: Vec<_> = documents.iter().flat_map(|diff| &diff.stale).copied().collect();
    for part in stale.chunks(BATCH * 4) {
        let done = run.with_store(|store: Arc<dyn VectorStore>| {
            let ids = part.to_vec();
            async move { if all_held().await { store.delete(ids).await.map(|()| true) } else { Ok(false) } }
        });
        if !done.await? {
            return Ok(false);
        }
        run.report.chunks.deleted.add(part.len() as u64);
    }
    Ok(true)
}
