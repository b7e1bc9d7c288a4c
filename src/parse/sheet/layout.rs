//! Rows of a sheet as Markdown tables, written as they come: what stands above a table as text, the names of its columns,
//! and then row by row. Where a blank row ends a table, `areas` says.

use std::collections::{BTreeMap, HashMap};

use super::super::{Format, MAX_TEXT, ParseError, title};
use super::areas::{Part, Row, Shape, areas};
pub(in super::super) use super::value::{Kind, Value};

/// Rows that are looked at before it is said where a table begins.
const LOOKED_AT: usize = 60;
/// Bytes of a cell that are kept: as many as Excel lets one enter, and then some.
const MAX_CELL: usize = 64 << 10;
/// A merged cell's value stands in every row that it covers if it is not longer than this, in bytes.
const REPEATED: usize = 200;
/// Rows above the names of the columns that are text of their own.
const ABOVE: usize = 20;
/// Merged cells that go on downwards at once.
const MAX_OPEN: usize = 200;

/// Cells that are one: rows and columns, all inclusive, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct Merge {
    pub(in super::super) rows: (u32, u32),
    pub(in super::super) columns: (u32, u32),
}

/// The text of a workbook.
pub(in super::super) struct Sheets {
    format: Format,
    text: String,
    /// What a sheet says of itself above its first table.
    pub(in super::super) said: Option<String>,
    sheet: Sheet,
}

#[derive(Default)]
struct Sheet {
    /// By their first row.
    merges: HashMap<u32, Vec<Merge>>,
    /// Those that cover several columns, by their first column; for the rows that are looked at.
    wide: HashMap<u32, Vec<Merge>>,
    /// The values of merged cells that go on downwards: last row, columns, value.
    open_merges: Vec<(Merge, Value)>,
    /// Rows that wait until their table is understood.
    waiting: Vec<Row>,
    /// The last row that was not blank.
    last: Option<u32>,
    /// The last table, once it is understood.
    table: Option<Table>,
    /// Whether rows may be added to it as they come: nothing was written behind it, and no blank row stands below.
    open: bool,
}

/// A table that was begun.
struct Table {
    /// The places of its columns.
    columns: HashMap<u32, usize>,
    /// Its header, as written.
    header: String,
    /// What its rows are like.
    shape: Shape,
    /// Whether its last row is the last line of the text.
    is_last: bool,
}

impl Sheets {
    pub(in super::super) fn new(format: Format) -> Self {
        Self { format, text: String::new(), said: None, sheet: Sheet::default() }
    }

