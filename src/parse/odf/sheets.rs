//! `OpenDocument` spreadsheets, row by row. What a cell shows is written in the file.

use super::super::sheet::column_name;
use super::super::sheet::layout::{Kind, Merge, Sheets, Value};
use super::super::xml::{Element, Visit};
use super::super::{Format, ParseError};
use super::inline::{Attached, Inline};
use super::styles::Styles;

/// Rows that one row stands for, if something is in it.
const MAX_REPEATED: u32 = 1000;
/// Cells that one cell stands for, if something is in it.
const MAX_COLUMNS: u32 = 16_384;
/// Cells of a workbook that repetitions may give.
const MAX_CELLS: u64 = 5_000_000;

pub(super) fn read(content: &str, out: &mut Sheets) -> Result<(), ParseError> {
    let mut reader =
        Reader { styles: Styles::default(), out, open: false, line: 0, notes: Vec::new(), merges: Vec::new(), repeated: 0 };
    // The styles stand before the tables, and are small.
    if let Some(styles) = content.find("<office:automatic-styles").and_then(|from| content.get(from..)) {
        let end = styles.find("</office:automatic-styles>").unwrap_or(0);
        if let Some(Ok(root)) = styles.get(..end).map(|inner| Element::parse(&format!("{inner}</office:automatic-styles>"))) {
            reader.styles.read(&root);
        }
    }
    let read = Element::stream(content, ("table:table", "table:table-row"), &mut |visit| {
        match visit {
            Visit::Begin(table) => reader.begin(table),
            Visit::Whole(row) => reader.row(&row)?,
        }
        Ok(())
    })?;
    reader.end();
    let root = read.map_err(|e| ParseError::broken(Format::Ods, e))?;
    // Boxes that lie on the sheets.
    for text in root.all("draw:text-box").into_iter().chain(root.all("draw:custom-shape")) {
        let lines: Vec<String> = text.all("text:p").into_iter().map(Element::text).collect();
        reader.out.aside(&lines.join("\n"));
    }
    Ok(())
}

struct Reader<'o> {
    styles: Styles,
    out: &'o mut Sheets,
    open: bool,
    line: u32,
    notes: Vec<(String, String, String)>,
    /// Cells that go on downwards: last row, columns, value.
    merges: Vec<(Merge, Value)>,
    repeated: u64,
}

impl Reader<'_> {
    fn begin(&mut self, table: &Element) {
        self.end();
        let hidden = self.styles.is_hidden(table.attribute("style-name"));
        self.out.begin(table.attribute("name").unwrap_or_default(), hidden, Vec::new());
        self.open = true;
        self.line = 0;
    }

    fn end(&mut self) {
        if self.open {
            self.out.end(&std::mem::take(&mut self.notes));
        }
        self.merges.clear();
        self.open = false;
    }

    fn row(&mut self, row: &Element) -> Result<(), ParseError> {
        let times = row.number::<u32>("number-rows-repeated").unwrap_or(1).max(1);
        let line = self.line;
        self.line = line.saturating_add(times);
        self.merges.retain(|(merge, _)| merge.rows.1 >= line);
        let mut cells: Vec<Value> = Vec::new();
        let mut column = 0u32;
        for cell in row.children() {
            let covered = cell.name() == "table:covered-table-cell";
            if cell.name() != "table:table-cell" && !covered {
                continue;
            }
            let repeated = cell.number::<u32>("number-columns-repeated").unwrap_or(1).max(1);
            let from = column;
            column = column.saturating_add(repeated);
            if covered {
                let above = self.merges.iter().find(|(m, _)| m.columns.0 == from && m.rows.0 < line);
                cells.extend(above.map(|(_, value)| value.clone()));
                continue;
            }
            let Some(value) = self.value(cell, from, line) else { continue };
            let span = |name: &str| cell.number::<u32>(name).unwrap_or(1).clamp(1, MAX_COLUMNS);
            let (down, across) = (span("number-rows-spanned"), span("number-columns-spanned"));
            if down > 1 && self.merges.len() < 200 && value.text.len() <= 200 {
                let merge =
                    Merge { rows: (line, line.saturating_add(down - 1)), columns: (from, from.saturating_add(across - 1)) };
                self.merges.push((merge, value.clone()));
            }
            if across > 1 {
                self.out.spans(Merge {
                    rows: (line, line.saturating_add(down - 1)),
                    columns: (from, from.saturating_add(across - 1)),
                });
            }
            self.repeated += u64::from(repeated - 1);
            let repeated = if self.repeated > MAX_CELLS { 1 } else { repeated.min(MAX_COLUMNS) };
            cells.extend((0..repeated).map(|nth| Value { column: from.saturating_add(nth), ..value.clone() }));
        }
        if cells.is_empty() {
            return Ok(());
        }
        self.repeated += u64::from(times - 1).saturating_mul(cells.len() as u64);
        let times = if self.repeated > MAX_CELLS { 1 } else { times.min(MAX_REPEATED) };
        for nth in 0..times {
            self.out.row(line.saturating_add(nth), cells.clone())?;
        }
        Ok(())
    }

    /// What a cell shows; its comments are put aside.
    fn value(&mut self, cell: &Element, column: u32, line: u32) -> Option<Value> {
        let mut lines: Vec<String> = Vec::new();
        for e in cell.children() {
            let mut inline = Inline::new(&self.styles, 0);
            match e.name() {
                "text:p" | "text:h" | "text:list" => inline.read(e),
                "office:annotation" => inline.comment(e),
                "draw:frame" | "draw:custom-shape" | "draw:g" | "draw:rect" => inline.drawing(e),
                _ => continue,
            }
            lines.push(inline.text);
            for attached in inline.attached {
                match attached {
                    Attached::Comment(author, said) => {
                        self.notes.push((format!("{}{}", column_name(column), line.saturating_add(1)), author, said));
                    }
                    Attached::Box(content) => {
                        lines.extend(content.all("text:p").into_iter().map(Element::text));
                    }
                    Attached::Table(_) | Attached::Note(..) => {}
                }
            }
        }
        let kind = match cell.attribute("value-type") {
            Some("float" | "percentage" | "currency") => Kind::Number,
            Some("date" | "time") => Kind::Date,
            _ => Kind::Word,
        };
        let text = lines.join("\n");
        let raw = || {
            ["date-value", "time-value", "boolean-value", "string-value", "value"].iter().find_map(|name| cell.attribute(name))
        };
        let text = if text.trim().is_empty() { raw().unwrap_or_default().to_owned() } else { text };
        let is_year = kind == Kind::Number && text.len() == 4 && (text.starts_with("19") || text.starts_with("20"));
        let kind = if is_year { Kind::Date } else { kind };
        (!text.trim().is_empty()).then_some(Value { column, text, kind })
    }
}
