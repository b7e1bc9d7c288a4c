//! llmock keeps an account's quota and watches how the client behaves when it is spent.

use serde_json::{Value, json};

use super::{Peer, project, without_secrets};
use crate::both::{Home, Ledger, over_both_ledgers};
use crate::project::{Project, samples};

/// A project over the sample documents, in small chunks and small batches.
fn samples_at(ledger: Ledger, mock: &Peer) -> Home {
    let project = Home::of(ledger, project());
    let pipeline = format!(
        "version: 1\nname: docs\nsources: [{}]\nchunk: {{ max_tokens: 60, overlap: 0 }}\n\
         providers:\n  openai: {{ base_url: \"{}/v1\", api_key: \"${{PEER_KEY}}\" }}\n\
         embed: {{ model: openai/text-embedding-3-small, batch: {{ items: 4 }} }}\n{}",
        project.folder(samples().to_str().unwrap()),
        mock.url,
        project.store()
    );
    project.write("p.yaml", pipeline);
    project
}

over_both_ledgers! {
    a_quota_that_the_headers_tell_is_kept_to
    refused_and_broken_batches_are_sent_again
    a_refusal_for_good_stops_the_run_and_is_not_repeated
}

fn ingest(project: &Project) -> Value {
    without_secrets(project.run(&["ingest", "-p", "p.yaml", "--json"])).expect_code(0).last("summary")
}

/// Everything is in the index, and nothing was paid for twice.
fn all_indexed(summary: &Value) {
    assert_eq!((&summary["documents"]["added"], &summary["documents"]["failed"]), (&json!(21), &json!(0)), "{summary}");
    assert_eq!(summary["embeddings"]["embedded"], summary["chunks"]["upserted"], "{summary}");
    assert!(summary["embeddings"]["embedded"].as_u64().unwrap() > 100, "{summary}");
}

fn a_quota_that_the_headers_tell_is_kept_to(ledger: Ledger) {
    let mock = Peer::llmock(Some(240), Some(100_000));
    let project = samples_at(ledger, &mock);
    let summary = ingest(&project);
    all_indexed(&summary);
    assert_eq!(summary["embeddings"]["throttled"], 0, "{summary}");
    mock.finds_no_fault();
    let left: Vec<f64> = mock.requests().iter().map(|request| request["started_at"].as_f64().unwrap()).collect();
    // At 4 a second; a part of them leaves before the first answer tells.
    let (first, last) = (left.first().unwrap(), left.last().unwrap());
    assert!(left.len() >= 40 && last - first > 5.0, "{} requests in {} s", left.len(), last - first);
}

fn refused_and_broken_batches_are_sent_again(ledger: Ledger) {
    let mock = Peer::llmock(None, None);
    let project = samples_at(ledger, &mock);
    let fail = |status: u16, times: u32| json!({"type": "fail", "status": status, "retry_after": 1.2, "times": times});
    mock.script(&[fail(500, 2), fail(429, 2), fail(503, 1), json!({"type": "delay", "seconds": 1.0, "times": 2})]);
    let summary = ingest(&project);
    all_indexed(&summary);
    assert_eq!(summary["embeddings"]["retries"], 5, "{summary}");
    mock.finds_no_fault();
    assert_eq!(ingest(&project)["documents"]["unchanged"], 21);
}

fn a_refusal_for_good_stops_the_run_and_is_not_repeated(ledger: Ledger) {
    let mock = Peer::llmock(None, None);
    let project = samples_at(ledger, &mock);
    mock.script(&[json!({"type": "fail", "status": 401, "times": null, "message": "Bad key."})]);
    let refused = without_secrets(project.run(&["ingest", "-p", "p.yaml"])).expect_code(2);
    assert!(refused.stderr.contains("Bad key."), "{refused:?}");
    mock.finds_no_fault();
}
