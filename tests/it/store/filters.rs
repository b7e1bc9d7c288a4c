//! Filters over every store: what is found is what is left of the whole ranking.

use std::sync::Arc;

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use ragstream::answer::{Filter, Term};
use ragstream::document::{Hit, Metadata, Passage, Point, Scalar};
use ragstream::vectordb::bm25::Bm25;
use ragstream::vectordb::{Condition, MAX_PAGE, Query, VectorStore};

use super::{WIDTH, direction, id, meta, passage};

type Store = Arc<dyn VectorStore>;

const FOLDERS: [&str; 7] = ["", "docs/", "docs/api/", "docs/api/v2/", "docsx/", "文档/", "/srv/docs/"];
const NAMES: [&str; 5] = ["keys.md", "a b.md", "notes.txt", "api", "说明.md"];
const DAY: i64 = 86_400;

fn varied(n: u64) -> Passage {
    let mut varied = passage(n, "", &format!("pump {} valve{}", "gasket ".repeat((n % 5) as usize), n % 11));
    varied.uri = format!("{}{}", FOLDERS[(n % 7) as usize], NAMES[(n / 7 % 5) as usize]);
    varied.lang = [Some("en"), Some("zh"), None][(n % 3) as usize].map(str::to_owned);
    varied.metadata = match n % 4 {
        0 => [("author".to_owned(), "Ada Byron".into()), ("price".to_owned(), (n as i64 % 6).into())].into(),
        1 => [("author".to_owned(), "洛夫莱斯".into()), ("price".to_owned(), 2.5.into()), ("draft".to_owned(), true.into())]
            .into(),
        2 => [("draft".to_owned(), false.into()), ("price".to_owned(), "3".into()), ("a b.c".to_owned(), 1.into())].into(),
        _ => Metadata::new(),
    };
    let tags: Vec<Scalar> = match n / 4 % 4 {
        0 => vec!["red".into(), "铸铁".into()],
        1 => vec!["red".into(), 7.into()],
        2 => vec![4.into(), "7".into(), true.into()],
        _ => Vec::new(),
    };
    if !n.is_multiple_of(5) {
        varied.metadata.insert("tags".to_owned(), Scalar::List(tags));
    }
    // Of every twelfth it is not known, and some are older than the first second of 1970.
    varied.modified = match n % 12 {
        0 => 0,
        6 => -(n as i64) * DAY - 1,
        _ => 1_767_225_600 + (n as i64 % 10 - 5) * DAY,
    };
    varied
}

fn filter(terms: &[&str]) -> Filter {
    Filter::from(terms.iter().map(|term| term.parse::<Term>().unwrap()).collect::<Vec<_>>())
}

/// The terms, as anyone would say them over a passage.
fn passes(terms: &[&str], passage: &Passage) -> bool {
    let below = |folder: &str| passage.uri.starts_with(&format!("{folder}/"));
    let dated = passage.modified != 0;
    terms.iter().all(|term| match *term {
        "path=docs/api/**" => below("docs/api"),
        "path!=docs/**" => !below("docs"),
        "path=*.md" => passage.uri.ends_with(".md"),
        "path!=**/api/*.md" => {
            passage.uri != "docs/api/keys.md" && passage.uri != "docs/api/a b.md" && passage.uri != "docs/api/说明.md"
        }
        "path=docs" => below("docs") || below("/srv/docs"),
        "path=docs/api/a b.md" => passage.uri == "docs/api/a b.md",
        "path=/srv/**" => below("/srv"),
        "path=文档/**" => below("文档"),
        "path=docs/*" => below("docs") && !below("docs/api"),
        "path=notes.txt" => passage.uri.rsplit('/').next() == Some("notes.txt"),
        "path=nowhere/**" => false,
        "lang=zh" => passage.lang.as_deref() == Some("zh"),
        "lang!=zh" => passage.lang.as_deref() != Some("zh"),
        "lang!=en" => passage.lang.as_deref() != Some("en"),
        "modified>2026-01-01" => passage.modified > 1_767_225_600,
        "modified>=2026-01-01" => passage.modified >= 1_767_225_600,
        "modified<=2026-01-03T12:00:00+01:00" => dated && passage.modified <= 1_767_225_600 + 2 * DAY + 11 * 3600,
        "modified<2026-01-01" => dated && passage.modified < 1_767_225_600,
        "modified<1970-01-01" => passage.modified < 0,
        "modified>=1970-01-01" => passage.modified > 0,
        "meta.author=Ada Byron" => author(passage) == Some("Ada Byron"),
        "meta.author!=洛夫莱斯" => author(passage) != Some("洛夫莱斯"),
        "meta.price>=2" => price(passage).is_some_and(|price| price >= 2.0),
        "meta.price<2.5" => price(passage).is_some_and(|price| price < 2.5),
        "meta.price=3" => price(passage) == Some(3.0) || passage.metadata.get("price") == Some(&"3".into()),
        "meta.draft=true" => passage.metadata.get("draft") == Some(&true.into()),
        "meta.draft!=true" => passage.metadata.get("draft") != Some(&true.into()),
        "meta.tags=red" => tagged(passage, |tag| *tag == "red".into()),
        "meta.tags=铸铁" => tagged(passage, |tag| *tag == "铸铁".into()),
        "meta.tags!=red" => !tagged(passage, |tag| *tag == "red".into()),
        "meta.tags=7" => tagged(passage, |tag| *tag == "7".into() || *tag == 7.into()),
        "meta.tags!=7" => !tagged(passage, |tag| *tag == "7".into() || *tag == 7.into()),
        "meta.tags=true" => tagged(passage, |tag| *tag == true.into()),
        "meta.tags<5" => tagged(passage, |tag| *tag == 4.into()),
        "meta.a b.c=1" => passage.metadata.contains_key("a b.c"),
        other => panic!("unexpected: {other}"),
    })
}

