//! What the model answers, in cases that its comparison with Qdrant's engine turned on.

use serde_json::{Value, json};

use super::*;

fn points(payloads: &[Value]) -> Points {
    let mut points = Points {
        dense: [("d".into(), 2)].into(),
        sparse: [("s".into(), true), ("p".into(), false)].into(),
        ..Points::default()
    };
    let numbered = (1..).map(Id::Number).zip(payloads);
    let numbered =
        numbered.map(|(id, payload)| (id, Point { payload: payload.as_object().unwrap().clone(), ..Point::default() }));
    points.upsert(numbered.collect()).unwrap();
    points
}

fn with(vectors: &[(&str, Vector)]) -> Point {
    let vectors = vectors.iter().map(|(name, vector)| ((*name).to_owned(), vector.clone()));
    Point { vectors: vectors.collect(), ..Point::default() }
}

fn sparse(terms: &[(u32, f32)]) -> Vector {
    Vector::Sparse(terms.iter().copied().collect())
}

fn field(path: &str, test: Test) -> Condition {
    Condition::Field(Path::read(path).unwrap(), test)
}

fn keyword(text: &str) -> Test {
    Test::Keyword(text.into())
}

fn at_least(number: f64) -> Test {
    Test::Range(Range { gte: Some(number), ..Range::default() })
}

fn must(condition: Condition) -> Filter {
    Filter { must: vec![condition], ..Filter::default() }
}

fn numbers(points: &Points, filter: &Filter) -> Vec<u64> {
    let ids = points.passing(Some(filter)).map(|(id, _)| if let Id::Number(number) = id { number } else { panic!("{id}") });
    ids.collect()
}

#[test]
fn a_list_passes_when_an_element_does_and_a_list_in_it_is_no_element() {
    let points = points(&[
        json!({"t": ["a", "b"]}),
        json!({"t": [["a"]]}),
        json!({"t": "a"}),
        json!({"t": {"a": "a"}}),
        json!({"t": []}),
        json!({}),
    ]);
    assert_eq!(numbers(&points, &must(field("t", keyword("a")))), [1, 3]);
    assert_eq!(numbers(&points, &must(field("t[]", keyword("a")))), [1, 2], "the elements themselves, lists among them");
    assert_eq!(numbers(&points, &must(field("t[1]", keyword("b")))), [1]);
    assert_eq!(numbers(&points, &must(field("t.a", keyword("a")))), [4]);
    let any = |words: &[&str]| Test::Keywords(words.iter().map(|word| (*word).to_owned()).collect());
    assert_eq!(numbers(&points, &must(field("t", any(&["b", "a", "x"])))), [1, 3]);
    assert_eq!(numbers(&points, &must(field("t", any(&[])))), [0; 0], "nothing is one of none");
    let not = Filter { must_not: vec![field("t", keyword("a"))], ..Filter::default() };
    assert_eq!(numbers(&points, &not), [2, 4, 5, 6], "what has no value is not it");
}

#[test]
fn values_are_of_one_kind() {
    let values = [json!(3), json!(3.0), json!("3"), json!(true), json!("true"), json!(null), json!(2.5), json!(-3)];
    let points = points(&values.map(|value| json!({"m": {"a b.c": value}})));
    let passing = |test: Test| numbers(&points, &must(field("m.\"a b.c\"", test)));
    assert_eq!(passing(keyword("3")), [3]);
    assert_eq!(passing(Test::Integer(3)), [1], "3.0 is no whole number");
    assert_eq!(passing(Test::Boolean(true)), [4]);
    assert_eq!(passing(at_least(2.5)), [1, 2, 7]);
    let between = Range { gt: Some(-3.0), lt: Some(3.0), ..Range::default() };
    assert_eq!(passing(Test::Range(between)), [7]);
    assert_eq!(passing(Test::Range(Range { lte: Some(-3.0), ..Range::default() })), [8]);
    assert_eq!(passing(Test::Range(Range::default())), [1, 2, 7, 8], "any number");
}

#[test]
fn an_index_of_whole_numbers_knows_no_others() {
    let values = [json!(3), json!(3.5), json!([1.5, 4]), json!("3"), json!(3.0), json!(-1)];
    let mut points = points(&values.map(|value| json!({"n": value})));
    let ask = |points: &Points, test: Test| numbers(points, &must(field("n", test)));
    assert_eq!(ask(&points, at_least(1.5)), [1, 2, 3, 5]);
    assert_eq!(ask(&points, Test::Integer(3)), [1]);
    points.indexed.insert(Path::read("n").unwrap(), Kind::Integer);
    assert_eq!(ask(&points, at_least(1.5)), [1, 3, 5]);
    assert_eq!(ask(&points, Test::Range(Range::default())), [1, 3, 5, 6]);
    assert_eq!(ask(&points, Test::Integer(3)), [1, 5], "the index takes 3.0 for 3");
    assert_eq!(ask(&points, keyword("3")), [4], "for other questions the payload is asked");
}

