//! Numbers as other notations write them: `12,5`, `1.234,5`, `12 000`, `1'234`. What may be thousands or tenths (`1.234` in a text that
//! is neither English nor Chinese) is taken for either.

use super::amount::Decimal;
use super::lex::{Kind, Token};

/// Groups of digits and the tenths behind them, at most.
const PARTS: usize = 8;

/// The tokens of a text with such numbers as one token each; `comma`: its tenths stand behind a comma.
pub(super) fn joined(text: &str, tokens: Vec<Token>, comma: bool) -> Vec<Token> {
    let reader = Reader { text, tokens: &tokens, comma };
    let (mut found, mut at) = (Vec::new(), 0);
    while let Some(token) = tokens.get(at) {
        match (token.kind == Kind::Number).then(|| reader.read(at)).flatten() {
            Some((key, length, loose)) => {
                found.push((at, key, length, loose));
                at += length;
            }
            None => at += 1,
        }
    }
    if found.is_empty() {
        return tokens;
    }
    let mut all = Vec::with_capacity(tokens.len());
    let (mut rest, mut done) = (tokens.into_iter(), 0);
    for (at, key, length, loose) in found {
        all.extend(rest.by_ref().take(at - done));
        let mut parts = rest.by_ref().take(length);
        if let Some(first) = parts.next() {
            let end = parts.last().map_or(first.bytes.end, |last| last.bytes.end);
            all.push(Token { bytes: first.bytes.start..end, key: key.into(), loose, ..first });
        }
        done = at + length;
    }
    all.extend(rest);
    all
}

/// What a number that may be read in two ways is in the other.
pub(super) fn otherwise(token: &Token) -> Option<Decimal> {
    let at = token.key.len().checked_sub(3).filter(|_| token.loose)?;
    Decimal::parse(&format!("{}.{}", token.key.get(..at)?, token.key.get(at..)?))
}

struct Reader<'a> {
    text: &'a str,
    tokens: &'a [Token],
    /// Tenths stand behind a comma.
    comma: bool,
}

impl Reader<'_> {
    /// The digits of the number that begins here, its tokens, and whether it may be read in another way.
    fn read(&self, at: usize) -> Option<(String, usize, bool)> {
        // `1,2,3` and the cells of a row are several numbers.
        if at.checked_sub(1).is_some_and(|before| self.is_comma(before) && self.is_glued(at)) {
            return None;
        }
        self.grouped(at).or_else(|| self.with_comma(at)).or_else(|| self.alone(at))
    }

    fn written(&self, at: usize) -> &str {
        let number = self.tokens.get(at).filter(|token| token.kind == Kind::Number);
        number.and_then(|token| self.text.get(token.bytes.clone())).unwrap_or_default()
    }

    fn is_glued(&self, at: usize) -> bool {
        self.tokens.get(at).is_some_and(Token::is_glued)
    }

    fn is_comma(&self, at: usize) -> bool {
        self.tokens.get(at).is_some_and(|token| token.is(",") && token.is_glued())
    }

    /// `12 000`, `1 234,5`, `1'234`: a blank parts thousands where it does not break the line, where nothing else begins with a zero, and
    /// in a text that writes them so.
    fn grouped(&self, at: usize) -> Option<(String, usize, bool)> {
        let first = self.written(at);
        let before = at.checked_sub(1).map(|at| self.written(at)).unwrap_or_default();
        if !is_digits(first) || first.len() > 3 || first.starts_with('0') || !before.is_empty() {
            return None;
        }
        let (mut digits, mut end) = (first.to_owned(), at + 1);
        while let Some(length) = self.group(end).filter(|_| end < at + PARTS) {
            digits.push_str(self.written(end + length - 1));
            end += length;
        }
        if end == at + 1 {
            return None;
        }
        let tenths = self.written(end + 1);
        if self.is_comma(end) && self.is_glued(end + 1) && is_digits(tenths) {
            digits = format!("{digits}.{tenths}");
            end += 2;
        }
        Some((digits, end - at, false))
    }

    /// Three digits more, and the tokens that say so.
    fn group(&self, at: usize) -> Option<usize> {
        let end = at.checked_sub(1).and_then(|at| self.tokens.get(at))?.bytes.end;
        if self.tokens.get(at)?.is("'") {
            return (self.is_glued(at) && self.is_glued(at + 1) && is_three(self.written(at + 1))).then_some(2);
        }
        let group = self.written(at);
        let blank = self.text.get(end..self.tokens.get(at)?.bytes.start)?;
        let parts = matches!(blank, "{,}" | "\\," | "\u{a0}" | "\u{2009}" | "\u{202f}")
            || blank == " " && (self.comma || group.starts_with('0'));
        (parts && is_three(group)).then_some(1)
    }

    /// `12,5`, `1.234,5`; in a text with points as well where percents follow.
    fn with_comma(&self, at: usize) -> Option<(String, usize, bool)> {
        let (first, tenths) = (self.written(at), self.written(at + 2));
        let is_one = self.is_comma(at + 1) && self.is_glued(at + 2) && is_digits(tenths);
        if !is_one || self.is_comma(at + 3) && self.is_glued(at + 4) {
            return None;
        }
        let percent = self.tokens.get(at + 3).is_some_and(|next| next.is("%"));
        let thousands = is_in_threes(first, '.') && !first.starts_with('0');
        let plain = is_digits(first) && (self.comma || percent && tenths.len() < 3);
        (thousands || plain).then(|| (format!("{}.{tenths}", first.replace('.', "")), 3, false))
    }

    /// `1.234.567`, `1.234`, `0,125`.
    fn alone(&self, at: usize) -> Option<(String, usize, bool)> {
        let written = self.written(at);
        if let Some(tenths) = written.strip_prefix("0,").filter(|tenths| is_digits(tenths)) {
            return Some((format!("0.{tenths}"), 1, false));
        }
        let mark = [',', '.'].into_iter().find(|mark| is_in_threes(written, *mark))?;
        let marks = written.matches(mark).count();
        if !self.comma || written.starts_with('0') || marks == 3 || marks > 1 && mark == ',' {
            return None;
        }
        Some((written.replace(mark, ""), 1, marks == 1))
    }
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_three(text: &str) -> bool {
    text.len() == 3 && is_digits(text)
}

/// Whether marks part all digits into groups of three.
fn is_in_threes(text: &str, mark: char) -> bool {
    let mut groups = text.split(mark);
    let first = groups.next().unwrap_or_default();
    is_digits(first) && first.len() < 4 && text.contains(mark) && groups.all(is_three)
}
