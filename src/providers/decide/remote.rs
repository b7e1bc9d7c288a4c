//! The decision model behind HTTP, whatever contract its server speaks.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use serde_json::Value;
use tracing::Instrument as _;

use super::decider::{Ask, Asked, Decider, Decision, DecisionRequest, Decisions};
use super::wire::{Contract, DecisionApi, usage};
use crate::providers::http::{Cost, Http};
use crate::providers::{ErrorKind, ModelRef, Price, ProviderError, tokens};
use crate::telemetry;

/// Questions of one request, at most: what `OpenAI` takes.
const QUESTIONS: usize = 400;
/// Choices of one question.
const CHOICES: std::ops::RangeInclusive<usize> = 2..=255;
/// Levels of one scale.
const LEVELS: std::ops::RangeInclusive<usize> = 2..=10;
/// Bytes of an answer, at most: 400 questions of 255 choices each come to less.
const MAX_ANSWER: usize = 8 << 20;
/// Contracts that are tried: there are no more.
const CONTRACTS: usize = 3;

/// A decision model behind HTTP.
#[derive(Debug)]
struct Remote {
    http: Arc<Http>,
    /// `provider/model`.
    name: String,
    /// The model's name at the provider.
    id: String,
    price: Option<Price>,
    /// What the server speaks, as far as it is known.
    contract: Mutex<Contract>,
}

/// The decision model of this name and price, which talks to `api` over `http`.
pub(in crate::providers) fn remote(
    api: &'static DecisionApi,
    http: Arc<Http>,
    model: &ModelRef,
    price: Option<Price>,
) -> Arc<dyn Decider> {
    let contract = Mutex::new(api.contract);
    Arc::new(Remote { http, name: model.to_string(), id: model.model.clone(), price, contract })
}

#[async_trait]
impl Decider for Remote {
    fn model(&self) -> &str {
        &self.name
    }

    fn price(&self) -> Option<Price> {
        self.price
    }

    async fn decide(&self, request: &DecisionRequest) -> Result<Decisions, ProviderError> {
        let span = telemetry::decide(self.http.told(), &self.id, request.questions.len());
        let answer = self.decided(request).instrument(span.clone()).await;
        match &answer {
            Ok(decisions) => {
                if let Some(tokens) = decisions.usage.input_tokens {
                    telemetry::count(&span, "gen_ai.usage.input_tokens", tokens);
                }
            }
            Err(error) => telemetry::failed(&span, error.kind.code()),
        }
        answer
    }
}

impl Remote {
    async fn decided(&self, request: &DecisionRequest) -> Result<Decisions, ProviderError> {
        fits(request).map_err(|wrong| self.http.error(ErrorKind::InvalidInput, wrong))?;
        let mut contract = *self.contract.lock().unwrap_or_else(PoisonError::into_inner);
        let mut refusal: Option<ProviderError> = None;
        for _ in 0..CONTRACTS {
            match self.asked(contract, request).await {
                Ok(decisions) => {
                    let mut known = self.contract.lock().unwrap_or_else(PoisonError::into_inner);
                    if *known != contract {
                        let (provider, name) = (self.http.provider(), contract.wire().name());
                        tracing::info!(provider, "this server speaks {name} at {}", contract.path(self.http.base_path()));
                    }
                    *known = contract;
                    return Ok(decisions);
                }
                Err(error) => {
                    // The vendors' own servers speak what they document: their refusals mean what they say.
                    let other = if self.http.is_vendor() { None } else { contract.instead(&error) };
                    // What is told is the first refusal: it is about what was asked for.
                    refusal.get_or_insert(error);
                    let Some(other) = other else { break };
                    contract = other;
                }
            }
        }
        Err(refusal.unwrap_or_else(|| self.http.error(ErrorKind::BadAnswer, "no contract was tried")))
    }

    async fn asked(&self, contract: Contract, request: &DecisionRequest) -> Result<Decisions, ProviderError> {
        let (wire, path) = (contract.wire(), contract.path(self.http.base_path()));
        let body = wire.body(&self.id, request);
        let response = self.http.post_apart(&path, &body, Cost { tokens: estimated_tokens(request) }).await?;
        let wrong = |wrong| self.http.error(ErrorKind::BadAnswer, wrong);
        if response.body.len() > MAX_ANSWER {
            return Err(wrong(format!("the answer has {} bytes", response.body.len())));
        }
        let answer = serde_json::from_slice::<Value>(&response.body).map_err(|error| error.to_string());
        let used = answer.as_ref().map(usage).unwrap_or_default();
        if let Some(tokens) = used.input_tokens.filter(|&tokens| tokens > 0) {
            response.reservation.settle(tokens);
        }
        let read = answer.and_then(|answer| wire.read(request, &answer));
        let wrong = |error| wrong(format!("cannot read the answer as {}: {error}", wire.name())).having_used(used);
        let read = read.map_err(wrong)?;
        if read.answers.iter().all(|answer| *answer == Decision::Refused) {
            let said = "the model declines to decide anything of this";
            return Err(self.http.error(ErrorKind::InvalidInput, said).having_used(used));
        }
        Ok(Decisions { answers: read.answers, usage: read.usage })
    }
}

/// The tokens that a request may come to.
pub(super) fn estimated_tokens(request: &DecisionRequest) -> u64 {
    let asked = |asked: &Asked| {
        let choices = match &asked.ask {
            Ask::Predicate => 0,
            Ask::Choice(choices) => choices.iter().map(|one| tokens::guess(&one.value) + tokens::guess(&one.description)).sum(),
            Ask::Score(levels) => levels.iter().map(|label| tokens::guess(label)).sum(),
        };
        tokens::guess(&asked.instructions) + choices + 8
    };
    let state = request.state.as_str().map_or_else(|| tokens::guess(&request.state.to_string()), tokens::guess);
    state + request.questions.iter().map(asked).sum::<u64>()
}

/// Whether a request is one that both contracts take; the error says why not.
fn fits(request: &DecisionRequest) -> Result<(), String> {
    let count = request.questions.len();
    if !(1..=QUESTIONS).contains(&count) {
        return Err(format!("{count} questions were to be asked at once: 1 to {QUESTIONS} can be"));
    }
    for (n, asked) in (1..).zip(&request.questions) {
        let (what, count, range) = match &asked.ask {
            Ask::Predicate => continue,
            Ask::Choice(choices) => ("choices", choices.len(), CHOICES),
            Ask::Score(levels) => ("levels", levels.len(), LEVELS),
        };
        if !range.contains(&count) {
            return Err(format!("question {n} has {count} {what}: {} to {} can be", range.start(), range.end()));
        }
    }
    Ok(())
}
