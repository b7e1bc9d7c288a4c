//! `search`: passages that fit a query.

use std::num::{NonZeroU32, NonZeroUsize};

use rmcp::model::Tool;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::pages::{At, Item, Pages, Piece, TOKENS, lines_of};
use super::told::{Told, cut};
use super::tool;
use crate::answer::source::heading_path;
use crate::answer::wire::Line;
use crate::answer::{DedupedHit, Found, Question};
use crate::error::Error;
use crate::serve::answering;
use crate::serve::api::read::filter;
use crate::serve::fault::Fault;
use crate::serve::service::Service;

pub(super) const NAME: &str = "search";
const DESCRIPTION: &str = "Searches the indexed documents by meaning and by words, and returns the passages that fit best, best first: \
each as `path:first-last` (lines) and the text exactly as it stands in the document. Ask in full words, in the documents' language or \
another; one question a call. Use it before you read whole files, and `get` to read on around a passage. It asks no language model.";

/// Near-copies of a passage that are named.
const COPIES: usize = 10;
/// Tokens for what stands around all passages.
const FRAME: usize = 120;
/// Tokens by which the offsets and lines of a piece may be longer than those that are measured.
const DIGITS: usize = 16;
/// Letters of a line above a passage.
const HEAD: usize = 400;
/// Letters of what went otherwise than planned.
const NOTE: usize = 400;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Arguments {
    /// What to look for.
    query: String,
    /// Which index, where several are served (or some, as `docs+tickets`); `status` names them. None: all of them together.
    #[serde(default)]
    pipeline: Option<String>,
    /// Passages, at most.
    #[serde(default)]
    #[schemars(range(min = 1, max = 200))]
    limit: Option<NonZeroUsize>,
    /// Search only documents like `path=docs/api/**`, `lang=zh` or `modified>=2026-01-31`; all must hold.
    #[serde(default, rename = "where")]
    terms: Vec<String>,
    /// Tokens of the result, at most.
    #[serde(default = "tokens")]
    #[schemars(range(min = 500, max = 100_000))]
    max_tokens: u32,
    /// Which page of the passages, from 1.
    #[serde(default = "first")]
    page: NonZeroU32,
}

fn tokens() -> u32 {
    TOKENS
}

fn first() -> NonZeroU32 {
    NonZeroU32::MIN
}

pub(super) fn tool() -> Tool {
    tool::tool::<Arguments>(NAME, "Search the documents", DESCRIPTION)
}

pub(super) async fn call(service: &Service, arguments: Arguments) -> Result<Told, Fault> {
    let Arguments { query, pipeline, limit, terms, max_tokens, page } = arguments;
    let budget = Pages::bound(max_tokens)?;
    Pages::passages(limit)?;
    let scope = service.scopes.asked(pipeline.as_deref())?;
    let question = Question { text: query, limit, filter: filter(&terms)?, ..Question::default() };
    let Found { hits, note, .. } = answering::search(service, &scope, &question).await?;
    let note = note.map(|note| cut(&note, NOTE));
    let name = scope.name().to_owned();
    let shown = tokio::task::spawn_blocking(move || shown(&hits, (&name, note.as_deref()), budget, page.get() as usize)).await;
    shown.map_err(|error| Error::worker("cut the passages into pages", error))?
}

/// A passage as it is shown.
struct Shown<'a> {
    /// The line above its text, without its place.
    about: String,
    /// Its object, of which text and place are those of a piece.
    object: Value,
    /// Tokens of what stands around each piece of its text.
    around: usize,
    hit: &'a DedupedHit,
}

/// A page of the passages, and what went otherwise than planned.
fn shown(hits: &[DedupedHit], (pipeline, note): (&str, Option<&str>), budget: usize, page: usize) -> Result<Told, Fault> {
    let Some(note) = note else { return passages(hits, pipeline, budget, page) };
    let budget = budget.saturating_sub(2 * Pages::new().worth(note));
    let mut told = passages(hits, pipeline, budget, page)?;
    told.text.push_str(&format!("note: {note}\n"));
    if let Some(objects) = told.objects.as_object_mut() {
        objects.insert("note".to_owned(), note.into());
    }
    Ok(told)
}

