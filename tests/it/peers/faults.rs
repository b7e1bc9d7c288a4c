//! llmock breaks answers in every way it knows, in the formats of three vendors.

use std::process::Child;

use serde_json::{Value, json};

use super::{Peer, project, without_secrets};
use crate::project::{Ended, Project, ended};
use crate::rig::copy_folder;

/// What the model says, in pieces of a word.
const ANSWER: &str = "Rotate a key every ninety days [1]; 每九十天 换一次 🔑, and at once when it has leaked [1].";
const DOCUMENT: &str = "# Keys\n\nRotate a key with `lantern key rotate NAME` every ninety days.\n";
const QUESTION: &str = "How often is a key rotated?";

/// A connection of each format, and how many events come before the first piece of text.
pub(super) const FORMATS: [(&str, u32); 3] = [("mock", 1), ("claude", 3), ("gem", 0)];

/// A project of one document with a connection in each format, and an index for each: one is locked while it is asked. Those in `hasty.yaml` do
/// not wait long.
pub(super) fn indexed(mock: &Peer, document: &str) -> Project {
    let project = project();
    project.write("docs/keys.md", document);
    for (file, timeout) in [("p.yaml", "1m"), ("hasty.yaml", "6s")] {
        let provider = |name, kind, path| {
            format!(
                "  {name}: {{ kind: {kind}, base_url: \"{}{path}\", api_key: \"${{PEER_KEY}}\", timeout: {timeout}, \
                 retry: {{ attempts: 4, budget: 1m }} }}\n",
                mock.url
            )
        };
        let providers = [
            provider("mock", "openai", "/v1"),
            provider("claude", "anthropic", "/anthropic"),
            provider("gem", "gemini", "/gemini/v1beta"),
        ];
        project.write(file, format!("version: 1\nname: docs\nsources: [docs]\nproviders:\n{}", providers.concat()));
    }
    project.run(&["ingest", "-p", "p.yaml", "--home", "mock"]).expect_code(0);
    for copy in ["claude", "gem"] {
        copy_folder(&project.path("mock"), &project.path(copy));
    }
    project
}

pub(super) fn ask(project: &Project, pipeline: &str, name: &str, more: &[&str]) -> Child {
    let model = format!("{name}/{name}");
    project.start(&[&["ask", QUESTION, "-p", pipeline, "--home", name, "--model", &model], more].concat())
}

fn reply(name: &str) -> Value {
    json!({"type": "reply", "text": ANSWER, "times": null, "match": {"model": name}})
}

fn fault(name: &str, kind: &str, after: u32) -> Value {
    json!({"type": "stream_fault", "kind": kind, "after_chunks": after, "stall_seconds": 600, "match": {"model": name}})
}

/// The answer as it was streamed.
pub(super) fn said(ended: &Ended) -> String {
    ended.of_type("token").iter().map(|token| token["text"].as_str().unwrap()).collect()
}

/// An error, with a part of the answer before it, and nothing that looks like an end.
fn broken(ended: Ended, kind: &str, cause: &str) {
    let ended = without_secrets(ended).expect_code(2);
    let error = ended.last("error");
    assert_eq!(error["kind"], kind, "{error}");
    assert!(error["message"].as_str().unwrap().contains(cause), "{error}");
    assert_eq!((ended.of_type("sources").len(), ended.of_type("done").len()), (1, 0));
    let said = said(&ended);
    assert!(!said.is_empty() && said.len() < ANSWER.len() && ANSWER.starts_with(&said), "{said}");
}

