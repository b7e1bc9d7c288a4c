//! `POST /decisions` of `OpenAI`, and of Fireworks, Vercel and others that have taken it over.

use serde_json::{Value, json};

use super::decider::{Ask, Asked, Decision, DecisionRequest};
use super::wire::{DecisionResponse, DecisionWire, distribution, level, probability, usage};

/// The format.
#[derive(Debug)]
pub(super) struct OpenAi;

impl DecisionWire for OpenAi {
    fn name(&self) -> &'static str {
        "OpenAI's Decisions"
    }

    fn body(&self, model: &str, request: &DecisionRequest) -> Value {
        // A state that is no text goes as JSON, whose quotes no text within can leave.
        let input = request.state.as_str().map_or_else(|| request.state.to_string(), str::to_owned);
        let questions: Vec<Value> = request.questions.iter().map(question).collect();
        json!({ "model": model, "input": input, "questions": questions })
    }

    fn read(&self, request: &DecisionRequest, body: &Value) -> Result<DecisionResponse, String> {
        let answers = match body.get("answers") {
            Some(Value::Array(answers)) => answers,
            Some(Value::Object(_)) => return Err("these are answers of TypeSafe's System One, by names".to_owned()),
            _ => return Err("there are no `answers`".to_owned()),
        };
        if answers.len() != request.questions.len() {
            return Err(format!("{} answers came for {} questions", answers.len(), request.questions.len()));
        }
        let answers = (1..).zip(&request.questions).zip(answers).map(|((n, asked), answer)| decision(n, asked, answer));
        let answers = answers.collect::<Result<_, _>>()?;
        Ok(DecisionResponse { answers, usage: usage(body) })
    }
}

fn question(asked: &Asked) -> Value {
    let instructions = &asked.instructions;
    match &asked.ask {
        Ask::Predicate => json!({ "type": "predicate", "instructions": instructions }),
        Ask::Choice(choices) => {
            let choices: Vec<Value> =
                choices.iter().map(|choice| json!({ "value": choice.value, "description": choice.description })).collect();
            json!({ "type": "choice", "instructions": instructions, "choices": choices })
        }
        Ask::Score(levels) => {
            let levels: Vec<Value> = levels.iter().map(|label| json!({ "label": label })).collect();
            json!({ "type": "score", "instructions": instructions, "levels": levels })
        }
    }
}

fn decision(n: usize, asked: &Asked, answer: &Value) -> Result<Decision, String> {
    let of = format!("question {n}");
    let kind = answer.get("type").and_then(Value::as_str).unwrap_or_default();
    Ok(match (kind, &asked.ask) {
        ("refusal", _) => Decision::Refused,
        ("predicate", Ask::Predicate) => Decision::Predicate(probability(answer.get("probability"), &of)?),
        ("choice", Ask::Choice(choices)) => {
            let told = answer.get("probabilities").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            if told.len() != choices.len() {
                return Err(format!("{} probabilities came for {} choices of {of}", told.len(), choices.len()));
            }
            let of_choice = |value: &str| told.iter().find(|one| one.get("value").and_then(Value::as_str) == Some(value));
            let all = choices.iter().map(|choice| {
                let told = of_choice(&choice.value).and_then(|told| told.get("probability"));
                probability(told, &format_args!("`{}` of {of}", choice.value))
            });
            Decision::Choice(distribution(all.collect::<Result<_, _>>()?, &of)?)
        }
        ("score", Ask::Score(levels)) => Decision::Score(level(answer.get("score"), levels.len(), &of)?),
        ("noul", _) => return Err(format!("the answer to {of} is one of TypeSafe's System One")),
        (kind, _) => return Err(format!("the answer to {of} is of another type: `{kind}`")),
    })
}
