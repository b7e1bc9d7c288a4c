//! The tables of refusals, as the vendors write them.

use super::*;
use crate::providers::ProviderError;

/// The table of statuses: change it here when you mean to change it.
#[test]
fn every_status() {
    let mut runs: Vec<(u16, u16, ErrorKind, bool)> = Vec::new();
    for status in 300..=599 {
        let kind = kind_of_status(status);
        let retried = ProviderError::new("", kind, "").is_transient();
        match runs.last_mut() {
            Some(last) if last.2 == kind => last.1 = status,
            _ => runs.push((status, status, kind, retried)),
        }
    }
    let shown: Vec<String> = runs
        .iter()
        .map(|(from, to, kind, retried)| format!("{from}-{to} {kind:?}{}", if *retried { " retried" } else { "" }))
        .collect();
    assert_eq!(
        shown,
        [
            "300-399 NotFound",
            "400-400 InvalidInput",
            "401-401 Auth",
            "402-402 QuotaSpent",
            "403-403 Auth",
            "404-405 NotFound",
            "406-407 InvalidInput",
            "408-409 Unavailable retried",
            "410-410 NotFound",
            "411-424 InvalidInput",
            "425-425 Unavailable retried",
            "426-428 InvalidInput",
            "429-429 RateLimited retried",
            "430-499 InvalidInput",
            "500-599 Unavailable retried",
        ]
    );
}

#[test]
fn a_pause_is_read_out_of_words() {
    let ms = |message: &str| wait_in(message).map(|wait| wait.as_millis());
    for (message, wait) in [
        ("Rate limit reached for x in organization y. Limit 3, Used 3. Please try again in 1.2s. Visit z", Some(1200)),
        ("Please try again in 20ms.", Some(20)),
        ("Please try again in 6m0s.", Some(360_000)),
        ("Please retry after 6 seconds.", Some(6000)),
        ("Retry after 2 minutes, please", Some(120_000)),
        ("try again in 500 milliseconds", Some(500)),
        ("Please try again later.", None),
        ("try again in a while", None),
        ("", None),
    ] {
        assert_eq!(ms(message), wait, "{message}");
    }
}
