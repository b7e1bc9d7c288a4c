//! What a cluster of servers wants: collections that are spread as declared, writes in one order, reads while a node is away.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use qdrant_client::Qdrant;
use qdrant_client::qdrant::{CollectionParamsDiff, UpdateCollection};
use ragstream::vectordb::bm25::Bm25;
use ragstream::vectordb::qdrant::QdrantStore;
use ragstream::vectordb::{Ordering, Query, Spread, StoreError, VectorStore};

use super::{WIDTH, direction, id, meta, passage, point};
use crate::qdrant_server::{self, Running};

fn store(server: &Running, spread: Spread) -> QdrantStore {
    QdrantStore::new(&server.url, None, "手册", Duration::from_secs(20)).unwrap().with_spread(spread)
}

fn declared() -> Spread {
    Spread { shard_number: Some(6), replication_factor: Some(3), write_consistency_factor: Some(2), ..Spread::default() }
}

#[tokio::test]
async fn a_collection_is_spread_as_declared_and_refused_where_it_is_not() {
    let server = qdrant_server::start().await;
    store(&server, declared()).create(&meta()).await.unwrap();
    store(&server, declared()).acquire().await.unwrap();
    let client = Qdrant::from_url(server.url.as_str()).skip_compatibility_check().build().unwrap();
    let params = client.collection_info("手册").await.unwrap().result.unwrap().config.unwrap().params.unwrap();
    let copies = (params.replication_factor, params.write_consistency_factor);
    assert_eq!((params.shard_number, copies), (6, (Some(3), Some(2))));

    // What is not declared may be anything.
    store(&server, Spread::default()).acquire().await.unwrap();
    let other = store(&server, Spread { shard_number: Some(2), replication_factor: Some(1), ..declared() });
    let refused = other.acquire().await.unwrap_err();
    assert!(matches!(refused, StoreError::Spread { .. }) && !refused.is_transient(), "{refused:?}");
    let told = refused.to_string();
    assert!(told.starts_with("the collection 手册 at http://"), "{told}");
    assert!(
        told.ends_with(
            "has shard_number: 6, replication_factor: 3, and the pipeline says shard_number: 2, replication_factor: 1"
        ),
        "{told}"
    );
    // Who only asks does not mind.
    other.query(Query::Dense(direction(1, WIDTH)), 5).await.unwrap();

    let fewer = store(&server, Spread { replication_factor: Some(2), ..declared() });
    let hint = fewer.acquire().await.unwrap_err().hint().unwrap();
    assert!(hint.contains(r#"PATCH /collections/手册 {"params": {"replication_factor": 2}}"#), "{hint}");
    let params = CollectionParamsDiff { replication_factor: Some(2), ..CollectionParamsDiff::default() };
    let update = UpdateCollection { collection_name: "手册".into(), params: Some(params), ..UpdateCollection::default() };
    client.update_collection(update).await.unwrap();
    fewer.acquire().await.unwrap();
}

#[tokio::test]
async fn strong_writes_wait_for_the_node_that_leads_and_medium_ones_go_on() {
    let server = qdrant_server::start().await;
    let (strong, bm25) = (store(&server, declared()), Bm25::new());
    strong.create(&meta()).await.unwrap();
    strong.upsert((0..9).map(|n| point(&bm25, n, "文.md", "text")).collect()).await.unwrap();

    server.faults.leader_away.store(true, SeqCst);
    for refused in [
        strong.upsert(vec![point(&bm25, 9, "文.md", "text")]).await.unwrap_err(),
        strong.set_passages(vec![(id(1), passage(1, "文.md", "moved"))]).await.unwrap_err(),
        strong.delete(vec![id(2)]).await.unwrap_err(),
        strong.delete_document("文.md").await.unwrap_err(),
    ] {
        assert!(refused.is_transient(), "{refused:?}");
        let hint = refused.hint().unwrap();
        assert!(hint.contains("a node of the cluster is away") && hint.contains("ordering: medium"), "{hint}");
    }
    assert_eq!(strong.count().await.unwrap(), 9, "nothing was written, and it can be read");
    let medium = store(&server, Spread { ordering: Ordering::Medium, ..declared() });
    medium.upsert(vec![point(&bm25, 9, "文.md", "text")]).await.unwrap();
    medium.set_passages(vec![(id(1), passage(1, "文.md", "moved"))]).await.unwrap();
    medium.delete(vec![id(2)]).await.unwrap();

    server.faults.leader_away.store(false, SeqCst);
    strong.delete(vec![id(3)]).await.unwrap();
    assert_eq!(strong.count().await.unwrap(), 8);
}

#[tokio::test]
async fn a_write_that_was_only_received_is_written_again() {
    let server = qdrant_server::start().await;
    let (store, bm25) = (store(&server, Spread::default()), Bm25::new());
    store.create(&meta()).await.unwrap();
    // Of three requests that are sent at once, one.
    server.faults.late.store(1, SeqCst);
    let points: Vec<_> = (0..700).map(|n| point(&bm25, n, "a", "text")).collect();
    let late = store.upsert(points.clone()).await.unwrap_err();
    assert!(late.is_transient() && late.to_string().contains("did not carry it out in time"), "{late:?}");
    assert!(store.count().await.unwrap() < 700);
    store.upsert(points).await.unwrap();
    for _ in 0..3 {
        server.faults.late.store(1, SeqCst);
        store.set_passages(vec![(id(1), passage(1, "a", "moved"))]).await.unwrap_err();
        server.faults.late.store(1, SeqCst);
        store.delete(vec![id(5)]).await.unwrap_err();
    }
    assert_eq!(store.count().await.unwrap(), 700);
    assert_eq!(store.passages(vec![id(1)]).await.unwrap(), [Some(passage(1, "a", "text"))]);
}

#[tokio::test]
async fn what_is_decided_by_is_read_from_more_than_half_of_the_copies() {
    let server = qdrant_server::start().await;
    let store = Arc::new(store(&server, declared()));
    let bm25 = Bm25::new();
    store.create(&meta()).await.unwrap();
    store.upsert((0..9).map(|n| point(&bm25, n, "a", "text")).collect()).await.unwrap();
    server.faults.copy_away.store(true, SeqCst);
    assert_eq!(store.passages(vec![id(1), id(99)]).await.unwrap(), [Some(passage(1, "a", "text")), None]);
    assert_eq!(server.faults.quorums.load(SeqCst), 1);
    assert_eq!(store.query(Query::Dense(direction(1, WIDTH)), 9).await.unwrap().len(), 9);
    assert_eq!(server.faults.quorums.load(SeqCst), 1, "questions are answered by any copy");
    server.faults.half_away.store(true, SeqCst);
    let refused = store.passages(vec![id(1)]).await.unwrap_err();
    assert!(refused.is_transient(), "{refused:?}");
}
