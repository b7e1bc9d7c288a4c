//! A stand-in for an API server: on a free port of this machine, with scripted answers and faults, and a log of what came.
//!
//! ```ignore
//! let api = StandIn::start().await;
//! api.always("/v1/embeddings", |request| openai_embeddings(request, 8));      // whenever no scripted answer is left
//! api.script("/v1/embeddings", [Reply::status(503, json!({})), Reply::hang()]); // used up first, in order
//! // … let the code under test talk to `api.url()` …
//! assert_eq!(api.requests().len(), 3);
//! ```
//! It stops when it is dropped. Use short real times with it: a paused clock would jump over the time that sockets need.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "shared by the modules of this binary; a test may fail loudly"
)]

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Request {
    pub at: Instant,
    pub method: String,
    /// With the query, if there is one.
    pub path: String,
    pub headers: HeaderMap,
    /// `Null` when it is no JSON.
    pub body: Value,
}

/// An answer, and how it goes wrong.
#[derive(Debug, Clone)]
pub struct Reply {
    status: u16,
    headers: Vec<(&'static str, String)>,
    pieces: Vec<Bytes>,
    /// What is to be true before it is given.
    gate: Option<Arc<AtomicBool>>,
    delay: Duration,
    between: Duration,
    end: End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Whole,
    /// The connection closes after the pieces, although more was announced.
    Cut,
    /// Nothing more comes after the pieces, and the connection stays open.
    Stall,
    /// Not even a status comes.
    Hang,
}

impl Reply {
    /// HTTP 200 with this JSON.
    pub fn json(body: &Value) -> Self {
        Self::status(200, body)
    }

    /// This status with this JSON.
    pub fn status(status: u16, body: &Value) -> Self {
        Self::raw(status, "application/json", body.to_string())
    }

    /// Any status and body.
    pub fn raw(status: u16, content_type: &str, body: impl Into<Bytes>) -> Self {
        let headers = vec![("content-type", content_type.to_owned())];
        Self {
            status,
            headers,
            pieces: vec![body.into()],
            gate: None,
            delay: Duration::ZERO,
            between: Duration::ZERO,
            end: End::Whole,
        }
    }

    /// HTTP 200 as server-sent events, in these pieces, with a pause before each.
    pub fn stream(pieces: impl IntoIterator<Item = impl Into<Bytes>>, between: Duration) -> Self {
        let pieces = pieces.into_iter().map(Into::into).collect();
        Self { pieces, between, ..Self::raw(200, "text/event-stream", "") }
    }

    /// No answer, ever.
    pub fn hang() -> Self {
        Self { end: End::Hang, ..Self::raw(200, "", "") }
    }

    /// With one more header.
    pub fn header(mut self, name: &'static str, value: impl std::fmt::Display) -> Self {
        self.headers.push((name, value.to_string()));
        self
    }

    /// Only after this time.
    pub fn after(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }

    /// Only when this is true.
    pub fn when(self, gate: &Arc<AtomicBool>) -> Self {
        Self { gate: Some(Arc::clone(gate)), ..self }
    }

    /// Only the first `bytes` of the first piece come, then the connection closes.
    pub fn cut(self, bytes: usize) -> Self {
        Self { pieces: self.beginning(bytes), end: End::Cut, ..self }
    }

    /// Only the first `bytes` of the first piece come, then nothing more.
    pub fn stall(self, bytes: usize) -> Self {
        Self { pieces: self.beginning(bytes), end: End::Stall, ..self }
    }

    fn beginning(&self, bytes: usize) -> Vec<Bytes> {
        self.pieces.first().map(|piece| piece.slice(..bytes.min(piece.len()))).into_iter().collect()
    }
}

type Always = Arc<dyn Fn(&Request) -> Reply + Send + Sync>;

#[derive(Default)]
struct Script {
    once: HashMap<String, VecDeque<Reply>>,
    always: HashMap<String, Always>,
    log: Vec<Request>,
    in_flight: usize,
    most_in_flight: usize,
}

/// See the module's page.
pub struct StandIn {
    url: String,
    script: Arc<Mutex<Script>>,
    server: JoinHandle<()>,
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl StandIn {
    /// Starts one that answers 404 to everything.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let script = Arc::new(Mutex::new(Script::default()));
        let router = Router::new().fallback(answer).with_state(script.clone());
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, script, server }
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Answers the next requests to `path` (without query) with these, in order.
    pub fn script(&self, path: &str, replies: impl IntoIterator<Item = Reply>) {
        self.script.lock().unwrap().once.entry(path.to_owned()).or_default().extend(replies);
    }

    /// Answers requests to `path` (without query) with this when no scripted answer is left.
    pub fn always(&self, path: &str, reply: impl Fn(&Request) -> Reply + Send + Sync + 'static) {
        self.script.lock().unwrap().always.insert(path.to_owned(), Arc::new(reply));
    }

    /// What came so far, in order.
    pub fn requests(&self) -> Vec<Request> {
        self.script.lock().unwrap().log.clone()
    }

