//! Where a blank row ends a table of a sheet, and where it only parts its groups.

use std::collections::BTreeMap;

use super::value::{Kind, Value};

/// Rows of a table that are counted: enough to know what its columns hold.
const COUNTED: usize = 1000;
/// Values of a column below which it is not known what it holds.
const TELLING: usize = 3;
/// Rows of a part that are compared.
const COMPARED: usize = 40;
/// Rows that may be names with their values, or lines of text, above or below a table.
const TEXT: usize = 20;
/// Letters of a cell alone that may be a value of a table's column.
const VALUE: usize = 60;

/// A row that is not blank.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) line: u32,
    /// Whether a blank row is above it.
    pub(super) begins: bool,
    pub(super) cells: Vec<Value>,
}

/// What rows between blank ones are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// A table of its own.
    Table,
    /// More rows of the last table.
    Rest,
    /// Lines of text.
    Text,
}

/// Rows that belong together.
#[derive(Debug)]
pub(super) struct Area {
    pub(super) rows: Vec<Row>,
    pub(super) part: Part,
}

/// What one column of a table holds.
#[derive(Debug, Default)]
struct Column {
    words: usize,
    numbers: usize,
    dates: usize,
    /// Words with a digit in them, such as the numbers of articles.
    codes: usize,
}

impl Column {
    fn all(&self) -> usize {
        self.words + self.numbers + self.dates
    }

    /// What more than half of its values are.
    fn kind(&self) -> Option<Kind> {
        let most = |count: usize| 2 * count > self.all();
        [(self.words, Kind::Word), (self.numbers, Kind::Number), (self.dates, Kind::Date)]
            .into_iter()
            .find_map(|(count, kind)| most(count).then_some(kind))
    }
}

/// What the rows of a table are like.
#[derive(Debug, Default)]
pub(super) struct Shape {
    rows: usize,
    columns: BTreeMap<u32, Column>,
}

impl Shape {
    fn of<'a>(rows: impl Iterator<Item = &'a Row>) -> Self {
        let mut shape = Self::default();
        for row in rows {
            shape.add(&row.cells);
        }
        shape
    }

    pub(super) fn add(&mut self, cells: &[Value]) {
        if self.rows >= COUNTED {
            return;
        }
        self.rows += 1;
        for cell in cells {
            let column = self.columns.entry(cell.column).or_default();
            match cell.kind {
                Kind::Number => column.numbers += 1,
                Kind::Date => column.dates += 1,
                Kind::Word if stands_in(&cell.text) => {}
                Kind::Word => {
                    column.words += 1;
                    column.codes += usize::from(has_digit(&cell.text));
                }
            }
        }
    }

    /// Whether a cell that stands alone may be a value of a column of words, rather than a remark.
    fn may_hold(&self, cell: &Value) -> bool {
        let kind = self.columns.get(&cell.column).and_then(Column::kind);
        kind == Some(Kind::Word) && cell.text.chars().count() <= VALUE
    }

    /// Whether rows below a blank one are more rows of this table. They are unless
    ///
    /// - their first row is a header, see [`is_headed`];
    /// - a column of theirs holds mostly words where the table has numbers or days (three at least), or the other way round, or half
    ///   of them have a value in a column that the table does not have;
    /// - no number or day of theirs stands below another, and a column that the table always fills is blank in all of them: words
    ///   alone tell too little of another table.
    ///
    /// Titles of groups, which have one cell, are looked past. Words below words of the same width are more rows: groups of a list
    /// are often set apart, and of two lists of words nothing tells where the names are.
    fn goes_on(&self, rows: &[Row]) -> bool {
        let rows = below_titles(rows);
        let rows = rows.get(..COMPARED).unwrap_or(rows);
        if self.rows == 0 || is_headed(rows, Some(self)) {
            return false;
        }
        let other = Self::of(rows.iter());
        let mut alike = false;
        for (at, column) in &other.columns {
            let Some(own) = self.columns.get(at).filter(|own| own.all() > 0) else {
                if 2 * column.all() >= rows.len() && column.all() > 0 && !self.columns.contains_key(at) {
                    return false;
                }
                continue;
            };
            let (Some(kind), Some(of_own)) = (column.kind(), own.kind()) else { continue };
            if kind != of_own && own.all() >= TELLING {
                return false;
            }
            alike |= kind == of_own && kind != Kind::Word;
        }
        let always = |column: &Column| column.all() * 10 >= self.rows * 9;
        alike || !self.columns.iter().any(|(at, column)| always(column) && !other.columns.contains_key(at))
    }
}

