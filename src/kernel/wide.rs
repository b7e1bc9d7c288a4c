//! Products in 16 bits, for AVX2: twice as many multiplications an instruction as in single precision, and no sum that is cut.
//!
//! `vpmaddwd` multiplies sixteen pairs of 16-bit numbers and adds neighbours into eight sums of 32 bits, all of them exact.
//! Numbers are scaled to 14 bits for each row of the left matrix, and for each column of the right one to as much as its sums
//! leave room for: no sum can overflow, whatever the left matrix holds. (8 bits would be no faster without VNNI: there
//! `vpmaddubsw` and `vpmaddwd` are needed for what one `vpmaddwd` does here, and its sums saturate.)
//!
//! What bounds it: every `vpmaddwd` needs a `vpaddd`. By the first alone a Zen 3 at 3.1 GHz does 200 billion multiplications and
//! additions a second, by both 160 or so, from registers, in whatever order and in tiles of whatever shape.

use std::arch::x86_64::{__m256, __m256i};

use pulp::x86::V3;

use super::rows::fold;
use super::{COLUMNS, ROWS};

/// The largest magnitude on the left.
const LEFT: f32 = 8191.0;
/// Numbers of a column that are summed up in 32 bits; their sums are added in single precision.
const BLOCK: usize = 512;
/// Adding 1.5 · 2^23 to a small number rounds it and leaves it in the low bits.
const ROUND: f32 = 12_582_912.0;

/// Two numbers in 16 bits each: what `vpmaddwd` multiplies and adds.
type Pair = i32;

/// The right matrix, in panels of [`COLUMNS`] columns.
#[derive(Debug)]
pub(super) struct Wide {
    /// Pairs a column.
    depth: usize,
    pairs: Vec<[__m256i; 2]>,
    /// What a column was multiplied by, inverted, for each panel. Zeros beyond the last column.
    scales: Vec<[f32; COLUMNS]>,
}

/// The left matrix.
#[derive(Debug, Default)]
pub(super) struct Left {
    pub(super) pairs: Vec<Pair>,
    /// What a row was multiplied by, inverted.
    pub(super) scales: Vec<f32>,
}

impl Wide {
    /// From a matrix `[columns, depth]`, of an even depth: each of the rows given becomes a column.
    pub(super) fn of_columns<'a>(depth: usize, columns: impl ExactSizeIterator<Item = &'a [f32]>) -> Self {
        let (depth, panels) = (depth / 2, columns.len().div_ceil(COLUMNS));
        let mut pairs = vec![[[0_i16; 16]; 2]; depth * panels];
        let mut scales = vec![[0.0; COLUMNS]; panels];
        for (at, column) in columns.enumerate() {
            let scale = scale_of_column(column);
            let (panel, place) = (at / COLUMNS, at % COLUMNS);
            if let Some(inverse) = scales.get_mut(panel).and_then(|scales| scales.get_mut(place)) {
                *inverse = scale.recip();
            }
            let rows = pairs.get_mut(panel * depth..).unwrap_or_default();
            for (row, (low, high)) in rows.iter_mut().zip(halves(column)) {
                let pair = row.get_mut(place / 8).and_then(|half| half.get_mut(place % 8 * 2..place % 8 * 2 + 2));
                if let Some(pair) = pair {
                    // Within 16 bits by the scale.
                    pair.copy_from_slice(&[(low * scale).round() as i16, (high * scale).round() as i16]);
                }
            }
        }
        let pairs = pairs.into_iter().map(|halves| halves.map(pulp::cast)).collect();
        Self { depth, pairs, scales }
    }

    /// The pairs and the scales of each panel, in the order of their columns.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&[[__m256i; 2]], &[f32; COLUMNS])> {
        self.pairs.chunks_exact(self.depth.max(1)).zip(&self.scales)
    }
}

/// The largest factor with which no sum of a block leaves 32 bits and no number 16.
fn scale_of_column(column: &[f32]) -> f32 {
    let blocks = |numbers: &[f32]| numbers.iter().map(|x| x.abs()).sum::<f32>();
    let (low, high) = column.split_at(column.len() / 2);
    let sum =
        low.chunks(BLOCK / 2).zip(high.chunks(BLOCK / 2)).map(|(low, high)| blocks(low) + blocks(high)).fold(0.0, f32::max);
    let max = column.iter().fold(0.0, |max: f32, x| max.max(x.abs()));
    // A rounded number is half a step larger at most: 2^31 less what that adds to a sum of a block.
    let room = (2_147_483_648.0 - LEFT * BLOCK as f32) * 0.999;
    (room / (LEFT * sum)).min(32_000.0 / max).clamp(f32::MIN_POSITIVE, 1e30)
}

