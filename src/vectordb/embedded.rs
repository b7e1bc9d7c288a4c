//! The embedded store: an index in one folder, in this process, on `SQLite` and files of vectors and postings that are written once.
//!
//! ```text
//! <folder>/lock               locked while a process writes to the index; says which
//! <folder>/meta.json          what the index was made with, and the folder of its files; written last and replaced as a whole
//! <folder>/index-…/index.db   the passages, what no segment has yet, and which segments and rows count (see `database`)
//! <folder>/index-…/segment-…  vectors and postings (see `segment`)
//! ```
//!
//! A transaction's end is the acknowledgement: it is on the disk then, and after a kill there is nothing to be done again. Fresh rows
//! become segments, and small segments large ones, beside the writing (see `maintenance`). Any number of processes may read
//! meanwhile, each call one state of the index.

mod best;
mod contents;
mod database;
mod fault;
mod files;
mod filter;
mod lock;
mod maintenance;
mod merge;
mod passages;
mod postings;
mod reader;
mod rows;
mod scan;
mod search;
mod segment;
mod snapshot;
mod stopwatch;
mod vectors;
mod writer;

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Semaphore;
use uuid::Uuid;

use self::contents::{DATA, Described, LAYOUT};
use self::database::Database;
use self::fault::Fault;
use self::files::{remove, remove_file, sync_directory};
use self::lock::{FolderLock, LockFailure};
use self::maintenance::Maintenance;
use self::merge::Sizes;
use self::reader::Reader;
use self::stopwatch::Stopwatch;
use self::writer::{Change, Writer};
use super::{
    Condition, Frequencies, IndexMeta, MAX_PAGE, OneByOne, Query, Standing, StoreError, TwoRankings, VectorStore, check_points,
    check_query,
};
use crate::document::{Hit, Passage, Point, SparseVector};

/// Calls that may occupy a blocking thread at the same time.
const PARALLEL: usize = 16;
/// Numbers of fresh vectors that are worth a segment: they are in memory while it is made.
const FRESH: usize = 4 << 20;
/// An index in a folder of its own. One process at a time writes to it: from its first write until the store is released or
/// dropped (which blocks for a moment). Any number read it meanwhile.
#[derive(Debug)]
pub struct EmbeddedStore {
    folder: Arc<Folder>,
    running: Semaphore,
}

#[derive(Debug)]
struct Folder {
    path: PathBuf,
    wait: Duration,
    sizes: Option<Sizes>,
    state: RwLock<State>,
    /// Of whoever writes.
    stopwatch: Arc<Stopwatch>,
}

#[derive(Debug, Default)]
struct State {
    reading: Option<Arc<Reading>>,
    writing: Option<Arc<Writing>>,
    lock: Option<Arc<FolderLock>>,
}

/// The index, open to read from it.
#[derive(Debug)]
struct Reading {
    data: String,
    reader: Reader,
}

/// The index, open to write to it.
#[derive(Debug)]
struct Writing {
    data: String,
    dimensions: usize,
    // Dropped in this order: as long as anything is written, the folder is locked.
    maintenance: Maintenance,
    writer: Arc<Writer>,
    _lock: Arc<FolderLock>,
}

impl EmbeddedStore {
    /// How long to wait for a process that writes to the index.
    pub const WAIT: Duration = Duration::from_secs(5);

    /// The index in this folder. Touches nothing until it is used.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self::open(folder.into(), Self::WAIT, None)
    }

    /// As [`Self::new`], waiting for another process that writes for at most `wait`, then [`StoreError::Locked`].
    pub fn with_wait(folder: impl Into<PathBuf>, wait: Duration) -> Self {
        Self::open(folder.into(), wait, None)
    }

    /// As [`Self::new`], with other sizes, in points: what is written before it becomes a segment, and what a segment grows to by merging.
    pub fn with_segments(folder: impl Into<PathBuf>, [seal, segment]: [usize; 2]) -> Self {
        Self::open(folder.into(), Self::WAIT, Some(Sizes { seal, segment }))
    }

    fn open(path: PathBuf, wait: Duration, sizes: Option<Sizes>) -> Self {
        let folder = Folder { path, wait, sizes, state: RwLock::default(), stopwatch: Arc::default() };
        Self { folder: Arc::new(folder), running: Semaphore::new(PARALLEL) }
    }

    /// Runs `work` on a blocking thread. It is carried through even when the caller goes away.
    async fn run<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Folder) -> Result<T, StoreError> + Send + 'static,
    {
        // Never closed, hence never an error.
        let _permit = self.running.acquire().await;
        let folder = Arc::clone(&self.folder);
        match tokio::task::spawn_blocking(move || work(&folder)).await {
            Ok(result) => result,
            Err(error) => Err(self.folder.failed("run", error.to_string())),
        }
    }
}

