//! From a plan to the models it names: one connection a provider, made when it is first used.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::accounts::Accounts;
use super::http::Http;
use super::local::{Download, Hub};
use super::vendors::{EmbedBackend, RerankBackend, Vendor};
use super::{
    ChatModel, Decider, Embedder, ErrorKind, ProviderError, ProviderKind, Reranker, chat, decide, embed, local, prices, rerank,
};
use super::{EmbedPlan, ModelRef, ProviderPlan};
use crate::limits::{Allowed, Limiter, SharedLimits, Stats};

/// The providers of a run. Everything that talks to one of them goes through the same connection and the same limits.
#[derive(Debug)]
pub struct Providers {
    plans: BTreeMap<String, ProviderPlan>,
    /// The folder of models that run in process, and of what is learned of limits.
    cache_dir: PathBuf,
    /// The source of such models' files.
    hub: Hub,
    downloads: watch::Receiver<Option<Download>>,
    connections: Mutex<BTreeMap<String, Arc<Http>>>,
    /// Those in process, by their names.
    rerankers: Mutex<BTreeMap<String, Arc<dyn Reranker>>>,
    shared_limits: Option<Arc<dyn SharedLimits>>,
    accounts: Option<Arc<Accounts>>,
}

impl Providers {
    /// The providers of a plan, by name. Nothing is connected yet. `cache_dir` holds the models that run in process.
    pub fn new(plans: BTreeMap<String, ProviderPlan>, cache_dir: PathBuf) -> Self {
        let (progress, downloads) = watch::channel(None);
        let mut hub = Hub::from_env();
        hub.progress = Some(progress);
        Self {
            plans,
            cache_dir,
            hub,
            downloads,
            connections: Mutex::default(),
            rerankers: Mutex::default(),
            shared_limits: None,
            accounts: None,
        }
    }

    /// The same, with quotas that are shared with other workers. To be said before anything is connected.
    #[must_use]
    pub fn with_shared_limits(mut self, shared: Arc<dyn SharedLimits>) -> Self {
        self.shared_limits = Some(shared);
        self
    }

    /// The same, with the quotas of accounts that others in this process use, too. To be said before anything is connected.
    #[must_use]
    pub fn with_accounts(mut self, accounts: Arc<Accounts>) -> Self {
        self.accounts = Some(accounts);
        self
    }

    /// Tells the other workers all that they have to know of shared quotas: at the end of a run.
    pub async fn flush_limits(&self) {
        let all: Vec<Arc<Http>> = self.connections().values().cloned().collect();
        for http in all {
            http.limiter().flush().await;
        }
    }

    /// The plans of the providers, by name.
    pub fn plans(&self) -> &BTreeMap<String, ProviderPlan> {
        &self.plans
    }

    /// The embedding model that is planned. Nothing is sent yet; a local model is loaded (and fetched, where it must be).
    pub async fn embedder(&self, embed: &EmbedPlan) -> Result<Arc<dyn Embedder>, ProviderError> {
        let plan = self.plan(&embed.model)?;
        let vendor = Vendor::of(plan.kind);
        match &vendor.embed {
            Some(EmbedBackend::Api(api)) => {
                let price = prices::of(plan, &embed.model.model);
                Ok(embed::remote(vendor.name, api, self.http(plan)?, embed, price))
            }
            Some(EmbedBackend::InProcess) => local::embedder_from(&embed.model.model, &self.cache_dir, &self.hub).await,
            None => Err(wrong_pairing(plan, "embedding models", "embed.model", ProviderKind::can_embed)),
        }
    }

    /// The chat model of this name. Nothing is sent yet.
    pub fn chat_model(&self, model: &ModelRef) -> Result<Arc<dyn ChatModel>, ProviderError> {
        let plan = self.plan(model)?;
        match &Vendor::of(plan.kind).chat {
            Some(api) => Ok(chat::remote(api, self.http(plan)?, model, prices::of(plan, &model.model))),
            None => Err(wrong_pairing(plan, "chat models", "query.answer.model", ProviderKind::can_chat)),
        }
    }

