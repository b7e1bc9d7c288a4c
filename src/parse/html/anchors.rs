//! Names of places on a page: `page.html#install` leads to the heading that has the name.
//!
//! While the text is put together nobody knows where in it a heading will be. So a mark goes with it, of two characters that no
//! text has (Unicode keeps them for a program's own use) and a number between them; the marks are taken out of the finished text.

use super::seen;
use super::tree::{Id, Tree};
use crate::document::Anchor;

const OPEN: char = '\u{fdd0}';
const CLOSE: char = '\u{fdd1}';

/// Names of one page that are kept.
const MAX_NAMES: usize = 50_000;
/// Bytes of a name that is kept.
const MAX_NAME: usize = 500;
/// Boxes around a heading that may have its name.
const MAX_AROUND: usize = 8;
/// Nodes that are looked at to see whether something is empty, or has a name within.
const MAX_LOOK: usize = 50;

/// The names that were given out, by number.
#[derive(Debug, Default)]
pub(super) struct Names<'a> {
    names: Vec<&'a str>,
}

impl<'a> Names<'a> {
    /// A mark for a heading or a term; empty if it has no name.
    pub(super) fn mark(&mut self, tree: &'a Tree, id: Id) -> String {
        let Some(name) = name_of(tree, id).filter(|_| self.names.len() < MAX_NAMES) else { return String::new() };
        self.names.push(name);
        format!("{OPEN}{}{CLOSE}", self.names.len() - 1)
    }

    /// The text without marks, and where they were: the start of the line that each was on. Of several on a line the first.
    pub(super) fn take_out(&self, text: &str) -> (String, Vec<Anchor>) {
        let mut out = String::with_capacity(text.len());
        let mut anchors: Vec<Anchor> = Vec::new();
        let mut parts = text.split(OPEN);
        out.push_str(parts.next().unwrap_or_default());
        for part in parts {
            let (number, rest) = part.split_once(CLOSE).unwrap_or_default();
            let name = number.parse().ok().and_then(|number: usize| self.names.get(number));
            let Some(name) = name else {
                // The page's own.
                out.push(OPEN);
                out.push_str(part);
                continue;
            };
            let start = out.rfind('\n').map_or(0, |at| at + 1);
            if anchors.last().is_none_or(|last| last.start < start) {
                anchors.push(Anchor { start, id: (*name).to_owned() });
            }
            out.push_str(rest);
        }
        (out, anchors)
    }
}

/// The name that leads to a heading or a term: its own, that of what it is the title of, or one that stands in it or before it.
fn name_of(tree: &Tree, id: Id) -> Option<&str> {
    own(tree, id)
        .or_else(|| within(tree, id))
        .or_else(|| if tree.name(id) == "dt" { None } else { around(tree, id) })
        .or_else(|| right_before(tree, id))
}

fn own(tree: &Tree, id: Id) -> Option<&str> {
    let named = tree.attribute(id, "name").filter(|_| tree.name(id) == "a");
    [tree.attribute(id, "id"), named].into_iter().flatten().find(|name| is_usable(name))
}

fn is_usable(name: &str) -> bool {
    !name.is_empty() && name.len() <= MAX_NAME && !name.contains(|c: char| c.is_whitespace() || c.is_control())
}

/// `<h2><a name="x"></a>Title</h2>`, and the link to itself that a heading may have.
fn within(tree: &Tree, heading: Id) -> Option<&str> {
    let below = || tree.all(heading).skip(1).take(MAX_LOOK).filter(|&id| matches!(tree.name(id), "a" | "span"));
    let itself = |id: Id| {
        let target = tree.attribute(id, "href")?.trim().strip_prefix('#')?;
        (tree.name(id) == "a" && seen::is_double(tree, id) && is_usable(target)).then_some(target)
    };
    below()
        .find_map(|id| own(tree, id).filter(|_| tree.name(id) == "a"))
        .or_else(|| below().find_map(itself))
        .or_else(|| below().find_map(|id| own(tree, id)))
}

/// `<section id="x"><h2>Title</h2>`: boxes that begin with the heading.
fn around(tree: &Tree, heading: Id) -> Option<&str> {
    let mut first = heading;
    for parent in tree.above(heading).take(MAX_AROUND) {
        if matches!(tree.name(parent), "body" | "html" | "") || !begins_with(tree, parent, first) {
            return None;
        }
        if let Some(name) = own(tree, parent) {
            return Some(name);
        }
        first = parent;
    }
    None
}

