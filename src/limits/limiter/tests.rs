//! What only a sender sees that makes its refusals up, under a paused clock.

#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use std::future::Future;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use super::*;
use crate::limits::state::BELIEVED;

fn limits(rpm: Option<u32>, tpm: Option<u32>, concurrency: Option<u32>) -> Limits {
    Limits { rpm, tpm, concurrency }
}

fn paused<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(future)
}

#[test]
fn refusals_halve_what_is_in_flight_once_a_burst_and_answers_raise_it() {
    paused(async {
        let limiter = Limiter::new(limits(Some(1_000_000), Some(1_000_000_000), Some(16)));
        let burst = Instant::now();
        tokio::time::advance(Duration::from_secs(1)).await;
        for _ in 0..16 {
            limiter.throttled(Sent { id: u64::MAX, in_flight: 1, left: burst }, None);
        }
        let allowed = async |limiter: &Limiter| {
            let mut permits = Vec::new();
            while let Ok(permit) = tokio::time::timeout(Duration::from_millis(1), limiter.admit(limiter.ticket(), 1)).await {
                permits.push(permit);
            }
            permits.len()
        };
        assert_eq!(allowed(&limiter).await, 8);
        for _ in 0..8 {
            limiter.answered(Sent { id: u64::MAX, in_flight: 1, left: Instant::now() }, None);
        }
        assert_eq!(allowed(&limiter).await, 8, "a round of answers at 8 is worth not quite one more");
        limiter.answered(Sent { id: u64::MAX, in_flight: 1, left: Instant::now() }, None);
        assert_eq!(allowed(&limiter).await, 9);
        for _ in 0..1000 {
            limiter.answered(Sent { id: u64::MAX, in_flight: 1, left: Instant::now() }, None);
        }
        assert_eq!(allowed(&limiter).await, 16);
        for _ in 0..1000 {
            tokio::time::advance(Duration::from_secs(1)).await;
            limiter.throttled(Sent { id: u64::MAX, in_flight: 1, left: Instant::now() }, None);
        }
        assert_eq!(allowed(&limiter).await, 1);
    });
}

#[test]
fn long_answers_to_many_at_once_begin_in_few_rounds() {
    paused(async {
        let limiter = Limiter::new(limits(None, None, None));
        let began = Instant::now();
        let asking = (0..64).map(|_| {
            let limiter = limiter.clone();
            tokio::spawn(async move {
                let permit = limiter.admit(limiter.ticket(), 1).await;
                tokio::time::sleep(Duration::from_millis(500)).await;
                limiter.answered(permit.sent, None);
                let begun = Instant::now();
                // It is written for a minute.
                tokio::time::sleep(Duration::from_mins(1)).await;
                drop(permit);
                begun
            })
        });
        let mut last = began;
        for asked in asking.collect::<Vec<_>>() {
            last = last.max(asked.await.unwrap());
        }
        // One after the other it would be 32 s; two seconds of it are the pace while no quota is known.
        assert!(last - began < Duration::from_secs(6), "{:?}", last - began);
    });
}

#[test]
fn what_was_learned_is_learned_anew_after_a_day() {
    paused(async {
        let learned = LearnedLimits { rpm: Some(6), tpm: Some(100), concurrency: Some(2), ceiling: Some(2) };
        let limiter = Limiter::with_learned(limits(None, Some(600), None), learned);
        assert_eq!((limiter.rpm(), limiter.concurrency()), (Some(6), 2));
        for _ in 0..200 {
            let permit = limiter.admit(limiter.ticket(), 1).await;
            let sent = permit.sent;
            drop(permit);
            limiter.answered(sent, None);
        }
        assert_eq!((limiter.rpm(), limiter.concurrency()), (Some(6), 2), "it is kept to");
        tokio::time::advance(BELIEVED).await;
        let start = Instant::now();
        for _ in 0..200 {
            let permits = [limiter.admit(limiter.ticket(), 1).await, limiter.admit(limiter.ticket(), 1).await];
            let waits = tokio::time::timeout(Duration::from_millis(1), limiter.admit(limiter.ticket(), 0)).await;
            drop((permits, waits));
            limiter.answered(Sent { id: u64::MAX, in_flight: 3, left: Instant::now() }, None);
        }
        assert!(start.elapsed() < Duration::from_mins(3), "{:?}", start.elapsed());
        assert_eq!((limiter.rpm(), limiter.tpm()), (None, Some(600)), "what is declared stays");
        assert!(limiter.concurrency() > 2);
        assert_eq!(limiter.learned().ceiling, None);
    });
}

#[test]
fn who_is_asked_side_by_side_waits_for_nobody_unless_something_is_known_against_it() {
    paused(async {
        // How many of three leave while none of them is answered.
        let leave = async |limiter: &Limiter| {
            limiter.make_room(3);
            let asked = (0..3).map(|_| limiter.admit(limiter.ticket(), 1));
            let mut asked = asked.collect::<FuturesUnordered<_>>();
            let mut permits = Vec::new();
            while let Ok(Some(permit)) = tokio::time::timeout(Duration::from_millis(200), asked.next()).await {
                permits.push(permit);
            }
            permits.len()
        };
        let limiter = Limiter::new(limits(None, None, None));
        assert_eq!(leave(&limiter).await, 3);
        let hanging = limiter.admit(limiter.ticket(), 1).await;
        assert_eq!(leave(&limiter).await, 3, "besides what is in flight");
        drop(hanging);

        let learned = LearnedLimits { concurrency: Some(1), ..LearnedLimits::default() };
        assert_eq!(leave(&Limiter::with_learned(limits(None, None, None), learned)).await, 3, "one was enough, not the most");
        let learned = LearnedLimits { ceiling: Some(2), ..learned };
        assert_eq!(leave(&Limiter::with_learned(limits(None, None, None), learned)).await, 1, "more were refused");
        assert_eq!(leave(&Limiter::new(limits(None, None, Some(2)))).await, 2, "declared");
    });
}

#[test]
fn one_that_is_refused_alone_was_not_one_too_many() {
    paused(async {
        for (in_flight, ceiling) in [(1, None), (3, Some(2))] {
            let limiter = Limiter::new(limits(None, None, None));
            for _ in 0..2 {
                tokio::time::advance(Duration::from_mins(1)).await;
                limiter.throttled(Sent { id: u64::MAX, in_flight, left: Instant::now() }, Some(Duration::from_secs(1)));
                tokio::time::advance(Duration::from_secs(1)).await;
            }
            assert_eq!(limiter.learned().ceiling, ceiling, "{in_flight} in flight");
        }
    });
}

#[test]
fn what_was_refused_is_taken_of_the_quota_and_not_billed() {
    paused(async {
        let limiter = Limiter::new(limits(None, Some(60_000), None));
        let tokens = || (limiter.allowed().used.1, limiter.stats().tokens);
        limiter.admit(limiter.ticket(), 100).await.reservation.unbilled();
        assert_eq!(tokens(), (100, 0));
        {
            let permit = limiter.admit(limiter.ticket(), 100).await;
            assert_eq!(tokens(), (200, 0), "not before it is known");
            permit.reservation.settle(70);
            assert_eq!(tokens(), (170, 70));
        }
        drop(limiter.admit(limiter.ticket(), 100).await);
        assert_eq!(tokens(), (270, 170), "nobody says what it came to");
    });
}
