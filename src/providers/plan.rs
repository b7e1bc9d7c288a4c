//! Providers and models as a pipeline plans them.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroUsize;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::limits::Limits;

/// The API that a provider speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[non_exhaustive]
#[serde(rename_all = "lowercase")]
#[schemars(title = "kind")]
pub enum ProviderKind {
    /// OpenAI and every compatible server: llama.cpp, vLLM, OpenRouter, …
    OpenAi,
    /// Anthropic. Answers only.
    Anthropic,
    /// Google Gemini.
    Gemini,
    /// Ollama's own API.
    Ollama,
    /// Cohere. Embeddings and reranking.
    Cohere,
    /// Voyage. Embeddings and reranking.
    Voyage,
    /// Jina, and every server that reranks as it does: llama.cpp, vLLM, … Embeddings and reranking.
    Jina,
    /// Mistral.
    Mistral,
    /// TypeSafe, and every server of decision models that speaks as it does: llama.cpp, … Decisions and reranking.
    TypeSafe,
    /// In process: no key, no network once the model is there. Embeddings and reranking.
    Local,
}

impl ProviderKind {
    /// Every kind, in the order in which they are listed to the user.
    pub const ALL: &[Self] = &[
        Self::OpenAi,
        Self::Anthropic,
        Self::Gemini,
        Self::Ollama,
        Self::Cohere,
        Self::Voyage,
        Self::Jina,
        Self::Mistral,
        Self::TypeSafe,
        Self::Local,
    ];

    /// What OpenTelemetry's conventions for generative AI call it; those that they do not know keep their own names.
    pub(crate) const fn conventional_name(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Anthropic => "anthropic",
            Self::Gemini => "gcp.gemini",
            Self::Ollama => "ollama",
            Self::Cohere => "cohere",
            Self::Voyage => "voyage",
            Self::Jina => "jina",
            Self::Mistral => "mistral_ai",
            Self::TypeSafe => "typesafe",
            Self::Local => "local",
        }
    }
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

impl From<String> for Secret {
    fn from(secret: String) -> Self {
        Self(secret)
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

/// A connection to a provider. To be made with `..ProviderPlan::new(kind)`.
#[derive(Debug, Clone)]
pub struct ProviderPlan {
    /// Its name in the file: the part of `provider/model` before the first `/`.
    pub name: String,
    /// Its wire format.
    pub kind: ProviderKind,
    /// The base URL, without a trailing `/`. Of no meaning for `local`.
    pub base_url: Url,
    /// The key, where one is set. A vendor that needs one and has none is refused when it is first used.
    pub api_key: Option<Secret>,
    /// The variable that usually holds the key, for hints.
    pub key_variable: Option<&'static str>,
    /// Declared limits.
    pub limits: Limits,
    /// The longest that one request may take until its answer is complete; for streams, until the next bytes.
    pub timeout: Duration,
    /// The retries of refusals and failures.
    pub retry: RetryPlan,
    /// The server's name in fingerprints in place of its address, where the file says so.
    pub identity: Option<String>,
    /// The prices of models that the file names, by their names at the provider.
    pub prices: BTreeMap<String, Price>,
    /// What is wrong with the variable that says where it is. It is not connected to then: `base_url` is not what was meant, and key and
    /// documents would go to another.
    pub misled: Option<String>,
}

/// The price of a model, in US dollars a million tokens.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "price")]
pub struct Price {
    /// Tokens that it reads: texts to embed, prompts.
    #[schemars(range(min = 0.0, max = 1_000_000.0), example = 0.02)]
    pub input: f64,
    /// Tokens that it writes. Embedding models have none.
    #[schemars(range(min = 0.0, max = 1_000_000.0), example = 0.6)]
    pub output: Option<f64>,
    /// Of those that it reads, the ones that come from the provider's cache of prompts. By default what is known of the vendor's, else
    /// as much as any.
    #[schemars(range(min = 0.0, max = 1_000_000.0), example = 0.002)]
    pub cache_read: Option<f64>,
    /// Of those that it reads, the ones that are written to that cache. By default what is known of the vendor's, else as much as any.
    #[schemars(range(min = 0.0, max = 1_000_000.0), example = 0.025)]
    pub cache_write: Option<f64>,
}

impl Price {
    /// The price of what runs on one's own machine.
    pub const FREE: Self = Self::chat(0.0, 0.0);

    /// The price of a model that only reads.
    pub const fn embedding(input: f64) -> Self {
        Self { input, output: None, cache_read: None, cache_write: None }
    }

    /// The price of a model that reads and writes.
    pub const fn chat(input: f64, output: f64) -> Self {
        Self { output: Some(output), ..Self::embedding(input) }
    }

    /// The same, of which what comes from the provider's cache of prompts has a price of its own.
    #[must_use]
    pub const fn cached(self, read: f64) -> Self {
        Self { cache_read: Some(read), ..self }
    }

    /// The cost of so many tokens in US dollars; `None` where some were written and the price of those is not known.
    pub fn cost(self, read: u64, written: u64) -> Option<f64> {
        let output = if written == 0 { 0.0 } else { self.output? * written as f64 };
        Some((self.input * read as f64 + output) / 1e6)
    }
}

/// The retries of refusals and failures.
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

/// `provider/model`, resolved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelRef {
    /// The provider's name.
    pub provider: String,
    /// The model's name at the provider; may contain `/`.
    pub model: String,
}

impl ModelRef {
    /// The model of this name at the provider of this name.
    pub fn new(provider: impl Into<String>, model: impl Into<String>) -> Self {
        Self { provider: provider.into(), model: model.into() }
    }

    /// The model of this `provider/model`; the provider is empty where there is no `/`.
    pub fn named(name: &str) -> Self {
        let (provider, model) = name.split_once('/').unwrap_or(("", name));
        Self::new(provider, model)
    }
}

impl fmt::Display for ModelRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.provider, self.model)
    }
}

/// The model that embeds the chunks, and how it is asked. To be made with `..EmbedPlan::new(model)`.
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

impl EmbedPlan {
    /// This model, with its own width and the prefixes that are usual for it.
    pub fn new(model: ModelRef) -> Self {
        Self { model, dimensions: None, batch_items: None, batch_tokens: None, query_prefix: None, passage_prefix: None }
    }
}
