//! The stores: how fast points are written and found, and what they take of disk and memory.
//!
//! ```text
//! cargo bench --bench store                      the embedded store, and the words; a minute or two
//! cargo bench --bench store -- scale             the embedded store as it grows, with recall; a minute or two
//! QDRANT_URL=… cargo bench --bench store -- server       a Qdrant server (with QDRANT_API_KEY)
//! ```
//! `scale` takes its sizes from `SCALE=points,width`, its folder from `SCALE_IN`. Without `--bench`, as
//! `cargo test --benches` starts it, the first two in small.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::format_collect,
    reason = "the figures are the result, and a bench fails by panicking"
)]

use std::path::Path;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use ragstream::document::{Passage, Point};
use ragstream::providers::Secret;
use ragstream::vectordb::bm25::Bm25;
use ragstream::vectordb::embedded::EmbeddedStore;
use ragstream::vectordb::qdrant::QdrantStore;
use ragstream::vectordb::{IndexMeta, Query, VectorStore};
use uuid::Uuid;

/// The width of the vectors.
const WIDE: usize = 256;

fn main() {
    let given = |name: &str| std::env::args().any(|argument| argument == name);
    let full = given("--bench");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        match (full, given("scale"), given("server")) {
            (false, ..) => {
                embedded(200, &[256]).await;
                scale(&[500, 384]).await;
                words(1);
            }
            (_, true, _) => {
                let sizes = std::env::var("SCALE").unwrap_or("100000,384".into());
                scale(&sizes.split(',').map(|n| n.parse().unwrap()).collect::<Vec<_>>()).await;
            }
            (_, _, true) => server(20_000).await,
            _ => {
                embedded(20_000, &[50, 256, 2000]).await;
                words(20);
            }
        }
    });
}

fn meta(dimensions: usize) -> IndexMeta {
    IndexMeta {
        version: IndexMeta::VERSION,
        generation: Uuid::from_u128(0xabc),
        model: "local/bench".into(),
        dimensions,
        chunking: "auto/400/40/o200k".into(),
        home: None,
        change: None,
        prefixes: None,
    }
}

/// The id of a numbered point; ids ascend with the numbers.
fn id(n: u64) -> Uuid {
    Uuid::from_u128(u128::from(n) << 64 | 0x5eed)
}

/// A direction that differs from number to number.
fn direction(n: u64, width: usize) -> Vec<f32> {
    let mut state = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..width)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / 8_388_608.0 - 1.0
        })
        .collect()
}

/// A passage of 200 words that occur as words do (the rank-th about 1 / rank as often as the first), stop words left out.
fn text(n: u64) -> String {
    direction(n, 200).iter().map(|x| format!("w{} ", (10.0 * 3000_f32.powf(x.midpoint(1.0))) as u64)).collect()
}

fn passage(n: u64) -> Passage {
    let text = text(n);
    Passage {
        columns: None,
        page: None,
        anchor: None,
        context: None,
        uri: format!("doc{}", n / 10),
        start: n * 10,
        end: n * 10 + text.len() as u64,
        lines: (1, n as u32 + 1),
        index: n as u32,
        title: n.is_multiple_of(2).then(|| format!("Title {n}")),
        headings: if n.is_multiple_of(3) { vec!["Top".into(), format!("Part {n}")] } else { Vec::new() },
        text,
        modified: -1 - n as i64,
        lang: n.is_multiple_of(4).then(|| "zh".into()),
        source: None,
        metadata: ragstream::document::Metadata::new(),
    }
}

fn points(bm25: &Bm25, numbers: std::ops::Range<u64>, dense: impl Fn(u64) -> Vec<f32>) -> Vec<Point> {
    let point = |n| {
        let passage = passage(n);
        Point { id: id(n), dense: dense(n), sparse: bm25.passage(&passage.text), passage }
    };
    numbers.map(point).collect()
}

fn plain(n: u64) -> Vec<f32> {
    direction(n, WIDE)
}

fn words_of(bm25: &Bm25, n: u64) -> Query {
    Query::Sparse(bm25.query(&text(n).split(' ').take(8).collect::<Vec<_>>().join(" ")))
}

/// Bytes on disk, holes left out.
fn size(path: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let entries = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap());
    entries.map(|e| if e.path().is_dir() { size(&e.path()) } else { e.metadata().unwrap().blocks() * 512 }).sum()
}

/// Writes so many points in batches, and returns how many a second.
async fn fill(store: &dyn VectorStore, bm25: &Bm25, amount: u64, batch: u64) -> f64 {
    store.create(&meta(WIDE)).await.unwrap();
    let mut seconds = 0.0;
    for from in (0..amount).step_by(batch as usize) {
        let points = points(bm25, from..(from + batch).min(amount), plain);
        let start = Instant::now();
        store.upsert(points).await.unwrap();
        seconds += start.elapsed().as_secs_f64();
    }
    amount as f64 / seconds
}

