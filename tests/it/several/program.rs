//! The real program with stand-ins of several providers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::project::{Ended, Project, ended};
use crate::rig::until;
use crate::stand_in::{Reply, Request, StandIn};

pub const CHAT: &str = "/v1/chat/completions";
/// The key that no output may show.
const KEY: &str = "sk-several-s3cr3t-0123456789";

/// An answer in the wire format of OpenAI, in these pieces.
pub fn chat(pieces: &[&str], between: Duration) -> Reply {
    Reply::stream(frames(pieces), between)
}

fn frames(pieces: &[&str]) -> Vec<String> {
    let delta = |text: &&str| format!("data: {}\n\n", json!({"choices": [{"delta": {"content": text}}]}));
    let stop = json!({"choices": [{"delta": {}, "finish_reason": "stop"}]});
    let usage = json!({"choices": [], "usage": {"prompt_tokens": 100, "completion_tokens": 10}});
    pieces.iter().map(delta).chain([format!("data: {stop}\n\ndata: {usage}\n\ndata: [DONE]\n\n")]).collect()
}

/// An answer whose connection breaks after these pieces.
pub fn broken(pieces: &[&str]) -> Reply {
    let text: String = frames(pieces).iter().take(pieces.len()).cloned().collect();
    let length = text.len();
    Reply::raw(200, "text/event-stream", text).cut(length)
}

/// The same that stalls instead.
fn stalled(pieces: &[&str]) -> Reply {
    let text: String = frames(pieces).iter().take(pieces.len()).cloned().collect();
    let length = text.len();
    Reply::raw(200, "text/event-stream", text).stall(length)
}

/// A project with an index, and providers a, b and c that are stand-ins.
pub struct Several {
    pub project: Project,
    pub apis: [StandIn; 3],
    _runtime: Runtime,
}

impl Several {
    /// `answer` is more of `query.answer`, `limits` those of each provider.
    pub fn new(answer: &str, limits: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let apis = [(); 3].map(|()| runtime.block_on(StandIn::start()));
        let project = Project::new();
        let providers: Vec<String> = ["a", "b", "c"]
            .iter()
            .zip(&apis)
            .map(|(name, api)| {
                format!(
                    "  {name}:\n    kind: openai\n    base_url: {}/v1\n    api_key: {KEY}\n    timeout: 2s\n    limits: {limits}\n\
                     \x20   retry: {{ attempts: 2, budget: 3s }}\n",
                    api.url()
                )
            })
            .collect();
        project.write(
            "p.yaml",
            format!(
                "name: docs\nproviders:\n{}sources: [docs]\nquery: {{ answer: {{ model: a/x, max_tokens: 100{answer} }} }}\n",
                providers.concat()
            ),
        );
        project.write("docs/keys.md", "# Keys\n\nRotate a key with `lantern key rotate NAME` every ninety days.\n");
        project.write("docs/backup.txt", "Backups run at 02:30 every night and are kept for five weeks.\n");
        project.run(&["ingest", "-p", "p.yaml"]).expect_code(0);
        Self { project, apis, _runtime: runtime }
    }

    pub fn always(&self, api: usize, reply: impl Fn(&Request) -> Reply + Send + Sync + 'static) {
        self.apis[api].always(CHAT, reply);
    }

    pub fn ask(&self, arguments: &[&str]) -> Ended {
        let ended = self.project.run(&[&["ask", "-p", "p.yaml"], arguments].concat());
        assert!(!ended.stdout.contains("s3cr3t") && !ended.stderr.contains("s3cr3t"), "{ended:?}");
        ended
    }
}

fn wrong_key() -> Reply {
    Reply::status(401, &json!({"error": {"message": format!("Incorrect API key provided: {KEY}"), "code": "invalid_api_key"}}))
}

const QUESTION: &str = "How often are keys rotated?";
const ALL: [&str; 6] = ["--model", "a/x", "--model", "b/y", "--model", "c/z"];

