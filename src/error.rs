//! The library's error: what went wrong, caused by what, and what to do.
//!
//! A room that can fail has an error type of its own and says here, by [`Failure`], what a caller decides on. [`Error`] holds any
//! of them, so that this module knows no room.

pub mod told;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What part of the work an error comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Origin {
    /// A provider of models, or a model in process.
    Provider,
    /// The vector store.
    Store,
    /// The ledger.
    Ledger,
    /// A source of documents.
    Source,
    /// The question itself: it cannot be asked.
    Question,
    /// A file of ragstream's own.
    Io,
    /// Work off the runtime that broke or was cut short by a shutdown: a bug of ours, or the end of the process.
    Worker,
}

/// An error type of one room, with what a caller decides on.
pub trait Failure: std::error::Error + Send + Sync + 'static {
    /// What part of the work it comes from.
    fn origin(&self) -> Origin;
    /// A stable word for programs: "`rate_limited`", "`index_locked`", …
    fn code(&self) -> &str;
    /// What the user can do about it.
    fn hint(&self) -> Option<String> {
        None
    }
    /// Whether the same may succeed later.
    fn is_transient(&self) -> bool {
        false
    }
    /// After how long the same may succeed, where somebody has said so.
    fn retry_after(&self) -> Option<Duration> {
        None
    }
    /// Whether the next question would fail in the same way.
    fn stops_all(&self) -> bool;
}

/// Why a run could not be done. Cheap to clone.
#[derive(Clone)]
pub struct Error(Arc<dyn Failure>);

impl Error {
    /// An error that others hold as well.
    pub fn shared<F: Failure>(failure: Arc<F>) -> Self {
        Self(failure)
    }

    /// A file of ragstream's own could not be read or written. `action` is "read", "create", …
    pub fn io(action: &'static str, path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        IoError { action, path: path.into(), source }.into()
    }

    /// Work that ran off the runtime broke or was cut short. `action` is "read the question", …
    pub fn worker(action: &'static str, source: tokio::task::JoinError) -> Self {
        WorkerError { action, source }.into()
    }

    /// What part of the work it comes from.
    pub fn origin(&self) -> Origin {
        self.0.origin()
    }

    /// A stable word for programs.
    pub fn code(&self) -> &str {
        self.0.code()
    }

    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        self.0.hint()
    }

    /// Whether the same may succeed later.
    pub fn is_transient(&self) -> bool {
        self.0.is_transient()
    }

    /// After how long the same may succeed, where somebody has said so.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after()
    }

    /// Whether the next question would fail in the same way.
    pub fn stops_all(&self) -> bool {
        self.0.stops_all()
    }

    /// The room's own error, where it is of this type.
    pub fn downcast_ref<F: Failure>(&self) -> Option<&F> {
        let failure: &(dyn std::error::Error + 'static) = &*self.0;
        failure.downcast_ref()
    }
}

impl<F: Failure> From<F> for Error {
    fn from(failure: F) -> Self {
        Self(Arc::new(failure))
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
    }
}

/// A file of ragstream's own could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}", path.display())]
struct IoError {
    action: &'static str,
    path: PathBuf,
    source: std::io::Error,
}

impl Failure for IoError {
    fn origin(&self) -> Origin {
        Origin::Io
    }

    fn code(&self) -> &'static str {
        "io"
    }

    fn stops_all(&self) -> bool {
        true
    }
}

/// Work off the runtime broke or was cut short.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action}")]
struct WorkerError {
    action: &'static str,
    source: tokio::task::JoinError,
}

impl Failure for WorkerError {
    fn origin(&self) -> Origin {
        Origin::Worker
    }

    fn code(&self) -> &'static str {
        "internal"
    }

    fn stops_all(&self) -> bool {
        true
    }
}

/// An error and what caused it, on one line. A cause that is quoted above it already is left out.
pub fn reason(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let message = error.to_string();
        if !text.contains(&message) {
            text.push_str(": ");
            text.push_str(&message);
        }
        cause = error.source();
    }
    text
}
