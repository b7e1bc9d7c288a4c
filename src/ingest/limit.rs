//! What limits a run: the cause to which most of its wall time goes while everything else waits for it.

use std::collections::VecDeque;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::clocks::{Clocks, Times};
use super::stage::Stage;
use crate::limits::Known;

/// What may limit a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The model, the store and the ledger are opened.
    Opening,
    /// The sources are listed.
    Listing,
    /// Documents are read or fetched.
    Reading,
    /// Documents become text.
    Parsing,
    /// Text is cut.
    Chunking,
    /// The provider's quota of requests or tokens a minute.
    Quota,
    /// Requests in flight: no more may be.
    Places,
    /// Requests that failed, the pauses after them, and those that were sent again.
    Retries,
    /// The provider's latency: nothing more was there to be sent meanwhile.
    Latency,
    /// A model that runs in this process, or one that tells nothing of its requests.
    Embedding,
    /// The store.
    Storing,
    /// The record of what is done.
    Recording,
    /// The cores of this machine.
    Cores,
    /// What is gone is removed, the store is flushed.
    Closing,
}

impl Cause {
    /// Its name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Opening => "opening",
            Self::Listing => "listing",
            Self::Reading => "reading",
            Self::Parsing => "parsing",
            Self::Chunking => "chunking",
            Self::Quota => "quota",
            Self::Places => "places",
            Self::Retries => "retries",
            Self::Latency => "latency",
            Self::Embedding => "embedding",
            Self::Storing => "storing",
            Self::Recording => "recording",
            Self::Cores => "cores",
            Self::Closing => "closing",
        }
    }
}

/// What limits a run, and how much.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Limit {
    /// What.
    pub cause: Cause,
    /// For which share of the wall time, 0 to 1; of the cores, which share of them is used.
    pub share: f64,
    /// The stage that this is about; where cores are short, the one that works most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<Stage>,
    /// Of a quota, how it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota: Option<Known>,
}

/// From this share on it is the cores that are short, whatever waits for them.
const CORES_SHORT: f64 = 0.75;
/// The wait for the last answers is what limits a run where nothing else has half as much to say.
const LATENCY_COUNTS: f64 = 0.5;

/// The time between two looks at the clocks, and how many are kept: a limit is that of the last five seconds.
const APART: Duration = Duration::from_millis(900);
const LOOKS: usize = 5;

impl Limit {
    /// Of a run, or of some seconds of it ([`Times::since`]). `None` where no time has passed.
    pub fn of(times: &Times) -> Option<Self> {
        let wall = times.wall();
        if wall <= 0.0 {
            return None;
        }
        let running = times.running / wall;
        // Of the two steps that ask models, the one that is held back for longer.
        let situates = times.context.held_back.sum() > times.embed.held_back.sum();
        let (embed, asking) = if situates { (&times.context, Stage::Context) } else { (&times.embed, Stage::Embed) };
        let held = &embed.held_back;
        // Of the places that are taken while no other batch may leave, those that are in a retry are not the latency's.
        let retried = embed.retry / (embed.retry + embed.wire + embed.working).max(f64::MIN_POSITIVE);
        let is_own = embed.wire + embed.retry + embed.quota <= embed.working;
        let places = if is_own { 0.0 } else { held.places / wall };
        let step = |busy: f64| busy * running;
        let candidates = [
            (Cause::Opening, times.opening / wall),
            (Cause::Closing, times.closing / wall),
            (Cause::Listing, step(times.list.busy())),
            (Cause::Reading, step(times.read.busy())),
            (Cause::Parsing, step(times.parse.busy())),
            (Cause::Chunking, step(times.chunk.busy())),
            (Cause::Quota, held.quota / wall),
            (Cause::Places, places * (1.0 - retried)),
            (Cause::Retries, (places + held.latency / wall) * retried),
            (Cause::Embedding, if is_own { held.working / wall } else { 0.0 }),
            (Cause::Storing, step(times.store.busy())),
            (Cause::Recording, step(times.commit.busy())),
        ];
        let (mut cause, mut share) = candidates
            .into_iter()
            .reduce(|most, next| if next.1 > most.1 { next } else { most })
            .unwrap_or((Cause::Opening, 0.0));
        let latency = held.latency / wall * (1.0 - retried);
        if share < latency * LATENCY_COUNTS {
            (cause, share) = (Cause::Latency, latency);
        }
        let used = times.cpu / (times.cores.max(1) as f64 * wall);
        let waits = matches!(cause, Cause::Quota | Cause::Places | Cause::Retries) && share > used;
        if used >= CORES_SHORT && !waits {
            (cause, share) = (Cause::Cores, used.min(1.0));
        }
        Some(Self { cause, share, stage: stage(cause, times, is_own, asking), quota: None })
    }
}

/// What limits a run over its last seconds.
#[derive(Debug, Default)]
pub struct Recent {
    looks: VecDeque<(Instant, Times)>,
    limit: Option<Limit>,
}

impl Recent {
    /// By now; to be asked now and then.
    pub fn look(&mut self, clocks: &Clocks) -> Option<Limit> {
        let now = Instant::now();
        let due = self.looks.back().is_none_or(|(at, _)| now.saturating_duration_since(*at) >= APART);
        if !due {
            return self.limit;
        }
        let times = clocks.times();
        let earlier = self.looks.front().map(|(_, times)| *times).unwrap_or_default();
        self.limit = Limit::of(&times.since(&earlier));
        self.looks.push_back((now, times));
        if self.looks.len() > LOOKS {
            self.looks.pop_front();
        }
        self.limit
    }
}

/// The stage that a cause is about.
fn stage(cause: Cause, times: &Times, is_own: bool, asking: Stage) -> Option<Stage> {
    match cause {
        Cause::Opening | Cause::Closing => None,
        Cause::Listing | Cause::Reading => Some(Stage::Read),
        Cause::Parsing => Some(Stage::Parse),
        Cause::Chunking => Some(Stage::Chunk),
        Cause::Quota | Cause::Places | Cause::Retries | Cause::Latency | Cause::Embedding => Some(asking),
        Cause::Storing | Cause::Recording => Some(Stage::Store),
        Cause::Cores => {
            let embed = if is_own { times.embed.working } else { 0.0 };
            let at_work = [
                (Stage::Read, times.list.working + times.read.working),
                (Stage::Parse, times.parse.working),
                (Stage::Chunk, times.chunk.working),
                (Stage::Embed, embed),
                (Stage::Store, times.store.working),
            ];
            at_work.into_iter().max_by(|a, b| a.1.total_cmp(&b.1)).map(|(stage, _)| stage)
        }
    }
}
