//! A response: its status, its headers, its body or a part of one, and what each says.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use bytes::{Buf, Bytes, BytesMut};
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION, SERVER};
use reqwest::{Response, StatusCode};
use serde_json::Value;
use tokio::time::timeout;

use super::connection::Http;
use super::request::Call;
use crate::limits::InFlight;
use crate::providers::json::error_in;
use crate::providers::peer::Peer;
use crate::providers::retry::{FailedAttempt, server_wait, should_retry};
use crate::providers::{ErrorKind, ProviderError};

/// The largest answer that is read. 2,048 vectors of 3,072 numbers, written as decimal text, are 80 MB.
const MAX_BODY: usize = 128 << 20;

/// What some put before a text in UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Bytes that are read of a refusal.
const MAX_REFUSAL: usize = 64 << 10;

impl Http {
    /// The answer, if its status is 2xx.
    pub(super) async fn accepted(
        &self,
        sent: reqwest::Result<Response>,
        call: Option<&Call<'_>>,
    ) -> Result<Response, FailedAttempt> {
        let response = sent.map_err(|error| self.not_sent(error))?;
        self.answered.store(true, Ordering::Relaxed);
        let status = response.status();
        let headers = response.headers().clone();
        if headers.get(SERVER).is_some_and(|server| server.as_bytes().starts_with(b"llama.cpp")) {
            self.works_on.store(true, Ordering::Relaxed);
        }
        // The headers of what is limited apart tell of other limits.
        let apart = call.is_some_and(|call| call.apart);
        if !apart && self.limiter.observe(&headers) {
            self.keep_learned();
        }
        if status.is_success() {
            return Ok(response);
        }
        let body = read_some(response).await;
        let said = serde_json::from_slice(&body).unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&body).into_owned()));
        let mut error = self.peer.refusal(Some(status.as_u16()), &said, call.and_then(|call| call.model));
        error.retry_after = server_wait(&headers, SystemTime::now()).or(error.retry_after);
        if let Some(target) = headers.get(LOCATION).filter(|_| status.is_redirection()) {
            error = self.redirected(status, target);
        }
        Err(FailedAttempt { error, should_retry: should_retry(&headers), at_most: None })
    }

    fn redirected(&self, status: StatusCode, target: &HeaderValue) -> ProviderError {
        let target = String::from_utf8_lossy(target.as_bytes());
        let mut error = self.error(ErrorKind::NotFound, format!("redirects to {target}, which is not followed"));
        error.status = Some(status.as_u16());
        error.hint = Some(format!("set `base_url` of the provider `{}` to where it really is", self.peer.name));
        error
    }

    /// The whole body, unless it is a web page.
    pub(super) async fn read(&self, response: Response) -> Result<Bytes, FailedAttempt> {
        let page = page_type(response.headers());
        let body = read_body(response).await.map_err(|unread| match unread {
            Unread::TooLarge => self.error(ErrorKind::BadAnswer, format!("the answer is larger than {} MiB", MAX_BODY >> 20)),
            Unread::Cut(error) => cut(&self.peer, error),
        })?;
        match page.filter(|_| begins_like_a_page(&body)) {
            Some(page) => Err(self.web_page(&page)),
            None => Ok(body),
        }
    }

    /// What has to be read of a body that says that it is a web page, to tell whether it is one. Nothing of any other: nobody waits for it.
    pub(super) async fn beginning(&self, response: &mut Response) -> Result<Bytes, FailedAttempt> {
        let Some(page) = page_type(response.headers()) else { return Ok(Bytes::new()) };
        let mut first = BytesMut::new();
        while first.len() < MAX_REFUSAL
            && first.trim_ascii_start().len() <= BYTE_ORDER_MARK.len()
            && let Some(piece) = response.chunk().await.map_err(|error| cut(&self.peer, error))?
        {
            first.extend_from_slice(&piece);
        }
        if begins_like_a_page(&first) { Err(self.web_page(&page)) } else { Ok(first.freeze()) }
    }

    /// The error of an address where something else is than an API: a login, a proxy, the server's own pages. It is there the next time,
    /// too.
    fn web_page(&self, content_type: &str) -> FailedAttempt {
        let message = format!("answers with a web page ({content_type}) in place of an API's answer");
        let hint = format!("check `base_url` of the provider `{}` ({})", self.peer.name, self.peer.shown_url());
        FailedAttempt::from(self.error(ErrorKind::NotFound, message).with_hint(hint)).at_most(1)
    }

    /// Before there was a status.
    fn not_sent(&self, error: reqwest::Error) -> FailedAttempt {
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
        FailedAttempt { error: said, should_retry: None, at_most: never_connected.then_some(2) }
    }
}

