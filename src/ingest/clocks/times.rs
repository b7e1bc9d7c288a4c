//! What the clocks show, in seconds.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::step::Sums;
use crate::telemetry::Reading;

/// Where the time of a run has gone, in seconds. `opening`, `running` and `closing` are wall time; of a step, they are the seconds of
/// its places by what they were spent on, and sum up to the number of its places times `running`.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Times {
    /// Before the stream: the model, the store and the ledger are opened.
    pub opening: f64,
    /// The stream.
    pub running: f64,
    /// After it: what is gone is removed, the store is flushed.
    pub closing: f64,
    /// The time that this process had on cores in `running`, by all threads; 0 where the system does not tell.
    pub cpu: f64,
    /// Cores that this process may use.
    pub cores: usize,
    /// The sources are listed and compared; one place.
    pub list: StepTimes,
    /// Documents are read; a place a core.
    pub read: StepTimes,
    /// Documents become text; a place a core.
    pub parse: StepTimes,
    /// Text is cut; a place a core.
    pub chunk: StepTimes,
    /// It is said where chunks stand; a place for each request that may be in flight. All zero where no model says it.
    #[serde(default, skip_serializing_if = "EmbedTimes::is_zero")]
    pub context: EmbedTimes,
    /// Vectors are made; a place for each batch that may be under way.
    pub embed: EmbedTimes,
    /// Points are written; a place a writer.
    pub store: StepTimes,
    /// Documents are recorded as done; a place a writer.
    pub commit: StepTimes,
}

/// Seconds of a step's places.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct StepTimes {
    /// At work.
    pub working: f64,
    /// Without input.
    pub starved: f64,
    /// The next step takes no more.
    pub blocked: f64,
}

/// Seconds of the places in which batches are embedded, or other requests made.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct EmbedTimes {
    /// At work in this process: the cache, a model that runs here, requests and answers written and read.
    pub working: f64,
    /// Without input.
    pub starved: f64,
    /// The next step takes no more.
    pub blocked: f64,
    /// The quota lets nothing more leave.
    pub quota: f64,
    /// As many requests are in flight as may be.
    pub places: f64,
    /// Requests are on their way, for the first time.
    pub wire: f64,
    /// Requests failed: pauses and further attempts.
    pub retry: f64,
    /// By the wall.
    pub held_back: HeldBack,
}

/// Seconds of wall time in which no batch could leave, by why; one second may be told in more than one place.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct HeldBack {
    /// The quota.
    pub quota: f64,
    /// As many were in flight as may be.
    pub places: f64,
    /// Nothing was left to send, and answers were waited for.
    pub latency: f64,
    /// Something of this process's own was at work: the only thing to tell of a model that runs here.
    pub working: f64,
}

impl HeldBack {
    /// Seconds in which something held a batch back; one may be told more than once.
    pub(crate) fn sum(&self) -> f64 {
        self.quota + self.places + self.latency + self.working
    }
}

impl Times {
    pub(super) fn of([opening, running, closing]: [Duration; 3], cpu: Duration, sums: &[Sums; 8]) -> Self {
        let [list, read, parse, chunk, context, embed, store, commit] = sums;
        Self {
            opening: seconds(nanoseconds(opening)),
            running: seconds(nanoseconds(running)),
            closing: seconds(nanoseconds(closing)),
            cpu: seconds(nanoseconds(cpu)),
            cores: super::cpu::cores(),
            list: list.into(),
            read: read.into(),
            parse: parse.into(),
            chunk: chunk.into(),
            context: if context.is_used() { context.into() } else { EmbedTimes::default() },
            embed: embed.into(),
            store: store.into(),
            commit: commit.into(),
        }
    }

