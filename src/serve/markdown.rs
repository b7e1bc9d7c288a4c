//! Markdown that a model wrote, as HTML that a page may show.
//!
//! What it says comes from documents that anybody may have written. So HTML in it is shown as text; an image is a link, for to
//! fetch one would tell its host what was asked; a link says nothing of where it was followed from; and what comes out has passed
//! a sanitiser that knows a few tags and nothing else.
//!
//! A citation is put into the Markdown between two marks that no text has ([`citation`], [`unmarked`]), so that nothing which the
//! model writes around it (a link's parentheses, say) is taken for a part of it.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use ammonia::{Builder, UrlRelative};
use pulldown_cmark::{Alignment, Event, HeadingLevel, Options, Parser, Tag, TagEnd, TextMergeStream, html};

/// Stand around the number of a source. Unicode has set them aside for programs, and texts have none of them.
const OPEN: char = '\u{fdd0}';
const CLOSE: char = '\u{fdd1}';
/// Stands beside `**` where `CommonMark` would take it for text ([`eased`]), and is shown nowhere.
const EASE: char = '\u{fdd2}';
/// Quotes and lists in each other, at most: what is nested deeper stands in the last of them.
const DEEPEST: usize = 16;
/// What comes out, and nothing else.
const TAGS: [&str; 24] = [
    "a",
    "blockquote",
    "br",
    "code",
    "del",
    "div",
    "em",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "li",
    "ol",
    "p",
    "pre",
    "strong",
    "table",
    "tbody",
    "td",
    "th",
    "thead",
    "tr",
    "ul",
];

/// The citation of these sources, which may be doubtful, and the numbers that no source has, for Markdown that [`html()`] will read.
pub(super) fn citation(sources: &[usize], unknown: &[usize], doubtful: bool) -> String {
    let mark = if doubtful { "?" } else { "" };
    let known = sources.iter().map(|n| format!("{OPEN}{n}{mark}{CLOSE}"));
    known.chain(unknown.iter().map(|n| format!("\\[{n}\\]"))).collect()
}

/// A text without the marks of citations.
pub(super) fn unmarked(text: &str) -> Cow<'_, str> {
    const MARKS: [char; 3] = [OPEN, CLOSE, EASE];
    if text.contains(MARKS) { text.replace(MARKS, "").into() } else { text.into() }
}

/// A whole Markdown text as HTML: blocks next to each other. Headings begin at the third level, as those above are the page's.
pub(super) fn html(markdown: &str) -> String {
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH;
    let mut shown = Shown::default();
    let eased = eased(markdown);
    let events = TextMergeStream::new(Parser::new_ext(&eased, options)).flat_map(|event| shown.event(event));
    let mut written = String::with_capacity(markdown.len() * 3 / 2);
    html::push_html(&mut written, events);
    SANITISER.clean(&written).to_string()
}

static SANITISER: LazyLock<Builder<'static>> = LazyLock::new(|| {
    let mut builder = Builder::empty();
    let attributes = [("a", &["href", "target"][..]), ("ol", &["start"])];
    let classes =
        [("a", &["cite", "doubt"][..]), ("div", &["table"]), ("td", &["center", "right"]), ("th", &["center", "right"])];
    let set = |names: &[&'static str]| names.iter().copied().collect::<HashSet<_>>();
    builder
        .tags(TAGS.into_iter().collect())
        .tag_attributes(attributes.map(|(tag, names)| (tag, set(names))).into_iter().collect())
        .allowed_classes(classes.map(|(tag, names)| (tag, set(names))).into_iter().collect::<HashMap<_, _>>())
        .url_schemes(set(&["http", "https", "mailto"]))
        .url_relative(UrlRelative::Custom(Box::new(source)))
        .link_rel(Some("noopener noreferrer nofollow"));
    builder
});

/// The one address on this page that a link may have: a source's.
fn source(address: &str) -> Option<Cow<'_, str>> {
    let number = address.strip_prefix("#s")?;
    (!number.is_empty() && number.chars().all(|digit| digit.is_ascii_digit())).then_some(address.into())
}

