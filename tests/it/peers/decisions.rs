//! Decision models and rerankers whose servers nobody here wrote: llama.cpp serves both. What its tiny models say is arbitrary, so only
//! the form is looked at; and the vendors' own clients are shown what we send.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use ragstream::providers::{Ask, Asked, Choice, Decision, DecisionRequest, ErrorKind};
use ragstream::providers::{ModelRef, ProviderKind, ProviderPlan, Providers, Secret};
use serde_json::{Value, json};

use super::Peer;
use crate::installed::python_with_peers;
use crate::project::{Project, samples};
use crate::stand_in::StandIn;

fn providers(kind: ProviderKind, url: &str) -> Providers {
    let plan = ProviderPlan {
        name: "peer".into(),
        base_url: url.parse().unwrap(),
        api_key: Some(Secret::new(super::KEY)),
        timeout: Duration::from_mins(10),
        ..ProviderPlan::new(kind)
    };
    Providers::new(BTreeMap::from([("peer".to_owned(), plan)]), concat!(env!("CARGO_TARGET_TMPDIR"), "/unused").into())
}

fn request() -> DecisionRequest {
    let choice = |value: &str| Choice { value: value.into(), description: format!("When it is {value}.") };
    let asked = |instructions: &str, ask| Asked { instructions: instructions.into(), ask };
    DecisionRequest {
        state: json!({"question": "密钥多久轮换一次？", "passages": {"01": "密钥每三十天轮换。"}}),
        questions: vec![
            asked("Passage 01 answers the question.", Ask::Predicate),
            asked("What is it about?", Ask::Choice(vec![choice("keys"), choice("价格"), choice("lunch")])),
            asked("How urgent is it?", Ask::Score(vec!["never".into(), "soon".into(), "now".into()])),
        ],
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn llama_cpp_decides() {
    let server = tokio::task::spawn_blocking(|| Peer::start("llama-decides", [])).await.unwrap();
    // Whatever it is declared to be, what it speaks is found out.
    for (kind, base) in [(ProviderKind::TypeSafe, ""), (ProviderKind::TypeSafe, "/v1"), (ProviderKind::OpenAi, "/v1")] {
        let providers = providers(kind, &format!("{}{base}", server.url));
        let model = ModelRef::new("peer", "smollm2-decides");
        let decisions = providers.decider(&model).unwrap().decide(&request()).await.unwrap();
        let [Decision::Predicate(yes), Decision::Choice(choice), Decision::Score(score)] = decisions.answers.as_slice() else {
            panic!("{decisions:?}")
        };
        assert!((0.0..=1.0).contains(yes) && (0.0..=2.0).contains(score), "{decisions:?}");
        assert!(choice.len() == 3 && (choice.iter().sum::<f64>() - 1.0).abs() < 0.01, "{decisions:?}");
        assert!(decisions.usage.input_tokens.is_some_and(|tokens| tokens > 50), "{decisions:?}");
        let reranker = providers.reranker(&model).unwrap();
        let passages = ["密钥每三十天轮换。".to_owned(), "At noon there is lunch.".to_owned()];
        let reranked = reranker.rerank("When is lunch?", &passages).await.unwrap();
        assert!(reranked.scores.iter().all(|score| (0.0..=1.0).contains(score)) && reranked.scores.len() == 2);
    }
}

/// The same cross-encoder in the words of each: what each server says of a passage is the same then.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn llama_cpp_reranks_in_everybody_s_words() {
    let server = tokio::task::spawn_blocking(|| Peer::start("llama-reranks", [])).await.unwrap();
    let passages = ["密钥每三十天轮换。", "Backups at noon", "hello", "hello"].map(str::to_owned);
    let mut all = Vec::new();
    for (kind, base) in [(ProviderKind::Jina, "/v1"), (ProviderKind::Jina, ""), (ProviderKind::Voyage, "/v1")] {
        let providers = providers(kind, &format!("{}{base}", server.url));
        let reranker = providers.reranker(&ModelRef::new("peer", "tiny-cross-encoder")).unwrap();
        match reranker.rerank("密钥多久轮换一次？", &passages).await {
            Ok(reranked) => {
                assert!(reranked.tokens.is_some_and(|tokens| tokens > 20), "{reranked:?}");
                all.push(reranked.scores);
            }
            // It answers as Jina does, and not as Voyage.
            Err(error) => assert!(kind == ProviderKind::Voyage, "{error}"),
        }
    }
    assert_eq!(all.len(), 2);
    let apart = |a: f32, b: f32| (a - b).abs() > 1e-4;
    assert!(!apart(all[0][2], all[0][3]) && apart(all[0][0], all[0][1]), "equal passages are equally good: {all:?}");
    assert!(all[0].iter().zip(&all[1]).all(|(a, b)| !apart(*a, *b)), "{all:?}");
    // TEI's words, which it knows as well.
    let told = tokio::task::spawn_blocking(move || {
        server.call("POST", "/rerank", &json!({"query": "密钥多久轮换一次？", "texts": passages, "truncate": true}))
    });
    let told = told.await.unwrap();
    let mut scores = vec![f64::NAN; 4];
    for rank in told.as_array().unwrap() {
        scores[rank["index"].as_u64().unwrap() as usize] = rank["score"].as_f64().unwrap();
    }
    assert!(scores.iter().zip(&all[0]).all(|(a, b)| (a - f64::from(*b)).abs() < 1e-4), "{scores:?} {all:?}");
}

/// From a file to the order of the passages, by a server that really reranks, and by one that really decides.
#[test]
fn passages_are_reranked_by_real_servers() {
    let (ranks, decides) = (Peer::start("llama-reranks", []), Peer::start("llama-decides", []));
    for (kind, url, model) in
        [("jina", format!("{}/v1", ranks.url), "tiny"), ("typesafe", decides.url.clone(), "smollm2-decides")]
    {
        let project = Project::new();
        let pipeline = format!(
            "version: 1\nname: docs\nsources: [{:?}]\nproviders: {{ peer: {{ kind: {kind}, base_url: \"{url}\", timeout: 10m }} }}\n\
             chunk: {{ max_tokens: 60, overlap: 0 }}\n\
             query: {{ retrieve: {{ limit: 3, rerank: {{ model: peer/{model}, candidates: 3, deadline: 10m }} }} }}\n",
            samples().to_str().unwrap()
        );
        project.write("p.yaml", pipeline);
        project.run(&["ingest", "-p", "p.yaml"]).expect_code(0);
        let found = project.run(&["search", "How are keys rotated?", "-p", "p.yaml", "--json"]).expect_code(0);
        assert!(found.of_type("note").is_empty(), "{}", found.stderr);
        let hits = found.of_type("hit");
        let ranks: Vec<&Value> = hits.iter().map(|hit| &hit["legs"]["rerank"]["rank"]).collect();
        assert_eq!(ranks, [1, 2, 3], "{hits:?}");
        let scores: Vec<f64> = hits.iter().map(|hit| hit["score"].as_f64().unwrap()).collect();
        assert!(scores.is_sorted_by(|a, b| a >= b), "{scores:?}");
    }
}

/// jevcompat plays `TypeSafe`, and breaks one promise of the contract at a time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_breaks_the_contract_decides_nothing() {
    let server = tokio::task::spawn_blocking(|| Peer::start("jevcompat", [("JEV_KEY", super::KEY.to_owned())])).await.unwrap();
    let choice = |value: &str| Choice { value: value.into(), description: format!("When it is {value}.") };
    let mut request = request();
    request.questions[1].ask = Ask::Choice(vec![choice("Café"), choice("价格"), choice("keys")]);
    let request = &request;
    let url = &server.url;
    let decide = |fault: &'static str| async move {
        let providers = providers(ProviderKind::TypeSafe, &format!("{url}/{fault}/v1"));
        providers.decider(&ModelRef::new("peer", "jev-latest")).unwrap().decide(request).await
    };
    // What does not concern us is let pass.
    for fault in
        ["none", "no-usage", "float-usage", "unprefixed-extra", "plain-content-type", "choice-no-confidence", "confidence-over"]
    {
        let decisions = decide(fault).await.unwrap_or_else(|error| panic!("{fault}: {error}"));
        assert_eq!(decisions.answers.len(), 3, "{fault}");
    }
    for (fault, kind) in [
        ("first-question-only", ErrorKind::BadAnswer),
        ("extra-answer", ErrorKind::BadAnswer),
        ("boolean-type", ErrorKind::BadAnswer),
        ("noul-range", ErrorKind::BadAnswer),
        ("choice-key-case", ErrorKind::BadAnswer),
        ("nfd-keys", ErrorKind::BadAnswer),
        ("choice-sum", ErrorKind::BadAnswer),
        ("nan", ErrorKind::BadAnswer),
        ("xssi-200", ErrorKind::BadAnswer),
        ("wrong-route", ErrorKind::NotFound),
        ("reject-jev-latest", ErrorKind::NotFound),
        ("auth-x-api-key", ErrorKind::Auth),
    ] {
        let error = decide(fault).await.unwrap_err();
        assert_eq!(error.kind, kind, "{fault}: {error}");
        assert!(!error.to_string().contains(super::KEY), "{error}");
    }
}

