//! The arithmetic of embedding models in process: products of matrices and what stands between them, for the vector instructions that this
//! processor has.
//!
//! Everything is plain arithmetic over arrays that the compiler can turn into vector instructions, run through [`Cpu::run`],
//! which says which ones there are. Only one product is written for one kind of processor: `wide` multiplies in 16 bits where
//! there is AVX2, at twice the speed of single precision.

mod attention;
mod dense;
mod panels;
mod rows;
#[cfg(test)]
#[allow(clippy::indexing_slicing, reason = "tests")]
mod tests;
#[cfg(target_arch = "x86_64")]
mod wide;

pub use attention::attend;
pub use dense::{Dense, Matrix, Scratch, feed_forward};
pub use rows::{Norm, rectify, tanh_rows, unit};

/// Rows that a tile of a product in single precision has. With [`COLUMNS`] it fills the sixteen registers of AVX2: twelve sums, two of the right
/// matrix, one of the left one, one for what is between.
const ROWS: usize = 6;
/// Columns that a tile of a product has.
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

/// The vector instructions that there are.
#[derive(Debug, Clone, Copy)]
pub enum Cpu {
    /// Those that every processor of this architecture has.
    Baseline,
    /// AVX2 and FMA: x86 since 2013 (Haswell) and 2017 (Zen).
    #[cfg(target_arch = "x86_64")]
    Avx2(pulp::x86::V3),
}

/// Arithmetic to be compiled for the instructions that there are. `run` and all that it calls are to be inlined.
trait Work {
    type Output;

    /// `FUSED`: whether a product and a sum are one instruction.
    fn run<const FUSED: bool>(self) -> Self::Output;
}

impl Cpu {
    /// Those of this processor.
    pub fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        if let Some(v3) = pulp::x86::V3::try_new() {
            return Self::Avx2(v3);
        }
        Self::Baseline
    }

    fn run<W: Work>(self, work: W) -> W::Output {
        match self {
            Self::Baseline => work.run::<{ cfg!(target_arch = "aarch64") }>(),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(v3) => v3.vectorize(Fused(work)),
        }
    }
}

/// What is compiled for AVX2.
#[cfg(target_arch = "x86_64")]
struct Fused<W>(W);

#[cfg(target_arch = "x86_64")]
impl<W: Work> pulp::NullaryFnOnce for Fused<W> {
    type Output = W::Output;

    #[inline(always)]
    #[allow(clippy::inline_always, reason = "what is not inlined is not compiled for AVX2")]
    fn call(self) -> W::Output {
        self.0.run::<true>()
    }
}

/// `a · b + c`, in one instruction where there is one: elsewhere `mul_add` would be a call.
#[inline(always)]
#[allow(clippy::inline_always, reason = "the innermost of all loops")]
fn fused<const FUSED: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FUSED { a.mul_add(b, c) } else { a * b + c }
}
