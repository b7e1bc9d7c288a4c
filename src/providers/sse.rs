//! The framing of streamed answers: server-sent events and JSON lines, cut out of bytes that arrive in any pieces.
//!
//! `eventsource-stream` assembles the events, but must not meet the raw bytes: it panics on a byte order mark, buffers
//! without bound after a byte that is not UTF-8, holds a line back that ends in a bare CR, and scans a long line anew for
//! every piece of it. So [`lines`] goes before it, in linear time and bounded memory, and hands over whole lines that end
//! in LF. JSON lines need nothing else.

use std::sync::Arc;

use async_stream::try_stream;
use eventsource_stream::{EventStreamError, Eventsource};
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use serde_json::Value;

use super::http::{Body, Http};
use super::json::says_nothing;
use super::{ErrorKind, ProviderError};

/// Bytes that a line, and that an event, may have. A chunk of an answer has a few hundred; only a broken server has more.
const MAX_BYTES: usize = 1 << 20;

/// A line without its end.
pub(super) struct Line {
    /// The line. What is not UTF-8 is replaced, as the specification of server-sent events has it.
    pub(super) text: String,
    /// Whether its end was seen: the last line of a body that was cut off has none.
    pub(super) ended: bool,
}

/// Cuts a body into lines, which end in LF, CR or CRLF. A byte order mark is dropped. A line of more than 1 MB is an error.
pub(super) fn lines(http: &Arc<Http>, mut body: Body) -> BoxStream<'static, Result<Line, ProviderError>> {
    let http = http.clone();
    Box::pin(try_stream! {
        let mut splitter = Splitter::default();
        while let Some(bytes) = body.next().await {
            let bytes = bytes?;
            let mut rest = &*bytes;
            while let Some(text) = splitter.line(&mut rest) {
                yield Line { text, ended: true };
            }
            if splitter.partial.len() > MAX_BYTES {
                Err(too_long(&http, "a line"))?;
            }
        }
        if !splitter.partial.is_empty() {
            yield Line { text: splitter.take(), ended: false };
        }
    })
}

/// A line in the making.
#[derive(Default)]
struct Splitter {
    partial: Vec<u8>,
    /// The line before ended in CR: an LF that follows belongs to it.
    after_cr: bool,
    /// A line was given out: a byte order mark may no longer come.
    started: bool,
}

impl Splitter {
    /// The next whole line, taken off the front of `rest`; or `None`, with all of `rest` kept.
    fn line(&mut self, rest: &mut &[u8]) -> Option<String> {
        if self.after_cr && !rest.is_empty() {
            self.after_cr = false;
            *rest = rest.strip_prefix(b"\n").unwrap_or(rest);
        }
        let Some(end) = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')) else {
            self.partial.extend_from_slice(rest);
            return None;
        };
        let (head, tail) = rest.split_at_checked(end)?;
        let (end, tail) = tail.split_first()?;
        self.partial.extend_from_slice(head);
        self.after_cr = *end == b'\r';
        *rest = tail;
        Some(self.take())
    }

    fn take(&mut self) -> String {
        let bytes = std::mem::take(&mut self.partial);
        let text = if self.started { &*bytes } else { bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&bytes) };
        self.started = true;
        String::from_utf8_lossy(text).into_owned()
    }
}

/// A server-sent event.
pub(super) struct Event {
    /// Its name, where it has one.
    name: String,
    /// What it says.
    pub(super) data: String,
}

/// Each server-sent event that has data. An event of more than 1 MB is an error.
///
/// A body that is a JSON document instead of events comes as one event: so answer servers that fail under a status of 200
/// or that do not know how to stream.
pub(super) fn events(http: &Arc<Http>, body: Body) -> BoxStream<'static, Result<Event, ProviderError>> {
    let own = http.clone();
    let event = move |event| match event {
        Ok(eventsource_stream::Event { event: name, data, .. }) => Ok(Event { name, data }),
        Err(EventStreamError::Transport(error)) => Err(error),
        Err(error) => Err(own.error(ErrorKind::BadAnswer, format!("the stream is not one of events: {error}"))),
    };
    let events = fields(http, body).eventsource().map(event);
    Box::pin(events.filter(|event| std::future::ready(!matches!(event, Ok(event) if event.data.trim().is_empty()))))
}

impl Event {
    /// The message that it is; `None` for a sign of life: `null`, a bare word, an event of the server's own.
    pub(super) fn message(&self, http: &Http) -> Result<Option<Value>, ProviderError> {
        let bare = self.data.trim().trim_matches(['[', ']', '"']);
        let is_word =
            (1..=32).contains(&bare.len()) && bare.bytes().all(|byte| byte.is_ascii_alphabetic() || b"_-".contains(&byte));
        let is_json = self.data.trim_start().starts_with(['{', '[']) && !is_word;
        let is_own = !is_json && !["", "message", "error"].contains(&self.name.as_str());
        match message(http, &self.data) {
            Err(_) if is_own || (is_word && self.name != "error" && !bare.eq_ignore_ascii_case("error")) => Ok(None),
            read => read,
        }
    }
}

/// Reads a message of a stream; `None` for a sign of life.
pub(super) fn message(http: &Http, data: &str) -> Result<Option<Value>, ProviderError> {
    let value: Value = serde_json::from_str(data).map_err(|error| broken(http, &error.to_string(), data))?;
    match value {
        Value::Object(_) => Ok(Some(value).filter(|value| !says_nothing(value))),
        // So Gemini's and its imitators' errors come.
        Value::Array(list) if list.first().is_some_and(Value::is_object) => Ok(list.into_iter().next()),
        value if says_nothing(&value) => Ok(None),
        _ => Err(broken(http, "it is no object", data)),
    }
}

/// The error of a message that is not what the protocol says.
///
/// Without a source: what serde quotes of the data would not be redacted there.
pub(super) fn broken(http: &Http, why: &str, data: &str) -> ProviderError {
    http.error(ErrorKind::BadAnswer, format!("the stream breaks its protocol ({why}): {data}"))
}

/// The lines of an event stream as its decoder wants them: whole, ended by LF, the last event ended too.
fn fields(http: &Arc<Http>, body: Body) -> BoxStream<'static, Result<String, ProviderError>> {
    let http = http.clone();
    Box::pin(try_stream! {
        let mut lines = lines(&http, body);
        let (mut event_bytes, mut document) = (0, None);
        while let Some(line) = lines.next().await {
            let Line { text, ended } = line?;
            event_bytes = if text.is_empty() { 0 } else { event_bytes + text.len() };
            if event_bytes > MAX_BYTES {
                Err(too_long(&http, "an event"))?;
            }
            if document.is_none() && !text.is_empty() {
                document = Some(text.starts_with('{'));
            }
            if document == Some(true) {
                if !text.is_empty() {
                    yield format!("data: {text}\n");
                }
            } else if ended {
                yield text + "\n";
            }
        }
        // Some servers forget the empty line after their last event.
        yield "\n".to_owned();
    })
}

/// The error of a stream that ended before the provider's own end mark.
pub(super) fn cut_off(http: &Http) -> ProviderError {
    let mut error = http.error(ErrorKind::Network, "the answer ended before its end mark");
    // The address is right: it answered.
    error.hint = None;
    error
}

fn too_long(http: &Http, what: &str) -> ProviderError {
    http.error(ErrorKind::BadAnswer, format!("the stream has {what} of more than {MAX_BYTES} bytes"))
}
