//! Ingests that somebody asked for. One lives on when its request has ended; of one pipeline, one runs at a time and the others wait.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::SystemTime;

use futures_util::Stream;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::background::Background;
use super::fault::Fault;
use crate::error::{Error, reason};
use crate::ingest::Options;
use crate::ingest::clocks::Times;
use crate::ingest::limit::{Limit, Recent};
use crate::ingest::report::{Outcome, Report, Stage};
use crate::ingest::wire::{self, Line};
use crate::providers::Price;
use crate::runtime::{Runtime, Unfinished, is_busy};

/// Jobs that are remembered, the oldest that have ended being forgotten first.
const KEPT: usize = 64;
/// Jobs that wait or run.
const UNDER_WAY: usize = 16;
/// Lines of a job that are kept for who comes later; of more, the first are forgotten.
const LINES: usize = 1000;
/// How often its progress is told.
const TICK: std::time::Duration = std::time::Duration::from_secs(1);

/// How long another program that is writing is waited for at a time.
const BUSY: std::time::Duration = std::time::Duration::from_secs(1);

/// All jobs.
#[derive(Default)]
pub(super) struct Jobs {
    known: Mutex<VecDeque<Arc<Job>>>,
    /// A pipeline's jobs take turns.
    turns: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
    /// What those have done that are forgotten: a counter never falls.
    forgotten: Mutex<Work>,
    running: TaskTracker,
    /// Where they run, once there has been one.
    background: OnceLock<Background>,
    stop: CancellationToken,
}

/// What is asked of an ingest.
#[derive(Debug, Clone, Copy, Default)]
#[expect(clippy::struct_excessive_bools, reason = "as those of `Options`")]
pub(super) struct JobOptions {
    pub(super) prune: bool,
    pub(super) rebuild: bool,
    pub(super) checksum: bool,
    pub(super) scoped: bool,
}

/// An ingest that was asked for.
pub(super) struct Job {
    id: Uuid,
    pipeline: String,
    asked: SystemTime,
    report: Arc<Report>,
    stop: CancellationToken,
    state: watch::Sender<State>,
    lines: Mutex<Lines>,
    /// What limits it.
    recent: Mutex<Recent>,
    price: Option<Price>,
}

/// Where a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Phase {
    /// Another of the same pipeline is running.
    Waiting,
    Running,
    /// It has ended with a summary.
    Done,
    /// It was stopped; what was in flight is stored.
    Interrupted,
    /// It could not be done.
    Failed,
}

#[derive(Debug, Clone, Copy)]
struct State {
    phase: Phase,
    /// How many lines there have been.
    lines: u64,
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
    pub(super) ended: u64,
    pub(super) broken: u64,
    pub(super) time: Times,
}

impl Work {
    fn add(&mut self, job: &Job) {
        let Report { documents, chunks, embeddings, .. } = &*job.report;
        self.added += documents.added.get();
        self.changed += documents.changed.get();
        self.unchanged += documents.unchanged.get();
        self.failed += documents.failed.get();
        self.made += chunks.made.get();
        self.upserted += chunks.upserted.get();
        self.embedded += embeddings.embedded.get();
        self.cached += embeddings.cache_hits.get();
        self.time = self.time.and(&job.report.clocks.times());
        self.tokens += embeddings.tokens.get();
    }
}

#[derive(Default)]
struct Lines {
    /// Those that are kept, the last of all.
    kept: VecDeque<Value>,
    /// How many there have been.
    all: u64,
}

/// What is told of a job.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct JobView {
    #[serde(rename = "type")]
    kind: &'static str,
    id: Uuid,
    pipeline: String,
    state: Phase,
    /// Seconds since the Unix epoch.
    asked: u64,
    progress: wire::Progress,
    /// What its embeddings and contexts have cost so far, in US dollars, where the price is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    cost_usd: Option<f64>,
    /// Where its time has gone.
    time: Times,
    /// The last line: a summary or an error, once it has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    end: Option<Value>,
}

impl Jobs {
    /// Begins ingests, or has them wait for their turn: all of them or none.
    pub(super) fn begin(&self, asked: Vec<(Arc<Runtime>, JobOptions)>) -> Result<Vec<Arc<Job>>, Fault> {
        let mut known = lock(&self.known);
        if self.stop.is_cancelled() {
            return Err(Fault::stopping());
        }
        if known.iter().filter(|job| !job.has_ended()).count() + asked.len() > UNDER_WAY {
            return Err(Fault::busy());
        }
        let begun: Vec<_> = asked.into_iter().map(|(runtime, options)| (self.job(&runtime), runtime, options)).collect();
        let jobs: Vec<Arc<Job>> = begun.iter().map(|(job, ..)| Arc::clone(job)).collect();
        known.extend(jobs.iter().map(Arc::clone));
        while known.len() > KEPT {
            let Some(oldest) = known.iter().position(|job| job.has_ended()) else { break };
            if let Some(job) = known.remove(oldest) {
                lock(&self.forgotten).add(&job);
            }
        }
        drop(known);
        let background = self.background.get_or_init(Background::new);
        for (job, runtime, options) in begun {
            let turn = Arc::clone(lock(&self.turns).entry(job.pipeline.clone()).or_default());
            background.spawn(&self.running, run(job, runtime, options, turn));
        }
        Ok(jobs)
    }

