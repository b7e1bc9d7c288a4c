//! `/v1` over the wire: field by field, and by `OpenAI`'s own client.

use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use reqwest::Response;
use serde_json::{Value, json};

use crate::installed::python_with_peers;
use crate::project::Project;
use crate::service::{Service, client, get, post};
use crate::stand_in::{Reply, Request, StandIn};

/// What the model says unless it is asked for something else.
const SAID: &str = "Every 90 days [1], in Chinese: 密钥 [1][2].";
const TOKEN: &str = "a-token-of-16-letters";

fn chunk(delta: &Value, end: &Value) -> String {
    format!("data: {}\n\n", json!({"choices": [{"index": 0, "delta": delta, "finish_reason": end}]}))
}

/// The provider's model: it stalls, breaks off or refuses where the question says so.
fn model(request: &Request) -> Reply {
    let asked = request.body["messages"].as_array().unwrap().last().unwrap()["content"].as_str().unwrap();
    let content = |text: &str| chunk(&json!({"content": text}), &Value::Null);
    let begun = content("Every 90 days ");
    let length = begun.len();
    if asked.contains("refuse") {
        return Reply::status(401, &json!({"error": {"message": "no such key"}}));
    }
    if asked.contains("hang") {
        return Reply::hang();
    }
    if asked.contains("stall") {
        return Reply::stream([begun], Duration::ZERO).stall(length);
    }
    if asked.contains("break off") {
        return Reply::stream([begun], Duration::ZERO).cut(length);
    }
    let thought = format!("Hm. {}", request.body["model"].as_str().unwrap());
    let usage =
        format!("data: {}\n\ndata: [DONE]\n\n", json!({"choices": [], "usage": {"prompt_tokens": 11, "completion_tokens": 7}}));
    let pieces = [
        chunk(&json!({"reasoning_content": thought}), &Value::Null),
        begun,
        content("[1]"),
        content(", in Chinese: 密"),
        content("钥 [1]"),
        content("[2]."),
        chunk(&json!({}), &json!("stop")),
        usage,
    ];
    Reply::stream(pieces, Duration::ZERO)
}

async fn provider() -> StandIn {
    let api = StandIn::start().await;
    api.always("/chat/completions", model);
    api
}

/// A project with two pipelines that are ingested: `docs` has a model, `bare` has none.
async fn ingested(api: &StandIn) -> Project {
    let project = Project::new();
    project.write("docs/keys.md", "# Keys\n\nKeys are rotated every 90 days by the operators.\n");
    project.write("docs/backups.md", "# Backups\n\nBackups are made every night and kept for a year.\n");
    project.write("docs/密钥.md", "# 密钥\n\n密钥每 90 天轮换一次。\n");
    for (name, answer) in [("docs", "answer: { model: api/m, max_tokens: 300 }"), ("bare", "retrieve: { limit: 2 }")] {
        let pipeline = format!(
            "version: 1\nname: {name}\nproviders:\n  api: {{ kind: openai, base_url: \"{}\", api_key: k }}\n\
             sources: [{{ files: {{ paths: [docs] }} }}]\nquery: {{ {answer} }}\n",
            api.url()
        );
        project.write(&format!("{name}.yaml"), pipeline);
    }
    tokio::task::spawn_blocking(move || {
        for name in ["docs.yaml", "bare.yaml"] {
            project.run(&["ingest", "-p", name, "-q"]).expect_code(0);
        }
        project
    })
    .await
    .unwrap()
}

fn start(project: &Project, arguments: &[&str]) -> Service {
    tokio::task::block_in_place(|| Service::start(project, arguments))
}

fn user(text: &str) -> Value {
    json!([{"role": "user", "content": text}])
}

/// Posts, and gives the response as soon as it has a head.
async fn posted(url: &str, body: &Value) -> Response {
    client().post(url).json(body).send().await.unwrap()
}

