//! Models that rank passages: the trait, and what all that are behind HTTP share. A wire format's file only says what to send and
//! reads what comes back.

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::try_join_all;
use serde_json::Value;

use super::embedding::guess_tokens;
use super::http::{Cost, Http};
use super::{ErrorKind, ProviderError, rerank_cohere, rerank_jina, rerank_voyage};
use crate::providers::ModelRef;

/// A model that says how well passages answer a question.
#[async_trait]
pub trait Reranker: Send + Sync + std::fmt::Debug {
    /// `provider/model`, as the user writes it.
    fn model(&self) -> &str;
    /// Scores each passage, with as few requests (and their retries) as it takes.
    async fn rerank(&self, question: &str, passages: &[String]) -> Result<Reranked, ProviderError>;
}

/// What a reranker says.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Reranked {
    /// One score a passage, in the order of the passages, all finite; higher is better, and the scale is the model's own.
    pub scores: Vec<f32>,
    /// Tokens that the provider billed, where it says so.
    pub tokens: Option<u64>,
    /// Searches that the provider billed, where it counts by them.
    pub units: Option<u64>,
}

/// What an answer says, not checked yet.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Read {
    /// Index of a passage and its score, in any order.
    pub(super) scores: Vec<(usize, f32)>,
    pub(super) tokens: Option<u64>,
    pub(super) units: Option<u64>,
}

/// What fits into one request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Passages.
    pub(super) passages: usize,
    /// Tokens: those of the question for each passage, and those of the passages.
    pub(super) tokens: u64,
    /// Tokens that are read of one passage; what is beyond is not sent.
    pub(super) passage_tokens: u64,
}

/// A wire format for rerankers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Cohere,
    Voyage,
    Jina,
}

impl Format {
    /// Path and body. `base_path` is the base URL's own path.
    fn request(self, base_path: &str, model: &str, question: &str, passages: &[&str]) -> (String, Value) {
        match self {
            Self::Cohere => rerank_cohere::request(base_path, model, question, passages),
            Self::Voyage => rerank_voyage::request(model, question, passages),
            Self::Jina => rerank_jina::request(model, question, passages),
        }
    }

    /// Reads an answer; the error says what is wrong with it.
    fn read(self, body: &[u8]) -> Result<Read, String> {
        match self {
            Self::Cohere => rerank_cohere::read(body),
            Self::Voyage => rerank_voyage::read(body),
            Self::Jina => rerank_jina::read(body),
        }
    }

    fn limits(self, model: &str) -> Limits {
        match self {
            Self::Cohere => rerank_cohere::LIMITS,
            Self::Voyage => rerank_voyage::limits(model),
            Self::Jina => rerank_jina::LIMITS,
        }
    }
}

/// See the module's page.
#[derive(Debug)]
struct Remote {
    http: Arc<Http>,
    format: Format,
    /// `provider/model`.
    name: String,
    /// The model's name at the provider.
    bare_name: String,
}

/// The reranker of this name, which talks `format` over `http`.
pub(super) fn remote(format: Format, http: Arc<Http>, model: &ModelRef) -> Arc<dyn Reranker> {
    Arc::new(Remote { http, format, name: model.to_string(), bare_name: model.model.clone() })
}

#[async_trait]
impl Reranker for Remote {
    fn model(&self) -> &str {
        &self.name
    }

    async fn rerank(&self, question: &str, passages: &[String]) -> Result<Reranked, ProviderError> {
        let limits = self.format.limits(&self.bare_name);
        let passages: Vec<&str> = passages.iter().map(|passage| beginning(passage, limits.passage_tokens)).collect();
        let requests = split(question, &passages, limits).into_iter().map(|(range, tokens)| {
            let passages = passages.get(range).unwrap_or_default();
            async move { self.ask(question, passages, tokens).await }
        });
        let mut all = Reranked::default();
        for one in try_join_all(requests).await? {
            all.scores.extend(one.scores);
            all.tokens = sum(all.tokens, one.tokens);
            all.units = sum(all.units, one.units);
        }
        Ok(all)
    }
}

impl Remote {
    async fn ask(&self, question: &str, passages: &[&str], tokens: u64) -> Result<Reranked, ProviderError> {
        let (path, body) = self.format.request(self.http.base_path(), &self.bare_name, question, passages);
        let answer = self.http.post(&path, &[], &body, Cost { tokens }).await?;
        let wrong = |wrong| self.http.error(ErrorKind::BadAnswer, wrong);
        let read = self.format.read(&answer.body).map_err(|error| wrong(format!("cannot read the answer: {error}")))?;
        if let Some(tokens) = read.tokens.filter(|&tokens| tokens > 0) {
            answer.reservation.settle(tokens);
        }
        let scores = in_order(&read.scores, passages.len()).map_err(wrong)?;
        Ok(Reranked { scores, tokens: read.tokens, units: read.units })
    }
}

