//! Products in 16 bits, for AVX2: twice as many multiplications an instruction as in single precision, and no sum that is cut.
//!
//! `vpmaddwd` multiplies sixteen pairs of 16-bit numbers and adds neighbours into eight sums of 32 bits, all of them exact.
//! Numbers are scaled to 14 bits for each row of the left matrix, and for each column of the right one to as much as its sums
//! leave room for: no sum can overflow, whatever the left matrix holds. (8 bits would be no faster without VNNI: there
//! `vpmaddubsw` and `vpmaddwd` are needed for what one `vpmaddwd` does here, and its sums saturate.)
//!
//! What bounds it: every `vpmaddwd` needs a `vpaddd`. By the first alone a Zen 3 at 3.1 GHz does 200 billion multiplications and
//! additions a second, by both 166, from registers, in whatever order and in tiles of whatever shape: a sum often takes one of the
//! two units (of four) that can multiply. (With shuffles in their place, which take the other two, it is 190.) So half of the
//! multiplications are turned into additions, which is worth 178 (Winograd 1968, "A new algorithm for inner product", IEEE
//! Transactions on Computers C-17):
//!
//! `x₀·w₀ + x₁·w₁ = (x₀ + w₁)·(x₁ + w₀) - x₀·x₁ - w₀·w₁`
//!
//! The last two are summed up once for a row and once for a column. Sums of 32 bits wrap round on the way and are exact in the end.

use std::arch::x86_64::{__m256, __m256i};
use std::ops::Range;

use pulp::x86::V3;

use super::rows::{fold, gelu};
use super::{COLUMNS, Work, next_rows};

/// Rows that a tile has. With [`COLUMNS`] it fills the sixteen registers of AVX2: eight sums, four of the right matrix, two of the
/// left one, two for what is between.
const ROWS: usize = 4;
/// The largest magnitude on the left.
const LEFT: f32 = 8191.0;
/// The largest magnitude on the right: with one on the left it is still a number of 16 bits.
const RIGHT: f32 = 24_000.0;
/// Rows of the right matrix that are summed up in 32 bits, and columns of it that stay together: so many of both (288 KiB) leave
/// room in the second cache (half a megabyte of a core). All rows of the left matrix pass by before the next ones are fetched.
const BLOCK: usize = 384;
/// Adding 1.5 · 2^23 to a small number rounds it and leaves it in the low bits.
const ROUND: f32 = 12_582_912.0;

/// Two numbers in 16 bits each: what `vpmaddwd` multiplies and adds.
type Pair = i32;

/// The right matrix, [`BLOCK`] rows after the other, and what is added to the products.
#[derive(Debug)]
pub(super) struct Wide(Vec<Block>);

/// Some rows of the right matrix, in panels of [`COLUMNS`] columns.
#[derive(Debug)]
struct Block {
    /// Pairs a column, an even number.
    depth: usize,
    pairs: Vec<[__m256i; 2]>,
    /// One for each panel.
    columns: Vec<Columns>,
}

/// What is taken away from the sums of a panel, what they are multiplied by, and what is added then. Zeros beyond the last column.
#[derive(Debug, Clone, Default)]
struct Columns {
    own: [i32; COLUMNS],
    scales: [f32; COLUMNS],
    biases: [f32; COLUMNS],
}

/// Some columns of the left matrix: those that are multiplied with one block.
#[derive(Debug, Default)]
struct Left {
    /// Pairs a row, an even number.
    depth: usize,
    pairs: Vec<Pair>,
    rows: Vec<Row>,
}

/// What is taken away from the sums of a row, and what they are multiplied by then.
#[derive(Debug, Clone, Copy, Default)]
struct Row {
    own: i32,
    scale: f32,
}

/// Rows of a [`Left`] that are multiplied at once.
struct Strip<'a> {
    pairs: [&'a [Pair]; ROWS],
    rows: [Row; ROWS],
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

/// Memory for what is needed while a product is computed.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    left: Vec<Left>,
    /// Between the two products of a [`FeedForward`].
    between: Left,
    /// The same before it is rounded, for one strip.
    strip: Vec<f32>,
}

