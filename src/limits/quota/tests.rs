//! One quota, at times of one's own.

#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use super::*;
use crate::limits::bucket::BucketEstimator;

fn secs(s: f64) -> Duration {
    Duration::from_secs_f64(s)
}

fn quota(limit: u64, burst: u64, now: Instant) -> Quota {
    let mut quota = Quota::unknown(Box::new(BucketEstimator::default()), now);
    quota.set(limit, burst, now);
    quota
}

#[test]
fn an_amount_above_the_limit_passes_alone() {
    let start = Instant::now();
    let mut quota = quota(100, 0, start);
    assert_eq!(quota.ready_at(1, start), None);
    quota.take(1, 1, start);
    let later = start + secs(30.0);
    assert_eq!(quota.ready_at(500, later), Some(start + WINDOW), "not while the window holds anything");
    assert_eq!(quota.ready_at(500, start + WINDOW), None);
    quota.take(2, 500, start + WINDOW);
    assert!(quota.ready_at(1, start + WINDOW + secs(60.0)).unwrap() >= start + WINDOW + WINDOW, "and is paid for");
}

#[test]
fn settling_gives_back_and_takes_more() {
    let start = Instant::now();
    let mut quota = quota(6100, 0, start);
    quota.take(1, 100, start);
    assert!(quota.ready_at(100, start).is_some(), "the bucket of one second is empty");
    assert!(quota.settle(1, 0, start), "all came free");
    assert_eq!(quota.ready_at(100, start), None);
    quota.take(2, 100, start);
    assert!(!quota.settle(2, 300, start));
    let ready = quota.ready_at(100, start).unwrap();
    assert_eq!((ready - start).as_millis(), 3000, "two seconds of debt, one to fill");
    assert!(!quota.settle(99, 1, start), "unknown ids change nothing");
}

#[test]
fn what_an_earlier_run_has_learned_lets_one_question_pass_at_once_and_what_follows_evenly() {
    let start = Instant::now();
    let learned = |limit, burst| {
        let mut quota = Quota::unknown(Box::new(BucketEstimator::default()), start);
        quota.remember(limit, burst);
        quota
    };
    let mut requests = learned(16, 4);
    for id in 0..2 {
        assert_eq!(requests.ready_at(1, start), None, "{id}");
        requests.take(id, 1, start);
    }
    let wait = requests.ready_at(1, start).unwrap() - start;
    assert_eq!(wait.as_millis(), 3812, "a sixteenth of the window, which is a second more than a minute");
    // However long nothing was sent, no more than that leaves at once.
    let later = start + secs(3600.0);
    (2..4).for_each(|id| {
        assert_eq!(requests.ready_at(1, later), None);
        requests.take(id, 1, later);
    });
    assert!(requests.ready_at(1, later).is_some());

    let mut tokens = learned(60_000, 0);
    assert_eq!(tokens.ready_at(5000, start), None);
    tokens.take(0, 5000, start);
    assert_eq!((tokens.ready_at(100, start).unwrap() - start).as_secs(), 5, "and it is paid for");
}

#[test]
fn what_was_used_before_counts() {
    let start = Instant::now();
    let mut quota = quota(60, 4, start);
    quota.note_used(60, None, start);
    assert_eq!(quota.ready_at(1, start), Some(start + WINDOW));
}

#[test]
fn what_others_use_counts_once_and_comes_back_at_the_reset() {
    let start = Instant::now();
    let mut quota = quota(600, 4, start);
    quota.take(0, 1, start);
    quota.note_used(1, None, start);
    assert_eq!(quota.ready_at(1, start), None, "that was us");
    for _ in 0..3 {
        quota.note_used(600, Some(secs(20.0)), start);
    }
    assert_eq!(quota.ready_at(1, start), Some(start + secs(20.0)));
    assert_eq!(quota.ready_at(1, start + secs(20.0)), None);
}
