//! Shows an answer as it streams: for a person, or as JSON lines.

mod events;

pub use events::failure;
pub(super) use events::{done, stop};

use std::fmt::Write as _;
use std::io::{self, Write};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use serde::Serialize;
use serde_json::json;
use tokio::io::AsyncReadExt as _;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::args::{AskArgs, Common};
use super::join::Board;
use super::markdown::Markdown;
use super::models::{Named, answerer, plans_own};
use super::output::Output;
use super::progress::downloads;
use crate::answer::{AnswerEvent, Ask, Conversation, Join, Joint, Outcome, Source, Summary, ask, ask_all, cite};
use crate::cli::style::{Look, Style, harmless, json_line, one_line, reader_left};
use crate::error::Error;
use crate::providers::StopReason;
use crate::runtime::Runtime;
use crate::tokenizer::Tokenizer;
use crate::tokenizer::TokenizerName;
use crate::vectordb::VectorStore;

/// A question read from stdin, in bytes, at most.
const MAX_STDIN: u64 = 64 * 1024;

/// Answers a question, or a file of them. Ctrl-C drops the stream, which cancels the request upstream.
pub(super) async fn run(args: AskArgs, common: &Common, output: &Output, stop: CancellationToken) -> anyhow::Result<u8> {
    let mut named = Named::default();
    let runtime = args.pipeline.runtime(common, |plan| {
        named = Named::parse(&args, plan)?;
        args.narrow.apply(plan)
    })?;
    let _fetching = downloads(output, runtime.providers.downloads());
    if let Some(file) = &args.batch {
        return Box::pin(super::batch::run(file, &args, &runtime, output, stop)).await;
    }
    let style = Style { base: Some(runtime.settings.cwd.clone()), ..output.style() };
    let limit = args.limit.unwrap_or(runtime.plan.query.limit).get();
    let answer = Box::pin(async {
        let prepared = prepare(&runtime, args.question.clone().unwrap_or_default(), limit);
        let asked = match tokio::select! { asked = prepared => asked, () = stop.cancelled() => return Ok(Ended::Stopped) } {
            Ok(asked) => asked,
            Err(error) => {
                if style.json {
                    output.event(&failure(&error));
                }
                return Ok(Ended::Failed(error));
            }
        };
        if named.models.len() < 2 {
            let (store, mut released) = (Arc::clone(&asked.retriever.store), None);
            let events = ask(asked).inspect(|event| {
                if let Ok(AnswerEvent::Sources { .. }) = event {
                    released = Some(release(&store));
                }
            });
            return Box::pin(render(events.take_until(stop.cancelled()), &mut io::stdout(), &style)).await;
        }
        let join = args.join.map_or(Join::All, Join::from);
        let models: Vec<_> = named.models.iter().map(|model| answerer(&runtime, model)).collect();
        let judge = named.judge.as_ref().map(|judge| answerer(&runtime, judge));
        let names: Vec<String> = named.models.iter().map(ToString::to_string).collect();
        let board = Board::new(join, names, &runtime.plan.providers, |text| output.note(text));
        let events = Box::pin(ask_all(Joint { ask: asked, models, join, judge }));
        let mut out = io::stdout();
        tokio::select! {
            ended = board.render(events, &mut out, &style) => ended,
            () = stop.cancelled() => {
                // In the middle of a line, and of an emphasis.
                out.write_all(if style.markdown { "\x1b[0m\n" } else { "\n" }.as_bytes())?;
                Ok(Ended::Stopped)
            }
        }
    });
    let ended = answer.await?;
    let code = ended.exit_code();
    if let Ended::Failed(error) = ended {
        output.error(&error.into());
    }
    Ok(code)
}

/// Lets other processes have the index, which is not needed any more once the sources are found.
pub(super) fn release(store: &Arc<dyn VectorStore>) -> AbortOnDropHandle<()> {
    let store = Arc::clone(store);
    AbortOnDropHandle::new(tokio::spawn(async move { store.release().await }))
}

/// A question to the plan's model and those that stand by.
pub(super) async fn prepare(runtime: &Runtime, question: String, limit: usize) -> Result<Ask, Error> {
    // The table takes a fifth of a second to build: while the question is embedded and looked for.
    tokio::task::spawn_blocking(|| Tokenizer::get(TokenizerName::O200kBase));
    let question = if question == "-" { read_question().await? } else { question };
    let retriever = Arc::new(runtime.retriever().await?);
    let (model, fallback) = plans_own(runtime).await?;
    let count_tokens = Arc::new(|text: &str| Tokenizer::get(TokenizerName::O200kBase).count(text));
    Ok(Ask { retriever, model, fallback, count_tokens, question, limit, conversation: Conversation::default() })
}

