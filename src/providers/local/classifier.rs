//! An encoder with one number on top: what a cross-encoder is, read with both texts at once.
//!
//! Source: Nogueira and Cho 2019, arXiv:1901.04085; the layers on top as `transformers` has them for BERT (its pooler and a linear
//! layer) and XLM-R (a layer of its own and a linear one).

use ragstream_kernel::{Cpu, Dense, Matrix, Scratch, tanh_rows};

use super::bert::{Bert, LoadError, Tensors};
use super::sequence::Sequence;

/// Says how well a passage answers a question.
#[derive(Debug)]
pub(super) struct Classifier {
    cpu: Cpu,
    bert: Bert,
    head: Head,
}

/// The layers on top of the encoder.
#[derive(Debug)]
pub(super) struct Head {
    dense: Dense,
    out: Dense,
}

impl Head {
    /// By the names of its two layers.
    pub(super) fn read(tensors: &dyn Tensors, width: usize, dense: &str, out: &str) -> Result<Self, LoadError> {
        let layer = |name: &str, outputs: usize| -> Result<Dense, LoadError> {
            let weight = Matrix { width, numbers: tensors.numbers(&format!("{name}.weight"), &[outputs, width])? };
            // One row a sequence: there is little to compute, and all the more that depends on it.
            Ok(Dense::single(&weight, tensors.numbers(&format!("{name}.bias"), &[outputs])?))
        };
        Ok(Self { dense: layer(dense, width)?, out: layer(out, 1)? })
    }
}

impl Classifier {
    pub(super) fn new(cpu: Cpu, bert: Bert, head: Head) -> Self {
        Self { cpu, bert, head }
    }

    pub(super) fn encoder(&self) -> &Bert {
        &self.bert
    }

    /// One number a sequence, the higher the better, on a scale of the model's own.
    pub(super) fn scores<S: Sequence>(&self, sequences: &[S]) -> Vec<f32> {
        let mut scratch = Scratch::default();
        let first = self.bert.first_states(sequences);
        let mut pooled = self.head.dense.of(self.cpu, &first, &mut scratch);
        tanh_rows(&mut pooled.numbers);
        self.head.out.of(self.cpu, &pooled, &mut scratch).numbers
    }
}
