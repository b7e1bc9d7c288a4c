//! A table, as a pipeline says it.

use std::fmt;
use std::sync::Arc;

use super::database::Database;
use super::template::Template;

/// Rows of a page, unless the pipeline says otherwise.
pub const PAGE: usize = 5_000;

/// A table or a query, whose rows are documents.
#[derive(Clone)]
pub struct SqlPlan {
    pub(super) database: Connection,
    /// What is read.
    pub from: From,
    /// The columns that tell a row from all others.
    pub key: Vec<String>,
    /// A column that changes with each change of the row. `None`: the server makes a hash of all columns that are used.
    pub updated: Option<String>,
    /// What a document is called.
    pub title: Option<Template>,
    /// What it says.
    pub text: Text,
    /// What it is written in. `None`: text, or HTML where it looks like that.
    pub format: Option<Format>,
    /// Its uri. Has all columns of the key.
    pub uri: Template,
    /// Columns that can be filtered by.
    pub metadata: Vec<String>,
    /// Rows of a page.
    pub page: usize,
    /// Larger rows are skipped.
    pub max_bytes: u64,
}

/// A database, to which nothing is connected before it is first asked.
#[derive(Clone)]
pub struct Connection(pub(super) Arc<dyn Database>);

/// What is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum From {
    /// A table or a view, with its schema where it has one: `items`, `public.items`.
    Table(String),
    /// One statement that reads.
    Query(String),
}

/// What a document says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Text {
    /// All columns that have no other part, each with its name.
    All,
    /// These columns, each with its name; one alone without it.
    Columns(Vec<String>),
    /// A text with columns in it.
    Template(Template),
}

/// What a text is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(title = "format")]
pub enum Format {
    /// Plain text.
    Text,
    /// Markdown.
    Markdown,
    /// HTML.
    Html,
}

impl Connection {
    /// The name of the database.
    pub fn name(&self) -> &str {
        self.0.name()
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.place())
    }
}

impl SqlPlan {
    /// All rows, with everything as it is by default.
    pub fn new(database: Connection, from: From, key: Vec<String>) -> Self {
        let place = match &from {
            From::Table(table) => table.as_str(),
            From::Query(_) => "query",
        };
        let mut prefix = "sql://".to_owned();
        super::uri::escape(database.name(), &mut prefix);
        prefix.push('/');
        super::uri::escape(place, &mut prefix);
        prefix.push('/');
        Self {
            uri: Template::path(prefix, &key),
            database,
            from,
            key,
            updated: None,
            title: None,
            text: Text::All,
            format: None,
            metadata: Vec::new(),
            page: PAGE,
            max_bytes: 50_000_000,
        }
    }

    /// Whether the database is a file of this machine's.
    pub fn is_file(&self) -> bool {
        self.database.0.is_file()
    }

    /// What all its documents' uris begin with, up to a `/`.
    pub fn prefix(&self) -> &str {
        let head = self.uri.head();
        head.rfind('/').and_then(|slash| head.get(..=slash)).unwrap_or_default()
    }
}

impl fmt::Debug for SqlPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqlPlan").field("database", &self.database).field("from", &self.from).finish_non_exhaustive()
    }
}
