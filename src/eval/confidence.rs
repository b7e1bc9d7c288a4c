//! How far a mean over questions can be trusted: with other questions of the same kind it would have been another.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::dice::SplitMix;

/// Samples that are drawn.
const ROUNDS: usize = 2000;
/// Where the drawing starts: the same questions always give the same interval.
const SEED: u64 = 0x0b00_7577_4a9f_11d3;

/// A mean, and where that of all such questions lies with a confidence of 95 %.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Estimate {
    /// Of the questions that were asked.
    pub mean: f64,
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

/// The mean with its percentile bootstrap interval (Efron 1979; for rankings Sakai 2006): questions are drawn with replacement as
/// often as there are, again and again, and of the means 95 % lie in the interval.
pub fn estimate(values: &[f64]) -> Estimate {
    let count = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / count;
    if values.len() < 2 {
        // One question tells nothing of others.
        return Estimate { mean, low: mean, high: mean };
    }
    let mut dice = SplitMix(SEED);
    let mut draw =
        || values.iter().map(|_| values.get(dice.below(values.len())).copied().unwrap_or_default()).sum::<f64>() / count;
    let mut means: Vec<f64> = (0..ROUNDS).map(|_| draw()).collect();
    means.sort_unstable_by(f64::total_cmp);
    let at = |part: f64| means.get((part * (ROUNDS - 1) as f64).round() as usize).copied().unwrap_or(mean);
    // A sum in another order differs in its last digits.
    Estimate { mean, low: at(0.025).min(mean), high: at(0.975).max(mean) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_interval_is_about_as_wide_as_the_textbook_says() {
        // 100 questions, half of them right: 0.5 ± 1.96 * sqrt(0.25 / 100).
        let values: Vec<f64> = (0..100).map(|n| f64::from(n % 2)).collect();
        let told = estimate(&values);
        assert!((told.mean - 0.5).abs() < 1e-12);
        assert!((told.low - 0.402).abs() < 0.015 && (told.high - 0.598).abs() < 0.015, "{told:?}");
        assert_eq!(estimate(&values), told, "always the same");
        let wide = estimate(&values.iter().copied().take(10).collect::<Vec<_>>());
        assert!(wide.high - wide.low > 2.0 * (told.high - told.low), "fewer questions, less confidence");
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]
        #[test]
        fn the_mean_is_within_and_the_interval_within_the_values(values in proptest::collection::vec(0.0..=1.0_f64, 0..40)) {
            let told = estimate(&values);
            prop_assert!(told.low <= told.mean && told.mean <= told.high);
            let least = values.iter().copied().fold(f64::INFINITY, f64::min).min(told.mean);
            let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max).max(told.mean);
            prop_assert!(told.low >= least - 1e-9 && told.high <= most + 1e-9);
        }
    }
}
