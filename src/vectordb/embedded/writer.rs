//! Writing: what waits at the same time shares one transaction, whose end is the acknowledgement of all of it.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use rusqlite::{Connection, TransactionBehavior, params};
use uuid::Uuid;

use super::database::Database;
use super::fault::Fault;
use super::passages::PassageWriter;
use super::rows::RowSet;
use super::segment::lock;
use super::stopwatch::Stopwatch;
use super::{postings, vectors};
use crate::document::{Passage, Point, SparseVector};

/// A write that takes longer is worth a word in the log.
const SLOW: Duration = Duration::from_millis(250);
/// Points that calls may have which share a transaction, unless one alone has more: who waits for it waits for all of them.
const SHARED: usize = 1024;

/// The term that every point with terms has: how many have it is the number that document frequencies are of. No word has this id.
pub(super) const ANY: u32 = u32::MAX;

/// Bytes of a term that no segment has yet.
pub(super) const FRESH_TERM: usize = 6;

/// One call's change of the index.
#[derive(Debug)]
pub(super) enum Change {
    /// Points that are new or replace others.
    Upsert(Vec<Written>),
    /// Other passages for points that exist.
    Passages(Vec<(Uuid, Passage)>),
    /// Points that go.
    Delete(Vec<Uuid>),
    /// A document whose points go.
    DeleteDocument(String),
}

impl Change {
    /// How many points it is about, as far as is known beforehand; at least one.
    fn points(&self) -> usize {
        let points = match self {
            Self::Upsert(points) => points.len(),
            Self::Passages(passages) => passages.len(),
            Self::Delete(ids) => ids.len(),
            Self::DeleteDocument(_) => 1,
        };
        points.max(1)
    }
}

/// A point as it is written: what is to be worked out is, before it waits for its turn.
#[derive(Debug)]
pub(super) struct Written {
    id: Uuid,
    half: Vec<u8>,
    terms: Vec<u8>,
    passage: Passage,
}

impl From<Point> for Written {
    fn from(point: Point) -> Self {
        let Point { id, dense, sparse, passage } = point;
        Self { id, half: vectors::to_half(&vectors::unit(&dense)), terms: to_terms(&sparse), passage }
    }
}

/// Terms as they are kept until a segment has them: id and weight, ascending by id; at last [`ANY`], where there are some.
fn to_terms(sparse: &SparseVector) -> Vec<u8> {
    let words = sparse.indices.iter().zip(&sparse.values).filter(|(id, _)| **id != ANY);
    let mut terms: Vec<(u32, u16)> = words.filter_map(|(id, weight)| Some((*id, postings::to_half(*weight)?))).collect();
    terms.sort_by_key(|(id, _)| *id);
    terms.dedup_by_key(|(id, _)| *id);
    if let (false, Some(one)) = (terms.is_empty(), postings::to_half(1.0)) {
        terms.push((ANY, one));
    }
    let bytes = terms.into_iter().map(|(id, weight)| (id.to_le_bytes(), weight.to_le_bytes()));
    bytes.flat_map(|([a, b, c, d], [e, f])| [a, b, c, d, e, f]).collect()
}

/// The terms that [`to_terms`] wrote.
pub(super) fn from_terms(terms: &[u8]) -> impl Iterator<Item = (u32, u16)> {
    terms
        .as_chunks::<FRESH_TERM>()
        .0
        .iter()
        .map(|[a, b, c, d, e, f]| (u32::from_le_bytes([*a, *b, *c, *d]), u16::from_le_bytes([*e, *f])))
}

/// A change that waits for its turn, and what became of it.
#[derive(Debug)]
struct Waiting {
    change: Mutex<Option<Change>>,
    points: usize,
    done: OnceLock<Result<(), Arc<Fault>>>,
}

/// The one that writes to an index.
#[derive(Debug)]
pub(super) struct Writer {
    queue: Mutex<Vec<Arc<Waiting>>>,
    database: Mutex<Database>,
    /// Rows that no segment has yet.
    fresh: AtomicI64,
    /// What is done while nobody else writes.
    stopwatch: Arc<Stopwatch>,
}

