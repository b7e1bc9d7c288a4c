//! The file: an `SQLite` database in WAL mode, which any number of processes may read and write at once.
//!
//! What a file keeps is vectors, or texts that a model has written ([`Entry`]); below they are all called vectors.
//!
//! Every vector has a checksum over its key and itself, so what a damaged file still gives out is either right or a miss. A file
//! that `SQLite` finds damaged, or that is not ours, is set aside (one is kept) and made anew. What cannot be opened or written
//! at all is given up with one warning.
//!
//! Keys and vectors are in two tables: the one is small enough to be looked through for what was not used for long, and a
//! look-up that marks an entry as used does not rewrite its vector; the other is written in order.

use std::fs::{self, File};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension as _, TransactionBehavior, params};

use super::key::{Entry, Key};

/// Marks a file as ours ("ragc").
const APPLICATION: i32 = 0x7261_6763;
/// Of the schema. A file of another version is set aside.
const VERSION: i32 = 1;
/// Bytes a page: of the sizes there are the one that wastes least (a third at most) over the widths that models have, since
/// `SQLite` puts whole vectors into pages. 384 wide takes 1.7 KB, 1536 wide 8.2 KB.
const PAGE: i64 = 16 << 10;
/// Pages kept in memory. Our `SQLite` lends every file's places to all files of the process, whatever their pages' sizes: the
/// ledger's pages, 500 of 4 KiB by default, let this file keep as many more of 16. A file larger than its places fills them,
/// a smaller one does not: more of them made a run slow in nothing, and a long run larger than a short one.
const CACHED_PAGES: i64 = 64;
/// How long another process is waited for, which holds the file for milliseconds at a time.
const BUSY: Duration = Duration::from_secs(5);
/// Entries that are removed in one go, at least.
const SLICE: usize = 512;
/// Entries that are looked at for one that is removed.
const SAMPLE: usize = 16;

const SCHEMA: &str = "
    BEGIN IMMEDIATE;
    CREATE TABLE entries (key BLOB PRIMARY KEY, used INTEGER NOT NULL, row INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE vectors (row INTEGER PRIMARY KEY, vector BLOB NOT NULL);
    PRAGMA application_id = 0x72616763;
    PRAGMA user_version = 1;
    COMMIT;
";

/// Why the file cannot be used as it is.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error("it is not a cache of this version")]
    Foreign,
    #[error("another process keeps it locked")]
    Locked,
}

impl Fault {
    /// Whether the file itself is wrong, rather than the disk or the rights. Our statements are right for our schema, so what
    /// `SQLite` has against them is the file's fault as well.
    fn is_damage(&self) -> bool {
        use ErrorCode as Code;
        match self {
            Self::Foreign => true,
            Self::Io(_) | Self::Locked => false,
            Self::Sqlite(error) => !matches!(
                error.sqlite_error_code(),
                Some(
                    Code::PermissionDenied
                        | Code::DatabaseBusy
                        | Code::DatabaseLocked
                        | Code::OutOfMemory
                        | Code::ReadOnly
                        | Code::OperationInterrupted
                        | Code::SystemIoFailure
                        | Code::DiskFull
                        | Code::CannotOpen
                        | Code::FileLockingProtocolFailed
                        | Code::NoLargeFileSupport
                )
            ),
        }
    }
}

#[derive(Debug)]
enum State {
    Closed,
    Open(Opened),
    /// It failed; there is no use in trying again.
    GivenUp,
}

#[derive(Debug)]
struct Opened {
    connection: Connection,
    /// Which file the path led to.
    inode: u64,
}

/// See the module's page. All calls block.
#[derive(Debug)]
pub(super) struct CacheFile<E> {
    path: PathBuf,
    max_bytes: u64,
    state: State,
    /// A file is set aside once in a process.
    replaced: bool,
    /// Entries that were read and have not been marked as used today.
    stale: Vec<Key>,
    kept: PhantomData<fn() -> E>,
}

impl<E: Entry> CacheFile<E> {
    /// The file is opened when it is first needed.
    pub fn new(path: PathBuf, max_bytes: u64) -> Self {
        Self { path, max_bytes, state: State::Closed, replaced: false, stale: Vec::new(), kept: PhantomData }
    }

