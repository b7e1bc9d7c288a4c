//! Measures retrieval on a labelled set: questions, and which documents answer them.
//!
//! [`set`] reads the set, [`index`] gives its corpus an index of its own, [`rewritten`] has a model put follow-up questions so that they
//! stand alone, where that is wished for, [`measure`] asks every question, [`scores`] sums up.
//! [`spans`] tells how much of marked answers the passages hold, [`answerability`] how well it is known which questions have no answer,
//! [`claims`] how well claims are checked, [`compare`] whether two pipelines differ by more than chance, [`pays`] whether a reranker is worth its time and its price, and
//! [`kept`] keeps what was measured.

pub mod answerability;
pub mod claims;
pub mod compare;
pub mod confidence;
pub mod kept;
pub mod pays;
pub mod scores;
pub mod set;
pub mod spans;

use std::collections::HashSet;
use std::num::NonZeroUsize;
#[cfg(feature = "cli")]
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

#[cfg(feature = "cli")]
use futures_util::StreamExt as _;
use tokio_util::sync::CancellationToken;

use self::answerability::Judged;
use self::claims::{ClaimScore, LabelledClaim, altered};
use self::scores::QueryScore;
use self::set::{LabelledSet, Query};
use self::spans::{Span, SpanScore};
use crate::answer::source::join;
use crate::answer::{Answerer, DedupedHit, Found, Proved, Question};
use crate::error::{Error, Origin};
use crate::pipeline::{Diagnostic, Plan};
use crate::runtime::{Runtime, Settings};
use crate::tokenizer::{Tokenizer, TokenizerName};
use crate::vectordb::IndexMeta;
use crate::vectordb::StorePlan;

/// Passages that are asked for: enough that a hundred documents are among them, where most have one or two passages.
const PASSAGES: usize = 200;
/// Documents that are ranked.
const DOCUMENTS: usize = 100;
/// Questions that a model rewrites at once, at most: its provider's limits say how many are on their way.
#[cfg(feature = "cli")]
const REWRITTEN: usize = 16;

/// The plan over the set's corpus, with an embedded index of its own below the home folder, whatever store the plan names. Two
/// plans whose indexes would be the same share one, which is kept for the next time.
///
/// # Errors
/// When the corpus is no source.
pub fn index(plan: Plan, settings: &Settings, set: &LabelledSet) -> Result<Runtime, Diagnostic> {
    let mut plan = plan.with_sources(vec![set.corpus.clone()])?;
    plan.store = StorePlan::Embedded { path: None };
    // More is asked for here than by a question: the reranker is to be measured on what it would rank for one.
    let (limit, select) = (plan.query.limit, &mut plan.query.select);
    select.rerank_at_most = select.rerank.as_ref().map(|rerank| rerank.candidates.max(limit));
    "index".clone_into(&mut plan.name);
    let provider = plan.providers.get(&plan.embed.model.provider).map(|provider| (provider.kind, &provider.base_url));
    let made_with = (set.corpus.display(), &plan.embed, provider, &plan.chunk, IndexMeta::VERSION);
    let mut made_with = format!("{made_with:?}");
    if let Some(context) = &plan.context {
        made_with.push_str(&format!("{context:?}"));
    }
    let key = blake3::hash(made_with.as_bytes()).to_hex();
    let home = settings.home.join("eval").join(format!("{}-{:.12}", set.name, key));
    // Relative to the corpus, a document's uri is the set's own name for it.
    Ok(Runtime::new(plan, Settings { home, cwd: set.corpus.clone(), cache: settings.cache.clone() }))
}

