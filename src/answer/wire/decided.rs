//! What was paid besides the answer, a line a model: decisions, and what put the question.

use schemars::JsonSchema;
use serde::Serialize;

use crate::answer::decide::Decided;
use crate::answer::void::Judging;
use crate::providers::Usage;

/// What decisions of one model took.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct DecidedLine<'a> {
    model: &'a str,
    asked: u64,
    input_tokens: Option<u64>,
    cost_usd: Option<f64>,
}

impl<'a> DecidedLine<'a> {
    /// One a model: the sum, unknown as soon as a part is.
    pub(super) fn each(decided: &'a [Decided]) -> Vec<Self> {
        let mut lines: Vec<Self> = Vec::new();
        for Decided { model, asked, input_tokens, cost_usd } in decided {
            match lines.iter_mut().find(|line| line.model == model) {
                Some(line) => {
                    line.asked += asked;
                    line.input_tokens = line.input_tokens.zip(*input_tokens).map(|(a, b)| a + b);
                    line.cost_usd = line.cost_usd.zip(*cost_usd).map(|(a, b)| a + b);
                }
                None => lines.push(Self { model, asked: *asked, input_tokens: *input_tokens, cost_usd: *cost_usd }),
            }
        }
        lines
    }
}

/// What one model took to put the question.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct AskingLine<'a> {
    model: &'a str,
    usage: Usage,
    cost_usd: Option<f64>,
}

impl<'a> AskingLine<'a> {
    pub(super) fn each(asking: &'a [Judging]) -> Vec<Self> {
        asking.iter().map(|Judging { model, usage, cost_usd }| Self { model, usage: *usage, cost_usd: *cost_usd }).collect()
    }
}