    /// What is there of these keys, in their order.
    pub fn get(&mut self, keys: &[Key]) -> Vec<Option<E>> {
        let today = today();
        let found = self.with(|connection| {
            // One transaction, so that the file is locked once.
            let transaction = connection.transaction()?;
            let mut found = Vec::with_capacity(keys.len());
            let mut stale = Vec::new();
            {
                let mut look =
                    transaction.prepare_cached("SELECT used, vector FROM entries JOIN vectors USING (row) WHERE key = ?1")?;
                for key in keys {
                    let vector = look
                        .query_row([&key.0[..]], |row| {
                            if row.get_ref(0)?.as_i64().is_ok_and(|used| used < today) {
                                stale.push(*key);
                            }
                            Ok(row.get_ref(1)?.as_blob().ok().and_then(|blob| decode(key, blob)))
                        })
                        .optional()?;
                    found.push(vector.flatten());
                }
            }
            transaction.commit()?;
            Ok((found, stale))
        });
        let Some((found, stale)) = found else { return none(keys) };
        self.stale = stale;
        found
    }

    /// Marks what was read last as used today. Days are fine enough, and reads seldom write.
    pub fn touch(&mut self) {
        let stale = std::mem::take(&mut self.stale);
        let State::Open(opened) = &mut self.state else { return };
        if stale.is_empty() {
            return;
        }
        let work = |connection: &mut Connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            {
                let mut mark = transaction.prepare_cached("UPDATE entries SET used = ?2 WHERE key = ?1")?;
                stale.iter().try_for_each(|key| mark.execute(params![&key.0[..], today()]).map(drop))?;
            }
            transaction.commit()
        };
        if let Err(error) = work(&mut opened.connection) {
            // They can still be read; they only look older than they are.
            tracing::debug!(%error, "what was read of the cache could not be marked as used");
        }
    }

    /// Keeps what one request was answered with, in one transaction.
    pub fn put(&mut self, paid: &[(Key, E)]) {
        let today = today();
        self.with(|connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            {
                // What is there is there twice (another process was as fast) or damaged.
                let mut replace =
                    transaction.prepare_cached("DELETE FROM vectors WHERE row = (SELECT row FROM entries WHERE key = ?1)")?;
                let mut insert = transaction.prepare_cached("INSERT INTO vectors (vector) VALUES (?1)")?;
                let mut enter =
                    transaction.prepare_cached("INSERT OR REPLACE INTO entries (key, used, row) VALUES (?1, ?2, ?3)")?;
                let mut blob = Vec::new();
                for (key, vector) in paid {
                    encode(key, vector, &mut blob);
                    replace.execute([&key.0[..]])?;
                    let row = insert.insert([&blob])?;
                    enter.execute(params![&key.0[..], today, row])?;
                }
                // A tree whose order is damaged takes entries and never finds them again: they would be paid for in every run.
                let mut look = transaction.prepare_cached("SELECT 1 FROM entries JOIN vectors USING (row) WHERE key = ?1")?;
                paid.iter().try_for_each(|(key, _)| look.query_row([&key.0[..]], |_| Ok(())))?;
            }
            transaction.commit()
        });
    }

    /// While the file is too large, removes what was not used for longest of a sample of its keys: twice as much as was put and
    /// [`SLICE`] at least. What is freed is used for what comes next, so the file grows no further. Keys are hashes, so those
    /// that follow the first one that was put are as good a sample as any; to look through them all would take half a second.
    pub fn trim(&mut self, put: &[(Key, E)]) {
        let Some((first, _)) = put.first() else { return };
        let (max_bytes, slice) = (self.max_bytes, SLICE.max(put.len() * 2));
        self.with(|connection| {
            if bytes(connection)? <= max_bytes {
                return Ok(());
            }
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            {
                let mut look = transaction.prepare_cached(
                    "WITH above AS (SELECT key, used, row FROM entries WHERE key >= ?1 ORDER BY key LIMIT ?2),
                          below AS (SELECT key, used, row FROM entries WHERE key < ?1 ORDER BY key
                                    LIMIT ?2 - (SELECT count(*) FROM above))
                     SELECT key, row FROM (SELECT * FROM above UNION ALL SELECT * FROM below) ORDER BY used, row LIMIT ?3",
                )?;
                let sample = params![&first.0[..], (slice * SAMPLE) as i64, slice as i64];
                let oldest = look.query_map(sample, |row| Ok((row.get(0)?, row.get(1)?)))?;
                let oldest: Vec<(Vec<u8>, i64)> = oldest.collect::<Result<_, _>>()?;
                let mut leave = transaction.prepare_cached("DELETE FROM entries WHERE key = ?1")?;
                let mut free = transaction.prepare_cached("DELETE FROM vectors WHERE row = ?1")?;
                for (key, row) in oldest {
                    leave.execute([key])?;
                    free.execute([row])?;
                }
            }
            transaction.commit()
        });
    }

    /// Does something with the file, opened if need be. A damaged file is replaced, and it is done again with the new one.
    fn with<T>(&mut self, mut work: impl FnMut(&mut Connection) -> rusqlite::Result<T>) -> Option<T> {
        loop {
            let (fault, inode) = match &mut self.state {
                State::GivenUp => return None,
                State::Open(opened) => match work(&mut opened.connection) {
                    Ok(value) => return Some(value),
                    Err(error) => (Fault::from(error), Some(opened.inode)),
                },
                State::Closed => match open::<E>(&self.path, None) {
                    Ok(opened) => {
                        self.state = State::Open(opened);
                        continue;
                    }
                    Err(fault) => (fault, None),
                },
            };
            // Closed before it is set aside.
            self.state = State::GivenUp;
            if let Some(inode) = inode.filter(|_| fault.is_damage() && !self.replaced) {
                self.replaced = true;
                tracing::warn!(path = %self.path.display(), %fault, "{} is damaged: it is set aside and made anew", E::NAME);
                match open::<E>(&self.path, Some(inode)) {
                    Ok(opened) => self.state = State::Open(opened),
                    Err(fault) => give_up::<E>(&self.path, &fault),
                }
            } else {
                give_up::<E>(&self.path, &fault);
            }
        }
    }
}

