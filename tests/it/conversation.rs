//! `chat`, the real program: through a pipe, and on a terminal of its own.

use std::io::{Read as _, Write as _};
use std::process::{Child, ChildStdin};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::project::{Ended, Project, ended};
use crate::stand_in::{Reply, Request, StandIn};

const CHAT: &str = "/v1/chat/completions";

fn project(api: &StandIn) -> Project {
    let project = Project::new()
        .with("OPENAI_API_KEY", "sk-test")
        .with("OPENAI_BASE_URL", format!("{}/v1", api.url()))
        .with("NO_PROXY", "*");
    project.write("docs/keys.md", "# Keys\n\nKeys are rotated every ninety days with `lantern key rotate`.\n");
    project.write("docs/backup.md", "# Backups\n\nBackups run each night at two and are kept for a month.\n");
    project.run(&["ingest", "docs"]).expect_code(0);
    project
}

/// An answer of these pieces as OpenAI streams it.
fn streamed(pieces: &[&str]) -> Vec<String> {
    let event = |body: Value| format!("data: {body}\n\n");
    let mut events: Vec<String> =
        pieces.iter().map(|text| event(json!({"choices": [{"index": 0, "delta": {"content": text}}]}))).collect();
    events.push(event(json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})));
    events.push("data: [DONE]\n\n".into());
    events
}

fn answer(pieces: &[&str]) -> Reply {
    Reply::stream(streamed(pieces), Duration::ZERO)
}

fn is_rewriting(request: &Request) -> bool {
    request.body["messages"].to_string().contains("The last question:")
}

/// Rewrites with its own words, answers with others.
async fn api() -> StandIn {
    let api = StandIn::start().await;
    api.always(CHAT, |request| {
        if is_rewriting(request) {
            answer(&["How often do *backups* run?"])
        } else {
            answer(&["Every **ninety** days [", "1]."])
        }
    });
    api
}

fn asked(api: &StandIn) -> Vec<Request> {
    api.requests().into_iter().filter(|request| request.path == CHAT).collect()
}

