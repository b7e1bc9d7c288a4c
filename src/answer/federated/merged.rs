//! What several indexes found, as one ranking.

use std::collections::HashMap;
use std::sync::Arc;

use uuid::Uuid;

use crate::answer::duplicates::DedupedHit;
use crate::answer::fusion;
use crate::answer::legs::{Legs, of_two};
use crate::answer::plan::QueryPlan;
use crate::document::Hit;
use crate::vectordb::Ranked;

/// What one index found.
pub(super) struct OfOne {
    pub(super) at: usize,
    pub(super) name: Arc<str>,
    /// The share of words in what is made of both.
    pub(super) words: f32,
    pub(super) near: Vec<Hit>,
    pub(super) worded: Vec<Hit>,
}

/// What all indexes found, under names of its own: two indexes may have a point of the same id.
#[derive(Default)]
pub(super) struct Merged {
    hits: HashMap<Uuid, Hit>,
    own: HashMap<Uuid, Uuid>,
    words: HashMap<Uuid, f32>,
    near: Vec<Ranked>,
    worded: Vec<Ranked>,
    legs: HashMap<Uuid, Legs>,
}

impl Merged {
    pub(super) fn add(&mut self, found: OfOne) {
        let OfOne { at, name, words, near, worded } = found;
        for (ranking, hits) in [(&mut self.near, near), (&mut self.worded, worded)] {
            for hit in hits {
                let id = Uuid::from_u128(hit.id.as_u128().wrapping_add(at as u128));
                ranking.push(Ranked { id, score: hit.score });
                self.own.insert(id, hit.id);
                self.words.insert(id, words);
                self.hits.insert(id, Hit { id, pipeline: Some(Arc::clone(&name)), ..hit });
            }
        }
    }

    /// The first passages of one ranking of all. Each index was asked for so many that `depth` of them are in the order of all.
    pub(super) fn fused(&mut self, plan: &QueryPlan, depth: usize, passages: usize) -> Vec<Hit> {
        for ranking in [&mut self.near, &mut self.worded] {
            ranking.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.id.cmp(&b.id)));
            ranking.truncate(depth);
        }
        let words = |id: Uuid| self.words.get(&id).copied().unwrap_or_default();
        let mut fused = fusion::fuse_by(&plan.fusion, &self.near, &self.worded, words);
        fused.truncate(passages);
        let legs = of_two(&self.near, &self.worded, &fused);
        self.legs = fused.iter().map(|one| one.id).zip(legs).collect();
        fused.into_iter().filter_map(|Ranked { id, score }| Some(Hit { score, ..self.hits.remove(&id)? })).collect()
    }

    /// Gives the points their own ids back, and says where each stood.
    pub(super) fn restore(&self, found: &mut [DedupedHit]) {
        for found in found {
            found.legs = self.legs.get(&found.hit.id).copied().unwrap_or_default();
            for hit in std::iter::once(&mut found.hit).chain(&mut found.copies) {
                hit.id = self.own.get(&hit.id).copied().unwrap_or(hit.id);
            }
        }
    }
}
