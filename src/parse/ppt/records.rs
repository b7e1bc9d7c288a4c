//! The records of old presentations and drawings.

use super::super::compound::{u16_at, u32_at};

/// Records within records.
const MAX_DEPTH: usize = 40;
/// Records that are found below one.
const MAX_FOUND: usize = 200_000;

#[derive(Debug, Clone, Copy)]
pub(super) struct Record<'a> {
    pub(super) kind: u16,
    pub(super) instance: u16,
    is_container: bool,
    pub(super) data: &'a [u8],
}

/// The records from some place on.
pub(super) fn records(bytes: &[u8], from: usize) -> impl Iterator<Item = Record<'_>> {
    let mut at = from;
    std::iter::from_fn(move || {
        let head = u16_at(bytes, at)?;
        let kind = u16_at(bytes, at.checked_add(2)?)?;
        let length = u32_at(bytes, at.checked_add(4)?)? as usize;
        let start = at.checked_add(8)?;
        at = start.checked_add(length)?;
        let data = bytes.get(start..at.min(bytes.len()))?;
        Some(Record { kind, instance: head >> 4, is_container: head & 15 == 15, data })
    })
}

impl<'a> Record<'a> {
    pub(super) fn children(&self) -> impl Iterator<Item = Record<'a>> + use<'a> {
        // Text boxes are containers without saying so.
        let data = if self.is_container || self.kind == 0xf00d { self.data } else { &[] };
        records(data, 0)
    }

    /// All records of some kinds below, in order.
    pub(super) fn all(&self, kinds: &[u16]) -> Vec<Record<'a>> {
        let mut found = Vec::new();
        self.gather(kinds, 0, &mut found);
        found
    }

    fn gather(&self, kinds: &[u16], depth: usize, found: &mut Vec<Record<'a>>) {
        for child in self.children() {
            if found.len() > MAX_FOUND {
                return;
            }
            if kinds.contains(&child.kind) {
                found.push(child);
            } else if depth < MAX_DEPTH {
                child.gather(kinds, depth + 1, found);
            }
        }
    }
}
