//! What an ingest and a plan tell in figures is what the provider has seen, and what is in the folder.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::project::ended;
use crate::rig::{Kind, Rig, signal, until};

/// A rig whose pipeline file says something else at one place.
fn rig(of: &str, becomes: &str) -> Rig {
    let rig = Rig::new(Kind::Embedded);
    let written = String::from_utf8(rig.project.read("docs.yaml")).unwrap();
    assert!(written.contains(of), "{written}");
    rig.project.write("docs.yaml", written.replacen(of, becomes, 1));
    rig
}

#[test]
fn a_plan_of_batches_that_are_smaller_than_a_text_is_what_a_run_sends() {
    let rig = rig("batch: { items: 4 }", "batch: { tokens: 10 }");
    rig.write_documents(3);
    rig.project
        .write("docs/泵.txt", "水泵在天冷时会漏水，需要检查垫圈是否老化。\n\n每两年更换一次垫圈，并且同时更换阀门和密封环。\n");
    let plan = rig.run(&["plan", "--json"]).expect_code(0).last("plan");
    assert!(plan["requests"] == plan["embeddings"] && plan["embeddings"].as_u64() > Some(10), "{plan}");
    let summary = rig.complete();
    assert_eq!(summary["embeddings"]["requests"], plan["requests"], "{summary}");
    assert_eq!(plan["requests"], rig.requests.load(Ordering::SeqCst));
}

#[test]
fn a_file_that_two_sources_list_is_one_document() {
    let rig = rig("paths: [docs] } }]", "paths: [docs] } }, { files: { paths: [docs, docs/00.txt] } }]");
    rig.write_documents(4);
    let figures = |documents: &serde_json::Value| ["seen", "added", "unchanged"].map(|key| documents[key].as_u64().unwrap());
    let plan = rig.run(&["plan", "--json"]).expect_code(0).last("plan");
    assert_eq!(figures(&plan["documents"]), [4, 4, 0], "{plan}");
    for wanted in [[4, 4, 0], [4, 0, 4]] {
        let summary = rig.complete();
        assert_eq!(figures(&summary["documents"]), wanted, "{summary}");
    }
}

#[test]
fn nothing_waits_for_the_quota_after_a_stop_and_nothing_is_sent() {
    let rig = rig("limits: { concurrency: 3 }", "limits: { tpm: 10 }");
    rig.write_documents(3);
    let child = rig.start(&[]);
    until("the first request", || rig.requests.load(Ordering::SeqCst) > 0);
    // The others are larger than the quota of a minute, and wait for it.
    std::thread::sleep(Duration::from_secs(3));
    let (sent, stopped) = (rig.requests.load(Ordering::SeqCst), Instant::now());
    signal(&child, "INT");
    let ended = ended(child).expect_code(130);
    assert!(stopped.elapsed() < Duration::from_secs(20), "{:?}", stopped.elapsed());
    assert_eq!(rig.requests.load(Ordering::SeqCst), sent);
    let summary = ended.last("summary");
    assert_eq!((&summary["limit"]["cause"], &summary["limit"]["quota"]), (&json!("quota"), &json!("told")), "{summary}");
    assert_eq!(summary["embeddings"]["requests"], sent, "{summary}");
    assert!(!ended.stderr.contains("took too long"), "{ended:?}");
}
