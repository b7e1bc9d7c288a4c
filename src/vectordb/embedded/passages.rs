//! Passages as rows of the database, and back.

use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::document::{Metadata, Passage};

/// The columns by which [`passage`] makes a point's passage, of `points` joined with `documents`, after the point's row and id.
pub(super) const COLUMNS: &str = "points.row, points.id, points.position, points.start, points.end, points.line, points.last_line, \
    points.headings, points.text, documents.uri, documents.title, documents.modified, documents.lang, documents.source, \
    documents.metadata";

/// A point's passage, from a row of [`COLUMNS`].
pub(super) fn passage(row: &Row<'_>) -> rusqlite::Result<(i64, Uuid, Passage)> {
    let id: [u8; 16] = row.get(1)?;
    let place = match from_json(row, 7)? {
        None => Place::default(),
        Some(Kept::Headings(headings)) => Place { headings, ..Place::default() },
        Some(Kept::Place(place)) => place,
    };
    let passage = Passage {
        index: row.get(2)?,
        start: row.get::<_, i64>(3)?.cast_unsigned(),
        end: row.get::<_, i64>(4)?.cast_unsigned(),
        lines: (row.get(5)?, row.get(6)?),
        headings: place.headings,
        columns: place.columns,
        page: place.page,
        anchor: place.anchor,
        context: place.context,
        text: row.get(8)?,
        uri: row.get(9)?,
        title: row.get(10)?,
        modified: row.get(11)?,
        lang: row.get(12)?,
        source: row.get(13)?,
        metadata: from_json(row, 14)?,
    };
    Ok((row.get(0)?, Uuid::from_bytes(id), passage))
}

/// Where in its document a passage is, besides its lines, and what was said of that.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    headings: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    columns: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    page: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    anchor: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    context: Option<String>,
}

/// What the column of the headings holds: most passages have nothing else.
#[derive(Deserialize)]
#[serde(untagged)]
enum Kept {
    Headings(Vec<String>),
    Place(Place),
}

fn place(passage: &Passage) -> rusqlite::Result<Option<String>> {
    let Passage { headings, columns, page, anchor, context, .. } = passage;
    if columns.is_none() && page.is_none() && anchor.is_none() && context.is_none() {
        return to_json(headings, headings.is_empty());
    }
    let (columns, anchor, context) = (columns.clone(), anchor.clone(), context.clone());
    let place = Place { headings: headings.clone(), columns, page: *page, anchor, context };
    to_json(&place, false)
}

fn from_json<T: serde::de::DeserializeOwned + Default>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    match row.get_ref(column)?.as_str_or_null()? {
        None => Ok(T::default()),
        Some(json) => serde_json::from_str(json)
            .map_err(|error| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))),
    }
}

/// A document's metadata, from a column that may be NULL.
pub(super) fn metadata(row: &Row<'_>, column: usize) -> rusqlite::Result<Metadata> {
    from_json(row, column)
}

/// Lists and maps as JSON; `None` for empty ones.
fn to_json(value: &impl serde::Serialize, is_empty: bool) -> rusqlite::Result<Option<String>> {
    if is_empty {
        return Ok(None);
    }
    serde_json::to_string(value).map(Some).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}

/// Tells apart what the passages of one uri say of their document.
fn digest(passage: &Passage, metadata: Option<&str>) -> [u8; 16] {
    let Passage { title, modified, lang, source, .. } = passage;
    let mut hash = blake3::Hasher::new();
    hash.update(&modified.to_le_bytes());
    for part in [title.as_deref(), lang.as_deref(), source.as_deref(), metadata] {
        // Its length first, so that no two rows of parts are the same bytes; none is not the same as an empty one.
        hash.update(&part.map_or(u64::MAX, |part| part.len() as u64).to_le_bytes());
        hash.update(part.unwrap_or_default().as_bytes());
    }
    let mut digest = [0; 16];
    digest.iter_mut().zip(hash.finalize().as_bytes()).for_each(|(to, from)| *to = *from);
    digest
}

/// Writes what points say. One of them is for one transaction.
#[derive(Debug)]
pub(super) struct PassageWriter<'a> {
    connection: &'a Connection,
    /// The document of the passage before: most have the same.
    last: Option<(String, [u8; 16], i64)>,
}

impl<'a> PassageWriter<'a> {
    pub(super) fn new(connection: &'a Connection) -> Self {
        Self { connection, last: None }
    }

