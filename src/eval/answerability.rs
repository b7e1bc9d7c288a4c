//! How well it is known beforehand which questions the documents answer: measured where a set has questions that they do not.

use serde::Serialize;

use crate::answer::answerability::model::auroc;
use crate::answer::answerability::refuses;
use crate::answer::{AnswerabilityPlan, Judgement};

/// Bins of the calibration error, as is usual (Naeini, Cooper and Hauskrecht 2015).
const BINS: usize = 10;
/// The share of wrong refusals at which right ones are counted.
const WRONG: f64 = 0.05;

/// What was judged of the questions, which of them have an answer in the documents, and which have none.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Judged {
    /// Of those with an answer; `None`: nothing was known.
    pub answerable: Vec<Option<Judgement>>,
    /// Of those without one.
    pub unanswerable: Vec<Option<Judgement>>,
}

/// The figures.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Answerability {
    /// Questions with an answer of which a probability was known.
    pub answerable: usize,
    /// Questions without one of which a probability was known.
    pub unanswerable: usize,
    /// Questions of which none was known.
    pub unknown: usize,
    /// How often one with an answer has the higher probability: the area under the ROC curve.
    pub auroc: f64,
    /// How far probabilities are from what is true, on average (expected calibration error, ten bins).
    pub ece: f64,
    /// The share of those without an answer that would be refused at a threshold which refuses 5 % of the others.
    #[serde(rename = "refused@5%")]
    pub refused_at_5: f64,
    /// The share of those without an answer that are refused where nothing else is set.
    pub refused: f64,
    /// The share of those with an answer that are refused where nothing else is set.
    pub refused_wrongly: f64,
}

impl Answerability {
    /// The figures of what was judged; `None` where there is nothing to compare.
    pub fn of(judged: &Judged) -> Option<Self> {
        let known = |all: &[Option<Judgement>]| -> Vec<Judgement> { all.iter().copied().flatten().collect() };
        let (with, without) = (known(&judged.answerable), known(&judged.unanswerable));
        if with.is_empty() || without.is_empty() {
            return None;
        }
        let probabilities = |all: &[Judgement]| all.iter().map(|judged| judged.probability).collect::<Vec<_>>();
        let (yes, no) = (probabilities(&with), probabilities(&without));
        let refused = |all: &[Judgement]| {
            let refused = all.iter().filter(|judged| refuses(AnswerabilityPlan::Trusted, Some(**judged)));
            refused.count() as f64 / all.len() as f64
        };
        let threshold = at_most(&yes, WRONG);
        Some(Self {
            answerable: with.len(),
            unanswerable: without.len(),
            unknown: judged.answerable.len() + judged.unanswerable.len() - with.len() - without.len(),
            auroc: auroc(&yes, &no),
            ece: calibration_error(&yes, &no),
            refused_at_5: no.iter().filter(|probability| **probability < threshold).count() as f64 / no.len() as f64,
            refused: refused(&without),
            refused_wrongly: refused(&with),
        })
    }
}

/// The highest threshold below which at most this share lies.
fn at_most(probabilities: &[f64], share: f64) -> f64 {
    let mut sorted = probabilities.to_vec();
    sorted.sort_by(f64::total_cmp);
    let below = (sorted.len() as f64 * share) as usize;
    sorted.get(below).copied().unwrap_or(1.0)
}

fn calibration_error(with: &[f64], without: &[f64]) -> f64 {
    let mut bins = [(0.0, 0.0, 0.0); BINS];
    for (probabilities, truth) in [(with, 1.0), (without, 0.0)] {
        for probability in probabilities {
            let at = ((probability * BINS as f64) as usize).min(BINS - 1);
            if let Some((count, true_ones, said)) = bins.get_mut(at) {
                *count += 1.0;
                *true_ones += truth;
                *said += probability;
            }
        }
    }
    let total = (with.len() + without.len()) as f64;
    bins.iter().filter(|(count, ..)| *count > 0.0).map(|(_, true_ones, said)| (true_ones - said).abs() / total).sum()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may panic")]
mod tests {
    use super::*;

    fn judged(probabilities: &[f64], trusted: bool) -> Vec<Option<Judgement>> {
        probabilities.iter().map(|probability| Some(Judgement { probability: *probability, trusted, partial: false })).collect()
    }

    #[test]
    fn figures_follow_their_definitions() {
        let yes: Vec<f64> = (0..20).map(|n| 0.05 + f64::from(n) / 20.0 * 0.9).collect();
        let mut all = Judged { answerable: judged(&yes, true), unanswerable: judged(&[0.01, 0.02, 0.3, 0.06], true) };
        all.unanswerable.push(None);
        let figures = Answerability::of(&all).unwrap();
        assert_eq!((figures.answerable, figures.unanswerable, figures.unknown), (20, 4, 1));
        // Of 80 pairs: 20 + 20, 14 above 0.3, 19 above 0.06.
        assert!((figures.auroc - 73.0 / 80.0).abs() < 1e-9, "{figures:?}");
        assert!((figures.refused_at_5 - 0.75).abs() < 1e-9, "one of twenty lies below 0.095: {figures:?}");
        assert!((figures.refused - 0.75).abs() < 1e-9 && (figures.refused_wrongly - 0.15).abs() < 1e-9, "{figures:?}");
        let unsure = Judged { answerable: judged(&yes, false), unanswerable: judged(&[0.0], false) };
        assert!(Answerability::of(&unsure).unwrap().refused.abs() < 1e-9, "what is not trusted refuses nothing");
        assert_eq!(Answerability::of(&Judged { unanswerable: vec![None], ..all }), None, "nothing is known of them");
    }

    #[test]
    fn what_is_said_as_often_as_it_is_true_is_calibrated() {
        assert!(calibration_error(&[0.75; 75], &[0.75; 25]) < 1e-9);
        assert!((calibration_error(&[0.9; 50], &[0.9; 50]) - 0.4).abs() < 1e-9);
        assert!((calibration_error(&[1.0], &[0.0])).abs() < 1e-9);
    }
}
