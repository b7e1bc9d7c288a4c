//! Composes an ingest from a plan.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::Runtime;
use super::change::{Taken, Turn, Wish, complete_alone};
use super::part::Part;
use crate::error::Error;
use crate::ingest::context::Situating;
use crate::ingest::ledger::{Ledger, SqliteLedger};
use crate::ingest::report::{IngestSummary, Outcome, Report};
use crate::ingest::{self, EmbedTerms, Forecast, Options, Setup};
use crate::providers::{ModelRef, ProviderKind, prices};
use crate::source::state::{MemoryState, State};
use crate::source::{self, Files, Purpose, Source, SourceId, SourcePlan, files};
use crate::vectordb::{Look, ModelChange, StorePlan, VectorStore};

/// What is to be done about the index's model when a run has ended.
enum After {
    Alone(Turn),
    #[cfg(feature = "postgres")]
    Together(super::together::Turned),
}

impl Runtime {
    /// Brings the pipeline's index up to date with its sources, telling nobody of its progress.
    ///
    /// # Errors
    /// See [`ingest::run`].
    pub async fn index(&self) -> Result<IngestSummary, Error> {
        self.ingest(Options::default(), Arc::default(), CancellationToken::new()).await
    }

    /// Brings the pipeline's index up to date with its sources. See [`ingest::run`]. Where the pipeline names another model than the index
    /// was made with, the index answers on while the vectors of that one are made; see [`ChangeOfModel`](ingest::report::ChangeOfModel).
    pub async fn ingest(&self, options: Options, report: Arc<Report>, stop: CancellationToken) -> Result<IngestSummary, Error> {
        let ended = self.ingest_of(None, options, report, &stop).await;
        if let Ok((summary, _)) = &ended
            && summary.outcome == Outcome::Complete
            && summary.change.as_ref().is_none_or(|change| change.complete)
        {
            self.calibrate(summary, &stop).await;
        }
        self.providers.flush_limits().await;
        Ok(ended?.0)
    }

    /// [`Self::ingest`], over a part of the sources where one is named. With the folder that uris are relative to.
    pub(super) async fn ingest_of(
        &self,
        part: Option<&Part>,
        options: Options,
        report: Arc<Report>,
        stop: &CancellationToken,
    ) -> Result<(IngestSummary, Option<String>), Error> {
        let prepared = tokio::select! {
            prepared = self.prepared(part, &options) => prepared?,
            // A model may be on its way through a slow network.
            () = stop.cancelled() => return Ok((IngestSummary::interrupted(&self.plan.name, report.elapsed()), None)),
        };
        let (setup, turn) = prepared;
        let base = setup.base.clone();
        let ran = ingest::run(setup, options, Arc::clone(&report), stop.clone()).await;
        let mut summary = match (ran, &turn) {
            #[cfg(feature = "postgres")]
            (Err(error), Some(After::Together(turned))) => return Err(turned.explained(error).await),
            (ran, _) => ran?,
        };
        self.tell_of_language(&report);
        match turn {
            Some(After::Alone(turn)) => self.turned(turn, &mut summary).await?,
            #[cfg(feature = "postgres")]
            Some(After::Together(turned)) => self.turned_together(turned, &mut summary, stop).await?,
            None => {}
        }
        Ok((summary, base))
    }

    /// Tells what [`Self::ingest`] would do. See [`ingest::forecast`].
    pub async fn forecast(
        &self,
        options: Options,
        report: Arc<Report>,
        stop: CancellationToken,
    ) -> Result<Option<Forecast>, Error> {
        self.check_former_name().await?;
        if options.rebuild {
            self.embedder.get_or_try_init(|| self.open_embedder(true, Purpose::Preview)).await?;
        }
        let (look, home) = (self.look().await?, self.home_name(&self.plan.store));
        let wish = self.wish(&look, &options, home.as_deref()).await?;
        let ledger = SqliteLedger::open_to_read(&self.ledger_in(wish.slot(&look))).await?;
        let ledger = ledger.map(|ledger| Arc::new(ledger) as _);
        self.forecast_of((look, wish), ledger, home, options, report, stop).await
    }