    fn job(&self, runtime: &Runtime) -> Arc<Job> {
        Arc::new(Job {
            id: Uuid::from_u128(rand::random()),
            pipeline: runtime.plan.name.clone(),
            asked: SystemTime::now(),
            report: Arc::default(),
            stop: self.stop.child_token(),
            state: watch::Sender::new(State { phase: Phase::Waiting, lines: 0 }),
            lines: Mutex::default(),
            recent: Mutex::default(),
            price: runtime.embed_price(),
        })
    }

    pub(super) fn get(&self, id: Uuid) -> Option<Arc<Job>> {
        lock(&self.known).iter().find(|job| job.id == id).cloned()
    }

    /// All that are remembered, the oldest first.
    pub(super) fn all(&self) -> Vec<JobView> {
        lock(&self.known).iter().map(|job| job.view()).collect()
    }

    /// What all have done so far, and where those are that are remembered.
    pub(super) fn work(&self) -> Work {
        // In the same order as where one is forgotten, so that none is counted twice or never.
        let known = lock(&self.known);
        let mut work = *lock(&self.forgotten);
        for job in &*known {
            work.add(job);
            match job.state.borrow().phase {
                Phase::Waiting => work.waiting += 1,
                Phase::Running => work.running += 1,
                Phase::Done | Phase::Interrupted => work.ended += 1,
                Phase::Failed => work.broken += 1,
            }
        }
        work
    }

    /// What limits those that run now: the same as each of them tells.
    pub(super) fn limits(&self) -> Vec<Limit> {
        let known = lock(&self.known);
        let running = known.iter().filter(|job| job.state.borrow().phase == Phase::Running);
        running.filter_map(|job| job.report.limit(&mut lock(&job.recent))).collect()
    }

    /// Has all of them end, and takes no more.
    pub(super) fn stop(&self) {
        self.stop.cancel();
        self.running.close();
    }

    /// Returns when all have ended.
    pub(super) async fn ended(&self) {
        self.running.wait().await;
    }
}

impl Job {
    fn has_ended(&self) -> bool {
        !matches!(self.state.borrow().phase, Phase::Waiting | Phase::Running)
    }

    /// Has it finish what is in flight and end.
    pub(super) fn cancel(&self) {
        self.stop.cancel();
    }

    /// Returns when it has ended.
    pub(super) async fn ended(&self) {
        let ended = |state: &State| !matches!(state.phase, Phase::Waiting | Phase::Running);
        // The sender is its own.
        let _ = self.state.subscribe().wait_for(ended).await;
    }

    pub(super) fn view(&self) -> JobView {
        let asked = self.asked.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let end = self.has_ended().then(|| lock(&self.lines).kept.back().cloned()).flatten();
        let mut progress = wire::Progress::limited(&self.report, &mut lock(&self.recent));
        if self.has_ended() {
            progress.limit = None;
        }
        if let Some(seconds) = end.as_ref().and_then(|end| end.get("seconds")?.as_f64()) {
            // The report's clock goes on.
            progress.seconds = seconds;
        }
        JobView {
            kind: "job",
            id: self.id,
            pipeline: self.pipeline.clone(),
            state: self.state.borrow().phase,
            asked,
            progress,
            cost_usd: self.price.and_then(|price| {
                let embedded = price.cost(self.report.embeddings.tokens.get(), 0)?;
                Some(embedded + self.report.contexts.cost_usd()?)
            }),
            time: self.report.clocks.times(),
            end,
        }
    }

    fn tell(&self, line: &impl Serialize) {
        let Ok(line) = serde_json::to_value(line) else { return };
        let all = {
            let mut lines = lock(&self.lines);
            lines.kept.push_back(line);
            if lines.kept.len() > LINES {
                lines.kept.pop_front();
            }
            lines.all += 1;
            lines.all
        };
        self.state.send_modify(|state| state.lines = all);
    }

    fn enter(&self, phase: Phase) {
        self.state.send_modify(|state| state.phase = phase);
    }

    /// Lines from number `from` on that are kept, and the number of the next.
    fn since(&self, from: u64) -> (Vec<Value>, u64) {
        let lines = lock(&self.lines);
        let first = lines.all - lines.kept.len() as u64;
        let skipped = usize::try_from(from.saturating_sub(first)).unwrap_or(usize::MAX);
        (lines.kept.iter().skip(skipped).cloned().collect(), lines.all)
    }

