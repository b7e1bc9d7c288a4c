//! What a pipeline says of contexts.

use std::num::NonZeroUsize;

use crate::providers::ModelRef;

/// What says where chunks stand in their documents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContextPlan {
    /// The chat model.
    pub model: ModelRef,
    /// Models that stand by, in this order, for when it fails.
    pub fallback: Vec<ModelRef>,
    /// Tokens of the document that it is shown, at most, counted by the chunking tokenizer.
    pub window: NonZeroUsize,
}

impl ContextPlan {
    /// The window where nothing is said: a document of some five pages whole. Every chunk pays for a window, so that one of 3,000 tokens
    /// costs at most 7.5 times the document's own (chunks of 400); it is well above the 1,024 from which providers' prompt caches take
    /// what requests have in common; and together with chunk, instructions and answer it stays below the 4,096 that local servers give a
    /// model where nothing is said.
    pub const WINDOW: NonZeroUsize = NonZeroUsize::new(3000).unwrap();

    /// By this model, with the usual window.
    pub fn new(model: ModelRef) -> Self {
        Self { model, fallback: Vec::new(), window: Self::WINDOW }
    }
}
