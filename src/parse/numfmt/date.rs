//! Numbers that count days.

use super::code::Token;
use super::names::Names;

/// The day after 9999-12-31.
const END: f64 = 2_958_466.0;

/// A moment, or a time that has gone by; `None` for numbers that are no dates.
pub(super) fn shown(tokens: &[Token], names: Option<&Names>, value: f64, since_1904: bool) -> Option<String> {
    let elapsed = tokens.iter().any(|t| matches!(t, Token::Elapsed(..)));
    if value.is_nan() || value.abs() >= END || (value < 0.0 && !elapsed) {
        return None;
    }
    let places = fraction_places(tokens);
    let shows_seconds = tokens.iter().any(|t| matches!(t, Token::Part('s', _) | Token::Elapsed('s', _)));
    // In units of what is shown, so that 59.9996 s is a minute.
    let unit = 10i64.pow(places as u32);
    let per_day = 86_400 * unit;
    let exact = value.abs() * per_day as f64;
    // Sheets that show minutes alone leave the seconds out; a binary fraction just below a minute is that minute.
    let units = if shows_seconds { exact.round() } else { (exact + 0.001 * unit as f64).floor() } as i64;
    let (days, within) = (units.div_euclid(per_day), units.rem_euclid(per_day));
    let (second, fraction) = (within / unit, within % unit);
    let (year, month, day, weekday) = civil(days, since_1904);
    let has_noon = tokens.iter().any(|t| matches!(t, Token::Noon(..)));
    let hour = second / 3600;
    let beside_day = tokens.iter().any(|t| matches!(t, Token::Part('d', 1 | 2)));
    let separator = names.map_or("/", |names| names.separator);
    let names = names.unwrap_or(Names::english());
    let mut out = String::new();
    if value < 0.0 && units > 0 {
        out.push('-');
    }
    let mut after_point = false;
    for (at, token) in tokens.iter().enumerate() {
        match token {
            Token::Literal(literal) => out.push_str(literal),
            Token::Part('y', count) => out.push_str(&if *count <= 2 { format!("{:02}", year % 100) } else { year.to_string() }),
            Token::Part('e', _) => out.push_str(&year.to_string()),
            Token::Part('m', count) if *count <= 2 && is_minute(tokens, at) => {
                out.push_str(&padded(second / 60 % 60, *count));
            }
            Token::Part('m', count @ (1 | 2)) => out.push_str(&padded(month, *count)),
            Token::Part('m', count) => out.push_str(&names.month(month, *count, beside_day)),
            Token::Part('d', count @ (1 | 2)) => out.push_str(&padded(day, *count)),
            Token::Part('d', count) => out.push_str(names.day(weekday, *count)),
            Token::Part('a', count) => out.push_str(names.eastern_day(weekday, *count)),
            Token::Part('h', count) => {
                let shown = if has_noon { (hour + 11) % 12 + 1 } else { hour };
                out.push_str(&padded(shown, *count));
            }
            Token::Part('s', count) => out.push_str(&padded(second % 60, *count)),
            Token::Elapsed(letter, count) => {
                let seconds = units / unit;
                let shown = match letter {
                    'h' => seconds / 3600,
                    'm' => seconds / 60,
                    _ => seconds,
                };
                out.push_str(&format!("{shown:0count$}"));
            }
            Token::Noon(before, after) => out.push_str(if hour < 12 { before } else { after }),
            Token::Point if places > 0 && matches!(tokens.get(at + 1), Some(Token::Digit(_))) => {
                out.push_str(&format!(".{fraction:0places$}"));
                after_point = true;
                continue;
            }
            Token::Digit(_) if after_point => continue,
            Token::Point => out.push('.'),
            Token::Slash => out.push_str(separator),
            Token::Comma => out.push(','),
            Token::Percent => out.push('%'),
            _ => {}
        }
        after_point = false;
    }
    Some(out)
}

fn padded(number: i64, count: usize) -> String {
    if count == 1 { number.to_string() } else { format!("{number:02}") }
}

/// Places behind the point of seconds.
fn fraction_places(tokens: &[Token]) -> usize {
    let point = tokens.iter().position(|t| *t == Token::Point);
    point.map_or(0, |at| tokens.iter().skip(at + 1).take_while(|t| matches!(t, Token::Digit(_))).count()).min(6)
}

/// `m` means minutes after hours and before seconds.
fn is_minute(tokens: &[Token], at: usize) -> bool {
    let is_part = |t: &&Token| matches!(t, Token::Part(..) | Token::Elapsed(..));
    let before = tokens.iter().take(at).rev().find(is_part);
    let after = tokens.iter().skip(at + 1).find(is_part);
    matches!(before, Some(Token::Part('h', _) | Token::Elapsed('h', _)))
        || matches!(after, Some(Token::Part('s', _) | Token::Elapsed('s', _)))
}

/// Year, month, day and day of the week (0 is Sunday) of a sheet's day. The sheets of 1900 have a 29th of February that was
/// none, as the program had that they were to be like.
fn civil(days: i64, since_1904: bool) -> (i64, i64, i64, i64) {
    let days = if since_1904 { days + 1462 } else { days };
    if days == 60 {
        return (1900, 2, 29, 3);
    }
    let weekday = (days + 6).rem_euclid(7);
    // Days since 1970-01-01; before the day that was none, all are one later.
    let z = days - 25_569 + i64::from(days < 60) + 719_468;
    let era = z.div_euclid(146_097);
    let of_era = z.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day, weekday)
}
