//! A store in memory that does as it is told.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;

use crate::document::{Hit, Passage, Point};
use crate::vectordb::{Condition, IndexMeta, Query, StoreError, VectorStore};

/// Which call it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    Meta,
    Create,
    SetMeta,
    Drop,
    Upsert,
    Delete,
    Count,
    Scroll,
    ScrollPoints,
    Flush,
}

impl Call {
    pub fn is_upsert(self) -> bool {
        self == Self::Upsert
    }

    /// Whether it is waited for but a moment, or not at all.
    pub fn is_of_the_start(self) -> bool {
        matches!(self, Self::Meta | Self::Create | Self::Drop | Self::Flush)
    }
}

/// What a call does.
#[derive(Debug, Clone, Copy)]
pub enum Then {
    GoOn,
    /// After a time.
    Take(Duration),
    /// Fail, as by a server that is not there.
    BeAway,
    /// Fail for good.
    Break,
    /// Never answer.
    Stall,
}

type Hook = Box<dyn Fn(Call) -> Then + Send + Sync>;
type Index = Option<(IndexMeta, BTreeMap<Uuid, Point>)>;

pub struct Memory {
    name: &'static str,
    index: Arc<Mutex<Index>>,
    hook: Mutex<Arc<Hook>>,
    writes: Arc<AtomicUsize>,
    passages_read: AtomicUsize,
    vectors_read: AtomicUsize,
    at_once: AtomicUsize,
    most_at_once: AtomicUsize,
    acquired: AtomicUsize,
    held: AtomicBool,
    keeps_vectors: AtomicBool,
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl Memory {
    pub fn new(name: &'static str, meta: Option<IndexMeta>, points: impl IntoIterator<Item = Point>) -> Self {
        let points = points.into_iter().map(|point| (point.id, point)).collect();
        Self {
            name,
            index: Arc::new(Mutex::new(meta.map(|meta| (meta, points)))),
            hook: Mutex::new(Arc::new(Box::new(|_| Then::GoOn))),
            writes: Arc::default(),
            passages_read: AtomicUsize::new(0),
            vectors_read: AtomicUsize::new(0),
            at_once: AtomicUsize::new(0),
            most_at_once: AtomicUsize::new(0),
            acquired: AtomicUsize::new(0),
            held: AtomicBool::new(false),
            keeps_vectors: AtomicBool::new(false),
        }
    }

    /// The same index under another name.
    pub fn alias(&self, name: &'static str) -> Self {
        Self { index: Arc::clone(&self.index), writes: Arc::clone(&self.writes), ..Self::new(name, None, []) }
    }

    /// Told before each call, which does what this says.
    pub fn on_call(&self, hook: impl Fn(Call) -> Then + Send + Sync + 'static) {
        *self.hook.lock().unwrap() = Arc::new(Box::new(hook));
    }

    pub fn points(&self) -> BTreeMap<Uuid, Point> {
        self.index.lock().unwrap().clone().unwrap().1
    }

    pub fn index_meta(&self) -> IndexMeta {
        self.index.lock().unwrap().clone().unwrap().0
    }

    pub fn put_meta(&self, meta: IndexMeta) {
        self.index.lock().unwrap().as_mut().unwrap().0 = meta;
    }

    pub fn put(&self, point: Point) {
        self.index.lock().unwrap().as_mut().unwrap().1.insert(point.id, point);
    }

    /// From now on it does not give its vectors out.
    pub fn keep_vectors(&self) {
        self.keeps_vectors.store(true, SeqCst);
    }

    /// Calls that changed anything.
    pub fn writes(&self) -> usize {
        self.writes.load(SeqCst)
    }

    pub fn passages_read(&self) -> usize {
        self.passages_read.load(SeqCst)
    }

    pub fn vectors_read(&self) -> usize {
        self.vectors_read.load(SeqCst)
    }

    /// Upserts that were under way at once, at most.
    pub fn most_at_once(&self) -> usize {
        self.most_at_once.load(SeqCst)
    }

    /// How often it was acquired, and whether it still is.
    pub fn holds(&self) -> (usize, bool) {
        (self.acquired.load(SeqCst), self.held.load(SeqCst))
    }

    async fn enter(&self, call: Call) -> Result<(), StoreError> {
        let hook = Arc::clone(&*self.hook.lock().unwrap());
        let (store, source) = (self.name.to_owned(), None);
        match hook(call) {
            // As any real store: others come to their turn meanwhile.
            Then::GoOn => tokio::task::yield_now().await,
            Then::Take(time) => tokio::time::sleep(time).await,
            Then::Stall => std::future::pending().await,
            Then::BeAway => return Err(StoreError::Unavailable { store, message: "away".into(), source }),
            Then::Break => return Err(StoreError::Failed { store, action: "work", message: "broken".into(), source }),
        }
        Ok(())
    }

    fn change(&self, change: impl FnOnce(&mut (IndexMeta, BTreeMap<Uuid, Point>))) -> Result<(), StoreError> {
        self.writes.fetch_add(1, SeqCst);
        let mut index = self.index.lock().unwrap();
        index.as_mut().map(change).ok_or_else(|| StoreError::Missing { store: self.name.into() })
    }

    fn page(&self, after: Option<Uuid>, limit: usize) -> Vec<Point> {
        let index = self.index.lock().unwrap();
        let points = index.iter().flat_map(|(_, points)| points.values());
        points.filter(|point| after.is_none_or(|after| point.id > after)).take(limit).cloned().collect()
    }
}

#[async_trait]
impl VectorStore for Memory {
    fn describe(&self) -> String {
        self.name.to_owned()
    }

