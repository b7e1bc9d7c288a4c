//! Searching one state of the index.
//!
//! By direction: all vectors are compared in 8 bits, on all cores; twice as many as are wanted and some are then compared in half
//! precision. What no segment has yet is compared in half precision at once. By words: term at a time, with the document frequencies of the
//! rows that count, so that scores do not depend on what was deleted or merged.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::best::{Best, Scored};
use super::fault::Fault;
use super::filter::Allowed;
use super::postings::{Postings, from_half};
use super::segment::{Segment, Term, lock};
use super::snapshot::Snapshot;
use super::vectors::{Asked, SCALE, split};
use super::writer::from_terms;
use crate::document::SparseVector;
use crate::vectordb::Query;

/// Bytes of vectors that are read at once: they stay near the core that compares them.
const PIECE: usize = 256 << 10;
/// Bytes of vectors for which another thread is worth it.
const THREAD: usize = 4 << 20;
/// Rows that are compared in half precision beyond twice as many as are wanted.
const SPARE: usize = 50;

/// A search in one state of the index.
pub(super) struct Search<'a> {
    pub(super) snapshot: &'a Snapshot<'a>,
    /// `None`: all rows.
    pub(super) allowed: Option<Allowed>,
}

/// A row of a segment, or one that no segment has yet.
#[derive(Debug, Clone, Copy)]
struct Place {
    segment: usize,
    local: u32,
}

