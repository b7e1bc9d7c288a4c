//! Why a store did not do what it was asked.

use crate::error::{Failure, Origin};
use crate::providers::Fingerprint;

/// A store refused, failed or could not be reached.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process writes to the embedded index.
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
        /// "model", "dimensions", or "chunking".
        what: &'static str,
        /// What the index has.
        found: String,
        /// What the pipeline says.
        wanted: String,
    },
    /// A cluster spreads the index otherwise than the pipeline says.
    #[error("the collection {store} has {found}, and the pipeline says {wanted}")]
    Spread {
        /// The store's description.
        store: String,
        /// What it has, as keys and values.
        found: String,
        /// What the pipeline says of the same keys.
        wanted: String,
        /// What to do about it.
        hint: String,
    },
    /// The index was laid out by another version of ragstream.
    #[error("the index {store} is of layout {found}; this ragstream reads layout {reads}")]
    Layout {
        /// The store's description.
        store: String,
        /// The index's layout.
        found: u32,
        /// The layout that this version reads.
        reads: u32,
    },
    /// A file of the embedded index is not what was written to it.
    #[error("the index {store} is damaged: {message}")]
    Damaged {
        /// The store's description.
        store: String,
        /// Which file, and what is wrong with it.
        message: String,
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
    /// The store does not let this key do that, or what is there is not ragstream's.
    #[error("the store {store} failed to {action}: {message}")]
    Denied {
        /// The store's description.
        store: String,
        /// "write points", "open", …
        action: &'static str,
        /// What happened.
        message: String,
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

    /// Whether a server that is there says so of another part of its cluster.
    pub(crate) fn is_of_a_part(&self) -> bool {
        matches!(self, Self::Unavailable { message, .. } if super::qdrant::is_of_a_part(message))
    }

    /// What the user can do.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Locked { .. } => Some("wait until it has ended, or give this run another --home".into()),
            Self::Mismatch { found, wanted, .. } if found != wanted && same_model(found, wanted) => {
                let found = Fingerprint::from(found.as_str());
                let identity = found.server().unwrap_or("the vendor's host and path, as in `api.openai.com/v1`");
                Some(format!(
                    "run `ingest --rebuild` to make the index anew; or, if the same model answers at both addresses, \
                     set `identity` of its provider: {identity}"
                ))
            }
            Self::Mismatch { .. } => Some("run `ingest --rebuild` to make the index anew, or restore the old setting".into()),
            Self::Layout { found, reads, .. } if found > reads => Some("update ragstream to the version that made it".into()),
            Self::Layout { .. } | Self::Damaged { .. } => {
                Some("run `ingest --rebuild`; what was embedded before comes from the cache".into())
            }
            Self::Spread { hint, .. } => Some(hint.clone()),
            Self::Missing { .. } => Some("index something first: `ingest ./docs`".into()),
            Self::Unavailable { message, .. } if let Some(hint) = super::qdrant::outage_hint(message) => Some(hint.into()),
            Self::Unavailable { .. } => {
                Some("check that the server runs and that `store.qdrant.url` names its gRPC port (6334)".into())
            }
            Self::Denied { .. } | Self::Failed { .. } => None,
        }
    }
}

impl Failure for StoreError {
    fn origin(&self) -> Origin {
        Origin::Store
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Locked { .. } => "index_locked",
            Self::Mismatch { .. } | Self::Layout { .. } | Self::Spread { .. } => "index_mismatch",
            Self::Missing { .. } => "index_missing",
            Self::Unavailable { .. } => "store_unavailable",
            Self::Denied { .. } | Self::Failed { .. } | Self::Damaged { .. } => "store_failed",
        }
    }

    fn hint(&self) -> Option<String> {
        self.hint()
    }

    fn is_transient(&self) -> bool {
        self.is_transient()
    }

    fn stops_all(&self) -> bool {
        !self.is_transient()
    }
}

/// Whether two fingerprints differ in the server alone.
fn same_model(one: &str, other: &str) -> bool {
    Fingerprint::from(one).model() == Fingerprint::from(other).model()
}
