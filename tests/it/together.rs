//! Several pipelines that are served, and batches over several: what is asked is asked of all of them, each with a store and a model of
//! its own, in English and in Chinese.

mod commands;
mod served;

use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::installed::python_with_peers;
use crate::project::{Ended, Project};
use crate::qdrant_server::{self, Running};
use crate::service::{Service, client, get, post};
use crate::stand_in::{Reply, StandIn, openai_embeddings};

const CHAT: &str = "/chat/completions";
const BOTH: [&str; 4] = ["-p", "docs.yaml", "-p", "tickets.yaml"];

fn run(project: &Project, arguments: &[&str]) -> Ended {
    tokio::task::block_in_place(|| project.run(arguments))
}

fn start(project: &Project, arguments: &[&str]) -> Service {
    tokio::task::block_in_place(|| Service::start(project, arguments))
}

fn answer() -> Reply {
    let piece = |text: &str| format!("data: {}\n\n", json!({"choices": [{"index": 0, "delta": {"content": text}}]}));
    let end = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n".to_owned();
    Reply::stream([piece("As the sources say "), piece("[1][2]."), end], Duration::ZERO)
}

/// Documents in an index of the embedded store, by a model in process, and tickets in a collection of a server, by a provider's.
struct Desk {
    api: StandIn,
    server: Running,
    project: Project,
}

impl Desk {
    async fn new() -> Self {
        let (api, server, project) = (StandIn::start().await, qdrant_server::start().await, Project::new());
        api.always("/embeddings", |request| openai_embeddings(request, 16));
        api.always(CHAT, |_| answer());
        project.write("docs/keys.md", "# Keys\n\nKeys are rotated every ninety days by the operators.\n");
        project.write("docs/密钥.md", "# 密钥\n\n密钥每九十天轮换一次，旧的密钥还能用一周。\n");
        project.write("docs/lamps.md", "# Lamps\n\nThe lamps of the lighthouse are lit at dusk by the keeper.\n");
        project.write("tickets/17.md", "# Ticket 17\n\nThe pump of the ferry leaks when it is cold outside.\n");
        project.write("tickets/渡轮.md", "# 渡轮\n\n渡轮的水泵在天冷的时候漏水。\n");
        project.write("tickets/18.md", "# Ticket 18\n\nA customer asks how often keys are rotated on the ferry.\n");
        let desk = Self { api, server, project };
        let url = desk.server.url.clone();
        desk.pipeline("docs", "", "");
        desk.pipeline(
            "tickets",
            "embed: { model: api/e, dimensions: 16 }\n",
            &format!("store: {{ qdrant: {{ url: \"{url}\", collection: tickets }} }}\n"),
        );
        for name in ["docs.yaml", "tickets.yaml"] {
            run(&desk.project, &["ingest", "-p", name, "-q"]).expect_code(0);
        }
        desk
    }

    fn pipeline(&self, name: &str, embed: &str, store: &str) {
        let file = format!(
            "version: 1\nname: {name}\nproviders:\n  api: {{ kind: openai, base_url: \"{}\", api_key: k, retry: {{ attempts: 1 }} }}\n\
             sources: [{name}]\n{embed}{store}query: {{ answer: {{ model: api/m }} }}\n",
            self.api.url()
        );
        self.project.write(&format!("{name}.yaml"), file);
    }
}

