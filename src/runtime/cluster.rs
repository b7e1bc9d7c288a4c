//! A runtime that is one of several workers.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::Runtime;
use crate::cluster::{Cluster, ClusterError, ClusterStatus, Quotas};
use crate::error::Error;
use crate::ingest::ledger::{Ledger, SqliteLedger};
use crate::ingest::report::Report;
use crate::ingest::{self, Forecast, Options, Setup};
use crate::providers::Providers;
use crate::source::Purpose;
use crate::vectordb::{StorePlan, VectorStore};

impl Runtime {
    /// The same, as one of any number of workers with the same pipeline that meet in the Postgres database at this address: they share
    /// the queue, the ledger and the providers' quotas. `lease`: how long this worker may be silent before others take over what it
    /// has. To be said before anything else is asked of it.
    ///
    /// # Errors
    /// When the database cannot be had, or the store is one that workers cannot share.
    pub async fn in_cluster(mut self, database: &str, lease: Duration) -> Result<Self, Error> {
        self.fits_in_cluster()?;
        self.shared_cache = self.plan.store.shared_cache();
        let cluster = Cluster::open(database, &self.settings.cwd, &self.corpus()?, lease).await?;
        let quotas = Quotas::new(database, &self.settings.cwd, cluster.alive())?;
        let providers = Providers::new(self.plan.providers.clone(), self.settings.cache.clone());
        self.providers = Arc::new(providers.with_shared_limits(Arc::new(quotas)));
        self.cluster = Some(Arc::new(cluster));
        Ok(self)
    }

    /// What all workers with this pipeline are at that meet in this database. `None`: there were none yet.
    ///
    /// # Errors
    /// When the database cannot be had.
    pub async fn cluster_status(&self, database: &str) -> Result<Option<ClusterStatus>, Error> {
        Ok(Cluster::status(database, &self.settings.cwd, &self.corpus()?).await?)
    }

    /// What an ingest would do that is one of several workers which meet in this database. See [`ingest::forecast`]. Signs on to nothing,
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
        let ledger: Arc<dyn Ledger> = match Cluster::ledger_to_read(database, &self.settings.cwd, &self.corpus()?).await? {
            Some(ledger) => ledger,
            None => Arc::new(SqliteLedger::in_memory().await?),
        };
        let store = self.look_together().await?;
        let mut setup = self.setup(ledger, store, Purpose::Preview, None).await?;
        setup.home = Some(self.home_in_cluster()?);
        ingest::forecast(setup, options, report, stop).await
    }

    /// What an ingest works with that is one of several.
    pub(super) async fn setup_together(&self, cluster: &Arc<Cluster>) -> Result<Setup, Error> {
        let store = self.look_together().await?;
        let mut setup = self.setup(Arc::clone(cluster) as _, store, Purpose::Index, None).await?;
        setup.workers = Some(Arc::clone(cluster) as _);
        setup.home = Some(self.home_in_cluster()?);
        Ok(setup)
    }

    /// The store that they all write to.
    async fn look_together(&self) -> Result<Arc<dyn VectorStore>, Error> {
        let look = self.look().await?;
        if let Some(index) = &look.current.index {
            let planned = self.embedder().await?.fingerprint();
            if self.may_change(&look, index, &planned) {
                let message = format!("several workers do not change an index's model, from {} to {planned}", index.model);
                let hint = "one alone does, while the index answers: stop the others, run `ingest --prune` once without --cluster, and \
                            start them again; or name another `collection`";
                return Err(ClusterError::unfit(message).with_hint(hint).into());
            }
        }
        Ok(look.current.store)
    }

    /// All workers are one home: what one of them wrote is every other's to remove.
    fn home_in_cluster(&self) -> Result<String, Error> {
        Ok(format!("cluster: {}", self.corpus()?))
    }

    /// Whether the pipeline is one that workers can share.
    fn fits_in_cluster(&self) -> Result<(), Error> {
        let Some(problem) = self.plan.cluster_problems().into_iter().next() else { return Ok(()) };
        let error = ClusterError::unfit(problem.message);
        Err(problem.hint.map_or(error.clone(), |hint| error.with_hint(hint)).into())
    }

    /// What the index is called in the database: the same on every worker, wherever that has its home.
    fn corpus(&self) -> Result<String, Error> {
        match &self.plan.store {
            StorePlan::Qdrant { collection, .. } => Ok(format!("{} in {collection}", self.plan.name)),
            StorePlan::Embedded { .. } => {
                let error = ClusterError::unfit("several workers need a store that each of them can write to");
                Err(error
                    .with_hint("name a Qdrant server in the pipeline: `store: { qdrant: { url: …, collection: … } }`")
                    .into())
            }
        }
    }
}
