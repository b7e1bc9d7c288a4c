//! Teasers: boxes that show other pages, a headline that is a link and a line or two below it.

use super::marks::{Marks, holds_listing};
use super::measure::Measures;
use crate::parse::html::tree::{Id, Tree};

/// Headlines in a box.
#[derive(Debug, Clone, Copy, Default)]
struct Heads {
    all: u32,
    linked: u32,
}

/// Marks boxes in which most headlines are links, as long as they are the smaller part of the page.
pub(super) fn mark(tree: &Tree, part: Id, marks: &mut Marks, measures: &Measures) {
    let total = measures.of_node(part);
    let mut heads = vec![Heads::default(); tree.len()];
    let order: Vec<Id> = tree.all(part).collect();
    for &id in order.iter().rev() {
        let headline = matches!(tree.name(id), "h2" | "h3" | "h4" | "h5" | "h6");
        let Some(here) = heads.get_mut(id as usize) else { continue };
        if headline {
            *here = Heads { all: 1, linked: u32::from(is_linked(tree, id)) };
        }
        let here = *here;
        if id != part
            && !marks.has(id)
            && let Some(above) = tree.parent(id).and_then(|parent| heads.get_mut(parent as usize))
        {
            above.all += here.all;
            above.linked += here.linked;
        }
    }
    let mut before = 0;
    let mut walk = tree.all(part);
    while let Some(id) = walk.next() {
        if tree.text(id).is_some() {
            before += measures.of_node(id).letters;
        }
        if marks.has(id) {
            walk.skip_below(id);
            continue;
        }
        let here = heads.get(id as usize).copied().unwrap_or_default();
        let size = measures.of_node(id);
        let smaller = size.prose * 100 <= total.prose * 30 && size.letters * 100 <= total.letters * 40;
        // Links to what a page lists stand in its midst; those to what else there is, at its end or before it.
        let aside = before * 100 >= total.letters * 60 || before * 20 <= total.letters;
        if id != part
            && aside
            && here.linked >= 2
            && here.linked * 5 >= here.all * 4
            && smaller
            && !holds_listing(tree, id)
            && !matches!(tree.name(id), "table" | "tr" | "td" | "dl")
        {
            marks.set(id);
            walk.skip_below(id);
        }
    }
}

/// Whether all of a headline leads to another page.
fn is_linked(tree: &Tree, headline: Id) -> bool {
    let leads = |id: Id| {
        tree.name(id) == "a"
            && tree.attribute(id, "href").is_some_and(|href| !href.trim().starts_with('#') && !href.trim().is_empty())
    };
    if tree.above(headline).take(3).any(leads) {
        return true;
    }
    let mut linked = false;
    let mut walk = tree.all(headline);
    while let Some(id) = walk.next() {
        if leads(id) {
            linked = true;
            walk.skip_below(id);
        } else if tree.text(id).is_some_and(|text| text.chars().any(char::is_alphanumeric)) {
            return false;
        }
    }
    linked
}
