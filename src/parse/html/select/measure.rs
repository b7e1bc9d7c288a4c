//! How much text there is, and of what sort.

use super::marks::Marks;
use crate::parse::html::line::is_unspaced;
use crate::parse::html::seen;
use crate::parse::html::tree::{Id, ROOT, Tree};

/// Text of a paragraph from which on it is prose, in letters.
const PROSE: u64 = 60;

/// Of one node and all below it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Measure {
    /// Letters; those of scripts without blanks count as several.
    pub(super) letters: u64,
    /// Of these, in links.
    pub(super) linked: u64,
    /// Letters in paragraphs that are long and no lists of links, in listings and in tables.
    pub(super) prose: u64,
}

/// Of each node.
pub(super) struct Measures {
    all: Vec<Measure>,
}

impl Measures {
    /// Without what is marked.
    pub(super) fn of(tree: &Tree, marks: &Marks) -> Self {
        let mut all = vec![Measure::default(); tree.len()];
        let mut order = Vec::with_capacity(tree.len());
        // Text of the paragraph that each block is, without what blocks within it hold.
        let mut own = vec![(0u64, 0u64); tree.len()];
        let mut walk = tree.all(ROOT);
        let mut around: Vec<(Id, bool, Id)> = vec![(ROOT, false, ROOT); tree.len()];
        while let Some(id) = walk.next() {
            let name = tree.name(id);
            if marks.has(id)
                || seen::is_never_shown(name)
                || matches!(name, "script" | "template" | "noscript" | "button" | "select")
            {
                walk.skip_below(id);
                continue;
            }
            order.push(id);
            let (block, linked, _) =
                tree.parent(id).and_then(|parent| around.get(parent as usize).copied()).unwrap_or((ROOT, false, ROOT));
            let block = if seen::is_block(name) { id } else { block };
            let linked = linked || name == "a";
            if let Some(place) = around.get_mut(id as usize) {
                *place = (block, linked, id);
            }
            if let Some(text) = tree.text(id) {
                let letters = letters(text);
                if let Some(measure) = all.get_mut(id as usize) {
                    measure.letters = letters;
                    measure.linked = if linked { letters } else { 0 };
                }
                if let Some(own) = own.get_mut(block as usize) {
                    own.0 += letters;
                    own.1 += if linked { letters } else { 0 };
                }
            }
        }
        for &id in order.iter().rev() {
            let (letters, linked) = own.get(id as usize).copied().unwrap_or_default();
            let listed = matches!(tree.name(id), "pre" | "td" | "th" | "dd" | "dt");
            let prose = (letters >= PROSE || listed) && linked * 10 < letters * 5;
            let Some(measure) = all.get_mut(id as usize) else { continue };
            measure.prose += if prose { letters } else { 0 };
            let done = *measure;
            if let Some(above) = tree.parent(id).and_then(|parent| all.get_mut(parent as usize)) {
                above.letters += done.letters;
                above.linked += done.linked;
                above.prose += done.prose;
            }
        }
        Self { all }
    }

    pub(super) fn of_node(&self, id: Id) -> Measure {
        self.all.get(id as usize).copied().unwrap_or_default()
    }

    /// How much a part says: its prose, and a little of what else is no link.
    pub(super) fn weight(&self, id: Id) -> u64 {
        let measure = self.of_node(id);
        measure.prose * 4 + (measure.letters - measure.linked.min(measure.letters))
    }
}

fn letters(text: &str) -> u64 {
    text.chars().map(|c| if is_unspaced(c) { 3 } else { u64::from(!c.is_whitespace()) }).sum()
}
