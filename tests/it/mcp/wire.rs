//! Messages by hand, over HTTP.

use std::time::{Duration, Instant};

use reqwest::RequestBuilder;
use serde_json::{Value, json};

use super::{chat, project, start};
use crate::service::{Service, answer, client};
use crate::stand_in::StandIn;

const LEGACY: &str = "2025-11-25";
const MODERN: &str = "2026-07-28";

/// A message as 2025-11-25 has it.
pub fn legacy(service: &Service, message: &Value) -> RequestBuilder {
    let request = client().post(service.at("/mcp")).header("accept", "application/json, text/event-stream");
    request.header("mcp-protocol-version", LEGACY).json(message)
}

/// A request as 2026-07-28 has it.
fn modern(service: &Service, method: &str, mut params: Value) -> RequestBuilder {
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": {"name": "by hand", "version": "1"},
    });
    let mut request = client().post(service.at("/mcp")).header("accept", "application/json, text/event-stream");
    request = request.header("mcp-protocol-version", MODERN).header("mcp-method", method);
    if let Some(name) = params["name"].as_str() {
        request = request.header("mcp-name", name);
    }
    request.json(&json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}))
}

fn call(name: &str, arguments: &Value) -> Value {
    json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": name, "arguments": arguments}})
}

/// A tool's objects, asked for by hand.
pub async fn called(service: &Service, name: &str, arguments: &Value) -> Value {
    let (status, message) = answer(legacy(service, &call(name, arguments))).await;
    assert_eq!(status, 200, "{message}");
    message["result"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_makes_no_sense_is_refused_as_the_protocol_says() {
    let api = StandIn::start().await;
    let project = project(&api);
    let service = start(&project, &[]);

    let hello = json!({"protocolVersion": LEGACY, "capabilities": {}, "clientInfo": {"name": "by hand", "version": "1"}});
    let hello = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello});
    let (status, welcome) = answer(legacy(&service, &hello)).await;
    assert_eq!((status, &welcome["result"]["protocolVersion"]), (200, &json!(LEGACY)), "{welcome}");
    let response = legacy(&service, &hello).send().await.unwrap();
    assert!(!response.headers().contains_key("mcp-session-id"), "nothing is kept");
    let (status, pong) = answer(legacy(&service, &json!({"jsonrpc": "2.0", "id": 2, "method": "ping"}))).await;
    assert_eq!((status, &pong["result"]), (200, &json!({})));
    let noted = legacy(&service, &json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).send().await.unwrap();
    assert_eq!(noted.status(), 202);

    let (status, found) = answer(modern(&service, "server/discover", json!({}))).await;
    assert_eq!((status, &found["result"]["resultType"]), (200, &json!("complete")), "{found}");
    assert!(found["result"]["supportedVersions"].as_array().unwrap().contains(&json!(MODERN)), "{found}");
    let (status, tools) = answer(modern(&service, "tools/list", json!({}))).await;
    assert!(status == 200 && tools["result"]["ttlMs"].is_number() && tools["result"]["cacheScope"].is_string(), "{tools}");

    // An unknown method, in both eras.
    let (status, refused) = answer(legacy(&service, &json!({"jsonrpc": "2.0", "id": 3, "method": "no/such"}))).await;
    assert_eq!((status, &refused["error"]["code"]), (200, &json!(-32601)), "{refused}");
    for method in ["no/such", "ping", "resources/list"] {
        let (status, refused) = answer(modern(&service, method, json!({}))).await;
        assert_eq!((status, &refused["error"]["code"]), (404, &json!(-32601)), "{method}: {refused}");
    }
    // A version that nobody knows.
    let strange = json!({"_meta": {"io.modelcontextprotocol/protocolVersion": "2031-01-01", "io.modelcontextprotocol/clientCapabilities": {}}});
    let strange = json!({"jsonrpc": "2.0", "id": 4, "method": "tools/list", "params": strange});
    let post = || client().post(service.at("/mcp")).header("accept", "application/json, text/event-stream");
    let asked = post().header("mcp-protocol-version", "2031-01-01").header("mcp-method", "tools/list").json(&strange);
    let (status, refused) = answer(asked).await;
    assert_eq!((status, &refused["error"]["code"]), (400, &json!(-32022)), "{refused}");
    assert!(refused["error"]["data"]["supported"].as_array().unwrap().contains(&json!(MODERN)), "{refused}");
    // Headers that say something else than the body.
    let lied = modern(&service, "tools/call", json!({"name": "status", "arguments": {}})).header("mcp-name", "search");
    let (status, refused) = answer(lied).await;
    assert_eq!((status, &refused["error"]["code"]), (400, &json!(-32020)), "{refused}");
    // No tool, no JSON, a batch, another kind of body, a client that takes no events, another method of HTTP.
    let (_, refused) = answer(legacy(&service, &call("rm", &json!({})))).await;
    assert_eq!(refused["error"]["code"], -32602, "{refused}");
    let raw = |kind: &str, body: &str| post().header("content-type", kind).body(body.to_owned()).send();
    let batch =
        json!([{"jsonrpc": "2.0", "id": 5, "method": "ping"}, {"jsonrpc": "2.0", "id": 6, "method": "ping"}]).to_string();
    let nameless = json!({"jsonrpc": "2.0", "id": "七", "metod": "ping"}).to_string();
    for (body, code, id) in
        [("{", -32700, Value::Null), ("", -32700, Value::Null), (&batch, -32600, Value::Null), (&nameless, -32600, json!("七"))]
    {
        let response = raw("application/json; charset=utf-8", body).await.unwrap();
        let (status, refused): (_, Value) = (response.status(), response.json().await.unwrap());
        assert_eq!((status.as_u16(), &refused["jsonrpc"]), (400, &json!("2.0")), "{body}: {refused}");
        assert_eq!((&refused["error"]["code"], refused.get("id")), (&json!(code), Some(&id)), "{body}: {refused}");
    }
    assert_eq!(raw("text/plain", "hello").await.unwrap().status(), 415);
    let picky = client().post(service.at("/mcp")).header("accept", "text/html").json(&hello).send().await.unwrap();
    assert_eq!(picky.status(), 406);
    assert_eq!(client().get(service.at("/mcp")).send().await.unwrap().status(), 405);
    assert_eq!(raw("application/json", &" ".repeat(5 << 20)).await.unwrap().status(), 413);
    // Arguments that are wrong in every way are the tool's to refuse, and none of them ends the service.
    for arguments in [
        json!({}),
        json!({"query": 7}),
        json!({"query": ""}),
        json!({"query": "q", "limit": -1}),
        json!({"query": "q", "page": 99}),
    ] {
        let result = called(&service, "search", &arguments).await;
        assert_eq!(
            (&result["isError"], &result["structuredContent"]["type"]),
            (&json!(true), &json!("error")),
            "{arguments}: {result}"
        );
    }
    assert_eq!(called(&service, "status", &json!({})).await["isError"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_guard_stands_before_it() {
    let api = StandIn::start().await;
    let project = project(&api);
    let service = start(&project, &["--allow-origin", "https://app.example"]);
    let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"});
    let status = async |request: RequestBuilder| request.send().await.unwrap().status().as_u16();
    assert_eq!(status(legacy(&service, &ping).header("origin", "http://evil.example")).await, 403);
    assert_eq!(status(legacy(&service, &ping).header("origin", "null")).await, 403);
    assert_eq!(status(legacy(&service, &ping).header("host", "evil.example")).await, 421);
    assert_eq!(status(legacy(&service, &ping).header("origin", service.url())).await, 200);
    assert_eq!(status(legacy(&service, &ping).header("origin", "https://app.example")).await, 200);
    service.stop();

    let token = "0123456789abcdef0123";
    let service = start(&project, &["--token", token]);
    assert_eq!(status(legacy(&service, &ping)).await, 401);
    assert_eq!(status(legacy(&service, &ping).bearer_auth("0123456789abcdef0124")).await, 401);
    assert_eq!(status(legacy(&service, &ping).bearer_auth(token)).await, 200);
    let proxied =
        legacy(&service, &ping).bearer_auth(token).header("host", "docs.example").header("origin", "https://docs.example");
    assert_eq!(status(proxied).await, 200, "behind a proxy it has another name");
    assert_eq!(status(legacy(&service, &ping).bearer_auth(token).header("origin", "https://evil.example")).await, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_dropped_cancels_the_tool_and_what_it_has_asked_for() {
    let api = StandIn::start().await;
    api.always("/chat/completions", |_| chat(2000, Duration::from_millis(20)));
    let project = project(&api);
    let service = start(&project, &[]);
    let arguments = json!({"question": "How do I rotate keys?"});
    for request in [
        legacy(&service, &call("ask", &arguments)),
        modern(&service, "tools/call", json!({"name": "ask", "arguments": arguments})),
    ] {
        let asking = tokio::spawn(request.send());
        until(async || api.in_flight() == 1).await;
        asking.abort();
        let left = Instant::now();
        until(async || api.in_flight() == 0).await;
        assert!(left.elapsed() < Duration::from_secs(5), "{:?}", left.elapsed());
    }
}

async fn until(mut holds: impl AsyncFnMut() -> bool) {
    let since = Instant::now();
    while !holds().await {
        assert!(since.elapsed() < Duration::from_secs(30));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
