//! Shows an answer as it streams: for a person, or as JSON lines.

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "a failed test panics")]
mod tests;

use std::fmt::Write as _;
use std::io::{self, Write};
use std::pin::pin;
use std::time::Duration;

use futures_util::{Stream, StreamExt};

use super::exit;
use super::markdown::Markdown;
use super::output::counted;
use super::style::{Paint, Style, harmless, json_line, one_line, reader_left, trimmed};
use crate::answer::wire::Line;
use crate::answer::{AnswerEvent, AnswerOutcome, AnswerSummary, Doubt, Note, Source, doubted};
use crate::error::Error;
use crate::providers::Usage;
use crate::source::readable::readable;

/// How showing an answer ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// The answer is complete.
    Answered,
    /// It is, but for parts of the documents that could not be read.
    Partly,
    /// The index holds nothing on the question.
    NothingFound,
    /// The answer could not be given, or broke off. In JSON this has been said; for a person it is left to the caller.
    Failed(Error),
    /// The reader of the output has gone.
    ReaderLeft,
    /// The answer was stopped before its end.
    Stopped,
}

impl Ended {
    /// The exit code that the contract gives it.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Answered | Self::ReaderLeft => exit::OK,
            Self::Partly | Self::NothingFound => exit::SOME_FAILED,
            Self::Failed(_) => exit::FAILED,
            Self::Stopped => exit::INTERRUPTED,
        }
    }
}

/// Shows the events of one answer, or of several.
pub(super) trait View {
    type Event;
    type Out: Write;

    /// Where they are shown, and how.
    fn out(&mut self) -> (&mut Self::Out, &Style);
    /// Shows an event to a person.
    fn show(&mut self, event: Self::Event) -> io::Result<()>;
    /// Ends the line that a person reads.
    fn end_line(&mut self) -> io::Result<()>;
    /// The line of an event, for programs.
    fn line(event: &Self::Event) -> Option<Line<'_>>;
    /// How the answer ended, if the event is its end.
    fn ended(event: &Self::Event) -> Option<Ended>;
}

/// Shows what is answered, each piece as it comes. A stream that ends before its answer was stopped.
///
/// # Errors
/// When the output cannot be written, except that its reader has gone, which is [`Ended::ReaderLeft`].
pub(super) async fn render<V: View>(mut view: V, events: impl Stream<Item = Result<V::Event, Error>>) -> io::Result<Ended> {
    let json = view.out().1.json;
    let mut events = pin!(events);
    let mut ended = Ended::Stopped;
    while let Some(event) = events.next().await {
        let shown = match event {
            Ok(event) => {
                ended = V::ended(&event).unwrap_or(ended);
                if json { V::line(&event).map_or(Ok(()), |line| json_line(view.out().0, &line)) } else { view.show(event) }
            }
            Err(error) => {
                let shown = if json { json_line(view.out().0, &Line::from(&error)) } else { view.end_line() };
                ended = Ended::Failed(error);
                shown
            }
        };
        match shown {
            Err(error) if reader_left(&error) => return Ok(Ended::ReaderLeft),
            shown => shown?,
        }
        if matches!(ended, Ended::Failed(_)) {
            break;
        }
    }
    if matches!(ended, Ended::Stopped) && !json {
        view.end_line()?;
    }
    Ok(ended)
}

/// Where an answer is shown, and what has to be remembered of it.
#[expect(clippy::struct_excessive_bools, reason = "what was said and where the line stands: any combination has a meaning")]
pub(super) struct Screen<'a, W> {
    pub(super) out: &'a mut W,
    pub(super) style: &'a Style,
    pub(super) sources: Vec<Source>,
    /// In a conversation less is said: not what every turn would say again, nor what `/sources` shows.
    pub(super) conversing: bool,
    at_line_start: bool,
    reasoned: bool,
    /// A model writes it, in Markdown; passages are none.
    written: bool,
    /// The answer, while it is shown as Markdown.
    markdown: Option<Markdown>,
}

impl<'a, W: Write> Screen<'a, W> {
    pub(super) fn new(out: &'a mut W, style: &'a Style) -> Self {
        Self {
            out,
            style,
            sources: Vec::new(),
            conversing: false,
            at_line_start: true,
            reasoned: false,
            written: true,
            markdown: None,
        }
    }

