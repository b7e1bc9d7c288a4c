//! What is done: which documents the store holds, under which point ids, and which documents failed.
//!
//! A `SQLite` file beside the index. Three rules make a kill at any instant harmless:
//! - an *intent* names the points that are about to be written or deleted, before they are; from then on the document is
//!   recorded with those points alone that are not touched, and its file is compared anew;
//! - a document is recorded as done after the store has acknowledged its points and its stale ones are deleted;
//! - the fact "generation", the name of the store's state that is recorded here, goes with the first intent and comes back
//!   at the end of the run. Where it is not the store's own, the store is looked through (see [`Ledger::settle`]).
//!
//! So `done ∪ intended` always covers what the store may hold, and what is recorded is certainly there.

mod settle;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use rusqlite::{Connection, OptionalExtension as _, params};
use uuid::Uuid;

use crate::document::{Found, Stamp};
use crate::error::{Failure, Origin};
use crate::source::is_within;

/// Files modified so shortly before they were recorded may change again within the clock's grain: their stamp is no proof.
const RACY: Duration = Duration::from_secs(2);

/// Pages of 4 KiB that are kept in memory, of the ledger and of what this run has seen. Another file of this process may use
/// their places for larger ones (see [`crate::cache`]).
const CACHED_PAGES: i64 = 32;

/// The ledger could not be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// `SQLite` refused or the file is damaged.
    #[error("the ledger {} failed", path.display())]
    Sqlite {
        /// The ledger's file.
        path: PathBuf,
        /// Why.
        #[source]
        source: rusqlite::Error,
    },
    /// The file system refused.
    #[error("cannot open the ledger {}", path.display())]
    Io {
        /// The ledger's file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Another run is writing.
    #[error("another ingest is writing to {} ({holder})", path.display())]
    Busy {
        /// The ledger's file.
        path: PathBuf,
        /// "process 4711", as far as known.
        holder: String,
    },
}

impl Failure for LedgerError {
    fn origin(&self) -> Origin {
        Origin::Ledger
    }

    fn code(&self) -> &'static str {
        "ledger_failed"
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Busy { .. } => "wait until it has ended, or give this run another --home".into(),
            _ => "check the disk's space and permissions; `ingest` again goes on where it stopped".into(),
        })
    }

    fn stops_all(&self) -> bool {
        true
    }
}

/// A point that a document has in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recorded {
    /// The point's id.
    pub id: Uuid,
    /// A digest of the payload it was written with.
    pub digest: u64,
}

/// What the ledger knows of a document.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entry {
    /// blake3 of the file's bytes.
    pub hash: [u8; 32],
    /// The file's modification time, in nanoseconds since the Unix epoch; `i64::MIN` where it is no proof.
    pub modified_ns: i64,
    /// The points it has in the store.
    pub points: Vec<Recorded>,
}

/// A document that could not be indexed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedDocument {
    /// Which document.
    pub uri: String,
    /// At which stage: read, parse, chunk, embed or store.
    pub stage: String,
    /// Why.
    pub error: String,
}

/// The ledger of one pipeline's index. Cheap to clone; all calls block (call them off the runtime).
#[derive(Debug, Clone)]
pub struct Ledger {
    connection: Arc<Mutex<Connection>>,
    path: Arc<PathBuf>,
    /// Held as long as a writer lives; the system lets go of it when the process dies.
    _lock: Option<Arc<File>>,
}

