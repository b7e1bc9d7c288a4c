//! Ollama's own `POST /api/chat`: a JSON object a line.

use std::sync::Arc;

use async_stream::try_stream;
use async_trait::async_trait;
use futures_util::StreamExt;
use serde::Deserialize;
use serde_json::{Value, json};

use super::http::{Cost, Http};
use super::sse::{self, Body};
use super::{ChatEvent, ChatModel, ChatRequest, ChatStream, ProviderError, Role, StopReason, Usage, prices};
use crate::providers::{Price, ProviderPlan};

/// The context that Ollama gives a model unless told otherwise.
const DEFAULT_CONTEXT: u64 = 4096;

/// The chat model `model` of the provider behind `http`.
pub fn model(http: Arc<Http>, plan: &ProviderPlan, model: &str) -> Arc<dyn ChatModel> {
    Arc::new(Ollama { name: format!("{}/{model}", plan.name), price: prices::of(plan, model), id: model.to_owned(), http })
}

#[derive(Debug)]
struct Ollama {
    http: Arc<Http>,
    name: String,
    price: Option<Price>,
    /// The model's name at the provider.
    id: String,
}

#[async_trait]
impl ChatModel for Ollama {
    fn model(&self) -> &str {
        &self.name
    }

    fn price(&self) -> Option<Price> {
        self.price
    }

    async fn chat(&self, request: ChatRequest) -> Result<ChatStream, ProviderError> {
        let cost = Cost { tokens: request.estimated_tokens() };
        sse::answer(&self.http, "/api/chat", &[], &body(&self.id, &request), cost, decode).await
    }
}

fn body(model: &str, request: &ChatRequest) -> Value {
    let system = (!request.system.is_empty()).then(|| json!({ "role": "system", "content": request.system }));
    let turns = request.messages.iter().map(|message| {
        let role = match message.role {
            Role::User => "user",
            Role::Assistant => "assistant",
        };
        json!({ "role": role, "content": message.text })
    });
    let messages: Vec<_> = system.into_iter().chain(turns).collect();
    let mut options = json!({ "num_predict": request.max_tokens });
    if let Value::Object(fields) = &mut options {
        if let Some(temperature) = request.temperature {
            fields.insert("temperature".to_owned(), json!(temperature));
        }
        // What does not fit its context Ollama cuts off without a word, so ask for enough: in powers of two, as each new
        // size loads the model anew, and only where needed, as the server may have been set up with more.
        let tokens = request.estimated_tokens();
        if tokens > DEFAULT_CONTEXT {
            fields.insert("num_ctx".to_owned(), tokens.next_power_of_two().into());
        }
    }
    json!({ "model": model, "messages": messages, "stream": true, "options": options })
}

#[derive(Deserialize)]
struct Chunk {
    message: Option<Piece>,
    #[serde(default)]
    done: bool,
    done_reason: Option<String>,
    prompt_eval_count: Option<u64>,
    eval_count: Option<u64>,
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Piece {
    content: Option<String>,
    thinking: Option<String>,
}

/// Reads a streamed answer. Its end mark is `"done": true`.
pub fn decode(http: &Arc<Http>, body: Body) -> ChatStream {
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
                Err(http.refusal(None, &json!({ "error": error })))?;
            }
            if let Some(piece) = chunk.message {
                if let Some(thinking) = piece.thinking.filter(|text| !text.is_empty()) {
                    yield ChatEvent::Reasoning(thinking);
                }
                if let Some(text) = piece.content.filter(|text| !text.is_empty()) {
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
