//! Tables of every format, as Markdown: spans laid out on a grid, every header row kept, one row a line.

mod cell;
mod grid;
mod lines;
#[cfg(test)]
mod tests;

pub(super) use cell::Cell;
use cell::REPEATED;
use grid::{Grid, Header};

/// Bytes that values may take by being repeated, beyond as many as the table has anyway.
const REPEATED_IN_ALL: usize = 1 << 20;
/// A cell of this length that has paragraphs is a part of a page, no value.
const PASSAGE: usize = 600;
/// Below this a table of one row is one of values.
const VALUE: usize = 200;

/// A table as written: the cells of each row in their order, without the places that cells of other rows reach into.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Table {
    pub(super) rows: Vec<Vec<Cell>>,
    /// What stands above or below it.
    pub(super) caption: Option<String>,
}

impl Table {
    /// Markdown without blank lines around it; empty if nothing is in the table.
    ///
    /// A table in the sense of GFM, with a header row that holds the names of all header rows (`2019 / Q1`) or nothing at all
    /// where the columns have no names. What is a table only to lay out a page becomes the blocks that it holds, and one with
    /// listings in its cells becomes a list of its rows.
    pub(super) fn to_markdown(&self) -> String {
        let grid = Grid::of(&self.rows);
        let mut blocks: Vec<String> = Vec::new();
        blocks.extend(self.caption.iter().map(|caption| caption.trim().to_owned()));
        if self.is_layout(&grid) {
            blocks.push(self.to_blocks());
        } else {
            let (titles, header) = grid.header();
            blocks.extend(titles.iter().map(|title| lines::one(title)));
            let listing = self.rows.iter().flatten().any(|cell| lines::holds_listing(&cell.text));
            blocks.push(if listing { records(&grid, &header) } else { gfm(&grid, &header) });
        }
        blocks.retain(|block| !block.trim().is_empty());
        blocks.join("\n\n")
    }

    /// The cells one after another, each with its blocks.
    pub(super) fn to_blocks(&self) -> String {
        let cells = self.rows.iter().flatten().map(|cell| cell.text.trim_matches('\n')).filter(|text| !text.trim().is_empty());
        cells.collect::<Vec<_>>().join("\n\n")
    }

    /// The values alone, row by row, for a cell of another table.
    #[cfg(feature = "office")]
    pub(super) fn to_values(&self) -> String {
        let values = |row: &Vec<Cell>| {
            row.iter().map(|cell| cell.text.trim()).filter(|text| !text.is_empty()).collect::<Vec<_>>().join(", ")
        };
        self.rows.iter().map(values).filter(|row| !row.is_empty()).collect::<Vec<_>>().join("; ")
    }

    /// Puts the header of a table above this one, which goes on with its rows: unless that one has none, or this one has its own,
    /// the same or another. Returns whether it did.
    #[cfg(feature = "pdf")]
    pub(super) fn go_on_from(&mut self, before: &Self) -> bool {
        let grid = Grid::of(&before.rows);
        let range = grid.header_range();
        if before.is_layout(&grid) || range.is_empty() || Grid::of(&self.rows).is_headed() {
            return false;
        }
        let says = |row: &&Vec<Cell>| row.iter().any(|cell| !cell.text.trim().is_empty());
        // The grid has no rows in which nothing begins.
        let names = before.rows.iter().filter(says).skip(range.start).take(range.len());
        let names: Vec<Vec<Cell>> = names
            .enumerate()
            .map(|(nth, row)| {
                row.iter().map(|cell| Cell { header: true, rows: cell.rows.min(range.len() - nth), ..cell.clone() }).collect()
            })
            .collect();
        let texts = |row: &[Cell]| row.iter().map(|cell| lines::one(&cell.text)).collect::<Vec<_>>();
        if names.first().map(|row| texts(row)) == self.rows.first().map(|row| texts(row)) {
            return false;
        }
        self.rows.splice(0..0, names);
        true
    }