    /// [`Self::forecast`], of what an ingest of this home does by this ledger.
    pub(super) async fn forecast_of(
        &self,
        (look, wish): (Look, Wish),
        ledger: Option<Arc<dyn Ledger>>,
        home: Option<String>,
        options: Options,
        report: Arc<Report>,
        stop: CancellationToken,
    ) -> Result<Option<Forecast>, Error> {
        let ledger = match ledger {
            Some(ledger) => ledger,
            None => Arc::new(SqliteLedger::in_memory().await?),
        };
        let change = self.foretold(&look, wish).await?;
        // What is to be removed before the vectors of another model are made is not looked at.
        let anew = options.rebuild || wish == Wish::Change { resume: false };
        let store = match (wish, look.other) {
            (Wish::Change { .. }, Some(other)) => other.store,
            _ => look.current.store,
        };
        let mut setup = self.setup(ledger, store, Purpose::Preview, None).await?;
        setup.home = home;
        let told = Arc::clone(&report);
        let forecast = ingest::forecast(setup, Options { rebuild: anew, ..options }, report, stop).await?;
        self.tell_of_language(&told);
        Ok(forecast.map(|forecast| Forecast { change, ..forecast }))
    }

    /// What a run works with, and the change of the index's model that it is a part of, if it is.
    async fn prepared(&self, part: Option<&Part>, options: &Options) -> Result<(Setup, Option<After>), Error> {
        #[cfg(feature = "postgres")]
        if let Some(ledgers) = &self.cluster {
            self.choose_for_ingest(false).await?;
            let (setup, turned) = self.prepared_together(ledgers, options).await?;
            return Ok((setup, Some(After::Together(turned))));
        }
        self.check_former_name().await?;
        self.choose_for_ingest(options.rebuild).await?;
        let taken = self.taken(options).await?;
        let turn = match taken.wish {
            Wish::Change { resume } => self.turn(&taken, resume, options).await?,
            Wish::Keep => {
                complete_alone(&taken.look.current).await?;
                self.clear_other(&taken.look).await;
                None
            }
            Wish::Refuse => None,
        };
        let Taken { look, ledger, .. } = taken;
        let (turn, change, store) = if let (Some((turn, change)), Some(other)) = (turn, look.other) {
            (Some(turn), Some(change), other.store)
        } else {
            let change = look.current.index.and_then(|index| index.change);
            (None, change.map(|change| ModelChange { complete: true, ..change }), look.current.store)
        };
        let mut setup = self.setup(Arc::new(ledger), store, Purpose::Index, part).await?;
        setup.change = change;
        Ok((setup, turn.map(After::Alone)))
    }

    /// All that an ingest of this pipeline works with, to be changed or added to before [`ingest::run`] gets it. Holds the ledger's
    /// lock until it is dropped. An index that was made with another model is refused by the run.
    ///
    /// # Errors
    /// When another run is writing, or when ledger, model or store cannot be had.
    pub async fn ingest_setup(&self) -> Result<Setup, Error> {
        self.choose_for_ingest(false).await?;
        #[cfg(feature = "postgres")]
        if let Some(ledgers) = &self.cluster {
            let (sides, look) = (ledgers.sides().await?, self.look().await?);
            return self.setup_together(ledgers, &sides, look.current.slot, look.current.store).await;
        }
        let look = self.look().await?;
        let ledger = SqliteLedger::open(&self.ledger_in(look.current.slot)).await?;
        self.setup(Arc::new(ledger), look.current.store, Purpose::Index, None).await
    }

