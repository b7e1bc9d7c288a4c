//! The library's error: what went wrong, caused by what, and what to do.

use std::path::PathBuf;
use std::sync::Arc;

use crate::answer::QuestionError;
use crate::ingest::ledger::LedgerError;
use crate::providers::ProviderError;
use crate::vectordb::StoreError;

/// Why a run could not be done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A provider refused, failed or could not be reached.
    #[error(transparent)]
    Provider(Arc<ProviderError>),
    /// The store refused, failed or could not be reached.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The ledger failed.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
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

impl From<ProviderError> for Error {
    fn from(error: ProviderError) -> Self {
        Self::Provider(Arc::new(error))
    }
}

impl Error {
    /// Whether the next question would fail in the same way.
    pub fn stops_all(&self) -> bool {
        match self {
            Self::Provider(error) => error.is_fatal(),
            Self::Store(error) => !error.is_transient(),
            Self::Io { .. } | Self::Ledger(_) | Self::Worker { .. } => true,
            Self::Question(_) => false,
        }
    }

    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Provider(e) => e.hint.clone(),
            Self::Store(e) => e.hint(),
            Self::Ledger(LedgerError::Busy { .. }) => Some("wait until it has ended, or give this run another --home".into()),
            Self::Ledger(_) => Some("check the disk's space and permissions; `ingest` again goes on where it stopped".into()),
            Self::Question(e) => Some(e.hint().into()),
            Self::Io { .. } | Self::Worker { .. } => None,
        }
    }
}

/// An error and what caused it, on one line.
pub fn reason(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let message = error.to_string();
        // A transparent error says the same as the one it wraps.
        if !text.contains(&message) {
            text.push_str(": ");
            text.push_str(&message);
        }
        cause = error.source();
    }
    text
}
