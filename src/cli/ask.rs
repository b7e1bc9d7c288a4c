//! Shows an answer as it streams: for a person, or as JSON lines.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;
use tokio_util::sync::CancellationToken;

use super::args::{AskArgs, Common, Invalid, variable};
use super::output::Output;
use super::progress::downloads;
use crate::answer::{AnswerEvent, Ask, OLLAMA_PROBE_TIMEOUT, Outcome, Retriever, Source, Summary, ask, cite, default_model};
use crate::cli::style::{Look, Style, harmless, json_line, one_line, reader_left};
use crate::error::Error;
use crate::pipeline::{ModelRef, ProviderPlan, Purpose, Running, TokenizerName};
use crate::providers::{ErrorKind, StopReason};
use crate::tokenizer::Tokenizer;
use crate::vectordb::StoreError;

/// A question read from stdin, in bytes, at most.
const MAX_STDIN: u64 = 64 * 1024;

/// Answers one question. Ctrl-C drops the stream, which cancels the request upstream.
pub(super) async fn run(args: AskArgs, common: &Common, output: &Output, stop: CancellationToken) -> anyhow::Result<u8> {
    let running = args.pipeline.running(common, |plan| {
        if let Some(model) = &args.model {
            plan.query.model = Some(ModelRef::parse(model, plan, Purpose::Answer).map_err(Invalid::from)?);
        }
        Ok(())
    })?;
    let _fetching = downloads(output, running.providers.downloads());
    let style = Style { base: Some(running.settings.cwd.clone()), ..output.style() };
    let limit = args.limit.unwrap_or(running.plan.query.limit).get();
    let answer = async {
        let asked = match prepare(&running, args.question, limit).await {
            Ok(asked) => asked,
            Err(error) => {
                if style.json {
                    output.event(&failure(&error));
                }
                return Ok(Ended::Failed(error));
            }
        };
        render(ask(asked), &mut io::stdout(), &style).await
    };
    let ended = tokio::select! {
        ended = answer => ended?,
        () = stop.cancelled() => return Ok(super::INTERRUPTED),
    };
    let code = ended.exit_code();
    if let Ended::Failed(error) = ended {
        output.error(&error.into());
    }
    Ok(code)
}

async fn prepare(running: &Running, question: String, limit: usize) -> Result<Ask, Error> {
    // The table takes a fifth of a second to build: while the question is embedded and looked for.
    tokio::task::spawn_blocking(|| Tokenizer::get(TokenizerName::O200kBase));
    let question = if question == "-" { read_question().await? } else { question };
    let retriever = Arc::new(Retriever::open(running).await?);
    let tags = |ollama: ProviderPlan| async move {
        running.providers.connection(&ollama.name).ok()?.get("/api/tags", OLLAMA_PROBE_TIMEOUT).await.ok().map(Vec::from)
    };
    let model = match default_model(&running.plan, variable, tags).await {
        Some(model) => Some(running.providers.chat_model(&model)?),
        None => None,
    };
    let count_tokens = Arc::new(|text: &str| Tokenizer::get(TokenizerName::O200kBase).count(text));
    Ok(Ask { retriever, model, count_tokens, question, limit })
}

async fn read_question() -> Result<String, Error> {
    let mut question = String::new();
    tokio::io::stdin().take(MAX_STDIN).read_to_string(&mut question).await.map_err(|source| Error::Io {
        action: "read the question from",
        path: "stdin".into(),
        source,
    })?;
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
}

