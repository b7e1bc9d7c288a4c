//! `POST /rerank` of Jina, and of the servers that have taken it over: llama.cpp, vLLM, Infinity, Xinference, …

use serde::Deserialize;
use serde_json::{Value, json};

use super::rerank::{Limits, Read};
use super::rerank_cohere::{Scored, pairs};
use super::rerank_voyage::Usage;

/// <https://jina.ai/reranker>: the third model reads all passages together, in a window of 131,072 tokens. Tokens are guessed
/// here, hence a quarter to spare.
pub(super) const LIMITS: Limits = Limits { passages: 1000, tokens: 98_304, passage_tokens: 8192 };

pub(super) fn request(model: &str, question: &str, passages: &[&str]) -> (String, Value) {
    let body = json!({
        "model": model,
        "query": question,
        "documents": passages,
        // Some servers leave out the worse ones otherwise, and send the texts back.
        "top_n": passages.len(),
        "return_documents": false,
    });
    ("/rerank".to_owned(), body)
}

#[derive(Deserialize)]
struct Response {
    results: Vec<Scored>,
    #[serde(default)]
    usage: Option<Usage>,
}

pub(super) fn read(body: &[u8]) -> Result<Read, String> {
    let response: Response = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let tokens = response.usage.and_then(|usage| usage.total_tokens);
    Ok(Read { scores: pairs(response.results), tokens, units: None })
}
