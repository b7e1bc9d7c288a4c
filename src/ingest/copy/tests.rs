//! Copies between stores in memory, cut short and disturbed in every way.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failing test may panic")]

mod memory;

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use proptest::collection::btree_map;
use proptest::prelude::*;
use uuid::Uuid;

use self::memory::{Memory, Then};
use super::*;
use crate::document::{Metadata, Passage};

/// Points of a page here.
const PAGE: usize = 3;

/// Made once: it takes a while to learn its languages.
static BM25: LazyLock<Arc<Bm25>> = LazyLock::new(Arc::default);

type Set = BTreeMap<u8, u8>;

/// Two sets of points by their numbers, each in one of three states, with much in common.
fn sets() -> impl Strategy<Value = (Set, Set)> {
    (btree_map(0..60_u8, 0..3_u8, 0..40), btree_map(0..60_u8, 0..3_u8, 0..40))
}

fn meta(generation: u128) -> IndexMeta {
    IndexMeta {
        version: IndexMeta::VERSION,
        generation: Uuid::from_u128(generation),
        model: "local/test".into(),
        dimensions: 2,
        chunking: "auto/400/40/o200k".into(),
        home: None,
        change: None,
        prefixes: None,
    }
}

fn id(number: u8) -> Uuid {
    Uuid::from_u128(u128::from(number) << 100 | 7)
}

/// A point as an ingest makes it. The state is where it stands, which is no part of its id.
fn made(number: u8, state: u8) -> Point {
    let passage = Passage {
        columns: None,
        page: None,
        anchor: None,
        context: None,
        uri: format!("docs/{}.md", number / 4),
        start: u64::from(state) * 100,
        end: u64::from(state) * 100 + 10,
        lines: (1, 2),
        index: u32::from(number % 4),
        title: number.is_multiple_of(3).then(|| "Schlüssel drehen".to_owned()),
        headings: if number.is_multiple_of(2) { vec!["密钥".into(), format!("Part {number}")] } else { Vec::new() },
        text: format!("passage {number}: keys are rotated 每个星期一"),
        modified: 5,
        lang: [None, Some("en".into()), Some("zh".into()), Some("xx".into())][usize::from(number % 4)].clone(),
        source: None,
        metadata: Metadata::new(),
    };
    point(&BM25, id(number), vec![f32::from(number), 1.0], passage)
}

fn store(name: &'static str, generation: u128, set: &Set) -> Arc<Memory> {
    Arc::new(Memory::new(name, Some(meta(generation)), set.iter().map(|(number, state)| made(*number, *state))))
}

/// The source's generation, and the one that the destination has before.
const HERE: u128 = 0xA;
const THERE: u128 = 0xB;

fn stores((here, there): &(Set, Set)) -> (Arc<Memory>, Arc<Memory>) {
    (store("here", HERE, here), store("there", THERE, there))
}

fn copier(from: &Arc<Memory>, to: &Arc<Memory>, options: Options, stop: &CancellationToken) -> Copy {
    Copy {
        from: Arc::clone(from) as Arc<dyn VectorStore>,
        to: Arc::clone(to) as Arc<dyn VectorStore>,
        bm25: Arc::clone(&BM25),
        options,
        progress: Arc::default(),
        stop: stop.child_token(),
        page: PAGE,
        failed: OnceLock::new(),
    }
}

async fn copied(from: &Arc<Memory>, to: &Arc<Memory>) -> Result<Summary, Error> {
    copier(from, to, Options::default(), &CancellationToken::new()).done().await
}

async fn replaced(from: &Arc<Memory>, to: &Arc<Memory>) -> Result<Summary, Error> {
    copier(from, to, Options { replace: true, ..Options::default() }, &CancellationToken::new()).done().await
}

/// Runs in a runtime of its own whose clock jumps to where something happens.
fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(work)
}

/// How many points the destination lacks or has otherwise, how many are too many, and how many are right.
fn difference((here, there): &(Set, Set)) -> (u64, u64, u64) {
    let lacking = here.iter().filter(|(number, state)| there.get(number) != Some(state)).count();
    let surplus = there.keys().filter(|number| !here.contains_key(number)).count();
    (lacking as u64, surplus as u64, (here.len() - lacking) as u64)
}

