//! The headers in which answers tell a provider's limits.

use std::time::{Duration, SystemTime};

use reqwest::header::HeaderMap;

/// A larger limit is none.
const MAX_LIMIT: u64 = 1 << 40;

/// Headers for requests and for tokens, the first that is there counts: OpenAI's, Anthropic's, Mistral's.
const REQUESTS: [&str; 3] = ["x-ratelimit-*-requests", "anthropic-ratelimit-requests-*", "x-ratelimit-*-req-minute"];
const TOKENS: [&str; 4] = [
    "x-ratelimit-*-tokens",
    "anthropic-ratelimit-tokens-*",
    "anthropic-ratelimit-input-tokens-*",
    "x-ratelimit-*-tokens-minute",
];

/// What gateways put before the names of the headers that they were sent themselves: `LiteLLM`.
const PASSED_ON: [&str; 2] = ["", "llm_provider-"];

/// A limit a minute and what is left of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RateWindow {
    pub(super) limit: u64,
    pub(super) remaining: Option<u64>,
    /// The time until all that was used comes back.
    pub(super) reset: Option<Duration>,
}

impl RateWindow {
    /// The part that was used already.
    pub(super) fn used(self) -> u64 {
        self.remaining.map_or(0, |remaining| self.limit.saturating_sub(remaining))
    }
}

/// The limits an answer names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct RateLimits {
    pub(super) requests: Option<RateWindow>,
    pub(super) tokens: Option<RateWindow>,
}

impl RateLimits {
    /// Reads the headers of whichever vendor it is, and of those who copy it.
    pub(super) fn read(headers: &HeaderMap) -> Self {
        let first = |names: &[&str]| {
            let names = PASSED_ON.iter().flat_map(|before| names.iter().map(move |name| format!("{before}{name}")));
            names.into_iter().find_map(|name| RateWindow::read(headers, &name))
        };
        Self { requests: first(&REQUESTS), tokens: first(&TOKENS) }
    }
}

/// The time until a limit of which nothing is left comes back, as the answer says it; the longer of several.
pub(crate) fn used_up(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: String| headers.get(name)?.to_str().ok();
    let names = REQUESTS.iter().chain(&TOKENS).chain(&["x-ratelimit-*"]);
    let names = PASSED_ON.iter().flat_map(|before| names.clone().map(move |name| format!("{before}{name}")));
    let resets = names.filter_map(|name| {
        let left: f64 = text(name.replace('*', "remaining"))?.trim().parse().ok()?;
        let reset = parse_reset(text(name.replace('*', "reset"))?, SystemTime::now())?;
        (left < 1.0).then_some(reset)
    });
    resets.max()
}

impl RateWindow {
    /// Reads the headers of this name, in which `*` stands for `limit`, `remaining` and `reset`.
    fn read(headers: &HeaderMap, name: &str) -> Option<Self> {
        let text = |part: &str| headers.get(name.replace('*', part))?.to_str().ok();
        let number = |part: &str| text(part)?.trim().parse::<i64>().ok();
        // Azure sends -1 and 0 for "not known".
        let limit = u64::try_from(number("limit")?).ok().filter(|limit| (1..=MAX_LIMIT).contains(limit))?;
        // A limit a day resets later than in a minute, and is not one to pace by.
        let reset = text("reset").and_then(|text| parse_reset(text, SystemTime::now()));
        if reset.is_some_and(|reset| reset > Duration::from_mins(1)) {
            return None;
        }
        let remaining = number("remaining").and_then(|n| u64::try_from(n).ok());
        Some(Self { limit, remaining, reset })
    }
}

/// A duration, or an RFC 3339 time in UTC as Anthropic sends it (`2026-11-22T10:00:00Z`).
fn parse_reset(text: &str, now: SystemTime) -> Option<Duration> {
    if let Some(duration) = parse_duration(text) {
        // So many seconds, or milliseconds, are a time of day.
        let since = match duration.as_secs() {
            0..1_000_000_000 => return Some(duration),
            1_000_000_000..100_000_000_000 => duration,
            _ => duration / 1000,
        };
        let at = SystemTime::UNIX_EPOCH.checked_add(since)?;
        return Some(at.duration_since(now).unwrap_or_default());
    }
    let (date, time) = text.trim().strip_suffix('Z')?.split_once('T')?;
    let fields = |text: &str, by: char| -> Option<[u32; 3]> {
        let mut parts = text.split(by).map(|part| part.split('.').next().and_then(|whole| whole.parse().ok()));
        Some([parts.next()??, parts.next()??, parts.next()??])
    };
    let ([year, month, day], [hour, minute, second]) = (fields(date, '-')?, fields(time, ':')?);
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let month = months.get(usize::try_from(month.checked_sub(1)?).ok()?)?;
    // The parser at hand wants the right day of the week: one of seven is.
    let at = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"].iter().find_map(|name| {
        httpdate::parse_http_date(&format!("{name}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT")).ok()
    })?;
    Some(at.duration_since(now).unwrap_or_default())
}

