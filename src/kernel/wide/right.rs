//! The right matrix of a product in 16 bits.

use std::ops::Range;

use super::Pair;
use crate::COLUMNS;
use crate::lanes::Lanes;

/// The largest magnitude on the left.
pub(super) const LEFT: f32 = 8191.0;
/// The largest magnitude on the right: with one on the left it is still a number of 16 bits.
const RIGHT: f32 = 24_000.0;
/// Rows of the right matrix that are summed up in 32 bits, and columns of it that stay together: so many of both (288 KiB) leave
/// room in the second cache (half a megabyte of a core). All rows of the left matrix pass by before the next ones are fetched.
pub(super) const BLOCK: usize = 384;

/// Pairs of a column that are summed up in 32 bits, at most.
pub(super) const DEPTH: usize = BLOCK / 2;

/// A pair of each column of a panel: a line of the cache.
#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
pub(super) struct Line(pub(super) [Pair; COLUMNS]);

/// Some rows of the right matrix, in panels of [`COLUMNS`] columns.
#[derive(Debug)]
pub(super) struct Block {
    /// Pairs a column, an even number.
    depth: usize,
    lines: Vec<Line>,
    /// One for each panel.
    columns: Vec<Columns>,
}

/// What is taken away from the sums of a panel, what they are multiplied by, and what is added then. Zeros beyond the last column.
#[derive(Debug, Clone, Default)]
#[repr(align(64))]
pub(super) struct Columns {
    pub(super) own: [i32; COLUMNS],
    scales: [f32; COLUMNS],
    biases: [f32; COLUMNS],
}

impl Block {
    pub(super) fn new<'a>(count: usize, columns: impl ExactSizeIterator<Item = &'a [f32]>, biases: &[f32]) -> Self {
        let (depth, panels) = (depth(count), columns.len().div_ceil(COLUMNS));
        let mut lines = vec![Line([0; COLUMNS]); depth * panels];
        let mut of_panels = vec![Columns::default(); panels];
        for (panel, biases) in of_panels.iter_mut().zip(biases.chunks(COLUMNS)) {
            for (place, bias) in panel.biases.iter_mut().zip(biases) {
                *place = *bias;
            }
        }
        let mut rounded = vec![0; depth];
        for (at, column) in columns.enumerate() {
            let scale = scale_of_column(column);
            for (pair, (low, high)) in rounded.iter_mut().zip(halves(column)) {
                // Within 16 bits by the scale.
                *pair = pair_of((low * scale).round() as i16, (high * scale).round() as i16);
            }
            let (panel, place) = (at / COLUMNS, at % COLUMNS);
            for (line, pair) in lines.get_mut(panel * depth..).unwrap_or_default().iter_mut().zip(&rounded) {
                if let Some(place) = line.0.get_mut(place) {
                    *place = *pair;
                }
            }
            if let Some(panel) = of_panels.get_mut(panel) {
                for (scales, own) in panel.scales.iter_mut().zip(&mut panel.own).skip(place).take(1) {
                    (*scales, *own) = (scale.recip(), own_products(&rounded));
                }
            }
        }
        Self { depth, lines, columns: of_panels }
    }

    /// Some panels, one after the other.
    pub(super) fn panels(&self, panels: Range<usize>) -> impl Iterator<Item = (&[Line], &Columns)> {
        let lines = self.lines.get(panels.start * self.depth..).unwrap_or_default().chunks_exact(self.depth.max(1));
        lines.zip(self.columns.get(panels).unwrap_or_default())
    }
}

impl Columns {
    /// What becomes of the sums of a row.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "compiled for what calls it")]
    pub(super) fn finish<L: Lanes>(&self, lanes: L, sums: [i32; COLUMNS], row: f32) -> L::Numbers {
        let scales = lanes.mul(lanes.splat(row), lanes.load(&self.scales));
        lanes.fused(lanes.nearest(&sums), scales, lanes.load(&self.biases))
    }
}

/// The largest factor with which no sum of a block leaves 32 bits and no number 16.
fn scale_of_column(column: &[f32]) -> f32 {
    let sum = column.iter().map(|x| x.abs()).sum::<f32>();
    let max = column.iter().fold(0.0, |max: f32, x| max.max(x.abs()));
    // A rounded number is half a step larger at most: 2^31 less what that adds to a sum of a block.
    let room = (2_147_483_648.0 - LEFT * BLOCK as f32) * 0.999;
    (room / (LEFT * sum)).min(RIGHT / max).clamp(f32::MIN_POSITIVE, 1e30)
}

/// Pairs that so many numbers, an even count, fill: an even number.
pub(super) fn depth(count: usize) -> usize {
    (count / 2).next_multiple_of(2)
}

fn pair_of(low: i16, high: i16) -> Pair {
    (Pair::from(low) & 0xffff) | (Pair::from(high) << 16)
}

fn numbers_of(pair: Pair) -> [i16; 2] {
    [pair as i16, (pair >> 16) as i16]
}

/// What neighbouring pairs have in common with each other instead of with those of the other matrix.
pub(super) fn own_products(pairs: &[Pair]) -> i32 {
    let mut sum = 0_i32;
    for [a, b] in pairs.as_chunks::<2>().0 {
        for (a, b) in numbers_of(*a).into_iter().zip(numbers_of(*b)) {
            sum = sum.wrapping_add(i32::from(a) * i32::from(b));
        }
    }
    sum
}

/// The numbers that are paired: those of the first half with those of the second, so that both halves are read in order.
fn halves(numbers: &[f32]) -> impl Iterator<Item = (f32, f32)> {
    let (low, high) = numbers.split_at(numbers.len() / 2);
    low.iter().copied().zip(high.iter().copied())
}
