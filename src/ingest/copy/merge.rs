//! Two stores, walked side by side in the order of their ids.

use std::collections::VecDeque;

use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::document::Passage;
use crate::ingest::run::{STORE_BUDGET, waited_for};
use crate::vectordb::{StoreError, VectorStore};

/// A point as it is read: its BM25 vector is not.
pub(super) type Read = (Uuid, Vec<f32>, Passage);

/// What is to be done for the ids of a stretch.
#[derive(Debug, Default)]
pub(super) struct Step {
    /// Points that the destination is to get.
    pub points: Vec<Read>,
    /// How many it has as they are.
    pub kept: u64,
    /// Points that only it has.
    pub remove: Vec<Uuid>,
    /// Whether there are no ids after these.
    pub last: bool,
}

impl Step {
    /// Whether it does anything to the destination.
    pub fn changes(&self) -> bool {
        !self.points.is_empty() || !self.remove.is_empty()
    }
}

/// The walk. Reads vectors only of what is to be written, and passages only as long as there is something to compare them with.
pub(super) struct Merge<'a> {
    from: &'a dyn VectorStore,
    to: &'a dyn VectorStore,
    stop: &'a CancellationToken,
    /// How many points a page has.
    page: usize,
    here: Side,
    there: Side,
    /// The last of the source's ids that a step was made of.
    passed: Option<Uuid>,
}

impl<'a> Merge<'a> {
    pub fn new(from: &'a dyn VectorStore, to: &'a dyn VectorStore, stop: &'a CancellationToken, page: usize) -> Self {
        Self { from, to, stop, page, here: Side::default(), there: Side::default(), passed: None }
    }

    /// The next step. `None`: it was stopped.
    pub async fn next(&mut self) -> Result<Option<Step>, StoreError> {
        if self.stop.is_cancelled() || !self.there.fill(self.to, self.stop, self.page).await? {
            return Ok(None);
        }
        if self.there.is_over() {
            return self.rest().await;
        }
        if !self.here.fill(self.from, self.stop, self.page).await? {
            return Ok(None);
        }
        let known = match (self.here.known(), self.there.known()) {
            (Some(here), Some(there)) => Some(here.min(there)),
            (here, there) => here.or(there),
        };
        let here = self.here.take(known);
        let Compared { kept, remove, wanted } = compare(&here, self.there.take(known));
        let Some(points) = self.read(&here, &wanted).await? else { return Ok(None) };
        self.passed = here.last().map(|(id, _)| *id).or(self.passed);
        let last = self.here.is_over() && self.there.is_over();
        Ok(Some(Step { points, kept, remove, last }))
    }

    /// Where the destination has nothing more: the source's points as they come.
    async fn rest(&mut self) -> Result<Option<Step>, StoreError> {
        let Some(points) = self.vectors(self.passed, self.page).await? else { return Ok(None) };
        self.passed = points.last().map(|(id, ..)| *id).or(self.passed);
        let last = points.len() < self.page;
        Ok(Some(Step { points, last, ..Step::default() }))
    }

    /// The wanted ones of these passages, with their vectors, which are read from the first to the last of them.
    async fn read(&self, here: &[(Uuid, Passage)], wanted: &[usize]) -> Result<Option<Vec<Read>>, StoreError> {
        let (Some(first), Some(last)) = (wanted.first(), wanted.last()) else { return Ok(Some(Vec::new())) };
        let id = |place: usize| here.get(place).map(|(id, _)| *id);
        let before = first.checked_sub(1).and_then(id).or(self.passed);
        let Some(mut points) = self.vectors(before, last - first + 1).await? else { return Ok(None) };
        let wanted: Vec<Uuid> = wanted.iter().copied().filter_map(id).collect();
        points.retain(|(id, ..)| wanted.binary_search(id).is_ok());
        Ok(Some(points))
    }

    async fn vectors(&self, after: Option<Uuid>, limit: usize) -> Result<Option<Vec<Read>>, StoreError> {
        waited_for(self.stop, STORE_BUDGET, || self.from.scroll_points(after, limit)).await
    }
}

/// A store's passages in the order of their ids: a page that was read, and where to read on.
#[derive(Debug, Default)]
struct Side {
    page: VecDeque<(Uuid, Passage)>,
    after: Option<Uuid>,
    ended: bool,
}

impl Side {
    /// Reads on where nothing is left to take. `false`: it was stopped.
    async fn fill(&mut self, store: &dyn VectorStore, stop: &CancellationToken, limit: usize) -> Result<bool, StoreError> {
        if !self.page.is_empty() || self.ended {
            return Ok(true);
        }
        let Some(page) = waited_for(stop, STORE_BUDGET, || store.scroll(self.after, limit)).await? else { return Ok(false) };
        self.ended = page.len() < limit;
        self.after = page.last().map(|(id, _)| *id).or(self.after);
        self.page = page.into();
        Ok(true)
    }

    /// Up to which id all that the store has was read; `None`: to its end.
    fn known(&self) -> Option<Uuid> {
        self.page.back().map(|(id, _)| *id).filter(|_| !self.ended)
    }

    fn is_over(&self) -> bool {
        self.page.is_empty() && self.ended
    }

    /// Takes all up to an id, that one included.
    fn take(&mut self, last: Option<Uuid>) -> Vec<(Uuid, Passage)> {
        let count = last.map_or(self.page.len(), |last| self.page.partition_point(|(id, _)| *id <= last));
        self.page.drain(..count).collect()
    }
}

/// How two stores differ in a stretch of ids.
#[derive(Debug, Default)]
struct Compared {
    /// How many both have alike.
    kept: u64,
    /// What only the destination has.
    remove: Vec<Uuid>,
    /// The places of what it does not have, or has otherwise.
    wanted: Vec<usize>,
}

/// Compares what two stores have in a stretch of ids, each in their order.
fn compare(here: &[(Uuid, Passage)], there: Vec<(Uuid, Passage)>) -> Compared {
    let mut compared = Compared::default();
    let mut there = there.into_iter().peekable();
    for (place, (id, passage)) in here.iter().enumerate() {
        while let Some((gone, _)) = there.next_if(|(other, _)| other < id) {
            compared.remove.push(gone);
        }
        match there.next_if(|(other, _)| other == id) {
            Some((_, found)) if found == *passage => compared.kept += 1,
            _ => compared.wanted.push(place),
        }
    }
    compared.remove.extend(there.map(|(id, _)| id));
    compared
}
