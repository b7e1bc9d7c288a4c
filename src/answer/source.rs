//! Joins hits that stand next to each other in a document into sources.
//!
//! Invariant: `document.text[start..end]` is the source's text, byte for byte. Two hits are joined only where that can be known:
//! where they overlap and agree on the overlap, where they touch, and where the lines between them prove that the gap holds
//! nothing but line feeds.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};

use super::duplicates::DedupedHit;
use super::link::{self, link};
use crate::document::{Hit, Passage};

/// A numbered piece of a document that an answer may cite.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Source {
    /// Its number in the prompt and in citations, from 1.
    pub n: usize,
    /// See [`Passage::uri`].
    pub uri: String,
    /// Which pipeline's index has it, where several were asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pipeline: Option<String>,
    /// The document's title, if it has one.
    pub title: Option<String>,
    /// The headings above all of it, outermost first.
    pub headings: Vec<String>,
    /// See [`Passage::columns`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub columns: Option<String>,
    /// See [`Passage::page`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<u32>,
    /// See [`Passage::anchor`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anchor: Option<String>,
    /// Byte offset of the first byte in the extracted text.
    pub start: u64,
    /// Byte offset after the last byte in the extracted text.
    pub end: u64,
    /// First and last line, 1-based, both inclusive.
    pub lines: (u32, u32),
    /// The best score among its passages. Higher is better; the scale depends on the retrieval mode.
    #[serde(serialize_with = "widened")]
    #[schemars(with = "f64")]
    pub score: f32,
    /// The text itself.
    pub text: String,
    /// Passages that say nearly the same as one of its own, best first: they made room for others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub copies: Vec<CopyPlace>,
}

/// Where a copy of a passage lies.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct CopyPlace {
    /// See [`Passage::uri`].
    pub uri: String,
    /// Byte offset of the first byte in the extracted text.
    pub start: u64,
    /// Byte offset after the last byte in the extracted text.
    pub end: u64,
    /// First and last line, 1-based, both inclusive.
    pub lines: (u32, u32),
    /// The address that opens a page of the web there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
}

impl From<&Passage> for CopyPlace {
    fn from(passage: &Passage) -> Self {
        let Passage { uri, start, end, lines, .. } = passage;
        Self { uri: uri.clone(), start: *start, end: *end, lines: *lines, link: link::of(passage) }
    }
}

/// With all digits of the double that it is: so it has always been written.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn widened<S: Serializer>(score: &f32, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(f64::from(*score))
}

impl Source {
    /// `title > heading > heading`, without a title that the first heading repeats. Empty when there is neither.
    pub fn path(&self) -> String {
        heading_path(self.title.as_deref(), &self.headings)
    }

    /// The address that opens a page of the web at the passage: `https://…/page#name`, or with the passage's first words where the
    /// place has no name; `https://…/file.pdf#page=3`. `None` for other documents.
    pub fn link(&self) -> Option<String> {
        link(&self.uri, self.page, self.anchor.as_deref(), &self.text)
    }
}

/// `title > heading > heading`, without a title that the first heading repeats. Empty when there is neither.
pub fn heading_path(title: Option<&str>, headings: &[String]) -> String {
    let title = title.filter(|title| headings.first().is_none_or(|first| first != title));
    let parts: Vec<&str> = title.into_iter().chain(headings.iter().map(String::as_str)).collect();
    parts.join(" > ")
}

/// A source in the making.
struct Piece {
    source: Source,
    /// Place of its best hit in the ranking: the order of the sources.
    rank: usize,
    /// Pieces of two versions of a document must not be joined.
    modified: i64,
}

/// Sources of what was found, as by [`join`]: copies are not among them, but named.
pub(super) fn sources_of(found: Vec<DedupedHit>) -> Vec<Source> {
    let copies = |found: &DedupedHit| found.copies.iter().map(|copy| CopyPlace::from(&copy.passage)).collect();
    joined(found.into_iter().map(|found| (copies(&found), found.hit)))
}

/// Sources of hits that come best first; the sources do too, and are numbered from 1.
pub fn join(hits: Vec<Hit>) -> Vec<Source> {
    joined(hits.into_iter().map(|hit| (Vec::new(), hit)))
}

