//! Spreadsheets, as Markdown tables.

use std::fmt::Display;
use std::io::Cursor;

use calamine::{Data, DataRef, ExcelDateTime, Ods, Reader, Xls, Xlsx, XlsxError, open_workbook_from_rs};

use super::{Extracted, Format, MAX_TEXT, ParseError, container, title};
use crate::document::Markup;

/// A table is closed and begun anew, under its header again, after this many bytes: about what fits into a chunk, so that
/// every chunk says what its columns are.
const TABLE_BYTES: usize = 1200;
/// Columns of a row that are kept.
const MAX_COLUMNS: u32 = 1000;
/// Bytes of a cell that are kept: as many as Excel lets one enter, and then some.
const MAX_CELL: usize = 64 << 10;

pub(super) fn extract(format: Format, bytes: Vec<u8>) -> Result<Extracted, ParseError> {
    let mut out = Tables { format, text: String::new(), header: String::new(), since: 0, columns: 0 };
    match format {
        Format::Xlsx => xlsx(container::checked(format, bytes)?, &mut out)?,
        Format::Ods => {
            let mut book: Ods<_> = open_workbook_from_rs(Cursor::new(container::checked(format, bytes)?))
                .map_err(|e: calamine::OdsError| refused(format, matches!(e, calamine::OdsError::Password), &e))?;
            ranges(&mut book, &mut out)?;
        }
        _ => {
            let mut book: Xls<_> = open_workbook_from_rs(Cursor::new(bytes))
                .map_err(|e: calamine::XlsError| refused(format, matches!(e, calamine::XlsError::Password), &e))?;
            ranges(&mut book, &mut out)?;
        }
    }
    let title = title::of_markdown(&out.text);
    Ok(Extracted { title, markup: Markup::Markdown, text: out.text })
}

fn refused(format: Format, locked: bool, error: &dyn Display) -> ParseError {
    if locked { ParseError::Encrypted(format) } else { ParseError::broken(format, error) }
}

/// Cell by cell: a sheet with one cell in its last corner would take gigabytes as a rectangle.
fn xlsx(bytes: Vec<u8>, out: &mut Tables) -> Result<(), ParseError> {
    let fail = |e: &XlsxError| refused(Format::Xlsx, matches!(e, XlsxError::Password), e);
    let mut book: Xlsx<_> = open_workbook_from_rs(Cursor::new(bytes)).map_err(|e: XlsxError| fail(&e))?;
    for name in book.sheet_names() {
        // Chart sheets have no cells.
        let Ok(mut cells) = book.worksheet_cells_reader(&name) else { continue };
        out.begin(&name);
        let mut row: Vec<(u32, String)> = Vec::new();
        let mut at = 0;
        while let Some(cell) = cells.next_cell().map_err(|e| fail(&e))? {
            let (line, column) = cell.get_position();
            if line != at {
                out.row(&std::mem::take(&mut row))?;
                at = line;
            }
            let value = match cell.get_value() {
                DataRef::SharedString(s) => (*s).to_owned(),
                other => shown(&Data::from(other.clone())),
            };
            if column < MAX_COLUMNS && !value.trim().is_empty() {
                row.push((column, value));
            }
        }
        out.row(&row)?;
    }
    Ok(())
}

/// The other formats come as rectangles; their reader bounds the size (ODS), or the format does (XLS).
fn ranges<R: Reader<Cursor<Vec<u8>>>>(book: &mut R, out: &mut Tables) -> Result<(), ParseError>
where
    R::Error: Display,
{
    for name in book.sheet_names() {
        let range = book.worksheet_range(&name).map_err(|e| ParseError::broken(out.format, e))?;
        out.begin(&name);
        for cells in range.rows() {
            let row: Vec<(u32, String)> = (0..MAX_COLUMNS)
                .zip(cells)
                .map(|(column, cell)| (column, shown(cell)))
                .filter(|(_, value)| !value.trim().is_empty())
                .collect();
            out.row(&row)?;
        }
    }
    Ok(())
}

/// A value as one would type it.
fn shown(value: &Data) -> String {
    match value {
        Data::DateTime(t) => moment(t),
        other => other.to_string(),
    }
}

fn moment(t: &ExcelDateTime) -> String {
    let (year, month, day, hour, minute, second, _) = t.to_ymd_hms_milli();
    if t.is_duration() {
        let seconds = (t.as_f64() * 86_400.0).round() as i64;
        return format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    }
    match (t.as_f64() < 1.0, hour, minute, second) {
        (true, ..) => format!("{hour:02}:{minute:02}:{second:02}"),
        (false, 0, 0, 0) => format!("{year}-{month:02}-{day:02}"),
        _ => format!("{year}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}"),
    }
}

struct Tables {
    format: Format,
    text: String,
    /// The header row and the rule below it; empty before the first row of a sheet.
    header: String,
    /// Where the present table began.
    since: usize,
    columns: u32,
}

impl Tables {
    fn begin(&mut self, sheet: &str) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.text.push_str("## ");
        self.text.push_str(&title::clean(sheet).unwrap_or_default());
        self.text.push_str("\n\n");
        self.header.clear();
        self.columns = 0;
    }

    /// Adds a row of cells that are not blank, by ascending column.
    fn row(&mut self, cells: &[(u32, String)]) -> Result<(), ParseError> {
        let Some((last, _)) = cells.last() else { return Ok(()) };
        if self.header.is_empty() {
            self.columns = last + 1;
            self.header = line(cells, self.columns);
            self.header.push_str(&"| --- ".repeat(self.columns as usize));
            self.header.push_str("|\n");
            self.text.push_str(&self.header);
            self.since = self.text.len();
            return Ok(());
        }
        // A header that is long itself is repeated less often.
        if self.text.len() - self.since > TABLE_BYTES.max(4 * self.header.len()) {
            self.text.push('\n');
            self.text.push_str(&self.header);
            self.since = self.text.len();
        }
        self.text.push_str(&line(cells, self.columns));
        if self.text.len() > MAX_TEXT {
            return Err(ParseError::Bomb { format: self.format, limit: MAX_TEXT >> 20 });
        }
        Ok(())
    }
}

fn line(cells: &[(u32, String)], columns: u32) -> String {
    let mut out = String::new();
    let mut at = 0;
    for (column, value) in cells {
        // Cells that come twice, as damaged files have them, are written twice.
        while at < *column {
            out.push_str("| ");
            at += 1;
        }
        out.push_str("| ");
        push_cell(&mut out, value);
        out.push(' ');
        at += 1;
    }
    while at < columns {
        out.push_str("| ");
        at += 1;
    }
    out.push_str("|\n");
    out
}

/// On one line, and without what would end the cell.
fn push_cell(out: &mut String, value: &str) {
    let value = value.get(..value.floor_char_boundary(MAX_CELL)).unwrap_or(value);
    for (i, word) in value.split_whitespace().enumerate() {
        if i > 0 {
            out.push(' ');
        }
        if word.contains('|') {
            out.push_str(&word.replace('|', "\\|"));
        } else {
            out.push_str(word);
        }
    }
}
