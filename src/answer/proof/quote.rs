//! Quotes: what stands between quotation marks, in backticks, in the marks of a title.

use super::lex::{folded, is_han, plain};

/// A text that a claim says is the source's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Quote<'a> {
    pub(super) text: &'a str,
    /// The title of a work or code: a name rather than words.
    pub(super) named: bool,
}

/// Quotes in the order of the text.
pub(super) fn quotes(text: &str) -> Vec<Quote<'_>> {
    let mut quotes = Vec::new();
    let mut rest = text;
    while let Some(open) = rest.find(['"', '“', '「', '『', '《', '`', '″', '„']) {
        let Some(mark) = rest.get(open..).and_then(|rest| rest.chars().next()) else { break };
        let inside = rest.get(open + mark.len_utf8()..).unwrap_or_default();
        let close: &[char] = match mark {
            '"' | '″' => &['"', '″'],
            '“' => &['”', '"'],
            '„' => &['“', '”'],
            '「' => &['」'],
            '『' => &['』'],
            '《' => &['》'],
            _ => &['`'],
        };
        // Inches and stray marks have no other end in their line.
        let end = inside.find(close).filter(|end| inside.get(..*end).is_some_and(|quoted| !quoted.contains('\n')));
        match end {
            Some(end) => {
                let quoted = inside.get(..end).unwrap_or_default();
                if !quoted.trim().is_empty() {
                    quotes.push(Quote { text: quoted, named: matches!(mark, '《' | '`') });
                }
                let after = inside.get(end..).and_then(|after| after.chars().next()).map_or(0, char::len_utf8);
                rest = inside.get(end + after..).unwrap_or_default();
            }
            None => rest = inside,
        }
    }
    quotes
}

/// A text without what typography and white space make of it: its letters and digits alone.
pub(super) fn squeezed(text: &str) -> String {
    let text: String = text.chars().map(plain).collect();
    folded(&text).chars().filter(|c| c.is_alphanumeric() || is_han(*c)).collect()
}

/// The parts of a quote that must be found: between marks of omission and insertion.
pub(super) fn parts(quote: &str) -> impl Iterator<Item = String> + '_ {
    let parts = quote.split("...").flat_map(|part| part.split(['…', '[', ']', '⋯']));
    parts.map(squeezed).filter(|part| !part.is_empty())
}

/// Whether code is made of what the source says: its words and flags one by one, for a command is put together.
pub(super) fn code_is_made_of(code: &str, source: &str) -> bool {
    let words = code.split(|c: char| c.is_whitespace() || matches!(c, '=' | ',' | ';' | '(' | ')' | '{' | '}' | '"' | '\''));
    words
        .filter(|word| !word.starts_with('<') && word.chars().any(char::is_alphabetic))
        .all(|word| source.contains(&squeezed(word)))
}
