//! `POST /models/MODEL:batchEmbedContents` of Google Gemini.

use serde::Deserialize;
use serde_json::{Value, json};

use super::vector::Vector;
use super::wire::{EmbedRequest, EmbedResponse, EmbedWire};
use crate::providers::json::{Count, set_some, told};

/// The format.
#[derive(Debug)]
pub(in crate::providers) struct Gemini;

/// Some write the model as Google's list of models does.
pub(in crate::providers) fn bare(model: &str) -> &str {
    model.strip_prefix("models/").unwrap_or(model)
}

/// Whether it is gemini-embedding-2, or what came before it under another name. That passes over the task that a request tells, in
/// silence, and wants it said in the text itself (mteb's pull request 4851): see [`Prefixes`](super::prefix::Prefixes).
pub(in crate::providers) fn is_second(model: &str) -> bool {
    bare(model).starts_with("gemini-embedding-2")
}

impl EmbedWire for Gemini {
    fn request(&self, base_path: &str, request: &EmbedRequest<'_>) -> (String, Value) {
        let model = format!("models/{}", bare(request.model));
        let task = (!is_second(request.model)).then(|| request.word("RETRIEVAL_QUERY", "RETRIEVAL_DOCUMENT"));
        let requests = request.inputs.iter().map(|input| {
            let mut one = json!({ "model": model, "content": { "parts": [{ "text": input }] } });
            set_some(&mut one, "taskType", task);
            set_some(&mut one, "outputDimensionality", request.dimensions);
            one
        });
        let requests: Vec<Value> = requests.collect();
        let version = if base_path.is_empty() { "/v1beta" } else { "" };
        (format!("{version}/{model}:batchEmbedContents"), json!({ "requests": requests }))
    }

    fn read(&self, body: &[u8]) -> Result<EmbedResponse, String> {
        let response: Response = serde_json::from_slice(body).map_err(|e| e.to_string())?;
        let vectors = response.embeddings.into_iter().map(|embedding| embedding.values.0).collect();
        Ok(EmbedResponse { vectors, tokens: response.usage.and_then(|usage| usage.prompt.0) })
    }
}

#[derive(Deserialize)]
struct Response {
    embeddings: Vec<Values>,
    #[serde(default, rename = "usageMetadata", deserialize_with = "told")]
    usage: Option<Usage>,
}

#[derive(Deserialize)]
struct Values {
    values: Vector,
}

#[derive(Deserialize)]
struct Usage {
    #[serde(default, rename = "promptTokenCount")]
    prompt: Count,
}
