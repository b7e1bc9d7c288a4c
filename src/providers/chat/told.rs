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
    let mut ending = Ending(Some(span.clone()));
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
                ending.end();
            }
            Ok(ChatEvent::Text(text)) if content && words.len() < MOST => words.push_str(text),
            Ok(ChatEvent::Retracted) => words.clear(),
            Ok(_) => {}
            Err(error) => {
                telemetry::failed(&span, error.kind.code());
                ending.end();
            }
        }
    })))
}

/// Says when the work that a span is has ended: with its last event, or when nobody wants more of it. Who exports spans takes the
/// last time at which one was left for its end, and the stream is not read within it.
struct Ending(Option<Span>);

impl Ending {
    fn end(&mut self) {
        if let Some(span) = self.0.take() {
            drop(span.entered());
        }
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.end();
    }
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

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed test panics")]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::stream;
    use tracing::span::{Attributes, Id, Record};
    use tracing::{Event, Metadata, Subscriber};

    use super::*;
    use crate::providers::Usage;

    /// Counts how often a span was left, the last time of which is its end to those who export it.
    struct Exits(Arc<AtomicUsize>);

    impl Subscriber for Exits {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }

        fn new_span(&self, _: &Attributes<'_>) -> Id {
            Id::from_u64(1)
        }

        fn record(&self, _: &Id, _: &Record<'_>) {}

        fn record_follows_from(&self, _: &Id, _: &Id) {}

        fn event(&self, _: &Event<'_>) {}

        fn enter(&self, _: &Id) {}

        fn exit(&self, _: &Id) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[tokio::test]
    async fn its_span_ends_with_the_last_event_or_with_who_leaves() {
        let exits = Arc::new(AtomicUsize::new(0));
        let left = || exits.load(Ordering::Relaxed);
        let _listening = tracing::subscriber::set_default(Exits(Arc::clone(&exits)));
        let begun = || {
            let done = ChatEvent::Done { stop: StopReason::End, usage: Usage::default() };
            let events = stream::iter([Ok(ChatEvent::Text("a".into())), Ok(done)]).boxed();
            let request =
                ChatRequest { system: "s".into(), messages: Vec::new(), max_tokens: 9, temperature: None, shared: None };
            told(tracing::info_span!("one"), Instant::now(), &request, Ok(events)).unwrap()
        };
        let mut read = begun();
        read.next().await.unwrap().unwrap();
        assert_eq!(left(), 0, "its first piece is not its end");
        read.next().await.unwrap().unwrap();
        assert_eq!(left(), 1);
        drop(read);
        assert_eq!(left(), 1, "what is done with it afterwards is not its");

        let mut torn = begun();
        torn.next().await.unwrap().unwrap();
        drop(torn);
        assert_eq!(left(), 2);
    }
}
