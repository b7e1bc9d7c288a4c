//! What of a page is left out.

use crate::parse::html::tree::{Id, Tree};

/// Nodes that are looked through for one of a kind: boxes within boxes must not take the square of their number.
pub(super) const MAX_LOOK: usize = 3000;

/// Nodes that are left out, with all below them.
pub(super) struct Marks {
    marked: Vec<bool>,
}

impl Marks {
    pub(super) fn none(tree: &Tree) -> Self {
        Self { marked: vec![false; tree.len()] }
    }

    pub(super) fn has(&self, id: Id) -> bool {
        self.marked.get(id as usize).copied().unwrap_or(false)
    }

    pub(super) fn set(&mut self, id: Id) {
        if let Some(mark) = self.marked.get_mut(id as usize) {
            *mark = true;
        }
    }

    pub(super) fn into_left_out(self) -> Vec<bool> {
        self.marked
    }
}

/// Whether there is a listing.
pub(super) fn holds_code(tree: &Tree, id: Id) -> bool {
    tree.all(id).take(MAX_LOOK).any(|id| tree.name(id) == "pre")
}

/// Whether there is a listing or a table of values, which furniture has not.
pub(super) fn holds_listing(tree: &Tree, id: Id) -> bool {
    tree.all(id).take(MAX_LOOK).any(|id| matches!(tree.name(id), "pre" | "th"))
}

/// The level of a heading.
pub(super) fn level(tree: &Tree, id: Id) -> Option<u8> {
    match tree.name(id).as_bytes() {
        [b'h', n @ b'1'..=b'6'] => Some(*n),
        _ => None,
    }
}
