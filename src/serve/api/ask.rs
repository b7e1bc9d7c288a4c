//! `POST /api/ask`: an answer as it is written, or whole. `/api/ask/ID`: one that was asked for with an id, gone on with or stopped.

use std::num::NonZeroUsize;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, StreamExt as _};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::read::{Body, filter, model};
use crate::answer::wire::Line;
use crate::answer::{AnswerEvent, Exchange, Question, doubted};
use crate::serve::answering::{self, Answer};
use crate::serve::fault::Fault;
use crate::serve::rendering::Rendering;
use crate::serve::service::Service;
use crate::serve::sse;

/// A question.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "the wire's")]
pub(super) struct Ask {
    #[schemars(regex(pattern = r"\S"))]
    question: String,
    /// Which pipeline, or several as `docs+tickets`; without it, all that are served are asked together. The first says who answers.
    #[serde(default)]
    pipeline: Option<String>,
    #[serde(default)]
    limit: Option<NonZeroUsize>,
    #[serde(default, rename = "where")]
    terms: Vec<String>,
    /// As `provider/model`.
    #[serde(default)]
    model: Option<String>,
    /// A model is asked even where the passages do not seem to hold the answer.
    #[serde(default)]
    anyway: bool,
    /// All documents are read for it (`true`), or only the best passages, whatever it is about. Without it, as the pipeline says: by
    /// default a question about all documents is answered from the best passages, and the note says what it would cost to read all.
    #[serde(default)]
    all: Option<bool>,
    /// Where all documents are read: anew, whatever was noted of them for the same question before.
    #[serde(default)]
    refresh: bool,
    /// What was asked and answered before, oldest first.
    #[serde(default)]
    history: Option<Vec<Turn>>,
    /// `false`: one object when all is written.
    #[serde(default = "yes")]
    stream: bool,
    /// With the answer as HTML besides: `html`, or piece by piece in `html` events, of which a later one of the same `block` takes
    /// the place of an earlier one. Not of passages that no model has put into words.
    #[serde(default)]
    html: bool,
    /// A random id makes the answer resumable: it goes on for ten seconds without a reader, and `GET /api/ask/ID`, or the same
    /// request once more, goes on with it from its beginning without another request to the model. Only of one that is streamed.
    #[serde(default)]
    id: Option<Uuid>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Turn {
    question: String,
    answer: String,
}

fn yes() -> bool {
    true
}

pub(super) async fn ask(
    State(service): State<Arc<Service>>,
    headers: HeaderMap,
    Body(ask): Body<Ask>,
) -> Result<Response, Fault> {
    let scope = service.scopes.asked(ask.pipeline.as_deref())?;
    let print = blake3::hash(format!("{ask:?}").as_bytes());
    let history =
        ask.history.map(|turns| turns.into_iter().map(|Turn { question, answer }| Exchange { question, answer }).collect());
    let question = Question {
        text: ask.question,
        limit: ask.limit,
        filter: filter(&ask.terms)?,
        model: model(ask.model.as_deref(), &scope.first().runtime.plan)?,
        history,
        anyway: ask.anyway,
        all: ask.all,
        refresh: ask.refresh,
        ..Question::default()
    };
    match ask.id {
        // The answer lives in the response: who leaves drops it, and with it the request upstream.
        None => {
            let answer = answering::ask(&service, &scope, question).await?;
            Ok(if ask.stream {
                sse::lines(&headers, written(answer, ask.html))
            } else {
                Json(whole(answer, ask.html).await?.body).into_response()
            })
        }
        Some(_) if !ask.stream => {
            Err(Fault::bad("an answer that comes whole cannot be gone on with: `id` without `stream: false`"))
        }
        Some(id) => {
            let asked = Arc::clone(&service);
            let begin = async move { Ok(written(answering::ask(&asked, &scope, question).await?, ask.html)) };
            Ok(sse::lines(&headers, service.kept.ask(id, print, begin).await?))
        }
    }
}

/// Goes on with an answer.
pub(super) async fn follow(
    State(service): State<Arc<Service>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Fault> {
    Ok(sse::lines(&headers, service.kept.follow(named(&id)?)?))
}

/// Has an answer end, and with it the request upstream.
pub(super) async fn stop(State(service): State<Arc<Service>>, Path(id): Path<String>) -> Result<StatusCode, Fault> {
    service.kept.stop(named(&id)?)?;
    Ok(StatusCode::NO_CONTENT)
}

fn named(id: &str) -> Result<Uuid, Fault> {
    Uuid::try_parse(id).map_err(|_| Fault::missing("there is no such answer, or none any more"))
}

/// The lines of an answer as it is written.
fn written(mut answer: Answer, html: bool) -> impl Stream<Item = Value> + Send + 'static {
    async_stream::stream! {
        let mut rendering = html.then(Rendering::default);
        loop {
            let due = async {
                match &rendering {
                    Some(rendering) => rendering.due().await,
                    None => std::future::pending().await,
                }
            };
            let event = tokio::select! {
                event = answer.next() => event,
                () = due => {
                    if let Some(rendering) = &mut rendering {
                        yield value(&rendering.open().await);
                    }
                    continue;
                }
            };
            if let Some(rendering) = &mut rendering {
                let finished = match &event {
                    Some(Ok(event)) => rendering.event(event).await,
                    Some(Err(_)) | None => rendering.end().await,
                };
                for piece in finished {
                    yield value(&piece);
                }
            }
            match &event {
                Some(Ok(event)) => if let Some(line) = event.line() {
                    yield value(&line);
                },
                Some(Err(error)) => yield value(&Line::from(error)),
                None => return,
            }
        }
    }
}

fn value(line: &impl serde::Serialize) -> Value {
    serde_json::to_value(line).unwrap_or_default()
}

/// An answer that has been written.
#[derive(Debug)]
pub(in crate::serve) struct Whole {
    /// The end's line, with the text and the sources in it.
    pub(in crate::serve) body: Value,
    /// The text as it is shown to who reads nothing else: with its doubtful citations marked.
    pub(in crate::serve) shown: String,
}

/// An answer, when all of it is written.
pub(in crate::serve) async fn whole(mut answer: Answer, html: bool) -> Result<Whole, Fault> {
    let (mut rendering, mut pieces) = (html.then(Rendering::default), Vec::new());
    let (mut text, mut shown) = (String::new(), String::new());
    let (mut sources, mut end, mut remark) = (Value::Null, Value::Null, None);
    while let Some(event) = answer.next().await {
        let event = event?;
        if let Some(rendering) = &mut rendering {
            pieces.extend(rendering.event(&event).await);
        }
        match &event {
            AnswerEvent::Token(piece) => {
                text.push_str(piece);
                shown.push_str(piece);
            }
            AnswerEvent::Citation { text: piece, sources, unknown, doubts } => {
                text.push_str(piece);
                shown.push_str(&doubted::shown(piece, sources, unknown, doubts));
            }
            AnswerEvent::Sources { .. } => {
                sources = event
                    .line()
                    .and_then(|line| serde_json::to_value(line).ok())
                    .and_then(|mut line| line.get_mut("sources").map(Value::take))
                    .unwrap_or_default();
            }
            // What was written before it is void.
            AnswerEvent::Fallback { interrupted: true, .. } => {
                text.clear();
                shown.clear();
                pieces.clear();
            }
            AnswerEvent::Note(text) | AnswerEvent::LeftOut(text) | AnswerEvent::Incomplete(text) => {
                remark = Some(remark.map_or_else(|| text.clone(), |before| format!("{before} {text}")));
            }
            AnswerEvent::Done(_) => end = event.line().and_then(|line| serde_json::to_value(line).ok()).unwrap_or_default(),
            _ => {}
        }
    }
    let mut body = json!({"type": "answer", "answer": text, "sources": sources});
    if html && let Some(body) = body.as_object_mut() {
        body.insert("html".to_owned(), pieces.into_iter().map(|piece| piece.html).collect::<String>().into());
    }
    if let (Some(body), Value::Object(end)) = (body.as_object_mut(), end) {
        body.extend(end.into_iter().filter(|(key, _)| key != "type"));
        if let Some(remark) = remark {
            let note = body.entry("note").or_insert(Value::Null);
            *note = note.as_str().map_or_else(|| remark.clone(), |end| format!("{remark} {end}")).into();
        }
    }
    Ok(Whole { body, shown })
}