fn give_up<E: Entry>(path: &Path, fault: &Fault) {
    tracing::warn!(path = %path.display(), %fault, "{} cannot be used: going on without it", E::NAME);
}

/// Opens the file; one that is damaged or not ours is set aside first, and so is the one with the inode `damaged`.
/// One process at a time, so that none opens what another is setting aside.
fn open<E: Entry>(path: &Path, damaged: Option<u64>) -> Result<Opened, Fault> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let _lock = lock(&path.with_extension("lock"))?;
    if damaged.is_some_and(|damaged| inode(path).is_ok_and(|inode| inode == damaged)) {
        set_aside(path)?;
    }
    let connection = match connect(path) {
        Err(fault) if fault.is_damage() => {
            tracing::warn!(path = %path.display(), %fault, "{} is damaged: it is set aside and made anew", E::NAME);
            set_aside(path)?;
            connect(path)?
        }
        connected => connected?,
    };
    Ok(Opened { connection, inode: inode(path)? })
}

fn lock(path: &Path) -> Result<File, Fault> {
    let file = File::options().create(true).truncate(false).write(true).open(path)?;
    let began = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(fs::TryLockError::WouldBlock) if began.elapsed() < BUSY => std::thread::sleep(Duration::from_millis(5)),
            Err(fs::TryLockError::WouldBlock) => return Err(Fault::Locked),
            Err(fs::TryLockError::Error(error)) => return Err(error.into()),
        }
    }
}

fn connect(path: &Path) -> Result<Connection, Fault> {
    if fs::metadata(path).is_ok_and(|meta| !meta.is_file()) {
        return Err(Fault::Foreign);
    }
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY)?;
    let empty: bool = connection.query_row("SELECT count(*) = 0 FROM sqlite_schema", [], |row| row.get(0))?;
    if !empty && !is_ours(&connection)? {
        return Err(Fault::Foreign);
    }
    connection.pragma_update(None, "cell_size_check", true)?;
    // Without effect on a file that is there.
    connection.pragma_update(None, "page_size", PAGE)?;
    // A killed process loses nothing that was written; a power cut may cost the last moments.
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    // Syncs every 16 MB.
    connection.pragma_update(None, "wal_autocheckpoint", (16 << 20) / PAGE)?;
    connection.pragma_update(None, "journal_size_limit", 64 << 20)?;
    connection.pragma_update(None, "cache_size", CACHED_PAGES)?;
    if empty {
        connection.execute_batch(SCHEMA)?;
    }
    Ok(connection)
}

