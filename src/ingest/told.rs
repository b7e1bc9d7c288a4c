//! What spans tell of a run: one of the run, one of each stage, and those of a few documents.

use tracing::Span;

use super::report::{IngestSummary, Outcome, Stage};
use crate::error::Error;
use crate::telemetry::{self, Sampled, count};

/// The spans of a run. They end with it.
#[derive(Debug)]
pub(super) struct Told {
    run: Span,
    stages: [Span; 6],
    sampled: Sampled,
}

impl Default for Told {
    /// Nothing is told.
    fn default() -> Self {
        Self { run: Span::none(), stages: [const { Span::none() }; 6], sampled: Sampled::default() }
    }
}

impl Told {
    /// The spans of the stages below that of the run; that of contexts where it `situates` chunks.
    pub fn within(run: Span, situates: bool) -> Self {
        if run.is_disabled() {
            return Self::default();
        }
        let stages = Stage::ALL.map(|stage| match stage {
            Stage::Context if !situates => Span::none(),
            stage => telemetry::stage(&run, stage.name()),
        });
        Self { stages, run, sampled: Sampled::default() }
    }

    /// The span of a stage.
    pub fn stage(&self, wanted: Stage) -> Span {
        let mut spans = Stage::ALL.iter().zip(&self.stages);
        spans.find(|(stage, _)| **stage == wanted).map_or_else(Span::none, |(_, span)| span.clone())
    }

    /// The span of a document, where it is one of those that have one.
    pub fn document(&self, uri: &str, bytes: usize) -> Span {
        if self.run.is_disabled() || !self.sampled.next() { Span::none() } else { telemetry::document(&self.run, uri, bytes) }
    }

    /// How much of each stage went on at once, on average.
    pub fn loads(&self, loads: &[(Stage, f64)]) {
        for ((_, load), span) in loads.iter().zip(&self.stages) {
            span.record("ragstream.stage.load", *load);
        }
    }
}

/// What a run has come to.
pub(super) fn ended(span: &Span, ran: &Result<IngestSummary, Error>) {
    let summary = match ran {
        Ok(summary) => summary,
        Err(error) => return telemetry::failed(span, error.code()),
    };
    let outcome = match summary.outcome {
        Outcome::Complete => "complete",
        Outcome::Interrupted => "interrupted",
    };
    span.record("ragstream.outcome", outcome);
    let IngestSummary { documents, chunks, embeddings, .. } = summary;
    for (name, n) in [
        ("ragstream.documents.seen", documents.seen),
        ("ragstream.documents.added", documents.added),
        ("ragstream.documents.changed", documents.changed),
        ("ragstream.documents.removed", documents.removed),
        ("ragstream.documents.failed", documents.failed),
        ("ragstream.chunks.upserted", chunks.upserted),
        ("ragstream.chunks.deleted", chunks.deleted),
        ("ragstream.embeddings.embedded", embeddings.embedded),
        ("ragstream.embeddings.cache_hits", embeddings.cache_hits),
        ("ragstream.embeddings.tokens", embeddings.tokens),
    ] {
        count(span, name, n);
    }
    if let Some(contexts) = &summary.contexts {
        count(span, "ragstream.contexts.written", contexts.written);
        count(span, "ragstream.contexts.cache_hits", contexts.cache_hits);
        count(span, "ragstream.contexts.tokens", contexts.input_tokens + contexts.output_tokens);
    }
    if let Some(stage) = summary.bottleneck {
        span.record("ragstream.bottleneck", stage.name());
    }
}