fn joined(found: impl Iterator<Item = (Vec<CopyPlace>, Hit)>) -> Vec<Source> {
    let mut pieces: Vec<Piece> = found.enumerate().map(|(rank, (copies, hit))| piece(rank, hit, copies)).collect();
    pieces.sort_by(|a, b| {
        let place = |p: &Piece| (p.source.start, p.source.end);
        let (one, other) = (&a.source, &b.source);
        let document = one.pipeline.cmp(&other.pipeline).then_with(|| one.uri.cmp(&other.uri));
        document.then_with(|| place(a).cmp(&place(b))).then(a.rank.cmp(&b.rank))
    });
    let mut joined: Vec<Piece> = Vec::with_capacity(pieces.len());
    for next in pieces {
        match joined.last_mut() {
            Some(last) => {
                if let Some(apart) = extend(last, next) {
                    joined.push(apart);
                }
            }
            None => joined.push(next),
        }
    }
    joined.sort_by_key(|piece| piece.rank);
    let numbered = joined.into_iter().zip(1..).map(|(piece, n)| Source { n, ..piece.source });
    numbered.collect()
}

fn piece(rank: usize, hit: Hit, copies: Vec<CopyPlace>) -> Piece {
    let (pipeline, modified) = (hit.pipeline.map(|pipeline| pipeline.to_string()), hit.passage.modified);
    Piece { source: Source { score: hit.score, copies, ..of_passage(hit.passage, pipeline) }, rank, modified }
}

/// A source of one passage, without a number and a score.
pub(super) fn of_passage(passage: Passage, pipeline: Option<String>) -> Source {
    let Passage { uri, start, end, lines, index: _, title, headings, columns, page, anchor, text, .. } = passage;
    Source { uri, pipeline, title, headings, columns, page, anchor, start, end, lines, text, ..Source::default() }
}

/// Appends `next`, which does not start before `last`; gives it back when the two cannot be joined exactly.
fn extend(last: &mut Piece, next: Piece) -> Option<Piece> {
    let Some((gap, rest)) = seam(last, &next) else { return Some(next) };
    last.source.text.extend(std::iter::repeat_n('\n', gap));
    last.source.text.push_str(rest);
    let (rank, Source { end, lines, score, headings, copies, .. }) = (next.rank, next.source);
    let source = &mut last.source;
    for copy in copies {
        if !source.copies.contains(&copy) {
            source.copies.push(copy);
        }
    }
    source.end = source.end.max(end);
    source.lines.1 = source.lines.1.max(lines.1);
    // What stands above both: the path of the first alone would claim the second for a section it is not in.
    let shared = source.headings.iter().zip(&headings).take_while(|(a, b)| a == b).count();
    source.headings.truncate(shared);
    if rank < last.rank {
        last.rank = rank;
        source.score = score;
    }
    None
}

/// The number of line feeds between `last` and `next`, and the part of `next` that is new after them; `None` when it cannot be known.
fn seam<'a>(last: &Piece, next: &'a Piece) -> Option<(usize, &'a str)> {
    let (a, b) = (&last.source, &next.source);
    let exact = |s: &Source| s.end.checked_sub(s.start) == Some(s.text.len() as u64);
    if a.uri != b.uri || a.pipeline != b.pipeline || !exact(a) || !exact(b) {
        return None;
    }
    if b.start < a.end {
        // Both hold the overlap, which proves (or disproves) that they are of the same text.
        let from = usize::try_from(b.start - a.start).ok()?;
        let known = a.text.get(from..)?;
        if let Some(rest) = b.text.strip_prefix(known) {
            return Some((0, rest));
        }
        return known.starts_with(b.text.as_str()).then_some((0, ""));
    }
    if last.modified != next.modified {
        return None;
    }
    let gap = b.start - a.end;
    // `a` ends within its last line, so the gap holds one line feed for each line that `b` starts below it. As many line feeds
    // as bytes: the gap is line feeds alone. (Carriage returns, spaces and skipped text make it longer.)
    let feeds = b.lines.0.checked_sub(a.lines.1).map(u64::from);
    let known = gap == 0 || (feeds == Some(gap) && !a.text.ends_with('\n'));
    known.then(|| usize::try_from(gap).ok()).flatten().map(|gap| (gap, b.text.as_str()))
}

