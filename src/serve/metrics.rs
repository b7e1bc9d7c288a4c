//! What is counted, for Prometheus: `GET /metrics`. No label ever comes from a document or a question.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::jobs::Jobs;
use super::pipelines::Pipelines;
use super::slots::Slots;
use crate::ingest::clocks::Times;
use crate::limits::Stats;

/// Which pipeline.
type Pipeline = [(&'static str, String); 1];
/// Which pipeline, and how it ended.
type Ended = [(&'static str, String); 2];
/// One series of one label.
type Series = Vec<([(&'static str, String); 1], f64)>;

/// Seconds, from a millisecond to two minutes.
const BUCKETS: [f64; 16] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0];

/// What is counted.
pub(super) struct Metrics {
    registry: Registry,
    answers: Family<Ended, Counter>,
    answer_seconds: Family<Pipeline, Histogram, fn() -> Histogram>,
    first_token_seconds: Family<Pipeline, Histogram, fn() -> Histogram>,
    searches: Family<Ended, Counter>,
    search_seconds: Family<Pipeline, Histogram, fn() -> Histogram>,
}

/// How something ended that somebody asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    Done,
    Failed,
    /// Whoever asked has left.
    Left,
}

impl Ending {
    fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Left => "left",
        }
    }
}

fn histogram() -> Histogram {
    Histogram::new(BUCKETS)
}

impl Metrics {
    /// Counts from now on, and reads of the others what they count themselves.
    pub(super) fn new(pipelines: Arc<Pipelines>, jobs: Arc<Jobs>, answers: Arc<Slots>, searches: Arc<Slots>) -> Self {
        let seconds = || Family::<Pipeline, Histogram, fn() -> Histogram>::new_with_constructor(histogram);
        let mut metrics = Self {
            registry: Registry::with_prefix("ragstream"),
            answers: Family::default(),
            answer_seconds: seconds(),
            first_token_seconds: seconds(),
            searches: Family::default(),
            search_seconds: seconds(),
        };
        let Self { registry, answers: answered, answer_seconds, first_token_seconds, searches: searched, search_seconds } =
            &mut metrics;
        registry.register("answers", "Questions that were answered, by how that ended", answered.clone());
        let unit = || Unit::Seconds;
        registry.register_with_unit("answer", "From a question to the end of its answer", unit(), answer_seconds.clone());
        registry.register_with_unit(
            "first_token",
            "From a question to the first piece of its answer",
            unit(),
            first_token_seconds.clone(),
        );
        registry.register("searches", "Searches, by how they ended", searched.clone());
        registry.register_with_unit("search", "How long a search takes", unit(), search_seconds.clone());
        registry.register_collector(Box::new(Others { pipelines, jobs, answers, searches }));
        metrics
    }

    /// A question of this pipeline has been answered, or not.
    pub(super) fn answered(&self, pipeline: &str, ending: Ending, first_token: Option<Duration>, took: Duration) {
        let of = [("pipeline", pipeline.to_owned())];
        self.answers.get_or_create(&ended(pipeline, ending)).inc();
        self.answer_seconds.get_or_create(&of).observe(took.as_secs_f64());
        if let Some(first_token) = first_token {
            self.first_token_seconds.get_or_create(&of).observe(first_token.as_secs_f64());
        }
    }

    /// A search in this pipeline has ended.
    pub(super) fn searched(&self, pipeline: &str, ending: Ending, took: Duration) {
        self.searches.get_or_create(&ended(pipeline, ending)).inc();
        self.search_seconds.get_or_create(&[("pipeline", pipeline.to_owned())]).observe(took.as_secs_f64());
    }

    /// All of it as `OpenMetrics` text.
    pub(super) fn text(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

fn ended(pipeline: &str, ending: Ending) -> Ended {
    [("pipeline", pipeline.to_owned()), ("ended", ending.name().to_owned())]
}

/// What others count, read when it is asked for.
struct Others {
    pipelines: Arc<Pipelines>,
    jobs: Arc<Jobs>,
    answers: Arc<Slots>,
    searches: Arc<Slots>,
}

impl fmt::Debug for Others {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Others").finish_non_exhaustive()
    }
}

impl Collector for Others {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let mut providers: Vec<(String, Stats)> = Vec::new();
        for served in self.pipelines.all() {
            providers.extend(
                served.runtime.providers.stats().into_iter().map(|(name, stats)| (format!("{}/{name}", served.name), stats)),
            );
        }
        let of = |value: fn(&Stats) -> f64| -> Series {
            providers.iter().map(|(name, stats)| ([("provider", name.clone())], value(stats))).collect()
        };
        let counters: [(&str, &str, Series); 6] = [
            ("provider_requests", "Requests to a provider, retries included", of(|stats| stats.requests as f64)),
            ("provider_retries", "Requests to a provider that were sent again", of(|stats| stats.retries as f64)),
            ("provider_throttled", "Refusals of a provider that asked to slow down", of(|stats| stats.throttled as f64)),
            ("provider_tokens", "Tokens, as a provider bills them where it says so", of(|stats| stats.tokens as f64)),
            (
                "provider_quota_wait_seconds",
                "Time in which a request was ready and the quota held it back",
                of(|stats| stats.quota_wait.as_secs_f64()),
            ),
            (
                "provider_slot_wait_seconds",
                "Time in which a request was ready and too many were in flight",
                of(|stats| stats.slot_wait.as_secs_f64()),
            ),
        ];
        for (name, help, series) in counters {
            write(&mut encoder, name, help, MetricType::Counter, &series)?;
        }
        let work = self.jobs.work();
        let of = |of: [(&'static str, u64); 4]| -> Series {
            of.into_iter().map(|(what, n)| ([("what", what.to_owned())], n as f64)).collect()
        };
        let documents =
            of([("added", work.added), ("changed", work.changed), ("unchanged", work.unchanged), ("failed", work.failed)]);
        write(
            &mut encoder,
            "ingest_documents",
            "Documents that ingests of this service have looked at",
            MetricType::Counter,
            &documents,
        )?;
        let chunks =
            of([("made", work.made), ("upserted", work.upserted), ("embedded", work.embedded), ("cached", work.cached)]);
        write(&mut encoder, "ingest_chunks", "Chunks of ingests of this service", MetricType::Counter, &chunks)?;
        write_steps(&mut encoder, &work.time)?;
        let jobs = of([("waiting", work.waiting), ("running", work.running), ("ended", work.ended), ("broken", work.broken)]);
        write(&mut encoder, "ingests", "Ingests that are remembered, by state", MetricType::Gauge, &jobs)?;
        let free = [("answers", &self.answers), ("searches", &self.searches)];
        let free: Series = free.into_iter().map(|(what, slots)| ([("of", what.to_owned())], slots.free() as f64)).collect();
        write(&mut encoder, "free_places", "Places that are free for more at once", MetricType::Gauge, &free)
    }
}

/// The seconds of the steps of all ingests, by step and by what they were spent on.
fn write_steps(encoder: &mut DescriptorEncoder, time: &Times) -> fmt::Result {
    let steps = time.steps().into_iter().flat_map(|(step, times)| times.states().map(|(state, spent)| (step, state, spent)));
    let embed = time.embed.states().map(|(state, spent)| ("embed", state, spent));
    let help = "Places times the time that they spent so; a stage's sum is its places times the time of all ingests";
    let mut metric = encoder.encode_descriptor("ingest_stage_seconds", help, None, MetricType::Counter)?;
    for (stage, state, spent) in steps.chain(embed) {
        let labels = [("stage", stage), ("state", state)];
        let one = metric.encode_family(&labels)?;
        ConstCounter::new(spent).encode(one)?;
    }
    Ok(())
}

fn write(encoder: &mut DescriptorEncoder, name: &str, help: &str, kind: MetricType, series: &Series) -> fmt::Result {
    if series.is_empty() {
        return Ok(());
    }
    let mut metric = encoder.encode_descriptor(name, help, None, kind)?;
    for (labels, value) in series {
        let one = metric.encode_family(labels)?;
        match kind {
            MetricType::Gauge => ConstGauge::new(*value).encode(one)?,
            _ => ConstCounter::new(*value).encode(one)?,
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail loudly")]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_told_with_its_unit() {
        let slots = |n| Arc::new(Slots::new((n, 1), Duration::ZERO));
        let settings = crate::runtime::Settings::at(std::env::temp_dir());
        let pipelines = Arc::new(Pipelines::load(&[], &settings).unwrap());
        let metrics = Metrics::new(pipelines, Arc::default(), slots(7), slots(9));
        metrics.answered("docs", Ending::Done, Some(Duration::from_millis(40)), Duration::from_secs(2));
        metrics.answered("docs", Ending::Left, None, Duration::from_secs(1));
        metrics.searched("docs", Ending::Failed, Duration::from_millis(3));
        let text = metrics.text().unwrap();
        for line in [
            r#"ragstream_answers_total{pipeline="docs",ended="done"} 1"#,
            r#"ragstream_answers_total{pipeline="docs",ended="left"} 1"#,
            r#"ragstream_answer_seconds_sum{pipeline="docs"} 3.0"#,
            r#"ragstream_first_token_seconds_bucket{le="0.05",pipeline="docs"} 1"#,
            r#"ragstream_searches_total{pipeline="docs",ended="failed"} 1"#,
            r#"ragstream_free_places{of="searches"} 9.0"#,
            r#"ragstream_ingests{what="running"} 0.0"#,
            r#"ragstream_ingest_stage_seconds_total{stage="parse",state="blocked"} 0.0"#,
            r#"ragstream_ingest_stage_seconds_total{stage="embed",state="quota"} 0.0"#,
            "# EOF",
        ] {
            assert!(text.lines().any(|told| told == line), "{line}\n{text}");
        }
    }
}
