//! HTML, as Markdown: what a reader came for, without what surrounds it on every page of the site.

mod charset;
mod code;
mod contents;
mod flow;
mod line;
mod math;
mod nesting;
mod rows;
mod seen;
mod select;
#[cfg(test)]
mod tests;
mod tree;
mod write;
mod xhtml;

pub(super) use charset::decode;
pub(super) use contents::entries as contents;
use tree::{ROOT, Tree};

use super::{Extracted, Format, ParseError, title};
use crate::document::Markup;

/// Elements that are open at once while the source is read. The tree builder looks through all of them for many a tag, so
/// that without a bound a few megabytes of `<div>` would keep it busy for hours.
const MAX_OPEN: usize = 10_000;

pub(super) fn extract(bytes: &[u8]) -> Result<Extracted, ParseError> {
    let page = to_markdown(&decode(bytes)?, Format::Html)?;
    let title = page.title.or_else(|| title::of_markdown(&page.text));
    Ok(Extracted { title, markup: Markup::Markdown, text: page.text })
}

/// A page as Markdown.
pub(super) struct Page {
    /// Its `<title>`.
    pub(super) title: Option<String>,
    /// Its text.
    pub(super) text: String,
}

/// A page as Markdown. Of a page of a site (`Format::Html`) its main part; of what is part of another format, all that is seen.
pub(super) fn to_markdown(html: &str, format: Format) -> Result<Page, ParseError> {
    if nesting::open_at_once(html) > MAX_OPEN {
        return Err(ParseError::broken(format, format_args!("more than {MAX_OPEN} elements nested in one another")));
    }
    let tree =
        if format == Format::Epub || xhtml::is_xhtml(html) { Tree::parse(&xhtml::as_html(html)) } else { Tree::parse(html) };
    let selection = if format == Format::Html { select::main(&tree) } else { select::all(&tree) };
    let mut text = write::Writer::new(&tree, &selection.left_out).write(&selection.parts);
    if text.trim().is_empty() && format == Format::Html {
        // All of it looked like furniture.
        text = write::Writer::new(&tree, &[]).write(&[ROOT]);
    }
    Ok(Page { title: title_of(&tree), text })
}

fn title_of(tree: &Tree) -> Option<String> {
    // A drawing has titles, too.
    let named = |&id: &tree::Id| tree.name(id) == "title" && !tree.above(id).any(|id| tree.name(id) == "svg");
    let social = |id: tree::Id| {
        let title = tree.attribute(id, "property") == Some("og:title");
        (tree.name(id) == "meta" && title).then(|| tree.attribute(id, "content")).flatten()
    };
    let title = tree.all(ROOT).find(named).and_then(|id| title::clean(&tree.whole_text(id)));
    title.or_else(|| tree.all(ROOT).find_map(social).and_then(title::clean))
}
