//! Server-sent events: a line of the commands' JSON each.

use std::convert::Infallible;
use std::time::Duration;

use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::Stream;
use serde::Serialize;

/// A comment is sent after so long without an event: proxies keep the connection, and who has vanished is noticed.
pub(super) const KEEP_ALIVE: Duration = Duration::from_secs(8);

/// The event of a line, named as the line's `type`.
pub(super) fn event(line: &impl Serialize) -> Event {
    let value = serde_json::to_value(line).unwrap_or_default();
    let name = value.get("type").and_then(serde_json::Value::as_str).unwrap_or("message").to_owned();
    Event::default().event(name).data(value.to_string())
}

/// A response of events.
pub(super) fn respond(events: impl Stream<Item = Event> + Send + 'static) -> Response {
    let events = futures_util::StreamExt::map(events, Ok::<_, Infallible>);
    let mut response = Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response();
    // nginx would gather them.
    response.headers_mut().insert("x-accel-buffering", axum::http::HeaderValue::from_static("no"));
    response
}
