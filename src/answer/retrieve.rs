//! Finds the passages that a question is about: searched for, fused, freed of copies, reranked.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tracing::Instrument as _;

use super::answerability::{Answerability, Evidence, Judgement, Known};
use super::carried::{Sought, carried};
use super::decide::Decided;
use super::duplicates::{DedupedHit, dedupe};
use super::fusion;
use super::legs::{self, Legs, Rankings};
use super::question::{MAX_TERMS, QuestionError, checked};
use super::rerank::{Reranking, rerank};
use super::stand_in::StandIn;
use super::void::Judging;
use super::{Duplicates, FusionPlan, QueryPlan, RetrieveMode};
use crate::cache::{EmbeddingCache, Key, Vector};
use crate::document::{Hit, SparseVector};
use crate::error::Error;
use crate::providers::{Embedder, ErrorKind, InputType, Price, ProviderError, Reranker, Usage};
use crate::telemetry;
use crate::vectordb::{Fuse, IndexMeta, MAX_PAGE, Query, Ranked, TwoRankings, VectorStore, fuse_hits};

/// Of a few passages that are wanted, so many times as many are looked at, since some will be copies; and again where those were not
/// enough.
const SPARE: usize = 4;
/// Of many, so many more are: each is read and compared.
const MANY_SPARE: usize = 30;
/// Bytes of a question that another thread is not worth: what is counted and cut of them takes some microseconds.
const SHORT: usize = 1024;
/// Bytes of passages that another thread is not worth: they are compared within a quarter of a millisecond.
const FEW: usize = 64 << 10;
/// Tokens that a model sets around a text, at most. No other is shorter than a byte.
const MARKS: usize = 8;
/// How often more are looked at where most of them were copies.
const ROUNDS: usize = 3;

/// What was found, and how.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Found {
    /// Best first.
    pub hits: Vec<DedupedHit>,
    /// Something went otherwise than planned, in words for people: such as a reranker that was late.
    pub note: Option<String>,
    /// Some of several indexes could not be asked, which the note says.
    pub left_out: bool,
    /// What reranking took.
    pub decided: Option<Decided>,
    /// What it took where it gave no order for that.
    pub void: Option<Judging>,
    /// What it took to embed the question, where that has a price.
    pub embedding: Vec<Judging>,
    /// How long the question waited for the reranker.
    pub reranking: Duration,
    /// How probable it is that they hold the answer, where that is known.
    pub judged: Option<Judgement>,
}

/// Turns a question into its BM25 vector. Pure CPU work; called off the runtime.
pub type SparseQuery = Arc<dyn Fn(&str) -> SparseVector + Send + Sync>;

/// The parts that passages of one index are found with.
#[derive(Clone)]
pub struct Retriever {
    /// Where the passages are.
    pub store: Arc<dyn VectorStore>,
    /// The model that the index was embedded with. Not needed when the mode is sparse.
    pub embedder: Option<Arc<dyn Embedder>>,
    /// Vectors of questions that were asked before.
    pub cache: EmbeddingCache,
    /// Makes BM25 vectors of questions.
    pub bm25: SparseQuery,
    /// Ranks the best candidates again, where the plan says so.
    pub reranker: Option<Arc<dyn Reranker>>,
    /// What is known of the corpus, by which is told how probable it is that what was found holds the answer.
    pub answerability: Option<Arc<Answerability>>,
    /// What the index said of itself when it was opened: where it says something else it is opened anew. `None`: it stays what it is.
    pub made_with: Option<IndexMeta>,
    /// The pipeline names another model than the one that the index was embedded with.
    pub stand_in: Option<StandIn>,
}

/// Where passages stood in the rankings, and what those tell of the best.
#[derive(Debug, Default)]
struct Standing {
    known: Option<Arc<Known>>,
    rankings: Rankings,
    evidence: Option<Evidence>,
    /// What it took to embed the question.
    embedding: Option<Judging>,
}

