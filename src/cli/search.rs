//! Shows found passages, for one query or a file of them.

use std::io::{self, Write};
use std::pin::pin;

use futures_util::{Stream, StreamExt};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufRead, AsyncBufReadExt};
use tokio_util::sync::CancellationToken;

use super::args::{Common, SearchArgs};
use super::output::Output;
use super::progress::downloads;

use crate::answer::Duplicates;
use crate::answer::source::heading_path;
use crate::answer::{Found, Retriever};
use crate::cli::ask::{failure, place};
use crate::cli::style::{Look, Style, json_line, one_line, reader_left, trimmed};
use crate::document::Hit;
use crate::error::Error;

/// Bytes of a line in a file of queries; more than any question that can be asked takes.
const MAX_LINE_BYTES: usize = 256 * 1024;
/// Lines of a passage that a person is shown.
const LINES_SHOWN: usize = 6;
/// Queries in flight: enough to hide a provider's latency, few enough for its limits.
const CONCURRENCY: usize = 8;

/// One line of a file of queries.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct QueryLine {
    /// What its hits are labelled with.
    #[serde(alias = "_id", deserialize_with = "text_or_number")]
    pub id: String,
    /// The query.
    pub text: String,
}

/// A line that is not a query.
#[derive(Debug, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct BadLine {
    /// Which line, from 1.
    pub line: u64,
    /// What is wrong with it.
    pub message: String,
}

/// How a search ended.
#[derive(Debug, Default)]
pub struct Searched {
    /// Hits shown.
    pub hits: u64,
    /// Queries that could not be read or failed.
    pub failed: u64,
    /// What stopped it. In JSON this has been said; for a person it is left to the caller.
    pub fatal: Option<Error>,
    /// The reader of the output has gone.
    pub reader_left: bool,
}

impl Searched {
    /// The exit code that the contract gives it.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self { fatal: Some(_), .. } => 2,
            Self { reader_left: true, .. } => 0,
            Self { hits: 0, .. } => 1,
            Self { failed, .. } => u8::from(*failed > 0),
        }
    }
}

/// Shows the passages that fit a query, or each query of a file.
pub(super) async fn run(args: SearchArgs, common: &Common, output: &Output, stop: CancellationToken) -> anyhow::Result<u8> {
    let runtime = args.pipeline.runtime(common, |plan| {
        if args.copies {
            plan.query.select.duplicates = Duplicates::Keep;
        }
        args.narrow.apply(plan)
    })?;
    let _fetching = downloads(output, runtime.providers.downloads());
    let style = Style { base: Some(runtime.settings.cwd.clone()), ..output.style() };
    let limit = args.limit.unwrap_or(runtime.plan.query.limit).get();
    let mut out = io::BufWriter::new(io::stdout());
    let searching = async {
        let retriever = runtime.retriever().await?;
        let searched = match &args.queries {
            Some(path) => {
                let file = tokio::fs::File::open(path).await.map_err(|source| Error::io("open", path.clone(), source))?;
                let file = tokio::io::BufReader::new(file);
                search_file(&retriever, file, limit, &mut out, &mut io::stderr(), &style).await
            }
            None => search(&retriever, args.query.as_deref().unwrap_or_default(), limit, &mut out, &style).await,
        };
        searched.map_err(|source| Error::io("search with", args.queries.clone().unwrap_or_default(), source))
    };
    let searched = tokio::select! {
        searched = searching => searched?,
        () = stop.cancelled() => return Ok(super::INTERRUPTED),
    };
    // A reader that has gone is noticed here at the latest, and is no error.
    let _ = out.flush();
    let code = searched.exit_code();
    if let Some(error) = searched.fatal {
        output.error(&error.into());
    }
    Ok(code)
}

/// Searches for one query and shows what was found.
///
/// # Errors
/// When `out` cannot be written, except that its reader has gone.
pub async fn search(
    retriever: &Retriever,
    query: &str,
    limit: usize,
    out: &mut impl Write,
    style: &Style,
) -> io::Result<Searched> {
    let mut searched = Searched::default();
    let shown = match retriever.find(query, limit).await {
        Ok(hits) => {
            searched.hits = hits.len() as u64;
            show(&hits, None, out, style)
        }
        Err(error) => {
            let shown = if style.json { json_line(out, &failure(&error)) } else { Ok(()) };
            searched.fatal = Some(error);
            shown
        }
    };
    settle(searched, shown)
}

