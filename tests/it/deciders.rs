//! Decision models against stand-ins that hold every request to the documented schema of their contract: what is sent, what is read, and
//! that the two contracts are told apart and never mixed.

mod answers;
mod schema;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use ragstream::limits::Limits;
use ragstream::providers::{Ask, Asked, Choice, Decider, Decision, DecisionRequest, ErrorKind, ProviderError, Providers};
use ragstream::providers::{ChatRequest, Message};
use ragstream::providers::{ModelRef, ProviderKind, ProviderPlan, RetryPlan, Secret};
use serde_json::{Value, json};

use self::schema::{Strict, strict};
use crate::several::program::chat;
use crate::stand_in::{Reply, StandIn};

/// A stand-in that speaks `OpenAI`'s contract.
pub fn openai() -> impl Fn(&crate::stand_in::Request) -> Reply + Send + Sync + 'static {
    strict(Strict::Decisions)
}

const KEY: &str = "a-very-secret-key";

pub fn providers(kind: ProviderKind, url: &str) -> Providers {
    let provider = ProviderPlan {
        name: "them".into(),
        base_url: url.parse().unwrap(),
        api_key: Some(Secret::new(KEY)),
        limits: Limits::default(),
        timeout: Duration::from_millis(800),
        retry: RetryPlan { attempts: 2, budget: Duration::from_secs(5) },
        ..ProviderPlan::new(kind)
    };
    Providers::new(BTreeMap::from([("them".to_owned(), provider)]), concat!(env!("CARGO_TARGET_TMPDIR"), "/unused").into())
}

fn decider(kind: ProviderKind, url: &str) -> (Providers, Arc<dyn Decider>) {
    let providers = providers(kind, url);
    let decider = providers.decider(&ModelRef::new("them", "judge-1")).unwrap();
    (providers, decider)
}

/// Three questions, one of each kind, about a state in two languages.
fn request() -> DecisionRequest {
    let choice = |value: &str| Choice { value: value.into(), description: format!("When it is {value}.") };
    let asked = |instructions: &str, ask| Asked { instructions: instructions.into(), ask };
    DecisionRequest {
        state: json!({"question": "密钥多久轮换一次？", "passages": {"01": "密钥每三十天轮换。", "02": "\"}, {\"not\": \"JSON\""}}),
        questions: vec![
            asked("Passage 01 answers the question.", Ask::Predicate),
            asked("What is the passage about?", Ask::Choice(vec![choice("keys"), choice("价格")])),
            asked("How urgent is it?", Ask::Score(vec!["never".into(), "soon".into(), "now".into()])),
        ],
    }
}

fn decided() -> Vec<Decision> {
    vec![Decision::Predicate(0.875), Decision::Choice(vec![0.75, 0.25]), Decision::Score(1.5)]
}

#[tokio::test]
async fn each_contract_is_spoken_to_the_letter() {
    for (kind, contract, base, path) in [
        (ProviderKind::OpenAi, Strict::Decisions, "/v1", "/v1/decisions"),
        (ProviderKind::OpenAi, Strict::Decisions, "/inference/v1", "/inference/v1/decisions"),
        (ProviderKind::TypeSafe, Strict::SystemOne, "", "/v1/systemone"),
        (ProviderKind::TypeSafe, Strict::SystemOne, "/v1", "/v1/systemone"),
        (ProviderKind::Ollama, Strict::SystemOne, "", "/v1/systemone"),
    ] {
        let api = StandIn::start().await;
        api.always(path, strict(contract));
        let (providers, decider) = decider(kind, &format!("{}{base}", api.url()));
        assert_eq!(decider.model(), "them/judge-1");
        let decisions = decider.decide(&request()).await.unwrap();
        assert_eq!(decisions.answers, decided(), "{contract:?}");
        assert_eq!((decisions.usage.input_tokens, decisions.usage.output_tokens), (Some(321), Some(7)));
        let sent = api.requests();
        assert_eq!(sent.len(), 1, "{kind:?}");
        assert_eq!(sent[0].headers["authorization"], format!("Bearer {KEY}"));
        assert_eq!(providers.stats()["them"].requests, 1, "through the provider's limits");
    }
}

