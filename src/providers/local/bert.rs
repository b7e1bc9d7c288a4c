//! The forward pass of a BERT encoder, and of an XLM-R, which differs in where it starts counting, from whatever file holds its
//! tensors ([`Tensors`]).
//!
//! Sequences are not padded: the tokens of all of them are the rows of one matrix, so every linear layer is one matrix product
//! over real tokens only, and attention looks at one sequence's rows at a time. All of it happens on the thread that calls; who
//! calls from several threads gets several cores.
//!
//! Source: Devlin et al. 2019, arXiv:1810.04805, with the post-norm layers and the exact GELU of the published weights; mean
//! pooling as in Reimers and Gurevych 2019, arXiv:1908.10084.

use std::ops::Range;

use ragstream_kernel::{Cpu, Dense, Matrix, Norm, Scratch, attend, feed_forward, unit};

use super::encoder::Network;
use super::sequence::Sequence;

/// The reason why the files are no BERT that this can run.
#[derive(Debug, thiserror::Error)]
pub(super) enum LoadError {
    #[error("config.json is not a BERT's")]
    Config(#[from] serde_json::Error),
    #[error("a model with {0} is not supported")]
    Unsupported(String),
    #[error("model.safetensors {}", told(.0))]
    Safetensors(safetensors::SafeTensorError),
    #[error("the file is cut short or damaged: {0}")]
    Damaged(&'static str),
    #[error("the tensor {name} is {found}, not {expected:?}")]
    Tensor { name: String, expected: Vec<usize>, found: String },
}

impl From<safetensors::SafeTensorError> for LoadError {
    fn from(error: safetensors::SafeTensorError) -> Self {
        Self::Safetensors(error)
    }
}

/// What is wrong with the weights' file, in words: the error's own are names of its variants.
fn told(error: &safetensors::SafeTensorError) -> String {
    match error {
        safetensors::SafeTensorError::TensorNotFound(name) => {
            format!("has no tensor {name}: it is of another kind of model than config.json says")
        }
        safetensors::SafeTensorError::IoError(error) => format!("cannot be read: {error}"),
        error => format!("is cut short or damaged ({error})"),
    }
}

/// What the computation depends on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    pub(super) width: usize,
    pub(super) layers: usize,
    pub(super) heads: usize,
    /// The width between the two products of a layer's second half.
    pub(super) inner: usize,
    /// Rows of the table of positions.
    pub(super) positions: usize,
    /// The first rows of it that no token has: XLM-R counts on from the number of the padding.
    pub(super) unused_positions: usize,
    pub(super) types: usize,
    pub(super) epsilon: f32,
}

/// How exact the products are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Precision {
    /// As fast as this processor can: in 16 bits where there is AVX2 or more. The mean of many tokens evens that out.
    Fast,
    /// Single. A score hangs on one token's state: 16 bits would change it in the third digit.
    Single,
}

/// Tensors in single precision, by the names of the published weights.
pub(super) trait Tensors: Sync {
    fn numbers(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, LoadError>;
}

/// The vectors of the vocabulary.
pub(super) trait Words: std::fmt::Debug + Send + Sync {
    fn count(&self) -> usize;

    /// Writes the vector of a token; leaves zeros where there is none.
    fn write(&self, token: u32, vector: &mut [f32]);
}

/// All of an encoder but the vectors of the vocabulary.
#[derive(Debug)]
pub(super) struct Body {
    cpu: Cpu,
    heads: usize,
    /// `[positions, width]`, the embedding of the first type of tokens added.
    positions: Matrix,
    /// What is to be added for a token of the second type, where there is one.
    second_type: Option<Vec<f32>>,
    norm: Norm,
    layers: Vec<Layer>,
}

/// An encoder.
#[derive(Debug)]
pub(super) struct Bert {
    words: Box<dyn Words>,
    body: Body,
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

/// The width of a head is a multiple of this: see [`attend`].
const HEAD: usize = 16;

impl Body {
    pub(super) fn read(cpu: Cpu, precision: Precision, shape: Shape, tensors: &dyn Tensors) -> Result<Self, LoadError> {
        let Shape { width, heads, layers, .. } = shape;
        if heads == 0 || width == 0 || !width.is_multiple_of(heads.saturating_mul(HEAD)) || layers == 0 {
            return Err(LoadError::Unsupported(format!("{layers} layers of {heads} heads over {width} dimensions")));
        }
        let reading = Reading { cpu, precision, shape, tensors };
        let types = reading.matrix("embeddings.token_type_embeddings.weight", shape.types.max(1), width)?;
        let mut positions = reading.matrix("embeddings.position_embeddings.weight", shape.positions, width)?;
        positions.numbers.drain(..positions.numbers.len().min(shape.unused_positions.saturating_mul(width)));
        let mut of_types = types.rows();
        let first = of_types.next().unwrap_or_default();
        for row in positions.rows_mut() {
            for (x, of_type) in row.iter_mut().zip(first) {
                *x += of_type;
            }
        }
        let second_type =
            of_types.next().map(|second| second.iter().zip(first).map(|(second, first)| second - first).collect());
        let norm = reading.norm("embeddings.LayerNorm")?;
        Ok(Self { cpu, heads, positions, second_type, norm, layers: reading.layers()? })
    }

