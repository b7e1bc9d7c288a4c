//! `ingest --watch`: goes on after the first run, and says what changes.

mod told;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Zoned;
use jiff::civil::Date;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use self::told::Told;
use super::args::{Common, IngestArgs, WatchArgs};
use super::exit;
use super::ingest::{changed as changed_model, failed_line, kept as why_kept, options, runtime, show};
use super::output::{Output, counted, grouped};
use super::progress::{Lines, Progress, Reading, downloads};
use super::style::harmless;
use crate::error::{Error, reason};
use crate::ingest::Options;
use crate::ingest::ledger::FailedDocument;
use crate::ingest::report::{IngestSummary, Outcome, Report};
use crate::ingest::wire::Line;
use crate::runtime::{WatchEvent, WatchOptions};
use crate::source::readable::readable;

pub(super) async fn run(
    args: IngestArgs,
    watch: WatchArgs,
    common: &Common,
    output: &Output,
    stop: CancellationToken,
) -> anyhow::Result<u8> {
    let runtime = runtime(&args, common)?;
    let _fetching = downloads(output, runtime.providers.downloads());
    let report = Arc::new(Report::default());
    let screen = Arc::new(Screen::new(output.clone(), Reading::of(&runtime.plan.sources)));
    let (observer, failures) = (Arc::clone(&screen), Arc::clone(&screen));
    let said = Arc::clone(&screen);
    let ingest = Options {
        observer: Arc::new(move |failure| failures.failed(failure)),
        listener: Arc::new(move |source, message| said.notice(source.as_str(), message)),
        // They are the same in each run.
        skips: Arc::new(|_, _| {}),
        ..options(&args, output.clone(), Lines::nowhere())
    };
    let observer = Arc::new(move |event| observer.show(event));
    let watch_options = WatchOptions { every: watch.every, ingest, observer, ..WatchOptions::default() };
    let (stopped, told) = (stop.clone(), Arc::clone(&screen));
    let _told = AbortOnDropHandle::new(tokio::spawn(async move {
        stopped.cancelled().await;
        told.interrupted();
    }));
    let outcome = runtime.watch(watch_options, report, stop).await;
    screen.end();
    Ok(match outcome? {
        Outcome::Complete => exit::OK,
        Outcome::Interrupted => exit::INTERRUPTED,
    })
}

/// What a person sees of a watch, or a program reads.
struct Screen {
    output: Output,
    state: Mutex<State>,
}

struct State {
    reading: Reading,
    /// The run that goes on.
    progress: Option<Progress>,
    lines: Lines,
    told: Told,
    /// Whether the first run is done.
    watching: bool,
    /// The day of the last line.
    day: Date,
    /// Documents that are gone and kept, as it was said last.
    kept: u64,
    notices: BTreeSet<(String, String)>,
}

impl Screen {
    fn new(output: Output, reading: Reading) -> Self {
        let state = State {
            reading,
            progress: None,
            lines: Lines::nowhere(),
            told: Told::default(),
            watching: false,
            day: Zoned::now().date(),
            kept: 0,
            notices: BTreeSet::new(),
        };
        Self { output, state: Mutex::new(state) }
    }

    fn with(&self, work: impl FnOnce(&mut State, &Output)) {
        work(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner), &self.output);
    }

    fn show(&self, event: WatchEvent) {
        self.with(|state, output| match event {
            WatchEvent::Begins(report) => {
                let progress = Progress::start(output.clone(), report, state.reading);
                state.lines = progress.lines();
                state.progress = Some(progress);
            }
            WatchEvent::Ran { summary, document, whole } => {
                state.finish();
                state.ran(&summary, document.as_deref(), !whole.is_empty(), output);
                let more = state.told.ended(&whole, document.as_deref());
                if more > 0 && !output.json {
                    state.complain(&format!("… and {} more failed (`ragstream status` lists them)", grouped(more)), output);
                }
            }
            WatchEvent::Watching { folders: watched, documents, without_events } => {
                state.watching = true;
                if output.json {
                    let mut event = json!({"type": "watching", "folders": watched, "documents": documents});
                    if let (Some(event), Some(why)) = (event.as_object_mut(), &without_events) {
                        event.insert("without_events".into(), why.as_str().into());
                    }
                    output.event(&event);
                } else {
                    let (folders, documents) = (counted(watched as u64, "folder"), counted(documents, "document"));
                    let what =
                        if watched == 0 || without_events.is_some() { documents } else { format!("{folders}, {documents}") };
                    output.note(&format!("watching {what} (Ctrl-C ends)"));
                }
                if let Some(why) = without_events {
                    state.without_events(&why, output);
                }
            }
            WatchEvent::WithoutEvents(why) => state.without_events(&why, output),
            WatchEvent::Busy(error) => {
                state.finish();
                state.note(&format!("waiting: {}", reason(&error)), output);
            }
            WatchEvent::Failed { error, pause } => {
                state.finish();
                state.run_failed(&error, pause.as_secs(), output);
            }
        });
    }

    /// Of each document once, until its error is another one.
    fn failed(&self, failure: &FailedDocument) {
        self.with(|state, output| {
            if !state.told.is_news(failure) {
                return;
            }
            if output.json {
                return output.event(&Line::from(failure));
            }
            state.complain(&failed_line(&failure.uri, failure.stage.name(), &failure.error, output), output);
        });
    }

    /// Of each message once.
    fn notice(&self, source: &str, message: &str) {
        /// Messages that are remembered.
        const MOST: usize = 1000;
        self.with(|state, output| {
            if state.notices.len() >= MOST || !state.notices.insert((source.to_owned(), message.to_owned())) {
                return;
            }
            if output.json {
                output.event(&json!({"type": "notice", "source": source, "message": message}));
            } else {
                state.note(&harmless(&readable(message)), output);
            }
        });
    }

    /// Says that Ctrl-C was heard, where it does not end the program at once.
    fn interrupted(&self) {
        self.with(|state, output| {
            if state.progress.is_some() {
                state.lines.above(output, "finishing what is in flight; Ctrl-C again ends at once");
            }
        });
    }

    fn end(&self) {
        self.with(|state, _| state.finish());
    }
}

