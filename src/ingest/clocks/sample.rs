//! How long requests were on the wire: a sample that is as likely to hold any of them, of a bounded size.

use std::time::Duration;

use tokio::time::Instant;

/// Requests that are kept. A mean of so many is off by 2 % where the spread is half the mean.
const KEPT: usize = 512;

/// The latencies of some requests, and how many there were.
///
/// Vitter's algorithm R ("Random Sampling with a Reservoir", ACM TOMS 11(1), 1985) with a generator of its own: which of the
/// requests are kept need not be unforeseeable.
#[derive(Debug, Clone, Default)]
pub struct Latencies {
    kept: Vec<f32>,
    seen: u64,
    sum: f64,
    state: u64,
    first_left: Option<Instant>,
    last_came: Option<Instant>,
}

impl Latencies {
    pub(super) fn note(&mut self, took: Duration, came: Instant) {
        self.first_left = self.first_left.or(came.checked_sub(took));
        self.last_came = self.last_came.max(Some(came));
        self.seen += 1;
        self.sum += took.as_secs_f64();
        if self.kept.len() < KEPT {
            self.kept.push(took.as_secs_f32());
            return;
        }
        // Knuth's MMIX generator; its high bits are the good ones.
        self.state = self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let place = (self.state >> 33) % self.seen;
        if let Some(kept) = usize::try_from(place).ok().and_then(|place| self.kept.get_mut(place)) {
            *kept = took.as_secs_f32();
        }
    }

    /// How many requests there were.
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// The mean of all, in seconds; `None` before the first.
    pub fn mean(&self) -> Option<f64> {
        (self.seen > 0).then(|| self.sum / self.seen as f64)
    }

    /// When the first of them left, and the last came back.
    pub(super) fn span(&self) -> Option<(Instant, Instant)> {
        self.first_left.zip(self.last_came)
    }

    /// Some of them, in seconds, in no order.
    pub fn kept(&self) -> &[f32] {
        &self.kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_is_bounded_and_like_the_whole() {
        let mut latencies = Latencies::default();
        for n in 0..100_000_u32 {
            latencies.note(Duration::from_millis(u64::from(n) / 100), Instant::now());
        }
        assert_eq!((latencies.seen(), latencies.kept().len()), (100_000, KEPT));
        let mean = f64::from(latencies.kept().iter().sum::<f32>()) / KEPT as f64;
        // Evenly spread over 0..1 s: one deviation of the mean of 512 is 0.013.
        assert!((mean - 0.5).abs() < 0.05, "{mean}");
        assert!(latencies.mean().is_some_and(|mean| (mean - 0.4995).abs() < 1e-6));
    }
}
