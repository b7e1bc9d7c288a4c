//! Pages that say that they are an article, and show others besides.

use super::marks::Marks;
use super::measure::Measures;
use crate::parse::html::tree::{Id, ROOT, Tree};

/// Letters of paragraphs that an article has at least.
pub(super) const PROSE: u64 = 400;
/// Nodes of a heading that are looked at.
pub(super) const MAX_LOOK: usize = 200;

/// Whether the page calls itself an article.
pub(super) fn is_one(tree: &Tree) -> bool {
    tree.all(ROOT).any(|id| {
        tree.name(id) == "meta"
            && match tree.attribute(id, "property") {
                Some("og:type") => {
                    tree.attribute(id, "content").is_some_and(|kind| kind.trim().eq_ignore_ascii_case("article"))
                }
                Some("article:published_time") => true,
                _ => false,
            }
    })
}

/// Kinds of articles by schema.org: those of the news, not those of documentation.
const KINDS: [&str; 5] = ["NewsArticle", "BlogPosting", "Article", "ReportageNewsArticle", "AnalysisNewsArticle"];

/// Whether the page is marked as an article by what it says to machines that look for one.
pub(super) fn is_marked(tree: &Tree) -> bool {
    tree.all(ROOT).any(|id| match tree.name(id) {
        "script" => tree.attribute(id, "type") == Some("application/ld+json") && is_told(&tree.whole_text(id)),
        "" => false,
        _ => {
            let kind = tree.attribute(id, "itemtype").and_then(|kind| kind.trim().split_once("schema.org/"));
            kind.is_some_and(|(_, kind)| KINDS.contains(&kind)) || tree.attribute(id, "itemprop") == Some("articleBody")
        }
    })
}

/// Whether structured data are of an article.
fn is_told(data: &str) -> bool {
    data.match_indices("\"@type\"").any(|(at, found)| {
        let rest = data.get(at + found.len()..).unwrap_or_default();
        let mut value = rest.trim_start_matches(|c: char| c.is_whitespace() || matches!(c, ':' | '[')).split('"');
        value.next() == Some("") && value.next().is_some_and(|kind| KINDS.contains(&kind))
    })
}

/// The one of several boxes that has the title of the page as its heading; `None` where there is none, or more than one, or
/// hardly a word in it.
pub(super) fn titled(tree: &Tree, marks: &Marks, measures: &Measures, boxes: &[Id]) -> Option<Id> {
    let title = title(tree)?;
    let is_title = |id: Id| matches!(tree.name(id), "h1" | "h2") && !marks.has(id) && is_heading_of(tree, id, &title);
    let mut titled = boxes.iter().copied().filter(|&id| tree.all(id).any(is_title));
    let found = titled.next().filter(|_| titled.next().is_none())?;
    (measures.of_node(found).prose >= PROSE).then_some(found)
}

/// Whether a heading says the title, or the beginning of it.
pub(super) fn is_heading_of(tree: &Tree, heading: Id, title: &str) -> bool {
    let words: String = tree.all(heading).take(MAX_LOOK).filter_map(|id| tree.text(id)).collect();
    let words = letters(&words);
    !words.is_empty() && (words == title || (words.chars().count() >= 15 && title.starts_with(&words)))
}

/// The title of the page as social networks show it, or its `<title>`.
pub(super) fn title(tree: &Tree) -> Option<String> {
    let social = |id: Id| {
        let is_title = tree.name(id) == "meta" && tree.attribute(id, "property") == Some("og:title");
        is_title.then(|| tree.attribute(id, "content").map(letters)).flatten()
    };
    let own = || tree.all(ROOT).find(|&id| tree.name(id) == "title").map(|id| letters(&tree.whole_text(id)));
    tree.all(ROOT).find_map(social).or_else(own).filter(|title| !title.is_empty())
}

fn letters(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).take(500).collect()
}
