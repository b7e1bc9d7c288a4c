//! An ingest that somebody asked for, from its beginning to its end.
//!
//! Its run has threads that yield ([`super::background`]). What is decided of it, such as that it has taken too long to stop, is decided
//! on the service's own threads, which get their time however busy the machine is.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use futures_util::Stream;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};
use uuid::Uuid;

use crate::error::{Error, reason};
use crate::ingest::clocks::Times;
use crate::ingest::limit::{Limit, Recent};
use crate::ingest::report::{IngestSummary, Outcome, Report, Stage};
use crate::ingest::wire::{self, Line};
use crate::ingest::{Options, drained};
use crate::providers::Price;
use crate::runtime::{Unfinished, is_busy};

/// Lines of a job that are kept for who comes later; of more, the first are forgotten.
const LINES: usize = 1000;
/// How often its progress is told.
const TICK: Duration = Duration::from_secs(1);
/// How long another program that is writing is waited for at a time.
const BUSY: Duration = Duration::from_secs(1);

/// A pipeline's jobs take turns.
pub(super) type Turn = Arc<tokio::sync::Mutex<()>>;

/// What is asked of an ingest.
#[derive(Debug, Clone, Copy, Default)]
#[expect(clippy::struct_excessive_bools, reason = "as those of `Options`")]
pub(super) struct JobOptions {
    pub(super) prune: bool,
    pub(super) rebuild: bool,
    pub(super) checksum: bool,
    pub(super) scoped: bool,
    /// Tell what is passed over.
    pub(super) skipped: bool,
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
    /// It was stopped, and finishes what is in flight: in half a minute at most.
    Stopping,
    /// It has ended with a summary.
    Done,
    /// It was stopped; what was in flight is stored, or done again by the next.
    Interrupted,
    /// It could not be done.
    Failed,
}

impl Phase {
    pub(super) fn has_ended(self) -> bool {
        matches!(self, Self::Done | Self::Interrupted | Self::Failed)
    }
}

#[derive(Debug, Clone, Copy)]
struct State {
    phase: Phase,
    /// How many lines there have been.
    lines: u64,
}

#[derive(Default)]
struct Lines {
    /// Those that are kept, the last of all.
    kept: VecDeque<Value>,
    /// How many there have been.
    all: u64,
    /// The last has come: what a run that was given up still says is told nobody.
    over: bool,
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
    /// How much of each stage goes on at once, while it is under way: the fullest is mostly the one that limits it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    busy: BTreeMap<&'static str, f64>,
    /// Where its time has gone.
    time: Times,
    /// How many lines there have been of what it tells besides its progress.
    lines: u64,
    /// The last line: a summary or an error, once it has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    end: Option<Value>,
}

impl JobView {
    pub(super) fn has_ended(&self) -> bool {
        self.state.has_ended()
    }
}

impl Job {
    /// One that waits for its turn. It ends early when `stop` is cancelled.
    pub(super) fn new(pipeline: &str, price: Option<Price>, stop: CancellationToken) -> Arc<Self> {
        Arc::new(Self {
            id: Uuid::from_u128(rand::random()),
            pipeline: pipeline.to_owned(),
            asked: SystemTime::now(),
            report: Arc::new(Report::not_begun()),
            stop,
            state: watch::Sender::new(State { phase: Phase::Waiting, lines: 0 }),
            lines: Mutex::default(),
            recent: Mutex::default(),
            price,
        })
    }

    pub(super) fn id(&self) -> Uuid {
        self.id
    }

    pub(super) fn pipeline(&self) -> &str {
        &self.pipeline
    }

    pub(super) fn report(&self) -> &Report {
        &self.report
    }

    pub(super) fn phase(&self) -> Phase {
        self.state.borrow().phase
    }

    /// What limits it, while it runs.
    pub(super) fn limit(&self) -> Option<Limit> {
        let runs = matches!(self.phase(), Phase::Running | Phase::Stopping);
        runs.then(|| self.report.limit(&mut lock(&self.recent))).flatten()
    }