/// `OpenAI`'s own client, and its types, judge what we send and what the stand-ins of the other tests answer.
#[tokio::test]
async fn the_vendors_client_takes_our_requests_and_the_stand_ins_answers() {
    let api = StandIn::start().await;
    api.always("/v1/decisions", crate::deciders::openai());
    let providers = providers(ProviderKind::OpenAi, &format!("{}/v1", api.url()));
    let decider = providers.decider(&ModelRef::new("peer", "gpt-6-luna")).unwrap();
    decider.decide(&request()).await.unwrap();
    let sent = api.requests().remove(0).body;
    let body = sent.to_string();
    let url = api.url().to_owned();
    // What the client makes of our request arrives as we sent it.
    let judged = tokio::task::spawn_blocking(move || {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/peers/judge_decisions.py");
        Command::new(python_with_peers()).args([script, &url, &body]).env_clear().output().unwrap()
    });
    let judged = judged.await.unwrap();
    assert!(judged.status.success(), "{}", String::from_utf8_lossy(&judged.stderr));
    assert_eq!(api.requests().remove(1).body, sent);
    let told: Value = serde_json::from_slice(&judged.stdout).unwrap();
    assert_eq!(told["answers"].as_array().unwrap().len(), 3);
    // And a field more is one too many: the judge can say no.
    let mut wrong = sent.clone();
    wrong["questions"][0]["criteria"] = json!({});
    let (url, body) = (api.url().to_owned(), wrong.to_string());
    let judged = tokio::task::spawn_blocking(move || {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/peers/judge_decisions.py");
        Command::new(python_with_peers()).args([script, &url, &body]).env_clear().output().unwrap()
    });
    assert!(!judged.await.unwrap().status.success());
}
