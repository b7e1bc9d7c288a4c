//! Paragraphs, items of lists, code and tables, from the lines of one part of a page.

use super::bidi;
use super::lines::Line;
use super::tables::Found;

/// A line as far as it matters once it is read.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) text: String,
    pub(super) size: f64,
    pub(super) is_bold: bool,
    /// The line it stands on, from the top of the page.
    pub(super) y: f64,
}

/// What a block is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Content {
    /// Lines that belong together.
    Paragraph,
    /// Lines in a font of one width, with their blanks.
    Code,
    /// A table, in Markdown.
    Table(String),
}

/// Lines that belong together.
#[derive(Debug, Clone)]
pub(super) struct Block {
    pub(super) content: Content,
    pub(super) rows: Vec<Row>,
    /// Not text of the page's main direction.
    pub(super) is_turned: bool,
    /// A footnote.
    pub(super) is_note: bool,
    /// The table that it was before it was Markdown, if rules show one.
    pub(super) ruled: Option<Box<Found>>,
}

impl Block {
    pub(super) fn size(&self) -> f64 {
        self.rows.first().map_or(0.0, |r| r.size)
    }

    pub(super) fn is_bold(&self) -> bool {
        !self.rows.is_empty() && self.rows.iter().all(|r| r.is_bold)
    }

    pub(super) fn table(markdown: String, y: f64) -> Self {
        let row = Row { text: String::new(), size: 0.0, is_bold: false, y };
        Self { content: Content::Table(markdown), rows: vec![row], is_turned: false, is_note: false, ruled: None }
    }
}

/// How far lines stand from one another, in sizes of their letters, that belong together: the distance that is most frequent.
pub(super) fn spacing<'l>(parts: impl Iterator<Item = &'l [Line]>) -> f64 {
    let mut all: Vec<i64> = Vec::new();
    for lines in parts {
        all.extend(distances(lines).map(|d| (d * 20.0).round() as i64));
    }
    mode(all).map_or(1.2, |d| d as f64 / 20.0)
}

fn distances(lines: &[Line]) -> impl Iterator<Item = f64> {
    lines.iter().zip(lines.iter().skip(1)).filter_map(|(a, b)| {
        let alike = a.part().is_none() && b.part().is_none() && (a.size - b.size).abs() < 0.1 * a.size;
        let distance = (b.y - a.y) / a.size.max(0.1);
        (alike && distance > 0.5 && distance < 4.0).then_some(distance)
    })
}

/// The value that is most frequent, give or take one; of several the least.
fn mode(mut all: Vec<i64>) -> Option<i64> {
    all.sort_unstable();
    let near = |v: i64| all.iter().filter(|&&o| (o - v).abs() <= 1).count();
    let mut best: Option<(usize, i64)> = None;
    let mut last = None;
    for &value in &all {
        if last == Some(value) {
            continue;
        }
        last = Some(value);
        let count = near(value);
        if best.is_none_or(|(most, _)| count > most) {
            best = Some((count, value));
        }
    }
    best.map(|(_, value)| value)
}

/// The blocks of a part of a page. `usual`: see [`spacing`], of the whole page. `tables`: the parts that were read before.
pub(super) fn blocks(lines: Vec<Line>, usual: f64, body: f64, tables: &[Found]) -> Vec<Block> {
    let own: Vec<i64> = distances(&lines).map(|d| (d * 20.0).round() as i64).collect();
    // Of many lines their own distance, unless it is the one between paragraphs of a line each.
    let spacing = if own.len() >= 6 { mode(own).map_or(usual, |d| d as f64 / 20.0) } else { usual };
    let margins = Margins::of(&lines);
    let mut out: Vec<Block> = Vec::new();
    let mut open: Vec<Line> = Vec::new();
    for line in lines {
        if let Some(part) = line.part() {
            close(&mut open, &margins, &mut out);
            if let Some(found) = tables.get(part) {
                let ruled = Some(Box::new(found.clone()));
                out.push(Block { ruled, ..Block::table(found.table.to_markdown(), line.y) });
            }
            continue;
        }
        if open.last().is_some_and(|last| margins.parts(&open, last, &line, spacing, body)) {
            close(&mut open, &margins, &mut out);
        }
        open.push(line);
    }
    close(&mut open, &margins, &mut out);
    out
}

