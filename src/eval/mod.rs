//! Measures retrieval on a labelled set: questions, and which documents answer them.
//!
//! [`set`] reads the set, [`index`] gives its corpus an index of its own, [`rewritten`] has a model put follow-up questions so that they
//! stand alone, where that is wished for, [`measure`] asks every question, [`scores`] sums up.
//! [`spans`] tells how much of marked answers the passages hold, [`answerability`] how well it is known which questions have no answer,
//! [`compare`] whether two pipelines differ by more than chance, [`pays`] whether a reranker is worth its time and its price, and
//! [`kept`] keeps what was measured.

pub mod answerability;
pub mod compare;
pub mod confidence;
pub mod kept;
pub mod pays;
pub mod scores;
pub mod set;
pub mod spans;

use std::collections::HashSet;
use std::num::NonZeroUsize;
use std::time::Instant;

#[cfg(feature = "cli")]
use futures_util::StreamExt as _;
use tokio_util::sync::CancellationToken;

use self::answerability::Judged;
use self::scores::QueryScore;
use self::set::{LabelledSet, Query};
use self::spans::{Span, SpanScore};
use crate::answer::{Answerer, DedupedHit, Found, Question};
use crate::document::Passage;
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
/// Where it fails, the words of the questions before count, as they do without it. With how many it has put another way. `None`: stopped.
///
/// # Errors
/// When the model cannot be had.
#[cfg(feature = "cli")]
pub(crate) async fn rewritten(
    answerer: &Answerer,
    set: &LabelledSet,
    asked: impl Fn(),
    stop: &CancellationToken,
) -> Result<Option<(LabelledSet, usize)>, Error> {
    let alone = |query: Query| async {
        if query.history.is_empty() {
            return Ok::<_, Error>((query, false));
        }
        let text = answerer.standalone(&query.question()).await?;
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
        Ok((LabelledSet { queries, unanswerable, ..set.clone() }, one + other))
    };
    tokio::select! {
        both = both => both.map(Some),
        () = stop.cancelled() => Ok(None),
    }
}

/// Asks every question, one at a time, so that the times are those of a single question, and says `asked` after each. A question that
/// cannot be asked scores nothing and says why. What is judged of them, and of those without an answer, comes with the scores. `None`:
/// stopped.
///
/// # Errors
/// What would fail every question.
pub async fn measure(
    answerer: &Answerer,
    set: &LabelledSet,
    asked: impl Fn(),
    stop: &CancellationToken,
) -> Result<Option<(Vec<QueryScore>, Judged)>, Error> {
    let (mut scores, mut all) = (Vec::with_capacity(set.queries.len()), Judged::default());
    for query in &set.queries {
        let question = Question { limit: NonZeroUsize::new(PASSAGES), untrimmed: true, ..query.question() };
        let started = Instant::now();
        let found = tokio::select! {
            found = answerer.retrieve(&question) => found,
            () = stop.cancelled() => return Ok(None),
        };
        let (found, failed) = match found {
            Ok(found) => {
                all.answerable.push(found.judged);
                (found, None)
            }
            Err(error) if error.origin() == Origin::Question => (Found::default(), Some(error.to_string())),
            Err(error) => return Err(error),
        };
        let Found { hits, note, decided, reranking, .. } = found;
        let score = QueryScore::new(query, documents(hits), started.elapsed(), failed);
        let spans = tokio::select! {
            spans = covered(answerer, query) => spans?,
            () = stop.cancelled() => return Ok(None),
        };
        scores.push(QueryScore { reranking, decided, unranked: note.is_some(), spans, ..score });
        asked();
    }
    for query in &set.unanswerable {
        let question = Question { limit: NonZeroUsize::new(PASSAGES), ..query.question() };
        let judged = tokio::select! {
            found = answerer.retrieve(&question) => found,
            () = stop.cancelled() => return Ok(None),
        };
        match judged {
            Ok(found) => all.unanswerable.push(found.judged),
            Err(error) if error.origin() == Origin::Question => {}
            Err(error) => return Err(error),
        }
        asked();
    }
    Ok(Some((scores, all)))
}

/// How much of its marked answers a question gets with the passages that it would be answered with; nothing where it cannot be asked.
async fn covered(answerer: &Answerer, query: &Query) -> Result<Option<SpanScore>, Error> {
    if query.spans.is_empty() {
        return Ok(None);
    }
    let hits = match answerer.search(&query.question()).await {
        Err(error) if error.origin() == Origin::Question => Vec::new(),
        hits => hits?,
    };
    let passages: Vec<Passage> = hits.into_iter().map(|found| found.hit.passage).collect();
    let found: Vec<Span> =
        passages.iter().map(|passage| Span { document: passage.uri.clone(), bytes: passage.start..passage.end }).collect();
    let counted = tokio::task::spawn_blocking(move || {
        let tokenizer = Tokenizer::get(TokenizerName::default());
        passages.iter().map(|passage| tokenizer.count(&passage.text)).sum()
    });
    let tokens = counted.await.map_err(|source| Error::worker("count the passages' tokens", source))?;
    Ok(Some(SpanScore::new(&query.spans, &found, tokens)))
}

/// The documents of the hits, each where its best passage stands.
fn documents(found: Vec<DedupedHit>) -> Vec<String> {
    let mut seen = HashSet::new();
    let uris = found.into_iter().map(|found| found.hit.passage.uri);
    uris.filter(|uri| seen.insert(uri.clone())).take(DOCUMENTS).collect()
}