    /// The reranker of this name. Nothing is sent yet, and none that runs in process is loaded: see [`Reranker::prepare`].
    pub fn reranker(&self, model: &ModelRef) -> Result<Arc<dyn Reranker>, ProviderError> {
        let plan = self.plan(model)?;
        let vendor = Vendor::of(plan.kind);
        match (&vendor.rerank, &vendor.decide) {
            (Some(RerankBackend::InProcess), _) => self.local_reranker(&model.model),
            (Some(RerankBackend::Api(api)), _) => {
                Ok(rerank::remote(api, self.http(plan)?, model, prices::of(plan, &model.model)))
            }
            (None, Some(_)) => Ok(decide::reranker(self.decider(model)?)),
            (None, None) => Err(wrong_pairing(plan, "rerankers", "query.retrieve.rerank.model", ProviderKind::can_rerank)),
        }
    }

    /// One copy of each: it is large.
    fn local_reranker(&self, model: &str) -> Result<Arc<dyn Reranker>, ProviderError> {
        let mut rerankers = self.rerankers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(reranker) = rerankers.get(model) {
            return Ok(Arc::clone(reranker));
        }
        let reranker = local::reranker(model, &self.cache_dir, &self.hub)?;
        rerankers.insert(model.to_owned(), Arc::clone(&reranker));
        Ok(reranker)
    }

    /// The decision model of this name. Nothing is sent yet.
    pub fn decider(&self, model: &ModelRef) -> Result<Arc<dyn Decider>, ProviderError> {
        let plan = self.plan(model)?;
        match &Vendor::of(plan.kind).decide {
            Some(api) => Ok(decide::remote(api, self.http(plan)?, model, prices::of(plan, &model.model))),
            None => Err(wrong_pairing(plan, "decision models", "query.decide.model", ProviderKind::can_decide)),
        }
    }