/// Reads `1s`, `12ms`, `6m0s`, `1h2m3.5s`, and plain seconds. `None` for anything else.
pub(crate) fn parse_duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').filter(|&at| at > 0)?;
        let (number, after) = rest.split_at_checked(digits)?;
        let letters = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at_checked(letters)?;
        let seconds = match unit {
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            "d" => 86400.0,
            _ => return None,
        };
        let part = Duration::try_from_secs_f64(number.parse::<f64>().ok()? * seconds).ok()?;
        total = total.checked_add(part)?;
        rest = after;
    }
    (!text.is_empty()).then_some(total)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

    use super::*;

    fn map(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|&(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn durations_as_providers_write_them() {
        let ms = |text| parse_duration(text).map(|d| d.as_millis());
        assert_eq!(
            ["1s", "12ms", "6m0s", "1h2m3.5s", "7", "0.25", "1d"].map(ms),
            [Some(1000), Some(12), Some(360_000), Some(3_723_500), Some(7000), Some(250), Some(86_400_000)]
        );
        assert_eq!(
            ["", "s", "1x", "-1s", "1", "..s", "NaN", "1e300", "1é"].map(|t| ms(t).is_some()),
            [false, false, false, false, true, false, false, false, false]
        );
    }

    #[test]
    fn limits_of_openai_mistral_and_anthropic() {
        let openai = map(&[
            ("x-ratelimit-limit-requests", "3000"),
            ("x-ratelimit-remaining-requests", "2999"),
            ("x-ratelimit-reset-requests", "20ms"),
            ("x-ratelimit-limit-tokens", "1000000"),
        ]);
        let seen = RateLimits::read(&openai);
        assert_eq!(
            seen.requests,
            Some(RateWindow { limit: 3000, remaining: Some(2999), reset: Some(Duration::from_millis(20)) })
        );
        assert_eq!(seen.requests.unwrap().used(), 1);
        assert_eq!(seen.tokens, Some(RateWindow { limit: 1_000_000, remaining: None, reset: None }));
        let mistral = map(&[
            ("x-ratelimit-limit-req-minute", "720"),
            ("x-ratelimit-remaining-req-minute", "717"),
            ("x-ratelimit-limit-tokens-minute", "5000000"),
            ("x-ratelimit-remaining-tokens-minute", "4999911"),
            ("x-ratelimit-tokens-query-cost", "52"),
        ]);
        let seen = RateLimits::read(&mistral);
        assert_eq!(seen.requests, Some(RateWindow { limit: 720, remaining: Some(717), reset: None }));
        assert_eq!(seen.tokens.map(RateWindow::used), Some(89));
        let litellm =
            map(&[("llm_provider-x-ratelimit-limit-requests", "500"), ("llm_provider-x-ratelimit-remaining-requests", "498")]);
        assert_eq!(RateLimits::read(&litellm).requests.map(|w| (w.limit, w.used())), Some((500, 2)));
        let anthropic = map(&[
            ("anthropic-ratelimit-requests-limit", "50"),
            ("anthropic-ratelimit-requests-reset", "2020-11-22T10:00:00Z"),
            ("anthropic-ratelimit-input-tokens-limit", "30000"),
        ]);
        let seen = RateLimits::read(&anthropic);
        assert_eq!(seen.requests.map(|w| w.limit), Some(50));
        assert_eq!(seen.tokens.map(|w| w.limit), Some(30_000));
    }

    #[test]
    fn times_as_anthropic_writes_them() {
        let now = httpdate::parse_http_date("Sun, 22 Nov 2026 10:00:00 GMT").unwrap();
        let seconds = |text| parse_reset(text, now).map(|reset| reset.as_secs());
        assert_eq!(seconds("2026-11-22T10:00:07Z"), Some(7));
        assert_eq!(seconds("2026-11-22T10:01:00.123Z"), Some(60));
        assert_eq!(seconds("2026-11-22T09:00:00Z"), Some(0), "past");
        assert_eq!((seconds("1795341607"), seconds("1795341607000")), (Some(7), Some(7)), "since 1970");
        assert_eq!(seconds("59"), Some(59));
        assert_eq!(["2026-13-22T10:00:00Z", "2026-11-22", "T:Z", "2026-11-22T10:00Z"].map(seconds), [None; 4]);
    }

    #[test]
    fn what_is_not_a_limit_a_minute_is_not_learned() {
        let azure = map(&[("x-ratelimit-limit-requests", "-1"), ("x-ratelimit-limit-tokens", "0")]);
        assert_eq!(RateLimits::read(&azure), RateLimits::default());
        let absurd = map(&[("x-ratelimit-limit-requests", "9223372036854775807")]);
        assert_eq!(RateLimits::read(&absurd), RateLimits::default());
        let daily = map(&[("x-ratelimit-limit-requests", "200"), ("x-ratelimit-reset-requests", "7m12s")]);
        assert_eq!(RateLimits::read(&daily), RateLimits::default());
    }
}
