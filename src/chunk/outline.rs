//! What a document's lines say about where to cut: how good a border each line's start is, and the tree of headings.

use std::ops::Range;
use std::sync::Arc;

/// How good a border is, 0–255. Only the differences matter, and only against the penalties in [`super::cut`], which
/// are taken from a border that would leave the chunk poorly filled.
pub(super) mod strength {
    /// Before a heading; before a top-level definition of source code.
    pub const HEADING: u8 = 200;
    /// Before and after a code fence, a table, a list.
    pub const BLOCK: u8 = 150;
    /// After a blank line.
    pub const PARAGRAPH: u8 = 144;
    /// Before a line that is a record of its own, or a list's item.
    pub const ITEM: u8 = 112;
    /// Between paragraphs of one list item, or of one block of source code.
    pub const NESTED: u8 = 100;
    /// Before a block that the line above announces with a colon.
    pub const ANNOUNCED: u8 = 90;
    /// Between sentences.
    pub const SENTENCE: u8 = 80;
    /// Before a table's row or a line of code.
    pub const ROW: u8 = 66;
    /// Before a line inside a paragraph.
    pub const LINE: u8 = 56;
    /// Before the line below a table's header, where both are too long for one chunk: better than inside either.
    pub const RULE: u8 = 50;
    /// After a comma, a semicolon or a colon.
    pub const CLAUSE: u8 = 48;
    /// Before a word.
    pub const WORD: u8 = 40;
    /// Between two characters of a script that writes no blanks.
    pub const IDEOGRAPH: u8 = 36;
    /// After a sign inside a run without blanks: a path, an address, minified code.
    pub const SIGN: u8 = 28;
    /// Where Unicode sees a border between words.
    pub const SEGMENT: u8 = 20;
    /// Between graphemes.
    pub const GRAPHEME: u8 = 12;
    /// Before a line that closes what is above it, or belongs to a heading above it.
    pub const GLUED: u8 = 4;
}

/// A line that is not blank.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Line {
    /// Its first byte.
    pub start: u32,
    /// How good a border that is.
    pub strength: u8,
    /// Whether sentences mean something in it.
    pub prose: bool,
}

/// A heading and what is below it, up to the next heading of any level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Section {
    /// The heading's first byte.
    pub start: usize,
    /// The first byte after the heading.
    pub body: usize,
    /// 1 is the outermost. 0: what stands before the first heading.
    pub level: u8,
    /// The section that this one is in, by index.
    pub parent: Option<u32>,
    /// The heading's text. Empty at level 0.
    pub title: Arc<str>,
}

/// A table of which any row may begin a chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Table {
    /// Where it begins: at its header, if that belongs to the block that is kept whole.
    pub start: usize,
    /// What stands below the header: in Markdown the line between, then the rows.
    pub body: Range<usize>,
    /// Its header row: the names of the columns.
    pub columns: Arc<str>,
    /// Whether each line is a row of cells between `|`.
    pub lined: bool,
}

/// A document's lines, sections and blocks.
#[derive(Debug, Default)]
pub(super) struct Outline {
    /// Every line that is not blank, ascending.
    pub lines: Vec<Line>,
    /// Ascending, without gaps. The first starts at 0.
    pub sections: Vec<Section>,
    /// Code fences and tables, to be kept whole where they fit. Ascending, without overlaps.
    pub blocks: Vec<Range<usize>>,
    /// Ascending, without overlaps.
    pub tables: Vec<Table>,
}

/// The longest header row kept, in bytes.
const COLUMNS: usize = 2048;
/// So far into a row its columns are counted, in bytes: for each of the chunks of a row of megabytes they would be counted anew.
const ROW: usize = 256 * 1024;
/// The longest title kept, in bytes: a "heading" of a megabyte is not one.
const TITLE: usize = 256;

impl Outline {
    pub(super) fn push_line(&mut self, start: usize, strength: u8, prose: bool) {
        self.lines.push(Line { start: start as u32, strength, prose });
    }

    /// A heading in `start..body`.
    pub(super) fn open_section(&mut self, start: usize, body: usize, level: u8, title: &str) {
        let mut parent = self.sections.len().checked_sub(1).map(|last| last as u32);
        while let Some(section) = parent.and_then(|i| self.sections.get(i as usize)) {
            if section.level > 0 && section.level < level {
                break;
            }
            parent = section.parent;
        }
        let title = title.get(..title.floor_char_boundary(TITLE)).unwrap_or_default();
        self.sections.push(Section { start, body, level, parent, title: title.into() });
    }

