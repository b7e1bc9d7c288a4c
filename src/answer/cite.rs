//! Finds `[n]` in an answer while it streams, and checks the numbers against the sources that were given.
//!
//! Citations are `[1]`, `[1, 3]`, `[1-3]` (between given numbers only), `【1】`, `［１］` with ASCII or full-width digits, and what models
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
        for mark in [
            "[1, p. 12]",
            "[1 p. 12]",
            "[1, pp. 3-5]",
            "[1, lines 1-3]",
            "[1, L3]",
            "[1:3]",
            "[1:1-3]",
            "[Source 1]",
            "[source: 1]",
            "[来源1]",
            "[来源 1]",
            "【1†docs/riga.md】",
            "【1†L1-L3】",
            "[1](docs/riga.md)",
            "[^1]",
            "[#1]",
            "[1，第3页]",
            "[1, § 4]",
            "[Ref. 1]",
        ] {
            let seen = scan(&format!("It employs 450 people {mark}."));
            assert_eq!(seen, if mark == "[Ref. 1]" { (vec![], vec![]) } else { (vec![1], vec![]) }, "{mark}");
        }
        assert_eq!(scan("A [Source 1, Source 3], B [^2, ^4]"), (vec![1, 3, 2, 4], vec![]));
        assert_eq!(scan("A [9, p. 12], B [0], C [Source 8]"), (vec![], vec![0, 8, 9]));
        assert_eq!(scan("A [2-4], B [5–5]"), (vec![2, 3, 4, 5], vec![]));
        assert_eq!(scan("A [7], B [1, 9, 7]"), (vec![1], vec![7, 9]));
        assert_eq!(scan("[1]: first, [[2]] double, [[3]](x)"), (vec![1, 2, 3], vec![]));
    }

    #[test]
    fn doubtful_ones_are_shown_so_and_left_out_all_the_same() {
        assert_eq!(without("a [1?, p. 1] b [Source 2?] c [1?](docs/1.md)"), "a  b  c ");
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
            "in [0, 1]",
            "at [1:30]",
            "【4:0†riga】",
            "[1 page]",
            "[1 people]",
            "[Sources]",
            "[source code]",
            "[page 1]",
            "[1, 2 and 3]",
            "[1](#top)",
            "[1](mailto:a@example.org)",
            "[1](two words)",
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
                    "\\", "a", "中", "[7]", "p. ", "Source ", "†", ":", "^", "来源", ".md", ")", "[1][2]", "[1, 3]", "［4］",
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
