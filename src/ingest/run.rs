//! What the parts of one run share: its setup, the counters, and the two ways to stop.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinError;
use tokio_util::sync::CancellationToken;
use tracing::Span;

use super::batching::Batching;
use super::clocks::{Step, cores};
use super::context::{Setting, Writer};
use super::diff::DocumentDiff;
use super::embed::EmbedQueue;
use super::ledger::{FailedDocument, LedgerError, Moved, RunId};
use super::memory::MemoryBudget;
use super::report::{Report, Stage};
use super::setup::{Options, Setup};
use super::told::Told;
use crate::chunk::Chunker;
use crate::error::{Error, Failure, Origin};
use crate::source::{SkipReason, SourceId, Version};
use crate::vectordb::{StoreError, VectorStore};

/// Writes to the store at once.
pub(super) const WRITERS: usize = 4;

/// Chunks that are being situated at once. Their provider's limits say how many are on their way; each holds its window meanwhile, some
/// tens of KB, so that all of them stay within a few MB.
pub(super) const SITUATED: usize = 128;

/// How long a store that does not answer is waited for before the run stops.
pub(super) const STORE_BUDGET: Duration = Duration::from_secs(120);

/// And how long before the run has begun: a server may be starting, but more likely it is not there or somewhere else.
pub(super) const STARTING: Duration = Duration::from_secs(5);

/// How long a stopped run may take to finish what is in flight.
const DRAIN: Duration = Duration::from_secs(30);

/// What a run is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// To bring the index up to date.
    Write,
    /// To tell what that would do: nothing is written to the ledger or the store, and nothing embedded.
    Look,
}

/// Why a step of a run was not done. Nobody has to be told: who stopped the run knows, and what must end it is kept in
/// [`Run::take_fatal`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// The run takes nothing new: somebody asked for that, or it ends for a reason that another step gave.
    Stopped,
    /// This step met with what ends the run.
    Aborted,
}

/// One run.
pub(super) struct Run {
    pub setup: Setup,
    pub options: Options,
    pub mode: Mode,
    /// What the ledger calls this run; see [`Self::id`].
    pub walk: AtomicU64,
    pub chunker: Chunker,
    /// What says where chunks stand, where anything does.
    pub contexts: Option<Writer>,
    pub embed_queue: EmbedQueue,
    pub batching: Batching,
    pub report: Arc<Report>,
    /// The home that wrote to the index last, where it is another: what is not in the sources here may be in its own.
    pub other_home: Option<String>,
    /// Cancelled: take nothing new, finish what is in flight.
    pub stop: CancellationToken,
    pub memory: MemoryBudget,
    pub fatal: Fatal,
    /// Spans of the run and of its stages.
    pub told: Told,
    /// Contents that a run would bring into the index. Of a run that writes, the ledger knows them.
    pub arrived: Arrived,
    /// Documents in the index before a round of several workers.
    pub documents_before: AtomicU64,
}

/// Contents that are there.
#[derive(Debug, Default)]
pub(super) struct Arrived(Mutex<Moved>);

impl Arrived {
    pub fn add(&self, hashes: impl Iterator<Item = [u8; 32]>) {
        let mut there = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        hashes.for_each(|hash| there.there(hash));
    }

