//! Rerankers in process: cross-encoders, which read the question and a passage together.
//!
//! The best known ones are pinned like the embedding models; any other one is named by its folder. A passage that is longer than
//! the model reads at once is read in windows, and the best of them counts: see [`super::pairs`].

use std::cmp::Reverse;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::try_join_all;
use ragstream_kernel::Cpu;
use tokio::sync::OnceCell;

use super::choice::is_folder;
use super::classifier::Classifier;
use super::cores::{self, Cores};
use super::failure::{PROVIDER, ill_matched, off_the_runtime, unusable};
use super::folder;
use super::pairs::{Pair, Pairing};
use super::published;
use super::sequence::Sequence as _;
use super::weights::{Hub, MMARCO, MS_MARCO, Repository};
use crate::providers::{ErrorKind, Price, ProviderError, Reranked, Reranker};

/// The rerankers there are by name, as they are written after `local/`.
pub const RERANKERS: [&str; 2] = [MS_MARCO.name, MMARCO.name];

/// What to do about files of one's own.
const FETCH: &str = "fetch config.json, tokenizer.json and model.safetensors of one and the same cross-encoder into the folder once more, whole: \
                     a file that Git LFS has not fetched is a pointer of some lines";

/// The source of a model.
#[derive(Debug)]
enum Files {
    Published(&'static Repository<3>),
    Folder(PathBuf),
}

impl Files {
    fn named(model: &str) -> Result<Self, ProviderError> {
        if is_folder(model) {
            return Ok(Self::Folder(model.into()));
        }
        let known = [&MS_MARCO, &MMARCO].into_iter().find(|known| known.name.eq_ignore_ascii_case(model));
        known.map(Self::Published).ok_or_else(|| {
            let error = ProviderError::new(PROVIDER, ErrorKind::NotFound, format!("there is no local reranker `{model}`"));
            error.with_hint(format!("the local rerankers are {}; any other one is named by its folder", RERANKERS.join(", ")))
        })
    }
}

/// The reranker of this name, or of this folder. Nothing is read yet: see [`Reranker::prepare`].
///
/// # Errors
/// [`ErrorKind::NotFound`] for a name that is not in [`RERANKERS`].
pub fn reranker(model: &str, cache_dir: &Path, hub: &Hub) -> Result<Arc<dyn Reranker>, ProviderError> {
    Ok(Arc::new(CrossEncoder {
        name: format!("{PROVIDER}/{model}"),
        files: Files::named(model)?,
        cache_dir: cache_dir.to_owned(),
        hub: hub.clone(),
        loaded: OnceCell::new(),
        cores: Cores::all(),
    }))
}

/// A reranker, read when it is first wanted.
#[derive(Debug)]
struct CrossEncoder {
    name: String,
    files: Files,
    cache_dir: PathBuf,
    hub: Hub,
    loaded: OnceCell<Arc<Loaded>>,
    cores: Cores,
}

#[derive(Debug)]
struct Loaded {
    pairing: Pairing,
    classifier: Classifier,
}

impl CrossEncoder {
    async fn loaded(&self) -> Result<&Arc<Loaded>, ProviderError> {
        // One copy of each that is pinned a process: every folder gives the same scores. Of others nothing is known.
        static MS_MARCO_LOADED: OnceCell<Arc<Loaded>> = OnceCell::const_new();
        static MMARCO_LOADED: OnceCell<Arc<Loaded>> = OnceCell::const_new();
        let cell = match &self.files {
            Files::Published(known) if known.name == MS_MARCO.name => &MS_MARCO_LOADED,
            Files::Published(_) => &MMARCO_LOADED,
            Files::Folder(_) => &self.loaded,
        };
        cell.get_or_try_init(|| self.load()).await
    }

    async fn load(&self) -> Result<Arc<Loaded>, ProviderError> {
        let (name, files, longest) = match &self.files {
            Files::Published(known) => (known.name.to_owned(), known.files(&self.cache_dir, &self.hub).await?, None),
            Files::Folder(path) => {
                let path = path.clone();
                let name = path.display().to_string();
                let folder::Contents { files, longest } = off_the_runtime(move || folder::read(&path)).await??;
                (name, files, longest)
            }
        };
        let read = off_the_runtime(move || Loaded::read(Cpu::detect(), &name, files, longest).map(Arc::new)).await?;
        // Those that are pinned have the right SHA-256.
        let own = matches!(self.files, Files::Folder(_));
        read.map_err(|error| if own { error.with_hint(FETCH) } else { error })
    }
}

impl Loaded {
    fn read(
        cpu: Cpu,
        name: &str,
        [weights, tokenizer, config]: [Vec<u8>; 3],
        longest: Option<usize>,
    ) -> Result<Self, ProviderError> {
        let classifier = published::read_classifier(cpu, &config, weights).map_err(|error| unusable(name, error))?;
        let encoder = classifier.encoder();
        let longest = longest.map_or(encoder.positions(), |longest| longest.min(encoder.positions()));
        let pairing = Pairing::read(&tokenizer, longest).map_err(|error| unusable(name, error))?;
        if pairing.suits(|vocabulary| encoder.knows(vocabulary), encoder.has_types()) {
            Ok(Self { pairing, classifier })
        } else {
            Err(ill_matched(name))
        }
    }
}

#[async_trait]
impl Reranker for CrossEncoder {
    fn model(&self) -> &str {
        &self.name
    }

