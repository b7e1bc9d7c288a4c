//! What the readers of parts have found: lines of notes, with the sources that each rests on.
//!
//! A reader numbers the sources of its own part. Here a line has the sources themselves, so that it can go anywhere, and gets its numbers
//! when it is shown again.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use crate::answer::cite::{Piece, Scanner};
use crate::answer::source::Source;

/// Sources that notes may cite together: numbers have three digits.
pub(super) const MOST_CITED: usize = 999;

/// One finding.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Line(Vec<Bit>);

#[derive(Debug, Clone, PartialEq)]
enum Bit {
    Text(String),
    Cited(Vec<Arc<Source>>),
}

/// The findings of a reader that was given these sources, numbered from 1. `cut`: the last line is not whole, and does not count.
pub(super) fn read(text: &str, sources: &[Arc<Source>], cut: bool) -> Vec<Line> {
    let mut scanner = Scanner::new(sources.len());
    let mut pieces = scanner.push(text);
    pieces.extend(scanner.finish());
    let mut lines = vec![Line(Vec::new())];
    for piece in pieces {
        match piece {
            Piece::Text(text) => {
                for (n, part) in text.split('\n').enumerate() {
                    if n > 0 {
                        lines.push(Line(Vec::new()));
                    }
                    if let (Some(line), false) = (lines.last_mut(), part.is_empty()) {
                        match line.0.last_mut() {
                            // A number that no source has stood between.
                            Some(Bit::Text(text)) => text.push_str(part),
                            _ => line.0.push(Bit::Text(part.to_owned())),
                        }
                    }
                }
            }
            Piece::Citation { numbers, .. } => {
                let cited: Vec<Arc<Source>> =
                    numbers.iter().filter_map(|n| sources.get(n.checked_sub(1)?)).map(Arc::clone).collect();
                if let (Some(line), false) = (lines.last_mut(), cited.is_empty()) {
                    line.0.push(Bit::Cited(cited));
                }
            }
        }
    }
    if cut && lines.len() > 1 {
        lines.pop();
    }
    lines.into_iter().filter_map(Line::tidied).collect()
}

impl Line {
    /// Without the mark of a list item; `None` where it says nothing.
    fn tidied(mut self) -> Option<Self> {
        if let Some(Bit::Text(first)) = self.0.first_mut() {
            let bare = first.trim_start().trim_start_matches(['-', '*', '•']).trim_start().to_owned();
            *first = bare;
        }
        if let Some(Bit::Text(last)) = self.0.last_mut() {
            last.truncate(last.trim_end().len());
        }
        let said = self.key();
        let nothing = ["", "none", "无", "無", "没有", "沒有", "nothing"].contains(&said.as_str());
        (!nothing).then_some(self)
    }

    /// What it says, however it is written: letters and digits alone.
    fn key(&self) -> String {
        let texts = self.0.iter().filter_map(|bit| if let Bit::Text(text) = bit { Some(text) } else { None });
        texts.flat_map(|text| text.chars()).filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
    }

    fn cited(&self) -> impl Iterator<Item = &Arc<Source>> {
        self.0.iter().flat_map(|bit| if let Bit::Cited(cited) = bit { cited.as_slice() } else { &[] })
    }
}

/// The same without lines that say the same again, whose sources go to the first of them.
pub(super) fn merged(lines: Vec<Line>) -> Vec<Line> {
    let mut known: HashMap<String, usize> = HashMap::new();
    let mut kept: Vec<Line> = Vec::with_capacity(lines.len());
    for line in lines {
        let key = line.key();
        if let Some(first) = known.get(&key).and_then(|at| kept.get_mut(*at)) {
            let new: Vec<Arc<Source>> = line
                .cited()
                .filter(|source| first.cited().all(|known| place(known) != place(source)))
                .map(Arc::clone)
                .collect();
            if !new.is_empty() {
                first.0.push(Bit::Cited(new));
            }
        } else {
            known.insert(key, kept.len());
            kept.push(line);
        }
    }
    kept
}

/// Where a source stands: by that it is known again.
fn place(source: &Source) -> (Option<&str>, &str, u64, u64) {
    (source.pipeline.as_deref(), &source.uri, source.start, source.end)
}

