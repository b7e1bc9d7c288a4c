//! What spans tell of a question on its way to an answer.

use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;

use super::event::{AnswerEvent, AnswerOutcome, EnsembleEvent};
use crate::error::Error;
use crate::telemetry::{self, count, failed, within, workflow};

/// An answer, all of which happens within a span that ends with it.
pub(super) fn answer(events: BoxStream<'static, Result<AnswerEvent, Error>>) -> BoxStream<'static, Result<AnswerEvent, Error>> {
    let span = workflow("answer", None);
    if span.is_disabled() {
        return events;
    }
    let told = span.clone();
    let events = events.inspect(move |event| match event {
        Ok(AnswerEvent::Done(summary)) => {
            told.record("ragstream.outcome", outcome(summary.outcome));
            count(&told, "ragstream.citations", summary.citations.len() as u64);
        }
        Ok(_) => {}
        Err(error) => failed(&told, error.code()),
    });
    within(span, events.boxed())
}

/// The same of several models.
pub(super) fn answers(
    events: BoxStream<'static, Result<EnsembleEvent, Error>>,
) -> BoxStream<'static, Result<EnsembleEvent, Error>> {
    let span = telemetry::workflow("answer", None);
    if span.is_disabled() {
        return events;
    }
    let told = span.clone();
    let events = events.inspect(move |event| match event {
        Ok(_) => {}
        Err(error) => failed(&told, error.code()),
    });
    within(span, events.boxed())
}

fn outcome(outcome: AnswerOutcome) -> &'static str {
    match outcome {
        AnswerOutcome::Answered(_) => "answered",
        AnswerOutcome::Passages => "passages",
        AnswerOutcome::NothingFound => "nothing_found",
        AnswerOutcome::Unanswerable => "unanswerable",
    }
}
