//! How the rows of a source are read: its statements, and what their answers mean.

use std::collections::{BTreeSet, HashMap};

use super::cell::{Cell, Column, Kind, Row, encode, unhex};
use super::database::{Database, Relation};
use super::error::SqlError;
use super::plan::{From, SqlPlan, Text};
use super::template::Template;
use super::uri::escape;
use super::url::decoded;
use crate::source::Version;
use crate::suggest::did_you_mean;

/// How a row's state is told.
#[derive(Debug, Clone, PartialEq, Eq)]
enum StampBy {
    /// By a column.
    Column(Column),
    /// By a hash that the server makes.
    Server(String),
    /// By a hash of the values that are used, made here.
    Values,
}

/// How rows are read, once it is known which columns there are.
#[derive(Debug, Clone)]
pub(super) struct Reading {
    /// What is read from.
    pub relation: Relation,
    /// The columns of the key, in the order in which the pipeline names them.
    pub key: Vec<Column>,
    /// All columns that a document is made of.
    pub used: Vec<Column>,
    /// The columns of the text, where there is no template.
    pub text: Vec<Column>,
    /// Columns of the uri beside the key.
    beside: Vec<Column>,
    stamp: StampBy,
    /// A hash of all that makes documents of rows. Another one: every row is read anew.
    form: [u8; 8],
}

/// A row as it is listed.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Listed {
    /// The key, by [`encode`]; `None` where a part of it is `NULL`.
    pub key: Option<Vec<u8>>,
    /// The key's values.
    pub cells: Vec<Cell>,
    /// See [`crate::source::Item::uri`].
    pub uri: String,
    /// See [`crate::source::Item::version`].
    pub version: Version,
}

/// A row as it is read.
#[derive(Debug)]
pub(super) struct Whole {
    /// As it would be listed.
    pub listed: Listed,
    /// When it was changed, if a column says so.
    pub updated: Option<String>,
    /// The server's clock.
    pub clock: String,
    /// The values of [`Reading::used`].
    pub values: Row,
}

impl Reading {
    /// How rows of a relation with these columns are read.
    ///
    /// # Errors
    /// A column that is named and is not there.
    pub fn new(plan: &SqlPlan, database: &dyn Database, relation: Relation, columns: &[Column]) -> Result<Self, SqlError> {
        let find = |name: &str, part: &str| find(columns, &relation, name, part);
        let all = |names: &[String], part: &str| names.iter().map(|name| find(name, part)).collect::<Result<Vec<_>, _>>();
        let key = all(&plan.key, "key")?;
        let updated = plan.updated.as_deref().map(|name| find(name, "updated")).transpose()?;
        let metadata = all(&plan.metadata, "metadata")?;
        let title = plan.title.iter().flat_map(Template::columns).map(|name| find(name, "title"));
        let title = title.collect::<Result<Vec<_>, _>>()?;
        let in_uri = plan.uri.columns().map(|name| find(name, "uri")).collect::<Result<Vec<_>, _>>()?;
        let text = match &plan.text {
            Text::Columns(names) => all(names, "text")?,
            Text::Template(template) => template.columns().map(|name| find(name, "text")).collect::<Result<_, _>>()?,
            Text::All => {
                let only_title = plan.title.as_ref().and_then(|title| title.only());
                let other: BTreeSet<&str> = [&key, &metadata, &in_uri]
                    .into_iter()
                    .flatten()
                    .chain(&updated)
                    .map(|c| c.name.as_str())
                    .chain(only_title)
                    .collect();
                let rest = columns.iter().filter(|c| !other.contains(c.name.as_str()) && c.kind != Kind::Bytes);
                let rest = rest.map(|column| find(&column.name, "text")).collect::<Result<Vec<_>, _>>()?;
                if rest.is_empty() {
                    let message = format!("{} has no column left for `text`", relation.called);
                    return Err(SqlError::new(message).hint("name the columns of the text: `text: [a, b]`"));
                }
                rest
            }
        };
        let mut used: Vec<Column> = Vec::new();
        for column in [&key, &in_uri, &title, &metadata, &text].into_iter().flatten() {
            if !used.contains(column) {
                used.push(column.clone());
            }
        }
        let beside = in_uri.into_iter().filter(|column| !key.contains(column)).collect();
        let stamp = match updated {
            Some(column) => StampBy::Column(column),
            None => database.digest(&used).map_or(StampBy::Values, StampBy::Server),
        };
        let form = form(plan, &used, &stamp);
        let text = if matches!(plan.text, Text::Template(_)) { Vec::new() } else { text };
        Ok(Self { relation, key, used, text, beside, stamp, form })
    }

