//! Where questions come from: a person's line editor, or a pipe with one a line.

use std::path::PathBuf;
use std::sync::mpsc::{SyncSender, sync_channel};

use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{Config, Editor};
use tokio::io::{BufReader, Stdin};
use tokio::sync::mpsc;

use crate::cli::jsonl::next_line;

const PROMPT: &str = "> ";
/// Questions that the arrow keys bring back.
const HISTORY: usize = 1000;

/// A line that was typed, or the lack of one.
#[derive(Debug)]
pub(super) enum Read {
    Line(String),
    /// Ctrl-C at the prompt.
    Interrupted,
    End,
    Failed(String),
}

pub(super) enum Input {
    Person(Person),
    Pipe(BufReader<Stdin>),
}

impl Input {
    /// Someone at a terminal, whose questions are kept in a file; else whatever stdin is.
    pub fn new(person: bool, history: PathBuf) -> Self {
        if person { Self::Person(Person::new(history)) } else { Self::Pipe(BufReader::new(tokio::io::stdin())) }
    }

    pub async fn next(&mut self) -> Read {
        match self {
            Self::Person(person) => person.next().await,
            Self::Pipe(pipe) => {
                let mut line = Vec::new();
                match next_line(pipe, &mut line).await {
                    Ok(None) => Read::End,
                    Ok(Some(true)) => Read::Line(String::from_utf8_lossy(&line).into_owned()),
                    Ok(Some(false)) => Read::Failed("the question is too long".into()),
                    Err(error) => Read::Failed(error.to_string()),
                }
            }
        }
    }
}

/// The line editor, which blocks, on a thread of its own. It ends when nobody asks it any more.
pub(super) struct Person {
    ask: SyncSender<()>,
    lines: mpsc::Receiver<Read>,
}

impl Person {
    fn new(history: PathBuf) -> Self {
        let (ask, asked) = sync_channel(1);
        let (send, lines) = mpsc::channel(1);
        std::thread::spawn(move || {
            let mut editor = match editor() {
                Ok(editor) => editor,
                Err(error) => {
                    let _ = send.blocking_send(Read::Failed(error.to_string()));
                    return;
                }
            };
            // There is none before the first question.
            let _ = editor.load_history(&history);
            while asked.recv().is_ok() {
                if send.blocking_send(read(&mut editor, &history)).is_err() {
                    return;
                }
            }
        });
        Self { ask, lines }
    }

    async fn next(&mut self) -> Read {
        let _ = self.ask.try_send(());
        self.lines.recv().await.unwrap_or(Read::End)
    }
}

fn editor() -> rustyline::Result<Editor<(), FileHistory>> {
    let config = Config::builder().max_history_size(HISTORY)?.history_ignore_dups(true)?.bracketed_paste(true).build();
    Editor::with_config(config)
}

fn read(editor: &mut Editor<(), FileHistory>, history: &PathBuf) -> Read {
    match editor.readline(PROMPT) {
        Ok(line) => {
            if !line.trim().is_empty() && editor.add_history_entry(&line).is_ok_and(|added| added) {
                let kept = history.parent().map_or(Ok(()), std::fs::create_dir_all).map_err(ReadlineError::from);
                if let Err(error) = kept.and_then(|()| editor.append_history(history)) {
                    tracing::debug!(%error, "the question is not kept for the arrow keys");
                }
            }
            Read::Line(line)
        }
        Err(ReadlineError::Interrupted) => Read::Interrupted,
        Err(ReadlineError::Eof) => Read::End,
        Err(error) => Read::Failed(error.to_string()),
    }
}
