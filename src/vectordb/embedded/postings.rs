//! Postings: for a term, the rows of a segment that have it, counted from the segment's first, each with the term's weight there.
//!
//! A row is kept as its distance to the one before, seven bits a byte; its weight follows in half precision.

use half::f16;

/// The least weight that is kept: the smallest that half precision keeps in full.
const LEAST: f32 = 6.103_515_6e-5;
/// The largest weight that is kept.
const MOST: f32 = 65_504.0;

/// A weight as it is kept. Of what cannot be kept the nearest is; `None` for what is no weight.
pub(super) fn to_half(weight: f32) -> Option<u16> {
    if !weight.is_finite() || weight == 0.0 {
        return None;
    }
    Some(f16::from_f32(weight.abs().clamp(LEAST, MOST).copysign(weight)).to_bits())
}

/// A kept weight. None of them is infinite or below the smallest normal number, so that this is all there is to it.
pub(super) fn from_half(bits: u16) -> f32 {
    let bits = u32::from(bits);
    f32::from_bits((bits & 0x8000) << 16 | ((bits & 0x7fff) << 13) + 0x3800_0000)
}

/// Adds a row to postings whose last is `last` (`None`: there is none yet). Rows ascend.
pub(super) fn push(postings: &mut Vec<u8>, last: Option<u32>, row: u32, weight: u16) {
    let mut distance = row.wrapping_sub(last.unwrap_or(0));
    while distance >= 0x80 {
        postings.push(distance as u8 | 0x80);
        distance >>= 7;
    }
    postings.push(distance as u8);
    postings.extend(weight.to_le_bytes());
}

/// A term's postings, read one after the other. What is cut off or out of range ends them early: see [`Self::is_whole`].
#[derive(Debug, Clone)]
pub(super) struct Postings<'a> {
    bytes: &'a [u8],
    row: u32,
    rows: u32,
    whole: bool,
}

impl<'a> Postings<'a> {
    /// Postings of a segment of so many rows.
    pub(super) fn new(bytes: &'a [u8], rows: u32) -> Self {
        Self { bytes, row: 0, rows, whole: true }
    }

    /// Whether all of what was read up to the end made sense.
    pub(super) fn is_whole(&self) -> bool {
        self.whole
    }
}

impl Iterator for Postings<'_> {
    type Item = (u32, u16);

    #[inline]
    fn next(&mut self) -> Option<(u32, u16)> {
        let (&first, mut rest) = self.bytes.split_first()?;
        let mut distance = u32::from(first & 0x7f);
        let (mut byte, mut shift) = (first, 7);
        while byte & 0x80 != 0 {
            let Some((&next, after)) = rest.split_first().filter(|_| shift < 32) else {
                (self.whole, self.bytes) = (false, &[]);
                return None;
            };
            (byte, rest) = (next, after);
            distance |= u32::from(byte & 0x7f) << shift;
            shift += 7;
        }
        let row = self.row.wrapping_add(distance);
        let Some((weight, rest)) = rest.split_first_chunk::<2>().filter(|_| row < self.rows) else {
            (self.whole, self.bytes) = (false, &[]);
            return None;
        };
        (self.row, self.bytes) = (row, rest);
        Some((row, u16::from_le_bytes(*weight)))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may panic")]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn postings_come_back(kept in prop::collection::btree_map(0_u32..3_000_000, 1e-4_f32..3.0, 0..100)) {
            let kept: BTreeMap<u32, u16> = kept.into_iter().map(|(row, weight)| (row, to_half(weight).unwrap())).collect();
            let (mut bytes, mut last) = (Vec::new(), None);
            for (row, weight) in &kept {
                push(&mut bytes, last, *row, *weight);
                last = Some(*row);
            }
            let mut read = Postings::new(&bytes, 3_000_000);
            prop_assert_eq!(read.by_ref().collect::<BTreeMap<_, _>>(), kept);
            prop_assert!(read.is_whole());
        }

        /// Half precision is what it is: 11 bits.
        #[test]
        fn a_weight_is_kept_to_five_in_ten_thousand(weight in 7e-5_f32..60_000.0, negative in any::<bool>()) {
            let weight = if negative { -weight } else { weight };
            let kept = to_half(weight).unwrap();
            prop_assert_eq!(from_half(kept), f16::from_bits(kept).to_f32());
            prop_assert!((from_half(kept) / weight - 1.0).abs() < 5e-4);
        }

        #[test]
        fn garbage_ends_early_and_never_leaves_the_segment(bytes in prop::collection::vec(any::<u8>(), 0..200), rows in 0_u32..1000) {
            prop_assert!(Postings::new(&bytes, rows).all(|(row, _)| row < rows));
        }
    }

    #[test]
    fn what_is_no_weight_is_not_kept() {
        assert_eq!([to_half(0.0), to_half(f32::NAN), to_half(f32::INFINITY)], [None; 3]);
        assert!(from_half(to_half(1e-30).unwrap()) > 0.0 && from_half(to_half(1e30).unwrap()).is_finite());
    }
}
