//! `POST /embeddings` of Voyage: answers as OpenAI does, asks differently.

use serde_json::{Value, json};

use super::embedding::Ask;
use super::openai::set;
use super::{EmbedLimits, InputType};

/// <https://docs.voyageai.com/reference/embeddings-api>: 1,000 inputs and 32,000 tokens an input; tokens a request by model,
/// the least of them for those not named there.
pub(super) fn limits(model: &str) -> EmbedLimits {
    let tokens = match model {
        "voyage-4-lite" | "voyage-3.5-lite" => 1_000_000,
        "voyage-4" | "voyage-3.5" | "voyage-2" => 320_000,
        _ => 120_000,
    };
    EmbedLimits { items: 1000, tokens, input_tokens: 32_000 }
}

/// Widths that Voyage documents.
pub(super) fn known_width(model: &str) -> Option<usize> {
    match model {
        "voyage-4-large" | "voyage-4" | "voyage-4-lite" | "voyage-3.5" | "voyage-3.5-lite" | "voyage-3-large" | "voyage-3"
        | "voyage-code-3" | "voyage-finance-2" | "voyage-law-2" => Some(1024),
        "voyage-3-lite" => Some(512),
        "voyage-code-2" => Some(1536),
        _ => None,
    }
}

pub(super) fn request(ask: &Ask<'_>) -> (String, Value) {
    let input_type = match ask.kind {
        InputType::Query => "query",
        InputType::Passage => "document",
    };
    // `truncation` is true by default.
    let mut body = json!({ "model": ask.model, "input": ask.inputs, "input_type": input_type, "truncation": false });
    if ask.base64 {
        set(&mut body, "encoding_format", "base64".into());
    }
    if let Some(dimensions) = ask.dimensions {
        set(&mut body, "output_dimension", dimensions.into());
    }
    ("/embeddings".to_owned(), body)
}
