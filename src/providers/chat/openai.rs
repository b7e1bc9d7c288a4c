//! `POST /chat/completions`, streamed: OpenAI and every compatible server.

use std::sync::Arc;

use async_stream::try_stream;
use futures_util::StreamExt;
use serde_json::{Value, json};

use super::model::{ChatEvent, ChatRequest, ChatStream, PromptCache, StopReason, Usage};
use super::wire::{ChatWire, Parameters, messages, refusal};
use crate::providers::ErrorKind;
use crate::providers::http::{Body, Http};
use crate::providers::json::{count_in, error_in, list_in, set, set_some, text_in, word_in};
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

/// What a choice adds to the answer.
#[derive(Default)]
struct Said {
    thoughts: String,
    text: String,
    refused: bool,
}

impl Said {
    /// Reads a choice. Everything is optional: some chunks have no delta, others nothing in it.
    fn of(choice: &Value) -> Result<Self, String> {
        // `message` is what a server that cannot stream calls it.
        let Some(delta) = ["delta", "message"].iter().find_map(|name| choice.get(name).filter(|delta| delta.is_object()))
        else {
            return Ok(Self::default());
        };
        let mut said = Self::default();
        match delta.get("content") {
            // Mistral's models that reason: typed parts.
            Some(Value::Array(parts)) => said.read(parts)?,
            _ => said.text = text_in(delta, "content")?.unwrap_or_default(),
        }
        // DeepSeek, llama.cpp and older vLLM; OpenRouter, Groq and newer vLLM. Some send both, and one of them empty.
        let reasoning = ["reasoning_content", "reasoning"].iter().filter_map(|name| delta.get(name)?.as_str());
        if let Some(reasoning) = reasoning.into_iter().find(|text| !text.is_empty()) {
            reasoning.clone_into(&mut said.thoughts);
        }
        if let Some(refusal) = text_in(delta, "refusal")? {
            said.refused = true;
            said.text.push_str(&refusal);
        }
        Ok(said)
    }

    /// Reads typed parts: text, or thoughts, which are a text or a list of parts themselves.
    fn read(&mut self, parts: &[Value]) -> Result<(), String> {
        for part in parts {
            if let Value::String(text) = part {
                self.text.push_str(text);
                continue;
            }
            match part.get("thinking") {
                Some(Value::Array(thoughts)) => {
                    self.thoughts.extend(thoughts.iter().filter_map(|thought| thought.get("text")?.as_str()));
                }
                Some(Value::String(thought)) => self.thoughts.push_str(thought),
                _ => {}
            }
            self.text.extend(text_in(part, "text")?);
        }
        Ok(())
    }
}

/// Adds what was counted: what comes later has all of it.
fn add(usage: &mut Usage, counted: &Value) {
    usage.input_tokens = count_in(counted, "prompt_tokens").or(usage.input_tokens);
    usage.output_tokens = written(counted).or(usage.output_tokens);
    let details = counted.get("prompt_tokens_details").unwrap_or(&Value::Null);
    let PromptCache { read_tokens, written_tokens } = &mut usage.prompt_cache;
    // DeepSeek has another name for it.
    let read = count_in(details, "cached_tokens").or_else(|| count_in(counted, "prompt_cache_hit_tokens"));
    *read_tokens = read.unwrap_or(*read_tokens);
    *written_tokens = count_in(details, "cache_write_tokens").unwrap_or(*written_tokens);
}

/// Tokens written. Thoughts are among them at OpenAI, and beside them at xAI and where Grok is behind another's server: the total tells
/// which is meant. <https://docs.x.ai/docs/key-information/consumption-and-rate-limits>
fn written(counted: &Value) -> Option<u64> {
    let told = count_in(counted, "completion_tokens")?;
    let beside = || {
        let thought = count_in(counted.get("completion_tokens_details")?, "reasoning_tokens")?;
        let both = told.checked_add(thought)?;
        let read = count_in(counted, "prompt_tokens")?;
        (count_in(counted, "total_tokens") == read.checked_add(both)).then_some(both)
    };
    Some(beside().unwrap_or(told))
}

