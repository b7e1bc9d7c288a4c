//! Has contexts written: those that are kept already come from the cache, the others from a model, each once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, Span};

use super::prefix::Prefix;
use super::prompt::{self, Asked, WRITTEN};
use super::situating::Situating;
use crate::cache::{Text, TextCache};
use crate::error::{Failure, Origin};
use crate::ingest::breaker::Breaker;
use crate::ingest::clocks::{Asking, Place, Step};
use crate::ingest::report::Report;
use crate::limits::{Waiting, listened};
use crate::providers::{ChatEvent, ChatModel, ChatRequest, ChatStream, ErrorKind, ProviderError, StopReason, Usage};

/// How often a request is made whose answer breaks off, or has no word.
const ATTEMPTS: u32 = 3;
/// Before it is made again.
const PAUSE: Duration = Duration::from_secs(1);
/// Answers of no use by a model that has given none of any: each other chunk would be paid for in vain.
const USELESS: u32 = 16;
/// An answer that is longer is not listened to any further, in bytes: the server does not know `max_tokens`.
const LONGEST: usize = 16 << 10;

/// Why a chunk has no context.
#[derive(Debug, thiserror::Error)]
pub(in crate::ingest) enum ContextError {
    /// The models said no to this chunk.
    #[error(transparent)]
    Chunk(ProviderError),
    /// They failed in such a way that the run ends.
    #[error(transparent)]
    Run(ProviderError),
    /// The run was stopped before the chunk was sent.
    #[error("the run was stopped")]
    Stopped,
}

impl Failure for ContextError {
    fn origin(&self) -> Origin {
        match self {
            Self::Chunk(_) | Self::Run(_) => Origin::Provider,
            Self::Stopped => Origin::Worker,
        }
    }

    fn code(&self) -> &str {
        match self {
            Self::Chunk(error) | Self::Run(error) => error.code(),
            Self::Stopped => "stopped",
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Chunk(error) | Self::Run(error) => error.hint.clone(),
            Self::Stopped => None,
        }
    }

    fn stops_all(&self) -> bool {
        !matches!(self, Self::Chunk(_))
    }
}

/// May be asked from anywhere, any number of chunks at once: the providers' limits say how many are on their way.
#[derive(Debug)]
pub(in crate::ingest) struct Writer {
    models: Vec<Arc<dyn ChatModel>>,
    cache: TextCache,
    breaker: Breaker,
    /// Answers of no use since the last good one; as many as there can be after the first good one.
    useless: AtomicU32,
    report: Arc<Report>,
    stop: CancellationToken,
    /// The stage's: requests are below it.
    span: Span,
}

impl Writer {
    pub fn new(situating: &Situating, cache: TextCache, report: Arc<Report>, stop: CancellationToken, span: Span) -> Self {
        let models = situating.models.clone();
        Self { models, cache, breaker: Breaker::default(), useless: AtomicU32::new(0), report, stop, span }
    }

    /// The context of a chunk.
    pub async fn write(&self, asked: Asked) -> Result<Text, Arc<ContextError>> {
        let (text, paid) = self.cache.get_or_write(asked.key, Box::pin(self.unless_stopped(&asked))).await?;
        if !paid {
            self.report.contexts.cache_hits.add(1);
        }
        Ok(text)
    }

    /// What is on the wire when the run is stopped is waited for, since it is paid for; what waits for its turn is not.
    async fn unless_stopped(&self, asked: &Asked) -> Result<(Text, Received), ContextError> {
        let asking = Asking::begin(Place::take(&self.report.clocks, Step::Context));
        let answer = listened(asking.listener(), self.ask(asked, &asking));
        let answer = self.report.contexts.sent.counts(answer).instrument(self.span.clone());
        let may_go = |asking: &Asking| !asking.is_on_wire();
        asking.unless_stopped(&self.stop, may_go, answer).await.unwrap_or(Err(ContextError::Stopped))
    }

    /// Asks one model after the other until one answers.
    async fn ask(&self, asked: &Asked, asking: &Asking) -> Result<(Text, Received), ContextError> {
        let mut models = self.models.iter().peekable();
        let mut failed = ProviderError::new("chunk.context", ErrorKind::ModelMissing, "no model is set");
        // What is kept, is kept by the model that all are asked of first.
        let mut prefix = asked.prefix.as_ref();
        while let Some(model) = models.next() {
            match self.answer(&**model, asked, prefix.take(), asking).await {
                Ok((text, received)) => {
                    self.breaker.answered();
                    self.report.contexts.written.add(1);
                    return Ok((text.into(), received));
                }
                Err(error) => failed = error,
            }
            if let Some(next) = models.peek() {
                tracing::info!(from = model.model(), to = next.model(), error = %failed, "the next model says where the chunk stands");
            }
        }
        let useless = self.useless.load(Ordering::Relaxed);
        if self.breaker.failed(&failed).is_some() || (USELESS..u32::MAX).contains(&useless) {
            // Not one request more.
            self.stop.cancel();
            return Err(ContextError::Run(failed));
        }
        Err(ContextError::Chunk(failed))
    }

