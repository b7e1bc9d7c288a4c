//! What the kept state of a quota that workers share says, for whoever looks at all of them.

use tokio::time::Instant;

use super::Allowed;
use super::bytes::Clock;
use super::saved::Saved;

/// What is allowed, and how much of it was used in the last minute; nothing of requests in flight, which no worker tells others.
/// `micros`: now, by the clock of what keeps the state. `None`: it cannot be read.
pub(crate) fn usage(state: &[u8], micros: i64) -> Option<Allowed> {
    let now = Instant::now();
    let mut saved = Saved::load(state, Clock { now, micros }, 0)?;
    let (requests, tokens) = (&mut saved.budget.requests, &mut saved.budget.tokens);
    let used = (requests.used(now), tokens.used(now));
    let (rpm, tpm) = (requests.limit(), tokens.limit());
    Some(Allowed { rpm, tpm, quota: saved.budget.known(), used, ..Allowed::default() })
}
