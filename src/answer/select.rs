//! From the ranking to the passages that are used: near-copies are folded, and a reranker has the last word.

use std::time::Duration;

use super::duplicates::{Found, fold};
use super::retrieve::{Retriever, off_runtime};
use crate::answer::Duplicates;
use crate::chunk::embedded_text;
use crate::error::Error;
use crate::providers::Reranker;
use crate::vectordb::MAX_PAGE;

/// Passages looked at for each that is wanted, since some will be copies.
const SPARE: usize = 4;
/// How often more are looked at where most of them were copies.
const ROUNDS: usize = 3;

impl Retriever {
    /// The best `limit` passages for a question, best first, each with its near-copies. Empty when nothing was found.
    ///
    /// # Errors
    /// [`QuestionError`](super::QuestionError) when the question is blank or too long, else what the embedder or the store says. Of a reranker's
    /// errors only those that are final: without it, the order is that of the ranking.
    pub async fn find(&self, question: &str, limit: usize) -> Result<Vec<Found>, Error> {
        let wanted = self.plan.select.rerank.as_ref().map_or(limit, |rerank| rerank.candidates.get().max(limit));
        let mut found = match self.plan.select.duplicates {
            Duplicates::Keep => self.candidates(question, wanted).await?.into_iter().map(Found::from).collect(),
            Duplicates::Drop => self.distinct(question, wanted).await?,
        };
        if let (Some(reranker), Some(plan)) = (&self.reranker, &self.plan.select.rerank) {
            found = rerank(&**reranker, plan.timeout, question, found).await?;
        }
        found.truncate(limit);
        Ok(found)
    }

    /// The first `wanted` passages of the ranking that say something of their own.
    async fn distinct(&self, question: &str, wanted: usize) -> Result<Vec<Found>, Error> {
        let mut depth = wanted;
        let mut round = 0;
        loop {
            depth = depth.saturating_mul(SPARE).min(MAX_PAGE);
            round += 1;
            let hits = self.candidates(question, depth).await?;
            let complete = hits.len() < depth || depth == MAX_PAGE;
            let asked = question.to_owned();
            let mut found = off_runtime("compare passages", move || fold(&asked, hits)).await?;
            if found.len() >= wanted || complete || round == ROUNDS {
                found.truncate(wanted);
                return Ok(found);
            }
        }
    }
}

/// Puts what was found into the reranker's order. Where that fails in a way that may pass, or takes too long, the order stays.
async fn rerank(reranker: &dyn Reranker, within: Duration, question: &str, mut found: Vec<Found>) -> Result<Vec<Found>, Error> {
    if found.len() < 2 {
        return Ok(found);
    }
    let text = |found: &Found| {
        let passage = &found.hit.passage;
        embedded_text(passage.title.as_deref(), &passage.headings, &passage.text)
    };
    let texts: Vec<String> = found.iter().map(text).collect();
    let reranked = match tokio::time::timeout(within, reranker.rerank(question.trim(), &texts)).await {
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
    Ok(found)
}
