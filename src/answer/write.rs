//! One model writes one answer: its stream, with the citations checked.

use std::sync::Arc;

use async_stream::try_stream;
use futures_util::{Stream, StreamExt};
use tokio::time::Instant;

use crate::answer::cite::{Piece, Scanner};
use crate::answer::event::{AnswerEvent, AnswerOutcome, AnswerSummary};
use crate::providers::{ChatEvent, ChatModel, ChatRequest, ErrorKind, ProviderError};

/// Streams the answer of `model`, which may cite sources 1 to `given`: `Reasoning`, `Token` and `Citation`, then `Done`, whose
/// times count from the request. What came of an answer that breaks off has been yielded before the error.
pub(super) fn write(
    model: Arc<dyn ChatModel>,
    request: ChatRequest,
    given: usize,
) -> impl Stream<Item = Result<AnswerEvent, ProviderError>> + Send + 'static {
    try_stream! {
        let mut scanner = Scanner::new(given);
        let requested = Instant::now();
        let mut ttft = None;
        let mut answer = model.chat(request).await?;
        let (stop, usage) = loop {
            match answer.next().await {
                Some(Ok(ChatEvent::Reasoning(text))) => yield AnswerEvent::Reasoning(text),
                Some(Ok(ChatEvent::Text(text))) => {
                    if !text.is_empty() {
                        ttft.get_or_insert_with(|| requested.elapsed());
                    }
                    for piece in scanner.push(&text) {
                        yield piece.into();
                    }
                }
                // What was shown is void: its citations do not count.
                Some(Ok(ChatEvent::Retracted)) => {
                    scanner = Scanner::new(given);
                    ttft = None;
                    let name = model.model().to_owned();
                    let reason = "what it wrote so far were its thoughts".to_owned();
                    let (from, kind, interrupted) = (name.clone(), ErrorKind::BadAnswer, true);
                    yield AnswerEvent::Fallback { from, to: name, kind, reason, interrupted };
                }
                Some(Ok(ChatEvent::Done { stop, usage })) => {
                    for piece in scanner.finish() {
                        yield piece.into();
                    }
                    break (stop, usage);
                }
                broken => {
                    // What was held back is part of the partial answer.
                    for piece in scanner.finish() {
                        yield piece.into();
                    }
                    Err(match broken {
                        Some(Err(error)) => error,
                        _ => ProviderError::new(model.model(), ErrorKind::Network, "the answer ended without its end mark"),
                    })?;
                }
            }
        };
        // Nothing that follows the end mark is of interest: end the request before the consumer takes its time.
        drop(answer);
        yield AnswerEvent::Done(AnswerSummary {
            model: Some(model.model().to_owned()),
            citations: scanner.citations().to_vec(),
            unknown_citations: scanner.unknown(),
            usage,
            cost_usd: usage.cost(model.price()),
            ttft,
            took: requested.elapsed(),
            outcome: AnswerOutcome::Answered(stop),
        });
    }
}

impl From<Piece> for AnswerEvent {
    fn from(piece: Piece) -> Self {
        match piece {
            Piece::Text(text) => Self::Token(text),
            Piece::Citation { text, numbers, unknown } => Self::Citation { text, sources: numbers, unknown },
        }
    }
}
