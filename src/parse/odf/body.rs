//! What is in an `OpenDocument` text: paragraphs, lists, tables, boxes.

use super::super::table::{Cell, Table};
use super::super::title;
use super::super::writer::Block;
use super::super::xml::Element;
use super::inline::{Attached, Inline};
use super::lists::Lists;
use super::styles::Styles;

/// Lists in lists, tables in tables, boxes in boxes.
const MAX_NESTING: usize = 40;
/// Columns that a cell of a text's table covers, or is repeated over.
const MAX_COLUMNS: usize = 500;
/// Rows of a text's table that one row stands for.
const MAX_REPEATED: usize = 100;

/// Reads what is in a text.
pub(super) struct Reader<'a> {
    pub(super) styles: &'a Styles,
    lists: Lists,
    /// The first paragraph in the style "Title".
    pub(super) own: Option<String>,
    notes: usize,
    /// What follows a table because there is no place for it within.
    after: Vec<Block>,
    nesting: usize,
    in_table: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(styles: &'a Styles) -> Self {
        Self { styles, lists: Lists::default(), own: None, notes: 0, after: Vec::new(), nesting: 0, in_table: 0 }
    }

    pub(super) fn blocks(&mut self, container: &'a Element, out: &mut Vec<Block>) {
        if self.nesting > MAX_NESTING {
            return;
        }
        self.nesting += 1;
        for e in container.children() {
            match e.name() {
                "text:h" => {
                    let level: usize = e.number("outline-level").or_else(|| e.number("level")).unwrap_or(1);
                    let label = self.lists.heading(self.styles, level, e.attribute("is-list-header") == Some("true"));
                    self.paragraph(e, out, |text| Block::Heading(level.max(1), format!("{label}{text}")));
                }
                "text:p" => {
                    let style = e.attribute("style-name");
                    if self.styles.is(style, "title") {
                        let text = self.paragraph(e, out, |text| Block::Heading(1, text.to_owned()));
                        self.own = self.own.take().or_else(|| title::clean(&text));
                    } else if let Some(level) = self.styles.outline(style) {
                        self.paragraph(e, out, |text| Block::Heading(level, text.to_owned()));
                    } else if self.styles.is(style, "preformatted_20_text") || self.styles.is(style, "source_20_code") {
                        self.paragraph(e, out, |text| Block::Code(text.to_owned()));
                    } else {
                        self.paragraph(e, out, |text| Block::Paragraph(text.to_owned()));
                    }
                }
                "text:list" | "text:ordered-list" | "text:unordered-list" => self.list(e, None, 0, out),
                "table:table" => self.table(e, out),
                // Changes that were taken out, and what only declares something.
                "text:tracked-changes"
                | "text:sequence-decls"
                | "text:variable-decls"
                | "text:user-field-decls"
                | "office:forms"
                | "text:index-title-template"
                | "text:table-of-content-source"
                | "office:scripts"
                | "office:styles"
                | "office:automatic-styles"
                | "office:master-styles"
                | "presentation:notes" => {}
                "draw:frame" | "draw:g" | "draw:custom-shape" | "draw:rect" | "draw:ellipse" | "draw:line" | "draw:a" => {
                    let mut inline = Inline::new(self.styles, self.notes);
                    inline.drawing(e);
                    self.hang(inline, out, |text| Block::Paragraph(text.to_owned()));
                }
                "office:annotation" => {
                    let mut inline = Inline::new(self.styles, self.notes);
                    inline.comment(e);
                    self.hang(inline, out, |text| Block::Paragraph(text.to_owned()));
                }
                _ => self.blocks(e, out),
            }
        }
        self.nesting -= 1;
    }

    fn paragraph(&mut self, e: &'a Element, out: &mut Vec<Block>, block: impl FnOnce(&str) -> Block) -> String {
        let mut inline = Inline::new(self.styles, self.notes);
        inline.read(e);
        self.hang(inline, out, block)
    }

    /// Adds a line, and what belongs to it.
    fn hang(&mut self, inline: Inline<'a, '_>, out: &mut Vec<Block>, block: impl FnOnce(&str) -> Block) -> String {
        self.notes = inline.notes;
        let text = inline.text.trim().to_owned();
        if !text.is_empty() {
            out.push(block(&text));
        }
        for attached in inline.attached {
            match attached {
                Attached::Box(content) => self.blocks(content, out),
                Attached::Table(table) => self.table(table, out),
                Attached::Note(mark, body) => {
                    let said = self.plain(body);
                    self.later(format!("[^{mark}]: {said}"), out);
                }
                Attached::Comment(author, said) => {
                    let by = if author.is_empty() { String::new() } else { format!(" by {author}") };
                    self.later(format!("> Comment{by}: {said}"), out);
                }
            }
        }
        text
    }

    fn later(&mut self, text: String, out: &mut Vec<Block>) {
        if self.in_table > 0 { self.after.push(Block::Paragraph(text)) } else { out.push(Block::Paragraph(text)) }
    }

    fn plain(&mut self, container: &'a Element) -> String {
        let mut blocks = Vec::new();
        self.blocks(container, &mut blocks);
        let text: Vec<String> = blocks.iter().map(Block::plain).collect();
        text.join(" ").split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// A list. Lists within take their marks from the style of the outermost.
    fn list(&mut self, list: &'a Element, outer: Option<&'a str>, depth: usize, out: &mut Vec<Block>) {
        if self.nesting > MAX_NESTING {
            return;
        }
        self.nesting += 1;
        let style = list.attribute("style-name").or(outer);
        self.lists.begin(
            style,
            depth,
            list.attribute("continue-numbering") == Some("true") || list.attribute("continue-list").is_some(),
        );
        for item in list.children() {
            let counted = item.name() == "text:list-item";
            let mut label =
                if counted { self.lists.next(self.styles, style, depth, item.number("start-value")) } else { String::new() };
            for e in item.children() {
                match e.name() {
                    "text:list" | "text:ordered-list" | "text:unordered-list" => self.list(e, style, depth + 1, out),
                    "text:h" => {
                        let level: usize = e.number("outline-level").unwrap_or(1);
                        let label = std::mem::take(&mut label);
                        let label = if label == "-" || label.is_empty() { String::new() } else { format!("{label} ") };
                        self.paragraph(e, out, |text| Block::Heading(level.max(1), format!("{label}{text}")));
                    }
                    "text:p" => {
                        let label = std::mem::take(&mut label);
                        self.paragraph(e, out, |text| Block::Item(depth, label, text.to_owned()));
                    }
                    _ => self.blocks(e, out),
                }
            }
        }
        self.nesting -= 1;
    }

    fn table(&mut self, table: &'a Element, out: &mut Vec<Block>) {
        if self.nesting > MAX_NESTING {
            return;
        }
        self.nesting += 1;
        let mut rows: Vec<(&'a Element, bool)> = Vec::new();
        rows_of(table, false, &mut rows);
        let cells = |row: &'a Element| row.named("table:table-cell");
        if rows.iter().all(|(row, _)| row.children().count() <= 1) {
            // A frame around text.
            for (row, _) in rows {
                cells(row).for_each(|cell| self.blocks(cell, out));
            }
            self.nesting -= 1;
            return;
        }
        self.in_table += 1;
        let mut built = Vec::new();
        for (row, header) in rows {
            let mut line = Vec::new();
            for cell in cells(row) {
                let mut blocks = Vec::new();
                self.blocks(cell, &mut blocks);
                let text: Vec<String> = blocks.iter().map(Block::in_cell).collect();
                let span = |name: &str| cell.number::<usize>(name).unwrap_or(1).clamp(1, MAX_COLUMNS);
                let repeated = span("number-columns-repeated");
                let shown = Cell {
                    text: text.join("\n"),
                    header,
                    columns: span("number-columns-spanned"),
                    rows: span("number-rows-spanned"),
                };
                let room = MAX_COLUMNS.saturating_sub(line.len());
                line.extend(std::iter::repeat_n(shown, repeated.min(room)));
            }
            let times = row.number::<usize>("number-rows-repeated").unwrap_or(1).clamp(1, MAX_REPEATED);
            let times = if line.iter().all(|cell| cell.text.trim().is_empty()) { 1 } else { times };
            built.extend(std::iter::repeat_n(line, times));
        }
        self.in_table -= 1;
        self.nesting -= 1;
        out.push(Block::Table(Table { rows: built, caption: None }));
        if self.in_table == 0 {
            out.append(&mut self.after);
        }
    }
}

/// The rows of a table, and whether they name its columns.
fn rows_of<'a>(table: &'a Element, header: bool, out: &mut Vec<(&'a Element, bool)>) {
    for e in table.children() {
        match e.name() {
            "table:table-row" => out.push((e, header)),
            "table:table-header-rows" => rows_of(e, true, out),
            "table:table-rows" | "table:table-row-group" => rows_of(e, header, out),
            _ => {}
        }
    }
}

impl<'a> Reader<'a> {
    /// What is in a shape of a slide.
    pub(super) fn shape(&mut self, shape: &'a Element, out: &mut Vec<Block>) {
        let mut inline = Inline::new(self.styles, self.notes);
        inline.drawing(shape);
        self.hang(inline, out, |text| Block::Paragraph(text.to_owned()));
    }

    pub(super) fn comment(&mut self, comment: &'a Element, out: &mut Vec<Block>) {
        let mut inline = Inline::new(self.styles, self.notes);
        inline.comment(comment);
        self.hang(inline, out, |text| Block::Paragraph(text.to_owned()));
    }
}
