//! What a pipeline's index holds.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Runtime;
use crate::cache;
use crate::error::Error;
use crate::ingest::ledger::{Ledger as _, SqliteLedger, Totals};
use crate::ingest::report::Stage;
use crate::vectordb::{IndexMeta, Made, Slot};

/// Failed documents that are named.
const NAMED: usize = 100;

/// What a pipeline's index holds. The keys are the contract's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename = "status")]
pub struct Status {
    /// The pipeline's name.
    pub pipeline: String,
    /// What a person calls the store.
    pub store: String,
    /// What the index was made with; `None` where there is none yet.
    pub index: Option<IndexMeta>,
    /// The vectors of another model that are being made: they will answer when they are complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<StatusNext>,
    /// Documents in the index.
    pub documents: u64,
    /// Chunks in the index.
    pub chunks: u64,
    /// Documents that failed, and have not been read since. While another model's vectors are made, those that failed for these.
    pub failed: u64,
    /// The first of them.
    pub failures: Vec<StatusFailure>,
    /// Vectors that were paid for once, of all projects; `None` where there is no such cache.
    pub cache: Option<StatusCache>,
}

/// An index that is to take another one's place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StatusNext {
    /// What it is made with.
    pub index: IndexMeta,
    /// Chunks in it so far.
    pub chunks: u64,
    /// Of those that the other one has, in percent. All of it is not said before it answers.
    pub percent: u64,
    /// Documents that failed for it, and for which the change waits.
    #[serde(default)]
    pub failed: u64,
}

/// A document that failed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StatusFailure {
    /// The document.
    pub uri: String,
    /// Where it failed.
    pub stage: Stage,
    /// Why.
    pub error: String,
}

/// What the cache of vectors holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StatusCache {
    /// Vectors.
    pub entries: u64,
    /// Bytes on the disk.
    pub bytes: u64,
}

/// Documents that failed.
#[derive(Debug, Default)]
struct Failures {
    count: u64,
    /// The first [`NAMED`] of them.
    first: Vec<StatusFailure>,
}

impl Runtime {
    /// What the pipeline's index holds.
    ///
    /// # Errors
    /// When store, ledger or cache cannot be read.
    pub async fn status(&self) -> Result<Status, Error> {
        let look = self.answering().await?;
        let (documents, mut failed) = self.recorded(look.current.slot).await?.unwrap_or_default();
        let made = look.made().await?;
        let mut next = look.next().zip(made).map(|((_, index), Made { chunks, percent })| {
            let index = index.clone();
            StatusNext { index, chunks, percent, failed: 0 }
        });
        if let (Some(next), Some(other)) = (&mut next, &look.other)
            // Without a ledger here, another home makes it.
            && let Some((_, of_next)) = self.recorded(other.slot).await?
        {
            next.failed = of_next.count;
            failed = of_next;
        }
        let (store, index) = (look.current.store, look.current.index);
        let chunks = if index.is_some() { store.count().await? } else { 0 };
        let folder = self.settings.cache.clone();
        let held = tokio::task::spawn_blocking(move || cache::held(&folder)).await;
        let held = held.map_err(|error| Error::worker("read the cache", error))?;
        Ok(Status {
            pipeline: self.plan.name.clone(),
            store: store.describe(),
            index,
            next,
            documents,
            chunks,
            failed: failed.count,
            failures: failed.first,
            cache: held.map(|held| StatusCache { entries: held.entries, bytes: held.bytes }),
        })
    }

    /// Documents that the ledger of a slot has, and those that failed; `None`: there is no ledger.
    async fn recorded(&self, slot: Slot) -> Result<Option<(u64, Failures)>, Error> {
        let Some(ledger) = SqliteLedger::open_to_read(&self.ledger_in(slot)).await? else { return Ok(None) };
        let (Totals { documents, failed: count }, failures) = (ledger.totals().await?, ledger.failures(NAMED).await?);
        let first =
            failures.into_iter().map(|failure| StatusFailure { uri: failure.uri, stage: failure.stage, error: failure.error });
        Ok(Some((documents, Failures { count, first: first.collect() })))
    }
}
