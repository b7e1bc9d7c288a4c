//! Questions on their way to an answer: a place, an open index, the first event; counted however they end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;

use super::draining::Place;
use super::fault::Fault;
use super::metrics::{Ending, Metrics};
use super::scope::Scope;
use super::service::Service;
use super::slots::Slots;
use crate::answer::{AnswerEvent, Answerer, EnsembleEvent, Events, Found, Question, Trace};
use crate::error::{Error, Failure, Origin};

/// Events of an answer.
pub(super) type Answer = Events<AnswerEvent>;

/// What an event says of how far an answer has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    /// What is searched for: nothing has been found yet.
    Asked,
    /// A piece of the answer.
    Piece,
    Done,
    Other,
}

impl From<&AnswerEvent> for Moment {
    fn from(event: &AnswerEvent) -> Self {
        match event {
            AnswerEvent::Question { .. } => Self::Asked,
            AnswerEvent::Token(_) | AnswerEvent::Citation { .. } => Self::Piece,
            AnswerEvent::Done(_) => Self::Done,
            _ => Self::Other,
        }
    }
}

impl From<&EnsembleEvent> for Moment {
    fn from(event: &EnsembleEvent) -> Self {
        match event {
            EnsembleEvent::Question { .. } => Self::Asked,
            EnsembleEvent::Part { event, .. } | EnsembleEvent::Merged(event) if Self::from(event) == Self::Piece => Self::Piece,
            EnsembleEvent::Done(_) => Self::Done,
            _ => Self::Other,
        }
    }
}

/// Counts an answer when it is dropped.
struct Counted {
    metrics: Arc<Metrics>,
    pipeline: String,
    asked: Instant,
    first: Option<Duration>,
    ending: Ending,
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.metrics.answered(&self.pipeline, self.ending, self.first, self.asked.elapsed());
    }
}

impl Counted {
    fn note(&mut self, moment: Option<Moment>) {
        match moment {
            Some(Moment::Piece) => {
                self.first.get_or_insert(self.asked.elapsed());
            }
            Some(Moment::Done) => self.ending = Ending::Done,
            Some(Moment::Asked | Moment::Other) => {}
            None => self.ending = Ending::Failed,
        }
    }
}

/// The service ends before the answer does.
#[derive(Debug, thiserror::Error)]
#[error("the service ends before the answer does")]
struct ServiceEnds;

impl Failure for ServiceEnds {
    fn origin(&self) -> Origin {
        Origin::Worker
    }

    fn code(&self) -> &'static str {
        "stopping"
    }

    fn hint(&self) -> Option<String> {
        Some("ask again in a moment: it may be starting anew".to_owned())
    }

    fn is_transient(&self) -> bool {
        true
    }

    fn stops_all(&self) -> bool {
        true
    }
}

/// Begins an answer to a question. It holds its place until it is dropped, which also cancels the request upstream.
///
/// # Errors
/// What fails before anything can be said: none is free, there is no index, the question makes no sense.
pub(super) async fn ask(service: &Service, scope: &Scope, question: Question) -> Result<Answer, Fault> {
    let ask = |answerer: &Answerer| answerer.ask(question);
    begin(service, &service.answers, scope, |answerer, place| service.drains.of(answerer, place, ask)).await
}

/// Begins what an answerer says to something, as soon as one of these places is free.
///
/// # Errors
/// As [`ask`].
pub(super) async fn begin<E: Send + 'static>(
    service: &Service,
    places: &Slots,
    scope: &Scope,
    ask: impl FnOnce(&Answerer, &Place) -> Events<E>,
) -> Result<Events<E>, Fault>
where
    for<'a> Moment: From<&'a E>,
{
    let asked = Instant::now();
    let place = Place::new(places.take().await?);
    let mut counted = Counted {
        metrics: Arc::clone(&service.metrics),
        pipeline: scope.label().to_owned(),
        asked,
        first: None,
        ending: Ending::Left,
    };
    let begun = async {
        let mut answer = ask(&scope.answerer().await?, &place);
        let mut first = Vec::new();
        // What a question of a conversation is searched for is said before it is.
        while let Some(event) = answer.next().await.transpose()? {
            let goes_on = Moment::from(&event) == Moment::Asked;
            first.push(event);
            if !goes_on {
                break;
            }
        }
        Ok::<_, Error>((first, answer))
    };
    let (first, mut answer) = match begun.await {
        Ok(begun) => begun,
        Err(error) => {
            counted.ending = Ending::Failed;
            return Err(error.into());
        }
    };
    let ending = service.ending.clone();
    let answer = async_stream::stream! {
        let _place = place;
        for event in first.into_iter().map(Ok) {
            counted.note(event.as_ref().ok().map(Moment::from));
            yield event;
        }
        loop {
            let event = tokio::select! {
                event = answer.next() => event,
                () = ending.cancelled() => Some(Err(ServiceEnds.into())),
            };
            let Some(event) = event else { break };
            let is_last = event.is_err();
            counted.note(event.as_ref().ok().map(Moment::from));
            yield event;
            if is_last {
                break;
            }
        }
    };
    Ok(answer.boxed())
}

/// Searches.
///
/// # Errors
/// As [`ask`].
pub(super) async fn search(service: &Service, scope: &Scope, question: &Question) -> Result<Found, Fault> {
    let asked = Instant::now();
    let _place = service.searches.take().await?;
    let found = async { scope.answerer().await?.retrieve(question).await }.await;
    let ending = found.is_ok().into();
    service.metrics.searched(scope.label(), ending, asked.elapsed());
    Ok(found?)
}

/// Follows a document on its way to the sources of an answer, which counts as a search.
///
/// # Errors
/// As [`ask`].
pub(super) async fn trace(service: &Service, scope: &Scope, question: &Question, uri: &str) -> Result<Option<Trace>, Fault> {
    let asked = Instant::now();
    let _place = service.searches.take().await?;
    let traced = async { scope.answerer().await?.trace(question, uri).await }.await;
    let ending = traced.is_ok().into();
    service.metrics.searched(scope.label(), ending, asked.elapsed());
    Ok(traced?)
}
