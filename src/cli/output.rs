//! The only module that prints. Results go to stdout; progress, logs and errors to stderr.

use std::io::{self, IsTerminal as _, Write as _};

use serde::Serialize;
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, Registry};

use super::args::{Color, Common, Invalid};
pub(super) use super::numbers::{counted, grouped};
use super::once::Once;
use super::spent::{UnfinishedRun, words};
use super::style::{Style, harmless, reader_left, terminal_left, unwritten};
use crate::answer::wire::Line;
use crate::error::Error;
use crate::pipeline::{Diagnostic, Level};
use crate::runtime::Unfinished;
use crate::source::readable::readable;
use crate::telemetry::{CHUNK, CONTENT, PARENT, TARGET};

/// What listens beside the log.
pub(super) type Layers = Vec<Box<dyn tracing_subscriber::Layer<Registry> + Send + Sync>>;

/// Where and how things are printed.
#[derive(Debug, Clone)]
pub(super) struct Output {
    pub json: bool,
    pub quiet: bool,
    verbose: u8,
    /// Colours on stdout and on stderr.
    color: (bool, bool),
    /// Whether stdout and stderr are terminals.
    terminal: (bool, bool),
    /// Bold and the like on stdout: `NO_COLOR` is about colours.
    emphasis: bool,
    unread: Unread,
}

/// What becomes of a command whose output nobody reads any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unread {
    /// It ends as if all had been read.
    Ends,
    /// What it does is worth more than what it says of it.
    GoesOn,
}

impl Output {
    pub fn new(common: &Common) -> Self {
        let terminal = (io::stdout().is_terminal(), io::stderr().is_terminal());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let plain = dumb || std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let emphasis = terminal.0 && !dumb && common.color != Color::Never;
        let color = match common.color {
            Color::Always => (true, true),
            Color::Never => (false, false),
            Color::Auto => (terminal.0 && !plain, terminal.1 && !plain),
        };
        Self {
            json: common.json,
            quiet: common.quiet,
            verbose: common.verbose,
            color,
            terminal,
            emphasis,
            unread: Unread::Ends,
        }
    }

    /// The same of a command with which this is done.
    pub fn when_unread(self, unread: Unread) -> Self {
        Self { unread, ..self }
    }

    /// Sends `tracing` events to stderr: warnings always, more with `-v` or as `RUST_LOG` says. `for_days`: each line once.
    /// What `others` listen to is their own.
    pub fn start_logging(&self, for_days: bool, others: Layers) {
        let level = match (self.quiet, self.verbose) {
            // Agents that leave are no error, whatever rmcp says.
            (true, _) => "error,rmcp=off",
            (_, 0) => "ragstream=warn,error,rmcp=off",
            (_, 1) => "ragstream=info,warn",
            (_, 2) => "ragstream=debug,info",
            _ => "trace",
        };
        let mut filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
        // Spans are not for the log, whatever it is told.
        for directive in [TARGET, CONTENT, CHUNK, PARENT].iter().filter_map(|target| format!("{target}=off").parse().ok()) {
            filter = filter.add_directive(directive);
        }
        let writer = if for_days { BoxMakeWriter::new(Once::default()) } else { BoxMakeWriter::new(io::stderr) };
        // Where stderr is a terminal that was closed, complaints about that would panic.
        let logs = tracing_subscriber::fmt::layer().log_internal_errors(false).with_writer(writer).with_ansi(self.color.1);
        let logs = if self.verbose == 0 { logs.without_time().with_target(false).boxed() } else { logs.boxed() };
        let mut layers: Layers = vec![logs.with_filter(filter).boxed()];
        layers.extend(others);
        // Already set when the library's user has a subscriber of its own.
        let _ = tracing_subscriber::registry().with(layers).try_init();
    }

    /// How results are shown on stdout.
    pub fn style(&self) -> Style {
        Style {
            json: self.json,
            color: self.color.0 && !self.json,
            emphasis: self.emphasis && !self.json,
            markdown: self.terminal.0 && !self.json,
            hyperlinks: self.emphasis && !self.json && shows_links(super::args::variable),
            width: if self.terminal.0 { console_width() } else { usize::MAX },
            columns: self.terminal.0.then_some(console_width as fn() -> usize),
            quiet: self.quiet,
            why: false,
            base: None,
        }
    }

    /// Whether a person watches.
    pub fn watched(&self) -> bool {
        self.terminal.1 && !self.quiet && !self.json
    }

    /// Whether more than usual is wanted.
    pub fn verbose(&self) -> bool {
        self.verbose > 0
    }

    /// Whether stderr takes colours.
    pub fn colors_errors(&self) -> bool {
        self.color.1
    }

