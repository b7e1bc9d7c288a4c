//! Embedding models: the trait, the one remote model, and a file a wire format.
//!
//! A format's file only says what to send and reads what comes back; prefixes, reservation, checks of the answer and the width
//! are in the remote model, once. Which vendor speaks which format, and what it takes, is in the vendor's file.

pub(super) mod cohere;
mod embedder;
pub(super) mod gemini;
pub(super) mod ollama;
pub(super) mod openai;
mod prefix;
mod remote;
mod vector;
pub(super) mod wire;

pub use embedder::{EmbedLimits, Embedded, Embedder, InputType};
pub use prefix::Prefixes;
pub(super) use remote::remote;
