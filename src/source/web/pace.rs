//! Politeness to one machine: how many requests at once, how far apart, and what its refusals teach.
//!
//! The places, the pauses and a rate that only refusals tell are [`Limiter`]'s, as for providers. What is a crawler's alone is here: a
//! time between requests that was promised (by us, or to robots.txt), that grows with the host's latency and doubles where it
//! refuses again and again.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::limits::{InFlight, Limiter, Limits, Sent};

/// The longest time between requests that a site is granted: with an hour, nobody would see its index.
pub(super) const MAX_DELAY: Duration = Duration::from_mins(1);

/// The longest pause that is kept because it was asked for.
pub(super) const MAX_PAUSE: Duration = Duration::from_hours(1);

/// Pauses after failures that ask for none: doubled each time.
const FIRST_BACKOFF: Duration = Duration::from_secs(1);
const MAX_BACKOFF: Duration = Duration::from_mins(1);

/// Refusals in a row that halve the rate, and how often that may be.
const REFUSALS: u32 = 3;
const MAX_HALVINGS: u32 = 6;

/// Less is not waited for, but made up by the next: timers are no finer.
const TICK: Duration = Duration::from_millis(1);

/// How to begin with a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PacePlan {
    /// Between the beginnings of two requests, about. Zero: none, for a server of one's own.
    pub(super) delay: Duration,
    /// Requests at once, at most.
    pub(super) concurrency: usize,
    /// How long a host that fails is waited for.
    pub(super) patience: Duration,
}

/// The pace of all requests to one host.
#[derive(Debug)]
pub(super) struct Pace {
    plan: PacePlan,
    limiter: Limiter,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// What robots.txt asks for.
    asked: Duration,
    /// When the next may begin.
    next_at: Option<Instant>,
    paused_until: Option<Instant>,
    /// Of the last answers, seconds.
    latency: f64,
    /// Refusals and failures for load in a row, and refusals (429) alone.
    failures: u32,
    refusals: u32,
    halvings: u32,
    /// When the first of them was heard.
    failing_since: Option<Instant>,
    /// When the last of them was heard: what had left by then says the same.
    heard_at: Option<Instant>,
}

/// What an answer changed, where somebody should be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Change {
    /// The host is left alone for so long.
    pub(super) pause: Option<Duration>,
    /// From now on there is so much time between two requests.
    pub(super) slower: Option<Duration>,
}

impl Pace {
    pub(super) fn new(plan: PacePlan) -> Self {
        let places = u32::try_from(plan.concurrency.max(1)).unwrap_or(u32::MAX);
        let limiter = Limiter::new(Limits { concurrency: Some(places), ..Limits::default() });
        Self { plan, limiter, state: Mutex::default() }
    }

    /// Keeps to what robots.txt asks for, up to [`MAX_DELAY`]; of several names of a machine, to what asks for most.
    pub(super) fn keep_to(&self, asked: Duration) {
        let mut state = self.state();
        state.asked = state.asked.max(asked.min(MAX_DELAY));
    }

    /// Requests at once, at most.
    pub(super) fn concurrency(&self) -> usize {
        self.plan.concurrency
    }

    /// The time between two requests as things stand, on average.
    pub(super) fn delay(&self) -> Duration {
        self.state().gap(&self.plan)
    }

    /// Whether the host has answered nothing for longer than it is waited for but that it is overloaded, or not at all. A pause that it
    /// asked for is no failure.
    pub(super) fn is_hopeless(&self) -> bool {
        let state = self.state();
        state.failing_since.is_some_and(|since| state.failures > 1 && since.elapsed() > self.plan.patience)
    }

