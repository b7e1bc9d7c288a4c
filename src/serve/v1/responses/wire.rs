//! The events of a response, and the response itself.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::super::citations::Linked;
use super::super::errors;
use super::super::models::now;
use super::super::tell::{End, Said};
use crate::providers::{StopReason, decimal};
use crate::serve::fault::Fault;

/// What of the request is said again in the response.
#[derive(Debug, Default)]
pub(super) struct Echo {
    pub(super) instructions: Option<String>,
    pub(super) max_tokens: Option<u32>,
    pub(super) temperature: Option<f32>,
    pub(super) metadata: Option<Value>,
}

/// How far a response is.
enum State {
    InProgress,
    Ended(End),
    Failed { code: &'static str, message: String },
}

/// Says an answer in the words of the API.
pub(super) struct Wire {
    id: String,
    created: u64,
    model: String,
    echo: Echo,
    /// Thoughts are shown.
    reasoning: bool,
    sequence: u64,
    thoughts: Item,
    answer: Item,
    annotations: Vec<Value>,
    state: State,
}

/// An item of the output.
struct Item {
    id: String,
    text: String,
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Unsaid,
    Open,
    Done,
}

impl Item {
    fn new(prefix: &str) -> Self {
        Self { id: id(prefix), text: String::new(), stage: Stage::Unsaid }
    }
}

fn id(prefix: &str) -> String {
    format!("{prefix}_{}", Uuid::from_u128(rand::random()).simple())
}

impl Wire {
    pub(super) fn new(model: &str, echo: Echo, reasoning: bool) -> Self {
        Self {
            id: id("resp"),
            created: now().as_secs(),
            model: model.to_owned(),
            echo,
            reasoning,
            sequence: 0,
            thoughts: Item::new("rs"),
            answer: Item::new("msg"),
            annotations: Vec::new(),
            state: State::InProgress,
        }
    }

    /// What comes first.
    pub(super) fn begin(&mut self) -> Vec<Value> {
        ["response.created", "response.in_progress"].map(|kind| self.with_response(kind)).into()
    }

    /// The events of what is said.
    pub(super) fn say(&mut self, said: Said, sources: &[Linked]) -> Vec<Value> {
        match said {
            Said::Thought(text) => self.think(&text),
            Said::Text { text, citations, .. } => {
                let mut events = self.open_answer();
                let at = self.place_of_answer();
                self.answer.text.push_str(&text);
                let delta = json!({"delta": text, "logprobs": []});
                events.push(self.event("response.output_text.delta", [at.clone(), delta]));
                for annotation in citations.into_iter().filter_map(|citation| citation.flat(sources)) {
                    let added = json!({"annotation_index": self.annotations.len(), "annotation": annotation});
                    events.push(self.event("response.output_text.annotation.added", [at.clone(), added]));
                    self.annotations.push(annotation);
                }
                events
            }
            Said::Void => {
                self.answer.text.clear();
                self.thoughts.text.clear();
                self.annotations.clear();
                Vec::new()
            }
            Said::End(end) => {
                let mut events = self.open_answer();
                events.extend(self.close_answer());
                self.state = State::Ended(end);
                let complete = end.stop == StopReason::End;
                events.push(self.with_response(if complete { "response.completed" } else { "response.incomplete" }));
                events
            }
        }
    }

    /// What comes last where there is no answer, or no more of it.
    pub(super) fn fail(&mut self, fault: &Fault) -> Vec<Value> {
        let code = if fault.kind == "rate_limited" { "rate_limit_exceeded" } else { "server_error" };
        let message = errors::message(fault);
        // Both shapes are read: that of the documentation, and that which the clients look for.
        let told = json!({"code": fault.kind, "message": message, "param": null});
        let event = self.event("error", [told, errors::body(fault)]);
        self.state = State::Failed { code, message };
        vec![event, self.with_response("response.failed")]
    }

