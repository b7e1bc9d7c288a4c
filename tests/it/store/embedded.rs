//! The embedded store's own: one writer and many readers, kills, damaged and half-made folders, segments.

mod damage;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use ragstream::document::{Hit, Point};
use ragstream::vectordb::bm25::Bm25;
use ragstream::vectordb::embedded::EmbeddedStore;
use ragstream::vectordb::{IndexMeta, Query, StoreError, VectorStore};

use super::{WIDTH, direction, id, meta, point};

/// Names the folder to the child process of these tests.
const FOLDER: &str = "RAGSTREAM_TEST_FOLDER";
/// Points the child writes in one call.
const BATCH: u64 = 50;
/// Small enough that segments are written and merged all the time.
const SEGMENTS: [usize; 2] = [60, 1000];

async fn filled(folder: &Path, points: u64) {
    let (store, bm25) = (EmbeddedStore::new(folder), Bm25::new());
    store.create(&meta()).await.unwrap();
    store.upsert((0..points).map(|n| point(&bm25, n, "a", &format!("w{n}"))).collect()).await.unwrap();
}

/// The folder of the index's files.
fn data(folder: &Path) -> PathBuf {
    let mut found = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    found.find(|path| path.file_name().unwrap().to_str().unwrap().starts_with("index-")).unwrap()
}

/// The files of its segments.
fn segments(folder: &Path) -> Vec<PathBuf> {
    let all = fs::read_dir(data(folder)).unwrap().map(|entry| entry.unwrap().path());
    all.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("segment-")).collect()
}

/// Bytes of all files.
fn size(path: &Path) -> u64 {
    let entries = fs::read_dir(path).unwrap().map(|entry| entry.unwrap());
    entries.map(|entry| if entry.path().is_dir() { size(&entry.path()) } else { entry.metadata().unwrap().len() }).sum()
}

/// Writes until it is killed, tidying every few batches; says what was acknowledged.
#[tokio::test]
#[ignore = "the child process of the tests below"]
#[allow(clippy::print_stdout, reason = "tells the parent")]
async fn child() {
    let store = EmbeddedStore::with_segments(std::env::var_os(FOLDER).unwrap(), SEGMENTS);
    let bm25 = Bm25::new();
    store.create(&meta()).await.unwrap();
    for batch in 0.. {
        let numbers = batch * BATCH..(batch + 1) * BATCH;
        store.upsert(numbers.map(|n| point(&bm25, n, "a", &format!("w{n}"))).collect()).await.unwrap();
        store.delete(vec![id(batch * BATCH)]).await.unwrap();
        if batch % 4 == 3 {
            store.flush().await.unwrap();
        }
        println!("\nacknowledged {batch}");
    }
}

/// How long a child may take for its next batch. Some 20 ms are usual.
const PATIENCE: Duration = Duration::from_mins(1);

/// A running child, killed when dropped.
struct Writer {
    process: Child,
    told: mpsc::Receiver<String>,
    acknowledged: std::cell::Cell<u64>,
}

impl Writer {
    /// SIGKILL: nothing of the child runs any more.
    fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// How many batches it said were acknowledged, by now.
    fn acknowledged(&self) -> u64 {
        self.told.try_iter().for_each(|line| self.note(&line));
        self.acknowledged.get()
    }

    fn note(&self, line: &str) {
        if let Some(last) = line.strip_prefix("acknowledged ") {
            self.acknowledged.set(last.parse::<u64>().unwrap() + 1);
        }
    }

    /// What each of its threads waits for, as the kernel tells it.
    fn stacks(&self) -> String {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.process.id())).unwrap();
        let told = |path: &Path| {
            let read = |file| fs::read_to_string(path.join(file)).unwrap_or_default();
            ["comm", "wchan", "syscall", "stack"].map(read).concat()
        };
        tasks.map(|task| told(&task.unwrap().path())).collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Starts the child and waits for so many acknowledged batches.
