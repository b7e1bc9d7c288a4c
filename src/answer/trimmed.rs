//! Passages cut to what fits the question.

use std::sync::Arc;

use super::QueryPlan;
use super::answerer::Answerer;
use super::carried::Sought;
use super::duplicates::DedupedHit;
use super::retrieve::off_runtime;
use super::trim::trimmed;
use crate::error::Error;

impl Answerer {
    /// What of passages is kept, where the plan has them trimmed.
    pub(super) async fn trimmed(
        &self,
        sought: Sought<'_>,
        plan: &QueryPlan,
        hits: Vec<DedupedHit>,
    ) -> Result<Vec<DedupedHit>, Error> {
        let Some(tokens) = plan.select.trim else { return Ok(hits) };
        let (words, count) = (self.retriever().await?.sparse(sought).await?, Arc::clone(&self.count_tokens));
        off_runtime("trim passages", move || trimmed(&words, &hits, tokens.get(), &*count)).await
    }
}
