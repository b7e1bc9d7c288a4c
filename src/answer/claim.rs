//! Which sentences a citation stands for, while the answer streams.
//!
//! Text passes at once; a mark waits until its claim is known. At the end of its sentence ("… days \[2\].", "… days. \[2\]") that is so
//! with the character that follows; in its midst ("According to \[2\], …") when the sentence ends or the next mark comes, or after
//! [`MOST_HELD`] bytes. Marks in a row share a claim. An item, a row, a heading and a line with a mark are sentences; other lines are parts
//! of one, as in Markdown.
//!
//! Marks behind the last sentence of a line stand for those before it, too, which have none of their own: "It weighs 12 kg. It is red.
//! \[1\]". Marks that are a line of their own stand for the paragraph, list or table above them. What follows a mark is not its claim:
//! the items below "The source says \[1\]:" are not checked.

use std::mem::take;
use std::ops::Range;

use super::cite::Piece;
use super::proof::function::is_abbreviation;
use super::proof::lex::is_han;

/// Bytes that may wait behind a mark.
const MOST_HELD: usize = 400;
/// Bytes of a sentence that are remembered.
const MOST_REMEMBERED: usize = 4000;
/// Sentences before the last one that marks stand for, and their bytes.
const MOST_BEFORE: usize = 24;
const MOST_BEFORE_BYTES: usize = 8000;
/// Letters before a mark from which on they are its claim rather than an introduction to it.
const LEAST_SAID: usize = 24;

/// What is claimed, and of which sources.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The sentence, without its marks.
    pub text: String,
    /// The part of it that the marks stand for, in bytes.
    pub part: Range<usize>,
    /// The numbers in the marks.
    pub sources: Vec<usize>,
}

/// A part of the answer, in its order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// It may be shown.
    Piece(Piece),
    /// Marks in a row, with what stands between them: they may be shown when the claims have been checked. The last is that of their own
    /// sentence.
    Marks(Vec<Claim>, Vec<Piece>),
}

/// Reads an answer's pieces.
#[derive(Debug, Default)]
#[allow(clippy::struct_excessive_bools, reason = "each is one thing that the characters before have decided")]
pub struct Claims {
    /// The sentence so far, without marks.
    sentence: String,
    /// Where what belongs to the next mark begins in it.
    from: usize,
    /// It has ended; only white space and closing marks have come since.
    ended: bool,
    /// It ends here if a blank follows.
    point: bool,
    /// A line has ended in it: it goes on with the next one, unless that begins something else.
    broken: bool,
    /// Within `"`, which look the same on either side.
    quoted: bool,
    /// Nothing but white space has come in this line.
    blank: bool,
    /// A blank line has come since the sentence.
    apart: bool,
    /// A mark has come in the sentence or behind it.
    marked: bool,
    before: Before,
    held: Option<Held>,
}

/// Sentences of a paragraph, list or table that have ended without a mark.
#[derive(Debug, Default)]
struct Before {
    sentences: Vec<String>,
    /// Where those of the item or row that goes on begin.
    item: usize,
}

impl Before {
    fn clear(&mut self) {
        *self = Self::default();
    }

    fn push(&mut self, sentence: &str) {
        let sentence = sentence.trim();
        if sentence.chars().all(|c| matches!(c, '|' | '-' | ':' | ' ')) {
            // Below the names of a table's columns, which are no claims.
            if sentence.starts_with('|') {
                self.sentences.pop();
            }
        } else if sentence.starts_with('#') || sentence.ends_with([':', '：']) {
            // Neither is a heading, or what announces the lines that follow.
            self.clear();
        } else {
            self.sentences.push(sentence.to_owned());
        }
        let bytes = |sentences: &[String]| sentences.iter().map(String::len).sum::<usize>();
        while self.sentences.len() > MOST_BEFORE || bytes(&self.sentences) > MOST_BEFORE_BYTES {
            self.sentences.remove(0);
            self.item = self.item.saturating_sub(1);
        }
        self.item = self.item.min(self.sentences.len());
    }
}

/// Marks whose claim is not known yet.
#[derive(Debug)]
struct Held {
    marks: Vec<Piece>,
    sources: Vec<usize>,
    /// The end of the sentence so far, when they came.
    at: usize,
    /// They came after the sentence's end.
    after_end: bool,
    /// They begin their line.
    begins_line: bool,
    /// The text that came since.
    text: String,
}

