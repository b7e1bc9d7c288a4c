//! What becomes of a ranking: copies, and a reranker that helps or fails.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use ragstream::answer::{Answerer, DedupedHit, Duplicates, Question, RerankPlan, RetrieveMode};
use ragstream::document::Hit;
use ragstream::providers::ModelRef;
use ragstream::providers::{ErrorKind, ProviderError, Reranked, Reranker};

use super::doubles::{Embed, Store, answerer, hit, plan, retriever};

/// A reranker that prefers passages that say "best", and fails or hangs when told to.
#[derive(Debug, Default)]
struct Ranker {
    fails: Option<ErrorKind>,
    hangs: bool,
    cancelled: Arc<AtomicBool>,
    asked: Mutex<Vec<(String, Vec<String>)>>,
}

#[async_trait]
impl Reranker for Ranker {
    fn model(&self) -> &'static str {
        "double/ranker"
    }
    async fn rerank(&self, question: &str, passages: &[String]) -> Result<Reranked, ProviderError> {
        self.asked.lock().unwrap().push((question.to_owned(), passages.to_vec()));
        if self.hangs {
            let _hangs = OnDrop(Arc::clone(&self.cancelled));
            std::future::pending::<()>().await;
        }
        if let Some(kind) = self.fails {
            return Err(ProviderError::new("double", kind, "will not rank"));
        }
        let score = |passage: &String| if passage.contains("best") { 0.9 } else { 0.1 };
        Ok(Reranked::new(passages.iter().map(score).collect()))
    }
}

