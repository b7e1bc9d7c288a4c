//! HTML, as Markdown: what a reader came for, without what surrounds it on every page of the site.

use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};
use htmd::element_handler::{HandlerResult, Handlers};
use htmd::options::{BulletListMarker, Options};
use htmd::{Element, HtmlToMarkdown, Node};

use super::markdown::{fence_for, unescape};
use super::{Extracted, Format, ParseError, text, title};
use crate::document::Markup;

/// Elements within elements. What lies deeper is lifted up to this depth, as browsers do (theirs is 512).
const MAX_DEPTH: usize = 200;
/// Elements that are open at once while the source is read. The tree builder looks through all of them for many a tag, so
/// that without a bound a few megabytes of `<div>` would keep it busy for hours.
const MAX_OPEN: usize = 10_000;
/// Where `<meta charset>` has to be, by the standard.
const META_WITHIN: usize = 1024;
/// A `<main>` or `<article>` with less text than this, and less than a fifth of the page, is not what the page is about.
const MAIN_AT_LEAST: usize = 100;

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

/// By byte order mark, then by what the page says of itself, then as any text.
fn decode(bytes: &[u8]) -> Result<String, ParseError> {
    if let Some((encoding, _)) = Encoding::for_bom(bytes) {
        return Ok(encoding.decode_with_bom_removal(bytes).0.into_owned());
    }
    if text::is_binary(bytes) {
        return Err(ParseError::Binary);
    }
    match declared(bytes) {
        Some(encoding) if encoding != WINDOWS_1252 && encoding != UTF_8 => {
            Ok(encoding.decode_without_bom_handling(bytes).0.into_owned())
        }
        // Many a page calls itself Latin-1 and is UTF-8, which Latin-1 never looks like.
        _ => text::decode(bytes.to_vec()),
    }
}

fn declared(bytes: &[u8]) -> Option<&'static Encoding> {
    let head = bytes.get(..META_WITHIN).unwrap_or(bytes).to_ascii_lowercase();
    let head = String::from_utf8_lossy(&head);
    // Also finds the `encoding="…"` of an XML declaration.
    let (_, after) = head.split_once("charset").or_else(|| head.split_once("encoding"))?;
    let label = after.trim_start().strip_prefix('=')?.trim_start().trim_start_matches(['"', '\'']);
    let end = label.find(|c: char| !c.is_ascii_alphanumeric() && !"-_:.".contains(c)).unwrap_or(label.len());
    let encoding = Encoding::for_label(label.get(..end)?.as_bytes())?;
    // A page that could be read this far is not in UTF-16, whatever it says.
    (encoding != UTF_16LE && encoding != UTF_16BE).then_some(encoding)
}

/// What the handlers pick out on their way through the page.
#[derive(Default)]
struct Picked {
    title: Option<String>,
    mains: Vec<String>,
    articles: Vec<String>,
}

pub(super) fn to_markdown(html: &str, format: Format) -> Result<Page, ParseError> {
    if open_at_once(html) > MAX_OPEN {
        return Err(ParseError::broken(format, format_args!("more than {MAX_OPEN} elements nested in one another")));
    }
    let picked = Arc::new(Mutex::new(Picked::default()));
    let converter = converter(&picked);
    let tree = converter.html_to_tree(html).map_err(|e| ParseError::broken(format, e))?;
    flatten(&tree);
    let whole = converter.tree_to_markdown(&tree);
    let mut picked = lock(&picked);
    let best = picked.mains.drain(..).max_by_key(String::len).unwrap_or_else(|| picked.articles.join("\n\n"));
    let enough = best.trim().len() >= MAIN_AT_LEAST || (!best.trim().is_empty() && best.len() * 5 >= whole.len());
    let text = unescape(if enough { &best } else { &whole });
    Ok(Page { title: picked.title.take().as_deref().and_then(title::clean), text })
}

fn lock(picked: &Mutex<Picked>) -> MutexGuard<'_, Picked> {
    // What a panic left half done is thrown away with the whole conversion.
    picked.lock().unwrap_or_else(PoisonError::into_inner)
}

