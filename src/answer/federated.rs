//! Several indexes asked together, each with its own embedding model: one ranking is made of theirs, as if they were one index
//! (federated search with merged results).
//!
//! ```text
//! question ─▶ index ─▶ by meaning ─▶ cosines, or z-scores where the models differ ─▶ merged ─┐
//!          ├▶ index ─▶ by words ───▶ BM25 by the document frequencies of all ──────▶ merged ─┴▶ fused ─▶ freed of copies ─▶ reranked
//! ```
//!
//! By words the indexes are one: a word weighs what it would weigh in all of them together. By meaning, cosines of one model are
//! compared as they are. Those of different models are not of one scale: each says by how many standard deviations it stands out from
//! those of a sample of its index. One index that cannot be asked is left out with a warning; the others answer.
//!
//! nDCG@10 on `XQuAD` in English, in two or three parts (at random, by subject, of unequal size), its rankings merged in this way: parts of
//! one model as the whole (.962 with potion, .972 with `MiniLM`), of both models .954 to .971. Lists fused as lists: .67 to .91.

mod merged;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{join_all, try_join_all};
use tokio::sync::Mutex;
use tokio::time::Instant;
use uuid::Uuid;

use self::merged::{Merged, OfOne};
use super::carried::Sought;
use super::duplicates::{DedupedHit, dedupe};
use super::fusion;
use super::lazy::{Lazy, OpenRetriever};
use super::question::{MAX_TERMS, QuestionError, checked};
use super::rerank::Reranking;
use super::retrieve::{Depth, Found, Retriever, off_runtime};
use super::void::Judging;
use super::whole::Library;
use super::{Duplicates, QueryPlan};
use crate::document::SparseVector;
use crate::error::{Error, reason};
use crate::ingest::sparse_vector;
use crate::providers::Fingerprint;
use crate::vectordb::bm25::{Bm25, idf};
use crate::vectordb::{Frequencies, MAX_PAGE, Query, StoreError, VectorStore};

/// Vectors that tell what a model says of any passage: its mean to a sixteenth of its spread, and that to a twentieth.
const SAMPLE: usize = 256;
/// Where the sample begins. Ids are hashes: what follows any of them is a sample of all.
const FROM: Uuid = Uuid::from_u128(0x6180_3398_8749_8948_4820_4586_8343_6563);

/// One of several indexes.
pub struct Index {
    /// Its pipeline.
    pub name: Arc<str>,
    /// How it is asked.
    pub plan: QueryPlan,
    retriever: Arc<Lazy>,
    /// By the model that made them.
    sample: Mutex<Option<(Fingerprint, Sample)>>,
}

/// Vectors of passages.
type Sample = Arc<Vec<Vec<f32>>>;

/// An index, and what the question is looked for by in it.
struct Asked<'a> {
    index: &'a Index,
    /// Its place among the indexes.
    at: usize,
    plan: QueryPlan,
    retriever: Arc<Retriever>,
    vector: Option<Vec<f32>>,
    words: Option<SparseVector>,
    /// What it took to embed the question.
    embedding: Option<Judging>,
    /// What it has taken so far.
    took: Duration,
}

impl Index {
    /// An index that is opened when it is first asked.
    pub fn new(name: impl Into<Arc<str>>, plan: QueryPlan, open: OpenRetriever) -> Self {
        Self { name: name.into(), plan, retriever: Arc::new(Lazy::new(open)), sample: Mutex::default() }
    }

    /// What finds passages in it.
    pub(super) fn lazy(&self) -> Arc<Lazy> {
        Arc::clone(&self.retriever)
    }

    /// Whoever asks next looks whether it is still the one that is open.
    pub(super) async fn doubt(&self) {
        self.retriever.doubt().await;
    }

    /// Lets other processes have it.
    pub(super) async fn release(&self) {
        if let Some(retriever) = self.retriever.if_open().await {
            retriever.store.release().await;
        }
    }

