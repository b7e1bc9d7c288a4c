//! The right matrix of a product in single precision.

use super::{COLUMNS, ROWS, fused};

/// Numbers a side of the squares that are turned round at once.
const SIDE: usize = 8;

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

    /// As [`Self::of_columns`], into the memory that is there. The depth is a multiple of [`SIDE`]. What fills the last panel up
    /// is no zero but the last column again.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "compiled for what calls it")]
    pub(super) fn refill_columns<'a>(&mut self, depth: usize, columns: impl ExactSizeIterator<Item = &'a [f32]>) {
        self.depth = depth;
        self.numbers.resize(depth * columns.len().div_ceil(COLUMNS), [0.0; COLUMNS]);
        let mut columns = columns.map(|column| column.as_chunks::<SIDE>().0);
        let mut last: &[[f32; SIDE]] = &[];
        for panel in self.numbers.chunks_exact_mut(depth.max(1)) {
            let mut together = [last; COLUMNS];
            for place in &mut together {
                last = columns.next().unwrap_or(last);
                *place = last;
            }
            for (at, rows) in panel.as_chunks_mut::<SIDE>().0.iter_mut().enumerate() {
                let mut parts = [[0.0; SIDE]; COLUMNS];
                for (part, column) in parts.iter_mut().zip(&together) {
                    *part = column.get(at).copied().unwrap_or_default();
                }
                for (depth, row) in rows.iter_mut().enumerate() {
                    for (place, part) in row.iter_mut().zip(&parts) {
                        *place = part.get(depth).copied().unwrap_or_default();
                    }
                }
            }
        }
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
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "compiled for what calls it")]
    pub(super) fn refill_rows<'a>(&mut self, columns: usize, rows: impl ExactSizeIterator<Item = &'a [f32]>) {
        self.depth = rows.len();
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
        let [of_a, of_b, of_c, of_d, of_e, of_f] = &mut sums;
        // Row by row, not in a loop over them: for that one, two rows of sums would not stay in registers.
        add::<FUSED>(of_a, *a, right);
        add::<FUSED>(of_b, *b, right);
        add::<FUSED>(of_c, *c, right);
        add::<FUSED>(of_d, *d, right);
        add::<FUSED>(of_e, *e, right);
        add::<FUSED>(of_f, *f, right);
    }
    sums
}

#[inline(always)]
#[allow(clippy::inline_always, reason = "the innermost of all loops")]
fn add<const FUSED: bool>(sums: &mut [f32; COLUMNS], left: f32, right: &[f32; COLUMNS]) {
    for (sum, right) in sums.iter_mut().zip(right) {
        *sum = fused::<FUSED>(left, *right, *sum);
    }
}
