//! Traces and metrics, sent to a collector (OTLP over HTTP) where the environment names one.
//!
//! ```text
//!  spans of the library ─▶ tracing-opentelemetry ─▶ [delivery]: counted ─▶ batches ─┐
//!        │                                                                          ├─▶ [client] on our runtime ─▶ collector
//!        └─▶ [measures]: histograms ─┐                                              │
//!  counters ─▶ [watched] ────────────┴─▶ each minute, and at the end ───────────────┘
//! ```
//!
//! Invariants:
//! - Nothing waits for a collector but the very end of the program, and that [`PATIENCE`] at most.
//! - What does not arrive is counted and said once; it fails nothing.

mod client;
mod delivery;
mod measures;
mod partial;
mod settings;
mod watched;

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use opentelemetry::metrics::{Meter, MeterProvider as _};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry::{InstrumentationScope, Key, KeyValue};
use opentelemetry_otlp::{ExporterBuildError, MetricExporter, SpanExporter, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::trace::{BatchSpanProcessor, SdkTracerProvider};
use tokio::runtime::Handle;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::Targets;

use self::client::{Client, Trouble};
use self::delivery::{Counts, Lost};
use self::measures::Measures;
use self::settings::Settings;
use self::watched::Watching;
use super::args::variable;
use super::output::{Layers, Output, counted};
use crate::telemetry::{CHUNK, CONTENT, PARENT, Reading, SCHEMA_URL, TARGET};

/// How long the end of the program waits for what is still to be sent.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long it waits for spans to end that others hold: tasks that were told to stop a moment ago.
const ENDING: Duration = Duration::from_millis(100);
/// Where a collector is that nothing else is said of.
const ENDPOINT: &str = "http://localhost:4318";
/// How long a request may take where `OTEL_EXPORTER_OTLP_TIMEOUT` says nothing else.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How many the collector got and has refused.
#[derive(Debug, Default)]
struct Refused {
    spans: Arc<AtomicU64>,
    points: Arc<AtomicU64>,
}

/// What is sent, and where to.
pub(super) struct Telemetry {
    traces: Option<SdkTracerProvider>,
    metrics: Option<(SdkMeterProvider, Meter)>,
    counts: Arc<Counts>,
    trouble: Arc<Trouble>,
    refused: Refused,
    open: Arc<AtomicI64>,
    problems: Vec<String>,
}

impl Telemetry {
    /// As the environment says. What is sent goes through the runtime. The layers are to listen to spans and events.
    pub fn start(runtime: &Handle) -> (Self, Layers) {
        let Settings { traces, metrics, content, parent, problems } = Settings::of(variable);
        let mut telemetry = Self {
            traces: None,
            metrics: None,
            counts: Arc::default(),
            trouble: Arc::default(),
            refused: Refused::default(),
            open: Arc::default(),
            problems,
        };
        if traces {
            let provider = telemetry.tracer_provider(runtime);
            telemetry.traces = telemetry.or_problem(provider);
        }
        if metrics {
            let provider = telemetry.meter_provider(runtime);
            telemetry.metrics = telemetry.or_problem(provider).map(|provider| {
                let meter = provider.meter_with_scope(scope());
                (provider, meter)
            });
        }
        let layers = telemetry.layers(content, parent);
        (telemetry, layers)
    }

    fn layers(&self, content: bool, parent: bool) -> Layers {
        let mut layers: Layers = Vec::new();
        if let Some(provider) = &self.traces {
            let on = |on| if on { LevelFilter::TRACE } else { LevelFilter::OFF };
            let told = Targets::new()
                .with_target(TARGET, LevelFilter::INFO)
                .with_target(CONTENT, on(content))
                .with_target(PARENT, on(parent));
            let layer = tracing_opentelemetry::layer()
                .with_tracer(provider.tracer_with_scope(scope()))
                // The parent is the span of `tracing`, on whatever thread; and where something stands in our code helps nobody.
                .with_context_activation(false)
                .with_location(false)
                .with_threads(false)
                .with_target(false)
                .with_level(false)
                .with_tracked_inactivity(false);
            layers.push(layer.with_filter(told).boxed());
        }
        if self.traces.is_some() || self.metrics.is_some() {
            let chunks = if self.metrics.is_some() { LevelFilter::TRACE } else { LevelFilter::OFF };
            let told = Targets::new().with_target(TARGET, LevelFilter::INFO).with_target(CHUNK, chunks);
            let meter = self.metrics.as_ref().map(|(_, meter)| meter);
            layers.push(Measures::new(meter, Arc::clone(&self.open)).with_filter(told).boxed());
        }
        layers
    }

    fn tracer_provider(&self, runtime: &Handle) -> Result<SdkTracerProvider, ExporterBuildError> {
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(self.client(runtime, "TRACES", &self.refused.spans)?)
            .build()?;
        let spans = delivery::Spans { next: exporter, counts: Arc::clone(&self.counts) };
        let next = BatchSpanProcessor::builder(spans).build();
        let processor = delivery::Processor { next, counts: Arc::clone(&self.counts) };
        Ok(SdkTracerProvider::builder().with_resource(resource()).with_span_processor(processor).build())
    }

    fn meter_provider(&self, runtime: &Handle) -> Result<SdkMeterProvider, ExporterBuildError> {
        let exporter = MetricExporter::builder()
            .with_http()
            .with_http_client(self.client(runtime, "METRICS", &self.refused.points)?)
            .build()?;
        let metrics = delivery::Metrics { next: exporter, counts: Arc::clone(&self.counts) };
        let reader = PeriodicReader::builder(metrics).build();
        Ok(SdkMeterProvider::builder().with_resource(resource()).with_reader(reader).build())
    }

    fn client(&self, runtime: &Handle, signal: &str, refused: &Arc<AtomicU64>) -> Result<Client, ExporterBuildError> {
        let names = [format!("OTEL_EXPORTER_OTLP_{signal}_TIMEOUT"), "OTEL_EXPORTER_OTLP_TIMEOUT".to_owned()];
        let timeout = names.iter().find_map(|name| variable(name)?.trim().parse().ok());
        let timeout = timeout.map_or(TIMEOUT, Duration::from_millis);
        let names = [format!("OTEL_EXPORTER_OTLP_{signal}_ENDPOINT"), "OTEL_EXPORTER_OTLP_ENDPOINT".to_owned()];
        let endpoint = names.iter().find_map(|name| variable(name).filter(|url| !url.trim().is_empty()));
        let endpoint = endpoint.as_deref().unwrap_or(ENDPOINT).trim().parse().ok();
        Client::new(endpoint.as_ref(), runtime.clone(), timeout, Arc::clone(&self.trouble), Arc::clone(refused))
            .map_err(|error| ExporterBuildError::InternalFailure(error.to_string()))
    }

    fn or_problem<T>(&mut self, made: Result<T, ExporterBuildError>) -> Option<T> {
        // What it says may hold an address with its password.
        made.map_err(|_| self.problems.push("traces and metrics: the settings OTEL_EXPORTER_OTLP_* are not valid".to_owned()))
            .ok()
    }

    /// Says what was asked for and cannot be had.
    pub fn complain(&self) {
        for problem in &self.problems {
            tracing::warn!("{problem}");
        }
    }

    /// Sends what is counted elsewhere, too, for as long as the value lives; what is read then is the last that is told.
    pub fn watch(&self, readings: impl Fn() -> Vec<Reading> + Send + Sync + 'static) -> Watching {
        Watching::new(self.metrics.as_ref().map(|(_, meter)| meter), readings)
    }

    /// Sends what is still to be sent, and says what did not arrive. Blocks: not to be called on the runtime, which must still be there.
    pub fn finish(self, output: &Output) {
        if self.traces.is_none() && self.metrics.is_none() {
            return;
        }
        let began = Instant::now();
        while self.open.load(Ordering::Acquire) > 0 && began.elapsed() < ENDING {
            std::thread::sleep(Duration::from_millis(1));
        }
        let (done, ended) = mpsc::channel();
        let shut = |name: &str, shut: Box<dyn FnOnce() + Send>| {
            let done = done.clone();
            let work = move || {
                shut();
                let _ = done.send(());
            };
            std::thread::Builder::new().name(name.to_owned()).spawn(work).is_ok()
        };
        let mut waiting = 0;
        if let Some(provider) = self.traces {
            waiting += usize::from(shut("traces", Box::new(move || drop(provider.shutdown_with_timeout(PATIENCE)))));
        }
        if let Some((provider, _)) = self.metrics {
            waiting += usize::from(shut("metrics", Box::new(move || drop(provider.shutdown_with_timeout(PATIENCE)))));
        }
        for _ in 0..waiting {
            // Whoever does not end in time is left behind, and ends with the program.
            let _ = ended.recv_timeout(PATIENCE.saturating_sub(began.elapsed()));
        }
        let mut lost = self.counts.lost();
        lost.spans.0 += self.refused.spans.load(Ordering::Relaxed);
        let points = self.refused.points.load(Ordering::Relaxed);
        if let Some(lost) = told(lost, points, self.trouble.get().as_deref()) {
            output.note(&format!("{} {lost}", output.paint("warning:", "1;33")));
        }
    }
}

/// What did not arrive, in words.
fn told(lost: Lost, points: u64, why: Option<&str>) -> Option<String> {
    let mut parts = Vec::new();
    for ((lost, all), what) in [(lost.spans, "span"), (lost.metrics, "export of metrics")] {
        let all = if what == "span" || all == 1 { counted(all, what) } else { format!("{all} exports of metrics") };
        if lost > 0 {
            parts.push(format!("{lost} of {all}"));
        }
    }
    if points > 0 {
        parts.push(format!("{} of metrics", counted(points, "data point")));
    }
    let why = why.map(|why| format!(": {why}")).unwrap_or_default();
    (!parts.is_empty())
        .then(|| format!("{} did not reach the collector (OTEL_EXPORTER_OTLP_ENDPOINT){why}", parts.join(" and ")))
}

fn scope() -> InstrumentationScope {
    InstrumentationScope::builder("ragstream").with_version(env!("CARGO_PKG_VERSION")).with_schema_url(SCHEMA_URL).build()
}

/// What sends: `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` count, and nothing is told of the machine.
fn resource() -> Resource {
    let resource = Resource::builder().build();
    let named = resource.get(&Key::new("service.name")).is_some_and(|name| !name.as_str().starts_with("unknown_service"));
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let builder = Resource::builder().with_attributes(resource.get(&Key::new("service.version")).is_none().then_some(version));
    if named { builder.build() } else { builder.with_service_name("ragstream").build() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_did_not_arrive_is_said_in_a_line_and_nothing_else() {
        assert_eq!(told(Lost { spans: (0, 9), metrics: (0, 1) }, 0, Some("HTTP 503")), None);
        assert_eq!(
            told(Lost { spans: (12, 1240), metrics: (1, 1) }, 0, Some("Connection refused")).as_deref(),
            Some(
                "12 of 1,240 spans and 1 of 1 export of metrics did not reach the collector (OTEL_EXPORTER_OTLP_ENDPOINT): \
                 Connection refused"
            )
        );
        let metrics = told(Lost { spans: (0, 0), metrics: (2, 3) }, 0, None);
        assert_eq!(
            metrics.as_deref(),
            Some("2 of 3 exports of metrics did not reach the collector (OTEL_EXPORTER_OTLP_ENDPOINT)")
        );
    }
}
