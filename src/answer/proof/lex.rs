//! Text as tokens: words, Chinese characters, numbers and marks, each with its bytes in the text.
//!
//! Full-width forms, curly quotes and all dashes count as their plain ones, letters as what they are without accents and case,
//! and frequent Traditional characters as their Simplified ones.

use std::ops::Range;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use crate::language::script::simplified;

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Letters, with the digits and underscores in and after them.
    Word,
    /// One Chinese character.
    Han,
    /// Digits, with points and commas in them.
    Number,
    /// Anything else that can be seen.
    Mark,
}

/// What stands between a token and the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Gap {
    None,
    Space,
    Line,
    /// A line without text, or the beginning.
    Paragraph,
}

/// A piece of text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) bytes: Range<usize>,
    pub(super) gap: Gap,
    /// In the form in which it is compared: lower case, without accents, Simplified where it tells of values; digits without their thousands' commas.
    pub(super) key: Box<str>,
    /// Begins with a capital letter.
    pub(super) capital: bool,
    /// Two letters or more, all of them capitals.
    pub(super) acronym: bool,
    /// Digits whose last three may be thousandths as well.
    pub(super) loose: bool,
}

impl Token {
    pub(super) fn is(&self, mark: &str) -> bool {
        self.kind == Kind::Mark && &*self.key == mark
    }

    pub(super) fn is_glued(&self) -> bool {
        self.gap == Gap::None
    }
}

/// The key of a token at a place, where there is one.
pub(super) fn key(tokens: &[Token], at: usize) -> &str {
    tokens.get(at).map(|token| &*token.key).unwrap_or_default()
}

/// The plain form of a character.
pub(super) fn plain(c: char) -> char {
    match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        '\u{2018}' | '\u{2019}' | '\u{201b}' | '\u{2032}' => '\'',
        '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{301c}' => '-',
        '\u{a0}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{3000}' => ' ',
        c => c,
    }
}

/// Whether it is a Chinese character.
pub(in crate::answer) fn is_han(c: char) -> bool {
    matches!(c, '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{323af}' | '〇')
}

/// A word in the form in which it is compared.
pub(super) fn folded(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    text.chars().map(plain).nfkd().filter(|c| !is_combining_mark(*c)).flat_map(char::to_lowercase).collect()
}

/// The tokens of a text.
pub(super) fn lex(text: &str) -> Vec<Token> {
    let chars: Vec<(usize, char)> = text.char_indices().map(|(at, c)| (at, plain(c))).collect();
    let mut reader = Reader { text, chars, at: 0, gap: Gap::Paragraph };
    let mut tokens = Vec::with_capacity(text.len() / 4);
    while let Some(token) = reader.token() {
        tokens.push(token);
    }
    tokens
}

struct Reader<'a> {
    text: &'a str,
    chars: Vec<(usize, char)>,
    at: usize,
    gap: Gap,
}

impl Reader<'_> {
    fn char(&self, at: usize) -> Option<char> {
        self.chars.get(at).map(|(_, c)| *c)
    }

    fn byte(&self, at: usize) -> usize {
        self.chars.get(at).map_or(self.text.len(), |(byte, _)| *byte)
    }

    fn token(&mut self) -> Option<Token> {
        let mut lines = 0_usize;
        let mut spaces = false;
        while let Some(c) = self.char(self.at).filter(|c| is_blank(*c)) {
            lines += usize::from(c == '\n');
            spaces = true;
            self.at += 1;
        }
        let gap = match (self.gap, lines) {
            (Gap::Paragraph, _) | (_, 2..) => Gap::Paragraph,
            (_, 1) => Gap::Line,
            _ if spaces => Gap::Space,
            _ => Gap::None,
        };
        let first = self.char(self.at)?;
        self.gap = Gap::None;
        let begin = self.at;
        let kind = if first.is_ascii_digit() {
            self.number();
            Kind::Number
        } else if is_han(first) {
            self.at += 1;
            Kind::Han
        } else if first.is_alphanumeric() {
            self.word();
            Kind::Word
        } else {
            self.at += 1;
            Kind::Mark
        };
        let bytes = self.byte(begin)..self.byte(self.at);
        let written = self.text.get(bytes.clone()).unwrap_or_default();
        let key = match kind {
            Kind::Number => written.chars().map(plain).filter(|c| *c != ',').collect(),
            Kind::Mark => first.to_string(),
            Kind::Han => simplified(first).to_string(),
            Kind::Word => {
                let key = folded(written);
                key.strip_suffix("'s").map(str::to_owned).unwrap_or(key)
            }
        };
        let letters = || written.chars().filter(|c| c.is_alphabetic());
        let acronym = kind == Kind::Word && letters().nth(1).is_some() && letters().all(char::is_uppercase);
        Some(Token { kind, bytes, gap, key: key.into(), capital: first.is_uppercase(), acronym, loose: false })
    }

    fn digits(&mut self) -> usize {
        let begin = self.at;
        while self.char(self.at).is_some_and(|c| c.is_ascii_digit()) {
            self.at += 1;
        }
        self.at - begin
    }

    /// `1234`, `1,234.5`, `1.2.3`.
    fn number(&mut self) {
        let first = self.digits();
        let is_digit = |reader: &Self, at| reader.char(at).is_some_and(|c: char| c.is_ascii_digit());
        if first <= 3 {
            // Commas part groups of three.
            while self.char(self.at) == Some(',')
                && (1..=3).all(|next| is_digit(self, self.at + next))
                && !is_digit(self, self.at + 4)
            {
                self.at += 4;
            }
        }
        while self.char(self.at) == Some('.') && is_digit(self, self.at + 1) {
            self.at += 1;
            self.digits();
        }
    }

    fn word(&mut self) {
        while let Some(c) = self.char(self.at) {
            let goes_on = !is_han(c) && (c.is_alphanumeric() || c == '_' || is_combining_mark(c));
            let apostrophe = c == '\'' && self.char(self.at + 1).is_some_and(char::is_alphabetic);
            // `v1.2` is a `v` and a number.
            let version = self.at > 0
                && c.is_ascii_digit()
                && self.char(self.at - 1).is_some_and(|c| matches!(c, 'v' | 'V'))
                && (self.at < 2 || !self.char(self.at - 2).is_some_and(char::is_alphanumeric));
            if version || !(goes_on || apostrophe) {
                break;
            }
            self.at += 1;
        }
    }
}

fn is_blank(c: char) -> bool {
    c.is_whitespace()
        || c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}' | '\u{feff}')
}
