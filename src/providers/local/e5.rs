//! `local/multilingual-e5-small`: a twelve-layer BERT over the vocabulary of XLM-R, its weights in four bits.
//!
//! Source: Wang et al. 2024, arXiv:2402.05672. A question and a passage each have a prefix that the model was trained with.

use std::path::Path;
use std::sync::Arc;

use ragstream_kernel::Cpu;

use super::bert::Bert;
use super::encoder::{Encoder, Facts, Network};
use super::failure::{off_the_runtime, unusable};
use super::q4;
use super::unigram::Unigram;
use super::weights::{E5, Hub};
use crate::providers::ProviderError;

/// All positions of the model, those of start and end included.
const MAX_TOKENS: usize = 512;

static FACTS: Facts = Facts {
    model: "local/multilingual-e5-small",
    // Of the four bits: the published weights give other vectors.
    fingerprint: "local/multilingual-e5-small-q4/384",
    dimensions: 384,
    max_tokens: Some(MAX_TOKENS),
    prefixes: ("query: ", "passage: "),
    // A hundred languages: all that there is a word list of here.
    reads: |_| true,
    worth_caching: true,
};

#[derive(Debug)]
struct E5Small {
    tokenizer: Unigram,
    bert: Bert,
}

pub(super) async fn load(cache_dir: &Path, hub: &Hub) -> Result<Encoder, ProviderError> {
    let [file] = E5.files(cache_dir, hub).await?;
    let model = off_the_runtime(move || {
        let (tokenizer, bert) = q4::read(Cpu::detect(), &file).map_err(|e| unusable(E5.name, e))?;
        let fits = tokenizer.size() <= bert.vocabulary() && bert.positions() >= MAX_TOKENS;
        if !fits || bert.width() != FACTS.dimensions {
            return Err(unusable(E5.name, "the tokenizer and the weights do not belong together"));
        }
        Ok(E5Small { tokenizer, bert })
    })
    .await??;
    Ok(Encoder::new(&FACTS, Arc::new(model)))
}

impl Network for E5Small {
    fn tokens(&self, text: &str) -> Result<Vec<u32>, ProviderError> {
        Ok(self.tokenizer.tokens(text))
    }

    fn encode(&self, tokens: &[Vec<u32>]) -> Vec<Vec<f32>> {
        self.bert.encode(tokens)
    }
}
