//! A limit that nobody tells, learned from what is accepted and what is refused.
//!
//! The meaning of a refusal depends on how the server counts, and a refusal is expensive, so few must tell it:
//!
//! - A window (of a minute, sliding or not) refuses when it has accepted its limit: what was accepted within the last minute is
//!   the limit. It goes on refusing for long.
//! - A bucket that refills refuses when it is empty, and accepts again after a moment. It has two unknowns, what it holds and
//!   how fast it refills. A burst that empties it gives one equation, a pace that rises slowly until it is empty again gives
//!   the other (see `fit.rs`).
//!
//! # States
//!
//! ```text
//!                    the first refusal
//!                           │
//!       ┌───────────────────┼──────────────────────────────┐
//!       │ "come back in     │ nothing is known             │ an earlier run
//!       │  5 s or more"     ▼                              │ knew a limit
//!       │               Probing ─── refused, emptied: ──────────┐
//!       │                   │         measured exactly     │    │
//!       │                   │ refused, emptied:            │    │
//!       │                   │ not exact enough             │    │
//!       ▼                   ▼                              ▼    ▼
//!     Window ◀── (*) ──  Rising ─── refused, emptied ──▶ Settled
//! ```
//!
//! (*) From any state: refused again although nothing was accepted since the refusal before. Only a window does that.
//!
//! - Probing: nothing is sent for a moment ([`PROBE`]), then one request. If it is accepted, what follows leaves evenly,
//!   somewhat faster each second, until the bucket is empty again.
//! - Rising: the same once more, from below and more slowly, where too few were sent to be exact.
//! - Window, Settled: nothing is tried any more. A refusal that comes all the same corrects the limit.
//!
//! Two refusals learn most servers, three the others.

use std::time::Duration;

use tokio::time::Instant;

use super::bytes::{Reader, Writer};
use super::estimator::{Estimate, RateEstimator, Refusal};
use super::fit::{Bucket, Past, Span, pace, scatter};
use super::log::{Entry, SendLog};

/// The time that a bucket is left to refill before it is asked again.
const PROBE: Duration = Duration::from_secs(3);

/// A server that wants to be left alone for so long counts in windows: a bucket has room for the next request at once.
const WINDOW_LIKE: Duration = Duration::from_secs(5);

/// A rate that is known as well as this, one way and the other, needs no second measurement.
const EXACT: f64 = 0.15;

/// Rise a second above the pace that emptied a bucket before.
const CAREFUL: f64 = 0.01;

/// After which a window that is used up is asked again: it may last up to a minute more, but what is accepted soon after a new
/// one begins is what it is measured by.
const NEXT_WINDOW: Duration = Duration::from_secs(20);

/// A bucket that was just empty gets so long to hold something again: what is sent evenly does not arrive so.
const RECOVER: Duration = Duration::from_secs(1);

/// With fewer accepted there is too little to learn from: a refusal at the very beginning is an outage or somebody else's
/// doing.
const FEWEST: usize = 3;

const MINUTE: Duration = Duration::from_mins(1);

/// Of what was sent before a refusal, as much is kept where workers share it.
const MOST_SAVED: usize = 256;

/// A state of the diagram above.
#[derive(Debug, Clone, Copy, PartialEq)]
enum State {
    /// The limit is raised until the bucket is empty again.
    Probing,
    /// The same once more, from below.
    Rising {
        /// By how much each request that is sent raises it.
        by: f64,
    },
    /// A window's limit, counted.
    Window,
    /// A bucket's rate, measured.
    Settled,
}

/// An estimator that takes a server for a window or a bucket, whichever its refusals fit.
#[derive(Debug, Default)]
pub(super) struct BucketEstimator {
    /// Nothing before the first refusal that teaches.
    course: Option<Course>,
}

/// All that was learned since the first refusal.
#[derive(Debug)]
struct Course {
    state: State,
    /// The burst that emptied the bucket first.
    burst: Vec<Past>,
    /// The spans in which it gave something from then on, while the limit is measured.
    spans: Vec<Span>,
    /// The instant at which what was refused last had left, and that at which it was heard.
    refused_at: Instant,
    heard_at: Instant,
    /// The instant of the last refusal after something had been accepted: a window was used up then.
    spent_at: Instant,
    /// The limit in force.
    limit: f64,
    /// The limit above which it is raised slowly: the pace that emptied the bucket first.
    most: f64,
    raised_at: Instant,
}

/// The amounts that were accepted before a refusal.
#[derive(Debug)]
struct Evidence {
    /// The sum within the minute before.
    minute: f64,
    /// All of it, back to the refusal before if there was one. The oldest first.
    accepted: Vec<Past>,
}

