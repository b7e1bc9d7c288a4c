//! Cuts documents, compares the chunks with what the index has, and records what is about to be written.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use futures_util::Stream;

use super::stage::stage;
use crate::ingest::clocks::{Step, Wanted};
use crate::ingest::context::ROOM;
use crate::ingest::diff::{DocumentDiff, Parsed};
use crate::ingest::ledger::FailedDocument;
use crate::ingest::report::Stage;
use crate::ingest::run::{Ended, Mode, Run};

/// Cuts and compares, a core's worth of batches at once.
pub(super) fn chunk(
    run: &Arc<Run>,
    documents: impl Stream<Item = Vec<Parsed>> + Send + 'static,
) -> Wanted<Vec<Arc<DocumentDiff>>> {
    stage(run, Step::Chunk, "cut documents", documents, |run, batch, _| async move { chunk_batch(&run, batch).await })
}

async fn chunk_batch(run: &Arc<Run>, batch: Vec<Parsed>) -> Result<Vec<Arc<DocumentDiff>>, Ended> {
    let worker = Arc::clone(run);
    let cut = move || batch.into_iter().map(|parsed| chunk_one(&worker, parsed)).collect::<Vec<_>>();
    let (mut diffs, mut failed) = (Vec::new(), Vec::new());
    for cut in run.computed("cut documents", cut).await? {
        match cut {
            Ok(diff) => diffs.push(Arc::new(diff)),
            Err(failure) => failed.push(failure),
        }
    }
    run.fail(failed).await?;
    run.report.chunks.made.add(diffs.iter().map(|diff| diff.chunks() as u64).sum());
    for diff in diffs.iter().filter(|diff| !diff.known) {
        run.report.languages.add(diff.language);
    }
    if run.mode == Mode::Look {
        run.arrived.add(diffs.iter().map(|diff| diff.hash()));
    } else {
        let intents: Vec<_> = diffs.iter().filter_map(|diff| diff.intent()).collect();
        if !intents.is_empty() {
            let fenced = run.recorded(run.setup.ledger.intend(intents).await)?.uris;
            diffs.retain(|diff| !fenced.contains(&diff.document.uri));
        }
    }
    Ok(diffs)
}

/// Cuts one document. CPU work.
fn chunk_one(run: &Run, parsed: Parsed) -> Result<DocumentDiff, FailedDocument> {
    let (source, uri) = (parsed.source.clone(), parsed.document.uri.clone());
    let max_tokens = run.setup.embedder.limits().input_tokens;
    let cut = AssertUnwindSafe(|| {
        let most = max_tokens - if run.situated().is_some() { ROOM.min(max_tokens / 4) } else { 0 };
        let fits = |text: &str| run.setup.embedder.count_tokens(text).is_none_or(|tokens| tokens <= most);
        let chunks = run.chunker.chunk(&parsed.document, Some(&fits));
        DocumentDiff::new(parsed, chunks, run.situated())
    });
    catch_unwind(cut).map_err(|_| FailedDocument { source, uri, stage: Stage::Chunk, error: "the chunker broke".to_owned() })
}