    /// A page of keys and states: those from this key on, or all; so many at most, in the order of the key, or all in any.
    pub fn keys(&self, database: &dyn Database, from: Option<&[Cell]>, limit: Option<usize>) -> String {
        let mut statement = format!("SELECT {} FROM {}", self.listed(database).join(", "), self.relation.named());
        if limit.is_some() {
            // Where a part of a key is not known, `>=` is not, either: no page may begin there.
            let whole = self.key.iter().map(|column| format!("{} IS NOT NULL", database.column(&column.name)));
            let known: Vec<String> = from.map(|cells| database.not_before(&self.key, cells)).into_iter().chain(whole).collect();
            statement.push_str(&format!(" WHERE {}", known.join(" AND ")));
        }
        if let Some(limit) = limit {
            let order: Vec<String> = self.key.iter().map(|column| database.column(&column.name)).collect();
            statement.push_str(&format!(" ORDER BY {} LIMIT {limit}", order.join(", ")));
        }
        statement
    }

    /// Any row whose key is not whole.
    pub fn without_key(&self, database: &dyn Database) -> String {
        let unknown: Vec<String> = self.key.iter().map(|column| format!("{} IS NULL", database.column(&column.name))).collect();
        format!("SELECT 1 FROM {} WHERE {} LIMIT 1", self.relation.named(), unknown.join(" OR "))
    }

    /// Whole rows of these keys.
    pub fn rows(&self, database: &dyn Database, keys: &[&[Cell]]) -> String {
        let mut columns = self.listed(database);
        columns.extend(self.used.iter().map(|column| database.value(column)));
        columns.push(database.clock().to_owned());
        let (columns, wanted) = (columns.join(", "), database.one_of(&self.key, keys));
        format!("SELECT {columns} FROM {} WHERE {wanted}", self.relation.named())
    }

    /// Whether pages in the order of the key can be asked for at all.
    pub fn is_ordered(&self) -> bool {
        self.key.iter().all(|column| column.ordered)
    }

    /// Whether two keys may make one address: a text and a number that look alike, bytes and their digits, columns that run together.
    pub fn addresses_may_meet(&self, plan: &SqlPlan) -> bool {
        let of_many_kinds = |column: &Column| matches!(column.kind, Kind::Any | Kind::Bool | Kind::Bytes);
        self.key.iter().any(of_many_kinds) || !plan.uri.keeps_apart()
    }

    /// All keys, by [`encode`], that an address with these values may be that of; `None` where it lacks a part of it.
    pub fn keys_of(&self, values: &HashMap<&str, &str>) -> Option<Vec<Vec<u8>>> {
        let mut keys: Vec<Vec<Cell>> = vec![Vec::new()];
        for column in &self.key {
            let cells = meant(column.kind, &decoded(values.get(column.name.as_str())?).ok()?);
            let longer =
                |key: Vec<Cell>| cells.iter().map(move |cell| key.iter().chain([cell]).cloned().collect()).collect::<Vec<_>>();
            keys = keys.into_iter().flat_map(longer).collect();
        }
        Some(keys.iter().map(|cells| encode(cells)).collect())
    }

    fn listed(&self, database: &dyn Database) -> Vec<String> {
        let mut columns: Vec<String> = self.key.iter().chain(&self.beside).map(|column| database.value(column)).collect();
        match &self.stamp {
            StampBy::Column(column) => columns.push(database.value(column)),
            StampBy::Server(hash) => columns.push(hash.clone()),
            StampBy::Values => columns.extend(self.used.iter().map(|column| database.value(column))),
        }
        columns
    }

    /// What the columns of [`Self::keys`] hold.
    pub fn shape(&self) -> Vec<Kind> {
        let mut shape: Vec<Kind> = self.key.iter().chain(&self.beside).map(|column| column.kind).collect();
        match &self.stamp {
            StampBy::Column(column) => shape.push(if column.kind == Kind::Bytes { Kind::Bytes } else { Kind::Text }),
            StampBy::Server(_) => shape.push(Kind::Text),
            StampBy::Values => shape.extend(self.used.iter().map(|column| column.kind)),
        }
        shape
    }

    /// What the columns of [`Self::rows`] hold.
    pub fn whole_shape(&self) -> Vec<Kind> {
        let mut shape = self.shape();
        shape.extend(self.used.iter().map(|column| column.kind));
        shape.push(Kind::Text);
        shape
    }

