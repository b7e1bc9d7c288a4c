//! Jina, and every server that reranks as it does: llama.cpp, vLLM, … Its embeddings are answered as OpenAI does and asked for
//! differently.

use super::vendor::{EmbedBackend, RerankBackend, Vendor};
use crate::providers::embed::EmbedLimits;
use crate::providers::embed::openai::OpenAi;
use crate::providers::embed::wire::EmbedApi;
use crate::providers::json::set;
use crate::providers::rerank::jina::Jina as Reranking;
use crate::providers::rerank::wire::{RerankApi, RerankLimits};
use crate::providers::site::Site;

pub(super) static VENDOR: Vendor = Vendor {
    embed: Some(EmbedBackend::Api(EmbedApi {
        wire: &OpenAi {
            width: "dimensions",
            base64: false,
            extras: |request, body| {
                set(body, "embedding_type", "float");
                set(body, "truncate", false);
                // Models before the third know no tasks.
                if !request.model.contains("-v2") {
                    set(body, "task", request.word("retrieval.query", "retrieval.passage"));
                }
            },
        },
        // https://jina.ai/embeddings: 8,192 tokens an input; a request is kept to what is answered quickly.
        limits: |_, _| EmbedLimits::new(512, 100_000, 8192),
        refused_above: (None, None),
        width: |model| match model {
            "jina-embeddings-v3" => Some(1024),
            "jina-embeddings-v4" => Some(2048),
            _ => None,
        },
        reduced_unnormalised: false,
    })),
    rerank: Some(RerankBackend::Api(RerankApi {
        wire: &Reranking,
        // https://jina.ai/reranker: the third model reads all passages together, in a window of 131,072 tokens. Tokens are
        // guessed here, hence a quarter to spare.
        limits: |_| RerankLimits { passages: 1000, tokens: 98_304, passage_tokens: 8192 },
    })),
    ..Vendor::new(
        "jina",
        Site {
            key_variables: &["JINA_API_KEY"],
            billing_page: Some("https://jina.ai/api-dashboard"),
            ..Site::new("https://api.jina.ai/v1", &["api.jina.ai"])
        },
    )
};
