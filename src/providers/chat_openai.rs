//! `POST /chat/completions`, streamed: OpenAI and every compatible server.

use std::sync::{Arc, Mutex, PoisonError};

use async_stream::try_stream;
use async_trait::async_trait;
use futures_util::StreamExt;
use serde::Deserialize;
use serde_json::{Value, json};

use super::http::{Cost, Http};
use super::sse::{self, Body};
use super::{ChatEvent, ChatModel, ChatRequest, ChatStream, ErrorKind, ProviderError, Role, StopReason, Usage, prices};
use crate::providers::{Price, ProviderPlan};

/// The chat model `model` of the provider behind `http`.
pub fn model(http: Arc<Http>, plan: &ProviderPlan, model: &str) -> Arc<dyn ChatModel> {
    let dialect = Mutex::new(Dialect::guess(plan, model));
    Arc::new(OpenAi {
        name: format!("{}/{model}", plan.name),
        price: prices::of(plan, model),
        id: model.to_owned(),
        http,
        dialect,
    })
}

#[derive(Debug)]
struct OpenAi {
    http: Arc<Http>,
    name: String,
    price: Option<Price>,
    /// The model's name at the provider.
    id: String,
    /// What this model was found to accept.
    dialect: Mutex<Dialect>,
}

#[async_trait]
impl ChatModel for OpenAi {
    fn model(&self) -> &str {
        &self.name
    }

    fn price(&self) -> Option<Price> {
        self.price
    }

    async fn chat(&self, request: ChatRequest) -> Result<ChatStream, ProviderError> {
        let cost = Cost { tokens: request.estimated_tokens() };
        let mut dialect = *self.dialect.lock().unwrap_or_else(PoisonError::into_inner);
        // Each turn gives one parameter up for good, so this ends.
        loop {
            let body = body(&self.id, &request, dialect);
            match sse::answer(&self.http, "/chat/completions", &[], &body, cost, decode).await {
                Ok(answer) => {
                    *self.dialect.lock().unwrap_or_else(PoisonError::into_inner) = dialect;
                    return Ok(answer);
                }
                Err(error) => dialect = dialect.without_refused(&error, &body).ok_or(error)?,
            }
        }
    }
}

/// The parameters in which servers and models differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Dialect {
    /// What the limit of an answer is called.
    max_tokens: &'static str,
    /// What to call it when that is refused.
    or_else: Option<&'static str>,
    temperature: bool,
    stream_options: bool,
}

impl Dialect {
    /// OpenAI itself takes `max_completion_tokens` for every model and wants it for those that reason, which refuse a
    /// temperature. Many compatible servers know `max_tokens` alone, and ignore the other without a word.
    fn guess(plan: &ProviderPlan, model: &str) -> Self {
        let openai = plan.base_url.host_str() == Some("api.openai.com");
        let numbered_o = model.strip_prefix('o').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
        let (old, new) = ("max_tokens", "max_completion_tokens");
        let (max_tokens, or_else) = if openai { (new, old) } else { (old, new) };
        Self {
            max_tokens,
            or_else: Some(or_else),
            temperature: !(openai && (numbered_o || model.starts_with("gpt-5"))),
            stream_options: true,
        }
    }

    /// This dialect without the parameter that the error names; `None` where the error is about something else.
    fn without_refused(self, error: &ProviderError, sent: &Value) -> Option<Self> {
        let refused = |name| error.kind == ErrorKind::InvalidInput && sent.get(name).is_some() && error.message.contains(name);
        if let Some(other) = self.or_else
            && refused(self.max_tokens)
        {
            Some(Self { max_tokens: other, or_else: None, ..self })
        } else if refused("temperature") {
            Some(Self { temperature: false, ..self })
        } else if refused("stream_options") {
            Some(Self { stream_options: false, ..self })
        } else {
            None
        }
    }
}