fn text_of(lines: &[Value], model: &str) -> String {
    let of = |line: &&Value| line["type"] == "token" && line["model"] == model;
    lines.iter().filter(of).map(|line| line["text"].as_str().unwrap()).collect()
}

#[test]
fn json_of_all_names_the_model_of_every_line() {
    let several = Several::new("", "{}");
    several.always(0, |_| chat(&["Every ", "ninety days [1]."], Duration::from_millis(20)));
    several.always(1, |_| chat(&["90 days [1], see [9]"], Duration::ZERO));
    several.always(2, |_| wrong_key());
    let ended = several.ask(&[&ALL[..], &["--json", QUESTION]].concat()).expect_code(0);
    let lines = ended.events();
    assert_eq!((&lines[0]["type"], &lines[0]["models"]), (&json!("sources"), &json!(["a/x", "b/y", "c/z"])));
    assert_eq!(text_of(&lines, "a/x"), "Every ninety days [1].");
    assert_eq!(text_of(&lines, "b/y"), "90 days [1], see [9]");
    let failed = &ended.of_type("failed")[0];
    assert_eq!((&failed["model"], &failed["kind"]), (&json!("c/z"), &json!("auth")));
    let done = ended.of_type("done");
    assert_eq!(done.len(), 3, "one a model that has answered, and the joined one");
    for each in &done[..2] {
        assert_eq!(each["usage"], json!({"input_tokens": 100, "output_tokens": 10}));
        assert!(each["join"].is_null() && each["cost_usd"].is_null() && each["seconds"].is_number(), "{each}");
    }
    let joined = ended.last("done");
    assert_eq!((&joined["join"], &joined["citations"], &joined["model"]), (&json!("all"), &json!([1]), &Value::Null));
    assert_eq!(joined["usage"], json!({"input_tokens": 200, "output_tokens": 20}));
    let states: Vec<_> = joined["models"].as_array().unwrap().iter().map(|model| model["state"].clone()).collect();
    assert_eq!(states, [json!("answered"), json!("answered"), json!("failed")]);
}

#[test]
fn a_person_reads_one_answer_after_the_other_with_a_bill() {
    let several = Several::new("", "{}");
    several.always(0, |_| chat(&["Every ", "ninety ", "days [1]."], Duration::from_millis(60)));
    several.always(1, |_| chat(&["Each quarter."], Duration::ZERO).after(Duration::from_millis(90)));
    several.always(2, |_| broken(&["Half an"]));
    let ended = several.ask(&[&ALL[..], &[QUESTION]].concat()).expect_code(0);
    let shown = &ended.stdout;
    // Whoever begins first has the floor; nothing stands between the pieces of an answer.
    for whole in
        ["── a/x ──\n\nEvery ninety days [1].\n", "── b/y ──\n\nEach quarter.\n", "── c/z ──\n\nHalf an\n\nIt broke off: c: "]
    {
        assert!(shown.contains(whole), "{whole}\n{shown}");
    }
    assert!(shown.contains("\nSources\n[1] docs/keys.md:1-3"), "{shown}");
    assert!(shown.contains("a/x · 100 + 10 tokens · ") && shown.contains(" · price unknown\n"), "{shown}");
    assert!(shown.contains("c/z · failed: c: ") && shown.contains("in all "), "{shown}");
}

/// The models x and y of one provider, which race.
const ONE: [&str; 8] = ["--model", "a/x", "--model", "a/y", "--join", "first", "--json", QUESTION];

#[test]
fn a_race_behind_one_provider_is_one_also_where_nothing_is_known_of_it() {
    let several = Several::new("", "{}");
    let both = Arc::new(AtomicBool::new(false));
    several.always(0, move |request| {
        if request.body["model"] == "x" {
            both.store(true, Ordering::SeqCst);
            return Reply::hang();
        }
        chat(&["I win [1]."], Duration::ZERO).when(&both)
    });
    let joined = several.ask(&ONE).expect_code(0).last("done");
    assert_eq!(joined["model"], "a/y");
    assert_eq!(joined["models"][0], json!({"model": "a/x", "state": "cancelled"}), "what it cost is not known");
    assert_eq!(several.apis[0].requests().len(), 2);
}

