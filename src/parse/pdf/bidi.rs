//! Hebrew and Arabic: what stands from left to right on the page, in the order in which it is read.

use unicode_bidi::{BidiClass, bidi_class};

pub(super) fn is_right_to_left(c: char) -> bool {
    // Nearly all text is below.
    c >= '\u{590}' && matches!(bidi_class(c), BidiClass::R | BidiClass::AL)
}

fn is_left_to_right(c: char) -> bool {
    c.is_ascii_alphabetic() || (c >= '\u{80}' && matches!(bidi_class(c), BidiClass::L))
}

/// Whether there are letters in it that are written from right to left.
pub(super) fn has_right_to_left(text: &str) -> bool {
    text.chars().any(is_right_to_left)
}

/// A line whose pieces stand from left to right, each with whether a blank stands before it.
///
/// The inverse of the bidirectional algorithm for one line: whichever script has more letters gives the line's direction.
pub(super) fn reading_order(pieces: &[(String, bool)]) -> String {
    let line = join(pieces);
    if !line.chars().any(is_right_to_left) {
        return line;
    }
    let (right, left) =
        line.chars().fold((0, 0), |(r, l), c| (r + usize::from(is_right_to_left(c)), l + usize::from(is_left_to_right(c))));
    // A line of it may well have more letters of names and commands.
    let is_rtl = right * 2 > left;
    // Letter by letter, so that combining marks may stay behind what they are set on.
    let mut visual: Vec<char> = line
        .chars()
        .filter(|c| !matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'))
        .collect();
    if is_rtl {
        visual.reverse();
    }
    // Runs that read against the line's direction.
    let against = |c: char| if is_rtl { is_left_to_right(c) || c.is_numeric() } else { is_right_to_left(c) };
    let along = |c: char| if is_rtl { is_right_to_left(c) } else { is_left_to_right(c) || c.is_numeric() };
    let mut out: Vec<char> = Vec::with_capacity(visual.len());
    let mut at = 0;
    while let Some(&c) = visual.get(at) {
        if !against(c) {
            out.push(c);
            at += 1;
            continue;
        }
        // To the last such letter before one that reads with the line.
        let rest = visual.get(at..).unwrap_or_default();
        let reach = rest.iter().position(|&c| along(c)).unwrap_or(rest.len());
        let run = rest.get(..reach).unwrap_or_default();
        let mut end = run.iter().rposition(|&c| against(c)).map_or(1, |i| i + 1);
        // Numbers alone stay in the order of the line; only words of the other script make a run of several.
        if !run.get(..end).unwrap_or_default().iter().any(|&c| is_left_to_right(c) || is_right_to_left(c)) {
            end = run.iter().position(|c| c.is_whitespace()).unwrap_or(end).min(end);
        }
        // "%" and the like belong to the number beside them.
        while run.get(end).is_some_and(|c| "%°$€£".contains(*c)) {
            end += 1;
        }
        out.extend(run.get(..end).unwrap_or_default().iter().rev());
        at += end;
    }
    let mut text: Vec<char> = marks_behind(out);
    // Text from right to left in a paragraph that runs from left to right: its full stop stands at the right.
    if is_rtl && text.first().is_some_and(|c| ".,،!?؟:;؛".contains(*c)) {
        text.rotate_left(1);
    }
    mirror(&mut text);
    text.into_iter().collect()
}

fn join(pieces: &[(String, bool)]) -> String {
    let mut line = String::new();
    for (piece, apart) in pieces {
        if *apart && !line.is_empty() {
            line.push(' ');
        }
        line.push_str(piece);
    }
    line
}

/// After turning, combining marks stand before their letters.
fn marks_behind(text: Vec<char>) -> Vec<char> {
    let mut out: Vec<char> = Vec::with_capacity(text.len());
    let mut waiting: Vec<char> = Vec::new();
    for c in text {
        if c >= '\u{300}' && bidi_class(c) == BidiClass::NSM {
            waiting.push(c);
            continue;
        }
        out.push(c);
        if is_right_to_left(c) {
            out.append(&mut waiting);
        }
    }
    out.append(&mut waiting);
    out
}

const PAIRS: [(char, char); 4] = [('(', ')'), ('[', ']'), ('{', '}'), ('«', '»')];

/// Turns brackets where they would close before they open: some fonts say what is drawn, some what is meant.
fn mirror(text: &mut [char]) {
    for (open, close) in PAIRS {
        let mut depth = 0i32;
        let mut wrong = 0i32;
        for &c in text.iter() {
            depth += i32::from(c == open) - i32::from(c == close);
            wrong += i32::from(depth < 0);
            depth = depth.max(-1);
        }
        if wrong > 0 {
            for c in text.iter_mut() {
                if *c == open {
                    *c = close;
                } else if *c == close {
                    *c = open;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(visual: &str) -> String {
        reading_order(&visual.split(' ').enumerate().map(|(i, w)| (w.to_owned(), i > 0)).collect::<Vec<_>>())
    }

    #[test]
    fn what_stands_from_left_to_right_is_read_from_right_to_left() {
        assert_eq!(read(".רקובה דע הניפסה"), "הספינה עד הבוקר.");
        assert_eq!(read("2026 ראוניב 15 ב"), "ב 15 בינואר 2026");
        assert_eq!(read("(ragstream 1.5) תנכות"), "תוכנת (ragstream 1.5)");
        assert_eq!(read("20 10 םירפסמ"), "מספרים 10 20");
        assert_eq!(read("רקובה דע הניפסה."), "הספינה עד הבוקר.");
        assert_eq!(read("the word םולש means peace"), "the word שלום means peace");
        assert_eq!(read("plain text"), "plain text");
    }
}
