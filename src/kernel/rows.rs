//! What is done to the rows of a matrix between two products.

use super::COLUMNS;
use super::cpu::{Cpu, Work};
use super::lanes::{Lanes, fused};

/// Layer normalisation.
#[derive(Debug)]
pub struct Norm {
    /// What each column is multiplied by.
    pub weight: Vec<f32>,
    /// What is added to each column.
    pub bias: Vec<f32>,
    /// Added to the variance.
    pub epsilon: f32,
}

impl Norm {
    /// Normalises every row.
    pub fn apply(&self, cpu: Cpu, numbers: &mut [f32]) {
        struct Normalise<'a>(&'a Norm, &'a mut [f32]);
        impl Work for Normalise<'_> {
            type Output = ();

            #[inline(always)]
            #[allow(clippy::inline_always, reason = "compiled for what calls it")]
            fn run<L: Lanes, const PANELS: usize>(self, lanes: L) {
                let Self(norm, numbers) = self;
                for row in numbers.chunks_exact_mut(norm.weight.len().max(1)) {
                    let count = row.len() as f32;
                    let mean = sum(lanes, row) / count;
                    let squares = |sum, x| {
                        let x = lanes.sub(x, lanes.splat(mean));
                        lanes.fused(x, x, sum)
                    };
                    let variance =
                        fold(lanes, row, 0.0, squares, |sum, x| fused::<L>(x - mean, x - mean, sum), |a, b| a + b) / count;
                    let scale = (variance + norm.epsilon).sqrt().recip();
                    for ((x, weight), bias) in row.iter_mut().zip(&norm.weight).zip(&norm.bias) {
                        *x = fused::<L>((*x - mean) * scale, *weight, *bias);
                    }
                }
            }
        }
        cpu.run(Normalise(self, numbers));
    }
}

/// [`gelu`] of each number.
pub(super) fn gelu_rows(cpu: Cpu, numbers: &mut [f32]) {
    struct Gelu<'a>(&'a mut [f32]);
    impl Work for Gelu<'_> {
        type Output = ();

        #[inline(always)]
        #[allow(clippy::inline_always, reason = "compiled for what calls it")]
        fn run<L: Lanes, const PANELS: usize>(self, _: L) {
            for x in self.0 {
                *x = gelu::<L>(*x);
            }
        }
    }
    cpu.run(Gelu(numbers));
}

/// `x · Φ(x)`, the exact GELU (not the tanh form), within 2e-6.
#[inline(always)]
#[allow(clippy::inline_always, reason = "compiled for what calls it")]
pub(super) fn gelu<L: Lanes>(x: f32) -> f32 {
    let half = 0.5 * x;
    fused::<L>(half, erf::<L>(x * std::f32::consts::FRAC_1_SQRT_2), half)
}

/// `max(x, 0)` of each number.
pub fn rectify(numbers: &mut [f32]) {
    for x in numbers {
        *x = if *x > 0.0 { *x } else { 0.0 };
    }
}

/// `tanh` of each number.
pub fn tanh_rows(numbers: &mut [f32]) {
    for x in numbers {
        *x = x.tanh();
    }
}

/// Scales to length 1. What has length 0 stays what it is.
pub fn unit(vector: &mut [f32]) {
    let scale = vector.iter().map(|x| x * x).sum::<f32>().sqrt().max(f32::MIN_POSITIVE).recip();
    for x in vector {
        *x *= scale;
    }
}

/// The sum of a row.
#[inline(always)]
#[allow(clippy::inline_always, reason = "compiled for what calls it")]
pub(super) fn sum<L: Lanes>(lanes: L, row: &[f32]) -> f32 {
    fold(lanes, row, 0.0, |sum, x| lanes.add(sum, x), |sum, x| sum + x, |a, b| a + b)
}

/// The greatest of a row and of this one.
#[inline(always)]
#[allow(clippy::inline_always, reason = "compiled for what calls it")]
pub(super) fn greatest<L: Lanes>(lanes: L, row: &[f32], start: f32) -> f32 {
    let greater = |a: f32, b: f32| if b > a { b } else { a };
    fold(lanes, row, start, |max, x| lanes.greater(max, x), greater, greater)
}

