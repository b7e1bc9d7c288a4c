//! What is saved and loaded goes on as if nothing had happened.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test may fail loudly")]

use std::time::Duration;

use proptest::prelude::*;
use tokio::time::Instant;

use super::*;
use crate::limits::estimator::Refusal;
use crate::limits::headers::{RateLimits, RateWindow};

const BEGAN: i64 = 1_800_000_000_000_000;

/// What happens to a budget, some milliseconds after what happened before.
#[derive(Debug, Clone)]
enum Event {
    /// A request of so many tokens leaves, if it may.
    Ask(u64),
    Settle(usize, u64),
    Refuse(usize, Option<u64>),
    Observe(u64, u64),
    Pause(u64),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        8 => (1_u64..3000).prop_map(Event::Ask),
        2 => (0_usize..8, 0_u64..4000).prop_map(|(of, tokens)| Event::Settle(of, tokens)),
        1 => (0_usize..4, prop::option::of(0_u64..30)).prop_map(|(of, asked)| Event::Refuse(of, asked)),
        1 => (50_u64..5000, 0_u64..5000).prop_map(|(limit, used)| Event::Observe(limit, used)),
        1 => (0_u64..5000).prop_map(Event::Pause),
    ]
}

/// A budget with what is needed to go on with it.
struct Course {
    budget: Budget,
    sent: Vec<(u64, u64)>,
}

impl Course {
    /// What came of an event: when it might leave, and what is known by then.
    fn go(&mut self, event: &Event, clock: Clock) -> (Option<Instant>, Option<u64>, Option<u64>, u64, u64) {
        let (now, budget) = (clock.now, &mut self.budget);
        let mut ready = None;
        match *event {
            Event::Ask(tokens) => {
                ready = budget.ready_after((0, 0), 1, tokens, now);
                if ready.is_none() {
                    budget.next_id = budget.next_id.max(id(clock.micros));
                    self.sent.push((budget.take(tokens, now), tokens));
                }
            }
            Event::Settle(of, actual) => {
                if let Some((id, reserved)) = self.sent.iter().rev().nth(of) {
                    budget.tokens.correct(*id, *reserved, actual, now);
                }
            }
            Event::Refuse(of, asked) => {
                if let Some((id, tokens)) = self.sent.iter().rev().nth(of) {
                    budget.uncount(*id, *tokens, now);
                    let left = clock.instant(micros(*id));
                    let refusal = Refusal { left, heard: now, asked: asked.map(Duration::from_secs) };
                    let pause = budget.requests.refused(refusal).max(budget.tokens.refused(refusal));
                    budget.learned_at.get_or_insert(now);
                    budget.heard_at = Some(now);
                    budget.pause(pause.map(|pause| now + Duration::from_micros(pause.as_micros() as u64)));
                }
            }
            Event::Observe(limit, used) => {
                let window = RateWindow { limit, remaining: Some(limit.saturating_sub(used)), reset: None };
                let seen = RateLimits { requests: None, tokens: Some(window) };
                budget.observed(seen, Limits::default(), now);
            }
            Event::Pause(millis) => budget.pause(Some(now + Duration::from_millis(millis))),
        }
        let used = (budget.requests.used(now), budget.tokens.used(now));
        (ready, budget.requests.limit(), budget.tokens.limit(), used.0, used.1)
    }
}

fn at(start: Instant, micros: i64) -> Clock {
    Clock { now: start + Duration::from_micros(micros.unsigned_abs()), micros: BEGAN + micros }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn what_is_loaded_admits_exactly_what_was_saved(
        rpm in prop::option::of(10_u32..3000),
        tpm in prop::option::of(1000_u32..300_000),
        learned in prop::option::of(10_u64..1000),
        events in prop::collection::vec((0_i64..900_000, event()), 1..170),
        save_at in prop::collection::vec(0_usize..170, 0..6),
    ) {
        let start = Instant::now();
        let declared = Limits { rpm, tpm, concurrency: None };
        let learned = LearnedLimits { rpm: learned, ..LearnedLimits::default() };
        let new = || Course { budget: Budget::new(declared, learned, start), sent: Vec::new() };
        let (mut exact, mut saved) = (new(), new());
        let mut micros = 0;
        for (index, (later, event)) in events.iter().enumerate() {
            micros += later;
            let clock = at(start, micros);
            prop_assert_eq!(exact.go(event, clock), saved.go(event, clock), "{} {:?}", index, event);
            if save_at.contains(&index) {
                let bytes = save(&mut saved.budget, &Line::default(), &Runs::default(), clock);
                saved.budget = Saved::load(&bytes, clock, 0).expect("it was just written").budget;
            }
        }
    }

    /// A log that is told by quarters of a second lets nothing go that the whole one would not.
    #[test]
    fn a_short_log_never_admits_more(
        rpm in 100_u32..3000,
        tpm in 10_000_u32..300_000,
        events in prop::collection::vec((0_i64..400_000, 1_u64..3000), 200..700),
    ) {
        let start = Instant::now();
        let declared = Limits { rpm: Some(rpm), tpm: Some(tpm), concurrency: None };
        let mut exact = Budget::new(declared, LearnedLimits::default(), start);
        let mut short = Budget::new(declared, LearnedLimits::default(), start);
        let mut micros = 0;
        for (later, tokens) in events {
            micros += later;
            let clock = at(start, micros);
            let (one, other) = (exact.ready_after((0, 0), 1, tokens, clock.now), short.ready_after((0, 0), 1, tokens, clock.now));
            prop_assert!(other >= one, "{other:?} {one:?}");
            if other.is_none() {
                for budget in [&mut exact, &mut short] {
                    budget.next_id = budget.next_id.max(id(clock.micros));
                    budget.take(tokens, clock.now);
                }
            }
            let bytes = save(&mut short, &Line::default(), &Runs::default(), clock);
            prop_assert!(bytes.len() < 2000, "{}", bytes.len());
            short = Saved::load(&bytes, clock, 0).unwrap().budget;
        }
    }

    #[test]
    fn what_cannot_be_read_is_not_taken_for_something(mut bytes in prop::collection::vec(any::<u8>(), 0..200), at_byte: prop::sample::Index, bit in 0_u8..8) {
        let clock = at(Instant::now(), 0);
        prop_assert!(Saved::load(&bytes, clock, 0).is_none());
        // Also under a sum that is right.
        let sum = blake3::hash(&bytes);
        bytes.extend(sum.as_bytes().iter().take(SUM));
        let _ = Saved::load(&bytes, clock, 0);
        let mut budget = Budget::new(Limits { rpm: Some(10), ..Limits::default() }, LearnedLimits::default(), clock.now);
        let mut good = save(&mut budget, &Line::default(), &Runs::default(), clock);
        prop_assert!(Saved::load(&good, clock, 0).is_some());
        let index = at_byte.index(good.len());
        good[index] ^= 1 << bit;
        prop_assert!(Saved::load(&good, clock, 0).is_none());
    }
}