#[async_trait]
impl VectorStore for EmbeddedStore {
    fn describe(&self) -> String {
        self.folder.describe()
    }

    async fn meta(&self) -> Result<Option<IndexMeta>, StoreError> {
        self.run(|folder| Ok(folder.described()?.map(|described| described.index))).await
    }

    async fn create(&self, meta: &IndexMeta) -> Result<(), StoreError> {
        let meta = meta.clone();
        self.run(move |folder| folder.create(meta)).await
    }

    async fn set_meta(&self, meta: &IndexMeta) -> Result<(), StoreError> {
        let meta = meta.clone();
        self.run(move |folder| folder.set_meta(meta)).await
    }

    async fn drop_index(&self) -> Result<(), StoreError> {
        self.run(Folder::remove).await
    }

    async fn acquire(&self) -> Result<(), StoreError> {
        self.run(|folder| folder.writing().map(drop)).await
    }

    async fn upsert(&self, points: Vec<Point>) -> Result<(), StoreError> {
        self.run(move |folder| {
            let writing = folder.writing()?;
            check_points(&points, writing.dimensions).map_err(|reason| folder.failed("write points", reason))?;
            let points = points.into_iter().map(Into::into).collect();
            folder.write("write points", &writing, Change::Upsert(points))
        })
        .await
    }

    async fn set_passages(&self, passages: Vec<(Uuid, Passage)>) -> Result<(), StoreError> {
        self.run(move |folder| folder.write("write passages", &*folder.writing()?, Change::Passages(passages))).await
    }

    async fn delete(&self, ids: Vec<Uuid>) -> Result<(), StoreError> {
        self.run(move |folder| folder.write("delete points", &*folder.writing()?, Change::Delete(ids))).await
    }

    async fn delete_document(&self, uri: &str) -> Result<(), StoreError> {
        let uri = uri.to_owned();
        self.run(move |folder| folder.write("delete a document", &*folder.writing()?, Change::DeleteDocument(uri))).await
    }

    async fn query_where(&self, query: Query, conditions: &[Condition], limit: usize) -> Result<Vec<Hit>, StoreError> {
        let conditions = conditions.to_vec();
        self.run(move |folder| {
            folder.read("search", |reader| {
                let finds = check_query(&query, reader.dimensions()).map_err(Fault::Unfit)?;
                match limit.min(MAX_PAGE) {
                    limit @ 1.. if finds => reader.query(&query, &conditions, limit),
                    _ => Ok(Vec::new()),
                }
            })
        })
        .await
    }

    async fn query_two(&self, two: TwoRankings, conditions: &[Condition], limit: usize) -> Result<Vec<Hit>, StoreError> {
        let (conditions, asked) = (conditions.to_vec(), Query::Dense(two.dense.clone()));
        self.run(move |folder| {
            folder.read("search", |reader| {
                check_query(&asked, reader.dimensions()).map_err(Fault::Unfit)?;
                match (limit.min(MAX_PAGE), two.depth.min(MAX_PAGE)) {
                    (limit @ 1.., depth @ 1..) => reader.query_two(&TwoRankings { depth, ..two.clone() }, &conditions, limit),
                    _ => Ok(Vec::new()),
                }
            })
        })
        .await
    }

    async fn frequencies(&self, terms: &[u32]) -> Result<Option<Frequencies>, StoreError> {
        let words = SparseVector { indices: terms.to_vec(), values: vec![1.0; terms.len()] };
        self.run(move |folder| folder.read("search", |reader| reader.frequencies(&words)).map(Some)).await
    }

    async fn standing(&self, query: Query, conditions: &[Condition], uri: &str) -> Result<Option<Standing>, StoreError> {
        let (conditions, uri) = (conditions.to_vec(), uri.to_owned());
        self.run(move |folder| {
            folder.read("search", |reader| {
                let finds = check_query(&query, reader.dimensions()).map_err(Fault::Unfit)?;
                if finds { reader.standing(&query, &conditions, &uri) } else { Ok(None) }
            })
        })
        .await
    }

    async fn uris(&self, conditions: &[Condition]) -> Result<Vec<String>, StoreError> {
        let conditions = conditions.to_vec();
        self.run(move |folder| folder.read("list documents", |reader| reader.uris(&conditions))).await
    }

    async fn count(&self) -> Result<u64, StoreError> {
        self.run(|folder| folder.read("count points", Reader::count)).await
    }

