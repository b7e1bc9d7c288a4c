//! Keeps an index up to date with its sources: what changes is indexed as it changes.
//!
//! Files tell of their changes (see [`Events`]): a run looks at what has changed alone. What tells of nothing (sites, tables, sources of
//! a program's own) is compared now and then, and so are files, in case that an event was lost. Between its runs it holds no lock.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Runtime;
use super::part::Part;
use crate::error::Error;
use crate::ingest::Options;
use crate::ingest::ledger::{FailedDocument, LedgerError};
use crate::ingest::report::{IngestSummary, Outcome, Report, Stage};
use crate::source::files::{Events, Focus, base_of, uri_of};
use crate::source::{FilesPlan, SourceId, SourcePlan};
use crate::vectordb::StoreError;

/// How often what tells of nothing is compared, and files that do, to be sure.
const USUAL: Duration = Duration::from_secs(600);
/// Sites are other people's.
const SITES: Duration = Duration::from_secs(3600);
/// Of tables: a compare costs their server some seconds a million rows.
const TABLES: Duration = Duration::from_secs(60);
/// How often files are compared where the system tells of no changes, unless that takes long.
const POLL: Duration = Duration::from_secs(3);
/// Comparing takes no more than one part in so many of the time then.
const SHARE: u32 = 10;
/// See [`WatchOptions::quiet`].
const QUIET: Duration = Duration::from_millis(300);
/// The first pause after a failure, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(300));
/// How long another run that is writing is waited for at a time.
const BUSY: Duration = Duration::from_secs(1);

/// What a watch is told.
#[derive(Clone)]
#[non_exhaustive]
pub struct WatchOptions {
    /// How often sources are compared in whole. `None`: as fits their kind, which is an hour for sites and ten minutes for others.
    pub every: Option<Duration>,
    /// For how long nothing may change before what has changed is looked at: whoever saves a file writes more than once. A second
    /// after the first change it is looked at in any case.
    pub quiet: Duration,
    /// What each run is told. `prune`, `rebuild` and `checksum` hold for the first alone.
    pub ingest: Options,
    /// Told what happens.
    pub observer: Arc<dyn Fn(WatchEvent) + Send + Sync>,
}

impl Default for WatchOptions {
    /// Tells nobody of anything.
    fn default() -> Self {
        Self { every: None, quiet: QUIET, ingest: Options::default(), observer: Arc::new(|_| {}) }
    }
}

impl fmt::Debug for WatchOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WatchOptions").field("every", &self.every).field("ingest", &self.ingest).finish_non_exhaustive()
    }
}

/// What happens in a watch.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum WatchEvent {
    /// A run begins, and counts here.
    Begins(Arc<Report>),
    /// A run has ended. Most of those that compare all of a source change nothing.
    Ran {
        /// What it did.
        summary: Box<IngestSummary>,
        /// What it was about, where that is one document: its uri, or that of the folder that it went with.
        document: Option<String>,
        /// Which sources it looked at in whole.
        whole: Vec<SourceId>,
    },
    /// The first run is done, and changes are waited for. Told once.
    Watching {
        /// Folders that are watched (trees of them, where the system watches these).
        folders: usize,
        /// Documents that the sources have.
        documents: u64,
        /// Why the system tells of no changes to files: they are compared every few seconds.
        without_events: Option<String>,
    },
    /// The system has ceased to tell of changes to files: from now on they are compared every few seconds.
    WithoutEvents(String),
    /// Another run is writing, and is waited for. Told once for each time.
    Busy(Error),
    /// A run could not be done, and is tried again.
    Failed {
        /// Why.
        error: Error,
        /// When.
        pause: Duration,
    },
}