    /// The encoder whose tokens have these vectors.
    pub(super) fn over(self, words: Box<dyn Words>) -> Bert {
        Bert { words, body: self }
    }
}

impl Bert {
    /// Whether it takes so many token ids and sequences of so many tokens, and gives vectors of this width.
    pub(super) fn fits(&self, vocabulary: usize, positions: usize, width: usize) -> bool {
        self.knows(vocabulary) && positions <= self.positions() && width == self.body.positions.width
    }

    /// Whether it takes so many token ids.
    pub(super) fn knows(&self, vocabulary: usize) -> bool {
        vocabulary <= self.words.count()
    }

    /// Tokens of a sequence, at most.
    pub(super) fn positions(&self) -> usize {
        self.body.positions.rows().len()
    }

    /// Whether it tells two types of tokens apart.
    pub(super) fn has_types(&self) -> bool {
        self.body.second_type.is_some()
    }

    /// `[tokens of all sequences, width]`
    fn embed<S: Sequence>(&self, sequences: &[S]) -> Matrix {
        let Body { positions, second_type, .. } = &self.body;
        let mut x = Matrix::zeros(sequences.iter().map(|sequence| sequence.ids().len()).sum(), positions.width);
        let tokens = sequences.iter().flat_map(|sequence| {
            let is_second = (0..).map(|at| at >= sequence.first_type());
            sequence.ids().iter().zip(positions.rows()).zip(is_second)
        });
        for (row, ((id, position), is_second)) in x.rows_mut().zip(tokens) {
            self.words.write(*id, row);
            for (x, position) in row.iter_mut().zip(position) {
                *x += position;
            }
            if is_second && let Some(second_type) = second_type {
                for (x, of_type) in row.iter_mut().zip(second_type) {
                    *x += of_type;
                }
            }
        }
        self.body.norm.apply(self.body.cpu, &mut x.numbers);
        x
    }

    /// What the last layer makes of all tokens, or of each sequence's first one alone.
    fn states<S: Sequence>(&self, sequences: &[S], spans: &[Range<usize>], of: Wanted) -> Matrix {
        let Body { cpu, heads, layers, .. } = &self.body;
        let cpu = *cpu;
        let mut x = self.embed(sequences);
        // The same memory for all layers: fresh memory costs more than some of the arithmetic.
        let (mut qkv, mut attended, mut scratch) = (Matrix::zeros(0, 0), Matrix::zeros(0, 0), Scratch::default());
        for (after, layer) in (1..).zip(layers) {
            layer.attention.write(cpu, &x, &mut qkv, &mut scratch);
            attend(cpu, &qkv, spans, *heads, &mut attended);
            if of == Wanted::First && after == layers.len() {
                // No token needs the others from here on.
                (x, attended) = (firsts(&x, spans), firsts(&attended, spans));
            }
            layer.attention_output.add_to(cpu, &attended, &mut x, &mut scratch);
            layer.attention_norm.apply(cpu, &mut x.numbers);
            feed_forward(cpu, &layer.expand, &layer.contract, &mut x, &mut scratch);
            layer.output_norm.apply(cpu, &mut x.numbers);
        }
        x
    }

    /// `[sequences, width]`: what stands for each of them, its first token.
    pub(super) fn first_states<S: Sequence>(&self, sequences: &[S]) -> Matrix {
        self.states(sequences, &spans(sequences), Wanted::First)
    }
}

/// The tokens whose states are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    All,
    First,
}

impl Network for Bert {
    /// One unit vector a sequence, the mean over its tokens.
    fn encode(&self, sequences: &[Vec<u32>]) -> Vec<Vec<f32>> {
        let spans = spans(sequences);
        let x = self.states(sequences, &spans, Wanted::All);
        spans.into_iter().map(|span| pool(&x, span)).collect()
    }
}

/// Reads tensors into what computes.
#[derive(Clone, Copy)]
struct Reading<'a> {
    cpu: Cpu,
    precision: Precision,
    shape: Shape,
    tensors: &'a dyn Tensors,
}