/// A score for each passage; the error says what is wrong with them.
fn in_order(scores: &[(usize, f32)], passages: usize) -> Result<Vec<f32>, String> {
    if scores.len() != passages {
        return Err(format!("{} scores came for {passages} passages", scores.len()));
    }
    let mut ordered = vec![None; passages];
    for &(index, score) in scores {
        if !score.is_finite() {
            return Err(format!("the score of passage {index} is not finite"));
        }
        match ordered.get_mut(index) {
            None => return Err(format!("a score came for passage {index} of {passages}")),
            Some(Some(_)) => return Err(format!("two scores came for passage {index}")),
            Some(place) => *place = Some(score),
        }
    }
    // As many as there are passages, each for another one: none is missing.
    Ok(ordered.into_iter().flatten().collect())
}

/// The passages of each request, with the tokens that it comes to. A passage that is too large goes on its own.
fn split(question: &str, passages: &[&str], limits: Limits) -> Vec<(Range<usize>, u64)> {
    let question = guess_tokens(question);
    let mut requests: Vec<(Range<usize>, u64)> = Vec::new();
    for (index, passage) in passages.iter().enumerate() {
        let more = question + guess_tokens(passage);
        match requests.last_mut() {
            Some((range, tokens)) if range.len() < limits.passages && *tokens + more <= limits.tokens => {
                range.end = index + 1;
                *tokens += more;
            }
            _ => requests.push((index..index + 1, more)),
        }
    }
    requests
}

/// The beginning of a text that has at most about so many tokens.
fn beginning(text: &str, tokens: u64) -> &str {
    let mut quarters = 0;
    let end = text.char_indices().find(|(_, c)| {
        quarters += if c.is_ascii() { 1 } else { 4 };
        quarters > tokens.saturating_mul(4)
    });
    end.and_then(|(end, _)| text.get(..end)).unwrap_or(text)
}

fn sum(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    a.map_or(b, |a| Some(a + b.unwrap_or(0)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failed test panics")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn scores_are_put_in_order_or_refused() {
        assert_eq!(in_order(&[(1, 0.5), (0, 0.25)], 2).unwrap(), [0.25, 0.5]);
        for (scores, told) in [
            (vec![(0, 0.5)], "1 scores came for 2 passages"),
            (vec![(0, 0.5), (0, 0.5)], "two scores came for passage 0"),
            (vec![(0, 0.5), (2, 0.5)], "a score came for passage 2 of 2"),
            (vec![(0, 0.5), (1, f32::NAN)], "the score of passage 1 is not finite"),
        ] {
            assert_eq!(in_order(&scores, 2).unwrap_err(), told);
        }
    }

    proptest! {
        #[test]
        fn requests_keep_to_their_limits_and_leave_nothing_out(
            passages in prop::collection::vec("[a-z 中]{0,60}", 0..40),
            question in "[a-z]{0,20}",
            most in 1_usize..10,
            tokens in 1_u64..60,
        ) {
            let passages: Vec<&str> = passages.iter().map(String::as_str).collect();
            let requests = split(&question, &passages, Limits { passages: most, tokens, passage_tokens: 1 });
            let covered: Vec<usize> = requests.iter().flat_map(|(range, _)| range.clone()).collect();
            prop_assert_eq!(covered, (0..passages.len()).collect::<Vec<_>>());
            for (range, sum) in requests {
                prop_assert!(range.len() <= most && (sum <= tokens || range.len() == 1));
                let counted: u64 = passages[range].iter().map(|p| guess_tokens(p) + guess_tokens(&question)).sum();
                prop_assert_eq!(counted, sum);
            }
        }

        #[test]
        fn what_is_too_long_is_cut_between_characters(text in "[a-z中é]{0,50}", tokens in 0_u64..20) {
            let cut = beginning(&text, tokens);
            prop_assert!(text.starts_with(cut));
            prop_assert!(cut.is_empty() || guess_tokens(cut) <= tokens);
            prop_assert!(cut == text || guess_tokens(&text) > tokens || !cut.is_ascii() || !text.is_ascii());
        }
    }
}
