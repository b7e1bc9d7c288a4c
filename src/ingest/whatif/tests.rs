use std::time::Duration;

use super::*;

/// A run of so many requests of a tenth of a second, eight at a time, that costs the cores nothing.
fn recorded(requests: u64) -> Recorded {
    Recorded {
        running: requests as f64 / 80.0,
        cores: 2,
        texts: requests * 10,
        requests,
        latencies: vec![0.1; 100],
        places: 8,
        declared: true,
        under_way: 64,
        items: 10,
        ..Recorded::default()
    }
}

fn is(told: Option<f64>, right: f64) {
    assert!(told.is_some_and(|told| (told / right - 1.0).abs() < 0.02), "{told:?} is not {right}");
}

#[test]
fn what_is_bound_by_places_is_twice_as_fast_with_twice_as_many() {
    is(recorded(1600).doubled().concurrency, 2.0);
    assert_eq!(recorded(1600).doubled().quota, None, "there is none");
    let learned = Recorded { declared: false, ..recorded(1600) };
    assert_eq!(learned.doubled().concurrency, None, "as many as are of use are in flight already");
}

/// A run with a model in process: ten seconds on one core, of which `cpu` are the store's, which waits for its disk besides.
fn local(cpu: f64, waits: f64) -> Recorded {
    let one_by_one = OneByOne { cpu: Duration::from_secs_f64(cpu), waits: Duration::from_secs_f64(waits) };
    let run = Recorded { running: 10.0, cpu: 10.0, cores: 1, texts: 64_000, under_way: 10, ..Recorded::default() };
    Recorded { one_by_one: Some(one_by_one), stored: 500, ..run }
}

#[test]
fn what_is_stored_one_after_the_other_is_not_done_sooner_on_more_cores() {
    for (cpu, waits, faster) in [(0.0, 0.0, 2.0), (4.0, 0.0, 2.0), (8.0, 0.0, 1.25), (4.0, 3.0, 10.0 / 7.0), (10.0, 0.0, 1.0)] {
        is(local(cpu, waits).doubled().cores, faster);
    }
    let unknown = Recorded { one_by_one: None, ..local(8.0, 0.0) };
    is(unknown.doubled().cores, 2.0);
    let nothing_new = Recorded { texts: 0, stored: 0, ..local(0.0, 0.0) };
    is(nothing_new.doubled().cores, 2.0);
}

#[test]
fn what_is_before_and_after_the_stream_stays() {
    is(Recorded { around: 20.0, ..recorded(1600) }.doubled().concurrency, 40.0 / 30.0);
}

#[test]
fn a_quota_that_is_just_above_what_places_allow_is_the_next_limit() {
    // 80 a second by places; 100 a second are allowed.
    let run = Recorded { rpm: Some(6000.0), ..recorded(8000) };
    is(run.doubled().concurrency, 1.25);
    is(run.doubled().quota, 1.0);
    // 40 a second are allowed; twice that is as much as places allow.
    let run = Recorded { rpm: Some(2400.0), running: 200.0, ..recorded(8000) };
    is(run.doubled().quota, 2.0);
    is(run.doubled().concurrency, 1.0);
}

#[test]
fn cores_count_where_they_are_busy() {
    // A fortieth of a second of work for each of 80 a second: two cores, all busy.
    let run = Recorded { cpu: 100.0, before: 0.5, running: 50.0, ..recorded(4000) };
    let gain = run.doubled().cores.unwrap_or_default();
    assert!((1.0..1.15).contains(&gain), "places are the next limit: {gain}");
    let wide = Recorded { places: 256, under_way: 512, ..run };
    is(wide.doubled().cores, 2.0);
    is(wide.doubled().concurrency, 1.0);
    let alone = Recorded { cpu: 10.0, running: 5.0, cores: 2, ..Recorded::default() };
    is(alone.doubled().cores, 2.0);
}

#[test]
fn a_last_round_counts_as_a_whole_one() {
    // 9 requests with 8 places are two rounds, and one with 16.
    let run = Recorded { running: 0.2, ..recorded(9) };
    is(run.doubled().concurrency, 2.0);
    // Nothing more to gain.
    is(Recorded { running: 0.1, ..recorded(8) }.doubled().concurrency, 1.0);
}

#[test]
fn fuller_batches_need_fewer_requests() {
    let run = Recorded {
        rpm: Some(600.0),
        tpm: Some(1e9),
        tokens: 1e6,
        full_of_tokens: true,
        items: 100,
        running: 160.0,
        ..recorded(1600)
    };
    is(run.doubled().quota, 4.0);
}

#[test]
fn a_long_run_is_no_more_work_than_a_short_one() {
    let run = Recorded { running: 1_000_000.0 / 80.0, ..recorded(1_000_000) };
    is(run.doubled().concurrency, 2.0);
}
