//! Mistral: OpenAI's formats with fewer parameters, and every one that it does not know is an error.

use super::vendor::{EmbedBackend, Vendor};
use crate::providers::Price;
use crate::providers::chat::openai::OpenAi as Chats;
use crate::providers::chat::wire::{ChatApi, Parameters};
use crate::providers::embed::EmbedLimits;
use crate::providers::embed::openai::OpenAi as Embeddings;
use crate::providers::embed::wire::EmbedApi;
use crate::providers::site::Site;

pub(super) static VENDOR: Vendor = Vendor {
    embed: Some(EmbedBackend::Api(EmbedApi {
        // https://docs.mistral.ai/api/endpoint/embeddings. It lists base64, too, and does not say of what.
        wire: &Embeddings { width: "output_dimension", base64: false, extras: |_, _| {} },
        // 8,192 tokens an input. Of a request it says only that it may be too large ("Too many tokens overall", "Too many
        // inputs"). Users reported a cap of 16,384 tokens in 2024 and more since; the service itself was not asked. Tokens are
        // counted with another tokenizer here, hence a quarter to spare; a batch that is refused is halved.
        limits: |_, _| EmbedLimits::new(512, 12_288, 8192),
        refused_above: (None, None),
        width: |model| match model {
            "mistral-embed" | "mistral-embed-2312" => Some(1024),
            // https://docs.mistral.ai/capabilities/embeddings/code_embeddings: up to 3,072 where that is asked for.
            "codestral-embed" | "codestral-embed-2505" => Some(1536),
            _ => None,
        },
        // The first numbers of more.
        reduced_unnormalised: true,
    })),
    chat: Some(ChatApi {
        // The usage comes unasked, with the last chunk; `stream_options` and `max_completion_tokens` are refused.
        wire: &Chats { parameters: |_, _| Parameters::default() },
        max_temperature: Some(1.5),
    }),
    prices: PRICES,
    ..Vendor::new(
        "mistral",
        Site {
            key_variables: &["MISTRAL_API_KEY"],
            billing_page: Some("https://admin.mistral.ai/organization/billing"),
            ..Site::new("https://api.mistral.ai/v1", &["api.mistral.ai"])
        },
    )
};

/// By the models' own names: what `…-latest` means changes. <https://mistral.ai/pricing>, as models.dev lists it; from the cache at a
/// tenth of it (<https://docs.mistral.ai/studio-api/conversations/advanced/prompt-caching>).
const PRICES: &[(&str, Price)] = &[
    ("mistral-embed", Price::embedding(0.10)),
    ("mistral-embed-2312", Price::embedding(0.10)),
    ("codestral-embed", Price::embedding(0.15)),
    ("codestral-embed-2505", Price::embedding(0.15)),
    ("mistral-large-2512", Price::chat(0.50, 1.50).cached(0.05)),
    ("mistral-medium-2604", Price::chat(1.50, 7.50).cached(0.15)),
    ("mistral-medium-2508", Price::chat(0.40, 2.00).cached(0.04)),
    ("mistral-small-2603", Price::chat(0.15, 0.60).cached(0.015)),
    ("codestral-2508", Price::chat(0.30, 0.90).cached(0.03)),
];