/// Asks each of these for so many hits, and prints how long that takes.
async fn ask(store: &dyn VectorStore, name: &str, queries: impl Iterator<Item = Query>, limit: usize) {
    let mut times = Vec::new();
    for query in queries {
        let start = Instant::now();
        assert_eq!(store.query(query, limit).await.unwrap().len(), limit);
        times.push(start.elapsed());
    }
    times.sort();
    println!("  {name}: p50 {:.1?}, p99 {:.1?}", times[times.len() / 2], times[times.len() * 99 / 100]);
}

async fn ask_both(store: &dyn VectorStore, bm25: &Bm25) {
    ask(store, "dense", (0..200).map(|n| Query::Dense(direction(n + 7, WIDE))), 8).await;
    ask(store, "sparse", (0..200).map(|n| words_of(bm25, n)), 8).await;
}

async fn embedded(amount: u64, batches: &[u64]) {
    let bm25 = Bm25::new();
    for &batch in batches {
        let folder = tempfile::tempdir().unwrap();
        let store = EmbeddedStore::new(folder.path());
        let speed = fill(&store, &bm25, amount, batch).await;
        println!("batches of {batch}: {speed:.0} points/s, {} MB", size(folder.path()) >> 20);
        if batch != 256 {
            continue;
        }
        ask_both(&store, &bm25).await;
        let start = Instant::now();
        drop(store);
        println!("  close {:?}", start.elapsed());
        let store = EmbeddedStore::new(folder.path());
        let start = Instant::now();
        assert_eq!(store.count().await.unwrap(), amount);
        println!("  open and count {:?}", start.elapsed());
        change(&store, &bm25, amount, folder.path()).await;
        assert_eq!(store.count().await.unwrap(), amount);
        ask_both(&store, &bm25).await;
    }
}

/// New payloads, documents that go, and points that come and go; after it there are as many as before.
async fn change(store: &EmbeddedStore, bm25: &Bm25, amount: u64, folder: &Path) {
    let (tenth, quarter) = (amount / 10, amount / 4);
    let passages = (0..tenth).map(|n| (id(n), passage(n))).collect();
    let start = Instant::now();
    store.set_passages(passages).await.unwrap();
    println!("  {tenth} passages set {:?}", start.elapsed());
    let start = Instant::now();
    for doc in 0..amount / 200 {
        store.delete_document(&format!("doc{doc}")).await.unwrap();
    }
    println!("  {} documents deleted {:?}", amount / 200, start.elapsed());
    for round in 0..6 {
        let others = 100_000 + round * quarter..100_000 + (round + 1) * quarter;
        store.upsert(points(bm25, 0..quarter, plain)).await.unwrap();
        store.upsert(points(bm25, others.clone(), plain)).await.unwrap();
        store.delete(others.map(id).collect()).await.unwrap();
        println!("  round {round}: {} MB", size(folder) >> 20);
    }
}

/// Vectors as models make them: they lie in far fewer dimensions than they have.
fn meaning(n: u64, wide: usize) -> Vec<f32> {
    static AXES: LazyLock<Vec<Vec<f32>>> = LazyLock::new(|| (0..24).map(|axis| direction(u64::MAX - axis, 4096)).collect());
    let mut vector: Vec<_> = direction(n.wrapping_mul(31) + 5, wide).iter().map(|x| x * 0.3).collect();
    for (axis, weight) in AXES.iter().zip(direction(n, 24)) {
        vector.iter_mut().zip(axis).for_each(|(x, y)| *x += weight * y);
    }
    let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    vector.iter().map(|x| x / length).collect()
}

/// This process's, where the system tells.
fn memory() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let status = read("/proc/self/status");
    let megabytes = |name: &str| -> u64 {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        line.split_whitespace().next().and_then(|n| n.parse().ok()).unwrap_or(0) >> 10
    };
    let stat = read("/proc/self/stat");
    let times = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
    let cpu: u64 = times.filter_map(|x| x.parse::<u64>().ok()).sum();
    format!("anon {} MB, file {} MB, {:.1} CPU s in all", megabytes("RssAnon:"), megabytes("RssFile:"), cpu as f64 / 100.0)
}

/// For each question the ids of the ten nearest of the first `amount`, found by looking at all.
fn nearest(questions: &[Vec<f32>], amount: u64, wide: usize) -> Vec<Vec<Uuid>> {
    let mut best = vec![Vec::new(); questions.len()];
    let ten = |best: &mut Vec<(f32, Uuid)>| {
        best.sort_by(|a, b| b.0.total_cmp(&a.0));
        best.truncate(10);
    };
    for n in 0..amount {
        let vector = meaning(n, wide);
        for (question, best) in questions.iter().zip(&mut best) {
            let score: f32 = question.iter().zip(&vector).map(|(x, y)| x * y).sum();
            best.push((score, id(n)));
            if best.len() > 1000 {
                ten(best);
            }
        }
    }
    best.iter_mut().for_each(ten);
    best.into_iter().map(|best| best.into_iter().map(|(_, id)| id).collect()).collect()
}

