//! The limiter's queue and its quotas under a paused clock: never above a limit, first come, first served, nobody starves.

use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use proptest::prelude::*;
use ragstream::limits::{Limiter, Limits};
use reqwest::header::HeaderMap;
use tokio::task::JoinSet;
use tokio::time::Instant;

const MINUTE: Duration = Duration::from_mins(1);

fn limits(rpm: Option<u32>, tpm: Option<u32>, concurrency: Option<u32>) -> Limits {
    Limits { rpm, tpm, concurrency }
}

fn paused<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(future)
}

/// Sends every request through the limiter, each taking `latency`, and tells when each left, in the order in which they left.
async fn send_all(limiter: &Limiter, costs: &[u64], latency: Duration) -> Vec<(Duration, usize)> {
    let start = Instant::now();
    let left = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = JoinSet::new();
    for (index, &tokens) in costs.iter().enumerate() {
        let (limiter, left, ticket) = (limiter.clone(), left.clone(), limiter.ticket());
        tasks.spawn(async move {
            let permit = limiter.admit(ticket, tokens).await;
            left.lock().unwrap().push((start.elapsed(), index));
            tokio::time::sleep(latency).await;
            drop(permit.in_flight);
            permit.reservation.settle(tokens);
        });
    }
    while tasks.join_next().await.is_some() {}
    Arc::into_inner(left).unwrap().into_inner().unwrap()
}

/// The largest sum of `amounts` in any window of a minute (both ends included).
fn worst_minute(left: &[(Duration, usize)], amount: impl Fn(usize) -> u64) -> u64 {
    (0..left.len())
        .map(|from| {
            left[from..].iter().take_while(|(at, _)| *at <= left[from].0 + MINUTE).map(|&(_, i)| amount(i)).sum::<u64>()
        })
        .max()
        .unwrap_or(0)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn never_above_the_quota_in_any_minute_and_in_order(
        rpm in 1_u32..200,
        tpm in 50_u32..5000,
        concurrency in 1_u32..20,
        costs in prop::collection::vec(0_u64..400, 1..120),
        latency_ms in 0_u64..3000,
    ) {
        let (left, stats) = paused(async {
            let limiter = Limiter::new(limits(Some(rpm), Some(tpm), Some(concurrency)));
            (send_all(&limiter, &costs, Duration::from_millis(latency_ms)).await, limiter.stats())
        });
        prop_assert_eq!(left.len(), costs.len(), "nothing starves");
        prop_assert!(left.iter().enumerate().all(|(order, &(_, index))| order == index), "first come, first served");
        prop_assert!(worst_minute(&left, |_| 1) <= u64::from(rpm));
        // A request above the whole quota passes, but alone.
        let allowed = u64::from(tpm).max(costs.iter().copied().max().unwrap());
        prop_assert!(worst_minute(&left, |i| costs[i]) <= allowed);
        prop_assert_eq!(stats.requests, costs.len() as u64);
        prop_assert_eq!(stats.tokens, costs.iter().sum::<u64>());
    }

    #[test]
    fn a_second_holds_little_more_than_its_share(rpm in 60_u32..6000, requests in 100_usize..400) {
        let left = paused(async {
            let limiter = Limiter::new(limits(Some(rpm), None, Some(1000)));
            send_all(&limiter, &vec![1; requests], Duration::ZERO).await
        });
        let share = rpm.div_ceil(60).max(4) as usize;
        let worst = (0..left.len())
            .map(|from| left[from..].iter().take_while(|(at, _)| *at < left[from].0 + Duration::from_secs(1)).count())
            .max()
            .unwrap();
        prop_assert!(worst <= 2 * share + 1, "{worst} in a second at {rpm} a minute");
    }

    #[test]
    fn whoever_gives_up_waiting_frees_the_place(give_up in prop::collection::vec(any::<bool>(), 2..40)) {
        let sent = paused(async {
            let limiter = Limiter::new(limits(Some(30), None, Some(2)));
            let mut tasks = JoinSet::new();
            for &leaves in &give_up {
                let (limiter, ticket) = (limiter.clone(), limiter.ticket());
                tasks.spawn(async move {
                    if leaves {
                        tokio::time::timeout(Duration::from_millis(1), limiter.admit(ticket, 1)).await.is_ok()
                    } else {
                        limiter.admit(ticket, 1).await;
                        true
                    }
                });
            }
            let mut sent = 0;
            while let Some(done) = tasks.join_next().await {
                sent += usize::from(done.unwrap());
            }
            let places = async {
                let _both = [limiter.admit(limiter.ticket(), 1).await, limiter.admit(limiter.ticket(), 1).await];
            };
            tokio::time::timeout(MINUTE * 10, places).await.expect("both places are free");
            sent
        });
        prop_assert!(sent >= give_up.iter().filter(|leaves| !**leaves).count());
    }
}

