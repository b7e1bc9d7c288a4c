//! Excel workbooks of before 2007 (BIFF 2 to 8), as Markdown tables.
//!
//! Own reading: `calamine` 0.38 gives no formats of numbers and no comments, loses texts that go on in another record, and fails
//! whole workbooks for one sheet.

mod records;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use self::records::{Pieces, Record, records, text};
use super::compound::{Compound, u16_at, u32_at, utf16};
use super::numfmt::NumberFormat;
use super::sheet::layout::{Kind, Merge, Sheets, Value};
use super::sheet::{column_name, number};
use super::{Extracted, Format, ParseError, letters, title, writer};
use crate::document::Markup;

/// Merged cells of a sheet.
const MAX_MERGES: usize = 100_000;

pub(super) fn extract(bytes: Vec<u8>) -> Result<Extracted, ParseError> {
    let stream = if bytes.starts_with(b"\xd0\xcf\x11\xe0") {
        let broken = || ParseError::broken(Format::Xls, "its container is damaged");
        let file = Compound::open(bytes).ok_or_else(broken)?;
        file.stream(0, "Workbook").or_else(|| file.stream(0, "Book")).ok_or_else(broken)?
    } else {
        bytes
    };
    let book = Book::read(&stream)?;
    let mut out = Sheets::new(Format::Xls);
    for (name, at, hidden) in &book.sheets {
        let sheet = Sheet::read(&book, &stream, *at);
        out.begin(name, *hidden, sheet.merges);
        let mut row = Vec::new();
        let mut line = None;
        for (at, value) in sheet.cells {
            if line.is_some_and(|line| line != at) {
                out.row(line.unwrap_or(0), std::mem::take(&mut row))?;
            }
            line = Some(at);
            row.push(value);
        }
        out.row(line.unwrap_or(0), row)?;
        out.end(&sheet.notes);
        sheet.boxes.iter().for_each(|text| out.aside(text));
    }
    let said = out.said.take();
    let text = out.finish();
    let title = said.or_else(|| title::of_markdown(&text));
    Ok(Extracted { title, markup: Markup::Markdown, text })
}

#[derive(Default)]
struct Book {
    /// 2 to 5, and 8.
    version: u16,
    page: u32,
    since_1904: bool,
    strings: Vec<String>,
    own: HashMap<u32, NumberFormat>,
    /// By the index of a cell's style: its format's number.
    styles: Vec<u32>,
    /// Name, place, whether it is hidden.
    sheets: Vec<(String, usize, bool)>,
}

impl Book {
    fn read(stream: &[u8]) -> Result<Self, ParseError> {
        let mut book = Self { page: 1252, ..Self::default() };
        let mut formats = 0;
        for record in records(stream, 0) {
            let data = record.data();
            match record.kind {
                0x809 | 0x409 | 0x209 | 0x009 if book.version == 0 => {
                    book.version = match record.kind {
                        0x809 if u16_at(data, 0) == Some(0x600) => 8,
                        0x809 => 5,
                        kind => (kind >> 8).max(2),
                    };
                    if book.version < 5 {
                        // The whole stream is one sheet.
                        book.sheets.push(("Sheet1".to_owned(), 0, false));
                    }
                }
                // Of a sheet in the stream; an older book has its styles among its cells.
                0x0a if book.version >= 5 => break,
                0x2f => return Err(ParseError::Encrypted(Format::Xls)),
                0x42 => {
                    book.page = match u16_at(data, 0).unwrap_or(1252) {
                        0x8000 => 10_000,
                        0x8001 | 1200 => 1252,
                        page => u32::from(page),
                    };
                }
                0x22 => book.since_1904 = u16_at(data, 0) == Some(1),
                0x85 => {
                    let place = u32_at(data, 0).unwrap_or(0) as usize;
                    let state = data.get(4).copied().unwrap_or(0);
                    let kind = data.get(5).copied().unwrap_or(0);
                    let name = text(data, 6, book.version == 8, false, book.page).unwrap_or_default();
                    // Tables and sheets of macros; charts and modules have no cells.
                    if kind < 2 {
                        book.sheets.push((name, place, state & 3 != 0));
                    }
                }
                0xfc => book.shared(&record),
                0x1e | 0x41e => {
                    let wide = record.kind == 0x41e && book.version >= 4;
                    let id = if wide { u32::from(u16_at(data, 0).unwrap_or(0)) } else { formats };
                    formats += 1;
                    let code = text(data, if wide { 2 } else { 0 }, book.version == 8, book.version == 8, book.page);
                    book.own.insert(id, NumberFormat::new(&code.unwrap_or_default()));
                }
                0xe0 => book.styles.push(u32::from(u16_at(data, 2).unwrap_or(0))),
                0x443 | 0x243 => book.styles.push(u32::from(data.get(1).copied().unwrap_or(0))),
                0x43 => book.styles.push(u32::from(data.get(2).copied().unwrap_or(0) & 0x3f)),
                _ => {}
            }
        }
        if book.version == 0 {
            return Err(ParseError::broken(Format::Xls, "it does not begin as a workbook does"));
        }
        Ok(book)
    }

