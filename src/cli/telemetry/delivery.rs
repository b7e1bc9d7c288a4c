//! What is sent, and what becomes of it: nothing is lost without being counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use opentelemetry::{Array, Context, Value};
use opentelemetry_otlp::{MetricExporter, SpanExporter};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};

/// How much was to be sent, and how much arrived.
#[derive(Debug, Default)]
pub(super) struct Counts {
    spans: AtomicU64,
    spans_delivered: AtomicU64,
    metrics: AtomicU64,
    metrics_delivered: AtomicU64,
}

/// What did not arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lost {
    /// Spans, of so many.
    pub spans: (u64, u64),
    /// Exports of metrics, of so many. They add up: the last that arrives holds all.
    pub metrics: (u64, u64),
}

impl Counts {
    /// What did not arrive so far.
    pub fn lost(&self) -> Lost {
        let lost = |all: &AtomicU64, delivered: &AtomicU64| {
            let all = all.load(Ordering::Relaxed);
            (all.saturating_sub(delivered.load(Ordering::Relaxed)), all)
        };
        Lost { spans: lost(&self.spans, &self.spans_delivered), metrics: lost(&self.metrics, &self.metrics_delivered) }
    }
}

/// Counts the spans that end, whether the queue has room for them or not.
#[derive(Debug)]
pub(super) struct Processor<P> {
    pub next: P,
    pub counts: Arc<Counts>,
}

impl<P: SpanProcessor> SpanProcessor for Processor<P> {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.next.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        if span.span_context.is_sampled() {
            self.counts.spans.fetch_add(1, Ordering::Relaxed);
        }
        self.next.on_end(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.next.force_flush()
    }

    fn shutdown_with_timeout(&self, patience: Duration) -> OTelSdkResult {
        self.next.shutdown_with_timeout(patience)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.next.set_resource(resource);
    }
}

/// Sends spans.
#[derive(Debug)]
pub(super) struct Spans {
    pub next: SpanExporter,
    pub counts: Arc<Counts>,
}

/// Attributes that the conventions have as lists. A field of `tracing` is none.
const LISTS: [&str; 1] = ["gen_ai.response.finish_reasons"];

impl opentelemetry_sdk::trace::SpanExporter for Spans {
    async fn export(&self, mut batch: Vec<SpanData>) -> OTelSdkResult {
        let attributes = batch.iter_mut().flat_map(|span| &mut span.attributes);
        for attribute in attributes.filter(|attribute| LISTS.contains(&attribute.key.as_str())) {
            if let Value::String(one) = &attribute.value {
                attribute.value = Value::Array(Array::String(vec![one.clone()]));
            }
        }
        let count = batch.len() as u64;
        let sent = self.next.export(batch).await;
        if sent.is_ok() {
            self.counts.spans_delivered.fetch_add(count, Ordering::Relaxed);
        }
        sent
    }

    fn shutdown_with_timeout(&self, patience: Duration) -> OTelSdkResult {
        self.next.shutdown_with_timeout(patience)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.next.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.next.set_resource(resource);
    }
}

/// Sends metrics.
#[derive(Debug)]
pub(super) struct Metrics {
    pub next: MetricExporter,
    pub counts: Arc<Counts>,
}

impl PushMetricExporter for Metrics {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        self.counts.metrics.fetch_add(1, Ordering::Relaxed);
        let sent = self.next.export(metrics).await;
        if sent.is_ok() {
            self.counts.metrics_delivered.fetch_add(1, Ordering::Relaxed);
        }
        sent
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.next.force_flush()
    }

    fn shutdown_with_timeout(&self, patience: Duration) -> OTelSdkResult {
        self.next.shutdown_with_timeout(patience)
    }

    fn temporality(&self) -> Temporality {
        self.next.temporality()
    }
}
