//! The document's text, in Markdown, from the blocks of all its pages.

use std::collections::HashMap;

use super::Sheet;
use super::blocks::{self, Block, Content, Row};
use super::lines::{self, Glue};
use super::outline::Entry;

/// Letters of a heading, at most.
const HEADING: usize = 200;
/// Levels of headings that are told by their size.
const LEVELS: usize = 4;

/// A document's text, and where each page begins in it.
pub(super) struct Written {
    pub(super) text: String,
    /// A byte offset for each page, none for a page without text.
    pub(super) pages: Vec<Option<usize>>,
}

/// Writes the pages, one after another; a paragraph that goes on on the next page is one.
pub(super) fn write(sheets: &[Sheet], outline: &[Entry]) -> Written {
    let words = Words::of(sheets);
    let sizes = Sizes::of(sheets, outline);
    let mut out = Writer { text: String::new(), open: None, held: Vec::new() };
    let mut pages = Vec::new();
    for sheet in sheets {
        let mut begins = None;
        for block in &sheet.blocks {
            let heading = sizes.level(block, sheet.number);
            let at = out.block(block, heading, &words, sizes.is_mono);
            begins = begins.or(at);
        }
        pages.push(begins);
    }
    out.finish();
    Written { text: out.text, pages }
}

struct Writer {
    text: String,
    /// The size of the letters of the last paragraph, if it may go on.
    open: Option<f64>,
    /// Footnotes of a page whose last paragraph may go on on the next.
    held: Vec<String>,
}

impl Writer {
    fn block(&mut self, block: &Block, heading: Option<usize>, words: &Words, all_mono: bool) -> Option<usize> {
        match &block.content {
            Content::Table(markdown) => self.put(markdown),
            Content::Code => {
                let lines: Vec<&str> = block.rows.iter().map(|r| r.text.trim_end()).collect();
                // A document that was typed has no code: its lines are kept.
                if all_mono {
                    let text: Vec<&str> = lines.iter().map(|l| l.trim_start()).collect();
                    return self.put(&text.join("\n"));
                }
                if lines.len() == 1 {
                    return self.put(&format!("`{}`", lines.concat().trim().replace('`', "'")));
                }
                let fence = if lines.iter().any(|l| l.trim_start().starts_with("```")) { "~~~~" } else { "```" };
                self.put(&format!("{fence}\n{}\n{fence}", lines.join("\n")))
            }
            Content::Paragraph => {
                let text = join(&block.rows, words);
                if text.is_empty() {
                    return None;
                }
                if let Some(level) = heading {
                    return self.put(&format!("{} {text}", "#".repeat(level)));
                }
                if block.is_note && self.may_go_on() {
                    self.held.push(plain(&text));
                    return None;
                }
                if block.is_turned || block.is_note {
                    return self.put(&plain(&text));
                }
                if self.goes_on(block, &text) {
                    let begins = self.join(&text, words);
                    return Some(begins);
                }
                let begins = self.put(&plain(&text));
                self.open = Some(block.size());
                begins
            }
        }
    }

    /// Whether a paragraph is the rest of the last one, which a column or a page has cut.
    fn goes_on(&self, block: &Block, text: &str) -> bool {
        let begins_small = text.chars().next().is_some_and(char::is_lowercase);
        let alike = self.open.is_some_and(|size| (block.size() - size).abs() < 0.1 * size);
        alike && begins_small && self.may_go_on() && !blocks::is_item(text)
    }

    /// Whether what was written last is a paragraph without an end.
    fn may_go_on(&self) -> bool {
        self.open.is_some() && !self.text.ends_with(['.', '!', '?', ':', ';', '。', '！', '？', '：', '|', '`'])
    }

    fn join(&mut self, more: &str, words: &Words) -> usize {
        let glue = words.glue(&self.text, more);
        match glue {
            Glue::Blank => self.text.push(' '),
            Glue::Divided => {
                self.text.pop();
            }
            Glue::Nothing => {}
        }
        let begins = self.text.len();
        self.text.push_str(more);
        begins
    }

    fn put(&mut self, text: &str) -> Option<usize> {
        if text.trim().is_empty() {
            return None;
        }
        self.open = None;
        for note in std::mem::take(&mut self.held) {
            self.put(&note);
        }
        if !self.text.is_empty() {
            let both_items = text.starts_with("- ") && self.text.rsplit('\n').next().is_some_and(|l| l.starts_with("- "));
            let both_entries = is_entry(text) && self.text.rsplit('\n').next().is_some_and(is_entry);
            self.text.push_str(if both_items || both_entries { "\n" } else { "\n\n" });
        }
        let begins = self.text.len();
        self.text.push_str(text);
        Some(begins)
    }

