//! What the service did lately: a sample a second for ten minutes, and one every ten seconds for some hours. Its memory is fixed.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use schemars::JsonSchema;
use serde::Serialize;

use crate::ingest::report::Stage;

/// The fine samples: so many, one a second.
const FINE: usize = 600;
/// The coarse ones: so many, one every [`EVERY`] seconds.
const COARSE: usize = 1440;
const EVERY: u64 = 10;
/// Points that are told, at most: of more samples each stands for several.
const POINTS: usize = 240;

/// One look at what is counted. The counters grow from the beginning of the service.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sample {
    /// Seconds since the Unix epoch.
    pub(super) at: u64,
    pub(super) documents: u64,
    pub(super) chunks: u64,
    pub(super) tokens: u64,
    pub(super) requests: u64,
    pub(super) throttled: u64,
    pub(super) answers: u64,
    pub(super) failed: u64,
    pub(super) searches: u64,
    pub(super) answering: usize,
    pub(super) searching: usize,
    pub(super) ingesting: u64,
    pub(super) quota: Option<f32>,
    pub(super) held: f32,
    pub(super) limit: Option<Stage>,
}

/// The samples.
#[derive(Debug, Default)]
pub(super) struct History {
    fine: VecDeque<Sample>,
    coarse: VecDeque<Sample>,
}

/// What went on, in columns of the same length, the oldest first. What is counted is told as a rate a second.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub(super) struct Series {
    /// When each step ended, in seconds since the Unix epoch.
    at: Vec<u64>,
    /// Documents that ingests have looked at.
    documents: Vec<f64>,
    /// Chunks that ingests have stored.
    chunks: Vec<f64>,
    /// Tokens that ingests have had embedded.
    tokens: Vec<f64>,
    /// Requests to providers.
    requests: Vec<f64>,
    /// Refusals that asked to slow down.
    throttled: Vec<f64>,
    /// The part of the fullest provider's quota that was used, from 0 to 1 and sometimes a little above; null where none is known.
    quota: Vec<Option<f64>>,
    /// The part of the time in which a quota held requests back, from 0 to 1.
    held: Vec<f64>,
    /// Answers that ended.
    answers: Vec<f64>,
    /// Answers that failed.
    failed: Vec<f64>,
    /// Searches that ended.
    searches: Vec<f64>,
    /// Answers under way, at most.
    answering: Vec<usize>,
    /// Searches under way, at most.
    searching: Vec<usize>,
    /// Ingests under way, at most.
    ingesting: Vec<u64>,
    /// The stage that limited an ingest; null where none ran or none did.
    limit: Vec<Option<Stage>>,
}

impl History {
    pub(super) fn push(&mut self, sample: Sample) {
        let keep = |ring: &mut VecDeque<Sample>, most: usize| {
            if ring.len() >= most {
                ring.pop_front();
            }
            ring.push_back(sample);
        };
        keep(&mut self.fine, FINE);
        if self.coarse.back().is_none_or(|last| sample.at >= last.at + EVERY) {
            keep(&mut self.coarse, COARSE);
        }
    }

    /// What went on in the last so many seconds.
    pub(super) fn last(&self, seconds: u64) -> Series {
        let ring = if seconds <= FINE as u64 { &self.fine } else { &self.coarse };
        let since = ring.back().map_or(0, |last| last.at.saturating_sub(seconds));
        let samples: Vec<&Sample> = ring.iter().filter(|sample| sample.at >= since).collect();
        Series::of(&samples)
    }
}