/// The numbers that are paired: those of the first half with those of the second, so that both halves are read in order.
fn halves(numbers: &[f32]) -> impl Iterator<Item = (f32, f32)> {
    let (low, high) = numbers.split_at(numbers.len() / 2);
    low.iter().copied().zip(high.iter().copied())
}

impl Left {
    /// Rounds the rows of a matrix. To be inlined into what runs with AVX2.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "compiled for what calls it")]
    pub(super) fn refill(&mut self, numbers: &[f32], width: usize) {
        // Zeros where there was nothing before: all of it is overwritten.
        self.pairs.resize(numbers.len() / 2, 0);
        self.scales.clear();
        for (row, pairs) in numbers.chunks_exact(width.max(2)).zip(self.pairs.chunks_exact_mut(width.max(2) / 2)) {
            let greater = |a: f32, b: f32| if b > a { b } else { a };
            let max = fold(row, f32::MIN_POSITIVE, |max, x| greater(max, x.abs()), greater);
            let scale = LEFT / max.max(1e-30);
            self.scales.push(scale.recip());
            let (low, high) = row.split_at(width / 2);
            for ((pair, low), high) in pairs.iter_mut().zip(low).zip(high) {
                let (low, high) = ((low * scale + ROUND).to_bits(), (high * scale + ROUND).to_bits());
                *pair = ((low & 0xffff) | (high << 16)) as Pair;
            }
        }
    }
}

/// The products of some rows with the columns of a panel, yet to be scaled.
#[inline(always)]
#[allow(clippy::inline_always, reason = "compiled for what calls it")]
pub(super) fn tile(v3: V3, rows: [&[Pair]; ROWS], panel: &[[__m256i; 2]]) -> [[__m256; 2]; ROWS] {
    let mut sums = [[v3.avx._mm256_setzero_ps(); 2]; ROWS];
    let mut from = 0;
    for panel in panel.chunks(BLOCK / 2) {
        // No `map`: it would be a call.
        let mut parts: [&[Pair]; ROWS] = [&[]; ROWS];
        for (part, row) in parts.iter_mut().zip(&rows) {
            *part = row.get(from..from + panel.len()).unwrap_or_default();
        }
        from += panel.len();
        for (sums, block) in sums.iter_mut().zip(block(v3, parts, panel)) {
            for (sum, x) in sums.iter_mut().zip(block) {
                *sum = v3.avx._mm256_add_ps(*sum, v3.avx._mm256_cvtepi32_ps(x));
            }
        }
    }
    sums
}

#[inline(always)]
#[allow(clippy::inline_always, reason = "compiled for what calls it")]
fn block(v3: V3, rows: [&[Pair]; ROWS], panel: &[[__m256i; 2]]) -> [[__m256i; 2]; ROWS] {
    let mut sums = [[v3.avx._mm256_setzero_si256(); 2]; ROWS];
    let [a, b, c, d, e, f] = rows;
    for ((((((right, a), b), c), d), e), f) in panel.iter().zip(a).zip(b).zip(c).zip(d).zip(e).zip(f) {
        step(v3, &mut sums, [*a, *b, *c, *d, *e, *f], right);
    }
    sums
}

#[inline(always)]
#[allow(clippy::inline_always, reason = "the innermost of all loops")]
fn step(v3: V3, sums: &mut [[__m256i; 2]; ROWS], left: [Pair; ROWS], right: &[__m256i; 2]) {
    for (sums, left) in sums.iter_mut().zip(left) {
        let left = v3.avx._mm256_set1_epi32(left);
        for (sum, right) in sums.iter_mut().zip(right) {
            *sum = v3.avx2._mm256_add_epi32(*sum, v3.avx2._mm256_madd_epi16(left, *right));
        }
    }
}

/// The products of one row with the columns of a panel.
#[inline(always)]
#[allow(clippy::inline_always, reason = "compiled for what calls it")]
pub(super) fn scaled(v3: V3, products: &[__m256; 2], row: f32, columns: &[f32; COLUMNS]) -> [f32; COLUMNS] {
    let (row, columns): (__m256, [__m256; 2]) = (v3.avx._mm256_set1_ps(row), pulp::cast(*columns));
    let [low, high] = products;
    let [of_low, of_high] = columns.map(|column| v3.avx._mm256_mul_ps(row, column));
    pulp::cast([v3.avx._mm256_mul_ps(*low, of_low), v3.avx._mm256_mul_ps(*high, of_high)])
}
