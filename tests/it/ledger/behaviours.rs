//! What every ledger does, by examples.

use std::sync::Arc;

use ragstream::ingest::ledger::{Difference, Entry, Fenced, Ledger, Meta, MissingCount, PriorState, Staged, Totals};
use ragstream::ingest::ledger::{Epoch, FailedDocument, StoredPoint};
use ragstream::ingest::report::Stage;
use ragstream::source::Version;
use uuid::Uuid;

use super::random::any_history_agrees_with_the_model;
use super::worker::{
    a_store_that_is_put_back_and_back_again_is_looked_through, a_worker_that_is_killed_anywhere_leaves_nothing_unknown,
};
use super::{Keeper, done, files, intent, listing, missing, point, scope, site};

const NONE: Fenced = Fenced { uris: Vec::new() };

async fn differences(ledger: &Arc<dyn Ledger>, items: &[(&str, &str)]) -> Vec<Difference> {
    let run = ledger.begin_run().await.unwrap();
    let items = items.iter().map(|(uri, version)| listing(uri, version)).collect();
    ledger.note_listed(run, &files(), items).await.unwrap()
}

async fn a_document_is_changed_until_it_is_done_and_again_when_its_version_differs(keeper: impl Keeper) {
    let ledger = keeper.open().await;
    let twice = differences(&ledger, &[("a.md", "1"), ("a.md", "1")]).await;
    assert_eq!(twice, [Difference::Changed, Difference::Repeated], "once, also when it is listed twice");
    assert_eq!(ledger.commit(vec![done(files(), "a.md", "1", &[point(10)])]).await.unwrap(), NONE);
    assert_eq!(differences(&ledger, &[("a.md", "1"), ("a.md", "1")]).await, [Difference::Unchanged, Difference::Repeated]);
    assert_eq!(differences(&ledger, &[("a.md", "2")]).await, [Difference::Changed]);
    assert_eq!(differences(&ledger, &[("a.md", "")]).await, [Difference::Changed], "what proves nothing is compared");

    let run = ledger.begin_run().await.unwrap();
    let elsewhere = ledger.note_listed(run, &site(), vec![listing("a.md", "1")]).await.unwrap();
    assert_eq!(elsewhere, [Difference::Changed], "another source's version proves nothing");

    drop(ledger);
    let ledger = keeper.open().await;
    let entry = Entry { source: files(), hash: Some([9; 32]), modified: Some(-7), points: vec![point(10)] };
    let claimed = ledger.claim(vec!["b.md".into(), "a.md".into()]).await.unwrap();
    let prior = PriorState { entry: Some(entry), intended: vec![], epoch: Epoch(0) };
    assert_eq!(claimed, [PriorState::default(), prior], "in the order asked");
}

async fn a_version_that_proves_nothing_is_kept_as_such(keeper: impl Keeper) {
    let ledger = keeper.open().await;
    let mut racy = done(files(), "a.md", "1", &[point(1)]);
    racy.version = Version::UNKNOWN;
    assert_eq!(ledger.commit(vec![racy]).await.unwrap(), NONE);
    assert_eq!(differences(&ledger, &[("a.md", ""), ("b.md", "")]).await, [Difference::Changed; 2]);
    let long = "v".repeat(64);
    assert_eq!(ledger.commit(vec![done(files(), "a.md", &long, &[])]).await.unwrap(), NONE);
    assert_eq!(differences(&ledger, &[("a.md", &long)]).await, [Difference::Unchanged]);
}

async fn runs_list_for_themselves(keeper: impl Keeper) {
    let ledger = keeper.open().await;
    assert_eq!(ledger.commit(vec![done(files(), "a.md", "1", &[])]).await.unwrap(), NONE);
    let (one, two) = (ledger.begin_run().await.unwrap(), ledger.begin_run().await.unwrap());
    ledger.note_listed(one, &files(), vec![listing("a.md", "1")]).await.unwrap();
    let all = scope(files(), &[""], &[]);
    assert_eq!(ledger.count_missing(one, &all).await.unwrap(), MissingCount { known: 1, missing: 0 });
    assert_eq!(ledger.count_missing(two, &all).await.unwrap(), MissingCount { known: 1, missing: 1 });
    ledger.unlist(one, vec!["a.md".into(), "unknown".into()]).await.unwrap();
    assert_eq!(ledger.count_missing(one, &all).await.unwrap().missing, 1);
    ledger.note_listed(two, &files(), vec![listing("a.md", "1")]).await.unwrap();
    ledger.end_run(one).await.unwrap();
    assert_eq!(ledger.count_missing(two, &all).await.unwrap().missing, 0);
}

