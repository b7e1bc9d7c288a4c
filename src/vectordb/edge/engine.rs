//! The engine, opened: its calls in our terms, its panics turned into errors, its writes made durable.

use std::fs;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use qdrant_edge::{
    Condition, CreateIndex, Distance, EdgeConfig, EdgeShard, EdgeSparseVectorParamsBuilder, EdgeVectorParamsBuilder,
    FieldCondition, FieldIndexOperations, Filter, Fusion, JsonPath, Match, MatchValue, Modifier, NamedQuery, OperationError,
    OperationResult, Payload, PayloadFieldSchema, PayloadOps, PayloadSchemaType, PointId, PointInsertOperations,
    PointOperations, PointStructPersisted, Prefetch, QueryEnum, QueryRequest, ScoringQuery, ScrollRequest, SetPayloadOp,
    UpdateOperation, ValueVariants, VectorInternal, VectorPersisted, VectorStructPersisted, WalOptions, WithPayloadInterface,
    WithVector,
};
use serde_json::Value;
use uuid::Uuid;

use crate::document::{Hit, Passage, Point, SparseVector};
use crate::vectordb::{DENSE, Query, RRF_K, SPARSE, URI, prefetch_depth};

/// Points that go to the engine as one operation.
const BATCH: usize = 256;
/// The size of one file of the engine's write-ahead log, in bytes. The engine's own 32 MiB make every small index as big.
const WAL_SEGMENT: usize = 4 << 20;
/// The write-ahead log may grow to this, in bytes, before the engine is closed to be rid of it.
const WAL_LIMIT: u64 = 256 << 20;

