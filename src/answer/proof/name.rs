//! Names: words that begin with capitals, and acronyms.

use std::ops::Range;

use super::function::is_function;
use super::lex::{Gap, Kind, Token};
use super::value::Value;

/// A name, and the tokens that say it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) tokens: Range<usize>,
    /// It begins its sentence, as any word may.
    pub(super) initial: bool,
}

/// Names in the order of the text. Days, months and numbers are values, not names.
pub(super) fn names(tokens: &[Token], starts: &[bool], values: &[Value]) -> Vec<Name> {
    let mut names = Vec::new();
    let mut values = values.iter().peekable();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        while values.next_if(|value| value.tokens.end <= at).is_some() {}
        let in_value = values.peek().is_some_and(|value| value.tokens.contains(&at));
        if in_value || !is_capital(token) {
            at += 1;
            continue;
        }
        let limit = values.peek().map_or(tokens.len(), |value| value.tokens.start);
        let end = run(tokens, starts, at, limit);
        let initial = begins(tokens, starts, at);
        // "The Panthers", "In London": the first is there for the sentence.
        let begin = at + usize::from(initial && is_function(&token.key));
        if begin < end && tokens.get(begin).is_some_and(is_capital) {
            names.push(Name { tokens: begin..end, initial: initial && begin == at });
        }
        at = end;
    }
    names
}

pub(super) fn is_capital(token: &Token) -> bool {
    token.kind == Kind::Word && token.capital && !matches!(&*token.key, "i" | "i'm" | "i've" | "i'll" | "i'd")
}

/// Where a name ends that begins here.
fn run(tokens: &[Token], starts: &[bool], begin: usize, limit: usize) -> usize {
    let mut end = begin + 1;
    let mut at = end;
    while let Some(token) = tokens.get(at).filter(|_| at < limit) {
        if starts.get(at).copied().unwrap_or(true) || token.gap > Gap::Line {
            break;
        }
        let particle =
            matches!(&*token.key, "of" | "de" | "von" | "van" | "der" | "du" | "la" | "le" | "del" | "the" | "bin" | "al");
        let initial =
            token.is(".") && token.is_glued() && tokens.get(at - 1).is_some_and(|before| before.key.chars().count() <= 2);
        let joint = token.is_glued() && (token.is("-") || token.is("&"));
        if is_capital(token) {
            end = at + 1;
        } else if !(initial || joint || particle && at == end) {
            break;
        }
        at += 1;
        if at > end + 3 {
            break;
        }
    }
    end
}

/// Whether a word here begins with a capital in any case.
fn begins(tokens: &[Token], starts: &[bool], at: usize) -> bool {
    for before in (0..=at).rev() {
        if starts.get(before).copied().unwrap_or(true) {
            return true;
        }
        let Some(mark) = before.checked_sub(1).and_then(|before| tokens.get(before)) else { return true };
        if mark.kind != Kind::Mark {
            return false;
        }
        if matches!(&*mark.key, ":" | "：" | "|" | "*" | "\"" | "“" | "「" | "-" | ".") && !(mark.is("-") && mark.is_glued())
        {
            return true;
        }
    }
    true
}
