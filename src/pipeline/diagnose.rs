//! What is wrong with a pipeline file, and where: message, hint, file, line, column, and the line itself with a caret.

#[cfg(feature = "cli")]
mod render;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use serde::Serialize;

use super::fullwidth;

/// Findings kept of one file; what comes after is only counted.
const MAX_FINDINGS: usize = 100;
/// What stands for a character that must not reach a terminal.
const BLANK: char = '?';

/// The file as it may be shown: secrets written into it and control characters are covered, byte offsets kept.
pub(super) struct Source {
    name: Arc<str>,
    shown: String,
    /// What is covered in it.
    masks: Vec<Range<usize>>,
    /// Byte offset of the first byte of each line.
    lines: Vec<usize>,
}

impl Source {
    /// `masks`: byte ranges that nobody may see.
    pub(super) fn new(name: &str, text: &str, masks: &[Range<usize>]) -> Self {
        let mut all = masks.to_vec();
        all.sort_by_key(|mask| mask.start);
        let (mut masks, mut masked_to) = (all.iter().peekable(), 0);
        let mut shown = String::with_capacity(text.len());
        let mut chars = text.char_indices().peekable();
        while let Some((at, c)) = chars.next() {
            while let Some(mask) = masks.next_if(|mask| mask.start <= at) {
                masked_to = masked_to.max(mask.end);
            }
            let crlf = c == '\r' && matches!(chars.peek(), Some((_, '\n')));
            let cover = match c {
                '\n' | '\t' => None,
                '\r' => Some(if crlf { ' ' } else { '\n' }),
                _ if at < masked_to => Some('*'),
                c if unprintable(c) => Some(BLANK),
                _ => None,
            };
            match cover {
                Some(cover) => shown.extend(std::iter::repeat_n(cover, c.len_utf8())),
                None => shown.push(c),
            }
        }
        let starts = shown.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(at, _)| at + 1);
        let lines = std::iter::once(0).chain(starts).collect();
        Self { name: printable(name).into(), shown, masks: all, lines }
    }

    /// Whether some of the bytes are covered.
    pub(super) fn is_masked(&self, span: &Range<usize>) -> bool {
        self.masks.iter().any(|mask| mask.start < span.end && span.start < mask.end)
    }

    /// The bytes as they may be shown, on one line and not too long.
    pub(super) fn excerpt(&self, span: &Range<usize>) -> String {
        let text = self.shown.get(span.clone()).unwrap_or_default();
        let line = text.lines().next().unwrap_or_default().trim_end();
        let mut excerpt: String = line.chars().take(60).collect();
        if excerpt.len() < text.trim_end().len() {
            excerpt.push('…');
        }
        excerpt
    }

    /// The bytes of the line and of so many before and after it.
    #[cfg(feature = "cli")]
    fn around(&self, line: usize, before: usize, after: usize) -> Range<usize> {
        let start = self.lines.get(line.saturating_sub(before)).copied().unwrap_or(0);
        start..self.lines.get(line + after + 1).copied().unwrap_or(self.shown.len())
    }

    /// The line (from 0) that holds the byte, and the byte range of its text.
    fn line(&self, at: usize) -> (usize, Range<usize>) {
        let line = self.lines.partition_point(|start| *start <= at).saturating_sub(1);
        let start = self.lines.get(line).copied().unwrap_or(0);
        let end = self.lines.get(line + 1).map_or(self.shown.len(), |next| next - 1);
        (line, start..end)
    }

    /// Characters between the start of the line and the byte.
    fn column(&self, line: &Range<usize>, at: usize) -> usize {
        self.shown.get(line.start..at).map_or(0, |before| before.chars().filter(|c| *c != '\u{feff}').count())
    }

    /// Full-width punctuation in the place of YAML's in the line (from 0), as a hint, or with `before` in those just before it: what is
    /// not YAML is often told lines after what made it.
    fn full_width(&self, line: usize, before: bool) -> Option<String> {
        let text = |line: usize| {
            let start = *self.lines.get(line)?;
            let end = self.lines.get(line + 1).map_or(self.shown.len(), |next| next - 1);
            self.shown.get(start..end)
        };
        let mut first = None;
        let mut at = line;
        loop {
            let text = text(at)?;
            match fullwidth::in_line(text) {
                Some(found) => first = Some((at, found)),
                // The line before, and from there on as long as one follows the other.
                None if at < line && !text.trim().is_empty() => break,
                None => {}
            }
            let Some(above) = at.checked_sub(1).filter(|_| before) else { break };
            at = above;
        }
        let (line, found) = first?;
        let mark = fullwidth::called(found.mark);
        Some(format!("line {} has a {mark}, which YAML reads as text: write {}", line + 1, found.instead))
    }

    fn place(&self, span: &Range<usize>) -> Place {
        let at = span.start.min(self.shown.len());
        let (number, line) = self.line(at);
        // A caret under the first line says enough of a value that spans many.
        let end = span.end.clamp(at, line.end.max(at));
        Place { line: number + 1, column: self.column(&line, at) + 1, span: at..end }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Source").field(&self.name).finish()
    }
}

