//! A request: its address, its headers and its body.

use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Response};
use serde_json::Value;
use url::Url;

use super::connection::Http;
use crate::providers::address::is_loopback;
use crate::providers::peer::Peer;
use crate::providers::retry::FailedAttempt;
use crate::providers::site::Auth;
use crate::providers::{ErrorKind, ProviderError, ProviderPlan};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A request that can be sent again.
pub(super) struct Call<'a> {
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// The model it is for, for hints.
    pub(super) model: Option<&'a str>,
    /// Whether its refusals are the matter of its endpoint alone.
    pub(super) apart: bool,
}

/// A client that follows no redirects and waits for connections no longer than for answers.
pub(super) fn client(plan: &ProviderPlan, peer: &Peer) -> Result<Client, ProviderError> {
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
    if is_loopback(&plan.base_url) {
        // `HTTP_PROXY` and `ALL_PROXY` are for what is elsewhere: another machine's "localhost" is not this one's.
        client = client.no_proxy();
    }
    client.build().map_err(|source| {
        let mut error = peer.error(ErrorKind::Network, "TLS cannot be set up");
        error.hint =
            Some("install the system's root certificates (ca-certificates), or point SSL_CERT_FILE to some".to_owned());
        error.source = Some(Box::new(source));
        error
    })
}

/// The headers that go with every request.
pub(super) fn headers(plan: &ProviderPlan, auth: Auth, peer: &Peer) -> Result<HeaderMap, ProviderError> {
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
    Ok(headers)
}

impl Http {
    pub(super) fn call<'a>(
        &self,
        path: &str,
        headers: &[(&'static str, &str)],
        body: &'a Value,
    ) -> Result<Call<'a>, ProviderError> {
        let mut all = self.headers.clone();
        for &(name, value) in headers {
            let value = HeaderValue::from_str(value)
                .map_err(|_| self.error(ErrorKind::InvalidInput, format!("the header {name} cannot carry its value")))?;
            all.insert(HeaderName::from_static(name), value);
        }
        let model = body.get("model").and_then(Value::as_str);
        let body = serde_json::to_vec(body).map_err(|e| self.error(ErrorKind::InvalidInput, e.to_string()))?;
        Ok(Call { url: self.url(path), headers: all, body: body.into(), model, apart: false })
    }

    /// The base URL with `path` after its own path and the queries of both.
    pub(super) fn url(&self, path: &str) -> Url {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let mut url = self.base_url.clone();
        url.set_path(&format!("{}/{}", self.base_path(), path.trim_start_matches('/')));
        if !query.is_empty() {
            let joined = url.query().map_or_else(|| query.to_owned(), |own| format!("{own}&{query}"));
            url.set_query(Some(&joined));
        }
        url
    }

    pub(super) async fn head(&self, call: &Call<'_>) -> Result<Response, FailedAttempt> {
        let request = self.client.post(call.url.clone()).headers(call.headers.clone()).body(call.body.clone());
        self.accepted(request.send().await, Some(call)).await
    }
}
