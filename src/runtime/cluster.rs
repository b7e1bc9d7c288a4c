//! A runtime that is one of several workers.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::Runtime;
use super::former::FormerName;
use crate::cluster::{Cluster, ClusterError, ClusterStatus, Ledgers, Quotas, Side};
use crate::error::Error;
use crate::ingest::report::Report;
use crate::ingest::{Forecast, Options, Setup};
use crate::providers::Providers;
use crate::source::Purpose;
use crate::vectordb::{Slot, StorePlan, VectorStore};

impl Runtime {
    /// The same, as one of any number of workers with the same pipeline that meet in the Postgres database at this address: they share
    /// the queue, the ledger and the providers' quotas. `lease`: how long this worker may be silent before others take over what it
    /// has. To be said before anything else is asked of it.
    ///
    /// # Errors
    /// When the database cannot be had, or the store is one that workers cannot share.
    pub async fn in_cluster(mut self, database: &str, lease: Duration) -> Result<Self, Error> {
        self.fits_in_cluster()?;
        self.check_former_corpus(database).await?;
        self.shared_cache = self.plan.store.shared_cache();
        let ledgers = Ledgers::open(database, &self.settings.cwd, &self.corpus()?, lease).await?;
        let quotas = Quotas::new(database, &self.settings.cwd, ledgers.alive())?;
        let providers = Providers::new(self.plan.providers.clone(), self.settings.cache.clone());
        self.providers = Arc::new(providers.with_shared_limits(Arc::new(quotas)));
        self.cluster = Some(Arc::new(ledgers));
        Ok(self)
    }

    /// What all workers with this pipeline are at that meet in this database. `None`: there were none yet.
    ///
    /// # Errors
    /// When the database cannot be had.
    pub async fn cluster_status(&self, database: &str) -> Result<Option<ClusterStatus>, Error> {
        Ok(Cluster::status(database, &self.settings.cwd, &self.corpus()?).await?)
    }

    /// What an ingest would do that is one of several workers which meet in this database. See [`ingest::forecast`](crate::ingest::forecast()). Signs on to nothing,
    /// and changes nothing there.
    ///
    /// # Errors
    /// When the database cannot be had, or the store is one that workers cannot share.
    pub async fn forecast_in_cluster(
        &self,
        database: &str,
        options: Options,
        report: Arc<Report>,
        stop: CancellationToken,
    ) -> Result<Option<Forecast>, Error> {
        self.fits_in_cluster()?;
        self.check_former_corpus(database).await?;
        let (look, home) = (self.look().await?, self.home_in_cluster()?);
        let wish = self.wish(&look, &options, Some(&home)).await?;
        let ledger = Ledgers::to_read(database, &self.settings.cwd, &self.corpus()?, wish.slot(&look)).await?;
        self.forecast_of((look, wish), ledger, Some(home), options, report, stop).await
    }

    /// What an ingest works with that is one of several, on the index in this slot, which was found there after the ledgers were seen so.
    pub(super) async fn setup_together(
        &self,
        ledgers: &Ledgers,
        seen: &[Side; 2],
        slot: Slot,
        store: Arc<dyn VectorStore>,
    ) -> Result<Setup, Error> {
        let cluster = Arc::new(ledgers.worker(slot, seen).await?);
        let mut setup = self.setup(Arc::clone(&cluster) as _, store, Purpose::Index, None).await?;
        setup.workers = Some(cluster);
        setup.home = Some(self.home_in_cluster()?);
        Ok(setup)
    }

    /// All workers are one home: what one of them wrote is every other's to remove.
    pub(super) fn home_in_cluster(&self) -> Result<String, Error> {
        Ok(format!("cluster: {}", self.corpus()?))
    }

    /// Whether the pipeline is one that workers can share.
    fn fits_in_cluster(&self) -> Result<(), Error> {
        let Some(problem) = self.plan.cluster_problems().into_iter().next() else { return Ok(()) };
        let error = ClusterError::unfit(problem.message);
        Err(problem.hint.map_or(error.clone(), |hint| error.with_hint(hint)).into())
    }

    /// Refuses to begin anew what workers have begun under the pipeline's former name.
    async fn check_former_corpus(&self, database: &str) -> Result<(), Error> {
        let (Some(former), StorePlan::Qdrant { collection, .. }) = (&self.plan.former_name, &self.plan.store) else {
            return Ok(());
        };
        let collection = if *collection == self.plan.name { former } else { collection };
        let cwd = &self.settings.cwd;
        let before = Cluster::status(database, cwd, &corpus_of(former, collection)).await?;
        if before.is_some() && Cluster::status(database, cwd, &self.corpus()?).await?.is_none() {
            let (name, former, place) = (self.plan.name.clone(), former.clone(), "the cluster's database".to_owned());
            return Err(FormerName { name, former, place }.into());
        }
        Ok(())
    }

    /// What the index is called in the database: the same on every worker, wherever that has its home.
    pub(super) fn corpus(&self) -> Result<String, Error> {
        match &self.plan.store {
            StorePlan::Qdrant { collection, .. } => Ok(corpus_of(&self.plan.name, collection)),
            StorePlan::Embedded { .. } => {
                let error = ClusterError::unfit("several workers need a store that each of them can write to");
                Err(error
                    .with_hint("name a Qdrant server in the pipeline: `store: { qdrant: { url: …, collection: … } }`")
                    .into())
            }
        }
    }
}

fn corpus_of(pipeline: &str, collection: &str) -> String {
    format!("{pipeline} in {collection}")
}
