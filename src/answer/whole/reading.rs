//! All passages out of the stores, a document at a time, as sources packed into parts: so that no more is in memory than a document
//! and what is under way.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_stream::try_stream;
use futures_util::{Stream, TryStreamExt as _};

use super::parts::{Packer, Part, cut};
use super::prompts::tokens_of;
use crate::answer::filter::Filter;
use crate::answer::plan::QueryPlan;
use crate::answer::prompt::CountTokens;
use crate::answer::retrieve::{Retriever, off_runtime};
use crate::answer::source::{Source, of_passage, without_beginning};
use crate::document::Passage;
use crate::error::Error;
use crate::vectordb::VectorStore;

/// Documents of a sample.
const SAMPLE: usize = 200;
/// Passages of a sample, about.
const SAMPLED_PASSAGES: u64 = 4000;

/// An index that is read.
#[derive(Debug, Clone)]
pub(in crate::answer) struct Library {
    /// Its pipeline, where several are read.
    pub(in crate::answer) pipeline: Option<Arc<str>>,
    pub(in crate::answer) store: Arc<dyn VectorStore>,
    /// Which of its documents are read.
    pub(in crate::answer) filter: Filter,
}

impl Library {
    /// What this finds passages in, as far as the plan's filter lets pass.
    pub(in crate::answer) fn of(retriever: &Retriever, plan: &QueryPlan) -> Self {
        Self { pipeline: None, store: Arc::clone(&retriever.store), filter: plan.select.filter.clone() }
    }
}

/// What is read, in order.
#[derive(Debug, Clone)]
pub(super) struct Documents {
    libraries: Vec<Library>,
    /// By library.
    uris: Vec<Arc<[String]>>,
}

/// A document as sources, and the tokens that each takes.
struct Read {
    sources: Vec<(Source, usize)>,
    passages: u64,
}

/// What was counted.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Counted {
    pub(super) documents: u64,
    pub(super) passages: u64,
    pub(super) tokens: u64,
    /// All were counted; else these stand for all.
    pub(super) exact: bool,
}

impl Documents {
    /// Those that pass, in the order of their names.
    pub(super) async fn of(libraries: Vec<Library>) -> Result<Self, Error> {
        let mut uris = Vec::new();
        for library in &libraries {
            // An index may name a document twice, in two versions.
            let sorted: BTreeSet<String> = library.filter.documents(&*library.store).await?.into_iter().collect();
            uris.push(sorted.into_iter().collect());
        }
        Ok(Self { libraries, uris })
    }

    pub(super) fn len(&self) -> usize {
        self.uris.iter().map(|uris| uris.len()).sum()
    }

    /// Lets other processes have the indexes.
    pub(super) async fn release(&self) {
        for library in &self.libraries {
            library.store.release().await;
        }
    }

    fn all(&self) -> impl Iterator<Item = (&Library, &String)> {
        self.libraries.iter().zip(&self.uris).flat_map(|(library, uris)| uris.iter().map(move |uri| (library, uri)))
    }

    /// Counts what a sample of documents holds, or all of them where they are few.
    pub(super) async fn sampled(&self, budget: usize, count: &CountTokens) -> Result<Counted, Error> {
        let step = self.len().div_ceil(SAMPLE).max(1);
        let mut counted = Counted::default();
        let mut looked_at = 0;
        for (library, uri) in self.all().step_by(step) {
            let read = read(library, uri, budget, count).await?;
            looked_at += 1;
            counted.documents += 1;
            counted.passages += read.passages;
            counted.tokens += read.sources.iter().map(|(_, tokens)| *tokens as u64).sum::<u64>();
            if counted.passages >= SAMPLED_PASSAGES {
                break;
            }
        }
        counted.exact = looked_at == self.len();
        let all =
            |part: u64| if looked_at == 0 { 0 } else { (part as f64 * self.len() as f64 / looked_at as f64).round() as u64 };
        Ok(Counted { documents: self.len() as u64, passages: all(counted.passages), tokens: all(counted.tokens), ..counted })
    }

    /// All of them, in parts of at most `budget` tokens. With `releasing`, other processes have the indexes as soon as all is read.
    /// What was read is told with each part.
    pub(super) fn parts(
        self,
        budget: usize,
        count: CountTokens,
        releasing: bool,
    ) -> impl Stream<Item = Result<(Part, Counted), Error>> + Send + 'static {
        try_stream! {
            let mut packer = Packer::new(budget);
            let mut counted = Counted { exact: true, ..Counted::default() };
            for (library, uris) in self.libraries.iter().zip(&self.uris) {
                for uri in uris.iter() {
                    let read = read(library, uri, budget, &count).await?;
                    for (source, tokens) in read.sources {
                        if let Some(part) = packer.push(source, tokens) {
                            counted.tokens += part.tokens as u64;
                            yield (part, counted);
                        }
                    }
                    counted.documents += 1;
                    counted.passages += read.passages;
                }
            }
            if releasing {
                self.release().await;
            }
            if let Some(part) = packer.finish() {
                counted.tokens += part.tokens as u64;
                yield (part, counted);
            }
        }
    }
}

