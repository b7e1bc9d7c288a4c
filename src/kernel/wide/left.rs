//! The left matrix of a product in 16 bits.

use super::right::{BLOCK, DEPTH, LEFT, depth};
use super::{Multiply, Pair};
use crate::lanes::Lanes as _;
use crate::rows::fold;

/// Adding 1.5 · 2^23 to a small number rounds it and leaves it in the low bits.
const ROUND: f32 = 12_582_912.0;

/// Some columns of the left matrix: those that are multiplied with one block.
#[derive(Debug, Default)]
pub(super) struct Left {
    /// Pairs a row, an even number.
    depth: usize,
    /// Each row as far from the next one as any other: the compiler needs the address of the first one alone. Some at the end are there
    /// to make the last strip full.
    pairs: Vec<[Pair; DEPTH]>,
    rows: Vec<Row>,
}

/// What is taken away from the sums of a row, and what they are multiplied by then.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Row {
    pub(super) own: i32,
    pub(super) scale: f32,
}

/// Rows of a [`Left`] that are multiplied at once.
pub(super) struct Strip<'a, const ROWS: usize> {
    /// Pairs a row, an even number.
    pub(super) depth: usize,
    pub(super) pairs: &'a [[Pair; DEPTH]; ROWS],
    /// Those that there are, at least one.
    pub(super) rows: &'a [Row],
}

impl Left {
    /// Another shape, in the memory that is there, for strips of so many rows; what stands in it is to be overwritten.
    pub(super) fn reshape<const ROWS: usize>(&mut self, rows: usize, width: usize) {
        self.depth = depth(width);
        self.pairs.resize(rows.next_multiple_of(ROWS), [0; DEPTH]);
        self.rows.resize(rows, Row::default());
    }

    /// Its rows, to be overwritten by [`round`].
    pub(super) fn rows_mut(&mut self) -> impl Iterator<Item = (&mut [Pair], &mut Row)> {
        let depth = self.depth;
        self.pairs.iter_mut().map(move |row| row.get_mut(..depth).unwrap_or_default()).zip(&mut self.rows)
    }

    /// Rounds the rows of a matrix, for one block after the other.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "compiled for what calls it")]
    pub(super) fn fill<const ROWS: usize>(by: impl Multiply<ROWS>, all: &mut Vec<Self>, numbers: &[f32], width: usize) {
        all.resize_with(width.div_ceil(BLOCK), Self::default);
        for (left, from) in all.iter_mut().zip((0..width).step_by(BLOCK)) {
            let columns = from..width.min(from + BLOCK);
            left.reshape::<ROWS>(numbers.len() / width, columns.len());
            for (row, place) in numbers.chunks_exact(width).zip(left.rows_mut()) {
                round(by, row.get(columns.clone()).unwrap_or_default(), place);
            }
        }
    }

    #[inline(always)]
    #[allow(clippy::inline_always, reason = "compiled for what calls it")]
    pub(super) fn strips<const ROWS: usize>(&self) -> impl Iterator<Item = Strip<'_, ROWS>> {
        let strips = self.pairs.as_chunks().0.iter().zip(self.rows.chunks(ROWS));
        strips.map(|(pairs, rows)| Strip { depth: self.depth, pairs, rows })
    }
}

/// Rounds a row.
#[inline(always)]
#[allow(clippy::inline_always, reason = "compiled for what calls it")]
pub(super) fn round<const ROWS: usize>(by: impl Multiply<ROWS>, numbers: &[f32], (pairs, row): (&mut [Pair], &mut Row)) {
    let greater = |a: f32, b: f32| if b > a { b } else { a };
    let lanes = by.lanes();
    let largest = |max, x| lanes.greater(max, lanes.greater(x, lanes.sub(lanes.splat(0.0), x)));
    let max = fold(lanes, numbers, f32::MIN_POSITIVE, largest, |max, x| greater(max, x.abs()), greater);
    let scale = LEFT / max.max(1e-30);
    let (low, high) = numbers.split_at(numbers.len() / 2);
    let (rounded, rest) = pairs.split_at_mut_checked(low.len()).unwrap_or_default();
    for ((pair, low), high) in rounded.iter_mut().zip(low).zip(high) {
        let (low, high) = ((low * scale + ROUND).to_bits(), (high * scale + ROUND).to_bits());
        *pair = ((low & 0xffff) | (high << 16)) as Pair;
    }
    rest.fill(0);
    *row = Row { own: by.own(pairs), scale: scale.recip() };
}
