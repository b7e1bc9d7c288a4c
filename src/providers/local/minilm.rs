//! `local/all-MiniLM-L6-v2`: a six-layer BERT, mean-pooled and normalised, run by [`super::bert`].

use std::path::Path;

use tokenizers::Tokenizer;

use ragstream_kernel::Cpu;

use super::bert::Bert;
use super::encoder::{Encoder, Facts, Tokenise};
use super::english::may_be_english;
use super::failure::{PROVIDER, ill_matched, off_the_runtime, unusable};
use super::published;
use super::weights::{Hub, MINILM};
use crate::providers::{ErrorKind, ProviderError};

/// Tokens that the model was trained on, `[CLS]` and `[SEP]` included (`max_seq_length` of its `sentence_bert_config.json`). It
/// has 512 positions, of which the second half is untrained.
const MAX_TOKENS: usize = 256;

static FACTS: Facts = Facts {
    model: "local/all-MiniLM-L6-v2",
    fingerprint: "local/all-minilm-l6-v2/384",
    dimensions: 384,
    max_tokens: Some(MAX_TOKENS),
    prefixes: ("", ""),
    reads: may_be_english,
    worth_caching: true,
};

pub(super) async fn load(cache_dir: &Path, hub: &Hub) -> Result<Encoder, ProviderError> {
    let files = MINILM.files(cache_dir, hub).await?;
    let (tokenizer, bert) = off_the_runtime(move || read(files)).await??;
    Ok(Encoder::new(&FACTS, tokenizer, bert))
}

fn read([weights, tokenizer, config]: [Vec<u8>; 3]) -> Result<(Tokenizer, Bert), ProviderError> {
    let unusable = |e| unusable(MINILM.name, e);
    let mut tokenizer = Tokenizer::from_bytes(&tokenizer).map_err(unusable)?;
    // The file asks for cutting and padding to 128 tokens; we do neither.
    tokenizer.with_truncation(None).map_err(unusable)?;
    tokenizer.with_padding(None);
    let bert = published::read(Cpu::detect(), &config, weights).map_err(|e| unusable(e.into()))?;
    let fits = bert.fits(tokenizer.get_vocab_size(true), MAX_TOKENS, FACTS.dimensions);
    if fits { Ok((tokenizer, bert)) } else { Err(ill_matched(MINILM.name)) }
}

impl Tokenise for Tokenizer {
    fn tokens(&self, text: &str) -> Result<Vec<u32>, ProviderError> {
        let encoding = self.encode_fast(text, true).map_err(|e| ProviderError {
            source: Some(e),
            ..ProviderError::new(PROVIDER, ErrorKind::InvalidInput, "the text cannot be tokenised")
        })?;
        Ok(encoding.get_ids().to_vec())
    }
}
