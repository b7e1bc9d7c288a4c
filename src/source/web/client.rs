//! One HTTP client of a crawl: one request at a time, no redirect followed by itself, everything bounded, each address checked, and
//! what is secret sent to whom it is meant for.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use reqwest::header::{self, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Response, StatusCode};
use tokio::time::{Instant, timeout};
use url::{Origin, Url};

use super::address::Guard;
pub(super) use super::failure::ClientError;
use super::failure::{causes, shown, unsent};
use crate::limits::parse_duration;
use crate::providers::Secret;
use crate::source::body::{Bounded, Unread};

/// A connection is there sooner, or not at all.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes that are read of an answer that is no page.
const MAX_REFUSAL: usize = 64 << 10;

/// Bytes of a validator that are kept: it is remembered for each page.
const MAX_VALIDATOR: usize = 512;

/// How exactly servers tell the time, which they do in whole seconds.
const GRAIN: Duration = Duration::from_secs(1);

/// A page that changed so shortly before an answer that does not say when it was made may not have changed at all.
const SETTLED: Duration = Duration::from_hours(24);

/// What a client is made of.
#[derive(Debug, Clone)]
pub(super) struct ClientPlan {
    /// Who asks.
    pub(super) user_agent: String,
    /// Headers that go to `origins`, and nowhere else.
    pub(super) headers: Vec<(String, Secret)>,
    /// Those that began: whom `headers` are for.
    pub(super) origins: Vec<Origin>,
    /// What may be connected to.
    pub(super) guard: Guard,
    /// Bytes of a body, decoded.
    pub(super) max_bytes: usize,
    /// From the request to the first byte of its answer.
    pub(super) timeout: Duration,
    /// From the first byte to the last.
    pub(super) body_timeout: Duration,
    /// What [`login_of`] found in the seeds.
    pub(super) logins: Vec<(Origin, Secret)>,
}

/// What a user and a password that are written in a seed are to its origin, as `Authorization` has it.
pub(super) fn login_of(seed: &Url) -> Option<(Origin, Secret)> {
    if seed.username().is_empty() && seed.password().is_none() {
        return None;
    }
    let decoded = |text| percent_encoding::percent_decode_str(text).collect::<Vec<u8>>();
    let pair = [decoded(seed.username()), b":".to_vec(), decoded(seed.password().unwrap_or_default())].concat();
    Some((seed.origin(), Secret::new(format!("Basic {}", BASE64.encode(pair)))))
}

/// The URL without user and password.
pub(super) fn without_login(url: &Url) -> Url {
    let mut url = url.clone();
    // Both fail for URLs that cannot have them anyway.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url
}

/// What is asked about a page.
#[derive(Debug, Clone, Default)]
pub(super) struct Ask<'a> {
    /// `Accept`; empty: anything.
    pub(super) accept: &'a str,
    /// Entity tags of what is known already, as they came.
    pub(super) etags: Vec<String>,
    /// `Last-Modified` of what is known already, as it came: nginx compares the text.
    pub(super) modified_since: Option<String>,
    /// So many bytes of the body will do; what follows is not read.
    pub(super) enough: Option<usize>,
}

/// An answer, whatever its status.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// Where a redirect leads, without user and password.
    pub(super) location: Option<Url>,
    /// As they came, to be sent back so.
    pub(super) etag: Option<String>,
    pub(super) last_modified: Option<String>,
    /// When the server made it, by its own clock: some time ago, where a cache gave it.
    pub(super) made: Option<SystemTime>,
    pub(super) content_type: Option<String>,
    pub(super) x_robots_tag: Vec<String>,
    pub(super) link: Vec<String>,
    pub(super) content_signal: Option<String>,
    pub(super) retry_after: Option<Duration>,
    /// How long it may be kept; zero: not at all.
    pub(super) max_age: Option<Duration>,
    /// All of it, decoded, of a 2xx; else its first 64 KiB at most.
    pub(super) body: Vec<u8>,
    /// From the request to the last byte.
    pub(super) took: Duration,
    /// Bytes of the body as they came, before they were decoded.
    pub(super) wire_bytes: u64,
}

impl Answer {
    /// Whether it holds what was asked for.
    pub(super) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// When the page was changed, in seconds since the Unix epoch, as the server says. Many servers call each answer new: what they
    /// say is a time between the request and the answer, and tells nothing of the page.
    pub(super) fn changed(&self, now: SystemTime) -> Option<i64> {
        let changed = httpdate::parse_http_date(self.last_modified.as_deref()?).ok()?;
        let asked = match self.made {
            Some(made) => made.checked_sub(self.took + GRAIN)?,
            // By this machine's clock, which may be another.
            None => now.checked_sub(SETTLED)?,
        };
        let seconds = changed.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs();
        (changed < asked).then(|| i64::try_from(seconds).ok()).flatten()
    }
}

/// Asks for pages. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Client {
    http: reqwest::Client,
    plan: Arc<ClientPlan>,
    /// `plan.headers`, ready to be sent.
    headers: HeaderMap,
}