    /// Begins a sheet.
    pub(in super::super) fn begin(&mut self, name: &str, hidden: bool, merges: Vec<Merge>) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.text.push_str("## ");
        self.text.push_str(&title::clean(name).unwrap_or_default());
        self.text.push_str(if hidden { " (hidden)\n\n" } else { "\n\n" });
        self.sheet = Sheet::default();
        for merge in merges {
            self.sheet.merges.entry(merge.rows.0).or_default().push(merge);
        }
    }

    /// Says that cells are one, before their row is added.
    pub(in super::super) fn spans(&mut self, merge: Merge) {
        self.sheet.merges.entry(merge.rows.0).or_default().push(merge);
    }

    /// Adds a row; rows come in ascending order, their cells by ascending column.
    pub(in super::super) fn row(&mut self, line: u32, mut cells: Vec<Value>) -> Result<(), ParseError> {
        cells.retain(|cell| !cell.text.trim().is_empty());
        if cells.is_empty() {
            return Ok(());
        }
        let begins = self.sheet.is_blank_above(line);
        self.sheet.open &= !begins;
        self.sheet.last = Some(line);
        self.sheet.carry_down(line, &mut cells);
        if self.sheet.open {
            self.sheet.merges.remove(&line);
            self.body(&cells);
        } else {
            self.sheet.waiting.push(Row { line, begins, cells });
            if self.sheet.waiting.len() >= LOOKED_AT {
                self.settle(false);
            }
        }
        if self.text.len() > MAX_TEXT {
            return Err(ParseError::Bomb { format: self.format, limit: MAX_TEXT >> 20 });
        }
        Ok(())
    }

    /// Ends a sheet, with what is said of its cells: `B2`, who said it, what.
    pub(in super::super) fn end(&mut self, notes: &[(String, String, String)]) {
        self.settle(true);
        if self.sheet.last.is_some() && self.text.ends_with("\n\n") {
            self.text.pop();
        }
        for (at, author, said) in notes {
            let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
            if said.is_empty() {
                continue;
            }
            let by = if author.trim().is_empty() { String::new() } else { format!(" by {}", author.trim()) };
            if !self.text.ends_with("\n\n") {
                self.text.push('\n');
            }
            self.text.push_str(&format!("Comment on {at}{by}: {said}\n"));
        }
    }

    /// A paragraph that belongs to no cell.
    pub(in super::super) fn aside(&mut self, said: &str) {
        if !said.trim().is_empty() {
            if !self.text.ends_with("\n\n") {
                self.text.push('\n');
            }
            self.text.push_str(said.trim());
            self.text.push('\n');
        }
    }

    pub(in super::super) fn finish(self) -> String {
        self.text
    }

    /// Says what the rows that wait are, and writes them; unless this is the `end`, the last of them go on waiting where a blank
    /// row stands above them: of a table one row tells little.
    fn settle(&mut self, end: bool) {
        let mut rows = std::mem::take(&mut self.sheet.waiting);
        if !end
            && let Some(last) =
                rows.iter().rposition(|row| row.begins).filter(|last| rows.len() - last < LOOKED_AT / 2 && *last > 0)
        {
            self.sheet.waiting = rows.split_off(last);
        }
        self.sheet.wide.clear();
        for row in &rows {
            for merge in self.sheet.merges.get(&row.line).into_iter().flatten().filter(|m| m.columns.1 > m.columns.0) {
                self.sheet.wide.entry(merge.columns.0).or_default().push(*merge);
            }
        }
        let last = self.sheet.table.as_ref().map(|table| &table.shape);
        let more = !self.sheet.waiting.is_empty();
        let areas = areas(rows, last, more, |rows| {
            let widest = rows.iter().map(|row| self.sheet.reach(row)).max().unwrap_or(0);
            self.sheet.headers(rows, widest)
        });
        for area in areas {
            match (area.part, area.rows.as_slice()) {
                (Part::Rest, rows) => {
                    for row in rows {
                        self.body(&row.cells);
                    }
                    self.sheet.open = true;
                }
                (Part::Text, rows) => self.above(rows),
                // A remark, no table.
                (Part::Table, [Row { cells, .. }]) if cells.len() == 1 => {
                    if let Some(cell) = cells.first() {
                        self.aside(&cell.text);
                    }
                }
                (Part::Table, rows) => self.begin_table(rows),
            }
        }
        self.sheet.open &= self.sheet.waiting.is_empty();
    }

    /// Lines of text: titles, remarks, names with their values.
    fn above(&mut self, rows: &[Row]) {
        if rows.is_empty() {
            return;
        }
        self.end_table();
        for row in rows {
            let cells = &row.cells;
            // The name of a value is none of the whole.
            if self.sheet.table.is_none() && cells.len() == 1 {
                self.said = self.said.take().or_else(|| title::clean(&cells.first()?.text));
            }
            let words: Vec<&str> = cells.iter().map(|cell| cell.text.trim()).collect();
            let joined = match words.as_slice() {
                [name, value] if !name.ends_with([':', '：']) => format!("{name}: {value}"),
                words => words.join(" "),
            };
            for line in joined.lines().filter(|line| !line.trim().is_empty()) {
                self.text.push_str(line.trim());
                self.text.push('\n');
            }
            self.text.push('\n');
        }
    }

    /// A table, with what stands above it in the same rows.
    fn begin_table(&mut self, rows: &[Row]) {
        let widest = rows.iter().map(|row| self.sheet.reach(row)).max().unwrap_or(0);
        let enough = widest.div_ceil(2).max(2).min(widest.max(1));
        let first = rows
            .iter()
            .take(ABOVE)
            .position(|row| self.sheet.reach(row) >= enough && row.cells.len() > usize::from(widest > 1));
        let first = first.unwrap_or(0);
        let (above, table) = rows.split_at_checked(first).unwrap_or((&[], rows));
        self.above(above);
        self.end_table();
        let mut used: Vec<u32> = table.iter().flat_map(|row| row.cells.iter().map(|cell| cell.column)).collect();
        used.sort_unstable();
        used.dedup();
        if used.is_empty() {
            return;
        }
        let headers = self.sheet.headers(table, widest);
        let (names, body) = table.split_at_checked(headers).unwrap_or((&[], table));
        let mut header: BTreeMap<u32, Vec<String>> = BTreeMap::new();
        for row in names {
            for cell in &row.cells {
                for column in self.sheet.across(row.line, cell.column) {
                    let names = header.entry(column).or_default();
                    if !names.contains(&cell.text) {
                        names.push(cell.text.clone());
                    }
                }
            }
        }
        let line: Vec<String> = used.iter().map(|c| header.get(c).map(|names| names.join(" / ")).unwrap_or_default()).collect();
        let mut header = String::new();
        push_row(&mut header, line.iter().map(String::as_str));
        header.push_str(&"| --- ".repeat(used.len()));
        header.push_str("|\n");
        self.text.push_str(&header);
        let columns = used.into_iter().zip(0..).collect();
        self.sheet.table = Some(Table { columns, header, shape: Shape::default(), is_last: true });
        self.sheet.open = true;
        for row in body {
            self.body(&row.cells);
        }
    }

    /// A blank line below a table that ends the text.
    fn end_table(&mut self) {
        self.sheet.open = false;
        if let Some(table) = &mut self.sheet.table
            && std::mem::take(&mut table.is_last)
        {
            self.text.push('\n');
        }
    }

    /// A row of the last table, under its header again if something stands between.
    fn body(&mut self, cells: &[Value]) {
        let Some(table) = &mut self.sheet.table else { return };
        if !std::mem::replace(&mut table.is_last, true) {
            self.text.push_str(&table.header);
        }
        table.shape.add(cells);
        let mut line: Vec<&str> = vec![""; table.columns.len()];
        let mut beyond = Vec::new();
        for cell in cells {
            match table.columns.get(&cell.column).and_then(|&at| line.get_mut(at)) {
                // Cells that come twice, as damaged files have them, are written twice.
                Some(place) if place.is_empty() => *place = &cell.text,
                _ => beyond.push(cell.text.as_str()),
            }
        }
        line.extend(beyond);
        push_row(&mut self.text, line.into_iter());
    }
}

