//! Questions about all documents, the real program against a model that notes what is in each part.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a failed test panics")]

pub mod model;

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use self::model::{CHAT, Task, answers, asked, incidents, message, reply, stand_in, task};
use crate::project::{Ended, Project, ended};
use crate::rig::{signal, until};
use crate::service::{Service, client, post};
use crate::stand_in::{Reply, StandIn};

const FILE: &str = "docs.yaml";
const QUESTION: &str = "List all incidents of 2025";
const DOCUMENTS: usize = 40;
const CONCURRENCY: usize = 3;

fn report(n: usize) -> String {
    let mut text =
        format!("# Report {n:03}\n\nMarker-{n:03} stands here once. On a day in 2025 the incident INC-{n:03} was reported.\n");
    for line in 0..6 {
        let _ = write!(text, "The crew of shift {line} looked at pump {n} and wrote down what it saw in the hall. ");
    }
    text
}

fn project(api: &StandIn, whole: &str) -> Project {
    let project = Project::new();
    for n in 0..DOCUMENTS {
        project.write(&format!("docs/{n:03}.md"), report(n));
    }
    configure(&project, api, whole);
    ingest(&project);
    project
}

fn configure(project: &Project, api: &StandIn, whole: &str) {
    let url = api.url();
    let file = format!(
        "sources: [docs]\nembed: {{model: local/potion-base-8M}}\nproviders:\n  api:\n    kind: openai\n    base_url: \"{url}/v1\"\n    \
         api_key: k\n    retry: {{attempts: 1}}\n    limits: {{rpm: 6000, tpm: 6000000, concurrency: {CONCURRENCY}}}\n    \
         prices: {{m: {{input: 1.0, output: 4.0}}}}\nquery:\n  answer: {{model: api/m}}\n  whole: {{{whole}}}\n"
    );
    project.write(FILE, file);
}

fn ingest(project: &Project) {
    project.run(&["ingest", "-p", FILE]).expect_code(0);
}

fn ask(project: &Project, question: &str, more: &[&str]) -> Ended {
    project.run(&[&["ask", question, "-p", FILE, "--json"], more].concat())
}

/// The last event of this type, which need not be the last of all.
fn event(ended: &Ended, kind: &str) -> Value {
    ended.of_type(kind).pop().unwrap_or_else(|| panic!("no {kind}: {}", ended.stdout))
}

fn said(ended: &Ended) -> String {
    ended.of_type("token").iter().map(|token| token["text"].as_str().unwrap().to_owned()).collect()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("no number: {value}"))
}

