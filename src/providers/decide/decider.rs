//! Models that decide, as the rest of the crate sees them.

use async_trait::async_trait;
use serde_json::Value;

use crate::providers::{Price, ProviderError, Usage};

/// Questions about one state, each answered on its own.
#[derive(Debug, Clone, PartialEq)]
pub struct DecisionRequest {
    /// What is judged. Texts of others belong in here, never into the instructions.
    pub state: Value,
    /// The questions.
    pub questions: Vec<Asked>,
}

/// A question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// What is to be decided, in a sentence.
    pub instructions: String,
    /// The kind of answer.
    pub ask: Ask,
}

/// The kind of answer that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ask {
    /// Whether it is so.
    Predicate,
    /// One of these.
    Choice(Vec<Choice>),
    /// The place on a scale whose levels these are, from the lowest to the highest.
    Score(Vec<String>),
}

/// One of several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// Its name.
    pub value: String,
    /// When it applies.
    pub description: String,
}

/// What a model has decided. All probabilities are from 0 to 1.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Decision {
    /// The probability that it is so.
    Predicate(f64),
    /// The probability of each choice, in their order.
    Choice(Vec<f64>),
    /// The expected level, from 0.
    Score(f64),
    /// The model declines to say.
    Refused,
}

/// What a model has decided, and what that took.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Decisions {
    /// One a question, in their order.
    pub answers: Vec<Decision>,
    /// Tokens, where the provider tells them.
    pub usage: Usage,
}

impl Decisions {
    /// These; nothing is known of what was billed.
    pub fn new(answers: Vec<Decision>) -> Self {
        Self { answers, usage: Usage::default() }
    }
}

/// A model that decides.
///
/// ```
/// use ragstream::providers::{Ask, Asked, Decider, Decision, DecisionRequest, Decisions, ProviderError};
///
/// /// Says yes where the state has a question mark.
/// #[derive(Debug)]
/// struct Curious;
///
/// #[async_trait::async_trait]
/// impl Decider for Curious {
///     fn model(&self) -> &str {
///         "own/curious"
///     }
///
///     async fn decide(&self, request: &DecisionRequest) -> Result<Decisions, ProviderError> {
///         let yes = if request.state.to_string().contains('?') { 0.9 } else { 0.1 };
///         Ok(Decisions::new(request.questions.iter().map(|_| Decision::Predicate(yes)).collect()))
///     }
/// }
///
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let asked = Asked { instructions: "Somebody asks something.".into(), ask: Ask::Predicate };
/// let request = DecisionRequest { state: "Who?".into(), questions: vec![asked] };
/// assert_eq!(Curious.decide(&request).await.unwrap().answers, [Decision::Predicate(0.9)]);
/// # });
/// ```
#[async_trait]
pub trait Decider: Send + Sync + std::fmt::Debug {
    /// `provider/model`, as the user writes it.
    fn model(&self) -> &str;

    /// Answers all questions by one request (and its retries). Dropping the future cancels it.
    async fn decide(&self, request: &DecisionRequest) -> Result<Decisions, ProviderError>;

    /// The price, where it is known.
    fn price(&self) -> Option<Price> {
        None
    }
}
