//! `POST /v2/rerank` of Cohere.

use serde::Deserialize;
use serde_json::{Value, json};

use super::rerank::{Limits, Read};

/// <https://docs.cohere.com/reference/rerank>: not more than 1,000 documents a request, of which 4,096 tokens each are read. The
/// tokens of a request are not limited.
pub(super) const LIMITS: Limits = Limits { passages: 1000, tokens: u64::MAX, passage_tokens: 4096 };

pub(super) fn request(base_path: &str, model: &str, question: &str, passages: &[&str]) -> (String, Value) {
    let path = if base_path.ends_with("/v2") { "/rerank" } else { "/v2/rerank" };
    (path.to_owned(), json!({ "model": model, "query": question, "documents": passages }))
}

#[derive(Deserialize)]
struct Response {
    results: Vec<Scored>,
    #[serde(default)]
    meta: Option<Meta>,
}

/// As Cohere, Voyage and Jina all write it.
#[derive(Deserialize)]
pub(super) struct Scored {
    index: usize,
    relevance_score: f32,
}

#[derive(Deserialize)]
struct Meta {
    #[serde(default)]
    billed_units: Option<Billed>,
}

#[derive(Deserialize)]
struct Billed {
    /// One for a question with up to 100 passages. Cohere writes it as a decimal number at times.
    #[serde(default)]
    search_units: Option<f64>,
}

pub(super) fn read(body: &[u8]) -> Result<Read, String> {
    let response: Response = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let units = response.meta.and_then(|meta| meta.billed_units).and_then(|billed| billed.search_units);
    Ok(Read { scores: pairs(response.results), tokens: None, units: units.map(|units| units as u64) })
}

pub(super) fn pairs(scores: Vec<Scored>) -> Vec<(usize, f32)> {
    scores.into_iter().map(|scored| (scored.index, scored.relevance_score)).collect()
}
