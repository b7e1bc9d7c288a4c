//! A reranker has the last word on the order of what was found.

use std::time::Duration;

use tokio::time::Instant;

use super::decide::Decided;
use super::duplicates::DedupedHit;
use super::legs::Leg;
use super::void::Judging;
use crate::chunk::embedded_passage;
use crate::error::Error;
use crate::providers::{ErrorKind, ProviderError, Reranker, Usage, within};

/// What became of a reranking.
#[derive(Debug, Default)]
pub(super) struct Reranking {
    pub(super) found: Vec<DedupedHit>,
    /// Why the order is that of the search.
    pub(super) note: Option<String>,
    /// What it took.
    pub(super) decided: Option<Decided>,
    /// The same, where it gave no order for it.
    pub(super) void: Option<Judging>,
    /// How long the question waited for it.
    pub(super) took: Duration,
}

/// Puts what was found into the reranker's order. Where that fails in a way that may pass, or takes too long, the order stays, and it
/// is said. What is late is cancelled. A key, an address or a model that is wrong is an error: nobody else would notice.
pub(super) async fn rerank(
    reranker: &dyn Reranker,
    deadline: Duration,
    question: &str,
    mut found: Vec<DedupedHit>,
) -> Result<Reranking, Error> {
    if found.len() < 2 {
        return Ok(Reranking { found, ..Reranking::default() });
    }
    let texts: Vec<String> = found.iter().map(|found| embedded_passage(&found.hit.passage)).collect();
    let asked = Instant::now();
    let kept = |found, why: String, error: &ProviderError| {
        let note = Some(format!("The passages are not reranked, and stand as the search ranked them: {why}"));
        let void = Judging::failed(reranker.model(), reranker.price(), error);
        Ok(Reranking { found, note, decided: None, void, took: asked.elapsed() })
    };
    let reranked = match within(deadline, reranker.rerank(question, &texts)).await {
        Some(Ok(reranked)) => reranked,
        // Credit that is used up comes back, and says nothing against the pipeline file.
        Some(Err(error)) if error.is_fatal() && error.kind != ErrorKind::QuotaSpent => {
            return Err(of_the_reranker(error).into());
        }
        Some(Err(error)) => return kept(found, format!("{error}."), &error),
        None => {
            let (model, seconds) = (reranker.model(), deadline.as_secs_f64());
            let why = format!("{model} took longer than {seconds} s (`query.retrieve.rerank.deadline`).");
            return kept(found, why, &ProviderError::new(model, ErrorKind::Timeout, "late"));
        }
    };
    let usage = Usage::new(reranked.tokens, Some(0));
    if reranked.scores.len() != found.len() || reranked.scores.iter().any(|score| !score.is_finite()) {
        let why = format!("{} gave {} scores for {} passages.", reranker.model(), reranked.scores.len(), found.len());
        let error = ProviderError::new(reranker.model(), ErrorKind::BadAnswer, "wrong scores").having_used(usage);
        return kept(found, why, &error);
    }
    let took = asked.elapsed();
    tracing::debug!(passages = texts.len(), tokens = reranked.tokens, units = reranked.units, "reranked");
    for (found, score) in found.iter_mut().zip(reranked.scores) {
        found.hit.score = score;
    }
    // Equally good ones stay in the order of the ranking.
    found.sort_by(|a, b| b.hit.score.total_cmp(&a.hit.score));
    for (rank, found) in (1..).zip(&mut found) {
        found.legs.rerank = Some(Leg { rank, score: found.hit.score });
    }
    let decided = Some(Decided::new(reranker.model(), reranked.tokens, usage.cost(reranker.price())));
    Ok(Reranking { found, note: None, decided, void: None, took })
}

/// The same error, which says whose it is: a pipeline may have several models of one provider.
fn of_the_reranker(error: ProviderError) -> ProviderError {
    let place = "it is the reranker that fails: `query.retrieve.rerank` in the pipeline file; without it the order is that of the search";
    let hint = error.hint.as_deref().map_or_else(|| place.to_owned(), |hint| format!("{hint} ({place})"));
    error.with_hint(hint)
}
