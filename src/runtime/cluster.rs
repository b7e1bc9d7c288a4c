//! An ingest by several workers.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::Runtime;
use crate::cluster::{Cluster, ClusterError};
use crate::error::Error;
use crate::ingest::report::{IngestSummary, Report};
use crate::ingest::{self, Options, Setup};
use crate::source::Purpose;
use crate::vectordb::StorePlan;

impl Runtime {
    /// Takes part in bringing the pipeline's index up to date, as one of any number of workers that have the same pipeline and the
    /// same database. Returns when the round is over. See [`ingest::run`].
    ///
    /// # Errors
    /// When the database cannot be had, the pipeline has what workers cannot share, and what [`ingest::run`] returns.
    pub async fn ingest_together(
        &self,
        database: &str,
        lease: Duration,
        options: Options,
        report: Arc<Report>,
        stop: CancellationToken,
    ) -> Result<IngestSummary, Error> {
        let setup = tokio::select! {
            setup = self.setup_together(database, lease) => setup?,
            () = stop.cancelled() => return Ok(IngestSummary::interrupted(&self.plan.name, report.elapsed())),
        };
        ingest::run(setup, options, report, stop).await
    }

    async fn setup_together(&self, database: &str, lease: Duration) -> Result<Setup, Error> {
        let cluster = Arc::new(self.cluster(database, lease).await?);
        let mut setup = self.setup(Arc::clone(&cluster) as _, Purpose::Index, None).await?;
        setup.workers = Some(cluster);
        // All workers are one home: what one of them wrote is every other's to remove.
        setup.home = Some(format!("cluster {}", self.corpus()?));
        Ok(setup)
    }

    async fn cluster(&self, database: &str, lease: Duration) -> Result<Cluster, Error> {
        Ok(Cluster::open(database, &self.settings.cwd, &self.corpus()?, lease).await?)
    }

    /// What the index is called in the database: the same on every worker, wherever that has its home.
    pub(super) fn corpus(&self) -> Result<String, Error> {
        match &self.plan.store {
            StorePlan::Qdrant { collection, .. } => Ok(format!("{} in {collection}", self.plan.name)),
            StorePlan::Embedded { .. } => {
                let error = ClusterError::unfit("several workers need a store that each of them can write to");
                Err(error.with_hint("name a Qdrant server in the pipeline: `store: { qdrant: { url: …, collection: … } }`").into())
            }
        }
    }
}