impl Standing {
    /// Notes a ranking by words alone.
    fn by_words(&mut self, question: &SparseVector, hits: &[Hit]) {
        let ranking: Vec<Ranked> = hits.iter().map(Ranked::from).collect();
        self.evidence = self.known.as_ref().and_then(|known| known.evidence(question, None, &ranking));
        self.rankings.note(ranking.into_iter(), Legs::words_mut);
    }
}

impl Retriever {
    /// How rankings are fused, as suits the model that embeds here: that may be another than the pipeline names.
    pub(super) fn fusion(&self, plan: &QueryPlan) -> FusionPlan {
        let fusion = match &self.stand_in {
            Some(stand_in) if stand_in.usual == plan.fusion => FusionPlan::Usual,
            _ => plan.fusion,
        };
        fusion.with_model(self.embedder.as_ref().map_or("", |embedder| embedder.model()))
    }

    /// The best passages for a question, best first, each with its near-copies: see [`Answerer::search`](super::Answerer::search).
    pub(super) async fn search(&self, question: Sought<'_>, plan: &QueryPlan) -> Result<Found, Error> {
        let span = telemetry::retrieval(question.text, plan.limit.get(), plan.mode.name());
        let found = self.found(question, plan).instrument(span.clone()).await;
        match &found {
            Ok(found) => telemetry::count(&span, "ragstream.retrieval.hits", found.hits.len() as u64),
            Err(error) => telemetry::failed(&span, error.code()),
        }
        found
    }

    async fn found(&self, question: Sought<'_>, plan: &QueryPlan) -> Result<Found, Error> {
        let Candidates { found, judged, embedding } = self.candidates(question, plan).await?;
        let Reranking { mut found, note, decided, void, took } = self.reranked(question.text, found, plan).await?;
        found.truncate(plan.limit.get());
        let notes: Vec<String> = self.note().await.into_iter().chain(note).collect();
        let note = (!notes.is_empty()).then(|| notes.join("; "));
        let embedding = embedding.into_iter().collect();
        Ok(Found { hits: found, note, left_out: false, decided, void, embedding, reranking: took, judged })
    }

    /// What is to be said with everything that is found here.
    pub(super) async fn note(&self) -> Option<String> {
        match &self.stand_in {
            Some(stand_in) => Some(stand_in.told().await),
            None => None,
        }
    }

    /// The passages of which the best are taken, in the order of the ranking: as many as are wanted, or as the reranker looks at.
    pub(super) async fn candidates(&self, question: Sought<'_>, plan: &QueryPlan) -> Result<Candidates, Error> {
        let (question, limit, select) = (question.with(checked(question.text)?), plan.limit.get(), &plan.select);
        if select.filter.len() > MAX_TERMS {
            return Err(QuestionError::TooManyTerms { terms: select.filter.len() }.into());
        }
        let wanted = select.rerank.as_ref().map_or(limit, |rerank| rerank.candidates.get().max(limit));
        let known = match &self.answerability {
            Some(answerability) => answerability.known().await,
            None => None,
        };
        let (found, standing) = match select.duplicates {
            Duplicates::Keep => {
                let (hits, standing) = self.ranked(question, wanted, plan, known).await?;
                (hits.into_iter().map(DedupedHit::from).collect(), standing)
            }
            Duplicates::Drop => self.distinct(question, wanted, plan, known).await?,
        };
        let judged = standing.known.as_ref().zip(standing.evidence).and_then(|(known, evidence)| {
            tracing::debug!(?evidence, "evidence of an answer");
            known.judge(&evidence)
        });
        Ok(Candidates { found: labelled(found, &standing.rankings), judged, embedding: standing.embedding })
    }

    /// Candidates in the reranker's order, where there is one.
    pub(super) async fn reranked(
        &self,
        question: &str,
        mut found: Vec<DedupedHit>,
        plan: &QueryPlan,
    ) -> Result<Reranking, Error> {
        let select = &plan.select;
        let (Some(reranker), Some(rerank_plan)) = (&self.reranker, &select.rerank) else {
            return Ok(Reranking { found, ..Reranking::default() });
        };
        let most = select.rerank_at_most.map_or(found.len(), |most| most.get().min(found.len()));
        let rest = found.split_off(most);
        let mut reranking = rerank(&**reranker, rerank_plan.timeout, checked(question)?, found).await?;
        reranking.found.extend(rest);
        Ok(reranking)
    }

