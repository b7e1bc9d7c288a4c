//! Any history of calls agrees with the model, whatever is closed, opened again or dropped in between.

use std::task::{Context, Poll, Waker};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};
use ragstream::ingest::ledger::{
    Commit, Difference, Epoch, FailedDocument, Fenced, Intent, Ledger, Listing, Meta, RunId, Scope, Staged, StoredPoint,
};
use ragstream::ingest::report::Stage;
use ragstream::source::{SourceId, Version};
use uuid::Uuid;

use super::model::Model;
use super::{Keeper, done, files, intent, missing, scope, site};

const URIS: [&str; 7] =
    ["docs/a.md", "docs/b/c.md", "docs/b", "docs2/x.md", "/abs/y.md", "https://w.org/a", "https://w.org/b?c"];

/// An intent or a commit: of which source and document, and whether it comes too late.
type Given<A, B> = (SourceId, String, bool, A, B);

/// One call, or what happens between calls.
#[derive(Debug, Clone)]
enum Step {
    /// Another run begins; the one before has ended, or not.
    Run {
        end: bool,
    },
    /// All handles are dropped, and the ledger is opened again.
    Reopen,
    /// The call is dropped after it has begun, and the ledger is opened again: it was carried out in whole or not at all.
    Dropped(Change),
    Change(Change),
}

#[derive(Debug, Clone)]
enum Change {
    SetMeta(Option<String>, Option<u128>),
    List(SourceId, Vec<Listing>),
    Unlist(Vec<String>),
    Intend(Vec<Given<Vec<u128>, Vec<StoredPoint>>>),
    Commit(Vec<Given<Version, Vec<StoredPoint>>>),
    Fail(Vec<FailedDocument>),
    Forget(Vec<(String, bool)>),
    Stage(Vec<Staged>),
    Reconcile,
}

/// What a call answered.
#[derive(Debug, PartialEq)]
enum Answer {
    Nothing,
    Differences(Vec<Difference>),
    Fenced(Fenced),
}

fn sources() -> impl Strategy<Value = SourceId> {
    prop_oneof![3 => Just(files()), 1 => Just(site())]
}

fn uris() -> impl Strategy<Value = String> {
    select(&URIS).prop_map(str::to_owned)
}

fn versions() -> impl Strategy<Value = Version> {
    select(vec![Version::UNKNOWN, Version::new([0]), Version::new([0, 0]), Version::new([255; 64])])
}

fn points() -> impl Strategy<Value = StoredPoint> {
    (0..5_u128, select(vec![0, 1, u64::MAX])).prop_map(|(n, digest)| StoredPoint { id: Uuid::from_u128(n << 100), digest })
}

/// Points of a document: each once.
fn documents_points() -> impl Strategy<Value = Vec<StoredPoint>> {
    vec(points(), 0..4).prop_map(|mut points| {
        points.sort_by_key(|point| point.id);
        points.dedup_by_key(|point| point.id);
        points.reverse();
        points
    })
}

/// Now and then a call comes from a worker that has lost the document.
fn late() -> impl Strategy<Value = bool> {
    prop::bool::weighted(0.1)
}

fn changes() -> impl Strategy<Value = Change> {
    let listing = || (uris(), versions()).prop_map(|(uri, version)| Listing { uri, version });
    let failure = (sources(), uris(), select(&Stage::ALL), "[a-c]{0,2}")
        .prop_map(|(source, uri, stage, error)| FailedDocument { source, uri, stage, error });
    let staged = (sources(), uris(), points()).prop_map(|(source, uri, point)| Staged { source, uri, point });
    prop_oneof![
        1 => (proptest::option::of("[./a]{1,3}"), proptest::option::of(1..3_u128)).prop_map(|(base, generation)| Change::SetMeta(base, generation)),
        4 => (sources(), vec(listing(), 0..5)).prop_map(|(source, items)| Change::List(source, items)),
        1 => vec(uris(), 0..3).prop_map(Change::Unlist),
        4 => vec((sources(), uris(), late(), vec(0..5_u128, 0..4), documents_points()), 0..3).prop_map(Change::Intend),
        6 => vec((sources(), uris(), late(), versions(), documents_points()), 0..4).prop_map(Change::Commit),
        2 => vec(failure, 0..3).prop_map(Change::Fail),
        2 => vec((uris(), late()), 0..3).prop_map(Change::Forget),
        2 => vec(staged, 0..9).prop_map(Change::Stage),
        1 => Just(Change::Reconcile),
    ]
}

fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        1 => any::<bool>().prop_map(|end| Step::Run { end }),
        1 => Just(Step::Reopen),
        1 => changes().prop_map(Step::Dropped),
        12 => changes().prop_map(Step::Change),
    ]
}

fn epoch(late: bool) -> Epoch {
    Epoch(if late { u64::MAX } else { 0 })
}

/// What the calls are given.
fn intents(all: &[Given<Vec<u128>, Vec<StoredPoint>>]) -> Vec<Intent> {
    let intent = |(source, uri, late, ids, untouched): &Given<Vec<u128>, Vec<StoredPoint>>| {
        let ids: Vec<u128> = ids.iter().map(|n| n << 100).collect();
        Intent { epoch: epoch(*late), ..intent(source.clone(), uri, &ids, untouched) }
    };
    all.iter().map(intent).collect()
}

fn commits(all: &[Given<Version, Vec<StoredPoint>>]) -> Vec<Commit> {
    let commit = |(source, uri, late, version, points): &Given<Version, Vec<StoredPoint>>| Commit {
        epoch: epoch(*late),
        version: *version,
        modified: (points.len() != 1).then_some(points.len() as i64 - 2),
        hash: [points.len() as u8; 32],
        ..done(source.clone(), uri, "", points)
    };
    all.iter().map(commit).collect()
}

fn meta(base: Option<&String>, generation: Option<u128>) -> Meta {
    Meta { base: base.cloned(), generation: generation.map(Uuid::from_u128) }
}

fn forgotten(all: &[(String, bool)]) -> Vec<(String, Epoch)> {
    all.iter().map(|(uri, late)| (uri.clone(), epoch(*late))).collect()
}

async fn perform(ledger: &dyn Ledger, run: RunId, change: &Change) -> Answer {
    match change {
        Change::SetMeta(base, generation) => ledger.set_meta(&meta(base.as_ref(), *generation)).await.unwrap(),
        Change::List(source, items) => {
            return Answer::Differences(ledger.note_listed(run, source, items.clone()).await.unwrap());
        }
        Change::Unlist(uris) => ledger.unlist(run, uris.clone()).await.unwrap(),
        Change::Intend(all) => return Answer::Fenced(ledger.intend(intents(all)).await.unwrap()),
        Change::Commit(all) => return Answer::Fenced(ledger.commit(commits(all)).await.unwrap()),
        Change::Fail(failures) => ledger.fail(failures.clone()).await.unwrap(),
        Change::Forget(all) => return Answer::Fenced(ledger.forget(forgotten(all)).await.unwrap()),
        Change::Stage(page) => ledger.stage_stored(run, page.clone()).await.unwrap(),
        Change::Reconcile => ledger.reconcile(run).await.unwrap(),
    }
    Answer::Nothing
}

fn imagine(model: &mut Model, change: &Change) -> Answer {
    match change {
        Change::SetMeta(base, generation) => model.set_meta(meta(base.as_ref(), *generation)),
        Change::List(source, items) => return Answer::Differences(model.note_listed(source, items)),
        Change::Unlist(uris) => model.unlist(uris),
        Change::Intend(all) => return Answer::Fenced(model.intend(intents(all))),
        Change::Commit(all) => return Answer::Fenced(model.commit(commits(all))),
        Change::Fail(failures) => model.fail(failures.clone()),
        Change::Forget(all) => return Answer::Fenced(model.forget(forgotten(all))),
        Change::Stage(page) => model.stage_stored(page.clone()),
        Change::Reconcile => model.reconcile(),
    }
    Answer::Nothing
}

fn scopes() -> Vec<Scope> {
    let mut both = scope(site(), &["https://w.org"], &[]);
    both.sources.extend(scope(files(), &["", "docs"], &["docs/b"]).sources);
    let narrowed = |mut scope: Scope, focus: &[&str]| {
        scope.sources[0].focus = Some(focus.iter().map(ToString::to_string).collect());
        scope
    };
    vec![
        Scope::default(),
        narrowed(scope(files(), &[""], &[]), &["docs/b", "docs2", "docs/b/c.md"]),
        narrowed(scope(files(), &["docs"], &["docs/b"]), &["docs", "docs2/x.md"]),
        narrowed(both.clone(), &["https://w.org/b"]),
        narrowed(scope(files(), &["docs"], &[]), &[]),
        scope(files(), &["docs"], &[]),
        scope(files(), &["."], &["docs/b"]),
        scope(site(), &[""], &["https://w.org/a"]),
        both,
    ]
}

