//! Numbers that are no dates.

use super::code::Token;

/// A number without a format: as short as it is exact, up to the 15 digits that a sheet keeps.
pub(in super::super) fn general(value: f64) -> String {
    if !value.is_finite() {
        return value.to_string();
    }
    if value == 0.0 {
        return "0".to_owned();
    }
    let size = value.abs();
    if !(1e-9..1e15).contains(&size) {
        let scientific = format!("{value:.14e}");
        let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
        let digits = if digits.contains('.') { digits.trim_end_matches('0').trim_end_matches('.') } else { digits };
        let exponent: i32 = exponent.parse().unwrap_or(0);
        return format!("{digits}E{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs());
    }
    let before = size.log10().floor() as i32 + 1;
    let places = (15 - before).clamp(0, 23) as usize;
    let shown = format!("{value:.places$}");
    if shown.contains('.') { shown.trim_end_matches('0').trim_end_matches('.').to_owned() } else { shown }
}

/// By the tokens of one section; the sign is shown unless the section is one of negative numbers.
pub(super) fn shown(tokens: &[Token], value: f64) -> String {
    if !value.is_finite() {
        return value.to_string();
    }
    let digit_at = tokens.iter().position(|t| matches!(t, Token::Digit(_)));
    let Some(first) = digit_at else { return literals(tokens, value) };
    let last = tokens.iter().rposition(|t| matches!(t, Token::Digit(_))).unwrap_or(first);
    let percents = tokens.iter().filter(|t| **t == Token::Percent).count().min(4);
    let mut size = value.abs() * 100f64.powi(percents as i32);
    // Commas behind the last digit of the whole part: in thousands.
    let point = tokens.iter().position(|t| *t == Token::Point);
    let whole_end = point.unwrap_or(last + 1);
    let before_point = tokens.get(..whole_end).unwrap_or_default();
    let last_whole = before_point.iter().rposition(|t| matches!(t, Token::Digit(_)));
    let is_comma = |t: &&Token| **t == Token::Comma;
    let scale = last_whole.map_or(0, |at| before_point.iter().skip(at + 1).take_while(is_comma).count())
        + if point.is_some() || last_whole.is_none() { tokens.iter().skip(last + 1).take_while(is_comma).count() } else { 0 };
    let scale = if point.is_none() { tokens.iter().skip(last + 1).take_while(is_comma).count() } else { scale };
    size /= 1000f64.powi(scale.min(6) as i32);
    let grouped = last_whole.is_some_and(|end| {
        let start = before_point.iter().position(|t| matches!(t, Token::Digit(_))).unwrap_or(end);
        before_point.get(start..end).is_some_and(|within| within.contains(&Token::Comma))
    });
    if let Some(slash) = tokens.iter().position(|t| *t == Token::Slash)
        && slash > first
        && tokens.get(slash + 1..).is_some_and(|after| after.iter().any(|t| matches!(t, Token::Digit(_) | Token::Literal(_))))
    {
        return with_sign(fraction(tokens, slash, size), value, size);
    }
    if let Some(at) = tokens.iter().position(|t| matches!(t, Token::Exponent(_))) {
        return with_sign(scientific(tokens, at, size), value, size);
    }
    let places = point.map_or(0, |at| tokens.iter().skip(at + 1).filter(|t| matches!(t, Token::Digit(_))).count()).min(30);
    let rounded = format!("{size:.places$}");
    let rounded = half_up(size, places).unwrap_or(rounded);
    let out = placed(tokens, &rounded, grouped);
    let is_zero = rounded.bytes().all(|b| matches!(b, b'0' | b'.'));
    with_sign(out, if is_zero { 0.0 } else { value }, size)
}

fn with_sign(shown: String, value: f64, _size: f64) -> String {
    if value < 0.0 { format!("-{}", shown.trim_start()) } else { shown }
}

/// Sheets round 0.125 up although the number next to it in binary may lie below.
fn half_up(size: f64, places: usize) -> Option<String> {
    if places > 12 || size > 1e14 {
        return None;
    }
    let exact = general(size);
    let (whole, fraction) = exact.split_once('.').unwrap_or((&exact, ""));
    if !whole.bytes().all(|b| b.is_ascii_digit()) || fraction.len() <= places {
        return None;
    }
    let up = fraction.as_bytes().get(places).is_some_and(|&b| b >= b'5');
    let kept: u128 = format!("{whole}{}", fraction.get(..places)?).parse().ok()?;
    let digits = (kept + u128::from(up)).to_string();
    let digits = format!("{digits:0>width$}", width = places + 1);
    let (whole, fraction) = digits.split_at_checked(digits.len() - places)?;
    Some(if places == 0 { whole.to_owned() } else { format!("{whole}.{fraction}") })
}

/// A section without digits: words, and what is shown of the number as it is.
fn literals(tokens: &[Token], value: f64) -> String {
    let mut out = String::new();
    let mut says_number = false;
    for token in tokens {
        match token {
            Token::Literal(literal) => out.push_str(literal),
            Token::General | Token::Text => {
                out.push_str(&general(if says_number { value.abs() } else { value }));
                says_number = true;
            }
            Token::Percent => out.push('%'),
            Token::Slash => out.push('/'),
            Token::Point => out.push('.'),
            Token::Comma => out.push(','),
            _ => {}
        }
    }
    out
}

/// Puts the digits of a rounded number where the format has places for them.
fn placed(tokens: &[Token], rounded: &str, grouped: bool) -> String {
    let (whole, fraction) = rounded.split_once('.').unwrap_or((rounded, ""));
    let whole = whole.trim_start_matches('0');
    let point = tokens.iter().position(|t| *t == Token::Point).unwrap_or(tokens.len());
    let is_digit = |t: &Token| matches!(t, Token::Digit(_));
    let places = tokens.iter().take(point).filter(|t| is_digit(t)).count();
    let digits: Vec<char> = whole.chars().collect();
    let mut out = String::new();
    let mut place = 0;
    let mut used = 0;
    let needed: Vec<char> = fraction.trim_end_matches('0').chars().collect();
    let decimals: Vec<char> = fraction.chars().collect();
    let mut decimal = 0;
    let push_whole = |out: &mut String, digit: char, left: usize| {
        out.push(digit);
        if grouped && left > 0 && left.is_multiple_of(3) {
            out.push(',');
        }
    };
    for (at, token) in tokens.iter().enumerate() {
        match token {
            Token::Digit(kind) if at < point => {
                // More digits than places stand before the first of them.
                if place == 0 {
                    while digits.len() > places + used {
                        let left = digits.len() - used - 1;
                        push_whole(&mut out, digits.get(used).copied().unwrap_or('0'), left);
                        used += 1;
                    }
                }
                let left = places - place - 1;
                if digits.len().saturating_sub(used) > left {
                    push_whole(&mut out, digits.get(used).copied().unwrap_or('0'), left);
                    used += 1;
                } else if *kind == '0' {
                    push_whole(&mut out, '0', left);
                }
                place += 1;
            }
            Token::Digit(kind) => {
                match decimals.get(decimal) {
                    Some(digit) if *kind == '0' || decimal < needed.len() => out.push(*digit),
                    _ => {}
                }
                decimal += 1;
            }
            Token::Point => {
                if places == 0 {
                    out.push_str(whole);
                }
                out.push('.');
            }
            Token::Percent => out.push('%'),
            Token::Literal(literal) => out.push_str(literal),
            Token::Slash => out.push('/'),
            Token::Part(letter, count) => out.push_str(&letter.to_string().repeat(*count)),
            Token::General | Token::Text | Token::Comma | Token::Exponent(_) | Token::Elapsed(..) | Token::Noon(..) => {}
        }
    }
    out
}

fn scientific(tokens: &[Token], at: usize, size: f64) -> String {
    let (mantissa, exponent) = tokens.split_at_checked(at).unwrap_or((tokens, &[]));
    let is_digit = |t: &&Token| matches!(t, Token::Digit(_));
    let point = mantissa.iter().position(|t| *t == Token::Point).unwrap_or(mantissa.len());
    let whole = mantissa.iter().take(point).filter(is_digit).count().max(1) as i32;
    let places = mantissa.iter().skip(point).filter(is_digit).count().min(30);
    let mut power = if size == 0.0 { 0 } else { size.log10().floor() as i32 };
    // `##0.0E+0` counts in thousands.
    power = power.div_euclid(whole) * whole;
    let mut scaled = size / 10f64.powi(power);
    if format!("{scaled:.places$}").parse::<f64>().is_ok_and(|v| v >= 10f64.powi(whole)) {
        power += whole;
        scaled = size / 10f64.powi(power);
    }
    let plus = matches!(exponent.first(), Some(Token::Exponent(true)));
    let width = exponent.iter().filter(|t| matches!(t, Token::Digit('0'))).count();
    let sign = if power < 0 {
        "-"
    } else if plus {
        "+"
    } else {
        ""
    };
    let tail: String =
        exponent.iter().filter_map(|t| if let Token::Literal(l) = t { Some(l.as_str()) } else { None }).collect();
    format!("{}E{sign}{:0width$}{tail}", placed(mantissa, &format!("{scaled:.places$}"), false), power.unsigned_abs())
}

/// `2 3/4`: the nearest fraction with as many digits below the line as there are places, or with the number that stands there.
fn fraction(tokens: &[Token], slash: usize, size: f64) -> String {
    let (above, below) = (tokens.get(..slash).unwrap_or_default(), tokens.get(slash + 1..).unwrap_or_default());
    let is_digit = |t: &Token| matches!(t, Token::Digit(_));
    // Places for whole numbers stand apart from those above the line.
    let numerator = above.iter().rev().take_while(|t| is_digit(t)).count();
    let has_whole = above.iter().rev().skip(numerator).any(is_digit);
    let fixed: String = below
        .iter()
        .take_while(|t| {
            matches!(t, Token::Literal(l) if l.chars().all(|c| c.is_ascii_digit())) || matches!(t, Token::Digit('0'))
        })
        .map(|t| if let Token::Literal(l) = t { l.as_str() } else { "0" })
        .collect();
    let whole = if has_whole { size.floor() } else { 0.0 };
    let rest = size - whole;
    let (mut n, d) = match fixed.parse::<u64>() {
        Ok(d) if d > 0 && below.iter().any(|t| matches!(t, Token::Literal(_))) => ((rest * d as f64).round() as u64, d),
        _ => nearest(rest, 10u64.pow(below.iter().filter(|t| is_digit(t)).count().clamp(1, 4) as u32) - 1),
    };
    let mut whole = whole as u64;
    if has_whole && n == d {
        whole += 1;
        n = 0;
    }
    let shown = match (has_whole, n) {
        (true, 0) => whole.to_string(),
        (true, _) if whole == 0 => format!("{n}/{d}"),
        (true, _) => format!("{whole} {n}/{d}"),
        (false, _) => format!("{n}/{d}"),
    };
    // Words before and behind, such as a unit.
    let is_below = |t: &&Token| is_digit(t) || matches!(t, Token::Literal(l) if l.chars().all(|c| c.is_ascii_digit()));
    let denominator = below.iter().take_while(is_below).count();
    let words = |tokens: &mut dyn Iterator<Item = &Token>| -> String {
        tokens.filter_map(|t| if let Token::Literal(l) = t { Some(l.as_str()) } else { None }).collect()
    };
    let before = words(&mut above.iter().take_while(|t| !is_digit(t)));
    format!("{before}{shown}{}", words(&mut below.iter().skip(denominator)))
}

/// The fraction nearest to a number, with a denominator up to `most`.
fn nearest(value: f64, most: u64) -> (u64, u64) {
    let mut best = (value.round() as u64, 1);
    let mut error = (value - value.round()).abs();
    for d in 2..=most {
        let n = (value * d as f64).round();
        let off = (value - n / d as f64).abs();
        if off + 1e-12 < error {
            error = off;
            best = (n as u64, d);
        }
    }
    best
}
