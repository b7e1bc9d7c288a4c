//! The right matrix of a product in single precision.

use super::lanes::Lanes;
use super::{COLUMNS, ROWS};

/// Numbers a side of the squares that are turned round at once.
const SIDE: usize = 8;

/// Some columns, row by row.
pub(super) type Panel<'a> = &'a [[f32; COLUMNS]];

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

    /// So many panels at a time, in the order of their columns, and those that are left over one by one; each time with the number of the
    /// first one.
    pub(super) fn groups<const PANELS: usize>(
        &self,
    ) -> (impl Iterator<Item = (usize, [Panel<'_>; PANELS])>, impl Iterator<Item = (usize, [Panel<'_>; 1])>) {
        let depth = self.depth.max(1);
        let groups = self.numbers.chunks_exact(PANELS * depth);
        let rest = groups.remainder().chunks_exact(depth).map(|panel| [panel]);
        let after = groups.len() * PANELS;
        let groups = groups.map(move |group| {
            let mut panels = group.chunks_exact(depth);
            std::array::from_fn(|_| panels.next().unwrap_or_default())
        });
        ((0..).step_by(PANELS).zip(groups), (after..).zip(rest))
    }
}

/// The products of some rows with the columns of some panels, panel by panel.
#[inline(always)]
#[allow(clippy::inline_always, reason = "compiled for what calls it")]
pub(super) fn tile<L: Lanes, const PANELS: usize>(
    lanes: L,
    [a, b, c, d, e, f]: [&[f32]; ROWS],
    panels: &[Panel<'_>; PANELS],
) -> [[L::Numbers; ROWS]; PANELS] {
    let mut sums = [[lanes.splat(0.0); ROWS]; PANELS];
    'depth: for (((((a, b), c), d), e), (f, at)) in a.iter().zip(b).zip(c).zip(d).zip(e).zip(f.iter().zip(0..)) {
        for (sums, panel) in sums.iter_mut().zip(panels) {
            let Some(right) = panel.get(at) else { break 'depth };
            let right = lanes.load(right);
            for (sum, left) in sums.iter_mut().zip([a, b, c, d, e, f]) {
                *sum = lanes.fused(lanes.splat(*left), right, *sum);
            }
        }
    }
    sums
}
