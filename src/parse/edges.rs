//! Tables of RTF: a cell knows where it ends on the page, from which spans follow.

use super::super::table::{Cell, Table};

/// Cells of a row.
const MAX_CELLS: usize = 500;

/// The rows of the table that is being read.
#[derive(Debug, Default)]
pub(super) struct Rows {
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

#[derive(Debug, Clone, Copy, Default)]
struct Place {
    right: i32,
    from_above: bool,
    from_left: bool,
}

impl Rows {
    pub(super) fn begin_row(&mut self) {
        self.definition = Definition::default();
        self.next = Place::default();
    }

    pub(super) fn edge(&mut self, right: i32) {
        if self.definition.places.len() < MAX_CELLS {
            self.definition.places.push(Place { right, ..self.next });
        }
        self.next = Place::default();
    }

    pub(super) fn goes_on(&mut self) {
        self.next.from_above = true;
    }

    pub(super) fn joins_left(&mut self) {
        self.next.from_left = true;
    }

    pub(super) fn is_header(&mut self) {
        self.definition.header = true;
    }

    pub(super) fn is_open(&self) -> bool {
        !self.row.cells.is_empty()
    }

    pub(super) fn cell(&mut self, text: String) {
        if self.row.cells.len() < MAX_CELLS {
            self.row.cells.push(text);
        }
    }

    pub(super) fn end_row(&mut self) {
        let mut row = std::mem::take(&mut self.row);
        if row.cells.is_empty() {
            return;
        }
        row.places.clone_from(&self.definition.places);
        row.header = self.definition.header;
        self.done.push(row);
    }

    /// The table so far, if there is one.
    pub(super) fn finish(&mut self) -> Option<Table> {
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
