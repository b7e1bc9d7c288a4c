//! The sample corpus and its labelled questions belong together.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::collections::BTreeSet;
use std::path::Path;

#[test]
fn every_question_has_an_answer_and_every_answer_a_file() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("data");
    let queries = std::fs::read_to_string(data.join("eval/queries.jsonl")).unwrap();
    let queries: Vec<serde_json::Value> = queries.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let ids: BTreeSet<&str> = queries.iter().map(|query| query["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), queries.len(), "an id is used twice");
    assert!(queries.iter().all(|query| !query["text"].as_str().unwrap().trim().is_empty()));

    let qrels = std::fs::read_to_string(data.join("eval/qrels.tsv")).unwrap();
    let mut lines = qrels.lines();
    assert_eq!(lines.next(), Some("query-id\tcorpus-id\tscore"));
    let mut answered = BTreeSet::new();
    for line in lines {
        let [query, document, score] = line.split('\t').collect::<Vec<_>>().try_into().unwrap();
        assert!(ids.contains(query), "{query} is no question");
        assert!(data.join("lantern").join(document).is_file(), "{document} is no file");
        assert!((1..=2).contains(&score.parse::<u8>().unwrap()));
        answered.insert(query);
    }
    assert_eq!(answered, ids);
}