impl Claims {
    /// Reads on. What comes back is all that is certain now.
    pub fn push(&mut self, piece: Piece) -> Vec<Part> {
        let mut parts = Vec::new();
        match piece {
            Piece::Text(text) => {
                for c in text.chars() {
                    self.read(c, &mut parts);
                }
            }
            Piece::Citation { ref numbers, .. } if numbers.is_empty() && self.held.is_none() => parts.push(Part::Piece(piece)),
            Piece::Citation { ref numbers, .. } => {
                let joined = self.held.as_ref().is_some_and(|held| held.text.chars().all(joins));
                if !joined {
                    self.judge(false, false, &mut parts);
                }
                let (at, after_end, begins_line) = (self.sentence.len(), self.ended, self.blank);
                self.marked = true;
                self.blank = false;
                let held = self.held.get_or_insert_with(|| Held {
                    marks: Vec::new(),
                    sources: Vec::new(),
                    at,
                    after_end,
                    begins_line,
                    text: String::new(),
                });
                let between = take(&mut held.text);
                if !between.is_empty() {
                    held.marks.push(Piece::Text(between));
                }
                held.sources.extend(numbers.iter().filter(|n| !held.sources.contains(n)).copied().collect::<Vec<_>>());
                held.marks.push(piece);
            }
        }
        parts
    }

    /// The answer has ended.
    pub fn finish(&mut self) -> Vec<Part> {
        let mut parts = Vec::new();
        self.judge(true, true, &mut parts);
        parts
    }

    fn read(&mut self, c: char, parts: &mut Vec<Part>) {
        // Marks after the end of their sentence wait for no more than the next one.
        if self.held.as_ref().is_some_and(|held| held.after_end) && (c == '\n' || !joins(c)) {
            self.judge(true, c == '\n', parts);
        }
        let was_ended = self.ended;
        self.feed(c);
        let Some(held) = &mut self.held else {
            append(parts, c);
            return;
        };
        held.text.push(c);
        let at_once = matches!(c, '.' | '!' | '?') && held.text.trim_start().len() == c.len_utf8();
        if at_once || self.ended && !was_ended || held.text.len() >= MOST_HELD {
            self.ended |= at_once;
            self.judge(true, false, parts);
        }
    }

    /// Follows the sentence.
    fn feed(&mut self, c: char) {
        if self.point && c.is_whitespace() {
            self.ended = true;
        }
        // "It is sold.\" [1]": the quotation mark belongs to what it closes.
        self.point &= is_closing(c);
        if self.broken && !matches!(c, ' ' | '\t') {
            self.broken = false;
            self.ended |= begins_a_block(c);
        }
        let opens = self.opens(c);
        if self.ended && !c.is_whitespace() && (opens || !is_closing(c)) {
            self.begin(c);
        }
        self.apart |= c == '\n' && self.blank;
        self.blank = c == '\n' || self.blank && c.is_whitespace();
        self.quoted &= c != '\n';
        match c {
            '\n' if self.sentence.trim().is_empty() => {}
            '\n' if self.held.is_some() || ends_with_its_line(&self.sentence) => self.ended = true,
            '\n' => self.broken = !self.ended,
            '"' => self.quoted = opens,
            '。' | '！' | '？' | '!' | '?' => self.ended = true,
            '.' => self.point = !abbreviates(&self.sentence),
            _ => {}
        }
        // A sentence of that length is none: what matters stands before the mark.
        if self.sentence.len() > MOST_REMEMBERED {
            let cut = self.sentence.ceil_char_boundary(MOST_REMEMBERED / 2);
            if self.held.as_ref().is_none_or(|held| held.at >= cut) {
                self.sentence.drain(..cut);
                self.from = self.from.saturating_sub(cut);
                if let Some(held) = &mut self.held {
                    held.at -= cut;
                }
            }
        }
        self.sentence.push(c);
    }

    /// A sentence begins with this character: the last one is one of those before it, unless it has a mark.
    fn begin(&mut self, c: char) {
        if take(&mut self.marked) || take(&mut self.apart) {
            self.before.clear();
        } else {
            self.before.push(&self.sentence);
        }
        self.apart = false;
        if self.blank && begins_a_block(c) {
            self.before.item = self.before.sentences.len();
        }
        self.sentence.clear();
        (self.from, self.ended) = (0, false);
    }

    /// A quotation mark that looks the same on either side begins a quotation here.
    fn opens(&self, c: char) -> bool {
        let apart = self.sentence.is_empty() || self.sentence.ends_with(char::is_whitespace);
        match c {
            '"' => apart || !self.quoted,
            '\'' => apart,
            _ => false,
        }
    }

