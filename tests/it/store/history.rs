//! Any history of an embedded index against a plain model of it: what is there, what is found, and by what score.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;
use ragstream::document::{Hit, Point, SparseVector};
use ragstream::vectordb::bm25::Bm25;
use ragstream::vectordb::embedded::EmbeddedStore;
use ragstream::vectordb::{Condition, Fuse, Query, Ranked, TwoRankings, VectorStore};
use uuid::Uuid;

use super::{WIDTH, direction, id, meta, passage};

/// What may happen to an index.
#[derive(Debug, Clone)]
enum Step {
    Upsert(Vec<(u64, u64)>),
    Passages(Vec<(u64, u64)>),
    Delete(Vec<u64>),
    DeleteDocument(u64),
    Flush,
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let some = || prop::collection::vec((0_u64..60, 0_u64..1000), 1..25);
    let step = prop_oneof![
        6 => some().prop_map(Step::Upsert),
        2 => some().prop_map(Step::Passages),
        2 => prop::collection::vec(0_u64..60, 1..15).prop_map(Step::Delete),
        1 => (0_u64..8).prop_map(Step::DeleteDocument),
        1 => Just(Step::Flush),
        1 => Just(Step::Reopen),
    ];
    prop::collection::vec(step, 1..25)
}

/// The point with this number, in one of a thousand versions.
fn point(bm25: &Bm25, (n, version): (u64, u64)) -> Point {
    // Some have no words at all.
    let text = if version % 13 == 0 {
        "—".to_owned()
    } else {
        format!("w{} w{} common {}", n % 7, version % 11, "more ".repeat((version % 4) as usize))
    };
    let passage = passage(version, &format!("docs/d{}", (n + version) % 8), &text);
    Point { id: id(n), dense: direction(version, WIDTH), sparse: bm25.passage(&text), passage }
}

/// Term by term over the model, as BM25 is defined.
fn words(model: &BTreeMap<Uuid, Point>, query: &SparseVector) -> Vec<(f64, Uuid)> {
    let weight = |point: &Point, term: u32| {
        point.sparse.indices.iter().position(|index| *index == term).map(|at| f64::from(point.sparse.values[at]))
    };
    let idf = |term: u32| {
        let all = model.values().filter(|point| !point.sparse.indices.is_empty()).count() as f64;
        let having = model.values().filter(|point| weight(point, term).is_some()).count() as f64;
        ((all - having + 0.5) / (having + 0.5) + 1.0).ln()
    };
    let terms: Vec<(u32, f64)> = query.indices.iter().map(|term| (*term, idf(*term))).collect();
    let score = |point: &Point| terms.iter().filter_map(|(term, idf)| Some(idf * weight(point, *term)?)).sum::<f64>();
    let mut scores: Vec<_> = model.iter().map(|(id, point)| (score(point), *id)).filter(|(score, _)| *score > 0.0).collect();
    scores.sort_by(|a, b| b.0.total_cmp(&a.0));
    scores
}

fn directions(model: &BTreeMap<Uuid, Point>, asked: &[f32]) -> Vec<(f64, Uuid)> {
    let product = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum::<f64>();
    let cosine = |a: &[f32], b: &[f32]| product(a, b) / (product(a, a) * product(b, b)).sqrt();
    let mut scores: Vec<_> = model.iter().map(|(id, point)| (cosine(asked, &point.dense), *id)).collect();
    scores.sort_by(|a, b| b.0.total_cmp(&a.0));
    scores
}

