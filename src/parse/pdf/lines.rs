//! Lines, from the words of one column.

use super::bidi;
use super::letters;
use super::words::Word;

/// A line of one column.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) words: Vec<Word>,
    pub(super) x0: f64,
    pub(super) x1: f64,
    pub(super) y: f64,
    /// The size that most of its letters have.
    pub(super) size: f64,
}

impl Line {
    fn of(mut words: Vec<Word>) -> Self {
        words.sort_by(|a, b| a.x0.total_cmp(&b.x0));
        let size = main_size(words.iter());
        let x0 = words.iter().map(|w| w.x0).fold(f64::INFINITY, f64::min);
        let x1 = words.iter().map(|w| w.x1).fold(f64::NEG_INFINITY, f64::max);
        let y = words.iter().find(|w| (w.size - size).abs() < 0.2 * size).or(words.first()).map_or(0.0, |w| w.y);
        Self { words, x0, x1, y, size }
    }

    /// A part of the page that was read before, by its number.
    pub(super) fn part(&self) -> Option<usize> {
        self.words.iter().find_map(|w| w.part)
    }

    pub(super) fn is_bold(&self) -> bool {
        self.words.iter().all(|w| w.is_bold || !w.text.chars().any(char::is_alphabetic)) && self.words.iter().any(|w| w.is_bold)
    }

    pub(super) fn is_mono(&self) -> bool {
        self.words.iter().all(|w| w.is_mono)
    }

    /// What it says, in reading order.
    pub(super) fn text(&self) -> String {
        without_leaders(&text_of(&self.words, self.size))
    }
}

/// The size of most letters.
pub(super) fn main_size<'w>(words: impl Iterator<Item = &'w Word>) -> f64 {
    let mut sizes: Vec<(f64, usize)> = words.filter(|w| w.part.is_none()).map(|w| (w.size, w.text.chars().count())).collect();
    sizes.sort_by(|a, b| a.0.total_cmp(&b.0));
    let half = sizes.iter().map(|s| s.1).sum::<usize>() / 2;
    let mut so_far = 0;
    for (size, count) in sizes {
        so_far += count;
        if so_far > half {
            return size;
        }
    }
    10.0
}

/// What the words of a line say, from left to right, put in reading order.
pub(super) fn text_of(words: &[Word], size: f64) -> String {
    let mut pieces: Vec<(String, bool)> = Vec::new();
    let mut before: Option<&Word> = None;
    let line = words.iter().find(|w| (w.size - size).abs() < 0.2 * size).map_or(0.0, |w| w.y);
    let is_raised = |w: &Word| w.size < 0.85 * size && line - w.y > 0.15 * size;
    for (word, is_stacked) in unstacked(words, is_raised, |w| w.size < 0.85 * size && w.y - line > 0.05 * size) {
        let apart = if is_stacked { !is_exponent(&word.text) } else { before.is_some_and(|b| b.is_apart_from(word)) };
        let raised = is_raised(word);
        let text = match before.filter(|b| raised && !apart && (b.size - size).abs() < 0.2 * size) {
            Some(base) => raised_after(&base.text, &word.text),
            None if is_stacked && !apart => format!("^{}", word.text),
            None => word.text.clone(),
        };
        match pieces.last_mut() {
            Some((last, _)) if !apart => last.push_str(&text),
            _ => pieces.push((text, apart)),
        }
        before = Some(word);
    }
    bidi::reading_order(&pieces)
}

/// The words of a line, from left to right; of those that stand above one another behind the same letter, the lower ones first.
/// The first of the upper ones is marked.
fn unstacked(words: &[Word], is_raised: impl Fn(&Word) -> bool, is_lowered: impl Fn(&Word) -> bool) -> Vec<(&Word, bool)> {
    let mut out = Vec::with_capacity(words.len());
    let mut rest = words;
    while !rest.is_empty() {
        let run = rest.iter().take_while(|w| is_raised(w) || is_lowered(w)).count();
        let (scripts, after) = rest.split_at(run.max(1));
        let (upper, lower): (Vec<&Word>, Vec<&Word>) = scripts.iter().partition(|w| is_raised(w));
        let over = upper.iter().any(|u| lower.iter().any(|l| u.x1.min(l.x1) - u.x0.max(l.x0) > 0.2 * u.size.min(l.size)));
        if over {
            out.extend(lower.into_iter().map(|w| (w, false)));
            out.extend(upper.into_iter().enumerate().map(|(i, w)| (w, i == 0)));
        } else {
            out.extend(scripts.iter().map(|w| (w, false)));
        }
        rest = after;
    }
    out
}

fn is_exponent(raised: &str) -> bool {
    raised.chars().all(|c| c.is_ascii_digit())
}