impl Ended {
    /// The exit code that the contract gives it.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Answered | Self::ReaderLeft => 0,
            Self::NothingFound => 1,
            Self::Failed(_) => 2,
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
    let mut events = pin!(events);
    let mut screen = Screen { out, style, sources: Vec::new(), at_line_start: true, reasoned: false };
    let mut ended = Ended::Answered;
    while let Some(event) = events.next().await {
        let shown = match event {
            Ok(event) => {
                if let AnswerEvent::Done(Summary { outcome: Outcome::NothingFound, .. }) = &event {
                    ended = Ended::NothingFound;
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
    Ok(ended)
}

/// The JSON event of an error: `message` with all its causes, `kind`, and `hint` where there is one.
pub fn failure(error: &Error) -> Value {
    let mut message = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let said = error.to_string();
        // A cause that is already quoted above says nothing new.
        if !message.contains(&said) {
            let _ = write!(message, ": {said}");
        }
        cause = error.source();
    }
    let mut line = json!({"type": "error", "message": message, "kind": kind(error)});
    if let (Some(hint), Some(line)) = (error.hint(), line.as_object_mut()) {
        line.insert("hint".into(), hint.into());
    }
    line
}

/// What a program decides on.
fn kind(error: &Error) -> &'static str {
    match error {
        Error::Provider(error) => match error.kind {
            ErrorKind::RateLimited => "rate_limited",
            ErrorKind::Unavailable => "unavailable",
            ErrorKind::Network => "network",
            ErrorKind::Timeout => "timeout",
            ErrorKind::Auth => "auth",
            ErrorKind::QuotaSpent => "quota_spent",
            ErrorKind::NotFound => "not_found",
            ErrorKind::InvalidInput => "invalid_input",
            ErrorKind::BadAnswer => "bad_answer",
            ErrorKind::ModelMissing => "model_missing",
        },
        Error::Store(error) => match error {
            StoreError::Locked { .. } => "index_locked",
            StoreError::Mismatch { .. } | StoreError::Layout { .. } => "index_mismatch",
            StoreError::Missing { .. } => "index_missing",
            StoreError::Unavailable { .. } => "store_unavailable",
            StoreError::Failed { .. } => "store_failed",
        },
        Error::Io { .. } => "io",
        Error::Ledger(_) => "ledger_failed",
        Error::Question(_) => "bad_question",
        Error::Worker { .. } => "internal",
    }
}

/// Why an answer ended, as a word for programs.
fn stop(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Answered(StopReason::End) => "end",
        Outcome::Answered(StopReason::Length) => "length",
        Outcome::Answered(StopReason::Refused) => "refused",
        Outcome::Passages => "passages",
        Outcome::NothingFound => "nothing_found",
    }
}

/// What a person must know of how the answer ended; `None` when all is well.
fn note(summary: &Summary) -> Option<&'static str> {
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

fn done(summary: &Summary) -> Value {
    let Summary { model, citations, unknown_citations, usage, cost_usd, ttft, took, outcome } = summary;
    let mut line = json!({
        "type": "done",
        "model": model,
        "citations": citations,
        "usage": {"input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens},
        "cost_usd": cost_usd,
        "ttft_ms": ttft.map(|ttft| ttft.as_millis() as u64),
        "seconds": (took.as_secs_f64() * 1000.0).round() / 1000.0,
        "stop": stop(*outcome),
    });
    if let Some(line) = line.as_object_mut() {
        if !unknown_citations.is_empty() {
            line.insert("unknown_citations".into(), json!(unknown_citations));
        }
        if let Some(note) = note(summary) {
            line.insert("note".into(), note.into());
        }
    }
    line
}

/// Where an answer is shown, and what has to be remembered of it.
struct Screen<'a, W> {
    out: &'a mut W,
    style: &'a Style,
    sources: Vec<Source>,
    at_line_start: bool,
    reasoned: bool,
}

impl<W: Write> Screen<'_, W> {
    fn json(&mut self, event: &AnswerEvent) -> io::Result<()> {
        match event {
            AnswerEvent::Sources { sources, .. } => json_line(self.out, &json!({"type": "sources", "sources": sources})),
            AnswerEvent::Token(text) => json_line(self.out, &Token { r#type: "token", text, unknown_citations: &[] }),
            AnswerEvent::Citation { text, unknown, .. } => {
                json_line(self.out, &Token { r#type: "token", text, unknown_citations: unknown })
            }
            // Not part of the answer, and the contract knows no line for it.
            AnswerEvent::Reasoning(_) => Ok(()),
            AnswerEvent::Done(summary) => json_line(self.out, &done(summary)),
        }
    }

    fn human(&mut self, event: AnswerEvent) -> io::Result<()> {
        match event {
            AnswerEvent::Sources { sources, model } => {
                if model.is_none() && !sources.is_empty() {
                    writeln!(self.out, "{}\n", self.style.paint(Look::Wrong, NO_MODEL))?;
                }
                self.sources = sources;
                self.out.flush()
            }
            // A sign of life for who sits in front of it; noise in a file.
            AnswerEvent::Reasoning(text) if self.style.color && !self.style.quiet => {
                self.reasoned = true;
                let text = harmless(&text);
                self.put(&text, &self.style.paint(Look::Dim, &text))
            }
            AnswerEvent::Reasoning(_) => Ok(()),
            AnswerEvent::Token(text) => {
                self.end_reasoning()?;
                let text = harmless(&text);
                self.put(&text, &text)
            }
            AnswerEvent::Citation { text, unknown, .. } => {
                self.end_reasoning()?;
                let (text, look) = if unknown.is_empty() { (text, Look::Cite) } else { (marked(&text, &unknown), Look::Wrong) };
                self.put(&text, &self.style.paint(look, &text))
            }
            AnswerEvent::Done(summary) => self.finish(&summary),
        }
    }

    /// Writes a piece of the answer and sends it off; `plain` is the same without colours.
    fn put(&mut self, plain: &str, painted: &str) -> io::Result<()> {
        if let Some(last) = plain.chars().next_back() {
            self.at_line_start = last == '\n';
        }
        self.out.write_all(painted.as_bytes())?;
        self.out.flush()
    }

    fn end_reasoning(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.reasoned) {
            self.end_line()?;
            writeln!(self.out)?;
        }
        Ok(())
    }

    fn end_line(&mut self) -> io::Result<()> {
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
    fn list(&mut self, cited: &[usize]) -> io::Result<()> {
        let others: Vec<usize> = if self.style.quiet {
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
fn listed(source: &Source, style: &Style) -> String {
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
fn bill(summary: &Summary) -> String {
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
