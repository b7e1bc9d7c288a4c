//! The forward pass of a BERT encoder, from whatever file holds its tensors ([`Tensors`]).
//!
//! Sequences are not padded: the tokens of all of them are the rows of one matrix, so every linear layer is one matrix product
//! over real tokens only, and attention looks at one sequence's rows at a time. All of it happens on the thread that calls; who
//! calls from several threads gets several cores.
//!
//! Source: Devlin et al. 2019, arXiv:1810.04805, with the post-norm layers and the exact GELU of the published weights; mean
//! pooling as in Reimers and Gurevych 2019, arXiv:1908.10084.

use std::ops::Range;

use ragstream_kernel::{Cpu, Dense, Matrix, Norm, Scratch, attend, gelu_rows, unit};

use super::encoder::Network;

/// The reason why the files are no BERT that this can run.
#[derive(Debug, thiserror::Error)]
pub(super) enum LoadError {
    #[error("config.json is not a BERT's")]
    Config(#[from] serde_json::Error),
    #[error("a model with {0} is not supported")]
    Unsupported(String),
    #[error("model.safetensors cannot be read")]
    Safetensors(#[from] safetensors::SafeTensorError),
    #[error("the file is cut short or damaged: {0}")]
    Damaged(&'static str),
    #[error("the tensor {name} is {found}, not {expected:?}")]
    Tensor { name: String, expected: Vec<usize>, found: String },
}

/// What the computation depends on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    pub(super) width: usize,
    pub(super) layers: usize,
    pub(super) heads: usize,
    /// The width between the two products of a layer's second half.
    pub(super) inner: usize,
    pub(super) positions: usize,
    pub(super) types: usize,
    pub(super) epsilon: f32,
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

/// A BERT encoder with mean pooling.
#[derive(Debug)]
pub(super) struct Bert {
    cpu: Cpu,
    heads: usize,
    words: Box<dyn Words>,
    /// `[positions, width]`, the embedding of token type 0 added: every input is a single text.
    positions: Matrix,
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

/// The width of a head is a multiple of this: see [`attend`].
const HEAD: usize = 16;

impl Bert {
    pub(super) fn new(cpu: Cpu, shape: Shape, words: Box<dyn Words>, tensors: &dyn Tensors) -> Result<Self, LoadError> {
        let Shape { width, heads, .. } = shape;
        if heads == 0 || width == 0 || !width.is_multiple_of(heads * HEAD) {
            return Err(LoadError::Unsupported(format!("{heads} heads over {width} dimensions")));
        }
        let reading = Reading { cpu, shape, tensors };
        let types = reading.matrix("embeddings.token_type_embeddings.weight", shape.types.max(1), width)?;
        let mut positions = reading.matrix("embeddings.position_embeddings.weight", shape.positions, width)?;
        for row in positions.rows_mut() {
            for (x, of_type) in row.iter_mut().zip(&types.numbers) {
                *x += of_type;
            }
        }
        let norm = reading.norm("embeddings.LayerNorm")?;
        Ok(Self { cpu, heads, words, positions, norm, layers: reading.layers()? })
    }

    /// Whether it takes so many token ids and sequences of so many tokens, and gives vectors of this width.
    pub(super) fn fits(&self, vocabulary: usize, positions: usize, width: usize) -> bool {
        vocabulary <= self.words.count() && positions <= self.positions.rows().len() && width == self.positions.width
    }

    /// `[tokens of all sequences, width]`
    fn embed(&self, sequences: &[Vec<u32>]) -> Matrix {
        let mut x = Matrix::zeros(sequences.iter().map(Vec::len).sum(), self.positions.width);
        let tokens = sequences.iter().flat_map(|ids| ids.iter().zip(self.positions.rows()));
        for (row, (id, position)) in x.rows_mut().zip(tokens) {
            self.words.write(*id, row);
            for (x, position) in row.iter_mut().zip(position) {
                *x += position;
            }
        }
        self.norm.apply(self.cpu, &mut x.numbers);
        x
    }
}

impl Network for Bert {
    /// One unit vector a sequence. Every sequence has one id at least, no more than there are positions, and those that are known: see [`Self::fits`].
    fn encode(&self, sequences: &[Vec<u32>]) -> Vec<Vec<f32>> {
        let cpu = self.cpu;
        let spans = spans(sequences);
        let mut x = self.embed(sequences);
        // The same memory for all layers: fresh memory costs more than some of the arithmetic.
        let (mut wide, mut attended, mut scratch) = (Matrix::zeros(0, 0), Matrix::zeros(0, 0), Scratch::default());
        for layer in &self.layers {
            layer.attention.write(cpu, &x, &mut wide, &mut scratch);
            attend(cpu, &wide, &spans, self.heads, &mut attended);
            layer.attention_output.add_to(cpu, &attended, &mut x, &mut scratch);
            layer.attention_norm.apply(cpu, &mut x.numbers);
            layer.expand.write(cpu, &x, &mut wide, &mut scratch);
            gelu_rows(cpu, &mut wide.numbers);
            layer.contract.add_to(cpu, &wide, &mut x, &mut scratch);
            layer.output_norm.apply(cpu, &mut x.numbers);
        }
        spans.into_iter().map(|span| pool(&x, span)).collect()
    }
}

/// Reads tensors into what computes.
#[derive(Clone, Copy)]
struct Reading<'a> {
    cpu: Cpu,
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
        Ok(Dense::new(self.cpu, &weight, bias))
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
            attention: Dense::new(self.cpu, &weight, bias),
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
                    let to = self.shape.layers.min(from + each);
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
fn spans(sequences: &[Vec<u32>]) -> Vec<Range<usize>> {
    let mut start = 0;
    let mut spans = Vec::with_capacity(sequences.len());
    for ids in sequences {
        spans.push(start..start + ids.len());
        start += ids.len();
    }
    spans
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
