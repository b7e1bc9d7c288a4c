//! A terminal that is closed under a command: what is under way is finished, unless it was told to outlive it.

use std::io::Write as _;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Value, json};

use crate::project::{Project, ended};
use crate::rig::{ITEMS, Kind, Rig, signal, until, without_secrets};
use crate::stand_in::{Reply, StandIn, openai_embeddings};

const INGEST: [&str; 4] = ["ingest", "-p", "docs.yaml", "--json"];

/// A run that takes a while.
fn slow() -> Rig {
    let rig = Rig::new(Kind::Embedded);
    rig.write_documents(20);
    rig.answer(|request| openai_embeddings(request, 16).after(Duration::from_millis(150)));
    rig
}

#[test]
fn a_run_is_drained_however_often_it_is_told() {
    let rig = slow();
    let child = rig.start(&[]);
    until("requests", || rig.requests.load(Ordering::SeqCst) > 3);
    // The kernel's and the shell's; a third behind a service manager's SIGTERM.
    for _ in 0..3 {
        signal(&child, "HUP");
        std::thread::sleep(Duration::from_millis(20));
    }
    let interrupted = without_secrets(ended(child)).expect_code(130);
    let summary = interrupted.last("summary");
    let stored = rig.contents().len();
    assert!(stored > 0, "{summary}");
    assert_eq!(summary["chunks"]["upserted"], stored, "{summary}");
    assert_eq!(summary["embeddings"]["embedded"], rig.paid.load(Ordering::SeqCst), "all that was paid for is used: {summary}");
    rig.answer(|request| openai_embeddings(request, 16));
    rig.complete();
    rig.expect_whole("its terminal was closed");
}

/// Waiting for a pipe that nobody writes to, a command has nothing to drain.
#[test]
fn a_command_that_waits_for_a_pipe_ends_with_the_first_signal() {
    let project = Project::new();
    assert!(std::process::Command::new("mkfifo").arg(project.path("管道")).status().unwrap().success());
    for (command, name) in
        [(&["check", "管道"][..], "TERM"), (&["plan", "-p", "管道"], "INT"), (&["ingest", "-p", "管道"], "TERM")]
    {
        let mut child = project.start(command);
        std::thread::sleep(Duration::from_secs(1));
        let mut waited = 0;
        // A signal that comes before anybody listens ends it, too.
        signal(&child, name);
        while child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(50));
            waited += 1;
            if waited == 600 {
                child.kill().unwrap();
                panic!("{command:?} goes on after {name}");
            }
        }
    }
}

#[test]
fn who_outlives_the_terminal_goes_on() {
    let rig = slow();
    let child = rig.project.start_in_shell("trap '' HUP", &INGEST);
    until("requests", || rig.requests.load(Ordering::SeqCst) > 3);
    signal(&child, "HUP");
    let summary = without_secrets(ended(child)).expect_code(0).last("summary");
    assert_eq!(summary["documents"]["added"], 20, "{summary}");
}

/// Not the signal alone: nothing can be written to the terminal any more, either.
#[test]
fn a_terminal_that_is_gone_keeps_nothing_from_being_finished() {
    let rig = slow();
    let mut terminal = rig.project.start_on_terminal(&["ingest", "-p", "docs.yaml", "-v"]);
    until("requests", || rig.requests.load(Ordering::SeqCst) > 3);
    terminal.kill().unwrap();
    terminal.wait().unwrap();
    // Until it has let go of the index.
    until("its end", || rig.ingest(&[]).code == 0);
    let paid = rig.paid.load(Ordering::SeqCst);
    rig.expect_whole("its terminal was closed");
    let undisturbed = slow();
    undisturbed.complete();
    let once = undisturbed.paid.load(Ordering::SeqCst);
    // And the questions for the width.
    assert!((once..once + ITEMS).contains(&paid), "what was in flight is paid for twice: {paid}, {once}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chat_keeps_what_was_said() {
    let api = StandIn::start().await;
    let words: Vec<String> =
        (0..400).map(|n| format!("data: {}\n\n", json!({"choices": [{"delta": {"content": format!("word{n} ")}}]}))).collect();
    api.always("/v1/chat/completions", move |_| Reply::stream(words.clone(), Duration::from_millis(50)));
    let project = Project::new()
        .with("OPENAI_API_KEY", "sk-test")
        .with("OPENAI_BASE_URL", format!("{}/v1", api.url()))
        .with("NO_PROXY", "*");
    project.write("docs/keys.md", "# Keys\n\nKeys are rotated every ninety days with `lantern key rotate`.\n");
    project.run(&["ingest", "docs"]).expect_code(0);
    for name in ["HUP", "TERM"] {
        let mut child = project.start_with_stdin(&["chat", "--session", name, "--json"]);
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(b"keys?\n").unwrap();
        tokio::task::block_in_place(|| until("an answer", || api.in_flight() > 0));
        tokio::time::sleep(Duration::from_millis(500)).await;
        signal(&child, name);
        ended(child).expect_code(130);
        let record = String::from_utf8(project.read(&format!(".ragstream/.chat/{name}.jsonl"))).unwrap();
        let turn: Value = serde_json::from_str(record.lines().last().unwrap()).unwrap();
        assert_eq!((&turn["question"], &turn["stopped"]), (&json!("keys?"), &json!(true)));
        assert!(turn["sources"].as_array().is_some_and(|sources| !sources.is_empty()), "{turn}");
        drop(stdin);
    }
}
