//! Texts in, vectors out: single flight and cache in front, full batches and many requests in flight behind.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::batching::Batching;
use super::breaker::Breaker;
use super::report::{Report, Stage};
use crate::cache::{EmbeddingCache, Key, Vector};
use crate::error::{Failure, Origin};
use crate::providers::{Embedded, Embedder, ErrorKind, Fingerprint, InputType, ProviderError};

/// How long an unfilled batch waits for more when nothing else is in flight: the provider is idle, so hardly at all.
const LINGER_IDLE: Duration = Duration::from_millis(5);
/// And when other requests are in flight anyway: a fuller batch is worth a short wait.
const LINGER_BUSY: Duration = Duration::from_millis(50);
/// In all it waits so many times that: a trickle must not hold back what came first.
const LINGER_TIMES: u32 = 4;

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

    fn code(&self) -> &'static str {
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
    /// Starts the batcher for an index of so many `dimensions` (0: not known). After `stop`, what is in flight is finished and the rest is answered with [`EmbedError::Stopped`].
    pub fn start(
        embedder: Arc<dyn Embedder>,
        dimensions: usize,
        cache: EmbeddingCache,
        batching: Batching,
        report: Arc<Report>,
        stop: CancellationToken,
    ) -> Self {
        let (queue, requests) = mpsc::channel(batching.items);
        let fingerprint = embedder.fingerprint();
        let batcher = Batcher {
            embedder,
            dimensions,
            cache: cache.clone(),
            batching,
            report: Arc::clone(&report),
            breaker: Breaker::default(),
            stop: stop.clone(),
        };
        let batcher = AbortOnDropHandle::new(tokio::spawn(batcher.run(requests)));
        Self { cache, fingerprint, queue, report, stop, _batcher: batcher }
    }

    /// The vector of a passage. `tokens` is what it will cost, as far as known.
    pub async fn embed(&self, text: String, tokens: usize) -> Result<Vector, Arc<EmbedError>> {
        let key = Key::new(self.fingerprint.as_str(), InputType::Passage, &text);
        let (vector, fresh) = self.cache.get_or_embed(key, self.ask(key, text, tokens)).await?;
        if !fresh {
            self.report.embeddings.cache_hits.add(1);
        }
        Ok(vector)
    }

    async fn ask(&self, key: Key, text: String, tokens: usize) -> Result<Vector, EmbedError> {
        let (answer, vector) = oneshot::channel();
        self.queue.send(EmbedRequest { key, text, tokens, answer }).await.map_err(|_| self.gone())?;
        vector.await.map_err(|_| self.gone())?
    }

    /// Why nobody answers.
    fn gone(&self) -> EmbedError {
        if self.stop.is_cancelled() { EmbedError::Stopped } else { EmbedError::Broken }
    }
}

struct Batcher {
    embedder: Arc<dyn Embedder>,
    /// How wide its vectors must be; 0 where that is not known.
    dimensions: usize,
    cache: EmbeddingCache,
    batching: Batching,
    report: Arc<Report>,
    breaker: Breaker,
    stop: CancellationToken,
}

impl Batcher {
    async fn run(self, mut requests: mpsc::Receiver<EmbedRequest>) {
        let batcher = Arc::new(self);
        let mut in_flight = JoinSet::new();
        let mut left_over = None;
        loop {
            // The place first: while all are taken the queue fills up, and so do the batches.
            while in_flight.len() >= batcher.concurrency() && in_flight.join_next().await.is_some() {}
            tokio::select! {
                () = batcher.embedder.ready() => {}
                () = batcher.stop.cancelled() => break,
            }
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
            in_flight.spawn(async move { batcher.send(batch).await });
        }
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
        let until = Instant::now() + linger * LINGER_TIMES;
        let mut tokens = first.tokens;
        let mut batch = vec![first];
        while batch.len() < self.batching.items {
            let next = tokio::time::timeout_at(until.min(Instant::now() + linger), requests.recv());
            let Ok(Some(next)) = next.await else { break };
            if tokens + next.tokens > most {
                *left_over = Some(next);
                break;
            }
            tokens += next.tokens;
            batch.push(next);
        }
        batch
    }

