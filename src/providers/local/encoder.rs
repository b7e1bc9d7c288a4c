//! A tokenizer and a network as an embedding model.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::try_join_all;

use super::cores::{self, Cores};
use super::failure::{PROVIDER, off_the_runtime};
use crate::providers::{EmbedLimits, Embedded, Embedder, ErrorKind, Fingerprint, InputType, ProviderError};

/// What turns texts into tokens.
pub(super) trait Tokenise: Send + Sync + std::fmt::Debug {
    /// The tokens of a text, those that the tokenizer adds included: one at least.
    fn tokens(&self, text: &str) -> Result<Vec<u32>, ProviderError>;
}

/// What turns tokens into vectors.
pub(super) trait Network: Send + Sync + std::fmt::Debug {
    /// One unit vector a list of tokens.
    fn encode(&self, tokens: &[Vec<u32>]) -> Vec<Vec<f32>>;
}

/// What is known of a model without its files.
#[derive(Debug)]
pub(super) struct Facts {
    /// `local/…`
    pub(super) model: &'static str,
    pub(super) fingerprint: &'static str,
    pub(super) dimensions: usize,
    /// Tokens that it reads at most, those that the tokenizer adds included; `None` where there is no limit.
    pub(super) max_tokens: Option<usize>,
    /// Put before a question and before a passage.
    pub(super) prefixes: (&'static str, &'static str),
    /// Whether it makes sense of a text's language.
    pub(super) reads: fn(&str) -> bool,
    /// Whether its vectors take longer to compute than to read.
    pub(super) worth_caching: bool,
}

/// The tokens of an input and of a batch where a model has no limit: this keeps one call short.
const UNLIMITED: (usize, usize) = (100_000, 200_000);

/// A model in this process.
#[derive(Debug)]
pub(super) struct Encoder {
    facts: &'static Facts,
    tokenizer: Arc<dyn Tokenise>,
    network: Arc<dyn Network>,
    cores: Cores,
}

impl Encoder {
    pub(super) fn new(facts: &'static Facts, tokenizer: impl Tokenise + 'static, network: impl Network + 'static) -> Self {
        Self { facts, tokenizer: Arc::new(tokenizer), network: Arc::new(network), cores: Cores::all() }
    }
}

impl Facts {
    fn prefix(&self, kind: InputType) -> &'static str {
        match kind {
            InputType::Query => self.prefixes.0,
            InputType::Passage => self.prefixes.1,
        }
    }

    /// The tokens of an input, its prefix among them.
    fn tokens_of(&self, tokenizer: &dyn Tokenise, input: &str, kind: InputType) -> Result<Vec<u32>, ProviderError> {
        match self.prefix(kind) {
            "" => tokenizer.tokens(input),
            prefix => tokenizer.tokens(&format!("{prefix}{input}")),
        }
    }

    /// [`Self::tokens_of`], all of them or an error.
    fn tokens(&self, tokenizer: &dyn Tokenise, input: &str, kind: InputType) -> Result<Vec<u32>, ProviderError> {
        let tokens = self.tokens_of(tokenizer, input, kind)?;
        match self.max_tokens {
            Some(max) if tokens.len() > max => {
                let message = format!("the text has {} tokens and {} reads {max} at most", tokens.len(), self.model);
                let error = ProviderError::new(PROVIDER, ErrorKind::InvalidInput, message);
                Err(error.with_hint(
                    "lower `chunk.max_tokens`, or embed with local/potion-base-8M (English) or local/use-multilingual-v3, which have no \
                     such limit",
                ))
            }
            _ => Ok(tokens),
        }
    }
}

#[async_trait]
impl Embedder for Encoder {
    fn model(&self) -> &str {
        self.facts.model
    }

    fn fingerprint(&self) -> Fingerprint {
        Fingerprint::new(self.facts.fingerprint)
    }

    fn reads(&self, text: &str) -> bool {
        (self.facts.reads)(text)
    }

    fn worth_caching(&self) -> bool {
        self.facts.worth_caching
    }

    async fn dimensions(&self) -> Result<usize, ProviderError> {
        Ok(self.facts.dimensions)
    }

    fn limits(&self) -> EmbedLimits {
        match self.facts.max_tokens {
            Some(max) => EmbedLimits::new(32, 32 * max, max),
            None => EmbedLimits::new(128, UNLIMITED.1, UNLIMITED.0),
        }
    }

    async fn embed(&self, inputs: &[String], kind: InputType) -> Result<Embedded, ProviderError> {
        let (facts, tokenizer, texts) = (self.facts, Arc::clone(&self.tokenizer), inputs.to_vec());
        let tokens: Vec<Vec<u32>> =
            off_the_runtime(move || texts.iter().map(|text| facts.tokens(&*tokenizer, text, kind)).collect::<Result<_, _>>())
                .await??;
        let total: usize = tokens.iter().map(Vec::len).sum();
        let groups = cores::group(tokens, cores::count());
        let encoded = groups.into_iter().map(|group| {
            let network = Arc::clone(&self.network);
            self.cores.run(move || network.encode(&group))
        });
        let vectors: Vec<Vec<f32>> = try_join_all(encoded).await?.into_iter().flatten().collect();
        if vectors.len() != inputs.len() || vectors.iter().flatten().any(|x| !x.is_finite()) {
            return Err(ProviderError::new(PROVIDER, ErrorKind::BadAnswer, "a vector is missing or not finite"));
        }
        Ok(Embedded { vectors, tokens: Some(total as u64) })
    }

    /// As a passage: questions are shorter than what a chunk is measured by.
    fn count_tokens(&self, input: &str) -> Option<usize> {
        self.facts.tokens_of(&*self.tokenizer, input, InputType::Passage).ok().map(|tokens| tokens.len())
    }
}