    /// The claim of the marks that are held is known: their sentence is over, or another mark has come. `last`: nothing follows in their
    /// line.
    fn judge(&mut self, over: bool, last: bool, parts: &mut Vec<Part>) {
        let Some(Held { marks, sources, at, after_end, begins_line, text }) = self.held.take() else { return };
        let before = self.sentence.get(self.from..at).unwrap_or_default();
        // A Chinese character says as much as about three letters do.
        let said = before.chars().map(|c| if is_han(c) { 3 } else { usize::from(c.is_alphanumeric()) });
        // A short clause with a number claims something already: "Alder opened in 1931 [1] and Birch in 1958 [2]."
        let little = said.sum::<usize>() < LEAST_SAID && !before.contains(|c: char| c.is_numeric());
        let part = match (over, little || introduces(before)) {
            (false, false) => self.from..at,
            // What begins after the last comma, or with the last "and", is the next mark's.
            (false, true) => self.from..at + last_clause(self.sentence.get(at..).unwrap_or_default()),
            _ if before.trim().is_empty() && text.trim().is_empty() => 0..self.sentence.len(),
            (true, _) => self.from..self.sentence.len(),
        };
        self.from = if over { self.sentence.len() } else { part.end };
        let before = match (after_end && last, begins_line) {
            (false, _) => &[][..],
            (true, false) => self.before.sentences.get(self.before.item..).unwrap_or_default(),
            (true, true) => &self.before.sentences,
        };
        let whole = |text: &String| Claim { text: text.clone(), part: 0..text.len(), sources: sources.clone() };
        let mut claims: Vec<Claim> = before.iter().map(whole).collect();
        claims.push(Claim { text: self.sentence.clone(), part, sources });
        parts.push(Part::Marks(claims, marks));
        if !text.is_empty() {
            parts.push(Part::Piece(Piece::Text(text)));
        }
    }
}

fn append(parts: &mut Vec<Part>, c: char) {
    match parts.last_mut() {
        Some(Part::Piece(Piece::Text(text))) => text.push(c),
        _ => parts.push(Part::Piece(Piece::Text(c.into()))),
    }
}

/// What may stand between marks in a row.
fn joins(c: char) -> bool {
    c == ' ' || matches!(c, ',' | '，' | '、' | ';' | '；')
}

fn is_closing(c: char) -> bool {
    matches!(c, ')' | '）' | ']' | '"' | '”' | '’' | '\'' | '」' | '』' | '》' | '*' | '_' | '。' | '.')
}

/// What a line begins with that goes on with no sentence of the line before: a blank line, an item, a row, a heading, a quote, a fence.
fn begins_a_block(c: char) -> bool {
    c.is_ascii_digit() || matches!(c, '\n' | '-' | '*' | '+' | '•' | '|' | '#' | '>' | '`')
}

/// Whether the sentence ends with its last line: a heading, a row, or what announces the lines that follow.
fn ends_with_its_line(sentence: &str) -> bool {
    let line = sentence.rsplit('\n').next().unwrap_or(sentence).trim();
    line.starts_with(['#', '|']) || line.ends_with([':', '：', '|'])
}

/// Where the last clause of the text begins; at its end, where it is one clause.
fn last_clause(text: &str) -> usize {
    let (pauses, joining) = ([',', ';', '，', '；', '、'], [" and ", " or ", " but ", " while ", "和", "与", "而", "但"]);
    let joined = joining.iter().filter_map(|word| text.rfind(word)).max();
    let paused = text.trim_end().rfind(pauses);
    joined.max(paused).unwrap_or(text.len())
}

/// `According to [2], …`: the claim follows.
fn introduces(text: &str) -> bool {
    let text = text.trim_start_matches(|c: char| !c.is_alphanumeric());
    let first = text.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default().to_lowercase();
    matches!(first.as_str(), "according" | "as" | "per" | "see" | "in" | "source" | "sources")
        || ["根据", "据", "按照", "依据", "参见", "见", "如", "来源"].iter().any(|begin| text.starts_with(begin))
}

/// A point here is that of an abbreviation, an initial or an item's number.
fn abbreviates(sentence: &str) -> bool {
    let word = sentence.rsplit(|c: char| !c.is_alphanumeric() && c != '.').next().unwrap_or_default();
    let letters = word.chars().filter(|c| c.is_alphabetic()).count();
    let item = letters == 0 && sentence.trim_start().len() == word.len();
    item || letters == 1 || word.contains('.') && letters > 0 || is_abbreviation(&word.to_lowercase())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice, reason = "a failed test panics")]
mod tests;
