//! Texts in, vectors out: single flight and cache in front, full batches and many requests in flight behind.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::{Instrument as _, Span};

use super::batching::Batching;
use super::blame::{Blame, can_be_a_texts, complete};
use super::breaker::Breaker;
use super::clocks::{Asking, Clocks, Doing, Free, Place, Step};
use super::report::Report;
use super::taken::Taken;
use crate::cache::{EmbeddingCache, Key, Vector};
use crate::error::{Failure, Origin};
use crate::limits::{Waiting, WaitingListener, listened};
use crate::providers::{Embedded, Embedder, ErrorKind, Fingerprint, InputType, ProviderError};
use crate::telemetry;

/// How long an unfilled batch waits for more when nothing else is in flight: the provider is idle, so hardly at all.
const LINGER_IDLE: Duration = Duration::from_millis(5);
/// And when other requests are in flight anyway: a fuller batch is worth a short wait.
const LINGER_BUSY: Duration = Duration::from_millis(50);
/// In all it waits so many times that: a trickle must not hold back what came first.
const LINGER_TIMES: u32 = 4;
/// Links of a span at most: OpenTelemetry's own limit.
const LINKS: usize = 128;

/// Why a text has no vector.
#[derive(Debug, thiserror::Error)]
pub enum EmbedError {
    /// The provider said no to this text.
    #[error(transparent)]
    Provider(Arc<ProviderError>),
    /// The provider failed in such a way that the run ends.
    #[error(transparent)]
    Tripped(Arc<ProviderError>),
    /// The run was stopped before the text was sent.
    #[error("the run was stopped")]
    Stopped,
    /// The model panicked: a bug of its own, or of ours.
    #[error("the embedding model broke")]
    Broken,
}

impl Failure for EmbedError {
    fn origin(&self) -> Origin {
        match self {
            Self::Provider(_) | Self::Tripped(_) => Origin::Provider,
            Self::Stopped | Self::Broken => Origin::Worker,
        }
    }

    fn code(&self) -> &str {
        match self {
            Self::Provider(error) | Self::Tripped(error) => error.code(),
            Self::Stopped => "stopped",
            Self::Broken => "internal",
        }
    }

    fn stops_all(&self) -> bool {
        !matches!(self, Self::Provider(_))
    }
}

/// A text that waits for its vector.
struct EmbedRequest {
    key: Key,
    text: String,
    tokens: usize,
    /// The span of its document.
    document: Span,
    answer: oneshot::Sender<Result<Vector, EmbedError>>,
}

/// Texts in, vectors out. May be asked from anywhere, any number of texts at once.
#[derive(Debug)]
pub struct EmbedQueue {
    cache: EmbeddingCache,
    fingerprint: Fingerprint,
    queue: mpsc::Sender<EmbedRequest>,
    report: Arc<Report>,
    stop: CancellationToken,
    /// Fills and sends the batches; ends with this value.
    _batcher: AbortOnDropHandle<()>,
}

impl EmbedQueue {
    /// Starts the batcher for an index of so many `dimensions` (0: not known). After `stop`, what is in flight is finished and the
    /// rest is answered with [`EmbedError::Stopped`]. The spans of batches are below `span`.
    pub fn start(
        embedder: Arc<dyn Embedder>,
        dimensions: usize,
        cache: EmbeddingCache,
        batching: Batching,
        report: Arc<Report>,
        stop: CancellationToken,
        span: Span,
    ) -> Self {
        let (queue, requests) = mpsc::channel(batching.items);
        let fingerprint = embedder.fingerprint();
        let breaker = Arc::new(Breaker::default());
        let batcher = Batcher {
            blame: Blame::new(Arc::clone(&embedder), dimensions, Arc::clone(&breaker), stop.clone()),
            embedder,
            dimensions,
            cache: cache.clone(),
            batching,
            taken: Taken::default(),
            report: Arc::clone(&report),
            breaker,
            stop: stop.clone(),
            span,
        };
        let batcher = AbortOnDropHandle::new(tokio::spawn(batcher.run(requests)));
        Self { cache, fingerprint, queue, report, stop, _batcher: batcher }
    }

