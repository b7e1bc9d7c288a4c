//! YAML text → a tree whose every key and value knows its bytes. Bounded in depth, nodes and bytes, aliases included.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use serde_saphyr::granit_parser::{Event, Options, Parser, ScalarStyle, Span};

use super::secrets;

/// Collections within collections; the deepest key of a pipeline file is at 6.
const MAX_DEPTH: usize = 64;
/// Values in all, after aliases have been filled in.
const MAX_NODES: usize = 100_000;
/// Bytes of scalars in all, after aliases have been filled in.
const MAX_BYTES: usize = 8 << 20;

/// A value and its bytes in the file.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) span: Range<usize>,
    pub(super) value: Value,
}

#[derive(Debug, Clone)]
pub(super) enum Value {
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

#[derive(Debug, Clone)]
pub(super) struct Scalar {
    pub(super) text: String,
    /// Written without quotes, so that `1` is a number and `~` is nothing.
    pub(super) plain: bool,
    pub(super) filled: Filled,
}

/// Whether variables stood in a scalar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Filled {
    /// None did.
    AsWritten,
    /// All were filled in: the text may be secret, and a number may come of it.
    Yes,
    /// One could not be filled in, which has been reported.
    Failed,
}

#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_span: Range<usize>,
    pub(super) node: Node,
}

impl Node {
    /// The value at the end of the path; a number is a list's position.
    pub(super) fn at(&self, path: &[&str]) -> Option<(&Node, Option<&Range<usize>>)> {
        let mut found = (self, None);
        for step in path {
            found = match &found.0.value {
                Value::Map(entries) => {
                    let entry = entries.iter().find(|entry| entry.key == *step)?;
                    (&entry.node, Some(&entry.key_span))
                }
                Value::List(items) => (items.get(step.parse::<usize>().ok()?)?, None),
                Value::Scalar(_) => return None,
            };
        }
        Some(found)
    }

    /// The bytes of what is written in it, without what variables are filled into.
    fn written(&self, spans: &mut Vec<Range<usize>>) {
        match &self.value {
            // `$` is what a `${NAME}` without quotes in `{ }` is cut to.
            Value::Scalar(scalar) if scalar.text.contains("${") || scalar.text == "$" => {}
            Value::Scalar(_) => spans.push(self.span.clone()),
            Value::List(items) => items.iter().for_each(|item| item.written(spans)),
            Value::Map(entries) => entries.iter().for_each(|entry| entry.node.written(spans)),
        }
    }

    /// What it weighs against the bounds: values and bytes.
    fn weight(&self) -> (usize, usize) {
        let add = |(nodes, bytes): (usize, usize), (n, b): (usize, usize)| (nodes + n, bytes + b);
        match &self.value {
            Value::Scalar(scalar) => (1, scalar.text.len()),
            Value::List(items) => items.iter().map(Self::weight).fold((1, 0), add),
            Value::Map(entries) => entries.iter().map(|e| add(e.node.weight(), (1, e.key.len()))).fold((1, 0), add),
        }
    }
}

