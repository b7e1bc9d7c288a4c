//! The ledger of one process: a `SQLite` file beside the index.
//!
//! One process writes at a time, which a lock on a second file ensures, so that every claim is granted, under `Epoch(0)`.
//! Others may look meanwhile. What a run has listed and staged belongs to the open file alone: it is in temporary tables, under the
//! run's id, and costs the ledger no write.

mod change;
mod documents;
mod layout;
mod lock;
mod look;
mod missing;
#[cfg(feature = "postgres")]
pub(super) mod notes;
mod reconcile;
mod state;
#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test may panic")]
mod tests;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::{Connection, ErrorCode};

pub use self::change::Unfinished;
#[cfg(feature = "postgres")]
pub(crate) use self::documents::{decode, decode_ids, encode};
use self::layout::Layout;
pub use self::look::Recorded;
use super::{
    Commit, Cursor, Difference, Epoch, FailedDocument, Fenced, Intent, Ledger, LedgerError, Listing, Meta, MissingCount,
    MissingPage, Moved, PriorState, RunId, Scope, Staged, Totals,
};
use crate::source::SourceId;
use crate::source::state::State;
use crate::unchanging;

/// Pages of 4 KiB that are kept in memory, of the ledger and of what runs have listed. Another file of this process may use
/// their places for larger ones (see [`crate::cache`]).
const CACHED_PAGES: i64 = 32;

/// The epoch of every claim: nobody else can have the documents.
const EPOCH: Epoch = Epoch(0);

/// The ledger of one pipeline's index, in a `SQLite` file. Its work is done off the runtime, a call at a time.
#[derive(Debug, Clone)]
pub struct SqliteLedger {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    connection: Mutex<Connection>,
    path: PathBuf,
    runs: AtomicU64,
    /// Held as long as a writer lives; the system lets go of it when the process dies.
    _lock: Option<File>,
}

impl SqliteLedger {
    /// Opens the ledger for writing. Makes it where it is not there, and brings one of an earlier layout up to date. One writer
    /// at a time: [`LedgerError::Busy`] else.
    pub async fn open(path: &Path) -> Result<Self, LedgerError> {
        let path = path.to_owned();
        off_the_runtime(path.clone(), move || {
            let io = |source| LedgerError::Io { path: path.clone(), source };
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder).map_err(io)?;
            }
            let lock = lock::take(&path)?;
            let mut connection = connect(&path)?;
            let failed = |source| failed(&path, source);
            match layout::of(&connection).map_err(failed)? {
                Layout::Empty => layout::create(&mut connection).map_err(failed)?,
                Layout::First => layout::migrate(&mut connection).map_err(failed)?,
                Layout::Current => {}
                Layout::Later(found) => return Err(LedgerError::Layout { path, found }),
            }
            Ok(Self::new(connection, path, Some(lock)))
        })
        .await
    }

    /// Opens the ledger to look at, beside a writer; `None` when there is none. Nothing is changed: one of an earlier layout
    /// is copied to a temporary file first.
    pub async fn open_to_read(path: &Path) -> Result<Option<Self>, LedgerError> {
        let path = path.to_owned();
        off_the_runtime(path.clone(), move || {
            if !path.exists() {
                return Ok(None);
            }
            let failed = |source| failed(&path, source);
            let connection = match open(&path) {
                Err(error) if unchanging::is_whole(&path, &error) => {
                    unchanging::open(&path).and_then(prepared).map_err(failed)?
                }
                opened => opened.map_err(failed)?,
            };
            let connection = match layout::of(&connection).map_err(failed)? {
                Layout::Current => connection,
                Layout::Later(found) => return Err(LedgerError::Layout { path, found }),
                earlier => {
                    let mut copy = connect(Path::new(""))?;
                    layout::create(&mut copy).map_err(failed)?;
                    if matches!(earlier, Layout::First) {
                        layout::copy_from(&mut copy, &path).map_err(failed)?;
                    }
                    copy
                }
            };
            Ok(Some(Self::new(connection, path, None)))
        })
        .await
    }

    /// An empty ledger that is kept nowhere, for looking at what would be done.
    pub async fn in_memory() -> Result<Self, LedgerError> {
        let path = PathBuf::from(":memory:");
        off_the_runtime(path.clone(), move || {
            let mut connection = connect(&path)?;
            layout::create(&mut connection).map_err(|source| failed(&path, source))?;
            Ok(Self::new(connection, path, None))
        })
        .await
    }

    fn new(connection: Connection, path: PathBuf, lock: Option<File>) -> Self {
        let inner = Inner { connection: Mutex::new(connection), path, runs: AtomicU64::new(0), _lock: lock };
        Self { inner: Arc::new(inner) }
    }

    /// Does something in one transaction.
    async fn transact<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, LedgerError> {
        let inner = Arc::clone(&self.inner);
        off_the_runtime(inner.path.clone(), move || {
            // A panic elsewhere cannot leave SQLite in between: an open transaction rolls back when it is dropped.
            let mut connection = inner.connection.lock().unwrap_or_else(PoisonError::into_inner);
            let result = connection.transaction().and_then(|transaction| {
                let value = work(&transaction)?;
                transaction.commit()?;
                Ok(value)
            });
            result.map_err(|source| failed(&inner.path, source))
        })
        .await
    }
}