#[test]
fn a_long_run_uses_97_percent_of_the_quota() {
    let hour = 3600.0;
    // Requests are the limit.
    let left = paused(async {
        let limiter = Limiter::new(limits(Some(500), None, Some(64)));
        send_all(&limiter, &vec![100; 30_000], Duration::from_millis(700)).await
    });
    let used = left.iter().filter(|(at, _)| at.as_secs_f64() < hour).count() as f64 / (500.0 * 60.0);
    assert!(used >= 0.97, "{used} of the requests");
    // Tokens are the limit, in batches of a hundredth, of uneven sizes.
    let costs: Vec<u64> = (0..6500).map(|i| 9000 + (i * 7919) % 2000).collect();
    let left = paused(async {
        let limiter = Limiter::new(limits(Some(3000), Some(1_000_000), Some(16)));
        send_all(&limiter, &costs, Duration::from_millis(1300)).await
    });
    let sent: u64 = left.iter().filter(|(at, _)| at.as_secs_f64() < hour).map(|&(_, i)| costs[i]).sum();
    let used = sent as f64 / 60e6;
    assert!(used >= 0.97, "{used} of the tokens");
}

#[test]
fn tokens_reserved_too_high_come_back() {
    let took = paused(async {
        let limiter = Limiter::new(limits(None, Some(6100), None));
        let start = Instant::now();
        // Reserved 1000 each, 10 used: at the reservation 60 of them would take 10 minutes.
        for _ in 0..60 {
            let permit = limiter.admit(limiter.ticket(), 1000).await;
            permit.reservation.settle(10);
        }
        start.elapsed()
    });
    assert!(took < Duration::from_secs(10), "{took:?}");
}

#[test]
fn absurd_charges_neither_overflow_nor_stop_for_good() {
    let took = paused(async {
        let limiter = Limiter::new(limits(Some(100), Some(1_000_000), None));
        let start = Instant::now();
        limiter.admit(limiter.ticket(), u64::MAX).await.reservation.settle(u64::MAX);
        limiter.admit(limiter.ticket(), 1).await.reservation.settle(u64::MAX);
        let _permit = limiter.admit(limiter.ticket(), 0).await;
        start.elapsed()
    });
    assert!(took < Duration::from_mins(25), "{took:?}");
}

#[test]
fn a_pause_holds_for_all_and_once() {
    paused(async {
        let limiter = Limiter::new(limits(None, None, Some(100)));
        let start = Instant::now();
        limiter.pause_until(start + Duration::from_secs(7));
        limiter.pause_until(start + Duration::from_secs(3));
        let left = send_all(&limiter, &[1; 50], Duration::ZERO).await;
        assert!(left.iter().all(|(at, _)| at.as_secs() == 7), "{left:?}");
        assert_eq!(limiter.stats().quota_wait.as_secs(), 7, "wall time, not a sum over those who wait");
    });
}

#[test]
fn a_retry_keeps_its_place() {
    paused(async {
        let limiter = Limiter::new(limits(Some(60), None, Some(1)));
        let first = limiter.ticket();
        let permit = limiter.admit(first, 1).await;
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = JoinSet::new();
        for (name, ticket) in [("second", limiter.ticket()), ("third", limiter.ticket()), ("first again", first)] {
            let (limiter, order) = (limiter.clone(), order.clone());
            tasks.spawn(async move {
                let _permit = limiter.admit(ticket, 1).await;
                order.lock().unwrap().push(name);
            });
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
        drop(permit);
        while tasks.join_next().await.is_some() {}
        assert_eq!(*order.lock().unwrap(), ["first again", "second", "third"]);
    });
}

#[test]
fn in_flight_never_exceeds_the_concurrency() {
    paused(async {
        let limiter = Limiter::new(limits(None, None, Some(3)));
        let left = send_all(&limiter, &[1; 10], Duration::from_secs(1)).await;
        let seconds: Vec<u64> = left.iter().map(|(at, _)| at.as_secs()).collect();
        assert_eq!(seconds, [0, 0, 0, 1, 1, 1, 2, 2, 2, 3]);
        assert_eq!(limiter.stats().slot_wait.as_secs(), 3);
    });
}

#[test]
fn undeclared_limits_are_learned_and_declared_ones_kept() {
    let headers: HeaderMap = [("x-ratelimit-limit-requests", "60"), ("x-ratelimit-remaining-requests", "0")]
        .into_iter()
        .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
        .collect();
    paused(async {
        let open = Limiter::new(limits(None, None, None));
        open.observe(&headers);
        open.observe(&headers);
        let start = Instant::now();
        let _permit = open.admit(open.ticket(), 1).await;
        assert_eq!(start.elapsed().as_secs(), 61, "what others used counts once");
        let told = Limiter::new(limits(Some(600), None, None));
        told.observe(&headers);
        let start = Instant::now();
        let _permit = told.admit(told.ticket(), 1).await;
        assert_eq!(start.elapsed(), Duration::ZERO);
    });
}
