//! Blocks while they are written: paragraphs, headings, lists, listings.

use super::line::Line;

/// What sort of block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Paragraph,
    Heading,
    List,
    /// Listings, tables, quotations, and what else is finished.
    Other,
}

/// Blocks one after another, and the paragraph that is being written.
#[derive(Debug, Default)]
pub(super) struct Flow {
    blocks: Vec<(Kind, String)>,
    pub(super) line: Line,
}

impl Flow {
    /// Ends the paragraph.
    pub(super) fn end_line(&mut self) {
        if self.line.is_empty() {
            // Breaks before the first word.
            self.line.take(true);
            return;
        }
        let text = self.line.take(true);
        for paragraph in text.split("\n\n").filter(|p| !p.trim().is_empty()) {
            self.blocks.push((Kind::Paragraph, escaped(paragraph.trim_matches('\n'))));
        }
    }

    /// Ends the paragraph and makes it a heading, on one line and without marks, of this name.
    pub(super) fn end_heading(&mut self, level: usize, name: &str) {
        let words = self.line.take(false).split_whitespace().collect::<Vec<_>>().join(" ");
        if !words.is_empty() {
            self.blocks.push((Kind::Heading, format!("{} {name}{words}", "#".repeat(level.clamp(1, 6)))));
        }
    }

    /// Adds a finished block.
    pub(super) fn push(&mut self, kind: Kind, block: String) {
        self.end_line();
        if !block.trim().is_empty() {
            self.blocks.push((kind, block));
        }
    }

    /// Where the next block will be.
    pub(super) fn mark(&mut self) -> usize {
        self.end_line();
        self.blocks.len()
    }

    /// Puts the short paragraph that was begun at a mark before the paragraph that follows it: a footnote's number.
    pub(super) fn join_label(&mut self, mark: usize) {
        self.end_line();
        let joined = match self.blocks.get(mark..) {
            Some([(Kind::Paragraph, label), (Kind::Paragraph, text), ..]) if label.chars().count() <= 6 => {
                format!("{label} {text}")
            }
            _ => return,
        };
        self.blocks.remove(mark);
        if let Some((_, text)) = self.blocks.get_mut(mark) {
            *text = joined;
        }
    }

    /// All of it.
    pub(super) fn finish(mut self) -> String {
        self.end_line();
        join(&self.blocks, false)
    }

    /// As an item of a list: after its mark, further lines indented.
    pub(super) fn finish_item(mut self, mark: &str) -> String {
        self.end_line();
        let text = join(&self.blocks, true);
        if text.is_empty() { text } else { prefixed(&text, mark, &" ".repeat(mark.len())) }
    }

    /// As a quotation.
    pub(super) fn finish_quote(self) -> String {
        let text = self.finish();
        if text.is_empty() { text } else { prefixed(&text, "> ", "> ") }
    }

    /// Its only paragraph, if there is nothing else.
    pub(super) fn finish_short(mut self) -> Result<String, String> {
        self.end_line();
        match self.blocks.as_slice() {
            [(Kind::Paragraph, text)] if !text.contains('\n') => Ok(text.clone()),
            blocks => Err(join(blocks, false)),
        }
    }
}

fn join(blocks: &[(Kind, String)], tight: bool) -> String {
    let mut out = String::new();
    let mut before = None;
    for (kind, block) in blocks {
        match before {
            None => {}
            Some(Kind::Paragraph) if tight && *kind == Kind::List => out.push('\n'),
            Some(_) => out.push_str("\n\n"),
        }
        out.push_str(block);
        before = Some(*kind);
    }
    out
}

/// Puts something before the first and the further lines. Listings stay as they are, at the edge: their blanks are theirs.
fn prefixed(text: &str, first: &str, further: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 16);
    let mut fence: Option<&str> = None;
    for (n, line) in text.split('\n').enumerate() {
        if n > 0 {
            out.push('\n');
        }
        let ticks = line.get(..line.len() - line.trim_start_matches('`').len()).unwrap_or_default();
        match fence {
            Some(open) => {
                if line == open {
                    fence = None;
                }
            }
            None if ticks.len() >= 3 => {
                fence = Some(ticks);
                if n == 0 {
                    // The item begins with a listing.
                    out.push_str(first.trim_end());
                    out.push('\n');
                }
            }
            None if n == 0 => out.push_str(first),
            None if line.is_empty() => out.push_str(further.trim_end()),
            None => out.push_str(further),
        }
        out.push_str(line);
    }
    out
}

/// Keeps a line of text from being taken for a heading, the line under one, or a fence.
fn escaped(paragraph: &str) -> String {
    let mut out = String::with_capacity(paragraph.len() + 1);
    for (n, line) in paragraph.split('\n').enumerate() {
        if n > 0 {
            out.push('\n');
        }
        let after = line.trim_start_matches('#');
        let heading = (1..=6).contains(&(line.len() - after.len())) && (after.is_empty() || after.starts_with(' '));
        let rule = !line.is_empty() && (line.bytes().all(|b| b == b'=') || line.bytes().all(|b| b == b'-'));
        if heading || rule || line.starts_with("```") || line.starts_with("~~~") {
            out.push('\\');
        }
        out.push_str(line);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped_where_it_would_be_markup() {
        for (text, written) in [
            ("# no heading", "\\# no heading"),
            ("#hashtag", "#hashtag"),
            ("a\n---", "a\n\\---"),
            ("x=None + a_b * c", "x=None + a_b * c"),
            ("+ 1. -", "+ 1. -"),
        ] {
            assert_eq!(escaped(text), written);
        }
    }

    #[test]
    fn listings_in_items_keep_their_blanks() {
        let mut item = Flow::default();
        item.line.push("Run");
        item.push(Kind::Other, "```\n  a\n\n    b\n```".to_owned());
        item.line.push("and wait.");
        assert_eq!(item.finish_item("1. "), "1. Run\n\n```\n  a\n\n    b\n```\n\n   and wait.");
    }
}