async fn intents_add_up_until_the_document_is_done(keeper: impl Keeper) {
    let ledger = keeper.open().await;
    assert_eq!(ledger.intend(vec![intent(files(), "a.md", &[1], &[])]).await.unwrap(), NONE);
    drop(ledger);
    let ledger = keeper.open().await;
    let two = [intent(files(), "a.md", &[2, 1], &[]), intent(files(), "b.md", &[3], &[])];
    assert_eq!(ledger.intend(two.into()).await.unwrap(), NONE);
    let [a] = &ledger.claim(vec!["a.md".into()]).await.unwrap()[..] else { unreachable!() };
    assert_eq!(*a, PriorState { entry: None, intended: vec![Uuid::from_u128(1), Uuid::from_u128(2)], epoch: Epoch(0) });
    assert_eq!(ledger.totals().await.unwrap().documents, 0, "what is begun is not recorded yet");
    assert_eq!(ledger.commit(vec![done(files(), "a.md", "1", &[point(1)])]).await.unwrap(), NONE);
    assert!(ledger.claim(vec!["a.md".into()]).await.unwrap()[0].intended.is_empty());
    assert_eq!(ledger.totals().await.unwrap().documents, 1);
}

async fn an_intent_takes_back_what_is_recorded_and_the_word_for_the_store(keeper: impl Keeper) {
    let ledger = keeper.open().await;
    assert_eq!(ledger.commit(vec![done(files(), "a.md", "1", &[point(1), point(2)])]).await.unwrap(), NONE);
    let meta = Meta { base: Some("..".into()), generation: Some(Uuid::from_u128(7)) };
    ledger.set_meta(&meta).await.unwrap();
    assert_eq!(ledger.intend(vec![]).await.unwrap(), NONE);
    assert_eq!(ledger.meta().await.unwrap(), meta, "nothing was intended");
    let kept = StoredPoint { digest: 0, ..point(2) };
    assert_eq!(ledger.intend(vec![intent(files(), "a.md", &[1], &[kept])]).await.unwrap(), NONE);
    drop(ledger);
    let ledger = keeper.open().await;
    assert_eq!(ledger.meta().await.unwrap(), Meta { generation: None, ..meta });
    assert_eq!(differences(&ledger, &[("a.md", "1")]).await, [Difference::Changed], "even with the version it was done with");
    let entry = ledger.claim(vec!["a.md".into()]).await.unwrap().remove(0).entry;
    assert_eq!(entry, Some(Entry { source: files(), hash: None, modified: None, points: vec![kept] }));
}

async fn a_failure_stays_until_the_document_is_done(keeper: impl Keeper) {
    let ledger = keeper.open().await;
    let failure =
        |uri: &str, error: &str| FailedDocument { source: files(), uri: uri.into(), stage: Stage::Parse, error: error.into() };
    assert_eq!(ledger.commit(vec![done(files(), "a.md", "1", &[point(1)])]).await.unwrap(), NONE);
    ledger.fail(vec![failure("b.md", "first"), failure("a.md", "broken"), failure("b.md", "second")]).await.unwrap();
    drop(ledger);
    let ledger = keeper.open().await;
    assert_eq!(ledger.failures(10).await.unwrap(), [failure("a.md", "broken"), failure("b.md", "second")]);
    assert_eq!(ledger.failures(1).await.unwrap().len(), 1);
    assert_eq!(ledger.totals().await.unwrap(), Totals { documents: 1, failed: 2 });
    assert_eq!(differences(&ledger, &[("a.md", "1")]).await, [Difference::Changed], "tried again, also as it was");
    assert_eq!(ledger.claim(vec!["a.md".into()]).await.unwrap()[0].entry.as_ref().unwrap().points, [point(1)]);
    assert_eq!(ledger.commit(vec![done(files(), "a.md", "1", &[point(1)])]).await.unwrap(), NONE);
    assert_eq!(ledger.forget(vec![("b.md".into(), Epoch(0))]).await.unwrap(), NONE);
    assert_eq!(ledger.failures(10).await.unwrap(), []);
    assert_eq!(differences(&ledger, &[("a.md", "1")]).await, [Difference::Unchanged]);
}

