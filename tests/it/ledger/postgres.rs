//! The ledger that several workers share, as one of them sees it who is alone: every claim is granted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use ragstream::cluster::Cluster;
use ragstream::ingest::coordination::{Coordination as _, Lead};
use ragstream::ingest::ledger::{
    Commit, Cursor, Difference, Epoch, FailedDocument, Fenced, Intent, Ledger, LedgerError, Listing, Meta, MissingCount,
    MissingPage, PriorState, RunId, Scope, Staged, Totals,
};
use ragstream::source::SourceId;
use ragstream::source::state::State;
use tokio::sync::Mutex;

use super::Keeper;
use crate::sql::servers;

/// An index of its own in the one Postgres of the tests.
pub struct Postgres {
    name: String,
    last: Mutex<Option<Cluster>>,
}

impl Postgres {
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        // The server is the process's own.
        let name = format!("账本 {}", NEXT.fetch_add(1, Ordering::Relaxed));
        Self { name, last: Mutex::default() }
    }
}

#[async_trait]
impl Keeper for Postgres {
    const CASES: u32 = 32;

    async fn open(&self) -> Arc<dyn Ledger> {
        let mut last = self.last.lock().await;
        if let Some(last) = last.take() {
            last.leave().await;
        }
        let url = format!("postgres://postgres@127.0.0.1:{}/postgres", servers::postgres().port);
        let here = std::path::Path::new(".");
        let cluster = Cluster::open(&url, here, &self.name, Duration::from_mins(1)).await.unwrap();
        cluster.join(&[SourceId::files()], false).await.unwrap();
        // Whoever left gave the lead back.
        assert!(matches!(cluster.lead().await.unwrap(), Lead::Mine(_)));
        *last = Some(cluster.clone());
        Arc::new(Granted { cluster, claimed: Mutex::default() })
    }
}

/// Claims what nobody has claimed before it is written, and calls each epoch that was granted 0, as a ledger of one process does.
#[derive(Debug)]
struct Granted {
    cluster: Cluster,
    claimed: Mutex<BTreeSet<String>>,
}

impl Granted {
    /// Claims these, each once, for whoever says an epoch of 0.
    async fn grants(&self, said: impl Iterator<Item = (&String, Epoch)>) -> Result<BTreeMap<String, Epoch>, LedgerError> {
        let uris: BTreeSet<&String> = said.filter(|(_, epoch)| *epoch == Epoch(0)).map(|(uri, _)| uri).collect();
        let uris: Vec<String> = uris.into_iter().cloned().collect();
        let granted = self.cluster.claim(uris.clone()).await?;
        self.claimed.lock().await.extend(uris.clone());
        Ok(uris.into_iter().zip(granted.into_iter().map(|prior| prior.epoch)).collect())
    }
}

#[async_trait]
impl Ledger for Granted {
    async fn meta(&self) -> Result<Meta, LedgerError> {
        self.cluster.meta().await
    }
    async fn set_meta(&self, meta: &Meta) -> Result<(), LedgerError> {
        self.cluster.set_meta(meta).await
    }
    async fn begin_run(&self) -> Result<RunId, LedgerError> {
        self.cluster.begin_run().await
    }
    async fn end_run(&self, run: RunId) -> Result<(), LedgerError> {
        self.cluster.end_run(run).await
    }
    async fn note_listed(&self, run: RunId, source: &SourceId, items: Vec<Listing>) -> Result<Vec<Difference>, LedgerError> {
        // What is under way differs, and the tests claim to look.
        for Listing { uri, .. } in &items {
            if self.claimed.lock().await.remove(uri) {
                self.cluster.settle(uri).await?;
            }
        }
        self.cluster.note_listed(run, source, items).await
    }
    async fn unlist(&self, run: RunId, uris: Vec<String>) -> Result<(), LedgerError> {
        self.cluster.unlist(run, uris).await
    }
    async fn claim(&self, uris: Vec<String>) -> Result<Vec<PriorState>, LedgerError> {
        let granted = self.cluster.claim(uris.clone()).await?;
        self.claimed.lock().await.extend(uris);
        assert!(granted.iter().all(|prior| prior.epoch > Epoch(0)), "{granted:?}");
        Ok(granted.into_iter().map(|prior| PriorState { epoch: Epoch(0), ..prior }).collect())
    }
    async fn intend(&self, mut intents: Vec<Intent>) -> Result<Fenced, LedgerError> {
        let grants = self.grants(intents.iter().map(|intent| (&intent.uri, intent.epoch))).await?;
        for intent in intents.iter_mut().filter(|intent| intent.epoch == Epoch(0)) {
            intent.epoch = grants[&intent.uri];
        }
        self.cluster.intend(intents).await
    }
    async fn commit(&self, mut commits: Vec<Commit>) -> Result<Fenced, LedgerError> {
        let grants = self.grants(commits.iter().map(|commit| (&commit.uri, commit.epoch))).await?;
        for commit in commits.iter_mut().filter(|commit| commit.epoch == Epoch(0)) {
            commit.epoch = grants[&commit.uri];
        }
        self.cluster.commit(commits).await
    }
    async fn fail(&self, failures: Vec<FailedDocument>) -> Result<(), LedgerError> {
        self.cluster.fail(failures).await
    }
    async fn forget(&self, mut documents: Vec<(String, Epoch)>) -> Result<Fenced, LedgerError> {
        let grants = self.grants(documents.iter().map(|(uri, epoch)| (uri, *epoch))).await?;
        for (uri, epoch) in documents.iter_mut().filter(|(_, epoch)| *epoch == Epoch(0)) {
            *epoch = grants[uri];
        }
        self.cluster.forget(documents).await
    }
    async fn count_missing(&self, run: RunId, scope: &Scope) -> Result<MissingCount, LedgerError> {
        self.cluster.count_missing(run, scope).await
    }
    async fn missing(&self, run: RunId, scope: &Scope, after: Option<Cursor>) -> Result<MissingPage, LedgerError> {
        self.cluster.missing(run, scope, after).await
    }
    async fn stage_stored(&self, run: RunId, page: Vec<Staged>) -> Result<(), LedgerError> {
        self.cluster.stage_stored(run, page).await
    }
    async fn reconcile(&self, run: RunId) -> Result<(), LedgerError> {
        self.cluster.reconcile(run).await
    }
    async fn failures(&self, limit: usize) -> Result<Vec<FailedDocument>, LedgerError> {
        self.cluster.failures(limit).await
    }
    async fn totals(&self) -> Result<Totals, LedgerError> {
        self.cluster.totals().await
    }
    fn state(&self, source: &SourceId) -> Arc<dyn State> {
        self.cluster.state(source)
    }
}
