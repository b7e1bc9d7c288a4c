//! `local/potion-base-8M`: a static model (one vector a word piece, averaged and normalised), by `model2vec-rs`.

use async_trait::async_trait;
use model2vec_rs::model::StaticModel;
use safetensors::SafeTensors;
use serde::Deserialize;
use std::path::Path;
use std::sync::Arc;

use super::english::may_be_english;
use super::failure::{PROVIDER, off_the_runtime, unusable};
use super::weights::{Hub, POTION};

use crate::providers::{EmbedLimits, Embedded, Embedder, ErrorKind, Fingerprint, InputType, ProviderError};

/// `hidden_dim` of the model's config.json.
const DIMENSIONS: usize = 256;

/// The static model.
#[derive(Debug)]
pub(super) struct Potion {
    model: StaticModel,
    /// The unit vector of a text of which no token is in the vocabulary. See [`unknown_vector`].
    unknown: Arc<[f32]>,
}

impl Potion {
    pub(super) async fn load(cache_dir: &Path, hub: &Hub) -> Result<Self, ProviderError> {
        let files = POTION.files(cache_dir, hub).await?;
        off_the_runtime(move || Self::from_files(&files)).await?
    }

    fn from_files([weights, tokenizer, config]: &[Vec<u8>; 3]) -> Result<Self, ProviderError> {
        let unknown = unknown_vector(weights, tokenizer).map_err(|e| unusable(POTION.name, e))?;
        let model = StaticModel::from_bytes(tokenizer, weights, config, Some(true))
            .map_err(|e| unusable(POTION.name, e.into_boxed_dyn_error()))?;
        if model.dim() != DIMENSIONS {
            return Err(unusable(POTION.name, format!("vectors are {} wide, not {DIMENSIONS}", model.dim())));
        }
        Ok(Self { model, unknown: unknown.into() })
    }
}

#[async_trait]
impl Embedder for Potion {
    fn model(&self) -> &'static str {
        "local/potion-base-8M"
    }

    fn fingerprint(&self) -> Fingerprint {
        Fingerprint::new(format!("local/potion-base-8m/{DIMENSIONS}"))
    }

    fn reads(&self, text: &str) -> bool {
        may_be_english(text)
    }

    async fn dimensions(&self) -> Result<usize, ProviderError> {
        Ok(DIMENSIONS)
    }

    /// The model itself has no limit; these keep one call to some tens of milliseconds.
    fn limits(&self) -> EmbedLimits {
        EmbedLimits::new(256, 1_000_000, 100_000)
    }

    fn worth_caching(&self) -> bool {
        false
    }

    async fn embed(&self, inputs: &[String], _kind: InputType) -> Result<Embedded, ProviderError> {
        let (model, inputs) = (self.model.clone(), inputs.to_vec());
        let unknown = Arc::clone(&self.unknown);
        off_the_runtime(move || {
            // No `max_length`: model2vec's default of 512 tokens would cut silently. The batch is spread over rayon's one
            // pool inside, which bounds the threads however many calls are in flight.
            let mut vectors = model.encode_with_args(&inputs, None, inputs.len().max(1));
            for vector in &mut vectors {
                if vector.iter().all(|x| *x == 0.0) {
                    vector.clear();
                    vector.extend_from_slice(&unknown);
                }
            }
            if vectors.iter().flatten().all(|x| x.is_finite()) {
                Ok(Embedded { vectors, tokens: None })
            } else {
                Err(ProviderError::new(PROVIDER, ErrorKind::BadAnswer, "a vector is not finite"))
            }
        })
        .await?
    }
}

/// The model's own vector for "a token I do not know", normalised.
///
/// Averages leave unknown tokens out, so a text of nothing else (emoji, a script the vocabulary lacks, blanks) has a sum of
/// zero, and cosine similarity with a zero vector means nothing. Such texts get this one instead: alike among themselves,
/// and BM25 can still find them.
fn unknown_vector(weights: &[u8], tokenizer: &[u8]) -> Result<Vec<f32>, Box<dyn std::error::Error + Send + Sync>> {
    #[derive(Deserialize)]
    struct Tokenizer {
        added_tokens: Vec<AddedToken>,
    }
    #[derive(Deserialize)]
    struct AddedToken {
        id: usize,
        content: String,
    }
    let tokenizer: Tokenizer = serde_json::from_slice(tokenizer)?;
    let id = tokenizer.added_tokens.iter().find(|t| t.content == "[UNK]").ok_or("the vocabulary has no [UNK]")?.id;
    let tensors = SafeTensors::deserialize(weights)?;
    let table = tensors.tensor("embeddings")?;
    if table.dtype() != safetensors::Dtype::F32 {
        return Err(format!("the embeddings are {:?}, not F32", table.dtype()).into());
    }
    let (numbers, _) = table.data().as_chunks::<4>();
    let row = numbers.chunks_exact(DIMENSIONS).nth(id).ok_or("the table has no row for [UNK]")?;
    let mut vector: Vec<f32> = row.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    let norm = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    if !norm.is_normal() {
        return Err("the vector of [UNK] has no direction".into());
    }
    for x in &mut vector {
        *x /= norm;
    }
    Ok(vector)
}