async fn read_question() -> Result<String, Error> {
    let mut question = String::new();
    tokio::io::stdin()
        .take(MAX_STDIN)
        .read_to_string(&mut question)
        .await
        .map_err(|source| Error::io("read the question from", "stdin", source))?;
    Ok(question)
}

/// Said wherever passages stand in for an answer.
pub const NO_MODEL: &str = "No model wrote this answer: these are the passages that fit the question best. To have one answer, \
set OPENAI_API_KEY or ANTHROPIC_API_KEY, start Ollama, or name one with --model PROVIDER/MODEL.";

/// How showing an answer ended.
#[derive(Debug)]
pub enum Ended {
    /// The answer is complete.
    Answered,
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
            Self::Answered | Self::ReaderLeft => 0,
            Self::NothingFound => 1,
            Self::Failed(_) => 2,
            Self::Stopped => super::INTERRUPTED,
        }
    }
}

/// Shows an answer on `out`, each piece as it comes.
///
/// # Errors
/// When `out` cannot be written, except that its reader has gone, which is [`Ended::ReaderLeft`].
pub async fn render(
    events: impl Stream<Item = Result<AnswerEvent, Error>>,
    out: &mut impl Write,
    style: &Style,
) -> io::Result<Ended> {
    render_on(Screen::new(out, style), events).await
}

