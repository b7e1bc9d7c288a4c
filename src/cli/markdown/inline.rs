//! What is within a line: emphasis, code, links, citations.
//!
//! A mark that opens something waits for what closes it, but not longer than [`LOOK_AHEAD`]: then it is believed. Where the line
//! ends without, it stays what it is, a character. Two rules are kinder than `CommonMark`'s, for the sake of what models write:
//! `**` may stand between a letter and a punctuation mark (`**重点：**内容`), and a `*` between two ASCII letters or digits is a
//! product, not an emphasis.

use std::borrow::Cow;
use std::sync::Arc;

use url::Url;

use super::closing::{Closing, bracketed, closing_marks, closing_ticks, parenthesised, run};
use super::flow::{Flow, Ink};

/// What opens waits for what closes it within so many bytes.
const LOOK_AHEAD: usize = 64;
/// A link's text and address, an autolink, a citation: longer ones are text.
const MAX_LINK_BYTES: usize = 512;
/// `&CounterClockwiseContourIntegral;` is longer, and no one's.
const MAX_ENTITY_BYTES: usize = 12;

/// Characters that no text may hold: around a citation, and between it and its address.
pub(super) const CITED: char = '\u{fdd0}';
pub(super) const MISCITED: char = '\u{fdd1}';
pub(super) const ADDRESS: char = '\u{fdd2}';
pub(super) const END: char = '\u{fdd3}';

/// Whether a character is one of ours.
pub(super) fn is_mark(c: char) -> bool {
    (CITED..=END).contains(&c)
}

/// The text without our marks and the addresses between them.
pub(super) fn unmarked(text: &str) -> Cow<'_, str> {
    if !text.contains(is_mark) {
        return text.into();
    }
    let mut address = false;
    let shown = |c: &char| {
        address = *c == ADDRESS || address && *c != END;
        !address && !is_mark(*c)
    };
    text.chars().filter(shown).collect::<String>().into()
}

const CODE: u8 = 32;
const CITE: u8 = 36;
const WRONG: u8 = 33;

/// Reads the text of a block.
#[derive(Debug, Default)]
pub(super) struct Inline {
    /// How text looks that nothing is said of.
    base: Ink,
    held: String,
    previous: Option<char>,
    /// The mark that opened it.
    strong: Option<char>,
    emphasis: Option<char>,
    struck: bool,
    /// Code that was opened by so many backticks and not seen closed yet.
    code: Option<usize>,
}

impl Inline {
    pub fn new(base: Ink) -> Self {
        Self { base, ..Self::default() }
    }

    #[cfg(test)]
    pub fn held_bytes(&self) -> usize {
        self.held.len()
    }

    /// Reads a character.
    pub fn read(&mut self, c: char, flow: &mut Flow) {
        self.held.push(c);
        self.go_on(false, flow);
    }

    /// The line has ended.
    pub fn end_line(&mut self, flow: &mut Flow) {
        self.go_on(true, flow);
        self.previous = None;
    }

    fn go_on(&mut self, ended: bool, flow: &mut Flow) {
        let held = std::mem::take(&mut self.held);
        let mut rest = held.as_str();
        while !rest.is_empty()
            && let Some(used) = self.step(rest, ended, flow)
        {
            rest = rest.get(used..).unwrap_or_default();
        }
        rest.clone_into(&mut self.held);
    }

