//! Where a passage stood in each of the rankings that found it: by meaning, by words, fused, reranked.

use std::collections::HashMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::document::Hit;
use crate::vectordb::Ranked;

/// A passage's standing in each ranking; `None`: it was not among those that the ranking gave, or there was none.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Legs {
    /// By meaning. The score is the cosine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vector: Option<Leg>,
    /// By words. The score is that of BM25.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub words: Option<Leg>,
    /// By both, where both were asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fused: Option<Leg>,
    /// By the reranker. The score is its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rerank: Option<Leg>,
}

/// A place in a ranking.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Leg {
    /// From 1. Near-copies that were folded away keep their places, hence there may be gaps.
    pub rank: usize,
    /// Higher is better; each ranking has its own scale.
    pub score: f32,
}

impl Legs {
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub(super) fn vector_mut(&mut self) -> &mut Option<Leg> {
        &mut self.vector
    }

    pub(super) fn words_mut(&mut self) -> &mut Option<Leg> {
        &mut self.words
    }
}

/// The standings of all that was found, by the passages' ids.
#[derive(Debug, Default)]
pub(super) struct Rankings(HashMap<Uuid, Legs>);

impl Rankings {
    /// Notes the places of a ranking, best first.
    pub(super) fn note(&mut self, ranking: impl Iterator<Item = Ranked>, leg: fn(&mut Legs) -> &mut Option<Leg>) {
        for (rank, hit) in (1..).zip(ranking) {
            *leg(self.0.entry(hit.id).or_default()) = Some(Leg { rank, score: hit.score });
        }
    }

    /// Notes what was found, in the order in which it was fused.
    pub(super) fn note_all(&mut self, found: &[Hit], legs: &[Legs]) {
        for (hit, legs) in found.iter().zip(legs) {
            // A store that keeps to another order is believed in nothing.
            if legs.fused.is_some_and(|fused| fused.score.to_bits() == hit.score.to_bits()) {
                self.0.insert(hit.id, *legs);
            }
        }
    }

    /// Where this passage stood.
    pub(super) fn of(&self, id: Uuid) -> Legs {
        self.0.get(&id).copied().unwrap_or_default()
    }
}

/// The legs of what was made of two rankings, in its order.
pub(super) fn of_two(dense: &[Ranked], sparse: &[Ranked], fused: &[Ranked]) -> Vec<Legs> {
    let mut all = Rankings(HashMap::with_capacity(fused.len()));
    all.note(dense.iter().copied(), Legs::vector_mut);
    all.note(sparse.iter().copied(), Legs::words_mut);
    all.note(fused.iter().copied(), |legs| &mut legs.fused);
    fused.iter().map(|one| all.of(one.id)).collect()
}