    /// Sends a batch and answers everyone in it. An input that the provider will never accept is found by halving.
    async fn send(&self, batch: Vec<EmbedRequest>) {
        let mut parts = vec![batch];
        while let Some(mut part) = parts.pop() {
            let inputs: Vec<String> = part.iter_mut().map(|request| std::mem::take(&mut request.text)).collect();
            let busy = self.report.busy(Stage::Embed);
            let answer = self.embedder.embed(&inputs, InputType::Passage).await;
            drop(busy);
            match answer.and_then(|embedded| complete(embedded, part.len(), self.dimensions, self.embedder.model())) {
                Ok(embedded) => {
                    self.breaker.answered();
                    self.report.embeddings.embedded.add(part.len() as u64);
                    let estimate = part.iter().map(|request| request.tokens as u64).sum();
                    self.report.embeddings.tokens.add(embedded.tokens.unwrap_or(estimate));
                    let vectors: Vec<Vector> = embedded.vectors.into_iter().map(Vector::from).collect();
                    // Before any chunk goes on: what is paid for is never paid for again, whatever happens next.
                    self.cache.keep(part.iter().map(|request| request.key).zip(vectors.iter().map(Arc::clone)).collect()).await;
                    for (request, vector) in part.into_iter().zip(vectors) {
                        // Nobody waits any more when the run was dropped.
                        let _ = request.answer.send(Ok(vector));
                    }
                }
                Err(error) if error.kind == ErrorKind::InvalidInput && part.len() > 1 => {
                    for (request, text) in part.iter_mut().zip(inputs) {
                        request.text = text;
                    }
                    let rest = part.split_off(part.len() / 2);
                    parts.extend([rest, part]);
                }
                Err(error) => {
                    let trip = self.breaker.failed(&error);
                    if trip.is_some() {
                        // Not one request more.
                        self.stop.cancel();
                    }
                    let error = Arc::new(error);
                    for request in part {
                        let error = Arc::clone(&error);
                        let error = if trip.is_some() { EmbedError::Tripped(error) } else { EmbedError::Provider(error) };
                        let _ = request.answer.send(Err(error));
                    }
                }
            }
        }
    }
}

