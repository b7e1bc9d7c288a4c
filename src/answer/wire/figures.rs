//! Figures as they are written, no more exactly than they are known.

use std::time::Duration;

pub(super) fn millis(time: Option<Duration>) -> Option<u64> {
    time.map(|time| time.as_millis() as u64)
}

/// A probability is not known more exactly.
pub(super) fn hundredths(probability: f64) -> f64 {
    (probability * 100.0).round() / 100.0
}

/// To the millisecond.
pub(in crate::answer) fn seconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1000.0).round() / 1000.0
}

pub(super) fn as_seconds<S: serde::Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(seconds(*time))
}
