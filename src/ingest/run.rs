//! What all stages of one run share: the plan's parts, the ledger, the counters, and the two ways to stop.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinError;
use tokio_util::sync::CancellationToken;

use super::embed::{Batching, Embedding};
use super::ledger::{FailedDocument, Ledger, LedgerError, Scope};
use super::report::{Report, Stage};
use crate::chunk::Chunker;
use crate::document::Passage;
use crate::error::Error;
use crate::pipeline::Plan;
use crate::providers::Embedder;
use crate::source::{FilesPlan, SourcePlan};
use crate::vectordb::bm25::Bm25;
use crate::vectordb::{StoreError, VectorStore};

/// Text and vectors on the way, in KiB: documents wait to be read while this much is under way.
const ROOM_KIB: usize = 48 * 1024;

/// How long a store that does not answer is waited for before the run stops.
pub(super) const STORE_BUDGET: Duration = Duration::from_secs(120);

/// And how long before the run has begun: a server may be starting, but more likely it is not there or somewhere else.
pub(super) const STARTING: Duration = Duration::from_secs(5);

/// Hears of every failed document as it fails.
pub type Observer = Arc<dyn Fn(&FailedDocument) + Send + Sync>;

/// What `ingest` is told beyond the plan.
#[derive(Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line, and any combination has a meaning")]
pub struct Options {
    /// Remove documents that are gone even when they are more than half of the index.
    pub prune: bool,
    /// Drop the index and make it anew.
    pub rebuild: bool,
    /// Compare contents even where size, time and inode say "unchanged".
    pub checksum: bool,
    /// Only these were asked for: nothing outside of them is removed. `false`: the sources are all there is.
    pub scoped: bool,
    /// Look only: write neither to the ledger nor to the store, and embed nothing.
    pub dry: bool,
    /// Told of failures.
    pub observer: Observer,
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options").field("prune", &self.prune).field("rebuild", &self.rebuild).finish_non_exhaustive()
    }
}

/// One run.
pub(super) struct Run {
    pub sources: Vec<FilesPlan>,
    /// The folder that URIs are relative to.
    pub base: PathBuf,
    pub chunker: Chunker,
    pub embedder: Arc<dyn Embedder>,
    pub embedding: Embedding,
    pub batching: Batching,
    pub store: Arc<dyn VectorStore>,
    pub bm25: Arc<Bm25>,
    pub ledger: Ledger,
    pub report: Arc<Report>,
    pub options: Options,
    /// What this home is called in an index outside of it.
    pub home: Option<String>,
    /// The home that wrote to the index last, where it is another: what is not in the sources here may be in its own.
    pub other_home: Option<String>,
    /// Cancelled: take nothing new, finish what is in flight.
    pub stop: CancellationToken,
    /// Bytes that may be under way, as permits of a KiB.
    pub room: Arc<Semaphore>,
    scope: Mutex<Scope>,
    skipped: Mutex<BTreeMap<&'static str, u64>>,
    fatal: Mutex<Option<Error>>,
}

impl Run {
    pub fn new(
        plan: &Plan,
        base: PathBuf,
        embedder: Arc<dyn Embedder>,
        (embedding, batching): (Embedding, Batching),
        (store, bm25): (Arc<dyn VectorStore>, Arc<Bm25>),
        ledger: Ledger,
        report: Arc<Report>,
        options: Options,
        stop: CancellationToken,
    ) -> Self {
        let sources: Vec<FilesPlan> = plan.sources.iter().map(|SourcePlan::Files(files)| files.clone()).collect();
        let roots = options
            .scoped
            .then(|| sources.iter().flat_map(|files| &files.paths).map(|path| crate::source::uri_of(path, &base)).collect());
        Self {
            sources,
            base,
            chunker: Chunker::new(&plan.chunk),
            embedder,
            embedding,
            batching,
            store,
            bm25,
            ledger,
            report,
            options,
            home: None,
            other_home: None,
            stop,
            room: Arc::new(Semaphore::new(ROOM_KIB)),
            scope: Mutex::new(Scope { roots, unreadable: Vec::new() }),
            skipped: Mutex::default(),
            fatal: Mutex::default(),
        }
    }

    /// How many documents are parsed at once: one a core.
    pub fn workers() -> usize {
        std::thread::available_parallelism().map_or(2, std::num::NonZero::get)
    }

