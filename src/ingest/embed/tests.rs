//! The queue before a model that goes wrong in every way.

#![allow(clippy::unwrap_used, reason = "a failing test may panic")]

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

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
    /// How it fails where it breaks, and whether it breaks at any text, not at "broken" alone.
    breaks: Option<ErrorKind>,
    away: AtomicBool,
    /// The most texts that it takes, and what it says to more.
    most: Option<(usize, &'static str)>,
}

impl Lengths {
    fn breaking(kind: ErrorKind) -> Arc<Self> {
        Arc::new(Self { breaks: Some(kind), ..Self::default() })
    }

    fn requests(&self) -> usize {
        self.batches.lock().unwrap().len()
    }
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
        if let Some((_, says)) = self.most.filter(|(most, _)| inputs.len() > *most) {
            return Err(ProviderError::new("test", ErrorKind::InvalidInput, says));
        }
        if inputs.iter().any(|input| input == "bad") {
            return Err(ProviderError::new("test", ErrorKind::InvalidInput, "bad input"));
        }
        let away = self.away.load(Ordering::Relaxed);
        if let Some(kind) = self.breaks.filter(|_| away || inputs.iter().any(|input| input == "broken")) {
            return Err(ProviderError::new("test", kind, "unsupported value: NaN"));
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
    (EmbedQueue::start(embedder, 1, cache, batching, Arc::clone(&report), stop.clone(), Span::none()), report)
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

/// Two batches are under way when the first refusal comes; without a number in it, each is halved twice.
#[tokio::test(start_paused = true)]
async fn how_many_texts_a_server_takes_is_learned_from_its_refusals() {
    for (says, refused, most) in [("batch size is invalid, it should not be larger than 3", 2, 3), ("Bad Request", 6, 2)] {
        let embedder = Arc::new(Lengths { most: Some((3, says)), ..Lengths::default() });
        let (queue, report) = start(&embedder, &CancellationToken::new());
        let texts: Vec<String> = (1..=96).map(|length| "x".repeat(length)).collect();
        let vectors = join_all(texts.iter().map(|text| queue.embed(text.clone(), 1))).await;
        for (text, vector) in texts.iter().zip(vectors) {
            assert_eq!(vector.unwrap()[..], [text.len() as f32]);
        }
        assert_eq!(report.embeddings.embedded.get(), 96);
        let sizes: Vec<usize> = embedder.batches.lock().unwrap().iter().map(Vec::len).collect();
        assert_eq!(sizes.iter().filter(|size| **size > 3).count(), refused, "{says}: {sizes:?}");
        assert_eq!(sizes.iter().rev().skip(1).take(20).max(), Some(&most), "{says}: {sizes:?}");
    }
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
async fn vectors_that_no_index_could_hold_are_not_taken() {
    use ErrorKind::{BadAnswer, InvalidInput};
    for (odd, kind, told) in [
        (vec![1.0, 2.0], BadAnswer, "a vector of 2 numbers"),
        (vec![], BadAnswer, "of 0 numbers"),
        (vec![f32::NAN], InvalidInput, "not finite"),
        (vec![f32::INFINITY], InvalidInput, "not finite"),
        (vec![0.0], InvalidInput, "all zero"),
        (vec![1e-5], InvalidInput, "next to zero"),
        (vec![1e30], InvalidInput, "too large to be compared"),
    ] {
        let embedder = Arc::new(Lengths { odd: Some(odd), ..Lengths::default() });
        let (queue, report) = start(&embedder, &CancellationToken::new());
        let error = queue.embed("text".into(), 1).await.unwrap_err();
        assert!(matches!(&*error, EmbedError::Provider(error) if error.kind == kind), "{error:?}");
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

/// The texts that have no vector, and the words of the first of them.
async fn without_vectors(queue: &EmbedQueue, texts: &[String]) -> (Vec<usize>, String) {
    let vectors = join_all(texts.iter().map(|text| queue.embed(text.clone(), 1))).await;
    let failed = vectors.iter().enumerate().filter_map(|(n, vector)| Some((n, vector.as_ref().err()?)));
    let said = failed.clone().next().map(|(_, error)| error.to_string()).unwrap_or_default();
    (failed.map(|(n, _)| n).collect(), said)
}

#[tokio::test(start_paused = true)]
async fn a_text_that_breaks_the_model_costs_itself_alone() {
    for kind in [ErrorKind::Unavailable, ErrorKind::Network, ErrorKind::Timeout, ErrorKind::BadAnswer] {
        for places in [vec![0], vec![7], vec![3, 4, 5], vec![0, 8, 16, 24, 32], (0..8).collect::<Vec<_>>()] {
            let (embedder, stop) = (Lengths::breaking(kind), CancellationToken::new());
            let (queue, _) = start(&embedder, &stop);
            // One after the other, so that no other batch answers for the provider.
            let texts = (0..40).map(|n| if places.contains(&n) { "broken".to_owned() } else { format!("text {n}") });
            let texts: Vec<String> = texts.collect();
            let (failed, said) = without_vectors(&queue, &texts).await;
            assert_eq!(failed, places, "{kind:?}");
            assert!(said.contains("NaN") && !stop.is_cancelled(), "{said}");
            // The same text is asked for once. Two for each halving on the way to it, and a few words.
            assert!(embedder.requests() <= 5 + 2 * 3 + 5, "{kind:?}, {places:?}: {}", embedder.requests());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn also_where_no_other_text_is_left_to_answer_for_the_provider() {
    for count in [1, 5, 8] {
        let (embedder, stop) = (Lengths::breaking(ErrorKind::Unavailable), CancellationToken::new());
        let (queue, _) = start(&embedder, &stop);
        // Different texts, each of which breaks it; what is asked for in between does not.
        embedder.away.store(false, Ordering::Relaxed);
        let vectors = join_all((0..count).map(|_| queue.embed("broken".to_owned(), 1))).await;
        assert!(vectors.iter().all(|vector| matches!(vector.as_ref().map_err(|e| &**e), Err(EmbedError::Provider(_)))));
        assert!(!stop.is_cancelled() && embedder.requests() == 2, "the text and a word: {}", embedder.requests());
    }
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_is_away_ends_the_run_with_one_request_more() {
    for kind in [ErrorKind::Unavailable, ErrorKind::Network, ErrorKind::Timeout] {
        let (embedder, stop) = (Lengths::breaking(kind), CancellationToken::new());
        embedder.away.store(true, Ordering::Relaxed);
        let (queue, report) = start(&embedder, &stop);
        let texts: Vec<String> = (0..100).map(|n| format!("text {n}")).collect();
        let vectors = join_all(texts.iter().map(|text| queue.embed(text.clone(), 1))).await;
        assert!(vectors.iter().any(|vector| matches!(vector.as_ref().map_err(|e| &**e), Err(EmbedError::Tripped(_)))));
        assert!(vectors.iter().all(Result::is_err) && stop.is_cancelled());
        assert!(embedder.requests() <= 3, "two batches in flight, and a word: {}", embedder.requests());
        assert_eq!(report.embeddings.embedded.get(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_leaves_while_a_text_is_looked_for_ends_the_run_soon() {
    let (embedder, stop) = (Lengths::breaking(ErrorKind::Unavailable), CancellationToken::new());
    let (queue, _) = start(&embedder, &stop);
    let texts: Vec<String> = (0..16).map(|n| if n == 6 { "broken".to_owned() } else { format!("text {n}") }).collect();
    let all = without_vectors(&queue, &texts);
    let ((failed, said), ()) = tokio::join!(all, async {
        tokio::time::sleep(Duration::from_millis(150)).await;
        embedder.away.store(true, Ordering::Relaxed);
    });
    assert!(stop.is_cancelled() && said.contains("NaN"), "{said}");
    assert!(failed.len() >= 4, "{failed:?}");
    assert!(embedder.requests() <= 8, "{}", embedder.requests());
}

/// Its requests wait for something for a while.
#[derive(Debug)]
struct Waits(Waiting);

#[async_trait]
impl Embedder for Waits {
    fn model(&self) -> &'static str {
        "test/waits"
    }
    async fn dimensions(&self) -> Result<usize, ProviderError> {
        Ok(1)
    }
    fn limits(&self) -> EmbedLimits {
        EmbedLimits::new(8, 100, 100)
    }
    async fn embed(&self, inputs: &[String], _kind: InputType) -> Result<Embedded, ProviderError> {
        crate::limits::tell(self.0);
        tokio::time::sleep(Duration::from_secs(20)).await;
        Ok(Embedded::new(vec![vec![1.0]; inputs.len()]))
    }
}

#[tokio::test(start_paused = true)]
async fn a_stopped_run_drops_what_waits_to_be_sent_and_waits_for_what_was() {
    for (waiting, sent) in [
        (Waiting::Quota, false),
        (Waiting::Place, false),
        (Waiting::Pause, false),
        (Waiting::Wire, true),
        (Waiting::Retry, true),
        // It does not say what it does.
        (Waiting::Nothing, true),
    ] {
        let (stop, report) = (CancellationToken::new(), Arc::new(Report::default()));
        let batching = Batching { items: 8, tokens: 100, in_flight: 2, texts: 16, waiting: 0 };
        let cache = EmbeddingCache::new(1 << 20);
        let embedder = Arc::new(Waits(waiting));
        let queue = EmbedQueue::start(embedder, 1, cache, batching, Arc::clone(&report), stop.clone(), Span::none());
        let began = Instant::now();
        let stops = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            stop.cancel();
        };
        let (answer, ()) = tokio::join!(queue.embed("text".into(), 1), stops);
        if sent {
            assert!(answer.is_ok() && report.embeddings.embedded.get() == 1, "{waiting:?}: {answer:?}");
        } else {
            assert!(matches!(&answer, Err(error) if matches!(**error, EmbedError::Stopped)), "{waiting:?}: {answer:?}");
            assert!(began.elapsed() < Duration::from_secs(2), "{waiting:?}: {:?}", began.elapsed());
        }
        let again = queue.embed("another".into(), 1).await;
        assert!(again.is_err(), "nothing is sent after a stop: {again:?}");
    }
}