    fn shared(&mut self, record: &Record<'_>) {
        let count = u32_at(record.data(), 4).unwrap_or(0);
        let mut pieces = Pieces::new(&record.pieces, 8);
        for _ in 0..count {
            let Some(text) = pieces.text() else { return };
            self.strings.push(clean(&text));
        }
    }

    fn format(&self, style: usize) -> NumberFormat {
        let id = self.styles.get(style).copied().unwrap_or(0);
        self.own.get(&id).cloned().or_else(|| NumberFormat::built_in(id)).unwrap_or_default()
    }
}

/// Some programs wrote wide letters as narrow ones: a blank byte stands behind each of them.
fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    letters::push(&mut out, text, None);
    out
}

#[derive(Default)]
struct Sheet {
    cells: Vec<(u32, Value)>,
    merges: Vec<Merge>,
    notes: Vec<(String, String, String)>,
    boxes: Vec<String>,
}

impl Sheet {
    fn read(book: &Book, stream: &[u8], at: usize) -> Self {
        let mut sheet = Self::default();
        let mut depth = 0;
        // The formula whose text comes next; the object whose text comes next, and whether it is a note.
        let mut awaits: Option<(u32, u32)> = None;
        let mut object: (u16, bool) = (0, false);
        let mut said: HashMap<u16, String> = HashMap::new();
        let mut notes: Vec<(u32, u32, u16, String)> = Vec::new();
        let mut links: HashMap<(u32, u32), String> = HashMap::new();
        let mut formats: HashMap<usize, NumberFormat> = HashMap::new();
        for record in records(stream, at) {
            let data = record.data();
            match record.kind {
                0x809 | 0x409 | 0x209 | 0x009 => depth += 1,
                0x0a => {
                    depth -= 1;
                    if depth <= 0 {
                        break;
                    }
                }
                0x5d => object = (u16_at(data, 6).unwrap_or(0), u16_at(data, 4) == Some(0x19)),
                0x1b6 => {
                    let count = usize::from(u16_at(data, 10).unwrap_or(0));
                    let rest = record.pieces.get(1..).unwrap_or_default();
                    let wide = rest.first().and_then(|piece| piece.first()).is_some_and(|flags| flags & 1 != 0);
                    let text = clean(&Pieces::new(rest, 1).letters(count, wide));
                    if object.1 {
                        said.insert(object.0, text);
                    } else {
                        sheet.boxes.push(text);
                    }
                }
                // What is drawn between the cells has cells of its own.
                _ if depth > 1 => {}
                0x1c if book.version == 8 => {
                    let author = text(data, 8, true, true, book.page).unwrap_or_default();
                    let place = (u16_at(data, 0), u16_at(data, 2), u16_at(data, 6));
                    if let (Some(row), Some(column), Some(id)) = place {
                        notes.push((u32::from(row), u32::from(column), id, author));
                    }
                }
                0x1c => {
                    let place = (u16_at(data, 0), u16_at(data, 2));
                    if let (Some(row), Some(column)) = place
                        && row < u16::MAX
                    {
                        let count = usize::from(u16_at(data, 4).unwrap_or(0));
                        let bytes = data.get(6..(6 + count).min(data.len())).unwrap_or_default();
                        let text = clean(&super::codepage::decode(book.page, bytes));
                        sheet.notes.push((format!("{}{}", column_name(u32::from(column)), row + 1), String::new(), text));
                    }
                }
                0x1b8 => {
                    if let (Some(row), Some(column), Some(target)) = (u16_at(data, 0), u16_at(data, 4), target(data)) {
                        links.insert((u32::from(row), u32::from(column)), target);
                    }
                }
                0xe5 => sheet.merged(data),
                0x207 | 0x07 => {
                    if let Some((row, column)) = awaits.take() {
                        let text = if book.version == 8 {
                            Pieces::new(&record.pieces, 0).text()
                        } else {
                            text(data, 0, false, record.kind == 0x207, book.page)
                        };
                        sheet.word(row, column, clean(&text.unwrap_or_default()));
                    }
                }
                kind => {
                    let mut cell = Cell { book, sheet: &mut sheet, formats: &mut formats, awaits: &mut awaits };
                    cell.read(kind, &record);
                }
            }
        }
        for (row, column, id, author) in notes {
            if let Some(text) = said.get(&id) {
                let bare = text.trim_start().strip_prefix(author.as_str()).and_then(|t| t.trim_start().strip_prefix(':'));
                let text = bare.filter(|_| !author.is_empty()).unwrap_or(text).to_owned();
                sheet.notes.push((format!("{}{}", column_name(column), row + 1), author, text));
            }
        }
        if !links.is_empty() {
            for (row, value) in &mut sheet.cells {
                if let Some(target) = links.get(&(*row, value.column)) {
                    value.text = writer::link(&value.text, target);
                }
            }
        }
        sheet.cells.sort_by_key(|(row, value)| (*row, value.column));
        sheet
    }