#[test]
fn filters_nest() {
    let points = points(&[json!({"a": 1, "b": "x"}), json!({"a": 2, "b": "y"}), json!({"a": 3})]);
    let inner = Filter { should: vec![field("b", keyword("x")), field("b", keyword("y"))], ..Filter::default() };
    let ids = [Id::Number(1), Id::Number(3), Id::Number(9)].into();
    let filter = Filter {
        must: vec![Condition::Filter(inner)],
        should: vec![Condition::HasId(ids)],
        must_not: vec![field("a", Test::Integer(3))],
    };
    assert_eq!(numbers(&points, &filter), [1]);
    assert_eq!(numbers(&points, &Filter::default()), [1, 2, 3], "an empty filter lets all through");
    assert_eq!(numbers(&points, &must(Condition::Filter(Filter::default()))), [1, 2, 3]);
    assert_eq!(filter.conditions().len(), 4);
}

#[test]
fn the_cosine_ranks_and_equal_scores_come_by_id() {
    let mut points = points(&[]);
    let dense = |x: f32, y: f32| with(&[("d", Vector::Dense(vec![x, y]))]);
    let uuid = Id::Uuid(Uuid::from_u128(1));
    let written = [
        (Id::Number(7), dense(3.0, 4.0)),
        (Id::Number(2), dense(0.0, 0.0)),
        (Id::Number(5), dense(-1.0, 0.0)),
        (uuid, dense(6.0, 8.0)),
        (Id::Number(1), with(&[])),
    ];
    points.upsert(written.into()).unwrap();
    let hits = points.query("d", Vector::Dense(vec![2.0, 0.0]), None, 10).unwrap();
    let hits: Vec<_> = hits.into_iter().map(|(id, score, _)| (id, score)).collect();
    assert_eq!(hits, [(Id::Number(7), 0.6), (uuid, 0.6), (Id::Number(2), 0.0), (Id::Number(5), -1.0)], "numbers before UUIDs");
    let all = points.query("d", Vector::Dense(vec![0.0, 0.0]), None, 3).unwrap();
    assert!(all.len() == 3 && all.iter().all(|(_, score, _)| *score == 0.0), "nothing is near to no direction");
    let (_, kept) = points.passing(None).find(|(id, _)| *id == uuid).unwrap();
    assert_eq!(kept.vectors["d"], Vector::Dense(vec![0.6, 0.8]), "what is kept, and shown, has the length 1");
}

#[test]
fn rare_terms_weigh_more_and_points_without_terms_do_not_count() {
    let mut points = points(&[]);
    let written = [
        (Id::Number(1), with(&[("s", sparse(&[(1, 1.0), (2, 2.0)]))])),
        (Id::Number(2), with(&[("s", sparse(&[(1, 3.0)]))])),
        (Id::Number(3), with(&[("s", sparse(&[(9, 1.0)]))])),
        // These two are none of the three vectors that the term's frequency is out of.
        (Id::Number(4), with(&[("s", sparse(&[]))])),
        (Id::Number(5), with(&[("d", Vector::Dense(vec![1.0, 0.0]))])),
    ];
    points.upsert(written.into()).unwrap();
    let idf = |df: f32| ((3.0 - df + 0.5) / (df + 0.5) + 1.0).ln();
    let scores = |points: &Points, query: &[(u32, f32)]| {
        let hits = points.query("s", sparse(query), None, 10).unwrap();
        hits.into_iter().map(|(id, score, _)| (id, score)).collect::<Vec<_>>()
    };
    let expected = [(Id::Number(1), 0.5 * idf(2.0) + 2.0 * 2.0 * idf(1.0)), (Id::Number(2), 0.5 * 3.0 * idf(2.0))];
    assert_eq!(scores(&points, &[(1, 0.5), (2, 2.0), (77, 5.0)]), expected);
    assert_eq!(scores(&points, &[(77, 1.0)]), [], "nothing shares the term");
    assert_eq!(scores(&points, &[]), []);
    // Without the modifier it is the product alone.
    points.upsert(vec![(Id::Number(6), with(&[("p", sparse(&[(1, 3.0), (4, -1.0)]))]))]).unwrap();
    let plain = points.query("p", sparse(&[(1, 0.5), (4, 1.0)]), None, 10).unwrap();
    assert_eq!(plain.into_iter().map(|(id, score, _)| (id, score)).collect::<Vec<_>>(), [(Id::Number(6), 0.5)]);
    // A filter narrows what is found, and not what is rare.
    let only = must(Condition::HasId([Id::Number(2)].into()));
    let hits = points.query("s", sparse(&[(1, 1.0)]), Some(&only), 10).unwrap();
    assert_eq!(hits.into_iter().map(|(id, score, _)| (id, score)).collect::<Vec<_>>(), [(Id::Number(2), 3.0 * idf(2.0))]);
}