/// The content type, where it is that of a web page.
fn page_type(headers: &HeaderMap) -> Option<String> {
    let said = String::from_utf8_lossy(headers.get(CONTENT_TYPE)?.as_bytes()).trim().to_owned();
    let media = said.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    matches!(&*media, "text/html" | "application/xhtml+xml").then_some(said)
}

/// Whether a body that says that it is a web page begins like one. Neither JSON nor events do, which some servers send as `text/html`.
fn begins_like_a_page(body: &[u8]) -> bool {
    body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body).trim_ascii_start().starts_with(b"<")
}

/// The reason why a body could not be read.
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
    let mut body = body.freeze();
    if body.starts_with(BYTE_ORDER_MARK) {
        // It is none of the JSON behind it.
        body.advance(BYTE_ORDER_MARK.len());
    }
    Ok(body)
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
    // The address is right: it answered.
    said.hint = None;
    said.source = Some(Box::new(error.without_url()));
    said
}

/// The body as it comes, behind what was read of it already. Whatever ends it, dropping it included, ends the request.
pub(super) fn pieces(
    first: Bytes,
    mut response: Response,
    in_flight: InFlight,
    peer: Arc<Peer>,
    within: Duration,
) -> BoxStream<'static, Result<Bytes, ProviderError>> {
    let pieces = async_stream::stream! {
        if !first.is_empty() {
            yield Ok(first);
        }
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
                    let mut said = peer.error(ErrorKind::Timeout, message);
                    said.hint = Some(format!("raise `timeout` of the provider `{}`: no silence may be longer", peer.name));
                    yield Err(said);
                    break;
                }
            }
        }
    };
    // Not only until its last piece: who has read it may still have to keep what it said.
    pieces
        .map(move |piece| {
            let _held = &in_flight;
            piece
        })
        .boxed()
}

/// An `error` object behind a 2xx status, as `OpenRouter` sends it. Vectors are long and errors are short, so a long body is
/// not read twice.
pub(super) fn hidden_refusal(body: &[u8]) -> Option<Value> {
    if body.len() > MAX_REFUSAL || !body.trim_ascii_start().starts_with(b"{") {
        return None;
    }
    let value: Value = serde_json::from_slice(body).ok()?;
    error_in(&value).is_some().then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_web_page_is_told_from_what_only_says_that_it_is_one() {
        let page = |content_type: &'static str| {
            page_type(&[(CONTENT_TYPE, HeaderValue::from_static(content_type))].into_iter().collect())
        };
        assert_eq!(page("text/html; charset=utf-8").as_deref(), Some("text/html; charset=utf-8"));
        assert!(page("Text/HTML").is_some() && page("application/xhtml+xml").is_some());
        for other in ["application/json", "text/event-stream", "text/plain", "application/octet-stream", "text/htmlx", ""] {
            assert_eq!(page(other), None);
        }
        assert_eq!(page_type(&HeaderMap::new()), None);
        for begins in ["<!doctype html>", "\r\n <HTML>", "\u{feff}<?xml version='1.0'?>", "<!-- 登录 --><html>"] {
            assert!(begins_like_a_page(begins.as_bytes()), "{begins}");
        }
        for other in ["", " ", "{\"data\": \"<html>\"}", "data: {}", ": comment", "[]", "\u{feff}{}", "请登录"] {
            assert!(!begins_like_a_page(other.as_bytes()), "{other}");
        }
    }
}