impl Reading<'_> {
    fn matrix(&self, name: &str, rows: usize, width: usize) -> Result<Matrix, LoadError> {
        Ok(Matrix { width, numbers: self.tensors.numbers(name, &[rows, width])? })
    }

    fn linear(&self, name: &str, inputs: usize, outputs: usize) -> Result<(Matrix, Vec<f32>), LoadError> {
        let weight = self.matrix(&format!("{name}.weight"), outputs, inputs)?;
        Ok((weight, self.tensors.numbers(&format!("{name}.bias"), &[outputs])?))
    }

    fn dense(&self, name: &str, inputs: usize, outputs: usize) -> Result<Dense, LoadError> {
        let (weight, bias) = self.linear(name, inputs, outputs)?;
        Ok(self.laid_out(&weight, bias))
    }

    fn laid_out(&self, weight: &Matrix, bias: Vec<f32>) -> Dense {
        match self.precision {
            Precision::Fast => Dense::new(self.cpu, weight, bias),
            Precision::Single => Dense::single(weight, bias),
        }
    }

    fn norm(&self, name: &str) -> Result<Norm, LoadError> {
        let width = [self.shape.width];
        Ok(Norm {
            weight: self.tensors.numbers(&format!("{name}.weight"), &width)?,
            bias: self.tensors.numbers(&format!("{name}.bias"), &width)?,
            epsilon: self.shape.epsilon,
        })
    }

    fn layer(&self, index: usize) -> Result<Layer, LoadError> {
        let Shape { width, heads, inner, .. } = self.shape;
        let at = format!("encoder.layer.{index}");
        let part = |name: &str| self.linear(&format!("{at}.attention.self.{name}"), width, width);
        let ((mut weight, mut bias), key, value) = (part("query")?, part("key")?, part("value")?);
        let scale = ((width / heads) as f32).sqrt().recip();
        for x in weight.numbers.iter_mut().chain(&mut bias) {
            *x *= scale;
        }
        for (more, biases) in [key, value] {
            weight.numbers.extend(more.numbers);
            bias.extend(biases);
        }
        Ok(Layer {
            attention: self.laid_out(&weight, bias),
            attention_output: self.dense(&format!("{at}.attention.output.dense"), width, width)?,
            attention_norm: self.norm(&format!("{at}.attention.output.LayerNorm"))?,
            expand: self.dense(&format!("{at}.intermediate.dense"), width, inner)?,
            contract: self.dense(&format!("{at}.output.dense"), inner, width)?,
            output_norm: self.norm(&format!("{at}.output.LayerNorm"))?,
        })
    }

    /// All layers, on all cores: laying the weights out for the products takes longer than reading them.
    fn layers(&self) -> Result<Vec<Layer>, LoadError> {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let each = self.shape.layers.div_ceil(cores).max(1);
        std::thread::scope(|scope| {
            let parts: Vec<_> = (0..self.shape.layers)
                .step_by(each)
                .map(|from| {
                    let to = self.shape.layers.min(from.saturating_add(each));
                    scope.spawn(move || (from..to).map(|index| self.layer(index)).collect::<Result<Vec<_>, _>>())
                })
                .collect();
            let mut layers = Vec::new();
            for part in parts {
                layers.extend(part.join().map_err(|_| LoadError::Damaged("a layer"))??);
            }
            Ok(layers)
        })
    }
}

/// The rows of each sequence.
fn spans<S: Sequence>(sequences: &[S]) -> Vec<Range<usize>> {
    let mut start = 0;
    let mut spans = Vec::with_capacity(sequences.len());
    for sequence in sequences {
        let length = sequence.ids().len();
        spans.push(start..start + length);
        start += length;
    }
    spans
}

/// Each sequence's first row.
fn firsts(x: &Matrix, spans: &[Range<usize>]) -> Matrix {
    let row = |span: &Range<usize>| x.numbers.get(span.start * x.width..(span.start + 1) * x.width).unwrap_or_default();
    Matrix { width: x.width, numbers: spans.iter().flat_map(row).copied().collect() }
}

/// The mean of a sequence's rows, scaled to length 1.
fn pool(x: &Matrix, span: Range<usize>) -> Vec<f32> {
    let mut sum = vec![0.0; x.width];
    for row in x.rows().skip(span.start).take(span.len()) {
        for (sum, x) in sum.iter_mut().zip(row) {
            *sum += x;
        }
    }
    // The mean's division by the count falls out of the scaling.
    unit(&mut sum);
    sum
}
