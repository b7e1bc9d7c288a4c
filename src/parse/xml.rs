//! XML parts of office files, as small trees.

use std::collections::HashSet;
use std::rc::Rc;

use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};
use quick_xml::name::{Namespace, QName, ResolveResult};
use quick_xml::reader::NsReader;

use super::ParseError;

/// Elements within elements. What lies deeper hangs at this depth: readers walk the tree on the stack.
const MAX_DEPTH: usize = 400;
/// Elements of one part: a book of ten thousand pages has fewer.
const MAX_ELEMENTS: usize = 3_000_000;

/// An element. Its name is `prefix:local`, the prefix being the one that the standards write for its namespace, whatever the
/// file calls it; that of a namespace which is not known here is the file's own.
#[derive(Debug)]
pub(super) struct Element {
    name: Rc<str>,
    attributes: Vec<(Rc<str>, Box<str>)>,
    /// What is in it, in order.
    pub(super) nodes: Vec<Node>,
}

#[derive(Debug)]
pub(super) enum Node {
    Element(Element),
    Text(String),
}

impl Element {
    /// Reads a part. What is well-formed before the first fault is kept if it is more than the root.
    pub(super) fn parse(source: &str) -> Result<Self, String> {
        Builder::default().read(source)
    }

    /// Reads a part that is too large for a tree: elements named `whole` are handed over when they are complete, and are not
    /// kept; of elements named `around` one is told when they begin. What comes back is all the rest.
    pub(super) fn stream(
        source: &str,
        (around, whole): (&'static str, &'static str),
        visit: &mut dyn FnMut(Visit) -> Result<(), ParseError>,
    ) -> Result<Result<Self, String>, ParseError> {
        let mut failure = None;
        let mut builder = Builder::default();
        let read = builder.walk(source, &mut |builder, at| {
            let name = builder.open.last().map_or("", |e| e.name());
            let told = match at {
                At::Begin if name == around => builder.open.last().map(|e| visit(Visit::Begin(e))),
                At::End if name == whole => builder.open.last_mut().map(|e| {
                    let whole = Self {
                        name: Rc::clone(&e.name),
                        attributes: std::mem::take(&mut e.attributes),
                        nodes: std::mem::take(&mut e.nodes),
                    };
                    builder.elements = 0;
                    builder.dropped = true;
                    visit(Visit::Whole(whole))
                }),
                _ => None,
            };
            match told {
                Some(Err(e)) => {
                    failure = Some(e);
                    false
                }
                _ => true,
            }
        });
        failure.map_or(Ok(read), Err)
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// An attribute by its local name, or as `r:id` if it is one of the relationships' namespace.
    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(n, _)| &**n == name).map(|(_, value)| &**value)
    }

    pub(super) fn number<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        self.attribute(name)?.trim().parse().ok()
    }

    pub(super) fn children(&self) -> impl DoubleEndedIterator<Item = &Self> {
        self.nodes.iter().filter_map(|node| match node {
            Node::Element(e) => Some(e),
            Node::Text(_) => None,
        })
    }

    pub(super) fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Self> {
        self.children().filter(move |e| e.name() == name)
    }

    pub(super) fn child(&self, name: &str) -> Option<&Self> {
        self.children().find(|e| e.name() == name)
    }

    /// The element at the end of a path of children.
    pub(super) fn at(&self, path: &[&str]) -> Option<&Self> {
        path.iter().try_fold(self, |e, name| e.child(name))
    }

    /// `val` of a child, as the office formats write their properties.
    pub(super) fn value_of(&self, child: &str) -> Option<&str> {
        self.child(child)?.attribute("val")
    }

    /// Whether a property of this kind is there and not switched off.
    pub(super) fn is_on(&self, child: &str) -> bool {
        self.child(child).is_some_and(|e| !matches!(e.attribute("val"), Some("0" | "false" | "off" | "none")))
    }

    /// All elements below with this name, in order; those within such an element are left out.
    pub(super) fn all<'a>(&'a self, name: &str) -> Vec<&'a Self> {
        let mut found = Vec::new();
        let mut todo: Vec<&Self> = self.children().rev().collect();
        while let Some(e) = todo.pop() {
            if e.name() == name {
                found.push(e);
            } else {
                todo.extend(e.children().rev());
            }
        }
        found
    }

    /// The first element below with this name.
    pub(super) fn first<'a>(&'a self, name: &str) -> Option<&'a Self> {
        let mut todo: Vec<&Self> = self.children().rev().collect();
        while let Some(e) = todo.pop() {
            if e.name() == name {
                return Some(e);
            }
            todo.extend(e.children().rev());
        }
        None
    }

    /// All text below.
    pub(super) fn text(&self) -> String {
        let mut out = String::new();
        let mut todo: Vec<&Node> = self.nodes.iter().rev().collect();
        while let Some(node) = todo.pop() {
            match node {
                Node::Text(text) => out.push_str(text),
                Node::Element(e) => todo.extend(e.nodes.iter().rev()),
            }
        }
        out
    }
}

