//! A BERT or an XLM-R as it is published: config.json and model.safetensors.

use std::ops::Range;

use half::{bf16, f16};
use safetensors::tensor::Metadata;
use safetensors::{Dtype, SafeTensors};
use serde::Deserialize;
use serde_json::{Map, Value};

use ragstream_kernel::Cpu;

use super::bert::{Bert, Body, LoadError, Precision, Shape, Tensors, Words};
use super::classifier::{Classifier, Head};

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
    position_embedding_type: Option<String>,
    pad_token_id: Option<usize>,
    #[serde(default)]
    architectures: Vec<String>,
    id2label: Option<Map<String, Value>>,
}

impl Config {
    fn read(config: &[u8]) -> Result<Self, LoadError> {
        let config: Self = serde_json::from_slice(config)?;
        if config.hidden_act != "gelu" {
            return Err(LoadError::Unsupported(format!("the activation {}", config.hidden_act)));
        }
        if let Some(kind) = config.position_embedding_type.as_deref().filter(|kind| *kind != "absolute") {
            return Err(LoadError::Unsupported(format!("positions of the type {kind}")));
        }
        Ok(config)
    }

    fn shape(&self, unused_positions: usize) -> Shape {
        Shape {
            width: self.hidden_size,
            layers: self.num_hidden_layers,
            heads: self.num_attention_heads,
            inner: self.intermediate_size,
            positions: self.max_position_embeddings,
            unused_positions,
            types: self.type_vocab_size,
            epsilon: self.layer_norm_eps,
        }
    }
}

/// Reads an encoder from the contents of its config.json and model.safetensors.
pub(super) fn read(cpu: Cpu, config: &[u8], weights: Vec<u8>) -> Result<Bert, LoadError> {
    let config = Config::read(config)?;
    let body = Body::read(cpu, Precision::Fast, config.shape(0), &File::of(&weights, "")?)?;
    Ok(body.over(Box::new(Table::of(weights, "", &config)?)))
}

/// Reads a cross-encoder from the contents of its config.json and model.safetensors.
pub(super) fn read_classifier(cpu: Cpu, config: &[u8], weights: Vec<u8>) -> Result<Classifier, LoadError> {
    let config = Config::read(config)?;
    if let Some(labels) = config.id2label.as_ref().map(Map::len).filter(|labels| *labels != 1) {
        return Err(LoadError::Unsupported(format!("{labels} labels, where a reranker has one,")));
    }
    let width = config.hidden_size;
    let (prefix, unused_positions, dense, out) = match config.architectures.first().map(String::as_str) {
        Some("BertForSequenceClassification") => ("bert.", 0, "bert.pooler.dense", "classifier"),
        Some("XLMRobertaForSequenceClassification" | "RobertaForSequenceClassification") => {
            ("roberta.", config.pad_token_id.unwrap_or(1).saturating_add(1), "classifier.dense", "classifier.out_proj")
        }
        other => {
            let other = other.unwrap_or("no architecture named");
            let message = format!(
                "{other}, where a reranker is a BertForSequenceClassification or an XLMRobertaForSequenceClassification,"
            );
            return Err(LoadError::Unsupported(message));
        }
    };
    let head = Head::read(&File::of(&weights, "")?, width, dense, out)?;
    let body = Body::read(cpu, Precision::Single, config.shape(unused_positions), &File::of(&weights, prefix)?)?;
    Ok(Classifier::new(cpu, body.over(Box::new(Table::of(weights, prefix, &config)?)), head))
}

/// The tensors of a file whose names begin so.
struct File<'a> {
    tensors: SafeTensors<'a>,
    prefix: &'static str,
}

impl<'a> File<'a> {
    fn of(bytes: &'a [u8], prefix: &'static str) -> Result<Self, LoadError> {
        Ok(Self { tensors: SafeTensors::deserialize(bytes)?, prefix })
    }
}

impl Tensors for File<'_> {
    fn numbers(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, LoadError> {
        let name = format!("{}{name}", self.prefix);
        // Weights that once came out of TensorFlow keep its names.
        let tensor = self.tensors.tensor(&name).or_else(|error| {
            let old = name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta");
            self.tensors.tensor(&old).map_err(|_| error)
        })?;
        let kind = Kind::of(&name, tensor.dtype(), tensor.shape(), shape)?;
        let mut numbers = vec![0.0; shape.iter().product()];
        kind.write(tensor.data(), &mut numbers);
        Ok(numbers)
    }
}

/// The kinds of numbers that weights are published in.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Single,
    Half,
    Brain,
}

impl Kind {
    /// Those of a tensor that has to have this shape.
    fn of(name: &str, kind: Dtype, shape: &[usize], expected: &[usize]) -> Result<Self, LoadError> {
        match kind {
            Dtype::F32 if shape == expected => Ok(Self::Single),
            Dtype::F16 if shape == expected => Ok(Self::Half),
            Dtype::BF16 if shape == expected => Ok(Self::Brain),
            _ => {
                let (name, expected, found) = (name.to_owned(), expected.to_vec(), format!("{kind:?} {shape:?}"));
                Err(LoadError::Tensor { name, expected, found })
            }
        }
    }

