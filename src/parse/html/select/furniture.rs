//! What surrounds the text: navigation, banners, boxes about other pages.

use std::collections::HashSet;

use super::marks::{MAX_LOOK, Marks, holds_code, holds_listing};
use super::measure::{Measure, Measures};
use super::names::{Named, any_word, is_admonition, named};
use crate::parse::html::seen;
use crate::parse::html::tree::{Id, ROOT, Tree};

/// Letters of what asks for consent, at most.
const MAX_CONSENT: u64 = 3000;

/// What is hidden for good.
pub(super) fn unseen(tree: &Tree) -> Marks {
    let mut marks = Marks::none(tree);
    let closed = |id: Id| seen::is_closed_dialog(tree, id) || seen::is_hidden(tree, id) && !seen::opens(tree, id);
    let mut hidden: Vec<Id> = tree.all(ROOT).filter(|&id| tree.is_element(id) && closed(id)).collect();
    if !hidden.is_empty() {
        let led_to = led_to(tree);
        let alone = |id: Id| tree.attribute(id, "id").is_none_or(|name| !led_to.contains(name));
        hidden.retain(|&id| alone(id) || seen::is_closed_dialog(tree, id) && searches(tree, id));
    }
    if hidden.is_empty() {
        return marks;
    }
    let measures = Measures::of(tree, &marks);
    let page = measures.of_node(ROOT).letters;
    for id in hidden {
        // The page's own help by keys may be longer than what stands on the page.
        let part = if seen::is_closed_dialog(tree, id) {
            measures.of_node(id).letters * 5 / 4
        } else {
            measures.of_node(id).letters * 3
        };
        // A page that shows itself by a script.
        if part < page {
            marks.set(id);
        }
    }
    marks
}

/// Whether the site is searched there.
fn searches(tree: &Tree, id: Id) -> bool {
    let asks = |id: Id| tree.name(id) == "input" && tree.attribute(id, "type") == Some("search");
    tree.all(id).take(MAX_LOOK).any(|id| asks(id) || tree.attribute(id, "role") == Some("search"))
}

/// The names of what something on the page opens.
fn led_to(tree: &Tree) -> HashSet<&str> {
    let mut names = HashSet::new();
    for id in tree.all(ROOT) {
        for attribute in ["aria-controls", "href", "data-target", "data-bs-target"] {
            let value = tree.attribute(id, attribute).unwrap_or_default();
            let value = if attribute == "aria-controls" { Some(value) } else { value.strip_prefix('#') };
            names.extend(value.filter(|name| !name.is_empty()));
        }
    }
    names
}

/// Marks lists of pages and of landmarks, which books have for machines.
pub(super) fn mark_ways(tree: &Tree, marks: &mut Marks) {
    for id in tree.all(ROOT).filter(|&id| tree.name(id) == "nav") {
        if matches!(tree.attribute(id, "epub:type"), Some("page-list" | "landmarks")) {
            marks.set(id);
        }
    }
}

/// Marks the furniture.
pub(super) fn mark(tree: &Tree, marks: &mut Marks, is_article: bool) {
    let measures = Measures::of(tree, marks);
    let page = Page { all: measures.of_node(ROOT), has_main: tree.all(ROOT).any(|id| is_main(tree, id)), is_article };
    let mut walk = tree.all(ROOT);
    while let Some(id) = walk.next() {
        if marks.has(id) {
            walk.skip_below(id);
        } else if tree.is_element(id) && is_furniture(tree, id, measures.of_node(id), page) {
            marks.set(id);
            walk.skip_below(id);
        }
    }
}

/// What is known of the page as a whole.
#[derive(Clone, Copy)]
struct Page {
    all: Measure,
    /// Whether it says where its text is.
    has_main: bool,
    /// Whether it says that it is an article: what else it shows may then be more than the text.
    is_article: bool,
}

fn is_main(tree: &Tree, id: Id) -> bool {
    matches!(tree.name(id), "main" | "article") || tree.attribute(id, "role") == Some("main")
}

fn is_furniture(tree: &Tree, id: Id, here: Measure, page: Page) -> bool {
    let name = tree.name(id);
    if matches!(name, "html" | "body" | "main" | "h1" | "pre" | "code" | "table" | "tbody" | "tr" | "td" | "article" | "math") {
        return false;
    }
    let share = |part: u64, whole: u64| part as f64 / whole.max(1) as f64;
    let (text, prose) = (share(here.letters, page.all.letters), share(here.prose, page.all.prose));
    let links = share(here.linked, here.letters);
    let role = tree.attribute(id, "role").unwrap_or_default().trim();
    match role {
        "navigation" | "search" | "contentinfo" | "menu" | "menubar" | "banner" | "complementary" | "alertdialog"
            if prose < 0.4 =>
        {
            return true;
        }
        "note" | "doc-footnote" | "doc-endnotes" | "tabpanel" => return false,
        _ => {}
    }
    match name {
        "nav" | "search" => return prose < 0.4,
        "footer" if is_admonition(tree, id) => return false,
        "footer" => return prose < 0.3 && !is_of_quotation(tree, id),
        "aside" => return is_aside(tree, id, links, page.has_main) && prose < 0.4,
        "header" => {
            // That of the site, not that of the text.
            let within = tree.above(id).any(|id| matches!(tree.name(id), "main" | "article" | "section" | "blockquote"));
            return !within && prose < 0.2 && !tree.all(id).take(MAX_LOOK).any(|id| tree.name(id) == "h1");
        }
        _ => {}
    }
    if is_admonition(tree, id) {
        return false;
    }
    if name == "form" && asks_for_a_person(tree, id) {
        return prose < 0.2;
    }
    if name == "a" && (is_button(tree, id) || shares(tree, id)) {
        return true;
    }
    if here.letters < MAX_CONSENT && prose < 0.8 && is_overlay(tree, id, role) && asks_for_consent(tree, id) {
        return true;
    }
    let inline = matches!(
        name,
        "span" | "a" | "b" | "strong" | "em" | "i" | "label" | "h2" | "h3" | "h4" | "h5" | "h6" | "dt" | "dd" | "svg" | "img"
    );
    if page.is_article && !inline && prose < 0.35 && text < 0.5 && is_gallery(tree, id) {
        return true;
    }
    // DocBook's navigation is a table whose header row is the chapter's title.
    let is_bar = |kind: Named| kind == Named::Menu && prose < 0.05 && text < 0.2 && !holds_code(tree, id);
    let kind = named(tree, id).filter(|kind| !holds_listing(tree, id) || is_bar(*kind));
    kind.is_some_and(|kind| match kind {
        Named::Consent => prose < 0.7 && here.letters < MAX_CONSENT && !inline,
        Named::Box if page.is_article => prose < 0.6 && text < 0.7 && !inline,
        Named::Box => prose < 0.35 && text < 0.5 && !inline,
        Named::Comments => prose < 0.5 && !inline,
        Named::Menu => {
            !inline && ((links > 0.25 && prose < 0.2) || (prose < 0.05 && text < 0.2 && here.prose * 2 < here.letters))
        }
        Named::Links => !inline && name != "p" && ((links > 0.4 && prose < 0.2) || (here.prose == 0 && text < 0.05)),
    })
}

