//! `local/multilingual-e5-small`: a twelve-layer BERT over the vocabulary of XLM-R, its weights in four bits.
//!
//! Source: Wang et al. 2024, arXiv:2402.05672. A question and a passage each have a prefix that the model was trained with.

use std::path::Path;

use ragstream_kernel::Cpu;

use super::encoder::{Encoder, Facts};
use super::failure::{ill_matched, off_the_runtime, unusable};
use super::q4;
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

pub(super) async fn load(cache_dir: &Path, hub: &Hub) -> Result<Encoder, ProviderError> {
    let [file] = E5.files(cache_dir, hub).await?;
    let (tokenizer, bert) = off_the_runtime(move || {
        let (tokenizer, bert) = q4::read(Cpu::detect(), &file).map_err(|e| unusable(E5.name, e))?;
        if bert.fits(tokenizer.size(), MAX_TOKENS, FACTS.dimensions) {
            Ok((tokenizer, bert))
        } else {
            Err(ill_matched(E5.name))
        }
    })
    .await??;
    Ok(Encoder::new(&FACTS, tokenizer, bert))
}
