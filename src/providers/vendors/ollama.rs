//! Ollama's own API: models on one's own machine, and those that Ollama sells under its own name.

use super::vendor::{EmbedBackend, Vendor};
use crate::providers::chat::ollama::Ollama as Chats;
use crate::providers::chat::wire::ChatApi;
use crate::providers::decide::wire::{Contract, DecisionApi};
use crate::providers::embed::EmbedLimits;
use crate::providers::embed::ollama::Ollama as Embeddings;
use crate::providers::embed::wire::EmbedApi;
use crate::providers::site::{Site, UrlVariable};

pub(super) static VENDOR: Vendor = Vendor {
    at_home: true,
    embed: Some(EmbedBackend::Api(EmbedApi {
        wire: &Embeddings,
        // Ollama embeds one input after another and names no limits; a batch is small so that it is answered within the
        // timeout. The size of an input depends on the model; above that it refuses.
        limits: |_, _| EmbedLimits::new(64, 32_768, 2048),
        refused_above: (None, None),
        width: |_| None,
        reduced_unnormalised: false,
    })),
    chat: Some(ChatApi { wire: &Chats, max_temperature: None }),
    // From 0.35 on.
    decide: Some(DecisionApi { contract: Contract::SystemOne }),
    ..Vendor::new(
        "ollama",
        Site {
            url_variable: Some(UrlVariable::Host("OLLAMA_HOST")),
            missing_model_hint: Some(|model| format!("`ollama pull {model}` fetches it, `ollama list` shows what is there")),
            unreachable_hint: Some(|url| {
                format!("is Ollama running at {url}? `ollama serve` starts it, OLLAMA_HOST says where it is")
            }),
            ..Site::new("http://localhost:11434", &["ollama.com"])
        },
    )
};
