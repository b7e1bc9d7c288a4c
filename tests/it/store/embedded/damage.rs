//! Kills, leftovers and damage.

use std::fs;
use std::path::Path;

use ragstream::vectordb::bm25::Bm25;
use ragstream::vectordb::embedded::EmbeddedStore;
use ragstream::vectordb::{Query, StoreError, VectorStore};

use super::super::{WIDTH, direction, id, meta, passage, point};
use super::{data, filled, segments};

/// Copies a folder as a kill would leave it: what is in the page cache counts.
fn copied(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        // A segment may go while it is copied, as under a kill.
        if entry.path().is_dir() { copied(&entry.path(), &to) } else { drop(fs::copy(entry.path(), &to)) }
    }
}

/// After every kind of write, with tidying before or after it: a kill loses nothing, and opening twice changes nothing.
#[tokio::test]
async fn a_kill_after_any_write_loses_nothing() {
    let (folder, bm25) = (tempfile::tempdir().unwrap(), Bm25::new());
    let live = EmbeddedStore::with_segments(folder.path().join("live"), [100_000, 200_000]);
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
            let killed = EmbeddedStore::with_segments(&copy, [10, 1000]);
            assert_eq!(killed.scroll(None, 10_000).await.unwrap(), expected, "step {step}, opening {opening}");
            for query in [Query::Dense(direction(220, WIDTH)), Query::Sparse(bm25.query("w220"))] {
                let found = killed.query(query.clone(), 5).await.unwrap();
                assert_eq!(found, live.query(query, 5).await.unwrap(), "step {step}, opening {opening}");
                assert_eq!(found.iter().any(|hit| hit.id == id(220)), expected.iter().any(|(there, _)| *there == id(220)));
            }
            killed.flush().await.unwrap();
        }
    }
}

/// As kills between the steps leave the folder: files that no state names.
#[tokio::test]
async fn what_a_kill_left_is_removed() {
    let (folder, bm25) = (tempfile::tempdir().unwrap(), Bm25::new());
    let store = EmbeddedStore::with_segments(folder.path(), [50, 1000]);
    store.create(&meta()).await.unwrap();
    store.upsert((0..100).map(|n| point(&bm25, n, "a", "text")).collect()).await.unwrap();
    store.flush().await.unwrap();
    drop(store);
    let sorted = || {
        let mut all = segments(folder.path());
        all.sort();
        all
    };
    let named = sorted();
    assert!(!named.is_empty());
    fs::copy(&named[0], data(folder.path()).join("segment-00000000000000aa")).unwrap();
    fs::write(data(folder.path()).join("segment-00000000000000bb"), "half").unwrap();
    fs::create_dir(folder.path().join("index-00000000000000cc")).unwrap();
    fs::write(folder.path().join("index-00000000000000cc/index.db"), "").unwrap();
    fs::write(folder.path().join("mine.txt"), "kept").unwrap();
    let reader = EmbeddedStore::new(folder.path());
    assert_eq!(reader.count().await.unwrap(), 100);
    assert!(folder.path().join("index-00000000000000cc").exists(), "who only reads removes nothing");
    let store = EmbeddedStore::new(folder.path());
    store.acquire().await.unwrap();
    assert_eq!(sorted(), named);
    assert!(!folder.path().join("index-00000000000000cc").exists() && folder.path().join("mine.txt").exists());
}

#[tokio::test]
async fn asking_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("none/such");
    let store = EmbeddedStore::new(&path);
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
    let store = EmbeddedStore::new(folder.path());
    assert_eq!(store.meta().await.unwrap(), None);
    assert!(matches!(store.count().await.unwrap_err(), StoreError::Missing { .. }));
    store.create(&meta()).await.unwrap();
    assert_eq!(store.count().await.unwrap(), 0);
    store.drop_index().await.unwrap();
    assert!(folder.path().join("mine.txt").exists(), "only what is ours is removed");
}