/// Whether nothing is seen in a box before one of its children.
fn begins_with(tree: &Tree, parent: Id, child: Id) -> bool {
    tree.children(parent).take(MAX_LOOK).take_while(|&id| id != child).all(|id| is_empty(tree, id))
        && std::iter::successors(tree.before(child), |&id| tree.before(id)).take(MAX_LOOK).count() < MAX_LOOK
}

fn is_empty(tree: &Tree, id: Id) -> bool {
    let mut nodes = tree.all(id);
    nodes
        .by_ref()
        .take(MAX_LOOK)
        .all(|id| tree.text(id).is_none_or(|text| text.trim().is_empty() || is_unread(tree, id)) && tree.name(id) != "img")
        && nodes.next().is_none()
}

fn is_unread(tree: &Tree, text: Id) -> bool {
    tree.above(text).take(3).any(|id| matches!(tree.name(id), "style" | "script"))
}

/// `<a name="x"></a><h2>Title</h2>`, in a paragraph of its own at times.
fn right_before(tree: &Tree, heading: Id) -> Option<&str> {
    let before = std::iter::successors(tree.before(heading), |&id| tree.before(id)).take(4);
    before.take_while(|&id| is_empty(tree, id)).find_map(|id| {
        let mut inside = tree.all(id).take(MAX_LOOK).filter(|&id| matches!(tree.name(id), "a" | "span" | "div" | "p"));
        inside.find_map(|id| own(tree, id))
    })
}

#[cfg(test)]
mod tests {
    use super::super::tree::ROOT;
    use super::*;

    #[track_caller]
    fn is_named(html: &str, name: Option<&str>) {
        let tree = Tree::parse(html);
        let heading = tree.all(ROOT).find(|&id| matches!(tree.name(id), "h2" | "dt")).unwrap_or(ROOT);
        assert_eq!(name_of(&tree, heading), name, "{html}");
    }

    #[test]
    fn names_of_headings_as_sites_write_them() {
        for (html, name) in [
            ("<section id=s><h2 id=x>T</h2></section>", Some("x")),
            // Sphinx, new and old; with a second name.
            ("<section id=x><span id=y></span><h2>T<a class=headerlink href='#x'>¶</a></h2><p>t</section>", Some("x")),
            ("<div class=section id=安装>\n<h2>T</h2></div>", Some("安装")),
            ("<span id=x></span><h2>T<a class=headerlink href='#y'>¶</a></h2>", Some("y")),
            // DocBook.
            (
                "<p>t<div class=sect1 id=X-1><div class=titlepage><div><div><h2 class=title>1. T</h2></div></div></div><p>t</div>",
                Some("X-1"),
            ),
            ("<h2><a name='x'></a>T</h2>", Some("x")),
            ("<a name=x></a>\n<h2>T</h2>", Some("x")),
            ("<p>t</p><p><a id=x></a></p><h2>T</h2>", Some("x")),
            // Others.
            ("<h2><a id=user-content-x class=anchor href='#x'></a>T</h2>", Some("user-content-x")),
            ("<div id=x><p>t</p><h2>T</h2></div>", None),
            ("<p id=x>t</p><h2>T</h2>", None),
            ("<div id=x><style>a{}</style><h2>T</h2></div>", Some("x")),
            ("<h2 id='a b'>T</h2>", None),
            ("<dl id=x><dt id=os.path.join>T<dd>t</dl>", Some("os.path.join")),
            ("<dl id=x><dt>T<dd>t</dl>", None),
            ("<dl><dt><a name=x></a>T<dd>t</dl>", Some("x")),
        ] {
            is_named(html, name);
        }
    }

    #[test]
    fn marks_are_taken_out() {
        let mut names = Names::default();
        let tree = Tree::parse("<h2 id=a></h2><h2 id=b></h2><h2></h2>");
        let marks: Vec<String> = tree.all(ROOT).filter(|&id| tree.name(id) == "h2").map(|id| names.mark(&tree, id)).collect();
        let [a, b, none] = marks.as_slice() else { unreachable!() };
        assert_eq!(none, "");
        let text = format!("x\n## {a}A\n\n- {b}B, {a}{OPEN}7{CLOSE}{OPEN}\n");
        let (text, anchors) = names.take_out(&text);
        assert_eq!(text, format!("x\n## A\n\n- B, {OPEN}7{CLOSE}{OPEN}\n"));
        let places: Vec<_> = anchors.iter().map(|anchor| (anchor.start, anchor.id.as_str())).collect();
        assert_eq!(places, [(2, "a"), (8, "b")]);
    }
}