impl Client {
    pub(super) fn new(plan: ClientPlan) -> Result<Self, ClientError> {
        // Fails when one is installed already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut headers = HeaderMap::new();
        for (name, value) in &plan.headers {
            let sent = name.parse::<HeaderName>().ok().zip(HeaderValue::from_str(value.expose().trim()).ok());
            let (name, mut value) = sent.ok_or_else(|| ClientError::Setup(format!("the header `{name}` cannot be sent")))?;
            value.set_sensitive(true);
            headers.append(name, value);
        }
        let builder = || {
            reqwest::Client::builder()
                .user_agent(plan.user_agent.as_str())
                .redirect(reqwest::redirect::Policy::none())
                // A proxy would connect to what the guard never sees.
                .no_proxy()
                .dns_resolver(Arc::new(plan.guard.clone()))
                .connect_timeout(CONNECT_TIMEOUT.min(plan.timeout))
                // What is decoded is bounded here, and what came is counted.
                .no_gzip()
                // As browsers do.
                .http1_ignore_invalid_headers_in_responses(true)
                .http1_allow_spaces_after_header_name_in_responses(true)
                .http1_allow_obsolete_multiline_headers_in_responses(true)
        };
        // A server without TLS needs no root certificates, and a bare container has none.
        let bare = plan.origins.iter().all(|origin| matches!(origin, Origin::Tuple(scheme, ..) if scheme == "http"));
        let http = builder().build().or_else(|error| if bare { builder().tls_certs_only([]).build() } else { Err(error) });
        let http = http.map_err(|error| ClientError::Setup(causes(&error)))?;
        Ok(Self { http, plan: Arc::new(plan), headers })
    }

    /// Asks once. A redirect is an answer; whether it may be followed is the caller's to say.
    pub(super) async fn get(&self, url: &Url, ask: &Ask<'_>) -> Result<Answer, ClientError> {
        let url = without_login(url);
        if !is_web(&url) {
            return Err(ClientError::NotWeb(shown(url.as_str())));
        }
        self.plan.guard.check_url(&url)?;
        let began = Instant::now();
        let request = self.http.get(url.clone()).headers(self.headers_for(&url, ask));
        let sent = timeout(self.plan.timeout, request.send()).await;
        let response = match sent {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(unsent(&url, error, CONNECT_TIMEOUT.min(self.plan.timeout))),
            Err(_) => return Err(ClientError::Timeout { within: self.plan.timeout }),
        };
        let mut answer = head(&url, response.status(), response.headers())?;
        let limit = self.plan.max_bytes;
        if answer.is_success() {
            let within = self.plan.body_timeout;
            let body = timeout(within, whole(response, limit, ask.enough, &mut answer.wire_bytes)).await;
            answer.body = body.map_err(|_| ClientError::Slow { within })??;
        } else {
            let some = some(response, limit.min(MAX_REFUSAL), &mut answer.wire_bytes);
            answer.body = timeout(self.plan.body_timeout, some).await.unwrap_or_default();
        }
        answer.took = began.elapsed();
        Ok(answer)
    }

    fn headers_for(&self, url: &Url, ask: &Ask<'_>) -> HeaderMap {
        let origin = url.origin();
        let mut headers = if self.plan.origins.contains(&origin) { self.headers.clone() } else { HeaderMap::new() };
        let login = self.plan.logins.iter().find(|(of, _)| *of == origin);
        if let Some((_, login)) = login.filter(|_| !headers.contains_key(header::AUTHORIZATION))
            && let Ok(mut value) = HeaderValue::from_str(login.expose())
        {
            value.set_sensitive(true);
            headers.insert(header::AUTHORIZATION, value);
        }
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        let accept = if ask.accept.is_empty() { "*/*" } else { ask.accept };
        let known = none_match(&ask.etags);
        let texts = [
            (header::ACCEPT, Some(accept)),
            (header::IF_NONE_MATCH, known.as_deref()),
            (header::IF_MODIFIED_SINCE, ask.modified_since.as_deref()),
        ];
        for (name, text) in texts {
            if let Some(value) = text.and_then(|text| HeaderValue::from_bytes(text.as_bytes()).ok()) {
                headers.insert(name, value);
            }
        }
        headers
    }
}

/// What the head of an answer says.
fn head(url: &Url, status: StatusCode, headers: &HeaderMap) -> Result<Answer, ClientError> {
    let text = |name: HeaderName| headers.get(name).and_then(written);
    let all = |name: &str| headers.get_all(name).iter().filter_map(written).collect::<Vec<String>>();
    let validator = |name| text(name).filter(|text| text.len() <= MAX_VALIDATOR && !text.is_empty());
    let target = headers.get(header::LOCATION).filter(|_| status.is_redirection());
    let location = target.map(|target| leads_to(url, target)).transpose()?;
    let asked = text(header::RETRY_AFTER);
    let retry_after = asked.and_then(|asked| pause(&asked, SystemTime::now()));
    Ok(Answer {
        status: status.as_u16(),
        location,
        etag: validator(header::ETAG),
        last_modified: validator(header::LAST_MODIFIED),
        made: made(text(header::DATE).as_deref(), text(header::AGE).as_deref()),
        content_type: text(header::CONTENT_TYPE),
        x_robots_tag: all("x-robots-tag"),
        link: all("link"),
        content_signal: Some(all("content-signal").join(", ")).filter(|signal| !signal.is_empty()),
        retry_after,
        max_age: max_age(&all("cache-control").join(",")),
        body: Vec::new(),
        took: Duration::ZERO,
        wire_bytes: 0,
    })
}