/// Parts rows where blank ones stand between them, and puts those together that are one table. `last`: what the last table of the
/// sheet is like, if there is one; `more`: whether others are known to follow; `headers`: how many rows of a table name its columns.
/// The first is no [`Part::Rest`] unless there is a `last`.
pub(super) fn areas(rows: Vec<Row>, last: Option<&Shape>, more: bool, headers: impl Fn(&[Row]) -> usize) -> Vec<Area> {
    let mut out: Vec<Area> = Vec::new();
    let mut shape: Option<Shape> = None;
    for rows in parts(rows) {
        let widest = rows.iter().map(|row| row.cells.len()).max().unwrap_or(0);
        if let Some(before) = out.last_mut().filter(|area| area.part == Part::Table) {
            if is_header_alone(&before.rows, &rows, &headers) {
                before.rows.extend(rows);
                shape = Some(table_shape(&before.rows, &headers));
                continue;
            }
            // Lines of text between its groups do not end a table.
            if is_text(&before.rows, Some(widest)) {
                before.part = Part::Text;
            } else {
                shape = Some(table_shape(&before.rows, &headers));
            }
        }
        let is_rest = shape.as_ref().or(last).is_some_and(|table| match rows.as_slice() {
            [row] if is_title(row) => row.cells.iter().all(|cell| table.may_hold(cell)),
            rows => table.goes_on(rows) && !rows.iter().all(is_title),
        });
        out.push(Area { rows, part: if is_rest { Part::Rest } else { Part::Table } });
    }
    let alone = out.len() == 1 && last.is_none() && !more;
    if let Some(end) = out.last_mut().filter(|area| area.part == Part::Table && !alone && is_text(&area.rows, None)) {
        end.part = Part::Text;
    }
    out
}

/// Whether an area between others is lines of text rather than a table: cells that stand alone; names with their values, which are
/// two to a row; what is too narrow for the table `below` it, and has no header over numbers.
fn is_text(rows: &[Row], below: Option<usize>) -> bool {
    if rows.len() > TEXT {
        return false;
    }
    let widest = rows.iter().map(|row| row.cells.len()).max().unwrap_or(0);
    if widest < 2 || (widest == 2 && rows.len() == 1) {
        return true;
    }
    let narrow = below.is_some_and(|below| widest < below.div_ceil(2).max(3) && widest < below);
    // Two names with numbers may follow a name with a word: a header has more below it.
    narrow && !(is_headed(below_titles(rows), None) && (widest > 2 || rows.len() > 3))
}

/// Whether the first row names the columns beyond doubt: words (or years) throughout, at least two, the one or other of them over
/// numbers or days. `above`: the table that these rows may belong to. Where its numbers have words among them, or its first column
/// holds codes and so does this row, that is no doubt less.
fn is_headed(rows: &[Row], above: Option<&Shape>) -> bool {
    let Some((first, rest)) = rows.split_first() else { return false };
    let names = |cell: &Value| match cell.kind {
        Kind::Word => !stands_in(&cell.text),
        Kind::Date => true,
        Kind::Number => false,
    };
    if first.cells.len() < 2 || rest.is_empty() || !first.cells.iter().all(names) {
        return false;
    }
    let of_above = |column: u32| above.and_then(|table| table.columns.get(&column));
    let is_code = first.cells.first().is_some_and(|cell| {
        has_digit(&cell.text) && of_above(cell.column).is_some_and(|column| column.codes * 2 > column.all())
    });
    let below = Shape::of(rest.iter().take(COMPARED));
    !is_code
        && first.cells.iter().any(|cell| {
            let kind = below.columns.get(&cell.column).and_then(Column::kind);
            let over = match kind {
                Some(Kind::Number) => true,
                Some(Kind::Date) => cell.kind == Kind::Word,
                _ => false,
            };
            let mixed = of_above(cell.column).is_some_and(|column| column.words > 0 && column.kind() != Some(Kind::Word));
            over && !mixed
        })
}

