//! Everything that talks to an AI provider, or stands in for one in process.
//!
//! [`Embedder`], [`Reranker`] and [`ChatModel`] are what the rest of the crate sees. A file per wire format only translates; the one
//! [`http`] layer owns timeouts, limits, retries and redaction. A new provider is one file and one line in the `match`es of
//! [`Providers`].

pub mod chat_anthropic;
pub mod chat_gemini;
pub mod chat_ollama;
pub mod chat_openai;
mod cohere;
mod connect;
mod embedding;
mod gemini;
pub mod http;
mod jina;
pub mod local;
mod ollama;
mod openai;
mod plan;
mod prefix;
pub mod prices;
mod refusal;
mod rerank;
mod rerank_cohere;
mod rerank_jina;
mod rerank_voyage;
mod retry;
pub mod sse;
mod voyage;

pub use connect::Providers;
pub use plan::{EmbedPlan, ModelRef, Price, ProviderKind, ProviderPlan, RetryPlan, Secret};
pub use rerank::{Reranked, Reranker};

use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use serde::{Deserialize, Serialize};

use crate::error::{Failure, Origin};

/// What stands in a fingerprint before the server, where that is not the vendor's.
pub const AT: &str = " at ";

/// What an input is embedded for. Several models embed the two differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum InputType {
    /// A question.
    Query,
    /// A piece of a document.
    Passage,
}

/// What a caller has to know of an embedding model to fill a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmbedLimits {
    /// Inputs a request, at most.
    pub items: usize,
    /// Tokens a request over all inputs, at most.
    pub tokens: usize,
    /// Tokens an input, at most (counted by the model's own tokenizer).
    pub input_tokens: usize,
}

/// Vectors for the inputs of one request, in the order of the inputs.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Embedded {
    /// One vector an input: as many as inputs, all of [`Embedder::dimensions`] finite numbers. Checked before it gets here.
    pub vectors: Vec<Vec<f32>>,
    /// What the provider billed, where it says so.
    pub tokens: Option<u64>,
}

/// A model that turns texts into vectors.
#[async_trait]
pub trait Embedder: Send + Sync + std::fmt::Debug {
    /// `provider/model`, as the user writes it.
    fn model(&self) -> &str;
    /// What makes two embedders' vectors interchangeable: provider kind, model, dimensions, and the server where that is not the
    /// vendor's own. Part of every cache key.
    fn fingerprint(&self) -> String;
    /// The width of the vectors. May ask the provider once, where the model is not known.
    async fn dimensions(&self) -> Result<usize, ProviderError>;
    /// How much fits into one request.
    fn limits(&self) -> EmbedLimits;
    /// Embeds the inputs with one request (and its retries). Inputs are not empty and keep to [`Self::limits`].
    async fn embed(&self, inputs: &[String], kind: InputType) -> Result<Embedded, ProviderError>;
    /// Whether the model makes sense of a text's language. Where it does not, its vectors are noise that would drown what BM25 finds.
    fn reads(&self, _text: &str) -> bool {
        true
    }
    /// Whether its vectors cost enough to be kept on disk: what is as fast to compute as to read is not.
    fn worth_keeping(&self) -> bool {
        true
    }
    /// How many requests may be in flight now, as far as the provider's limits are concerned.
    fn in_flight(&self) -> usize {
        usize::MAX
    }
    /// Waits until a request could be sent at once: until then a batch had better go on filling up.
    async fn room(&self) {}
    /// How many tokens an input costs, where the model's own tokenizer is at hand; `None` asks the caller to estimate.
    fn count_tokens(&self, _input: &str) -> Option<usize> {
        None
    }
}

/// Who said a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The person who asks.
    User,
    /// The model.
    Assistant,
}

/// One turn of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Who said it.
    pub role: Role,
    /// What was said.
    pub text: String,
}

/// A question to a chat model.
#[derive(Debug, Clone, PartialEq)]
pub struct ChatRequest {
    /// Instructions that come from ragstream itself, never from documents.
    pub system: String,
    /// The conversation, oldest first; the last is the user's.
    pub messages: Vec<Message>,
    /// Tokens the answer may have.
    pub max_tokens: u32,
    /// 0 is the most deterministic; `None` leaves it to the provider.
    pub temperature: Option<f32>,
}

impl ChatRequest {
    /// The tokens that the request and its answer may come to, on the high side: three bytes a token, where prose in most
    /// models has four or more and Chinese about three, and a few tokens of markup a message.
    pub fn estimated_tokens(&self) -> u64 {
        let texts = self.messages.iter().map(|message| &message.text).chain([&self.system]);
        texts.map(|text| text.len() as u64 / 3 + 8).sum::<u64>() + u64::from(self.max_tokens)
    }
}

/// Why a model stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// It had finished.
    End,
    /// `max_tokens` was reached: the answer is cut.
    Length,
    /// A filter of the provider's stopped it.
    Refused,
}

