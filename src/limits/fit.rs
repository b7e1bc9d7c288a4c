//! The bucket that explains what was accepted and what was refused.

/// Rates that are tried to find the one that explains all refusals.
const STEPS: u32 = 200;

/// The number of requests that tell the pace at which they were sent.
const LAST: usize = 8;

/// An amount that was sent, so many seconds before a refusal.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Past {
    pub(super) ago: f64,
    pub(super) amount: f64,
}

/// The amounts that were accepted between two refusals.
#[derive(Debug)]
pub(super) struct Span {
    /// Seconds.
    pub(super) long: f64,
    pub(super) accepted: Vec<Past>,
}

impl Span {
    pub(super) fn sum(&self) -> f64 {
        self.accepted.iter().map(|past| past.amount).sum()
    }
}

/// A bucket that was empty at each refusal.
pub(super) struct Bucket<'a> {
    /// The amounts that were accepted before the first, and between each and the next.
    pub(super) burst: &'a [Past],
    pub(super) spans: &'a [Span],
    /// The amount that is sent at once, on average. An "empty" bucket holds less: half of it is assumed.
    pub(super) amount: f64,
}

impl Bucket<'_> {
    /// The size of a bucket of this rate if the burst emptied it.
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
    pub(super) fn rates(&self, most: f64) -> (f64, f64) {
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
pub(super) fn pace(sent: &[Past]) -> f64 {
    let mut last = sent.iter().rev().take(LAST);
    let sum: f64 = last.clone().map(|past| past.amount).sum();
    last.next_back().filter(|_| sent.len() >= LAST).map_or(f64::MAX, |first| 1.1 * sum / first.ago.max(1e-3))
}
