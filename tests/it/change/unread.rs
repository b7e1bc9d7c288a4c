//! While one of an index's two collections cannot be read, the other one answers if it can; else the error says which it is.

use std::path::Path;

use ragstream::vectordb::qdrant::QdrantStore;
use ragstream::vectordb::{IndexMeta, ModelChange, Slot, Slots, StoreError, StorePlan, VectorStore};
use uuid::Uuid;

use super::*;
use crate::qdrant_server::{self, Untold};

const COLLECTIONS: [&str; 2] = ["docs", "docs~second"];

fn index(turn: u32, complete: bool) -> IndexMeta {
    IndexMeta {
        version: IndexMeta::VERSION,
        generation: Uuid::from_u128(u128::from(turn) + 1),
        model: "openai/m".into(),
        dimensions: 4,
        chunking: String::new(),
        home: None,
        change: (turn > 0).then_some(ModelChange { turn, complete }),
        prefixes: None,
    }
}

/// All that may be in both, with one of them or both unread, in each way.
#[tokio::test]
async fn what_can_be_read_answers_and_what_is_not_known_is_said() {
    let held = [
        [None, Some((0, true)), Some((2, false)), Some((2, true))],
        [None, Some((1, false)), Some((1, true)), Some((3, true))],
    ];
    for first in held[0] {
        for second in held[1] {
            let server = qdrant_server::start().await;
            for (name, held) in COLLECTIONS.into_iter().zip([first, second]) {
                let Some((turn, complete)) = held else { continue };
                let store = QdrantStore::new(&server.url, None, name, Duration::from_secs(30)).unwrap();
                store.create(&index(turn, complete)).await.unwrap();
            }
            let plan = StorePlan::Qdrant {
                url: server.url.clone(),
                api_key: None,
                collection: COLLECTIONS[0].into(),
                timeout: Duration::from_secs(30),
                spread: ragstream::vectordb::Spread::default(),
            };
            let slots = Slots::open(&plan, Path::new("nowhere")).unwrap();
            let known = slots.look().await.unwrap();
            let asked = slots.answering().await.unwrap();
            assert_eq!((asked.current.slot, &asked.current.index), (known.current.slot, &known.current.index));
            for unread in [&COLLECTIONS[..1], &COLLECTIONS[1..], &COLLECTIONS[..]] {
                for how in [Untold::Unavailable, Untold::Broken, Untold::Denied] {
                    *server.faults.untold.lock().unwrap() = unread.iter().map(|name| ((*name).to_owned(), how)).collect();
                    let case = format!("{first:?} {second:?}, {unread:?} {how:?}");
                    let read = |n: usize| [first, second][n].filter(|_| !unread.contains(&COLLECTIONS[n]));
                    let answers = |n: usize| read(n).is_some_and(|(_, complete)| complete);
                    // A second collection that this key may not see is not ours.
                    let (is_first_read, hidden) = (!unread.contains(&COLLECTIONS[0]), how == Untold::Denied);
                    let expected = match (answers(0), answers(1)) {
                        (true, true) if second > first => Some(Slot::Second),
                        (true, _) => Some(Slot::First),
                        (false, true) => Some(Slot::Second),
                        (false, false) if is_first_read && hidden => Some(Slot::First),
                        (false, false) => None,
                    };
                    match (slots.answering().await, expected) {
                        (Ok(look), Some(slot)) => {
                            let held = read(usize::from(slot != Slot::First));
                            let index = held.map(|(turn, complete)| index(turn, complete));
                            assert_eq!((look.current.slot, look.current.index), (slot, index), "{case}");
                        }
                        (Err(error), None) => {
                            let words = error.to_string();
                            let named = unread.iter().any(|name| words.contains(&format!("{name} at ")));
                            assert!(named && !matches!(error, StoreError::Missing { .. }), "{case}: {words}");
                        }
                        (told, _) => panic!("{case}: {told:?}"),
                    }
                    // Whoever writes needs both, and what is not known to be nothing is never taken for nothing.
                    let wanted = is_first_read && hidden;
                    assert_eq!(slots.look().await.is_ok(), wanted, "{case}");
                }
            }
        }
    }
}

#[tokio::test]
async fn one_that_says_nothing_is_not_waited_for_where_the_other_answers() {
    let server = qdrant_server::start().await;
    let store = QdrantStore::new(&server.url, None, COLLECTIONS[1], Duration::from_secs(600)).unwrap();
    store.create(&index(1, true)).await.unwrap();
    let slots = |timeout| {
        let plan = StorePlan::Qdrant {
            url: server.url.clone(),
            api_key: None,
            collection: COLLECTIONS[0].into(),
            timeout,
            spread: ragstream::vectordb::Spread::default(),
        };
        Slots::open(&plan, Path::new("nowhere")).unwrap()
    };
    *server.faults.untold.lock().unwrap() = [(COLLECTIONS[0].to_owned(), Untold::Silent)].into();
    let look = slots(Duration::from_secs(600)).answering().await.unwrap();
    assert_eq!(look.current.slot, Slot::Second);
    // What is alone has its own time.
    *server.faults.untold.lock().unwrap() = [(COLLECTIONS[1].to_owned(), Untold::Silent)].into();
    let error = slots(Duration::from_secs(3)).answering().await.unwrap_err();
    assert!(error.is_transient() && error.to_string().contains(COLLECTIONS[1]), "{error}");
}

/// Commands and a service, in the midst of a change and after it.
#[test]
fn a_question_is_answered_while_the_other_collection_cannot_be_read() {
    let rig = indexed(Kind::Qdrant);
    let before = searched(&rig, "docs").0;
    rewrite(&rig, "docs", OLD, NEW);
    let stop = rig.requests.load(Ordering::SeqCst) + 4;
    assert!(rig.kill_when(&[], || rig.requests.load(Ordering::SeqCst) >= stop), "it had ended");
    let faults = &rig.server.as_ref().unwrap().faults;
    let untold = |name: &str, how| *faults.untold.lock().unwrap() = [(name.to_owned(), how)].into();
    for how in [Untold::Unavailable, Untold::Broken, Untold::Denied] {
        untold(COLLECTIONS[1], how);
        let (hits, said) = searched(&rig, "docs");
        assert_eq!(hits, before);
        assert!(words(&said).contains("answers come from the vectors of"), "{said}");
        let status = rig.run(&["status", "--json"]).expect_code(0).last("status");
        assert!(status["index"]["model"].as_str().unwrap().contains("3-small"), "{status}");
    }
    // A run that does not know what there is does nothing to it.
    untold(COLLECTIONS[1], Untold::Broken);
    let refused = rig.ingest(&[]).expect_code(2);
    assert!(words(&refused.stderr).contains("out of disk"), "{refused:?}");
    faults.untold.lock().unwrap().clear();
    assert_eq!(models(&rig).len(), 2, "what was made is there");

    assert_eq!(rig.complete()["change"]["complete"], true);
    let after = searched(&rig, "docs").0;
    untold(COLLECTIONS[0], Untold::Broken);
    assert_eq!(searched(&rig, "docs").0, after);
    untold(COLLECTIONS[1], Untold::Broken);
    let failed = rig.run(&["search", QUESTION]).expect_code(2);
    assert!(
        words(&failed.stderr).contains("docs~second") && !failed.stderr.contains("index something first"),
        "{}",
        failed.stderr
    );
}
