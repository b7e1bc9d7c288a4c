//! What a claim costs while somebody holds a snapshot open: what was worked off cannot be cleaned up then, and must not be read again
//! with every claim.

#![allow(clippy::print_stdout, reason = "the long one is run for its figures")]

use std::process::{Child, Stdio};
use std::time::Instant;

use ragstream::ingest::coordination::{Coordination as _, Job, Lead, Phase, Taken};
use ragstream::ingest::ledger::Ledger as _;
use ragstream::source::{Item, SourceId, Version};
use uuid::Uuid;

use super::Meeting;
use super::corpus::Corpus;
use crate::sql::servers;

/// A transaction that sees the tables as they are now, until its process is killed.
fn snapshot() -> Child {
    let sql = "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM ragstream.jobs; SELECT pg_sleep(3600)";
    let port = servers::postgres().port.to_string();
    let mut psql = std::process::Command::new(servers::program("psql"));
    psql.args(["-h", "127.0.0.1", "-p", &port, "-U", "postgres", "-d", "postgres", "-c", sql]);
    psql.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// How often a claim that begins after this number looks at a page to find its 32 jobs, and how often to take them as well.
fn pages(meeting: &Meeting, after: i64) -> (u64, u64) {
    let next = format!(
        "SELECT ctid FROM ragstream.jobs WHERE corpus = $corpus AND owner IS NULL AND job > {after} ORDER BY job LIMIT 32 FOR UPDATE SKIP LOCKED"
    );
    let taken = "UPDATE ragstream.jobs j SET owner = 1, epoch = 1 FROM next WHERE j.ctid = next.ctid";
    (looked_at(meeting, &next), looked_at(meeting, &format!("WITH next AS ({next}) {taken}")))
}

fn looked_at(meeting: &Meeting, statement: &str) -> u64 {
    let plan = meeting.sql(&format!("BEGIN; EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) {statement}; ROLLBACK"));
    let json = &plan[plan.find('[').unwrap()..=plan.rfind(']').unwrap()];
    let plan: serde_json::Value = serde_json::from_str(json).unwrap();
    let of = |key: &str| plan[0]["Plan"][key].as_u64().unwrap();
    of("Shared Hit Blocks") + of("Shared Read Blocks")
}

async fn worked_off(documents: usize) -> (u64, u64) {
    let meeting = Meeting::new(Corpus::new("corpus"));
    let cluster = meeting.cluster().await;
    let source = SourceId::new("corpus");
    cluster.join(std::slice::from_ref(&source), false).await.unwrap();
    let Lead::Mine(term) = cluster.lead().await.unwrap() else { unreachable!() };
    assert!(cluster.reached(term, Phase::Walking, Uuid::nil()).await.unwrap());
    let items: Vec<Item> = (0..documents).map(|n| Item::new(format!("docs/{n:07}.md"), Version::UNKNOWN)).collect();
    for page in items.chunks(1000) {
        assert!(cluster.submit(term, 0, &source, page.to_vec()).await.unwrap());
    }
    let run = cluster.begin_run().await.unwrap();
    let mut holds = snapshot();
    let holds_it = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(3600)%' AND backend_xmin IS NOT NULL AND pid <> pg_backend_pid()";
    while meeting.sql(holds_it) == "0" {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let (began, mut done) = (Instant::now(), 0);
    while done + 64 < documents {
        let Taken::Jobs(jobs) = cluster.take(32).await.unwrap() else { panic!("the queue is not empty") };
        done += jobs.len();
        let uris = jobs.iter().map(|job| match job {
            Job::Index(0, item) => item.uri.clone(),
            other => panic!("{other:?}"),
        });
        cluster.unlist(run, uris.collect()).await.unwrap();
    }
    let last = meeting.sql("SELECT min(job) - 1 FROM ragstream.jobs WHERE corpus = $corpus AND owner IS NULL").parse().unwrap();
    let ((finds, takes), (from_the_start, _)) = (pages(&meeting, last), pages(&meeting, 0));
    println!(
        "{done} documents worked off in {:.1} s beside an open snapshot: a claim of 32 looks at pages {finds} times to find them, {takes} \
         times to take them as well; one that looked at all numbers, {from_the_start} times to find them",
        began.elapsed().as_secs_f64()
    );
    holds.kill().unwrap();
    holds.wait().unwrap();
    cluster.leave().await;
    (finds, from_the_start)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_reads_few_pages_beside_an_open_snapshot() {
    let (goes_on, from_the_start) = worked_off(10_000).await;
    assert!(goes_on < 100, "{goes_on} pages");
    assert!(from_the_start > goes_on, "else nothing was shown: {from_the_start}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a minute or more: run by hand for its figure"]
async fn a_claim_reads_few_pages_after_a_hundred_thousand_documents() {
    let (goes_on, _) = worked_off(100_000).await;
    assert!(goes_on < 100, "{goes_on} pages");
}
