//! When a provider's failures end the run.
//!
//! ```text
//!              a malformed answer            the third in a row
//!   ┌▶ Closed ────────────────────▶ Malformed ──────────────────▶ Open(Malformed)
//!   │    │  ▲                         │    │
//!   │    │  └── a good answer ────────┘    │
//!   │    ├────────────────────────────────┴─ no answer to anything while this was tried ─▶ Open(Outage)
//!   │    └────────────────────────────────── nothing sent there can succeed ─────────────▶ Open(Refused)
//!   └─ start
//! ```
//!
//! A circuit breaker without the way back: what was retried in vain is retried by the next run, and documents that were not
//! tried are not failed. Any other failure is that of the documents in the batch, and the run goes on.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::providers::{ErrorKind, ProviderError};

/// So many malformed answers in a row are no accident: each other document would be paid for in vain.
const MALFORMED: u32 = 3;

/// Why a provider's failure ends the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trip {
    /// Nothing else that is sent there can succeed: the key, the money, the model.
    Refused,
    /// Nothing got through for as long as this was tried: every other document would fail as well.
    Outage,
    /// The answers have stopped to make sense.
    Malformed,
}

/// How the provider is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It answers, or has not been asked yet.
    Closed,
    /// Its last answers were malformed, however often they were asked for.
    Malformed {
        /// How many in a row.
        streak: u32,
    },
    /// The run ends. The first reason stays.
    Open(Trip),
}

/// Tells which failure of the embedding provider ends a run. One per run, told of every batch.
#[derive(Debug)]
pub struct Breaker {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    state: State,
    /// The last good answer, or the start.
    heard: Instant,
    /// Whether it is an answer.
    any: bool,
}

impl Default for Breaker {
    fn default() -> Self {
        Self { inner: Mutex::new(Inner { state: State::Closed, heard: Instant::now(), any: false }) }
    }
}

impl Breaker {
    /// Notes that a batch came back whole.
    pub fn answered(&self) {
        self.with(|inner| {
            (inner.heard, inner.any) = (Instant::now(), true);
            if !matches!(inner.state, State::Open(_)) {
                inner.state = State::Closed;
            }
        });
    }

    /// Notes that a batch failed for good. `None`: its documents fail, the run goes on.
    pub fn failed(&self, error: &ProviderError) -> Option<Trip> {
        self.with(|inner| {
            let streak = match inner.state {
                State::Malformed { streak } => streak + 1,
                State::Open(Trip::Malformed) => MALFORMED,
                _ => 1,
            };
            let malformed = error.kind == ErrorKind::BadAnswer;
            let trip = if error.is_fatal() {
                Trip::Refused
            } else if error.is_transient() && inner.silent_for(error.waited) {
                Trip::Outage
            } else if malformed && streak >= MALFORMED {
                Trip::Malformed
            } else {
                if malformed && !matches!(inner.state, State::Open(_)) {
                    inner.state = State::Malformed { streak };
                }
                return None;
            };
            if !matches!(inner.state, State::Open(_)) {
                inner.state = State::Open(trip);
            }
            Some(trip)
        })
    }

    /// Whether a batch has come back whole since this instant.
    pub fn answered_after(&self, since: Instant) -> bool {
        self.with(|inner| inner.any && inner.heard >= since)
    }

    /// How the provider is doing.
    pub fn state(&self) -> State {
        self.with(|inner| inner.state)
    }

    fn with<T>(&self, change: impl FnOnce(&mut Inner) -> T) -> T {
        change(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Inner {
    fn silent_for(&self, time: Duration) -> bool {
        self.heard.elapsed() >= time
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(kind: ErrorKind, waited: u64) -> ProviderError {
        ProviderError { waited: Duration::from_secs(waited), ..ProviderError::new("test", kind, "no") }
    }

    async fn pass(seconds: u64) {
        tokio::time::advance(Duration::from_secs(seconds)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn an_outage_is_when_nothing_got_through_while_this_was_tried() {
        let breaker = Breaker::default();
        pass(30).await;
        breaker.answered();
        pass(20).await;
        for kind in [ErrorKind::Network, ErrorKind::Timeout, ErrorKind::Unavailable, ErrorKind::RateLimited] {
            assert_eq!(breaker.failed(&error(kind, 21)), None, "others were answered meanwhile");
        }
        assert_eq!(breaker.state(), State::Closed);
        pass(1).await;
        assert_eq!(breaker.failed(&error(ErrorKind::Network, 21)), Some(Trip::Outage));
        assert_eq!(breaker.state(), State::Open(Trip::Outage));
    }

    #[tokio::test(start_paused = true)]
    async fn before_the_first_answer_the_start_counts() {
        let breaker = Breaker::default();
        pass(9).await;
        assert_eq!(breaker.failed(&error(ErrorKind::Timeout, 10)), None);
        assert_eq!(breaker.failed(&error(ErrorKind::Timeout, 9)), Some(Trip::Outage));
    }

    #[tokio::test(start_paused = true)]
    async fn three_malformed_answers_in_a_row_are_no_accident() {
        let breaker = Breaker::default();
        let malformed = error(ErrorKind::BadAnswer, 0);
        assert_eq!([breaker.failed(&malformed), breaker.failed(&malformed)], [None, None]);
        assert_eq!(breaker.state(), State::Malformed { streak: 2 });
        breaker.answered();
        assert_eq!(breaker.state(), State::Closed);
        assert_eq!([breaker.failed(&malformed), breaker.failed(&malformed)], [None, None]);
        assert_eq!(breaker.failed(&error(ErrorKind::InvalidInput, 0)), None, "is about that text alone");
        assert_eq!(breaker.failed(&malformed), Some(Trip::Malformed));
        breaker.answered();
        assert_eq!(breaker.state(), State::Open(Trip::Malformed), "the run ends, whatever is still answered");
        assert_eq!(breaker.failed(&malformed), Some(Trip::Malformed));
    }

    #[tokio::test(start_paused = true)]
    async fn what_can_never_succeed_ends_the_run_at_once_and_the_first_reason_stays() {
        for kind in [ErrorKind::Auth, ErrorKind::QuotaSpent, ErrorKind::NotFound, ErrorKind::ModelMissing] {
            let breaker = Breaker::default();
            breaker.answered();
            assert_eq!(breaker.failed(&error(kind, 0)), Some(Trip::Refused));
            assert_eq!(breaker.failed(&error(ErrorKind::Network, 0)), Some(Trip::Outage));
            assert_eq!(breaker.state(), State::Open(Trip::Refused));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_text_that_is_refused_ends_nothing() {
        let breaker = Breaker::default();
        assert_eq!((0..10).map(|_| breaker.failed(&error(ErrorKind::InvalidInput, 0))).collect::<Vec<_>>(), [None; 10]);
        assert_eq!(breaker.state(), State::Closed);
    }
}
