//! Any history of edits, outages and kills: in the end the index holds what can be reached, and never has it lost a page that was there.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ragstream::ingest::report::Report;
use ragstream::ingest::{self, Options};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio_util::sync::CancellationToken;

use crate::both::{Ledger, over_both_ledgers};

use super::site::{Fault, Page, manual};
use super::{Bench, path};

const PAGES: usize = 14;

/// What the site is: a page's edits, and what it links to.
#[derive(Debug, Default)]
struct Model(BTreeMap<usize, (u32, BTreeSet<usize>)>);

impl Model {
    fn show(&self, bench: &Bench, n: usize) {
        let (edits, links) = &self.0[&n];
        let links: Vec<String> = links.iter().map(|n| path(*n)).collect();
        let links: Vec<&str> = links.iter().map(String::as_str).collect();
        bench.site.put(&path(n), manual(&format!("chapter {n} of edition {edits}"), &links));
    }

    /// What links lead to, from the first page on.
    fn reachable(&self) -> BTreeSet<usize> {
        let (mut reached, mut next) = (BTreeSet::new(), vec![0]);
        while let Some(n) = next.pop() {
            if let Some((_, links)) = self.0.get(&n)
                && reached.insert(n)
            {
                next.extend(links);
            }
        }
        reached
    }
}

async fn history(ledger: Ledger, seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let bench = Bench::empty(ledger, "/docs/").await;
    let mut model = Model::default();
    for n in 0..PAGES {
        let links = (0..3).map(|_| random.random_range(0..PAGES)).chain([(n + 1) % PAGES]).collect();
        model.0.insert(n, (0, links));
    }
    for n in 0..PAGES {
        model.show(&bench, n);
    }
    for step in 0..8 {
        for _ in 0..random.random_range(0..3) {
            let n = random.random_range(0..PAGES);
            match random.random_range(0..4) {
                0 if n > 0 && model.0.remove(&n).is_some() => bench.site.remove(&path(n)),
                1 => {
                    let links = (0..3).map(|_| random.random_range(0..PAGES)).collect();
                    let edits = model.0.get(&n).map_or(step, |(edits, _)| edits + 1);
                    model.0.insert(n, (edits, links));
                    model.show(&bench, n);
                }
                _ => {
                    if let Some((edits, _)) = model.0.get_mut(&n) {
                        *edits += 1;
                        model.show(&bench, n);
                    }
                }
            }
        }
        let before = bench.indexed().await;
        let alive = |known: &BTreeSet<String>| -> BTreeSet<String> {
            model.0.keys().map(|n| path(*n)).filter(|path| known.contains(path)).collect()
        };
        match random.random_range(0..4) {
            0 => {
                let faults =
                    [Fault::Status(500), Fault::Status(401), Fault::Robots(503), Fault::Cut, Fault::Redirect("/login".into())];
                bench.site.put("/login", Page::html("<input type=password>"));
                bench.site.fault(faults[random.random_range(0..faults.len())].clone());
                bench.ingest().await;
                bench.site.fault(Fault::None);
            }
            1 => {
                let run =
                    ingest::run(bench.setup().await, Options::default(), Report::default().into(), CancellationToken::new());
                let _ = tokio::time::timeout(Duration::from_millis(random.random_range(1..40)), run).await;
                bench.all_are_dead();
            }
            _ => drop(bench.ingest().await),
        }
        // A page that is still there may have to wait for its turn to leave the index, but not within one run.
        let after = bench.indexed().await;
        let reachable: BTreeSet<String> = model.reachable().into_iter().map(path).collect();
        let lost: Vec<String> =
            alive(&before).intersection(&reachable).filter(|path| !after.contains(*path)).cloned().collect();
        assert!(lost.is_empty(), "seed {seed}, step {step}: {lost:?}");
    }
    // What an interrupted crawl has seen may be of before the last edits; what nothing leads to goes with the second crawl.
    for _ in 0..4 {
        bench.ingest_with(Options { prune: true, ..Options::default() }).await;
    }
    let expected: BTreeSet<String> = model.reachable().into_iter().map(path).collect();
    assert_eq!(bench.indexed().await, expected, "seed {seed}");
    for passage in bench.passages().await {
        let n = (0..PAGES).find(|n| passage.uri.ends_with(&path(*n))).unwrap();
        let edition = format!("chapter {n} of edition {}", model.0[&n].0);
        assert!(passage.text.contains(&edition) || passage.title.as_deref() == Some(&edition), "seed {seed}: {passage:?}");
    }
    let again = bench.ingest().await;
    assert_eq!(again.counts()[1..], [0, 0, expected.len() as u64, 0, 0], "seed {seed}: {:?}", again.failures);
}

over_both_ledgers! { async
    whatever_happens_the_index_is_the_site_in_the_end
}

async fn whatever_happens_the_index_is_the_site_in_the_end(ledger: Ledger) {
    for seed in 0..6 {
        history(ledger, seed).await;
    }
}
