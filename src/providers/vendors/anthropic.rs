//! Anthropic. It has no embedding models.

use super::vendor::Vendor;
use crate::providers::Price;
use crate::providers::chat::anthropic::Anthropic;
use crate::providers::chat::wire::ChatApi;
use crate::providers::site::{Auth, Site, UrlVariable};

pub(super) static VENDOR: Vendor = Vendor {
    chat: Some(ChatApi { wire: &Anthropic, max_temperature: Some(1.0) }),
    prices: PRICES,
    // <https://docs.claude.com/en/docs/build-with-claude/prompt-caching>, written for five minutes.
    cache_shares: Some((0.1, 1.25)),
    ..Vendor::new(
        "anthropic",
        Site {
            url_variable: Some(UrlVariable::Url("ANTHROPIC_BASE_URL")),
            key_variables: &["ANTHROPIC_API_KEY"],
            auth: Auth::Header("x-api-key"),
            billing_page: Some("https://console.anthropic.com/settings/billing"),
            ..Site::new("https://api.anthropic.com", &["api.anthropic.com"])
        },
    )
};

const PRICES: &[(&str, Price)] = &[
    ("claude-opus-5", Price::chat(5.00, 25.00)),
    ("claude-opus-4-8", Price::chat(5.00, 25.00)),
    ("claude-opus-4-6", Price::chat(5.00, 25.00)),
    ("claude-sonnet-5", Price::chat(2.00, 10.00)),
    ("claude-sonnet-4-6", Price::chat(3.00, 15.00)),
    ("claude-sonnet-4-5", Price::chat(3.00, 15.00)),
    ("claude-haiku-4-5", Price::chat(1.00, 5.00)),
];