    /// What a model answers, asked again where its answer breaks off or is empty. What fails before has been tried again below.
    async fn answer(
        &self,
        model: &dyn ChatModel,
        asked: &Asked,
        prefix: Option<&Prefix>,
        asking: &Asking,
    ) -> Result<(String, Received), ProviderError> {
        let (mut attempt, began) = (1, Instant::now());
        loop {
            let mut begun = false;
            match self.once(model, asked, prefix, asking, &mut begun).await {
                Err(error) if begun && attempt < ATTEMPTS && self.asks_again(&error) => {
                    attempt += 1;
                    tracing::info!(%error, attempt, "an answer broke off or was empty, and is asked for again");
                    asking.is(Waiting::Pause);
                    tokio::time::sleep(PAUSE).await;
                }
                Err(error) if begun => {
                    return Err(ProviderError { attempts: attempt, waited: began.elapsed(), ..error });
                }
                answer => return answer,
            }
        }
    }

    /// Whether what went wrong once an answer had begun may go well the next time. Of a model that has never said anything, no more than
    /// [`USELESS`] answers are paid for.
    fn asks_again(&self, error: &ProviderError) -> bool {
        let useless = self.useless.load(Ordering::Relaxed);
        error.is_transient() || (error.kind == ErrorKind::InvalidInput && !(USELESS..u32::MAX).contains(&useless))
    }

    async fn once(
        &self,
        model: &dyn ChatModel,
        asked: &Asked,
        prefix: Option<&Prefix>,
        asking: &Asking,
        begun: &mut bool,
    ) -> Result<(String, Received), ProviderError> {
        let mut answer = self.begun(model, &asked.request, prefix, asking).await?;
        *begun = true;
        // The model still writes.
        asking.is(Waiting::Wire);
        let mut text = String::new();
        let (stop, usage) = loop {
            match answer.next().await {
                Some(event) => match event? {
                    ChatEvent::Text(more) => text.push_str(&more),
                    ChatEvent::Reasoning(_) => {}
                    ChatEvent::Retracted => text.clear(),
                    ChatEvent::Done { stop, usage } => break (stop, usage),
                },
                None => {
                    return Err(ProviderError::new(model.model(), ErrorKind::Network, "the answer ended without its end mark"));
                }
            }
            if text.len() > LONGEST {
                break (StopReason::Length, Usage::default());
            }
        };
        asking.is(Waiting::Nothing);
        let (input, output) = (usage.input_tokens.or(Some(asked.read)), usage.output_tokens.or(Some(WRITTEN)));
        let usage = Usage { input_tokens: input, output_tokens: output, ..usage };
        self.report.contexts.paid(usage, usage.cost(model.price()));
        let of_use = match stop {
            StopReason::Refused => None,
            _ => prompt::cleaned(&text),
        };
        if of_use.is_some() {
            self.useless.store(u32::MAX, Ordering::Relaxed);
        } else {
            let more = |useless: u32| Some(useless.saturating_add(1));
            let _ = self.useless.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
            // What a filter keeps back, or thoughts take, would be so again.
            *begun = stop == StopReason::End;
        }
        let text = of_use.ok_or_else(|| nothing_said(model.model(), stop))?;
        Ok((text, answer))
    }

    /// The answer to a request that has left and is being answered.
    async fn begun(
        &self,
        model: &dyn ChatModel,
        request: &ChatRequest,
        prefix: Option<&Prefix>,
        asking: &Asking,
    ) -> Result<ChatStream, ProviderError> {
        let prefix = prefix.filter(|_| request.shared.is_some_and(|shared| model.keeps(shared)));
        // Who does not wait for the first would only pay for keeping it, too.
        let request = ChatRequest { shared: prefix.and(request.shared), ..request.clone() };
        let sent = async {
            self.report.contexts.requests.add(1);
            model.chat(request).await
        };
        match prefix {
            Some(prefix) => {
                if !prefix.is_kept() {
                    asking.follows();
                }
                prefix.send(sent).await
            }
            None => sent.await,
        }
    }
}

/// What was read to its end, and is held until its text is kept: with it goes its place among the requests in flight.
type Received = ChatStream;

/// An answer without a word. It is the chunk's own: another one may have one.
fn nothing_said(model: &str, stop: StopReason) -> ProviderError {
    let (message, hint) = match stop {
        StopReason::Refused => {
            ("its filter refused to say where a chunk stands", "name another model under `chunk.context.fallback`")
        }
        StopReason::Length => (
            "all that it may write went into its thoughts, and nothing into where a chunk stands",
            "have it think less (a setting of its server), or name another model under `chunk.context`",
        ),
        StopReason::End => ("said nothing of where a chunk stands", "name another model under `chunk.context`"),
    };
    ProviderError::new(model, ErrorKind::InvalidInput, message).with_hint(hint)
}

#[cfg(test)]
mod tests;
