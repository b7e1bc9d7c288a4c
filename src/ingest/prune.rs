//! Removes the documents that are gone from their sources.

use super::ledger::{Intent, Missing, MissingCount, Scope};
use super::run::{Ended, Run};

/// Documents that are removed in one go: one transaction before and one after for all of them.
const BATCH: usize = 64;

/// What becomes of the documents that are gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// So many are to be removed.
    Remove(u64),
    /// So many are kept: when more than half of the index is gone, the source itself looks broken; and what another home wrote may
    /// be in its sources.
    Keep(u64),
}

/// Decides on the documents that are gone. `meant`: somebody said that all of them are to be removed.
pub(super) async fn judge(run: &Run, scope: &Scope, meant: bool) -> Result<Verdict, Ended> {
    let MissingCount { known, missing } = run.recorded(run.setup.ledger.count_missing(run.id(), scope).await)?;
    let doubtful = missing * 2 > known || run.other_home.is_some();
    Ok(if doubtful && !meant { Verdict::Keep(missing) } else { Verdict::Remove(missing) })
}

/// Removes the documents that are gone, unless that is in doubt. Returns how many were kept for that reason.
pub(super) async fn remove_missing(run: &Run, scope: &Scope) -> Result<u64, Ended> {
    match judge(run, scope, run.options.prune).await? {
        Verdict::Keep(kept) => return Ok(kept),
        // Nearly always: the ledger need not be gone through once more.
        Verdict::Remove(0) => return Ok(0),
        Verdict::Remove(_) => {}
    }
    let mut after = None;
    loop {
        let page = run.recorded(run.setup.ledger.missing(run.id(), scope, after).await)?;
        for batch in page.documents.chunks(BATCH) {
            run.goes_on()?;
            remove(run, batch).await?;
        }
        after = page.next;
        if after.is_none() {
            return Ok(0);
        }
    }
}

/// Removes documents: from the store, then from the ledger.
pub(super) async fn remove(run: &Run, missing: &[Missing]) -> Result<(), Ended> {
    let uris: Vec<String> = missing.iter().map(|document| document.uri.clone()).collect();
    let prior = run.answered(uris.len(), run.setup.ledger.claim(uris).await)?;
    let mut documents = Vec::with_capacity(missing.len());
    let mut intents = Vec::with_capacity(missing.len());
    for (document, prior) in missing.iter().zip(prior) {
        let known = prior.entry.is_some();
        let points = prior.entry.map(|entry| entry.points).unwrap_or_default();
        documents.push((document.uri.clone(), prior.epoch, points.len() as u64, known));
        intents.push(Intent {
            source: document.source.clone(),
            uri: document.uri.clone(),
            epoch: prior.epoch,
            ids: points.iter().map(|point| point.id).collect(),
            untouched: Vec::new(),
        });
    }
    let fenced = run.recorded(run.setup.ledger.intend(intents).await)?.uris;
    documents.retain(|(uri, ..)| !fenced.contains(uri));
    for (uri, epoch, ..) in &documents {
        // Asked anew for each: those before it may have taken longer than a lease.
        run.with_store(|store| async move {
            if run.setup.ledger.holds(uri, *epoch).await { store.delete_document(uri).await } else { Ok(()) }
        })
        .await?;
    }
    let points: u64 = documents.iter().map(|(_, _, points, _)| points).sum();
    let removed: Vec<_> = documents.iter().map(|(uri, epoch, ..)| (uri.clone(), *epoch)).collect();
    let fenced = run.recorded(run.setup.ledger.forget(removed).await)?.uris;
    // What only ever failed (a folder that could not be listed, too) was never in the index.
    let gone = documents.iter().filter(|(uri, _, _, known)| *known && !fenced.contains(uri));
    run.report.documents.removed.add(gone.count() as u64);
    run.report.chunks.deleted.add(points);
    Ok(())
}