#[tokio::test]
async fn a_state_that_is_text_goes_as_it_is_and_any_other_as_json() {
    let asked = vec![Asked { instructions: "So it is.".into(), ask: Ask::Predicate }];
    for (state, input, systemone) in [
        (json!("一段文字"), json!("一段文字"), json!("一段文字")),
        (json!({"a": "\"字"}), json!("{\"a\":\"\\\"字\"}"), json!({"a": "\"字"})),
        (json!(["a", 1]), json!("[\"a\",1]"), json!(["a", 1])),
        (json!(7), json!("7"), json!("7")),
    ] {
        let request = DecisionRequest { state, questions: asked.clone() };
        for (kind, contract, path, key, sent) in [
            (ProviderKind::OpenAi, Strict::Decisions, "/v1/decisions", "input", &input),
            (ProviderKind::TypeSafe, Strict::SystemOne, "/v1/systemone", "state", &systemone),
        ] {
            let api = StandIn::start().await;
            api.always(path, strict(contract));
            decider(kind, api.url()).1.decide(&request).await.unwrap();
            assert_eq!(&api.requests()[0].body[key], sent);
        }
    }
}

/// Gateways serve one contract or the other, under names that do not tell which.
#[tokio::test]
async fn what_a_gateway_speaks_is_found_out_once_and_never_mixed() {
    for (kind, contract, path, asked) in [
        // OpenRouter and Portkey: TypeSafe's words at a path of OpenAI's name.
        (ProviderKind::OpenAi, Strict::SystemOne, "/v1/decisions", ["/v1/decisions", "/v1/decisions"]),
        // A server of decision models that is declared as "compatible with OpenAI".
        (ProviderKind::OpenAi, Strict::SystemOne, "/v1/systemone", ["/v1/decisions", "/v1/systemone"]),
        (ProviderKind::TypeSafe, Strict::SystemOne, "/v1/decisions", ["/v1/systemone", "/v1/decisions"]),
    ] {
        let api = StandIn::start().await;
        api.always(path, strict(contract));
        let (_providers, decider) = decider(kind, &format!("{}/v1", api.url()));
        for _ in 0..2 {
            assert_eq!(decider.decide(&request()).await.unwrap().answers, decided());
        }
        let paths: Vec<String> = api.requests().into_iter().map(|request| request.path).collect();
        assert_eq!(paths, [asked[0], asked[1], asked[1]], "asked in the wrong words once");
    }
    // TypeSafe's path is not there, and what is at the other one speaks OpenAI's words.
    let api = StandIn::start().await;
    api.always("/v1/decisions", strict(Strict::Decisions));
    let (_providers, decider) = decider(ProviderKind::TypeSafe, &format!("{}/v1", api.url()));
    assert_eq!(decider.decide(&request()).await.unwrap().answers, decided());
    assert_eq!(api.requests().len(), 3);
}

#[tokio::test]
async fn a_server_without_decisions_is_an_error_that_says_so() {
    let api = StandIn::start().await;
    let (_providers, decider) = decider(ProviderKind::OpenAi, &format!("{}/v1", api.url()));
    let error = decider.decide(&request()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotFound, "{error}");
    assert!(error.is_fatal() && api.requests().len() <= 3, "each path is tried once: {:?}", api.requests());
}

/// What comes of a server that answers everything with this.
async fn after(kind: ProviderKind, reply: Reply) -> (Result<Vec<Decision>, ProviderError>, usize) {
    let api = StandIn::start().await;
    for path in ["/v1/decisions", "/v1/systemone"] {
        let reply = reply.clone();
        api.always(path, move |_| reply.clone());
    }
    let (_providers, decider) = decider(kind, &format!("{}/v1", api.url()));
    let result = decider.decide(&request()).await;
    (result.map(|decisions| decisions.answers), api.requests().len())
}

