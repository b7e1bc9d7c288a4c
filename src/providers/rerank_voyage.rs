//! `POST /rerank` of Voyage.

use serde::Deserialize;
use serde_json::{Value, json};

use super::rerank::{Limits, Read};
use super::rerank_cohere::{Scored, pairs};

/// <https://docs.voyageai.com/reference/reranker-api>: 1,000 documents a request; tokens a request (the question's for each
/// document) and tokens of a question with one document by model. Tokens are guessed here, hence a fifth to spare.
pub(super) fn limits(model: &str) -> Limits {
    let (tokens, passage) = match model {
        "rerank-2.5" | "rerank-2.5-lite" => (600_000, 32_000),
        "rerank-2" => (600_000, 16_000),
        "rerank-2-lite" | "rerank-lite-2" => (600_000, 8000),
        "rerank-lite-1" => (300_000, 4000),
        _ => (100_000, 8000),
    };
    Limits { passages: 1000, tokens: tokens / 5 * 4, passage_tokens: passage / 2 }
}

pub(super) fn request(model: &str, question: &str, passages: &[&str]) -> (String, Value) {
    ("/rerank".to_owned(), json!({ "model": model, "query": question, "documents": passages, "truncation": true }))
}

#[derive(Deserialize)]
struct Response {
    data: Vec<Scored>,
    #[serde(default)]
    usage: Option<Usage>,
}

#[derive(Deserialize)]
pub(super) struct Usage {
    #[serde(default)]
    pub(super) total_tokens: Option<u64>,
}

pub(super) fn read(body: &[u8]) -> Result<Read, String> {
    let response: Response = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let tokens = response.usage.and_then(|usage| usage.total_tokens);
    Ok(Read { scores: pairs(response.data), tokens, units: None })
}