    /// Reads what `rest` begins with and tells how many bytes that is; `None` when more must be seen.
    fn step(&mut self, rest: &str, ended: bool, flow: &mut Flow) -> Option<usize> {
        let mut chars = rest.chars();
        let (first, second) = (chars.next()?, chars.next());
        if self.code.is_some() && first != '`' && !is_mark(first) {
            self.put(first, flow);
            return Some(first.len_utf8());
        }
        let used = match first {
            '\\' | '!' if second.is_none() && !ended => return None,
            '\\' => match second.filter(char::is_ascii_punctuation) {
                Some(escaped) => {
                    self.put(escaped, flow);
                    2
                }
                // At the end of a line it breaks the line, as every line's end does here.
                None if second.is_none() => 1,
                None => self.literal(first, flow),
            },
            '`' => self.backticks(rest, ended, flow)?,
            '*' | '_' | '~' => self.marks(first, rest, ended, flow)?,
            '[' => self.link(rest, 0, ended, flow)?,
            '!' if second == Some('[') => self.link(rest, 1, ended, flow)?,
            '<' => self.tag(rest, ended, flow)?,
            '&' => self.entity(rest, ended, flow)?,
            CITED | MISCITED => self.citation(first, rest, flow)?,
            _ => self.literal(first, flow),
        };
        Some(used)
    }

    fn literal(&mut self, c: char, flow: &mut Flow) -> usize {
        self.put(c, flow);
        c.len_utf8()
    }

    fn put(&mut self, c: char, flow: &mut Flow) {
        let c = if c == '\t' { ' ' } else { c };
        flow.set_ink(self.ink());
        flow.put(c);
        self.previous = Some(c);
    }

    fn ink(&self) -> Ink {
        let mut ink = self.base.clone();
        ink.bold |= self.strong.is_some();
        ink.italic |= self.emphasis.is_some();
        ink.struck |= self.struck;
        if self.code.is_some() {
            ink.color = Some(CODE);
        }
        ink
    }

    fn backticks(&mut self, rest: &str, ended: bool, flow: &mut Flow) -> Option<usize> {
        let run = run(rest, '`');
        if run == rest.len() && !ended {
            return None;
        }
        let all = rest.get(..run).unwrap_or_default();
        if let Some(open) = self.code {
            if run == open {
                self.close_code(flow);
            } else {
                all.chars().for_each(|c| self.put(c, flow));
            }
            return Some(run);
        }
        let after = rest.get(run..).unwrap_or_default();
        match closing_ticks(after, run, ended) {
            Closing::At(at) => {
                self.open_code(run, flow);
                let code = &*unmarked(after.get(..at).unwrap_or_default());
                // One space each keeps a backtick off the marks.
                let inner = code.strip_prefix(' ').and_then(|code| code.strip_suffix(' '));
                inner.filter(|inner| !inner.trim().is_empty()).unwrap_or(code).chars().for_each(|c| self.put(c, flow));
                self.close_code(flow);
                Some(run + at + run)
            }
            Closing::Unknown if rest.len() < LOOK_AHEAD => None,
            Closing::Unknown => {
                self.open_code(run, flow);
                Some(run)
            }
            Closing::Nowhere => {
                all.chars().for_each(|c| self.put(c, flow));
                Some(run)
            }
        }
    }

    /// Code keeps its backticks where no colour tells it apart.
    fn open_code(&mut self, ticks: usize, flow: &mut Flow) {
        if !flow.screen.colors {
            self.put('`', flow);
        }
        self.code = Some(ticks);
    }

    fn close_code(&mut self, flow: &mut Flow) {
        self.code = None;
        if !flow.screen.colors {
            flow.set_ink(self.ink());
            flow.cling('`');
        }
        self.previous = Some('`');
    }

