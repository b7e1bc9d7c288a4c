//! Metrics that are made of spans: how long each took, and the tokens that it tells of. So the two never disagree, and what a sampler
//! leaves out of the traces is measured all the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Instant;

use opentelemetry::metrics::{Counter, Histogram, Meter};
use opentelemetry::{KeyValue, Value};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use crate::telemetry::{CHUNK, TARGET};

/// Seconds, as the conventions of generative AI ask for.
const SECONDS: [f64; 14] = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];
/// Tokens, as they ask for.
const TOKENS: [f64; 14] = [
    1.0,
    4.0,
    16.0,
    64.0,
    256.0,
    1024.0,
    4096.0,
    16384.0,
    65536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];
/// Seconds of requests to a server, as the conventions of HTTP ask for.
const HTTP: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
/// Seconds of work of many steps, an ingest among it.
const WORKFLOW: [f64; 12] = [0.1, 1.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0];

/// Attributes of a span that are attributes of its metrics, too.
const KEPT: [&str; 12] = [
    "gen_ai.operation.name",
    "gen_ai.provider.name",
    "gen_ai.request.model",
    "server.address",
    "server.port",
    "gen_ai.workflow.name",
    "gen_ai.tool.name",
    "http.request.method",
    "http.route",
    "url.scheme",
    "http.response.status_code",
    "error.type",
];

/// Makes metrics of the spans that end.
pub(super) struct Measures {
    instruments: Option<Instruments>,
    open: Arc<AtomicI64>,
}

struct Instruments {
    inference: Histogram<f64>,
    first_chunk: Histogram<f64>,
    chunk: Histogram<f64>,
    input: Counter<u64>,
    output: Counter<u64>,
    input_each: Histogram<u64>,
    output_each: Histogram<u64>,
    embeddings: Histogram<f64>,
    embeddings_input: Histogram<u64>,
    retrieval: Histogram<f64>,
    workflow: Histogram<f64>,
    tool: Histogram<f64>,
    served: Histogram<f64>,
}

/// What is known of a span that has not ended.
struct Measured {
    since: Instant,
    attributes: Vec<KeyValue>,
    first_chunk: Option<f64>,
    input: Option<u64>,
    output: Option<u64>,
}

impl Measures {
    /// Counts how many spans are `open`, and measures those that end where there is a meter.
    pub fn new(meter: Option<&Meter>, open: Arc<AtomicI64>) -> Self {
        Self { instruments: meter.map(Instruments::new), open }
    }
}

impl Instruments {
    fn new(meter: &Meter) -> Self {
        let seconds = |name: &'static str, help: &'static str, buckets: &[f64]| {
            meter.f64_histogram(name).with_unit("s").with_description(help).with_boundaries(buckets.to_vec()).build()
        };
        let tokens = |name: &'static str, help: &'static str| {
            meter.u64_histogram(name).with_unit("{token}").with_description(help).with_boundaries(TOKENS.to_vec()).build()
        };
        let total = |name: &'static str, help: &'static str| {
            meter.u64_counter(name).with_unit("{token}").with_description(help).build()
        };
        Self {
            inference: seconds("gen_ai.client.inference.duration", "A request to a model, with all its attempts", &SECONDS),
            first_chunk: seconds("gen_ai.client.inference.time_to_first_chunk", "Until the first piece of an answer", &SECONDS),
            chunk: seconds("gen_ai.client.inference.time_per_output_chunk", "From one piece to the next", &SECONDS),
            input: total("gen_ai.client.inference.usage.input_tokens", "Tokens that models have read"),
            output: total("gen_ai.client.inference.usage.output_tokens", "Tokens that models have written"),
            input_each: tokens("gen_ai.client.inference.operation.input_tokens", "Tokens that a model reads at once"),
            output_each: tokens("gen_ai.client.inference.operation.output_tokens", "Tokens that a model writes at once"),
            embeddings: seconds("gen_ai.client.embeddings.duration", "A request for vectors, with all its attempts", &SECONDS),
            embeddings_input: tokens("gen_ai.client.embeddings.operation.input_tokens", "Tokens of a request for vectors"),
            retrieval: seconds("gen_ai.retrieval.duration", "A search", &SECONDS),
            workflow: seconds("gen_ai.invoke_workflow.duration", "An ingest, or a question until its answer's end", &WORKFLOW),
            tool: seconds("gen_ai.execute_tool.duration", "A tool that an agent has called", &SECONDS),
            served: seconds("http.server.request.duration", "A request to the service, its answer's end included", &HTTP),
        }
    }

