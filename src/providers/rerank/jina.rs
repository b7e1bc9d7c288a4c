//! `POST /rerank` of Jina, and of the servers that have taken it over: llama.cpp, vLLM, Infinity, Xinference, …

use serde::Deserialize;
use serde_json::{Value, json};

use super::tei;
use super::wire::{Instead, RerankRequest, RerankResponse, RerankWire, Scored, Usage, pairs};
use crate::providers::json::told;
use crate::providers::{ErrorKind, ProviderError};

/// The format.
#[derive(Debug)]
pub(in crate::providers) struct Jina;

#[derive(Deserialize)]
struct Response {
    results: Vec<Scored>,
    #[serde(default, deserialize_with = "told")]
    usage: Option<Usage>,
}

impl RerankWire for Jina {
    fn request(&self, _base_path: &str, request: &RerankRequest<'_>) -> (String, Value) {
        let RerankRequest { model, question, passages } = request;
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

    fn read(&self, body: &[u8]) -> Result<RerankResponse, String> {
        let response: Response = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        let tokens = response.usage.and_then(|usage| usage.total_tokens.0);
        Ok(RerankResponse { scores: pairs(response.results), tokens, units: None })
    }

    /// TEI misses its `texts`, and says so.
    fn instead(&self, refusal: &ProviderError) -> Option<Instead> {
        let misses = refusal.kind == ErrorKind::InvalidInput && refusal.message.contains("texts");
        misses.then_some((&tei::Tei, tei::LIMITS))
    }
}
