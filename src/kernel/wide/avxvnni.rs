//! Sums by AVX-VNNI, which has the instruction of `vnni` at 256 bits, beside AVX2.
//!
//! What bounds it: the units that multiply. An Emerald Rapids does 166 billion multiplications and additions a second so from registers,
//! 120 as `avx2` has to. Tiles take seven tenths of a model's time, attention a sixth.

use std::arch::x86_64::__m256i;
use std::ops::Range;

use pulp::x86::V3;

use super::left::{Row, Strip};
use super::right::{Block, Line};
use super::vnni::{self, Vnni};
use super::{Multiply, Pair, Sums};
use crate::COLUMNS;
use crate::cpu::AvxVnni;

/// With [`COLUMNS`] they fill the sixteen registers: twelve sums, two of the right matrix, one of the left one.
pub(super) const ROWS: usize = 6;
/// Rows of a short strip.
const FEW: usize = 3;

impl Multiply<ROWS> for AvxVnni {
    type Lanes = V3;

    #[inline(always)]
    #[allow(clippy::inline_always, reason = "compiled for what calls it")]
    fn lanes(self) -> V3 {
        self.v3
    }

    #[inline(always)]
    #[allow(clippy::inline_always, reason = "compiled for what calls it")]
    fn own(self, _pairs: &[Pair]) -> i32 {
        0
    }

    #[inline(always)]
    #[allow(clippy::inline_always, reason = "compiled for what calls it")]
    fn multiply(self, strip: &Strip<'_, ROWS>, block: &Block, panels: Range<usize>, mut sums: Sums<'_>) {
        sums.fetch();
        let mut rows = [Row::default(); ROWS];
        for (place, row) in rows.iter_mut().zip(strip.rows) {
            *place = *row;
        }
        match strip.pairs.first_chunk::<FEW>() {
            Some(pairs) if strip.rows.len() <= FEW => {
                for ((lines, columns), from) in block.panels(panels).zip((sums.from..).step_by(COLUMNS)) {
                    let [[a], [b], [c]] = vnni::tile(self, pairs, strip.depth, &[lines]);
                    let [of_a, of_b, of_c, ..] = rows;
                    sums.put(self.v3, 0, from, columns.finish(self.v3, pulp::cast(a), of_a.scale));
                    sums.put(self.v3, 1, from, columns.finish(self.v3, pulp::cast(b), of_b.scale));
                    sums.put(self.v3, 2, from, columns.finish(self.v3, pulp::cast(c), of_c.scale));
                }
            }
            _ => {
                for ((lines, columns), from) in block.panels(panels).zip((sums.from..).step_by(COLUMNS)) {
                    let [[a], [b], [c], [d], [e], [f]] = vnni::tile(self, strip.pairs, strip.depth, &[lines]);
                    let [of_a, of_b, of_c, of_d, of_e, of_f] = rows;
                    // Row by row, not in a loop over them: for that one, the sums would not stay in registers.
                    sums.put(self.v3, 0, from, columns.finish(self.v3, pulp::cast(a), of_a.scale));
                    sums.put(self.v3, 1, from, columns.finish(self.v3, pulp::cast(b), of_b.scale));
                    sums.put(self.v3, 2, from, columns.finish(self.v3, pulp::cast(c), of_c.scale));
                    sums.put(self.v3, 3, from, columns.finish(self.v3, pulp::cast(d), of_d.scale));
                    sums.put(self.v3, 4, from, columns.finish(self.v3, pulp::cast(e), of_e.scale));
                    sums.put(self.v3, 5, from, columns.finish(self.v3, pulp::cast(f), of_f.scale));
                }
            }
        }
    }
}

#[allow(clippy::inline_always, reason = "compiled for what calls it")]
impl Vnni for AvxVnni {
    type Numbers = [__m256i; 2];

    #[inline(always)]
    fn splat(self, pair: Pair) -> Self::Numbers {
        [self.v3.avx._mm256_set1_epi32(pair); 2]
    }
    #[inline(always)]
    fn load(self, line: &Line) -> Self::Numbers {
        pulp::cast(line.0)
    }
    #[inline(always)]
    fn add_products(self, [a, b]: Self::Numbers, [c, d]: Self::Numbers, [e, f]: Self::Numbers) -> Self::Numbers {
        let add = |sum, left, right| self.v3.avx2._mm256_add_epi32(sum, self.v3.avx2._mm256_madd_epi16(left, right));
        [add(a, c, e), add(b, d, f)]
    }
}
