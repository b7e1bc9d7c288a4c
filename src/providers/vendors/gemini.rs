//! Google Gemini.

use super::vendor::{EmbedBackend, Vendor};
use crate::providers::Price;
use crate::providers::chat::gemini::Gemini as Chats;
use crate::providers::chat::wire::ChatApi;
use crate::providers::embed::EmbedLimits;
use crate::providers::embed::gemini::{Gemini as Embeddings, bare, is_second};
use crate::providers::embed::wire::EmbedApi;
use crate::providers::site::{Auth, Site};

pub(super) static VENDOR: Vendor = Vendor {
    embed: Some(EmbedBackend::Api(EmbedApi {
        wire: &Embeddings,
        limits: |model, _| EmbedLimits::new(ITEMS, 100_000, if is_second(model) { 8192 } else { 2048 }),
        refused_above: (Some(ITEMS), None),
        width: |model| match bare(model) {
            "gemini-embedding-001" => Some(3072),
            "text-embedding-004" => Some(768),
            model if is_second(model) => Some(3072),
            _ => None,
        },
        reduced_unnormalised: true,
    })),
    chat: Some(ChatApi { wire: &Chats, max_temperature: None }),
    prices: PRICES,
    ..Vendor::new(
        "gemini",
        Site {
            key_variables: &["GEMINI_API_KEY", "GOOGLE_API_KEY"],
            auth: Auth::Header("x-goog-api-key"),
            billing_page: Some("https://aistudio.google.com/usage"),
            ..Site::new("https://generativelanguage.googleapis.com/v1beta", &["generativelanguage.googleapis.com"])
        },
    )
};

/// <https://ai.google.dev/gemini-api/docs/embeddings>: a batch takes 100 requests, of 2,048 tokens each, or 8,192.
const ITEMS: usize = 100;

/// <https://ai.google.dev/gemini-api/docs/pricing>. What is cached unasked is not paid for when it is written, nor for being kept.
const PRICES: &[(&str, Price)] = &[
    ("gemini-embedding-001", Price::embedding(0.15)),
    ("gemini-embedding-2", Price::embedding(0.20)),
    ("gemini-3.5-flash", Price::chat(1.50, 9.00).cached(0.15)),
    ("gemini-3.1-pro-preview", Price::chat(2.00, 12.00).cached(0.20)),
    ("gemini-2.5-pro", Price::chat(1.25, 10.00).cached(0.125)),
    ("gemini-2.5-flash", Price::chat(0.30, 2.50).cached(0.03)),
    ("gemini-2.5-flash-lite", Price::chat(0.10, 0.40).cached(0.01)),
];
