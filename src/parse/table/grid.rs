//! Where the cells of a table stand, once their spans are laid out.

use std::ops::Range;

use super::cell::{Cell, REPEATED};
use super::lines;

/// Columns that a cell may cover, as browsers have it.
const MAX_SPAN: usize = 1000;
/// Places on the grid, beyond several for each cell: a few bytes of spans must not become gigabytes of table.
const MAX_PLACES: usize = 1 << 20;
/// Rows of names; what comes after as many is written as rows of the table.
const MAX_HEADER: usize = 6;

/// A cell on the grid, in one row.
#[derive(Debug, Clone)]
pub(super) struct Place<'a> {
    pub(super) cell: &'a Cell,
    /// The columns that it covers; not empty.
    pub(super) columns: Range<usize>,
    /// Whether it began in an earlier row.
    pub(super) from_above: bool,
}

/// What the columns are called, and where the rows below begin.
pub(super) struct Header {
    /// By column; empty where they have no names.
    pub(super) names: Vec<String>,
    /// The rows that are no header.
    pub(super) body: Range<usize>,
}

/// The cells of each row from left to right, none over another.
#[derive(Debug)]
pub(super) struct Grid<'a> {
    rows: Vec<Vec<Place<'a>>>,
    columns: usize,
    laid_out: bool,
    bytes: usize,
}

impl<'a> Grid<'a> {
    pub(super) fn of(rows: &'a [Vec<Cell>]) -> Self {
        let cells: usize = rows.iter().map(Vec::len).sum();
        let budget = MAX_PLACES.max(cells.saturating_mul(8));
        let bytes = rows.iter().flatten().map(|cell| cell.text.len()).sum();
        laid_out(rows, budget)
            .map(|rows| without_doubles(rows, bytes))
            .filter(|grid| grid.rows.len().saturating_mul(grid.columns) <= budget)
            .unwrap_or_else(|| Self::without_spans(rows, bytes))
    }

    /// Each cell in the column of its number.
    fn without_spans(rows: &'a [Vec<Cell>], bytes: usize) -> Self {
        let place = |(n, cell)| Place { cell, columns: n..n + 1, from_above: false };
        let mut rows: Vec<Vec<Place>> = rows.iter().map(|row| row.iter().enumerate().map(place).collect()).collect();
        rows.retain(|row| says_something(row));
        let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
        Self { rows, columns, laid_out: false, bytes }
    }

    pub(super) fn columns(&self) -> usize {
        self.columns
    }

    pub(super) fn rows(&self) -> usize {
        self.rows.len()
    }

    /// Whether spans are as they were written.
    pub(super) fn is_laid_out(&self) -> bool {
        self.laid_out
    }

    /// Of all cells.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn row(&self, row: usize) -> &[Place<'a>] {
        self.rows.get(row).map_or(&[], Vec::as_slice)
    }

    /// Titles that stand above the table in cells as wide as all of it, and the header.
    pub(super) fn header(&self) -> (Vec<&'a str>, Header) {
        let (titles, Range { start: first, end: named }) = self.titles();
        let names = (0..self.columns).map(|_| String::new()).collect();
        let mut header = Header { names, body: named..self.rows.len() };
        for row in first..named {
            self.name_columns(row, &mut header.names);
        }
        (titles, header)
    }

    /// The rows that name the columns.
    #[cfg(feature = "pdf")]
    pub(super) fn header_range(&self) -> Range<usize> {
        self.titles().1
    }

    /// Whether the first row names columns beyond doubt: no quantity in it, and one of its names over quantities.
    #[cfg(feature = "pdf")]
    pub(super) fn is_headed(&self) -> bool {
        let Some((first, below)) = self.rows.split_first() else { return false };
        !first.iter().any(is_quantity)
            && first.iter().filter(|place| says(place)).any(|place| stands_over_numbers(place, below))
    }

    /// Titles that stand above the table, and the rows that name its columns.
    fn titles(&self) -> (Vec<&'a str>, Range<usize>) {
        let mut first = 0;
        let mut titles = Vec::new();
        while let [place] = self.row(first)
            && place.columns.len() == self.columns
            && self.columns > 1
            && first + 1 < self.rows.len()
        {
            // A cell that reaches into the rows below is there, too.
            if !place.from_above {
                titles.push(place.cell.text.as_str());
            }
            first += 1;
        }
        (titles, first..first + self.header_rows(first))
    }

    /// How many rows from this one on name the columns.
    fn header_rows(&self, first: usize) -> usize {
        let is_header = |row: &Vec<Place>| row.iter().filter(|place| says(place)).all(|place| place.cell.header);
        let rows = self.rows.get(first..).unwrap_or_default();
        let named = rows.iter().take_while(|row| is_header(row)).count();
        if named == rows.len() && named > 0 {
            // Nothing but names: those of the first row, and what stands beneath them as far as these reach.
            let below = rows.iter().skip(1).take_while(|row| row.iter().any(|place| place.from_above)).count();
            return 1 + below.min(named.saturating_sub(2)).min(MAX_HEADER);
        }
        if named == 0 && !rows.iter().flatten().any(|place| place.cell.header) {
            return if looks_like_data(rows) { 0 } else { 1 + usize::from(is_divided(rows)) };
        }
        // Word and PowerPoint mark the first row alone.
        if named == 1 && is_divided(rows) {
            return 2;
        }
        named.min(MAX_HEADER)
    }

    /// Adds a header row to the names, each name once.
    fn name_columns(&self, row: usize, names: &mut [String]) {
        for place in self.row(row) {
            let text = lines::one(&place.cell.text);
            for column in place.columns.clone() {
                let far = column > place.columns.start && text.len() > REPEATED;
                let Some(name) = names.get_mut(column).filter(|_| !text.is_empty() && !far && !place.from_above) else {
                    continue;
                };
                if name.is_empty() {
                    name.push_str(&text);
                } else if name.rsplit(" / ").next() != Some(&text) {
                    name.push_str(" / ");
                    name.push_str(&text);
                }
            }
        }
    }
}

