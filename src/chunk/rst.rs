//! reStructuredText's lines: underlined headings, directives and literal blocks, grid tables, lists, paragraphs.

use super::outline::{Outline, RawLine, after_marker, raw_lines, strength};

/// A heading's style: its character, and whether it has a line above too.
type Style = (u8, bool);

#[allow(clippy::struct_excessive_bools, reason = "each says one independent thing of the lines above")]
struct Scanner<'o> {
    outline: &'o mut Outline,
    /// Styles in the order in which they came: that is what gives them their levels.
    styles: Vec<Style>,
    /// The indented block that is being read: where it starts, and the indent of the line that opened it.
    block: Option<(usize, usize)>,
    /// The grid table that is being read.
    table: Option<usize>,
    /// A blank line is above.
    blank: bool,
    /// The line above is a heading.
    heading: bool,
    /// A block ended above.
    ended: bool,
    /// A list's item is above.
    list: bool,
}

pub(super) fn scan(text: &str, outline: &mut Outline) {
    let mut scanner = Scanner {
        outline,
        styles: Vec::new(),
        block: None,
        table: None,
        blank: true,
        heading: false,
        ended: false,
        list: false,
    };
    // The two lines above, blank ones included.
    let mut above: [Option<RawLine<'_>>; 2] = [None, None];
    for line in raw_lines(text) {
        scanner.line(&line, above);
        above = [above[1], Some(line)];
    }
    for start in scanner.block.map(|(start, _)| start).into_iter().chain(scanner.table) {
        scanner.outline.blocks.push(start..text.len());
    }
}

impl Scanner<'_> {
    fn line(&mut self, line: &RawLine<'_>, above: [Option<RawLine<'_>>; 2]) {
        if line.is_blank() {
            self.blank = true;
            self.end_table(line.start);
            return;
        }
        let indent = line.indent();
        let trimmed = line.text.trim();
        if let Some((start, outer)) = self.block {
            if indent > outer {
                let strength = if self.blank { strength::NESTED } else { strength::ROW.saturating_sub(indent.min(20) as u8) };
                self.emit(line, strength, false);
                return;
            }
            self.outline.blocks.push(start..line.start);
            self.block = None;
            self.ended = true;
        }
        if self.table.is_some() {
            if trimmed.starts_with(['+', '|']) {
                self.emit(line, strength::ROW, false);
                return;
            }
            self.end_table(line.start);
        }
        if let Some((start, style, title)) = underlined(line, above) {
            self.emit(line, strength::GLUED, false);
            let level = self.level_of(style);
            self.outline.promote(start, line.end, level, &title);
            self.heading = true;
            self.list = false;
        } else if trimmed.starts_with("+-") || trimmed.starts_with("+=") {
            self.emit(line, strength::BLOCK, false);
            self.table = Some(line.start);
        } else if trimmed.starts_with(".. ") {
            self.emit(line, strength::BLOCK, false);
            self.block = Some((line.start, indent));
        } else {
            self.flow(line, indent, trimmed);
        }
    }

    fn flow(&mut self, line: &RawLine<'_>, indent: usize, trimmed: &str) {
        let strength = if after_marker(trimmed).is_some() {
            let opens = !self.list && self.blank;
            self.list = true;
            if opens { strength::BLOCK } else { strength::ITEM - 8 * (indent / 2).min(3) as u8 }
        } else if self.blank || self.ended {
            let in_item = self.list && indent >= 2;
            let ends_list = self.list && !in_item;
            self.list = in_item;
            if in_item {
                strength::NESTED
            } else if self.ended || ends_list {
                strength::BLOCK
            } else {
                strength::PARAGRAPH
            }
        } else {
            strength::LINE
        };
        self.emit(line, strength, true);
        // `::` announces a literal block: what is indented below belongs to it.
        if trimmed.ends_with("::") {
            self.block = Some((line.start, indent));
        }
    }

    fn emit(&mut self, line: &RawLine<'_>, strength: u8, prose: bool) {
        let strength = if self.heading { strength::GLUED } else { strength };
        self.outline.push_line(line.start, strength, prose);
        self.blank = false;
        self.heading = false;
        self.ended = false;
    }

    fn end_table(&mut self, end: usize) {
        if let Some(start) = self.table.take() {
            self.outline.blocks.push(start..end);
            self.ended = true;
        }
    }

    fn level_of(&mut self, style: Style) -> u8 {
        let known = self.styles.iter().position(|known| *known == style);
        let level = known.unwrap_or_else(|| {
            self.styles.push(style);
            self.styles.len() - 1
        });
        level.saturating_add(1).min(u8::MAX.into()) as u8
    }
}

