//! Searching one state of the index.
//!
//! By direction: all vectors are compared in 8 bits, on all cores; twice as many as are wanted and some are then compared in half
//! precision. What no segment has yet is compared in half precision at once. By words: term at a time, with the document frequencies of the
//! rows that count, so that scores do not depend on what was deleted or merged.

mod stands;

use std::cell::OnceCell;
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
use crate::vectordb::bm25::idf;
use crate::vectordb::{Frequencies, Query, TwoRankings};

/// Rows that are compared in half precision beyond twice as many as are wanted.
const SPARE: usize = 50;
/// Equal rows of which the ids decide, as [`Search::best`] has them.
pub(super) const EQUALS_BY_WORDS: usize = 256;
pub(super) const EQUALS_BY_DIRECTION: usize = SPARE;

/// A question's terms as a segment has them.
type Terms = Vec<Option<Term>>;

/// A search in one state of the index.
pub(super) struct Search<'a> {
    snapshot: &'a Snapshot<'a>,
    /// `None`: all rows.
    allowed: Option<Allowed>,
    scanner: &'a Scanner,
    living: OnceCell<Vec<Option<Arc<[bool]>>>>,
}

impl<'a> Search<'a> {
    pub(super) fn new(snapshot: &'a Snapshot<'a>, allowed: Option<Allowed>, scanner: &'a Scanner) -> Self {
        Self { snapshot, allowed, scanner, living: OnceCell::new() }
    }

    /// The best rows, best first, equal ones in the order in which they were written; and some more, that those among which the last is
    /// one of equals are all here as far as their ids decide: see [`equals`].
    pub(super) fn best(&self, query: &Query, limit: usize) -> Result<Vec<Scored>, Fault> {
        match query {
            Query::Dense(vector) => {
                let asked = Asked::new(vector);
                let fresh = self.fresh(Some((&asked, limit + EQUALS_BY_DIRECTION)), &[])?;
                self.dense(asked, limit, fresh.near)
            }
            Query::Sparse(words) => {
                let terms = terms(words);
                let fresh = self.fresh(None, &terms)?;
                self.sparse(&terms, limit, fresh)
            }
        }
    }

    /// The best rows by either, as [`Self::best`] has them; what no segment has yet is read once for both.
    pub(super) fn both(&self, two: &TwoRankings) -> Result<[Vec<Scored>; 2], Fault> {
        let (asked, terms) = (Asked::new(&two.dense), terms(&two.sparse));
        let mut fresh = self.fresh(Some((&asked, two.depth + EQUALS_BY_DIRECTION)), &terms)?;
        let near = std::mem::replace(&mut fresh.near, Best::new(0));
        Ok([self.dense(asked, two.depth, near)?, self.sparse(&terms, two.depth, fresh)?])
    }