fn child_with(folder: &Path, batches: u64) -> (Writer, u64) {
    let mut process = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "store::embedded::child", "--ignored", "--nocapture", "--test-threads=1"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(process.stdout.take().unwrap());
    let (tell, told) = mpsc::channel();
    // Reads as long as the child runs: it must die of the kill, not of a broken pipe.
    std::thread::spawn(move || output.lines().map_while(Result::ok).for_each(|line| drop(tell.send(line))));
    let writer = Writer { process, told, acknowledged: std::cell::Cell::new(0) };
    loop {
        match writer.told.recv_timeout(PATIENCE) {
            Ok(line) => writer.note(&line),
            Err(mpsc::RecvTimeoutError::Disconnected) => panic!("the child ended early"),
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("the child hangs:\n{}", writer.stacks()),
        }
        let acknowledged = writer.acknowledged.get();
        if acknowledged >= batches {
            return (writer, acknowledged);
        }
    }
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_kill() {
    for batches in [1, 6, 11, 30] {
        let folder = tempfile::tempdir().unwrap();
        let (mut child, acknowledged) = child_with(folder.path(), batches);
        // Somewhere in the next batches: writing, making segments, merging.
        std::thread::sleep(Duration::from_millis(batches * 13));
        child.kill();

        let (store, bm25) = (EmbeddedStore::with_segments(folder.path(), SEGMENTS), Bm25::new());
        let there: Vec<_> = store.scroll(None, 10_000).await.unwrap();
        assert_eq!(store.count().await.unwrap(), there.len() as u64, "nothing is there twice");
        for n in 0..acknowledged * BATCH {
            let found = there.iter().find(|(found, _)| *found == id(n)).map(|(_, passage)| passage);
            let expected = (n % BATCH != 0).then(|| point(&bm25, n, "a", &format!("w{n}")).passage);
            assert_eq!(found, expected.as_ref(), "point {n} of {acknowledged} batches");
        }
        for n in (0..acknowledged * BATCH).filter(|n| n % BATCH != 0).step_by(7) {
            let hits = store.query(Query::Sparse(bm25.query(&format!("w{n}"))), 2).await.unwrap();
            assert_eq!((hits.len(), hits[0].id), (1, id(n)), "its words");
            let hits = store.query(Query::Dense(direction(n, WIDTH)), 1).await.unwrap();
            assert_eq!(hits[0].id, id(n), "its direction");
        }
        // New writes are not mistaken for old ones.
        store.upsert(vec![point(&bm25, 1, "b", "fresh")]).await.unwrap();
        assert_eq!(store.query(Query::Sparse(bm25.query("fresh")), 2).await.unwrap()[0].passage.uri, "b");
    }
}

/// Another process writes as fast as it can, and its segments are merged all the time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reading_goes_on_beside_a_writer() {
    let folder = tempfile::tempdir().unwrap();
    let (child, mut acknowledged) = child_with(folder.path(), 5);
    let (store, bm25) = (EmbeddedStore::new(folder.path()), Bm25::new());
    let began = Instant::now();
    let mut seen = 0;
    for round in 0.. {
        if round >= 40 && acknowledged > 60 {
            break;
        }
        assert!(began.elapsed() < PATIENCE, "the child writes {acknowledged} batches only");
        // Whatever was acknowledged before the question is seen by it. Each batch leaves one point less than it wrote.
        acknowledged = child.acknowledged();
        let count = store.count().await.unwrap();
        assert!(
            count >= acknowledged * (BATCH - 1) && count + 1 >= seen,
            "{count} points of {acknowledged} batches, {seen} before"
        );
        seen = count;
        let last = acknowledged * BATCH - 1;
        let hits = store.query(Query::Sparse(bm25.query(&format!("w{last}"))), 3).await.unwrap();
        assert_eq!((hits.len(), hits[0].id), (1, id(last)), "the newest words");
        let hits = store.query(Query::Dense(direction(last, WIDTH)), 20).await.unwrap();
        assert_eq!((hits.len(), hits[0].id), (20, id(last)), "the newest direction");
        assert_eq!(store.scroll(None, 30).await.unwrap().len(), 30);
        assert_eq!(store.uris(&[]).await.unwrap(), ["a"]);
    }
    assert_eq!(store.meta().await.unwrap(), Some(meta()));
}

#[tokio::test]
async fn a_second_writer_is_told_who_writes() {
    let folder = tempfile::tempdir().unwrap();
    let (mut child, _) = child_with(folder.path(), 1);
    let (waiting, bm25) = (EmbeddedStore::with_wait(folder.path(), Duration::from_millis(50)), Bm25::new());
    let error = waiting.upsert(vec![point(&bm25, 1, "b", "mine")]).await.unwrap_err();
    let StoreError::Locked { holder, .. } = &error else { panic!("{error:?}") };
    assert!(holder.starts_with(&format!("process {} (it-", child.process.id())), "{holder}");
    assert!(matches!(waiting.acquire().await.unwrap_err(), StoreError::Locked { .. }), "before anything is worked out");
    assert!(matches!(waiting.drop_index().await.unwrap_err(), StoreError::Locked { .. }));
    assert!(matches!(waiting.flush().await.unwrap_err(), StoreError::Locked { .. }));
    // The wait is worth it when the other ends.
    let patient = Arc::new(EmbeddedStore::with_wait(folder.path(), Duration::from_mins(1)));
    let writing = tokio::spawn({
        let (patient, point) = (Arc::clone(&patient), point(&bm25, 1, "b", "mine"));
        async move { patient.upsert(vec![point]).await }
    });
    tokio::task::yield_now().await;
    child.kill();
    writing.await.unwrap().unwrap();
    assert_eq!(patient.query(Query::Sparse(bm25.query("mine")), 2).await.unwrap()[0].id, id(1));
}