impl Wide {
    /// From the numbers of a matrix `[columns, depth]`, of an even depth, each of whose rows becomes a column, and as many biases.
    pub(super) fn new(depth: usize, numbers: &[f32], biases: &[f32]) -> Self {
        let block = |from: usize| {
            let to = depth.min(from + BLOCK);
            let columns = numbers.chunks_exact(depth).map(|column| column.get(from..to).unwrap_or_default());
            Block::new(to - from, columns, if from == 0 { biases } else { &[] })
        };
        Self((0..depth).step_by(BLOCK).map(block).collect())
    }
}

impl Block {
    fn new<'a>(count: usize, columns: impl ExactSizeIterator<Item = &'a [f32]>, biases: &[f32]) -> Self {
        let (depth, panels) = (depth(count), columns.len().div_ceil(COLUMNS));
        let mut pairs = vec![[[0_i16; 16]; 2]; depth * panels];
        let mut of_panels = vec![Columns::default(); panels];
        for (panel, biases) in of_panels.iter_mut().zip(biases.chunks(COLUMNS)) {
            for (place, bias) in panel.biases.iter_mut().zip(biases) {
                *place = *bias;
            }
        }
        let mut rounded = vec![0; depth];
        for (at, column) in columns.enumerate() {
            let scale = scale_of_column(column);
            for (pair, (low, high)) in rounded.iter_mut().zip(halves(column)) {
                // Within 16 bits by the scale.
                *pair = pair_of((low * scale).round() as i16, (high * scale).round() as i16);
            }
            let (panel, place) = (at / COLUMNS, at % COLUMNS);
            let rows = pairs.get_mut(panel * depth..).unwrap_or_default();
            for (row, pair) in rows.iter_mut().zip(&rounded) {
                let place = row.get_mut(place / 8).and_then(|half| half.get_mut(place % 8 * 2..place % 8 * 2 + 2));
                if let Some(place) = place {
                    place.copy_from_slice(&numbers_of(*pair));
                }
            }
            if let Some(panel) = of_panels.get_mut(panel) {
                for (scales, own) in panel.scales.iter_mut().zip(&mut panel.own).skip(place).take(1) {
                    (*scales, *own) = (scale.recip(), own_products(&rounded));
                }
            }
        }
        let pairs = pairs.into_iter().map(|halves| halves.map(pulp::cast)).collect();
        Self { depth, pairs, columns: of_panels }
    }

    /// Multiplies some rows with some panels.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "compiled for what calls it")]
    fn multiply(&self, v3: V3, strip: &Strip, panels: Range<usize>, mut sums: Sums) {
        let pairs = self.pairs.get(panels.start * self.depth..).unwrap_or_default().chunks_exact(self.depth.max(1));
        let columns = self.columns.get(panels).unwrap_or_default();
        if sums.add {
            fetch(sums.numbers);
        }
        for ((panel, columns), from) in pairs.zip(columns).zip((sums.from..).step_by(COLUMNS)) {
            let [a, b, c, d] = tile(v3, strip.pairs, panel);
            let [of_a, of_b, of_c, of_d] = strip.rows;
            // Row by row, not in a loop over them: for that one, the sums would not stay in registers.
            sums.put(0, from, columns.finish(v3, a, of_a));
            sums.put(1, from, columns.finish(v3, b, of_b));
            sums.put(2, from, columns.finish(v3, c, of_c));
            sums.put(3, from, columns.finish(v3, d, of_d));
        }
    }
}

