//! Questions that the documents do not answer: no model is asked, in English and in Chinese, whoever asks.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::project::{Ended, Project, ended};
use crate::service::{Service, post};
use crate::stand_in::{Reply, Request, StandIn, openai_embeddings};

const FILE: &str = "docs.yaml";
/// What the index has taught.
const KEPT: &str = ".ragstream/docs.answerability";
pub const DOCUMENTS: usize = 140;
/// What the documents do not say.
const UNANSWERABLE: &str = "Who won the chess championship in Reykjavik after the thunderstorm?";
const UNANSWERABLE_CHINESE: &str = "昨晚雷克雅未克象棋锦标赛的冠军位于哪座城市？";

fn says(_: &Request) -> Reply {
    let chunk =
        |delta: Value, end: Value| format!("data: {}\n\n", json!({"choices": [{"delta": delta, "finish_reason": end}]}));
    let pieces = [
        chunk(json!({"content": "So it is [1]."}), Value::Null),
        chunk(json!({}), json!("stop")),
        "data: [DONE]\n\n".to_owned(),
    ];
    Reply::stream(pieces, Duration::ZERO)
}

/// A name that stands once in all documents.
fn name(n: usize) -> String {
    const FIRST: [&str; 12] = ["B", "D", "F", "G", "K", "L", "M", "N", "R", "S", "T", "V"];
    const MIDDLE: [&str; 12] =
        ["alor", "emik", "orun", "ubel", "azim", "ilvo", "etra", "ophan", "uxil", "ardo", "inqu", "oswe"];
    const LAST: [&str; 12] = ["ba", "chen", "dor", "fin", "gast", "hu", "jil", "kem", "loth", "mar", "nys", "pra"];
    format!("{}{}{}", FIRST[n % 12], MIDDLE[n / 12 % 12], LAST[n / 144 % 12])
}

#[expect(clippy::many_single_char_names, reason = "eight names that mean nothing")]
pub fn english(n: usize) -> String {
    const THINGS: [&str; 7] = ["boiler", "harbour crane", "telescope", "archive", "greenhouse", "turbine", "printing press"];
    let ([a, b, c, d, e, f, g, h], thing) = (std::array::from_fn(|at| name(8 * n + at)), THINGS[n % 7]);
    format!(
        "# The {thing} of {a}\n\nThe {thing} of {a} stands between {b} and {c} near {d}. Painters from {e} coated {f} with {g} for {h}.\n"
    )
}

/// The same in Chinese.
fn chinese_name(n: usize) -> String {
    [n * 7, (n * 13 + 5) % 20_000].map(|at| char::from_u32(0x4e00 + at as u32).unwrap()).iter().collect()
}

#[expect(clippy::many_single_char_names, reason = "eight names that mean nothing")]
fn chinese(n: usize) -> String {
    const THINGS: [&str; 7] = ["锅炉", "起重机", "望远镜", "档案馆", "温室", "涡轮机", "印刷机"];
    let ([a, b, c, d, e, f, g, h], thing) = (std::array::from_fn(|at| chinese_name(8 * n + at)), THINGS[n % 7]);
    format!("# {a}的{thing}\n\n{a}的{thing}位于{b}和{c}之间，靠近{d}。来自{e}的油漆工用{f}为{g}涂刷了{h}。\n")
}

/// A project whose model is this one, with such documents.
fn project(api: &StandIn, document: fn(usize) -> String, query: &str) -> Project {
    let project = Project::new();
    for n in 0..DOCUMENTS {
        project.write(&format!("docs/{n:03}.md"), document(n));
    }
    configure(&project, api, query);
    project
}

fn configure(project: &Project, api: &StandIn, query: &str) {
    let mut file =
        format!("sources: [docs]\nproviders:\n  api: {{kind: openai, base_url: \"{}/v1\", api_key: k}}\n", api.url());
    writeln!(file, "embed: {{model: local/potion-base-8M}}\nquery:\n  answer: {{model: api/m}}\n{query}").unwrap();
    project.write(FILE, file);
}