    /// A row of [`Self::keys`].
    pub fn listed_row(&self, plan: &SqlPlan, mut row: Row) -> Listed {
        let stamp = row.split_off((self.key.len() + self.beside.len()).min(row.len()));
        let beside = row.split_off(self.key.len().min(row.len()));
        let cells = row;
        let key = cells.iter().all(|cell| *cell != Cell::Null).then(|| encode(&cells));
        let value = |name: &str| {
            let known = self.key.iter().zip(&cells).chain(self.beside.iter().zip(&beside));
            known.into_iter().find(|(column, _)| column.name == name).and_then(|(_, cell)| cell.text())
        };
        let uri = plan.uri.fill(|name, out| escape(&value(name).unwrap_or_default(), out));
        let version = self.version(&stamp);
        Listed { key, cells, uri, version }
    }

    /// A row of [`Self::rows`].
    pub fn whole_row(&self, plan: &SqlPlan, mut row: Row) -> Whole {
        let clock = row.pop().and_then(|cell| cell.text().map(String::from)).unwrap_or_default();
        let values = row.split_off(row.len().saturating_sub(self.used.len()));
        let updated = match &self.stamp {
            StampBy::Column(_) => row.last().and_then(Cell::text).map(String::from),
            _ => None,
        };
        Whole { listed: self.listed_row(plan, row), updated, clock, values }
    }

    /// What proves that a row is as it was: its stamp, and the form of documents that was in force. `NULL` proves nothing.
    fn version(&self, stamp: &[Cell]) -> Version {
        match (&self.stamp, stamp) {
            (StampBy::Values, cells) => {
                let mut state = self.form.to_vec();
                state.extend_from_slice(blake3::hash(&encode(cells)).as_bytes());
                Version::new(state)
            }
            (_, [Cell::Null] | []) => Version::UNKNOWN,
            (_, cells) => {
                let mut state = self.form.to_vec();
                cells.iter().filter_map(Cell::text).for_each(|text| state.extend_from_slice(text.as_bytes()));
                Version::new(state)
            }
        }
    }
}

/// The values of a column that are told as this text.
fn meant(kind: Kind, text: &str) -> Vec<Cell> {
    let bytes = || [Some(text.as_bytes().to_vec()), unhex(text)].into_iter().flatten().map(Cell::Bytes);
    let written = Cell::Text(text.to_owned());
    match kind {
        Kind::Bytes => bytes().chain([written]).collect(),
        Kind::Any | Kind::Bool => {
            let whole = text.parse().ok().map(Cell::Integer);
            let number = text.parse().ok().map(Cell::Float);
            whole.into_iter().chain(number).chain([written]).chain(bytes()).collect()
        }
        _ => vec![written],
    }
}

fn find(columns: &[Column], relation: &Relation, name: &str, part: &str) -> Result<Column, SqlError> {
    let mut found = columns.iter().filter(|column| column.name == name);
    match (found.next(), found.next()) {
        (Some(column), None) => Ok(column.clone()),
        (Some(_), Some(_)) => {
            let message = format!("{} has two columns `{name}`, which `{part}` names", relation.called);
            Err(SqlError::new(message).hint("give each a name of its own with AS"))
        }
        (None, _) => {
            let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
            let there = || {
                let shown: Vec<&str> = names.iter().take(20).copied().collect();
                format!("its columns are {}{}", shown.join(", "), if names.len() > shown.len() { " …" } else { "" })
            };
            let hint = did_you_mean(name, names.iter().copied()).unwrap_or_else(there);
            Err(SqlError::new(format!("{} has no column `{name}`, which `{part}` names", relation.called)).hint(hint))
        }
    }
}

/// A hash of all that makes documents of rows.
fn form(plan: &SqlPlan, used: &[Column], stamp: &StampBy) -> [u8; 8] {
    let mut hasher = blake3::Hasher::new();
    let mut add = |part: &[u8]| {
        hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
    };
    // 1: what this version of ragstream makes of a row.
    add(b"1");
    match &plan.from {
        From::Table(table) => add(table.as_bytes()),
        From::Query(query) => add(query.as_bytes()),
    }
    add(format!("{:?}{:?}{:?}{:?}{:?}", plan.title, plan.text, plan.format, plan.uri, plan.metadata).as_bytes());
    if let StampBy::Column(column) = stamp {
        add(column.name.as_bytes());
    }
    for column in used {
        add(column.name.as_bytes());
        add(&[column.kind.letter()]);
    }
    hasher.finalize().as_bytes().first_chunk().copied().unwrap_or_default()
}
