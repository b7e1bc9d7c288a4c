//! The engine, opened: its calls in our terms, its panics turned into errors, its writes made durable by a journal.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use qdrant_edge::{
    Condition, EdgeShard, FacetRequest, FacetValue, FieldCondition, FieldIndexOperations, Filter, Match, MatchValue,
    OperationResult, PayloadOps, PointId, PointInsertOperations, PointOperations, QueryRequest, Record, ScrollRequest,
    SetPayloadOp, UpdateOperation, ValueVariants, WithPayloadInterface, WithVector,
};
use uuid::Uuid;

use super::convert::{nearest_dense, nearest_sparse, to_engine, to_passage, to_payload, to_uuid, weight};
use super::fault::{Fault, closed, contain};
use super::journal::{Journal, Write};
use super::layout::{self, LINKS, SCAN, Sizes, graph};
use super::snapshot;
use crate::document::{Hit, Passage, Point, SparseVector};
use crate::vectordb::{MAX_DOCUMENTS, MAX_PAGE, Query, SPARSE, URI, first_after};

/// Items that go to the journal and the engine at once.
const BATCH: usize = 256;
/// The journal may grow to this, in bytes, before the engine is flushed. Bounds what is applied again after a kill.
const JOURNAL_BYTES: u64 = 16 << 20;
/// The same, in records.
const JOURNAL_RECORDS: usize = 1000;
/// The write-ahead log may grow to this, in bytes, before the engine is closed to be rid of it.
const WAL_LIMIT: u64 = 256 << 20;

/// A part of an index, open. Blocks: call it from a thread that may.
#[derive(Debug)]
pub(super) struct Engine {
    /// `None` only while it is being dropped.
    shard: Option<EdgeShard>,
    directory: PathBuf,
    writer: Mutex<Writer>,
    oversized: AtomicBool,
    full: AtomicBool,
    sizes: Sizes,
}

/// Serialises writes and flushes: the engine's `flush` panics when it meets an update.
#[derive(Debug)]
struct Writer {
    journal: Journal,
    /// Writes appended and applied since the engine was opened.
    applied: u64,
    /// How many of them are known to be on disk. Who waits for that at the same time shares one sync.
    durable: u64,
    /// False once the engine has panicked in a write: the journal is then read again, whatever the engine says it has on disk.
    sound: bool,
    /// Points written since the last sealing, at most.
    fresh: usize,
}

impl Engine {
    /// Makes an empty index in `directory`, which exists and is empty.
    pub(super) fn create(directory: &Path, dimensions: usize, sizes: Sizes) -> Result<Self, Fault> {
        let (config, indexes) = (layout::config(dimensions, sizes), layout::indexes()?);
        Self::start(directory, dimensions, sizes, || {
            let shard = EdgeShard::new(directory, config)?;
            for index in indexes {
                shard.update(UpdateOperation::FieldIndexOperation(FieldIndexOperations::CreateIndex(index)))?;
            }
            shard.flush();
            Ok(shard)
        })
    }

    /// Opens the index in `directory` and applies again what it may have lost.
    pub(super) fn open(directory: &Path, dimensions: usize, sizes: Sizes) -> Result<Self, Fault> {
        snapshot::restore(directory)?;
        prune_log(&directory.join("wal"))?;
        Self::start(directory, dimensions, sizes, || EdgeShard::load(directory, None))
    }

    fn start(
        directory: &Path,
        dimensions: usize,
        sizes: Sizes,
        shard: impl FnOnce() -> OperationResult<EdgeShard>,
    ) -> Result<Self, Fault> {
        let shard = contain(shard)??;
        // An index keeps the sizes it was made with, and they may have been others.
        let optimizers = layout::optimizers(dimensions, sizes);
        if contain(|| shard.config().optimizers != optimizers)? {
            contain(|| shard.set_optimizers_config(optimizers))??;
        }
        let journal = Journal::open(&directory.join("journal"), |write| match contain(|| apply(&shard, write))? {
            // It was refused when it was new, too.
            Err(Fault::Refused(error)) => {
                tracing::debug!(%error, "a write in the journal is refused");
                Ok(())
            }
            applied => applied,
        });
        let journal = match journal {
            Ok(journal) => journal,
            Err(fault) => {
                // A shard flushes when it is dropped, and may panic again.
                let _ = contain(|| drop(shard));
                return Err(fault);
            }
        };
        // How much of it is sealed is not told: at worst nothing, and then the first write seals it.
        let fresh = contain(|| shard.info())?.points_count.min(sizes.seal);
        let engine = Self {
            shard: Some(shard),
            directory: directory.to_owned(),
            writer: Mutex::new(Writer { journal, applied: 0, durable: 0, sound: true, fresh }),
            oversized: AtomicBool::new(false),
            full: AtomicBool::new(false),
            sizes,
        };
        engine.flush()?;
        Ok(engine)
    }

