//! Whether a reranker pays: what it does to the ranking on the user's own questions, how long they wait for it, and what it costs.

use std::time::Duration;

use super::compare::{Difference, compare};
use super::confidence::{Estimate, estimate};
use super::scores::QueryScore;
use crate::pipeline::Plan;

/// Below it a difference is commonly called significant.
const SIGNIFICANT: f64 = 0.05;

/// A pipeline, as far as rerankers are compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ranked {
    /// The reranker, as `provider/model`; `None`: there is none.
    pub reranker: Option<String>,
    /// All else that a ranking depends on.
    besides: String,
}

impl From<&Plan> for Ranked {
    fn from(plan: &Plan) -> Self {
        let query = &plan.query;
        let besides = (&plan.embed, &plan.chunk, query.mode, query.fusion, &query.select.filter, query.select.duplicates);
        Self { reranker: query.select.rerank.as_ref().map(|rerank| rerank.model.to_string()), besides: format!("{besides:?}") }
    }
}

/// What a reranker brings, and what it takes.
#[derive(Debug, Clone, PartialEq)]
pub struct Payoff {
    /// The reranker, as `provider/model`.
    pub reranker: String,
    /// What it is compared with; `None`: no reranker.
    pub against: Option<String>,
    /// The difference in nDCG@10, with its interval of 95 % confidence.
    pub ndcg_10: Estimate,
    /// The probability that a difference as large comes by chance.
    pub p: f64,
    /// How much longer the middle question waits.
    pub added: Duration,
    /// Cost a question in US dollars, where it is known.
    pub cost_usd: Option<f64>,
    /// Questions for which it was late or failed: they count with the order that they had.
    pub unranked: usize,
    /// Questions.
    pub queries: usize,
}

/// A verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The ranking is better by more than chance. Whether that is worth the time and the money is for people to say.
    Better,
    /// It is worse by more than chance.
    Worse,
    /// These questions cannot tell.
    Untold,
}

impl Verdict {
    /// A word for programs.
    pub fn code(self) -> &'static str {
        match self {
            Self::Better => "better",
            Self::Worse => "worse",
            Self::Untold => "untold",
        }
    }
}

impl Payoff {
    /// Of two runs that differ in the reranker alone; `None` where they differ in more, or in nothing. The one with a reranker is
    /// compared with the one without; of two, the second with the first.
    pub fn of(a: (&Ranked, &[QueryScore]), b: (&Ranked, &[QueryScore])) -> Option<Self> {
        if a.0.besides != b.0.besides || a.0.reranker == b.0.reranker {
            return None;
        }
        let (before, after) = if b.0.reranker.is_some() { (a, b) } else { (b, a) };
        let Difference { p, .. } = compare(before.1, after.1, |query| Some(query.ndcg_10));
        let differences: Vec<f64> = before.1.iter().zip(after.1).map(|(a, b)| b.ndcg_10 - a.ndcg_10).collect();
        let costs: Option<Vec<f64>> = after.1.iter().filter(|query| !query.unranked).map(cost).collect();
        let cost_usd = costs.filter(|costs| !costs.is_empty()).map(|costs| costs.iter().sum::<f64>() / costs.len() as f64);
        Some(Self {
            reranker: after.0.reranker.clone()?,
            against: before.0.reranker.clone(),
            ndcg_10: estimate(&differences),
            p,
            // Not of the whole times: the second run finds the questions' vectors in the cache.
            added: middle(after.1).saturating_sub(middle(before.1)),
            cost_usd,
            unranked: after.1.iter().filter(|query| query.unranked).count(),
            queries: after.1.len(),
        })
    }

    /// Whether the ranking is the better for it.
    pub fn verdict(&self) -> Verdict {
        match self.ndcg_10.mean {
            _ if self.p >= SIGNIFICANT => Verdict::Untold,
            mean if mean > 0.0 => Verdict::Better,
            _ => Verdict::Worse,
        }
    }
}

/// What reranking one question cost. One passage needs no order, and costs nothing.
fn cost(query: &QueryScore) -> Option<f64> {
    match &query.decided {
        Some(decided) => decided.cost_usd,
        None => query.reranking.is_zero().then_some(0.0),
    }
}

fn middle(queries: &[QueryScore]) -> Duration {
    let mut times: Vec<Duration> = queries.iter().map(|query| query.reranking).collect();
    times.sort_unstable();
    times.get(times.len().div_ceil(2).saturating_sub(1)).copied().unwrap_or_default()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed test panics")]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::eval::set::Query;

    fn run(values: &[f64], reranking: u64) -> Vec<QueryScore> {
        let query = Query { relevant: HashMap::from([("a".to_owned(), 1)]), ..Query::default() };
        let one = QueryScore::new(&query, Vec::new(), Duration::from_secs(9), None);
        let reranking = Duration::from_millis(reranking);
        values.iter().map(|value| QueryScore { ndcg_10: *value, reranking, ..one.clone() }).collect()
    }

    fn ranked(reranker: Option<&str>) -> Ranked {
        Ranked { reranker: reranker.map(str::to_owned), besides: "the same".into() }
    }

    #[test]
    fn a_reranker_is_held_against_none_whichever_comes_first() {
        let (none, with) = (ranked(None), ranked(Some("p/r")));
        let (before, after) = (run(&[0.3; 40], 0), run(&[0.5; 40], 120));
        for payoff in [Payoff::of((&none, &before), (&with, &after)), Payoff::of((&with, &after), (&none, &before))] {
            let payoff = payoff.unwrap();
            assert_eq!((payoff.reranker.as_str(), payoff.against.as_deref()), ("p/r", None));
            assert!((payoff.ndcg_10.mean - 0.2).abs() < 1e-9 && payoff.ndcg_10.low > 0.19, "{payoff:?}");
            assert_eq!((payoff.verdict(), payoff.added), (Verdict::Better, Duration::from_millis(120)));
            assert_eq!(payoff.cost_usd, None, "nobody knows");
        }
        let worse = Payoff::of((&none, &after), (&with, &before)).unwrap();
        assert_eq!(worse.verdict(), Verdict::Worse);
        let luck: Vec<f64> = (0..40).map(|n| if n % 2 == 0 { 0.35 } else { 0.26 }).collect();
        assert_eq!(Payoff::of((&none, &before), (&with, &run(&luck, 1))).unwrap().verdict(), Verdict::Untold);
    }

    #[test]
    fn what_differs_in_more_tells_nothing_of_the_reranker() {
        let (none, with, scores) = (ranked(None), ranked(Some("p/r")), run(&[0.3; 4], 0));
        let other = Ranked { besides: "other".into(), ..with.clone() };
        assert_eq!(Payoff::of((&none, &scores), (&other, &scores)), None);
        assert_eq!(Payoff::of((&with, &scores), (&with, &scores)), None);
    }
}
