//! `ingest`: runs a pipeline, shows how it goes, and sums up.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::bail;
use tokio_util::sync::CancellationToken;

use super::args::{Common, IngestArgs, Invalid};
use super::exit;
use super::output::{Output, counted, grouped};
use super::progress::{Lines, Progress, Reading, downloads};
use super::signals::unless_stopped;
use super::spent::{self, UnfinishedRun};
use super::style::harmless;
use super::telemetry::Telemetry;
use crate::ingest::Options;
use crate::ingest::limit::{Cause, Limit};
use crate::ingest::report::{ChangeOfModel, IngestSummary, Outcome, Report, Stage};
use crate::ingest::whatif::Doubled;
use crate::ingest::wire::Line;
use crate::limits::Known;
use crate::parse::{Guess, guess};
use crate::pipeline::{full_width_comma, instead_of_bucket, is_database};
use crate::runtime::Runtime;
use crate::source::SkipReason;
use crate::source::readable::readable;

pub(super) async fn run(
    args: IngestArgs,
    common: &Common,
    output: &Output,
    telemetry: &Telemetry,
    stop: CancellationToken,
) -> anyhow::Result<u8> {
    let written = (args.clone(), common.clone());
    match unless_stopped(&stop, move || runtime(&written.0, &written.1)).await? {
        Some(runtime) => run_on(runtime, &args, output, telemetry, stop).await,
        None => Ok(exit::INTERRUPTED),
    }
}

/// [`run`], of a pipeline that is known already.
pub(super) async fn run_on(
    runtime: Runtime,
    args: &IngestArgs,
    output: &Output,
    telemetry: &Telemetry,
    stop: CancellationToken,
) -> anyhow::Result<u8> {
    let _fetching = downloads(output, runtime.providers.downloads());
    let report = Arc::new(Report::default());
    let _watching = telemetry.watch({
        let (report, providers, name) = (Arc::clone(&report), Arc::clone(&runtime.providers), runtime.plan.name.clone());
        move || {
            let providers = providers.stats().into_iter().map(|(provider, stats)| (format!("{name}/{provider}"), stats));
            let mut readings = crate::limits::readings(&providers.collect::<Vec<_>>());
            readings.extend(report.readings());
            readings
        }
    });
    let reading = Reading::of(&runtime.plan.sources);
    let progress = Progress::start(output.clone(), Arc::clone(&report), reading);
    let lines = progress.lines();
    let options = options(args, output.clone(), lines);
    let told = tell_when_interrupted(&stop, output, &progress);
    let summary = runtime.ingest(options, Arc::clone(&report), stop).await;
    drop(told);
    progress.finish();
    let summary = summary.map_err(|error| UnfinishedRun::new(error, &report))?;
    if output.json {
        output.event(&summary);
    } else {
        show(&summary, reading, output);
    }
    Ok(ended(&summary))
}

/// A run of fewer seconds is fast enough, whatever limits it.
const WORTH_TELLING: f64 = 2.0;

/// What makes a run this many times as fast is worth a word.
const WORTH_RAISING: f64 = 1.15;

/// What limits a run, what would raise that, and what it would bring.
fn verdict(limit: &Limit, doubled: Doubled, reading: Reading) -> String {
    let (remedy, twice) = match limit.cause {
        Cause::Quota => match limit.quota {
            Some(Known::Assumed) => ("no limits of the provider are known; declare its `limits`", ("", None)),
            Some(Known::Learned) => (
                "it is what refusals have taught; another key or a higher tier, or declare `limits` if more is allowed",
                ("twice the quota", doubled.quota),
            ),
            Some(Known::Told) | None => ("another key or a higher tier", ("twice the quota", doubled.quota)),
        },
        Cause::Places if doubled.concurrency.is_some() => {
            ("a higher `limits: { concurrency }`", ("twice as many", doubled.concurrency))
        }
        Cause::Places => ("as many as the provider takes well: another provider, or fuller batches", ("", None)),
        Cause::Retries => ("the provider fails or refuses (-v tells how)", ("", None)),
        Cause::Latency => ("too little is left to send while answers are on their way", ("", None)),
        Cause::Embedding if limit.stage == Some(Stage::Context) => ("a smaller model, or a faster server", ("", None)),
        Cause::Embedding => ("a smaller model, or one behind an API", ("twice the cores", doubled.cores)),
        Cause::Cores | Cause::Parsing | Cause::Chunking => ("more cores", ("twice as many", doubled.cores)),
        Cause::Listing | Cause::Reading => ("the source gives no more", ("", None)),
        Cause::Storing | Cause::Recording => ("a faster disk or store", ("", None)),
        Cause::Opening => ("the model, the store and the ledger are opened, once a run", ("", None)),
        Cause::Closing => ("what is gone is removed, and the store is brought to the disk", ("", None)),
    };
    let mut text = reading.limit(limit);
    // What would bring next to nothing is no advice.
    if twice.1.is_some_and(|times| times < WORTH_RAISING) {
        return text;
    }
    if !remedy.is_empty() {
        text.push_str(&format!(": {remedy}"));
    }
    if let (what, Some(times)) = twice {
        // What cores share (memory, a disk, the store's one writer) is not predicted.
        let is_of_cores = matches!(limit.cause, Cause::Embedding | Cause::Cores | Cause::Parsing | Cause::Chunking);
        let at_most = if is_of_cores { "up to " } else { "" };
        text.push_str(&format!(" ({what}: {at_most}{times:.1} × as fast)"));
    }
    text
}