#[tokio::test]
async fn one_writes_and_others_read() {
    let (folder, bm25) = (tempfile::tempdir().unwrap(), Bm25::new());
    let one = EmbeddedStore::new(folder.path());
    one.create(&meta()).await.unwrap();
    let two = EmbeddedStore::with_wait(folder.path(), Duration::ZERO);
    for n in 0..3 {
        one.upsert(vec![point(&bm25, n, "a", "text")]).await.unwrap();
        assert_eq!(two.count().await.unwrap(), n + 1, "what is acknowledged is seen");
    }
    assert!(matches!(two.delete_document("a").await.unwrap_err(), StoreError::Locked { .. }));
    one.release().await;
    two.delete_document("a").await.unwrap();
    assert_eq!(one.count().await.unwrap(), 0, "it was released, and goes on reading");
    assert!(matches!(
        EmbeddedStore::with_wait(folder.path(), Duration::ZERO).acquire().await.unwrap_err(),
        StoreError::Locked { .. }
    ));
    drop(two);
    one.upsert(vec![point(&bm25, 9, "a", "text")]).await.unwrap();
}

/// Who reads sees that an index was made anew in another process.
#[tokio::test]
async fn a_reader_follows_an_index_that_is_made_anew() {
    let (folder, bm25) = (tempfile::tempdir().unwrap(), Bm25::new());
    filled(folder.path(), 200).await;
    let reader = EmbeddedStore::new(folder.path());
    assert_eq!(reader.count().await.unwrap(), 200);
    let writer = EmbeddedStore::new(folder.path());
    writer.drop_index().await.unwrap();
    assert!(matches!(reader.count().await.unwrap_err(), StoreError::Missing { .. }));
    let other = IndexMeta { dimensions: 3, ..meta() };
    writer.create(&other).await.unwrap();
    let new = Point { dense: vec![1.0, 0.0, 0.0], ..point(&bm25, 1, "b", "anew") };
    writer.upsert(vec![new]).await.unwrap();
    assert_eq!(reader.count().await.unwrap(), 1);
    let hits = reader.query(Query::Dense(vec![1.0, 0.0, 0.0]), 5).await.unwrap();
    assert_eq!((hits.len(), hits[0].passage.uri.as_str()), (1, "b"));
}

/// Ranks and scores are the same, to the last bit, in one segment and in many, with and without what was deleted.
#[tokio::test]
async fn neither_segments_nor_deletions_show() {
    let (folder, bm25) = (tempfile::tempdir().unwrap(), Bm25::new());
    let path = |name: &str| folder.path().join(name);
    // "w0" is rare at first and frequent later.
    let text = |n: u64| format!("w{} w{} common", n % 7, if n > 500 { 0 } else { n });
    let points = |numbers: std::ops::Range<u64>| numbers.map(|n| point(&bm25, n, "a", &text(n))).collect::<Vec<_>>();
    let (one, many) = (EmbeddedStore::new(path("one")), EmbeddedStore::with_segments(path("many"), [50, 200]));
    for store in [&one, &many] {
        store.create(&meta()).await.unwrap();
    }
    one.upsert(points(0..900)).await.unwrap();
    for from in (0..900).step_by(90) {
        // Each with others that go again: some with words of their own, some with those of all, some rewritten.
        let guests = (10_000 + from..10_060 + from).map(|n| point(&bm25, n, "guest", &text(n % 97))).collect::<Vec<_>>();
        many.upsert(guests).await.unwrap();
        many.upsert(
            points(from..from + 45).into_iter().map(|point| Point { sparse: bm25.passage("w1 old"), ..point }).collect(),
        )
        .await
        .unwrap();
        many.upsert(points(from..from + 90)).await.unwrap();
        if from % 4 == 0 {
            many.delete((10_000 + from..10_030 + from).map(id).collect()).await.unwrap();
        }
    }
    many.delete_document("guest").await.unwrap();
    drop(many);
    let mut steps = 0;
    for step in ["as written", "opened again", "tidied", "tidied and opened again"] {
        let many = EmbeddedStore::new(path("many"));
        if step == "tidied" {
            EmbeddedStore::with_segments(path("many"), [50, 200]).flush().await.unwrap();
        }
        assert_eq!(many.count().await.unwrap(), 900, "{step}");
        for n in [3, 77, 500] {
            for query in [Query::Dense(direction(n, WIDTH)), Query::Sparse(bm25.query(&format!("w0 w{n} common")))] {
                let scores = |hits: Vec<Hit>| hits.into_iter().map(|hit| hit.score).collect::<Vec<_>>();
                let expected = scores(one.query(query.clone(), 900).await.unwrap());
                assert_eq!(scores(many.query(query.clone(), 900).await.unwrap()), expected, "{step}: {query:?}");
            }
        }
        steps += 1;
    }
    assert!(steps == 4 && segments(&path("many")).len() > 1, "{:?}", segments(&path("many")));
}

