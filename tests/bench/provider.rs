//! The stand-in provider: OpenAI's wire format with the latency, limits and faults that were asked for, and an account of
//! what it was paid for. A development tool: no model is behind it, vectors follow from the text's hash.
//!
//! Prints its URL as its first line. `GET /stats` tells what came so far.

mod bucket;

use std::collections::HashSet;
use std::fmt::Write as _;
use std::io::Read as _;
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use axum::routing::{get, post};
use axum::serve::ListenerExt as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use self::bucket::Bucket;

/// How the provider behaves.
#[derive(Debug, Clone, clap::Args)]
pub struct Flags {
    /// Where to listen on this machine; 0 takes a free one
    #[arg(long, default_value_t = 0)]
    pub port: u16,
    /// How long an answer, or the first token of a stream, takes
    #[arg(long, default_value_t = 0)]
    pub latency_ms: u64,
    /// How much shorter or longer it takes, each as likely as any between
    #[arg(long, default_value_t = 0)]
    pub latency_spread_ms: u64,
    /// And how much longer for each input
    #[arg(long, default_value_t = 0)]
    pub latency_per_input_us: u64,
    /// Requests a minute
    #[arg(long)]
    pub rpm: Option<u64>,
    /// Tokens a minute, counted with `o200k_base`; without it a token is four bytes
    #[arg(long)]
    pub tpm: Option<u64>,
    /// How many seconds of the quota may be saved up and spent at once
    #[arg(long, default_value_t = 60)]
    pub burst_s: u64,
    /// Tell nothing of the limits: neither x-ratelimit-* nor Retry-After
    #[arg(long)]
    pub no_headers: bool,
    /// Requests in flight; more are refused
    #[arg(long)]
    pub concurrency: Option<u64>,
    /// Width of the vectors where the request does not say
    #[arg(long, default_value_t = 256)]
    pub dimensions: usize,
    /// Shares of the requests that go wrong: error=0.01,drop=0.005,hang=0.001,short=0.001
    #[arg(long, default_value = "")]
    pub faults: Faults,
    /// Decides which requests go wrong
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Tokens of a chat's answer; each is the time at which it was sent, in microseconds
    #[arg(long, default_value_t = 100)]
    pub answer_tokens: u32,
    /// The time from a token to the next
    #[arg(long, default_value_t = 5)]
    pub token_ms: u64,
    /// End when stdin does, as it does when the parent process ends
    #[arg(long)]
    pub with_parent: bool,
}

/// How likely each fault is.
#[derive(Debug, Clone, Copy, Default)]
pub struct Faults {
    error: f64,
    drop: f64,
    hang: f64,
    short: f64,
}

impl FromStr for Faults {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut faults = Self::default();
        for part in text.split(',').filter(|part| !part.is_empty()) {
            let (name, share) = part.split_once('=').ok_or_else(|| format!("{part} is not name=share"))?;
            let slot = match name {
                "error" => &mut faults.error,
                "drop" => &mut faults.drop,
                "hang" => &mut faults.hang,
                "short" => &mut faults.short,
                _ => return Err(format!("there is no fault {name} (there are error, drop, hang, short)")),
            };
            *slot = share.parse().map_err(|error| format!("{share}: {error}"))?;
        }
        Ok(faults)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Error,
    Drop,
    Hang,
    Short,
}

impl Faults {
    /// What goes wrong with the n-th request, if anything.
    fn of(self, seed: u64, n: u64) -> Option<Fault> {
        let mut at = Random(seed ^ n.wrapping_mul(0x9e37_79b9_7f4a_7c15)).unit();
        for (share, fault) in
            [(self.error, Fault::Error), (self.drop, Fault::Drop), (self.hang, Fault::Hang), (self.short, Fault::Short)]
        {
            if at < share {
                return Some(fault);
            }
            at -= share;
        }
        None
    }
}

/// `SplitMix64`: small, fast, and the same on every machine.
#[derive(Debug, Clone)]
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// In 0..1.
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }
}