/// What a stream of an answer yields. The last event is `Done`; a stream that ends without it yields an `Err` instead.
#[derive(Debug, Clone, PartialEq)]
pub enum ChatEvent {
    /// The model thinks aloud; not part of the answer.
    Reasoning(String),
    /// A piece of the answer.
    Text(String),
    /// The provider's own end mark was seen.
    Done {
        /// Why it stopped.
        stop: StopReason,
        /// What it cost, where the provider says so.
        usage: Usage,
    },
}

/// Tokens a request used, as the provider counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens read.
    pub input_tokens: Option<u64>,
    /// Tokens written.
    pub output_tokens: Option<u64>,
}

impl Usage {
    /// What it comes to, in US dollars; `None` where the price or what was used is not known.
    pub fn cost(&self, price: Option<Price>) -> Option<f64> {
        let price = price?;
        if price == prices::FREE {
            return Some(0.0);
        }
        price.cost(self.input_tokens?, self.output_tokens?)
    }
}

/// A stream of an answer. Dropping it cancels the request upstream.
pub type ChatStream = BoxStream<'static, Result<ChatEvent, ProviderError>>;

/// A model that answers.
#[async_trait]
pub trait ChatModel: Send + Sync + std::fmt::Debug {
    /// `provider/model`, as the user writes it.
    fn model(&self) -> &str;
    /// What it costs, where that is known.
    fn price(&self) -> Option<Price> {
        None
    }
    /// Sends the request; retries happen before the first event only.
    async fn chat(&self, request: ChatRequest) -> Result<ChatStream, ProviderError>;
}

/// What went wrong, as far as a caller decides on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The provider asks to slow down (429 and the like).
    RateLimited,
    /// The provider is overloaded or broken (5xx, 408, 409, 529).
    Unavailable,
    /// No connection, a reset, a truncated body or stream.
    Network,
    /// No answer within the timeout.
    Timeout,
    /// The key is missing, wrong or lacks a right (401, 403).
    Auth,
    /// The money or the hard quota is spent.
    QuotaSpent,
    /// No such model or endpoint (404).
    NotFound,
    /// The provider will never accept this very input (400, 413, 422), or makes nothing of it that could be used.
    InvalidInput,
    /// The answer is not what the protocol says: wrong count, wrong width, no JSON. It was asked for again before that is said.
    BadAnswer,
    /// The model's files are not there and cannot be had.
    ModelMissing,
}

impl ErrorKind {
    /// A stable word for programs.
    pub fn code(self) -> &'static str {
        match self {
            Self::RateLimited => "rate_limited",
            Self::Unavailable => "unavailable",
            Self::Network => "network",
            Self::Timeout => "timeout",
            Self::Auth => "auth",
            Self::QuotaSpent => "quota_spent",
            Self::NotFound => "not_found",
            Self::InvalidInput => "invalid_input",
            Self::BadAnswer => "bad_answer",
            Self::ModelMissing => "model_missing",
        }
    }
}

/// A provider refused, failed or could not be reached.
#[derive(Debug, thiserror::Error)]
#[error("{provider}: {message}{}", tried(*.attempts, *.waited))]
pub struct ProviderError {
    /// The provider's name in the pipeline file.
    pub provider: String,
    /// What a caller decides on.
    pub kind: ErrorKind,
    /// The HTTP status, where there was one.
    pub status: Option<u16>,
    /// What happened, in the provider's own words where it has any, with secrets redacted.
    pub message: String,
    /// What the user can do.
    pub hint: Option<String>,
    /// How long the provider wants to be left alone.
    pub retry_after: Option<Duration>,
    /// How often it was tried.
    pub attempts: u32,
    /// How long it was tried for.
    pub waited: Duration,
    /// What caused it.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

fn tried(attempts: u32, waited: Duration) -> String {
    if attempts > 1 { format!(" (gave up after {attempts} attempts in {:.1} s)", waited.as_secs_f64()) } else { String::new() }
}

impl ProviderError {
    /// An error of this kind, tried once, with nothing further known.
    pub fn new(provider: impl Into<String>, kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            provider: provider.into(),
            kind,
            status: None,
            message: message.into(),
            hint: None,
            retry_after: None,
            attempts: 1,
            waited: Duration::ZERO,
            source: None,
        }
    }

    /// Whether the same request may succeed later.
    pub fn is_transient(&self) -> bool {
        matches!(self.kind, ErrorKind::RateLimited | ErrorKind::Unavailable | ErrorKind::Network | ErrorKind::Timeout)
    }

    /// Whether nothing else sent to this provider can succeed either, so that the run must stop.
    pub fn is_fatal(&self) -> bool {
        matches!(self.kind, ErrorKind::Auth | ErrorKind::QuotaSpent | ErrorKind::NotFound | ErrorKind::ModelMissing)
    }
}

impl Failure for ProviderError {
    fn origin(&self) -> Origin {
        Origin::Provider
    }

    fn code(&self) -> &'static str {
        self.kind.code()
    }

    fn hint(&self) -> Option<String> {
        self.hint.clone()
    }

    fn is_transient(&self) -> bool {
        self.is_transient()
    }

    fn stops_all(&self) -> bool {
        self.is_fatal()
    }
}
