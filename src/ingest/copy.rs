//! Copies an index from one store into another, vectors included: nothing is embedded again.
//!
//! ```text
//!  from ─ passages by id ─┐
//!                         ├─▶ compare ─▶ read the vectors of what is missing ─▶ make BM25 ─▶ write, delete
//!    to ─ passages by id ─┘
//! ```
//!
//! Both stores are walked in the order of the ids, a page at a time. What the destination has with an equal passage is left
//! alone, what only it has is deleted, the rest is written. So a copy that was cut short is gone on with by copying again, and a
//! copy of what has changed a little writes a little. BM25 vectors are made anew from the passages, as an ingest makes them.
//!
//! Invariant: the destination bears the source's generation only where it holds just what the source does, so that a ledger
//! that knows that generation takes either for the other. From before its first change until then it bears one that no ledger
//! knows.

mod error;
mod merge;
#[cfg(test)]
mod tests;

use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use async_stream::try_stream;
use futures_util::StreamExt as _;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

pub use self::error::CopyError;
use self::merge::{Merge, Step};
use super::point::point;
use super::reconcile::new_generation;
use super::report::Counter;
use super::run::{STARTING, STORE_BUDGET, WRITERS, drained, waited_for};
use crate::document::Point;
use crate::error::Error;
use crate::vectordb::bm25::Bm25;
use crate::vectordb::{IndexMeta, StoreError, VectorStore};

/// Points that are read, compared and written in one go: 4 MB of vectors of 3,072.
const PAGE: usize = 256;

/// What a copy is told.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Replace an index in the destination that was made with something else, or is another home's. It is dropped where its points
    /// are of no use.
    pub replace: bool,
    /// What the home that copies is called in the destination, where that lives outside of it (see [`IndexMeta::home`]).
    pub home: Option<String>,
}

/// What a copy has counted so far.
#[derive(Debug)]
pub struct Progress {
    started: Instant,
    /// Points in the source.
    pub points: Counter,
    /// Points that were written.
    pub written: Counter,
    /// Points that the destination had already.
    pub kept: Counter,
    /// Points that the source does not have, and that are gone from the destination.
    pub removed: Counter,
}

impl Default for Progress {
    fn default() -> Self {
        let [points, written, kept, removed] = Default::default();
        Self { started: Instant::now(), points, written, kept, removed }
    }
}

impl Progress {
    /// Since the copy began.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }
}

/// How a copy ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// The destination holds what the source does, and nothing else.
    Complete,
    /// Somebody wrote to one of the two meanwhile: to be copied again.
    Changed,
    /// Stopped on request: copying again goes on from there.
    Interrupted,
}

/// What a copy has come to. The last line of `push --json` begins with it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", rename = "push")]
pub struct Summary {
    /// What the source is called.
    pub from: String,
    /// What the destination is called.
    pub to: String,
    /// How it ended.
    pub outcome: Outcome,
    /// Wall time.
    pub seconds: f64,
    /// Points in the source.
    pub points: u64,
    /// Points that were written.
    pub written: u64,
    /// Points that the destination had already.
    pub kept: u64,
    /// Points that the source does not have, and that are gone from the destination.
    pub removed: u64,
}

/// Makes the destination hold what the source holds, and nothing else. It is made where it is not there.
///
/// A store that cannot be reached is waited for as in an ingest. Cancelling `stop` takes nothing new, finishes what is in flight
/// (half a minute at most) and returns [`Outcome::Interrupted`]. Dropping the future stops at once. Either way, and after a kill or
/// an error, copying again goes on from there. In memory are a few pages of points, however many there are.
///
/// # Errors
/// There is no index in the source or it does not give its vectors out; the destination is the source itself, was made with
/// something else or is another home's ([`CopyError`]); a store refuses, or stays away.
pub async fn copy(
    from: Arc<dyn VectorStore>,
    to: Arc<dyn VectorStore>,
    bm25: Arc<Bm25>,
    options: Options,
    progress: Arc<Progress>,
    stop: CancellationToken,
) -> Result<Summary, Error> {
    // A token of its own: a copy that stops itself was not interrupted by anyone.
    let stop = stop.child_token();
    Copy { from, to, bm25, options, progress, stop, page: PAGE, failed: OnceLock::new() }.done().await
}

