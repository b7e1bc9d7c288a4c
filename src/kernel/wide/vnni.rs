//! Sums by VNNI.
//!
//! `vpdpwssd` multiplies pairs of 16-bit numbers and adds neighbours to sums of 32 bits: no addition is left over, so that nothing is
//! gained by turning multiplications into additions. There is no safe function for it; the compiler makes it out of `vpmaddwd` and
//! `vpaddd`, as what calls this is compiled for VNNI.

use super::Pair;
use super::right::{DEPTH, Line};

/// Instructions with VNNI. All of it is to be inlined.
pub(super) trait Vnni: Copy {
    /// A number of 32 bits for each column of a panel.
    type Numbers: Copy;

    /// The same pair everywhere.
    fn splat(self, pair: Pair) -> Self::Numbers;
    fn load(self, line: &Line) -> Self::Numbers;
    /// Adds the products of pairs.
    fn add_products(self, sums: Self::Numbers, left: Self::Numbers, right: Self::Numbers) -> Self::Numbers;
}

/// The sums of some rows, of so many pairs, with the columns of some panels.
#[inline(always)]
#[allow(clippy::inline_always, reason = "compiled for what calls it")]
pub(super) fn tile<V: Vnni, const COUNT: usize, const PANELS: usize>(
    by: V,
    rows: &[[Pair; DEPTH]; COUNT],
    depth: usize,
    panels: &[&[Line]; PANELS],
) -> [[V::Numbers; PANELS]; COUNT] {
    let mut sums = [[by.splat(0); PANELS]; COUNT];
    'all: for at in 0..depth.min(DEPTH) {
        let mut right = [by.splat(0); PANELS];
        for (right, panel) in right.iter_mut().zip(panels) {
            let Some(line) = panel.get(at) else { break 'all };
            *right = by.load(line);
        }
        for (sums, row) in sums.iter_mut().zip(rows) {
            let Some(left) = row.get(at) else { break 'all };
            let left = by.splat(*left);
            for (sum, right) in sums.iter_mut().zip(&right) {
                *sum = by.add_products(*sum, left, *right);
            }
        }
    }
    sums
}
