//! What a run costs, as `plan`, `ingest` and `ask` say it.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::project::Project;
use crate::stand_in::{Reply, StandIn, openai_embeddings};

/// As many tokens, by the stand-in's count.
const WORDS: usize = 1000;

fn words(word: &str) -> String {
    (0..WORDS).map(|n| format!("{word}{n}")).collect::<Vec<_>>().join(" ")
}

fn chat() -> Reply {
    chat_that_used(&json!({"prompt_tokens": 2000, "completion_tokens": 500}))
}

fn chat_that_used(usage: &Value) -> Reply {
    let said = json!({"choices": [{"delta": {"content": "Yes [1]."}, "finish_reason": "stop"}]});
    let usage = json!({"choices": [], "usage": usage});
    Reply::stream([format!("data: {said}\n\n"), format!("data: {usage}\n\n"), "data: [DONE]\n\n".into()], Duration::ZERO)
}

fn run(project: &Project, arguments: &[&str], last: &str) -> Value {
    project.run(&[arguments, &["-p", "p.yaml", "--json"]].concat()).expect_code(0).last(last)
}

#[tokio::test(flavor = "multi_thread")]
async fn declared_prices_are_what_plan_ingest_and_ask_reckon_with_and_unknown_ones_are_unknown() {
    let api = StandIn::start().await;
    api.always("/embeddings", |request| openai_embeddings(request, 16));
    api.always("/chat/completions", |_| chat());
    let url = api.url().to_owned();
    let test = move |prices: &'static str| {
        let project = Arc::new(Project::new());
        project.write("docs/a.txt", words("word"));
        let provider = format!("{{ kind: openai, base_url: \"{url}\", api_key: k{prices} }}");
        let pipeline = format!(
            "providers:\n  api: {provider}\nsources: [docs]\nchunk: {{ overlap: 0 }}\n\
             embed: {{ model: api/text-embedding-3-small, dimensions: 16 }}\nquery: {{ answer: {{ model: api/writer }} }}\n"
        );
        project.write("p.yaml", pipeline);
        project
    };
    let declared = test(", prices: { text-embedding-3-small: { input: 50 }, writer: { input: 1, output: 4 } }");
    // The table knows this model of the vendor's; a namesake elsewhere may cost anything.
    let undeclared = test("");
    tokio::task::spawn_blocking(move || {
        let plan = run(&declared, &["plan"], "plan");
        let tokens = plan["tokens"].as_f64().unwrap();
        assert!(tokens > 900.0, "{plan}");
        assert_eq!((&plan["cost_usd"], &plan["prices_as_of"]), (&json!(tokens * 50.0 / 1e6), &json!(null)));
        let summary = run(&declared, &["ingest"], "summary");
        assert_eq!((&summary["embeddings"]["tokens"], &summary["embeddings"]["cost_usd"]), (&json!(WORDS), &json!(0.05)));
        let done = run(&declared, &["ask", "a word?"], "done");
        assert_eq!(done["cost_usd"], json!(0.0041), "with the two tokens of the question: {done}");
        let told = declared.run(&["ask", "a word?", "-p", "p.yaml"]).expect_code(0).stdout;
        assert!(told.contains("2000 + 500 tokens · $0.00400"), "{told}");
        let told = declared.run(&["plan", "-p", "p.yaml", "--rebuild"]).expect_code(0).stdout;
        assert!(told.contains("by the prices in the pipeline file"), "{told}");

        for (command, last) in [(&["plan"][..], "plan"), (&["ask", "a word?"], "done")] {
            if last == "done" {
                assert_eq!(run(&undeclared, &["ingest"], "summary")["embeddings"]["cost_usd"], json!(null));
            }
            assert_eq!(run(&undeclared, command, last)["cost_usd"], json!(null), "{command:?}");
            let ended = undeclared.run(&[command, &["-p", "p.yaml"]].concat()).expect_code(0);
            assert!(ended.stdout.contains("not known") && !ended.stdout.contains('$'), "{ended:?}");
        }
        undeclared.write("docs/b.txt", words("other"));
        let ended = undeclared.run(&["ingest", "-p", "p.yaml"]).expect_code(0);
        assert!(ended.stderr.contains("price not known"), "{ended:?}");
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_from_a_servers_cache_cost_what_the_file_says_and_else_as_much_as_any() {
    let api = StandIn::start().await;
    api.always("/embeddings", |request| openai_embeddings(request, 16));
    let details = json!({"cached_tokens": 1500, "cache_write_tokens": 400});
    api.always("/chat/completions", move |_| {
        chat_that_used(&json!({"prompt_tokens": 2000, "completion_tokens": 500, "prompt_tokens_details": details}))
    });
    let project = Project::new();
    project.write("docs/a.txt", words("word"));
    let prices = "full: { input: 1, output: 4 }, known: { input: 1, output: 4, cache_read: 0.1, cache_write: 1.25 }";
    project.write(
        "p.yaml",
        format!(
            "providers:\n  api: {{ kind: openai, base_url: \"{}\", api_key: k, prices: {{ {prices} }} }}\nsources: [docs]\n\
             embed: {{ model: api/text-embedding-3-small, dimensions: 16 }}\n",
            api.url()
        ),
    );
    tokio::task::spawn_blocking(move || {
        run(&project, &["ingest"], "summary");
        let cached = json!({"read_tokens": 1500, "written_tokens": 400});
        for (model, dollars) in [("api/full", 0.004), ("api/known", 0.00275)] {
            let done = run(&project, &["ask", "a word?", "--model", model], "done");
            assert!((done["cost_usd"].as_f64().unwrap() - dollars).abs() < 1e-12, "{done}");
            assert_eq!((&done["usage"]["input_tokens"], &done["usage"]["prompt_cache"]), (&json!(2000), &cached), "{done}");
        }
    })
    .await
    .unwrap();
}
