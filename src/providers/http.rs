//! The one HTTP layer that every provider goes through: it owns timeouts, limits, retries, sizes and redaction. A provider's
//! file only says what to send and reads what comes back.

use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use futures_util::stream::BoxStream;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION};
use reqwest::{Client, Response, StatusCode};
use serde_json::Value;
use tokio::time::{Instant, timeout};
use url::Url;

use crate::limits::{Charge, Learned, Limiter, Memory, Permit, Sent, Slot, Stats};
use crate::pipeline::{ProviderPlan, RetryPlan};
use crate::providers::refusal::Peer;
use crate::providers::retry::{Failure, Tries, server_wait, should_retry};
use crate::providers::{ErrorKind, ProviderError};

/// The largest answer that is read. 2,048 vectors of 3,072 numbers, written as decimal text, are 80 MB.
const MAX_BODY: usize = 128 << 20;

/// What is read of a refusal.
const MAX_REFUSAL: usize = 64 << 10;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How a key travels. Without a key nothing is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Auth {
    /// `Authorization: Bearer KEY`.
    Bearer,
    /// The key alone in a header of this name (lower case), such as `x-api-key`.
    Header(&'static str),
    /// Not at all.
    None,
}

/// What a request is expected to cost, reserved before it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cost {
    /// Tokens: for an embedding those of all inputs, for a chat the prompt's plus `max_tokens`.
    pub tokens: u64,
}

/// A complete 2xx answer.
#[derive(Debug)]
pub struct Answer {
    /// The whole body, decompressed.
    pub body: Bytes,
    /// The headers.
    pub headers: HeaderMap,
    /// What was reserved for it: `answer.charge.settle(tokens)` corrects it by the `usage` that came back.
    pub charge: Charge,
}

/// A 2xx answer whose body is still coming.
pub struct Streaming {
    /// The body as it comes, cut anywhere. Each next piece comes within the provider's `timeout`, or is an error. After an
    /// error it ends. Dropping it cancels the request upstream and frees its place among the requests in flight.
    pub body: BoxStream<'static, Result<Bytes, ProviderError>>,
    /// The headers (`content-type` tells SSE from a plain JSON answer).
    pub headers: HeaderMap,
    /// See [`Answer::charge`].
    pub charge: Charge,
}

/// A connection to one provider, shared by everything in the process that talks to it.
pub struct Http {
    client: Client,
    base_url: Url,
    headers: HeaderMap,
    timeout: Duration,
    retry: RetryPlan,
    limiter: Arc<Limiter>,
    peer: Arc<Peer>,
    /// Whether it ever answered: a server that never did is more likely not there than away for a moment.
    answered: AtomicBool,
    /// Where what is learned of the limits is kept, and what is kept there now.
    memory: Option<(Memory, Mutex<Learned>)>,
}

/// A run that sent fewer has learned nothing of how many may be in flight.
const WORTH_KEEPING: u64 = 50;

impl Drop for Http {
    fn drop(&mut self) {
        if self.stats().requests >= WORTH_KEEPING {
            self.keep_learned();
        }
    }
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http")
            .field("provider", &self.peer.name)
            .field("base_url", &self.peer.shown_url())
            .finish_non_exhaustive()
    }
}

/// A request that can be sent again.
struct Call<'a> {
    url: Url,
    headers: HeaderMap,
    body: Bytes,
    /// The model it is for, for hints.
    model: Option<&'a str>,
}

