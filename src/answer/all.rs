//! Whether a question has all documents read, and by what.

use std::sync::Arc;

use super::QueryPlan;
use super::answerer::Answerer;
use super::federated;
use super::question::Question;
use super::whole::{Estimate, Given, Library, Pass};
use crate::error::Error;
use crate::providers::ChatModel;

impl Answerer {
    /// What a pass over all documents is made with.
    pub(super) fn given<'a>(
        &self,
        text: &'a str,
        question: &'a Question,
        plan: &'a QueryPlan,
        models: &'a [Arc<dyn ChatModel>],
    ) -> Given<'a> {
        let (count, notes) = (Arc::clone(&self.count_tokens), self.notes.clone());
        let quota = self.models.quota(models.first().map_or("", |model| model.model()));
        Given { text, question, plan, models, count, quota, notes, releasing: self.releases }
    }

    /// The pass over all documents that answers a question about all, and what it takes; `None`: the question is none.
    pub(super) async fn whole(
        &self,
        text: &str,
        question: &Question,
        plan: &QueryPlan,
        models: &[Arc<dyn ChatModel>],
    ) -> Result<Option<(Pass, Estimate)>, Error> {
        let given = self.given(text, question, plan, models);
        if !given.is_whole() {
            return Ok(None);
        }
        let libraries = match &self.together {
            Some(indexes) => federated::libraries(indexes, |plan| question.narrowed(plan)).await?,
            None => vec![Library::of(&*self.retriever().await?, plan)],
        };
        Ok(Some(given.pass(libraries).await?))
    }
}
