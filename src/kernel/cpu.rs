//! The vector instructions that there are.

/// The vector instructions that there are.
#[derive(Debug, Clone, Copy)]
pub enum Cpu {
    /// Those that every processor of this architecture has.
    Baseline,
    /// AVX2 and FMA: x86 since 2013 (Haswell) and 2017 (Zen).
    #[cfg(target_arch = "x86_64")]
    Avx2(pulp::x86::V3),
    /// AVX2 with AVX-VNNI: Intel's processors without AVX-512 since 2021 (Alder Lake), Zen since 2024 (Zen 5).
    #[cfg(target_arch = "x86_64")]
    AvxVnni(AvxVnni),
    /// AVX-512 with VNNI: servers since 2019 (Cascade Lake, Ice Lake), Zen since 2022 (Zen 4).
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512),
}

#[cfg(target_arch = "x86_64")]
pulp::simd_type! {
    /// Proof that there is AVX-512 with VNNI.
    pub struct Avx512 {
        sse: "sse",
        sse2: "sse2",
        fxsr: "fxsr",
        sse3: "sse3",
        ssse3: "ssse3",
        sse4_1: "sse4.1",
        sse4_2: "sse4.2",
        popcnt: "popcnt",
        avx: "avx",
        avx2: "avx2",
        bmi1: "bmi1",
        bmi2: "bmi2",
        fma: "fma",
        lzcnt: "lzcnt",
        pub(crate) avx512f: "avx512f",
        pub(crate) avx512bw: "avx512bw",
        avx512cd: "avx512cd",
        avx512dq: "avx512dq",
        avx512vl: "avx512vl",
        avx512vnni: "avx512vnni",
    }
}

/// Proof that there is AVX-VNNI beside AVX2.
#[cfg(target_arch = "x86_64")]
#[derive(Debug, Clone, Copy)]
pub struct AvxVnni {
    /// For all that VNNI has no instructions for.
    pub(crate) v3: pulp::x86::V3,
}

#[cfg(target_arch = "x86_64")]
impl AvxVnni {
    fn try_new() -> Option<Self> {
        let v3 = pulp::x86::V3::try_new()?;
        std::arch::is_x86_feature_detected!("avxvnni").then_some(Self { v3 })
    }

    /// Compiles what is given, and all that is inlined into it, for AVX-VNNI.
    #[allow(clippy::unused_self, reason = "proof that it will run as compiled")]
    pub(crate) fn vectorize<F: pulp::NullaryFnOnce>(self, work: F) -> F::Output {
        #[allow(unused_variables, reason = "where there is no AVX-VNNI")]
        #[multiversion::multiversion(targets("x86_64+avx2+avxvnni+bmi1+bmi2+fma+lzcnt+popcnt"))]
        fn call<F: pulp::NullaryFnOnce>(work: F) -> F::Output {
            multiversion::target::match_target! {
                "x86_64+avxvnni" => work.call(),
                // Not compiled once more for what there never is.
                _ => unreachable!("there is AVX-VNNI"),
            }
        }
        call(work)
    }
}

use super::lanes::{Lanes, Plain};

/// Arithmetic to be compiled for the instructions that there are. `run` and all that it calls are to be inlined.
pub(crate) trait Work {
    type Output;

    /// `PANELS`: what a tile of a product in single precision has of them, so that its sums find room in the registers, and are enough not
    /// to wait for each other.
    fn run<L: Lanes, const PANELS: usize>(self, lanes: L) -> Self::Output;
}

impl Cpu {
    /// The best of this processor.
    pub fn detect() -> Self {
        Self::available().next().unwrap_or(Self::Baseline)
    }

    /// All that this processor can be, the best first.
    pub fn available() -> impl Iterator<Item = Self> {
        #[cfg(target_arch = "x86_64")]
        let more = {
            let with_vnni = Avx512::try_new().map(Self::Avx512).into_iter().chain(AvxVnni::try_new().map(Self::AvxVnni));
            with_vnni.chain(pulp::x86::V3::try_new().map(Self::Avx2))
        };
        #[cfg(not(target_arch = "x86_64"))]
        let more = std::iter::empty();
        more.chain([Self::Baseline])
    }

    pub(crate) fn run<W: Work>(self, work: W) -> W::Output {
        match self {
            Self::Baseline => work.run::<_, 1>(Plain),
            // Twelve sums in sixteen registers.
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(v3) => v3.vectorize(Compiled::<_, _, 1>(v3, work)),
            // VNNI is for whole numbers.
            #[cfg(target_arch = "x86_64")]
            Self::AvxVnni(vnni) => Self::Avx2(vnni.v3).run(work),
            // Twelve, each twice as long, in thirty-two.
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(v4) => v4.vectorize(Compiled::<_, _, 2>(v4, work)),
        }
    }
}

/// What is compiled for a kind of processor.
#[cfg(target_arch = "x86_64")]
struct Compiled<L, W, const PANELS: usize>(L, W);

#[cfg(target_arch = "x86_64")]
impl<L: Lanes, W: Work, const PANELS: usize> pulp::NullaryFnOnce for Compiled<L, W, PANELS> {
    type Output = W::Output;

    #[inline(always)]
    #[allow(clippy::inline_always, reason = "what is not inlined is not compiled for the processor")]
    fn call(self) -> W::Output {
        self.1.run::<L, PANELS>(self.0)
    }
}