    pub(super) async fn setup(
        &self,
        ledger: Arc<dyn Ledger>,
        store: Arc<dyn VectorStore>,
        purpose: Purpose,
        part: Option<&Part>,
    ) -> Result<Setup, Error> {
        let (plan, settings) = (&self.plan, &self.settings);
        let base = match ledger.meta().await?.base {
            // The index may be in its other slot for the first time.
            None => self.base_elsewhere().await?,
            base => base,
        };
        let base = files::base_of(base.as_deref(), &settings.home, &settings.cwd);
        let mut setup = Setup::new(&plan.name, self.embedder().await?, store, ledger);
        let open = |plan: &SourcePlan| -> Arc<dyn Source> {
            match (plan, part.and_then(Part::focus)) {
                (SourcePlan::Files(plan), Some(focus)) => Arc::new(Files::new(plan.clone(), &base).focused(focus)),
                _ => source::open(plan, &base, |id| setup.ledger.state(id), purpose),
            }
        };
        let sources = plan.sources.iter().map(open).chain(self.sources.iter().cloned());
        setup.sources = sources.filter(|source| part.is_none_or(|part| part.has(source.id()))).collect();
        setup.parse = plan.parse.clone();
        setup.chunk = plan.chunk.clone();
        setup.context = self.situating()?;
        setup.terms = self.embed_terms()?;
        setup.cache = Some(settings.cache.clone());
        setup.shared_cache.clone_from(&self.shared_cache);
        setup.bm25 = self.bm25();
        setup.base = Some(files::kept_base(&base, &settings.home));
        setup.home = self.home_name(&plan.store);
        setup.prefixes = self.prefixes();
        Ok(setup)
    }

    /// What the sources are called, and which of them are told by a plan.
    pub(super) fn source_ids(&self) -> Vec<(SourceId, Option<&SourcePlan>)> {
        let nothing = |_: &SourceId| -> Arc<dyn State> { Arc::new(MemoryState::default()) };
        let id = |plan| source::open(plan, &self.settings.cwd, nothing, Purpose::Preview).id().clone();
        let planned = self.plan.sources.iter().map(|plan| (id(plan), Some(plan)));
        planned.chain(self.sources.iter().map(|source| (source.id().clone(), None))).collect()
    }

    /// What embedding costs, where that is known.
    #[cfg(feature = "serve")]
    pub(crate) fn embed_price(&self) -> Option<crate::providers::Price> {
        let provider = self.plan.providers.get(&self.plan.embed.model.provider).filter(|_| !self.own_embedder)?;
        prices::of(provider, &self.plan.embed.model.model)
    }

    /// What says where chunks stand, where the plan has something that does.
    fn situating(&self) -> Result<Option<Situating>, Error> {
        let Some(context) = &self.plan.context else { return Ok(None) };
        let models = std::iter::once(&context.model).chain(&context.fallback);
        let models = models.map(|model| self.providers.chat_model(model)).collect::<Result<_, _>>()?;
        let mut situating = Situating::new(models, context.window.get());
        let ModelRef { provider, model } = &context.model;
        if let Some(provider) = self.plan.providers.get(provider) {
            situating.limits = provider.limits;
            situating.prices_as_of = (!provider.prices.contains_key(model)).then_some(prices::AS_OF);
            let connection = self.providers.connection(&provider.name)?;
            situating.allowed = Some(Arc::new(move || connection.limiter().allowed()));
        }
        Ok(Some(situating))
    }

    fn embed_terms(&self) -> Result<EmbedTerms, Error> {
        if self.own_embedder {
            return Ok(EmbedTerms::default());
        }
        let embed = &self.plan.embed;
        let Some(provider) = self.plan.providers.get(&embed.model.provider) else {
            return Ok(EmbedTerms::of(embed, crate::limits::Limits::default()));
        };
        let mut terms = EmbedTerms::of(embed, provider.limits);
        terms.price = prices::of(provider, &embed.model.model);
        terms.prices_as_of = (!provider.prices.contains_key(&embed.model.model)).then_some(prices::AS_OF);
        terms.in_process = provider.kind == ProviderKind::Local;
        if !terms.in_process {
            let connection = self.providers.connection(&provider.name)?;
            terms.allowed = Some(Arc::new(move || connection.limiter().allowed()));
        }
        Ok(terms)
    }

    /// What the home is called in an index that lives outside of it; `None` where it lives inside, and moves with it.
    pub(super) fn home_name(&self, store: &StorePlan) -> Option<String> {
        if matches!(store, StorePlan::Embedded { path: None }) {
            return None;
        }
        let home = &self.settings.home;
        Some(std::path::absolute(home).unwrap_or_else(|_| home.clone()).to_string_lossy().into_owned())
    }
}
