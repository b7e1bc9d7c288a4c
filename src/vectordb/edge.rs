//! The embedded store: Qdrant's own engine in this process, in one folder.
//!
//! ```text
//! <folder>/lock       locked while a process has the index open; says which
//! <folder>/meta.json  what the index was made with; written last, so that a half-made index is not taken for one
//! <folder>/engine/    the engine's files of the index's newest part, and the journal of what they may not have yet
//! <folder>/parts/     the same of the parts that are full
//! <folder>/places     which point lies in which of them
//! ```

mod convert;
mod engine;
mod fault;
mod files;
mod journal;
mod layout;
mod lock;
mod parts;
mod point_index;
mod snapshot;

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Semaphore;
use uuid::Uuid;

use self::fault::Fault;
use self::files::sync_directory;
use self::layout::Sizes;
use self::lock::{FolderLock, LockFailure};
use self::parts::Parts;
use super::{Condition, IndexMeta, MAX_PAGE, Query, StoreError, VectorStore, check_query, check_widths};
use crate::document::{Hit, Passage, Point};

/// Calls that may occupy a blocking thread at the same time.
const PARALLEL: usize = 16;

/// An index in a folder of its own. One process at a time has it open: from the first call that needs the engine until the
/// store is dropped (which blocks for a moment).
#[derive(Debug)]
pub struct EdgeStore {
    folder: Arc<Folder>,
    running: Semaphore,
}

#[derive(Debug)]
struct Folder {
    path: PathBuf,
    wait: Duration,
    sizes: Sizes,
    state: RwLock<State>,
}

#[derive(Debug, Default)]
struct State {
    // Dropped in this order: the lock goes last.
    index: Option<Open>,
    lock: Option<FolderLock>,
}

#[derive(Debug)]
struct Open {
    parts: Parts,
    dimensions: usize,
}

impl EdgeStore {
    /// How long to wait for a process that has the index open.
    pub const WAIT: Duration = Duration::from_secs(5);

