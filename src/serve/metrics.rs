//! What is counted, for Prometheus: `GET /metrics`. No label ever comes from a document or a question.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
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
use crate::limits::{self, Stats};
use crate::telemetry::Reading;

/// Which pipeline.
type Pipeline = [(&'static str, String); 1];
/// Which pipeline, and how it ended.
type Ended = [(&'static str, String); 2];

/// Seconds, from a millisecond to two minutes.
const BUCKETS: [f64; 16] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0];

/// What is counted.
pub(super) struct Metrics {
    registry: Registry,
    others: Arc<Others>,
    answers: Family<Ended, Counter>,
    answer_seconds: Family<Pipeline, Histogram, fn() -> Histogram>,
    first_token_seconds: Family<Pipeline, Histogram, fn() -> Histogram>,
    searches: Family<Ended, Counter>,
    search_seconds: Family<Pipeline, Histogram, fn() -> Histogram>,
    /// Of all pipelines: answers, those of them that failed, searches.
    all: [AtomicU64; 3],
}

/// What has been asked of all pipelines.
#[derive(Debug, Clone, Copy)]
pub(super) struct Totals {
    pub(super) answers: u64,
    /// Those of them that failed.
    pub(super) failed: u64,
    pub(super) searches: u64,
}

/// How something ended that somebody asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    Done,
    Failed,
    /// Whoever asked has left.
    Left,
}

/// Whether it was done.
impl From<bool> for Ending {
    fn from(done: bool) -> Self {
        if done { Self::Done } else { Self::Failed }
    }
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
            others: Arc::new(Others { pipelines, jobs, answers, searches }),
            answers: Family::default(),
            answer_seconds: seconds(),
            first_token_seconds: seconds(),
            searches: Family::default(),
            search_seconds: seconds(),
            all: Default::default(),
        };
        let Self {
            registry,
            others,
            answers: answered,
            answer_seconds,
            first_token_seconds,
            searches: searched,
            search_seconds,
            ..
        } = &mut metrics;
        registry.register("answers", "Questions that were answered, by how that ended", answered.clone());
        let unit = || Unit::Seconds;
        registry.register_with_unit("answer", "From a question to the end of its answer", unit(), answer_seconds.clone());
        registry.register_with_unit(
            "first_token",
            "From a question to the first piece of its answer",
            unit(),
            first_token_seconds.clone(),
        );
        registry.register(
            "searches",
            "Searches, by how they ended. A question to several pipelines counts in each of them, and once as (together)",
            searched.clone(),
        );
        registry.register_with_unit(
            "search",
            "How long a search takes. Of several pipelines: in each, and in all as (together)",
            unit(),
            search_seconds.clone(),
        );
        registry.register_collector(Box::new(Scraped(Arc::clone(others))));
        metrics
    }

    /// A question of this pipeline has been answered, or not.
    pub(super) fn answered(&self, pipeline: &str, ending: Ending, first_token: Option<Duration>, took: Duration) {
        let of = [("pipeline", pipeline.to_owned())];
        let [answers, failed, _] = &self.all;
        answers.fetch_add(1, Ordering::Relaxed);
        failed.fetch_add(u64::from(ending == Ending::Failed), Ordering::Relaxed);
        self.answers.get_or_create(&ended(pipeline, ending)).inc();
        self.answer_seconds.get_or_create(&of).observe(took.as_secs_f64());
        if let Some(first_token) = first_token {
            self.first_token_seconds.get_or_create(&of).observe(first_token.as_secs_f64());
        }
    }

    /// A search in this pipeline has ended.
    pub(super) fn searched(&self, pipeline: &str, ending: Ending, took: Duration) {
        let [_, _, searches] = &self.all;
        searches.fetch_add(1, Ordering::Relaxed);
        self.searched_within(pipeline, ending, took);
    }

    /// The same within a question to several, which is counted for itself.
    pub(super) fn searched_within(&self, pipeline: &str, ending: Ending, took: Duration) {
        self.searches.get_or_create(&ended(pipeline, ending)).inc();
        self.search_seconds.get_or_create(&[("pipeline", pipeline.to_owned())]).observe(took.as_secs_f64());
    }

    /// What has been asked of all pipelines.
    pub(super) fn totals(&self) -> Totals {
        let [answers, failed, searches] = self.all.each_ref().map(|count| count.load(Ordering::Relaxed));
        Totals { answers, failed, searches }
    }

    /// The counters and gauges that others keep.
    pub(super) fn readings(&self) -> Vec<Reading> {
        self.others.readings()
    }

    /// All of it as `OpenMetrics` text.
    pub(super) fn text(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

/// `OpenMetrics` text as Prometheus had it before: counters are called `_total` where they are described, too, units are in their
/// names alone, and nothing marks the end.
pub(super) fn classic(text: &str) -> String {
    let described =
        |line: &'_ str| line.strip_prefix("# TYPE ").and_then(|told| told.strip_suffix(" counter")).map(str::to_owned);
    let counters: HashSet<String> = text.lines().filter_map(described).collect();
    let mut classic = String::with_capacity(text.len());
    for line in text.lines().filter(|line| *line != "# EOF" && !line.starts_with("# UNIT ")) {
        let told = ["# HELP ", "# TYPE "].into_iter().find_map(|what| Some((what, line.strip_prefix(what)?.split_once(' ')?)));
        match told {
            Some((what, (name, rest))) if counters.contains(name) => {
                classic.extend([what, name, "_total ", rest]);
            }
            _ => classic.push_str(line),
        }
        classic.push('\n');
    }
    classic
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

/// The same for the registry, which reads it when it is scraped.
#[derive(Debug)]
struct Scraped(Arc<Others>);

impl Others {
    fn readings(&self) -> Vec<Reading> {
        let mut providers: Vec<(String, Stats)> = Vec::new();
        for served in self.pipelines.all() {
            providers.extend(
                served.runtime.providers.stats().into_iter().map(|(name, stats)| (format!("{}/{name}", served.name), stats)),
            );
        }
        let mut readings = limits::readings(&providers);
        let work = self.jobs.work();
        let of = |of: &[(&str, u64)]| of.iter().map(|(what, n)| (vec![(*what).to_owned()], *n as f64)).collect();
        let what = |name, help, grows, series| Reading { name, help, seconds: false, grows, labels: &["what"], series };
        readings.push(what(
            "ingest_documents",
            "Documents that ingests of this service have looked at",
            true,
            of(&[("added", work.added), ("changed", work.changed), ("unchanged", work.unchanged), ("failed", work.failed)]),
        ));
        readings.push(what(
            "ingest_chunks",
            "Chunks of ingests of this service",
            true,
            of(&[("made", work.made), ("upserted", work.upserted), ("embedded", work.embedded), ("cached", work.cached)]),
        ));
        readings.push(what(
            "ingests",
            "Ingests that are remembered, by state",
            false,
            of(&[
                ("waiting", work.waiting),
                ("running", work.running),
                ("stopping", work.stopping),
                ("ended", work.ended),
                ("broken", work.broken),
            ]),
        ));
        let free = [("answers", self.answers.free() as u64), ("searches", self.searches.free() as u64)];
        let free = what("free_places", "Places that are free for more at once", false, of(&free));
        readings.push(Reading { labels: &["of"], ..free });
        readings.push(work.time.reading());
        readings
    }
}

impl Collector for Scraped {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        self.0.readings().iter().try_for_each(|reading| write(&mut encoder, reading))
    }
}

fn write(encoder: &mut DescriptorEncoder, reading: &Reading) -> fmt::Result {
    if reading.series.is_empty() {
        return Ok(());
    }
    let kind = if reading.grows { MetricType::Counter } else { MetricType::Gauge };
    let unit = reading.seconds.then_some(Unit::Seconds);
    let mut metric = encoder.encode_descriptor(reading.name, reading.help, unit.as_ref(), kind)?;
    for (of, value) in &reading.series {
        let labels: Vec<_> = reading.labelled(of).collect();
        let one = metric.encode_family(&labels)?;
        if reading.grows { ConstCounter::new(*value).encode(one)? } else { ConstGauge::new(*value).encode(one)? }
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
        let classic = classic(&text);
        assert!(classic.contains("# TYPE ragstream_answers_total counter\nragstream_answers_total{"), "{classic}");
        assert!(classic.contains("# TYPE ragstream_answer_seconds histogram\nragstream_answer_seconds_sum{"), "{classic}");
        assert!(!classic.contains("# EOF") && !classic.contains("# UNIT"));
    }
}
