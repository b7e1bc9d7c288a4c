//! The embedding cache as the program uses it: nothing that was paid for is paid for again.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail loudly")]

use std::collections::{HashMap, HashSet};
use std::process::Child;
use std::time::{Duration, Instant};

use ragstream::cache::held;
use serde_json::Value;

use crate::both::{Home, Ledger, over_both_ledgers};
use crate::project::{Project, ended};
use crate::stand_in::{Reply, Request, StandIn, openai_embeddings};

const EMBEDDINGS: &str = "/v1/embeddings";
const WIDTH: usize = 32;

/// Answers well after a moment.
async fn api(delay: Duration) -> StandIn {
    let api = StandIn::start().await;
    api.always(EMBEDDINGS, move |request| openai_embeddings(request, WIDTH).after(delay));
    api
}

/// A project whose model is behind the API: four texts a request, `concurrency` requests at once. `more` goes below `embed`.
fn project(api: &StandIn, concurrency: usize, more: &str) -> Project {
    let project = Project::new();
    write_pipeline(&project, api, concurrency, more);
    project
}

/// The same, with such a ledger.
fn home(ledger: Ledger, api: &StandIn, concurrency: usize) -> Home {
    let home = Home::new(ledger);
    write_pipeline(&home, api, concurrency, "");
    let pipeline = String::from_utf8(home.read("p.yaml")).unwrap();
    home.write("p.yaml", pipeline.replace("{files: {paths: [docs]}}", &home.folder("docs")) + &home.store());
    home
}

over_both_ledgers! { async
    after_a_kill_what_was_answered_is_not_paid_for_again
    kills_at_any_instant_cost_at_most_what_was_in_flight
}

fn write_pipeline(project: &Project, api: &StandIn, concurrency: usize, more: &str) {
    let url = api.url();
    let text = format!(
        "version: 1\nname: docs\nproviders:\n  api: {{ kind: openai, base_url: {url}/v1, api_key: key, limits: {{ concurrency: {concurrency} }} }}\n\
         sources: [{{files: {{paths: [docs]}}}}]\nchunk: {{ max_tokens: 40, overlap: 0 }}\n\
         embed: {{ model: api/some-model, batch: {{ items: 4 }}{more} }}\n"
    );
    project.write("p.yaml", text);
}

/// A document of this many chunks, all different.
fn document(name: &str, sections: usize) -> String {
    let section = |n| format!("# {name} {n}\n\nThe {n}th word on {name} is said here, and it is a whole sentence.\n\n");
    (0..sections).map(section).collect::<Vec<_>>().concat()
}

fn inputs(request: &Request) -> Vec<String> {
    match &request.body["input"] {
        Value::Array(many) => many.iter().map(|input| input.as_str().unwrap().to_owned()).collect(),
        one => vec![one.as_str().unwrap().to_owned()],
    }
}

/// How often each text was asked for. The model's width is asked for with one word, which is not counted.
fn paid(api: &StandIn) -> HashMap<String, usize> {
    let mut paid = HashMap::new();
    for input in api.requests().iter().flat_map(inputs).filter(|input| input != "word") {
        *paid.entry(input).or_default() += 1;
    }
    paid
}

/// Runs without stopping the stand-in, which lives on the same runtime.
async fn run(project: &Project, arguments: &[&str]) -> crate::project::Ended {
    let child = project.start(arguments);
    tokio::task::spawn_blocking(move || ended(child)).await.unwrap()
}

async fn ingest(project: &Project) -> Value {
    run(project, &["ingest", "-p", "p.yaml", "--json"]).await.expect_code(0).last("summary")
}

async fn kill(mut child: Child) {
    child.kill().unwrap();
    tokio::task::spawn_blocking(move || child.wait().unwrap()).await.unwrap();
}

