//! Findings as a terminal shows them: the message, the line with a caret, the hint.

use std::fmt;
use std::ops::Range;

use miette::{
    GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteError, MietteSpanContents, Severity, SourceCode, SourceSpan,
    SpanContents,
};

use super::{Diagnostic, Diagnostics, Level, Source};

/// Lines shown before and after the one that is meant.
const CONTEXT: usize = 1;
/// Bytes of the lines shown with a finding, at most; longer ones fill a terminal and help nobody.
const MAX_SHOWN: usize = 2000;
impl Diagnostic {
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

impl Diagnostics {
    /// For people: every finding, one below the other. `width` is the terminal's, in columns.
    pub fn render(&self, color: bool, width: usize) -> String {
        let mut out: Vec<String> = self.list.iter().map(|diagnostic| diagnostic.render(color, width)).collect();
        if self.more > 0 {
            out.push(format!("and {} more\n", self.more));
        }
        out.join("\n")
    }
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
