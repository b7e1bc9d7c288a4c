//! `local/all-MiniLM-L6-v2`: a six-layer BERT, mean-pooled and normalised, run by [`super::bert`].

use async_trait::async_trait;
use futures_util::future::try_join_all;
use std::path::Path;
use std::sync::Arc;
use tokenizers::Tokenizer;
use tokio::sync::Semaphore;

use super::bert::Bert;
use super::english::may_be_english;
use super::failure::{PROVIDER, off_the_runtime, unusable};
use super::weights::{Files, Hub, MINILM};

use crate::providers::{EmbedLimits, Embedded, Embedder, ErrorKind, Fingerprint, InputType, ProviderError};

/// Tokens that the model was trained on, `[CLS]` and `[SEP]` included (`max_seq_length` of its `sentence_bert_config.json`). It
/// has 512 positions, of which the second half is untrained.
const MAX_TOKENS: usize = 256;

/// Tokens that one matrix product takes, about: enough to keep it busy, few enough for its operands to stay in the cache.
const GROUP_TOKENS: usize = 512;

/// The transformer.
#[derive(Debug)]
pub(super) struct MiniLm {
    model: Arc<Model>,
    /// A permit for each core: however many calls are in flight, no more than this many threads compute.
    cores: Arc<Semaphore>,
}

#[derive(Debug)]
struct Model {
    tokenizer: Tokenizer,
    bert: Bert,
}

impl MiniLm {
    pub(super) async fn load(cache_dir: &Path, hub: &Hub) -> Result<Self, ProviderError> {
        let files = MINILM.files(cache_dir, hub).await?;
        let model = off_the_runtime(move || Model::from_files(&files)).await??;
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Ok(Self { model: Arc::new(model), cores: Arc::new(Semaphore::new(cores)) })
    }

    /// The vectors of a group of token lists, once a core is free.
    async fn encode(&self, group: Vec<Vec<u32>>) -> Result<Vec<Vec<f32>>, ProviderError> {
        let permit = Arc::clone(&self.cores).acquire_owned().await.map_err(|e| ProviderError {
            source: Some(Box::new(e)),
            ..ProviderError::new(PROVIDER, ErrorKind::Unavailable, "the model is shutting down")
        })?;
        let model = Arc::clone(&self.model);
        off_the_runtime(move || {
            // Held until the work is done, also when nobody waits for it any more.
            let _permit = permit;
            model.bert.encode(&group)
        })
        .await
    }
}

impl Model {
    fn from_files(files: &Files) -> Result<Self, ProviderError> {
        let unusable = |e| unusable(MINILM.name, e);
        let mut tokenizer = Tokenizer::from_bytes(&files.tokenizer).map_err(unusable)?;
        // The file asks for cutting and padding to 128 tokens; we do neither.
        tokenizer.with_truncation(None).map_err(unusable)?;
        tokenizer.with_padding(None);
        let bert = Bert::from_safetensors(&files.config, &files.weights).map_err(|e| unusable(e.into()))?;
        if tokenizer.get_vocab_size(true) > bert.vocabulary() || bert.positions() < MAX_TOKENS {
            return Err(unusable("the tokenizer and the weights do not belong together".into()));
        }
        Ok(Self { tokenizer, bert })
    }

    fn tokens(&self, input: &str) -> Result<Vec<u32>, ProviderError> {
        let encoding = self.tokenizer.encode_fast(input, true).map_err(|e| ProviderError {
            source: Some(e),
            ..ProviderError::new(PROVIDER, ErrorKind::InvalidInput, "the text cannot be tokenised")
        })?;
        Ok(encoding.get_ids().to_vec())
    }

