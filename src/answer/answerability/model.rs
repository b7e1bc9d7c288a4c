//! From evidence to a probability: a logistic model of few weights, none of which is negative.

use serde::{Deserialize, Serialize};

use super::evidence::{Evidence, Meaning};

/// What evidence is worth with both rankings, in log-odds: words, margin of meaning, agreement, and what all three must exceed.
///
/// Fitted on questions asked of public sets with their document and without it (`XQuAD` in English and Chinese, `SQuAD` 2 dev, CMRC 2018
/// dev); no question of MTRAG-UN, on which it is measured, was among them.
const BOTH: [f64; 4] = [17.62, 5.99, 1.71, -5.61];
/// The same by words alone.
const WORDS: [f64; 2] = [20.79, -4.24];
/// Questions made of passages have the passages' own words, and are told apart more easily than people's: people's are so much less
/// certain, and so many log-odds more likely to have an answer at the same evidence. Fitted on the same sets, with half of their
/// documents left out of the index (`XQuAD` and `SQuAD` 2 in English; by words alone CMRC in Chinese, too), and measured as [`BOTH`] is.
const EASIER: [f64; 2] = [0.57, 0.38];
/// The same by words alone.
const EASIER_BY_WORDS: [f64; 2] = [0.71, 0.73];
/// The share of people's questions that their documents answer. An assumption, and that of MTRAG-UN (285 of 382).
const ANSWERABLE: f64 = 0.75;
/// How much a corpus's own questions must say before they weigh against what is true of all corpora.
const RIDGE: f64 = 0.02;
/// Steps of the fit: it converges in a few.
const STEPS: usize = 50;
/// Made questions without which a calibration says nothing of itself.
pub(super) const ENOUGH: usize = 50;
/// How often a made question with its document must have more evidence than one without, for refusals to be made of it.
const TOLD_APART: f64 = 0.9;

/// What evidence means in one corpus.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// How much a log-odd of evidence is worth here. Not negative.
    pub slope: f64,
    /// Log-odds without any.
    pub intercept: f64,
    /// How well questions made of passages are told apart, with and without their document: the area under the ROC curve.
    pub auroc: f64,
    /// How many were asked.
    pub questions: usize,
}

/// What was found on a question, judged.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Judgement {
    /// That the passages hold the answer.
    pub probability: f64,
    /// The corpus's own questions were told apart well enough that it may be acted upon.
    pub trusted: bool,
    /// It was found by meaning as well, and is judged by its words alone.
    pub partial: bool,
}

impl Calibration {
    /// Learns from the evidence of made questions: with their document, and without it. `None`: they are too few.
    pub fn fit(with: &[Evidence], without: &[Evidence]) -> Option<Self> {
        let questions = with.len().min(without.len());
        if questions < ENOUGH {
            return None;
        }
        let (with, without): (Vec<f64>, Vec<f64>) = (with.iter().map(score).collect(), without.iter().map(score).collect());
        let (slope, intercept) = logistic(&with, &without);
        Some(Self { slope, intercept, auroc: auroc(&with, &without), questions })
    }

    /// The probability that what was found holds the answer.
    pub fn judge(&self, evidence: &Evidence) -> Judgement {
        let [certain, likelier] = if evidence.meaning.is_some() { EASIER } else { EASIER_BY_WORDS };
        let own = self.slope * score(evidence) + self.intercept;
        let prior = (ANSWERABLE / (1.0 - ANSWERABLE)).ln();
        let probability = sigmoid(certain * own + likelier + prior);
        Judgement { probability, trusted: self.auroc >= TOLD_APART, partial: false }
    }
}

/// The evidence in log-odds, as it is for all corpora.
fn score(evidence: &Evidence) -> f64 {
    if let Some(Meaning { margin, agreement }) = evidence.meaning {
        let [words, meaning, agreeing, base] = BOTH;
        words * evidence.words + meaning * margin + agreeing * agreement + base
    } else {
        let [words, base] = WORDS;
        words * evidence.words + base
    }
}

/// Slope and intercept of the logistic regression of both classes, which weigh the same however many they are. By Newton's method;
/// the slope is drawn towards 1, and never negative.
fn logistic(with: &[f64], without: &[f64]) -> (f64, f64) {
    let (mut slope, mut intercept) = (1.0_f64, 0.0_f64);
    for _ in 0..STEPS {
        let (mut gradient, mut hessian) = ([2.0 * RIDGE * (slope - 1.0), 0.0], [2.0 * RIDGE, 0.0, 1e-6]);
        for (scores, truth) in [(with, 1.0), (without, 0.0)] {
            let weight = 0.5 / scores.len().max(1) as f64;
            for score in scores {
                let p = sigmoid(slope.mul_add(*score, intercept));
                let (off, steep) = (weight * (p - truth), weight * p * (1.0 - p));
                gradient = [gradient[0] + off * score, gradient[1] + off];
                hessian = [hessian[0] + steep * score * score, hessian[1] + steep * score, hessian[2] + steep];
            }
        }
        let determinant = hessian[0] * hessian[2] - hessian[1] * hessian[1];
        if determinant <= f64::EPSILON {
            break;
        }
        // Far from the end a whole step may lead farther away.
        let step = |value: f64| (value / determinant).clamp(-2.0, 2.0);
        slope = (slope - step(hessian[2] * gradient[0] - hessian[1] * gradient[1])).max(0.0);
        intercept -= step(hessian[0] * gradient[1] - hessian[1] * gradient[0]);
    }
    (slope, intercept)
}

