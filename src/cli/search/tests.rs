//! How what was found is shown.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use super::{Searched, search, search_file};
use crate::answer::{DedupedHit, Found, Legs, QuestionError};
use crate::cli::style::Style;
use crate::document::{Hit, Metadata, Passage};
use crate::error::Error;
use crate::providers::{ErrorKind, ProviderError};
use crate::vectordb::StoreError;

fn hit(uri: &str, start: u64, lines: (u32, u32), score: f32, text: &str) -> Hit {
    let passage = Passage {
        columns: None,
        page: None,
        anchor: None,
        context: None,
        uri: uri.into(),
        start,
        end: start + text.len() as u64,
        lines,
        index: 0,
        title: Some("Keys".into()),
        headings: vec!["Keys".into(), "Rotate".into()],
        text: text.into(),
        modified: 1,
        lang: None,
        metadata: Metadata::default(),
        source: None,
    };
    Hit { id: uuid::Uuid::nil(), score, passage, pipeline: None }
}

/// Only these.
fn found(hits: Vec<DedupedHit>) -> Found {
    Found { hits, ..Found::default() }
}

fn two_hits() -> Found {
    let first = hit("docs/keys.md", 120, (10, 11), 0.75, "Rotate keys\nevery month.");
    found(vec![first.into(), hit("docs/密钥.md", 0, (1, 1), 0.5, "密钥每月轮换。").into()])
}

/// Finds one passage, but for questions that fail.
async fn find(text: String) -> Result<Found, Error> {
    match text.trim() {
        "" => Err(QuestionError::Empty.into()),
        "broken" => Err(ProviderError::new("double", ErrorKind::InvalidInput, "will not embed this").into()),
        _ => Ok(found(vec![hit("a.md", 0, (1, 1), 1.0, "a").into()])),
    }
}

async fn missing(_: String) -> Result<Found, Error> {
    Err(StoreError::Missing { store: "double".into() }.into())
}

fn json_style() -> Style {
    Style { json: true, ..Style::default() }
}

