//! What the classes and the id of an element say of it.

use super::phrases::is_of_other_pages;
use crate::parse::html::tree::{Id, Tree};

/// Letters of a list of classes that are looked at.
const MAX_NAMES: usize = 600;
/// Nodes before the heading of a section, and in it.
const MAX_BEFORE: usize = 20;

/// What a box is by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Named {
    /// Links and labels; a part of the text at times.
    Links,
    /// Ways through the site.
    Menu,
    Comments,
    /// About other pages, or from others.
    Box,
    /// Asks for what the law asks to be asked for.
    Consent,
}

/// By the strongest of its words.
pub(super) fn named(tree: &Tree, id: Id) -> Option<Named> {
    let mut found = None;
    let (mut author, mut box_of, mut quoted) = (false, false, false);
    any_word(tree, id, |word| {
        author |= word == "author";
        box_of |= matches!(word, "box" | "bio" | "info" | "card" | "about" | "profile" | "block" | "description");
        quoted |= matches!(word, "embed" | "quote" | "tabs" | "tablist");
        found = found.max(sort(word));
        quoted
    });
    if quoted {
        return None;
    }
    // What tells of the author, not that an author is told.
    let found = if author && box_of { Some(Named::Box) } else { found };
    found.filter(|_| !is_section_of_text(tree, id))
}

/// Whether it is a section whose id is made of its own heading, as generators of documentation make it: "Related objects" is then
/// what its author writes about, not what the page shows besides.
fn is_section_of_text(tree: &Tree, id: Id) -> bool {
    let plain =
        |class: &str| matches!(class, "section" | "subsection") || class.starts_with("level") || class.starts_with("sect");
    if !tree.attribute(id, "class").unwrap_or_default().split_ascii_whitespace().all(plain) {
        return false;
    }
    let letters =
        |text: &str| -> String { text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect() };
    let name = tree.attribute(id, "id").filter(|name| name.len() <= MAX_NAMES).map(letters).unwrap_or_default();
    let Some(heading) = tree.all(id).take(MAX_BEFORE).find(|&id| is_heading(tree.name(id))) else { return false };
    let within = || tree.all(heading).take(MAX_BEFORE);
    let words = within().filter_map(|id| tree.text(id)).collect::<String>().to_lowercase();
    // Only documentation has links to its own sections in their headings.
    let leads_to_itself = || within().any(|id| tree.attribute(id, "href").is_some_and(|href| href.starts_with('#')));
    let heading = letters(&words);
    !heading.is_empty()
        && (name.ends_with(&heading) || (name.len() > 3 && heading.ends_with(&name)))
        && (leads_to_itself() || is_of_other_pages(words.trim_matches(|c: char| !c.is_alphanumeric())).is_none())
}

fn is_heading(name: &str) -> bool {
    matches!(name, "h1" | "h2" | "h3" | "h4" | "h5" | "h6")
}

fn sort(word: &str) -> Option<Named> {
    match word {
        "breadcrumbs" | "footer" | "share" | "sharing" | "sharedaddy" | "addtoany" | "related" | "recommended"
        | "recommendations" | "recommend" | "subscribe" | "signup" | "promo" | "ads" | "popup" | "pagination" | "pager"
        | "skiplink" | "masthead" | "trending" | "outbrain" | "taboola" | "wpcnt" | "authorbox" | "modal" | "cta" => {
            Some(Named::Box)
        }
        "cookie" | "cookies" | "consent" | "gdpr" | "onetrust" | "cookiebar" | "cookiebanner" => Some(Named::Consent),
        "comments" | "comment" | "disqus" | "respond" => Some(Named::Comments),
        "nav" | "navbar" | "navheader" | "navfooter" | "navigation" | "menu" | "menus" | "toolbar" | "login" | "bio"
        | "byline" | "paywall" => Some(Named::Menu),
        "widget" | "toc" | "tags" | "tag" | "categories" | "author" | "meta" | "links" | "popular" | "latest" | "next"
        | "prev" | "previous" | "more" => Some(Named::Links),
        _ if word.starts_with("social") => Some(Named::Menu),
        _ => WITHIN.iter().any(|part| word.contains(part)).then_some(Named::Box),
    }
}

/// Parts of words that say the same wherever they stand.
const WITHIN: [&str; 12] = [
    "relatedpost",
    "relatedarticle",
    "sharethis",
    "sharebar",
    "sharebutton",
    "newsletter",
    "breadcrumb",
    "sidebar",
    "advert",
    "sponsor",
    "yarpp",
    "readnext",
];

/// Notes and warnings, footnotes.
pub(super) fn is_admonition(tree: &Tree, id: Id) -> bool {
    any_word(tree, id, |word| {
        matches!(
            word,
            "admonition"
                | "note"
                | "notes"
                | "warning"
                | "caution"
                | "tip"
                | "hint"
                | "callout"
                | "important"
                | "danger"
                | "footnote"
                | "footnotes"
                | "endnotes"
                | "topic"
                | "pullquote"
                | "codehilite"
                | "highlight"
                | "alert"
                | "infobox"
        )
    })
}

/// Whether one of the words of the classes and the id of an element is of some sort: `relatedPosts` is two words, in small
/// letters.
pub(super) fn any_word(tree: &Tree, id: Id, mut wanted: impl FnMut(&str) -> bool) -> bool {
    let mut word = String::new();
    for names in [tree.attribute(id, "class"), tree.attribute(id, "id")].into_iter().flatten() {
        let mut lower = false;
        for c in names.chars().take(MAX_NAMES).chain([' ']) {
            if !c.is_ascii_alphanumeric() || (lower && c.is_ascii_uppercase()) {
                // Shorter ones are what programs made up.
                if word.len() > 2 && wanted(&word) {
                    return true;
                }
                word.clear();
            }
            lower = c.is_ascii_lowercase();
            if c.is_ascii_alphanumeric() {
                word.push(c.to_ascii_lowercase());
            }
        }
    }
    false
}
