//! Reading: every call sees one state of the index, that of its transaction, whatever is written meanwhile.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use rusqlite::{OptionalExtension as _, params};
use tokio::sync::Semaphore;
use uuid::Uuid;

use super::best::Scored;
use super::database::{Database, Listed, State};
use super::fault::Fault;
use super::filter;
use super::passages::{COLUMNS, passage};
use super::scan::Scanner;
use super::search::{EQUALS_BY_DIRECTION, EQUALS_BY_WORDS, Search, equals};
use super::segment::{Segment, lock};
use super::snapshot::Snapshot;
use super::vectors::from_half;
use crate::document::{Hit, Passage, SparseVector};
use crate::priority;
use crate::vectordb::{Condition, Frequencies, MAX_PAGE, Query, Ranked, Standing, TwoRankings};

/// Connections that are kept open for the next call.
const KEPT: usize = 4;
/// Bytes of vectors that are kept in memory: a quarter of a million of 256 numbers. What does not fit is read by each scan.
const BYTES_KEPT: u64 = 64 << 20;
/// Searches after which a segment's vectors are kept: who asks once has nothing of it.
const SEARCHES: u32 = 32;
/// How often a state is read again whose segments were merged away before they could be opened.
const ATTEMPTS: usize = 20;

/// An index, open to read from it. Any number of threads may call it at once.
#[derive(Debug)]
pub(super) struct Reader {
    folder: PathBuf,
    dimensions: usize,
    idle: Mutex<Vec<Database>>,
    /// The segments of the last state that was seen.
    segments: Mutex<HashMap<String, Known>>,
    scanner: Scanner,
    /// For who brings vectors into memory: one is enough.
    keeping: Arc<Semaphore>,
}

/// A segment, and which of its rows count while so many of them do not: a row that is dead stays so.
#[derive(Debug, Clone)]
struct Known {
    segment: Arc<Segment>,
    dead: u64,
    alive: Option<Arc<[bool]>>,
    /// Of which it was part.
    searches: u32,
}

impl Reader {
    /// The index in `folder`. Nothing is opened yet.
    pub(super) fn new(folder: PathBuf, dimensions: usize) -> Self {
        Self {
            folder,
            dimensions,
            idle: Mutex::default(),
            segments: Mutex::default(),
            scanner: Scanner::default(),
            keeping: Arc::new(Semaphore::new(1)),
        }
    }

    /// The width of the vectors.
    pub(super) fn dimensions(&self) -> usize {
        self.dimensions
    }

    /// The best passages that meet the conditions, best first; equal ones in the order of their ids, as far as [`equals`] says.
    pub(super) fn query(&self, query: &Query, conditions: &[Condition], limit: usize) -> Result<Vec<Hit>, Fault> {
        self.with(|database| {
            let snapshot = self.snapshot(database)?;
            let best = self.search(&snapshot, conditions)?.best(query, limit)?;
            let best = Names::default().ordered(self, database, &best, (equals(query), limit))?;
            let hits = best.iter().map(|scored| {
                let (id, passage) = self.passage(database, scored.row)?;
                Ok(Hit { id, score: scored.score, passage, pipeline: None })
            });
            hits.collect()
        })
    }

    /// The best passages of what is made of two rankings.
    pub(super) fn query_two(&self, two: &TwoRankings, conditions: &[Condition], limit: usize) -> Result<Vec<Hit>, Fault> {
        self.with(|database| {
            let snapshot = self.snapshot(database)?;
            let search = self.search(&snapshot, conditions)?;
            let mut names = Names::default();
            let [dense, sparse] = search.both(two)?;
            let dense = names.ordered(self, database, &dense, (EQUALS_BY_DIRECTION, two.depth))?;
            let sparse = names.ordered(self, database, &sparse, (EQUALS_BY_WORDS, two.depth))?;
            let mut fused = (two.fuse)(&names.ranked(&dense), &names.ranked(&sparse));
            let scores: Vec<_> = fused.iter().map(|one| (names.row(one.id), one.score)).collect();
            if names.look_up(self, database, &scores)? {
                fused = (two.fuse)(&names.ranked(&dense), &names.ranked(&sparse));
            }
            let hits = fused.into_iter().take(limit).map(|Ranked { id, score }| {
                let (id, passage) = self.passage(database, names.row(id))?;
                Ok(Hit { id, score, passage, pipeline: None })
            });
            hits.collect()
        })
    }

