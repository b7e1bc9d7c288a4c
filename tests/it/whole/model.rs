//! A model that reads: of each incident in the sources it was given it notes a line, and of notes it makes a list.

use std::time::Duration;

use ragstream::tokenizer::{Tokenizer, TokenizerName};
use serde_json::{Value, json};

use crate::stand_in::{Reply, Request, StandIn};

pub const CHAT: &str = "/v1/chat/completions";

/// What a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    Read,
    Fold,
    Conclude,
    /// An ordinary question.
    Answer,
}

pub fn message(request: &Request, role: &str) -> String {
    let messages = request.body["messages"].as_array().unwrap();
    let one = messages.iter().find(|message| message["role"] == role).unwrap();
    one["content"].as_str().unwrap().to_owned()
}

pub fn task(request: &Request) -> Task {
    let system = message(request, "system");
    if system.contains("You are one of several readers") {
        Task::Read
    } else if system.contains("Put their notes together") {
        Task::Fold
    } else if system.contains("<notes-") {
        Task::Conclude
    } else {
        Task::Answer
    }
}

pub fn tokens(text: &str) -> u64 {
    Tokenizer::get(TokenizerName::O200kBase).count(text) as u64
}

/// `INC-007`, wherever it stands.
pub fn incidents(text: &str) -> Vec<&str> {
    text.match_indices("INC-").filter_map(|(at, _)| text.get(at..at + 7)).collect()
}

/// A line for every incident of the sources, with its source's number.
pub fn notes(user: &str) -> String {
    let mut lines = String::new();
    for source in user.split("<source-").skip(1) {
        let n = source.split("n=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
        for incident in incidents(source) {
            lines.push_str(&format!("- Incident {incident} was reported [{n}].\n"));
        }
    }
    if lines.is_empty() { "NONE".into() } else { lines }
}

/// The notes as they are.
pub fn listed(user: &str) -> String {
    user.lines().filter(|line| line.starts_with("- ")).flat_map(|line| [line, "\n"]).collect()
}

pub fn said(request: &Request) -> String {
    let user = message(request, "user");
    match task(request) {
        Task::Read => notes(&user),
        Task::Fold => listed(&user),
        Task::Conclude => format!("The incidents:\n{}", listed(&user)),
        Task::Answer => format!("The incidents:\n{}", notes(&user)),
    }
}

/// As OpenAI streams it, with the tokens that it counts.
pub fn reply(request: &Request, text: &str, stop: &str) -> Reply {
    let event = |body: Value| format!("data: {body}\n\n");
    let read: u64 = ["system", "user"].iter().map(|role| tokens(&message(request, role))).sum();
    let usage = json!({"prompt_tokens": read, "completion_tokens": tokens(text)});
    let mut events: Vec<String> =
        text.split_inclusive('\n').map(|line| event(json!({"choices": [{"index": 0, "delta": {"content": line}}]}))).collect();
    events.push(event(json!({"choices": [{"index": 0, "delta": {}, "finish_reason": stop}]})));
    events.push(event(json!({"choices": [], "usage": usage})));
    events.push("data: [DONE]\n\n".into());
    Reply::stream(events, Duration::ZERO)
}

pub fn answers(request: &Request) -> Reply {
    reply(request, &said(request), "stop")
}

pub async fn stand_in() -> StandIn {
    let api = StandIn::start().await;
    api.always(CHAT, answers);
    api
}

/// What was asked so far, of this kind.
pub fn asked(api: &StandIn, wanted: Task) -> Vec<Request> {
    api.requests().into_iter().filter(|request| task(request) == wanted).collect()
}

#[test]
fn the_model_of_these_tests_notes_what_it_reads() {
    let user = "<source-ab n=\"3\" uri=\"a\">\nINC-001 INC-002\n</source-ab>\n\nQuestion: ?";
    assert_eq!(notes(user), "- Incident INC-001 was reported [3].\n- Incident INC-002 was reported [3].\n");
}