/// How often one with its document scores higher than one without; half as often where they are equal.
pub fn auroc(with: &[f64], without: &[f64]) -> f64 {
    let mut all: Vec<(f64, bool)> =
        with.iter().map(|score| (*score, true)).chain(without.iter().map(|score| (*score, false))).collect();
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut wins, mut below) = (0.0, 0.0);
    for equal in all.chunk_by(|a, b| a.0.total_cmp(&b.0).is_eq()) {
        let ours = equal.iter().filter(|(_, with)| *with).count() as f64;
        let theirs = equal.len() as f64 - ours;
        wins += ours * (below + theirs / 2.0);
        below += theirs;
    }
    wins / (with.len() as f64 * without.len() as f64)
}

pub(super) fn sigmoid(logit: f64) -> f64 {
    1.0 / (1.0 + (-logit).exp())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may panic")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn words(words: f64) -> Evidence {
        Evidence { words, meaning: None }
    }

    fn both(words: f64, margin: f64, agreement: f64) -> Evidence {
        Evidence { words, meaning: Some(Meaning { margin, agreement }) }
    }

    /// Questions whose evidence is around these, evenly.
    fn around(middle: f64, spread: f64) -> Vec<Evidence> {
        (0..100).map(|n| words((middle + spread * (f64::from(n) / 50.0 - 1.0)).clamp(0.0, 1.0))).collect()
    }

    #[test]
    fn where_passages_stand_out_evidence_means_more() {
        let clear = Calibration::fit(&around(0.5, 0.1), &around(0.1, 0.08)).unwrap();
        let blurred = Calibration::fit(&around(0.4, 0.4), &around(0.3, 0.3)).unwrap();
        assert!(clear.slope > 2.0 * blurred.slope, "{clear:?} {blurred:?}");
        assert!(clear.auroc > 0.99 && blurred.auroc < 0.8, "{clear:?} {blurred:?}");
        let judged = |calibration: &Calibration, evidence| calibration.judge(&words(evidence)).probability;
        assert!(judged(&clear, 0.02) < 0.15 && judged(&clear, 0.6) > 0.95, "{clear:?}");
        assert!(judged(&blurred, 0.02) > 0.3, "what says little here refuses nothing: {blurred:?}");
        assert!(clear.judge(&words(0.5)).trusted && !blurred.judge(&words(0.5)).trusted);
        assert_eq!(Calibration::fit(&around(0.5, 0.1)[..49], &around(0.1, 0.1)), None, "too few");
    }

    #[test]
    fn equals_are_told_apart_half_of_the_time() {
        assert!((auroc(&[1.0, 2.0], &[1.0, 2.0]) - 0.5).abs() < 1e-9);
        assert!((auroc(&[3.0, 4.0], &[1.0, 2.0]) - 1.0).abs() < 1e-9);
        assert!((auroc(&[1.0, 1.0], &[1.0, 1.0]) - 0.5).abs() < 1e-9);
        assert!(auroc(&[0.0], &[1.0]) < 1e-9);
    }

    proptest! {
        #[test]
        fn more_evidence_never_lowers_the_probability(
            slope in 0.0_f64..20.0, intercept in -20.0_f64..20.0,
            less in proptest::array::uniform3(0.0_f64..=1.0), more in proptest::array::uniform3(0.0_f64..=1.0),
        ) {
            let calibration = Calibration { slope, intercept, auroc: 1.0, questions: 100 };
            let [a, b, c] = less;
            let [x, y, z] = more;
            let (low, high) = (both(a, b, c), both(a.max(x), b.max(y), c.max(z)));
            let judged = |evidence: &Evidence| calibration.judge(evidence).probability;
            prop_assert!((0.0..=1.0).contains(&judged(&low)));
            prop_assert!(judged(&high) >= judged(&low) - 1e-12);
            prop_assert!(judged(&words(a.max(x))) >= judged(&words(a)) - 1e-12);
        }

        #[test]
        fn a_fit_is_finite_and_never_turns_evidence_around(
            with in proptest::collection::vec(0.0_f64..=1.0, 50..120),
            without in proptest::collection::vec(0.0_f64..=1.0, 50..120),
        ) {
            let evidence = |all: Vec<f64>| all.into_iter().map(words).collect::<Vec<_>>();
            let fitted = Calibration::fit(&evidence(with), &evidence(without)).unwrap();
            prop_assert!(fitted.slope.is_finite() && fitted.slope >= 0.0 && fitted.intercept.is_finite(), "{fitted:?}");
            prop_assert!((0.0..=1.0).contains(&fitted.auroc));
        }
    }
}
