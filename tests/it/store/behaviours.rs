//! What every store does.

use std::collections::BTreeSet;
use std::sync::Arc;

use ragstream::document::{Point, SparseVector};
use ragstream::vectordb::bm25::Bm25;
use ragstream::vectordb::embedded::EmbeddedStore;
use ragstream::vectordb::{Condition, IndexMeta, Query, StoreError, TwoRankings, VectorStore};
use uuid::Uuid;

use super::filters::{
    a_document_stands_where_the_ranking_has_it, a_filtered_ranking_is_the_ranking_filtered, documents_are_named,
    the_few_that_match_are_found_below_the_many_that_do_not,
};
use super::{WIDTH, direction, id, meta, passage, point};

type Store = Arc<dyn VectorStore>;

async fn made(store: &Store) -> Bm25 {
    store.create(&meta()).await.unwrap();
    Bm25::new()
}

async fn all(store: &Store) -> Vec<Uuid> {
    store.scroll(None, 10_000).await.unwrap().into_iter().map(|(id, _)| id).collect()
}

async fn found(store: &Store, query: Query, limit: usize) -> Vec<Uuid> {
    let hits = store.query(query, limit).await.unwrap();
    assert!(hits.is_sorted_by(|a, b| a.score > b.score || (a.score == b.score && a.id < b.id)), "{hits:?}");
    hits.into_iter().map(|hit| hit.id).collect()
}

async fn comes_and_goes(store: Store) {
    assert_eq!(store.meta().await.unwrap(), None);
    store.drop_index().await.unwrap();
    for refused in [
        store.count().await.unwrap_err(),
        store.upsert(vec![]).await.unwrap_err(),
        store.query(Query::Dense(direction(1, WIDTH)), 5).await.unwrap_err(),
        store.scroll(None, 5).await.unwrap_err(),
        store.passages(vec![id(1)]).await.unwrap_err(),
        store.delete_document("a").await.unwrap_err(),
        store.set_meta(&meta()).await.unwrap_err(),
    ] {
        assert!(matches!(refused, StoreError::Missing { .. }), "{refused:?}");
    }
    assert_eq!(store.meta().await.unwrap(), None, "asking makes nothing");

    store.create(&meta()).await.unwrap();
    assert_eq!(store.meta().await.unwrap(), Some(meta()));
    let again = store.create(&meta()).await.unwrap_err();
    assert!(matches!(again, StoreError::Failed { .. }) && !again.is_transient(), "{again:?}");
    let bm25 = Bm25::new();
    store.upsert(vec![point(&bm25, 1, "a", "alpha")]).await.unwrap();
    assert_eq!(store.count().await.unwrap(), 1, "the refused `create` changed nothing");
    let later = IndexMeta { generation: Uuid::from_u128(99), ..meta() };
    store.set_meta(&later).await.unwrap();
    assert_eq!((store.meta().await.unwrap(), store.count().await.unwrap()), (Some(later), 1));

    store.drop_index().await.unwrap();
    assert_eq!(store.meta().await.unwrap(), None);
    assert!(matches!(store.count().await.unwrap_err(), StoreError::Missing { .. }));
    let other = IndexMeta { dimensions: 3, generation: Uuid::from_u128(2), model: "x/ÿ 模型".into(), ..meta() };
    store.create(&other).await.unwrap();
    assert_eq!(store.meta().await.unwrap(), Some(other));
    assert_eq!(store.count().await.unwrap(), 0);
    let hits = store.query(Query::Dense(vec![1.0, 0.0, 0.0]), 5).await.unwrap();
    assert_eq!(hits, [], "an empty index finds nothing");
}

async fn a_vector_that_could_not_be_compared_is_refused_with_its_document(store: Store) {
    let bm25 = made(&store).await;
    for (dense, told) in [
        (vec![f32::NAN; WIDTH], "not finite"),
        (vec![f32::NEG_INFINITY; WIDTH], "not finite"),
        (vec![0.0; WIDTH], "all zero"),
        (vec![1e-5; WIDTH], "next to zero"),
        (vec![1e30; WIDTH], "too large"),
    ] {
        let odd = Point { dense, ..point(&bm25, 2, "docs/odd.md", "odd") };
        let refused = store.upsert(vec![point(&bm25, 1, "a", "even"), odd]).await.unwrap_err();
        assert!(refused.to_string().contains("a vector of docs/odd.md") && refused.to_string().contains(told), "{refused}");
        assert_eq!(store.count().await.unwrap(), 0, "none of the call was written");
    }
}

