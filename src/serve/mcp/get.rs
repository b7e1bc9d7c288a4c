//! `get`: a document's text, or some lines of it.

use std::sync::Arc;

use rmcp::model::Tool;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::pages::{At, Item, Pages, TOKENS, lines_of};
use super::told::{Told, cut};
use super::tool;
use crate::answer::document::{Document, Part};
use crate::error::Error;
use crate::serve::api::documents::{id_of, uri_of};
use crate::serve::fault::Fault;
use crate::serve::pipelines::Served;
use crate::serve::scope::Scope;
use crate::serve::service::Service;

pub(super) const NAME: &str = "get";
const DESCRIPTION: &str = "Returns the text of an indexed document, or of some of its lines: to read on around a passage that `search` \
or `ask` has named, exactly as it stands, with path and lines. A long text comes in pages: each says how to ask for the next. Works for \
every kind of source (files, PDF, pages of sites, rows of tables): it is the text that was indexed, so line numbers are those of the \
extracted text where the document is not a text file itself.";

/// Tokens for what stands around all parts, besides the document's own name.
const FRAME: usize = 150;
/// Tokens by which the offsets and lines of a part may be longer than those that are measured.
const DIGITS: usize = 24;
/// Letters of a title.
const TITLE: usize = 200;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Arguments {
    /// The document, as `search` and `ask` name it: `docs/a.md`, or a passage's place: `docs/a.md:10-31`.
    #[serde(default)]
    uri: Option<String>,
    /// Its id in addresses of this service, in place of `uri`.
    #[serde(default)]
    id: Option<String>,
    /// The first line, from 1; none: from the beginning.
    #[serde(default)]
    #[schemars(range(min = 1))]
    first: Option<u32>,
    /// The last line, which is included; none: to the end.
    #[serde(default)]
    #[schemars(range(min = 1))]
    last: Option<u32>,
    /// Go on at this byte of the text, as the page before says.
    #[serde(default)]
    start: Option<u64>,
    /// Which index, where several are served and `search` says "in NAME"; none: the first that has it.
    #[serde(default)]
    pipeline: Option<String>,
    /// Tokens of the result, at most.
    #[serde(default = "tokens")]
    #[schemars(range(min = 500, max = 100_000))]
    max_tokens: u32,
}

fn tokens() -> u32 {
    TOKENS
}

/// The first line and the last.
type Lines = (u32, u32);

/// What of a document is wanted.
#[derive(Debug, Clone, Copy)]
struct Wanted {
    first: u32,
    last: u32,
    start: u64,
}

pub(super) fn tool() -> Tool {
    tool::tool::<Arguments>(NAME, "Read a document", DESCRIPTION)
}

pub(super) async fn call(service: &Service, arguments: Arguments) -> Result<Told, Fault> {
    let Arguments { uri, id, first, last, start, pipeline, max_tokens } = arguments;
    let budget = Pages::bound(max_tokens)?;
    let missing = || Fault::missing("the index has no such document").hint("`search` names documents that it has");
    let uri = match (uri, id) {
        (Some(uri), None) => uri,
        (None, Some(id)) => uri_of(&id).ok_or_else(missing)?,
        _ => return Err(Fault::bad("which document?").hint("say its `uri`, or its `id`")),
    };
    let scope = service.scopes.asked(pipeline.as_deref())?;
    let _place = service.searches.take().await?;
    let (served, document, lines) = find(&scope, &uri).await?.ok_or_else(missing)?;
    let lines = lines.unwrap_or((1, u32::MAX));
    let wanted = Wanted { first: first.unwrap_or(lines.0), last: last.unwrap_or(lines.1), start: start.unwrap_or_default() };
    if wanted.first > wanted.last {
        return Err(Fault::bad(format!("`first` ({}) is after `last` ({})", wanted.first, wanted.last)));
    }
    let name = served.name.clone();
    let shown = tokio::task::spawn_blocking(move || shown(&document, &name, wanted, budget)).await;
    shown.map_err(|error| Error::worker("cut the document into pages", error))?
}

/// The document of a uri, or of a place in it, with the lines that the place names.
async fn find(scope: &Scope, uri: &str) -> Result<Option<(Arc<Served>, Document, Option<Lines>)>, Fault> {
    if let Some((served, document)) = scope.document(uri).await? {
        return Ok(Some((served, document, None)));
    }
    let Some((uri, lines)) = place(uri) else { return Ok(None) };
    Ok(scope.document(uri).await?.map(|(served, document)| (served, document, Some(lines))))
}

/// `docs/a.md:10-31`, or `docs/a.md:10`.
fn place(text: &str) -> Option<(&str, Lines)> {
    let (uri, lines) = text.rsplit_once(':')?;
    let (first, last) = lines.split_once('-').unwrap_or((lines, lines));
    Some((uri, (first.parse().ok()?, last.parse().ok()?)))
}