/// When an answer was made. Some caches keep its date, others say their own and how old it is: the older one of both counts.
fn made(date: Option<&str>, age: Option<&str>) -> Option<SystemTime> {
    let date = httpdate::parse_http_date(date?).ok()?;
    let age = age.and_then(|age| age.trim().parse().ok()).map(Duration::from_secs);
    date.checked_sub(age.unwrap_or_default())
}

/// A header's value, where it is text.
fn written(value: &HeaderValue) -> Option<String> {
    std::str::from_utf8(value.as_bytes()).ok().map(|text| text.trim().to_owned())
}

/// Where a redirect leads. In the wild its address is often written in plain UTF-8.
fn leads_to(url: &Url, target: &HeaderValue) -> Result<Url, ClientError> {
    let target = String::from_utf8_lossy(target.as_bytes());
    let found = url.join(target.trim()).ok().filter(is_web);
    found.map(|found| without_login(&found)).ok_or_else(|| ClientError::Elsewhere(shown(&target)))
}

fn is_web(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https") && url.has_host()
}

/// The pause that is asked for: seconds, or a date.
fn pause(text: &str, now: SystemTime) -> Option<Duration> {
    parse_duration(text).or_else(|| {
        let date = httpdate::parse_http_date(text).ok()?;
        Some(date.duration_since(now).unwrap_or_default())
    })
}

/// How long an answer may be kept.
fn max_age(control: &str) -> Option<Duration> {
    let directives = || control.split(',').map(|part| part.trim().to_ascii_lowercase());
    if directives().any(|part| part == "no-store" || part == "no-cache") {
        return Some(Duration::ZERO);
    }
    directives().find_map(|part| part.strip_prefix("max-age=")?.trim_matches('"').parse().ok().map(Duration::from_secs))
}

/// `If-None-Match` of what is known. Apache adds `-gzip` to the tag of what it compresses, and then knows only the tag without.
fn none_match(etags: &[String]) -> Option<String> {
    let mut tags: Vec<String> = Vec::new();
    for etag in etags {
        let bare = etag.strip_suffix("-gzip\"").map(|bare| format!("{bare}\""));
        for tag in [Some(etag.clone()), bare].into_iter().flatten() {
            if !tags.contains(&tag) {
                tags.push(tag);
            }
        }
    }
    (!tags.is_empty()).then(|| tags.join(", "))
}

fn is_gzip(response: &Response) -> Result<bool, ClientError> {
    let encoding = response.headers().get(header::CONTENT_ENCODING).and_then(written).unwrap_or_default();
    match encoding.to_ascii_lowercase().as_str() {
        "gzip" | "x-gzip" => Ok(true),
        "br" | "zstd" | "deflate" | "compress" => Err(ClientError::Damaged("it is compressed in a way that was not asked for")),
        // What is no encoding at all (`utf-8`, `none`) is met, too.
        _ => Ok(false),
    }
}

/// The whole body, or what is enough of it, or why not.
async fn whole(mut response: Response, limit: usize, enough: Option<usize>, wire: &mut u64) -> Result<Vec<u8>, ClientError> {
    let unread = |unread| match unread {
        Unread::TooLarge => ClientError::TooLarge { limit },
        Unread::Damaged => ClientError::Damaged("it cannot be decompressed"),
    };
    let gzip = is_gzip(&response)?;
    let limit = enough.unwrap_or(limit);
    if enough.is_none() && !gzip && response.content_length().is_some_and(|length| length > limit as u64) {
        return Err(ClientError::TooLarge { limit });
    }
    let mut body = Bounded::new(gzip, limit);
    while let Some(piece) = response.chunk().await.map_err(|error| ClientError::Broken(error.without_url()))? {
        let pushed = body.push(&piece);
        *wire = body.wire();
        match pushed {
            Err(Unread::TooLarge) if enough.is_some() => return Ok(body.so_far()),
            pushed => pushed.map_err(unread)?,
        }
    }
    body.finish().map_err(unread)
}

/// The beginning of a body: what is there, if it breaks off.
async fn some(mut response: Response, limit: usize, wire: &mut u64) -> Vec<u8> {
    let Ok(gzip) = is_gzip(&response) else { return Vec::new() };
    let mut body = Bounded::new(gzip, limit);
    while let Ok(Some(piece)) = response.chunk().await {
        let pushed = body.push(&piece);
        *wire = body.wire();
        if pushed.is_err() {
            break;
        }
    }
    body.so_far()
}

#[cfg(test)]
mod tests;