    /// Makes room for these models (`provider/model`) to be asked at the same moment, behind those of their providers whose places
    /// nobody has declared.
    pub fn make_room<'a>(&self, models: impl IntoIterator<Item = &'a str>) {
        let mut together: BTreeMap<&str, u32> = BTreeMap::new();
        for model in models {
            *together.entry(model.split('/').next().unwrap_or_default()).or_default() += 1;
        }
        let connections = self.connections();
        let mut limiters: Vec<(&Limiter, u32)> = Vec::new();
        for (limiter, more) in together.into_iter().filter_map(|(name, more)| Some((connections.get(name)?.limiter(), more))) {
            // Two names may be one account.
            match limiters.iter_mut().find(|(other, _)| other.is(limiter)) {
                Some((_, together)) => *together += more,
                None => limiters.push((limiter, more)),
            }
        }
        for (limiter, together) in limiters {
            limiter.make_room(together);
        }
    }

    /// The connection of this name, for what is neither an embedding nor a chat ("is Ollama running?").
    pub fn connection(&self, provider: &str) -> Result<Arc<Http>, ProviderError> {
        self.http(self.plan_of(provider)?)
    }

    /// The progress of the download of a model that runs in process; `None` while there is none.
    pub fn downloads(&self) -> watch::Receiver<Option<Download>> {
        self.downloads.clone()
    }

    /// The requests to every provider so far, by name; those that were not used are left out.
    pub fn stats(&self) -> BTreeMap<String, Stats> {
        self.connections().iter().map(|(name, http)| (name.clone(), http.stats())).collect()
    }

    /// What every provider allows, as far as it is known, by name; those that were not used are left out.
    pub fn allowed(&self) -> BTreeMap<String, Allowed> {
        self.connections().iter().map(|(name, http)| (name.clone(), http.limiter().allowed())).collect()
    }

    /// Requests and tokens a minute of every provider that was used, by name: as declared, as it says, or as learned.
    pub fn quotas(&self) -> BTreeMap<String, (Option<u64>, Option<u64>)> {
        self.connections().iter().map(|(name, http)| (name.clone(), http.quota())).collect()
    }

    fn plan(&self, model: &ModelRef) -> Result<&ProviderPlan, ProviderError> {
        self.plan_of(&model.provider)
    }

    fn plan_of(&self, provider: &str) -> Result<&ProviderPlan, ProviderError> {
        self.plans.get(provider).ok_or_else(|| {
            let error = ProviderError::new(provider, ErrorKind::NotFound, "no such provider");
            error.with_hint("declare it under `providers` in the pipeline file")
        })
    }

    fn http(&self, plan: &ProviderPlan) -> Result<Arc<Http>, ProviderError> {
        let mut connections = self.connections();
        if let Some(http) = connections.get(&plan.name) {
            return Ok(http.clone());
        }
        let key = plan.api_key.as_ref().map_or("", |key| key.expose());
        let mut http = Http::connect(plan)?.remembering(&self.cache_dir.join("limits"), key);
        if let Some(shared) = &self.shared_limits {
            http = http.sharing(&**shared, key);
        } else if let Some(accounts) = &self.accounts {
            http = http.of_account(accounts, key);
        }
        let http = Arc::new(http);
        connections.insert(plan.name.clone(), http.clone());
        Ok(http)
    }

    fn connections(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Http>>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Http {
    /// A connection as planned, with limits of its own. Nothing is sent yet.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when the variable that says where it is cannot be read, [`ErrorKind::Auth`] when a vendor that needs a key
    /// has none, [`ErrorKind::Network`] when TLS cannot be set up.
    pub fn connect(plan: &ProviderPlan) -> Result<Self, ProviderError> {
        if let Some(misled) = &plan.misled {
            return Err(ProviderError::new(&plan.name, ErrorKind::NotFound, misled));
        }
        Self::new(plan, &Vendor::of(plan.kind).site, plan.identity())
    }
}

/// The error of a provider whose kind has no such models. `able` tells the kinds that have some.
fn wrong_pairing(plan: &ProviderPlan, models: &str, key: &str, able: fn(ProviderKind) -> bool) -> ProviderError {
    let message = format!("ragstream has no {models} of this provider's kind");
    let able: Vec<&str> = ProviderKind::ALL.iter().filter(|kind| able(**kind)).map(|kind| kind.name()).collect();
    let instead = match able.split_last() {
        Some((last, [])) => (*last).to_owned(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => String::new(),
    };
    ProviderError::new(&plan.name, ErrorKind::NotFound, message)
        .with_hint(format!("set `{key}` to a model of a provider of the kind {instead}"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail loudly")]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::limits::Limits;
    use crate::providers::Secret;

    fn providers(accounts: &Arc<Accounts>, cache: &tempfile::TempDir, key: &str, limits: Limits) -> Providers {
        let plan = ProviderPlan {
            name: "them".into(),
            base_url: "http://localhost:1".parse().unwrap(),
            api_key: Some(Secret::new(key)),
            limits,
            ..ProviderPlan::new(ProviderKind::OpenAi)
        };
        let plans = BTreeMap::from([("them".to_owned(), plan)]);
        Providers::new(plans, cache.path().to_owned()).with_accounts(Arc::clone(accounts))
    }

    #[tokio::test(start_paused = true)]
    async fn an_account_has_one_quota_whoever_uses_it_and_each_is_counted_apart() {
        let (accounts, cache) = (Arc::default(), tempfile::tempdir().unwrap());
        let declared = Limits { rpm: Some(4), ..Limits::default() };
        let limiter = |key, limits| {
            let providers = providers(&accounts, &cache, key, limits);
            providers.connection("them").unwrap().limiter().clone()
        };
        // Whether three requests may leave now.
        let leaves = async |limiter: &Limiter| {
            let three = async {
                for _ in 0..3 {
                    drop(limiter.admit(limiter.ticket(), 1).await);
                }
            };
            tokio::time::timeout(Duration::from_secs(40), three).await.is_ok()
        };
        let one = limiter("k", declared);
        assert!(leaves(&one).await);
        let other = limiter("k", declared);
        assert!(!leaves(&other).await, "the quota of this minute is used up by both");
        assert_eq!(one.stats().requests, 3);
        assert!(other.stats().requests < 3, "{:?}", other.stats());
        assert_eq!(one.allowed().used, other.allowed().used);
        for apart in [limiter("another key", declared), limiter("k", Limits { tpm: Some(1_000_000), ..declared })] {
            assert!(leaves(&apart).await);
        }
    }
}
