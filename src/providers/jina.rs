//! `POST /embeddings` of Jina: answers as OpenAI does, asks differently.

use serde_json::{Value, json};

use super::embedding::Ask;
use super::openai::set;
use super::{EmbedLimits, InputType};

/// <https://jina.ai/embeddings>: 8,192 tokens an input; a request is kept to what is answered quickly.
pub(super) const LIMITS: EmbedLimits = EmbedLimits { items: 512, tokens: 100_000, input_tokens: 8192 };

/// Widths that Jina documents.
pub(super) fn known_width(model: &str) -> Option<usize> {
    match model {
        "jina-embeddings-v3" => Some(1024),
        "jina-embeddings-v4" => Some(2048),
        _ => None,
    }
}

pub(super) fn request(ask: &Ask<'_>) -> (String, Value) {
    let mut body = json!({ "model": ask.model, "input": ask.inputs, "embedding_type": "float", "truncate": false });
    // Models before the third know no tasks.
    if !ask.model.contains("-v2") {
        let task = match ask.kind {
            InputType::Query => "retrieval.query",
            InputType::Passage => "retrieval.passage",
        };
        set(&mut body, "task", task.into());
    }
    if let Some(dimensions) = ask.dimensions {
        set(&mut body, "dimensions", dimensions.into());
    }
    ("/embeddings".to_owned(), body)
}
