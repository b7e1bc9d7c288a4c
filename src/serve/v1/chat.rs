//! `POST /v1/chat/completions`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::Event;
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt as _;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::begin::{Asked, Begun, begin};
use super::citations::{Citation, Linked, find};
use super::conversation::{Conversation, Turn};
use super::errors;
use super::models::now;
use super::options::{self, Options, no_tools};
use super::tell::{End, Mode, Said};
use crate::providers::StopReason;
use crate::serve::api::read::Body;
use crate::serve::fault::Fault;
use crate::serve::service::Service;
use crate::serve::sse;

/// A chat, as far as it is read.
#[derive(Debug, Deserialize)]
pub(super) struct Chat {
    #[serde(default)]
    model: Option<String>,
    messages: Vec<Turn>,
    #[serde(default)]
    stream: Option<bool>,
    #[serde(default)]
    stream_options: Option<StreamOptions>,
    #[serde(default)]
    max_tokens: Option<u32>,
    #[serde(default)]
    max_completion_tokens: Option<u32>,
    #[serde(default)]
    temperature: Option<f32>,
    /// As vLLM and `OpenRouter` have it.
    #[serde(default)]
    include_reasoning: Option<bool>,
    #[serde(default)]
    metadata: Option<Value>,
    #[serde(default)]
    ragstream: Option<Value>,
    /// As `ragstream` has it.
    #[serde(default)]
    all: Option<bool>,
    #[serde(default)]
    n: Option<u32>,
    #[serde(default)]
    tools: Option<Vec<Value>>,
    #[serde(default)]
    functions: Option<Vec<Value>>,
    #[serde(default)]
    tool_choice: Option<Value>,
    #[serde(default)]
    response_format: Option<Value>,
    #[serde(default)]
    logprobs: Option<bool>,
    #[serde(default)]
    stop: Option<Value>,
    #[serde(default)]
    modalities: Option<Vec<String>>,
}

#[derive(Debug, Default, Deserialize)]
struct StreamOptions {
    #[serde(default)]
    include_usage: Option<bool>,
}

impl Chat {
    /// Refuses what would be another answer than the one that is given.
    fn check(&self) -> Result<(), Fault> {
        no_tools(self.tools.as_ref(), self.tool_choice.as_ref())?;
        no_tools(self.functions.as_ref(), self.tool_choice.as_ref())?;
        if self.n.is_some_and(|n| n != 1) {
            return Err(Fault::bad("there is one answer to a question: leave `n` out"));
        }
        let format = self.response_format.as_ref().and_then(|format| format.get("type")).and_then(Value::as_str);
        if format.is_some_and(|format| format != "text") {
            return Err(Fault::bad("answers are text, whose form is not enforced: leave `response_format` out"));
        }
        if self.logprobs == Some(true) {
            return Err(Fault::bad("there are no log probabilities: leave `logprobs` out"));
        }
        let stops = match &self.stop {
            None | Some(Value::Null) => false,
            Some(Value::Array(stops)) => !stops.is_empty(),
            Some(_) => true,
        };
        if stops {
            return Err(Fault::bad("an answer ends where it ends: leave `stop` out"));
        }
        if self.modalities.iter().flatten().any(|kind| kind != "text") {
            return Err(Fault::bad("answers are text: leave `modalities` out"));
        }
        Ok(())
    }
}

pub(super) async fn complete(
    State(service): State<Arc<Service>>,
    headers: HeaderMap,
    Body(chat): Body<Chat>,
) -> Result<Response, Fault> {
    chat.check()?;
    let streams = chat.stream.unwrap_or_default();
    let options = Options::read(chat.ragstream, chat.metadata.as_ref())?.or_all(chat.all);
    let thoughts = options.reasoning || chat.include_reasoning.unwrap_or_default();
    let asked = Asked {
        model: chat.model,
        conversation: Conversation::read(&chat.messages)?,
        options,
        max_tokens: options::max_tokens(chat.max_completion_tokens.or(chat.max_tokens))?,
        temperature: options::temperature(chat.temperature)?,
        mode: if streams { Mode::Streamed } else { Mode::Whole },
    };
    let begun = begin(&service, &headers, asked).await?;
    let usage = chat.stream_options.unwrap_or_default().include_usage.unwrap_or_default();
    let wire = Wire::new(&begun.model, Shows { thoughts, usage });
    if streams { Ok(streamed(begun, wire)) } else { whole(begun, &wire).await }
}