impl Ledger {
    /// Opens the ledger for writing, and makes it if it is not there. One writer at a time.
    pub fn open(path: &Path) -> Result<Self, LedgerError> {
        let io = |source| LedgerError::Io { path: path.to_owned(), source };
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(io)?;
        }
        let lock = lock(path)?;
        let ledger = Self::connect(path, Some(lock))?;
        ledger.connection().execute_batch(SCHEMA).map_err(|source| ledger.failed(source))?;
        Ok(ledger)
    }

    /// Opens the ledger to look at, beside a writer; `None` when there is none.
    pub fn open_to_read(path: &Path) -> Result<Option<Self>, LedgerError> {
        if !path.exists() {
            return Ok(None);
        }
        Self::connect(path, None).map(Some)
    }

    /// An empty ledger that is kept nowhere, for looking at what would be done.
    pub fn in_memory() -> Result<Self, LedgerError> {
        let ledger = Self::connect(Path::new(":memory:"), None)?;
        ledger.connection().execute_batch(SCHEMA).map_err(|source| ledger.failed(source))?;
        Ok(ledger)
    }

    fn connect(path: &Path, lock: Option<File>) -> Result<Self, LedgerError> {
        let failed = |source| LedgerError::Sqlite { path: path.to_owned(), source };
        let connection = Connection::open(path).map_err(failed)?;
        connection.busy_timeout(Duration::from_secs(5)).map_err(failed)?;
        // WAL + NORMAL: a killed process loses nothing; only a power cut may cost the last moments, which are done again.
        connection.pragma_update(None, "journal_mode", "WAL").map_err(failed)?;
        connection.pragma_update(None, "synchronous", "NORMAL").map_err(failed)?;
        connection.pragma_update(None, "temp_store", "FILE").map_err(failed)?;
        for database in ["main", "temp"] {
            connection.pragma_update(Some(database), "cache_size", CACHED_PAGES).map_err(failed)?;
        }
        Ok(Self { connection: Arc::new(Mutex::new(connection)), path: Arc::new(path.to_owned()), _lock: lock.map(Arc::new) })
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        // A panic elsewhere cannot leave SQLite in between: an open transaction rolls back when it is dropped.
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self, source: rusqlite::Error) -> LedgerError {
        LedgerError::Sqlite { path: (*self.path).clone(), source }
    }

    /// A fact about the index as a whole: "base" (the folder that URIs are relative to), "generation".
    pub fn fact(&self, key: &str) -> Result<Option<String>, LedgerError> {
        self.connection()
            .query_row("SELECT value FROM facts WHERE key = ?1", [key], |row| row.get(0))
            .optional()
            .map_err(|source| self.failed(source))
    }

    /// Records a fact.
    pub fn set_fact(&self, key: &str, value: &str) -> Result<(), LedgerError> {
        self.connection()
            .execute("INSERT OR REPLACE INTO facts (key, value) VALUES (?1, ?2)", [key, value])
            .map(drop)
            .map_err(|source| self.failed(source))
    }

    /// Begins a run: forgets what the last one had seen.
    pub fn begin_run(&self) -> Result<(), LedgerError> {
        self.connection()
            .execute_batch("CREATE TEMP TABLE IF NOT EXISTS seen (uri TEXT PRIMARY KEY) WITHOUT ROWID; DELETE FROM seen;")
            .map_err(|source| self.failed(source))
    }

    /// Notes that these files are there, and gives back those that are not known to be unchanged by their stamps.
    pub fn changed(&self, found: Vec<Found>) -> Result<Vec<Found>, LedgerError> {
        let mut connection = self.connection();
        let work = |connection: &mut Connection| {
            let transaction = connection.transaction()?;
            let mut changed = Vec::new();
            {
                let mut see = transaction.prepare_cached("INSERT OR IGNORE INTO seen (uri) VALUES (?1)")?;
                let mut look = transaction.prepare_cached(
                    "SELECT size, modified_ns, inode FROM documents AS known WHERE uri = ?1
                     AND NOT EXISTS (SELECT 1 FROM failures WHERE failures.uri = known.uri)",
                )?;
                for file in found {
                    if see.execute([&file.uri])? == 0 {
                        // Named twice by the sources: two at once would know nothing of what the other writes.
                        continue;
                    }
                    let known = look
                        .query_row([&file.uri], |row| {
                            Ok(Stamp {
                                size: row.get::<_, i64>(0)? as u64,
                                modified_ns: row.get(1)?,
                                inode: row.get::<_, i64>(2)? as u64,
                            })
                        })
                        .optional()?;
                    if known != Some(file.stamp) {
                        changed.push(file);
                    }
                }
            }
            transaction.commit()?;
            Ok(changed)
        };
        work(&mut connection).map_err(|source| self.failed(source))
    }

    /// Notes that a document is there although nothing could be read of it, so that it does not count as gone.
    pub fn note_seen(&self, uri: &str) -> Result<(), LedgerError> {
        self.connection()
            .execute("INSERT OR IGNORE INTO seen (uri) VALUES (?1)", [uri])
            .map(drop)
            .map_err(|source| self.failed(source))
    }

    /// Takes back that a document is there: nothing of it is to be indexed any more (it is empty now, say).
    pub fn note_gone(&self, uri: &str) -> Result<(), LedgerError> {
        self.connection().execute("DELETE FROM seen WHERE uri = ?1", [uri]).map(drop).map_err(|source| self.failed(source))
    }

    /// What is recorded of a document.
    pub fn entry(&self, uri: &str) -> Result<Option<Entry>, LedgerError> {
        let connection = self.connection();
        let work = || {
            connection
                .prepare_cached("SELECT hash, points, modified_ns FROM documents WHERE uri = ?1")?
                .query_row([uri], |row| {
                    Ok(Entry { hash: row.get(0)?, points: decode(&row.get::<_, Vec<u8>>(1)?), modified_ns: row.get(2)? })
                })
                .optional()
        };
        work().map_err(|source| self.failed(source))
    }

    /// The points that earlier runs may have written for a document without finishing it.
    pub fn intended(&self, uri: &str) -> Result<Vec<Uuid>, LedgerError> {
        intended(&self.connection(), uri).map_err(|source| self.failed(source))
    }

    /// Records several things at once, all or none: a transaction costs more than what is written in it.
    pub fn record(&self, write: impl FnOnce(&Records<'_>) -> rusqlite::Result<()>) -> Result<(), LedgerError> {
        let mut connection = self.connection();
        let work = |connection: &mut Connection| {
            let transaction = connection.transaction()?;
            write(&Records(&transaction))?;
            transaction.commit()
        };
        work(&mut connection).map_err(|source| self.failed(source))
    }

    /// [`Records::intend`], alone.
    pub fn intend(&self, uri: &str, ids: &[Uuid], untouched: &[Recorded]) -> Result<(), LedgerError> {
        self.record(|records| records.intend(uri, ids, untouched))
    }

    /// [`Records::done`], alone.
    pub fn done(&self, uri: &str, stamp: Stamp, hash: &[u8; 32], points: &[Recorded]) -> Result<(), LedgerError> {
        self.record(|records| records.done(uri, stamp, hash, points))
    }

    /// Forgets a document. To be called after the store has acknowledged that its points are deleted.
    pub fn forget(&self, uri: &str) -> Result<(), LedgerError> {
        let connection = self.connection();
        ["DELETE FROM documents WHERE uri = ?1", "DELETE FROM intents WHERE uri = ?1", "DELETE FROM failures WHERE uri = ?1"]
            .into_iter()
            .try_for_each(|statement| connection.execute(statement, [uri]).map(drop))
            .map_err(|source| self.failed(source))
    }

    /// Records a failure. What is recorded of the document otherwise stays.
    pub fn fail(&self, failure: &FailedDocument) -> Result<(), LedgerError> {
        self.connection()
            .execute(
                "INSERT OR REPLACE INTO failures (uri, stage, error) VALUES (?1, ?2, ?3)",
                params![failure.uri, failure.stage, failure.error],
            )
            .map(drop)
            .map_err(|source| self.failed(source))
    }

    /// Failures, by URI, at most `limit`.
    pub fn failures(&self, limit: usize) -> Result<Vec<FailedDocument>, LedgerError> {
        let connection = self.connection();
        let work = || -> rusqlite::Result<Vec<FailedDocument>> {
            connection
                .prepare_cached("SELECT uri, stage, error FROM failures ORDER BY uri LIMIT ?1")?
                .query_map([limit as i64], |row| {
                    Ok(FailedDocument { uri: row.get(0)?, stage: row.get(1)?, error: row.get(2)? })
                })?
                .collect()
        };
        work().map_err(|source| self.failed(source))
    }

    /// Documents recorded or begun, failures recorded.
    pub fn counts(&self) -> Result<(u64, u64), LedgerError> {
        self.connection()
            .query_row("SELECT (SELECT count(*) FROM documents), (SELECT count(*) FROM failures)", [], |row| {
                Ok((row.get::<_, i64>(0)? as u64, row.get::<_, i64>(1)? as u64))
            })
            .map_err(|source| self.failed(source))
    }

    /// How many documents are recorded below these roots, and how many of them this run has not seen.
    pub fn count_gone(&self, scope: &Scope) -> Result<(u64, u64), LedgerError> {
        let (mut known, mut gone) = (0, 0);
        let mut after = String::new();
        loop {
            let page = self.page(&after)?;
            let Some((last, _)) = page.last() else { return Ok((known, gone)) };
            after.clone_from(last);
            for (uri, seen) in page {
                if scope.covers(&uri) {
                    known += 1;
                    gone += u64::from(!seen);
                }
            }
        }
    }

    /// The next documents after `after` below these roots that this run has not seen, at most a page of them.
    /// The second value is where to go on; `None` at the end.
    pub fn gone(&self, scope: &Scope, after: &str) -> Result<(Vec<String>, Option<String>), LedgerError> {
        let page = self.page(after)?;
        let next = page.last().map(|(uri, _)| uri.clone());
        let gone = page.into_iter().filter(|(uri, seen)| !seen && scope.covers(uri)).map(|(uri, _)| uri).collect();
        Ok((gone, next))
    }

    fn page(&self, after: &str) -> Result<Vec<(String, bool)>, LedgerError> {
        let connection = self.connection();
        let work = || -> rusqlite::Result<Vec<(String, bool)>> {
            connection
                .prepare_cached(
                    "SELECT uri, EXISTS (SELECT 1 FROM seen WHERE seen.uri = known.uri)
                     FROM (SELECT uri FROM documents WHERE uri > ?1
                           UNION SELECT uri FROM intents WHERE uri > ?1
                           UNION SELECT uri FROM failures WHERE uri > ?1) AS known
                     ORDER BY uri LIMIT 1000",
                )?
                .query_map([after], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect()
        };
        work().map_err(|source| self.failed(source))
    }
}

/// What is recorded together; see [`Ledger::record`].
#[derive(Debug)]
pub struct Records<'a>(&'a Connection);

