//! The types between the one remote model and the wire formats.

use std::fmt;

use serde_json::Value;

use super::decider::{Decision, DecisionRequest};
use crate::providers::Usage;
use crate::providers::json::count_in;

/// An answer as it came.
#[derive(Debug, PartialEq)]
pub(in crate::providers) struct DecisionResponse {
    /// As many as there were questions, in their order, and of their kinds: the format has seen to that.
    pub(in crate::providers) answers: Vec<Decision>,
    pub(in crate::providers) usage: Usage,
}

/// A wire format for decisions: it only translates.
pub(in crate::providers) trait DecisionWire: Send + Sync + fmt::Debug {
    /// Its name, for people.
    fn name(&self) -> &'static str;
    /// The body of a request to this model.
    fn body(&self, model: &str, request: &DecisionRequest) -> Value;
    /// Reads the answer to a request; the error says what is wrong with it.
    fn read(&self, request: &DecisionRequest, body: &Value) -> Result<DecisionResponse, String>;
}

/// The contract that a server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::providers) enum Contract {
    /// `OpenAI`'s words at its own path.
    Decisions,
    /// `TypeSafe`'s at its own.
    SystemOne,
    /// `TypeSafe`'s at `OpenAI`'s path.
    SystemOneAsDecisions,
}

/// A vendor's API for decisions.
#[derive(Debug)]
pub(in crate::providers) struct DecisionApi {
    /// What it is asked in first.
    pub(in crate::providers) contract: Contract,
}

/// The bill, which both contracts write alike. It is read of an answer that is of no use, too.
pub(super) fn usage(body: &Value) -> Usage {
    let usage = body.get("usage").unwrap_or(&Value::Null);
    Usage::new(count_in(usage, "input_tokens"), count_in(usage, "output_tokens"))
}

/// A number that is a probability.
///
/// # Errors
/// What is wrong with it.
pub(super) fn probability(value: Option<&Value>, of: &dyn fmt::Display) -> Result<f64, String> {
    /// What is lost where a model computes in 16 bits and somebody rounds.
    const SLACK: f64 = 1e-3;
    let number = value.and_then(Value::as_f64).filter(|number| number.is_finite());
    let number = number.ok_or_else(|| format!("no probability came for {of}"))?;
    if !(-SLACK..=1.0 + SLACK).contains(&number) {
        return Err(format!("the probability of {of} is {number}"));
    }
    Ok(number.clamp(0.0, 1.0))
}

/// The expected level of so many.
///
/// # Errors
/// What is wrong with it.
pub(super) fn level(value: Option<&Value>, levels: usize, of: &dyn fmt::Display) -> Result<f64, String> {
    const SLACK: f64 = 0.05;
    let (number, most) = (value.and_then(Value::as_f64), levels.saturating_sub(1) as f64);
    let number = number.filter(|number| number.is_finite()).ok_or_else(|| format!("no score came for {of}"))?;
    if !(-SLACK..=most + SLACK).contains(&number) {
        return Err(format!("the score of {of} is {number}, and its scale ends at {most}"));
    }
    Ok(number.clamp(0.0, most))
}

/// Probabilities of things that exclude each other.
///
/// # Errors
/// Their sum is not about 1.
pub(super) fn distribution(probabilities: Vec<f64>, of: &dyn fmt::Display) -> Result<Vec<f64>, String> {
    // Two decimals of up to 255 are rounded away by some.
    let sum: f64 = probabilities.iter().sum();
    let slack = (probabilities.len() as f64 * 0.005).max(0.05);
    if (sum - 1.0).abs() > slack {
        return Err(format!("the probabilities of {of} come to {sum:.3}"));
    }
    Ok(probabilities)
}