/// Control characters can drive a terminal, and those that turn the direction of text can hide what a line says.
pub(super) fn unprintable(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// `text` fit for a message: no control characters, not too long.
pub(super) fn printable(text: &str) -> String {
    let mut shown: String = text.chars().take(60).map(|c| if unprintable(c) { BLANK } else { c }).collect();
    if text.chars().nth(60).is_some() {
        shown.push('…');
    }
    shown
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// The file cannot be run.
    Error,
    /// The file can be run, and something in it should be looked at.
    Warning,
}

/// Where in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// The bytes, on that one line.
    pub span: Range<usize>,
}

/// One finding.
#[derive(Debug, Clone)]
pub struct Diagnostic {
    /// How bad it is.
    pub level: Level,
    /// The file, as the user named it; `None` for what is not about a file.
    pub file: Option<Arc<str>>,
    /// Where in the file, if anywhere.
    pub place: Option<Place>,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    #[cfg_attr(not(feature = "cli"), expect(dead_code, reason = "its lines are shown where there is a terminal"))]
    source: Option<Arc<Source>>,
}

impl Diagnostic {
    /// An error that is not about a place in a file.
    pub(crate) fn error(message: impl Into<String>, hint: Option<String>) -> Self {
        Self { level: Level::Error, file: None, place: None, message: message.into(), hint, source: None }
    }

    /// The same, about a file as a whole.
    pub(super) fn of_file(mut self, file: &str) -> Self {
        self.file = Some(printable(file).into());
        self
    }

    /// `{"level","file","line","column","message","hint"}`; what is not known is `null`.
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::json!({
            "level": self.level,
            "file": self.file.as_deref(),
            "line": self.place.as_ref().map(|place| place.line),
            "column": self.place.as_ref().map(|place| place.column),
            "message": self.message,
            "hint": self.hint,
        })
    }
}

impl fmt::Display for Diagnostic {
    /// `file:line:column: message`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{file}:")?;
            if let Some(place) = &self.place {
                write!(f, "{}:{}:", place.line, place.column)?;
            }
            f.write_str(" ")?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for Diagnostic {}

/// Everything that is wrong with a pipeline file, in the order of the file. Never empty.
#[derive(Debug, Clone)]
pub struct Diagnostics {
    list: Vec<Diagnostic>,
    /// Findings that were counted and not kept.
    more: usize,
}

impl Diagnostics {
    /// The findings, in the order of the file; warnings among them.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.list.iter()
    }

    /// How many there are, those that were not kept included.
    pub fn count(&self) -> usize {
        self.list.len() + self.more
    }
}

impl<'a> IntoIterator for &'a Diagnostics {
    type Item = &'a Diagnostic;
    type IntoIter = std::slice::Iter<'a, Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl From<Diagnostic> for Diagnostics {
    fn from(diagnostic: Diagnostic) -> Self {
        Self { list: vec![diagnostic], more: 0 }
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A warning may stand before what is wrong.
        let error = self.list.iter().find(|finding| finding.level == Level::Error);
        if let Some(first) = error.or(self.list.first()) {
            write!(f, "{first}")?;
        }
        match self.count() {
            0 | 1 => Ok(()),
            n => write!(f, " (and {} more)", n - 1),
        }
    }
}

impl std::error::Error for Diagnostics {}

/// Collects what the stages of the door find.
#[derive(Debug)]
pub(super) struct Findings {
    source: Arc<Source>,
    list: Vec<Diagnostic>,
    more: usize,
}

impl Findings {
    pub(super) fn new(source: Arc<Source>) -> Self {
        Self { source, list: Vec::new(), more: 0 }
    }

    pub(super) fn source(&self) -> &Source {
        &self.source
    }

    pub(super) fn error(&mut self, span: &Range<usize>, message: impl Into<String>, hint: impl Into<Option<String>>) {
        self.push(Level::Error, span, message.into(), hint.into());
    }

    pub(super) fn warning(&mut self, span: &Range<usize>, message: impl Into<String>, hint: impl Into<Option<String>>) {
        self.push(Level::Warning, span, message.into(), hint.into());
    }

    fn push(&mut self, level: Level, span: &Range<usize>, message: String, hint: Option<String>) {
        if self.list.len() >= MAX_FINDINGS {
            self.more += 1;
            return;
        }
        let place = self.source.place(span);
        // An anchor that is used twice would tell the same twice.
        if self.list.iter().any(|known| known.place.as_ref() == Some(&place) && known.message == message) {
            return;
        }
        let (file, source) = (Some(Arc::clone(&self.source.name)), Some(Arc::clone(&self.source)));
        self.list.push(Diagnostic { level, file, place: Some(place), message, hint, source });
    }

    /// Has errors at full-width punctuation say so; where the text is not YAML, also those just behind it.
    pub(super) fn explain_full_width(&mut self, is_yaml: bool) {
        let errors = self.list.iter_mut().filter(|found| found.level == Level::Error);
        for found in errors {
            let Some(place) = &found.place else { continue };
            if let Some(hint) = self.source.full_width(place.line.saturating_sub(1), !is_yaml) {
                found.hint = Some(hint);
            }
        }
    }

    /// `Ok` with the warnings if there are no errors; else everything.
    pub(super) fn finish(mut self) -> Result<Vec<Diagnostic>, Diagnostics> {
        self.list.sort_by_key(|found| found.place.as_ref().map(|place| place.span.start));
        if self.more == 0 && self.list.iter().all(|found| found.level == Level::Warning) {
            Ok(self.list)
        } else {
            Err(Diagnostics { list: self.list, more: self.more })
        }
    }
}
