//! A standby that follows a primary without being waited for is promoted when the primary dies: what the database had acknowledged last
//! is lost, and what workers have written meanwhile by its word is in the store.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use ragstream::cluster::Cluster;
use ragstream::ingest::coordination::{Coordination as _, Lead, Phase, Taken, Term};
use ragstream::ingest::ledger::{Epoch, Ledger as _};
use ragstream::source::{Item, SourceId, Version};
use tokio::sync::Notify;
use uuid::Uuid;

use super::corpus::{Content, Corpus, text};
use super::{LEASE, Meeting, Worker};
use crate::sql::servers::{Server, new_postgres, psql, standby_of};

/// A primary, its standby, and workers who know of both.
struct Pair {
    primary: Server,
    standby: Server,
}

impl Pair {
    async fn new() -> Self {
        let made = tokio::task::spawn_blocking(|| {
            let primary = new_postgres();
            let standby = standby_of(&primary);
            Self { primary, standby }
        });
        made.await.unwrap()
    }

    fn url(&self) -> String {
        let (one, other) = (self.primary.port, self.standby.port);
        format!("postgres://postgres@127.0.0.1:{one},127.0.0.1:{other}/postgres?target_session_attrs=read-write")
    }

    /// What is committed from now on is lost.
    async fn cut(&self) {
        // What was committed until now is not.
        let here = psql(self.primary.port, "postgres", "SELECT pg_current_wal_lsn()");
        let there = format!("SELECT pg_last_wal_replay_lsn() >= '{}'", here.trim());
        while psql(self.standby.port, "postgres", &there).trim() != "t" {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        psql(self.standby.port, "postgres", "ALTER SYSTEM SET primary_conninfo = ''");
        psql(self.standby.port, "postgres", "SELECT pg_reload_conf()");
        while psql(self.standby.port, "postgres", "SELECT count(*) FROM pg_stat_wal_receiver").trim() != "0" {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The primary dies in the middle of a round, and a while later there is another.
    async fn fail_over(&mut self, meeting: &Meeting) {
        assert_ne!(psql(self.primary.port, "postgres", "SELECT phase FROM ragstream.corpora").trim(), "0", "it was too fast");
        self.primary.kill();
        tokio::time::sleep(Duration::from_secs(1)).await;
        psql(self.standby.port, "postgres", "SELECT pg_promote()");
        // Whoever waits in a fetch has its documents from before.
        meeting.corpus.open(None);
    }
}

/// Waits until the primary says so.
async fn until(pair: &Pair, sql: &str) {
    let began = std::time::Instant::now();
    while psql(pair.primary.port, "postgres", sql).trim() != "t" {
        assert!(began.elapsed() < Duration::from_mins(5), "it never was so: {sql}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// What was on its way when the database was lost counts for nothing, also where who had it takes the same again: by the database's
/// word all of it is as it was before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_taken_again_has_no_epoch_of_before() {
    let mut pair = Pair::new().await;
    // Under the name that it had.
    let meeting = Meeting { lease: Duration::from_mins(5), ..Meeting::at(pair.url(), Corpus::of(1)) };
    let cluster = meeting.cluster().await;
    let source = SourceId::new("a");
    cluster.join(std::slice::from_ref(&source), false).await.unwrap();
    let term = leads(&cluster).await;
    assert!(cluster.reached(term, Phase::Walking, Uuid::nil()).await.unwrap());
    let uris: Vec<String> = (0..100).map(|n| format!("a/{n}")).collect();
    let items: Vec<Item> = uris.iter().map(|uri| Item::new(uri.clone(), Version::new([1]))).collect();
    pair.cut().await;
    assert!(cluster.submit(term, 0, &source, items.clone()).await.unwrap());
    let before = granted(&cluster, &uris).await;
    pair.primary.kill();
    tokio::time::sleep(Duration::from_secs(1)).await;
    psql(pair.standby.port, "postgres", "SELECT pg_promote()");
    let restored = leads(&cluster).await;
    assert!(restored.restored, "it is another history");
    cluster.restart(restored).await.unwrap().expect("it leads");
    let term = leads(&cluster).await;
    assert!(cluster.reached(term, Phase::Walking, Uuid::nil()).await.unwrap());
    assert!(cluster.submit(term, 0, &source, items).await.unwrap());
    let after = granted(&cluster, &uris).await;
    for ((uri, before), after) in uris.iter().zip(&before).zip(&after) {
        assert_ne!(before, after, "{uri}");
        assert!(!cluster.holds(uri, *before).await, "{uri}");
        assert!(cluster.holds(uri, *after).await, "{uri}");
    }
    cluster.leave().await;
}

async fn leads(cluster: &Cluster) -> Term {
    match cluster.lead().await.unwrap() {
        Lead::Mine(term) => term,
        other => panic!("{other:?}"),
    }
}

/// Takes all of them; the epochs under which they were granted.
async fn granted(cluster: &Cluster, uris: &[String]) -> Vec<Epoch> {
    let mut taken = 0;
    while taken < uris.len() {
        match cluster.take(32).await.unwrap() {
            Taken::Jobs(jobs) => taken += jobs.len(),
            other => panic!("{taken} were taken, and then {other:?}"),
        }
    }
    cluster.claim(uris.to_vec()).await.unwrap().into_iter().map(|prior| prior.epoch).collect()
}

const DONE: &str = "SELECT count(*) FROM ragstream.documents WHERE points IS NOT NULL";

async fn ended(workers: Vec<Worker>) {
    for worker in workers {
        tokio::time::timeout(Duration::from_mins(5), worker.task).await.expect("it ends").unwrap().unwrap();
    }
}

async fn is_settled(pair: &Pair, meeting: &Meeting) {
    meeting.is_as_alone().await;
    for table in ["jobs", "sweeps"] {
        assert_eq!(
            psql(pair.standby.port, "postgres", &format!("SELECT count(*) FROM ragstream.{table}")).trim(),
            "0",
            "{table}"
        );
    }
    // The ledger says what the store holds: nothing is to be done.
    let again = meeting.round(1).await;
    assert_eq!((again[0].documents.added, again[0].documents.changed, again[0].documents.removed), (0, 0, 0));
    assert_eq!(again[0].documents.unchanged, meeting.corpus.len() as u64);
    meeting.is_as_alone().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_done_last_is_lost() {
    let mut pair = Pair::new().await;
    let meeting = Meeting::at(pair.url(), Corpus::of(360));
    meeting.corpus.open(Some(40));
    let workers = vec![meeting.worker().await, meeting.worker().await, meeting.worker().await];
    until(&pair, &format!("SELECT ({DONE}) >= 20")).await;
    pair.cut().await;
    let sofar = psql(pair.primary.port, "postgres", DONE);
    meeting.corpus.open(Some(80));
    until(&pair, &format!("SELECT ({DONE}) > {}", sofar.trim())).await;
    pair.fail_over(&meeting).await;
    ended(workers).await;
    is_settled(&pair, &meeting).await;
}

/// The standby knows who leads, and of no job: who leads finds at once that nothing is left to do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_jobs_are_lost() {
    let mut pair = Pair::new().await;
    let mut corpus = Corpus::of(240);
    let gate = Arc::new(Notify::new());
    corpus.gate = Mutex::new(Some(Arc::clone(&gate)));
    corpus.open(Some(40));
    let meeting = Meeting::at(pair.url(), corpus);
    let workers = vec![meeting.worker().await, meeting.worker().await];
    until(&pair, "SELECT phase = 2 FROM ragstream.corpora").await;
    pair.cut().await;
    gate.notify_one();
    until(&pair, "SELECT phase = 3 FROM ragstream.corpora").await;
    pair.fail_over(&meeting).await;
    ended(workers).await;
    is_settled(&pair, &meeting).await;
}

/// A round that the standby knows nothing of: edits and removals that are in the store, and in no ledger.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_whole_round_is_lost_that_its_workers_are_in() {
    let mut pair = Pair::new().await;
    let meeting = Meeting::at(pair.url(), Corpus::of(120));
    meeting.round(2).await;
    pair.cut().await;
    (0..60).for_each(|n| meeting.corpus.write(n, &text(n, 1)));
    meeting.corpus.open(Some(20));
    let workers = vec![meeting.worker().await, meeting.worker().await];
    until(&pair, "SELECT count(*) >= 16 FROM ragstream.documents WHERE version = '\\x0200000000000000'").await;
    // An edit that no ledger has ever seen the predecessor of.
    (0..60).for_each(|n| meeting.corpus.write(n, &text(n, 2)));
    pair.fail_over(&meeting).await;
    ended(workers).await;
    is_settled(&pair, &meeting).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_whole_round_is_lost_when_nobody_looks() {
    let mut pair = Pair::new().await;
    let meeting = Meeting::at(pair.url(), Corpus::of(60));
    meeting.round(2).await;
    pair.cut().await;
    for n in 0..60 {
        match n % 4 {
            0 => meeting.corpus.write(n, &text(n, 1)),
            1 => meeting.corpus.set(n, Content::Empty),
            2 => meeting.corpus.remove(n),
            _ => {}
        }
    }
    meeting.corpus.write(77, &text(77, 0));
    meeting.corpus.open(Some(16));
    let killed = super::Meeting::worker_of(
        meeting.setup(meeting.store.clone()).await,
        super::Options { prune: true, ..super::Options::default() },
    );
    until(&pair, "SELECT count(*) >= 8 FROM ragstream.documents WHERE version = '\\x0200000000000000'").await;
    killed.kill().await;
    pair.fail_over(&meeting).await;
    // The removed are there again, and what was there once more is gone.
    for n in 0..60 {
        match n % 4 {
            0 => meeting.corpus.write(n, &text(n, 2)),
            1 | 2 => meeting.corpus.write(n, &text(n, 0)),
            _ => {}
        }
    }
    meeting.corpus.remove(77);
    let began = std::time::Instant::now();
    ended(vec![meeting.worker().await, meeting.worker().await]).await;
    assert!(began.elapsed() > LEASE, "whoever was at work is waited for");
    is_settled(&pair, &meeting).await;
}
