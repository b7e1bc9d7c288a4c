//! The part of a plan that is about questions and their answers.

use std::fmt;
use std::num::NonZeroUsize;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Filter;
use super::answerability::AnswerabilityPlan;
use super::whole::WholePlan;
use crate::providers::{ModelRef, ProviderKind, local};

/// Passages to retrieve.
const LIMIT: NonZeroUsize = NonZeroUsize::new(8).unwrap();
/// Passages of which sentences are taken, at least, where they are trimmed.
pub(super) const TRIM_CANDIDATES: NonZeroUsize = NonZeroUsize::new(20).unwrap();
/// Tokens of an answer.
const ANSWER_TOKENS: u32 = 1024;
/// Tokens of a prompt.
const CONTEXT_TOKENS: usize = 6000;
/// A model that reasons in silence may take half as long; a person who waits has rarely more patience than this.
const FALLBACK_AFTER: Duration = Duration::from_secs(30);

/// BM25's share beside a model of which nothing is known. Not measured: between the small models here and the .3 that is usual for
/// large ones.
const OF_UNKNOWN: f32 = 0.4;

/// How passages are ranked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(title = "mode")]
pub enum RetrieveMode {
    /// By meaning and by words, fused.
    #[default]
    Hybrid,
    /// By meaning alone.
    Dense,
    /// By words alone (BM25).
    Sparse,
}

impl RetrieveMode {
    /// Its name in a pipeline file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hybrid => "hybrid",
            Self::Dense => "dense",
            Self::Sparse => "sparse",
        }
    }
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
    /// As suits the model that embeds, which is known once the index is open.
    Usual,
    /// By scores: the weighted sum of both, each scaled so that its best is 1 and its worst 0.
    Weighted {
        /// BM25's share, from 0 to 1; the rest is the model's.
        weight: f32,
    },
}

impl FusionPlan {
    /// A fusion that suits a model that embeds. The better it is, the less are words to count.
    ///
    /// nDCG@10 of words alone, of meaning alone, and of both with this share of words: with potion on Cranfield .522, .428, .538;
    /// on `CoSQA` (questions, Python functions) .460, .353, .482; on `XQuAD` in English .967, .906, .975, and there with `MiniLM`
    /// .967, .945, .979. Reciprocal rank fusion (k = 2, equal shares) reached .514, .468, .957 and .971.
    pub fn default_for(kind: Option<ProviderKind>, model: &str) -> Self {
        let weight = match kind {
            Some(ProviderKind::Local) if model.eq_ignore_ascii_case(local::AUTO) => return Self::Usual,
            Some(ProviderKind::Local) if model.to_ascii_lowercase().contains("potion") => 0.7,
            Some(ProviderKind::Local) => 0.5,
            _ => OF_UNKNOWN,
        };
        Self::Weighted { weight }
    }

    /// BM25's share.
    pub(crate) fn words(self) -> f32 {
        match self {
            Self::Rrf { weight, .. } | Self::Weighted { weight } => weight,
            Self::Usual => OF_UNKNOWN,
        }
    }

    /// The same, [`Self::Usual`] replaced by what suits this model (`local/…`).
    pub(crate) fn with_model(self, model: &str) -> Self {
        match (self, model.strip_prefix("local/")) {
            (Self::Usual, local) => Self::default_for(local.map(|_| ProviderKind::Local), local.unwrap_or_default()),
            (known, _) => known,
        }
    }
}

