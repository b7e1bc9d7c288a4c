//! Where a document stands in a ranking, however far down that is.

use uuid::Uuid;

/// Where the best passage of a document stands in a ranking of passages.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Standing {
    /// The passage's point.
    pub id: Uuid,
    /// Its place, from 1; of equal ones the ids decide.
    pub rank: u64,
    /// Its score.
    pub score: f32,
    /// Whether that is its place; else it is further down.
    pub exact: bool,
}
