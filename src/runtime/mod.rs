//! The composition root: a plan with its connections, or with parts of a program's own, on which ingest and answers run.

mod answerability;
mod answerer;
mod change;
mod choice;
#[cfg(feature = "postgres")]
mod cluster;
mod copy;
mod former;
mod ingest;
mod part;
mod reading;
mod settings;
mod status;
#[cfg(feature = "postgres")]
mod together;
#[cfg(any(feature = "cli", feature = "serve"))]
mod unfinished;
mod watch;
mod why;

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};

use tokio::sync::OnceCell;

pub use self::settings::Settings;
pub use self::status::{Status, StatusCache, StatusFailure, StatusNext};
#[cfg(any(feature = "cli", feature = "serve"))]
pub(crate) use self::unfinished::Unfinished;
#[cfg(feature = "serve")]
pub(crate) use self::watch::is_busy;
pub use self::watch::{WatchEvent, WatchOptions};
pub use self::why::Why;
use crate::answer::RerankPlan;
use crate::cache::SharedCache;
use crate::error::Error;
use crate::pipeline::Plan;
use crate::providers::{Embedder, ModelRef, Providers, Reranker};
use crate::source::{Purpose, Source};
use crate::vectordb::bm25::Bm25;
use crate::vectordb::{Slots, VectorStore};

/// A plan whose providers and store can be had. Each is opened when it is first asked for, and once.
///
/// What a plan names can be replaced by a program's own, before anything is opened: [`Self::with_embedder`], [`Self::with_store`],
/// [`Self::with_reranker`], [`Self::with_source`]. A chat model of one's own comes with a question
/// ([`crate::answer::ModelChoice::Own`]) or with [`crate::answer::Answerer::with_models`].
#[derive(Debug, Clone)]
pub struct Runtime {
    /// What runs.
    pub plan: Plan,
    /// Where.
    pub settings: Settings,
    /// Connections to providers, with their limits.
    pub providers: Arc<Providers>,
    sources: Vec<Arc<dyn Source>>,
    embedder: OnceCell<Arc<dyn Embedder>>,
    own_embedder: bool,
    /// It was just said that words alone find documents which the model cannot read.
    said_of_language: Arc<AtomicBool>,
    reranker: Option<Arc<dyn Reranker>>,
    shared_cache: Option<SharedCache>,
    slots: OnceLock<Slots>,
    bm25: OnceLock<Arc<Bm25>>,
    /// The workers that it is one of.
    #[cfg(feature = "postgres")]
    cluster: Option<Arc<crate::cluster::Ledgers>>,
}

impl Runtime {
    /// Takes a plan; nothing is opened yet.
    pub fn new(plan: Plan, settings: Settings) -> Self {
        let providers = Arc::new(Providers::new(plan.providers.clone(), settings.cache.clone()));
        Self {
            plan,
            settings,
            providers,
            sources: Vec::new(),
            embedder: OnceCell::new(),
            own_embedder: false,
            said_of_language: Arc::default(),
            reranker: None,
            shared_cache: None,
            slots: OnceLock::new(),
            bm25: OnceLock::new(),
            #[cfg(feature = "postgres")]
            cluster: None,
        }
    }

    /// The same with a source of one's own, beside those that the plan names and those added before.
    #[must_use]
    pub fn with_source(mut self, source: Arc<dyn Source>) -> Self {
        self.sources.push(source);
        self
    }

    /// The same with an embedding model of one's own in place of the plan's. Its fingerprint is kept in the index, which no other
    /// model can be used with.
    #[must_use]
    pub fn with_embedder(self, embedder: Arc<dyn Embedder>) -> Self {
        Self { embedder: OnceCell::from(embedder), own_embedder: true, ..self }
    }

    /// The same with a reranker of one's own in place of the plan's. Candidates and patience are those of the plan's, or the usual
    /// ones where it has none.
    #[must_use]
    pub fn with_reranker(mut self, reranker: Arc<dyn Reranker>) -> Self {
        let name = ModelRef::named(reranker.model());
        self.plan.query.select.rerank.get_or_insert_with(|| RerankPlan::new(name));
        self.reranker = Some(reranker);
        self
    }

    /// The same with a store of one's own in place of the plan's.
    #[must_use]
    pub fn with_store(self, store: Arc<dyn VectorStore>) -> Self {
        Self { slots: OnceLock::from(Slots::one(store)), ..self }
    }

    /// The same with slots of one's own in place of the plan's store: what a change of the model needs, which a store alone cannot.
    #[must_use]
    pub fn with_slots(self, slots: Slots) -> Self {
        Self { slots: OnceLock::from(slots), ..self }
    }

    /// The same with vectors that were paid for shared among machines, below those that this one has kept (see
    /// [`crate::vectordb::StorePlan::shared_cache`]).
    #[must_use]
    pub fn with_shared_cache(self, shared: SharedCache) -> Self {
        Self { shared_cache: Some(shared), ..self }
    }

    /// The model that embeds.
    ///
    /// # Errors
    /// When the provider has no such model, or a local model's files cannot be had.
    pub async fn embedder(&self) -> Result<Arc<dyn Embedder>, Error> {
        if self.is_undecided().await? {
            // For now: an ingest chooses anew.
            return self.open_embedder(false, Purpose::Preview).await;
        }
        Ok(Arc::clone(self.embedder.get_or_try_init(|| self.open_embedder(false, Purpose::Preview)).await?))
    }

    /// The store that answers. Another one may take its place: it is not to be kept.
    ///
    /// # Errors
    /// When it cannot be had or read.
    pub async fn store(&self) -> Result<Arc<dyn VectorStore>, Error> {
        Ok(self.answering().await?.current.store)
    }

    /// What makes BM25 vectors.
    pub fn bm25(&self) -> Arc<Bm25> {
        Arc::clone(self.bm25.get_or_init(|| Arc::new(Bm25::new())))
    }
}
