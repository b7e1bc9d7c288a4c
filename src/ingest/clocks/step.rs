//! The clock of one step.

use tokio::time::Instant;

/// A step of the stream. Beside the stages that documents can fail in, there is the one that lists them, and the one that records
/// them as done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Step {
    List,
    Read,
    Parse,
    Chunk,
    Context,
    Embed,
    Store,
    Commit,
}

/// What is done in a place that is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doing {
    /// Work of this machine, or of the source or store that the step asks.
    Working,
    /// A request waits for the quota.
    Quota,
    /// A request waits for a place in flight.
    Places,
    /// A request is on its way for the first time.
    Wire,
    /// A request pauses after a failure, or is on its way again.
    Retry,
    /// It is done, and the next step has not taken it.
    Held,
}

/// How many there are.
pub(super) const DOINGS: usize = 6;

/// Why a place is free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Free {
    /// Nothing is there to be done.
    Input,
    /// A batch may leave when the quota allows it.
    Quota,
    /// A batch may leave when one comes back.
    Places,
}

/// Nanoseconds by cause: of places, and by the wall.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sums {
    pub(super) working: u64,
    pub(super) starved: u64,
    pub(super) blocked: u64,
    pub(super) quota: u64,
    pub(super) places: u64,
    pub(super) wire: u64,
    pub(super) retry: u64,
    /// By the wall: a batch waited for the quota; for a place; nothing was ready and something was on its way.
    pub(super) wall_quota: u64,
    pub(super) wall_places: u64,
    pub(super) wall_latency: u64,
    /// By the wall: something was at work in this process.
    pub(super) wall_working: u64,
}

impl Sums {
    /// Whether anything was ever done, or waited to be.
    pub(super) fn is_used(&self) -> bool {
        self.working + self.quota + self.places + self.wire + self.retry > 0
    }
}

#[derive(Debug)]
pub(super) struct StepClock {
    pub(super) since: Instant,
    pub(super) places: u64,
    pub(super) doing: [u64; DOINGS],
    pub(super) free: Free,
    /// Look-ups in the cache: nobody waits for input meanwhile.
    pub(super) lookups: u64,
    /// The next step has asked for something that was not there yet.
    pub(super) asked: bool,
    /// The same of all that come after it: who is not asked does not ask.
    pub(super) wanted: bool,
    /// Nothing more will come.
    pub(super) ended: bool,
    pub(super) sums: Sums,
}

impl StepClock {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            since: now,
            places: 0,
            doing: [0; DOINGS],
            free: Free::Input,
            lookups: 0,
            asked: true,
            wanted: true,
            ended: false,
            sums: Sums::default(),
        }
    }

    /// Why nothing more leaves, where each request waits for itself: as the requests do.
    pub(super) fn held_back(&self) -> Free {
        let [_, quota, places, ..] = self.doing;
        match (places, quota) {
            (0, 0) => Free::Input,
            (0, _) => Free::Quota,
            _ => Free::Places,
        }
    }

    /// Puts the time since the last change down.
    pub(super) fn advance(&mut self, now: Instant) {
        let passed = u64::try_from(now.saturating_duration_since(self.since).as_nanos()).unwrap_or(u64::MAX);
        self.since = now;
        let [working, quota, places, wire, retry, held] = self.doing;
        let sums = &mut self.sums;
        // Where most places are taken by what waits for the quota, one more would have to wait for it, too.
        let taken_by_quota = quota > wire + retry;
        for (sum, taken) in [
            (&mut sums.working, working),
            (&mut sums.quota, quota),
            (&mut sums.places, places),
            (&mut sums.wire, wire),
            (&mut sums.retry, retry),
            (&mut sums.blocked, held),
        ] {
            *sum = sum.saturating_add(taken * passed);
        }
        let empty = self.places.saturating_sub(self.doing.iter().sum());
        // Who asks for what another has asked for waits with it, and looks nothing up: then something is under way.
        let taken: u64 = self.doing.iter().sum();
        let looked_up = if taken == 0 { self.lookups.min(empty).min(1) } else { 0 };
        let free = if self.free == Free::Places && taken_by_quota { Free::Quota } else { self.free };
        let idle = match free {
            Free::Quota => &mut sums.quota,
            Free::Places => &mut sums.places,
            Free::Input if self.wanted || self.ended => &mut sums.starved,
            Free::Input => &mut sums.blocked,
        };
        *idle = idle.saturating_add((empty - looked_up) * passed);
        sums.working = sums.working.saturating_add(looked_up * passed);
        if self.places == 0 {
            return;
        }
        match free {
            Free::Quota => sums.wall_quota += passed,
            Free::Places => sums.wall_places += passed,
            Free::Input if self.wanted && wire + retry + quota + places > 0 => sums.wall_latency += passed,
            Free::Input => {}
        }
        if working > 0 {
            sums.wall_working += passed;
        }
    }
}
