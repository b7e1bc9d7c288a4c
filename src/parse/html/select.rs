//! Which parts of a page are what it is about, and what surrounds them on every page of the site.

mod furniture;
mod measure;
mod prune;
mod teasers;

use furniture::Marks;
use measure::Measures;

use super::tree::{Id, ROOT, Tree};

/// What to write of a page.
pub(super) struct Selection {
    /// The parts, in the order of the page.
    pub(super) parts: Vec<Id>,
    /// By number of the node: what within them is left out.
    pub(super) left_out: Vec<bool>,
}

/// All of a page but what is never seen: what a mail, a chapter or a cell of a notebook is.
pub(super) fn all(tree: &Tree) -> Selection {
    Selection { parts: vec![ROOT], left_out: furniture::unseen(tree).into_left_out() }
}

/// The main part of a page of a site. Candidates compete by what share of the text they hold: a small part never stands for
/// the page.
pub(super) fn main(tree: &Tree) -> Selection {
    let mut marks = furniture::unseen(tree);
    furniture::mark(tree, &mut marks);
    let measures = Measures::of(tree, &marks);
    let parts = parts(tree, &marks, &measures);
    prune::sections(tree, &parts, &mut marks, &measures);
    let measures = Measures::of(tree, &marks);
    for &part in &parts {
        teasers::mark(tree, part, &mut marks, &measures);
    }
    let measures = Measures::of(tree, &marks);
    if let [part] = *parts.as_slice().split_at(parts.len().saturating_sub(1)).1 {
        prune::beside(tree, part, &mut marks, &measures);
    }
    let mut selection = Selection { parts, left_out: marks.into_left_out() };
    if selection.parts.is_empty() {
        selection.parts.push(ROOT);
    }
    selection
}

fn parts(tree: &Tree, marks: &Marks, measures: &Measures) -> Vec<Id> {
    let mut current = vec![ROOT];
    for narrower in [is_main, is_article, is_body_of_text] {
        let found = outermost(tree, marks, &current, narrower);
        current = chosen(measures, current, found);
    }
    with_heading(tree, marks, current)
}

/// The outermost elements of a kind.
fn outermost(tree: &Tree, marks: &Marks, within: &[Id], kind: fn(&Tree, Id) -> bool) -> Vec<Id> {
    let mut found = Vec::new();
    for &part in within {
        let mut walk = tree.all(part);
        while let Some(id) = walk.next() {
            if marks.has(id) {
                walk.skip_below(id);
            } else if kind(tree, id) {
                found.push(id);
                walk.skip_below(id);
            }
        }
    }
    found
}

/// The largest of the candidates if it is most of the text, else all of them if they are, else what was there before.
fn chosen(measures: &Measures, current: Vec<Id>, found: Vec<Id>) -> Vec<Id> {
    let weight = |ids: &[Id]| ids.iter().map(|&id| measures.weight(id)).sum::<u64>();
    let all = weight(&current);
    let Some(largest) = found.iter().copied().max_by_key(|&id| measures.weight(id)) else { return current };
    if measures.weight(largest) * 100 >= all * 75 {
        vec![largest]
    } else if weight(&found) * 100 >= all * 60 {
        found
    } else {
        current
    }
}

fn is_main(tree: &Tree, id: Id) -> bool {
    tree.name(id) == "main" || tree.attribute(id, "role").map(str::trim) == Some("main")
}

fn is_article(tree: &Tree, id: Id) -> bool {
    tree.name(id) == "article" || tree.attribute(id, "role").map(str::trim) == Some("article")
}

/// Boxes that content management systems and documentation generators put the text in.
fn is_body_of_text(tree: &Tree, id: Id) -> bool {
    if tree.attribute(id, "itemprop").is_some_and(|p| p.split_ascii_whitespace().any(|p| p == "articleBody")) {
        return true;
    }
    let named = |names: &str| {
        names.split_ascii_whitespace().any(|name| {
            let name = name.to_ascii_lowercase().replace('_', "-").replace("--", "-");
            matches!(
                name.as_str(),
                "article-body"
                    | "article-content"
                    | "article-text"
                    | "articlebody"
                    | "post-content"
                    | "post-body"
                    | "postbody"
                    | "entry-content"
                    | "story-body"
                    | "story-content"
                    | "content-body"
                    | "blog-content"
                    | "blog-post-content"
                    | "td-post-content"
                    | "single-content"
                    | "markdown-body"
                    | "mw-parser-output"
                    | "md-content-inner"
                    | "theme-doc-markdown"
                    | "rst-content"
                    | "documentwrapper"
                    | "body-content"
                    | "main-content"
                    | "page-content"
                    | "post-entry"
                    | "article-main"
                    | "text-content"
                    | "rich-text"
                    | "single-post-content"
                    | "post-text"
                    | "article-detail"
                    | "rich-media-content"
                    | "content-article"
                    | "blog-body"
            )
        })
    };
    tree.attribute(id, "class").is_some_and(named) || tree.attribute(id, "id").is_some_and(named)
}

/// Adds the heading of the page, which stands above the box of the text as often as in it.
fn with_heading(tree: &Tree, marks: &Marks, parts: Vec<Id>) -> Vec<Id> {
    let heading = |id: &Id| tree.name(*id) == "h1" && !marks.has(*id);
    if parts == [ROOT] || parts.iter().any(|&part| tree.all(part).any(|id| heading(&id))) {
        return parts;
    }
    let first = parts.first().copied();
    let mut above = tree
        .all(ROOT)
        .take_while(|&id| Some(id) != first)
        .filter(heading)
        .filter(|&id| !tree.above(id).any(|id| marks.has(id)));
    // The last one before the text is its own; those before that are the site's.
    let found = above.by_ref().last();
    found.into_iter().chain(parts).collect()
}
