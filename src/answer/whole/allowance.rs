//! What a pass may take besides a request for each part: more requests for parts that have too much for one reader or that the model
//! refuses, and folds of notes. It is fixed before, so that what is told to be the most is the most.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::prompts::NOTE_TOKENS;

/// More requests for each part: so that a model that takes a quarter of one reads all, or each of them has too much for one reader and
/// every other half, too.
const MORE: u64 = 3;
/// More of both, whatever there is: a corpus of one part may be told item by item.
const SPARE: u64 = 8;

/// More requests than one for each of so many parts, at most.
pub(super) fn more_requests(parts: u64) -> u64 {
    parts * MORE + SPARE
}

/// Folds, at most, of `fold` tokens of notes each: as many as notes would need that are as long as what was read.
pub(super) fn folds(parts: u64, tokens: u64, fold: u64) -> u64 {
    tokens.min(parts * u64::from(NOTE_TOKENS)).div_ceil(fold.max(1)) + SPARE
}

/// What is left of it.
#[derive(Debug, Clone)]
pub(super) struct Allowance(Arc<Left>);

#[derive(Debug)]
struct Left {
    requests: AtomicU64,
    folds: AtomicU64,
}

impl Allowance {
    pub(super) fn of(requests: u64, folds: u64) -> Self {
        Self(Arc::new(Left { requests: AtomicU64::new(requests), folds: AtomicU64::new(folds) }))
    }

    /// Whether a part may be read in halves. `paid`: the request that both stand for has an answer, else it was refused.
    pub(super) fn halve(&self, paid: bool) -> bool {
        take(&self.0.requests, 1 + u64::from(paid))
    }

    /// Whether notes may be folded once more.
    pub(super) fn fold(&self) -> bool {
        take(&self.0.folds, 1)
    }
}

fn take(left: &AtomicU64, n: u64) -> bool {
    left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(n)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_is_gone() {
        let allowance = Allowance::of(4, 1);
        let other = allowance.clone();
        assert!(allowance.halve(true) && other.halve(false) && !allowance.halve(true) && allowance.halve(false));
        assert!(!other.halve(false) && other.fold() && !allowance.fold());
        // Enough for a model that takes a quarter of a part: three more requests for each.
        assert_eq!((more_requests(10), folds(10, 9_000, 500), folds(1, 90_000, 8192)), (38, 26, 9));
    }
}
