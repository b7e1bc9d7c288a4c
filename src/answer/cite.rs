//! Finds `[n]` in an answer while it streams, and checks the numbers against the sources that were given.
//!
//! Citations are `[1]`, `[1, 3]`, `[1 and 3]`, `[1-3]` (from a given number, to one that is given or below ten), `【1】`, `［１］` with ASCII or full-width digits, and what models
//! make of them: `[Source 1]`, `[来源1]`, `[^1]`, `[#1]`, with a place in the source (`[1, p. 12]`, `[1:3]`, `【1†report.md】`) or its path
//! (`[1](report.md)`). Not in fenced code or code spans, not the text of a Markdown link to the web `[1](https://…)`, not `\[1\]`, not a
//! time (`[1:30]`), and not with a zero behind a word (`argv[0]`).
//!
//! Text passes through at once. Held back is only what may still become a citation: from an opening bracket to the first
//! character that decides, at most [`MAX_HELD_BYTES`], or [`MAX_PATH_BYTES`] of a path.

use std::collections::BTreeSet;

use super::mark::{Numbers, Read, read};

/// A longer bracket is text: `[1, 2, 3, …]` with a dozen numbers still fits.
const MAX_HELD_BYTES: usize = 64;
/// The same where a path is part of it.
const MAX_PATH_BYTES: usize = 256;
/// A piece of an answer. All pieces' texts, put together, are the answer as the model wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Text without citations.
    Text(String),
    /// A citation.
    Citation {
        /// As the model wrote it.
        text: String,
        /// The numbers in it that were given, in order.
        numbers: Vec<usize>,
        /// The numbers in it that no source has, in order.
        unknown: Vec<usize>,
    },
}

/// Reads an answer piece by piece, cut anywhere.
#[derive(Debug)]
pub struct Scanner {
    given: usize,
    held: Option<Held>,
    code: Code,
    /// Only white space so far in this line.
    line_start: bool,
    /// The run of `` ` `` or `~` that is being read.
    run: Option<Run>,
    previous: Option<char>,
    used: Vec<usize>,
    unknown: BTreeSet<usize>,
    /// `[1?]` is one, too.
    queried: bool,
}

/// A bracket that may become a citation.
#[derive(Debug)]
struct Held {
    text: String,
    close: char,
    /// It stands behind a word: `argv[0]`.
    behind_a_word: bool,
    /// It may be the text of a picture.
    image: bool,
    /// `[1]` is complete, but a `(` after it would make it a link.
    complete: Option<Numbers>,
    /// The bytes up to that `(`, in which the path of a source may stand.
    path: Option<usize>,
}

/// Where the reader is, as far as code goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Code {
    /// In prose.
    Outside,
    /// In a code span that was opened by so many backticks. Ends with as many, or with the paragraph.
    Span { ticks: usize },
    /// In a fenced block. Ends with a line of at least as many of the same character.
    Fence { mark: char, length: usize, opening_line: bool },
}

#[derive(Debug, Clone, Copy)]
struct Run {
    mark: char,
    length: usize,
    /// It begins its line.
    begins_line: bool,
}

impl Scanner {
    /// A reader of one answer that was given sources 1 to `given`.
    pub fn new(given: usize) -> Self {
        Self {
            given,
            held: None,
            code: Code::Outside,
            line_start: true,
            run: None,
            previous: None,
            used: Vec::new(),
            unknown: BTreeSet::new(),
            queried: false,
        }
    }

    /// Reads on. Yields what has become certain, neighbouring texts as one piece.
    pub fn push(&mut self, text: &str) -> Vec<Piece> {
        let mut pieces = Vec::new();
        for c in text.chars() {
            self.read(c, &mut pieces);
        }
        pieces
    }

    /// The answer has ended: yields what was held back.
    pub fn finish(&mut self) -> Vec<Piece> {
        let mut pieces = Vec::new();
        if let Some(held) = self.held.take() {
            self.release(held, &mut pieces);
        }
        pieces
    }

    /// Given numbers that were cited, in the order of their first use.
    pub fn citations(&self) -> &[usize] {
        &self.used
    }

    /// Cited numbers that no source has, ascending.
    pub fn unknown(&self) -> Vec<usize> {
        self.unknown.iter().copied().collect()
    }

    fn read(&mut self, c: char, pieces: &mut Vec<Piece>) {
        if let Some(mut held) = self.held.take() {
            match held.step(c, self.given, self.queried) {
                Step::Hold => {
                    self.held = Some(held);
                    return;
                }
                Step::Cite => {
                    self.previous = Some(c);
                    self.release(held, pieces);
                    return;
                }
                Step::Link => append(pieces, &held.text),
                // `c` is not part of it and is read on its own.
                Step::Over => self.release(held, pieces),
            }
        }
        if self.run.is_some_and(|run| run.mark != c) {
            self.end_run();
        }
        let close = match c {
            '[' if self.previous != Some('\\') => Some(']'),
            '【' => Some('】'),
            '［' => Some('］'),
            _ => None,
        };
        match (c, close) {
            (_, Some(close)) if self.code == Code::Outside => {
                let behind_a_word = self.previous.is_some_and(char::is_alphanumeric);
                let image = self.previous == Some('!');
                self.held = Some(Held { text: c.into(), close, behind_a_word, image, complete: None, path: None });
                self.line_start = false;
            }
            ('`' | '~', _) => {
                let begins_line = self.line_start;
                let run = self.run.get_or_insert(Run { mark: c, length: 0, begins_line });
                run.length = run.length.saturating_add(1);
                self.line_start = false;
                append(pieces, c.encode_utf8(&mut [0; 4]));
            }
            _ => {
                self.text(c);
                append(pieces, c.encode_utf8(&mut [0; 4]));
            }
        }
        self.previous = Some(c);
    }

