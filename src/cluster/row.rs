//! A row of an answer, whose cells are checked when they are read: somebody may have altered the tables.

use std::fmt;
use std::sync::Arc;

use tokio_postgres::types::FromSql;

use super::error::ClusterError;
use super::key::uri_of;
use crate::source::sql::postgres::Address;

/// A row of an answer of the cluster's database.
///
/// Invariant: no cell is read but through [`Row::cell`]. The driver's own way ends the task where a type or a NULL is not the expected one.
pub(super) struct Row {
    cells: tokio_postgres::Row,
    /// Of the database that gave it.
    address: Arc<Address>,
}

impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.cells.fmt(f)
    }
}

impl Row {
    pub(super) fn new(cells: tokio_postgres::Row, address: &Arc<Address>) -> Self {
        Self { cells, address: Arc::clone(address) }
    }

    /// The cell in a column.
    ///
    /// # Errors
    /// When its type is another, it is NULL where `T` knows none, or there is no such column: the tables are not as they were made.
    pub(super) fn cell<'a, T: FromSql<'a>>(&'a self, at: usize) -> Result<T, ClusterError> {
        self.cells.try_get(at).map_err(|error| {
            let place = &self.address.place;
            let Some(column) = self.cells.columns().get(at) else {
                return ClusterError::altered(place, &format!("an answer has no column {}", at + 1));
            };
            let (name, of) = (column.name(), column.type_());
            ClusterError::altered(
                place,
                &if T::accepts(of) {
                    format!("the column `{name}` cannot be read: {}", crate::error::reason(&error))
                } else {
                    format!("the column `{name}` is of another type, {of}")
                },
            )
        })
    }

    /// A number of things.
    pub(super) fn count(&self, at: usize) -> Result<u64, ClusterError> {
        // What is counted is never below 0.
        Ok(u64::try_from(self.cell::<i64>(at)?).unwrap_or_default())
    }

    /// The uri of a document whose key and kept uri are the first two columns.
    pub(super) fn uri(&self) -> Result<String, ClusterError> {
        Ok(uri_of(self.cell(0)?, self.cell(1)?))
    }
}