/// What many short runs leave becomes segments, and these do not grow in number.
#[tokio::test]
async fn many_short_runs_leave_few_segments() {
    let (folder, bm25) = (tempfile::tempdir().unwrap(), Bm25::new());
    let open = || EmbeddedStore::with_segments(folder.path(), [16, 100_000]);
    open().create(&meta()).await.unwrap();
    for run in 0..100 {
        let store = open();
        store.upsert((run * 5..run * 5 + 5).map(|n| point(&bm25, n, "a", &format!("w{n}"))).collect()).await.unwrap();
        store.flush().await.unwrap();
    }
    assert_eq!(open().count().await.unwrap(), 500);
    let count = segments(folder.path()).len();
    assert!((1..=24).contains(&count), "{count} segments");
}

/// Three quarters deleted: their space is free again without the index being made anew.
#[tokio::test]
async fn space_comes_back_after_deletions() {
    let (folder, bm25) = (tempfile::tempdir().unwrap(), Bm25::new());
    let store = EmbeddedStore::with_segments(folder.path(), [500, 100_000]);
    store.create(&meta()).await.unwrap();
    for from in (0..6000).step_by(500) {
        let text = |n: u64| format!("w{n} {}", "some words that take their space ".repeat(20));
        store.upsert((from..from + 500).map(|n| point(&bm25, n, &format!("d{}", n / 10), &text(n))).collect()).await.unwrap();
    }
    store.flush().await.unwrap();
    let before = size(folder.path());
    for document in (0..600).filter(|n| n % 4 != 0) {
        store.delete_document(&format!("d{document}")).await.unwrap();
    }
    store.flush().await.unwrap();
    store.release().await;
    let after = size(folder.path());
    assert_eq!(store.count().await.unwrap(), 1500);
    assert!(after * 5 < before * 2, "{before} bytes before, {after} after");
}

/// Nearest neighbours among clusters, against all vectors compared in full.
#[tokio::test]
async fn the_nearest_are_found() {
    for (width, amount) in [(256, 6000), (1536, 1500)] {
        let (folder, bm25) = (tempfile::tempdir().unwrap(), Bm25::new());
        let store = EmbeddedStore::with_segments(folder.path(), [1000, 100_000]);
        store.create(&IndexMeta { dimensions: width, ..meta() }).await.unwrap();
        let vector = |n: u64| -> Vec<f32> {
            let (center, noise) = (direction(1_000_000 + n % 100, width), direction(n, width));
            center.iter().zip(noise).map(|(center, noise)| center + 0.8 * noise).collect()
        };
        for from in (0..amount).step_by(500) {
            let points = (from..from + 500).map(|n| Point { dense: vector(n), ..point(&bm25, n, "a", "") });
            store.upsert(points.collect()).await.unwrap();
        }
        store.flush().await.unwrap();
        assert!(!segments(folder.path()).is_empty());
        let cosine = |a: &[f32], b: &[f32]| {
            let product = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum::<f64>();
            product(a, b) / (product(a, a) * product(b, b)).sqrt()
        };
        let vectors: Vec<Vec<f32>> = (0..amount).map(vector).collect();
        let (mut found, questions) = (0, 20);
        for n in 0..questions {
            let question = vector(5_000_000 + n * 7);
            let mut nearest: Vec<_> = (0..amount).map(|n| (cosine(&question, &vectors[n as usize]), id(n))).collect();
            nearest.sort_by(|a, b| b.0.total_cmp(&a.0));
            let hits = store.query(Query::Dense(question), 10).await.unwrap();
            for (hit, (score, _)) in hits.iter().zip(&nearest) {
                assert!((f64::from(hit.score) - score).abs() < 1e-3, "{hit:?}: {score}");
            }
            found += hits.iter().filter(|hit| nearest[..10].iter().any(|(_, id)| *id == hit.id)).count();
        }
        assert!(found as f64 >= 0.995 * 10.0 * questions as f64, "{width} wide: {found} of {}", questions * 10);
    }
}

#[tokio::test]
async fn numbers_that_are_none_are_refused() {
    let (folder, bm25) = (tempfile::tempdir().unwrap(), Bm25::new());
    let store = EmbeddedStore::new(folder.path());
    store.create(&meta()).await.unwrap();
    for bad in [f32::NAN, f32::INFINITY] {
        let mut odd = point(&bm25, 1, "a", "odd");
        odd.dense[3] = bad;
        let refused = store.upsert(vec![point(&bm25, 2, "a", "even"), odd]).await.unwrap_err();
        assert!(refused.to_string().contains("not finite"), "{refused}");
    }
    assert_eq!(store.count().await.unwrap(), 0);
}