    async fn scroll(&self, after: Option<Uuid>, limit: usize) -> Result<Vec<(Uuid, Passage)>, StoreError> {
        let from = super::first_after(after);
        self.run(move |folder| {
            folder.read("read points", |reader| match (from, limit.min(MAX_PAGE)) {
                (None, _) | (_, 0) => Ok(Vec::new()),
                (Some(from), limit) => {
                    Ok(reader.scroll(from, limit)?.into_iter().map(|(_, id, passage)| (id, passage)).collect())
                }
            })
        })
        .await
    }

    async fn scroll_points(&self, after: Option<Uuid>, limit: usize) -> Result<Vec<(Uuid, Vec<f32>, Passage)>, StoreError> {
        let from = super::first_after(after);
        self.run(move |folder| {
            folder.read("read points", |reader| match (from, limit.min(MAX_PAGE)) {
                (None, _) | (_, 0) => Ok(Vec::new()),
                (Some(from), limit) => reader.scroll_points(from, limit),
            })
        })
        .await
    }

    async fn passages_of(&self, uri: &str) -> Result<Vec<Passage>, StoreError> {
        let uri = uri.to_owned();
        self.run(move |folder| folder.read("read a document", |reader| reader.passages_of(&uri)).map(super::in_order)).await
    }

    async fn passages(&self, ids: Vec<Uuid>) -> Result<Vec<Option<Passage>>, StoreError> {
        self.run(move |folder| folder.read("read points", |reader| reader.passages(&ids))).await
    }

    async fn flush(&self) -> Result<(), StoreError> {
        self.run(|folder| {
            let writing = folder.writing()?;
            writing.maintenance.tidy().map_err(|fault| folder.refuse("tidy up", &fault))
        })
        .await
    }

    async fn release(&self) {
        let released = self.run(|folder| {
            let state = std::mem::take(&mut *folder.state.write().unwrap_or_else(PoisonError::into_inner));
            drop(state);
            Ok(())
        });
        if let Err(error) = released.await {
            tracing::debug!(%error, "the index is still open");
        }
    }

    fn one_by_one(&self) -> Option<OneByOne> {
        Some(self.folder.stopwatch.read())
    }
}

impl Folder {
    fn describe(&self) -> String {
        self.path.display().to_string()
    }

    fn sizes(&self, dimensions: usize) -> Sizes {
        self.sizes.unwrap_or_else(|| Sizes { seal: (FRESH / dimensions.max(1)).clamp(256, 4096), segment: 262_144 })
    }

    /// Carries out a change of the index.
    fn write(&self, action: &'static str, writing: &Writing, change: Change) -> Result<(), StoreError> {
        let written = writing.writer.write(change).and_then(|()| writing.maintenance.written());
        written.map_err(|fault| self.refuse(action, &fault))
    }

    /// Calls `work` with the open index, which it opens first where need be.
    fn read<T>(&self, action: &'static str, work: impl Fn(&Reader) -> Result<T, Fault>) -> Result<T, StoreError> {
        let mut reading = self.reading()?;
        loop {
            let fault = match work(&reading.reader) {
                Ok(done) => return Ok(done),
                Err(fault) => fault,
            };
            // Another process may have removed the index meanwhile, or made it anew.
            let now = self.reading()?;
            if now.data == reading.data {
                return Err(self.refuse(action, &fault));
            }
            reading = now;
        }
    }

    /// The index of today, open to read from it: another process may have made it anew since the last call.
    fn reading(&self) -> Result<Arc<Reading>, StoreError> {
        let described = self.described()?.ok_or_else(|| self.missing())?;
        let same = |reading: &&Arc<Reading>| reading.data == described.data;
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(reading) = state.reading.as_ref().filter(same) {
            return Ok(Arc::clone(reading));
        }
        drop(state);
        let reader = Reader::new(self.path.join(&described.data), described.index.dimensions);
        let reading = Arc::new(Reading { data: described.data, reader });
        self.state.write().unwrap_or_else(PoisonError::into_inner).reading = Some(Arc::clone(&reading));
        Ok(reading)
    }

    /// The index, open to write to it, and the folder's lock with it.
    fn writing(&self) -> Result<Arc<Writing>, StoreError> {
        let described = self.described()?.ok_or_else(|| self.missing())?;
        {
            let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(writing) = state.writing.as_ref().filter(|writing| writing.data == described.data) {
                return Ok(Arc::clone(writing));
            }
        }
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let lock = self.lock(&mut state)?;
        // Again, since the lock was waited for.
        let described = self.described()?.ok_or_else(|| self.missing())?;
        if let Some(writing) = state.writing.as_ref().filter(|writing| writing.data == described.data) {
            return Ok(Arc::clone(writing));
        }
        let writing = self.open(&described, lock).map_err(|fault| self.refuse("open", &fault))?;
        state.writing = Some(Arc::clone(&writing));
        Ok(writing)
    }

