//! Where the vectors live: the embedded engine or a Qdrant server, behind one trait.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::document::{Hit, Passage, Point, SparseVector};

/// What an index was made with. Kept in the index itself; an index made with something else is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexMeta {
    /// Layout of points and payloads. Now [`IndexMeta::VERSION`].
    pub version: u32,
    /// Changes whenever the index is made anew, so that a ledger can tell that its store was wiped.
    pub generation: Uuid,
    /// The embedder's [`fingerprint`](crate::providers::Embedder::fingerprint).
    pub model: String,
    /// The width of the dense vectors.
    pub dimensions: usize,
    /// How documents were chunked (see `ChunkPlan::fingerprint`).
    pub chunking: String,
}

impl IndexMeta {
    /// The layout this version writes.
    pub const VERSION: u32 = 1;
}

/// How a query ranks.
#[derive(Debug, Clone, PartialEq)]
pub enum Query {
    /// By cosine similarity alone.
    Dense(Vec<f32>),
    /// By BM25 alone.
    Sparse(SparseVector),
    /// Both, fused by reciprocal rank.
    Hybrid {
        /// The question's dense vector.
        dense: Vec<f32>,
        /// The question's BM25 vector.
        sparse: SparseVector,
    },
}

/// A store of points. Every method's success means that the store has acknowledged: what was written survives a kill.
#[async_trait]
pub trait VectorStore: Send + Sync + std::fmt::Debug {
    /// What a person calls it: a path or a URL with the collection.
    fn describe(&self) -> String;
    /// What the index was made with; `None` when there is no index yet.
    async fn meta(&self) -> Result<Option<IndexMeta>, StoreError>;
    /// Makes the index (vectors, IDF, payload indexes). Must not exist.
    async fn create(&self, meta: &IndexMeta) -> Result<(), StoreError>;
    /// Removes the index and all it holds. Not an error when there is none.
    async fn drop_index(&self) -> Result<(), StoreError>;
    /// Writes points; those with the same id are replaced.
    async fn upsert(&self, points: Vec<Point>) -> Result<(), StoreError>;
    /// Replaces the payloads of points that exist and keeps their vectors.
    async fn set_passages(&self, passages: Vec<(Uuid, Passage)>) -> Result<(), StoreError>;
    /// Removes points. Ids that do not exist are ignored.
    async fn delete(&self, ids: Vec<Uuid>) -> Result<(), StoreError>;
    /// Removes every point of a document.
    async fn delete_document(&self, uri: &str) -> Result<(), StoreError>;
    /// The best `limit` passages, best first.
    async fn query(&self, query: Query, limit: usize) -> Result<Vec<Hit>, StoreError>;
    /// Points in the index.
    async fn count(&self) -> Result<u64, StoreError>;
    /// A page of point ids with their passages, in the order of the ids, after `after`. Fewer than `limit` means the end.
    async fn scroll(&self, after: Option<Uuid>, limit: usize) -> Result<Vec<(Uuid, Passage)>, StoreError>;
    /// Makes the next opening fast. Durability does not depend on it.
    async fn flush(&self) -> Result<(), StoreError>;
}

/// A store refused, failed or could not be reached.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has the embedded index open.
    #[error("the index {path} is in use by {holder}")]
    Locked {
        /// The index's folder.
        path: String,
        /// Who holds it, as far as known ("process 4711 (ragstream ingest)").
        holder: String,
    },
    /// The index was made with something else.
    #[error("the index {store} was made with {what} {found}, and the pipeline now says {wanted}")]
    Mismatch {
        /// The store's description.
        store: String,
        /// "model", "dimensions", "chunking" or "layout version".
        what: &'static str,
        /// What the index has.
        found: String,
        /// What the pipeline says.
        wanted: String,
    },
    /// There is no index to read.
    #[error("there is no index at {store} yet")]
    Missing {
        /// The store's description.
        store: String,
    },
    /// The server could not be reached, or answered that it is not ready; trying again may help.
    #[error("cannot reach the store {store}: {message}")]
    Unavailable {
        /// The store's description.
        store: String,
        /// What happened.
        message: String,
        /// What caused it.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// The store refused or broke; trying again does not help.
    #[error("the store {store} failed to {action}: {message}")]
    Failed {
        /// The store's description.
        store: String,
        /// "write points", "open", …
        action: &'static str,
        /// What happened.
        message: String,
        /// What caused it.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
}

impl StoreError {
    /// Whether the same call may succeed later.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }

    /// What the user can do.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Locked { .. } => Some("wait until it has ended, or give this run another --home".into()),
            Self::Mismatch { .. } => Some("run `ingest --rebuild` to make the index anew, or restore the old setting".into()),
            Self::Missing { .. } => Some("index something first: `ingest ./docs`".into()),
            Self::Unavailable { .. } => {
                Some("check that the server runs and that `store.qdrant.url` names its gRPC port (6334)".into())
            }
            Self::Failed { .. } => None,
        }
    }
}
