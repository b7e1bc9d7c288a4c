//! What the chat models send, how they yield to servers that refuse a parameter, and that dropping a stream is seen upstream.

use std::collections::VecDeque;
use std::sync::Mutex;

use axum::Router;
use axum::body::Body as AxumBody;
use axum::extract::{Request, State};
use axum::response::Response;
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

use ragstream::providers::{ModelRef, Providers};

use super::*;

mod refused;

/// A server that records requests and gives the answers it was told to, in order.
struct Server {
    url: String,
    state: Arc<Script>,
    task: AbortHandle,
}

#[derive(Default)]
struct Script {
    answers: Mutex<VecDeque<Response>>,
    requests: Mutex<Vec<Recorded>>,
}

struct Recorded {
    target: String,
    headers: axum::http::HeaderMap,
    body: Value,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    async fn start(answers: impl IntoIterator<Item = Response>) -> Self {
        let state = Arc::new(Script { answers: Mutex::new(answers.into_iter().collect()), ..Script::default() });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let app = Router::new().fallback(answer).with_state(state.clone());
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() }).abort_handle();
        Self { url, state, task }
    }

    fn requests(&self) -> std::sync::MutexGuard<'_, Vec<Recorded>> {
        self.state.requests.lock().unwrap()
    }
}

async fn answer(State(script): State<Arc<Script>>, request: Request) -> Response {
    let target = request.uri().to_string();
    let headers = request.headers().clone();
    let body = axum::body::to_bytes(request.into_body(), 1 << 20).await.unwrap();
    script.requests.lock().unwrap().push(Recorded { target, headers, body: serde_json::from_slice(&body).unwrap() });
    script.answers.lock().unwrap().pop_front().unwrap()
}

fn streamed(body: &'static str) -> Response {
    Response::builder().header("content-type", "text/event-stream").body(AxumBody::from(body)).unwrap()
}

fn refused(status: u16, body: &Value) -> Response {
    let answer = Response::builder().status(status).header("content-type", "application/json");
    answer.body(AxumBody::from(body.to_string())).unwrap()
}

fn model(kind: ProviderKind, base_url: &str, name: &str) -> Arc<dyn ChatModel> {
    model_of(plan(kind, base_url), name).0
}

/// The model, and the providers that it is one of.
fn model_of(plan: ProviderPlan, name: &str) -> (Arc<dyn ChatModel>, Providers) {
    let providers =
        Providers::new(BTreeMap::from([("p".to_owned(), plan)]), concat!(env!("CARGO_TARGET_TMPDIR"), "/chat").into());
    (providers.chat_model(&ModelRef::new("p", name)).unwrap(), providers)
}

fn question() -> ChatRequest {
    let message = |role, text: &str| Message { role, text: text.to_owned() };
    ChatRequest {
        system: "Be brief.".to_owned(),
        messages: vec![message(Role::User, "Hi"), message(Role::Assistant, "Hello"), message(Role::User, "Warum?")],
        max_tokens: 100,
        temperature: Some(0.0),
        shared: None,
    }
}

async fn ask(model: &Arc<dyn ChatModel>, request: ChatRequest) -> Vec<ChatEvent> {
    ok(model.chat(request).await.unwrap().collect().await)
}

const OPENAI: &str = include_str!("../streams/openai.sse");
const ANTHROPIC: &str = include_str!("../streams/anthropic.sse");
const MISTRAL: &str = include_str!("../streams/mistral.sse");

