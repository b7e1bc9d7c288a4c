//! `search`: shows found passages, for one query or a file of them.

mod excerpt;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failed test panics")]
mod tests;

use std::io::{self, Write};
use std::pin::pin;

use futures_util::StreamExt;
use tokio::io::AsyncBufRead;
use tokio_util::sync::CancellationToken;

use self::excerpt::excerpt;
use super::args::{Common, SearchArgs};
use super::exit;
use super::jsonl::json_lines;
use super::models::open;
use super::output::Output;
use super::progress::downloads;
use super::show::{nearly_the_same, place, shown_place};
use super::style::{Paint, Style, json_line, one_line, reader_left, trimmed, unwritten};
use crate::answer::link;
use crate::answer::source::heading_path;
use crate::answer::wire::{Failed, Line};
use crate::answer::{DedupedHit, Duplicates, Found, Question};
use crate::error::Error;
use crate::eval::set::QueryLine;

/// Lines of a passage that a person is shown.
const LINES_SHOWN: usize = 6;
/// Queries in flight: enough to hide a provider's latency, few enough for its limits.
const CONCURRENCY: usize = 8;

/// How a search ended.
#[derive(Debug, Default)]
struct Searched {
    /// Hits shown.
    hits: u64,
    /// Queries that could not be read or failed.
    failed: u64,
    /// The failure that stopped it. In JSON this has been said; for a person it is left to the caller.
    fatal: Option<Error>,
    /// The reader of the output has gone.
    reader_left: bool,
}

impl Searched {
    /// The exit code that the contract gives it.
    fn exit_code(&self) -> u8 {
        match self {
            Self { fatal: Some(_), .. } => exit::FAILED,
            Self { reader_left: true, .. } => exit::OK,
            Self { hits: 0, .. } => exit::SOME_FAILED,
            Self { failed, .. } => {
                if *failed > 0 {
                    exit::SOME_FAILED
                } else {
                    exit::OK
                }
            }
        }
    }
}

/// Shows the passages that fit a query, or each query of a file.
pub(super) async fn run(args: SearchArgs, common: &Common, output: &Output, stop: CancellationToken) -> anyhow::Result<u8> {
    let (runtime, others) = args.pipelines.runtimes(common)?;
    let how = Question {
        limit: args.limit,
        filter: args.filter.parse()?,
        duplicates: args.copies.then_some(Duplicates::Keep),
        ..Question::default()
    };
    let _fetching = downloads(output, runtime.providers.downloads());
    let style = Style { base: Some(runtime.settings.cwd.clone()), ..output.style() };
    let mut out = io::BufWriter::new(io::stdout());
    let searching = async {
        let answerer = open(&runtime, &others).await?;
        let find = async |text: String| answerer.retrieve(&Question { text, ..how.clone() }).await;
        let searched = match &args.queries {
            Some(path) => {
                let file = tokio::fs::File::open(path).await.map_err(|source| Error::io("open", path.clone(), source))?;
                let file = tokio::io::BufReader::new(file);
                search_file(find, file, &mut out, &mut io::stderr(), &style).await
            }
            None => search(find, args.query.unwrap_or_default(), &mut out, &style).await,
        };
        searched.map_err(|source| match &args.queries {
            Some(path) => Error::io("search with", path.clone(), source).into(),
            None => anyhow::Error::new(source),
        })
    };
    let searched = tokio::select! {
        searched = searching => searched?,
        () = stop.cancelled() => return Ok(exit::INTERRUPTED),
    };
    // What became of the output is noticed here at the latest; a reader that has gone is no error.
    if let Err(error) = out.flush().or_else(|error| if reader_left(&error) { Ok(()) } else { Err(error) }) {
        return Err(unwritten(error).into());
    }
    let code = searched.exit_code();
    if let Some(error) = searched.fatal {
        output.error(&error.into());
    }
    Ok(code)
}

/// Searches for one query with `find` and shows what was found.
///
/// # Errors
/// When `out` cannot be written, except that its reader has gone.
async fn search(
    find: impl AsyncFn(String) -> Result<Found, Error>,
    query: String,
    out: &mut impl Write,
    style: &Style,
) -> io::Result<Searched> {
    let mut searched = Searched::default();
    let shown = match find(query.clone()).await {
        Ok(found) => {
            searched.hits = found.hits.len() as u64;
            show(&found, &query, None, out, style)
        }
        Err(error) => {
            let shown = if style.json { json_line(out, &Line::from(&error)) } else { Ok(()) };
            searched.fatal = Some(error);
            shown
        }
    };
    settle(searched, shown)
}

