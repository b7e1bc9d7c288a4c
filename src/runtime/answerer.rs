//! An answerer over a pipeline.

use std::path::PathBuf;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::Runtime;
use crate::answer::federated::Index;
use crate::answer::{Answerer, Models, OpenRetriever, Owner};
use crate::error::Error;

impl Answerer {
    /// Answers questions over a pipeline's index, as the pipeline says. The model that answers is chosen when a question is asked.
    ///
    /// # Errors
    /// When there is no index, when it was made with another model, or when embedding model, reranker or store cannot be had.
    pub async fn open(runtime: &Runtime) -> Result<Self, Error> {
        let retriever = runtime.retriever().await?;
        let open = opening(&Arc::new(runtime.clone()));
        Ok(Self::kept_open(retriever, open, runtime.plan.query.clone())
            .with_models(planned(runtime))
            .keeping_notes_in(notes(runtime)))
    }

    /// The same by another process that has the index open; what it cannot do, or no longer, is done here, and only then is the index
    /// opened.
    pub fn open_through(runtime: &Arc<Runtime>, owner: Arc<dyn Owner>) -> Self {
        Self::through(owner, opening(runtime), runtime.plan.query.clone())
            .with_models(planned(runtime))
            .keeping_notes_in(notes(runtime))
    }

    /// Answers questions over the indexes of several pipelines, the first of which says who answers and how (see [`Self::together`]).
    pub fn open_together(first: &Arc<Runtime>, others: &[Arc<Runtime>]) -> Self {
        Self::together(index(first), others.iter().map(index).collect())
            .with_models(planned(first))
            .keeping_notes_in(notes(first))
    }
}

/// The index of a pipeline, opened when it is first asked.
fn index(runtime: &Arc<Runtime>) -> Index {
    Index::new(runtime.plan.name.clone(), runtime.plan.query.clone(), opening(runtime))
}

/// Opens a pipeline's index, as it is by then.
fn opening(runtime: &Arc<Runtime>) -> OpenRetriever {
    let opening = Arc::clone(runtime);
    Arc::new(move || {
        let runtime = Arc::clone(&opening);
        Box::pin(async move { runtime.retriever().await }) as BoxFuture<'static, _>
    })
}

fn notes(runtime: &Runtime) -> PathBuf {
    runtime.settings.notes(&runtime.plan.name)
}

/// The models of the plan, over its providers.
fn planned(runtime: &Runtime) -> Models {
    let env = Arc::new(|name: &str| std::env::var(name).ok());
    Models::planned(&runtime.plan.query, Arc::clone(&runtime.providers), env)
}