impl Records<'_> {
    /// Records that these points are about to be written or deleted, added to what was intended before, and that of what is
    /// recorded of the document only `untouched` stays certain. To be called before the store is.
    pub fn intend(&self, uri: &str, ids: &[Uuid], untouched: &[Recorded]) -> rusqlite::Result<()> {
        let mut all: BTreeSet<Uuid> = intended(self.0, uri)?.into_iter().collect();
        all.extend(ids);
        let blob: Vec<u8> = all.iter().flat_map(|id| *id.as_bytes()).collect();
        self.0.prepare_cached("INSERT OR REPLACE INTO intents (uri, ids) VALUES (?1, ?2)")?.execute(params![uri, blob])?;
        // Also when the file gets back the very content and stamp that are recorded, it is to be looked at.
        self.0
            .prepare_cached("UPDATE documents SET modified_ns = ?2, hash = ?3, points = ?4 WHERE uri = ?1")?
            .execute(params![uri, i64::MIN, [0u8; 32], encode(untouched)])?;
        self.0.prepare_cached("DELETE FROM facts WHERE key = 'generation'")?.execute([]).map(drop)
    }

    /// Records a document as done. To be called after the store has acknowledged, and only then.
    pub fn done(&self, uri: &str, stamp: Stamp, hash: &[u8; 32], points: &[Recorded]) -> rusqlite::Result<()> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let age = now.as_nanos() as i64 - stamp.modified_ns;
        // A stamp that proves nothing is stored as one that no file has: the next run compares the content.
        let modified_ns = if age < RACY.as_nanos() as i64 { i64::MIN } else { stamp.modified_ns };
        self.0
            .prepare_cached(
                "INSERT OR REPLACE INTO documents (uri, size, modified_ns, inode, hash, points) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![uri, stamp.size as i64, modified_ns, stamp.inode as i64, hash, encode(points)])?;
        self.0.prepare_cached("DELETE FROM intents WHERE uri = ?1")?.execute([uri])?;
        self.0.prepare_cached("DELETE FROM failures WHERE uri = ?1")?.execute([uri]).map(drop)
    }
}

