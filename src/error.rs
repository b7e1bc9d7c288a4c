//! The library's error: what went wrong, caused by what, and what to do.

use std::path::PathBuf;
use std::sync::Arc;

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
    /// A stage broke in a way that is ragstream's own fault.
    #[error("internal error: {0}")]
    Internal(String),
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
}

impl From<ProviderError> for Error {
    fn from(error: ProviderError) -> Self {
        Self::Provider(Arc::new(error))
    }
}

impl Error {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Provider(e) => e.hint.clone(),
            Self::Store(e) => e.hint(),
            Self::Ledger(LedgerError::Busy { .. }) => Some("wait until it has ended, or give this run another --home".into()),
            Self::Ledger(_) => Some("check the disk's space and permissions; `ingest` again goes on where it stopped".into()),
            Self::Internal(_) => Some("please report this with the output of `-v`".into()),
            Self::Io { .. } => None,
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
