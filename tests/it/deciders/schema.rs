//! The documented schemas, to the letter: a field that is not there, of another type or beyond its limit is refused as the vendors refuse
//! it. (Their own clients check the same requests in [`crate::peers`].)

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::stand_in::{Reply, Request};

/// A contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strict {
    Decisions,
    SystemOne,
}

/// A server that speaks this contract and no other.
pub fn strict(contract: Strict) -> impl Fn(&Request) -> Reply + Send + Sync + 'static {
    move |request| match contract {
        Strict::Decisions => match decisions(&request.body) {
            Ok(()) => Reply::json(&answers_in_a_list(&request.body)),
            // As OpenAI says it.
            Err(message) => Reply::status(
                400,
                &json!({"error": {"message": message, "type": "invalid_request_error", "param": null, "code": null}}),
            ),
        },
        Strict::SystemOne => match systemone(&request.body) {
            Ok(()) => Reply::json(&answers_by_names(&request.body)),
            // As FastAPI says it.
            Err((place, message)) => {
                let place: Vec<&str> = ["body"].into_iter().chain(place.split('.')).collect();
                Reply::status(422, &json!({"detail": [{"loc": place, "msg": message, "type": "value_error"}]}))
            }
        },
    }
}

/// How many questions a request has, in either contract.
pub fn questions(body: &Value) -> usize {
    match &body["questions"] {
        Value::Array(list) => list.len(),
        Value::Object(names) => names.len(),
        _ => 0,
    }
}

fn object<'a>(value: &'a Value, required: &[&str], optional: &[&str], what: &str) -> Result<&'a Map<String, Value>, String> {
    let object = value.as_object().ok_or_else(|| format!("Invalid type for '{what}': expected an object."))?;
    for name in required {
        if !object.contains_key(*name) {
            return Err(format!("Missing required parameter: '{name}'."));
        }
    }
    match object.keys().find(|key| !required.contains(&key.as_str()) && !optional.contains(&key.as_str())) {
        Some(unknown) => Err(format!("Unknown parameter: '{unknown}'.")),
        None => Ok(object),
    }
}

fn text(value: &Value, what: &str) -> Result<(), String> {
    value.as_str().map(|_| ()).ok_or_else(|| format!("Invalid type for '{what}': expected a string."))
}

fn counted<'a>(value: &'a Value, range: std::ops::RangeInclusive<usize>, what: &str) -> Result<&'a Vec<Value>, String> {
    let list = value.as_array().ok_or_else(|| format!("Invalid type for '{what}': expected an array."))?;
    if range.contains(&list.len()) { Ok(list) } else { Err(format!("Invalid '{what}': {} items.", list.len())) }
}

