//! The decision to try again. The statuses that are retried are those whose kind is transient, see the table in
//! [`super::refusal`].

use std::time::{Duration, SystemTime};

use reqwest::header::{HeaderMap, RETRY_AFTER};
use tokio::time::Instant;

use crate::limits::{Reservation, parse_duration, used_up};
use crate::providers::deadline;
use crate::providers::{ErrorKind, ProviderError, RetryPlan};

const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(8);

/// The attempts of one request.
#[derive(Debug)]
pub(super) struct Tries {
    plan: RetryPlan,
    attempts: u32,
    /// The instant at which the first attempt left: time in the queue before that is not the provider's fault.
    since: Option<Instant>,
}

/// A failed attempt, and what the server says about trying again.
#[derive(Debug)]
pub(super) struct FailedAttempt {
    pub(super) error: ProviderError,
    /// `x-should-retry`, which overrules the status.
    pub(super) should_retry: Option<bool>,
    /// Attempts that make sense at most, where that is less than the plan's.
    pub(super) at_most: Option<u32>,
}

impl From<ProviderError> for FailedAttempt {
    fn from(error: ProviderError) -> Self {
        Self { error, should_retry: None, at_most: None }
    }
}

impl FailedAttempt {
    /// The same, with so many attempts in all at most, unless it only asks to slow down.
    pub(super) fn at_most(self, attempts: u32) -> Self {
        if self.error.kind == ErrorKind::RateLimited {
            return self;
        }
        Self { at_most: Some(self.at_most.map_or(attempts, |most| most.min(attempts))), ..self }
    }

    /// The same, whose reservation is billed unless the server said that it does not do what was asked. (What timed out or broke off may
    /// have been done.)
    pub(super) fn bill(self, reservation: Reservation) -> Self {
        if self.error.status.is_some() {
            reservation.unbilled();
        }
        self
    }
}

impl Tries {
    pub(super) fn new(plan: RetryPlan) -> Self {
        Self { plan, attempts: 0, since: None }
    }

    /// The attempts so far.
    pub(super) fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Counts an attempt, which is about to leave.
    pub(super) fn attempt(&mut self) {
        self.attempts += 1;
        self.since.get_or_insert_with(Instant::now);
        deadline::note(None);
    }

    /// The wait before the next attempt, or the error to give up with.
    ///
    /// The vendors' clients do not honour a wait above 120 s; here the budget decides, which is the user's word on it.
    pub(super) fn next(&self, failure: FailedAttempt) -> Result<Duration, ProviderError> {
        let FailedAttempt { mut error, should_retry, at_most } = failure;
        error.attempts = self.attempts;
        error.waited = self.since.map(|since| since.elapsed()).unwrap_or_default();
        let worth_it = should_retry.unwrap_or_else(|| error.is_transient()) && !error.is_fatal();
        let allowed = at_most.unwrap_or(u32::MAX).min(self.plan.attempts);
        if !worth_it || self.attempts >= allowed {
            return Err(error);
        }
        // "At once" (a date in the past) is no answer to a refusal.
        let asked = error.retry_after.filter(|asked| !asked.is_zero());
        let wait = asked.unwrap_or_else(|| backoff(self.attempts, rand::random()));
        if error.waited.saturating_add(wait) > self.plan.budget {
            if let Some(asked) = asked.filter(|_| error.kind != ErrorKind::Timeout) {
                error.hint = Some(format!(
                    "it asks to be left alone for {} s, more than the retry budget of {} s leaves; run the same command again then",
                    asked.as_secs_f64().ceil(),
                    self.plan.budget.as_secs()
                ));
            }
            return Err(error);
        }
        if deadline::outlasted_by(wait) {
            return Err(error);
        }
        deadline::note(Some(error));
        Ok(wait)
    }
}

/// Half a second, doubled by each attempt up to 8 s, less up to a quarter so that many do not come back at once.
/// `jitter` is in 0..1. The figures are those of the vendors' own clients.
fn backoff(attempts: u32, jitter: f64) -> Duration {
    let doubled = FIRST_WAIT.saturating_mul(1 << attempts.saturating_sub(1).min(10));
    doubled.min(LONGEST_WAIT).mul_f64(1.0 - 0.25 * jitter.clamp(0.0, 1.0))
}

/// What gateways put before the names of the headers that they were sent themselves: `LiteLLM`.
const PASSED_ON: [&str; 2] = ["", "llm_provider-"];

/// The pause that the server asks for: `retry-after-ms`, else `retry-after` in seconds (also with decimals), else as an HTTP date;
/// then the same passed on by a gateway; then Azure's and others' own names; then the reset of a limit of which nothing is left.
pub(super) fn server_wait(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    let millis = |name: &str| text(name).and_then(|ms| Duration::try_from_secs_f64(ms.parse::<f64>().ok()? / 1000.0).ok());
    let time = |name: &str| {
        let value = text(name)?;
        parse_duration(value).or_else(|| {
            let date = httpdate::parse_http_date(value).ok()?;
            Some(date.duration_since(now).unwrap_or_default())
        })
    };
    let asked = PASSED_ON.iter().find_map(|before| {
        millis(&format!("{before}retry-after-ms"))
            .or_else(|| time(&format!("{before}{RETRY_AFTER}")))
            .or_else(|| millis(&format!("{before}x-ms-retry-after-ms")))
            .or_else(|| time(&format!("{before}x-retry-after")))
    });
    asked.or_else(|| used_up(headers))
}

