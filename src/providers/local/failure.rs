//! Errors of models in process, and the pool that their work runs on.

use crate::providers::{ErrorKind, ProviderError};

/// The name of this provider in errors.
pub(super) const PROVIDER: &str = "local";

/// Runs CPU work on the blocking pool. A panic there becomes an error here.
pub(super) async fn off_the_runtime<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, ProviderError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|broken| ProviderError::new(PROVIDER, ErrorKind::BadAnswer, "the model broke off").caused_by(broken))
}

/// Files that have the right SHA-256 and yet cannot be read as a model: this build cannot use them.
pub(super) fn unusable(model: &str, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> ProviderError {
    ProviderError::new(PROVIDER, ErrorKind::ModelMissing, format!("the files of {model} cannot be read as a model"))
        .caused_by(source)
}

/// [`unusable`] files, each of which could be read.
pub(super) fn ill_matched(model: &str) -> ProviderError {
    unusable(model, "the tokenizer and the weights do not belong together")
}
