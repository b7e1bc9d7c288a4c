//! What models cost. A small table, dated: providers change their prices, and a pipeline file may say others. List prices, without
//! discounts for cached or batched input and without surcharges for very long prompts.

use std::collections::BTreeMap;

use crate::providers::Usage;
use crate::providers::{Price, ProviderKind, ProviderPlan};

/// When the table was last compared with the providers' pages.
pub const AS_OF: &str = "2026-11";

/// Prices at the vendors themselves.
const TABLE: &[(ProviderKind, &str, Price)] = &[
    (ProviderKind::OpenAi, "text-embedding-3-small", embedding(0.02)),
    (ProviderKind::OpenAi, "text-embedding-3-large", embedding(0.13)),
    (ProviderKind::OpenAi, "text-embedding-ada-002", embedding(0.10)),
    (ProviderKind::Gemini, "gemini-embedding-001", embedding(0.15)),
    (ProviderKind::Cohere, "embed-v4.0", embedding(0.12)),
    (ProviderKind::Cohere, "embed-english-v3.0", embedding(0.10)),
    (ProviderKind::Cohere, "embed-multilingual-v3.0", embedding(0.10)),
    (ProviderKind::Voyage, "voyage-3.5", embedding(0.06)),
    (ProviderKind::Voyage, "voyage-3.5-lite", embedding(0.02)),
    (ProviderKind::Voyage, "voyage-3-large", embedding(0.18)),
    (ProviderKind::Voyage, "voyage-code-3", embedding(0.18)),
    (ProviderKind::OpenAi, "gpt-5.6", chat(4.00, 20.00)),
    (ProviderKind::OpenAi, "gpt-5.5", chat(5.00, 30.00)),
    (ProviderKind::OpenAi, "gpt-5.4", chat(2.50, 15.00)),
    (ProviderKind::OpenAi, "gpt-5.4-mini", chat(0.75, 4.50)),
    (ProviderKind::OpenAi, "gpt-5.4-nano", chat(0.20, 1.25)),
    (ProviderKind::OpenAi, "gpt-5.2", chat(1.75, 14.00)),
    (ProviderKind::OpenAi, "gpt-5.1", chat(1.25, 10.00)),
    (ProviderKind::OpenAi, "gpt-5", chat(1.25, 10.00)),
    (ProviderKind::OpenAi, "gpt-5-mini", chat(0.25, 2.00)),
    (ProviderKind::OpenAi, "gpt-5-nano", chat(0.05, 0.40)),
    (ProviderKind::OpenAi, "gpt-4.1", chat(2.00, 8.00)),
    (ProviderKind::OpenAi, "gpt-4.1-mini", chat(0.40, 1.60)),
    (ProviderKind::OpenAi, "gpt-4.1-nano", chat(0.10, 0.40)),
    (ProviderKind::OpenAi, "gpt-4o", chat(2.50, 10.00)),
    (ProviderKind::OpenAi, "gpt-4o-mini", chat(0.15, 0.60)),
    (ProviderKind::Anthropic, "claude-opus-5", chat(5.00, 25.00)),
    (ProviderKind::Anthropic, "claude-opus-4-8", chat(5.00, 25.00)),
    (ProviderKind::Anthropic, "claude-opus-4-6", chat(5.00, 25.00)),
    (ProviderKind::Anthropic, "claude-sonnet-5", chat(2.00, 10.00)),
    (ProviderKind::Anthropic, "claude-sonnet-4-6", chat(3.00, 15.00)),
    (ProviderKind::Anthropic, "claude-sonnet-4-5", chat(3.00, 15.00)),
    (ProviderKind::Anthropic, "claude-haiku-4-5", chat(1.00, 5.00)),
    (ProviderKind::Gemini, "gemini-3.5-flash", chat(1.50, 9.00)),
    (ProviderKind::Gemini, "gemini-3.1-pro-preview", chat(2.00, 12.00)),
    (ProviderKind::Gemini, "gemini-2.5-pro", chat(1.25, 10.00)),
    (ProviderKind::Gemini, "gemini-2.5-flash", chat(0.30, 2.50)),
    (ProviderKind::Gemini, "gemini-2.5-flash-lite", chat(0.10, 0.40)),
];

