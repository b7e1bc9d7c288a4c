//! Cuts documents into chunks for the embedding model.
//!
//! A document is tokenised once. [`outline`] says how good a border each line's start is, [`sections`] packs small sections
//! into groups, and within a group [`cut`] takes the best border in the window that the limit leaves, looking into lines
//! ([`prose`]) only where no border between lines is good enough. Time is linear in the text.
//!
//! Invariant: what lies in one group is cut without regard to what is outside of it, and cuts depend on the text around them
//! rather than on their distance from the start, so that an edit changes few chunks.

mod code;
mod cut;
mod embedded;
mod markdown;
mod outline;
mod plan;
mod prose;
mod rst;
mod scan;
mod sections;
mod sentences;
#[cfg(test)]
mod tests;

use std::ops::Range;
use std::sync::Arc;

use crate::document::{Anchor, Chunk, Document, Markup, PageStart};
use crate::tokenizer::TokenizerName;
use crate::tokenizer::{TokenMap, Tokenizer};

use self::cut::Cutter;
pub use self::embedded::{embedded_passage, embedded_text, with_columns, with_context};
use self::outline::{Outline, strength};
pub use self::plan::{ChunkBy, ChunkPlan};
pub use self::sentences::sentences;

/// Tells whether the embedding model takes a text whole. It is asked about [`embedded_text`], headings and columns included.
pub type Fits<'a> = &'a dyn Fn(&str) -> bool;

/// Cuts documents as a plan says.
pub struct Chunker {
    by: ChunkBy,
    max_tokens: usize,
    overlap: usize,
    tokenizer: TokenizerName,
}

impl Chunker {
    /// An overlap of more than half of `max_tokens` counts as half: above, every passage would be embedded many times.
    pub fn new(plan: &ChunkPlan) -> Self {
        let max_tokens = plan.max_tokens.get();
        Self { by: plan.by, max_tokens, overlap: plan.overlap.min(max_tokens / 2), tokenizer: plan.tokenizer }
    }

    /// The document's chunks, in order; none for a document of blanks. CPU work: some 10 MB of English a second.
    ///
    /// No chunk has more than `max_tokens` tokens, unless a single character has. None starts or ends with blanks, and every
    /// other character is in one. A chunk begins with up to `overlap` tokens of the one before, at a word or a better border,
    /// where there is room and no heading between; of a table of Markdown, whole rows. A row is cut only where it is too long for one
    /// chunk, and its rest is a chunk of its own below the names of its own columns. A chunk that does not fit is cut again, unless its headings alone
    /// leave no room for one character.
    ///
    /// Of a text above 4 GiB only the first 4 GiB are cut.
    pub fn chunk(&self, document: &Document, fits: Option<Fits<'_>>) -> Vec<Chunk> {
        let markup = match self.by {
            ChunkBy::Auto | ChunkBy::Sentences | ChunkBy::Tokens => document.markup,
            ChunkBy::Markdown => Markup::Markdown,
            ChunkBy::Text => Markup::Text,
            ChunkBy::Code => Markup::Code,
        };
        // Loaded with the first document: a run in which nothing changed does without.
        let map = Tokenizer::get(self.tokenizer).map(&document.text);
        let mut outline = Outline::of(map.text(), markup);
        let structured = !matches!(self.by, ChunkBy::Sentences | ChunkBy::Tokens);
        if !structured {
            outline = without_structure(outline, map.text());
        }
        let groups = if structured {
            sections::groups(&outline, &map, self.max_tokens)
        } else {
            std::iter::once(0..map.text().len()).collect()
        };
        let cutter = Cutter { map: &map, outline: &outline, tokens_only: self.by == ChunkBy::Tokens };
        let mut run = Run {
            plan: self,
            title: document.title.as_deref(),
            pages: &document.pages,
            anchors: &document.anchors,
            text: map.text(),
            map: &map,
            outline: &outline,
            cutter,
            fits,
            chunks: Vec::new(),
            before: 0..0,
            lines: LineCounter { byte: 0, line: 1 },
        };
        for group in groups {
            run.group(group);
        }
        run.chunks
    }
}

