//! `POST /embeddings`: OpenAI, every compatible server, and the vendors that took the format over and added to it.

use serde::Deserialize;
use serde_json::{Value, json};

use super::vector::Vector;
use super::wire::{EmbedRequest, EmbedResponse, EmbedWire};
use crate::providers::json::{Count, count, set, set_some, told};

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
    #[serde(default, deserialize_with = "told")]
    usage: Option<Usage>,
}

#[derive(Deserialize)]
struct Item {
    #[serde(default)]
    index: Value,
    embedding: Vector,
}

#[derive(Deserialize)]
struct Usage {
    #[serde(default)]
    prompt_tokens: Count,
    #[serde(default)]
    total_tokens: Count,
}

fn read(body: &[u8]) -> Result<EmbedResponse, String> {
    let response: Response = serde_json::from_slice(body).map_err(|e| e.to_string())?;
    let tokens = response.usage.and_then(|usage| usage.prompt_tokens.0.or(usage.total_tokens.0));
    let (indexes, vectors): (Vec<_>, Vec<_>) = response.data.into_iter().map(|item| (item.index, item.embedding.0)).unzip();
    Ok(EmbedResponse { vectors: ordered(&places(&indexes)?, vectors)?, tokens })
}

/// The place of each vector.
fn places(indexes: &[Value]) -> Result<Vec<usize>, String> {
    let place = |index: &Value| match index {
        Value::Null => Ok(None),
        index => {
            let place = count(index).and_then(|place| usize::try_from(place).ok());
            place.map(Some).ok_or_else(|| format!("index {index} is none"))
        }
    };
    let told = indexes.iter().map(place).collect::<Result<Vec<_>, _>>()?;
    // Some gateways know no indexes, or write 0 with every vector: then they are in order.
    let alike = |index: Option<usize>| told.iter().all(|other| *other == index);
    Ok(if alike(None) || alike(Some(0)) {
        (0..told.len()).collect()
    } else {
        // A 0 is what formats leave out that leave out defaults.
        told.into_iter().map(Option::unwrap_or_default).collect()
    })
}

/// The vectors at their places.
fn ordered(places: &[usize], vectors: Vec<Vec<f32>>) -> Result<Vec<Vec<f32>>, String> {
    let count = vectors.len();
    let mut slots: Vec<Option<Vec<f32>>> = Vec::new();
    slots.resize_with(count, || None);
    for (place, vector) in places.iter().zip(vectors) {
        match slots.get_mut(*place) {
            Some(slot @ None) => *slot = Some(vector),
            Some(Some(_)) => return Err(format!("index {place} came twice")),
            None => return Err(format!("index {place} came among {count} vectors")),
        }
    }
    // As many slots as vectors and none filled twice: all are filled.
    Ok(slots.into_iter().flatten().collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
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
    fn indexes_are_read_as_they_are_meant() {
        for (indexes, order) in [
            (json!([1, 2, 0]), [2.0, 0.0, 1.0]),
            (json!([0, 0, 0]), [0.0, 1.0, 2.0]),
            (json!([null, null, null]), [0.0, 1.0, 2.0]),
            (json!([2, 1, null]), [2.0, 1.0, 0.0]),
            (json!(["2", "1", "0"]), [2.0, 1.0, 0.0]),
            (json!([2.0, 1.0, 0.0]), [2.0, 1.0, 0.0]),
        ] {
            let items = indexes.as_array().unwrap().iter().enumerate();
            let items: Vec<_> = items.map(|(n, index)| json!({"index": index, "embedding": [n]})).collect();
            let read = read(json!({"data": items}).to_string().as_bytes()).unwrap();
            assert_eq!(read.vectors.concat(), order, "{indexes}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        let wrong = |body: Value| read(body.to_string().as_bytes()).unwrap_err();
        let placed = |indexes: Value| {
            let item = |index: &Value| json!({"index": index, "embedding": [1]});
            json!({"data": indexes.as_array().unwrap().iter().map(item).collect::<Vec<_>>()})
        };
        assert!(wrong(placed(json!([0, 1, 1]))).contains("twice"));
        assert!(wrong(placed(json!([0, 0, 1]))).contains("twice"));
        assert!(wrong(placed(json!([null, null, 2]))).contains("twice"), "one of them is 0, and the other is not");
        assert!(wrong(placed(json!([null, 0]))).contains("twice"));
        assert!(wrong(placed(json!([1, 1]))).contains("twice"));
        assert!(wrong(placed(json!([0, -1]))).contains("index -1"));
        assert!(wrong(placed(json!([0, "b"]))).contains("index \"b\""));
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