async fn a_width_other_than_the_index_s_is_refused(store: Store) {
    let bm25 = made(&store).await;
    let mut odd = point(&bm25, 2, "a", "odd");
    odd.dense.pop();
    let refused = store.upsert(vec![point(&bm25, 1, "a", "even"), odd]).await.unwrap_err();
    assert!(refused.to_string().contains("7 dimensions"), "{refused}");
    assert_eq!(store.count().await.unwrap(), 0, "none of the call was written");
    let refused = store.query(Query::Dense(vec![1.0]), 5).await.unwrap_err();
    assert!(refused.to_string().contains("1 dimensions"), "{refused}");
    store.upsert(vec![point(&bm25, 1, "a", "even")]).await.unwrap();
}

async fn writing_twice_is_writing_once(store: Store) {
    let bm25 = made(&store).await;
    let points: Vec<_> = (0..10).map(|n| point(&bm25, n, "a", &format!("text {n}"))).collect();
    store.upsert(points.clone()).await.unwrap();
    store.upsert(points.clone()).await.unwrap();
    assert_eq!(store.count().await.unwrap(), 10);
    let mut changed = points[3].clone();
    changed.passage = passage(3, "b", "changed entirely");
    changed.sparse = bm25.passage("changed entirely");
    changed.dense = direction(99, WIDTH);
    store.upsert(vec![changed.clone()]).await.unwrap();
    assert_eq!(store.count().await.unwrap(), 10);
    let hits = store.query(Query::Dense(direction(99, WIDTH)), 1).await.unwrap();
    assert_eq!((hits[0].id, &hits[0].passage), (id(3), &changed.passage));
    assert!((hits[0].score - 1.0).abs() < 1e-5, "cosine of a vector with itself: {}", hits[0].score);
    assert_eq!(found(&store, Query::Sparse(bm25.query("entirely")), 10).await, [id(3)]);
    assert!(!found(&store, Query::Sparse(bm25.query("text")), 20).await.contains(&id(3)), "the old terms are gone");
}

async fn passages_change_and_vectors_stay(store: Store) {
    let bm25 = made(&store).await;
    store.upsert((0..600).map(|n| point(&bm25, n, "old", &format!("word{n}"))).collect()).await.unwrap();
    let moved = (0..500).map(|n| (id(n), passage(n, "new", &format!("moved {n}")))).chain([(id(9999), passage(1, "x", "y"))]);
    store.set_passages(moved.collect()).await.unwrap();
    assert_eq!(store.count().await.unwrap(), 600, "a point that does not exist is not made");
    let hits = store.query(Query::Dense(direction(7, WIDTH)), 1).await.unwrap();
    assert_eq!((hits[0].id, &hits[0].passage), (id(7), &passage(7, "new", "moved 7")));
    assert_eq!(found(&store, Query::Sparse(bm25.query("word7")), 5).await, [id(7)]);
    // The payload was replaced, not merged: point 8 had a title, point 9 had headings.
    let mut bare = passage(8, "new", "bare");
    (bare.title, bare.headings) = (None, Vec::new());
    store.set_passages(vec![(id(8), bare.clone()), (id(9), bare.clone())]).await.unwrap();
    let page = store.scroll(Some(id(7)), 2).await.unwrap();
    assert_eq!(page, [(id(8), bare.clone()), (id(9), bare)]);
    store.delete_document("old").await.unwrap();
    assert_eq!(store.count().await.unwrap(), 500, "the filter follows the new payloads");
}