    fn measure(&self, name: &str, measured: &Measured) {
        let (took, attributes) = (measured.since.elapsed().as_secs_f64(), &*measured.attributes);
        let took_by = match name {
            "chat" => &self.inference,
            "embeddings" => &self.embeddings,
            "retrieval" => &self.retrieval,
            "workflow" => &self.workflow,
            "tool" => &self.tool,
            "served" => &self.served,
            _ => return,
        };
        took_by.record(took, attributes);
        if let Some(seconds) = measured.first_chunk {
            self.first_chunk.record(seconds, &without_error(attributes));
        }
        match (name, measured.input, measured.output) {
            ("embeddings", Some(input), _) => self.embeddings_input.record(input, &without_error(attributes)),
            ("chat", input, output) => {
                let each = without_error(attributes);
                let mut all = each.clone();
                // Nothing else is ever asked or answered here.
                all.push(KeyValue::new("gen_ai.token.modality", "text"));
                let (input, output) = ((input, &self.input, &self.input_each), (output, &self.output, &self.output_each));
                for (tokens, total, histogram) in [input, output] {
                    if let Some(tokens) = tokens {
                        total.add(tokens, &all);
                        histogram.record(tokens, &each);
                    }
                }
            }
            _ => {}
        }
    }
}

fn without_error(attributes: &[KeyValue]) -> Vec<KeyValue> {
    attributes.iter().filter(|attribute| attribute.key.as_str() != "error.type").cloned().collect()
}

impl Visit for Measured {
    fn record_i64(&mut self, field: &Field, value: i64) {
        match field.name() {
            "gen_ai.usage.input_tokens" => self.input = u64::try_from(value).ok(),
            "gen_ai.usage.output_tokens" => self.output = u64::try_from(value).ok(),
            name => self.keep(name, Value::from(value)),
        }
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        if field.name() == "gen_ai.response.time_to_first_chunk" {
            self.first_chunk = Some(value);
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if KEPT.contains(&field.name()) {
            self.keep(field.name(), Value::from(value.to_owned()));
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}

impl Measured {
    fn keep(&mut self, name: &'static str, value: Value) {
        if KEPT.contains(&name) {
            self.attributes.retain(|attribute| attribute.key.as_str() != name);
            self.attributes.push(KeyValue::new(name, value));
        }
    }
}

/// The seconds that an event tells.
#[derive(Default)]
struct Seconds(Option<f64>);

impl Visit for Seconds {
    fn record_f64(&mut self, field: &Field, value: f64) {
        if field.name() == "seconds" {
            self.0 = Some(value);
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Measures {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if attributes.metadata().target() != TARGET {
            return;
        }
        self.open.fetch_add(1, Ordering::AcqRel);
        if let (Some(_), Some(span)) = (&self.instruments, context.span(id)) {
            let mut measured =
                Measured { since: Instant::now(), attributes: Vec::new(), first_chunk: None, input: None, output: None };
            attributes.record(&mut measured);
            span.extensions_mut().insert(measured);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(measured) = span.extensions_mut().get_mut::<Measured>()
        {
            values.record(measured);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if event.metadata().target() != CHUNK {
            return;
        }
        let mut seconds = Seconds::default();
        event.record(&mut seconds);
        if let (Some(instruments), Some(seconds)) = (&self.instruments, seconds.0)
            && let Some(span) = context.event_span(event)
            && let Some(measured) = span.extensions().get::<Measured>()
        {
            instruments.chunk.record(seconds, &measured.attributes);
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else { return };
        if span.metadata().target() != TARGET {
            return;
        }
        if let Some(instruments) = &self.instruments
            && let Some(measured) = span.extensions().get::<Measured>()
        {
            instruments.measure(span.metadata().name(), measured);
        }
        self.open.fetch_sub(1, Ordering::AcqRel);
    }
}