impl Writer {
    pub(super) fn new(database: Database, stopwatch: Arc<Stopwatch>) -> Result<Self, Fault> {
        let fresh = AtomicI64::new(database.fresh()?);
        Ok(Self { queue: Mutex::default(), database: Mutex::new(database), fresh, stopwatch })
    }

    /// How many rows no segment has yet.
    pub(super) fn fresh(&self) -> usize {
        usize::try_from(self.fresh.load(Ordering::Relaxed)).unwrap_or(0)
    }

    /// Carries a change out, together with those that came before it and wait. When this returns, all of it is on the disk, or
    /// nothing.
    pub(super) fn write(&self, change: Change) -> Result<(), Arc<Fault>> {
        let points = change.points();
        let own = Arc::new(Waiting { change: Mutex::new(Some(change)), points, done: OnceLock::new() });
        let begun = Instant::now();
        lock(&self.queue).push(Arc::clone(&own));
        let mut database = lock(&self.database);
        let waited = begun.elapsed();
        while own.done.get().is_none() {
            let mut queue = lock(&self.queue);
            let mut points = 0;
            let shares = |waiting: &&Arc<Waiting>| {
                points += waiting.points;
                points <= SHARED || points == waiting.points
            };
            let amount = queue.iter().take_while(shares).count();
            let waiting: Vec<_> = queue.drain(..amount).collect();
            drop(queue);
            let changes: Vec<_> = waiting.iter().filter_map(|waiting| lock(&waiting.change).take()).collect();
            let result = self.stopwatch.time(|| commit(&mut database, &changes)).map_err(Arc::new);
            if let Ok(fresh) = &result {
                self.fresh.fetch_add(*fresh, Ordering::Relaxed);
            }
            let result = result.map(drop);
            for waiting in waiting {
                // Set once: each waits in the queue once.
                let _ = waiting.done.set(result.clone());
            }
        }
        drop(database);
        if begun.elapsed() > SLOW {
            tracing::debug!(?waited, took = ?begun.elapsed(), "a write to the index was slow");
        }
        own.done.get().cloned().unwrap_or(Ok(()))
    }

    /// Calls `work` while nobody writes.
    pub(super) fn alone<T>(&self, work: impl FnOnce(&mut Database) -> Result<T, Fault>) -> Result<T, Fault> {
        let mut database = lock(&self.database);
        self.stopwatch.time(|| work(&mut database))
    }

    /// So many rows are in a segment now.
    pub(super) fn sealed(&self, rows: usize) {
        self.fresh.fetch_sub(rows as i64, Ordering::Relaxed);
    }
}

/// Carries changes out in one transaction, and returns how many more rows no segment has.
fn commit(database: &mut Database, changes: &[Change]) -> Result<i64, Fault> {
    let begun = database.connection.transaction_with_behavior(TransactionBehavior::Immediate);
    let result = begun.and_then(|transaction| {
        let mut rows = Rows::begin(&transaction)?;
        for change in changes {
            apply(&transaction, &mut rows, change)?;
        }
        rows.end(&transaction)?;
        transaction.commit()?;
        Ok(rows.fresh)
    });
    result.map_err(|error| database.fault(error))
}

fn apply(connection: &Connection, rows: &mut Rows, change: &Change) -> rusqlite::Result<()> {
    let mut passages = PassageWriter::new(connection);
    match change {
        Change::Upsert(points) => {
            for point in points {
                if let Some((row, document)) = passages.find(point.id)? {
                    passages.delete(row, document)?;
                    rows.bury(connection, row)?;
                }
                let row = rows.take();
                passages.put(row, point.id, &point.passage)?;
                let mut statement = connection.prepare_cached("INSERT INTO fresh (row, half, terms) VALUES (?1, ?2, ?3)")?;
                statement.execute(params![row, point.half, point.terms])?;
            }
        }
        Change::Passages(replaced) => {
            for (id, passage) in replaced {
                if let Some((row, document)) = passages.find(*id)? {
                    passages.replace(row, *id, document, passage)?;
                }
            }
        }
        Change::Delete(ids) => {
            for id in ids {
                if let Some((row, document)) = passages.find(*id)? {
                    passages.delete(row, document)?;
                    rows.bury(connection, row)?;
                }
            }
        }
        Change::DeleteDocument(uri) => {
            for row in passages.delete_document(uri)? {
                rows.bury(connection, row)?;
            }
        }
    }
    Ok(())
}

