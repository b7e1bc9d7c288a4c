//! The real SQL at the size that nobody has at hand: 1 billion chunks in 50 million documents, 1,000 workers, 10 million tokens a minute.
//! 42 documents a second are to be agreed on then, whatever the number of workers. What is measured is measured on fewer documents and
//! workers, and said with what it is multiplied by.

#![allow(clippy::print_stdout, reason = "it is run for its figures")]

use std::path::Path;
use std::time::{Duration, Instant};

use ragstream::cluster::{Cluster, LEASE};
use ragstream::ingest::coordination::{Coordination as _, Job, Lead, Phase, Taken};
use ragstream::ingest::ledger::{Commit, Intent, Ledger as _, StoredPoint};
use ragstream::source::{Item, SourceId, Version};
use uuid::Uuid;

use super::Meeting;
use super::corpus::Corpus;

fn number(name: &str, usual: usize) -> usize {
    std::env::var(name).ok().map_or(usual, |value| value.parse().expect("a number"))
}

/// Seconds of a core that the server's processes have used.
fn server_seconds(meeting: &Meeting) -> f64 {
    let data = meeting.sql("SHOW data_directory");
    let mut ticks = 0_u64;
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let of = |file: &str| std::fs::read_to_string(entry.path().join(file)).unwrap_or_default();
        if std::fs::read_link(entry.path().join("cwd")).is_ok_and(|cwd| cwd == Path::new(&data)) {
            let stat = of("stat");
            let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
            // Own time, and that of children which have ended.
            ticks += fields.get(11..15).map_or(0, |times| times.iter().filter_map(|time| time.parse::<u64>().ok()).sum());
        }
    }
    ticks as f64 / 100.0
}

