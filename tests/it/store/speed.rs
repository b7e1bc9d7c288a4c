//! Figures, for people: `cargo test --test it store::speed -- --ignored --nocapture`.
#![allow(clippy::print_stdout, reason = "this is what these are for")]

use std::path::Path;
use std::time::Instant;

use ragstream::document::Point;
use ragstream::vectordb::bm25::Bm25;
use ragstream::vectordb::edge::EdgeStore;
use ragstream::vectordb::{IndexMeta, Query, VectorStore};

use super::{Server, direction, id, meta, passage};

const POINTS: u64 = 20_000;
const WIDE: usize = 256;

/// A passage of 200 words that occur as words do (the rank-th about 1 / rank as often as the first), stop words left out.
fn text(n: u64) -> String {
    direction(n, 200).iter().map(|x| format!("w{} ", (10.0 * 3000_f32.powf(x.midpoint(1.0))) as u64)).collect()
}

fn points(bm25: &Bm25, from: u64, to: u64) -> Vec<Point> {
    let point = |n| {
        let passage = passage(n, &format!("doc{}", n / 10), &text(n));
        Point { id: id(n), dense: direction(n, WIDE), sparse: bm25.passage(&passage.text), passage }
    };
    (from..to).map(point).collect()
}

fn size(path: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let entries = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap());
    entries.map(|e| if e.path().is_dir() { size(&e.path()) } else { e.metadata().unwrap().blocks() * 512 }).sum()
}

async fn fill(store: &dyn VectorStore, bm25: &Bm25, batch: u64) -> f64 {
    store.create(&IndexMeta { dimensions: WIDE, ..meta() }).await.unwrap();
    let mut seconds = 0.0;
    for from in (0..POINTS).step_by(batch as usize) {
        let points = points(bm25, from, (from + batch).min(POINTS));
        let start = Instant::now();
        store.upsert(points).await.unwrap();
        seconds += start.elapsed().as_secs_f64();
    }
    POINTS as f64 / seconds
}

