//! Asks: retrieves, composes the prompt, and streams the answer with its citations checked.

use std::sync::Arc;
use std::time::Duration;

use async_stream::try_stream;
use futures_util::{Stream, StreamExt};
use tokio::time::Instant;

use crate::answer::cite::{Piece, Scanner};
use crate::answer::prompt::{Composed, compose};
use crate::answer::retrieve::{Retriever, off_runtime};
use crate::answer::source::{Source, join};
use crate::error::Error;
use crate::providers::{ChatEvent, ChatModel, ChatRequest, ErrorKind, Message, ProviderError, Role, StopReason, Usage};

/// Passages that are shown as the answer when no model is set: as much as one reads.
const PASSAGES_SHOWN: usize = 3;

/// Counts tokens as the budget does. Pure CPU work; called off the runtime.
pub type CountTokens = Arc<dyn Fn(&str) -> usize + Send + Sync>;

/// A question with all that is needed to answer it.
#[derive(Clone)]
pub struct Ask {
    /// Where passages come from; its plan also says how to answer.
    pub retriever: Arc<Retriever>,
    /// What answers; `None` shows the best passages instead.
    pub model: Option<Arc<dyn ChatModel>>,
    /// What counts the budget's tokens.
    pub count_tokens: CountTokens,
    /// The question.
    pub question: String,
    /// Passages to retrieve, at most.
    pub limit: usize,
}

/// What an answer consists of: `Sources`, then `Reasoning`, `Token` and `Citation` in the order of the answer, then `Done`.
/// After an `Err`, which may come at any point, nothing follows.
#[derive(Debug, Clone, PartialEq)]
pub enum AnswerEvent {
    /// The sources that the answer may cite, best first. Empty when nothing was found.
    Sources {
        /// Numbered from 1.
        sources: Vec<Source>,
        /// The model that is asked next; `None` when none is.
        model: Option<String>,
    },
    /// The model thinks aloud; not part of the answer.
    Reasoning(String),
    /// A piece of the answer.
    Token(String),
    /// A citation: a piece of the answer, too.
    Citation {
        /// As the model wrote it.
        text: String,
        /// The sources it names.
        sources: Vec<usize>,
        /// Numbers in it that no source has.
        unknown: Vec<usize>,
    },
    /// The answer is complete.
    Done(Summary),
}

/// How an answer ended and what it took.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// The model that wrote it, as `provider/model`; `None` when none did.
    pub model: Option<String>,
    /// The sources cited, in the order of their first use.
    pub citations: Vec<usize>,
    /// Numbers cited that no source has, ascending.
    pub unknown_citations: Vec<usize>,
    /// What it cost, where the provider says so.
    pub usage: Usage,
    /// What that comes to in US dollars, where the price is known.
    pub cost_usd: Option<f64>,
    /// From the start of the request to the model to the first piece of the answer (reasoning is none); `None` without one.
    pub ttft: Option<Duration>,
    /// From the question to the end, retrieval included.
    pub took: Duration,
    /// How it ended.
    pub outcome: Outcome,
}

/// How an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// A model wrote it, and stopped for this reason.
    Answered(StopReason),
    /// No model is set: the answer is the best passages themselves.
    Passages,
    /// The index holds nothing on the question; no model was asked.
    NothingFound,
}

/// Streams the answer to a question. Nothing happens before the first poll; dropping the stream cancels the request upstream.
///
/// # Errors
/// [`Error::Question`] for a question that cannot be asked, else what the embedder, the store or the model says. The pieces of an
/// answer that broke off have been yielded before the error.
pub fn ask(ask: Ask) -> impl Stream<Item = Result<AnswerEvent, Error>> + Send + 'static {
    try_stream! {
        let Ask { retriever, model, count_tokens, question, limit } = ask;
        let started = Instant::now();
        let found = join(retriever.retrieve(&question, limit).await?);
        let unanswered = |outcome, citations| Summary {
            model: None,
            citations,
            unknown_citations: Vec::new(),
            usage: Usage::default(),
            cost_usd: None,
            ttft: None,
            took: started.elapsed(),
            outcome,
        };
        if found.is_empty() {
            yield AnswerEvent::Sources { sources: found, model: None };
            yield AnswerEvent::Done(unanswered(Outcome::NothingFound, Vec::new()));
            return;
        }
        let Some(model) = model else {
            yield AnswerEvent::Sources { sources: found.clone(), model: None };
            let shown = found.get(..PASSAGES_SHOWN).unwrap_or(&found);
            for source in shown {
                yield AnswerEvent::Token(format!("{}\n", source.text.trim_end()));
                yield AnswerEvent::Citation { text: format!("[{}]", source.n), sources: vec![source.n], unknown: Vec::new() };
                yield AnswerEvent::Token("\n\n".into());
            }
            yield AnswerEvent::Done(unanswered(Outcome::Passages, shown.iter().map(|source| source.n).collect()));
            return;
        };

        let plan = retriever.plan.clone();
        let Composed { prompt, sources, .. } = off_runtime("fit the sources into the prompt", move || {
            compose(plan.prompt.as_deref(), question.trim(), found, plan.context_tokens, &*count_tokens)
        })
        .await??;
        let mut scanner = Scanner::new(sources.len());
        yield AnswerEvent::Sources { sources, model: Some(model.model().to_owned()) };

        let request = ChatRequest {
            system: prompt.system,
            messages: vec![Message { role: Role::User, text: prompt.user }],
            max_tokens: retriever.plan.max_tokens,
            temperature: retriever.plan.temperature,
        };
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
        yield AnswerEvent::Done(Summary {
            model: Some(model.model().to_owned()),
            citations: scanner.citations().to_vec(),
            unknown_citations: scanner.unknown(),
            usage,
            cost_usd: usage.cost(model.price()),
            ttft,
            took: started.elapsed(),
            outcome: Outcome::Answered(stop),
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