    /// In how many points each of these terms is.
    pub(super) fn frequencies(&self, words: &SparseVector) -> Result<Frequencies, Fault> {
        self.with(|database| self.search(&self.snapshot(database)?, &[])?.frequencies(words))
    }

    /// Where the best passage of a document stands among those that meet the conditions: counted, not searched for.
    pub(super) fn standing(&self, query: &Query, conditions: &[Condition], uri: &str) -> Result<Option<Standing>, Fault> {
        self.with(|database| {
            let snapshot = self.snapshot(database)?;
            let own = database.call(|connection| {
                let sql = "SELECT row FROM points JOIN documents USING (document) WHERE documents.uri = ?1";
                connection.prepare_cached(sql)?.query_map([uri], |row| row.get(0))?.collect::<rusqlite::Result<HashSet<i64>>>()
            })?;
            let Some(mut stands) = self.search(&snapshot, conditions)?.stands(query, &own)? else { return Ok(None) };
            stands.equal.sort_unstable();
            let mut ids = database.call(|connection| {
                let mut statement = connection.prepare_cached("SELECT id FROM points WHERE row = ?1")?;
                let mut id = |row: &i64| statement.query_row([row], |found| found.get::<_, [u8; 16]>(0));
                let ids = stands.equal.iter().map(|row| Ok((Uuid::from_bytes(id(row)?), own.contains(row))));
                ids.collect::<rusqlite::Result<Vec<_>>>()
            })?;
            ids.chunks_mut(equals(query)).for_each(<[_]>::sort_unstable);
            let (before, id) =
                (0..).zip(&ids).find(|(_, (_, own))| *own).map(|(n, (id, _))| (n, *id)).ok_or_else(|| self.torn())?;
            Ok(Some(Standing { id, rank: stands.above + before + 1, score: stands.score, exact: true }))
        })
    }

