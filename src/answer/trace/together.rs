//! The same of several indexes that are asked together: what of its own index says why a document is not found there, and its place
//! among the passages of all why it is, or is not, among the sources.

use std::num::NonZeroUsize;
use std::sync::Arc;

use super::{Kept, Way};
use crate::answer::duplicates::DedupedHit;
use crate::answer::federated::{self, Index};
use crate::answer::retrieve::Retriever;
use crate::answer::why::{Cause, Place, Trace};
use crate::answer::{Answerer, Legs, QueryPlan, Question};
use crate::error::Error;

/// Passages of all indexes down to which a document is looked for.
const DEEPEST: NonZeroUsize = NonZeroUsize::new(1000).expect("it is not 0");

impl Answerer {
    /// As [`Self::trace`], of the index whose document is found; else of the first that has one of this uri.
    pub(super) async fn traced_together(
        &self,
        indexes: &[Index],
        question: &Question,
        uri: &str,
    ) -> Result<Option<Trace>, Error> {
        let (text, narrowed) = (question.text.as_str(), |plan: &QueryPlan| question.narrowed(plan));
        let found = federated::search(indexes, &self.how, text.into(), narrowed).await?.hits;
        let stands = found.iter().find_map(|found| in_it(found, uri));
        let Some((index, retriever)) = holder(indexes, uri, stands.as_deref()).await? else { return Ok(None) };
        let (own, plan) = (question.narrowed(&index.plan), self.plan_for(question));
        let Some(mut trace) = self.traced(&retriever, question, &own, uri).await? else { return Ok(None) };
        trace.pipeline = Some(Arc::clone(&index.name));
        trace.limit = plan.limit.get();
        let way = Way { retriever: &retriever, question: text, plan: &own, uri };
        if let Some(at) = found.iter().position(|found| way.kept(found) == Some(Kept::Itself)) {
            let legs = found.get(at).map_or_else(Legs::default, |found| found.legs);
            way.note(&mut trace, at, found.get(at));
            stand(&mut trace, legs);
            trace.copy_of = None;
            trace.cause = self.fit(question, &plan, found, uri).await?;
        } else if !matches!(trace.cause, Cause::Filtered { .. } | Cause::NoSharedWords) {
            below(indexes, &way, question, &mut trace).await?;
        }
        Ok(Some(trace))
    }
}

/// Whose document of this uri a passage is, or has as a copy.
fn in_it(found: &DedupedHit, uri: &str) -> Option<Arc<str>> {
    let mut hits = std::iter::once(&found.hit).chain(&found.copies);
    hits.find(|hit| hit.passage.uri == uri).and_then(|hit| hit.pipeline.clone())
}

/// The index that has a document: the one of this name, or the first.
///
/// # Errors
/// When none has it, and one of them cannot be asked.
async fn holder<'a>(indexes: &'a [Index], uri: &str, name: Option<&str>) -> Result<Option<(&'a Index, Arc<Retriever>)>, Error> {
    let mut failed = None;
    for index in indexes.iter().filter(|index| name.is_none_or(|name| *index.name == *name)) {
        let lazy = index.lazy();
        let has = |retriever: Arc<Retriever>| async move {
            let passages = retriever.store.passages_of(uri).await?;
            Ok((!passages.is_empty()).then_some(retriever))
        };
        match lazy.with(has).await {
            Ok(Some(retriever)) => return Ok(Some((index, retriever))),
            Ok(None) => {}
            Err(error) => {
                failed.get_or_insert(error);
            }
        }
    }
    failed.map_or(Ok(None), Err)
}

/// It is none of the sources: which place has it among the passages of all?
async fn below(indexes: &[Index], way: &Way<'_>, question: &Question, trace: &mut Trace) -> Result<(), Error> {
    let unranked = |plan: &QueryPlan| {
        let mut plan = question.narrowed(plan);
        (plan.limit, plan.select.rerank) = (DEEPEST, None);
        plan
    };
    let all = federated::search(indexes, &federated::How::default(), way.question.into(), unranked).await?.hits;
    let candidates = indexes.iter().find_map(|index| index.plan.select.rerank.as_ref()).map(|rerank| rerank.candidates.get());
    (trace.rank, trace.copy_of) = (None, None);
    let Some(at) = all.iter().position(|found| way.kept(found).is_some()) else {
        trace.cause = Cause::BeyondLimit;
        return Ok(());
    };
    let legs = all.get(at).map_or_else(Legs::default, |found| found.legs);
    way.note(trace, at, all.get(at));
    if trace.copy_of.is_none() {
        stand(trace, legs);
    }
    trace.cause = match (&trace.copy_of, candidates) {
        (Some(copy), _) if at < trace.limit => Cause::Duplicate { of: copy.clone() },
        (_, Some(candidates)) if at >= candidates.max(trace.limit) => Cause::BeyondCandidates { candidates },
        (_, Some(_)) if at < trace.limit => {
            // Where the reranker has put it is not known: only that this is beyond the limit.
            trace.rank = None;
            Cause::Reranked { before: at as u64 + 1 }
        }
        _ => Cause::BeyondLimit,
    };
    Ok(())
}

/// Its places among the passages of all.
fn stand(trace: &mut Trace, legs: Legs) {
    let place = |leg: crate::answer::Leg| Place { rank: leg.rank as u64, score: leg.score, at_least: false };
    trace.places.vector = legs.vector.map(place);
    trace.places.words = legs.words.map(place);
}