/// Why the engine did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    /// It refused, in its own words.
    #[error("{0}")]
    Refused(#[from] OperationError),
    /// It panicked. What it holds in memory is not to be trusted any more.
    #[error("the engine panicked: {0}")]
    Panicked(String),
    /// A payload is not a passage.
    #[error("a point has a payload that is not ragstream's: {0}")]
    Payload(#[from] serde_json::Error),
    /// A file could not be read or removed.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// An open index. Blocks: call it from a thread that may.
///
/// This version of the engine writes its log but never reads it again: an update is lost with the process until it has been
/// flushed. Hence a write here returns only after a flush that covers it; writes that wait at the same time share one.
#[derive(Debug)]
pub(super) struct Engine {
    /// `None` only while it is being dropped.
    shard: Option<EdgeShard>,
    directory: PathBuf,
    commits: Mutex<Commits>,
    bloated: AtomicBool,
}

/// Serialises updates and flushes: the engine's `flush` panics when it meets an update.
#[derive(Debug, Default)]
struct Commits {
    applied: u64,
    durable: u64,
}

impl Engine {
    /// Makes an empty index in `directory`, which exists and is empty.
    pub(super) fn create(directory: &Path, dimensions: usize) -> Result<Self, Fault> {
        let config = EdgeConfig::builder()
            .vector(DENSE, EdgeVectorParamsBuilder::new(dimensions, Distance::Cosine).build())
            .sparse_vector(SPARSE, EdgeSparseVectorParamsBuilder::new().modifier(Modifier::Idf).build())
            .wal_options(WalOptions { segment_capacity: WAL_SEGMENT, ..WalOptions::default() })
            .build();
        let engine = Self::contained(directory, || EdgeShard::new(directory, config))?;
        let index = CreateIndex {
            field_name: uri_path()?,
            field_schema: Some(PayloadFieldSchema::FieldType(PayloadSchemaType::Keyword)),
        };
        engine.write([|shard: &EdgeShard| {
            shard.update(UpdateOperation::FieldIndexOperation(FieldIndexOperations::CreateIndex(index)))
        }])?;
        Ok(engine)
    }

    /// Opens the index in `directory`.
    pub(super) fn open(directory: &Path) -> Result<Self, Fault> {
        prune_log(&directory.join("wal"))?;
        Self::contained(directory, || EdgeShard::load(directory, None))
    }

    fn contained(directory: &Path, open: impl FnOnce() -> OperationResult<EdgeShard>) -> Result<Self, Fault> {
        let shard = contain(open)??;
        Ok(Self {
            shard: Some(shard),
            directory: directory.to_owned(),
            commits: Mutex::default(),
            bloated: AtomicBool::new(false),
        })
    }

    /// Writes points in batches.
    pub(super) fn upsert(&self, points: Vec<Point>) -> Result<(), Fault> {
        let mut batches = Vec::with_capacity(points.len().div_ceil(BATCH));
        let mut points = points.into_iter().map(to_engine).peekable();
        while points.peek().is_some() {
            let batch = points.by_ref().take(BATCH).collect::<Result<Vec<_>, _>>()?;
            batches.push(PointOperations::UpsertPoints(PointInsertOperations::PointsList(batch)));
        }
        self.write(
            batches.into_iter().map(|batch| move |shard: &EdgeShard| shard.update(UpdateOperation::PointOperation(batch))),
        )
    }

    /// Replaces the payloads of those of the points that exist.
    pub(super) fn set_passages(&self, passages: Vec<(Uuid, Passage)>) -> Result<(), Fault> {
        let mut payloads = Vec::with_capacity(passages.len());
        for (id, passage) in &passages {
            payloads.push((PointId::Uuid(*id), to_payload(passage)?));
        }
        self.write(payloads.chunks(BATCH).map(|batch| {
            move |shard: &EdgeShard| {
                let ids: Vec<_> = batch.iter().map(|(id, _)| *id).collect();
                let there = shard.retrieve(&ids, Some(WithPayloadInterface::Bool(false)), Some(WithVector::Bool(false)))?;
                let there: std::collections::HashSet<_> = there.into_iter().map(|record| record.id).collect();
                for (id, payload) in batch.iter().filter(|(id, _)| there.contains(id)) {
                    shard.update(UpdateOperation::PayloadOperation(PayloadOps::OverwritePayload(SetPayloadOp {
                        payload: payload.clone(),
                        points: Some(vec![*id]),
                        filter: None,
                        key: None,
                    })))?;
                }
                Ok(())
            }
        }))
    }

    /// Removes points by id.
    pub(super) fn delete(&self, ids: &[Uuid]) -> Result<(), Fault> {
        self.write(ids.chunks(BATCH * 4).map(|ids| {
            move |shard: &EdgeShard| {
                let ids = ids.iter().map(|id| PointId::Uuid(*id)).collect();
                shard.update(UpdateOperation::PointOperation(PointOperations::DeletePoints { ids }))
            }
        }))
    }

    /// Removes the points of a document.
    pub(super) fn delete_document(&self, uri: &str) -> Result<(), Fault> {
        let value = ValueVariants::String(uri.to_owned());
        let condition = FieldCondition::new_match(uri_path()?, Match::Value(MatchValue { value }));
        let filter = Filter::new_must(Condition::Field(condition));
        self.write([move |shard: &EdgeShard| {
            shard.update(UpdateOperation::PointOperation(PointOperations::DeletePointsByFilter(filter)))
        }])
    }

    /// The best `limit` passages, in the engine's order.
    pub(super) fn query(&self, query: Query, limit: usize) -> Result<Vec<Hit>, Fault> {
        let (prefetches, query) = match query {
            Query::Dense(dense) => (Vec::new(), nearest_dense(dense)),
            Query::Sparse(sparse) => (Vec::new(), nearest_sparse(sparse)),
            Query::Hybrid { dense, sparse } => {
                let prefetch = |query| Prefetch {
                    prefetches: Vec::new(),
                    query: Some(query),
                    limit: prefetch_depth(limit),
                    params: None,
                    filter: None,
                    score_threshold: None,
                };
                let sources = vec![prefetch(nearest_dense(dense)), prefetch(nearest_sparse(sparse))];
                (sources, ScoringQuery::Fusion(Fusion::Rrf { k: RRF_K as usize, weights: None }))
            }
        };
        let request = QueryRequest {
            prefetches,
            query: Some(query),
            filter: None,
            score_threshold: None,
            limit,
            offset: 0,
            params: None,
            with_vector: WithVector::Bool(false),
            with_payload: WithPayloadInterface::Bool(true),
        };
        let found = self.read(|shard| shard.query(request))?;
        found
            .into_iter()
            .map(|point| Ok(Hit { id: to_uuid(point.id)?, score: point.score, passage: to_passage(point.payload)? }))
            .collect()
    }

    /// How many points there are.
    pub(super) fn count(&self) -> Result<u64, Fault> {
        let count = self.read(|shard| shard.count(qdrant_edge::CountRequest { filter: None, exact: true }))?;
        Ok(count as u64)
    }

    /// Points from `from` on, in the order of their ids.
    pub(super) fn scroll(&self, from: Uuid, limit: usize) -> Result<Vec<(Uuid, Passage)>, Fault> {
        let request = ScrollRequest {
            offset: Some(PointId::Uuid(from)),
            limit: Some(limit),
            filter: None,
            with_payload: Some(WithPayloadInterface::Bool(true)),
            with_vector: WithVector::Bool(false),
            order_by: None,
        };
        let (records, _) = self.read(|shard| shard.scroll(request))?;
        records.into_iter().map(|record| Ok((to_uuid(record.id)?, to_passage(record.payload)?))).collect()
    }

    /// Whether the engine's log has grown so big that it is worth to close and open anew, which sheds it.
    pub(super) fn is_bloated(&self) -> bool {
        self.bloated.load(Ordering::Relaxed)
    }

    fn read<T>(&self, work: impl FnOnce(&EdgeShard) -> OperationResult<T>) -> Result<T, Fault> {
        let Some(shard) = &self.shard else { return Err(Fault::Panicked("it is closed".into())) };
        Ok(contain(|| work(shard))??)
    }

    /// Applies the steps one after the other and returns when all are on disk. Other writers may come in between two steps.
    fn write<F>(&self, steps: impl IntoIterator<Item = F>) -> Result<(), Fault>
    where
        F: FnOnce(&EdgeShard) -> OperationResult<()>,
    {
        let mut mine = 0;
        for step in steps {
            let mut commits = self.commits.lock().unwrap_or_else(PoisonError::into_inner);
            self.read(step)?;
            commits.applied += 1;
            mine = commits.applied;
        }
        let mut commits = self.commits.lock().unwrap_or_else(PoisonError::into_inner);
        if commits.durable < mine {
            self.read(|shard| {
                shard.flush();
                Ok(())
            })?;
            commits.durable = commits.applied;
            let bytes = log_files(&self.directory.join("wal"))?.iter().map(|file| file.bytes).sum::<u64>();
            self.bloated.store(bytes > WAL_LIMIT, Ordering::Relaxed);
        }
        Ok(())
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // Dropping flushes, and panics where that fails (a full disk): all that was acknowledged is on disk already.
        let shard = self.shard.take();
        if let Err(fault) = contain(|| drop(shard)) {
            tracing::warn!(error = %fault, directory = %self.directory.display(), "closing the index failed");
        }
    }
}

/// Runs a call into the engine. Its locks do not poison, and a shard that panicked is dropped by its owner.
fn contain<T>(call: impl FnOnce() -> T) -> Result<T, Fault> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|panic| {
        let message = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
        Fault::Panicked(message.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".into()))
    })
}

struct LogFile {
    path: PathBuf,
    /// The number of its first entry, when it is closed.
    closed: Option<u64>,
    bytes: u64,
}

fn log_files(directory: &Path) -> io::Result<Vec<LogFile>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let closed = entry.file_name().to_str().and_then(|name| name.strip_prefix("closed-")?.parse().ok());
        files.push(LogFile { path: entry.path(), closed, bytes: entry.metadata()?.len() });
    }
    Ok(files)
}