    fn markdown(&mut self) -> Option<&mut Markdown> {
        if !self.style.markdown || !self.written {
            return None;
        }
        let markdown = self.markdown.get_or_insert_with(|| Markdown::new(self.style));
        if let Some(columns) = self.style.columns {
            markdown.resize(columns());
        }
        Some(markdown)
    }

    /// Writes a piece of the answer and sends it off; `plain` is the same without colours.
    fn put(&mut self, plain: &str, painted: &str) -> io::Result<()> {
        if let Some(last) = plain.chars().next_back() {
            self.at_line_start = last == '\n';
        }
        self.out.write_all(painted.as_bytes())?;
        self.out.flush()
    }

    /// Says something about the answer in a paragraph of its own.
    pub(super) fn mark(&mut self, text: &str) -> io::Result<()> {
        self.end_markdown()?;
        if !self.at_line_start {
            writeln!(self.out, "\n")?;
        }
        self.at_line_start = true;
        writeln!(self.out, "{}\n", self.style.paint(Paint::Warning, &one_line(text)))?;
        self.out.flush()
    }

    fn end_reasoning(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.reasoned) {
            self.end_line()?;
            writeln!(self.out)?;
        }
        Ok(())
    }

    fn end_markdown(&mut self) -> io::Result<()> {
        if let Some(mut markdown) = self.markdown.take() {
            self.at_line_start = true;
            self.out.write_all(markdown.finish().as_bytes())?;
        }
        Ok(())
    }

    fn finish(&mut self, summary: &AnswerSummary) -> io::Result<()> {
        self.end_reasoning()?;
        self.end_line()?;
        // That no model wrote it has been said above it, or in it.
        if let Some(note) = summary.note().filter(|note| !matches!(note, Note::NoModel | Note::Unanswerable)) {
            let gap = if self.sources.is_empty() { "" } else { "\n" };
            writeln!(self.out, "{gap}{}", self.style.paint(Paint::Warning, note.text()))?;
        }
        self.doubts(&summary.doubts, &summary.unknown_citations)?;
        // Of all documents the others are legion.
        self.conversing |= summary.whole.is_some();
        self.list(&summary.citations)?;
        if !self.style.quiet && summary.model.is_some() {
            writeln!(self.out, "\n{}", self.style.paint(Paint::Dim, &bill(summary)))?;
        }
        self.out.flush()
    }

    /// What is doubtful, or how to see it; and numbers that no source has.
    fn doubts(&mut self, doubts: &[Doubt], unknown: &[usize]) -> io::Result<()> {
        if doubts.is_empty() && unknown.is_empty() || self.style.quiet && !self.style.why {
            return Ok(());
        }
        let none = doubted::unknown(unknown);
        if self.style.why {
            if !doubts.is_empty() {
                writeln!(self.out, "\n{}", self.style.paint(Paint::Bold, doubted::ABOVE))?;
                self.out.write_all(listed_doubts(doubts, self.style).as_bytes())?;
            }
            return none.map_or(Ok(()), |none| writeln!(self.out, "\n{}", self.style.paint(Paint::Warning, &none)));
        }
        let how = if self.conversing { "/why" } else { "--why" };
        let hint = format!("A mark such as [2?]: its source does not say all of that; {how} tells what it lacks.");
        for said in (!doubts.is_empty()).then_some(hint).into_iter().chain(none.map(|none| format!("{none}."))) {
            writeln!(self.out, "\n{}", self.style.paint(Paint::Dim, &said))?;
        }
        Ok(())
    }

    /// The sources: those cited, in the order of their first use, then the others, unless only what was asked for is wanted.
    pub(super) fn list(&mut self, cited: &[usize]) -> io::Result<()> {
        let others: Vec<usize> = if self.style.quiet || self.conversing {
            Vec::new()
        } else {
            self.sources.iter().map(|source| source.n).filter(|n| !cited.contains(n)).collect()
        };
        for (title, numbers) in [("Sources", cited), ("Found, not cited", &others)] {
            if !numbers.is_empty() {
                writeln!(self.out, "\n{}", self.style.paint(Paint::Bold, title))?;
            }
            for source in numbers.iter().filter_map(|n| self.sources.iter().find(|source| source.n == *n)) {
                writeln!(self.out, "{}", listed(source, self.style))?;
            }
        }
        Ok(())
    }
}

