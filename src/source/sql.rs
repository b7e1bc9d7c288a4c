//! Tables of databases: every row is a document.
//!
//! As with files, a table is *walked*, compared, and what changed is *read*. The walk asks for the key of every row and for what
//! tells its state (a column, or a hash that the server makes), page by page in the order of the key; each page is a short
//! transaction of its own. What the ledger does not know to be unchanged is then read by key. No watermark: a row that was
//! committed late, by a transaction that began early, is seen like any other. No long snapshot: nothing stays open on the server
//! while an embedding model is slow, and a broken connection costs one page.
//!
//! Invariant: what could not be listed to its end removes nothing.
//! Invariant: no value is decoded by its type; databases tell each in a text form that no session's settings change.

#![cfg_attr(
    not(all(feature = "mysql", feature = "postgres")),
    allow(dead_code, reason = "what one database alone needs is there where another one is left out")
)]

mod cell;
mod database;
pub(crate) mod error;
mod list;
#[cfg(feature = "mysql")]
mod mysql;
mod open;
mod plan;
#[cfg(feature = "postgres")]
pub(crate) mod postgres;
mod reading;
mod render;
mod rows;
mod spool;
mod sqlite;
mod stamp;
mod table;
mod template;
#[cfg(any(feature = "mysql", feature = "postgres"))]
mod tls;
mod uri;
mod url;
mod walk;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use futures_util::stream::{self, BoxStream, StreamExt as _};

pub(crate) use self::open::{SCHEMES, open};
pub use self::plan::{Connection, Format, From, PAGE, SqlPlan, Text};
use self::reading::Reading;
use self::render::document;
use self::table::{Found, Table};
pub use self::template::Template;
pub(crate) use self::url::UrlProblem;
use self::walk::{patiently, walk};
use super::{FetchError, Fetched, Item, Listed, Source, SourceError, SourceId};

/// Rows that are asked for at once, at most,
const AT_ONCE: usize = 256;
/// and the bytes that they may hold together, about.
const AT_ONCE_BYTES: u64 = 1 << 20;
/// What a row is taken for before one was read: it may be a book.
const UNKNOWN_BYTES: u64 = 64 << 10;

/// A table as a source.
#[derive(Debug)]
pub struct Sql {
    id: SourceId,
    table: Arc<Table>,
    /// Bytes of a row, as the last ones had them; large ones are not soon forgotten.
    usual: AtomicU64,
}

impl Sql {
    /// The rows of a plan.
    pub fn new(plan: SqlPlan) -> Self {
        Self { id: SourceId::new("sql"), table: Arc::new(Table::new(plan)), usual: AtomicU64::new(UNKNOWN_BYTES) }
    }

    /// The row of this address, found by what the address says of its key; `None` where it does not tell that.
    pub(crate) async fn look_up(&self, uri: &str) -> Option<Result<Fetched, FetchError>> {
        let values = self.table.plan.uri.read(uri)?;
        let reading = match patiently(|| self.table.prepare()).await {
            Ok(reading) => reading,
            Err(error) => return Some(Err(SourceError::new(error).into())),
        };
        let keys = reading.keys_of(&values)?;
        let keys: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
        let rows = match patiently(|| self.table.rows(&keys)).await {
            Ok((_, found)) => found.into_values(),
            Err(error) => return Some(Err(SourceError::new(error).into())),
        };
        // Of the values that the address may mean most are no values of the column.
        let rows = rows.filter(|found| !matches!(found, Found::Unreadable(_)) || keys.len() == 1);
        let mut made = rows.map(|found| self.made(&reading, uri, found));
        Some(made.find(|made| !matches!(made, Err(FetchError::Gone))).unwrap_or(Err(FetchError::Gone)))
    }