    /// Permits for a document of this size. One that is larger than all the room takes all of it, and travels alone.
    pub fn permits(bytes: u64) -> u32 {
        // What is read is also parsed, cut and embedded: the text, its tokens and its pieces weigh about three times as much.
        (bytes.saturating_mul(3) / 1024 + 1).min(ROOM_KIB as u64) as u32
    }

    /// Calls the ledger off the runtime. A ledger that fails ends the run: nothing could be recorded as done any more.
    pub async fn with_ledger<T: Send + 'static>(
        &self,
        call: impl FnOnce(&Ledger) -> Result<T, LedgerError> + Send + 'static,
    ) -> Option<T> {
        let ledger = self.ledger.clone();
        match tokio::task::spawn_blocking(move || call(&ledger)).await {
            Ok(Ok(value)) => Some(value),
            Ok(Err(error)) => self.abort(error.into()),
            Err(panic) => self.abort(Error::worker("use the ledger", panic)),
        }
    }

    /// Calls the store, and again while it cannot be reached, within the budget. A store that fails ends the run.
    pub async fn with_store<T, F>(&self, call: impl Fn(Arc<dyn VectorStore>) -> F) -> Option<T>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        match waited_for(&self.stop, STORE_BUDGET, || call(Arc::clone(&self.store))).await {
            Ok(value) => value,
            Err(error) => self.abort(error.into()),
        }
    }

    /// What a stage's task gave. A task that broke ends the run: its document is neither done nor failed.
    pub fn joined<T>(&self, task: Result<Option<T>, JoinError>) -> Option<T> {
        task.unwrap_or_else(|source| self.abort(Error::worker("carry a document through", source)))
    }

    /// Stops the run for good. What is in flight is finished first. The first reason counts.
    pub fn abort<T>(&self, error: Error) -> Option<T> {
        let mut fatal = self.fatal.lock().unwrap_or_else(PoisonError::into_inner);
        fatal.get_or_insert(error);
        self.stop.cancel();
        None
    }

    /// Why the run was stopped for good, if it was.
    pub fn take_fatal(&self) -> Option<Error> {
        self.fatal.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Counts and records a document that cannot be indexed; the others go on.
    pub async fn fail(&self, uri: &str, stage: Stage, error: String) {
        let failure = FailedDocument { uri: uri.to_owned(), stage: stage.name().to_owned(), error };
        self.report.documents.failed.add(1);
        (self.options.observer)(&failure);
        if self.options.dry {
            return;
        }
        self.with_ledger(move |ledger| ledger.fail(&failure)).await;
    }

    /// Counts a file that is passed over.
    pub fn skip(&self, reason: &'static str) {
        self.report.documents.skipped.add(1);
        let mut skipped = self.skipped.lock().unwrap_or_else(PoisonError::into_inner);
        *skipped.entry(reason).or_default() += 1;
    }

    /// Why files were passed over, and how many.
    pub fn skipped(&self) -> Vec<(String, u64)> {
        let skipped = self.skipped.lock().unwrap_or_else(PoisonError::into_inner);
        skipped.iter().map(|(reason, count)| ((*reason).to_owned(), *count)).collect()
    }

    /// Which documents may be found gone, as far as the walk has come.
    pub fn scope(&self) -> Scope {
        self.scope.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes that nothing at or below this URI may be taken for gone.
    pub fn protect(&self, uri: String) {
        self.scope.lock().unwrap_or_else(PoisonError::into_inner).unreadable.push(uri);
    }

    /// What a text will cost, as far as can be told without the model's tokenizer.
    pub fn estimate(&self, text: &str, chunk_tokens: u32) -> usize {
        self.embedder.count_tokens(text).unwrap_or(chunk_tokens as usize + 16)
    }

    /// How many places a stage has.
    pub fn places(&self, stage: Stage) -> usize {
        match stage {
            Stage::Read | Stage::Parse | Stage::Chunk => Self::workers(),
            Stage::Embed => self.batching.in_flight.min(self.embedder.concurrency()),
            Stage::Store => super::store::WRITERS,
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
    let began = tokio::time::Instant::now();
    let mut pause = Duration::from_millis(250);
    loop {
        match call().await {
            Ok(value) => return Ok(Some(value)),
            Err(error) if error.is_transient() && began.elapsed() + pause < budget => {
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

/// A digest of a stored payload, as the ledger keeps it: 8 bytes of blake3 over its JSON.
pub(super) fn digest(passage: &Passage) -> u64 {
    let bytes = serde_json::to_vec(passage).unwrap_or_default();
    blake3::hash(&bytes).as_bytes().first_chunk().copied().map_or(0, u64::from_le_bytes)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test may panic")]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

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
