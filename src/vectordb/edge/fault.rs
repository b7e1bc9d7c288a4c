//! Why the engine did not do what it was asked: its refusals, and its panics turned into errors.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use qdrant_edge::OperationError;

/// Why the engine did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    /// It refused, in its own words.
    #[error("{0}")]
    Refused(#[from] OperationError),
    /// It panicked. What it holds in memory is not to be trusted any more.
    #[error("the engine panicked: {0}")]
    Panicked(String),
    /// A payload is not a passage.
    #[error("a point has a payload that is not ragstream's: {0}")]
    Payload(#[from] serde_json::Error),
    /// A file could not be read or removed.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// A file of the index is not there.
    #[error("{} is missing", .0.display())]
    Missing(PathBuf),
    /// What tells where points lie could not be read or written.
    #[error("{0}")]
    PointIndex(#[from] rusqlite::Error),
    /// A part could not be opened.
    #[error("{0}")]
    Part(Box<Fault>),
}

impl Fault {
    /// Whether the files are to blame, so that only making them anew helps.
    pub(super) fn is_damage(&self) -> bool {
        match self {
            Self::Missing(_) => true,
            Self::Part(fault) => match &**fault {
                Self::Io(error) => matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof),
                _ => true,
            },
            Self::PointIndex(error) => {
                use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
                matches!(error.sqlite_error_code(), Some(DatabaseCorrupt | NotADatabase))
            }
            _ => false,
        }
    }
}

/// It was closed, or panicked before.
pub(super) fn closed() -> Fault {
    Fault::Panicked("it is closed".into())
}

/// Runs a call into the engine. Its locks do not poison, and a shard that panicked is dropped by its owner.
pub(super) fn contain<T>(call: impl FnOnce() -> T) -> Result<T, Fault> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|panic| {
        let message = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
        Fault::Panicked(message.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".into()))
    })
}
