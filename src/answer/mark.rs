//! What the inside of a citation's brackets says: the numbers of sources, in the forms in which models write them, and what may follow
//! them of a place in the source.

/// `[2024]` is a year.
const MAX_DIGITS: usize = 3;
/// So far a range of sources may reach beyond those that were given.
const FEW: usize = 9;

#[derive(Debug, Default)]
pub(super) struct Numbers {
    pub(super) known: Vec<usize>,
    pub(super) unknown: Vec<usize>,
}

impl Numbers {
    /// The numbers of some ranges; `None` when they are those of something else.
    pub(super) fn of(ranges: &[(String, Option<String>)], given: usize, behind_a_word: bool) -> Option<Self> {
        let mut numbers = Self::default();
        // `argv[0]`, and an interval.
        let none = |n: usize| n == 0 && (behind_a_word || ranges.len() > 1);
        for (first, last) in ranges {
            let first = number(first)?;
            // Between numbers that were not given it is a range of something else, such as lines; one that begins with a source and
            // goes too far is one of sources.
            let most = if first <= given { given.max(FEW) } else { given };
            let last = match last {
                Some(last) => number(last).filter(|last| *last <= most && first > 0)?,
                None => first,
            };
            if first > last || none(first) {
                return None;
            }
            for n in first..=last {
                let seen = if (1..=given).contains(&n) { &mut numbers.known } else { &mut numbers.unknown };
                if !seen.contains(&n) {
                    seen.push(n);
                }
            }
        }
        Some(numbers)
    }
}

/// What the inside of a bracket is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Read {
    /// The numbers that it names, from the first to the last of each range, as they are written.
    Whole(Vec<(String, Option<String>)>),
    /// More must come.
    Begun,
    None,
}

/// Words before a number of a source, in lower case.
const MARKERS: [&str; 14] = [
    "sources",
    "source",
    "references",
    "reference",
    "refs",
    "ref",
    "documents",
    "document",
    "docs",
    "doc",
    "来源",
    "资料",
    "文献",
    "^",
];
/// What stands between two numbers, besides a comma.
const JOINTS: [&str; 5] = ["and", "&", "和", "与", "及"];
/// Words behind one, before a place in it.
const PLACES: [&str; 22] = [
    "pages",
    "page",
    "pp",
    "p",
    "lines",
    "line",
    "ll",
    "l",
    "sections",
    "section",
    "sec",
    "chapter",
    "ch",
    "paragraph",
    "para",
    "rows",
    "row",
    "§",
    "第",
    "页",
    "行",
    "s",
];

/// `1`, `1, 3`, `1-3`, `Source 1`, `来源1、来源2`, `1, p. 12`, `1:3`, `1†report.md`.
pub(super) fn read(inner: &str) -> Read {
    let lower: String = inner.chars().map(|c| if is_blank(c) { ' ' } else { c.to_ascii_lowercase() }).collect();
    let mut rest = lower.as_str();
    let mut ranges = Vec::new();
    loop {
        rest = rest.trim_start_matches(' ');
        if let Some(place) = place(rest).filter(|_| !ranges.is_empty()) {
            return if place { Read::Whole(ranges) } else { Read::Begun };
        }
        let Some(unmarked) = without_marker(rest) else { return Read::Begun };
        let (first, after) = digits(unmarked);
        if first.is_empty() {
            return if unmarked.is_empty() { Read::Begun } else { Read::None };
        }
        let mut after = after.trim_start_matches(' ');
        let mut last = None;
        if let Some(second) = after.strip_prefix(is_dash) {
            let (second, behind) = digits(second.trim_start_matches(' '));
            if second.is_empty() {
                return if behind.is_empty() { Read::Begun } else { Read::None };
            }
            (last, after) = (Some(second.to_owned()), behind.trim_start_matches(' '));
        }
        ranges.push((first.to_owned(), last));
        if after.is_empty() || after.starts_with('†') {
            return Read::Whole(ranges);
        }
        if let Some(lines) = after.strip_prefix(':').filter(|_| ranges.len() == 1) {
            return of_lines(lines, ranges);
        }
        if let Some(place) = place(after) {
            return if place { Read::Whole(ranges) } else { Read::Begun };
        }
        let joint = || JOINTS.iter().find_map(|joint| after.strip_prefix(joint));
        match after.strip_prefix(is_separator).or_else(joint) {
            Some(more) => rest = more,
            None if JOINTS.iter().any(|joint| joint.starts_with(after)) => return Read::Begun,
            None => return Read::None,
        }
    }
}

