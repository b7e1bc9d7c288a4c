//! Where a chunk stands in its document, said in a sentence or two by a chat model (Anthropic's "contextual retrieval", 2024).
//!
//! ```text
//!  chunks ─▶ window ─▶ prompt ─▶ writer: cache, else a model ─▶ in front of what is embedded, and of the words that BM25 counts
//! ```
//!
//! What a model says is for search alone: the passage that is shown, cited and checked stays the document's own bytes.
//!
//! A chunk is situated when it is new to the index. It is known by its text and by the setting (model, prompt, window), so
//! that another setting makes all of them anew and an edit elsewhere in the document none: one that only moved keeps what the store
//! has of it. The version and the hash that the ledger keeps of a document are of its setting as well, or a change of that would go
//! unseen where nothing else has changed.
//!
//! Invariant: without a model, ids, versions and hashes are what they were before there was any of this.
//! Absent on purpose: contexts in the cache that several machines share; each keeps what it has paid for.

mod plan;
mod prompt;
mod setting;
mod situating;
mod window;
mod writer;

pub use self::plan::ContextPlan;
pub(super) use self::prompt::{Asked, ROOM, WRITTEN, fitted};
pub(super) use self::setting::Setting;
pub use self::situating::Situating;
pub(super) use self::window::Windows;
pub(super) use self::writer::{ContextError, Writer};