/// What is met on the way through a large part.
pub(super) enum Visit<'a> {
    /// An element that has begun: its attributes.
    Begin(&'a Element),
    /// An element with all that is in it.
    Whole(Element),
}

enum At {
    Begin,
    End,
}

#[derive(Default)]
struct Builder {
    names: HashSet<Rc<str>>,
    open: Vec<Element>,
    /// Elements that were hung higher than they are.
    lifted: usize,
    elements: usize,
    /// The element that closes now was handed over.
    dropped: bool,
}

impl Builder {
    fn read(mut self, source: &str) -> Result<Element, String> {
        self.walk(source, &mut |_, _| true)
    }

    /// `met` says whether to go on.
    fn walk(&mut self, source: &str, met: &mut dyn FnMut(&mut Self, At) -> bool) -> Result<Element, String> {
        let mut reader = NsReader::from_str(source);
        reader.config_mut().check_end_names = false;
        loop {
            let fault = match reader.read_event() {
                Ok(Event::Start(e)) => {
                    let element = self.element(&e, &reader)?;
                    if self.open.len() < MAX_DEPTH {
                        self.open.push(element);
                        if !met(self, At::Begin) {
                            return Err(String::new());
                        }
                    } else {
                        self.lifted += 1;
                        self.hang(Node::Element(element));
                    }
                    continue;
                }
                // Most of the elements of Word's documents, and nothing that a reader here asks for.
                Ok(Event::Empty(e)) if is_look(e.name().as_ref()) => continue,
                Ok(Event::Empty(e)) => {
                    let element = self.element(&e, &reader)?;
                    if self.open.is_empty() {
                        return Ok(element);
                    }
                    self.hang(Node::Element(element));
                    continue;
                }
                Ok(Event::End(_)) => {
                    if self.lifted > 0 {
                        self.lifted -= 1;
                        continue;
                    }
                    if !met(self, At::End) {
                        return Err(String::new());
                    }
                    let Some(mut closed) = self.open.pop() else { return Err("it ends before it begins".to_owned()) };
                    closed.nodes.shrink_to_fit();
                    if self.open.is_empty() {
                        return Ok(closed);
                    }
                    if !std::mem::take(&mut self.dropped) {
                        self.hang(Node::Element(closed));
                    }
                    continue;
                }
                Ok(Event::Text(t)) => {
                    self.text(&t.xml_content(XmlVersion::Implicit1_0));
                    continue;
                }
                Ok(Event::CData(t)) => {
                    self.text(&t.xml_content(XmlVersion::Implicit1_0));
                    continue;
                }
                Ok(Event::GeneralRef(r)) => {
                    let resolved = match r.resolve_char_ref() {
                        Ok(Some(c)) => Some(c.to_string()),
                        _ => quick_xml::escape::resolve_predefined_entity(&r.xml_content(XmlVersion::Implicit1_0))
                            .map(str::to_owned),
                    };
                    self.text(&resolved.unwrap_or_default());
                    continue;
                }
                Ok(Event::Eof) => "it ends in the middle".to_owned(),
                Ok(_) => continue,
                Err(e) => e.to_string(),
            };
            return self.salvage(fault);
        }
    }

