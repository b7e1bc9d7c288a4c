//! Tables, as a pipeline file says them.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::pipeline::units::{Period, Size};
use crate::source::sql::Format;

/// Rows of a table or a query as documents. What has changed is found by comparing, row by row, in short read-only transactions.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "sql")]
pub(in crate::pipeline) struct SqlSpec {
    /// The database: `postgres://…`, `mysql://…`, `mariadb://…` or `sqlite:FILE`. Best as a variable, since a password stands in it.
    /// Certificates are always verified; `?sslrootcert=ca.pem` names an authority of your own, `?sslmode=disable|prefer|require`
    /// says when to encrypt (by default to other machines, if the server can).
    #[schemars(length(min = 1), example = &"${DATABASE_URL}")]
    pub(in crate::pipeline) url: String,
    /// A table or view, with its schema where it needs one. Either this or `query`.
    #[schemars(length(min = 1), example = &"public.items")]
    pub(in crate::pipeline) table: Option<String>,
    /// One SELECT. Its rows are the documents.
    #[schemars(length(min = 1), example = &"SELECT id, title, body FROM items WHERE published")]
    pub(in crate::pipeline) query: Option<String>,
    /// The column, or the columns, that tell each row from all others.
    #[schemars(example = &"id")]
    pub(in crate::pipeline) key: ColumnsSpec,
    /// A column that changes with each change of the row, such as `updated_at`; of a query over several tables, the greatest of
    /// theirs. By default the server makes a hash of the columns that are used, which no change escapes.
    #[schemars(length(min = 1), example = &"updated_at")]
    pub(in crate::pipeline) updated: Option<String>,
    /// What a document is called: a column, or a text with columns in it (`{name} ({year})`).
    #[schemars(length(min = 1), example = &"title")]
    pub(in crate::pipeline) title: Option<String>,
    /// What a document says: a column, a list of columns, or a text with columns in it (`{summary}\n\n{body}`). By default all
    /// columns that have no other part, as lines of `name: value`.
    #[schemars(example = &"body")]
    pub(in crate::pipeline) text: Option<ColumnsSpec>,
    /// What the text is written in. By default plain text, or HTML where it begins with a tag and looks like it.
    pub(in crate::pipeline) format: Option<Format>,
    /// Where a document is found: an address with all columns of the key in it. By default `sql://database/table/key`.
    #[schemars(length(min = 1), example = &"https://shop.example/items/{id}")]
    pub(in crate::pipeline) uri: Option<String>,
    /// Columns that questions can be filtered by (`--where meta.price<10`).
    #[schemars(inner(length(min = 1)), example = ["category", "price"])]
    pub(in crate::pipeline) metadata: Option<Vec<Option<String>>>,
    /// Rows of a page of the walk over all keys.
    #[schemars(range(min = 1, max = 100_000), extend("default" = 5000))]
    pub(in crate::pipeline) page: Option<usize>,
    /// How long one statement may take.
    #[schemars(extend("default" = "5m"))]
    pub(in crate::pipeline) timeout: Option<Period>,
    /// Larger rows are skipped.
    #[schemars(extend("default" = "50MB"))]
    pub(in crate::pipeline) max_bytes: Option<Size>,
}

/// A column or several.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(title = "columns")]
pub(in crate::pipeline) enum ColumnsSpec {
    /// One.
    One(#[schemars(length(min = 1))] String),
    /// Several.
    Several(#[schemars(length(min = 1), inner(length(min = 1)))] Vec<Option<String>>),
}