    /// Has it finish what is in flight and end.
    pub(super) fn cancel(&self) {
        self.pass(|phase| matches!(phase, Phase::Waiting | Phase::Running), Phase::Stopping);
        self.stop.cancel();
    }

    /// Returns when it has ended.
    pub(super) async fn ended(&self) {
        // The sender is its own.
        let _ = self.state.subscribe().wait_for(|state| state.phase.has_ended()).await;
    }

    pub(super) fn view(&self) -> JobView {
        let asked = self.asked.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let phase = self.phase();
        let (end, lines) = {
            let lines = lock(&self.lines);
            (phase.has_ended().then(|| lines.kept.back().cloned()).flatten(), lines.all)
        };
        let mut progress = wire::Progress::limited(&self.report, &mut lock(&self.recent));
        if phase.has_ended() {
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
            state: phase,
            asked,
            progress,
            cost_usd: self.price.and_then(|price| {
                let embedded = price.cost(self.report.embeddings.tokens.get(), 0)?;
                Some(embedded + self.report.contexts.cost_usd()?)
            }),
            busy: if phase.has_ended() { BTreeMap::new() } else { self.busy() },
            time: self.report.clocks.times(),
            lines,
            end,
        }
    }

    fn tell(&self, line: &impl Serialize) {
        self.say(line, false);
    }

    /// Tells its last line, and has ended.
    fn end(&self, line: &impl Serialize, phase: Phase) {
        // However it ended, its clocks are not to go on.
        self.report.clocks.close();
        self.report.clocks.end();
        self.say(line, true);
        self.pass(|_| true, phase);
    }

    fn say(&self, line: &impl Serialize, last: bool) {
        let Ok(line) = serde_json::to_value(line) else { return };
        let all = {
            let mut lines = lock(&self.lines);
            if lines.over {
                return;
            }
            lines.over = last;
            lines.kept.push_back(line);
            if lines.kept.len() > LINES {
                lines.kept.pop_front();
            }
            lines.all += 1;
            lines.all
        };
        self.state.send_modify(|state| state.lines = all);
    }

    /// Enters a phase from one of these.
    fn pass(&self, from: impl FnOnce(Phase) -> bool, to: Phase) {
        self.state.send_if_modified(|state| {
            let passes = from(state.phase);
            if passes {
                state.phase = to;
            }
            passes
        });
    }

    /// Lines from number `from` on that are kept, and the number of the next.
    pub(super) fn since(&self, from: u64) -> (Vec<Value>, u64) {
        let lines = lock(&self.lines);
        let first = lines.all - lines.kept.len() as u64;
        let skipped = usize::try_from(from.saturating_sub(first)).unwrap_or(usize::MAX);
        (lines.kept.iter().skip(skipped).cloned().collect(), lines.all)
    }

