//! Products in 16 bits: twice as many multiplications an instruction as in single precision, and no sum that is cut.
//!
//! Pairs of 16-bit numbers are multiplied and added into sums of 32 bits, all of them exact. Numbers are scaled to 14 bits for each row
//! of the left matrix, and for each column of the right one to as much as its sums leave room for: no sum can overflow, whatever the
//! left matrix holds. What is rounded, and what is made of the sums, is here and in `right` and `left`; how the sums come about is the
//! business of each kind of processor (`avx2`; `avxvnni` and `avx512`, which have `vnni` in common). As they are exact, all come to the
//! same ones.

mod avx2;
mod avx512;
mod avxvnni;
mod left;
mod right;
mod vnni;

use std::ops::Range;

use pulp::x86::V3;

use self::left::{Left, Strip, round};
use self::right::{BLOCK, Block};
use super::COLUMNS;
use super::cpu::{Avx512, AvxVnni, Cpu};
use super::lanes::Lanes;
use super::rows::gelu;

/// The instructions that multiply.
#[derive(Debug, Clone, Copy)]
pub(super) enum Path {
    Avx2(V3),
    AvxVnni(AvxVnni),
    Avx512(Avx512),
}

impl Path {
    pub(super) fn of(cpu: Cpu) -> Option<Self> {
        match cpu {
            Cpu::Baseline => None,
            Cpu::Avx2(v3) => Some(Self::Avx2(v3)),
            Cpu::AvxVnni(vnni) => Some(Self::AvxVnni(vnni)),
            Cpu::Avx512(v4) => Some(Self::Avx512(v4)),
        }
    }

    fn run<W: Work>(self, work: W) {
        match self {
            Self::Avx2(v3) => v3.vectorize(Compiled::<_, _, { avx2::ROWS }>(v3, work)),
            Self::AvxVnni(vnni) => vnni.vectorize(Compiled::<_, _, { avxvnni::ROWS }>(vnni, work)),
            Self::Avx512(v4) => v4.vectorize(Compiled::<_, _, { avx512::ROWS }>(v4, work)),
        }
    }
}

/// How strips of so many rows are multiplied. All of it is to be inlined.
trait Multiply<const ROWS: usize>: Copy {
    /// For what is done in single precision.
    type Lanes: Lanes;

    fn lanes(self) -> Self::Lanes;

    /// What is taken away from the sums of a row of the left matrix.
    fn own(self, pairs: &[Pair]) -> i32;

    /// Multiplies some rows with some panels.
    fn multiply(self, strip: &Strip<'_, ROWS>, block: &Block, panels: Range<usize>, sums: Sums<'_>);
}

/// What is done by one kind of instructions. All of it is to be inlined.
trait Work {
    fn run<L: Multiply<ROWS>, const ROWS: usize>(self, by: L);
}

/// What is compiled for a kind of processor.
struct Compiled<L, W, const ROWS: usize>(L, W);

impl<L: Multiply<ROWS>, W: Work, const ROWS: usize> pulp::NullaryFnOnce for Compiled<L, W, ROWS> {
    type Output = ();

    #[inline(always)]
    #[allow(clippy::inline_always, reason = "what is not inlined is not compiled for the processor")]
    fn call(self) {
        self.1.run::<L, ROWS>(self.0);
    }
}

/// Two numbers in 16 bits each, which are multiplied and added.
type Pair = i32;

/// The right matrix, [`BLOCK`] rows after the other, and what is added to the products.
#[derive(Debug)]
pub(super) struct Wide {
    path: Path,
    blocks: Vec<Block>,
}

impl Wide {
    /// From the numbers of a matrix `[columns, depth]`, of an even depth, each of whose rows becomes a column, and as many biases.
    pub(super) fn new(path: Path, depth: usize, numbers: &[f32], biases: &[f32]) -> Self {
        let block = |from: usize| {
            let to = depth.min(from + BLOCK);
            let columns = numbers.chunks_exact(depth).map(|column| column.get(from..to).unwrap_or_default());
            Block::new(to - from, columns, if from == 0 { biases } else { &[] })
        };
        Self { path, blocks: (0..depth).step_by(BLOCK).map(block).collect() }
    }
}

/// Where the products of a [`Strip`] go.
struct Sums<'a> {
    numbers: &'a mut [f32],
    width: usize,
    /// The first column.
    from: usize,
    /// Whether they are added to what is there.
    add: bool,
}

impl Sums<'_> {
    /// Writes the products of a row, from a column on, or adds them; as far as there is room.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "compiled for what calls it")]
    fn put<L: Lanes>(&mut self, lanes: L, row: usize, from: usize, products: L::Numbers) {
        let places = self.numbers.get_mut(row * self.width..(row + 1) * self.width).unwrap_or_default();
        let places = places.get_mut(from..).unwrap_or_default();
        match places.first_chunk_mut() {
            Some(places) => write(lanes, places, products, self.add),
            None => write_some(lanes, places, products, self.add),
        }
    }

    /// Reads a number of every line of the cache that is added to, so that all of them are on their way at once: panel by panel, each one
    /// would wait for its own.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "compiled for what calls it")]
    fn fetch(&self) {
        if self.add {
            std::hint::black_box(self.numbers.iter().step_by(16).fold(0, |all, x| all ^ x.to_bits()));
        }
    }
}

