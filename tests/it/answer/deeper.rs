//! Several indexes: how many of their passages are looked at, and that more of them change nothing at the top.

use std::num::NonZeroUsize;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use proptest::prelude::*;
use ragstream::answer::federated::Index;
use ragstream::answer::{Answerer, DedupedHit, Duplicates, OpenRetriever, Question, RetrieveMode, Retriever};
use ragstream::cache::EmbeddingCache;
use ragstream::document::{Hit, Point};
use ragstream::providers::{EmbedLimits, Embedded, Embedder, Fingerprint, InputType, ProviderError};
use ragstream::vectordb::bm25::Bm25;
use ragstream::vectordb::embedded::EmbeddedStore;
use ragstream::vectordb::{IndexMeta, VectorStore};
use uuid::Uuid;

use super::doubles::{Embed, Store, hit, plan, retriever};
use crate::stand_in::bag_of_words;

const WIDTH: usize = 16;

fn index(name: &'static str, retriever: Retriever, mode: RetrieveMode) -> Index {
    let open: OpenRetriever = Arc::new(move || {
        let retriever = retriever.clone();
        Box::pin(async move { Ok(retriever) }) as BoxFuture<'static, _>
    });
    Index::new(name, plan(mode), open)
}

fn question(text: &str, limit: usize, duplicates: Duplicates) -> Question {
    Question { limit: NonZeroUsize::new(limit), duplicates: Some(duplicates), ..text.into() }
}

#[tokio::test]
async fn of_many_that_are_wanted_few_more_are_looked_at_in_each() {
    for (copies, duplicates, depths) in [
        (0, Duplicates::Drop, &[130][..]),
        (30, Duplicates::Drop, &[130][..]),
        (31, Duplicates::Drop, &[130, 520][..]),
        (31, Duplicates::Keep, &[100][..]),
    ] {
        // Those of the first come before those of the second.
        let text = |n: usize| if n <= copies { "the same again and again".to_owned() } else { format!("number {n}") };
        let hits = |from: usize| -> Vec<Hit> {
            (from..from + 300).map(|n| hit(&format!("{n}.md"), 0, (1, 2), 1.0 - n as f32 / 1000.0, &text(n))).collect()
        };
        let [(first, one), (second, other)] =
            [0, 300].map(|from| retriever(Store { hits: hits(from), ..Store::default() }, Some(Embed::new(1))));
        let dense = RetrieveMode::Dense;
        let answerer = Answerer::together(index("one", first, dense), vec![index("other", second, dense)]);
        let found = answerer.search(&question("words", 100, duplicates)).await.unwrap();
        let expected: Vec<String> = (0..600)
            .filter(|n| duplicates == Duplicates::Keep || *n == 0 || *n > copies)
            .take(100)
            .map(|n| format!("{n}.md"))
            .collect();
        assert_eq!(found.iter().map(|found| found.hit.passage.uri.clone()).collect::<Vec<_>>(), expected, "{copies}");
        for store in [one, other] {
            let asked: Vec<usize> = store.asked.lock().unwrap().iter().map(|(_, limit)| *limit).collect();
            assert_eq!(asked, depths, "{copies}");
        }
    }
}

/// Counts words, as a model of this name.
#[derive(Debug)]
struct Counts(&'static str);

#[async_trait]
impl Embedder for Counts {
    fn model(&self) -> &'static str {
        self.0
    }
    fn fingerprint(&self) -> Fingerprint {
        self.0.into()
    }
    async fn dimensions(&self) -> Result<usize, ProviderError> {
        Ok(WIDTH)
    }
    fn limits(&self) -> EmbedLimits {
        EmbedLimits::new(16, 8192, 8192)
    }
    async fn embed(&self, inputs: &[String], _: InputType) -> Result<Embedded, ProviderError> {
        Ok(Embedded::new(inputs.iter().map(|input| bag_of_words(input, WIDTH)).collect()))
    }
    fn count_tokens(&self, input: &str) -> Option<usize> {
        Some(input.len())
    }
}