/// Dots that lead the eye to a number, as three.
fn without_leaders(text: &str) -> String {
    if !text.contains("....") && !text.contains(". . . .") {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('.') {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let after = from.trim_start_matches(['.', ' ', '…']);
        let run = from.get(..from.len() - after.len()).unwrap_or_default();
        if run.matches('.').count() > 3 {
            out.truncate(out.trim_end().len());
            out.push_str(" ... ");
        } else {
            out.push_str(run);
        }
        rest = after;
    }
    out.push_str(rest);
    out.truncate(out.trim_end().len());
    out
}

/// Raised digits keep their meaning: `10^6` is not 106, and the mark of a footnote is no part of the word before it.
fn raised_after(base: &str, raised: &str) -> String {
    let is_mark =
        raised.chars().any(|c| c.is_ascii_digit()) && raised.chars().all(|c| c.is_ascii_digit() || ",–-−*†".contains(c));
    let letters = base.chars().rev().take_while(|c| c.is_alphabetic()).count();
    match base.chars().next_back() {
        Some(c) if is_mark && (c.is_ascii_digit() || c == ')' || (1..3).contains(&letters)) => format!("^{raised}"),
        Some(_) if is_mark => format!(" {raised}"),
        _ => raised.to_owned(),
    }
}

/// The lines of a column, from top to bottom.
pub(super) fn lines(words: Vec<Word>) -> Vec<Line> {
    let mut words = words;
    words.sort_by(|a, b| a.y.total_cmp(&b.y).then(a.x0.total_cmp(&b.x0)));
    let largest = words.iter().filter(|w| w.part.is_none()).map(|w| w.size).fold(0.0, f64::max);
    let hangs_on: Vec<bool> = words
        .iter()
        .map(|word| {
            // Words of a line that may have it as a raised or lowered part: not far below, nor far above.
            let from = words.partition_point(|w| w.y < word.y - 0.5 * largest);
            let near = words.iter().skip(from).take_while(|w| w.y < word.y + 0.8 * largest);
            word.part.is_none() && word.size < 0.85 * largest && near.clone().any(|w| is_base(w, word))
        })
        .collect();
    let mut hangs_on = hangs_on.into_iter();
    let (plain, small): (Vec<Word>, Vec<Word>) = words.into_iter().partition(|_| !hangs_on.next().unwrap_or(false));
    let mut rows: Vec<Vec<Word>> = Vec::new();
    for word in plain {
        let fits = |row: &Vec<Word>| {
            row.last().is_some_and(|last| {
                last.part.is_none() && word.part.is_none() && (word.y - last.y).abs() < 0.3 * word.size.min(last.size)
            })
        };
        match rows.last_mut().filter(|row| fits(row)) {
            Some(row) => row.push(word),
            None => rows.push(vec![word]),
        }
    }
    // Small words are raised or lowered parts of a line, if one is at hand; else lines of their own.
    let mut own: Vec<Word> = Vec::new();
    for word in small {
        let home = rows.iter_mut().filter(|row| row.iter().any(|w| is_base(w, &word))).min_by(|a, b| {
            let far = |row: &Vec<Word>| row.first().map_or(0.0, |w| (w.y - 0.2 * w.size - word.y).abs());
            far(a).total_cmp(&far(b))
        });
        match home {
            Some(row) => row.push(word),
            None => own.push(word),
        }
    }
    rows.extend(own.into_iter().map(|word| vec![word]));
    let mut all: Vec<Line> = rows.into_iter().map(Line::of).collect();
    all.sort_by(|a, b| a.y.total_cmp(&b.y));
    all
}

/// Whether a word may be a raised or lowered part of the line of another one.
fn is_base(base: &Word, word: &Word) -> bool {
    base.part.is_none()
        && word.size < 0.85 * base.size
        && word.y > base.y - 0.75 * base.size
        && word.y < base.y + 0.45 * base.size
        && word.x0 - base.x1 < 0.6 * base.size
        && base.x0 - word.x1 < 0.6 * base.size
}

/// How two lines of a paragraph are put together.
pub(super) fn glue(before: &str, after: &str) -> Glue {
    let (Some(last), Some(first)) = (before.chars().next_back(), after.chars().next()) else { return Glue::Nothing };
    match last {
        '\u{ad}' => Glue::Divided,
        '-' if before.chars().rev().nth(1).is_some_and(char::is_alphanumeric) => {
            let is_small = before.chars().rev().nth(1).is_some_and(char::is_lowercase) && first.is_lowercase();
            if is_small { Glue::Divided } else { Glue::Nothing }
        }
        _ if letters::is_cjk(last) && letters::is_cjk(first) => Glue::Nothing,
        _ => Glue::Blank,
    }
}

/// See [`glue`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Glue {
    /// With a blank.
    Blank,
    /// As they are.
    Nothing,
    /// The first ends with a hyphen, which may stand for the division alone.
    Divided,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaders_are_short() {
        assert_eq!(without_leaders("Contents ........ 7"), "Contents ... 7");
        assert_eq!(without_leaders("1.2 Scope . . . . . . 12"), "1.2 Scope ... 12");
        assert_eq!(without_leaders("wait... what"), "wait... what");
    }

    #[test]
    fn raised_digits_stay_what_they_are() {
        for (base, raised, want) in
            [("10", "6", "^6"), ("km", "2", "^2"), ("pier", "1", " 1"), ("10", "th", "th"), ("word.", "12", " 12")]
        {
            assert_eq!(raised_after(base, raised), want, "{base} {raised}");
        }
    }

    #[test]
    fn lines_are_put_together_by_their_ends() {
        for (before, after, want) in [
            ("the rota-", "tion", Glue::Divided),
            ("Jean-", "Paul", Glue::Nothing),
            ("2019-", "2020", Glue::Nothing),
            ("a word", "and more", Glue::Blank),
            ("汉字", "汉字", Glue::Nothing),
            ("汉字", "word", Glue::Blank),
            ("soft\u{ad}", "ly", Glue::Divided),
            ("a list -", "item", Glue::Blank),
        ] {
            assert_eq!(glue(before, after), want, "{before} {after}");
        }
    }
}
