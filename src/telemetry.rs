//! What is told of the work under way: every span that there is, with all its attributes, in one place.
//!
//! Spans are those of `tracing`, with the names and attributes of OpenTelemetry's conventions for generative AI
//! (semantic-conventions-genai 0.1.0; they have left the main repository) and `ragstream.*` for what those do not know. A program that
//! wants them enables [`TARGET`] in its subscriber; the commands of this crate send them to a collector where
//! `OTEL_EXPORTER_OTLP_ENDPOINT` is set. Without a subscriber they cost a look at an atomic.
//!
//! | span | one for each |
//! |---|---|
//! | `invoke_workflow ingest`, `invoke_workflow answer` | run of an ingest, question that is answered |
//! | `stage NAME` | stage of a run: five, or six where it is said where chunks stand |
//! | `document` | document that is new or has changed: the first few of a run and then every so manyth |
//! | `batch` | batch of texts that is embedded, linked to the documents that have a span |
//! | `chat MODEL`, `embeddings MODEL`, `rerank MODEL`, `decide MODEL` | request to a provider, with all its attempts |
//! | `retrieval` | search |
//! | `METHOD /route` | request to the service |
//!
//! Invariants:
//! - No span for a chunk; those of documents are bounded by [`Sampled`].
//! - No secret in any of them; no text of a document, a question or an answer, unless [`CONTENT`] is enabled.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::Stream;
use futures_util::stream::BoxStream;
use tracing::field::Empty;
use tracing::{Level, Span, info_span};

/// The target of all spans, at the level `info`.
pub const TARGET: &str = "ragstream::span";
/// Enabled at the level `trace`, questions, prompts and answers are told, too.
pub const CONTENT: &str = "ragstream::content";
/// The target of an event for each piece of a streamed answer after its first, with its `seconds` since the one before, at the level
/// `trace`.
pub const CHUNK: &str = "ragstream::chunk";
/// Enabled at the level `trace`, the service takes a caller's `traceparent` over: by a subscriber with a layer of tracing-opentelemetry.
pub const PARENT: &str = "ragstream::parent";
/// The conventions that names and attributes are taken from.
pub const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/gen-ai/0.1.0";

/// A server that models are behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Provider {
    /// What the conventions call the provider.
    pub name: &'static str,
    /// The host, without credentials.
    pub address: String,
    /// Its port.
    pub port: u16,
}

/// Whether questions, prompts and answers are to be told.
pub(crate) fn content() -> bool {
    tracing::enabled!(target: CONTENT, Level::TRACE)
}

/// Work of many steps: `ingest`, `answer`.
pub(crate) fn workflow(name: &'static str, pipeline: Option<&str>) -> Span {
    info_span!(
        target: TARGET, "workflow", otel.name = format!("invoke_workflow {name}"),
        "gen_ai.operation.name" = "invoke_workflow", "gen_ai.workflow.name" = name, "ragstream.pipeline" = pipeline,
        "ragstream.outcome" = Empty, "ragstream.documents.seen" = Empty, "ragstream.documents.added" = Empty,
        "ragstream.documents.changed" = Empty, "ragstream.documents.removed" = Empty, "ragstream.documents.failed" = Empty,
        "ragstream.chunks.upserted" = Empty, "ragstream.chunks.deleted" = Empty, "ragstream.embeddings.embedded" = Empty,
        "ragstream.embeddings.cache_hits" = Empty, "ragstream.embeddings.tokens" = Empty, "ragstream.bottleneck" = Empty,
        "ragstream.contexts.written" = Empty, "ragstream.contexts.cache_hits" = Empty, "ragstream.contexts.tokens" = Empty,
        "ragstream.citations" = Empty, "error.type" = Empty, otel.status_code = Empty,
    )
}

/// A stage of the run that `parent` is.
pub(crate) fn stage(parent: &Span, name: &'static str) -> Span {
    info_span!(
        target: TARGET, parent: parent, "stage", otel.name = format!("stage {name}"),
        "ragstream.stage" = name, "ragstream.stage.load" = Empty,
    )
}