async fn what_is_missing_is_known_and_not_listed_below_the_roots_that_could_be_listed(keeper: impl Keeper) {
    let ledger = keeper.open().await;
    let known = ["docs/a.md", "docs/b/c.md", "docs2/x.md", "/abs/y.md"].map(|uri| done(files(), uri, "1", &[]));
    assert_eq!(ledger.commit(known.into()).await.unwrap(), NONE);
    assert_eq!(ledger.intend(vec![intent(files(), "docs/begun.md", &[1], &[])]).await.unwrap(), NONE);
    let run = ledger.begin_run().await.unwrap();
    ledger.note_listed(run, &files(), vec![listing("docs/a.md", "1")]).await.unwrap();

    let uris = |missing: Vec<(_, String)>| missing.into_iter().map(|(_, uri)| uri).collect::<Vec<_>>();
    let docs = scope(files(), &["docs"], &[]);
    assert_eq!(ledger.count_missing(run, &docs).await.unwrap(), MissingCount { known: 3, missing: 2 });
    assert_eq!(uris(missing(&*ledger, run, &docs).await), ["docs/b/c.md", "docs/begun.md"]);
    let but = scope(files(), &["docs"], &["docs/b"]);
    assert_eq!(uris(missing(&*ledger, run, &but).await), ["docs/begun.md"]);
    let everything = scope(files(), &[""], &[]);
    assert_eq!(ledger.count_missing(run, &everything).await.unwrap(), MissingCount { known: 5, missing: 4 });
    let base = scope(files(), &["."], &[]);
    assert_eq!(ledger.count_missing(run, &base).await.unwrap(), MissingCount { known: 4, missing: 3 });
}

async fn what_is_missing_is_decided_per_source(keeper: impl Keeper) {
    let ledger = keeper.open().await;
    let pages = ["https://w.org/a", "https://w.org/b", "table/1"].map(|uri| done(site(), uri, "e", &[]));
    assert_eq!(ledger.commit(pages.into()).await.unwrap(), NONE);
    assert_eq!(ledger.commit(vec![done(files(), "a.md", "1", &[])]).await.unwrap(), NONE);
    ledger
        .fail(vec![FailedDocument { source: site(), uri: "https://w.org/c".into(), stage: Stage::Read, error: "no".into() }])
        .await
        .unwrap();
    let run = ledger.begin_run().await.unwrap();
    for all in [&[""], &["."]] {
        let folder = scope(files(), all, &[]);
        assert_eq!(missing(&*ledger, run, &folder).await, [(files(), "a.md".into())], "a folder says nothing of a site");
    }
    ledger.note_listed(run, &site(), vec![listing("https://w.org/a", "e")]).await.unwrap();
    let gone = missing(&*ledger, run, &scope(site(), &[""], &[])).await;
    assert_eq!(gone, ["https://w.org/b", "https://w.org/c", "table/1"].map(|uri| (site(), uri.to_owned())));
    let mut both = scope(site(), &["https://w.org"], &[]);
    both.sources.extend(scope(files(), &["a.md"], &[]).sources);
    let gone: Vec<_> = missing(&*ledger, run, &both).await.into_iter().map(|(_, uri)| uri).collect();
    assert_eq!(gone, ["a.md", "https://w.org/b", "https://w.org/c"]);

    // The other source gives it now: it is that one's from then on.
    assert_eq!(ledger.commit(vec![done(site(), "a.md", "e", &[])]).await.unwrap(), NONE);
    assert_eq!(missing(&*ledger, run, &scope(files(), &[""], &[])).await, []);
}