fn close(open: &mut Vec<Line>, margins: &Margins, out: &mut Vec<Block>) {
    let lines = std::mem::take(open);
    if lines.is_empty() {
        return;
    }
    let is_code = lines.iter().all(Line::is_mono);
    let rows: Vec<Row> = lines
        .iter()
        .map(|line| Row {
            text: if is_code { spaced(line, margins.left) } else { line.text() },
            size: line.size,
            is_bold: line.is_bold(),
            y: line.y,
        })
        .collect();
    let content = if is_code { Content::Code } else { Content::Paragraph };
    // Code goes on after a line without any.
    if is_code
        && let Some(last) = out.last_mut()
        && last.content == Content::Code
        && let (Some(before), Some(after)) = (last.rows.last(), rows.first())
    {
        let gap = (after.y - before.y) / after.size.max(0.1);
        if (0.0..4.0).contains(&gap) {
            if gap > 1.8 {
                let blank = Row { text: String::new(), ..after.clone() };
                last.rows.push(blank);
            }
            last.rows.extend(rows);
            return;
        }
    }
    out.push(Block { content, rows, is_turned: false, is_note: false, ruled: None });
}

/// A line of code: blanks as wide as they are on the page.
fn spaced(line: &Line, left: f64) -> String {
    let letters: usize = line.words.iter().map(|w| w.text.chars().count()).sum();
    let width = line.words.iter().map(|w| w.x1 - w.x0).sum::<f64>() / letters.max(1) as f64;
    if width <= 0.0 {
        return line.text();
    }
    let mut out = String::new();
    let mut column = 0usize;
    let mut before: Option<&super::words::Word> = None;
    for word in &line.words {
        let at = (((word.x0 - left) / width).round().max(0.0) as usize).min(400);
        if at > column {
            out.extend(std::iter::repeat_n(' ', at - column));
            column = at;
        } else if before.replace(word).is_some_and(|b| b.is_apart_from(word)) {
            // Said to be of one width, and is not.
            out.push(' ');
            column += 1;
        }
        before = Some(word);
        out.push_str(&word.text);
        column += word.text.chars().count();
    }
    out
}

/// Where the lines of a part begin and end.
struct Margins {
    left: f64,
    right: f64,
    /// More lines begin to the right of the margin than at it: the first line of a paragraph hangs out.
    hangs: bool,
    is_rtl: bool,
}

impl Margins {
    fn of(lines: &[Line]) -> Self {
        let plain = || lines.iter().filter(|l| l.part().is_none());
        let left = plain().map(|l| l.x0).fold(f64::INFINITY, f64::min);
        let right = plain().map(|l| l.x1).fold(f64::NEG_INFINITY, f64::max);
        let is_rtl = plain().filter(|l| l.words.iter().any(|w| bidi::has_right_to_left(&w.text))).count() * 2 > plain().count();
        let mut margins = Self { left, right, hangs: false, is_rtl };
        let indented = plain().filter(|l| margins.ends(l).0 > 0.7 * l.size).count();
        margins.hangs = indented * 2 > plain().count();
        margins
    }

    /// How far a line begins and ends from the margins, in reading direction.
    fn ends(&self, line: &Line) -> (f64, f64) {
        let (left, right) = (line.x0 - self.left, self.right - line.x1);
        if self.is_rtl { (right, left) } else { (left, right) }
    }