    /// Writes points in batches.
    pub(super) fn upsert(&self, points: Vec<Point>) -> Result<(), Fault> {
        let mut points = points.into_iter();
        self.write(std::iter::from_fn(|| Some(Write::Upsert(next_batch(&mut points)?))))
    }

    /// Replaces the payloads of those of the points that exist.
    pub(super) fn set_passages(&self, passages: Vec<(Uuid, Passage)>) -> Result<(), Fault> {
        let mut passages = passages.into_iter();
        self.write(std::iter::from_fn(|| Some(Write::Passages(next_batch(&mut passages)?))))
    }

    /// Removes points by id.
    pub(super) fn delete(&self, ids: Vec<Uuid>) -> Result<(), Fault> {
        let mut ids = ids.into_iter();
        self.write(std::iter::from_fn(|| Some(Write::Delete(next_batch(&mut ids)?))))
    }

    /// Removes the points of a document.
    pub(super) fn delete_document(&self, uri: String) -> Result<(), Fault> {
        self.write([Write::DeleteDocument(uri)])
    }

    /// Writes all to the engine's own files, which are faster to open than the journal.
    pub(super) fn flush(&self) -> Result<(), Fault> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        if writer.journal.size().1 > 0 { self.flush_with(&mut writer) } else { Ok(()) }
    }

    /// Flushes, then seals, merges and sheds deleted points where that is due, and gives the segments graphs where that is
    /// wanted. Reading goes on meanwhile, writing waits.
    pub(super) fn compact(&self, graphs: bool) -> Result<(), Fault> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(shard) = &self.shard else { return Err(closed()) };
        // Not in the middle of a run: this builds every segment anew.
        if graphs && contain(|| shard.config().hnsw_config.m)? == 0 {
            contain(|| shard.set_hnsw_config(graph(LINKS)))??;
        }
        self.compact_with(&mut writer)
    }

    fn compact_with(&self, writer: &mut Writer) -> Result<(), Fault> {
        let Some(shard) = &self.shard else { return Err(closed()) };
        if !writer.sound {
            return Err(closed());
        }
        self.flush_with(writer)?;
        writer.sound = false;
        if let Err(fault) = self.rearrange(shard) {
            // To be closed and opened anew, with what was.
            self.oversized.store(true, Ordering::Relaxed);
            return Err(fault);
        }
        (writer.sound, writer.fresh) = (true, 0);
        self.full.store(self.points()? >= self.sizes.part, Ordering::Relaxed);
        Ok(())
    }

    /// All or nothing: a kill in the middle or a failure brings back what was when the index is opened.
    fn rearrange(&self, shard: &EdgeShard) -> Result<(), Fault> {
        snapshot::take(&self.directory)?;
        let start = std::time::Instant::now();
        let changed = contain(|| shard.optimize())??;
        if changed {
            contain(|| shard.flush())?;
            give_back_memory();
            let (seconds, info) = (start.elapsed().as_secs_f64(), contain(|| shard.info())?);
            tracing::info!(points = info.points_count, segments = info.segments_count, seconds, "the index was tidied");
        }
        Ok(snapshot::release(&self.directory, changed)?)
    }

    /// The best passages in the engine's order.
    pub(super) fn query(
        &self,
        query: Query,
        conditions: &[crate::vectordb::Condition],
        limit: usize,
    ) -> Result<Vec<Hit>, Fault> {
        let filter = layout::filter(conditions)?;
        let query = match query {
            Query::Dense(dense) => nearest_dense(dense),
            Query::Sparse(sparse) => nearest_sparse(sparse),
        };
        let request = QueryRequest {
            limit,
            prefetches: Vec::new(),
            query: Some(query),
            filter,
            score_threshold: None,
            offset: 0,
            params: Some(SCAN),
            with_vector: WithVector::Bool(false),
            with_payload: WithPayloadInterface::Bool(true),
        };
        let found = self.read(|shard| shard.query(request))?;
        found
            .into_iter()
            .map(|point| Ok(Hit { id: to_uuid(point.id)?, score: point.score, passage: to_passage(point.payload)? }))
            .collect()
    }

    /// The documents of the points that meet the conditions.
    pub(super) fn uris(&self, conditions: &[crate::vectordb::Condition]) -> Result<Vec<String>, Fault> {
        let (key, filter) = (layout::path(URI)?, layout::filter(conditions)?);
        let request = FacetRequest { key, limit: MAX_DOCUMENTS, filter, exact: true };
        let found = self.read(|shard| shard.facet(request))?;
        let uris = found.hits.into_iter().filter_map(|hit| match hit.value {
            FacetValue::Keyword(uri) => Some(uri),
            _ => None,
        });
        Ok(uris.collect())
    }

    /// How many points there are.
    pub(super) fn count(&self) -> Result<u64, Fault> {
        let count = self.read(|shard| shard.count(qdrant_edge::CountRequest { filter: None, exact: true }))?;
        Ok(count as u64)
    }

    /// The same, as fast as it can be told: a point that was written anew may count twice.
    pub(super) fn points(&self) -> Result<usize, Fault> {
        let Some(shard) = &self.shard else { return Err(closed()) };
        Ok(contain(|| shard.info())?.points_count)
    }

    /// A word's inverse document frequency in this part, as a query is weighed by it; `None` when no passage has the word.
    pub(super) fn idf(&self, word: u32) -> Result<Option<f32>, Fault> {
        let request = QueryRequest {
            limit: 1,
            prefetches: Vec::new(),
            query: Some(nearest_sparse(SparseVector { indices: vec![word], values: vec![1.0] })),
            filter: None,
            score_threshold: None,
            offset: 0,
            params: Some(SCAN),
            with_vector: WithVector::Selector(vec![SPARSE.to_owned()]),
            with_payload: WithPayloadInterface::Bool(false),
        };
        // The engine does not tell it: a score is the passage's weight of the word, times it.
        let found = self.read(|shard| shard.query(request))?;
        let idf = found.into_iter().next().and_then(|point| Some(point.score / weight(point.vector?, word)?));
        Ok(idf.filter(|idf| idf.is_finite()))
    }

    /// Points from `from` on, in the order of their ids.
    pub(super) fn scroll(&self, from: Uuid, limit: usize) -> Result<Vec<(Uuid, Passage)>, Fault> {
        let records = self.records(from, limit, true)?;
        records.into_iter().map(|record| Ok((to_uuid(record.id)?, to_passage(record.payload)?))).collect()
    }

    /// Their ids alone.
    pub(super) fn ids_from(&self, from: Uuid, limit: usize) -> Result<Vec<Uuid>, Fault> {
        self.records(from, limit, false)?.into_iter().map(|record| to_uuid(record.id)).collect()
    }

    /// The ids of all points, in order.
    pub(super) fn ids(&self) -> Result<Vec<Uuid>, Fault> {
        let mut ids = Vec::new();
        let mut from = Some(Uuid::nil());
        while let Some(first) = from {
            let page = self.ids_from(first, MAX_PAGE)?;
            from = if page.len() == MAX_PAGE { first_after(page.last().copied()) } else { None };
            ids.extend(page);
        }
        Ok(ids)
    }

    fn records(&self, from: Uuid, limit: usize, payload: bool) -> Result<Vec<Record>, Fault> {
        let request = ScrollRequest {
            offset: Some(PointId::Uuid(from)),
            limit: Some(limit),
            filter: None,
            with_payload: Some(WithPayloadInterface::Bool(payload)),
            with_vector: WithVector::Bool(false),
            order_by: None,
        };
        let (records, _) = self.read(|shard| shard.scroll(request))?;
        Ok(records)
    }

    /// Whether it held as many points as a part shall when it was sealed the last time.
    pub(super) fn is_full(&self) -> bool {
        self.full.load(Ordering::Relaxed)
    }

    /// Whether the engine's log has grown so big that it is worth to close and open anew, which sheds it.
    pub(super) fn is_oversized(&self) -> bool {
        self.oversized.load(Ordering::Relaxed)
    }

    fn read<T>(&self, work: impl FnOnce(&EdgeShard) -> OperationResult<T>) -> Result<T, Fault> {
        let Some(shard) = &self.shard else { return Err(closed()) };
        Ok(contain(|| work(shard))??)
    }

    /// Applies the writes one after the other and returns when all are on disk. Other writers may come in between two of them.
    fn write(&self, writes: impl IntoIterator<Item = Write>) -> Result<(), Fault> {
        let mut mine = 0;
        for write in writes {
            let record = write.encode()?;
            let points = write.points();
            let mut state = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
            if !state.sound {
                return Err(closed());
            }
            state.journal.append(&record)?;
            let Some(shard) = &self.shard else { return Err(closed()) };
            let applied = contain(|| apply(shard, write));
            if !matches!(applied, Ok(Ok(()))) {
                // It must not come back when the journal is read.
                state.journal.retract(&record)?;
                state.sound &= applied.is_ok();
                return applied?;
            }
            drop(record);
            state.applied += 1;
            mine = state.applied;
            state.fresh += points;
            let (bytes, records) = state.journal.size();
            if state.fresh >= self.sizes.seal {
                self.compact_with(&mut state)?;
            } else if bytes > JOURNAL_BYTES || records > JOURNAL_RECORDS {
                self.flush_with(&mut state)?;
            }
        }
        let mut state = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        if state.durable < mine {
            state.journal.sync()?;
            state.durable = state.applied;
        }
        Ok(())
    }

    fn flush_with(&self, writer: &mut Writer) -> Result<(), Fault> {
        let Some(shard) = &self.shard else { return Err(closed()) };
        contain(|| shard.flush())?;
        writer.journal.clear()?;
        writer.durable = writer.applied;
        let bytes = log_files(&self.directory.join("wal"))?.iter().map(|file| file.bytes).sum::<u64>();
        self.oversized.store(bytes > WAL_LIMIT, Ordering::Relaxed);
        Ok(())
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // Dropping flushes, and panics where that fails (a full disk): what was acknowledged is in the journal then.
        let shard = self.shard.take();
        let writer = self.writer.get_mut().unwrap_or_else(PoisonError::into_inner);
        let mut dropped = contain(|| drop(shard));
        if dropped.is_ok() && writer.sound {
            dropped = writer.journal.clear().map_err(Fault::from);
        }
        if let Err(fault) = dropped {
            tracing::warn!(error = %fault, directory = %self.directory.display(), "closing the index failed");
        }
    }
}