#[tokio::test]
async fn openai_is_sent_what_it_documents() {
    let server = Server::start([streamed(OPENAI)]).await;
    let model = model(ProviderKind::OpenAi, &format!("{}/v1", server.url), "org/m");
    assert_eq!(model.model(), "p/org/m");
    assert_eq!(ask(&model, question()).await, [text("Grüße, "), text("東京 🦀 [1]\n"), done(StopReason::End, 19, 9)]);

    let requests = server.requests();
    assert_eq!(requests[0].target, "/v1/chat/completions");
    assert_eq!(requests[0].headers["authorization"], format!("Bearer {KEY}"));
    assert_eq!(
        requests[0].body,
        json!({
            "model": "org/m",
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "Hi"},
                {"role": "assistant", "content": "Hello"},
                {"role": "user", "content": "Warum?"},
            ],
            "stream": true,
            "stream_options": {"include_usage": true},
            "max_tokens": 100,
            "temperature": 0.0,
        })
    );
}

#[tokio::test]
async fn mistral_is_sent_nothing_that_it_would_refuse() {
    let server = Server::start([streamed(MISTRAL)]).await;
    let model = model(ProviderKind::Mistral, &format!("{}/v1", server.url), "magistral-medium-2509");
    let events = ask(&model, question()).await;
    assert_eq!(events.last(), Some(&done(StopReason::Length, 15, 25)));

    let requests = server.requests();
    assert_eq!(requests[0].target, "/v1/chat/completions");
    assert_eq!(requests[0].headers["authorization"], format!("Bearer {KEY}"));
    assert_eq!(
        requests[0].body,
        json!({
            "model": "magistral-medium-2509",
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "Hi"},
                {"role": "assistant", "content": "Hello"},
                {"role": "user", "content": "Warum?"},
            ],
            "stream": true,
            "max_tokens": 100,
            "temperature": 0.0,
        })
    );
}

/// A server of Mistral's behind a provider of the kind `openai`.
#[tokio::test]
async fn parameters_that_a_validator_refuses_are_given_up_as_well() {
    let refusal = json!({"object": "error", "message": {"detail": [
        {"type": "extra_forbidden", "loc": ["body", "stream_options", "include_usage"], "msg": "Extra inputs are not permitted", "input": true}
    ]}, "type": "invalid_request_error", "param": null, "code": null});
    let server = Server::start([refused(422, &refusal), streamed(MISTRAL)]).await;
    let model = model(ProviderKind::OpenAi, &server.url, "mistral-small-2603");
    ask(&model, question()).await;
    assert_eq!(server.requests()[1].body.get("stream_options"), None);
}

#[tokio::test]
async fn anthropic_is_sent_what_it_documents() {
    for (base, target) in [("", "/v1/messages"), ("/v1", "/v1/messages"), ("/proxy/v1", "/proxy/v1/messages")] {
        let server = Server::start([streamed(ANTHROPIC)]).await;
        let model = model(ProviderKind::Anthropic, &format!("{}{base}", server.url), "claude");
        let events = ask(&model, question()).await;
        assert_eq!(events.last(), Some(&done_cached(StopReason::End, 32, 15, 7, 0)));

        let requests = server.requests();
        assert_eq!(requests[0].target, target);
        assert_eq!(requests[0].headers["x-api-key"], KEY);
        assert_eq!(requests[0].headers["anthropic-version"], "2023-06-01");
        assert_eq!(
            requests[0].body,
            json!({
                "model": "claude",
                "system": "Be brief.",
                "messages": [
                    {"role": "user", "content": "Hi"},
                    {"role": "assistant", "content": "Hello"},
                    {"role": "user", "content": "Warum?"},
                ],
                "max_tokens": 100,
                "temperature": 0.0,
                "stream": true,
            })
        );
    }
}