/// Hands out rows, and notes those that are gone.
struct Rows {
    next: i64,
    dead: RowSet,
    /// The chunks of `dead` that were read, and hence are to be written.
    touched: BTreeSet<i64>,
    /// Rows that were handed out, less those of them and of earlier ones that are gone before any segment has them.
    fresh: i64,
}

impl Rows {
    fn begin(connection: &Connection) -> rusqlite::Result<Self> {
        let mut statement = connection.prepare_cached("SELECT value FROM counters WHERE name = 'row'")?;
        let next = statement.query_row([], |row| row.get(0))?;
        Ok(Self { next, dead: RowSet::default(), touched: BTreeSet::new(), fresh: 0 })
    }

    fn take(&mut self) -> i64 {
        (self.next, self.fresh) = (self.next + 1, self.fresh + 1);
        self.next - 1
    }

    /// A row does not count any more. It is noted even where no segment has it yet: one may be about to.
    fn bury(&mut self, connection: &Connection, row: i64) -> rusqlite::Result<()> {
        self.fresh -= connection.prepare_cached("DELETE FROM fresh WHERE row = ?1")?.execute([row])? as i64;
        let chunk = RowSet::chunk_of(row);
        if self.touched.insert(chunk) {
            read_dead(connection, chunk, &mut self.dead)?;
        }
        self.dead.insert(row);
        Ok(())
    }

    fn end(&self, connection: &Connection) -> rusqlite::Result<()> {
        connection.prepare_cached("UPDATE counters SET value = ?1 WHERE name = 'row'")?.execute([self.next])?;
        self.touched.iter().try_for_each(|chunk| write_dead(connection, *chunk, &self.dead))
    }
}

fn read_dead(connection: &Connection, chunk: i64, dead: &mut RowSet) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached("SELECT bits FROM dead WHERE chunk = ?1")?;
    let mut found = statement.query([chunk])?;
    if let Some(row) = found.next()? {
        let bits: Vec<u8> = row.get(0)?;
        dead.set_bytes(chunk, &bits).ok_or(rusqlite::Error::InvalidColumnType(
            0,
            "bits".into(),
            rusqlite::types::Type::Blob,
        ))?;
    }
    Ok(())
}

fn write_dead(connection: &Connection, chunk: i64, dead: &RowSet) -> rusqlite::Result<()> {
    match dead.to_bytes(chunk) {
        Some(bits) => {
            let sql = "INSERT INTO dead (chunk, bits) VALUES (?1, ?2) ON CONFLICT (chunk) DO UPDATE SET bits = excluded.bits";
            connection.prepare_cached(sql)?.execute(params![chunk, bits])?;
        }
        None => {
            connection.prepare_cached("DELETE FROM dead WHERE chunk = ?1")?.execute([chunk])?;
        }
    }
    Ok(())
}

/// Forgets which rows from `first` to `last` are gone, but for those in `rows` (ascending): no segment has the others any more.
pub(super) fn forget_dead(connection: &Connection, first: i64, last: i64, rows: &[i64]) -> rusqlite::Result<()> {
    let chunks = {
        let mut statement = connection.prepare_cached("SELECT chunk FROM dead WHERE chunk BETWEEN ?1 AND ?2")?;
        let chunks = statement.query_map([RowSet::chunk_of(first), RowSet::chunk_of(last)], |row| row.get(0))?;
        chunks.collect::<rusqlite::Result<Vec<i64>>>()?
    };
    for chunk in chunks {
        let mut dead = RowSet::default();
        read_dead(connection, chunk, &mut dead)?;
        let forgotten = |row: &i64| (first..=last).contains(row) && rows.binary_search(row).is_err();
        let gone: Vec<i64> = dead.of_chunk(chunk).filter(forgotten).collect();
        for row in gone {
            dead.remove(row);
        }
        write_dead(connection, chunk, &dead)?;
    }
    Ok(())
}