/// Hands what was freed back to the operating system. Merging takes and frees as much as a segment, of which glibc would keep
/// the most (110 of 170 MB were seen) for each thread that ever merged. With jemalloc, as in our programs, it changes nothing; in a
/// program with glibc's own, 60,717 chunks took 388 MB at the peak with it and 494 to 512 without.
#[allow(unsafe_code, reason = "there is no other way to ask for it")]
fn give_back_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: `malloc_trim` takes the allocator's own locks and may be called at any time from any thread.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// The next items, up to a batch; `None` when there are none left.
fn next_batch<T>(items: &mut impl Iterator<Item = T>) -> Option<Vec<T>> {
    let batch: Vec<_> = items.take(BATCH).collect();
    (!batch.is_empty()).then_some(batch)
}

/// Does to the engine what a write says.
fn apply(shard: &EdgeShard, write: Write) -> Result<(), Fault> {
    let operation = match write {
        Write::Upsert(points) => {
            let points = points.into_iter().map(to_engine).collect::<Result<_, _>>()?;
            PointOperations::UpsertPoints(PointInsertOperations::PointsList(points))
        }
        Write::Passages(passages) => {
            // A point that is named and not there would be an error.
            let ids: Vec<_> = passages.iter().map(|(id, _)| PointId::Uuid(*id)).collect();
            let there = shard.retrieve(&ids, Some(WithPayloadInterface::Bool(false)), Some(WithVector::Bool(false)))?;
            let there: HashSet<_> = there.into_iter().map(|record| record.id).collect();
            for (id, passage) in passages {
                let id = PointId::Uuid(id);
                if there.contains(&id) {
                    let payload = to_payload(&passage)?;
                    let set = SetPayloadOp { payload, points: Some(vec![id]), filter: None, key: None };
                    shard.update(UpdateOperation::PayloadOperation(PayloadOps::OverwritePayload(set)))?;
                }
            }
            return Ok(());
        }
        Write::Delete(ids) => PointOperations::DeletePoints { ids: ids.into_iter().map(PointId::Uuid).collect() },
        Write::DeleteDocument(uri) => {
            let value = Match::Value(MatchValue { value: ValueVariants::String(uri) });
            let condition = Condition::Field(FieldCondition::new_match(layout::path(URI)?, value));
            PointOperations::DeletePointsByFilter(Filter::new_must(condition))
        }
    };
    Ok(shard.update(UpdateOperation::PointOperation(operation))?)
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