impl Http {
    /// A connection as planned. Fails with [`ErrorKind::Auth`] when a vendor that needs a key has none, and with
    /// [`ErrorKind::Network`] when TLS cannot be set up.
    pub fn new(plan: &ProviderPlan, auth: Auth) -> Result<Self, ProviderError> {
        let peer = Peer::new(plan);
        peer.check_key()?;
        // Fails when one is installed already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut client = Client::builder()
            .user_agent(concat!("ragstream/", env!("CARGO_PKG_VERSION")))
            // A redirect could carry the key to another host.
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT.min(plan.timeout));
        if plan.base_url.scheme() == "http" {
            // A local server needs no root certificates, and a bare container has none.
            client = client.tls_certs_only([]);
        }
        let client = client.build().map_err(|source| {
            let mut error = peer.error(ErrorKind::Network, "TLS cannot be set up");
            error.hint =
                Some("install the system's root certificates (ca-certificates), or point SSL_CERT_FILE to some".to_owned());
            error.source = Some(Box::new(source));
            error
        })?;
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(key) = plan.api_key.as_ref().map(|key| key.expose().trim()).filter(|key| !key.is_empty()) {
            let sent = match auth {
                Auth::Bearer => Some((AUTHORIZATION, format!("Bearer {key}"))),
                Auth::Header(name) => Some((HeaderName::from_static(name), key.to_owned())),
                Auth::None => None,
            };
            if let Some((name, text)) = sent {
                let mut value = HeaderValue::from_str(&text)
                    .map_err(|_| peer.error(ErrorKind::Auth, "the API key holds characters that no header may carry"))?;
                value.set_sensitive(true);
                headers.insert(name, value);
            }
        }
        Ok(Self {
            client,
            base_url: plan.base_url.clone(),
            headers,
            timeout: plan.timeout,
            retry: plan.retry,
            limiter: Limiter::new(plan.limits),
            peer: Arc::new(peer),
            answered: AtomicBool::new(false),
            memory: None,
        })
    }

    /// Begins with what earlier runs have learned of the limits, and keeps what this one learns.
    pub(super) fn remembering(mut self, folder: &Path, key: &str) -> Self {
        let memory = Memory::new(folder, self.provider(), self.base_url.as_str(), key);
        let learned = memory.load();
        self.limiter = Limiter::with(self.limiter.declared(), learned);
        self.memory = Some((memory, Mutex::new(learned)));
        self
    }

    /// The limits, for those who fill requests.
    pub fn limiter(&self) -> &Limiter {
        &self.limiter
    }

    /// The provider's name in the pipeline file.
    pub fn provider(&self) -> &str {
        &self.peer.name
    }

    /// The path of the base URL, without a trailing `/`: some users write a version into it, some do not.
    pub fn base_path(&self) -> &str {
        self.base_url.path().trim_end_matches('/')
    }

    /// Whether the base URL is the vendor's own: what the vendor documents holds there only.
    pub fn is_vendor(&self) -> bool {
        self.peer.is_vendor()
    }

    /// What was asked so far.
    pub fn stats(&self) -> Stats {
        self.limiter.stats()
    }

    /// POSTs JSON and returns the whole body (of at most 128 MiB) of a 2xx answer.
    ///
    /// `path` is put after the base URL's own and may carry a query; names in `headers` are lower case. Waits for the provider's limits, keeps to its timeout, and
    /// tries again as planned; an `error` object behind HTTP 200 is the error that it says.
    pub async fn post(
        &self,
        path: &str,
        headers: &[(&'static str, &str)],
        body: &Value,
        cost: Cost,
    ) -> Result<Answer, ProviderError> {
        let call = self.call(path, headers, body)?;
        let ticket = self.limiter.ticket();
        let mut tries = Tries::new(self.retry);
        loop {
            let permit = self.limiter.admit(ticket, cost.tokens).await;
            tries.attempt();
            let left = permit.sent.left;
            let failure = match timeout(self.timeout, self.hedged(&call, permit, cost)).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(failure)) => failure,
                Err(_) => {
                    self.limiter.overloaded(left);
                    self.too_late(self.timeout)
                }
            };
            self.wait_or_give_up(&tries, failure).await?;
        }
    }

    /// POSTs JSON and returns once the status is 2xx; retries happen before that only. See [`Self::post`].
    pub async fn post_stream(
        &self,
        path: &str,
        headers: &[(&'static str, &str)],
        body: &Value,
        cost: Cost,
    ) -> Result<Streaming, ProviderError> {
        let call = self.call(path, headers, body)?;
        let ticket = self.limiter.ticket();
        let mut tries = Tries::new(self.retry);
        loop {
            let permit = self.limiter.admit(ticket, cost.tokens).await;
            tries.attempt();
            let failure = match timeout(self.timeout, self.head(&call)).await {
                Ok(Ok(response)) => {
                    self.limiter.answered(permit.sent, None);
                    let headers = response.headers().clone();
                    let body = pieces(response, permit.slot, self.peer.clone(), self.timeout);
                    return Ok(Streaming { body, headers, charge: permit.charge });
                }
                Ok(Err(failure)) => {
                    self.note(permit.sent, &failure);
                    failure
                }
                Err(_) => self.too_late(self.timeout),
            };
            drop(permit);
            self.wait_or_give_up(&tries, failure).await?;
        }
    }

    /// GETs once, with no retries and outside of the limits. A short `within` answers "is it running?".
    pub async fn get(&self, path: &str, within: Duration) -> Result<Bytes, ProviderError> {
        let url = self.url(path);
        let whole = async {
            let request = self.client.get(url).headers(self.headers.clone());
            let response = self.accepted(request.send().await, None).await?;
            self.read(response).await.map_err(Failure::from)
        };
        timeout(within, whole).await.unwrap_or_else(|_| Err(self.too_late(within))).map_err(|failure| failure.error)
    }

    /// The error that a provider's error object means (what comes in mid-stream after a 200): `status` is the HTTP status, or
    /// `None` in mid-stream, where the object's own code or type decides. Redacted, bounded, with a hint.
    pub fn refusal(&self, status: Option<u16>, body: &Value) -> ProviderError {
        self.peer.refusal(status, body, None)
    }

    /// An error of this kind in our own words, redacted and bounded ([`ErrorKind::BadAnswer`] for what breaks the protocol,
    /// [`ErrorKind::Network`] for a stream that ended before its end mark).
    pub fn error(&self, kind: ErrorKind, message: impl Into<String>) -> ProviderError {
        self.peer.error(kind, message)
    }

    fn call<'a>(&self, path: &str, headers: &[(&'static str, &str)], body: &'a Value) -> Result<Call<'a>, ProviderError> {
        let mut all = self.headers.clone();
        for &(name, value) in headers {
            let value = HeaderValue::from_str(value)
                .map_err(|_| self.error(ErrorKind::InvalidInput, format!("the header {name} cannot carry its value")))?;
            all.insert(HeaderName::from_static(name), value);
        }
        let model = body.get("model").and_then(Value::as_str);
        let body = serde_json::to_vec(body).map_err(|e| self.error(ErrorKind::InvalidInput, e.to_string()))?;
        Ok(Call { url: self.url(path), headers: all, body: body.into(), model })
    }

    /// The base URL with `path` after its own path and the queries of both.
    fn url(&self, path: &str) -> Url {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let mut url = self.base_url.clone();
        url.set_path(&format!("{}/{}", self.base_path(), path.trim_start_matches('/')));
        if !query.is_empty() {
            let joined = url.query().map_or_else(|| query.to_owned(), |own| format!("{own}&{query}"));
            url.set_query(Some(&joined));
        }
        url
    }

    /// Sends it, and a second copy when the first is most likely lost. The first answer wins; dropping the other hangs up.
    async fn hedged(&self, call: &Call<'_>, permit: Permit, cost: Cost) -> Result<Answer, Failure> {
        let mut first = std::pin::pin!(self.whole(call, permit, cost));
        let Some(silence) = self.limiter.hangs_after() else { return first.await };
        if let Ok(done) = timeout(silence, first.as_mut()).await {
            return done;
        }
        let mut second = std::pin::pin!(async {
            let permit = self.limiter.admit(self.limiter.ticket(), cost.tokens).await;
            self.limiter.count_hedge();
            tracing::debug!(provider = %self.peer.name, ?silence, "no answer: a second copy is sent");
            self.whole(call, permit, cost).await
        });
        tokio::select! {
            done = &mut first => match done {
                Err(failure) if failure.error.is_transient() => second.await.map_err(|_| failure),
                done => done,
            },
            done = &mut second => match done {
                Ok(answer) => Ok(answer),
                Err(_) => first.await,
            },
        }
    }

    async fn whole(&self, call: &Call<'_>, permit: Permit, cost: Cost) -> Result<Answer, Failure> {
        let Permit { sent, charge, slot } = permit;
        let response = self.head(call).await.inspect_err(|failure| self.note(sent, failure))?;
        let headers = response.headers().clone();
        let body = self.read(response).await?;
        drop(slot);
        let refused = hidden_refusal(&body).map(|refusal| self.peer.refusal(Some(200), &refusal, call.model));
        if let Some(error) = refused {
            let failure = error.into();
            self.note(sent, &failure);
            return Err(failure);
        }
        self.limiter.answered(sent, Some((sent.left.elapsed(), cost.tokens)));
        Ok(Answer { body, headers, charge })
    }

    /// Tells the limits what a failure says about them.
    fn note(&self, sent: Sent, failure: &Failure) {
        match (failure.error.kind, failure.error.status) {
            (ErrorKind::RateLimited, _) => {
                let learned = self.limiter.throttled(sent, failure.error.retry_after);
                if learned {
                    self.keep_learned();
                }
            }
            (ErrorKind::Unavailable, Some(503 | 529)) => self.limiter.overloaded(sent.left),
            _ => {}
        }
    }

    /// Keeps what was learned of the limits for the next run, if it is new.
    fn keep_learned(&self) {
        let Some((memory, kept)) = &self.memory else { return };
        let learned = self.limiter.learned();
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        if learned != *kept && learned != Learned::default() {
            memory.save(&learned);
            *kept = learned;
        }
    }

    async fn head(&self, call: &Call<'_>) -> Result<Response, Failure> {
        let request = self.client.post(call.url.clone()).headers(call.headers.clone()).body(call.body.clone());
        self.accepted(request.send().await, call.model).await
    }

    /// The answer, if its status is 2xx.
    async fn accepted(&self, sent: reqwest::Result<Response>, model: Option<&str>) -> Result<Response, Failure> {
        let response = sent.map_err(|error| self.not_sent(error))?;
        self.answered.store(true, Ordering::Relaxed);
        let status = response.status();
        let headers = response.headers().clone();
        if self.limiter.observe(&headers) {
            self.keep_learned();
        }
        if status.is_success() {
            return Ok(response);
        }
        let body = read_some(response).await;
        let said = serde_json::from_slice(&body).unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&body).into_owned()));
        let mut error = self.peer.refusal(Some(status.as_u16()), &said, model);
        error.retry_after = server_wait(&headers, SystemTime::now()).or(error.retry_after);
        if let Some(target) = headers.get(LOCATION).filter(|_| status.is_redirection()) {
            error = self.redirected(status, target);
        }
        Err(Failure { error, should_retry: should_retry(&headers), at_most: None })
    }

    fn redirected(&self, status: StatusCode, target: &HeaderValue) -> ProviderError {
        let target = String::from_utf8_lossy(target.as_bytes());
        let mut error = self.error(ErrorKind::NotFound, format!("redirects to {target}, which is not followed"));
        error.status = Some(status.as_u16());
        error.hint = Some(format!("set `base_url` of the provider `{}` to where it really is", self.peer.name));
        error
    }

    async fn read(&self, response: Response) -> Result<Bytes, ProviderError> {
        read_body(response).await.map_err(|unread| match unread {
            Unread::TooLarge => self.error(ErrorKind::BadAnswer, format!("the answer is larger than {} MiB", MAX_BODY >> 20)),
            Unread::Cut(error) => cut(&self.peer, error),
        })
    }

    /// Before there was a status.
    fn not_sent(&self, error: reqwest::Error) -> Failure {
        let never_connected = error.is_connect() && !self.answered.load(Ordering::Relaxed);
        let mut said = if error.is_builder() {
            self.error(ErrorKind::InvalidInput, "the request cannot be built")
        } else if error.is_timeout() {
            self.error(ErrorKind::Timeout, format!("no connection to {} in time", self.peer.shown_url()))
        } else if error.is_connect() {
            self.error(ErrorKind::Network, format!("cannot connect to {}", self.peer.shown_url()))
        } else {
            self.error(ErrorKind::Network, "the connection ended before there was an answer")
        };
        said.source = Some(Box::new(error.without_url()));
        Failure { error: said, should_retry: None, at_most: never_connected.then_some(2) }
    }

    fn too_late(&self, within: Duration) -> Failure {
        self.error(ErrorKind::Timeout, format!("no complete answer within {} s", within.as_secs_f64())).into()
    }

    /// Waits until the request may be sent again, or returns the error to give up with.
    async fn wait_or_give_up(&self, tries: &Tries, failure: Failure) -> Result<(), ProviderError> {
        let kind = failure.error.kind;
        let asked = failure.error.retry_after.is_some();
        tracing::debug!(provider = %self.peer.name, kind = ?kind, status = failure.error.status, message = %failure.error.message, "attempt failed");
        let wait = tries.next(failure)?;
        self.limiter.count_retry();
        match Instant::now().checked_add(wait) {
            // It concerns all who talk to this provider, and the queue waits for it.
            Some(until) if asked || kind == ErrorKind::RateLimited => self.limiter.pause_until(until),
            _ => tokio::time::sleep(wait).await,
        }
        Ok(())
    }
}

