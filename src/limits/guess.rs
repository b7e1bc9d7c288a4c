//! Learning a quota that nobody tells, from what is accepted and what is refused.
//!
//! What a refusal means depends on how the server counts, and a refusal is expensive, so few must tell it:
//!
//! - A window (of a minute, sliding or not) refuses when it has accepted its limit: what was accepted within the last minute is
//!   the limit, exactly. It goes on refusing for long.
//! - A bucket that refills refuses when it is empty, and accepts again after a moment. Between two moments at which it was
//!   empty it has accepted just what it was refilled with: the rate, exactly, unless it was full in between.
//!
//! So after the first refusal nothing is sent for a moment ([`PROBE`]), then one request is: if it is refused, that is a
//! window. Otherwise what follows leaves evenly, somewhat faster each second, until the bucket is empty again. If that took
//! no climbing, the rate is known; else the bucket may have been full, and the climb is repeated once from below, slowly.
//! Thus two refusals learn a window or a large bucket, three a small one. Then nothing is tried any more.

use std::time::Duration;

use tokio::time::Instant;

/// How long a bucket is left to refill before it is measured: long enough that some tens of requests fit in, so that one more
/// or less says little.
const PROBE: Duration = Duration::from_secs(3);

/// A server that wants to be left alone for so long counts in windows: a bucket has room for the next request at once.
const WINDOW_LIKE: Duration = Duration::from_secs(5);

/// How long the first pace is held before it rises, a few times [`PROBE`].
const HOLD: Duration = Duration::from_secs(8);

/// Rise a second of the first climb, and of the second.
const FAST: f64 = 0.05;
const SLOW: f64 = 0.01;

/// A rate that was measured is kept to with a little room: clocks drift, requests bunch on their way.
const ROOM: f64 = 0.975;

/// What to do after a refusal.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Step {
    /// The limit a minute from now on.
    pub(super) limit: f64,
    /// Nothing is sent for so long.
    pub(super) pause: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Stage {
    /// The first refusal was. The limit if it is a window's.
    Probing { window: f64 },
    /// From the mean rate that was measured up, slowly: there were too few to measure it well, or the bucket may have been
    /// full in between.
    Rising { overflowed: bool },
    /// A window's, counted.
    Window,
    /// A bucket's, measured.
    Settled,
}

/// See the module's page.
#[derive(Debug)]
pub(super) struct Guess {
    stage: Stage,
    /// When the newest request that was refused had left: the server had nothing left then.
    refused_at: Instant,
    /// When that was heard. What left in between may have been accepted before it.
    heard_at: Instant,
    /// The limit in force, without what is above it for pacing.
    limit: f64,
    climbed_at: Instant,
}

impl Guess {
    /// After the first refusal, with `accepted` in the `span` before it (of at most a minute). `known` is a limit that was
    /// believed until now.
    pub(super) fn first(
        accepted: u64,
        span: Duration,
        (left, heard_at): (Instant, Instant),
        asked: Option<Duration>,
        known: Option<f64>,
    ) -> (Self, Step) {
        let accepted = accepted as f64;
        let new = |stage, limit| Self { stage, refused_at: left, heard_at, limit, climbed_at: left };
        if let Some(known) = known {
            // Learned on an earlier day, or told by headers: it was somewhat too high.
            let limit = accepted.clamp(known * 0.5, known * 0.95);
            return (new(Stage::Settled, limit), Step { limit, pause: asked.unwrap_or_default() });
        }
        if let Some(asked) = asked.filter(|asked| *asked >= WINDOW_LIKE) {
            return (new(Stage::Window, accepted), Step { limit: accepted, pause: asked });
        }
        // A bucket of a minute's worth, or one that holds next to nothing: the truth is between them.
        let span = span.as_secs_f64().max(0.1);
        let (low, high) = (accepted / (span + 60.0), accepted / span);
        let limit = (low * high).sqrt() * 60.0;
        (new(Stage::Probing { window: accepted }, limit), Step { limit, pause: asked.unwrap_or_default().max(PROBE) })
    }

    /// After another refusal, with `accepted` in the last minute and `since` the refusal before it.
    pub(super) fn again(
        &mut self,
        accepted: u64,
        (count, since): (u64, u64),
        (left, heard_at): (Instant, Instant),
        asked: Option<Duration>,
    ) -> Step {
        let elapsed = left.saturating_duration_since(self.refused_at).as_secs_f64().max(0.1);
        let mean = since as f64 / elapsed * 60.0;
        let held = left.saturating_duration_since(self.refused_at) < HOLD;
        let mut pause = asked.unwrap_or_default();
        (self.stage, self.limit) = match self.stage {
            // By now it is known which of the last were refused as well.
            Stage::Probing { window } if since == 0 => (Stage::Window, window.min(accepted as f64)),
            // Never full in between (or it does not matter), and enough of them to be exact.
            Stage::Probing { .. } if count >= 20 && (held || mean > self.limit * 0.85) => (Stage::Settled, mean * ROOM),
            Stage::Probing { .. } => (Stage::Rising { overflowed: !held }, mean),
            // By now the pace has passed the rate, by as much as it took to empty the bucket.
            Stage::Rising { overflowed: true } => (Stage::Settled, (mean * ROOM).max(self.limit * 0.78)),
            Stage::Rising { overflowed: false } => (Stage::Settled, mean * ROOM),
            same @ (Stage::Window | Stage::Settled) if since == 0 => {
                pause = pause.max(Duration::from_secs(20));
                (same, self.limit)
            }
            Stage::Window => (Stage::Window, (accepted as f64).clamp(self.limit * 0.5, self.limit * 0.998)),
            Stage::Settled => (Stage::Settled, (accepted as f64).clamp(self.limit * 0.5, self.limit * 0.94)),
        };
        (self.refused_at, self.heard_at, self.climbed_at) = (left, heard_at, left);
        Step { limit: self.limit, pause }
    }

    /// The limit as it is now that something is sent.
    pub(super) fn climb(&mut self, limit: f64, now: Instant) -> f64 {
        let rise = match self.stage {
            Stage::Window | Stage::Settled => return limit,
            Stage::Probing { .. } => FAST,
            Stage::Rising { .. } => SLOW,
        };
        // Only what is sent climbs: an idle minute says nothing.
        let from = if rise >= FAST { self.climbed_at.max(self.refused_at + HOLD) } else { self.climbed_at };
        let seconds = now.saturating_duration_since(from).as_secs_f64().min(1.0);
        self.climbed_at = self.climbed_at.max(now);
        self.limit *= (1.0 + rise).powf(seconds);
        self.limit
    }

    /// Whether it still tries.
    pub(super) fn tries(&self) -> bool {
        matches!(self.stage, Stage::Probing { .. } | Stage::Rising { .. })
    }

    /// When the newest refusal was heard.
    pub(super) fn heard_at(&self) -> Instant {
        self.heard_at
    }
}
