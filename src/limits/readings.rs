//! What limits count, for metrics.

use super::Stats;
use crate::telemetry::Reading;

/// What was counted of the requests to providers, by their names.
pub(crate) fn readings(providers: &[(String, Stats)]) -> Vec<Reading> {
    let of = |name, help, seconds, value: fn(&Stats) -> f64| {
        let series = providers.iter().map(|(name, stats)| (vec![name.clone()], value(stats))).collect();
        Reading { name, help, seconds, grows: true, labels: &["provider"], series }
    };
    vec![
        of("provider_requests", "Requests to a provider, retries included", false, |stats| stats.requests as f64),
        of("provider_retries", "Requests to a provider that were sent again", false, |stats| stats.retries as f64),
        of("provider_throttled", "Refusals of a provider that asked to slow down", false, |stats| stats.throttled as f64),
        of("provider_tokens", "Tokens, as a provider bills them where it says so", false, |stats| stats.tokens as f64),
        of("provider_quota_wait", "Time in which a request was ready and the quota held it back", true, |stats| {
            stats.quota_wait.as_secs_f64()
        }),
        of("provider_slot_wait", "Time in which a request was ready and too many were in flight", true, |stats| {
            stats.slot_wait.as_secs_f64()
        }),
    ]
}
