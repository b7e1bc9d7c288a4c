//! The pipelines that are served, each with its connections, read anew when its file changes.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::error::ServeError;
use super::fault::Fault;
use super::identity::identity;

use crate::answer::Answerer;
use crate::error::{Error, reason};
use crate::pipeline::{self, Plan};
use crate::providers::{Accounts, Providers};
use crate::runtime::{Runtime, Settings};
use crate::tokenizer::{Tokenizer, TokenizerName};
use crate::vectordb::IndexMeta;

/// How often pipeline files are looked at.
const LOOK: Duration = Duration::from_secs(1);
/// For how long an index is taken to be the one that it was.
const SAME: Duration = Duration::from_secs(1);

/// The pipelines that are served.
pub(super) struct Pipelines {
    served: RwLock<Vec<Arc<Served>>>,
    /// Several of them may use one account at a provider, whose quota is one for all.
    accounts: Arc<Accounts>,
}

/// A pipeline with its connections.
pub(super) struct Served {
    pub(super) name: String,
    /// Its file; `None`: the one without a file.
    pub(super) file: Option<PathBuf>,
    pub(super) runtime: Arc<Runtime>,
    /// See [`identity`].
    pub(super) identity: String,
    stamp: Option<Stamp>,
    opened: tokio::sync::Mutex<Option<Opened>>,
    /// Why its file, as it is now, was not taken over.
    trouble: Mutex<Option<(Option<Stamp>, String)>>,
}

/// What tells that a file has changed: when it was written, and its size.
type Stamp = (SystemTime, u64);

/// What answers, and the index that it was opened for.
struct Opened {
    answerer: Answerer,
    index: IndexMeta,
    looked: Instant,
}

impl Pipelines {
    /// Reads the files; none: the pipeline without a file.
    pub(super) fn load(files: &[PathBuf], settings: &Settings) -> Result<Self, ServeError> {
        let mut served: Vec<Arc<Served>> = Vec::new();
        let accounts = Arc::default();
        for file in files {
            let one = Served::load(file, settings, &accounts).map_err(ServeError::Pipeline)?;
            if served.iter().any(|other| other.name == one.name) {
                return Err(ServeError::SameName(one.name));
            }
            served.push(Arc::new(one));
        }
        if served.is_empty() {
            served.push(Arc::new(Served::new(Plan::from_env(), None, None, settings.clone(), &accounts)));
        }
        Ok(Self { served: RwLock::new(served), accounts })
    }

    /// All of them, in the order in which they were named.
    pub(super) fn all(&self) -> Vec<Arc<Served>> {
        self.served.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.all().iter().map(|served| served.name.clone()).collect()
    }

    /// The one of this name.
    pub(super) fn get(&self, name: &str) -> Result<Arc<Served>, Fault> {
        let all = self.all();
        all.iter().find(|served| served.name == name).cloned().ok_or_else(|| {
            let names: Vec<&str> = all.iter().map(|served| served.name.as_str()).collect();
            Fault::missing(format!("no pipeline is called {name}")).hint(format!("there is {}", names.join(", ")))
        })
    }

    /// The same pipeline as its file is this very moment: an ingest by what the file said a second ago may pay for another model.
    pub(super) fn as_written(&self, served: Arc<Served>) -> Arc<Served> {
        self.reload(&served);
        let now = self.all().into_iter().find(|now| now.file.is_some() && now.file == served.file);
        now.unwrap_or(served)
    }

    /// Takes a pipeline over from its file where that has changed. One that is not valid keeps what there is.
    fn reload(&self, old: &Arc<Served>) {
        let Some(file) = &old.file else { return };
        let now = stamp(file);
        let mut trouble = old.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = trouble.as_ref().map_or(old.stamp, |(stamp, _)| *stamp);
        if now == seen {
            return;
        }
        let read = Served::load(file, &old.runtime.settings, &self.accounts).map_err(|diagnostics| diagnostics.to_string());
        let taken = |new: &Served| new.name != old.name && self.names().contains(&new.name);
        let read = match read {
            Ok(new) if taken(&new) => Err(format!("another pipeline is called {} already", new.name)),
            read => read,
        };
        match read {
            Ok(new) => {
                tracing::info!(pipeline = new.name, "the pipeline's file has changed and is taken over");
                *trouble = None;
                let mut served = self.served.write().unwrap_or_else(PoisonError::into_inner);
                if let Some(place) = served.iter_mut().find(|served| Arc::ptr_eq(served, old)) {
                    *place = Arc::new(new);
                }
            }
            Err(message) => {
                tracing::warn!(pipeline = old.name, %message, "the pipeline's file has changed and is not valid: the old one is served on");
                *trouble = Some((now, message));
            }
        }
    }
}

