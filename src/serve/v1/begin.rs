//! An answer that has begun: what can be refused has been by then, with a status.

use std::sync::Arc;

use axum::http::HeaderMap;
use futures_util::StreamExt as _;
use futures_util::stream;
use tokio::time::{Instant, timeout_at};

use super::citations::Links;
use super::conversation::Conversation;
use super::models;
use super::options::{Options, fits_quota};
use super::tell::{Mode, Teller};
use crate::answer::{AnswerEvent, Question};
use crate::error::Error;
use crate::serve::answering::{self, Answer};
use crate::serve::api::read::{filter, model};
use crate::serve::fault::Fault;
use crate::serve::service::Service;
use crate::serve::sse::KEEP_ALIVE;

/// What is asked.
pub(super) struct Asked {
    /// The model's name, as the client has it.
    pub(super) model: Option<String>,
    pub(super) conversation: Conversation,
    pub(super) options: Options,
    pub(super) max_tokens: Option<u32>,
    pub(super) temperature: Option<f32>,
    pub(super) mode: Mode,
}

/// An answer that has begun.
pub(super) struct Begun {
    /// The model's name, as the client has it.
    pub(super) model: String,
    pub(super) events: Answer,
    pub(super) teller: Teller,
}

/// Begins to answer. Returns with the first word, or when it has taken so long that the client had better hear something.
pub(super) async fn begin(service: &Arc<Service>, headers: &HeaderMap, asked: Asked) -> Result<Begun, Fault> {
    let Asked { model: name, conversation, options, max_tokens, temperature, mode } = asked;
    let models::Model { id, scope, lists_sources } = models::find(service, name.as_deref())?;
    let choice = model(options.model.as_deref(), &scope.first().runtime.plan)?;
    fits_quota(max_tokens, &choice, &scope.first().runtime.plan)?;
    let how = Question {
        limit: options.limit,
        filter: filter(&options.terms)?,
        model: choice,
        instructions: conversation.instructions.clone(),
        max_tokens,
        temperature,
        anyway: options.anyway,
        all: options.all.or_else(|| conversation.all.then_some(true)),
        ..Question::default()
    };
    let teller = Teller::new(&conversation.question, Links::new(headers, &scope.first().name), mode, lists_sources);
    let answer = if conversation.is_task() {
        answering::begin(service, &service.answers, &scope, |answerer, _| answerer.chat(conversation.messages(), how)).await?
    } else {
        let Conversation { history, question: text, .. } = conversation;
        let history = Some(history).filter(|history| !history.is_empty());
        answering::ask(service, &scope, Question { text, history, ..how }).await?
    };
    Ok(Begun { model: id, events: begun(answer).await?, teller })
}

/// Waits for the first word, for a while.
async fn begun(mut answer: Answer) -> Result<Answer, Error> {
    let (until, mut came) = (Instant::now() + KEEP_ALIVE, Vec::new());
    loop {
        let Ok(next) = timeout_at(until, answer.next()).await else { break };
        let Some(event) = next.transpose()? else { break };
        let is_first = !matches!(
            event,
            AnswerEvent::Question { .. }
                | AnswerEvent::Estimate(_)
                | AnswerEvent::Reading { .. }
                | AnswerEvent::Sources { .. }
                | AnswerEvent::Note(_)
                | AnswerEvent::LeftOut(_)
                | AnswerEvent::Incomplete(_)
                | AnswerEvent::Fallback { .. }
        );
        came.push(Ok(event));
        if is_first {
            break;
        }
    }
    Ok(stream::iter(came).chain(answer).boxed())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed test panics")]
mod tests {
    use std::time::Duration;

    use async_stream::stream;

    use super::*;
    use crate::providers::{ErrorKind, ProviderError};

    fn events(pause: Duration, last: Result<AnswerEvent, Error>) -> Answer {
        stream! {
            yield Ok(AnswerEvent::Sources { sources: Vec::new(), model: None });
            tokio::time::sleep(pause).await;
            yield last;
        }
        .boxed()
    }

    #[tokio::test(start_paused = true)]
    async fn what_fails_before_the_first_word_fails_the_request_unless_it_takes_too_long() {
        let error = || Err(ProviderError::new("p", ErrorKind::Auth, "no key").into());
        assert!(begun(events(KEEP_ALIVE / 2, error())).await.is_err());
        let since = Instant::now();
        let late = begun(events(KEEP_ALIVE * 2, error())).await.unwrap();
        assert_eq!(since.elapsed(), KEEP_ALIVE);
        let late: Vec<_> = late.collect().await;
        assert!(matches!(&late[..], [Ok(AnswerEvent::Sources { .. }), Err(_)]), "nothing is lost, nothing twice");
        let word = begun(events(Duration::ZERO, Ok(AnswerEvent::Token("x".into())))).await.unwrap();
        assert_eq!(word.count().await, 2);
    }
}