fn author(passage: &Passage) -> Option<&str> {
    passage.metadata.get("author").map(|author| if let Scalar::Text(author) = author { author.as_str() } else { panic!() })
}

/// Whether one of its tags is such a one.
fn tagged(passage: &Passage, is: impl Fn(&Scalar) -> bool) -> bool {
    matches!(passage.metadata.get("tags"), Some(Scalar::List(tags)) if tags.iter().any(is))
}

fn price(passage: &Passage) -> Option<f64> {
    match passage.metadata.get("price")? {
        Scalar::Integer(price) => Some(*price as f64),
        Scalar::Float(price) => Some(*price),
        _ => None,
    }
}

const TERMS: [&str; 35] = [
    "meta.tags=red",
    "meta.tags=铸铁",
    "meta.tags!=red",
    "meta.tags=7",
    "meta.tags!=7",
    "meta.tags=true",
    "meta.tags<5",
    "meta.author=Ada Byron",
    "meta.author!=洛夫莱斯",
    "meta.price>=2",
    "meta.price<2.5",
    "meta.price=3",
    "meta.draft=true",
    "meta.draft!=true",
    "meta.a b.c=1",
    "path=docs/api/**",
    "path!=docs/**",
    "path=*.md",
    "path!=**/api/*.md",
    "path=docs",
    "path=docs/api/a b.md",
    "path=/srv/**",
    "path=文档/**",
    "path=docs/*",
    "path=notes.txt",
    "path=nowhere/**",
    "lang=zh",
    "lang!=zh",
    "lang!=en",
    "modified>2026-01-01",
    "modified>=2026-01-01",
    "modified<=2026-01-03T12:00:00+01:00",
    "modified<2026-01-01",
    "modified<1970-01-01",
    "modified>=1970-01-01",
];

/// The hits are the best `limit` of `all`, which comes best first. Of those that are as good as the last, any may be left out: the
/// engine says not which.
fn assert_best(found: &[Hit], all: &[Hit], limit: usize, told: &str) {
    let scores = |hits: &[Hit]| hits.iter().take(limit).map(|hit| hit.score).collect::<Vec<_>>();
    assert_eq!(scores(found), scores(all), "{told}");
    assert!(found.is_sorted_by(|a, b| a.score > b.score || (a.score == b.score && a.id < b.id)), "{told}: {found:?}");
    let last = found.last().map_or(0.0, |hit| hit.score);
    for hit in found {
        assert!(all.iter().any(|one| one == hit), "{told}: {hit:?}");
    }
    for hit in all.iter().filter(|hit| hit.score > last) {
        assert!(found.contains(hit) || found.len() < limit, "{told}: {hit:?}");
    }
}

pub async fn a_filtered_ranking_is_the_ranking_filtered(store: Store) {
    store.create(&meta()).await.unwrap();
    let bm25 = Bm25::new();
    let points = (0..400).map(|n| {
        let passage = varied(n);
        Point { id: id(n), dense: direction(n, WIDTH), sparse: bm25.passage(&passage.text), passage }
    });
    store.upsert(points.collect()).await.unwrap();
    // Payloads that are replaced are looked up anew.
    let swapped: Vec<_> = (0..10).map(|n| (id(n), varied(n + 400))).collect();
    store.set_passages(swapped).await.unwrap();
    store.flush().await.unwrap();

    let mut runner = TestRunner::deterministic();
    let cases = (prop::sample::subsequence(TERMS.to_vec(), 0..4), 1_usize..40, any::<bool>(), 0_u64..1000);
    for _ in 0..160 {
        let (terms, limit, dense, n) = cases.new_tree(&mut runner).unwrap().current();
        let query = if dense {
            Query::Dense(direction(n, WIDTH))
        } else {
            Query::Sparse(bm25.query(["gasket", "pump", "valve3 gasket", "valve7"][(n % 4) as usize]))
        };
        let mut expected = store.query(query.clone(), MAX_PAGE).await.unwrap();
        expected.retain(|hit| passes(&terms, &hit.passage));
        let found = filter(&terms).search(&*store, query, limit).await.unwrap();
        assert_best(&found, &expected, limit, &format!("{terms:?}, the best {limit}, dense: {dense}"));
    }
}