impl Served {
    fn new(plan: Plan, file: Option<PathBuf>, stamp: Option<Stamp>, settings: Settings, accounts: &Arc<Accounts>) -> Self {
        let identity = identity(&plan, &settings, |name| std::env::var(name).ok());
        let providers = Providers::new(plan.providers.clone(), settings.cache.clone());
        let mut runtime = Runtime::new(plan, settings);
        runtime.providers = Arc::new(providers.with_accounts(Arc::clone(accounts)));
        Self {
            name: runtime.plan.name.clone(),
            file,
            identity,
            runtime: Arc::new(runtime),
            stamp,
            opened: tokio::sync::Mutex::default(),
            trouble: Mutex::default(),
        }
    }

    fn load(file: &Path, settings: &Settings, accounts: &Arc<Accounts>) -> Result<Self, pipeline::Diagnostics> {
        // Before it is read: what changes meanwhile is seen the next time.
        let stamp = stamp(file);
        let loaded = pipeline::load(file, &|name| std::env::var(name).ok())?;
        for warning in &loaded.warnings {
            tracing::warn!("{warning}");
        }
        Ok(Self::new(loaded.plan, Some(file.to_owned()), stamp, settings.clone(), accounts))
    }

    /// The same pipeline, opened anew for one ingest, which closes the index for writing when it is dropped; with the same connections
    /// to providers, as their quotas are for all. `change` may adjust what runs, and where.
    pub(super) fn for_ingest<E>(
        &self,
        change: impl FnOnce(&mut Plan, &mut Settings) -> Result<(), E>,
    ) -> Result<Arc<Runtime>, E> {
        let (mut plan, mut settings) = (self.runtime.plan.clone(), self.runtime.settings.clone());
        change(&mut plan, &mut settings)?;
        let mut runtime = Runtime::new(plan, settings);
        runtime.providers = Arc::clone(&self.runtime.providers);
        Ok(Arc::new(runtime))
    }

    /// Why the file, as it is now, was not taken over.
    pub(super) fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|(_, message)| message.clone())
    }

    /// What answers questions over its index. It stays open; one that was made anew with something else is opened anew.
    pub(super) async fn answerer(&self) -> Result<Answerer, Error> {
        self.looked_at_within(SAME).await
    }

    /// The same, of the index as it is now.
    pub(super) async fn answerer_now(&self) -> Result<Answerer, Error> {
        self.looked_at_within(Duration::ZERO).await
    }

    async fn looked_at_within(&self, time: Duration) -> Result<Answerer, Error> {
        let mut opened = self.opened.lock().await;
        if let Some(opened) = opened.as_mut() {
            if opened.looked.elapsed() < time {
                return Ok(opened.answerer.clone());
            }
            let now = self.runtime.store().await?.meta().await?;
            if now.is_some_and(|now| now.is_alike(&opened.index)) {
                opened.looked = Instant::now();
                return Ok(opened.answerer.clone());
            }
        }
        *opened = None;
        let answerer = Answerer::open(&self.runtime).await?;
        if let Some(index) = self.runtime.store().await?.meta().await? {
            *opened = Some(Opened { answerer: answerer.clone(), index, looked: Instant::now() });
        }
        Ok(answerer)
    }
}

fn stamp(file: &Path) -> Option<Stamp> {
    let metadata = std::fs::metadata(file).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

/// Looks at the pipelines' files now and then, and opens what answers before the first question does.
pub(super) async fn watch(pipelines: Arc<Pipelines>, stop: CancellationToken) {
    // The table takes a fifth of a second to build: before the first prompt needs it.
    tokio::task::spawn_blocking(|| Tokenizer::get(TokenizerName::O200kBase));
    for served in pipelines.all() {
        if let Err(error) = served.answerer().await {
            tracing::info!(pipeline = served.name, "{}", reason(&error));
        }
    }
    keep_looking(stop, move || pipelines.all().iter().for_each(|served| pipelines.reload(served))).await;
}

/// Looks at files now and then.
pub(super) async fn keep_looking(stop: CancellationToken, look: impl Fn() + Send + Sync + 'static) {
    let look = Arc::new(look);
    let mut ticks = tokio::time::interval(LOOK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while !stop.is_cancelled() {
        ticks.tick().await;
        let look = Arc::clone(&look);
        let _ = tokio::task::spawn_blocking(move || look()).await;
    }
}
