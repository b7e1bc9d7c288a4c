//! Asks a corpus about itself, and learns what evidence means there.
//!
//! Each question is made of a passage and searched for twice: with its document, where the answer is found, and without, as if the
//! document was not there. Where another document says the very same, there is no "without". The work is bounded by a sample and by
//! time, whatever the size of the corpus; an embedding model that is paid for is not asked.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::evidence::Evidence;
use super::frequencies::Frequencies;
use super::kept::Known;
use super::model::Calibration;
use super::questions::{Made, question};
use crate::answer::fusion;
use crate::answer::retrieve::{Retriever, off_runtime};
use crate::answer::{QueryPlan, RetrieveMode};
use crate::document::Passage;
use crate::error::Error;
use crate::ingest::sparse_vector;
use crate::providers::{Embedder, InputType};
use crate::vectordb::bm25::Bm25;
use crate::vectordb::{Condition, Fuse, Query, Ranked, TwoRankings};

/// Passages without which there is nothing to be learned.
pub const FEWEST_PASSAGES: u64 = 100;
/// Documents of the sample without which leaving one out leaves out too much.
const FEWEST_DOCUMENTS: usize = 20;
/// Passages that are looked at.
const SAMPLE: usize = 2000;
/// Questions that are made.
const QUESTIONS: usize = 200;
/// Questions that are embedded at once.
const BATCH: usize = 50;
/// How long questions are asked.
const PATIENCE: Duration = Duration::from_secs(20);
/// Passages that are looked at for one that says the same.
const NEAREST: usize = 3;

/// A question, and the document that it was made of.
struct Asked {
    made: Made,
    uri: String,
}

/// What was seen with and without the questions' documents.
#[derive(Default)]
struct Seen {
    with: Vec<Evidence>,
    without: Vec<Evidence>,
}

impl Seen {
    fn note(&mut self, with: Option<Evidence>, without: Option<Evidence>) {
        if let (Some(with), Some(without)) = (with, without) {
            self.with.push(with);
            self.without.push(without);
        }
    }
}

/// The rankings of one search.
#[derive(Default)]
struct Rankings {
    dense: Option<Vec<Ranked>>,
    sparse: Vec<Ranked>,
    /// The text of the best.
    nearest: Vec<String>,
}

/// What the index's own passages tell of it. `free`: embedding costs nothing. `None`: the corpus is too small, or it was stopped.
///
/// # Errors
/// When the store or the embedding model fails.
pub async fn calibrate(
    retriever: &Retriever,
    bm25: Arc<Bm25>,
    plan: &QueryPlan,
    free: bool,
    stop: &CancellationToken,
) -> Result<Option<Known>, Error> {
    let store = &*retriever.store;
    let Some(meta) = store.meta().await? else { return Ok(None) };
    let points = store.count().await?;
    if points < FEWEST_PASSAGES {
        return Ok(None);
    }
    // The ids of points are hashes: the first of them are a sample.
    let sample: Vec<(uuid::Uuid, Passage)> = store.scroll(None, SAMPLE).await?;
    let work = {
        let bm25 = Arc::clone(&bm25);
        move || (frequencies(&sample, &bm25), questions(&sample, &bm25))
    };
    let (frequencies, asked) = off_runtime("make questions of passages", work).await?;
    let known = Known::new(meta.model.as_str(), points, (None, None), frequencies);
    let embedder = retriever.embedder.as_deref().filter(|_| free && plan.mode == RetrieveMode::Hybrid);
    let until = Instant::now() + PATIENCE;
    let (mut both, mut words) = (Seen::default(), Seen::default());
    'asking: for asked in asked.chunks(BATCH) {
        let vectors = vectors(embedder, asked).await?;
        for (Asked { made, uri }, vector) in asked.iter().zip(vectors) {
            if stop.is_cancelled() {
                return Ok(None);
            }
            if Instant::now() > until {
                break 'asking;
            }
            let sparse = bm25.query(&made.question);
            let search = |conditions| ask(retriever, plan, vector.clone(), sparse.clone(), conditions);
            let without = search(vec![Condition::NotWithin(vec![uri.clone()])]).await?;
            if without.nearest.iter().any(|text| text.contains(&made.sentence)) {
                continue;
            }
            let with = search(Vec::new()).await?;
            let seen = |found: &Rankings, dense: Option<&[Ranked]>| known.evidence(&sparse, dense, &found.sparse);
            words.note(seen(&with, None), seen(&without, None));
            if vector.is_some() {
                both.note(seen(&with, with.dense.as_deref()), seen(&without, without.dense.as_deref()));
            }
        }
    }
    let fit = |seen: &Seen| Calibration::fit(&seen.with, &seen.without);
    let calibrations = (fit(&both), fit(&words));
    tracing::debug!(questions = words.with.len(), ?calibrations, "calibrated");
    Ok(Some(Known::new(meta.model.as_str(), points, calibrations, known.frequencies)))
}