/// What else is in the folder is somebody else's, whatever it is called.
#[tokio::test]
async fn what_is_not_ours_stays() {
    let (folder, bm25) = (tempfile::tempdir().unwrap(), Bm25::new());
    let theirs = ["engine/a", "parts/0/b", "places/c", "index-pages/d", "index-00000000000000AA/e", "index.db", "segment-1"];
    for path in theirs.map(|path| folder.path().join(path)) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "mine").unwrap();
    }
    let store = EmbeddedStore::new(folder.path());
    store.create(&meta()).await.unwrap();
    store.upsert(vec![point(&bm25, 1, "a", "text")]).await.unwrap();
    store.flush().await.unwrap();
    store.release().await;
    store.acquire().await.unwrap();
    store.drop_index().await.unwrap();
    for path in theirs {
        assert_eq!(fs::read_to_string(folder.path().join(path)).unwrap(), "mine", "{path}");
    }
    // A file that has our name and is not ours is not replaced, not even to make the index anew.
    fs::write(folder.path().join("meta.json"), r#"{"name": "my project"}"#).unwrap();
    for refused in [
        store.meta().await.unwrap_err(),
        store.create(&meta()).await.unwrap_err(),
        store.drop_index().await.unwrap_err(),
        store.count().await.unwrap_err(),
    ] {
        assert!(refused.to_string().contains("not ragstream's") && !refused.is_transient(), "{refused:?}");
    }
    assert!(fs::read_to_string(folder.path().join("meta.json")).unwrap().contains("my project"));
}

/// An index that an earlier version made, with the engine it had.
#[tokio::test]
async fn an_earlier_layout_says_how_to_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("meta.json"), serde_json::to_vec(&meta()).unwrap()).unwrap();
    fs::write(path("places"), "").unwrap();
    for part in ["engine", "parts/0"] {
        fs::create_dir_all(path(part)).unwrap();
    }
    let store = EmbeddedStore::new(folder.path());
    for error in [store.meta().await.unwrap_err(), store.count().await.unwrap_err(), store.acquire().await.unwrap_err()] {
        assert!(matches!(error, StoreError::Layout { found: 2, reads: 3, .. }), "{error:?}");
        assert!(error.hint().unwrap().contains("ingest --rebuild"), "{:?}", error.hint());
    }
    store.drop_index().await.unwrap();
    store.create(&meta()).await.unwrap();
    assert_eq!(store.count().await.unwrap(), 0);
    assert!(!path("engine").exists() && !path("parts").exists() && !path("places").exists(), "the old files are gone");
    fs::write(path("meta.json"), r#"{"layout": 4, "anything": "else"}"#).unwrap();
    let later = EmbeddedStore::new(folder.path()).count().await.unwrap_err();
    assert!(later.hint().unwrap().contains("update ragstream"), "{later:?}");
}

#[tokio::test]
async fn a_damaged_index_is_an_error_with_a_way_out() {
    type Damage = fn(&Path);
    let damages: [(&str, &str, Damage); 7] = [
        ("meta.json is no JSON", "meta.json", |folder| fs::write(folder.join("meta.json"), "{\"version\":").unwrap()),
        ("meta.json leads elsewhere", "meta.json", |folder| {
            let json = fs::read_to_string(folder.join("meta.json")).unwrap();
            fs::write(folder.join("meta.json"), json.replace("index-", "../index-")).unwrap();
        }),
        ("the database is gone", "index.db", |folder| fs::remove_file(data(folder).join("index.db")).unwrap()),
        ("the database is garbage", "index.db", |folder| fs::write(data(folder).join("index.db"), [0xa5; 8192]).unwrap()),
        ("a segment is gone", "segment-", |folder| fs::remove_file(&segments(folder)[0]).unwrap()),
        ("a segment is cut off", "segment-", |folder| {
            fs::File::options().write(true).open(&segments(folder)[0]).unwrap().set_len(3000).unwrap();
        }),
        ("a segment is garbage", "segment-", |folder| fs::write(&segments(folder)[0], [0xa5; 8192]).unwrap()),
    ];
    for (what, file, damage) in damages {
        let (folder, bm25) = (tempfile::tempdir().unwrap(), Bm25::new());
        filled(folder.path(), 200).await;
        EmbeddedStore::with_segments(folder.path(), [50, 1000]).flush().await.unwrap();
        damage(folder.path());
        let store = EmbeddedStore::new(folder.path());
        // Twice: neither a lock that stays nor a poisoned state.
        for _ in 0..2 {
            let error = store.query(Query::Sparse(bm25.query("w7")), 5).await.expect_err(what);
            assert!(matches!(error, StoreError::Damaged { .. }), "{what}: {error:?}");
            assert!(error.to_string().contains(file), "{what}: {error}");
            assert!(error.hint().unwrap().contains("ingest --rebuild"), "{what}: {error}");
        }
        store.drop_index().await.unwrap();
        store.create(&meta()).await.unwrap();
        assert_eq!(store.count().await.unwrap(), 0, "{what}");
    }
}