    /// An ordinary character, as far as lines and paragraphs go.
    fn text(&mut self, c: char) {
        if c == '\n' {
            match &mut self.code {
                Code::Fence { opening_line, .. } => *opening_line = false,
                // A blank line ends the paragraph, and with it a span that was never closed.
                Code::Span { .. } if self.line_start => self.code = Code::Outside,
                Code::Span { .. } | Code::Outside => {}
            }
            self.line_start = true;
        } else if !c.is_whitespace() {
            self.line_start = false;
        }
    }

    /// A run of backticks or tildes has ended: it may open or close code.
    fn end_run(&mut self) {
        let Some(Run { mark, length, begins_line }) = self.run.take() else { return };
        self.code = match self.code {
            Code::Outside if begins_line && length >= 3 => Code::Fence { mark, length, opening_line: true },
            Code::Outside if mark == '`' => Code::Span { ticks: length },
            Code::Span { ticks } if mark == '`' && ticks == length => Code::Outside,
            Code::Fence { mark: open, length: least, opening_line: false }
                if begins_line && mark == open && length >= least =>
            {
                Code::Outside
            }
            // "```code```" in one line is a span after all.
            Code::Fence { mark: '`', length: open, opening_line: true } if mark == '`' && length == open => Code::Outside,
            same => same,
        };
    }

    /// Hands out what was held: a citation if it is a complete one, else text.
    fn release(&mut self, held: Held, pieces: &mut Vec<Piece>) {
        let unclosed = held.path.is_some() && !held.text.ends_with(')');
        let Some(numbers) = held.complete.filter(|_| !unclosed) else {
            append(pieces, &held.text);
            return;
        };
        for n in &numbers.known {
            if !self.used.contains(n) {
                self.used.push(*n);
            }
        }
        self.unknown.extend(&numbers.unknown);
        pieces.push(Piece::Citation { text: held.text, numbers: numbers.known, unknown: numbers.unknown });
    }
}

/// The effect of a character on a held bracket.
enum Step {
    /// It belongs to it, and more must be seen.
    Hold,
    /// It completes a citation.
    Cite,
    /// It makes a link of it.
    Link,
    /// It does not belong to it.
    Over,
}

impl Held {
    fn step(&mut self, c: char, given: usize, queried: bool) -> Step {
        if let Some(begin) = self.path {
            return self.link(c, begin);
        }
        if self.complete.is_some() {
            return match c {
                '(' if self.image || self.text.starts_with('［') => Step::Link,
                '(' => {
                    self.path = Some(self.text.len());
                    self.text.push(c);
                    Step::Hold
                }
                _ => Step::Over,
            };
        }
        // Whatever these begin is read on its own.
        if matches!(c, '\n' | '`' | '~' | '[' | '【' | '［') {
            return Step::Over;
        }
        let inner: String = self.text.chars().skip(1).filter(|c| !queried || *c != '?').collect();
        if c == self.close {
            let numbers = match read(&inner) {
                Read::Whole(ranges) => Numbers::of(&ranges, given, self.behind_a_word),
                Read::Begun | Read::None => None,
            };
            let Some(numbers) = numbers else { return Step::Over };
            self.text.push(c);
            self.complete = Some(numbers);
            // Only ASCII brackets can be those of a Markdown link.
            return if c == ']' { Step::Hold } else { Step::Cite };
        }
        let most = if self.text.contains('†') { MAX_PATH_BYTES } else { MAX_HELD_BYTES };
        let goes_on = queried && c == '?' || !matches!(read(&format!("{inner}{c}")), Read::None);
        if goes_on && self.text.len() + c.len_utf8() < most {
            self.text.push(c);
            Step::Hold
        } else {
            Step::Over
        }
    }

    /// A path in the brackets that follow: that of a source, unless it is one of the web, or has a blank.
    fn link(&mut self, c: char, begin: usize) -> Step {
        let path = self.text.get(begin + 1..).unwrap_or_default();
        if c == ')' {
            if path.is_empty() {
                return Step::Link;
            }
            self.text.push(c);
            return Step::Cite;
        }
        let web = matches!(c, '/' | ':') && path.ends_with(':') || path.is_empty() && c == '#' || path == "mailto";
        let other = c.is_whitespace() || matches!(c, '`' | '~' | '[' | '【' | '［' | '(');
        if web || other || self.text.len() + c.len_utf8() >= MAX_PATH_BYTES {
            return Step::Link;
        }
        self.text.push(c);
        Step::Hold
    }
}

/// An answer without its citations, those that are shown as doubtful (`[1?]`) among them.
pub fn without(answer: &str) -> String {
    let mut scanner = Scanner { queried: true, ..Scanner::new(0) };
    let mut pieces = scanner.push(answer);
    pieces.extend(scanner.finish());
    let texts = pieces.into_iter().filter_map(|piece| match piece {
        Piece::Text(text) => Some(text),
        Piece::Citation { .. } => None,
    });
    texts.collect()
}

/// Adds text to the last piece if that is text.
fn append(pieces: &mut Vec<Piece>, text: &str) {
    match pieces.last_mut() {
        Some(Piece::Text(last)) => last.push_str(text),
        _ => pieces.push(Piece::Text(text.to_owned())),
    }
}

#[cfg(test)]
mod tests;