impl Columns {
    /// The products of one row.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "compiled for what calls it")]
    fn finish(&self, v3: V3, sums: [__m256i; 2], row: Row) -> [f32; COLUMNS] {
        let own: [__m256i; 2] = pulp::cast(self.own);
        let (scales, biases): ([__m256; 2], [__m256; 2]) = (pulp::cast(self.scales), pulp::cast(self.biases));
        let mut products = biases;
        for (((product, sum), own), scale) in products.iter_mut().zip(sums).zip(own).zip(scales) {
            let own = v3.avx2._mm256_add_epi32(own, v3.avx._mm256_set1_epi32(row.own));
            let sum = v3.avx._mm256_cvtepi32_ps(v3.avx2._mm256_sub_epi32(sum, own));
            *product = v3.fma._mm256_fmadd_ps(sum, v3.avx._mm256_mul_ps(v3.avx._mm256_set1_ps(row.scale), scale), *product);
        }
        pulp::cast(products)
    }
}

impl Sums<'_> {
    /// Writes the products of a row, from a column on, or adds them; as far as there is room.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "compiled for what calls it")]
    fn put(&mut self, row: usize, from: usize, products: [f32; COLUMNS]) {
        let places = self.numbers.get_mut(row * self.width..(row + 1) * self.width).unwrap_or_default();
        let places = places.get_mut(from..).unwrap_or_default();
        // Of a length that is known: by vector instructions.
        match places.first_chunk_mut::<COLUMNS>() {
            Some(places) if self.add => {
                for (place, product) in places.iter_mut().zip(products) {
                    *place += product;
                }
            }
            Some(places) => *places = products,
            None => {
                for (place, product) in places.iter_mut().zip(products) {
                    *place = if self.add { *place + product } else { product };
                }
            }
        }
    }
}

/// Reads a number of every line of the cache, so that all of them are on their way at once: panel by panel, each one would wait for
/// its own.
#[inline(always)]
#[allow(clippy::inline_always, reason = "compiled for what calls it")]
fn fetch(numbers: &[f32]) {
    std::hint::black_box(numbers.iter().step_by(16).fold(0, |all, x| all ^ x.to_bits()));
}

/// The largest factor with which no sum of a block leaves 32 bits and no number 16.
fn scale_of_column(column: &[f32]) -> f32 {
    let sum = column.iter().map(|x| x.abs()).sum::<f32>();
    let max = column.iter().fold(0.0, |max: f32, x| max.max(x.abs()));
    // A rounded number is half a step larger at most: 2^31 less what that adds to a sum of a block.
    let room = (2_147_483_648.0 - LEFT * BLOCK as f32) * 0.999;
    (room / (LEFT * sum)).min(RIGHT / max).clamp(f32::MIN_POSITIVE, 1e30)
}

/// Pairs that so many numbers, an even count, fill: an even number.
fn depth(count: usize) -> usize {
    (count / 2).next_multiple_of(2)
}

fn pair_of(low: i16, high: i16) -> Pair {
    (Pair::from(low) & 0xffff) | (Pair::from(high) << 16)
}

fn numbers_of(pair: Pair) -> [i16; 2] {
    [pair as i16, (pair >> 16) as i16]
}

/// What neighbouring pairs have in common with each other instead of with those of the other matrix.
fn own_products(pairs: &[Pair]) -> i32 {
    let mut sum = 0_i32;
    for [a, b] in pairs.as_chunks::<2>().0 {
        for (a, b) in numbers_of(*a).into_iter().zip(numbers_of(*b)) {
            sum = sum.wrapping_add(i32::from(a) * i32::from(b));
        }
    }
    sum
}

/// The numbers that are paired: those of the first half with those of the second, so that both halves are read in order.
fn halves(numbers: &[f32]) -> impl Iterator<Item = (f32, f32)> {
    let (low, high) = numbers.split_at(numbers.len() / 2);
    low.iter().copied().zip(high.iter().copied())
}

impl Left {
    /// Another shape, in the memory that is there; what stands in it is to be overwritten.
    fn reshape(&mut self, rows: usize, width: usize) {
        self.depth = depth(width);
        self.pairs.resize(rows * self.depth, 0);
        self.rows.resize(rows, Row::default());
    }

    /// Its rows, to be overwritten by [`round`].
    fn rows_mut(&mut self) -> impl Iterator<Item = (&mut [Pair], &mut Row)> {
        self.pairs.chunks_exact_mut(self.depth.max(1)).zip(&mut self.rows)
    }

