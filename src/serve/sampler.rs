//! Looks once a second at what is counted, for the [`history`].

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::history::{self, Sample};
use super::service::Service;
use crate::ingest::report::Stage;
use crate::limits::Stats;

/// The quota that is used is told over so many seconds: a burst is no overdraft.
const WINDOW: usize = 10;

/// What one look must remember for the next.
#[derive(Default)]
struct Looked {
    /// Of each provider, the last seconds' counts.
    providers: HashMap<String, VecDeque<Stats>>,
    /// Of each ingest that runs, how long its stages have been at work, in seconds.
    busy: HashMap<Uuid, [f64; 5]>,
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
            ingesting: work.running,
            limit: self.limit(service),
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

    /// The stage in which most went on since the last look, of all ingests.
    fn limit(&mut self, service: &Service) -> Option<Stage> {
        let running = service.jobs.busy();
        let mut sums = [0.0; 5];
        for (id, now) in &running {
            let before = self.busy.get(id).copied().unwrap_or_default();
            for (sum, (now, before)) in sums.iter_mut().zip(now.iter().zip(before)) {
                *sum += now - before;
            }
        }
        self.busy = running.into_iter().collect();
        let (stage, most) = Stage::ALL.into_iter().zip(sums).max_by(|a, b| a.1.total_cmp(&b.1))?;
        (most > 0.05).then_some(stage)
    }
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
