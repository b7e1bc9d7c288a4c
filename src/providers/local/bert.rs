//! The forward pass of a BERT encoder on `ndarray`, straight from the published safetensors.
//!
//! Sequences are not padded: the tokens of all of them are the rows of one matrix, so every linear layer is one matrix product
//! over real tokens only, and attention looks at one sequence's rows at a time. `matrixmultiply` does the products on the
//! thread that calls; who calls from several threads gets several cores.
//!
//! Source: Devlin et al. 2019, arXiv:1810.04805, with the post-norm layers and the exact GELU of the published weights; mean
//! pooling as in Reimers and Gurevych 2019, arXiv:1908.10084.

use std::ops::Range;

use ndarray::linalg::general_mat_mul;
use ndarray::{Array1, Array2, Axis, concatenate, s};
use safetensors::{Dtype, SafeTensors};
use serde::Deserialize;

/// The reason why the files are no BERT that this can run.
#[derive(Debug, thiserror::Error)]
pub(super) enum LoadError {
    #[error("config.json is not a BERT's")]
    Config(#[from] serde_json::Error),
    #[error("config.json asks for {0}, which is not supported")]
    Unsupported(String),
    #[error("model.safetensors cannot be read")]
    Safetensors(#[from] safetensors::SafeTensorError),
    #[error("the tensor {name} is {found}, not F32 {expected:?}")]
    Tensor { name: String, expected: Vec<usize>, found: String },
    #[error("the tensors do not fit together")]
    Shape(#[from] ndarray::ShapeError),
}

/// The part of config.json that the computation depends on.
#[derive(Debug, Deserialize)]
struct Config {
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    intermediate_size: usize,
    layer_norm_eps: f32,
    max_position_embeddings: usize,
    type_vocab_size: usize,
    vocab_size: usize,
    hidden_act: String,
}

/// A BERT encoder with mean pooling.
#[derive(Debug)]
pub(super) struct Bert {
    heads: usize,
    /// `[vocabulary, width]`
    words: Array2<f32>,
    /// `[positions, width]`, the embedding of token type 0 added: every input is a single text.
    positions: Array2<f32>,
    norm: Norm,
    layers: Vec<Layer>,
}

#[derive(Debug)]
struct Layer {
    /// Query, key and value side by side; the query already divided by the square root of a head's width.
    attention: Dense,
    attention_output: Dense,
    attention_norm: Norm,
    expand: Dense,
    contract: Dense,
    output_norm: Norm,
}

/// `x · weight + bias`
#[derive(Debug)]
struct Dense {
    /// `[inputs, outputs]`
    weight: Array2<f32>,
    bias: Array1<f32>,
}

#[derive(Debug)]
struct Norm {
    weight: Vec<f32>,
    bias: Vec<f32>,
    epsilon: f32,
}

impl Bert {
    /// Reads a model from the contents of its config.json and model.safetensors.
    pub(super) fn from_safetensors(config: &[u8], weights: &[u8]) -> Result<Self, LoadError> {
        let config: Config = serde_json::from_slice(config)?;
        let (width, heads) = (config.hidden_size, config.num_attention_heads);
        if config.hidden_act != "gelu" {
            return Err(LoadError::Unsupported(format!("the activation {}", config.hidden_act)));
        }
        if heads == 0 || width == 0 || width % heads != 0 {
            return Err(LoadError::Unsupported(format!("{heads} heads over {width} dimensions")));
        }
        let tensors = Tensors { file: SafeTensors::deserialize(weights)?, config: &config };
        let words = tensors.matrix("embeddings.word_embeddings.weight", config.vocab_size, width)?;
        let types = tensors.matrix("embeddings.token_type_embeddings.weight", config.type_vocab_size.max(1), width)?;
        let mut positions = tensors.matrix("embeddings.position_embeddings.weight", config.max_position_embeddings, width)?;
        positions += &types.row(0);
        let norm = tensors.norm("embeddings.LayerNorm")?;
        let layers = (0..config.num_hidden_layers).map(|i| tensors.layer(i)).collect::<Result<_, _>>()?;
        Ok(Self { heads, words, positions, norm, layers })
    }

    /// The width of the vectors.
    pub(super) fn width(&self) -> usize {
        self.words.ncols()
    }

    /// Token ids are below this.
    pub(super) fn vocabulary(&self) -> usize {
        self.words.nrows()
    }

    /// A sequence's tokens, at most.
    pub(super) fn positions(&self) -> usize {
        self.positions.nrows()
    }

    /// One unit vector a sequence. Every sequence has between 1 and [`Self::positions`] ids below [`Self::vocabulary`].
    pub(super) fn encode(&self, sequences: &[Vec<u32>]) -> Vec<Vec<f32>> {
        let spans = spans(sequences);
        let mut x = self.embed(sequences);
        for layer in &self.layers {
            let attended = attend(&layer.attention.of(&x), &spans, self.heads);
            x = layer.attention_output.added_to(x, &attended);
            layer.attention_norm.apply(&mut x);
            let mut inner = layer.expand.of(&x);
            inner.mapv_inplace(gelu);
            x = layer.contract.added_to(x, &inner);
            layer.output_norm.apply(&mut x);
        }
        spans.into_iter().map(|span| pool(&x, span)).collect()
    }

    /// `[tokens of all sequences, width]`
    fn embed(&self, sequences: &[Vec<u32>]) -> Array2<f32> {
        let ids: Vec<usize> = sequences.iter().flatten().map(|id| *id as usize).collect();
        let positions: Vec<usize> = sequences.iter().flat_map(|ids| 0..ids.len()).collect();
        let mut x = self.words.select(Axis(0), &ids);
        x += &self.positions.select(Axis(0), &positions);
        self.norm.apply(&mut x);
        x
    }
}

/// Reads tensors by name and checks their shapes.
struct Tensors<'a> {
    file: SafeTensors<'a>,
    config: &'a Config,
}

impl Tensors<'_> {
    fn numbers(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, LoadError> {
        let tensor = self.file.tensor(name)?;
        if tensor.dtype() != Dtype::F32 || tensor.shape() != shape {
            let found = format!("{:?} {:?}", tensor.dtype(), tensor.shape());
            return Err(LoadError::Tensor { name: name.to_owned(), expected: shape.to_vec(), found });
        }
        Ok(tensor.data().as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
    }

    fn matrix(&self, name: &str, rows: usize, columns: usize) -> Result<Array2<f32>, LoadError> {
        Ok(Array2::from_shape_vec((rows, columns), self.numbers(name, &[rows, columns])?)?)
    }

    fn dense(&self, name: &str, inputs: usize, outputs: usize) -> Result<Dense, LoadError> {
        // Published as [outputs, inputs]; turned round once here, so that the products read it row by row.
        let weight = self.matrix(&format!("{name}.weight"), outputs, inputs)?.t().as_standard_layout().into_owned();
        let bias = Array1::from(self.numbers(&format!("{name}.bias"), &[outputs])?);
        Ok(Dense { weight, bias })
    }

    fn norm(&self, name: &str) -> Result<Norm, LoadError> {
        let width = [self.config.hidden_size];
        Ok(Norm {
            weight: self.numbers(&format!("{name}.weight"), &width)?,
            bias: self.numbers(&format!("{name}.bias"), &width)?,
            epsilon: self.config.layer_norm_eps,
        })
    }

    fn layer(&self, index: usize) -> Result<Layer, LoadError> {
        let (width, inner) = (self.config.hidden_size, self.config.intermediate_size);
        let at = format!("encoder.layer.{index}");
        let part = |name: &str| self.dense(&format!("{at}.attention.self.{name}"), width, width);
        let (mut query, key, value) = (part("query")?, part("key")?, part("value")?);
        let scale = ((width / self.config.num_attention_heads) as f32).sqrt().recip();
        query.weight *= scale;
        query.bias *= scale;
        Ok(Layer {
            attention: Dense {
                weight: concatenate(Axis(1), &[query.weight.view(), key.weight.view(), value.weight.view()])?,
                bias: concatenate(Axis(0), &[query.bias.view(), key.bias.view(), value.bias.view()])?,
            },
            attention_output: self.dense(&format!("{at}.attention.output.dense"), width, width)?,
            attention_norm: self.norm(&format!("{at}.attention.output.LayerNorm"))?,
            expand: self.dense(&format!("{at}.intermediate.dense"), width, inner)?,
            contract: self.dense(&format!("{at}.output.dense"), inner, width)?,
            output_norm: self.norm(&format!("{at}.output.LayerNorm"))?,
        })
    }
}

impl Dense {
    fn of(&self, x: &Array2<f32>) -> Array2<f32> {
        self.added_to(Array2::zeros((x.nrows(), self.bias.len())), x)
    }

    /// `sum + x · weight + bias`
    fn added_to(&self, mut sum: Array2<f32>, x: &Array2<f32>) -> Array2<f32> {
        sum += &self.bias;
        general_mat_mul(1.0, x, &self.weight, 1.0, &mut sum);
        sum
    }
}

impl Norm {
    /// Layer normalisation of every row.
    fn apply(&self, x: &mut Array2<f32>) {
        for mut row in x.rows_mut() {
            let Some(row) = row.as_slice_mut() else { continue };
            let count = row.len() as f32;
            let mean = fold(row, 0.0, |sum, x| sum + x, |a, b| a + b) / count;
            let variance = fold(row, 0.0, |sum, x| sum + (x - mean) * (x - mean), |a, b| a + b) / count;
            let scale = (variance + self.epsilon).sqrt().recip();
            for ((x, weight), bias) in row.iter_mut().zip(&self.weight).zip(&self.bias) {
                *x = (*x - mean) * scale * weight + bias;
            }
        }
    }
}

/// The rows of each sequence.
fn spans(sequences: &[Vec<u32>]) -> Vec<Range<usize>> {
    let mut start = 0;
    let mut spans = Vec::with_capacity(sequences.len());
    for ids in sequences {
        spans.push(start..start + ids.len());
        start += ids.len();
    }
    spans
}

/// Multi-head attention within each sequence. `qkv` is `[tokens, 3 · width]`, the result `[tokens, width]`.
fn attend(qkv: &Array2<f32>, spans: &[Range<usize>], heads: usize) -> Array2<f32> {
    let width = qkv.ncols() / 3;
    let head_width = width / heads;
    let mut attended = Array2::zeros((qkv.nrows(), width));
    for span in spans {
        let mut scores = Array2::zeros((span.len(), span.len()));
        for start in (0..width).step_by(head_width) {
            let part = |offset: usize| qkv.slice(s![span.clone(), offset + start..offset + start + head_width]);
            let (query, key, value) = (part(0), part(width), part(2 * width));
            general_mat_mul(1.0, &query, &key.t(), 0.0, &mut scores);
            softmax(&mut scores);
            let mut out = attended.slice_mut(s![span.clone(), start..start + head_width]);
            general_mat_mul(1.0, &scores, &value, 0.0, &mut out);
        }
    }
    attended
}

/// Turns every row into weights that add up to 1.
fn softmax(scores: &mut Array2<f32>) {
    for mut row in scores.rows_mut() {
        let Some(row) = row.as_slice_mut() else { continue };
        let greater = |a: f32, b: f32| if b > a { b } else { a };
        let max = fold(row, f32::NEG_INFINITY, greater, greater);
        for x in row.iter_mut() {
            *x = exp_of_negative(*x - max);
        }
        let scale = fold(row, 0.0, |sum, x| sum + x, |a, b| a + b).recip();
        for x in row {
            *x *= scale;
        }
    }
}

/// The mean of a sequence's rows, scaled to length 1.
fn pool(x: &Array2<f32>, span: Range<usize>) -> Vec<f32> {
    let mut sum = x.slice(s![span, ..]).sum_axis(Axis(0)).to_vec();
    // The mean's division by the count falls out of the scaling. A sum of length 0 stays what it is.
    let scale = sum.iter().map(|x| x * x).sum::<f32>().sqrt().max(f32::MIN_POSITIVE).recip();
    for x in &mut sum {
        *x *= scale;
    }
    sum
}

/// Folds eight lanes apart and then together: without it the compiler has to keep the order of the additions and cannot use
/// vector instructions.
fn fold(row: &[f32], start: f32, step: impl Fn(f32, f32) -> f32, join: impl Fn(f32, f32) -> f32) -> f32 {
    let (chunks, rest) = row.as_chunks::<8>();
    let mut lanes = [start; 8];
    for chunk in chunks {
        for (lane, x) in lanes.iter_mut().zip(chunk) {
            *lane = step(*lane, *x);
        }
    }
    let rest = rest.iter().fold(start, |sum, x| step(sum, *x));
    lanes.into_iter().fold(rest, join)
}

/// `x · Φ(x)`, the exact GELU (not the tanh form), by [`erf`].
fn gelu(x: f32) -> f32 {
    0.5 * x * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2))
}

/// The error function, within 2e-6 of the true value in single precision.
///
/// Abramowitz and Stegun, Handbook of Mathematical Functions (1964), formula 7.1.28: absolute error at most 3e-7 in exact
/// arithmetic; the sixteenth power costs the rest. Of the formulas there this one has no exponential, so that the compiler
/// can use vector instructions.
fn erf(x: f32) -> f32 {
    #[allow(clippy::excessive_precision, reason = "as printed in the source")]
    const A: [f32; 6] = [0.070_523_078_4, 0.042_282_012_3, 0.009_270_527_2, 0.000_152_014_3, 0.000_276_567_2, 0.000_043_063_8];
    let [a1, a2, a3, a4, a5, a6] = A;
    let z = x.abs();
    let sum = 1.0 + z * (a1 + z * (a2 + z * (a3 + z * (a4 + z * (a5 + z * a6)))));
    let square = sum * sum;
    let fourth = square * square;
    let eighth = fourth * fourth;
    // Overflows to infinity from |x| = 100 on or so, and 1/∞ is the 0 that is wanted.
    (1.0 - (eighth * eighth).recip()).copysign(x)
}

/// `e^x` for x ≤ 0, with a relative error below 1e-6; 0 below -87, where the true value is under 2e-38.
///
/// `e^x = 2^n · e^r` with `n` whole and `|r| ≤ ln 2 / 2`, and seven terms of the exponential series for `e^r` (the eighth is
/// under 1.2e-7). In plain arithmetic, so that the compiler can use vector instructions.
fn exp_of_negative(x: f32) -> f32 {
    /// Adding and taking away 1.5 · 2^23 rounds to a whole number.
    const ROUND: f32 = 12_582_912.0;
    /// ln 2 in two parts, the first short enough for `n` times it to be exact (Cody and Waite 1980).
    #[allow(clippy::excessive_precision, reason = "exactly 355/512")]
    const LN2_HIGH: f32 = 0.693_359_375;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    let clamped = if x < -87.0 { -87.0 } else { x };
    let n = (clamped * std::f32::consts::LOG2_E + ROUND) - ROUND;
    let r = clamped - n * LN2_HIGH - n * LN2_LOW;
    let series = 1.0 + r * (1.0 + r / 2.0 * (1.0 + r / 3.0 * (1.0 + r / 4.0 * (1.0 + r / 5.0 * (1.0 + r / 6.0)))));
    // `n` lies between -126 and 0: the bits of 2^n are its exponent alone.
    let power = f32::from_bits(((n as i32 + 127) as u32) << 23);
    if x < -87.0 { 0.0 } else { series * power }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    /// Values from Abramowitz and Stegun, table 7.1.
    #[test]
    fn erf_agrees_with_the_table() {
        let table = [(0.0, 0.0), (0.1, 0.112_463), (0.5, 0.520_500), (1.0, 0.842_701), (2.0, 0.995_322)];
        for (x, y) in table {
            assert!((erf(x) - y).abs() < 2e-6, "erf({x}) = {}", erf(x));
            assert!((erf(-x) + y).abs() < 2e-6, "erf(-{x}) = {}", erf(-x));
        }
        assert!((erf(1e30) - 1.0).abs() < f32::EPSILON && (erf(-1e30) + 1.0).abs() < f32::EPSILON);
    }

    #[test]
    fn exp_agrees_with_the_standard_library() {
        let mut x = 0.0_f32;
        while x > -86.9 {
            let (got, want) = (exp_of_negative(x), x.exp());
            assert!((got - want).abs() <= 1e-6 * want, "exp({x}) = {got}, not {want}");
            x -= 0.001_37;
        }
        assert!(exp_of_negative(-88.0) <= 0.0 && exp_of_negative(f32::NEG_INFINITY) <= 0.0);
        assert!((exp_of_negative(0.0) - 1.0).abs() < f32::EPSILON);
    }

    #[test]
    fn softmax_rows_add_up_to_one() {
        let mut scores = Array2::from_shape_fn((5, 11), |(i, j)| (i as f32 - 2.0) * (j as f32) * 9.0);
        softmax(&mut scores);
        for row in scores.rows() {
            assert!((row.sum() - 1.0).abs() < 1e-5);
            assert!(row.iter().all(|x| (0.0..=1.0).contains(x)));
        }
    }

    #[test]
    fn a_file_that_is_no_model_is_an_error() {
        let config =
            br#"{"hidden_size":8,"num_hidden_layers":1,"num_attention_heads":2,"intermediate_size":16,"layer_norm_eps":1e-12,
            "max_position_embeddings":4,"type_vocab_size":2,"vocab_size":10,"hidden_act":"gelu"}"#;
        assert!(matches!(Bert::from_safetensors(b"{}", b""), Err(LoadError::Config(_))));
        assert!(matches!(Bert::from_safetensors(config, b"not safetensors"), Err(LoadError::Safetensors(_))));
        let three_heads = String::from_utf8_lossy(config).replace(r#"heads":2"#, r#"heads":3"#);
        assert!(matches!(Bert::from_safetensors(three_heads.as_bytes(), b""), Err(LoadError::Unsupported(_))));
    }
}
