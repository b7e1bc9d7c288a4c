//! Why a ledger could not be used.

use std::path::PathBuf;

use crate::error::{Failure, Origin};
use crate::unchanging;

/// The ledger could not be opened, read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// What keeps it refused, or it is damaged.
    #[error("the ledger {ledger} failed")]
    Failed {
        /// Which ledger: a path.
        ledger: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// What its file holds is not what was written.
    #[error("the ledger {} is damaged", path.display())]
    Damaged {
        /// The ledger's file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The file system refused.
    #[error("cannot open the ledger {}", path.display())]
    Io {
        /// The ledger's file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Another run is writing, or copies the index.
    #[error("another run is at work with {} ({holder})", path.display())]
    Busy {
        /// The ledger's file.
        path: PathBuf,
        /// "process 4711", as far as known.
        holder: String,
    },
    /// A database that several workers share cannot be used.
    #[error(transparent)]
    Shared(crate::error::Error),
    /// It was written by a later ragstream.
    #[error("the ledger {} is of layout {found}, which this ragstream does not know", path.display())]
    Layout {
        /// The ledger's file.
        path: PathBuf,
        /// Its layout.
        found: i64,
    },
}

impl Failure for LedgerError {
    fn origin(&self) -> Origin {
        Origin::Ledger
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Shared(error) => match error.code() {
                "cluster_unavailable" => "cluster_unavailable",
                "cluster_mismatch" => "cluster_mismatch",
                _ => "cluster_failed",
            },
            _ => "ledger_failed",
        }
    }

    fn hint(&self) -> Option<String> {
        if let Self::Shared(error) = self {
            return error.hint();
        }
        Some(match self {
            Self::Busy { .. } => "wait until it has ended, or give this run another --home".into(),
            Self::Damaged { path, .. } => format!(
                "remove {} and the files beside it whose names begin like it: `ingest` then looks through the index and goes on from \
                 what that holds",
                path.display()
            ),
            Self::Layout { .. } => "use the ragstream that wrote it, or a later one".into(),
            Self::Failed { source, .. } if source.downcast_ref().is_some_and(unchanging::is_read_only) => {
                "nothing can be written beside it, and what was recorded last is not in its file yet, or it is to be written: give its \
                 folder back the right to write, or copy it to where there is one and name that as --home"
                    .into()
            }
            _ => "check the disk's space and permissions; `ingest` again goes on where it stopped".into(),
        })
    }

    fn stops_all(&self) -> bool {
        true
    }
}
