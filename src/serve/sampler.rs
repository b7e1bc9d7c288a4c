//! Looks once a second at what is counted, for the [`history`].

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio_util::sync::CancellationToken;

use super::history::{self, Sample};
use super::service::Service;
use crate::ingest::limit::Limit;
use crate::ingest::report::Stage;
use crate::limits::Stats;

/// The quota that is used is told over so many seconds: a burst is no overdraft.
const WINDOW: usize = 10;

/// What one look must remember for the next.
#[derive(Default)]
struct Looked {
    /// Of each provider, the last seconds' counts.
    providers: HashMap<String, VecDeque<Stats>>,
}

impl Looked {
    fn sample(&mut self, service: &Service) -> Sample {
        let work = service.jobs.work();
        let totals = service.metrics.totals();
        let mut sample = Sample {
            at: SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs(),
            documents: work.added + work.changed + work.unchanged + work.failed,
            chunks: work.upserted,
            tokens: work.tokens,
            answers: totals.answers,
            failed: totals.failed,
            searches: totals.searches,
            answering: service.answers.taken(),
            searching: service.searches.taken(),
            ingesting: work.running + work.stopping,
            limit: most(service.jobs.limits()),
            ..Sample::default()
        };
        let mut seen: HashMap<String, VecDeque<Stats>> = HashMap::new();
        for served in service.pipelines.all() {
            let quotas = served.runtime.providers.quotas();
            for (name, stats) in served.runtime.providers.stats() {
                sample.requests += stats.requests;
                sample.throttled += stats.throttled;
                let key = format!("{}/{name}", served.name);
                let mut lately = self.providers.remove(&key).unwrap_or_default();
                lately.push_back(stats);
                if lately.len() > WINDOW + 1 {
                    lately.pop_front();
                }
                let (rpm, tpm) = quotas.get(&name).copied().unwrap_or_default();
                if let Some(used) = used(&lately, rpm, tpm) {
                    sample.quota = Some(sample.quota.unwrap_or_default().max(used));
                }
                if let Some(before) = lately.len().checked_sub(2).and_then(|place| lately.get(place)) {
                    sample.held = sample.held.max(stats.since(before).quota_wait.as_secs_f32().min(1.0));
                }
                seen.insert(key, lately);
            }
        }
        self.providers = seen;
        sample
    }
}

/// The stage that limits the one of several ingests that is limited most by any.
fn most(limits: Vec<Limit>) -> Option<Stage> {
    let by_stage = limits.into_iter().filter(|limit| limit.stage.is_some());
    by_stage.max_by(|one, other| one.share.total_cmp(&other.share))?.stage
}

/// The part of a quota that was used between the first and the last look, a second apart each.
fn used(lately: &VecDeque<Stats>, rpm: Option<u64>, tpm: Option<u64>) -> Option<f32> {
    let minutes = lately.len().saturating_sub(1) as f32 / 60.0;
    let (first, last) = (lately.front()?, lately.back()?);
    let told = last.since(first);
    let part =
        |used: u64, limit: Option<u64>| limit.filter(|limit| *limit > 0).map(|limit| used as f32 / (limit as f32 * minutes));
    let parts = [part(told.requests, rpm), part(told.tokens, tpm)];
    parts.into_iter().flatten().filter(|part| part.is_finite()).max_by(f32::total_cmp)
}

/// Looks once a second.
pub(super) async fn keep(service: Arc<Service>, stop: CancellationToken) {
    let mut looked = Looked::default();
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while !stop.is_cancelled() {
        ticks.tick().await;
        let sample = looked.sample(&service);
        history::lock(&service.history).push(sample);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_ingests_the_one_that_is_limited_most_is_told() {
        use crate::ingest::limit::Cause;
        let limit = |cause, share, stage| Limit { cause, share, stage, quota: None };
        let embed = limit(Cause::Quota, 0.9, Some(Stage::Embed));
        assert_eq!(most(vec![limit(Cause::Parsing, 0.6, Some(Stage::Parse)), embed]), Some(Stage::Embed));
        let opening = limit(Cause::Opening, 1.0, None);
        assert_eq!(most(vec![opening, embed]), Some(Stage::Embed));
        assert_eq!((most(vec![opening]), most(Vec::new())), (None, None));
    }

    #[test]
    fn the_quota_that_is_used_is_the_fullest() {
        let stats = |requests, tokens| Stats { requests, tokens, ..Stats::default() };
        let lately: VecDeque<Stats> = (0..=6).map(|n| stats(n * 5, n * 100)).collect();
        // Five requests and 100 tokens a second: 300 and 6000 a minute.
        let near = |used: Option<f32>, wanted: f32| used.is_some_and(|used| (used - wanted).abs() < 1e-4);
        assert!(near(used(&lately, Some(600), None), 0.5));
        assert!(near(used(&lately, Some(600), Some(7500)), 0.8));
        assert_eq!(used(&lately, None, None), None);
        assert_eq!(used(&VecDeque::from([stats(1, 1)]), Some(600), None), None, "one look is no rate");
    }
}