    /// Whether a new block begins with `next`.
    fn parts(&self, open: &[Line], last: &Line, next: &Line, spacing: f64, body: f64) -> bool {
        let size = last.size.max(next.size);
        let distance = next.y - last.y;
        if last.is_mono() != next.is_mono() {
            return true;
        }
        if distance < 0.2 * size || (last.size - next.size).abs() > 0.13 * size {
            return true;
        }
        // A heading of several lines is one; those of the same size below one another, too.
        let is_heading = size > 1.15 * body;
        if is_heading {
            return distance > 1.75 * size;
        }
        if distance > (spacing * 1.22).max(spacing + 0.12) * size {
            return true;
        }
        if last.is_mono() {
            return false;
        }
        let text = next.text();
        let before = last.text();
        // An entry of the contents.
        if before.contains(" ... ") && before.ends_with(|c: char| c.is_alphanumeric()) {
            return true;
        }
        if last.is_bold() != next.is_bold() && !before.ends_with('-') && open.iter().all(Line::is_bold) != next.is_bold() {
            return true;
        }
        if is_item(&text) {
            return true;
        }
        let ended = before.ends_with(['.', '!', '?', ':', '。', '！', '？', '：', '…', ';']);
        let (begins, _) = self.ends(next);
        let (began, left) = self.ends(last);
        // The first word of the next line would have had room.
        let first = next.words.first().map_or(0.0, |w| w.x1 - w.x0);
        let had_room = left > first + 0.8 * size;
        let starts = text.chars().next().is_some_and(|c| c.is_uppercase() || c.is_numeric() || "([\"“«".contains(c))
            || text.chars().next().is_some_and(|c| c.is_alphabetic() && !c.is_lowercase() && !c.is_uppercase());
        if had_room && (ended || (starts && left > 0.15 * (self.right - self.left))) {
            return true;
        }
        if is_numbered(&text) && (ended || had_room) {
            return true;
        }
        let step = begins - began;
        if step > 0.7 * size && step < 5.0 * size {
            // In, after a line that was not: the first line of a paragraph, unless the first ones hang out.
            let is_hanging = self.hangs || open.first().is_some_and(|l| is_item(&l.text()) || is_numbered(&l.text()));
            return !is_hanging && (open.len() >= 2 || ended);
        }
        // Out, after lines that were in: the next one of those that hang out.
        step < -0.7 * size && open.len() >= 2 && (self.hangs || ended)
    }
}

const BULLETS: &str = "•◦▪‣○■□►➢➤✓❖⁃∙●";

/// Whether a line begins with a bullet.
pub(super) fn is_item(text: &str) -> bool {
    let mut letters = text.chars();
    match letters.next() {
        Some(c) if BULLETS.contains(c) => true,
        Some('–' | '—' | '-' | '·' | '*') => letters.next() == Some(' '),
        _ => false,
    }
}

/// What follows the bullet of an item.
pub(super) fn after_bullet(text: &str) -> &str {
    let mut letters = text.chars();
    letters.next();
    letters.as_str().trim_start()
}

/// Whether a line begins with the number of an item: `1.`, `(a)`, `[12]`, `2.3`.
pub(super) fn is_numbered(text: &str) -> bool {
    let Some((first, rest)) = text.split_once(' ') else { return false };
    if rest.is_empty() || first.chars().count() > 8 {
        return false;
    }
    let bare = first.trim_start_matches(['(', '[']).trim_end_matches(['.', ')', ']', ':']);
    let framed = bare.len() < first.len();
    let is_number = !bare.is_empty() && bare.chars().all(|c| c.is_ascii_digit() || c == '.');
    let is_letter = bare.chars().count() == 1 && bare.chars().all(|c| c.is_ascii_alphabetic());
    framed && (is_number || is_letter || bare.chars().all(|c| "ivxIVX".contains(c)) && !bare.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_and_numbers() {
        for (text, item, numbered) in [
            ("• one", true, false),
            ("- one", true, false),
            ("-one", false, false),
            ("1. one", false, true),
            ("(a) one", false, true),
            ("[12] Author", false, true),
            ("iv) four", false, true),
            ("2026 was", false, false),
            ("I. The", false, true),
            ("one", false, false),
        ] {
            assert_eq!((is_item(text), is_numbered(text)), (item, numbered), "{text}");
        }
        assert_eq!(after_bullet("•  one"), "one");
    }

    #[test]
    fn the_usual_distance_is_the_most_frequent() {
        assert_eq!(mode(vec![24, 24, 25, 40, 24, 40]), Some(24));
        assert_eq!(mode(vec![]), None);
    }
}
