//! Finds `[n]` in an answer while it streams, and checks the numbers against the sources that were given.
//!
//! Citations are `[1]`, `[1, 3]`, `[1-3]` (between given numbers only), `【1】`, `［１］` with ASCII or full-width digits. Not in
//! fenced code or code spans, not the text of a Markdown link `[1](…)`, not `\[1\]`, and not with a zero (`argv[0]`).
//!
//! Text passes through at once. Held back is only what may still become a citation: from an opening bracket to the first
//! character that decides, at most [`MAX_HELD_BYTES`].

use std::collections::BTreeSet;

/// A longer bracket is text: `[1, 2, 3, …]` with a dozen numbers still fits.
const MAX_HELD_BYTES: usize = 64;
/// `[2024]` is a year.
const MAX_DIGITS: usize = 3;

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
    /// `[1?]` is one, too ([`queried`]).
    queried: bool,
}

/// A bracket that may become a citation.
#[derive(Debug)]
struct Held {
    text: String,
    close: char,
    /// `[1]` is complete, but a `(` after it would make it a link.
    complete: Option<Numbers>,
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

#[derive(Debug, Default)]
struct Numbers {
    known: Vec<usize>,
    unknown: Vec<usize>,
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
                // `c` is not part of it and is read on its own.
                Step::Link => append(pieces, &held.text),
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
                self.held = Some(Held { text: c.into(), close, complete: None });
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
        let Some(numbers) = held.complete else {
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
        if self.complete.is_some() {
            return if c == '(' { Step::Link } else { Step::Over };
        }
        if c == self.close {
            let inner: String = self.text.chars().skip(1).filter(|c| *c != '?').collect();
            let Some(numbers) = numbers(&inner, given) else { return Step::Over };
            self.text.push(c);
            self.complete = Some(numbers);
            // Only ASCII brackets can be those of a Markdown link.
            return if c == ']' { Step::Hold } else { Step::Cite };
        }
        let belongs = c == ' ' || digit(c).is_some() || is_separator(c) || is_dash(c) || queried && c == '?';
        if belongs && self.text.len() + c.len_utf8() < MAX_HELD_BYTES {
            self.text.push(c);
            Step::Hold
        } else {
            Step::Over
        }
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

/// A citation with a `?` after each of these numbers: `[1, 7?]`.
#[cfg(any(feature = "cli", feature = "serve"))]
pub(crate) fn queried(text: &str, numbers: &[usize]) -> String {
    let mut shown = String::with_capacity(text.len() + numbers.len());
    let mut number = None;
    for c in text.chars() {
        match digit(c) {
            Some(value) => number = Some(number.unwrap_or(0) * 10 + value),
            None => {
                if number.take().is_some_and(|number: usize| numbers.contains(&number)) {
                    shown.push('?');
                }
            }
        }
        shown.push(c);
    }
    shown
}

/// Adds text to the last piece if that is text.
fn append(pieces: &mut Vec<Piece>, text: &str) {
    match pieces.last_mut() {
        Some(Piece::Text(last)) => last.push_str(text),
        _ => pieces.push(Piece::Text(text.to_owned())),
    }
}

/// The numbers in `1`, `1, 3` or `1-3`; `None` when it is something else.
fn numbers(inner: &str, given: usize) -> Option<Numbers> {
    let mut numbers = Numbers::default();
    for part in inner.split(is_separator) {
        let (first, last) = match part.split_once(is_dash) {
            // Between numbers that were not given it is a range of something else, such as lines.
            Some((a, b)) => (number(a)?, number(b).filter(|b| *b <= given)?),
            None => (number(part)?, number(part)?),
        };
        if first > last {
            return None;
        }
        for n in first..=last {
            let seen = if n <= given { &mut numbers.known } else { &mut numbers.unknown };
            if !seen.contains(&n) {
                seen.push(n);
            }
        }
    }
    Some(numbers)
}

/// A number from 1 to 999.
fn number(text: &str) -> Option<usize> {
    let text = text.trim_matches(' ');
    if text.chars().count() > MAX_DIGITS {
        return None;
    }
    let value = text.chars().try_fold(0, |value, c| digit(c).map(|digit| value * 10 + digit))?;
    (value > 0).then_some(value)
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Pieces with neighbouring texts joined, so that cuts do not show.
    fn joined(pieces: Vec<Piece>) -> Vec<Piece> {
        let mut all = Vec::new();
        for piece in pieces {
            match piece {
                Piece::Text(text) => append(&mut all, &text),
                citation @ Piece::Citation { .. } => all.push(citation),
            }
        }
        all
    }

    fn text_of(pieces: &[Piece]) -> String {
        let texts = pieces.iter().map(|piece| match piece {
            Piece::Text(text) | Piece::Citation { text, .. } => text.as_str(),
        });
        texts.collect()
    }

    /// Known and unknown numbers, in the order of first use and ascending, of an answer that was given 5 sources.
    fn scan(answer: &str) -> (Vec<usize>, Vec<usize>) {
        let mut scanner = Scanner::new(5);
        let mut pieces = scanner.push(answer);
        pieces.extend(scanner.finish());
        assert_eq!(text_of(&pieces), answer, "nothing is lost");
        (scanner.citations().to_vec(), scanner.unknown())
    }

    #[test]
    fn citations_in_all_their_forms() {
        assert_eq!(scan("A [3]. B [1]. C [3]."), (vec![3, 1], vec![]));
        assert_eq!(scan("A [1, 3] and [2;4]"), (vec![1, 3, 2, 4], vec![]));
        assert_eq!(scan("A [1][2]"), (vec![1, 2], vec![]));
        assert_eq!(scan("密钥每月更换【1】，见［２、３］。"), (vec![1, 2, 3], vec![]));
        assert_eq!(scan("A [2-4], B [5–5]"), (vec![2, 3, 4, 5], vec![]));
        assert_eq!(scan("A [7], B [1, 9, 7]"), (vec![1], vec![7, 9]));
        assert_eq!(scan("[1]: first, [[2]] double, [[3]](x)"), (vec![1, 2, 3], vec![]));
    }

    #[test]
    fn doubtful_ones_are_shown_so_and_left_out_all_the_same() {
        assert_eq!(queried("[1, 7]", &[7]), "[1, 7?]");
        assert_eq!(queried("【１２】", &[12]), "【１２?】");
        assert_eq!(without("a [1?] b [2, 7?] c [3] d [what?]"), "a  b  c  d [what?]");
        assert_eq!(scan("a [1?]"), (vec![], vec![]), "a model writes no such thing");
    }

    #[test]
    fn what_only_looks_like_a_citation() {
        let none = (vec![], vec![]);
        let texts = [
            "[1](https://example.org)",
            "![2](a.png)",
            "argv[0]",
            "in [2024]",
            "lines [10-31]",
            "[ ] todo, [x] done, []",
            "[1",
            "[1\n]",
            "[1, ]",
            "[a1]",
            "\\[1\\]",
            "【1]",
            "use `a[1]` or ``b`[1]``",
            "```\na[1]\n```",
            "```rust\na[1]\n``\nb[2]\n",
            "  ~~~~\na[1]\n~~~\nb[2]\n~~~~~",
            "```a[1]```",
            "`two\nlines [1]`",
        ];
        for text in texts {
            assert_eq!(scan(text), none, "{text:?}");
        }
        assert_eq!(scan(&format!("[{}1]", " ".repeat(MAX_HELD_BYTES))), none);
    }

    #[test]
    fn code_ends_where_it_ends() {
        assert_eq!(scan("`a[1]` [2]"), (vec![2], vec![]));
        assert_eq!(scan("```\na[1]\n```\n[2]"), (vec![2], vec![]));
        assert_eq!(scan("```inline``` [2]"), (vec![2], vec![]));
        assert_eq!(scan("a stray ` and [1]\n\nthen [2]"), (vec![2], vec![]));
        assert_eq!(scan("~~struck~~ [2]"), (vec![2], vec![]));
    }

    #[test]
    fn text_is_not_held_back_longer_than_needed() {
        let mut scanner = Scanner::new(1);
        assert_eq!(scanner.push("plain `"), [Piece::Text("plain `".into())]);
        assert_eq!(scanner.push("x` a ["), [Piece::Text("x` a ".into())]);
        assert_eq!(scanner.push("1]"), []);
        let citation = |text: &str| Piece::Citation { text: text.into(), numbers: vec![1], unknown: vec![] };
        assert_eq!(scanner.push("."), [citation("[1]"), Piece::Text(".".into())]);
        assert_eq!(scanner.push("【1】"), [citation("【1】")]);
        assert_eq!(scanner.push("[n"), [Piece::Text("[n".into())]);
        assert_eq!(scanner.push("[1]"), []);
        assert_eq!(scanner.finish(), [citation("[1]")]);
    }

    proptest! {
        #[test]
        fn any_cut_gives_the_same(
            parts in prop::collection::vec(
                prop::sample::select(vec![
                    "[1]", "[", "]", "(", "1", ", ", "2", "`", "``", "```", "~~~", "\n", "\n\n", "【", "】", "３", "、", "-", " ",
                    "\\", "a", "中", "[7]", "[1][2]", "[1, 3]", "［4］",
                ]),
                0..40,
            ),
            cuts in prop::collection::vec(0_usize..200, 0..20),
        ) {
            let answer = parts.concat();
            let mut whole = Scanner::new(5);
            let mut expected = whole.push(&answer);
            expected.extend(whole.finish());

            let mut cut = Scanner::new(5);
            let mut pieces = Vec::new();
            let mut rest = answer.as_str();
            for at in cuts {
                let (head, tail) = rest.split_at(rest.floor_char_boundary(at.min(rest.len())));
                pieces.extend(cut.push(head));
                rest = tail;
            }
            pieces.extend(cut.push(rest));
            pieces.extend(cut.finish());

            prop_assert_eq!(text_of(&pieces), answer);
            prop_assert_eq!(joined(pieces), joined(expected));
            prop_assert_eq!(cut.citations(), whole.citations());
            prop_assert_eq!(cut.unknown(), whole.unknown());
        }
    }
}
