//! The quota when a standby is promoted that does not have all that the primary acknowledged.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use ragstream::cluster::SCHEMA;
use ragstream::limits::Limits;

use super::{Provider, Work, Worker};
use crate::sql::servers::{Server, new_postgres, psql, standby_of};

fn pair() -> (Server, Server) {
    let primary = new_postgres();
    psql(primary.port, "postgres", SCHEMA);
    let standby = standby_of(&primary);
    (primary, standby)
}

/// Nothing that is written from now on gets to the standby.
fn cut(standby: &Server) {
    psql(standby.port, "postgres", "ALTER SYSTEM SET primary_conninfo = ''");
    psql(standby.port, "postgres", "SELECT pg_reload_conf()");
    while psql(standby.port, "postgres", "SELECT count(*) FROM pg_stat_wal_receiver").trim() != "0" {
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn version(port: u16) -> u64 {
    psql(port, "postgres", "SELECT coalesce(max(version), 0) FROM ragstream.quota").trim().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_standby_that_lost_what_was_used_allows_nothing_twice() {
    let (mut primary, standby) = tokio::task::spawn_blocking(pair).await.unwrap();
    let url = format!(
        "postgres://postgres@127.0.0.1:{},127.0.0.1:{}/postgres?sslmode=disable&target_session_attrs=read-write",
        primary.port, standby.port
    );
    let limits = Limits { rpm: Some(1800), tpm: Some(600_000), concurrency: Some(1024) };
    let provider = Provider::start(limits, Duration::from_millis(100)).await;
    let work = Work { visits: Arc::default(), database: url, provider: provider.address, limits, tokens: 500, at_once: 8 };
    let workers = Arc::new(AtomicU32::new(4));
    let all: Vec<Worker> = (0..4).map(|_| Worker::start(&work, &workers, false)).collect();
    let sent = || provider.seen.requests.load(Ordering::Relaxed);
    let until = async |requests: u64| {
        let began = Instant::now();
        while sent() < requests {
            assert!(began.elapsed() < Duration::from_secs(60), "{} of {requests}", sent());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    until(40).await;
    cut(&standby);
    let before = sent();
    until(before + 60).await;
    let lost = version(primary.port).saturating_sub(version(standby.port));
    assert!(lost > 0, "the standby has it all: it was not tested");
    primary.kill();
    tokio::time::sleep(Duration::from_millis(500)).await;
    psql(standby.port, "postgres", "SELECT pg_promote()");
    let promoted = sent();
    // One that knows of nothing goes by what the others have written again.
    let fifth = Worker::start(&work, &workers, false);
    until(promoted + 120).await;
    drop((all, fifth));
    assert_eq!(provider.seen.refused.load(Ordering::Relaxed), 0, "{lost} visits were lost");
}