/// Searches for each query of a file, several at a time, and shows what was found in the order of the file. A line that is no query,
/// or a query that fails, is reported with its line or id (on `out` as a `failed` line in JSON, else on `log`), and the others go on;
/// what would fail them all stops the search.
///
/// # Errors
/// When the file cannot be read, or `out` or `log` be written, except that the reader of `out` has gone.
pub async fn search_file(
    retriever: &Retriever,
    file: impl AsyncBufRead,
    limit: usize,
    out: &mut impl Write,
    log: &mut impl Write,
    style: &Style,
) -> io::Result<Searched> {
    let answers = queries(file).map(|line| async {
        Ok::<_, io::Error>(match line? {
            Ok(query) => {
                let found = retriever.find(&query.text, limit).await;
                Ok((query.id, found))
            }
            Err(bad) => Err(bad),
        })
    });
    let mut answers = pin!(answers.buffered(CONCURRENCY));
    let mut searched = Searched::default();
    while let Some(answer) = answers.next().await {
        let shown = match answer? {
            Ok((id, Ok(hits))) => {
                searched.hits += hits.len() as u64;
                show(&hits, Some(&id), out, style)
            }
            Ok((_, Err(error))) if error.stops_all() => {
                let shown = if style.json { json_line(out, &failure(&error)) } else { Ok(()) };
                searched.fatal = Some(error);
                return settle(searched, shown);
            }
            Ok((id, Err(error))) => {
                searched.failed += 1;
                let failed = Failed { r#type: "failed", query_id: Some(&id), line: None, error: error.to_string() };
                report(&failed, out, log, style)
            }
            Err(BadLine { line, message }) => {
                searched.failed += 1;
                let failed = Failed { r#type: "failed", query_id: None, line: Some(line), error: message };
                report(&failed, out, log, style)
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
        shown => shown.map(|()| searched),
    }
}

#[derive(Serialize)]
struct Failed<'a> {
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    query_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u64>,
    error: String,
}

fn report(failed: &Failed<'_>, out: &mut impl Write, log: &mut impl Write, style: &Style) -> io::Result<()> {
    if style.json {
        return json_line(out, failed);
    }
    let what = match (failed.query_id, failed.line) {
        (Some(id), _) => format!("query {}", one_line(id)),
        (None, Some(line)) => format!("line {line}"),
        (None, None) => "query".into(),
    };
    writeln!(log, "error: {what}: {}", one_line(&failed.error))
}

#[derive(Serialize)]
struct HitLine<'a> {
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    query_id: Option<&'a str>,
    rank: usize,
    score: f32,
    uri: &'a str,
    title: Option<&'a str>,
    headings: &'a [String],
    start: u64,
    end: u64,
    lines: (u32, u32),
    text: &'a str,
    /// Where passages lie that say nearly the same.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    copies: Vec<CopyLine<'a>>,
}

#[derive(Serialize)]
struct CopyLine<'a> {
    uri: &'a str,
    start: u64,
    end: u64,
    lines: (u32, u32),
}

impl<'a> From<&'a Hit> for CopyLine<'a> {
    fn from(hit: &'a Hit) -> Self {
        let passage = &hit.passage;
        Self { uri: &passage.uri, start: passage.start, end: passage.end, lines: passage.lines }
    }
}

/// Shows hits, best first; each is labelled with the query's id where there are several queries.
fn show(hits: &[Found], query_id: Option<&str>, out: &mut impl Write, style: &Style) -> io::Result<()> {
    if !style.json
        && let Some(id) = query_id
    {
        writeln!(out, "{}", style.paint(Look::Bold, &trimmed(&one_line(id), style.width)))?;
    }
    for (found, rank) in hits.iter().zip(1..) {
        let hit = &found.hit;
        let passage = &hit.passage;
        if style.json {
            let line = HitLine {
                r#type: "hit",
                query_id,
                rank,
                score: hit.score,
                uri: &passage.uri,
                title: passage.title.as_deref(),
                headings: &passage.headings,
                start: passage.start,
                end: passage.end,
                lines: passage.lines,
                text: &passage.text,
                copies: found.copies.iter().map(CopyLine::from).collect(),
            };
            json_line(out, &line)?;
        } else {
            show_hit(found, rank, out, style)?;
        }
    }
    if !style.json && hits.is_empty() && !style.quiet {
        writeln!(out, "Nothing was found.")?;
    }
    out.flush()
}