    /// What was read of a part that is damaged further on.
    fn salvage(&mut self, fault: String) -> Result<Element, String> {
        if self.elements < 2 {
            return Err(fault);
        }
        while self.open.len() > 1 {
            if let Some(closed) = self.open.pop() {
                self.hang(Node::Element(closed));
            }
        }
        tracing::warn!(%fault, "a part of an office file is damaged; what comes before is read");
        self.open.pop().ok_or(fault)
    }

    fn hang(&mut self, node: Node) {
        if let Some(parent) = self.open.last_mut() {
            parent.nodes.push(node);
        }
    }

    fn text(&mut self, text: &str) {
        // The blanks of a file that is laid out to be read.
        if text.is_empty() || (text.contains('\n') && text.trim().is_empty()) {
            return;
        }
        let Some(parent) = self.open.last_mut() else { return };
        if let Some(Node::Text(before)) = parent.nodes.last_mut() {
            before.push_str(text);
        } else {
            parent.nodes.push(Node::Text(text.to_owned()));
        }
    }

    fn element(&mut self, e: &BytesStart<'_>, reader: &NsReader<&[u8]>) -> Result<Element, String> {
        self.elements += 1;
        if self.elements > MAX_ELEMENTS {
            return Err(format!("more than {MAX_ELEMENTS} elements"));
        }
        let (namespace, local) = reader.resolver().resolve_element(e.name());
        let name = match canonical(&namespace, e.name()) {
            "" => self.intern(local.as_ref()),
            prefix => self.intern(&format!("{prefix}:{}", local.as_ref())),
        };
        let mut attributes = Vec::new();
        for attribute in e.attributes().with_checks(false).flatten() {
            let local = attribute.key.local_name();
            let local = local.as_ref();
            // Marks of the editor's sessions, on nearly every element of Word's.
            if local.starts_with("rsid") || attribute.key.as_namespace_binding().is_some() {
                continue;
            }
            let (of, _) = reader.resolver().resolve_attribute(attribute.key);
            let key =
                if canonical(&of, attribute.key) == "r" { self.intern(&format!("r:{local}")) } else { self.intern(local) };
            let Ok(value) = attribute.normalized_value(XmlVersion::Implicit1_0) else { continue };
            attributes.push((key, value.into_owned().into_boxed_str()));
        }
        attributes.shrink_to_fit();
        Ok(Element { name, attributes, nodes: Vec::new() })
    }

    fn intern(&mut self, name: &str) -> Rc<str> {
        if let Some(known) = self.names.get(name) {
            return Rc::clone(known);
        }
        let new: Rc<str> = name.into();
        self.names.insert(Rc::clone(&new));
        new
    }
}

/// What says only how letters, paragraphs and cells look, or where the editor was.
fn is_look(name: &str) -> bool {
    matches!(
        name,
        "w:sz"
            | "w:szCs"
            | "w:color"
            | "w:lang"
            | "w:b"
            | "w:bCs"
            | "w:i"
            | "w:iCs"
            | "w:u"
            | "w:kern"
            | "w:spacing"
            | "w:jc"
            | "w:ind"
            | "w:shd"
            | "w:highlight"
            | "w:rtl"
            | "w:noProof"
            | "w:proofErr"
            | "w:bookmarkEnd"
            | "w:lastRenderedPageBreak"
            | "w:tcW"
            | "w:top"
            | "w:bottom"
            | "w:left"
            | "w:right"
            | "w:cnfStyle"
            | "w:keepNext"
            | "w:keepLines"
            | "w:widowControl"
            | "w:snapToGrid"
            | "w:vAlign"
            | "w:gridCol"
    )
}

