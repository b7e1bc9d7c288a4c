//! Lines of the commands' JSON as they come: as server-sent events, or one a line as the commands print them.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, StreamExt as _};
use serde::Serialize;
use serde_json::Value;

/// A comment is sent after so long without an event: proxies keep the connection, and who has vanished is noticed.
pub(super) const KEEP_ALIVE: Duration = Duration::from_secs(8);

/// JSON lines.
pub(super) const NDJSON: &str = "application/x-ndjson";

/// The event of a line, named as the line's `type`.
pub(super) fn event(line: &impl Serialize) -> Event {
    let value = serde_json::to_value(line).unwrap_or_default();
    let name = value.get("type").and_then(serde_json::Value::as_str).unwrap_or("message").to_owned();
    Event::default().event(name).data(value.to_string())
}

/// Whether the client names this kind of content.
pub(super) fn accepts(headers: &HeaderMap, kind: &str) -> bool {
    headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).is_some_and(|accepted| accepted.contains(kind))
}

/// A response of lines, as the client accepts them: JSON lines for `application/x-ndjson`, else events.
pub(super) fn lines(headers: &HeaderMap, lines: impl Stream<Item = Value> + Send + 'static) -> Response {
    if !accepts(headers, NDJSON) {
        return respond(lines.map(|line| event(&line)));
    }
    let body = Body::from_stream(lines.map(|line| Ok::<_, Infallible>(format!("{line}\n"))));
    ([(header::CONTENT_TYPE, NDJSON)], body).into_response()
}

/// A response of events.
pub(super) fn respond(events: impl Stream<Item = Event> + Send + 'static) -> Response {
    let events = events.map(Ok::<_, Infallible>);
    let mut response = Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response();
    // nginx would gather them.
    response.headers_mut().insert("x-accel-buffering", axum::http::HeaderValue::from_static("no"));
    response
}
