//! Composes an ingest from a plan.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::Runtime;
use super::part::Part;
use crate::error::Error;
use crate::ingest::ledger::{Ledger, SqliteLedger};
use crate::ingest::report::{IngestSummary, Outcome, Report};
use crate::ingest::{self, EmbedTerms, Forecast, Options, Setup};
use crate::providers::{ProviderKind, prices};
use crate::source::state::{MemoryState, State};
use crate::source::{self, Files, Purpose, Source, SourceId, SourcePlan, files};
use crate::vectordb::StorePlan;

impl Runtime {
    /// Brings the pipeline's index up to date with its sources, telling nobody of its progress.
    ///
    /// # Errors
    /// See [`ingest::run`].
    pub async fn index(&self) -> Result<IngestSummary, Error> {
        self.ingest(Options::default(), Arc::default(), CancellationToken::new()).await
    }

    /// Brings the pipeline's index up to date with its sources. See [`ingest::run`].
    pub async fn ingest(&self, options: Options, report: Arc<Report>, stop: CancellationToken) -> Result<IngestSummary, Error> {
        let setup = tokio::select! {
            setup = self.setup_for(&options) => setup?,
            // A model may be on its way through a slow network.
            () = stop.cancelled() => return Ok(IngestSummary::interrupted(&self.plan.name, report.elapsed())),
        };
        let ended = ingest::run(setup, options, report, stop.clone()).await;
        if let Ok(summary) = &ended
            && summary.outcome == Outcome::Complete
        {
            self.calibrate(summary, &stop).await;
        }
        self.providers.flush_limits().await;
        ended
    }

    /// Tells what [`Self::ingest`] would do. See [`ingest::forecast`].
    pub async fn forecast(
        &self,
        options: Options,
        report: Arc<Report>,
        stop: CancellationToken,
    ) -> Result<Option<Forecast>, Error> {
        let ledger = SqliteLedger::open_to_read(&self.settings.ledger(&self.plan.name)).await?;
        let ledger = match ledger {
            Some(ledger) => ledger,
            None => SqliteLedger::in_memory().await?,
        };
        self.choose_for(&options).await?;
        ingest::forecast(self.setup(Arc::new(ledger), Purpose::Preview, None).await?, options, report, stop).await
    }

    async fn setup_for(&self, options: &Options) -> Result<Setup, Error> {
        self.choose_for(options).await?;
        self.ingest_setup().await
    }

    /// Chooses the model that embeds for an index that is about to be made anew.
    async fn choose_for(&self, options: &Options) -> Result<(), Error> {
        if options.rebuild {
            self.embedder.get_or_try_init(|| self.open_embedder(true)).await?;
        }
        Ok(())
    }

    /// All that an ingest of this pipeline works with, to be changed or added to before [`ingest::run`] gets it. Holds the ledger's
    /// lock until it is dropped.
    ///
    /// # Errors
    /// When another run is writing, or when ledger, model or store cannot be had.
    pub async fn ingest_setup(&self) -> Result<Setup, Error> {
        self.setup_of(None).await
    }

    /// [`Self::ingest_setup`], over a part of the sources where one is named.
    pub(super) async fn setup_of(&self, part: Option<&Part>) -> Result<Setup, Error> {
        #[cfg(feature = "postgres")]
        if let Some(cluster) = &self.cluster {
            return self.setup_together(cluster).await;
        }
        let ledger = SqliteLedger::open(&self.settings.ledger(&self.plan.name)).await?;
        self.setup(Arc::new(ledger), Purpose::Index, part).await
    }

    pub(super) async fn setup(&self, ledger: Arc<dyn Ledger>, purpose: Purpose, part: Option<&Part>) -> Result<Setup, Error> {
        let (plan, settings) = (&self.plan, &self.settings);
        let base = ledger.meta().await?.base;
        let base = files::base_of(base.as_deref(), &settings.home, &settings.cwd);
        let mut setup = Setup::new(&plan.name, self.embedder().await?, self.store()?, ledger);
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
        setup.terms = self.embed_terms()?;
        setup.cache = Some(settings.cache.clone());
        setup.shared_cache.clone_from(&self.shared_cache);
        setup.bm25 = self.bm25();
        setup.base = Some(files::kept_base(&base, &settings.home));
        setup.home = self.home_name(&plan.store);
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
            // It may have served others, and earlier runs.
            let before = connection.stats();
            terms.allowed = Some(Arc::new({
                let connection = Arc::clone(&connection);
                move || connection.limiter().allowed()
            }));
            terms.counted = Some(Arc::new(move || connection.stats().since(&before)));
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
