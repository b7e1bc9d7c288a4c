//! The usual figures of a ranking, as `trec_eval` and BEIR compute them.

use std::time::Duration;

use serde::Serialize;

use super::set::Query;
use super::spans::SpanScore;
use crate::answer::Decided;

/// How well one question was answered.
#[derive(Debug, Clone, PartialEq)]
pub struct QueryScore {
    /// The question's id.
    pub id: String,
    /// The question.
    pub text: String,
    /// Normalised discounted cumulative gain of the first ten documents.
    pub ndcg_10: f64,
    /// Share of the answers among the first 1, 5, 10 and 100 documents, from 0 to 1.
    pub recall: [f64; 4],
    /// 1 / the place of the first answer, if it is among the first ten.
    pub mrr_10: f64,
    /// Where the first answer stands, from 1.
    pub first: Option<usize>,
    /// The documents that were found, best first.
    pub found: Vec<String>,
    /// How long it took to find them.
    pub time: Duration,
    /// The cause, where the question could not be asked.
    pub failed: Option<String>,
    /// How long it waited for the reranker.
    pub reranking: Duration,
    /// What reranking took, where its price is known.
    pub decided: Option<Decided>,
    /// The reranker was late or failed.
    pub unranked: bool,
    /// How much of its answers was in the passages, where they are marked.
    pub spans: Option<SpanScore>,
}

impl QueryScore {
    /// Scores what was found for a question.
    pub fn new(query: &Query, found: Vec<String>, time: Duration, failed: Option<String>) -> Self {
        let relevant = &query.relevant;
        let hits = |k: usize| found.iter().take(k).filter(|document| relevant.contains_key(*document)).count() as f64;
        let recall = [1, 5, 10, 100].map(|k| hits(k) / relevant.len().max(1) as f64);
        let first = found.iter().position(|document| relevant.contains_key(document)).map(|place| place + 1);
        let gains = found.iter().map(|document| relevant.get(document).copied().unwrap_or(0));
        let mut ideal: Vec<u32> = relevant.values().copied().collect();
        ideal.sort_unstable_by(|a, b| b.cmp(a));
        let best = dcg_10(ideal);
        Self {
            id: query.id.clone(),
            text: query.text.clone(),
            ndcg_10: if best > 0.0 { dcg_10(gains) / best } else { 0.0 },
            recall,
            mrr_10: first.filter(|place| *place <= 10).map_or(0.0, |place| 1.0 / place as f64),
            first,
            found,
            time,
            failed,
            reranking: Duration::ZERO,
            decided: None,
            unranked: false,
            spans: None,
        }
    }
}

/// Discounted cumulative gain of ten places (Järvelin and Kekäläinen 2002) with the grade itself as the gain, as `trec_eval`'s
/// `ndcg_cut` and therefore BEIR have it; others take 2^grade - 1, which is the same where grades are 0 and 1.
fn dcg_10(grades: impl IntoIterator<Item = u32>) -> f64 {
    grades.into_iter().take(10).zip(2_u32..).map(|(grade, place)| f64::from(grade) / f64::from(place).log2()).sum()
}

/// A figure of one question; `None` where it has none.
pub type Figure = fn(&QueryScore) -> Option<f64>;

/// The figures that are shown and compared, under the names that people know; the contract's are their [`key`]s.
const FIGURES: [(&str, Figure); 9] = [
    ("nDCG@10", |query| Some(query.ndcg_10)),
    ("recall@1", |query| recall(query, 0)),
    ("recall@5", |query| recall(query, 1)),
    ("recall@10", |query| recall(query, 2)),
    ("recall@100", |query| recall(query, 3)),
    ("MRR@10", |query| Some(query.mrr_10)),
    ("span recall", |query| query.spans.map(|spans| spans.recall)),
    ("span precision", |query| query.spans.map(|spans| spans.precision)),
    ("span IoU", |query| query.spans.map(|spans| spans.iou)),
];

fn recall(query: &QueryScore, n: usize) -> Option<f64> {
    query.recall.get(n).copied()
}