#[test]
fn a_broken_stream_is_an_error_and_keeps_what_was_said() {
    let mock = Peer::llmock(None, None);
    let project = indexed(&mock, DOCUMENT);
    let faults = [
        ("disconnect", "network", "the connection ended before the answer was complete"),
        ("truncate", "network", "the answer ended before its end mark"),
        ("malformed", "bad_answer", "the stream breaks its protocol"),
    ];
    for (name, before) in FORMATS {
        for (fault_kind, kind, cause) in faults {
            mock.script(&[reply(name), fault(name, fault_kind, before + 5)]);
            broken(ended(ask(&project, "p.yaml", name, &["--json"])), kind, cause);
            assert_eq!(mock.requests().len(), 1, "what was shown cannot be taken back, so nothing is tried again");
        }
        mock.script(&[reply(name), fault(name, "truncate", before + 5)]);
        let shown = without_secrets(ended(ask(&project, "p.yaml", name, &[]))).expect_code(2);
        let part = shown.stdout.trim_end();
        assert!(part.len() > 10 && ANSWER.starts_with(part), "{shown:?}");
        assert!(shown.stderr.contains(&format!("error: {name}: the answer ended before its end mark")), "{shown:?}");
    }
}

#[test]
fn a_stalled_stream_is_given_up_after_the_timeout() {
    let mock = Peer::llmock(None, None);
    let project = indexed(&mock, DOCUMENT);
    let script = FORMATS.map(|(name, before)| [reply(name), fault(name, "stall", before + 3)]);
    mock.script(&script.concat());
    let asked = FORMATS.map(|(name, _)| ask(&project, "hasty.yaml", name, &["--json"]));
    for asked in asked {
        broken(ended(asked), "timeout", "the answer stalled for 6 s");
    }
    assert_eq!(mock.requests().len(), 3);
}

#[test]
fn until_the_first_word_whatever_breaks_is_tried_again() {
    let mock = Peer::llmock(None, None);
    let project = indexed(&mock, DOCUMENT);
    let refusal = |name: &str, status| json!({"type": "fail", "status": status, "retry_after": 0.2, "match": {"model": name}});
    let slow = |name: &str| json!({"type": "slow_first_token", "seconds": 1.5, "match": {"model": name}});
    let refused = |(name, _)| vec![refusal(name, 429), refusal(name, 503), refusal(name, 500), slow(name)];
    let broken = |(name, before)| vec![fault(name, "truncate", before), fault(name, "disconnect", 0)];
    for (troubles, requests, ttft) in [(FORMATS.map(refused), 12, 1_500), (FORMATS.map(broken), 9, 0)] {
        mock.script(&[FORMATS.map(|(name, _)| reply(name)).to_vec(), troubles.concat()].concat());
        let asked = FORMATS.map(|(name, _)| ask(&project, "p.yaml", name, &["--json"]));
        for asked in asked {
            let answered = without_secrets(ended(asked)).expect_code(0);
            assert_eq!(said(&answered), ANSWER, "whole, and once");
            let done = answered.last("done");
            assert_eq!((&done["stop"], &done["citations"]), (&json!("end"), &json!([1])), "{done}");
            assert!(done["usage"]["output_tokens"].as_u64().unwrap() > 0, "{done}");
            assert!(done["ttft_ms"].as_u64().unwrap() >= ttft, "{done}");
        }
        assert_eq!(mock.requests().len(), requests);
        mock.finds_no_fault();
    }
}

#[test]
fn refusals_end_when_they_are_final_or_too_many() {
    let mock = Peer::llmock(None, None);
    let project = indexed(&mock, DOCUMENT);
    for (status, kind, requests) in [(401, "auth", 3), (503, "unavailable", 12)] {
        mock.script(&[json!({"type": "fail", "status": status, "retry_after": 1.2, "times": null, "message": "No, not now."})]);
        let asked = FORMATS.map(|(name, _)| ask(&project, "p.yaml", name, &["--json"]));
        for asked in asked {
            let refused = without_secrets(ended(asked)).expect_code(2);
            let error = refused.last("error");
            assert_eq!(error["kind"], kind, "{error}");
            assert!(error["message"].as_str().unwrap().contains("No, not now."), "{error}");
            assert_eq!(said(&refused), "");
        }
        assert_eq!(mock.requests().len(), requests);
        mock.finds_no_fault();
    }
}