/// Whether an area is the names of columns alone, whose rows a blank one sets apart: three at least, of two it cannot be told
/// whether they are a name and its value.
fn is_header_alone(area: &[Row], part: &[Row], headers: impl Fn(&[Row]) -> usize) -> bool {
    let names = below_titles(area);
    let columns = |rows: &[Row]| Shape::of(rows.iter()).columns;
    let (named, used) = (columns(names), columns(part));
    let is_header = names.iter().all(|row| row.cells.len() > 2) && headers(names) >= names.len();
    let has_values = used.values().any(|column| column.kind().is_some_and(|kind| kind != Kind::Word));
    is_header
        && has_values
        && !is_headed(part, None)
        && used.keys().all(|at| named.contains_key(at))
        && 2 * used.len() > named.len()
}

fn table_shape(rows: &[Row], headers: impl Fn(&[Row]) -> usize) -> Shape {
    let table = below_titles(rows);
    Shape::of(table.iter().skip(headers(table)))
}

/// The rows between blank ones; titles alone go with what is below them.
fn parts(rows: Vec<Row>) -> Vec<Vec<Row>> {
    let mut parts: Vec<Vec<Row>> = Vec::new();
    for row in rows {
        match parts.last_mut() {
            Some(part) if !row.begins || part.iter().all(is_title) => part.push(row),
            _ => parts.push(vec![row]),
        }
    }
    parts
}

/// A word that has its row for itself.
fn is_title(row: &Row) -> bool {
    matches!(row.cells.as_slice(), [alone] if alone.kind == Kind::Word)
}

/// The rows from the first on that is no title; all, if there are only titles.
fn below_titles(rows: &[Row]) -> &[Row] {
    let titles = rows.iter().take_while(|row| is_title(row)).count();
    rows.get(titles..).filter(|rest| !rest.is_empty()).unwrap_or(rows)
}

/// Whether a text stands where there is no value: `-`, `n/a`.
fn stands_in(text: &str) -> bool {
    let text = text.trim();
    !text.contains(char::is_alphabetic) && !has_digit(text)
        || ["n/a", "n.a.", "na", "k.a.", "k. a.", "tbd", "nan", "null", "none"]
            .iter()
            .any(|blank| text.eq_ignore_ascii_case(blank))
}