#[tokio::test]
async fn anthropic_is_told_what_to_keep_where_it_is_long_enough_to_be_kept() {
    let kept = json!([
        {"type": "text", "text": "Größe: ", "cache_control": {"type": "ephemeral"}},
        {"type": "text", "text": "10 µm"},
    ]);
    let whole = json!("Größe: 10 µm");
    let of = |bytes, tokens| Some(Shared { bytes, tokens });
    let long = of("Größe: ".len(), 1024);
    // Of each model from how many tokens on, as the vendor has it; a date is no other model.
    for (name, shared, content) in [
        ("claude-sonnet-4-5-20250929", long, &kept),
        ("claude-sonnet-4-5", of(9, 1023), &whole),
        ("claude-haiku-4-5-20251001", of(9, 4095), &whole),
        ("claude-haiku-4-5", of(9, 4096), &kept),
        ("claude-opus-4-7", of(9, 2047), &whole),
        ("claude-opus-5", of(9, 512), &kept),
        ("claude-sonnet-4-5", None, &whole),
        // Blocks are of whole characters, and not empty.
        ("claude-sonnet-4-5", of(3, 9000), &whole),
        ("claude-sonnet-4-5", of(0, 9000), &whole),
        ("claude-sonnet-4-5", of("Größe: 10 µm".len(), 9000), &whole),
        ("claude-sonnet-4-5", of(900, 9000), &whole),
    ] {
        let server = Server::start([streamed(ANTHROPIC)]).await;
        let model = model(ProviderKind::Anthropic, &server.url, name);
        let request =
            ChatRequest { system: "Be brief.".into(), shared, ..ChatRequest::new(vec![Message::user("Größe: 10 µm")]) };
        ask(&model, request).await;
        let messages = json!([{"role": "user", "content": content}]);
        let body = json!({"model": name, "system": "Be brief.", "messages": messages, "max_tokens": 1024, "stream": true});
        assert_eq!(server.requests()[0].body, body, "{shared:?}");
        assert!(model.keeps(Shared { bytes: 1, tokens: 5000 }));
    }
    // Others keep beginnings by themselves, and nobody is to wait for that.
    for kind in [ProviderKind::OpenAi, ProviderKind::Gemini, ProviderKind::Ollama, ProviderKind::Mistral] {
        assert!(!model(kind, "http://127.0.0.1:1", "m").keeps(Shared { bytes: 9, tokens: 100_000 }), "{kind:?}");
    }
}

#[tokio::test]
async fn what_comes_from_a_cache_does_not_count_against_the_quota() {
    let server = Server::start([streamed(include_str!("../streams/anthropic_kept.sse"))]).await;
    let (model, providers) = model_of(plan(ProviderKind::Anthropic, &server.url), "claude-sonnet-4-5");
    ask(&model, question()).await;
    assert_eq!(providers.allowed()["p"].used.1, 2121 - 100 + 4);
    assert_eq!(providers.stats()["p"].tokens, 2121 + 4, "it is billed");
}

#[tokio::test]
async fn gemini_is_sent_what_it_documents() {
    let server = Server::start([streamed(include_str!("../streams/gemini.sse"))]).await;
    let model = model(ProviderKind::Gemini, &format!("{}/v1beta", server.url), "gemini-2.5-flash");
    let events = ask(&model, question()).await;
    assert_eq!(events.last(), Some(&done(StopReason::Length, 11, 25)));

    let requests = server.requests();
    assert_eq!(requests[0].target, "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse");
    assert_eq!(requests[0].headers["x-goog-api-key"], KEY);
    assert_eq!(
        requests[0].body,
        json!({
            "systemInstruction": {"parts": [{"text": "Be brief."}]},
            "contents": [
                {"role": "user", "parts": [{"text": "Hi"}]},
                {"role": "model", "parts": [{"text": "Hello"}]},
                {"role": "user", "parts": [{"text": "Warum?"}]},
            ],
            "generationConfig": {"maxOutputTokens": 100, "temperature": 0.0},
        })
    );
}

#[tokio::test]
async fn ollama_is_sent_what_it_documents_and_a_context_that_holds_the_question() {
    let recording = || streamed(include_str!("../streams/ollama.ndjson"));
    let server = Server::start([recording(), recording()]).await;
    let model = model(ProviderKind::Ollama, &server.url, "qwen3:4b");
    let events = ask(&model, question()).await;
    assert_eq!(events.last(), Some(&done(StopReason::End, 26, 298)));
    let mut long = question();
    long.system = "word ".repeat(4000);
    ask(&model, long).await;

    let requests = server.requests();
    assert_eq!(requests[0].target, "/api/chat");
    assert_eq!(
        requests[0].body,
        json!({
            "model": "qwen3:4b",
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "Hi"},
                {"role": "assistant", "content": "Hello"},
                {"role": "user", "content": "Warum?"},
            ],
            "stream": true,
            "options": {"num_predict": 100, "temperature": 0.0},
        })
    );
    assert_eq!(requests[1].body["options"]["num_ctx"], 8192);
}

