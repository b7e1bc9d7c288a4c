//! What a transformer reads at once.

/// Tokens that are read together.
pub(super) trait Sequence: Send + Sync {
    /// One at least, no more than the model has positions, and those that it knows.
    fn ids(&self) -> &[u32];

    /// How many of them are of the first type, those in front.
    fn first_type(&self) -> usize {
        usize::MAX
    }
}

impl Sequence for Vec<u32> {
    fn ids(&self) -> &[u32] {
        self
    }
}