#[derive(Debug, Default)]
struct Counts {
    requests: u64,
    /// Requests that were not refused.
    admitted: u64,
    /// Inputs of admitted requests: what a vendor bills.
    inputs: u64,
    /// Inputs that were answered in full.
    paid: u64,
    distinct: HashSet<u64>,
    tokens: u64,
    throttled: u64,
    faults: u64,
    in_flight: u64,
    max_in_flight: u64,
    first_ms: Option<f64>,
    last_ms: f64,
    /// The sum of the times that requests were in flight.
    busy_ms: f64,
    rpm: Option<Bucket>,
    tpm: Option<Bucket>,
}

struct Server {
    flags: Flags,
    began: Instant,
    counts: Mutex<Counts>,
}

impl Server {
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now_ms(&self) -> f64 {
        self.began.elapsed().as_secs_f64() * 1e3
    }

    /// Of the request that came last.
    fn latency(&self) -> Duration {
        let Flags { latency_ms, latency_spread_ms: spread, seed, .. } = self.flags;
        let at = Random(seed ^ self.counts().requests.wrapping_mul(0x9e37_79b9_7f4a_7c15)).unit();
        Duration::from_secs_f64((latency_ms as f64 + spread as f64 * (at * 2.0 - 1.0)).max(0.0) / 1e3)
    }

    /// Takes a request's share of every limit, or refuses it. Either way the headers tell what is left.
    fn admit(&self, inputs: u64, tokens: u64) -> Result<(HeaderMap, Option<Fault>), Response<Body>> {
        let mut guard = self.counts();
        let counts = &mut *guard;
        let busy = self.flags.concurrency.is_some_and(|most| counts.in_flight > most);
        let mut wait: f64 = if busy { 0.05 } else { 0.0 };
        let mut lacking = if busy { "concurrent requests" } else { "" };
        for (bucket, amount, what) in [(&mut counts.rpm, 1, "requests"), (&mut counts.tpm, tokens, "tokens")] {
            let Some(bucket) = bucket else { continue };
            bucket.refill();
            let missing = bucket.wait(amount);
            if missing > wait {
                (wait, lacking) = (missing, what);
            }
        }
        let fine = wait == 0.0;
        for (bucket, amount) in [(&mut counts.rpm, 1), (&mut counts.tpm, tokens)] {
            if let Some(bucket) = bucket.as_mut().filter(|_| fine) {
                bucket.level -= amount as f64;
            }
        }
        let mut headers = HeaderMap::new();
        if !self.flags.no_headers {
            limit_headers(&mut headers, counts);
        }
        if fine {
            counts.admitted += 1;
            counts.inputs += inputs;
            counts.tokens += tokens;
            let fault = self.flags.faults.of(self.flags.seed, counts.requests);
            counts.faults += u64::from(fault.is_some());
            return Ok((headers, fault));
        }
        counts.throttled += 1;
        drop(guard);
        if !self.flags.no_headers {
            headers.insert("retry-after", number(wait.ceil()));
            headers.insert("retry-after-ms", number((wait * 1e3).ceil()));
        }
        let message = format!("Rate limit reached on {lacking} per min. Please try again in {wait:.3}s.");
        Err(refusal(StatusCode::TOO_MANY_REQUESTS, headers, &message, "rate_limit_exceeded"))
    }
}

fn number(value: f64) -> HeaderValue {
    HeaderValue::from(value as u64)
}

fn limit_headers(headers: &mut HeaderMap, counts: &Counts) {
    for (bucket, limit, remaining, reset) in [
        (&counts.rpm, "x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"),
        (&counts.tpm, "x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"),
    ] {
        let Some(bucket) = bucket else { continue };
        headers.insert(limit, HeaderValue::from(bucket.limit));
        headers.insert(remaining, number(bucket.level.max(0.0)));
        let full = bucket.wait(bucket.capacity as u64);
        let text = if full < 1.0 { format!("{}ms", (full * 1e3).ceil()) } else { format!("{full:.3}s") };
        headers.insert(reset, HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("0s")));
    }
}

fn refusal(status: StatusCode, headers: HeaderMap, message: &str, code: &str) -> Response<Body> {
    let kind = if status.is_server_error() { "server_error" } else { "requests" };
    let body = json!({"error": {"message": message, "type": kind, "param": null, "code": code}});
    answer(status, headers, "application/json", Body::from(body.to_string()))
}

