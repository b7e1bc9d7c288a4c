//! Anthropic's `POST /v1/messages`, streamed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_stream::try_stream;
use async_trait::async_trait;
use futures_util::StreamExt;
use serde::Deserialize;
use serde_json::{Value, json};

use super::http::{Cost, Http};
use super::sse::{self, Body};
use super::{ChatEvent, ChatModel, ChatRequest, ChatStream, ErrorKind, ProviderError, Role, StopReason, Usage, prices};
use crate::providers::{Price, ProviderPlan};

/// The API's only version, by the documentation.
const VERSION: (&str, &str) = ("anthropic-version", "2023-06-01");

/// The chat model `model` of the provider behind `http`.
pub fn model(http: Arc<Http>, plan: &ProviderPlan, model: &str) -> Arc<dyn ChatModel> {
    // The vendor's convention is a base without `/v1`, that of most others is one with it.
    let versioned = http.base_path().ends_with("/v1");
    Arc::new(Anthropic {
        name: format!("{}/{model}", plan.name),
        price: prices::of(plan, model),
        id: model.to_owned(),
        path: if versioned { "/messages" } else { "/v1/messages" },
        takes_temperature: AtomicBool::new(true),
        http,
    })
}

#[derive(Debug)]
struct Anthropic {
    http: Arc<Http>,
    name: String,
    price: Option<Price>,
    /// The model's name at the provider.
    id: String,
    path: &'static str,
    /// Models from Claude Opus 4.7 on refuse a temperature.
    takes_temperature: AtomicBool,
}

#[async_trait]
impl ChatModel for Anthropic {
    fn model(&self) -> &str {
        &self.name
    }

    fn price(&self) -> Option<Price> {
        self.price
    }

    async fn chat(&self, mut request: ChatRequest) -> Result<ChatStream, ProviderError> {
        if !self.takes_temperature.load(Ordering::Relaxed) {
            request.temperature = None;
        }
        let mut answer = self.ask(&request).await;
        if answer.as_ref().is_err_and(|e| e.kind == ErrorKind::InvalidInput && e.message.contains("temperature"))
            && request.temperature.take().is_some()
        {
            answer = self.ask(&request).await;
            self.takes_temperature.store(answer.is_err(), Ordering::Relaxed);
        }
        answer
    }
}

impl Anthropic {
    async fn ask(&self, request: &ChatRequest) -> Result<ChatStream, ProviderError> {
        let cost = Cost { tokens: request.estimated_tokens() };
        sse::answer(&self.http, self.path, &[VERSION], &body(&self.id, request), cost, decode).await
    }
}

fn body(model: &str, request: &ChatRequest) -> Value {
    let turns = request.messages.iter().map(|message| {
        let role = match message.role {
            Role::User => "user",
            Role::Assistant => "assistant",
        };
        json!({ "role": role, "content": message.text })
    });
    let messages: Vec<_> = turns.collect();
    let mut body = json!({ "model": model, "max_tokens": request.max_tokens, "messages": messages, "stream": true });
    if let Value::Object(fields) = &mut body {
        if !request.system.is_empty() {
            fields.insert("system".to_owned(), request.system.clone().into());
        }
        if let Some(temperature) = request.temperature {
            fields.insert("temperature".to_owned(), json!(temperature));
        }
    }
    body
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
pub fn decode(http: &Arc<Http>, body: Body) -> ChatStream {
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
                    if let Some(thinking) = block.thinking.filter(|text| !text.is_empty()) {
                        yield ChatEvent::Reasoning(thinking);
                    }
                    if let Some(text) = block.text.filter(|text| !text.is_empty()) {
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
                Event::Error { error } => Err(http.refusal(None, &json!({ "error": error })))?,
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