    fn think(&mut self, text: &str) -> Vec<Value> {
        let mut events = Vec::new();
        if !self.reasoning || self.answer.stage != Stage::Unsaid {
            return events;
        }
        let at = json!({"item_id": self.thoughts.id, "output_index": 0, "summary_index": 0});
        if self.thoughts.stage == Stage::Unsaid {
            self.thoughts.stage = Stage::Open;
            let item = json!({"id": self.thoughts.id, "type": "reasoning", "summary": []});
            events.push(self.event("response.output_item.added", [json!({"output_index": 0, "item": item})]));
            let part = json!({"part": {"type": "summary_text", "text": ""}});
            events.push(self.event("response.reasoning_summary_part.added", [at.clone(), part]));
        }
        self.thoughts.text.push_str(text);
        events.push(self.event("response.reasoning_summary_text.delta", [at, json!({"delta": text})]));
        events
    }

    fn close_thoughts(&mut self) -> Vec<Value> {
        if self.thoughts.stage != Stage::Open {
            return Vec::new();
        }
        self.thoughts.stage = Stage::Done;
        let at = json!({"item_id": self.thoughts.id, "output_index": 0, "summary_index": 0});
        let text = self.thoughts.text.clone();
        let item = json!({"output_index": 0, "item": self.thoughts_object()});
        vec![
            self.event("response.reasoning_summary_text.done", [at.clone(), json!({"text": text})]),
            self.event("response.reasoning_summary_part.done", [at, json!({"part": {"type": "summary_text", "text": text}})]),
            self.event("response.output_item.done", [item]),
        ]
    }

    fn open_answer(&mut self) -> Vec<Value> {
        if self.answer.stage != Stage::Unsaid {
            return Vec::new();
        }
        let mut events = self.close_thoughts();
        self.answer.stage = Stage::Open;
        let mut item = self.answer_object("in_progress");
        if let Some(content) = item.get_mut("content") {
            *content = json!([]);
        }
        let (at, place) = (self.place_of_answer(), self.index_of_answer());
        events.push(self.event("response.output_item.added", [json!({"output_index": place, "item": item})]));
        let part = json!({"type": "output_text", "text": "", "annotations": [], "logprobs": []});
        events.push(self.event("response.content_part.added", [at, json!({"part": part})]));
        events
    }

    fn close_answer(&mut self) -> Vec<Value> {
        self.answer.stage = Stage::Done;
        let (at, place) = (self.place_of_answer(), self.index_of_answer());
        let text = json!({"text": self.answer.text, "logprobs": []});
        let part = json!({"part": self.part()});
        let item = json!({"output_index": place, "item": self.answer_object("completed")});
        vec![
            self.event("response.output_text.done", [at.clone(), text]),
            self.event("response.content_part.done", [at, part]),
            self.event("response.output_item.done", [item]),
        ]
    }

    fn index_of_answer(&self) -> usize {
        usize::from(self.thoughts.stage != Stage::Unsaid)
    }

    fn place_of_answer(&self) -> Value {
        json!({"item_id": self.answer.id, "output_index": self.index_of_answer(), "content_index": 0})
    }

    fn part(&self) -> Value {
        json!({"type": "output_text", "text": self.answer.text, "annotations": self.annotations, "logprobs": []})
    }

    fn answer_object(&self, status: &str) -> Value {
        json!({"id": self.answer.id, "type": "message", "status": status, "role": "assistant", "content": [self.part()]})
    }

    fn thoughts_object(&self) -> Value {
        let summary = json!([{"type": "summary_text", "text": self.thoughts.text}]);
        json!({"id": self.thoughts.id, "type": "reasoning", "summary": summary})
    }

    fn event<const N: usize>(&mut self, kind: &str, fields: [Value; N]) -> Value {
        let mut event = Map::new();
        event.insert("type".to_owned(), kind.into());
        event.insert("sequence_number".to_owned(), self.sequence.into());
        self.sequence += 1;
        for field in fields {
            if let Value::Object(field) = field {
                event.extend(field);
            }
        }
        Value::Object(event)
    }

    fn with_response(&mut self, kind: &str) -> Value {
        let response = json!({"response": self.response()});
        self.event(kind, [response])
    }

