//! Sixteen numbers in single precision, and what is done to all of them at once: for sums that are to stay in registers. Plain loops over
//! arrays are as fast where nothing is summed up.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{__m256, __m256i, __m512};

#[cfg(target_arch = "x86_64")]
use pulp::x86::V3;

use super::COLUMNS;
#[cfg(target_arch = "x86_64")]
use super::cpu::Avx512;

/// Arithmetic with [`COLUMNS`] numbers. All of it is to be inlined.
pub(crate) trait Lanes: Copy {
    type Numbers: Copy;

    /// Whether a product and a sum are one instruction.
    const FUSED: bool;

    fn load(self, numbers: &[f32; COLUMNS]) -> Self::Numbers;
    fn store(self, numbers: Self::Numbers) -> [f32; COLUMNS];
    /// The nearest numbers to whole ones.
    #[cfg(target_arch = "x86_64")]
    fn nearest(self, whole: &[i32; COLUMNS]) -> Self::Numbers;
    fn add(self, a: Self::Numbers, b: Self::Numbers) -> Self::Numbers;
    fn sub(self, a: Self::Numbers, b: Self::Numbers) -> Self::Numbers;
    fn mul(self, a: Self::Numbers, b: Self::Numbers) -> Self::Numbers;
    /// `b` where it is greater than `a`, otherwise `a`.
    fn greater(self, a: Self::Numbers, b: Self::Numbers) -> Self::Numbers;
    /// `a · b + c`
    fn fused(self, a: Self::Numbers, b: Self::Numbers, c: Self::Numbers) -> Self::Numbers;

    #[inline(always)]
    #[allow(clippy::inline_always, reason = "compiled for what calls it")]
    fn splat(self, number: f32) -> Self::Numbers {
        self.load(&[number; COLUMNS])
    }
}

/// `a · b + c`, in one instruction where there is one: elsewhere `mul_add` would be a call.
#[inline(always)]
#[allow(clippy::inline_always, reason = "the innermost of all loops")]
pub(crate) fn fused<L: Lanes>(a: f32, b: f32, c: f32) -> f32 {
    if L::FUSED { a.mul_add(b, c) } else { a * b + c }
}

/// What every processor of an architecture has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plain;

impl Plain {
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "compiled for what calls it")]
    fn each(mut a: [f32; COLUMNS], b: [f32; COLUMNS], of: impl Fn(f32, f32) -> f32) -> [f32; COLUMNS] {
        for (a, b) in a.iter_mut().zip(b) {
            *a = of(*a, b);
        }
        a
    }
}

#[allow(clippy::inline_always, reason = "compiled for what calls it")]
impl Lanes for Plain {
    type Numbers = [f32; COLUMNS];

    const FUSED: bool = cfg!(target_arch = "aarch64");

    #[inline(always)]
    fn load(self, numbers: &[f32; COLUMNS]) -> Self::Numbers {
        *numbers
    }
    #[inline(always)]
    fn store(self, numbers: Self::Numbers) -> [f32; COLUMNS] {
        numbers
    }
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    fn nearest(self, whole: &[i32; COLUMNS]) -> Self::Numbers {
        whole.map(|x| x as f32)
    }
    #[inline(always)]
    fn add(self, a: Self::Numbers, b: Self::Numbers) -> Self::Numbers {
        Self::each(a, b, |a, b| a + b)
    }
    #[inline(always)]
    fn sub(self, a: Self::Numbers, b: Self::Numbers) -> Self::Numbers {
        Self::each(a, b, |a, b| a - b)
    }
    #[inline(always)]
    fn mul(self, a: Self::Numbers, b: Self::Numbers) -> Self::Numbers {
        Self::each(a, b, |a, b| a * b)
    }
    #[inline(always)]
    fn greater(self, a: Self::Numbers, b: Self::Numbers) -> Self::Numbers {
        Self::each(a, b, |a, b| if b > a { b } else { a })
    }
    #[inline(always)]
    fn fused(self, a: Self::Numbers, b: Self::Numbers, mut c: Self::Numbers) -> Self::Numbers {
        for ((c, a), b) in c.iter_mut().zip(a).zip(b) {
            *c = fused::<Self>(a, b, *c);
        }
        c
    }
}

