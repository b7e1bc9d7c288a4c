//! What is known of a pipeline's documents beside its index.

use std::path::PathBuf;

use crate::error::Error;
use crate::ingest::ledger::{Ledger as _, Recorded, SqliteLedger};
use crate::runtime::Runtime;
use crate::source::files;
use crate::vectordb::Slot;

/// What is looked into.
pub(super) struct Records {
    pub ledger: Option<SqliteLedger>,
    /// The folder that uris of files are relative to.
    pub base: PathBuf,
    /// Files may be looked at that lie outside of the sources.
    pub looks_around: bool,
}

impl Records {
    /// Of the pipeline's own ledger; without one, what a first run would take.
    pub async fn open(runtime: &Runtime, looks_around: bool) -> Result<Self, Error> {
        let slot = runtime.answering().await?.current.slot;
        let ledger = SqliteLedger::open_to_read(&runtime.settings.ledger_in(&runtime.plan.name, slot)).await?;
        Self::of_ledger(runtime, ledger, looks_around).await
    }

    /// Of the ledgers of another pipeline. Of its index only these are known, of which there are two while its model is changed: which of
    /// them is that of the vectors that answer is not known, and one has what the other still lacks.
    pub async fn others(runtime: &Runtime, pipeline: &str) -> Vec<Self> {
        let mut others = Vec::new();
        for slot in [Slot::First, Slot::Second] {
            let ledger = SqliteLedger::open_to_read(&runtime.settings.ledger_in(pipeline, slot)).await;
            let Ok(ledger @ Some(_)) = ledger else { continue };
            others.extend(Self::of_ledger(runtime, ledger, false).await.ok());
        }
        others
    }

    async fn of_ledger(runtime: &Runtime, ledger: Option<SqliteLedger>, looks_around: bool) -> Result<Self, Error> {
        let settings = &runtime.settings;
        let kept = match &ledger {
            Some(ledger) => ledger.meta().await?.base,
            None => None,
        };
        Ok(Self { ledger, base: files::base_of(kept.as_deref(), &settings.home, &settings.cwd), looks_around })
    }

    pub async fn of(&self, uri: &str) -> Result<Option<Recorded>, Error> {
        match &self.ledger {
            Some(ledger) => Ok(ledger.recorded(uri).await?),
            None => Ok(None),
        }
    }

    /// Where a document is on the disk, if it is a file.
    pub fn path(&self, uri: &str) -> Option<PathBuf> {
        (!uri.contains("://")).then(|| self.base.join(uri))
    }
}
