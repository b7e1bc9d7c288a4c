//! Within the main part: sections about other pages, and what stands beside the text without being one.

use super::marks::{MAX_LOOK, Marks, holds_listing, level};
use super::measure::{Measure, Measures};
use super::phrases::{is_of_other_pages, points};
use crate::parse::html::tree::{Id, ROOT, Tree};

/// Letters of a heading that says what a section is for, at most.
const LABEL: usize = 60;
/// Letters of a paragraph that points to another page, at most.
const POINTER: u64 = 300;
/// Letters of a sentence that are in no link, at least.
const SENTENCE: u64 = 40;
/// Nodes below a label that are looked at.
const MAX_LINKS_BELOW: usize = 40;

/// Leaves out sections that their headings give away: what else there is to read, who wrote it, where to subscribe.
pub(super) fn sections(tree: &Tree, parts: &[Id], marks: &mut Marks, measures: &Measures) {
    let total: u64 = parts.iter().map(|&part| measures.of_node(part).prose).sum();
    for &part in parts {
        let mut walk = tree.all(part);
        while let Some(id) = walk.next() {
            if marks.has(id) {
                walk.skip_below(id);
                continue;
            }
            // Letters of scripts without blanks count threefold.
            if measures.of_node(id).letters > 3 * LABEL as u64 {
                continue;
            }
            let Some(label) = label(tree, id) else { continue };
            let Some(sure) = is_of_other_pages(&label) else { continue };
            section(tree, id, part, sure, total, marks, measures);
            if marks.has(id) {
                walk.skip_below(id);
            }
        }
    }
}

/// The words of a heading, or of a short paragraph that is all of its box's beginning.
fn label(tree: &Tree, id: Id) -> Option<String> {
    let name = tree.name(id);
    let heading = matches!(name, "h1" | "h2" | "h3" | "h4" | "h5" | "h6");
    if !heading && !matches!(name, "p" | "div" | "span" | "strong" | "b" | "header" | "legend" | "dt") {
        return None;
    }
    let mut words = String::new();
    for id in tree.all(id).skip(1).take(500) {
        if let Some(text) = tree.text(id) {
            words.push_str(text);
            words.push(' ');
        }
        if words.len() > 4 * LABEL {
            return None;
        }
    }
    let words = words.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
    let words = words.trim_matches(|c: char| !c.is_alphanumeric()).to_owned();
    (!words.is_empty() && words.chars().count() <= LABEL).then_some(words)
}

/// Marks the section that a label begins.
fn section(tree: &Tree, label: Id, part: Id, sure: bool, total: u64, marks: &mut Marks, measures: &Measures) {
    let small = |prose: u64| prose * 100 <= total * if sure { 25 } else { 10 };
    let linked = |letters: u64, linked: u64| sure || linked * 10 > letters * 4;
    // The box that holds nothing before the label.
    let mut whole = label;
    while let Some(parent) = tree.parent(whole)
        && whole != part
        && parent != ROOT
        && parent != part
        && tree
            .children(parent)
            .take(200)
            .take_while(|&child| child != whole)
            .all(|child| marks.has(child) || is_blank(tree, child, measures))
        && small(measures.of_node(parent).prose)
    {
        whole = parent;
    }
    let here = measures.of_node(whole);
    if whole != label && here.letters > measures.of_node(label).letters + 10 {
        if (linked(here.letters, here.linked) || asks(tree, whole)) && !holds_listing(tree, whole) {
            marks.set(whole);
        }
        return;
    }
    // Or what follows, up to the next heading.
    let level = level(tree, whole).or_else(|| tree.all(whole).find_map(|id| level(tree, id)));
    let Some(level) = level else {
        if sure {
            links_below(tree, whole, marks, measures);
        }
        return;
    };
    let mut rest = vec![whole];
    let mut next = tree.after(whole);
    while let Some(id) = next {
        if tree.all(id).take(200).find_map(|id| super::marks::level(tree, id)).is_some_and(|found| found <= level) {
            break;
        }
        rest.push(id);
        next = tree.after(id);
    }
    let sum =
        rest.iter().map(|&id| measures.of_node(id)).fold((0, 0, 0), |(a, b, c), m| (a + m.letters, b + m.linked, c + m.prose));
    if small(sum.2)
        && (linked(sum.0, sum.1) || rest.iter().any(|&id| asks(tree, id)))
        && !rest.iter().any(|&id| holds_listing(tree, id))
    {
        for id in rest {
            marks.set(id);
        }
    }
}

/// Whether something is asked of the reader: where to send the newsletter, what to say of the text.
fn asks(tree: &Tree, id: Id) -> bool {
    tree.all(id).take(MAX_LOOK).any(|id| {
        tree.name(id) == "textarea"
            || (tree.name(id) == "input" && matches!(tree.attribute(id, "type"), None | Some("email" | "text")))
    })
}