impl<W: Write> View for Screen<'_, W> {
    type Event = AnswerEvent;
    type Out = W;

    fn out(&mut self) -> (&mut W, &Style) {
        (self.out, self.style)
    }

    fn show(&mut self, event: AnswerEvent) -> io::Result<()> {
        match event {
            AnswerEvent::Sources { sources, model } => {
                self.written = model.is_some();
                if model.is_none() && !sources.is_empty() && !self.conversing {
                    writeln!(self.out, "{}\n", self.style.paint(Paint::Warning, Note::NoModel.text()))?;
                }
                self.sources = sources;
                self.out.flush()
            }
            // A sign of life for who sits in front of it; noise in a file.
            AnswerEvent::Reasoning(text) if self.style.color && !self.style.quiet && self.markdown.is_none() => {
                self.reasoned = true;
                let text = harmless(&text);
                self.put(&text, &self.style.paint(Paint::Dim, &text))
            }
            // A question has been read where it was typed, and a note is told on stderr.
            AnswerEvent::Reasoning(_)
            | AnswerEvent::Question { .. }
            | AnswerEvent::Estimate(_)
            | AnswerEvent::Reading { .. }
            | AnswerEvent::Note(_)
            | AnswerEvent::LeftOut(_) => Ok(()),
            // Whoever reads the answer must know.
            AnswerEvent::Incomplete(text) => {
                writeln!(self.out, "{}\n", self.style.paint(Paint::Warning, &one_line(&text)))?;
                self.out.flush()
            }
            AnswerEvent::Token(text) => {
                self.end_reasoning()?;
                if let Some(markdown) = self.markdown() {
                    let shown = markdown.push(&text);
                    return self.put(&shown, &shown);
                }
                let text = harmless(&text);
                self.put(&text, &text)
            }
            AnswerEvent::Citation { text, sources, unknown, doubts } => {
                self.end_reasoning()?;
                let is_sure = unknown.is_empty() && (doubts.is_empty() || sources.is_empty());
                let paint = if is_sure { Paint::Citation } else { Paint::Warning };
                let text = doubted::shown(&text, &sources, &unknown, &doubts);
                let cited = self.sources.iter().find(|source| sources.first() == Some(&source.n));
                let address = cited.and_then(|source| self.style.address(&source.uri, source.link().as_deref()));
                if let Some(markdown) = self.markdown() {
                    let shown = markdown.cite(&text, is_sure, address.as_ref().map(url::Url::as_str));
                    return self.put(&shown, &shown);
                }
                self.put(&text, &self.style.paint(paint, &text))
            }
            AnswerEvent::Fallback { from: _, to, kind: _, reason, interrupted } => {
                self.end_reasoning()?;
                let (begun, how) = if interrupted { ("Interrupted: ", "begins anew") } else { ("", "answers instead") };
                self.mark(&format!("{begun}{reason}. {to} {how}."))
            }
            AnswerEvent::Done(summary) => self.finish(&summary),
        }
    }

    fn end_line(&mut self) -> io::Result<()> {
        self.end_markdown()?;
        if !self.at_line_start {
            writeln!(self.out)?;
            self.at_line_start = true;
        }
        self.out.flush()
    }

    fn line(event: &AnswerEvent) -> Option<Line<'_>> {
        event.line()
    }

    fn ended(event: &AnswerEvent) -> Option<Ended> {
        match event {
            AnswerEvent::Done(summary)
                if matches!(summary.outcome, AnswerOutcome::NothingFound | AnswerOutcome::Unanswerable) =>
            {
                Some(Ended::NothingFound)
            }
            AnswerEvent::Done(summary) if summary.whole.as_ref().is_some_and(|whole| whole.failed > 0) => Some(Ended::Partly),
            AnswerEvent::Done(_) => Some(Ended::Answered),
            _ => None,
        }
    }
}

/// `[2?] number: 90 days`, a line each.
pub(super) fn listed_doubts(doubts: &[Doubt], style: &Style) -> String {
    let line = |doubt: &Doubt| {
        let (mark, what) = doubted::told(doubt);
        format!("{} {}\n", style.paint(Paint::Warning, &mark), one_line(&what))
    };
    doubts.iter().map(line).collect()
}

