//! From a question to a streamed answer with checked citations.
//!
//! ```text
//! question ─▶ retrieve ─▶ hits ─▶ source (join) ─▶ sources ─▶ prompt (fence, budget) ─▶ model ─▶ cite, claim, proof ─▶ events ─▶ wire
//! ```
//!
//! [`Answerer`] wires all of it, and is what the rest of the world calls. [`retrieve`] finds passages of the documents that a
//! [`filter`] lets pass: [`fusion`] makes one ranking of two, [`duplicates`] leaves near-copies out, a reranker may have the last
//! word. [`answerability`] says how probable it is that they hold the answer: where they do not, no model is asked. `trim` may cut
//! them down to the sentences that fit the question. [`source`] joins neighbours into sources that still slice the document exactly,
//! [`prompt`] fits them into the token budget and fences them, and [`cite`] checks the answer's `[n]` as it streams: [`claim`] knows
//! which sentence each stands for, and [`proof`] whether the sources say that (`doubted` shows it in the text), which a decision model may sharpen ([`decide`]; of what was found, it may clear a name that is put `otherwise` alone). An
//! answer consists of [`event`]s, and [`wire`] says how they look as JSON.
//! In a conversation, [`rewrite`] makes the question stand alone for the search (where no model does, `carried` has the words of the
//! questions before count, too), and [`history`] says what went before.
//! [`why`] says why a document is, or is not, among the sources.
//! [`federated`] asks several indexes as if they were one. A question about all documents has them all read ([`whole`]).
//! Beside the one answer of one model: [`fallback`] has others stand by, [`ensemble`] asks several at once ([`judge`] picks among
//! them), and [`batch`] asks many questions with a [`record`] of those that are answered.
//!
//! Invariants: document text reaches the model as fenced data only, never as instructions; no model is asked when nothing was
//! found; an event is yielded as soon as what it says is certain; dropping the stream cancels the request upstream.

mod all;
pub mod answerability;
mod answerer;
pub mod batch;
mod carried;
pub mod cite;
pub mod claim;
mod conversation;
mod converse;
pub mod decide;
pub mod document;
#[cfg(any(feature = "cli", feature = "serve"))]
pub(crate) mod doubted;
pub mod duplicates;
mod ensemble;
mod event;
mod exact;
mod fallback;
pub mod federated;
pub mod filter;
pub mod fusion;
pub mod history;
mod judge;
mod lazy;
mod legs;
pub mod link;
mod mark;
mod models;
mod otherwise;
mod owner;
mod paid;
mod plan;
pub mod prompt;
pub mod proof;
mod proving;
mod question;
pub mod record;
mod rerank;
pub mod retrieve;
pub mod rewrite;
#[cfg(test)]
pub(crate) mod samples;
pub mod source;
mod stand_in;
mod together;
mod told;
mod trace;
mod trim;
mod trimmed;
mod unread;
mod verdict;
mod void;
pub mod whole;
pub mod why;
pub mod wire;
mod write;

pub use all::DRAIN;
pub use answerability::{Answerability, AnswerabilityPlan, Judgement};
pub use answerer::Answerer;
pub use decide::{Decided, Deciding, Support};
pub use duplicates::DedupedHit;
pub use event::{
    AnswerEvent, AnswerOutcome, AnswerSummary, EnsembleEvent, EnsembleSummary, Member, ModelOutcome, Note, Verdict,
};
pub use filter::{Filter, FilterError, Term};
pub use history::Exchange;
pub use lazy::OpenRetriever;
pub use legs::{Leg, Legs};
pub use models::{ANTHROPIC_MODEL, Env, Models, OLLAMA_PROBE_TIMEOUT, OPENAI_MODEL, default_model};
pub use owner::{Events, Owner};
pub use plan::{DecidePlan, Duplicates, FusionPlan, QueryPlan, RerankPlan, RetrieveMode, SelectPlan};
pub use prompt::CountTokens;
pub use proof::{Doubt, DoubtKind};
pub use proving::Proved;
pub use question::{Ensemble, EnsembleMode, MAX_INSTRUCTIONS_BYTES, MAX_QUESTION_BYTES, ModelChoice, Question, QuestionError};
pub use retrieve::{Found, Retriever, SparseQuery};
pub use source::Source;
pub use stand_in::StandIn;
pub use void::Judging;
pub use whole::{Estimate, WholeMode, WholePlan, WholeSummary};
pub use why::{Cause, Trace};