/// The longest beginning of a source that fits, cut after a line or a word where that costs less than half of it; `None` when
/// not one character fits. `start`, `end` and `lines` stay exact.
///
/// `fits` should hold for all shorter beginnings of a beginning that it holds for.
pub fn shrink(source: &Source, fits: impl Fn(&Source) -> bool) -> Option<Source> {
    let (mut fitting, mut too_long) = (0, source.text.len());
    loop {
        let middle = source.text.floor_char_boundary(fitting + (too_long - fitting) / 2);
        let middle = if middle > fitting { middle } else { source.text.ceil_char_boundary(fitting + 1) };
        if middle >= too_long {
            break;
        }
        if beginning(source, middle).is_some_and(|s| fits(&s)) { fitting = middle } else { too_long = middle }
    }
    let kept = source.text.get(..fitting)?;
    let breaks = [kept.rfind('\n'), kept.rfind(char::is_whitespace)];
    let cut = breaks.into_iter().flatten().find(|at| *at > fitting / 2).unwrap_or(fitting);
    // Token counts are only nearly monotonous: what is handed out is checked itself.
    beginning(source, cut).filter(&fits).or_else(|| beginning(source, fitting).filter(&fits))
}

/// The first `length` bytes of a source; `None` for none, or within a character.
fn beginning(source: &Source, length: usize) -> Option<Source> {
    let text = source.text.get(..length).filter(|text| !text.is_empty())?;
    // A line feed that ends the text belongs to the line it ends.
    let feeds = text.strip_suffix('\n').unwrap_or(text).matches('\n').count();
    let last = source.lines.0.saturating_add(u32::try_from(feeds).unwrap_or(u32::MAX));
    Some(Source {
        n: source.n,
        uri: source.uri.clone(),
        pipeline: source.pipeline.clone(),
        title: source.title.clone(),
        headings: source.headings.clone(),
        columns: source.columns.clone(),
        page: source.page,
        anchor: source.anchor.clone(),
        start: source.start,
        end: source.start + length as u64,
        lines: (source.lines.0, last),
        score: source.score,
        text: text.to_owned(),
        copies: source.copies.clone(),
    })
}

/// The source without its first `length` bytes; `None` where nothing is left, or within a character.
pub fn without_beginning(source: &Source, length: usize) -> Option<Source> {
    let text = source.text.get(length..).filter(|text| !text.is_empty())?;
    let feeds = source.text.get(..length)?.matches('\n').count();
    let first = source.lines.0.saturating_add(u32::try_from(feeds).unwrap_or(u32::MAX)).min(source.lines.1);
    let (start, lines, text) = (source.start + length as u64, (first, source.lines.1), text.to_owned());
    Some(Source { start, lines, text, ..source.clone() })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice, reason = "a failed test panics")]
mod tests {
    use super::*;
    use crate::document::Metadata;
    use proptest::prelude::*;
    use std::ops::Range;
    use uuid::Uuid;

    /// The hit that a chunk of `text` would be.
    fn hit(uri: &str, text: &str, span: Range<usize>, score: f32) -> Hit {
        let line = |at: usize| 1 + text[..at].matches('\n').count() as u32;
        let passage = Passage {
            columns: None,
            page: None,
            anchor: None,
            context: None,
            uri: uri.into(),
            start: span.start as u64,
            end: span.end as u64,
            lines: (line(span.start), line(text.floor_char_boundary(span.end - 1))),
            index: 0,
            title: Some("Keys".into()),
            headings: Vec::new(),
            text: text[span].into(),
            modified: 1,
            lang: None,
            source: None,
            metadata: Metadata::default(),
        };
        Hit { id: Uuid::nil(), score, passage, pipeline: None }
    }

    fn spans(sources: &[Source]) -> Vec<(usize, u64, u64)> {
        sources.iter().map(|s| (s.n, s.start, s.end)).collect()
    }

    #[test]
    fn neighbours_become_one_source() {
        let text = "aaaa bbbb\ncccc\n\ndddd\n \neeee";
        let hits = vec![
            hit("b.md", text, 0..4, 0.9),
            hit("a.md", text, 16..20, 0.8), // dddd
            hit("a.md", text, 0..9, 0.7),   // overlaps the next
            hit("a.md", text, 5..14, 0.6),
            hit("a.md", text, 23..27, 0.5), // a space stands between
        ];
        let sources = join(hits);
        assert_eq!(spans(&sources), [(1, 0, 4), (2, 0, 20), (3, 23, 27)]);
        assert_eq!(sources[1].text, &text[0..20], "the two line feeds between are known from the lines");
        assert_eq!((sources[1].lines, sources[1].score), ((1, 4), 0.8));
    }