/// Writes products, or adds them.
#[inline(always)]
#[allow(clippy::inline_always, reason = "compiled for what calls it")]
fn write<L: Lanes>(lanes: L, places: &mut [f32; COLUMNS], products: L::Numbers, add: bool) {
    *places = lanes.store(if add { lanes.add(lanes.load(places), products) } else { products });
}

/// The same where there is room for fewer.
#[inline(always)]
#[allow(clippy::inline_always, reason = "compiled for what calls it")]
fn write_some<L: Lanes>(lanes: L, places: &mut [f32], products: L::Numbers, add: bool) {
    for (place, product) in places.iter_mut().zip(lanes.store(products)) {
        *place = if add { *place + product } else { product };
    }
}

/// Memory for what is needed while a product is computed.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    left: Vec<Left>,
    /// Between the two products of a [`FeedForward`].
    between: Left,
    /// The same before it is rounded, for one strip.
    strip: Vec<f32>,
}

/// The panels of the columns that stay together from this one on.
fn panels(from: usize, width: usize) -> Range<usize> {
    from / COLUMNS..width.min(from + BLOCK).div_ceil(COLUMNS)
}

/// `sums = x · weight + bias`, or `sums += …`
pub(super) struct Product<'a> {
    pub(super) wide: &'a Wide,
    /// Numbers a row of `x`.
    pub(super) inputs: usize,
    /// Numbers a row of `sums`.
    pub(super) outputs: usize,
    pub(super) x: &'a [f32],
    pub(super) sums: &'a mut [f32],
    pub(super) add: bool,
    pub(super) scratch: &'a mut Scratch,
}

impl Product<'_> {
    pub(super) fn compute(self) {
        self.wide.path.run(self);
    }
}

impl Work for Product<'_> {
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "compiled for what calls it")]
    fn run<L: Multiply<ROWS>, const ROWS: usize>(self, by: L) {
        let Self { wide, inputs, outputs, x, sums, add, scratch } = self;
        Left::fill(by, &mut scratch.left, x, inputs);
        for (at, (block, left)) in wide.blocks.iter().zip(&scratch.left).enumerate() {
            for from in (0..outputs).step_by(BLOCK) {
                let panels = panels(from, outputs);
                for (strip, numbers) in left.strips().zip(sums.chunks_mut(ROWS * outputs)) {
                    let sums = Sums { numbers, width: outputs, from, add: add || at > 0 };
                    by.multiply(&strip, block, panels.clone(), sums);
                }
            }
        }
    }
}

/// `x += contract · GELU(expand · x)`
pub(super) struct FeedForward<'a> {
    pub(super) expand: &'a Wide,
    pub(super) contract: &'a Wide,
    /// Numbers a row of `x`.
    pub(super) width: usize,
    /// Numbers a row of what is between.
    pub(super) inner: usize,
    pub(super) x: &'a mut [f32],
    pub(super) scratch: &'a mut Scratch,
}

impl FeedForward<'_> {
    pub(super) fn compute(self) {
        self.expand.path.run(self);
    }
}

impl Work for FeedForward<'_> {
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "compiled for what calls it")]
    fn run<L: Multiply<ROWS>, const ROWS: usize>(self, by: L) {
        let Self { expand, contract, width, inner, x, scratch: Scratch { left, between, strip: numbers } } = self;
        let rows = x.len() / width.max(1);
        Left::fill(by, left, x, width);
        // Each block of the second product needs some columns of the first one alone.
        for (second, from) in contract.blocks.iter().zip((0..inner).step_by(BLOCK)) {
            let panels = panels(from, inner);
            let columns = inner.min(from + BLOCK) - from;
            between.reshape::<ROWS>(rows, columns);
            numbers.resize(ROWS * columns, 0.0);
            let mut strips: Vec<_> = left.iter().map(Left::strips).collect();
            let mut places = between.rows_mut();
            for _ in (0..rows).step_by(ROWS) {
                for (at, (first, strips)) in expand.blocks.iter().zip(&mut strips).enumerate() {
                    let Some(strip) = strips.next() else { continue };
                    by.multiply(&strip, first, panels.clone(), Sums { numbers, width: columns, from: 0, add: at > 0 });
                }
                for (row, place) in numbers.chunks_exact_mut(columns).zip(&mut places) {
                    for x in row.iter_mut() {
                        *x = gelu::<L::Lanes>(*x);
                    }
                    round(by, row, place);
                }
            }
            drop(places);
            for (strip, numbers) in between.strips().zip(x.chunks_mut(ROWS * width)) {
                by.multiply(&strip, second, 0..width.div_ceil(COLUMNS), Sums { numbers, width, from: 0, add: true });
            }
        }
    }
}
