//! Lists the sources, compares versions, and hands out what may have changed; at the end it removes what is gone, and seals.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::atomic::Ordering;

use futures_util::{FutureExt as _, Stream, StreamExt as _};

use super::clocks::{Doing, Place, Step};
use super::ledger::{Difference, FailedDocument, Listing, Scope, SourceScope};
use super::queue::{Batch, Closed, Submit};
use super::report::Stage;
use super::run::{Ended, Run};
use super::{prune, reconcile};
use crate::error::{Error, Origin, reason};
use crate::source::{Fetched, Item, Listed, Source};
use crate::vectordb::IndexMeta;

/// Items that are compared with the ledger in one go.
const PAGE: usize = 1024;
/// And what may have been fetched with them, in bytes.
const PAGE_BYTES: usize = 8 << 20;
/// Items of a batch, at most.
pub(super) const BATCH: usize = 32;
/// And what they may hold together, in bytes; a larger one goes alone.
const BATCH_BYTES: u64 = 128 << 10;
/// What an item is taken for whose size is not known.
const USUAL_BYTES: u64 = 8 << 10;

/// Lists all sources, one after another, and submits what the ledger does not know to be unchanged. Returns which documents may be
/// found gone now.
pub(super) async fn list(run: &Run, mut queue: impl Submit) -> Result<Scope, Ended> {
    let mut scope = Scope::default();
    if run.setup.workers.is_some() {
        let before = run.recorded(run.setup.ledger.totals().await)?.documents;
        run.documents_before.store(before, Ordering::Release);
    }
    let place = Place::take(&run.report.clocks, Step::List);
    for (number, source) in run.setup.sources.iter().enumerate() {
        let unreadable = list_source(run, number, &**source, &mut queue, &place).await?;
        let roots = if run.options.scoped { source.roots() } else { vec![String::new()] };
        scope.sources.push(SourceScope { source: source.id().clone(), roots, focus: source.focus(), unreadable });
    }
    Ok(merged(scope))
}

/// The end of a run: removes what is gone, where the sources were listed to their ends, and gives ledger and store a new generation.
/// `listed` is `None` where the run was cut short. Returns how many documents are gone and kept all the same.
///
/// # Errors
/// What ended the run early, if anything did.
pub(super) async fn close(run: &Run, listed: Option<Result<Scope, Ended>>, index: Option<IndexMeta>) -> Result<u64, Error> {
    let kept = match &listed {
        Some(Ok(scope)) if run.goes_on().is_ok() => prune::remove_missing(run, scope).await.unwrap_or_default(),
        _ => 0,
    };
    // An engine that nothing was asked of need not be opened to be flushed.
    let written = run.report.chunks.upserted.get() + run.report.chunks.deleted.get() > 0;
    let flushed = if written { run.setup.store.flush().await } else { Ok(()) };
    let fatal = run.take_fatal();
    let store_answers = fatal.as_ref().is_none_or(|error| error.origin() != Origin::Store);
    if let Some(index) = index.filter(|_| listed.is_some() && store_answers)
        && let Err(error) = reconcile::seal(run, index, kept).await
    {
        tracing::warn!(%error, "the end of this run could not be recorded; the next run looks through the store first");
    }
    match fatal {
        Some(error) => Err(error),
        None => Ok(flushed.map(|()| kept)?),
    }
}

/// Sources of one kind have their documents in common: what one of them could not list, none may find gone.
fn merged(scope: Scope) -> Scope {
    let mut merged = Vec::<SourceScope>::new();
    for part in scope.sources {
        match merged.iter_mut().find(|known| known.source == part.source) {
            Some(known) => {
                known.roots.extend(part.roots);
                known.unreadable.extend(part.unreadable);
                // Were one of them narrowed and another not, only what the narrowed one lists can be told to be gone.
                known.focus = match (known.focus.take(), part.focus) {
                    (Some(one), Some(other)) => Some([one, other].concat()),
                    (one, other) => one.or(other),
                };
            }
            None => merged.push(part),
        }
    }
    Scope { sources: merged }
}

