//! What is listed, and what is read of it.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use futures_util::StreamExt as _;
use ragstream::source::sql::{Connection, From, Sql, SqlPlan};
use ragstream::source::{Body, FetchError, Fetched, Item, Listed, Source as _, Version};

use super::servers::Database;

/// A listing.
#[derive(Debug, Default)]
pub struct Listing {
    /// What there is, in its order.
    pub items: Vec<Item>,
    /// What could not be listed: below what, and why.
    pub unreadable: Vec<(String, String)>,
    /// What a person is told.
    pub notices: Vec<String>,
    /// Whether the end was told.
    pub complete: bool,
}

impl Listing {
    pub fn uris(&self) -> Vec<&str> {
        self.items.iter().map(|item| item.uri.as_str()).collect()
    }

    pub fn versions(&self) -> BTreeMap<String, Version> {
        self.items.iter().map(|item| (item.uri.clone(), item.version)).collect()
    }

    /// The one error of it.
    pub fn error(&self) -> &str {
        assert_eq!(self.unreadable.len(), 1, "{self:?}");
        &self.unreadable[0].1
    }

    /// That nothing was wrong.
    pub fn expect_whole(self) -> Self {
        assert!(self.complete && self.unreadable.is_empty(), "{:?}", self.unreadable);
        self
    }
}

/// A step of a listing.
pub fn note(listing: &mut Listing, step: Listed) {
    match step {
        Listed::Item(item) => listing.items.push(item),
        Listed::Unreadable { prefix, error } => listing.unreadable.push((prefix, error.to_string())),
        Listed::Complete => listing.complete = true,
        Listed::Notice(notice) => listing.notices.push(notice),
        other => panic!("{other:?}"),
    }
}

pub async fn list(source: &Sql) -> Listing {
    let mut listing = Listing::default();
    let mut steps = source.list();
    while let Some(step) = steps.next().await {
        note(&mut listing, step);
    }
    listing
}

/// All of what there is, by uri.
pub async fn read(source: &Sql) -> BTreeMap<String, Fetched> {
    let listing = list(source).await.expect_whole();
    let mut all = BTreeMap::new();
    for group in listing.items.chunks(7) {
        for (item, fetched) in group.iter().zip(source.fetch(group).await) {
            all.insert(item.uri.clone(), fetched.unwrap_or_else(|error| panic!("{}: {error:?}", item.uri)));
        }
    }
    all
}

pub fn text(fetched: &Fetched) -> &str {
    match &fetched.body {
        Body::Text { text, .. } => text,
        Body::Bytes { bytes, .. } => std::str::from_utf8(bytes).unwrap(),
        other => panic!("{other:?}"),
    }
}

pub fn why(answer: &Result<Fetched, FetchError>) -> String {
    match answer {
        Err(FetchError::Failed(error)) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

/// The plan of a table.
pub fn table(database: &Database, table: &str, key: &[&str]) -> SqlPlan {
    plan_of(&database.url(), From::Table(table.to_owned()), key)
}

/// The plan of a query.
pub fn query(database: &Database, query: &str, key: &[&str]) -> SqlPlan {
    plan_of(&database.url(), From::Query(query.to_owned()), key)
}

pub fn plan_of(url: &str, from: From, key: &[&str]) -> SqlPlan {
    let connection = Connection::open(url, Path::new("/"), Duration::from_secs(30)).unwrap();
    SqlPlan::new(connection, from, key.iter().map(|name| (*name).to_owned()).collect())
}

pub fn source(plan: SqlPlan) -> Sql {
    Sql::new(plan)
}
