//! The embedding cache that machines share: what one of them paid for, no other pays for, and a server that is away, slow, or not
//! what it should be costs a moment and no more.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail loudly")]

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use qdrant_client::Qdrant;
use qdrant_client::qdrant::vector_output::Vector as Shown;
use qdrant_client::qdrant::{
    CreateCollectionBuilder, DenseVector, Distance, NamedVectors, PointStruct, ScrollPointsBuilder, UpsertPoints,
    Vector as Wire, VectorParamsBuilder, VectorsConfigBuilder, vector, vectors_output,
};
use ragstream::cache::{EmbeddingCache, Key, SharedCache, Vector};
use ragstream::providers::{Embedded, InputType, ProviderError, Secret};
use ragstream::source::documents;
use ragstream::{Embedder, Plan, Runtime, Settings};
use tempfile::TempDir;
use url::Url;

use crate::qdrant_server::{self, Options, Running};

const WIDTH: usize = 16;

/// Makes a vector of a text, with numbers that are easily changed by rounding: subnormal ones, both zeros, and none of length 1.
fn numbers(text: &str) -> Vec<f32> {
    let hash = |n: usize| {
        let mixed = text
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325 ^ n as u64, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        f32::from_bits((mixed >> 16) as u32)
    };
    let numbers = (0..WIDTH).map(|n| match n {
        0 => -0.0,
        1 => 1e-41,
        n => Some(hash(n)).filter(|number| number.is_finite() && number.abs() < 1e3).unwrap_or(0.1 + n as f32),
    });
    numbers.collect()
}

/// A model whose every call is counted.
#[derive(Debug, Default)]
struct Model {
    paid: AtomicUsize,
}

#[async_trait]
impl Embedder for Model {
    fn model(&self) -> &'static str {
        "自有/模型"
    }
    async fn dimensions(&self) -> Result<usize, ProviderError> {
        Ok(WIDTH)
    }
    async fn embed(&self, inputs: &[String], _: InputType) -> Result<Embedded, ProviderError> {
        self.paid.fetch_add(inputs.len(), SeqCst);
        Ok(Embedded::new(inputs.iter().map(|text| numbers(text)).collect()))
    }
}

/// With more patience than usual: these tests have a busy machine.
fn shared(url: &Url) -> SharedCache {
    SharedCache { patience: Duration::from_secs(30), ..SharedCache::new(url.clone(), None) }
}

/// A machine: a folder of its own, and what it paid.
struct Machine {
    model: Arc<Model>,
    cache: EmbeddingCache,
    folder: TempDir,
}

impl Machine {
    fn new(url: &Url) -> Self {
        Self::with(&shared(url), WIDTH)
    }

    fn with(shared: &SharedCache, dimensions: usize) -> Self {
        let (model, folder) = (Arc::new(Model::default()), tempfile::tempdir().unwrap());
        let cache = EmbeddingCache::open(folder.path(), &*model, dimensions).with_shared(shared, &*model, dimensions);
        Self { model, cache, folder }
    }

    fn alone(folder: &Path) -> (Arc<Model>, EmbeddingCache) {
        let model = Arc::new(Model::default());
        let cache = EmbeddingCache::open(folder, &*model, WIDTH);
        (model, cache)
    }

    /// All of these at once; each is what it should be, bit for bit.
    async fn embeds(&self, texts: &[String]) {
        embeds(&self.model, &self.cache, texts).await;
    }

    fn paid(&self) -> usize {
        self.model.paid.swap(0, SeqCst)
    }
}

async fn embeds(model: &Model, cache: &EmbeddingCache, texts: &[String]) {
    let one = async |text: &String| {
        let key = key(text);
        let embed = async {
            let vectors = model.embed(std::slice::from_ref(text), InputType::Passage).await?.vectors;
            let vector = Vector::from(vectors[0].as_slice());
            cache.keep(vec![(key, Arc::clone(&vector))]).await;
            Ok::<_, ProviderError>(vector)
        };
        let (vector, _) = cache.get_or_embed(key, embed).await.unwrap();
        let bits = |numbers: &[f32]| numbers.iter().map(|number| number.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&vector), bits(&numbers(text)), "{text}");
    };
    futures_util::future::join_all(texts.iter().map(one)).await;
}

fn key(text: &str) -> Key {
    Key::new(Model::default().fingerprint().as_str(), InputType::Passage, text)
}

