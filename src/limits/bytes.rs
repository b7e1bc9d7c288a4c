//! The bytes of a state that workers share: small numbers take a byte, times are microseconds of the clock that all go by.

use std::time::Duration;

use tokio::time::Instant;

/// What a reader makes of a length that no state has: nothing is allocated for what a damaged one claims.
const MOST: u64 = 100_000;

/// A clock that is not this machine's, at one moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    /// The moment by this machine's clock.
    pub(super) now: Instant,
    /// The same moment, in microseconds of the other one.
    pub(super) micros: i64,
}

impl Clock {
    /// A time of the other clock by this machine's. One before this machine's clock began is told as now: what is counted from
    /// then counts for longer.
    pub(super) fn instant(self, micros: i64) -> Instant {
        let apart = Duration::from_micros(micros.abs_diff(self.micros));
        let at = if micros < self.micros { self.now.checked_sub(apart) } else { self.now.checked_add(apart) };
        at.unwrap_or(self.now)
    }

    /// A time of this machine's clock by the other one.
    pub(super) fn micros(self, at: Instant) -> i64 {
        let apart = |long: Duration| i64::try_from(long.as_micros()).unwrap_or(i64::MAX);
        if at < self.now {
            self.micros.saturating_sub(apart(self.now - at))
        } else {
            self.micros.saturating_add(apart(at - self.now))
        }
    }
}

/// Writes a state.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) bytes: Vec<u8>,
    pub(super) clock: Clock,
}

impl Writer {
    pub(super) fn byte(&mut self, byte: u8) {
        self.bytes.push(byte);
    }

    /// Seven bits a byte, the lowest first.
    pub(super) fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.bytes.push((number & 0x7f) as u8 | 0x80);
            number >>= 7;
        }
        self.bytes.push(number as u8);
    }

    /// A small one on either side of 0.
    pub(super) fn signed(&mut self, number: i64) {
        self.number(((number << 1) ^ (number >> 63)).cast_unsigned());
    }

    pub(super) fn float(&mut self, float: f64) {
        self.bytes.extend_from_slice(&float.to_le_bytes());
    }

    pub(super) fn duration(&mut self, long: Duration) {
        self.number(u64::try_from(long.as_micros()).unwrap_or(u64::MAX));
    }

    pub(super) fn instant(&mut self, at: Instant) {
        let apart = self.clock.micros(at).saturating_sub(self.clock.micros);
        self.signed(apart);
    }

    pub(super) fn option<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        self.byte(value.is_some().into());
        if let Some(value) = value {
            write(self, value);
        }
    }
}

/// Reads a state. `None` wherever it is not one.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) clock: Clock,
    /// The moment at which it was written, in microseconds of the other clock.
    pub(super) written: i64,
}

impl Reader<'_> {
    pub(super) fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        Some(*first)
    }

    pub(super) fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    pub(super) fn length(&mut self) -> Option<usize> {
        usize::try_from(self.number().filter(|&number| number <= MOST)?).ok()
    }

    pub(super) fn signed(&mut self) -> Option<i64> {
        let number = self.number()?;
        Some((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
    }

    /// One that is a number, or without bounds.
    pub(super) fn float(&mut self) -> Option<f64> {
        let (first, rest) = self.bytes.split_first_chunk()?;
        self.bytes = rest;
        Some(f64::from_le_bytes(*first)).filter(|float| !float.is_nan())
    }

    pub(super) fn duration(&mut self) -> Option<Duration> {
        self.number().map(Duration::from_micros)
    }

    pub(super) fn instant(&mut self) -> Option<Instant> {
        let apart = self.signed()?;
        Some(self.clock.instant(self.written.saturating_add(apart)))
    }

    #[expect(clippy::option_option, reason = "nothing was written, or what was is none")]
    pub(super) fn option<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<Option<T>> {
        match self.byte()? {
            0 => Some(None),
            1 => read(self).map(Some),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(number: u64, signed: i64, float in -1e300_f64..1e300, micros in -1_000_000_000_i64..1_000_000_000) {
            let clock = Clock { now: Instant::now(), micros: 1_800_000_000_000_000 };
            let mut to = Writer { bytes: Vec::new(), clock };
            let at = clock.instant(clock.micros + micros);
            to.number(number);
            to.signed(signed);
            to.float(float);
            to.instant(at);
            to.option(Some(number), Writer::number);
            to.option(None, Writer::number);
            let mut from = Reader { bytes: &to.bytes, clock, written: clock.micros };
            prop_assert_eq!(from.number(), Some(number));
            prop_assert_eq!(from.signed(), Some(signed));
            prop_assert_eq!(from.float(), Some(float));
            prop_assert_eq!(from.instant(), Some(at));
            prop_assert_eq!(from.option(Reader::number), Some(Some(number)));
            prop_assert_eq!(from.option(Reader::number), Some(None));
            prop_assert!(from.bytes.is_empty() && from.byte().is_none());
        }
    }
}