    fn size(self) -> usize {
        match self {
            Self::Single => 4,
            Self::Half | Self::Brain => 2,
        }
    }

    fn write(self, bytes: &[u8], numbers: &mut [f32]) {
        match self {
            Self::Single => fill(numbers, bytes, f32::from_le_bytes),
            Self::Half => fill(numbers, bytes, |bytes| f16::from_le_bytes(bytes).to_f32()),
            Self::Brain => fill(numbers, bytes, |bytes| bf16::from_le_bytes(bytes).to_f32()),
        }
    }
}

/// Reads a number out of so many bytes each.
fn fill<const N: usize>(numbers: &mut [f32], bytes: &[u8], number: impl Fn([u8; N]) -> f32) {
    for (x, bytes) in numbers.iter_mut().zip(bytes.as_chunks().0) {
        *x = number(*bytes);
    }
}

/// The vectors of the vocabulary as they stand in the file, a row each: of 250,000 words they are most of the model.
#[derive(Debug)]
struct Table {
    bytes: Vec<u8>,
    kind: Kind,
    width: usize,
}

impl Table {
    /// Keeps the part of the file that it is.
    fn of(mut file: Vec<u8>, prefix: &str, config: &Config) -> Result<Self, LoadError> {
        let name = format!("{prefix}embeddings.word_embeddings.weight");
        let expected = vec![config.vocab_size, config.hidden_size];
        let (header, metadata) = SafeTensors::read_metadata(&file)?;
        let (kind, Range { start, end }) = place(&metadata, header, &name, &expected)?;
        file.truncate(end);
        file.drain(..start.min(end));
        file.shrink_to_fit();
        Ok(Self { bytes: file, kind, width: config.hidden_size })
    }
}

/// The bytes of a tensor.
fn place(metadata: &Metadata, header: usize, name: &str, shape: &[usize]) -> Result<(Kind, Range<usize>), LoadError> {
    let missing = || safetensors::SafeTensorError::TensorNotFound(name.to_owned());
    let tensor = metadata.info(name).ok_or_else(missing)?;
    let kind = Kind::of(name, tensor.dtype, &tensor.shape, shape)?;
    // The header's length stands before it, in eight bytes.
    let start = header + size_of::<u64>();
    Ok((kind, start + tensor.data_offsets.0..start + tensor.data_offsets.1))
}

impl Words for Table {
    fn count(&self) -> usize {
        self.bytes.len() / (self.width * self.kind.size()).max(1)
    }

    fn write(&self, token: u32, vector: &mut [f32]) {
        let size = vector.len() * self.kind.size();
        let from = token as usize * size;
        if let Some(row) = self.bytes.get(from..from + size) {
            self.kind.write(row, vector);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    const CONFIG: &str = r#"{"hidden_size":32,"num_hidden_layers":1,"num_attention_heads":2,"intermediate_size":16,
        "layer_norm_eps":1e-12,"max_position_embeddings":4,"type_vocab_size":2,"vocab_size":10,"hidden_act":"gelu",
        "architectures":["BertForSequenceClassification"]}"#;

    #[test]
    fn a_file_that_is_no_model_is_an_error() {
        let read = |config: &[u8], weights: &[u8]| read(Cpu::detect(), config, weights.to_vec());
        assert!(matches!(read(b"{}", b""), Err(LoadError::Config(_))));
        assert!(matches!(read(CONFIG.as_bytes(), b"not safetensors"), Err(LoadError::Safetensors(_))));
        let relu = CONFIG.replace("gelu", "relu");
        assert!(matches!(read(relu.as_bytes(), b""), Err(LoadError::Unsupported(_))));
    }

    #[test]
    fn what_is_no_cross_encoder_is_told() {
        let told = |config: &str| read_classifier(Cpu::detect(), config.as_bytes(), Vec::new()).unwrap_err().to_string();
        assert!(told(&CONFIG.replace("BertFor", "ElectraFor")).contains("ElectraForSequenceClassification"));
        assert!(told(&CONFIG.replace("architectures", "other")).contains("no architecture named"));
        assert!(told(&CONFIG.replacen('{', r#"{"id2label":{"0":"no","1":"yes","2":"perhaps"},"#, 1)).contains("3 labels"));
        let relative = CONFIG.replacen('{', r#"{"position_embedding_type":"relative_key","#, 1);
        assert!(told(&relative).contains("relative_key"));
    }

    #[test]
    fn numbers_of_every_kind_are_read() {
        let mut numbers = [0.0; 2];
        for (kind, bytes) in [
            (Kind::Single, [1.5_f32.to_le_bytes(), (-2.0_f32).to_le_bytes()].concat()),
            (Kind::Half, [f16::from_f32(1.5).to_le_bytes(), f16::from_f32(-2.0).to_le_bytes()].concat()),
            (Kind::Brain, [bf16::from_f32(1.5).to_le_bytes(), bf16::from_f32(-2.0).to_le_bytes()].concat()),
        ] {
            kind.write(&bytes, &mut numbers);
            assert_eq!(
                numbers.iter().map(|number: &f32| number.to_bits()).collect::<Vec<_>>(),
                [1.5_f32, -2.0].map(f32::to_bits),
                "{kind:?}"
            );
            assert_eq!(bytes.len(), 2 * kind.size());
        }
    }
}