    /// The row and the document of a point, if there is one of this id.
    pub(super) fn find(&self, id: Uuid) -> rusqlite::Result<Option<(i64, i64)>> {
        let mut statement = self.connection.prepare_cached("SELECT row, document FROM points WHERE id = ?1")?;
        statement.query_row([id.as_bytes()], |row| Ok((row.get(0)?, row.get(1)?))).optional()
    }

    /// Writes a point's passage to a row: a new one, or the one that the point has.
    pub(super) fn put(&mut self, row: i64, id: Uuid, passage: &Passage) -> rusqlite::Result<()> {
        let document = self.document(passage)?;
        let mut statement = self.connection.prepare_cached(
            "INSERT INTO points (row, id, document, position, start, end, line, last_line, headings, text)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
             ON CONFLICT (row) DO UPDATE SET document = excluded.document, position = excluded.position, start = excluded.start,
             end = excluded.end, line = excluded.line, last_line = excluded.last_line, headings = excluded.headings,
             text = excluded.text",
        )?;
        statement.execute(params![
            row,
            id.as_bytes(),
            document,
            passage.index,
            passage.start.cast_signed(),
            passage.end.cast_signed(),
            passage.lines.0,
            passage.lines.1,
            place(passage)?,
            passage.text,
        ])?;
        Ok(())
    }

    /// Writes another passage to the row of a point, which had it of `document`.
    pub(super) fn replace(&mut self, row: i64, id: Uuid, document: i64, passage: &Passage) -> rusqlite::Result<()> {
        self.put(row, id, passage)?;
        self.leave(document)
    }

    /// Removes the passage of a row, which it had of `document`.
    pub(super) fn delete(&mut self, row: i64, document: i64) -> rusqlite::Result<()> {
        self.connection.prepare_cached("DELETE FROM points WHERE row = ?1")?.execute([row])?;
        self.leave(document)
    }

    /// Removes the passages of a document, and returns their rows.
    pub(super) fn delete_document(&mut self, uri: &str) -> rusqlite::Result<Vec<i64>> {
        let rows = {
            let mut statement = self.connection.prepare_cached(
                "SELECT row FROM points WHERE document IN (SELECT document FROM documents WHERE uri = ?1) ORDER BY row",
            )?;
            statement.query_map([uri], |row| row.get(0))?.collect::<rusqlite::Result<Vec<i64>>>()?
        };
        let sql = "DELETE FROM points WHERE document IN (SELECT document FROM documents WHERE uri = ?1)";
        self.connection.prepare_cached(sql)?.execute([uri])?;
        self.connection.prepare_cached("DELETE FROM documents WHERE uri = ?1")?.execute([uri])?;
        self.last = None;
        Ok(rows)
    }

    /// The document of a passage, which has one point more from now on.
    fn document(&mut self, passage: &Passage) -> rusqlite::Result<i64> {
        let metadata = to_json(&passage.metadata, passage.metadata.is_empty())?;
        let digest = digest(passage, metadata.as_deref());
        let document = match &self.last {
            Some((uri, last, document)) if *uri == passage.uri && *last == digest => Some(*document),
            _ => {
                let sql = "SELECT document FROM documents WHERE uri = ?1 AND digest = ?2";
                let mut statement = self.connection.prepare_cached(sql)?;
                statement.query_row(params![passage.uri, digest], |row| row.get(0)).optional()?
            }
        };
        let document = if let Some(document) = document {
            let sql = "UPDATE documents SET points = points + 1 WHERE document = ?1";
            self.connection.prepare_cached(sql)?.execute([document])?;
            document
        } else {
            let mut statement = self.connection.prepare_cached(
                "INSERT INTO documents (uri, digest, points, modified, lang, title, source, metadata)
                 VALUES (?1, ?2, 1, ?3, ?4, ?5, ?6, ?7)",
            )?;
            let Passage { uri, modified, lang, title, source, .. } = passage;
            statement.insert(params![uri, digest, modified, lang, title, source, metadata])?
        };
        self.last = Some((passage.uri.clone(), digest, document));
        Ok(document)
    }

    /// A document has one point less.
    fn leave(&mut self, document: i64) -> rusqlite::Result<()> {
        let sql = "UPDATE documents SET points = points - 1 WHERE document = ?1";
        self.connection.prepare_cached(sql)?.execute([document])?;
        let sql = "DELETE FROM documents WHERE document = ?1 AND points <= 0";
        if self.connection.prepare_cached(sql)?.execute([document])? > 0 {
            self.last = None;
        }
        Ok(())
    }
}