const fn embedding(input: f64) -> Price {
    Price { input, output: None }
}

const fn chat(input: f64, output: f64) -> Price {
    Price { input, output: Some(output) }
}

/// What runs on one's own machine.
pub const FREE: Price = Price { input: 0.0, output: Some(0.0) };

/// The price of a model: as declared, else as in the table, where it is the vendor that answers. `None` where it is not known,
/// as behind a proxy. What runs on one's own machine costs nothing.
pub fn of(provider: &ProviderPlan, model: &str) -> Option<Price> {
    if let Some(price) = provider.prices.get(model) {
        return Some(*price);
    }
    match provider.kind {
        // Ollama also sells models, under its own name.
        ProviderKind::Ollama if provider.base_url.host_str() == Some("ollama.com") => None,
        ProviderKind::Local | ProviderKind::Ollama => Some(FREE),
        kind if provider.is_vendors_own() => {
            TABLE.iter().find(|(vendor, name, _)| *vendor == kind && is_version_of(model, name)).map(|(_, _, price)| *price)
        }
        _ => None,
    }
}

impl Price {
    /// What so many tokens come to, in US dollars; `None` where some were written and the price of those is not known.
    pub fn cost(self, read: u64, written: u64) -> Option<f64> {
        let output = if written == 0 { 0.0 } else { self.output? * written as f64 };
        Some((self.input * read as f64 + output) / 1e6)
    }
}

/// The price of an answer of `model` (`provider/model`); `None` where it or the usage is not known.
pub fn chat_cost(providers: &BTreeMap<String, ProviderPlan>, model: &str, usage: &Usage) -> Option<f64> {
    let (provider, model) = model.split_once('/')?;
    usage.cost(of(providers.get(provider)?, model))
}

/// `gpt-5.4-2026-03-05` is `gpt-5.4`; `gpt-5.4-mini` is not.
fn is_version_of(model: &str, name: &str) -> bool {
    let date = |rest: &str| rest.starts_with("-20") && rest.chars().all(|c| c.is_ascii_digit() || c == '-');
    model.strip_prefix(name).is_some_and(|rest| rest.is_empty() || date(rest))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail loudly")]

    use super::*;
    use crate::pipeline::default_plan;

    fn provider(name: &str) -> ProviderPlan {
        default_plan(&|_| None).providers[name].clone()
    }

    fn at(url: &str, plan: &ProviderPlan) -> ProviderPlan {
        ProviderPlan { base_url: url.parse().unwrap(), ..plan.clone() }
    }

    #[test]
    fn known_models_have_a_price_and_unknown_ones_none() {
        let cost = |name, model| of(&provider(name), model)?.cost(500_000, 0);
        assert_eq!(cost("openai", "text-embedding-3-small"), Some(0.01));
        assert_eq!(cost("openai", "my-model"), None);
        assert_eq!(cost("local", "potion-base-8M"), Some(0.0));
        assert_eq!(cost("ollama", "bge-m3"), Some(0.0));
        assert_eq!(of(&at("https://ollama.com", &provider("ollama")), "bge-m3"), None);
        let elsewhere = at("http://localhost:4000/v1", &provider("openai"));
        assert_eq!(of(&elsewhere, "text-embedding-3-small"), None, "what a proxy or a namesake asks is not the vendor's price");
    }

    #[test]
    fn what_is_declared_counts_before_the_table() {
        let mut plan = provider("openai");
        plan.prices.insert("text-embedding-3-small".into(), Price { input: 0.0, output: None });
        plan.prices.insert("gpt".into(), Price { input: 2.0, output: Some(8.0) });
        assert_eq!(of(&plan, "text-embedding-3-small").unwrap().cost(1_000_000, 0), Some(0.0), "free is a price, too");
        let gpt = of(&at("http://localhost:1", &plan), "gpt").unwrap();
        assert_eq!(gpt.cost(500_000, 250_000), Some(3.0));
        assert_eq!(embedding(1.0).cost(1, 1), None, "half a price is none");
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