fn answer(status: StatusCode, headers: HeaderMap, kind: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// Counts a request as in flight until it is answered, or its client hangs up.
struct InFlight {
    server: Arc<Server>,
    since_ms: f64,
}

impl InFlight {
    fn begin(server: &Arc<Server>) -> Self {
        let now = server.now_ms();
        let mut counts = server.counts();
        counts.requests += 1;
        counts.in_flight += 1;
        counts.max_in_flight = counts.max_in_flight.max(counts.in_flight);
        counts.first_ms.get_or_insert(now);
        drop(counts);
        Self { server: Arc::clone(server), since_ms: now }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let now = self.server.now_ms();
        let mut counts = self.server.counts();
        counts.in_flight -= 1;
        counts.busy_ms += now - self.since_ms;
        counts.last_ms = now;
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Input {
    One(String),
    Many(Vec<String>),
}

#[derive(Deserialize)]
struct Ask {
    input: Input,
    #[serde(default)]
    encoding_format: Option<String>,
    #[serde(default)]
    dimensions: Option<usize>,
}

async fn embeddings(State(server): State<Arc<Server>>, body: Bytes) -> Response<Body> {
    let in_flight = InFlight::begin(&server);
    let ask: Ask = match serde_json::from_slice(&body) {
        Ok(ask) => ask,
        Err(error) => return refusal(StatusCode::BAD_REQUEST, HeaderMap::new(), &error.to_string(), "invalid_request_error"),
    };
    drop(body);
    let inputs = match ask.input {
        Input::One(input) => vec![input],
        Input::Many(inputs) => inputs,
    };
    let tokens: usize = if server.flags.tpm.is_some() {
        inputs.iter().map(|input| tiktoken_rs::o200k_base_singleton().encode_ordinary(input).len()).sum()
    } else {
        inputs.iter().map(|input| input.len().div_ceil(4)).sum()
    };
    let (headers, fault) = match server.admit(inputs.len() as u64, tokens as u64) {
        Ok(admitted) => admitted,
        Err(refused) => return refused,
    };
    let per_input = Duration::from_micros(server.flags.latency_per_input_us) * inputs.len() as u32;
    tokio::time::sleep(server.latency() + per_input).await;
    match fault {
        Some(Fault::Hang) => std::future::pending::<()>().await,
        Some(Fault::Error) => {
            return refusal(StatusCode::INTERNAL_SERVER_ERROR, headers, "The server had an error", "server_error");
        }
        _ => {}
    }
    let width = ask.dimensions.unwrap_or(server.flags.dimensions);
    let base64 = ask.encoding_format.as_deref() == Some("base64");
    let given = inputs.len() - usize::from(fault == Some(Fault::Short));
    let body = written(&inputs[..given], width, base64, tokens);
    if fault == Some(Fault::Drop) {
        let mut response = answer(StatusCode::OK, headers, "application/json", Body::empty());
        response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
        let half = Bytes::from(body).slice(..100);
        let pieces = [Ok(half), Err(std::io::Error::other("dropped on purpose"))];
        *response.body_mut() = Body::from_stream(futures_util::stream::iter(pieces));
        return response;
    }
    if fault.is_none() {
        let mut counts = server.counts();
        counts.paid += inputs.len() as u64;
        counts.distinct.extend(inputs.iter().map(|input| hash(input)));
    }
    drop(in_flight);
    answer(StatusCode::OK, headers, "application/json", Body::from(body))
}

fn hash(text: &str) -> u64 {
    u64::from_le_bytes(blake3::hash(text.as_bytes()).as_bytes().first_chunk().copied().unwrap_or_default())
}

/// A unit vector that follows from the text.
fn vector(text: &str, width: usize) -> Vec<f32> {
    let mut random = Random(hash(text));
    let mut vector: Vec<f32> = (0..width).map(|_| random.unit() as f32 - 0.5).collect();
    let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    for x in &mut vector {
        *x /= length;
    }
    vector
}

/// The body of an answer.
pub fn written(inputs: &[String], width: usize, base64: bool, tokens: usize) -> String {
    let mut body = String::with_capacity(inputs.len() * (width * 6 + 60) + 120);
    body.push_str(r#"{"object":"list","data":["#);
    for (index, input) in inputs.iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        let _ = write!(body, r#"{comma}{{"object":"embedding","index":{index},"embedding":"#);
        let vector = vector(input, width);
        if base64 {
            body.push('"');
            STANDARD.encode_string(vector.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>(), &mut body);
            body.push('"');
        } else {
            body.push_str(&json!(vector).to_string());
        }
        body.push('}');
    }
    let _ = write!(body, r#"],"model":"stand-in","usage":{{"prompt_tokens":{tokens},"total_tokens":{tokens}}}}}"#);
    body
}

async fn chat(State(server): State<Arc<Server>>, body: Bytes) -> Response<Body> {
    let in_flight = InFlight::begin(&server);
    let input = body.len() as u64 / 4;
    let output = server.flags.answer_tokens;
    let (headers, _) = match server.admit(0, input + u64::from(output)) {
        Ok(admitted) => admitted,
        Err(refused) => return refused,
    };
    let (first, between) = (Duration::from_millis(server.flags.latency_ms), Duration::from_millis(server.flags.token_ms));
    let event = |choices: Value, usage: Value| format!("data: {}\n\n", json!({"choices": choices, "usage": usage}));
    let stream = async_stream::stream! {
        let _in_flight = in_flight;
        tokio::time::sleep(first).await;
        for n in 0..output {
            if n > 0 {
                tokio::time::sleep(between).await;
            }
            let text = format!("{} ", micros());
            yield Ok::<_, std::io::Error>(event(json!([{"index": 0, "delta": {"content": text}}]), Value::Null));
        }
        yield Ok(event(json!([{"index": 0, "delta": {}, "finish_reason": "stop"}]), Value::Null));
        yield Ok(event(json!([]), json!({"prompt_tokens": input, "completion_tokens": output})));
        yield Ok("data: [DONE]\n\n".to_owned());
    };
    answer(StatusCode::OK, headers, "text/event-stream", Body::from_stream(stream))
}

/// The time, in microseconds since 1970.
pub fn micros() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros() as u64
}

async fn stats(State(server): State<Arc<Server>>) -> Response<Body> {
    let now = server.now_ms();
    let mut counts = server.counts();
    let saved = |bucket: &mut Option<Bucket>| {
        bucket.as_mut().map(|bucket| {
            bucket.refill();
            bucket.level
        })
    };
    let (saved_requests, saved_tokens) = (saved(&mut counts.rpm), saved(&mut counts.tpm));
    let body = json!({
        "now_ms": now, "first_ms": counts.first_ms, "last_ms": counts.last_ms, "busy_ms": counts.busy_ms,
        "requests": counts.requests, "admitted": counts.admitted, "throttled": counts.throttled, "faults": counts.faults,
        "inputs": counts.inputs, "paid": counts.paid, "distinct": counts.distinct.len(), "tokens": counts.tokens,
        "saved_requests": saved_requests, "saved_tokens": saved_tokens,
        "in_flight": counts.in_flight, "max_in_flight": counts.max_in_flight,
    });
    drop(counts);
    answer(StatusCode::OK, HeaderMap::new(), "application/json", Body::from(body.to_string()))
}

/// Serves until it is killed.
pub fn serve(flags: Flags) -> std::io::Result<()> {
    if flags.with_parent {
        std::thread::spawn(|| {
            let _ = std::io::stdin().read_to_end(&mut Vec::new());
            std::process::exit(0);
        });
    }
    if flags.tpm.is_some() {
        // Made with the first use, which should not count as latency.
        tiktoken_rs::o200k_base_singleton();
    }
    // One thread: the program under test needs the cores.
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let listener = TcpListener::bind(("127.0.0.1", flags.port)).await?;
        println!("http://{}", listener.local_addr()?);
        let counts = Counts {
            rpm: flags.rpm.map(|limit| Bucket::new(limit, flags.burst_s)),
            tpm: flags.tpm.map(|limit| Bucket::new(limit, flags.burst_s)),
            ..Counts::default()
        };
        let server = Arc::new(Server { flags, began: Instant::now(), counts: Mutex::new(counts) });
        let router = Router::new()
            .route("/v1/embeddings", post(embeddings))
            .route("/v1/chat/completions", post(chat))
            .route("/stats", get(stats))
            .layer(DefaultBodyLimit::max(256 << 20))
            .with_state(server);
        let listener = listener.tap_io(|stream| {
            // A token must not wait for the next one.
            let _ = stream.set_nodelay(true);
        });
        axum::serve(listener, router).await
    })
}