pub async fn the_few_that_match_are_found_below_the_many_that_do_not(store: Store) {
    store.create(&meta()).await.unwrap();
    let bm25 = Bm25::new();
    // The more often a passage says it, the better: those that match are the worst, and more than one query names.
    let point = |n: u64| {
        let (uri, text) = match n {
            0..1100 => (format!("d{n}/x.txt"), format!("pump {}", "valve hose ".repeat(1 + n as usize % 7))),
            n => (format!("d{n}/x.md"), "pump pump pump pump".to_owned()),
        };
        Point { id: id(n), dense: direction(n, WIDTH), sparse: bm25.passage(&text), passage: passage(n, &uri, &text) }
    };
    store.upsert((0..1200).map(point).collect()).await.unwrap();
    let pump = Query::Sparse(bm25.query("pump"));
    let mut expected = store.query(pump.clone(), MAX_PAGE).await.unwrap();
    expected.retain(|hit| hit.passage.uri.ends_with(".txt"));
    assert_eq!(expected.len(), 1100);
    let found = filter(&["path=*.txt"]).search(&*store, pump.clone(), 20).await.unwrap();
    assert_best(&found, &expected, 20, "txt");
    let one = filter(&["path=**/d77/*.txt"]).search(&*store, pump, 20).await.unwrap();
    assert_eq!(one.iter().map(|hit| hit.id).collect::<Vec<_>>(), [id(77)]);
}

pub async fn documents_are_named(store: Store) {
    store.create(&meta()).await.unwrap();
    let bm25 = Bm25::new();
    assert!(store.uris(&[]).await.unwrap().is_empty());
    let uris = ["a.md", "docs/b.md", "docs/b.md", "docs/c d.md"];
    let point = |n: usize| {
        let passage = passage(n as u64, uris[n], "pump");
        Point { id: id(n as u64), dense: direction(n as u64, WIDTH), sparse: bm25.passage("pump"), passage }
    };
    store.upsert((0..4).map(point).collect()).await.unwrap();
    let named = |conditions: Vec<Condition>| {
        let store = Arc::clone(&store);
        async move {
            let mut uris = store.uris(&conditions).await.unwrap();
            uris.sort();
            uris
        }
    };
    assert_eq!(named(vec![]).await, ["a.md", "docs/b.md", "docs/c d.md"], "each once");
    assert_eq!(named(vec![Condition::Within(vec!["docs".into()])]).await, ["docs/b.md", "docs/c d.md"]);
    assert_eq!(named(vec![Condition::Within(vec![".".into()])]).await.len(), 3);
    assert_eq!(named(vec![Condition::NotWithin(vec!["docs/b.md".into()])]).await, ["a.md", "docs/c d.md"]);
    store.delete_document("docs/b.md").await.unwrap();
    assert_eq!(named(vec![]).await, ["a.md", "docs/c d.md"], "without what is gone");
}

pub async fn a_document_stands_where_the_ranking_has_it(store: Store) {
    store.create(&meta()).await.unwrap();
    let bm25 = Bm25::new();
    let point = |n: u64| {
        let passage = varied(n);
        Point { id: id(n), dense: direction(n, WIDTH), sparse: bm25.passage(&passage.text), passage }
    };
    // Some of it tidied up, some just written, some gone.
    store.upsert((0..250).map(point).collect()).await.unwrap();
    store.flush().await.unwrap();
    store.upsert((250..400).map(point).collect()).await.unwrap();
    let living = |n: &u64| n % 9 != 4;
    store.delete((0..400).filter(|n| !living(n)).map(id).collect()).await.unwrap();
    let narrowed = [vec![], vec![Condition::Lang("zh".into())], vec![Condition::Within(vec!["docs".into()])]];
    for n in 0..24_u64 {
        let query = match n % 4 {
            0 => Query::Sparse(bm25.query("gasket valve3")),
            1 => Query::Sparse(bm25.query("valve7")),
            _ => Query::Dense(direction(n + 1000, WIDTH)),
        };
        let conditions = &narrowed[n as usize % 3];
        let all = store.query_where(query.clone(), conditions, MAX_PAGE).await.unwrap();
        for uri in (n..n + 35).step_by(6).map(|n| varied(n).uri).chain(["nobody.md".to_owned()]) {
            let stands = store.standing(query.clone(), conditions, &uri).await.unwrap();
            let expected = all.iter().position(|hit| hit.passage.uri == uri);
            assert_eq!(stands.map(|stands| stands.rank), expected.map(|at| at as u64 + 1), "{n} {uri}");
            if let (Some(stands), Some(at)) = (stands, expected) {
                assert!(stands.exact && stands.id == all[at].id && (stands.score - all[at].score).abs() < 1e-5, "{stands:?}");
            }
        }
    }
    let terms = bm25.query("gasket pump valve3 unheard");
    if let Some(counted) = store.frequencies(&terms.indices).await.unwrap() {
        let vectors: Vec<_> = (0..400).filter(living).map(|n| bm25.passage(&varied(n).text)).collect();
        let with = |term: &u32| vectors.iter().filter(|vector| vector.indices.contains(term)).count() as u64;
        assert_eq!((counted.points, counted.of), (vectors.len() as u64, terms.indices.iter().map(with).collect()));
    }
}