/// The exit code that the contract gives a run.
pub(super) fn ended(summary: &IngestSummary) -> u8 {
    match summary.outcome {
        Outcome::Interrupted => exit::INTERRUPTED,
        Outcome::Complete if summary.documents.failed > 0 || summary.kept_although_gone > 0 => exit::SOME_FAILED,
        Outcome::Complete => exit::OK,
    }
}

/// The pipeline that `ingest` and `plan` are about.
pub(super) fn runtime(args: &IngestArgs, common: &Common) -> anyhow::Result<Runtime> {
    args.pipeline.runtime(common, |plan| {
        if !args.paths.is_empty() {
            let paths = args.paths.iter().map(|path| source(path)).collect::<anyhow::Result<Vec<_>>>()?;
            *plan = plan.clone().with_sources(paths).map_err(Invalid::from)?;
        }
        if plan.sources.is_empty() {
            bail!("nothing to ingest: name a folder or files (`ingest ./docs`), or a pipeline with sources (`-p NAME`)");
        }
        Ok(())
    })
}

/// What the run is told, and where failures are shown.
pub(super) fn options(args: &IngestArgs, output: Output, lines: Lines) -> Options {
    Options {
        prune: args.prune,
        rebuild: args.rebuild,
        checksum: args.checksum,
        // Without a file the index is the sum of what was ever ingested into it; a file says what it is to be.
        scoped: !args.paths.is_empty() || args.pipeline.pipeline.is_none(),
        listener: Arc::new({
            let (output, lines) = (output.clone(), lines.clone());
            move |source, message| {
                if output.json {
                    output.event(&Line::Notice { source, message });
                } else {
                    lines.above(&output, &harmless(&readable(message)));
                }
            }
        }),
        skips: Arc::new({
            let (output, lines) = (output.clone(), lines.clone());
            move |uri, reason| match (output.verbose(), output.json) {
                (false, _) => {}
                (true, true) => output.event(&Line::Skipped { uri, reason }),
                (true, false) => lines.above(&output, &skipped_line(uri, Some(reason))),
            }
        }),
        observer: Arc::new(move |failure| {
            if output.json {
                output.event(&Line::from(failure));
            } else {
                lines.above(&output, &failed_line(&failure.uri, failure.stage.name(), &failure.error, &output));
            }
        }),
    }
}

/// A path from the command line: absolute, and there (unless it is a glob). An address of a site is left as it is.
pub(super) fn source(path: &str) -> anyhow::Result<PathBuf> {
    if path.starts_with("http://") || path.starts_with("https://") || is_database(path) {
        return Ok(path.into());
    }
    if path.trim().is_empty() {
        bail!("an empty path names nothing: `.` is this folder");
    }
    let absolute = std::path::absolute(path)?;
    if !path.contains(['*', '?', '[', '{']) && !Path::new(path).exists() {
        if let Some(instead) = instead_of_bucket(path) {
            bail!("{path}: a bucket is no source by itself; {instead}");
        }
        if path.contains("://") {
            bail!("{path}: no such kind of source; a site begins with http:// or https://");
        }
        if is_like_a_host(path) {
            bail!("{path}: no such file or folder; if a site is meant, it is https://{path}");
        }
        if let Some(hint) = full_width_comma(path, "a space") {
            bail!("{path}: no such file or folder; {hint}");
        }
        bail!("{path}: no such file or folder");
    }
    Ok(absolute)
}

/// Whether somebody may have meant a site: `www.example.org`, `example.org/docs`. Programs end with `.com`, too, and notes with `.org`.
fn is_like_a_host(path: &str) -> bool {
    let (host, below) = path.split_once('/').map_or((path, false), |(host, _)| (host, true));
    let labels: Vec<&str> = host.split('.').collect();
    let well_formed = labels.iter().all(|label| !label.is_empty() && label.chars().all(|c| c.is_alphanumeric() || c == '-'));
    well_formed
        && (labels.len() > 2 || (below && labels.len() == 2))
        && (matches!(guess(host), Guess::Unknown) || labels.last().is_some_and(|last| ["com", "org"].contains(last)))
}