/// Marks a label that is no heading, and the links that follow it.
fn links_below(tree: &Tree, label: Id, marks: &mut Marks, measures: &Measures) {
    let mut rest = Vec::new();
    let mut next = tree.after(label);
    while let Some(id) = next.filter(|_| rest.len() < MAX_LINKS_BELOW) {
        let here = measures.of_node(id);
        if here.letters > 0 && (here.linked * 10 < here.letters * 7 || holds_listing(tree, id)) {
            break;
        }
        rest.push(id);
        next = tree.after(id);
    }
    if rest.iter().any(|&id| measures.of_node(id).letters > 0) {
        for id in rest.into_iter().chain([label]) {
            marks.set(id);
        }
    }
}

/// Marks paragraphs of an article that point to others: "Read more: …".
pub(super) fn pointers(tree: &Tree, parts: &[Id], marks: &mut Marks, measures: &Measures) {
    for &part in parts {
        let mut walk = tree.all(part);
        while let Some(id) = walk.next() {
            let here = measures.of_node(id);
            if marks.has(id)
                || (matches!(tree.name(id), "p" | "div" | "li") && here.letters <= POINTER && is_pointer(tree, id, here))
            {
                marks.set(id);
                walk.skip_below(id);
            }
        }
    }
}

fn is_pointer(tree: &Tree, id: Id, here: Measure) -> bool {
    let words: String = tree.all(id).take(100).filter_map(|id| tree.text(id)).collect::<Vec<_>>().join(" ");
    let words = words.split_whitespace().take(4).collect::<Vec<_>>().join(" ").to_lowercase();
    here.linked * 2 > here.letters && points(words.trim_start_matches(|c: char| !c.is_alphanumeric()))
}

/// Whether it ends as a sentence does, or as what leads to a list: a warning of a few words is one, a label is none.
fn is_sentence(tree: &Tree, id: Id) -> bool {
    let last = tree.all(id).take(MAX_LOOK).filter_map(|id| tree.text(id)).filter(|text| !text.trim().is_empty()).last();
    last.is_some_and(|text| text.trim_end().ends_with(['.', '!', '?', ':', '。', '！', '？', '：', '…']))
}

fn is_blank(tree: &Tree, id: Id, measures: &Measures) -> bool {
    tree.text(id).is_none_or(|text| text.trim().is_empty()) && measures.of_node(id).letters == 0
}

/// Follows the text down to the box that holds most of it, and leaves out what stands beside the boxes on the way without
/// being text: lists of links, labels, forms. Paragraphs, listings, tables and headings of the page stay; of what is no
/// article also short ones, and lists of links right below.
pub(super) fn beside(tree: &Tree, part: Id, is_article: bool, marks: &mut Marks, measures: &Measures) {
    let whole = measures.of_node(part);
    let total = whole.prose;
    // Lists of goods and of headlines have little else.
    if total < 500 || total * 2 < whole.letters {
        return;
    }
    let mut at = part;
    loop {
        let child = tree.children(at).filter(|&id| !marks.has(id)).max_by_key(|&id| measures.of_node(id).prose);
        let Some(child) = child.filter(|&id| measures.of_node(id).prose * 100 >= total * 75) else { return };
        let siblings: Vec<Id> = tree.children(at).filter(|&id| id != child && tree.is_element(id) && !marks.has(id)).collect();
        let mut kept = false;
        for id in siblings {
            let here = measures.of_node(id);
            let paragraph = !is_article && tree.name(id) == "p" && here.linked * 2 < here.letters;
            let introduced = std::mem::replace(&mut kept, paragraph || is_text(tree, id, measures));
            let listed = !is_article && introduced && is_list(tree, id);
            if !kept && !listed {
                marks.set(id);
            }
        }
        at = child;
    }
}

/// Whether it is a list, or a box that holds nothing else.
fn is_list(tree: &Tree, id: Id) -> bool {
    let mut only = id;
    for _ in 0..4 {
        if matches!(tree.name(only), "ul" | "ol") {
            return true;
        }
        let mut within = tree.children(only).filter(|&id| tree.text(id).is_none_or(|text| !text.trim().is_empty()));
        match (within.next(), within.next()) {
            (Some(child), None) => only = child,
            _ => return false,
        }
    }
    false
}

/// Whether it is a part of the text: prose, a list, a listing, a heading; and not mostly links, a form or a label.
fn is_text(tree: &Tree, id: Id, measures: &Measures) -> bool {
    let here = measures.of_node(id);
    if here.letters == 0 || level(tree, id).is_some() {
        return true;
    }
    let holds = |names: &[&str]| tree.all(id).take(MAX_LOOK).any(|id| names.contains(&tree.name(id)));
    if holds(&["pre", "table", "h1", "math", "dl"]) {
        return true;
    }
    // A sentence may name much that it links to.
    if tree.name(id) == "p" && here.letters.saturating_sub(here.linked) >= SENTENCE && is_sentence(tree, id) {
        return true;
    }
    here.linked * 2 < here.letters
        && (here.prose > 0 || here.letters >= 150 || holds(&["h2", "h3", "h4", "ul", "ol"]) || is_sentence(tree, id))
        && !(here.prose == 0 && holds(&["input", "textarea"]))
}
