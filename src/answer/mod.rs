//! From a question to a streamed answer with checked citations.
//!
//! ```text
//! question ─▶ retrieve ─▶ hits ─▶ source (join) ─▶ sources ─▶ prompt (fence, budget) ─▶ model ─▶ cite ─▶ events
//! ```
//!
//! [`retrieve`] finds passages of the documents that a [`filter`] lets pass, [`fusion`] makes one ranking of two, [`duplicates`]
//! folds near-copies, a reranker may have the last word, [`source`] joins neighbours into sources that still slice the document
//! exactly, [`prompt`] fits them into the token budget and fences them, [`cite`] checks the answer's `[n]` as it streams, and
//! [`ask`] wires them.
//! In a conversation, [`rewrite`] makes the question stand alone for the search, and [`history`] says what went before.
//! Beside the one answer of one model: [`fallback`] has others stand by, [`join`] asks several at once ([`judge`] picks among
//! them), and [`batch`] asks many questions with a [`record`] of those that are answered.
//!
//! Invariants: document text reaches the model as fenced data only, never as instructions; no model is asked when nothing was
//! found; an event is yielded as soon as what it says is certain; dropping the stream cancels the request upstream.

pub mod batch;
pub mod cite;
pub mod duplicates;
pub mod fallback;
pub mod filter;
pub mod fusion;
pub mod history;
pub mod join;
pub mod judge;
mod model;
mod plan;
pub mod prompt;
pub mod record;
pub mod retrieve;
pub mod rewrite;
mod select;
pub mod source;
mod stream;
mod write;

pub use duplicates::Found;
pub use filter::{Filter, FilterError, Term};
pub use join::{Fate, Join, JoinEvent, JoinSummary, Joint, ask_all};
pub use judge::Opinion;
pub use model::{ANTHROPIC_MODEL, OLLAMA_PROBE_TIMEOUT, OPENAI_MODEL, default_model};
pub use plan::{Duplicates, FusionPlan, QueryPlan, RerankPlan, RetrieveMode, SelectPlan};
pub use retrieve::{QuestionError, Retriever, SparseQuery};
pub use source::Source;
pub use stream::{AnswerEvent, Ask, Conversation, CountTokens, Outcome, Summary, ask};
