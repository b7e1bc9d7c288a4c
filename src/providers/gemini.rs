//! `POST /models/MODEL:batchEmbedContents` of Google Gemini.

use serde::Deserialize;
use serde_json::{Value, json};

use super::embedding::{Ask, Read};
use super::openai::set;
use super::{EmbedLimits, InputType};

/// <https://ai.google.dev/gemini-api/docs/embeddings>: 2,048 tokens an input; a batch takes 100 requests.
pub(super) const LIMITS: EmbedLimits = EmbedLimits { items: 100, tokens: 100_000, input_tokens: 2048 };

/// Widths that Google documents.
pub(super) fn known_width(model: &str) -> Option<usize> {
    match bare(model) {
        "gemini-embedding-001" => Some(3072),
        "text-embedding-004" => Some(768),
        _ => None,
    }
}

/// Some write the model as Google's list of models does.
fn bare(model: &str) -> &str {
    model.strip_prefix("models/").unwrap_or(model)
}

pub(super) fn request(base_path: &str, ask: &Ask<'_>) -> (String, Value) {
    let model = format!("models/{}", bare(ask.model));
    let task = match ask.kind {
        InputType::Query => "RETRIEVAL_QUERY",
        InputType::Passage => "RETRIEVAL_DOCUMENT",
    };
    let requests: Vec<Value> = ask
        .inputs
        .iter()
        .map(|input| {
            let mut request = json!({ "model": model, "content": { "parts": [{ "text": input }] }, "taskType": task });
            if let Some(dimensions) = ask.dimensions {
                set(&mut request, "outputDimensionality", dimensions.into());
            }
            request
        })
        .collect();
    let version = if base_path.is_empty() { "/v1beta" } else { "" };
    (format!("{version}/{model}:batchEmbedContents"), json!({ "requests": requests }))
}

#[derive(Deserialize)]
struct Response {
    embeddings: Vec<Values>,
    #[serde(default, rename = "usageMetadata")]
    usage: Option<Usage>,
}

#[derive(Deserialize)]
struct Values {
    values: Vec<f32>,
}

#[derive(Deserialize)]
struct Usage {
    #[serde(default, rename = "promptTokenCount")]
    prompt: Option<u64>,
}

pub(super) fn read(body: &[u8]) -> Result<Read, String> {
    let response: Response = serde_json::from_slice(body).map_err(|e| e.to_string())?;
    let vectors = response.embeddings.into_iter().map(|embedding| embedding.values).collect();
    Ok(Read { vectors, tokens: response.usage.and_then(|usage| usage.prompt) })
}
