//! Sums by AVX-512 with VNNI.
//!
//! What bounds it: the units that multiply. A tile has twenty-four sums under way, so that none waits for the one before it, and reads
//! eleven times for twenty-four instructions, from the first cache and, in order, from the second. An Emerald Rapids does 328 billion
//! multiplications and additions a second so from registers; a model as a whole comes to 169, as two thirds of its time are these products:
//! attention takes a fifth, the rest is rounding, scaling and GELU.

use std::arch::x86_64::__m512i;
use std::ops::Range;

use super::left::Strip;
use super::right::{Block, Columns, DEPTH, Line};
use super::vnni::{self, Vnni};
use super::{Multiply, Pair, Sums, write, write_some};
use crate::COLUMNS;
use crate::cpu::Avx512;

/// With [`PANELS`] they fill the thirty-two registers: twenty-four sums, three of the right matrix, the rest of the left one.
pub(super) const ROWS: usize = 8;
/// Panels that are multiplied at once: each number of the left matrix is read for so many of them.
const PANELS: usize = 3;
/// Rows of a short strip.
const FEW: usize = 4;

impl Multiply<ROWS> for Avx512 {
    type Lanes = Self;

    #[inline(always)]
    #[allow(clippy::inline_always, reason = "compiled for what calls it")]
    fn lanes(self) -> Self {
        self
    }

    #[inline(always)]
    #[allow(clippy::inline_always, reason = "compiled for what calls it")]
    fn own(self, _pairs: &[Pair]) -> i32 {
        0
    }

    #[inline(always)]
    #[allow(clippy::inline_always, reason = "compiled for what calls it")]
    fn multiply(self, strip: &Strip<'_, ROWS>, block: &Block, panels: Range<usize>, sums: Sums<'_>) {
        sums.fetch();
        match strip.pairs.first_chunk::<FEW>() {
            Some(pairs) if strip.rows.len() <= FEW => self.multiply_rows(pairs, strip, block, panels, sums),
            _ => self.multiply_rows(strip.pairs, strip, block, panels, sums),
        }
    }
}

impl Avx512 {
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "compiled for what calls it")]
    fn multiply_rows<const COUNT: usize>(
        self,
        pairs: &[[Pair; DEPTH]; COUNT],
        strip: &Strip<'_, ROWS>,
        block: &Block,
        panels: Range<usize>,
        mut sums: Sums<'_>,
    ) {
        let mut panels = block.panels(panels);
        for from in (sums.from..).step_by(PANELS * COLUMNS) {
            match (panels.next(), panels.next(), panels.next()) {
                (Some(a), Some(b), Some(c)) => self.multiply_panels(pairs, strip, &[a, b, c], from, &mut sums),
                (Some(a), Some(b), None) => self.multiply_panels(pairs, strip, &[a, b], from, &mut sums),
                (Some(a), ..) => self.multiply_panels(pairs, strip, &[a], from, &mut sums),
                _ => break,
            }
        }
    }

    #[inline(always)]
    #[allow(clippy::inline_always, reason = "compiled for what calls it")]
    fn multiply_panels<const COUNT: usize, const PANELS: usize>(
        self,
        pairs: &[[Pair; DEPTH]; COUNT],
        strip: &Strip<'_, ROWS>,
        panels: &[(&[Line], &Columns); PANELS],
        from: usize,
        sums: &mut Sums<'_>,
    ) {
        let tile = vnni::tile(self, pairs, strip.depth, &panels.map(|(lines, _)| lines));
        for (places, (tile, row)) in sums.numbers.chunks_mut(sums.width.max(1)).zip(tile.iter().zip(strip.rows)) {
            let products =
                tile.iter().zip(panels).map(|(sums, (_, columns))| columns.finish(self, pulp::cast(*sums), row.scale));
            let (whole, rest) = places.get_mut(from..).unwrap_or_default().as_chunks_mut::<COLUMNS>();
            match whole.first_chunk_mut::<PANELS>() {
                Some(places) => {
                    for (places, products) in places.iter_mut().zip(products) {
                        write(self, places, products, sums.add);
                    }
                }
                None => {
                    for (places, products) in whole.iter_mut().map(|places| &mut places[..]).chain([rest]).zip(products) {
                        write_some(self, places, products, sums.add);
                    }
                }
            }
        }
    }
}

#[allow(clippy::inline_always, reason = "compiled for what calls it")]
impl Vnni for Avx512 {
    type Numbers = __m512i;

    #[inline(always)]
    fn splat(self, pair: Pair) -> __m512i {
        self.avx512f._mm512_set1_epi32(pair)
    }
    #[inline(always)]
    fn load(self, line: &Line) -> __m512i {
        pulp::cast(line.0)
    }
    #[inline(always)]
    fn add_products(self, sums: __m512i, left: __m512i, right: __m512i) -> __m512i {
        self.avx512f._mm512_add_epi32(sums, self.avx512bw._mm512_madd_epi16(left, right))
    }
}
