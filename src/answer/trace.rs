//! Follows a document on the way from the index to the sources of an answer, step by step as a search goes, and tells where it is
//! lost. What the steps do is theirs: they are the search's own.

mod together;

use std::collections::HashSet;
use std::sync::Arc;

use super::duplicates::DedupedHit;
use super::fusion;
use super::retrieve::{Retriever, off_runtime};
use super::source::sources_of;
use super::why::{Cause, Place, Spot, Trace};
use super::{Answerer, Leg, QueryPlan, Question};
use crate::document::Passage;
use crate::error::Error;
use crate::ingest::sparse_vector;
use crate::vectordb::bm25::Bm25;
use crate::vectordb::{MAX_PAGE, Query, Standing};

/// A document that has a say in none of the rankings, or below this place in both, is not looked for in what is made of them.
const DEEPEST: usize = MAX_PAGE / 2;

impl Answerer {
    /// Where a document is lost on the way from the index to the sources of an answer to this question, or where it stands among
    /// them; `None` where the index has no passage of it. The question stands alone: no history is looked at. A reranker is asked
    /// once, other models are not.
    ///
    /// # Errors
    /// As [`Self::search`].
    pub async fn trace(&self, question: &Question, uri: &str) -> Result<Option<Trace>, Error> {
        if let Some(owner) = self.owner()
            && let Some(traced) = owner.trace(question, uri).await
        {
            return traced;
        }
        if let Some(indexes) = &self.together {
            return self.traced_together(indexes, question, uri).await;
        }
        let plan = &self.plan_for(question);
        let trace = |retriever: Arc<Retriever>| async move { self.traced(&retriever, question, plan, uri).await };
        self.retriever.with(trace).await
    }

    async fn traced(
        &self,
        retriever: &Retriever,
        question: &Question,
        plan: &QueryPlan,
        uri: &str,
    ) -> Result<Option<Trace>, Error> {
        let passages = retriever.store.passages_of(uri).await?;
        if passages.is_empty() {
            return Ok(None);
        }
        let (text, count) = (question.text.clone(), passages.len());
        let undated = passages.first().is_some_and(|passage| passage.modified == crate::vectordb::UNDATED);
        let lacking = off_runtime("look for the question's words", move || lacking(&text, &passages)).await?;
        let way = Way { retriever, question: &question.text, plan, uri };
        let (mut trace, found) = way.follow().await?;
        if let Cause::Found { .. } = trace.cause {
            trace.cause = self.fit(question, plan, found, uri).await?;
        }
        (trace.passages, trace.undated) = (count, undated);
        trace.missing_words = lacking;
        Ok(Some(trace))
    }

    /// Whether what was found is left once it is trimmed and also fits into the prompt, and as which source.
    async fn fit(&self, question: &Question, plan: &QueryPlan, found: Vec<DedupedHit>, uri: &str) -> Result<Cause, Error> {
        let found = self.trimmed(question.text.as_str().into(), plan, found).await?;
        if let Some(tokens) = plan.select.trim.filter(|_| found.iter().all(|found| found.hit.passage.uri != uri)) {
            return Ok(Cause::Trimmed { tokens: tokens.get() });
        }
        let sources = sources_of(found);
        // One that cannot be had would have been asked.
        let writes = self.models(question).await.map_or(true, |models| !models.is_empty());
        let sources = if writes { self.compose(&question.text, None, Vec::new(), sources, plan).await?.0 } else { sources };
        Ok(match sources.iter().find(|source| source.uri == uri) {
            Some(source) => Cause::Found { source: source.n },
            None => Cause::OverBudget { tokens: plan.context_tokens },
        })
    }
}

/// The words of a question that a document lacks. Work for a core.
fn lacking(question: &str, passages: &[Passage]) -> Vec<String> {
    let bm25 = Bm25::new();
    let mut terms = HashSet::new();
    for passage in passages {
        terms.extend(sparse_vector(&bm25, passage).indices);
    }
    bm25.lacking(question, &terms)
}

/// A document on its way.
struct Way<'a> {
    retriever: &'a Retriever,
    question: &'a str,
    plan: &'a QueryPlan,
    uri: &'a str,
}

