//! Points read back with their dense vectors, as `push` needs them.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use qdrant_client::Qdrant;
use qdrant_client::qdrant::{NamedVectors, PointStruct, UpsertPointsBuilder, Vector, WriteOrdering, WriteOrderingType};
use ragstream::document::Point;
use ragstream::vectordb::bm25::Bm25;
use ragstream::vectordb::embedded::EmbeddedStore;
use ragstream::vectordb::qdrant::QdrantStore;
use ragstream::vectordb::{IndexMeta, VectorStore};
use uuid::Uuid;

use super::{WIDTH, direction, id, meta, passage, point};
use crate::qdrant_server;

/// The widest that a vendor has.
const WIDE: usize = 3072;

/// What any store that gives its vectors out does: pages in the order of the ids, each point whole, to within what it rounds.
async fn vectors_come_back(store: &dyn VectorStore, width: usize, count: u64, tolerance: f32) {
    let made = |n: u64| Point { dense: direction(n, width), ..point(&Bm25::new(), n, "docs/密钥.md", "keys 密钥") };
    store.create(&IndexMeta { dimensions: width, ..meta() }).await.unwrap();
    store.upsert((0..count).rev().map(made).collect()).await.unwrap();
    let (mut after, mut read) = (None, Vec::new());
    loop {
        let page = store.scroll_points(after, 300).await.unwrap();
        after = page.last().map(|(id, ..)| *id).or(after);
        let last = page.len() < 300;
        read.extend(page);
        if last {
            break;
        }
    }
    assert_eq!(read.iter().map(|(id, ..)| *id).collect::<Vec<_>>(), (0..count).map(id).collect::<Vec<_>>());
    for (n, (_, dense, found)) in (0..count).zip(read) {
        assert_eq!(found, passage(n, "docs/密钥.md", "keys 密钥"));
        assert!(cosine(&dense, &direction(n, width)) > 1.0 - tolerance && dense.len() == width, "{n}");
    }
    assert_eq!(store.scroll_points(Some(id(count - 1)), 5).await.unwrap(), []);
    assert_eq!(store.scroll_points(Some(Uuid::max()), 5).await.unwrap(), []);
    assert_eq!(store.scroll_points(None, 0).await.unwrap(), []);
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(a * b)).sum::<f64>();
    (dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()) as f32
}

#[tokio::test]
async fn an_embedded_index_gives_its_vectors_out() {
    for (width, count) in [(WIDTH, 1500), (WIDE, 700)] {
        let folder = tempfile::tempdir().unwrap();
        vectors_come_back(&EmbeddedStore::new(folder.path().join("index")), width, count, 1e-5).await;
    }
}

/// Proxies stop at 4 MiB: 200 vectors of this width with their passages are about 3.
#[tokio::test]
async fn a_server_gives_wide_vectors_out_in_small_answers() {
    let server = qdrant_server::start().await;
    let store = QdrantStore::new(&server.url, None, "docs", Duration::from_mins(1)).unwrap();
    vectors_come_back(&store, WIDE, 500, 1e-5).await;
    let before = server.faults.calls.load(SeqCst);
    assert_eq!(store.scroll_points(None, 400).await.unwrap().len(), 400);
    assert_eq!(server.faults.calls.load(SeqCst) - before, 3);
}

#[tokio::test]
async fn a_point_without_its_vector_is_an_error() {
    let server = qdrant_server::start().await;
    let store = QdrantStore::new(&server.url, None, "docs", Duration::from_mins(1)).unwrap();
    store.create(&meta()).await.unwrap();
    store.upsert(vec![point(&Bm25::new(), 1, "a", "text")]).await.unwrap();
    let client = Qdrant::from_url(server.url.as_str()).skip_compatibility_check().build().unwrap();
    let payload = serde_json::to_value(passage(2, "a", "text")).unwrap();
    let sparse = NamedVectors::default().add_vector("bm25", Vector::new_sparse([7], [1.0]));
    let bare = PointStruct::new(id(2).to_string(), sparse, qdrant_client::Payload::try_from(payload).unwrap());
    let strong = WriteOrdering { r#type: WriteOrderingType::Strong.into() };
    client.upsert_points(UpsertPointsBuilder::new("docs", [bare]).wait(true).ordering(strong)).await.unwrap();

    assert_eq!(store.scroll(None, 5).await.unwrap().len(), 2, "it can be read all the same");
    let error = store.scroll_points(None, 5).await.unwrap_err();
    assert!(error.to_string().contains(&format!("point {} came without its vector `dense`", id(2))), "{error}");
    assert!(!error.is_transient());
    assert_eq!(store.scroll_points(None, 1).await.unwrap()[0].1.len(), WIDTH);
}