/// Lists one source; the prefixes below which nothing may be taken for gone.
async fn list_source(
    run: &Run,
    number: usize,
    source: &dyn Source,
    queue: &mut impl Submit,
    place: &Place,
) -> Result<Vec<String>, Ended> {
    let mut unreadable = Vec::new();
    // An end that came too early must not look like "everything else is gone".
    let mut cut_short = Some("the listing ended before it was complete");
    // What breaks in a source breaks its listing, and not the run.
    let mut listing = pin!(AssertUnwindSafe(source.list()).catch_unwind().fuse());
    loop {
        let steps = tokio::select! {
            biased;
            () = run.stop.cancelled() => return Err(Ended::Stopped),
            steps = next_page(&mut listing) => steps,
        };
        if steps.is_empty() {
            break;
        }
        let mut page = Page::default();
        let (mut failures, mut unanswered, mut withdrawn) = (Vec::new(), Vec::new(), Vec::new());
        for step in steps {
            match step {
                Ok(Listed::Item(item)) => page.items.push(item),
                Ok(Listed::Fetched(item, fetched)) => {
                    page.fetched.entry(item.uri.clone()).or_insert(*fetched);
                    page.items.push(item);
                }
                Ok(Listed::Skipped { uri, reason }) => run.skip(&uri, reason),
                Ok(Listed::Unreadable { prefix, error }) => {
                    failures.push(unlisted(source, &prefix, reason(&error)));
                    unreadable.push(prefix);
                }
                Ok(Listed::Unanswered { prefix, error }) => {
                    unanswered.push(unlisted(source, &prefix, reason(&error)));
                    unreadable.push(prefix);
                }
                Ok(Listed::Withdrawn { uri }) => withdrawn.push(uri),
                Ok(Listed::Notice(message)) => (run.options.listener)(source.id(), &message),
                Ok(Listed::Complete) => cut_short = None,
                Err(_panic) => cut_short = Some("the listing broke off"),
            }
        }
        if run.options.scoped {
            // Whoever named it has been told; no later run would look at it again.
            run.tell_of(&unanswered);
        } else {
            failures.append(&mut unanswered);
        }
        run.fail(failures).await?;
        for batch in page.changed(run, number, source).await? {
            place.does(Doing::Held);
            queue.submit(batch).await.map_err(|Closed| Ended::Stopped)?;
            place.does(Doing::Working);
        }
        queue.pause().await.map_err(|Closed| Ended::Stopped)?;
        // What has been made of them meanwhile is removed with what is gone.
        if !withdrawn.is_empty() {
            run.recorded(run.setup.ledger.unlist(run.id(), withdrawn).await)?;
        }
    }
    if let Some(why) = cut_short {
        let roots = source.roots();
        run.fail(roots.iter().map(|root| unlisted(source, root, why.to_owned())).collect()).await?;
        unreadable.extend(roots);
    }
    Ok(unreadable)
}

fn unlisted(source: &dyn Source, prefix: &str, error: String) -> FailedDocument {
    let uri = if prefix.is_empty() { source.id().as_str() } else { prefix };
    FailedDocument { source: source.id().clone(), uri: uri.to_owned(), stage: Stage::Read, error }
}

/// The next steps of a listing, as far as they are there; none at its end.
async fn next_page(listing: &mut (impl Stream<Item = Told> + Unpin)) -> Vec<Told> {
    let (mut steps, mut bytes) = (Vec::new(), 0);
    let mut next = listing.next().await;
    while let Some(step) = next {
        if let Ok(Listed::Fetched(_, fetched)) = &step {
            bytes += fetched.body.len();
        }
        steps.push(step);
        if steps.len() == PAGE || bytes >= PAGE_BYTES {
            break;
        }
        next = listing.next().now_or_never().flatten();
    }
    steps
}

/// A step of a listing, unless the source broke.
type Told = Result<Listed, Box<dyn std::any::Any + Send>>;

/// Items that were listed, and what was fetched with them.
#[derive(Default)]
struct Page {
    items: Vec<Item>,
    fetched: HashMap<String, Fetched>,
}

impl Page {
    /// Those that the ledger does not know to be unchanged.
    async fn changed(self, run: &Run, number: usize, source: &dyn Source) -> Result<Vec<Batch>, Ended> {
        let listing = |item: &Item| Listing { uri: item.uri.clone(), version: run.version(item.version) };
        let listings: Vec<_> = self.items.iter().map(listing).collect();
        let count = listings.len();
        if count == 0 {
            return Ok(Vec::new());
        }
        let differences = run.setup.ledger.note_listed(run.id(), source.id(), listings).await;
        let differences = run.answered(count, differences)?;
        let wanted = |difference| match difference {
            Difference::Changed => true,
            Difference::Unchanged => run.options.checksum,
            // Two at once would know nothing of what the other writes.
            Difference::Repeated => false,
        };
        // What several sources list, or one of them twice, is one document.
        let seen = differences.iter().filter(|difference| **difference != Difference::Repeated).count();
        let changed = self.items.into_iter().zip(differences).filter(|(_, difference)| wanted(*difference));
        let changed: Vec<Item> = changed.map(|(item, _)| item).collect();
        run.report.documents.seen.add(seen as u64);
        run.report.documents.unchanged.add((seen - changed.len()) as u64);
        Ok(batches(number, changed, self.fetched, source.at_once()))
    }
}