#[test]
fn who_was_not_sent_anything_costs_nothing() {
    let prices = "prices: { x: { input: 1, output: 1 }, y: { input: 1, output: 1 } }";
    let several = Several::new("", &format!("{{ concurrency: 1 }}\n    {prices}"));
    several.always(0, |_| chat(&["I win [1]."], Duration::ZERO).after(Duration::from_millis(300)));
    let joined = several.ask(&ONE).expect_code(0).last("done");
    assert_eq!(several.apis[0].requests().len(), 1, "what is declared is kept to");
    let states = joined["models"].as_array().unwrap();
    let unsent = states.iter().find(|model| model["state"] == "cancelled").unwrap();
    assert_eq!(unsent["cost_usd"], json!(0.0));
    assert_eq!(joined["cost_usd"], json!(0.00011), "100 tokens read and 10 written, a dollar a million each");
}

#[test]
fn the_first_wins_and_the_others_see_their_client_hang_up() {
    let several = Several::new("", "{}");
    several.always(0, |_| Reply::hang());
    several.always(1, |_| chat(&["I ", "win [1]."], Duration::from_millis(300)));
    several.always(2, |_| chat(&["late"; 200], Duration::from_millis(500)));
    let arguments = [&["ask", "-p", "p.yaml", "--json", "--join", "first"], &ALL[..], &[QUESTION]].concat();
    let child = several.project.start(&arguments);
    until("all are asked", || several.apis.iter().all(|api| api.requests().len() == 1));
    // While the winner still streams: 300 ms lie between its pieces.
    until("the others are cancelled", || several.apis[0].in_flight() == 0 && several.apis[2].in_flight() == 0);
    let ended = ended(child).expect_code(0);
    let lines = ended.events();
    assert_eq!((text_of(&lines, "b/y").as_str(), text_of(&lines, "c/z").as_str()), ("I win [1].", ""));
    let joined = ended.last("done");
    assert_eq!((&joined["model"], &joined["models"][0]["state"]), (&json!("b/y"), &json!("cancelled")));
}

#[test]
fn only_when_all_fail_is_it_exit_two() {
    let several = Several::new("", "{}");
    several.always(0, |_| wrong_key());
    several.always(1, |_| Reply::status(500, &json!({"error": {"message": "boom"}})));
    several.always(2, |_| chat(&["ok [1]"], Duration::ZERO));
    let two = ["--model", "a/x", "--model", "b/y"];
    let failed = several.ask(&[&two[..], &["--json", QUESTION]].concat()).expect_code(2);
    let error = failed.last("error")["message"].as_str().unwrap().to_owned();
    assert!(error.contains("Incorrect API key") && error.contains("boom"), "{error}");
    let failed = several.ask(&[&two[..], &[QUESTION]].concat()).expect_code(2);
    assert!(failed.stderr.contains("a/x failed: a: Incorrect API key provided: ***"), "{}", failed.stderr);
    for join in ["all", "first", "vote", "best", "merge"] {
        let joined = several.ask(&[&ALL[..], &["--join", join, "--json", QUESTION]].concat()).expect_code(0).last("done");
        assert_eq!((&joined["join"], &joined["models"][2]["state"]), (&json!(join), &json!("answered")), "{joined}");
    }
}

/// Answers questions, and judges by picking the answer that says "ninety".
fn judge(request: &Request) -> Reply {
    let user = request.body["messages"][1]["content"].as_str().unwrap();
    if !user.contains("<answer-") {
        return chat(&["Sometimes [1]."], Duration::ZERO);
    }
    if request.body["messages"][0]["content"].as_str().unwrap().contains("Write one answer") {
        return chat(&["Merged: ninety days [1]."], Duration::ZERO);
    }
    let n = user[..user.find("In ninety days").unwrap()].matches("<answer-").count();
    chat(&[&format!("{n}\nAnswer {n} is exact.")], Duration::ZERO)
}

