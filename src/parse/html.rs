//! HTML, as Markdown: what a reader came for, without what surrounds it on every page of the site.

mod anchors;
mod blocks;
mod charset;
mod code;
mod contents;
mod flow;
mod line;
mod math;
mod nesting;
mod rows;
mod scan;
mod seen;
mod select;
#[cfg(test)]
mod tests;
mod tree;
mod write;
mod xhtml;

pub(super) use charset::{decode, decode_sent_as};
pub(super) use contents::entries as contents;
pub use scan::{Link, PageScan, Robots};
use tree::{ROOT, Tree};
use url::Url;

use super::{Extracted, Format, ParseError, Parsed, title};
use crate::document::{Anchor, Markup};

/// Elements that are open at once while the source is read. The tree builder looks through all of them for many a tag, so
/// that without a bound a few megabytes of `<div>` would keep it busy for hours.
const MAX_OPEN: usize = 10_000;

pub(super) fn extract(bytes: &[u8], media_type: Option<&str>) -> Result<Parsed, ParseError> {
    Ok(whole(to_markdown(&decode_sent_as(bytes, media_type)?, Format::Html)?))
}

/// Like [`extract`], of a page with an address, of whose blocks those are left out that surround the text and are repeated on other
/// pages.
pub(super) fn extract_at(html: &str, url: &Url, is_repeated: &dyn Fn(u64) -> bool) -> Result<Parsed, ParseError> {
    let site = Site { url, is_repeated };
    Ok(whole(written(&parsed(html, Format::Html)?, Format::Html, Some(site))))
}

/// What is known of the site that a page is of.
#[derive(Clone, Copy)]
struct Site<'a> {
    /// The page's address.
    url: &'a Url,
    /// Whether a block stands on many of its pages.
    is_repeated: &'a dyn Fn(u64) -> bool,
}

fn whole(page: Page) -> Parsed {
    let title = page.title.or_else(|| title::of_markdown(&page.text));
    let extracted = Extracted { title, markup: Markup::Markdown, text: page.text };
    Parsed { anchors: page.anchors, ..Parsed::from(extracted) }
}

/// What a page with an address says besides its text.
pub(super) fn scan(html: &str, url: &Url) -> Result<PageScan, ParseError> {
    Ok(scan::scan(&parsed(html, Format::Html)?, url))
}

/// A page as Markdown.
pub(super) struct Page {
    /// Its `<title>`.
    pub(super) title: Option<String>,
    /// Its text.
    pub(super) text: String,
    /// Where its headings and terms are that have a name.
    pub(super) anchors: Vec<Anchor>,
}

/// A page as Markdown. Of a page of a site (`Format::Html`) its main part; of what is part of another format, all that is seen.
pub(super) fn to_markdown(html: &str, format: Format) -> Result<Page, ParseError> {
    Ok(written(&parsed(html, format)?, format, None))
}

fn parsed(html: &str, format: Format) -> Result<Tree, ParseError> {
    if nesting::open_at_once(html) > MAX_OPEN {
        return Err(ParseError::broken(format, format_args!("more than {MAX_OPEN} elements nested in one another")));
    }
    let xml = format == Format::Epub || xhtml::is_xhtml(html);
    Ok(if xml { Tree::parse(&xhtml::as_html(html)) } else { Tree::parse(html) })
}

fn written(tree: &Tree, format: Format, site: Option<Site<'_>>) -> Page {
    let (url, is_repeated) = (site.map(|site| site.url), site.map(|site| site.is_repeated));
    let selection = if format == Format::Html { select::main(tree, is_repeated) } else { select::all(tree) };
    let (mut text, mut anchors) = write::Writer::new(tree, &selection.left_out, url).write(&selection.parts);
    if text.trim().is_empty() && format == Format::Html {
        // All of it looked like furniture.
        (text, anchors) = write::Writer::new(tree, &[], url).write(&[ROOT]);
    }
    Page { title: title_of(tree), text, anchors }
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