/// Reads a streamed answer. Its end mark is `[DONE]`, or the end of the body after a `finish_reason`.
fn decode(http: &Arc<Http>, body: Body) -> ChatStream {
    let http = http.clone();
    Box::pin(try_stream! {
        let mut events = sse::events(&http, body);
        let (mut stop, mut refused, mut usage) = (None, false, Usage::default());
        while let Some(event) = events.next().await {
            let event = event?;
            if event.data.trim() == "[DONE]" {
                stop = stop.or(Some(StopReason::End));
                break;
            }
            let Some(chunk) = event.message(&http)? else { continue };
            if let Some(error) = error_in(&chunk) {
                Err(refusal(&http, error))?;
            }
            // Old versions of vLLM put the error's fields beside it, as Mistral does.
            if chunk.get("object").and_then(Value::as_str) == Some("error") {
                Err(refusal(&http, &chunk))?;
            }
            if let Some(tokens) = chunk.get("usage") {
                add(&mut usage, tokens);
            }
            let broken = |why: String| sse::broken(&http, &why, &event.data);
            for choice in list_in(&chunk, "choices").map_err(broken)? {
                let said = Said::of(choice).map_err(broken)?;
                refused |= said.refused;
                if !said.thoughts.is_empty() {
                    yield ChatEvent::Reasoning(said.thoughts);
                }
                if !said.text.is_empty() {
                    yield ChatEvent::Text(said.text);
                }
                // Some servers send an empty reason with every chunk.
                match word_in(choice, "finish_reason") {
                    None => {}
                    Some("length" | "model_length" | "model_context_window_exceeded") => stop = Some(StopReason::Length),
                    // The second one is Zhipu's.
                    Some("content_filter" | "sensitive") => stop = Some(StopReason::Refused),
                    // OpenRouter; vLLM and SGLang; DeepSeek; Zhipu.
                    Some(reason @ ("error" | "abort" | "insufficient_system_resource" | "network_error")) => {
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

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail loudly")]
mod tests {
    use futures_util::stream;

    use super::*;
    use crate::providers::{ProviderKind, ProviderPlan};

    #[tokio::test]
    async fn an_answer_that_was_cut_off_is_no_complete_one_in_whatever_words_that_is_said() {
        let plan = ProviderPlan { base_url: "http://localhost:1".parse().unwrap(), ..ProviderPlan::new(ProviderKind::OpenAi) };
        let http = Arc::new(Http::connect(&plan).unwrap());
        for (reason, stops) in [
            ("stop", Ok(StopReason::End)),
            ("tool_calls", Ok(StopReason::End)),
            ("length", Ok(StopReason::Length)),
            ("model_context_window_exceeded", Ok(StopReason::Length)),
            ("content_filter", Ok(StopReason::Refused)),
            ("sensitive", Ok(StopReason::Refused)),
            ("network_error", Err(ErrorKind::Unavailable)),
            ("insufficient_system_resource", Err(ErrorKind::Unavailable)),
        ] {
            let chunk = json!({"choices": [{"delta": {"content": "Keys"}, "finish_reason": reason}]});
            let body = stream::iter([Ok(format!("data: {chunk}\n\ndata: [DONE]\n\n").into())]).boxed();
            let events: Vec<_> = decode(&http, body).collect().await;
            let last = events.into_iter().next_back().unwrap();
            let stopped = match last.map_err(|error| error.kind) {
                Ok(ChatEvent::Done { stop, .. }) => Ok(stop),
                Ok(other) => panic!("{other:?}"),
                Err(kind) => Err(kind),
            };
            assert_eq!(stopped, stops, "{reason}");
        }
    }

    #[test]
    fn thoughts_are_counted_once_wherever_a_server_counts_them() {
        let output = |counted: Value| {
            let mut usage = Usage::default();
            add(&mut usage, &counted);
            usage.output_tokens
        };
        let counted = |total: u64| {
            json!({"prompt_tokens": 1000, "completion_tokens": 200, "total_tokens": total,
                   "completion_tokens_details": {"reasoning_tokens": 150}})
        };
        assert_eq!(output(counted(1350)), Some(350), "xAI: beside what was written");
        assert_eq!(output(counted(1200)), Some(200), "OpenAI, DeepSeek: among it");
        assert_eq!(output(counted(1300)), Some(200), "nobody knows what is in this total");
        let mut without = counted(1350);
        without.as_object_mut().map(|counted| counted.remove("total_tokens"));
        assert_eq!(output(without), Some(200));
        assert_eq!(output(json!({"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7})), Some(2));
        let grok = json!({"prompt_tokens": 10120, "completion_tokens": 1499, "total_tokens": 14428,
                          "completion_tokens_details": {"reasoning_tokens": 2809}});
        assert_eq!(output(grok), Some(4308));
    }
}