/// Pictures with captions that are seen one at a time.
fn is_gallery(tree: &Tree, id: Id) -> bool {
    any_word(tree, id, |word| matches!(word, "gallery" | "slideshow" | "photogallery"))
        && tree.all(id).take(MAX_LOOK).any(|id| matches!(tree.name(id), "img" | "figure"))
}

/// What lies over the page until it is closed.
fn is_overlay(tree: &Tree, id: Id, role: &str) -> bool {
    matches!(role, "dialog" | "alertdialog")
        || any_word(tree, id, |word| matches!(word, "modal" | "popup" | "overlay" | "lightbox" | "dialog"))
}

fn asks_for_consent(tree: &Tree, id: Id) -> bool {
    let mentions = |id: Id| tree.text(id).map_or(0, |text| text.to_ascii_lowercase().matches("cookie").count());
    tree.all(id).take(MAX_LOOK).map(mentions).sum::<usize>() > 1
}

fn is_of_quotation(tree: &Tree, id: Id) -> bool {
    tree.above(id).take(3).any(|id| tree.name(id) == "blockquote")
}

/// An aside of the page, not one of its text.
fn is_aside(tree: &Tree, id: Id, links: f64, has_main: bool) -> bool {
    if is_admonition(tree, id) || seen_as_note(tree, id) {
        return false;
    }
    let within = !has_main || tree.above(id).any(|id| is_main(tree, id));
    !within || links > 0.5 || named(tree, id).is_some()
}

fn seen_as_note(tree: &Tree, id: Id) -> bool {
    tree.attribute(id, "epub:type").is_some() || tree.attribute(id, "role").is_some_and(|role| role.starts_with("doc-"))
}

/// Whether a form asks who the reader is: to write to the site, to subscribe, to log in.
fn asks_for_a_person(tree: &Tree, form: Id) -> bool {
    tree.all(form).take(MAX_LOOK).any(|id| {
        tree.name(id) == "input"
            && (matches!(tree.attribute(id, "type"), Some("email" | "tel" | "password"))
                || tree.attribute(id, "name").is_some_and(|name| name.to_ascii_lowercase().contains("email")))
    })
}

/// A link that looks like a button and stands by itself.
fn is_button(tree: &Tree, id: Id) -> bool {
    let looks =
        any_word(tree, id, |word| matches!(word, "btn" | "button" | "cta")) || tree.attribute(id, "role") == Some("button");
    let alone = |sibling: Id| tree.text(sibling).is_none_or(|text| text.trim().is_empty());
    looks && tree.parent(id).is_some_and(|parent| tree.children(parent).take(50).all(alone)) && tree.whole_text(id).len() < 60
}

/// A link that passes the page on, or skips to its text.
fn shares(tree: &Tree, id: Id) -> bool {
    let target = tree.attribute(id, "href").unwrap_or_default().trim();
    let lower: String = target.chars().take(200).map(|c| c.to_ascii_lowercase()).collect();
    let skips =
        target.starts_with('#') && tree.whole_text(id).trim().get(..5).is_some_and(|text| text.eq_ignore_ascii_case("skip "));
    skips
        || lower.starts_with("mailto:?")
        || [
            "facebook.com/sharer",
            "facebook.com/share",
            "facebook.com/dialog",
            "twitter.com/intent",
            "twitter.com/share",
            "twitter.com/home?status",
            "x.com/intent",
            "x.com/share",
            "linkedin.com/share",
            "linkedin.com/sharing",
            "pinterest.com/pin/create",
            "reddit.com/submit",
            "api.whatsapp.com/send",
            "whatsapp://send",
            "wa.me/?",
            "t.me/share",
            "telegram.me/share",
            "service.weibo.com/share",
            "tumblr.com/share",
            "tumblr.com/widgets/share",
            "getpocket.com/save",
            "news.ycombinator.com/submitlink",
            "bsky.app/intent",
            "plus.google.com/share",
            "stumbleupon.com/submit",
            "line.me/r/msg",
            "buffer.com/add",
            "bufferapp.com/add",
            "flipboard.com/bookmarklet",
        ]
        .iter()
        .any(|at| lower.contains(at))
}
