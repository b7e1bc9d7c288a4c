//! The embedded store's own: one process at a time, kills, damaged and half-made folders.

use std::fs;
use std::io::{BufRead, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use ragstream::document::Hit;
use ragstream::vectordb::bm25::Bm25;
use ragstream::vectordb::edge::EdgeStore;
use ragstream::vectordb::{Query, StoreError, VectorStore};

use super::{WIDTH, direction, id, meta, passage, point};

/// Names the folder to the child process of these tests.
const FOLDER: &str = "RAGSTREAM_TEST_FOLDER";
/// Points the child writes in one call.
const BATCH: u64 = 50;
/// Small enough that segments are sealed, merged and searched by graph, and parts are put aside, with few points.
const SEGMENTS: [usize; 4] = [100, 400, 600, 500];

async fn filled(folder: &Path, points: u64) {
    let (store, bm25) = (EdgeStore::new(folder), Bm25::new());
    store.create(&meta()).await.unwrap();
    store.upsert((0..points).map(|n| point(&bm25, n, "a", &format!("w{n}"))).collect()).await.unwrap();
}

/// Writes until it is killed, sealing every few batches; says what was acknowledged.
#[tokio::test]
#[ignore = "the child process of the tests below"]
#[allow(clippy::print_stdout, reason = "tells the parent")]
async fn child() {
    let store = EdgeStore::with_segments(std::env::var_os(FOLDER).unwrap(), SEGMENTS);
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
struct Writer(Child);

impl Writer {
    /// SIGKILL: nothing of the child runs any more.
    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    /// What each of its threads waits for, as the kernel tells it.
    fn stacks(&self) -> String {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.0.id())).unwrap();
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
        .args(["--exact", "store::edge::child", "--ignored", "--nocapture", "--test-threads=1"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(process.stdout.take().unwrap());
    let writer = Writer(process);
    let (tell, told) = mpsc::channel();
    // Reads as long as the child runs: it must die of the kill, not of a broken pipe.
    std::thread::spawn(move || output.lines().map_while(Result::ok).for_each(|line| drop(tell.send(line))));
    loop {
        let line = match told.recv_timeout(PATIENCE) {
            Ok(line) => line,
            Err(mpsc::RecvTimeoutError::Disconnected) => panic!("the child ended early"),
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("the child hangs:\n{}", writer.stacks()),
        };
        let acknowledged = line.strip_prefix("acknowledged ").map_or(0, |last| last.parse::<u64>().unwrap() + 1);
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
        // Somewhere in the next batches: writing, sealing, merging.
        std::thread::sleep(Duration::from_millis(batches * 13));
        child.kill();

        let (store, bm25) = (EdgeStore::with_segments(folder.path(), SEGMENTS), Bm25::new());
        let there: Vec<_> = store.scroll(None, 10_000).await.unwrap();
        assert_eq!(store.count().await.unwrap(), there.len() as u64, "nothing is there twice");
        for n in 0..acknowledged * BATCH {
            let found = there.iter().find(|(found, _)| *found == id(n)).map(|(_, passage)| passage);
            let expected = (n % BATCH != 0).then(|| point(&bm25, n, "a", &format!("w{n}")).passage);
            assert_eq!(found, expected.as_ref(), "point {n} of {acknowledged} batches");
        }
        let last = acknowledged * BATCH - 1;
        let hits = store.query(Query::Sparse(bm25.query(&format!("w{last}"))), 2).await.unwrap();
        assert_eq!(hits[0].id, id(last), "vectors, too");
        // New writes are not mistaken for old ones.
        store.upsert(vec![point(&bm25, 1, "b", "fresh")]).await.unwrap();
        assert_eq!(store.query(Query::Sparse(bm25.query("fresh")), 2).await.unwrap()[0].passage.uri, "b");
    }
}

/// As kills in the middle of it leave the engine's folder: new segments beside the old ones, or in their place.
#[tokio::test]
async fn a_rearrangement_that_was_cut_short_is_undone() {
    let (folder, bm25) = (tempfile::tempdir().unwrap(), Bm25::new());
    let path = |name: &str| folder.path().join(name);
    let points = |numbers: std::ops::Range<u64>| numbers.map(|n| point(&bm25, n, "a", &format!("w{n}"))).collect::<Vec<_>>();
    let open = |name: &str| EdgeStore::with_segments(path(name), SEGMENTS);
    let store = open("live");
    store.create(&meta()).await.unwrap();
    store.upsert(points(0..250)).await.unwrap();
    store.upsert(points(250..340)).await.unwrap();
    let expected = store.scroll(None, 1000).await.unwrap();
    drop(store);
    let segments = |name: &str| fs::read_dir(path(name).join("engine/segments")).unwrap().count();
    let (before, count) = (path("live").join("engine/segments"), segments("live"));
    copied(&before, &path("old"));
    open("live").flush().await.unwrap();
    copied(&path("live"), &path("replaced/"));
    copied(&path("old"), &path("replaced/engine/before"));
    copied(&path("replaced"), &path("beside"));
    copied(&path("old"), &path("beside/engine/segments"));
    copied(&path("live"), &path("forgotten"));
    fs::create_dir(path("forgotten/engine/before.partial")).unwrap();
    assert!(segments("beside") > count, "there are new ones");
    for name in ["replaced", "beside", "forgotten"] {
        for opening in 0..2 {
            let store = open(name);
            assert_eq!(store.scroll(None, 1000).await.unwrap(), expected, "{name}, opening {opening}");
            assert_eq!(store.count().await.unwrap(), 340, "{name}, opening {opening}");
            let hits = store.query(Query::Sparse(bm25.query("w300")), 2).await.unwrap();
            assert_eq!(hits[0].id, id(300), "{name}, opening {opening}");
        }
        assert!(!path(name).join("engine/before").exists() && !path(name).join("engine/before.partial").exists());
    }
}

/// Ranks and scores, also those that depend on how often a word occurs in all, are the same in one segment and in many.
#[tokio::test]
async fn segments_do_not_show() {
    let (folder, bm25) = (tempfile::tempdir().unwrap(), Bm25::new());
    let one = EdgeStore::new(folder.path().join("one"));
    let many = EdgeStore::with_segments(folder.path().join("many"), [100, 400, usize::MAX, usize::MAX]);
    for store in [&one, &many] {
        store.create(&meta()).await.unwrap();
        for from in (0..900).step_by(90) {
            // "w0" is rare at first and frequent later.
            let text = |n: u64| format!("w{} w{} common", n % 7, if n > 500 { 0 } else { n });
            store.upsert((from..from + 90).map(|n| point(&bm25, n, "a", &text(n))).collect()).await.unwrap();
        }
        store.flush().await.unwrap();
    }
    let segments = |name: &str| fs::read_dir(folder.path().join(name).join("engine/segments")).unwrap().count();
    assert!(segments("one") == 1 && segments("many") > 2, "{} and {}", segments("one"), segments("many"));
    for n in [3, 77, 500] {
        let (dense, sparse) = (direction(n, WIDTH), bm25.query(&format!("w0 w{n} common")));
        for query in [Query::Dense(dense), Query::Sparse(sparse)] {
            // Which of many equal BM25 scores come is up to the segments; it is the same every time.
            assert_eq!(many.query(query.clone(), 20).await.unwrap(), many.query(query.clone(), 20).await.unwrap());
            let expected = one.query(query.clone(), 20).await.unwrap();
            let found = many.query(query.clone(), 20).await.unwrap();
            assert_eq!((found.len(), expected.len()), (20, 20), "{query:?}");
            for (found, expected) in found.iter().zip(&expected) {
                assert!((found.score - expected.score).abs() < 1e-4, "{query:?}: {found:?} for {expected:?}");
            }
        }
    }
}

/// Who opens an index does not know what another left unsealed; many short runs must not make one large fresh segment.
#[tokio::test]
async fn what_other_runs_left_unsealed_counts() {
    let (folder, bm25) = (tempfile::tempdir().unwrap(), Bm25::new());
    let open = || EdgeStore::with_segments(folder.path(), [100, 1000, usize::MAX, usize::MAX]);
    open().create(&meta()).await.unwrap();
    for run in 0..4 {
        let points = (run * 60..run * 60 + 60).map(|n| point(&bm25, n, "a", "text")).collect();
        open().upsert(points).await.unwrap();
    }
    assert_eq!(open().count().await.unwrap(), 240);
    let segments = fs::read_dir(folder.path().join("engine/segments")).unwrap().count();
    assert!(segments > 1, "nothing is sealed");
}

/// An index keeps its layout; one that was made when the sizes were others is sealed and merged by those of today.
#[tokio::test]
async fn an_index_takes_the_sizes_it_is_opened_with() {
    let (folder, bm25) = (tempfile::tempdir().unwrap(), Bm25::new());
    let path = |name: &str| folder.path().join(name);
    let (old, new) = ([100, 1000, usize::MAX, usize::MAX], [50, 100, usize::MAX, usize::MAX]);
    let mut counts = Vec::new();
    for (name, sizes) in [("old", [old, old]), ("opened", [old, new]), ("new", [new, new])] {
        EdgeStore::with_segments(path(name), sizes[0]).create(&meta()).await.unwrap();
        let store = EdgeStore::with_segments(path(name), sizes[1]);
        for from in (0..600).step_by(100) {
            store.upsert((from..from + 100).map(|n| point(&bm25, n, "a", "text")).collect()).await.unwrap();
        }
        assert_eq!(store.count().await.unwrap(), 600);
        counts.push(fs::read_dir(path(name).join("engine/segments")).unwrap().count());
    }
    assert!(counts[1] == counts[2] && counts[1] > counts[0], "segments: {counts:?}");
}

/// Copies a folder as a kill would leave it: what is in the page cache counts.
pub(super) fn copied(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copied(&entry.path(), &to);
        } else {
            copied_sparsely(&entry.path(), &to);
        }
    }
}

/// The engine's files are long and have holes, which `fs::copy` would fill.
fn copied_sparsely(from: &Path, to: &Path) {
    let (mut from, mut to) = (fs::File::open(from).unwrap(), fs::File::create(to).unwrap());
    let mut block = vec![0; 1 << 16];
    let mut length = 0;
    loop {
        let read = from.read(&mut block).unwrap();
        if read == 0 {
            break to.set_len(length).unwrap();
        }
        if block[..read].iter().any(|byte| *byte != 0) {
            to.seek(SeekFrom::Start(length)).unwrap();
            to.write_all(&block[..read]).unwrap();
        }
        length += read as u64;
    }
}

/// After every kind of write, with a flush before or after it: a kill loses nothing, and opening twice changes nothing.
#[tokio::test]
async fn a_kill_after_any_write_loses_nothing() {
    let (folder, bm25) = (tempfile::tempdir().unwrap(), Bm25::new());
    let live = EdgeStore::new(folder.path().join("live"));
    live.create(&meta()).await.unwrap();
    for step in 0..10 {
        let points = |from: u64, uri: &str| (from..from + 300).map(|n| point(&bm25, n, uri, &format!("w{n}"))).collect();
        match step {
            0 => live.upsert(points(0, "a")).await.unwrap(),
            1 | 6 => live.flush().await.unwrap(),
            2 => live.delete((0..10).map(id).collect()).await.unwrap(),
            3 => live.upsert(points(200, "b")).await.unwrap(),
            4 => live.delete_document("a").await.unwrap(),
            5 | 9 => live.upsert(points(100, "a")).await.unwrap(),
            7 => live.set_passages((150..160).map(|n| (id(n), passage(n, "moved", "other"))).collect()).await.unwrap(),
            _ => live.delete_document("moved").await.unwrap(),
        }
        let copy = folder.path().join(format!("killed-{step}"));
        copied(&folder.path().join("live"), &copy);
        let expected = live.scroll(None, 10_000).await.unwrap();
        for opening in 0..2 {
            let killed = EdgeStore::new(&copy);
            assert_eq!(killed.scroll(None, 10_000).await.unwrap(), expected, "step {step}, opening {opening}");
            for query in [Query::Dense(direction(220, WIDTH)), Query::Sparse(bm25.query("w220"))] {
                // Not the scores: until it is opened again, the engine counts deleted points into the document frequencies.
                let ids = |hits: Vec<Hit>| hits.into_iter().map(|hit| hit.id).collect::<Vec<_>>();
                let found = ids(killed.query(query.clone(), 5).await.unwrap());
                assert_eq!(found, ids(live.query(query, 5).await.unwrap()), "step {step}, opening {opening}");
                assert_eq!(found.contains(&id(220)), expected.iter().any(|(there, _)| *there == id(220)));
            }
        }
    }
}

#[tokio::test]
async fn a_second_process_is_told_who_has_the_index() {
    let folder = tempfile::tempdir().unwrap();
    let (mut child, _) = child_with(folder.path(), 1);
    let waiting = EdgeStore::with_wait(folder.path(), Duration::from_millis(50));
    let error = waiting.count().await.unwrap_err();
    let StoreError::Locked { holder, .. } = &error else { panic!("{error:?}") };
    assert!(holder.starts_with(&format!("process {} (it-", child.0.id())), "{holder}");
    assert_eq!(waiting.meta().await.unwrap(), Some(meta()), "what it was made with can be read");
    assert!(matches!(waiting.drop_index().await.unwrap_err(), StoreError::Locked { .. }));
    // The wait is worth it when the other ends.
    let patient = Arc::new(EdgeStore::with_wait(folder.path(), Duration::from_mins(1)));
    let counting = tokio::spawn({
        let patient = Arc::clone(&patient);
        async move { patient.count().await }
    });
    tokio::task::yield_now().await;
    child.kill();
    assert!(counting.await.unwrap().unwrap() >= BATCH - 1);
}

#[tokio::test]
async fn one_process_has_it_open_once() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path(), 3).await;
    let one = EdgeStore::new(folder.path());
    assert_eq!(one.count().await.unwrap(), 3);
    let two = EdgeStore::with_wait(folder.path(), Duration::ZERO);
    assert!(matches!(two.count().await.unwrap_err(), StoreError::Locked { .. }));
    drop(one);
    assert_eq!(two.count().await.unwrap(), 3, "dropping the first lets it go");
}