#[test]
fn a_point_counts_once_for_each_of_its_words() {
    let mut points = points(&[
        json!({"f": ["a", "b", "a"]}),
        json!({"f": "b"}),
        json!({"f": ["c", 3, null, ["a"]]}),
        json!({"f": 7}),
        json!({}),
    ]);
    let key = Path::read("f").unwrap();
    let refused = points.facet(&key, None, 10).unwrap_err();
    assert!(
        matches!(&refused, Refusal::Input(words) if words.starts_with("No appropriate index for faceting: `f`.")),
        "{refused:?}"
    );
    points.indexed.insert(key.clone(), Kind::Keyword);
    let hits = |limit: usize| points.facet(&key, None, limit).unwrap();
    assert_eq!(
        hits(10),
        [("b".to_owned(), 2), ("a".to_owned(), 1), ("c".to_owned(), 1)],
        "the most frequent first, then the lesser"
    );
    assert_eq!(hits(2).len(), 2);
    assert_eq!(hits(0), []);
}

#[test]
fn pages_follow_the_ids() {
    let mut points = points(&[json!({"n": 1}), json!({"n": 2}), json!({"n": 1}), json!({"n": 1})]);
    points.upsert(vec![(Id::Uuid(Uuid::nil()), Point::default())]).unwrap();
    let page = |from: Option<Id>, filter: Option<&Filter>, limit: usize| {
        let (page, next) = points.scroll(from, filter, limit);
        (page.into_iter().map(|(id, _)| id.to_string()).collect::<Vec<_>>().join(" "), next)
    };
    assert_eq!(page(None, None, 2), ("1 2".into(), Some(Id::Number(3))));
    assert_eq!(page(Some(Id::Number(3)), None, 2), ("3 4".into(), Some(Id::Uuid(Uuid::nil()))));
    assert_eq!(page(Some(Id::Number(5)), None, 2), (Uuid::nil().to_string(), None), "an id that is not there is a place, too");
    let filter = must(field("n", Test::Integer(1)));
    assert_eq!(page(None, Some(&filter), 2), ("1 3".into(), Some(Id::Number(4))));
}

#[test]
fn what_does_not_fit_is_refused_as_a_whole() {
    let mut points = points(&[json!({})]);
    let before = points.clone();
    let dense = |name: &str, width: usize| with(&[(name, Vector::Dense(vec![1.0; width]))]);
    for (odd, words) in [
        (dense("d", 3), "Vector dimension error: expected dim: 2, got 3"),
        (dense("x", 2), "Not existing vector name error: x"),
        (dense("s", 2), "Conversion between sparse and regular vectors failed"),
        (with(&[("d", sparse(&[]))]), "Conversion between sparse and regular vectors failed"),
    ] {
        let refused = points.upsert(vec![(Id::Number(8), dense("d", 2)), (Id::Number(9), odd)]).unwrap_err();
        assert_eq!(refused, Refusal::Input(words.into()));
        assert_eq!(points.len(), before.len());
    }
    let query = |name: &str| points.query(name, Vector::Dense(vec![1.0; 3]), None, 1).unwrap_err();
    assert_eq!(query("d"), Refusal::Input("Vector dimension error: expected dim: 2, got 3".into()));
    assert_eq!(
        query("x"),
        Refusal::Input("Vector with name `x` is not configured in this collection, available names: d, p, s".into())
    );
    assert_eq!(
        query(""),
        Refusal::Input("Collection requires specified vector name in the request, available names: d, p, s".into())
    );
}

#[test]
fn payloads_are_replaced_and_points_removed() {
    let mut points = points(&[json!({"a": 1, "b": 2}), json!({"a": 2}), json!({"a": 3})]);
    let payload = json!({"c": 1}).as_object().unwrap().clone();
    points.overwrite(Selected::Where(must(field("a", at_least(2.0)))), &payload).unwrap();
    assert_eq!(numbers(&points, &must(field("c", Test::Integer(1)))), [2, 3]);
    let missing = points.overwrite(Selected::Ids(vec![Id::Number(9), Id::Number(1)]), &payload).unwrap_err();
    assert_eq!(missing, Refusal::Missing("No point with id 9 found".into()));
    assert_eq!(numbers(&points, &must(field("b", at_least(0.0)))), [0; 0], "the other was carried out");
    points.delete(Selected::Ids(vec![Id::Number(2), Id::Number(9)]));
    points.delete(Selected::Where(must(Condition::HasId([Id::Number(3)].into()))));
    assert_eq!(numbers(&points, &Filter::default()), [1]);
}
