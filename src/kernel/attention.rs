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
                    let mut scales = [0.0; ROWS];
                    for (scores, scale) in scores.chunks_exact_mut(padded).zip(&mut scales) {
                        *scale = softmax::<FUSED>(scores.get_mut(..span.len()).unwrap_or_default());
                    }
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

/// Turns a row into weights; divided by what is returned, inverted, they add up to 1.
#[inline(always)]
#[allow(clippy::inline_always, reason = "compiled for what calls it")]
fn softmax<const FUSED: bool>(row: &mut [f32]) -> f32 {
    let greater = |a: f32, b: f32| if b > a { b } else { a };
    let max = fold(row, f32::NEG_INFINITY, greater, greater);
    for x in row.iter_mut() {
        *x = exp_of_negative::<FUSED>(*x - max);
    }
    fold(row, 0.0, |sum, x| sum + x, |a, b| a + b).recip()
}