/// `[1] docs/keys.md:10-31  Title > Heading`, with the pipeline in front where there are several.
pub(super) fn listed(source: &Source, style: &Style) -> String {
    let number = format!("[{}]", source.n);
    let link = source.link();
    let place = shown_place(&source.uri, source.lines, link.as_deref(), style);
    let path = one_line(&source.path());
    let gap = if path.is_empty() { "" } else { "  " };
    let pipeline = source.pipeline.as_ref().map(|pipeline| format!("{}: ", one_line(pipeline))).unwrap_or_default();
    let copies = source.copies.iter().map(|copy| self::place(&copy.uri, copy.lines, copy.link.as_deref()));
    let copies = nearly_the_same(copies, style).map(|line| format!("\n{line}")).unwrap_or_default();
    format!(
        "{} {pipeline}{}{gap}{}{copies}",
        style.paint(Paint::Citation, &number),
        style.link(&source.uri, link.as_deref(), &place),
        style.paint(Paint::Dim, &path)
    )
}

/// `    Nearly the same: docs/old/keys.md:8-29`: the copies of a passage, which it stands for; `None` where it has none.
pub(super) fn nearly_the_same(copies: impl Iterator<Item = String>, style: &Style) -> Option<String> {
    let places: Vec<String> = copies.collect();
    let told = format!("Nearly the same: {}", places.join(", "));
    (!places.is_empty()).then(|| format!("    {}", style.paint(Paint::Dim, &trimmed(&told, style.width.saturating_sub(4)))))
}

/// [`place`], without the words by which a browser finds it where the terminal links to them.
pub(super) fn shown_place(uri: &str, lines: (u32, u32), link: Option<&str>, style: &Style) -> String {
    let place = place(uri, lines, link);
    match place.split_once("#:~:") {
        Some((page, _)) if style.hyperlinks => page.to_owned(),
        _ => place,
    }
}

/// `docs/keys.md:10-31`, or the address that opens a page of the web there: it has no lines.
pub(super) fn place(uri: &str, (first, last): (u32, u32), link: Option<&str>) -> String {
    if let Some(link) = link {
        return one_line(&readable(link));
    }
    let uri = one_line(uri);
    if first == last { format!("{uri}:{first}") } else { format!("{uri}:{first}-{last}") }
}

/// `openai/gpt-… · 1200 + 88 tokens · 1.4 s, first token after 0.4 s`
pub(super) fn bill(summary: &AnswerSummary) -> String {
    let mut bill = summary.model.clone().unwrap_or_default();
    match (summary.usage.input_tokens, summary.usage.output_tokens) {
        (Some(read), Some(written)) => {
            let _ = write!(bill, " · {read} + {written} tokens");
        }
        (Some(tokens), None) | (None, Some(tokens)) => {
            let _ = write!(bill, " · {tokens} tokens");
        }
        (None, None) => {}
    }
    match summary.cost_usd {
        Some(cost) if cost > 0.0 => {
            let _ = write!(bill, " · ${cost:.5}{}", and_unknown(&summary.cost_unknown()));
        }
        Some(_) if summary.cost_unknown().is_empty() => {}
        // Where the tokens are not told, a price is of no help.
        None if summary.model.is_some() && !is_told(summary.usage) => bill.push_str(" · tokens not told, cost not known"),
        _ => bill.push_str(" · price not known"),
    }
    if let Some(whole) = &summary.whole {
        let _ = write!(bill, " · {} read, {}", counted(whole.documents, "document"), counted(whole.requests, "request"));
    }
    let seconds = |time: Duration| format!("{:.1} s", time.as_secs_f64());
    let _ = write!(bill, " · {}", seconds(summary.took));
    if let Some(ttft) = summary.ttft {
        let _ = write!(bill, ", first token after {}", seconds(ttft));
    }
    bill
}

/// Whether a provider has said how many tokens it took.
fn is_told(usage: Usage) -> bool {
    usage.input_tokens.is_some() && usage.output_tokens.is_some()
}

/// ` and what st/d1 takes`, where nobody knows what that is.
pub(super) fn and_unknown(models: &[&str]) -> String {
    let models: Vec<String> = models.iter().map(|model| one_line(model)).collect();
    match models.as_slice() {
        [] => String::new(),
        [model] => format!(" and what {model} takes"),
        several => format!(" and what {} take", several.join(" and ")),
    }
}

/// `$0.00405`, to the microdollar.
pub(super) fn price(cost: Option<f64>) -> String {
    match cost {
        None => "price unknown".into(),
        Some(cost) => {
            let exact = format!("{cost:.6}");
            format!("${}", exact.trim_end_matches('0').trim_end_matches('.'))
        }
    }
}
