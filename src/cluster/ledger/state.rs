//! What sources remember, beside the documents that they gave.

use std::sync::Arc;

use async_trait::async_trait;
use tokio_postgres::types::Type;

use super::super::error::ClusterError;
use super::super::inner::Inner;
use crate::source::state::{Change, Key, State, end_of};
use crate::source::{SourceError, SourceId};

/// The state of one source.
#[derive(Debug)]
pub(super) struct SourceState {
    pub(super) inner: Arc<Inner>,
    pub(super) source: SourceId,
}

#[async_trait]
impl State for SourceState {
    async fn get(&self, keys: Vec<Key>) -> Result<Vec<Option<Vec<u8>>>, SourceError> {
        let rows = self
            .inner
            .database
            .ask(
                "SELECT s.value FROM unnest($3::bytea[]) WITH ORDINALITY AS g(key, n)
                 LEFT JOIN ragstream.state s ON s.corpus = $1 AND s.source = $2 AND s.key = g.key ORDER BY g.n",
                &[(&self.inner.corpus, Type::INT4), (&self.source.as_str(), Type::TEXT), (&keys, Type::BYTEA_ARRAY)],
            )
            .await
            .map_err(SourceError::new)?;
        rows.iter().map(|row| row.cell(0)).collect::<Result<_, _>>().map_err(SourceError::new)
    }

    async fn write(&self, changes: Vec<Change>) -> Result<(), SourceError> {
        let (keys, values): (Vec<Key>, Vec<Option<Vec<u8>>>) = changes.into_iter().unzip();
        self.inner
            .database
            .ask(
                "WITH given AS (
                     SELECT DISTINCT ON (key) key, value FROM unnest($3::bytea[], $4::bytea[]) WITH ORDINALITY AS g(key, value, n)
                     ORDER BY key, n DESC),
                 gone AS (DELETE FROM ragstream.state s USING given g
                     WHERE s.corpus = $1 AND s.source = $2 AND s.key = g.key AND g.value IS NULL)
                 INSERT INTO ragstream.state (corpus, source, key, value)
                 SELECT $1, $2, key, value FROM given WHERE value IS NOT NULL
                 ON CONFLICT (corpus, source, key) DO UPDATE SET value = excluded.value",
                &[
                    (&self.inner.corpus, Type::INT4),
                    (&self.source.as_str(), Type::TEXT),
                    (&keys, Type::BYTEA_ARRAY),
                    (&values, Type::BYTEA_ARRAY),
                ],
            )
            .await
            .map(drop)
            .map_err(SourceError::new)
    }

    async fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<(Key, Vec<u8>)>, SourceError> {
        let after = after.filter(|after| *after >= prefix);
        let (exclusive, from) = (after.is_some(), after.unwrap_or(prefix).to_vec());
        let rows = self
            .inner
            .database
            .ask(
                "SELECT key, value FROM ragstream.state WHERE corpus = $1 AND source = $2 AND key >= $3 AND (NOT $4 OR key > $3)
                     AND ($5 IS NULL OR key < $5) ORDER BY key LIMIT $6",
                &[
                    (&self.inner.corpus, Type::INT4),
                    (&self.source.as_str(), Type::TEXT),
                    (&from, Type::BYTEA),
                    (&exclusive, Type::BOOL),
                    (&end_of(prefix), Type::BYTEA),
                    (&i64::try_from(limit).unwrap_or(i64::MAX), Type::INT8),
                ],
            )
            .await
            .map_err(SourceError::new)?;
        rows.iter().map(|row| Ok((row.cell(0)?, row.cell(1)?))).collect::<Result<_, ClusterError>>().map_err(SourceError::new)
    }
}
