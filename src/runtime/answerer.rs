//! An answerer over a pipeline.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::Runtime;
use crate::answer::{Answerer, Models, Owner};
use crate::error::Error;

impl Answerer {
    /// Answers questions over a pipeline's index, as the pipeline says. The model that answers is chosen when a question is asked.
    ///
    /// # Errors
    /// When there is no index, when it was made with another model, or when embedding model, reranker or store cannot be had.
    pub async fn open(runtime: &Runtime) -> Result<Self, Error> {
        Ok(Self::new(runtime.retriever().await?, runtime.plan.query.clone()).with_models(planned(runtime)))
    }

    /// The same by another process that has the index open; what it cannot do, or no longer, is done here, and only then is the index
    /// opened.
    pub fn open_through(runtime: &Arc<Runtime>, owner: Arc<dyn Owner>) -> Self {
        let opening = Arc::clone(runtime);
        let open = move || {
            let runtime = Arc::clone(&opening);
            Box::pin(async move { runtime.retriever().await }) as BoxFuture<'static, _>
        };
        Self::through(owner, Arc::new(open), runtime.plan.query.clone()).with_models(planned(runtime))
    }
}

/// The models of the plan, over its providers.
fn planned(runtime: &Runtime) -> Models {
    let env = Arc::new(|name: &str| std::env::var(name).ok());
    Models::planned(&runtime.plan.query, Arc::clone(&runtime.providers), env)
}