    #[test]
    fn what_cannot_be_joined_exactly_stays_apart() {
        let text = "aaaa bbbb\r\ncccc";
        let apart = |mut a: Hit, mut b: Hit, change: fn(&mut Hit, &mut Hit)| {
            change(&mut a, &mut b);
            assert_eq!(join(vec![a, b]).len(), 2);
        };
        // Two bytes between, but one line.
        apart(hit("a", text, 0..9, 1.0), hit("a", text, 11..15, 0.5), |_, _| ());
        // Overlap in two versions of the document.
        apart(hit("a", text, 0..6, 1.0), hit("a", text, 3..9, 0.5), |a, _| a.passage.text = "AAAAAA".into());
        // Touching in two versions.
        apart(hit("a", text, 0..5, 1.0), hit("a", text, 5..9, 0.5), |_, b| b.passage.modified = 2);
        // A span that is not its text's.
        apart(hit("a", text, 0..5, 1.0), hit("a", text, 5..9, 0.5), |a, _| a.passage.text = "x".into());
        apart(hit("a", text, 0..5, 1.0), hit("a", text, 5..9, 0.5), |_, b| b.passage.end = 0);
        apart(hit("a", text, 0..5, 1.0), hit("b", text, 5..9, 0.5), |_, _| ());
    }

    #[test]
    fn a_joined_source_claims_only_shared_headings() {
        let text = "aaaabbbb";
        let (mut a, mut b) = (hit("a", text, 0..4, 1.0), hit("a", text, 4..8, 0.5));
        a.passage.headings = vec!["Keys".into(), "Rotate".into()];
        b.passage.headings = vec!["Keys".into(), "Revoke".into()];
        let sources = join(vec![a, b]);
        assert_eq!(sources[0].headings, ["Keys"]);
        assert_eq!(sources[0].path(), "Keys", "the title is not said twice");
    }

    #[test]
    fn copies_are_named_once_by_what_stands_for_them() {
        let text = "aaaabbbb";
        let found = |span: Range<usize>, copies: &[&str]| DedupedHit {
            copies: copies.iter().map(|uri| hit(uri, text, 0..4, 0.1)).collect(),
            ..hit("a", text, span, 1.0).into()
        };
        let sources = sources_of(vec![found(0..4, &["b", "c"]), found(4..8, &["c", "d"])]);
        let named: Vec<&str> = sources[0].copies.iter().map(|copy| copy.uri.as_str()).collect();
        assert_eq!((sources.len(), named), (1, vec!["b", "c", "d"]));
        assert_eq!(beginning(&sources[0], 2).unwrap().copies.len(), 3, "shortened, it still stands for them");
    }

    #[test]
    fn no_hits_no_sources() {
        assert_eq!(join(Vec::new()), []);
    }

    proptest! {
        #[test]
        fn a_source_is_a_slice_of_its_document(
            text in "[a-c中é \n]{1,120}",
            cuts in prop::collection::vec((0_usize..120, 1_usize..40, 0_u8..100), 1..12),
        ) {
            let hits: Vec<Hit> = cuts
                .iter()
                .filter_map(|(start, length, score)| {
                    let start = text.floor_char_boundary(start % text.len());
                    let end = text.ceil_char_boundary((start + length).min(text.len()));
                    (start < end).then(|| hit("a", &text, start..end, f32::from(*score)))
                })
                .collect();
            let mut best_first = hits;
            best_first.sort_by(|a, b| b.score.total_cmp(&a.score));
            let sources = join(best_first.clone());
            for (source, n) in sources.iter().zip(1..) {
                let span = source.start as usize..source.end as usize;
                prop_assert_eq!(source.n, n);
                prop_assert_eq!(&source.text, &text[span.clone()]);
                prop_assert_eq!(source.lines, hit("a", &text, span, 0.0).passage.lines);
            }
            for hit in &best_first {
                let holds = |s: &&Source| s.start <= hit.passage.start && hit.passage.end <= s.end;
                prop_assert_eq!(sources.iter().filter(holds).count(), 1, "each hit is in one source");
            }
            prop_assert!(sources.is_sorted_by(|a, b| a.score >= b.score));
            let mut places: Vec<_> = sources.iter().map(|s| (s.start, s.end)).collect();
            places.sort_unstable();
            prop_assert!(places.is_sorted_by(|a, b| a.1 < b.0), "what touches is joined: {places:?}");
        }
    }
}
