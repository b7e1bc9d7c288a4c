//! What stands between the coordinator and the workers.
//!
//! Today a bounded channel in memory: one coordinator, one worker, nothing survives the process, and nothing has to, as the
//! coordinator lists everything in each run. A queue that other machines claim from gives each [`Claim::claim`] a lease; who
//! goes on with a document after its lease has run out is fenced by the ledger (see [`super::ledger::Epoch`]), so that an item
//! that is handed out twice is only work done twice.

use async_trait::async_trait;
use tokio::sync::mpsc;

use crate::source::{Fetched, Item};

/// Batches that wait for a worker, at most.
const WAITING: usize = 16;

/// Items of one source that go through fetching, parsing and cutting together: each step costs a way to another thread and back,
/// and a transaction, which for a file of a page is most of the work.
#[derive(Debug)]
pub(super) struct Batch {
    /// The number of the source among the run's.
    pub source: usize,
    /// What is to be fetched; where `fetched` is `Some`, what was.
    pub items: Vec<Item>,
    /// What the listing brought with the items, one each.
    pub fetched: Option<Vec<Fetched>>,
}

/// Nobody claims any more.
#[derive(Debug)]
pub(super) struct Closed;

/// The coordinator's end. Dropping it means that nothing more will come.
#[async_trait]
pub(super) trait Submit: Send {
    /// Puts a batch in; waits while the queue is full.
    async fn submit(&mut self, batch: Batch) -> Result<(), Closed>;
    /// Says that more may take a while: what was put in is to be had now.
    async fn pause(&mut self) -> Result<(), Closed> {
        Ok(())
    }
}

/// A worker's end.
#[async_trait]
pub(super) trait Claim: Send + 'static {
    /// Takes the next batch; `None` when nothing more will come.
    async fn claim(&mut self) -> Option<Batch>;
}

/// A queue within this process.
pub(super) fn local() -> (mpsc::Sender<Batch>, mpsc::Receiver<Batch>) {
    mpsc::channel(WAITING)
}

#[async_trait]
impl Submit for mpsc::Sender<Batch> {
    async fn submit(&mut self, batch: Batch) -> Result<(), Closed> {
        self.send(batch).await.map_err(|_| Closed)
    }
}

#[async_trait]
impl Claim for mpsc::Receiver<Batch> {
    async fn claim(&mut self) -> Option<Batch> {
        self.recv().await
    }
}