/// The answer lives in the response: who leaves drops it, and with it the request upstream.
fn streamed(begun: Begun, mut wire: Wire) -> Response {
    sse::respond(async_stream::stream! {
        let Begun { mut events, mut teller, .. } = begun;
        while let Some(event) = events.next().await {
            match event {
                Ok(event) => for said in teller.tell(event) {
                    for chunk in wire.chunks(said, &teller.sources) {
                        yield Event::default().data(chunk.to_string());
                    }
                },
                Err(error) => yield Event::default().data(errors::body(&Fault::from(&error)).to_string()),
            }
        }
        yield Event::default().data("[DONE]");
    })
}

async fn whole(begun: Begun, wire: &Wire) -> Result<Response, Fault> {
    let Begun { mut events, mut teller, .. } = begun;
    let mut message = Message::default();
    while let Some(event) = events.next().await {
        for said in teller.tell(event?) {
            message.add(said);
        }
    }
    Ok(Json(wire.object(message, &teller.sources)).into_response())
}

/// An answer that is complete.
#[derive(Default)]
struct Message {
    text: String,
    thoughts: String,
    citations: Vec<Citation>,
    end: Option<End>,
}

impl Message {
    fn add(&mut self, said: Said) {
        match said {
            Said::Thought(text) => self.thoughts.push_str(&text),
            Said::Text { text, citations, .. } => {
                self.text.push_str(&text);
                self.citations.extend(citations);
            }
            Said::Void => *self = Self::default(),
            Said::End(end) => self.end = Some(end),
        }
    }
}

/// What the client wants beside the answer.
#[derive(Debug, Clone, Copy)]
struct Shows {
    thoughts: bool,
    /// After a stream.
    usage: bool,
}

/// Says an answer in the words of the API.
struct Wire {
    id: String,
    created: u64,
    model: String,
    shows: Shows,
    /// Annotations that were sent.
    annotations: usize,
    /// The first chunk was sent.
    begun: bool,
    /// The sources were sent beside a text.
    sourced: bool,
}

impl Wire {
    fn new(model: &str, shows: Shows) -> Self {
        let id = format!("chatcmpl-{}", Uuid::from_u128(rand::random()).simple());
        Self { id, created: now().as_secs(), model: model.to_owned(), shows, annotations: 0, begun: false, sourced: false }
    }

    /// The chunks of what is said, each of them whole.
    fn chunks(&mut self, said: Said, sources: &[Linked]) -> Vec<Value> {
        match said {
            Said::Void => Vec::new(),
            Said::Thought(_) if !self.shows.thoughts => Vec::new(),
            Said::Thought(text) => vec![self.chunk(json!({"reasoning_content": text}), sources, false)],
            Said::Text { text, citations, new } => {
                let mut annotations: Vec<Value> =
                    citations.into_iter().filter_map(|citation| citation.nested(sources)).collect();
                for annotation in &mut annotations {
                    // By it, the clients that gather a stream tell the entries of a list apart.
                    insert(annotation, "index", self.annotations.into());
                    self.annotations += 1;
                }
                let mut delta = json!({"content": text});
                if !annotations.is_empty() {
                    insert(&mut delta, "annotations", annotations.into());
                }
                // Open WebUI takes one event a chunk.
                let mut events = new.into_iter().filter_map(|n| find(sources, n)).map(Linked::event);
                let mut first = self.chunk(delta, sources, true);
                if let Some(event) = events.next() {
                    insert(&mut first, "event", event);
                }
                let mut chunks = vec![first];
                for event in events {
                    let mut chunk = self.chunk(json!({"content": ""}), sources, true);
                    insert(&mut chunk, "event", event);
                    chunks.push(chunk);
                }
                chunks
            }
            Said::End(end) => {
                let mut chunks = Vec::new();
                if !self.begun {
                    chunks.push(self.chunk(json!({"content": ""}), sources, false));
                }
                let mut last = self.head("chat.completion.chunk");
                let choice = json!({"index": 0, "delta": {}, "finish_reason": finish_reason(end.stop)});
                insert(&mut last, "choices", json!([choice]));
                chunks.push(last);
                if let Some(usage) = usage_object(end).filter(|_| self.shows.usage) {
                    let mut chunk = self.head("chat.completion.chunk");
                    insert(&mut chunk, "choices", json!([]));
                    insert(&mut chunk, "usage", usage);
                    chunks.push(chunk);
                }
                chunks
            }
        }
    }

