//! Ollama's own `POST /api/chat`: a JSON object a line.

use std::sync::Arc;

use async_stream::try_stream;
use futures_util::StreamExt;
use serde_json::{Value, json};

use super::model::{ChatEvent, ChatRequest, ChatStream, StopReason, Usage};
use super::wire::{ChatWire, Parameters, messages, refusal};
use crate::providers::http::{Body, Http};
use crate::providers::json::{count_in, error_in, set, set_some, text_in, word_in};
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
            let chunk = match sse::message(&http, &line.text) {
                Ok(chunk) => chunk,
                Err(_) if !line.ended => Err(sse::cut_off(&http))?,
                Err(error) => Err(error)?,
            };
            let Some(chunk) = chunk else { continue };
            if let Some(error) = error_in(&chunk) {
                Err(refusal(&http, error))?;
            }
            if let Some(message) = chunk.get("message") {
                let broken = |why: String| sse::broken(&http, &why, &line.text);
                if let Some(thinking) = text_in(message, "thinking").map_err(broken)? {
                    yield ChatEvent::Reasoning(thinking);
                }
                if let Some(text) = text_in(message, "content").map_err(broken)? {
                    yield ChatEvent::Text(text);
                }
            }
            if chunk.get("done") == Some(&Value::Bool(true)) {
                let stop = match word_in(&chunk, "done_reason") {
                    Some("length") => StopReason::Length,
                    _ => StopReason::End,
                };
                let usage = Usage::new(count_in(&chunk, "prompt_eval_count"), count_in(&chunk, "eval_count"));
                yield ChatEvent::Done { stop, usage };
                break;
            }
        }
    })
}
