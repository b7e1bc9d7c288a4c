//! The choice of models that answer a question, and their order.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use serde::Deserialize;

use super::decide::Deciding;
use super::plan::{DecidePlan, QueryPlan};
use super::question::{ModelChoice, Question};
use super::whole::Quota;
use crate::providers::{
    ChatModel, ChatRequest, ChatStream, Decider, ErrorKind, ModelRef, ProviderError, ProviderKind, ProviderPlan, Providers,
};

/// The model that answers with an `OPENAI_API_KEY` alone: fast and cheap, follows citation rules, and accepts a temperature (the GPT-5 minis
/// before 5.4 refuse any but 1).
pub const OPENAI_MODEL: &str = "gpt-5.4-mini";
/// The model that answers with an `ANTHROPIC_API_KEY` alone: the generation's middle tier, which accepts a temperature.
pub const ANTHROPIC_MODEL: &str = "claude-sonnet-4-6";
/// Requests under way at once where the provider's concurrency is not declared: as many as in a batch.
const CONCURRENCY: usize = 8;
/// How long a running Ollama may take to list its models before it counts as not running.
pub const OLLAMA_PROBE_TIMEOUT: Duration = Duration::from_millis(300);

/// Looks an environment variable up.
pub type Env = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// The models that can be asked: those that are planned, and any other of the same providers. The default has none.
#[derive(Clone)]
pub struct Models {
    model: ModelChoice,
    fallback: Vec<ModelChoice>,
    providers: Option<Arc<Providers>>,
    env: Env,
    decide: Option<DecidePlan>,
    decider: Arc<OnceLock<Arc<dyn Decider>>>,
}

impl Default for Models {
    fn default() -> Self {
        Self {
            model: ModelChoice::Passages,
            fallback: Vec::new(),
            providers: None,
            env: Arc::new(|_| None),
            decide: None,
            decider: Arc::default(),
        }
    }
}

impl fmt::Debug for Models {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Models").field("model", &self.model).field("fallback", &self.fallback).finish_non_exhaustive()
    }
}

impl Models {
    /// The models that a plan names, over these providers. Where it names none, `env` tells which keys there are.
    pub fn planned(plan: &QueryPlan, providers: Arc<Providers>, env: Env) -> Self {
        Self {
            model: plan.model.clone().map_or(ModelChoice::Planned, ModelChoice::Named),
            fallback: plan.fallback.iter().cloned().map(ModelChoice::Named).collect(),
            providers: Some(providers),
            env,
            decide: plan.decide.clone(),
            decider: Arc::default(),
        }
    }

    /// The same with a decision model of one's own, each of whose decisions may take so long.
    #[must_use]
    pub fn with_decider(self, decider: Arc<dyn Decider>, deadline: Duration) -> Self {
        let decide = Some(DecidePlan { model: ModelRef::named(decider.model()), deadline });
        Self { decide, decider: Arc::new(OnceLock::from(decider)), ..self }
    }

    /// The decision model, for one question; `None`: none is set.
    ///
    /// # Errors
    /// When it cannot be had.
    pub(super) fn deciding(&self) -> Result<Option<Deciding>, ProviderError> {
        let Some(DecidePlan { model, deadline }) = &self.decide else { return Ok(None) };
        let decider = match (self.decider.get(), &self.providers) {
            (Some(known), _) => Arc::clone(known),
            // What it has found out of its server is kept.
            (None, Some(providers)) => {
                let opened = providers.decider(model)?;
                Arc::clone(self.decider.get_or_init(|| opened))
            }
            (None, None) => return Ok(None),
        };
        Ok(Some(Deciding::new(decider, *deadline)))
    }

    /// One's own: the model that answers, and those that stand by.
    pub fn own(model: Arc<dyn ChatModel>, fallback: Vec<Arc<dyn ChatModel>>) -> Self {
        let fallback = fallback.into_iter().map(ModelChoice::Own).collect();
        Self { model: ModelChoice::Own(model), fallback, ..Self::default() }
    }