fn texts(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|n| format!("第{n}段:泵在寒冷时会漏水。 The pump leaks, {n}.")).collect()
}

fn client(server: &Running) -> Qdrant {
    Qdrant::from_url(server.url.as_str()).skip_compatibility_check().build().unwrap()
}

/// The one collection that there is.
async fn collection(client: &Qdrant) -> String {
    let there = client.list_collections().await.unwrap().collections;
    assert_eq!(there.len(), 1, "{there:?}");
    there[0].name.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_machine_paid_for_no_other_pays_for() {
    let server = qdrant_server::start().await;
    let (one, other) = (Machine::new(&server.url), Machine::new(&server.url));
    let texts = texts(0..1000);
    one.embeds(&texts).await;
    assert_eq!(one.paid(), 1000);

    let calls = server.faults.calls.load(SeqCst);
    other.embeds(&texts).await;
    assert_eq!(other.paid(), 0);
    let calls = server.faults.calls.load(SeqCst) - calls;
    assert!(calls < 40, "{calls} requests for a thousand vectors");
    let name = collection(&client(&server)).await;
    assert!(name.starts_with("cache_"), "{name}");

    // What came from there is in the own file by and by: without the server it is there.
    drop(server);
    let Machine { cache, folder, .. } = other;
    let keys: Vec<Key> = texts.iter().map(|text| key(text)).collect();
    let began = Instant::now();
    let has = || ragstream::cache::has(folder.path(), &keys).into_iter().filter(|has| *has).count();
    while has() < 256 {
        assert!(began.elapsed() < Duration::from_secs(20), "{}", has());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    drop(cache);
    let had = has();
    let (model, cache) = Machine::alone(folder.path());
    embeds(&model, &cache, &texts).await;
    assert_eq!(model.paid.load(SeqCst), 1000 - had);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_who_begin_at_once_make_one_collection() {
    let server = qdrant_server::start().await;
    let machines: Vec<_> = (0..6).map(|_| Machine::new(&server.url)).collect();
    let texts: Vec<_> = (0..6).map(|n| texts(n * 50..n * 50 + 50)).collect();
    futures_util::future::join_all(machines.iter().zip(&texts).map(|(machine, texts)| machine.embeds(texts))).await;
    collection(&client(&server)).await;
    let last = Machine::new(&server.url);
    last.embeds(&texts.concat()).await;
    assert_eq!(last.paid(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_away_costs_a_moment_once() {
    let url = {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", taken.local_addr().unwrap()).parse().unwrap()
    };
    let machine = Machine::new(&url);
    let began = Instant::now();
    machine.embeds(&texts(0..600)).await;
    assert_eq!(machine.paid(), 600);
    assert!(began.elapsed() < Duration::from_secs(40), "{:?}", began.elapsed());
    machine.embeds(&texts(0..600)).await;
    assert_eq!(machine.paid(), 0, "the file is there all the same");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_hangs_costs_its_short_time_once() {
    let server = qdrant_server::start().await;
    Machine::new(&server.url).embeds(&texts(0..10)).await;
    let machine = Machine::with(&SharedCache { patience: Duration::from_secs(5), ..shared(&server.url) }, WIDTH);
    machine.embeds(&texts(0..10)).await;
    assert_eq!(machine.paid(), 0);
    server.faults.slow_ms.store(600_000, SeqCst);
    let began = Instant::now();
    machine.embeds(&texts(10..600)).await;
    let once = began.elapsed();
    assert_eq!(machine.paid(), 590);
    assert!(once > Duration::from_secs(4) && once < Duration::from_secs(25), "{once:?}");
    let calls = server.faults.calls.load(SeqCst);
    machine.embeds(&texts(600..1200)).await;
    assert_eq!(machine.paid(), 600);
    assert_eq!(server.faults.calls.load(SeqCst), calls, "it is left alone for a while");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_lies_is_not_believed() {
    let server = qdrant_server::start().await;
    let texts = texts(0..200);
    Machine::new(&server.url).embeds(&texts).await;
    // Every vector under the next one's id: each is right in itself, and not what was asked for.
    let client = client(&server);
    let name = collection(&client).await;
    let page = ScrollPointsBuilder::new(&name).limit(1000).with_vectors(true).with_payload(true);
    let points = client.scroll(page).await.unwrap().result;
    assert_eq!(points.len(), 200);
    assert!(points.iter().all(|point| point.payload.is_empty()));
    let mut ids: Vec<_> = points.iter().map(|point| point.id.clone()).collect();
    ids.rotate_left(1);
    let swapped = points.into_iter().zip(ids).map(|(point, id)| {
        let Some(vectors_output::VectorsOptions::Vectors(named)) = point.vectors.unwrap().vectors_options else { panic!() };
        let vectors = named.vectors.into_iter().map(|(name, vector)| {
            let Some(Shown::Dense(DenseVector { data })) = vector.vector else { panic!() };
            assert_eq!(data.len(), WIDTH + 2);
            (name, Wire { vector: Some(vector::Vector::Dense(DenseVector { data })), ..Wire::default() })
        });
        let vectors = Some(NamedVectors { vectors: vectors.collect() }.into());
        PointStruct { id, payload: [].into(), vectors }
    });
    let points = swapped.collect();
    let request = UpsertPoints { collection_name: name, wait: Some(true), points, ..UpsertPoints::default() };
    client.upsert_points(request).await.unwrap();

    let machine = Machine::new(&server.url);
    machine.embeds(&texts).await;
    assert_eq!(machine.paid(), 200);
    // And what it paid for is put right.
    let machine = Machine::new(&server.url);
    machine.embeds(&texts).await;
    assert_eq!(machine.paid(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collection_of_others_is_left_alone() {
    let server = qdrant_server::start().await;
    let texts = texts(0..20);
    Machine::new(&server.url).embeds(&texts).await;
    let client = client(&server);
    let name = collection(&client).await;

    // Of another width, under the same name.
    let wider = Machine::with(&shared(&server.url), WIDTH + 1);
    let before = client.collection_info(&name).await.unwrap().result.unwrap().points_count;
    let vector = Vector::from(vec![1.0; WIDTH + 1]);
    wider.cache.keep(vec![(key("wider"), vector)]).await;
    assert_eq!(client.collection_info(&name).await.unwrap().result.unwrap().points_count, before);

    // Somebody else's.
    client.delete_collection(&name).await.unwrap();
    let mut vectors = VectorsConfigBuilder::default();
    vectors.add_named_vector_params("embedding", VectorParamsBuilder::new(WIDTH as u64 + 2, Distance::Dot));
    client.create_collection(CreateCollectionBuilder::new(&name).vectors_config(vectors)).await.unwrap();
    let machine = Machine::new(&server.url);
    machine.embeds(&texts).await;
    assert_eq!(machine.paid(), 20);
    assert_eq!(client.collection_info(&name).await.unwrap().result.unwrap().points_count, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_opens_it() {
    let server = qdrant_server::start_with(Options { api_key: Some("right"), keeps_metadata: true }).await;
    for (key, paid) in [("right", 20), ("right", 0), ("wr0ng", 20)] {
        let shared = SharedCache { api_key: Some(Secret::new(key)), ..shared(&server.url) };
        let machine = Machine::with(&shared, WIDTH);
        machine.embeds(&texts(0..20)).await;
        assert_eq!(machine.paid(), paid, "{key}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_on_another_machine_pays_nothing() {
    let server = qdrant_server::start().await;
    for paid in [true, false] {
        let (home, model) = (tempfile::tempdir().unwrap(), Arc::new(Model::default()));
        let texts: Vec<_> = (0..40).map(|n| (format!("笔记://{n}"), format!("第{n}篇。 A note of its own, {n}."))).collect();
        let notes = documents("notes", texts);
        let settings = Settings { cache: home.path().join("cache"), ..Settings::at(&home) };
        let runtime = Runtime::new(Plan::from_env(), settings)
            .with_source(Arc::new(notes))
            .with_embedder(Arc::<Model>::clone(&model))
            .with_shared_cache(shared(&server.url));
        let summary = runtime.index().await.unwrap();
        assert_eq!(summary.documents.seen, 40);
        assert_eq!(summary.embeddings.embedded, if paid { 40 } else { 0 }, "{summary:?}");
        assert_eq!(summary.embeddings.cache_hits, if paid { 0 } else { 40 }, "{summary:?}");
        assert_eq!(model.paid.load(SeqCst) > 0, paid);
    }
    let names: BTreeSet<_> =
        client(&server).list_collections().await.unwrap().collections.into_iter().map(|c| c.name).collect();
    assert_eq!(names.len(), 1, "{names:?}");
}
