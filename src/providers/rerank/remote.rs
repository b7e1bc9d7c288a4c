//! The reranker behind HTTP, whatever format it speaks: how passages become requests, and the checks of the answers.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use futures_util::future::try_join_all;
use tracing::Instrument as _;

use super::reranker::{Reranked, Reranker};
use super::wire::{Instead, RerankApi, RerankLimits, RerankRequest, RerankWire, billed};
use crate::providers::http::{Cost, Http};
use crate::providers::{ErrorKind, ModelRef, Price, ProviderError, Usage, tokens};
use crate::telemetry;

/// A reranker behind HTTP.
#[derive(Debug)]
struct Remote {
    http: Arc<Http>,
    api: &'static RerankApi,
    /// `provider/model`.
    name: String,
    /// The model's name at the provider.
    id: String,
    price: Option<Price>,
    /// What its server was found to speak instead of what is usual.
    instead: OnceLock<Instead>,
}

/// The reranker of this name and price, which talks to `api` over `http`.
pub(in crate::providers) fn remote(
    api: &'static RerankApi,
    http: Arc<Http>,
    model: &ModelRef,
    price: Option<Price>,
) -> Arc<dyn Reranker> {
    Arc::new(Remote { http, api, name: model.to_string(), id: model.model.clone(), price, instead: OnceLock::new() })
}

#[async_trait]
impl Reranker for Remote {
    fn model(&self) -> &str {
        &self.name
    }

    fn price(&self) -> Option<Price> {
        self.price
    }

    async fn rerank(&self, question: &str, passages: &[String]) -> Result<Reranked, ProviderError> {
        let usual = (self.api.wire, (self.api.limits)(&self.id));
        let known = self.instead.get().copied();
        match self.reranked(known.unwrap_or(usual), question, passages).await {
            Err(error) if known.is_none() && !self.http.is_vendor() => {
                let instead = self.api.wire.instead(&error).ok_or(error)?;
                let reranked = self.reranked(instead, question, passages).await?;
                let provider = self.http.provider();
                if self.instead.set(instead).is_ok() {
                    tracing::info!(provider, "this server reranks as text-embeddings-inference does");
                }
                Ok(reranked)
            }
            reranked => reranked,
        }
    }
}

impl Remote {
    async fn reranked(&self, how: Instead, question: &str, passages: &[String]) -> Result<Reranked, ProviderError> {
        let (wire, limits) = how;
        let passages: Vec<&str> = passages.iter().map(|passage| beginning(passage, limits.passage_tokens)).collect();
        let requests = split(question, &passages, limits).into_iter().map(|(range, tokens)| {
            let passages = passages.get(range).unwrap_or_default();
            async move { self.ask(wire, question, passages, tokens).await }
        });
        let several = requests.len() > 1;
        let mut all = Reranked::default();
        let answers = try_join_all(requests).await;
        // What the others took is not known.
        for one in answers.map_err(|error| if several { error.having_used(Usage::default()) } else { error })? {
            all.scores.extend(one.scores);
            all.tokens = sum(all.tokens, one.tokens);
            all.units = sum(all.units, one.units);
        }
        Ok(all)
    }

    async fn ask(
        &self,
        wire: &dyn RerankWire,
        question: &str,
        passages: &[&str],
        tokens: u64,
    ) -> Result<Reranked, ProviderError> {
        let span = telemetry::rerank(self.http.told(), &self.id, passages.len());
        let answer = self.asked(wire, question, passages, tokens).instrument(span.clone()).await;
        match &answer {
            Ok(Reranked { tokens: Some(tokens), .. }) => telemetry::count(&span, "gen_ai.usage.input_tokens", *tokens),
            Ok(_) => {}
            Err(error) => telemetry::failed(&span, error.kind.code()),
        }
        answer
    }

    async fn asked(
        &self,
        wire: &dyn RerankWire,
        question: &str,
        passages: &[&str],
        tokens: u64,
    ) -> Result<Reranked, ProviderError> {
        let request = RerankRequest { model: &self.id, question, passages };
        let (path, body) = wire.request(self.http.base_path(), &request);
        let response = self.http.post_apart(&path, &body, Cost { tokens }).await?;
        let read = wire.read(&response.body);
        let tokens = read.as_ref().map_or_else(|_| billed(&response.body), |read| read.tokens);
        if let Some(tokens) = tokens.filter(|&tokens| tokens > 0) {
            response.reservation.settle(tokens);
        }
        let used = Usage::new(tokens, Some(0));
        let wrong = |wrong| self.http.error(ErrorKind::BadAnswer, wrong).having_used(used);
        let read = read.map_err(|error| wrong(format!("cannot read the answer: {error}")))?;
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
fn split(question: &str, passages: &[&str], limits: RerankLimits) -> Vec<(Range<usize>, u64)> {
    let question = tokens::guess(question);
    let mut requests: Vec<(Range<usize>, u64)> = Vec::new();
    for (index, passage) in passages.iter().enumerate() {
        let more = question + tokens::guess(passage);
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
            let requests = split(&question, &passages, RerankLimits { passages: most, tokens, passage_tokens: 1 });
            let covered: Vec<usize> = requests.iter().flat_map(|(range, _)| range.clone()).collect();
            prop_assert_eq!(covered, (0..passages.len()).collect::<Vec<_>>());
            for (range, sum) in requests {
                prop_assert!(range.len() <= most && (sum <= tokens || range.len() == 1));
                let counted: u64 = passages[range].iter().map(|p| tokens::guess(p) + tokens::guess(&question)).sum();
                prop_assert_eq!(counted, sum);
            }
        }

        #[test]
        fn what_is_too_long_is_cut_between_characters(text in "[a-z中é]{0,50}", tokens in 0_u64..20) {
            let cut = beginning(&text, tokens);
            prop_assert!(text.starts_with(cut));
            prop_assert!(cut.is_empty() || tokens::guess(cut) <= tokens);
            prop_assert!(cut == text || tokens::guess(&text) > tokens || !cut.is_ascii() || !text.is_ascii());
        }
    }
}
