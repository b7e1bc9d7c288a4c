//! What models cost. A small table, dated: providers change their prices, and a pipeline file may say others.

use crate::pipeline::{Price, ProviderKind, ProviderPlan};

/// When the table was last compared with the providers' pages.
pub const AS_OF: &str = "2026-11";

/// Prices at the vendors themselves. A chat model has two: `chat(0.15, 0.6)`.
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
];

const fn embedding(input: f64) -> Price {
    Price { input, output: None }
}

/// The price of a model: as declared, else as in the table, where it is the vendor that answers. `None` where it is not known,
/// as behind a proxy. What runs on one's own machine costs nothing.
pub fn of(provider: &ProviderPlan, model: &str) -> Option<Price> {
    if let Some(price) = provider.prices.get(model) {
        return Some(*price);
    }
    match provider.kind {
        ProviderKind::Local => Some(Price { input: 0.0, output: Some(0.0) }),
        // Ollama also sells models, under its own name.
        ProviderKind::Ollama if provider.base_url.host_str() == Some("ollama.com") => None,
        ProviderKind::Ollama => Some(Price { input: 0.0, output: Some(0.0) }),
        kind if provider.is_vendors_own() => {
            TABLE.iter().find(|(vendor, name, _)| (*vendor, *name) == (kind, model)).map(|(_, _, price)| *price)
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
}
