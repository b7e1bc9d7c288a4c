//! Finds the passages that a question is about.

use std::sync::Arc;
use std::time::Instant;

use super::fusion;
use crate::answer::{QueryPlan, RetrieveMode};
use crate::cache::{EmbeddingCache, Key, Vector};
use crate::document::{Hit, SparseVector};
use crate::error::{Error, Failure, Origin};
use crate::providers::{Embedder, ErrorKind, InputType, ProviderError, Reranker};
use crate::vectordb::{Query, VectorStore};

/// A question's bytes, at most, whatever the model: far above any question, far below what would stall a tokenizer.
pub const MAX_QUESTION_BYTES: usize = 32 * 1024;

/// Turns a question into its BM25 vector. Pure CPU work; called off the runtime.
pub type SparseQuery = Arc<dyn Fn(&str) -> SparseVector + Send + Sync>;

/// Why a question cannot be asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuestionError {
    /// Nothing but white space.
    #[error("the question is empty")]
    Empty,
    /// More bytes than [`MAX_QUESTION_BYTES`].
    #[error("the question has {bytes} bytes; at most {MAX_QUESTION_BYTES} can be asked")]
    TooManyBytes {
        /// How many it has.
        bytes: usize,
    },
    /// More tokens than the embedding model reads: it would be cut silently.
    #[error("the question has {tokens} tokens; {model} reads at most {limit}")]
    TooManyTokens {
        /// How many it has.
        tokens: usize,
        /// How many the model reads.
        limit: usize,
        /// The embedding model.
        model: String,
    },
    /// Instructions and question fill the budget, so that not even a part of one passage fits.
    #[error("instructions and question take {tokens} tokens, which leaves no room for passages in {budget}")]
    NoRoom {
        /// What instructions and question take.
        tokens: usize,
        /// What they may take together with the passages.
        budget: usize,
    },
}

impl QuestionError {
    /// What the user can do.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Empty => "ask something: `ask \"How are keys rotated?\"`",
            Self::TooManyBytes { .. } | Self::TooManyTokens { .. } => "ask about one thing at a time, in a few sentences",
            Self::NoRoom { .. } => "shorten the question or `query.answer.prompt`",
        }
    }
}

impl Failure for QuestionError {
    fn origin(&self) -> Origin {
        Origin::Question
    }

    fn code(&self) -> &'static str {
        "bad_question"
    }

    fn hint(&self) -> Option<String> {
        Some(self.hint().into())
    }

    fn stops_all(&self) -> bool {
        false
    }
}

/// Finds passages in one index.
#[derive(Clone)]
pub struct Retriever {
    /// Where the passages are.
    pub store: Arc<dyn VectorStore>,
    /// What the index was embedded with. Not needed when the mode is sparse.
    pub embedder: Option<Arc<dyn Embedder>>,
    /// Vectors of questions that were asked before.
    pub cache: EmbeddingCache,
    /// What makes BM25 vectors of questions.
    pub bm25: SparseQuery,
    /// What ranks the best candidates again.
    pub reranker: Option<Arc<dyn Reranker>>,
    /// How questions are answered.
    pub plan: QueryPlan,
}

impl Retriever {
    /// The best `limit` passages for a question, best first. Empty when nothing was found. See [`Self::find`].
    pub async fn retrieve(&self, question: &str, limit: usize) -> Result<Vec<Hit>, Error> {
        Ok(self.find(question, limit).await?.into_iter().map(|found| found.hit).collect())
    }

    /// The first `limit` passages of the ranking.
    pub(super) async fn candidates(&self, question: &str, limit: usize) -> Result<Vec<Hit>, Error> {
        let question = checked(question)?;
        if limit == 0 {
            return Ok(Vec::new());
        }
        let started = Instant::now();
        let mut hits = self.ranked(question, limit).await?;
        hits.truncate(limit);
        tracing::debug!(hits = hits.len(), ms = started.elapsed().as_millis() as u64, "retrieved");
        Ok(hits)
    }

