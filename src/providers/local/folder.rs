//! The files of a model in a folder of the user's own, as a hub has them. Their SHA-256 is not known, but told.

use std::fmt::Write as _;
use std::io;
use std::path::Path;

use serde::Deserialize;
use sha2::{Digest, Sha256};
use tracing::Level;

use super::choice::FOLDER;
use super::failure::PROVIDER;
use crate::providers::{ErrorKind, ProviderError};

/// How many bytes of each file are read into memory, at most: the largest cross-encoders have some two billion.
const MOST: [u64; 3] = [16 << 30, 1 << 30, 16 << 20];

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
    for ((place, name), most) in files.iter_mut().zip(FOLDER).zip(MOST) {
        *place = file(folder, name, most)?;
    }
    // Not every model has one.
    let limits = contents(&folder.join("tokenizer_config.json"), 16 << 20).unwrap_or_default();
    let limits: Option<TokenizerConfig> = serde_json::from_slice(&limits).ok();
    let longest = limits.and_then(|limits| limits.model_max_length).filter(|longest| (1.0..=1e9).contains(longest));
    Ok(Contents { files, longest: longest.map(|longest| longest as usize) })
}

fn file(folder: &Path, name: &str, most: u64) -> Result<Vec<u8>, ProviderError> {
    let path = folder.join(name);
    let contents = contents(&path, most).map_err(|problem| {
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

/// What a file holds. Of a pipe nothing may ever come, and what is too large for a model would fill the memory first.
fn contents(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let about = std::fs::metadata(path)?;
    if !about.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    if about.len() > most {
        return Err(io::Error::other(format!("its {} bytes are more than a model has", about.len())));
    }
    std::fs::read(path)
}

/// In hexadecimal digits.
pub(super) fn sha256(contents: &[u8]) -> String {
    Sha256::digest(contents).iter().fold(String::with_capacity(64), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed test panics")]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    fn what_is_too_large_for_a_model_is_not_read_into_memory() {
        let folder = tempfile::tempdir().unwrap();
        // Sparse: it takes no room on the disk.
        File::create(folder.path().join("model.safetensors")).unwrap().set_len(1 << 40).unwrap();
        let error = read(folder.path()).unwrap_err();
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(
            error.message.ends_with("model.safetensors cannot be read") && cause.contains("1099511627776 bytes"),
            "{cause}"
        );
    }
}