/// A document on its way into the index of the run that `parent` is.
pub(crate) fn document(parent: &Span, uri: &str, bytes: usize) -> Span {
    info_span!(
        target: TARGET, parent: parent, "document",
        "ragstream.document.uri" = without_query(uri), "ragstream.document.bytes" = bytes as i64,
        "ragstream.document.chunks" = Empty, "ragstream.document.chunks.new" = Empty, "ragstream.document.language" = Empty,
    )
}

/// Texts that are embedded together.
pub(crate) fn batch(parent: &Span, texts: usize, tokens: usize) -> Span {
    info_span!(
        target: TARGET, parent: parent, "batch",
        "ragstream.batch.texts" = texts as i64, "ragstream.batch.tokens" = tokens as i64,
    )
}

/// A request to a model that answers in a stream.
pub(crate) fn chat(provider: &Provider, model: &str, max_tokens: u32, temperature: Option<f64>) -> Span {
    let span = info_span!(
        target: TARGET, "chat", otel.name = format!("chat {model}"), otel.kind = "client",
        "gen_ai.operation.name" = "chat", "gen_ai.provider.name" = provider.name, "gen_ai.request.model" = model,
        "server.address" = provider.address, "server.port" = i64::from(provider.port), "gen_ai.request.stream" = true,
        "gen_ai.request.max_tokens" = i64::from(max_tokens), "gen_ai.request.temperature" = Empty,
        "gen_ai.response.time_to_first_chunk" = Empty, "gen_ai.response.finish_reasons" = Empty,
        "gen_ai.usage.input_tokens" = Empty, "gen_ai.usage.output_tokens" = Empty, "gen_ai.usage.cache_read.input_tokens" = Empty,
        "gen_ai.usage.cache_creation.input_tokens" = Empty, "http.request.resend_count" = Empty,
        "ragstream.limits.wait" = Empty, "gen_ai.system_instructions" = Empty, "gen_ai.input.messages" = Empty,
        "gen_ai.output.messages" = Empty, "error.type" = Empty, otel.status_code = Empty,
    );
    if let Some(temperature) = temperature {
        span.record("gen_ai.request.temperature", temperature);
    }
    span
}

/// A request for vectors.
pub(crate) fn embeddings(provider: &Provider, model: &str, inputs: usize, dimensions: Option<usize>) -> Span {
    let span = info_span!(
        target: TARGET, "embeddings", otel.name = format!("embeddings {model}"), otel.kind = "client",
        "gen_ai.operation.name" = "embeddings", "gen_ai.provider.name" = provider.name, "gen_ai.request.model" = model,
        "server.address" = provider.address, "server.port" = i64::from(provider.port),
        "ragstream.batch.texts" = inputs as i64, "gen_ai.embeddings.dimension.count" = Empty,
        "gen_ai.usage.input_tokens" = Empty, "http.request.resend_count" = Empty, "ragstream.limits.wait" = Empty,
        "error.type" = Empty, otel.status_code = Empty,
    );
    if let Some(dimensions) = dimensions {
        span.record("gen_ai.embeddings.dimension.count", dimensions as i64);
    }
    span
}

/// A request to a reranker, which the conventions do not know.
pub(crate) fn rerank(provider: &Provider, model: &str, passages: usize) -> Span {
    info_span!(
        target: TARGET, "rerank", otel.name = format!("rerank {model}"), otel.kind = "client",
        "gen_ai.operation.name" = "rerank", "gen_ai.provider.name" = provider.name, "gen_ai.request.model" = model,
        "server.address" = provider.address, "server.port" = i64::from(provider.port),
        "ragstream.rerank.passages" = passages as i64, "gen_ai.usage.input_tokens" = Empty,
        "http.request.resend_count" = Empty, "ragstream.limits.wait" = Empty, "error.type" = Empty, otel.status_code = Empty,
    )
}

