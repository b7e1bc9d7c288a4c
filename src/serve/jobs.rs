//! Ingests that somebody asked for. One lives on when its request has ended; of one pipeline, one runs at a time and the others wait.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::background::Background;
use super::fault::Fault;
use super::job::{Job, JobOptions, JobView, Phase, Turn};
use crate::ingest::clocks::Times;
use crate::ingest::limit::Limit;
use crate::ingest::report::Report;
use crate::runtime::Runtime;

/// Jobs that are remembered, the oldest that have ended being forgotten first.
const KEPT: usize = 64;
/// Jobs that wait or run.
const UNDER_WAY: usize = 16;

/// All jobs.
#[derive(Default)]
pub(super) struct Jobs {
    known: Mutex<VecDeque<Arc<Job>>>,
    turns: Mutex<HashMap<String, Turn>>,
    /// What those have done that are forgotten: a counter never falls.
    forgotten: Mutex<Work>,
    running: TaskTracker,
    /// Where they run, once there has been one.
    background: OnceLock<Background>,
    stop: CancellationToken,
}

/// What all ingests of the service have done so far.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Work {
    pub(super) added: u64,
    pub(super) changed: u64,
    pub(super) unchanged: u64,
    pub(super) failed: u64,
    pub(super) made: u64,
    pub(super) upserted: u64,
    pub(super) embedded: u64,
    pub(super) cached: u64,
    pub(super) tokens: u64,
    pub(super) waiting: u64,
    pub(super) running: u64,
    pub(super) stopping: u64,
    pub(super) ended: u64,
    pub(super) broken: u64,
    pub(super) time: Times,
}

impl Work {
    fn add(&mut self, job: &Job) {
        let Report { documents, chunks, embeddings, .. } = job.report();
        self.added += documents.added.get();
        self.changed += documents.changed.get();
        self.unchanged += documents.unchanged.get();
        self.failed += documents.failed.get();
        self.made += chunks.made.get();
        self.upserted += chunks.upserted.get();
        self.embedded += embeddings.embedded.get();
        self.cached += embeddings.cache_hits.get();
        self.time = self.time.and(&job.report().clocks.times());
        self.tokens += embeddings.tokens.get();
    }
}

impl Jobs {
    /// Begins ingests, or has them wait for their turn: all of them or none.
    pub(super) fn begin(&self, asked: Vec<(Arc<Runtime>, JobOptions)>) -> Result<Vec<Arc<Job>>, Fault> {
        let mut known = lock(&self.known);
        if self.stop.is_cancelled() {
            return Err(Fault::stopping());
        }
        if known.iter().filter(|job| !job.phase().has_ended()).count() + asked.len() > UNDER_WAY {
            return Err(Fault::busy());
        }
        let new = |runtime: &Runtime| Job::new(&runtime.plan.name, runtime.embed_price(), self.stop.child_token());
        let begun: Vec<_> = asked.into_iter().map(|(runtime, options)| (new(&runtime), runtime, options)).collect();
        let jobs: Vec<Arc<Job>> = begun.iter().map(|(job, ..)| Arc::clone(job)).collect();
        known.extend(jobs.iter().map(Arc::clone));
        while known.len() > KEPT {
            let Some(oldest) = known.iter().position(|job| job.phase().has_ended()) else { break };
            if let Some(job) = known.remove(oldest) {
                lock(&self.forgotten).add(&job);
            }
        }
        drop(known);
        let background = self.background.get_or_init(Background::new).handle();
        for (job, runtime, options) in begun {
            let turn = Arc::clone(lock(&self.turns).entry(job.pipeline().to_owned()).or_default());
            let ingest = move |options, report, stop| {
                let runtime = Arc::clone(&runtime);
                async move { runtime.ingest(options, report, stop).await }
            };
            self.running.spawn(job.run(ingest, options, turn, background.clone(), self.running.clone()));
        }
        Ok(jobs)
    }

    pub(super) fn get(&self, id: Uuid) -> Option<Arc<Job>> {
        lock(&self.known).iter().find(|job| job.id() == id).cloned()
    }

    /// All that are remembered, the oldest first.
    pub(super) fn all(&self) -> Vec<JobView> {
        self.latest(None)
    }

    /// The same; of those that have ended, only the last so many.
    pub(super) fn latest(&self, ended: Option<usize>) -> Vec<JobView> {
        let known = lock(&self.known);
        let mut most = ended.unwrap_or(usize::MAX);
        let told = known.iter().rev().map(|job| job.view()).filter(|view| {
            let told = !view.has_ended() || most > 0;
            most -= usize::from(told && view.has_ended());
            told
        });
        let mut told: Vec<_> = told.collect();
        told.reverse();
        told
    }

    /// What all have done so far, and where those are that are remembered.
    pub(super) fn work(&self) -> Work {
        // In the same order as where one is forgotten, so that none is counted twice or never.
        let known = lock(&self.known);
        let mut work = *lock(&self.forgotten);
        for job in &*known {
            work.add(job);
            match job.phase() {
                Phase::Waiting => work.waiting += 1,
                Phase::Running => work.running += 1,
                Phase::Stopping => work.stopping += 1,
                Phase::Done | Phase::Interrupted => work.ended += 1,
                Phase::Failed => work.broken += 1,
            }
        }
        work
    }

    /// What limits those that run now: the same as each of them tells.
    pub(super) fn limits(&self) -> Vec<Limit> {
        lock(&self.known).iter().filter_map(|job| job.limit()).collect()
    }

    /// Has all of them end, and takes no more.
    pub(super) fn stop(&self) {
        // Whoever is about to begin has done so, or sees that it is too late.
        let known = lock(&self.known);
        self.stop.cancel();
        known.iter().for_each(|job| job.cancel());
        self.running.close();
    }

    /// Returns when all have ended.
    pub(super) async fn ended(&self) {
        self.running.wait().await;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
