//! A crawl that is killed goes on where it stopped.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use ragstream::ingest::report::Report;
use ragstream::ingest::{self, Options};
use tokio_util::sync::CancellationToken;

use crate::both::{Ledger, over_both_ledgers};

use super::Bench;
use super::site::Page;

/// Requests that may be in flight to this machine.
const IN_FLIGHT: usize = 8;
/// Answers that are there and not noted yet.
const NOT_NOTED: usize = 1;

over_both_ledgers! { async
    a_killed_crawl_asks_for_nothing_twice_but_what_was_in_flight
}

async fn a_killed_crawl_asks_for_nothing_twice_but_what_was_in_flight(ledger: Ledger) {
    let mut bench = Bench::empty(ledger, "/docs/").await;
    let pages = 120;
    let links: Vec<String> = (1..pages).map(super::path).collect();
    let links: Vec<&str> = links.iter().map(String::as_str).collect();
    for n in 0..pages {
        bench.site.put(&super::path(n), super::manual(&format!("chapter-{n}"), if n == 0 { &links } else { &[] }));
    }
    bench.site.put("/robots.txt", Page::text("text/plain", "User-agent: *\nAllow: /\n"));
    bench.site.slow(Duration::from_millis(4));
    // Embedding lags behind, so that what was fetched waits for it when the run is killed.
    bench.embed_delay = Duration::from_millis(30);
    let mut times: HashMap<String, usize> = HashMap::new();
    let (mut kills, mut given_up, mut indexed) = (0, 0, 0);
    for round in 0..12 {
        bench.site.asked();
        let run = ingest::run(bench.setup().await, Options::default(), Arc::new(Report::default()), CancellationToken::new());
        let mut run = Box::pin(run);
        let until = 6 + round * 5;
        let killed = loop {
            tokio::select! {
                ended = &mut run => { ended.unwrap(); break false }
                () = tokio::time::sleep(Duration::from_millis(1)) => if bench.site.count() >= until { break true },
            }
        };
        drop(run);
        bench.all_are_dead();
        kills += usize::from(killed);
        let asked: Vec<String> = bench.site.asked().into_iter().map(|asked| asked.path).collect();
        let (before, now) = (indexed, bench.indexed().await.len());
        indexed = now;
        given_up += asked.iter().filter(|path| path.starts_with("/docs/p")).count().saturating_sub(now.saturating_sub(before));
        for path in asked {
            *times.entry(path).or_default() += 1;
        }
        if !killed {
            break;
        }
    }
    let run = bench.ingest().await;
    for asked in run.asked.iter().filter(|asked| asked.status == 200) {
        *times.entry(asked.path.clone()).or_default() += 1;
    }
    assert!(kills >= 3, "{kills}");
    assert_eq!(bench.indexed().await.len(), pages);
    let pages = times.iter().filter(|(path, _)| path.starts_with("/docs/p"));
    let again: usize = pages.map(|(_, times)| times - 1).sum();
    // One of several workers gives up the pages that it had fetched when it ends, and who follows asks for them again; not for what is
    // in the index.
    let most = kills * (IN_FLIGHT + NOT_NOTED) + if ledger == Ledger::Postgres { given_up } else { 0 };
    assert!(again <= most, "{again} pages again, after {kills} kills, of {given_up} that were not in the index");
}