    fn dense(&self, asked: Asked, limit: usize, fresh: Best) -> Result<Vec<Scored>, Fault> {
        let (segments, amount) = (self.snapshot.segments.clone(), limit.saturating_mul(2).saturating_add(SPARE));
        let asked = Arc::new(asked);
        let scan = Scan { asked: Arc::clone(&asked), segments, living: self.living()?.to_vec(), amount };
        let mut candidates = self.scanner.scan(scan)?;
        // In the order in which they are in the files.
        candidates.sort_unstable_by_key(|place| (place.segment, place.local));
        let mut sealed = Best::new(limit + EQUALS_BY_DIRECTION);
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

    /// By terms with their weights in the question, ascending.
    fn sparse(&self, terms: &[(u32, f32)], limit: usize, fresh: Fresh) -> Result<Vec<Scored>, Fault> {
        let enough = limit + EQUALS_BY_WORDS;
        let (mut sealed, mut best) = (Best::new(enough), Best::new(enough));
        self.score_words(terms, fresh, |scored| match scored {
            Worded::Sealed(place, score) => sealed.add(score, place.pack()),
            Worded::Fresh(row, score) => best.add(score, row),
        })?;
        self.with_fresh(sealed, best)
    }

    /// What the terms make of each row that has some of them and may be found: those of segments first, in the order of their rows.
    fn score_words(&self, terms: &[(u32, f32)], fresh: Fresh, mut each: impl FnMut(Worded)) -> Result<(), Fault> {
        let (mut frequencies, places) = self.count_words(terms, fresh.frequencies)?;
        // As in Qdrant: of the points that have terms at all.
        let points = frequencies.pop().unwrap_or_default() as f64;
        let factors: Vec<f32> =
            terms.iter().zip(&frequencies).map(|((_, weight), frequency)| weight * idf(points, *frequency as f64)).collect();

        let mut scores = Vec::new();
        for (((at, segment), mut found), living) in self.snapshot.segments.iter().enumerate().zip(places).zip(self.living()?) {
            found.pop();
            if found.iter().any(Option::is_some) {
                score(segment, &found, &factors, &mut scores)?;
                for (local, score) in (0..).zip(&scores) {
                    if *score != 0.0 && living.as_ref().is_none_or(|living| lives(living, local)) {
                        each(Worded::Sealed(Place { segment: at, local }, *score));
                    }
                }
            }
        }
        for (row, has) in fresh.having {
            let scores = has.iter().filter_map(|(at, weight)| Some(factors.get(*at)? * from_half(*weight)));
            each(Worded::Fresh(row, scores.sum()));
        }
        Ok(())
    }

    /// In how many rows that count each of these terms is.
    pub(super) fn frequencies(&self, words: &SparseVector) -> Result<Frequencies, Fault> {
        let terms = terms(words);
        let (mut of, _) = self.count_words(&terms, self.fresh(None, &terms)?.frequencies)?;
        Ok(Frequencies { points: of.pop().unwrap_or_default(), of })
    }

    /// In how many rows that count each term is, of which those that no segment has yet are counted; and where it is in each segment.
    fn count_words(&self, terms: &[(u32, f32)], fresh: Vec<u64>) -> Result<(Vec<u64>, Vec<Terms>), Fault> {
        let mut frequencies = fresh;
        let mut places: Vec<Terms> = Vec::new();
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
        Ok((frequencies, places))
    }

    /// Which of each segment's rows count and may be found; `None`: all.
    fn living(&self) -> Result<&[Option<Arc<[bool]>>], Fault> {
        let alive = &self.snapshot.alive;
        if self.allowed.is_none() {
            return Ok(alive);
        }
        if let Some(living) = self.living.get() {
            return Ok(living);
        }
        let living = self.snapshot.segments.iter().zip(alive).map(|(segment, alive)| {
            let rows = segment.rows()?.into_iter().zip(0..);
            let may = |(row, local)| self.allows(row) && alive.as_ref().is_none_or(|alive| lives(alive, local));
            Ok(Some(rows.map(may).collect()))
        });
        let living = living.collect::<Result<Vec<_>, _>>()?;
        Ok(self.living.get_or_init(|| living))
    }

    fn allows(&self, row: i64) -> bool {
        self.allowed.as_ref().is_none_or(|allowed| allowed.contains(row))
    }

    /// Reads every row that no segment has yet: compares those that may be found with what is asked, if anything, and gathers those
    /// that have some of the terms.
    fn fresh(&self, asked: Option<(&Asked, usize)>, terms: &[(u32, f32)]) -> Result<Fresh, Fault> {
        let near = Best::new(asked.map_or(0, |(_, limit)| limit));
        let mut fresh = Fresh { near, frequencies: vec![0; terms.len()], having: Vec::new() };
        let database = self.snapshot.database;
        let fault = |error| database.fault(error);
        let mut statement = database.connection.prepare_cached("SELECT row, half, terms FROM fresh").map_err(fault)?;
        let mut rows = statement.query([]).map_err(fault)?;
        while let Some(row) = rows.next().map_err(fault)? {
            let read = || -> rusqlite::Result<_> { Ok((row.get(0)?, row.get_ref(1)?, row.get_ref(2)?)) };
            let (number, half, kept) = read().map_err(fault)?;
            let allowed = self.allows(number);
            if let Some((asked, _)) = asked.filter(|_| allowed) {
                fresh.near.add(asked.cosine(half.as_blob().map_err(|error| fault(error.into()))?), number);
            }
            if terms.is_empty() {
                continue;
            }
            let mut has = Vec::new();
            for (id, weight) in from_terms(kept.as_blob().map_err(|error| fault(error.into()))?) {
                if let Ok(at) = terms.binary_search_by_key(&id, |(id, _)| *id) {
                    has.push((at, weight));
                }
            }
            for (at, _) in &has {
                if let Some(frequency) = fresh.frequencies.get_mut(*at) {
                    *frequency += 1;
                }
            }
            has.retain(|(at, _)| *at + 1 < terms.len());
            if !has.is_empty() && allowed {
                fresh.having.push((number, has));
            }
        }
        Ok(fresh)
    }
}

/// How many equal rows the ids decide between. More than these are taken as they were written, so many at a time: so what comes first
/// is the same however many are wanted, and no more ids are looked at than that.
pub(super) fn equals(query: &Query) -> usize {
    match query {
        Query::Dense(_) => EQUALS_BY_DIRECTION,
        Query::Sparse(_) => EQUALS_BY_WORDS,
    }
}

/// A row with what the terms make of it.
enum Worded {
    /// In a segment.
    Sealed(Place, f32),
    /// That no segment has yet.
    Fresh(i64, f32),
}

/// What was found in the rows that no segment has yet.
struct Fresh {
    /// The nearest.
    near: Best,
    /// How many have each term.
    frequencies: Vec<u64>,
    /// Those that have some: which, with their weights.
    having: Vec<(i64, Vec<(usize, u16)>)>,
}

/// A question's terms, ascending, and at the end what every row with terms has: it is counted, and worth nothing.
fn terms(words: &SparseVector) -> Vec<(u32, f32)> {
    let mut terms: Vec<(u32, f32)> = words.indices.iter().copied().zip(words.values.iter().copied()).collect();
    terms.retain(|(id, _)| *id != ANY);
    terms.sort_by_key(|(id, _)| *id);
    terms.dedup_by_key(|(id, _)| *id);
    terms.push((ANY, 0.0));
    terms
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