/// Notes as they are shown, and the sources that their numbers mean.
#[derive(Debug, Clone, Default)]
pub(super) struct Shown {
    /// A line a finding.
    pub(super) text: String,
    /// Numbered from 1, in the order of their first use; at most [`MOST_CITED`]: others are not cited.
    pub(super) sources: Vec<Arc<Source>>,
}

/// Shows notes.
pub(super) fn shown(lines: &[Line]) -> Shown {
    let mut shown = Shown::default();
    let mut numbers = HashMap::new();
    for line in lines {
        shown.text.push_str("- ");
        for bit in &line.0 {
            match bit {
                Bit::Text(text) => shown.text.push_str(text),
                Bit::Cited(sources) => {
                    for source in sources {
                        let n = match numbers.get(&place(source)) {
                            Some(n) => *n,
                            None if shown.sources.len() >= MOST_CITED => continue,
                            None => {
                                shown.sources.push(Arc::clone(source));
                                numbers.insert(place(source), shown.sources.len());
                                shown.sources.len()
                            }
                        };
                        // Writing to a string cannot fail.
                        let _ = write!(shown.text, "[{n}]");
                    }
                }
            }
        }
        shown.text.push('\n');
    }
    shown
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice, reason = "a failed test panics")]
mod tests {
    use super::*;

    fn sources(names: &[&str]) -> Vec<Arc<Source>> {
        let source = |name: &&str| Arc::new(Source { uri: (*name).to_owned(), end: 1, text: "x".into(), ..Source::default() });
        names.iter().map(source).collect()
    }

    fn uris(shown: &Shown) -> Vec<&str> {
        shown.sources.iter().map(|source| source.uri.as_str()).collect()
    }

    #[test]
    fn numbers_of_parts_become_numbers_of_all() {
        let first = read("- Fire in May [2].\n* Flood in June [1][2]\n", &sources(&["a", "b"]), false);
        let second = read("火灾发生在七月【1】。\n\n- [9] Storm [3-4]", &sources(&["c", "d", "e", "f"]), false);
        let shown = shown(&[first, second].concat());
        assert_eq!(shown.text, "- Fire in May [1].\n- Flood in June [2][1]\n- 火灾发生在七月[3]。\n- Storm [4][5]\n");
        assert_eq!(uris(&shown), ["b", "a", "c", "e", "f"]);
    }

    #[test]
    fn a_reader_who_found_nothing_has_no_notes() {
        for text in ["NONE", " none.\n", "无", "- NONE\n\n", "**NONE**", ""] {
            assert_eq!(read(text, &sources(&["a"]), false), [], "{text}");
        }
        assert_eq!(read("- None of the nodes failed [1]", &sources(&["a"]), false).len(), 1);
    }

    #[test]
    fn what_says_the_same_is_said_once_with_all_its_sources() {
        let one = read("- Fire in May 2025 [1]\n- Flood [2]", &sources(&["a", "b"]), false);
        let two = read("- fire in May, 2025. [1]\n- Fire in May 2026 [1]\n- Flood [1]", &sources(&["c"]), false);
        let merged = merged([one.clone(), one, two].concat());
        let shown = shown(&merged);
        assert_eq!(shown.text, "- Fire in May 2025 [1][2]\n- Flood [3][2]\n- Fire in May 2026 [2]\n");
        assert_eq!(uris(&shown), ["a", "c", "b"]);
    }

    #[test]
    fn a_line_that_was_cut_does_not_count() {
        let lines = read("- one [1]\n- two [1]\n- thr", &sources(&["a"]), true);
        assert_eq!(shown(&lines).text, "- one [1]\n- two [1]\n");
        assert_eq!(read("- on", &sources(&["a"]), true).len(), 1, "better than nothing");
    }

    #[test]
    fn no_more_is_cited_than_has_a_number() {
        let names: Vec<String> = (0..1200).map(|n| format!("{n}.md")).collect();
        let sources = sources(&names.iter().map(String::as_str).collect::<Vec<_>>());
        let text = (1..=900).map(|n| format!("- finding {n} [{n}]\n")).collect::<Vec<_>>().concat();
        let lines =
            [read(&text, &sources[..900], false), read(&text.replace("finding", "other"), &sources[300..], false)].concat();
        let shown = shown(&lines);
        assert_eq!((shown.sources.len(), shown.text.lines().count()), (MOST_CITED, 1800));
        assert!(shown.text.ends_with("- other 900 \n"), "a finding without a number is one still");
    }
}