/// Removes what the engine has closed of its log, save the newest file, from which it continues to count: it neither reads nor
/// removes them itself. Numbers must not start anew: an update with a lower number than its point's is ignored.
fn prune_log(directory: &Path) -> io::Result<()> {
    let mut files = match log_files(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        files => files?,
    };
    files.retain(|file| file.closed.is_some());
    files.sort_by_key(|file| file.closed);
    files.pop();
    files.iter().try_for_each(|file| fs::remove_file(&file.path))
}

fn uri_path() -> Result<JsonPath, Fault> {
    URI.parse().map_err(|()| Fault::Refused(OperationError::validation_error("no path to the uri")))
}

fn nearest_dense(vector: Vec<f32>) -> ScoringQuery {
    ScoringQuery::Vector(QueryEnum::Nearest(NamedQuery::new(VectorInternal::Dense(vector), DENSE)))
}

fn nearest_sparse(vector: SparseVector) -> ScoringQuery {
    let vector = qdrant_edge::SparseVector { indices: vector.indices, values: vector.values };
    ScoringQuery::Vector(QueryEnum::Nearest(NamedQuery::new(VectorInternal::Sparse(vector), SPARSE)))
}

fn to_engine(point: Point) -> Result<PointStructPersisted, Fault> {
    let payload = to_payload(&point.passage)?;
    let mut vectors = std::collections::HashMap::from([(DENSE.to_owned(), VectorPersisted::Dense(point.dense))]);
    if !point.sparse.indices.is_empty() {
        let sparse = qdrant_edge::SparseVector { indices: point.sparse.indices, values: point.sparse.values };
        vectors.insert(SPARSE.to_owned(), VectorPersisted::Sparse(sparse));
    }
    Ok(PointStructPersisted {
        id: PointId::Uuid(point.id),
        vector: VectorStructPersisted::Named(vectors),
        payload: Some(payload),
    })
}

fn to_payload(passage: &Passage) -> Result<Payload, Fault> {
    match serde_json::to_value(passage)? {
        Value::Object(map) => Ok(Payload(map)),
        _ => Err(Fault::Refused(OperationError::validation_error("a passage is not an object"))),
    }
}

fn to_passage(payload: Option<Payload>) -> Result<Passage, Fault> {
    Ok(serde_json::from_value(Value::Object(payload.map(|p| p.0).unwrap_or_default()))?)
}

fn to_uuid(id: PointId) -> Result<Uuid, Fault> {
    match id {
        PointId::Uuid(id) => Ok(id),
        PointId::NumId(id) => Err(Fault::Refused(OperationError::validation_error(format!("point {id} is not ragstream's")))),
    }
}