/// Why a text is not one YAML document within the bounds.
#[derive(Debug)]
pub(super) struct Broken {
    pub(super) span: Range<usize>,
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

/// What the text holds.
#[derive(Debug, Default)]
pub(super) struct Parsed {
    /// The document's root; `None` if it is empty or broken.
    pub(super) root: Option<Node>,
    /// What is wrong; parsing went on where it could.
    pub(super) broken: Vec<Broken>,
    /// Keys, passwords and headers that are written into the file in plain sight, which no message may show.
    pub(super) secrets: Vec<Range<usize>>,
}

/// Parses one document.
pub(super) fn parse(text: &str) -> Parsed {
    let mut options = Options::default();
    options.set_emit_comments(false);
    options.emit_unresolved_aliases = true;
    options.flow_nesting_limit = MAX_DEPTH;
    options.block_nesting_limit = MAX_DEPTH;
    let mut builder = Builder::default();
    for event in Parser::new_from_str_with_options(text, options) {
        let step = match event {
            Ok((event, span)) => builder.event(event, bytes(text, &span)),
            Err(error) => {
                let at = error.marker().byte_offset().unwrap_or(text.len()).min(text.len());
                Err(Box::new(scan_error(text, at, error.info().as_ref())))
            }
        };
        match step {
            Ok(true) => {}
            Ok(false) => break,
            Err(broken) => {
                builder.parsed.broken.push(*broken);
                builder.parsed.root = None;
                break;
            }
        }
    }
    builder.parsed
}

fn bytes(text: &str, span: &Span) -> Range<usize> {
    let start = span.start.byte_offset().unwrap_or(0).min(text.len());
    let end = span.end.byte_offset().unwrap_or(start).clamp(start, text.len());
    start..end
}

/// The scanner's own words, and better ones for what people do most.
fn scan_error(text: &str, at: usize, info: &str) -> Broken {
    let line_start = text.get(..at).and_then(|before| before.rfind('\n')).map_or(0, |newline| newline + 1);
    let line_end = text.get(at..).and_then(|after| after.find('\n')).map_or(text.len(), |newline| at + newline);
    let line = text.get(line_start..line_end).unwrap_or_default();
    let indent = line.len() - line.trim_start().len();
    if let Some(tab) = line.get(..indent).and_then(|blank| blank.find('\t')) {
        let span = line_start + tab..line_start + tab + 1;
        return Broken { span, message: "a tab in the indentation".into(), hint: Some("YAML is indented with spaces".into()) };
    }
    // In `{ }` and `[ ]` a scalar ends before the `{` of `${NAME}`.
    let (before, after) = text.split_at_checked(at).unwrap_or((text, ""));
    if before.ends_with('$') && after.starts_with('{') {
        let length = after.find(['}', '\n']).map_or(1, |end| end + 1);
        let hint = Some("write \"${NAME}\", quotes included".to_owned());
        let message = "a variable inside `{ }` or `[ ]` needs quotes".to_owned();
        return Broken { span: at - 1..at + length, message, hint };
    }
    // A point between lines shows nothing: step back to the last character before it.
    let start =
        if text.get(at..).is_none_or(|rest| rest.trim().is_empty()) { text.trim_end().len().saturating_sub(1) } else { at };
    let start = text.floor_char_boundary(start);
    let end = text.ceil_char_boundary((start + 1).min(text.len()));
    Broken { span: start..end, message: format!("this is not YAML: {info}"), hint: None }
}

type Step = Result<bool, Box<Broken>>;

/// What most tags are meant for.
const INSTEAD_OF_TAGS: &str = "`${NAME}` stands for a variable of the environment; another file cannot be included";

fn refuse<T>(span: Range<usize>, message: &str, hint: Option<&str>) -> Result<T, Box<Broken>> {
    Err(Box::new(Broken { span, message: message.to_owned(), hint: hint.map(str::to_owned) }))
}

/// A collection that has begun and not ended.
struct Open {
    anchor: usize,
    start: usize,
    kind: Kind,
}

enum Kind {
    List(Vec<Node>),
    Map { entries: Vec<Entry>, seen: HashSet<String>, key: Option<(String, Range<usize>)> },
}

#[derive(Default)]
struct Builder {
    parsed: Parsed,
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    documents: usize,
    nodes: usize,
    bytes: usize,
}

impl Builder {
    /// Takes one event in; `false` when nothing further matters.
    fn event(&mut self, event: Event<'_>, span: Range<usize>) -> Step {
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 {
                    let hint = "one file is one pipeline: put the second into a file of its own";
                    let end = span.end.max(span.start + 1);
                    self.parsed.broken.push(Broken {
                        span: span.start..end,
                        message: "a second document begins here".into(),
                        hint: Some(hint.into()),
                    });
                    return Ok(false);
                }
            }
            Event::Scalar(text, style, anchor, tag) => {
                if tag.is_some() {
                    return refuse(span, "YAML tags (`!…`) have no meaning here", Some(INSTEAD_OF_TAGS));
                }
                if secrets::is_bare(&text) {
                    self.parsed.secrets.push(span.clone());
                }
                let plain = style == ScalarStyle::Plain;
                let value = Value::Scalar(Scalar { text: text.into_owned(), plain, filled: Filled::AsWritten });
                return self.node(Node { span, value }, anchor);
            }
            Event::SequenceStart(_, _, Some(_)) | Event::MappingStart(_, _, Some(_)) => {
                return refuse(span, "YAML tags (`!…`) have no meaning here", Some(INSTEAD_OF_TAGS));
            }
            Event::SequenceStart(_, anchor, _) => return self.open(anchor, span, Kind::List(Vec::new())),
            Event::MappingStart(_, anchor, _) => {
                return self.open(anchor, span, Kind::Map { entries: Vec::new(), seen: HashSet::new(), key: None });
            }
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(open) = self.open.pop() {
                    let value = match open.kind {
                        Kind::List(items) => Value::List(items),
                        Kind::Map { entries, .. } => Value::Map(entries),
                    };
                    let node = Node { span: open.start..span.end.max(open.start), value };
                    return self.node(node, open.anchor);
                }
            }
            Event::Alias(anchor) => {
                let Some(node) = self.anchors.get(&anchor) else {
                    return refuse(span, "an alias to the very thing that it stands in", None);
                };
                let (nodes, bytes) = node.weight();
                if self.nodes + nodes > MAX_NODES || self.bytes + bytes > MAX_BYTES {
                    return refuse(span, "too large once its aliases are filled in", None);
                }
                // Its parts keep the places where they are written, so that an error points there.
                let node = node.clone();
                self.bytes += bytes;
                self.nodes += nodes;
                return self.node(node, 0);
            }
            Event::UnresolvedAlias(_) => {
                let hint = "a text that begins with `*` needs quotes, such as \"*.md\"";
                return refuse(span, "an alias to an anchor that is not there", Some(hint));
            }
            _ => {}
        }
        Ok(true)
    }

    fn open(&mut self, anchor: usize, span: Range<usize>, kind: Kind) -> Step {
        if self.open.len() >= MAX_DEPTH {
            return refuse(span, "nested too deeply", None);
        }
        if let Some(Open { kind: Kind::Map { key: None, .. }, .. }) = self.open.last() {
            return refuse(span, "a key must be plain text", Some("quote values that begin with `{`, `[` or `*`"));
        }
        self.open.push(Open { anchor, start: span.start, kind });
        Ok(true)
    }

    /// A finished value goes to where it belongs.
    fn node(&mut self, node: Node, anchor: usize) -> Step {
        self.nodes += 1;
        if let Value::Scalar(scalar) = &node.value {
            self.bytes += scalar.text.len();
        }
        if self.nodes > MAX_NODES || self.bytes > MAX_BYTES {
            return refuse(node.span, "too many values for a pipeline file", None);
        }
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut().map(|open| &mut open.kind) {
            None => self.parsed.root = Some(node),
            Some(Kind::List(items)) => items.push(node),
            Some(Kind::Map { entries, seen, key }) => match (key.take(), node.value) {
                (None, Value::Scalar(scalar)) => *key = Some((scalar.text, node.span)),
                (None, _) => return refuse(node.span, "a key must be plain text", None),
                (Some((name, key_span)), value) => {
                    // Nothing written after the colon: point at the key.
                    let span = if node.span.is_empty() { key_span.clone() } else { node.span.clone() };
                    let node = Node { span, value };
                    if secrets::is_secret(&name) && node.span != key_span {
                        node.written(&mut self.parsed.secrets);
                    }
                    if seen.insert(name.clone()) {
                        entries.push(Entry { key: name, key_span, node });
                    } else {
                        let message = format!("`{}` is given twice", super::diagnose::printable(&secrets::shown(&name)));
                        let hint = Some("keep one of the two".to_owned());
                        self.parsed.broken.push(Broken { span: key_span, message, hint });
                    }
                }
            },
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice, reason = "tests may fail loudly")]

    use super::*;

    #[test]
    fn every_value_knows_its_bytes() {
        for text in ["a: 1\nb:\n  - x\n  - \"ÿ y\"\n", "\u{feff}a: 1\nb: [x, \"ÿ y\"]\n"] {
            let root = parse(text).root.unwrap();
            let (node, key) = root.at(&["a"]).unwrap();
            assert_eq!((&text[node.span.clone()], &text[key.unwrap().clone()]), ("1", "a"));
            assert_eq!(&text[root.at(&["b", "1"]).unwrap().0.span.clone()], "\"ÿ y\"");
        }
    }

    #[test]
    fn aliases_are_filled_in_and_bombs_are_refused() {
        let root = parse("a: &x {k: v}\nb: *x\n").root.unwrap();
        assert!(root.at(&["b", "k"]).is_some());
        let mut bomb = vec!["a0: &a0 [x, x, x, x, x, x, x, x, x, x]".to_owned()];
        for n in 1..20 {
            let many = vec![format!("*a{}", n - 1); 10].join(", ");
            bomb.push(format!("a{n}: &a{n} [{many}]"));
        }
        let parsed = parse(&bomb.join("\n"));
        assert!(parsed.root.is_none());
        assert!(parsed.broken[0].message.contains("too large"), "{:?}", parsed.broken);
        assert!(parse("a: &a [*a]\n").broken[0].message.contains("alias to the very thing"));
    }

    #[test]
    fn depth_is_bounded() {
        for text in ["[".repeat(100_000), "- ".repeat(100_000), "{a: ".repeat(1000)] {
            assert!(!parse(&text).broken.is_empty());
        }
    }

    #[test]
    fn two_documents_and_twice_the_same_key() {
        let parsed = parse("a: 1\na: 2\n---\nb: 1\n");
        let found: Vec<_> = parsed.broken.iter().map(|b| (b.span.start, b.message.as_str())).collect();
        assert_eq!(found, [(5, "`a` is given twice"), (10, "a second document begins here")]);
    }
}
