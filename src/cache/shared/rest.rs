//! Leaving a server alone for a while that does not do its part.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Whether a server is asked, or left alone.
#[derive(Debug, Default)]
pub(super) struct Rest {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    until: Option<Instant>,
    for_good: bool,
    said: bool,
}

impl Rest {
    /// Whether it may be asked now.
    pub(super) fn is_over(&self) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        !state.for_good && state.until.is_none_or(|until| until <= Instant::now())
    }

    /// It failed. `None`: it never will do. Whether this is the first time, which is said.
    pub(super) fn begin(&self, pause: Option<Duration>) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match pause {
            Some(pause) => state.until = Some(Instant::now() + pause),
            None => state.for_good = true,
        }
        !std::mem::replace(&mut state.said, true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_ends_and_is_said_once() {
        let rest = Rest::default();
        assert!(rest.is_over());
        assert!(rest.begin(Some(Duration::from_secs(30))));
        assert!(!rest.is_over());
        tokio::time::advance(Duration::from_secs(30)).await;
        assert!(rest.is_over());
        assert!(!rest.begin(Some(Duration::from_secs(30))) && !rest.is_over());
        assert!(!rest.begin(None));
        tokio::time::advance(Duration::from_secs(3_000)).await;
        assert!(!rest.is_over());
    }
}
