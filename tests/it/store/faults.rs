//! A server that cannot be reached, refuses, breaks, or is not ours.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use qdrant_client::Qdrant;
use qdrant_client::qdrant::{CreateCollectionBuilder, Distance, VectorParamsBuilder, VectorsConfigBuilder};
use ragstream::providers::Secret;
use ragstream::vectordb::bm25::Bm25;
use ragstream::vectordb::qdrant::QdrantStore;
use ragstream::vectordb::{Query, StoreError, VectorStore};

use super::{WIDTH, direction, meta, point};
use crate::qdrant_server::{self, Options, Running};

const TIMEOUT: Duration = Duration::from_secs(20);

fn store(server: &Running) -> QdrantStore {
    QdrantStore::new(&server.url, None, "docs", TIMEOUT).unwrap()
}

#[tokio::test]
async fn an_unreachable_server_is_a_passing_trouble() {
    let url = {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", taken.local_addr().unwrap()).parse().unwrap()
    };
    let store = QdrantStore::new(&url, None, "docs", TIMEOUT).unwrap();
    let error = store.meta().await.unwrap_err();
    assert!(error.is_transient(), "{error:?}");
    let said = error.to_string();
    assert!(said.starts_with(&format!("cannot reach the store docs at {}", url.as_str().trim_end_matches('/'))), "{said}");
    assert!(said.ends_with("no connection: Connection refused"), "{said}");
    assert!(error.hint().unwrap().contains("6334"));
}

#[tokio::test]
async fn tls_towards_a_server_without_it_is_an_error() {
    let server = qdrant_server::start().await;
    let mut url = server.url.clone();
    url.set_scheme("https").unwrap();
    let store = QdrantStore::new(&url, None, "docs", TIMEOUT).unwrap();
    // On a machine without root certificates it is refused before it is tried.
    let error = store.meta().await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. } | StoreError::Failed { .. }), "{error:?}");
    assert_eq!(server.faults.calls.load(SeqCst), 0);
}

#[tokio::test]
async fn a_wrong_key_is_final_and_is_not_shown() {
    let server = qdrant_server::start_with(Options { api_key: Some("right"), keeps_metadata: true }).await;
    for key in [None, Some(Secret::new("wr0ng-k3y"))] {
        let store = QdrantStore::new(&server.url, key.as_ref(), "docs", TIMEOUT).unwrap();
        let error = store.create(&meta()).await.unwrap_err();
        assert!(matches!(error, StoreError::Denied { .. }), "{error:?}");
        assert!(error.to_string().contains("API key"), "{error}");
        assert!(!format!("{error:?} {error} {store:?}").contains("k3y"));
    }
    let store = QdrantStore::new(&server.url, Some(&Secret::new("right")), "docs", TIMEOUT).unwrap();
    store.create(&meta()).await.unwrap();
    assert_eq!(store.meta().await.unwrap(), Some(meta()));
}

#[tokio::test]
async fn trouble_on_the_way_is_told_from_refusals() {
    let server = qdrant_server::start().await;
    let (store, bm25) = (store(&server), Bm25::new());
    store.create(&meta()).await.unwrap();
    let points = || (0..300).map(|n| point(&bm25, n, "a", "text")).collect::<Vec<_>>();

    server.faults.unavailable.store(100, SeqCst);
    let error = store.upsert(points()).await.unwrap_err();
    assert!(error.is_transient() && error.to_string().contains("the server restarts"), "{error:?}");
    server.faults.unavailable.store(0, SeqCst);

    server.faults.broken.store(100, SeqCst);
    let error = store.upsert(points()).await.unwrap_err();
    assert!(!error.is_transient() && error.to_string().contains("out of disk"), "{error:?}");
    server.faults.broken.store(0, SeqCst);

    server.faults.cut.store(100, SeqCst);
    let error = store.query(Query::Dense(direction(1, WIDTH)), 5).await.unwrap_err();
    assert!(error.is_transient(), "{error:?}");
    server.faults.cut.store(0, SeqCst);

    // Carried out, the answers lost: the next attempt finds the points there and changes nothing.
    server.faults.cut.store(2, SeqCst);
    let _ = store.upsert(points()).await;
    store.upsert(points()).await.unwrap();
    assert_eq!(store.count().await.unwrap(), 300);
}

#[tokio::test]
async fn a_slow_server_runs_into_the_timeout() {
    let server = qdrant_server::start().await;
    store(&server).create(&meta()).await.unwrap();
    let hasty = QdrantStore::new(&server.url, None, "docs", Duration::from_millis(100)).unwrap();
    server.faults.slow_ms.store(60_000, SeqCst);
    let error = hasty.count().await.unwrap_err();
    assert!(error.is_transient(), "{error:?}");
    server.faults.slow_ms.store(0, SeqCst);
    assert_eq!(store(&server).count().await.unwrap(), 0);
}

#[tokio::test]
async fn a_collection_of_others_is_left_alone() {
    let server = qdrant_server::start().await;
    let client = Qdrant::from_url(server.url.as_str()).skip_compatibility_check().build().unwrap();
    let mut vectors = VectorsConfigBuilder::default();
    vectors.add_named_vector_params("dense", VectorParamsBuilder::new(WIDTH as u64, Distance::Cosine));
    client.create_collection(CreateCollectionBuilder::new("docs").vectors_config(vectors)).await.unwrap();

    let (store, bm25) = (store(&server), Bm25::new());
    let refusals = [
        store.meta().await.unwrap_err(),
        store.drop_index().await.unwrap_err(),
        store.upsert(vec![point(&bm25, 1, "a", "text")]).await.unwrap_err(),
        store.delete_document("a").await.unwrap_err(),
        store.query(Query::Dense(direction(1, WIDTH)), 1).await.unwrap_err(),
    ];
    for refusal in refusals {
        assert!(refusal.to_string().contains("not ragstream's"), "{refusal:?}");
        assert!(!refusal.is_transient());
    }
    assert!(matches!(store.create(&meta()).await.unwrap_err(), StoreError::Failed { .. }));
    assert!(client.collection_exists("docs").await.unwrap());
}

#[tokio::test]
async fn a_server_that_forgets_metadata_is_too_old() {
    let server = qdrant_server::start_with(Options { api_key: None, keeps_metadata: false }).await;
    let store = store(&server);
    let error = store.create(&meta()).await.unwrap_err();
    assert!(error.to_string().contains("Qdrant 1.16"), "{error}");
    assert_eq!(store.meta().await.unwrap(), None, "what was made is removed again");
}

#[tokio::test]
async fn two_runs_share_a_server() {
    let server = qdrant_server::start().await;
    let (one, two) = (store(&server), Arc::new(store(&server)));
    one.create(&meta()).await.unwrap();
    let bm25 = Bm25::new();
    two.upsert(vec![point(&bm25, 1, "a", "text")]).await.unwrap();
    assert_eq!(one.count().await.unwrap(), 1);
    two.drop_index().await.unwrap();
    assert!(matches!(one.count().await.unwrap_err(), StoreError::Missing { .. }));
}