    /// At least `limit` passages in order, as far as there are any: by one ranking, or by two that are asked for at the same
    /// time and fused.
    async fn ranked(&self, question: &str, limit: usize) -> Result<Vec<Hit>, Error> {
        match self.plan.mode {
            RetrieveMode::Sparse => Ok(self.by_words(question, limit).await?.unwrap_or_default()),
            RetrieveMode::Dense => self.by_meaning(question, limit).await,
            RetrieveMode::Hybrid => {
                let depth = limit.max(fusion::DEPTH);
                let reads = self.embedder.as_ref().is_none_or(|embedder| embedder.reads(question));
                if !reads && let Some(hits) = self.by_words(question, depth).await? {
                    tracing::debug!("the embedding model does not read the question's language: by words alone");
                    return Ok(hits);
                }
                let (dense, sparse) = tokio::try_join!(self.by_meaning(question, depth), self.by_words(question, depth))?;
                Ok(match sparse {
                    Some(sparse) => fusion::fuse(&self.plan.fusion, dense, sparse),
                    None => dense,
                })
            }
        }
    }

    async fn by_meaning(&self, question: &str, limit: usize) -> Result<Vec<Hit>, Error> {
        self.search(Query::Dense(self.dense(question).await?), limit).await
    }

    /// `None` when the question has no words to look for, such as "???".
    async fn by_words(&self, question: &str, limit: usize) -> Result<Option<Vec<Hit>>, Error> {
        let sparse = self.sparse(question).await?;
        if sparse.indices.is_empty() {
            return Ok(None);
        }
        Ok(Some(self.search(Query::Sparse(sparse), limit).await?))
    }

    async fn search(&self, query: Query, limit: usize) -> Result<Vec<Hit>, Error> {
        Ok(self.plan.select.filter.search(&*self.store, query, limit).await?)
    }

    async fn sparse(&self, question: &str) -> Result<SparseVector, Error> {
        let (bm25, question) = (Arc::clone(&self.bm25), question.to_owned());
        off_runtime("make the question's BM25 vector", move || bm25(&question)).await
    }

    async fn dense(&self, question: &str) -> Result<Vec<f32>, Error> {
        let Some(embedder) = &self.embedder else {
            let mut error = ProviderError::new("embed", ErrorKind::ModelMissing, "no embedding model is set");
            error.hint = Some("set `embed.model`, or `query.retrieve.mode: sparse`".into());
            return Err(error.into());
        };
        let (counter, text) = (Arc::clone(embedder), question.to_owned());
        let tokens = off_runtime("count the question's tokens", move || counter.count_tokens(&text)).await?;
        let limit = embedder.limits().input_tokens;
        if let Some(tokens) = tokens.filter(|tokens| *tokens > limit) {
            return Err(QuestionError::TooManyTokens { tokens, limit, model: embedder.model().to_owned() }.into());
        }
        let key = Key::new(embedder.fingerprint().as_str(), InputType::Query, question);
        match self.cache.get_or_embed(key, self.embed(&**embedder, key, question)).await {
            Ok((vector, _)) => Ok(vector.to_vec()),
            Err(error) => Err(Error::shared(error)),
        }
    }

    async fn embed(&self, embedder: &dyn Embedder, key: Key, question: &str) -> Result<Vector, ProviderError> {
        let mut answer = embedder.embed(&[question.to_owned()], InputType::Query).await?;
        match (answer.vectors.pop(), answer.vectors.len()) {
            (Some(vector), 0) => {
                let vector = Vector::from(vector);
                self.cache.keep(vec![(key, Arc::clone(&vector))]).await;
                Ok(vector)
            }
            (last, rest) => {
                let count = rest + usize::from(last.is_some());
                let message = format!("{count} vectors came back for one question");
                Err(ProviderError::new(embedder.model(), ErrorKind::BadAnswer, message))
            }
        }
    }
}

/// The question without the white space around it.
fn checked(question: &str) -> Result<&str, QuestionError> {
    let question = question.trim();
    match question.len() {
        0 => Err(QuestionError::Empty),
        bytes if bytes > MAX_QUESTION_BYTES => Err(QuestionError::TooManyBytes { bytes }),
        _ => Ok(question),
    }
}

/// Runs CPU work where it stalls no stream.
pub(super) async fn off_runtime<T: Send + 'static>(
    action: &'static str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(|source| Error::worker(action, source))
}
