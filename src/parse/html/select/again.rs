//! Paragraphs that a page says again right after it has said them: the captions of galleries, which have one for each size of a
//! picture.

use std::collections::VecDeque;

use super::marks::Marks;
use crate::parse::html::blocks;
use crate::parse::html::seen;
use crate::parse::html::tree::{Id, Tree};

/// Letters from which on a paragraph is no label: those are repeated for good reasons.
const PARAGRAPH: usize = 60;
/// Blocks within which it is said again.
const NEAR: usize = 12;

/// Marks those said again under the same heading. What stands in lists, tables and listings is repeated on purpose.
pub(super) fn mark(tree: &Tree, parts: &[Id], marks: &mut Marks) {
    let mut near: VecDeque<u64> = VecDeque::with_capacity(NEAR);
    for block in blocks::of(tree) {
        let id = block.id;
        let inside = parts.contains(&id) || tree.above(id).any(|above| parts.contains(&above));
        if !inside || marks.has(id) || tree.above(id).any(|above| marks.has(above)) {
            continue;
        }
        let name = tree.name(id);
        if matches!(name, "h1" | "h2" | "h3" | "h4" | "h5" | "h6") {
            near.clear();
            continue;
        }
        let paragraph = matches!(name, "p" | "div" | "figcaption" | "section" | "figure")
            && block.letters >= PARAGRAPH
            && !tree.above(id).any(|above| matches!(tree.name(above), "table" | "dd" | "pre" | "blockquote"));
        if paragraph && near.contains(&block.signature) {
            if !tree.all(id).skip(1).any(|below| seen::is_block(tree.name(below))) {
                marks.set(id);
            }
            continue;
        }
        if near.len() == NEAR {
            near.pop_front();
        }
        near.push_back(block.signature);
    }
}
