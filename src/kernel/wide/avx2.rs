//! Sums by AVX2.
//!
//! `vpmaddwd` multiplies sixteen pairs of 16-bit numbers and adds neighbours into eight sums of 32 bits. (8 bits would be no faster
//! without VNNI: there `vpmaddubsw` and `vpmaddwd` are needed for what one `vpmaddwd` does here, and its sums saturate.)
//!
//! What bounds it: every `vpmaddwd` needs a `vpaddd`. By the first alone a Zen 3 at 3.1 GHz does 200 billion multiplications and
//! additions a second, by both 166, from registers, in whatever order and in tiles of whatever shape: a sum often takes one of the
//! two units (of four) that can multiply. (With shuffles in their place, which take the other two, it is 190.) So half of the
//! multiplications are turned into additions, which is worth 178 (Winograd 1968, "A new algorithm for inner product", IEEE
//! Transactions on Computers C-17):
//!
//! `x₀·w₀ + x₁·w₁ = (x₀ + w₁)·(x₁ + w₀) - x₀·x₁ - w₀·w₁`
//!
//! The last two are summed up once for a row and once for a column. Sums of 32 bits wrap round on the way and are exact in the end.

use std::arch::x86_64::{__m256, __m256i};
use std::ops::Range;

use pulp::x86::V3;

use super::left::{Row, Strip};
use super::right::{Block, Columns, Line, own_products};
use super::{Multiply, Pair, Sums};
use crate::COLUMNS;

/// With [`COLUMNS`] they fill the sixteen registers: eight sums, four of the right matrix, two of the left one, two for what is between.
pub(super) const ROWS: usize = 4;

impl Multiply<ROWS> for V3 {
    type Lanes = Self;

    #[inline(always)]
    #[allow(clippy::inline_always, reason = "compiled for what calls it")]
    fn lanes(self) -> Self {
        self
    }

    /// As [`own_products`], four at a time: a pair and its neighbour, and once more the other way round, which is left aside.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "compiled for what calls it")]
    fn own(self, pairs: &[Pair]) -> i32 {
        let (chunks, rest) = pairs.as_chunks::<8>();
        let mut sums = self.avx._mm256_setzero_si256();
        for chunk in chunks {
            let pairs = pulp::cast(*chunk);
            let products = self.avx2._mm256_madd_epi16(pairs, self.avx2._mm256_shuffle_epi32::<0b10_11_00_01>(pairs));
            sums = self.avx2._mm256_add_epi32(sums, products);
        }
        let [a, _, b, _, c, _, d, _]: [i32; 8] = pulp::cast(sums);
        a.wrapping_add(b).wrapping_add(c).wrapping_add(d).wrapping_add(own_products(rest))
    }

    #[inline(always)]
    #[allow(clippy::inline_always, reason = "compiled for what calls it")]
    fn multiply(self, strip: &Strip<'_, ROWS>, block: &Block, panels: Range<usize>, mut sums: Sums<'_>) {
        sums.fetch();
        let mut rows = [Row::default(); ROWS];
        for (place, row) in rows.iter_mut().zip(strip.rows) {
            *place = *row;
        }
        for ((lines, columns), from) in block.panels(panels).zip((sums.from..).step_by(COLUMNS)) {
            let [a, b, c, d] = tile(self, strip, lines);
            let [of_a, of_b, of_c, of_d] = rows;
            // Row by row, not in a loop over them: for that one, the sums would not stay in registers.
            sums.put(self, 0, from, finish(self, columns, a, of_a));
            sums.put(self, 1, from, finish(self, columns, b, of_b));
            sums.put(self, 2, from, finish(self, columns, c, of_c));
            sums.put(self, 3, from, finish(self, columns, d, of_d));
        }
    }
}

/// Takes away what is a row's and the columns' own.
#[inline(always)]
#[allow(clippy::inline_always, reason = "compiled for what calls it")]
fn finish(v3: V3, columns: &Columns, mut sums: [__m256i; 2], row: Row) -> [__m256; 2] {
    let own: [__m256i; 2] = pulp::cast(columns.own);
    for (sum, own) in sums.iter_mut().zip(own) {
        *sum = v3.avx2._mm256_sub_epi32(*sum, v3.avx2._mm256_add_epi32(own, v3.avx._mm256_set1_epi32(row.own)));
    }
    columns.finish(v3, pulp::cast(sums), row.scale)
}

/// The sums of some rows with the columns of a panel, from which what is their own is yet to be taken away.
#[inline(always)]
#[allow(clippy::inline_always, reason = "compiled for what calls it")]
fn tile(v3: V3, strip: &Strip<'_, ROWS>, panel: &[Line]) -> [[__m256i; 2]; ROWS] {
    let mut sums = [[v3.avx._mm256_setzero_si256(); 2]; ROWS];
    let [a, b, c, d] = strip.pairs.each_ref().map(|row| row.as_chunks().0);
    for ((((right, a), b), c), d) in panel.as_chunks().0.iter().zip(a).zip(b).zip(c).zip(d) {
        step(v3, &mut sums, [a, b, c, d], right);
    }
    sums
}

/// Left pairs by reference: both of a row at once would be one load and be taken apart again.
#[inline(always)]
#[allow(clippy::inline_always, reason = "the innermost of all loops")]
fn step(v3: V3, sums: &mut [[__m256i; 2]; ROWS], left: [&[Pair; 2]; ROWS], [first, second]: &[Line; 2]) {
    let (first, second): ([__m256i; 2], [__m256i; 2]) = (pulp::cast(first.0), pulp::cast(second.0));
    for (sums, [a, b]) in sums.iter_mut().zip(left) {
        let (a, b) = (v3.avx._mm256_set1_epi32(*a), v3.avx._mm256_set1_epi32(*b));
        for ((sum, first), second) in sums.iter_mut().zip(first).zip(second) {
            let (a, b) = (v3.avx2._mm256_add_epi16(a, second), v3.avx2._mm256_add_epi16(b, first));
            *sum = v3.avx2._mm256_add_epi32(*sum, v3.avx2._mm256_madd_epi16(a, b));
        }
    }
}
