//! Makes one ranking of two: by meaning and by words.

use std::collections::HashMap;

use uuid::Uuid;

use crate::answer::FusionPlan;
use crate::vectordb::Ranked;

/// How deep each ranking is fused. What lies beyond counts nothing and comes last, so that asking for more passages never
/// changes the order of the first.
pub const DEPTH: usize = 100;

/// A passage's standing in both rankings.
struct Candidate {
    id: Uuid,
    score: f32,
    /// Its better place, from 0.
    place: usize,
}

/// Fuses two rankings, each best first, into one; of equal passages the one that stood higher in either comes first, then
/// the ids decide.
pub fn fuse(plan: &FusionPlan, dense: &[Ranked], sparse: &[Ranked]) -> Vec<Ranked> {
    fuse_by(plan, dense, sparse, |_| plan.words())
}

/// The same with a share of words for each passage, from 0 to 1.
pub fn fuse_by(plan: &FusionPlan, dense: &[Ranked], sparse: &[Ranked], words: impl Fn(Uuid) -> f32) -> Vec<Ranked> {
    let mut candidates: HashMap<_, Candidate> = HashMap::with_capacity(dense.len() + sparse.len());
    for (ranking, by_words) in [(dense, false), (sparse, true)] {
        for (place, (Ranked { id, .. }, part)) in ranking.iter().zip(shares(plan, ranking)).enumerate() {
            let share = if by_words { words(*id) } else { 1.0 - words(*id) };
            let candidate = candidates.entry(*id).or_insert(Candidate { id: *id, score: 0.0, place });
            candidate.score += share * part;
            candidate.place = candidate.place.min(place);
        }
    }
    let mut fused: Vec<Candidate> = candidates.into_values().collect();
    fused.sort_unstable_by(|a, b| b.score.total_cmp(&a.score).then(a.place.cmp(&b.place)).then_with(|| a.id.cmp(&b.id)));
    fused.into_iter().map(|Candidate { id, score, .. }| Ranked { id, score }).collect()
}