    /// Waits until one more request may be sent. Dropping the future gives the turn away.
    pub(super) async fn admit(&self) -> Admission<'_> {
        let permit = self.limiter.admit(self.limiter.ticket(), 0).await;
        let mut at = self.state().turn(&self.plan, rand::random());
        loop {
            // A pause may begin while it waits.
            at = at.max(self.state().paused_until.unwrap_or(at));
            if at.duration_since(Instant::now()) < TICK {
                break;
            }
            sleep_until(at).await;
        }
        let mut sent = permit.sent;
        sent.left = Instant::now();
        Admission { pace: self, sent, _in_flight: permit.in_flight }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn gap(&self, plan: &PacePlan) -> Duration {
        let own = plan.delay.max(self.asked) * 2_u32.pow(self.halvings);
        // Half of what its places could do: it need not be kept busy.
        let busy = Duration::from_secs_f64(self.latency / (2.0 * plan.concurrency.max(1) as f64));
        own.max(busy)
    }

    /// Takes the next turn. `chance` is in 0..1: a quarter more or less, as no machine's beat is wanted; but never less than what
    /// was asked for.
    fn turn(&mut self, plan: &PacePlan, chance: f64) -> Instant {
        let now = Instant::now();
        let at = self.next_at.max(now.checked_sub(TICK)).unwrap_or(now);
        let gap = self.gap(plan).mul_f64(0.75 + 0.5 * chance.clamp(0.0, 1.0)).max(self.asked);
        self.next_at = Some(at + gap);
        at
    }

    /// The pause after a failure for load that left at `left`; zero if it says nothing new.
    fn back_off(&mut self, left: Instant, now: Instant) -> Duration {
        if self.heard_at.is_some_and(|heard| left <= heard) {
            return Duration::ZERO;
        }
        self.heard_at = Some(now);
        self.failing_since.get_or_insert(now);
        self.failures = self.failures.saturating_add(1);
        FIRST_BACKOFF.saturating_mul(1 << (self.failures - 1).min(10)).min(MAX_BACKOFF)
    }
}

/// Leave to send one request. Dropping it without a word frees its place.
#[derive(Debug)]
pub(super) struct Admission<'a> {
    pace: &'a Pace,
    sent: Sent,
    _in_flight: InFlight,
}

