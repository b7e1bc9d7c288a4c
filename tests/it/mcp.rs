//! The server for agents, over both of its ways and in both eras of the protocol: by the official SDK (`scripts/peers` has it), and
//! by messages that are written by hand.

mod pages;
mod stdio;
mod wire;

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::installed::python_with_peers;
use crate::project::{Project, samples};
use crate::service::Service;
use crate::stand_in::{Reply, StandIn};

/// A project with sample documents that are indexed, and a pipeline whose answers a stand-in writes.
fn project(api: &StandIn) -> Project {
    let project = Project::new();
    for name in ["rotating-keys.md", "access-policies.md"] {
        let path = samples().join("guides").join(name);
        project.write(&format!("docs/{name}"), std::fs::read(path).unwrap());
    }
    let pipeline = format!(
        "version: 1\nname: docs\nproviders:\n  api: {{ kind: openai, base_url: \"{}\", api_key: k }}\n\
         sources: [{{ files: {{ paths: [docs] }} }}]\nquery:\n  retrieve: {{ limit: 3 }}\n  answer: {{ model: api/m }}\n",
        api.url()
    );
    project.write("docs.yaml", pipeline);
    tokio::task::block_in_place(|| project.run(&["ingest", "-p", "docs.yaml", "-q"]).expect_code(0));
    project
}

fn start(project: &Project, arguments: &[&str]) -> Service {
    tokio::task::block_in_place(|| Service::start(project, &[&["-p", "docs.yaml"], arguments].concat()))
}

/// An answer in so many pieces.
fn chat(pieces: usize, between: Duration) -> Reply {
    let piece = |text: &str| format!("data: {}\n\n", json!({"choices": [{"index": 0, "delta": {"content": text}}]}));
    let mut all: Vec<String> = (0..pieces).map(|n| piece(&format!("word{n} "))).collect();
    all.push(piece("[1]."));
    all.push("data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n".to_owned());
    Reply::stream(all, between)
}

/// What the SDK's client is told by the server that it is told of.
fn by_sdk(told: &Value) -> Value {
    let client = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/mcp/client.py");
    let mut python = Command::new(python_with_peers());
    let mut child = python.arg(client).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(told.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("the client failed: {said}"))
}

/// Calls that touch every tool, and what comes of them, whoever asks and by which way.
fn all_is_well(project: &Project, said: &Value, version: &str) {
    assert_eq!((said["version"].as_str(), said["server"].as_str()), (Some(version), Some("ragstream")), "{said}");
    assert!(said["instructions"].as_str().unwrap().contains("docs") && said["instructions"].as_str().unwrap().len() < 2048);
    let tools = said["tools"].as_array().unwrap();
    let names: Vec<&str> = tools.iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["search", "ask", "get", "status"]);
    for tool in tools {
        assert!(tool["description"].as_str().unwrap().len() < 2048, "{tool}");
        assert_eq!(
            (&tool["annotations"]["readOnlyHint"], &tool["inputSchema"]["type"]),
            (&json!(true), &json!("object")),
            "{tool}"
        );
        assert!(tool["inputSchema"]["properties"].as_object().is_some_and(|properties| !properties.is_empty()), "{tool}");
    }
    assert_eq!(tools[0]["_meta"]["anthropic/maxResultSizeChars"], json!(500_000));

    let results = said["results"].as_array().unwrap();
    let text = |n: usize| results[n]["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{n}: {results:?}"));
    let printed = project.run(&["search", "rotate keys", "-k", "2", "-p", "docs.yaml", "--json"]).expect_code(0);
    assert_eq!(results[0]["structuredContent"]["hits"], json!(printed.events()), "the objects of --json");
    let hit = &printed.events()[0];
    let (uri, lines) = (hit["uri"].as_str().unwrap(), &hit["lines"]);
    let place = format!("{uri}:{}-{}", lines[0], lines[1]);
    assert!(text(0).starts_with(&place) && text(0).contains(hit["text"].as_str().unwrap()), "{}", text(0));

    let file = String::from_utf8(project.read("docs/rotating-keys.md")).unwrap();
    let read: Vec<&str> = file.split_inclusive('\n').take(4).collect();
    assert!(text(1).contains(&format!("docs/rotating-keys.md:1-4\n{}", read.concat())), "{}", text(1));
    assert_eq!(results[1]["structuredContent"]["parts"][0]["text"].as_str().unwrap(), read.concat());

    assert!(text(2).starts_with("word0 word1 [1].\n\nSources (* is cited):\n*[1] docs/"), "{}", text(2));
    let asked = &results[2]["structuredContent"];
    assert_eq!(
        (&asked["type"], &asked["citations"], &asked["model"]),
        (&json!("answer"), &json!([1]), &json!("api/m")),
        "{asked}"
    );

    assert!(text(3).starts_with("pipeline docs: 2 documents, "), "{}", text(3));
    assert_eq!(results[3]["structuredContent"]["pipelines"][0]["documents"], 2);

    for (n, told) in
        [(4, "did you mean"), (5, "the index has no such document"), (6, "unknown field `question`"), (7, "from 500 to 100000")]
    {
        assert!(results[n]["isError"] == true && text(n).contains(told), "{told}: {}", results[n]);
        assert_eq!(results[n]["structuredContent"]["type"], "error", "{}", results[n]);
    }
    assert_eq!(results[8]["refused"], -32602, "what may not be called is not there: {}", results[8]);
}

