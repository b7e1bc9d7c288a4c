//! A BERT as it is published: config.json and model.safetensors.

use safetensors::{Dtype, SafeTensors};
use serde::Deserialize;

use ragstream_kernel::{Cpu, Matrix};

use super::bert::{Bert, LoadError, Shape, Tensors, Words};

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

/// Reads a model from the contents of its config.json and model.safetensors.
pub(super) fn read(cpu: Cpu, config: &[u8], weights: &[u8]) -> Result<Bert, LoadError> {
    let config: Config = serde_json::from_slice(config)?;
    if config.hidden_act != "gelu" {
        return Err(LoadError::Unsupported(format!("the activation {}", config.hidden_act)));
    }
    let shape = Shape {
        width: config.hidden_size,
        layers: config.num_hidden_layers,
        heads: config.num_attention_heads,
        inner: config.intermediate_size,
        positions: config.max_position_embeddings,
        types: config.type_vocab_size,
        epsilon: config.layer_norm_eps,
    };
    let file = File(SafeTensors::deserialize(weights)?);
    let words = file.numbers("embeddings.word_embeddings.weight", &[config.vocab_size, shape.width])?;
    Bert::new(cpu, shape, Box::new(Table(Matrix { width: shape.width, numbers: words })), &file)
}

struct File<'a>(SafeTensors<'a>);

impl Tensors for File<'_> {
    fn numbers(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, LoadError> {
        let tensor = self.0.tensor(name)?;
        if tensor.dtype() != Dtype::F32 || tensor.shape() != shape {
            let found = format!("{:?} {:?}", tensor.dtype(), tensor.shape());
            return Err(LoadError::Tensor { name: name.to_owned(), expected: shape.to_vec(), found });
        }
        Ok(tensor.data().as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
    }
}

/// A vector a row.
#[derive(Debug)]
struct Table(Matrix);

impl Words for Table {
    fn count(&self) -> usize {
        self.0.rows().len()
    }

    fn write(&self, token: u32, vector: &mut [f32]) {
        let from = token as usize * self.0.width;
        if let Some(row) = self.0.numbers.get(from..from + vector.len()) {
            vector.copy_from_slice(row);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_no_model_is_an_error() {
        let config =
            br#"{"hidden_size":32,"num_hidden_layers":1,"num_attention_heads":2,"intermediate_size":16,"layer_norm_eps":1e-12,
            "max_position_embeddings":4,"type_vocab_size":2,"vocab_size":10,"hidden_act":"gelu"}"#;
        let read = |config: &[u8], weights: &[u8]| read(Cpu::detect(), config, weights);
        assert!(matches!(read(b"{}", b""), Err(LoadError::Config(_))));
        assert!(matches!(read(config, b"not safetensors"), Err(LoadError::Safetensors(_))));
        let relu = String::from_utf8_lossy(config).replace("gelu", "relu");
        assert!(matches!(read(relu.as_bytes(), b""), Err(LoadError::Unsupported(_))));
    }
}
