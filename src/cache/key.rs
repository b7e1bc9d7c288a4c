//! What a vector is looked up by.

use std::sync::Arc;

use crate::providers::InputType;

/// A vector, shared by all who asked for the same text.
pub type Vector = Arc<[f32]>;

/// What an embedding depends on: model fingerprint, input type and the exact text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key(pub(super) [u8; 32]);

impl Key {
    /// `fingerprint` is the embedder's (provider kind, model, dimensions).
    pub fn new(fingerprint: &str, kind: InputType, text: &str) -> Self {
        let mut hash = blake3::Hasher::new();
        // Lengths first, so that no two (fingerprint, text) pairs run into the same bytes.
        hash.update(&(fingerprint.len() as u64).to_le_bytes());
        hash.update(fingerprint.as_bytes());
        hash.update(match kind {
            InputType::Query => b"q",
            InputType::Passage => b"p",
        });
        hash.update(text.as_bytes());
        Self(*hash.finalize().as_bytes())
    }
}
