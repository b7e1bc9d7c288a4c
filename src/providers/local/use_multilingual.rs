//! `local/use-multilingual-v3`: Google's Universal Sentence Encoder for sixteen languages, run by [`super::universal`].

use std::path::Path;

use ragstream_kernel::Cpu;

use super::choice::multilingual_reads;
use super::encoder::{Encoder, Facts};
use super::failure::{ill_matched, off_the_runtime, unusable};
use super::sentencepiece;
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

pub(super) async fn load(cache_dir: &Path, hub: &Hub) -> Result<Encoder, ProviderError> {
    let [weights, pieces] = USE.files(cache_dir, hub).await?;
    let (tokenizer, network) = off_the_runtime(move || {
        let network = Universal::read(Cpu::detect(), &weights).map_err(|e| unusable(USE.name, e))?;
        let tokenizer = sentencepiece::read(&pieces).ok_or_else(|| unusable(USE.name, "sp.model is damaged"))?;
        if tokenizer.size() <= network.vocabulary() { Ok((tokenizer, network)) } else { Err(ill_matched(USE.name)) }
    })
    .await??;
    Ok(Encoder::new(&FACTS, tokenizer, network))
}