/// The figures that these questions have.
pub fn figures(queries: &[QueryScore]) -> impl Iterator<Item = (&'static str, Figure)> {
    let marked = queries.iter().any(|query| query.spans.is_some());
    FIGURES.into_iter().filter(move |(name, _)| marked || !name.starts_with("span "))
}

/// A figure's values of the questions that have it.
pub fn values(queries: &[QueryScore], figure: Figure) -> Vec<f64> {
    queries.iter().filter_map(figure).collect()
}

/// A figure's name for programs: `span IoU` is `span_iou`.
pub fn key(name: &str) -> String {
    name.to_lowercase().replace(' ', "_")
}

/// The means over all questions, under the names of the contract.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Scores {
    /// Questions.
    pub queries: usize,
    /// See [`QueryScore::ndcg_10`].
    #[serde(rename = "ndcg@10")]
    pub ndcg_10: f64,
    /// See [`QueryScore::recall`].
    #[serde(rename = "recall@1")]
    pub recall_1: f64,
    /// See [`QueryScore::recall`].
    #[serde(rename = "recall@5")]
    pub recall_5: f64,
    /// See [`QueryScore::recall`].
    #[serde(rename = "recall@10")]
    pub recall_10: f64,
    /// See [`QueryScore::recall`].
    #[serde(rename = "recall@100")]
    pub recall_100: f64,
    /// See [`QueryScore::mrr_10`].
    #[serde(rename = "mrr@10")]
    pub mrr_10: f64,
    /// The middle question's time in milliseconds.
    pub p50_ms: f64,
    /// Of a hundred questions, the second slowest's.
    pub p99_ms: f64,
}

/// The means over the questions whose answers are marked.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SpanScores {
    /// Those questions.
    pub span_queries: usize,
    /// See [`SpanScore::recall`].
    pub span_recall: f64,
    /// See [`SpanScore::precision`].
    pub span_precision: f64,
    /// See [`SpanScore::iou`].
    pub span_iou: f64,
    /// Tokens that one gets.
    pub span_tokens: f64,
}

impl SpanScores {
    /// `None` where no answer is marked.
    pub fn of(queries: &[QueryScore]) -> Option<Self> {
        let all: Vec<SpanScore> = queries.iter().filter_map(|query| query.spans).collect();
        let mean = |of: fn(&SpanScore) -> f64| all.iter().map(of).sum::<f64>() / all.len() as f64;
        (!all.is_empty()).then(|| Self {
            span_queries: all.len(),
            span_recall: mean(|spans| spans.recall),
            span_precision: mean(|spans| spans.precision),
            span_iou: mean(|spans| spans.iou),
            span_tokens: mean(|spans| spans.tokens as f64),
        })
    }
}

impl Scores {
    /// The means.
    pub fn of(queries: &[QueryScore]) -> Self {
        let count = queries.len();
        let mean = |value: &dyn Fn(&QueryScore) -> f64| queries.iter().map(value).sum::<f64>() / count.max(1) as f64;
        let recall = |n: usize| mean(&move |query: &QueryScore| query.recall.get(n).copied().unwrap_or(0.0));
        let mut times: Vec<Duration> = queries.iter().map(|query| query.time).collect();
        times.sort_unstable();
        // The nearest rank.
        let percentile =
            |percent: usize| times.get((count * percent).div_ceil(100).saturating_sub(1)).copied().unwrap_or_default();
        Self {
            queries: count,
            ndcg_10: mean(&|query| query.ndcg_10),
            recall_1: recall(0),
            recall_5: recall(1),
            recall_10: recall(2),
            recall_100: recall(3),
            mrr_10: mean(&|query| query.mrr_10),
            p50_ms: percentile(50).as_secs_f64() * 1000.0,
            p99_ms: percentile(99).as_secs_f64() * 1000.0,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failing test may panic")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn score(relevant: &[(&str, u32)], found: &[&str]) -> QueryScore {
        let relevant = relevant.iter().map(|(document, grade)| ((*document).to_owned(), *grade)).collect();
        let query = Query { id: "q".into(), text: "t".into(), relevant, ..Query::default() };
        QueryScore::new(&query, found.iter().map(ToString::to_string).collect(), Duration::from_millis(3), None)
    }

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-6
    }