    /// All that the ranking has down to `depth`, without a reranker.
    pub(super) async fn ranked_to(&self, question: &str, depth: usize, plan: &QueryPlan) -> Result<Vec<DedupedHit>, Error> {
        let question = checked(question)?;
        let (hits, standing) = self.ranked(question.into(), depth, plan, None).await?;
        let found = match plan.select.duplicates {
            Duplicates::Keep => hits.into_iter().map(DedupedHit::from).collect(),
            Duplicates::Drop => {
                let asked = question.to_owned();
                off_runtime("compare passages", move || dedupe(&asked, hits)).await?
            }
        };
        Ok(labelled(found, &standing.rankings))
    }

    /// What the question is looked for by: its vector and its words, as far as each has a say; and what that took.
    pub(super) async fn queries(
        &self,
        question: Sought<'_>,
        plan: &QueryPlan,
    ) -> Result<(Option<Vec<f32>>, Option<SparseVector>, Option<Judging>), Error> {
        let question = question.with(checked(question.text)?);
        let words = async || Ok::<_, Error>(Some(self.sparse(question).await?).filter(|words| !words.indices.is_empty()));
        match plan.mode {
            RetrieveMode::Sparse => Ok((None, words().await?, None)),
            RetrieveMode::Dense => {
                let (vector, paid) = self.dense(question.text).await?;
                Ok((Some(vector), None, paid))
            }
            RetrieveMode::Hybrid => {
                let words = words().await?;
                let (reads, text) = (self.reads(question.text), question.text);
                let vector = if reads || words.is_none() { Some(self.dense(text).await?) } else { None };
                let (vector, paid) = vector.map_or((None, None), |(vector, paid)| (Some(vector), paid));
                Ok((vector, words, paid))
            }
        }
    }

    /// Whether the model that embeds reads the question's language.
    fn reads(&self, question: &str) -> bool {
        self.embedder.as_ref().is_none_or(|embedder| embedder.reads(question))
    }

    /// The first `wanted` passages of the ranking that say something of their own.
    async fn distinct(
        &self,
        question: Sought<'_>,
        wanted: usize,
        plan: &QueryPlan,
        known: Option<Arc<Known>>,
    ) -> Result<(Vec<DedupedHit>, Standing), Error> {
        let (mut depth, mut embedding) = (Depth::first(wanted), None);
        loop {
            let (hits, mut standing) = self.ranked(question, depth.passages, plan, known.clone()).await?;
            // It is embedded once, and remembered.
            embedding = embedding.or(standing.embedding.take());
            let complete = hits.len() < depth.passages;
            let mut found = if hits.iter().map(|hit| hit.passage.text.len()).sum::<usize>() <= FEW {
                dedupe(question.text, hits)
            } else {
                let asked = question.text.to_owned();
                off_runtime("compare passages", move || dedupe(&asked, hits)).await?
            };
            let Some(deeper) = depth.next().filter(|_| found.len() < wanted && !complete) else {
                found.truncate(wanted);
                return Ok((found, Standing { embedding, ..standing }));
            };
            depth = deeper;
        }
    }

    /// The first `limit` passages, as far as there are any: by one ranking, or by two that are asked for at the same time and
    /// fused; and where each stood in them.
    async fn ranked(
        &self,
        question: Sought<'_>,
        limit: usize,
        plan: &QueryPlan,
        known: Option<Arc<Known>>,
    ) -> Result<(Vec<Hit>, Standing), Error> {
        let started = Instant::now();
        let mut standing = Standing { known, ..Standing::default() };
        let mut hits = match plan.mode {
            RetrieveMode::Sparse => self.sparse_search(question, limit, plan, &mut standing).await?.unwrap_or_default(),
            RetrieveMode::Dense => {
                let hits = self.dense_search(question.text, limit, plan, &mut standing).await?;
                standing.rankings.note(hits.iter().map(Ranked::from), Legs::vector_mut);
                hits
            }
            RetrieveMode::Hybrid => self.hybrid_search(question, limit, plan, &mut standing).await?,
        };
        hits.truncate(limit);
        tracing::debug!(hits = hits.len(), ms = started.elapsed().as_millis() as u64, "retrieved");
        Ok((hits, standing))
    }

