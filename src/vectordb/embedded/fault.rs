//! Why the index could not do what it was asked.

use std::io;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

/// Why the index could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    /// The database refused or failed.
    #[error("{}: {error}", .path.display())]
    Database {
        /// Its file.
        path: PathBuf,
        /// What it said.
        #[source]
        error: rusqlite::Error,
    },
    /// A file could not be read, written or removed.
    #[error("{}: {error}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        error: io::Error,
    },
    /// A file does not hold what it should.
    #[error("{}: {reason}", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A file that a state of the index names is not there: a newer state does without it, or it was lost.
    #[error("{} is missing", .0.display())]
    Gone(PathBuf),
    /// What was asked does not fit this index.
    #[error("{0}")]
    Unfit(String),
    /// The work was given up, since the index is being closed.
    #[error("the index is being closed")]
    Closing,
}

impl Fault {
    pub(super) fn damaged(path: &Path, reason: impl Into<String>) -> Self {
        Self::Damaged { path: path.to_owned(), reason: reason.into() }
    }

    /// Turns what the system said of a file into a fault.
    pub(super) fn io(path: &Path) -> impl Fn(io::Error) -> Self {
        move |error| Self::Io { path: path.to_owned(), error }
    }

    /// Whether the disk is full.
    pub(super) fn is_full(&self) -> bool {
        match self {
            Self::Database { error, .. } => matches!(error.sqlite_error_code(), Some(ErrorCode::DiskFull)),
            Self::Io { error, .. } => error.kind() == io::ErrorKind::StorageFull,
            _ => false,
        }
    }

    /// Whether a file is not what was written to it, and the index has to be made anew.
    pub(super) fn is_damage(&self) -> bool {
        match self {
            Self::Damaged { .. } | Self::Gone(_) => true,
            Self::Io { error, .. } => error.kind() == io::ErrorKind::UnexpectedEof,
            Self::Database { error, .. } => match error {
                // Our statements are right for our tables: what they find otherwise is the file's fault.
                rusqlite::Error::FromSqlConversionFailure(..) | rusqlite::Error::InvalidColumnType(..) => true,
                error => matches!(
                    error.sqlite_error_code(),
                    Some(
                        ErrorCode::DatabaseCorrupt
                            | ErrorCode::NotADatabase
                            | ErrorCode::SchemaChanged
                            | ErrorCode::TypeMismatch
                            | ErrorCode::Unknown
                    )
                ),
            },
            Self::Unfit(_) | Self::Closing => false,
        }
    }
}