/// Lines behind a colon; two digits alone may be minutes.
fn of_lines(lines: &str, ranges: Vec<(String, Option<String>)>) -> Read {
    let (first, rest) = digits(lines);
    match (first.is_empty(), rest.strip_prefix(is_dash)) {
        (true, _) if lines.is_empty() => Read::Begun,
        (false, None) if rest.is_empty() && first.len() == 2 => Read::Begun,
        (false, None) if rest.is_empty() => Read::Whole(ranges),
        (false, Some(second)) if second.bytes().all(|byte| byte.is_ascii_digit()) => {
            if second.is_empty() {
                Read::Begun
            } else {
                Read::Whole(ranges)
            }
        }
        _ => Read::None,
    }
}

/// The text behind a marker, if there is one; `None`: it may be the beginning of one.
fn without_marker(text: &str) -> Option<&str> {
    let text = text.trim_start_matches('#');
    if let Some(rest) = MARKERS.iter().find_map(|marker| text.strip_prefix(marker)) {
        return Some(rest.trim_start_matches([' ', '#', ':']));
    }
    let begun = !text.is_empty() && MARKERS.iter().any(|marker| marker.starts_with(text));
    (!begun).then_some(text)
}

/// Whether a place in a source is named here, with a number in it, or begins to be; `None` where something else is.
fn place(text: &str) -> Option<bool> {
    let word: String = text.chars().take_while(|c| c.is_alphabetic() || *c == '§').collect();
    let begun = |place: &&str| place.starts_with(&word);
    let named = |place: &&str| word == **place || !place.is_ascii() && word.starts_with(*place);
    if word.is_empty() || !PLACES.iter().any(|place| named(place) || begun(place)) {
        return None;
    }
    let rest = text.get(word.len()..).unwrap_or_default();
    let plain = |c: char| c.is_alphanumeric() || " .,-–§:页行段".contains(c);
    if !rest.chars().all(plain) || !rest.is_empty() && !PLACES.iter().any(named) {
        return None;
    }
    Some(text.contains(|c: char| c.is_ascii_digit()))
}

/// The digits that a text begins with, and the rest.
fn digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c| digit(c).is_none()).unwrap_or(text.len()))
}

fn is_blank(c: char) -> bool {
    c == ' ' || c == '\u{a0}'
}

/// A number of three digits at most.
fn number(text: &str) -> Option<usize> {
    if text.chars().count() > MAX_DIGITS {
        return None;
    }
    text.chars().try_fold(0, |value, c| digit(c).map(|digit| value * 10 + digit))
}

/// The value of an ASCII or full-width digit.
pub(crate) fn digit(c: char) -> Option<usize> {
    let value = match c {
        '0'..='9' => u32::from(c) - u32::from('0'),
        '０'..='９' => u32::from(c) - u32::from('０'),
        _ => return None,
    };
    usize::try_from(value).ok()
}

fn is_separator(c: char) -> bool {
    matches!(c, ',' | ';' | '，' | '、' | '；')
}

fn is_dash(c: char) -> bool {
    matches!(c, '-' | '–' | '－')
}

/// A citation with a `?` after each of these numbers: `[1, 7?]`; not in what follows them, such as a page.
#[cfg(any(feature = "cli", feature = "serve"))]
pub(super) fn queried(text: &str, numbers: &[usize]) -> String {
    let mut shown = String::with_capacity(text.len() + numbers.len());
    let mut number = None;
    let (mut cited, mut placed) = (false, false);
    for c in text.chars() {
        match digit(c) {
            Some(value) if !placed => number = Some(number.unwrap_or(0) * 10 + value),
            _ => {
                if number.take().is_some_and(|number: usize| numbers.contains(&number)) {
                    shown.push('?');
                }
            }
        }
        placed |= cited && (matches!(c, ':' | '†' | '(') || place(&c.to_lowercase().to_string()).is_some());
        cited |= digit(c).is_some();
        shown.push(c);
    }
    shown
}

#[cfg(all(test, any(feature = "cli", feature = "serve")))]
mod tests {
    use super::*;

    #[test]
    fn a_doubtful_number_is_marked_and_no_place() {
        assert_eq!(queried("[1, 7]", &[7]), "[1, 7?]");
        assert_eq!(queried("【１２】", &[12]), "【１２?】");
        assert_eq!(queried("[1, p. 1]", &[1]), "[1?, p. 1]");
        assert_eq!(queried("[Source 1]", &[1]), "[Source 1?]");
        assert_eq!(queried("[1:1-3]", &[1]), "[1?:1-3]");
        assert_eq!(queried("【1†L1】", &[1]), "【1?†L1】");
        assert_eq!(queried("[1](docs/1.md)", &[1]), "[1?](docs/1.md)");
    }
}
