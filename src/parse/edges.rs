//! Tables of RTF and of old Word documents: a cell knows where it ends on the page, from which spans follow.

use super::table::{Cell, Table};

/// Cells of a row.
const MAX_CELLS: usize = 500;

/// The rows of the table that is being read.
#[derive(Debug, Default)]
pub(in crate::parse) struct Rows {
    done: Vec<Row>,
    row: Row,
    definition: Definition,
    /// What is said of the next cell's definition.
    next: Place,
}

#[derive(Debug, Default)]
struct Row {
    cells: Vec<String>,
    places: Vec<Place>,
    header: bool,
}

#[derive(Debug, Clone, Default)]
struct Definition {
    places: Vec<Place>,
    header: bool,
}

/// Where a cell of a row ends on the page, and whether it belongs to the one above or to its left.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::parse) struct Place {
    pub(in crate::parse) right: i32,
    pub(in crate::parse) from_above: bool,
    pub(in crate::parse) from_left: bool,
}

impl Rows {
    pub(in crate::parse) fn begin_row(&mut self) {
        self.definition = Definition::default();
        self.next = Place::default();
    }

    pub(in crate::parse) fn edge(&mut self, right: i32) {
        self.place(Place { right, ..self.next });
        self.next = Place::default();
    }

    pub(in crate::parse) fn place(&mut self, place: Place) {
        if self.definition.places.len() < MAX_CELLS {
            self.definition.places.push(place);
        }
    }

    pub(in crate::parse) fn goes_on(&mut self) {
        self.next.from_above = true;
    }

    pub(in crate::parse) fn joins_left(&mut self) {
        self.next.from_left = true;
    }

    pub(in crate::parse) fn is_header(&mut self) {
        self.definition.header = true;
    }

    pub(in crate::parse) fn is_open(&self) -> bool {
        !self.row.cells.is_empty()
    }

    pub(in crate::parse) fn cell(&mut self, text: String) {
        if self.row.cells.len() < MAX_CELLS {
            self.row.cells.push(text);
        }
    }

    pub(in crate::parse) fn end_row(&mut self) {
        let mut row = std::mem::take(&mut self.row);
        if row.cells.is_empty() {
            return;
        }
        row.places.clone_from(&self.definition.places);
        row.header = self.definition.header;
        self.done.push(row);
    }

    /// The table so far, if there is one.
    pub(in crate::parse) fn finish(&mut self) -> Option<Table> {
        self.end_row();
        let rows = std::mem::take(&mut self.done);
        if rows.is_empty() {
            return None;
        }
        let mut edges: Vec<i32> = rows.iter().flat_map(|row| row.places.iter().map(|place| place.right)).collect();
        edges.sort_unstable();
        edges.dedup();
        let mut table: Vec<Vec<Cell>> = Vec::new();
        // Where the cell that ends at an edge began.
        let mut above: std::collections::HashMap<i32, (usize, usize)> = std::collections::HashMap::new();
        for row in rows {
            let mut cells: Vec<Cell> = Vec::new();
            let mut left = 0usize;
            for (nth, text) in row.cells.into_iter().enumerate() {
                let place = row.places.get(nth).copied().unwrap_or_default();
                let right = edges.partition_point(|&edge| edge <= place.right);
                let columns = if nth < row.places.len() { right.saturating_sub(left).max(1) } else { 1 };
                left = right.max(left + 1);
                if place.from_above
                    && let Some(start) = above.get(&place.right).and_then(|&(r, c)| table.get_mut(r)?.get_mut(c))
                {
                    start.rows += 1;
                    continue;
                }
                if place.from_left
                    && let Some(before) = cells.last_mut()
                {
                    before.columns += columns;
                    continue;
                }
                above.insert(place.right, (table.len(), cells.len()));
                cells.push(Cell { text, header: row.header, columns, rows: 1 });
            }
            table.push(cells);
        }
        Some(Table { rows: table, caption: None })
    }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, reason = "tests may")]
mod tests {
    use super::*;

    /// Rows of cells, each a text with where it ends; `^` goes on from above, `<` from the left.
    fn table(rows: &[&[(&str, i32)]]) -> Vec<Vec<(String, usize, usize)>> {
        let mut all = Rows::default();
        for row in rows {
            all.begin_row();
            for (text, right) in *row {
                match *text {
                    "^" => all.goes_on(),
                    "<" => all.joins_left(),
                    _ => {}
                }
                all.edge(*right);
                all.cell((*text).to_owned());
            }
            all.end_row();
        }
        let rows = all.finish().map(|table| table.rows).unwrap_or_default();
        rows.into_iter().map(|row| row.into_iter().map(|cell| (cell.text, cell.columns, cell.rows)).collect()).collect()
    }

    #[test]
    fn spans_follow_from_edges() {
        let got = table(&[
            &[("a", 10), ("b", 30), ("c", 40)],
            &[("^", 10), ("d", 20), ("e", 30), ("f", 40)],
            &[("g", 30), ("<", 40)],
        ]);
        let cell = |text: &str, columns, rows| (text.to_owned(), columns, rows);
        assert_eq!(got[0], [cell("a", 1, 2), cell("b", 2, 1), cell("c", 1, 1)]);
        assert_eq!(got[1], [cell("d", 1, 1), cell("e", 1, 1), cell("f", 1, 1)]);
        assert_eq!(got[2], [cell("g", 4, 1)]);
    }
}