/// What leads to a segment's rows and terms is compared with its checksum before anything is answered by it.
#[tokio::test]
async fn a_byte_that_leads_elsewhere_is_found_by_the_question() {
    let (folder, bm25) = (tempfile::tempdir().unwrap(), Bm25::new());
    filled(folder.path(), 300).await;
    EmbeddedStore::with_segments(folder.path(), [400, 1000]).flush().await.unwrap();
    let file = segments(folder.path()).remove(0);
    let whole = fs::read(&file).unwrap();
    for at in [1024 + 5, 1024 + 300 * 4 - 1, whole.len() - 1, whole.len() - 4] {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        fs::write(&file, bytes).unwrap();
        let store = EmbeddedStore::new(folder.path());
        let error = store.query(Query::Sparse(bm25.query("w7 w8")), 5).await.expect_err(&format!("byte {at}"));
        assert!(matches!(error, StoreError::Damaged { .. }), "byte {at}: {error:?}");
    }
    // One that is cut off is found before anything is written, though nobody asks.
    fs::write(&file, &whole[..whole.len() / 2]).unwrap();
    let error = EmbeddedStore::new(folder.path()).acquire().await.unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error:?}");
}

/// A byte that is not what was written is found when the segment is merged, wherever it is, and never carried on.
#[tokio::test]
async fn a_byte_that_changed_is_found_when_segments_are_merged() {
    let (folder, bm25) = (tempfile::tempdir().unwrap(), Bm25::new());
    let store = EmbeddedStore::with_segments(folder.path().join("whole"), [200, 1000]);
    store.create(&meta()).await.unwrap();
    store.upsert((0..100).map(|n| point(&bm25, n, "a", &format!("w{n} words"))).collect()).await.unwrap();
    store.flush().await.unwrap();
    drop(store);
    assert_eq!(segments(&folder.path().join("whole")).len(), 1);
    let length = fs::metadata(&segments(&folder.path().join("whole"))[0]).unwrap().len();
    // Beyond the last term there are fences, which are not merged: a copy of what is.
    for (number, at) in (1024..length - 8).step_by((length / 40) as usize).enumerate() {
        let copy = folder.path().join(format!("copy-{number}"));
        copied(&folder.path().join("whole"), &copy);
        let file = segments(&copy).remove(0);
        let mut bytes = fs::read(&file).unwrap();
        bytes[at as usize] ^= 0x10;
        fs::write(&file, bytes).unwrap();
        let store = EmbeddedStore::with_segments(&copy, [200, 1000]);
        // More than a quarter is gone: it is due.
        store.delete((0..40).map(id).collect()).await.unwrap();
        let error = store.flush().await.expect_err(&format!("byte {at} of {length}"));
        assert!(matches!(error, StoreError::Damaged { .. }), "byte {at}: {error:?}");
        assert!(error.to_string().contains(file.file_name().unwrap().to_str().unwrap()), "{error}");
        // What was there is there.
        assert_eq!(store.count().await.unwrap(), 60);
        // And whatever is asked, it is an answer or an error.
        let _ = store.query(Query::Sparse(bm25.query("words w70")), 5).await;
        let _ = store.query(Query::Dense(direction(3, WIDTH)), 5).await;
    }
}