    /// How far it is, and how much of each stage goes on at once: the fullest is the one that limits it.
    fn progress(&self) -> Option<Value> {
        let progress = wire::Progress::limited(&self.report, &mut lock(&self.recent));
        let mut progress = serde_json::to_value(Line::Progress(progress)).ok()?;
        let busy = self.report.load().into_iter().filter(|(stage, load)| *stage != Stage::Context || *load > 0.0);
        let busy = busy.map(|(stage, load)| (stage.name().to_owned(), ((load * 100.0).round() / 100.0).into()));
        progress.as_object_mut()?.insert("busy".to_owned(), Value::Object(busy.collect()));
        Some(progress)
    }

    /// What it has told that is kept, and what it tells from now on, with its progress once a second; ends when it does.
    pub(super) fn follow(self: Arc<Self>) -> impl Stream<Item = Value> + Send {
        async_stream::stream! {
            let mut state = self.state.subscribe();
            let mut ticks = tokio::time::interval(TICK);
            let mut told = 0;
            loop {
                // In this order: what it has told last is seen after it has ended.
                let ended = !matches!(state.borrow_and_update().phase, Phase::Waiting | Phase::Running);
                let (lines, next) = self.since(told);
                told = next;
                for line in lines {
                    yield line;
                }
                if ended {
                    return;
                }
                tokio::select! {
                    _ = state.changed() => {}
                    _ = ticks.tick() => if let Some(progress) = self.progress() {
                        yield progress;
                    },
                }
            }
        }
    }
}

async fn run(job: Arc<Job>, runtime: Arc<Runtime>, options: JobOptions, turn: Arc<tokio::sync::Mutex<()>>) {
    let _turn = tokio::select! {
        turn = turn.lock() => turn,
        () = job.stop.cancelled() => {
            job.report.clocks.end();
            job.tell(&crate::ingest::report::IngestSummary::interrupted(&job.pipeline, job.report.elapsed()));
            return job.enter(Phase::Interrupted);
        }
    };
    job.enter(Phase::Running);
    let (failing, noticing) = (Arc::clone(&job), Arc::clone(&job));
    let JobOptions { prune, rebuild, checksum, scoped } = options;
    let options = Options {
        prune,
        rebuild,
        checksum,
        scoped,
        observer: Arc::new(move |failure| failing.tell(&Line::from(failure))),
        listener: Arc::new(move |source, message| noticing.tell(&Line::Notice { source, message })),
    };
    let ran = loop {
        let (runtime, options, report, stop) =
            (Arc::clone(&runtime), options.clone(), Arc::clone(&job.report), job.stop.clone());
        // A run that panics has failed, and the service goes on.
        let ran = tokio::spawn(async move { runtime.ingest(options, report, stop).await }).await;
        let ran = ran.unwrap_or_else(|error| Err(Error::worker("ingest", error)));
        match ran {
            // A command that began before the service did.
            Err(error) if is_busy(&error) && !job.stop.is_cancelled() => {
                tracing::info!(pipeline = job.pipeline, "{}: waiting for it", reason(&error));
                tokio::select! {
                    () = tokio::time::sleep(BUSY) => {}
                    () = job.stop.cancelled() => {}
                }
            }
            ran => break ran,
        }
    };
    // However it ended, its clocks are not to go on.
    job.report.clocks.close();
    job.report.clocks.end();
    match ran {
        Ok(summary) => {
            job.tell(&summary);
            job.enter(if summary.outcome == Outcome::Interrupted { Phase::Interrupted } else { Phase::Done });
        }
        Err(error) => {
            tracing::warn!(pipeline = job.pipeline, "{}", reason(&error));
            job.tell(&Unfinished { error: crate::answer::wire::Line::from(&error), spent: job.report.spent() });
            job.enter(Phase::Failed);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::clocks::{Doing, Place, Step};
    use crate::ingest::limit::Cause;
    use crate::ingest::report::Stage;

    #[tokio::test(start_paused = true)]
    async fn what_limits_an_ingest_is_told_in_one_way() {
        let job = Arc::new(Job {
            id: Uuid::nil(),
            pipeline: "docs".into(),
            asked: SystemTime::now(),
            report: Arc::default(),
            stop: CancellationToken::new(),
            state: watch::Sender::new(State { phase: Phase::Running, lines: 0 }),
            lines: Mutex::default(),
            recent: Mutex::default(),
            price: None,
        });
        let jobs = Jobs::default();
        lock(&jobs.known).push_back(Arc::clone(&job));
        let clocks = &job.report.clocks;
        clocks.begin(|step| if step == Step::List { 1 } else { 8 });
        let _listing = Place::take(clocks, Step::List);
        let sent: Vec<Place> = (0..5).map(|_| Place::take(clocks, Step::Embed)).collect();
        for place in &sent {
            place.does(Doing::Wire);
        }
        tokio::time::advance(std::time::Duration::from_secs(3)).await;
        // Five times as much goes on in another stage, which waits for the list all the same.
        let limits = jobs.limits();
        assert_eq!(limits.first().map(|limit| (limit.cause, limit.stage)), Some((Cause::Listing, Some(Stage::Read))));
        assert_eq!(job.view().progress.limit, limits.first().copied());
        job.enter(Phase::Done);
        assert!(jobs.limits().is_empty());
    }
}