/// The set with its follow-up questions (those that have a history) as they stand alone: as the pipeline's model puts them, as in a chat.
/// Where it fails, the words of the questions before count, as they do without it. `None`: stopped.
///
/// # Errors
/// When the model cannot be had.
#[cfg(feature = "cli")]
pub(crate) async fn rewritten(
    answerer: &Answerer,
    set: &LabelledSet,
    asked: impl Fn(),
    stop: &CancellationToken,
) -> Result<Option<Rewritten>, Error> {
    let paid = Mutex::new(Vec::new());
    let alone = |query: Query| async {
        if query.history.is_empty() {
            return Ok::<_, Error>((query, false));
        }
        let (text, spent) = answerer.standalone(&query.question()).await?;
        paid.lock().unwrap_or_else(PoisonError::into_inner).extend(spent.into_iter().map(|one| one.cost_usd));
        asked();
        Ok(match text {
            Some(text) => (Query { text, history: Vec::new(), ..query }, true),
            None => (query, false),
        })
    };
    let all_alone = async |queries: &[Query]| -> Result<(Vec<Query>, usize), Error> {
        let mut written = futures_util::stream::iter(queries.to_vec()).map(alone).buffered(REWRITTEN);
        let (mut queries, mut count) = (Vec::with_capacity(queries.len()), 0);
        while let Some(one) = written.next().await {
            let (query, changed) = one?;
            queries.push(query);
            count += usize::from(changed);
        }
        Ok((queries, count))
    };
    let both = async {
        let (queries, one) = all_alone(&set.queries).await?;
        let (unanswerable, other) = all_alone(&set.unanswerable).await?;
        let set = LabelledSet { queries, unanswerable, ..set.clone() };
        let cost_usd = paid.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().sum();
        Ok(Rewritten { set, queries: one + other, cost_usd })
    };
    tokio::select! {
        both = both => both.map(Some),
        () = stop.cancelled() => Ok(None),
    }
}

/// A set whose follow-ups stand alone.
#[cfg(feature = "cli")]
pub(crate) struct Rewritten {
    pub set: LabelledSet,
    /// Follow-ups that a model has put another way.
    pub queries: usize,
    /// What that took, in US dollars; `None` where that is not known of one.
    pub cost_usd: Option<f64>,
}

/// What was measured of a set's questions.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// Of each question that documents answer.
    pub queries: Vec<QueryScore>,
    /// How probable an answer was said to be, of all of them.
    pub judged: Judged,
    /// What became of the claims of all of them.
    pub claims: Vec<ClaimScore>,
}

/// Asks every question, one at a time, so that the times are those of a single question, and says `asked` after each. A question that
/// cannot be asked scores nothing and says why. `None`: stopped.
///
/// # Errors
/// What would fail every question.
pub async fn measure(
    answerer: &Answerer,
    set: &LabelledSet,
    asked: impl Fn(),
    stop: &CancellationToken,
) -> Result<Option<Asked>, Error> {
    let mut all = Asked::default();
    let queries = set.queries.iter().map(|query| (query, true)).chain(set.unanswerable.iter().map(|query| (query, false)));
    for (query, has_answer) in queries {
        let measured = tokio::select! {
            measured = one(answerer, query, has_answer, &mut all) => measured,
            () = stop.cancelled() => return Ok(None),
        };
        measured?;
        asked();
    }
    Ok(Some(all))
}

async fn one(answerer: &Answerer, query: &Query, has_answer: bool, all: &mut Asked) -> Result<(), Error> {
    let question = Question { limit: NonZeroUsize::new(PASSAGES), untrimmed: has_answer, ..query.question() };
    let started = Instant::now();
    let found = answerer.retrieve(&question).await;
    let time = started.elapsed();
    let (found, failed) = match found {
        Ok(found) => {
            (if has_answer { &mut all.judged.answerable } else { &mut all.judged.unanswerable }).push(found.judged);
            (found, None)
        }
        Err(error) if error.origin() == Origin::Question => (Found::default(), Some(error.to_string())),
        Err(error) => return Err(error),
    };
    let read = if failed.is_some() || query.spans.is_empty() && query.claims.is_empty() {
        Vec::new()
    } else {
        answerer.search(&query.question()).await?
    };
    let claims = checked(answerer, query, &read).await?;
    all.claims.extend(claims);
    if has_answer {
        let Found { hits, note, decided, reranking, .. } = found;
        let score = QueryScore::new(query, documents(hits), time, failed);
        let spans = covered(query, read).await?;
        all.queries.push(QueryScore { reranking, decided, unranked: note.is_some(), spans, ..score });
    }
    Ok(())
}