    pub fn take(&self) -> Moved {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Why the run ends early; the first reason counts.
#[derive(Debug, Default)]
pub(super) struct Fatal(Mutex<Option<Error>>);

impl Run {
    /// What the ledger calls this run, or its walk: who leads several workers may have to walk more than once.
    pub fn id(&self) -> RunId {
        RunId(self.walk.load(Ordering::Acquire))
    }

    /// The sources are walked from the beginning, under this name.
    pub fn walk_anew(&self, id: RunId) {
        self.walk.store(id.0, Ordering::Release);
    }

    /// What chunks are situated by, and in windows of how many tokens; `None`: they are not.
    pub fn situated(&self) -> Option<(Setting, usize)> {
        self.setup.context.as_ref().map(|context| (context.setting(), context.window))
    }

    /// The version that the ledger is to know an item by: one of how chunks are situated as well.
    pub fn version(&self, version: Version) -> Version {
        self.situated().map_or(version, |(setting, _)| setting.version(version))
    }

    /// The hash that the ledger is to know a content by: one of how chunks are situated as well.
    pub fn hash(&self, hash: [u8; 32]) -> [u8; 32] {
        self.situated().map_or(hash, |(setting, _)| *setting.of(hash.into()).as_bytes())
    }

    /// Those of these documents that no other worker has taken over, with time for a call to the store.
    pub async fn held<T: Send>(&self, documents: Vec<T>, diff: impl Fn(&T) -> &DocumentDiff + Send) -> Vec<T> {
        if self.setup.workers.is_none() {
            return documents;
        }
        let mut held = Vec::with_capacity(documents.len());
        for document in documents {
            if diff(&document).is_held(&*self.setup.ledger).await {
                held.push(document);
            }
        }
        held
    }

    /// How many batches a stage that needs cores does at once.
    pub fn cores() -> usize {
        cores()
    }

    /// What the ledger answered. A ledger that fails ends the run: nothing could be recorded as done any more.
    pub fn recorded<T>(&self, answer: Result<T, LedgerError>) -> Result<T, Ended> {
        answer.map_err(|error| self.abort(error.into()))
    }

    /// The ledger's answers, one for each thing that it was asked.
    pub fn answered<T>(&self, asked: usize, answers: Result<Vec<T>, LedgerError>) -> Result<Vec<T>, Ended> {
        let answers = self.recorded(answers)?;
        if answers.len() == asked {
            return Ok(answers);
        }
        Err(self.abort(Miscounted { who: "the ledger", asked, got: answers.len() }.into()))
    }

    /// Calls the store, and again while it cannot be reached, within the budget. A store that fails ends the run.
    pub async fn with_store<T, F>(&self, call: impl Fn(Arc<dyn VectorStore>) -> F) -> Result<T, Ended>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        match waited_for(&self.stop, STORE_BUDGET, || call(Arc::clone(&self.setup.store))).await {
            Ok(Some(value)) => Ok(value),
            Ok(None) => Err(Ended::Stopped),
            Err(error) => Err(self.abort(error.into())),
        }
    }

    /// What a task gave. One that broke ends the run: its documents are neither done nor failed.
    pub fn joined<T>(&self, action: &'static str, task: Result<Result<T, Ended>, JoinError>) -> Result<T, Ended> {
        task.unwrap_or_else(|source| Err(self.abort(Error::worker(action, source))))
    }

    /// Does work for a core, off the runtime.
    pub async fn computed<T: Send + 'static>(
        &self,
        action: &'static str,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Ended> {
        self.joined(action, tokio::task::spawn_blocking(move || Ok(work())).await)
    }

    /// Stops the run for good. What is in flight is finished first.
    pub fn abort(&self, error: Error) -> Ended {
        let mut fatal = self.fatal.0.lock().unwrap_or_else(PoisonError::into_inner);
        fatal.get_or_insert(error);
        self.stop.cancel();
        Ended::Aborted
    }

    /// Why the run was stopped for good, if it was.
    pub fn take_fatal(&self) -> Option<Error> {
        self.fatal.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// An error unless nothing was asked to stop.
    pub fn goes_on(&self) -> Result<(), Ended> {
        if self.stop.is_cancelled() { Err(Ended::Stopped) } else { Ok(()) }
    }

    /// What the work gave; `None` where the run was stopped and what was in flight took too long to finish.
    pub async fn drained<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        drained(&self.stop, work).await
    }

    /// Counts and tells of an item that is passed over.
    pub fn skip(&self, uri: &str, reason: SkipReason) {
        self.report.skip(reason);
        (self.options.skips)(uri, reason);
    }

    /// Counts what cannot be indexed, and says so.
    pub fn tell_of(&self, failures: &[FailedDocument]) {
        self.report.documents.failed.add(failures.len() as u64);
        for failure in failures {
            (self.options.observer)(failure);
        }
    }

    /// Counts and records documents that cannot be indexed; the others go on.
    pub async fn fail(&self, failures: Vec<FailedDocument>) -> Result<(), Ended> {
        self.tell_of(&failures);
        if failures.is_empty() || self.mode == Mode::Look {
            return Ok(());
        }
        self.recorded(self.setup.ledger.fail(failures).await)
    }

    /// [`Self::fail`], of one.
    pub async fn fail_one(&self, source: &SourceId, uri: &str, stage: Stage, error: String) -> Result<(), Ended> {
        self.fail(vec![FailedDocument { source: source.clone(), uri: uri.to_owned(), stage, error }]).await
    }

    /// The span of a document, where it is one of those that have one.
    pub fn told_of(&self, uri: &str, bytes: usize) -> Span {
        self.told.document(uri, bytes)
    }

