//! Which parts of a page are what it is about, and what surrounds them on every page of the site.

mod again;
mod article;
mod besides;
mod densest;
mod furniture;
mod marks;
mod measure;
mod names;
mod phrases;
mod prune;
mod repeated;
mod teasers;
#[cfg(test)]
mod tests;

use std::collections::HashSet;

use marks::Marks;
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
    let mut marks = furniture::unseen(tree);
    furniture::mark_ways(tree, &mut marks);
    Selection { parts: vec![ROOT], left_out: marks.into_left_out() }
}

/// The main part of a page of a site. Candidates compete by what share of the text they hold: a small part never stands for
/// the page.
///
/// `is_repeated`: whether a block, by its signature, stands on many pages of the site.
pub(super) fn main(tree: &Tree, is_repeated: Option<&dyn Fn(u64) -> bool>) -> Selection {
    let is_article = article::is_one(tree);
    let mut marks = furniture::unseen(tree);
    if let Some(is_repeated) = is_repeated {
        repeated::mark(tree, &mut marks, is_repeated);
    }
    furniture::mark(tree, &mut marks, is_article);
    let measures = Measures::of(tree, &marks);
    let parts = parts(tree, &marks, &measures, is_article);
    prune::sections(tree, &parts, &mut marks, &measures);
    if is_article {
        prune::pointers(tree, &parts, &mut marks, &measures);
    }
    // Documentation says the same of one thing as of another, and means it.
    if !tree.all(ROOT).any(|id| tree.name(id) == "pre") {
        if is_article {
            again::mark(tree, &parts, &mut marks);
        }
        if is_article || article::is_marked(tree) {
            besides::mark(tree, &parts, &mut marks, &measures);
        }
    }
    let measures = Measures::of(tree, &marks);
    for &part in &parts {
        teasers::mark(tree, part, &mut marks, &measures);
    }
    let measures = Measures::of(tree, &marks);
    if let [part] = *parts.as_slice().split_at(parts.len().saturating_sub(1)).1 {
        prune::beside(tree, part, is_article, &mut marks, &measures);
    }
    let mut selection = Selection { parts, left_out: marks.into_left_out() };
    if selection.parts.is_empty() {
        selection.parts.push(ROOT);
    }
    selection
}

fn parts(tree: &Tree, marks: &Marks, measures: &Measures, is_article: bool) -> Vec<Id> {
    let mut current = vec![ROOT];
    for narrower in [is_main, is_article_box, is_body_of_text] {
        let found = outermost(tree, marks, &current, narrower);
        let titled = is_article.then(|| article::titled(tree, marks, measures, &found)).flatten();
        let narrower = titled.map(|one| vec![one]).or_else(|| chosen(measures, &current, found, is_article));
        current = narrower.filter(|parts| !loses(tree, marks, measures, &current, parts)).unwrap_or(current);
    }
    if current == [ROOT] {
        let denser = densest::within(tree, marks, measures, ROOT).map(|denser| vec![denser]);
        current = denser.filter(|parts| !loses(tree, marks, measures, &current, parts)).unwrap_or(current);
    }
    with_heading(tree, marks, measures, current)
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

/// The largest of the candidates if it is most of the text, else all of them if they are.
///
/// Of a page that is an article by its own word, a single box that is named for its text may be less of it.
fn chosen(measures: &Measures, current: &[Id], found: Vec<Id>, is_article: bool) -> Option<Vec<Id>> {
    let weight = |ids: &[Id]| ids.iter().map(|&id| measures.weight(id)).sum::<u64>();
    let all = weight(current);
    let largest = found.iter().copied().max_by_key(|&id| measures.weight(id))?;
    let enough = if is_article && found.len() == 1 && measures.of_node(largest).prose >= article::PROSE { 40 } else { 75 };
    if measures.weight(largest) * 100 >= all * enough {
        Some(vec![largest])
    } else if weight(&found) * 100 >= all * 60 {
        Some(found)
    } else {
        None
    }
}

/// Whether a listing or a table would be left behind.
fn loses(tree: &Tree, marks: &Marks, measures: &Measures, current: &[Id], parts: &[Id]) -> bool {
    let parts: HashSet<Id> = parts.iter().copied().collect();
    let mut around: HashSet<Id> = HashSet::new();
    for &part in &parts {
        // What is above one that has been there already is there, too.
        let _ = tree.above(part).take_while(|&id| around.insert(id)).count();
    }
    let within = |id: Id| parts.contains(&id) || tree.above(id).any(|above| parts.contains(&above));
    outermost(tree, marks, current, |tree, id| matches!(tree.name(id), "pre" | "table"))
        .into_iter()
        .any(|id| measures.of_node(id).prose > 0 && !within(id) && !around.contains(&id))
}

fn is_main(tree: &Tree, id: Id) -> bool {
    tree.name(id) == "main" || tree.attribute(id, "role").map(str::trim) == Some("main")
}

fn is_article_box(tree: &Tree, id: Id) -> bool {
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

/// Adds the heading of the page, which stands above the box of the text as often as in it, and the paragraphs below it.
fn with_heading(tree: &Tree, marks: &Marks, measures: &Measures, parts: Vec<Id>) -> Vec<Id> {
    let heading = |id: &Id| tree.name(*id) == "h1" && !marks.has(*id);
    if parts == [ROOT] || parts.iter().any(|&part| tree.all(part).any(|id| heading(&id))) {
        return parts;
    }
    let first = parts.first().copied();
    let mut ahead = Vec::new();
    let mut walk = tree.all(ROOT);
    while let Some(id) = walk.next().filter(|&id| Some(id) != first) {
        if marks.has(id) {
            walk.skip_below(id);
        } else if heading(&id) {
            // The last one before the text is its own; those before that are the site's.
            ahead = vec![id];
        } else if !ahead.is_empty() && tree.name(id) == "p" && measures.of_node(id).prose > 0 {
            ahead.push(id);
            walk.skip_below(id);
        }
    }
    ahead.into_iter().chain(parts).collect()
}
