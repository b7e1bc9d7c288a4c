//! `ask`, `search`, `chat` and `status` beside a running service: it does what they are asked, and nothing that is printed tells.

use std::io::Read as _;
use std::process::Child;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::project::{Ended, Project, ended, samples};
use crate::service::{Service, client, post};
use crate::stand_in::{Reply, Request, StandIn, openai_embeddings};

/// A project over the sample documents, whose questions are embedded and answered by a stand-in.
fn project(api: &StandIn) -> Project {
    let project = Project::new().with("API_KEY", "k");
    for entry in std::fs::read_dir(samples().join("guides")).unwrap() {
        let path = entry.unwrap().path();
        project.write(&format!("docs/{}", path.file_name().unwrap().to_str().unwrap()), std::fs::read(path).unwrap());
    }
    let retry = "retry: { attempts: 1 }";
    let prices = "prices: { m: { input: 0.123, output: 0.457 } }";
    let limits = "limits: { concurrency: 8 }";
    let pipeline = format!(
        "version: 1\nname: docs\nproviders:\n  api: {{ kind: openai, base_url: \"{}\", api_key: \"${{API_KEY}}\", {retry}, {prices}, {limits} }}\n\
         sources: [{{ files: {{ paths: [docs] }} }}]\nembed: {{ model: api/e, dimensions: 16 }}\n\
         query:\n  retrieve: {{ limit: 3 }}\n  answer: {{ model: api/m }}\n",
        api.url()
    );
    project.write("docs.yaml", &pipeline);
    project.write("other.yaml", pipeline.replace("name: docs", "name: other"));
    let line = |id: &str, text: &str| json!({"id": id, "text": text}).to_string();
    let asked = [line("a", "rotate keys"), "no query".to_owned(), line("b", ""), line("c", "备份 backups")];
    project.write("queries.jsonl", asked.join("\n"));
    let wrong = json!({"id": "w", "text": "backups", "model": "anthropic/none"}).to_string();
    project.write("questions.jsonl", [line("a", "rotate keys"), "{".to_owned(), line("b", "restore"), wrong].join("\n"));
    project
}

/// Answers as a model does; some models have their ways.
fn chat(request: &Request) -> Reply {
    let piece = |delta: Value| format!("data: {}\n\n", json!({"choices": [{"index": 0, "delta": delta}]}));
    let usage = json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 123, "completion_tokens": 45}});
    let pieces = vec![
        piece(json!({"reasoning_content": "Thinking of 密钥."})),
        piece(json!({"content": "Keys are **rotated** [1], as 文档 say [2, 9].\n\n- each"})),
        piece(json!({"content": " month [3]."})),
        format!("data: {usage}\n\ndata: [DONE]\n\n"),
    ];
    match request.body["model"].as_str().unwrap() {
        "refuses" => Reply::status(401, &json!({"error": {"message": "no such key", "code": "invalid_api_key"}})),
        "breaks" => Reply::stream([piece(json!({"content": "It is so [1]"}))], Duration::ZERO).cut(60),
        "slow" => Reply::stream(vec![piece(json!({"content": "word "})); 3000], Duration::from_millis(20)),
        "later" => Reply::stream(pieces, Duration::ZERO).after(Duration::from_millis(400)),
        _ => Reply::stream(pieces, Duration::ZERO),
    }
}

async fn ingested() -> (StandIn, Project) {
    let api = StandIn::start().await;
    api.always("/embeddings", |request| openai_embeddings(request, 16));
    api.always("/chat/completions", chat);
    let project = project(&api);
    let project = tokio::task::spawn_blocking(move || {
        for pipeline in ["docs.yaml", "other.yaml"] {
            project.run(&["ingest", "-p", pipeline, "-q"]).expect_code(0);
        }
        project
    });
    (api, project.await.unwrap())
}

fn run(project: &Project, arguments: &[&str]) -> Ended {
    tokio::task::block_in_place(|| project.run(arguments))
}

