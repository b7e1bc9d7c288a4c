//! Within the main part: sections about other pages, and what stands beside the text without being one.

use super::furniture::{MAX_LOOK, Marks};
use super::measure::Measures;
use crate::parse::html::tree::{Id, ROOT, Tree};

/// Letters of a heading that says what a section is for, at most.
const LABEL: usize = 60;

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

/// Whether a label says so, and whether it can say nothing else.
fn is_of_other_pages(label: &str) -> Option<bool> {
    let sure = [
        "related articles",
        "related posts",
        "related stories",
        "related content",
        "related reading",
        "related news",
        "related topics",
        "related resources",
        "related products",
        "related blogs",
        "related blog posts",
        "you may also",
        "you might also",
        "you may also like",
        "you might also like",
        "you may also be interested in",
        "you might also be interested in",
        "more from",
        "more stories",
        "more articles",
        "more posts",
        "more news",
        "read next",
        "read this next",
        "up next",
        "next up",
        "recommended for you",
        "recommended articles",
        "recommended reading",
        "recommended stories",
        "recommended posts",
        "keep reading",
        "continue reading",
        "latest news",
        "latest posts",
        "latest articles",
        "latest stories",
        "latest blogs",
        "recent posts",
        "recent articles",
        "recent news",
        "recent comments",
        "popular posts",
        "popular articles",
        "most popular",
        "most read",
        "trending now",
        "trending",
        "top stories",
        "about the author",
        "about the authors",
        "about author",
        "meet the author",
        "leave a reply",
        "leave a comment",
        "post a comment",
        "add a comment",
        "join the conversation",
        "share this",
        "share the",
        "share on",
        "share with",
        "follow us",
        "connect with us",
        "stay connected",
        "stay in touch",
        "stay up to date",
        "stay informed",
        "sign up for our",
        "sign up to our",
        "sign up for the",
        "subscribe to",
        "join our newsletter",
        "join our mailing",
        "get the latest",
        "newsletter",
        "our newsletter",
        "advertisement",
        "sponsored content",
        "from our partners",
        "around the web",
        "written by",
        "republish this",
        "more in",
        "what to read next",
        "other articles",
        "other posts",
        "similar articles",
        "similar posts",
        "explore more",
        "discover more",
        "see more",
        "you may like",
        "weitere artikel",
        "das könnte sie auch interessieren",
        "mehr zum thema",
        "auch interessant",
        "à lire aussi",
        "articles similaires",
        "artículos relacionados",
        "lea también",
        "te puede interesar",
        "leia também",
        "相关文章",
        "相关阅读",
        "推荐阅读",
        "猜你喜欢",
        "热门文章",
        "最新文章",
        "延伸阅读",
        "相关推荐",
        "為您推薦",
        "関連記事",
        "おすすめ記事",
        "人気記事",
    ];
    if sure.iter().any(|phrase| {
        label == *phrase
            || (label.starts_with(phrase) && !label.get(phrase.len()..).unwrap_or_default().starts_with(char::is_alphanumeric))
    }) {
        return Some(true);
    }
    let maybe = [
        "related",
        "comments",
        "share",
        "tags",
        "topics",
        "categories",
        "contact us",
        "subscribe",
        "recommended",
        "popular",
        "latest",
        "archives",
        "author",
        "read more",
        "learn more",
        "more",
        "references and links",
        "table of contents",
        "contents",
        "on this page",
        "in this article",
        "testimonials",
        "get started",
        "get in touch",
        "search",
        "categories",
        "follow",
        "news",
        "评论",
        "分享",
        "标签",
        "目录",
        "更多",
        "热门",
        "推荐",
    ];
    let counted = label.trim_start_matches(|c: char| c.is_ascii_digit()).trim_start();
    let counted = counted.trim_end_matches(|c: char| c.is_ascii_digit() || " ()".contains(c));
    maybe.contains(&counted).then_some(false)
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
        if linked(here.letters, here.linked) || here.prose == 0 {
            marks.set(whole);
        }
        return;
    }
    // Or what follows, up to the next heading.
    let level = level(tree, whole).or_else(|| tree.all(whole).find_map(|id| level(tree, id)));
    let Some(level) = level else { return };
    let mut rest = vec![whole];
    let mut next = tree.after(whole);
    while let Some(id) = next {
        if tree.all(id).take(200).find_map(|id| self::level(tree, id)).is_some_and(|found| found <= level) {
            break;
        }
        rest.push(id);
        next = tree.after(id);
    }
    let sum =
        rest.iter().map(|&id| measures.of_node(id)).fold((0, 0, 0), |(a, b, c), m| (a + m.letters, b + m.linked, c + m.prose));
    if small(sum.2) && (linked(sum.0, sum.1) || sum.2 == 0) {
        rest.into_iter().for_each(|id| marks.set(id));
    }
}

fn is_blank(tree: &Tree, id: Id, measures: &Measures) -> bool {
    tree.text(id).is_none_or(|text| text.trim().is_empty()) && measures.of_node(id).letters == 0
}

fn level(tree: &Tree, id: Id) -> Option<u8> {
    match tree.name(id).as_bytes() {
        [b'h', n @ b'1'..=b'6'] => Some(*n),
        _ => None,
    }
}

/// Follows the text down to the box that holds most of it, and leaves out what stands beside the boxes on the way without
/// being text: lists of links, labels, forms. Paragraphs, listings, tables and headings of the page stay.
pub(super) fn beside(tree: &Tree, part: Id, marks: &mut Marks, measures: &Measures) {
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
        for id in siblings {
            if !is_text(tree, id, measures) {
                marks.set(id);
            }
        }
        at = child;
    }
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
    here.linked * 2 < here.letters
        && (here.prose > 0 || here.letters >= 150 || holds(&["h2", "h3", "h4", "ul", "ol"]))
        && !(here.prose == 0 && holds(&["input", "textarea"]))
}
