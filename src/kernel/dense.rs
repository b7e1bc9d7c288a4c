//! `x · weight + bias`.

use super::panels::{self, Panels};
#[cfg(target_arch = "x86_64")]
use super::wide::{self, Left, Wide};
use super::{COLUMNS, Cpu, ROWS, Work, next_rows};

/// A matrix, row by row.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrix {
    /// Numbers a row.
    pub width: usize,
    /// All rows, one after the other.
    pub numbers: Vec<f32>,
}

impl Matrix {
    /// Zeros alone.
    pub fn zeros(rows: usize, width: usize) -> Self {
        Self { width, numbers: vec![0.0; rows * width] }
    }

    /// Another shape, in the memory that is there; what stands in it is to be overwritten.
    pub fn reshape(&mut self, rows: usize, width: usize) {
        self.width = width;
        self.numbers.resize(rows * width, 0.0);
    }

    /// The rows.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[f32]> {
        self.numbers.chunks_exact(self.width.max(1))
    }

    /// The rows, to be changed.
    pub fn rows_mut(&mut self) -> impl ExactSizeIterator<Item = &mut [f32]> {
        self.numbers.chunks_exact_mut(self.width.max(1))
    }
}

/// A linear layer.
#[derive(Debug)]
pub struct Dense {
    weight: Weight,
    bias: Vec<f32>,
}

#[derive(Debug)]
enum Weight {
    Single(Panels),
    #[cfg(target_arch = "x86_64")]
    Wide(pulp::x86::V3, Wide),
}

impl Dense {
    /// From weights `[outputs, inputs]`, as they are published, and as many biases as outputs.
    pub fn new(cpu: Cpu, weight: &Matrix, bias: Vec<f32>) -> Self {
        let columns = weight.rows();
        let weight = match cpu {
            #[cfg(target_arch = "x86_64")]
            Cpu::Avx2(v3) if weight.width.is_multiple_of(2) => Weight::Wide(v3, Wide::of_columns(weight.width, columns)),
            _ => Weight::Single(Panels::of_columns(weight.width, columns)),
        };
        Self { weight, bias }
    }

    /// The same in single precision whatever the processor: for layers of which there is little to compute.
    pub fn single(weight: &Matrix, bias: Vec<f32>) -> Self {
        Self { weight: Weight::Single(Panels::of_columns(weight.width, weight.rows())), bias }
    }

    /// `x · weight + bias`
    pub fn of(&self, cpu: Cpu, x: &Matrix, scratch: &mut Scratch) -> Matrix {
        let mut product = Matrix::zeros(0, 0);
        self.write(cpu, x, &mut product, scratch);
        product
    }

    /// `product = x · weight + bias`
    pub fn write(&self, cpu: Cpu, x: &Matrix, product: &mut Matrix, scratch: &mut Scratch) {
        product.reshape(x.rows().len(), self.bias.len());
        self.run::<false>(cpu, x, product, scratch);
    }

    /// `sum += x · weight + bias`
    pub fn add_to(&self, cpu: Cpu, x: &Matrix, sum: &mut Matrix, scratch: &mut Scratch) {
        self.run::<true>(cpu, x, sum, scratch);
    }

    fn run<const ADD: bool>(&self, cpu: Cpu, x: &Matrix, sum: &mut Matrix, scratch: &mut Scratch) {
        let bias = &self.bias;
        match &self.weight {
            Weight::Single(panels) => cpu.run(Single::<ADD> { panels, bias, x, sum }),
            #[cfg(target_arch = "x86_64")]
            Weight::Wide(v3, wide) => {
                cpu.run(InSixteenBits::<ADD> { v3: *v3, wide, bias, x, sum, left: &mut scratch.left });
            }
        }
    }
}

/// Memory for what is needed while a product is computed.
#[derive(Debug, Default)]
pub struct Scratch {
    #[cfg(target_arch = "x86_64")]
    left: Left,
}