    fn finish(&mut self) {
        for note in std::mem::take(&mut self.held) {
            self.put(&note);
        }
    }
}

/// A line of a table of contents.
fn is_entry(line: &str) -> bool {
    line.contains(" ... ") && line.ends_with(|c: char| c.is_alphanumeric())
}

/// The lines of a paragraph as one.
fn join(rows: &[Row], words: &Words) -> String {
    let mut out = String::new();
    for row in rows {
        match words.glue(&out, &row.text) {
            Glue::Blank => out.push(' '),
            Glue::Divided => {
                out.pop();
            }
            Glue::Nothing => {}
        }
        out.push_str(&row.text);
    }
    out
}

/// A paragraph that Markdown reads as one: a bullet makes it an item, what would make it something else is escaped.
fn plain(text: &str) -> String {
    if blocks::is_item(text) && !text.starts_with('*') {
        let rest = blocks::after_bullet(text);
        return if rest.is_empty() { String::new() } else { format!("- {rest}") };
    }
    let marks = text.len() - text.trim_start_matches('#').len();
    let misread = (1..=6).contains(&marks) && text.get(marks..).is_some_and(|rest| rest.starts_with(' ') || rest.is_empty())
        || text.starts_with("```")
        || text.starts_with("~~~")
        || text.starts_with("> ");
    if misread { format!("\\{text}") } else { text.to_owned() }
}

/// The words of the document, to tell the hyphens of words from those that only divide them.
struct Words(HashMap<String, u32>);

impl Words {
    fn of(sheets: &[Sheet]) -> Self {
        let mut words = HashMap::new();
        for row in sheets.iter().flat_map(|s| &s.blocks).flat_map(|b| &b.rows) {
            for word in row.text.split(|c: char| !c.is_alphanumeric() && c != '-' && c != '\'').filter(|w| w.len() > 3) {
                if !word.ends_with('-') {
                    *words.entry(word.to_lowercase()).or_default() += 1;
                }
            }
        }
        Self(words)
    }

    fn count(&self, word: &str) -> u32 {
        self.0.get(&word.to_lowercase()).copied().unwrap_or(0)
    }

    /// How two lines are put together: a hyphen at the end of the first stays where the document writes the word with it.
    fn glue(&self, before: &str, after: &str) -> Glue {
        let glue = lines::glue(before, after);
        if glue != Glue::Divided || before.ends_with('\u{ad}') {
            return glue;
        }
        let part = |c: char| c.is_alphanumeric() || c == '-' || c == '\'';
        let tail = |s: &str| -> String {
            let mut letters: Vec<char> = s.chars().rev().take_while(|&c| part(c)).collect();
            letters.reverse();
            letters.into_iter().collect()
        };
        let left = tail(before.strip_suffix('-').unwrap_or(before));
        let right: String = after.chars().take_while(|&c| part(c)).collect();
        let joined = self.count(&format!("{left}{right}"));
        let hyphened = self.count(&format!("{left}-{right}"));
        // "pre- and postfix"
        let is_pair =
            ["and", "or", "to", "und", "oder", "bis", "et", "ou", "y", "o", "e", "en", "of"].contains(&right.as_str());
        if is_pair && joined == 0 {
            return Glue::Blank;
        }
        let keeps = match hyphened.cmp(&joined) {
            std::cmp::Ordering::Greater => true,
            std::cmp::Ordering::Less => false,
            // Unheard of either way. "state-of-" was cut where it had one; so are words that are most often the first part of
            // one, before a word of its own.
            std::cmp::Ordering::Equal => {
                left.contains('-')
                    || (FIRST_PARTS.contains(&left.to_lowercase().as_str()) && self.count(&right) > 0)
                    || (self.count(&left) > 0 && self.count(&right) > 0 && left.len() > 3 && right.len() > 3 && joined == 0)
            }
        };
        if keeps { Glue::Nothing } else { Glue::Divided }
    }
}

const FIRST_PARTS: [&str; 24] = [
    "well", "self", "non", "all", "half", "high", "low", "long", "short", "full", "real", "open", "large", "small", "multi",
    "semi", "two", "three", "four", "cross", "so", "ex", "end", "run",
];