/// A worker that does nothing but agree: its share of the documents, at its pace.
async fn agrees(meeting_url: String, name: String, source: SourceId, every: Duration, until: Instant) -> usize {
    let cluster = Cluster::open(&meeting_url, Path::new("."), &name, LEASE).await.unwrap();
    cluster.join(std::slice::from_ref(&source), false).await.unwrap();
    let points: Vec<StoredPoint> = (0..20_u128).map(|n| StoredPoint { id: Uuid::from_u128(n), digest: n as u64 }).collect();
    let mut done = 0;
    tokio::time::sleep(every.mul_f64(rand::random_range(0.0..1.0))).await;
    while Instant::now() < until {
        if let Taken::Jobs(jobs) = cluster.take(1).await.unwrap() {
            for job in jobs {
                let Job::Index(_, item) = job else { continue };
                let prior = cluster.claim(vec![item.uri.clone()]).await.unwrap().remove(0);
                let ids = points.iter().map(|point| point.id).collect();
                let (uri, epoch) = (item.uri.clone(), prior.epoch);
                let intent = Intent { source: source.clone(), uri: uri.clone(), epoch, ids, untouched: Vec::new() };
                assert!(cluster.intend(vec![intent]).await.unwrap().uris.is_empty());
                let commit = Commit {
                    source: source.clone(),
                    uri,
                    epoch,
                    version: item.version,
                    hash: [1; 32],
                    modified: Some(1),
                    points: points.clone(),
                };
                done += usize::from(cluster.commit(vec![commit]).await.unwrap().uris.is_empty());
            }
        }
        tokio::time::sleep(every).await;
    }
    cluster.leave().await;
    done
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "minutes: run by hand for its figures (SIMULATE_DOCUMENTS, SIMULATE_WORKERS, SIMULATE_SECONDS)"]
async fn a_billion_chunks_by_a_thousand_workers() {
    let (documents, workers) = (number("SIMULATE_DOCUMENTS", 1_000_000), number("SIMULATE_WORKERS", 40));
    let seconds = number("SIMULATE_SECONDS", 60);
    let meeting = Meeting::new(Corpus::new("corpus"));
    let source = SourceId::new("corpus");
    let leader = meeting.cluster().await;
    leader.join(std::slice::from_ref(&source), false).await.unwrap();
    let Lead::Mine(term) = leader.lead().await.unwrap() else { unreachable!() };
    assert!(leader.reached(term, Phase::Walking, Uuid::nil()).await.unwrap());

    let began = Instant::now();
    let points = "decode(repeat('00112233445566778899aabbccddeeff0011223344556677', 20), 'hex')";
    meeting.sql(&format!(
        "INSERT INTO ragstream.documents (corpus, key, source, version, hash, modified, points, owner, epoch)
         SELECT $corpus, 'docs/' || lpad((n % 997)::text, 3, '0') || '/document-' || lpad(n::text, 9, '0') || '.html', 'corpus',
             decode(md5(n::text), 'hex'), decode(md5(n::text) || md5(n::text), 'hex'), 1700000000, {points}, 1, n
         FROM generate_series(1, {documents}) AS n"
    ));
    let filled = began.elapsed().as_secs_f64();
    let bytes = |what: &str| {
        let sql = format!("SELECT {what}('ragstream.documents')");
        meeting.sql(&sql).parse::<f64>().unwrap() / documents as f64
    };
    let (table, all) = (bytes("pg_relation_size"), bytes("pg_total_relation_size"));
    println!(
        "{documents} documents of 20 chunks filled in {filled:.0} s: {table:.0} bytes a row, {all:.0} with indexes: {:.0} GB for 50 million",
        all * 50e6 / 1e9
    );
    let began = Instant::now();
    // A hundredth of them has changed.
    meeting.sql("UPDATE ragstream.documents SET modified = modified + 1 WHERE corpus = $corpus AND epoch % 100 = 0");
    meeting.sql("VACUUM ragstream.documents");
    let vacuum = began.elapsed().as_secs_f64();
    println!(
        "a hundredth changed and vacuumed in {vacuum:.1} s: {:.0} min for 50 million",
        vacuum * 50e6 / documents as f64 / 60.0
    );

    // A walk that finds nothing changed: a page of 1,024 at a time.
    let run = leader.begin_run().await.unwrap();
    let keys = meeting.sql(
        "SELECT key || ' ' || encode(version, 'hex') FROM ragstream.documents WHERE corpus = $corpus ORDER BY key LIMIT 20480",
    );
    let unhex = |hex: &str| -> Vec<u8> {
        (0..hex.len() / 2).map(|at| u8::from_str_radix(&hex[at * 2..at * 2 + 2], 16).unwrap()).collect()
    };
    let listed: Vec<_> = keys
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(key, version)| ragstream::ingest::ledger::Listing { uri: key.to_owned(), version: Version::new(unhex(version)) })
        .collect();
    let (began, count) = (Instant::now(), listed.len());
    for page in listed.chunks(1024) {
        leader.note_listed(run, &source, page.to_vec()).await.unwrap();
    }
    let walked = count as f64 / began.elapsed().as_secs_f64();
    println!(
        "a walk compares {walked:.0} documents a second: {:.1} h for 50 million that are unchanged",
        50e6 / walked / 3600.0
    );

    let jobs = seconds * 60;
    let items: Vec<Item> = (0..jobs).map(|n| Item::new(format!("new/{n:09}.html"), Version::new(n.to_le_bytes()))).collect();
    for page in items.chunks(1000) {
        assert!(leader.submit(term, 0, &source, page.to_vec()).await.unwrap());
    }
    let transactions = || meeting.sql("SELECT sum(xact_commit) FROM pg_stat_database").parse::<f64>().unwrap();
    // 42 documents a second, by however many; each is claimed, intended and recorded by itself, which is the dearest way.
    let every = Duration::from_secs_f64(workers as f64 / 42.0);
    let until = Instant::now() + Duration::from_secs(seconds as u64);
    let (before, cpu, began) = (transactions(), server_seconds(&meeting), Instant::now());
    let work: Vec<_> = (0..workers)
        .map(|_| tokio::spawn(agrees(meeting.url.clone(), meeting.name.clone(), source.clone(), every, until)))
        .collect();
    let mut done = 0;
    for worker in work {
        done += worker.await.unwrap();
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    let took = began.elapsed().as_secs_f64();
    println!(
        "{workers} workers agreed on {done} documents in {took:.0} s: {:.1} documents/s, {:.0} transactions/s, {:.0} % of a core of the server's",
        done as f64 / took,
        (transactions() - before) / took,
        (server_seconds(&meeting) - cpu) / took * 100.0
    );
    assert!(done as f64 > 0.8 * 42.0 * seconds as f64, "the pace was not held: {done}");
}
