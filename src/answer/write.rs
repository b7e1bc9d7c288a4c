//! One model writes one answer: its stream, with the citations checked.

use std::sync::Arc;

use async_stream::try_stream;
use futures_util::{Stream, StreamExt};
use tokio::time::Instant;

use crate::answer::cite::{Piece, Scanner};
use crate::answer::claim::{Claim, Claims, Part};
use crate::answer::event::{AnswerEvent, AnswerOutcome, AnswerSummary};
use crate::answer::proof::{Cited, Doubt};
use crate::answer::retrieve::off_runtime;
use crate::providers::{ChatEvent, ChatModel, ChatRequest, ErrorKind, ProviderError};

/// Streams the answer of `model`, which may cite these sources: `Reasoning`, `Token` and `Citation`, then `Done`, whose times count
/// from the request. A citation waits until its sentence has been checked, and what follows waits behind it. What came of an answer
/// that breaks off has been yielded before the error.
pub(super) fn write(
    model: Arc<dyn ChatModel>,
    request: ChatRequest,
    cited: Cited,
) -> impl Stream<Item = Result<AnswerEvent, ProviderError>> + Send + 'static {
    try_stream! {
        let mut scanner = Scanner::new(cited.given());
        let (mut claims, mut doubts) = (Claims::default(), Vec::new());
        let requested = Instant::now();
        let mut ttft = None;
        let mut answer = model.chat(request).await?;
        let end = loop {
            match answer.next().await {
                Some(Ok(ChatEvent::Reasoning(text))) => yield AnswerEvent::Reasoning(text),
                Some(Ok(ChatEvent::Text(text))) => {
                    if !text.is_empty() {
                        ttft.get_or_insert_with(|| requested.elapsed());
                    }
                    for part in parts(&mut claims, scanner.push(&text)) {
                        for event in checked(&cited, part, &mut doubts).await {
                            yield event;
                        }
                    }
                }
                // What was shown is void: its citations do not count.
                Some(Ok(ChatEvent::Retracted)) => {
                    scanner = Scanner::new(cited.given());
                    (claims, doubts) = (Claims::default(), Vec::new());
                    ttft = None;
                    let name = model.model().to_owned();
                    let reason = "what it wrote so far were its thoughts".to_owned();
                    let (from, kind, interrupted) = (name.clone(), ErrorKind::BadAnswer, true);
                    yield AnswerEvent::Fallback { from, to: name, kind, reason, interrupted };
                }
                Some(Ok(ChatEvent::Done { stop, usage })) => break Ok((stop, usage)),
                Some(Err(error)) => break Err(error),
                None => {
                    break Err(ProviderError::new(model.model(), ErrorKind::Network, "the answer ended without its end mark"));
                }
            }
        };
        // Nothing that follows the end mark is of interest: end the request before the consumer takes its time.
        drop(answer);
        // What was held back is part of an answer that broke off, too.
        let mut held_back = parts(&mut claims, scanner.finish());
        held_back.extend(claims.finish());
        for part in held_back {
            for event in checked(&cited, part, &mut doubts).await {
                yield event;
            }
        }
        let (stop, usage) = end?;
        yield AnswerEvent::Done(AnswerSummary {
            model: Some(model.model().to_owned()),
            citations: scanner.citations().to_vec(),
            unknown_citations: scanner.unknown(),
            doubts,
            usage,
            cost_usd: usage.cost(model.price()),
            ttft,
            took: requested.elapsed(),
            outcome: AnswerOutcome::Answered(stop),
            answerable: None,
        });
    }
}

fn parts(claims: &mut Claims, pieces: Vec<Piece>) -> Vec<Part> {
    pieces.into_iter().flat_map(|piece| claims.push(piece)).collect()
}

/// The events of a part, its marks with what is doubtful of their claim.
async fn checked(cited: &Cited, part: Part, all: &mut Vec<Doubt>) -> Vec<AnswerEvent> {
    let (claim, pieces) = match part {
        Part::Piece(piece) => return vec![event(piece, &[])],
        Part::Marks(claim, pieces) => (claim, pieces),
    };
    let doubts = doubts(cited.clone(), claim).await;
    all.extend_from_slice(&doubts);
    pieces.into_iter().map(|piece| event(piece, &doubts)).collect()
}

/// A check that fails is none: the answer is worth more than it.
async fn doubts(cited: Cited, claim: Claim) -> Vec<Doubt> {
    let checked = off_runtime("check a citation", move || cited.doubts(&claim)).await;
    checked.unwrap_or_else(|error| {
        tracing::warn!(error = %crate::error::reason(&error), "a citation could not be checked");
        Vec::new()
    })
}

fn event(piece: Piece, doubts: &[Doubt]) -> AnswerEvent {
    match piece {
        Piece::Text(text) => AnswerEvent::Token(text),
        Piece::Citation { text, numbers, unknown } => {
            // A mark of unknown numbers alone stands for nothing that could be looked up.
            let doubts = if numbers.is_empty() { Vec::new() } else { doubts.to_vec() };
            AnswerEvent::Citation { text, sources: numbers, unknown, doubts }
        }
    }
}