/// Worth of each place of a ranking, before weighing.
fn shares(plan: &FusionPlan, hits: &[Ranked]) -> Vec<f32> {
    let fused = hits.get(..DEPTH).unwrap_or(hits);
    let mut shares: Vec<f32> = match *plan {
        FusionPlan::Rrf { k, .. } => (0..fused.len()).map(|place| 1.0 / (k + place as f32)).collect(),
        FusionPlan::Weighted { .. } | FusionPlan::Usual => {
            let best = fused.first().map_or(0.0, |hit| hit.score);
            let worst = fused.last().map_or(0.0, |hit| hit.score);
            // A ranking of equals (one passage, often) is worth all it can be.
            let normal = |hit: &Ranked| if best > worst { (hit.score - worst) / (best - worst) } else { 1.0 };
            fused.iter().map(normal).collect()
        }
    };
    shares.resize(hits.len(), 0.0);
    shares
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, reason = "tests may panic")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A ranking of numbered passages with these scores.
    fn ranking(hits: &[(u128, f32)]) -> Vec<Ranked> {
        hits.iter().map(|(id, score)| Ranked { id: Uuid::from_u128(*id), score: *score }).collect()
    }

    fn order(hits: &[Ranked]) -> Vec<u128> {
        hits.iter().map(|hit| hit.id.as_u128()).collect()
    }

    const RRF: FusionPlan = FusionPlan::Rrf { k: 2.0, weight: 0.5 };

    #[test]
    fn what_both_find_comes_first() {
        let (dense, sparse) = (ranking(&[(1, 0.9), (2, 0.8), (3, 0.1)]), ranking(&[(4, 9.0), (2, 8.0), (5, 1.0)]));
        for plan in [RRF, FusionPlan::Weighted { weight: 0.5 }] {
            assert_eq!(order(&fuse(&plan, &dense, &sparse))[0], 2, "{plan:?}");
        }
    }

    #[test]
    fn scores_follow_the_formulas() {
        let (dense, sparse) = (ranking(&[(1, 0.9), (2, 0.5), (3, 0.1)]), ranking(&[(3, 30.0), (1, 10.0)]));
        let fused = fuse(&FusionPlan::Weighted { weight: 0.25 }, &dense, &sparse);
        assert_eq!(order(&fused), [1, 2, 3]);
        // 1: best by meaning, worst by words; 2: halfway, not found; 3: worst, best.
        for (hit, score) in fused.iter().zip([0.75, 0.375, 0.25]) {
            assert!((hit.score - score).abs() < 1e-6, "{fused:?}");
        }
        let fused = fuse(&FusionPlan::Rrf { k: 60.0, weight: 0.25 }, &dense, &sparse);
        assert_eq!(order(&fused), [1, 3, 2]);
        for (hit, score) in fused.iter().zip([0.75 / 60.0 + 0.25 / 61.0, 0.75 / 62.0 + 0.25 / 60.0, 0.75 / 61.0]) {
            assert!((hit.score - score).abs() < 1e-6, "{fused:?}");
        }
    }

    #[test]
    fn a_weight_of_all_or_nothing_is_one_ranking() {
        let (dense, sparse) = (ranking(&[(1, 0.9), (2, 0.5)]), ranking(&[(3, 30.0), (4, 10.0)]));
        for (weight, first) in [(0.0, 1), (1.0, 3)] {
            for plan in [FusionPlan::Rrf { k: 2.0, weight }, FusionPlan::Weighted { weight }] {
                assert_eq!(order(&fuse(&plan, &dense, &sparse))[0], first, "{plan:?}");
            }
        }
    }

    #[test]
    fn one_ranking_alone_keeps_its_order() {
        let hits = ranking(&[(3, 0.9), (1, 0.9), (2, 0.5)]);
        for plan in [RRF, FusionPlan::Weighted { weight: 0.5 }] {
            assert_eq!(order(&fuse(&plan, &hits, &[])), [3, 1, 2]);
            assert_eq!(order(&fuse(&plan, &[], &hits)), [3, 1, 2]);
            assert_eq!(fuse(&plan, &[], &[]), []);
            let one = fuse(&plan, &ranking(&[(1, 0.3)]), &ranking(&[(1, 5.0)]));
            assert!(one[0].score > 0.0 && one.len() == 1);
        }
    }

    #[test]
    fn equals_are_ranked_by_their_ids() {
        let fused = fuse(&RRF, &ranking(&[(9, 1.0), (4, 0.5)]), &ranking(&[(7, 1.0), (3, 0.5)]));
        assert_eq!(order(&fused), [7, 9, 3, 4]);
    }

    /// A ranking of some of 400 passages, of any length.
    fn rankings() -> impl Strategy<Value = Vec<Ranked>> {
        (Just((0..400).collect::<Vec<u128>>()).prop_shuffle(), 0..300_usize, proptest::collection::vec(0.0..1.0_f32, 300))
            .prop_map(|(ids, count, mut scores)| {
                scores.sort_by(|a, b| b.total_cmp(a));
                ranking(&ids.into_iter().zip(scores).take(count).collect::<Vec<_>>())
            })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
        #[test]
        fn every_passage_comes_once_and_best_first(dense in rankings(), sparse in rankings(), weight in 0.0..=1.0_f32, rrf: bool) {
            let plan = if rrf { FusionPlan::Rrf { k: 2.0, weight } } else { FusionPlan::Weighted { weight } };
            let fused = fuse(&plan, &dense, &sparse);
            prop_assert!(fused.is_sorted_by(|a, b| a.score >= b.score));
            prop_assert!(fused.iter().all(|hit| (0.0..=1.0 + 1e-6).contains(&hit.score)));
            let mut expected = [order(&dense), order(&sparse)].concat();
            expected.sort_unstable();
            expected.dedup();
            let mut found = order(&fused);
            found.sort_unstable();
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn looking_deeper_changes_nothing_at_the_top(dense in rankings(), sparse in rankings(), rrf: bool) {
            let plan = if rrf { RRF } else { FusionPlan::Weighted { weight: 0.4 } };
            let cut = |hits: &[Ranked]| hits[..hits.len().min(DEPTH)].to_vec();
            let deep = order(&fuse(&plan, &dense, &sparse));
            let shallow = order(&fuse(&plan, &cut(&dense), &cut(&sparse)));
            let top = shallow.len().min(DEPTH);
            prop_assert_eq!(&deep[..top], &shallow[..top]);
        }
    }
}