    /// Rounds the rows of a matrix, for one block after the other.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "compiled for what calls it")]
    fn fill(v3: V3, all: &mut Vec<Self>, numbers: &[f32], width: usize) {
        all.resize_with(width.div_ceil(BLOCK), Self::default);
        for (left, from) in all.iter_mut().zip((0..width).step_by(BLOCK)) {
            let columns = from..width.min(from + BLOCK);
            left.reshape(numbers.len() / width, columns.len());
            for (row, place) in numbers.chunks_exact(width).zip(left.rows_mut()) {
                round(v3, row.get(columns.clone()).unwrap_or_default(), place);
            }
        }
    }

    #[inline(always)]
    #[allow(clippy::inline_always, reason = "compiled for what calls it")]
    fn strips(&self) -> impl Iterator<Item = Strip<'_>> {
        let depth = self.depth.max(1);
        self.pairs.chunks(ROWS * depth).zip(self.rows.chunks(ROWS)).map(move |(pairs, some)| {
            let mut rows = [Row::default(); ROWS];
            for (place, row) in rows.iter_mut().zip(some) {
                *place = *row;
            }
            Strip { pairs: next_rows(pairs.chunks_exact(depth)), rows }
        })
    }
}

/// Rounds a row.
#[inline(always)]
#[allow(clippy::inline_always, reason = "compiled for what calls it")]
fn round(v3: V3, numbers: &[f32], (pairs, row): (&mut [Pair], &mut Row)) {
    let greater = |a: f32, b: f32| if b > a { b } else { a };
    let max = fold(numbers, f32::MIN_POSITIVE, |max, x| greater(max, x.abs()), greater);
    let scale = LEFT / max.max(1e-30);
    let (low, high) = numbers.split_at(numbers.len() / 2);
    let (rounded, rest) = pairs.split_at_mut_checked(low.len()).unwrap_or_default();
    for ((pair, low), high) in rounded.iter_mut().zip(low).zip(high) {
        let (low, high) = ((low * scale + ROUND).to_bits(), (high * scale + ROUND).to_bits());
        *pair = ((low & 0xffff) | (high << 16)) as Pair;
    }
    rest.fill(0);
    // As `own_products`, four at a time: a pair and its neighbour, and once more the other way round, which is left aside.
    let (chunks, rest) = pairs.as_chunks::<8>();
    let mut sums = v3.avx._mm256_setzero_si256();
    for chunk in chunks {
        let pairs = pulp::cast(*chunk);
        let products = v3.avx2._mm256_madd_epi16(pairs, v3.avx2._mm256_shuffle_epi32::<0b10_11_00_01>(pairs));
        sums = v3.avx2._mm256_add_epi32(sums, products);
    }
    let [a, _, b, _, c, _, d, _]: [i32; 8] = pulp::cast(sums);
    let own = a.wrapping_add(b).wrapping_add(c).wrapping_add(d).wrapping_add(own_products(rest));
    *row = Row { own, scale: scale.recip() };
}

/// The sums of some rows with the columns of a panel, from which what is their own is yet to be taken away.
#[inline(always)]
#[allow(clippy::inline_always, reason = "compiled for what calls it")]
fn tile(v3: V3, rows: [&[Pair]; ROWS], panel: &[[__m256i; 2]]) -> [[__m256i; 2]; ROWS] {
    let mut sums = [[v3.avx._mm256_setzero_si256(); 2]; ROWS];
    let [a, b, c, d] = rows;
    let (a, b, c, d) = (a.as_chunks().0, b.as_chunks().0, c.as_chunks().0, d.as_chunks().0);
    for ((((right, a), b), c), d) in panel.as_chunks().0.iter().zip(a).zip(b).zip(c).zip(d) {
        step(v3, &mut sums, [a, b, c, d], right);
    }
    sums
}

