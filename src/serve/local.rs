//! `POST /api/local`: what this user's own commands ask instead of opening the index themselves, through the socket in the home
//! folder alone.
//!
//! What they show is to be what they would show without a service. So they are told events and errors as they are (see [`wire`]),
//! and only where all that decides an answer is the same in both processes ([`identity`](super::identity)); else they are declined,
//! and do it themselves.

pub(crate) mod wire;

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body;
use axum::extract::{Extension, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use futures_util::future::join_all;
use futures_util::{Stream, StreamExt as _};

use self::wire::{Asked, Choice, Line, Request, Several, Wanted};
use super::answering;
use super::api::read::{Body, filter};
use super::draining::Place;
use super::fault::Fault;
use super::identity::parts;
use super::peer::Peer;
use super::scope::Scope;
use super::service::Service;
use super::sse::NDJSON;
use crate::answer::{AnswerEvent, Answerer, Ensemble, EnsembleEvent, Events, Found, ModelChoice, Question, Trace};
use crate::error::told::Told;
use crate::error::{Error, reason};

/// An empty line is sent after so long without another one: who waits knows that the service lives.
const BEAT: Duration = Duration::from_secs(5);

pub(super) fn routes() -> Router<Arc<Service>> {
    Router::new().route("/api/local", post(answer))
}

async fn answer(
    State(service): State<Arc<Service>>,
    Extension(peer): Extension<Peer>,
    Body(asked): Body<Request>,
) -> Result<Response, Fault> {
    if peer != Peer::Local {
        return Err(Fault::missing("there is nothing at this address"));
    }
    let lines = body::Body::from_stream(sent(lines(service, asked)).map(Ok::<_, Infallible>));
    Ok(([(header::CONTENT_TYPE, NDJSON)], lines).into_response())
}

/// Lines as they are sent.
fn sent(lines: impl Stream<Item = Line> + Send) -> impl Stream<Item = String> + Send {
    async_stream::stream! {
        let mut lines = pin!(lines);
        loop {
            match tokio::time::timeout(BEAT, lines.next()).await {
                Ok(Some(line)) => match serde_json::to_string(&line) {
                    Ok(line) => yield format!("{line}\n"),
                    Err(error) => {
                        tracing::error!(%error, "a command cannot be told");
                        return;
                    }
                },
                Ok(None) => return,
                Err(_) => yield "\n".to_owned(),
            }
        }
    }
}

fn lines(service: Arc<Service>, asked: Request) -> impl Stream<Item = Line> + Send {
    async_stream::stream! {
        let Request { identity, needs_all, wanted } = asked;
        let all = service.pipelines.all();
        let served = parts(&identity).map(|one| all.iter().find(|served| served.identity == one).cloned());
        let Some(scope) = served.collect::<Option<Vec<_>>>().and_then(|served| service.scopes.of(&served)) else {
            yield Line::Declined("what this command would run is not served here".to_owned());
            return;
        };
        yield Line::Taken;
        let done = async {
            if let (Wanted::Status, Scope::One(served)) = (&wanted, &scope) {
                return served.runtime.status().await.map(Done::Status).map_err(|error| Refused::here(&error));
            }
            // The command says itself why there is no index, or none of this model.
            let answerer = scope.answerer_now().await.map_err(|error| Refused::here(&error))?;
            do_it(&service, &scope, &answerer, needs_all, wanted).await
        };
        let done = tokio::select! {
            done = done => done,
            () = service.ending.cancelled() => Err(Refused::Declined("the service ends".to_owned())),
        };
        match done {
            Ok(Done::Open) => {}
            Ok(Done::Status(status)) => yield Line::Status(status),
            Ok(Done::Found(found)) => {
                if let Some(note) = found.note {
                    yield Line::Note(note);
                }
                for hit in found.hits {
                    yield Line::Hit(hit);
                }
            }
            Ok(Done::Traced(trace)) => yield Line::Traced(trace.map(Box::new)),
            Ok(Done::Answer(mut events)) => while let Some(event) = events.next().await {
                yield event.map_or_else(|error| Line::Failed(Told::from(&error)), Line::Answer);
            },
            Ok(Done::Answers(mut events)) => while let Some(event) = events.next().await {
                yield event.map_or_else(|error| Line::Failed(Told::from(&error)), Line::Answers);
            },
            Err(Refused::Declined(why)) => {
                yield Line::Declined(why);
                return;
            }
            Err(Refused::Failed(error)) => {
                yield Line::Failed(Told::from(&error));
                return;
            }
        }
        yield Line::End;
    }
}

/// What a command is told.
enum Done {
    Open,
    Status(crate::runtime::Status),
    Found(Found),
    Traced(Option<Trace>),
    Answer(Events<AnswerEvent>),
    Answers(Events<EnsembleEvent>),
}

/// Why a command is not answered.
enum Refused {
    /// It is to do it itself.
    Declined(String),
    /// It would fail in the same way.
    Failed(Error),
}

impl Refused {
    /// It failed before anything was asked of anybody.
    fn here(error: &Error) -> Self {
        Self::Declined(reason(error))
    }
}

impl From<Fault> for Refused {
    fn from(fault: Fault) -> Self {
        match fault.error {
            Some(error) => Self::Failed(error),
            None => Self::Declined(fault.message),
        }
    }
}

async fn do_it(
    service: &Service,
    scope: &Scope,
    answerer: &Answerer,
    needs_all: bool,
    wanted: Wanted,
) -> Result<Done, Refused> {
    let needing = |answerer: &Answerer| if needs_all { answerer.clone().needing_every_index() } else { answerer.clone() };
    Ok(match wanted {
        Wanted::Open | Wanted::Status => Done::Open,
        Wanted::Search(asked) => {
            let question = question(asked, answerer).await?;
            Done::Found(answering::search(service, scope, &question).await?)
        }
        Wanted::Trace(asked, uri) => {
            let question = question(asked, answerer).await?;
            Done::Traced(answering::trace(service, scope, &question, &uri).await?)
        }
        Wanted::Ask(asked) => {
            let question = question(asked, answerer).await?;
            let ask = |answerer: &Answerer| needing(answerer).ask(question);
            let begun =
                answering::begin(service, &service.commands, scope, |answerer, place| service.drains.of(answerer, place, ask));
            Done::Answer(begun.await?)
        }
        Wanted::AskAll(asked, several) => {
            let (question, ensemble) = (question(asked, answerer).await?, ensemble(several, answerer).await);
            let ask = |answerer: &Answerer, _: &Place| needing(answerer).ask_all(question, ensemble);
            Done::Answers(answering::begin(service, &service.commands, scope, ask).await?)
        }
    })
}

async fn question(asked: Asked, answerer: &Answerer) -> Result<Question, Fault> {
    let fallback = match asked.fallback {
        Some(fallback) => Some(choices(fallback, answerer).await),
        None => None,
    };
    Ok(Question {
        text: asked.text,
        limit: asked.limit,
        filter: filter(&asked.terms)?,
        duplicates: asked.duplicates,
        model: choice(asked.model, answerer).await,
        fallback,
        fallback_after: asked.fallback_after,
        history: asked.history,
        instructions: asked.instructions,
        max_tokens: asked.max_tokens,
        temperature: asked.temperature,
        anyway: asked.anyway,
        untrimmed: asked.untrimmed,
        all: asked.all,
        refresh: asked.refresh,
    })
}

async fn ensemble(several: Several, answerer: &Answerer) -> Ensemble {
    let judge = match several.judge {
        Some(judge) => Some(choice(judge, answerer).await),
        None => None,
    };
    Ensemble { models: choices(several.models, answerer).await, mode: several.mode, judge }
}

async fn choices(choices: Vec<Choice>, answerer: &Answerer) -> Vec<ModelChoice> {
    join_all(choices.into_iter().map(|one| choice(one, answerer))).await
}

async fn choice(choice: Choice, answerer: &Answerer) -> ModelChoice {
    match choice {
        Choice::Planned => ModelChoice::Planned,
        Choice::Named(model) => ModelChoice::Named(model),
        Choice::Opened(model) => ModelChoice::Own(answerer.member(&ModelChoice::Named(model)).await),
        Choice::Passages => ModelChoice::Passages,
    }
}
