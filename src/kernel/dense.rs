//! `x · weight + bias`.

use super::cpu::{Cpu, Work};
use super::lanes::Lanes;
use super::panels::{self, Panel, Panels};
use super::rows::gelu_rows;
#[cfg(target_arch = "x86_64")]
use super::wide::{self, Wide};
use super::{COLUMNS, ROWS, next_rows};

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

/// Rows that are multiplied together in single precision: few enough for them and for what comes out of them to stay in the second
/// cache (half a megabyte of a core), enough for a panel that comes out of the third one to be worth its way.
const TOGETHER: usize = 48;

/// A linear layer.
#[derive(Debug)]
pub struct Dense {
    /// Numbers a row that it takes.
    inputs: usize,
    weight: Weight,
    bias: Vec<f32>,
}

#[derive(Debug)]
enum Weight {
    Single(Panels),
    #[cfg(target_arch = "x86_64")]
    Wide(Wide),
}

impl Dense {
    /// From weights `[outputs, inputs]`, as they are published, and as many biases as outputs.
    pub fn new(cpu: Cpu, weight: &Matrix, bias: Vec<f32>) -> Self {
        let inputs = weight.width;
        #[cfg(target_arch = "x86_64")]
        if let Some(path) = wide::Path::of(cpu)
            && inputs.is_multiple_of(2)
        {
            let wide = Wide::new(path, inputs, &weight.numbers, &bias);
            return Self { inputs, weight: Weight::Wide(wide), bias };
        }
        Self::single(weight, bias)
    }

    /// The same in single precision whatever the processor: for layers of which there is little to compute.
    pub fn single(weight: &Matrix, bias: Vec<f32>) -> Self {
        let inputs = weight.width;
        Self { inputs, weight: Weight::Single(Panels::of_columns(inputs, weight.rows())), bias }
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
        self.run::<false>(cpu, &x.numbers, &mut product.numbers, scratch);
    }

    /// `sum += x · weight + bias`
    pub fn add_to(&self, cpu: Cpu, x: &Matrix, sum: &mut Matrix, scratch: &mut Scratch) {
        self.run::<true>(cpu, &x.numbers, &mut sum.numbers, scratch);
    }

    fn run<const ADD: bool>(&self, cpu: Cpu, x: &[f32], sums: &mut [f32], scratch: &mut Scratch) {
        let (inputs, outputs) = (self.inputs, self.bias.len());
        match &self.weight {
            Weight::Single(panels) => {
                for (x, sum) in x.chunks((TOGETHER * inputs).max(1)).zip(sums.chunks_mut((TOGETHER * outputs).max(1))) {
                    cpu.run(Single::<ADD> { panels, bias: &self.bias, inputs, x, sum });
                }
            }
            #[cfg(target_arch = "x86_64")]
            Weight::Wide(wide) => {
                wide::Product { wide, inputs, outputs, x, sums, add: ADD, scratch: &mut scratch.wide }.compute();
            }
        }
    }
}

/// `x += contract · GELU(expand · x)`, with the biases of both: the second half of a transformer's layer.
pub fn feed_forward(cpu: Cpu, expand: &Dense, contract: &Dense, x: &mut Matrix, scratch: &mut Scratch) {
    let (width, outputs) = (x.width.max(1), expand.bias.len());
    #[cfg(target_arch = "x86_64")]
    if let (Weight::Wide(first), Weight::Wide(second)) = (&expand.weight, &contract.weight) {
        let (x, scratch) = (&mut x.numbers, &mut scratch.wide);
        wide::FeedForward { expand: first, contract: second, width, inner: outputs, x, scratch }.compute();
        return;
    }
    let mut inner = std::mem::take(&mut scratch.inner);
    // Some rows at a time, so that what is between stays in the cache.
    for x in x.numbers.chunks_mut(TOGETHER * width) {
        inner.resize(x.len() / width * outputs, 0.0);
        expand.run::<false>(cpu, x, &mut inner, scratch);
        gelu_rows(cpu, &mut inner);
        contract.run::<true>(cpu, &inner, x, scratch);
    }
    scratch.inner = inner;
}