fn converter(picked: &Arc<Mutex<Picked>>) -> HtmlToMarkdown {
    let options = Options {
        bullet_list_marker: BulletListMarker::Dash,
        ul_bullet_spacing: 1,
        ol_number_spacing: 1,
        ..Options::default()
    };
    let (titles, mains, articles) = (Arc::clone(picked), Arc::clone(picked), Arc::clone(picked));
    let (in_main, in_article) = (AtomicUsize::new(0), AtomicUsize::new(0));
    HtmlToMarkdown::builder()
        .options(options)
        .scripting_enabled(false)
        .skip_tags(vec![
            "script", "style", "nav", "footer", "aside", "template", "svg", "iframe", "object", "button", "select", "input",
            "canvas", "audio", "video", "map", "dialog", "search", "noscript",
        ])
        .add_handler(vec!["title"], move |handlers: &dyn Handlers, e: Element| {
            let text = handlers.walk_children(e.node).content;
            lock(&titles).title.get_or_insert(text);
            None
        })
        .add_handler(vec!["main"], move |handlers: &dyn Handlers, e: Element| {
            pick(handlers, e, &in_main, |text| lock(&mains).mains.push(text))
        })
        .add_handler(vec!["article"], move |handlers: &dyn Handlers, e: Element| {
            pick(handlers, e, &in_article, |text| lock(&articles).articles.push(text))
        })
        .add_handler(vec!["div", "section", "ul", "table", "header"], {
            let mains = Arc::clone(picked);
            let nesting = AtomicUsize::new(0);
            move |handlers: &dyn Handlers, e: Element| match attribute(&e, "role") {
                Some("navigation" | "search" | "contentinfo" | "complementary" | "menu" | "banner") => None,
                Some("main") => pick(handlers, e, &nesting, |text| lock(&mains).mains.push(text)),
                _ if e.attrs.iter().any(|a| &*a.name.local == "hidden") => None,
                _ => handlers.fallback(e),
            }
        })
        .add_handler(vec!["a"], link)
        .add_handler(vec!["img"], |_: &dyn Handlers, e: Element| {
            let alt = attribute(&e, "alt").unwrap_or_default().trim();
            (!alt.is_empty()).then(|| alt.into())
        })
        .add_handler(vec!["pre"], preformatted)
        .build()
}

fn attribute<'a>(e: &Element<'a>, name: &str) -> Option<&'a str> {
    e.attrs.iter().find(|a| &*a.name.local == name).map(|a| &*a.value)
}

/// Converts an element and keeps a copy of the outermost of its kind.
fn pick(handlers: &dyn Handlers, e: Element, nesting: &AtomicUsize, keep: impl FnOnce(String)) -> Option<HandlerResult> {
    let outermost = nesting.fetch_add(1, Ordering::Relaxed) == 0;
    let result = handlers.fallback(e);
    nesting.fetch_sub(1, Ordering::Relaxed);
    if let Some(result) = &result
        && outermost
    {
        keep(result.content.trim_matches('\n').to_owned());
    }
    result
}

/// Links elsewhere are kept. Of those within the site only the text is: their targets are noise in an embedding, and lead
/// nowhere outside of the page.
fn link(handlers: &dyn Handlers, e: Element) -> Option<HandlerResult> {
    let target = attribute(&e, "href").unwrap_or_default();
    if target.starts_with("http://") || target.starts_with("https://") || target.starts_with("mailto:") {
        return handlers.fallback(e);
    }
    let result = handlers.walk_children(e.node);
    // The mark at a heading that links to the heading.
    if target.starts_with('#') && matches!(result.content.trim(), "¶" | "#" | "§" | "🔗" | "") {
        None
    } else {
        Some(result)
    }
}

/// Fenced, also where the page has no `<code>` in its `<pre>`.
fn preformatted(handlers: &dyn Handlers, e: Element) -> Option<HandlerResult> {
    let result = handlers.fallback(e)?;
    let content = result.content.trim_matches('\n');
    if content.trim().is_empty() || content.starts_with("```") {
        return Some(result);
    }
    let fence = fence_for(content);
    Some(format!("\n\n{fence}\n{content}\n{fence}\n\n").into())
}

/// The number of elements that are open at once, at least: those whose end tag the standard lets one leave out are not
/// counted, since pages with thousands of open `<p>` are sloppy, not deep.
fn open_at_once(html: &str) -> usize {
    let (mut open, mut most) = (0usize, 0usize);
    // Only within these do the tags of empty elements close themselves.
    let mut in_drawing = false;
    let bytes = html.as_bytes();
    for (at, _) in html.match_indices('<') {
        let rest = bytes.get(at + 1..).unwrap_or_default();
        let closes = rest.first() == Some(&b'/');
        let name = rest.get(usize::from(closes)..).unwrap_or_default();
        let end = name.iter().position(|b| !b.is_ascii_alphanumeric()).unwrap_or(name.len()).min(12);
        let name = name.get(..end).unwrap_or_default().to_ascii_lowercase();
        let name = name.as_slice();
        if matches!(name, b"svg" | b"math") {
            in_drawing = !closes;
        }
        let empty =
            in_drawing && rest.iter().position(|&b| b == b'>').and_then(|end| rest.get(end.checked_sub(1)?)) == Some(&b'/');
        let counted = !empty
            && !name.is_empty()
            && !matches!(name, b"p" | b"li" | b"dt" | b"dd" | b"td" | b"th" | b"tr" | b"option")
            && !is_void(name);
        if counted {
            open = if closes { open.saturating_sub(1) } else { open + 1 };
            most = most.max(open);
        }
    }
    most
}