/// `x-should-retry`, where the server sends it.
pub(super) fn should_retry(headers: &HeaderMap) -> Option<bool> {
    headers.get("x-should-retry")?.to_str().ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

    use super::*;

    fn map(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|&(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn waits_double_up_to_eight_seconds() {
        let full: Vec<u128> = (1..8).map(|n| backoff(n, 0.0).as_millis()).collect();
        assert_eq!(full, [500, 1000, 2000, 4000, 8000, 8000, 8000]);
        assert_eq!(backoff(1, 1.0).as_millis(), 375);
        assert_eq!(backoff(u32::MAX, 0.0), LONGEST_WAIT);
    }

    #[test]
    fn the_server_says_how_long() {
        let now = httpdate::parse_http_date("Sun, 22 Nov 2026 10:00:00 GMT").unwrap();
        let wait = |pairs: &[(&'static str, &str)]| server_wait(&map(pairs), now).map(|d| d.as_millis());
        assert_eq!(wait(&[("retry-after-ms", "250"), ("retry-after", "9")]), Some(250));
        assert_eq!(wait(&[("retry-after-ms", "soon"), ("retry-after", "1.5")]), Some(1500));
        assert_eq!(wait(&[("retry-after", "Sun, 22 Nov 2026 10:00:30 GMT")]), Some(30_000));
        assert_eq!(wait(&[("retry-after", "Sun, 22 Nov 2026 09:00:00 GMT")]), Some(0));
        assert_eq!(wait(&[("retry-after", "-3")]), None);
        // Gateways.
        assert_eq!(wait(&[("llm_provider-retry-after", "7")]), Some(7000));
        assert_eq!(wait(&[("llm_provider-retry-after-ms", "70"), ("llm_provider-retry-after", "7")]), Some(70));
        assert_eq!(wait(&[("llm_provider-retry-after", "7"), ("retry-after", "2")]), Some(2000), "its own word is newer");
        assert_eq!(wait(&[("x-ms-retry-after-ms", "1500")]), Some(1500));
        // What is left of the limits.
        let left = |requests: &str, tokens: &str| {
            wait(&[
                ("x-ratelimit-remaining-requests", requests),
                ("x-ratelimit-reset-requests", "1.5s"),
                ("x-ratelimit-remaining-tokens", tokens),
                ("x-ratelimit-reset-tokens", "6m0s"),
            ])
        };
        assert_eq!(
            [left("0", "5"), left("5", "0"), left("0", "0"), left("5", "5")],
            [Some(1500), Some(360_000), Some(360_000), None]
        );
        assert_eq!(
            wait(&[("llm_provider-x-ratelimit-remaining-tokens", "0"), ("llm_provider-x-ratelimit-reset-tokens", "2s")]),
            Some(2000)
        );
        assert_eq!(wait(&[]), None);
    }

    #[tokio::test(start_paused = true)]
    async fn gives_up_on_attempts_and_on_budget() {
        let plan = RetryPlan { attempts: 3, budget: Duration::from_mins(1) };
        let failure = |kind, retry_after: Option<u64>| {
            let mut error = ProviderError::new("p", kind, "m");
            error.retry_after = retry_after.map(Duration::from_secs);
            FailedAttempt::from(error)
        };
        let mut tries = Tries::new(plan);
        tries.attempt();
        assert!(tries.next(failure(ErrorKind::Unavailable, None)).unwrap() <= FIRST_WAIT);
        assert_eq!(tries.next(failure(ErrorKind::RateLimited, Some(59))).unwrap().as_secs(), 59);
        let error = tries.next(failure(ErrorKind::RateLimited, Some(61))).unwrap_err();
        assert!(error.hint.unwrap().contains("61 s"));
        let error = tries.next(failure(ErrorKind::RateLimited, Some(u64::MAX))).unwrap_err();
        assert_eq!(error.retry_after.unwrap().as_secs(), u64::MAX);
        assert!(!tries.next(failure(ErrorKind::RateLimited, Some(0))).unwrap().is_zero(), "no busy loop");
        assert!(tries.next(failure(ErrorKind::InvalidInput, None)).is_err());
        let overruled = FailedAttempt { should_retry: Some(false), ..failure(ErrorKind::Unavailable, None) };
        assert!(tries.next(overruled).is_err());
        let overruled = FailedAttempt { should_retry: Some(true), ..failure(ErrorKind::InvalidInput, None) };
        assert!(tries.next(overruled).is_ok());
        let spent = FailedAttempt { should_retry: Some(true), ..failure(ErrorKind::QuotaSpent, None) };
        assert!(tries.next(spent).is_err());
        tries.attempt();
        tries.attempt();
        tokio::time::advance(Duration::from_secs(5)).await;
        let error = tries.next(failure(ErrorKind::Unavailable, None)).unwrap_err();
        assert_eq!((error.attempts, error.waited.as_secs()), (3, 5));
    }
}