fn passages(hits: &[DedupedHit], pipeline: &str, budget: usize, page: usize) -> Result<Told, Fault> {
    if hits.is_empty() {
        let text =
            "Nothing was found. Try other words, fewer terms in `where`, or `status` to see what is indexed.\n".to_owned();
        let objects = json!({"type": "hits", "pipeline": pipeline, "page": 1, "pages": 1, "left_out": 0, "hits": []});
        return Ok(Told { text, objects });
    }
    let counts = Pages::new();
    let room = budget.saturating_sub(FRAME + counts.worth(pipeline));
    let all: Vec<Shown<'_>> = (1..).zip(hits).map(|(rank, hit)| Shown::new(hit, rank, &counts, room)).collect();
    let items: Vec<Item<'_>> = all.iter().map(Shown::item).collect();
    let left_out = items.iter().filter(|item| !Pages::has_room(item, room)).count();
    let (mut pages, mut at) = (Vec::new(), Some(At::default()));
    while let Some(from) = at {
        let (pieces, next) = counts.page(&items, from, room);
        pages.push(pieces);
        at = next;
    }
    let last = pages.len();
    let Some(pieces) = page.checked_sub(1).and_then(|page| pages.get(page)) else {
        return Err(Fault::bad(format!("there is no page {page}")).hint(format!("the last page is {last}")));
    };
    let (mut text, mut objects) = (String::new(), Vec::new());
    for piece in pieces {
        let Some(shown) = all.get(piece.item) else { continue };
        let (written, object) = shown.piece(piece);
        text.push_str(&written);
        objects.push(object);
    }
    let next = if page < last { format!("; the next: the same arguments with `page`: {}", page + 1) } else { String::new() };
    let missing =
        if left_out == 0 { String::new() } else { format!("; {left_out} left out: `max_tokens` is too small for them") };
    text.push_str(&format!("(page {page} of {last}{next}{missing})\n"));
    let objects =
        json!({"type": "hits", "pipeline": pipeline, "page": page, "pages": last, "left_out": left_out, "hits": objects});
    Ok(Told { text, objects })
}

impl<'a> Shown<'a> {
    fn new(hit: &'a DedupedHit, rank: usize, counts: &Pages, room: usize) -> Self {
        let passage = &hit.hit.passage;
        let mut about = format!("[{rank}]");
        let path = heading_path(passage.title.as_deref(), &passage.headings);
        let pipeline = hit.hit.pipeline.as_ref().map(|pipeline| format!("in {pipeline}"));
        let page = passage.page.map(|page| format!("page {page}"));
        let copies = (!hit.copies.is_empty()).then(|| format!("nearly the same in {} more places", hit.copies.len()));
        for more in [Some(path).filter(|path| !path.is_empty()), pipeline, page, copies].into_iter().flatten() {
            about.push_str(&format!(" · {more}"));
        }
        // By way of its text: a score as a value has more digits than `--json` prints.
        let printed = serde_json::to_string(&Line::hit(hit, rank, None)).unwrap_or_default();
        let mut object: Value = serde_json::from_str(&printed).unwrap_or_default();
        if let Some(copies) = object.get_mut("copies").and_then(Value::as_array_mut) {
            copies.truncate(COPIES);
        }
        let mut shown = Self { about: cut(&about, HEAD), object, around: 0, hit };
        shown.measure(counts);
        if shown.around > room / 2
            && let Some(object) = shown.object.as_object_mut()
        {
            // Where a title, a path of headings or an address is so long, the passage is worth more.
            object.retain(|key, _| !["title", "headings", "columns", "anchor", "link", "copies"].contains(&key.as_str()));
            shown.about = format!("[{rank}]");
            shown.measure(counts);
        }
        shown
    }

    fn item(&self) -> Item<'_> {
        Item { text: &self.hit.hit.passage.text, around: self.around }
    }

    /// Tokens of what stands around a piece.
    fn measure(&mut self, counts: &Pages) {
        let (written, object) = self.piece(&Piece { item: 0, range: 0..0 });
        self.around = counts.count(&written).max(counts.count(&object.to_string())) + DIGITS;
    }

    /// A piece of the passage as it is shown, and its object.
    fn piece(&self, piece: &Piece) -> (String, Value) {
        let passage = &self.hit.hit.passage;
        let text = passage.text.get(piece.range.clone()).unwrap_or_default();
        let lines = lines_of(&passage.text, passage.lines.0, &piece.range);
        let mut object = self.object.clone();
        for (key, value) in [
            ("start", json!(passage.start + piece.range.start as u64)),
            ("end", json!(passage.start + piece.range.end as u64)),
            ("lines", json!(lines)),
            ("text", json!(text)),
        ] {
            if let Some(place) = object.get_mut(key) {
                *place = value;
            }
        }
        let line_feed = if text.ends_with('\n') { "" } else { "\n" };
        (format!("{}:{}-{} {}\n{text}{line_feed}\n", passage.uri, lines.0, lines.1, self.about), object)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed test panics")]
mod tests {
    use super::*;

    #[test]
    fn what_went_otherwise_is_said_in_both_forms() {
        let told = shown(&[], ("docs", Some("The pipeline b is left out.")), 8_000, 1).unwrap();
        assert!(told.text.ends_with("note: The pipeline b is left out.\n"), "{}", told.text);
        assert_eq!(told.objects.get("note").unwrap(), "The pipeline b is left out.");
        let told = shown(&[], ("docs", None), 8_000, 1).unwrap();
        assert!(!told.text.contains("note:") && told.objects.get("note").is_none());
    }
}
