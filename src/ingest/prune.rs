//! Removes the documents that are gone from their sources.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::ledger::{Intent, LedgerError, Missing, MissingCount, Scope};
use super::run::{Ended, Mode, Run};
use crate::source::state::State;
use crate::source::{SourceError, SourceId};

/// Documents that are removed in one go: one transaction before and one after for all of them.
const BATCH: usize = 64;

/// What becomes of the documents that are gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// So many are to be removed.
    Remove(u64),
    /// So many are kept: when more than half of what the index had is lost, the source itself looks broken; and what another home wrote
    /// may be in its sources.
    Keep(u64),
}

/// Decides on the documents that are gone, for a run and for what tells what one would do. `meant`: somebody said that all of them are to
/// be removed.
///
/// Lost is what is gone with its content: a folder that was renamed has lost nothing. It is compared with what the index had before the
/// run: what has come in place of other documents does not make up for them.
pub(super) async fn judge(run: &Run, scope: &Scope, meant: bool) -> Result<Verdict, Ended> {
    let ledger = &run.setup.ledger;
    let MissingCount { known, missing } = run.recorded(ledger.count_missing(run.id(), scope).await)?;
    if missing > 0 && !meant && run.other_home.is_some() {
        return Ok(Verdict::Keep(missing));
    }
    let doubt = Doubt::of(run, scope);
    let earlier = doubt.earlier(run).await?;
    let before = known.saturating_sub(added(run).await?);
    let before = earlier.map_or(before, |earlier| earlier.min(before));
    if !meant && missing * 2 > before {
        let moved = run.recorded(ledger.count_moved(run.id(), scope, run.arrived.take()).await)?;
        if missing.saturating_sub(moved) * 2 > before {
            doubt.set(run, earlier, Some(before)).await?;
            return Ok(Verdict::Keep(missing));
        }
    }
    doubt.set(run, earlier, None).await?;
    Ok(Verdict::Remove(missing))
}

/// How many documents the index has that it did not have before this run.
async fn added(run: &Run) -> Result<u64, Ended> {
    if run.setup.workers.is_none() {
        return Ok(run.report.documents.added.get());
    }
    // Others have added some as well.
    let documents = run.recorded(run.setup.ledger.totals().await)?.documents;
    Ok(documents.saturating_sub(run.documents_before.load(Ordering::Acquire)))
}

/// How many documents the index had before those were lost that are kept: what was added since then makes up for none of them, in no
/// later run. Nothing is remembered of a run over a part of a source.
struct Doubt {
    key: Option<Vec<u8>>,
    state: Arc<dyn State>,
}

impl Doubt {
    fn of(run: &Run, scope: &Scope) -> Self {
        let mut parts: Vec<_> = scope.sources.iter().map(|part| (part.source.as_str(), &part.roots)).collect();
        parts.sort_unstable();
        let whole = scope.sources.iter().all(|part| part.focus.is_none());
        let key = whole.then(|| blake3::hash(format!("{parts:?}").as_bytes()).as_bytes().to_vec());
        Self { key, state: run.setup.ledger.state(&SourceId::new("ragstream:missing")) }
    }

    async fn earlier(&self, run: &Run) -> Result<Option<u64>, Ended> {
        let Some(key) = self.key.clone() else { return Ok(None) };
        let values = run.recorded(self.state.get(vec![key]).await.map_err(failed))?;
        let number = |value: Vec<u8>| value.try_into().ok().map(u64::from_le_bytes);
        Ok(values.into_iter().next().flatten().and_then(number))
    }

    async fn set(&self, run: &Run, earlier: Option<u64>, now: Option<u64>) -> Result<(), Ended> {
        let Some(key) = self.key.clone().filter(|_| now != earlier && run.mode == Mode::Write) else { return Ok(()) };
        let change = (key, now.map(|now| now.to_le_bytes().to_vec()));
        run.recorded(self.state.write(vec![change]).await.map_err(failed))
    }
}

fn failed(error: SourceError) -> LedgerError {
    LedgerError::Failed { ledger: "of what is missing".to_owned(), source: Box::new(error) }
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

/// What [`remove_missing`] would remove: documents, and chunks of them.
pub(super) async fn foretold(run: &Run, scope: &Scope) -> Result<(u64, u64), Ended> {
    let (mut documents, mut chunks, mut after) = (0, 0, None);
    loop {
        let page = run.recorded(run.setup.ledger.missing(run.id(), scope, after).await)?;
        let uris: Vec<String> = page.documents.into_iter().map(|document| document.uri).collect();
        let prior = run.answered(uris.len(), run.setup.ledger.claim(uris).await)?;
        for entry in prior.into_iter().filter_map(|prior| prior.entry) {
            documents += 1;
            chunks += entry.points.len() as u64;
        }
        after = page.next;
        if after.is_none() {
            return Ok((documents, chunks));
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
