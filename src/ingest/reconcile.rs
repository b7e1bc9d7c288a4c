//! Keeps ledger and store of one mind: before a run the ledger is made to speak of this very state of the index, and after it both get
//! a new generation in common.

use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::diff::digest;
use super::ledger::{Meta, RunId, Staged, StoredPoint};
use super::run::{Run, STORE_BUDGET, waited_for};
use super::setup::Setup;
use crate::document::Passage;
use crate::error::Error;
use crate::source::SourceId;
use crate::vectordb::IndexMeta;

/// Points of a store that are looked at in one go.
const PAGE: usize = 1000;

/// A name for a state of the index that no other state has.
pub(crate) fn new_generation() -> Uuid {
    Uuid::new_v5(&Uuid::NAMESPACE_OID, &rand::random::<[u8; 32]>())
}

/// Corrects a ledger that speaks of another state of the index by what the store holds, so that nothing is embedded again, nothing is
/// missing and nothing stays behind. `false`: it was stopped meanwhile.
pub(super) async fn reconcile(setup: &Setup, run: RunId, index: &IndexMeta, stop: &CancellationToken) -> Result<bool, Error> {
    let ledger = &*setup.ledger;
    if ledger.meta().await?.generation == Some(index.generation) {
        return Ok(true);
    }
    tracing::debug!("the ledger and the store may differ: looking through the store");
    let mut after = None;
    loop {
        let Some(page) = waited_for(stop, STORE_BUDGET, || setup.store.scroll(after, PAGE)).await? else { return Ok(false) };
        let full = page.len() == PAGE;
        after = page.last().map(|(id, _)| *id);
        ledger.stage_stored(run, page.into_iter().map(staged).collect()).await?;
        if !full {
            break;
        }
    }
    ledger.reconcile(run).await?;
    ledger.set_meta(&Meta { base: setup.base.clone(), generation: Some(index.generation) }).await?;
    Ok(true)
}

fn staged((id, passage): (Uuid, Passage)) -> Staged {
    let point = StoredPoint { id, digest: digest(&passage) };
    let source = passage.source.map_or_else(SourceId::files, SourceId::new);
    Staged { source, uri: passage.uri, point }
}

/// Gives store and ledger a new generation in common, if this run changed anything: an older copy of either does not have it.
/// The ledger has had none since the first change, so that a kill at any instant only makes the next run look.
/// The index is this home's from now on, unless documents were kept as they may be another's.
pub(super) async fn seal(run: &Run, index: IndexMeta, kept: u64) -> Result<(), Error> {
    let Setup { ledger, store, home, prefixes, .. } = &run.setup;
    let recorded = ledger.meta().await?;
    // Another home may have written to the same store meanwhile; what it wrote is not in this ledger.
    if recorded.generation.is_some() || store.meta().await?.as_ref() != Some(&index) {
        return Ok(());
    }
    let home = if kept > 0 && run.other_home.is_some() { index.home } else { home.clone() };
    // Of an index from before they were kept, they are kept from now on.
    let prefixes = prefixes.clone().or(index.prefixes);
    let index = IndexMeta { generation: new_generation(), home, prefixes, ..index };
    store.set_meta(&index).await?;
    ledger.set_meta(&Meta { generation: Some(index.generation), ..recorded }).await?;
    Ok(())
}