    /// A run of `*`, `_` or `~`.
    fn marks(&mut self, mark: char, rest: &str, ended: bool, flow: &mut Flow) -> Option<usize> {
        let run = run(rest, mark);
        if run == rest.len() && !ended {
            return None;
        }
        let after = rest.get(run..).unwrap_or_default();
        let next = after.chars().next().unwrap_or(' ');
        let previous = self.previous.unwrap_or(' ');
        let word = |c: char| c.is_alphanumeric() || c == '_';
        let mut left = run;
        if !(previous.is_whitespace() || mark == '_' && word(next)) {
            left -= self.close(mark, left);
        }
        let product = left == 1 && previous.is_ascii_alphanumeric() && next.is_ascii_alphanumeric();
        let inside = match mark {
            '_' => word(previous),
            '~' => left != 2 || self.struck,
            _ => product || self.emphasis == Some('*') && left == 1,
        };
        if left > 0 && left <= 3 && !next.is_whitespace() && !inside && !(left >= 2 && self.strong.is_some()) {
            match closing_marks(after, mark, left, ended) {
                Closing::Unknown if rest.len() < LOOK_AHEAD => {
                    // What was closed is closed again when more has come.
                    if left < run {
                        self.previous = Some(mark);
                        return Some(run - left);
                    }
                    return None;
                }
                Closing::Nowhere => {}
                Closing::At(_) | Closing::Unknown => {
                    match (mark, left) {
                        ('~', _) => self.struck = true,
                        (_, 1) => self.emphasis = Some(mark),
                        (_, 2) => self.strong = Some(mark),
                        _ => (self.strong, self.emphasis) = (Some(mark), Some(mark)),
                    }
                    left = 0;
                }
            }
        }
        (0..left).for_each(|_| self.put(mark, flow));
        if left == 0 && run > 0 && self.previous.is_none() {
            // What opens a line is no white space before what follows.
            self.previous = Some(mark);
        }
        Some(run)
    }

    /// Closes what a run of so many marks closes, and tells how many of them that took.
    fn close(&mut self, mark: char, run: usize) -> usize {
        if mark == '~' {
            return if run == 2 && std::mem::take(&mut self.struck) { 2 } else { 0 };
        }
        let mut used = 0;
        if run >= 2 && self.strong == Some(mark) {
            self.strong = None;
            used = 2;
        }
        if (run - used) % 2 == 1 && self.emphasis == Some(mark) {
            self.emphasis = None;
            used += 1;
        }
        used
    }

    /// `[text](address)`, and with a `!` before it (so many bytes) an image.
    fn link(&mut self, rest: &str, bang: usize, ended: bool, flow: &mut Flow) -> Option<usize> {
        let open = bang + 1;
        let unknown = !ended && rest.len() < MAX_LINK_BYTES;
        let literal = |it: &mut Self, flow: &mut Flow| {
            rest.chars().take(open).for_each(|c| it.put(c, flow));
            Some(open)
        };
        let after = rest.get(open..).unwrap_or_default();
        let Some(text) = bracketed(after) else { return if unknown { None } else { literal(self, flow) } };
        let target = after.get(text.len() + 1..).unwrap_or_default();
        match target.chars().next() {
            None if unknown => return None,
            Some('(') => {}
            _ => return literal(self, flow),
        }
        let target = target.get(1..).unwrap_or_default();
        let Some(inside) = parenthesised(target) else { return if unknown { None } else { literal(self, flow) } };
        let written = inside.trim();
        let (address, title) = match written.strip_prefix('<').and_then(|address| address.split_once('>')) {
            Some((address, title)) => (address, title),
            None => written.split_once(char::is_whitespace).unwrap_or((written, "")),
        };
        if !is_title(title.trim()) {
            return literal(self, flow);
        }
        self.show_link(text, &unmarked(address), flow);
        Some(open + text.len() + 2 + inside.len() + 1)
    }

    fn show_link(&mut self, text: &str, address: &str, flow: &mut Flow) {
        let link = safe(address).filter(|_| flow.screen.links);
        let linked = Ink { underline: true, link: link.clone(), ..self.ink() };
        let before = std::mem::replace(&mut self.base, linked);
        let text = if text.trim().is_empty() { address } else { text };
        let (strong, emphasis, struck) = (self.strong.take(), self.emphasis.take(), std::mem::take(&mut self.struck));
        let mut inner = Self { base: self.base.clone(), previous: self.previous, ..Self::default() };
        for c in text.chars() {
            inner.read(c, flow);
        }
        inner.end_line(flow);
        self.base = before;
        (self.strong, self.emphasis, self.struck) = (strong, emphasis, struck);
        // A text that looks like an address must not hide another.
        let says = text.trim();
        let disguised = says.contains("://") || says.starts_with("www.");
        if says != address && !address.is_empty() && (link.is_none() || disguised) {
            for c in " (".chars().chain(address.chars()).chain([')']) {
                self.put(c, flow);
            }
        }
        self.previous = Some(')');
    }

