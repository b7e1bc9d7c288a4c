//! In place of the models in process where the crate is built without them (the feature `local`).

mod choice;
mod download;

use std::path::Path;
use std::sync::Arc;

use tokio::sync::watch;

pub use choice::{AUTO, ENGLISH, FOLDER, MULTILINGUAL, is_folder, is_foreign, lacking, model_for, model_for_share, model_of};
pub use download::Download;

use super::{Embedder, ErrorKind, ProviderError, Reranker};

/// The models that a build with them has, as they are written after `local/`.
pub const MODELS: [&str; 4] = ["potion-base-8M", "all-MiniLM-L6-v2", "multilingual-e5-small", "use-multilingual-v3"];

/// The rerankers that a build with them has.
pub const RERANKERS: [&str; 2] = ["ms-marco-MiniLM-L-6-v2", "mmarco-mMiniLMv2-L12-H384-v1"];

/// Nothing is fetched.
#[derive(Debug, Clone)]
pub struct Hub {
    /// Never told anything.
    pub progress: Option<watch::Sender<Option<Download>>>,
}

impl Hub {
    /// No environment matters.
    pub fn from_env() -> Self {
        Self { progress: None }
    }
}

/// No model of any name.
///
/// # Errors
/// Always [`ErrorKind::ModelMissing`].
#[expect(clippy::unused_async, reason = "the same as where there are models")]
pub async fn embedder_from(model: &str, _cache_dir: &Path, _hub: &Hub) -> Result<Arc<dyn Embedder>, ProviderError> {
    Err(absent(model, "embed.model"))
}

/// No reranker of any name.
///
/// # Errors
/// Always [`ErrorKind::ModelMissing`].
pub fn reranker(model: &str, _cache_dir: &Path, _hub: &Hub) -> Result<Arc<dyn Reranker>, ProviderError> {
    Err(absent(model, "query.retrieve.rerank.model"))
}

fn absent(model: &str, key: &str) -> ProviderError {
    let error =
        ProviderError::new("local", ErrorKind::ModelMissing, format!("this build runs no models in process: not {model}"));
    error.with_hint(format!("build the crate with the feature `local`, or set `{key}` to a provider's"))
}