/// Left pairs by reference: both of a row at once would be one load and be taken apart again.
#[inline(always)]
#[allow(clippy::inline_always, reason = "the innermost of all loops")]
fn step(v3: V3, sums: &mut [[__m256i; 2]; ROWS], left: [&[Pair; 2]; ROWS], [first, second]: &[[__m256i; 2]; 2]) {
    for (sums, [a, b]) in sums.iter_mut().zip(left) {
        let (a, b) = (v3.avx._mm256_set1_epi32(*a), v3.avx._mm256_set1_epi32(*b));
        for ((sum, first), second) in sums.iter_mut().zip(first).zip(second) {
            let (a, b) = (v3.avx2._mm256_add_epi16(a, *second), v3.avx2._mm256_add_epi16(b, *first));
            *sum = v3.avx2._mm256_add_epi32(*sum, v3.avx2._mm256_madd_epi16(a, b));
        }
    }
}

/// `sums = x · weight + bias`, or `sums += …`
pub(super) struct Product<'a> {
    pub(super) v3: V3,
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

impl Work for Product<'_> {
    type Output = ();

    #[inline(always)]
    #[allow(clippy::inline_always, reason = "compiled for what calls it")]
    fn run<const FUSED: bool>(self) {
        let Self { v3, wide, inputs, outputs, x, sums, add, scratch } = self;
        Left::fill(v3, &mut scratch.left, x, inputs);
        for (at, (block, left)) in wide.0.iter().zip(&scratch.left).enumerate() {
            for from in (0..outputs).step_by(BLOCK) {
                let panels = panels(from, outputs);
                for (strip, numbers) in left.strips().zip(sums.chunks_mut(ROWS * outputs)) {
                    let sums = Sums { numbers, width: outputs, from, add: add || at > 0 };
                    block.multiply(v3, &strip, panels.clone(), sums);
                }
            }
        }
    }
}

/// The panels of the columns that stay together from this one on.
fn panels(from: usize, width: usize) -> Range<usize> {
    from / COLUMNS..width.min(from + BLOCK).div_ceil(COLUMNS)
}

/// `x += contract · GELU(expand · x)`
pub(super) struct FeedForward<'a> {
    pub(super) v3: V3,
    pub(super) expand: &'a Wide,
    pub(super) contract: &'a Wide,
    /// Numbers a row of `x`.
    pub(super) width: usize,
    /// Numbers a row of what is between.
    pub(super) inner: usize,
    pub(super) x: &'a mut [f32],
    pub(super) scratch: &'a mut Scratch,
}

impl Work for FeedForward<'_> {
    type Output = ();

    #[inline(always)]
    #[allow(clippy::inline_always, reason = "compiled for what calls it")]
    fn run<const FUSED: bool>(self) {
        let Self { v3, expand, contract, width, inner, x, scratch: Scratch { left, between, strip: numbers } } = self;
        let rows = x.len() / width.max(1);
        Left::fill(v3, left, x, width);
        // Each block of the second product needs some columns of the first one alone.
        for (second, from) in contract.0.iter().zip((0..inner).step_by(BLOCK)) {
            let panels = panels(from, inner);
            let columns = inner.min(from + BLOCK) - from;
            between.reshape(rows, columns);
            numbers.resize(ROWS * columns, 0.0);
            let mut strips: Vec<_> = left.iter().map(Left::strips).collect();
            let mut places = between.rows_mut();
            for _ in (0..rows).step_by(ROWS) {
                for (at, (first, strips)) in expand.0.iter().zip(&mut strips).enumerate() {
                    let Some(strip) = strips.next() else { continue };
                    first.multiply(v3, &strip, panels.clone(), Sums { numbers, width: columns, from: 0, add: at > 0 });
                }
                for (row, place) in numbers.chunks_exact_mut(columns).zip(&mut places) {
                    for x in row.iter_mut() {
                        *x = gelu::<FUSED>(*x);
                    }
                    round(v3, row, place);
                }
            }
            drop(places);
            for (strip, numbers) in between.strips().zip(x.chunks_mut(ROWS * width)) {
                second.multiply(v3, &strip, 0..width.div_ceil(COLUMNS), Sums { numbers, width, from: 0, add: true });
            }
        }
    }
}