    fn word(&mut self, row: u32, column: u32, text: String) {
        if !text.trim().is_empty() {
            self.cells.push((row, Value { column, text, kind: Kind::Word }));
        }
    }

    fn merged(&mut self, data: &[u8]) {
        let count = usize::from(u16_at(data, 0).unwrap_or(0));
        for nth in 0..count.min(MAX_MERGES.saturating_sub(self.merges.len())) {
            let at = |i: usize| u16_at(data, 2 + 8 * nth + 2 * i).map(u32::from);
            let (Some(top), Some(bottom), Some(left), Some(right)) = (at(0), at(1), at(2), at(3)) else { return };
            if top <= bottom && left <= right {
                self.merges.push(Merge { rows: (top, bottom), columns: (left, right) });
            }
        }
    }
}

/// What a cell's record is read with.
struct Cell<'a, 's> {
    book: &'a Book,
    sheet: &'s mut Sheet,
    formats: &'s mut HashMap<usize, NumberFormat>,
    awaits: &'s mut Option<(u32, u32)>,
}

impl Cell<'_, '_> {
    fn number(&mut self, row: u32, column: u32, style: usize, value: f64) {
        let book = self.book;
        let format = self.formats.entry(style).or_insert_with(|| book.format(style));
        let value = number(column, value, format, book.since_1904);
        if !value.text.is_empty() {
            self.sheet.cells.push((row, value));
        }
    }