#[cfg(target_arch = "x86_64")]
#[allow(clippy::inline_always, reason = "compiled for what calls it")]
impl Lanes for V3 {
    type Numbers = [__m256; 2];

    const FUSED: bool = true;

    #[inline(always)]
    fn load(self, numbers: &[f32; COLUMNS]) -> Self::Numbers {
        pulp::cast(*numbers)
    }
    #[inline(always)]
    fn store(self, numbers: Self::Numbers) -> [f32; COLUMNS] {
        pulp::cast(numbers)
    }
    #[inline(always)]
    fn nearest(self, whole: &[i32; COLUMNS]) -> Self::Numbers {
        let [a, b]: [__m256i; 2] = pulp::cast(*whole);
        [self.avx._mm256_cvtepi32_ps(a), self.avx._mm256_cvtepi32_ps(b)]
    }
    #[inline(always)]
    fn add(self, [a, b]: Self::Numbers, [c, d]: Self::Numbers) -> Self::Numbers {
        [self.avx._mm256_add_ps(a, c), self.avx._mm256_add_ps(b, d)]
    }
    #[inline(always)]
    fn sub(self, [a, b]: Self::Numbers, [c, d]: Self::Numbers) -> Self::Numbers {
        [self.avx._mm256_sub_ps(a, c), self.avx._mm256_sub_ps(b, d)]
    }
    #[inline(always)]
    fn mul(self, [a, b]: Self::Numbers, [c, d]: Self::Numbers) -> Self::Numbers {
        [self.avx._mm256_mul_ps(a, c), self.avx._mm256_mul_ps(b, d)]
    }
    #[inline(always)]
    fn greater(self, [a, b]: Self::Numbers, [c, d]: Self::Numbers) -> Self::Numbers {
        [self.avx._mm256_max_ps(c, a), self.avx._mm256_max_ps(d, b)]
    }
    #[inline(always)]
    fn fused(self, [a, b]: Self::Numbers, [c, d]: Self::Numbers, [e, f]: Self::Numbers) -> Self::Numbers {
        [self.fma._mm256_fmadd_ps(a, c, e), self.fma._mm256_fmadd_ps(b, d, f)]
    }
}

#[cfg(target_arch = "x86_64")]
#[allow(clippy::inline_always, reason = "compiled for what calls it")]
impl Lanes for Avx512 {
    type Numbers = __m512;

    const FUSED: bool = true;

    #[inline(always)]
    fn load(self, numbers: &[f32; COLUMNS]) -> __m512 {
        pulp::cast(*numbers)
    }
    #[inline(always)]
    fn store(self, numbers: __m512) -> [f32; COLUMNS] {
        pulp::cast(numbers)
    }
    #[inline(always)]
    fn nearest(self, whole: &[i32; COLUMNS]) -> __m512 {
        self.avx512f._mm512_cvtepi32_ps(pulp::cast(*whole))
    }
    #[inline(always)]
    fn add(self, a: __m512, b: __m512) -> __m512 {
        self.avx512f._mm512_add_ps(a, b)
    }
    #[inline(always)]
    fn sub(self, a: __m512, b: __m512) -> __m512 {
        self.avx512f._mm512_sub_ps(a, b)
    }
    #[inline(always)]
    fn mul(self, a: __m512, b: __m512) -> __m512 {
        self.avx512f._mm512_mul_ps(a, b)
    }
    #[inline(always)]
    fn greater(self, a: __m512, b: __m512) -> __m512 {
        self.avx512f._mm512_max_ps(b, a)
    }
    #[inline(always)]
    fn fused(self, a: __m512, b: __m512, c: __m512) -> __m512 {
        self.avx512f._mm512_fmadd_ps(a, b, c)
    }
}
