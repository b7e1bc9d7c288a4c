//! The limiter against models of servers, under a paused clock: what it uses of a quota, and how often it is refused.

use std::time::Duration;

use ragstream::limits::LearnedLimits;

use super::servers::{CASE, Case, Counts, SERVERS, Says, bounds, places, simulate};

#[test]
fn declared_limits_are_used_and_never_exceeded() {
    for counts in SERVERS.into_iter().filter(|counts| *counts != Counts::Bucket(1.0)) {
        for case in bounds() {
            let travel = Duration::from_millis(200);
            let run = simulate(Case { counts, declared: true, travel, ..case }, LearnedLimits::default());
            assert!(run.used >= 0.97 && run.refused == 0, "{counts:?} {case:?}: {run:?}");
        }
    }
}

#[test]
fn limits_in_headers_are_used_without_a_refusal() {
    for counts in SERVERS.into_iter().filter(|counts| *counts != Counts::Bucket(1.0)) {
        for case in bounds() {
            let run = simulate(Case { counts, says: Says::Headers, ..case }, LearnedLimits::default());
            assert!(run.used >= 0.97 && run.refused == 0, "{counts:?} {case:?}: {run:?}");
        }
    }
}

/// The first minute, at a server whose bucket holds a second's worth: with small and large requests, fast and slow ones.
fn first_minute() -> impl Iterator<Item = Case> {
    let sizes = [(500, 300), (500, 900), (2000, 900), (8000, 900), (8000, 2500), (30_000, 1500)];
    sizes.into_iter().enumerate().flat_map(|(n, (tokens, millis))| {
        [Counts::Bucket(1.0), Counts::Bucket(5.0), Counts::Sliding].map(|counts| Case {
            counts,
            says: Says::Headers,
            rpm: 6000,
            tpm: 3_000_000,
            tokens,
            latency: Duration::from_millis(millis),
            minutes: 1,
            seed: n as u64,
            ..CASE
        })
    })
}

#[test]
fn what_the_first_answer_tells_is_used_at_once() {
    let mut wrong = Vec::new();
    for case in first_minute() {
        let run = simulate(case, LearnedLimits::default());
        if run.used < 0.95 || run.refused > 0 {
            wrong.push(format!("{case:?}: {run:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// What is asked of a run against a server that tells nothing, or only when to come back: the goal is 93 % with 3 refusals.
fn goal(case: &Case) -> (f64, u64) {
    // 25 a second, or another on its way every 40 ms, while a refusal takes 30 to be heard: those that are on their way are
    // refused as well. Which happens to slower senders too, now and then.
    let refusals = if case.rpm == 1500 { 6 } else { 5 };
    match case.counts {
        // It holds two requests or one: one more sent at once is refused as if there were too many in flight, and nothing in
        // what is accepted and refused tells which of both it is.
        Counts::Bucket(1.0) if case.rpm == 60 || case.tpm == 1_000_000 => (0.4, 8),
        // The jitter of a request on its way is a tenth of what it holds.
        Counts::Bucket(1.0) => (0.85, refusals),
        // It takes most of a minute to use up a window, so it is another one that refuses than the one that was counted, and
        // nothing tells when it began.
        Counts::Fixed(25) if case.rpm == 1500 && case.says == Says::Nothing => (0.93, 8),
        // Five requests: one more or less is much.
        Counts::Bucket(5.0) if case.rpm == 60 => (0.9, refusals),
        _ => (0.93, refusals),
    }
}

#[test]
fn limits_that_nobody_tells_are_learned_from_few_refusals() {
    let (mut wrong, mut refused) = (Vec::new(), Vec::new());
    for says in [Says::RetryAfter, Says::Nothing] {
        for counts in SERVERS {
            for (seed, case) in (0..).zip(bounds()) {
                let case = Case { counts, says, seed, ..case };
                let run = simulate(case, LearnedLimits::default());
                let (least, most) = goal(&case);
                if run.used < least || run.refused > most {
                    wrong.push(format!("{says:?} {counts:?} rpm {} tpm {}: {run:?}", case.rpm, case.tpm));
                }
                refused.push(run.refused);
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let mean = refused.iter().sum::<u64>() as f64 / refused.len() as f64;
    assert!(mean <= 3.0, "{mean} refusals on average");
}

#[test]
fn places_that_nobody_tells_are_found_and_kept() {
    let mut wrong = Vec::new();
    for (seed, case) in (0..).zip(places()) {
        let case = Case { seed, ..case };
        let run = simulate(case, LearnedLimits::default());
        let again = simulate(Case { seed: seed + 100, ..case }, run.learned);
        if run.used < 0.93 || run.refused > 3 || again.used < 0.97 || again.refused > 0 {
            wrong.push(format!("{case:?}: {run:?}, then {again:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// A server that keeps waiting what it has no place for: more in flight only makes each answer later, until they time out.
#[test]
fn a_server_that_queues_is_not_flooded_however_long_and_often() {
    let mut wrong = Vec::new();
    for (seed, case) in (0..).zip(places().into_iter().filter(|case| case.queues)) {
        let mut learned = LearnedLimits::default();
        for round in 0..3 {
            let run = simulate(Case { seed: seed + round * 100, ..case }, learned);
            learned = run.learned;
            let most = case.places * 4;
            if run.used < 0.93 || learned.concurrency.is_none_or(|learned| learned < case.places * 9 / 10 || learned > most) {
                wrong.push(format!("round {round} {case:?}: {run:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_server_that_grows_slower_or_faster_is_used_all_the_same() {
    let mut wrong = Vec::new();
    for (seed, case) in (0..).zip(places().into_iter().filter(|case| case.queues)) {
        for slows in [4.0, 0.25] {
            let run = simulate(Case { slows, seed, ..case }, LearnedLimits::default());
            let most = case.places * 4;
            if run.used < 0.93 || run.learned.concurrency.is_none_or(|learned| learned > most) {
                wrong.push(format!("{slows} {case:?}: {run:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn what_was_learned_spares_the_next_run_the_refusals() {
    for counts in SERVERS {
        let case = Case { counts, ..CASE };
        let learned = simulate(case, LearnedLimits::default()).learned;
        let run = simulate(Case { seed: 100, ..case }, learned);
        assert!(run.used >= 0.9 && run.refused <= 1, "{counts:?}: {learned:?} {run:?}");
    }
}
