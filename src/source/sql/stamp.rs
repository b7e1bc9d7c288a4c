//! When a row was changed, as one of its columns says it, and how far that can be believed.

use std::time::Duration;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// A stamp as young as this may be given again: clocks have a grain, and a transaction may stamp a little before it is seen.
const RACY: Duration = Duration::from_secs(2);
/// And one without microseconds: whoever waits for a row's lock has stamped before, with the same second. Locks are waited for and
/// held for less than this (`MariaDB` waits 50 s).
const RACY_COARSE: Duration = Duration::from_secs(120);
/// Time zones differ by a multiple of this.
const ZONES: i64 = 15 * 60;
/// And by no more than this from UTC.
const FARTHEST_ZONE: i64 = 14 * 3600;

/// A point in time, as a database writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    /// In UTC, or as if it were.
    at: Timestamp,
    /// Whether it says in which zone it is.
    zoned: bool,
    /// Whether two changes may well have the same.
    grain: Duration,
}

/// Whether a row that says it was last changed then may change again and say the same. `clock` is the server's, in UTC, at the
/// moment of reading. What is no time is a counter, and believed.
pub(super) fn is_racy(updated: &str, clock: &str) -> bool {
    let (Some(stamp), Some(now)) = (read(updated), read(clock)) else { return false };
    let age = now.at.duration_since(stamp.at);
    let grain = SignedDuration::try_from(stamp.grain).unwrap_or(SignedDuration::ZERO);
    if stamp.zoned {
        return age < grain;
    }
    // It is not said in which zone it is: it is young if it would be in any.
    let (seconds, farthest) = (age.as_secs(), FARTHEST_ZONE + stamp.grain.as_secs() as i64);
    if seconds > farthest {
        return false;
    }
    seconds < -farthest || seconds.rem_euclid(ZONES) < grain.as_secs() || stamp.grain > RACY_COARSE
}

/// The time of a stamp, in nanoseconds since the Unix epoch; one that says no zone is taken for UTC.
pub(super) fn nanoseconds(updated: &str) -> Option<i64> {
    read(updated).and_then(|stamp| i64::try_from(stamp.at.as_nanosecond()).ok())
}

fn read(text: &str) -> Option<Stamp> {
    let text = text.trim();
    if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return epoch(text);
    }
    // `2026-01-31` and what comes after.
    let day = text.get(..10).filter(|day| day.as_bytes().get(4) == Some(&b'-'))?;
    let rest = text.get(10..)?;
    if rest.is_empty() {
        let at = day.parse::<jiff::civil::Date>().ok()?.to_datetime(jiff::civil::Time::midnight());
        return Some(Stamp { at: utc(at)?, zoned: false, grain: Duration::from_secs(24 * 3600) + RACY_COARSE });
    }
    let digits = |text: &str| text.split_once('.').map_or("", |(_, fraction)| fraction).trim_end_matches('0').len();
    match rest.rfind(['+', '-', 'Z']) {
        None => {
            let at = text.parse::<DateTime>().ok()?;
            Some(Stamp { at: utc(at)?, zoned: false, grain: grain(digits(rest)) })
        }
        Some(at) => {
            let (time, zone) = rest.split_at_checked(at)?;
            // Postgres writes `+00`.
            let zone = if zone.len() == 3 { format!("{zone}:00") } else { zone.to_owned() };
            let at = format!("{day}{time}{zone}").parse::<Timestamp>().ok()?;
            Some(Stamp { at, zoned: true, grain: grain(digits(time)) })
        }
    }
}

/// Seconds, milliseconds, microseconds or nanoseconds since 1970, of this century.
fn epoch(text: &str) -> Option<Stamp> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let per_second: i128 = match whole.len() {
        10 => 1,
        13 => 1_000,
        16 => 1_000_000,
        19 => 1_000_000_000,
        _ => return None,
    };
    let number = whole.parse::<i128>().ok()?;
    let at = Timestamp::from_nanosecond(number * (1_000_000_000 / per_second)).ok()?;
    let fine = per_second > 1_000 || fraction.trim_end_matches('0').len() > 3;
    Some(Stamp { at, zoned: true, grain: if fine { RACY } else { RACY_COARSE } })
}

fn grain(digits: usize) -> Duration {
    if digits > 3 { RACY } else { RACY_COARSE }
}

fn utc(at: DateTime) -> Option<Timestamp> {
    TimeZone::UTC.to_timestamp(at).ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test may panic")]
mod tests {
    use super::*;

    const NOW: &str = "2026-11-28 14:00:10.500000+00";

    #[test]
    fn a_young_stamp_proves_nothing_and_an_old_one_does() {
        for (updated, racy) in [
            ("2026-11-28 14:00:10.4+00", true),
            ("2026-11-28 14:00:09.123456+00", true),
            ("2026-11-28 14:00:08.123456+00", false),
            // Whole seconds, milliseconds.
            ("2026-11-28 13:59:00+00", true),
            ("2026-11-28 13:59:00.250+00", true),
            ("2026-11-28 13:58:00+00", false),
            ("2026-11-28 22:00:10.123456+08", true),
            ("2026-11-28T14:00:10.123456Z", true),
            ("2026-11-28 19:30:10.123456+05:30", true),
            // From a clock that runs ahead.
            ("2027-01-01 00:00:00.123456+00", true),
            ("infinity", false),
            ("17", false),
            ("0000-00-00 00:00:00", false),
            ("", false),
            ("一月", false),
        ] {
            assert_eq!(is_racy(updated, NOW), racy, "{updated}");
        }
    }

    #[test]
    fn a_stamp_without_a_zone_is_young_if_it_is_in_some_zone() {
        for (updated, racy) in [
            ("2026-11-28 14:00:10.123456", true),
            ("2026-11-28 22:00:10.123456", true),
            ("2026-11-28 19:30:09.723456", true),
            ("2026-11-28 13:57:10.123456", false),
            ("2026-11-28 21:57:10.123456", false),
            ("2026-11-28 22:00:00", true),
            ("2026-11-26 14:00:10.123456", false),
            ("2026-11-28", true),
            ("2026-11-27", true),
            ("2026-11-20", false),
            ("2027-06-01 00:00:00", true),
        ] {
            assert_eq!(is_racy(updated, NOW), racy, "{updated}");
        }
    }

    #[test]
    fn seconds_since_the_epoch_are_times() {
        let now = read(NOW).unwrap().at.as_second();
        assert!(is_racy(&now.to_string(), NOW) && is_racy(&format!("{now}000"), NOW) && is_racy(&format!("{now}.123456"), NOW));
        assert!(!is_racy(&(now - 500).to_string(), NOW) && !is_racy("12345", NOW));
        assert_eq!(nanoseconds("1790000000"), Some(1_790_000_000_000_000_000));
        assert_eq!(nanoseconds("2026-09-21 14:13:20"), Some(1_790_000_000_000_000_000));
        assert_eq!(nanoseconds("x"), None);
    }
}