    #[test]
    fn figures_are_those_of_trec_eval() {
        // Worked by hand: gains 0, 1, 0, 2 of an ideal 2, 1, 1.
        let scored = score(&[("a", 2), ("b", 1), ("c", 1)], &["x", "b", "y", "a"]);
        let found = 1.0 / 3_f64.log2() + 2.0 / 5_f64.log2();
        let ideal = 2.0 + 1.0 / 3_f64.log2() + 1.0 / 4_f64.log2();
        assert!(close(scored.ndcg_10, found / ideal), "{scored:?}");
        assert!(close(scored.ndcg_10, 0.476_626), "linear gains, log2 discount: {}", scored.ndcg_10);
        assert!(scored.recall.iter().zip([0.0, 2.0, 2.0, 2.0]).all(|(part, of)| close(part * 3.0, of)), "{scored:?}");
        assert!(close(scored.mrr_10, 0.5));
        assert_eq!(scored.first, Some(2));
    }

    #[test]
    fn places_after_the_tenth_count_for_recall_alone() {
        let found: Vec<String> = (0..10).map(|n| format!("x{n}")).chain(["a".to_owned()]).collect();
        let scored = score(&[("a", 1)], &found.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!((scored.ndcg_10, scored.mrr_10, scored.recall, scored.first), (0.0, 0.0, [0.0, 0.0, 0.0, 1.0], Some(11)));
    }

    #[test]
    fn means_and_percentiles() {
        let mut queries = vec![score(&[("a", 1)], &["a"]); 99];
        queries.push(QueryScore { time: Duration::from_secs(1), ..score(&[("a", 1)], &[]) });
        let scores = Scores::of(&queries);
        assert!(close(scores.ndcg_10, 0.99) && close(scores.recall_1, 0.99) && close(scores.mrr_10, 0.99));
        assert!(close(scores.p50_ms, 3.0) && close(scores.p99_ms, 3.0), "{scores:?}");
        queries.push(QueryScore { time: Duration::from_secs(2), ..score(&[("a", 1)], &[]) });
        assert!(close(Scores::of(&queries).p99_ms, 1000.0));
        assert_eq!(Scores::of(&[]).queries, 0);
    }

    #[test]
    fn what_is_marked_in_some_questions_is_a_mean_over_those() {
        let mut queries = vec![score(&[("a", 1)], &["a"]); 3];
        let names = |queries: &[QueryScore]| figures(queries).map(|(name, _)| key(name)).collect::<Vec<_>>();
        assert!(SpanScores::of(&queries).is_none() && names(&queries).len() == 6);
        queries[1].spans = Some(SpanScore { recall: 0.5, precision: 0.25, iou: 0.2, tokens: 100 });
        let spans = SpanScores::of(&queries).unwrap();
        assert_eq!((spans.span_queries, spans.span_recall, spans.span_tokens), (1, 0.5, 100.0));
        assert_eq!(names(&queries)[6..], ["span_recall", "span_precision", "span_iou"]);
        let iou = figures(&queries).last().unwrap().1;
        assert_eq!(values(&queries, iou), [0.2]);
    }

    proptest! {
        #[test]
        fn a_perfect_ranking_scores_one_and_no_other_more(grades in proptest::collection::vec(1..4_u32, 1..20), mix in any::<prop::sample::Index>()) {
            let names: Vec<String> = (0..grades.len()).map(|n| format!("d{n}")).collect();
            let relevant: Vec<(&str, u32)> = names.iter().map(String::as_str).zip(grades).collect();
            let mut best = relevant.clone();
            best.sort_by_key(|(_, grade)| std::cmp::Reverse(*grade));
            let mut ranking: Vec<&str> = best.iter().map(|(name, _)| *name).collect();
            prop_assert!(close(score(&relevant, &ranking).ndcg_10, 1.0));
            let turn = mix.index(ranking.len());
            ranking.rotate_left(turn);
            let scored = score(&relevant, &ranking);
            prop_assert!(scored.ndcg_10 <= 1.0 + 1e-9 && scored.recall.is_sorted());
            prop_assert!(close(scored.mrr_10, 1.0));
        }
    }
}