/// `OpenAI`'s `DecisionCreateParams`.
fn decisions(body: &Value) -> Result<(), String> {
    let optional = ["prompt_cache_key", "prompt_cache_options", "safety_identifier"];
    object(body, &["model", "input", "questions"], &optional, "body")?;
    text(&body["model"], "model")?;
    text(&body["input"], "input")?;
    for question in counted(&body["questions"], 1..=400, "questions")? {
        let kind = question["type"].as_str().unwrap_or_default();
        let more: &[&str] = match kind {
            "predicate" => &[],
            "choice" => &["choices"],
            "score" => &["levels"],
            other => return Err(format!("Invalid value: '{other}'. Supported values are: 'predicate', 'choice' and 'score'.")),
        };
        object(question, &[&["type", "instructions"], more].concat(), &["name"], "questions")?;
        text(&question["instructions"], "instructions")?;
        match kind {
            "choice" => {
                let mut seen = BTreeSet::new();
                for choice in counted(&question["choices"], 2..=255, "choices")? {
                    object(choice, &["value"], &["description"], "choices")?;
                    text(&choice["value"], "value")?;
                    text(choice.get("description").unwrap_or(&json!("")), "description")?;
                    if !seen.insert(choice["value"].to_string()) {
                        return Err("Each choice must be unique.".into());
                    }
                }
            }
            "score" => {
                for level in counted(&question["levels"], 2..=10, "levels")? {
                    object(level, &["label"], &["description"], "levels")?;
                    text(&level["label"], "label")?;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// `TypeSafe`'s `SystemOneRequest`; a field that it does not know is refused here, while its own server lets it pass.
fn systemone(body: &Value) -> Result<(), (String, String)> {
    let at = |place: &str| {
        let place = place.to_owned();
        move |message: String| (place, message)
    };
    for name in ["state", "model", "questions"] {
        if body.get(name).is_none() {
            return Err((name.into(), "Field required".into()));
        }
    }
    object(body, &["model", "state", "questions"], &["assets"], "body").map_err(at("body"))?;
    text(&body["model"], "model").map_err(at("model"))?;
    if !(body["state"].is_string() || body["state"].is_object() || body["state"].is_array()) {
        return Err(("state".into(), "Input should be a valid string, object or array".into()));
    }
    let questions = body["questions"].as_object().filter(|questions| !questions.is_empty());
    let questions = questions.ok_or_else(|| ("questions".to_owned(), "Dictionary should have at least 1 item".to_owned()))?;
    for (name, question) in questions {
        let place = format!("questions.{name}");
        let kind = question["type"].as_str().unwrap_or_default();
        let (required, optional): (&[&str], &[&str]) = match kind {
            "noul" => (&["type"], &["instructions", "criteria"]),
            "choice" | "score" => (&["type", "criteria"], &["instructions"]),
            other => return Err((place, format!("Input tag '{other}' does not match any of 'noul', 'choice', 'score'"))),
        };
        object(question, required, optional, name).map_err(at(&place))?;
        text(&question["instructions"], "instructions").map_err(at(&place))?;
        let fits = match (kind, &question["criteria"]) {
            ("noul", Value::Null) => true,
            ("choice", Value::Object(names)) => (1..=255).contains(&names.len()) && names.values().all(Value::is_string),
            ("score", Value::Array(levels)) => (1..=10).contains(&levels.len()) && levels.iter().all(Value::is_string),
            _ => false,
        };
        if !fits {
            return Err((format!("{place}.criteria"), "Input should be valid criteria".into()));
        }
    }
    Ok(())
}

/// How likely it is: by how often a passage says so, for the question about it; else 7/8.
fn likely(state: &Value, instructions: &str) -> f64 {
    let number: String = instructions.chars().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
    match state["passages"][&number].as_str() {
        Some(passage) if instructions.starts_with("Passage ") && passage.contains(' ') && !passage.contains('"') => {
            passage.matches('答').count() as f64 / 10.0
        }
        _ => 0.875,
    }
}

fn answers_in_a_list(body: &Value) -> Value {
    let state: Value = serde_json::from_str(body["input"].as_str().unwrap()).unwrap_or_default();
    let answer = |question: &Value| {
        let name = question.get("name").unwrap_or(&Value::Null);
        match question["type"].as_str().unwrap() {
            "predicate" => {
                let likely = likely(&state, question["instructions"].as_str().unwrap());
                json!({"type": "predicate", "name": name, "probability": likely})
            }
            "choice" => {
                let choices = question["choices"].as_array().unwrap();
                let each = choices.iter().zip([0.75, 0.25].into_iter().chain(std::iter::repeat(0.0)));
                // In no order that could be relied on.
                let all: Vec<Value> =
                    each.rev_each().map(|(one, p)| json!({"value": one["value"], "probability": p})).collect();
                json!({"type": "choice", "name": name, "choice": choices[0]["value"], "probabilities": all, "confidence": 0.5})
            }
            _ => {
                let levels = question["levels"].as_array().unwrap();
                let each = (0..).zip(levels);
                let all: Vec<Value> =
                    each.map(|(n, one): (i32, _)| json!({"value": n, "label": one["label"], "probability": 0.3})).collect();
                json!({"type": "score", "name": name, "score": 1.5, "probabilities": all, "confidence": 0.5})
            }
        }
    };
    let answers: Vec<Value> = body["questions"].as_array().unwrap().iter().map(answer).collect();
    let usage = json!({"input_tokens": 321, "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
                       "output_tokens": 7, "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 328});
    json!({"model": body["model"], "answers": answers, "usage": usage})
}

fn answers_by_names(body: &Value) -> Value {
    let answer = |question: &Value| match question["type"].as_str().unwrap() {
        "noul" => json!({"type": "noul", "noul": likely(&body["state"], question["instructions"].as_str().unwrap())}),
        "choice" => {
            let names: Vec<&String> = question["criteria"].as_object().unwrap().keys().collect();
            let each = names.iter().zip([0.75, 0.25].into_iter().chain(std::iter::repeat(0.0)));
            let all: Map<String, Value> = each.map(|(name, p)| ((*name).clone(), p.into())).collect();
            json!({"type": "choice", "choice": names[0], "probabilities": all, "confidence": 0.5})
        }
        _ => {
            let levels = question["criteria"].as_array().unwrap();
            let legend: Map<String, Value> = (0..).zip(levels).map(|(n, one): (i32, _)| (n.to_string(), one.clone())).collect();
            json!({"type": "score", "score": 1.5, "legend": legend, "probabilities": {}, "confidence": 0.5})
        }
    };
    // In another order than they were asked in.
    let questions = body["questions"].as_object().unwrap();
    let mut answers: Vec<(String, Value)> = questions.iter().map(|(name, question)| (name.clone(), answer(question))).collect();
    answers.reverse();
    let answers: Map<String, Value> = answers.into_iter().collect();
    json!({"model": "judge-1.0.0", "answers": answers, "usage": {"input_tokens": 321, "output_tokens": 7}})
}

/// The same in the reverse order.
trait Reversed: Iterator + Sized {
    fn rev_each(self) -> std::vec::IntoIter<Self::Item> {
        let mut all: Vec<Self::Item> = self.collect();
        all.reverse();
        all.into_iter()
    }
}

impl<I: Iterator> Reversed for I {}