async fn look(store: &EmbeddedStore, bm25: &Bm25, amount: u64, wide: usize) {
    let questions: Vec<_> = (0..100).map(|n| meaning(u64::MAX / 2 + n, wide)).collect();
    ask(store, "  dense", questions.iter().cloned().map(Query::Dense), 10).await;
    ask(store, "  sparse", (0..100).map(|n| words_of(bm25, n * 7)), 10).await;
    let questions = &questions[..50];
    let mut found = 0;
    for (question, nearest) in questions.iter().zip(nearest(questions, amount, wide)) {
        let hits = store.query(Query::Dense(question.clone()), 10).await.unwrap();
        found += hits.iter().filter(|hit| nearest.contains(&hit.id)).count();
    }
    println!("    recall@10 {:.3}", found as f64 / 500.0);
}

/// `sizes`: points, and the vectors' width.
async fn scale(sizes: &[usize]) {
    let (amount, wide, bm25) = (sizes[0] as u64, sizes[1], Bm25::new());
    let folder = tempfile::tempdir_in(std::env::var_os("SCALE_IN").unwrap_or_else(|| std::env::temp_dir().into())).unwrap();
    let open = || EmbeddedStore::new(folder.path());
    let report = |what: &str, took: Duration| {
        println!("  {what} in {took:.1?}; {}; {} MB", memory(), size(folder.path()) >> 20);
    };
    let store = open();
    store.create(&meta(wide)).await.unwrap();
    println!("{sizes:?}, before: {}", memory());
    let (mut took, mut slowest) = (Duration::ZERO, Duration::ZERO);
    for from in (0..amount).step_by(500) {
        let points = points(&bm25, from..from + 500, |n| meaning(n, wide));
        let start = Instant::now();
        store.upsert(points).await.unwrap();
        let one = start.elapsed();
        (took, slowest) = (took + one, slowest.max(one));
        let there = from + 500;
        if there.is_multiple_of(10_000) {
            let speed = 10_000.0 / took.as_secs_f64();
            report(&format!("{there}: {speed:.0} points/s, slowest write {slowest:.1?},"), took);
            (took, slowest) = (Duration::ZERO, Duration::ZERO);
        }
        if [10_000, 50_000].contains(&there) {
            look(&store, &bm25, there, wide).await;
        }
    }
    let start = Instant::now();
    store.flush().await.unwrap();
    report("sealed", start.elapsed());
    look(&store, &bm25, amount, wide).await;
    let start = Instant::now();
    drop(store);
    report("closed", start.elapsed());
    let store = open();
    let start = Instant::now();
    assert_eq!(store.count().await.unwrap(), amount);
    report("opened and counted", start.elapsed());
    look(&store, &bm25, amount, wide).await;
    let start = Instant::now();
    store.delete((0..amount * 6 / 10).map(id).collect()).await.unwrap();
    report("60 % deleted", start.elapsed());
    let start = Instant::now();
    store.flush().await.unwrap();
    report("sealed", start.elapsed());
    assert_eq!(store.count().await.unwrap(), amount - amount * 6 / 10);
}

/// A server of one's own; what is written there is removed again.
async fn server(amount: u64) {
    let url = std::env::var("QDRANT_URL").expect("QDRANT_URL names the server to measure");
    let key = std::env::var("QDRANT_API_KEY").ok().map(Secret::new);
    let collection = format!("ragstream-bench-{}", std::process::id());
    let store = QdrantStore::new(&url.parse().unwrap(), key.as_ref(), &collection, Duration::from_mins(1)).unwrap();
    let bm25 = Bm25::new();
    println!("batches of 2000: {:.0} points/s", fill(&store, &bm25, amount, 2000).await);
    ask_both(&store, &bm25).await;
    store.drop_index().await.unwrap();
}

fn words(rounds: usize) {
    let bm25 = Bm25::new();
    let english = "The engine keeps every acknowledged point, and reopens in a moment; error 503 is retried. ".repeat(1000);
    let chinese = "这是一个向量数据库，它把每一个已确认的点都保存在磁盘上。".repeat(2000);
    for (name, text) in [("English", english), ("Chinese", chinese)] {
        let start = Instant::now();
        let terms: usize = (0..rounds).map(|_| bm25.passage(&text).indices.len()).sum();
        let rate = (text.len() * rounds) as f64 / start.elapsed().as_secs_f64() / 1e6;
        println!("{name}: {rate:.1} MB/s, {} terms", terms / rounds);
    }
}
