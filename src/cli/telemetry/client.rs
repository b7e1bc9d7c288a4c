//! The HTTP client of the exporters.
//!
//! They export on threads of their own, with an executor that has no reactor: a client of reqwest's would panic there. So the request
//! is sent to the program's runtime, and only waited for here.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use opentelemetry_http::{HttpClient, HttpError, Request, Response};
use reqwest::redirect::Policy;
use tokio::runtime::Handle;
use tokio::time::timeout;
use url::{Host, Url};

use super::partial::refused;

/// Bytes of an answer that are read. A collector says little.
const MOST: usize = 1 << 20;

/// Sends what is exported.
#[derive(Debug)]
pub(super) struct Client {
    http: reqwest::Client,
    runtime: Handle,
    /// How long one request may take.
    patience: Duration,
    trouble: Arc<Trouble>,
    /// How much the collector got and has refused.
    refused: Arc<AtomicU64>,
}

/// Why the last request that failed did so.
#[derive(Debug, Default)]
pub(super) struct Trouble(Mutex<Option<String>>);

impl Trouble {
    fn set(&self, why: String) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
    }

    pub fn get(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Client {
    /// Follows no redirect: what is sent may carry a key. `endpoint` is where it is sent to.
    pub fn new(
        endpoint: Option<&Url>,
        runtime: Handle,
        patience: Duration,
        trouble: Arc<Trouble>,
        refused: Arc<AtomicU64>,
    ) -> Result<Self, reqwest::Error> {
        // Fails when one is installed already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut http = reqwest::Client::builder()
            .user_agent(concat!("ragstream/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::none())
            .connect_timeout(patience);
        if endpoint.is_some_and(|url| url.scheme() == "http") {
            // It needs no root certificates, and a bare container has none.
            http = http.tls_certs_only([]);
        }
        if endpoint.is_some_and(is_loopback) {
            // Another machine's "localhost" is not this one's.
            http = http.no_proxy();
        }
        Ok(Self { http: http.build()?, runtime, patience, trouble, refused })
    }

    async fn sent(http: reqwest::Client, request: Request<Bytes>) -> Result<Response<Bytes>, String> {
        let (parts, body) = request.into_parts();
        let request = http.request(parts.method, parts.uri.to_string()).headers(parts.headers).body(body);
        let mut answer = request.send().await.map_err(why)?;
        let mut response = Response::builder().status(answer.status());
        if let Some(headers) = response.headers_mut() {
            headers.clone_from(answer.headers());
        }
        let mut body = BytesMut::new();
        while let Some(piece) = answer.chunk().await.map_err(why)? {
            if body.len() + piece.len() > MOST {
                return Err("the answer is too long".to_owned());
            }
            body.extend_from_slice(&piece);
        }
        response.body(body.freeze()).map_err(|error| error.to_string())
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// What was wrong, without the address, which may carry a password.
fn why(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (http, patience) = (self.http.clone(), self.patience);
        let sent = self.runtime.spawn(async move {
            let late = |_| format!("no answer within {} s", patience.as_secs_f64());
            timeout(patience, Self::sent(http, request)).await.map_err(late).and_then(|sent| sent)
        });
        let sent = sent.await.unwrap_or_else(|ended| Err(ended.to_string()));
        match &sent {
            Ok(answer) if answer.status().is_success() => {
                let refused = refused(answer.body());
                if refused > 0 {
                    self.refused.fetch_add(refused, Ordering::Relaxed);
                    self.trouble.set("the collector has refused a part".to_owned());
                }
            }
            Ok(answer) => self.trouble.set(format!("HTTP {}", answer.status())),
            Err(why) => self.trouble.set(why.clone()),
        }
        sent.map_err(HttpError::from)
    }
}
