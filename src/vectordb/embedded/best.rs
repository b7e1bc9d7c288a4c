//! The best of many.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

/// A row with its score; better ones are greater, and of equal ones the one that was written first.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scored {
    pub(super) score: f32,
    pub(super) row: i64,
}

impl Ord for Scored {
    fn cmp(&self, other: &Self) -> Ordering {
        self.score.total_cmp(&other.score).then_with(|| other.row.cmp(&self.row))
    }
}

impl PartialOrd for Scored {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Scored {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Scored {}

/// Keeps the best of what it is given, at most so many.
#[derive(Debug)]
pub(super) struct Best {
    limit: usize,
    kept: BinaryHeap<Reverse<Scored>>,
    /// What is worse is not kept: the score of the worst that is, once there are enough.
    bar: f32,
}

impl Best {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, kept: BinaryHeap::new(), bar: f32::NEG_INFINITY }
    }

    #[inline]
    pub(super) fn add(&mut self, score: f32, row: i64) {
        if score >= self.bar {
            self.keep(Scored { score, row });
        }
    }

    fn keep(&mut self, scored: Scored) {
        if self.kept.len() < self.limit {
            self.kept.push(Reverse(scored));
        } else if let Some(mut worst) = self.kept.peek_mut()
            && worst.0 < scored
        {
            *worst = Reverse(scored);
        }
        if self.kept.len() == self.limit
            && let Some(Reverse(worst)) = self.kept.peek()
        {
            self.bar = worst.score;
        }
    }

    /// Best first.
    pub(super) fn into_sorted(self) -> Vec<Scored> {
        self.kept.into_sorted_vec().into_iter().map(|Reverse(scored)| scored).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_best_are_kept(scores in prop::collection::vec((-3_i8..3, 0_i64..50), 0..200), limit in 1_usize..20) {
            let mut best = Best::new(limit);
            let mut all: Vec<Scored> = scores.iter().map(|(score, row)| Scored { score: f32::from(*score), row: *row }).collect();
            all.iter().for_each(|one| best.add(one.score, one.row));
            all.sort_by(|a, b| b.cmp(a));
            all.truncate(limit);
            prop_assert_eq!(best.into_sorted(), all);
        }
    }
}