    /// Requests that wait for the end of their answer now. A client that hangs up does not wait any more.
    pub fn in_flight(&self) -> usize {
        self.script.lock().unwrap().in_flight
    }

    /// The most requests that ever were in flight at once.
    pub fn most_in_flight(&self) -> usize {
        self.script.lock().unwrap().most_in_flight
    }
}

/// Counts a request as in flight until it is dropped, with the answer or with the connection.
struct InFlight(Arc<Mutex<Script>>);

impl InFlight {
    fn begin(script: &Arc<Mutex<Script>>) -> Self {
        let mut state = script.lock().unwrap();
        state.in_flight += 1;
        state.most_in_flight = state.most_in_flight.max(state.in_flight);
        Self(script.clone())
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.lock().unwrap().in_flight -= 1;
    }
}

async fn answer(State(script): State<Arc<Mutex<Script>>>, request: axum::extract::Request) -> Response<Body> {
    let in_flight = InFlight::begin(&script);
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, 256 << 20).await.unwrap_or_default();
    let request = Request {
        at: Instant::now(),
        method: parts.method.to_string(),
        path: parts.uri.to_string(),
        headers: parts.headers,
        body: serde_json::from_slice(&body).unwrap_or_default(),
    };
    let (once, always) = {
        let mut script = script.lock().unwrap();
        script.log.push(request.clone());
        let path = parts.uri.path();
        (script.once.get_mut(path).and_then(VecDeque::pop_front), script.always.get(path).cloned())
    };
    let unknown = || Reply::status(404, &json!({"error": {"message": format!("no script for {}", request.path)}}));
    let reply = once.unwrap_or_else(|| always.map_or_else(unknown, |always| always(&request)));
    while reply.gate.as_ref().is_some_and(|gate| !gate.load(Ordering::SeqCst)) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    tokio::time::sleep(reply.delay).await;
    if reply.end == End::Hang {
        std::future::pending::<()>().await;
    }
    respond(reply, in_flight)
}

fn respond(reply: Reply, in_flight: InFlight) -> Response<Body> {
    let Reply { status, headers, pieces, between, end, .. } = reply;
    let length: usize = pieces.iter().map(Bytes::len).sum();
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    for (name, value) in headers {
        response.headers_mut().append(HeaderName::from_static(name), HeaderValue::from_str(&value).unwrap());
    }
    if end == End::Cut || end == End::Stall {
        response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length + 1));
    }
    let body = futures_util::stream::iter(pieces).then(move |piece| async move {
        tokio::time::sleep(between).await;
        Ok::<_, std::io::Error>(piece)
    });
    let last = futures_util::stream::once(async move {
        let _in_flight = in_flight;
        match end {
            End::Cut => {
                // Time for what was sent to leave: an abort drops what is still buffered.
                tokio::time::sleep(Duration::from_millis(20)).await;
                Err(std::io::Error::other("cut"))
            }
            End::Stall => std::future::pending().await,
            End::Whole | End::Hang => Ok(Bytes::new()),
        }
    });
    *response.body_mut() = Body::from_stream(body.chain(last));
    response
}

/// The answer of `POST /embeddings` as OpenAI gives it, in the form that was asked for: [`bag_of_words`], and a token a word.
pub fn openai_embeddings(request: &Request, width: usize) -> Reply {
    let inputs: Vec<&str> = match &request.body["input"] {
        Value::String(one) => vec![one],
        Value::Array(many) => many.iter().map(|input| input.as_str().unwrap()).collect(),
        other => panic!("unexpected input: {other}"),
    };
    let base64 = request.body["encoding_format"] == "base64";
    let data: Vec<Value> = inputs
        .iter()
        .enumerate()
        .map(|(index, input)| {
            let vector = bag_of_words(input, width);
            let embedding = if base64 {
                json!(STANDARD.encode(vector.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>()))
            } else {
                json!(vector)
            };
            json!({"object": "embedding", "index": index, "embedding": embedding})
        })
        .collect();
    let tokens: usize = inputs.iter().map(|input| input.split_whitespace().count().max(1)).sum();
    Reply::json(&json!({
        "object": "list", "data": data, "model": request.body["model"],
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens}
    }))
}

/// A unit vector that means something: texts that share words are near each other. The same text gives the same vector.
pub fn bag_of_words(text: &str, width: usize) -> Vec<f32> {
    let mut vector = vec![0.0_f32; width];
    let lower = text.to_lowercase();
    let words = lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    // Something for a text without a word.
    for word in words.chain(std::iter::once("\u{0}")) {
        let hash = blake3::hash(word.as_bytes());
        let seed = u64::from_le_bytes(hash.as_bytes()[..8].try_into().unwrap());
        let weight = if word == "\u{0}" { 0.01 } else { 1.0 };
        vector[usize::try_from(seed % width as u64).unwrap()] += if seed >> 63 == 0 { weight } else { -weight };
    }
    // Words can cancel each other out.
    if vector.iter().all(|x| *x == 0.0) {
        vector[0] = 1.0;
    }
    let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    vector.iter().map(|x| x / length).collect()
}
