//! Statements that come late or twice, and what becomes of a round that others than those who began it go on with: call by call.

use std::task::Poll;
use std::time::Duration;

use ragstream::cluster::Cluster;
use ragstream::ingest::coordination::{Coordination as _, Job, Lead, Phase, Taken, Term};
use ragstream::ingest::ledger::{Commit, Epoch, FailedDocument, Ledger as _, Listing, Missing};
use ragstream::ingest::report::Stage;
use ragstream::source::{Item, SourceId, Version};
use uuid::Uuid;

use super::Meeting;
use super::corpus::Corpus;

fn item(uri: &str) -> Item {
    Item::new(uri, Version::new([1]))
}

/// A worker that leads, and has listed these.
async fn leads(meeting: &Meeting, sources: &[&str], listed: &[(usize, &str)]) -> (Cluster, Term) {
    let cluster = meeting.cluster().await;
    let sources: Vec<SourceId> = sources.iter().map(|name| SourceId::new(*name)).collect();
    cluster.join(&sources, false).await.unwrap();
    let Lead::Mine(term) = cluster.lead().await.unwrap() else { panic!("nobody else leads") };
    assert!(cluster.reached(term, Phase::Walking, Uuid::nil()).await.unwrap());
    for (place, uri) in listed {
        assert!(cluster.submit(term, *place, &sources[*place], vec![item(uri)]).await.unwrap());
    }
    (cluster, term)
}

async fn joined(meeting: &Meeting, sources: &[&str]) -> Cluster {
    let cluster = meeting.cluster().await;
    let sources: Vec<SourceId> = sources.iter().map(|name| SourceId::new(*name)).collect();
    cluster.join(&sources, false).await.unwrap();
    cluster
}

async fn taken(cluster: &Cluster) -> Vec<Job> {
    match cluster.take(32).await.unwrap() {
        Taken::Jobs(jobs) => jobs,
        other => panic!("{other:?}"),
    }
}

