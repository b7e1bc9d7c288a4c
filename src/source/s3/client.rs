//! What is asked of a bucket: a page of its list, or an object. Everything is bounded, and no redirect is followed.

use std::error::Error as _;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use reqwest::header::{self, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Response, StatusCode};
use rusty_s3::actions::GetObject;
use rusty_s3::{Bucket, Credentials, S3Action as _};
use tokio::time::timeout;

use super::failure::{Asked, Failure, Kind};
use super::listing::{self, Answer, Page};
use super::plan::S3Plan;
use crate::source::body::{Bounded, Unread};

/// A connection is there sooner, or not at all.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a signature holds: a request may wait for a connection, and clocks differ.
const SIGNED_FOR: Duration = Duration::from_mins(15);
/// Bytes of a page: a thousand keys of 1,024 bytes, each of which may be written as `%xx`.
const MAX_PAGE: usize = 16 << 20;
/// Bytes that are read of a refusal.
const MAX_REFUSAL: usize = 64 << 10;
/// Bytes of a header that is kept.
const MAX_HEADER: usize = 512;
/// A body comes faster than this, in bytes a second, or not at all.
const SLOWEST: u64 = 16 << 10;
/// Pauses between the attempts at what may succeed in a moment.
const PAUSES: [Duration; 3] = [Duration::from_millis(300), Duration::from_secs(1), Duration::from_secs(3)];

/// An object as it came.
#[derive(Debug)]
pub(super) struct Whole {
    /// Decompressed, where it is kept compressed.
    pub bytes: Vec<u8>,
    /// Bytes of the object itself.
    pub size: u64,
    pub etag: Option<String>,
    pub modified: Option<SystemTime>,
    pub media_type: Option<String>,
}

/// Who asks a bucket.
pub(super) struct Client {
    bucket: Bucket,
    prefix: String,
    credentials: Option<Credentials>,
    timeout: Duration,
    max_bytes: usize,
    http: OnceLock<Result<reqwest::Client, Failure>>,
}

impl Client {
    /// For the bucket of a plan. Nothing is asked yet.
    pub fn new(plan: &S3Plan) -> Self {
        let credentials = plan.login.as_ref().map(|login| {
            let (key, secret) = (login.access_key.expose(), login.secret_key.expose());
            match &login.session_token {
                Some(token) => Credentials::new_with_token(key, secret, token.expose()),
                None => Credentials::new(key, secret),
            }
        });
        Self {
            bucket: plan.bucket.clone(),
            prefix: plan.prefix.clone(),
            credentials,
            timeout: plan.timeout,
            max_bytes: usize::try_from(plan.max_bytes).unwrap_or(usize::MAX),
            http: OnceLock::new(),
        }
    }

    /// The page of the list that a token stands for, or the first one.
    pub async fn page(&self, token: Option<&str>) -> Result<Page, Failure> {
        let mut query = vec![("list-type", "2"), ("encoding-type", "url")];
        if !self.prefix.is_empty() {
            query.push(("prefix", &self.prefix));
        }
        query.extend(token.map(|token| ("continuation-token", token)));
        patiently(|| async {
            let response = self.get("", &query, None).await?;
            let (bytes, _) = self.body(response, MAX_PAGE).await?;
            match listing::read(&bytes) {
                Ok(Answer::Page(page)) => Ok(page),
                Ok(Answer::Refused(refusal)) => Err(refusal.means(&self.asked(&self.host(), false, &self.secrets()))),
                // A connection may have broken off without a word.
                Err(listing::CUT) => Err(Failure::transient("a page of the list of objects ends too early")),
                Err(why) => {
                    Err(Failure::new(format!("{} does not answer as S3 does: {why}", self.host())).hint("look at `endpoint`"))
                }
            }
        })
        .await
    }

    /// An object; only in this state, where one is given. A body of another length than `size` is not whole.
    pub async fn object(&self, key: &str, state: Option<&str>, size: Option<u64>) -> Result<Whole, Failure> {
        patiently(|| async {
            let response = self.get(key, &[], state).await?;
            let headers = response.headers();
            let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
            let kept = |name| text(name).filter(|text| !text.is_empty() && text.len() <= MAX_HEADER);
            let (etag, media_type) = (kept(header::ETAG), kept(header::CONTENT_TYPE));
            let modified = text(header::LAST_MODIFIED).and_then(|date| httpdate::parse_http_date(&date).ok());
            let (bytes, wire) = self.body(response, self.max_bytes).await?;
            let same = etag.as_deref() == state;
            if size.is_some_and(|size| same && size != wire) {
                return Err(Failure::transient("the object came in another length than was announced"));
            }
            Ok(Whole { bytes, size: wire, etag, modified, media_type })
        })
        .await
    }

