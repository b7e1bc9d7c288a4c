//! Questions, and the models they are put to.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::history::Exchange;
use super::plan::TRIM_CANDIDATES;
use super::{Duplicates, Filter, QueryPlan};
use crate::error::{Failure, Origin};
use crate::providers::{ChatModel, ModelRef};

/// A question's bytes, at most, whatever the model: far above any question, far below what would stall a tokenizer.
pub const MAX_QUESTION_BYTES: usize = 32 * 1024;

/// Bytes of the instructions that come with a question, at most.
pub const MAX_INSTRUCTIONS_BYTES: usize = 32 * 1024;

/// Terms that narrow a question, at most, those of the plan included.
pub const MAX_TERMS: usize = 100;

/// A question to an [`Answerer`](super::Answerer). All but the text has a default: `"How are keys rotated?".into()` is one.
#[derive(Debug, Clone, Default)]
pub struct Question {
    /// The question itself. White space around it does not count.
    pub text: String,
    /// Passages to retrieve, at most; `None`: as many as the plan says.
    pub limit: Option<NonZeroUsize>,
    /// Narrows the search further than the plan's own filter.
    pub filter: Filter,
    /// Treatment of near-copies; `None`: the plan's.
    pub duplicates: Option<Duplicates>,
    /// The model that answers.
    pub model: ModelChoice,
    /// Models that stand by, in this order, for when one fails; `None`: the plan's.
    pub fallback: Option<Vec<ModelChoice>>,
    /// How long a model may say nothing before the next one takes over; `None`: as long as the plan says.
    pub fallback_after: Option<Duration>,
    /// Earlier exchanges, oldest first. With `Some`, even of none, the question belongs to a conversation: the answer's first event
    /// tells what is searched for, which is the question as it stands alone.
    pub history: Option<Vec<Exchange>>,
    /// Wishes of whoever asks for how it is answered. They come after the plan's own instructions, fenced, and change no rule of
    /// those; they take room from the passages.
    pub instructions: Option<String>,
    /// Tokens the answer may have; `None`: as many as the plan says.
    pub max_tokens: Option<u32>,
    /// The model's temperature; `None`: the plan's.
    pub temperature: Option<f32>,
    /// A model is asked, however improbable it is that the passages hold the answer.
    pub anyway: bool,
    /// Passages come whole, even where the plan has them trimmed.
    pub untrimmed: bool,
    /// All documents are read (`true`), or only the best passages, whatever the question is about; `None`: as the plan says.
    pub all: Option<bool>,
    /// Where all documents are read, they are read anew, whatever was noted of them for the same question.
    pub refresh: bool,
}

impl Question {
    /// The instructions, where they say anything.
    ///
    /// # Errors
    /// When they are longer than [`MAX_INSTRUCTIONS_BYTES`].
    pub(super) fn wishes(&self) -> Result<Option<String>, QuestionError> {
        let wishes = self.instructions.as_deref().map(str::trim).filter(|wishes| !wishes.is_empty());
        match wishes.map_or(0, str::len) {
            bytes if bytes > MAX_INSTRUCTIONS_BYTES => Err(QuestionError::InstructionsTooLong { bytes }),
            _ => Ok(wishes.map(str::to_owned)),
        }
    }

    /// How it is answered: as this plan says, save for what it says itself.
    pub(super) fn narrowed(&self, plan: &QueryPlan) -> QueryPlan {
        let mut plan = plan.clone();
        plan.limit = self.limit.unwrap_or(plan.limit);
        plan.select.filter.extend_with(&self.filter);
        plan.select.trim = plan.select.trim.filter(|_| !self.untrimmed);
        if plan.select.trim.is_some() {
            plan.limit = plan.limit.max(TRIM_CANDIDATES);
        }
        plan.select.duplicates = self.duplicates.unwrap_or(plan.select.duplicates);
        plan.fallback_after = self.fallback_after.unwrap_or(plan.fallback_after);
        plan.max_tokens = self.max_tokens.unwrap_or(plan.max_tokens);
        plan.temperature = self.temperature.or(plan.temperature);
        if let Some(fallback) = &self.fallback {
            plan.fallback = fallback.iter().filter_map(ModelChoice::reference).collect();
        }
        plan
    }
}

impl From<String> for Question {
    fn from(text: String) -> Self {
        Self { text, ..Self::default() }
    }
}

impl From<&str> for Question {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

/// A model that is to be asked.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub enum ModelChoice {
    /// The one that the plan names, else the first that is there (see [`default_model`](super::default_model)).
    #[default]
    Planned,
    /// The one of this name, over the plan's providers.
    Named(ModelRef),
    /// One's own.
    Own(Arc<dyn ChatModel>),
    /// None: the best passages themselves are the answer.
    Passages,
}