impl Search<'_> {
    /// The best rows, best first.
    pub(super) fn best(&self, query: &Query, limit: usize) -> Result<Vec<Scored>, Fault> {
        match query {
            Query::Dense(vector) => self.dense(vector, limit),
            Query::Sparse(words) => self.sparse(words, limit),
        }
    }

    fn dense(&self, vector: &[f32], limit: usize) -> Result<Vec<Scored>, Fault> {
        let asked = Asked::new(vector);
        let mut best = Best::new(limit);
        self.each_fresh(|row, half, _| {
            best.add(asked.cosine(half), row);
            Ok(())
        })?;
        let living = self.snapshot.segments.iter().enumerate().map(|(at, segment)| self.living(at, segment));
        let living = living.collect::<Result<Vec<_>, _>>()?;
        let mut candidates = self.candidates(&asked, &living, limit.saturating_mul(2).saturating_add(SPARE))?;
        // In the order in which they are in the files.
        candidates.sort_by_key(|place| (place.segment, place.local));
        for Place { segment, local } in candidates {
            let Some(segment) = self.snapshot.segments.get(segment) else { continue };
            best.add(asked.cosine(&segment.half(local)?), segment.row(local)?);
        }
        Ok(best.into_sorted())
    }

    /// The rows of all segments that are about the best.
    fn candidates(&self, asked: &Asked, living: &[Option<Vec<bool>>], amount: usize) -> Result<Vec<Place>, Fault> {
        let rows_at_once = (PIECE / (self.snapshot.dimensions + SCALE)).max(1) as u32;
        // Not the database: a connection is for one thread.
        let segments = &self.snapshot.segments;
        let mut pieces = Vec::new();
        for (at, segment) in segments.iter().enumerate() {
            for from in (0..segment.count()).step_by(rows_at_once as usize) {
                pieces.push((at, from, rows_at_once.min(segment.count() - from)));
            }
        }
        let next = AtomicUsize::new(0);
        let found: Mutex<Result<Vec<(f32, Place)>, Fault>> = Mutex::new(Ok(Vec::new()));
        let work = || {
            let mut best = Best::new(amount);
            let mut buffer = Vec::new();
            let looked = loop {
                let Some((at, from, rows)) = pieces.get(next.fetch_add(1, Ordering::Relaxed)) else { break Ok(()) };
                let (Some(segment), Some(living)) = (segments.get(*at), living.get(*at)) else { break Ok(()) };
                if let Err(fault) = scan(asked, segment, *at, *from, *rows, living.as_deref(), &mut buffer, &mut best) {
                    break Err(fault);
                }
            };
            let mut found = lock(&found);
            match (looked, &mut *found) {
                (Ok(()), Ok(found)) => found.extend(best.into_sorted().into_iter().map(|one| (one.score, unpack(one.row)))),
                (Err(fault), found) => *found = Err(fault),
                _ => {}
            }
        };
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(pieces.len() * PIECE / THREAD);
        std::thread::scope(|scope| {
            for _ in 1..threads {
                scope.spawn(work);
            }
            work();
        });
        let mut found = found.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)?;
        found.sort_by(|(a, one), (b, other)| b.total_cmp(a).then_with(|| pack(*one).cmp(&pack(*other))));
        found.truncate(amount);
        Ok(found.into_iter().map(|(_, place)| place).collect())
    }

    fn sparse(&self, words: &SparseVector, limit: usize) -> Result<Vec<Scored>, Fault> {
        let segments = &self.snapshot.segments;
        let mut terms: Vec<(u32, f32)> = words.indices.iter().copied().zip(words.values.iter().copied()).collect();
        terms.sort_by_key(|(id, _)| *id);
        terms.dedup_by_key(|(id, _)| *id);
        // How many rows that count have each term.
        let mut frequencies = vec![0_u64; terms.len()];
        let mut places: Vec<Vec<Option<Term>>> = Vec::new();
        for (listed, segment) in self.snapshot.state.segments.iter().zip(segments) {
            let found = terms.iter().map(|(id, _)| segment.term(*id)).collect::<Result<Vec<_>, _>>()?;
            let dead = (self.snapshot.state.living(listed) < u64::from(segment.count())).then(|| segment.rows()).transpose()?;
            for (term, frequency) in found.iter().zip(&mut frequencies) {
                *frequency += match (term, &dead) {
                    (None, _) => 0,
                    (Some(term), None) => u64::from(term.count),
                    (Some(term), Some(rows)) => {
                        let mut living = 0;
                        each_posting(segment, *term, |local, _| {
                            living +=
                                u64::from(rows.get(local as usize).is_some_and(|row| !self.snapshot.state.dead.contains(*row)));
                        })?;
                        living
                    }
                };
            }
            places.push(found);
        }
        let mut fresh: Vec<(i64, Vec<(usize, u16)>)> = Vec::new();
        self.each_fresh_of_all(|row, _, kept| {
            let mut has = Vec::new();
            for (id, weight) in from_terms(kept) {
                if let Ok(at) = terms.binary_search_by_key(&id, |(id, _)| *id) {
                    has.push((at, weight));
                }
            }
            for (at, _) in &has {
                if let Some(frequency) = frequencies.get_mut(*at) {
                    *frequency += 1;
                }
            }
            if !has.is_empty() && self.allows(row) {
                fresh.push((row, has));
            }
            Ok(())
        })?;
        let points = self.snapshot.state.points() as f64;
        let factors: Vec<f32> =
            terms.iter().zip(&frequencies).map(|((_, weight), frequency)| weight * idf(points, *frequency as f64)).collect();

        let mut best = Best::new(limit);
        for (row, has) in fresh {
            let scores = has.iter().filter_map(|(at, weight)| Some(factors.get(*at)? * from_half(*weight)));
            best.add(scores.sum(), row);
        }
        for ((at, segment), found) in segments.iter().enumerate().zip(places) {
            if found.iter().any(Option::is_some) {
                self.score(at, segment, &found, &factors, &mut best)?;
            }
        }
        Ok(best.into_sorted())
    }

    /// Adds up what the terms make of a segment's rows.
    fn score(
        &self,
        at: usize,
        segment: &Segment,
        terms: &[Option<Term>],
        factors: &[f32],
        best: &mut Best,
    ) -> Result<(), Fault> {
        let mut scores = vec![0.0_f32; segment.count() as usize];
        for (term, factor) in terms.iter().zip(factors) {
            let Some(term) = term else { continue };
            each_posting(segment, *term, |local, weight| {
                if let Some(score) = scores.get_mut(local as usize) {
                    *score += factor * from_half(weight);
                }
            })?;
        }
        let living = self.living(at, segment)?;
        let rows = segment.rows()?;
        let mut add = |(row, score): (&i64, &f32)| {
            if *score != 0.0 {
                best.add(*score, *row);
            }
        };
        match living {
            None => rows.iter().zip(&scores).for_each(add),
            Some(living) => {
                rows.iter().zip(&scores).zip(&living).filter(|(_, lives)| **lives).for_each(|(scored, _)| add(scored));
            }
        }
        Ok(())
    }

    /// Which of a segment's rows count and may be found; `None`: all.
    fn living(&self, at: usize, segment: &Segment) -> Result<Option<Vec<bool>>, Fault> {
        let state = &self.snapshot.state;
        let whole = state.segments.get(at).is_some_and(|listed| state.living(listed) == u64::from(segment.count()));
        if whole && self.allowed.is_none() {
            return Ok(None);
        }
        Ok(Some(segment.rows()?.into_iter().map(|row| !state.dead.contains(row) && self.allows(row)).collect()))
    }

    fn allows(&self, row: i64) -> bool {
        self.allowed.as_ref().is_none_or(|allowed| allowed.contains(row))
    }

    /// Every row that no segment has yet and that may be found, with its vector and its terms.
    fn each_fresh(&self, mut work: impl FnMut(i64, &[u8], &[u8]) -> Result<(), Fault>) -> Result<(), Fault> {
        self.each_fresh_of_all(|row, half, terms| if self.allows(row) { work(row, half, terms) } else { Ok(()) })
    }

    fn each_fresh_of_all(&self, mut work: impl FnMut(i64, &[u8], &[u8]) -> Result<(), Fault>) -> Result<(), Fault> {
        let database = self.snapshot.database;
        if self.snapshot.state.fresh == 0 {
            return Ok(());
        }
        let fault = |error| database.fault(error);
        let mut statement = database.connection.prepare_cached("SELECT row, half, terms FROM fresh").map_err(fault)?;
        let mut rows = statement.query([]).map_err(fault)?;
        while let Some(row) = rows.next().map_err(fault)? {
            let read = || -> rusqlite::Result<_> { Ok((row.get(0)?, row.get_ref(1)?, row.get_ref(2)?)) };
            let (number, half, terms) = read().map_err(fault)?;
            let half = half.as_blob().map_err(|error| fault(error.into()))?;
            let terms = terms.as_blob().map_err(|error| fault(error.into()))?;
            work(number, half, terms)?;
        }
        Ok(())
    }
}

