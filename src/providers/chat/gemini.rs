//! Gemini's `POST /models/MODEL:streamGenerateContent`, as server-sent events.

use std::sync::Arc;

use async_stream::try_stream;
use futures_util::StreamExt;
use serde_json::{Value, json};

use super::model::{ChatEvent, ChatRequest, ChatStream, Role, StopReason, Usage};
use super::wire::{ChatWire, Parameters, refusal};
use crate::providers::ErrorKind;
use crate::providers::http::{Body, Http};
use crate::providers::json::{count_in, error_in, list_in, set, set_some, text_in, word_in};
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

/// Adds what was counted: each chunk counts from the beginning.
fn add(usage: &mut Usage, counted: &Value) {
    usage.input_tokens = count_in(counted, "promptTokenCount").or(usage.input_tokens);
    let thoughts = count_in(counted, "thoughtsTokenCount").unwrap_or_default();
    let output = count_in(counted, "candidatesTokenCount").map(|n| n.saturating_add(thoughts));
    usage.output_tokens = output.or(usage.output_tokens);
    let read_tokens = &mut usage.prompt_cache.read_tokens;
    *read_tokens = count_in(counted, "cachedContentTokenCount").unwrap_or(*read_tokens);
}

/// Reads a streamed answer. Its end mark is a `finishReason`, or a `blockReason` where the prompt itself was refused.
fn decode(http: &Arc<Http>, body: Body) -> ChatStream {
    let http = http.clone();
    Box::pin(try_stream! {
        let mut events = sse::events(&http, body);
        let (mut stop, mut usage) = (None, Usage::default());
        while let Some(event) = events.next().await {
            let event = event?;
            let Some(chunk) = event.message(&http)? else { continue };
            if let Some(error) = error_in(&chunk) {
                Err(refusal(&http, error))?;
            }
            if let Some(counted) = chunk.get("usageMetadata") {
                add(&mut usage, counted);
            }
            if chunk.get("promptFeedback").is_some_and(|feedback| word_in(feedback, "blockReason").is_some()) {
                stop = Some(StopReason::Refused);
            }
            let broken = |why: String| sse::broken(&http, &why, &event.data);
            for candidate in list_in(&chunk, "candidates").map_err(broken)? {
                let parts = candidate.get("content").map_or(Ok(&[][..]), |content| list_in(content, "parts"));
                for part in parts.map_err(broken)? {
                    let Some(text) = text_in(part, "text").map_err(broken)? else { continue };
                    if part.get("thought") == Some(&Value::Bool(true)) {
                        yield ChatEvent::Reasoning(text);
                    } else {
                        yield ChatEvent::Text(text);
                    }
                }
                match word_in(candidate, "finishReason") {
                    None | Some("FINISH_REASON_UNSPECIFIED") => {}
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
