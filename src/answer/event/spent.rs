//! What an answer of several models took, and cost.

use super::{EnsembleSummary, ModelOutcome, besides_unknown, each_once};
use crate::providers::Usage;

impl EnsembleSummary {
    /// Answers, verdicts, what was in vain and what it took to put the question: model, tokens, cost. Of the latter two the tokens count
    /// in as far as they are known.
    fn requests(&self) -> impl Iterator<Item = (&str, Usage, Option<f64>)> {
        let answered = self.models.iter().filter_map(|(model, outcome)| Some((model.as_str(), outcome.answer()?)));
        let merged = self.merged.iter().map(|merged| (merged.model.as_deref().unwrap_or_default(), merged));
        let answers = answered.chain(merged).map(|(model, answer)| (model, answer.usage, answer.cost_usd));
        let judging = self.judging.iter().map(|one| (one.model.as_str(), one.usage, one.cost_usd));
        let besides = self.void.iter().chain(&self.asking);
        let void = besides.map(|one| (one.model.as_str(), one.usage.or_none(), one.cost_usd));
        answers.chain(judging).chain(void)
    }

    /// The models whose answers were cancelled, and nobody knows what they cost.
    fn cancelled(&self) -> impl Iterator<Item = &str> {
        let known = |model: &str| self.void.iter().any(|one| one.model == model && one.cost_usd.is_some());
        let cancelled = self.models.iter().filter(|(_, outcome)| *outcome == ModelOutcome::Cancelled);
        cancelled.map(|(model, _)| model.as_str()).filter(move |model| !known(model))
    }

    /// The sum of all tokens, and of all costs in US dollars; unknown as soon as a part is (but decisions count in as far as theirs is
    /// known). What a failed answer cost is known where that was told, that of a cancelled one never is, and one for which nothing was
    /// sent cost nothing.
    pub fn spent(&self) -> (Usage, Option<f64>) {
        let none = (Usage::new(Some(0), Some(0)), Some(0.0));
        let (usage, cost) = self
            .requests()
            .fold(none, |(total, cost), (_, usage, more)| (total.and(usage), cost.and_then(|cost| Some(cost + more?))));
        let complete = self.cancelled().next().is_none();
        (usage, cost.filter(|_| complete).map(|cost| cost + self.decisions()))
    }

    /// What of all costs is known, in US dollars.
    pub fn spent_at_least(&self) -> f64 {
        self.requests().filter_map(|(.., cost)| cost).sum::<f64>() + self.decisions()
    }

    fn decisions(&self) -> f64 {
        self.decided.iter().filter_map(|one| one.cost_usd).sum()
    }

    /// The models of which something was paid, or may have been, that is not known.
    pub fn cost_unknown(&self) -> Vec<&str> {
        let requests = self.requests().filter(|(.., cost)| cost.is_none()).map(|(model, ..)| model);
        each_once(requests.chain(self.cancelled()).chain(besides_unknown(&self.decided, [].iter())))
    }
}