    async fn hybrid_search(
        &self,
        question: Sought<'_>,
        limit: usize,
        plan: &QueryPlan,
        standing: &mut Standing,
    ) -> Result<Vec<Hit>, Error> {
        if !self.reads(question.text)
            && let Some(hits) = self.sparse_search(question, limit, plan, standing).await?
        {
            tracing::debug!("the embedding model does not read the question's language: by words alone");
            return Ok(hits);
        }
        let ((dense, paid), sparse) = tokio::try_join!(self.dense(question.text), self.sparse(question))?;
        standing.embedding = paid;
        let (store, filter) = (&*self.store, &plan.select.filter);
        if sparse.indices.is_empty() {
            let hits = filter.search(store, Query::Dense(dense), limit).await?;
            standing.rankings.note(hits.iter().map(Ranked::from), Legs::vector_mut);
            return Ok(hits);
        }
        let how = self.fusion(plan);
        // Only here are both seen, wherever they are fused. A store may do so again, and the last time counts; and it may name its points
        // as it likes while it does, but what it finds comes in the order of what was fused.
        let seen: Arc<Mutex<(Vec<Legs>, Option<Evidence>)>> = Arc::default();
        let (noting, known, asked) = (Arc::clone(&seen), standing.known.clone(), sparse.clone());
        let fuse: Fuse = Arc::new(move |dense, sparse| {
            let fused = fusion::fuse(&how, dense, sparse);
            let evidence = known.as_ref().and_then(|known| known.evidence(&asked, Some(dense), sparse));
            *noting.lock().unwrap_or_else(PoisonError::into_inner) = (legs::of_two(dense, sparse, &fused), evidence);
            fused
        });
        let two = TwoRankings { dense, sparse, depth: limit.max(fusion::DEPTH), fuse };
        let found = if let Some(found) = filter.search_two(store, two.clone(), limit).await {
            found?
        } else {
            let dense = filter.search(store, Query::Dense(two.dense), two.depth);
            let (dense, sparse) = tokio::try_join!(dense, filter.search(store, Query::Sparse(two.sparse), two.depth))?;
            fuse_hits(&two.fuse, dense, sparse, limit)
        };
        let (legs, evidence) = std::mem::take(&mut *seen.lock().unwrap_or_else(PoisonError::into_inner));
        standing.rankings.note_all(&found, &legs);
        standing.evidence = evidence;
        Ok(found)
    }

    async fn dense_search(
        &self,
        question: &str,
        limit: usize,
        plan: &QueryPlan,
        standing: &mut Standing,
    ) -> Result<Vec<Hit>, Error> {
        let (vector, paid) = self.dense(question).await?;
        standing.embedding = paid;
        Ok(plan.select.filter.search(&*self.store, Query::Dense(vector), limit).await?)
    }

    /// `None` when the question has no words to look for, such as "???".
    async fn sparse_search(
        &self,
        question: Sought<'_>,
        limit: usize,
        plan: &QueryPlan,
        standing: &mut Standing,
    ) -> Result<Option<Vec<Hit>>, Error> {
        let sparse = self.sparse(question).await?;
        if sparse.indices.is_empty() {
            return Ok(None);
        }
        // As deep as what is known was learned from.
        let depth = if standing.known.is_some() { limit.max(fusion::DEPTH) } else { limit };
        let mut hits = plan.select.filter.search(&*self.store, Query::Sparse(sparse.clone()), depth).await?;
        standing.by_words(&sparse, &hits);
        hits.truncate(limit);
        Ok(Some(hits))
    }

