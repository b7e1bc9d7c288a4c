//! OpenAI, and every compatible server: llama.cpp, vLLM, OpenRouter, …

use super::vendor::{EmbedBackend, Vendor};
use crate::providers::Price;
use crate::providers::chat::openai::OpenAi as Chats;
use crate::providers::chat::wire::{ChatApi, Parameters};
use crate::providers::decide::wire::{Contract, DecisionApi};
use crate::providers::embed::EmbedLimits;
use crate::providers::embed::openai::OpenAi as Embeddings;
use crate::providers::embed::wire::EmbedApi;
use crate::providers::json::set;
use crate::providers::site::{Site, UrlVariable};

pub(super) static VENDOR: Vendor = Vendor {
    embed: Some(EmbedBackend::Api(EmbedApi {
        wire: &Embeddings {
            width: "dimensions",
            base64: true,
            extras: |request, body| {
                if request.model.contains("jina-embeddings") {
                    // https://jina.ai/embeddings: without a task, questions and passages are embedded alike.
                    set(body, "task", request.word("retrieval.query", "retrieval.passage"));
                }
            },
        },
        limits,
        refused_above: (Some(ITEMS), Some(TOKENS)),
        width,
        reduced_unnormalised: false,
    })),
    chat: Some(ChatApi { wire: &Chats { parameters }, max_temperature: None }),
    decide: Some(DecisionApi { contract: Contract::Decisions }),
    prices: PRICES,
    ..Vendor::new(
        "openai",
        Site {
            url_variable: Some(UrlVariable::Url("OPENAI_BASE_URL")),
            key_variables: &["OPENAI_API_KEY"],
            billing_page: Some("https://platform.openai.com/settings/organization/billing"),
            ..Site::new("https://api.openai.com/v1", &["api.openai.com"])
        },
    )
};

/// <https://platform.openai.com/docs/api-reference/embeddings/create>
const ITEMS: usize = 2048;
const TOKENS: usize = 300_000;

/// The API's own limits; of a compatible server less is known: its batches are smaller so that one of them is soon answered.
fn limits(_model: &str, own_server: bool) -> EmbedLimits {
    if own_server { EmbedLimits::new(ITEMS, TOKENS, 8192) } else { EmbedLimits::default() }
}

fn width(model: &str) -> Option<usize> {
    match model {
        "text-embedding-3-small" | "text-embedding-ada-002" => Some(1536),
        "text-embedding-3-large" => Some(3072),
        _ => None,
    }
}

/// OpenAI itself takes `max_completion_tokens` for every model and wants it for those that reason, which refuse a
/// temperature. Many compatible servers know `max_tokens` alone, and ignore the other without a word.
fn parameters(own_server: bool, model: &str) -> Parameters {
    let numbered_o = model.strip_prefix('o').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    let (old, new) = ("max_tokens", "max_completion_tokens");
    let (max_tokens, or_else) = if own_server { (new, old) } else { (old, new) };
    Parameters {
        max_tokens,
        or_else: Some(or_else),
        temperature: !(own_server && (numbered_o || model.starts_with("gpt-5"))),
        stream_options: true,
    }
}

/// <https://developers.openai.com/api/docs/pricing>, <https://developers.openai.com/api/docs/guides/prompt-caching>.
const PRICES: &[(&str, Price)] = &[
    ("text-embedding-3-small", Price::embedding(0.02)),
    ("text-embedding-3-large", Price::embedding(0.13)),
    ("text-embedding-ada-002", Price::embedding(0.10)),
    // As a decision model: what is written is free.
    ("gpt-6-luna", Price::embedding(0.10)),
    // From this family on, what is written to the cache has a price, too: 1.25 times the usual one.
    ("gpt-5.6", Price { cache_write: Some(5.00), ..Price::chat(4.00, 20.00).cached(0.40) }),
    ("gpt-5.5", Price::chat(5.00, 30.00).cached(0.50)),
    ("gpt-5.4", Price::chat(2.50, 15.00).cached(0.25)),
    ("gpt-5.4-mini", Price::chat(0.75, 4.50).cached(0.075)),
    ("gpt-5.4-nano", Price::chat(0.20, 1.25).cached(0.02)),
    ("gpt-5.2", Price::chat(1.75, 14.00).cached(0.175)),
    ("gpt-5.1", Price::chat(1.25, 10.00).cached(0.125)),
    ("gpt-5", Price::chat(1.25, 10.00).cached(0.125)),
    ("gpt-5-mini", Price::chat(0.25, 2.00).cached(0.025)),
    ("gpt-5-nano", Price::chat(0.05, 0.40).cached(0.005)),
    ("gpt-4.1", Price::chat(2.00, 8.00).cached(0.50)),
    ("gpt-4.1-mini", Price::chat(0.40, 1.60).cached(0.10)),
    ("gpt-4.1-nano", Price::chat(0.10, 0.40).cached(0.025)),
    ("gpt-4o", Price::chat(2.50, 10.00).cached(1.25)),
    ("gpt-4o-mini", Price::chat(0.15, 0.60).cached(0.075)),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::chat::ChatRequest;
    use crate::providers::chat::wire::ChatWire as _;

    #[test]
    fn openai_itself_is_sent_its_newer_parameters() {
        let sent = |own_server, model: &str| {
            let request = ChatRequest {
                system: String::new(),
                messages: Vec::new(),
                max_tokens: 7,
                temperature: Some(0.0),
                shared: None,
            };
            let wire = Chats { parameters };
            let body = wire.body(model, &request, wire.parameters(own_server, model));
            ["max_tokens", "max_completion_tokens", "temperature"].map(|name| body.get(name).is_some())
        };
        assert_eq!(sent(true, "gpt-4o-mini"), [false, true, true]);
        assert_eq!(sent(true, "gpt-5-mini"), [false, true, false]);
        assert_eq!(sent(true, "o3"), [false, true, false]);
        assert_eq!(sent(true, "omni-x"), [false, true, true]);
        assert_eq!(sent(false, "o3"), [true, false, true]);
        assert_eq!(sent(false, "gpt-5-like"), [true, false, true]);
    }
}
