//! What is done: which documents the store holds, under which point ids, and which documents failed.
//!
//! Three rules make a kill at any instant harmless:
//! - an *intent* names the points that are about to be written or deleted, before they are; from then on the document is
//!   recorded with those points alone that are not touched, and its content is compared anew;
//! - a document is *committed* after the store has acknowledged its points and its stale ones are deleted;
//! - the *generation*, the name of the store's state that is recorded here, goes with the first intent and comes back at the
//!   end of the run. Where it is not the store's own, the store is looked through (see [`Ledger::reconcile`]).
//!
//! So `committed ∪ intended` always covers what the store may hold, and what is committed is certainly there.
//!
//! Each document belongs to one source. What is missing is decided per source: a run that lists a folder says nothing about
//! the pages of a site (see [`Scope`]).

mod error;
mod moved;
mod scope;
pub mod sqlite;
mod types;

use std::sync::Arc;

use async_trait::async_trait;

pub use self::error::LedgerError;
pub use self::moved::Moved;
pub use self::scope::{Scope, SourceScope};
pub use self::sqlite::{Recorded, SqliteLedger, Unfinished};
#[cfg(feature = "postgres")]
pub(crate) use self::sqlite::{decode, decode_ids, encode};
pub use self::types::{
    Commit, Cursor, Difference, Entry, Epoch, FailedDocument, Fenced, Intent, Listing, Meta, Missing, MissingCount,
    MissingPage, PriorState, RunId, Staged, StoredPoint, Totals,
};
use crate::source::SourceId;
use crate::source::state::State;

/// The record of what an index holds, document by document, one of each uri.
///
/// Calls take batches: one call is one transaction, all or nothing, and durable when it returns. A call that is dropped may
/// still be carried out, in whole or not at all. Lists in answers have the order and the length of those in the question.
///
/// Any error means that nothing can be recorded any more: the run ends.
///
/// # Several workers
///
/// A ledger that several workers share grants each a lease on the documents that it [claims](Self::claim), under an
/// [`Epoch`] that no grant of the document had before. [`intend`](Self::intend), [`commit`](Self::commit) and
/// [`forget`](Self::forget) refuse the documents whose epoch is not the one that was granted last, and name them as [`Fenced`].
/// A ledger of one process always grants `Epoch(0)`.
#[async_trait]
pub trait Ledger: Send + Sync + std::fmt::Debug {
    /// What is recorded of the index as a whole.
    async fn meta(&self) -> Result<Meta, LedgerError>;
    /// Replaces what is recorded of the index as a whole.
    async fn set_meta(&self, meta: &Meta) -> Result<(), LedgerError>;

    /// Begins a run, which has listed nothing yet.
    async fn begin_run(&self) -> Result<RunId, LedgerError>;
    /// Forgets what a run has listed and staged. Nothing depends on it but the space that they take.
    async fn end_run(&self, run: RunId) -> Result<(), LedgerError>;
    /// Notes that a source has these items, and tells of each whether it differs from what is recorded. It does where the
    /// version proves nothing, where the document came from another source, and where it failed the last time.
    async fn note_listed(&self, run: RunId, source: &SourceId, items: Vec<Listing>) -> Result<Vec<Difference>, LedgerError>;
    /// Takes back that these items were listed: there is nothing of them to be indexed any more.
    async fn unlist(&self, run: RunId, uris: Vec<String>) -> Result<(), LedgerError>;

    /// Takes documents over, and tells what earlier runs left of each. Changes nothing that is recorded of them.
    async fn claim(&self, uris: Vec<String>) -> Result<Vec<PriorState>, LedgerError>;
    /// Records which points are about to be written or deleted, added to what was intended before, and that of what is
    /// recorded of the documents only what stays untouched is certain. Takes the generation away, if anything was intended.
    /// To be called before the store is.
    async fn intend(&self, intents: Vec<Intent>) -> Result<Fenced, LedgerError>;
    /// Records documents as done; intents and failures of theirs are settled. To be called after the store has acknowledged,
    /// and only then.
    async fn commit(&self, commits: Vec<Commit>) -> Result<Fenced, LedgerError>;
    /// Records failures. What is recorded of the documents otherwise stays. Not fenced: the worst that a late one does is that
    /// a document is looked at once more.
    async fn fail(&self, failures: Vec<FailedDocument>) -> Result<(), LedgerError>;
    /// Forgets documents: entries, intents and failures. To be called after the store has acknowledged that their points are
    /// deleted.
    async fn forget(&self, documents: Vec<(String, Epoch)>) -> Result<Fenced, LedgerError>;

    /// How many documents are in scope, and how many of them the run has not listed.
    async fn count_missing(&self, run: RunId, scope: &Scope) -> Result<MissingCount, LedgerError>;
    /// How many of those that [`Self::count_missing`] counts are gone by name alone: a document that the run has listed is recorded with
    /// their content, or it is there in `moved` already. A ledger that cannot tell knows of none.
    async fn count_moved(&self, _run: RunId, _scope: &Scope, _moved: Moved) -> Result<u64, LedgerError> {
        Ok(0)
    }
    /// The next documents in scope that the run has not listed, after a cursor. A page may be empty and not the last.
    async fn missing(&self, run: RunId, scope: &Scope, after: Option<Cursor>) -> Result<MissingPage, LedgerError>;

    /// Notes a page of what the store holds, for [`Self::reconcile`].
    async fn stage_stored(&self, run: RunId, page: Vec<Staged>) -> Result<(), LedgerError>;
    /// Records of every document what was staged by this run. One that is recorded with these very points stays as it is; any
    /// other has the staged points and no known content or version, so that it is compared anew. Intents and failures stay:
    /// what a killed run had sent may still arrive. Takes the generation away: that of another state, to which the store may be put
    /// back before this one has a word of its own.
    async fn reconcile(&self, run: RunId) -> Result<(), LedgerError>;

    /// Failures, by uri, at most `limit`.
    async fn failures(&self, limit: usize) -> Result<Vec<FailedDocument>, LedgerError>;
    /// How many documents are recorded.
    async fn totals(&self) -> Result<Totals, LedgerError>;

    /// Whether a document is this worker's under this epoch, and stays so for as long as a call to the store takes. Waits while
    /// that is uncertain.
    async fn holds(&self, _uri: &str, _epoch: Epoch) -> bool {
        true
    }

    /// What this source remembers from run to run.
    fn state(&self, source: &SourceId) -> Arc<dyn State>;
}
