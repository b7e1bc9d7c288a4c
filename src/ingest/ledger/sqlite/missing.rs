//! Which documents a run has not listed.

use rusqlite::{Connection, params};

use super::super::{Cursor, Missing, MissingCount, MissingPage, RunId, Scope};
use crate::source::SourceId;

/// Documents that are looked at in one go.
const PAGE: usize = 1000;

pub(super) fn count(connection: &Connection, run: RunId, scope: &Scope) -> rusqlite::Result<MissingCount> {
    let mut count = MissingCount::default();
    for source in scope.sources() {
        let mut after = String::new();
        loop {
            let page = known(connection, run, source, &after)?;
            let Some((last, _)) = page.last() else { break };
            after.clone_from(last);
            for (uri, listed) in page {
                if scope.covers(source, &uri) {
                    count.known += 1;
                    count.missing += u64::from(!listed);
                }
            }
        }
    }
    Ok(count)
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
    let page = known(connection, run, &source, &after)?;
    let next = match page.last() {
        Some((uri, _)) if page.len() == PAGE => Some(Cursor { source: source.clone(), uri: uri.clone() }),
        _ => sources.into_iter().find(|other| **other > source).map(|next| Cursor { source: next.clone(), uri: String::new() }),
    };
    let missing = page.into_iter().filter(|(uri, listed)| !listed && scope.covers(&source, uri));
    let documents = missing.map(|(uri, _)| Missing { source: source.clone(), uri }).collect();
    Ok(MissingPage { documents, next })
}

/// The next documents of a source, and whether the run has listed them.
fn known(connection: &Connection, run: RunId, source: &SourceId, after: &str) -> rusqlite::Result<Vec<(String, bool)>> {
    connection
        .prepare_cached(
            "SELECT uri, EXISTS (SELECT 1 FROM listed WHERE listed.run = ?1 AND listed.uri = documents.uri)
             FROM documents WHERE source = ?2 AND uri > ?3 ORDER BY uri LIMIT ?4",
        )?
        .query_map(params![run.0 as i64, source.as_str(), after, PAGE as i64], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
}
