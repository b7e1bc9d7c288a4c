//! One cell, as every format writes it.

/// Bytes of a value that stands in several places. A longer one is written once, at its first place.
pub(super) const REPEATED: usize = 200;

/// One cell, where it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::parse) struct Cell {
    /// Markdown; may hold line breaks, lists, code and tables.
    pub(in crate::parse) text: String,
    /// Whether it names a column or a row, as `<th>` does.
    pub(in crate::parse) header: bool,
    /// Columns that it covers; 0 counts as 1.
    pub(in crate::parse) columns: usize,
    /// Rows that it covers, of those that there are; 0 counts as 1.
    pub(in crate::parse) rows: usize,
}

impl Cell {
    /// A cell that covers one place.
    pub(in crate::parse) fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), header: false, columns: 1, rows: 1 }
    }
}