/// A document's passages as sources.
async fn read(library: &Library, uri: &str, budget: usize, count: &CountTokens) -> Result<Read, Error> {
    let passages = library.store.passages_of(uri).await?;
    let (pipeline, count) = (library.pipeline.as_ref().map(ToString::to_string), Arc::clone(count));
    let sources = move || {
        let tokens = |source: &Source| tokens_of(source, &*count);
        let read = passages.len() as u64;
        let sources = without_overlaps(passages, pipeline.as_deref());
        Read { passages: read, sources: sources.into_iter().flat_map(|source| cut(source, budget, &tokens)).collect() }
    };
    off_runtime("count a document's tokens", sources).await
}

/// Passages of a document in the order of its text, each without what those before it say already.
fn without_overlaps(passages: Vec<Passage>, pipeline: Option<&str>) -> Vec<Source> {
    let mut sources: Vec<Source> = Vec::with_capacity(passages.len());
    let mut run = Run::default();
    for passage in passages {
        let source = of_passage(passage, pipeline.map(str::to_owned));
        match run.known(&source) {
            Some(bytes) if bytes >= source.text.len() => {}
            Some(bytes) => {
                run.text.push_str(source.text.get(bytes..).unwrap_or_default());
                sources.extend(without_beginning(&source, bytes));
            }
            None => {
                run = Run { start: source.start, text: source.text.clone() };
                sources.push(source);
            }
        }
    }
    sources
}

/// A text without a gap, as far as it has been read.
#[derive(Default)]
struct Run {
    start: u64,
    text: String,
}

impl Run {
    /// How many bytes of a source it has already; `None` where the source does not go on from it, or, of another version of the
    /// document, does not agree with it.
    fn known(&self, source: &Source) -> Option<usize> {
        let exact = source.end.checked_sub(source.start) == Some(source.text.len() as u64);
        let from = usize::try_from(source.start.checked_sub(self.start)?).ok()?;
        let known = self.text.get(from..).filter(|known| exact && !known.is_empty())?;
        if known.starts_with(&source.text) {
            return Some(source.text.len());
        }
        source.text.starts_with(known).then_some(known.len())
    }
}

/// The first parts of a stream, to know whether there is one alone.
pub(super) async fn first_two<S: Stream<Item = Result<(Part, Counted), Error>> + Unpin>(
    parts: &mut S,
) -> Result<(Option<(Part, Counted)>, Option<(Part, Counted)>), Error> {
    let first = parts.try_next().await?;
    let second = if first.is_some() { parts.try_next().await? } else { None };
    Ok((first, second))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice, reason = "a failed test panics")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn passage(text: &str, start: usize, end: usize) -> Passage {
        let lines = |at: usize| text[..at].matches('\n').count() as u32 + 1;
        let value = serde_json::json!({"uri": "a.md", "start": start, "end": end, "lines": [lines(start), lines(end)], "index": 0,
            "text": &text[start..end], "modified": 1});
        serde_json::from_value(value).unwrap()
    }

    proptest! {
        #[test]
        fn every_byte_of_every_passage_is_read_once(
            text in "[a-z 界\n]{1,120}",
            cuts in prop::collection::vec((0.0..1.0, 0.0..1.0), 1..10),
        ) {
            let at = |share: f64| text.floor_char_boundary((share * text.len() as f64) as usize);
            let mut ranges: Vec<(usize, usize)> =
                cuts.into_iter().map(|(a, b)| (at(f64::min(a, b)), at(f64::max(a, b)))).filter(|(a, b)| a < b).collect();
            ranges.sort_unstable();
            let sources = without_overlaps(ranges.iter().map(|(start, end)| passage(&text, *start, *end)).collect(), None);
            let mut times = vec![0; text.len()];
            for source in &sources {
                prop_assert_eq!(&text[source.start as usize..source.end as usize], &source.text);
                (source.start..source.end).for_each(|byte| times[byte as usize] += 1);
                prop_assert_eq!(source.lines.0, text[..source.start as usize].matches('\n').count() as u32 + 1);
            }
            for (byte, times) in times.iter().enumerate() {
                let wanted = ranges.iter().any(|(start, end)| (*start..*end).contains(&byte));
                prop_assert_eq!(*times, i32::from(wanted), "byte {}", byte);
            }
        }
    }

    #[test]
    fn what_does_not_agree_is_read_as_it_is() {
        let mut passages = vec![passage("one two three", 0, 7), passage("one two three", 4, 13)];
        passages[1].text = "TWO three".into();
        let texts: Vec<String> = without_overlaps(passages, Some("docs")).into_iter().map(|source| source.text).collect();
        assert_eq!(texts, ["one two", "TWO three"]);
    }
}
