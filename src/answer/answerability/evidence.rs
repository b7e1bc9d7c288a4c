//! What two rankings tell of whether the best passage answers the question, on scales that are the same for all corpora and models.

use crate::vectordb::Ranked;

/// The places of a ranking, from 0, that a best passage is held against: near enough to be about the same things, and far enough
/// that an answer which stands in several passages is not held against itself.
const BEHIND: std::ops::Range<usize> = 10..60;
/// A ranking by meaning ranks everything; with fewer passages than this behind the best there is nothing to compare it with.
const FEWEST: usize = 20;
/// The first places in which both rankings may agree.
const FIRST: usize = 5;

/// How far what was found stands out. Every number is from 0 to 1, and more of it is more evidence.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Evidence {
    /// By words: how much more of the question's weight the best passage has than those behind it. 1 is all that a passage can
    /// have.
    pub words: f64,
    /// By meaning, where that was asked for.
    pub meaning: Option<Meaning>,
}

/// The evidence of a ranking by meaning.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Meaning {
    /// How much nearer the best passage is than those behind it, as a share of what it could be nearer.
    pub margin: f64,
    /// The share of the first places that both rankings give to the same passages.
    pub agreement: f64,
}

impl Evidence {
    /// The evidence of rankings that come best first. `ceiling` is the most that any passage could score by words. `None`: the
    /// question has no words to be looked for, or there is too little to compare with.
    pub fn of(dense: Option<&[Ranked]>, sparse: &[Ranked], ceiling: f64) -> Option<Self> {
        if ceiling.is_nan() || ceiling <= 0.0 {
            return None;
        }
        let meaning = match dense {
            Some(dense) => Some(Meaning { margin: margin(dense)?, agreement: agreement(dense, sparse) }),
            None => None,
        };
        // Passages without a word of the question are not in the ranking: they score 0.
        let behind = sparse.iter().skip(BEHIND.start).take(BEHIND.len()).map(|hit| f64::from(hit.score)).sum::<f64>();
        let best = sparse.first().map_or(0.0, |hit| f64::from(hit.score));
        let words = (best - behind / BEHIND.len() as f64) / ceiling;
        Some(Self { words: share(words), meaning })
    }
}

/// How much nearer the first is than those behind it.
fn margin(dense: &[Ranked]) -> Option<f64> {
    let best = f64::from(dense.get(..FEWEST)?.first()?.score);
    let behind = dense.iter().skip(BEHIND.start).take(BEHIND.len()).map(|hit| f64::from(hit.score));
    let (count, sum) = behind.fold((0.0, 0.0), |(count, sum), score| (count + 1.0, sum + score));
    let usual = sum / count;
    // Of the passages behind that say the very same as the best, nothing can stand out.
    Some(if usual < 1.0 { share((best - usual) / (1.0 - usual)) } else { 0.0 })
}

fn agreement(dense: &[Ranked], sparse: &[Ranked]) -> f64 {
    let first = |ranking: &[Ranked]| ranking.iter().take(FIRST).map(|hit| hit.id).collect::<Vec<_>>();
    let (dense, sparse) = (first(dense), first(sparse));
    dense.iter().filter(|id| sparse.contains(id)).count() as f64 / FIRST as f64
}

/// From 0 to 1; what is no number is no evidence.
fn share(value: f64) -> f64 {
    if value.is_nan() { 0.0 } else { value.clamp(0.0, 1.0) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may panic")]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    /// A ranking of passages numbered from 1, best first.
    fn ranking(scores: impl IntoIterator<Item = f32>) -> Vec<Ranked> {
        let mut scores: Vec<f32> = scores.into_iter().collect();
        scores.sort_by(|a, b| b.total_cmp(a));
        (1..).zip(scores).map(|(id, score)| Ranked { id: Uuid::from_u128(id), score }).collect()
    }

    #[test]
    fn what_stands_out_is_evidence_and_what_all_have_is_none() {
        let alike = ranking(vec![0.5; 60]);
        let evidence = Evidence::of(Some(&alike), &alike, 1.0).unwrap();
        assert!(evidence.words < 1e-6 && evidence.meaning.unwrap().margin < 1e-6, "{evidence:?}");
        let one = ranking([0.9].into_iter().chain(vec![0.1; 59]));
        let evidence = Evidence::of(Some(&one), &one, 1.0).unwrap();
        assert!((evidence.words - 0.8).abs() < 1e-6, "{evidence:?}");
        assert!((evidence.meaning.unwrap().margin - 0.8 / 0.9).abs() < 1e-6, "{evidence:?}");
        assert!((evidence.meaning.unwrap().agreement - 1.0).abs() < 1e-9);
    }

    #[test]
    fn nothing_is_said_without_words_or_without_others_to_compare_with() {
        let many = ranking(vec![0.5; 60]);
        assert_eq!(Evidence::of(Some(&many), &many, 0.0), None, "the question has no words");
        assert_eq!(Evidence::of(Some(&many[..19]), &many, 1.0), None);
        let none = Evidence::of(None, &[], 1.0).unwrap();
        assert_eq!((none.words, none.meaning), (0.0, None), "no passage has any of its words");
        let alone = Evidence::of(None, &many[..1], 1.0).unwrap();
        assert!((alone.words - 0.5).abs() < 1e-6, "the others have none of them");
    }

    proptest! {
        #[test]
        fn evidence_is_a_share_whatever_the_scores(
            dense in proptest::collection::vec(-1.0_f32..=1.0, 20..100),
            sparse in proptest::collection::vec(0.0_f32..1e6, 0..100),
            ceiling in 1e-3_f64..1e6,
        ) {
            let evidence = Evidence::of(Some(&ranking(dense)), &ranking(sparse), ceiling).unwrap();
            let meaning = evidence.meaning.unwrap();
            for value in [evidence.words, meaning.margin, meaning.agreement] {
                prop_assert!((0.0..=1.0).contains(&value), "{evidence:?}");
            }
        }

        #[test]
        fn a_better_first_is_never_less_evidence(
            dense in proptest::collection::vec(-1.0_f32..=0.9, 20..100),
            sparse in proptest::collection::vec(0.0_f32..10.0, 1..100),
            (nearer, more) in (0.0_f32..=0.1, 0.0_f32..10.0),
        ) {
            let (mut dense, mut sparse) = (ranking(dense), ranking(sparse));
            let before = Evidence::of(Some(&dense), &sparse, 40.0).unwrap();
            dense[0].score += nearer;
            sparse[0].score += more;
            let after = Evidence::of(Some(&dense), &sparse, 40.0).unwrap();
            prop_assert!(after.words >= before.words && after.meaning.unwrap().margin >= before.meaning.unwrap().margin);
        }
    }
}
