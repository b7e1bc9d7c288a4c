//! In how many passages terms are, as a sample of the passages tells. A question's words weigh by it as they do in the store.

use std::collections::BTreeMap;

use crate::document::SparseVector;
use crate::vectordb::bm25::OTHERWISE;

/// The most that a term adds to a passage's score for each time that it is asked for: `k1 + 1`, of a word repeated without end.
const SATURATED: f64 = 2.2;
/// What a term that is in no passage of the sample is in, of as many passages as the sample has.
const UNSEEN: f64 = 0.5;

/// Frequencies of terms in a sample.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Frequencies {
    /// Passages of the sample, of those with terms.
    pub(super) passages: u32,
    /// Terms that are in any, ascending.
    pub(super) terms: Vec<u32>,
    /// In how many, in the order of the terms.
    pub(super) counts: Vec<u16>,
}

impl Frequencies {
    /// Counts the terms of passages.
    pub(super) fn of(passages: impl Iterator<Item = SparseVector>) -> Self {
        let (mut counts, mut with_terms) = (BTreeMap::<u32, u16>::new(), 0);
        for vector in passages {
            with_terms += u32::from(!vector.indices.is_empty());
            for term in vector.indices {
                let count = counts.entry(term).or_default();
                *count = count.saturating_add(1);
            }
        }
        let (terms, counts) = counts.into_iter().unzip();
        Self { passages: with_terms, terms, counts }
    }

    /// The most that any passage could score on a question, in an index of so many passages. No passage has a word in both scripts of
    /// Chinese: it counts once.
    pub(super) fn ceiling(&self, question: &SparseVector, passages: u64) -> f64 {
        // What the sample has as it is, what it has not as rare as it can be in the whole.
        let times = (passages as f64 / f64::from(self.passages.max(1))).max(1.0);
        let all = f64::from(self.passages) * times;
        let weight = |(term, weight): (&u32, &f32)| {
            let found = self.terms.binary_search(term).ok().and_then(|at| self.counts.get(at));
            let frequency = match found {
                Some(count) => f64::from(*count) * times,
                // Nobody knows but that it is rare; of a whole corpus it is known to be in none.
                None if times > 1.0 => UNSEEN * times,
                None => 0.0,
            };
            f64::from(*weight) * ((all - frequency + 0.5) / (frequency + 0.5)).ln_1p()
        };
        let terms = question.indices.iter().zip(&question.values).filter(|(_, weight)| **weight > OTHERWISE);
        SATURATED * terms.map(weight).sum::<f64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(terms: &[u32]) -> SparseVector {
        SparseVector { indices: terms.to_vec(), values: vec![1.0; terms.len()] }
    }

    #[test]
    fn rare_words_weigh_more_than_common_ones() {
        let sample = Frequencies::of([terms(&[1, 2]), terms(&[1]), terms(&[1, 3]), terms(&[])].into_iter());
        assert_eq!((sample.passages, &sample.terms[..], &sample.counts[..]), (3, &[1, 2, 3][..], &[3, 1, 1][..]));
        let ceiling = |question: &[u32]| sample.ceiling(&terms(question), 3);
        assert!(ceiling(&[1]) < ceiling(&[2]) && ceiling(&[2]) < ceiling(&[9]), "none has 9");
        assert!((ceiling(&[2]) - 2.2 * f64::from((1.0_f32 + 2.5 / 1.5).ln())).abs() < 1e-4, "as in the store");
        assert!((ceiling(&[1, 2]) - ceiling(&[1]) - ceiling(&[2])).abs() < 1e-9);
        assert!(ceiling(&[]).abs() < 1e-9);
    }

    #[test]
    fn a_sample_stands_for_the_whole() {
        let sample = Frequencies::of((0..100).map(|n| terms(if n < 10 { &[7, 8] } else { &[8] })));
        let whole = Frequencies::of((0..1000).map(|n| terms(if n < 100 { &[7, 8] } else { &[8] })));
        for question in [&[7][..], &[8], &[7, 8]] {
            let (estimated, exact) = (sample.ceiling(&terms(question), 1000), whole.ceiling(&terms(question), 1000));
            assert!((estimated - exact).abs() < 0.05, "{question:?}: {estimated} {exact}");
        }
        assert!(sample.ceiling(&terms(&[9]), 1000) <= whole.ceiling(&terms(&[9]), 1000));
    }
}