struct Single<'a, const ADD: bool> {
    panels: &'a Panels,
    bias: &'a [f32],
    x: &'a Matrix,
    sum: &'a mut Matrix,
}

impl<const ADD: bool> Work for Single<'_, ADD> {
    type Output = ();

    #[inline(always)]
    #[allow(clippy::inline_always, reason = "compiled for what calls it")]
    fn run<const FUSED: bool>(self) {
        for (at, (panel, bias)) in self.panels.iter().zip(self.bias.chunks(COLUMNS)).enumerate() {
            let place = Place { panel: at, bias };
            for_tiles::<ADD, _>(&self.x.numbers, self.x.width, self.sum, place, |rows, _| panels::tile::<FUSED>(rows, panel));
        }
    }
}

#[cfg(target_arch = "x86_64")]
struct InSixteenBits<'a, const ADD: bool> {
    v3: pulp::x86::V3,
    wide: &'a Wide,
    bias: &'a [f32],
    x: &'a Matrix,
    sum: &'a mut Matrix,
    left: &'a mut Left,
}

#[cfg(target_arch = "x86_64")]
impl<const ADD: bool> Work for InSixteenBits<'_, ADD> {
    type Output = ();

    #[inline(always)]
    #[allow(clippy::inline_always, reason = "compiled for what calls it")]
    fn run<const FUSED: bool>(self) {
        let Self { v3, wide, bias, x, sum, left } = self;
        left.refill(&x.numbers, x.width);
        for (at, ((panel, scales), bias)) in wide.iter().zip(bias.chunks(COLUMNS)).enumerate() {
            let place = Place { panel: at, bias };
            for_tiles::<ADD, _>(&left.pairs, x.width / 2, sum, place, |rows, first| {
                let mut tile = wide::tile(v3, rows, panel);
                for (row, scale) in tile.iter_mut().zip(left.scales.get(first..).unwrap_or_default()) {
                    for (x, column) in row.iter_mut().zip(scales) {
                        *x *= scale * column;
                    }
                }
                tile
            });
        }
    }
}

/// Some columns of a product.
#[derive(Clone, Copy)]
struct Place<'a> {
    panel: usize,
    bias: &'a [f32],
}

/// Writes, or adds, the tiles of one panel and its biases.
#[inline(always)]
#[allow(clippy::inline_always, reason = "compiled for what calls it")]
fn for_tiles<const ADD: bool, T>(
    left: &[T],
    width: usize,
    sum: &mut Matrix,
    place: Place<'_>,
    tile: impl Fn([&[T]; ROWS], usize) -> [[f32; COLUMNS]; ROWS],
) {
    let mut biases = [0.0; COLUMNS];
    for (bias, x) in biases.iter_mut().zip(place.bias) {
        *bias = *x;
    }
    let (outputs, from) = (sum.width.max(1), place.panel * COLUMNS);
    for (at, (sums, left)) in sum.numbers.chunks_mut(ROWS * outputs).zip(left.chunks(ROWS * width.max(1))).enumerate() {
        let tile = tile(next_rows(left.chunks_exact(width.max(1))), at * ROWS);
        for (sums, products) in sums.chunks_exact_mut(outputs).zip(tile) {
            let sums = sums.get_mut(from..).unwrap_or_default();
            // Of a length that is known: by vector instructions.
            match sums.first_chunk_mut::<COLUMNS>() {
                Some(sums) => write::<ADD>(sums, &products, &biases),
                None => write::<ADD>(sums, &products, &biases),
            }
        }
    }
}

#[inline(always)]
#[allow(clippy::inline_always, reason = "compiled for what calls it")]
fn write<const ADD: bool>(sums: &mut [f32], products: &[f32; COLUMNS], biases: &[f32; COLUMNS]) {
    for ((sum, product), bias) in sums.iter_mut().zip(products).zip(biases) {
        let product = product + bias;
        *sum = if ADD { *sum + product } else { product };
    }
}