    fn tokens_within_limit(&self, input: &str) -> Result<Vec<u32>, ProviderError> {
        let tokens = self.tokens(input)?;
        if tokens.len() > MAX_TOKENS {
            return Err(ProviderError {
                hint: Some("lower `chunk.max_tokens`, or embed with local/potion-base-8M, which has no such limit".into()),
                ..ProviderError::new(
                    PROVIDER,
                    ErrorKind::InvalidInput,
                    format!("the text has {} tokens and {} reads {MAX_TOKENS} at most", tokens.len(), MINILM.name),
                )
            });
        }
        Ok(tokens)
    }
}

#[async_trait]
impl Embedder for MiniLm {
    fn model(&self) -> &'static str {
        "local/all-MiniLM-L6-v2"
    }

    fn fingerprint(&self) -> Fingerprint {
        Fingerprint::new(format!("local/all-minilm-l6-v2/{}", self.model.bert.width()))
    }

    fn reads(&self, text: &str) -> bool {
        may_be_english(text)
    }

    async fn dimensions(&self) -> Result<usize, ProviderError> {
        Ok(self.model.bert.width())
    }

    fn limits(&self) -> EmbedLimits {
        EmbedLimits::new(32, 32 * MAX_TOKENS, MAX_TOKENS)
    }

    async fn embed(&self, inputs: &[String], _kind: InputType) -> Result<Embedded, ProviderError> {
        let (model, texts) = (Arc::clone(&self.model), inputs.to_vec());
        let tokens: Vec<Vec<u32>> =
            off_the_runtime(move || texts.iter().map(|text| model.tokens_within_limit(text)).collect::<Result<_, _>>())
                .await??;
        let total: usize = tokens.iter().map(Vec::len).sum();
        let groups = group(tokens, std::thread::available_parallelism().map_or(1, std::num::NonZero::get));
        let vectors: Vec<Vec<f32>> =
            try_join_all(groups.into_iter().map(|group| self.encode(group))).await?.into_iter().flatten().collect();
        if vectors.len() != inputs.len() || vectors.iter().flatten().any(|x| !x.is_finite()) {
            return Err(ProviderError::new(PROVIDER, ErrorKind::BadAnswer, "a vector is missing or not finite"));
        }
        Ok(Embedded { vectors, tokens: Some(total as u64) })
    }

    fn count_tokens(&self, input: &str) -> Option<usize> {
        self.model.tokens(input).ok().map(|tokens| tokens.len())
    }
}

/// Splits token lists, in order, into groups of about the same number of tokens, [`GROUP_TOKENS`] or a little more at most, and
/// where there are enough lists, as many groups for each core.
fn group(lists: Vec<Vec<u32>>, cores: usize) -> Vec<Vec<Vec<u32>>> {
    let total: usize = lists.iter().map(Vec::len).sum();
    let count = total.div_ceil(GROUP_TOKENS).max(1).next_multiple_of(cores.max(1));
    let size = total.div_ceil(count);
    let mut groups = Vec::new();
    let mut current = Vec::new();
    let mut filled = 0;
    for list in lists {
        filled += list.len();
        current.push(list);
        if filled >= size {
            groups.push(std::mem::take(&mut current));
            filled = 0;
        }
    }
    if !current.is_empty() {
        groups.push(current);
    }
    groups
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn groups_keep_every_list_in_order(lengths in prop::collection::vec(1_usize..=MAX_TOKENS, 0..60), cores in 1_usize..9) {
            let lists: Vec<Vec<u32>> = (0_u32..).zip(&lengths).map(|(i, n)| vec![i; *n]).collect();
            let groups = group(lists.clone(), cores);
            for one in &groups {
                prop_assert!(!one.is_empty());
                prop_assert!(one.iter().map(Vec::len).sum::<usize>() < GROUP_TOKENS + MAX_TOKENS);
            }
            prop_assert_eq!(groups.concat(), lists);
        }
    }

    #[test]
    fn a_small_batch_is_spread_over_the_cores() {
        assert_eq!(group(vec![vec![0; 10]; 8], 4).len(), 4);
        assert_eq!(group(vec![vec![0; 100]; 11], 2).len(), 4);
    }
}