async fn thousands_are_missing_page_by_page(keeper: impl Keeper) {
    let ledger = keeper.open().await;
    let uris: Vec<String> = (0..2500).map(|n| format!("{n:04}")).collect();
    for source in [files(), site()] {
        let all = uris.iter().map(|uri| done(source.clone(), &format!("{source}/{uri}"), "1", &[])).collect();
        assert_eq!(ledger.commit(all).await.unwrap(), NONE);
    }
    let run = ledger.begin_run().await.unwrap();
    let listed = uris.iter().step_by(2).map(|uri| listing(&format!("files/{uri}"), "1")).collect();
    let differences = ledger.note_listed(run, &files(), listed).await.unwrap();
    assert!(differences.iter().all(|difference| *difference == Difference::Unchanged));
    let mut both = scope(files(), &[""], &[]);
    both.sources.extend(scope(site(), &[""], &[]).sources);
    let gone = missing(&*ledger, run, &both).await;
    assert_eq!(gone.len(), 1250 + 2500);
    assert!(gone.is_sorted());
    assert_eq!(ledger.count_missing(run, &both).await.unwrap(), MissingCount { known: 5000, missing: 3750 });
}

async fn what_the_store_holds_is_what_counts_and_what_agrees_with_it_stays(keeper: impl Keeper) {
    let ledger = keeper.open().await;
    let points = [point(5), point(2), point(3)];
    let known = ["same", "fewer", "payload", "lost"].map(|uri| done(files(), uri, "1", &points));
    assert_eq!(ledger.commit(known.into()).await.unwrap(), NONE);
    assert_eq!(ledger.commit(vec![done(files(), "empty", "1", &[])]).await.unwrap(), NONE);
    let held = |uri: &str, point| Staged { source: files(), uri: uri.into(), point };
    let mut store: Vec<Staged> =
        ["same", "payload", "more"].iter().flat_map(|uri| points.map(|point| held(uri, point))).collect();
    store[3].point.digest = 77;
    store.push(held("fewer", points[0]));
    store.push(Staged { source: site(), ..held("https://w.org/a", point(9)) });
    let run = ledger.begin_run().await.unwrap();
    for page in store.chunks(4) {
        ledger.stage_stored(run, page.to_vec()).await.unwrap();
    }
    ledger.reconcile(run).await.unwrap();

    let uris = ["same", "fewer", "payload", "lost", "empty", "more"];
    let changed = differences(&ledger, &uris.map(|uri| (uri, "1"))).await;
    let changed: Vec<_> =
        std::iter::zip(uris, changed).filter(|(_, d)| *d == Difference::Changed).map(|(uri, _)| uri).collect();
    assert_eq!(changed, ["fewer", "payload", "lost", "more"]);
    let entry = async |uri: &str| ledger.claim(vec![uri.into()]).await.unwrap().remove(0).entry;
    assert_eq!(entry("fewer").await.unwrap().points, [points[0]]);
    assert_eq!(entry("payload").await.unwrap().points.iter().filter(|point| point.digest == 77).count(), 1);
    assert_eq!(entry("lost").await, None);
    let mut sorted = points;
    sorted.sort_unstable_by_key(|point| point.id);
    let adopted = Entry { source: files(), hash: None, modified: None, points: sorted.to_vec() };
    assert_eq!(entry("more").await, Some(adopted));

    // The ledger was lost, and what it is rebuilt from says whose each document is: a folder takes nothing from a site.
    let run = ledger.begin_run().await.unwrap();
    assert_eq!(missing(&*ledger, run, &scope(site(), &[""], &[])).await, [(site(), "https://w.org/a".to_owned())]);
    let folder = missing(&*ledger, run, &scope(files(), &["."], &[])).await;
    assert!(folder.iter().all(|(_, uri)| uri != "https://w.org/a"), "{folder:?}");

    ledger.reconcile(run).await.unwrap();
    assert_eq!(ledger.totals().await.unwrap().documents, 1, "staged anew each time: only the document without points is left");
}