impl ModelChoice {
    /// `provider/model`, where one is chosen.
    pub fn name(&self) -> Option<String> {
        match self {
            Self::Named(model) => Some(model.to_string()),
            Self::Own(model) => Some(model.model().to_owned()),
            Self::Planned | Self::Passages => None,
        }
    }

    /// Its provider and name, where one is chosen.
    pub(super) fn reference(&self) -> Option<ModelRef> {
        match self {
            Self::Named(model) => Some(model.clone()),
            Self::Own(model) => Some(ModelRef::named(model.model())),
            Self::Planned | Self::Passages => None,
        }
    }
}

impl From<ModelRef> for ModelChoice {
    fn from(model: ModelRef) -> Self {
        Self::Named(model)
    }
}

impl From<Arc<dyn ChatModel>> for ModelChoice {
    fn from(model: Arc<dyn ChatModel>) -> Self {
        Self::Own(model)
    }
}

/// Several models that are asked one question, over the same sources and at once.
#[derive(Debug, Clone, Default)]
pub struct Ensemble {
    /// The models, each behind its own provider's limits.
    pub models: Vec<ModelChoice>,
    /// Use that is made of the answers.
    pub mode: EnsembleMode,
    /// The model that judges or merges; `None` is the first that has answered.
    pub judge: Option<ModelChoice>,
}

/// Use that is made of several answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum EnsembleMode {
    /// All are given.
    #[default]
    All,
    /// The model that begins first is the one that answers; the others are cancelled. If it breaks off, the others race anew.
    First,
    /// Every model votes for the best answer that is not its own; the most votes win, and among equals the judge picks. With two
    /// answers nobody has a choice, and the judge alone picks.
    Vote,
    /// A judge picks.
    Best,
    /// A model writes one answer out of all.
    Merge,
}

/// A question that cannot be asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QuestionError {
    /// Nothing but white space.
    #[error("the question is empty")]
    Empty,
    /// More bytes than [`MAX_QUESTION_BYTES`].
    #[error("the question has {bytes} bytes; at most {MAX_QUESTION_BYTES} can be asked")]
    TooManyBytes {
        /// Its length.
        bytes: usize,
    },
    /// Instructions of more bytes than [`MAX_INSTRUCTIONS_BYTES`].
    #[error("the instructions that come with the question have {bytes} bytes; at most {MAX_INSTRUCTIONS_BYTES} are taken")]
    InstructionsTooLong {
        /// Their length.
        bytes: usize,
    },
    /// More terms than [`MAX_TERMS`] that narrow it.
    #[error("the question is narrowed by {terms} terms; at most {MAX_TERMS} are taken")]
    TooManyTerms {
        /// How many.
        terms: usize,
    },
    /// All documents are to be read, and there is no model to read them.
    #[error("all documents are read by a model, and none is set")]
    NoReader,
    /// More tokens than the embedding model reads: it would be cut silently.
    #[error("the question has {tokens} tokens; {model} reads at most {limit}")]
    TooManyTokens {
        /// Its length.
        tokens: usize,
        /// The most that the model reads.
        limit: usize,
        /// The embedding model.
        model: String,
    },
    /// Instructions and question fill the budget, so that not even a part of one passage fits.
    #[error("instructions and question take {tokens} tokens, which leaves no room for passages in {budget}")]
    NoRoom {
        /// Tokens of instructions and question.
        tokens: usize,
        /// Tokens that they may have together with the passages.
        budget: usize,
    },
}

impl Failure for QuestionError {
    fn origin(&self) -> Origin {
        Origin::Question
    }

    fn code(&self) -> &'static str {
        "bad_question"
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Empty => "ask something: `ask \"How are keys rotated?\"`",
            Self::TooManyBytes { .. } | Self::TooManyTokens { .. } => "ask about one thing at a time, in a few sentences",
            Self::InstructionsTooLong { .. } => "say in a few sentences how you want it answered",
            Self::TooManyTerms { .. } => "say it with fewer: `path=docs/**` is all below a folder",
            Self::NoReader => {
                "set OPENAI_API_KEY or ANTHROPIC_API_KEY, start Ollama, or name one with --model PROVIDER/MODEL (`/model` in a chat)"
            }
            Self::NoRoom { .. } => "shorten the question or `query.answer.prompt`",
        };
        Some(hint.into())
    }

    fn stops_all(&self) -> bool {
        false
    }
}

/// The question without the white space around it.
///
/// # Errors
/// When nothing is left, or more than [`MAX_QUESTION_BYTES`].
pub(super) fn checked(text: &str) -> Result<&str, QuestionError> {
    let text = text.trim();
    match text.len() {
        0 => Err(QuestionError::Empty),
        bytes if bytes > MAX_QUESTION_BYTES => Err(QuestionError::TooManyBytes { bytes }),
        _ => Ok(text),
    }
}