    async fn asked(&self, at: usize, question: Sought<'_>, plan: QueryPlan) -> Result<Asked<'_>, Error> {
        let terms = plan.select.filter.len();
        if terms > MAX_TERMS {
            return Err(QuestionError::TooManyTerms { terms }.into());
        }
        let began = Instant::now();
        let retriever = self.retriever.get().await?;
        let (vector, words, embedding) = retriever.queries(question, &plan).await?;
        Ok(Asked { index: self, at, plan, retriever, vector, words, embedding, took: began.elapsed() })
    }

    /// Vectors of some of its passages.
    async fn sample(&self, store: &dyn VectorStore, model: Fingerprint) -> Result<Sample, StoreError> {
        let mut sample = self.sample.lock().await;
        if let Some((_, drawn)) = sample.as_ref().filter(|(made_by, _)| *made_by == model) {
            return Ok(Arc::clone(drawn));
        }
        let mut points = store.scroll_points(Some(FROM), SAMPLE).await?;
        if points.len() < SAMPLE {
            points.extend(store.scroll_points(None, SAMPLE - points.len()).await?);
        }
        let drawn = Arc::new(points.into_iter().map(|(_, vector, _)| vector).collect());
        Ok(Arc::clone(&sample.insert((model, drawn)).1))
    }
}

/// What all indexes hold, and which of them are left out and why: a question about all is not to pass one over in silence.
///
/// # Errors
/// When none of them can be opened: what the first says.
pub(super) async fn libraries(
    indexes: &[Index],
    plan_for: impl Fn(&QueryPlan) -> QueryPlan,
) -> Result<(Vec<Library>, Vec<String>), Error> {
    let mut silent = Vec::new();
    let opened = join_all(indexes.iter().map(|index| async {
        let library = Library::of(&*index.retriever.get().await?, &plan_for(&index.plan));
        Ok(Library { pipeline: Some(Arc::clone(&index.name)), ..library })
    }));
    let libraries = heard(indexes.iter().zip(opened.await), Silence::LeftOut, &mut silent)?;
    Ok((libraries, silent))
}

/// Opens those anew whose index was removed, as another has taken its place.
///
/// # Errors
/// That error, where it says something else.
pub(super) async fn renew(indexes: &[Index], error: Error) -> Result<(), Error> {
    let renewed = join_all(indexes.iter().map(|index| index.retriever.renew(error.clone()))).await;
    // One that cannot be opened is left out.
    if renewed.iter().any(Result::is_ok) { Ok(()) } else { Err(error) }
}

/// What becomes of an index that cannot be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Silence {
    /// It is left out, which is said.
    #[default]
    LeftOut,
    /// None is found without it.
    Fails,
}

/// Is told of each index that is searched: its pipeline, whether it could be, and what that took.
pub type Observe = Arc<dyn Fn(&str, bool, Duration) + Send + Sync>;

/// How several indexes are asked.
#[derive(Clone, Default)]
pub(super) struct How {
    pub(super) silence: Silence,
    pub(super) observe: Option<Observe>,
}

impl How {
    fn tell(&self, index: &Index, done: bool, took: Duration) {
        if let Some(observe) = &self.observe {
            observe(&index.name, done, took);
        }
    }
}

/// The best passages of all indexes, best first, each with its near-copies. `plan_for` says how an index is asked. Limit and copies are
/// as the first one's plan says; a reranker is that of the first that has one.
///
/// # Errors
/// When none of them can be asked: what the first says.
pub(super) async fn search(
    indexes: &[Index],
    how: &How,
    question: Sought<'_>,
    plan_for: impl Fn(&QueryPlan) -> QueryPlan,
) -> Result<Found, Error> {
    let question = question.with(checked(question.text)?);
    loop {
        if let Some(found) = searched(indexes, how, question, &plan_for).await? {
            return Ok(found);
        }
    }
}

/// `None`: another index has taken the place of one of them meanwhile.
async fn searched(
    indexes: &[Index],
    how: &How,
    question: Sought<'_>,
    plan_for: &impl Fn(&QueryPlan) -> QueryPlan,
) -> Result<Option<Found>, Error> {
    let (mut silent, began) = (Vec::new(), Instant::now());
    let asked = join_all(indexes.iter().enumerate().map(|(at, index)| index.asked(at, question, plan_for(&index.plan)))).await;
    for (index, _) in indexes.iter().zip(&asked).filter(|(_, asked)| asked.is_err()) {
        how.tell(index, false, began.elapsed());
    }
    let mut asked = heard(indexes.iter().zip(asked), how.silence, &mut silent)?;
    let Some(plan) = indexes.first().map(|first| plan_for(&first.plan)) else { return Ok(Some(Found::default())) };
    let reranking = asked.iter().find(|one| one.retriever.reranker.is_some() && one.plan.select.rerank.is_some());
    let reranking = reranking.map(|one| (Arc::clone(&one.retriever), one.plan.clone()));
    let limit = plan.limit.get();
    let candidates = reranking.as_ref().and_then(|(_, plan)| Some(plan.select.rerank.as_ref()?.candidates.get()));
    let wanted = candidates.unwrap_or_default().max(limit);

    weigh_words(&mut asked).await;
    let Some((mut deduped, merged, left_out)) = distinct(&asked, how, question.text, wanted, &plan).await? else {
        return Ok(None);
    };
    let is_left_out = !silent.is_empty() || !left_out.is_empty();
    for one in &asked {
        silent.extend(one.retriever.note().await.map(|note| format!("The pipeline {}: {note}.", one.index.name)));
    }
    silent.extend(left_out);
    deduped.truncate(wanted);
    merged.restore(&mut deduped);
    let Reranking { found: mut hits, note, decided, void, took } = match reranking {
        Some((retriever, plan)) => retriever.reranked(question.text, deduped, &plan).await?,
        None => Reranking { found: deduped, ..Reranking::default() },
    };
    hits.truncate(limit);
    let notes: Vec<String> = silent.into_iter().chain(note).collect();
    let note = (!notes.is_empty()).then(|| notes.join(" "));
    // What is known of one index says nothing of several.
    let embedding = asked.into_iter().filter_map(|one| one.embedding).collect();
    Ok(Some(Found { hits, note, left_out: is_left_out, decided, void, embedding, reranking: took, judged: None }))
}

