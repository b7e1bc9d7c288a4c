//! `POST /v1/responses`, as `OpenAI` and Open Responses have it. Nothing is kept: each request brings its whole conversation.

mod wire;

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::Event;
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt as _;
use serde::Deserialize;
use serde_json::Value;

use self::wire::{Echo, Wire};
use super::begin::{Asked, Begun, begin};
use super::conversation::{Conversation, Turn};
use super::options::{self, Options, no_tools};
use super::tell::Mode;
use crate::serve::api::read::Body;
use crate::serve::fault::Fault;
use crate::serve::service::Service;
use crate::serve::sse;

/// A request, as far as it is read.
#[derive(Debug, Deserialize)]
pub(super) struct Request {
    #[serde(default)]
    model: Option<String>,
    #[serde(default)]
    input: Option<Input>,
    #[serde(default)]
    instructions: Option<String>,
    #[serde(default)]
    stream: Option<bool>,
    #[serde(default)]
    max_output_tokens: Option<u32>,
    #[serde(default)]
    temperature: Option<f32>,
    #[serde(default)]
    reasoning: Option<Value>,
    #[serde(default)]
    metadata: Option<Value>,
    #[serde(default)]
    ragstream: Option<Value>,
    /// As `ragstream` has it.
    #[serde(default)]
    all: Option<bool>,
    #[serde(default)]
    tools: Option<Vec<Value>>,
    #[serde(default)]
    tool_choice: Option<Value>,
    #[serde(default)]
    text: Option<Value>,
    #[serde(default)]
    previous_response_id: Option<Value>,
    #[serde(default)]
    conversation: Option<Value>,
    #[serde(default)]
    prompt: Option<Value>,
    #[serde(default)]
    background: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Input {
    Text(String),
    Items(Vec<Turn>),
}

impl Request {
    /// Refuses what would be another answer than the one that is given.
    fn check(&self) -> Result<(), Fault> {
        no_tools(self.tools.as_ref(), self.tool_choice.as_ref())?;
        let format = self.text.as_ref().and_then(|text| text.pointer("/format/type")).and_then(Value::as_str);
        if format.is_some_and(|format| format != "text") {
            return Err(Fault::bad("answers are text, whose form is not enforced: leave `text.format` out"));
        }
        let kept = [
            ("previous_response_id", &self.previous_response_id),
            ("conversation", &self.conversation),
            ("prompt", &self.prompt),
        ];
        if let Some((name, _)) = kept.into_iter().find(|(_, value)| value.as_ref().is_some_and(|value| !value.is_null())) {
            return Err(Fault::bad(format!("nothing is kept between requests: send the whole conversation, not `{name}`")));
        }
        if self.background == Some(true) {
            return Err(Fault::bad("an answer lives in its response: leave `background` out"));
        }
        Ok(())
    }
}

pub(super) async fn respond(
    State(service): State<Arc<Service>>,
    headers: HeaderMap,
    Body(request): Body<Request>,
) -> Result<Response, Fault> {
    request.check()?;
    let streams = request.stream.unwrap_or_default();
    let options = Options::read(request.ragstream, request.metadata.as_ref())?.or_all(request.all);
    let summary = request.reasoning.as_ref().and_then(|reasoning| reasoning.get("summary"));
    let reasoning = options.reasoning || summary.is_some_and(Value::is_string);
    let turns = match request.input {
        Some(Input::Text(text)) => vec![Turn::user(text)],
        Some(Input::Items(items)) => items,
        None => Vec::new(),
    };
    let mut conversation = Conversation::read(&turns)?;
    if let Some(first) = request.instructions.as_ref().filter(|first| !first.trim().is_empty()) {
        let said = conversation.instructions.take().map_or_else(String::new, |then| format!("\n\n{then}"));
        conversation.instructions = Some(format!("{first}{said}"));
    }
    let max_tokens = options::max_tokens(request.max_output_tokens)?;
    let temperature = options::temperature(request.temperature)?;
    let asked = Asked {
        model: request.model,
        conversation,
        options,
        max_tokens,
        temperature,
        mode: if streams { Mode::Streamed } else { Mode::Whole },
    };
    let begun = begin(&service, &headers, asked).await?;
    let echo = Echo { instructions: request.instructions, max_tokens, temperature, metadata: request.metadata };
    let wire = Wire::new(&begun.model, echo, reasoning);
    if streams { Ok(streamed(begun, wire)) } else { whole(begun, wire).await }
}

/// The answer lives in the response: who leaves drops it, and with it the request upstream.
fn streamed(begun: Begun, mut wire: Wire) -> Response {
    sse::respond(async_stream::stream! {
        let Begun { mut events, mut teller, .. } = begun;
        for event in wire.begin() {
            yield named(&event);
        }
        while let Some(event) = events.next().await {
            match event {
                Ok(event) => for said in teller.tell(event) {
                    for event in wire.say(said, &teller.sources) {
                        yield named(&event);
                    }
                },
                Err(error) => for event in wire.fail(&Fault::from(&error)) {
                    yield named(&event);
                },
            }
        }
        yield Event::default().data("[DONE]");
    })
}

fn named(event: &Value) -> Event {
    let name = event.get("type").and_then(Value::as_str).unwrap_or_default();
    Event::default().event(name).data(event.to_string())
}

async fn whole(begun: Begun, mut wire: Wire) -> Result<Response, Fault> {
    let Begun { mut events, mut teller, .. } = begun;
    while let Some(event) = events.next().await {
        for said in teller.tell(event?) {
            wire.say(said, &teller.sources);
        }
    }
    Ok(Json(wire.response()).into_response())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed test panics")]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_would_be_another_answer_is_refused() {
        let check = |request: Value| serde_json::from_value::<Request>(request).unwrap().check();
        for refused in [
            json!({"tools": [{"type": "web_search"}]}),
            json!({"text": {"format": {"type": "json_schema", "name": "x", "schema": {}}}}),
            json!({"previous_response_id": "resp_1"}),
            json!({"conversation": "conv_1"}),
            json!({"prompt": {"id": "pmpt_1"}}),
            json!({"background": true}),
        ] {
            assert!(check(refused.clone()).is_err(), "{refused}");
        }
        let usual = json!({"tools": [], "text": {"format": {"type": "text"}, "verbosity": "low"}, "previous_response_id": null,
            "conversation": null, "background": false, "store": false, "include": ["x"], "truncation": "auto", "top_p": 1});
        assert!(check(usual).is_ok());
        assert!(check(json!({"tools": [{}], "tool_choice": "none"})).is_ok());
    }
}
