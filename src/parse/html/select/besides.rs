//! What an article shows besides its text: pictures and what is written below them, ways to other articles, what stands ahead of
//! its title.

use super::article::{self, MAX_LOOK};
use super::marks::{self, Marks, holds_listing};
use super::measure::Measures;
use super::names::any_word;
use super::phrases::is_notice;
use crate::parse::html::tree::{Id, ROOT, Tree};

/// Letters of what is written below a picture, at most.
const CAPTION: u64 = 600;
/// Letters of a notice, at most; those of scripts without blanks count threefold.
const NOTICE: u64 = 80;
/// Letters of links to other articles, at least: "Here" is a word of a text.
const POINTERS: u64 = 15;
/// Letters of paragraphs that are a text.
const TEXT: u64 = 200;
/// Of hundred letters, those that links to other articles have together at most: a page of more is a list of them.
const OF_ALL: u64 = 10;

/// Marks it.
pub(super) fn mark(tree: &Tree, parts: &[Id], marks: &mut Marks, measures: &Measures) {
    ahead_of_title(tree, parts, marks, measures);
    let site = site(tree);
    // Within the text, and after it.
    let (mut ways, mut cards, mut prose) = (Vec::new(), Vec::new(), 0);
    for &part in parts {
        let mut walk = tree.all(part);
        while let Some(id) = walk.next() {
            if id == part || !tree.is_element(id) {
                continue;
            }
            if marks.has(id) {
                walk.skip_below(id);
            } else if is_of_picture(tree, id, measures) || is_notice_alone(tree, id, measures) {
                marks.set(id);
                walk.skip_below(id);
            } else if leads_on(tree, id, site.as_deref(), measures) {
                if matches!(tree.name(id), "div" | "section" | "article") {
                    cards.push(id);
                } else {
                    ways.push(id);
                }
                walk.skip_below(id);
            } else if measures.of_node(id).prose > 0 && tree.children(id).all(|child| measures.of_node(child).prose == 0) {
                prose += measures.of_node(id).prose;
                ways.append(&mut cards);
            }
        }
    }
    let letters = |ids: &[Id]| ids.iter().map(|&id| measures.of_node(id).letters).sum::<u64>();
    if prose < TEXT || letters(&ways) * 100 > letters(parts) * OF_ALL {
        ways.clear();
    }
    if prose < TEXT {
        cards.clear();
    }
    for id in ways.into_iter().chain(cards) {
        marks.set(id);
    }
}

/// A picture, its caption, who took it.
fn is_of_picture(tree: &Tree, id: Id, measures: &Measures) -> bool {
    let name = tree.name(id);
    name == "img"
        || (matches!(name, "figcaption" | "div" | "p" | "span" | "small" | "em")
            && measures.of_node(id).letters < CAPTION
            && (name == "figcaption"
                || any_word(tree, id, |word| matches!(word, "caption" | "figcaption" | "imagecaption" | "credit" | "credits")))
            && !holds_listing(tree, id))
}

fn is_notice_alone(tree: &Tree, id: Id, measures: &Measures) -> bool {
    measures.of_node(id).letters < NOTICE
        && matches!(tree.name(id), "p" | "div" | "span" | "h2" | "h3" | "h4" | "h5" | "h6" | "strong" | "em")
        && is_notice(&tree.all(id).take(MAX_LOOK).filter_map(|id| tree.text(id)).collect::<String>())
}

/// A paragraph, a list or a box that is nothing but links to other pages of the site.
fn leads_on(tree: &Tree, id: Id, site: Option<&str>, measures: &Measures) -> bool {
    let here = measures.of_node(id);
    let box_of_links = matches!(tree.name(id), "p" | "div" | "section" | "ul" | "ol" | "dl" | "article" | "table")
        && here.letters >= POINTERS
        && here.linked * 10 >= here.letters * 9
        && !holds_listing(tree, id);
    box_of_links
        && tree.all(id).take(marks::MAX_LOOK).filter_map(|id| tree.attribute(id, "href")).all(|target| {
            let target = target.trim();
            !target.starts_with('#') && host(target).is_none_or(|host| site.is_some_and(|site| is_of(host, site)))
        })
}

/// The host of the page, as it names itself.
fn site(tree: &Tree) -> Option<String> {
    let told = |id: Id| match tree.name(id) {
        "meta" if tree.attribute(id, "property") == Some("og:url") => tree.attribute(id, "content"),
        "link" if tree.attribute(id, "rel") == Some("canonical") => tree.attribute(id, "href"),
        _ => None,
    };
    tree.all(ROOT).filter_map(told).find_map(|address| host(address.trim())).map(|host| registered(host).to_owned())
}

/// The host of an address that has one.
fn host(address: &str) -> Option<&str> {
    let rest =
        address.strip_prefix("https:").or_else(|| address.strip_prefix("http:")).unwrap_or(address).strip_prefix("//")?;
    rest.split(['/', '?', '#']).next()
}

/// A host without its `www`.
fn registered(host: &str) -> &str {
    host.strip_prefix("www.").unwrap_or(host)
}

/// Whether a host is a site's, or below it.
fn is_of(host: &str, site: &str) -> bool {
    let host = registered(host);
    host == site || host.strip_suffix(site).is_some_and(|rest| rest.ends_with('.'))
}

/// Marks what stands in the part ahead of the heading that says the page's title, unless it is a part of the text by its size.
fn ahead_of_title(tree: &Tree, parts: &[Id], marks: &mut Marks, measures: &Measures) {
    let Some(title) = article::title(tree) else { return };
    let is_title = |id: &Id| tree.name(*id) == "h1" && !marks.has(*id) && article::is_heading_of(tree, *id, &title);
    let found = parts.iter().find_map(|&part| tree.all(part).find(is_title).map(|heading| (part, heading)));
    let Some((part, heading)) = found else { return };
    let mut ahead = Vec::new();
    for id in [heading].into_iter().chain(tree.above(heading)).take_while(|&id| id != part) {
        ahead.extend(std::iter::successors(tree.before(id), |&id| tree.before(id)));
    }
    let prose: u64 = ahead.iter().map(|&id| measures.of_node(id).prose).sum();
    if prose * 5 <= measures.of_node(part).prose && !ahead.iter().any(|&id| holds_listing(tree, id)) {
        for id in ahead {
            marks.set(id);
        }
    }
}
