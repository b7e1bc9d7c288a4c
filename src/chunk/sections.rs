//! Packs small sections together. No cut lies across two groups, so that an edit in one leaves the others' chunks alone.

use std::ops::Range;

use super::outline::{Outline, Section};
use crate::tokenizer::TokenMap;

/// Sections with what is needed to pack them.
struct Packer<'a> {
    sections: &'a [Section],
    /// The tokens before each section, and before the text's end.
    tokens: Vec<usize>,
    /// For each section, the first one after it that is not below it.
    subtree_end: Vec<usize>,
    max_tokens: usize,
}

/// The text in groups of whole sections, ascending and without gaps.
///
/// A section that fits together with everything below it is kept with it. A group with less than a quarter of `max_tokens`
/// takes in the next section of the same parent, one with less than a sixteenth any next section, where that fits. A heading
/// without a text of its own goes with the section below it, even where both together have to be cut.
pub(super) fn groups(outline: &Outline, map: &TokenMap<'_>, max_tokens: usize) -> Vec<Range<usize>> {
    let text = map.text();
    let sections = outline.sections.as_slice();
    let tokens = sections.iter().map(|section| map.before(section.start)).chain([map.before(text.len())]).collect();
    let packer = Packer { sections, tokens, subtree_end: subtree_ends(sections), max_tokens };
    let mut groups = Vec::new();
    let mut first = 0;
    while let Some(opening) = sections.get(first) {
        let mut end = packer.whole_subtree(first, first).unwrap_or(first + 1);
        let mut bare = (first..end).all(|i| outline.is_bare(i, text));
        while let Some(next) = packer.grown(first, end, bare) {
            bare = bare && (end..next).all(|i| outline.is_bare(i, text));
            end = next;
        }
        let end_byte = sections.get(end).map_or(text.len(), |section| section.start);
        groups.push(opening.start..end_byte);
        first = end;
    }
    groups
}

impl Packer<'_> {
    /// The tokens of the sections `range`, as counted in the whole text.
    fn size(&self, range: Range<usize>) -> usize {
        let at = |i: usize| self.tokens.get(i).copied().unwrap_or_default();
        at(range.end).saturating_sub(at(range.start))
    }

    /// Where the subtree below `section` ends, if a group that starts at `first` has room for all of it.
    fn whole_subtree(&self, first: usize, section: usize) -> Option<usize> {
        let end = self.subtree_end.get(section).copied()?;
        (self.size(first..end) <= self.max_tokens).then_some(end)
    }

    /// The group's new end, if it should take in the section at `end`.
    fn grown(&self, first: usize, end: usize, bare: bool) -> Option<usize> {
        let next = self.sections.get(end)?;
        let opening = self.sections.get(first)?;
        let above = self.sections.get(end.checked_sub(1)?)?;
        let subtree = self.whole_subtree(first, end);
        if bare && next.level > above.level {
            return subtree.or(Some(end + 1));
        }
        let related = next.level > opening.level || (next.parent == opening.parent && next.parent.is_some());
        let enough = if related { self.max_tokens / 4 } else { self.max_tokens / 16 };
        if self.size(first..end) >= enough {
            return None;
        }
        subtree.or_else(|| (self.size(first..end + 1) <= self.max_tokens).then_some(end + 1))
    }
}

fn subtree_ends(sections: &[Section]) -> Vec<usize> {
    let mut ends = vec![sections.len(); sections.len()];
    let mut open: Vec<usize> = Vec::new();
    for (i, section) in sections.iter().enumerate() {
        while let Some(last) =
            open.pop_if(|last| sections.get(*last).is_some_and(|last| last.level >= section.level || last.level == 0))
        {
            if let Some(end) = ends.get_mut(last) {
                *end = i;
            }
        }
        open.push(i);
    }
    ends
}

#[cfg(test)]
#[allow(clippy::string_slice, reason = "tests fail by panicking")]
mod tests {
    use super::*;
    use crate::document::Markup;
    use crate::tokenizer::Tokenizer;
    use crate::tokenizer::TokenizerName;

    fn packed(text: &str, max_tokens: usize) -> Vec<&str> {
        let map = Tokenizer::get(TokenizerName::O200kBase).map(text);
        let outline = Outline::of(text, Markup::Markdown);
        groups(&outline, &map, max_tokens).into_iter().map(|group| &text[group]).collect()
    }

    #[test]
    fn a_small_document_is_one_group() {
        let text = "# T\n\na\n\n## A\n\nb\n\n## B\n\nc\n";
        assert_eq!(packed(text, 100), [text]);
    }

    #[test]
    fn a_filled_section_stands_alone_and_a_bare_heading_goes_with_the_next() {
        let body = "word ".repeat(60);
        let text = format!("# T\n\n## A\n\n{body}\n\n## B\n\n{body}\n");
        let b = text.find("## B").unwrap_or_default();
        assert_eq!(packed(&text, 100), [&text[..b], &text[b..]]);
    }

    #[test]
    fn siblings_are_packed_and_top_level_sections_are_not() {
        let small = "word ".repeat(10);
        let text = format!("# T\n\n## A\n{small}\n## B\n{small}\n## C\n{}\n# U\n{small}\n# V\n{small}\n", "word ".repeat(60));
        let at = |heading: &str| text.find(heading).unwrap_or_default();
        let (c, u, v) = (at("## C"), at("# U"), at("# V"));
        assert_eq!(packed(&text, 80), [&text[..c], &text[c..u], &text[u..v], &text[v..]]);
    }
}