fn expect_equal(from: &Memory, to: &Memory) {
    assert_eq!(from.points(), to.points());
    assert_eq!(from.index_meta(), to.index_meta());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever both hold: afterwards the destination holds what the source does, sparse vectors and generation included, no more
    /// was done than had to be, and another copy finds nothing to do.
    #[test]
    fn a_copy_makes_the_one_the_other(sets in sets()) {
        run(async {
            let (from, to) = stores(&sets);
            let (lacking, surplus, right) = difference(&sets);
            let summary = copied(&from, &to).await.unwrap();
            expect_equal(&from, &to);
            assert_eq!(summary.outcome, Outcome::Complete);
            assert_eq!((summary.written, summary.removed, summary.kept), (lacking, surplus, right));
            assert_eq!(summary.points, sets.0.len() as u64);

            let written = to.writes();
            let again = copied(&from, &to).await.unwrap();
            assert_eq!((again.written, again.removed, again.kept), (0, 0, sets.0.len() as u64));
            assert_eq!(to.writes(), written, "neither points nor what the index says of itself");
        });
    }

    /// Ctrl-C at any call: what is in flight is finished, nothing of it is sent twice, and the destination does not pass for whole
    /// meanwhile.
    #[test]
    fn a_copy_that_was_stopped_is_gone_on_with(sets in sets(), at in 0..60_usize) {
        run(async {
            let (from, to) = stores(&sets);
            let (stop, calls) = (CancellationToken::new(), Arc::new(AtomicUsize::new(0)));
            for store in [&from, &to] {
                let (stop, calls) = (stop.clone(), Arc::clone(&calls));
                store.on_call(move |_| {
                    if calls.fetch_add(1, SeqCst) == at {
                        stop.cancel();
                    }
                    Then::GoOn
                });
            }
            let first = copier(&from, &to, Options::default(), &stop).done().await.unwrap();
            if first.outcome == Outcome::Complete {
                expect_equal(&from, &to);
            } else {
                assert!(first.outcome == Outcome::Interrupted && stop.is_cancelled());
                assert_ne!(to.index_meta().generation, from.index_meta().generation);
            }
            let second = copied(&from, &to).await.unwrap();
            expect_equal(&from, &to);
            let (lacking, surplus, _) = difference(&sets);
            assert_eq!((first.written + second.written, first.removed + second.removed), (lacking, surplus));
        });
    }

    /// A kill at any call, and a store that breaks there.
    #[test]
    fn a_copy_that_was_killed_or_broke_is_gone_on_with(sets in sets(), at in 0..60_usize, kill in any::<bool>()) {
        run(async {
            let (from, to) = stores(&sets);
            let calls = Arc::new(AtomicUsize::new(0));
            for store in [&from, &to] {
                let calls = Arc::clone(&calls);
                store.on_call(move |_| match calls.fetch_add(1, SeqCst) == at {
                    true if kill => Then::Stall,
                    true => Then::Break,
                    false => Then::GoOn,
                });
            }
            // Longer than the budget of a store: then it stalls for good.
            match tokio::time::timeout(Duration::from_secs(600), copied(&from, &to)).await {
                Ok(Ok(summary)) => assert_eq!(summary.outcome, Outcome::Complete),
                Ok(Err(error)) => assert!(error.to_string().contains("broken"), "{error}"),
                Err(_elapsed) => assert!(kill),
            }
            let whole = from.points() == to.points();
            assert!(whole || to.index_meta().generation != from.index_meta().generation);
            // Not even an old copy of the ledger may take what is half done for what was there before.
            let untouched = to.points() == store("", 0, &sets.1).points();
            assert!(untouched || to.index_meta().generation != Uuid::from_u128(THERE));
            from.on_call(|_| Then::GoOn);
            to.on_call(|_| Then::GoOn);
            let _ = copied(&from, &to).await.unwrap();
            expect_equal(&from, &to);
        });
    }

    /// A server that is away for a minute now and then is waited for.
    #[test]
    fn a_store_that_is_away_is_waited_for(sets in sets(), away in 1..6_usize, every in 2..9_usize) {
        run(async {
            let (from, to) = stores(&sets);
            for store in [&from, &to] {
                let calls = AtomicUsize::new(0);
                store.on_call(move |call| {
                    let call_of_round = calls.fetch_add(1, SeqCst) % (away + every);
                    if call_of_round < away && !call.is_of_the_start() { Then::BeAway } else { Then::GoOn }
                });
            }
            let summary = copied(&from, &to).await.unwrap();
            assert_eq!(summary.outcome, Outcome::Complete);
            expect_equal(&from, &to);
        });
    }
}

