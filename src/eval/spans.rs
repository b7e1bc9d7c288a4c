//! How much of the marked answers is in the passages that a question gets, and how much else: token-wise recall, precision and
//! intersection over union, as Chroma's chunking evaluation defines them (Smith and Troynikov 2024).
//!
//! A ranking of documents says nothing of how they were cut: of a document of one passage any question finds all. Here a passage that
//! is too long costs precision, and one that ends too early recall.

use std::collections::BTreeMap;
use std::ops::Range;

/// A part of a document that answers a question.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Span {
    /// The document's path below the corpus.
    pub document: String,
    /// The bytes of its extracted text, as `search --json` counts them. Not empty.
    pub bytes: Range<u64>,
}

impl Span {
    /// Whether the two have bytes in common.
    pub fn meets(&self, other: &Self) -> bool {
        self.document == other.document && self.bytes.start < other.bytes.end && other.bytes.start < self.bytes.end
    }
}

/// How well a question's answers were covered by the passages that a model would read.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct SpanScore {
    /// Of the bytes of the answers, the share that was retrieved.
    pub recall: f64,
    /// Of the bytes that were retrieved, the share that belongs to an answer. What two passages share counts as often as it came.
    pub precision: f64,
    /// What is both, as a share of what is retrieved or an answer.
    pub iou: f64,
    /// Tokens that were retrieved.
    pub tokens: usize,
}

impl SpanScore {
    /// Scores what was found: of each passage the document and the bytes of it. Chroma's own script counts characters, which in a text
    /// of one script makes no difference.
    pub fn new(answers: &[Span], found: &[Span], tokens: usize) -> Self {
        let (answers, retrieved) = (united(answers), united(found));
        let hit: u64 =
            answers.iter().map(|(document, parts)| retrieved.get(document).map_or(0, |got| common(parts, got))).sum();
        let wanted: u64 = answers.values().flatten().map(length).sum();
        let got: u64 = found.iter().map(|span| length(&span.bytes)).sum();
        let share = |of: u64| if of == 0 { 0.0 } else { hit as f64 / of as f64 };
        Self { recall: share(wanted), precision: share(got), iou: share(got + wanted - hit), tokens }
    }
}

fn length(bytes: &Range<u64>) -> u64 {
    bytes.end.saturating_sub(bytes.start)
}

/// The bytes of each document, every one once, in order.
fn united(spans: &[Span]) -> BTreeMap<&str, Vec<Range<u64>>> {
    let mut all: BTreeMap<&str, Vec<Range<u64>>> = BTreeMap::new();
    for span in spans {
        all.entry(&span.document).or_default().push(span.bytes.clone());
    }
    for parts in all.values_mut() {
        parts.sort_unstable_by_key(|part| (part.start, part.end));
        parts.dedup_by(|next, last| {
            let touches = next.start <= last.end;
            if touches {
                last.end = last.end.max(next.end);
            }
            touches
        });
    }
    all
}

/// Bytes that are in both, each of which has every byte once.
fn common(one: &[Range<u64>], other: &[Range<u64>]) -> u64 {
    let shared = |a: &Range<u64>, b: &Range<u64>| length(&(a.start.max(b.start)..a.end.min(b.end)));
    one.iter().map(|a| other.iter().map(|b| shared(a, b)).sum::<u64>()).sum()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    fn span(document: &str, bytes: Range<u64>) -> Span {
        Span { document: document.to_owned(), bytes }
    }

    fn figures(answers: &[Span], found: &[Span]) -> [f64; 3] {
        let SpanScore { recall, precision, iou, .. } = SpanScore::new(answers, found, 0);
        [recall, precision, iou]
    }

    fn close(one: [f64; 3], other: [f64; 3]) -> bool {
        one.iter().zip(other).all(|(a, b)| (a - b).abs() < 1e-12)
    }

    #[test]
    fn figures_are_those_of_chroma() {
        // Worked by hand: 30 of 40 bytes in 100 that were retrieved, 20 of them from another document.
        let answers = [span("a", 10..30), span("a", 100..120)];
        let found = [span("a", 0..50), span("b", 0..20), span("a", 110..140)];
        assert!(close(figures(&answers, &found), [0.75, 0.3, 30.0 / 110.0]));
        // What came twice was paid for twice, and is found once.
        assert!(close(figures(&answers[..1], &[span("a", 0..30), span("a", 20..40)]), [1.0, 0.4, 0.4]));
        assert!(close(figures(&answers, &[]), [0.0; 3]));
        assert!(close(figures(&answers, &answers), [1.0; 3]));
    }

    #[test]
    fn another_documents_bytes_answer_nothing() {
        assert!(close(figures(&[span("a", 0..10)], &[span("b", 0..10)]), [0.0; 3]));
    }

    fn some() -> impl Strategy<Value = Vec<Span>> {
        let one = (prop::sample::select(vec!["a", "b"]), 0..40_u64, 1..20_u64);
        proptest::collection::vec(one.prop_map(|(document, start, length)| span(document, start..start + length)), 1..6)
    }

    fn bytes(spans: &[Span]) -> HashSet<(&str, u64)> {
        spans.iter().flat_map(|span| span.bytes.clone().map(|byte| (span.document.as_str(), byte))).collect()
    }

    proptest! {
        #[test]
        fn they_are_what_counting_byte_by_byte_gives(answers in some(), found in some()) {
            let (wanted, got) = (bytes(&answers), bytes(&found));
            let hit = wanted.intersection(&got).count() as f64;
            let read: f64 = found.iter().map(|span| span.bytes.clone().count() as f64).sum();
            let expected = [hit / wanted.len() as f64, hit / read, hit / (read + wanted.len() as f64 - hit)];
            prop_assert!(close(figures(&answers, &found), expected), "{:?} / {expected:?}", figures(&answers, &found));
        }
    }
}
