//! Gemini's `POST /models/MODEL:streamGenerateContent`, as server-sent events.

use std::sync::Arc;

use async_stream::try_stream;
use futures_util::StreamExt;
use serde::Deserialize;
use serde_json::{Value, json};

use super::model::{ChatEvent, ChatRequest, ChatStream, Role, StopReason, Usage};
use super::wire::{ChatWire, Parameters, piece, refusal};
use crate::providers::ErrorKind;
use crate::providers::http::{Body, Http};
use crate::providers::json::{set, set_some};
use crate::providers::sse;

/// The format.
#[derive(Debug)]
pub(in crate::providers) struct Gemini;

impl ChatWire for Gemini {
    fn path(&self, _base_path: &str, model: &str) -> String {
        // `tunedModels/NAME` is a whole resource name, as is `models/NAME` for those who write it out.
        let resource = if model.contains('/') { model.to_owned() } else { format!("models/{model}") };
        format!("/{resource}:streamGenerateContent?alt=sse")
    }

    fn body(&self, _model: &str, request: &ChatRequest, parameters: Parameters) -> Value {
        let contents = request.messages.iter().map(|message| {
            let role = match message.role {
                Role::User => "user",
                Role::Assistant => "model",
            };
            json!({ "role": role, "parts": [{ "text": message.text }] })
        });
        let contents: Vec<_> = contents.collect();
        let mut config = json!({ "maxOutputTokens": request.max_tokens });
        set_some(&mut config, "temperature", parameters.temperature(request));
        let mut body = json!({ "contents": contents, "generationConfig": config });
        if !request.system.is_empty() {
            set(&mut body, "systemInstruction", json!({ "parts": [{ "text": request.system }] }));
        }
        body
    }

    fn decode(&self, http: &Arc<Http>, body: Body) -> ChatStream {
        decode(http, body)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Chunk {
    candidates: Option<Vec<Candidate>>,
    prompt_feedback: Option<PromptFeedback>,
    usage_metadata: Option<Tokens>,
    error: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Candidate {
    content: Option<Content>,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Content {
    parts: Option<Vec<Part>>,
}

#[derive(Deserialize)]
struct Part {
    text: Option<String>,
    thought: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PromptFeedback {
    block_reason: Option<String>,
}

#[derive(Deserialize)]
struct Tokens {
    #[serde(rename = "promptTokenCount")]
    prompt: Option<u64>,
    #[serde(rename = "candidatesTokenCount")]
    candidates: Option<u64>,
    #[serde(rename = "thoughtsTokenCount")]
    thoughts: Option<u64>,
}

/// Reads a streamed answer. Its end mark is a `finishReason`, or a `blockReason` where the prompt itself was refused.
fn decode(http: &Arc<Http>, body: Body) -> ChatStream {
    let http = http.clone();
    Box::pin(try_stream! {
        let mut events = sse::events(&http, body);
        let (mut stop, mut usage) = (None, Usage::default());
        while let Some(data) = events.next().await {
            let chunk: Chunk = sse::json(&http, &data?)?;
            if let Some(error) = chunk.error {
                Err(refusal(&http, &error))?;
            }
            // Each chunk counts from the beginning.
            if let Some(tokens) = chunk.usage_metadata {
                usage.input_tokens = tokens.prompt.or(usage.input_tokens);
                let output = tokens.candidates.map(|n| n.saturating_add(tokens.thoughts.unwrap_or_default()));
                usage.output_tokens = output.or(usage.output_tokens);
            }
            if chunk.prompt_feedback.is_some_and(|feedback| feedback.block_reason.is_some()) {
                stop = Some(StopReason::Refused);
            }
            for candidate in chunk.candidates.into_iter().flatten() {
                for part in candidate.content.and_then(|content| content.parts).into_iter().flatten() {
                    let Some(text) = piece(part.text) else { continue };
                    if part.thought == Some(true) {
                        yield ChatEvent::Reasoning(text);
                    } else {
                        yield ChatEvent::Text(text);
                    }
                }
                match candidate.finish_reason.as_deref() {
                    None | Some("" | "FINISH_REASON_UNSPECIFIED") => {}
                    Some("STOP") => stop = Some(StopReason::End),
                    Some("MAX_TOKENS") => stop = Some(StopReason::Length),
                    Some("SAFETY" | "RECITATION" | "LANGUAGE" | "BLOCKLIST" | "PROHIBITED_CONTENT" | "SPII") => {
                        stop = Some(StopReason::Refused);
                    }
                    // OTHER, MALFORMED_RESPONSE, …: the answer breaks off, and nobody refused it.
                    Some(reason) => Err(http.error(ErrorKind::Unavailable, format!("the model broke off: {reason}")))?,
                }
            }
        }
        let stop = stop.ok_or_else(|| sse::cut_off(&http))?;
        yield ChatEvent::Done { stop, usage };
    })
}
