//! Limits of a provider: requests and tokens a minute, requests in flight. One [`Limiter`] a provider, shared by everything in
//! the process that talks to it.
//!
//! ```text
//!   a request ──▶ Ticket ──▶ queue ──▶ Permit { sent, reservation, in flight } ──▶ the provider
//!                               ▲                     │
//!         admitted by: concurrency, quota of requests, quota of tokens
//!                               │                     ▼
//!              learned from: headers, refusals, latencies ◀── the answer
//! ```
//!
//! First come, first served: a request draws a [`Ticket`] when it arrives and only the oldest ticket in the queue may leave.
//! A retry keeps its ticket and so its place. Tokens are reserved before sending and settled by what the answer says
//! ([`Reservation::settle`]). Dropping whatever waits or is in flight gives its place free.
//!
//! Declared limits are kept to. Others are taken from the headers of answers (`headers.rs`); without those it is learned from
//! refusals (`estimator.rs` is the seam, `bucket.rs` the one that is used) and latencies (`concurrency.rs`, `latency.rs`), and
//! kept for the next run (`cache.rs`).
//!
//! Workers in several processes share a quota as it is, not a part of it each: it is kept where all of them reach it, and each visits it
//! in turn, tells what it has heard and takes what may leave (`shared.rs` is the seam, `visit.rs` what is done in a visit, `saved.rs`
//! what is kept, `line.rs` who is next). Only the requests in flight are divided by the number of workers.

mod bucket;
mod budget;
mod bytes;
mod cache;
mod concurrency;
mod estimator;
mod fit;
mod headers;
mod latency;
mod limiter;
mod line;
mod log;
mod offset;
mod permit;
mod quota;
#[cfg(any(feature = "cli", feature = "serve"))]
mod readings;
mod saved;
mod sent;
mod shared;
mod state;
mod tally;
#[cfg(feature = "postgres")]
mod usage;
mod visit;
mod visitor;
mod visits;
mod waiting;

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(crate) use cache::{LimitsCache, fingerprint};
pub(crate) use headers::{parse_duration, used_up};
pub use limiter::Limiter;
pub use permit::{InFlight, Permit, Reservation};
#[cfg(any(feature = "cli", feature = "serve"))]
pub(crate) use readings::readings;
pub use sent::Sent;
pub use shared::{Change, NotKept, Seen, SharedLimits, SharedQuota};
pub use tally::{Counted, Tally};
#[cfg(feature = "postgres")]
pub(crate) use usage::usage;
pub use waiting::{Waiting, WaitingListener, listened};
pub(crate) use waiting::{listened_stream, tell, unheard};

/// The tokens a single request can be charged with: no request has so many, and a server that claims it must not stop a run
/// for good.
const MAX_TOKENS: u64 = 10_000_000;

/// A provider's quota.
// What is not declared (`None`) is learned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "limits")]
pub struct Limits {
    /// Requests a minute.
    #[schemars(range(min = 1, max = 1_000_000_000), example = 3000)]
    pub rpm: Option<u32>,
    /// Tokens a minute.
    #[schemars(range(min = 1, max = 1_000_000_000), example = 1_000_000)]
    pub tpm: Option<u32>,
    /// Requests in flight at once.
    #[schemars(range(min = 1, max = 1024), example = 64)]
    pub concurrency: Option<u32>,
}

/// How many minutes it takes until so many have gone through, each kind with its quota a minute; `None`: no quota is known.
pub(crate) fn minutes(kinds: [(u64, Option<u64>); 2]) -> Option<f64> {
    let minutes = kinds.map(|(amount, quota)| quota.map(|quota| amount as f64 / quota.max(1) as f64));
    minutes.into_iter().flatten().reduce(f64::max)
}

/// A place in the queue. The smallest goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(u64);

/// The requests to a provider so far. Cheap to take, and to be subtracted from a later one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Requests sent, retries included.
    pub requests: u64,
    /// Requests sent again.
    pub retries: u64,
    /// Refusals that asked to slow down (429).
    pub throttled: u64,
    /// Second copies of requests that seemed to hang.
    pub hedged: u64,
    /// Tokens that may have been paid for in vain, as reserved: those of second copies, and of answers that made no sense.
    pub wasted: u64,
    /// Tokens of requests that are over, as billed where the provider says so, those from its cache among them; else as reserved, of an
    /// answer that was left or broke off as far as it came; none of what it refused.
    pub tokens: u64,
    /// Wall time during which a request was ready and the quota (or a pause that the provider asked for) held it back. Close
    /// to the run's own time: the quota is the bottleneck.
    pub quota_wait: Duration,
    /// Wall time during which a request was ready and those in flight were too many. Close to the run's own time: the
    /// provider's latency is the bottleneck, and a higher `concurrency` may help.
    pub slot_wait: Duration,
}

impl Stats {
    /// What came after an earlier count of the same.
    #[must_use]
    pub fn since(self, earlier: &Self) -> Self {
        Self {
            requests: self.requests.saturating_sub(earlier.requests),
            retries: self.retries.saturating_sub(earlier.retries),
            throttled: self.throttled.saturating_sub(earlier.throttled),
            hedged: self.hedged.saturating_sub(earlier.hedged),
            wasted: self.wasted.saturating_sub(earlier.wasted),
            tokens: self.tokens.saturating_sub(earlier.tokens),
            quota_wait: self.quota_wait.saturating_sub(earlier.quota_wait),
            slot_wait: self.slot_wait.saturating_sub(earlier.slot_wait),
        }
    }
}

impl std::ops::AddAssign for Stats {
    fn add_assign(&mut self, other: Self) {
        self.requests += other.requests;
        self.retries += other.retries;
        self.throttled += other.throttled;
        self.hedged += other.hedged;
        self.wasted += other.wasted;
        self.tokens += other.tokens;
        self.quota_wait += other.quota_wait;
        self.slot_wait += other.slot_wait;
    }
}

/// How the quota of a provider is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Known {
    /// Not at all: requests leave carefully at first, and faster as they are answered.
    #[default]
    Assumed,
    /// From refusals, in this run or an earlier one.
    Learned,
    /// It was declared, or the provider's answers say it.
    Told,
}

/// What a provider allows, as far as it is known by now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Allowed {
    /// Requests a minute.
    pub rpm: Option<u64>,
    /// Tokens a minute.
    pub tpm: Option<u64>,
    /// How these are known.
    pub quota: Known,
    /// Requests in flight.
    pub concurrency: u32,
    /// Requests that are in flight.
    pub in_flight: u32,
    /// Requests and tokens that were sent in the last minute.
    pub used: (u64, u64),
}

/// The limits that were learned because nobody declared them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LearnedLimits {
    /// Requests a minute.
    pub rpm: Option<u64>,
    /// Tokens a minute.
    pub tpm: Option<u64>,
    /// Requests in flight at once, as many as were found to be of use.
    pub concurrency: Option<u32>,
    /// Requests in flight of which one more was refused.
    #[serde(default, rename = "places")]
    pub ceiling: Option<u32>,
}