    /// Prints to stdout. A reader that has gone away is no error of ours.
    pub fn print(&self, text: &str) {
        let mut out = io::stdout().lock();
        if let Err(error) = out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            if reader_left(&error) || self.terminal.0 && terminal_left(&error) {
                if self.unread == Unread::GoesOn {
                    return;
                }
                std::process::exit(super::exit::OK.into());
            }
            // Whatever else there is to print would not come out either.
            self.error(&unwritten(error).into());
            std::process::exit(super::exit::FAILED.into());
        }
    }

    /// Prints one JSON line to stdout.
    pub fn event(&self, event: &impl Serialize) {
        match serde_json::to_string(event) {
            Ok(line) => self.print(&format!("{line}\n")),
            Err(error) => tracing::error!(%error, "an event could not be written"),
        }
    }

    /// Tells a person something on stderr, unless asked to be quiet.
    pub fn note(&self, text: &str) {
        if !self.quiet {
            let _ = writeln!(io::stderr().lock(), "{text}");
        }
    }

    /// Whether a person can be asked something.
    pub fn can_ask(&self) -> bool {
        self.terminal.0 && self.watched() && io::stdin().is_terminal()
    }

    /// Asks a person something, on stderr.
    #[expect(clippy::unused_self, reason = "all printing goes through a value")]
    pub fn ask(&self, text: &str) {
        let mut out = io::stderr().lock();
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }

    /// Says what is wrong, on stderr, whether asked to be quiet or not.
    #[expect(clippy::unused_self, reason = "all printing goes through a value")]
    pub fn complain(&self, text: &str) {
        let _ = io::stderr().lock().write_all(text.as_bytes());
    }

    /// Columns of the terminal.
    pub fn width(&self) -> usize {
        if self.terminal.1 { console_width() } else { 100 }
    }

    /// Emphasises, on stderr.
    pub fn paint(&self, text: &str, code: &str) -> String {
        if self.color.1 { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// A heading on stdout.
    pub fn heading(&self, text: &str) -> String {
        if self.emphasis { format!("\x1b[1m{text}\x1b[0m") } else { format!("==> {text} <==") }
    }

    /// The same, and to a program: for what ends a command before it has said so itself.
    pub fn fatal(&self, error: &anyhow::Error) {
        if self.json {
            match error.downcast_ref() {
                Some(UnfinishedRun { spent, .. }) => self.event(&Unfinished { error: line(error), spent: *spent }),
                None => self.event(&line(error)),
            }
        }
        self.error(error);
    }

    /// Says why a run could not be done, by what it was caused, and what to do.
    pub fn error(&self, error: &anyhow::Error) {
        if let Some(Invalid(diagnostics)) = error.downcast_ref::<Invalid>() {
            return self.complain(&diagnostics.render(self.color.1, self.width()));
        }
        let mut text = String::new();
        for (n, message) in causes(error).into_iter().enumerate() {
            let label = if n == 0 { self.paint("error:", "1;31") } else { self.paint("caused by:", "1") };
            text.push_str(&format!("{label} {message}\n"));
        }
        if let Some(spent) = error.downcast_ref::<UnfinishedRun>().and_then(|run| words(&run.spent)) {
            text.push_str(&format!("{} {spent}\n", self.paint("until then:", "1")));
        }
        if let Some(hint) = error.chain().find_map(|cause| cause.downcast_ref::<Error>().and_then(Error::hint)) {
            text.push_str(&format!("{} {}\n", self.paint("hint:", "1;36"), harmless(&hint)));
        }
        let _ = io::stderr().lock().write_all(text.as_bytes());
    }
}

/// The line of an error, for programs.
pub(super) fn line(error: &anyhow::Error) -> Line<'_> {
    let ours = error.chain().find_map(|cause| cause.downcast_ref::<Error>());
    match (error.downcast_ref::<Invalid>(), ours) {
        (Some(Invalid(diagnostics)), _) => {
            let wrong = diagnostics.iter().filter(|diagnostic| diagnostic.level == Level::Error);
            let hint = wrong.clone().find_map(|diagnostic| diagnostic.hint.clone());
            let message = wrong.map(Diagnostic::to_string).collect::<Vec<_>>().join("; ");
            Line::Error { message: message.into(), kind: "invalid", hint }
        }
        (None, Some(error)) => Line::from(error),
        (None, None) => Line::Error { message: causes(error).join(": ").into(), kind: "failed", hint: None },
    }
}

/// What an error says, and what it was caused by. Some of it may be a server's words, which are not to steer a terminal.
fn causes(error: &anyhow::Error) -> Vec<String> {
    let mut said: Vec<String> = Vec::new();
    for cause in error.chain() {
        let message = harmless(&readable(&cause.to_string())).into_owned();
        // A transparent error says the same as the one it wraps.
        if said.iter().all(|before| !before.contains(&message)) {
            said.push(message);
        }
    }
    said
}

/// Whether the terminal is none of those known to swallow a link's address.
fn shows_links(variable: impl Fn(&str) -> Option<String>) -> bool {
    let (term, program) = (variable("TERM").unwrap_or_default(), variable("TERM_PROGRAM").unwrap_or_default());
    let version = || {
        let version = variable("TERM_PROGRAM_VERSION").unwrap_or_default();
        let mut parts = version.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse::<u32>().unwrap_or(0));
        (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
    };
    match program.as_str() {
        "Apple_Terminal" => false,
        "tmux" => version() >= (3, 4),
        // `screen` without the name of a program is GNU screen.
        _ => !(term == "linux" || program.is_empty() && term.starts_with("screen")),
    }
}

/// The terminal's width, within reason.
fn console_width() -> usize {
    usize::from(console::Term::stdout().size().1).clamp(20, 140)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_only_where_they_are_shown() {
        let shown = |term: &str, program: &str, version: &str| {
            let value = |name: &str| match name {
                "TERM" => term.to_owned(),
                "TERM_PROGRAM" => program.to_owned(),
                _ => version.to_owned(),
            };
            shows_links(|name| Some(value(name)))
        };
        assert!(shown("xterm-256color", "", "") && shown("screen", "tmux", "3.4") && shown("tmux", "tmux", "4.0a"));
        assert!(!shown("screen", "tmux", "3.3a") && !shown("screen.xterm", "", "") && !shown("linux", "", ""));
        assert!(!shown("xterm-256color", "Apple_Terminal", "455"));
    }

    #[test]
    fn numbers_are_grouped_by_thousands() {
        let grouped: Vec<String> = [0, 999, 1000, 1_234_567].into_iter().map(grouped).collect();
        assert_eq!(grouped, ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([counted(1, "file"), counted(1000, "file")], ["1 file", "1,000 files"]);
        assert_eq!([counted(1, "query"), counted(0, "query")], ["1 query", "0 queries"]);
    }
}
