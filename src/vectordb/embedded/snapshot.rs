//! One state of an index, that of a transaction, with the segments that belong to it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use super::database::{Database, State};
use super::fault::Fault;
use super::segment::Segment;

/// A state of the index, for as long as a call takes.
pub(super) struct Snapshot<'a> {
    pub(super) database: &'a Database,
    pub(super) state: State,
    pub(super) segments: Vec<Arc<Segment>>,
    /// Which of each segment's rows count; `None`: all.
    pub(super) alive: Vec<Option<Arc<[bool]>>>,
}

impl Snapshot<'_> {
    /// A row's vector in half precision. `rows` keeps what was read of the segments' rows.
    pub(super) fn half(&self, row: i64, rows: &mut HashMap<usize, Vec<i64>>) -> Result<Vec<u8>, Fault> {
        let at = self.state.segments.partition_point(|segment| segment.last < row);
        if let (Some(listed), Some(segment)) = (self.state.segments.get(at), self.segments.get(at))
            && listed.first <= row
        {
            let rows = match rows.entry(at) {
                Entry::Occupied(rows) => rows.into_mut(),
                Entry::Vacant(none) => none.insert(segment.rows()?),
            };
            if let Ok(local) = rows.binary_search(&row) {
                return segment.half(local as u32);
            }
        }
        self.database.call(|connection| {
            let mut statement = connection.prepare_cached("SELECT half FROM fresh WHERE row = ?1")?;
            statement.query_row([row], |row| row.get(0))
        })
    }
}
