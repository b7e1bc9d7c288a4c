//! The last step of a document.

use std::sync::Arc;

use super::settle::settled;
use super::store::BATCH;
use crate::ingest::diff::DocumentDiff;
use crate::ingest::run::{Ended, Run};
use crate::vectordb::VectorStore;

/// Finishes documents whose new chunks are all in the store: moves what moved, deletes what is stale, records them as done.
pub(super) async fn finish(run: &Run, documents: Vec<Arc<DocumentDiff>>) -> Result<(), Ended> {
    let moved: Vec<_> = documents.iter().flat_map(|diff| diff.moved().map(move |index| (diff, index))).collect();
    for part in moved.chunks(BATCH) {
        run.with_store(|store: Arc<dyn VectorStore>| {
            let passages = part.iter().map(|(diff, index)| diff.passage(*index)).collect();
            async move { store.set_passages(passages).await }
        })
        .await?;
    }
    let stale: Vec<_> = documents.iter().flat_map(|diff| &diff.stale).copied().collect();
    for part in stale.chunks(BATCH * 4) {
        run.with_store(|store| {
            let ids = part.to_vec();
            async move { store.delete(ids).await }
        })
        .await?;
        run.report.chunks.deleted.add(part.len() as u64);
    }
    let fenced = run.recorded(run.setup.ledger.commit(documents.iter().map(|diff| diff.commit()).collect()).await)?.uris;
    run.report.chunks.upserted.add(moved.len() as u64);
    for diff in documents.iter().filter(|diff| !fenced.contains(&diff.document.uri)) {
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