/// Folds sixteen lanes apart and then together: without it the compiler has to keep the order of the additions and cannot use
/// vector instructions. `step` is for sixteen at once, `single` for what is left at the end.
#[inline(always)]
#[allow(clippy::inline_always, reason = "compiled for what calls it")]
pub(super) fn fold<L: Lanes>(
    lanes: L,
    row: &[f32],
    start: f32,
    step: impl Fn(L::Numbers, L::Numbers) -> L::Numbers,
    single: impl Fn(f32, f32) -> f32,
    join: impl Fn(f32, f32) -> f32,
) -> f32 {
    let (chunks, rest) = row.as_chunks::<COLUMNS>();
    let sums = chunks.iter().fold(lanes.splat(start), |sums, chunk| step(sums, lanes.load(chunk)));
    let rest = rest.iter().fold(start, |sum, x| single(sum, *x));
    let mut sums = lanes.store(sums);
    // Halves with each other, not lane after lane: that would be a chain of sixteen.
    let mut count = sums.len();
    while count > 1 {
        count /= 2;
        let (low, high) = sums.split_at_mut(count);
        for (a, b) in low.iter_mut().zip(high) {
            *a = join(*a, *b);
        }
    }
    join(sums.first().copied().unwrap_or(start), rest)
}

/// The sum of the powers of `x`, from the zeroth on, each times what stands in its place.
#[inline(always)]
#[allow(clippy::inline_always, reason = "compiled for what calls it")]
fn polynomial<L: Lanes, const COUNT: usize>(factors: [f32; COUNT], x: f32) -> f32 {
    let mut rest = factors.into_iter().rev();
    let first = rest.next().unwrap_or_default();
    rest.fold(first, |sum, factor| fused::<L>(sum, x, factor))
}

/// The error function, within 2e-6 of the true value in single precision.
///
/// Abramowitz and Stegun, Handbook of Mathematical Functions (1964), formula 7.1.28: absolute error at most 3e-7 in exact
/// arithmetic; the sixteenth power costs the rest. Of the formulas there this one has no exponential.
#[inline(always)]
#[allow(clippy::inline_always, reason = "compiled for what calls it")]
fn erf<L: Lanes>(x: f32) -> f32 {
    #[allow(clippy::excessive_precision, reason = "as printed in the source")]
    const A: [f32; 7] =
        [1.0, 0.070_523_078_4, 0.042_282_012_3, 0.009_270_527_2, 0.000_152_014_3, 0.000_276_567_2, 0.000_043_063_8];
    let z = x.abs();
    let sum = polynomial::<L, 7>(A, z);
    let square = sum * sum;
    let fourth = square * square;
    let eighth = fourth * fourth;
    // Overflows to infinity from |x| = 100 on or so, and 1/∞ is the 0 that is wanted.
    (1.0 - (eighth * eighth).recip()).copysign(x)
}

/// `e^x` for x ≤ 0, with a relative error below 1e-6; 0 below -87, where the true value is under 2e-38.
///
/// `e^x = 2^n · e^r` with `n` whole and `|r| ≤ ln 2 / 2`, and seven terms of the exponential series for `e^r` (the eighth is
/// under 1.2e-7).
#[inline(always)]
#[allow(clippy::inline_always, reason = "compiled for what calls it")]
pub(super) fn exp_of_negative<L: Lanes>(x: f32) -> f32 {
    /// Adding and taking away 1.5 · 2^23 rounds to a whole number.
    const ROUND: f32 = 12_582_912.0;
    /// ln 2 in two parts, the first short enough for `n` times it to be exact (Cody and Waite 1980).
    #[allow(clippy::excessive_precision, reason = "exactly 355/512")]
    const LN2_HIGH: f32 = 0.693_359_375;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    const SERIES: [f32; 7] = [1.0, 1.0, 0.5, 1.0 / 6.0, 1.0 / 24.0, 1.0 / 120.0, 1.0 / 720.0];
    let clamped = if x < -87.0 { -87.0 } else { x };
    let rounded = fused::<L>(clamped, std::f32::consts::LOG2_E, ROUND);
    let n = rounded - ROUND;
    let r = fused::<L>(-n, LN2_LOW, fused::<L>(-n, LN2_HIGH, clamped));
    let series = polynomial::<L, 7>(SERIES, r);
    // `n` lies between -126 and 0 and is in the low bits of `rounded`: the bits of 2^n are its exponent alone.
    let power = f32::from_bits(rounded.to_bits().wrapping_add(127) << 23);
    if x < -87.0 { 0.0 } else { series * power }
}
