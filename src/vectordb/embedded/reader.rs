//! Reading: every call sees one state of the index, that of its transaction, whatever is written meanwhile.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use rusqlite::{OptionalExtension as _, params};
use uuid::Uuid;

use super::database::Database;
use super::fault::Fault;
use super::filter;
use super::passages::{COLUMNS, passage};
use super::search::Search;
use super::segment::{Segment, lock};
use super::snapshot::Snapshot;
use super::vectors::from_half;
use crate::document::{Hit, Passage};
use crate::vectordb::{Condition, MAX_PAGE, Query};

/// Connections that are kept open for the next call.
const KEPT: usize = 4;
/// How often a state is read again whose segments were merged away before they could be opened.
const ATTEMPTS: usize = 20;

/// An index, open to read from it. Any number of threads may call it at once.
#[derive(Debug)]
pub(super) struct Reader {
    folder: PathBuf,
    dimensions: usize,
    idle: Mutex<Vec<Database>>,
    /// The segments of the last state that was seen.
    segments: Mutex<HashMap<String, Arc<Segment>>>,
}

impl Reader {
    /// The index in `folder`. Nothing is opened yet.
    pub(super) fn new(folder: PathBuf, dimensions: usize) -> Self {
        Self { folder, dimensions, idle: Mutex::default(), segments: Mutex::default() }
    }

    /// The width of the vectors.
    pub(super) fn dimensions(&self) -> usize {
        self.dimensions
    }

    /// The best passages that meet the conditions, best first; equal ones in the order of their ids.
    pub(super) fn query(&self, query: &Query, conditions: &[Condition], limit: usize) -> Result<Vec<Hit>, Fault> {
        self.with(|database| {
            let snapshot = self.snapshot(database)?;
            let allowed = database.call(|connection| filter::allowed(connection, conditions))?;
            let best = Search { snapshot: &snapshot, allowed }.best(query, limit)?;
            let sql = format!("SELECT {COLUMNS} FROM points JOIN documents USING (document) WHERE row = ?1");
            let hits = database.call(|connection| {
                let mut statement = connection.prepare_cached(&sql)?;
                let hits = best.iter().map(|scored| {
                    let found = statement.query_row([scored.row], passage).optional()?;
                    Ok(found.map(|(_, id, passage)| Hit { id, score: scored.score, passage }))
                });
                hits.collect::<rusqlite::Result<Vec<_>>>()
            })?;
            let found = hits.len();
            let hits: Vec<Hit> = hits.into_iter().flatten().collect();
            if hits.len() < found {
                return Err(Fault::damaged(&super::database::path(&self.folder), "a segment has a row that it does not have"));
            }
            Ok(crate::vectordb::rank(hits))
        })
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

    /// How many points there are.
    pub(super) fn count(&self) -> Result<u64, Fault> {
        self.with(|database| Ok(database.state()?.points()))
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
        let segments = state.segments.iter().map(|listed| match known.get(&listed.name) {
            Some(segment) => Ok(Arc::clone(segment)),
            None => Segment::open(&self.folder.join(&listed.name), self.dimensions).map(Arc::new),
        });
        let segments = segments.collect::<Result<Vec<_>, _>>()?;
        if segments.iter().zip(&state.segments).any(|(segment, listed)| segment.count() != listed.count) {
            return Err(Fault::damaged(&super::database::path(&self.folder), "a segment has not as many rows as it says"));
        }
        let names = state.segments.iter().map(|listed| listed.name.clone());
        *lock(&self.segments) = names.zip(segments.iter().cloned()).collect();
        Ok(Snapshot { database, state, segments, dimensions: self.dimensions })
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
