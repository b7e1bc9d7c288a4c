//! Which documents a run has not listed.

use std::cmp::Ordering;

use rusqlite::{Connection, params};

use super::super::{Cursor, Missing, MissingCount, MissingPage, Moved, RunId, Scope};
use crate::source::SourceId;

/// Documents of a page, at most.
const PAGE: usize = 1000;

pub(super) fn count(connection: &Connection, run: RunId, scope: &Scope) -> rusqlite::Result<MissingCount> {
    let mut count = MissingCount::default();
    for source in scope.sources() {
        let narrowed = scope.beginnings(source);
        let before = count.missing;
        for beginning in narrowed.as_deref().unwrap_or(&[String::new()]) {
            walk(connection, run, source, Range { after: None, beginning }, |uri, listed| {
                if scope.covers(source, uri) {
                    count.known += u64::from(narrowed.is_none());
                    count.missing += u64::from(!listed);
                }
                true
            })?;
        }
        // To count all of a large index takes longer than all the rest of a run over a file.
        if narrowed.is_some() && count.missing > before {
            let mut all = connection.prepare_cached("SELECT uri FROM documents WHERE source = ?1")?;
            let mut all = all.query(params![source.as_str()])?;
            while let Some(document) = all.next()? {
                count.known += u64::from(scope.would_cover(source, document.get_ref(0)?.as_str()?));
            }
        }
    }
    Ok(count)
}

pub(super) fn count_moved(connection: &Connection, run: RunId, scope: &Scope, mut moved: Moved) -> rusqlite::Result<u64> {
    let mut documents = connection.prepare_cached(
        "SELECT d.source, d.uri, d.hash, l.uri IS NOT NULL FROM documents d LEFT JOIN listed l ON l.run = ?1 AND l.uri = d.uri
         WHERE d.hash IS NOT NULL",
    )?;
    let mut documents = documents.query([run.0 as i64])?;
    while let Some(document) = documents.next()? {
        let hash = document.get(2)?;
        if document.get(3)? {
            moved.there(hash);
        } else if scope.covers(&SourceId::new(document.get::<_, String>(0)?), document.get_ref(1)?.as_str()?) {
            moved.gone(hash);
        }
    }
    Ok(moved.count())
}

pub(super) fn page(connection: &Connection, run: RunId, scope: &Scope, after: Option<Cursor>) -> rusqlite::Result<MissingPage> {
    let sources = scope.sources();
    let (source, after) = match after {
        Some(Cursor { source, uri }) => (source, uri),
        None => match sources.first() {
            Some(first) => (SourceId::clone(first), String::new()),
            None => return Ok(MissingPage { documents: Vec::new(), next: None }),
        },
    };
    let mut documents = Vec::new();
    for beginning in scope.beginnings(&source).as_deref().unwrap_or(&[String::new()]) {
        if documents.len() < PAGE {
            walk(connection, run, &source, Range { after: Some(&after), beginning }, |uri, listed| {
                if !listed && scope.covers(&source, uri) {
                    documents.push(Missing { source: source.clone(), uri: uri.to_owned() });
                }
                documents.len() < PAGE
            })?;
        }
    }
    let next = match documents.last() {
        Some(last) if documents.len() == PAGE => Some(Cursor { source: source.clone(), uri: last.uri.clone() }),
        _ => sources.into_iter().find(|other| **other > source).map(|next| Cursor { source: next.clone(), uri: String::new() }),
    };
    Ok(MissingPage { documents, next })
}

/// Some of the uris of a source: those after one, that begin like this.
#[derive(Clone, Copy)]
struct Range<'a> {
    after: Option<&'a str>,
    beginning: &'a str,
}

/// Goes through a range of the documents of a source, and says of each whether the run has listed it, as long as that is
/// wanted. Both lists ascend, byte by byte: they are merged, since a look-up a document would cost more than all the rest.
fn walk(
    connection: &Connection,
    run: RunId,
    source: &SourceId,
    Range { after, beginning }: Range<'_>,
    mut visit: impl FnMut(&str, bool) -> bool,
) -> rusqlite::Result<()> {
    let mut known = connection.prepare_cached("SELECT uri FROM documents WHERE source = ?1 AND uri >= ?2 ORDER BY uri")?;
    let mut listed = connection.prepare_cached("SELECT uri FROM listed WHERE run = ?1 AND uri >= ?2 ORDER BY uri")?;
    let first = after.unwrap_or_default().max(beginning);
    let mut known = known.query(params![source.as_str(), first])?;
    let mut listed = listed.query(params![run.0 as i64, first])?;
    let mut next = listed.next()?;
    while let Some(document) = known.next()? {
        let uri = document.get_ref(0)?.as_str()?;
        if Some(uri) == after {
            continue;
        }
        if !uri.starts_with(beginning) {
            break;
        }
        let is_listed = loop {
            let Some(item) = next else { break false };
            match item.get_ref(0)?.as_str()?.cmp(uri) {
                Ordering::Less => next = listed.next()?,
                Ordering::Equal => break true,
                Ordering::Greater => break false,
            }
        };
        if !visit(uri, is_listed) {
            break;
        }
    }
    Ok(())
}