async fn what_is_deleted_is_gone(store: Store) {
    let bm25 = made(&store).await;
    let uris = ["a.md", "dir/b ö.md", "日本/文書.md", "a.md.bak"];
    let points = (0..40).map(|n| point(&bm25, n, uris[n as usize % 4], "same words here"));
    store.upsert(points.collect()).await.unwrap();
    store.delete(vec![id(0), id(1), id(1), id(777)]).await.unwrap();
    store.delete(Vec::new()).await.unwrap();
    assert_eq!(store.count().await.unwrap(), 38);
    store.delete_document("a.md").await.unwrap();
    assert_eq!(store.count().await.unwrap(), 29, "`a.md.bak` stays");
    store.delete_document("日本/文書.md").await.unwrap();
    store.delete_document("no such document").await.unwrap();
    store.delete_document("b ö.md").await.unwrap();
    store.delete_document("dir/b").await.unwrap();
    let left: BTreeSet<_> = store.scroll(None, 100).await.unwrap().into_iter().map(|(_, passage)| passage.uri).collect();
    assert_eq!(left, BTreeSet::from([uris[1].to_owned(), uris[3].to_owned()]));
    let hits = found(&store, Query::Sparse(bm25.query("words")), 100).await;
    assert_eq!(hits.len(), 19);
    assert!(!hits.contains(&id(2)) && hits.contains(&id(3)));
    store.upsert(vec![point(&bm25, 0, "a.md", "same words here")]).await.unwrap();
    assert_eq!(store.count().await.unwrap(), 20, "what was deleted can come back");
}

async fn queries_rank(store: Store) {
    let bm25 = made(&store).await;
    // "pump" is in every passage, "valve" in one of ten, "gasket" in one: rare words must count more.
    let text = |n: u64| match n {
        0 => "pump gasket",
        10 | 20 => "pump valve",
        _ => "pump pump pump",
    };
    store.upsert((0..30).map(|n| point(&bm25, n, "manual", text(n))).collect()).await.unwrap();

    let sparse = store.query(Query::Sparse(bm25.query("pump gasket valve")), 30).await.unwrap();
    assert_eq!(sparse.len(), 30);
    assert_eq!(sparse[0].id, id(0), "the rarest word wins, though others say `pump` thrice");
    assert_eq!([sparse[1].id, sparse[2].id], [id(10), id(20)]);
    assert!(sparse[0].score > sparse[1].score && sparse[2].score > sparse[3].score * 2.0, "{sparse:?}");
    assert_eq!(found(&store, Query::Sparse(bm25.query("gasket")), 30).await, [id(0)]);
    assert!(found(&store, Query::Sparse(bm25.query("sprocket")), 30).await.is_empty());

    let dense = store.query(Query::Dense(direction(5, WIDTH)), 30).await.unwrap();
    assert_eq!((dense.len(), dense[0].id), (30, id(5)));
    assert!(dense[0].score > 0.9999 && dense[1].score < 0.9999 && dense[29].score < dense[1].score);

    assert!(found(&store, Query::Sparse(bm25.query("pump")), 0).await.is_empty());
    assert_eq!(found(&store, Query::Sparse(bm25.query("pump")), usize::MAX).await.len(), 30);
    assert_eq!(found(&store, Query::Dense(direction(5, WIDTH)), usize::MAX).await.len(), 30);
}

async fn passages_without_words_are_found_by_direction_alone(store: Store) {
    let bm25 = made(&store).await;
    let none = SparseVector::default();
    let silent = Point { sparse: none.clone(), ..point(&bm25, 1, "a", "— … —") };
    store.upsert(vec![silent, point(&bm25, 2, "a", "words")]).await.unwrap();
    assert!(found(&store, Query::Sparse(none), 5).await.is_empty());
    assert_eq!(found(&store, Query::Sparse(bm25.query("words")), 5).await, [id(2)]);
    assert_eq!(found(&store, Query::Dense(direction(1, WIDTH)), 1).await, [id(1)]);
    // A point that had words and has none any more.
    store.upsert(vec![Point { sparse: SparseVector::default(), ..point(&bm25, 2, "a", "…") }]).await.unwrap();
    assert!(found(&store, Query::Sparse(bm25.query("words")), 5).await.is_empty());
}