/// What a person is told of a document that failed.
pub(super) fn failed_line(uri: &str, stage: &str, error: &str, output: &Output) -> String {
    format!("{} {}", output.paint("failed", "31"), failure(uri, stage, error))
}

fn failure(uri: &str, stage: &str, error: &str) -> String {
    of_one_line(&format!("{uri}: {error} (at {stage})"))
}

/// What a person is told of an item that is passed over, who asks for it by `-v`.
pub(super) fn skipped_line(uri: &str, reason: Option<SkipReason>) -> String {
    let why = reason.map(|reason| format!(": {}", reason.said())).unwrap_or_default();
    format!("skipped {}", of_one_line(&format!("{uri}{why}")))
}

/// The name of a file may hold a line break, and one document is one line.
fn of_one_line(text: &str) -> String {
    harmless(&readable(&text.replace(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}'], " "))).into_owned()
}

/// Says once that Ctrl-C was heard.
pub(super) fn tell_when_interrupted(
    stop: &CancellationToken,
    output: &Output,
    progress: &Progress,
) -> tokio_util::task::AbortOnDropHandle<()> {
    let (stop, output, lines) = (stop.clone(), output.clone(), progress.lines());
    tokio_util::task::AbortOnDropHandle::new(tokio::spawn(async move {
        stop.cancelled().await;
        lines.above(&output, "finishing what is in flight; Ctrl-C again ends at once");
    }))
}

/// The summary that a person reads, on stderr: stdout stays for results.
pub(super) fn show(summary: &IngestSummary, reading: Reading, output: &Output) {
    let IngestSummary { documents, chunks, embeddings, .. } = summary;
    let mut parts = Vec::new();
    for (count, what) in [
        (documents.added, "added"),
        (documents.changed, "changed"),
        (documents.removed, "removed"),
        (documents.unchanged, "unchanged"),
        (documents.failed, "failed"),
    ] {
        if count > 0 {
            parts.push(format!("{} {what}", grouped(count)));
        }
    }
    let what = if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) };
    let mark = match summary.outcome {
        Outcome::Interrupted => output.paint("interrupted", "33"),
        Outcome::Complete if documents.failed > 0 => output.paint("finished", "33"),
        Outcome::Complete => output.paint("done", "32"),
    };
    // Who does not list the sources, as one of several workers does not, has what it was given.
    let seen = documents.seen.max(documents.added + documents.changed + documents.unchanged + documents.failed);
    output.note(&format!("{mark} {}{what} in {:.1} s", counted(seen, "document"), summary.seconds));
    if chunks.upserted + chunks.deleted > 0 {
        let mut line = format!("  {} written", counted(chunks.upserted, "chunk"));
        for (count, what) in [(chunks.kept, "kept"), (chunks.deleted, "deleted")] {
            if count > 0 {
                line.push_str(&format!(", {} {what}", grouped(count)));
            }
        }
        output.note(&line);
    }
    if let Some(contexts) = summary.contexts.filter(|contexts| contexts.written + contexts.cache_hits + contexts.requests > 0) {
        output.note(&format!("  {}", spent::situated(&contexts)));
    }
    if embeddings.embedded + embeddings.cache_hits > 0 {
        output.note(&format!("  {}", spent::embedded(embeddings)));
    }
    if let Some(change) = &summary.change {
        output.note(&format!("  {}", changed(change)));
    }
    if !summary.skipped.is_empty() {
        let mut skipped: Vec<_> = summary.skipped.iter().map(|(reason, n)| (kind(*reason), n)).collect();
        skipped.sort_unstable();
        let skipped: Vec<String> = skipped.into_iter().map(|(kind, n)| format!("{} {kind}", grouped(*n))).collect();
        // Each was named already to who asks for it.
        let more = if output.verbose() { "" } else { " (-v names them)" };
        output.note(&format!("  skipped: {}{more}", skipped.join(", ")));
    }
    if summary.unread_pages > 0 {
        let (pages, needs) = (counted(summary.unread_pages, "page"), if summary.unread_pages == 1 { "needs" } else { "need" });
        output.note(&format!(
            "  {pages} {needs} OCR: pictures without text (`parse: {{ ocr: {{}} }}` in a pipeline file reads them)"
        ));
    }
    if summary.kept_although_gone > 0 {
        let kept = kept(summary.kept_although_gone, summary.other_home.as_deref());
        output.note(&format!("{} {kept}. If that is meant, run again with --prune.", output.paint("warning:", "1;33")));
    }
    if documents.failed > 0 {
        output.note("  the next run tries failed documents again");
    }
    if summary.outcome == Outcome::Interrupted {
        output.note("  run the same command again to go on");
    }
    if let Some(limit) = summary.limit.filter(|_| summary.seconds >= WORTH_TELLING) {
        output.note(&format!("  limited by {}", verdict(&limit, summary.doubled.unwrap_or_default(), reading)));
    }
}

