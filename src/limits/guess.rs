//! Learning a quota that nobody tells, from what is accepted and what is refused.
//!
//! What a refusal means depends on how the server counts, and a refusal is expensive, so few must tell it:
//!
//! - A window (of a minute, sliding or not) refuses when it has accepted its limit: what was accepted within the last minute is
//!   the limit. It goes on refusing for long.
//! - A bucket that refills refuses when it is empty, and accepts again after a moment. It has two unknowns, what it holds and
//!   how fast it refills. A burst that empties it gives one equation, a pace that rises slowly until it is empty again gives
//!   the other ([`Bucket::rates`]).
//!
//! So after the first refusal nothing is sent for a moment ([`PROBE`]), then one request is: if it is refused, that is a
//! window. Otherwise what follows leaves evenly, somewhat faster each second, until the bucket is empty again. Where too few
//! were sent to be exact, that is repeated once from below, more slowly. Thus two refusals learn most servers, three the
//! others. Then nothing is tried any more; a refusal that comes all the same corrects the limit.

use std::time::Duration;

use tokio::time::Instant;

/// How long a bucket is left to refill before it is asked again.
const PROBE: Duration = Duration::from_secs(3);

/// A server that wants to be left alone for so long counts in windows: a bucket has room for the next request at once.
pub(super) const WINDOW_LIKE: Duration = Duration::from_secs(5);

/// A rate that is known as well as this, one way and the other, needs no second measurement.
const EXACT: f64 = 0.15;

/// Rates that are tried to find the one that explains all refusals.
const STEPS: u32 = 200;

/// Rise a second above the pace that emptied a bucket before.
const CAREFUL: f64 = 0.01;

/// So many tell the pace at which they were sent.
const LAST: usize = 8;

/// After which a window that is used up is asked again: it may last up to a minute more, but what is accepted soon after a new
/// one begins is what it is measured by.
const NEXT_WINDOW: Duration = Duration::from_secs(20);

/// A bucket that was just empty gets so long to hold something again: what is sent evenly does not arrive so.
const RECOVER: Duration = Duration::from_secs(1);

/// An amount that was sent, so many seconds before a refusal.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Past {
    pub(super) ago: f64,
    pub(super) amount: f64,
}

/// A refusal, and what had been accepted before it.
#[derive(Debug)]
pub(super) struct Refusal {
    /// When what was refused had left: the server had nothing left then.
    pub(super) left: Instant,
    /// When it was heard. What left in between may have been accepted before it.
    pub(super) heard: Instant,
    pub(super) asked: Option<Duration>,
    /// The sum of what was accepted in the minute before.
    pub(super) minute: f64,
    /// What was accepted before, back to the refusal before if there was one. The oldest first.
    pub(super) accepted: Vec<Past>,
}

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
    /// After the first refusal: the pace rises until the next.
    Probing,
    /// From what was measured then up again, slowly: there were too few to measure it well.
    Rising {
        /// How much an amount that is sent raises it.
        by: f64,
    },
    /// A window's, counted.
    Window,
    /// A bucket's, measured.
    Settled,
}

/// See the module's page.
#[derive(Debug)]
pub(super) struct Guess {
    stage: Stage,
    /// What emptied the bucket first.
    burst: Vec<Past>,
    /// And what it gave from then on, while the limit is tried.
    spans: Vec<Span>,
    refused_at: Instant,
    heard_at: Instant,
    /// When something was refused after something had been accepted: a window was used up then.
    spent_at: Instant,
    /// The limit in force.
    limit: f64,
    /// The limit above which it is tried slowly: the pace that emptied the bucket first.
    most: f64,
    climbed_at: Instant,
}

/// What was accepted between two refusals.
#[derive(Debug)]
struct Span {
    /// Seconds.
    long: f64,
    accepted: Vec<Past>,
}

impl Span {
    fn sum(&self) -> f64 {
        self.accepted.iter().map(|past| past.amount).sum()
    }
}

/// A bucket that was empty at each refusal.
struct Bucket<'a> {
    /// What was accepted before the first, and between each and the next.
    burst: &'a [Past],
    spans: &'a [Span],
    /// What is sent at once, on average. An "empty" bucket holds less: half of it is assumed.
    amount: f64,
}

