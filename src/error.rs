//! The library's error: what went wrong, caused by what, and what to do.

use std::path::PathBuf;

use crate::answer::QuestionError;
use crate::providers::ProviderError;
use crate::vectordb::StoreError;

/// Why a run could not be done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A provider refused, failed or could not be reached.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// The store refused, failed or could not be reached.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file of ragstream's own could not be read or written.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// "read", "create", …
        action: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The question cannot be asked.
    #[error(transparent)]
    Question(#[from] QuestionError),
    /// Work that ran off the runtime broke or was cut short by a shutdown: a bug of ours, or the end of the process.
    #[error("cannot {action}")]
    Worker {
        /// "read the question", …
        action: &'static str,
        /// Why.
        #[source]
        source: tokio::task::JoinError,
    },
}

impl Error {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Provider(e) => e.hint.clone(),
            Self::Store(e) => e.hint(),
            Self::Question(e) => Some(e.hint().into()),
            Self::Io { .. } | Self::Worker { .. } => None,
        }
    }
}
