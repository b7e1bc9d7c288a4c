//! What of a page a reader can get to see.

use super::tree::{Id, Tree};

/// Never shown, or shown as something other than text.
pub(super) fn is_never_shown(name: &str) -> bool {
    matches!(
        name,
        "style"
            | "iframe"
            | "object"
            | "embed"
            | "applet"
            | "canvas"
            | "audio"
            | "video"
            | "map"
            | "head"
            | "link"
            | "meta"
            | "base"
            | "datalist"
            | "rp"
            | "param"
            | "source"
            | "track"
            | "area"
            | "col"
            | "colgroup"
            | "noembed"
            | "noframes"
            | "frameset"
            | "frame"
    )
}

/// Elements that stand on lines of their own.
pub(super) fn is_block(name: &str) -> bool {
    matches!(
        name,
        "p" | "div"
            | "section"
            | "article"
            | "main"
            | "header"
            | "footer"
            | "nav"
            | "aside"
            | "address"
            | "blockquote"
            | "center"
            | "details"
            | "summary"
            | "dialog"
            | "dd"
            | "dl"
            | "dt"
            | "fieldset"
            | "legend"
            | "figure"
            | "figcaption"
            | "form"
            | "h1"
            | "h2"
            | "h3"
            | "h4"
            | "h5"
            | "h6"
            | "hgroup"
            | "hr"
            | "li"
            | "ul"
            | "ol"
            | "menu"
            | "dir"
            | "pre"
            | "listing"
            | "xmp"
            | "plaintext"
            | "search"
            | "table"
            | "caption"
            | "thead"
            | "tbody"
            | "tfoot"
            | "tr"
            | "td"
            | "th"
            | "body"
            | "html"
            | "optgroup"
            | "option"
    )
}

/// Whether a class, as one word among others, has this name.
pub(super) fn has_class(tree: &Tree, id: Id, wanted: &[&str]) -> bool {
    tree.attribute(id, "class").is_some_and(|class| class.split_ascii_whitespace().any(|class| wanted.contains(&class)))
}

/// Text that is there for machines, or twice.
pub(super) fn is_double(tree: &Tree, id: Id) -> bool {
    has_class(
        tree,
        id,
        &[
            "katex-html",
            "MathJax",
            "MathJax_Display",
            "MathJax_Preview",
            "MathJax_SVG",
            "MathJax_CHTML",
            "mw-editsection",
            "material-icons",
            "material-icons-outlined",
            "material-symbols-outlined",
            "material-symbols-rounded",
            "headerlink",
            "hash-link",
            "anchorjs-link",
            "noprint",
        ],
    ) || tree.name(id) == "mjx-math"
}

/// Named for screen readers alone: "opens in a new tab".
pub(super) fn is_for_screen_readers(tree: &Tree, id: Id) -> bool {
    has_class(
        tree,
        id,
        &[
            "sr-only",
            "visually-hidden",
            "screen-reader-text",
            "visuallyhidden",
            "screen-reader-only",
            "sr_only",
            "u-visually-hidden",
            "show-for-sr",
            "off-screen",
            "offscreen",
            "assistive-text",
            "screenreader-only",
        ],
    )
}

/// Hidden when the page opens.
pub(super) fn is_hidden(tree: &Tree, id: Id) -> bool {
    if tree.attribute(id, "hidden").is_some_and(|how| !how.trim().eq_ignore_ascii_case("until-found")) {
        return true;
    }
    // On paper alone.
    if has_class(tree, id, &["print-only", "printonly", "only-print", "print-header", "print-footer", "visible-print"]) {
        return true;
    }
    tree.attribute(id, "style").is_some_and(|style| {
        let style: String =
            style.chars().filter(|c| !c.is_ascii_whitespace()).map(|c| c.to_ascii_lowercase()).take(500).collect();
        style.contains("display:none") || style.contains("visibility:hidden")
    })
}

/// What lies over the page when it is opened, and says of itself that it is not.
pub(super) fn is_closed_dialog(tree: &Tree, id: Id) -> bool {
    matches!(tree.attribute(id, "role"), Some("dialog" | "alertdialog"))
        && (tree.attribute(id, "aria-hidden") == Some("true") || is_hidden(tree, id))
}

/// Whether a button, or what looks like a question, stands right before it.
fn follows_its_label(tree: &Tree, id: Id) -> bool {
    let Some(label) = std::iter::successors(tree.before(id), |&id| tree.before(id)).take(4).find(|&id| tree.is_element(id))
    else {
        return false;
    };
    let name = tree.name(label);
    let button = |id: Id| {
        tree.name(id) == "button"
            || tree.attribute(id, "role") == Some("button")
            || tree.attribute(id, "aria-expanded").is_some()
    };
    matches!(name, "summary" | "dt" | "h2" | "h3" | "h4" | "h5" | "h6")
        || button(label)
        || tree.all(label).take(12).any(button)
        || tree.attribute(label, "class").is_some_and(|class| {
            let class = class.to_ascii_lowercase();
            ["question", "toggle", "trigger", "accordion"].iter().any(|word| class.contains(word))
        })
}

/// Hidden parts of a page that something on it opens: tabs, answers, spoilers.
pub(super) fn opens(tree: &Tree, id: Id) -> bool {
    let role = tree.attribute(id, "role").unwrap_or_default();
    let words = [tree.attribute(id, "class"), tree.attribute(id, "id")];
    // What React sends late and moves to its place.
    let late = tree.attribute(id, "id").is_some_and(|id| id.starts_with("S:"));
    role == "tabpanel"
        || late
        || follows_its_label(tree, id)
        || tree.name(id) == "dialog"
        || tree.attribute(id, "aria-labelledby").is_some()
        || words.into_iter().flatten().any(|words| {
            let words = words.to_ascii_lowercase();
            [
                "tab",
                "panel",
                "accordion",
                "collaps",
                "answer",
                "faq",
                "toggle",
                "spoiler",
                "expand",
                "details",
                "content",
                "reveal",
                "hide",
                "slide",
                "solution",
                "more",
                "step",
            ]
            .iter()
            .any(|word| words.contains(word))
        })
}

pub(super) fn is_heading(name: &str) -> bool {
    matches!(name, "h1" | "h2" | "h3" | "h4" | "h5" | "h6" | "caption" | "th" | "td" | "legend" | "figcaption")
}
