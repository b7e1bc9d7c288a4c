//! Tokens that were used: of an answer, and of an error.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Tokens a request used, as the provider counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct Usage {
    /// Tokens read, those of the provider's own cache included.
    pub input_tokens: Option<u64>,
    /// Tokens written.
    pub output_tokens: Option<u64>,
    /// What of those read has to do with the provider's cache of prompts, where the provider tells.
    #[serde(default, skip_serializing_if = "PromptCache::is_empty")]
    pub prompt_cache: PromptCache,
}

/// Tokens that were read and have to do with a provider's cache of prompts. Most cost other than what they are part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct PromptCache {
    /// Read from it.
    pub read_tokens: u64,
    /// Written to it, for requests to come.
    pub written_tokens: u64,
}

impl PromptCache {
    /// Whether it had no part in it.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl std::ops::AddAssign for PromptCache {
    fn add_assign(&mut self, other: Self) {
        self.read_tokens = self.read_tokens.saturating_add(other.read_tokens);
        self.written_tokens = self.written_tokens.saturating_add(other.written_tokens);
    }
}

impl Usage {
    /// Tokens read and written, as far as they are known.
    pub const fn new(input_tokens: Option<u64>, output_tokens: Option<u64>) -> Self {
        Self { input_tokens, output_tokens, prompt_cache: PromptCache { read_tokens: 0, written_tokens: 0 } }
    }

    /// Those of both; unknown as soon as one is.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let sum = |a: Option<u64>, b: Option<u64>| Some(a? + b?);
        let mut prompt_cache = self.prompt_cache;
        prompt_cache += other.prompt_cache;
        Self {
            input_tokens: sum(self.input_tokens, other.input_tokens),
            output_tokens: sum(self.output_tokens, other.output_tokens),
            prompt_cache,
        }
    }

    /// These, and none where they are not known.
    #[must_use]
    pub(crate) fn or_none(self) -> Self {
        let known = |tokens: Option<u64>| tokens.or(Some(0));
        Self { input_tokens: known(self.input_tokens), output_tokens: known(self.output_tokens), ..self }
    }
}
