//! Sizes (`50MB`) and times (`1m30s`) as people write them.

use std::borrow::Cow;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// The longest time that can be asked for.
const MAX_PERIOD: Duration = Duration::from_hours(7 * 24);

/// A number of bytes, at least 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size(pub(super) u64);

/// A probability below which something is not done, or `off`: it is always done.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Threshold {
    /// From 0 to 1.
    Below(f64),
    /// Never.
    Off,
}

/// A length of time, above zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Period(pub(super) Duration);

/// A length of time that may be none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pause(pub(super) Duration);

impl Size {
    /// The schema's `format` that stands for [`Self::parse`].
    pub(super) const FORMAT: &'static str = "size";

    /// Reads `50MB`, `1.5 GiB` or `1000`. Units of 1000 (kB, MB, GB, TB) and of 1024 (KiB, MiB, GiB, TiB), in any case.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (number, unit) = split(text.trim());
        let factor: u64 = match unit.to_ascii_lowercase().as_str() {
            "" | "b" => 1,
            "k" | "kb" => 1000,
            "m" | "mb" => 1_000_000,
            "g" | "gb" => 1_000_000_000,
            "t" | "tb" => 1_000_000_000_000,
            "kib" => 1 << 10,
            "mib" => 1 << 20,
            "gib" => 1 << 30,
            "tib" => 1 << 40,
            _ => return Err("is not a size; write `50MB`, `1GiB` or a number of bytes".to_owned()),
        };
        let bytes = match number.parse::<u64>() {
            Ok(whole) => whole.checked_mul(factor),
            Err(_) => number.parse::<f64>().ok().map(|n| n * factor as f64).filter(|n| *n < 9e18).map(|n| n as u64),
        };
        match bytes {
            Some(0) => Err("must be at least 1 byte".to_owned()),
            Some(bytes) => Ok(Self(bytes)),
            None => Err("is not a size; write `50MB`, `1GiB` or a number of bytes".to_owned()),
        }
    }
}

impl Threshold {
    /// The schema's `format` that stands for [`Self::parse`].
    pub(super) const FORMAT: &'static str = "threshold";

    /// Reads `0.2` or `off`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text.trim().eq_ignore_ascii_case("off") {
            return Ok(Self::Off);
        }
        let number = text.trim().parse().ok().filter(|number| (0.0..=1.0).contains(number));
        number.map(Self::Below).ok_or_else(|| "is no threshold; write a number from 0 to 1, or `off`".to_owned())
    }
}

impl Period {
    /// The schema's `format` that stands for [`Self::parse`].
    pub(super) const FORMAT: &'static str = "period";

    /// Reads `500ms`, `60s`, `1m30s`, `1.5h` or `2d`. Above zero, at most seven days.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        match Pause::parse(text)? {
            Pause(Duration::ZERO) => Err("must be more than zero".to_owned()),
            Pause(period) => Ok(Self(period)),
        }
    }
}

impl Pause {
    /// The schema's `format` that stands for [`Self::parse`].
    pub(super) const FORMAT: &'static str = "pause";

    /// Reads what [`Period::parse`] reads, and `0s`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        const SHAPE: &str = "is not a time; write `500ms`, `60s`, `5m` or `1h`";
        let (mut rest, mut seconds) = (text.trim(), 0.0);
        if rest.is_empty() {
            return Err(SHAPE.to_owned());
        }
        while !rest.is_empty() {
            let (number, after) = split(rest);
            let end = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
            let (unit, next) = after.split_at_checked(end).ok_or(SHAPE)?;
            let factor = match unit {
                "ms" => 0.001,
                "s" => 1.0,
                "m" => 60.0,
                "h" => 3600.0,
                "d" => 86400.0,
                "" => return Err(format!("has no unit; write `{number}s` for seconds or `{number}m` for minutes")),
                _ => return Err(SHAPE.to_owned()),
            };
            seconds += number.parse::<f64>().map_err(|_| SHAPE)? * factor;
            rest = next.trim_start();
        }
        match Duration::try_from_secs_f64(seconds) {
            Ok(period) if period <= MAX_PERIOD => Ok(Self(period)),
            _ => Err("must be at most 7 days".to_owned()),
        }
    }
}

/// A length of time as it is written in a pipeline file: `500ms`, `1m30s`; at most seven days.
#[cfg(feature = "cli")]
pub(crate) fn period(text: &str) -> Result<Duration, String> {
    Period::parse(text).map(|Period(period)| period)
}