/// Why a body could not be read.
enum Unread {
    TooLarge,
    Cut(reqwest::Error),
}

async fn read_body(mut response: Response) -> Result<Bytes, Unread> {
    let expected = response.content_length().and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
    if expected > MAX_BODY {
        return Err(Unread::TooLarge);
    }
    // What is announced is not trusted with memory before it comes.
    let mut body = BytesMut::with_capacity(expected.min(1 << 20));
    while let Some(piece) = response.chunk().await.map_err(Unread::Cut)? {
        if body.len() + piece.len() > MAX_BODY {
            return Err(Unread::TooLarge);
        }
        body.extend_from_slice(&piece);
    }
    Ok(body.freeze())
}

/// The beginning of a refusal: what is there, if it breaks off.
async fn read_some(mut response: Response) -> Vec<u8> {
    let mut body = Vec::new();
    while body.len() < MAX_REFUSAL
        && let Ok(Some(piece)) = response.chunk().await
    {
        body.extend_from_slice(&piece);
    }
    body.truncate(MAX_REFUSAL);
    body
}

fn cut(peer: &Peer, error: reqwest::Error) -> ProviderError {
    let mut said = peer.error(ErrorKind::Network, "the connection ended before the answer was complete");
    said.source = Some(Box::new(error.without_url()));
    said
}

