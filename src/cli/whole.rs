//! Questions about all documents: what it takes to read them is told before, and a person is asked.

use std::io;
use std::time::Duration;

use async_stream::stream;
use futures_util::{Stream, StreamExt as _};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressFinish, ProgressStyle};

use super::output::{Output, counted};
use crate::answer::{AnswerEvent, Answerer, Estimate, Question};
use crate::error::Error;

/// The events of an answer. What it takes to read all documents is told on stderr, and how far that has come; `asks`: whether to read
/// them is asked, where the question does not say so.
pub(super) fn events(
    answerer: Answerer,
    mut question: Question,
    output: Output,
    asks: bool,
) -> impl Stream<Item = Result<AnswerEvent, Error>> {
    stream! {
        let mut bar: Option<ProgressBar> = None;
        let mut events = answerer.ask(question.clone());
        while let Some(event) = events.next().await {
            match &event {
                // Where there is nothing to read, the answer says so.
                Ok(AnswerEvent::Estimate(estimate)) if !output.json && estimate.documents > 0 => {
                    if estimate.reads {
                        output.note(&output.paint(&format!("Reading {}: {estimate}.", all(estimate)), "2"));
                        bar = Some(progress(&output, estimate.parts));
                    } else if asks {
                        question.all = Some(agreed(&output, estimate).await);
                        events = answerer.ask(question.clone());
                        continue;
                    }
                }
                Ok(AnswerEvent::Reading { read, of }) => {
                    if let Some(bar) = &bar {
                        bar.set_length(*of);
                        bar.set_position(*read);
                    }
                }
                Ok(_) | Err(_) => drop(bar.take()),
            }
            yield event;
        }
    }
}

fn all(estimate: &Estimate) -> String {
    let about = if estimate.exact { "" } else { "about " };
    format!("{} in {about}{}", counted(estimate.documents, "document"), counted(estimate.parts, "part"))
}

fn progress(output: &Output, parts: u64) -> ProgressBar {
    let target = if output.watched() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(Some(parts), target).with_finish(ProgressFinish::AndClear);
    if let Ok(style) = ProgressStyle::with_template("{pos} of {len} parts read  {bar:20}  {elapsed}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// Whether a person wants all documents read.
async fn agreed(output: &Output, estimate: &Estimate) -> bool {
    output.ask(&format!(
        "This question seems to be about all documents. To read {} takes {estimate}.\nRead them all? Else the best passages answer. [y/N] ",
        all(estimate)
    ));
    let line = || {
        let mut line = String::new();
        io::stdin().read_line(&mut line).map(|_| line)
    };
    // Whoever does not answer has not agreed.
    let answer = tokio::task::spawn_blocking(line).await;
    matches!(answer, Ok(Ok(line)) if ["y", "yes", "是"].contains(&line.trim().to_lowercase().as_str()))
}