struct OnDrop(Arc<AtomicBool>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Hits with these texts, best first, each of its own document.
fn ranking<T: AsRef<str>>(texts: &[T]) -> Vec<Hit> {
    let score = |n: usize| 1.0 - n as f32 / 1000.0;
    let hits = texts.iter().enumerate();
    hits.map(|(n, text)| hit(&format!("{n}.md"), 0, (1, 2), score(n), text.as_ref())).collect()
}

fn over(hits: Vec<Hit>) -> (Answerer, Arc<Store>) {
    let (retriever, store) = retriever(Store { hits, ..Store::default() }, Some(Embed::new(1)));
    (answerer(retriever, RetrieveMode::Dense, Vec::new()), store)
}

fn with(ranker: Ranker, candidates: usize, hits: Vec<Hit>) -> (Answerer, Arc<Ranker>) {
    let (mut retriever, _) = retriever(Store { hits, ..Store::default() }, Some(Embed::new(1)));
    let ranker = Arc::new(ranker);
    retriever.reranker = Some(Arc::clone(&ranker) as _);
    let mut plan = plan(RetrieveMode::Dense);
    plan.select.rerank = Some(RerankPlan {
        model: ModelRef { provider: "double".into(), model: "ranker".into() },
        candidates: NonZeroUsize::new(candidates).unwrap(),
        timeout: Duration::from_secs(10),
    });
    (Answerer::new(retriever, plan), ranker)
}

fn question(text: &str, limit: usize) -> Question {
    Question { limit: NonZeroUsize::new(limit), ..text.into() }
}

fn uris(found: &[DedupedHit]) -> Vec<&str> {
    found.iter().map(|found| found.hit.passage.uri.as_str()).collect()
}

#[tokio::test]
async fn copies_make_room_unless_they_are_to_stay() {
    let text =
        |n: usize| if n.is_multiple_of(2) { "the same words in each copy of it".to_owned() } else { format!("number {n}") };
    let (answerer, store) = over(ranking(&(0..10).map(text).collect::<Vec<_>>()));
    let found = answerer.search(&question("words", 3)).await.unwrap();
    assert_eq!(uris(&found), ["0.md", "1.md", "3.md"]);
    assert_eq!(
        found[0].copies.iter().map(|copy| copy.passage.uri.as_str()).collect::<Vec<_>>(),
        ["2.md", "4.md", "6.md", "8.md"]
    );
    assert_eq!(store.asked.lock().unwrap().iter().map(|(_, limit)| *limit).max(), Some(12));

    let with_copies = Question { duplicates: Some(Duplicates::Keep), ..question("words", 3) };
    let kept = answerer.search(&with_copies).await.unwrap();
    assert_eq!(uris(&kept), ["0.md", "1.md", "2.md"]);
    assert!(kept.iter().all(|found| found.copies.is_empty()));
}

#[tokio::test]
async fn where_most_are_copies_it_looks_deeper_and_not_for_ever() {
    let copies = |distinct: usize| {
        let texts: Vec<String> = (0..5000)
            .map(|n| if n < 5000 - distinct { "the same again and again".to_owned() } else { format!("number {n}") })
            .collect();
        ranking(&texts)
    };
    // All that are looked at are copies; after 4³ times as many as are wanted it is enough.
    let (answerer, store) = over(copies(1));
    assert_eq!(uris(&answerer.search(&question("words", 8)).await.unwrap()), ["0.md"]);
    let asked: Vec<usize> = store.asked.lock().unwrap().iter().map(|(_, limit)| *limit).collect();
    assert_eq!(asked, [32, 128, 512]);
}

#[tokio::test]
async fn of_many_that_are_wanted_few_more_are_looked_at() {
    for (copies_of, depths) in [(0, &[130][..]), (30, &[130][..]), (31, &[130, 520][..])] {
        let texts: Vec<String> = (0..600)
            .map(|n| if n <= copies_of { "the same again and again".to_owned() } else { format!("number {n}") })
            .collect();
        let (answerer, store) = over(ranking(&texts));
        let found = answerer.search(&question("words", 100)).await.unwrap();
        let expected: Vec<String> =
            (0..600).filter(|n| *n == 0 || *n > copies_of).take(100).map(|n| format!("{n}.md")).collect();
        assert_eq!(uris(&found), expected, "{copies_of}");
        let asked: Vec<usize> = store.asked.lock().unwrap().iter().map(|(_, limit)| *limit).collect();
        assert_eq!(asked, depths, "{copies_of}");
    }
}

#[tokio::test]
async fn a_reranker_has_the_last_word_over_its_candidates() {
    let texts = ["one thing", "two things", "one thing!", "the best thing", "four", "best of all but too far down"];
    let (answerer, ranker) = with(Ranker::default(), 4, ranking(&texts));
    let found = answerer.search(&question(" which? ", 2)).await.unwrap();
    assert_eq!(uris(&found), ["3.md", "0.md"], "equals stay in the order of the ranking");
    assert_eq!(found[0].hit.score.to_bits(), 0.9_f32.to_bits());
    let (told, passages) = ranker.asked.lock().unwrap().remove(0);
    assert_eq!(told, "which?");
    let shown = ["one thing", "two things", "the best thing", "four"].map(|text| format!("Keys > Rotate\n\n{text}"));
    assert_eq!(passages, shown, "each with its headings, copies left out");
    let places = found.iter().map(|found| (found.legs.vector.unwrap().rank, found.legs.rerank.unwrap().rank));
    assert_eq!(places.collect::<Vec<_>>(), [(4, 1), (1, 2)], "where each stood before, and stands now");
    assert_eq!((found[0].legs.words, found[0].legs.fused), (None, None), "nobody asked for words");

    let found = answerer.search(&question("which?", 5)).await.unwrap();
    assert_eq!(uris(&found), ["3.md", "5.md", "0.md", "1.md", "4.md"], "as many as are asked for are ranked");
    let (single, ranker) = with(Ranker::default(), 4, ranking(&["alone"]));
    assert_eq!(single.search(&question("which?", 5)).await.unwrap().len(), 1);
    assert!(ranker.asked.lock().unwrap().is_empty(), "one passage needs no order");
}

#[tokio::test(start_paused = true)]
async fn a_reranker_that_fails_for_now_costs_the_order_alone() {
    use ErrorKind::{BadAnswer, InvalidInput, Network, QuotaSpent, RateLimited, Timeout, Unavailable};
    let texts = ["one", "two", "the best"];
    for fails in [RateLimited, Unavailable, Network, Timeout, BadAnswer, InvalidInput, QuotaSpent] {
        let (answerer, _) = with(Ranker { fails: Some(fails), ..Ranker::default() }, 4, ranking(&texts));
        let found = answerer.search(&question("which?", 2)).await.unwrap();
        assert_eq!(uris(&found), ["0.md", "1.md"], "{fails:?}");
    }
    let (answerer, ranker) = with(Ranker { hangs: true, ..Ranker::default() }, 4, ranking(&texts));
    let started = tokio::time::Instant::now();
    assert_eq!(uris(&answerer.search(&question("which?", 2)).await.unwrap()), ["0.md", "1.md"]);
    assert_eq!(started.elapsed(), Duration::from_secs(10));
    assert!(ranker.cancelled.load(Ordering::SeqCst), "what is late is cancelled");
    let found = answerer.retrieve(&question("which?", 2)).await.unwrap();
    let note = found.note.unwrap();
    assert!(note.contains("double/ranker took longer than 10 s"), "{note}");
    assert_eq!(found.reranking, Duration::from_secs(10));
}

#[tokio::test]
async fn a_reranker_that_will_never_work_is_an_error() {
    use ErrorKind::{Auth, ModelMissing, NotFound};
    for fails in [Auth, ModelMissing, NotFound] {
        let (answerer, _) = with(Ranker { fails: Some(fails), ..Ranker::default() }, 4, ranking(&["one", "two"]));
        let error = answerer.search(&question("which?", 2)).await.unwrap_err();
        let error = error.downcast_ref::<ProviderError>().unwrap();
        assert_eq!(error.kind, fails, "{error}");
        assert!(error.hint.as_deref().unwrap().contains("`query.retrieve.rerank`"), "{error:?}");
    }
}
