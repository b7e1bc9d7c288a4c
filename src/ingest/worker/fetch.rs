//! Fetches a batch from its source, once there is memory for it.

use std::sync::Arc;

use futures_util::{StreamExt as _, stream};

use super::stage::stage;
use crate::ingest::clocks::{Doing, Place, Step, Wanted};
use crate::ingest::ledger::PriorState;
use crate::ingest::memory::Share;
use crate::ingest::queue::{Batch, Claim};
use crate::ingest::run::{Ended, Run};
use crate::source::{FetchError, Fetched, Item, Source, SourceError, SourceId};

/// Items that were fetched together.
pub(super) struct FetchedBatch {
    pub source: SourceId,
    pub items: Vec<FetchedItem>,
}

/// An item with all that is needed to go on with it.
pub(super) struct FetchedItem {
    pub uri: String,
    /// What is recorded and intended of it. Nobody else changes that while the item is under way.
    pub prior: PriorState,
    pub fetched: Result<Fetched, FetchError>,
    /// Its share of the run's memory.
    pub memory: Share,
}

/// Fetches what the queue holds, a core's worth of batches at once.
pub(super) fn fetch(run: &Arc<Run>, claims: impl Claim) -> Wanted<FetchedBatch> {
    let batches = stream::unfold(claims, |mut claims| async { claims.claim().await.map(|batch| (batch, claims)) });
    let batches = batches.take_until(run.stop.clone().cancelled_owned());
    stage(
        run,
        Step::Read,
        "fetch documents",
        batches,
        |run, batch, place| async move { fetch_batch(&run, batch, &place).await },
    )
}

async fn fetch_batch(run: &Run, batch: Batch, place: &Place) -> Result<FetchedBatch, Ended> {
    let Batch { source, items, fetched } = batch;
    #[expect(clippy::expect_used, reason = "the coordinator numbers the run's own sources")]
    let source = run.setup.sources.get(source).expect("a source of this run");
    let uris = items.iter().map(|item| item.uri.clone()).collect();
    let (fetched, memory) = if let Some(fetched) = fetched {
        let memory = reserve(run, place, fetched.iter().map(|fetched| fetched.body.len() as u64)).await;
        (fetched.into_iter().map(Ok).collect(), memory)
    } else if items.iter().all(|item| item.size.is_some()) {
        let memory = reserve(run, place, items.iter().filter_map(|item| item.size)).await;
        run.goes_on()?;
        (ask(&**source, &items).await, memory)
    } else {
        // How much it is shows when it is there.
        run.goes_on()?;
        let fetched = ask(&**source, &items).await;
        let size = |fetched: &Result<Fetched, _>| fetched.as_ref().map_or(0, |fetched| fetched.body.len() as u64);
        let memory = reserve(run, place, fetched.iter().map(size)).await;
        (fetched, memory)
    };
    let prior = run.answered(items.len(), run.setup.ledger.claim(uris).await)?;
    let items = items.into_iter().zip(prior).zip(fetched).zip(memory);
    let items = items.map(|(((item, prior), fetched), memory)| FetchedItem { uri: item.uri, prior, fetched, memory });
    Ok(FetchedBatch { source: source.id().clone(), items: items.collect() })
}

/// Waits for memory, which what is under way in the stages after this one gives back.
async fn reserve(run: &Run, place: &Place, sizes: impl Iterator<Item = u64> + Clone + Send) -> Vec<Share> {
    place.does(Doing::Held);
    let shares = run.memory.reserve(sizes).await;
    place.does(Doing::Working);
    shares
}

/// The source's answers, one an item.
async fn ask(source: &dyn Source, items: &[Item]) -> Vec<Result<Fetched, FetchError>> {
    let answers = source.fetch(items).await;
    if answers.len() == items.len() {
        return answers;
    }
    let miscounted = format!("the source gave {} answers for {} items", answers.len(), items.len());
    items.iter().map(|_| Err(SourceError::new(miscounted.clone()).into())).collect()
}
