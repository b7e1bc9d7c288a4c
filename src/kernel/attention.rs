//! Multi-head attention.

use std::ops::Range;

use super::cpu::{Cpu, Work};
use super::dense::Matrix;
use super::lanes::Lanes;
use super::panels::{Panels, tile};
use super::rows::{exp_of_negative, greatest, sum};
use super::{COLUMNS, ROWS, next_rows};

/// Multi-head attention within each sequence, whose rows the spans tell. `qkv` is `[tokens, 3 · width]`: query, key and value
/// side by side, the query already divided by the square root of a head's width. The result is `[tokens, width]`. The width of a
/// head is a multiple of 16.
pub fn attend(cpu: Cpu, qkv: &Matrix, spans: &[Range<usize>], heads: usize, attended: &mut Matrix) {
    let width = qkv.width / 3;
    attended.reshape(qkv.rows().len(), width);
    cpu.run(Attend { qkv, spans, head: width / heads.max(1), attended });
}

struct Attend<'a> {
    qkv: &'a Matrix,
    spans: &'a [Range<usize>],
    /// The width of a head.
    head: usize,
    attended: &'a mut Matrix,
}

impl Work for Attend<'_> {
    type Output = ();

    #[inline(always)]
    #[allow(clippy::inline_always, reason = "compiled for what calls it")]
    fn run<L: Lanes, const PANELS: usize>(self, lanes: L) {
        let Self { qkv, spans, head, attended } = self;
        let width = attended.width;
        let (mut keys, mut values) = (Panels::default(), Panels::default());
        let mut scores = Vec::new();
        for span in spans {
            let tokens = qkv.numbers.get(span.start * qkv.width..span.end * qkv.width).unwrap_or_default();
            let part = |from: usize| {
                tokens.chunks_exact(qkv.width.max(1)).map(move |row| row.get(from..from + head).unwrap_or_default())
            };
            // Scores for the keys that fill a panel up stand at its end, where no weight is looked for.
            let padded = span.len().next_multiple_of(COLUMNS);
            scores.resize(ROWS * padded, 0.0);
            for start in (0..width).step_by(head.max(1)) {
                keys.refill_columns(head, part(width + start));
                values.refill_rows(head, part(2 * width + start));
                let mut queries = part(start);
                let mut row = span.start;
                while row < span.end {
                    let rows = next_rows(queries.by_ref());
                    let (groups, rest) = keys.groups::<PANELS>();
                    for (at, panels) in groups {
                        write(lanes, &mut scores, padded, at, &tile::<L, PANELS>(lanes, rows, &panels));
                    }
                    for (at, panels) in rest {
                        write(lanes, &mut scores, padded, at, &tile::<L, 1>(lanes, rows, &panels));
                    }
                    let scales = softmax(lanes, &mut scores, padded, span.len());
                    let weights = next_rows(scores.chunks_exact(padded));
                    let rows = attended.numbers.get_mut(row * width..span.end * width).unwrap_or_default();
                    let (groups, rest) = values.groups::<PANELS>();
                    for (at, panels) in groups {
                        scale(lanes, rows, width, start + at * COLUMNS, &scales, &tile::<L, PANELS>(lanes, weights, &panels));
                    }
                    for (at, panels) in rest {
                        scale(lanes, rows, width, start + at * COLUMNS, &scales, &tile::<L, 1>(lanes, weights, &panels));
                    }
                    row += ROWS;
                }
            }
        }
    }
}

/// Puts the scores for the keys of some panels, from this one on, into their rows.
#[inline(always)]
#[allow(clippy::inline_always, reason = "compiled for what calls it")]
fn write<L: Lanes>(lanes: L, scores: &mut [f32], width: usize, panel: usize, tiles: &[[L::Numbers; ROWS]]) {
    for (tile, from) in tiles.iter().zip((panel * COLUMNS..).step_by(COLUMNS)) {
        for (scores, products) in scores.chunks_exact_mut(width).zip(tile) {
            if let Some(place) = scores.get_mut(from..).unwrap_or_default().first_chunk_mut() {
                *place = lanes.store(*products);
            }
        }
    }
}

/// Puts sums, scaled, into rows, from a column on.
#[inline(always)]
#[allow(clippy::inline_always, reason = "compiled for what calls it")]
fn scale<L: Lanes>(
    lanes: L,
    rows: &mut [f32],
    width: usize,
    column: usize,
    scales: &[f32; ROWS],
    tiles: &[[L::Numbers; ROWS]],
) {
    for (tile, from) in tiles.iter().zip((column..).step_by(COLUMNS)) {
        for ((row, sums), scale) in rows.chunks_exact_mut(width).zip(tile).zip(scales) {
            if let Some(place) = row.get_mut(from..).unwrap_or_default().first_chunk_mut() {
                *place = lanes.store(lanes.mul(*sums, lanes.splat(*scale)));
            }
        }
    }
}

/// Turns rows into weights, each of so many numbers of those that it has; multiplied by what is returned, they add up to 1.
///
/// Each step is done to all rows before the next one, so that no row waits for the one before it, and the exponentials are taken of
/// what fills a row up, too: without a rest, which would be computed number by number.
#[inline(always)]
#[allow(clippy::inline_always, reason = "compiled for what calls it")]
fn softmax<L: Lanes>(lanes: L, rows: &mut [f32], width: usize, count: usize) -> [f32; ROWS] {
    let mut folded = [0.0; ROWS];
    for (row, max) in rows.chunks_exact(width).zip(&mut folded) {
        *max = greatest(lanes, row.get(..count).unwrap_or_default(), f32::NEG_INFINITY);
    }
    for (row, max) in rows.chunks_exact_mut(width).zip(folded) {
        for x in row.as_chunks_mut::<COLUMNS>().0 {
            for x in x {
                *x = exp_of_negative::<L>(*x - max);
            }
        }
    }
    for (row, scale) in rows.chunks_exact(width).zip(&mut folded) {
        *scale = sum(lanes, row.get(..count).unwrap_or_default()).recip();
    }
    folded
}
