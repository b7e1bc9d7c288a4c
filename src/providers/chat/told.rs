//! What the span of a request tells of its answer.

use futures_util::StreamExt as _;
use serde_json::{Value, json};
use tokio::time::Instant;
use tracing::Span;

use super::model::{ChatEvent, ChatRequest, ChatStream, Message, Role, StopReason};
use crate::providers::ProviderError;
use crate::telemetry;

/// Letters of an answer that are told where content is, at most.
const MOST: usize = 64 << 10;

/// The same answer, whose span ends with it and tells what it was. The request left at `asked`.
pub(super) fn told(
    span: Span,
    asked: Instant,
    request: &ChatRequest,
    answer: Result<ChatStream, ProviderError>,
) -> Result<ChatStream, ProviderError> {
    let content = telemetry::content();
    if content {
        span.record("gen_ai.system_instructions", text(&request.system).to_string());
        let messages = request.messages.iter().map(spoken).collect::<Vec<_>>();
        span.record("gen_ai.input.messages", Value::from(messages).to_string());
    }
    let answer = answer.inspect_err(|error| telemetry::failed(&span, error.kind.code()))?;
    // Its first piece is there.
    span.record("gen_ai.response.time_to_first_chunk", asked.elapsed().as_secs_f64());
    let mut before = Instant::now();
    let (mut first, mut words) = (true, String::new());
    Ok(Box::pin(answer.inspect(move |event| {
        let now = Instant::now();
        if !std::mem::take(&mut first) {
            telemetry::chunk(&span, now - before);
        }
        before = now;
        match event {
            Ok(ChatEvent::Done { stop, usage }) => {
                let cached = |tokens: u64| (tokens > 0).then_some(tokens);
                let counted = [
                    ("gen_ai.usage.input_tokens", usage.input_tokens),
                    ("gen_ai.usage.output_tokens", usage.output_tokens),
                    ("gen_ai.usage.cache_read.input_tokens", cached(usage.prompt_cache.read_tokens)),
                    ("gen_ai.usage.cache_creation.input_tokens", cached(usage.prompt_cache.written_tokens)),
                ];
                for (name, tokens) in counted {
                    if let Some(tokens) = tokens {
                        telemetry::count(&span, name, tokens);
                    }
                }
                span.record("gen_ai.response.finish_reasons", reason(*stop));
                if content {
                    let message = json!([{ "role": "assistant", "parts": text(&words), "finish_reason": reason(*stop) }]);
                    span.record("gen_ai.output.messages", message.to_string());
                }
            }
            Ok(ChatEvent::Text(text)) if content && words.len() < MOST => words.push_str(text),
            Ok(ChatEvent::Retracted) => words.clear(),
            Ok(_) => {}
            Err(error) => telemetry::failed(&span, error.kind.code()),
        }
    })))
}

fn text(text: &str) -> Value {
    json!([{ "type": "text", "content": text }])
}

fn spoken(message: &Message) -> Value {
    let role = match message.role {
        Role::User => "user",
        Role::Assistant => "assistant",
    };
    json!({ "role": role, "parts": text(&message.text) })
}

/// What the conventions call the reason why a model stopped.
fn reason(stop: StopReason) -> &'static str {
    match stop {
        StopReason::End => "stop",
        StopReason::Length => "length",
        StopReason::Refused => "content_filter",
    }
}
