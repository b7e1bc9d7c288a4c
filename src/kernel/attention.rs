//! Multi-head attention.

use std::ops::Range;

use super::dense::Matrix;
use super::panels::{Panels, tile};
use super::rows::{exp_of_negative, fold};
use super::{COLUMNS, Cpu, ROWS, Work, next_rows};

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
    fn run<const FUSED: bool>(self) {
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
                    for (at, panel) in keys.iter().enumerate() {
                        for (scores, products) in scores.chunks_exact_mut(padded).zip(tile::<FUSED>(rows, panel)) {
                            let rest = scores.get_mut(at * COLUMNS..).unwrap_or_default();
                            if let Some(place) = rest.first_chunk_mut() {
                                *place = products;
                            }
                        }
                    }
                    let scales = softmax::<FUSED>(&mut scores, padded, span.len());
                    let weights = next_rows(scores.chunks_exact(padded));
                    for (at, panel) in values.iter().enumerate() {
                        let sums = tile::<FUSED>(weights, panel);
                        for ((sums, scale), row) in sums.iter().zip(scales).zip(row..span.end) {
                            let from = row * width + start + at * COLUMNS;
                            let place = attended.numbers.get_mut(from..from + COLUMNS).unwrap_or_default();
                            for (place, sum) in place.iter_mut().zip(sums) {
                                *place = sum * scale;
                            }
                        }
                    }
                    row += ROWS;
                }
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
fn softmax<const FUSED: bool>(rows: &mut [f32], width: usize, count: usize) -> [f32; ROWS] {
    let greater = |a: f32, b: f32| if b > a { b } else { a };
    let mut folded = [0.0; ROWS];
    for (row, max) in rows.chunks_exact(width).zip(&mut folded) {
        *max = fold(row.get(..count).unwrap_or_default(), f32::NEG_INFINITY, greater, greater);
    }
    for (row, max) in rows.chunks_exact_mut(width).zip(folded) {
        for x in row.as_chunks_mut::<COLUMNS>().0 {
            for x in x {
                *x = exp_of_negative::<FUSED>(*x - max);
            }
        }
    }
    for (row, scale) in rows.chunks_exact(width).zip(&mut folded) {
        *scale = fold(row.get(..count).unwrap_or_default(), 0.0, |sum, x| sum + x, |a, b| a + b).recip();
    }
    folded
}
