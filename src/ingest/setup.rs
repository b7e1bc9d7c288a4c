//! What a run works with, and what it is told.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use super::context::Situating;
use super::coordination::Coordination;
use super::ledger::{FailedDocument, Ledger};
use crate::cache::SharedCache;
use crate::chunk::ChunkPlan;
use crate::limits::{Allowed, Limits};
use crate::parse::ParseOptions;
use crate::providers::{EmbedPlan, Embedder, Prefixes, Price};
use crate::source::{SkipReason, Source, SourceId};
use crate::vectordb::bm25::Bm25;
use crate::vectordb::{ModelChange, VectorStore};

/// All that a run works with. [`crate::runtime::Runtime`] composes it from a plan, and a program may compose it from parts of its
/// own.
#[derive(Clone)]
#[non_exhaustive]
pub struct Setup {
    /// The pipeline's name, for the summary.
    pub name: String,
    /// Where documents come from.
    pub sources: Vec<Arc<dyn Source>>,
    /// How documents are read.
    pub parse: ParseOptions,
    /// How documents are cut.
    pub chunk: ChunkPlan,
    /// What says where chunks stand in their documents; `None`: nothing does.
    pub context: Option<Situating>,
    /// What embeds the chunks.
    pub embedder: Arc<dyn Embedder>,
    /// How it is asked, and what it costs.
    pub terms: EmbedTerms,
    /// The folder of vectors that were paid for once; `None`: they are kept in memory alone, for the run.
    pub cache: Option<PathBuf>,
    /// Where several machines share what they paid for; `None`: this machine is alone.
    pub shared_cache: Option<SharedCache>,
    /// Where the vectors go.
    pub store: Arc<dyn VectorStore>,
    /// What makes BM25 vectors.
    pub bm25: Arc<Bm25>,
    /// What is done.
    pub ledger: Arc<dyn Ledger>,
    /// The other workers on the same index; `None`: there are none. The ledger is theirs, too.
    pub workers: Option<Arc<dyn Coordination>>,
    /// What the ledger is to keep as the folder that files' uris are relative to.
    pub base: Option<String>,
    /// What the home is called in an index that lives outside of it; `None` where it lives inside, and moves with it.
    pub home: Option<String>,
    /// What an index that is made says of how it came about; `None`: it is the first.
    pub change: Option<ModelChange>,
    /// The index is there: one that is gone by then is not made anew, as another worker may have put another one in its place.
    pub is_there: bool,
    /// What the embedder puts before each input, where it is to be kept in the index.
    pub prefixes: Option<Prefixes>,
}

impl Setup {
    /// An ingest of no sources yet, with nothing known but what there is no default for.
    pub fn new(
        name: impl Into<String>,
        embedder: Arc<dyn Embedder>,
        store: Arc<dyn VectorStore>,
        ledger: Arc<dyn Ledger>,
    ) -> Self {
        Self {
            name: name.into(),
            sources: Vec::new(),
            parse: ParseOptions::default(),
            chunk: ChunkPlan::default(),
            context: None,
            embedder,
            terms: EmbedTerms::default(),
            cache: None,
            shared_cache: None,
            store,
            bm25: Arc::new(Bm25::new()),
            ledger,
            workers: None,
            base: None,
            home: None,
            change: None,
            is_there: false,
            prefixes: None,
        }
    }
}

impl fmt::Debug for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Setup").field("name", &self.name).field("sources", &self.sources).finish_non_exhaustive()
    }
}

/// What is known of a provider beyond the model: how full its requests may be, its declared limits, its price.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct EmbedTerms {
    /// Inputs a request, at most; `None` is the embedder's maximum.
    pub batch_items: Option<usize>,
    /// Tokens a request, at most; `None` is the embedder's maximum.
    pub batch_tokens: Option<usize>,
    /// Declared limits.
    pub limits: Limits,
    /// Whether the model runs in this process: more at once than cores only costs memory then.
    pub in_process: bool,
    /// The price, where it is known.
    pub price: Option<Price>,
    /// As of when the price is known; `None` where the pipeline says it.
    pub prices_as_of: Option<&'static str>,
    /// What the provider allows, as far as that is known by now.
    pub allowed: Option<Arc<dyn Fn() -> Allowed + Send + Sync>>,
}

impl EmbedTerms {
    /// As a pipeline says them, of a provider with these limits.
    pub fn of(plan: &EmbedPlan, limits: Limits) -> Self {
        Self {
            batch_items: plan.batch_items.map(usize::from),
            batch_tokens: plan.batch_tokens.map(usize::from),
            limits,
            ..Self::default()
        }
    }
}

impl fmt::Debug for EmbedTerms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbedTerms").field("limits", &self.limits).field("price", &self.price).finish_non_exhaustive()
    }
}

/// Hears of every failed document as it fails.
pub type Observer = Arc<dyn Fn(&FailedDocument) + Send + Sync>;

/// Hears of every item that is passed over: its uri, and why.
pub type Skips = Arc<dyn Fn(&str, SkipReason) + Send + Sync>;

/// Hears what a source has to say to people.
pub type Listener = Arc<dyn Fn(&SourceId, &str) + Send + Sync>;

/// What a run is told beyond its setup.
#[derive(Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line, and any combination has a meaning")]
pub struct Options {
    /// Remove documents that are gone even when they are more than half of the index.
    pub prune: bool,
    /// Drop the index and make it anew.
    pub rebuild: bool,
    /// Compare contents even where versions say "unchanged".
    pub checksum: bool,
    /// Only these sources were asked for: nothing outside of their roots is removed. `false`: they are all there is of their kind.
    pub scoped: bool,
    /// Told of failures.
    pub observer: Observer,
    /// Told what sources say.
    pub listener: Listener,
    /// Told what is passed over.
    pub skips: Skips,
}

impl Default for Options {
    /// Removes what is gone from the sources, tells nobody of failures.
    fn default() -> Self {
        Self {
            prune: false,
            rebuild: false,
            checksum: false,
            scoped: false,
            observer: Arc::new(|_| {}),
            listener: Arc::new(|_, _| {}),
            skips: Arc::new(|_, _| {}),
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options").field("prune", &self.prune).field("rebuild", &self.rebuild).finish_non_exhaustive()
    }
}