/// ```text
///  1  0.83  docs/keys.md:10-31  Keys > Rotate
///     The passage, a few lines of it,
///     each cut at the edge of the termin…
///     Nearly the same: docs/old/keys.md:8-29
/// ```
fn show_hit(found: &Found, rank: usize, out: &mut impl Write, style: &Style) -> io::Result<()> {
    let hit = &found.hit;
    let passage = &hit.passage;
    let head = format!("{rank:>2}  {:.3}  ", hit.score);
    let stands = place(&passage.uri, passage.lines);
    let mut left = style.width.saturating_sub(head.len());
    let shown = trimmed(&stands, left);
    left = left.saturating_sub(unicode_width::UnicodeWidthStr::width(shown.as_str()) + 2);
    let path = trimmed(&one_line(&heading_path(passage.title.as_deref(), &passage.headings)), left);
    let gap = if path.is_empty() { "" } else { "  " };
    writeln!(
        out,
        "{}{}{gap}{}",
        style.paint(Look::Bold, &head),
        style.link(&passage.uri, &shown),
        style.paint(Look::Dim, &path)
    )?;

    let indent = "    ";
    let columns = style.width.saturating_sub(indent.len());
    let mut lines = passage.text.lines().map(str::trim_end).filter(|line| !line.trim_start().is_empty());
    for line in lines.by_ref().take(LINES_SHOWN) {
        writeln!(out, "{indent}{}", trimmed(line, columns))?;
    }
    if lines.next().is_some() {
        writeln!(out, "{indent}{}", style.paint(Look::Dim, "…"))?;
    }
    if !found.copies.is_empty() {
        let places = found.copies.iter().map(|copy| place(&copy.passage.uri, copy.passage.lines));
        let told = format!("Nearly the same: {}", places.collect::<Vec<_>>().join(", "));
        writeln!(out, "{indent}{}", style.paint(Look::Dim, &trimmed(&told, columns)))?;
    }
    writeln!(out)
}

/// The queries of a file, a JSON object a line, read as they are asked for. Blank lines are skipped, keys other than `id` and `text`
/// ignored; what is wrong with a line does not end the stream, what is wrong with the file does.
pub fn queries(file: impl AsyncBufRead) -> impl Stream<Item = io::Result<Result<QueryLine, BadLine>>> {
    json_lines(file).map(|line| line.map(|(line, read)| read.map_err(|message| BadLine { line, message })))
}

/// The lines of a file that are not blank, each with its number, and read or what is wrong with it.
pub(super) fn json_lines<T: DeserializeOwned>(
    file: impl AsyncBufRead,
) -> impl Stream<Item = io::Result<(u64, Result<T, String>)>> {
    async_stream::try_stream! {
        let mut file = pin!(file);
        let mut number = 0_u64;
        let mut line = Vec::new();
        while let Some(whole) = next_line(&mut file, &mut line).await? {
            number += 1;
            // A byte order mark is no part of the first line.
            let text = line.strip_prefix(b"\xef\xbb\xbf").filter(|_| number == 1).unwrap_or(&line).trim_ascii();
            if !whole {
                yield (number, Err(format!("longer than {MAX_LINE_BYTES} bytes")));
            } else if !text.is_empty() {
                yield (number, serde_json::from_slice(text).map_err(|error| plain(&error)));
            }
        }
    }
}

/// What is wrong with a line, without serde's own "at line 1".
fn plain(error: &serde_json::Error) -> String {
    let said = error.to_string();
    let what = said.split(" at line ").next().unwrap_or(&said);
    format!("{what} at column {} (wanted {{\"id\": …, \"text\": …}})", error.column())
}

/// Reads the next line, without its end; of one that is too long only its beginning, and then says `false`. `None` at the end.
pub(super) async fn next_line(file: &mut (impl AsyncBufRead + Unpin), line: &mut Vec<u8>) -> io::Result<Option<bool>> {
    line.clear();
    let (mut any, mut whole) = (false, true);
    loop {
        let buffer = file.fill_buf().await?;
        if buffer.is_empty() {
            return Ok(any.then_some(whole));
        }
        any = true;
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let part = buffer.get(..end.unwrap_or(buffer.len())).unwrap_or(buffer);
        whole &= line.len() + part.len() <= MAX_LINE_BYTES;
        if whole {
            line.extend_from_slice(part);
        }
        let used = part.len() + usize::from(end.is_some());
        file.consume(used);
        if end.is_some() {
            return Ok(Some(whole));
        }
    }
}

/// Labelled sets number their queries as often as they name them.
pub(super) fn text_or_number<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "`id` must be a text or a number")]
    enum Id {
        Text(String),
        Number(serde_json::Number),
    }
    Ok(match Id::deserialize(deserializer)? {
        Id::Text(text) => text,
        Id::Number(number) => number.to_string(),
    })
}