async fn ask(store: &dyn VectorStore, bm25: &Bm25) {
    let query = |mode, n| {
        let (dense, sparse) = (direction(n + 7, WIDE), bm25.query(&text(n).split(' ').take(8).collect::<Vec<_>>().join(" ")));
        match mode {
            "dense" => Query::Dense(dense),
            _ => Query::Sparse(sparse),
        }
    };
    for mode in ["dense", "sparse"] {
        let mut times = Vec::new();
        for n in 0..200 {
            let start = Instant::now();
            assert_eq!(store.query(query(mode, n), 8).await.unwrap().len(), 8);
            times.push(start.elapsed());
        }
        times.sort();
        println!("  {mode}: p50 {:?}, p99 {:?}", times[100], times[198]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes a minute, asserts little"]
async fn of_the_embedded_store() {
    let bm25 = Bm25::new();
    for batch in [50, 256, 2000] {
        let folder = tempfile::tempdir().unwrap();
        let store = EdgeStore::new(folder.path());
        println!("batches of {batch}: {:.0} points/s, {} MB", fill(&store, &bm25, batch).await, size(folder.path()) >> 20);
        if batch != 256 {
            continue;
        }
        ask(&store, &bm25).await;
        let killed = folder.path().join("killed");
        super::edge::copied(&folder.path().join("engine"), &killed.join("engine"));
        std::fs::copy(folder.path().join("meta.json"), killed.join("meta.json")).unwrap();
        let journal = killed.join("engine/journal").metadata().unwrap().len();
        let start = Instant::now();
        assert_eq!(EdgeStore::new(&killed).count().await.unwrap(), POINTS);
        println!("  open after a kill, close: {:?} ({} kB of journal)", start.elapsed(), journal >> 10);
        std::fs::remove_dir_all(killed).unwrap();
        let start = Instant::now();
        drop(store);
        println!("  close {:?}", start.elapsed());
        let store = EdgeStore::new(folder.path());
        let start = Instant::now();
        assert_eq!(store.count().await.unwrap(), POINTS);
        println!("  open and count {:?}", start.elapsed());
        let start = Instant::now();
        let passages = points(&bm25, 0, 2000).into_iter().map(|p| (p.id, p.passage)).collect();
        store.set_passages(passages).await.unwrap();
        println!("  2000 passages set {:?}", start.elapsed());
        let start = Instant::now();
        for doc in 0..100 {
            store.delete_document(&format!("doc{doc}")).await.unwrap();
        }
        println!("  100 documents deleted {:?}", start.elapsed());
        for round in 0..6 {
            // The same points again, and others that come and go.
            store.upsert(points(&bm25, 0, 5000)).await.unwrap();
            store.upsert(points(&bm25, 100_000 + round * 5000, 105_000 + round * 5000)).await.unwrap();
            store.delete((0..5000).map(|n| id(100_000 + round * 5000 + n)).collect()).await.unwrap();
            println!(
                "  round {round}: {} MB, log {} MB",
                size(folder.path()) >> 20,
                size(&folder.path().join("engine/wal")) >> 20
            );
        }
        assert_eq!(store.count().await.unwrap(), POINTS);
        ask(&store, &bm25).await;
    }
}

/// Vectors as models make them: they lie in far fewer dimensions than they have.
fn meaning(n: u64, wide: usize) -> Vec<f32> {
    static AXES: std::sync::LazyLock<Vec<Vec<f32>>> =
        std::sync::LazyLock::new(|| (0..24).map(|axis| direction(u64::MAX - axis, 1024)).collect());
    let mut vector: Vec<_> = direction(n.wrapping_mul(31) + 5, wide).iter().map(|x| x * 0.3).collect();
    for (axis, weight) in AXES.iter().zip(direction(n, 24)) {
        vector.iter_mut().zip(axis).for_each(|(x, y)| *x += weight * y);
    }
    let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    vector.iter().map(|x| x / length).collect()
}

fn memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let megabytes = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.split_whitespace().next().unwrap().parse::<u64>().unwrap() >> 10
    };
    let cpu = std::fs::read_to_string("/proc/self/stat").unwrap();
    let cpu: u64 = cpu.rsplit(')').next().unwrap().split_whitespace().skip(11).take(2).map(|x| x.parse::<u64>().unwrap()).sum();
    let (anon, file) = (megabytes("RssAnon:"), megabytes("RssFile:"));
    format!("anon {anon} MB, file {file} MB, {:.1} CPU s in all", cpu as f64 / 100.0)
}

/// For each question the ids of the ten nearest of the first `points`, found by looking at all.
fn nearest(questions: &[Vec<f32>], points: u64, wide: usize) -> Vec<Vec<uuid::Uuid>> {
    let mut best = vec![Vec::new(); questions.len()];
    for n in 0..points {
        let vector = meaning(n, wide);
        for (question, best) in questions.iter().zip(&mut best) {
            let score: f32 = question.iter().zip(&vector).map(|(x, y)| x * y).sum();
            best.push((score, id(n)));
            if best.len() > 1000 {
                best.sort_by(|a, b| b.0.total_cmp(&a.0));
                best.truncate(10);
            }
        }
    }
    let ids = |mut best: Vec<(f32, uuid::Uuid)>| {
        best.sort_by(|a, b| b.0.total_cmp(&a.0));
        best.into_iter().take(10).map(|(_, id)| id).collect()
    };
    best.into_iter().map(ids).collect()
}

async fn look(store: &EdgeStore, bm25: &Bm25, points: u64, wide: usize) {
    let questions: Vec<_> = (0..100).map(|n| meaning(u64::MAX / 2 + n, wide)).collect();
    let words = |n: usize| bm25.query(&text(n as u64 * 7).split(' ').take(8).collect::<Vec<_>>().join(" "));
    for mode in ["dense", "sparse"] {
        let mut times = Vec::new();
        for (n, dense) in questions.iter().enumerate() {
            let query = match mode {
                "dense" => Query::Dense(dense.clone()),
                _ => Query::Sparse(words(n)),
            };
            let start = Instant::now();
            assert_eq!(store.query(query, 10).await.unwrap().len(), 10);
            times.push(start.elapsed());
        }
        times.sort();
        println!("    {mode}: p50 {:.1?}, p99 {:.1?}", times[50], times[98]);
    }
    let questions = &questions[..50];
    let mut found = 0;
    for (question, nearest) in questions.iter().zip(nearest(questions, points, wide)) {
        let hits = store.query(Query::Dense(question.clone()), 10).await.unwrap();
        found += hits.iter().filter(|hit| nearest.contains(&hit.id)).count();
    }
    println!("    recall@10 {:.3}", found as f64 / 500.0);
}

/// Sizes by `SCALE=points,seal,segment,graph,part`. In a quiet folder by `SCALE_IN`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes, asserts little"]
async fn at_scale() {
    let wide = 384;
    let scale = std::env::var("SCALE").unwrap_or("100000,5000,10000,75000,50000".into());
    let scale: Vec<usize> = scale.split(',').map(|n| n.parse().unwrap()).collect();
    let bm25 = Bm25::new();
    let folder =
        tempfile::tempdir_in(std::env::var("SCALE_IN").unwrap_or_else(|_| std::env::temp_dir().display().to_string())).unwrap();
    let open = || EdgeStore::with_segments(folder.path(), [scale[1], scale[2], scale[3], scale[4]]);
    let store = open();
    store.create(&IndexMeta { dimensions: wide, ..meta() }).await.unwrap();
    println!("{scale:?}, before: {}", memory());
    let (mut seconds, mut slowest) = (0.0, 0.0_f64);
    let points = scale[0] as u64;
    for from in (0..points).step_by(500) {
        let point = |n| {
            let passage = passage(n, &format!("doc{}", n / 10), &text(n));
            Point { id: id(n), dense: meaning(n, wide), sparse: bm25.passage(&passage.text), passage }
        };
        let points = (from..from + 500).map(point).collect();
        let start = Instant::now();
        store.upsert(points).await.unwrap();
        let took = start.elapsed().as_secs_f64();
        (seconds, slowest) = (seconds + took, slowest.max(took));
        if (from + 500).is_multiple_of(10_000) {
            println!(
                "  {}: {:.0} points/s, slowest write {slowest:.1} s; {}; {} MB",
                from + 500,
                10_000.0 / seconds,
                memory(),
                size(folder.path()) >> 20
            );
            (seconds, slowest) = (0.0, 0.0);
        }
        if [10_000, 50_000].contains(&(from + 500)) {
            look(&store, &bm25, from + 500, wide).await;
        }
    }
    let start = Instant::now();
    store.flush().await.unwrap();
    println!("  tidied in {:.1?}; {}; {} MB", start.elapsed(), memory(), size(folder.path()) >> 20);
    look(&store, &bm25, points, wide).await;
    let start = Instant::now();
    drop(store);
    println!("  closed in {:.1?}", start.elapsed());
    let store = open();
    let start = Instant::now();
    assert_eq!(store.count().await.unwrap(), points);
    println!("  opened and counted in {:.1?}; {}", start.elapsed(), memory());
    look(&store, &bm25, points, wide).await;
    let start = Instant::now();
    store.delete((0..points * 6 / 10).map(id).collect()).await.unwrap();
    println!("  60 % deleted in {:.1?}; {} MB", start.elapsed(), size(folder.path()) >> 20);
    let start = Instant::now();
    store.flush().await.unwrap();
    println!("  tidied in {:.1?}; {}; {} MB", start.elapsed(), memory(), size(folder.path()) >> 20);
    assert_eq!(store.count().await.unwrap(), points - points * 6 / 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes a minute, asserts little"]
async fn of_a_server() {
    let (server, bm25) = (Server::start().await, Bm25::new());
    println!("batches of 2000: {:.0} points/s", fill(&*server.store, &bm25, 2000).await);
    ask(&*server.store, &bm25).await;
    server.clean().await;
}

#[test]
#[ignore = "asserts little"]
fn of_bm25() {
    let bm25 = Bm25::new();
    let english = "The engine keeps every acknowledged point, and reopens in a moment; error 503 is retried. ".repeat(1000);
    let chinese = "这是一个向量数据库，它把每一个已确认的点都保存在磁盘上。".repeat(2000);
    for (name, text) in [("English", english), ("Chinese", chinese)] {
        let start = Instant::now();
        let terms: usize = (0..20).map(|_| bm25.passage(&text).indices.len()).sum();
        let rate = text.len() as f64 * 20.0 / start.elapsed().as_secs_f64() / 1e6;
        println!("{name}: {rate:.1} MB/s, {} terms", terms / 20);
    }
}