/// How much of its marked answers a question gets with the passages that it would be answered with.
async fn covered(query: &Query, read: Vec<DedupedHit>) -> Result<Option<SpanScore>, Error> {
    if query.spans.is_empty() {
        return Ok(None);
    }
    let found: Vec<Span> = read.iter().map(place).collect();
    let counted = tokio::task::spawn_blocking(move || {
        let tokenizer = Tokenizer::get(TokenizerName::default());
        read.iter().map(|found| tokenizer.count(&found.hit.passage.text)).sum()
    });
    let tokens = counted.await.map_err(|source| Error::worker("count the passages' tokens", source))?;
    Ok(Some(SpanScore::new(&query.spans, &found, tokens)))
}

/// What becomes of a question's claims, as sentences of an answer that cites the passages which hold its marked answers, or all.
async fn checked(answerer: &Answerer, query: &Query, read: &[DedupedHit]) -> Result<Vec<ClaimScore>, Error> {
    let said =
        |claim: &LabelledClaim| ClaimScore { text: claim.text.clone(), supported: claim.supported, ..ClaimScore::default() };
    let mut scores: Vec<ClaimScore> = query.claims.iter().map(said).collect();
    let holds = |found: &&DedupedHit| query.spans.is_empty() || query.spans.iter().any(|span| span.meets(&place(found)));
    let sources = join(read.iter().filter(holds).map(|found| found.hit.clone()).collect());
    if scores.is_empty() || sources.is_empty() {
        return Ok(scores);
    }
    let texts: Vec<String> = scores.iter().map(|score| score.text.clone()).collect();
    let Proved { read, decided, spent } = answerer.prove(&texts, &sources).await?;
    if let Some(first) = scores.first_mut() {
        first.decided = spent;
    }
    for (n, (score, by_bytes)) in scores.iter_mut().zip(read).enumerate() {
        let sharpened = decided.as_ref().and_then(|decided| decided.get(n)).cloned();
        score.doubted_unsharpened = sharpened.is_some().then_some(!by_bytes.is_empty());
        score.doubts = Some(sharpened.unwrap_or(by_bytes));
    }
    let bodies: Vec<&str> = sources.iter().map(|source| source.text.as_str()).collect();
    // Of all claims at once: the sources are read for it once.
    let true_ones = scores.iter().enumerate().filter(|(_, score)| score.supported && !score.is_doubted_by_bytes());
    let others: Vec<(usize, String)> =
        true_ones.flat_map(|(n, score)| altered(&score.text, &bodies).into_iter().map(move |other| (n, other))).collect();
    let (of, others): (Vec<usize>, Vec<String>) = others.into_iter().unzip();
    for (n, doubts) in of.into_iter().zip(answerer.doubts(&others, &sources).await?) {
        if let Some(ClaimScore { altered: (all, caught), .. }) = scores.get_mut(n) {
            *all += 1;
            *caught += usize::from(!doubts.is_empty());
        }
    }
    Ok(scores)
}

/// Where a passage stands.
fn place(found: &DedupedHit) -> Span {
    let passage = &found.hit.passage;
    Span { document: passage.uri.clone(), bytes: passage.start..passage.end }
}

/// The documents of the hits, each where its best passage stands.
fn documents(found: Vec<DedupedHit>) -> Vec<String> {
    let mut seen = HashSet::new();
    let uris = found.into_iter().map(|found| found.hit.passage.uri);
    uris.filter(|uri| seen.insert(uri.clone())).take(DOCUMENTS).collect()
}