/// Why documents that seem gone are kept.
pub(super) fn kept(gone: u64, other_home: Option<&str>) -> String {
    let (documents, are) = (counted(gone, "document"), if gone == 1 { "is" } else { "are" });
    match other_home {
        Some(home) => {
            format!(
                "{documents} in the index {are} gone from the source, and may be another home's, which wrote there last ({home}): kept"
            )
        }
        None => format!(
            "{documents} in the index {are} gone from the source. More than half of what the index had is not found again under another \
             name, as where a source is away, or where files were renamed and changed at once: kept, and still found"
        ),
    }
}

/// How far a change of the index's model is, and what would complete it.
pub(super) fn changed(ChangeOfModel { from, to, complete, waiting, unlisted, failed }: &ChangeOfModel) -> String {
    if *complete {
        return format!("from now on the vectors of {to} answer; those of {from} are removed");
    }
    if *unlisted > 0 {
        let what = counted(*unlisted, "document");
        return format!(
            "the vectors of {from} answer until those of {to} are complete: {what} still to come, whose source is gone or no longer \
             named. Bring it back and `ingest`, or do without: take its folder out of `sources`, or `ingest --rebuild`"
        );
    }
    let missing = match (*waiting, *failed) {
        (0, failed) => format!("{} failed; `ingest --prune` does without", counted(failed, "document")),
        (waiting, 0) => format!("{} still to come; `ingest` of all sources goes on", counted(waiting, "document")),
        (waiting, failed) => format!("{} still to come, {failed} failed; `ingest` goes on", counted(waiting, "document")),
    };
    format!("the vectors of {from} answer until those of {to} are complete: {missing}")
}

/// What a number of items that were passed over is called: "3 *too large*".
fn kind(reason: SkipReason) -> &'static str {
    match reason {
        SkipReason::Hidden => "hidden",
        SkipReason::Excluded => "excluded",
        SkipReason::Empty => "empty",
        SkipReason::TooLarge => "too large",
        SkipReason::Binary => "binary",
        SkipReason::UnsupportedFormat => "of formats that are not read",
        SkipReason::SymbolicLink => "symbolic links",
        SkipReason::Special => "special files",
        SkipReason::Gitignored => "ignored by .gitignore",
        SkipReason::Ignored => "ignored by .ignore or git's own lists",
        SkipReason::Own => "of ragstream's own",
        SkipReason::Robots => "forbidden by robots.txt",
        SkipReason::NoIndex => "that ask not to be indexed",
        SkipReason::JavaScript => "that need a browser (empty without scripts)",
        SkipReason::Duplicate => "equal to another page",
        SkipReason::Generated => "made by the generator of all others (indexes, print, search)",
        SkipReason::SoftNotFound => "that say \"not found\"",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::Plan;

    #[test]
    fn where_no_limits_are_known_a_run_is_not_told_to_buy_more() {
        let reading = Reading::of(&Plan::from_env().sources);
        let told = |quota| {
            let limit = Limit { cause: Cause::Quota, share: 0.84, stage: Some(Stage::Embed), quota };
            verdict(&limit, Doubled { quota: Some(1.9), ..Doubled::default() }, reading)
        };
        let assumed = "a careful start 84 %: no limits of the provider are known; declare its `limits`";
        assert_eq!(told(Some(Known::Assumed)), assumed);
        assert!(told(Some(Known::Learned)).starts_with("a learned quota 84 %: it is what refusals have taught; another key"));
        let quota = "quota 84 %: another key or a higher tier (twice the quota: 1.9 × as fast)";
        assert_eq!((told(Some(Known::Told)).as_str(), told(None).as_str()), (quota, quota));
    }

    #[test]
    fn a_failure_is_one_line_whatever_the_file_is_called() {
        let line = failure("文档/a\nb\r.md", "parse", "no text\u{2028}in it");
        assert_eq!(line, "文档/a b .md: no text in it (at parse)");
    }

    #[test]
    fn an_address_without_its_scheme_is_told_from_a_file() {
        for (path, is) in [
            ("docs.example.org", true),
            ("example.com/docs", true),
            ("例子.中国/文档", true),
            ("docs/guide", false),
            ("guide.md", false),
            ("report.v2.pdf", false),
            ("../docs", false),
            ("archive.tar.gz", false),
        ] {
            assert_eq!(is_like_a_host(path), is, "{path}");
        }
    }
}