/// Whose the sources of an answer are.
fn pipelines(sources: &Value) -> Vec<&str> {
    let mut names: Vec<&str> =
        sources.as_array().unwrap().iter().map(|source| source["pipeline"].as_str().unwrap_or_default()).collect();
    names.sort_unstable();
    names.dedup();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_of_several_answers_from_all_as_the_command_does_or_from_one() {
    let desk = Desk::new().await;
    let (project, service) = (&desk.project, start(&desk.project, &BOTH));
    let search = async |body: Value| post(&service.at("/api/search"), &body).await;
    for query in ["how often are keys rotated?", "the pump of the ferry", "渡轮的水泵", "密钥多久轮换一次？"] {
        let (status, found) = search(json!({"query": query})).await;
        let printed = run(project, &[&["search", query, "--json"][..], &BOTH].concat()).expect_code(0);
        assert_eq!((status, &found["pipeline"], &found["hits"]), (200, &json!("docs+tickets"), &json!(printed.events())));
        assert_eq!(search(json!({"query": query, "pipeline": "docs+tickets"})).await.1, found);
        for name in ["docs", "tickets"] {
            let (_, alone) = search(json!({"query": query, "pipeline": name})).await;
            let printed = run(project, &["search", query, "--json", "-p", &format!("{name}.yaml")]);
            assert_eq!((&alone["pipeline"], &alone["hits"]), (&json!(name), &json!(printed.events())), "{query}");
        }
    }
    for name in ["nothing", "docs+nothing", "docs+docs", "docs+"] {
        assert_eq!(search(json!({"query": "keys", "pipeline": name})).await.0, 404, "{name}");
    }

    let asked = json!({"question": "How often are keys rotated?", "stream": false});
    let (status, told) = post(&service.at("/api/ask"), &asked).await;
    assert_eq!((status, pipelines(&told["sources"])), (200, vec!["docs", "tickets"]), "{told}");
    let printed = run(project, &[&["ask", "How often are keys rotated?", "--json"][..], &BOTH].concat()).expect_code(0);
    assert_eq!(told["sources"], printed.of_type("sources")[0]["sources"]);
    let text = client().post(service.at("/api/ask")).json(&json!({"question": "渡轮的水泵怎么了？"})).send().await.unwrap();
    assert!(text.text().await.unwrap().contains("\"pipeline\":\"tickets\""), "as it is written, too");

    // A document is found in whichever has it.
    for (uri, pipeline) in [("docs/密钥.md", "docs"), ("tickets/渡轮.md", "tickets")] {
        let url = reqwest::Url::parse_with_params(&service.at("/api/documents"), [("uri", uri)]).unwrap();
        let (status, document) = get(url.as_str()).await;
        assert_eq!((status, &document["pipeline"]), (200, &json!(pipeline)), "{document}");
        let other = if pipeline == "docs" { "tickets" } else { "docs" };
        assert_eq!(get(&format!("{url}&pipeline={other}")).await.0, 404, "it can be asked for of one");
    }

    let (_, told) = get(&service.at("/api/status")).await;
    let names: Vec<&str> = told["pipelines"].as_array().unwrap().iter().filter_map(|one| one["pipeline"].as_str()).collect();
    assert_eq!((names, &told["together"]), (vec!["docs", "tickets"], &json!("docs+tickets")));
    let metrics = client().get(service.at("/metrics")).send().await.unwrap().text().await.unwrap();
    for line in [
        r#"ragstream_answers_total{pipeline="(together)",ended="done"} 3"#,
        r#"ragstream_searches_total{pipeline="(together)",ended="done"} 12"#,
        r#"ragstream_searches_total{pipeline="tickets",ended="done"} 23"#,
    ] {
        assert!(metrics.lines().any(|told| told == line), "{line}\n{metrics}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn why_is_told_of_the_index_that_has_the_document() {
    let desk = Desk::new().await;
    let service = start(&desk.project, &BOTH);
    let why = async |file: &str, question: &str, limit: usize| {
        let (status, told) = post(&service.at("/api/why"), &json!({"file": file, "question": question, "limit": limit})).await;
        assert_eq!(status, 200, "{told}");
        told
    };
    let keys = "how often are keys rotated?";
    for (file, question, pipeline) in
        [("keys.md", keys, "docs"), ("渡轮.md", "渡轮的水泵", "tickets"), ("tickets/17.md", "pump of the ferry", "tickets")]
    {
        let told = why(file, question, 2).await;
        assert_eq!((&told["pipeline"], &told["cause"]["id"]), (&json!(pipeline), &json!("found")), "{told}");
        let arguments = [&["why", file, question, "-k", "2", "--json"][..], &BOTH].concat();
        assert_eq!(run(&desk.project, &arguments).expect_code(0).last("why"), told, "as the command says");
    }
    // The best of its own index, and not of all: its place is among the passages of both.
    let below = why("tickets/18.md", "lamps of the lighthouse", 1).await;
    let places: Vec<Value> =
        post(&service.at("/api/search"), &json!({"query": "lamps of the lighthouse", "limit": 50})).await.1["hits"]
            .as_array()
            .unwrap()
            .clone();
    let place = places.iter().position(|hit| hit["uri"] == "tickets/18.md").unwrap() + 1;
    assert_eq!((&below["cause"]["id"], &below["rank"]), (&json!("beyond_limit"), &json!(place)), "{below}");
    assert_eq!(why("nowhere.md", keys, 1).await["cause"]["id"], "missing");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_missing_or_away_is_said_and_takes_down_no_other() {
    let desk = Desk::new().await;
    desk.pipeline("later", "", "");
    let all = [&BOTH[..], &["-p", "later.yaml"]].concat();
    let service = start(&desk.project, &all);
    let search = async |body: &Value| post(&service.at("/api/search"), body).await;
    let query = json!({"query": "pump of the ferry"});
    let (status, found) = search(&query).await;
    assert_eq!((status, &found["hits"][0]["uri"]), (200, &json!("tickets/17.md")));
    assert!(found["note"].as_str().unwrap().contains("The pipeline later is left out: there is no index"), "{found}");
    let (status, alone) = search(&json!({"query": "pump", "pipeline": "later"})).await;
    assert_eq!((status, &alone["kind"]), (404, &json!("index_missing")), "asked alone it says what one says");
    // A question about all documents says that one is missing.
    let whole = json!({"question": "List all tickets", "stream": false, "all": true});
    let (status, told) = post(&service.at("/api/ask"), &whole).await;
    assert_eq!((status, &told["whole"]["documents"]), (200, &json!(6)), "{told}");
    assert!(told["note"].as_str().unwrap().contains("The pipeline later is left out"), "{told}");

    // As soon as it has an index, it is one of them.
    desk.project.write("later/anchor.md", "# Anchor\n\nThe anchor of the ferry was raised at noon.\n");
    run(&desk.project, &["ingest", "-p", "later.yaml", "-q"]).expect_code(0);
    let (_, found) = search(&json!({"query": "anchor raised at noon"})).await;
    assert_eq!((&found["hits"][0]["pipeline"], found.get("note")), (&json!("later"), None), "{found}");

    // The provider that embeds for one is away.
    desk.api.always("/embeddings", |_| Reply::status(500, &json!({"error": {"message": "away"}})));
    let (status, found) = search(&json!({"query": "who lights the lamps of the lighthouse?"})).await;
    assert_eq!((status, &found["hits"][0]["uri"]), (200, &json!("docs/lamps.md")));
    assert!(found["note"].as_str().unwrap().contains("The pipeline tickets is left out"), "{found}");
    // Where none can be asked, the first says why.
    let nowhere = start(&desk.project, &["-p", "docs.yaml", "-p", "later.yaml", "--home", "elsewhere"]);
    let (status, told) = post(&nowhere.at("/api/search"), &query).await;
    assert_eq!((status, &told["kind"]), (404, &json!("index_missing")), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_official_clients_ask_several() {
    let desk = Desk::new().await;
    let service = start(&desk.project, &BOTH);
    let ran = tokio::task::block_in_place(|| {
        let mut client = Command::new(python_with_peers());
        client.args([concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/together/client.py"), service.url()]);
        client.env_clear().output().unwrap()
    });
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_over_several_is_paid_for_once_and_never_made_without_one() {
    let desk = Desk::new().await;
    let project = &desk.project;
    project.write(
        "q.jsonl",
        "{\"id\": \"k\", \"text\": \"How often are keys rotated?\"}\n{\"id\": \"渡\", \"text\": \"渡轮的水泵怎么了？\"}\n",
    );
    let batch = |more: &[&str]| run(project, &[&["ask", "--batch", "q.jsonl", "--json"][..], more].concat());
    let asked = || desk.api.requests().iter().filter(|request| request.path.contains(CHAT)).count();
    let first = batch(&BOTH).expect_code(0);
    for answer in first.of_type("answer") {
        assert_eq!(pipelines(&answer["sources"]), ["docs", "tickets"], "{answer}");
    }
    assert_eq!((first.of_type("answer").len(), asked()), (2, 2));
    batch(&BOTH).expect_code(0);
    assert_eq!(asked(), 2, "what is answered is not asked again");
    // Of one of them alone it is another question.
    let one = batch(&["-p", "docs.yaml"]).expect_code(0);
    assert!(one.of_type("answer").iter().all(|answer| answer["sources"][0].get("pipeline").is_none()));
    assert_eq!(asked(), 4);
    desk.pipeline("later", "", "");
    let without = batch(&[&BOTH[..], &["-p", "later.yaml"]].concat()).expect_code(2);
    assert_eq!((without.last("error")["kind"].as_str(), asked()), (Some("index_missing"), 4), "nothing is paid for");
    // One that is away in the middle fails its questions, which are asked the next time.
    project.write("q.jsonl", "{\"id\": \"n\", \"text\": \"Who lights the lamps?\"}\n");
    desk.api.always("/embeddings", |_| Reply::status(500, &json!({"error": {"message": "away"}})));
    let failed = batch(&BOTH);
    assert!(failed.code != 0 && failed.of_type("answer").is_empty(), "{failed:?}");
    assert_eq!(asked(), 4);
}
