//! What becomes of a ranking: copies, and a reranker that helps or fails.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use ragstream::answer::{Duplicates, RerankPlan, RetrieveMode};
use ragstream::answer::{Found, Retriever};
use ragstream::cli::search::search;
use ragstream::cli::style::Style;
use ragstream::document::Hit;
use ragstream::error::Error;
use ragstream::providers::ModelRef;
use ragstream::providers::{ErrorKind, ProviderError, Reranked, Reranker};
use serde_json::json;

use super::doubles::{Embed, Store, hit, json_style, lines, retriever};

/// A reranker that prefers passages that say "best", and fails or hangs when told to.
#[derive(Debug, Default)]
struct Ranker {
    fails: Option<ErrorKind>,
    hangs: bool,
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
            std::future::pending::<()>().await;
        }
        if let Some(kind) = self.fails {
            return Err(ProviderError::new("double", kind, "will not rank"));
        }
        let score = |passage: &String| if passage.contains("best") { 0.9 } else { 0.1 };
        Ok(Reranked::new(passages.iter().map(score).collect()))
    }
}

/// Hits with these texts, best first, each of its own document.
fn ranking<T: AsRef<str>>(texts: &[T]) -> Vec<Hit> {
    let score = |n: usize| 1.0 - n as f32 / 1000.0;
    let hits = texts.iter().enumerate();
    hits.map(|(n, text)| hit(&format!("{n}.md"), 0, (1, 2), score(n), text.as_ref())).collect()
}

fn over(hits: Vec<Hit>) -> (Retriever, Arc<Store>) {
    retriever(Store { hits, ..Store::default() }, Some(Embed::new(1)), RetrieveMode::Dense)
}

fn with(ranker: Ranker, candidates: usize, hits: Vec<Hit>) -> (Retriever, Arc<Ranker>) {
    let (mut retriever, _) = over(hits);
    let ranker = Arc::new(ranker);
    retriever.reranker = Some(Arc::clone(&ranker) as _);
    retriever.plan.select.rerank = Some(RerankPlan {
        model: ModelRef { provider: "double".into(), model: "ranker".into() },
        candidates: NonZeroUsize::new(candidates).unwrap(),
        timeout: Duration::from_secs(10),
    });
    (retriever, ranker)
}

fn uris(found: &[Found]) -> Vec<&str> {
    found.iter().map(|found| found.hit.passage.uri.as_str()).collect()
}

#[tokio::test]
async fn copies_make_room_unless_they_are_to_stay() {
    let text =
        |n: usize| if n.is_multiple_of(2) { "the same words in each copy of it".to_owned() } else { format!("number {n}") };
    let (mut retriever, store) = over(ranking(&(0..10).map(text).collect::<Vec<_>>()));
    let found = retriever.find("words", 3).await.unwrap();
    assert_eq!(uris(&found), ["0.md", "1.md", "3.md"]);
    assert_eq!(
        found[0].copies.iter().map(|copy| copy.passage.uri.as_str()).collect::<Vec<_>>(),
        ["2.md", "4.md", "6.md", "8.md"]
    );
    assert_eq!(retriever.retrieve("words", 3).await.unwrap(), found.into_iter().map(|found| found.hit).collect::<Vec<_>>());
    assert_eq!(store.asked.lock().unwrap().iter().map(|(_, limit)| *limit).max(), Some(12));

    retriever.plan.select.duplicates = Duplicates::Keep;
    let kept = retriever.find("words", 3).await.unwrap();
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
    let (retriever, store) = over(copies(1));
    assert_eq!(uris(&retriever.find("words", 8).await.unwrap()), ["0.md"]);
    let asked: Vec<usize> = store.asked.lock().unwrap().iter().map(|(_, limit)| *limit).collect();
    assert_eq!(asked, [32, 128, 512]);
}

#[tokio::test]
async fn shown_with_where_the_copies_are() {
    let (found, _) = over(ranking(&["the same words in each", "other words", "The same words, in each!"]));
    let mut out = Vec::new();
    search(&found, "words", 8, &mut out, &json_style()).await.unwrap();
    let lines = lines(&out);
    assert_eq!(lines[0]["copies"], json!([{"uri": "2.md", "start": 0, "end": 24, "lines": [1, 2]}]));
    assert_eq!((lines.len(), &lines[1]["copies"]), (2, &json!(null)));
    let mut out = Vec::new();
    search(&found, "words", 1, &mut out, &Style { width: 60, ..Style::default() }).await.unwrap();
    let shown = String::from_utf8(out).unwrap();
    assert!(shown.ends_with("    the same words in each\n    Nearly the same: 2.md:1-2\n\n"), "{shown}");
}

#[tokio::test]
async fn a_reranker_has_the_last_word_over_its_candidates() {
    let texts = ["one thing", "two things", "one thing!", "the best thing", "four", "best of all but too far down"];
    let (retriever, ranker) = with(Ranker::default(), 4, ranking(&texts));
    let found = retriever.find(" which? ", 2).await.unwrap();
    assert_eq!(uris(&found), ["3.md", "0.md"], "equals stay in the order of the ranking");
    assert_eq!(found[0].hit.score.to_bits(), 0.9_f32.to_bits());
    let (question, passages) = ranker.asked.lock().unwrap().remove(0);
    assert_eq!(question, "which?");
    let told = ["one thing", "two things", "the best thing", "four"].map(|text| format!("Keys > Rotate\n\n{text}"));
    assert_eq!(passages, told, "each with its headings, copies left out");

    let found = retriever.find("which?", 5).await.unwrap();
    assert_eq!(uris(&found), ["3.md", "5.md", "0.md", "1.md", "4.md"], "as many as are asked for are ranked");
    let (single, ranker) = with(Ranker::default(), 4, ranking(&["alone"]));
    assert_eq!(single.find("which?", 5).await.unwrap().len(), 1);
    assert!(ranker.asked.lock().unwrap().is_empty(), "one passage needs no order");
}

#[tokio::test(start_paused = true)]
async fn a_reranker_that_fails_for_now_costs_the_order_alone() {
    use ErrorKind::{BadAnswer, InvalidInput, Network, RateLimited, Timeout, Unavailable};
    let texts = ["one", "two", "the best"];
    for fails in [RateLimited, Unavailable, Network, Timeout, BadAnswer, InvalidInput] {
        let (retriever, _) = with(Ranker { fails: Some(fails), ..Ranker::default() }, 4, ranking(&texts));
        let found = retriever.find("which?", 2).await.unwrap();
        assert_eq!(uris(&found), ["0.md", "1.md"], "{fails:?}");
    }
    let (retriever, _) = with(Ranker { hangs: true, ..Ranker::default() }, 4, ranking(&texts));
    let started = tokio::time::Instant::now();
    assert_eq!(uris(&retriever.find("which?", 2).await.unwrap()), ["0.md", "1.md"]);
    assert_eq!(started.elapsed(), Duration::from_secs(10));
}

#[tokio::test]
async fn a_reranker_that_will_never_work_is_an_error() {
    use ErrorKind::{Auth, NotFound, QuotaSpent};
    for fails in [Auth, QuotaSpent, NotFound] {
        let (retriever, _) = with(Ranker { fails: Some(fails), ..Ranker::default() }, 4, ranking(&["one", "two"]));
        let error = retriever.find("which?", 2).await.unwrap_err();
        assert_eq!(error.downcast_ref::<ProviderError>().unwrap().kind, fails, "{error}");
    }
}
