//! Numbers and units as LaTeX writes them: `$12.5\,\mathrm{kg}$`, `$3\times10^{8}$`, `20^\circ\text{C}`, `7{,}500`.

use super::lex::{Gap, Kind, Token, key};

/// Tokens between two `$`, at most.
const LONGEST: usize = 40;

/// The tokens of a text without its markup of formulas; each keeps its bytes in the text.
pub(super) fn plain(tokens: Vec<Token>) -> Vec<Token> {
    if !tokens.iter().any(|token| token.is("\\") || token.is("$") || token.is("{")) {
        return tokens;
    }
    let dollars = dollars(&tokens);
    let mut writer = Writer { all: Vec::with_capacity(tokens.len()), gap: Gap::None };
    // Whether each brace that is open belongs to a command.
    let mut braces: Vec<bool> = Vec::new();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        let rest = tokens.get(at..).unwrap_or_default();
        let length = if dollars.binary_search(&at).is_ok() {
            writer.drop(rest, 1)
        } else if let Some(length) = degrees(rest) {
            writer.mark(rest, length, "°")
        } else if token.is("{") && is_thousands(&tokens, at) {
            writer.drop(rest, 3)
        } else if token.is("{") {
            braces.push(false);
            writer.keep(token)
        } else if token.is("}") && braces.pop() == Some(true) {
            writer.drop(rest, 1)
        } else if token.is("\\") {
            writer.command(rest, &mut braces)
        } else {
            writer.keep(token)
        };
        at += length;
    }
    writer.all
}

/// The `$` that open and close a formula, and no amount of money.
fn dollars(tokens: &[Token]) -> Vec<usize> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let end = closing(tokens, at);
        if let Some(end) = end {
            found.extend([at, end]);
        }
        at = end.unwrap_or(at) + 1;
    }
    found
}

/// The `$` that closes what one opens here.
fn closing(tokens: &[Token], open: usize) -> Option<usize> {
    tokens.get(open).filter(|token| token.is("$"))?;
    let inner = tokens.get(open + 1..)?;
    inner.first().filter(|first| first.is_glued())?;
    let length = inner.iter().take(LONGEST).position(|token| token.is("$") || token.gap == Gap::Paragraph)?;
    let close = inner.get(length).filter(|token| token.is("$") && token.is_glued())?;
    let goes_on = inner.get(length + 1).is_some_and(|next| next.is_glued() && matches!(next.kind, Kind::Number | Kind::Word));
    let formula = inner.get(..length).filter(|formula| !formula.is_empty() && !goes_on && close.is_glued())?;
    let is_marked = formula.iter().any(|token| ["\\", "^", "_", "="].iter().any(|mark| token.is(mark)));
    let number = match formula {
        [number] => Some(number),
        [sign, number] if sign.is("-") || sign.is("+") => Some(number),
        _ => None,
    };
    (is_marked || number.is_some_and(|number| number.kind == Kind::Number)).then_some(open + 1 + length)
}

/// The tokens of `^\circ`, `^{\circ}`.
fn degrees(rest: &[Token]) -> Option<usize> {
    if key(rest, 0) != "^" {
        return None;
    }
    match (key(rest, 1), key(rest, 2), key(rest, 3), key(rest, 4)) {
        ("\\", "circ", ..) => Some(3),
        ("{", "\\", "circ", "}") => Some(5),
        _ => None,
    }
}

/// `{,}` between a number and three digits more.
fn is_thousands(tokens: &[Token], at: usize) -> bool {
    let number = |at: usize| tokens.get(at).filter(|token| token.kind == Kind::Number).map(|token| &*token.key);
    let digits = number(at + 3).is_some_and(|key| key.len() == 3 || key.find('.') == Some(3));
    (key(tokens, at + 1), key(tokens, at + 2)) == (",", "}") && at.checked_sub(1).and_then(number).is_some() && digits
}

/// Tokens that are kept, and the gap that those left behind that were not.
struct Writer {
    all: Vec<Token>,
    gap: Gap,
}