impl Bucket<'_> {
    /// What a bucket of this rate holds if the burst emptied it.
    fn capacity(&self, rate: f64) -> f64 {
        let drained = self.burst.iter().rev().scan(0.0, |sum, past| {
            *sum += past.amount;
            Some(*sum - rate * past.ago)
        });
        drained.fold(0.0, f64::max) + self.amount / 2.0
    }

    /// By how much a bucket of this rate would not have been just empty at the end of a span.
    fn off(&self, rate: f64, capacity: f64, span: &Span) -> f64 {
        let (mut level, mut ago) = (self.amount / 2.0, span.long);
        for past in &span.accepted {
            level = (level + rate * (ago - past.ago)).min(capacity) - past.amount;
            ago = past.ago;
        }
        ((level + rate * ago).min(capacity) - self.amount / 2.0).abs()
    }

    /// The lowest and the highest rate a second by which it was empty at all of them, of at most `most`.
    fn rates(&self, most: f64) -> (f64, f64) {
        let least = self.spans.iter().map(|span| (span.sum() - self.amount) / span.long).fold(most * 0.05, f64::max) * 0.95;
        let steps = ((most * 1.05).max(least * 1.1) / least).ln() / f64::from(STEPS);
        let tried: Vec<(f64, f64)> = (0..=STEPS)
            .map(|step| {
                let rate = least * (steps * f64::from(step)).exp();
                let capacity = self.capacity(rate);
                if capacity < self.amount {
                    // It would never have been empty.
                    return (rate, f64::MAX);
                }
                (rate, self.spans.iter().map(|span| self.off(rate, capacity, span)).fold(0.0, f64::max))
            })
            .collect();
        let best = tried.iter().map(|&(_, off)| off).fold(f64::MAX, f64::min);
        let fits = || tried.iter().filter(|(_, off)| *off <= best.max(self.amount)).map(|&(rate, _)| rate);
        (fits().fold(f64::MAX, f64::min), fits().fold(least, f64::max))
    }
}

/// By how much a sum may be too small to tell a limit. Either of requests and tokens may have been refused. Where tokens are of
/// many sizes, their sum scatters from minute to minute, and must not hold back what the number of requests allows.
pub(super) fn scatter(amounts: impl Iterator<Item = f64> + Clone) -> f64 {
    let count = amounts.clone().count();
    let even = amounts.clone().zip(amounts.skip(1)).all(|(one, next)| (one - next).abs() < 0.5);
    if even { 0.0 } else { 0.5 / (count as f64).sqrt() }
}

/// The pace of the last that were sent, a second, and a little more.
fn pace(sent: &[Past]) -> f64 {
    let mut last = sent.iter().rev().take(LAST);
    let sum: f64 = last.clone().map(|past| past.amount).sum();
    last.next_back().filter(|_| sent.len() >= LAST).map_or(f64::MAX, |first| 1.1 * sum / first.ago.max(1e-3))
}

impl Guess {
    /// After the first refusal. `known` is a limit that was believed until now.
    pub(super) fn first(refusal: Refusal, known: Option<f64>) -> (Self, Step) {
        let Refusal { left, heard, asked, minute, accepted } = refusal;
        let span = accepted.first().map_or(0.1, |first| first.ago.max(0.1));
        // A bucket of a minute's worth, or one that holds next to nothing: the truth is between them.
        let between = (minute / (span + 60.0) * minute / span).sqrt() * 60.0;
        let (stage, limit, pause) = match (known, asked.unwrap_or_default()) {
            // Learned by an earlier run: it was somewhat too high.
            (Some(known), asked) => (Stage::Settled, minute.clamp(known * 0.85, known * 0.95), asked),
            (None, asked) if asked >= WINDOW_LIKE => (Stage::Window, minute, asked),
            (None, asked) => (Stage::Probing, between, asked.max(PROBE)),
        };
        let guess = Self {
            stage,
            most: pace(&accepted) * 60.0,
            burst: accepted,
            spans: Vec::new(),
            refused_at: left,
            heard_at: heard,
            spent_at: left,
            limit,
            climbed_at: heard + pause,
        };
        (guess, Step { limit, pause })
    }

