//! Searching one state of the index.
//!
//! By direction: all vectors are compared in 8 bits, on all cores; twice as many as are wanted and some are then compared in half
//! precision. What no segment has yet is compared in half precision at once. By words: term at a time, with the document frequencies of the
//! rows that count, so that scores do not depend on what was deleted or merged.

use std::sync::Arc;

use super::best::{Best, Scored};
use super::fault::Fault;
use super::filter::Allowed;
use super::postings::{Postings, from_half};
use super::scan::{Place, Scan, Scanner};
use super::segment::{Segment, Term};
use super::snapshot::Snapshot;
use super::vectors::Asked;
use super::writer::{ANY, from_terms};
use crate::document::SparseVector;
use crate::vectordb::Query;

/// Rows that are compared in half precision beyond twice as many as are wanted.
const SPARE: usize = 50;

/// A search in one state of the index.
pub(super) struct Search<'a> {
    pub(super) snapshot: &'a Snapshot<'a>,
    /// `None`: all rows.
    pub(super) allowed: Option<Allowed>,
    pub(super) scanner: &'a Scanner,
}

impl Search<'_> {
    /// The best rows, best first.
    pub(super) fn best(&self, query: &Query, limit: usize) -> Result<Vec<Scored>, Fault> {
        match query {
            Query::Dense(vector) => self.dense(vector, limit),
            Query::Sparse(words) => self.sparse(words, limit),
        }
    }

    pub(super) fn dense(&self, vector: &[f32], limit: usize) -> Result<Vec<Scored>, Fault> {
        let asked = Asked::new(vector);
        let mut fresh = Best::new(limit);
        self.each_fresh(|row, half, _| {
            fresh.add(asked.cosine(half), row);
            Ok(())
        })?;
        let (segments, amount) = (self.snapshot.segments.clone(), limit.saturating_mul(2).saturating_add(SPARE));
        // Its own copy of the question: the scan may be another thread's.
        let scan = Scan { asked: Asked::new(vector), segments, living: self.living()?, amount };
        let mut candidates = self.scanner.scan(scan)?;
        // In the order in which they are in the files.
        candidates.sort_unstable_by_key(|place| (place.segment, place.local));
        let mut sealed = Best::new(limit);
        for place in candidates {
            let Some(segment) = self.snapshot.segments.get(place.segment) else { continue };
            sealed.add(asked.cosine(&segment.half(place.local)?), place.pack());
        }
        self.with_fresh(sealed, fresh)
    }

    /// The best of places in segments, which are in the order of their rows, and of rows that no segment has yet.
    fn with_fresh(&self, sealed: Best, mut fresh: Best) -> Result<Vec<Scored>, Fault> {
        for scored in sealed.into_sorted() {
            let Place { segment, local } = Place::unpack(scored.row);
            let Some(segment) = self.snapshot.segments.get(segment) else { continue };
            fresh.add(scored.score, segment.row(local)?);
        }
        Ok(fresh.into_sorted())
    }

    pub(super) fn sparse(&self, words: &SparseVector, limit: usize) -> Result<Vec<Scored>, Fault> {
        let mut terms: Vec<(u32, f32)> = words.indices.iter().copied().zip(words.values.iter().copied()).collect();
        terms.retain(|(id, _)| *id != ANY);
        terms.sort_by_key(|(id, _)| *id);
        terms.dedup_by_key(|(id, _)| *id);
        // Counted, and worth nothing.
        terms.push((ANY, 0.0));
        // How many rows that count have each term.
        let mut frequencies = vec![0_u64; terms.len()];
        let mut places: Vec<Vec<Option<Term>>> = Vec::new();
        for (segment, alive) in self.snapshot.segments.iter().zip(&self.snapshot.alive) {
            let found = terms.iter().map(|(id, _)| segment.term(*id)).collect::<Result<Vec<_>, _>>()?;
            for (term, frequency) in found.iter().zip(&mut frequencies) {
                *frequency += match (term, alive) {
                    (None, _) => 0,
                    (Some(term), None) => u64::from(term.count),
                    (Some(term), Some(alive)) => {
                        let mut living = 0;
                        each_posting(segment, *term, |local, _| living += u64::from(lives(alive, local)))?;
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
            has.retain(|(at, _)| *at + 1 < terms.len());
            if !has.is_empty() && self.allows(row) {
                fresh.push((row, has));
            }
            Ok(())
        })?;
        // As in Qdrant: of the points that have terms at all.
        let points = frequencies.pop().unwrap_or_default() as f64;
        terms.pop();
        let factors: Vec<f32> =
            terms.iter().zip(&frequencies).map(|((_, weight), frequency)| weight * idf(points, *frequency as f64)).collect();

        let mut sealed = Best::new(limit);
        let mut scores = Vec::new();
        for (((at, segment), mut found), living) in self.snapshot.segments.iter().enumerate().zip(places).zip(self.living()?) {
            found.pop();
            if found.iter().any(Option::is_some) {
                score(segment, &found, &factors, &mut scores)?;
                for (local, score) in (0..).zip(&scores) {
                    if *score != 0.0 && living.as_ref().is_none_or(|living| lives(living, local)) {
                        sealed.add(*score, Place { segment: at, local }.pack());
                    }
                }
            }
        }
        let mut best = Best::new(limit);
        for (row, has) in fresh {
            let scores = has.iter().filter_map(|(at, weight)| Some(factors.get(*at)? * from_half(*weight)));
            best.add(scores.sum(), row);
        }
        self.with_fresh(sealed, best)
    }

    /// Which of each segment's rows count and may be found; `None`: all.
    fn living(&self) -> Result<Vec<Option<Arc<[bool]>>>, Fault> {
        let alive = &self.snapshot.alive;
        if self.allowed.is_none() {
            return Ok(alive.clone());
        }
        let living = self.snapshot.segments.iter().zip(alive).map(|(segment, alive)| {
            let rows = segment.rows()?.into_iter().zip(0..);
            let may = |(row, local)| self.allows(row) && alive.as_ref().is_none_or(|alive| lives(alive, local));
            Ok(Some(rows.map(may).collect()))
        });
        living.collect()
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

fn lives(living: &[bool], local: u32) -> bool {
    living.get(local as usize).is_some_and(|lives| *lives)
}

/// Adds up what the terms make of a segment's rows: a score for each.
fn score(segment: &Segment, terms: &[Option<Term>], factors: &[f32], scores: &mut Vec<f32>) -> Result<(), Fault> {
    scores.clear();
    scores.resize(segment.count() as usize, 0.0);
    for (term, factor) in terms.iter().zip(factors) {
        let Some(term) = term else { continue };
        each_posting(segment, *term, |local, weight| {
            if let Some(score) = scores.get_mut(local as usize) {
                *score += factor * from_half(weight);
            }
        })?;
    }
    Ok(())
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
