//! Where rows stand: every row that may be found is compared, and those that fit better are counted.

use std::cmp::Ordering;
use std::collections::HashSet;

use super::{Search, Worded, lives, terms};
use crate::vectordb::Query;
use crate::vectordb::embedded::fault::Fault;
use crate::vectordb::embedded::segment::Part;
use crate::vectordb::embedded::vectors::Asked;

/// Where the best of some rows stands.
pub(in crate::vectordb::embedded) struct Stands {
    /// Its score.
    pub(in crate::vectordb::embedded) score: f32,
    /// Rows that fit better.
    pub(in crate::vectordb::embedded) above: u64,
    /// Rows that fit as well, itself among them.
    pub(in crate::vectordb::embedded) equal: Vec<i64>,
}

impl Search<'_> {
    /// Where the best of these rows stands; `None` where the ranking has none of them. Takes two looks, and memory for what is
    /// equal alone.
    pub(in crate::vectordb::embedded) fn stands(&self, query: &Query, own: &HashSet<i64>) -> Result<Option<Stands>, Fault> {
        let mut bar: Option<f32> = None;
        self.each(query, Some(own), |_, score| {
            if bar.is_none_or(|bar| score.total_cmp(&bar).is_gt()) {
                bar = Some(score);
            }
        })?;
        let Some(bar) = bar else { return Ok(None) };
        let mut stands = Stands { score: bar, above: 0, equal: Vec::new() };
        self.each(query, None, |row, score| match score.total_cmp(&bar) {
            Ordering::Greater => stands.above += 1,
            Ordering::Equal => stands.equal.push(row),
            Ordering::Less => {}
        })?;
        Ok(Some(stands))
    }

    /// Each row that the ranking has, of `only` these where that is said, with its score.
    fn each(&self, query: &Query, only: Option<&HashSet<i64>>, mut each: impl FnMut(i64, f32)) -> Result<(), Fault> {
        match query {
            Query::Dense(vector) => self.each_near(&Asked::new(vector), only, each),
            Query::Sparse(words) => {
                let terms = terms(words);
                let fresh = self.fresh(None, &terms)?;
                let mut sealed = Vec::new();
                self.score_words(&terms, fresh, |scored| match scored {
                    Worded::Sealed(place, score) => sealed.push((place, score)),
                    Worded::Fresh(row, score) => {
                        if only.is_none_or(|only| only.contains(&row)) {
                            each(row, score);
                        }
                    }
                })?;
                let mut rows: (usize, Vec<i64>) = (usize::MAX, Vec::new());
                for (place, score) in sealed {
                    if rows.0 != place.segment {
                        let Some(segment) = self.snapshot.segments.get(place.segment) else { continue };
                        rows = (place.segment, segment.rows()?);
                    }
                    let Some(row) = rows.1.get(place.local as usize) else { continue };
                    if only.is_none_or(|only| only.contains(row)) {
                        each(*row, score);
                    }
                }
                Ok(())
            }
        }
    }

    /// Each row that may be found, by its vector in half precision: by what a search compares in the end.
    fn each_near(&self, asked: &Asked, only: Option<&HashSet<i64>>, mut each: impl FnMut(i64, f32)) -> Result<(), Fault> {
        for (segment, living) in self.snapshot.segments.iter().zip(self.living()?) {
            let rows = segment.rows()?;
            let wanted = |row: &i64, local: u32| {
                only.is_none_or(|only| only.contains(row)) && living.as_ref().is_none_or(|living| lives(living, local))
            };
            if only.is_some() {
                for (row, local) in rows.iter().zip(0..).filter(|(row, local)| wanted(row, *local)) {
                    each(*row, asked.cosine(&segment.half(local)?));
                }
                continue;
            }
            let (mut halves, width) = (segment.stream(Part::Halves), segment.width_of_halves());
            for (row, local) in rows.iter().zip(0..) {
                let Some(half) = halves.take(width)? else { break };
                if wanted(row, local) {
                    each(*row, asked.cosine(half));
                }
            }
        }
        let database = self.snapshot.database;
        let fault = |error| database.fault(error);
        let mut statement = database.connection.prepare_cached("SELECT row, half FROM fresh").map_err(fault)?;
        let mut rows = statement.query([]).map_err(fault)?;
        while let Some(row) = rows.next().map_err(fault)? {
            let read = || -> rusqlite::Result<(i64, _)> { Ok((row.get(0)?, row.get_ref(1)?)) };
            let (number, half) = read().map_err(fault)?;
            if self.allows(number) && only.is_none_or(|only| only.contains(&number)) {
                each(number, asked.cosine(half.as_blob().map_err(|error| fault(error.into()))?));
            }
        }
        Ok(())
    }
}