    /// The vector of a passage. `tokens` is what it will cost, as far as known.
    pub async fn embed(&self, text: String, tokens: usize) -> Result<Vector, Arc<EmbedError>> {
        self.embed_of(text, tokens, &Span::none()).await
    }

    /// The same for a text of the document that a span is of: that of the batch is linked to it.
    pub async fn embed_of(&self, text: String, tokens: usize, document: &Span) -> Result<Vector, Arc<EmbedError>> {
        let key = Key::new(self.fingerprint.as_str(), InputType::Passage, &text);
        let looks = LooksUp::begin(&self.report.clocks);
        let asked = async {
            drop(looks);
            self.ask(key, text, tokens, document).await
        };
        let (vector, fresh) = self.cache.get_or_embed(key, asked).await?;
        if !fresh {
            self.report.embeddings.cache_hits.add(1);
        }
        Ok(vector)
    }

    async fn ask(&self, key: Key, text: String, tokens: usize, document: &Span) -> Result<Vector, EmbedError> {
        let (answer, vector) = oneshot::channel();
        self.queue
            .send(EmbedRequest { key, text, tokens, document: document.clone(), answer })
            .await
            .map_err(|_| self.gone())?;
        vector.await.map_err(|_| self.gone())?
    }

    /// Why nobody answers.
    fn gone(&self) -> EmbedError {
        if self.stop.is_cancelled() { EmbedError::Stopped } else { EmbedError::Broken }
    }
}

/// Looks in the cache until dropped.
struct LooksUp<'a>(&'a Clocks);

impl<'a> LooksUp<'a> {
    fn begin(clocks: &'a Clocks) -> Self {
        clocks.look_up(true);
        Self(clocks)
    }
}

impl Drop for LooksUp<'_> {
    fn drop(&mut self) {
        self.0.look_up(false);
    }
}

struct Batcher {
    embedder: Arc<dyn Embedder>,
    /// How wide its vectors must be; 0 where that is not known.
    dimensions: usize,
    cache: EmbeddingCache,
    batching: Batching,
    taken: Taken,
    report: Arc<Report>,
    breaker: Arc<Breaker>,
    blame: Blame,
    stop: CancellationToken,
    span: Span,
}

/// What the next batch waits for, as the clocks are to show it.
fn waits(clocks: &Arc<Clocks>) -> WaitingListener {
    let clocks = Arc::clone(clocks);
    Arc::new(move |waiting| match waiting {
        Waiting::Quota => clocks.free(Step::Embed, Free::Quota),
        Waiting::Place => clocks.free(Step::Embed, Free::Places),
        Waiting::Nothing | Waiting::Wire | Waiting::Pause | Waiting::Retry => {}
    })
}

/// A batch, or a part of one.
struct Part {
    texts: Vec<EmbedRequest>,
    /// It failed as part of a larger one, however often that was sent.
    failed: bool,
}

impl Part {
    fn halves(self, failed: bool) -> [Self; 2] {
        let mut texts = self.texts;
        let rest = texts.split_off(texts.len() / 2);
        [Self { texts, failed }, Self { texts: rest, failed }]
    }

    /// Parts of so many texts at most.
    fn of_at_most(self, most: usize) -> Vec<Self> {
        let (mut texts, mut parts) = (self.texts, Vec::new());
        while texts.len() > most.max(1) {
            let rest = texts.split_off(most.max(1));
            parts.push(Self { texts: std::mem::replace(&mut texts, rest), failed: self.failed });
        }
        parts.push(Self { texts, failed: self.failed });
        parts
    }

    /// Nobody waits any more when the run was dropped.
    fn refuse(self, error: impl Fn() -> EmbedError) {
        for request in self.texts {
            let _ = request.answer.send(Err(error()));
        }
    }
}