impl Admission<'_> {
    /// Notes how the request ended: its status (`None`: no answer in time, or a broken one), how long it took, and the pause that
    /// was asked for.
    pub(super) fn settle(self, status: Option<u16>, took: Duration, retry_after: Option<Duration>) -> Change {
        let Self { pace, sent, .. } = &self;
        let now = Instant::now();
        let mut change = Change::default();
        // "At once" is no answer to a refusal.
        let asked = retry_after.filter(|asked| !asked.is_zero()).map(|asked| asked.min(MAX_PAUSE));
        let mut state = pace.state();
        let backed_off = match status {
            Some(429) => {
                pace.limiter.throttled(*sent, asked);
                let pause = state.back_off(sent.left, now);
                if !pause.is_zero() {
                    state.refusals += 1;
                }
                if state.refusals >= REFUSALS && state.halvings < MAX_HALVINGS {
                    state.refusals = 0;
                    state.halvings += 1;
                    change.slower = Some(state.gap(&pace.plan)).filter(|gap| !gap.is_zero());
                }
                pause
            }
            // The host's own word for being overloaded, or that of who stands before it.
            None | Some(502 | 503 | 504 | 520..530) => {
                pace.limiter.overloaded(sent.left);
                state.back_off(sent.left, now)
            }
            Some(_) => {
                pace.limiter.answered(*sent, Some((took, 1)));
                if state.heard_at.is_none_or(|heard| sent.left > heard) {
                    state.failures = 0;
                    state.failing_since = None;
                    state.refusals = 0;
                }
                let seconds = took.as_secs_f64();
                state.latency = if state.latency > 0.0 { state.latency * 0.8 + seconds * 0.2 } else { seconds };
                Duration::ZERO
            }
        };
        if asked.is_some() {
            state.failing_since = None;
        }
        let pause = asked.unwrap_or(backed_off);
        if let Some(until) = now.checked_add(pause).filter(|_| !pause.is_zero()) {
            if state.paused_until.is_none_or(|before| before < until) {
                change.pause = Some(pause);
            }
            state.paused_until = state.paused_until.max(Some(until));
            pace.limiter.pause_until(until);
        }
        change
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail loudly")]

    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::task::JoinSet;

    use super::*;

    const fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    fn pace(delay: Duration, concurrency: usize) -> Pace {
        Pace::new(PacePlan { delay, concurrency, patience: Duration::from_secs(30) })
    }

    /// When requests begin that are sent as fast as they may, each answered after `took`, in seconds since now.
    async fn beginnings(pace: Pace, n: usize, took: Duration) -> (Vec<f64>, usize) {
        let (pace, began) = (Arc::new(pace), Instant::now());
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let mut tasks = JoinSet::new();
        for _ in 0..n {
            let (pace, now, most) = (pace.clone(), now.clone(), most.clone());
            tasks.spawn(async move {
                let admission = pace.admit().await;
                let at = began.elapsed().as_secs_f64();
                most.fetch_max(now.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
                tokio::time::sleep(took).await;
                now.fetch_sub(1, Ordering::Relaxed);
                admission.settle(Some(200), took, None);
                at
            });
        }
        let mut times = tasks.join_all().await;
        times.sort_by(f64::total_cmp);
        (times, most.load(Ordering::Relaxed))
    }

    fn gaps(times: &[f64]) -> Vec<f64> {
        times.windows(2).map(|pair| pair[1] - pair[0]).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn requests_are_apart_as_promised_and_not_to_a_beat() {
        let (times, most) = beginnings(pace(ms(400), 2), 200, ms(30)).await;
        let gaps = gaps(&times);
        assert!(gaps.iter().all(|gap| (0.298..0.503).contains(gap)), "{gaps:?}");
        assert!((0.38..0.42).contains(&(gaps.iter().sum::<f64>() / gaps.len() as f64)));
        assert!(gaps.iter().any(|gap| *gap < 0.36) && gaps.iter().any(|gap| *gap > 0.44));
        assert_eq!(most, 1);
        assert!(times[0] < 0.002);
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_are_in_flight_than_planned() {
        let (times, most) = beginnings(pace(ms(10), 3), 60, ms(1000)).await;
        assert_eq!(most, 3);
        assert!((19.0..22.0).contains(times.last().unwrap()), "{times:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_host_is_not_kept_busy_at_all_places_at_once() {
        let (times, _) = beginnings(pace(Duration::ZERO, 4), 40, ms(800)).await;
        let later = &times[8..];
        // 800 ms, 4 places: 100 ms, a quarter more or less.
        assert!(gaps(later).iter().all(|gap| *gap > 0.07), "{later:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_delay_nothing_is_waited_for() {
        let (times, most) = beginnings(pace(Duration::ZERO, 8), 1000, Duration::ZERO).await;
        assert!(times.last().unwrap() < &0.01, "{}", times.last().unwrap());
        assert!(most >= 1);
    }

    #[tokio::test(start_paused = true)]
    async fn what_robots_ask_for_is_kept_to_and_bounded() {
        let asked = pace(ms(250), 2);
        asked.keep_to(Duration::from_secs(10));
        assert_eq!(asked.delay(), Duration::from_secs(10));
        let (times, _) = beginnings(asked, 20, ms(30)).await;
        assert!(gaps(&times).iter().all(|gap| (9.99..12.51).contains(gap)), "{times:?}");
        let much = pace(ms(250), 2);
        much.keep_to(Duration::from_hours(1));
        assert_eq!(much.delay(), MAX_DELAY);
        let little = pace(ms(250), 2);
        little.keep_to(ms(100));
        assert_eq!(little.delay(), ms(250));
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_that_is_asked_for_holds_for_all() {
        let pace = pace(ms(100), 2);
        let first = pace.admit().await;
        let second = tokio::time::timeout(ms(1), pace.admit());
        assert!(second.await.is_err(), "it waits for its turn");
        let change = first.settle(Some(503), ms(10), Some(Duration::from_secs(30)));
        assert_eq!(change.pause, Some(Duration::from_secs(30)));
        let began = Instant::now();
        let next = pace.admit().await;
        assert!((29.9..31.0).contains(&began.elapsed().as_secs_f64()), "{:?}", began.elapsed());
        let change = next.settle(Some(301), ms(10), Some(Duration::from_hours(48)));
        assert_eq!(change.pause, Some(MAX_PAUSE), "an hour at most");
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_reaches_those_that_wait_already() {
        let pace = Arc::new(pace(Duration::from_secs(5), 2));
        let first = pace.admit().await;
        let waiting = tokio::spawn({
            let pace = pace.clone();
            async move {
                pace.admit().await.settle(Some(200), ms(1), None);
                Instant::now()
            }
        });
        tokio::time::sleep(Duration::from_secs(1)).await;
        let began = Instant::now();
        first.settle(Some(429), ms(10), Some(Duration::from_secs(60)));
        assert!(waiting.await.unwrap() - began >= Duration::from_secs(60));
    }

    #[tokio::test(start_paused = true)]
    async fn failures_that_ask_for_nothing_are_met_with_longer_and_longer_pauses() {
        let pace = pace(ms(1), 1);
        let mut pauses = Vec::new();
        for status in [Some(503), None, Some(502), Some(504), Some(503), Some(522), Some(503), Some(503)] {
            pauses.push(pace.admit().await.settle(status, ms(5), None).pause.unwrap().as_secs());
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(pace.admit().await.settle(Some(500), ms(5), None), Change::default(), "one page is broken");
        assert_eq!(pace.admit().await.settle(Some(404), ms(5), None), Change::default());
        assert_eq!(pace.admit().await.settle(Some(503), ms(5), Some(Duration::ZERO)).pause, Some(FIRST_BACKOFF));
    }

    #[tokio::test(start_paused = true)]
    async fn three_refusals_in_a_row_halve_the_rate_for_good() {
        let pace = pace(ms(500), 1);
        let mut slower = Vec::new();
        for _ in 0..3 {
            slower.push(pace.admit().await.settle(Some(429), ms(5), Some(Duration::from_secs(1))).slower);
        }
        assert_eq!(slower, [None, None, Some(ms(1000))]);
        for _ in 0..50 {
            pace.admit().await.settle(Some(200), ms(5), None);
        }
        assert_eq!(pace.delay(), ms(1000));
        for status in [429, 429, 200, 429, 429] {
            assert_eq!(pace.admit().await.settle(Some(status), ms(5), None).slower, None, "not in a row");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn refusals_that_left_together_count_once() {
        let pace = pace(Duration::ZERO, 4);
        let together = [pace.admit().await, pace.admit().await, pace.admit().await, pace.admit().await];
        tokio::time::sleep(ms(50)).await;
        let changes = together.map(|admission| admission.settle(Some(429), ms(50), None));
        assert_eq!(changes.map(|change| change.slower), [None; 4]);
        assert_eq!(changes.iter().filter(|change| change.pause.is_some()).count(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_dropped_admission_frees_its_place() {
        let pace = pace(Duration::ZERO, 1);
        drop(pace.admit().await);
        let held = pace.admit().await;
        assert!(tokio::time::timeout(ms(50), pace.admit()).await.is_err());
        drop(held);
        tokio::time::timeout(ms(50), pace.admit()).await.unwrap();
    }

    /// A server that accepts 60 requests a minute and refuses the rest.
    #[tokio::test(start_paused = true)]
    async fn a_rate_that_only_refusals_tell_is_learned() {
        let pace = pace(ms(250), 2);
        let (mut accepted, mut refused, mut done) = (Vec::<Instant>::new(), 0, 0);
        while done < 400 {
            let admission = pace.admit().await;
            tokio::time::sleep(ms(20)).await;
            let now = Instant::now();
            accepted.retain(|at| now - *at < Duration::from_secs(60));
            if accepted.len() < 60 {
                accepted.push(now);
                done += 1;
                admission.settle(Some(200), ms(20), None);
            } else {
                refused += 1;
                let free = Duration::from_secs(60).saturating_sub(now - accepted[0]);
                admission.settle(Some(429), ms(20), Some(Duration::from_secs(free.as_secs() + 1)));
            }
        }
        assert!(refused <= 6, "{refused} refusals in 400 pages");
    }
}
