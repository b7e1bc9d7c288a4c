//! The right matrix of a product in single precision.

use super::{COLUMNS, ROWS, fused};

/// A matrix cut into panels of [`COLUMNS`] columns, each of which lies together row by row. The last is filled up with zeros.
#[derive(Debug, Default)]
pub(super) struct Panels {
    /// Numbers a column.
    depth: usize,
    numbers: Vec<[f32; COLUMNS]>,
}

impl Panels {
    /// From a matrix `[columns, depth]`: each of the rows given becomes a column.
    pub(super) fn of_columns<'a>(depth: usize, columns: impl ExactSizeIterator<Item = &'a [f32]>) -> Self {
        let mut panels = Self { depth, numbers: vec![[0.0; COLUMNS]; depth * columns.len().div_ceil(COLUMNS)] };
        panels.fill_columns(columns);
        panels
    }

    /// As [`Self::of_columns`], into the memory that is there.
    pub(super) fn refill_columns<'a>(&mut self, depth: usize, columns: impl ExactSizeIterator<Item = &'a [f32]>) {
        self.depth = depth;
        self.numbers.clear();
        self.numbers.resize(depth * columns.len().div_ceil(COLUMNS), [0.0; COLUMNS]);
        self.fill_columns(columns);
    }

    fn fill_columns<'a>(&mut self, columns: impl Iterator<Item = &'a [f32]>) {
        for (at, column) in columns.enumerate() {
            let panel = self.numbers.get_mut(at / COLUMNS * self.depth..).unwrap_or_default();
            for (row, x) in panel.iter_mut().zip(column) {
                if let Some(place) = row.get_mut(at % COLUMNS) {
                    *place = *x;
                }
            }
        }
    }

    /// From a matrix of these rows, of a multiple of [`COLUMNS`] columns, into the memory that is there.
    pub(super) fn refill_rows<'a>(&mut self, columns: usize, rows: impl ExactSizeIterator<Item = &'a [f32]>) {
        self.depth = rows.len();
        self.numbers.clear();
        self.numbers.resize(self.depth * columns / COLUMNS, [0.0; COLUMNS]);
        for (depth, row) in rows.enumerate() {
            for (panel, part) in row.as_chunks::<COLUMNS>().0.iter().enumerate() {
                if let Some(place) = self.numbers.get_mut(panel * self.depth + depth) {
                    *place = *part;
                }
            }
        }
    }

    /// The panels, in the order of their columns.
    pub(super) fn iter(&self) -> impl Iterator<Item = &[[f32; COLUMNS]]> {
        self.numbers.chunks_exact(self.depth.max(1))
    }
}

/// The products of some rows with the columns of a panel.
#[inline(always)]
#[allow(clippy::inline_always, reason = "compiled for what calls it")]
pub(super) fn tile<const FUSED: bool>(rows: [&[f32]; ROWS], panel: &[[f32; COLUMNS]]) -> [[f32; COLUMNS]; ROWS] {
    let mut sums = [[0.0; COLUMNS]; ROWS];
    let [a, b, c, d, e, f] = rows;
    for ((((((right, a), b), c), d), e), f) in panel.iter().zip(a).zip(b).zip(c).zip(d).zip(e).zip(f) {
        for (sums, left) in sums.iter_mut().zip([*a, *b, *c, *d, *e, *f]) {
            for (sum, right) in sums.iter_mut().zip(right) {
                *sum = fused::<FUSED>(left, *right, *sum);
            }
        }
    }
    sums
}