    fn open(&self, described: &Described, lock: Arc<FolderLock>) -> Result<Arc<Writing>, Fault> {
        if let Err(error) = self.remove_data(Some(&described.data)) {
            // Some systems keep what is still being read.
            tracing::debug!(%error, "what is left of an earlier index is removed the next time");
        }
        let folder = self.path.join(&described.data);
        let dimensions = described.index.dimensions;
        let writer = Arc::new(Writer::new(Database::open(&folder)?, Arc::clone(&self.stopwatch))?);
        let maintenance = Maintenance::start(&folder, Arc::clone(&writer), dimensions, self.sizes(dimensions))?;
        Ok(Arc::new(Writing { data: described.data.clone(), dimensions, maintenance, writer, _lock: lock }))
    }

    fn create(&self, meta: IndexMeta) -> Result<(), StoreError> {
        if meta.dimensions == 0 {
            return Err(self.failed("create", "vectors need at least one dimension".into()));
        }
        let io = |error: io::Error| self.failed("create", error.to_string());
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        fs::create_dir_all(&self.path).map_err(io)?;
        let lock = self.lock(&mut state)?;
        if self.described()?.is_some() {
            return Err(self.failed("create", "there is an index already".into()));
        }
        // Without meta.json, whatever is there is the rest of an attempt that was cut short: it is removed when the new one is there.
        let described = Described { layout: LAYOUT, data: format!("{DATA}{:016x}", rand::random::<u64>()), index: meta };
        let folder = self.path.join(&described.data);
        fs::create_dir(&folder).map_err(io)?;
        Database::create(&folder).map_err(|fault| self.refuse("create", &fault))?;
        sync_directory(&folder).and_then(|()| sync_directory(&self.path)).map_err(io)?;
        self.describe_as(&described).map_err(io)?;
        (state.reading, state.writing) = (None, None);
        state.writing = Some(self.open(&described, lock).map_err(|fault| self.refuse("open", &fault))?);
        Ok(())
    }

    fn set_meta(&self, meta: IndexMeta) -> Result<(), StoreError> {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if self.described()?.is_none() {
            return Err(self.missing());
        }
        self.lock(&mut state)?;
        let described = self.described()?.ok_or_else(|| self.missing())?;
        let described = Described { index: meta, ..described };
        self.describe_as(&described).map_err(|error| self.failed("write meta.json", error.to_string()))
    }

    fn remove(&self) -> Result<(), StoreError> {
        let io = |error: io::Error| self.failed("remove", error.to_string());
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let meta = self.meta_path();
        if !meta.exists() && !self.data().is_ok_and(|data| !data.is_empty()) {
            return Ok(());
        }
        if let Err(error @ (StoreError::Failed { .. } | StoreError::Denied { .. })) = self.described() {
            return Err(error);
        }
        self.lock(&mut state)?;
        let earlier = self.earlier();
        (state.reading, state.writing) = (None, None);
        // `meta.json` tells that these are ours, so they go before it.
        earlier.iter().try_for_each(|path| remove(path)).map_err(io)?;
        // It goes first of what is left, so that a removal that was cut short is not taken for an index.
        remove_file(&meta).and_then(|()| self.remove_data(None)).map_err(io)
    }

    /// The folder's lock: the one that is held already, else a new one.
    fn lock(&self, state: &mut State) -> Result<Arc<FolderLock>, StoreError> {
        if let Some(lock) = &state.lock {
            return Ok(Arc::clone(lock));
        }
        let lock = FolderLock::acquire(&self.path, self.wait).map_err(|failure| match failure {
            LockFailure::Held(holder) => StoreError::Locked { path: self.describe(), holder },
            LockFailure::Io(error) => self.failed("lock", error.to_string()),
        })?;
        Ok(Arc::clone(state.lock.insert(Arc::new(lock))))
    }

    fn missing(&self) -> StoreError {
        StoreError::Missing { store: self.describe() }
    }

    fn failed(&self, action: &'static str, message: String) -> StoreError {
        StoreError::Failed { store: self.describe(), action, message, source: None }
    }

    fn refuse(&self, action: &'static str, fault: &Fault) -> StoreError {
        if fault.is_damage() {
            return StoreError::Damaged { store: self.describe(), message: fault.to_string() };
        }
        let mut message = fault.to_string();
        if fault.is_full() {
            message.push_str("; make room and run it again: what was acknowledged is there");
        }
        self.failed(action, message)
    }
}
