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
    /// Of the ledger of a pipeline; without one, what a first run would take.
    pub async fn open(runtime: &Runtime, pipeline: &str, looks_around: bool) -> Result<Self, Error> {
        let settings = &runtime.settings;
        // Of another pipeline's index only its ledger tells in which slot it is.
        let slots = if pipeline == runtime.plan.name {
            vec![runtime.look().await?.current.slot]
        } else {
            vec![Slot::First, Slot::Second]
        };
        let mut ledger = None;
        for slot in slots {
            ledger = SqliteLedger::open_to_read(&settings.ledger_in(pipeline, slot)).await?;
            if ledger.is_some() {
                break;
            }
        }
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
