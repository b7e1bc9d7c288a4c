//! What the classes and the id of an element say of it.

use crate::parse::html::tree::{Id, Tree};

/// Letters of a list of classes that are looked at.
const MAX_NAMES: usize = 600;

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
    if author && box_of { Some(Named::Box) } else { found }
}

fn sort(word: &str) -> Option<Named> {
    match word {
        "breadcrumbs" | "footer" | "share" | "sharing" | "sharedaddy" | "addtoany" | "related" | "recommended"
        | "recommendations" | "recommend" | "subscribe" | "signup" | "promo" | "ads" | "popup" | "pagination" | "pager"
        | "skiplink" | "masthead" | "trending" | "outbrain" | "taboola" | "wpcnt" | "authorbox" | "paywall" | "modal"
        | "cta" => Some(Named::Box),
        "cookie" | "cookies" | "consent" | "gdpr" | "onetrust" | "cookiebar" | "cookiebanner" => Some(Named::Consent),
        "comments" | "comment" | "disqus" | "respond" => Some(Named::Comments),
        "nav" | "navbar" | "navheader" | "navfooter" | "navigation" | "menu" | "menus" | "toolbar" | "login" | "bio"
        | "byline" => Some(Named::Menu),
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