async fn points_are_read_by_their_ids(store: Store) {
    let bm25 = made(&store).await;
    store.upsert((0..700).map(|n| point(&bm25, n, "手册/文.md", &format!("text {n}"))).collect()).await.unwrap();
    store.delete(vec![id(3)]).await.unwrap();
    let numbers: Vec<u64> = (0..900).rev().chain([5, 5, 777_777]).collect();
    let found = store.passages(numbers.iter().copied().map(id).collect()).await.unwrap();
    let there = |n: u64| (n < 700 && n != 3).then(|| passage(n, "手册/文.md", &format!("text {n}")));
    assert_eq!(found, numbers.into_iter().map(there).collect::<Vec<_>>());
    assert_eq!(store.passages(Vec::new()).await.unwrap(), []);
}

async fn every_page_comes_in_order_and_once(store: Store) {
    let bm25 = made(&store).await;
    let ids: Vec<_> = (0..701).map(|n| id(n * 7919 % 701)).collect();
    store.upsert((0..701).map(|n| Point { id: ids[n as usize], ..point(&bm25, n, "a", "t") }).collect()).await.unwrap();
    let mut sorted = ids;
    sorted.sort();
    assert_eq!(all(&store).await, sorted);
    for limit in [1, 100, 256, 257, 701, 702] {
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let page = store.scroll(after, limit).await.unwrap();
            assert!(page.len() <= limit);
            seen.extend(page.iter().map(|(id, _)| *id));
            if page.len() < limit || (limit == 1 && seen.len() > 20) {
                break;
            }
            after = page.last().map(|(id, _)| *id);
        }
        assert_eq!(seen, sorted[..seen.len()], "pages of {limit}");
        assert!(limit == 1 || seen.len() == 701);
    }
    assert_eq!(store.scroll(None, 0).await.unwrap(), []);
    assert_eq!(store.scroll(Some(Uuid::max()), 10).await.unwrap(), []);
    let edges = [Uuid::nil(), Uuid::max()];
    store.upsert(edges.iter().map(|id| Point { id: *id, ..point(&bm25, 1, "a", "t") }).collect()).await.unwrap();
    let listed = all(&store).await;
    assert_eq!((listed.first(), listed.last(), listed.len()), (Some(&edges[0]), Some(&edges[1]), 703));
}

async fn payloads_come_back_as_they_were(store: Store) {
    let bm25 = made(&store).await;
    let texts = ["", "日本語 עברית 🦀 e\u{301}", "line\nline\ttab \"quotes\" \\ \u{0} nul", "null", &"long ".repeat(50_000)];
    let points: Vec<_> = (0..).zip(texts).map(|(n, text)| point(&bm25, n, "dir/ü 文.md", text)).collect();
    let mut extreme = point(&bm25, 50, "", "x");
    extreme.passage.end = i64::MAX as u64;
    extreme.passage.modified = i64::MIN;
    extreme.passage.lines = (u32::MAX, u32::MAX);
    extreme.passage.title = Some(String::new());
    let points: Vec<_> = points.into_iter().chain([extreme]).collect();
    store.upsert(points.clone()).await.unwrap();
    let back = store.scroll(None, 100).await.unwrap();
    assert_eq!(back, points.into_iter().map(|point| (point.id, point.passage)).collect::<Vec<_>>());
}

async fn thousands_of_points_in_one_call(store: Store) {
    let bm25 = made(&store).await;
    let points = (0..5000).map(|n| point(&bm25, n, &format!("doc{}", n / 10), &format!("common term{n}"))).collect();
    store.upsert(points).await.unwrap();
    assert_eq!(store.count().await.unwrap(), 5000);
    assert_eq!(found(&store, Query::Sparse(bm25.query("term4321")), 3).await, [id(4321)]);
    assert_eq!(found(&store, Query::Dense(direction(1234, WIDTH)), 1).await, [id(1234)]);
    store.delete((0..4000).map(id).collect()).await.unwrap();
    store.delete_document("doc400").await.unwrap();
    assert_eq!(all(&store).await, (4010..5000).map(id).collect::<Vec<_>>());
    store.flush().await.unwrap();
}

