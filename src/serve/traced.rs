//! A span for each request, which ends with the last byte of its answer.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{MatchedPath, Request};
use axum::http::HeaderMap;
use axum::middleware::Next;
use axum::response::Response;
use hyper::body::{Frame, SizeHint};
use tracing::{Instrument as _, Span};

use crate::telemetry;

/// The span of a request, for what is done for it on another task.
#[derive(Debug, Clone)]
pub(super) struct Asked(pub Span);

/// Answers within a span, which goes on with the trace of the caller.
pub(super) async fn traced(mut request: Request, next: Next) -> Response {
    // A pattern, as the router has it: what somebody types is told nobody.
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    // Whether it lives is asked each few seconds, and the page's files tell nothing.
    if route.as_deref().is_none_or(is_quiet) {
        return next.run(request).await;
    }
    let span = telemetry::served(request.method().as_str(), route.as_deref(), "http");
    if span.is_disabled() {
        return next.run(request).await;
    }
    asked_by(&span, request.headers());
    request.extensions_mut().insert(Asked(span.clone()));
    let response = next.run(request).instrument(span.clone()).await;
    let status = response.status();
    span.record("http.response.status_code", i64::from(status.as_u16()));
    if status.is_server_error() {
        telemetry::failed(&span, status.as_str());
    }
    response.map(|body| Body::new(Told { body, span }))
}

fn asked_by(span: &Span, headers: &HeaderMap) {
    telemetry::asked_by(span, text(headers, "traceparent"), text(headers, "tracestate"));
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn is_quiet(route: &str) -> bool {
    !["/api", "/v1", "/mcp"].iter().any(|told| route.starts_with(told))
}

/// A body that comes within a span.
struct Told {
    body: Body,
    span: Span,
}

impl HttpBody for Told {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = self.get_mut();
        let _entered = this.span.enter();
        Pin::new(&mut this.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
