//! The server over the wire, as far as the stores' tests do not go: vectors that are asked for, what it does not know, strict
//! mode.

use std::collections::HashMap;

use ::qdrant_client::qdrant::r#match::MatchValue;
use ::qdrant_client::qdrant::vector_output::Vector as Shown;
use ::qdrant_client::qdrant::*;
use ::qdrant_client::{Payload, Qdrant, QdrantError};
use serde_json::json;

use super::Running;

async fn made() -> (Running, Qdrant) {
    let server = super::start().await;
    let client = Qdrant::from_url(server.url.as_str()).skip_compatibility_check().build().unwrap();
    client.create_collection(collection("c")).await.unwrap();
    (server, client)
}

fn collection(name: &str) -> CreateCollection {
    let dense = VectorParams { size: 2, distance: Distance::Cosine.into(), ..VectorParams::default() };
    let sparse = SparseVectorParams { modifier: Some(Modifier::Idf.into()), ..SparseVectorParams::default() };
    let dense = VectorParamsMap { map: HashMap::from([("dense".into(), dense)]) };
    CreateCollection {
        collection_name: name.into(),
        vectors_config: Some(VectorsConfig { config: Some(vectors_config::Config::ParamsMap(dense)) }),
        sparse_vectors_config: Some(SparseVectorConfig { map: HashMap::from([("sparse".into(), sparse)]) }),
        ..CreateCollection::default()
    }
}

fn upsert(ids: std::ops::Range<u64>) -> UpsertPoints {
    let point = |id: u64| {
        let sparse = Vector { vector: Some(vector::Vector::Sparse(terms(&[9, 4], &[1.0, 2.0]))), ..Vector::default() };
        let dense = Vector { vector: Some(vector::Vector::Dense(DenseVector { data: vec![3.0, 4.0] })), ..Vector::default() };
        let vectors = HashMap::from([("dense".to_owned(), dense), ("sparse".to_owned(), sparse)]);
        let payload = json!({"uri": "a.md", "m": {"a b.c": [1, 2.5, null, true, "x", {"y": []}]}});
        PointStruct { id: Some(id.into()), payload: fields(payload), vectors: Some(NamedVectors { vectors }.into()) }
    };
    let points = ids.map(point).collect();
    UpsertPoints { collection_name: "c".into(), wait: Some(true), points, ordering: Some(strong()), ..UpsertPoints::default() }
}

