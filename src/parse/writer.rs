//! Markdown that is written block by block, for documents whose paragraphs know what they are.

use super::markdown::fence_for;
use super::table::Table;

/// One block of a document.
#[derive(Debug, Clone)]
pub(super) enum Block {
    /// A heading: level from 1, text.
    Heading(usize, String),
    /// A paragraph; line breaks within it are kept.
    Paragraph(String),
    /// An item of a list: how deep it is nested (from 0), its label as shown, its text.
    Item(usize, String, String),
    /// A line of a listing.
    Code(String),
    /// A table.
    Table(Table),
}

impl Block {
    /// Its text on its own, for a cell or a note.
    pub(super) fn plain(&self) -> String {
        match self {
            Self::Heading(_, text) | Self::Paragraph(text) | Self::Code(text) => text.clone(),
            Self::Item(_, label, text) if label.is_empty() => text.clone(),
            Self::Item(_, label, text) => format!("{label} {text}"),
            Self::Table(table) => table.to_markdown(),
        }
    }

    /// Its text in a cell of a table: of a table there the values, so that the one around it stays a table.
    pub(super) fn in_cell(&self) -> String {
        match self {
            Self::Table(table) => table.to_values(),
            other => other.plain(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Last {
    #[default]
    Block,
    Item,
}

/// The text so far.
#[derive(Debug, Default)]
pub(super) struct Writer {
    text: String,
    last: Last,
    /// Lines of a listing that is not closed yet.
    code: Vec<String>,
}

impl Writer {
    pub(super) fn block(&mut self, block: &Block) {
        if let Block::Code(line) = block {
            self.code.push(line.clone());
            return;
        }
        self.close_code();
        match block {
            Block::Heading(level, text) => self.heading(*level, text),
            Block::Paragraph(text) => self.paragraph(text),
            Block::Item(depth, label, text) => self.item(*depth, label, text),
            Block::Table(table) => self.raw(&table.to_markdown()),
            Block::Code(_) => {}
        }
    }

    /// A heading; nothing if it is blank. It is on one line, whatever it was on.
    pub(super) fn heading(&mut self, level: usize, text: &str) {
        let text: Vec<&str> = text.split_whitespace().collect();
        if text.is_empty() {
            return;
        }
        self.begin(Last::Block);
        self.text.push_str(&"#".repeat(level.clamp(1, 6)));
        self.text.push(' ');
        self.text.push_str(&text.join(" "));
    }

    pub(super) fn paragraph(&mut self, text: &str) {
        let text = text.trim();
        if text.is_empty() {
            return;
        }
        self.begin(Last::Block);
        for (i, line) in text.lines().map(str::trim).filter(|line| !line.is_empty()).enumerate() {
            if i > 0 {
                self.text.push('\n');
            }
            push_line(&mut self.text, line, i > 0);
        }
    }

    pub(super) fn item(&mut self, depth: usize, label: &str, text: &str) {
        let text = text.trim();
        if text.is_empty() {
            return;
        }
        self.begin(Last::Item);
        let indent = "  ".repeat(depth.min(8));
        for (i, line) in text.lines().map(str::trim).filter(|line| !line.is_empty()).enumerate() {
            if i > 0 {
                self.text.push('\n');
            }
            self.text.push_str(&indent);
            if i > 0 {
                self.text.push_str("  ");
                push_line(&mut self.text, line, true);
            } else if label.is_empty() {
                push_line(&mut self.text, line, false);
            } else {
                self.text.push_str(label);
                self.text.push(' ');
                self.text.push_str(line);
            }
        }
    }

    /// Markdown that is one already.
    pub(super) fn raw(&mut self, markdown: &str) {
        let markdown = markdown.trim_matches('\n');
        if markdown.trim().is_empty() {
            return;
        }
        self.begin(Last::Block);
        self.text.push_str(markdown);
    }

    /// Bytes so far.
    pub(super) fn len(&self) -> usize {
        self.text.len()
    }

    pub(super) fn finish(mut self) -> String {
        self.close_code();
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.text
    }

    /// Items that follow each other stay together; all else has a blank line before it.
    fn begin(&mut self, next: Last) {
        if !self.text.is_empty() {
            self.text.push_str(if self.last == Last::Item && next == Last::Item { "\n" } else { "\n\n" });
        }
        self.last = next;
    }

    fn close_code(&mut self) {
        let lines = std::mem::take(&mut self.code);
        let code = lines.join("\n");
        if code.trim().is_empty() {
            return;
        }
        let fence = fence_for(&code);
        let code = code.trim_matches('\n');
        self.raw(&format!("{fence}\n{code}\n{fence}"));
    }
}

/// A line of prose, which must not be taken for a heading, the rule under one, or a fence.
fn push_line(out: &mut String, line: &str, follows: bool) {
    let bare = line.trim_start_matches('#');
    let marks = line.len() - bare.len();
    let is_heading = (1..=6).contains(&marks) && bare.starts_with([' ', '\t']);
    let is_rule = follows && (line.bytes().all(|b| b == b'=') || line.bytes().all(|b| b == b'-'));
    if is_heading || is_rule || line.starts_with("```") || line.starts_with("~~~") {
        out.push('\\');
    }
    out.push_str(line);
}

/// A link as Markdown, where it leads out of the file and its text is not the address itself.
pub(super) fn link(text: &str, target: &str) -> String {
    let shown = text.trim();
    let outside = ["http://", "https://", "mailto:", "ftp://"].iter().any(|scheme| target.starts_with(scheme));
    let same = shown == target || target.strip_prefix("mailto:").is_some_and(|address| address == shown);
    if !outside || same || shown.is_empty() || target.contains(char::is_whitespace) || text.contains(['\n', '[']) {
        return text.to_owned();
    }
    let before = text.len() - text.trim_start().len();
    let after = text.len() - text.trim_end().len();
    let blank = |on: bool| if on { " " } else { "" };
    format!("{}[{shown}]({target}){}", blank(before > 0), blank(after > 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_told_apart() {
        let mut out = Writer::default();
        for block in [
            Block::Heading(1, "Two\nlines".to_owned()),
            Block::Paragraph("# no heading\nTitle\n---".to_owned()),
            Block::Item(0, "1.".to_owned(), "one".to_owned()),
            Block::Item(1, "(a)".to_owned(), "two\nmore".to_owned()),
            Block::Code("a".to_owned()),
            Block::Code("  b".to_owned()),
            Block::Paragraph(" ".to_owned()),
        ] {
            out.block(&block);
        }
        assert_eq!(
            out.finish(),
            "# Two lines\n\n\\# no heading\nTitle\n\\---\n\n1. one\n  (a) two\n    more\n\n```\na\n  b\n```\n"
        );
    }

    #[test]
    fn links() {
        assert_eq!(link("the site ", "https://e.org/"), "[the site](https://e.org/) ");
        assert_eq!(link("a@e.org", "mailto:a@e.org"), "a@e.org");
        assert_eq!(link("next", "#chapter"), "next");
    }
}
