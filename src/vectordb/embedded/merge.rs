//! Making segments: of what is fresh, and of several that exist. Reading and writing go on meanwhile; nothing that counts changes
//! until the new file is on the disk and one transaction puts it in the place of what it was made of.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::Row;

use super::database::{Database, Listed, State};
use super::fault::Fault;
use super::postings::Postings;
use super::segment::{Part, SectionReader, Segment, SegmentWriter, Term};
use super::vectors;
use super::writer::{FRESH_TERM, from_terms};

/// Segments of about one size that are merged into one.
const FANOUT: usize = 8;
/// A row that is left out.
const LEFT_OUT: u32 = u32::MAX;
/// Rows or terms from one look at whether to give up to the next.
const LOOK: usize = 4096;

/// How large segments are, in rows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sizes {
    /// Fresh rows that are worth a segment of their own. Their terms are in memory while it is made.
    pub(super) seal: usize,
    /// Segments are not merged to larger ones. Bounds how long a merge takes, and the terms that it holds in memory.
    pub(super) segment: usize,
}

/// What a new segment has in it.
#[derive(Debug)]
pub(super) struct Made {
    /// `None`: no row was left.
    pub(super) segment: Option<Listed>,
    /// Rows from here on up to `last` are in the segment or nowhere any more.
    pub(super) first: i64,
    pub(super) last: i64,
    /// The rows in the segment.
    pub(super) rows: Vec<i64>,
}

/// Which segments are to be merged into one, as a range of the state's. Neighbours alone, so that rows stay in their order.
pub(super) fn due(state: &State, sizes: Sizes) -> Option<std::ops::Range<usize>> {
    let living: Vec<u64> = state.segments.iter().map(|segment| state.living(segment)).collect();
    // What is mostly gone is written anew, alone.
    let thinned = |(segment, living): (&Listed, &u64)| {
        (u64::from(segment.count) - living.min(&u64::from(segment.count))) * 4 > u64::from(segment.count)
    };
    if let Some(at) = state.segments.iter().zip(&living).position(thinned) {
        return Some(at..at + 1);
    }
    let level = |rows: &u64| rows.max(&1).ilog(FANOUT as u64);
    let levels: Vec<u32> = living.iter().map(level).collect();
    for highest in 0..=levels.iter().copied().max()? {
        let mut at = 0;
        while at < levels.len() {
            // As many neighbours of at most this size as fit into one.
            let (mut end, mut rows) = (at, 0);
            while let (Some(level), Some(living)) = (levels.get(end), living.get(end))
                && *level <= highest
                && rows + living <= sizes.segment as u64
            {
                (end, rows) = (end + 1, rows + living);
            }
            if end - at >= FANOUT {
                return Some(at..end);
            }
            at = end.max(at + 1);
        }
    }
    None
}

/// Makes a segment of the first `amount` rows that no segment has. `None`: there are none.
///
/// They are read three times, once for each section, so that none but their terms are in memory at once.
pub(super) fn seal(
    database: &Database,
    dimensions: usize,
    name: &str,
    after: i64,
    amount: usize,
) -> Result<Option<Made>, Fault> {
    // One state for all of it.
    database.call(|connection| connection.execute_batch("BEGIN DEFERRED"))?;
    let made = seal_in(database, dimensions, name, after, amount.min(usize::from(u16::MAX)));
    database.call(|connection| connection.execute_batch("COMMIT"))?;
    made
}

fn seal_in(database: &Database, dimensions: usize, name: &str, after: i64, amount: usize) -> Result<Option<Made>, Fault> {
    let (mut rows, mut bytes) = (Vec::with_capacity(amount), 0);
    each_fresh(database, "SELECT row, length(terms) FROM fresh ORDER BY row LIMIT ?1", amount, |row| {
        rows.push(row.get(0)?);
        bytes += row.get::<_, u32>(1)? as usize;
        Ok(Ok(()))
    })?;
    let Some(last) = rows.last().copied() else { return Ok(None) };
    let mut writer = SegmentWriter::create(&database.folder.join(name), dimensions, &rows)?;
    let halves = "SELECT half FROM fresh ORDER BY row LIMIT ?1";
    each_fresh(database, halves, amount, |row| {
        let half = row.get_ref(0)?.as_blob()?;
        Ok(if half.len() == dimensions * 2 {
            writer.write(&vectors::to_bytes(&vectors::from_half(half)))
        } else {
            Err(Fault::damaged(&super::database::path(&database.folder), "a fresh vector is not as wide as the index"))
        })
    })?;
    writer.end_bytes();
    each_fresh(database, halves, amount, |row| Ok(writer.write(row.get_ref(0)?.as_blob()?)))?;
    writer.end_halves();
    // A term, a row and a weight in eight bytes: there are a hundred times as many as rows.
    let mut all: Vec<u64> = Vec::with_capacity(bytes / FRESH_TERM);
    let mut local = 0_u64;
    each_fresh(database, "SELECT terms FROM fresh ORDER BY row LIMIT ?1", amount, |row| {
        let terms = from_terms(row.get_ref(0)?.as_blob()?);
        all.extend(terms.map(|(id, weight)| u64::from(id) << 32 | local << 16 | u64::from(weight)));
        local += 1;
        Ok(Ok(()))
    })?;
    all.sort_unstable();
    for same in all.chunk_by(|one, other| one >> 32 == other >> 32) {
        let id = same.first().map_or(0, |first| (first >> 32) as u32);
        writer.term(id, same.iter().map(|packed| Ok((u32::from((packed >> 16) as u16), *packed as u16))))?;
    }
    writer.finish()?;
    let segment = Listed { name: name.to_owned(), first: after + 1, last, count: rows.len() as u32 };
    Ok(Some(Made { segment: Some(segment), first: after + 1, last, rows }))
}

