//! Ollama's own `POST /api/chat`: a JSON object a line.

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

/// The context that Ollama gives a model unless told otherwise.
const DEFAULT_CONTEXT: u64 = 4096;

/// The format.
#[derive(Debug)]
pub(in crate::providers) struct Ollama;

impl ChatWire for Ollama {
    fn path(&self, _base_path: &str, _model: &str) -> String {
        "/api/chat".to_owned()
    }

    fn body(&self, model: &str, request: &ChatRequest, parameters: Parameters) -> Value {
        let mut options = json!({ "num_predict": request.max_tokens });
        set_some(&mut options, "temperature", parameters.temperature(request));
        // What does not fit its context Ollama cuts off without a word, so ask for enough: in powers of two, as each new
        // size loads the model anew, and only where needed, as the server may have been set up with more.
        let tokens = request.estimated_tokens();
        if tokens > DEFAULT_CONTEXT {
            set(&mut options, "num_ctx", tokens.next_power_of_two());
        }
        let messages = messages(&request.system, &request.messages);
        json!({ "model": model, "messages": messages, "stream": true, "options": options })
    }

    fn decode(&self, http: &Arc<Http>, body: Body) -> ChatStream {
        decode(http, body)
    }
}

#[derive(Deserialize)]
struct Chunk {
    message: Option<ChunkMessage>,
    #[serde(default)]
    done: bool,
    done_reason: Option<String>,
    prompt_eval_count: Option<u64>,
    eval_count: Option<u64>,
    error: Option<Value>,
}

#[derive(Deserialize)]
struct ChunkMessage {
    content: Option<String>,
    thinking: Option<String>,
}

/// Reads a streamed answer. Its end mark is `"done": true`.
fn decode(http: &Arc<Http>, body: Body) -> ChatStream {
    let http = http.clone();
    Box::pin(try_stream! {
        let mut lines = sse::lines(&http, body);
        loop {
            let Some(line) = lines.next().await else { Err(sse::cut_off(&http))? };
            let line = line?;
            if line.text.trim().is_empty() {
                continue;
            }
            let chunk: Chunk = match sse::json(&http, &line.text) {
                Ok(chunk) => chunk,
                Err(_) if !line.ended => Err(sse::cut_off(&http))?,
                Err(error) => Err(error)?,
            };
            if let Some(error) = chunk.error {
                Err(refusal(&http, &error))?;
            }
            if let Some(message) = chunk.message {
                if let Some(thinking) = piece(message.thinking) {
                    yield ChatEvent::Reasoning(thinking);
                }
                if let Some(text) = piece(message.content) {
                    yield ChatEvent::Text(text);
                }
            }
            if chunk.done {
                let stop = match chunk.done_reason.as_deref() {
                    Some("length") => StopReason::Length,
                    _ => StopReason::End,
                };
                yield ChatEvent::Done {
                    stop,
                    usage: Usage { input_tokens: chunk.prompt_eval_count, output_tokens: chunk.eval_count },
                };
                break;
            }
        }
    })
}