/// The data of a stream's events; nothing but data and comments may be in it, and `[DONE]` is the last of it.
fn data(text: &str) -> Vec<Value> {
    let lines: Vec<&str> = text.lines().filter(|line| !line.is_empty() && !line.starts_with(':')).collect();
    let mut data: Vec<&str> =
        lines.iter().map(|line| line.strip_prefix("data: ").unwrap_or_else(|| panic!("{line}"))).collect();
    assert_eq!(data.pop(), Some("[DONE]"), "{text}");
    data.into_iter().map(|data| serde_json::from_str(data).unwrap()).collect()
}

fn header<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    response.headers().get(name).map(|value| value.to_str().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_streamed_chat_field_by_field() {
    let api = provider().await;
    let project = ingested(&api).await;
    let service = start(&project, &["-p", "docs.yaml", "-p", "bare.yaml"]);
    let url = service.at("/v1/chat/completions");
    let asked = json!({
        "model": "docs", "stream": true, "stream_options": {"include_usage": true}, "max_tokens": 77, "temperature": 0.7, "top_p": 0.9,
        "messages": [{"role": "system", "content": "Speak like a pirate."}, {"role": "user", "content": "How often are keys rotated?"}],
    });
    let response = posted(&url, &asked).await;
    assert_eq!((response.status().as_u16(), header(&response, "content-type")), (200, Some("text/event-stream")));
    let chunks = data(&response.text().await.unwrap());
    let (usage, chunks) = chunks.split_last().unwrap();
    assert_eq!(usage["choices"], json!([]));
    assert_eq!(usage["usage"], json!({"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}));
    let (last, said) = chunks.split_last().unwrap();
    assert_eq!(last["choices"], json!([{"index": 0, "delta": {}, "finish_reason": "stop"}]));
    let mut text = String::new();
    for chunk in chunks.iter().chain([usage]) {
        assert_eq!((&chunk["object"], &chunk["model"]), (&json!("chat.completion.chunk"), &json!("docs")));
        assert!(chunk["id"].as_str().unwrap().starts_with("chatcmpl-") && chunk["id"] == chunks[0]["id"]);
        assert!(chunk["created"].as_u64().unwrap() > 1_700_000_000);
    }
    for (n, chunk) in said.iter().enumerate() {
        let choice = chunk["choices"].as_array().unwrap();
        assert_eq!((choice.len(), &choice[0]["index"], &choice[0]["finish_reason"]), (1, &json!(0), &Value::Null));
        let delta = &choice[0]["delta"];
        assert_eq!(delta.get("role"), (n == 0).then_some(&json!("assistant")));
        assert!(delta.get("reasoning_content").is_none(), "nobody asked for thoughts");
        let content = delta["content"].as_str().unwrap();
        text.push_str(content);
        let notes = delta.get("annotations").map_or(0, |notes| notes.as_array().unwrap().len());
        assert_eq!(notes, content.matches('[').count(), "an annotation comes with the chunk of its [n]: {chunk}");
        assert_eq!((chunk.get("citations").is_some(), chunk.get("search_results").is_some()), (n == 0, n == 0));
    }
    assert_eq!(text, SAID);
    let results = said[0]["search_results"].as_array().unwrap();
    let urls: Vec<&Value> = results.iter().map(|result| &result["url"]).collect();
    assert_eq!(urls, said[0]["citations"].as_array().unwrap().iter().collect::<Vec<_>>());
    let notes: Vec<&Value> =
        said.iter().filter_map(|chunk| chunk["choices"][0]["delta"].get("annotations")?.as_array()).flatten().collect();
    for (index, (note, (n, start, end))) in notes.iter().zip([(1, 14, 17), (1, 34, 37), (2, 37, 40)]).enumerate() {
        let result = &results[n - 1];
        let citation = json!({"start_index": start, "end_index": end, "url": result["url"], "title": result["title"]});
        assert_eq!(**note, json!({"type": "url_citation", "url_citation": citation, "index": index}));
    }
    let events: Vec<&Value> = said.iter().filter_map(|chunk| chunk.get("event")).collect();
    for (event, result) in events.iter().zip(results) {
        let (url, title, snippet) = (&result["url"], &result["title"], &result["snippet"]);
        let shown =
            json!({"source": {"name": title, "url": url}, "document": [snippet], "metadata": [{"source": url, "name": title}]});
        assert_eq!(**event, json!({"type": "source", "data": shown}));
    }
    assert_eq!((events.len(), notes.len()), (2, 3), "each source once, each citation once");

    // A source's address is that of the viewer, whose document is the one that was cited.
    let url = results[0]["url"].as_str().unwrap();
    let (page, lines) = url.split_once("#L").unwrap();
    assert!(page.starts_with(&service.at("/documents/")) && page.ends_with("?pipeline=docs"), "{url}");
    let (status, document) = get(&page.replace("/documents/", "/api/documents/")).await;
    assert_eq!((status, lines.split('-').count()), (200, 2));
    assert!(document["parts"][0]["text"].as_str().unwrap().contains(results[0]["snippet"].as_str().unwrap()));

    let sent = api.requests().pop().unwrap().body;
    let system = sent["messages"][0]["content"].as_str().unwrap();
    assert!(system.starts_with("You answer questions") && system.contains("\nSpeak like a pirate.\n</wishes-"), "{system}");
    assert_eq!(sent["temperature"], 0.7);
    assert!([&sent["max_tokens"], &sent["max_completion_tokens"]].contains(&&json!(77)), "{sent}");

    // Without a wish for it there is no usage, and no chunk without a choice.
    let response = posted(
        &service.at("/v1/chat/completions"),
        &json!({"stream": true, "messages": user("keys?"), "include_reasoning": true}),
    )
    .await;
    let chunks = data(&response.text().await.unwrap());
    assert!(chunks.iter().all(|chunk| chunk["choices"].as_array().unwrap().len() == 1 && chunk.get("usage").is_none()));
    assert_eq!(chunks[0]["choices"][0]["delta"], json!({"role": "assistant", "reasoning_content": "Hm. m"}));
    assert!(chunks[0]["citations"].is_array() && chunks[1]["citations"].is_array() && chunks[2].get("citations").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn conversations_tasks_and_pipelines_without_a_model() {
    let api = provider().await;
    let project = ingested(&api).await;
    let service = start(&project, &["-p", "docs.yaml", "-p", "bare.yaml"]);
    let url = service.at("/v1/chat/completions");

    let (_, models) = get(&service.at("/v1/models")).await;
    let ids: Vec<&str> = models["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap()).collect();
    assert_eq!(
        (&models["object"], ids),
        (&json!("list"), vec!["docs", "bare", "docs+sources", "bare+sources", "docs+bare", "docs+bare+sources"])
    );
    let (status, model) = get(&service.at("/v1/models/bare%2Bsources")).await;
    assert_eq!((status, &model["id"], &model["object"]), (200, &json!("bare+sources"), &json!("model")));

    // An answer with its list comes back as history without it, and the follow-up is made to stand alone first.
    let (status, first) = post(&url, &json!({"model": "docs+sources", "messages": user("密钥多久轮换一次？")})).await;
    let said = first["choices"][0]["message"]["content"].as_str().unwrap();
    assert!(status == 200 && said.starts_with(&format!("{SAID}\n\n来源：\n\n- [1] ")), "{first}");
    let messages = json!([
        {"role": "user", "content": "How often are keys rotated?"},
        {"role": "assistant", "content": said},
        {"role": "user", "content": [{"type": "text", "text": "and by whom?"}]},
    ]);
    let (status, second) = post(&url, &json!({"model": "docs", "messages": messages})).await;
    assert_eq!((status, &second["choices"][0]["message"]["content"]), (200, &json!(SAID)));
    let sent = api.requests();
    let of = |n: usize| sent[n].body["messages"].as_array().unwrap().clone();
    assert_eq!(sent.len(), 3);
    assert!(of(1)[0]["content"].as_str().unwrap().starts_with("You rewrite the last question"));
    let last = of(2);
    assert_eq!(
        (last.len(), &last[1]["content"], &last[2]["role"]),
        (4, &json!("How often are keys rotated?"), &json!("assistant"))
    );
    assert!(
        !last[2]["content"].as_str().unwrap().contains("来源")
            && last[3]["content"].as_str().unwrap().ends_with("Question: and by whom?")
    );

    // A program's own task goes to the model as it is.
    let task = "### Task:\nWrite a title for the chat.";
    let messages = json!([{"role": "system", "content": "You are terse."}, {"role": "user", "content": task}]);
    let (status, title) = post(&url, &json!({"model": "docs", "messages": messages, "max_tokens": 9})).await;
    assert_eq!((status, &title["choices"][0]["message"]["content"]), (200, &json!(SAID)));
    assert!(title.get("citations").is_none() && title["choices"][0]["message"]["annotations"] == json!([]));
    let sent = api.requests().pop().unwrap().body["messages"].clone();
    assert_eq!(sent, json!([{"role": "system", "content": "You are terse."}, {"role": "user", "content": task}]));

    // Without a model the passages are the answer.
    let asked = api.requests().len();
    let (status, passages) = post(&url, &json!({"model": "bare", "messages": user("How often are keys rotated?")})).await;
    let message = &passages["choices"][0]["message"];
    assert!(status == 200 && message["content"].as_str().unwrap().contains("Keys are rotated every 90 days"), "{passages}");
    assert_eq!((&passages["usage"]["total_tokens"], message["annotations"].as_array().unwrap().len()), (&json!(0), 2));
    let (status, title) = post(&url, &json!({"model": "bare", "messages": user(task)})).await;
    assert_eq!((status, &title["choices"][0]["message"]["content"]), (200, &json!("")));
    assert_eq!(api.requests().len(), asked);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_response_is_streamed_and_whole_the_same() {
    let api = provider().await;
    let project = ingested(&api).await;
    let service = start(&project, &["-p", "docs.yaml"]);
    let url = service.at("/v1/responses");
    let asked = |stream: bool| json!({"model": "docs", "input": "How often are keys rotated?", "instructions": "Be brief.", "stream": stream});
    let text = posted(&url, &asked(true)).await.text().await.unwrap();
    let blocks: Vec<&str> = text.split("\n\n").filter(|block| !block.is_empty() && !block.starts_with(':')).collect();
    let (done, blocks) = blocks.split_last().unwrap();
    assert_eq!(*done, "data: [DONE]");
    let events: Vec<Value> = blocks
        .iter()
        .map(|block| {
            let (name, data) = block.split_once('\n').unwrap();
            let data: Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
            assert_eq!(name.strip_prefix("event: "), data["type"].as_str());
            data
        })
        .collect();
    assert!(events.iter().enumerate().all(|(n, event)| event["sequence_number"] == n));
    let of = |kind: &str| events.iter().filter(|event| event["type"] == format!("response.{kind}")).collect::<Vec<_>>();
    let said: String = of("output_text.delta").iter().map(|event| event["delta"].as_str().unwrap()).collect();
    assert_eq!((said.as_str(), of("output_text.annotation.added").len()), (SAID, 3));
    let streamed = &of("completed")[0]["response"];
    let (status, whole) = post(&url, &asked(false)).await;
    assert_eq!(status, 200);
    for (key, value) in whole.as_object().unwrap() {
        if !["id", "created_at", "completed_at", "output"].contains(&key.as_str()) {
            assert_eq!(&streamed[key], value, "{key}");
        }
    }
    assert_eq!((&whole["status"], &whole["instructions"]), (&json!("completed"), &json!("Be brief.")));
    assert_eq!(whole["output"][0]["content"], streamed["output"][0]["content"]);
    assert_eq!(whole["output"][0]["content"][0]["text"], SAID);
    let usage = json!({"input_tokens": 11, "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0}, "output_tokens": 7,
        "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 18});
    assert_eq!(whole["usage"], usage);
}

#[tokio::test(flavor = "multi_thread")]
async fn vectors_are_the_pipelines_own() {
    let api = provider().await;
    let project = ingested(&api).await;
    let service = start(&project, &["-p", "docs.yaml"]);
    let url = service.at("/v1/embeddings");
    let texts = json!(["keys", "密钥", "keys"]);
    let (status, floats) = post(&url, &json!({"model": "docs", "input": texts})).await;
    let (_, coded) = post(&url, &json!({"model": "docs", "input": texts, "encoding_format": "base64"})).await;
    assert_eq!((status, &floats["object"], floats["data"].as_array().unwrap().len()), (200, &json!("list"), 3));
    for n in 0..3 {
        let vector: Vec<f32> = serde_json::from_value(floats["data"][n]["embedding"].clone()).unwrap();
        let bytes = STANDARD.decode(coded["data"][n]["embedding"].as_str().unwrap()).unwrap();
        let read: Vec<f32> = bytes.chunks(4).map(|four| f32::from_le_bytes(four.try_into().unwrap())).collect();
        assert_eq!((read, &floats["data"][n]["index"]), (vector, &json!(n)));
    }
    assert_eq!(floats["data"][0]["embedding"], floats["data"][2]["embedding"]);
    let width = floats["data"][0]["embedding"].as_array().unwrap().len();
    for (more, status) in [
        (json!({"dimensions": width}), 200),
        (json!({"dimensions": width + 1}), 400),
        (json!({"input": []}), 400),
        (json!({"input": ["x", " "]}), 400),
        (json!({"input": [1, 2]}), 400),
        (json!({"input": 7}), 400),
        (json!({"model": "text-embedding-3-small"}), 404),
        (json!({"encoding_format": "hex"}), 400),
    ] {
        let mut body = json!({"model": "docs", "input": "keys"});
        more.as_object().unwrap().iter().for_each(|(key, value)| body[key] = value.clone());
        let (got, answer) = post(&url, &body).await;
        assert_eq!(got, status, "{more}: {answer}");
        assert_eq!(answer["error"]["type"].as_str(), (status != 200).then_some("invalid_request_error"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_says_so_as_the_clients_expect() {
    let api = provider().await;
    let project = ingested(&api).await;
    let service = start(&project, &["-p", "docs.yaml", "--token", TOKEN]);
    let ask = async |path: &str, token: &str, body: &str| {
        let request = client().post(service.at(path)).bearer_auth(token).header("content-type", "application/json");
        let response = request.body(body.to_owned()).send().await.unwrap();
        let (status, again) = (response.status().as_u16(), header(&response, "x-should-retry").map(str::to_owned));
        assert_eq!(header(&response, "content-type"), Some("application/json"));
        let body: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
        (status, again.unwrap(), body["error"].clone())
    };
    let refused = json!({"messages": user("refuse keys")}).to_string();
    let streamed = json!({"messages": user("refuse keys"), "stream": true}).to_string();
    let image =
        json!({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:"}}]}]}).to_string();
    let (chat, responses) = ("/v1/chat/completions", "/v1/responses");
    for (path, token, body, status, kind, code) in [
        (chat, "wrong", "{}", 401, "authentication_error", "unauthorized"),
        (chat, TOKEN, "{", 400, "invalid_request_error", "bad_request"),
        (
            chat,
            TOKEN,
            r#"{"model": "gpt-5", "messages": [{"role": "user", "content": "x"}]}"#,
            404,
            "invalid_request_error",
            "model_not_found",
        ),
        (chat, TOKEN, image.as_str(), 400, "invalid_request_error", "bad_request"),
        (chat, TOKEN, refused.as_str(), 502, "server_error", "auth"),
        (chat, TOKEN, streamed.as_str(), 502, "server_error", "auth"),
        (responses, TOKEN, r#"{"input": "refuse keys", "stream": true}"#, 502, "server_error", "auth"),
        (responses, TOKEN, r#"{"input": "x", "previous_response_id": "r"}"#, 400, "invalid_request_error", "bad_request"),
        ("/v1/completions", TOKEN, "{}", 404, "invalid_request_error", "not_found"),
        ("/v1/models", TOKEN, "{}", 405, "invalid_request_error", "method_not_allowed"),
    ] {
        let (got, again, error) = ask(path, token, body).await;
        assert_eq!((got, &error["type"], &error["code"]), (status, &json!(kind), &json!(code)), "{path} {body}: {error}");
        assert_eq!((again.as_str(), &error["param"]), ("false", &Value::Null));
        assert!(!error["message"].as_str().unwrap().is_empty());
    }
    // Elsewhere they are as they were.
    let response = client().post(service.at("/api/ask")).body("{").bearer_auth(TOKEN).send().await.unwrap();
    assert_eq!(header(&response, "x-should-retry"), None);
    assert_eq!(serde_json::from_str::<Value>(&response.text().await.unwrap()).unwrap()["type"], "error");

    // After the first word it is an event.
    let body = json!({"messages": user("break off keys"), "stream": true});
    let response = client().post(service.at(chat)).bearer_auth(TOKEN).json(&body).send().await.unwrap();
    let chunks = data(&response.text().await.unwrap());
    assert_eq!((chunks.len(), &chunks[0]["choices"][0]["delta"]["content"]), (2, &json!("Every 90 days ")));
    let error = &chunks[1]["error"];
    assert_eq!((&error["type"], &error["code"]), (&json!("server_error"), &json!("network")));
    assert!(error["message"].is_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_finds_it_busy_may_come_again() {
    let api = provider().await;
    let project = ingested(&api).await;
    let service = start(&project, &["-p", "docs.yaml"]);
    let (http, url, body) =
        (client(), service.at("/v1/chat/completions"), json!({"messages": user("hang keys"), "stream": true}));
    let ask = || http.post(&url).json(&body).send();
    let answered: Vec<_> = (0..64).map(|_| tokio::spawn(ask())).collect();
    let since = Instant::now();
    while get(&service.at("/api/status")).await.1["free"]["answers"] != 0 {
        assert!(since.elapsed() < Duration::from_secs(60), "they are not all begun");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // As many wait as may, and one is turned away at once.
    let mut asked: FuturesUnordered<_> = (0..65).map(|_| ask()).collect();
    let turned_away = asked.next().await.unwrap().unwrap();
    assert_eq!((turned_away.status().as_u16(), header(&turned_away, "x-should-retry")), (503, Some("true")));
    assert_eq!(header(&turned_away, "retry-after"), Some("2"));
    assert_eq!(serde_json::from_str::<Value>(&turned_away.text().await.unwrap()).unwrap()["error"]["code"], "busy");
    drop(asked);
    answered.iter().for_each(tokio::task::JoinHandle::abort);
    let since = Instant::now();
    while api.in_flight() > 0 {
        assert!(since.elapsed() < Duration::from_secs(20), "{} still run upstream", api.in_flight());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_official_client_finds_all_that_it_knows() {
    let api = Arc::new(provider().await);
    let waiting = StandIn::start().await;
    waiting.always("/", {
        let api = Arc::clone(&api);
        move |_| Reply::raw(200, "text/plain", api.in_flight().to_string())
    });
    let project = ingested(&api).await;
    let service = start(&project, &["-p", "docs.yaml", "--token", TOKEN]);
    let ran = tokio::task::block_in_place(|| {
        let mut client = Command::new(python_with_peers());
        client.args([concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/serve_v1/client.py"), &service.at("/v1"), waiting.url()]);
        client.env_clear().output().unwrap()
    });
    let stderr = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{stderr}");
}
