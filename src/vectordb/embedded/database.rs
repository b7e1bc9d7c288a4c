//! The database of an index: what a point says, what no segment has yet, and which segments count. Its transactions are the
//! acknowledgement; any number of processes may read it while one writes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::fault::Fault;
use super::rows::RowSet;
use crate::unchanging;

/// Marks a file as ours ("ragi").
const APPLICATION: i64 = 0x7261_6769;
/// Of the tables.
const VERSION: i64 = 1;
/// Bytes of the page cache that one connection may take, in KiB, with a minus sign as the pragma wants it.
const CACHE: i64 = -2048;
/// Bytes of the log that are kept for what comes next, once it is written into the database.
const LOG_KEPT: i64 = 16 << 20;
/// How long another connection's short lock is waited for.
pub(super) const BUSY: Duration = Duration::from_secs(10);

/// - `documents`: what the passages of a document have in common. A document whose passages differ in it has several rows;
///   `digest` tells them apart. Conditions are answered here.
/// - `points`: a passage each. `headings` are a list, or an object with a table's columns, the page and the anchor besides (see `passages`). `row` ascends and is never used again; `uri`s of points are their document's.
/// - `fresh`: what no segment has yet: the vector in half precision, the terms as (id, weight) of 4 and 2 bytes.
/// - `segments`: the segments that count. Their rows are from `first` to `last`, and no two overlap.
/// - `dead`: rows that are in a segment (or about to be) and do not count any more, a chunk of 32,768 rows as bits.
/// - `counters`: `row` is the next row's number.
const SCHEMA: &str = "
    CREATE TABLE documents (
        document INTEGER PRIMARY KEY, uri TEXT NOT NULL, digest BLOB NOT NULL, points INTEGER NOT NULL, modified INTEGER NOT NULL,
        lang TEXT, title TEXT, source TEXT, metadata TEXT, UNIQUE (uri, digest));
    CREATE TABLE points (
        row INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, document INTEGER NOT NULL, position INTEGER NOT NULL,
        start INTEGER NOT NULL, end INTEGER NOT NULL, line INTEGER NOT NULL, last_line INTEGER NOT NULL, headings TEXT, text TEXT NOT NULL);
    CREATE INDEX points_by_document ON points (document);
    CREATE TABLE fresh (row INTEGER PRIMARY KEY, half BLOB NOT NULL, terms BLOB NOT NULL);
    CREATE TABLE segments (
        name TEXT PRIMARY KEY, first INTEGER NOT NULL, last INTEGER NOT NULL, count INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE dead (chunk INTEGER PRIMARY KEY, bits BLOB NOT NULL);
    CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
    INSERT INTO counters VALUES ('row', 1);
";

/// A connection to an index's database, and the folder of its files.
#[derive(Debug)]
pub(super) struct Database {
    pub(super) connection: Connection,
    pub(super) folder: PathBuf,
}

/// A segment that counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) name: String,
    pub(super) first: i64,
    pub(super) last: i64,
    pub(super) count: u32,
}

/// Which segments and rows count.
#[derive(Debug, Default)]
pub(super) struct State {
    /// In the order of their rows.
    pub(super) segments: Vec<Listed>,
    pub(super) dead: RowSet,
}

impl State {
    /// How many points are in segments.
    pub(super) fn sealed(&self) -> u64 {
        self.segments.iter().map(|segment| self.living(segment)).sum()
    }

    /// Rows of a segment that count.
    pub(super) fn living(&self, segment: &Listed) -> u64 {
        u64::from(segment.count).saturating_sub(self.dead.count(segment.first, segment.last))
    }
}

impl Database {
    /// Makes the database of an empty index in `folder`, and brings it to the disk.
    pub(super) fn create(folder: &Path) -> Result<(), Fault> {
        let path = path(folder);
        let fault = fault(&path);
        let connection = Connection::open(&path).map_err(&fault)?;
        let made = || {
            connection
                .execute_batch("PRAGMA page_size = 8192; PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL;")?;
            connection.execute_batch(&format!("BEGIN IMMEDIATE; {SCHEMA} COMMIT;"))?;
            connection.pragma_update(None, "application_id", APPLICATION)?;
            connection.pragma_update(None, "user_version", VERSION)
        };
        made().map_err(&fault)?;
        // Writes the log into the file and removes it.
        connection.close().map_err(|(_, error)| fault(error))
    }

