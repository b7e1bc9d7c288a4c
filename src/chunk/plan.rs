//! What a pipeline says of cutting.

use std::num::NonZeroUsize;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::tokenizer::TokenizerName;

/// What is taken where nothing is said.
const MAX_TOKENS: NonZeroUsize = NonZeroUsize::new(400).unwrap();
const OVERLAP: usize = 40;

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

impl Default for ChunkPlan {
    fn default() -> Self {
        Self { by: ChunkBy::default(), max_tokens: MAX_TOKENS, overlap: OVERLAP, tokenizer: TokenizerName::default() }
    }
}

impl ChunkPlan {
    /// What makes two plans' chunks interchangeable; recorded in the index.
    pub fn fingerprint(&self) -> String {
        format!("{:?}/{}/{}/{:?}", self.by, self.max_tokens, self.overlap, self.tokenizer).to_lowercase()
    }
}

/// What cuts are chosen by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(title = "by")]
pub enum ChunkBy {
    /// Each document's own markup.
    #[default]
    Auto,
    /// Markdown's headings, fences and tables.
    Markdown,
    /// Paragraphs.
    Text,
    /// Blank lines and lines.
    Code,
    /// Sentences.
    Sentences,
    /// The count of tokens alone.
    Tokens,
}