#[test]
fn best_and_merge_for_programs_and_people() {
    let several = Several::new("", "{}");
    several.always(0, judge);
    several.always(1, |_| chat(&["In ninety days [1]."], Duration::ZERO));
    several.always(2, |_| chat(&["Never."], Duration::ZERO));
    let best = several.ask(&[&ALL[..], &["--join", "best", "--judge", "a/x", "--json", QUESTION]].concat()).expect_code(0);
    let verdict = best.last_of("verdict");
    assert_eq!(verdict, json!({"type": "verdict", "model": "a/x", "choice": "b/y", "why": "b/y is exact."}));
    assert_eq!(best.last("done")["model"], "b/y");
    let shown = several.ask(&[&ALL[..], &["--join", "best", QUESTION]].concat()).expect_code(0).stdout;
    assert!(shown.contains("── b/y ──\n\nIn ninety days [1].\n") && shown.contains("a/x picked b/y: b/y is exact."), "{shown}");
    assert!(!shown.contains("Never.") && shown.contains("judged by a/x"), "{shown}");

    let merged = several.ask(&[&ALL[..], &["--join", "merge", "--json", QUESTION]].concat()).expect_code(0);
    let tokens = merged.of_type("token");
    let joined: String = tokens.iter().filter(|t| t["join"] == "merge").map(|t| t["text"].as_str().unwrap()).collect();
    assert_eq!(joined, "Merged: ninety days [1].");
    let done = merged.last("done");
    assert_eq!((&done["model"], &done["citations"], &done["usage"]["input_tokens"]), (&json!("a/x"), &json!([1]), &json!(400)));
    let shown = several.ask(&[&ALL[..], &["--join", "merge", QUESTION]].concat()).expect_code(0).stdout;
    assert!(shown.starts_with("Merged: ninety days [1].\n\nSources\n[1] docs/keys.md"), "{shown}");
    assert!(shown.contains("merged by a/x"), "{shown}");
}

#[test]
fn misuse_is_told() {
    let several = Several::new("", "{}");
    for (arguments, told) in [
        (&["--model", "a/x", "--model", "a/x"][..], "--model a/x is given twice"),
        (&["--model", "a/x", "--join", "best"], "--join is for several models"),
        (&["--model", "a/x", "--model", "nobody/y"], "no provider of this name"),
        (&["--judge", "a/x"], "--join"),
        (&["--fallback", "nobody/y"], "no provider of this name"),
    ] {
        let refused = several.ask(&[arguments, &[QUESTION]].concat()).expect_code(2);
        assert!(refused.stderr.contains(told), "{told}: {}", refused.stderr);
    }
    assert!(several.apis.iter().all(|api| api.requests().is_empty()));
}

#[test]
fn each_provider_keeps_its_own_limits() {
    let several = Several::new("", "{ concurrency: 2 }");
    let slow = |_: &Request| chat(&["1\nok [1]"], Duration::from_millis(120));
    several.always(0, slow);
    several.always(1, slow);
    several.always(2, slow);
    // Two models of the same provider and two of others: what waits for one is not held up by another.
    let models = ["--model", "a/1", "--model", "a/2", "--model", "a/3", "--model", "b/1", "--model", "c/1"];
    let joined = several.ask(&[&models[..], &["--join", "vote", "--json", QUESTION]].concat()).expect_code(0).last("done");
    assert_eq!(joined["models"].as_array().unwrap().iter().filter(|model| model["state"] == "answered").count(), 5, "{joined}");
    assert_eq!(several.apis[0].most_in_flight(), 2);
    assert_eq!(several.apis[1].most_in_flight(), 1);
}

