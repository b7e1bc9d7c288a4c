//! How a run is going: a line that a person watches, or an event a second.

use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use super::output::{Output, counted, grouped};
use crate::ingest::limit::{Cause, Limit, Recent};
use crate::ingest::report::{Report, Stage};
use crate::ingest::wire::{self, Line};
use crate::limits::Known;
use crate::providers::local::Download;
use crate::source::SourcePlan;

/// How often the line is drawn anew.
const TICK: Duration = Duration::from_millis(200);

/// What a run reads, in words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reading {
    /// One of what it counts.
    one: &'static str,
    /// What it does with them.
    stage: &'static str,
}

impl Reading {
    pub fn of(sources: &[SourcePlan]) -> Self {
        let all = |is: fn(&SourcePlan) -> bool| !sources.is_empty() && sources.iter().all(is);
        if all(|source| matches!(source, SourcePlan::Web(_))) {
            Self { one: "page", stage: "fetching pages" }
        } else if all(|source| matches!(source, SourcePlan::Sql(_))) {
            Self { one: "row", stage: "reading rows" }
        } else if all(is_bucket) {
            Self { one: "object", stage: "reading objects" }
        } else if all(|source| matches!(source, SourcePlan::Files(_))) {
            Self { one: "file", stage: "reading files" }
        } else {
            Self { one: "document", stage: "reading" }
        }
    }

    /// A stage in words.
    pub fn label(self, stage: Stage) -> &'static str {
        match stage {
            Stage::Read => self.stage,
            Stage::Parse => "parsing",
            Stage::Chunk => "chunking",
            Stage::Context => "saying where chunks stand",
            Stage::Embed => "embedding",
            Stage::Store => "writing to the store",
        }
    }

    /// What limits a run, in a few words: "quota 93 %".
    pub fn limit(self, limit: &Limit) -> String {
        let what = match (limit.cause, limit.stage) {
            (Cause::Opening, _) => "opening",
            (Cause::Listing, _) => "listing",
            (Cause::Quota, _) => match limit.quota {
                Some(Known::Assumed) => "a careful start",
                Some(Known::Learned) => "a learned quota",
                Some(Known::Told) | None => "quota",
            },
            (Cause::Places, _) => "requests in flight",
            (Cause::Retries, _) => "retries",
            (Cause::Latency, _) => "the provider's latency",
            (Cause::Recording, _) => "recording what is done",
            (Cause::Closing, _) => "closing",
            (Cause::Cores, Some(stage)) => {
                return format!("cores {:.0} %, mostly {}", limit.share * 100.0, self.label(stage));
            }
            (_, Some(stage)) => self.label(stage),
            (_, None) => limit.cause.name(),
        };
        format!("{what} {:.0} %", limit.share * 100.0)
    }
}

#[cfg(feature = "s3")]
fn is_bucket(source: &SourcePlan) -> bool {
    matches!(source, SourcePlan::S3(_))
}

#[cfg(not(feature = "s3"))]
fn is_bucket(_: &SourcePlan) -> bool {
    false
}

/// Shows a run's report until finished or dropped.
pub(super) struct Progress {
    bar: ProgressBar,
    _task: AbortOnDropHandle<()>,
}

/// A way to print lines above the progress.
#[derive(Clone)]
pub(super) struct Lines(ProgressBar);

impl Lines {
    /// Above nothing.
    pub fn nowhere() -> Self {
        Self(ProgressBar::hidden())
    }

    /// Says above the progress what is wrong, whether asked to be quiet or not.
    pub fn complain_above(&self, output: &Output, line: &str) {
        self.0.suspend(|| output.complain(&format!("{line}\n")));
    }

    /// Prints a line that the progress does not overwrite.
    pub fn above(&self, output: &Output, line: &str) {
        self.0.suspend(|| output.note(line));
    }
}

impl Progress {
    /// Starts to show an ingest; runs shorter than a second stay silent when piped.
    pub fn start(output: Output, report: Arc<Report>, reading: Reading) -> Self {
        let (counted, mut rate, mut recent) = (Arc::clone(&report), Rate::default(), Recent::default());
        let line = move || has_begun(&report).then(|| line(&report, &mut rate, &mut recent, reading));
        let mut recent = Recent::default();
        Self::show(output, move || Line::Progress(wire::Progress::limited(&counted, &mut recent)), line)
    }