/// What sizes of letters mean in this document.
struct Sizes {
    body: f64,
    /// Larger ones, from the largest.
    larger: Vec<f64>,
    body_is_bold: bool,
    /// Typed throughout.
    is_mono: bool,
    /// Headings by the outline: what they say, without blanks, with their level and page.
    outline: HashMap<String, Vec<(usize, Option<usize>)>>,
}

/// The size in which most letters of a document are set.
pub(super) fn body_size(sheets: &[Sheet]) -> f64 {
    let mut counts: HashMap<i64, usize> = HashMap::new();
    for row in sheets.iter().flat_map(|s| &s.blocks).filter(|b| !b.is_turned).flat_map(|b| &b.rows) {
        *counts.entry((row.size * 5.0).round() as i64).or_default() += row.text.chars().count();
    }
    counts.into_iter().max_by_key(|&(size, count)| (count, size)).map_or(10.0, |(size, _)| size as f64 / 5.0)
}

impl Sizes {
    fn of(sheets: &[Sheet], outline: &[Entry]) -> Self {
        let body = body_size(sheets);
        let rows = || sheets.iter().flat_map(|s| &s.blocks).flat_map(|b| b.rows.iter().map(move |r| (b, r)));
        let count = |f: &dyn Fn(&Block, &Row) -> bool| {
            rows().filter(|(b, r)| f(b, r)).map(|(_, r)| r.text.chars().count()).sum::<usize>()
        };
        let all = count(&|_, _| true).max(1);
        let of_body = count(&|_, r| (r.size - body).abs() < 0.05 * body).max(1);
        let bold = count(&|_, r| r.is_bold && (r.size - body).abs() < 0.05 * body);
        let mono = count(&|b, _| b.content == Content::Code);
        let mut larger: Vec<f64> = Vec::new();
        for block in sheets.iter().flat_map(|s| &s.blocks) {
            if block.size() > 1.12 * body && could_head(block) && !larger.iter().any(|s| (s - block.size()).abs() < 0.06 * s) {
                larger.push(block.size());
            }
        }
        larger.sort_by(|a, b| b.total_cmp(a));
        let mut by_text: HashMap<String, Vec<(usize, Option<usize>)>> = HashMap::new();
        for entry in outline {
            by_text.entry(bare(&entry.title)).or_default().push((entry.level, entry.page));
        }
        Self { body, larger, body_is_bold: bold * 2 > of_body, is_mono: mono * 10 > all * 6, outline: by_text }
    }

    /// The level of a heading; `None`: no heading.
    fn level(&self, block: &Block, page: usize) -> Option<usize> {
        if !could_head(block) {
            return None;
        }
        let text: String = block.rows.iter().map(|r| r.text.as_str()).collect::<Vec<_>>().join(" ");
        if let Some(entries) = self.outline.get(&bare(&text)) {
            let here = entries.iter().find(|(_, of)| of.is_none_or(|p| p == page));
            if let Some(&(level, _)) = here {
                return Some(level);
            }
        }
        let size = block.size();
        let rank = self.larger.iter().position(|s| (s - size).abs() < 0.06 * s);
        // A paragraph in larger letters.
        let is_sentence =
            size < 1.5 * self.body && text.ends_with(['。', '.', ';', '；', '，', ',']) && text.chars().count() > 25;
        if let Some(rank) = rank.filter(|_| size > 1.12 * self.body && !is_sentence) {
            return Some((rank + 1).min(LEVELS));
        }
        let stands_out = block.is_bold() && !self.body_is_bold && size > 0.93 * self.body;
        let reads_so =
            !text.ends_with(['.', ',', ';', ':', '。', '，']) && text.chars().count() <= 100 && block.rows.len() <= 2;
        (stands_out && reads_so).then(|| (self.larger.len() + 1).min(LEVELS))
    }
}

fn could_head(block: &Block) -> bool {
    let letters: usize = block.rows.iter().map(|r| r.text.chars().count()).sum();
    let has_words = block.rows.iter().any(|r| r.text.chars().filter(|c| c.is_alphabetic()).count() >= 2);
    let is_item = block.rows.iter().any(|r| blocks::is_item(&r.text) || is_entry(&r.text));
    block.content == Content::Paragraph
        && !block.is_turned
        && block.rows.len() <= 4
        && letters <= HEADING
        && has_words
        && !is_item
}

/// What a heading says, without its number, blanks and signs: outlines write them in other ways.
fn bare(text: &str) -> String {
    let words: String = text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    words.trim_start_matches(|c: char| c.is_ascii_digit()).to_owned()
}