    /// The index in this folder. Touches nothing until it is used.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self::with_wait(folder, Self::WAIT)
    }

    /// As [`Self::new`], waiting for another process for at most `wait`, then [`StoreError::Locked`].
    pub fn with_wait(folder: impl Into<PathBuf>, wait: Duration) -> Self {
        // Measured: what a long run seals is not merged by these. 5,000 and 25,000 took 70 MB more and a tenth more time for 90,000
        // points, 2,500 and 10,000 a quarter more time. In one part, 930,000 points took 380 MB of memory to write, in these 160 MB.
        let sizes = Sizes { seal: 5_000, segment: 10_000, graph: 75_000, part: 50_000 };
        Self::with_sizes(folder, wait, sizes)
    }

    /// As [`Self::new`], with other sizes, in points: what is written before it is sealed, what a sealed segment grows to by
    /// merging, what the index holds when segments get a graph, and what a part holds when it is put aside.
    pub fn with_segments(folder: impl Into<PathBuf>, [seal, segment, graph, part]: [usize; 4]) -> Self {
        Self::with_sizes(folder, Self::WAIT, Sizes { seal, segment, graph, part })
    }

    fn with_sizes(folder: impl Into<PathBuf>, wait: Duration, sizes: Sizes) -> Self {
        let folder = Folder { path: folder.into(), wait, sizes, state: RwLock::default() };
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
impl VectorStore for EdgeStore {
    fn describe(&self) -> String {
        self.folder.describe()
    }

    async fn meta(&self) -> Result<Option<IndexMeta>, StoreError> {
        self.run(Folder::meta).await
    }

    async fn create(&self, meta: &IndexMeta) -> Result<(), StoreError> {
        let meta = meta.clone();
        self.run(move |folder| folder.create(&meta)).await
    }

    async fn set_meta(&self, meta: &IndexMeta) -> Result<(), StoreError> {
        let meta = meta.clone();
        self.run(move |folder| folder.set_meta(&meta)).await
    }

    async fn drop_index(&self) -> Result<(), StoreError> {
        self.run(Folder::remove).await
    }

    async fn upsert(&self, points: Vec<Point>) -> Result<(), StoreError> {
        self.run(move |folder| {
            folder.with("write points", |open| {
                check_widths(&points, open.dimensions).map_err(Refusal::Ours)?;
                Ok(open.parts.upsert(points)?)
            })
        })
        .await
    }

    async fn set_passages(&self, passages: Vec<(Uuid, Passage)>) -> Result<(), StoreError> {
        self.run(move |folder| folder.with("write passages", |open| Ok(open.parts.set_passages(passages)?))).await
    }

    async fn delete(&self, ids: Vec<Uuid>) -> Result<(), StoreError> {
        self.run(move |folder| folder.with("delete points", |open| Ok(open.parts.delete(ids)?))).await
    }

    async fn delete_document(&self, uri: &str) -> Result<(), StoreError> {
        let uri = uri.to_owned();
        self.run(move |folder| folder.with("delete a document", |open| Ok(open.parts.delete_document(&uri)?))).await
    }

    async fn query_where(&self, query: Query, conditions: &[Condition], limit: usize) -> Result<Vec<Hit>, StoreError> {
        let conditions = conditions.to_vec();
        self.run(move |folder| {
            folder.with("search", |open| {
                match (check_query(&query, open.dimensions).map_err(Refusal::Ours)?, limit.min(MAX_PAGE)) {
                    (false, _) | (_, 0) => Ok(Vec::new()),
                    (true, limit) => Ok(open.parts.query(&query, &conditions, limit)?),
                }
            })
        })
        .await
    }

    async fn uris(&self, conditions: &[Condition]) -> Result<Vec<String>, StoreError> {
        let conditions = conditions.to_vec();
        self.run(move |folder| folder.with("list documents", |open| Ok(open.parts.uris(&conditions)?))).await
    }

    async fn count(&self) -> Result<u64, StoreError> {
        self.run(|folder| folder.with("count points", |open| Ok(open.parts.count()?))).await
    }

    async fn scroll(&self, after: Option<Uuid>, limit: usize) -> Result<Vec<(Uuid, Passage)>, StoreError> {
        let from = super::first_after(after);
        self.run(move |folder| {
            folder.with("read points", |open| match (from, limit) {
                (None, _) | (_, 0) => Ok(Vec::new()),
                (Some(from), limit) => Ok(open.parts.scroll(from, limit.min(MAX_PAGE))?),
            })
        })
        .await
    }

    async fn flush(&self) -> Result<(), StoreError> {
        self.run(|folder| folder.with("compact up", |open| Ok(open.parts.compact()?))).await
    }

    async fn release(&self) {
        let released = self.run(|folder| {
            *folder.state.write().unwrap_or_else(PoisonError::into_inner) = State::default();
            Ok(())
        });
        if let Err(error) = released.await {
            tracing::debug!(%error, "the index is still open");
        }
    }
}

/// Why a call on an open index failed.
enum Refusal {
    /// The engine's fault.
    Engine(Fault),
    /// Our own check.
    Ours(String),
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self::Engine(fault)
    }
}

impl Folder {
    fn describe(&self) -> String {
        self.path.display().to_string()
    }

    /// Calls `work` with the open index, which it opens first where need be.
    fn with<T>(&self, action: &'static str, work: impl FnOnce(&Open) -> Result<T, Refusal>) -> Result<T, StoreError> {
        let (result, full, oversized) = loop {
            let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(open) = &state.index {
                let result = work(open);
                break (result, open.parts.is_full(), open.parts.is_oversized());
            }
            drop(state);
            self.open()?;
        };
        // The next call opens it anew, from what is on disk.
        if oversized || matches!(result, Err(Refusal::Engine(Fault::Panicked(_)))) {
            self.state.write().unwrap_or_else(PoisonError::into_inner).index = None;
        } else if full {
            self.seal();
        }
        result.map_err(|refusal| match refusal {
            Refusal::Ours(message) => self.failed(action, message),
            Refusal::Engine(fault) if fault.is_damage() => self.damaged(fault),
            Refusal::Engine(fault) => self.failed(action, fault.to_string()),
        })
    }

