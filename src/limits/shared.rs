//! The seam to a quota that workers in several processes share: one state, which they change one after the other.
//!
//! ```text
//!   worker 1 ─┐                       ┌ refusals, settlements, headers that it has heard of since its last visit
//!   worker 2 ─┼─▶ lock, load ─▶ visit ┤                                                     ─▶ save, unlock
//!   worker 3 ─┘                       └ its waiting requests, as many as may leave now
//! ```
//!
//! What is in it, and what is done with it, is this room's; where it is kept, and whose clock it goes by, is the other side's. Who
//! keeps it may lose the last moment of it, as a database does that is not asked to wait for its disk: each worker knows what it
//! wrote lately and writes it again ([`Seen::run`]).

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use crate::error::Error;

/// What is kept, as the one who changes it finds it. Nobody else changes it meanwhile.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// What was saved last; `None` where nothing ever was.
    pub state: Option<&'a [u8]>,
    /// How often it was saved. Each time it is one more, unless the last ones were lost.
    pub version: u64,
    /// A number that is another one after anything that was saved may have been lost.
    pub run: u64,
    /// Microseconds since 1970, by the one clock that counts.
    pub micros: i64,
}

/// Makes of what is kept what is to be kept from then on; `None`: leave it as it is. Called once at most.
pub type Change<'a> = &'a mut (dyn FnMut(Seen<'_>) -> Option<Vec<u8>> + Send);

/// A provider's quota that workers share.
#[async_trait]
pub trait SharedQuota: fmt::Debug + Send + Sync {
    /// Changes what is kept. `Ok`: it was kept, and not much later than it was seen: what is allowed must leave within a second of
    /// [`Seen::micros`].
    async fn change(&self, change: Change<'_>) -> Result<(), NotKept>;

    /// The present [`Seen::run`], without waiting for anybody.
    async fn run(&self) -> Result<u64, NotKept>;

    /// How many workers are at work, this one among them: what may be in flight is divided by it. It need not be exact.
    fn workers(&self) -> u32;
}

/// The quotas of all providers that workers share.
pub trait SharedLimits: fmt::Debug + Send + Sync {
    /// The quota of one provider, by its name in the pipeline file. `key` is a word for that, its address and its API key which
    /// tells none of them.
    fn quota(&self, name: &str, key: &str) -> Arc<dyn SharedQuota>;
}

/// Why a change was not kept, or why nobody knows.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the quota that the workers share cannot be reached: {source}")]
pub struct NotKept {
    /// What went wrong.
    pub source: Error,
    /// It may have been kept all the same: the answer to that got lost.
    pub perhaps: bool,
}