fn lines(out: &[u8]) -> Vec<Value> {
    std::str::from_utf8(out).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn found_passages_as_json_and_for_a_person() {
    let mut out = Vec::new();
    let searched = search(async |_| Ok(two_hits()), "keys".into(), &mut out, &json_style()).await.unwrap();
    assert_eq!((searched.hits, searched.exit_code()), (2, 0));
    let first = json!({"type": "hit", "rank": 1, "score": 0.75, "uri": "docs/keys.md", "title": "Keys",
                       "headings": ["Keys", "Rotate"], "start": 120, "end": 144, "lines": [10, 11], "text": "Rotate keys\nevery month."});
    assert_eq!(lines(&out)[0], first);
    assert_eq!(lines(&out)[1]["rank"], 2);

    let mut out = Vec::new();
    search(async |_| Ok(two_hits()), "keys".into(), &mut out, &Style { width: 30, ..Style::default() }).await.unwrap();
    let shown = " 1  0.750  docs/keys.md:10-11\n    Rotate keys\n    every month.\n\n \
                 2  0.500  docs/密钥.md:1  Ke…\n    密钥每月轮换。\n\n";
    assert_eq!(String::from_utf8(out).unwrap(), shown);

    let mut out = Vec::new();
    assert_eq!(search(async |_| Ok(Found::default()), "keys".into(), &mut out, &json_style()).await.unwrap().exit_code(), 1);
    assert!(out.is_empty());

    assert_eq!(search(missing, "keys".into(), &mut out, &json_style()).await.unwrap().exit_code(), 2);
    let said = &lines(&out)[0];
    assert_eq!((&said["kind"], &said["message"]), (&json!("index_missing"), &json!("there is no index at double yet")));
}

#[tokio::test]
async fn shown_with_where_the_copies_are() {
    let find = async |_| {
        let copies = vec![hit("2.md", 0, (1, 2), 0.9, "The same words in each, and else")];
        let first = hit("0.md", 0, (1, 2), 1.0, "the same words in each");
        Ok(found(vec![DedupedHit { hit: first, copies, legs: Legs::default() }]))
    };
    let mut out = Vec::new();
    search(find, "words".into(), &mut out, &json_style()).await.unwrap();
    assert_eq!(lines(&out)[0]["copies"], json!([{"uri": "2.md", "start": 0, "end": 32, "lines": [1, 2]}]));
    let mut out = Vec::new();
    search(find, "words".into(), &mut out, &Style { width: 60, ..Style::default() }).await.unwrap();
    let shown = String::from_utf8(out).unwrap();
    assert!(shown.ends_with("    the same words in each\n    Nearly the same: 2.md:1-2\n\n"), "{shown}");
}

#[tokio::test]
async fn a_reader_that_leaves_ends_it_quietly() {
    let (gone, out) = std::io::pipe().unwrap();
    drop(gone);
    let mut out = out;
    let searched = search(find, "keys".into(), &mut out, &json_style()).await.unwrap();
    assert!(searched.reader_left && searched.exit_code() == 0, "{searched:?}");
}

async fn searched(
    find: impl AsyncFn(String) -> Result<Found, Error>,
    file: &[u8],
    style: &Style,
) -> (Searched, Vec<u8>, String) {
    let (mut out, mut log) = (Vec::new(), Vec::new());
    let searched = search_file(find, file, &mut out, &mut log, style).await.unwrap();
    (searched, out, String::from_utf8(log).unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_file_of_queries_is_answered_in_its_order() {
    let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
    // The first takes longest.
    let slowly = async |text: String| {
        most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_secs(text.parse().unwrap())).await;
        now.fetch_sub(1, Ordering::SeqCst);
        find(text).await
    };
    let queries: Vec<String> = (0..30).map(|n| format!("{{\"id\":\"q{n}\",\"text\":\"{}\"}}", 30 - n)).collect();
    let (ended, out, log) = searched(slowly, queries.join("\n").as_bytes(), &json_style()).await;
    assert_eq!((ended.hits, ended.failed, ended.exit_code(), log.as_str()), (30, 0, 0, ""));
    let ids: Vec<String> = lines(&out).iter().map(|line| line["query_id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ids, (0..30).map(|n| format!("q{n}")).collect::<Vec<_>>());
    let most = most.load(Ordering::SeqCst);
    assert!((2..=8).contains(&most), "{most} at once");
}

#[tokio::test]
async fn bad_lines_are_named_and_the_others_go_on() {
    let mut file = b"\xef\xbb\xbf{\"_id\":7,\"text\":\"x\",\"metadata\":{}}\r\n\n{\"id\":\"b\"}\nnot json\n\"\xff\"\n".to_vec();
    file.extend(format!("{{\"id\":\"c\",\"text\":\"{}\"}}\n", "x".repeat(300_000)).into_bytes());
    file.extend(b"{\"id\":\"d\",\"text\":\"broken\"}\n{\"id\":\"e\",\"text\":\" \"}\n{\"id\":\"f\",\"text\":\"x\"}");
    let (ended, out, log) = searched(find, &file, &json_style()).await;
    assert_eq!((ended.hits, ended.failed, ended.exit_code(), log.as_str()), (2, 6, 1, ""));
    let lines = lines(&out);
    let places: Vec<Value> =
        lines.iter().map(|l| if l["line"].is_null() { l["query_id"].clone() } else { l["line"].clone() }).collect();
    assert_eq!(places, [json!("7"), json!(3), json!(4), json!(5), json!(6), json!("d"), json!("e"), json!("f")]);
    assert_eq!(lines[6], json!({"type": "failed", "query_id": "e", "error": "the question is empty"}));
    assert!(lines[1]["error"].as_str().unwrap().starts_with("missing field `text` at column 10"), "{}", lines[1]);

    let (ended, out, log) = searched(find, b"{}\n{\"id\":\"f\",\"text\":\"x\"}", &Style::default()).await;
    assert_eq!(ended.exit_code(), 1);
    assert_eq!(String::from_utf8(out).unwrap(), "f\n 1  1.000  a.md:1  Keys > Rotate\n    a\n\n");
    assert!(log.starts_with("error: line 1: missing field `id`"), "{log}");

    let both = b"{\"id\":\"a\",\"text\":\"x\"}\n{\"id\":\"b\",\"text\":\"x\"}";
    let (ended, out, _) = searched(missing, both, &json_style()).await;
    assert_eq!(ended.exit_code(), 2);
    assert_eq!(
        self::lines(&out).iter().filter(|line| line["type"] == "error").count(),
        1,
        "what would fail them all is said once"
    );
}
