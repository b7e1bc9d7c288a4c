//! The part that most paragraphs stand in, of a page that does not say where its text is.

use super::marks::Marks;
use super::marks::level;
use super::measure::Measures;
use crate::parse::html::tree::{Id, Tree};

/// Letters of what may stand around a heading in a box of its own.
const HEAD: u64 = 40;

/// The box that most paragraphs stand in, if what is around it is mostly links or next to nothing; of a section that begins with the
/// heading of the page, all.
pub(super) fn within(tree: &Tree, marks: &Marks, measures: &Measures, part: Id) -> Option<Id> {
    let mut own = vec![0u64; tree.len()];
    let mut walk = tree.all(part);
    while let Some(id) = walk.next() {
        if marks.has(id) {
            walk.skip_below(id);
        } else if matches!(tree.name(id), "p" | "pre" | "ul" | "ol" | "blockquote" | "table" | "h2" | "h3") {
            let prose = measures.of_node(id).prose;
            for (above, share) in tree.above(id).zip([2, 1]) {
                if let Some(sum) = own.get_mut(above as usize) {
                    *sum += prose * share;
                }
            }
            walk.skip_below(id);
        }
    }
    let best = (0..tree.len() as Id).max_by_key(|&id| own.get(id as usize).copied().unwrap_or(0))?;
    if best == part || !tree.above(best).any(|id| id == part) {
        return None;
    }
    let best = headed(tree, marks, measures, best, part);
    let (all, here) = (measures.of_node(part), measures.of_node(best));
    let (rest, linked) = (all.letters.saturating_sub(here.letters), all.linked.saturating_sub(here.linked));
    let most = if linked * 100 >= rest * 35 { 55 } else { 90 };
    (all.prose >= 500 && here.prose * 100 >= all.prose * most).then_some(best)
}

/// The box of the section that a part is of: the one around it in which the page's heading stands before it, an `<h1>` or the
/// highest that there is. What leads to a part is of it. The part itself if it has such a heading.
fn headed(tree: &Tree, marks: &Marks, measures: &Measures, best: Id, part: Id) -> Id {
    let highest = |within: Id| {
        let mut found: Option<(u8, Id)> = None;
        let mut walk = tree.all(within);
        while let Some(id) = walk.next() {
            if id == best && within != best {
                break;
            }
            if marks.has(id) {
                walk.skip_below(id);
            } else if let Some(level) = level(tree, id).filter(|level| found.is_none_or(|(highest, _)| *level <= highest)) {
                found = Some((level, id));
            }
        }
        found
    };
    let Some((level, heading)) = highest(part) else { return best };
    if highest(best).is_some_and(|(own, _)| own <= level) {
        return best;
    }
    let mut before = best;
    for around in tree.above(best).take_while(|&id| id != part) {
        let mut ahead = tree.children(around).take_while(|&id| id != before);
        let head = ahead.find(|&id| id == heading || tree.above(heading).any(|above| above == id));
        if let Some(head) = head {
            // A box of the heading and a line or two, not the head of a site.
            let more = measures.of_node(head).letters.saturating_sub(measures.of_node(heading).letters);
            return if more <= HEAD { around } else { best };
        }
        before = around;
    }
    best
}
