//! How near a point is to a query.

use std::collections::{BTreeMap, HashMap};

/// Term ids and their weights.
pub type Sparse = BTreeMap<u32, f32>;

/// A vector of length 1 in the same direction, which is what a collection with the cosine keeps. One that has no direction, or
/// whose length is 1 as far as a float can tell, stays.
pub fn normalised(vector: Vec<f32>) -> Vec<f32> {
    let square: f32 = vector.iter().map(|x| x * x).sum();
    if square < f32::EPSILON || (square - 1.0).abs() <= 1e-6 {
        return vector;
    }
    let length = square.sqrt();
    vector.into_iter().map(|x| x / length).collect()
}

pub fn dot(one: &[f32], other: &[f32]) -> f32 {
    one.iter().zip(other).map(|(a, b)| a * b).sum()
}

/// The sum over the terms that both have; `None` when there are none.
pub fn overlap(query: &Sparse, point: &Sparse) -> Option<f32> {
    let shared = query.iter().filter_map(|(term, weight)| Some(weight * point.get(term)?));
    shared.fold(None, |sum, product| Some(sum.unwrap_or(0.0) + product))
}

/// The query with its weights times the rarity of their terms: ln((n - df + 0.5) / (df + 0.5) + 1), where `df` of `n` vectors
/// have the term. As in Qdrant, a point without a vector does not count. Unlike there, a deleted point does not count either;
/// there it does until the optimizer sheds it.
pub fn weighed<'a>(query: &Sparse, vectors: impl Iterator<Item = &'a Sparse>) -> Sparse {
    let mut n = 0.0;
    let mut frequencies: HashMap<u32, f32> = HashMap::new();
    for vector in vectors.filter(|vector| !vector.is_empty()) {
        n += 1.0;
        for term in query.keys().filter(|term| vector.contains_key(term)) {
            *frequencies.entry(*term).or_default() += 1.0;
        }
    }
    let weigh = |(term, weight): (&u32, &f32)| {
        let df = frequencies.get(term).copied().unwrap_or_default();
        (*term, weight * ((n - df + 0.5) / (df + 0.5) + 1.0).ln())
    };
    query.iter().map(weigh).collect()
}