fn intended(connection: &Connection, uri: &str) -> rusqlite::Result<Vec<Uuid>> {
    connection
        .prepare_cached("SELECT ids FROM intents WHERE uri = ?1")?
        .query_row([uri], |row| row.get::<_, Vec<u8>>(0))
        .optional()
        .map(|ids| decode_ids(&ids.unwrap_or_default()))
}

/// Which documents a run may find gone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    /// Only documents at or below these URIs; `None` is every document.
    pub roots: Option<Vec<String>>,
    /// But none at or below these, since they could not be read.
    pub unreadable: Vec<String>,
}

impl Scope {
    fn covers(&self, uri: &str) -> bool {
        self.roots.as_ref().is_none_or(|roots| roots.iter().any(|root| is_within(uri, root)))
            && !self.unreadable.iter().any(|root| is_within(uri, root))
    }
}

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS facts (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS documents (
        uri TEXT PRIMARY KEY, size INTEGER NOT NULL, modified_ns INTEGER NOT NULL, inode INTEGER NOT NULL,
        hash BLOB NOT NULL, points BLOB NOT NULL);
    CREATE TABLE IF NOT EXISTS intents (uri TEXT PRIMARY KEY, ids BLOB NOT NULL);
    CREATE TABLE IF NOT EXISTS failures (uri TEXT PRIMARY KEY, stage TEXT NOT NULL, error TEXT NOT NULL);
";

/// 16 bytes of id and 8 of digest a point.
fn encode(points: &[Recorded]) -> Vec<u8> {
    points.iter().flat_map(|point| point.id.as_bytes().iter().copied().chain(point.digest.to_le_bytes())).collect()
}

fn decode(blob: &[u8]) -> Vec<Recorded> {
    let (records, _) = blob.as_chunks::<24>();
    records
        .iter()
        .filter_map(|record| {
            let (id, digest) = record.split_first_chunk::<16>()?;
            Some(Recorded { id: Uuid::from_bytes(*id), digest: u64::from_le_bytes(digest.try_into().ok()?) })
        })
        .collect()
}

fn decode_ids(blob: &[u8]) -> Vec<Uuid> {
    let (ids, _) = blob.as_chunks::<16>();
    ids.iter().map(|id| Uuid::from_bytes(*id)).collect()
}

/// Takes the writer's lock, and writes into the file who has it.
fn lock(ledger: &Path) -> Result<File, LedgerError> {
    let io = |source| LedgerError::Io { path: ledger.to_owned(), source };
    let path = ledger.with_extension("lock");
    let mut file = File::options().create(true).truncate(false).read(true).write(true).open(path).map_err(io)?;
    match file.try_lock() {
        Ok(()) => {
            file.set_len(0).map_err(io)?;
            write!(file, "process {}", std::process::id()).map_err(io)?;
            Ok(file)
        }
        Err(std::fs::TryLockError::WouldBlock) => {
            let mut holder = String::new();
            let read = file.rewind().and_then(|()| (&file).take(200).read_to_string(&mut holder));
            if read.is_err() || holder.is_empty() {
                "a process".clone_into(&mut holder);
            }
            Err(LedgerError::Busy { path: ledger.to_owned(), holder })
        }
        Err(std::fs::TryLockError::Error(source)) => Err(io(source)),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test may panic")]
mod tests;