/// `**重点：**请` is bold to everybody but `CommonMark`, whose rules ask for blanks that Chinese does not have: beside such a `**`
/// stands something that is neither a blank nor punctuation.
fn eased(markdown: &str) -> Cow<'_, str> {
    // Closing and opening punctuation of Chinese and Japanese.
    let ends = |c: char| "，。：；！？、）》〉」』】〕”’…".contains(c);
    let begins = |c: char| "（《〈「『【〔“‘".contains(c);
    let mut written = String::new();
    let mut rest = markdown;
    while let Some((before, after)) = rest.split_once("**") {
        written.push_str(before);
        let (left, right) = (before.chars().next_back(), after.chars().next());
        let is = |c: Option<char>, what: &dyn Fn(char) -> bool| c.is_some_and(what);
        if is(left, &ends) && is(right, &char::is_alphanumeric) {
            written.extend([EASE]);
        }
        written.push_str("**");
        if is(left, &char::is_alphanumeric) && is(right, &begins) {
            written.push(EASE);
        }
        rest = after;
    }
    if written.is_empty() {
        return markdown.into();
    }
    written.push_str(rest);
    written.into()
}

/// Where in the text the events are.
#[derive(Default)]
struct Shown {
    code: bool,
    /// Links and images in each other: the outermost alone is a link.
    links: usize,
    /// The address of an image, which stands for its words until there are any.
    address: Option<String>,
    depth: usize,
    columns: Vec<Alignment>,
    column: usize,
    head: bool,
}