#[tokio::test]
async fn what_was_reserved_is_corrected_by_what_was_used() {
    let server = Server::start([streamed(OPENAI)]).await;
    let (model, providers) = model_of(plan(ProviderKind::OpenAi, &server.url), "m");
    let stream = model.chat(question()).await.unwrap();
    let used = || (providers.allowed()["p"].used.1, providers.stats()["p"].tokens);
    assert_eq!(used(), (question().estimated_tokens(), 0), "taken of the quota, and not billed yet");
    ok(stream.collect().await);
    assert_eq!(used(), (19 + 9, 19 + 9));
}

/// A model that tries three times.
fn patient(kind: ProviderKind, server: &Server) -> Arc<dyn ChatModel> {
    let plan = ProviderPlan { retry: RetryPlan { attempts: 3, budget: Duration::from_mins(1) }, ..plan(kind, &server.url) };
    model_of(plan, "m").0
}

/// Of each format: a failure under a status of 200, a stream that ends before its first piece, a piece, and a whole answer.
const FORMATS: [(ProviderKind, &str, &str, &str, &str); 5] = [
    (
        ProviderKind::OpenAi,
        "data: {\"error\":{\"message\":\"Busy\",\"code\":\"server_is_overloaded\"}}\n\n",
        ": OPENROUTER PROCESSING\n\ndata: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n",
        "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n",
        OPENAI,
    ),
    (
        ProviderKind::Mistral,
        "data: {\"object\":\"error\",\"message\":\"Service unavailable.\",\"type\":\"internal_server_error\",\"code\":\"3000\"}\n\n",
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}]}\n\n",
        "data: {\"choices\":[{\"delta\":{\"content\":[{\"type\":\"text\",\"text\":\"a\"}]}}]}\n\n",
        MISTRAL,
    ),
    (
        ProviderKind::Anthropic,
        "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Busy\"}}\n\n",
        "event: ping\ndata: {\"type\": \"ping\"}\n\n",
        "data: {\"type\":\"content_block_delta\",\"delta\":{\"type\":\"text_delta\",\"text\":\"a\"}}\n\n",
        ANTHROPIC,
    ),
    (
        ProviderKind::Gemini,
        "data: {\"error\":{\"code\":503,\"message\":\"Busy\",\"status\":\"UNAVAILABLE\"}}\n\n",
        "data: {\"candidates\":[{\"content\":{\"role\":\"model\"}}]}\n\n",
        "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]}}]}\n\n",
        include_str!("../streams/gemini.sse"),
    ),
    (
        ProviderKind::Ollama,
        "{\"error\":\"model runner has unexpectedly stopped\"}\n",
        "{\"message\":{\"role\":\"assistant\",\"content\":\"\"},\"done\":false}\n",
        "{\"message\":{\"content\":\"a\"},\"done\":false}\n",
        include_str!("../streams/ollama.ndjson"),
    ),
];

#[tokio::test]
async fn until_its_first_piece_an_answer_is_asked_for_again() {
    let asked = FORMATS.map(|(kind, failure, silence, _, whole)| async move {
        let server = Server::start([failure, silence, whole].map(streamed)).await;
        let events = ask(&patient(kind, &server), question()).await;
        assert!(matches!(events.last(), Some(ChatEvent::Done { .. })), "{kind:?}: {events:?}");
        assert!(events.len() > 2, "{kind:?}: {events:?}");
        let requests = server.requests();
        assert_eq!(requests.len(), 3, "{kind:?}");
        assert!(requests.iter().all(|request| request.body == requests[0].body), "{kind:?}");
    });
    futures_util::future::join_all(asked).await;
}

