//! Models that stand by: when one refuses, fails or stays silent, the next one answers.
//!
//! A failure before the first token goes unseen but for a note. After it, what came is void and the next model begins anew:
//! two models' words are never spliced.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use async_stream::try_stream;
use futures_util::{Stream, StreamExt};
use tokio::time::timeout;

use super::proof::Cited;
use crate::answer::event::{AnswerEvent, AnswerOutcome, AnswerSummary};
use crate::answer::void::Void;
use crate::answer::write::write;
use crate::providers::{ChatModel, ChatRequest, ErrorKind, ProviderError, StopReason};

/// Streams the answer of the first model that gives one. The last model's failure is the stream's own.
///
/// A model that another stands by for must say something, if only reasoning, within `patience`: a wait that the provider's own
/// retries would fill is not worth it then. What was asked in vain is noted in `void`.
pub(super) fn write_with_fallback(
    models: Vec<Arc<dyn ChatModel>>,
    request: ChatRequest,
    cited: Cited,
    patience: Duration,
    void: Void,
) -> impl Stream<Item = Result<AnswerEvent, ProviderError>> + Send + 'static {
    try_stream! {
        let mut models = models.into_iter().peekable();
        while let Some(model) = models.next() {
            let (from, price) = (model.model().to_owned(), model.price());
            let Some(to) = models.peek().map(|next| next.model().to_owned()) else {
                let mut answer = pin!(write(model, request, cited));
                while let Some(event) = answer.next().await {
                    yield event.inspect_err(|error| void.failed(&from, price, error))?;
                }
                return;
            };
            let mut answer = Box::pin(write(model, request.clone(), cited.clone()));
            let (mut heard, mut interrupted) = (false, false);
            let error = loop {
                let next = if heard { Ok(answer.next().await) } else { timeout(patience, answer.next()).await };
                match next {
                    Ok(Some(Ok(AnswerEvent::Done(summary)))) => {
                        if let Some(error) = nothing_said(&summary).filter(|_| !interrupted) {
                            break error;
                        }
                        yield AnswerEvent::Done(summary);
                        return;
                    }
                    Ok(Some(Ok(event))) => {
                        heard = true;
                        // The model itself begins anew where it has thought aloud.
                        interrupted &= !matches!(event, AnswerEvent::Fallback { .. });
                        interrupted |= matches!(event, AnswerEvent::Token(_) | AnswerEvent::Citation { .. });
                        yield event;
                    }
                    Ok(Some(Err(error))) => break error,
                    Ok(None) => break ProviderError::new(&from, ErrorKind::Network, "the answer ended without its end mark"),
                    Err(_) => {
                        let silent = format!("said nothing within {} s", patience.as_secs_f64());
                        break ProviderError::new(&from, ErrorKind::Timeout, silent);
                    }
                }
            };
            // Hang up before the next one is asked.
            drop(answer);
            let error = if heard { error.having_begun() } else { error };
            void.failed(&from, price, &error);
            tracing::info!(%from, %to, %error, interrupted, "the next model takes over");
            yield AnswerEvent::Fallback { from, to, kind: error.kind, reason: crate::error::reason(&error), interrupted };
        }
    }
}

/// An answer without a word is none, whether a filter stopped it or the model had nothing to say.
fn nothing_said(summary: &AnswerSummary) -> Option<ProviderError> {
    let model = summary.model.as_deref().unwrap_or_default();
    let said = match summary.outcome {
        _ if summary.ttft.is_some() => return None,
        AnswerOutcome::Answered(StopReason::Refused) => "its filter refused to answer",
        _ => "answered with nothing",
    };
    Some(ProviderError::new(model, ErrorKind::BadAnswer, said).having_used(summary.usage))
}