async fn assert_same(store: &EmbeddedStore, model: &BTreeMap<Uuid, Point>, bm25: &Bm25) {
    let there = store.scroll(None, 1000).await.unwrap();
    assert_eq!(there, model.iter().map(|(id, point)| (*id, point.passage.clone())).collect::<Vec<_>>());
    assert_eq!(store.count().await.unwrap(), model.len() as u64);
    let vectors = store.scroll_points(None, 1000).await.unwrap();
    for ((found, vector, _), (id, point)) in vectors.iter().zip(model) {
        let length = point.dense.iter().map(|x| x * x).sum::<f32>().sqrt();
        let near = vector.iter().zip(&point.dense).all(|(x, y)| (x - y / length).abs() < 1e-3);
        assert!(found == id && near, "{vector:?} for {:?}", point.dense);
    }
    let uris: BTreeSet<_> = store.uris(&[]).await.unwrap().into_iter().collect();
    assert_eq!(uris, model.values().map(|point| point.passage.uri.clone()).collect());

    let fuse: Fuse = Arc::new(|dense, sparse| {
        let mut all: BTreeMap<Uuid, f32> = BTreeMap::new();
        dense.iter().chain(sparse).for_each(|one| *all.entry(one.id).or_default() += one.score);
        let mut all: Vec<Ranked> = all.into_iter().map(|(id, score)| Ranked { id, score }).collect();
        all.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.id.cmp(&b.id)));
        all
    });
    let within = Condition::Documents(vec!["docs/d1".into(), "docs/d3".into(), "docs/d6".into()]);
    for n in [1, 4, 777] {
        let (asked, direction) = (bm25.query(&format!("w{n} common more")), direction(n, WIDTH));
        let rankings = [
            (Query::Sparse(asked.clone()), words(model, &asked), 5e-4),
            (Query::Dense(direction.clone()), directions(model, &direction), 1e-3),
        ];
        for conditions in [&[][..], std::slice::from_ref(&within)] {
            let dense = store.query_where(Query::Dense(direction.clone()), conditions, 12).await.unwrap();
            let sparse = store.query_where(Query::Sparse(asked.clone()), conditions, 12).await.unwrap();
            let ranked = |hits: &[Hit]| hits.iter().map(|hit| Ranked { id: hit.id, score: hit.score }).collect::<Vec<_>>();
            let expected: Vec<Ranked> = fuse(&ranked(&dense), &ranked(&sparse)).into_iter().take(9).collect();
            let two = TwoRankings { dense: direction.clone(), sparse: asked.clone(), depth: 12, fuse: Arc::clone(&fuse) };
            let found = store.query_two(two, conditions, 9).await.unwrap();
            assert_eq!(ranked(&found), expected, "two rankings, {conditions:?}");
            assert!(found.iter().all(|hit| hit.passage == model[&hit.id].passage));
        }
        for (query, expected, grain) in rankings {
            let both = [within.clone(), Condition::Lang("zh".into())];
            for conditions in [&[][..], std::slice::from_ref(&within), &both] {
                let meets = |id: &Uuid| {
                    let passage = &model[id].passage;
                    let lang = conditions.len() < 2 || passage.lang.as_deref() == Some("zh");
                    lang && (conditions.is_empty() || ["docs/d1", "docs/d3", "docs/d6"].contains(&passage.uri.as_str()))
                };
                let expected: Vec<_> = expected.iter().filter(|(_, id)| meets(id)).collect();
                for limit in [5, 1000] {
                    let found = store.query_where(query.clone(), conditions, limit).await.unwrap();
                    assert_eq!(found.len(), expected.len().min(limit), "{query:?} {conditions:?}");
                    for (hit, (score, _)) in found.iter().zip(&expected) {
                        let off = (f64::from(hit.score) - score).abs();
                        assert!(off <= grain * score.abs().max(1.0), "{query:?}: {hit:?} for {score}");
                        assert!(meets(&hit.id) && hit.passage == model[&hit.id].passage);
                    }
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn any_history_is_what_it_says(steps in steps(), sizes in prop::sample::select(vec![[4, 20], [10, 1000], [1000, 100_000]])) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (folder, bm25) = (tempfile::tempdir().unwrap(), Bm25::new());
            let open = || EmbeddedStore::with_segments(folder.path(), sizes);
            let mut store = open();
            store.create(&meta()).await.unwrap();
            let mut model: BTreeMap<Uuid, Point> = BTreeMap::new();
            for step in steps {
                match step {
                    Step::Upsert(points) => {
                        let points: Vec<_> = points.into_iter().map(|which| point(&bm25, which)).collect();
                        store.upsert(points.clone()).await.unwrap();
                        model.extend(points.into_iter().map(|point| (point.id, point)));
                    }
                    Step::Passages(passages) => {
                        let passages: Vec<_> =
                            passages.into_iter().map(|which| (id(which.0), point(&bm25, which).passage)).collect();
                        store.set_passages(passages.clone()).await.unwrap();
                        for (id, passage) in passages {
                            model.entry(id).and_modify(|point| point.passage = passage);
                        }
                    }
                    Step::Delete(numbers) => {
                        store.delete(numbers.iter().map(|n| id(*n)).collect()).await.unwrap();
                        for n in numbers {
                            model.remove(&id(n));
                        }
                    }
                    Step::DeleteDocument(n) => {
                        store.delete_document(&format!("docs/d{n}")).await.unwrap();
                        model.retain(|_, point| point.passage.uri != format!("docs/d{n}"));
                    }
                    Step::Flush => store.flush().await.unwrap(),
                    Step::Reopen => {
                        drop(store);
                        store = open();
                    }
                }
            }
            assert_same(&store, &model, &bm25).await;
            store.flush().await.unwrap();
            assert_same(&store, &model, &bm25).await;
        });
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    /// Many are equal here, by words and by direction, sealed and fresh.
    #[test]
    fn what_comes_first_is_the_same_however_many_are_wanted(
        count in 1_u64..420,
        kinds in 1_u64..4,
        gone in prop::collection::btree_set(0_u64..420, 0..40),
        sizes in prop::sample::select(vec![[4, 20], [60, 1000], [1000, 100_000]]),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (folder, bm25) = (tempfile::tempdir().unwrap(), Bm25::new());
            let store = EmbeddedStore::with_segments(folder.path(), sizes);
            store.create(&meta()).await.unwrap();
            let point = |n: u64| {
                // In an order that is not that of the ids.
                let (n, kind) = (n * 263 % 421, n % kinds);
                let text = format!("common {}", "more ".repeat(kind as usize));
                let passage = passage(n, &format!("docs/d{}", n % 8), &text);
                Point { id: id(n), dense: direction(kind, WIDTH), sparse: bm25.passage(&text), passage }
            };
            let points: Vec<Point> = (0..count).map(point).collect();
            for some in points.chunks(37) {
                store.upsert(some.to_vec()).await.unwrap();
            }
            store.delete(gone.iter().map(|n| id(*n)).collect()).await.unwrap();
            let fuse: Fuse = Arc::new(|dense, sparse| {
                let mut all: BTreeMap<Uuid, f32> = BTreeMap::new();
                for ranking in [dense, sparse] {
                    (0_u16..).zip(ranking).for_each(|(n, one)| *all.entry(one.id).or_default() += 1.0 / (2.0 + f32::from(n)));
                }
                let mut all: Vec<Ranked> = all.into_iter().map(|(id, score)| Ranked { id, score }).collect();
                all.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.id.cmp(&b.id)));
                all
            });
            let asked = bm25.query("common more");
            for query in [Query::Dense(direction(0, WIDTH)), Query::Sparse(asked.clone())] {
                let all = store.query(query.clone(), 1000).await.unwrap();
                for limit in [1, 3, 5, 10, 49, 50, 51, 100, 255, 257, 300] {
                    let found = store.query(query.clone(), limit).await.unwrap();
                    assert_eq!(found, all[..limit.min(all.len())], "{limit} of {query:?}");
                }
                let uri = "docs/d3";
                let stands = store.standing(query.clone(), &[], uri).await.unwrap().map(|standing| (standing.id, standing.rank));
                let at = (1..).zip(&all).find(|(_, hit)| hit.passage.uri == uri).map(|(rank, hit)| (hit.id, rank));
                assert_eq!(stands, at, "{query:?}");
            }
            let two = |limit| {
                let two = TwoRankings { dense: direction(0, WIDTH), sparse: asked.clone(), depth: 100, fuse: Arc::clone(&fuse) };
                store.query_two(two, &[], limit)
            };
            let all = two(1000).await.unwrap();
            for limit in [1, 5, 10, 60, 100] {
                assert_eq!(two(limit).await.unwrap(), all[..limit.min(all.len())], "{limit} of two rankings");
            }
        });
    }
}
