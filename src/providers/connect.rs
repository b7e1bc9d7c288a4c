//! From a plan to the models it names: one connection a provider, made when it is first used.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::embedding::{Wire, remote};
use super::http::{Auth, Http};
use super::local::{Download, Hub};
use super::rerank::{self, Format, Reranker};
use super::{ChatModel, Embedder, ErrorKind, ProviderError, local};
use super::{chat_anthropic, chat_gemini, chat_ollama, chat_openai};
use crate::limits::Stats;
use crate::providers::{EmbedPlan, ModelRef, ProviderKind, ProviderPlan};

/// The providers of a run. Everything that talks to one of them goes through the same connection and the same limits.
#[derive(Debug)]
pub struct Providers {
    plans: BTreeMap<String, ProviderPlan>,
    /// Where models that run in process are kept, and what is learned of limits.
    cache_dir: PathBuf,
    /// Where the files of such models come from.
    hub: Hub,
    downloads: watch::Receiver<Option<Download>>,
    connections: Mutex<BTreeMap<String, Arc<Http>>>,
}

impl Providers {
    /// The providers of a plan, by name. Nothing is connected yet. `cache_dir` holds the models that run in process.
    pub fn new(plans: BTreeMap<String, ProviderPlan>, cache_dir: PathBuf) -> Self {
        let (progress, downloads) = watch::channel(None);
        let mut hub = Hub::from_env();
        hub.progress = Some(progress);
        Self { plans, cache_dir, hub, downloads, connections: Mutex::default() }
    }

    /// The plans of the providers, by name.
    pub fn plans(&self) -> &BTreeMap<String, ProviderPlan> {
        &self.plans
    }

    /// The embedding model that is planned. Nothing is sent yet; a local model is loaded (and fetched, where it must be).
    pub async fn embedder(&self, embed: &EmbedPlan) -> Result<Arc<dyn Embedder>, ProviderError> {
        let plan = self.plan(&embed.model)?;
        match plan.kind {
            ProviderKind::Local => local::embedder_from(&embed.model.model, &self.cache_dir, &self.hub).await,
            ProviderKind::OpenAi => Ok(remote(Wire::OpenAi, self.http(plan)?, embed)),
            ProviderKind::Gemini => Ok(remote(Wire::Gemini, self.http(plan)?, embed)),
            ProviderKind::Ollama => Ok(remote(Wire::Ollama, self.http(plan)?, embed)),
            ProviderKind::Cohere => Ok(remote(Wire::Cohere, self.http(plan)?, embed)),
            ProviderKind::Voyage => Ok(remote(Wire::Voyage, self.http(plan)?, embed)),
            ProviderKind::Jina => Ok(remote(Wire::Jina, self.http(plan)?, embed)),
            ProviderKind::Anthropic => Err(wrong_pairing(plan, "Anthropic has no embedding models", "embed.model", EMBEDDERS)),
        }
    }

    /// The chat model of this name. Nothing is sent yet.
    pub fn chat_model(&self, model: &ModelRef) -> Result<Arc<dyn ChatModel>, ProviderError> {
        let plan = self.plan(model)?;
        let name = &model.model;
        Ok(match plan.kind {
            ProviderKind::OpenAi => chat_openai::model(self.http(plan)?, plan, name),
            ProviderKind::Anthropic => chat_anthropic::model(self.http(plan)?, plan, name),
            ProviderKind::Gemini => chat_gemini::model(self.http(plan)?, plan, name),
            ProviderKind::Ollama => chat_ollama::model(self.http(plan)?, plan, name),
            ProviderKind::Cohere | ProviderKind::Voyage | ProviderKind::Jina | ProviderKind::Local => {
                let told = "ragstream has no chat models of this provider's kind";
                return Err(wrong_pairing(plan, told, "query.answer.model", CHAT_MODELS));
            }
        })
    }

    /// The reranker of this name. Nothing is sent yet.
    pub fn reranker(&self, model: &ModelRef) -> Result<Arc<dyn Reranker>, ProviderError> {
        let plan = self.plan(model)?;
        let format = match plan.kind {
            ProviderKind::Cohere => Format::Cohere,
            ProviderKind::Voyage => Format::Voyage,
            ProviderKind::Jina => Format::Jina,
            ProviderKind::OpenAi
            | ProviderKind::Anthropic
            | ProviderKind::Gemini
            | ProviderKind::Ollama
            | ProviderKind::Local => {
                let told = "ragstream has no rerankers of this provider's kind";
                return Err(wrong_pairing(plan, told, "query.retrieve.rerank.model", RERANKERS));
            }
        };
        Ok(rerank::remote(format, self.http(plan)?, model))
    }

    /// The connection of this name, for what is neither an embedding nor a chat ("is Ollama running?").
    pub fn connection(&self, provider: &str) -> Result<Arc<Http>, ProviderError> {
        self.http(self.plan_of(provider)?)
    }

    /// How the download of a model that runs in process goes on; `None` while there is none.
    pub fn downloads(&self) -> watch::Receiver<Option<Download>> {
        self.downloads.clone()
    }

    /// What every provider was asked so far, by name; those that were not used are left out.
    pub fn stats(&self) -> BTreeMap<String, Stats> {
        self.connections().iter().map(|(name, http)| (name.clone(), http.stats())).collect()
    }

    fn plan(&self, model: &ModelRef) -> Result<&ProviderPlan, ProviderError> {
        self.plan_of(&model.provider)
    }

    fn plan_of(&self, provider: &str) -> Result<&ProviderPlan, ProviderError> {
        self.plans.get(provider).ok_or_else(|| {
            let mut error = ProviderError::new(provider, ErrorKind::NotFound, "no such provider");
            error.hint = Some("declare it under `providers` in the pipeline file".to_owned());
            error
        })
    }

    fn http(&self, plan: &ProviderPlan) -> Result<Arc<Http>, ProviderError> {
        let mut connections = self.connections();
        if let Some(http) = connections.get(&plan.name) {
            return Ok(http.clone());
        }
        let key = plan.api_key.as_ref().map_or("", |key| key.expose());
        let http = Arc::new(Http::new(plan, auth(plan.kind))?.remembering(&self.cache_dir.join("limits"), key));
        connections.insert(plan.name.clone(), http.clone());
        Ok(http)
    }

    fn connections(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Http>>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const EMBEDDERS: &str = "openai, gemini, ollama, cohere, voyage, jina or local";
const RERANKERS: &str = "cohere, voyage or jina";
const CHAT_MODELS: &str = "openai, anthropic, gemini or ollama";

fn wrong_pairing(plan: &ProviderPlan, told: &str, key: &str, instead: &str) -> ProviderError {
    let mut error = ProviderError::new(&plan.name, ErrorKind::NotFound, told);
    error.hint = Some(format!("set `{key}` to a model of a provider of the kind {instead}"));
    error
}

/// How a kind of provider wants its key.
fn auth(kind: ProviderKind) -> Auth {
    match kind {
        ProviderKind::OpenAi | ProviderKind::Ollama | ProviderKind::Cohere | ProviderKind::Voyage | ProviderKind::Jina => {
            Auth::Bearer
        }
        ProviderKind::Anthropic => Auth::Header("x-api-key"),
        ProviderKind::Gemini => Auth::Header("x-goog-api-key"),
        ProviderKind::Local => Auth::None,
    }
}