    /// Turns the lines from byte `start` on into a heading that ends at `body`.
    pub(super) fn promote(&mut self, start: usize, body: usize, level: u8, title: &str) {
        for line in self.lines.iter_mut().rev().take_while(|line| line.start as usize >= start) {
            let opens = line.start as usize == start;
            line.strength = if opens { strength::HEADING } else { strength::GLUED };
            line.prose = false;
        }
        self.open_section(start, body, level, title);
    }

    /// A table from `start` on with this header row above its `body`; see [`Table`].
    pub(super) fn push_table(&mut self, start: usize, body: Range<usize>, columns: &str, lined: bool) {
        let columns = columns.trim();
        let columns = columns.get(..columns.floor_char_boundary(COLUMNS)).unwrap_or_default();
        if !body.is_empty() && !columns.is_empty() {
            self.tables.push(Table { start, body, columns: columns.into(), lined });
        }
    }

    fn table_at(&self, byte: usize) -> Option<&Table> {
        let before = self.tables.partition_point(|table| table.start <= byte);
        self.tables.get(before.checked_sub(1)?).filter(|table| byte < table.body.end)
    }

    /// The header row above a byte, where it is in a table below that row. Inside a row of Markdown, which was too long for one
    /// chunk, these are the names of the columns from there on.
    pub(super) fn columns_at(&self, byte: usize, text: &str) -> Option<Arc<str>> {
        let table = self.table_at(byte).filter(|table| table.body.start <= byte)?;
        if self.rest_of_row(byte, text).is_none() {
            return Some(Arc::clone(&table.columns));
        }
        let before = self.line_before(byte, text)?.trim_start();
        if before.len() > ROW {
            return None;
        }
        if before.starts_with('|') != table.columns.starts_with('|') {
            return None;
        }
        let before = borders(before).count();
        // The rest of a cell goes on below its column's name; what begins with its border is below the next one's.
        let next = usize::from(text.get(byte..)?.starts_with('|'));
        let (at, _) = borders(&table.columns).nth((before + next).checked_sub(1)?)?;
        table.columns.get(at..).filter(|rest| rest.len() > 1).map(Arc::from)
    }

    /// Where the row of a table of Markdown ends that a byte is inside of, not at its beginning.
    pub(super) fn rest_of_row(&self, byte: usize, text: &str) -> Option<usize> {
        let table = self.table_at(byte).filter(|table| table.lined)?;
        let inside = byte > table.start && !self.line_before(byte, text)?.trim_start().is_empty();
        let next = self.lines.get(self.lines_until(byte)).map_or(table.body.end, |next| next.start as usize);
        inside.then_some(next.min(table.body.end))
    }

    /// How many lines begin at a byte or before it.
    fn lines_until(&self, byte: usize) -> usize {
        self.lines.partition_point(|line| line.start as usize <= byte)
    }

    /// What stands before a byte on its line.
    fn line_before<'t>(&self, byte: usize, text: &'t str) -> Option<&'t str> {
        let line = self.lines.get(self.lines_until(byte).checked_sub(1)?)?;
        text.get(line.start as usize..byte)
    }

    /// Whether a byte is inside a table of Markdown, below its first byte.
    pub(super) fn is_in_rows(&self, byte: usize) -> bool {
        self.table_at(byte).is_some_and(|table| table.lined && table.start < byte)
    }

    /// The section that a byte is in.
    pub(super) fn section_at(&self, byte: usize) -> usize {
        self.sections.partition_point(|section| section.start <= byte).saturating_sub(1)
    }

    /// Where a section's own text ends: at the next heading, or at the text's end.
    pub(super) fn own_end(&self, section: usize, text: &str) -> usize {
        self.sections.get(section + 1).map_or(text.len(), |next| next.start)
    }

    /// Whether a section is a heading and nothing else.
    pub(super) fn is_bare(&self, section: usize, text: &str) -> bool {
        let own = self.sections.get(section).map(|own| own.body..self.own_end(section, text));
        own.and_then(|own| text.get(own)).is_none_or(|own| own.trim_start_matches('\u{feff}').trim_start().is_empty())
    }

    /// The headings above a piece of the text, its own included, outermost first. A piece that begins with bare headings and is
    /// otherwise about the last of them is below that one.
    pub(super) fn path_of(&self, span: &Range<usize>, text: &str) -> Vec<Arc<str>> {
        let first = self.section_at(span.start);
        let last = self.section_at(span.end.saturating_sub(1));
        let opens = self.sections.get(first).is_some_and(|section| section.body > span.start);
        let mut deepest = first;
        while opens && deepest < last && self.is_bare(deepest, text) {
            deepest += 1;
        }
        let section = if self.is_within(last, deepest) { deepest } else { first };
        self.path(section)
    }

    /// Whether a section is another one or below it.
    fn is_within(&self, section: usize, outer: usize) -> bool {
        let mut at = Some(section);
        while let Some(here) = at.filter(|here| *here > outer) {
            at = self.sections.get(here).and_then(|section| section.parent).map(|parent| parent as usize);
        }
        at == Some(outer)
    }

    fn path(&self, section: usize) -> Vec<Arc<str>> {
        let mut path = Vec::new();
        let mut section = self.sections.get(section);
        while let Some(here) = section {
            if !here.title.is_empty() {
                path.push(Arc::clone(&here.title));
            }
            section = here.parent.and_then(|parent| self.sections.get(parent as usize));
        }
        path.reverse();
        path
    }
}