impl Writer {
    fn keep(&mut self, token: &Token) -> usize {
        let gap = token.gap.max(std::mem::replace(&mut self.gap, Gap::None));
        // `\mu` and what it is a millionth of.
        if let Some(last) = self.all.last_mut().filter(|last| &*last.key == "\\mu") {
            last.key = if token.kind == Kind::Word { format!("μ{}", token.key).into() } else { "μ".into() };
            if token.kind == Kind::Word {
                last.bytes.end = token.bytes.end;
                return 1;
            }
        }
        self.all.push(Token { gap, ..token.clone() });
        1
    }

    fn drop(&mut self, rest: &[Token], length: usize) -> usize {
        // White space after a command is no part of the text, that before it is.
        let first = rest.first().map_or(Gap::None, |first| first.gap);
        self.gap = self.gap.max(first);
        length
    }

    /// A mark that so many tokens stand for.
    fn mark(&mut self, rest: &[Token], length: usize, mark: &str) -> usize {
        let end = rest.get(length - 1).map(|last| last.bytes.end);
        if let Some((first, end)) = rest.first().zip(end) {
            let token = Token { kind: Kind::Mark, bytes: first.bytes.start..end, key: mark.into(), ..first.clone() };
            self.keep(&Token { capital: false, acronym: false, ..token });
        }
        length
    }

    /// What a backslash begins.
    fn command(&mut self, rest: &[Token], braces: &mut Vec<bool>) -> usize {
        let Some((backslash, next)) = rest.first().zip(rest.get(1)) else {
            return rest.first().map_or(1, |last| self.keep(last));
        };
        if !next.is_glued() {
            return self.drop(rest, 1);
        }
        if next.kind == Kind::Mark {
            let spaces = matches!(&*next.key, "," | ";" | ":" | "!" | "(" | ")" | "[" | "]");
            return self.drop(rest, if spaces { 2 } else { 1 });
        }
        let digits = next.key.find(|c: char| c.is_ascii_digit()).filter(|_| next.key.len() == next.bytes.len());
        let (name, digits) = next.key.split_at_checked(digits.unwrap_or(next.key.len())).unwrap_or((&next.key, ""));
        let mark = match name {
            "times" | "cdot" => "×",
            "circ" | "degree" | "degrees" => "°",
            "celsius" => "℃",
            "percent" => "%",
            "pm" => "±",
            "approx" | "simeq" | "sim" => "≈",
            "le" | "leq" | "leqslant" => "≤",
            "ge" | "geq" | "geqslant" => "≥",
            "text" | "mathrm" | "mathbf" | "mathit" | "mathsf" | "textbf" | "textit" | "textrm" | "mbox" | "operatorname"
                if key(rest, 2) == "{" =>
            {
                braces.push(true);
                return self.drop(rest, 3);
            }
            "quad" | "qquad" | "thinspace" | "left" | "right" if digits.is_empty() => return self.drop(rest, 2),
            "mu" if digits.is_empty() => {
                let token = Token { kind: Kind::Word, bytes: backslash.bytes.start..next.bytes.end, ..backslash.clone() };
                self.keep(&Token { key: "\\mu".into(), ..token });
                return 2;
            }
            _ => return self.keep(backslash),
        };
        self.mark(rest, 2, mark);
        if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
            let begin = next.bytes.start + name.len();
            if let Some(last) = self.all.last_mut() {
                last.bytes.end = begin;
            }
            // `\pm0.1`
            let tenths = rest.get(3).filter(|tenths| tenths.kind == Kind::Number && tenths.is_glued());
            let tenths = tenths.filter(|_| rest.get(2).is_some_and(|point| point.is(".") && point.is_glued()));
            let key = tenths.map_or_else(|| digits.into(), |tenths| format!("{digits}.{}", tenths.key).into());
            let bytes = begin..tenths.unwrap_or(next).bytes.end;
            let token = Token { kind: Kind::Number, bytes, key, gap: Gap::None, ..next.clone() };
            self.keep(&Token { capital: false, acronym: false, ..token });
            return if tenths.is_some() { 4 } else { 2 };
        }
        2
    }
}
