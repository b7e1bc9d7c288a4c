//! `POST /v2/rerank` of Cohere.

use serde::Deserialize;
use serde_json::{Value, json};

use super::wire::{RerankRequest, RerankResponse, RerankWire, Scored, pairs};
use crate::providers::embed::cohere::{Meta, billed, versioned};
use crate::providers::json::told;

/// The format.
#[derive(Debug)]
pub(in crate::providers) struct Cohere;

#[derive(Deserialize)]
struct Response {
    results: Vec<Scored>,
    #[serde(default, deserialize_with = "told")]
    meta: Option<Meta>,
}

impl RerankWire for Cohere {
    fn request(&self, base_path: &str, request: &RerankRequest<'_>) -> (String, Value) {
        let RerankRequest { model, question, passages } = request;
        (versioned(base_path, "/rerank"), json!({ "model": model, "query": question, "documents": passages }))
    }

    fn read(&self, body: &[u8]) -> Result<RerankResponse, String> {
        let response: Response = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        let units = billed(response.meta).and_then(|billed| billed.search_units.0);
        Ok(RerankResponse { scores: pairs(response.results), tokens: None, units })
    }
}
