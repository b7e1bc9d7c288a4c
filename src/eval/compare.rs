//! A test of whether one pipeline is better than another, or only luckier with these questions.

use super::scores::QueryScore;
use crate::dice::SplitMix;

/// Times that the labels are dealt anew.
const ROUNDS: u32 = 10_000;
/// Where the dealing starts: the same two runs always give the same p.
const SEED: u64 = 0x5eed_0f3a_1b2c_4d5e;

/// A figure under two pipelines.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Difference {
    /// The mean of the second less that of the first.
    pub mean: f64,
    /// The probability that a difference as large comes by chance: below 0.05 is commonly called significant.
    pub p: f64,
}

/// Compares a figure question by question, with Fisher's paired randomisation test, two-sided (Smucker, Allan and Carterette
/// 2007, who found it to be the test to use for rankings): if the pipelines were alike, either of the two values of each question
/// could have come from either.
pub fn compare(a: &[QueryScore], b: &[QueryScore], figure: impl Fn(&QueryScore) -> Option<f64>) -> Difference {
    // Questions that have none tell nothing.
    let differences: Vec<f64> = a.iter().zip(b).filter_map(|(a, b)| Some(figure(b)? - figure(a)?)).collect();
    let observed: f64 = differences.iter().sum();
    // Sums in another order differ in their last digits.
    let as_large = observed.abs() - 1e-9;
    let mut coins = SplitMix(SEED);
    let mut count = 0;
    for _ in 0..ROUNDS {
        let sum: f64 = differences.iter().map(|d| if coins.flip() { *d } else { -d }).sum();
        count += u32::from(sum.abs() >= as_large);
    }
    // The run as it was is one of the ways to deal.
    let p = f64::from(count + 1) / f64::from(ROUNDS + 1);
    Difference { mean: observed / differences.len().max(1) as f64, p }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::time::Duration;

    use super::*;
    use crate::eval::set::Query;

    fn runs(values: &[f64]) -> Vec<QueryScore> {
        let query = Query { relevant: HashMap::from([("a".to_owned(), 1)]), ..Query::default() };
        let one = QueryScore::new(&query, Vec::new(), Duration::ZERO, None);
        values.iter().map(|value| QueryScore { ndcg_10: *value, ..one.clone() }).collect()
    }

    fn of(a: &[f64], b: &[f64]) -> Difference {
        compare(&runs(a), &runs(b), |query| Some(query.ndcg_10))
    }

    #[test]
    fn the_same_is_no_difference() {
        let same = of(&[0.5; 40], &[0.5; 40]);
        assert!(same.mean.abs() < 1e-12 && (same.p - 1.0).abs() < 1e-12, "{same:?}");
    }

    #[test]
    fn p_is_the_share_of_deals_that_differ_as_much() {
        // Five questions, each better by the same: as large a difference comes in 2 of 32 deals.
        let five = of(&[0.0; 5], &[0.2; 5]);
        assert!((five.mean - 0.2).abs() < 1e-12 && (five.p - 2.0 / 32.0).abs() < 0.01, "{five:?}");
        let forty = of(&[0.3; 40], &[0.4; 40]);
        assert!(forty.p < 0.001, "{forty:?}");
        let (luck, other): (Vec<f64>, Vec<f64>) = (0..40).map(|n| if n % 2 == 0 { (0.1, 0.2) } else { (0.2, 0.11) }).unzip();
        assert!(of(&luck, &other).p > 0.5);
        assert_eq!(of(&luck, &other), of(&luck, &other), "always the same");
        let (there, back) = (of(&[0.1, 0.4, 0.4], &[0.5, 0.5, 0.2]), of(&[0.5, 0.5, 0.2], &[0.1, 0.4, 0.4]));
        assert!((there.mean + back.mean).abs() < 1e-12 && (there.p - back.p).abs() < 1e-12);
    }
}