fn talk(project: &Project, arguments: &[&str], input: &str) -> Ended {
    project.run_with_input(&[&["chat"], arguments].concat(), input)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follow_up_is_rewritten_for_the_search_and_sent_with_what_was_said() {
    let api = api().await;
    let project = project(&api);
    let said = talk(&project, &["--json", "--session", "s"], "How often are keys rotated?\n\nand backups?\n").expect_code(0);
    let questions = said.of_type("question");
    assert_eq!(
        questions[0],
        json!({"type": "question", "question": "How often are keys rotated?", "search": "How often are keys rotated?"})
    );
    assert_eq!(questions[1], json!({"type": "question", "question": "and backups?", "search": "How often do *backups* run?"}));
    assert_eq!(said.of_type("sources")[1]["sources"][0]["uri"], "docs/backup.md", "what was rewritten is searched for");
    assert_eq!((said.of_type("done").len(), said.of_type("error").len()), (2, 0));

    let requests = asked(&api);
    assert_eq!(requests.iter().map(is_rewriting).collect::<Vec<_>>(), [false, true, false]);
    let messages = |n: usize| requests[n].body["messages"].as_array().unwrap().clone();
    assert_eq!(messages(0).len(), 2, "a system message and the question");
    let rewriting = messages(1).last().unwrap()["content"].as_str().unwrap().to_owned();
    assert!(rewriting.contains("Question: How often are keys rotated?\nAnswer: Every **ninety** days ."), "{rewriting}");
    let second = messages(2);
    let of = |n: usize| (second[n]["role"].as_str().unwrap(), second[n]["content"].as_str().unwrap());
    assert_eq!(of(1), ("user", "How often are keys rotated?"), "without the sources that were sent with it");
    assert_eq!(of(2), ("assistant", "Every **ninety** days ."), "a number means another source now");
    assert!(of(3).1.ends_with("Question: and backups?"), "the person's own words are answered");
}

/// The same follow-up after two questions: what is found differs, though no model says what it refers to.
#[test]
fn a_follow_up_without_a_model_takes_words_from_the_question_before() {
    let project = Project::new();
    project.write("docs/keys.md", "# Keys\n\nSigning keys are rotated every ninety days.\n");
    project.write("docs/backups.md", "# Backups\n\nNightly backups are kept for thirty days.\n");
    project.write("文档/密钥.md", "# 密钥\n\n签名密钥每隔九十天轮换。\n");
    project.write("文档/备份.md", "# 备份\n\n每晚的备份保留三十天。\n");
    project.run(&["ingest", "docs", "文档"]).expect_code(0);
    let found = |questions: &str| {
        let said = talk(&project, &["--json"], questions).expect_code(0);
        said.of_type("sources").pop().unwrap()["sources"][0]["uri"].as_str().unwrap().to_owned()
    };
    assert_eq!(found("How are signing keys rotated?\nHow many days?\n"), "docs/keys.md");
    assert_eq!(found("How long are nightly backups kept?\nHow many days?\n"), "docs/backups.md");
    assert_eq!(found("签名密钥如何轮换？\n多少天？\n"), "文档/密钥.md");
    assert_eq!(found("每晚的备份保留多久？\n多少天？\n"), "文档/备份.md");
    let another = "How are signing keys rotated?\nHow long are nightly backups kept on the second site?\n";
    assert_eq!(found(another), "docs/backups.md", "another subject");
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_and_what_goes_wrong_leave_the_chat_going() {
    let api = api().await;
    let project = project(&api);
    api.script(CHAT, [Reply::status(401, &json!({"error": {"message": "wrong key", "code": "invalid_api_key"}}))]);
    let input = "keys?\n/sources\nkeys again?\n/souces\n/sources 1\n/model\n/model openai/other\n/model nonsense\n/save t.md\n/save t.md\n\
                 /save docs/keys.md\n/help\n/quit\nnever asked\n";
    let said = talk(&project, &["--session", "s"], input).expect_code(1);
    assert!(said.stderr.contains("wrong key") && said.stderr.contains("did you mean `/sources`"), "{}", said.stderr);
    assert!(said.stderr.contains("docs/keys.md is there already"), "{}", said.stderr);
    let shown = &said.stdout;
    assert!(shown.contains("Every **ninety** days [1]."), "raw Markdown in a pipe: {shown}");
    assert!(shown.contains("Sources\n[1] docs/keys.md:1-3  Keys\n") && !shown.contains("Found, not cited"), "{shown}");
    assert!(shown.contains("[1] docs/keys.md:1-3  Keys\n    # Keys\n    Keys are rotated every ninety"), "/sources 1: {shown}");
    assert!(shown.contains("openai/other answers from now on."), "{shown}");
    assert!(shown.contains("/clear") && !shown.contains('>'), "help, and no prompt: {shown}");
    let saved = String::from_utf8(project.read("t.md")).unwrap();
    assert!(saved.contains("## keys again?\n\nEvery **ninety** days [1].\n\n- [1] docs/keys.md:1-3\n"), "{saved}");
    assert_eq!(asked(&api).len(), 2, "a question that failed has no answer to go on from: {:?}", asked(&api));

    let events = talk(&project, &["--json"], "/sources\n/nonsense\nkeys?\n/sources\n").expect_code(1).events();
    let kinds: Vec<&str> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["note", "error", "question", "sources", "token", "token", "token", "done", "sources"]);
    // A model that cannot be had, by its provider or its name.
    let said = talk(&project, &["--json"], "/model nope/x\n/model nonsense\n/model\n").expect_code(1);
    let told: Vec<[Value; 2]> = said.events().iter().map(|event| [event["type"].clone(), event["kind"].clone()]).collect();
    assert_eq!(
        told,
        [[json!("error"), json!("bad_command")], [json!("error"), json!("bad_command")], [json!("note"), Value::Null]]
    );
    let first = said.events().remove(0);
    assert!(first["message"].as_str().unwrap().contains("nope") && first["hint"].is_string(), "{first}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_goes_on_where_it_stopped() {
    let api = api().await;
    let project = project(&api);
    talk(&project, &["--session", "older"], "what about backups?\n").expect_code(0);
    talk(&project, &[], "forget this\n/clear\nHow often are keys rotated?\n").expect_code(0);
    // Killed while it wrote.
    let mut names = std::fs::read_dir(project.path(".ragstream/.chat")).unwrap().map(|entry| entry.unwrap().path());
    let newest = names.find(|path| !path.ends_with("older.jsonl")).unwrap();
    std::fs::OpenOptions::new().append(true).open(&newest).unwrap().write_all(b"{\"type\":\"turn\",\"at").unwrap();

    let said = talk(&project, &["--continue"], "/sources\nand backups?\n").expect_code(0);
    assert!(said.stdout.contains("docs/keys.md") && said.stdout.contains("rotated every ninety days"), "{}", said.stdout);
    let last = asked(&api).pop().unwrap();
    assert_eq!(last.body["messages"].as_array().unwrap().len(), 4, "{last:?}");
    assert!(!last.body.to_string().contains("forget this"));

    talk(&project, &["--session", "older"], "and now?\n").expect_code(0);
    assert!(asked(&api).pop().unwrap().body.to_string().contains("what about backups?"));
    let bad = talk(&project, &["--session", "../x"], "").expect_code(2);
    assert!(bad.stderr.contains("a session's name"), "{}", bad.stderr);
    let neither = talk(&Project::new(), &[], "x\n").expect_code(2);
    assert!(neither.stderr.contains("no index"), "{}", neither.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_rewriting_searches_for_the_question_itself() {
    let api = StandIn::start().await;
    api.always(CHAT, |request| {
        if is_rewriting(request) { Reply::status(400, &json!({"error": {"message": "no"}})) } else { answer(&["Yes."]) }
    });
    let project = project(&api);
    let said = talk(&project, &["--json"], "keys?\nbackups?\n").expect_code(0);
    assert_eq!(said.of_type("question")[1]["search"], "backups?");
    assert_eq!(said.of_type("done").len(), 2);
}

#[test]
fn without_a_model_the_passages_answer_and_that_is_said_once() {
    let project = Project::new();
    project.write("docs/keys.md", "# Keys\n\nKeys are rotated every *ninety* days.\n");
    project.run(&["ingest", "docs"]).expect_code(0);
    let said = talk(&project, &[], "keys?\nand keys?\n").expect_code(0);
    assert_eq!(said.stdout.matches("every *ninety* days").count(), 2);
    let all = format!("{}{}", said.stdout, said.stderr);
    assert_eq!(all.matches("No model wrote").count(), 1, "{all}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ingest_beside_an_idle_chat_is_not_held_up() {
    let api = api().await;
    let project = project(&api);
    let mut terminal = Terminal::start(&project, &["chat"]);
    terminal.wait_for("> ");
    terminal.type_in("keys?\r");
    terminal.wait_for("first token");
    project.write("docs/new.md", "# New\n\nA lantern needs oil.\n");
    project.run(&["ingest", "docs"]).expect_code(0);
    terminal.type_in("/quit\r");
    assert_eq!(terminal.end().code, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_beside_an_answer_that_is_still_coming_is_not_held_up() {
    let api = StandIn::start().await;
    api.always(CHAT, |_| Reply::hang());
    let project = project(&api);
    let mut answering = project.start(&["ask", "How often are keys rotated?"]);
    let patience = Instant::now() + Duration::from_secs(60);
    while asked(&api).is_empty() {
        assert!(Instant::now() < patience, "the model was not asked");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    project.run(&["search", "backups"]).expect_code(0);
    assert!(answering.try_wait().unwrap().is_none(), "it waits for its answer");
    answering.kill().unwrap();
    answering.wait().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_stops_the_answer_and_not_the_chat() {
    let api = StandIn::start().await;
    let endless: Vec<String> = (0..600)
        .map(|n| format!("data: {}\n\n", json!({"choices": [{"index": 0, "delta": {"content": format!("word{n} ")}}]})))
        .collect();
    api.script(CHAT, [Reply::stream(endless, Duration::from_millis(50))]);
    api.always(
        CHAT,
        |request| if is_rewriting(request) { answer(&["Keys, again?"]) } else { answer(&["It is **done** [1]."]) },
    );
    let project = project(&api);
    let mut terminal = Terminal::start(&project, &["chat", "--session", "s"]);
    terminal.wait_for("> ");
    terminal.type_in("\x03");
    terminal.wait_for("Ctrl-D or /quit leaves");
    terminal.type_in("keys?\r");
    terminal.wait_for("word3");
    assert_eq!(api.in_flight(), 1);
    terminal.type_in("\x03");
    terminal.wait_for("(stopped)");
    let patience = Instant::now();
    while api.in_flight() > 0 {
        assert!(patience.elapsed() < Duration::from_secs(10), "the request is cancelled upstream");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    terminal.type_in("again?\r");
    terminal.wait_for("searching: Keys, again?");
    terminal.wait_for("\x1b[1mdone\x1b[0m");
    // Typed before the prompt, it would not mean the end of the input.
    terminal.wait_for("first token");
    terminal.wait_for("> ");
    terminal.type_in("\x04");
    let ended = terminal.end();
    assert_eq!(ended.code, 0, "{}", ended.stdout);
    let record = String::from_utf8(project.read(".ragstream/.chat/s.jsonl")).unwrap();
    let turns: Vec<Value> = record.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&turns[0]["stopped"], &turns[1]["stopped"]), (&json!(true), &json!(false)));
    assert!(turns[0]["answer"].as_str().unwrap().starts_with("word0 word1 "), "what came is kept");
    let last = asked(&api).pop().unwrap();
    assert!(last.body["messages"][2]["content"].as_str().unwrap().starts_with("word0"), "and gone on from");
}

/// The program on a terminal, and someone who watches and types.
struct Terminal {
    child: Child,
    keys: ChildStdin,
    shown: Arc<Mutex<Vec<u8>>>,
    /// What has been waited for already.
    seen: usize,
}

impl Terminal {
    fn start(project: &Project, arguments: &[&str]) -> Self {
        let mut child = project.start_on_terminal(arguments);
        let (keys, mut out) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let shown = Arc::new(Mutex::new(Vec::new()));
        let screen = Arc::clone(&shown);
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(read @ 1..) = out.read(&mut bytes) {
                screen.lock().unwrap().extend(&bytes[..read]);
            }
        });
        Self { child, keys, shown, seen: 0 }
    }

    fn type_in(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    /// Waits until this is shown, after what was waited for before.
    fn wait_for(&mut self, text: &str) {
        let patience = Instant::now();
        loop {
            let shown = String::from_utf8_lossy(&self.shown.lock().unwrap()).into_owned();
            if let Some(at) = shown.get(self.seen..).and_then(|rest| rest.find(text)) {
                self.seen += at + text.len();
                return;
            }
            assert!(patience.elapsed() < Duration::from_secs(60), "{text:?} was not shown: {shown:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn end(self) -> Ended {
        let Self { child, keys, shown, .. } = self;
        let ended = Ended { stdout: String::from_utf8_lossy(&shown.lock().unwrap()).into_owned(), ..ended(child) };
        drop(keys);
        ended
    }
}