/// The same on a screen of one's own. A stream that ends before its answer was stopped.
pub(super) async fn render_on(
    mut screen: Screen<'_, impl Write>,
    events: impl Stream<Item = Result<AnswerEvent, Error>>,
) -> io::Result<Ended> {
    let mut events = pin!(events);
    let style = screen.style;
    let mut ended = Ended::Stopped;
    while let Some(event) = events.next().await {
        let shown = match event {
            Ok(event) => {
                if let AnswerEvent::Done(Summary { outcome, .. }) = &event {
                    ended = if *outcome == Outcome::NothingFound { Ended::NothingFound } else { Ended::Answered };
                }
                if style.json { screen.json(&event) } else { screen.human(event) }
            }
            Err(error) => {
                let shown = if style.json { json_line(screen.out, &failure(&error)) } else { screen.end_line() };
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
    if matches!(ended, Ended::Stopped) && !style.json {
        screen.end_line()?;
    }
    Ok(ended)
}

/// What a person must know of how the answer ended; `None` when all is well.
pub(super) fn note(summary: &Summary) -> Option<&'static str> {
    match summary.outcome {
        Outcome::Answered(StopReason::End) if summary.ttft.is_none() => Some("The model answered with nothing."),
        Outcome::Answered(StopReason::End) => None,
        Outcome::Answered(StopReason::Length) => Some("The answer was cut at max_tokens."),
        Outcome::Answered(StopReason::Refused) => Some("The provider's filter stopped the answer."),
        Outcome::Passages => Some(NO_MODEL),
        Outcome::NothingFound => Some("Nothing was found on this question."),
    }
}

#[derive(Serialize)]
struct Token<'a> {
    r#type: &'static str,
    text: &'a str,
    /// Numbers in a citation that no source has.
    #[serde(skip_serializing_if = "<[usize]>::is_empty")]
    unknown_citations: &'a [usize],
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
    /// What a model writes is Markdown; passages are not.
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

    pub(super) fn json(&mut self, event: &AnswerEvent) -> io::Result<()> {
        match event {
            AnswerEvent::Sources { sources, .. } => json_line(self.out, &json!({"type": "sources", "sources": sources})),
            AnswerEvent::Token(text) => json_line(self.out, &Token { r#type: "token", text, unknown_citations: &[] }),
            AnswerEvent::Citation { text, unknown, .. } => {
                json_line(self.out, &Token { r#type: "token", text, unknown_citations: unknown })
            }
            // Not part of the answer, and the contract knows no line for it.
            AnswerEvent::Reasoning(_) => Ok(()),
            AnswerEvent::Fallback { from, to, kind, reason, interrupted } => {
                json_line(self.out, &events::takeover(from, to, *kind, reason, *interrupted))
            }
            AnswerEvent::Done(summary) => json_line(self.out, &done(summary)),
        }
    }

    pub(super) fn human(&mut self, event: AnswerEvent) -> io::Result<()> {
        match event {
            AnswerEvent::Sources { sources, model } => {
                self.written = model.is_some();
                if model.is_none() && !sources.is_empty() && !self.conversing {
                    writeln!(self.out, "{}\n", self.style.paint(Look::Wrong, NO_MODEL))?;
                }
                self.sources = sources;
                self.out.flush()
            }
            // A sign of life for who sits in front of it; noise in a file.
            AnswerEvent::Reasoning(text) if self.style.color && !self.style.quiet && self.markdown.is_none() => {
                self.reasoned = true;
                let text = harmless(&text);
                self.put(&text, &self.style.paint(Look::Dim, &text))
            }
            AnswerEvent::Reasoning(_) => Ok(()),
            AnswerEvent::Token(text) => {
                self.end_reasoning()?;
                if let Some(markdown) = self.markdown() {
                    let shown = markdown.push(&text);
                    return self.put(&shown, &shown);
                }
                let text = harmless(&text);
                self.put(&text, &text)
            }
            AnswerEvent::Citation { text, sources, unknown } => {
                self.end_reasoning()?;
                let (text, look) = if unknown.is_empty() { (text, Look::Cite) } else { (marked(&text, &unknown), Look::Wrong) };
                let cited = self.sources.iter().find(|source| sources.first() == Some(&source.n));
                let address = cited.and_then(|source| self.style.address(&source.uri));
                if let Some(markdown) = self.markdown() {
                    let shown = markdown.cite(&text, unknown.is_empty(), address.as_ref().map(url::Url::as_str));
                    return self.put(&shown, &shown);
                }
                self.put(&text, &self.style.paint(look, &text))
            }
            AnswerEvent::Fallback { from: _, to, kind: _, reason, interrupted } => {
                self.end_reasoning()?;
                let (begun, how) = if interrupted { ("Interrupted: ", "begins anew") } else { ("", "answers instead") };
                self.mark(&format!("{begun}{reason}. {to} {how}."))
            }
            AnswerEvent::Done(summary) => self.finish(&summary),
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
        writeln!(self.out, "{}\n", self.style.paint(Look::Wrong, &one_line(text)))?;
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

    pub(super) fn end_line(&mut self) -> io::Result<()> {
        self.end_markdown()?;
        if !self.at_line_start {
            writeln!(self.out)?;
            self.at_line_start = true;
        }
        self.out.flush()
    }

    fn finish(&mut self, summary: &Summary) -> io::Result<()> {
        self.end_reasoning()?;
        self.end_line()?;
        // That no model wrote it has been said above it.
        if let Some(note) = note(summary).filter(|_| summary.outcome != Outcome::Passages) {
            let gap = if self.sources.is_empty() { "" } else { "\n" };
            writeln!(self.out, "{gap}{}", self.style.paint(Look::Wrong, note))?;
        }
        self.list(&summary.citations)?;
        if !self.style.quiet && summary.model.is_some() {
            writeln!(self.out, "\n{}", self.style.paint(Look::Dim, &bill(summary)))?;
        }
        self.out.flush()
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
                writeln!(self.out, "\n{}", self.style.paint(Look::Bold, title))?;
            }
            for source in numbers.iter().filter_map(|n| self.sources.iter().find(|source| source.n == *n)) {
                writeln!(self.out, "{}", listed(source, self.style))?;
            }
        }
        Ok(())
    }
}

/// `[1] docs/keys.md:10-31  Title > Heading`
pub(super) fn listed(source: &Source, style: &Style) -> String {
    let number = format!("[{}]", source.n);
    let place = place(&source.uri, source.lines);
    let path = one_line(&source.path());
    let gap = if path.is_empty() { "" } else { "  " };
    format!("{} {}{gap}{}", style.paint(Look::Cite, &number), style.link(&source.uri, &place), style.paint(Look::Dim, &path))
}

/// `docs/keys.md:10-31`
pub(super) fn place(uri: &str, (first, last): (u32, u32)) -> String {
    let uri = one_line(uri);
    if first == last { format!("{uri}:{first}") } else { format!("{uri}:{first}-{last}") }
}

/// `openai/gpt-… · 1200 + 88 tokens · 1.4 s, first token after 0.4 s`
pub(super) fn bill(summary: &Summary) -> String {
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
            let _ = write!(bill, " · ${cost:.5}");
        }
        Some(_) => {}
        None => bill.push_str(" · price not known"),
    }
    let seconds = |time: Duration| format!("{:.1} s", time.as_secs_f64());
    let _ = write!(bill, " · {}", seconds(summary.took));
    if let Some(ttft) = summary.ttft {
        let _ = write!(bill, ", first token after {}", seconds(ttft));
    }
    bill
}

/// A citation with a `?` after each number that no source has: `[1, 7?]`.
fn marked(text: &str, unknown: &[usize]) -> String {
    let mut shown = String::with_capacity(text.len() + unknown.len());
    let mut number = None;
    for c in text.chars() {
        match cite::digit(c) {
            Some(digit) => number = Some(number.unwrap_or(0) * 10 + digit),
            None => {
                if number.take().is_some_and(|number: usize| unknown.contains(&number)) {
                    shown.push('?');
                }
            }
        }
        shown.push(c);
    }
    shown
}
