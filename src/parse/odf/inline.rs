//! The text of one paragraph of `OpenDocument`, and what hangs on it.

use super::super::xml::{Element, Node};
use super::super::{drawing, letters, writer};
use super::styles::Styles;

/// Spaces that one element may stand for.
const MAX_SPACES: usize = 100;

/// What belongs to a paragraph and stands outside of its line.
pub(super) enum Attached<'a> {
    /// A text box or a shape with text in it.
    Box(&'a Element),
    Table(&'a Element),
    /// A note: its mark, its content.
    Note(String, &'a Element),
    /// A comment: who, what.
    Comment(String, String),
}

pub(super) struct Inline<'a, 's> {
    styles: &'s Styles,
    pub(super) text: String,
    pub(super) attached: Vec<Attached<'a>>,
    pub(super) notes: usize,
    raised: bool,
}

impl<'a, 's> Inline<'a, 's> {
    pub(super) fn new(styles: &'s Styles, notes: usize) -> Self {
        Self { styles, text: String::new(), attached: Vec::new(), notes, raised: false }
    }

    pub(super) fn read(&mut self, within: &'a Element) {
        for node in &within.nodes {
            match node {
                Node::Text(text) => self.words(text),
                Node::Element(e) => self.element(e),
            }
        }
    }

    /// Blanks of the file that follow each other are one.
    fn words(&mut self, text: &str) {
        let mut plain = String::with_capacity(text.len());
        let mut blank = self.text.ends_with([' ', '\n']) || self.text.is_empty();
        for c in text.chars() {
            let is_blank = matches!(c, ' ' | '\t' | '\n' | '\r');
            if !is_blank {
                plain.push(c);
            } else if !blank {
                plain.push(' ');
            }
            blank = is_blank;
        }
        if self.raised { letters::push_raised(&mut self.text, &plain) } else { letters::push(&mut self.text, &plain, None) }
    }

    fn element(&mut self, e: &'a Element) {
        match e.name() {
            "text:s" => {
                let count = e.number::<usize>("c").unwrap_or(1).min(MAX_SPACES);
                self.text.push_str(&" ".repeat(count));
            }
            "text:tab" | "text:tab-stop" => self.text.push('\t'),
            "text:line-break" => self.text.push('\n'),
            "text:span" => {
                let style = e.attribute("style-name");
                if self.styles.is_hidden(style) {
                    return;
                }
                let raised = self.raised;
                self.raised |= self.styles.is_raised(style);
                self.read(e);
                self.raised = raised;
            }
            "text:a" => {
                let since = self.text.len();
                self.read(e);
                if let Some(shown) = self.text.get(since..) {
                    let linked = writer::link(shown, e.attribute("href").unwrap_or_default());
                    self.text.truncate(since);
                    self.text.push_str(&linked);
                }
            }
            "text:ruby" => {
                e.named("text:ruby-base").for_each(|base| self.read(base));
                let reading: String = e.child("text:ruby-text").map(Element::text).unwrap_or_default();
                if !reading.trim().is_empty() {
                    self.text.push_str(&format!("({})", reading.trim()));
                }
            }
            "text:note" | "text:footnote" | "text:endnote" => {
                let body = e.children().find(|e| e.name().ends_with("-body"));
                self.notes += 1;
                let mark = self.notes.to_string();
                self.text.push_str(&format!("[^{mark}]"));
                self.attached.extend(body.map(|body| Attached::Note(mark, body)));
            }
            "office:annotation" => self.comment(e),
            "draw:frame" | "draw:g" | "draw:custom-shape" | "draw:rect" | "draw:ellipse" | "draw:text-box" | "draw:a"
            | "draw:line" => {
                self.drawing(e);
            }
            // Where the page is; what is hidden; marks of changes.
            "text:page-number"
            | "text:page-count"
            | "text:hidden-text"
            | "text:hidden-paragraph"
            | "text:change"
            | "text:change-start"
            | "text:change-end"
            | "text:soft-page-break"
            | "text:note-citation"
            | "presentation:notes" => {}
            _ => self.read(e),
        }
    }

    pub(super) fn comment(&mut self, e: &'a Element) {
        let author = e.child("dc:creator").map(Element::text).unwrap_or_default();
        let mut inner = Inline::new(self.styles, 0);
        for p in e.all("text:p") {
            inner.read(p);
            inner.text.push(' ');
        }
        let said = inner.text.split_whitespace().collect::<Vec<_>>().join(" ");
        if !said.is_empty() {
            self.attached.push(Attached::Comment(author.trim().to_owned(), said));
        }
    }

    /// Text boxes and tables in a frame, and what a picture is said to show.
    pub(super) fn drawing(&mut self, e: &'a Element) {
        let said = ["svg:desc", "svg:title"].iter().find_map(|name| e.child(name)).map(Element::text).unwrap_or_default();
        if let Some(said) = drawing::description(&said) {
            if !self.text.is_empty() && !self.text.ends_with(char::is_whitespace) {
                self.text.push(' ');
            }
            letters::push(&mut self.text, said, None);
            self.text.push(' ');
        }
        let has_text = e.children().any(|child| matches!(child.name(), "text:p" | "text:h" | "text:list"));
        if has_text || e.name() == "draw:text-box" {
            self.attached.push(Attached::Box(e));
            return;
        }
        for child in e.children() {
            match child.name() {
                "table:table" => self.attached.push(Attached::Table(child)),
                name if name.starts_with("draw:") => self.drawing(child),
                _ => {}
            }
        }
    }
}
