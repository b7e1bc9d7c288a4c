//! Rerankers against a stand-in API: what is sent to each vendor, what is read from its answers, and what goes wrong.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ragstream::limits::Limits;
use ragstream::pipeline::default_plan;
use ragstream::providers::{ErrorKind, ProviderError, Providers, Reranked, Reranker};
use ragstream::providers::{ModelRef, ProviderKind, ProviderPlan, RetryPlan, Secret};
use serde_json::{Value, json};

use crate::stand_in::{Reply, Request, StandIn};

const KEY: &str = "a-very-secret-key";

fn reranker(kind: ProviderKind, url: &str, model: &str) -> (Providers, Arc<dyn Reranker>) {
    let provider = ProviderPlan {
        name: "them".into(),
        kind,
        base_url: url.parse().unwrap(),
        api_key: Some(Secret::new(KEY)),
        key_variable: None,
        identity: None,
        prices: std::collections::BTreeMap::new(),
        misled: None,
        limits: Limits::default(),
        timeout: Duration::from_millis(400),
        retry: RetryPlan { attempts: 2, budget: Duration::from_secs(5) },
    };
    let mut plan = default_plan(&|_| None);
    plan.providers = BTreeMap::from([("them".to_owned(), provider)]);
    let providers = Providers::new(plan.providers.clone(), concat!(env!("CARGO_TARGET_TMPDIR"), "/unused").into());
    let reranker = providers.reranker(&ModelRef { provider: "them".into(), model: model.into() }).unwrap();
    (providers, reranker)
}