impl Batcher {
    async fn run(self, mut requests: mpsc::Receiver<EmbedRequest>) {
        let batcher = Arc::new(self);
        let mut in_flight = JoinSet::new();
        let mut left_over = None;
        let clocks = Arc::clone(&batcher.report.clocks);
        let waits = waits(&clocks);
        loop {
            clocks.places(Step::Embed, batcher.concurrency());
            // The place first: while all are taken the queue fills up, and so do the batches.
            while in_flight.len() >= batcher.concurrency() {
                clocks.free(Step::Embed, Free::Places);
                in_flight.join_next().await;
            }
            tokio::select! {
                () = listened(Arc::clone(&waits), batcher.embedder.ready()) => {}
                () = batcher.stop.cancelled() => break,
            }
            clocks.free(Step::Embed, Free::Input);
            while in_flight.try_join_next().is_some() {}
            let idle = in_flight.is_empty();
            let batch = tokio::select! {
                biased;
                () = batcher.stop.cancelled() => break,
                batch = batcher.fill(&mut requests, &mut left_over, idle) => batch,
            };
            if batch.is_empty() {
                break;
            }
            let batcher = Arc::clone(&batcher);
            let (asking, span) = (Asking::begin(Place::take(&clocks, Step::Embed)), batcher.told(&batch));
            let sent = async move {
                let sent = listened(asking.listener(), batcher.send(batch, &asking));
                batcher.report.embeddings.sent.counts(sent).await;
            };
            in_flight.spawn(sent.instrument(span));
        }
        clocks.free(Step::Embed, Free::Input);
        // Whoever still waits in the queue hears "stopped" when it is dropped.
        requests.close();
        drop((requests, left_over));
        while in_flight.join_next().await.is_some() {}
    }

    /// How many batches may be under way: what the provider's limits allow on the wire (the limiter holds back more), and a few
    /// that were answered and are being put on disk. Only a few: a kill costs what is not there yet.
    fn concurrency(&self) -> usize {
        let wire = self.embedder.concurrency();
        wire.saturating_add(wire / 4 + 1).min(self.batching.in_flight)
    }

    /// The next batch: full, or what there is when nothing more comes for a moment. Empty when all is done.
    async fn fill(
        &self,
        requests: &mut mpsc::Receiver<EmbedRequest>,
        left_over: &mut Option<EmbedRequest>,
        idle: bool,
    ) -> Vec<EmbedRequest> {
        let first = match left_over.take() {
            Some(first) => first,
            None => match requests.recv().await {
                Some(first) => first,
                None => return Vec::new(),
            },
        };
        let linger = if idle { LINGER_IDLE } else { LINGER_BUSY };
        // Learned limits may ask for smaller batches than the plan.
        let most = self.batching.tokens.min(self.embedder.limits().tokens);
        let items = self.batching.items.min(self.taken.most());
        self.report.embeddings.batches.add(1);
        let until = Instant::now() + linger * LINGER_TIMES;
        let mut tokens = first.tokens;
        let mut batch = vec![first];
        while batch.len() < items {
            let next = tokio::time::timeout_at(until.min(Instant::now() + linger), requests.recv());
            let Ok(Some(next)) = next.await else { break };
            if tokens + next.tokens > most {
                *left_over = Some(next);
                self.report.embeddings.batches_of_tokens.add(1);
                break;
            }
            tokens += next.tokens;
            batch.push(next);
        }
        batch
    }

    /// The span of a batch. It mixes documents: none is its parent, but those that have a span are linked to.
    fn told(&self, batch: &[EmbedRequest]) -> Span {
        let span = telemetry::batch(&self.span, batch.len(), batch.iter().map(|request| request.tokens).sum());
        let mut last = None;
        let documents = batch.iter().filter_map(|request| request.document.id());
        for document in documents.filter(|id| last.replace(id.clone()).as_ref() != Some(id)).take(LINKS) {
            span.follows_from(document);
        }
        span
    }

