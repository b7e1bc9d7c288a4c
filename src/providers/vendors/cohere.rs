//! Cohere: embeddings and reranking.

use super::vendor::{EmbedBackend, RerankBackend, Vendor};
use crate::providers::Price;
use crate::providers::embed::EmbedLimits;
use crate::providers::embed::cohere::Cohere as Embeddings;
use crate::providers::embed::wire::EmbedApi;
use crate::providers::rerank::cohere::Cohere as Reranking;
use crate::providers::rerank::wire::{RerankApi, RerankLimits};
use crate::providers::site::Site;

pub(super) static VENDOR: Vendor = Vendor {
    embed: Some(EmbedBackend::Api(EmbedApi {
        wire: &Embeddings,
        limits: |model, _| {
            // 512 tokens a text with v3, 128k with v4.
            let input_tokens = if model.contains("v3") || model.contains("v2") { 512 } else { 8192 };
            EmbedLimits::new(ITEMS, 100_000, input_tokens)
        },
        refused_above: (Some(ITEMS), None),
        width: |model| match model {
            "embed-v4.0" => Some(1536),
            "embed-english-v3.0" | "embed-multilingual-v3.0" => Some(1024),
            "embed-english-light-v3.0" | "embed-multilingual-light-v3.0" => Some(384),
            _ => None,
        },
        reduced_unnormalised: false,
    })),
    rerank: Some(RerankBackend::Api(RerankApi {
        wire: &Reranking,
        // https://docs.cohere.com/reference/rerank: not more than 1,000 documents a request, of which 4,096 tokens each are
        // read. The tokens of a request are not limited.
        limits: |_| RerankLimits { passages: 1000, tokens: u64::MAX, passage_tokens: 4096 },
    })),
    prices: &[
        ("embed-v4.0", Price::embedding(0.12)),
        ("embed-english-v3.0", Price::embedding(0.10)),
        ("embed-multilingual-v3.0", Price::embedding(0.10)),
    ],
    ..Vendor::new(
        "cohere",
        Site {
            key_variables: &["COHERE_API_KEY", "CO_API_KEY"],
            billing_page: Some("https://dashboard.cohere.com/billing"),
            ..Site::new("https://api.cohere.com", &["api.cohere.com", "api.cohere.ai"])
        },
    )
};

/// <https://docs.cohere.com/reference/embed>: 96 texts a call.
const ITEMS: usize = 96;
