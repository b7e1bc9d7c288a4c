//! `ask`: answers a question, by one model or by several.

use std::io;

use futures_util::StreamExt as _;
use tokio::io::AsyncReadExt as _;
use tokio_util::sync::CancellationToken;

use super::args::{AskArgs, Common};
use super::ensemble::EnsembleView;
use super::models::{Named, open};
use super::output::Output;
use super::progress::downloads;
use super::show::{Ended, Screen, render};
use super::style::Style;
use crate::answer::wire::Line;
use crate::answer::{Answerer, Question};
use crate::error::Error;
use crate::runtime::Runtime;

/// A question read from stdin, in bytes, at most.
const MAX_STDIN: u64 = 64 * 1024;

/// Answers a question, or a file of them. Ctrl-C drops the stream, which cancels the request upstream.
pub(super) async fn run(args: AskArgs, common: &Common, output: &Output, stop: CancellationToken) -> anyhow::Result<u8> {
    let runtime = args.pipeline.runtime(common, |_| Ok(()))?;
    let named = Named::parse(&args, &runtime.plan)?;
    let filter = args.filter.parse()?;
    let _fetching = downloads(output, runtime.providers.downloads());
    let question = Question { limit: args.limit, filter, fallback: named.fallback, ..Question::default() };
    let question = Question { model: named.model, text: args.question.clone().unwrap_or_default(), ..question };
    if let Some(file) = &args.batch {
        return Box::pin(super::batch::run(file, &args, question, &runtime, output, stop)).await;
    }
    let style = Style { base: Some(runtime.settings.cwd.clone()), ..output.style() };
    let prepared = prepare(&runtime, question);
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
        (Ok((answerer, question)), None) => Box::pin(render(screen, answerer.ask(question).take_until(stopped))).await?,
        (Ok((answerer, question)), Some(ensemble)) => {
            let view = EnsembleView::new(screen, ensemble.mode, |text| output.note(text));
            Box::pin(render(view, answerer.ask_all(question, ensemble).take_until(stopped))).await?
        }
    };
    let code = ended.exit_code();
    if let Ended::Failed(error) = ended {
        output.error(&error.into());
    }
    Ok(code)
}

/// Reads the question where that is still to be done, and opens the index, which is let go once the sources are found.
async fn prepare(runtime: &Runtime, mut question: Question) -> Result<(Answerer, Question), Error> {
    if question.text == "-" {
        question.text = read_question().await?;
    }
    Ok((open(runtime).await?.releasing_the_index(), question))
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
