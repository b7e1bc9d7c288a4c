//! Sums a run up.

use super::report::{Chunks, Documents, Embeddings, IngestSummary, Outcome};
use super::run::Run;

/// What a run has come to.
pub(super) fn summary(run: &Run, kept_although_gone: u64) -> IngestSummary {
    let (documents, chunks, embeddings) = (&run.report.documents, &run.report.chunks, &run.report.embeddings);
    let terms = &run.setup.terms;
    let requests = terms.counted.as_ref().map(|counted| counted()).unwrap_or_default();
    // A copy that was sent twice, and an answer that made no sense, are on the bill as well.
    let tokens = embeddings.tokens.get() + requests.wasted;
    IngestSummary {
        pipeline: run.setup.name.clone(),
        outcome: if run.stop.is_cancelled() { Outcome::Interrupted } else { Outcome::Complete },
        seconds: run.report.elapsed().as_secs_f64(),
        documents: Documents {
            seen: documents.seen.get(),
            added: documents.added.get(),
            changed: documents.changed.get(),
            unchanged: documents.unchanged.get(),
            removed: documents.removed.get(),
            failed: documents.failed.get(),
            skipped: documents.skipped.get(),
        },
        chunks: Chunks { upserted: chunks.upserted.get(), deleted: chunks.deleted.get(), kept: chunks.kept.get() },
        embeddings: Embeddings {
            embedded: embeddings.embedded.get(),
            cache_hits: embeddings.cache_hits.get(),
            requests: requests.requests,
            tokens,
            retries: requests.retries,
            throttled: requests.throttled,
            hedged: requests.hedged,
            cost_usd: terms.price.and_then(|price| price.cost(tokens, 0)),
        },
        bottleneck: run.report.bottleneck(|stage| run.concurrency(stage)),
        kept_although_gone,
        other_home: run.other_home.clone(),
        unread_pages: run.report.unread_pages.get(),
        skipped: run.report.skipped(),
    }
}
