//! A reranker has the last word on the order of what was found.

use std::time::Duration;

use super::duplicates::DedupedHit;
use super::legs::Leg;
use crate::chunk::embedded_text;
use crate::error::Error;
use crate::providers::Reranker;

/// Puts what was found into the reranker's order. Where that fails in a way that may pass, or takes too long, the order stays.
pub(super) async fn rerank(
    reranker: &dyn Reranker,
    within: Duration,
    question: &str,
    mut found: Vec<DedupedHit>,
) -> Result<Vec<DedupedHit>, Error> {
    if found.len() < 2 {
        return Ok(found);
    }
    let text = |found: &DedupedHit| {
        let passage = &found.hit.passage;
        embedded_text(passage.title.as_deref(), &passage.headings, passage.columns.as_deref(), &passage.text)
    };
    let texts: Vec<String> = found.iter().map(text).collect();
    let reranked = match tokio::time::timeout(within, reranker.rerank(question, &texts)).await {
        Ok(Ok(reranked)) => reranked,
        Ok(Err(error)) if error.is_fatal() => return Err(error.into()),
        Ok(Err(error)) => {
            tracing::warn!(%error, "passages are not reranked");
            return Ok(found);
        }
        Err(_) => {
            let (model, seconds) = (reranker.model(), within.as_secs_f64());
            tracing::warn!("passages are not reranked: {model} took longer than {seconds} s (`query.retrieve.rerank.timeout`)");
            return Ok(found);
        }
    };
    tracing::debug!(passages = texts.len(), tokens = reranked.tokens, units = reranked.units, "reranked");
    for (found, score) in found.iter_mut().zip(reranked.scores) {
        found.hit.score = score;
    }
    // Equally good ones stay in the order of the ranking.
    found.sort_by(|a, b| b.hit.score.total_cmp(&a.hit.score));
    for (rank, found) in (1..).zip(&mut found) {
        found.legs.rerank = Some(Leg { rank, score: found.hit.score });
    }
    Ok(found)
}