/// A request to a decision model, which the conventions do not know.
pub(crate) fn decide(provider: &Provider, model: &str, questions: usize) -> Span {
    info_span!(
        target: TARGET, "decide", otel.name = format!("decide {model}"), otel.kind = "client",
        "gen_ai.operation.name" = "decide", "gen_ai.provider.name" = provider.name, "gen_ai.request.model" = model,
        "server.address" = provider.address, "server.port" = i64::from(provider.port),
        "ragstream.decide.questions" = questions as i64, "gen_ai.usage.input_tokens" = Empty,
        "http.request.resend_count" = Empty, "ragstream.limits.wait" = Empty, "error.type" = Empty, otel.status_code = Empty,
    )
}

/// A search for the best passages, so many of them at most.
pub(crate) fn retrieval(query: &str, limit: usize, mode: &'static str) -> Span {
    let span = info_span!(
        target: TARGET, "retrieval", "gen_ai.operation.name" = "retrieval",
        "gen_ai.retrieval.top_k" = limit as i64, "ragstream.retrieval.mode" = mode, "gen_ai.retrieval.query.text" = Empty,
        "ragstream.retrieval.hits" = Empty, "error.type" = Empty, otel.status_code = Empty,
    );
    if !span.is_disabled() && content() {
        span.record("gen_ai.retrieval.query.text", query);
    }
    span
}

/// A request to the service. `route` is a pattern, never what somebody has typed.
#[cfg(feature = "serve")]
pub(crate) fn served(method: &str, route: Option<&str>, scheme: &'static str) -> Span {
    let name = route.map_or_else(|| method.to_owned(), |route| format!("{method} {route}"));
    let span = info_span!(
        target: TARGET, "served", otel.name = name, otel.kind = "server",
        "http.request.method" = method, "http.route" = Empty, "url.scheme" = scheme,
        "http.response.status_code" = Empty, "error.type" = Empty, otel.status_code = Empty,
    );
    if let Some(route) = route {
        span.record("http.route", route);
    }
    span
}

/// A tool that an agent calls.
#[cfg(feature = "serve")]
pub(crate) fn tool(parent: Option<&Span>, name: &str) -> Span {
    info_span!(
        target: TARGET, parent: parent.and_then(Span::id), "tool", otel.name = format!("execute_tool {name}"),
        "gen_ai.operation.name" = "execute_tool", "gen_ai.tool.name" = name, "gen_ai.tool.type" = "function",
        "error.type" = Empty, otel.status_code = Empty,
    )
}

/// The work that `span` is has failed in a way that has this name.
pub(crate) fn failed(span: &Span, code: &str) {
    span.record("error.type", code);
    span.record("otel.status_code", "ERROR");
}

/// A number that a span tells.
pub(crate) fn count(span: &Span, name: &'static str, n: u64) {
    span.record(name, i64::try_from(n).unwrap_or(i64::MAX));
}

/// The request under way waited so long for leave to be sent, and was sent again so often.
pub(crate) fn sent(waited: Duration, resent: u32) {
    let span = Span::current();
    span.record("ragstream.limits.wait", waited.as_secs_f64());
    if resent > 0 {
        span.record("http.request.resend_count", i64::from(resent));
    }
}

/// A piece of the answer that `span` is came so long after the one before.
pub(crate) fn chunk(span: &Span, since: Duration) {
    tracing::trace!(target: CHUNK, parent: span, seconds = since.as_secs_f64());
}

/// A stream whose work is done within `span`, which ends with it.
pub(crate) fn within<T: 'static>(span: Span, stream: BoxStream<'static, T>) -> BoxStream<'static, T> {
    if span.is_disabled() {
        return stream;
    }
    Box::pin(Within { span, stream })
}

struct Within<T> {
    span: Span,
    stream: BoxStream<'static, T>,
}

