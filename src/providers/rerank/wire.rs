//! The types between the one remote reranker and the wire formats.

use std::fmt;

use serde::Deserialize;
use serde_json::Value;

use crate::providers::ProviderError;
use crate::providers::json::{Count, count_in};

/// A question and its passages, in no one's format.
#[derive(Debug, Clone, Copy)]
pub(in crate::providers) struct RerankRequest<'a> {
    /// The model's name at the provider.
    pub(in crate::providers) model: &'a str,
    pub(in crate::providers) question: &'a str,
    pub(in crate::providers) passages: &'a [&'a str],
}

/// An answer as it came, not checked yet.
#[derive(Debug, Default, PartialEq)]
pub(in crate::providers) struct RerankResponse {
    /// Index of a passage and its score, in any order.
    pub(in crate::providers) scores: Vec<(usize, f32)>,
    pub(in crate::providers) tokens: Option<u64>,
    pub(in crate::providers) units: Option<u64>,
}

/// The size of one request, at most.
#[derive(Debug, Clone, Copy)]
pub(in crate::providers) struct RerankLimits {
    /// Passages.
    pub(in crate::providers) passages: usize,
    /// Tokens: those of the question for each passage, and those of the passages.
    pub(in crate::providers) tokens: u64,
    /// Tokens that are read of one passage; those beyond are not sent.
    pub(in crate::providers) passage_tokens: u64,
}

/// A wire format for rerankers: it only translates.
pub(in crate::providers) trait RerankWire: Send + Sync + fmt::Debug {
    /// The path after the base URL, and the body. `base_path` is the base URL's own path.
    fn request(&self, base_path: &str, request: &RerankRequest<'_>) -> (String, Value);
    /// Reads an answer; the error says what is wrong with it.
    fn read(&self, body: &[u8]) -> Result<RerankResponse, String>;
    /// What else a server at this path may speak that has refused the words of this format.
    fn instead(&self, _refusal: &ProviderError) -> Option<Instead> {
        None
    }
}

/// Another format, and the size of a request in it.
pub(in crate::providers) type Instead = (&'static dyn RerankWire, RerankLimits);

/// A vendor's API for rerankers.
#[derive(Debug)]
pub(in crate::providers) struct RerankApi {
    pub(in crate::providers) wire: &'static dyn RerankWire,
    /// The size of a request to this model.
    pub(in crate::providers) limits: fn(model: &str) -> RerankLimits,
}

/// A passage's score, as all vendors write it.
#[derive(Deserialize)]
pub(super) struct Scored {
    /// A 0 is what formats leave out that leave out defaults.
    #[serde(default)]
    index: usize,
    relevance_score: f32,
}

/// The index of each passage and its score.
pub(super) fn pairs(scores: Vec<Scored>) -> Vec<(usize, f32)> {
    scores.into_iter().map(|scored| (scored.index, scored.relevance_score)).collect()
}

/// The bill of an answer that is of no use: tokens, where they are told.
pub(super) fn billed(body: &[u8]) -> Option<u64> {
    let answer: Value = serde_json::from_slice(body).ok()?;
    count_in(answer.get("usage")?, "total_tokens")
}

/// The bill, as Voyage and Jina write it.
#[derive(Deserialize)]
pub(super) struct Usage {
    #[serde(default)]
    pub(super) total_tokens: Count,
}