fn frequencies(sample: &[(uuid::Uuid, Passage)], bm25: &Bm25) -> Frequencies {
    Frequencies::of(sample.iter().map(|(_, passage)| sparse_vector(bm25, passage)))
}

/// A question of as many passages as are wanted, of each document about as many.
fn questions(sample: &[(uuid::Uuid, Passage)], bm25: &Bm25) -> Vec<Asked> {
    let mut documents: HashMap<&str, usize> = HashMap::new();
    for (_, passage) in sample {
        documents.insert(&passage.uri, 0);
    }
    if documents.len() < FEWEST_DOCUMENTS {
        return Vec::new();
    }
    let most = QUESTIONS.div_ceil(documents.len());
    let mut asked = Vec::with_capacity(QUESTIONS);
    for (id, passage) in sample {
        let Some(count) = documents.get_mut(passage.uri.as_str()).filter(|count| **count < most) else { continue };
        if let Some(made) = question(*id, &passage.text, bm25) {
            *count += 1;
            asked.push(Asked { made, uri: passage.uri.clone() });
        }
        if asked.len() == QUESTIONS {
            break;
        }
    }
    asked
}

/// The vectors of questions, of those that the model reads.
async fn vectors(embedder: Option<&dyn Embedder>, asked: &[Asked]) -> Result<Vec<Option<Vec<f32>>>, Error> {
    let texts: Vec<String> = asked.iter().map(|asked| asked.made.question.clone()).collect();
    let Some(embedder) = embedder else { return Ok(vec![None; texts.len()]) };
    let reads: Vec<bool> = texts.iter().map(|text| embedder.reads(text)).collect();
    let read: Vec<String> = texts.into_iter().zip(&reads).filter(|(_, reads)| **reads).map(|(text, _)| text).collect();
    if read.is_empty() {
        return Ok(vec![None; reads.len()]);
    }
    let mut vectors = embedder.embed(&read, InputType::Query).await?.vectors.into_iter();
    Ok(reads.into_iter().map(|reads| if reads { vectors.next() } else { None }).collect())
}

async fn ask(
    retriever: &Retriever,
    plan: &QueryPlan,
    dense: Option<Vec<f32>>,
    sparse: crate::document::SparseVector,
    conditions: Vec<Condition>,
) -> Result<Rankings, Error> {
    let store = &*retriever.store;
    let Some(dense) = dense else {
        let hits = store.query_where(Query::Sparse(sparse), &conditions, fusion::DEPTH).await?;
        let nearest = hits.iter().take(NEAREST).map(|hit| hit.passage.text.clone()).collect();
        return Ok(Rankings { dense: None, sparse: hits.iter().map(Ranked::from).collect(), nearest });
    };
    let seen: Arc<Mutex<(Vec<Ranked>, Vec<Ranked>)>> = Arc::default();
    let noting = Arc::clone(&seen);
    let how = retriever.fusion(plan);
    let fuse: Fuse = Arc::new(move |dense, sparse| {
        *noting.lock().unwrap_or_else(PoisonError::into_inner) = (dense.to_vec(), sparse.to_vec());
        fusion::fuse(&how, dense, sparse)
    });
    let two = TwoRankings { dense, sparse, depth: fusion::DEPTH, fuse };
    let hits = store.query_two(two, &conditions, NEAREST).await?;
    let (dense, sparse) = std::mem::take(&mut *seen.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(Rankings { dense: Some(dense), sparse, nearest: hits.into_iter().map(|hit| hit.passage.text).collect() })
}