    fn search<'a>(&'a self, snapshot: &'a Snapshot<'a>, conditions: &[Condition]) -> Result<Search<'a>, Fault> {
        let allowed = snapshot.database.call(|connection| filter::allowed(connection, conditions))?;
        Ok(Search::new(snapshot, allowed, &self.scanner))
    }

    /// What the point of a row says.
    fn passage(&self, database: &Database, row: i64) -> Result<(Uuid, Passage), Fault> {
        let sql = format!("SELECT {COLUMNS} FROM points JOIN documents USING (document) WHERE row = ?1");
        let found = database.call(|connection| connection.prepare_cached(&sql)?.query_row([row], passage).optional())?;
        found.map(|(_, id, passage)| (id, passage)).ok_or_else(|| self.torn())
    }

    fn torn(&self) -> Fault {
        Fault::damaged(&super::database::path(&self.folder), "a segment has a row that it does not have")
    }

    /// The documents with a passage that meets the conditions.
    pub(super) fn uris(&self, conditions: &[Condition]) -> Result<Vec<String>, Fault> {
        self.with(|database| database.call(|connection| filter::uris(connection, conditions)))
    }

    /// The passages of a document, in no order.
    pub(super) fn passages_of(&self, uri: &str) -> Result<Vec<Passage>, Fault> {
        let sql = format!("SELECT {COLUMNS} FROM points JOIN documents USING (document) WHERE documents.uri = ?1 LIMIT ?2");
        self.with(|database| {
            database.call(|connection| {
                let mut statement = connection.prepare_cached(&sql)?;
                let passages = statement.query_map(params![uri, MAX_PAGE as i64], passage)?;
                passages.map(|row| row.map(|(_, _, passage)| passage)).collect()
            })
        })
    }

    /// The passages of points, in the order of the ids; `None` where there is no such point.
    pub(super) fn passages(&self, ids: &[Uuid]) -> Result<Vec<Option<Passage>>, Fault> {
        let sql = format!("SELECT {COLUMNS} FROM points JOIN documents USING (document) WHERE points.id = ?1");
        self.with(|database| {
            database.call(|connection| {
                let mut statement = connection.prepare_cached(&sql)?;
                let mut look = |id: &Uuid| statement.query_row([id.as_bytes()], passage).optional();
                ids.iter().map(|id| Ok(look(id)?.map(|(_, _, passage)| passage))).collect()
            })
        })
    }

    /// How many points there are.
    pub(super) fn count(&self) -> Result<u64, Fault> {
        self.with(|database| Ok(database.state()?.sealed() + database.fresh()?.unsigned_abs()))
    }

    /// Points from `from` on, in the order of their ids.
    pub(super) fn scroll(&self, from: Uuid, limit: usize) -> Result<Vec<(i64, Uuid, Passage)>, Fault> {
        self.with(|database| page(database, from, limit))
    }

    /// As [`Self::scroll`], with the vectors.
    pub(super) fn scroll_points(&self, from: Uuid, limit: usize) -> Result<Vec<(Uuid, Vec<f32>, Passage)>, Fault> {
        self.with(|database| {
            let snapshot = self.snapshot(database)?;
            let mut rows: HashMap<usize, Vec<i64>> = HashMap::new();
            let page = page(database, from, limit)?;
            let points =
                page.into_iter().map(|(row, id, passage)| Ok((id, from_half(&snapshot.half(row, &mut rows)?), passage)));
            points.collect()
        })
    }

    /// Calls `work` within one transaction, and again where a segment was merged away before it could be opened.
    fn with<T>(&self, work: impl Fn(&Database) -> Result<T, Fault>) -> Result<T, Fault> {
        let idle = lock(&self.idle).pop();
        let database = match idle {
            Some(database) => database,
            None => Database::open_to_read(&self.folder)?,
        };
        let mut attempt = 0;
        let result = loop {
            attempt += 1;
            database.call(|connection| connection.execute_batch("BEGIN DEFERRED"))?;
            let result = work(&database);
            let ended = database.call(|connection| connection.execute_batch("COMMIT"));
            match (result, ended) {
                (Err(Fault::Gone(path)), _) if attempt < ATTEMPTS && self.folder.exists() => {
                    tracing::debug!(segment = %path.display(), "merged away: looking at the index again");
                }
                (Ok(_), Err(fault)) => break Err(fault),
                (result, _) => break result,
            }
        };
        // One that failed is not used again: it may be in the middle of something.
        if result.is_ok() {
            let mut idle = lock(&self.idle);
            if idle.len() < KEPT {
                idle.push(database);
            }
        }
        result
    }

    /// The state as of the transaction at hand, with its segments.
    fn snapshot<'a>(&self, database: &'a Database) -> Result<Snapshot<'a>, Fault> {
        let state = database.state()?;
        let known = lock(&self.segments).clone();
        let segments = state.segments.iter().map(|listed| self.known(known.get(&listed.name), listed, &state));
        let segments = segments.collect::<Result<Vec<_>, _>>()?;
        self.keep_bytes(&segments);
        let names = state.segments.iter().map(|listed| listed.name.clone());
        *lock(&self.segments) = names.zip(segments.iter().cloned()).collect();
        let (segments, alive) = segments.into_iter().map(|known| (known.segment, known.alive)).unzip();
        Ok(Snapshot { database, state, segments, alive })
    }

    /// Brings the vectors of what is searched again and again into memory, as far as there is room: one segment at a time, beside the
    /// searches. One that is damaged is found by who reads it.
    fn keep_bytes(&self, segments: &[Known]) {
        let sizes = segments.iter().map(|known| known.segment.size_of_bytes());
        let held: u64 = sizes.filter(|(_, kept)| *kept).map(|(size, _)| size).sum();
        let wanted = segments.iter().filter(|known| known.searches >= SEARCHES).find(|known| {
            let (size, kept) = known.segment.size_of_bytes();
            !kept && held + size <= BYTES_KEPT
        });
        let Some(wanted) = wanted else { return };
        let Ok(keeping) = Arc::clone(&self.keeping).try_acquire_owned() else { return };
        let segment = Arc::clone(&wanted.segment);
        let keep = move || {
            let _keeping = keeping;
            if let Err(fault) = segment.keep_bytes() {
                tracing::warn!(%fault, "the vectors of a segment are not kept in memory");
            }
        };
        if let Err(error) = priority::aside(keep) {
            tracing::debug!(%error, "the vectors of a segment are not kept in memory");
        }
    }

    /// A segment as of this state.
    fn known(&self, known: Option<&Known>, listed: &Listed, state: &State) -> Result<Known, Fault> {
        let segment = match known {
            Some(known) => Arc::clone(&known.segment),
            None => Arc::new(Segment::open(&self.folder.join(&listed.name), self.dimensions)?),
        };
        if segment.count() != listed.count {
            return Err(Fault::damaged(&super::database::path(&self.folder), "a segment has not as many rows as it says"));
        }
        let dead = u64::from(listed.count) - state.living(listed);
        if let Some(known) = known.filter(|known| known.dead == dead) {
            return Ok(Known { searches: known.searches.saturating_add(1), ..known.clone() });
        }
        let alive = || Ok(segment.rows()?.into_iter().map(|row| !state.dead.contains(row)).collect());
        let alive = if dead == 0 { None } else { Some(alive()?) };
        Ok(Known { segment, dead, alive, searches: known.map_or(0, |known| known.searches.saturating_add(1)) })
    }
}

