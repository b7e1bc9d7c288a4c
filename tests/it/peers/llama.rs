//! A llama.cpp server really answers. What its small model says is arbitrary, so only the form is looked at.

use std::io::{BufRead, BufReader};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{Peer, project, without_secrets};
use crate::project::{Project, ended, samples};
use crate::rig::signal;

/// What the server's log says of an answer that nobody waits for any more.
const CANCELLED: &str = "cancel task";
const QUESTION: &str = "How many wicks open the service after a restart?";

/// The sample documents, indexed, to be answered from in a context as small as the server's.
fn indexed(server: &Peer, max_tokens: usize) -> Project {
    let project = project();
    let pipeline = format!(
        "version: 1\nname: docs\nsources: [{:?}]\n\
         providers: {{ llama: {{ kind: openai, base_url: \"{}/v1\", timeout: 5m }} }}\n\
         query: {{ answer: {{ model: llama/smollm2, max_tokens: {max_tokens}, temperature: 0, context_tokens: 600 }} }}\n",
        samples().to_str().unwrap(),
        server.url
    );
    project.write("p.yaml", pipeline);
    project.run(&["ingest", "-p", "p.yaml"]).expect_code(0);
    project
}

#[test]
fn a_model_answers_from_the_sources() {
    let server = Peer::llama(true);
    let project = indexed(&server, 32);
    let answered = without_secrets(project.run(&["ask", QUESTION, "-p", "p.yaml", "--json"])).expect_code(0);
    let events = answered.events();

    let sources = events[0]["sources"].as_array().unwrap();
    assert!(!sources.is_empty(), "{events:?}");
    for (n, source) in sources.iter().enumerate() {
        assert_eq!(source["n"], n + 1);
        assert!(!source["uri"].as_str().unwrap().is_empty() && !source["text"].as_str().unwrap().is_empty(), "{source}");
    }
    let (done, tokens) = events[1..].split_last().unwrap();
    assert!(tokens.len() > 1, "it is streamed: {events:?}");
    let text = |token: &Value| token["text"].as_str().is_some_and(|text| !text.is_empty());
    assert!(tokens.iter().all(|token| token["type"] == "token" && text(token)), "{events:?}");

    assert_eq!((done["type"].as_str(), done["model"].as_str()), (Some("done"), Some("llama/smollm2")), "{done}");
    let number = |value: &Value| value.as_u64().unwrap_or_else(|| panic!("{done}"));
    let (read, written) = (number(&done["usage"]["input_tokens"]), number(&done["usage"]["output_tokens"]));
    // The sources were sent, and what was sent fits its context; it counts with a tokenizer of its own.
    assert!((300..2048).contains(&read) && (2..=32).contains(&written), "{done}");
    let (ttft, took) = (number(&done["ttft_ms"]), done["seconds"].as_f64().unwrap());
    assert!(ttft > 0 && ttft as f64 <= took * 1000.0, "{done}");
    assert!(["end", "length"].contains(&done["stop"].as_str().unwrap()), "{done}");
    assert!(!server.log().contains(CANCELLED), "it was let finish");
}

#[test]
fn ctrl_c_ends_the_answer_on_the_server_too() {
    let server = Peer::llama(false);
    let project = indexed(&server, 1200);
    let mut asked = project.start(&["ask", QUESTION, "-p", "p.yaml", "--json"]);
    let mut lines = BufReader::new(asked.stdout.as_mut().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("\"token\"")), "it begins to answer");
    drop(lines);
    signal(&asked, "INT");
    let interrupted = ended(asked).expect_code(130);
    assert!(!interrupted.stdout.contains("\"done\""), "{interrupted:?}");

    let patience = Instant::now() + Duration::from_mins(2);
    while !server.log().contains(CANCELLED) {
        assert!(Instant::now() < patience, "the server still answers nobody:\n{}", server.log());
        std::thread::sleep(Duration::from_millis(50));
    }
}
