//! Searching: how the store is asked.

use std::num::NonZeroUsize;

use ragstream::answer::{DedupedHit, Duplicates, Question, RetrieveMode};
use ragstream::document::SparseVector;
use ragstream::vectordb::Query;

use super::doubles::{Embed, Store, answerer, hit, retriever};

/// A question that wants so many passages, copies or not.
fn question(text: &str, limit: usize) -> Question {
    Question { limit: NonZeroUsize::new(limit), duplicates: Some(Duplicates::Keep), ..text.into() }
}

#[tokio::test(start_paused = true)]
async fn each_mode_asks_the_store_its_own_way() {
    let dense = vec![1.0, 0.0];
    let sparse = SparseVector { indices: vec![0, 1], values: vec![1.0, 1.0] };
    let cases = [
        (RetrieveMode::Dense, true, " two words ", vec![(Query::Dense(dense.clone()), 5)]),
        (RetrieveMode::Sparse, false, "two words", vec![(Query::Sparse(sparse.clone()), 5)]),
        // The words need not wait for the embedding model.
        (RetrieveMode::Hybrid, true, "two words", vec![(Query::Sparse(sparse), 100), (Query::Dense(dense.clone()), 100)]),
        (RetrieveMode::Hybrid, true, "???", vec![(Query::Dense(dense), 5)]),
        (RetrieveMode::Sparse, false, "???", vec![]),
    ];
    for (mode, embeds, question, expected) in cases {
        let (retriever, store) = retriever(Store::default(), embeds.then(|| Embed::new(1)));
        let answerer = answerer(retriever, mode, Vec::new());
        assert_eq!(answerer.search(&self::question(question, 5)).await.unwrap(), []);
        let mut asked = store.asked.lock().unwrap().clone();
        asked.sort_by_key(|(query, _)| matches!(query, Query::Dense(_)));
        assert_eq!(asked, expected, "{mode:?} {question}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_hybrid_retrieval_gives_as_many_as_were_asked_for() {
    let hits: Vec<_> = (0..300).map(|n| hit("a.md", n, (1, 1), 1.0 - n as f32 / 300.0, "a")).collect();
    let (retriever, store) = retriever(Store { hits, ..Store::default() }, Some(Embed::new(1)));
    let answerer = answerer(retriever, RetrieveMode::Hybrid, Vec::new());
    let few = answerer.search(&question("two words", 7)).await.unwrap();
    let many = answerer.search(&question("two words", 200)).await.unwrap();
    assert_eq!((few.len(), many.len()), (7, 200));
    let ids = |found: &[DedupedHit]| found.iter().map(|found| found.hit.id).collect::<Vec<_>>();
    assert_eq!(ids(&few), ids(&many[..7]), "asking for more changes nothing at the top");
    let depths: Vec<usize> = store.asked.lock().unwrap().iter().map(|(_, limit)| *limit).collect();
    assert_eq!(depths, [100, 100, 200, 200]);
    for (n, found) in (1..).zip(&few) {
        let legs = found.legs;
        let places = [legs.vector, legs.words, legs.fused].map(|leg| leg.map(|leg| leg.rank));
        assert_eq!(places, [Some(n); 3], "both legs gave the same order");
        assert_eq!(legs.fused.unwrap().score.to_bits(), found.hit.score.to_bits());
        assert_eq!(legs.rerank, None);
    }
}