/// Every line of an answer names an incident and cites the source that tells of it.
fn expect_cited(ended: &Ended, wanted: impl Iterator<Item = usize>) {
    let sources = ended.of_type("sources")[0]["sources"].as_array().unwrap().clone();
    let text = said(ended);
    let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("- ")).collect();
    let mut named: Vec<&str> = lines.iter().flat_map(|line| incidents(line)).collect();
    named.sort_unstable();
    let wanted: Vec<String> = wanted.map(|n| format!("INC-{n:03}")).collect();
    assert_eq!(named, wanted, "{text}");
    for line in lines {
        let incident = incidents(line)[0];
        let n: usize = line.split('[').nth(1).and_then(|rest| rest.split(']').next()).unwrap().parse().unwrap();
        let source = sources.iter().find(|source| source["n"] == n).unwrap();
        assert!(source["text"].as_str().unwrap().contains(incident), "{line}: {source}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_passage_is_read_once_priced_first_and_not_paid_for_twice() {
    let api = stand_in().await;
    let project = project(&api, "part_tokens: 1000");
    let told = ask(&project, QUESTION, &["--all"]).expect_code(0);
    expect_cited(&told, 0..DOCUMENTS);

    let kinds: Vec<String> = told.events().iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect();
    let mut order = kinds.clone();
    order.dedup();
    assert_eq!(order, ["estimate", "progress", "sources", "token", "done"]);
    let (estimate, done) = (event(&told, "estimate"), told.last("done"));
    let parts = estimate["parts"].as_u64().unwrap();
    assert_eq!(kinds.iter().filter(|kind| *kind == "progress").count() as u64, parts);
    assert_eq!(event(&told, "progress"), json!({"type": "progress", "read": parts, "of": parts}));
    assert_eq!(
        (&estimate["reads"], &estimate["documents"], &estimate["exact"]),
        (&json!(true), &json!(DOCUMENTS), &json!(true))
    );
    assert_eq!(done["whole"]["documents"], DOCUMENTS);
    assert_eq!((&done["whole"]["parts"], &done["whole"]["failed"], &done["stop"]), (&json!(parts), &json!(0), &json!("end")));
    assert_eq!(done.get("doubts"), None, "what is cited says so");

    let read = asked(&api, Task::Read);
    assert_eq!((read.len() as u64, asked(&api, Task::Conclude).len()), (parts, 1));
    assert_eq!(estimate["requests"], api.requests().len());
    assert!((4..20).contains(&parts), "{parts} parts");
    let all: String = read.iter().map(|request| message(request, "user")).collect();
    for n in 0..DOCUMENTS {
        assert_eq!(all.matches(&format!("Marker-{n:03}")).count(), 1, "{n}");
    }
    for request in &read {
        let tokens = model::tokens(&message(request, "user"));
        assert!(tokens < 1150, "{tokens} tokens");
    }
    assert!(api.most_in_flight() <= CONCURRENCY);
    // Asked again, only the answer is paid for; of a change, what it changes.
    let again = ask(&project, QUESTION, &["--all"]).expect_code(0);
    assert_eq!(
        (event(&again, "estimate")["kept"].as_u64(), event(&again, "estimate")["requests"].as_u64()),
        (Some(parts), Some(1))
    );
    assert_eq!((asked(&api, Task::Read).len() as u64, said(&again)), (parts, said(&told)));
    project.write("docs/020.md", report(20).replace("INC-020", "INC-920"));
    ingest(&project);
    let changed = ask(&project, QUESTION, &["--all"]).expect_code(0);
    let more = asked(&api, Task::Read).len() as u64 - parts;
    assert!((1..=3).contains(&more), "{more} parts of {parts} were read again");
    assert!(said(&changed).contains("INC-920") && !said(&changed).contains("INC-020"));
    assert_eq!(
        changed.last("done")["whole"]["kept"].as_u64(),
        Some(event(&changed, "estimate")["parts"].as_u64().unwrap() - more)
    );
}

/// The model's tokens are those that it counts itself; what it will note is not known before.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_foreseen_is_about_what_it_takes() {
    let api = stand_in().await;
    let project = project(&api, "part_tokens: 4000");
    let told = ask(&project, QUESTION, &["--all"]).expect_code(0);
    let (estimate, done) = (event(&told, "estimate"), told.last("done"));
    assert!(estimate["parts"].as_u64().unwrap() > 1);
    let (foreseen, was) = (number(&estimate["input_tokens"]), number(&done["usage"]["input_tokens"]));
    assert!((foreseen / was - 1.0).abs() < 0.05, "{foreseen} tokens foreseen, {was} read");
    let [foreseen, most] = ["cost_usd", "at_most_usd"].map(|cost| number(&estimate[cost]));
    let was = number(&done["cost_usd"]);
    assert!(was < most && (foreseen / was - 1.0).abs() < 0.25, "${foreseen} foreseen, at most ${most}; it was ${was}");
    assert!(number(&estimate["minutes"]) > 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn unasked_some_passages_answer_and_say_that_they_are_not_all() {
    let api = stand_in().await;
    let project = project(&api, "part_tokens: 1000");
    let told = ask(&project, QUESTION, &[]).expect_code(0);
    let (estimate, note) = (event(&told, "estimate"), event(&told, "note"));
    assert_eq!((api.requests().len(), &estimate["reads"]), (1, &json!(false)), "one request, as for any question");
    let note = note["message"].as_str().unwrap();
    assert!(
        note.contains("are not all") && note.contains("all 40 documents read: --all") && note.contains("at most $"),
        "{note}"
    );
    assert_eq!(told.of_type("sources")[0]["sources"].as_array().unwrap().len(), 8);
    assert_eq!(told.last("done").get("whole"), None);
    let plain = project.run(&["ask", QUESTION, "-p", FILE]).expect_code(0);
    assert!(plain.stdout.starts_with("This question seems to be about all documents"), "{}", plain.stdout);

    for (question, more) in [(QUESTION, &["--no-all"][..]), ("Which crew looked at pump 7?", &[])] {
        let told = ask(&project, question, more).expect_code(0);
        assert_eq!((told.of_type("estimate"), told.of_type("note")), (vec![], vec![]), "{question}");
    }
    configure(&project, &api, "mode: off");
    assert_eq!(ask(&project, QUESTION, &[]).expect_code(0).of_type("estimate"), [] as [Value; 0]);
    configure(&project, &api, "mode: auto");
    let told = ask(&project, QUESTION, &[]).expect_code(0);
    assert_eq!(event(&told, "estimate")["reads"], true);
    expect_cited(&told, 0..DOCUMENTS);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_few_documents_that_are_all_in_the_prompt_nothing_is_said() {
    let api = stand_in().await;
    let project = Project::new();
    for n in 0..3 {
        project.write(&format!("docs/{n:03}.md"), report(n));
    }
    configure(&project, &api, "part_tokens: 1000");
    ingest(&project);
    let told = ask(&project, QUESTION, &[]).expect_code(0);
    assert_eq!((told.of_type("estimate"), told.of_type("note")), (vec![], vec![]), "{}", told.stdout);
    assert_eq!((told.of_type("sources")[0]["sources"].as_array().unwrap().len(), api.requests().len()), (3, 1));
    let told = ask(&project, QUESTION, &["-k", "2"]).expect_code(0);
    assert!(event(&told, "note")["message"].as_str().unwrap().contains("all 3 documents"), "two of three passages are not all");
    // As ever, who wants them read has them read.
    assert_eq!(event(&ask(&project, QUESTION, &["--all"]).expect_code(0), "estimate")["reads"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_fails_is_told_and_read_when_asked_again() {
    let api = stand_in().await;
    let project = project(&api, "part_tokens: 1000");
    api.always(CHAT, |request| {
        let broken = task(request) == Task::Read && message(request, "user").contains("Marker-013");
        if broken { Reply::status(500, &json!({"error": {"message": "out of order"}})) } else { answers(request) }
    });
    let told = ask(&project, QUESTION, &["--all"]).expect_code(1);
    let done = told.last("done");
    assert_eq!(done["whole"]["failed"], 1);
    let parts = done["whole"]["parts"].as_u64().unwrap();
    let note = event(&told, "note")["message"].as_str().unwrap().to_owned();
    assert!(
        note.starts_with(&format!("1 of {parts} parts could not be read (api: ")) && note.contains("out of order"),
        "{note}"
    );
    assert!(message(&asked(&api, Task::Conclude)[0], "system").contains("Some parts could not be read"));
    assert!(!said(&told).contains("INC-013") && said(&told).contains("INC-039"));
    let shown = project.run(&["ask", QUESTION, "-p", FILE, "--all"]).expect_code(1);
    assert!(shown.stdout.starts_with(&format!("1 of {parts} parts could not be read")), "{}", shown.stdout);

    let before = asked(&api, Task::Read).len();
    api.always(CHAT, answers);
    let whole = ask(&project, QUESTION, &["--all"]).expect_code(0);
    assert_eq!(asked(&api, Task::Read).len() - before, 1, "the one that had failed");
    expect_cited(&whole, 0..DOCUMENTS);

    // What would fail every part fails at once.
    api.always(CHAT, |_| Reply::status(401, &json!({"error": {"message": "no such key"}})));
    let before = api.requests().len();
    let told = ask(&project, "List every report of 2025", &["--all"]).expect_code(2);
    assert_eq!(told.last("error")["kind"], "auth");
    assert!(api.requests().len() - before <= CONCURRENCY, "{}", api.requests().len() - before);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_passes_the_filter_is_read() {
    let api = stand_in().await;
    let project = project(&api, "part_tokens: 1000");
    let told = ask(&project, QUESTION, &["--all", "--where", "path=docs/01*"]).expect_code(0);
    expect_cited(&told, 10..20);
    assert_eq!(event(&told, "estimate")["documents"], 10);

    let requests = api.requests().len();
    let one = ask(&project, QUESTION, &["--all", "--where", "path=docs/007.md"]).expect_code(0);
    expect_cited(&one, 7..8);
    assert_eq!(
        (api.requests().len() - requests, &event(&one, "estimate")["requests"]),
        (1, &json!(1)),
        "one part needs no notes"
    );
    assert_eq!(task(api.requests().last().unwrap()), Task::Answer);

    let none = ask(&project, QUESTION, &["--all", "--where", "path=other/**"]).expect_code(1);
    assert_eq!((&none.last("done")["stop"], &event(&none, "estimate")["documents"]), (&json!("nothing_found"), &json!(0)));
    assert_eq!(api.requests().len() - requests, 1, "nothing is paid for");
}

/// Notes that are too long for a reader, for a request, or that say nothing.
#[tokio::test(flavor = "multi_thread")]
async fn notes_that_are_too_many_are_read_in_halves_and_folded() {
    let api = stand_in().await;
    let project = project(&api, "part_tokens: 500");
    // No more than two incidents fit into what a reader may write.
    api.always(CHAT, |request| {
        let text = model::said(request);
        // All of them together are more than the answer's request holds.
        let long = "was reported by the crew of the hall after the pump had stopped and the alarm had rung twice that morning, \
            so that the shift before had to stay, wrote down what it had seen, and left when the water stood below the mark";
        match task(request) {
            Task::Read if text.lines().count() > 2 => reply(request, "- Incident INC-999 was rep", "length"),
            Task::Read => reply(request, &text.replace("was reported", long), "stop"),
            Task::Fold => reply(request, &text.replace(long, "was reported"), "stop"),
            _ => reply(request, &text, "stop"),
        }
    });
    let told = ask(&project, QUESTION, &["--all"]).expect_code(0);
    expect_cited(&told, 0..DOCUMENTS);
    let folds = asked(&api, Task::Fold);
    assert!(folds.len() > 1, "{} folds", folds.len());
    for request in folds.iter().chain(&asked(&api, Task::Conclude)) {
        assert!(model::tokens(&message(request, "user")) < 1700, "notes of one request are bounded");
    }

    api.always(CHAT, |request| reply(request, "NONE", "stop"));
    let nothing = ask(&project, "List all floods", &["--all"]).expect_code(1);
    let done = nothing.last("done");
    assert_eq!((&done["stop"], &event(&nothing, "sources")["sources"]), (&json!("nothing_found"), &json!([])));
    assert!(number(&done["cost_usd"]) > 0.0 && done["whole"]["requests"] == done["whole"]["parts"], "it is paid for: {done}");
}

#[tokio::test(flavor = "multi_thread")]
async fn chinese_questions_are_recognised_and_answered() {
    let api = stand_in().await;
    let project = Project::new();
    for n in 0..20 {
        let text = format!("# 报告{n:03}\n\n二〇二五年发生了事故 INC-{n:03}。{}", "值班人员检查了水泵并记录了情况。".repeat(8));
        project.write(&format!("docs/{n:03}.md"), text);
    }
    configure(&project, &api, "part_tokens: 900, mode: auto");
    ingest(&project);
    let told = ask(&project, "请列出2025年的所有事故", &[]).expect_code(0);
    assert_eq!(event(&told, "estimate")["reads"], true);
    expect_cited(&told, 0..20);
    assert!(asked(&api, Task::Read).len() > 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_and_a_chat_read_all_when_they_are_told() {
    let api = stand_in().await;
    let project = project(&api, "part_tokens: 1000");
    let lines = format!("{QUESTION}\n/all\n/all List every incident\n");
    let chat = project.run_with_input(&["chat", "-p", FILE, "--json"], &lines).expect_code(0);
    let reads: Vec<Value> = chat.of_type("estimate").iter().map(|estimate| estimate["reads"].clone()).collect();
    assert_eq!(reads, [json!(false), json!(true), json!(true)]);
    let documents: Vec<Value> = chat.of_type("done").iter().map(|done| done["whole"]["documents"].clone()).collect();
    assert_eq!(documents, [Value::Null, json!(DOCUMENTS), json!(DOCUMENTS)], "{}", chat.stdout);

    let service = Service::start(&project, &["-p", FILE]);
    let (status, body) = post(&service.at("/api/ask"), &json!({"question": QUESTION, "stream": false})).await;
    assert_eq!((status, body.get("whole")), (200, None));
    assert!(body["note"].as_str().unwrap().contains("are not all"), "{body}");
    let (_, body) = post(&service.at("/api/ask"), &json!({"question": QUESTION, "stream": false, "all": true})).await;
    assert_eq!(body["whole"]["documents"], DOCUMENTS, "{body}");
    assert_eq!(incidents(body["answer"].as_str().unwrap()).len(), DOCUMENTS);
    let v1 = |more: Value| json!({"model": "docs", "messages": [{"role": "user", "content": QUESTION}], "ragstream": more});
    let (_, body) = post(&service.at("/v1/chat/completions"), &v1(json!({"all": true}))).await;
    assert_eq!(incidents(body["choices"][0]["message"]["content"].as_str().unwrap()).len(), DOCUMENTS, "{body}");
    let (_, body) = post(&service.at("/v1/chat/completions"), &v1(json!({}))).await;
    assert!(body["choices"][0]["message"]["content"].as_str().unwrap().contains("are not all"), "{body}");
    // The command has the service do it, and shows the same.
    let told = ask(&project, QUESTION, &["--all"]).expect_code(0);
    expect_cited(&told, 0..DOCUMENTS);
    assert_eq!(told.last("done")["whole"]["documents"], DOCUMENTS);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_read_before_ctrl_c_is_not_paid_for_again() {
    let api = stand_in().await;
    let project = project(&api, "part_tokens: 1000");
    api.always(CHAT, |request| {
        let user = message(request, "user");
        if user.contains("Marker-000") { answers(request) } else { Reply::hang() }
    });
    let mut child = project.start(&["ask", QUESTION, "-p", FILE, "--json", "--all"]);
    let notes_of_first = || std::fs::read_dir(project.path(".ragstream/docs.notes")).is_ok_and(|files| files.count() > 0);
    until("a part is read", || notes_of_first() && api.in_flight() > 0);
    signal(&child, "INT");
    // What hangs would be waited for.
    let (mut heard, mut said, mut bytes) = (child.stderr.take().unwrap(), String::new(), [0; 256]);
    until("the interrupt is heard", || {
        let read = heard.read(&mut bytes).unwrap();
        said.push_str(&String::from_utf8_lossy(&bytes[..read]));
        said.contains("Ctrl-C again ends at once")
    });
    signal(&child, "INT");
    let stopped = ended(child).expect_code(130);
    assert_eq!(stopped.of_type("done"), [] as [Value; 0]);
    until("the requests are cancelled", || api.in_flight() == 0);
    let first = |request: &&crate::stand_in::Request| message(request, "user").contains("Marker-000");
    assert_eq!(asked(&api, Task::Read).iter().filter(first).count(), 1);
    api.always(CHAT, answers);
    let told = ask(&project, QUESTION, &["--all"]).expect_code(0);
    expect_cited(&told, 0..DOCUMENTS);
    assert_eq!(asked(&api, Task::Read).iter().filter(first).count(), 1, "it was kept");
}

/// What is in flight is paid for: it is waited for and kept, and nothing more is begun.
#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_finishes_the_parts_in_flight_and_the_next_run_asks_for_the_others() {
    let chat = ["chat", "-p", FILE, "--json"];
    let all = ["ask", QUESTION, "-p", FILE, "--json", "--all"];
    for (name, command) in [("INT", &all[..]), ("TERM", &all[..]), ("INT", &chat[..])] {
        let api = stand_in().await;
        let project = project(&api, "part_tokens: 600");
        api.always(CHAT, |request| answers(request).after(Duration::from_secs(1)));
        let mut child = project.start_with_stdin(command);
        // It stays open: a chat would end with it.
        let mut input = child.stdin.take().unwrap();
        if command == chat {
            input.write_all(format!("/all {QUESTION}\n").as_bytes()).unwrap();
        }
        // Of the second round: something is kept by then.
        until("requests are in flight", || api.requests().len() > CONCURRENCY && api.in_flight() == CONCURRENCY);
        signal(&child, name);
        let stopped = ended(child).expect_code(130);
        drop(input);
        assert_eq!((stopped.of_type("done"), stopped.of_type("error")), (vec![], vec![]), "{}", stopped.stdout);
        assert!(stopped.stderr.contains("finishing what is in flight; Ctrl-C again ends at once"), "{}", stopped.stderr);
        let read = asked(&api, Task::Read).len();
        let parts = event(&stopped, "estimate")["parts"].as_u64().unwrap();
        let words = format!("stopped after {read} of {parts} parts; what was read is kept: ask the same again to go on");
        assert!(stopped.stderr.contains(&words), "{words}: {}", stopped.stderr);
        assert!((read as u64) < parts, "{read} of {parts}");

        api.always(CHAT, answers);
        let told = ask(&project, QUESTION, &["--all"]).expect_code(0);
        expect_cited(&told, 0..DOCUMENTS);
        let mut users: Vec<String> = asked(&api, Task::Read).iter().map(|request| message(request, "user")).collect();
        assert_eq!((users.len() as u64, told.last("done")["whole"]["kept"].as_u64()), (parts, Some(read as u64)));
        users.sort_unstable();
        users.dedup();
        assert_eq!(users.len() as u64, parts, "{name}: each part was asked for once");
    }
}

/// Whoever leaves does not take with them what is paid for: neither a command, nor a browser, nor the service that ends itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_service_finishes_the_parts_in_flight_of_who_has_left() {
    for leaves in ["command", "client", "service"] {
        let api = stand_in().await;
        let project = project(&api, "part_tokens: 600");
        project.run(&["ingest", "-p", FILE, "-q"]).expect_code(0);
        api.always(CHAT, |request| answers(request).after(Duration::from_secs(1)));
        let service = Service::start(&project, &["-p", FILE]);
        let in_flight = || api.requests().len() > CONCURRENCY && api.in_flight() == CONCURRENCY;
        if leaves == "command" {
            let child = project.start(&["ask", QUESTION, "-p", FILE, "--json", "--all"]);
            until("requests are in flight", in_flight);
            signal(&child, "INT");
            let stopped = ended(child).expect_code(130);
            assert!(stopped.stderr.contains("parts; what was read is kept: ask the same again to go on"), "{}", stopped.stderr);
        } else {
            let body = json!({"question": QUESTION, "all": true});
            let mut answer = client().post(service.at("/api/ask")).json(&body).send().await.unwrap();
            answer.chunk().await.unwrap();
            tokio::task::block_in_place(|| until("requests are in flight", in_flight));
            drop(answer);
        }
        let at_least = api.requests().len();
        let service = if leaves == "service" {
            service.stop().0.expect_code(0);
            None
        } else {
            tokio::task::block_in_place(|| until("nothing is in flight", || api.in_flight() == 0));
            Some(service)
        };
        let read = asked(&api, Task::Read).len();
        assert!(read >= at_least, "{leaves}");
        // It stops.
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!((asked(&api, Task::Read).len(), api.in_flight()), (read, 0), "{leaves}");

        api.always(CHAT, answers);
        let told = ask(&project, QUESTION, &["--all"]).expect_code(0);
        expect_cited(&told, 0..DOCUMENTS);
        let mut users: Vec<String> = asked(&api, Task::Read).iter().map(|request| message(request, "user")).collect();
        assert_eq!(told.last("done")["whole"]["kept"].as_u64(), Some(read as u64), "{leaves}");
        let all = users.len();
        users.sort_unstable();
        users.dedup();
        assert_eq!(users.len(), all, "{leaves}: each part was asked for once");
        assert!(all > read, "{leaves}: {read} of {all}");
        drop(service);
    }
}

/// A person is told the price, and asked.
#[tokio::test(flavor = "multi_thread")]
async fn a_person_at_a_terminal_is_asked() {
    let api = stand_in().await;
    let project = project(&api, "part_tokens: 1000");
    for (typed, tasks) in [("n\n", vec![Task::Answer]), ("y\n", vec![Task::Read, Task::Conclude])] {
        let before = api.requests().len();
        let mut child = project.start_on_terminal(&["ask", QUESTION, "-p", FILE]);
        let (mut keys, mut out) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let (mut shown, mut bytes, since) = (String::new(), [0; 4096], Instant::now());
        let mut typed = Some(typed);
        while let Ok(read @ 1..) = out.read(&mut bytes) {
            shown.push_str(&String::from_utf8_lossy(&bytes[..read]));
            if shown.contains("[y/N]")
                && let Some(typed) = typed.take()
            {
                assert_eq!(api.requests().len(), before, "nothing was paid for by then");
                keys.write_all(typed.as_bytes()).unwrap();
            }
            assert!(since.elapsed() < Duration::from_secs(120), "{shown}");
        }
        assert_eq!(child.wait().unwrap().code(), Some(0), "{shown}");
        let mut asked: Vec<Task> = api.requests()[before..].iter().map(task).collect();
        asked.dedup();
        assert_eq!(asked, tasks, "{shown}");
        assert!(shown.contains("To read 40 documents in") && shown.contains("about $"), "{shown}");
        assert_eq!(shown.contains("Reading 40 documents in"), tasks.contains(&Task::Read), "{shown}");
        assert!(!shown.contains("are not all"), "who was asked knows: {shown}");
    }
}
