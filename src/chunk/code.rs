//! Source code's lines, in any language: blank lines, then the indent, then lines that only close what is above.

use super::outline::{Outline, raw_lines, strength};

pub(super) fn scan(text: &str, outline: &mut Outline) {
    let mut blank = true;
    let mut above_indent = 0;
    // The line above is a comment, an attribute or a decorator: it belongs to what follows.
    let mut leads = false;
    for line in raw_lines(text) {
        if line.is_blank() {
            blank = true;
            continue;
        }
        let indent = line.indent();
        let trimmed = line.text.trim();
        let closes = closes(trimmed);
        let depth = (indent / 4).min(7) as u8;
        let strength = match (blank, depth) {
            _ if closes => strength::GLUED,
            (true, 0) => strength::HEADING,
            (true, _) => strength::NESTED + 16 - 4 * depth,
            (false, _) if leads => strength::WORD,
            // Where no blank line parts two definitions, the return to the left margin does.
            (false, 0) if above_indent > 0 => strength::NESTED,
            (false, _) => strength::ROW - 2 * depth,
        };
        outline.push_line(line.start, strength, false);
        leads = leads_on(trimmed);
        // `}` at the margin ends a definition as a dedent does.
        above_indent = if closes { indent + 1 } else { indent };
        blank = false;
    }
}

/// A line that closes or continues the block above.
fn closes(trimmed: &str) -> bool {
    const WORDS: [&str; 9] = ["end", "else", "elif", "elsif", "except", "catch", "finally", "fi", "done"];
    let word = trimmed.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap_or_default();
    let may = |word: &str| word.starts_with(['e', 'c', 'f', 'd']) && WORDS.contains(&word);
    trimmed.starts_with(['}', ')', ']']) || trimmed.starts_with("</") || may(word)
}

/// A comment, an attribute or a decorator.
fn leads_on(trimmed: &str) -> bool {
    let sign = trimmed.as_bytes().first().is_some_and(u8::is_ascii_punctuation);
    sign && ["//", "#", "@", "--", "/*", "*", ";;", "%%", "'''", "\"\"\""].iter().any(|opens| trimmed.starts_with(opens))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use super::*;
    use crate::document::Markup;

    #[test]
    fn definitions_before_statements_before_closers() {
        let text = "use a;\nuse b;\n\n/// Doc.\nfn a() {\n    one();\n\n    two();\n    if x {\n        three();\n    }\n}\nfn b() {}\n";
        let outline = Outline::of(text, Markup::Code);
        let of = |line: &str| {
            let at = text.find(line).unwrap() as u32;
            outline.lines.iter().find(|line| line.start == at).unwrap().strength
        };
        let order = ["}\nfn b", "fn a", "        three", "    if x", "use b", "fn b", "    two", "/// Doc"].map(of);
        assert!(order.is_sorted(), "{order:?}");
    }
}