/// All that can be asked, of a ledger.
async fn told(ledger: &dyn Ledger, run: RunId) -> String {
    let claimed = ledger.claim(URIS.map(str::to_owned).into()).await.unwrap();
    let mut gone = Vec::new();
    for scope in scopes() {
        gone.push((ledger.count_missing(run, &scope).await.unwrap(), missing(ledger, run, &scope).await));
    }
    let failures = ledger.failures(usize::MAX).await.unwrap();
    format!("{:?}", (ledger.meta().await.unwrap(), claimed, gone, failures, ledger.totals().await.unwrap()))
}

/// All that can be asked, of the model.
fn expected(model: &Model) -> String {
    let claimed: Vec<_> = URIS.iter().map(|uri| model.claim(uri)).collect();
    let gone: Vec<_> = scopes().iter().map(|scope| (model.count_missing(scope), model.missing(scope))).collect();
    format!("{:?}", (model.meta(), claimed, gone, model.failures(), model.totals()))
}

async fn agrees(keeper: impl Keeper, steps: Vec<Step>) -> Result<(), TestCaseError> {
    let mut model = Model::default();
    let mut ledger = keeper.open().await;
    let mut run = ledger.begin_run().await.unwrap();
    for step in steps {
        match &step {
            Step::Run { end } => {
                if *end {
                    ledger.end_run(run).await.unwrap();
                }
                run = ledger.begin_run().await.unwrap();
                model.begin_run();
            }
            Step::Reopen => {
                drop(ledger);
                ledger = keeper.open().await;
                run = ledger.begin_run().await.unwrap();
                model.begin_run();
            }
            Step::Dropped(change) => {
                {
                    let mut call = std::pin::pin!(perform(&*ledger, run, change));
                    let _: Poll<Answer> = call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
                }
                drop(ledger);
                ledger = keeper.open().await;
                run = ledger.begin_run().await.unwrap();
                let mut carried_out = model.clone();
                let _ = imagine(&mut carried_out, change);
                model.begin_run();
                carried_out.begin_run();
                let (told, before) = (told(&*ledger, run).await, expected(&model));
                prop_assert!(told == before || told == expected(&carried_out), "{:?}: {}", step, told);
                if told != before {
                    model = carried_out;
                } else if before == expected(&carried_out) {
                    // Versions do not show. After this it is the same whether it had been carried out or not.
                    let _ = perform(&*ledger, run, change).await;
                    let _ = imagine(&mut model, change);
                }
            }
            Step::Change(change) => {
                prop_assert_eq!(perform(&*ledger, run, change).await, imagine(&mut model, change), "{:?}", step);
            }
        }
        prop_assert_eq!(told(&*ledger, run).await, expected(&model), "after {:?}", step);
    }
    // What was recorded as the version does not show but in a comparison.
    let run = ledger.begin_run().await.unwrap();
    model.begin_run();
    for version in [Version::new([0]), Version::new([0, 0]), Version::new([255; 64]), Version::UNKNOWN] {
        let items: Vec<_> = URIS.iter().map(|uri| Listing { uri: (*uri).into(), version }).collect();
        for source in [files(), site()] {
            let differences = ledger.note_listed(run, &source, items.clone()).await.unwrap();
            prop_assert_eq!(differences, model.note_listed(&source, &items));
            let uris: Vec<String> = URIS.map(str::to_owned).into();
            ledger.unlist(run, uris.clone()).await.unwrap();
            model.unlist(&uris);
        }
    }
    Ok(())
}

pub fn any_history_agrees_with_the_model<K: Keeper>(keeper: impl Fn() -> K) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let mut runner = TestRunner::new(Config { cases: K::CASES, source_file: Some(file!()), ..Config::default() });
    runner.run(&vec(steps(), 1..40), |steps| runtime.block_on(agrees(keeper(), steps))).unwrap();
}
