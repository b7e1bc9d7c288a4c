//! The ledgers: one suite over every one of them. Properties first: any history of calls, closings and reopenings agrees with a
//! plain model, and a worker that is killed between any two calls never leaves a point that the ledger does not know of. What
//! only the `SQLite` file does is tested beside it.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "tests may panic, and know their numbers"
)]

mod behaviours;
mod model;
mod postgres;
mod program;
mod random;
mod worker;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ragstream::ingest::ledger::{
    Commit, Epoch, Intent, Ledger, LedgerError, Listing, Scope, SourceScope, SqliteLedger, StoredPoint,
};
use ragstream::source::{SourceId, Version};
use uuid::Uuid;

/// What keeps one ledger. Opened again after its handles are dropped, it is the ledger that was left.
#[async_trait]
trait Keeper: Send + Sync {
    /// How many histories a property has: each asks for each of its steps, in a round trip.
    const CASES: u32;
    async fn open(&self) -> Arc<dyn Ledger>;
}

struct Sqlite {
    path: PathBuf,
    _folder: tempfile::TempDir,
}

impl Sqlite {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { path: folder.path().join("docs.ledger"), _folder: folder }
    }
}

#[async_trait]
impl Keeper for Sqlite {
    const CASES: u32 = 128;

    async fn open(&self) -> Arc<dyn Ledger> {
        loop {
            match SqliteLedger::open(&self.path).await {
                Ok(ledger) => return Arc::new(ledger),
                // A call that was dropped is still being carried out.
                Err(LedgerError::Busy { .. }) => tokio::time::sleep(Duration::from_millis(1)).await,
                Err(error) => unreachable!("{error:?}"),
            }
        }
    }
}

fn files() -> SourceId {
    SourceId::files()
}

fn site() -> SourceId {
    SourceId::new("site")
}

fn point(n: u128) -> StoredPoint {
    StoredPoint { id: Uuid::from_u128(n), digest: u64::MAX - n as u64 }
}

fn listing(uri: &str, version: &str) -> Listing {
    Listing { uri: uri.into(), version: Version::new(version) }
}

fn intent(source: SourceId, uri: &str, ids: &[u128], untouched: &[StoredPoint]) -> Intent {
    let ids = ids.iter().copied().map(Uuid::from_u128).collect();
    Intent { source, uri: uri.into(), epoch: Epoch::default(), ids, untouched: untouched.to_vec() }
}

fn done(source: SourceId, uri: &str, version: &str, points: &[StoredPoint]) -> Commit {
    Commit {
        source,
        uri: uri.into(),
        epoch: Epoch::default(),
        version: Version::new(version),
        hash: [9; 32],
        modified: Some(-7),
        points: points.to_vec(),
    }
}

fn scope(source: SourceId, roots: &[&str], unreadable: &[&str]) -> Scope {
    let owned = |uris: &[&str]| uris.iter().map(ToString::to_string).collect();
    Scope { sources: vec![SourceScope { source, roots: owned(roots), focus: None, unreadable: owned(unreadable) }] }
}

/// All pages of what is missing, as (source, uri).
async fn missing(ledger: &dyn Ledger, run: ragstream::ingest::ledger::RunId, scope: &Scope) -> Vec<(SourceId, String)> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = ledger.missing(run, scope, after).await.unwrap();
        all.extend(page.documents.into_iter().map(|document| (document.source, document.uri)));
        after = page.next;
        if after.is_none() {
            return all;
        }
    }
}