    /// The question's words, those of the questions before it beside them.
    pub(super) async fn sparse(&self, question: Sought<'_>) -> Result<SparseVector, Error> {
        let words = self.words(question.text).await?;
        let mut before = Vec::new();
        for earlier in question.newest() {
            before.push(self.words(earlier).await?);
        }
        Ok(carried(question.text, words, &before))
    }

    async fn words(&self, question: &str) -> Result<SparseVector, Error> {
        if question.len() <= SHORT {
            return Ok((self.bm25)(question));
        }
        let (bm25, question) = (Arc::clone(&self.bm25), question.to_owned());
        off_runtime("make the question's BM25 vector", move || bm25(&question)).await
    }

    /// The question's vector, and what it took where that has a price and was paid now.
    async fn dense(&self, question: &str) -> Result<(Vec<f32>, Option<Judging>), Error> {
        let Some(embedder) = &self.embedder else {
            let mut error = ProviderError::new("embed", ErrorKind::ModelMissing, "no embedding model is set");
            error.hint = Some("set `embed.model`, or `query.retrieve.mode: sparse`".into());
            return Err(error.into());
        };
        let limit = embedder.limits().input_tokens;
        let tokens = if question.len() + MARKS <= limit {
            None
        } else {
            let (counter, text) = (Arc::clone(embedder), question.to_owned());
            off_runtime("count the question's tokens", move || counter.count_tokens(&text)).await?
        };
        if let Some(tokens) = tokens.filter(|tokens| *tokens > limit) {
            return Err(QuestionError::TooManyTokens { tokens, limit, model: embedder.model().to_owned() }.into());
        }
        let key = Key::new(embedder.fingerprint().as_str(), InputType::Query, question);
        let paid = OnceLock::new();
        match self.cache.get_or_embed(key, self.embed(&**embedder, key, question, &paid)).await {
            Ok((vector, _)) => Ok((vector.to_vec(), paid.into_inner())),
            Err(error) => Err(Error::shared(error)),
        }
    }

    async fn embed(
        &self,
        embedder: &dyn Embedder,
        key: Key,
        question: &str,
        paid: &OnceLock<Judging>,
    ) -> Result<Vector, ProviderError> {
        let mut answer = embedder.embed(&[question.to_owned()], InputType::Query).await?;
        // An ingest tells of a model whose price nobody knows; here it would be a remark on each answer.
        if let Some(price) = embedder.price().filter(|price| *price != Price::FREE) {
            paid.get_or_init(|| Judging::of(embedder.model(), Some(price), Usage::new(answer.tokens, Some(0))));
        }
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

/// Passages of which the best are taken.
pub(super) struct Candidates {
    pub(super) found: Vec<DedupedHit>,
    /// How probable it is that they hold the answer, where that is known.
    judged: Option<Judgement>,
    embedding: Option<Judging>,
}

/// How many passages are looked at so that enough of them say something of their own.
#[derive(Debug, Clone, Copy)]
pub(super) struct Depth {
    pub(super) passages: usize,
    round: usize,
}

impl Depth {
    /// Where so many are wanted.
    pub(super) fn first(wanted: usize) -> Self {
        let spare = MANY_SPARE.max(wanted / SPARE);
        let passages = wanted.saturating_mul(SPARE).min(wanted.saturating_add(spare)).min(MAX_PAGE);
        Self { passages, round: 1 }
    }

    /// The next, where those were not enough; `None`: it is not looked deeper.
    pub(super) fn next(self) -> Option<Self> {
        let Self { passages, round } = self;
        (round < ROUNDS && passages < MAX_PAGE)
            .then(|| Self { passages: passages.saturating_mul(SPARE).min(MAX_PAGE), round: round + 1 })
    }
}

/// The same passages, each with where it stood.
fn labelled(mut found: Vec<DedupedHit>, rankings: &Rankings) -> Vec<DedupedHit> {
    for found in &mut found {
        found.legs = rankings.of(found.hit.id);
    }
    found
}

/// Runs CPU work where it stalls no stream.
pub(super) async fn off_runtime<T: Send + 'static>(
    action: &'static str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(|source| Error::worker(action, source))
}
