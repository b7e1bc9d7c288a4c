//! Copies a pipeline's index into another store.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::Runtime;
use super::change::looked;
use crate::error::Error;
use crate::ingest::copy::{self, Options, Progress, Summary};
use crate::ingest::ledger::SqliteLedger;
use crate::vectordb::{Slots, StorePlan};

impl Runtime {
    /// Makes another store hold what the pipeline's index holds, vectors included; an embedded one without a path lives where the
    /// pipeline's own would. See [`copy::copy`]. A pipeline that names that store from then on goes on with the same ledger:
    /// nothing is embedded again. `replace`: see [`Options::replace`].
    ///
    /// While it runs, no ingest of this home can write to the index: a copy of what is half done could be taken for the whole.
    ///
    /// # Errors
    /// As [`copy::copy`]; and when an ingest is writing.
    pub async fn copy_to(
        &self,
        to: &StorePlan,
        replace: bool,
        progress: Arc<Progress>,
        stop: CancellationToken,
    ) -> Result<Summary, Error> {
        let look = self.look().await?;
        let ledger = self.ledger_in(look.current.slot);
        // An index that came from elsewhere has none, and gets none.
        let _writer = if ledger.exists() { Some(SqliteLedger::open(&ledger).await?) } else { None };
        let options = Options { replace, home: self.home_name(to) };
        // What answers there is what is to be the copy.
        let to = looked(&Slots::open(to, &self.settings.index(&self.plan.name))?).await?.current.store;
        copy::copy(look.current.store, to, self.bm25(), options, progress, stop).await
    }
}