async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !condition().await {
        assert!(began.elapsed() < Duration::from_secs(60), "{what} did not happen");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_made_anew_is_not_paid_for_again() {
    let api = api(Duration::ZERO).await;
    // With a width that is told: else it is asked for, before anything else.
    let project = project(&api, 4, ", dimensions: 32");
    project.write("docs/a.md", document("a", 30));
    project.write("docs/copy.md", document("a", 30));
    let first = ingest(&project).await["embeddings"].clone();
    assert_eq!((&first["embedded"], &first["cache_hits"]), (&30.into(), &30.into()), "the copy is embedded once: {first}");
    let requests = api.requests().len();

    let rebuilt = run(&project, &["ingest", "-p", "p.yaml", "--json", "--rebuild"]).await.expect_code(0).last("summary");
    assert_eq!(
        (&rebuilt["embeddings"]["embedded"], &rebuilt["embeddings"]["cache_hits"]),
        (&0.into(), &60.into()),
        "{rebuilt}"
    );
    assert_eq!(rebuilt["embeddings"]["requests"], 0, "{rebuilt}");
    assert_eq!(api.requests().len(), requests, "no request at all");

    let status = run(&project, &["status", "-p", "p.yaml", "--json"]).await.expect_code(0).last("status");
    assert_eq!(status["cache"]["entries"], 30, "{status}");
    assert!(status["cache"]["bytes"].as_u64().unwrap() > 30 * 4 * WIDTH as u64, "{status}");
    let status = run(&project, &["status", "-p", "p.yaml"]).await.expect_code(0);
    assert!(status.stdout.contains("cache      30 embeddings"), "{}", status.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_is_embedded_once() {
    let api = api(Duration::ZERO).await;
    let project = project(&api, 4, "");
    project.write("docs/a.md", document("a", 5));
    ingest(&project).await;
    for _ in 0..2 {
        run(&project, &["search", "which word is said?", "-p", "p.yaml", "--json"]).await.expect_code(0);
    }
    assert_eq!(paid(&api)["which word is said?"], 1);
    // The same text as a passage is another matter.
    project.write("docs/b.md", "which word is said?");
    assert_eq!(ingest(&project).await["embeddings"]["embedded"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn other_widths_and_models_never_mix() {
    let api = api(Duration::ZERO).await;
    let project = project(&api, 4, "");
    project.write("docs/a.md", document("a", 5));
    ingest(&project).await;
    for (more, embedded) in [(", dimensions: 32", 5), (", passage_prefix: \"passage: \"", 5), ("", 0)] {
        write_pipeline(&project, &api, 4, more);
        let summary = run(&project, &["ingest", "-p", "p.yaml", "--json", "--rebuild"]).await.expect_code(0).last("summary");
        assert_eq!(summary["embeddings"]["embedded"], embedded, "{more}: {summary}");
    }

    // Another server that means another model by the same name: what is not as wide is not taken for its own.
    let other = StandIn::start().await;
    other.always(EMBEDDINGS, |request| openai_embeddings(request, WIDTH / 2));
    write_pipeline(&project, &other, 4, "");
    let summary = run(&project, &["ingest", "-p", "p.yaml", "--json", "--rebuild"]).await.expect_code(0).last("summary");
    assert_eq!(summary["embeddings"]["embedded"], 5, "{summary}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_projects_at_once_share_what_they_pay_for() {
    let api = api(Duration::from_millis(150)).await;
    let (one, two) = (project(&api, 4, ""), project(&api, 4, ""));
    let shared = one.path("shared");
    for (project, own) in [(&one, "one"), (&two, "two")] {
        project.write("docs/common.md", document("common", 40));
        project.write("docs/own.md", document(own, 40));
    }
    let arguments = ["ingest", "-p", "p.yaml", "--json", "--cache", shared.to_str().unwrap()];
    let mut first = one.start(&arguments);
    // Twelve of the eighty are still to come; of what is there, twenty-eight are common at least.
    until("most of the first", async || held(&shared).is_some_and(|held| held.entries >= 68)).await;
    assert!(first.try_wait().unwrap().is_none(), "it is no more at once");
    let second = run(&two, &arguments).await;
    let first = tokio::task::spawn_blocking(move || ended(first)).await.unwrap();
    for ended in [first, second] {
        assert!(!ended.stderr.contains("cache"), "no complaint: {}", ended.stderr);
        assert_eq!(ended.expect_code(0).last("summary")["chunks"]["upserted"], 80);
    }
    // What both asked for in the same moment may have been paid for twice; what was there was not.
    let twice = paid(&api).values().filter(|times| **times > 1).count();
    assert!(twice <= 12, "{twice} texts were paid for twice");
    let again = run(&two, &["ingest", "-p", "p.yaml", "--json", "--rebuild", "--cache", shared.to_str().unwrap()]).await;
    assert_eq!(again.expect_code(0).last("summary")["embeddings"]["embedded"], 0);
}

async fn after_a_kill_what_was_answered_is_not_paid_for_again(ledger: Ledger) {
    let api = StandIn::start().await;
    let project = home(ledger, &api, 1);
    // One document, so that nothing of it is recorded as done before all of it is.
    project.write("docs/a.md", document("a", 40));
    // The width, and five batches; then no answer any more.
    let answered = |request: &Request| openai_embeddings(request, WIDTH);
    let seen = std::sync::atomic::AtomicUsize::new(0);
    api.always(EMBEDDINGS, move |request| match seen.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
        0..6 => answered(request),
        _ => Reply::hang(),
    });
    let cache = project.path("shared");
    let arguments = ["ingest", "-p", "p.yaml", "--json", "--cache", cache.to_str().unwrap()];
    let child = project.start(&arguments);
    until("the request that hangs", async || api.requests().len() == 7).await;
    let before: HashSet<String> = api.requests()[1..6].iter().flat_map(inputs).collect();
    until("the last answer on disk", async || held(&cache).is_some_and(|held| held.entries == before.len() as u64)).await;
    kill(child).await;
    project.all_are_dead();

    api.always(EMBEDDINGS, answered);
    let asked = api.requests().len();
    let summary = run(&project, &arguments).await.expect_code(0).last("summary");
    // What had reached the store is kept there, the rest comes from the cache.
    let covered = summary["embeddings"]["cache_hits"].as_u64().unwrap() + summary["chunks"]["kept"].as_u64().unwrap();
    assert_eq!(covered, before.len() as u64, "{summary}");
    assert_eq!(summary["embeddings"]["embedded"], 40 - before.len(), "{summary}");
    assert!(api.requests()[asked..].iter().flat_map(inputs).all(|input| !before.contains(&input)));
}

async fn kills_at_any_instant_cost_at_most_what_was_in_flight(ledger: Ledger) {
    let concurrency = 3;
    let api = api(Duration::from_millis(20)).await;
    let project = home(ledger, &api, concurrency);
    for n in 0..4 {
        project.write(&format!("docs/{n}.md"), document(&format!("name{n}"), 50));
    }
    let kills = 5;
    for n in 0..kills {
        let asked = api.requests().len();
        let child = project.start(&["ingest", "-p", "p.yaml", "--json"]);
        until("some requests", async || api.requests().len() > asked + 4 + n).await;
        tokio::time::sleep(Duration::from_millis(7 * n as u64)).await;
        kill(child).await;
        project.all_are_dead();
    }
    ingest(&project).await;
    let paid = paid(&api);
    assert_eq!(paid.len(), 200);
    let again: usize = paid.values().map(|times| times - 1).sum();
    // A request whose answer is being written makes way for the next, so one more than may be in flight.
    assert!(again <= kills * (concurrency + 1) * 4, "{again} texts were paid for again after {kills} kills");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cache_that_cannot_be_had_is_no_error() {
    let api = api(Duration::ZERO).await;
    let project = project(&api, 4, "");
    project.write("docs/a.md", document("a", 10));
    project.write("file", "not a folder");
    let arguments = ["ingest", "-p", "p.yaml", "--json", "--rebuild", "--cache", "file"];
    for _ in 0..2 {
        let ended = run(&project, &arguments).await.expect_code(0);
        assert_eq!(ended.stderr.matches("the embedding cache cannot be used").count(), 1, "{}", ended.stderr);
        assert_eq!(ended.last("summary")["embeddings"]["embedded"], 10);
    }
    let status = run(&project, &["status", "-p", "p.yaml", "--json", "--cache", "file"]).await.expect_code(0).last("status");
    assert_eq!(status["cache"], Value::Null);

    // One that is damaged is made anew, and says so.
    project.write("damaged/embeddings.sqlite3", "garbage ".repeat(1000));
    let ended = run(&project, &["ingest", "-p", "p.yaml", "--json", "--rebuild", "--cache", "damaged"]).await.expect_code(0);
    assert!(ended.stderr.contains("set aside"), "{}", ended.stderr);
    let ended = run(&project, &["ingest", "-p", "p.yaml", "--json", "--rebuild", "--cache", "damaged"]).await.expect_code(0);
    assert_eq!((&ended.last("summary")["embeddings"]["cache_hits"], ended.stderr.contains("set aside")), (&10.into(), false));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_as_fast_to_compute_is_not_kept_on_disk() {
    let project = Project::new();
    project.write("docs/a.md", document("a", 10));
    run(&project, &["ingest", "docs"]).await.expect_code(0);
    let status = run(&project, &["status", "--json"]).await.expect_code(0).last("status");
    assert_eq!(status["cache"], Value::Null, "{status}");
}
