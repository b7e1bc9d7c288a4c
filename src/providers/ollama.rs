//! `POST /api/embed` of Ollama.

use serde::Deserialize;
use serde_json::{Value, json};

use super::EmbedLimits;
use super::embedding::{Ask, Read};
use super::openai::set;

/// Ollama embeds one input after another and names no limits; a batch is small so that it is answered within the timeout.
/// What an input may have depends on the model; above that it refuses.
pub(super) const LIMITS: EmbedLimits = EmbedLimits { items: 64, tokens: 32_768, input_tokens: 2048 };

pub(super) fn request(ask: &Ask<'_>) -> (String, Value) {
    // `truncate` is true by default: the end of a long input would be lost without a word.
    let mut body = json!({ "model": ask.model, "input": ask.inputs, "truncate": false });
    if let Some(dimensions) = ask.dimensions {
        set(&mut body, "dimensions", dimensions.into());
    }
    ("/api/embed".to_owned(), body)
}

#[derive(Deserialize)]
struct Response {
    embeddings: Vec<Vec<f32>>,
    #[serde(default)]
    prompt_eval_count: Option<u64>,
}

pub(super) fn read(body: &[u8]) -> Result<Read, String> {
    let response: Response = serde_json::from_slice(body).map_err(|e| e.to_string())?;
    Ok(Read { vectors: response.embeddings, tokens: response.prompt_eval_count })
}