    /// A chunk with one choice. The role and the sources are on the first one; the sources on the first with text, too.
    fn chunk(&mut self, delta: Value, sources: &[Linked], is_text: bool) -> Value {
        let mut chunk = self.head("chat.completion.chunk");
        let mut said = Map::new();
        let is_first = !std::mem::replace(&mut self.begun, true);
        if is_first {
            said.insert("role".to_owned(), "assistant".into());
        }
        if let Value::Object(delta) = delta {
            said.extend(delta);
        }
        insert(&mut chunk, "choices", json!([{"index": 0, "delta": said, "finish_reason": null}]));
        let is_first_text = is_text && !std::mem::replace(&mut self.sourced, is_text);
        if is_first || is_first_text {
            add_sources(&mut chunk, sources);
        }
        chunk
    }

    fn head(&self, object: &str) -> Value {
        json!({"id": self.id, "object": object, "created": self.created, "model": self.model})
    }

    /// The one object of a whole answer.
    fn object(&self, said: Message, sources: &[Linked]) -> Value {
        let annotations: Vec<Value> = said.citations.into_iter().filter_map(|citation| citation.nested(sources)).collect();
        let mut message = json!({"role": "assistant", "content": said.text, "refusal": null, "annotations": annotations});
        if self.shows.thoughts && !said.thoughts.is_empty() {
            insert(&mut message, "reasoning_content", said.thoughts.into());
        }
        let stop = said.end.map_or("stop", |end| finish_reason(end.stop));
        let mut object = self.head("chat.completion");
        let choice = json!({"index": 0, "message": message, "logprobs": null, "finish_reason": stop});
        insert(&mut object, "choices", json!([choice]));
        if let Some(usage) = said.end.and_then(usage_object) {
            insert(&mut object, "usage", usage);
        }
        add_sources(&mut object, sources);
        object
    }
}

fn add_sources(to: &mut Value, sources: &[Linked]) {
    if !sources.is_empty() {
        insert(to, "citations", sources.iter().map(|source| source.url.clone()).collect::<Vec<_>>().into());
        insert(to, "search_results", sources.iter().map(Linked::search_result).collect::<Vec<_>>().into());
    }
}

fn insert(object: &mut Value, key: &str, value: Value) {
    if let Some(object) = object.as_object_mut() {
        object.insert(key.to_owned(), value);
    }
}

fn usage_object(end: End) -> Option<Value> {
    let (input, output) = end.usage?;
    let mut usage = json!({"prompt_tokens": input, "completion_tokens": output, "total_tokens": input.saturating_add(output)});
    if end.cached > 0 {
        insert(&mut usage, "prompt_tokens_details", json!({"cached_tokens": end.cached}));
    }
    Some(usage)
}