impl Sheet {
    /// Whether a row is parted from the one before by a blank one that no merged cell covers.
    fn is_blank_above(&self, line: u32) -> bool {
        let covered = self.open_merges.iter().any(|(merge, _)| merge.rows.1.saturating_add(1) >= line);
        self.last.is_some_and(|last| line > last.saturating_add(1)) && !covered
    }

    /// Puts the values of cells that are merged downwards into the rows below their first.
    fn carry_down(&mut self, line: u32, cells: &mut Vec<Value>) {
        self.open_merges.retain(|(merge, _)| merge.rows.1 >= line);
        for (merge, value) in &self.open_merges {
            if !cells.iter().any(|cell| (merge.columns.0..=merge.columns.1).contains(&cell.column)) {
                cells.push(value.clone());
            }
        }
        cells.sort_by_key(|cell| cell.column);
        for merge in self.merges.get(&line).into_iter().flatten().filter(|m| m.rows.1 > line) {
            if self.open_merges.len() < MAX_OPEN
                && let Some(value) = cells.iter().find(|cell| cell.column == merge.columns.0 && cell.text.len() <= REPEATED)
            {
                self.open_merges.push((*merge, value.clone()));
            }
        }
    }

    /// The columns that a cell covers.
    fn across(&self, line: u32, column: u32) -> std::ops::RangeInclusive<u32> {
        let merge = self.wide.get(&column).into_iter().flatten().find(|m| m.rows.0 <= line && line <= m.rows.1);
        merge.map_or(column..=column, |m| m.columns.0..=m.columns.1.min(m.columns.0.saturating_add(200)))
    }

    /// How many columns a row has a value for.
    fn reach(&self, row: &Row) -> usize {
        if let [alone] = row.cells.as_slice() {
            // A title over all columns is one value.
            return usize::from(!alone.text.is_empty());
        }
        row.cells.iter().map(|cell| self.across(row.line, cell.column).count()).sum()
    }

    /// How many of the first rows of a table name its columns.
    fn headers(&self, table: &[Row], widest: usize) -> usize {
        let Some(Row { line, cells: first, .. }) = table.first() else { return 0 };
        let next = table.get(1).map(|row| row.cells.as_slice());
        if !names_columns(first, next) || (widest == 1 && table.len() < 2) {
            return 0;
        }
        let of_row: Vec<&Merge> = self.merges.get(line).into_iter().flatten().collect();
        let down = of_row.iter().map(|m| m.rows.1 - m.rows.0).max().unwrap_or(0).min(4) as usize;
        let below = usize::from(of_row.iter().any(|m| m.columns.1 > m.columns.0)).max(down);
        let wordy = |nth: usize| table.get(nth).is_some_and(|row| row.cells.iter().all(|cell| cell.kind != Kind::Number));
        1 + (1..=below).take_while(|&nth| wordy(nth)).count().min(table.len().saturating_sub(1))
    }
}

/// Whether a row holds names: words, and years or days beside them, and not the same mixture as the row below.
fn names_columns(row: &[Value], below: Option<&[Value]>) -> bool {
    let words = row.iter().filter(|cell| cell.kind == Kind::Word).count();
    let numbers = row.iter().filter(|cell| cell.kind == Kind::Number).count();
    let pattern = |cells: &[Value]| cells.iter().map(|cell| (cell.column, cell.kind)).collect::<Vec<_>>();
    let same = below.is_some_and(|below| pattern(below) == pattern(row));
    words > 0 && numbers * 2 <= row.len() && (words == row.len() || !same)
}

fn push_row<'a>(out: &mut String, cells: impl Iterator<Item = &'a str>) {
    for cell in cells {
        out.push_str("| ");
        let before = out.len();
        push_cell(out, cell);
        if out.len() > before {
            out.push(' ');
        }
    }
    out.push_str("|\n");
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
