//! The files of a model in a folder of the user's own, as a hub has them. Their SHA-256 is not known, but told.

use std::fmt::Write as _;
use std::path::Path;

use serde::Deserialize;
use sha2::{Digest, Sha256};
use tracing::Level;

use super::failure::PROVIDER;
use crate::providers::{ErrorKind, ProviderError};

/// What a folder holds.
#[derive(Debug)]
pub(super) struct Contents {
    /// Weights, tokenizer, configuration.
    pub(super) files: [Vec<u8>; 3],
    /// Tokens of a sequence, at most, where it says so.
    pub(super) longest: Option<usize>,
}

/// Where a tokenizer says how much its model reads.
#[derive(Deserialize)]
struct TokenizerConfig {
    /// 1e30 where it is without limit.
    model_max_length: Option<f64>,
}

/// Reads a folder. Blocking.
pub(super) fn read(folder: &Path) -> Result<Contents, ProviderError> {
    let mut files = [const { Vec::new() }; 3];
    for (place, name) in files.iter_mut().zip(["model.safetensors", "tokenizer.json", "config.json"]) {
        *place = file(folder, name)?;
    }
    // Not every model has one.
    let limits = std::fs::read(folder.join("tokenizer_config.json")).unwrap_or_default();
    let limits: Option<TokenizerConfig> = serde_json::from_slice(&limits).ok();
    let longest = limits.and_then(|limits| limits.model_max_length).filter(|longest| (1.0..=1e9).contains(longest));
    Ok(Contents { files, longest: longest.map(|longest| longest as usize) })
}

fn file(folder: &Path, name: &str) -> Result<Vec<u8>, ProviderError> {
    let path = folder.join(name);
    let contents = std::fs::read(&path).map_err(|problem| {
        let message = format!("{} cannot be read", path.display());
        let hint = "the folder of a reranker holds config.json, tokenizer.json and model.safetensors, as a Hugging Face hub has them; \
                    weights in another format have to be converted";
        ProviderError::new(PROVIDER, ErrorKind::ModelMissing, message).caused_by(problem).with_hint(hint)
    })?;
    if tracing::enabled!(Level::INFO) {
        tracing::info!(file = %path.display(), bytes = contents.len(), sha256 = sha256(&contents), "read a file of a model");
    }
    Ok(contents)
}

/// In hexadecimal digits.
pub(super) fn sha256(contents: &[u8]) -> String {
    Sha256::digest(contents).iter().fold(String::with_capacity(64), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