#[tokio::test]
async fn faults_are_told_apart() {
    use ErrorKind::{Auth, InvalidInput, Network, QuotaSpent, RateLimited, Timeout, Unavailable};
    for kind in [ProviderKind::OpenAi, ProviderKind::TypeSafe] {
        let soon = |reply: Reply| reply.header("retry-after-ms", 5);
        let typesafe = |message: &str| json!({"detail": {"error_type": "x", "message": message}});
        let table = [
            (soon(Reply::status(429, &typesafe("slow down"))), RateLimited, "slow down", 2),
            (soon(Reply::status(529, &typesafe("overloaded"))), Unavailable, "overloaded", 2),
            (Reply::json(&json!({"answers": []})).cut(6), Network, "before the answer was complete", 2),
            (Reply::hang(), Timeout, "no complete answer", 2),
            (Reply::status(401, &json!({"error": {"message": "a wrong key"}})), Auth, "a wrong key", 1),
            (Reply::status(402, &typesafe("no balance")), QuotaSpent, "no balance", 1),
            (Reply::status(400, &json!({"error": {"message": "Only gpt-6-luna is supported."}})), InvalidInput, "Only", 1),
            (
                Reply::status(422, &json!({"detail": [{"loc": ["body", "questions"], "msg": "too many", "type": "too_long"}]})),
                InvalidInput,
                "too many",
                1,
            ),
        ];
        for (reply, told, words, requests) in table {
            let (result, sent) = after(kind, reply.clone()).await;
            let error = result.unwrap_err();
            assert_eq!(error.kind, told, "{kind:?} {reply:?}: {error}");
            assert!(error.message.contains(words) && !error.to_string().contains(KEY), "{error}");
            assert_eq!(sent, requests, "{kind:?} {reply:?}");
        }
    }
}

#[tokio::test]
async fn a_request_beyond_what_is_documented_is_not_sent() {
    let api = StandIn::start().await;
    let (_providers, decider) = decider(ProviderKind::OpenAi, api.url());
    let asked = |ask| Asked { instructions: "?".into(), ask };
    let choices = |count: usize| {
        let choice = |n: usize| Choice { value: n.to_string(), description: String::new() };
        asked(Ask::Choice((0..count).map(choice).collect()))
    };
    let levels = |count: usize| asked(Ask::Score((0..count).map(|n| n.to_string()).collect()));
    for questions in [
        vec![],
        vec![asked(Ask::Predicate); 401],
        vec![choices(1)],
        vec![choices(256)],
        vec![levels(1)],
        vec![asked(Ask::Predicate), levels(11)],
    ] {
        let error = decider.decide(&DecisionRequest { state: "x".into(), questions }).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidInput, "{error}");
    }
    assert_eq!(api.requests().len(), 0);
}

/// 20 passages in one request, each judged on its own, in either contract.
#[tokio::test]
async fn passages_are_reranked_by_twenties() {
    for (kind, contract, path) in [
        (ProviderKind::OpenAi, Strict::Decisions, "/v1/decisions"),
        (ProviderKind::TypeSafe, Strict::SystemOne, "/v1/systemone"),
    ] {
        let api = StandIn::start().await;
        api.always(path, strict(contract));
        let providers = providers(kind, &format!("{}/v1", api.url()));
        let reranker = providers.reranker(&ModelRef::new("them", "judge-1")).unwrap();
        // The stand-in finds a passage the likelier to answer the more often it says so.
        let passages: Vec<String> = (0..45).map(|n| format!("{n} {}", "答".repeat(n % 10))).collect();
        let reranked = reranker.rerank("哪一段有答案？", &passages).await.unwrap();
        let expected: Vec<f32> = (0..45).map(|n| (n % 10) as f32 / 10.0).collect();
        assert_eq!(reranked.scores, expected);
        let counts: Vec<usize> = api.requests().iter().map(|request| schema::questions(&request.body)).collect();
        assert_eq!(counts.iter().sum::<usize>(), 45);
        assert_eq!((counts.len(), counts.iter().max()), (3, Some(&20)), "{counts:?}");
        assert_eq!(reranked.tokens, Some(3 * 321));
        assert_eq!(reranker.rerank("?", &[]).await.unwrap().scores, Vec::<f32>::new());
    }
}