/// The `|` between cells.
fn borders(row: &str) -> impl Iterator<Item = (usize, &str)> {
    row.match_indices('|').filter(|(at, _)| !row.get(..*at).is_some_and(|before| before.ends_with('\\')))
}

/// A line of a text with where it starts; `text` is without its line break.
#[derive(Clone, Copy)]
pub(super) struct RawLine<'t> {
    pub start: usize,
    /// The next line's start.
    pub end: usize,
    pub text: &'t str,
}

impl RawLine<'_> {
    pub(super) fn is_blank(&self) -> bool {
        self.text.trim_start().is_empty()
    }

    /// Columns before the first character, a tab being four.
    pub(super) fn indent(&self) -> usize {
        self.text.bytes().take_while(|b| matches!(b, b' ' | b'\t')).map(|b| if b == b'\t' { 4 } else { 1 }).sum()
    }
}

/// The lines of a text. A byte order mark belongs to none.
pub(super) fn raw_lines(text: &str) -> impl Iterator<Item = RawLine<'_>> {
    let mut next = 0;
    std::iter::from_fn(move || {
        // Bytes, not `split`: on short lines a search set up anew for each costs more than the lines.
        let rest = text.as_bytes().get(next..).filter(|rest| !rest.is_empty())?;
        let length = rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |at| at + 1);
        let bom = if next == 0 && text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
        let (start, end) = (next + bom, next + length);
        let line = text.get(start..end).unwrap_or_default();
        let line = line.strip_suffix('\n').unwrap_or(line);
        next = end;
        Some(RawLine { start, end, text: line.strip_suffix('\r').unwrap_or(line) })
    })
}

/// The rest of a list item's line after its marker: `- `, `* `, `+ `, `1. `, `1) `, `•`.
pub(super) fn after_marker(trimmed: &str) -> Option<&str> {
    let numbered = || {
        let digits = trimmed.bytes().take(10).take_while(u8::is_ascii_digit).count();
        trimmed.get(digits..).filter(|_| (1..=9).contains(&digits))?.strip_prefix(['.', ')'])
    };
    let rest = trimmed.strip_prefix(['-', '*', '+', '•', '‣', '◦']).or_else(numbered)?;
    (rest.is_empty() || rest.starts_with([' ', '\t'])).then_some(rest)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use super::*;
    use crate::document::Markup;

    #[test]
    fn a_section_knows_what_it_is_in() {
        let text_of = "# A\n## B\n#### C\n## D\ntext\n# E\n";
        let outline = Outline::of(text_of, Markup::Markdown);
        let path = |text: &str| {
            let at = text_of.find(text).unwrap();
            outline.path_of(&(at..at + 1), text_of).iter().map(ToString::to_string).collect::<Vec<_>>().join(">")
        };
        assert_eq!(path("# A"), "A");
        assert_eq!(path("#### C"), "A>B>C");
        assert_eq!(path("text"), "A>D");
        assert_eq!(path("# E"), "E");
        let titles = |span| outline.path_of(&span, text_of).join(">");
        assert_eq!(titles(0..15), "A>B>C", "bare headings and the section below them");
        assert_eq!(titles(0..text_of.len()), "A", "more than one section");
    }

    #[test]
    fn markers_of_lists() {
        assert_eq!(after_marker("- a"), Some(" a"));
        assert_eq!(after_marker("12) a"), Some(" a"));
        for not in ["-a", "1.5 litres", "1234567890. a", "text", "**bold**", "--- a"] {
            assert_eq!(after_marker(not), None, "{not}");
        }
    }
}