fn is_ours(connection: &Connection) -> rusqlite::Result<bool> {
    let fact = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    Ok(fact("application_id")? == APPLICATION && fact("user_version")? == VERSION)
}

/// Renames the file. The one that was set aside before is gone then.
fn set_aside(path: &Path) -> std::io::Result<()> {
    // Never left beside a new file: SQLite would play what they hold into it.
    for suffix in ["-wal", "-shm", "-journal"] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        match fs::remove_file(name) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    fs::rename(path, path.with_extension("damaged"))
}

#[cfg(unix)]
fn inode(path: &Path) -> std::io::Result<u64> {
    fs::metadata(path).map(|meta| std::os::unix::fs::MetadataExt::ino(&meta))
}

#[cfg(not(unix))]
fn inode(path: &Path) -> std::io::Result<u64> {
    fs::metadata(path).map(|_| 0)
}

/// Days since 1970.
fn today() -> i64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    (now.as_secs() / 86_400) as i64
}

/// Bytes in use: what is free in the file is written to before it grows.
fn bytes(connection: &Connection) -> rusqlite::Result<u64> {
    let fact = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let pages = fact("page_count")? - fact("freelist_count")?;
    Ok((pages * fact("page_size")?) as u64)
}

fn checksum(key: &Key, vector: &[u8]) -> [u8; 8] {
    let mut hash = blake3::Hasher::new();
    hash.update(&key.0);
    hash.update(vector);
    let mut sum = [0; 8];
    hash.finalize_xof().fill(&mut sum);
    sum
}

/// What is kept, then 8 bytes of blake3 over the key and it.
fn encode<E: Entry>(key: &Key, entry: &E, blob: &mut Vec<u8>) {
    blob.clear();
    entry.write(blob);
    let sum = checksum(key, blob);
    blob.extend(sum);
}

fn decode<E: Entry>(key: &Key, blob: &[u8]) -> Option<E> {
    let (kept, sum) = blob.split_last_chunk::<8>()?;
    if *sum == checksum(key, kept) { E::read(kept) } else { None }
}

/// None of these keys.
fn none<E>(keys: &[Key]) -> Vec<Option<E>> {
    keys.iter().map(|_| None).collect()
}

/// What a cache file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// Vectors.
    pub entries: u64,
    /// Bytes they take on disk.
    pub bytes: u64,
}

/// Looks at a file without making one.
pub(super) fn held(path: &Path) -> Option<Held> {
    look(path, |connection| {
        let entries: i64 = connection.query_row("SELECT count(*) FROM entries", [], |row| row.get(0))?;
        Ok(Held { entries: entries as u64, bytes: bytes(connection)? })
    })
}

/// Which of these keys a file has, as far as can be told without reading the vectors. Makes no file and marks nothing as used.
pub(super) fn has(path: &Path, keys: &[Key]) -> Vec<bool> {
    let has = look(path, |connection| {
        let mut look = connection.prepare_cached("SELECT 1 FROM entries WHERE key = ?1")?;
        keys.iter().map(|key| look.exists([&key.0[..]])).collect()
    });
    has.unwrap_or_else(|| vec![false; keys.len()])
}

/// What a file has of these keys. Makes no file and marks nothing as used.
pub(super) fn read<E: Entry>(path: &Path, keys: &[Key]) -> Vec<Option<E>> {
    let found = look(path, |connection| {
        let mut look = connection.prepare_cached("SELECT vector FROM entries JOIN vectors USING (row) WHERE key = ?1")?;
        let mut found = Vec::with_capacity(keys.len());
        for key in keys {
            let kept =
                look.query_row([&key.0[..]], |row| Ok(row.get_ref(0)?.as_blob().ok().and_then(|blob| decode(key, blob))));
            found.push(kept.optional()?.flatten());
        }
        Ok(found)
    });
    found.unwrap_or_else(|| none(keys))
}

fn look<T>(path: &Path, work: impl Fn(&Connection) -> rusqlite::Result<T>) -> Option<T> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).ok()?;
    connection.busy_timeout(Duration::from_secs(1)).ok()?;
    let ours = is_ours(&connection).is_ok_and(|ours| ours);
    ours.then(|| work(&connection).ok()).flatten()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a failing test may panic")]
mod tests;