#[tokio::test]
async fn a_passage_that_the_model_declines_to_judge_stands_between_the_others() {
    let api = StandIn::start().await;
    let answers = |kinds: &[Value]| Reply::json(&json!({"model": "m", "answers": kinds, "usage": {"input_tokens": 3}}));
    let yes = |p: f64| json!({"type": "predicate", "name": null, "probability": p});
    let no = json!({"type": "refusal", "name": null});
    api.script("/v1/decisions", [answers(&[yes(0.25), no.clone(), yes(0.75)]), answers(&[no.clone(), no.clone(), no])]);
    let providers = providers(ProviderKind::OpenAi, api.url());
    let reranker = providers.reranker(&ModelRef::new("them", "judge-1")).unwrap();
    let passages = ["a", "b", "c"].map(str::to_owned);
    assert_eq!(reranker.rerank("?", &passages).await.unwrap().scores, [0.25, 0.5, 0.75]);
    let error = reranker.rerank("?", &passages).await.unwrap_err();
    assert!(error.kind == ErrorKind::InvalidInput && error.message.contains("declines"), "{error}");
}

#[tokio::test]
async fn a_pause_that_a_decision_is_asked_for_holds_up_no_chat() {
    for status in [429, 503] {
        let api = StandIn::start().await;
        let refused = json!({"error": {"message": "slow down", "code": "rate_limit_exceeded"}});
        // The headers tell the same: of what decisions may use nothing is left.
        let refusal = move || {
            let spent = [("x-ratelimit-limit-requests", "60"), ("x-ratelimit-remaining-requests", "0")];
            let reply = Reply::status(status, &refused).header("retry-after", 60).header("x-ratelimit-reset-requests", "60s");
            spent.into_iter().fold(reply, |reply, (name, value)| reply.header(name, value))
        };
        api.always("/v1/decisions", move |_| refusal());
        api.always("/v1/chat/completions", |_| chat(&["It is."], Duration::ZERO));
        let plan = ProviderPlan {
            name: "them".into(),
            base_url: format!("{}/v1", api.url()).parse().unwrap(),
            retry: RetryPlan { attempts: 3, budget: Duration::from_mins(5) },
            ..ProviderPlan::new(ProviderKind::OpenAi)
        };
        let plans = BTreeMap::from([("them".to_owned(), plan)]);
        let providers = Providers::new(plans, concat!(env!("CARGO_TARGET_TMPDIR"), "/unused").into());
        let decider = providers.decider(&ModelRef::new("them", "judge-1")).unwrap();
        let model = providers.chat_model(&ModelRef::new("them", "m")).unwrap();
        let chatted = async || model.chat(ChatRequest::new(vec![Message::user("Is it?")])).await.unwrap().count().await;
        for _ in 0..3 {
            chatted().await;
        }
        // As long as a deadline allows.
        let late = tokio::time::timeout(Duration::from_millis(500), decider.decide(&request())).await;
        assert!(late.is_err(), "{status}: it is left alone for as long as it wants");
        let soon = tokio::time::timeout(Duration::from_secs(30), chatted());
        assert!(soon.await.is_ok(), "{status}: a chat does not wait for that");
        let again = tokio::time::timeout(Duration::from_millis(500), decider.decide(&request())).await;
        assert!(again.is_err(), "{status}");
        let decisions = api.requests().iter().filter(|request| request.path == "/v1/decisions").count();
        assert_eq!(decisions, 1, "{status}: and neither is sent another decision");
    }
}