/// Puts small items together, and leaves every worker some. `at_once`: see [`Source::at_once`].
pub(super) fn batches(
    source: usize,
    items: Vec<Item>,
    mut fetched: HashMap<String, Fetched>,
    at_once: Option<usize>,
) -> Vec<Batch> {
    // Who asks a server waits more than it works: one group a worker is enough.
    let (groups, most) = at_once.map_or((Run::cores() * 4, BATCH), |items| (Run::cores(), items));
    let usual = at_once.map_or(USUAL_BYTES, |items| BATCH_BYTES / items.max(1) as u64);
    let most = (items.len() / groups).clamp(1, most.max(1));
    let (mut batches, mut bytes) = (Vec::<Batch>::new(), 0_u64);
    for item in items {
        let body = fetched.remove(&item.uri);
        let size = body.as_ref().map_or(item.size.unwrap_or(usual), |fetched| fetched.body.len() as u64);
        bytes = bytes.saturating_add(size);
        let fits =
            |batch: &&mut Batch| batch.items.len() < most && bytes <= BATCH_BYTES && batch.fetched.is_some() == body.is_some();
        if let Some(batch) = batches.last_mut().filter(fits) {
            batch.items.push(item);
            if let (Some(bodies), Some(body)) = (&mut batch.fetched, body) {
                bodies.push(body);
            }
        } else {
            bytes = size;
            batches.push(Batch { source, items: vec![item], fetched: body.map(|body| vec![body]) });
        }
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{Body, FormatHint, Version};

    fn item(size: u64) -> Item {
        let mut item = Item::new(size.to_string(), Version::UNKNOWN);
        item.size = Some(size);
        item
    }

    fn sizes(sizes: &[u64]) -> Vec<Vec<u64>> {
        let batches = batches(0, sizes.iter().map(|size| item(*size)).collect(), HashMap::new(), None);
        batches.iter().map(|batch| batch.items.iter().filter_map(|item| item.size).collect()).collect()
    }

    #[test]
    fn small_items_go_together_and_large_ones_alone() {
        let items: Vec<u64> = (0..5000).map(|n| if n % 100 == 50 { BATCH_BYTES + n } else { 600 + n % 7000 }).collect();
        let batches = sizes(&items);
        assert_eq!(batches.concat(), items, "all of them, in order");
        for batch in &batches {
            assert!(batch.len() <= BATCH && (batch.len() == 1 || batch.iter().sum::<u64>() <= BATCH_BYTES));
        }
        assert!(batches.len() < items.len() / 8, "{} batches", batches.len());
    }

    #[test]
    fn a_few_items_are_spread_over_the_workers() {
        let items = vec![100; Run::cores() * 4];
        assert_eq!(sizes(&items).len(), items.len());
    }

    #[test]
    fn items_of_unknown_size_come_as_their_source_likes_them() {
        let items: Vec<Item> = (0..1024).map(|n| Item::new(n.to_string(), Version::UNKNOWN)).collect();
        let counts = |at_once| {
            let batches = batches(0, items.clone(), HashMap::new(), at_once);
            assert_eq!(batches.iter().flat_map(|batch| batch.items.clone()).collect::<Vec<_>>(), items);
            batches.iter().map(|batch| batch.items.len()).max()
        };
        let spread = 1024 / Run::cores();
        assert_eq!(counts(None), Some(16.min(spread / 4)), "as many as files of a usual size");
        for at_once in [1, 3, 100, 256] {
            assert_eq!(counts(Some(at_once)), Some(at_once.min(spread)));
        }
        assert_eq!(counts(Some(0)), Some(1));
    }

    #[test]
    fn what_was_fetched_with_its_item_stays_with_it() {
        let items: Vec<Item> = (0..2000).map(item).collect();
        let body = |n: u64| Body::Bytes { bytes: vec![0; n as usize], hint: FormatHint::default() };
        let fetched = (0..2000).filter(|n| n % 7 < 3).map(|n| (n.to_string(), Fetched::new(body(n), Version::UNKNOWN)));
        let batches = batches(0, items.clone(), fetched.collect(), None);
        assert_eq!(batches.iter().flat_map(|batch| batch.items.clone()).collect::<Vec<_>>(), items);
        for batch in &batches {
            let expected = batch.items.iter().filter_map(|item| item.size.filter(|n| n % 7 < 3)).collect::<Vec<_>>();
            let sizes = batch.fetched.iter().flatten().map(|fetched| fetched.body.len() as u64).collect::<Vec<_>>();
            assert_eq!(sizes, expected);
            assert!(expected.is_empty() || expected.len() == batch.items.len(), "all of a batch, or none");
        }
    }
}
