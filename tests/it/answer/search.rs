//! Searching: how the store is asked, and how what it finds is shown.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use ragstream::answer::Retriever;
use ragstream::answer::{Duplicates, RetrieveMode};
use ragstream::cli::search::{Searched, search, search_file};
use ragstream::cli::style::Style;
use ragstream::document::{Hit, SparseVector};
use ragstream::vectordb::Query;
use serde_json::{Value, json};

use super::doubles::{Embed, Store, hit, json_style, lines, retriever, two_hits};

#[tokio::test(start_paused = true)]
async fn each_mode_asks_the_store_its_own_way() {
    let dense = vec![1.0, 0.0];
    let sparse = SparseVector { indices: vec![0, 1], values: vec![1.0, 1.0] };
    let cases = [
        (RetrieveMode::Dense, true, " two words ", vec![(Query::Dense(dense.clone()), 5)]),
        (RetrieveMode::Sparse, false, "two words", vec![(Query::Sparse(sparse.clone()), 5)]),
        // The words need not wait for the embedding model.
        (RetrieveMode::Hybrid, true, "two words", vec![(Query::Sparse(sparse), 100), (Query::Dense(dense.clone()), 100)]),
        (RetrieveMode::Hybrid, true, "???", vec![(Query::Dense(dense), 100)]),
        (RetrieveMode::Sparse, false, "???", vec![]),
    ];
    for (mode, embeds, question, expected) in cases {
        let (mut retriever, store) = retriever(Store::default(), embeds.then(|| Embed::new(1)), mode);
        retriever.plan.select.duplicates = Duplicates::Keep;
        assert_eq!(retriever.retrieve(question, 5).await.unwrap(), []);
        let mut asked = store.asked.lock().unwrap().clone();
        asked.sort_by_key(|(query, _)| matches!(query, Query::Dense(_)));
        assert_eq!(asked, expected, "{mode:?} {question}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_hybrid_retrieval_gives_as_many_as_were_asked_for() {
    let hits: Vec<_> = (0..300).map(|n| hit("a.md", n, (1, 1), 1.0 - n as f32 / 300.0, "a")).collect();
    let (mut retriever, store) = retriever(Store { hits, ..Store::default() }, Some(Embed::new(1)), RetrieveMode::Hybrid);
    retriever.plan.select.duplicates = Duplicates::Keep;
    let few = retriever.retrieve("two words", 7).await.unwrap();
    let many = retriever.retrieve("two words", 200).await.unwrap();
    assert_eq!((few.len(), many.len()), (7, 200));
    let ids = |hits: &[Hit]| hits.iter().map(|hit| hit.id).collect::<Vec<_>>();
    assert_eq!(ids(&few), ids(&many[..7]), "asking for more changes nothing at the top");
    let depths: Vec<usize> = store.asked.lock().unwrap().iter().map(|(_, limit)| *limit).collect();
    assert_eq!(depths, [100, 100, 200, 200]);
}

#[tokio::test]
async fn found_passages_as_json_and_for_a_person() {
    let (found, _) = retriever(Store { hits: two_hits(), ..Store::default() }, None, RetrieveMode::Sparse);
    let mut out = Vec::new();
    let searched = search(&found, "keys", 8, &mut out, &json_style()).await.unwrap();
    assert_eq!((searched.hits, searched.exit_code()), (2, 0));
    let first = json!({"type": "hit", "rank": 1, "score": 0.75, "uri": "docs/keys.md", "title": "Keys",
                       "headings": ["Keys", "Rotate"], "start": 120, "end": 144, "lines": [10, 11], "text": "Rotate keys\nevery month."});
    assert_eq!(lines(&out)[0], first);
    assert_eq!(lines(&out)[1]["rank"], 2);

    let mut out = Vec::new();
    search(&found, "keys", 8, &mut out, &Style { width: 30, ..Style::default() }).await.unwrap();
    let shown = " 1  0.750  docs/keys.md:10-11\n    Rotate keys\n    every month.\n\n \
                 2  0.500  docs/密钥.md:1  Ke…\n    密钥每月轮换。\n\n";
    assert_eq!(String::from_utf8(out).unwrap(), shown);

    let (nothing, _) = retriever(Store::default(), None, RetrieveMode::Sparse);
    let mut out = Vec::new();
    assert_eq!(search(&nothing, "keys", 8, &mut out, &json_style()).await.unwrap().exit_code(), 1);
    assert!(out.is_empty());

    let (missing, _) = retriever(Store { missing: true, ..Store::default() }, None, RetrieveMode::Sparse);
    assert_eq!(search(&missing, "keys", 8, &mut out, &json_style()).await.unwrap().exit_code(), 2);
    let said = &lines(&out)[0];
    assert_eq!((&said["kind"], &said["message"]), (&json!("index_missing"), &json!("there is no index at double yet")));
}

async fn searched(retriever: &Retriever, file: &[u8], style: &Style) -> (Searched, Vec<u8>, String) {
    let (mut out, mut log) = (Vec::new(), Vec::new());
    let searched = search_file(retriever, file, 8, &mut out, &mut log, style).await.unwrap();
    (searched, out, String::from_utf8(log).unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_file_of_queries_is_answered_in_its_order() {
    let embedder = Embed::new(1);
    let hits = vec![hit("a.md", 0, (1, 1), 1.0, "a")];
    let (retriever, _) = retriever(Store { hits, ..Store::default() }, Some(Arc::clone(&embedder)), RetrieveMode::Dense);
    // The first takes longest.
    let queries: Vec<String> = (0..30).map(|n| format!("{{\"id\":\"q{n}\",\"text\":\"wait {}\"}}", 30 - n)).collect();
    let (ended, out, log) = searched(&retriever, queries.join("\n").as_bytes(), &json_style()).await;
    assert_eq!((ended.hits, ended.failed, ended.exit_code(), log.as_str()), (30, 0, 0, ""));
    let ids: Vec<String> = lines(&out).iter().map(|line| line["query_id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ids, (0..30).map(|n| format!("q{n}")).collect::<Vec<_>>());
    let most = embedder.most.load(Ordering::SeqCst);
    assert!((2..=8).contains(&most), "{most} at once");
}

#[tokio::test(start_paused = true)]
async fn bad_lines_are_named_and_the_others_go_on() {
    let hits = vec![hit("a.md", 0, (1, 1), 1.0, "a")];
    let (found, _) = retriever(Store { hits, ..Store::default() }, Some(Embed::new(1)), RetrieveMode::Dense);
    let mut file = b"\xef\xbb\xbf{\"_id\":7,\"text\":\"x\",\"metadata\":{}}\r\n\n{\"id\":\"b\"}\nnot json\n\"\xff\"\n".to_vec();
    file.extend(format!("{{\"id\":\"c\",\"text\":\"{}\"}}\n", "x".repeat(300_000)).into_bytes());
    file.extend(b"{\"id\":\"d\",\"text\":\"broken\"}\n{\"id\":\"e\",\"text\":\" \"}\n{\"id\":\"f\",\"text\":\"x\"}");
    let (ended, out, log) = searched(&found, &file, &json_style()).await;
    assert_eq!((ended.hits, ended.failed, ended.exit_code(), log.as_str()), (2, 6, 1, ""));
    let lines = lines(&out);
    let places: Vec<Value> =
        lines.iter().map(|l| if l["line"].is_null() { l["query_id"].clone() } else { l["line"].clone() }).collect();
    assert_eq!(places, [json!("7"), json!(3), json!(4), json!(5), json!(6), json!("d"), json!("e"), json!("f")]);
    assert_eq!(lines[6], json!({"type": "failed", "query_id": "e", "error": "the question is empty"}));
    assert!(lines[1]["error"].as_str().unwrap().starts_with("missing field `text` at column 10"), "{}", lines[1]);

    let (ended, out, log) = searched(&found, b"{}\n{\"id\":\"f\",\"text\":\"x\"}", &Style::default()).await;
    assert_eq!(ended.exit_code(), 1);
    assert_eq!(String::from_utf8(out).unwrap(), "f\n 1  1.000  a.md:1  Keys > Rotate\n    a\n\n");
    assert!(log.starts_with("error: line 1: missing field `id`"), "{log}");

    let (missing, _) = retriever(Store { missing: true, ..Store::default() }, Some(Embed::new(1)), RetrieveMode::Dense);
    let (ended, out, _) =
        searched(&missing, b"{\"id\":\"a\",\"text\":\"x\"}\n{\"id\":\"b\",\"text\":\"x\"}", &json_style()).await;
    assert_eq!(ended.exit_code(), 2);
    assert_eq!(lines_of_type(&out, "error"), 1, "what would fail them all is said once");
}

fn lines_of_type(out: &[u8], wanted: &str) -> usize {
    lines(out).iter().filter(|line| line["type"] == wanted).count()
}