/// Compares some of a segment's rows, of which those that are not `living` are passed over.
#[expect(clippy::too_many_arguments, reason = "one step of a scan, called at one place")]
fn scan(
    asked: &Asked,
    segment: &Segment,
    at: usize,
    from: u32,
    rows: u32,
    living: Option<&[bool]>,
    buffer: &mut Vec<u8>,
    best: &mut Best,
) -> Result<(), Fault> {
    let living = living.map(|living| living.get(from as usize..(from + rows) as usize).unwrap_or_default());
    if living.is_some_and(|living| !living.contains(&true)) {
        return Ok(());
    }
    buffer.resize(rows as usize * segment.stride(), 0);
    segment.bytes(from, buffer)?;
    for (n, kept) in buffer.chunks_exact(segment.stride()).enumerate() {
        if living.is_none_or(|living| living.get(n).is_some_and(|lives| *lives)) {
            let (scale, bytes) = split(kept);
            best.add(asked.about(scale, bytemuck::cast_slice(bytes)), pack(Place { segment: at, local: from + n as u32 }));
        }
    }
    Ok(())
}

/// A place as a number that [`Best`] orders as the rows are.
fn pack(place: Place) -> i64 {
    (place.segment as i64) << 32 | i64::from(place.local)
}

fn unpack(place: i64) -> Place {
    Place { segment: (place >> 32) as usize, local: place as u32 }
}

fn each_posting(segment: &Segment, term: Term, mut work: impl FnMut(u32, u16)) -> Result<(), Fault> {
    let bytes = segment.postings(term)?;
    let mut postings = Postings::new(&bytes, segment.count());
    postings.by_ref().for_each(|(local, weight)| work(local, weight));
    if postings.is_whole() { Ok(()) } else { Err(Fault::damaged(segment.path(), "postings of it make no sense")) }
}

/// The inverse document frequency, as Qdrant has it: `ln((n - df + 0.5) / (df + 0.5) + 1)`.
fn idf(points: f64, frequency: f64) -> f32 {
    ((points - frequency + 0.5) / (frequency + 0.5) + 1.0).ln() as f32
}
