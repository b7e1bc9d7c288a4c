//! Where what was opened within a line ends.

/// Where what closes is.
pub(super) enum Closing {
    /// So many bytes on.
    At(usize),
    /// Not in this line.
    Nowhere,
    /// That cannot be told yet.
    Unknown,
}

/// How many of these the text begins with.
pub(super) fn run(text: &str, mark: char) -> usize {
    text.len() - text.trim_start_matches(mark).len()
}

/// A run of exactly so many backticks.
pub(super) fn closing_ticks(text: &str, ticks: usize, ended: bool) -> Closing {
    let mut at = 0;
    while let Some(found) = text.get(at..).and_then(|rest| rest.find('`')) {
        at += found;
        let run = run(text.get(at..).unwrap_or_default(), '`');
        if at + run == text.len() && !ended {
            return Closing::Unknown;
        }
        if run == ticks {
            return Closing::At(at);
        }
        at += run;
    }
    if ended { Closing::Nowhere } else { Closing::Unknown }
}

/// A run of marks that closes what so many have opened.
pub(super) fn closing_marks(text: &str, mark: char, opened: usize, ended: bool) -> Closing {
    let mut previous = ' ';
    let mut at = 0;
    while let Some(c) = text.get(at..).and_then(|rest| rest.chars().next()) {
        let rest = text.get(at..).unwrap_or_default();
        match c {
            '\\' => at += rest.chars().take(2).map(char::len_utf8).sum::<usize>(),
            '`' => {
                let ticks = run(rest, '`');
                match closing_ticks(rest.get(ticks..).unwrap_or_default(), ticks, ended) {
                    Closing::At(code) => at += ticks + code + ticks,
                    Closing::Nowhere => at += ticks,
                    Closing::Unknown => return Closing::Unknown,
                }
            }
            _ if c == mark => {
                let run = run(rest, mark);
                let next = rest.get(run..).and_then(|rest| rest.chars().next());
                if next.is_none() && !ended {
                    return Closing::Unknown;
                }
                let fits = match opened {
                    1 => run % 2 == 1,
                    2 if mark == '~' => run == 2,
                    2 => run >= 2,
                    _ => true,
                };
                let inside = mark == '_' && next.is_some_and(|next| next.is_alphanumeric() || next == '_');
                let product = opened == 1
                    && mark == '*'
                    && previous.is_ascii_alphanumeric()
                    && next.is_some_and(|next| next.is_ascii_alphanumeric());
                if fits && !previous.is_whitespace() && !inside && !product {
                    return Closing::At(at);
                }
                at += run;
            }
            _ => at += c.len_utf8(),
        }
        previous = c;
    }
    if ended { Closing::Nowhere } else { Closing::Unknown }
}

/// The text up to the bracket that closes one opened before it.
pub(super) fn bracketed(text: &str) -> Option<&str> {
    let (mut depth, mut escaped, mut code) = (0_usize, false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if std::mem::take(&mut escaped) => {}
            '\\' => escaped = true,
            '`' => code = !code,
            '[' if !code => depth += 1,
            ']' if !code && depth == 0 => return text.get(..at),
            ']' if !code => depth -= 1,
            _ => {}
        }
    }
    None
}

/// An address, and a title where there is one, up to the parenthesis that closes.
pub(super) fn parenthesised(text: &str) -> Option<&str> {
    let (mut depth, mut escaped) = (0_usize, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if std::mem::take(&mut escaped) => {}
            '\\' => escaped = true,
            '(' => depth += 1,
            ')' if depth == 0 => return text.get(..at),
            ')' => depth -= 1,
            _ => {}
        }
    }
    None
}
