//! What goes into a ledger and comes out of it.

use uuid::Uuid;

use crate::ingest::report::Stage;
use crate::source::{SourceId, Version};

/// One run over the sources, as the ledger tells it from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RunId(pub u64);

/// Which grant of a document it is; see [`Ledger`](super::Ledger).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Epoch(pub u64);

/// An item of a source, as far as a ledger needs to know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// The document's identity, over all sources.
    pub uri: String,
    /// The item's version as it was listed.
    pub version: Version,
}

/// How a listed item compares with what is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Difference {
    /// Its version proves that it is as recorded.
    Unchanged,
    /// It is new, or may have changed.
    Changed,
    /// This run had listed it before. To be left alone: two at once would know nothing of what the other writes.
    Repeated,
}

/// A point that a document has in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredPoint {
    /// The point's id.
    pub id: Uuid,
    /// A digest of the payload it was written with.
    pub digest: u64,
}

/// What is recorded of a document. All of it is certain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Which source gave it.
    pub source: SourceId,
    /// blake3 of its content; `None` where that is not known.
    pub hash: Option<[u8; 32]>,
    /// The modification time that its payloads say, in seconds since the Unix epoch; `None` where that is not known.
    pub modified: Option<i64>,
    /// The points it has in the store.
    pub points: Vec<StoredPoint>,
}

/// What earlier runs left of a document, and the right to go on with it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PriorState {
    /// What is recorded; `None`: it was never done, or the store has lost all of it.
    pub entry: Option<Entry>,
    /// The points that earlier runs may have written without finishing, ascending.
    pub intended: Vec<Uuid>,
    /// Under which epoch it was claimed: to be given with everything that is recorded of it.
    pub epoch: Epoch,
}

/// That points of a document are about to be written or deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intent {
    /// Which source gives the document.
    pub source: SourceId,
    /// Which document.
    pub uri: String,
    /// Under which epoch it was claimed.
    pub epoch: Epoch,
    /// The points that are about to be written or deleted.
    pub ids: Vec<Uuid>,
    /// The recorded points that stay in the store whatever becomes of this. A digest of 0: its payload is about to be replaced.
    pub untouched: Vec<StoredPoint>,
}

/// That a document is done: the store holds exactly these points of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Which source gave the document.
    pub source: SourceId,
    /// Which document.
    pub uri: String,
    /// Under which epoch it was claimed.
    pub epoch: Epoch,
    /// The version of the content that was indexed.
    pub version: Version,
    /// blake3 of that content.
    pub hash: [u8; 32],
    /// The modification time that the payloads say, in seconds since the Unix epoch.
    pub modified: Option<i64>,
    /// Its points.
    pub points: Vec<StoredPoint>,
}

/// Documents that were refused since their epoch is old: another worker has them now. Nothing more is to be done with them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use = "nothing may be written of a document that another worker has"]
pub struct Fenced {
    /// Which documents.
    pub uris: Vec<String>,
}

/// A document that could not be indexed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedDocument {
    /// Which source gave it.
    pub source: SourceId,
    /// Which document.
    pub uri: String,
    /// At which stage.
    pub stage: Stage,
    /// Why.
    pub error: String,
}

/// What is recorded of the index as a whole.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Meta {
    /// The folder that the uris of files are relative to.
    pub base: Option<String>,
    /// The state of the store that this ledger speaks of; `None`: there have been intents since.
    pub generation: Option<Uuid>,
}

/// How many documents are recorded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Documents with an entry.
    pub documents: u64,
    /// Documents that failed the last time.
    pub failed: u64,
}

/// How much of a scope is missing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MissingCount {
    /// Documents in scope: recorded, begun or failed. Of a source that was narrowed to a part of what it has, all those that it would
    /// have listed otherwise; not counted where none is missing.
    pub known: u64,
    /// Those of them that the run has not listed.
    pub missing: u64,
}

/// A document that the run has not listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// Which source had given it.
    pub source: SourceId,
    /// Which document.
    pub uri: String,
}

/// Some of the documents that a run has not listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingPage {
    /// The documents, by source and uri.
    pub documents: Vec<Missing>,
    /// Where to go on; `None` at the end.
    pub next: Option<Cursor>,
}

/// A place in the list of missing documents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    pub(crate) source: SourceId,
    pub(crate) uri: String,
}

/// A point as the store holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Staged {
    /// Which source gave its document.
    pub source: SourceId,
    /// Which document it belongs to.
    pub uri: String,
    /// The point.
    pub point: StoredPoint,
}