impl Series {
    fn of(samples: &[&Sample]) -> Self {
        let mut series = Self::default();
        let step = samples.len().div_ceil(POINTS).max(1);
        let Some((mut before, rest)) = samples.split_first().map(|(first, rest)| (*first, rest)) else { return series };
        for some in rest.chunks(step) {
            let Some(last) = some.last() else { continue };
            let seconds = last.at.saturating_sub(before.at).max(1) as f64;
            let rate = |of: fn(&Sample) -> u64| rounded(of(last).saturating_sub(of(before)) as f64 / seconds);
            let mean = |of: &dyn Fn(&Sample) -> Option<f32>| {
                let known: Vec<f64> = some.iter().filter_map(|sample| of(sample)).map(f64::from).collect();
                (!known.is_empty()).then(|| rounded(known.iter().sum::<f64>() / known.len() as f64))
            };
            series.at.push(last.at);
            series.documents.push(rate(|sample| sample.documents));
            series.chunks.push(rate(|sample| sample.chunks));
            series.tokens.push(rate(|sample| sample.tokens));
            series.requests.push(rate(|sample| sample.requests));
            series.throttled.push(rate(|sample| sample.throttled));
            series.quota.push(mean(&|sample| sample.quota));
            series.held.push(mean(&|sample| Some(sample.held)).unwrap_or_default());
            series.answers.push(rate(|sample| sample.answers));
            series.failed.push(rate(|sample| sample.failed));
            series.searches.push(rate(|sample| sample.searches));
            series.answering.push(some.iter().map(|sample| sample.answering).max().unwrap_or_default());
            series.searching.push(some.iter().map(|sample| sample.searching).max().unwrap_or_default());
            series.ingesting.push(some.iter().map(|sample| sample.ingesting).max().unwrap_or_default());
            series.limit.push(most_often(some.iter().filter_map(|sample| sample.limit)));
            before = last;
        }
        series
    }
}

/// Three digits behind the point are what one can see.
fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

fn most_often(stages: impl Iterator<Item = Stage>) -> Option<Stage> {
    let mut counts: HashMap<Stage, usize> = HashMap::new();
    for stage in stages {
        *counts.entry(stage).or_default() += 1;
    }
    Stage::ALL
        .into_iter()
        .rev()
        .max_by_key(|stage| counts.get(stage).copied().unwrap_or_default())
        .filter(|stage| counts.contains_key(stage))
}

/// The samples, for as long as it takes to copy some.
pub(super) fn lock(history: &Mutex<History>) -> std::sync::MutexGuard<'_, History> {
    history.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, reason = "a test may fail loudly")]
mod tests {
    use super::*;

    fn filled(seconds: u64) -> History {
        let mut history = History::default();
        for at in 0..seconds {
            let limit = if at % 4 == 0 { Some(Stage::Store) } else { Some(Stage::Embed) };
            let answering = usize::from(at + 3 == seconds) * 7;
            history.push(Sample { at, chunks: at * 30, quota: Some(0.5), limit, answering, ..Sample::default() });
        }
        history
    }

    #[test]
    fn memory_is_fixed_and_the_last_hours_are_there() {
        let history = filled(100_000);
        assert_eq!((history.fine.len(), history.coarse.len()), (FINE, COARSE));
        let hours = history.last(4 * 3600);
        assert!((100..=POINTS).contains(&hours.at.len()), "{}", hours.at.len());
        assert!(hours.at[0] > 100_000 - 4 * 3600 - 200 && hours.at[0] < 100_000 - 4 * 3600 + 200);
        let minutes = history.last(600);
        assert!((100..=POINTS).contains(&minutes.at.len()) && minutes.at[0] > 99_390);
        for series in [hours, minutes] {
            assert!(
                series.chunks.iter().all(|rate| (rate - 30.0).abs() < 0.01),
                "thirty a second, however many samples a point has"
            );
            assert!(series.quota.iter().all(|quota| *quota == Some(0.5)));
            assert!(series.at.is_sorted() && series.at.len() == series.limit.len());
        }
    }

    #[test]
    fn a_step_tells_its_most_and_its_commonest() {
        let series = filled(500).last(600);
        assert_eq!(series.answering.iter().max(), Some(&7), "no peak is lost");
        assert!(series.limit.iter().filter(|limit| **limit == Some(Stage::Embed)).count() > series.limit.len() / 2);
        assert!(History::default().last(600).at.is_empty());
        assert!(filled(1).last(600).at.is_empty(), "one look is no rate");
    }
}