impl Runtime {
    /// Brings the pipeline's index up to date with its sources, and keeps it so until `stop` is cancelled. The first attempt
    /// counts in `report`. Where a run was cut short by `stop` the outcome is [`Outcome::Interrupted`], and what was in flight is stored.
    ///
    /// # Errors
    /// What keeps the first run from being done and will not pass by itself; later on, what no later run can succeed with: an index
    /// that was made anew with another model, say. All else is told and tried again.
    pub async fn watch(&self, options: WatchOptions, report: Arc<Report>, stop: CancellationToken) -> Result<Outcome, Error> {
        let plans = self.plan.sources.iter().filter_map(|plan| match plan {
            SourcePlan::Files(files) => Some(files.clone()),
            _ => None,
        });
        let plans: Vec<FilesPlan> = plans.collect();
        let WatchOptions { every, quiet, ingest, observer } = options;
        // Before the first run, so that what changes meanwhile is not missed.
        let events = tokio::select! {
            events = Events::start(plans, quiet) => events,
            () = stop.cancelled() => return Ok(Outcome::Interrupted),
        };
        let soon = Arc::new(Mutex::new(BTreeMap::new()));
        let watch = Watch {
            runtime: self,
            // Another source of files could not tell which of its own have changed.
            narrows: !self.source_ids().iter().any(|(id, plan)| plan.is_none() && *id == SourceId::files()),
            periods: self.periods(every),
            later: Options { prune: false, rebuild: false, checksum: false, ..noting(ingest.clone(), Arc::clone(&soon)) },
            observer,
            events,
            soon: Arc::clone(&soon),
            stop,
        };
        watch.run(noting(ingest, soon), report).await
    }

    /// How often each kind of source is compared.
    fn periods(&self, every: Option<Duration>) -> BTreeMap<SourceId, Duration> {
        let mut periods = BTreeMap::new();
        for (id, plan) in self.source_ids() {
            let usual = match plan {
                Some(SourcePlan::Web(_)) => SITES,
                Some(SourcePlan::Sql(_)) => TABLES,
                _ => USUAL,
            };
            let period = periods.entry(id).or_insert(Duration::MAX);
            *period = every.unwrap_or(usual).min(*period);
        }
        periods
    }

    /// One run over a part of the sources.
    async fn ingest_part(
        &self,
        part: &Part,
        options: Options,
        report: Arc<Report>,
        stop: &CancellationToken,
    ) -> Result<(IngestSummary, Option<String>), Error> {
        let ended = self.ingest_of(Some(part), options, report, stop).await;
        // Others may write to it until the next run.
        self.slots()?.release().await;
        let (summary, base) = ended?;
        let base = base_of(base.as_deref(), &self.settings.home, &self.settings.cwd);
        let document = document_of(part, &summary, &base);
        Ok((summary, document))
    }
}

/// Which sources are to be tried again since some of their documents could not be embedded or stored.
type Soon = Arc<Mutex<BTreeMap<SourceId, u64>>>;

/// Options whose observer also notes what may be better soon.
fn noting(options: Options, soon: Soon) -> Options {
    let observer = Arc::clone(&options.observer);
    let noting = move |failure: &FailedDocument| {
        if matches!(failure.stage, Stage::Context | Stage::Embed | Stage::Store) {
            *soon.lock().unwrap_or_else(PoisonError::into_inner).entry(failure.source.clone()).or_default() += 1;
        }
        observer(failure);
    };
    Options { observer: Arc::new(noting), ..options }
}

/// What a run was about that changed one document: the one path that it was to look at, but for what an editor leaves for a moment
/// beside it.
fn document_of(part: &Part, summary: &IngestSummary, base: &Path) -> Option<String> {
    let documents = &summary.documents;
    let focus =
        part.focus().filter(|_| part.whole.is_empty() && documents.added + documents.changed + documents.removed == 1)?;
    document_among(&focus, documents.removed > 0, base)
}

