//! `POST /v2/embed` of Cohere.

use serde::Deserialize;
use serde_json::{Value, json};

use super::vector::Vector;
use super::wire::{EmbedRequest, EmbedResponse, EmbedWire};
use crate::providers::json::{Count, set_some, told};

/// The format.
#[derive(Debug)]
pub(in crate::providers) struct Cohere;

impl EmbedWire for Cohere {
    fn request(&self, base_path: &str, request: &EmbedRequest<'_>) -> (String, Value) {
        let mut body = json!({
            "model": request.model,
            "texts": request.inputs,
            "input_type": request.word("search_query", "search_document"),
            "embedding_types": ["float"],
            // The default cuts the end off without a word.
            "truncate": "NONE",
        });
        set_some(&mut body, "output_dimension", request.dimensions);
        (versioned(base_path, "/embed"), body)
    }

    fn read(&self, body: &[u8]) -> Result<EmbedResponse, String> {
        let response: Response = serde_json::from_slice(body).map_err(|e| e.to_string())?;
        let tokens = billed(response.meta).and_then(|billed| billed.input_tokens.0);
        let vectors = response.embeddings.float.into_iter().map(|vector| vector.0).collect();
        Ok(EmbedResponse { vectors, tokens })
    }
}

/// The path of an endpoint: some users write the version into the base URL, some do not.
pub(in crate::providers) fn versioned(base_path: &str, endpoint: &str) -> String {
    if base_path.ends_with("/v2") { endpoint.to_owned() } else { format!("/v2{endpoint}") }
}

#[derive(Deserialize)]
struct Response {
    embeddings: Embeddings,
    #[serde(default, deserialize_with = "told")]
    meta: Option<Meta>,
}

#[derive(Deserialize)]
struct Embeddings {
    float: Vec<Vector>,
}

/// The end of every answer of Cohere's.
#[derive(Deserialize)]
pub(in crate::providers) struct Meta {
    #[serde(default, deserialize_with = "told")]
    billed_units: Option<Billed>,
}

/// Cohere writes these as decimal numbers at times.
#[derive(Deserialize)]
pub(in crate::providers) struct Billed {
    #[serde(default)]
    pub(in crate::providers) input_tokens: Count,
    /// One for a question with up to 100 passages.
    #[serde(default)]
    pub(in crate::providers) search_units: Count,
}

/// The units that an answer was billed.
pub(in crate::providers) fn billed(meta: Option<Meta>) -> Option<Billed> {
    meta.and_then(|meta| meta.billed_units)
}