/// Digits and a point, then what follows without the blanks between.
fn split(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, rest) = text.split_at_checked(end).unwrap_or((text, ""));
    (number, rest.trim_start())
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Bytes(u64),
            Text(String),
        }
        match Written::deserialize(deserializer)? {
            Written::Bytes(0) => Err(D::Error::custom("must be at least 1 byte")),
            Written::Bytes(bytes) => Ok(Self(bytes)),
            Written::Text(text) => Self::parse(&text).map_err(D::Error::custom),
        }
    }
}

impl<'de> Deserialize<'de> for Threshold {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Number(f64),
            Text(String),
        }
        let text = match Written::deserialize(deserializer)? {
            Written::Number(number) => number.to_string(),
            Written::Text(text) => text,
        };
        Self::parse(&text).map_err(D::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(D::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Pause {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(D::Error::custom)
    }
}

impl JsonSchema for Size {
    fn schema_name() -> Cow<'static, str> {
        "Size".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A size: bytes, or a number with a unit (kB, MB, GB of 1000; KiB, MiB, GiB of 1024).",
            "type": ["integer", "string"],
            "minimum": 1,
            "format": Size::FORMAT,
            "pattern": r"^\s*[0-9.]+\s*([kKmMgGtT]?[bB]?|[kKmMgGtT][iI][bB])\s*$",
            "examples": ["50MB", "1GiB", 1_000_000],
        })
    }
}

impl JsonSchema for Threshold {
    fn schema_name() -> Cow<'static, str> {
        "Threshold".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A probability from 0 to 1, or `off`.",
            "type": ["number", "string"],
            "minimum": 0,
            "maximum": 1,
            "format": Threshold::FORMAT,
            "pattern": r"^\s*([oO][fF][fF]|[0-9.]+)\s*$",
            "examples": [0.1, "off"],
        })
    }
}

impl JsonSchema for Period {
    fn schema_name() -> Cow<'static, str> {
        "Period".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A length of time with its unit: ms, s, m, h or d. At most 7 days.",
            "type": "string",
            "format": Period::FORMAT,
            "pattern": TIMES,
            "examples": ["500ms", "60s", "5m"],
        })
    }
}

impl JsonSchema for Pause {
    fn schema_name() -> Cow<'static, str> {
        "Pause".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A length of time with its unit: ms, s, m, h or d; `0s` is none. At most 7 days.",
            "type": "string",
            "format": Pause::FORMAT,
            "pattern": TIMES,
            "examples": ["0s", "250ms", "1s"],
        })
    }
}

/// Numbers, each with its unit.
const TIMES: &str = r"^\s*([0-9.]+\s*(ms|s|m|h|d)\s*)+$";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, bytes) in [("1", 1), ("50MB", 50_000_000), ("1GiB", 1 << 30), ("1.5 kib", 1536), ("2k", 2000)] {
            assert_eq!(Size::parse(text), Ok(Size(bytes)), "{text}");
        }
        for text in ["", "0", "MB", "-1", "50 XB", "1.2.3MB", "99999999999TB", "1e9", "NaN"] {
            assert!(Size::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn thresholds() {
        for (text, threshold) in [("0.2", Threshold::Below(0.2)), ("0", Threshold::Below(0.0)), (" Off ", Threshold::Off)] {
            assert_eq!(Threshold::parse(text), Ok(threshold), "{text}");
        }
        for text in ["", "1.1", "-0.1", "NaN", "on", "10%"] {
            assert!(Threshold::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn periods() {
        for (text, ms) in [("500ms", 500), ("60s", 60_000), ("1m30s", 90_000), ("1.5h", 5_400_000), ("7d", 604_800_000)] {
            assert_eq!(Period::parse(text), Ok(Period(Duration::from_millis(ms))), "{text}");
        }
        for text in ["", "60", "0s", "s", "1y", "8d", "-5s", "1..5s", "5 m s", "99999999999999999999999d"] {
            assert!(Period::parse(text).is_err(), "{text}");
        }
        assert_eq!(Pause::parse("0s"), Ok(Pause(Duration::ZERO)));
        assert_eq!(Pause::parse("1m30s"), Ok(Pause(Duration::from_secs(90))));
        assert!(Pause::parse("0").is_err() && Pause::parse("-1s").is_err() && Pause::parse("8d").is_err());
        assert!(Period::parse("60").is_err_and(|e| e.contains("`60s`")));
    }
}
