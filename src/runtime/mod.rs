//! A plan with its connections: what `ingest` and `ask` run on.

mod answerer;
mod ingest;

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use crate::answer::{RetrieveMode, Retriever};
use crate::cache::EmbeddingCache;
use crate::error::Error;
use crate::pipeline::Plan;
use crate::providers::{Embedder, Providers};
use crate::vectordb::bm25::Bm25;
use crate::vectordb::{self, StoreError, VectorStore};

/// Where ragstream keeps things.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Index, ledger, failed documents.
    pub home: PathBuf,
    /// Embeddings and models, shared by all projects.
    pub cache: PathBuf,
    /// The working folder: new indexes name their documents relative to it.
    pub cwd: PathBuf,
}

impl Settings {
    /// The ledger of a pipeline.
    pub fn ledger(&self, pipeline: &str) -> PathBuf {
        self.home.join(format!("{pipeline}.ledger"))
    }

    /// The embedded index of a pipeline, unless the plan says otherwise.
    pub fn index(&self, pipeline: &str) -> PathBuf {
        self.home.join(pipeline)
    }
}

/// A plan whose providers and store can be had. Each is opened when it is first asked for, and once.
#[derive(Debug)]
pub struct Runtime {
    /// What runs.
    pub plan: Plan,
    /// Where.
    pub settings: Settings,
    /// Connections to providers, with their limits.
    pub providers: Arc<Providers>,
    store: OnceLock<Arc<dyn VectorStore>>,
    bm25: OnceLock<Arc<Bm25>>,
}

impl Runtime {
    /// Takes a plan; nothing is opened yet.
    pub fn new(plan: Plan, settings: Settings) -> Self {
        let providers = Arc::new(Providers::new(plan.providers.clone(), settings.cache.clone()));
        Self { plan, settings, providers, store: OnceLock::new(), bm25: OnceLock::new() }
    }

    /// The model that embeds.
    pub async fn embedder(&self) -> Result<Arc<dyn Embedder>, Error> {
        Ok(self.providers.embedder(&self.plan.embed).await?)
    }

    /// The store.
    pub fn store(&self) -> Result<Arc<dyn VectorStore>, Error> {
        if let Some(store) = self.store.get() {
            return Ok(Arc::clone(store));
        }
        let store = vectordb::open(&self.plan.store, &self.settings.index(&self.plan.name))?;
        Ok(Arc::clone(self.store.get_or_init(|| store)))
    }

    /// What makes BM25 vectors.
    pub fn bm25(&self) -> Arc<Bm25> {
        Arc::clone(self.bm25.get_or_init(|| Arc::new(Bm25::new())))
    }

    /// What retrieves from the pipeline's index.
    ///
    /// # Errors
    /// When there is no index, when it was made with another model, or when model or store cannot be had.
    pub async fn retriever(&self) -> Result<Retriever, Error> {
        let store = self.store()?;
        let meta = store.meta().await?.ok_or_else(|| StoreError::Missing { store: store.describe() })?;
        let plan = &self.plan.query;
        let embedder = match plan.mode {
            RetrieveMode::Sparse => None,
            RetrieveMode::Dense | RetrieveMode::Hybrid => Some(self.embedder().await?),
        };
        let model = embedder.as_ref().map_or_else(|| meta.model.clone(), |embedder| embedder.fingerprint());
        meta.agree_with_model(&*store, &model)?;
        let reranker = match &plan.select.rerank {
            Some(rerank) => Some(self.providers.reranker(&rerank.model)?),
            None => None,
        };
        let cache = match &embedder {
            Some(embedder) => EmbeddingCache::open(&self.settings.cache, &**embedder, meta.dimensions),
            None => EmbeddingCache::new(0),
        };
        let bm25 = self.bm25();
        Ok(Retriever { store, embedder, cache, bm25: Arc::new(move |question: &str| bm25.query(question)), reranker })
    }
}