    /// Starts to show something that goes on: an event a second, or a line, as soon as there is one.
    pub fn show<E: Serialize>(
        output: Output,
        mut event: impl FnMut() -> E + Send + 'static,
        mut line: impl FnMut() -> Option<String> + Send + 'static,
    ) -> Self {
        let target = if output.watched() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(None, target);
        if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg}") {
            bar.set_style(style);
        }
        let shown = bar.clone();
        let task = tokio::spawn(async move {
            let mut ticks = tokio::time::interval(TICK);
            // Whoever was asleep has nothing to catch up on.
            ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            for tick in 0_u64.. {
                ticks.tick().await;
                if output.json {
                    if tick > 0 && tick.is_multiple_of(5) {
                        output.event(&event());
                    }
                } else if let Some(line) = line() {
                    shown.set_message(line);
                    shown.tick();
                }
            }
        });
        Self { bar, _task: AbortOnDropHandle::new(task) }
    }

    /// Where to print above.
    pub fn lines(&self) -> Lines {
        Lines(self.bar.clone())
    }

    /// Takes the line away.
    pub fn finish(self) {
        self.bar.finish_and_clear();
    }
}

/// Shows the download of a model, if there is one, until dropped.
pub(super) fn downloads(output: &Output, mut downloads: watch::Receiver<Option<Download>>) -> AbortOnDropHandle<()> {
    let watched = output.watched();
    AbortOnDropHandle::new(tokio::spawn(async move {
        let bar = ProgressBar::hidden();
        if let Ok(style) = ProgressStyle::with_template("fetching {msg} {bar:20} {bytes}/{total_bytes} {bytes_per_sec}") {
            bar.set_style(style);
        }
        while downloads.changed().await.is_ok() {
            let download = downloads.borrow_and_update().clone();
            if let Some(download) = download {
                if watched && bar.is_hidden() {
                    bar.set_draw_target(ProgressDrawTarget::stderr());
                }
                bar.set_message(format!("{} ({})", download.model, download.file));
                bar.set_length(download.total);
                bar.set_position(download.received);
            } else {
                bar.finish_and_clear();
                bar.reset();
                bar.set_draw_target(ProgressDrawTarget::hidden());
            }
        }
    }))
}

/// Chunks a second, smoothed over the last few seconds.
#[derive(Default)]
pub(super) struct Rate {
    last: u64,
    smooth: f64,
}

impl Rate {
    /// What it is by now; to be asked once a [`TICK`].
    pub fn next(&mut self, total: u64) -> f64 {
        let now = (total.saturating_sub(self.last)) as f64 / TICK.as_secs_f64();
        self.last = total;
        self.smooth += (now - self.smooth) * 0.1;
        self.smooth
    }
}

/// Whether there is anything to show: also what others have found, or are waited for.
fn has_begun(report: &Report) -> bool {
    report.documents.seen.get() + report.chunks.made.get() > 0 || report.waiting().is_some()
}

fn line(report: &Report, rate: &mut Rate, recent: &mut Recent, reading: Reading) -> String {
    let seen = report.documents.seen.get();
    let (made, stored) = (report.chunks.made.get(), report.chunks.upserted.get());
    let per_second = rate.next(stored);
    let mut line = format!("{} · {}/{} chunks", counted(seen, reading.one), grouped(stored), grouped(made));
    if per_second >= 1.0 {
        line.push_str(&format!(" · {}/s", grouped(per_second as u64)));
    }
    let failed = report.documents.failed.get();
    if failed > 0 {
        line.push_str(&format!(" · {} failed", grouped(failed)));
    }
    if let Some(limit) = report.limit(recent) {
        line.push_str(&format!(" · {}", reading.limit(&limit)));
    }
    if let Some(what) = report.waiting() {
        line.push_str(&format!(" · {what}"));
    }
    line.push_str(&format!(" · {}", clock(report.elapsed())));
    line
}

/// Minutes and seconds.
pub(super) fn clock(elapsed: Duration) -> String {
    let seconds = elapsed.as_secs();
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::source::WebPlan;

    #[test]
    fn what_is_read_has_its_own_words() {
        let plan = |paths: &[&str]| crate::Plan::from_env().with_sources(paths.iter().map(PathBuf::from));
        let files = plan(&["/docs"]).map(|plan| plan.sources).unwrap_or_default();
        let site = || SourcePlan::Web(WebPlan::new(Vec::new(), 1));
        let label = |sources: &[SourcePlan]| (Reading::of(sources).one, Reading::of(sources).label(Stage::Read));
        assert_eq!(label(&files), ("file", "reading files"));
        assert_eq!(label(&[site(), site()]), ("page", "fetching pages"));
        assert_eq!(label(&[files, vec![site()]].concat()), ("document", "reading"));
        assert_eq!(label(&[]), ("document", "reading"));
    }
}
