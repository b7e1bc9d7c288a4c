//! A server in strict mode: what it refuses for its size is asked for in smaller parts, and nothing is lost.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use qdrant_client::qdrant::StrictModeConfig;
use ragstream::document::{Metadata, Passage, Point, Scalar};
use ragstream::vectordb::bm25::Bm25;
use ragstream::vectordb::qdrant::QdrantStore;
use ragstream::vectordb::{Condition, Query, VectorStore};

use super::{WIDTH, direction, id, meta, passage, point};
use crate::qdrant_server::{self, Running};

const POINTS: u64 = 300;

fn uri(n: u64) -> String {
    // Two passages a document.
    format!("docs/{:02}/{:03}.md", n % 7, n / 2)
}

async fn filled(limits: Option<StrictModeConfig>) -> (Running, QdrantStore) {
    let server = qdrant_server::start().await;
    if let Some(limits) = limits {
        server.make_strict(&StrictModeConfig { enabled: Some(true), ..limits });
    }
    let store = QdrantStore::new(&server.url, None, "docs", Duration::from_secs(20)).unwrap();
    store.create(&meta()).await.unwrap();
    let bm25 = Bm25::new();
    let made = |n: u64| {
        let metadata = Metadata::from([("n".to_owned(), Scalar::Integer(n as i64 % 10))]);
        let point = point(&bm25, n, &uri(n), "alpha beta");
        Point { passage: Passage { metadata, ..point.passage }, ..point }
    };
    store.upsert((0..POINTS).map(made).collect()).await.unwrap();
    (server, store)
}

/// What a store answers to everything that has a size.
async fn answers(store: &QdrantStore) -> Vec<Vec<String>> {
    let documents = |step| (0..POINTS).step_by(step).map(uri).collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>();
    let values = (0..9).map(Scalar::Integer).collect();
    let conditions = [
        vec![],
        vec![Condition::Documents(documents(3))],
        vec![Condition::Within(["docs/01", "docs/02", "docs/03", "docs/04", "docs/01/000.md"].map(String::from).to_vec())],
        vec![Condition::NotWithin(documents(4))],
        vec![Condition::Metadata("n".to_owned(), values), Condition::Documents(documents(1))],
    ];
    let mut answers = Vec::new();
    for conditions in &conditions {
        let mut uris = store.uris(conditions).await.unwrap();
        uris.sort_unstable();
        answers.push(uris);
        for limit in [5, 77, 10_000] {
            for query in [Query::Dense(direction(5, WIDTH)), Query::Sparse(Bm25::new().query("alpha"))] {
                let hits = store.query_where(query, conditions, limit).await.unwrap();
                answers.push(hits.into_iter().map(|hit| hit.id.to_string()).collect());
            }
        }
    }
    let read = store.scroll(None, 250).await.unwrap();
    answers.push(read.into_iter().map(|(id, passage)| format!("{id} {}", passage.text)).collect());
    let read = store.scroll_points(Some(id(20)), 200).await.unwrap();
    answers.push(read.into_iter().map(|(id, dense, _)| format!("{id} {}", dense.len())).collect());
    answers
}

#[tokio::test]
async fn what_is_refused_for_its_size_is_asked_for_in_smaller_parts() {
    let (_server, free) = filled(None).await;
    let wanted = answers(&free).await;
    let limits = |query, batch, values, conditions| StrictModeConfig {
        max_query_limit: query,
        upsert_max_batchsize: batch,
        condition_max_size: values,
        filter_max_conditions: conditions,
        ..StrictModeConfig::default()
    };
    for strict in [
        limits(Some(1000), Some(100), None, None),
        limits(Some(10), Some(7), None, None),
        limits(None, None, Some(30), None),
        limits(None, None, None, Some(6)),
        limits(Some(64), Some(1), Some(20), None),
    ] {
        let shown = format!("{strict:?}");
        let (server, store) = filled(Some(strict)).await;
        assert_eq!(store.count().await.unwrap(), POINTS, "{shown}");
        // Twice: the second time the limits are known.
        let mut calls = Vec::new();
        for _ in 0..2 {
            let before = server.faults.calls.load(SeqCst);
            for (n, (found, wanted)) in answers(&store).await.into_iter().zip(&wanted).enumerate() {
                assert_eq!(&found, wanted, "{n}: {shown}");
            }
            calls.push(server.faults.calls.load(SeqCst) - before);
        }
        assert!(calls[1] <= calls[0], "{calls:?}, {shown}");
        let moved = (0..POINTS).map(|n| (id(n), passage(n, "b", "moved"))).collect();
        store.set_passages(moved).await.unwrap();
        store.delete((0..200).map(id).collect()).await.unwrap();
        assert_eq!(store.count().await.unwrap(), POINTS - 200, "{shown}");
    }
}

#[tokio::test]
async fn what_no_smaller_request_helps_is_said() {
    let limits = StrictModeConfig { max_points_count: Some(300), ..StrictModeConfig::default() };
    let (server, store) = filled(Some(limits)).await;
    let before = server.faults.calls.load(SeqCst);
    let error = store.upsert(vec![point(&Bm25::new(), 999, "a", "b"), point(&Bm25::new(), 998, "a", "b")]).await.unwrap_err();
    assert!(error.to_string().contains("Max points count limit of 300 reached"), "{error}");
    assert_eq!(server.faults.calls.load(SeqCst) - before, 1, "it is asked once");
}