struct Copy {
    from: Arc<dyn VectorStore>,
    to: Arc<dyn VectorStore>,
    bm25: Arc<Bm25>,
    options: Options,
    progress: Arc<Progress>,
    /// Cancelled: take nothing new, finish what is in flight.
    stop: CancellationToken,
    /// Points that are read, compared and written in one go.
    page: usize,
    /// Why it ends early.
    failed: OnceLock<Error>,
}

/// A copy that may begin.
struct Opened {
    /// What the source says of itself.
    source: IndexMeta,
    /// What the destination says of itself.
    says: IndexMeta,
    /// What it is to say in the end.
    goal: IndexMeta,
}

impl Copy {
    async fn done(&self) -> Result<Summary, Error> {
        if self.from.describe() == self.to.describe() {
            return Err(CopyError::Itself { store: self.to.describe() }.into());
        }
        let outcome = self.run().await;
        self.to.release().await;
        Ok(self.summary(outcome?))
    }

    async fn run(&self) -> Result<Outcome, Error> {
        let opened = tokio::select! {
            opened = self.open() => opened?,
            () = self.stop.cancelled() => None,
        };
        let Some(mut opened) = opened else { return Ok(Outcome::Interrupted) };
        let whole = drained(&self.stop, self.carry(&mut opened.says)).await;
        if let Some(error) = self.failed.get() {
            return Err(error.clone());
        }
        if self.progress.written.get() + self.progress.removed.get() > 0 {
            self.to.flush().await?;
        }
        match whole {
            Some(true) => Ok(self.close(opened).await?.unwrap_or(Outcome::Interrupted)),
            _ => Ok(Outcome::Interrupted),
        }
    }

    /// Sees that the one can become a copy of the other. `None`: it was stopped meanwhile.
    async fn open(&self) -> Result<Option<Opened>, Error> {
        let (from, to, stop) = (&self.from, &self.to, &self.stop);
        let Some(source) = waited_for(stop, STARTING, || from.meta()).await? else { return Ok(None) };
        let source = source.ok_or_else(|| StoreError::Missing { store: from.describe() })?;
        if source.version != IndexMeta::VERSION {
            return Err(StoreError::Layout { store: from.describe(), found: source.version, reads: IndexMeta::VERSION }.into());
        }
        let Some(mut there) = waited_for(stop, STARTING, || to.meta()).await? else { return Ok(None) };
        // Whose documents these are the destination says as the source does; of one inside its home, that it is now outside.
        // And in which of its slots it is has nothing to do with the source's.
        let (home, change) =
            (source.home.clone().or_else(|| self.options.home.clone()), there.as_ref().and_then(|meta| meta.change));
        let goal = IndexMeta { home, change, ..source.clone() };
        if let Some(meta) = &there
            && let Err(unfit) = self.fits(meta, &goal)
        {
            if !self.options.replace {
                return Err(unfit.into());
            }
            // Another home's points may be just these.
            if !matches!(unfit, CopyError::Home { .. }) {
                if waited_for(stop, STARTING, || to.drop_index()).await?.is_none() {
                    return Ok(None);
                }
                there = None;
            }
        }
        let says = if let Some(says) = there {
            says
        } else {
            let made = IndexMeta { generation: new_generation(), ..goal.clone() };
            // An attempt whose answer was lost may have made it.
            let create = || async {
                let there = to.meta().await?;
                if there.as_ref() == Some(&made) { Ok(()) } else { to.create(&made).await }
            };
            if waited_for(stop, STARTING, create).await?.is_none() {
                return Ok(None);
            }
            made
        };
        if waited_for(stop, STARTING, || to.acquire()).await?.is_none() {
            return Ok(None);
        }
        let Some(points) = waited_for(stop, STORE_BUDGET, || from.count()).await? else { return Ok(None) };
        self.progress.points.add(points);
        Ok(Some(Opened { source, says, goal }))
    }

    /// Whether points of the source can lie beside those that are there already, and whether those are ours to remove.
    fn fits(&self, there: &IndexMeta, goal: &IndexMeta) -> Result<(), CopyError> {
        let same = |what, found: &dyn ToString, wanted: &dyn ToString| {
            let (store, found, wanted) = (self.to.describe(), found.to_string(), wanted.to_string());
            if found == wanted { Ok(()) } else { Err(CopyError::Other { store, what, found, wanted }) }
        };
        same("layout", &there.version, &goal.version)?;
        same("the model", &there.model, &goal.model)?;
        same("vectors of the width", &there.dimensions, &goal.dimensions)?;
        same("the chunking", &there.chunking, &goal.chunking)?;
        let ours = |home: &String| goal.home.as_ref() == Some(home) || self.options.home.as_ref() == Some(home);
        match &there.home {
            Some(home) if self.options.home.is_some() && !ours(home) => {
                Err(CopyError::Home { store: self.to.describe(), home: home.clone() })
            }
            _ => Ok(()),
        }
    }

