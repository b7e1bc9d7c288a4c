//! A site on this machine that can be edited, and that can break in all the ways in which sites break.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};

/// One page, or anything else that has an address.
#[derive(Debug, Clone)]
pub struct Page {
    pub status: u16,
    pub media_type: String,
    pub body: Vec<u8>,
    pub headers: Vec<(String, String)>,
}

impl Page {
    pub fn html(body: impl Into<String>) -> Self {
        let body = format!("<!doctype html><html><body>{}</body></html>", body.into());
        Self { status: 200, media_type: "text/html; charset=utf-8".into(), body: body.into(), headers: Vec::new() }
    }

    pub fn text(media_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self { status: 200, media_type: media_type.into(), body: body.into(), headers: Vec::new() }
    }

    pub fn status(status: u16) -> Self {
        Self { status, media_type: "text/html".into(), body: format!("<p>{status}</p>").into(), headers: Vec::new() }
    }

    pub fn redirect(to: &str) -> Self {
        Self::status(302).with("location", to)
    }

    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }
}

/// A page of a manual: a heading, words of its own, and links.
pub fn manual(title: &str, links: &[&str]) -> Page {
    let links = links.iter().map(|link| format!("<li><a href=\"{link}\">{link}</a></li>")).collect::<Vec<_>>().concat();
    let words = format!("{title} describes the {title} of the lantern, and why {title} matters to whoever keeps the light.");
    Page::html(format!(
        "<title>{title}</title><nav><ul>{links}</ul></nav><main><h1 id=\"top\">{title}</h1><p>{words}</p>\
         <h2 id=\"details\">Details of {title}</h2><p>{words} {words}</p></main>"
    ))
}

/// How everything is answered, whatever it is.
#[derive(Debug, Clone)]
pub enum Fault {
    None,
    /// All but robots.txt, where that is there.
    Status(u16),
    /// robots.txt alone.
    Robots(u16),
    /// All pages lead there.
    Redirect(String),
    /// The connection is closed halfway through the body.
    Cut,
}

/// A request that came.
#[derive(Debug, Clone)]
pub struct Asked {
    pub path: String,
    pub status: u16,
    pub bytes: usize,
    pub headers: HeaderMap,
}

#[derive(Debug)]
struct Inner {
    pages: BTreeMap<String, Page>,
    asked: Vec<Asked>,
    fault: Fault,
    /// What follows the hash in an `ETag` on the way out, as Apache does it with compressed answers; on the way in it is unknown.
    suffix: &'static str,
    validators: bool,
    delay: Duration,
    /// What is answered where there is nothing.
    otherwise: Page,
    /// What is elsewhere for whoever does not know it.
    moved: BTreeMap<String, String>,
}

/// A running site.
#[derive(Debug, Clone)]
pub struct Site {
    inner: Arc<Mutex<Inner>>,
    pub url: String,
}

impl Site {
    pub async fn start() -> Self {
        let inner = Inner {
            pages: BTreeMap::new(),
            asked: Vec::new(),
            fault: Fault::None,
            suffix: "",
            validators: true,
            delay: Duration::ZERO,
            otherwise: Page::status(404),
            moved: BTreeMap::new(),
        };
        let inner = Arc::new(Mutex::new(inner));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let app = Router::new().fallback(answer).with_state(Arc::clone(&inner));
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { inner, url }
    }

    pub fn put(&self, path: &str, page: Page) {
        self.inner.lock().unwrap().pages.insert(path.into(), page);
    }

    pub fn remove(&self, path: &str) {
        self.inner.lock().unwrap().pages.remove(path);
    }

    pub fn fault(&self, fault: Fault) {
        self.inner.lock().unwrap().fault = fault;
    }

    pub fn apache(&self) {
        self.inner.lock().unwrap().suffix = "-gzip";
    }

    pub fn without_validators(&self) {
        self.inner.lock().unwrap().validators = false;
    }

    pub fn otherwise(&self, page: Page) {
        self.inner.lock().unwrap().otherwise = page;
    }

    /// "Not modified" for whoever knows a page, and a redirect for all others.
    pub fn moved_when_asked_anew(&self, path: &str, to: &str) {
        self.inner.lock().unwrap().moved.insert(path.into(), to.into());
    }

    pub fn slow(&self, delay: Duration) {
        self.inner.lock().unwrap().delay = delay;
    }

    /// What was asked for since this was called last.
    pub fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.inner.lock().unwrap().asked)
    }

    /// Whether a request for this was answered so, of those that [`Self::asked`] has not told yet.
    pub fn has_answered(&self, path: &str, status: u16) -> bool {
        self.inner.lock().unwrap().asked.iter().any(|asked| asked.path == path && asked.status == status)
    }

    pub fn count(&self) -> usize {
        self.inner.lock().unwrap().asked.len()
    }

    pub fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }
}

async fn answer(State(inner): State<Arc<Mutex<Inner>>>, request: Request) -> Response {
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str()).to_owned();
    let (fault, page, suffix, validators, delay) = {
        let inner = inner.lock().unwrap();
        (
            inner.fault.clone(),
            inner.pages.get(&path).unwrap_or(&inner.otherwise).clone(),
            inner.suffix,
            inner.validators,
            inner.delay,
        )
    };
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    let robots = path == "/robots.txt";
    let page = match fault {
        Fault::Status(status) if !robots => Page::status(status),
        Fault::Robots(status) if robots => Page::status(status),
        Fault::Redirect(to) if !robots && path != to => Page::redirect(&to),
        Fault::Cut if !robots => {
            let Page { media_type, body, .. } = page;
            note(&inner, &path, 200, body.len() / 2, request.headers());
            let half = body[..body.len() / 2].to_vec();
            let broken = futures_util::stream::iter([Ok(half), Err(std::io::Error::other("cut"))]);
            return ([(header::CONTENT_TYPE, media_type)], Body::from_stream(broken)).into_response();
        }
        _ => page,
    };
    let hash = blake3::hash(&page.body).to_hex();
    let (etag, sent) = (format!("\"{}\"", &hash[..16]), format!("\"{}{suffix}\"", &hash[..16]));
    let known = request.headers().get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let known = known.flat_map(|line| line.split(',')).any(|known| known.trim() == etag);
    let moved = inner.lock().unwrap().moved.get(&path).filter(|_| !known).cloned();
    let page = moved.map_or(page, |to| Page::redirect(&to));
    let mut response = if known && validators && page.status == 200 {
        note(&inner, &path, 304, 0, request.headers());
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        note(&inner, &path, page.status, page.body.len(), request.headers());
        let status = StatusCode::from_u16(page.status).unwrap();
        (status, [(header::CONTENT_TYPE, page.media_type)], page.body).into_response()
    };
    if validators {
        response.headers_mut().insert(header::ETAG, sent.parse().unwrap());
    }
    for (name, value) in page.headers {
        response.headers_mut().append(header::HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
    }
    response
}

fn note(inner: &Mutex<Inner>, path: &str, status: u16, bytes: usize, headers: &HeaderMap) {
    let asked = Asked { path: path.into(), status, bytes, headers: headers.clone() };
    inner.lock().unwrap().asked.push(asked);
}
