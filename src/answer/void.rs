//! What requests took whose replies are of no use: an answer that is void, a verdict that names nobody, a decision that cannot be read.
//! And what it took to put the question, before anything was found: to rewrite it, and to embed it.
//!
//! Whatever goes on after an error asks here first what the error cost, so that no file has a rule of its own for that.

use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::providers::{Price, ProviderError, Usage};

/// Tokens and money that a request took whose reply is not the answer: a verdict, the question put otherwise, or one that is of no use.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Judging {
    /// The model that was asked, as `provider/model`.
    pub model: String,
    /// Tokens it took.
    pub usage: Usage,
    /// Cost in US dollars, where it is known.
    #[serde(with = "super::exact")]
    pub cost_usd: Option<f64>,
}

impl Judging {
    /// What a request to this model took.
    pub(super) fn of(model: &str, price: Option<Price>, usage: Usage) -> Self {
        Self { model: model.to_owned(), usage, cost_usd: usage.cost(price) }
    }

    /// What a request to this model took that failed so; `None`: nothing that would be billed.
    pub(super) fn failed(model: &str, price: Option<Price>, error: &ProviderError) -> Option<Self> {
        Some(Self::of(model, price, error.billed()?))
    }
}

/// What requests for one question took in vain so far, and what it took to put it. Clones count together.
#[derive(Debug, Clone, Default)]
pub(super) struct Void {
    vain: Arc<Mutex<Vec<Judging>>>,
    asking: Arc<Mutex<Vec<Judging>>>,
}

impl Void {
    /// A request to this model failed.
    pub(super) fn failed(&self, model: &str, price: Option<Price>, error: &ProviderError) {
        self.add(Judging::failed(model, price, error));
    }

    /// The answer of this model was cancelled: how much of it is billed nobody knows, unless it is free.
    pub(super) fn cancelled(&self, model: &str, price: Option<Price>) {
        self.add([Judging::of(model, price, Usage::default())]);
    }

    /// Those of a model are summed, what is known of it apart from what is not.
    pub(super) fn add(&self, more: impl IntoIterator<Item = Judging>) {
        sum(&self.vain, more);
    }

    /// Those that put the question, likewise.
    pub(super) fn asked(&self, more: impl IntoIterator<Item = Judging>) {
        sum(&self.asking, more);
    }

    /// All that was in vain.
    pub(super) fn taken(&self) -> Vec<Judging> {
        self.vain.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// All that it took to put the question.
    pub(super) fn asking(&self) -> Vec<Judging> {
        self.asking.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn sum(all: &Mutex<Vec<Judging>>, more: impl IntoIterator<Item = Judging>) {
    let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
    for one in more {
        let alike = |other: &&mut Judging| other.model == one.model && other.cost_usd.is_some() == one.cost_usd.is_some();
        match all.iter_mut().find(alike) {
            Some(sum) => {
                sum.usage = sum.usage.and(one.usage);
                sum.cost_usd = sum.cost_usd.and_then(|sum| Some(sum + one.cost_usd?));
            }
            None => all.push(one),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed test panics")]
mod tests {
    use super::*;
    use crate::providers::ErrorKind;

    const PRICE: Option<Price> = Some(Price::chat(1.0, 2.0));

    #[test]
    fn what_failed_costs_what_was_told_or_nobody_knows_what_or_nothing() {
        let error = |kind| ProviderError::new("p", kind, "no");
        let failed = |error: &ProviderError, price| Judging::failed("p/m", price, error);
        let told = error(ErrorKind::BadAnswer).having_used(Usage::new(Some(1_000_000), Some(500_000)));
        assert_eq!(failed(&told, PRICE).unwrap().cost_usd, Some(2.0));
        assert_eq!(failed(&told, None).unwrap().cost_usd, None, "without a price nobody knows");
        for kind in [ErrorKind::BadAnswer, ErrorKind::Timeout] {
            assert_eq!(failed(&error(kind), PRICE).unwrap().cost_usd, None, "{kind:?}: it may have been billed");
            assert_eq!(failed(&error(kind), Some(Price::FREE)).unwrap().cost_usd, Some(0.0));
        }
        for kind in [ErrorKind::Auth, ErrorKind::RateLimited, ErrorKind::Unavailable, ErrorKind::Network, ErrorKind::NotFound] {
            assert_eq!(failed(&error(kind), PRICE), None, "{kind:?}: nothing was said");
            assert_eq!(
                failed(&error(kind).having_begun(), PRICE).unwrap().cost_usd,
                None,
                "{kind:?}: in the midst of an answer"
            );
        }
        assert_eq!(failed(&told.having_begun(), PRICE).unwrap().cost_usd, Some(2.0), "what was told stays");
    }

    #[test]
    fn what_is_known_is_summed_apart_from_what_is_not() {
        let (void, told) = (Void::default(), Usage::new(Some(1_000_000), Some(0)));
        let same = void.clone();
        for usage in [told, Usage::default(), told, Usage::default()] {
            void.failed("p/m", PRICE, &ProviderError::new("p", ErrorKind::BadAnswer, "no").having_used(usage));
        }
        same.failed("p/other", PRICE, &ProviderError::new("p", ErrorKind::Auth, "no"));
        let taken: Vec<_> = same.taken().into_iter().map(|one| (one.usage.input_tokens, one.cost_usd)).collect();
        assert_eq!(taken, [(Some(2_000_000), Some(2.0)), (None, None)]);
    }
}