/// Whether the second row names parts of a column of the first, as `EUR` and `CNY` below a merged `Price`: it has two names or more
/// below one cell of the first row, no quantity, and rows below it; and either it says nothing of the other columns, whose names
/// reach down or have blanks below them, or one of its names stands over quantities. A row of words alone below a merged name may
/// be the first one of values, and is left one.
fn is_divided(rows: &[Vec<Place>]) -> bool {
    let [first, second, below @ ..] = rows else { return false };
    let names: Vec<&Place> = second.iter().filter(|place| says(place)).collect();
    let beneath = |above: &Place| {
        let inside = |place: &&&Place| above.columns.start <= place.columns.start && place.columns.end <= above.columns.end;
        let count = names.iter().filter(inside).count();
        says(above) && above.columns.len() > 1 && count > 1
    };
    let covered = |place: &Place| first.iter().any(|above| beneath(above) && above.columns.contains(&place.columns.start));
    if below.is_empty() || !first.iter().any(beneath) || names.iter().any(|place| is_quantity(place)) {
        return false;
    }
    names.iter().all(|place| covered(place)) || names.iter().any(|place| covered(place) && stands_over_numbers(place, below))
}

/// Whether a number stands there that is no year.
fn is_quantity(place: &Place) -> bool {
    is_number(&place.cell.text) && !is_year(&place.cell.text)
}

/// Whether most of what stands below a place is a number.
fn stands_over_numbers(place: &Place, below: &[Vec<Place>]) -> bool {
    let at = |row: &Vec<Place>| row.iter().find(|p| p.columns.contains(&place.columns.start)).map(|p| is_number(&p.cell.text));
    let values: Vec<bool> = below.iter().take(50).filter_map(at).collect();
    2 * values.iter().filter(|number| **number).count() > values.len()
}

/// Whether a first row without a mark is a row like those below: its numbers stand over numbers.
fn looks_like_data(rows: &[Vec<Place>]) -> bool {
    let Some((first, below)) = rows.split_first() else { return true };
    if below.is_empty() {
        return true;
    }
    // A corner that names nothing, as tables with names on two sides have it.
    if first.first().is_none_or(|place| place.cell.text.trim().is_empty()) {
        return false;
    }
    first.iter().any(|place| is_quantity(place) && stands_over_numbers(place, below))
}

/// Begins like a quantity: `16 GB`, `-3 %`, `$5`.
fn is_number(text: &str) -> bool {
    let text = text.trim().trim_start_matches(|c: char| "-−+±~<>≤≥≈$€£¥(".contains(c)).trim_start();
    text.starts_with(|c: char| c.is_ascii_digit())
}

fn is_year(text: &str) -> bool {
    let text = text.trim();
    text.len() == 4 && (text.starts_with("19") || text.starts_with("20")) && text.bytes().all(|b| b.is_ascii_digit())
}

/// Whether it begins here and is not blank.
fn says(place: &Place) -> bool {
    !place.from_above && !place.cell.text.trim().is_empty()
}

fn says_something(row: &[Place]) -> bool {
    row.iter().any(says)
}

/// By the rules of HTML; `None` where that would take more than so many places. Rows in which nothing begins are left out.
fn laid_out(rows: &[Vec<Cell>], budget: usize) -> Option<Vec<Vec<Place<'_>>>> {
    let mut out = Vec::with_capacity(rows.len());
    // Cells that reach into the rows below, from left to right, with the number of rows that they still reach into.
    let mut above: Vec<(Place, usize)> = Vec::new();
    let mut places = 0usize;
    for cells in rows {
        let mut row: Vec<Place> = Vec::with_capacity(cells.len() + above.len());
        let mut reaching: Vec<(Place, usize)> = Vec::with_capacity(above.len());
        let mut taken = above.drain(..).peekable();
        let mut at = 0;
        for cell in cells {
            // The first place that nothing reaches into from above.
            while let Some((place, left)) = taken.next_if(|(place, _)| place.columns.start <= at) {
                at = at.max(place.columns.end);
                row.push(place.clone());
                if left > 1 {
                    reaching.push((place, left - 1));
                }
            }
            let free = taken.peek().map_or(usize::MAX, |(place, _)| place.columns.start);
            let end = (at + cell.columns.clamp(1, MAX_SPAN)).min(free);
            let place = Place { cell, columns: at..end, from_above: false };
            at = end;
            if cell.rows > 1 {
                reaching.push((Place { from_above: true, ..place.clone() }, cell.rows - 1));
            }
            row.push(place);
        }
        for (place, left) in taken {
            row.push(place.clone());
            if left > 1 {
                reaching.push((place, left - 1));
            }
        }
        above = reaching;
        places += row.len();
        if places > budget {
            return None;
        }
        if says_something(&row) {
            out.push(row);
        }
    }
    Some(out)
}

/// Leaves out the columns in which no cell begins: they repeat the one before.
fn without_doubles(mut rows: Vec<Vec<Place<'_>>>, bytes: usize) -> Grid<'_> {
    let mut starts: Vec<usize> = rows.iter().flatten().map(|place| place.columns.start).collect();
    starts.sort_unstable();
    starts.dedup();
    for place in rows.iter_mut().flatten() {
        let rank = |column: usize| starts.partition_point(|start| *start < column);
        place.columns = rank(place.columns.start)..rank(place.columns.end);
    }
    Grid { rows, columns: starts.len(), laid_out: true, bytes }
}