#[tokio::test]
async fn after_its_first_piece_it_is_not() {
    for (kind, failure, _, piece, whole) in FORMATS {
        let broken = Response::builder().body(AxumBody::from(format!("{piece}{failure}"))).unwrap();
        let server = Server::start([broken, streamed(whole)]).await;
        let events: Events = patient(kind, &server).chat(question()).await.unwrap().collect().await;
        assert_eq!(events.len(), 2, "{kind:?}: {events:?}");
        assert_eq!(events[0].as_ref().unwrap(), &text("a"));
        assert_eq!(events[1].as_ref().unwrap_err().kind, ErrorKind::Unavailable, "{kind:?}");
        assert_eq!(server.requests().len(), 1, "{kind:?}");
    }
}

#[tokio::test]
async fn a_web_page_is_no_answer_and_events_are_one_whatever_they_say_that_they_are() {
    let page = |body: &'static str| {
        Response::builder().header("content-type", "text/html; charset=utf-8").body(AxumBody::from(body)).unwrap()
    };
    let server = Server::start([page("\n<!DOCTYPE html><title>登录</title>"), page(OPENAI)]).await;
    let plan = ProviderPlan {
        retry: RetryPlan { attempts: 6, budget: Duration::from_secs(60) },
        ..plan(ProviderKind::OpenAi, &format!("{}/v1", server.url))
    };
    let (model, _providers) = model_of(plan, "m");
    let error = model.chat(question()).await.err().unwrap();
    assert_eq!((error.kind, error.attempts), (ErrorKind::NotFound, 1), "{error}");
    assert!(error.message.contains("a web page (text/html; charset=utf-8)"), "{error}");
    assert!(error.hint.as_deref().unwrap().contains("check `base_url` of the provider `p`"), "{error:?}");
    assert_eq!(ask(&model, question()).await.last(), Some(&done(StopReason::End, 19, 9)));
}

#[tokio::test]
async fn an_error_under_a_status_of_200_is_a_refusal() {
    let refusal = |code, message: &str| refused(200, &json!({"error": {"code": code, "message": message}}));
    let server = Server::start([refusal(429, "Slow down"), streamed(OPENAI), refusal(402, "Insufficient credits")]).await;
    let model = patient(ProviderKind::OpenAi, &server);
    assert_eq!(ask(&model, question()).await.last(), Some(&done(StopReason::End, 19, 9)));
    let error = model.chat(question()).await.err().unwrap();
    assert_eq!(error.kind, ErrorKind::QuotaSpent, "{error}");
    assert_eq!(server.requests().len(), 3);
}

/// Says so when it is dropped.
struct Dropped(tokio::sync::mpsc::UnboundedSender<()>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.send(()).ok();
    }
}

#[tokio::test]
async fn dropping_the_stream_ends_the_answer_upstream() {
    let (sender, mut dropped) = tokio::sync::mpsc::unbounded_channel();
    let guard = Dropped(sender);
    // An answer without end, paced so that it does not fill the connection before the client has left.
    let endless = stream::unfold(guard, |guard| async move {
        tokio::time::sleep(Duration::from_millis(5)).await;
        Some((Ok::<_, std::io::Error>("data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n"), guard))
    });
    let answer = Response::builder().header("content-type", "text/event-stream").body(AxumBody::from_stream(endless)).unwrap();
    let server = Server::start([answer]).await;
    let model = model(ProviderKind::OpenAi, &server.url, "m");
    let mut stream = model.chat(question()).await.unwrap();
    assert_eq!(stream.next().await.unwrap().unwrap(), text("a"));
    assert!(dropped.try_recv().is_err(), "the server writes on while the client reads");
    drop(stream);
    dropped.recv().await.unwrap();
}
