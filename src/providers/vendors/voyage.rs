//! Voyage: embeddings, which are answered as OpenAI does and asked for differently, and reranking.

use super::vendor::{EmbedBackend, RerankBackend, Vendor};
use crate::providers::Price;
use crate::providers::embed::EmbedLimits;
use crate::providers::embed::openai::OpenAi;
use crate::providers::embed::wire::EmbedApi;
use crate::providers::json::set;
use crate::providers::rerank::voyage::Voyage as Reranking;
use crate::providers::rerank::wire::{RerankApi, RerankLimits};
use crate::providers::site::Site;

pub(super) static VENDOR: Vendor = Vendor {
    embed: Some(EmbedBackend::Api(EmbedApi {
        wire: &OpenAi {
            width: "output_dimension",
            base64: true,
            extras: |request, body| {
                set(body, "input_type", request.word("query", "document"));
                // True by default.
                set(body, "truncation", false);
            },
        },
        limits: embed_limits,
        refused_above: (Some(ITEMS), None),
        width,
        reduced_unnormalised: false,
    })),
    rerank: Some(RerankBackend::Api(RerankApi { wire: &Reranking, limits: rerank_limits })),
    prices: &[
        ("voyage-3.5", Price::embedding(0.06)),
        ("voyage-3.5-lite", Price::embedding(0.02)),
        ("voyage-3-large", Price::embedding(0.18)),
        ("voyage-code-3", Price::embedding(0.18)),
    ],
    ..Vendor::new(
        "voyage",
        Site {
            key_variables: &["VOYAGE_API_KEY"],
            billing_page: Some("https://dashboard.voyageai.com"),
            ..Site::new("https://api.voyageai.com/v1", &["api.voyageai.com"])
        },
    )
};

const ITEMS: usize = 1000;

/// <https://docs.voyageai.com/reference/embeddings-api>: 1,000 inputs and 32,000 tokens an input; tokens a request by model,
/// the least of them for those not named there.
fn embed_limits(model: &str, _own_server: bool) -> EmbedLimits {
    let tokens = match model {
        "voyage-4-lite" | "voyage-3.5-lite" => 1_000_000,
        "voyage-4" | "voyage-3.5" | "voyage-2" => 320_000,
        _ => 120_000,
    };
    EmbedLimits::new(ITEMS, tokens, 32_000)
}

fn width(model: &str) -> Option<usize> {
    match model {
        "voyage-4-large" | "voyage-4" | "voyage-4-lite" | "voyage-3.5" | "voyage-3.5-lite" | "voyage-3-large" | "voyage-3"
        | "voyage-code-3" | "voyage-finance-2" | "voyage-law-2" => Some(1024),
        "voyage-3-lite" => Some(512),
        "voyage-code-2" => Some(1536),
        _ => None,
    }
}

/// <https://docs.voyageai.com/reference/reranker-api>: 1,000 documents a request; tokens a request (the question's for each
/// document) and tokens of a question with one document by model. Tokens are guessed here, hence a fifth to spare.
fn rerank_limits(model: &str) -> RerankLimits {
    let (tokens, passage) = match model {
        "rerank-2.5" | "rerank-2.5-lite" => (600_000, 32_000),
        "rerank-2" => (600_000, 16_000),
        "rerank-2-lite" | "rerank-lite-2" => (600_000, 8000),
        "rerank-lite-1" => (300_000, 4000),
        _ => (100_000, 8000),
    };
    RerankLimits { passages: 1000, tokens: tokens / 5 * 4, passage_tokens: passage / 2 }
}