/// Memory for what is needed while a product is computed.
#[derive(Debug, Default)]
pub struct Scratch {
    /// Between the two products of a [`feed_forward`].
    inner: Vec<f32>,
    #[cfg(target_arch = "x86_64")]
    wide: wide::Scratch,
}

struct Single<'a, const ADD: bool> {
    panels: &'a Panels,
    bias: &'a [f32],
    inputs: usize,
    x: &'a [f32],
    sum: &'a mut [f32],
}

impl<const ADD: bool> Work for Single<'_, ADD> {
    type Output = ();

    #[inline(always)]
    #[allow(clippy::inline_always, reason = "compiled for what calls it")]
    fn run<L: Lanes, const PANELS: usize>(self, lanes: L) {
        let (groups, rest) = self.panels.groups::<PANELS>();
        for (at, panels) in groups {
            multiply::<L, ADD, PANELS>(lanes, self.x, self.inputs, self.bias, self.sum, at, &panels);
        }
        for (at, panels) in rest {
            multiply::<L, ADD, 1>(lanes, self.x, self.inputs, self.bias, self.sum, at, &panels);
        }
    }
}

/// Multiplies all rows with some panels, from this one on.
#[inline(always)]
#[allow(clippy::inline_always, reason = "compiled for what calls it")]
fn multiply<L: Lanes, const ADD: bool, const PANELS: usize>(
    lanes: L,
    x: &[f32],
    inputs: usize,
    bias: &[f32],
    sums: &mut [f32],
    at: usize,
    panels: &[Panel<'_>; PANELS],
) {
    let (inputs, outputs) = (inputs.max(1), bias.len());
    let places: [Place; PANELS] =
        std::array::from_fn(|panel| Place::new(at + panel, bias.chunks(COLUMNS).nth(at + panel).unwrap_or_default()));
    for (sums, left) in sums.chunks_mut(ROWS * outputs).zip(x.chunks(ROWS * inputs)) {
        let tiles = panels::tile::<L, PANELS>(lanes, next_rows(left.chunks_exact(inputs)), panels);
        for (place, tile) in places.iter().zip(&tiles) {
            for (sums, products) in sums.chunks_exact_mut(outputs).zip(tile) {
                place.put::<ADD>(&lanes.store(*products), sums);
            }
        }
    }
}

/// The columns of a panel within a row of the product.
struct Place {
    from: usize,
    /// Zeros where there are no more columns.
    biases: [f32; COLUMNS],
}

impl Place {
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "compiled for what calls it")]
    fn new(panel: usize, some: &[f32]) -> Self {
        let mut biases = [0.0; COLUMNS];
        for (bias, x) in biases.iter_mut().zip(some) {
            *bias = *x;
        }
        Self { from: panel * COLUMNS, biases }
    }

    /// Writes, or adds, products and biases.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "compiled for what calls it")]
    fn put<const ADD: bool>(&self, products: &[f32; COLUMNS], row: &mut [f32]) {
        let sums = row.get_mut(self.from..).unwrap_or_default();
        // Of a length that is known: by vector instructions.
        match sums.first_chunk_mut::<COLUMNS>() {
            Some(sums) => self.write::<ADD>(products, sums),
            None => self.write::<ADD>(products, sums),
        }
    }

    #[inline(always)]
    #[allow(clippy::inline_always, reason = "compiled for what calls it")]
    fn write<const ADD: bool>(&self, products: &[f32; COLUMNS], sums: &mut [f32]) {
        for ((sum, product), bias) in sums.iter_mut().zip(products).zip(&self.biases) {
            let product = product + bias;
            *sum = if ADD { *sum + product } else { product };
        }
    }
}