/// The heading that ends with this line, if it is an underline: where it starts, its style and its text.
fn underlined(line: &RawLine<'_>, above: [Option<RawLine<'_>>; 2]) -> Option<(usize, Style, String)> {
    let mark = adornment(line.text)?;
    let title = above[1].filter(|title| !title.is_blank())?;
    let text = title.text.trim();
    let width = |text: &str| text.trim_end().chars().count();
    // Shorter underlines are a warning in docutils, and a heading all the same from four on.
    if adornment(title.text).is_some() || width(line.text) < width(text).min(4) {
        return None;
    }
    let overline = above[0].filter(|over| adornment(over.text) == Some(mark) && width(over.text) == width(line.text));
    let only_line = above[0].is_none_or(|over| over.is_blank());
    match overline {
        Some(over) => Some((over.start, (mark, true), text.to_string())),
        None if only_line && title.indent() == 0 => Some((title.start, (mark, false), text.to_string())),
        None => None,
    }
}

/// The character of a line that is made of one sign only, at least two of it.
fn adornment(text: &str) -> Option<u8> {
    let text = text.trim_end().as_bytes();
    let mark = *text.first().filter(|b| b.is_ascii_punctuation())?;
    (text.len() >= 2 && text.iter().all(|b| *b == mark)).then_some(mark)
}

#[cfg(test)]
#[allow(clippy::string_slice, reason = "tests fail by panicking")]
mod tests {
    use super::*;
    use crate::document::Markup;

    fn headings(text: &str) -> Vec<(u8, String)> {
        let outline = Outline::of(text, Markup::Rst);
        outline.sections.iter().skip(1).map(|section| (section.level, section.title.to_string())).collect()
    }

    #[test]
    fn levels_come_in_the_order_of_the_styles() {
        let text = "=====\nTitle\n=====\n\nintro\n\nOne\n===\n\nSub\n---\n\nTwo\n===\n\ntext\n";
        let expected = [(1, "Title"), (2, "One"), (3, "Sub"), (2, "Two")];
        assert_eq!(headings(text), expected.map(|(level, title)| (level, title.to_string())));
    }

    #[test]
    fn what_is_no_heading() {
        for text in [
            "a\n\n-----\n\nb\n",
            "====  ====\na     b\n====  ====\n1     2\n====  ====\n",
            "para\nof two\n------\n",
            "code::\n\n    a\n    ---\n",
            ".. note::\n   a\n   ===\n",
            "::\n",
        ] {
            assert_eq!(headings(text), [], "{text}");
        }
    }

    #[test]
    fn directives_literals_and_tables_are_blocks() {
        let text = "x\n\n.. code-block:: sh\n\n   a\n\n   b\n\nlike so::\n\n  y\n\nz\n\n+--+\n|a |\n+--+\nend\n";
        let blocks: Vec<_> =
            Outline::of(text, Markup::Rst).blocks.into_iter().map(|range| text[range].trim_end().to_string()).collect();
        assert_eq!(blocks, [".. code-block:: sh\n\n   a\n\n   b", "like so::\n\n  y", "+--+\n|a |\n+--+"]);
    }
}
