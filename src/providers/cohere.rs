//! `POST /v2/embed` of Cohere.

use serde::Deserialize;
use serde_json::{Value, json};

use super::embedding::{Ask, Read};
use super::openai::set;
use super::{EmbedLimits, InputType};

/// <https://docs.cohere.com/reference/embed>: 96 texts a call; 512 tokens a text with v3, 128k with v4.
pub(super) fn limits(model: &str) -> EmbedLimits {
    let input_tokens = if model.contains("v3") || model.contains("v2") { 512 } else { 8192 };
    EmbedLimits { items: 96, tokens: 100_000, input_tokens }
}

/// Widths that Cohere documents.
pub(super) fn known_width(model: &str) -> Option<usize> {
    match model {
        "embed-v4.0" => Some(1536),
        "embed-english-v3.0" | "embed-multilingual-v3.0" => Some(1024),
        "embed-english-light-v3.0" | "embed-multilingual-light-v3.0" => Some(384),
        _ => None,
    }
}

pub(super) fn request(base_path: &str, ask: &Ask<'_>) -> (String, Value) {
    let input_type = match ask.kind {
        InputType::Query => "search_query",
        InputType::Passage => "search_document",
    };
    let mut body = json!({
        "model": ask.model,
        "texts": ask.inputs,
        "input_type": input_type,
        "embedding_types": ["float"],
        // The default cuts the end off without a word.
        "truncate": "NONE",
    });
    if let Some(dimensions) = ask.dimensions {
        set(&mut body, "output_dimension", dimensions.into());
    }
    let path = if base_path.ends_with("/v2") { "/embed" } else { "/v2/embed" };
    (path.to_owned(), body)
}

#[derive(Deserialize)]
struct Response {
    embeddings: Embeddings,
    #[serde(default)]
    meta: Option<Meta>,
}

#[derive(Deserialize)]
struct Embeddings {
    float: Vec<Vec<f32>>,
}

#[derive(Deserialize)]
struct Meta {
    #[serde(default)]
    billed_units: Option<Billed>,
}

#[derive(Deserialize)]
struct Billed {
    /// Cohere writes it as a decimal number at times.
    #[serde(default)]
    input_tokens: Option<f64>,
}

pub(super) fn read(body: &[u8]) -> Result<Read, String> {
    let response: Response = serde_json::from_slice(body).map_err(|e| e.to_string())?;
    let billed = response.meta.and_then(|meta| meta.billed_units).and_then(|billed| billed.input_tokens);
    Ok(Read { vectors: response.embeddings.float, tokens: billed.map(|tokens| tokens as u64) })
}
