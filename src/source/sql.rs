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

mod cell;
mod database;
mod error;
#[cfg(feature = "mysql")]
mod mysql;
mod open;
mod plan;
#[cfg(feature = "postgres")]
mod postgres;
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

use async_trait::async_trait;
use futures_util::stream::{self, BoxStream, StreamExt as _};

pub(crate) use self::open::{SCHEMES, open};
pub use self::plan::{Connection, Format, From, PAGE, SqlPlan, Text};
use self::render::document;
use self::table::{Found, Table};
pub use self::template::Template;
pub(crate) use self::url::UrlProblem;
use self::walk::{patiently, walk};
use super::{FetchError, Fetched, Item, Listed, Source, SourceError, SourceId};

/// A table as a source.
#[derive(Debug)]
pub struct Sql {
    id: SourceId,
    table: Arc<Table>,
}

impl Sql {
    /// The rows of a plan.
    pub fn new(plan: SqlPlan) -> Self {
        Self { id: SourceId::new("sql"), table: Arc::new(Table::new(plan)) }
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
        let plan = &self.table.plan;
        let fetched = |item: &Item| match found.remove(&item.key) {
            None => Err(FetchError::Gone),
            Some(Found::Several) => Err(SourceError::new(self.table.doubled(&item.uri, 1)).into()),
            // A part of its uri was changed meanwhile: the next run lists it under the new one.
            Some(Found::One(whole)) if whole.listed.uri != item.uri => Err(FetchError::Gone),
            Some(Found::One(whole)) => document(plan, &reading, *whole),
        };
        items.iter().map(fetched).collect()
    }
}
