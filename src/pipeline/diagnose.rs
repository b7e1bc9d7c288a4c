//! What is wrong with a pipeline file, and where: message, hint, file, line, column, and the line itself with a caret.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use miette::{
    GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteError, MietteSpanContents, Severity, SourceCode, SourceSpan,
    SpanContents,
};
use serde::Serialize;

/// Findings kept of one file; what comes after is only counted.
const MAX_FINDINGS: usize = 100;
/// Lines shown before and after the one that is meant.
const CONTEXT: usize = 1;
/// Bytes of the lines shown with a finding, at most; longer ones fill a terminal and help nobody.
const MAX_SHOWN: usize = 2000;
/// What stands for a character that must not reach a terminal.
const BLANK: char = '?';

/// The file as it may be shown: secrets written into it and control characters are covered, byte offsets kept.
pub(super) struct Source {
    name: Arc<str>,
    shown: String,
    /// Byte offset of the first byte of each line.
    lines: Vec<usize>,
}

impl Source {
    /// `masks`: byte ranges that nobody may see.
    pub(super) fn new(name: &str, text: &str, masks: &[Range<usize>]) -> Self {
        let mut masks = masks.to_vec();
        masks.sort_by_key(|mask| mask.start);
        let (mut masks, mut masked_to) = (masks.into_iter().peekable(), 0);
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
        Self { name: printable(name).into(), shown, lines }
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

impl SourceCode for Source {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        before: usize,
        after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let (number, line) = self.line(span.offset());
        let first = number.saturating_sub(before);
        let Range { start, end } = self.around(number, before, after);
        let data = self.shown.as_bytes().get(start..end).ok_or(MietteError::OutOfBounds)?;
        // miette asks without context for the place that its header shows, and with context for the lines.
        let column = if before == 0 && after == 0 { self.column(&line, span.offset()) } else { 0 };
        let shown = SourceSpan::new(start.into(), end - start);
        Ok(Box::new(MietteSpanContents::new_named(self.name.to_string(), data, shown, first, column, self.lines.len())))
    }
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

    /// For people: the message, the line with a caret, the hint. `width` is the terminal's, in columns.
    pub fn render(&self, color: bool, width: usize) -> String {
        let mut theme = if color { GraphicalTheme::unicode() } else { GraphicalTheme::none() };
        theme.characters.underline = '^';
        theme.characters.underbar = '^';
        let handler = GraphicalReportHandler::new_themed(theme)
            .with_width(width.clamp(40, 400))
            .with_context_lines(CONTEXT)
            .with_links(false)
            .tab_width(2);
        let mut out = String::new();
        match handler.render_report(&mut out, &Framed(self)) {
            Ok(()) => out,
            Err(fmt::Error) => format!("{self}\n"),
        }
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

/// A finding as miette renders it: the place is in the frame, and need not be in the heading.
#[derive(Debug)]
struct Framed<'a>(&'a Diagnostic);

impl Framed<'_> {
    /// The file's text, where lines of it can be shown.
    fn source(&self) -> Option<&Source> {
        let source = self.0.source.as_deref()?;
        let (line, _) = source.line(self.0.place.as_ref()?.span.start);
        (source.around(line, CONTEXT, CONTEXT).len() <= MAX_SHOWN).then_some(source)
    }
}

impl fmt::Display for Framed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.source().is_some() { f.write_str(&self.0.message) } else { self.0.fmt(f) }
    }
}

impl std::error::Error for Framed<'_> {}

impl miette::Diagnostic for Framed<'_> {
    fn severity(&self) -> Option<Severity> {
        Some(match self.0.level {
            Level::Error => Severity::Error,
            Level::Warning => Severity::Warning,
        })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.0.hint.as_ref().map(|hint| Box::new(hint) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.source().map(|source| source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let place = self.0.place.as_ref().filter(|_| self.source().is_some())?;
        let label = LabeledSpan::new_primary_with_span(None, place.span.clone());
        Some(Box::new(std::iter::once(label)))
    }
}

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

    /// For people: every finding, one below the other. `width` is the terminal's, in columns.
    pub fn render(&self, color: bool, width: usize) -> String {
        let mut out: Vec<String> = self.list.iter().map(|diagnostic| diagnostic.render(color, width)).collect();
        if self.more > 0 {
            out.push(format!("and {} more\n", self.more));
        }
        out.join("\n")
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
        if let Some(first) = self.list.first() {
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