impl State {
    fn finish(&mut self) {
        if let Some(progress) = self.progress.take() {
            progress.finish();
        }
        self.lines = Lines::nowhere();
    }

    /// A line with the time, after one with the day where that is a new one.
    fn timed(&mut self, text: &str) -> String {
        let now = Zoned::now();
        let line = format!("{} {text}", now.strftime("%H:%M:%S"));
        let day = now.date();
        if std::mem::replace(&mut self.day, day) == day { line } else { format!("{day}\n{line}") }
    }

    fn note(&mut self, text: &str, output: &Output) {
        let line = self.timed(text);
        self.lines.above(output, &line);
    }

    /// What is wrong is said even where only that is wanted.
    fn complain(&mut self, text: &str, output: &Output) {
        let line = self.timed(text);
        self.lines.complain_above(output, &line);
    }

    fn without_events(&mut self, why: &str, output: &Output) {
        self.note(&format!("{why}: all files are compared every few seconds instead"), output);
    }

    fn run_failed(&mut self, error: &Error, pause: u64, output: &Output) {
        if self.told.is_news_of_runs(error) {
            let why = reason(error);
            self.complain(&format!("{} {why} (again in {pause} s, and so on)", output.paint("failed", "31")), output);
        }
    }

    fn ran(&mut self, summary: &IngestSummary, document: Option<&str>, whole: bool, output: &Output) {
        let recovered = self.told.recovered();
        let kept = self.kept;
        // A run over what has changed alone says nothing of the others.
        if whole || summary.kept_although_gone > kept {
            self.kept = summary.kept_although_gone;
        }
        let documents = &summary.documents;
        let changed = documents.added + documents.changed + documents.removed > 0;
        let first = !self.watching;
        if output.json {
            if first || changed || summary.kept_although_gone > kept {
                output.event(summary);
            }
        } else if first {
            show(summary, self.reading, output);
        } else {
            if changed {
                self.note(&line(summary, document), output);
            } else if recovered {
                self.note("all is well again", output);
            }
            if let Some(change) = summary.change.as_ref().filter(|change| change.complete) {
                self.note(&changed_model(change), output);
            }
            if summary.kept_although_gone > kept {
                let told = why_kept(summary.kept_although_gone, summary.other_home.as_deref());
                let text = format!("{} {told}. If that is meant: ingest --prune", output.paint("warning:", "1;33"));
                self.note(&text, output);
            }
        }
    }
}

/// What a run has changed.
fn line(summary: &IngestSummary, document: Option<&str>) -> String {
    let IngestSummary { documents, chunks, embeddings, seconds, .. } = summary;
    let kinds = [(documents.added, "added"), (documents.changed, "changed"), (documents.removed, "removed")];
    let mut done = kinds.into_iter().filter(|(count, _)| *count > 0);
    if let Some(document) = document {
        let (_, what) = done.next_back().unwrap_or_default();
        let chunks = [(chunks.upserted, "written"), (chunks.deleted, "deleted")].into_iter().filter(|(count, _)| *count > 0);
        let chunks: Vec<String> = chunks
            .enumerate()
            .map(
                |(n, (count, what))| {
                    if n == 0 { format!("{} {what}", counted(count, "chunk")) } else { format!("{} {what}", grouped(count)) }
                },
            )
            .collect();
        let chunks = if chunks.is_empty() { "no chunk is another".to_owned() } else { chunks.join(", ") };
        return format!("{document} {what}: {chunks} in {seconds:.1} s");
    }
    let count = documents.added + documents.changed + documents.removed;
    let done: Vec<String> = done.map(|(count, what)| format!("{} {what}", grouped(count))).collect();
    let mut line = format!("{} ({}) in {seconds:.1} s", counted(count, "document"), done.join(", "));
    if embeddings.embedded > 0 {
        line.push_str(&format!(", {} embedded", counted(embeddings.embedded, "text")));
    }
    line
}