    async fn meta(&self) -> Result<Option<IndexMeta>, StoreError> {
        self.enter(Call::Meta).await?;
        Ok(self.index.lock().unwrap().as_ref().map(|(meta, _)| meta.clone()))
    }

    async fn create(&self, meta: &IndexMeta) -> Result<(), StoreError> {
        self.enter(Call::Create).await?;
        self.writes.fetch_add(1, SeqCst);
        let before = self.index.lock().unwrap().replace((meta.clone(), BTreeMap::new()));
        assert!(before.is_none(), "it exists");
        Ok(())
    }

    async fn set_meta(&self, meta: &IndexMeta) -> Result<(), StoreError> {
        self.enter(Call::SetMeta).await?;
        self.change(|index| index.0 = meta.clone())
    }

    async fn drop_index(&self) -> Result<(), StoreError> {
        self.enter(Call::Drop).await?;
        self.writes.fetch_add(1, SeqCst);
        *self.index.lock().unwrap() = None;
        Ok(())
    }

    async fn upsert(&self, points: Vec<Point>) -> Result<(), StoreError> {
        let now = self.at_once.fetch_add(1, SeqCst) + 1;
        self.most_at_once.fetch_max(now, SeqCst);
        let entered = self.enter(Call::Upsert).await;
        self.at_once.fetch_sub(1, SeqCst);
        entered?;
        assert!(!points.is_empty(), "a call for nothing");
        self.change(|index| index.1.extend(points.into_iter().map(|point| (point.id, point))))
    }

    async fn set_passages(&self, _: Vec<(Uuid, Passage)>) -> Result<(), StoreError> {
        unreachable!("a copy does not know what has the same vector")
    }

    async fn delete(&self, ids: Vec<Uuid>) -> Result<(), StoreError> {
        self.enter(Call::Delete).await?;
        self.change(|index| index.1.retain(|id, _| !ids.contains(id)))
    }

    async fn delete_document(&self, _: &str) -> Result<(), StoreError> {
        unreachable!("a copy knows points")
    }

    async fn query_where(&self, _: Query, _: &[Condition], _: usize) -> Result<Vec<Hit>, StoreError> {
        unreachable!("a copy asks nothing")
    }

    async fn uris(&self, _: &[Condition]) -> Result<Vec<String>, StoreError> {
        unreachable!("a copy knows points")
    }

    async fn acquire(&self) -> Result<(), StoreError> {
        self.acquired.fetch_add(1, SeqCst);
        self.held.store(true, SeqCst);
        Ok(())
    }

    async fn release(&self) {
        self.held.store(false, SeqCst);
    }

    async fn count(&self) -> Result<u64, StoreError> {
        self.enter(Call::Count).await?;
        Ok(self.points().len() as u64)
    }

    async fn scroll(&self, after: Option<Uuid>, limit: usize) -> Result<Vec<(Uuid, Passage)>, StoreError> {
        self.enter(Call::Scroll).await?;
        let page: Vec<_> = self.page(after, limit).into_iter().map(|point| (point.id, point.passage)).collect();
        self.passages_read.fetch_add(page.len(), SeqCst);
        Ok(page)
    }

    async fn scroll_points(&self, after: Option<Uuid>, limit: usize) -> Result<Vec<(Uuid, Vec<f32>, Passage)>, StoreError> {
        self.enter(Call::ScrollPoints).await?;
        if self.keeps_vectors.load(SeqCst) {
            let (store, message) = (self.name.to_owned(), "it does not give its vectors out".to_owned());
            return Err(StoreError::Failed { store, action: "read vectors", message, source: None });
        }
        let page: Vec<_> = self.page(after, limit).into_iter().map(|point| (point.id, point.dense, point.passage)).collect();
        self.vectors_read.fetch_add(page.len(), SeqCst);
        Ok(page)
    }

    async fn flush(&self) -> Result<(), StoreError> {
        self.enter(Call::Flush).await
    }
}
