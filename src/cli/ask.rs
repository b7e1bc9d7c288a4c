//! `ask`: answers a question, by one model or by several.

use std::io;
use std::sync::Arc;

use futures_util::StreamExt as _;
use tokio::io::AsyncReadExt as _;
use tokio_util::sync::CancellationToken;

use super::args::{AskArgs, Common};
use super::ensemble::EnsembleView;
use super::models::{Named, open};
use super::output::{Output, counted};
use super::progress::downloads;
use super::show::{Ended, Screen, render};
use super::style::{Style, unwritten};
use super::whole;
use crate::answer::wire::Line;
use crate::answer::{Answerer, Question};
use crate::error::Error;
use crate::runtime::Runtime;

/// Bytes of a question read from stdin: what nearly every embedding model takes whole, of English, Chinese and code.
const MAX_STDIN: usize = 16 << 10;

/// Answers a question, or a file of them. Ctrl-C drops the stream, which cancels the request upstream; parts of all documents that are
/// under way are read first.
pub(super) async fn run(args: AskArgs, common: &Common, output: &Output, stop: CancellationToken) -> anyhow::Result<u8> {
    let (runtime, others) = args.pipelines.runtimes(common)?;
    let named = Named::parse(&args, &runtime.plan, &others)?;
    let filter = args.filter.parse()?;
    anyhow::ensure!(!args.whole.all || named.ensemble.is_none(), "--all reads with one model; give --model once");
    let _fetching = downloads(output, runtime.providers.downloads());
    let question = Question {
        text: args.question.clone().unwrap_or_default(),
        limit: args.limit,
        filter,
        model: named.model,
        fallback: named.fallback,
        anyway: args.anyway,
        all: args.whole.wish(),
        refresh: args.whole.refresh,
        ..Question::default()
    };
    if let Some(file) = &args.batch {
        // Its record is of what models wrote.
        let question = Question { anyway: true, all: Some(false), ..question };
        return Box::pin(super::batch::run(file, &args, question, (&runtime, &others), output, stop)).await;
    }
    let from_stdin = question.text == "-";
    let style = Style { base: Some(runtime.settings.cwd.clone()), why: args.why, ..output.style() };
    let prepared = prepare(&runtime, &others, question, output);
    let prepared =
        tokio::select! { prepared = prepared => prepared, () = stop.cancelled() => return Ok(Ended::Stopped.exit_code()) };
    let (mut out, stopped) = (io::stdout(), stop.cancelled());
    let screen = Screen::new(&mut out, &style);
    let ended = match (prepared, named.ensemble) {
        (Err(error), _) => {
            if style.json {
                output.event(&Line::from(&error));
            }
            Ended::Failed(error)
        }
        (Ok((answerer, question)), None) => {
            let asks = output.can_ask() && !from_stdin;
            let events = whole::events(answerer, question, output.clone(), asks, stop.clone());
            Box::pin(render(screen, events)).await.map_err(unwritten)?
        }
        (Ok((answerer, question)), Some(ensemble)) => {
            let view = EnsembleView::new(screen, ensemble.mode, |text| output.note(text));
            Box::pin(render(view, answerer.ask_all(question, ensemble).take_until(stopped))).await.map_err(unwritten)?
        }
    };
    let code = ended.exit_code();
    if let Ended::Failed(error) = ended {
        output.error(&error.into());
    }
    Ok(code)
}

/// Reads the question where that is still to be done, and opens the index, which is let go once the sources are found.
async fn prepare(
    runtime: &Arc<Runtime>,
    others: &[Arc<Runtime>],
    mut question: Question,
    output: &Output,
) -> Result<(Answerer, Question), Error> {
    if question.text == "-" {
        question.text = read_question(output).await?;
    }
    Ok((open(runtime, others).await?.releasing_the_index(), question))
}

/// Of a long text (`git diff | ask -`) the beginning is the question, up to the end of a line, and a person is told so.
async fn read_question(output: &Output) -> Result<String, Error> {
    let mut bytes = Vec::new();
    tokio::io::stdin()
        .take(MAX_STDIN as u64 + 1)
        .read_to_end(&mut bytes)
        .await
        .map_err(|source| Error::io("read the question from", "stdin", source))?;
    let text = String::from_utf8_lossy(&bytes);
    let Some(question) = beginning(&text, MAX_STDIN) else { return Ok(text.into_owned()) };
    let lines = question.lines().count() as u64;
    output.note(&format!(
        "{} stdin has more than {} KB: its first {} {} the question. To ask about all of it, write it to a file, `ingest` that, and \
         ask about what it says.",
        output.paint("warning:", "1;33"),
        MAX_STDIN >> 10,
        counted(lines, "line"),
        if lines == 1 { "is" } else { "are" },
    ));
    Ok(question.to_owned())
}

/// The lines of a text that fit into `most` bytes, or as many characters where a line alone is longer; `None`: all of it does.
fn beginning(text: &str, most: usize) -> Option<&str> {
    let fitting = text.get(..text.floor_char_boundary(most)).filter(|fitting| fitting.len() < text.len())?;
    let lines = fitting.rfind('\n').and_then(|end| fitting.get(..end)).filter(|lines| !lines.trim().is_empty());
    Some(lines.unwrap_or(fitting))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_question_is_cut_between_lines() {
        assert_eq!(beginning("one\ntwo", 7), None);
        assert_eq!(beginning("one\ntwo\nthree", 9), Some("one\ntwo"));
        assert_eq!(beginning("密钥轮换", 7), Some("密钥"));
        assert_eq!(beginning("\n\nlong line", 6), Some("\n\nlong"));
    }
}