fn strong() -> WriteOrdering {
    WriteOrdering { r#type: WriteOrderingType::Strong.into() }
}

fn fields(payload: serde_json::Value) -> HashMap<String, Value> {
    Payload::try_from(payload).unwrap().into()
}

fn terms(indices: &[u32], values: &[f32]) -> SparseVector {
    SparseVector { indices: indices.to_vec(), values: values.to_vec() }
}

fn scroll() -> ScrollPoints {
    ScrollPoints { collection_name: "c".into(), ..ScrollPoints::default() }
}

fn facet(limit: u64) -> FacetCounts {
    FacetCounts { collection_name: "c".into(), key: "uri".into(), limit: Some(limit), ..FacetCounts::default() }
}

async fn index(client: &Qdrant, key: &str, kind: FieldType) {
    let index = CreateFieldIndexCollection {
        collection_name: "c".into(),
        wait: Some(true),
        field_name: key.into(),
        field_type: Some(kind.into()),
        ordering: Some(strong()),
        ..CreateFieldIndexCollection::default()
    };
    client.create_field_index(index).await.unwrap();
}

/// The code of gRPC, and the server's words.
fn refused<T: std::fmt::Debug>(answer: Result<T, QdrantError>) -> (tonic::Code, String) {
    match answer.unwrap_err() {
        QdrantError::ResponseError { status } => (status.code(), status.message().to_owned()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn vectors_are_shown_where_they_are_asked_for() {
    let (server, client) = made().await;
    client.upsert_points(upsert(1..3)).await.unwrap();
    let all = || client.scroll(ScrollPoints { with_vectors: Some(true.into()), limit: Some(1), ..scroll() });
    let page = all().await.unwrap();
    assert_eq!(page.next_page_offset, Some(2.into()));
    let point = &page.result[0];
    assert_eq!(point.payload, fields(json!({"uri": "a.md", "m": {"a b.c": [1, 2.5, null, true, "x", {"y": []}]}})));
    let Some(vectors_output::VectorsOptions::Vectors(named)) = &point.vectors.as_ref().unwrap().vectors_options else {
        panic!("{point:?}")
    };
    let shown = |name: &str| named.vectors[name].vector.clone().unwrap();
    assert_eq!(shown("dense"), Shown::Dense(DenseVector { data: vec![0.6, 0.8] }), "of length 1, as it is kept");
    assert_eq!(shown("sparse"), Shown::Sparse(terms(&[4, 9], &[2.0, 1.0])), "by the ids of the terms");

    let only = |names: &[&str]| {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        let selector_options = Some(with_vectors_selector::SelectorOptions::Include(VectorsSelector { names }));
        client.scroll(ScrollPoints { with_vectors: Some(WithVectorsSelector { selector_options }), ..scroll() })
    };
    let page = only(&["sparse"]).await.unwrap();
    let Some(vectors_output::VectorsOptions::Vectors(named)) = &page.result[1].vectors.as_ref().unwrap().vectors_options else {
        panic!("{page:?}")
    };
    assert_eq!(named.vectors.keys().collect::<Vec<_>>(), ["sparse"]);
    let words = "Wrong input: Not existing vector name error: other".to_owned();
    assert_eq!(refused(only(&["other"]).await), (tonic::Code::InvalidArgument, words));
    let page = client.scroll(scroll()).await.unwrap();
    assert!(page.result.iter().all(|point| point.vectors.is_none() && !point.payload.is_empty()));
    let page = client.scroll(ScrollPoints { with_payload: Some(false.into()), ..scroll() }).await.unwrap();
    assert!(page.result.iter().all(|point| point.payload.is_empty()));

    // What the fields are is for the client to know.
    server.answer_as_1_16();
    let old = all().await.unwrap().result[0].vectors.clone().unwrap();
    let Some(vectors_output::VectorsOptions::Vectors(named)) = &old.vectors_options else { panic!("{old:?}") };
    assert!(named.vectors.values().all(|vector| vector.vector.is_none()));
    let shown = |name: &str| old.get_vector_by_name(name).unwrap();
    assert_eq!(shown("dense"), Shown::Dense(DenseVector { data: vec![0.6, 0.8] }));
    assert_eq!(shown("sparse"), Shown::Sparse(terms(&[4, 9], &[2.0, 1.0])));
}

#[tokio::test]
async fn what_is_not_understood_is_an_error() {
    let (_server, client) = made().await;
    let filtered = |condition: Condition| ScrollPoints { filter: Some(Filter::must([condition])), ..scroll() };
    let by = OrderBy { key: "n".into(), ..OrderBy::default() };
    for request in [
        ScrollPoints { order_by: Some(by), ..scroll() },
        ScrollPoints { filter: Some(Filter::min_should(1, [])), ..scroll() },
        ScrollPoints { filter: Some(Filter { must: vec![Condition::default()], ..Filter::default() }), ..scroll() },
        filtered(Condition::is_null("a")),
        filtered(Condition::is_empty("a")),
        filtered(Condition::matches_text("a", "b")),
        filtered(Condition::matches("a", MatchValue::ExceptKeywords(RepeatedStrings::default()))),
        filtered(Condition::values_count("a", ValuesCount::default())),
        filtered(Condition::nested("a", Filter::default())),
    ] {
        let shown = format!("{request:?}");
        let (code, words) = refused(client.scroll(request).await);
        assert_eq!(code, tonic::Code::Unimplemented, "{shown}: {words}");
    }
    let (code, words) = refused(client.scroll(filtered(Condition::matches("a b", MatchValue::Boolean(true)))).await);
    assert_eq!((code, words.as_str()), (tonic::Code::InvalidArgument, "Invalid json path: 'a b'"));
    let (code, words) = refused(client.scroll(ScrollPoints { limit: Some(0), ..scroll() }).await);
    let invalid = "Validation error in body: [limit: value 0 invalid, must be 1 or larger]";
    assert_eq!((code, words.as_str()), (tonic::Code::InvalidArgument, invalid));
    let waiting = UpsertPoints { wait: None, ..upsert(1..2) };
    assert!(refused(client.upsert_points(waiting).await).1.contains("wait=true"));
    let unordered = UpsertPoints { ordering: None, ..upsert(1..2) };
    assert!(refused(client.upsert_points(unordered).await).1.contains("ordered"));
    let mut euclid = collection("e");
    let Some(vectors_config::Config::ParamsMap(map)) = euclid.vectors_config.as_mut().unwrap().config.as_mut() else {
        panic!()
    };
    map.map.get_mut("dense").unwrap().distance = Distance::Euclid.into();
    assert_eq!(refused(client.create_collection(euclid).await).0, tonic::Code::Unimplemented);
}

#[tokio::test]
async fn strict_mode_has_its_limits() {
    let (server, client) = made().await;
    client.upsert_points(upsert(1..200)).await.unwrap();
    index(&client, "uri", FieldType::Keyword).await;
    index(&client, "n", FieldType::Integer).await;
    let limits = StrictModeConfig {
        enabled: Some(true),
        max_query_limit: Some(1000),
        upsert_max_batchsize: Some(100),
        unindexed_filtering_retrieve: Some(false),
        condition_max_size: Some(3),
        ..StrictModeConfig::default()
    };
    let update = UpdateCollection {
        collection_name: "c".into(),
        strict_mode_config: Some(limits.clone()),
        ..UpdateCollection::default()
    };
    client.facet(facet(1_000_000)).await.unwrap();
    client.update_collection(update).await.unwrap();

    let bad = |words: &str| (tonic::Code::InvalidArgument, format!("Bad request: {words}"));
    let words = "Limit exceeded 1000000 > 1000 for \"limit\". Help: Reduce the \"limit\" parameter to or below 1000.";
    assert_eq!(refused(client.facet(facet(1_000_000)).await), bad(words));
    assert_eq!(client.facet(facet(1000)).await.unwrap().hits[0].count, 199);
    let words = "Limit exceeded 101 > 100 for \"upsert limit\". Help: Reduce the \"upsert limit\" parameter to or below 100.";
    assert_eq!(refused(client.upsert_points(upsert(1..102)).await), bad(words));
    client.upsert_points(upsert(1..101)).await.unwrap();
    let filtered = |condition: Condition| client.scroll(ScrollPoints { filter: Some(Filter::must([condition])), ..scroll() });
    let keyword = |key: &str| Condition::matches(key, MatchValue::Keyword("x".into()));
    filtered(keyword("uri")).await.unwrap();
    filtered(Condition::range("n", Range::default())).await.unwrap();
    let words = "Index required but not found for \"m.x\" of one of the following types: [keyword]. Help: Create an index for \
                 this key or use a different filter.";
    assert_eq!(refused(filtered(keyword("m.x")).await), bad(words));
    assert!(refused(filtered(Condition::range("uri", Range::default())).await).1.contains("[float, integer]"));
    let words = "Condition size limit reached (4 > 3). Help: Reduce the size of your condition.";
    assert_eq!(refused(filtered(Condition::has_id([1, 2, 3, 4])).await), bad(words));

    // As a server's configuration: for every collection that is made.
    client.create_collection(collection("before")).await.unwrap();
    server.make_strict(&limits);
    client.create_collection(collection("after")).await.unwrap();
    for (name, strict) in [("before", false), ("after", true)] {
        let page = client.scroll(ScrollPoints { collection_name: name.into(), limit: Some(1001), ..scroll() }).await;
        assert_eq!(page.is_err(), strict, "{name}");
    }
    let unknown = StrictModeConfig { read_rate_limit: Some(5), ..StrictModeConfig::default() };
    let created = CreateCollection { strict_mode_config: Some(unknown), ..collection("odd") };
    assert_eq!(refused(client.create_collection(created).await).0, tonic::Code::Unimplemented);
}
