//! What is kept, and what it is looked up by.

use std::sync::Arc;

use crate::providers::InputType;

/// What `moka` adds to an entry for itself, in bytes, about.
pub(super) const ENTRY: usize = 384;

/// A vector, shared by all who asked for the same text.
pub type Vector = Arc<[f32]>;

/// What a file keeps by its keys.
pub(super) trait Entry: Clone + Send + 'static {
    /// What a person calls the file.
    const NAME: &'static str;
    /// Appends its bytes.
    fn write(&self, to: &mut Vec<u8>);
    /// It, of its bytes; `None`: they are none.
    fn read(bytes: &[u8]) -> Option<Self>;
}

/// Little-endian numbers.
impl Entry for Vector {
    const NAME: &'static str = "the embedding cache";

    fn write(&self, to: &mut Vec<u8>) {
        to.extend(self.iter().flat_map(|number| number.to_le_bytes()));
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (numbers, rest) = bytes.as_chunks::<4>();
        rest.is_empty().then(|| numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
    }
}

/// A text that a model has written, shared by all who asked for it.
pub type Text = Arc<str>;

impl Entry for Text {
    const NAME: &'static str = "the context cache";

    fn write(&self, to: &mut Vec<u8>) {
        to.extend(self.as_bytes());
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        std::str::from_utf8(bytes).ok().map(Self::from)
    }
}

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

    /// The key of what a model writes: by what it is, the model, and all that this one is told.
    pub fn of_text(what: &str, model: &str, told: &[&str]) -> Self {
        let mut hash = blake3::Hasher::new_derive_key("ragstream texts of models");
        for part in [what, model].iter().chain(told) {
            hash.update(&(part.len() as u64).to_le_bytes()).update(part.as_bytes());
        }
        Self(*hash.finalize().as_bytes())
    }
}