fn many(count: u8) -> Set {
    (0..count).map(|number| (number, 0)).collect()
}

#[test]
fn a_destination_that_is_not_there_is_made() {
    run(async {
        let (from, to) = (store("here", HERE, &many(50)), Arc::new(Memory::new("there", None, [])));
        let options = Options { home: Some("/home/a".into()), ..Options::default() };
        let summary = copier(&from, &to, options, &CancellationToken::new()).done().await.unwrap();
        assert_eq!((summary.written, summary.outcome), (50, Outcome::Complete));
        assert_eq!(to.points(), from.points());
        assert_eq!(to.index_meta(), IndexMeta { home: Some("/home/a".into()), ..meta(HERE) });
        assert_eq!(from.passages_read(), 0, "there was nothing to compare with");
        assert_eq!(from.vectors_read(), 50);
    });
}

#[test]
fn vectors_are_read_of_what_is_missing_alone() {
    run(async {
        let (mut there, here) = (many(60), many(60));
        there.remove(&20);
        there.insert(41, 2);
        let (from, to) = stores(&(here, there));
        let _ = copied(&from, &to).await.unwrap();
        assert_eq!(from.vectors_read(), 2);
        expect_equal(&from, &to);
    });
}

#[test]
fn a_few_pages_are_in_flight() {
    run(async {
        let (from, to) = (store("here", HERE, &many(60)), Arc::new(Memory::new("there", None, [])));
        to.on_call(|call| if call.is_upsert() { Then::Take(Duration::from_secs(1)) } else { Then::GoOn });
        let _ = copied(&from, &to).await.unwrap();
        assert_eq!(to.most_at_once(), WRITERS);
        expect_equal(&from, &to);
    });
}

#[test]
fn what_takes_too_long_to_finish_is_left() {
    run(async {
        let (from, to) = (store("here", HERE, &many(60)), Arc::new(Memory::new("there", None, [])));
        let stop = CancellationToken::new();
        let asked = stop.clone();
        to.on_call(move |call| {
            if call.is_upsert() {
                asked.cancel();
                return Then::Stall;
            }
            Then::GoOn
        });
        let began = tokio::time::Instant::now();
        let summary = copier(&from, &to, Options::default(), &stop).done().await.unwrap();
        assert_eq!(summary.outcome, Outcome::Interrupted);
        assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
    });
}

#[test]
fn a_store_that_stays_away_ends_the_copy() {
    run(async {
        for at_the_start in [true, false] {
            let (from, to) = (store("here", HERE, &many(60)), Arc::new(Memory::new("there", None, [])));
            to.on_call(move |call| if at_the_start || call.is_upsert() { Then::BeAway } else { Then::GoOn });
            let began = tokio::time::Instant::now();
            let error = copied(&from, &to).await.unwrap_err();
            assert!(error.is_transient(), "{error}");
            let (least, most) = if at_the_start { (2, 6) } else { (60, 130) };
            let waited = began.elapsed().as_secs();
            assert!((least..most).contains(&waited), "{waited} s");
        }
    });
}

/// Somebody may write to either meanwhile; then the copy does not bear the name of what it is not a copy of.
#[test]
fn what_is_written_meanwhile_is_noticed() {
    type Disturb = fn(&Memory, &Memory);
    let disturbances: [Disturb; 4] = [
        |from, _| from.put_meta(meta(0xC)),
        |from, _| from.put(made(3, 0)),
        |_, to| to.put_meta(meta(0xC)),
        |_, to| to.put(made(3, 0)),
    ];
    for disturb in disturbances {
        run(async {
            let mut here = many(50);
            here.remove(&3);
            let (from, to) = stores(&(here, Set::new()));
            let (from_too, to_too, calls) = (Arc::downgrade(&from), Arc::downgrade(&to), AtomicUsize::new(0));
            to.on_call(move |call| {
                // Beyond the place of the point that is put.
                if call.is_upsert() && calls.fetch_add(1, SeqCst) == 10 {
                    disturb(&from_too.upgrade().unwrap(), &to_too.upgrade().unwrap());
                }
                Then::GoOn
            });
            assert_eq!(copied(&from, &to).await.unwrap().outcome, Outcome::Changed);
            assert_ne!(to.index_meta().generation, Uuid::from_u128(HERE));
            to.on_call(|_| Then::GoOn);
            assert_eq!(copied(&from, &to).await.unwrap().outcome, Outcome::Complete);
            expect_equal(&from, &to);
        });
    }
}

