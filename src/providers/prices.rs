//! The prices of models: a small table at each vendor, dated here, since providers change their prices, and a pipeline file may
//! say others. List prices, without discounts for batched input, nor for cached where its price is not known, and without surcharges for very long prompts.

use std::collections::BTreeMap;

use super::vendors::Vendor;
use super::{Price, ProviderPlan, Usage};

/// The month in which the tables were last compared with the vendors' pages.
pub const AS_OF: &str = "2026-11";

/// The price of a model: as declared, else as the vendor lists it, where it is the vendor that answers. `None` where it is not
/// known, as behind a proxy. What runs on one's own machine costs nothing.
pub fn of(provider: &ProviderPlan, model: &str) -> Option<Price> {
    let vendor = Vendor::of(provider.kind);
    if let Some(price) = provider.prices.get(model) {
        return Some(with_shares(*price, vendor));
    }
    let sold = provider.base_url.host_str().is_some_and(|host| vendor.site.hosts.contains(&host));
    if vendor.at_home && !sold {
        return Some(Price::FREE);
    }
    let listed = || vendor.prices.iter().find(|(name, _)| is_version_of(model, name)).map(|(_, price)| *price);
    provider.is_vendors_own().then(listed).flatten().map(|price| with_shares(price, vendor))
}

/// The price with what the vendor asks for what has to do with its cache of prompts, where that is not said.
fn with_shares(price: Price, vendor: &Vendor) -> Price {
    let Some((read, written)) = vendor.cache_shares.filter(|_| price != Price::FREE) else { return price };
    Price {
        cache_read: price.cache_read.or(Some(price.input * read)),
        cache_write: price.cache_write.or(Some(price.input * written)),
        ..price
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
    #![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

    use super::*;
    use crate::providers::{PromptCache, ProviderKind};

    fn provider(name: &str) -> ProviderPlan {
        ProviderPlan::new(ProviderKind::named(name).unwrap())
    }

    fn at(url: &str, plan: &ProviderPlan) -> ProviderPlan {
        ProviderPlan { base_url: url.parse().unwrap(), ..plan.clone() }
    }

    /// The vendors, some of them at other addresses than their own.
    fn providers(elsewhere: &[(&str, &str)]) -> BTreeMap<String, ProviderPlan> {
        let mut all: BTreeMap<_, _> =
            ProviderKind::ALL.iter().map(|kind| (kind.name().to_owned(), ProviderPlan::new(*kind))).collect();
        for (name, url) in elsewhere {
            all.insert((*name).to_owned(), at(url, &provider(name)));
        }
        all
    }

    #[test]
    fn known_models_have_a_price_and_unknown_ones_none() {
        let cost = |name, model| of(&provider(name), model)?.cost(500_000, 0);
        assert_eq!(cost("openai", "text-embedding-3-small"), Some(0.01));
        assert_eq!(cost("mistral", "codestral-embed-2505"), Some(0.075));
        assert_eq!(cost("mistral", "mistral-large-latest"), None, "whichever that is by now");
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
        plan.prices.insert("text-embedding-3-small".into(), Price::embedding(0.0));
        plan.prices.insert("gpt".into(), Price::chat(2.0, 8.0));
        assert_eq!(of(&plan, "text-embedding-3-small").unwrap().cost(1_000_000, 0), Some(0.0), "free is a price, too");
        let gpt = of(&at("http://localhost:1", &plan), "gpt").unwrap();
        assert_eq!(gpt.cost(500_000, 250_000), Some(3.0));
        assert_eq!(Price::embedding(1.0).cost(1, 1), None, "half a price is none");
    }

    #[test]
    fn what_is_declared_of_a_cache_counts_and_without_it_all_costs_alike() {
        let usage = Usage {
            prompt_cache: PromptCache { read_tokens: 600_000, written_tokens: 200_000 },
            ..Usage::new(Some(1_000_000), Some(0))
        };
        let paid = |kind: &str, price| {
            let mut plan = at("http://localhost:1", &provider(kind));
            plan.prices.insert("own".into(), price);
            usage.cost(of(&plan, "own")).unwrap()
        };
        let price = Price::chat(10.0, 20.0);
        for (kind, price, dollars) in [
            ("openai", price, 10.0),
            ("gemini", price, 10.0),
            ("openai", price.cached(1.0), 4.6),
            ("openai", Price { cache_write: Some(12.5), ..price.cached(1.0) }, 5.1),
            ("openai", Price::FREE, 0.0),
            // Its own shares, as long as nothing else is said.
            ("anthropic", price, 0.6 + 2.5 + 2.0),
            ("anthropic", price.cached(2.0), 1.2 + 2.5 + 2.0),
            ("anthropic", Price::FREE, 0.0),
        ] {
            let paid = paid(kind, price);
            assert!((paid - dollars).abs() < 1e-9, "{kind} {price:?}: {paid}");
        }
    }

    #[test]
    fn a_cache_makes_no_listed_model_dearer_to_read_and_none_costs_less_than_nothing() {
        for kind in ProviderKind::ALL {
            let plan = ProviderPlan::new(*kind);
            for (model, listed) in Vendor::of(*kind).prices {
                assert!(listed.cache_read.is_none_or(|read| read > 0.0 && read <= listed.input * 0.5), "{model}");
                let price = of(&plan, model).unwrap();
                // A server may tell anything.
                for (input, read_tokens, written_tokens) in [(100, 90, 0), (100, 100, 0), (100, u64::MAX, u64::MAX), (0, 5, 5)]
                {
                    let prompt_cache = PromptCache { read_tokens, written_tokens };
                    let paid = Usage { prompt_cache, ..Usage::new(Some(input), Some(0)) }.cost(Some(price)).unwrap();
                    let full = price.cost(input, 0).unwrap();
                    assert!((0.0..=full).contains(&paid), "{model} {read_tokens}: {paid} of {full}");
                }
            }
        }
    }

    #[test]
    fn an_answer_costs_what_was_read_and_written_and_nothing_is_made_up() {
        let all = providers(&[("ollama", "http://box:11434")]);
        let usage = Usage::new;
        let cost = |model, usage| chat_cost(&all, model, &usage);
        let million = usage(Some(1_000_000), Some(1_000_000));
        assert_eq!(cost("openai/gpt-5.4-mini", million), Some(5.25));
        assert_eq!(cost("openai/gpt-5.4-2026-03-05", million), Some(17.5));
        assert_eq!(cost("anthropic/claude-haiku-4-5-20251001", million), Some(6.0));
        assert_eq!(cost("ollama/llama3.2", usage(None, None)), Some(0.0));
        // As Anthropic's page has it for a model of $3: $0.30 a million that come from the cache, $3.75 that go there.
        let cached = |read_tokens, written_tokens| Usage {
            prompt_cache: PromptCache { read_tokens, written_tokens },
            ..usage(Some(1_000_000), Some(0))
        };
        for (read, written, dollars) in [(0, 0, 3.0), (1_000_000, 0, 0.3), (0, 1_000_000, 3.75), (500_000, 250_000, 1.8375)] {
            let paid = cost("anthropic/claude-sonnet-4-5", cached(read, written)).unwrap();
            assert!((paid - dollars).abs() < 1e-9, "{read} {written}: {paid}");
        }
        // As OpenAI's page has it for a model of $5, for one of $4 that pays for writes, for one of old, and Gemini's for one of $2.
        for (model, read, written, dollars) in [
            ("openai/gpt-5.5", 1_000_000, 0, 0.5),
            ("openai/gpt-5.5", 400_000, 600_000, 3.2),
            ("openai/gpt-5.6", 500_000, 500_000, 2.7),
            ("openai/gpt-4o-mini", 1_000_000, 0, 0.075),
            ("gemini/gemini-3.1-pro-preview", 500_000, 0, 1.1),
            ("mistral/mistral-large-2512", 1_000_000, 0, 0.05),
        ] {
            let paid = cost(model, cached(read, written)).unwrap();
            assert!((paid - dollars).abs() < 1e-9, "{model} {read} {written}: {paid}");
        }
        for unknown in ["openai/gpt-5.4-large", "openai/gpt-5.4-20b-mini", "anthropic/gpt-5", "nobody/gpt-5", "gpt-5"] {
            assert_eq!(cost(unknown, million), None, "{unknown}");
        }
        assert_eq!(cost("openai/gpt-5", usage(Some(1), None)), None, "half a price is none");
        let elsewhere = providers(&[("openai", "http://localhost:1/v1")]);
        assert_eq!(chat_cost(&elsewhere, "openai/gpt-5", &million), None, "another server has its own prices");
    }
}