    /// What came after an earlier look.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        self.with(earlier, |now, earlier| (now - earlier).max(0.0))
    }

    fn with(&self, other: &Self, join: fn(f64, f64) -> f64) -> Self {
        Self {
            opening: join(self.opening, other.opening),
            running: join(self.running, other.running),
            closing: join(self.closing, other.closing),
            cpu: join(self.cpu, other.cpu),
            cores: self.cores,
            list: self.list.with(&other.list, join),
            read: self.read.with(&other.read, join),
            parse: self.parse.with(&other.parse, join),
            chunk: self.chunk.with(&other.chunk, join),
            context: self.context.with(&other.context, join),
            embed: self.embed.with(&other.embed, join),
            store: self.store.with(&other.store, join),
            commit: self.commit.with(&other.commit, join),
        }
    }

    /// Both together.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        self.with(other, |one, other| one + other)
    }

    /// Wall time.
    pub fn wall(&self) -> f64 {
        self.opening + self.running + self.closing
    }

    /// The seconds of all steps' places, by step and by what they were spent on, for metrics.
    pub(crate) fn reading(&self) -> Reading {
        let steps =
            self.steps().into_iter().flat_map(|(step, times)| times.states().map(|(state, spent)| (step, state, spent)));
        let embed = self.embed.states().map(|(state, spent)| ("embed", state, spent));
        let context = Some(self.context).filter(|context| !context.is_zero()).into_iter();
        let context = context.flat_map(|context| context.states().map(|(state, spent)| ("context", state, spent)));
        let series =
            steps.chain(context).chain(embed).map(|(step, state, spent)| (vec![step.to_owned(), state.to_owned()], spent));
        Reading {
            name: "ingest_stage",
            help: "Time of the places of ingests' steps, by what it was spent on",
            seconds: true,
            grows: true,
            labels: &["stage", "state"],
            series: series.collect(),
        }
    }

    /// The steps with their names, but for those that ask models.
    pub fn steps(&self) -> [(&'static str, StepTimes); 6] {
        [
            ("list", self.list),
            ("read", self.read),
            ("parse", self.parse),
            ("chunk", self.chunk),
            ("store", self.store),
            ("commit", self.commit),
        ]
    }
}

impl StepTimes {
    fn with(&self, other: &Self, join: fn(f64, f64) -> f64) -> Self {
        Self {
            working: join(self.working, other.working),
            starved: join(self.starved, other.starved),
            blocked: join(self.blocked, other.blocked),
        }
    }

    /// Places times wall time.
    pub fn sum(&self) -> f64 {
        self.working + self.starved + self.blocked
    }

    /// The share of its places that was at work, 0 to 1.
    pub fn busy(&self) -> f64 {
        self.working / self.sum().max(f64::MIN_POSITIVE)
    }

    /// The seconds with the names of their causes.
    pub fn states(&self) -> [(&'static str, f64); 3] {
        [("working", self.working), ("starved", self.starved), ("blocked", self.blocked)]
    }
}

impl EmbedTimes {
    fn with(&self, other: &Self, join: fn(f64, f64) -> f64) -> Self {
        let (held, before) = (&self.held_back, &other.held_back);
        Self {
            working: join(self.working, other.working),
            starved: join(self.starved, other.starved),
            blocked: join(self.blocked, other.blocked),
            quota: join(self.quota, other.quota),
            places: join(self.places, other.places),
            wire: join(self.wire, other.wire),
            retry: join(self.retry, other.retry),
            held_back: HeldBack {
                quota: join(held.quota, before.quota),
                places: join(held.places, before.places),
                latency: join(held.latency, before.latency),
                working: join(held.working, before.working),
            },
        }
    }

    /// Whether no time was spent: there is no such step.
    pub(crate) fn is_zero(&self) -> bool {
        *self == Self::default()
    }

    /// Places times wall time.
    pub fn sum(&self) -> f64 {
        self.states().into_iter().map(|(_, seconds)| seconds).sum()
    }

    /// The seconds of places with the names of their causes.
    pub fn states(&self) -> [(&'static str, f64); 7] {
        [
            ("working", self.working),
            ("starved", self.starved),
            ("blocked", self.blocked),
            ("quota", self.quota),
            ("places", self.places),
            ("wire", self.wire),
            ("retry", self.retry),
        ]
    }
}

impl From<&Sums> for StepTimes {
    fn from(sums: &Sums) -> Self {
        Self { working: seconds(sums.working), starved: seconds(sums.starved), blocked: seconds(sums.blocked) }
    }
}

impl From<&Sums> for EmbedTimes {
    fn from(sums: &Sums) -> Self {
        let StepTimes { working, starved, blocked } = sums.into();
        Self {
            working,
            starved,
            blocked,
            quota: seconds(sums.quota),
            places: seconds(sums.places),
            wire: seconds(sums.wire),
            retry: seconds(sums.retry),
            held_back: HeldBack {
                quota: seconds(sums.wall_quota),
                places: seconds(sums.wall_places),
                latency: seconds(sums.wall_latency),
                working: seconds(sums.wall_working),
            },
        }
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// To the microsecond: more digits say nothing.
fn seconds(nanoseconds: u64) -> f64 {
    (nanoseconds / 1000) as f64 / 1e6
}
