//! Why a crawl ends early.

use super::super::super::SourceError;

/// Why a crawl ends early.
pub(in super::super) enum Ended {
    /// Nobody listens any more.
    Dropped,
    /// What is remembered cannot be read or written.
    State(SourceError),
}

impl From<SourceError> for Ended {
    fn from(error: SourceError) -> Self {
        Self::State(error)
    }
}