fn start(project: &Project, arguments: &[&str]) -> Service {
    tokio::task::block_in_place(|| Service::start(project, arguments))
}

/// Without what is another each time: how long it took.
fn timeless(text: &str) -> String {
    let mut kept = text.to_owned();
    for key in ["\"seconds\":", "\"ttft_ms\":"] {
        let mut parts = kept.split(key);
        let mut masked = parts.next().unwrap().to_owned();
        for part in parts {
            masked.push_str(key);
            masked.push_str(part.trim_start_matches(|c: char| c.is_ascii_digit() || ".e-nul".contains(c)));
        }
        kept = masked;
    }
    let words = kept.split(' ').collect::<Vec<_>>();
    let is_time =
        |n: usize| words.get(n + 1).is_some_and(|next| next.starts_with('s') && !next[1..].starts_with(char::is_alphanumeric));
    let masked = words.iter().enumerate().map(|(n, word)| if word.parse::<f64>().is_ok() && is_time(n) { "?" } else { word });
    masked.collect::<Vec<_>>().join(" ")
}

/// What the commands print, each with its arguments. `run` names files and sessions that no other run may know.
fn printed(project: &Project, run: &str) -> Vec<(String, String)> {
    let mut all = Vec::new();
    let ask = ["ask", "How do I rotate keys?", "-p", "docs.yaml"];
    let search = ["search", "rotate keys", "-p", "docs.yaml"];
    let commands: Vec<Vec<&str>> = vec![
        search.into(),
        [&search[..], &["-k", "7", "--copies", "--where", "path=docs/**"]].concat(),
        [&search[..], &["--where", "path=nowhere/**"]].concat(),
        [&search[..], &["--where", "path"]].concat(),
        vec!["search", " ", "-p", "docs.yaml"],
        vec!["search", "--queries", "queries.jsonl", "-p", "docs.yaml"],
        vec!["search", "--queries", "missing.jsonl", "-p", "docs.yaml"],
        ask.into(),
        [&ask[..], &["-q", "-k", "1"]].concat(),
        [&ask[..], &["--color", "always"]].concat(),
        [&ask[..], &["--where", "path=nowhere/**"]].concat(),
        [&ask[..], &["--model", "api/refuses"]].concat(),
        [&ask[..], &["--model", "api/breaks"]].concat(),
        [&ask[..], &["--model", "api/refuses", "--fallback", "api/m"]].concat(),
        [&ask[..], &["--model", "anthropic/none"]].concat(),
        [&ask[..], &["--model", "nobody/m"]].concat(),
        [&ask[..], &["--model", "api/m", "--model", "api/later"]].concat(),
        [&ask[..], &["--model", "api/m", "--model", "anthropic/none", "--join", "first"]].concat(),
        vec!["ask", "", "-p", "docs.yaml"],
        vec!["search", "keys", "-p", "other.yaml"],
        vec!["search", "keys", "-p", "missing.yaml"],
    ];
    for command in commands {
        for extra in [&[][..], &["--json"]] {
            let arguments = [&command[..], extra].concat();
            all.push((arguments.join(" "), project.run(&arguments)));
        }
    }
    let out = format!("{run}.jsonl");
    let batch = ["ask", "--batch", "questions.jsonl", "--workers", "1", "--out", &out, "-p", "docs.yaml", "--json"];
    all.push(("ask --batch".to_owned(), project.run(&batch)));
    let talk = "How do I rotate keys?\n/sources 1\nAnd how often?\n/model api/refuses\nWhy?\n/model nobody/m\n/model\n";
    for extra in [&[][..], &["--json"]] {
        let session = format!("{run}-{}", extra.len());
        let arguments = [&["chat", "--session", &session, "-p", "docs.yaml"][..], extra].concat();
        all.push((format!("chat {extra:?}"), project.run_with_input(&arguments, talk)));
    }
    all.push(("status".to_owned(), project.run(&["status", "-p", "docs.yaml"])));
    all.push(("status --json".to_owned(), project.run(&["status", "-p", "docs.yaml", "--json"])));
    let mut shown: Vec<(String, String)> = all
        .into_iter()
        .map(|(command, Ended { code, stdout, stderr })| {
            (command, timeless(&format!("{code}\n{stdout}\n---\n{}", stderr.replace(&out, "answers"))))
        })
        .collect();
    let kept = String::from_utf8(project.read(&out)).unwrap();
    shown.push((format!("kept {}", kept.lines().count()), timeless(&kept)));
    shown
}

