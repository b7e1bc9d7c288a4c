//! `POST /api/embed` of Ollama.

use serde::Deserialize;
use serde_json::{Value, json};

use super::vector::Vector;
use super::wire::{EmbedRequest, EmbedResponse, EmbedWire};
use crate::providers::json::{Count, set_some};

/// The format.
#[derive(Debug)]
pub(in crate::providers) struct Ollama;

impl EmbedWire for Ollama {
    fn request(&self, _base_path: &str, request: &EmbedRequest<'_>) -> (String, Value) {
        // `truncate` is true by default: the end of a long input would be lost without a word.
        let mut body = json!({ "model": request.model, "input": request.inputs, "truncate": false });
        set_some(&mut body, "dimensions", request.dimensions);
        ("/api/embed".to_owned(), body)
    }

    fn read(&self, body: &[u8]) -> Result<EmbedResponse, String> {
        let response: Response = serde_json::from_slice(body).map_err(|e| e.to_string())?;
        let vectors = response.embeddings.into_iter().map(|vector| vector.0).collect();
        Ok(EmbedResponse { vectors, tokens: response.prompt_eval_count.0 })
    }
}

#[derive(Deserialize)]
struct Response {
    embeddings: Vec<Vector>,
    #[serde(default)]
    prompt_eval_count: Count,
}