    fn price(&self) -> Option<Price> {
        Some(Price::FREE)
    }

    async fn prepare(&self) -> Result<(), ProviderError> {
        self.loaded().await.map(|_| ())
    }

    /// In groups of some hundred tokens on all cores. Those that have not begun when the future is dropped never do.
    async fn rerank(&self, question: &str, passages: &[String]) -> Result<Reranked, ProviderError> {
        let model = Arc::clone(self.loaded().await?);
        let (reader, question, texts) = (Arc::clone(&model), question.to_owned(), passages.to_vec());
        let mut pairs = off_the_runtime(move || reader.pairing.pairs(&question, &texts)).await??;
        // The longest first: then no core has a long one to itself while the others have nothing left.
        pairs.sort_by_key(|pair| Reverse(pair.ids().len()));
        let tokens: usize = pairs.iter().map(|pair| pair.ids().len()).sum();
        let scored = cores::group(pairs, cores::count()).into_iter().map(|group: Vec<Pair>| {
            let model = Arc::clone(&model);
            self.cores.run(move || {
                let scores = model.classifier.scores(&group);
                group.iter().map(|pair| pair.passage).zip(scores).collect::<Vec<_>>()
            })
        });
        let mut scores = vec![f32::NEG_INFINITY; passages.len()];
        for (passage, score) in try_join_all(scored).await?.into_iter().flatten() {
            if let Some(best) = scores.get_mut(passage) {
                // What is no number stays one that is seen below.
                *best = if score.is_nan() || best.is_nan() { f32::NAN } else { best.max(score) };
            }
        }
        if scores.iter().any(|score| !score.is_finite()) {
            return Err(ProviderError::new(PROVIDER, ErrorKind::BadAnswer, "a score is missing or not finite"));
        }
        Ok(Reranked { scores, tokens: Some(tokens as u64), units: None })
    }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    /// Of models drawn by chance, by `transformers` in double precision: see `scripts/cross-encoders`. As a processor computes that
    /// has no AVX2; the tests from without hold this one to the same.
    #[test]
    fn windows_and_scores_are_the_references() {
        for name in ["bert", "xlm-roberta"] {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/local/cross").join(name);
            let folder::Contents { files, longest } = folder::read(&path).unwrap();
            let model = Loaded::read(Cpu::Baseline, name, files, longest).unwrap();
            let scored: Vec<serde_json::Value> =
                serde_json::from_slice(&std::fs::read(path.join("scores.json")).unwrap()).unwrap();
            assert!(scored.len() > 50);
            for pair in &scored {
                let text = |key: &str| pair[key].as_str().unwrap();
                let windows = model.pairing.pairs(text("question"), &[text("passage").to_owned()]).unwrap();
                assert_eq!(windows.len() as u64, pair["windows"].as_u64().unwrap(), "{name}: {pair}");
                let best = model.classifier.scores(&windows).into_iter().fold(f32::NEG_INFINITY, f32::max);
                let known = pair["score"].as_f64().unwrap() as f32;
                assert!((best - known).abs() < 1e-4, "{name}: {best}, not {known}: {pair}");
            }
        }
    }

    #[tokio::test]
    async fn what_is_wrong_with_weights_is_said_in_words_and_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let bert = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/local/cross/bert");
        for name in folder::read(&bert).map(|_| super::super::FOLDER).unwrap() {
            std::fs::copy(bert.join(name), folder.path().join(name)).unwrap();
        }
        let (model, weights) = (folder.path().display().to_string(), folder.path().join("model.safetensors"));
        let whole = std::fs::read(&weights).unwrap();
        // Cut in its length, in its header, in its numbers; and one whose last tensor has another name.
        let renamed = String::from_utf8_lossy(&whole).contains("classifier.weight");
        assert!(renamed);
        let mut other = whole.clone();
        let at = whole.windows(17).position(|name| name == b"classifier.weight").unwrap();
        other[at] = b'k';
        let said = [
            "is cut short or damaged",
            "is cut short or damaged",
            "is cut short or damaged",
            "has no tensor classifier.weight",
        ];
        let files = [whole[..4].to_vec(), whole[..40].to_vec(), whole[..whole.len() - 1].to_vec(), other];
        for (file, said) in files.into_iter().zip(said) {
            std::fs::write(&weights, file).unwrap();
            let reranker = reranker(&model, folder.path(), &Hub::from_env()).unwrap();
            let error = reranker.prepare().await.unwrap_err();
            let cause = std::error::Error::source(&error).unwrap().to_string();
            assert!(error.message.contains(&model) && error.hint.is_some_and(|hint| hint.contains("fetch config.json")));
            assert!(cause.starts_with("model.safetensors ") && cause.contains(said), "{cause}");
        }
    }
}