fn failure(uri: &str) -> Vec<FailedDocument> {
    vec![FailedDocument { source: SourceId::new("a"), uri: uri.to_owned(), stage: Stage::Read, error: "\0".to_owned() }]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_nobody_takes_in_holds_up_no_other() {
    let meeting = Meeting::new(Corpus::new("a"));
    let cluster = joined(&meeting, &["a"]).await;
    meeting.sql(
        "INSERT INTO ragstream.documents (corpus, key, source, stage, error)
         SELECT $corpus, 'a/' || n, 'a', 'read', repeat('错误', 1000) FROM generate_series(1, 2000) AS n",
    );
    let mut failures = std::pin::pin!(cluster.failures(2000));
    let asked = std::future::poll_fn(|context| Poll::Ready(failures.as_mut().poll(context).is_pending()));
    assert!(asked.await, "it is on its way");
    tokio::time::sleep(Duration::from_millis(300)).await;
    // As a stage does that waits for the one after it.
    let totals = tokio::time::timeout(Duration::from_secs(10), cluster.totals()).await.expect("it is answered").unwrap();
    assert_eq!((totals.failed, failures.await.unwrap().len()), (2000, 2000));
    cluster.leave().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_seal_that_comes_twice_ends_no_other_round() {
    let meeting = Meeting::new(Corpus::new("a"));
    let (one, term) = leads(&meeting, &["a"], &[]).await;
    assert_eq!(one.seal(term, 0).await.unwrap(), Some(true));
    let other = joined(&meeting, &["a"]).await;
    // As if the answer had been lost.
    assert_eq!(one.seal(term, 0).await.unwrap(), None);
    assert!(!one.reached(term, Phase::Listed, Uuid::nil()).await.unwrap());
    assert_eq!(meeting.sql("SELECT round || ' ' || phase FROM ragstream.corpora WHERE id = $corpus"), "2 1");
    one.leave().await;
    assert!(matches!(other.lead().await.unwrap(), Lead::Mine(_)));
    other.leave().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_deposed_takes_back_nobodys_word() {
    let meeting = Meeting::new(Corpus::new("a"));
    let (one, term) = leads(&meeting, &["a"], &[]).await;
    let other = joined(&meeting, &["a"]).await;
    meeting.sql("UPDATE ragstream.roles SET lease_until = now() - interval '1 s' WHERE corpus = $corpus");
    assert!(matches!(other.lead().await.unwrap(), Lead::Mine(_)));
    meeting.sql("INSERT INTO ragstream.documents (corpus, key, source, points, unlisted) VALUES ($corpus, 'a', 'a', '', true)");
    let run = one.begin_run().await.unwrap();
    one.note_listed(run, &SourceId::new("a"), vec![Listing { uri: "a".into(), version: Version::UNKNOWN }]).await.unwrap();
    assert_eq!(one.seal(term, 0).await.unwrap(), None);
    assert_eq!(meeting.sql("SELECT unlisted FROM ragstream.documents WHERE corpus = $corpus"), "t");
    let run = other.begin_run().await.unwrap();
    other.note_listed(run, &SourceId::new("a"), vec![Listing { uri: "a".into(), version: Version::UNKNOWN }]).await.unwrap();
    assert_eq!(meeting.sql("SELECT unlisted FROM ragstream.documents WHERE corpus = $corpus"), "f");
    one.leave().await;
    other.leave().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_came_late_is_looked_at_whatever_becomes_of_its_document() {
    let meeting = Meeting::new(Corpus::new("a"));
    let long = format!("a/{}", "长".repeat(1000));
    let (one, _) = leads(&meeting, &["a"], &[(0, "a/1"), (0, "a/2\0"), (0, &long)]).await;
    meeting.sql("UPDATE ragstream.jobs SET sweep = decode(repeat('07', 16), 'hex') WHERE corpus = $corpus");
    assert_eq!(taken(&one).await.len(), 3);
    one.fail(failure("a/1")).await.unwrap();
    let run = one.begin_run().await.unwrap();
    one.unlist(run, vec!["a/2\0".to_owned()]).await.unwrap();
    one.hold(vec![long.clone()]).await.unwrap();
    // It holds that one without an item, and leaves.
    one.leave().await;
    let other = joined(&meeting, &["a"]).await;
    other.outstanding().await.unwrap();
    let mut swept: Vec<String> = taken(&other)
        .await
        .into_iter()
        .map(|job| match job {
            Job::Sweep { uri, ids, .. } if ids == [Uuid::from_bytes([7; 16])] => uri,
            other => panic!("{other:?}"),
        })
        .collect();
    swept.sort();
    assert_eq!(swept, ["a/1", "a/2\0", &long]);
    other.leave().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_goes_on_with_another_pipeline_asks_the_right_source() {
    let meeting = Meeting::new(Corpus::new("a"));
    let (one, _) = leads(&meeting, &["a", "b"], &[(0, "a/1"), (1, "b/1")]).await;
    one.leave().await;
    let other = joined(&meeting, &["b"]).await;
    assert_eq!(taken(&other).await, [Job::Index(0, item("b/1"))]);
    assert_eq!(meeting.sql("SELECT key FROM ragstream.jobs WHERE corpus = $corpus"), "b/1", "the others are nobody's");
    other.leave().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_lost_a_document_says_nothing_of_it_and_gets_it_no_more() {
    let meeting = Meeting::new(Corpus::new("a"));
    let (one, _) = leads(&meeting, &["a"], &[(0, "a/1")]).await;
    let other = joined(&meeting, &["a"]).await;
    taken(&one).await;
    let epoch = one.claim(vec!["a/1".to_owned()]).await.unwrap()[0].epoch;
    meeting.sql("UPDATE ragstream.workers SET lease_until = now() - interval '1 s' WHERE corpus = $corpus AND id IN (SELECT owner FROM ragstream.jobs)");
    other.outstanding().await.unwrap();
    taken(&other).await;
    let granted: Epoch = other.claim(vec!["a/1".to_owned()]).await.unwrap()[0].epoch;
    let commit = Commit {
        source: SourceId::new("a"),
        uri: "a/1".into(),
        epoch: granted,
        version: Version::new([1]),
        hash: [1; 32],
        modified: None,
        points: Vec::new(),
    };
    assert!(other.commit(vec![commit]).await.unwrap().uris.is_empty());
    while one.holds("a/1", epoch).await {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    one.fail(failure("a/1")).await.unwrap();
    // What it fetched before may be older than what the other has made of it.
    assert_eq!(one.claim(vec!["a/1".to_owned()]).await.unwrap()[0].epoch, Epoch::default());
    assert_eq!(meeting.sql("SELECT count(*) FROM ragstream.jobs WHERE corpus = $corpus"), "0");
    assert_eq!(meeting.sql("SELECT error IS NULL FROM ragstream.documents WHERE corpus = $corpus"), "t");
    one.leave().await;
    other.leave().await;
}

/// A document that is there again while a worker still removes it, by the word of a leader before this one: what is left of it is looked
/// at in another walk.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_there_again_while_it_is_removed_is_judged_anew() {
    for with_its_body in [false, true] {
        let meeting = Meeting::new(Corpus::new("a"));
        let (one, term) = leads(&meeting, &["a"], &[]).await;
        let (other, next) = (joined(&meeting, &["a"]).await, joined(&meeting, &["a"]).await);
        meeting.sql("INSERT INTO ragstream.documents (corpus, key, source, points) VALUES ($corpus, 'a/1', 'a', '')");
        let gone = Missing { source: SourceId::new("a"), uri: "a/1".to_owned() };
        assert!(one.submit_removals(term, vec![gone.clone()]).await.unwrap());
        assert_eq!(taken(&other).await, [Job::Remove(gone)]);
        let removing = other.claim(vec!["a/1".to_owned()]).await.unwrap()[0].epoch;
        one.leave().await;
        // It walks from the beginning.
        let Lead::Mine(term) = next.lead().await.unwrap() else { panic!("nobody else leads") };
        assert!(next.reached(term, Phase::Walking, Uuid::nil()).await.unwrap());
        let again = || meeting.sql("SELECT again FROM ragstream.corpora WHERE id = $corpus");
        assert_eq!(again(), "f");
        assert!(next.submit(term, 0, &SourceId::new("a"), vec![item("a/2")]).await.unwrap());
        assert_eq!(again(), "f", "nobody has that one");
        if with_its_body {
            next.hold(vec!["a/1".to_owned()]).await.unwrap();
        } else {
            assert!(next.submit(term, 0, &SourceId::new("a"), vec![item("a/1")]).await.unwrap());
        }
        assert_eq!(again(), "t");
        assert!(other.forget(vec![("a/1".to_owned(), removing)]).await.unwrap().uris.is_empty());
        next.unlist(next.begin_run().await.unwrap(), taken_uris(&next).await).await.unwrap();
        assert_eq!(next.seal(term, 0).await.unwrap(), Some(false), "the sources are walked once more");
        assert!(next.reached(term, Phase::Walking, Uuid::nil()).await.unwrap());
        assert!(next.submit(term, 0, &SourceId::new("a"), vec![item("a/1")]).await.unwrap());
        assert_eq!(taken(&next).await, [Job::Index(0, item("a/1"))]);
        other.leave().await;
        next.leave().await;
    }
}

async fn taken_uris(cluster: &Cluster) -> Vec<String> {
    let uri = |job| match job {
        Job::Index(0, item) => item.uri,
        other => panic!("{other:?}"),
    };
    taken(cluster).await.into_iter().map(uri).collect()
}

/// Items that others index already, or that wait, make no walk necessary.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_being_indexed_is_not_walked_again_for() {
    let meeting = Meeting::new(Corpus::new("a"));
    let (one, _) = leads(&meeting, &["a"], &[(0, "a/1"), (0, "a/2")]).await;
    let other = joined(&meeting, &["a"]).await;
    let Taken::Jobs(jobs) = other.take(1).await.unwrap() else { panic!("there are two") };
    assert_eq!(jobs, [Job::Index(0, item("a/1"))]);
    one.leave().await;
    let next = joined(&meeting, &["a"]).await;
    let Lead::Mine(term) = next.lead().await.unwrap() else { panic!("nobody else leads") };
    assert!(next.reached(term, Phase::Walking, Uuid::nil()).await.unwrap());
    let items = ["a/1", "a/2", "a/3"].map(item).to_vec();
    assert!(next.submit(term, 0, &SourceId::new("a"), items).await.unwrap());
    next.hold(vec!["a/1".to_owned()]).await.unwrap();
    assert_eq!(meeting.sql("SELECT again FROM ragstream.corpora WHERE id = $corpus"), "f");
    other.leave().await;
    next.leave().await;
}

/// A renewal that was under way while its worker left found the row gone, and signed on again: the others waited for a lease.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_leaves_while_its_lease_is_renewed_is_gone() {
    let mut meeting = Meeting::new(Corpus::new("a"));
    // Renewed every ten milliseconds; what runs out meanwhile is had anew.
    meeting.lease = Duration::from_millis(30);
    let cluster = meeting.cluster().await;
    for turn in 0..60 {
        cluster.join(&[SourceId::new("a")], false).await.unwrap();
        tokio::time::sleep(Duration::from_millis(turn % 13)).await;
        cluster.leave().await;
        // Whatever is still under way.
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert_eq!(meeting.sql("SELECT count(*) FROM ragstream.workers WHERE corpus = $corpus"), "0", "turn {turn}");
    }
}
