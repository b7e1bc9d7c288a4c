//! The arithmetic of embedding models in process: products of matrices and what stands between them, for the vector instructions that this
//! processor has.
//!
//! Everything is plain arithmetic over arrays that the compiler can turn into vector instructions, run through [`Cpu`], which says
//! which ones there are. Only one product is written for one kind of processor after the other: `wide` multiplies in 16 bits where
//! there is AVX2, AVX2 with AVX-VNNI or AVX-512 with VNNI, at twice the speed of single precision. All give the same numbers, to the
//! last bit: an index that one machine made can be searched by another.

mod attention;
mod cpu;
mod dense;
mod lanes;
mod panels;
mod rows;
#[cfg(test)]
#[allow(clippy::indexing_slicing, reason = "tests")]
mod tests;
#[cfg(target_arch = "x86_64")]
mod wide;

pub use attention::attend;
pub use cpu::Cpu;
pub use dense::{Dense, Matrix, Scratch, feed_forward};
pub use rows::{Norm, rectify, tanh_rows, unit};

/// Rows that a tile of a product in single precision has. With [`COLUMNS`] it fills the sixteen registers of AVX2: twelve sums, two of the
/// right matrix, one of the left one, one for what is between.
const ROWS: usize = 6;
/// Columns that a panel of a right matrix has.
const COLUMNS: usize = 16;

/// The rows that come next; where there are no more, the last one stands in for those that are missing.
#[inline(always)]
#[allow(clippy::inline_always, reason = "compiled for what calls it")]
fn next_rows<'a, T, const COUNT: usize>(mut rows: impl Iterator<Item = &'a [T]>) -> [&'a [T]; COUNT] {
    let mut next: [&[T]; COUNT] = [&[]; COUNT];
    let mut last: &[T] = &[];
    for place in &mut next {
        last = rows.next().unwrap_or(last);
        *place = last;
    }
    next
}