async fn stand_in() -> StandIn {
    let api = StandIn::start().await;
    api.always("/v1/chat/completions", says);
    api
}

fn ingest(project: &Project) -> Value {
    project.run(&["ingest", "-p", FILE, "--json"]).expect_code(0).last("summary")
}

fn ask(project: &Project, question: &str, more: &[&str]) -> Ended {
    project.run(&[&["ask", question, "-p", FILE, "--json"], more].concat())
}

fn answerable(done: &Value) -> f64 {
    done["answerable"].as_f64().unwrap_or_else(|| panic!("no probability: {done}"))
}

fn is_refused(api: &StandIn, document: fn(usize) -> String, answered: &str, unanswerable: &str, sentence: &str) {
    let project = project(api, document, "");
    ingest(&project);
    assert!(project.path(KEPT).exists(), "what the index has taught is kept");

    let done = ask(&project, answered, &[]).expect_code(0).last("done");
    assert!(answerable(&done) > 0.7 && done["stop"] == "end", "{done}");
    assert_eq!(api.requests().len(), 1, "the model was asked");

    let refused = ask(&project, unanswerable, &[]).expect_code(1);
    let done = refused.last("done");
    assert!(answerable(&done) < 0.15, "{done}");
    assert_eq!((&done["stop"], &done["model"], &done["citations"]), (&json!("unanswerable"), &Value::Null, &json!([1, 2, 3])));
    assert!(refused.of_type("sources")[0]["sources"].as_array().unwrap().len() >= 3, "the nearest are shown");
    let said: String = refused.of_type("token").iter().map(|token| token["text"].as_str().unwrap().to_owned()).collect();
    assert!(said.starts_with(sentence) && said.contains("[1]") && said.contains("--anyway"), "{said}");
    assert_eq!(api.requests().len(), 1, "no model was asked");

    let shown = project.run(&["ask", unanswerable, "-p", FILE]).expect_code(1).stdout;
    assert!(shown.starts_with(sentence) && shown.contains("docs/"), "{shown}");

    let done = ask(&project, unanswerable, &["--anyway"]).expect_code(0).last("done");
    assert!(answerable(&done) < 0.15 && done["stop"] == "end", "{done}");
    assert_eq!(api.requests().len(), 2);
    configure(&project, api, "  answerability: {threshold: off}");
    ask(&project, unanswerable, &[]).expect_code(0);
    configure(&project, api, "  answerability: {threshold: 1.0}");
    ask(&project, answered, &[]).expect_code(1);
    assert_eq!(api.requests().len(), 3, "off: asked; 1.0: nothing is");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_english_documents_do_not_say_is_not_asked() {
    let [painters, coated, with] = [44, 45, 46].map(name);
    let answered = format!("For whom have painters from {painters} coated {coated} with {with}?");
    is_refused(&stand_in().await, english, &answered, UNANSWERABLE, "The documents do not seem to hold the answer");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_chinese_documents_do_not_say_is_not_asked() {
    let [painters, with, what] = [44, 45, 46].map(chinese_name);
    let answered = format!("来自{painters}的油漆工用{with}为{what}涂刷了什么？");
    is_refused(&stand_in().await, chinese, &answered, UNANSWERABLE_CHINESE, "文档中似乎没有这个问题的答案");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_few_documents_nothing_is_known_and_everything_is_asked() {
    let api = stand_in().await;
    let project = Project::new();
    for n in 0..20 {
        project.write(&format!("docs/{n:03}.md"), english(n));
    }
    configure(&project, &api, "");
    ingest(&project);
    assert!(!project.path(KEPT).exists());
    let done = ask(&project, UNANSWERABLE, &[]).expect_code(0).last("done");
    assert_eq!((done.get("answerable"), &done["stop"]), (None, &json!("end")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_and_a_chat_say_the_same() {
    let api = stand_in().await;
    let project = project(&api, english, "");
    ingest(&project);
    let service = Service::start(&project, &["-p", FILE]);
    let (status, body) = post(&service.at("/api/ask"), &json!({"question": UNANSWERABLE, "stream": false})).await;
    assert_eq!((status, &body["stop"]), (200, &json!("unanswerable")), "{body}");
    assert!(body["answer"].as_str().unwrap().starts_with("The documents do not seem"), "{body}");
    assert!(answerable(&body) < 0.15);
    let messages = json!([{"role": "user", "content": UNANSWERABLE}]);
    let (status, body) = post(&service.at("/v1/chat/completions"), &json!({"model": "docs", "messages": messages})).await;
    let said = body["choices"][0]["message"]["content"].as_str().unwrap_or_else(|| panic!("{status} {body}"));
    assert!(said.starts_with("The documents do not seem"), "{body}");
    assert_eq!(api.requests().len(), 0, "nobody was asked");
    let anyway = json!({"model": "docs", "messages": messages, "ragstream": {"anyway": true}});
    let (_, body) = post(&service.at("/v1/chat/completions"), &anyway).await;
    assert!(body["choices"][0]["message"]["content"].as_str().unwrap().starts_with("So it is"), "{body}");
    let anyway = json!({"question": UNANSWERABLE, "stream": false, "anyway": true});
    let (_, body) = post(&service.at("/api/ask"), &anyway).await;
    assert_eq!((&body["stop"], api.requests().len()), (&json!("end"), 2), "{body}");
    drop(service);

    let lines = format!("{UNANSWERABLE}\n/anyway\n");
    let chat = project.run_with_input(&["chat", "-p", FILE, "--json"], &lines).expect_code(0);
    let stops: Vec<Value> = chat.of_type("done").iter().map(|done| done["stop"].clone()).collect();
    assert_eq!((stops, api.requests().len()), (vec![json!("unanswerable"), json!("end")], 3), "{}", chat.stdout);
}

/// Embedding made-up questions would be paid for: of such an index the words alone are known, and a threshold holds all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_threshold_holds_where_a_paid_model_embeds() {
    let api = stand_in().await;
    api.always("/v1/embeddings", |request| openai_embeddings(request, 8));
    let project = project(&api, english, "");
    let embeds = |query: &str| {
        configure(&project, &api, query);
        let file = String::from_utf8(project.read(FILE)).unwrap();
        project.write(FILE, file.replace("{model: local/potion-base-8M}", "{model: api/e, dimensions: 8}"));
    };
    embeds("");
    ingest(&project);
    let asked = || api.requests().iter().filter(|request| request.path.ends_with("/chat/completions")).count();
    let done = ask(&project, UNANSWERABLE, &[]).expect_code(0).last("done");
    assert!(answerable(&done) < 0.5 && done["stop"] == "end", "told, and of itself not refused by words alone: {done}");
    assert_eq!(asked(), 1);
    embeds("  answerability: {threshold: 0.5}");
    let done = ask(&project, UNANSWERABLE, &[]).expect_code(1).last("done");
    assert_eq!((&done["stop"], asked()), (&json!("unanswerable"), 1), "{done}");
    let [painters, coated, with] = [44, 45, 46].map(name);
    let answered = format!("For whom have painters from {painters} coated {coated} with {with}?");
    let done = ask(&project, &answered, &[]).expect_code(0).last("done");
    assert!(answerable(&done) > 0.5 && asked() == 2, "{done}");
    embeds("  answerability: {threshold: 1}");
    ask(&project, &answered, &[]).expect_code(1);
    assert_eq!(asked(), 2);
}

/// At whatever moment: what is kept is whole or not there, and the next run makes it.
#[tokio::test(flavor = "multi_thread")]
async fn a_kill_while_the_corpus_is_asked_about_itself_loses_nothing() {
    let api = stand_in().await;
    let project = project(&api, english, "");
    ingest(&project);
    let whole = project.read(KEPT);
    project.remove(KEPT);
    let started = Instant::now();
    assert_eq!(ingest(&project)["documents"]["unchanged"], DOCUMENTS);
    let took = started.elapsed();
    assert!(project.path(KEPT).exists(), "it is made anew where it is not there");
    for eighth in 1..8 {
        let _ = std::fs::remove_file(project.path(KEPT));
        let mut child = project.start(&["ingest", "-p", FILE]);
        std::thread::sleep(took * eighth / 8);
        child.kill().unwrap();
        ended(child);
        if project.path(KEPT).exists() {
            assert_eq!(project.read(KEPT), whole, "after {eighth} eighths");
        }
        ask(&project, UNANSWERABLE, &["--anyway"]).expect_code(0);
    }
    let summary = ingest(&project);
    assert_eq!((&summary["documents"]["unchanged"], &summary["documents"]["failed"]), (&json!(DOCUMENTS), &json!(0)));
    assert_eq!(project.read(KEPT), whole, "the same corpus teaches the same");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_learned_anew_when_the_corpus_is_another() {
    let api = stand_in().await;
    let project = project(&api, english, "");
    ingest(&project);
    let first = project.read(KEPT);
    project.write("docs/one.md", "# One more\n\nThe lighthouse of Quendale is painted white every spring by volunteers.\n");
    ingest(&project);
    let head = |bytes: &[u8]| -> Value { serde_json::from_slice(bytes.split(|byte| *byte == b'\n').next().unwrap()).unwrap() };
    let second = head(&project.read(KEPT));
    assert_eq!((&second["changed"], &second["points"]), (&json!(1), &head(&first)["points"]), "a little is only counted");
    for n in 0..40 {
        project.write(&format!("docs/new-{n}.md"), chinese(n));
    }
    ingest(&project);
    let third = head(&project.read(KEPT));
    assert_eq!((&third["changed"], third["points"].as_u64() > second["points"].as_u64()), (&json!(0), true), "{third}");
}

#[test]
fn eval_measures_it_on_a_set_with_questions_without_an_answer() {
    let project = Project::new();
    let (mut queries, mut qrels) = (String::new(), "query-id\tcorpus-id\tscore\n".to_owned());
    for n in 0..DOCUMENTS {
        project.write(&format!("set/corpus/{n:03}.md"), english(n));
    }
    for n in (0..DOCUMENTS).step_by(10) {
        let text = format!("What stands between {} and {}?", name(8 * n + 1), name(8 * n + 2));
        writeln!(queries, "{}", json!({"id": format!("a{n}"), "text": text})).unwrap();
        writeln!(qrels, "a{n}\t{n:03}.md\t1").unwrap();
        // Of a place that no document is about.
        let text = format!("What lies between {} and {}?", name(n + 1200), name(n + 1201));
        writeln!(queries, "{}", json!({"id": format!("u{n}"), "text": text, "answerable": false})).unwrap();
    }
    project.write("set/queries.jsonl", queries);
    project.write("set/qrels.tsv", qrels);
    project.write(FILE, "embed: {model: local/potion-base-8M}\n");
    let scores = project.run(&["eval", "set", "-p", FILE, "--json"]).expect_code(0).last("scores");
    let known = &scores["answerability"];
    assert_eq!(
        (&known["answerable"], &known["unanswerable"], &known["unknown"]),
        (&json!(14), &json!(14), &json!(0)),
        "{scores}"
    );
    assert!(known["auroc"].as_f64().unwrap() > 0.9, "{known}");
    assert_eq!(scores["queries"], 14, "questions without an answer are none of the ranking");
    let table = project.run(&["eval", "set", "-p", FILE]).expect_code(0).stdout;
    assert!(table.contains("AUROC") && table.contains("refused@5%"), "{table}");
}
