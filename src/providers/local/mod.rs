//! Embedding and reranking in process: no key, and no network once the weights are in the cache.
//!
//! `potion` looks vectors of words up and averages them: thousands of chunks a second, English. The others are networks behind a
//! tokenizer ([`encoder`]): `minilm`, a small transformer, English, 256 tokens at most; `e5`, one twice as deep, of a hundred
//! languages, 512 tokens; `use_multilingual`, convolutions over a table, fifteen languages, some ten times as fast. `weights` owns
//! where their files are and that they are the right ones, `ragstream-kernel`, a crate beside this one, the arithmetic.
//!
//! And reranking: [`reranker`]s are the same transformers over pairs of texts ([`pairs`]), with one number on top ([`classifier`]).

mod bert;
mod choice;
mod classifier;
mod cores;
mod cross;
mod download;
mod e5;
mod encoder;
mod english;
mod failure;
mod folder;
mod minilm;
mod normal;
mod npz;
mod pairs;
mod potion;
mod published;
mod q4;
mod sentencepiece;
mod sequence;
mod unigram;
mod universal;
mod use_multilingual;
mod weights;
mod xlm_roberta;

use std::path::Path;
use std::sync::Arc;

use tokio::sync::OnceCell;

pub use choice::{AUTO, ENGLISH, FOLDER, MULTILINGUAL, is_folder, is_foreign, lacking, model_for, model_for_share, model_of};
pub use cross::{RERANKERS, reranker};
pub use download::Download;
pub use weights::Hub;

use self::failure::PROVIDER;
use super::{Embedder, ErrorKind, ProviderError};

/// The embedding models there are, as they are written after `local/`. Names match in any case.
pub const MODELS: [&str; 4] = ["potion-base-8M", "all-MiniLM-L6-v2", "multilingual-e5-small", "use-multilingual-v3"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Model {
    Potion,
    MiniLm,
    E5,
    Use,
}

impl Model {
    fn named(name: &str) -> Result<Self, ProviderError> {
        match name.to_ascii_lowercase().as_str() {
            "potion-base-8m" => Ok(Self::Potion),
            "all-minilm-l6-v2" => Ok(Self::MiniLm),
            "multilingual-e5-small" => Ok(Self::E5),
            "use-multilingual-v3" => Ok(Self::Use),
            _ => Err(ProviderError {
                hint: Some(format!("the local models are {}", MODELS.join(", "))),
                ..ProviderError::new(PROVIDER, ErrorKind::NotFound, format!("there is no local model `{name}`"))
            }),
        }
    }

    /// One copy of each model a process. Not keyed by the cache folder: the weights are pinned by their SHA-256, so every
    /// folder gives the same vectors.
    fn shared(self) -> &'static OnceCell<Arc<dyn Embedder>> {
        static POTION: OnceCell<Arc<dyn Embedder>> = OnceCell::const_new();
        static MINILM: OnceCell<Arc<dyn Embedder>> = OnceCell::const_new();
        static E5: OnceCell<Arc<dyn Embedder>> = OnceCell::const_new();
        static USE: OnceCell<Arc<dyn Embedder>> = OnceCell::const_new();
        match self {
            Self::Potion => &POTION,
            Self::MiniLm => &MINILM,
            Self::E5 => &E5,
            Self::Use => &USE,
        }
    }
}

/// The model of this name, loaded when it is first asked for and kept for the life of the process. Its files are looked for
/// in `cache_dir/models/<model>`, else fetched from the hub that the environment names (see [`Hub::from_env`]).
///
/// # Errors
/// [`ErrorKind::NotFound`] for a name that is not in [`MODELS`]; [`ErrorKind::ModelMissing`] when the files are not there
/// (or are not what they should be) and cannot be fetched. A failure is not remembered: the next call tries again.
pub async fn embedder(model: &str, cache_dir: &Path) -> Result<Arc<dyn Embedder>, ProviderError> {
    embedder_from(model, cache_dir, &Hub::from_env()).await
}

/// The same as [`embedder`], from the hub given: for a caller that shows [`Hub::progress`].
pub async fn embedder_from(model: &str, cache_dir: &Path, hub: &Hub) -> Result<Arc<dyn Embedder>, ProviderError> {
    let cell = Model::named(model)?.shared();
    cell.get_or_try_init(|| load(model, cache_dir, hub)).await.map(Arc::clone)
}

/// Loads a model anew, whatever the process has loaded already. Errors as [`embedder`].
pub async fn load(model: &str, cache_dir: &Path, hub: &Hub) -> Result<Arc<dyn Embedder>, ProviderError> {
    Ok(match Model::named(model)? {
        Model::Potion => Arc::new(potion::Potion::load(cache_dir, hub).await?),
        Model::MiniLm => Arc::new(minilm::load(cache_dir, hub).await?),
        Model::E5 => Arc::new(e5::load(cache_dir, hub).await?),
        Model::Use => Arc::new(use_multilingual::load(cache_dir, hub).await?),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn names_match_in_any_case() {
        for name in MODELS {
            assert_eq!(Model::named(name).unwrap(), Model::named(&name.to_uppercase()).unwrap());
        }
        assert_ne!(Model::named("potion-base-8m").unwrap(), Model::named("all-minilm-l6-v2").unwrap());
    }

    #[test]
    fn an_unknown_name_says_which_there_are() {
        let error = Model::named("potion-base-9M").unwrap_err();
        assert_eq!(error.kind, ErrorKind::NotFound);
        assert!(error.hint.unwrap().contains("potion-base-8M"));
    }
}
