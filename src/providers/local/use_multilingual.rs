//! `local/use-multilingual-v3`: Google's Universal Sentence Encoder for sixteen languages, run by [`super::universal`].

use std::path::Path;
use std::sync::Arc;

use ragstream_kernel::Cpu;

use super::choice::multilingual_reads;
use super::encoder::{Encoder, Facts, Network};
use super::failure::{off_the_runtime, unusable};
use super::sentencepiece;
use super::unigram::Unigram;
use super::universal::{Universal, WIDTH};
use super::weights::{Hub, USE};
use crate::language::Language;
use crate::providers::ProviderError;

static FACTS: Facts = Facts {
    model: "local/use-multilingual-v3",
    fingerprint: "local/use-multilingual-v3/512",
    dimensions: WIDTH,
    max_tokens: None,
    prefixes: ("", ""),
    reads: |text| Language::of(text).is_none_or(multilingual_reads),
    worth_caching: true,
};

#[derive(Debug)]
struct UseMultilingual {
    tokenizer: Unigram,
    network: Universal,
}

pub(super) async fn load(cache_dir: &Path, hub: &Hub) -> Result<Encoder, ProviderError> {
    let [weights, pieces] = USE.files(cache_dir, hub).await?;
    let model = off_the_runtime(move || {
        let network = Universal::read(Cpu::detect(), &weights).map_err(|e| unusable(USE.name, e))?;
        let tokenizer = sentencepiece::read(&pieces).ok_or_else(|| unusable(USE.name, "sp.model is damaged"))?;
        if tokenizer.size() > network.vocabulary() {
            return Err(unusable(USE.name, "the tokenizer and the weights do not belong together"));
        }
        Ok(UseMultilingual { tokenizer, network })
    })
    .await??;
    Ok(Encoder::new(&FACTS, Arc::new(model)))
}

impl Network for UseMultilingual {
    fn tokens(&self, text: &str) -> Result<Vec<u32>, ProviderError> {
        Ok(self.tokenizer.tokens(text))
    }

    fn encode(&self, tokens: &[Vec<u32>]) -> Vec<Vec<f32>> {
        self.network.encode(tokens)
    }
}