/// The first `wanted` passages of all that say something of their own, what was merged for it, and who is left out; `None`: another index
/// has taken the place of one of them.
async fn distinct(
    asked: &[Asked<'_>],
    how: &How,
    question: &str,
    wanted: usize,
    plan: &QueryPlan,
) -> Result<Option<(Vec<DedupedHit>, Merged, Vec<String>)>, Error> {
    let (z_scores, drops) = (differ(asked), plan.select.duplicates == Duplicates::Drop);
    let (mut depth, began) = (Depth::first(wanted), Instant::now());
    loop {
        let passages = if drops { depth.passages } else { wanted.min(MAX_PAGE) };
        // What is fused is always so deep, so that the order of the first does not depend on how many are wanted.
        let each = passages.max(fusion::DEPTH);
        let found = join_all(asked.iter().map(async |one| (one.search(each, z_scores).await, began.elapsed()))).await;
        for (one, (found, _)) in asked.iter().zip(&found) {
            if let Err(error) = found
                && one.index.retriever.after(error.clone(), &one.retriever).await.is_ok()
            {
                return Ok(None);
            }
        }
        let took: Vec<_> =
            asked.iter().zip(&found).map(|(one, (found, since))| (one.index, found.is_ok(), one.took + *since)).collect();
        let tell = || took.iter().for_each(|(index, done, took)| how.tell(index, *done, *took));
        let found = asked.iter().zip(found).map(|(one, (found, _))| (one.index, found));
        let (mut merged, mut left_out) = (Merged::default(), Vec::new());
        for found in heard(found, how.silence, &mut left_out).inspect_err(|_| tell())? {
            merged.add(found);
        }
        let hits = merged.fused(plan, each, passages);
        let complete = hits.len() < passages;
        let deduped = if drops {
            let question = question.to_owned();
            off_runtime("compare passages", move || dedupe(&question, hits)).await?
        } else {
            hits.into_iter().map(DedupedHit::from).collect()
        };
        let Some(deeper) = depth.next().filter(|_| drops && !complete && deduped.len() < wanted) else {
            tell();
            return Ok(Some((deduped, merged, left_out)));
        };
        depth = deeper;
    }
}

/// What was said, without those that failed, of which is told which and why.
///
/// # Errors
/// When all failed, or none may: what the first says.
fn heard<'a, T>(
    said: impl Iterator<Item = (&'a Index, Result<T, Error>)>,
    silence: Silence,
    silent: &mut Vec<String>,
) -> Result<Vec<T>, Error> {
    let (mut heard, mut first) = (Vec::new(), None);
    for (index, said) in said {
        match said {
            Ok(said) => heard.push(said),
            Err(error) => {
                silent.push(format!("The pipeline {} is left out: {}.", index.name, reason(&error)));
                first.get_or_insert(error);
            }
        }
    }
    match first {
        Some(error) if heard.is_empty() || silence == Silence::Fails => Err(error),
        _ => Ok(heard),
    }
}

/// Whether models of different kinds compare the question with passages.
fn differ(asked: &[Asked<'_>]) -> bool {
    let models: HashSet<Fingerprint> = asked
        .iter()
        .filter(|one| one.vector.is_some())
        .filter_map(|one| Some(one.retriever.embedder.as_ref()?.fingerprint()))
        .collect();
    models.len() > 1
}

impl Asked<'_> {
    /// The best by each ranking. `z_scores`: how near is said in standard deviations from the mean of the index.
    async fn search(&self, depth: usize, z_scores: bool) -> Result<OfOne, Error> {
        let (store, filter) = (&*self.retriever.store, &self.plan.select.filter);
        let near = async {
            let Some(vector) = &self.vector else { return Ok(Vec::new()) };
            let mut hits = filter.search(store, Query::Dense(vector.clone()), depth).await?;
            let model = self.retriever.embedder.as_ref().map(|embedder| embedder.fingerprint());
            if let Some(model) = model.filter(|_| z_scores) {
                let sample = self.index.sample(store, model).await?;
                let (mean, deviation) = spread(sample.iter().map(|other| cosine(vector, other)));
                for hit in &mut hits {
                    hit.score = (hit.score - mean) / deviation;
                }
            }
            Ok::<_, StoreError>(hits)
        };
        let worded = async {
            match &self.words {
                Some(words) => filter.search(store, Query::Sparse(words.clone()), depth).await,
                None => Ok(Vec::new()),
            }
        };
        let (near, worded) = tokio::try_join!(near, worded)?;
        let words = match (&self.vector, &self.words) {
            (None, _) => 1.0,
            (Some(_), None) => 0.0,
            (Some(_), Some(_)) => self.retriever.fusion(&self.plan).words(),
        };
        Ok(OfOne { at: self.at, name: Arc::clone(&self.index.name), words, near, worded })
    }

    /// In how many passages of the index each of the question's terms is.
    async fn frequencies(&self) -> Result<Option<Frequencies>, StoreError> {
        let Some(words) = &self.words else { return Ok(None) };
        let store = &*self.retriever.store;
        if let Some(counted) = store.frequencies(&words.indices).await? {
            return Ok(Some(counted));
        }
        // Of a store that weighs words and does not say how, the weights themselves tell.
        let points = store.count().await?;
        let of = try_join_all(words.indices.iter().map(|term| weighed(store, *term, points))).await?;
        Ok(Some(Frequencies { points, of }))
    }
}

/// In how many passages a term is, by the score of one that has it: its weight there times the inverse document frequency.
async fn weighed(store: &dyn VectorStore, term: u32, points: u64) -> Result<u64, StoreError> {
    let query = Query::Sparse(SparseVector { indices: vec![term], values: vec![1.0] });
    let Some(hit) = store.query(query, 1).await?.into_iter().next() else { return Ok(0) };
    let vector = sparse_vector(&Bm25::new(), &hit.passage);
    let weight = vector.indices.iter().zip(&vector.values).find(|(index, _)| **index == term).map(|(_, weight)| *weight);
    let Some(weight) = weight.filter(|weight| *weight > 0.0) else { return Ok(1) };
    // The formula of `idf`, solved for the frequency.
    let frequency = (points as f64 + 1.0) / f64::from(hit.score / weight).exp() - 0.5;
    Ok((frequency.round().max(1.0) as u64).min(points))
}

/// Has each index weigh the question's words as all of them together would.
async fn weigh_words(asked: &mut [Asked<'_>]) {
    let counted = join_all(asked.iter().map(Asked::frequencies)).await;
    let counted: Vec<Option<Frequencies>> = counted
        .into_iter()
        .map(|counted| {
            // The search itself says what is wrong.
            counted
                .inspect_err(|error| tracing::debug!(%error, "words weigh what they weigh in this index alone"))
                .ok()
                .flatten()
        })
        .collect();
    let mut all: HashMap<u32, u64> = HashMap::new();
    let mut points = 0;
    for (one, counted) in asked.iter().zip(&counted) {
        let (Some(words), Some(counted)) = (&one.words, counted) else { continue };
        points += counted.points;
        for (term, frequency) in words.indices.iter().zip(&counted.of) {
            *all.entry(*term).or_default() += frequency;
        }
    }
    for (one, counted) in asked.iter_mut().zip(&counted) {
        let (Some(words), Some(counted)) = (&mut one.words, counted) else { continue };
        for ((term, weight), own) in words.indices.iter().zip(&mut words.values).zip(&counted.of) {
            let together = all.get(term).copied().unwrap_or(*own);
            *weight *= idf(points as f64, together as f64) / idf(counted.points as f64, *own as f64);
        }
    }
}

/// Mean and standard deviation; of none, those that change nothing.
fn spread(values: impl Iterator<Item = f32>) -> (f32, f32) {
    let values: Vec<f64> = values.map(f64::from).collect();
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
    if variance > 0.0 { (mean as f32, variance.sqrt() as f32) } else { (0.0, 1.0) }
}

fn cosine(one: &[f32], other: &[f32]) -> f32 {
    let (mut product, mut squares) = (0.0_f64, [0.0_f64; 2]);
    for (a, b) in one.iter().zip(other) {
        let (a, b) = (f64::from(*a), f64::from(*b));
        product += a * b;
        squares[0] += a * a;
        squares[1] += b * b;
    }
    let length = (squares[0] * squares[1]).sqrt();
    if length > 0.0 { (product / length) as f32 } else { 0.0 }
}
