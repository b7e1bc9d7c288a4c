//! What stands on many pages of the site, as someone knows who has seen them: leaves it out where it surrounds the text.

use super::marks::Marks;
use crate::parse::html::blocks::{self, Block};
use crate::parse::html::seen;
use crate::parse::html::tree::{Id, ROOT, Tree};

/// Letters of a block from which on it is more than a label.
const SUBSTANCE: usize = 60;
/// Letters of a label among links.
const LABEL: usize = 100;

/// What one box and all in it holds.
#[derive(Debug, Clone, Copy, Default)]
struct Held {
    /// Blocks of the page, and those of them that are the site's.
    blocks: u32,
    repeated: u32,
    /// Listings, paragraphs and headings that are the page's own; labels that are too long to be links.
    substance: u32,
    letters: usize,
    linked: usize,
}

/// Marks blocks and boxes that the site repeats.
///
/// Of what stands between the first and the last own paragraph or heading only boxes of links are furniture: "Returns" may be
/// on every page, and is a part of each. A table or a list goes as a whole or not at all.
pub(super) fn mark(tree: &Tree, marks: &mut Marks, is_repeated: &dyn Fn(u64) -> bool) {
    let mut blocks: Vec<(Block, bool)> = blocks::of(tree)
        .into_iter()
        .filter(|block| !marks.has(block.id) && !tree.above(block.id).any(|id| marks.has(id)))
        .map(|block| {
            let repeated = block.signature == 0 || is_repeated(block.signature);
            (block, repeated)
        })
        .collect();
    keep_headings(tree, &mut blocks);
    let substance: Vec<bool> = blocks.iter().map(|(block, repeated)| !repeated && is_substance(tree, block)).collect();
    let held = held(tree, &blocks, &substance);
    // Where the text is: from the first own block that says something to the last one.
    let own = |at: &usize| substance.get(*at).copied().unwrap_or(false);
    let places = 0..blocks.len();
    let text = match (places.clone().find(own), places.rev().find(own)) {
        (Some(first), Some(last)) => first..last + 1,
        // Labels are all that it says of its own.
        _ => 0..0,
    };
    let at = |id: Id| held.get(id as usize).copied().unwrap_or_default();
    for (n, (block, repeated)) in blocks.iter().enumerate() {
        let Some(unit) = unit(tree, block.id, &at) else { continue };
        let inside = text.contains(&n);
        if marks.has(unit) {
            continue;
        }
        let here = at(unit);
        let links = here.linked * 2 >= here.letters;
        if unit != block.id && (links || !inside) {
            marks.set(unit);
        } else if *repeated && !inside && unit == block.id && is_free(tree.name(unit)) {
            mark_own(tree, block.id, here, marks);
        }
    }
}

/// The largest box around a block that holds nothing else of the page's own than labels; the block itself if there is none.
fn unit(tree: &Tree, block: Id, held: &dyn Fn(Id) -> Held) -> Option<Id> {
    let kept = |id: Id| matches!(tree.name(id), "body" | "html" | "main" | "article" | "");
    let around = tree.above(block).take_while(|&id| !kept(id) && held(id).substance == 0);
    let largest = around
        .filter(|&id| is_furniture_box(held(id)) && !matches!(tree.name(id), "tr" | "tbody" | "thead" | "td" | "th"))
        .last();
    largest.or_else(|| (!kept(block) && block != ROOT).then_some(block))
}

/// Whether half of a box or more is the site's, and the rest labels.
fn is_furniture_box(held: Held) -> bool {
    held.substance == 0 && held.repeated > 0 && held.repeated * 2 >= held.blocks
}

/// Makes the page's own the headings that something of its own stands below.
fn keep_headings(tree: &Tree, blocks: &mut [(Block, bool)]) {
    let mut own = false;
    for (block, repeated) in blocks.iter_mut().rev() {
        if is_heading(tree.name(block.id)) {
            *repeated &= !own;
            own = false;
        } else {
            own |= !*repeated;
        }
    }
}

/// Whether a block may go by itself: a cell, an item and a term are parts of something.
fn is_free(name: &str) -> bool {
    !matches!(name, "td" | "th" | "li" | "dt" | "dd" | "pre" | "caption" | "figcaption" | "option")
}

/// Marks a box, or what it says by itself where boxes in it say more.
fn mark_own(tree: &Tree, id: Id, held: Held, marks: &mut Marks) {
    if held.blocks <= 1 {
        marks.set(id);
        return;
    }
    for child in tree.children(id) {
        if tree.text(child).is_some() || !tree.all(child).any(|id| seen::is_block(tree.name(id))) {
            marks.set(child);
        }
    }
}

fn is_heading(name: &str) -> bool {
    matches!(name, "h1" | "h2" | "h3" | "h4" | "h5" | "h6")
}

/// Whether a block says something by itself, so that it is no label of a way through the site.
fn is_substance(tree: &Tree, block: &Block) -> bool {
    let name = tree.name(block.id);
    let linked = block.linked * 2 > block.letters;
    name == "pre" || (is_heading(name) && !linked) || block.letters >= if linked { LABEL } else { SUBSTANCE }
}

fn held(tree: &Tree, blocks: &[(Block, bool)], substance: &[bool]) -> Vec<Held> {
    let mut held = vec![Held::default(); tree.len()];
    for ((block, repeated), substance) in blocks.iter().zip(substance) {
        for id in [block.id].into_iter().chain(tree.above(block.id)) {
            if let Some(held) = held.get_mut(id as usize) {
                held.blocks += 1;
                held.repeated += u32::from(*repeated);
                held.substance += u32::from(*substance);
                held.letters += block.letters;
                held.linked += block.linked;
            }
        }
    }
    held
}