    /// What is made of what was found of the key of an address.
    fn made(&self, reading: &Reading, uri: &str, found: Found) -> Result<Fetched, FetchError> {
        match found {
            Found::Several => Err(SourceError::new(self.table.doubled(uri, 1)).into()),
            Found::Unreadable(error) => Err(SourceError::new(error).into()),
            Found::Unfound => Err(SourceError::new(self.table.unfound(uri)).into()),
            // A part of its uri was changed meanwhile: the next run lists it under the new one.
            Found::One(whole) if whole.listed.uri != uri => Err(FetchError::Gone),
            Found::One(whole) => document(&self.table.plan, reading, *whole),
        }
    }

    /// Notes how large rows are.
    fn learn(&self, rows: &[Result<Fetched, FetchError>]) {
        let read: Vec<u64> = rows.iter().flatten().map(|row| row.body.len() as u64).collect();
        if let Some(mean) = read.iter().sum::<u64>().checked_div(read.len() as u64) {
            let known = |usual: u64| Some(mean.max(usual - usual.div_ceil(4)).max(1));
            // It always says something.
            let _ = self.usual.fetch_update(Ordering::Relaxed, Ordering::Relaxed, known);
        }
    }
}

#[async_trait]
impl Source for Sql {
    fn id(&self) -> &SourceId {
        &self.id
    }

    fn roots(&self) -> Vec<String> {
        vec![self.table.plan.prefix().to_owned()]
    }

    fn list(&self) -> BoxStream<'_, Listed> {
        let walking = stream::once(async { walk(&self.table) });
        let steps = walking.flat_map(|walking| {
            stream::unfold(walking, |(mut steps, task)| async { steps.recv().await.map(|page| (page, (steps, task))) })
        });
        steps.flat_map(stream::iter).boxed()
    }

    async fn fetch(&self, items: &[Item]) -> Vec<Result<Fetched, FetchError>> {
        let keys: Vec<&[u8]> = items.iter().map(|item| item.key.as_slice()).collect();
        let (reading, mut found) = match patiently(|| self.table.rows(&keys)).await {
            Ok(found) => found,
            Err(error) => return items.iter().map(|_| Err(SourceError::new(error.clone()).into())).collect(),
        };
        let fetched = |item: &Item| match found.remove(&item.key) {
            None => Err(FetchError::Gone),
            Some(found) => self.made(&reading, &item.uri, found),
        };
        let fetched: Vec<_> = items.iter().map(fetched).collect();
        self.learn(&fetched);
        fetched
    }

    fn at_once(&self) -> Option<usize> {
        let rows = AT_ONCE_BYTES / self.usual.load(Ordering::Relaxed).max(1);
        Some(usize::try_from(rows).unwrap_or(AT_ONCE).clamp(1, AT_ONCE))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test may panic")]
mod tests {
    use super::*;
    use crate::source::{Body, FormatHint, Version};

    #[test]
    fn as_many_rows_are_asked_for_at_once_as_hold_a_megabyte() {
        let connection = Connection::open("sqlite:a.db", std::path::Path::new("/"), std::time::Duration::from_secs(1)).unwrap();
        let source = Sql::new(SqlPlan::new(connection, From::Table("t".into()), vec!["id".into()]));
        let read = |bytes: usize, times: usize| {
            let body = Body::Bytes { bytes: vec![0; bytes], hint: FormatHint::default() };
            for _ in 0..times {
                source.learn(&[Ok(Fetched::new(body.clone(), Version::UNKNOWN)), Err(FetchError::Gone)]);
            }
            source.at_once().unwrap()
        };
        assert_eq!(source.at_once(), Some(16), "nothing is known yet");
        source.learn(&[Err(FetchError::Gone)]);
        assert_eq!(source.at_once(), Some(16));
        assert_eq!(read(900, 30), AT_ONCE);
        assert_eq!(read(0, 30), AT_ONCE);
        assert_eq!(read(10 << 10, 1), 102);
        assert_eq!(read(5 << 20, 1), 1);
        assert!(read(900, 1) < 3, "there may be more of them");
        assert_eq!(read(900, 40), AT_ONCE);
    }
}
