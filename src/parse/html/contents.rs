//! The table of contents of a book: `nav.xhtml` of EPUB 3, `toc.ncx` of EPUB 2.

use super::tree::{Id, ROOT, Tree};
use super::xhtml;

/// Entries that are read.
const MAX_ENTRIES: usize = 20_000;

/// Where each entry leads, as written, and what it is called, in their order.
pub(in crate::parse) fn entries(source: &str) -> Vec<(String, String)> {
    let tree = Tree::parse(&xhtml::as_html(source));
    let kind = |id: Id| tree.attribute(id, "epub:type").unwrap_or_default();
    let of_pages = |id: Id| tree.above(id).any(|id| matches!(kind(id), "page-list" | "landmarks" | "lot" | "loi"));
    let words = |id: Id| tree.whole_text(id).split_whitespace().collect::<Vec<_>>().join(" ");
    let child = |id: Id, name: &str| tree.children(id).find(|&id| tree.name(id) == name);
    let entry = |id: Id| match tree.name(id) {
        "a" if !of_pages(id) => Some((tree.attribute(id, "href")?.to_owned(), words(id))),
        // The parser writes names in small letters.
        "navpoint" => Some((tree.attribute(child(id, "content")?, "src")?.to_owned(), words(child(id, "navlabel")?))),
        _ => None,
    };
    tree.all(ROOT).filter_map(entry).filter(|(_, label)| !label.is_empty()).take(MAX_ENTRIES).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds() {
        let nav = "<html xmlns='http://www.w3.org/1999/xhtml'><body><nav epub:type='toc'><ol><li><a href='a.xhtml'>The <i>Pier</i></a></li></ol></nav>\
            <nav epub:type='page-list'><a href='a.xhtml#p1'>1</a></nav></body></html>";
        assert_eq!(entries(nav), [("a.xhtml".to_owned(), "The Pier".to_owned())]);
        let ncx = "<?xml version='1.0'?><ncx><navMap><navPoint id='x'><navLabel><text>One</text></navLabel><content src='a.html#s'/>\
            <navPoint><navLabel><text>Two</text></navLabel><content src='b.html'/></navPoint></navPoint></navMap></ncx>";
        assert_eq!(entries(ncx), [("a.html#s".to_owned(), "One".to_owned()), ("b.html".to_owned(), "Two".to_owned())]);
    }
}
