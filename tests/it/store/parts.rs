//! The embedded store's parts: an index of many behaves like one of one, also where a kill came between two steps.

use std::fs;
use std::path::Path;

use ragstream::document::Hit;
use ragstream::vectordb::bm25::Bm25;
use ragstream::vectordb::edge::EdgeStore;
use ragstream::vectordb::{Condition, Query, StoreError, VectorStore};

use super::edge::copied;
use super::{WIDTH, direction, id, meta, passage, point};

type Step = fn(&Path, &Path);
type Damage = fn(&Path);

/// A part is put aside with every hundred points.
const SIZES: [usize; 4] = [50, 200, usize::MAX, 100];

fn parts(folder: &Path) -> usize {
    fs::read_dir(folder.join("parts")).map_or(0, Iterator::count)
}

/// Points of documents of 45; words are rare in some parts and frequent in others.
async fn fill(store: &EdgeStore, bm25: &Bm25, points: u64) {
    store.create(&meta()).await.unwrap();
    let text = |n: u64| format!("w{} w{n} common {}", n % 7, if n > 700 { "late w3" } else { "early" });
    for from in (0..points).step_by(45) {
        let uri = format!("docs/{}.md", from / 45);
        store.upsert((from..from + 45).map(|n| point(bm25, n, &uri, &text(n))).collect()).await.unwrap();
    }
    // Carries through what the last write may have begun.
    assert_eq!(store.count().await.unwrap(), points);
}

/// What both hold, and how both rank it.
async fn assert_same(one: &EdgeStore, many: &EdgeStore, bm25: &Bm25, when: &str) {
    let all = one.scroll(None, 10_000).await.unwrap();
    assert_eq!(many.scroll(None, 10_000).await.unwrap(), all, "{when}");
    let (mut paged, mut after) = (Vec::new(), None);
    loop {
        let page = many.scroll(after, 64).await.unwrap();
        after = page.last().map(|(id, _)| *id);
        let last = page.len() < 64;
        paged.extend(page);
        if last {
            break;
        }
    }
    assert_eq!(paged, all, "{when}, page by page");
    assert_eq!(many.count().await.unwrap(), all.len() as u64, "{when}");
    let sorted = |mut uris: Vec<String>| {
        uris.sort();
        uris
    };
    assert_eq!(sorted(many.uris(&[]).await.unwrap()), sorted(one.uris(&[]).await.unwrap()), "{when}");

    let within = [Condition::Documents((3..17).map(|n| format!("docs/{n}.md")).collect())];
    for conditions in [&[][..], &within] {
        for n in [3, 77, 400, 833] {
            let words = bm25.query(&format!("w3 w{n} common late"));
            for (query, grain) in [(Query::Dense(direction(n, WIDTH)), 1e-6), (Query::Sparse(words), 1e-3)] {
                let expected = one.query_where(query.clone(), conditions, 25).await.unwrap();
                let found = many.query_where(query.clone(), conditions, 25).await.unwrap();
                assert_eq!(found.len(), expected.len(), "{when}: {query:?}");
                for (found, expected) in found.iter().zip(&expected) {
                    let same = (found.score - expected.score).abs() <= grain * expected.score.abs();
                    assert!(same, "{when}: {query:?}: {found:?} for {expected:?}");
                }
            }
        }
    }
}

#[tokio::test]
async fn parts_do_not_show() {
    let (folder, bm25) = (tempfile::tempdir().unwrap(), Bm25::new());
    let path = folder.path().join("many");
    let one = EdgeStore::new(folder.path().join("one"));
    let mut many = EdgeStore::with_segments(&path, SIZES);
    for store in [&one, &many] {
        fill(store, &bm25, 900).await;
    }
    assert!(parts(&path) > 3, "{} parts", parts(&path));
    assert_same(&one, &many, &bm25, "filled").await;
    // From here on without words: until they are shed, deleted points count into the document frequencies.
    for step in 0..6 {
        if step % 2 == 1 {
            drop(many);
            many = EdgeStore::with_segments(&path, SIZES);
        }
        for store in [&one, &many] {
            match step {
                // Where they are: in parts of all ages, and some that are new.
                0 => {
                    let again = (100..950).step_by(7).map(|n| point(&bm25, n, "docs/again.md", "w3 again"));
                    store.upsert(again.collect()).await.unwrap();
                }
                1 => {
                    let moved = (0..300).step_by(11).map(|n| (id(n), passage(n, "docs/moved.md", "text")));
                    store.set_passages(moved.collect()).await.unwrap();
                }
                2 => store.delete((200..400).step_by(3).chain([5000]).map(id).collect()).await.unwrap(),
                3 => store.delete_document("docs/again.md").await.unwrap(),
                4 => store.delete_document("docs/moved.md").await.unwrap(),
                // What was deleted from an old part comes back.
                _ => store.upsert((200..400).map(|n| point(&bm25, n, "docs/back.md", "back")).collect()).await.unwrap(),
            }
        }
        let expected = one.scroll(None, 10_000).await.unwrap();
        assert_eq!(many.scroll(None, 10_000).await.unwrap(), expected, "step {step}");
        assert_eq!(many.count().await.unwrap(), expected.len() as u64, "step {step}: no point is in two parts");
        for n in [250, 400] {
            let query = Query::Dense(direction(n, WIDTH));
            let ids = |hits: Vec<Hit>| hits.into_iter().map(|hit| hit.id).collect::<Vec<_>>();
            let found = ids(many.query(query.clone(), 10).await.unwrap());
            assert_eq!(found, ids(one.query(query, 10).await.unwrap()), "step {step}");
        }
    }
}

