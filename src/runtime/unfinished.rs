//! The last line of an ingest that failed.

use serde::Serialize;

use crate::answer::wire::Line;
use crate::ingest::report::Spent;

/// Why it failed, and what was spent before, in the words of a summary.
#[derive(Debug, Serialize)]
pub(crate) struct Unfinished<'a> {
    #[serde(flatten)]
    pub error: Line<'a>,
    #[serde(flatten)]
    pub spent: Spent,
}
