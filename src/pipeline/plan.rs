//! What will run: a pipeline with every default filled in and every value checked. Made by [`super::load()`] only.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use globset::GlobSet;
use url::Url;

use crate::answer::Filter;

/// A validated pipeline.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The pipeline's name: letters, digits, `-`, `_` and `.`; names its index and ledger.
    pub name: String,
    /// Every provider that may be referred to, by name: the declared ones and those that exist without.
    pub providers: BTreeMap<String, ProviderPlan>,
    /// Where documents come from.
    pub sources: Vec<SourcePlan>,
    /// How documents are cut.
    pub chunk: ChunkPlan,
    /// What embeds the chunks.
    pub embed: EmbedPlan,
    /// Where the vectors go.
    pub store: StorePlan,
    /// How questions are answered.
    pub query: QueryPlan,
}

/// A wire format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProviderKind {
    /// `OpenAI` and every compatible server.
    OpenAi,
    /// Anthropic.
    Anthropic,
    /// Google Gemini.
    Gemini,
    /// Ollama's own API.
    Ollama,
    /// Cohere.
    Cohere,
    /// Voyage.
    Voyage,
    /// Jina, and servers that rerank as it does.
    Jina,
    /// In process, no network.
    Local,
}

/// A secret: prints as `***`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }

    /// The secret itself, for the one place that sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A connection to a provider.
#[derive(Debug, Clone)]
pub struct ProviderPlan {
    /// Its name in the file: the part of `provider/model` before the first `/`.
    pub name: String,
    /// Its wire format.
    pub kind: ProviderKind,
    /// Where it is, without a trailing `/`. Of no meaning for `local`.
    pub base_url: Url,
    /// The key, where one is set. A vendor that needs one and has none is refused when it is first used.
    pub api_key: Option<Secret>,
    /// The variable that usually holds the key, for hints.
    pub key_variable: Option<&'static str>,
    /// Declared limits.
    pub limits: Limits,
    /// How long one request may take until its answer is complete; for streams, how long the next bytes may take.
    pub timeout: Duration,
    /// How refusals and failures are retried.
    pub retry: RetryPlan,
    /// What its vectors are known by in place of its address, where the file says so.
    pub identity: Option<String>,
    /// What models cost, where the file says so, by their names at the provider.
    pub prices: BTreeMap<String, Price>,
}

/// What a model costs, in US dollars a million tokens.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Price {
    /// What is read: texts to embed, prompts.
    pub input: f64,
    /// What is written. An embedding model writes nothing.
    pub output: Option<f64>,
}

/// Declared limits of a provider. `None` means not declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// Requests a minute.
    pub rpm: Option<u32>,
    /// Tokens a minute.
    pub tpm: Option<u32>,
    /// Requests in flight.
    pub concurrency: Option<u32>,
}

/// How refusals and failures are retried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPlan {
    /// Attempts in all, the first included.
    pub attempts: u32,
    /// Time in all, from the first attempt on.
    pub budget: Duration,
}

impl Default for RetryPlan {
    fn default() -> Self {
        Self { attempts: 6, budget: Duration::from_mins(5) }
    }
}

/// A source of documents.
#[derive(Debug, Clone)]
pub enum SourcePlan {
    /// Files and folders.
    Files(FilesPlan),
}

/// Files and folders.
#[derive(Debug, Clone)]
pub struct FilesPlan {
    /// Files and folders, absolute. A glob in the file has been split into its fixed folder and an `include`.
    pub paths: Vec<PathBuf>,
    /// When not empty: only files whose path below its root matches.
    pub include: GlobSet,
    /// Never files whose path below its root matches.
    pub exclude: GlobSet,
    /// Larger files are skipped.
    pub max_bytes: u64,
}

/// How documents are cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChunkPlan {
    /// What cuts are chosen by.
    pub by: ChunkBy,
    /// A chunk's tokens, at most.
    pub max_tokens: NonZeroUsize,
    /// Tokens that a chunk repeats of the one before, at most. Less than `max_tokens`.
    pub overlap: usize,
    /// What counts tokens.
    pub tokenizer: TokenizerName,
}

impl ChunkPlan {
    /// What makes two plans' chunks interchangeable; recorded in the index.
    pub fn fingerprint(&self) -> String {
        format!("{:?}/{}/{}/{:?}", self.by, self.max_tokens, self.overlap, self.tokenizer).to_lowercase()
    }
}

/// What cuts are chosen by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChunkBy {
    /// By each document's own markup.
    Auto,
    /// As Markdown.
    Markdown,
    /// As plain text.
    Text,
    /// As source code.
    Code,
    /// Sentence by sentence, structure ignored.
    Sentences,
    /// By token count alone.
    Tokens,
}

/// A tokenizer by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TokenizerName {
    /// `OpenAI`'s `o200k_base`.
    O200kBase,
    /// `OpenAI`'s `cl100k_base`.
    Cl100kBase,
}

