//! Models that rank passages, as the rest of the crate sees them.

use async_trait::async_trait;

use crate::providers::{Price, ProviderError};

/// A model that says how well passages answer a question.
///
/// ```
/// use ragstream::providers::{ProviderError, Reranked, Reranker};
///
/// /// Prefers short passages.
/// #[derive(Debug)]
/// struct Brevity;
///
/// #[async_trait::async_trait]
/// impl Reranker for Brevity {
///     fn model(&self) -> &str {
///         "own/brevity"
///     }
///
///     async fn rerank(&self, _question: &str, passages: &[String]) -> Result<Reranked, ProviderError> {
///         Ok(Reranked::new(passages.iter().map(|passage| 1.0 / passage.len() as f32).collect()))
///     }
/// }
///
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let reranked = Brevity.rerank("?", &["ab".to_owned(), "abcd".to_owned()]).await.unwrap();
/// assert_eq!(reranked.scores, [0.5, 0.25]);
/// # });
/// ```
#[async_trait]
pub trait Reranker: Send + Sync + std::fmt::Debug {
    /// `provider/model`, as the user writes it.
    fn model(&self) -> &str;

    /// Scores each passage, with as few requests (and their retries) as it takes. Dropping the future cancels them.
    async fn rerank(&self, question: &str, passages: &[String]) -> Result<Reranked, ProviderError>;

    /// Gets ready, which a question need not wait for then: loads a model in process. Errors are those that no question could be
    /// ranked with.
    async fn prepare(&self) -> Result<(), ProviderError> {
        Ok(())
    }

    /// The price of the tokens that it reads, where it is known.
    fn price(&self) -> Option<Price> {
        None
    }
}

/// The scores of passages.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Reranked {
    /// One score a passage, in the order of the passages, all finite; higher is better, and the scale is the model's own.
    pub scores: Vec<f32>,
    /// Tokens that the provider billed, where it says so.
    pub tokens: Option<u64>,
    /// Searches that the provider billed, where it counts by them.
    pub units: Option<u64>,
}

impl Reranked {
    /// These scores; nothing is known of what was billed.
    pub fn new(scores: Vec<f32>) -> Self {
        Self { scores, tokens: None, units: None }
    }
}