fn has_digit(text: &str) -> bool {
    text.contains(|c: char| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Rows by line, cells by `|`; a line without cells is a blank row. Numbers are numbers, `d` and digits are days.
    fn rows(written: &str) -> Vec<Row> {
        let cell = |(column, text): (u32, &str)| {
            let text = text.trim();
            let is_day = text.strip_prefix('d').is_some_and(|rest| rest.parse::<u32>().is_ok());
            let kind = match text.parse::<f64>() {
                _ if is_day => Kind::Date,
                Ok(_) => Kind::Number,
                Err(_) => Kind::Word,
            };
            (!text.is_empty()).then(|| Value { column, text: text.to_owned(), kind })
        };
        let mut begins = false;
        let mut out = Vec::new();
        for (line, written) in (0..).zip(written.lines()) {
            let cells: Vec<Value> = (0..).zip(written.split('|')).filter_map(cell).collect();
            if cells.is_empty() {
                begins = true;
            } else {
                out.push(Row { line, begins: std::mem::take(&mut begins), cells });
            }
        }
        out
    }

    /// How many rows the areas have; those of the table before are negative.
    fn parted(written: &str) -> Vec<i64> {
        let one = |rows: &[Row]| usize::from(rows.first().is_some_and(|row| row.cells.iter().all(|c| c.kind == Kind::Word)));
        let count = |area: &Area| area.rows.len() as i64 * if area.part == Part::Rest { -1 } else { 1 };
        areas(rows(written), None, false, one).iter().map(count).collect()
    }

    #[test]
    fn another_header_begins_another_table() {
        assert_eq!(parted("Kunde|EUR|Jahr\nA|1|d1\nB|2|d2\n\nLieferant|CNY|Land\nC|3|CN\nD|4|CN"), [3, 3]);
        assert_eq!(parted("Kunde|EUR|Jahr\nA|1|d1\n\nKosten\n\nLieferant|CNY|Jahr\nC|3|d4"), [2, 3]);
        assert_eq!(parted("Erstellt|gestern\nAutor|Li\n\nNummer|Name|EUR|kg\nM|x|1|2\nN|y|3|4"), [2, 3]);
    }

    #[test]
    fn values_of_another_kind_or_place_are_no_rows_of_it() {
        assert_eq!(parted("Kunde|EUR|Jahr\nA|1|d1\nB|2|d2\nC|3|d3\n\nx|3|y\nz|4|w"), [4, 2]);
        assert_eq!(parted("Kunde|EUR\nA|1\nB|2\n\nC|1|5\nD|2|6"), [3, 2]);
        assert_eq!(parted("Name|Ort|Land\nA|B|C\nD|E|F\n\nAutor|Li\nStand|heute"), [3, 2]);
    }

    #[test]
    fn groups_and_sums_are_rows_of_their_table() {
        assert_eq!(parted("Kunde|EUR|Jahr\nA|1|d1\nB|2|d2\n\nC|3|d3\nD|4|d4\n\nSumme|10"), [3, -2, -1]);
        assert_eq!(parted("Kunde|EUR\nA|1\n\nRegion Nord\nB|2\nC|3\n\nRegion Süd\n\nD|3"), [2, -3, -2]);
        assert_eq!(parted("Name|Ort\nA|B\n\nC|D\nE|F"), [2, -2]);
        // Words among the numbers, and codes, are no header.
        assert_eq!(parted("Nr|EUR\nA1|1\nA2|auf Anfrage\nA3|4\n\nA4|auf Anfrage\nA5|5"), [4, -2]);
        assert_eq!(parted("Nr|EUR\nA1|1\nA2|3\n\nA4|ausverkauft\nA5|5"), [3, -2]);
        assert_eq!(parted("Nr|EUR\nA|1\nB|3\n\nC|n/a\nD|5"), [3, -2]);
    }

    #[test]
    fn a_header_may_be_set_apart() {
        assert_eq!(parted("Kunde|EUR|Jahr\n\nA|1|d1\nB|2|d2"), [3]);
        assert_eq!(parted("Autor|Li\n\nA|1\nB|2"), [1, 2]);
        let parts: Vec<Part> =
            areas(rows("Autor|Li\n\nNr|Name|EUR\nA|b|1"), None, false, |_| 1).iter().map(|area| area.part).collect();
        assert_eq!(parts, [Part::Text, Part::Table]);
    }

    #[test]
    fn lines_of_text_between_tables() {
        for (written, below, text) in [
            ("Stand Mai", None, true),
            ("Summe|5", None, true),
            ("Autor|Li\nStand|heute", Some(4), true),
            ("Autor|Li\nVersion|3\nSeiten|4", Some(4), true),
            ("Art|EUR\nA|3\nB|4\nC|5", Some(4), false),
            ("Autor|Li\nStand|heute", None, false),
            ("Name|Ort\nA|B", Some(2), false),
        ] {
            assert_eq!(is_text(&rows(written), below), text, "{written}");
        }
    }

    proptest! {
        /// No row is lost, none changes its place, and a table without blank rows is one.
        #[test]
        fn rows_keep_their_order(written in prop::collection::vec("([a-c]|[1-9]|d1|)(\\|([a-c]|[1-9]|d1|)){0,3}", 0..30)) {
            let all = rows(&written.join("\n"));
            let lines: Vec<u32> = all.iter().map(|row| row.line).collect();
            let gaps = all.iter().skip(1).filter(|row| row.begins).count();
            let areas = areas(all, None, false, |_| 1);
            prop_assert!(areas.len() <= gaps + 1);
            // More rows of a table stand below one.
            let is_led = |at: usize| areas.iter().take(at).any(|area| area.part == Part::Table);
            prop_assert!((0..areas.len()).all(|at| areas.get(at).is_none_or(|area| area.part != Part::Rest) || is_led(at)));
            prop_assert!(areas.first().is_none_or(|first| first.part != Part::Rest));
            let kept: Vec<u32> = areas.iter().flat_map(|area| area.rows.iter().map(|row| row.line)).collect();
            prop_assert_eq!(kept, lines);
        }
    }
}