/// Searches for each query of a file with `find`, several at a time, and shows what was found in the order of the file. A line that is no query,
/// or a query that fails, is reported with its line or id (on `out` as a `failed` line in JSON, else on `log`), and the others go on;
/// what would fail them all stops the search.
///
/// # Errors
/// When the file cannot be read, or `out` or `log` be written, except that the reader of `out` has gone.
async fn search_file(
    find: impl AsyncFn(String) -> Result<Found, Error>,
    file: impl AsyncBufRead,
    out: &mut impl Write,
    log: &mut impl Write,
    style: &Style,
) -> io::Result<Searched> {
    let answers = json_lines::<QueryLine>(file).map(|line| async {
        let (number, line) = line?;
        Ok::<_, io::Error>(match line {
            Ok(QueryLine { id, text, .. }) => {
                let found = find(text.clone()).await;
                Ok((id, found.map(|found| (found, text))))
            }
            Err(message) => Err((number, message)),
        })
    });
    let mut answers = pin!(answers.buffered(CONCURRENCY));
    let mut searched = Searched::default();
    while let Some(answer) = answers.next().await {
        let shown = match answer? {
            Ok((id, Ok((found, text)))) => {
                searched.hits += found.hits.len() as u64;
                show(&found, &text, Some(&id), out, style)
            }
            Ok((_, Err(error))) if error.stops_all() => {
                let shown = if style.json { json_line(out, &Line::from(&error)) } else { Ok(()) };
                searched.fatal = Some(error);
                return settle(searched, shown);
            }
            Ok((id, Err(error))) => {
                searched.failed += 1;
                let error = error.to_string().into();
                report(Failed { query_id: Some(&id), error, ..Failed::default() }, out, log, style)
            }
            Err((line, message)) => {
                searched.failed += 1;
                report(Failed { line: Some(line), error: message.into(), ..Failed::default() }, out, log, style)
            }
        };
        if shown.is_err() {
            return settle(searched, shown);
        }
    }
    Ok(searched)
}

fn settle(searched: Searched, shown: io::Result<()>) -> io::Result<Searched> {
    match shown {
        Err(error) if reader_left(&error) => Ok(Searched { reader_left: true, ..searched }),
        shown => shown.map(|()| searched).map_err(unwritten),
    }
}

fn report(failed: Failed<'_>, out: &mut impl Write, log: &mut impl Write, style: &Style) -> io::Result<()> {
    if style.json {
        return json_line(out, &Line::Failed(failed));
    }
    let what = match (failed.query_id, failed.line) {
        (Some(id), _) => format!("query {}", one_line(id)),
        (None, Some(line)) => format!("line {line}"),
        (None, None) => "query".into(),
    };
    writeln!(log, "error: {what}: {}", one_line(&failed.error))
}

/// Shows hits, best first; each is labelled with the query's id where there are several queries.
fn show(found: &Found, query: &str, query_id: Option<&str>, out: &mut impl Write, style: &Style) -> io::Result<()> {
    let Found { hits, note, .. } = found;
    // A person is told on stderr, and once.
    if let Some(message) = note.as_deref().filter(|_| style.json) {
        json_line(out, &Line::Note { message, query_id })?;
    }
    if !style.json
        && let Some(id) = query_id
    {
        writeln!(out, "{}", style.paint(Paint::Bold, &trimmed(&one_line(id), style.width)))?;
    }
    for (found, rank) in hits.iter().zip(1..) {
        if style.json {
            json_line(out, &Line::hit(found, rank, query_id))?;
        } else {
            show_hit(found, query, rank, out, style)?;
        }
    }
    if !style.json && hits.is_empty() && !style.quiet {
        writeln!(out, "Nothing was found.")?;
    }
    out.flush()
}

/// ```text
///  1  0.83  docs/keys.md:10-31  Keys > Rotate
///     The passage, a few lines of it that have words of the query,
///     each cut at the edge of the termin…
///     Nearly the same: docs/old/keys.md:8-29
/// ```
fn show_hit(found: &DedupedHit, query: &str, rank: usize, out: &mut impl Write, style: &Style) -> io::Result<()> {
    let hit = &found.hit;
    let passage = &hit.passage;
    let pipeline = hit.pipeline.as_ref().map(|pipeline| format!("{}: ", one_line(pipeline))).unwrap_or_default();
    let head = format!("{rank:>2}  {:.3}  {pipeline}", hit.score);
    let link = link::of(passage);
    let stands = shown_place(&passage.uri, passage.lines, link.as_deref(), style);
    let mut left = style.width.saturating_sub(head.len());
    let shown = trimmed(&stands, left);
    left = left.saturating_sub(unicode_width::UnicodeWidthStr::width(shown.as_str()) + 2);
    let path = trimmed(&one_line(&heading_path(passage.title.as_deref(), &passage.headings)), left);
    let gap = if path.is_empty() { "" } else { "  " };
    writeln!(
        out,
        "{}{}{gap}{}",
        style.paint(Paint::Bold, &head),
        style.link(&passage.uri, link.as_deref(), &shown),
        style.paint(Paint::Dim, &path)
    )?;

    let indent = "    ";
    let columns = style.width.saturating_sub(indent.len());
    let (lines, before, after) = excerpt(&passage.text, query, LINES_SHOWN);
    let left_out =
        |is: bool, out: &mut dyn Write| if is { writeln!(out, "{indent}{}", style.paint(Paint::Dim, "…")) } else { Ok(()) };
    left_out(before, &mut *out)?;
    for line in lines {
        writeln!(out, "{indent}{}", trimmed(line, columns))?;
    }
    left_out(after, &mut *out)?;
    let copies = found.copies.iter();
    let copies = copies.map(|copy| place(&copy.passage.uri, copy.passage.lines, link::of(&copy.passage).as_deref()));
    if let Some(line) = nearly_the_same(copies, style) {
        writeln!(out, "{line}")?;
    }
    writeln!(out)
}