impl<T> Stream for Within<T> {
    type Item = T;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let this = self.get_mut();
        let _entered = this.span.enter();
        this.stream.as_mut().poll_next(cx)
    }
}

/// The work that `span` is was asked for by a caller who is in a trace of its own (W3C Trace Context, level 1).
#[cfg(all(feature = "otel", feature = "serve"))]
pub(crate) fn asked_by(span: &Span, traceparent: Option<&str>, tracestate: Option<&str>) {
    use opentelemetry::propagation::{Extractor, TextMapPropagator as _};
    use opentelemetry::trace::TraceContextExt as _;
    use tracing_opentelemetry::OpenTelemetrySpanExt as _;

    struct Headers<'a>(Option<&'a str>, Option<&'a str>);

    impl Extractor for Headers<'_> {
        fn get(&self, key: &str) -> Option<&str> {
            match key {
                "traceparent" => self.0,
                "tracestate" => self.1,
                _ => None,
            }
        }

        fn keys(&self) -> Vec<&str> {
            vec!["traceparent", "tracestate"]
        }
    }

    if traceparent.is_none() || span.is_disabled() || !tracing::enabled!(target: PARENT, Level::TRACE) {
        return;
    }
    let propagator = opentelemetry_sdk::propagation::TraceContextPropagator::new();
    let caller = propagator.extract_with_context(&opentelemetry::Context::new(), &Headers(traceparent, tracestate));
    // One that is not understood is as none.
    if caller.span().span_context().is_valid() {
        let _ = span.set_parent(caller);
    }
}

/// Nothing takes it over.
#[cfg(all(not(feature = "otel"), feature = "serve"))]
pub(crate) fn asked_by(_: &Span, _: Option<&str>, _: Option<&str>) {}

/// What is counted elsewhere, as it is now.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// Its name, without its unit and the prefix `ragstream`.
    pub name: &'static str,
    /// What it tells.
    pub help: &'static str,
    /// Whether it is a time in seconds.
    pub seconds: bool,
    /// Whether it only grows.
    pub grows: bool,
    /// What the series differ in.
    pub labels: &'static [&'static str],
    /// The values of the labels, one each, with what is told of them.
    pub series: Vec<(Vec<String>, f64)>,
}

impl Reading {
    /// The labels of a series, by their names.
    pub fn labelled<'a>(&self, values: &'a [String]) -> impl Iterator<Item = (&'static str, &'a str)> + use<'a> {
        self.labels.iter().copied().zip(values.iter().map(String::as_str))
    }
}

/// Decides which documents of a run have a span.
#[derive(Debug, Default)]
pub(crate) struct Sampled {
    seen: AtomicU64,
}

impl Sampled {
    /// The first of a run, which are all of a small one.
    const FIRST: u64 = 32;
    /// Then one of so many.
    const EVERY: u64 = 1024;
    /// And no more than so many spans.
    const MOST: u64 = 1024;

    /// Whether the next document has one.
    pub(crate) fn next(&self) -> bool {
        let n = self.seen.fetch_add(1, Ordering::Relaxed);
        n < Self::FIRST || (n.is_multiple_of(Self::EVERY) && n / Self::EVERY < Self::MOST)
    }
}

/// Queries may carry what opens a door.
fn without_query(uri: &str) -> &str {
    let web = uri.starts_with("http://") || uri.starts_with("https://");
    uri.split_once('?').filter(|_| web).map_or(uri, |(before, _)| before)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_of_documents_are_bounded() {
        let sampled = Sampled::default();
        let count = (0..2_000_000).filter(|_| sampled.next()).count() as u64;
        assert_eq!(count, Sampled::FIRST + Sampled::MOST - 1);
    }

    #[test]
    fn an_address_is_told_without_its_query() {
        assert_eq!(without_query("https://example.org/a?token=1234"), "https://example.org/a");
        assert_eq!(without_query("docs/why?.md"), "docs/why?.md");
    }
}