async fn many_write_and_read_at_once(store: Store) {
    let bm25 = Arc::new(made(&store).await);
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..24u64 {
        let (store, bm25) = (Arc::clone(&store), Arc::clone(&bm25));
        tasks.spawn(async move {
            for round in 0..4 {
                let uri = format!("doc{task}");
                let numbers = task * 100 + round * 20..task * 100 + round * 20 + 20;
                let points = numbers.clone().map(|n| point(&bm25, n, &uri, &format!("w{n}"))).collect();
                store.upsert(points).await.unwrap();
                let wanted = id(numbers.start);
                let hits = store.query(Query::Sparse(bm25.query(&format!("w{}", numbers.start))), 3).await.unwrap();
                assert_eq!(hits[0].id, wanted, "what was acknowledged is found");
                store.delete(vec![wanted]).await.unwrap();
                store.count().await.unwrap();
            }
            if task % 2 == 0 {
                store.delete_document(&format!("doc{task}")).await.unwrap();
            }
        });
    }
    while let Some(task) = tasks.join_next().await {
        task.unwrap();
    }
    assert_eq!(store.count().await.unwrap(), 12 * 4 * 19);
}

/// Searches that come together may share their work: none may see another's.
async fn many_ask_at_once_and_each_finds_its_own(store: Store) {
    let bm25 = Arc::new(made(&store).await);
    let uri = |n: u64| format!("d{}/doc{n}", n % 3);
    let points = (0..600).map(|n| point(&bm25, n, &uri(n), &format!("common w{} v{}", n % 17, n % 5))).collect();
    store.upsert(points).await.unwrap();
    store.delete((0..600).step_by(7).map(id).collect()).await.unwrap();
    let ask = |n: u64| {
        let (store, bm25) = (Arc::clone(&store), Arc::clone(&bm25));
        async move {
            let conditions = match n % 3 {
                0 => vec![],
                1 => vec![Condition::Within(vec!["d1".into()])],
                _ => vec![Condition::NotWithin(vec!["d2".into()])],
            };
            let two = TwoRankings {
                dense: direction(n * 31, WIDTH),
                sparse: bm25.query(&format!("common w{} v{}", n % 17, n % 5)),
                depth: 20,
                fuse: Arc::new(|dense, sparse| [dense, sparse].concat().into_iter().filter(|one| one.id != id(5)).collect()),
            };
            let dense = store.query_where(Query::Dense(two.dense.clone()), &conditions, 1 + n as usize % 40).await.unwrap();
            (dense, store.query_two(two, &conditions, 10).await.unwrap())
        }
    };
    let mut alone = Vec::new();
    for n in 0..40 {
        alone.push(ask(n).await);
    }
    let together = futures_util::future::join_all((0..40).map(|n| tokio::spawn(ask(n)))).await;
    for (n, (alone, together)) in alone.iter().zip(together).enumerate() {
        assert_eq!(*alone, together.unwrap(), "search {n}");
        assert!(!alone.1.is_empty());
    }
}

/// Every behaviour, as a test over each store.
macro_rules! over_every_store {
    ($($behaviour:ident)*) => {
        mod on_embedded {
            use super::*;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $behaviour() {
                let folder = tempfile::tempdir().unwrap();
                super::$behaviour(Arc::new(EmbeddedStore::new(folder.path().join("index")))).await;
            })*
        }
        mod on_embedded_in_segments {
            use super::*;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $behaviour() {
                let folder = tempfile::tempdir().unwrap();
                super::$behaviour(Arc::new(EmbeddedStore::with_segments(folder.path().join("index"), [20, 500]))).await;
            })*
        }
        mod on_server {
            use super::*;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $behaviour() {
                let server = crate::store::Server::start().await;
                let store: Store = server.store.clone();
                super::$behaviour(store).await;
                server.clean().await;
            })*
        }
    };
}
over_every_store! {
    comes_and_goes
    a_width_other_than_the_index_s_is_refused
    a_vector_that_could_not_be_compared_is_refused_with_its_document
    writing_twice_is_writing_once
    passages_change_and_vectors_stay
    what_is_deleted_is_gone
    queries_rank
    passages_without_words_are_found_by_direction_alone
    points_are_read_by_their_ids
    every_page_comes_in_order_and_once
    payloads_come_back_as_they_were
    thousands_of_points_in_one_call
    many_write_and_read_at_once
    many_ask_at_once_and_each_finds_its_own
    a_filtered_ranking_is_the_ranking_filtered
    the_few_that_match_are_found_below_the_many_that_do_not
    documents_are_named
    a_document_stands_where_the_ranking_has_it
}
