//! Which model answers when none is named.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use super::QueryPlan;
use crate::providers::{ModelRef, ProviderKind, ProviderPlan};

/// What answers with an `OPENAI_API_KEY` alone: fast and cheap, follows citation rules, and accepts a temperature (the GPT-5 minis
/// before 5.4 refuse any but 1).
pub const OPENAI_MODEL: &str = "gpt-5.4-mini";
/// What answers with an `ANTHROPIC_API_KEY` alone: the generation's middle tier, which accepts a temperature.
pub const ANTHROPIC_MODEL: &str = "claude-sonnet-4-6";
/// How long a running Ollama may take to list its models before it counts as not running.
pub const OLLAMA_PROBE_TIMEOUT: Duration = Duration::from_millis(300);

/// The model that answers: the plan's own, else the first that is there of `OPENAI_API_KEY`, `ANTHROPIC_API_KEY` and a running
/// Ollama with a chat model installed.
///
/// `env` looks an environment variable up. `tags` gets the body of `GET /api/tags` from an Ollama, `None` when it does not run; it
/// is given [`OLLAMA_PROBE_TIMEOUT`] and only called when there is no key.
pub async fn default_model<F>(
    plan: &QueryPlan,
    providers: &BTreeMap<String, ProviderPlan>,
    env: impl Fn(&str) -> Option<String>,
    tags: impl FnOnce(ProviderPlan) -> F,
) -> Option<ModelRef>
where
    F: Future<Output = Option<Vec<u8>>>,
{
    if plan.model.is_some() {
        return plan.model.clone();
    }
    let provider = |name: &str, kind| providers.get(name).filter(|provider| provider.kind == kind);
    let keyed = [
        ("openai", ProviderKind::OpenAi, "OPENAI_API_KEY", OPENAI_MODEL),
        ("anthropic", ProviderKind::Anthropic, "ANTHROPIC_API_KEY", ANTHROPIC_MODEL),
    ];
    for (name, kind, variable, model) in keyed {
        if provider(name, kind).is_some() && env(variable).is_some_and(|key| !key.trim().is_empty()) {
            return Some(ModelRef { provider: name.into(), model: model.into() });
        }
    }
    let ollama = provider("ollama", ProviderKind::Ollama)?;
    let body = tokio::time::timeout(OLLAMA_PROBE_TIMEOUT, tags(ollama.clone())).await.ok().flatten()?;
    let model = chat_model(&body);
    tracing::debug!(model = model.as_deref().unwrap_or("none that chats"), "a running Ollama");
    Some(ModelRef { provider: "ollama".into(), model: model? })
}

#[derive(Deserialize)]
struct Tags {
    models: Vec<Tag>,
}

#[derive(Deserialize)]
struct Tag {
    name: String,
    #[serde(default)]
    details: Details,
}

#[derive(Deserialize, Default)]
struct Details {
    #[serde(default)]
    family: String,
}

/// The first model that chats in an answer of `/api/tags`, which lists the most recently changed first.
fn chat_model(body: &[u8]) -> Option<String> {
    let tags: Tags = serde_json::from_slice(body).ok()?;
    tags.models.into_iter().find(|tag| !only_embeds(tag)).map(|tag| tag.name)
}

/// Ollama lists embedding models with the others and says of none what it can do; those in its library are BERTs, or have it in
/// their name.
fn only_embeds(tag: &Tag) -> bool {
    let name = tag.name.to_lowercase();
    tag.details.family.to_lowercase().contains("bert")
        || ["embed", "minilm", "bge-", "rerank", "paraphrase-"].iter().any(|part| name.contains(part))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed test panics")]
mod tests {
    use std::num::NonZeroUsize;

    use super::*;
    use crate::answer::{FusionPlan, RetrieveMode, SelectPlan};
    use crate::limits::Limits;
    use crate::providers::RetryPlan;

    fn providers() -> BTreeMap<String, ProviderPlan> {
        let provider = |name: &str, kind| ProviderPlan {
            name: name.into(),
            kind,
            base_url: "http://localhost:1".parse().unwrap(),
            api_key: None,
            key_variable: None,
            limits: Limits::default(),
            timeout: Duration::from_mins(1),
            retry: RetryPlan::default(),
            identity: None,
            prices: BTreeMap::new(),
        };
        let kinds =
            [("openai", ProviderKind::OpenAi), ("anthropic", ProviderKind::Anthropic), ("ollama", ProviderKind::Ollama)];
        kinds.into_iter().map(|(name, kind)| (name.to_owned(), provider(name, kind))).collect()
    }

    fn plan(model: Option<ModelRef>) -> QueryPlan {
        QueryPlan {
            limit: NonZeroUsize::MIN,
            mode: RetrieveMode::Hybrid,
            fusion: FusionPlan::Rrf { k: 2.0, weight: 0.5 },
            select: SelectPlan::default(),
            model,
            fallback: Vec::new(),
            fallback_after: Duration::from_secs(30),
            max_tokens: 1,
            temperature: None,
            context_tokens: 1,
            prompt: None,
        }
    }

    const TAGS: &str = r#"{"models":[
        {"name":"nomic-embed-text:latest","details":{"family":"nomic-bert"}},
        {"name":"bge-m3:latest","details":{"family":"other"}},
        {"name":"qwen3-embedding:0.6b","details":{"family":"qwen3"}},
        {"name":"llama3.2:3b","size":1,"details":{"family":"llama","families":["llama"]}},
        {"name":"qwen3:8b"}]}"#;

    async fn choose(model: Option<ModelRef>, keys: &[(&str, &str)], tags: Option<&str>) -> Option<String> {
        let env = |name: &str| keys.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        let body = tags.map(|tags| tags.as_bytes().to_vec());
        default_model(&plan(model), &providers(), env, |_| async { body }).await.map(|model| model.to_string())
    }

    #[tokio::test]
    async fn the_first_that_is_there() {
        let (openai, anthropic) = (("OPENAI_API_KEY", "k"), ("ANTHROPIC_API_KEY", "k"));
        let named = ModelRef { provider: "gemini".into(), model: "g".into() };
        assert_eq!(choose(Some(named), &[openai], None).await.unwrap(), "gemini/g");
        assert_eq!(choose(None, &[anthropic, openai], Some(TAGS)).await.unwrap(), format!("openai/{OPENAI_MODEL}"));
        assert_eq!(
            choose(None, &[("OPENAI_API_KEY", " "), anthropic], None).await.unwrap(),
            format!("anthropic/{ANTHROPIC_MODEL}")
        );
        assert_eq!(choose(None, &[], Some(TAGS)).await.unwrap(), "ollama/llama3.2:3b");
        assert_eq!(choose(None, &[], None).await, None);
        assert_eq!(choose(None, &[], Some(r#"{"models":[]}"#)).await, None);
        assert_eq!(choose(None, &[], Some("<html>not Ollama</html>")).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn an_ollama_that_hangs_counts_as_not_running() {
        let started = tokio::time::Instant::now();
        let model = default_model(&plan(None), &providers(), |_| None, |_| std::future::pending()).await;
        assert_eq!(model, None);
        assert_eq!(started.elapsed(), OLLAMA_PROBE_TIMEOUT);
    }
}