fn document_among(focus: &Focus, removed: bool, base: &Path) -> Option<String> {
    let kind = |path: &Path| path.symlink_metadata().map(|meta| meta.file_type()).ok();
    let is_document = |path: &&Path| kind(path).is_some_and(|kind| kind.is_file());
    let paths: Vec<&Path> = focus.paths().filter(|path| !path.is_dir()).collect();
    let (there, away): (Vec<&Path>, Vec<&Path>) = paths.into_iter().partition(is_document);
    let candidates = if removed { away } else { there };
    // What a link has taken the place of was the document, and what has no place any more was on the way to it.
    let links: Vec<&Path> = candidates.iter().copied().filter(|path| kind(path).is_some()).collect();
    match (candidates.as_slice(), links.as_slice()) {
        ([path], _) | (_, [path]) => Some(uri_of(path, base)),
        _ => None,
    }
}

struct Watch<'a> {
    runtime: &'a Runtime,
    events: Events,
    /// Whether a run can be over files that have changed alone.
    narrows: bool,
    periods: BTreeMap<SourceId, Duration>,
    /// What runs after the first are told.
    later: Options,
    soon: Soon,
    observer: Arc<dyn Fn(WatchEvent) + Send + Sync>,
    stop: CancellationToken,
}

impl Watch<'_> {
    async fn run(self, first: Options, report: Arc<Report>) -> Result<Outcome, Error> {
        let mut first = Some((first, report));
        let mut part = Part::all(self.periods.keys().cloned());
        let mut due: BTreeMap<SourceId, Instant> = BTreeMap::new();
        let (mut failures, mut unembedded, mut busy) = (0, 0, false);
        let mut told_without = self.events.without().is_some();
        loop {
            if part.is_empty() && !self.wait(&due, &mut part).await {
                return Ok(Outcome::Complete);
            }
            if part.is_empty() {
                continue;
            }
            if let Some(why) = self.events.without().filter(|_| !told_without) {
                told_without = true;
                (self.observer)(WatchEvent::WithoutEvents(why));
            }
            let (options, report) = first.clone().unwrap_or_else(|| (self.later.clone(), Arc::default()));
            (self.observer)(WatchEvent::Begins(Arc::clone(&report)));
            let began = Instant::now();
            let error = match self.runtime.ingest_part(&part, options, report, &self.stop).await {
                Ok((summary, document)) => {
                    let (outcome, documents) = (summary.outcome, summary.documents.seen);
                    let waits = summary.change.as_ref().is_some_and(|change| !change.complete && change.waiting > 0);
                    let whole: Vec<SourceId> = std::mem::take(&mut part).whole.into_iter().collect();
                    (self.observer)(WatchEvent::Ran { summary: Box::new(summary), document, whole: whole.clone() });
                    if outcome == Outcome::Interrupted {
                        return Ok(outcome);
                    }
                    // The index may be another model's: then all of it is to be embedded, and not what has changed alone.
                    if waits && whole.len() < self.periods.len() {
                        part = Part::all(self.periods.keys().cloned());
                    }
                    for id in whole {
                        let period = self.period(&id, began.elapsed());
                        due.insert(id, Instant::now() + period);
                    }
                    let again = std::mem::take(&mut *self.soon.lock().unwrap_or_else(PoisonError::into_inner));
                    unembedded = if again.is_empty() { 0 } else { unembedded + 1 };
                    for id in again.into_keys() {
                        let soon = Instant::now() + pause(unembedded + 2);
                        due.entry(id).and_modify(|at| *at = soon.min(*at)).or_insert(soon);
                    }
                    if first.take().is_some() {
                        let (folders, without_events) = (self.events.folders(), self.events.without());
                        (self.observer)(WatchEvent::Watching { folders, documents, without_events });
                    }
                    (failures, busy) = (0, false);
                    continue;
                }
                Err(error) => error,
            };
            let pause = if is_busy(&error) {
                if !std::mem::replace(&mut busy, true) {
                    (self.observer)(WatchEvent::Busy(error));
                }
                BUSY
            } else if never(&error) || (first.is_some() && !error.is_transient()) {
                return Err(error);
            } else {
                (failures, busy) = (failures + 1, false);
                let pause = pause(failures);
                (self.observer)(WatchEvent::Failed { error, pause });
                pause
            };
            // What a failed attempt has counted, the next one does not count again.
            if let Some((_, report)) = &mut first {
                *report = Arc::default();
            }
            tokio::select! {
                () = self.stop.cancelled() => return Ok(Outcome::Interrupted),
                () = tokio::time::sleep(pause) => self.add_changes(&mut part).await,
            }
        }
    }

    /// Waits until something is to be done. `false`: it is to end.
    async fn wait(&self, due: &BTreeMap<SourceId, Instant>, part: &mut Part) -> bool {
        let next = due.values().min().copied().unwrap_or_else(|| Instant::now() + USUAL);
        tokio::select! {
            biased;
            () = self.stop.cancelled() => return false,
            () = tokio::time::sleep_until(next) => {
                let now = Instant::now();
                part.whole.extend(due.iter().filter(|(_, at)| **at <= now).map(|(id, _)| id.clone()));
                if part.whole.contains(&SourceId::files()) {
                    self.events.renew().await;
                }
            }
            () = self.events.settled() => self.add_changes(part).await,
        }
        true
    }

    async fn add_changes(&self, part: &mut Part) {
        part.add(self.events.take().await);
        if !self.narrows && part.focus().is_some() {
            part.add(crate::source::files::Changes::All);
        }
    }

    /// When sources of this kind are to be compared again, after that has taken so long.
    fn period(&self, id: &SourceId, took: Duration) -> Duration {
        let usual = self.periods.get(id).copied().unwrap_or(USUAL);
        if *id == SourceId::files() && self.events.without().is_some() { usual.min(POLL.max(took * SHARE)) } else { usual }
    }
}

