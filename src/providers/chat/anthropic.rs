//! Anthropic's `POST /v1/messages`, streamed.

use std::sync::Arc;

use async_stream::try_stream;
use futures_util::StreamExt;
use serde_json::{Value, json};

use super::model::{ChatEvent, ChatRequest, ChatStream, PromptCache, Shared, StopReason, Usage};
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

    fn keeps(&self, model: &str, shared: Shared) -> bool {
        shared.tokens >= least_kept(model)
    }

    fn quota_counts_cached(&self) -> bool {
        false
    }

    fn body(&self, model: &str, request: &ChatRequest, parameters: Parameters) -> Value {
        let mut messages = messages("", &request.messages);
        if let Some(shared) = request.shared.filter(|shared| self.keeps(model, *shared))
            && let (Some(message), Some(first)) = (request.messages.first(), messages.first_mut())
            && let Some((begins, goes_on)) = divided(&message.text, shared)
        {
            let content = json!([
                { "type": "text", "text": begins, "cache_control": { "type": "ephemeral" } },
                { "type": "text", "text": goes_on },
            ]);
            set(first, "content", content);
        }
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

/// The beginning that is kept, and the rest. An empty block would be refused.
fn divided(text: &str, shared: Shared) -> Option<(&str, &str)> {
    text.split_at_checked(shared.bytes).filter(|(begins, goes_on)| !begins.is_empty() && !goes_on.is_empty())
}

/// Tokens from which on the beginning of a prompt is kept, as far as is known (November 2026; older pages of the vendor have other
/// numbers for some models). What is shorter is read as if nobody had asked for it to be kept, and at the usual price.
fn least_kept(model: &str) -> u64 {
    const KNOWN: &[(&str, u64)] = &[
        ("claude-opus-5", 512),
        ("claude-opus-4-7", 2048),
        ("claude-opus-4-6", 4096),
        ("claude-opus-4-5", 4096),
        ("claude-haiku-4-5", 4096),
        ("claude-3-5-haiku", 2048),
        ("claude-3-haiku", 2048),
    ];
    KNOWN.iter().find(|(name, _)| model.starts_with(name)).map_or(1024, |(_, tokens)| *tokens)
}

/// What was counted up to now.
#[derive(Debug, Default)]
struct Counted {
    /// Without those of the two kinds that concern the cache.
    input: Option<u64>,
    output: Option<u64>,
    cache: PromptCache,
}

impl Counted {
    /// Cumulative; not every event has all of it.
    fn add(&mut self, counted: &Value) {
        self.input = count_in(counted, "input_tokens").or(self.input);
        self.output = count_in(counted, "output_tokens").or(self.output);
        let PromptCache { read_tokens, written_tokens } = &mut self.cache;
        *read_tokens = count_in(counted, "cache_read_input_tokens").unwrap_or(*read_tokens);
        *written_tokens = count_in(counted, "cache_creation_input_tokens").unwrap_or(*written_tokens);
    }

    fn usage(&self) -> Usage {
        let PromptCache { read_tokens, written_tokens } = self.cache;
        let input = self.input.map(|input| input.saturating_add(read_tokens).saturating_add(written_tokens));
        Usage { prompt_cache: self.cache, ..Usage::new(input, self.output) }
    }
}

/// Reads a streamed answer. Its end mark is `message_stop`.
fn decode(http: &Arc<Http>, body: Body) -> ChatStream {
    let http = http.clone();
    Box::pin(try_stream! {
        let mut events = sse::events(&http, body);
        let (mut stop, mut tokens, mut ended) = (StopReason::End, Counted::default(), false);
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
                tokens.add(counted);
            }
        }
        yield ChatEvent::Done { stop, usage: tokens.usage() };
    })
}
