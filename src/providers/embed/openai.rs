//! `POST /embeddings`: OpenAI, every compatible server, and the vendors that took the format over and added to it.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::{Error, SeqAccess, Visitor};
use serde_json::{Value, json};

use super::wire::{EmbedRequest, EmbedResponse, EmbedWire};
use crate::providers::json::{set, set_some};

/// The format with the names in which servers differ.
#[derive(Debug)]
pub(in crate::providers) struct OpenAi {
    /// The field for the width that is asked for.
    pub(in crate::providers) width: &'static str,
    /// Whether vectors can be had as base64: about 4/3 bytes a byte instead of 2.7 as decimal text.
    pub(in crate::providers) base64: bool,
    /// Sets what only this vendor knows.
    pub(in crate::providers) extras: fn(&EmbedRequest<'_>, &mut Value),
}

impl EmbedWire for OpenAi {
    fn request(&self, _base_path: &str, request: &EmbedRequest<'_>) -> (String, Value) {
        let mut body = json!({ "model": request.model, "input": request.inputs });
        if self.base64 && request.base64 {
            set(&mut body, "encoding_format", "base64");
        }
        set_some(&mut body, self.width, request.dimensions);
        (self.extras)(request, &mut body);
        ("/embeddings".to_owned(), body)
    }

    fn read(&self, body: &[u8]) -> Result<EmbedResponse, String> {
        read(body)
    }
}

#[derive(Deserialize)]
struct Response {
    data: Vec<Item>,
    #[serde(default)]
    usage: Option<Usage>,
}

#[derive(Deserialize)]
struct Item {
    #[serde(default)]
    index: Option<usize>,
    embedding: Vector,
}

#[derive(Deserialize)]
struct Usage {
    #[serde(default)]
    prompt_tokens: Option<u64>,
    #[serde(default)]
    total_tokens: Option<u64>,
}

fn read(body: &[u8]) -> Result<EmbedResponse, String> {
    let response: Response = serde_json::from_slice(body).map_err(|e| e.to_string())?;
    let tokens = response.usage.and_then(|usage| usage.prompt_tokens.or(usage.total_tokens));
    let count = response.data.len();
    let mut slots: Vec<Option<Vec<f32>>> = Vec::new();
    slots.resize_with(count, || None);
    for (position, item) in response.data.into_iter().enumerate() {
        let index = item.index.unwrap_or(position);
        match slots.get_mut(index) {
            Some(slot @ None) => *slot = Some(item.embedding.0),
            Some(Some(_)) => return Err(format!("index {index} came twice")),
            None => return Err(format!("index {index} came among {count} vectors")),
        }
    }
    // As many slots as items and none filled twice: all are filled.
    Ok(EmbedResponse { vectors: slots.into_iter().flatten().collect(), tokens })
}

/// A vector as base64 of little-endian `f32`, or as a list of numbers.
struct Vector(Vec<f32>);

impl<'de> Deserialize<'de> for Vector {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Not an untagged enum: that would copy every number into a tree first.
        deserializer.deserialize_any(VectorVisitor)
    }
}

struct VectorVisitor;

impl<'de> Visitor<'de> for VectorVisitor {
    type Value = Vector;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a vector as base64 or as a list of numbers")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Vector, E> {
        let bytes = STANDARD.decode(text).map_err(|e| E::custom(format_args!("a vector is no base64: {e}")))?;
        let (numbers, rest) = bytes.as_chunks::<4>();
        if !rest.is_empty() {
            return Err(E::custom(format_args!("a vector of {} bytes is no list of 32-bit numbers", bytes.len())));
        }
        Ok(Vector(numbers.iter().map(|number| f32::from_le_bytes(*number)).collect()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vector, A::Error> {
        let mut numbers = Vec::new();
        // What JSON cannot say, some servers write as `null`.
        while let Some(number) = list.next_element::<Option<f32>>()? {
            numbers.push(number.unwrap_or(f32::NAN));
        }
        Ok(Vector(numbers))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn both_forms_in_the_order_of_index() {
        let body = json!({"data": [
            {"index": 1, "embedding": [1, -2.5]},
            {"index": 0, "embedding": STANDARD.encode([0.5_f32, 1e-8].map(f32::to_le_bytes).concat())},
        ], "usage": {"prompt_tokens": 7, "total_tokens": 7}});
        let read = read(body.to_string().as_bytes()).unwrap();
        assert_eq!(read, EmbedResponse { vectors: vec![vec![0.5, 1e-8], vec![1.0, -2.5]], tokens: Some(7) });
    }

    #[test]
    fn what_is_wrong_is_said() {
        let wrong = |body: Value| read(body.to_string().as_bytes()).unwrap_err();
        assert!(wrong(json!({"data": [{"index": 0, "embedding": [1]}, {"index": 0, "embedding": [1]}]})).contains("twice"));
        assert!(wrong(json!({"data": [{"index": 5, "embedding": [1]}]})).contains("index 5"));
        assert!(wrong(json!({"data": [{"embedding": "AAA="}]})).contains("2 bytes"));
        assert!(wrong(json!({"data": [{"embedding": "not base64!"}]})).contains("base64"));
        assert!(wrong(json!({"data": [{"embedding": [1.0, "null"]}]})).contains("null"));
        assert!(wrong(json!({"object": "list"})).contains("data"));
        assert!(read(b"{\"data\": [{\"embedding\": [NaN]}]}").is_err());
    }

    proptest! {
        #[test]
        fn base64_and_floats_say_the_same(vector in prop::collection::vec(any::<f32>().prop_filter("finite", |x| x.is_finite()), 0..50)) {
            let encoded = STANDARD.encode(vector.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>());
            for embedding in [json!(encoded), json!(vector)] {
                let body = json!({"data": [{"index": 0, "embedding": embedding}]}).to_string();
                prop_assert_eq!(&read(body.as_bytes()).unwrap().vectors, &vec![vector.clone()]);
            }
        }
    }
}
