//! One model writes one answer: its stream, with the citations checked.

use std::pin::Pin;
use std::sync::Arc;

use async_stream::try_stream;
use futures_util::stream::FuturesOrdered;
use futures_util::{Stream, StreamExt};
use tokio::time::Instant;

use crate::answer::cite::{Piece, Scanner};
use crate::answer::claim::{Claim, Claims, Part};
use crate::answer::event::{AnswerEvent, AnswerOutcome, AnswerSummary};
use crate::answer::proof::{Cited, Doubt};
use crate::answer::retrieve::off_runtime;
use crate::providers::{ChatEvent, ChatModel, ChatRequest, ErrorKind, ProviderError};

/// Bytes of an answer and its thoughts: far above any, far below what a server that never stops could fill memory with.
const MAX_ANSWER: usize = 1 << 20;
/// Parts of an answer that may wait for decisions: then the model waits, too.
const MOST_WAITING: usize = 64;

/// The error with what helps where the passages are too much for the model.
fn hinted(error: ProviderError) -> ProviderError {
    let hint = error.overflows().then_some("lower `query.answer.context_tokens` or `query.answer.max_tokens`");
    match hint.filter(|_| error.hint.is_none()) {
        Some(hint) => error.with_hint(hint),
        None => error,
    }
}

/// Streams the answer of `model`, which may cite these sources: `Reasoning`, `Token` and `Citation`, then `Done`, whose times count
/// from the request. A citation waits until its sentence has been checked, and what follows waits behind it; where a model decides,
/// several sentences are with it at once, while the answer goes on. What came of an answer that breaks off has been yielded before the
/// error.
pub(super) fn write(
    model: Arc<dyn ChatModel>,
    request: ChatRequest,
    cited: Cited,
) -> impl Stream<Item = Result<AnswerEvent, ProviderError>> + Send + 'static {
    try_stream! {
        let mut scanner = Scanner::new(cited.given());
        let (mut claims, mut doubts) = (Claims::default(), Vec::new());
        let requested = Instant::now();
        let (mut ttft, mut written) = (None, 0);
        let mut answer = model.chat(request).await.map_err(hinted)?;
        let mut waiting: FuturesOrdered<Checking> = FuturesOrdered::new();
        // Without a model that decides, nothing waits for longer than a check takes.
        let most = if cited.deciding().is_some() { MOST_WAITING } else { 0 };
        let end = loop {
            let next = tokio::select! {
                biased;
                Some(shown) = waiting.next() => Next::Shown(shown),
                came = answer.next(), if waiting.len() <= most => Next::Came(came),
            };
            let came = match next {
                Next::Shown(Shown { events, doubtful }) => {
                    doubts.extend(doubtful);
                    for event in events {
                        yield event;
                    }
                    continue;
                }
                Next::Came(came) => came,
            };
            if let Some(Ok(ChatEvent::Reasoning(text) | ChatEvent::Text(text))) = &came {
                written += text.len();
            }
            match came {
                _ if written > MAX_ANSWER => {
                    break Err(ProviderError::new(model.model(), ErrorKind::BadAnswer, "wrote more than any answer has"));
                }
                Some(Ok(ChatEvent::Reasoning(text))) => yield AnswerEvent::Reasoning(text),
                Some(Ok(ChatEvent::Text(text))) => {
                    if !text.trim().is_empty() {
                        ttft.get_or_insert_with(|| requested.elapsed());
                    }
                    waiting.extend(parts(&mut claims, scanner.push(&text)).into_iter().map(|part| checked(cited.clone(), part)));
                }
                // What was shown is void: its citations do not count.
                Some(Ok(ChatEvent::Retracted)) => {
                    scanner = Scanner::new(cited.given());
                    waiting = FuturesOrdered::new();
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
        waiting.extend(held_back.into_iter().map(|part| checked(cited.clone(), part)));
        while let Some(Shown { events, doubtful }) = waiting.next().await {
            doubts.extend(doubtful);
            for event in events {
                yield event;
            }
        }
        let (stop, usage) = end.map_err(|error| if written > 0 { error.having_begun() } else { error })?;
        yield AnswerEvent::Done(AnswerSummary {
            model: Some(model.model().to_owned()),
            citations: scanner.citations().to_vec(),
            unknown_citations: scanner.unknown(),
            doubts,
            usage,
            cost_usd: usage.cost(model.price()),
            decided: Vec::new(),
            void: Vec::new(),
            asking: Vec::new(),
            ttft,
            took: requested.elapsed(),
            outcome: AnswerOutcome::Answered(stop),
            answerable: None,
            whole: None,
        });
    }
}

fn parts(claims: &mut Claims, pieces: Vec<Piece>) -> Vec<Part> {
    pieces.into_iter().flat_map(|piece| claims.push(piece)).collect()
}

/// What the select of two streams gave.
enum Next {
    Shown(Shown),
    Came(Option<Result<ChatEvent, ProviderError>>),
}

/// A part that may be shown.
struct Shown {
    events: Vec<AnswerEvent>,
    doubtful: Vec<Doubt>,
}

/// A part on its way there.
type Checking = Pin<Box<dyn Future<Output = Shown> + Send>>;

/// The events of a part, its marks with what is doubtful of their claims.
fn checked(cited: Cited, part: Part) -> Checking {
    Box::pin(async move {
        let (claims, pieces) = match part {
            Part::Piece(piece) => return Shown { events: vec![event(piece, &[])], doubtful: Vec::new() },
            Part::Marks(claims, pieces) => (claims, pieces),
        };
        let mut doubtful = Vec::new();
        for claim in claims {
            for doubt in doubts(cited.clone(), claim).await {
                if !doubtful.contains(&doubt) {
                    doubtful.push(doubt);
                }
            }
        }
        Shown { events: pieces.into_iter().map(|piece| event(piece, &doubtful)).collect(), doubtful }
    })
}

/// A check that fails is none: the answer is worth more than it.
async fn doubts(cited: Cited, claim: Claim) -> Vec<Doubt> {
    let (checking, asked) = (cited.clone(), claim.clone());
    let checked = off_runtime("check a citation", move || checking.doubts(&asked)).await;
    let found = checked.unwrap_or_else(|error| {
        tracing::warn!(error = %crate::error::reason(&error), "a citation could not be checked");
        Vec::new()
    });
    cited.decided(&claim, found).await
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
