//! How a vector stands in a point, and what of a point is believed.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a failing test may panic")]

use proptest::prelude::*;
use qdrant_client::qdrant::{PointStruct, vector, vectors};

use super::*;
use crate::providers::InputType;

fn key(text: &str) -> Key {
    Key::new("openai/模型/3@api.example/v1", InputType::Passage, text)
}

fn numbers(point: PointStruct) -> Vec<f32> {
    let Some(vectors::VectorsOptions::Vectors(named)) = point.vectors.unwrap().vectors_options else { panic!() };
    let vector::Vector::Dense(dense) = named.vectors.into_values().next().unwrap().vector.unwrap() else { panic!() };
    dense.data
}

fn bits(vector: &[f32]) -> Vec<u32> {
    vector.iter().map(|number| number.to_bits()).collect()
}

proptest! {
    /// Any bits at all: subnormal numbers, both zeros, what is no number.
    #[test]
    fn what_was_put_comes_back_bit_for_bit_and_nothing_else_does(
        text in "[a-z文。é]{0,20}",
        embedding in prop::collection::vec(any::<u32>().prop_map(f32::from_bits), 1..50),
        place in any::<prop::sample::Index>(),
        bit in 0_u32..32,
    ) {
        let key = key(&text);
        let width = embedding.len();
        let mut sent = numbers(wire::point(&key, &embedding));
        prop_assert!(sent[..2].iter().all(|check| check.fract() == 0.0 && (0.0..16_777_216.0).contains(check)));
        prop_assert_eq!(bits(&wire::believed(&key, width, &sent).unwrap()), bits(&embedding));

        let other = self::key(&(text + "!"));
        prop_assert!(wire::believed(&other, width, &sent).is_none());
        prop_assert!(wire::believed(&key, width + 1, &sent).is_none());
        prop_assert!(wire::believed(&key, width, &sent[1..]).is_none());
        let place = place.index(sent.len());
        sent[place] = f32::from_bits(sent[place].to_bits() ^ 1 << bit);
        prop_assert!(wire::believed(&key, width, &sent).is_none(), "a bit of number {} is another", place);
    }
}

#[test]
fn collections_of_two_models_have_two_names_that_may_be_such() {
    let names = ["openai/text-embedding-3-small/512@api.openai.com/v1", "本地/模型@主机", "", &"é/".repeat(500)].map(name);
    for name in &names {
        assert!(name.starts_with("cache_") && name.len() <= 255, "{name}");
        assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)), "{name}");
    }
    assert!(names[0].starts_with("cache_openai-text-embedding-3-small-512-api.openai.com-v1_"), "{}", names[0]);
    assert_ne!(name("a/b"), name("a-b"));
}

#[test]
fn neither_a_key_nor_a_password_is_shown() {
    let shared = SharedCache::new("https://user:pa55@db.example:6334".parse().unwrap(), Some(Secret::new("k3y")));
    let collection = Collection::new(&shared, "m", 2).unwrap();
    let shown = format!("{collection:?} {shared:?} {}", collection.described);
    assert!(!shown.contains("k3y") && !shown.contains("pa55") && !shown.contains("user"), "{shown}");
    assert!(shown.contains("db.example"), "{shown}");
}
