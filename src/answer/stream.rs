//! Asks: retrieves, composes the prompt, and streams the answer with its citations checked.

use std::sync::Arc;
use std::time::Duration;

use async_stream::try_stream;
use futures_util::{Stream, StreamExt};
use tokio::time::Instant;

use crate::answer::fallback::write_with_fallback;
use crate::answer::prompt::{Composed, HISTORY, compose};
use crate::answer::retrieve::{Retriever, off_runtime};
use crate::answer::source::{Source, join};
use crate::error::Error;
use crate::providers::{ChatModel, ChatRequest, ErrorKind, Message, Role, StopReason, Usage};

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
    /// Models that stand by, in this order, for when it fails.
    pub fallback: Vec<Arc<dyn ChatModel>>,
    /// What counts the budget's tokens.
    pub count_tokens: CountTokens,
    /// The question.
    pub question: String,
    /// Passages to retrieve, at most.
    pub limit: usize,
    /// What the question goes on from.
    pub conversation: Conversation,
}

/// What a question goes on from; the default is nothing.
#[derive(Debug, Clone, Default)]
pub struct Conversation {
    /// What was said before, oldest first: questions and answers in turn.
    pub history: Vec<Message>,
    /// The question as it stands alone, for retrieval; `None` is the question itself.
    pub search: Option<String>,
}

/// What an answer consists of: `Sources`, then `Reasoning`, `Token` and `Citation` in the order of the answer, then `Done`.
/// A `Fallback` may come before any of the latter. After an `Err`, which may come at any point, nothing follows.
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
    /// A model failed, and another answers in its stead.
    Fallback {
        /// Which model failed, as `provider/model`.
        from: String,
        /// Which one answers now.
        to: String,
        /// What went wrong, as far as a caller decides on it.
        kind: ErrorKind,
        /// What went wrong.
        reason: String,
        /// There were pieces of the answer already: they are void, the answer begins anew.
        interrupted: bool,
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
/// [`QuestionError`](super::QuestionError) for a question that cannot be asked, else what the embedder, the store or the (last) model says. The pieces
/// of an answer that broke off have been yielded before the error.
pub fn ask(ask: Ask) -> impl Stream<Item = Result<AnswerEvent, Error>> + Send + 'static {
    try_stream! {
        let started = Instant::now();
        let found = ask.find().await?;
        if found.is_empty() {
            yield AnswerEvent::Sources { sources: found, model: None };
            yield AnswerEvent::Done(unanswered(Outcome::NothingFound, Vec::new(), started));
            return;
        }
        let Some(model) = ask.model.clone() else {
            yield AnswerEvent::Sources { sources: found.clone(), model: None };
            let shown = found.get(..PASSAGES_SHOWN).unwrap_or(&found);
            for source in shown {
                yield AnswerEvent::Token(format!("{}\n", source.text.trim_end()));
                yield AnswerEvent::Citation { text: format!("[{}]", source.n), sources: vec![source.n], unknown: Vec::new() };
                yield AnswerEvent::Token("\n\n".into());
            }
            let shown = shown.iter().map(|source| source.n).collect();
            yield AnswerEvent::Done(unanswered(Outcome::Passages, shown, started));
            return;
        };

        let (sources, request) = ask.compose(found).await?;
        let given = sources.len();
        yield AnswerEvent::Sources { sources, model: Some(model.model().to_owned()) };
        let models = std::iter::once(model).chain(ask.fallback.clone()).collect();
        let patience = ask.retriever.plan.fallback_after;
        let mut answer = std::pin::pin!(write_with_fallback(models, request, given, patience));
        while let Some(event) = answer.next().await {
            yield match event? {
                AnswerEvent::Done(summary) => AnswerEvent::Done(Summary { took: started.elapsed(), ..summary }),
                event => event,
            };
        }
    }
}

impl Ask {
    /// The sources that the question finds, best first.
    pub(super) async fn find(&self) -> Result<Vec<Source>, Error> {
        let search = self.conversation.search.as_deref().unwrap_or(&self.question);
        Ok(join(self.retriever.retrieve(search, self.limit).await?))
    }

    /// What a model is asked, and those of the sources that fit into it.
    pub(super) async fn compose(&self, found: Vec<Source>) -> Result<(Vec<Source>, ChatRequest), Error> {
        let (plan, question) = (self.retriever.plan.clone(), self.question.clone());
        let count_tokens = Arc::clone(&self.count_tokens);
        let mut messages = self.conversation.history.clone();
        let said: Vec<String> = messages.iter().map(|message| message.text.clone()).collect();
        let Composed { prompt, sources, .. } = off_runtime("fit the sources into the prompt", move || {
            let said = said.iter().map(|text| count_tokens(text)).reduce(|a, b| a + b);
            let said = said.map_or(0, |said| said + count_tokens(HISTORY));
            let budget = plan.context_tokens.saturating_sub(said);
            compose(plan.prompt.as_deref(), question.trim(), found, budget, &*count_tokens)
        })
        .await??;
        messages.push(Message { role: Role::User, text: prompt.user });
        let system = if messages.len() > 1 { format!("{}\n\n{HISTORY}", prompt.system) } else { prompt.system };
        let request = ChatRequest {
            system,
            messages,
            max_tokens: self.retriever.plan.max_tokens,
            temperature: self.retriever.plan.temperature,
        };
        Ok((sources, request))
    }
}

fn unanswered(outcome: Outcome, citations: Vec<usize>, started: Instant) -> Summary {
    Summary {
        model: None,
        citations,
        unknown_citations: Vec::new(),
        usage: Usage::default(),
        cost_usd: None,
        ttft: None,
        took: started.elapsed(),
        outcome,
    }
}