fn body(model: &str, request: &ChatRequest, dialect: Dialect) -> Value {
    let system = (!request.system.is_empty()).then(|| json!({ "role": "system", "content": request.system }));
    let turns = request.messages.iter().map(|message| {
        let role = match message.role {
            Role::User => "user",
            Role::Assistant => "assistant",
        };
        json!({ "role": role, "content": message.text })
    });
    let messages: Vec<_> = system.into_iter().chain(turns).collect();
    let mut body = json!({ "model": model, "messages": messages, "stream": true });
    if let Value::Object(fields) = &mut body {
        fields.insert(dialect.max_tokens.to_owned(), request.max_tokens.into());
        if dialect.stream_options {
            fields.insert("stream_options".to_owned(), json!({ "include_usage": true }));
        }
        if let Some(temperature) = request.temperature.filter(|_| dialect.temperature) {
            fields.insert("temperature".to_owned(), json!(temperature));
        }
    }
    body
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

#[derive(Deserialize)]
struct Part {
    text: Option<String>,
}

impl Content {
    fn text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Parts(parts) => parts.into_iter().filter_map(|part| part.text).collect(),
        }
    }
}

#[derive(Deserialize)]
struct Tokens {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
}

/// Reads a streamed answer. Its end mark is `[DONE]`, or the end of the body after a `finish_reason`.
pub fn decode(http: &Arc<Http>, body: Body) -> ChatStream {
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
                Err(http.refusal(None, &json!({ "error": error })))?;
            }
            if chunk.object.as_deref() == Some("error") {
                let whole: Value = sse::json(&http, &data)?;
                Err(http.refusal(None, &json!({ "error": whole })))?;
            }
            if let Some(tokens) = chunk.usage {
                usage = Usage { input_tokens: tokens.prompt_tokens, output_tokens: tokens.completion_tokens };
            }
            for choice in chunk.choices.into_iter().flatten() {
                if let Some(delta) = choice.delta {
                    // Some servers send both, and one of them empty.
                    let mut reasoning = [delta.reasoning_content, delta.reasoning].into_iter().flatten();
                    if let Some(reasoning) = reasoning.find(|text| !text.is_empty()) {
                        yield ChatEvent::Reasoning(reasoning);
                    }
                    let refusal = delta.refusal.unwrap_or_default();
                    refused |= !refusal.is_empty();
                    let text = delta.content.map(Content::text).unwrap_or_default() + &refusal;
                    if !text.is_empty() {
                        yield ChatEvent::Text(text);
                    }
                }
                // Some servers send an empty reason with every chunk.
                match choice.finish_reason.as_deref() {
                    None | Some("") => {}
                    Some("length") => stop = Some(StopReason::Length),
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

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::*;
    use crate::limits::Limits;
    use crate::providers::{ProviderKind, RetryPlan};

    #[test]
    fn openai_itself_is_sent_its_newer_parameters() {
        let sent = |base_url: &str, model: &str| {
            let plan = ProviderPlan {
                name: "p".to_owned(),
                kind: ProviderKind::OpenAi,
                base_url: base_url.parse().unwrap(),
                api_key: None,
                key_variable: None,
                limits: Limits::default(),
                timeout: Duration::from_secs(1),
                retry: RetryPlan::default(),
                identity: None,
                prices: BTreeMap::new(),
            };
            let request = ChatRequest { system: String::new(), messages: Vec::new(), max_tokens: 7, temperature: Some(0.0) };
            let body = body(model, &request, Dialect::guess(&plan, model));
            ["max_tokens", "max_completion_tokens", "temperature"].map(|name| body.get(name).is_some())
        };
        assert_eq!(sent("https://api.openai.com/v1", "gpt-4o-mini"), [false, true, true]);
        assert_eq!(sent("https://api.openai.com/v1", "gpt-5-mini"), [false, true, false]);
        assert_eq!(sent("https://api.openai.com/v1", "o3"), [false, true, false]);
        assert_eq!(sent("https://api.openai.com/v1", "omni-x"), [false, true, true]);
        assert_eq!(sent("https://openrouter.ai/api/v1", "o3"), [true, false, true]);
        assert_eq!(sent("http://localhost:8080/v1", "gpt-5-like"), [true, false, true]);
    }
}