    /// Whether the table only arranges what it holds.
    fn is_layout(&self, grid: &Grid) -> bool {
        let cells = || self.rows.iter().flatten();
        if cells().any(|cell| cell.header) {
            return grid.columns() < 2 && cells().any(|cell| is_passage(&cell.text));
        }
        grid.columns() < 2
            || cells().any(|cell| {
                let text = &cell.text;
                lines::holds_heading(text) || lines::holds_listing(text) || lines::holds_table(text) || is_passage(text)
            })
            || (grid.rows() < 2 && cells().any(|cell| cell.text.len() > VALUE || cell.text.trim().contains("\n\n")))
    }
}

fn is_passage(text: &str) -> bool {
    let text = text.trim();
    text.len() > PASSAGE && text.contains("\n\n")
}

/// The table of GFM. `header`: names by column.
fn gfm(grid: &Grid, header: &Header) -> String {
    let mut out = String::new();
    let mut budget = REPEATED_IN_ALL + grid.bytes();
    let rows = header.body.clone().filter_map(|row| {
        let cells = values(grid, row, &mut budget);
        cells.iter().any(|cell| !cell.is_empty()).then_some(cells)
    });
    let mut rows: Vec<Vec<String>> = rows.collect();
    let names: Vec<String> = header.names.iter().map(|name| lines::one(name)).collect();
    let mut kept: Vec<bool> = names.iter().map(|name| !name.is_empty()).collect();
    for row in &rows {
        for (kept, cell) in kept.iter_mut().zip(row) {
            *kept |= !cell.is_empty();
        }
    }
    let width = kept.iter().filter(|kept| **kept).count();
    if width == 0 {
        return out;
    }
    rows.insert(0, names);
    for (n, row) in rows.iter().enumerate() {
        let mut cells = row.iter().zip(&kept).filter(|(_, kept)| **kept).map(|(cell, _)| cell.as_str());
        out.push('|');
        // A row of a grid that was too large to lay out has no more than its own cells.
        let filled = if grid.is_laid_out() || n == 0 { width } else { row.len().min(width) };
        for _ in 0..filled {
            let cell = cells.next().unwrap_or_default();
            out.push(' ');
            lines::push_escaped(cell, &mut out);
            out.push_str(if cell.is_empty() { "|" } else { " |" });
        }
        out.push('\n');
        if n == 0 {
            out.push('|');
            out.push_str(&" - |".repeat(width));
            out.push('\n');
        }
    }
    out.truncate(out.trim_end().len());
    out
}

/// One block a cell, each under the name of its column: listings stay listings.
fn records(grid: &Grid, header: &Header) -> String {
    let mut blocks: Vec<String> = Vec::new();
    if header.body.is_empty() {
        blocks.extend(header.names.iter().map(|name| lines::one(name)));
    }
    for row in header.body.clone() {
        for place in grid.row(row) {
            let text = place.cell.text.trim_matches('\n');
            if text.trim().is_empty() || (place.from_above && text.len() > REPEATED) {
                continue;
            }
            let name = header.names.get(place.columns.start).map(|name| lines::one(name)).unwrap_or_default();
            blocks.push(match (name.is_empty(), text.contains('\n')) {
                (true, _) => text.to_owned(),
                (false, false) => format!("{name}: {text}"),
                (false, true) => format!("{name}:\n\n{text}"),
            });
        }
    }
    blocks.retain(|block| !block.is_empty());
    blocks.join("\n\n")
}

/// A row's values by column. One that covers the whole row stands in its first column alone: it is a heading of rows.
fn values(grid: &Grid, row: usize, budget: &mut usize) -> Vec<String> {
    let mut values = Vec::new();
    for place in grid.row(row) {
        let text = lines::one(&place.cell.text);
        let whole = place.columns.len() == grid.columns() && place.columns.len() > 1;
        for column in place.columns.clone() {
            let repeats = column > place.columns.start || place.from_above;
            let fits = !repeats || (text.len() <= REPEATED && text.len() <= *budget && !whole);
            if repeats && fits {
                *budget -= text.len();
            }
            values.resize(column, String::new());
            values.push(if fits { text.clone() } else { String::new() });
        }
    }
    values
}
