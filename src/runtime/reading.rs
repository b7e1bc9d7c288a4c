//! Opens a pipeline's index for questions: with the model that it was made with, whichever the pipeline names by now.

use std::sync::Arc;

use super::Runtime;
use crate::answer::{Answerability, FusionPlan, RetrieveMode, Retriever, StandIn};
use crate::cache::EmbeddingCache;
use crate::error::Error;
use crate::providers::{Embedder, Fingerprint, Prefixes, ProviderKind};
use crate::vectordb::{IndexMeta, Look, StoreError};

impl Runtime {
    /// What retrieves from the pipeline's index.
    ///
    /// # Errors
    /// When there is no index, when the model that it was made with cannot be had, or the store.
    pub async fn retriever(&self) -> Result<Retriever, Error> {
        let look = self.answering().await?;
        let store = Arc::clone(&look.current.store);
        let index = look.current.index.clone().ok_or_else(|| StoreError::Missing { store: store.describe() })?;
        let plan = &self.plan.query;
        let (embedder, stand_in) = match plan.mode {
            RetrieveMode::Sparse => (None, None),
            RetrieveMode::Dense | RetrieveMode::Hybrid => {
                let (embedder, stand_in) = self.embedder_for(&index, &look).await?;
                (Some(embedder), stand_in)
            }
        };
        index.agree_with_model(&*store, &index.model)?;
        let reranker = match (&self.reranker, &plan.select.rerank) {
            (Some(own), _) => Some(Arc::clone(own)),
            (None, Some(rerank)) => Some(self.providers.reranker(&rerank.model)?),
            (None, None) => None,
        };
        if let Some(reranker) = &reranker {
            reranker.prepare().await?;
        }
        let cache = match &embedder {
            Some(embedder) => EmbeddingCache::open(&self.settings.cache, &**embedder, index.dimensions),
            None => EmbeddingCache::new(0),
        };
        let bm25 = self.bm25();
        let bm25 = Arc::new(move |question: &str| bm25.query(question));
        let answerability = Answerability::at(self.settings.answerability(&self.plan.name), index.model.as_str());
        let answerability = Some(Arc::new(answerability));
        Ok(Retriever { store, embedder, cache, bm25, reranker, answerability, made_with: Some(index), stand_in })
    }

    /// The model that embeds questions for an index, and what is to be said where the pipeline names another one.
    async fn embedder_for(&self, index: &IndexMeta, look: &Look) -> Result<(Arc<dyn Embedder>, Option<StandIn>), Error> {
        let planned = self.embedder().await;
        let wanted = planned.as_ref().ok().map(|embedder| embedder.fingerprint());
        if let (Ok(embedder), Some(wanted)) = (&planned, &wanted) {
            if *wanted == index.model {
                return Ok((Arc::clone(embedder), None));
            }
            if !self.may_change(look, index, wanted) {
                index.agree_with_model(&*look.current.store, wanted)?;
            }
        }
        let known: Vec<Prefixes> = index.prefixes.clone().into_iter().chain(self.prefixes()).collect();
        match (self.providers.embedder_of(&index.model, &known).await, planned) {
            (Ok(embedder), _) => {
                // That it cannot be had is for an ingest to say.
                let planned = wanted.unwrap_or_else(|| Fingerprint::new(self.plan.embed.model.to_string()));
                let kind = self.plan.providers.get(&self.plan.embed.model.provider).map(|provider| provider.kind);
                let usual = FusionPlan::default_for(kind, &self.plan.embed.model.model);
                Ok((embedder, Some(StandIn { slots: self.slots()?, model: index.model.clone(), planned, usual })))
            }
            // What the index was made with is most likely just that model.
            (Err(_), Err(error)) => Err(error),
            (Err(error), Ok(_)) => Err(error.into()),
        }
    }

    /// What the pipeline has put before each input; `None`: nothing, or that is the model's own affair.
    pub(super) fn prefixes(&self) -> Option<Prefixes> {
        let embed = &self.plan.embed;
        let provider = self.plan.providers.get(&embed.model.provider)?;
        let prefixes = Prefixes::of(embed);
        let has_none = self.own_embedder || provider.kind == ProviderKind::Local || prefixes == Prefixes::default();
        (!has_none).then_some(prefixes)
    }
}