async fn metrics(service: &Service) -> String {
    client().get(service.at("/metrics")).send().await.unwrap().text().await.unwrap()
}

async fn counted(service: &Service, of: &str) -> u64 {
    let metrics = metrics(service).await;
    let lines = metrics.lines().filter(|line| line.starts_with(&format!("ragstream_{of}_total{{pipeline=\"docs\"")));
    lines.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap() as u64).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_printed_is_the_same_with_and_without_a_service() {
    let (api, project) = ingested().await;
    // Questions that were embedded once are not embedded again.
    let asked = || api.requests().iter().filter(|request| request.path == "/chat/completions").count();
    let without = tokio::task::block_in_place(|| printed(&project, "without"));
    let before = asked();
    let service = start(&project, &["-p", "docs.yaml"]);
    let with = tokio::task::block_in_place(|| printed(&project, "with"));
    for ((command, without), (_, with)) in without.iter().zip(&with) {
        assert_eq!(with, without, "{command}");
    }
    assert_eq!(asked(), 2 * before, "and the provider is asked the same");
    let failed = with.iter().filter(|(_, printed)| printed.starts_with('2')).count();
    assert!((10..30).contains(&failed) && with.len() > 45, "{failed} of {}", with.len());
    // Each search but those of another pipeline and those that make no sense, each question, of the chat and of the batch, too.
    assert!(counted(&service, "searches").await >= 12, "{}", metrics(&service).await);
    assert!(counted(&service, "answers").await >= 30, "{}", metrics(&service).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_service_would_answer_otherwise_is_answered_without_it() {
    let (api, project) = ingested().await;
    let service = start(&project, &["-p", "docs.yaml"]);
    let search = ["search", "rotate keys", "-p", "docs.yaml", "--json"];
    let hits = |arguments: &[&str]| run(&project, arguments).expect_code(0).events().len();
    assert_eq!((hits(&search), counted(&service, "searches").await), (3, 1));

    // Its file has just changed, and the service has not seen that yet.
    let pipeline = String::from_utf8(project.read("docs.yaml")).unwrap();
    project.write("docs.yaml", pipeline.replace("limit: 3", "limit: 2"));
    assert_eq!(hits(&search), 2);
    project.write("docs.yaml", &pipeline);
    // Another key, and a variable that would choose another model.
    for variable in ["API_KEY=other", "OPENAI_API_KEY=k"] {
        let child = project.start_in_shell(&format!("export {variable}"), &search);
        let printed = tokio::task::block_in_place(|| ended(child)).expect_code(0);
        assert_eq!(printed.events().len(), 3, "{variable}");
    }
    let seen = counted(&service, "searches").await;
    assert!(seen <= 2, "{seen}: the file that has changed may have been seen");

    // Nobody else gets in by this door.
    let request = json!({"identity": "", "wanted": "Status"});
    let (status, told) = post(&service.at("/api/local"), &request).await;
    assert_eq!((status, &told["kind"]), (404, &json!("not_found")), "{told}");
    assert!(api.in_flight() == 0);
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let since = Instant::now();
    while !holds() {
        assert!(since.elapsed() < Duration::from_secs(30), "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn signal(child: &Child, signal: &str) {
    std::process::Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_cancels_what_the_service_asks_upstream() {
    let (api, project) = ingested().await;
    let service = start(&project, &["-p", "docs.yaml"]);
    let mut child = project.start(&["ask", "keys", "-p", "docs.yaml", "--model", "api/slow"]);
    let stopped = tokio::task::block_in_place(|| {
        child.stdout.as_mut().unwrap().read_exact(&mut [0; 20]).unwrap();
        assert_eq!(api.in_flight(), 1);
        signal(&child, "-INT");
        ended(child)
    });
    assert_eq!((stopped.code, stopped.stderr.as_str()), (130, ""));
    tokio::task::block_in_place(|| until("nothing goes on upstream", || api.in_flight() == 0));
    assert!(metrics(&service).await.contains(r#"ragstream_answers_total{pipeline="docs",ended="left"} 1"#));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_dies_in_mid_answer_is_an_error_and_the_next_question_is_answered_without() {
    let (api, project) = ingested().await;
    for json in [false, true] {
        let service = start(&project, &["-p", "docs.yaml"]);
        let arguments = ["ask", "keys", "-p", "docs.yaml", "--model", "api/slow", "--json"];
        let mut child = project.start(&arguments[..if json { 7 } else { 6 }]);
        let broken = tokio::task::block_in_place(|| {
            child.stdout.as_mut().unwrap().read_exact(&mut [0; 20]).unwrap();
            drop(service);
            ended(child)
        });
        assert_eq!(broken.code, 2, "{broken:?}");
        assert!(broken.stderr.contains("the service on this home has gone") && broken.stderr.contains("hint: ask again"));
        if json {
            let last: Value = serde_json::from_str(broken.stdout.lines().last().unwrap()).unwrap();
            assert_eq!((&last["type"], &last["kind"]), (&json!("error"), &json!("service_gone")));
        }
        tokio::task::block_in_place(|| until("nothing goes on upstream", || api.in_flight() == 0));
        run(&project, &["ask", "keys", "-p", "docs.yaml"]).expect_code(0);
    }
}

/// It dies while it still looks for passages, and while it says nothing at all.
#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_dies_before_it_says_anything_is_not_missed() {
    let (api, project) = ingested().await;
    for command in ["ask", "search"] {
        let service = start(&project, &["-p", "docs.yaml"]);
        let asked = api.requests().len();
        api.script("/embeddings", [Reply::hang()]);
        let child = project.start(&[command, &format!("never asked before: {command}"), "-p", "docs.yaml"]);
        let answered = tokio::task::block_in_place(|| {
            until("the service embeds the question", || api.requests().len() > asked);
            drop(service);
            ended(child)
        });
        assert_eq!((answered.code, answered.stderr.as_str()), (0, ""), "{answered:?}");
        assert!(answered.stdout.contains("docs/"), "{answered:?}");
    }
}

/// A batch in which the service dies is not broken off: what it had not answered is answered without it.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_outlives_the_service_that_it_asks() {
    let (api, project) = ingested().await;
    api.always("/chat/completions", |request| chat(request).after(Duration::from_millis(30)));
    let questions = (0..60).map(|n| json!({"id": n.to_string(), "text": format!("What of {n}?")}).to_string());
    project.write("many.jsonl", questions.collect::<Vec<_>>().join("\n"));
    let service = start(&project, &["-p", "docs.yaml"]);
    let child = project.start(&["ask", "--batch", "many.jsonl", "--out", "answers.jsonl", "-p", "docs.yaml", "--json"]);
    let answers = || std::fs::read_to_string(project.path("answers.jsonl")).map_or(0, |kept| kept.lines().count());
    let done = tokio::task::block_in_place(|| {
        until("some are answered", || answers() > 5);
        drop(service);
        ended(child)
    });
    let summary = done.last("summary");
    assert_eq!((done.code, &summary["answered"]), (0, &json!(60)), "{done:?}");
    assert_eq!(answers(), 60);
}