/// The body as it comes. Whatever ends it, dropping it included, drops the response and the slot.
fn pieces(
    mut response: Response,
    slot: Slot,
    peer: Arc<Peer>,
    within: Duration,
) -> BoxStream<'static, Result<Bytes, ProviderError>> {
    Box::pin(async_stream::stream! {
        let _slot = slot;
        loop {
            match timeout(within, response.chunk()).await {
                Ok(Ok(Some(piece))) => yield Ok(piece),
                Ok(Ok(None)) => break,
                Ok(Err(error)) => {
                    yield Err(cut(&peer, error));
                    break;
                }
                Err(_) => {
                    let message = format!("the answer stalled for {} s", within.as_secs_f64());
                    yield Err(peer.error(ErrorKind::Timeout, message));
                    break;
                }
            }
        }
    })
}

/// An `error` object behind a 2xx status, as `OpenRouter` sends it. Vectors are long and errors are short, so a long body is
/// not read twice.
fn hidden_refusal(body: &[u8]) -> Option<Value> {
    if body.len() > MAX_REFUSAL || !body.trim_ascii_start().starts_with(b"{") {
        return None;
    }
    let value: Value = serde_json::from_slice(body).ok()?;
    value.get("error").is_some_and(|error| error.is_object() || error.is_string()).then_some(value)
}
