//! An answerer over a pipeline.

use std::sync::Arc;

use super::Runtime;
use crate::answer::{Answerer, Models};
use crate::error::Error;

impl Answerer {
    /// Answers questions over a pipeline's index, as the pipeline says. The model that answers is chosen when a question is asked.
    ///
    /// # Errors
    /// When there is no index, when it was made with another model, or when embedding model, reranker or store cannot be had.
    pub async fn open(runtime: &Runtime) -> Result<Self, Error> {
        let plan = &runtime.plan.query;
        let models = Models::planned(plan, Arc::clone(&runtime.providers), Arc::new(|name: &str| std::env::var(name).ok()));
        Ok(Self::new(runtime.retriever().await?, plan.clone()).with_models(models))
    }
}