    /// What a text will cost, as far as can be told without the model's tokenizer.
    pub fn estimate(&self, text: &str, chunk_tokens: u32) -> usize {
        self.setup.embedder.count_tokens(text).unwrap_or(chunk_tokens as usize + 16)
    }

    /// How much of a step can be at work at once. As for embedding, the batcher knows it.
    pub fn places(&self, step: Step) -> usize {
        match step {
            Step::List => 1,
            Step::Read | Step::Parse | Step::Chunk => Self::cores(),
            Step::Context => self.setup.context.as_ref().map_or(0, |context| {
                let allowed = context.allowed.as_ref().map_or(SITUATED, |allowed| allowed().concurrency as usize);
                allowed.clamp(1, SITUATED)
            }),
            Step::Embed => self.batching.in_flight.min(self.setup.embedder.concurrency()),
            Step::Store | Step::Commit => WRITERS,
        }
    }
}

/// What the work gave; `None` where it was stopped and what was in flight took too long to finish.
pub(crate) async fn drained<T>(stop: &CancellationToken, work: impl Future<Output = T>) -> Option<T> {
    let stopped = async {
        stop.cancelled().await;
        tokio::time::sleep(DRAIN).await;
    };
    tokio::select! {
        done = work => Some(done),
        () = stopped => {
            tracing::warn!("what was in flight took too long to finish; the next run does it again");
            None
        }
    }
}

/// Calls until the store can be reached, within the budget. `None`: the run was stopped meanwhile.
pub(super) async fn waited_for<T, F>(
    stop: &CancellationToken,
    budget: Duration,
    call: impl Fn() -> F,
) -> Result<Option<T>, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    waiting(stop, |_| budget, call).await
}

/// The same before the run has begun. A server that says itself that its cluster is not together is the right one, and is waited for
/// as long as in a run: perhaps another worker is just making the index.
pub(crate) async fn begun<T, F>(stop: &CancellationToken, call: impl Fn() -> F) -> Result<Option<T>, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    waiting(stop, |error| if error.is_of_a_part() { STORE_BUDGET } else { STARTING }, call).await
}

async fn waiting<T, F>(
    stop: &CancellationToken,
    budget: impl Fn(&StoreError) -> Duration,
    call: impl Fn() -> F,
) -> Result<Option<T>, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    let began = tokio::time::Instant::now();
    let mut pause = Duration::from_millis(250);
    loop {
        match call().await {
            Ok(value) => return Ok(Some(value)),
            Err(error) if error.is_transient() && began.elapsed() + pause < budget(&error) => {
                tracing::warn!(%error, retry_in = ?pause, "the store does not answer");
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    // Nothing is lost by giving up: what is not acknowledged is not recorded as done.
                    () = stop.cancelled() => return Ok(None),
                }
                pause = (pause * 2).min(Duration::from_secs(8));
            }
            Err(error) => return Err(error),
        }
    }
}

/// A part of a run did not answer each thing that it was asked: what it answered is of no use.
#[derive(Debug, thiserror::Error)]
#[error("{who} gave {got} answers for {asked}")]
struct Miscounted {
    who: &'static str,
    asked: usize,
    got: usize,
}

impl Failure for Miscounted {
    fn origin(&self) -> Origin {
        Origin::Ledger
    }

    fn code(&self) -> &'static str {
        "internal"
    }

    fn stops_all(&self) -> bool {
        true
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test may panic")]
mod tests {
    use std::sync::atomic::AtomicU32;

    use super::*;

    async fn away_for(answers: u32, stop: &CancellationToken) -> (Result<Option<u32>, StoreError>, Duration) {
        let (calls, began) = (AtomicU32::new(0), tokio::time::Instant::now());
        let call = || async {
            match calls.fetch_add(1, Ordering::Relaxed) {
                call if call < answers => {
                    Err(StoreError::Unavailable { store: "test".into(), message: "away".into(), source: None })
                }
                call => Ok(call),
            }
        };
        (waited_for(stop, STORE_BUDGET, call).await, began.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_is_waited_for_within_the_budget_and_no_longer() {
        let stop = CancellationToken::new();
        assert_eq!(away_for(10, &stop).await.0.unwrap(), Some(10));
        let (gone, waited) = away_for(u32::MAX, &stop).await;
        assert!(gone.unwrap_err().is_transient());
        assert!(waited < STORE_BUDGET && waited > STORE_BUDGET / 2, "{waited:?}");
        stop.cancel();
        assert_eq!(away_for(u32::MAX, &stop).await.0.unwrap(), None);
    }
}