impl Shown {
    fn event<'a>(&mut self, event: Event<'a>) -> Vec<Event<'a>> {
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) => {
                self.address = None;
                self.text(text)
            }
            Event::Code(text) => {
                self.address = None;
                vec![Event::Code(literal(&text).into_owned().into())]
            }
            // Models write it for a line's end within a cell.
            Event::InlineHtml(tag) if matches!(&*tag, "<br>" | "<br/>" | "<br />") => vec![Event::HardBreak],
            Event::Html(text) | Event::InlineHtml(text) => vec![Event::Text(literal(&text).into_owned().into())],
            event => vec![event],
        }
    }

    fn start<'a>(&mut self, tag: Tag<'a>) -> Vec<Event<'a>> {
        match tag {
            Tag::HtmlBlock => vec![Event::Start(Tag::Paragraph)],
            Tag::Heading { level, .. } => {
                vec![Event::Start(Tag::Heading { level: lowered(level), id: None, classes: Vec::new(), attrs: Vec::new() })]
            }
            Tag::CodeBlock(_) => {
                self.code = true;
                // Without its language, which would be a class.
                vec![Event::Start(Tag::CodeBlock(pulldown_cmark::CodeBlockKind::Indented))]
            }
            Tag::BlockQuote(_) | Tag::List(_) | Tag::Item => {
                self.depth += 1;
                let tag = if let Tag::BlockQuote(_) = tag { Tag::BlockQuote(None) } else { tag };
                if self.depth > 2 * DEEPEST { Vec::new() } else { vec![Event::Start(tag)] }
            }
            Tag::Link { dest_url, .. } => self.link(&dest_url),
            Tag::Image { dest_url, .. } => {
                let link = self.link(&dest_url);
                if !link.is_empty() {
                    self.address = Some(literal(&dest_url).into_owned());
                }
                link
            }
            Tag::Table(columns) => {
                self.columns = columns;
                vec![raw("<div class=\"table\"><table>")]
            }
            Tag::TableHead => {
                (self.head, self.column) = (true, 0);
                vec![raw("<thead><tr>")]
            }
            Tag::TableRow => {
                self.column = 0;
                vec![raw("<tr>")]
            }
            Tag::TableCell => {
                let class = match self.columns.get(self.column) {
                    Some(Alignment::Center) => " class=\"center\"",
                    Some(Alignment::Right) => " class=\"right\"",
                    _ => "",
                };
                self.column += 1;
                vec![raw(format!("<{}{class}>", self.cell()))]
            }
            tag => vec![Event::Start(tag)],
        }
    }

    fn end<'a>(&mut self, tag: TagEnd) -> Vec<Event<'a>> {
        match tag {
            TagEnd::HtmlBlock => vec![Event::End(TagEnd::Paragraph)],
            TagEnd::Heading(level) => vec![Event::End(TagEnd::Heading(lowered(level)))],
            TagEnd::CodeBlock => {
                self.code = false;
                vec![Event::End(tag)]
            }
            TagEnd::BlockQuote(_) | TagEnd::List(_) | TagEnd::Item => {
                let deep = self.depth > 2 * DEEPEST;
                self.depth = self.depth.saturating_sub(1);
                let tag = if let TagEnd::BlockQuote(_) = tag { TagEnd::BlockQuote(None) } else { tag };
                if deep { Vec::new() } else { vec![Event::End(tag)] }
            }
            TagEnd::Link | TagEnd::Image => {
                self.links = self.links.saturating_sub(1);
                if self.links > 0 {
                    return Vec::new();
                }
                let words = self.address.take().map(|address| Event::Text(address.into()));
                words.into_iter().chain([raw("</a>")]).collect()
            }
            TagEnd::Table => vec![raw("</tbody></table></div>\n")],
            TagEnd::TableHead => {
                self.head = false;
                vec![raw("</tr></thead><tbody>")]
            }
            TagEnd::TableRow => vec![raw("</tr>")],
            TagEnd::TableCell => vec![raw(format!("</{}>", self.cell()))],
            tag => vec![Event::End(tag)],
        }
    }

    fn cell(&self) -> &'static str {
        if self.head { "th" } else { "td" }
    }

    fn link<'a>(&mut self, address: &str) -> Vec<Event<'a>> {
        self.links += 1;
        if self.links > 1 {
            return Vec::new();
        }
        let address = ammonia::clean_text(&literal(address));
        vec![raw(format!("<a href=\"{address}\" target=\"_blank\">"))]
    }

    /// A text with its citations as links; in a listing or a link as the model wrote them.
    fn text<'a>(&self, text: pulldown_cmark::CowStr<'a>) -> Vec<Event<'a>> {
        if !text.contains(OPEN) || self.code || self.links > 0 {
            let text = if text.contains([OPEN, CLOSE, EASE]) { literal(&text).into_owned().into() } else { text };
            return vec![Event::Text(text)];
        }
        let pieces = text.split(OPEN).enumerate().flat_map(|(place, piece)| {
            let (number, rest) = if place == 0 { (None, piece) } else { cited(piece) };
            let link = number.map(|(n, doubtful)| {
                let (class, mark) = if doubtful { ("cite doubt", "?") } else { ("cite", "") };
                raw(format!("<a class=\"{class}\" href=\"#s{n}\">{n}{mark}</a>"))
            });
            let rest = (!rest.is_empty()).then(|| Event::Text(literal(rest).into_owned().into()));
            link.into_iter().chain(rest)
        });
        pieces.collect()
    }
}

/// What follows an opening mark: a number and whether it is doubtful, and the rest.
fn cited(piece: &str) -> (Option<(usize, bool)>, &str) {
    match piece.split_once(CLOSE) {
        Some((number, rest)) => {
            let plain = number.strip_suffix('?');
            (plain.unwrap_or(number).parse().ok().map(|n| (n, plain.is_some())), rest)
        }
        None => (None, piece),
    }
}

/// A text with its citations in brackets.
fn literal(text: &str) -> Cow<'_, str> {
    if text.contains([OPEN, CLOSE, EASE]) {
        text.replace(OPEN, "[").replace(CLOSE, "]").replace(EASE, "").into()
    } else {
        text.into()
    }
}

fn raw<'a>(html: impl Into<pulldown_cmark::CowStr<'a>>) -> Event<'a> {
    Event::InlineHtml(html.into())
}

fn lowered(level: HeadingLevel) -> HeadingLevel {
    match level {
        HeadingLevel::H1 => HeadingLevel::H3,
        HeadingLevel::H2 => HeadingLevel::H4,
        HeadingLevel::H3 => HeadingLevel::H5,
        _ => HeadingLevel::H6,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail loudly")]
mod tests;