#[test]
fn the_pipelines_fallback_takes_over_with_a_visible_note() {
    let several = Several::new(", fallback: [a/x, b/y, c/z]", "{}");
    several.always(0, |_| Reply::status(503, &json!({"error": {"message": "overloaded"}})));
    several.always(1, |_| broken(&["Every ni", "ne "]));
    several.always(2, |_| chat(&["Every ninety days [1]."], Duration::ZERO));
    let ended = several.ask(&["--json", QUESTION]).expect_code(0);
    let kinds: Vec<String> = ended.events().iter().map(|line| line["type"].as_str().unwrap().to_owned()).collect();
    assert_eq!(kinds, ["sources", "fallback", "token", "token", "interrupted", "token", "token", "token", "done"]);
    let taken = &ended.of_type("fallback")[0];
    assert_eq!((&taken["from"], &taken["to"], &taken["kind"]), (&json!("a/x"), &json!("b/y"), &json!("unavailable")));
    let interrupted = &ended.of_type("interrupted")[0];
    assert_eq!(
        (&interrupted["from"], &interrupted["to"], &interrupted["kind"]),
        (&json!("b/y"), &json!("c/z"), &json!("network"))
    );
    assert_eq!((&ended.last("done")["model"], &ended.last("done")["citations"]), (&json!("c/z"), &json!([1])));

    let shown = several.ask(&[QUESTION]).expect_code(0).stdout;
    let notes = [
        "overloaded (gave up after 2 attempts",
        "b/y answers instead.\n\nEvery nine \n\nInterrupted: b: ",
        "c/z begins anew.\n\nEvery ninety days [1].\n",
    ];
    let places: Vec<_> = notes.iter().map(|note| shown.find(note).unwrap_or_else(|| panic!("{note}: {shown}"))).collect();
    assert!(places.is_sorted(), "{shown}");
    // What is said on the command line replaces the pipeline's.
    several.ask(&["--fallback", "b/y", "--json", QUESTION]).expect_code(2).last("error");
}

#[test]
fn a_stall_and_a_missing_key_are_failures_like_others() {
    let several =
        Several::new(", fallback: [anthropic/claude-sonnet-4-6, openai/gpt-5.4-mini, b/y], fallback_after: 500ms", "{}");
    several.always(0, |_| stalled(&[]));
    several.always(1, |_| chat(&["Here [1]."], Duration::ZERO));
    let began = Instant::now();
    let ended = several.ask(&["--json", QUESTION]).expect_code(0);
    assert!(began.elapsed() < Duration::from_secs(20));
    let kinds: Vec<Value> = ended.of_type("fallback").iter().map(|line| line["kind"].clone()).collect();
    assert_eq!(kinds, [json!("timeout"), json!("auth"), json!("auth")], "{}", ended.stdout);
    assert_eq!(ended.last("done")["model"], "b/y");
}

impl Ended {
    fn last_of(&self, kind: &str) -> Value {
        self.of_type(kind).pop().unwrap_or_else(|| panic!("no {kind}: {}", self.stdout))
    }
}

/// Of several, each stands by for the others: a flag that would be of no use is refused, and the file's key is no error.
#[test]
fn nobody_stands_by_for_several() {
    let several = Several::new(", fallback: [c/z]", "{}");
    several.always(0, |_| chat(&["Every ninety days [1]."], Duration::ZERO));
    several.always(1, |_| wrong_key());
    several.always(2, |_| wrong_key());
    let two = ["--model", "a/x", "--model", "b/y"];
    let refused = several.ask(&[&two[..], &["--fallback", "c/z", QUESTION]].concat()).expect_code(2);
    assert!(refused.stderr.contains("--fallback is for one model"), "{}", refused.stderr);
    let ended = several.ask(&[&two[..], &["--json", QUESTION]].concat()).expect_code(0);
    assert_eq!(text_of(&ended.events(), "a/x"), "Every ninety days [1].");
    assert_eq!(several.apis[2].requests().len(), 0, "the file's is not asked");
    let failed = several.ask(&["--model", "b/y", "--model", "c/z", "--json", QUESTION]).expect_code(2);
    let error = failed.last("error");
    assert_eq!(error["kind"], "auth", "{error}");
    let said = error["message"].as_str().unwrap();
    assert!(said.starts_with("no model answered: b/y: ") && said.contains("; c/z: "), "{said}");
}