    /// Begins the index's next part, unless another call has done so.
    fn seal(&self) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let full = state.index.take_if(|open| open.parts.is_full());
        // What was written is written: the part goes on, and this is tried again when it is sealed the next time.
        if let Some(Err(fault)) = full.map(|open| open.parts.seal()) {
            tracing::warn!(error = %fault, index = %self.describe(), "the next part of the index could not be begun");
        }
    }

    /// What the index was made with. Needs no lock: the file is whole or not there.
    fn meta(&self) -> Result<Option<IndexMeta>, StoreError> {
        let bytes = match fs::read(self.path.join("meta.json")) {
            Ok(bytes) => bytes,
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => return Ok(None),
            Err(error) => return Err(self.failed("read meta.json", error.to_string())),
        };
        match serde_json::from_slice(&bytes) {
            Ok(meta) => Ok(Some(meta)),
            Err(error) => Err(self.damaged(error)),
        }
    }

    fn open(&self) -> Result<(), StoreError> {
        let missing = || StoreError::Missing { store: self.describe() };
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if state.index.is_some() {
            return Ok(());
        }
        // Looked for before the lock, so that asking for an index leaves nothing behind where there is none.
        self.meta()?.ok_or_else(missing)?;
        let lock = self.lock(&mut state)?;
        let meta = self.meta()?.ok_or_else(missing)?;
        let parts = Parts::open(&self.path, meta.dimensions, self.sizes).map_err(|fault| self.damaged(fault))?;
        *state = State { index: Some(Open { parts, dimensions: meta.dimensions }), lock: Some(lock) };
        Ok(())
    }

    fn create(&self, meta: &IndexMeta) -> Result<(), StoreError> {
        if meta.dimensions == 0 {
            return Err(self.failed("create", "vectors need at least one dimension".into()));
        }
        let io = |error: io::Error| self.failed("create", error.to_string());
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        fs::create_dir_all(&self.path).map_err(io)?;
        let lock = self.lock(&mut state)?;
        if self.meta()?.is_some() {
            state.lock = Some(lock);
            return Err(self.failed("create", "there is an index already".into()));
        }
        // Without meta.json, whatever is there is the rest of an attempt that was cut short.
        let parts =
            Parts::create(&self.path, meta.dimensions, self.sizes).map_err(|fault| self.failed("create", fault.to_string()))?;
        self.write_meta(meta).map_err(io)?;
        *state = State { index: Some(Open { parts, dimensions: meta.dimensions }), lock: Some(lock) };
        Ok(())
    }

    fn set_meta(&self, meta: &IndexMeta) -> Result<(), StoreError> {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if self.meta()?.is_none() {
            return Err(StoreError::Missing { store: self.describe() });
        }
        state.lock = Some(self.lock(&mut state)?);
        self.write_meta(meta).map_err(|error| self.failed("write meta.json", error.to_string()))
    }

    fn remove(&self) -> Result<(), StoreError> {
        let io = |error: io::Error| self.failed("remove", error.to_string());
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let meta = self.path.join("meta.json");
        if !meta.exists() && !Parts::exist(&self.path) {
            return Ok(());
        }
        let lock = self.lock(&mut state)?;
        *state = State { index: None, lock: Some(lock) };
        // First, so that what is left of a removal that was cut short is not taken for an index.
        match fs::remove_file(&meta) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io(error)),
            _ => Parts::remove(&self.path).map_err(io),
        }
    }

    /// The folder's lock: the one that is held already, else a new one.
    fn lock(&self, state: &mut State) -> Result<FolderLock, StoreError> {
        if let Some(lock) = state.lock.take() {
            return Ok(lock);
        }
        FolderLock::acquire(&self.path, self.wait).map_err(|failure| match failure {
            LockFailure::Held(holder) => StoreError::Locked { path: self.describe(), holder },
            LockFailure::Io(error) => self.failed("lock", error.to_string()),
        })
    }

    fn write_meta(&self, meta: &IndexMeta) -> io::Result<()> {
        let (path, temporary) = (self.path.join("meta.json"), self.path.join("meta.json.tmp"));
        let mut file = File::create(&temporary)?;
        file.write_all(&serde_json::to_vec_pretty(meta)?)?;
        file.sync_all()?;
        fs::rename(&temporary, &path)?;
        sync_directory(&self.path)
    }

    fn failed(&self, action: &'static str, message: String) -> StoreError {
        StoreError::Failed { store: self.describe(), action, message, source: None }
    }

    fn damaged(&self, source: impl std::error::Error + Send + Sync + 'static) -> StoreError {
        let message = format!("its files are damaged; remove the folder {} and ingest again", self.path.display());
        StoreError::Failed { store: self.describe(), action: "open", message, source: Some(Box::new(source)) }
    }
}
