//! Rounds: any number of workers, some of which die, over documents that come, change, go and fail.

use std::time::Duration;

use ragstream::ingest::Options;
use ragstream::ingest::coordination::{Coordination as _, Lead, Phase, Taken};
use ragstream::source::{Item, SourceId, Version};

use super::corpus::{Content, Corpus, text};
use super::{Meeting, Worker};
use crate::sql::servers;

/// Sums over the workers of a round: added, changed, removed, failed.
fn sums(summaries: &[ragstream::IngestSummary]) -> [u64; 4] {
    let of = |count: fn(&ragstream::IngestSummary) -> u64| summaries.iter().map(count).sum();
    [of(|s| s.documents.added), of(|s| s.documents.changed), of(|s| s.documents.removed), of(|s| s.documents.failed)]
}

async fn edits_go_through(meeting: Meeting, workers: usize) {
    let first = meeting.round(workers).await;
    assert_eq!(sums(&first), [60, 0, 0, 0]);
    meeting.is_as_alone().await;
    assert_eq!(meeting.paid.twice(), 0);
    meeting.is_settled().await;

    let again = meeting.round(workers).await;
    assert_eq!(sums(&again), [0, 0, 0, 0]);
    // One of them walked; who came when that was over began another round.
    let unchanged = again.iter().map(|summary| summary.documents.unchanged).sum::<u64>();
    assert!(unchanged > 0 && unchanged % 60 == 0, "{unchanged}");

    let before = meeting.paid.distinct();
    for n in 0..60 {
        match n % 6 {
            0 => meeting.corpus.write(n, &text(n, 1)),
            1 => meeting.corpus.remove(n),
            2 => meeting.corpus.set(n, Content::Broken),
            3 => meeting.corpus.set(n, Content::Empty),
            _ => {}
        }
    }
    meeting.corpus.write(77, &text(77, 0));
    let edited = meeting.round(workers).await;
    let [added, changed, removed, failed] = sums(&edited);
    assert_eq!([added, changed, removed], [1, 10, 20]);
    assert!(failed > 0 && failed % 10 == 0, "{failed}");
    assert_eq!(meeting.paid.twice(), 0);
    assert!(meeting.paid.distinct() - before < before / 5, "only what an edit changed is paid for");
    // What failed keeps what it had.
    for n in (2..60).step_by(6) {
        meeting.corpus.write(n, &text(n, 0));
    }
    assert_eq!(sums(&meeting.round(workers).await)[3], 0);
    meeting.is_as_alone().await;
    meeting.is_settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_worker_does_what_a_single_process_does() {
    edits_go_through(Meeting::new(Corpus::of(60)), 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_workers_do_what_a_single_process_does() {
    edits_go_through(Meeting::new(Corpus::of(60)), 5).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_a_pooler_that_gives_each_transaction_another_connection() {
    let url = format!("postgres://postgres@127.0.0.1:{}/postgres", servers::bouncer().port);
    edits_go_through(Meeting::at(url, Corpus::of(60)), 3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_with_its_body_is_worked_on_by_who_walks() {
    let mut corpus = Corpus::of(60);
    corpus.bodies = true;
    edits_go_through(Meeting::new(corpus), 3).await;
}

/// Waits until so many documents are recorded as done.
async fn done(meeting: &Meeting, documents: usize) {
    let sql = "SELECT count(*) FROM ragstream.documents WHERE corpus = $corpus AND points IS NOT NULL";
    let began = std::time::Instant::now();
    while meeting.sql(sql).parse::<usize>().unwrap() < documents {
        assert!(began.elapsed() < Duration::from_secs(60), "{documents} documents were never done");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn killed(bodies: bool) {
    let mut corpus = Corpus::of(240);
    (corpus.bodies, corpus.slow) = (bodies, Duration::from_millis(30));
    let meeting = Meeting::new(corpus);
    let mut workers = Vec::<Worker>::new();
    for kill in 0..6 {
        while workers.len() < 3 {
            workers.push(meeting.worker().await);
        }
        done(&meeting, 20 * (kill + 1)).await;
        // The oldest leads, as a rule.
        workers.remove(usize::from(kill % 2 == 1)).kill().await;
    }
    workers.push(meeting.worker().await);
    for worker in workers {
        worker.task.await.unwrap().unwrap();
    }
    meeting.is_as_alone().await;
    // In flight at each kill: the batches that were sent, and what had not been recorded yet.
    let most = 6 * 32 * 4 * 4;
    assert!(meeting.paid.twice() <= most, "{} texts were paid for twice", meeting.paid.twice());
    meeting.is_settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_that_die_lose_nothing() {
    killed(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_walker_that_dies_with_bodies_in_its_hands_loses_nothing() {
    killed(true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_worker_gives_back_what_it_has_at_once() {
    let mut corpus = Corpus::of(200);
    corpus.slow = Duration::from_millis(30);
    let meeting = Meeting { lease: Duration::from_mins(2), ..Meeting::new(corpus) };
    let worker = meeting.worker().await;
    done(&meeting, 10).await;
    worker.stop.cancel();
    let summary = worker.task.await.unwrap().unwrap();
    assert!(summary.documents.added < 200, "it was stopped");
    assert_eq!(meeting.sql("SELECT count(*) FROM ragstream.jobs WHERE corpus = $corpus AND owner IS NOT NULL"), "0");
    let began = std::time::Instant::now();
    let rest = meeting.round(2).await;
    assert!(began.elapsed() < meeting.lease, "nobody's lease was waited for");
    meeting.is_as_alone().await;
    let all: Vec<_> = rest.iter().chain([&summary]).map(|summary| summary.documents).collect();
    assert_eq!(all.iter().map(|documents| documents.added).sum::<u64>(), 200, "{all:?}");
    // Without a cache on a disk, what had been embedded of documents that were not complete is embedded once more.
    assert!(meeting.paid.twice() <= 64, "{}", meeting.paid.twice());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_walk_that_was_cut_short_removes_nothing_and_neither_does_doubt() {
    let meeting = Meeting::new(Corpus::of(20));
    meeting.round(2).await;
    let all = meeting.contents().await;
    for n in 0..4 {
        meeting.corpus.remove(n);
    }
    *meeting.corpus.cut_short.lock().unwrap() = true;
    assert_eq!(sums(&meeting.round(2).await)[2], 0);
    assert_eq!(meeting.contents().await, all);
    *meeting.corpus.cut_short.lock().unwrap() = false;
    for n in 4..15 {
        meeting.corpus.remove(n);
    }
    // More than half: the source itself looks broken.
    let kept = meeting.round(2).await;
    let kept: Vec<u64> = kept.iter().map(|summary| summary.kept_although_gone).collect();
    // With the source, which failed once.
    assert_eq!(kept, [16, 16], "every worker says so");
    assert_eq!(meeting.contents().await, all);
    // Any of them may be told that it is meant.
    let told = Meeting::worker_of(meeting.setup(meeting.store.clone()).await, Options { prune: true, ..Options::default() });
    let other = meeting.worker().await;
    let both = [told.task.await.unwrap().unwrap(), other.task.await.unwrap().unwrap()];
    assert_eq!(sums(&both)[2], 15);
    meeting.is_as_alone().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_pipeline_is_refused_in_the_middle_of_a_round() {
    let mut corpus = Corpus::of(200);
    corpus.slow = Duration::from_millis(50);
    let meeting = Meeting::new(corpus);
    let worker = meeting.worker().await;
    done(&meeting, 5).await;
    let mut setup = meeting.setup(meeting.store.clone()).await;
    setup.sources = vec![std::sync::Arc::new(Corpus::new("tickets"))];
    let error = Meeting::worker_of(setup, Options::default()).task.await.unwrap().unwrap_err();
    assert_eq!(error.code(), "cluster_mismatch");
    assert!(error.to_string().contains("other sources than tickets"), "{error}");
    worker.stop.cancel();
    worker.task.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_whose_items_are_not_taken_any_more_goes_on_as_one_of_the_others() {
    let (mut corpus, gate) = (Corpus::of(20), std::sync::Arc::new(tokio::sync::Notify::new()));
    corpus.gate = std::sync::Mutex::new(Some(std::sync::Arc::clone(&gate)));
    // So that it puts items in before it looks whether it still leads.
    let meeting = Meeting { lease: Duration::from_mins(1), ..Meeting::new(corpus) };
    let worker = meeting.worker().await;
    let began = std::time::Instant::now();
    while meeting.sql("SELECT phase FROM ragstream.corpora WHERE id = $corpus") != "2" {
        assert!(began.elapsed() < Duration::from_mins(1), "it never walked");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let leads =
        "UPDATE ragstream.roles SET owner = 7, epoch = epoch + 1, lease_until = now() + interval '1 h' WHERE corpus = $corpus";
    meeting.sql(leads);
    gate.notify_one();
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(!worker.task.is_finished(), "the round is not over");
    meeting.sql("UPDATE ragstream.roles SET lease_until = now() - interval '1 s' WHERE corpus = $corpus");
    let ended = worker.task.await.unwrap().unwrap();
    assert_eq!(ended.documents.added, 20);
    meeting.is_as_alone().await;
    meeting.is_settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_nobody_looks_at_holds_up_no_other() {
    let meeting = Meeting { lease: Duration::from_mins(2), ..Meeting::new(Corpus::new("corpus")) };
    let cluster = meeting.cluster().await;
    let source = SourceId::new("corpus");
    cluster.join(std::slice::from_ref(&source), false).await.unwrap();
    let Lead::Mine(term) = cluster.lead().await.unwrap() else { unreachable!() };
    assert!(cluster.reached(term, Phase::Walking, uuid::Uuid::nil()).await.unwrap());
    let items = (0..900).map(|n| Item::new(format!("{n:0>900}"), Version::UNKNOWN)).collect();
    assert!(cluster.submit(term, 0, &source, items).await.unwrap());
    // As a stream does whose end is not asked for any more.
    let mut taken = Box::pin(cluster.take(900));
    assert!(futures_util::poll!(&mut taken).is_pending());
    let others = async {
        for _ in 0..3 {
            cluster.outstanding().await.unwrap();
        }
    };
    tokio::time::timeout(Duration::from_secs(30), others).await.expect("the others are answered");
    let Taken::Jobs(jobs) = taken.await.unwrap() else { panic!("the queue was full") };
    assert_eq!(jobs.len(), 900);
    cluster.leave().await;
}
