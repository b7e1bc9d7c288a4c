//! All clocks of a run.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::cpu;
use super::sample::Latencies;
use super::step::{Free, Step, StepClock};
use super::times::Times;

/// The part of a run that goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// For its turn.
    Waiting,
    Opening,
    Running,
    Closing,
    Ended,
}

#[derive(Debug)]
struct Course {
    phase: Phase,
    since: Instant,
    /// Opening, running, closing.
    spent: [Duration; 3],
    /// The stream.
    began: Option<Instant>,
    closed: Option<Instant>,
    cpu_at: Option<Duration>,
    cpu: Duration,
}

/// The clocks of a run: one a step, and one for what comes before and after the stream.
#[derive(Debug)]
pub struct Clocks {
    steps: [Mutex<StepClock>; 8],
    course: Mutex<Course>,
    pub(super) latencies: Mutex<Latencies>,
}

impl Default for Clocks {
    fn default() -> Self {
        let now = Instant::now();
        let course = Course {
            phase: Phase::Opening,
            since: now,
            spent: [Duration::ZERO; 3],
            began: None,
            closed: None,
            cpu_at: None,
            cpu: Duration::ZERO,
        };
        Self {
            steps: std::array::from_fn(|_| Mutex::new(StepClock::new(now))),
            course: Mutex::new(course),
            latencies: Mutex::default(),
        }
    }
}

impl Clocks {
    fn step(&self, step: Step) -> MutexGuard<'_, StepClock> {
        let [list, read, parse, chunk, context, embed, store, commit] = &self.steps;
        let step = match step {
            Step::List => list,
            Step::Read => read,
            Step::Parse => parse,
            Step::Chunk => chunk,
            Step::Context => context,
            Step::Embed => embed,
            Step::Store => store,
            Step::Commit => commit,
        };
        lock(step)
    }

    pub(super) fn change(&self, step: Step, change: impl FnOnce(&mut StepClock)) {
        let mut step = self.step(step);
        // Behind the lock: time must not go back.
        step.advance(Instant::now());
        change(&mut step);
    }

    /// The run begins.
    pub fn open(&self) {
        self.enter(Phase::Opening);
    }

    /// The run waits for its turn: what has passed so far is not its time.
    pub fn wait(&self) {
        self.enter(Phase::Waiting);
        lock(&self.course).spent = [Duration::ZERO; 3];
    }

    /// The stream begins, with so many places a step.
    pub fn begin(&self, places: impl Fn(Step) -> usize) {
        self.enter(Phase::Running);
        for step in STEPS {
            self.places(step, places(step));
        }
    }

    /// The stream is at its end.
    pub fn close(&self) {
        for step in STEPS {
            self.change(step, |step| {
                step.places = 0;
                step.free = Free::Input;
            });
        }
        self.enter(Phase::Closing);
    }

    /// The run is at its end: no clock goes on.
    pub fn end(&self) {
        self.enter(Phase::Ended);
    }

    fn enter(&self, phase: Phase) {
        let mut course = lock(&self.course);
        course.advance(Instant::now());
        course.phase = phase;
        match phase {
            Phase::Running => (course.began, course.closed) = (Some(course.since), None),
            Phase::Closing => course.closed = Some(course.since),
            Phase::Waiting | Phase::Opening | Phase::Ended => {}
        }
        course.cpu_at = (phase == Phase::Running).then(cpu::used).flatten();
    }

    /// So many may be at work in a step from now on.
    pub fn places(&self, step: Step, places: usize) {
        self.change(step, |step| step.places = places as u64);
    }

    /// Why places of a step are free from now on.
    pub fn free(&self, step: Step, why: Free) {
        self.change(step, |step| step.free = why);
    }

    /// Whether the next step waits for this one, from now on; `ended`: nothing more will come.
    pub(super) fn asked(&self, step: Step, asked: bool, ended: bool) {
        self.change(step, |step| (step.asked, step.ended) = (asked, ended));
        let mut next = true;
        for upstream in FLOW {
            let mut changed = false;
            self.change(upstream, |step| {
                let wanted = step.asked && next;
                changed = wanted != step.wanted;
                step.wanted = wanted;
                next = wanted || step.ended;
            });
            if !changed && upstream == step {
                return;
            }
        }
    }

    /// A look-up in the cache begins (or ends).
    pub fn look_up(&self, begins: bool) {
        self.change(Step::Embed, |step| {
            step.lookups = if begins { step.lookups + 1 } else { step.lookups.saturating_sub(1) };
        });
    }

    /// What the wire took, of some requests.
    pub fn latencies(&self) -> Latencies {
        lock(&self.latencies).clone()
    }

    /// Seconds of the stream before the first request left, and after the last answer came.
    pub fn margins(&self) -> Option<(f64, f64)> {
        let (left, came) = lock(&self.latencies).span()?;
        let course = lock(&self.course);
        let closed = course.closed.unwrap_or_else(Instant::now);
        let seconds = |from: Instant, to: Instant| to.saturating_duration_since(from).as_secs_f64();
        Some((seconds(course.began?, left), seconds(came, closed)))
    }

    /// All of it until now.
    pub fn times(&self) -> Times {
        let now = Instant::now();
        let sums = STEPS.map(|step| {
            let mut step = self.step(step);
            step.advance(Instant::now());
            step.sums
        });
        let mut course = lock(&self.course);
        course.advance(now);
        Times::of(course.spent, course.cpu, &sums)
    }
}

const STEPS: [Step; 8] =
    [Step::List, Step::Read, Step::Parse, Step::Chunk, Step::Context, Step::Embed, Step::Store, Step::Commit];

/// The steps that are asked by the next one, from the last one up.
const FLOW: [Step; 6] = [Step::Store, Step::Embed, Step::Context, Step::Chunk, Step::Parse, Step::Read];

impl Course {
    fn advance(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.since);
        self.since = now;
        let [opening, running, closing] = &mut self.spent;
        match self.phase {
            Phase::Opening => *opening += passed,
            Phase::Running => {
                *running += passed;
                if let (Some(at), Some(used)) = (self.cpu_at, cpu::used()) {
                    self.cpu += used.saturating_sub(at);
                    self.cpu_at = Some(used);
                }
            }
            Phase::Closing => *closing += passed,
            Phase::Waiting | Phase::Ended => {}
        }
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic while it was held leaves a clock that is off by one change at most.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
