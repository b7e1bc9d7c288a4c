//! What a command compares with a service before it has it answer: all that decides what is answered, as one word.

use crate::pipeline::Plan;
use crate::runtime::Settings;
use crate::vectordb::StorePlan;

/// Variables that decide who answers and how providers are reached, besides those that a plan has taken in: the keys by which a
/// model is chosen where none is named, the hub of models in process, proxies and certificates.
const VARIABLES: [&str; 15] = [
    "OPENAI_API_KEY",
    "ANTHROPIC_API_KEY",
    "HF_ENDPOINT",
    "HF_TOKEN",
    "HTTP_PROXY",
    "http_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "ALL_PROXY",
    "all_proxy",
    "NO_PROXY",
    "no_proxy",
    "REQUEST_METHOD",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
];

/// Equal in two processes that answer questions in the same way, of the same index: the version, the plan with its keys, the folders
/// and the environment are. (Sources, formats and chunking are an ingest's affair.) No secret can be read from it.
pub(crate) fn identity(plan: &Plan, settings: &Settings, variable: impl Fn(&str) -> Option<String>) -> String {
    let Plan { name, providers, embed, store, query, sources: _, parse: _, chunk: _, context: _, former_name: _ } = plan;
    let Settings { home, cache, cwd: _ } = settings;
    let [home, cache] = [home, cache].map(|folder| std::fs::canonicalize(folder).unwrap_or_else(|_| folder.clone()));
    let mut hasher = blake3::Hasher::new();
    let mut add = |part: &str| {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    };
    add(env!("CARGO_PKG_VERSION"));
    // Derived, so that it says all that there is, save the secrets.
    add(&format!("{:?}", (name, providers, embed, store, query, home, cache)));
    let of_store = match store {
        StorePlan::Qdrant { api_key, .. } => api_key.as_ref(),
        StorePlan::Embedded { .. } => None,
    };
    for secret in providers.values().map(|provider| provider.api_key.as_ref()).chain([of_store]) {
        add(secret.map_or("", |secret| secret.expose()));
    }
    for name in VARIABLES {
        add(&variable(name).unwrap_or_default());
    }
    hasher.finalize().to_hex().to_string()
}

/// What stands between those of several pipelines.
const AND: char = '+';

/// Of several pipelines that are asked together, in their order.
#[cfg(all(unix, feature = "cli"))]
pub(crate) fn together(identities: impl Iterator<Item = String>) -> String {
    identities.collect::<Vec<_>>().join(&AND.to_string())
}

/// Those of which it is made.
pub(crate) fn parts(identity: &str) -> impl Iterator<Item = &str> {
    identity.split(AND)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail loudly")]
mod tests {
    use super::*;
    use crate::providers::Secret;

    #[test]
    fn what_decides_an_answer_is_in_it() {
        let settings = Settings::at("home");
        let plan = Plan::from_env();
        let of =
            |plan: &Plan, settings: &Settings, set: &str| identity(plan, settings, |name| (name == set).then(|| "x".into()));
        let usual = of(&plan, &settings, "");
        assert_eq!(of(&plan.clone(), &Settings { cwd: "/elsewhere".into(), ..settings.clone() }, "OTHER"), usual);
        assert_eq!(
            of(&plan.clone().with_sources(["docs"]).unwrap(), &settings, ""),
            usual,
            "what is ingested is not asked about"
        );

        let mut others: Vec<String> = VARIABLES.iter().map(|name| of(&plan, &settings, name)).collect();
        let key = |key: &str| {
            let mut plan = plan.clone();
            plan.providers.get_mut("openai").unwrap().api_key = Some(Secret::new(key));
            of(&plan, &settings, "")
        };
        let mut narrower = plan.clone();
        narrower.query.max_tokens += 1;
        others.extend([key("one"), key("two"), of(&narrower, &settings, "")]);
        others.extend(["cache", "home"].map(|changed| {
            let other = Settings::at("other");
            let settings = settings.clone();
            let changed = if changed == "home" {
                Settings { home: other.home, ..settings }
            } else {
                Settings { cache: other.home, ..settings }
            };
            of(&plan, &changed, "")
        }));
        others.push(usual);
        let all = others.len();
        others.sort();
        others.dedup();
        assert_eq!(others.len(), all);
    }
}
