//! What embedding models cost, in US dollars a million tokens. A small table, dated: providers change their prices.

use crate::pipeline::ProviderKind;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_models_have_a_price_and_unknown_ones_none() {
        let cost = |kind, model| embedding_cost(Some(kind), model, 500_000);
        assert_eq!(cost(ProviderKind::OpenAi, "text-embedding-3-small"), Some(0.01));
        assert_eq!(cost(ProviderKind::OpenAi, "my-model"), None);
        assert_eq!(cost(ProviderKind::Local, "potion-base-8M"), Some(0.0));
        assert_eq!(embedding_cost(None, "x", 1), None);
    }
}
