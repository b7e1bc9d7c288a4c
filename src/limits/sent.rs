//! A request that has left.

use tokio::time::Instant;

/// A request that was sent.
#[derive(Debug, Clone, Copy)]
pub struct Sent {
    pub(super) id: u64,
    /// It was one of so many then.
    pub(super) in_flight: u32,
    /// The instant at which it left.
    pub left: Instant,
}