    /// Sends a batch and answers everyone in it. Texts that the provider will never accept, or that its model breaks on, are found
    /// by halving.
    async fn send(&self, batch: Vec<EmbedRequest>, asking: &Asking) {
        let mut parts = vec![Part { texts: batch, failed: false }];
        // What the whole batch failed with says more than what a part of it did.
        let mut whole: Option<Arc<ProviderError>> = None;
        // The first refusal of several texts, and the most that were taken at once; whether all were, in the end.
        let mut refused: Option<(usize, ProviderError)> = None;
        let (mut largest, mut all) = (0, true);
        while let Some(mut part) = parts.pop() {
            let (sent, texts) = (Instant::now(), part.texts.len());
            let error = match self.ask(&mut part, asking).await {
                Some(Err(error)) => error,
                Some(Ok(())) => {
                    self.taken.took(texts);
                    largest = largest.max(texts);
                    continue;
                }
                None => {
                    all = false;
                    part.refuse(|| EmbedError::Stopped);
                    continue;
                }
            };
            // What is found out by further requests, and these themselves.
            asking.does(Doing::Retry);
            if texts > 1 && error.kind == ErrorKind::InvalidInput {
                self.tell_most(self.taken.refused(texts, &error));
                refused.get_or_insert((texts, error));
                let (most, failed) = (self.taken.most(), part.failed);
                let smaller = if most < texts { part.of_at_most(most) } else { part.halves(failed).into() };
                parts.extend(smaller.into_iter().rev());
                continue;
            }
            let the_texts = self.blame.is_the_texts(&error, sent).await;
            if texts > 1 && the_texts {
                whole = whole.or(Some(Arc::new(error)));
                let [first, rest] = part.halves(true);
                parts.extend([rest, first]);
                continue;
            }
            all = false;
            if the_texts {
                tracing::debug!(%error, "the model breaks on one text");
            } else if self.breaker.failed(&error).is_some() {
                // Not one request more.
                self.stop.cancel();
                let error = whole.unwrap_or(Arc::new(error));
                parts.into_iter().chain([part]).for_each(|part| part.refuse(|| EmbedError::Tripped(Arc::clone(&error))));
                return;
            }
            let away = !the_texts && can_be_a_texts(error.kind);
            let error = Arc::new(error);
            // A provider that answers nothing is not asked for the rest.
            let rest = if away { std::mem::take(&mut parts) } else { Vec::new() };
            rest.into_iter().chain([part]).for_each(|part| part.refuse(|| EmbedError::Provider(Arc::clone(&error))));
        }
        if let Some((texts, error)) = refused.filter(|_| all) {
            self.tell_most(self.taken.took_in_parts(texts, largest, &error));
        }
    }

    /// Tells what was learned of the most texts that a request may have.
    fn tell_most(&self, learned: Option<usize>) {
        if let Some(most) = learned {
            let model = self.embedder.model();
            tracing::warn!(
                "{model} refuses more than {most} texts a request: set `embed: {{ batch: {{ items: {most} }} }}`, and none is refused"
            );
        }
    }

    /// Sends a part of a batch, and answers everyone in it where it is embedded. Where it is not, the part is as it was. `None`: the run
    /// was stopped before it was sent.
    async fn ask(&self, part: &mut Part, asking: &Asking) -> Option<Result<(), ProviderError>> {
        let inputs: Vec<String> = part.texts.iter_mut().map(|request| std::mem::take(&mut request.text)).collect();
        let embedded = async {
            if part.failed {
                self.embedder.embed_briefly(&inputs, InputType::Passage).await
            } else {
                self.embedder.embed(&inputs, InputType::Passage).await
            }
        };
        let answer = asking.unless_stopped(&self.stop, Asking::is_held_back, embedded).await?;
        asking.is(Waiting::Nothing);
        Some(self.answer(part, inputs, answer).await)
    }

    /// Answers everyone in a part of a batch that was sent.
    async fn answer(
        &self,
        part: &mut Part,
        inputs: Vec<String>,
        answer: Result<Embedded, ProviderError>,
    ) -> Result<(), ProviderError> {
        let answer = answer.and_then(|embedded| complete(embedded, inputs.len(), self.dimensions, self.embedder.model()));
        let embedded: Embedded = answer.inspect_err(|_| {
            part.texts.iter_mut().zip(inputs).for_each(|(request, text)| request.text = text);
        })?;
        self.breaker.answered();
        let texts = std::mem::take(&mut part.texts);
        self.report.embeddings.embedded.add(texts.len() as u64);
        let estimate = texts.iter().map(|request| request.tokens as u64).sum();
        self.report.embeddings.tokens.add(embedded.tokens.unwrap_or(estimate));
        let vectors: Vec<Vector> = embedded.vectors.into_iter().map(Vector::from).collect();
        // Before any chunk goes on: what is paid for is never paid for again, whatever happens next.
        self.cache.keep(texts.iter().map(|request| request.key).zip(vectors.iter().map(Arc::clone)).collect()).await;
        for (request, vector) in texts.into_iter().zip(vectors) {
            // Nobody waits any more when the run was dropped.
            let _ = request.answer.send(Ok(vector));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