    /// The models to ask, one after the other until one answers, each once. None: the passages are the answer.
    ///
    /// # Errors
    /// When there is one model alone and it cannot be had, which is better said before anything is shown. One among several fails
    /// when it is asked.
    pub(super) async fn line_up(&self, question: &Question) -> Result<Vec<Arc<dyn ChatModel>>, ProviderError> {
        let first = match &question.model {
            ModelChoice::Passages => return Ok(Vec::new()),
            ModelChoice::Planned => self.first().await,
            chosen => Some(chosen.clone()),
        };
        let mut choices: Vec<ModelChoice> = first.into_iter().collect();
        for choice in question.fallback.as_ref().unwrap_or(&self.fallback) {
            if choice.name().is_some_and(|name| choices.iter().all(|other| other.name().as_ref() != Some(&name))) {
                choices.push(choice.clone());
            }
        }
        match choices.as_slice() {
            [] => Ok(Vec::new()),
            [only] => Ok(vec![self.open(only)?]),
            several => Ok(several.iter().map(|choice| self.open_or_failing(choice)).collect()),
        }
    }

    /// One of several models: one that cannot be had fails when it is asked.
    pub(super) async fn member(&self, choice: &ModelChoice) -> Arc<dyn ChatModel> {
        match choice {
            ModelChoice::Planned => self.open_or_failing(&self.first().await.unwrap_or(ModelChoice::Passages)),
            chosen => self.open_or_failing(chosen),
        }
    }

    /// Makes room for all of them to be asked at the same moment.
    pub(super) fn make_room(&self, models: &[Arc<dyn ChatModel>]) {
        if let Some(providers) = &self.providers {
            providers.make_room(models.iter().map(|model| model.model()));
        }
    }

    /// What the provider of a model (`provider/model`) allows, as far as that is known.
    pub(super) fn quota(&self, model: &str) -> Quota {
        let name = model.split('/').next().unwrap_or_default();
        let known = self.providers.as_ref().and_then(|providers| Some((providers, providers.plans().get(name)?.limits)));
        let Some((providers, declared)) = known else { return Quota { concurrency: CONCURRENCY, ..Quota::default() } };
        let (rpm, tpm) = providers.quotas().get(name).copied().unwrap_or_default();
        Quota {
            rpm: declared.rpm.map(u64::from).or(rpm),
            tpm: declared.tpm.map(u64::from).or(tpm),
            concurrency: declared.concurrency.map_or(CONCURRENCY, |concurrency| concurrency as usize),
        }
    }

    /// The planned model, or the first that is there.
    async fn first(&self) -> Option<ModelChoice> {
        match &self.model {
            ModelChoice::Passages => None,
            ModelChoice::Planned => self.default_model().await.map(ModelChoice::Named),
            chosen => Some(chosen.clone()),
        }
    }

    async fn default_model(&self) -> Option<ModelRef> {
        let providers = self.providers.as_ref()?;
        let tags = |ollama: ProviderPlan| async move {
            providers.connection(&ollama.name).ok()?.get("/api/tags", OLLAMA_PROBE_TIMEOUT).await.ok().map(Vec::from)
        };
        default_model(providers.plans(), &*self.env, tags).await
    }

    fn open_or_failing(&self, choice: &ModelChoice) -> Arc<dyn ChatModel> {
        self.open(choice).unwrap_or_else(|error| Arc::new(Failing { name: choice.name().unwrap_or_default(), error }))
    }

    fn open(&self, choice: &ModelChoice) -> Result<Arc<dyn ChatModel>, ProviderError> {
        match (choice, &self.providers) {
            (ModelChoice::Own(model), _) => Ok(Arc::clone(model)),
            (ModelChoice::Named(model), Some(providers)) => providers.chat_model(model),
            (ModelChoice::Named(model), None) => {
                Err(ProviderError::new(&model.provider, ErrorKind::NotFound, "no providers are at hand: name one's own model"))
            }
            (ModelChoice::Planned | ModelChoice::Passages, _) => {
                Err(ProviderError::new("answer", ErrorKind::ModelMissing, "no model is set"))
            }
        }
    }
}