/// How long to wait after so many failures.
fn pause(failures: u32) -> Duration {
    let (first, longest) = PAUSES;
    first.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(longest)
}

/// Whether another run has what this one needs.
pub(crate) fn is_busy(error: &Error) -> bool {
    matches!(error.downcast_ref(), Some(LedgerError::Busy { .. }))
        || matches!(error.downcast_ref(), Some(StoreError::Locked { .. }))
}

/// Whether no run of this program and this plan can ever succeed.
fn never(error: &Error) -> bool {
    matches!(error.downcast_ref(), Some(StoreError::Mismatch { .. } | StoreError::Layout { .. }))
        || matches!(error.downcast_ref(), Some(LedgerError::Layout { .. }))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test may panic")]
mod tests {
    use super::*;

    #[test]
    fn what_a_link_has_taken_the_place_of_is_named_and_not_what_was_moved_there() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("target.md"), "# Target").unwrap();
        std::os::unix::fs::symlink(at("target.md"), at("9.md")).unwrap();
        std::fs::write(at("new.md"), "# New").unwrap();
        let told = |names: &[&str], removed| {
            let mut focus = Focus::default();
            focus.extend(names.iter().map(|name| at(name)));
            document_among(&focus, removed, folder.path())
        };
        assert_eq!(told(&["Cu4d7RbZ", "9.md"], true).as_deref(), Some("9.md"));
        assert_eq!(told(&["gone.md"], true).as_deref(), Some("gone.md"));
        assert_eq!(told(&["gone.md", "4913"], true), None, "which of them it was is not known");
        assert_eq!(told(&["new.md", "4913"], false).as_deref(), Some("new.md"), "beside what an editor left for a moment");
        assert_eq!(told(&["new.md", "9.md"], false).as_deref(), Some("new.md"), "a link is no document");
    }

    #[test]
    fn pauses_grow_to_their_bound() {
        let pauses: Vec<u64> = [1, 2, 3, 9, 10, u32::MAX].map(|failures| pause(failures).as_secs()).to_vec();
        assert_eq!(pauses, [1, 2, 4, 256, 300, 300]);
    }
}