/// The prefix that the standards write for a namespace. The strict variant of the office formats has other addresses.
fn canonical<'a>(namespace: &ResolveResult, name: QName<'a>) -> &'a str {
    let own = name.prefix().map_or("", quick_xml::name::Prefix::into_inner);
    let ResolveResult::Bound(Namespace(address)) = namespace else { return own };
    let address = address.trim_end_matches('/');
    if let Some(of_opendocument) = address.strip_prefix("urn:oasis:names:tc:opendocument:xmlns:") {
        return match of_opendocument.split(':').next().unwrap_or_default() {
            "office" => "office",
            "text" => "text",
            "table" => "table",
            "drawing" => "draw",
            "style" => "style",
            "presentation" => "presentation",
            "svg-compatible" => "svg",
            "meta" => "meta",
            "chart" => "chart",
            "datastyle" => "number",
            _ => own,
        };
    }
    match address {
        "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
        | "http://purl.oclc.org/ooxml/wordprocessingml/main"
        | "http://schemas.microsoft.com/office/word/2003/wordml" => "w",
        "http://schemas.openxmlformats.org/drawingml/2006/main" | "http://purl.oclc.org/ooxml/drawingml/main" => "a",
        "http://schemas.openxmlformats.org/presentationml/2006/main" | "http://purl.oclc.org/ooxml/presentationml/main" => "p",
        "http://schemas.openxmlformats.org/spreadsheetml/2006/main" | "http://purl.oclc.org/ooxml/spreadsheetml/main" => "x",
        "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
        | "http://purl.oclc.org/ooxml/officeDocument/relationships" => "r",
        "http://schemas.openxmlformats.org/officeDocument/2006/math" | "http://purl.oclc.org/ooxml/officeDocument/math" => "m",
        "http://schemas.openxmlformats.org/markup-compatibility/2006" => "mc",
        "http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing"
        | "http://purl.oclc.org/ooxml/drawingml/wordprocessingDrawing" => "wp",
        "http://schemas.openxmlformats.org/drawingml/2006/chart" | "http://purl.oclc.org/ooxml/drawingml/chart" => "c",
        "http://schemas.openxmlformats.org/drawingml/2006/diagram" | "http://purl.oclc.org/ooxml/drawingml/diagram" => "dgm",
        "urn:schemas-microsoft-com:vml" => "v",
        "urn:schemas-microsoft-com:office:spreadsheet" => "ss",
        "http://www.w3.org/1999/xlink" => "xlink",
        "http://purl.org/dc/elements/1.1" => "dc",
        "http://openoffice.org/2000/office" => "office",
        "http://openoffice.org/2000/text" => "text",
        "http://openoffice.org/2000/table" => "table",
        "http://openoffice.org/2000/drawing" => "draw",
        "http://openoffice.org/2000/style" => "style",
        "http://openoffice.org/2000/presentation" => "presentation",
        _ => own,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may")]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_those_of_the_standards() {
        let root = Element::parse(
            "<?xml version='1.0'?><x:document xmlns:x='http://purl.oclc.org/ooxml/wordprocessingml/main' xmlns:q='http://schemas.openxmlformats.org/officeDocument/2006/relationships'>\n <x:p x:val='a&amp;b' q:id='r1' id='2'>one &lt;<x:t/>&#x4e8c;</x:p>\n</x:document>",
        )
        .unwrap();
        let p = root.child("w:p").unwrap();
        assert_eq!(
            (root.name(), p.attribute("val"), p.attribute("r:id"), p.attribute("id")),
            ("w:document", Some("a&b"), Some("r1"), Some("2"))
        );
        assert_eq!((p.text().as_str(), root.nodes.len()), ("one <二", 1));
    }

    #[test]
    fn depth_is_bounded_and_damage_is_not_the_end() {
        let deep = format!("<a>{}x{}<c>y</c></a>", "<b>".repeat(50_000), "</b>".repeat(50_000));
        let root = Element::parse(&deep).unwrap();
        assert_eq!((root.text().as_str(), root.child("c").is_some()), ("xy", true));
        assert_eq!(Element::parse("<a><b>kept</b><c").unwrap().text(), "kept");
        assert!(Element::parse("").is_err() && Element::parse("no").is_err());
    }
}