    /// An answer that is a success, and its head alone.
    async fn get(&self, key: &str, query: &[(&'static str, &str)], state: Option<&str>) -> Result<Response, Failure> {
        let request = {
            // Of no key it is the address of the bucket itself.
            let mut action = GetObject::new(&self.bucket, self.credentials.as_ref(), key);
            for (name, value) in query {
                action.query_mut().insert(*name, *value);
            }
            let request = self.http()?.get(action.sign(SIGNED_FOR));
            match state.and_then(|state| HeaderValue::from_str(state).ok()) {
                Some(state) => request.header(header::IF_MATCH, state),
                None => request,
            }
        };
        let response = match timeout(self.timeout, request.send()).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(self.unsent(error)),
            Err(_) => return Err(self.silent()),
        };
        // A part of an object was not asked for, nor what a cache holds.
        if response.status() == StatusCode::OK {
            return Ok(response);
        }
        let (status, headers) = (response.status(), response.headers().clone());
        let body = self.some(response).await;
        let mut refusal = listing::refusal(&body);
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        refusal.status = status.as_u16();
        refusal.region = text("x-amz-bucket-region").or(refusal.region);
        refusal.date = text("date").and_then(|date| httpdate::parse_http_date(&date).ok());
        Err(refusal.means(&self.asked(&self.host(), !key.is_empty(), &self.secrets())))
    }

    fn http(&self) -> Result<&reqwest::Client, Failure> {
        let client = self.http.get_or_init(|| {
            // Fails when one is installed already, which is as good.
            let _ = rustls::crypto::ring::default_provider().install_default();
            let mut client = reqwest::Client::builder()
                .user_agent(concat!("ragstream/", env!("CARGO_PKG_VERSION")))
                // The signature is for this host.
                .redirect(reqwest::redirect::Policy::none())
                .connect_timeout(CONNECT_TIMEOUT.min(self.timeout))
                // What is decoded is bounded here.
                .no_gzip();
            let url = self.bucket.base_url();
            if url.scheme() == "http" {
                // A bare container has no root certificates, and needs none.
                client = client.tls_certs_only([]);
            }
            if crate::providers::is_loopback(url) {
                client = client.no_proxy();
            }
            client.build().map_err(|error| {
                Failure::new(format!("TLS cannot be set up: {}", causes(error)))
                    .hint("install the system's root certificates (ca-certificates), or point SSL_CERT_FILE to some")
            })
        });
        client.as_ref().map_err(Clone::clone)
    }

    /// A whole body, decompressed, and how long it was before that.
    async fn body(&self, mut response: Response, limit: usize) -> Result<(Vec<u8>, u64), Failure> {
        let gzip = is_gzip(response.headers())?;
        let announced = response.content_length();
        if !gzip && announced.is_some_and(|length| length > limit as u64) {
            return Err(Failure::of(Kind::TooLarge));
        }
        let most = announced.unwrap_or(limit as u64) / SLOWEST;
        let reading = async {
            let mut body = Bounded::new(gzip, limit);
            loop {
                match timeout(self.timeout, response.chunk()).await {
                    Ok(Ok(Some(piece))) => body.push(&piece).map_err(unfit)?,
                    Ok(Ok(None)) => break,
                    Ok(Err(error)) => return Err(Failure::transient(format!("the connection broke off: {}", causes(error)))),
                    Err(_) => return Err(self.silent()),
                }
            }
            let wire = body.wire();
            Ok((body.finish().map_err(unfit)?, wire))
        };
        let within = self.timeout.saturating_add(Duration::from_secs(most));
        timeout(within, reading).await.unwrap_or_else(|_| Err(Failure::transient(format!("{} is too slow", self.host()))))
    }

    /// The beginning of a body.
    async fn some(&self, mut response: Response) -> Vec<u8> {
        let mut bytes = Vec::new();
        let reading = async {
            while let Ok(Some(piece)) = response.chunk().await {
                bytes.extend_from_slice(&piece);
                if bytes.len() > MAX_REFUSAL {
                    break;
                }
            }
        };
        // What came is as good as anything.
        let _ = timeout(self.timeout, reading).await;
        bytes
    }

    fn unsent(&self, error: reqwest::Error) -> Failure {
        let host = self.host();
        if error.is_timeout() {
            return self.silent();
        }
        let failure = Failure::transient(format!("{host} cannot be reached: {}", causes(error)));
        failure.hint("look at `endpoint`, and whether it begins with http:// or https://")
    }

    fn silent(&self) -> Failure {
        Failure::transient(format!("{} does not answer within {:?}", self.host(), self.timeout))
    }

    /// The server, as people say it.
    fn host(&self) -> String {
        let url = self.bucket.base_url();
        let port = url.port().map_or_else(String::new, |port| format!(":{port}"));
        format!("{}{port}", url.host_str().unwrap_or_default())
    }

    fn secrets(&self) -> Vec<&str> {
        let Some(login) = &self.credentials else { return Vec::new() };
        [Some(login.secret()), login.token(), Some(login.key())].into_iter().flatten().collect()
    }

    fn asked<'a>(&'a self, host: &'a str, object: bool, secrets: &'a [&'a str]) -> Asked<'a> {
        let (bucket, region) = (self.bucket.name(), self.bucket.region());
        Asked { bucket, host, region, object, signed: self.credentials.is_some(), secrets }
    }
}

/// Asks again while that may help.
async fn patiently<T, F>(attempt: impl Fn() -> F) -> Result<T, Failure>
where
    F: Future<Output = Result<T, Failure>>,
{
    for pause in PAUSES {
        match attempt().await {
            Err(failure) if failure.kind == Kind::Transient => {
                tracing::debug!(%failure, "the bucket is asked again");
                tokio::time::sleep(pause).await;
            }
            other => return other,
        }
    }
    attempt().await
}

/// Whether a body is compressed. What a client of AWS wrote in pieces says so here, too.
fn is_gzip(headers: &HeaderMap) -> Result<bool, Failure> {
    let all = headers.get_all(header::CONTENT_ENCODING);
    let mut gzip = false;
    for encoding in all.iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')) {
        match encoding.trim().to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" if !gzip => gzip = true,
            known @ ("gzip" | "x-gzip" | "br" | "zstd" | "deflate" | "compress") => {
                return Err(Failure::new(format!("the object is compressed in a way that is not read: {known}")));
            }
            // What is no encoding at all is met, too.
            _ => {}
        }
    }
    Ok(gzip)
}