    /// Opens the database to read from it. Its writer is not in the way, nor the other way around.
    pub(super) fn open_to_read(folder: &Path) -> Result<Self, Fault> {
        let path = path(folder);
        let database = match Self::open(folder) {
            Err(Fault::Database { error, .. }) if unchanging::is_whole(&path, &error) => {
                Self { connection: unchanging::open(&path).map_err(fault(&path))?, folder: folder.to_owned() }
            }
            opened => opened?,
        };
        database.call(|connection| connection.pragma_update(None, "query_only", true))?;
        Ok(database)
    }

    /// Opens the database to write to it. Whoever writes holds the folder's lock.
    pub(super) fn open(folder: &Path) -> Result<Self, Fault> {
        let path = path(folder);
        if !path.try_exists().map_err(Fault::io(&path))? {
            return Err(Fault::Gone(path));
        }
        let fault = fault(&path);
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&path, flags).map_err(&fault)?;
        let opened = || {
            connection.busy_timeout(BUSY)?;
            connection.pragma_update(None, "cache_size", CACHE)?;
            // A write is on the disk when it is acknowledged, a power cut included.
            connection.pragma_update(None, "synchronous", "FULL")?;
            // The log is written into the file beside the writing, not by the write that happens to fill it.
            connection.pragma_update(None, "wal_autocheckpoint", 0)?;
            connection.pragma_update(None, "journal_size_limit", LOG_KEPT)?;
            connection.set_prepared_statement_cache_capacity(64);
            let number = |pragma| connection.query_row(pragma, [], |row| row.get::<_, i64>(0));
            Ok((number("PRAGMA application_id")?, number("PRAGMA user_version")?))
        };
        match opened().map_err(&fault)? {
            (APPLICATION, VERSION) => Ok(Self { connection, folder: folder.to_owned() }),
            (application, version) => {
                Err(Fault::damaged(&path, format!("it is no database of this program ({application:x}, {version})")))
            }
        }
    }

    /// Calls the database, and says which file it was in what goes wrong.
    pub(super) fn call<T>(&self, call: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, Fault> {
        call(&self.connection).map_err(|error| self.fault(error))
    }

    pub(super) fn fault(&self, error: rusqlite::Error) -> Fault {
        Fault::Database { path: path(&self.folder), error }
    }

    /// Which segments and rows count, as of the transaction at hand.
    pub(super) fn state(&self) -> Result<State, Fault> {
        let segments = self.call(|connection| {
            let mut statement = connection.prepare_cached("SELECT name, first, last, count FROM segments ORDER BY first")?;
            let listed = statement.query_map([], |row| {
                Ok(Listed { name: row.get(0)?, first: row.get(1)?, last: row.get(2)?, count: row.get(3)? })
            });
            listed?.collect::<rusqlite::Result<Vec<_>>>()
        })?;
        let chunks = self.call(|connection| {
            let mut statement = connection.prepare_cached("SELECT chunk, bits FROM dead")?;
            let chunks = statement.query_map([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?)));
            chunks?.collect::<rusqlite::Result<Vec<_>>>()
        })?;
        let mut dead = RowSet::default();
        for (chunk, bits) in chunks {
            dead.set_bytes(chunk, &bits).ok_or_else(|| Fault::damaged(&path(&self.folder), "its table `dead` is not ours"))?;
        }
        Ok(State { segments, dead })
    }

    /// How many rows no segment has yet.
    pub(super) fn fresh(&self) -> Result<i64, Fault> {
        self.call(|connection| connection.prepare_cached("SELECT count(*) FROM fresh")?.query_row([], |row| row.get(0)))
    }

    /// Writes the log into the database, in one of `SQLite`'s modes, and returns how many pages of it are there now.
    pub(super) fn empty_log(&self, mode: &str) -> Result<i64, Fault> {
        self.call(|connection| connection.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |row| row.get(2)))
    }

    /// The bytes of the log.
    pub(super) fn log_bytes(&self) -> u64 {
        self.folder.join("index.db-wal").metadata().map_or(0, |log| log.len())
    }
}

/// The database of the index in `folder`.
pub(super) fn path(folder: &Path) -> PathBuf {
    folder.join("index.db")
}

fn fault(path: &Path) -> impl Fn(rusqlite::Error) -> Fault {
    move |error| Fault::Database { path: path.to_owned(), error }
}