/// The outline with its headings, which are still carried along, and lines that mean nothing beyond their sentences.
fn without_structure(outline: Outline, text: &str) -> Outline {
    let mut lines = Outline::of(text, Markup::Text).lines;
    for line in &mut lines {
        line.strength = if line.strength == strength::PARAGRAPH { strength::SENTENCE } else { strength::LINE };
    }
    let tables = outline.tables.into_iter().map(|table| outline::Table { lined: false, ..table }).collect();
    Outline { lines, blocks: Vec::new(), tables, sections: outline.sections }
}

/// One document being cut.
struct Run<'a> {
    plan: &'a Chunker,
    title: Option<&'a str>,
    pages: &'a [PageStart],
    anchors: &'a [Anchor],
    text: &'a str,
    map: &'a TokenMap<'a>,
    outline: &'a Outline,
    cutter: Cutter<'a>,
    fits: Option<Fits<'a>>,
    chunks: Vec<Chunk>,
    /// The chunk before, without what it repeats of its own predecessor.
    before: Range<usize>,
    lines: LineCounter,
}

impl Run<'_> {
    /// Cuts whole sections that belong together.
    fn group(&mut self, group: Range<usize>) {
        let mut core = self.trim(group);
        while !core.is_empty() {
            let (cut, tokens) = self.cut(&core);
            self.place(self.trim(core.start..cut), tokens);
            core = self.trim(cut..core.end);
        }
    }

    /// Where the next chunk of `core` ends, and its tokens.
    fn cut(&self, core: &Range<usize>) -> (usize, usize) {
        let max_tokens = self.plan.max_tokens;
        let from = self.map.before(core.start);
        // A slice counted alone may have a few tokens more or fewer than in its text.
        let near = max_tokens + 16;
        let rest = self.map.before_near(core.end, from, near + 1) - from;
        if rest <= near {
            let tokens = self.map.count(core.clone());
            if tokens <= max_tokens {
                return (core.end, tokens);
            }
        }
        let reserve = if self.before.end > 0 { self.plan.overlap } else { 0 };
        let mut budget = max_tokens;
        for attempt in 0.. {
            let cut = self.cutter.best(core.clone(), budget, reserve).unwrap_or(core.end);
            let tokens = self.map.count(self.trim(core.start..cut));
            if tokens <= max_tokens {
                return (cut, tokens);
            }
            if budget == 1 {
                // A grapheme that the limit does not hold: character by character.
                let rest = self.text.get(core.start..).unwrap_or_default();
                let cut = core.start + rest.chars().next().map_or(1, char::len_utf8);
                return (cut, self.map.count(core.start..cut));
            }
            // A token or two as a rule; what does not give way to that is pathological.
            let least = if attempt < 3 { 1 } else { budget.div_ceil(4) };
            budget = budget.saturating_sub(least.max(tokens - max_tokens)).max(1);
        }
        (core.end, 0)
    }

    /// Makes a chunk of `core`, or several where it does not fit the embedding model.
    fn place(&mut self, core: Range<usize>, tokens: usize) {
        let mut todo = vec![(core, tokens)];
        while let Some((core, tokens)) = todo.pop() {
            if core.is_empty() {
                continue;
            }
            // The rest of a row that was cut stands alone: below the names of its own columns, and not above other rows.
            if let Some(end) = self.outline.rest_of_row(core.start, self.text).filter(|end| *end < core.end) {
                for part in [self.trim(end..core.end), self.trim(core.start..end)] {
                    let tokens = self.map.count(part.clone());
                    todo.push((part, tokens));
                }
                continue;
            }
            let headings = self.outline.path_of(&core, self.text);
            let columns = |start: usize| self.outline.columns_at(start, self.text);
            let fits = |start: usize| {
                let text = self.text.get(start..core.end).unwrap_or_default();
                self.fits.is_none_or(|fits| fits(&embedded_text(self.title, &headings, columns(start).as_deref(), text)))
            };
            let (overlapping, with_overlap) = self.overlap(&core, tokens);
            let fitting = [(overlapping, with_overlap), (core.start, tokens)].into_iter().find(|(start, _)| fits(*start));
            // Where not even one character fits below the headings, no cut helps.
            let hopeless = || {
                self.text.get(core.start..).and_then(|rest| rest.chars().next()).is_none_or(|c| {
                    let columns = columns(core.start);
                    self.fits.is_some_and(|fits| {
                        !fits(&embedded_text(self.title, &headings, columns.as_deref(), c.encode_utf8(&mut [0; 4])))
                    })
                })
            };
            if fitting.is_none()
                && !hopeless()
                && let Some(cut) = self.cutter.best(core.clone(), (tokens * 5 / 8).max(1), 0)
            {
                for part in [self.trim(cut..core.end), self.trim(core.start..cut)] {
                    let tokens = self.map.count(part.clone());
                    todo.push((part, tokens));
                }
                continue;
            }
            let (start, tokens) = fitting.unwrap_or((core.start, tokens));
            let lines = self.lines.of(self.text, start..core.end);
            let index = self.chunks.len() as u32;
            let (span, tokens) = (start..core.end, tokens as u32);
            self.chunks.push(Chunk {
                index,
                span,
                lines,
                headings,
                columns: columns(start),
                page: self.page_at(start),
                anchor: self.anchor_at(start),
                tokens,
            });
            self.before = core;
        }
    }

    /// Where the chunk of `core` starts so that it repeats up to `overlap` tokens of the chunk before, and its tokens then.
    fn overlap(&self, core: &Range<usize>, tokens: usize) -> (usize, usize) {
        let max_tokens = self.plan.max_tokens;
        let room = self.plan.overlap.min(max_tokens.saturating_sub(tokens));
        let section = self.outline.section_at(core.start);
        let body = self.outline.sections.get(section).map_or(0, |section| section.body);
        // Not across a heading, and never all of the chunk before.
        let floor = body.max(self.before.start + 1);
        if room == 0 || self.before.is_empty() || floor >= self.before.end {
            return (core.start, tokens);
        }
        let from = self.map.before(core.start).saturating_sub(room);
        let from = self.text.ceil_char_boundary(self.map.end_of(from).max(floor));
        if from >= self.before.end {
            return (core.start, tokens);
        }
        for at in self.cutter.openings(from..self.before.end) {
            let start = self.trim(at..core.end).start;
            if start >= self.before.end {
                continue;
            }
            let tokens = self.map.count(start..core.end);
            if tokens <= max_tokens && self.map.count(start..self.before.end) <= self.plan.overlap {
                return (start, tokens);
            }
        }
        (core.start, tokens)
    }

    /// The page that a byte is on.
    fn page_at(&self, byte: usize) -> Option<u32> {
        let before = self.pages.partition_point(|page| page.start <= byte);
        self.pages.get(before.checked_sub(1)?).map(|page| page.page)
    }

    /// The name of the nearest place at or above a byte, within its section: what leads to another section does not lead there.
    fn anchor_at(&self, byte: usize) -> Option<Arc<str>> {
        let before = self.anchors.partition_point(|anchor| anchor.start <= byte);
        let anchor = self.anchors.get(before.checked_sub(1)?)?;
        let section = self.outline.section_at(byte);
        (self.outline.section_at(anchor.start) == section).then(|| Arc::from(anchor.id.as_str()))
    }

    /// The range without blanks at its ends; a byte order mark at the text's start counts as blank.
    fn trim(&self, range: Range<usize>) -> Range<usize> {
        let text = self.text.get(range.clone()).unwrap_or_default();
        let start = text.strip_prefix('\u{feff}').filter(|_| range.start == 0).unwrap_or(text).trim_start();
        let start = range.end - start.len();
        start..start + self.text.get(start..range.end).unwrap_or_default().trim_end().len()
    }
}

/// Line numbers for spans whose starts ascend.
struct LineCounter {
    byte: usize,
    /// The line that `byte` is on.
    line: u32,
}

impl LineCounter {
    fn of(&mut self, text: &str, span: Range<usize>) -> (u32, u32) {
        let breaks = |range: Range<usize>| {
            let bytes = text.as_bytes().get(range).unwrap_or_default();
            bytes.iter().map(|byte| u32::from(*byte == b'\n')).sum::<u32>()
        };
        self.line += breaks(self.byte..span.start);
        self.byte = span.start;
        (self.line, self.line + breaks(span))
    }
}