impl Way<'_> {
    /// Where it is lost; where it is not, all that was found, too.
    async fn follow(&self) -> Result<(Trace, Vec<DedupedHit>), Error> {
        let limit = self.plan.limit.get();
        let mut trace = Trace::new(limit);
        let candidates = self.retriever.candidates(self.question.into(), self.plan).await?.found;
        let mut found = self.retriever.reranked(self.question, candidates.clone(), self.plan).await?.found;
        if let Some(rank) = found.iter().take(limit).position(|found| self.kept(found) == Some(Kept::Itself)) {
            // As which source is seen once they are joined.
            trace.cause = Cause::Found { source: 0 };
            self.note(&mut trace, rank, found.get(rank));
            self.measure(&mut trace).await?;
            found.truncate(limit);
            return Ok((trace, found));
        }
        let unmet = self.plan.select.filter.unmet(&*self.retriever.store, self.uri).await?;
        if !unmet.is_empty() {
            trace.cause = Cause::Filtered { terms: unmet.into_iter().map(ToString::to_string).collect() };
            return Ok((trace, Vec::new()));
        }
        // What stands for it: its own best passage, or the one that this was folded into.
        let Some(before) = candidates.iter().position(|found| self.kept(found).is_some()) else {
            self.below(candidates.len(), &mut trace).await?;
            return Ok((trace, Vec::new()));
        };
        let id = candidates.get(before).map(|found| found.hit.id);
        let after = found.iter().position(|found| Some(found.hit.id) == id).unwrap_or(before);
        self.note(&mut trace, after, found.get(after));
        let is_reranked = found.iter().any(|found| found.legs.rerank.is_some());
        trace.cause = match &trace.copy_of {
            Some(copy) if after < limit => Cause::Duplicate { of: copy.clone() },
            _ if is_reranked && before < limit => Cause::Reranked { before: before as u64 + 1 },
            _ => Cause::BeyondLimit,
        };
        self.measure(&mut trace).await?;
        Ok((trace, Vec::new()))
    }

    /// It is below what was looked at.
    async fn below(&self, candidates: usize, trace: &mut Trace) -> Result<(), Error> {
        self.measure(trace).await?;
        let ranks = [trace.places.vector, trace.places.words].into_iter().flatten().map(|place| place.rank);
        // Without a word in common, and where meaning has no say, it is in no ranking at all.
        let Some(best) = ranks.min() else { return Ok(()) };
        trace.cause = match &self.plan.select.rerank {
            Some(_) if self.retriever.reranker.is_some() => Cause::BeyondCandidates { candidates },
            _ => Cause::BeyondLimit,
        };
        let best = usize::try_from(best).unwrap_or(usize::MAX);
        if best <= DEEPEST {
            // Whatever stands before it in what is made of two rankings counts in one of them, or stands no lower than it there.
            let depth = best.max(fusion::DEPTH).saturating_mul(2).min(MAX_PAGE);
            let all = self.retriever.ranked_to(self.question, depth, self.plan).await?;
            if let Some(place) = all.iter().position(|found| self.kept(found).is_some()) {
                self.note(trace, place, all.get(place));
                // A copy may rank so far below that the search has not seen it at all.
                if let Some(copy) = trace.copy_of.clone().filter(|_| place < trace.limit) {
                    trace.cause = Cause::Duplicate { of: copy };
                }
            }
        }
        Ok(())
    }

    /// Takes down where it stands, or what stands for it.
    fn note(&self, trace: &mut Trace, place: usize, stands: Option<&DedupedHit>) {
        trace.rank = Some(place as u64 + 1);
        let Some(found) = stands else { return };
        if self.kept(found) == Some(Kept::Itself) {
            let place = |leg: Leg| Place { rank: leg.rank as u64, score: leg.score, at_least: false };
            trace.places.fused = found.legs.fused.map(place);
            trace.places.rerank = found.legs.rerank.map(place);
            trace.passage = Some(Spot::of(&found.hit.passage));
        } else {
            trace.copy_of = Some(Spot::of(&found.hit.passage));
            let copy = found.copies.iter().find(|copy| copy.passage.uri == self.uri);
            trace.passage = copy.map(|copy| Spot::of(&copy.passage));
        }
    }

    /// Looks up where it stands in each ranking, as far as that is not known.
    async fn measure(&self, trace: &mut Trace) -> Result<(), Error> {
        let store = &*self.retriever.store;
        let (vector, words, _) = self.retriever.queries(self.question.into(), self.plan).await?;
        trace.by_words_alone = vector.is_none();
        let conditions = self.plan.select.filter.exact_conditions(store).await?;
        let mut best = None;
        if let Some(vector) = vector {
            let stands = store.standing(Query::Dense(vector), &conditions, self.uri).await?;
            trace.places.vector = stands.map(Place::from);
            best = stands;
        }
        if let Some(words) = words {
            let stands = store.standing(Query::Sparse(words), &conditions, self.uri).await?;
            trace.places.words = stands.map(Place::from);
            best = best.or(stands);
        }
        if let (None, Some(Standing { id, .. })) = (&trace.passage, best) {
            let passage = store.passages(vec![id]).await?.into_iter().next().flatten();
            trace.passage = passage.as_ref().map(Spot::of);
        }
        Ok(())
    }

    /// As what a document is among those that were found.
    fn kept(&self, found: &DedupedHit) -> Option<Kept> {
        if found.hit.passage.uri == self.uri {
            return Some(Kept::Itself);
        }
        found.copies.iter().any(|copy| copy.passage.uri == self.uri).then_some(Kept::AsCopy)
    }
}

/// As what a document is there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kept {
    Itself,
    AsCopy,
}