/// How questions are answered.
#[derive(Clone)]
pub struct QueryPlan {
    /// Passages to retrieve.
    pub limit: NonZeroUsize,
    /// How they are ranked.
    pub mode: RetrieveMode,
    /// How the rankings of a hybrid retrieval are fused.
    pub fusion: FusionPlan,
    /// Filter, near-copies and reranking.
    pub select: SelectPlan,
    /// The model that decides whether passages say what an answer says of them.
    pub decide: Option<DecidePlan>,
    /// When no model is asked, since the passages do not hold the answer.
    pub answerability: AnswerabilityPlan,
    /// What is done about questions that are about all documents.
    pub whole: WholePlan,
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

/// As it has always been: a batch of questions knows its answers by it. So what came later is told where it is set.
impl fmt::Debug for QueryPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut told = f.debug_struct("QueryPlan");
        told.field("limit", &self.limit).field("mode", &self.mode).field("fusion", &self.fusion).field("select", &self.select);
        told.field("model", &self.model).field("fallback", &self.fallback).field("fallback_after", &self.fallback_after);
        told.field("max_tokens", &self.max_tokens).field("temperature", &self.temperature);
        told.field("context_tokens", &self.context_tokens).field("prompt", &self.prompt);
        if let Some(decide) = &self.decide {
            told.field("decide", decide);
        }
        if self.answerability != AnswerabilityPlan::default() {
            told.field("answerability", &self.answerability);
        }
        if self.whole != WholePlan::default() {
            told.field("whole", &self.whole);
        }
        told.finish()
    }
}

impl fmt::Debug for SelectPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut told = f.debug_struct("SelectPlan");
        told.field("filter", &self.filter).field("duplicates", &self.duplicates).field("rerank", &self.rerank);
        if let Some(most) = &self.rerank_at_most {
            told.field("rerank_at_most", most);
        }
        if let Some(tokens) = &self.trim {
            told.field("trim", tokens);
        }
        told.finish()
    }
}

impl Default for QueryPlan {
    /// Eight passages by both rankings, and an answer by the first model that is there.
    fn default() -> Self {
        Self {
            limit: LIMIT,
            mode: RetrieveMode::default(),
            fusion: FusionPlan::default_for(None, ""),
            select: SelectPlan::default(),
            decide: None,
            answerability: AnswerabilityPlan::default(),
            whole: WholePlan::default(),
            model: None,
            fallback: Vec::new(),
            fallback_after: FALLBACK_AFTER,
            max_tokens: ANSWER_TOKENS,
            temperature: None,
            context_tokens: CONTEXT_TOKENS,
            prompt: None,
        }
    }
}

/// The steps around the ranking.
#[derive(Clone, Default)]
pub struct SelectPlan {
    /// Lets documents pass that are searched.
    pub filter: Filter,
    /// Treatment of near-copies.
    pub duplicates: Duplicates,
    /// Ranks the best passages again.
    pub rerank: Option<RerankPlan>,
    /// Passages that it ranks at most, where more than its candidates are asked for: the others stand behind them. By default all
    /// that are asked for are ranked.
    pub rerank_at_most: Option<NonZeroUsize>,
    /// Tokens that the passages may have together: they are trimmed to the sentences that fit the question best. `None`: they come
    /// whole.
    pub trim: Option<NonZeroUsize>,
}

/// Treatment of passages that say nearly the same as a better one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(title = "duplicates")]
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

impl RerankPlan {
    /// Passages that it ranks: enough to find what the ranking put too low, and a quick answer from every vendor.
    pub const CANDIDATES: NonZeroUsize = NonZeroUsize::new(50).unwrap();
    /// Passages that a decision model ranks: one request, of about 8,000 tokens.
    pub const DECIDED: NonZeroUsize = NonZeroUsize::new(20).unwrap();
    /// Passages that a model in process ranks: some 5,000 tokens, which two cores read within the usual deadline.
    pub const IN_PROCESS: NonZeroUsize = NonZeroUsize::new(20).unwrap();
    /// How long a question waits for it: the vendors answer within a second, and who waits for an answer notices more than two.
    pub const DEADLINE: Duration = Duration::from_secs(2);

    /// This model, with the usual candidates and patience.
    pub fn new(model: ModelRef) -> Self {
        Self { model, candidates: Self::CANDIDATES, timeout: Self::DEADLINE }
    }
}

/// A decision model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecidePlan {
    /// The model.
    pub model: ModelRef,
    /// How long each decision may take, retries included, before what is said without it stands.
    pub deadline: Duration,
}

impl DecidePlan {
    /// How long a sentence of an answer waits for it.
    pub const DEADLINE: Duration = Duration::from_secs(2);
}
