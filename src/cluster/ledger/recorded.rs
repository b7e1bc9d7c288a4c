//! What is recorded, as whoever takes part is told, and whoever only looks.

use std::collections::HashSet;

use tokio_postgres::types::Type;

use super::super::error::ClusterError;
use super::super::inner::Inner;
use super::super::row::Row;
use crate::ingest::ledger::{Difference, FailedDocument, Meta, Totals};
use crate::ingest::report::Stage;
use crate::source::SourceId;

/// Of those that are `given`, by key, version and number, the numbers of the unchanged. What waits or is worked on is on its way to another
/// state than the recorded one. $1 the index, $2 the source, $3 the keys.
pub(super) const UNCHANGED: &str = "
    SELECT g.n FROM given g
    JOIN ragstream.documents d ON d.corpus = $1 AND d.key = g.key AND d.key = ANY($3) AND d.version = g.version AND d.source = $2
        AND d.error IS NULL
    WHERE NOT EXISTS (SELECT 1 FROM ragstream.jobs j WHERE j.corpus = $1 AND j.key = g.key AND j.key = ANY($3))";

/// What an answer to [`UNCHANGED`] says of items, of which each may have been listed before.
pub(super) fn differences(rows: &[Row], first: Vec<bool>) -> Result<Vec<Difference>, ClusterError> {
    let unchanged = rows.iter().map(|row| row.count(0)).collect::<Result<HashSet<u64>, _>>()?;
    let difference = |(n, first): (u64, bool)| match (first, unchanged.contains(&n)) {
        (false, _) => Difference::Repeated,
        (true, true) => Difference::Unchanged,
        (true, false) => Difference::Changed,
    };
    Ok((1..).zip(first).map(difference).collect())
}

/// What is recorded of an index as a whole, where the database knows it.
pub(super) async fn meta(inner: &Inner) -> Result<Meta, ClusterError> {
    let sql = "SELECT base, generation FROM ragstream.corpora WHERE id = $1";
    let rows = inner.database.ask(sql, &[(&inner.corpus, Type::INT4)]).await?;
    let row = rows.first().ok_or_else(|| inner.no_corpus())?;
    // A generation that nobody can have written is nobody's: the store is looked through.
    let generation = row.cell::<Option<&str>>(1)?.and_then(|name| name.parse().ok());
    Ok(Meta { base: row.cell(0)?, generation })
}

/// What failed, by key, at most so many.
pub(super) async fn failures(inner: &Inner, limit: usize) -> Result<Vec<FailedDocument>, ClusterError> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let sql = "SELECT key, uri, source, stage, error FROM ragstream.documents
        WHERE corpus = $1 AND error IS NOT NULL ORDER BY key LIMIT $2";
    let rows = inner.database.ask(sql, &[(&inner.corpus, Type::INT4), (&limit, Type::INT8)]).await?;
    let failure = |row: &Row| {
        let stage = row.cell::<Option<&str>>(3)?.and_then(Stage::named).unwrap_or(Stage::Read);
        Ok(FailedDocument { uri: row.uri()?, source: SourceId::new(row.cell::<String>(2)?), stage, error: row.cell(4)? })
    };
    rows.iter().map(failure).collect()
}

/// How many documents are recorded.
pub(super) async fn totals(inner: &Inner) -> Result<Totals, ClusterError> {
    let sql = "SELECT count(*) FILTER (WHERE points IS NOT NULL), count(*) FILTER (WHERE error IS NOT NULL)
        FROM ragstream.documents WHERE corpus = $1";
    let rows = inner.database.ask(sql, &[(&inner.corpus, Type::INT4)]).await?;
    let count = |at| rows.first().map_or(Ok(0), |row| row.count(at));
    Ok(Totals { documents: count(0)?, failed: count(1)? })
}