fn calls() -> Value {
    json!([
        ["search", {"query": "rotate keys", "limit": 2}],
        ["get", {"uri": "docs/rotating-keys.md:1-4"}],
        ["ask", {"question": "How do I rotate keys?"}],
        ["status", {}],
        ["search", {"query": "keys", "where": ["pth=docs"]}],
        ["get", {"uri": "../../etc/passwd"}],
        ["search", {"question": "keys"}],
        ["search", {"query": "keys", "max_tokens": 1}],
        ["ingest", {}],
    ])
}

/// How the client begins, and the version that it then speaks.
const ERAS: [(&str, &str); 2] = [("legacy", "2025-11-25"), ("auto", "2026-07-28")];

#[tokio::test(flavor = "multi_thread")]
async fn the_official_client_is_served_over_http_in_both_eras() {
    let api = StandIn::start().await;
    api.always("/chat/completions", |_| chat(2, Duration::ZERO));
    let project = project(&api);
    let token = "0123456789abcdef0123";
    let service = start(&project, &["--token", token]);
    for (mode, version) in ERAS {
        let told = json!({"url": service.at("/mcp"), "token": token, "mode": mode, "calls": calls()});
        tokio::task::block_in_place(|| all_is_well(&project, &by_sdk(&told), version));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_official_client_is_served_over_stdio_in_both_eras() {
    let api = StandIn::start().await;
    api.always("/chat/completions", |_| chat(2, Duration::ZERO));
    let project = project(&api);
    for (mode, version) in ERAS {
        let mut told = project.as_started(&["mcp", "-p", "docs.yaml"]);
        told["mode"] = json!(mode);
        told["calls"] = calls();
        tokio::task::block_in_place(|| all_is_well(&project, &by_sdk(&told), version));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_agent_has_written_is_found_once_it_has_ingested_it() {
    let api = StandIn::start().await;
    let project = project(&api);
    let service = start(&project, &["--allow-ingest"]);
    project.write("docs/new.md", "# Parrots\n\nA parrot repeats what it hears.\n");
    let calls =
        json!([["search", {"query": "parrot", "limit": 1}], ["ingest", {}], ["search", {"query": "parrot", "limit": 1}]]);
    let said = tokio::task::block_in_place(|| by_sdk(&json!({"url": service.at("/mcp"), "mode": "auto", "calls": calls})));
    let tool = said["tools"].as_array().unwrap().iter().find(|tool| tool["name"] == "ingest").unwrap();
    assert_eq!((&tool["annotations"]["readOnlyHint"], &tool["annotations"]["destructiveHint"]), (&json!(false), &json!(false)));
    let result = |n: usize| &said["results"][n]["structuredContent"];
    assert_ne!(result(0)["hits"][0]["uri"], "docs/new.md");
    assert_eq!((&result(1)["state"], &result(1)["end"]["documents"]["added"]), (&json!("done"), &json!(1)), "{said}");
    assert_eq!(result(2)["hits"][0]["uri"], "docs/new.md");
}
