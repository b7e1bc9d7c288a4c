//! `POST /v1/systemone` of `TypeSafe` (Jev), and of llama.cpp, Ollama, Databricks and others that serve decision models.

use serde_json::{Map, Value, json};

use super::decider::{Ask, Asked, Decision, DecisionRequest};
use super::wire::{DecisionResponse, DecisionWire, distribution, level, probability, usage};

/// The format.
#[derive(Debug)]
pub(super) struct SystemOne;

impl DecisionWire for SystemOne {
    fn name(&self) -> &'static str {
        "TypeSafe's System One"
    }

    fn body(&self, model: &str, request: &DecisionRequest) -> Value {
        // A state is a text, an object or a list.
        let state = match &request.state {
            Value::String(_) | Value::Object(_) | Value::Array(_) => request.state.clone(),
            other => other.to_string().into(),
        };
        let questions: Map<String, Value> =
            request.questions.iter().enumerate().map(|(n, asked)| (name(n), question(asked))).collect();
        json!({ "model": model, "state": state, "questions": questions })
    }

    fn read(&self, request: &DecisionRequest, body: &Value) -> Result<DecisionResponse, String> {
        let answers = match body.get("answers") {
            Some(Value::Object(answers)) => answers,
            Some(Value::Array(_)) => return Err("these are answers of OpenAI's Decisions, in a list".to_owned()),
            _ => return Err("there are no `answers`".to_owned()),
        };
        if answers.len() != request.questions.len() {
            return Err(format!("{} answers came for {} questions", answers.len(), request.questions.len()));
        }
        let decide = |(n, asked): (usize, &Asked)| {
            let name = name(n);
            let answer = answers.get(&name).ok_or_else(|| format!("no answer came for the question `{name}`"))?;
            decision(&name, asked, answer)
        };
        let answers = request.questions.iter().enumerate().map(decide).collect::<Result<_, _>>()?;
        Ok(DecisionResponse { answers, usage: usage(body) })
    }
}

/// The name of the question at this place. Which one it is does not change its answer: the contract says so.
fn name(n: usize) -> String {
    format!("q{}", n + 1)
}

fn question(asked: &Asked) -> Value {
    let instructions = &asked.instructions;
    match &asked.ask {
        Ask::Predicate => json!({ "type": "noul", "instructions": instructions }),
        Ask::Choice(choices) => {
            let criteria: Map<String, Value> =
                choices.iter().map(|choice| (choice.value.clone(), choice.description.clone().into())).collect();
            json!({ "type": "choice", "instructions": instructions, "criteria": criteria })
        }
        Ask::Score(levels) => json!({ "type": "score", "instructions": instructions, "criteria": levels }),
    }
}

fn decision(name: &str, asked: &Asked, answer: &Value) -> Result<Decision, String> {
    let of = format!("the question `{name}`");
    let kind = answer.get("type").and_then(Value::as_str).unwrap_or_default();
    Ok(match (kind, &asked.ask) {
        ("noul", Ask::Predicate) => Decision::Predicate(probability(answer.get("noul"), &of)?),
        ("choice", Ask::Choice(choices)) => {
            let none = Map::new();
            let told = answer.get("probabilities").and_then(Value::as_object).unwrap_or(&none);
            if told.len() != choices.len() {
                return Err(format!("{} probabilities came for {} choices of {of}", told.len(), choices.len()));
            }
            let all =
                choices.iter().map(|choice| probability(told.get(&choice.value), &format_args!("`{}` of {of}", choice.value)));
            Decision::Choice(distribution(all.collect::<Result<_, _>>()?, &of)?)
        }
        ("score", Ask::Score(levels)) => Decision::Score(level(answer.get("score"), levels.len(), &of)?),
        ("predicate" | "refusal", _) => return Err(format!("the answer to {of} is one of OpenAI's Decisions")),
        (kind, _) => return Err(format!("the answer to {of} is of another type: `{kind}`")),
    })
}
