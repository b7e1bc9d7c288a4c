//! Anthropic's `POST /v1/messages`, streamed.

use std::sync::Arc;

use async_stream::try_stream;
use futures_util::StreamExt;
use serde_json::{Value, json};

use super::model::{ChatEvent, ChatRequest, ChatStream, StopReason, Usage};
use super::wire::{ChatWire, Parameters, messages, refusal};
use crate::providers::http::{Body, Http};
use crate::providers::json::{count_in, error_in, set, set_some, text_in, word_in};
use crate::providers::sse;

/// The format.
#[derive(Debug)]
pub(in crate::providers) struct Anthropic;

impl ChatWire for Anthropic {
    fn path(&self, base_path: &str, _model: &str) -> String {
        // The vendor's convention is a base without `/v1`, that of most others is one with it.
        if base_path.ends_with("/v1") { "/messages" } else { "/v1/messages" }.to_owned()
    }

    /// The API's only version, by the documentation.
    fn headers(&self) -> &'static [(&'static str, &'static str)] {
        &[("anthropic-version", "2023-06-01")]
    }

    fn body(&self, model: &str, request: &ChatRequest, parameters: Parameters) -> Value {
        let messages = messages("", &request.messages);
        let mut body = json!({ "model": model, "max_tokens": request.max_tokens, "messages": messages, "stream": true });
        if !request.system.is_empty() {
            set(&mut body, "system", request.system.as_str());
        }
        // Models from Claude Opus 4.7 on refuse a temperature.
        set_some(&mut body, "temperature", parameters.temperature(request));
        body
    }

    fn decode(&self, http: &Arc<Http>, body: Body) -> ChatStream {
        decode(http, body)
    }
}

/// Adds what was counted up to now. Cumulative; not every event has all of it.
fn add(usage: &mut Usage, counted: &Value) {
    // Without those of the two kinds that concern the cache.
    let input = count_in(counted, "input_tokens").map(|input| {
        let cached =
            ["cache_creation_input_tokens", "cache_read_input_tokens"].iter().filter_map(|name| count_in(counted, name));
        cached.fold(input, u64::saturating_add)
    });
    usage.input_tokens = input.or(usage.input_tokens);
    usage.output_tokens = count_in(counted, "output_tokens").or(usage.output_tokens);
}

/// Reads a streamed answer. Its end mark is `message_stop`.
fn decode(http: &Arc<Http>, body: Body) -> ChatStream {
    let http = http.clone();
    Box::pin(try_stream! {
        let mut events = sse::events(&http, body);
        let (mut stop, mut usage, mut ended) = (StopReason::End, Usage::default(), false);
        while !ended {
            let Some(event) = events.next().await else { Err(sse::cut_off(&http))? };
            let event = event?;
            let Some(message) = event.message(&http)? else { continue };
            if let Some(error) = error_in(&message) {
                Err(refusal(&http, error))?;
            }
            let counted = match message.get("type").and_then(Value::as_str) {
                Some("message_start") => message.pointer("/message/usage"),
                Some(kind @ ("content_block_start" | "content_block_delta")) => {
                    let block = message.get(if kind == "content_block_start" { "content_block" } else { "delta" });
                    let read = |name| block.map_or(Ok(None), |block| text_in(block, name));
                    let broken = |why: String| sse::broken(&http, &why, &event.data);
                    if let Some(thinking) = read("thinking").map_err(broken)? {
                        yield ChatEvent::Reasoning(thinking);
                    }
                    if let Some(text) = read("text").map_err(broken)? {
                        yield ChatEvent::Text(text);
                    }
                    None
                }
                Some("message_delta") => {
                    stop = match message.get("delta").and_then(|delta| word_in(delta, "stop_reason")) {
                        None => stop,
                        Some("max_tokens" | "model_context_window_exceeded") => StopReason::Length,
                        Some("refusal") => StopReason::Refused,
                        Some(_) => StopReason::End,
                    };
                    message.get("usage")
                }
                Some("message_stop") => {
                    ended = true;
                    None
                }
                // An error that does not say which.
                Some("error") => Err(refusal(&http, &Value::Null))?,
                // `ping`, `content_block_stop` and what is yet to come.
                _ => None,
            };
            if let Some(counted) = counted {
                add(&mut usage, counted);
            }
        }
        yield ChatEvent::Done { stop, usage };
    })
}
