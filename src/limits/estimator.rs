//! The seam between a quota and what guesses its limit where nobody tells it.

use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

use super::bytes::Writer;
use super::log::SendLog;

/// A refusal that asks to slow down, as far as it tells something of a limit.
#[derive(Debug, Clone, Copy)]
pub(super) struct Refusal {
    /// The instant at which what was refused had left: the server had nothing left for it then.
    pub(super) left: Instant,
    /// The instant at which the refusal was heard. What left in between may have been accepted before it.
    pub(super) heard: Instant,
    /// The pause that the server asks for, where it does.
    pub(super) asked: Option<Duration>,
}

/// An estimate after a refusal, and what to do for it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Estimate {
    /// The limit a minute from now on.
    pub(super) limit: f64,
    /// Nothing is sent for so long.
    pub(super) pause: Duration,
}

/// Learns a limit a minute (of requests, or of tokens) from what was accepted and what was refused. One a quota.
///
/// A [`Quota`](super::quota::Quota) keeps to the limit that it is given and knows nothing of how that came about.
pub(super) trait RateEstimator: fmt::Debug + Send {
    /// Takes a refusal in. `log` is what was sent, without what was refused; `believed` is the limit that was kept to until
    /// now, where there was one. `None`: it teaches nothing.
    fn refused(&mut self, refusal: Refusal, log: &SendLog, believed: Option<f64>) -> Option<Estimate>;
    /// The limit a minute now that something is sent which had to wait for `limit`. Higher while a limit is measured.
    fn raise(&mut self, limit: f64, now: Instant) -> f64;
    /// Whether a limit is being measured still: then the estimate is not one to keep, and the log must reach far back.
    fn is_measuring(&self) -> bool;
    /// Forgets everything.
    fn reset(&mut self);
    /// Writes what is known, for workers that share it.
    fn save(&self, to: &mut Writer);
}