    /// `<https://…>` and `<br>`; other tags are shown as they are.
    fn tag(&mut self, rest: &str, ended: bool, flow: &mut Flow) -> Option<usize> {
        let after = rest.get(1..).unwrap_or_default();
        let end = after.find(|c: char| c == '>' || c == '<' || c.is_whitespace() || is_mark(c));
        let Some(end) = end else {
            return if ended || rest.len() > MAX_LINK_BYTES { Some(self.literal('<', flow)) } else { None };
        };
        let (inner, rest) = after.split_at_checked(end).unwrap_or_default();
        let used = inner.len() + 2;
        match inner {
            _ if !rest.starts_with('>') => Some(self.literal('<', flow)),
            "br" | "br/" => {
                flow.wrap();
                self.previous = None;
                Some(used)
            }
            _ if inner.contains("://") || inner.starts_with("mailto:") => {
                self.show_link(inner, inner, flow);
                Some(used)
            }
            _ => Some(self.literal('<', flow)),
        }
    }

    fn entity(&mut self, rest: &str, ended: bool, flow: &mut Flow) -> Option<usize> {
        let after = rest.get(1..).unwrap_or_default();
        match after.find(|c: char| !c.is_ascii_alphanumeric() && c != '#') {
            None if !ended && rest.len() < MAX_ENTITY_BYTES => return None,
            Some(end) if after.get(end..).is_some_and(|rest| rest.starts_with(';')) => {
                if let Some(c) = after.get(..end).and_then(decoded) {
                    self.put(c, flow);
                    return Some(end + 2);
                }
            }
            _ => {}
        }
        Some(self.literal('&', flow))
    }

    /// A citation with its address, between marks of ours.
    fn citation(&mut self, mark: char, rest: &str, flow: &mut Flow) -> Option<usize> {
        let end = rest.find(END)?;
        let inner = rest.get(mark.len_utf8()..end).unwrap_or_default();
        let (text, address) = inner.split_once(ADDRESS).unwrap_or((inner, ""));
        let link = (!address.is_empty()).then(|| Arc::from(address));
        let color = Some(if mark == CITED { CITE } else { WRONG });
        flow.set_ink(Ink { color, link, ..self.ink() });
        for c in text.chars() {
            if c == ' ' { flow.put(c) } else { flow.cling(c) }
        }
        self.previous = Some(']');
        Some(end + END.len_utf8())
    }
}

/// A link's title, or none: in quotes or parentheses. It is not shown.
fn is_title(text: &str) -> bool {
    text.is_empty()
        || [('"', '"'), ('\'', '\''), ('(', ')')]
            .iter()
            .any(|(open, close)| text.strip_prefix(*open).is_some_and(|rest| rest.ends_with(*close)))
}

/// An address that may be linked to. What a `Url` prints is ASCII without control characters, and cannot end the link.
fn safe(address: &str) -> Option<Arc<str>> {
    let url = Url::parse(address).ok()?;
    matches!(url.scheme(), "http" | "https" | "mailto").then(|| Arc::from(url.as_str()))
}

/// An entity's character. None that would steer the terminal.
fn decoded(name: &str) -> Option<char> {
    let c = match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        "nbsp" => ' ',
        "hellip" => '…',
        "ndash" => '–',
        "mdash" => '—',
        "times" => '×',
        _ => {
            let digits = name.strip_prefix('#')?;
            let hex = digits.strip_prefix(['x', 'X']);
            char::from_u32(hex.map_or_else(|| digits.parse(), |hex| u32::from_str_radix(hex, 16)).ok()?)?
        }
    };
    (!crate::cli::style::steers(c) && !is_mark(c)).then_some(c)
}