fn shown(document: &Document, pipeline: &str, wanted: Wanted, budget: usize) -> Result<Told, Fault> {
    let last = document.last_line();
    let parts: Vec<Part> = document.parts.iter().filter_map(|part| within(part, wanted)).collect();
    if parts.is_empty() {
        let fault = Fault::bad(format!("{} has no text there", document.uri));
        return Err(fault.hint(format!("its last line is {last}; say `first` and `last`, or neither")));
    }
    let counts = Pages::new();
    let frame = counts.count(&object(document, &[], pipeline, None).to_string()).max(counts.count(&document.uri) + 100);
    let room = budget.saturating_sub(frame + FRAME);
    let measured = |part: &Part| {
        let empty = Part { text: String::new(), ..part.clone() };
        let written = counts.count(&written(document, &empty));
        written.max(counts.count(&serde_json::to_string(&empty).unwrap_or_default())) + DIGITS
    };
    let items: Vec<Item<'_>> = parts.iter().map(|part| Item { text: &part.text, around: measured(part) }).collect();
    if items.iter().any(|item| !Pages::has_room(item, room)) {
        return Err(Fault::bad("the document's name leaves no room for its text").hint("say a larger `max_tokens`"));
    }
    let (pieces, next) = counts.page(&items, At::default(), room);
    let mut page = Vec::new();
    for piece in pieces {
        if let Some(part) = parts.get(piece.item) {
            page.push(slice(part, piece.range));
        }
    }
    let next = next.and_then(|at| parts.get(at.item).map(|part| part.start + at.byte as u64));
    let mut text = String::new();
    if let Some(title) = &document.title {
        text.push_str(&format!("{}\n\n", cut(title, TITLE)));
    }
    for part in &page {
        text.push_str(&written(document, part));
    }
    text.push_str(&match next {
        Some(next) => format!("(more follows, to line {}: the same arguments with `start`: {next})\n", wanted.last.min(last)),
        None if wanted.last < last => format!("(the document goes on to line {last})\n"),
        None => "(the end of the document)\n".to_owned(),
    });
    Ok(Told { text, objects: object(document, &page, pipeline, next) })
}

/// What of a part is wanted; `None`: nothing.
fn within(part: &Part, wanted: Wanted) -> Option<Part> {
    let skipped = usize::try_from(wanted.start.saturating_sub(part.start)).unwrap_or(usize::MAX);
    // Whole letters, whatever byte somebody says.
    let skipped = part.text.ceil_char_boundary(skipped.min(part.text.len()));
    let (mut begins, mut ends, mut at) = (part.text.len(), 0, 0);
    for (number, line) in (part.lines.0..).zip(part.text.split_inclusive('\n')) {
        if (wanted.first..=wanted.last).contains(&number) {
            begins = begins.min(at);
            ends = at + line.len();
        }
        at += line.len();
    }
    let range = begins.max(skipped)..ends;
    (range.start < range.end).then(|| slice(part, range))
}

fn slice(part: &Part, range: std::ops::Range<usize>) -> Part {
    let lines = lines_of(&part.text, part.lines.0, &range);
    let text = part.text.get(range.clone()).unwrap_or_default().to_owned();
    let page = if range.start == 0 { part.page } else { None };
    Part { start: part.start + range.start as u64, end: part.start + range.end as u64, lines, page, text }
}

/// A part as it is shown.
fn written(document: &Document, part: &Part) -> String {
    let line_feed = if part.text.ends_with('\n') { "" } else { "\n" };
    let page = part.page.map(|page| format!(" · page {page}")).unwrap_or_default();
    format!("{}:{}-{}{page}\n{}{line_feed}\n", document.uri, part.lines.0, part.lines.1, part.text)
}

/// The document's object, with these parts.
fn object(document: &Document, parts: &[Part], pipeline: &str, next: Option<u64>) -> Value {
    let Document { uri, title, link, modified, lang, parts: _ } = document;
    let told = Document {
        uri: uri.clone(),
        title: title.as_deref().map(|title| cut(title, TITLE)),
        link: link.clone(),
        modified: *modified,
        lang: lang.clone(),
        parts: parts.to_vec(),
    };
    let mut told = serde_json::to_value(&told).unwrap_or_default();
    if let Some(told) = told.as_object_mut() {
        told.insert("id".to_owned(), id_of(&document.uri).into());
        told.insert("pipeline".to_owned(), pipeline.into());
        told.insert("last_line".to_owned(), document.last_line().into());
        told.insert("next".to_owned(), next.map_or(Value::Null, |next| json!({"start": next})));
    }
    told
}