    fn busy(&self) -> BTreeMap<&'static str, f64> {
        let busy = self.report.load().into_iter().filter(|(stage, load)| *stage != Stage::Context || *load > 0.0);
        busy.map(|(stage, load)| (stage.name(), (load * 100.0).round() / 100.0)).collect()
    }

    /// How far it is, as a line: with its state, and with how much of each stage goes on at once. None of one that has ended: its last
    /// line says it.
    fn progress(&self) -> Option<Value> {
        let phase = self.phase();
        if phase.has_ended() {
            return None;
        }
        let progress = wire::Progress::limited(&self.report, &mut lock(&self.recent));
        let mut progress = serde_json::to_value(Line::Progress(progress)).ok()?;
        let told = progress.as_object_mut()?;
        told.insert("state".to_owned(), serde_json::to_value(phase).ok()?);
        told.insert("busy".to_owned(), serde_json::to_value(self.busy()).ok()?);
        Some(progress)
    }

    /// What it has told that is kept, and what it tells from now on, with its progress once a second and when its state is another; ends
    /// when it does.
    pub(super) fn follow(self: Arc<Self>) -> impl Stream<Item = Value> + Send {
        async_stream::stream! {
            let mut state = self.state.subscribe();
            let mut ticks = tokio::time::interval(TICK);
            // Whoever was asleep has nothing to catch up on.
            ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            let (mut told, mut phase) = (0, self.phase());
            loop {
                // In this order: what it has told last is seen after it has ended.
                let now = state.borrow_and_update().phase;
                let (lines, next) = self.since(told);
                told = next;
                for line in lines {
                    yield line;
                }
                if now.has_ended() {
                    return;
                }
                if now != phase {
                    phase = now;
                    ticks.reset_immediately();
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

    fn options(self: &Arc<Self>, asked: JobOptions) -> Options {
        let (failing, noticing, skipping) = (Arc::clone(self), Arc::clone(self), Arc::clone(self));
        let JobOptions { prune, rebuild, checksum, scoped, skipped } = asked;
        Options {
            prune,
            rebuild,
            checksum,
            scoped,
            observer: Arc::new(move |failure| failing.tell(&Line::from(failure))),
            listener: Arc::new(move |source, message| noticing.tell(&Line::Notice { source, message })),
            skips: Arc::new(move |uri, reason| {
                if skipped {
                    skipping.tell(&Line::Skipped { uri, reason });
                }
            }),
        }
    }

    /// Of one that was given up: what it had done by then.
    fn cut_short(&self) -> IngestSummary {
        IngestSummary::cut_short(&self.pipeline, &self.report)
    }

    /// Waits for its turn, and has `ingest` done in the background.
    pub(super) async fn run<F>(
        self: Arc<Self>,
        ingest: impl Fn(Options, Arc<Report>, CancellationToken) -> F + Send,
        asked: JobOptions,
        turn: Turn,
        background: Handle,
        running: TaskTracker,
    ) where
        F: Future<Output = Result<IngestSummary, Error>> + Send + 'static,
    {
        let turn = tokio::select! {
            turn = turn.lock_owned() => Arc::new(turn),
            () = self.stop.cancelled() => return self.end(&self.cut_short(), Phase::Interrupted),
        };
        self.pass(|phase| phase == Phase::Waiting, Phase::Running);
        let options = self.options(asked);
        let ran = loop {
            self.report.begin();
            let (run, turn) = (ingest(options.clone(), Arc::clone(&self.report), self.stop.clone()), Arc::clone(&turn));
            let run = async move {
                let ran = run.await;
                // The next one's turn comes when nothing of this one is left, though it was given up before.
                drop(turn);
                ran
            };
            // A run that panics has failed, and the service goes on.
            let run = AbortOnDropHandle::new(running.spawn_on(run, &background));
            let Some(ran) = drained(&self.stop, run).await else { break Ok(self.cut_short()) };
            match ran.unwrap_or_else(|error| Err(Error::worker("ingest", error))) {
                Err(error) if is_busy(&error) && self.stop.is_cancelled() => break Ok(self.cut_short()),
                // A command that began before the service did.
                Err(error) if is_busy(&error) => {
                    tracing::info!(pipeline = self.pipeline, "{}: waiting for it", reason(&error));
                    self.report.wait();
                    tokio::select! {
                        () = tokio::time::sleep(BUSY) => {}
                        () = self.stop.cancelled() => {}
                    }
                }
                ran => break ran,
            }
        };
        match ran {
            Ok(summary) if summary.outcome == Outcome::Interrupted => self.end(&summary, Phase::Interrupted),
            Ok(summary) => self.end(&summary, Phase::Done),
            Err(error) => {
                tracing::warn!(pipeline = self.pipeline, "{}", reason(&error));
                self.end(
                    &Unfinished { error: crate::answer::wire::Line::from(&error), spent: self.report.spent() },
                    Phase::Failed,
                );
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail loudly")]
mod tests;
