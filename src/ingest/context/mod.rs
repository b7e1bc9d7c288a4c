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
//! Chunks of one stretch are asked about with the same beginning, which providers keep: most by themselves; one that has to be told
//! (Anthropic) is told, where at least two requests share a stretch and it is long enough to be kept. Since it is there for the others
//! only once the first is being answered, the first goes ahead then. Its price is in `plan` and in the costs.
//!
//! Invariant: a text that has arrived is kept before its place among the requests in flight is given to another, so that a kill costs no
//! more than the provider's `concurrency`.
//! Invariant: without a model, ids, versions and hashes are what they were before there was any of this.
//! Absent on purpose: contexts in the cache that several machines share; each keeps what it has paid for. Where several workers make one
//! index (`--cluster`), a document that passes from one that was killed to one with another cache is paid for once more.

mod plan;
mod prefix;
mod prompt;
mod setting;
mod situating;
mod window;
mod writer;

pub use self::plan::ContextPlan;
pub(super) use self::prefix::Prefix;
pub(super) use self::prompt::{Asked, ROOM, WRITTEN, fitted};
pub(super) use self::setting::Setting;
pub use self::situating::Situating;
pub(super) use self::window::Windows;
pub(super) use self::writer::{ContextError, Writer};