#[tokio::test]
async fn asking_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("none/such");
    let store = EdgeStore::new(&path);
    assert_eq!(store.meta().await.unwrap(), None);
    assert!(matches!(store.count().await.unwrap_err(), StoreError::Missing { .. }));
    store.drop_index().await.unwrap();
    assert!(!folder.path().join("none").exists());
}

#[tokio::test]
async fn a_half_made_index_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path(), 10).await;
    // As a kill in the middle of `create` leaves it.
    fs::rename(folder.path().join("meta.json"), folder.path().join("meta.json.tmp")).unwrap();
    fs::write(folder.path().join("mine.txt"), "kept").unwrap();
    let store = EdgeStore::new(folder.path());
    assert_eq!(store.meta().await.unwrap(), None);
    assert!(matches!(store.count().await.unwrap_err(), StoreError::Missing { .. }));
    store.create(&meta()).await.unwrap();
    assert_eq!(store.count().await.unwrap(), 0);
    store.drop_index().await.unwrap();
    assert!(folder.path().join("mine.txt").exists(), "only what is ours is removed");
}

#[tokio::test]
async fn a_damaged_index_is_an_error_with_a_way_out() {
    type Damage = fn(&Path);
    let damages: [(&str, Damage); 6] = [
        ("meta.json is no JSON", |folder| fs::write(folder.join("meta.json"), "{\"version\":").unwrap()),
        ("the engine's files are gone", |folder| fs::remove_dir_all(folder.join("engine")).unwrap()),
        ("the configuration is garbage", |folder| fs::write(folder.join("engine/edge_config.json"), [0; 40]).unwrap()),
        ("segments are cut off", |folder| {
            for_every_file(&folder.join("engine/segments"), &|file| {
                fs::File::options().write(true).open(file).unwrap().set_len(3).unwrap();
            });
        }),
        ("segments are garbage", |folder| {
            for_every_file(&folder.join("engine/segments"), &|file| fs::write(file, [0xa5; 4096]).unwrap());
        }),
        ("the log is garbage", |folder| {
            for_every_file(&folder.join("engine/wal"), &|file| fs::write(file, [0x5a; 100]).unwrap());
        }),
    ];
    for (what, damage) in damages {
        let folder = tempfile::tempdir().unwrap();
        filled(folder.path(), 20).await;
        damage(folder.path());
        let store = EdgeStore::new(folder.path());
        let error = store.count().await.expect_err(what);
        assert!(matches!(error, StoreError::Failed { .. }), "{what}: {error:?}");
        assert!(error.to_string().contains("ingest again"), "{what}: {error}");
        // Again: neither a lock that stays nor a poisoned state.
        assert!(matches!(store.count().await.unwrap_err(), StoreError::Failed { .. }), "{what}");
        store.drop_index().await.unwrap();
        store.create(&meta()).await.unwrap();
        assert_eq!(store.count().await.unwrap(), 0, "{what}");
    }
}

fn for_every_file(directory: &Path, change: &dyn Fn(&Path)) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { for_every_file(&path, change) } else { change(&path) }
    }
}
