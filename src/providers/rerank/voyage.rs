//! `POST /rerank` of Voyage.

use serde::Deserialize;
use serde_json::{Value, json};

use super::wire::{RerankRequest, RerankResponse, RerankWire, Scored, Usage, pairs};
use crate::providers::json::told;

/// The format.
#[derive(Debug)]
pub(in crate::providers) struct Voyage;

#[derive(Deserialize)]
struct Response {
    data: Vec<Scored>,
    #[serde(default, deserialize_with = "told")]
    usage: Option<Usage>,
}

impl RerankWire for Voyage {
    fn request(&self, _base_path: &str, request: &RerankRequest<'_>) -> (String, Value) {
        let RerankRequest { model, question, passages } = request;
        ("/rerank".to_owned(), json!({ "model": model, "query": question, "documents": passages, "truncation": true }))
    }

    fn read(&self, body: &[u8]) -> Result<RerankResponse, String> {
        let response: Response = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        let tokens = response.usage.and_then(|usage| usage.total_tokens.0);
        Ok(RerankResponse { scores: pairs(response.data), tokens, units: None })
    }
}