async fn off_the_runtime<T: Send + 'static>(
    path: PathBuf,
    work: impl FnOnce() -> Result<T, LedgerError> + Send + 'static,
) -> Result<T, LedgerError> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|broken| Err(failed(&path, broken)))
}

fn failed(path: &Path, source: impl std::error::Error + Send + Sync + 'static) -> LedgerError {
    let code =
        (&source as &dyn std::error::Error).downcast_ref::<rusqlite::Error>().and_then(rusqlite::Error::sqlite_error_code);
    if matches!(code, Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt)) {
        return LedgerError::Damaged { path: path.to_owned(), source: Box::new(source) };
    }
    LedgerError::Failed { ledger: path.display().to_string(), source: Box::new(source) }
}

fn connect(path: &Path) -> Result<Connection, LedgerError> {
    open(path).map_err(|source| failed(path, source))
}

fn open(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    // WAL + NORMAL: a killed process loses nothing; only a power cut may cost the last moments, which are done again.
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    prepared(connection)
}

/// With what runs note.
fn prepared(connection: Connection) -> rusqlite::Result<Connection> {
    connection.pragma_update(None, "temp_store", "FILE")?;
    for database in ["main", "temp"] {
        connection.pragma_update(Some(database), "cache_size", CACHED_PAGES)?;
    }
    connection.execute_batch(layout::TEMPORARY)?;
    Ok(connection)
}

#[async_trait]
impl Ledger for SqliteLedger {
    async fn meta(&self) -> Result<Meta, LedgerError> {
        self.transact(documents::meta).await
    }

    async fn set_meta(&self, meta: &Meta) -> Result<(), LedgerError> {
        let meta = meta.clone();
        self.transact(move |connection| documents::set_meta(connection, &meta)).await
    }

    async fn begin_run(&self) -> Result<RunId, LedgerError> {
        Ok(RunId(self.inner.runs.fetch_add(1, Ordering::Relaxed)))
    }

    async fn end_run(&self, run: RunId) -> Result<(), LedgerError> {
        self.transact(move |connection| documents::end_run(connection, run)).await
    }

    async fn note_listed(&self, run: RunId, source: &SourceId, items: Vec<Listing>) -> Result<Vec<Difference>, LedgerError> {
        let source = source.clone();
        self.transact(move |connection| documents::note_listed(connection, run, &source, &items)).await
    }

    async fn unlist(&self, run: RunId, uris: Vec<String>) -> Result<(), LedgerError> {
        self.transact(move |connection| documents::unlist(connection, run, &uris)).await
    }

    async fn claim(&self, uris: Vec<String>) -> Result<Vec<PriorState>, LedgerError> {
        self.transact(move |connection| documents::claim(connection, &uris)).await
    }

    async fn intend(&self, intents: Vec<Intent>) -> Result<Fenced, LedgerError> {
        self.transact(move |connection| documents::intend(connection, intents)).await
    }

    async fn commit(&self, commits: Vec<Commit>) -> Result<Fenced, LedgerError> {
        self.transact(move |connection| documents::commit(connection, commits)).await
    }

    async fn fail(&self, failures: Vec<FailedDocument>) -> Result<(), LedgerError> {
        self.transact(move |connection| documents::fail(connection, &failures)).await
    }

    async fn forget(&self, documents: Vec<(String, Epoch)>) -> Result<Fenced, LedgerError> {
        self.transact(move |connection| documents::forget(connection, documents)).await
    }

    async fn count_missing(&self, run: RunId, scope: &Scope) -> Result<MissingCount, LedgerError> {
        let scope = scope.clone();
        self.transact(move |connection| missing::count(connection, run, &scope)).await
    }

    async fn count_moved(&self, run: RunId, scope: &Scope, moved: Moved) -> Result<u64, LedgerError> {
        let scope = scope.clone();
        self.transact(move |connection| missing::count_moved(connection, run, &scope, moved)).await
    }

    async fn missing(&self, run: RunId, scope: &Scope, after: Option<Cursor>) -> Result<MissingPage, LedgerError> {
        let scope = scope.clone();
        self.transact(move |connection| missing::page(connection, run, &scope, after)).await
    }

    async fn stage_stored(&self, run: RunId, page: Vec<Staged>) -> Result<(), LedgerError> {
        self.transact(move |connection| reconcile::stage(connection, run, &page)).await
    }

    async fn reconcile(&self, run: RunId) -> Result<(), LedgerError> {
        self.transact(move |connection| reconcile::reconcile(connection, run)).await
    }

    async fn failures(&self, limit: usize) -> Result<Vec<FailedDocument>, LedgerError> {
        self.transact(move |connection| documents::failures(connection, limit)).await
    }

    async fn totals(&self) -> Result<Totals, LedgerError> {
        self.transact(documents::totals).await
    }

    fn state(&self, source: &SourceId) -> Arc<dyn State> {
        Arc::new(state::SourceState { ledger: self.clone(), source: source.clone() })
    }
}