impl RateEstimator for BucketEstimator {
    fn refused(&mut self, refusal: Refusal, log: &SendLog, believed: Option<f64>) -> Option<Estimate> {
        // A window that is over in so long has begun a minute before. Whole seconds may be half a second too many.
        let window = refusal.asked.filter(|asked| *asked >= WINDOW_LIKE).map_or(MINUTE, |asked| MINUTE.saturating_sub(asked));
        let window = if window < MINUTE { window + Duration::from_millis(500) } else { window };
        let (count, minute) = accepted_within(log, refusal.left, window);
        if self.course.is_none() && count < FEWEST {
            return None;
        }
        let since = self.course.as_ref().map(|course| course.refused_at);
        let past = |entry: &Entry| Past { ago: (refusal.left - entry.at).as_secs_f64(), amount: entry.amount as f64 };
        let evidence = Evidence { minute, accepted: log.accepted(since, refusal.left).map(past).collect() };
        let estimate = match &mut self.course {
            None => {
                let (course, estimate) = Course::begin(refusal, evidence, believed);
                self.course = Some(course);
                estimate
            }
            Some(course) => {
                let (_, spent) = accepted_within(log, course.spent_at, MINUTE);
                course.refused_again(refusal, evidence, spent)
            }
        };
        Some(estimate)
    }

    fn raise(&mut self, limit: f64, now: Instant) -> f64 {
        self.course.as_mut().map_or(limit, |course| course.raise(now))
    }

    fn is_measuring(&self) -> bool {
        self.course.as_ref().is_some_and(|course| matches!(course.state, State::Probing | State::Rising { .. }))
    }

    fn reset(&mut self) {
        self.course = None;
    }

    fn save(&self, to: &mut Writer) {
        to.option(self.course.as_ref(), |to, course| course.save(to));
    }
}

impl BucketEstimator {
    /// One that goes on where another has ended ([`RateEstimator::save`]).
    pub(super) fn load(from: &mut Reader<'_>) -> Option<Box<dyn RateEstimator>> {
        Some(Box::new(Self { course: from.option(Course::load)? }))
    }
}

/// The number and the sum (see [`scatter`]) of what was accepted and had left until `until`, `within` before that.
fn accepted_within(log: &SendLog, until: Instant, within: Duration) -> (usize, f64) {
    let amounts = log.accepted(until.checked_sub(within), until).map(|entry| entry.amount as f64);
    (amounts.clone().count(), amounts.clone().sum::<f64>() * (1.0 + scatter(amounts)))
}

impl Course {
    /// After the first refusal. `believed` is a limit that was kept to until now.
    fn begin(refusal: Refusal, evidence: Evidence, believed: Option<f64>) -> (Self, Estimate) {
        let Refusal { left, heard, asked } = refusal;
        let Evidence { minute, accepted } = evidence;
        let span = accepted.first().map_or(0.1, |first| first.ago.max(0.1));
        // A bucket of a minute's worth, or one that holds next to nothing: the truth is between them.
        let between = (minute / (span + 60.0) * minute / span).sqrt() * 60.0;
        let (state, limit, pause) = match (believed, asked.unwrap_or_default()) {
            // Learned by an earlier run: it was somewhat too high.
            (Some(believed), asked) => (State::Settled, minute.clamp(believed * 0.85, believed * 0.95), asked),
            (None, asked) if asked >= WINDOW_LIKE => (State::Window, minute, asked),
            (None, asked) => (State::Probing, between, asked.max(PROBE)),
        };
        let course = Self {
            state,
            most: pace(&accepted) * 60.0,
            burst: accepted,
            spans: Vec::new(),
            refused_at: left,
            heard_at: heard,
            spent_at: left,
            limit,
            raised_at: heard + pause,
        };
        (course, Estimate { limit, pause })
    }

    /// After another one. `spent` is what was accepted in the minute before [`Self::spent_at`], by what is known now.
    fn refused_again(&mut self, refusal: Refusal, evidence: Evidence, spent: f64) -> Estimate {
        let Refusal { left, heard, asked } = refusal;
        let Evidence { minute, accepted } = evidence;
        let span = Span { long: left.saturating_duration_since(self.refused_at).as_secs_f64().max(0.1), accepted };
        let mut pause = asked.unwrap_or_default();
        (self.state, self.limit) = if span.accepted.iter().all(|past| past.ago >= span.long - self.deaf()) {
            // Nothing was accepted since, after a pause: a window.
            if self.state == State::Window {
                // One that does not slide, and began later than was thought.
                pause = pause.max(NEXT_WINDOW);
            }
            (State::Window, if self.state == State::Window { self.limit } else { spent })
        } else {
            self.spent_at = left;
            pause = pause.max(RECOVER);
            match self.state {
                State::Probing | State::Rising { .. } => self.measured(span),
                State::Window => {
                    // What was used up was new when it was asked after the last refusal, at the latest.
                    let minute = if span.long < 120.0 { minute.min(span.sum()) } else { minute };
                    (State::Window, minute.clamp(self.limit * 0.5, self.limit * 0.98))
                }
                State::Settled => {
                    let scatter = scatter(span.accepted.iter().map(|past| past.amount));
                    let mean = if span.long < 60.0 { span.sum() / span.long * 60.0 * (1.0 + scatter) } else { minute };
                    (State::Settled, mean.clamp(self.limit * 0.8, self.limit * 0.985))
                }
            }
        };
        (self.refused_at, self.heard_at, self.raised_at) = (left, heard, heard + pause);
        Estimate { limit: self.limit, pause }
    }

