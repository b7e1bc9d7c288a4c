//! Listings: `<pre>` and what sites make of it.

use super::tree::{Id, Tree};
use crate::parse::markdown::fence_for;

/// Whether it belongs to the page and not to the listing: numbers of lines, a button to copy it.
fn is_margin(tree: &Tree, id: Id) -> bool {
    if tree.name(id) == "button" || tree.attribute(id, "data-line-number").is_some() {
        return true;
    }
    let class = tree.attribute(id, "class").unwrap_or_default();
    let numbers = |class: &str| {
        matches!(class, "linenos" | "lineno" | "linenodiv" | "lnt" | "ln" | "gutter" | "blob-num" | "rouge-gutter")
            || class.contains("line-number")
            || class.contains("ln-numbers")
    };
    class.split_ascii_whitespace().any(numbers)
        && tree
            .all(id)
            .take(5000)
            .filter_map(|id| tree.text(id))
            .all(|text| text.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_whitespace()))
}

/// A table of one listing: a column of line numbers and one of code, or a row for each line.
pub(super) fn is_listing_table(tree: &Tree, table: Id) -> bool {
    tree.all(table).any(|id| match tree.name(id) {
        "td" | "th" => {
            let class = tree.attribute(id, "class").unwrap_or_default();
            let classes = ["linenos", "gutter", "blob-num", "hljs-ln-numbers", "rouge-gutter", "lntd"];
            class.split_ascii_whitespace().any(|class| classes.contains(&class))
                || tree.attribute(id, "data-line-number").is_some()
        }
        _ => false,
    })
}

/// Fenced; empty if there is nothing in it.
pub(super) fn listing(tree: &Tree, id: Id) -> String {
    let code = content(tree, id);
    let code = code.strip_prefix('\n').unwrap_or(&code).trim_end();
    if code.trim().is_empty() {
        return String::new();
    }
    let fence = fence_for(code);
    format!("{fence}{}\n{code}\n{fence}", language(tree, id).unwrap_or_default())
}

/// The text as shown: a block within is a line of its own.
fn content(tree: &Tree, root: Id) -> String {
    let mut out = String::new();
    let mut walk = tree.all(root);
    // What comes after the blocks that are open: there a line ends.
    let mut ends: Vec<Id> = Vec::new();
    while let Some(id) = walk.next() {
        while ends.pop_if(|end| *end == id).is_some() {
            end_line(&mut out);
        }
        if let Some(text) = tree.text(id) {
            let in_row = tree.parent(id).is_some_and(|parent| matches!(tree.name(parent), "table" | "tbody" | "tr"));
            if !in_row {
                out.extend(
                    text.chars()
                        .filter(|c| !matches!(c, '\u{200b}' | '\u{feff}' | '\r'))
                        .map(|c| if c == '\u{a0}' { ' ' } else { c }),
                );
            }
            continue;
        }
        match tree.name(id) {
            _ if id != root && is_margin(tree, id) => walk.skip_below(id),
            "br" => out.push('\n'),
            "script" | "style" | "template" => walk.skip_below(id),
            "div" | "p" | "li" | "tr" if id != root => {
                end_line(&mut out);
                ends.extend(walk.past(id));
            }
            _ => {}
        }
    }
    out
}

fn end_line(out: &mut String) {
    if !out.is_empty() && !out.ends_with('\n') {
        out.push('\n');
    }
}

/// The language that a class names, here, within or just around.
fn language(tree: &Tree, id: Id) -> Option<&str> {
    let around = tree.above(id).take(3).filter(|&id| {
        // Only what is wrapped around this listing alone.
        tree.children(id).filter(|&child| tree.is_element(child)).count() <= 2
    });
    let within = tree.all(id).filter(|&id| tree.name(id) == "code").take(1);
    std::iter::once(id).chain(within).chain(around).find_map(|id| {
        let named = tree
            .attribute(id, "data-lang")
            .or_else(|| tree.attribute(id, "data-language"))
            .or_else(|| tree.attribute(id, "lang").filter(|_| tree.name(id) == "code"));
        named
            .into_iter()
            .chain(tree.attribute(id, "class").unwrap_or_default().split_ascii_whitespace().filter_map(of_class))
            .find(|name| is_language(name))
    })
}

fn of_class(class: &str) -> Option<&str> {
    ["language-", "lang-", "highlight-source-", "highlight-", "brush:", "sourceCode-"]
        .iter()
        .find_map(|prefix| class.strip_prefix(prefix))
}

fn is_language(name: &str) -> bool {
    (1..=20).contains(&name.len())
        && !matches!(
            name,
            "default"
                | "none"
                | "plaintext"
                | "plain"
                | "text"
                | "txt"
                | "box"
                | "light"
                | "dark"
                | "wrapper"
                | "container"
                | "copy"
                | "block"
        )
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"+#-_.".contains(&b))
}
