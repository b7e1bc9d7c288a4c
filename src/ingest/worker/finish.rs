//! The last step of a document.

use std::sync::Arc;

use super::settle::settled;
use super::store::BATCH;
use crate::document::Passage;
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

/// What the store says of where these chunks stand, which have moved: they are situated once.
async fn contexts(run: &Run, part: &[(&Arc<DocumentDiff>, usize)]) -> Result<Vec<Option<String>>, Ended> {
    if !part.iter().any(|(diff, _)| diff.is_situated()) {
        return Ok(vec![None; part.len()]);
    }
    let ids: Vec<_> = part.iter().map(|(diff, index)| diff.passage(*index).0).collect();
    let known = run.with_store(|store: Arc<dyn VectorStore>| {
        let ids = ids.clone();
        async move { store.passages(ids).await }
    });
    let mut known = known.await?.into_iter();
    Ok(part.iter().map(|_| known.next().flatten().and_then(|passage| passage.context)).collect())
}

/// Moves what moved, and deletes what is stale. `false`: another worker has one of the documents, and not all of it was done.
async fn tidied(run: &Run, documents: &[Arc<DocumentDiff>]) -> Result<bool, Ended> {
    let all_held = async || match run.setup.workers {
        None => true,
        Some(_) => run.held(documents.to_vec(), |diff| diff).await.len() == documents.len(),
    };
    let moved: Vec<_> = documents.iter().flat_map(|diff| diff.moved().map(move |index| (diff, index))).collect();
    for part in moved.chunks(BATCH) {
        let contexts = contexts(run, part).await?;
        let done = run.with_store(|store: Arc<dyn VectorStore>| {
            let passage = |((diff, index), context): (&(&Arc<DocumentDiff>, usize), &Option<String>)| {
                let (id, passage) = diff.passage(*index);
                (id, Passage { context: context.clone(), ..passage })
            };
            let passages = part.iter().zip(&contexts).map(passage).collect();
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
