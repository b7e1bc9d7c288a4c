//! The HTTP layer itself: streams, addresses, and what a connection needs.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail loudly")]

use std::collections::BTreeMap;
use std::future::ready;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use ragstream::limits::Limits;
use ragstream::providers::http::{Cost, Http};
use ragstream::providers::{ErrorKind, ProviderError};
use ragstream::providers::{ProviderKind, ProviderPlan, RetryPlan, Secret};
use serde_json::json;

use crate::stand_in::{Reply, StandIn};

const COST: Cost = Cost { tokens: 10 };

fn plan(url: &str) -> ProviderPlan {
    ProviderPlan {
        name: "them".into(),
        kind: ProviderKind::OpenAi,
        base_url: url.parse().unwrap(),
        api_key: Some(Secret::new("sk-very-secret-0123456789")),
        key_variable: None,
        limits: Limits { concurrency: Some(1), ..Limits::default() },
        timeout: Duration::from_millis(300),
        retry: RetryPlan { attempts: 2, budget: Duration::from_secs(10) },
        identity: None,
        prices: BTreeMap::new(),
        misled: None,
    }
}

fn http(url: &str) -> Http {
    Http::connect(&plan(url)).unwrap()
}

async fn stream(http: &Http) -> Result<Vec<Result<Bytes, ProviderError>>, ProviderError> {
    Ok(http
        .post_stream("/chat", &[("x-extra", "1")], &json!({"stream": true}), COST, |answer| ready(Ok(answer)))
        .await?
        .body
        .collect()
        .await)
}

fn text(pieces: &[Result<Bytes, ProviderError>]) -> String {
    let bytes: Vec<u8> = pieces.iter().filter_map(|piece| piece.as_ref().ok()).flatten().copied().collect();
    String::from_utf8(bytes).unwrap()
}

#[tokio::test]
async fn a_stream_is_retried_before_it_begins_and_may_take_longer_than_the_timeout() {
    let api = StandIn::start().await;
    let refused = Reply::status(503, &json!({})).header("retry-after-ms", 1);
    api.script("/chat", [refused, Reply::stream(["a", "b", "c", "d", "e"], Duration::from_millis(80))]);
    let pieces = stream(&http(api.url())).await.unwrap();
    assert_eq!(text(&pieces), "abcde");
    assert!(pieces.iter().all(Result::is_ok));
    assert_eq!(api.requests().len(), 2);
    assert_eq!(api.requests()[1].headers["x-extra"], "1");
}

#[tokio::test]
async fn a_stream_that_stalls_or_breaks_ends_with_an_error() {
    let api = StandIn::start().await;
    api.script("/chat", [Reply::stream(["whole"], Duration::ZERO).stall(3), Reply::stream(["whole"], Duration::ZERO).cut(3)]);
    let http = http(api.url());
    for kind in [ErrorKind::Timeout, ErrorKind::Network] {
        let pieces = stream(&http).await.unwrap();
        assert_eq!(text(&pieces), "who");
        assert_eq!(pieces.last().unwrap().as_ref().unwrap_err().kind, kind);
        assert_eq!(pieces.iter().filter(|piece| piece.is_err()).count(), 1, "and after it nothing");
    }
    assert_eq!(api.requests().len(), 2, "never sent again once it began");
}

#[tokio::test]
async fn dropping_a_stream_hangs_up_and_frees_its_place() {
    let api = StandIn::start().await;
    api.script("/chat", [Reply::stream(["first", "never"], Duration::ZERO).stall(5)]);
    api.always("/chat", |_| Reply::stream(["second"], Duration::ZERO));
    let http = http(api.url());
    let mut first = http.post_stream("/chat", &[], &json!({}), COST, |answer| ready(Ok(answer))).await.unwrap();
    assert_eq!(first.body.next().await.unwrap().unwrap(), "first");
    let waiting = tokio::time::timeout(Duration::from_millis(50), stream(&http)).await;
    assert!(waiting.is_err(), "one in flight is all that is allowed");
    drop(first.body);
    assert_eq!(text(&stream(&http).await.unwrap()), "second");
    while api.in_flight() > 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn paths_and_queries_are_joined() {
    let api = StandIn::start().await;
    api.always("/deep/v1/models", |_| Reply::json(&json!({})));
    let http = http(&format!("{}/deep/v1/?api-version=7", api.url()));
    http.get("models?alt=sse", Duration::from_secs(5)).await.unwrap();
    assert_eq!(api.requests()[0].path, "/deep/v1/models?api-version=7&alt=sse");
    assert_eq!(http.base_path(), "/deep/v1");
}

/// It is a paused clock that passes the timeouts: what it jumps over are connections that never answer anyway.
#[tokio::test(start_paused = true)]
async fn a_hang_lasts_no_longer_than_its_attempts_and_their_budget() {
    // Connections come about and nobody ever takes them up.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    for (attempts, budget, most) in [(1, 300, 60), (3, 300, 182), (6, 300, 361), (6, 100, 121)] {
        let retry = RetryPlan { attempts, budget: Duration::from_secs(budget) };
        let http = Http::connect(&ProviderPlan { timeout: Duration::from_mins(1), retry, ..plan(&url) }).unwrap();
        let began = tokio::time::Instant::now();
        let error = http.post("/embeddings", &[], &json!({}), COST).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Timeout, "{error}");
        assert!(error.attempts <= attempts && error.attempts >= attempts.min(2), "{error}");
        let took = began.elapsed();
        assert!(took <= Duration::from_secs(most), "{attempts} attempts within {budget} s took {took:?}");
    }
}

#[tokio::test]
async fn is_it_running() {
    let api = StandIn::start().await;
    api.script("/api/version", [Reply::hang()]);
    let http = http(api.url());
    let error = http.get("/api/version", Duration::from_millis(20)).await.unwrap_err();
    assert_eq!((error.kind, error.attempts), (ErrorKind::Timeout, 1));
    let error = http.get("/elsewhere", Duration::from_secs(5)).await.unwrap_err();
    assert_eq!((error.kind, error.status), (ErrorKind::NotFound, Some(404)));
}

#[test]
fn keys_that_cannot_travel_and_keys_that_are_missing() {
    let with =
        |key: Option<&str>, url: &str| Http::connect(&ProviderPlan { api_key: key.map(Secret::new), ..plan(url) }).map(|_| ());
    assert!(with(Some("sk-123456\n"), "http://localhost:1").is_ok(), "a line end after a key is no part of it");
    let error = with(Some("sk-12\n3456"), "http://localhost:1").unwrap_err();
    assert_eq!(error.kind, ErrorKind::Auth);
    assert!(!format!("{error:?}").contains("3456"));
    assert!(with(None, "http://localhost:1").is_ok(), "a server of one's own may want none");
    assert_eq!(with(None, "https://api.openai.com/v1").unwrap_err().kind, ErrorKind::Auth);
}