/// `provider/model`, resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelRef {
    /// A key of [`Plan::providers`].
    pub provider: String,
    /// The model's name at the provider; may contain `/`.
    pub model: String,
}

impl fmt::Display for ModelRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.provider, self.model)
    }
}

/// What embeds the chunks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmbedPlan {
    /// The model.
    pub model: ModelRef,
    /// The width asked for; `None` is the model's own.
    pub dimensions: Option<usize>,
    /// Inputs a request, at most; `None` is the provider's maximum.
    pub batch_items: Option<NonZeroUsize>,
    /// Tokens a request, at most; `None` is the provider's maximum.
    pub batch_tokens: Option<NonZeroUsize>,
    /// Put before each question (for models that want a prefix).
    pub query_prefix: Option<String>,
    /// Put before each passage.
    pub passage_prefix: Option<String>,
}

/// Where the vectors go.
#[derive(Debug, Clone)]
pub enum StorePlan {
    /// The embedded engine. `None`: a folder of the pipeline's name below the home folder.
    Edge {
        /// The folder, absolute.
        path: Option<PathBuf>,
    },
    /// A Qdrant server or cluster, by its gRPC address.
    Qdrant {
        /// Its gRPC URL.
        url: Url,
        /// Its key.
        api_key: Option<Secret>,
        /// The collection.
        collection: String,
        /// How long one call may take.
        timeout: Duration,
    },
}

/// How passages are ranked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetrieveMode {
    /// Dense and BM25, fused.
    Hybrid,
    /// Dense alone.
    Dense,
    /// BM25 alone.
    Sparse,
}

/// How the two rankings of [`RetrieveMode::Hybrid`] become one (see `answer::fusion`).
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum FusionPlan {
    /// By places alone: the sum of `share / (k + place)`, places counted from 0 as Qdrant does (Cormack, Clarke and Büttcher
    /// 2009, who count from 1 and take k = 60).
    Rrf {
        /// At least 1. Small, and the top of either ranking counts for more.
        k: f32,
        /// BM25's share, from 0 to 1; the rest is the model's.
        weight: f32,
    },
    /// By scores: the weighted sum of both, each scaled so that its best is 1 and its worst 0.
    Weighted {
        /// BM25's share, from 0 to 1; the rest is the model's.
        weight: f32,
    },
}

impl FusionPlan {
    /// What suits a model that embeds. The better it is, the less are words to count.
    ///
    /// nDCG@10 of words alone, of meaning alone, and of both with this share of words: with potion on Cranfield .522, .428, .538;
    /// on `CoSQA` (questions, Python functions) .460, .353, .482; on `XQuAD` in English .967, .906, .975, and there with `MiniLM`
    /// .967, .945, .979. Reciprocal rank fusion (k = 2, equal shares) reached .514, .468, .957 and .971.
    pub fn default_for(kind: Option<ProviderKind>, model: &str) -> Self {
        let weight = match kind {
            Some(ProviderKind::Local) if model.to_ascii_lowercase().contains("potion") => 0.7,
            Some(ProviderKind::Local) => 0.5,
            // Not measured: between the small models here and the .3 that is usual for large ones.
            _ => 0.4,
        };
        Self::Weighted { weight }
    }
}

/// How questions are answered.
#[derive(Debug, Clone)]
pub struct QueryPlan {
    /// Passages to retrieve.
    pub limit: NonZeroUsize,
    /// How they are ranked.
    pub mode: RetrieveMode,
    /// How the rankings of a hybrid retrieval are fused.
    pub fusion: FusionPlan,
    /// Which are looked at, and what becomes of the ranking.
    pub select: SelectPlan,
    /// The model that answers; `None`: the first that is there (see `answer::default_model`).
    pub model: Option<ModelRef>,
    /// Models that stand by, in this order, for when it fails.
    pub fallback: Vec<ModelRef>,
    /// How long a model may say nothing before the next one takes over; without a next one it has as long as its provider.
    pub fallback_after: Duration,
    /// Tokens the answer may have.
    pub max_tokens: u32,
    /// The model's temperature.
    pub temperature: Option<f32>,
    /// Tokens that instructions, passages and question may have together.
    pub context_tokens: usize,
    /// Instructions that replace the built-in ones; `None` is `default`.
    pub prompt: Option<String>,
}

/// What happens around the ranking.
#[derive(Debug, Clone, Default)]
pub struct SelectPlan {
    /// Which documents are searched.
    pub filter: Filter,
    /// What becomes of near-copies.
    pub duplicates: Duplicates,
    /// What ranks the best passages again.
    pub rerank: Option<RerankPlan>,
}

/// What becomes of passages that say nearly the same as a better one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Duplicates {
    /// They make room for others.
    #[default]
    Drop,
    /// They stay.
    Keep,
}

/// A reranker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RerankPlan {
    /// The model.
    pub model: ModelRef,
    /// Passages that it ranks; those that are asked for if they are more.
    pub candidates: NonZeroUsize,
    /// How long it may take, retries included, before the ranking stays as it is.
    pub timeout: Duration,
}
