//! What models cost, in US dollars a million tokens. Small tables, dated: providers change their prices. List prices, without
//! discounts for cached or batched input and without surcharges for very long prompts.

use std::collections::BTreeMap;

use crate::pipeline::{ProviderKind, ProviderPlan};
use crate::providers::Usage;

/// When the table was last compared with the providers' pages.
pub const AS_OF: &str = "2026-11";

const PER_MILLION: &[(ProviderKind, &str, f64)] = &[
    (ProviderKind::OpenAi, "text-embedding-3-small", 0.02),
    (ProviderKind::OpenAi, "text-embedding-3-large", 0.13),
    (ProviderKind::OpenAi, "text-embedding-ada-002", 0.10),
    (ProviderKind::Gemini, "gemini-embedding-001", 0.15),
    (ProviderKind::Cohere, "embed-v4.0", 0.12),
    (ProviderKind::Cohere, "embed-english-v3.0", 0.10),
    (ProviderKind::Cohere, "embed-multilingual-v3.0", 0.10),
    (ProviderKind::Voyage, "voyage-3.5", 0.06),
    (ProviderKind::Voyage, "voyage-3.5-lite", 0.02),
    (ProviderKind::Voyage, "voyage-3-large", 0.18),
    (ProviderKind::Voyage, "voyage-code-3", 0.18),
];

/// The price of embedding `tokens`; `None` where it is not known. What runs on one's own machine costs nothing.
pub fn embedding_cost(kind: Option<ProviderKind>, model: &str, tokens: u64) -> Option<f64> {
    match kind? {
        ProviderKind::Local | ProviderKind::Ollama => Some(0.0),
        kind => PER_MILLION
            .iter()
            .find(|(provider, name, _)| (*provider, *name) == (kind, model))
            .map(|(_, _, price)| price * tokens as f64 / 1e6),
    }
}

/// Tokens read, tokens written.
const CHAT_PER_MILLION: &[(ProviderKind, &str, f64, f64)] = &[
    (ProviderKind::OpenAi, "gpt-5.6", 4.00, 20.00),
    (ProviderKind::OpenAi, "gpt-5.5", 5.00, 30.00),
    (ProviderKind::OpenAi, "gpt-5.4", 2.50, 15.00),
    (ProviderKind::OpenAi, "gpt-5.4-mini", 0.75, 4.50),
    (ProviderKind::OpenAi, "gpt-5.4-nano", 0.20, 1.25),
    (ProviderKind::OpenAi, "gpt-5.2", 1.75, 14.00),
    (ProviderKind::OpenAi, "gpt-5.1", 1.25, 10.00),
    (ProviderKind::OpenAi, "gpt-5", 1.25, 10.00),
    (ProviderKind::OpenAi, "gpt-5-mini", 0.25, 2.00),
    (ProviderKind::OpenAi, "gpt-5-nano", 0.05, 0.40),
    (ProviderKind::OpenAi, "gpt-4.1", 2.00, 8.00),
    (ProviderKind::OpenAi, "gpt-4.1-mini", 0.40, 1.60),
    (ProviderKind::OpenAi, "gpt-4.1-nano", 0.10, 0.40),
    (ProviderKind::OpenAi, "gpt-4o", 2.50, 10.00),
    (ProviderKind::OpenAi, "gpt-4o-mini", 0.15, 0.60),
    (ProviderKind::Anthropic, "claude-opus-5", 5.00, 25.00),
    (ProviderKind::Anthropic, "claude-opus-4-8", 5.00, 25.00),
    (ProviderKind::Anthropic, "claude-opus-4-6", 5.00, 25.00),
    (ProviderKind::Anthropic, "claude-sonnet-5", 2.00, 10.00),
    (ProviderKind::Anthropic, "claude-sonnet-4-6", 3.00, 15.00),
    (ProviderKind::Anthropic, "claude-sonnet-4-5", 3.00, 15.00),
    (ProviderKind::Anthropic, "claude-haiku-4-5", 1.00, 5.00),
    (ProviderKind::Gemini, "gemini-3.5-flash", 1.50, 9.00),
    (ProviderKind::Gemini, "gemini-3.1-pro-preview", 2.00, 12.00),
    (ProviderKind::Gemini, "gemini-2.5-pro", 1.25, 10.00),
    (ProviderKind::Gemini, "gemini-2.5-flash", 0.30, 2.50),
    (ProviderKind::Gemini, "gemini-2.5-flash-lite", 0.10, 0.40),
];

/// The price of an answer of `model` (`provider/model`); `None` where it is not known: a model that is not in the table, a server
/// that is not the vendor's own, or usage that was not told. What runs on one's own Ollama costs nothing.
pub fn chat_cost(providers: &BTreeMap<String, ProviderPlan>, model: &str, usage: &Usage) -> Option<f64> {
    let (provider, model) = model.split_once('/')?;
    let provider = providers.get(provider)?;
    if provider.kind == ProviderKind::Ollama {
        return Some(0.0);
    }
    let (kind, _, read, written) = CHAT_PER_MILLION.iter().find(|(_, name, ..)| is_version_of(model, name))?;
    let known = *kind == provider.kind && provider.is_vendors_own();
    known.then_some((read * usage.input_tokens? as f64 + written * usage.output_tokens? as f64) / 1e6)
}

/// `gpt-5.4-2026-03-05` is `gpt-5.4`; `gpt-5.4-mini` is not.
fn is_version_of(model: &str, name: &str) -> bool {
    let date = |rest: &str| rest.starts_with("-20") && rest.chars().all(|c| c.is_ascii_digit() || c == '-');
    model.strip_prefix(name).is_some_and(|rest| rest.is_empty() || date(rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::default_plan;

    #[test]
    fn known_models_have_a_price_and_unknown_ones_none() {
        let cost = |kind, model| embedding_cost(Some(kind), model, 500_000);
        assert_eq!(cost(ProviderKind::OpenAi, "text-embedding-3-small"), Some(0.01));
        assert_eq!(cost(ProviderKind::OpenAi, "my-model"), None);
        assert_eq!(cost(ProviderKind::Local, "potion-base-8M"), Some(0.0));
        assert_eq!(embedding_cost(None, "x", 1), None);
    }

    #[test]
    fn an_answer_costs_what_was_read_and_written_and_nothing_is_made_up() {
        let plan = default_plan(&|name| (name == "OLLAMA_HOST").then(|| "http://box:11434".to_owned()));
        let usage = |read, written| Usage { input_tokens: read, output_tokens: written };
        let cost = |model, usage| chat_cost(&plan.providers, model, &usage);
        let million = usage(Some(1_000_000), Some(1_000_000));
        assert_eq!(cost("openai/gpt-5.4-mini", million), Some(5.25));
        assert_eq!(cost("openai/gpt-5.4-2026-03-05", million), Some(17.5));
        assert_eq!(cost("anthropic/claude-haiku-4-5-20251001", million), Some(6.0));
        assert_eq!(cost("ollama/llama3.2", usage(None, None)), Some(0.0));
        for unknown in ["openai/gpt-5.4-large", "openai/gpt-5.4-20b-mini", "anthropic/gpt-5", "nobody/gpt-5", "gpt-5"] {
            assert_eq!(cost(unknown, million), None, "{unknown}");
        }
        assert_eq!(cost("openai/gpt-5", usage(Some(1), None)), None, "half a price is none");
        let elsewhere = default_plan(&|name| (name == "OPENAI_BASE_URL").then(|| "http://localhost:1/v1".to_owned()));
        assert_eq!(chat_cost(&elsewhere.providers, "openai/gpt-5", &million), None, "another server has its own prices");
    }
}