/// The ids of rows that are ranked. They decide among equals alone, and a look at one is a page read: the others go by their row.
#[derive(Debug, Default)]
struct Names {
    ids: HashMap<i64, Uuid>,
    rows: HashMap<Uuid, i64>,
}

impl Names {
    fn name(&self, row: i64) -> Uuid {
        self.ids.get(&row).copied().unwrap_or_else(|| Uuid::from_u128(row.unsigned_abs().into()))
    }

    fn row(&self, name: Uuid) -> i64 {
        self.rows.get(&name).copied().unwrap_or_else(|| name.as_u128() as i64)
    }

    fn ranked(&self, best: &[Scored]) -> Vec<Ranked> {
        best.iter().map(|scored| Ranked { id: self.name(scored.row), score: scored.score }).collect()
    }

    /// The first rows of the best, equal ones in the order of their ids, so many of them at a time.
    fn ordered(
        &mut self,
        reader: &Reader,
        database: &Database,
        best: &[Scored],
        (equals, limit): (usize, usize),
    ) -> Result<Vec<Scored>, Fault> {
        let mut ordered: Vec<Scored> = Vec::with_capacity(limit.min(best.len()));
        let blocks = best.chunk_by(|a, b| a.score.total_cmp(&b.score).is_eq()).flat_map(|equal| equal.chunks(equals));
        for block in blocks {
            if ordered.len() >= limit {
                break;
            }
            let mut block = block.to_vec();
            if block.len() > 1 {
                let scores: Vec<_> = block.iter().map(|scored| (scored.row, scored.score)).collect();
                self.look_up(reader, database, &scores)?;
                block.sort_by_key(|scored| self.name(scored.row));
            }
            ordered.extend(block);
        }
        ordered.truncate(limit);
        Ok(ordered)
    }

    /// Looks up the ids of rows that are as good as their neighbour. Whether there were any that were not known.
    fn look_up(&mut self, reader: &Reader, database: &Database, best: &[(i64, f32)]) -> Result<bool, Fault> {
        let equal = best.chunk_by(|a, b| a.1.total_cmp(&b.1).is_eq()).filter(|equals| equals.len() > 1).flatten();
        let unknown: Vec<i64> = equal.map(|(row, _)| *row).filter(|row| !self.ids.contains_key(row)).collect();
        let ids = database.call(|connection| {
            let mut statement = connection.prepare_cached("SELECT id FROM points WHERE row = ?1")?;
            let ids = unknown.iter().map(|row| statement.query_row([row], |found| found.get::<_, [u8; 16]>(0)).optional());
            ids.collect::<rusqlite::Result<Vec<_>>>()
        })?;
        for (row, id) in unknown.iter().zip(ids) {
            let id = Uuid::from_bytes(id.ok_or_else(|| reader.torn())?);
            self.ids.insert(*row, id);
            self.rows.insert(id, *row);
        }
        Ok(!unknown.is_empty())
    }
}

fn page(database: &Database, from: Uuid, limit: usize) -> Result<Vec<(i64, Uuid, Passage)>, Fault> {
    let sql = format!("SELECT {COLUMNS} FROM points JOIN documents USING (document) WHERE id >= ?1 ORDER BY id LIMIT ?2");
    database.call(|connection| {
        let mut statement = connection.prepare_cached(&sql)?;
        let page = statement.query_map(params![from.as_bytes(), limit as i64], passage)?;
        page.collect()
    })
}
