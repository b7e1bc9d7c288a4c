//! What stands in a cell of a sheet.

/// What a cell holds, as far as it tells names from values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Kind {
    Word,
    Number,
    /// A date or a year, which may be the name of a column.
    Date,
}

/// A cell that is not blank.
#[derive(Debug, Clone)]
pub(in super::super) struct Value {
    pub(in super::super) column: u32,
    pub(in super::super) text: String,
    pub(in super::super) kind: Kind,
}