fn finish_reason(stop: StopReason) -> &'static str {
    match stop {
        StopReason::End => "stop",
        StopReason::Length => "length",
        StopReason::Refused => "content_filter",
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failed test panics")]
mod tests {
    use super::super::citations::tests::{links, source};
    use super::*;

    fn sources() -> Vec<Linked> {
        [source(1, "a.md", Some("A")), source(2, "b.md", None)].iter().map(|source| Linked::new(source, &links())).collect()
    }

    fn text(text: &str, cited: &[usize], new: &[usize]) -> Said {
        let citations = cited.iter().map(|n| Citation { n: *n, start: 0, end: 1 }).collect();
        Said::Text { text: text.into(), citations, new: new.to_vec() }
    }

    fn wired(thoughts: bool, usage: bool) -> Wire {
        Wire::new("docs", Shows { thoughts, usage })
    }

    fn end(usage: Option<(u64, u64)>) -> Said {
        Said::End(End { stop: StopReason::End, usage, cached: 0 })
    }

    #[test]
    fn every_chunk_is_whole_and_what_is_more_rides_on_one_with_a_choice() {
        let mut wire = wired(true, true);
        let said = [
            Said::Thought("hm".into()),
            text("a", &[], &[]),
            text("[1][2]", &[1, 2], &[1, 2]),
            text("[1]", &[1], &[]),
            end(Some((5, 2))),
        ];
        let chunks: Vec<Value> = said.into_iter().flat_map(|said| wire.chunks(said, &sources())).collect();
        for chunk in &chunks {
            assert_eq!(chunk["object"], "chat.completion.chunk");
            assert_eq!(
                (&chunk["id"], &chunk["model"], &chunk["created"]),
                (&chunks[0]["id"], &json!("docs"), &chunks[0]["created"])
            );
            let choices = chunk["choices"].as_array().unwrap();
            assert_eq!(choices.len(), usize::from(chunk.get("usage").is_none()));
            assert!(!choices.is_empty() || (chunk.get("citations").is_none() && chunk.get("event").is_none()));
        }
        let deltas: Vec<&Value> = chunks.iter().map(|chunk| &chunk["choices"][0]["delta"]).collect();
        assert_eq!(*deltas[0], json!({"role": "assistant", "reasoning_content": "hm"}));
        assert_eq!(*deltas[1], json!({"content": "a"}));
        assert_eq!((deltas[2]["annotations"].as_array().unwrap().len(), &deltas[3]["content"]), (2, &json!("")));
        let indices: Vec<u64> = deltas
            .iter()
            .filter_map(|delta| delta["annotations"].as_array())
            .flatten()
            .filter_map(|note| note["index"].as_u64())
            .collect();
        assert_eq!(indices, [0, 1, 2]);
        let events: Vec<&str> = chunks.iter().filter_map(|chunk| chunk.pointer("/event/data/source/name")?.as_str()).collect();
        assert_eq!(events, ["A", "b.md"], "each the first time it is cited");
        let sourced: Vec<usize> = (0..chunks.len()).filter(|n| chunks[*n].get("search_results").is_some()).collect();
        assert_eq!(sourced, [0, 1], "the first of all, and the first with text");
        assert_eq!(chunks[0]["citations"][1], sources()[1].url.as_str());
        assert_eq!(chunks[5]["choices"], json!([{"index": 0, "delta": {}, "finish_reason": "stop"}]));
        assert_eq!(chunks[6]["usage"], json!({"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}));
        assert_eq!(chunks.len(), 7);
    }

    #[test]
    fn thoughts_and_usage_are_sent_to_who_asked_and_a_silent_answer_has_a_role_and_an_end() {
        let mut wire = wired(false, false);
        assert_eq!(wire.chunks(Said::Thought("hm".into()), &[]), Vec::<Value>::new());
        let chunks = wire.chunks(end(Some((5, 2))), &[]);
        assert_eq!(chunks.len(), 2);
        assert_eq!(chunks[0]["choices"][0]["delta"], json!({"role": "assistant", "content": ""}));
        let mut wire = wired(false, true);
        wire.chunks(text("x", &[], &[]), &[]);
        assert_eq!(wire.chunks(end(None), &[]).len(), 1, "what nobody counted is not said to be nothing");
    }

    #[test]
    fn a_whole_answer_is_one_object() {
        let mut message = Message::default();
        let said =
            [text("void", &[1], &[1]), Said::Void, Said::Thought("hm".into()), text("a", &[], &[]), text("[2]", &[2], &[2])]
                .into_iter();
        said.for_each(|said| message.add(said));
        message.add(Said::End(End { stop: StopReason::Length, usage: Some((1, 2)), cached: 1 }));
        let object = wired(false, false).object(message, &sources());
        assert_eq!(object["object"], "chat.completion");
        let choice = &object["choices"][0];
        assert_eq!((&choice["message"]["content"], &choice["finish_reason"]), (&json!("a[2]"), &json!("length")));
        assert_eq!(choice["message"]["annotations"].as_array().unwrap().len(), 1);
        assert!(choice["message"].get("reasoning_content").is_none());
        assert_eq!(object["usage"]["prompt_tokens_details"], json!({"cached_tokens": 1}));
        assert_eq!((&object["usage"]["total_tokens"], object["citations"].as_array().unwrap().len()), (&json!(3), 2));
    }

    #[test]
    fn what_would_be_another_answer_is_refused() {
        let check = |more: Value| {
            let mut chat = json!({"messages": []});
            more.as_object().unwrap().iter().for_each(|(key, value)| insert(&mut chat, key, value.clone()));
            serde_json::from_value::<Chat>(chat).unwrap().check()
        };
        for refused in [
            json!({"n": 2}),
            json!({"tools": [{"type": "function"}]}),
            json!({"functions": [{}]}),
            json!({"response_format": {"type": "json_object"}}),
            json!({"logprobs": true}),
            json!({"stop": "x"}),
            json!({"stop": ["x"]}),
            json!({"modalities": ["text", "audio"]}),
        ] {
            assert!(check(refused.clone()).is_err(), "{refused}");
        }
        let usual = json!({"n": 1, "tools": [], "tool_choice": "auto", "response_format": {"type": "text"}, "logprobs": false,
            "stop": null, "top_p": 0.9, "seed": 1, "user": "x", "frequency_penalty": 0, "store": true, "parallel_tool_calls": true,
            "reasoning_effort": "low", "modalities": ["text"], "stream_options": null, "whatever": {}});
        assert!(check(usual).is_ok());
        assert!(check(json!({"tools": [{}], "tool_choice": "none"})).is_ok());
    }
}