async fn an_epoch_that_was_not_granted_last_is_refused_and_changes_nothing(keeper: impl Keeper) {
    let ledger = keeper.open().await;
    assert_eq!(ledger.commit(vec![done(files(), "a.md", "1", &[point(1)])]).await.unwrap(), NONE);
    let meta = Meta { base: None, generation: Some(Uuid::from_u128(7)) };
    ledger.set_meta(&meta).await.unwrap();
    let before = ledger.claim(vec!["a.md".into()]).await.unwrap();
    let old = Epoch(before[0].epoch.0.wrapping_sub(1));
    let refused = Fenced { uris: vec!["a.md".into()] };
    let mut late = intent(files(), "a.md", &[5], &[]);
    late.epoch = old;
    assert_eq!(ledger.intend(vec![late.clone()]).await.unwrap(), refused);
    assert_eq!(ledger.meta().await.unwrap(), meta);
    let mut zombie = done(files(), "a.md", "2", &[point(5)]);
    zombie.epoch = old;
    assert_eq!(ledger.commit(vec![zombie]).await.unwrap(), refused);
    assert_eq!(ledger.forget(vec![("a.md".into(), old)]).await.unwrap(), refused);
    assert_eq!(ledger.claim(vec!["a.md".into()]).await.unwrap(), before);
    assert_eq!(differences(&ledger, &[("a.md", "1")]).await, [Difference::Unchanged]);
    let current = intent(files(), "b.md", &[6], &[]);
    assert_eq!(ledger.intend(vec![late, current]).await.unwrap(), refused, "the others of a batch go on");
    assert_eq!(ledger.claim(vec!["b.md".into()]).await.unwrap()[0].intended, [Uuid::from_u128(6)]);
}

async fn many_use_it_at_once(keeper: impl Keeper) {
    let ledger = keeper.open().await;
    let run = ledger.begin_run().await.unwrap();
    let work = (0..16_u128).map(|worker| {
        let ledger = Arc::clone(&ledger);
        tokio::spawn(async move {
            for n in 0..20 {
                let (uri, id) = (format!("{worker}/{n}"), worker * 100 + n);
                ledger.note_listed(run, &files(), vec![listing(&uri, "1")]).await.unwrap();
                assert_eq!(ledger.claim(vec![uri.clone()]).await.unwrap(), [PriorState::default()]);
                assert_eq!(ledger.intend(vec![intent(files(), &uri, &[id], &[])]).await.unwrap(), NONE);
                assert_eq!(ledger.commit(vec![done(files(), &uri, "1", &[point(id)])]).await.unwrap(), NONE);
            }
        })
    });
    for worker in work.collect::<Vec<_>>() {
        worker.await.unwrap();
    }
    let counted = ledger.count_missing(run, &scope(files(), &[""], &[])).await.unwrap();
    assert_eq!(counted, MissingCount { known: 320, missing: 0 });
}

macro_rules! over_every_ledger {
    ($($behaviour:ident)*) => {
        mod on_sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $behaviour() {
                super::$behaviour(crate::ledger::Sqlite::new()).await;
            })*
            #[test]
            fn any_history_agrees_with_the_model() {
                super::any_history_agrees_with_the_model(crate::ledger::Sqlite::new);
            }
            #[test]
            fn a_worker_that_is_killed_anywhere_leaves_nothing_unknown() {
                super::a_worker_that_is_killed_anywhere_leaves_nothing_unknown(crate::ledger::Sqlite::new);
            }
        }
        mod on_postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $behaviour() {
                super::$behaviour(crate::ledger::postgres::Postgres::new()).await;
            })*
            #[test]
            fn any_history_agrees_with_the_model() {
                super::any_history_agrees_with_the_model(crate::ledger::postgres::Postgres::new);
            }
            #[test]
            fn a_worker_that_is_killed_anywhere_leaves_nothing_unknown() {
                super::a_worker_that_is_killed_anywhere_leaves_nothing_unknown(crate::ledger::postgres::Postgres::new);
            }
        }
    };
}
over_every_ledger! {
    a_document_is_changed_until_it_is_done_and_again_when_its_version_differs
    a_version_that_proves_nothing_is_kept_as_such
    runs_list_for_themselves
    intents_add_up_until_the_document_is_done
    an_intent_takes_back_what_is_recorded_and_the_word_for_the_store
    a_failure_stays_until_the_document_is_done
    what_is_missing_is_known_and_not_listed_below_the_roots_that_could_be_listed
    what_is_missing_is_decided_per_source
    thousands_are_missing_page_by_page
    what_the_store_holds_is_what_counts_and_what_agrees_with_it_stays
    a_store_that_is_put_back_and_back_again_is_looked_through
    an_epoch_that_was_not_granted_last_is_refused_and_changes_nothing
    many_use_it_at_once
}
