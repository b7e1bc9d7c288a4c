//! `POST /chat/completions`, streamed: OpenAI and every compatible server.

use std::sync::Arc;

use async_stream::try_stream;
use futures_util::StreamExt;
use serde::Deserialize;
use serde_json::{Value, json};

use super::model::{ChatEvent, ChatRequest, ChatStream, StopReason, Usage};
use super::wire::{ChatWire, Parameters, messages, refusal};
use crate::providers::ErrorKind;
use crate::providers::http::{Body, Http};
use crate::providers::json::{set, set_some};
use crate::providers::sse;

/// The format with the parameters in which servers differ.
#[derive(Debug)]
pub(in crate::providers) struct OpenAi {
    /// The parameters that a model most likely takes; the flag tells the vendor's own server from a compatible one.
    pub(in crate::providers) parameters: fn(own_server: bool, model: &str) -> Parameters,
}

impl ChatWire for OpenAi {
    fn path(&self, _base_path: &str, _model: &str) -> String {
        "/chat/completions".to_owned()
    }

    fn parameters(&self, own_server: bool, model: &str) -> Parameters {
        (self.parameters)(own_server, model)
    }

    fn body(&self, model: &str, request: &ChatRequest, parameters: Parameters) -> Value {
        let messages = messages(&request.system, &request.messages);
        let mut body = json!({ "model": model, "messages": messages, "stream": true });
        set(&mut body, parameters.max_tokens, request.max_tokens);
        if parameters.stream_options {
            set(&mut body, "stream_options", json!({ "include_usage": true }));
        }
        set_some(&mut body, "temperature", parameters.temperature(request));
        body
    }

    fn decode(&self, http: &Arc<Http>, body: Body) -> ChatStream {
        decode(http, body)
    }
}

/// A chunk, with everything optional: Azure's first has no choices, others no delta, the one with the usage neither.
#[derive(Deserialize)]
struct Chunk {
    choices: Option<Vec<Choice>>,
    usage: Option<Tokens>,
    error: Option<Value>,
    /// Old versions of vLLM say `error` here and put the error's fields beside it.
    object: Option<String>,
}

#[derive(Deserialize)]
struct Choice {
    /// `message` is what a server that cannot stream calls it.
    #[serde(alias = "message")]
    delta: Option<Delta>,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Delta {
    content: Option<Content>,
    refusal: Option<String>,
    /// DeepSeek, llama.cpp, older vLLM.
    reasoning_content: Option<String>,
    /// OpenRouter, Groq, newer vLLM.
    reasoning: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    /// Mistral's models that reason.
    Parts(Vec<Part>),
}

/// A typed part: text, or thoughts, which are a list of parts themselves.
#[derive(Deserialize)]
struct Part {
    text: Option<String>,
    thinking: Option<Vec<Part>>,
}

impl Content {
    /// The thoughts, and the text.
    fn split(self) -> (String, String) {
        match self {
            Self::Text(text) => (String::new(), text),
            Self::Parts(parts) => {
                let (mut thoughts, mut text) = (String::new(), String::new());
                for part in parts {
                    thoughts.extend(part.thinking.into_iter().flatten().filter_map(|thought| thought.text));
                    text.extend(part.text);
                }
                (thoughts, text)
            }
        }
    }
}

#[derive(Deserialize)]
struct Tokens {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
}

/// Reads a streamed answer. Its end mark is `[DONE]`, or the end of the body after a `finish_reason`.
fn decode(http: &Arc<Http>, body: Body) -> ChatStream {
    let http = http.clone();
    Box::pin(try_stream! {
        let mut events = sse::events(&http, body);
        let (mut stop, mut refused, mut usage) = (None, false, Usage::default());
        while let Some(data) = events.next().await {
            let data = data?;
            if data.trim() == "[DONE]" {
                stop = stop.or(Some(StopReason::End));
                break;
            }
            let chunk: Chunk = sse::json(&http, &data)?;
            if let Some(error) = chunk.error {
                Err(refusal(&http, &error))?;
            }
            if chunk.object.as_deref() == Some("error") {
                let whole: Value = sse::json(&http, &data)?;
                Err(refusal(&http, &whole))?;
            }
            if let Some(tokens) = chunk.usage {
                usage = Usage { input_tokens: tokens.prompt_tokens, output_tokens: tokens.completion_tokens };
            }
            for choice in chunk.choices.into_iter().flatten() {
                if let Some(delta) = choice.delta {
                    let (thoughts, text) = delta.content.map(Content::split).unwrap_or_default();
                    // Some servers send both, and one of them empty.
                    let mut reasoning = [delta.reasoning_content, delta.reasoning, Some(thoughts)].into_iter().flatten();
                    if let Some(reasoning) = reasoning.find(|text| !text.is_empty()) {
                        yield ChatEvent::Reasoning(reasoning);
                    }
                    let refusal = delta.refusal.unwrap_or_default();
                    refused |= !refusal.is_empty();
                    let text = text + &refusal;
                    if !text.is_empty() {
                        yield ChatEvent::Text(text);
                    }
                }
                // Some servers send an empty reason with every chunk.
                match choice.finish_reason.as_deref() {
                    None | Some("") => {}
                    Some("length" | "model_length") => stop = Some(StopReason::Length),
                    Some("content_filter") => stop = Some(StopReason::Refused),
                    // OpenRouter; vLLM and SGLang; DeepSeek.
                    Some(reason @ ("error" | "abort" | "insufficient_system_resource")) => {
                        Err(http.error(ErrorKind::Unavailable, format!("the model broke off: {reason}")))?;
                    }
                    Some(_) => stop = Some(StopReason::End),
                }
            }
        }
        let stop = stop.ok_or_else(|| sse::cut_off(&http))?;
        yield ChatEvent::Done { stop: if refused { StopReason::Refused } else { stop }, usage };
    })
}