    /// Carries over what is missing and removes what is too much. Whether that was all; a reason why not may be in
    /// [`Self::failed`].
    async fn carry(&self, says: &mut IndexMeta) -> bool {
        let mut merge = Merge::new(&*self.from, &*self.to, &self.stop, self.page);
        let steps = try_stream! {
            let mut marked = false;
            while let Some(step) = merge.next().await? {
                if step.changes() && !marked {
                    // From now on it is neither what it was nor what it is to be.
                    let mark = IndexMeta { generation: new_generation(), ..says.clone() };
                    if waited_for(&self.stop, STORE_BUDGET, || self.to.set_meta(&mark)).await?.is_none() {
                        break;
                    }
                    *says = mark;
                    marked = true;
                }
                let last = step.last;
                yield step;
                if last {
                    break;
                }
            }
        };
        let steps = steps.map(|step: Result<Step, StoreError>| async { self.take(step?).await });
        let mut steps = pin!(steps.buffer_unordered(WRITERS));
        let (mut last, mut all) = (false, true);
        while let Some(done) = steps.next().await {
            match done {
                Ok(Some(was_last)) => last |= was_last,
                Ok(None) => all = false,
                Err(error) => {
                    all = false;
                    // The first reason counts; what is in flight is finished.
                    let _ = self.failed.set(error);
                    self.stop.cancel();
                }
            }
        }
        last && all
    }

    /// Takes one step; whether it was the last. `None`: it was given up, as somebody asked to stop.
    async fn take(&self, step: Step) -> Result<Option<bool>, Error> {
        let Step { points, kept, remove, last } = step;
        let (written, removed) = (points.len() as u64, remove.len() as u64);
        if removed > 0 && waited_for(&self.stop, STORE_BUDGET, || self.to.delete(remove.clone())).await?.is_none() {
            return Ok(None);
        }
        self.progress.removed.add(removed);
        let points = Arc::new(points);
        // Made anew for another attempt, which is seldom.
        let upsert = || async {
            match self.points(Arc::clone(&points)).await {
                Ok(points) => self.to.upsert(points).await.map(Ok),
                Err(error) => Ok(Err(error)),
            }
        };
        if written > 0 {
            match waited_for(&self.stop, STORE_BUDGET, upsert).await? {
                Some(upserted) => upserted?,
                None => return Ok(None),
            }
        }
        self.progress.written.add(written);
        self.progress.kept.add(kept);
        Ok(Some(last))
    }

    async fn points(&self, read: Arc<Vec<merge::Read>>) -> Result<Vec<Point>, Error> {
        let bm25 = Arc::clone(&self.bm25);
        let make = move || read.iter().map(|(id, dense, passage)| point(&bm25, *id, dense.clone(), passage.clone())).collect();
        tokio::task::spawn_blocking(make).await.map_err(|error| Error::worker("make BM25 vectors", error))
    }

    /// Gives the destination the source's generation, if nobody wrote to either meanwhile. `None`: it was stopped.
    async fn close(&self, Opened { source, says, goal }: Opened) -> Result<Option<Outcome>, Error> {
        let (stop, passed) = (&self.stop, self.progress.written.get() + self.progress.kept.get());
        for (store, meta) in [(&self.from, &source), (&self.to, &says)] {
            let Some(found) = waited_for(stop, STORE_BUDGET, || store.meta()).await? else { return Ok(None) };
            let Some(points) = waited_for(stop, STORE_BUDGET, || store.count()).await? else { return Ok(None) };
            if found.as_ref() != Some(meta) || points != passed {
                return Ok(Some(Outcome::Changed));
            }
        }
        if says != goal && waited_for(stop, STORE_BUDGET, || self.to.set_meta(&goal)).await?.is_none() {
            return Ok(None);
        }
        Ok(Some(Outcome::Complete))
    }

    fn summary(&self, outcome: Outcome) -> Summary {
        let Progress { points, written, kept, removed, .. } = &*self.progress;
        Summary {
            from: self.from.describe(),
            to: self.to.describe(),
            outcome,
            seconds: self.progress.elapsed().as_secs_f64(),
            points: points.get(),
            written: written.get(),
            kept: kept.get(),
            removed: removed.get(),
        }
    }
}
