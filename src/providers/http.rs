//! The one HTTP layer that every provider goes through: it owns timeouts, limits, retries, sizes and redaction.
//!
//! SIGNATURES FIRST (bodies follow in the next commits); a provider file codes against these.

use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::BoxStream;
use reqwest::header::HeaderMap;
use serde_json::Value;

use crate::limits::Charge;
use crate::pipeline::ProviderPlan;
use crate::providers::{ErrorKind, ProviderError};

/// How a key travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Auth {
    /// `Authorization: Bearer KEY`; without a key nothing is sent.
    Bearer,
    /// The key alone in a header of this name (lower case), such as `x-api-key`.
    Header(&'static str),
    /// No key.
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
#[derive(Debug)]
pub struct Http {}

impl Http {
    pub fn new(plan: &ProviderPlan, auth: Auth) -> Result<Self, ProviderError>;

    /// The provider's name in the pipeline file.
    pub fn provider(&self) -> &str;

    /// POSTs JSON and returns the whole body of a 2xx answer.
    pub async fn post(&self, path: &str, headers: &[(&'static str, &str)], body: &Value, cost: Cost) -> Result<Answer, ProviderError>;

    /// POSTs JSON and returns once the status is 2xx; retries happen before that only.
    pub async fn post_stream(&self, path: &str, headers: &[(&'static str, &str)], body: &Value, cost: Cost) -> Result<Streaming, ProviderError>;

    /// GETs once: no limits, no retries. A short `timeout` answers "is it running?".
    pub async fn get(&self, path: &str, timeout: Duration) -> Result<Answer, ProviderError>;

    /// The error that a provider's error object means (the body of a refusal, or what comes in mid-stream after a 200):
    /// `status` is the HTTP status, or `None` in mid-stream, where the object's own code or type decides.
    /// Redacted, bounded, with a hint.
    pub fn refusal(&self, status: Option<u16>, body: &Value) -> ProviderError;

    /// An error of this kind in our own words, redacted and bounded (`BadAnswer` for what breaks the protocol, `Network` for a
    /// stream that ended before its end mark).
    pub fn error(&self, kind: ErrorKind, message: impl Into<String>) -> ProviderError;
}