fn unfit(unread: Unread) -> Failure {
    match unread {
        Unread::TooLarge => Failure::of(Kind::TooLarge),
        Unread::Damaged => Failure::new("the object says that it is compressed, and cannot be decompressed"),
    }
}

/// An error in a line, without the address, in which the signature stands.
fn causes(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = inner.to_string();
        cause = inner.source();
    }
    text
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test may panic")]
mod tests {
    use super::*;

    #[test]
    fn compression_is_told_from_what_is_none() {
        let gzip = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_ENCODING, value.parse().unwrap());
            is_gzip(&headers)
        };
        for (value, compressed) in
            [("gzip", true), ("aws-chunked,gzip", true), ("aws-chunked", false), ("utf-8", false), ("", false)]
        {
            assert_eq!(gzip(value), Ok(compressed), "{value}");
        }
        assert!(gzip("br").is_err() && gzip("gzip, gzip").is_err());
        assert_eq!(is_gzip(&HeaderMap::new()), Ok(false));
    }

    #[tokio::test(start_paused = true)]
    async fn only_what_may_pass_is_tried_again_and_not_for_ever() {
        let tries = std::cell::Cell::new(0);
        let count = |failure: Failure| {
            tries.set(0);
            let tries = &tries;
            move || {
                tries.set(tries.get() + 1);
                let failure = failure.clone();
                async move { Err::<(), _>(failure) }
            }
        };
        patiently(count(Failure::transient("busy"))).await.unwrap_err();
        assert_eq!(tries.get(), 4);
        patiently(count(Failure::new("no"))).await.unwrap_err();
        assert_eq!(tries.get(), 1);
    }
}