#[test]
fn what_cannot_become_a_copy_is_refused_and_left_as_it_is() {
    type Change = fn(&mut IndexMeta);
    let changes: [(&str, Change); 3] = [
        ("the model local/other", |meta| meta.model = "local/other".into()),
        ("vectors of the width 3", |meta| meta.dimensions = 3),
        ("the chunking text/100/0/o200k", |meta| meta.chunking = "text/100/0/o200k".into()),
    ];
    for (what, change) in changes {
        run(async {
            let (from, to) = stores(&(many(20), Set::new()));
            let mut other = meta(THERE);
            change(&mut other);
            to.put_meta(other.clone());
            let error = copied(&from, &to).await.unwrap_err();
            assert!(error.to_string().contains(what) && error.hint().unwrap().contains("--replace"), "{error}");
            assert_eq!((to.index_meta(), to.writes()), (other, 0));
            let _ = replaced(&from, &to).await.unwrap();
            expect_equal(&from, &to);
        });
    }
}

#[test]
fn documents_of_another_home_are_not_removed_unasked() {
    run(async {
        let (from, to) = stores(&(many(20), (10..30).map(|number| (number, 0)).collect()));
        let theirs = IndexMeta { home: Some("/home/b".into()), ..meta(THERE) };
        to.put_meta(theirs.clone());
        let options = |replace| Options { replace, home: Some("/home/a".into()) };
        let stop = CancellationToken::new();
        let error = copier(&from, &to, options(false), &stop).done().await.unwrap_err();
        assert!(error.to_string().contains("/home/b") && error.hint().unwrap().contains("--replace"), "{error}");
        assert_eq!((to.index_meta(), to.writes()), (theirs, 0));
        let summary = copier(&from, &to, options(true), &stop).done().await.unwrap();
        assert_eq!((summary.written, summary.kept, summary.removed), (10, 10, 10), "what fits is not sent again");
        assert_eq!(to.index_meta(), IndexMeta { home: Some("/home/a".into()), ..meta(HERE) });
        assert_eq!(to.points(), from.points());
    });
}

#[test]
fn there_must_be_something_to_copy_and_somewhere_else_to_copy_it() {
    run(async {
        let (none, to) = (Arc::new(Memory::new("here", None, [])), store("there", THERE, &many(3)));
        let error = copied(&none, &to).await.unwrap_err();
        assert_eq!((error.code(), to.writes()), ("index_missing", 0), "above all nothing is removed");
        for replace in [false, true] {
            let options = Options { replace, ..Options::default() };
            let error = copier(&to, &to, options, &CancellationToken::new()).done().await.unwrap_err();
            assert_eq!((error.code(), to.writes()), ("same_index", 0));
        }
        // The same store under another name: all is there, nothing is done, nothing dropped.
        let alias = Arc::new(to.alias("elsewhere"));
        assert_eq!(replaced(&to, &alias).await.unwrap().kept, 3);
        assert_eq!((to.points().len(), to.writes()), (3, 0));
    });
}

#[test]
fn a_store_that_gives_no_vectors_out_says_so() {
    run(async {
        let (from, to) = (store("here", HERE, &many(9)), Arc::new(Memory::new("there", None, [])));
        from.keep_vectors();
        let error = copied(&from, &to).await.unwrap_err();
        assert!(error.to_string().contains("it does not give its vectors out"), "{error}");
        assert_ne!(to.index_meta().generation, Uuid::from_u128(HERE));
    });
}

#[test]
fn the_destination_is_held_while_it_is_written_and_let_go_of() {
    run(async {
        let (from, to) = stores(&(many(9), Set::new()));
        for breaks in [false, true] {
            to.on_call(move |call| if breaks && call.is_upsert() { Then::Break } else { Then::GoOn });
            let _ = copied(&from, &to).await;
            assert_eq!(to.holds(), (if breaks { 2 } else { 1 }, false));
            from.put(made(50, 0));
        }
        assert_eq!(from.holds(), (0, false), "what is read is not locked");
    });
}