    /// The bucket was empty again. The highest rate that explains it all is kept to: one too high is heard of and corrected,
    /// one too low never.
    fn measured(&mut self, span: Span) -> (State, f64) {
        let amount = span.sum() / span.accepted.len() as f64;
        let scatter = scatter(span.accepted.iter().map(|past| past.amount));
        self.spans.push(span);
        let (low, high) = Bucket { burst: &self.burst, spans: &self.spans, amount }.rates(self.limit / 60.0);
        let error = (high - low) / (high + low);
        if self.state == State::Probing && error > EXACT {
            return (State::Rising { by: 0.05 * error / amount }, low * 60.0 * (1.0 - error / 2.0));
        }
        self.burst.clear();
        self.spans.clear();
        (State::Settled, high * 60.0 * (1.0 + scatter))
    }

    /// Seconds for which the last refusal was on its way.
    fn deaf(&self) -> f64 {
        self.heard_at.saturating_duration_since(self.refused_at).as_secs_f64()
    }

    /// The limit as it is now that something is sent which had to wait for it.
    fn raise(&mut self, now: Instant) -> f64 {
        let rate = self.limit / 60.0;
        // The slower, the longer it takes to send enough.
        let rise = match self.state {
            State::Window | State::Settled => return self.limit,
            State::Probing => (0.04 * rate).clamp(0.08, 0.25),
            State::Rising { by } => (by * rate).clamp(0.003, 0.06),
        };
        let rise = if self.limit > self.most { rise.min(CAREFUL) } else { rise };
        let seconds = now.saturating_duration_since(self.raised_at).as_secs_f64().min(1.0);
        self.raised_at = self.raised_at.max(now);
        self.limit *= (1.0 + rise).powf(seconds);
        self.limit
    }
}

/// What is kept of a course that workers share.
impl Course {
    fn save(&self, to: &mut Writer) {
        match self.state {
            State::Probing => to.byte(0),
            State::Rising { by } => {
                to.byte(1);
                to.float(by);
            }
            State::Window => to.byte(2),
            State::Settled => to.byte(3),
        }
        save_past(&self.burst, to);
        to.number(self.spans.len() as u64);
        for span in &self.spans {
            to.float(span.long);
            save_past(&span.accepted, to);
        }
        for at in [self.refused_at, self.heard_at, self.spent_at, self.raised_at] {
            to.instant(at);
        }
        to.float(self.limit);
        to.float(self.most);
    }

    fn load(from: &mut Reader<'_>) -> Option<Self> {
        let state = match from.byte()? {
            0 => State::Probing,
            1 => State::Rising { by: from.float()? },
            2 => State::Window,
            3 => State::Settled,
            _ => return None,
        };
        let burst = load_past(from)?;
        let spans = (0..from.length()?).map(|_| Some(Span { long: from.float()?, accepted: load_past(from)? }));
        let spans = spans.collect::<Option<_>>()?;
        let (refused_at, heard_at, spent_at, raised_at) = (from.instant()?, from.instant()?, from.instant()?, from.instant()?);
        let (limit, most) = (from.float()?, from.float()?);
        Some(Self { state, burst, spans, refused_at, heard_at, spent_at, limit, most, raised_at })
    }
}

/// Writes what was sent in the past; of very many, pairs as one.
fn save_past(past: &[Past], to: &mut Writer) {
    let together = past.len().div_ceil(MOST_SAVED).max(1);
    to.number(past.len().div_ceil(together) as u64);
    for pair in past.chunks(together) {
        to.duration(Duration::from_secs_f64(pair.last().map_or(0.0, |last| last.ago.max(0.0))));
        to.float(pair.iter().map(|past| past.amount).sum());
    }
}

fn load_past(from: &mut Reader<'_>) -> Option<Vec<Past>> {
    let read = |from: &mut Reader<'_>| Some(Past { ago: from.duration()?.as_secs_f64(), amount: from.float()? });
    (0..from.length()?).map(|_| read(from)).collect()
}