/// As kills between the steps of putting a part aside leave the folder.
#[tokio::test]
async fn a_part_that_was_being_put_aside_is_carried_through() {
    let (folder, bm25) = (tempfile::tempdir().unwrap(), Bm25::new());
    let path = |name: &str| folder.path().join(name);
    let open = |name: &str| EdgeStore::with_segments(path(name), SIZES);
    let one = EdgeStore::new(path("one"));
    fill(&one, &bm25, 450).await;
    fill(&open("whole"), &bm25, 450).await;
    let count = parts(&path("whole"));
    let last = format!("parts/{}", count - 1);
    let steps: [(&str, Step); 4] = [
        // The newest part is empty here, or has what was written since: nothing may be lost of it.
        ("the next part was made and not taken down", |folder, _| copied(&folder.join("engine"), &folder.join("engine.new"))),
        ("the next part was half made", |folder, _| fs::create_dir(folder.join("engine.new")).unwrap()),
        ("nothing was moved", |folder, last| {
            fs::rename(folder.join("engine"), folder.join("engine.new")).unwrap();
            fs::rename(last, folder.join("engine")).unwrap();
        }),
        ("the full part was moved", |folder, _| fs::rename(folder.join("engine"), folder.join("engine.new")).unwrap()),
    ];
    for (when, step) in steps {
        let name = when.replace(' ', "-");
        copied(&path("whole"), &path(&name));
        step(&path(&name), &path(&name).join(&last));
        for opening in 0..2 {
            assert_same(&one, &open(&name), &bm25, &format!("{when}, opening {opening}")).await;
        }
        assert_eq!(parts(&path(&name)), count, "{when}");
        assert!(!path(&name).join("engine.new").exists(), "{when}");
        let more = (450..750).map(|n| point(&bm25, n, "docs/more.md", "more")).collect::<Vec<_>>();
        open(&name).upsert(more).await.unwrap();
        assert_eq!(open(&name).count().await.unwrap(), 750, "{when}");
        assert!(parts(&path(&name)) > count, "{when}");
    }
}

/// What is missing or damaged of an index of many parts is an error with a way out, not a smaller index.
#[tokio::test]
async fn a_damaged_part_is_an_error_with_a_way_out() {
    let (folder, bm25) = (tempfile::tempdir().unwrap(), Bm25::new());
    let path = |name: &str| folder.path().join(name);
    fill(&EdgeStore::with_segments(path("whole"), SIZES), &bm25, 450).await;
    let damages: [(&str, Damage); 6] = [
        ("a part is gone", |folder| fs::remove_dir_all(folder.join("parts/0")).unwrap()),
        ("all parts are gone", |folder| fs::remove_dir_all(folder.join("parts")).unwrap()),
        ("a part's configuration is garbage", |folder| fs::write(folder.join("parts/1/edge_config.json"), [0; 40]).unwrap()),
        ("the newest part is gone", |folder| fs::remove_dir_all(folder.join("engine")).unwrap()),
        ("the places are gone", |folder| fs::remove_file(folder.join("places")).unwrap()),
        ("the places are garbage", |folder| fs::write(folder.join("places"), [0xa5; 8192]).unwrap()),
    ];
    for (number, (what, damage)) in damages.into_iter().enumerate() {
        let path = path(&format!("damaged-{number}"));
        copied(&folder.path().join("whole"), &path);
        damage(&path);
        let store = EdgeStore::with_segments(&path, SIZES);
        for _ in 0..2 {
            let error = store.count().await.expect_err(what);
            assert!(matches!(error, StoreError::Failed { .. }), "{what}: {error:?}");
            assert!(error.to_string().contains("ingest again"), "{what}: {error}");
        }
        store.drop_index().await.unwrap();
        assert_eq!(
            fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>(),
            ["lock"],
            "{what}"
        );
        store.create(&meta()).await.unwrap();
        assert_eq!(store.count().await.unwrap(), 0, "{what}");
    }
}

/// A run that only adds has no full part open, and what reads opens them all.
#[tokio::test]
async fn adding_opens_no_full_part() {
    let (folder, bm25) = (tempfile::tempdir().unwrap(), Bm25::new());
    let store = EdgeStore::with_segments(folder.path(), SIZES);
    fill(&store, &bm25, 450).await;
    // Whatever opened it would fail.
    drop(store);
    let store = EdgeStore::with_segments(folder.path(), SIZES);
    let file = folder.path().join("parts/0/edge_config.json");
    let config = fs::read(&file).unwrap();
    fs::write(&file, [0; 40]).unwrap();
    let more = |from: u64| (from..from + 120).map(|n| point(&bm25, n, "docs/more.md", "more")).collect::<Vec<_>>();
    store.upsert(more(2000)).await.unwrap();
    store.upsert(more(2060)).await.unwrap();
    store.delete_document("docs/more.md").await.unwrap();
    store.flush().await.unwrap();
    store.count().await.expect_err("it counts every part");
    store.upsert(more(0)).await.expect_err("the first points are in the first part");
    fs::write(&file, config).unwrap();
    store.upsert(more(0)).await.unwrap();
    assert_eq!(store.count().await.unwrap(), 450);
}