fn passages(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

/// One exchange with a vendor of this kind: what was sent, what was read.
async fn exchange(kind: ProviderKind, base: &str, path: &str, model: &str, reply: Value) -> (Request, Reranked) {
    let api = StandIn::start().await;
    api.script(path, [Reply::json(&reply)]);
    let (_providers, reranker) = reranker(kind, &format!("{}{base}", api.url()), model);
    assert_eq!(reranker.model(), format!("them/{model}"));
    let reranked = reranker.rerank("which key?", &passages(&["a", "b"])).await.unwrap();
    (api.requests().remove(0), reranked)
}

#[tokio::test]
async fn cohere() {
    let reply = json!({"id": "x", "results": [{"index": 1, "relevance_score": 0.75}, {"index": 0, "relevance_score": 0.5}],
                       "meta": {"api_version": {"version": "2"}, "billed_units": {"search_units": 1.0}}});
    for (base, path) in [("", "/v2/rerank"), ("/v2", "/v2/rerank")] {
        let (request, reranked) = exchange(ProviderKind::Cohere, base, path, "rerank-v3.5", reply.clone()).await;
        assert_eq!((reranked.scores, reranked.tokens, reranked.units), (vec![0.5, 0.75], None, Some(1)));
        assert_eq!(request.body, json!({"model": "rerank-v3.5", "query": "which key?", "documents": ["a", "b"]}));
        assert_eq!(request.headers["authorization"], format!("Bearer {KEY}"));
    }
}

#[tokio::test]
async fn voyage() {
    let reply = json!({"object": "list", "data": [{"index": 0, "relevance_score": 0.25}, {"index": 1, "relevance_score": 0.5}],
                       "model": "rerank-2.5", "usage": {"total_tokens": 26}});
    let (request, reranked) = exchange(ProviderKind::Voyage, "/v1", "/v1/rerank", "rerank-2.5", reply).await;
    assert_eq!((reranked.scores, reranked.tokens, reranked.units), (vec![0.25, 0.5], Some(26), None));
    assert_eq!(
        request.body,
        json!({"model": "rerank-2.5", "query": "which key?", "documents": ["a", "b"], "truncation": true})
    );
}

#[tokio::test]
async fn jina_and_those_who_do_as_it_does() {
    let vendor = json!({"model": "jina-reranker-v3", "object": "list", "usage": {"total_tokens": 9, "prompt_tokens": 9},
                        "results": [{"index": 1, "relevance_score": -0.5}, {"index": 0, "relevance_score": 2, "document": {"text": "a"}}]});
    let bare = json!({"results": [{"index": 0, "relevance_score": 2}, {"index": 1, "relevance_score": -0.5}]});
    for (reply, tokens) in [(vendor, Some(9)), (bare, None)] {
        let (request, reranked) = exchange(ProviderKind::Jina, "/v1", "/v1/rerank", "jina-reranker-v3", reply).await;
        assert_eq!((reranked.scores, reranked.tokens, reranked.units), (vec![2.0, -0.5], tokens, None));
        assert_eq!(
            request.body,
            json!({"model": "jina-reranker-v3", "query": "which key?", "documents": ["a", "b"], "top_n": 2,
                   "return_documents": false})
        );
    }
}

/// TEI refuses what it does not know in these words (axum's), and takes 32 texts unless told otherwise.
#[tokio::test]
async fn tei_is_recognised_by_what_it_misses() {
    let api = StandIn::start().await;
    api.always("/rerank", |request| {
        let Some(texts) = request.body["texts"].as_array() else {
            let said = "Failed to deserialize the JSON body into the target type: missing field `texts` at line 1 column 99";
            return Reply::raw(422, "text/plain; charset=utf-8", said);
        };
        assert!(request.body["query"].is_string() && texts.iter().all(Value::is_string), "{}", request.body);
        if texts.len() > 32 {
            let said = json!({"error": "batch size 33 > maximum allowed batch size 32", "error_type": "Validation"});
            return Reply::status(422, &said);
        }
        // Best first, as it does.
        let mut ranks: Vec<Value> =
            (0..texts.len()).map(|n| json!({"index": n, "score": texts[n].as_str().unwrap().len()})).collect();
        ranks.sort_by_key(|rank| std::cmp::Reverse(rank["score"].as_u64()));
        Reply::json(&json!(ranks))
    });
    let (_providers, reranker) = reranker(ProviderKind::Jina, api.url(), "cross-encoder");
    let texts: Vec<String> = (0..40).map(|n| "字".repeat(1 + n * 7 % 40)).collect();
    for _ in 0..2 {
        let scores = reranker.rerank("哪个？", &texts).await.unwrap().scores;
        assert_eq!(scores, texts.iter().map(|text| text.len() as f32).collect::<Vec<_>>());
    }
    let missed = api.requests().iter().filter(|request| request.body["texts"].is_null()).count();
    assert_eq!((missed, api.requests().len()), (1, 5), "it is asked in Jina's words once");
}

#[tokio::test]
async fn what_is_too_much_for_one_request_goes_in_several() {
    let api = StandIn::start().await;
    // The score of a passage is its number.
    api.always("/v1/rerank", |request| {
        let documents = request.body["documents"].as_array().unwrap();
        let scored = documents.iter().enumerate().map(|(index, text)| {
            let number: f32 = text.as_str().unwrap().split(' ').next().unwrap().parse().unwrap();
            json!({"index": index, "relevance_score": number})
        });
        Reply::json(&json!({"results": scored.collect::<Vec<_>>(), "usage": {"total_tokens": 10}}))
    });
    let (providers, reranker) = reranker(ProviderKind::Jina, &format!("{}/v1", api.url()), "m");
    let long: Vec<String> = (0..40).map(|n| format!("{n} {}", "word ".repeat(8000))).collect();
    let reranked = reranker.rerank("q", &long).await.unwrap();
    assert_eq!(reranked.scores, (0..40).map(|n| n as f32).collect::<Vec<_>>());
    let requests = api.requests();
    assert!(requests.len() > 1, "{} requests", requests.len());
    assert_eq!(reranked.tokens, Some(10 * requests.len() as u64));
    assert_eq!(providers.stats()["them"].requests, requests.len() as u64);
    for request in requests {
        let documents = request.body["documents"].as_array().unwrap();
        let bytes: usize = documents.iter().map(|text| text.as_str().unwrap().len()).sum();
        assert!(bytes <= 400_000, "about 100,000 tokens, not {bytes} bytes");
        assert!(
            documents.iter().all(|text| text.as_str().unwrap().len() <= 8192 * 4),
            "no passage is longer than what is read"
        );
    }
}

/// What comes of an API that answers everything with this.
async fn after(reply: Reply) -> (Result<Reranked, ProviderError>, usize) {
    let api = StandIn::start().await;
    api.always("/v1/rerank", move |_| reply.clone());
    let (_providers, reranker) = reranker(ProviderKind::Voyage, &format!("{}/v1", api.url()), "rerank-2.5");
    let result = reranker.rerank("q", &passages(&["a", "b"])).await;
    (result, api.requests().len())
}

#[tokio::test]
async fn faults_are_told_apart() {
    use ErrorKind::{Auth, BadAnswer, InvalidInput, Network, NotFound, QuotaSpent, RateLimited, Timeout, Unavailable};
    let one = json!({"index": 0, "relevance_score": 0.5});
    let soon = |reply: Reply| reply.header("retry-after-ms", 5);
    let table = [
        (soon(Reply::status(429, &json!({"detail": "slow down"}))), RateLimited, "slow down", true),
        (soon(Reply::status(503, &json!({}))), Unavailable, "503", true),
        (Reply::json(&json!({"data": [one, one]})).cut(10), Network, "before the answer was complete", true),
        (Reply::hang(), Timeout, "no complete answer", true),
        (Reply::status(401, &json!({"detail": "Provided API key is invalid."})), Auth, "invalid", false),
        (Reply::status(402, &json!({"detail": "no balance"})), QuotaSpent, "no balance", false),
        (Reply::status(404, &json!({"detail": "no such model"})), NotFound, "no such model", false),
        (Reply::status(422, &json!({"detail": "too many tokens"})), InvalidInput, "too many tokens", false),
        (Reply::raw(200, "text/html", "<html>a captive portal</html>"), NotFound, "a web page (text/html)", false),
        (Reply::json(&json!({"results": []})), BadAnswer, "cannot read", false),
        (Reply::json(&json!({"data": [one]})), BadAnswer, "1 scores came for 2 passages", false),
        (Reply::json(&json!({"data": [one, one]})), BadAnswer, "two scores came for passage 0", false),
        (
            Reply::json(&json!({"data": [one, {"index": 2, "relevance_score": 0.5}]})),
            BadAnswer,
            "a score came for passage 2 of 2",
            false,
        ),
        (Reply::json(&json!({"data": [one, {"index": -1, "relevance_score": 0.5}]})), BadAnswer, "cannot read", false),
        (Reply::json(&json!({"data": [one, {"index": 1, "relevance_score": null}]})), BadAnswer, "cannot read", false),
        (Reply::json(&json!({"data": [one, {"index": 1, "relevance_score": 1e300}]})), BadAnswer, "", false),
    ];
    for (reply, kind, words, passing) in table {
        let (result, requests) = after(reply.clone()).await;
        let error = result.unwrap_err();
        assert_eq!((error.kind, error.is_transient()), (kind, passing), "{reply:?}: {error}");
        assert!(error.message.contains(words) && !error.to_string().contains(KEY), "{error}");
        assert!(requests >= if passing { 2 } else { 1 }, "{reply:?}: {requests}");
    }
}

/// It is paid for, whatever the scores are.
#[tokio::test]
async fn an_answer_of_no_use_tells_what_it_took() {
    let one = json!({"index": 0, "relevance_score": 0.5});
    for data in [json!([one]), json!([one, one]), json!([one, {"index": 1}]), json!("none")] {
        let (result, _) = after(Reply::json(&json!({"data": data, "usage": {"total_tokens": 26}}))).await;
        assert_eq!(result.unwrap_err().usage.unwrap().input_tokens, Some(26), "{data}");
    }
    assert_eq!(after(Reply::status(401, &json!({"detail": "no"}))).await.0.unwrap_err().usage, None);
}

#[tokio::test]
async fn only_those_who_rerank_are_asked_to() {
    let plan = default_plan(&|_| None);
    let providers = Providers::new(plan.providers.clone(), concat!(env!("CARGO_TARGET_TMPDIR"), "/unused").into());
    let refused = |provider: &str| {
        let model = ModelRef { provider: provider.into(), model: "m".into() };
        providers.reranker(&model).unwrap_err()
    };
    let error = refused("mistral");
    assert!(
        error.is_fatal() && error.hint.as_deref().unwrap().contains("cohere, voyage, jina, typesafe or local"),
        "{error:?}"
    );
    let error = refused("jina");
    assert_eq!(error.kind, ErrorKind::Auth);
    assert!(error.hint.as_deref().unwrap().contains("JINA_API_KEY"), "{error:?}");
}
