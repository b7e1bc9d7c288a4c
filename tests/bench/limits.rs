//! What the goals of the limiter's simulation (tests/it/limits) are held against, all of it at once: the use of a quota, the
//! refusals, and both again in a second run that begins with what the first has learned. A few minutes.
//!
//! `SEEDS=3 ONLY=Bucket VERBOSE=1 cargo bench --bench limits`

#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::indexing_slicing, reason = "the table is the result")]

#[path = "../it/limits/servers.rs"]
mod servers;

use ragstream::limits::LearnedLimits;
use servers::{CASE, Case, Run, SERVERS, Says, bounds, places, simulate};

fn main() {
    if !std::env::args().any(|argument| argument == "--bench") {
        // As `cargo test --all-targets` starts it: one run.
        simulate(Case { minutes: 1, ..CASE }, LearnedLimits::default());
        return;
    }
    let seeds = std::env::var("SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(10);
    let verbose = std::env::var("VERBOSE").is_ok();
    let report = |name: String, case: Case| {
        let runs: Vec<Run> = (0..seeds).map(|seed| simulate(Case { seed, ..case }, LearnedLimits::default())).collect();
        let again: Vec<Run> =
            (0..seeds).zip(&runs).map(|(seed, run)| simulate(Case { seed: seed + 1000, ..case }, run.learned)).collect();
        let of = |runs: &[Run]| {
            let n = runs.len() as f64;
            let used = runs.iter().map(|run| run.used).sum::<f64>() / n * 100.0;
            let least = runs.iter().map(|run| run.used).fold(9.0, f64::min) * 100.0;
            let refused = runs.iter().map(|run| run.refused as f64).sum::<f64>() / n;
            let most = runs.iter().map(|run| run.refused).max().unwrap();
            format!("{used:6.1} {least:6.1} | {refused:4.1} {most:3}")
        };
        println!("| {name:46} | {} | {} |", of(&runs), of(&again));
        if verbose {
            for run in &runs {
                println!("      {:.3} {:?} {:?}", run.used, run.at, run.learned);
            }
        }
    };
    let only = std::env::var("ONLY").unwrap_or_default();
    let report = |name: String, case: Case| {
        if name.contains(&only) {
            report(name, case);
        }
    };
    for says in [Says::Nothing, Says::RetryAfter, Says::Headers] {
        for counts in SERVERS {
            for case in bounds() {
                let name = format!("{says:?} {counts:?} rpm {} tpm {}k", case.rpm, case.tpm / 1000);
                report(name, Case { counts, says, ..case });
            }
        }
    }
    for case in places() {
        let name = format!("{:?} places {} queue {} {:?}", case.says, case.places, case.queues, case.latency);
        report(name, case);
    }
}