fn is_void(name: &[u8]) -> bool {
    matches!(
        name,
        b"area"
            | b"base"
            | b"br"
            | b"col"
            | b"embed"
            | b"hr"
            | b"img"
            | b"input"
            | b"link"
            | b"meta"
            | b"param"
            | b"source"
            | b"track"
            | b"wbr"
    )
}

/// Lifts what lies too deep, in its order: the converter walks the tree on the stack.
fn flatten(root: &Rc<Node>) {
    let mut todo = vec![(Rc::clone(root), 0usize)];
    while let Some((node, depth)) = todo.pop() {
        if depth < MAX_DEPTH {
            todo.extend(node.children.borrow().iter().map(|child| (Rc::clone(child), depth + 1)));
            continue;
        }
        let mut leaves = Vec::new();
        let mut within: VecDeque<Rc<Node>> = node.children.take().into();
        while let Some(next) = within.pop_front() {
            let children = next.children.take();
            if children.is_empty() {
                next.parent.set(Some(Rc::downgrade(&node)));
                leaves.push(next);
            } else {
                for child in children.into_iter().rev() {
                    within.push_front(child);
                }
            }
        }
        node.children.replace(leaves);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may")]
mod tests {
    use super::*;

    fn text(html: &str) -> String {
        to_markdown(html, Format::Html).unwrap().text
    }

    #[test]
    fn the_main_part_is_kept() {
        let html = "<html><head><title> A\n title </title><script>x()</script></head><body><nav>Home</nav><div role=navigation>\
            Menu</div><main><h1>Head<a href='#h'>¶</a></h1><p>See <a href='b.html'>b_c</a> and <a href='https://e.org/'>e</a>.</p>\
            <pre>a  *b*\n  c</pre><ul><li>one<li>two</ul><table><tr><th>k<th>v<tr><td>1<td>2</table></main><footer>(c)</footer>";
        let page = to_markdown(html, Format::Html).unwrap();
        assert_eq!(page.title.as_deref(), Some("A title"));
        assert_eq!(
            page.text,
            "# Head\n\nSee b_c and [e](https://e.org/).\n\n```\na  *b*\n  c\n```\n\n- one\n- two\n\n| k | v |\n| - | - |\n| 1 | 2 |"
        );
    }

    #[test]
    fn articles_are_joined_and_a_hollow_main_is_not_all() {
        assert_eq!(
            text("<div>menu</div><article>one<article>within</article></article><article>two</article>"),
            "one\n\nwithin\n\ntwo"
        );
        let long = "word ".repeat(50);
        assert!(text(&format!("<main> </main><p>{long}</p>")).starts_with("word word"));
    }

    #[test]
    fn depth_is_flattened_or_refused() {
        let deep = |n: usize| format!("{}x_y{} after", "<div><b>".repeat(n), "</b></div>".repeat(n));
        let shallow = text(&deep(2000));
        assert!(shallow.contains("x_y") && shallow.contains("after"), "{shallow}");
        assert!(matches!(to_markdown(&deep(20_000), Format::Html), Err(ParseError::Broken { .. })));
    }

    #[test]
    fn charsets() {
        let sjis = encoding_rs::SHIFT_JIS.encode("<meta charset=Shift_JIS><title>日本語</title>").0.into_owned();
        assert!(decode(&sjis).unwrap().contains("日本語"));
        let xml = encoding_rs::KOI8_R.encode("<?xml version='1.0' encoding='koi8-r'?><p>Привет</p>").0.into_owned();
        assert!(decode(&xml).unwrap().contains("Привет"));
        assert!(decode("<meta charset='iso-8859-1'>Grüße".as_bytes()).unwrap().contains("Grüße"));
        assert!(decode(b"<meta charset='utf-16'>plain").unwrap().contains("plain"));
    }
}