/// The text of a passage: its own, or one of some that are copied again and again; half of them in Chinese.
fn text(n: usize) -> String {
    let n = if n.is_multiple_of(3) { n % 20 } else { n + 1000 };
    let (at, own) = (n / 2 % 4, 0..12_usize);
    if n % 2 == 0 {
        let own: String = own.filter_map(|i| char::from_u32(0x4e00 + (n * 37 + i * 1009) as u32 % 5000)).collect();
        format!("第{n}天轮换{}。{own}。", ["密钥", "灯塔", "水泵", "运费"][at])
    } else {
        let own: Vec<String> = own.map(|i| format!("w{}", n * 37 + i * 1009)).collect();
        format!("Record {n} of the night: the {} are changed. {}", ["keys", "lamps", "pumps", "tariffs"][at], own.join(" "))
    }
}

async fn filled(folder: &std::path::Path, numbers: impl Iterator<Item = usize>, model: &'static str) -> Retriever {
    let (store, bm25) = (EmbeddedStore::new(folder), Arc::new(Bm25::new()));
    let meta = IndexMeta {
        version: IndexMeta::VERSION,
        generation: Uuid::from_u128(1),
        model: model.into(),
        dimensions: WIDTH,
        chunking: String::new(),
        home: None,
        change: None,
        prefixes: None,
    };
    store.create(&meta).await.unwrap();
    let points = numbers.map(|n| {
        let Hit { id, passage, .. } = hit(&format!("{n}.md"), 0, (1, 2), 0.0, &text(n));
        Point { id, dense: bag_of_words(&passage.text, WIDTH), sparse: bm25.passage(&passage.text), passage }
    });
    store.upsert(points.collect()).await.unwrap();
    store.flush().await.unwrap();
    Retriever {
        made_with: None,
        stand_in: None,
        store: Arc::new(store),
        embedder: Some(Arc::new(Counts(model))),
        cache: EmbeddingCache::new(1 << 20),
        bm25: Arc::new(move |question: &str| bm25.query(question)),
        reranker: None,
        answerability: None,
    }
}

/// Whose passages they are, in their order, and their scores. Of those that are worth nothing, as equal ones were cut there, which they
/// are is the store's affair.
fn told(found: &[DedupedHit]) -> Vec<(Option<(String, Uuid)>, u32)> {
    let of = |DedupedHit { hit, .. }: &DedupedHit| {
        let who = (hit.score > 0.0).then(|| (hit.pipeline.as_deref().unwrap().to_owned(), hit.id));
        (who, hit.score.to_bits())
    };
    found.iter().map(of).collect()
}

#[test]
fn how_many_are_wanted_changes_nothing_at_the_top() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (one, same, other) = runtime.block_on(async {
        let at = |name: &str| folder.path().join(name);
        let one = filled(&at("one"), 0..260, "double/counts").await;
        // Some passages are in both.
        let same = filled(&at("same"), 240..420, "double/counts").await;
        (one, same, filled(&at("other"), 240..420, "double/other").await)
    });
    let modes = [RetrieveMode::Dense, RetrieveMode::Sparse, RetrieveMode::Hybrid];
    let answerers = [same, other].map(|second| {
        modes.map(|mode| Answerer::together(index("one", one.clone(), mode), vec![index("two", second.clone(), mode)]))
    });
    let questions = ["which lamps are changed?", "record 1007 of the night", "哪一天轮换密钥？", "水泵 pumps crew"];
    let cases = (0..2_usize, 0..3_usize, 0..questions.len(), 1..150_usize, any::<bool>());
    proptest!(ProptestConfig::with_cases(64), |((models, mode, asked, wanted, drops) in cases)| {
        let duplicates = if drops { Duplicates::Drop } else { Duplicates::Keep };
        let (few, all) = runtime.block_on(async {
            let search = |limit| {
                let question = question(questions[asked], limit, duplicates);
                let answerer = &answerers[models][mode];
                async move { answerer.search(&question).await.unwrap() }
            };
            (search(wanted).await, search(700).await)
        });
        prop_assert_eq!(few.len(), wanted.min(all.len()));
        prop_assert_eq!(told(&few), &told(&all)[..few.len()]);
    });
}
