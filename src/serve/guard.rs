//! Who is heard.
//!
//! - Without a token only this machine can connect, and only by one of its own names: a page that has its name resolve to this
//!   machine (DNS rebinding) says another one.
//! - With tokens, every request to data bears one: in `Authorization`, or in the cookie that the page gets for it.
//! - A page of another origin is refused unless it is listed, whatever the route.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::access::{Origin, is_loopback};
use super::fault::Fault;
use super::peer::Peer;
use super::service::Service;

/// Looks at every request before anything else does.
pub(super) async fn guard(State(service): State<Arc<Service>>, request: Request, next: Next) -> Response {
    // The socket's file is this user's alone.
    if request.extensions().get::<Peer>() == Some(&Peer::Local) {
        return next.run(request).await;
    }
    let access = &service.access;
    let headers = request.headers();
    if !access.is_guarded() && !headers.get(header::HOST).is_some_and(is_loopback) {
        let fault =
            Fault::new(StatusCode::MISDIRECTED_REQUEST, "foreign_host", "this service answers to names of this machine alone");
        return fault
            .hint("ask it as http://localhost or http://127.0.0.1; for other machines start it with --token")
            .into_response();
    }
    let listed = match access.origin(headers) {
        Origin::Foreign => {
            let fault = Fault::new(StatusCode::FORBIDDEN, "foreign_origin", "pages of this origin are not answered");
            return fault.hint("start the service with --allow-origin and the page's origin").into_response();
        }
        Origin::Listed(origin) => Some(origin),
        Origin::None | Origin::Own => None,
    };
    let asked = headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS).cloned();
    let preflight = request.method() == Method::OPTIONS && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = if preflight && listed.is_some() {
        StatusCode::NO_CONTENT.into_response()
    } else if is_open(request.uri().path()) || access.admits(headers) {
        next.run(request).await
    } else {
        let mut response = Fault::new(StatusCode::UNAUTHORIZED, "unauthorized", "a token is needed")
            .hint("send it as `Authorization: Bearer TOKEN`")
            .into_response();
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        response
    };
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Some(origin) = listed {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.append(header::VARY, HeaderValue::from_static("Origin"));
        if preflight {
            headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST, DELETE"));
            headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
            // `*` would not cover `Authorization`.
            if let Some(asked) = asked {
                headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, asked);
            }
        } else {
            const SEEN: HeaderName = header::ACCESS_CONTROL_EXPOSE_HEADERS;
            headers.insert(SEEN, HeaderValue::from_static("retry-after, x-should-retry"));
        }
    }
    response
}

/// What tells nothing of the data: the page itself, where a token is entered (it is the same for every document), and whether the
/// service lives.
fn is_open(path: &str) -> bool {
    let page = ["/assets/", "/documents/"];
    matches!(path, "/" | "/login" | "/healthz" | "/readyz" | "/favicon.svg") || page.iter().any(|page| path.starts_with(page))
}