/// Calls `work` with the first `amount` rows that no segment has, as `sql` reads them.
fn each_fresh(
    database: &Database,
    sql: &str,
    amount: usize,
    mut work: impl FnMut(&Row<'_>) -> rusqlite::Result<Result<(), Fault>>,
) -> Result<(), Fault> {
    let fault = |error| database.fault(error);
    let mut statement = database.connection.prepare_cached(sql).map_err(fault)?;
    let mut rows = statement.query([amount as i64]).map_err(fault)?;
    while let Some(row) = rows.next().map_err(fault)? {
        work(row).map_err(fault)??;
    }
    Ok(())
}

/// Makes one segment of neighbours, without what is gone.
pub(super) fn merge(
    folder: &Path,
    dimensions: usize,
    state: &State,
    range: std::ops::Range<usize>,
    name: &str,
    stop: &AtomicBool,
) -> Result<Made, Fault> {
    let listed = state.segments.get(range).unwrap_or_default();
    let first = listed.first().map_or(0, |segment| segment.first);
    let last = listed.last().map_or(0, |segment| segment.last);
    let segments = listed.iter().map(|segment| Segment::open(&folder.join(&segment.name), dimensions));
    let segments = segments.collect::<Result<Vec<_>, _>>()?;
    let mut rows = Vec::with_capacity(segments.iter().map(|segment| segment.count() as usize).sum());
    let mut places = Vec::with_capacity(segments.len());
    for segment in &segments {
        let mut reader = segment.stream(Part::Rows);
        while reader.take(4)?.is_some() {}
        places.push(
            segment
                .rows()?
                .into_iter()
                .map(|row| {
                    if state.dead.contains(row) {
                        return LEFT_OUT;
                    }
                    rows.push(row);
                    rows.len() as u32 - 1
                })
                .collect::<Vec<_>>(),
        );
    }
    if rows.is_empty() {
        return Ok(Made { segment: None, first, last, rows });
    }
    let mut writer = SegmentWriter::create(&folder.join(name), dimensions, &rows)?;
    for (part, width) in [(Part::Bytes, dimensions + vectors::SCALE), (Part::Halves, dimensions * 2)] {
        for (segment, places) in segments.iter().zip(&places) {
            let mut reader = segment.stream(part);
            for (n, place) in places.iter().enumerate() {
                look(n, stop)?;
                let bytes = reader.take(width)?.unwrap_or_default();
                if *place != LEFT_OUT {
                    writer.write(bytes)?;
                }
            }
            // To its end, where the checksum is.
            reader.take(width)?;
        }
        if part == Part::Bytes { writer.end_bytes() } else { writer.end_halves() }
    }
    merge_terms(&mut writer, &segments, &places, stop)?;
    writer.finish()?;
    let count = rows.len() as u32;
    Ok(Made { segment: Some(Listed { name: name.to_owned(), first, last, count }), first, last, rows })
}

/// Gives up where that is wanted.
fn look(n: usize, stop: &AtomicBool) -> Result<(), Fault> {
    if n.is_multiple_of(LOOK) && stop.load(Ordering::Relaxed) { Err(Fault::Closing) } else { Ok(()) }
}

/// One segment's terms and postings, read from one end to the other.
struct Cursor<'a, T> {
    segment: &'a Segment,
    places: &'a [u32],
    terms: T,
    term: Option<Term>,
    postings: SectionReader<'a>,
}

impl<T: Iterator<Item = Result<Term, Fault>>> Cursor<'_, T> {
    fn advance(&mut self) -> Result<(), Fault> {
        self.term = self.terms.next().transpose()?;
        Ok(())
    }

    /// The rows of the term at hand, by their places in the new segment.
    fn take(&mut self, term: Term, into: &mut Vec<(u32, u16)>) -> Result<(), Fault> {
        let bytes = self.postings.take(term.length())?.unwrap_or_default();
        let mut postings = Postings::new(bytes, self.places.len() as u32);
        for (local, weight) in postings.by_ref() {
            match self.places.get(local as usize) {
                Some(&LEFT_OUT) | None => {}
                Some(place) => into.push((*place, weight)),
            }
        }
        if postings.is_whole() { Ok(()) } else { Err(Fault::damaged(self.segment.path(), "postings of it make no sense")) }
    }
}

fn merge_terms(writer: &mut SegmentWriter, segments: &[Segment], places: &[Vec<u32>], stop: &AtomicBool) -> Result<(), Fault> {
    let mut cursors = Vec::new();
    for (segment, places) in segments.iter().zip(places) {
        let mut cursor =
            Cursor { segment, places, terms: segment.terms(), term: None, postings: segment.stream(Part::Postings) };
        cursor.advance()?;
        cursors.push(cursor);
    }
    let mut rows = Vec::new();
    for n in 0.. {
        look(n, stop)?;
        let Some(id) = cursors.iter().filter_map(|cursor| Some(cursor.term?.id)).min() else { break };
        rows.clear();
        for cursor in &mut cursors {
            if let Some(term) = cursor.term.filter(|term| term.id == id) {
                cursor.take(term, &mut rows)?;
                cursor.advance()?;
            }
        }
        writer.term(id, rows.iter().copied().map(Ok))?;
    }
    Ok(())
}