/// A provider that returns 99 vectors for 100 inputs is wrong about all of them; so is one whose vectors no index could hold.
fn complete(embedded: Embedded, asked: usize, dimensions: usize, model: &str) -> Result<Embedded, ProviderError> {
    let vectors = &embedded.vectors;
    let odd = |vector: &&Vec<f32>| dimensions > 0 && vector.len() != dimensions;
    let message = if vectors.len() != asked {
        format!("{} vectors came back for {asked} inputs", vectors.len())
    } else if let Some(odd) = vectors.iter().find(odd) {
        format!("a vector of {} numbers came back, where the index has {dimensions}", odd.len())
    } else if vectors.iter().any(|vector| vector.iter().any(|number| !number.is_finite())) {
        "a vector came back with a number that is not finite".to_owned()
    } else {
        return Ok(embedded);
    };
    Err(ProviderError::new(model, ErrorKind::BadAnswer, message))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test may panic")]
mod tests {
    use std::sync::Mutex;

    use async_trait::async_trait;
    use futures_util::future::join_all;

    use super::*;
    use crate::providers::EmbedLimits;

    /// Embeds a text as its length; refuses "bad"; remembers what was asked.
    #[derive(Debug, Default)]
    struct Lengths {
        batches: Mutex<Vec<Vec<String>>>,
        short: bool,
        /// What it says for every text.
        odd: Option<Vec<f32>>,
    }

    #[async_trait]
    impl Embedder for Lengths {
        fn model(&self) -> &'static str {
            "test/lengths"
        }
        fn fingerprint(&self) -> Fingerprint {
            "test".into()
        }
        async fn dimensions(&self) -> Result<usize, ProviderError> {
            Ok(1)
        }
        fn limits(&self) -> EmbedLimits {
            EmbedLimits::new(8, 100, 100)
        }
        async fn embed(&self, inputs: &[String], _kind: InputType) -> Result<Embedded, ProviderError> {
            self.batches.lock().unwrap().push(inputs.to_vec());
            tokio::time::sleep(Duration::from_millis(100)).await;
            if inputs.iter().any(|input| input == "bad") {
                return Err(ProviderError::new("test", ErrorKind::InvalidInput, "bad input"));
            }
            let vector = |input: &String| self.odd.clone().unwrap_or_else(|| vec![input.len() as f32]);
            let vectors = inputs.iter().skip(usize::from(self.short)).map(vector).collect();
            Ok(Embedded { vectors, tokens: None })
        }
    }

    fn start(embedder: &Arc<Lengths>, stop: &CancellationToken) -> (EmbedQueue, Arc<Report>) {
        let report = Arc::new(Report::default());
        let batching = Batching { items: 8, tokens: 100, in_flight: 2, texts: 16, waiting: 0 };
        let embedder: Arc<dyn Embedder> = Arc::<Lengths>::clone(embedder);
        let cache = EmbeddingCache::new(1 << 20);
        (EmbedQueue::start(embedder, 1, cache, batching, Arc::clone(&report), stop.clone()), report)
    }

    #[tokio::test(start_paused = true)]
    async fn batches_keep_both_limits_and_every_text_gets_its_own_vector() {
        let embedder = Arc::new(Lengths::default());
        let (queue, report) = start(&embedder, &CancellationToken::new());
        let texts: Vec<String> = (1..=50).map(|length| "x".repeat(length)).collect();
        let vectors = join_all(texts.iter().map(|text| queue.embed(text.clone(), text.len()))).await;
        for (text, vector) in texts.iter().zip(vectors) {
            assert_eq!(vector.unwrap()[..], [text.len() as f32]);
        }
        let batches = embedder.batches.lock().unwrap();
        assert!(batches.iter().all(|batch| batch.len() <= 8));
        assert!(batches.iter().all(|batch| batch.iter().map(String::len).sum::<usize>() <= 100));
        assert_eq!(report.embeddings.embedded.get(), 50);
    }

    #[tokio::test(start_paused = true)]
    async fn the_same_text_is_embedded_once() {
        let embedder = Arc::new(Lengths::default());
        let (queue, report) = start(&embedder, &CancellationToken::new());
        join_all((0..200).map(|n| queue.embed(format!("text {}", n % 5), 2))).await;
        assert_eq!(embedder.batches.lock().unwrap().concat().len(), 5);
        assert_eq!(report.embeddings.cache_hits.get(), 195);
    }

    #[tokio::test(start_paused = true)]
    async fn vectors_that_no_index_could_hold_are_a_bad_answer() {
        for (odd, told) in [(vec![1.0, 2.0], "a vector of 2 numbers"), (vec![], "of 0 numbers"), (vec![f32::NAN], "not finite")]
        {
            let embedder = Arc::new(Lengths { odd: Some(odd), ..Lengths::default() });
            let (queue, report) = start(&embedder, &CancellationToken::new());
            let error = queue.embed("text".into(), 1).await.unwrap_err();
            assert!(matches!(&*error, EmbedError::Provider(error) if error.kind == ErrorKind::BadAnswer), "{error:?}");
            assert!(error.to_string().contains(told), "{error}");
            assert_eq!(report.embeddings.embedded.get(), 0);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_bad_input_is_found_and_the_others_are_embedded() {
        let embedder = Arc::new(Lengths::default());
        let (queue, _) = start(&embedder, &CancellationToken::new());
        let texts = ["a", "bb", "bad", "dddd", "eeeee", "ffffff", "ggggggg"];
        let vectors = join_all(texts.iter().map(|text| queue.embed((*text).into(), 1))).await;
        let failed: Vec<usize> = vectors.iter().enumerate().filter(|(_, vector)| vector.is_err()).map(|(n, _)| n).collect();
        assert_eq!(failed, [2]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_short_batch_fails_all_of_it() {
        let embedder = Arc::new(Lengths { short: true, ..Lengths::default() });
        let (queue, _) = start(&embedder, &CancellationToken::new());
        let vectors = join_all(["a", "b"].map(|text| queue.embed(text.into(), 1))).await;
        assert!(vectors.iter().all(Result::is_err));
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_stop_what_is_in_flight_is_finished_and_nothing_more_is_sent() {
        let embedder = Arc::new(Lengths::default());
        let stop = CancellationToken::new();
        let (queue, _) = start(&embedder, &stop);
        let texts: Vec<String> = (0..100).map(|n| format!("text {n}")).collect();
        let all = join_all(texts.iter().map(|text| queue.embed(text.clone(), 1)));
        let (vectors, ()) = tokio::join!(all, async {
            tokio::time::sleep(Duration::from_millis(90)).await;
            stop.cancel();
        });
        let embedded = vectors.iter().filter(|vector| vector.is_ok()).count();
        assert_eq!(embedded, embedder.batches.lock().unwrap().concat().len());
        assert_eq!(embedded, 16, "two requests of eight were in flight");
    }
}