    /// The response, as far as it is known.
    pub(super) fn response(&self) -> Value {
        let (mut status, mut error, mut incomplete, mut usage) = ("in_progress", Value::Null, Value::Null, Value::Null);
        let mut completed = Value::Null;
        match &self.state {
            State::InProgress => {}
            State::Failed { code, message } => {
                status = "failed";
                error = json!({"code": code, "message": message});
            }
            State::Ended(End { stop, usage: told, cached }) => {
                let reason = match stop {
                    StopReason::End => None,
                    StopReason::Length => Some("max_output_tokens"),
                    StopReason::Refused => Some("content_filter"),
                };
                status = if reason.is_some() { "incomplete" } else { "completed" };
                incomplete = reason.map_or(Value::Null, |reason| json!({"reason": reason}));
                completed = if reason.is_some() { Value::Null } else { now().as_secs().into() };
                usage = told.map_or(Value::Null, |told| usage_object(told, *cached));
            }
        }
        let ended = matches!(self.state, State::Ended(_));
        let mut output = Vec::new();
        if self.thoughts.stage != Stage::Unsaid {
            output.push(self.thoughts_object());
        }
        if self.answer.stage != Stage::Unsaid {
            output.push(self.answer_object(if ended { "completed" } else { "incomplete" }));
        }
        let Echo { instructions, max_tokens, temperature, metadata } = &self.echo;
        json!({
            "id": self.id,
            "object": "response",
            "created_at": self.created,
            "completed_at": completed,
            "status": status,
            "background": false,
            "error": error,
            "incomplete_details": incomplete,
            "instructions": instructions,
            "max_output_tokens": max_tokens,
            "max_tool_calls": null,
            "model": self.model,
            "output": output,
            "parallel_tool_calls": false,
            "previous_response_id": null,
            "prompt_cache_key": null,
            "reasoning": {"effort": null, "summary": null},
            "safety_identifier": null,
            "service_tier": "default",
            "store": false,
            "temperature": decimal(temperature.unwrap_or(1.0)),
            "text": {"format": {"type": "text"}},
            "tool_choice": "none",
            "tools": [],
            "top_logprobs": 0,
            "top_p": 1.0,
            "presence_penalty": 0.0,
            "frequency_penalty": 0.0,
            "truncation": "disabled",
            "usage": usage,
            "user": null,
            "metadata": metadata.clone().unwrap_or_else(|| json!({})),
        })
    }
}

fn usage_object((input, output): (u64, u64), cached: u64) -> Value {
    json!({
        "input_tokens": input,
        "input_tokens_details": {"cached_tokens": cached, "cache_write_tokens": 0},
        "output_tokens": output,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": input.saturating_add(output),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failed test panics")]
mod tests {
    use super::super::super::citations::Citation;
    use super::super::super::citations::tests::{links, source};
    use super::*;

    fn wire(reasoning: bool) -> Wire {
        Wire::new("docs", Echo::default(), reasoning)
    }

    fn sources() -> Vec<Linked> {
        vec![Linked::new(&source(1, "a.md", Some("A")), &links())]
    }

    fn text(text: &str, cited: &[usize]) -> Said {
        let citations = cited.iter().map(|n| Citation { n: *n, start: 2, end: 5 }).collect();
        Said::Text { text: text.into(), citations, new: cited.to_vec() }
    }

    fn end(stop: StopReason) -> Said {
        Said::End(End { stop, usage: Some((5, 2)), cached: 3 })
    }

    fn told(wire: &mut Wire, said: Vec<Said>) -> Vec<Value> {
        let mut events = wire.begin();
        events.extend(said.into_iter().flat_map(|said| wire.say(said, &sources())));
        events
    }

    fn kinds(events: &[Value]) -> Vec<&str> {
        events.iter().map(|event| event["type"].as_str().unwrap().trim_start_matches("response.")).collect()
    }

    #[test]
    fn an_answer_opens_grows_and_closes() {
        let mut wire = wire(false);
        let events =
            told(&mut wire, vec![Said::Thought("hm".into()), text("a ", &[]), text("[1]", &[1]), end(StopReason::End)]);
        assert_eq!(
            kinds(&events),
            [
                "created",
                "in_progress",
                "output_item.added",
                "content_part.added",
                "output_text.delta",
                "output_text.delta",
                "output_text.annotation.added",
                "output_text.done",
                "content_part.done",
                "output_item.done",
                "completed"
            ]
        );
        assert!(events.iter().enumerate().all(|(n, event)| event["sequence_number"] == n));
        let item = &events[2]["item"]["id"];
        assert!(
            events[3..9]
                .iter()
                .all(|event| event["item_id"] == *item && event["output_index"] == 0 && event["content_index"] == 0)
        );
        let annotation =
            json!({"type": "url_citation", "start_index": 2, "end_index": 5, "url": sources()[0].url, "title": "A"});
        assert_eq!((&events[6]["annotation"], &events[6]["annotation_index"]), (&annotation, &json!(0)));
        let part = json!({"type": "output_text", "text": "a [1]", "annotations": [annotation], "logprobs": []});
        assert_eq!(events[8]["part"], part);
        let response = &events[10]["response"];
        assert_eq!(
            (&response["status"], &response["object"], &response["error"]),
            (&json!("completed"), &json!("response"), &Value::Null)
        );
        assert_eq!(response["output"], json!([events[9]["item"]]));
        assert_eq!(response["output"][0]["content"], json!([part]));
        assert_eq!(response["usage"]["total_tokens"], 7);
        assert_eq!(response["usage"]["input_tokens_details"]["cached_tokens"], 3);
        assert_eq!(*response, wire.response());
    }

    #[test]
    fn thoughts_come_before_it_where_they_are_wanted() {
        let said = vec![Said::Thought("h".into()), Said::Thought("m".into()), text("a", &[]), end(StopReason::Length)];
        let events = told(&mut wire(true), said);
        assert_eq!(
            kinds(&events)[2..9],
            [
                "output_item.added",
                "reasoning_summary_part.added",
                "reasoning_summary_text.delta",
                "reasoning_summary_text.delta",
                "reasoning_summary_text.done",
                "reasoning_summary_part.done",
                "output_item.done"
            ]
        );
        let response = &events.last().unwrap()["response"];
        assert_eq!(response["output"][0]["summary"], json!([{"type": "summary_text", "text": "hm"}]));
        assert_eq!((&response["output"][1]["type"], &events[10]["output_index"]), (&json!("message"), &json!(1)));
        assert_eq!(response["incomplete_details"], json!({"reason": "max_output_tokens"}));
        assert_eq!((&response["status"], kinds(&events).pop()), (&json!("incomplete"), Some("incomplete")));
    }

    #[test]
    fn a_failure_ends_it_in_both_shapes() {
        let mut wire = wire(false);
        told(&mut wire, vec![text("a", &[])]);
        let events = wire.fail(&Fault { kind: "auth".into(), ..Fault::bad("no key").hint("set one") });
        assert_eq!(kinds(&events), ["error", "failed"]);
        let error = &events[0];
        assert_eq!(
            (&error["message"], &error["code"], &error["error"]["code"]),
            (&json!("no key (set one)"), &json!("auth"), &json!("auth"))
        );
        let response = &events[1]["response"];
        assert_eq!((&response["status"], &response["error"]["code"]), (&json!("failed"), &json!("server_error")));
        assert_eq!(response["output"][0]["content"][0]["text"], "a");
    }

    #[test]
    fn a_silent_or_a_void_answer_is_one_too() {
        let mut silent = wire(false);
        told(&mut silent, vec![end(StopReason::End)]);
        assert_eq!(silent.response()["output"][0]["content"][0]["text"], "");
        let mut void = wire(false);
        told(&mut void, vec![text("[1]", &[1]), Said::Void, text("b", &[]), end(StopReason::End)]);
        let part = &void.response()["output"][0]["content"][0];
        assert_eq!((&part["text"], &part["annotations"]), (&json!("b"), &json!([])));
    }
}
