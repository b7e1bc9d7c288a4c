//! From a question to a streamed answer with checked citations.
//!
//! ```text
//! question ─▶ retrieve ─▶ hits ─▶ source (join) ─▶ sources ─▶ prompt (fence, budget) ─▶ model ─▶ cite ─▶ events
//! ```
//!
//! [`retrieve`] finds passages, [`fusion`] makes one ranking of two, [`source`] joins neighbours into sources that still slice the document exactly, [`prompt`] fits
//! them into the token budget and fences them, [`cite`] checks the answer's `[n]` as it streams, and [`ask`] wires them.
//!
//! Invariants: document text reaches the model as fenced data only, never as instructions; no model is asked when nothing was
//! found; an event is yielded as soon as what it says is certain; dropping the stream cancels the request upstream.

pub mod cite;
pub mod fusion;
mod model;
pub mod prompt;
pub mod retrieve;
pub mod source;
mod stream;

pub use model::{ANTHROPIC_MODEL, OLLAMA_PROBE_TIMEOUT, OPENAI_MODEL, default_model};
pub use retrieve::{QuestionError, Retriever, SparseQuery};
pub use source::Source;
pub use stream::{AnswerEvent, Ask, CountTokens, Outcome, Summary, ask};