    /// After another one. `spent` is what was accepted in the minute before [`Self::spent_at`], by what is known now.
    pub(super) fn again(&mut self, refusal: Refusal, spent: f64) -> Step {
        let Refusal { left, heard, asked, minute, accepted } = refusal;
        let span = Span { long: left.saturating_duration_since(self.refused_at).as_secs_f64().max(0.1), accepted };
        let mut pause = asked.unwrap_or_default();
        (self.stage, self.limit) = if span.accepted.iter().all(|past| past.ago >= span.long - self.deaf()) {
            // Nothing was accepted since, after a pause: a window.
            if self.stage == Stage::Window {
                // One that does not slide, and began later than was thought.
                pause = pause.max(NEXT_WINDOW);
            }
            (Stage::Window, if self.stage == Stage::Window { self.limit } else { spent })
        } else {
            self.spent_at = left;
            pause = pause.max(RECOVER);
            match self.stage {
                Stage::Probing | Stage::Rising { .. } => self.measured(span),
                Stage::Window => {
                    // What was used up was new when it was asked after the last refusal, at the latest.
                    let minute = if span.long < 120.0 { minute.min(span.sum()) } else { minute };
                    (Stage::Window, minute.clamp(self.limit * 0.5, self.limit * 0.98))
                }
                Stage::Settled => {
                    let scatter = scatter(span.accepted.iter().map(|past| past.amount));
                    let mean = if span.long < 60.0 { span.sum() / span.long * 60.0 * (1.0 + scatter) } else { minute };
                    (Stage::Settled, mean.clamp(self.limit * 0.8, self.limit * 0.985))
                }
            }
        };
        (self.refused_at, self.heard_at, self.climbed_at) = (left, heard, heard + pause);
        Step { limit: self.limit, pause }
    }

    /// The bucket was empty again. The highest rate that explains it all is kept to: one too high is heard of and corrected,
    /// one too low never.
    fn measured(&mut self, span: Span) -> (Stage, f64) {
        let amount = span.sum() / span.accepted.len() as f64;
        let scatter = scatter(span.accepted.iter().map(|past| past.amount));
        self.spans.push(span);
        let (low, high) = Bucket { burst: &self.burst, spans: &self.spans, amount }.rates(self.limit / 60.0);
        let error = (high - low) / (high + low);
        if self.stage == Stage::Probing && error > EXACT {
            return (Stage::Rising { by: 0.05 * error / amount }, low * 60.0 * (1.0 - error / 2.0));
        }
        self.burst.clear();
        self.spans.clear();
        (Stage::Settled, high * 60.0 * (1.0 + scatter))
    }

    /// Seconds for which the last refusal was on its way.
    fn deaf(&self) -> f64 {
        self.heard_at.saturating_duration_since(self.refused_at).as_secs_f64()
    }

    /// The limit as it is now that something is sent which had to wait for it.
    pub(super) fn climb(&mut self, now: Instant) -> f64 {
        let rate = self.limit / 60.0;
        // The slower, the longer it takes to send enough.
        let rise = match self.stage {
            Stage::Window | Stage::Settled => return self.limit,
            Stage::Probing => (0.04 * rate).clamp(0.08, 0.25),
            Stage::Rising { by } => (by * rate).clamp(0.003, 0.06),
        };
        let rise = if self.limit > self.most { rise.min(CAREFUL) } else { rise };
        let seconds = now.saturating_duration_since(self.climbed_at).as_secs_f64().min(1.0);
        self.climbed_at = self.climbed_at.max(now);
        self.limit *= (1.0 + rise).powf(seconds);
        self.limit
    }

    /// Whether it still tries.
    pub(super) fn tries(&self) -> bool {
        matches!(self.stage, Stage::Probing | Stage::Rising { .. })
    }

    /// When what was refused last had left.
    pub(super) fn refused_at(&self) -> Instant {
        self.refused_at
    }

    /// When something was refused after something had been accepted.
    pub(super) fn spent_at(&self) -> Instant {
        self.spent_at
    }
}
