//! Anthropic's `POST /v1/messages`, streamed.

use std::sync::Arc;

use async_stream::try_stream;
use futures_util::StreamExt;
use serde::Deserialize;
use serde_json::{Value, json};

use super::model::{ChatEvent, ChatRequest, ChatStream, StopReason, Usage};
use super::wire::{ChatWire, Parameters, messages, piece, refusal};
use crate::providers::http::{Body, Http};
use crate::providers::json::{set, set_some};
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

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Event {
    MessageStart {
        message: Start,
    },
    ContentBlockStart {
        content_block: Block,
    },
    ContentBlockDelta {
        delta: Block,
    },
    MessageDelta {
        delta: End,
        usage: Option<Tokens>,
    },
    MessageStop,
    Error {
        error: Value,
    },
    /// `ping`, `content_block_stop` and what is yet to come.
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Start {
    usage: Option<Tokens>,
}

/// The start of a block or a piece of it: text, thoughts, or what is of no meaning here.
#[derive(Deserialize)]
struct Block {
    text: Option<String>,
    thinking: Option<String>,
}

#[derive(Deserialize)]
struct End {
    stop_reason: Option<String>,
}

#[derive(Deserialize)]
struct Tokens {
    /// Without those of the two kinds below.
    #[serde(rename = "input_tokens")]
    input: Option<u64>,
    #[serde(rename = "cache_creation_input_tokens")]
    cache_written: Option<u64>,
    #[serde(rename = "cache_read_input_tokens")]
    cache_read: Option<u64>,
    #[serde(rename = "output_tokens")]
    output: Option<u64>,
}

/// Reads a streamed answer. Its end mark is `message_stop`.
fn decode(http: &Arc<Http>, body: Body) -> ChatStream {
    let http = http.clone();
    Box::pin(try_stream! {
        let mut events = sse::events(&http, body);
        let (mut stop, mut usage, mut ended) = (StopReason::End, Usage::default(), false);
        while !ended {
            let Some(data) = events.next().await else { Err(sse::cut_off(&http))? };
            let mut tokens = None;
            match sse::json(&http, &data?)? {
                Event::MessageStart { message } => tokens = message.usage,
                Event::ContentBlockStart { content_block: block } | Event::ContentBlockDelta { delta: block } => {
                    if let Some(thinking) = piece(block.thinking) {
                        yield ChatEvent::Reasoning(thinking);
                    }
                    if let Some(text) = piece(block.text) {
                        yield ChatEvent::Text(text);
                    }
                }
                Event::MessageDelta { delta, usage } => {
                    tokens = usage;
                    stop = match delta.stop_reason.as_deref() {
                        None => stop,
                        Some("max_tokens" | "model_context_window_exceeded") => StopReason::Length,
                        Some("refusal") => StopReason::Refused,
                        Some(_) => StopReason::End,
                    };
                }
                Event::MessageStop => ended = true,
                Event::Error { error } => Err(refusal(&http, &error))?,
                Event::Other => {}
            }
            // Cumulative; not every event has both.
            if let Some(tokens) = tokens {
                let cached = [tokens.cache_written, tokens.cache_read];
                let input = tokens.input.map(|input| cached.into_iter().flatten().fold(input, u64::saturating_add));
                usage.input_tokens = input.or(usage.input_tokens);
                usage.output_tokens = tokens.output.or(usage.output_tokens);
            }
        }
        yield ChatEvent::Done { stop, usage };
    })
}