#[test]
fn a_short_log_costs_little_of_a_quota() {
    let start = Instant::now();
    let declared = Limits { rpm: Some(6000), tpm: Some(3_000_000), concurrency: None };
    let sent = |shortens: bool| {
        let mut budget = Budget::new(declared, LearnedLimits::default(), start);
        let (mut sent, mut micros, mut longest) = (0, 0, 0);
        while micros < 1_200_000_000 {
            let clock = at(start, micros);
            if let Some(later) = budget.ready_after((0, 0), 1, 400, clock.now) {
                micros += i64::try_from((later - clock.now).as_micros()).unwrap() + 1;
                continue;
            }
            budget.next_id = budget.next_id.max(id(clock.micros));
            budget.take(400, clock.now);
            sent += 1;
            if shortens && sent % 20 == 0 {
                let bytes = save(&mut budget, &Line::default(), &Runs::default(), clock);
                longest = longest.max(bytes.len());
                budget = Saved::load(&bytes, clock, 0).unwrap().budget;
            }
        }
        (sent, longest)
    };
    let ((whole, _), (short, longest)) = (sent(false), sent(true));
    let lost = 1.0 - f64::from(short) / f64::from(whole);
    assert!((0.0..0.005).contains(&lost), "{lost}: {short} of {whole}");
    assert!(longest < 1600, "{longest} bytes");
}

#[test]
fn what_is_settled_late_is_found_in_a_short_log() {
    let start = Instant::now();
    let mut budget = Budget::new(Limits { tpm: Some(6_000_000), ..Limits::default() }, LearnedLimits::default(), start);
    let mut ids = Vec::new();
    for n in 0..1000 {
        let clock = at(start, n * 10_000);
        budget.next_id = budget.next_id.max(id(clock.micros));
        ids.push(budget.take(100, clock.now));
        let bytes = save(&mut budget, &Line::default(), &Runs::default(), clock);
        budget = Saved::load(&bytes, clock, 0).unwrap().budget;
    }
    let now = start + Duration::from_secs(10);
    assert_eq!(budget.tokens.used(now), 100_000);
    for id in &ids {
        budget.tokens.correct(*id, 100, 30, now);
    }
    assert_eq!(budget.tokens.used(now), 30_000);
    // What is too old to count is not taken from what counts.
    let later = start + Duration::from_secs(65);
    let left = budget.tokens.used(later);
    budget.tokens.correct(ids[0], 30, 0, later);
    assert_eq!(budget.tokens.used(later), left);
}

#[test]
fn a_clock_that_is_set_back_or_a_damaged_state_hold_for_a_minute_and_no_longer() {
    let start = Instant::now();
    let declared = Limits { rpm: Some(60), ..Limits::default() };
    let clock = at(start, 0);
    let mut budget = Budget::new(declared, LearnedLimits::default(), start);
    budget.next_id = id(clock.micros);
    for _ in 0..60 {
        budget.take(0, start);
    }
    let bytes = save(&mut budget, &Line::default(), &Runs::default(), clock);
    let hour_before = Clock { micros: clock.micros - 3_600_000_000, ..clock };
    for mut budget in [
        Saved::load(&bytes, hour_before, 0).unwrap().budget,
        Saved::spent(declared, LearnedLimits::default(), clock).budget,
        Saved::spent(Limits::default(), LearnedLimits::default(), clock).budget,
    ] {
        assert!(budget.ready_after((0, 0), 1, 0, start + Duration::from_secs(59)).is_some());
        assert_eq!(budget.ready_after((0, 0), 1, 0, start + Duration::from_secs(63)), None);
    }
}

#[test]
fn a_worker_finds_what_it_lost_through_several_ends() {
    let mut runs = Runs::default();
    assert!(!runs.note(1, 0, 0), "the first");
    assert!(!runs.note(1, 50, 10));
    assert!(runs.note(2, 90, 20), "91 to wherever it came were lost");
    assert!(runs.note(3, 95, 30));
    assert_eq!([1, 2, 3].map(|run| runs.lost_since(run)), [Some(90), Some(95), None]);
    assert_eq!(runs.lost_since(7), Some(0), "of a run that was lost itself all is written again");
    for run in 4..100 {
        runs.note(run, 100 + run, 40);
    }
    assert!(runs.known.len() <= RUNS + 1);
    // After a long time the last one is known still.
    runs.note(100, 1000, i64::MAX / 2);
    assert_eq!(runs.lost_since(99), Some(1000));
    assert_eq!(runs.known.len(), 2);
}