    fn read(&mut self, kind: u16, record: &Record<'_>) {
        let data = record.data();
        let (Some(row), Some(column)) = (u16_at(data, 0).map(u32::from), u16_at(data, 2).map(u32::from)) else { return };
        // In BIFF 2 a cell carries three bytes about its look, and no number of a style but in the first of them.
        let old = self.book.version == 2 && kind < 0x100 && !matches!(kind, 0xbd | 0xd6 | 0xfd | 0x7e);
        let style =
            if old { usize::from(data.get(4).copied().unwrap_or(0) & 0x3f) } else { usize::from(u16_at(data, 4).unwrap_or(0)) };
        let from = if old { 7 } else { 6 };
        let double = |at: usize| data.get(at..at + 8).and_then(|b| b.try_into().ok()).map(f64::from_le_bytes);
        match kind {
            0x203 | 0x03 => {
                if let Some(value) = double(from) {
                    self.number(row, column, style, value);
                }
            }
            0x02 if old => {
                if let Some(value) = u16_at(data, from) {
                    self.number(row, column, style, f64::from(value));
                }
            }
            0x27e => {
                if let Some(value) = u32_at(data, 6) {
                    self.number(row, column, style, packed(value));
                }
            }
            0xbd => {
                for (nth, entry) in data.get(4..).unwrap_or_default().chunks_exact(6).enumerate() {
                    if let (Some(style), Some(value)) = (u16_at(entry, 0), u32_at(entry, 2)) {
                        self.number(row, column + nth as u32, usize::from(style), packed(value));
                    }
                }
            }
            0xfd => {
                let text = u32_at(data, 6).and_then(|at| self.book.strings.get(at as usize)).cloned();
                let format = self.book.format(style);
                self.sheet.word(row, column, text.map(|text| format.text(&text)).unwrap_or_default());
            }
            0x204 | 0xd6 | 0x04 => {
                let text = if self.book.version == 8 {
                    let mut pieces = Pieces::new(&record.pieces, 6);
                    pieces.text()
                } else {
                    text(data, from, false, !old, self.book.page)
                };
                self.sheet.word(row, column, clean(&text.unwrap_or_default()));
            }
            0x205 | 0x05 => {
                let value = data.get(from).copied().unwrap_or(0);
                self.sheet.word(row, column, flag(value, data.get(from + 1) == Some(&1)).to_owned());
            }
            0x06 | 0x206 | 0x406 => {
                let result = data.get(from..from + 8).unwrap_or_default();
                match (result.first(), result.get(6..8)) {
                    (Some(0), Some([0xff, 0xff])) => *self.awaits = Some((row, column)),
                    (Some(kind @ (1 | 2)), Some([0xff, 0xff])) => {
                        let value = result.get(2).copied().unwrap_or(0);
                        self.sheet.word(row, column, flag(value, *kind == 2).to_owned());
                    }
                    (Some(3), Some([0xff, 0xff])) => {}
                    _ => {
                        if let Some(value) = double(from) {
                            self.number(row, column, style, value);
                        }
                    }
                }
            }
            _ => {}
        }
    }
}

fn flag(value: u8, is_error: bool) -> &'static str {
    match (is_error, value) {
        (false, 0) => "FALSE",
        (false, _) => "TRUE",
        (true, 0x00) => "#NULL!",
        (true, 0x07) => "#DIV/0!",
        (true, 0x0f) => "#VALUE!",
        (true, 0x17) => "#REF!",
        (true, 0x1d) => "#NAME?",
        (true, 0x24) => "#NUM!",
        (true, _) => "#N/A",
    }
}

/// A number in 30 bits: whole, or the upper part of a fraction; in hundredths if the lowest bit is set.
fn packed(value: u32) -> f64 {
    let number = if value & 2 != 0 { f64::from(value as i32 >> 2) } else { f64::from_bits(u64::from(value & !3) << 32) };
    if value & 1 != 0 { number / 100.0 } else { number }
}

/// Where a link leads, if it leads to an address of the web.
fn target(data: &[u8]) -> Option<String> {
    const ADDRESS: &[u8] = b"\xe0\xc9\xea\x79\xf9\xba\xce\x11\x8c\x82\x00\xaa\x00\x4b\xa9\x0b";
    let at = data.windows(ADDRESS.len()).position(|w| w == ADDRESS)? + ADDRESS.len();
    let length = u32_at(data, at)? as usize;
    let bytes = data.get(at + 4..(at + 4).checked_add(length)?.min(data.len()))?;
    let target = utf16(bytes);
    Some(target.split('\0').next().unwrap_or_default().to_owned())
}