/// A model that fails with what was wrong with it when it is asked: so a missing key is one model's failure among several, and no
/// earlier than its turn.
#[derive(Debug)]
struct Failing {
    name: String,
    error: ProviderError,
}

#[async_trait]
impl ChatModel for Failing {
    fn model(&self) -> &str {
        &self.name
    }

    async fn chat(&self, _: ChatRequest) -> Result<ChatStream, ProviderError> {
        let ProviderError { provider, kind, message, hint, .. } = &self.error;
        Err(ProviderError { hint: hint.clone(), ..ProviderError::new(provider, *kind, message) })
    }
}

/// The model that answers where none is named: the first that is there of `OPENAI_API_KEY`, `ANTHROPIC_API_KEY` and a running
/// Ollama with a chat model installed.
///
/// `env` looks an environment variable up. `tags` gets the body of `GET /api/tags` from an Ollama, `None` when it does not run; it
/// is given [`OLLAMA_PROBE_TIMEOUT`] and only called when there is no key.
pub async fn default_model<F>(
    providers: &BTreeMap<String, ProviderPlan>,
    env: impl Fn(&str) -> Option<String>,
    tags: impl FnOnce(ProviderPlan) -> F,
) -> Option<ModelRef>
where
    F: Future<Output = Option<Vec<u8>>>,
{
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
    if let Some(misled) = &ollama.misled {
        tracing::warn!("{misled}: Ollama is not asked");
        return None;
    }
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
    details: serde_json::Value,
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
    let family = tag.details.get("family").and_then(serde_json::Value::as_str).unwrap_or_default();
    family.to_lowercase().contains("bert")
        || ["embed", "minilm", "bge-", "rerank", "paraphrase-"].iter().any(|part| name.contains(part))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed test panics")]
mod tests {
    use super::*;
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
            misled: None,
        };
        let kinds =
            [("openai", ProviderKind::OpenAi), ("anthropic", ProviderKind::Anthropic), ("ollama", ProviderKind::Ollama)];
        kinds.into_iter().map(|(name, kind)| (name.to_owned(), provider(name, kind))).collect()
    }

    const TAGS: &str = r#"{"models":[
        {"name":"nomic-embed-text:latest","details":{"family":"nomic-bert"}},
        {"name":"bge-m3:latest","details":{"family":"other"}},
        {"name":"qwen3-embedding:0.6b","details":{"family":"qwen3"}},
        {"name":"bge-large","details":null},
        {"name":"llama3.2:3b","size":1,"details":{"family":"llama","families":["llama"]}},
        {"name":"qwen3:8b"}]}"#;

    async fn choose(keys: &[(&str, &str)], tags: Option<&str>) -> Option<String> {
        let env = |name: &str| keys.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        let body = tags.map(|tags| tags.as_bytes().to_vec());
        default_model(&providers(), env, |_| async { body }).await.map(|model| model.to_string())
    }

    #[tokio::test]
    async fn the_first_that_is_there() {
        let (openai, anthropic) = (("OPENAI_API_KEY", "k"), ("ANTHROPIC_API_KEY", "k"));
        assert_eq!(choose(&[anthropic, openai], Some(TAGS)).await.unwrap(), format!("openai/{OPENAI_MODEL}"));
        assert_eq!(choose(&[("OPENAI_API_KEY", " "), anthropic], None).await.unwrap(), format!("anthropic/{ANTHROPIC_MODEL}"));
        assert_eq!(choose(&[], Some(TAGS)).await.unwrap(), "ollama/llama3.2:3b");
        assert_eq!(choose(&[], None).await, None);
        assert_eq!(choose(&[], Some(r#"{"models":[]}"#)).await, None);
        assert_eq!(choose(&[], Some("<html>not Ollama</html>")).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn an_ollama_that_hangs_counts_as_not_running() {
        let started = tokio::time::Instant::now();
        let model = default_model(&providers(), |_| None, |_| std::future::pending()).await;
        assert_eq!(model, None);
        assert_eq!(started.elapsed(), OLLAMA_PROBE_TIMEOUT);
    }
}
