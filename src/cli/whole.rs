//! Questions about all documents: what it takes to read them is told before, and a person is asked.

use std::io;
use std::time::Duration;

use async_stream::stream;
use futures_util::{Stream, StreamExt as _};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressFinish, ProgressStyle};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::output::{Output, counted};
use crate::answer::{AnswerEvent, Answerer, DRAIN, Estimate, Question};
use crate::error::Error;

/// The events of an answer, until it is stopped: at once, but for parts of all documents that are under way, whose notes are paid for and
/// kept. What it takes to read all documents is told on stderr, and how far that has come; `asks`: whether to read them is asked, where
/// the question does not say so.
pub(super) fn events(
    answerer: Answerer,
    mut question: Question,
    output: Output,
    asks: bool,
    stop: CancellationToken,
) -> impl Stream<Item = Result<AnswerEvent, Error>> {
    stream! {
        let mut bar: Option<ProgressBar> = None;
        // While parts are read: how many are, of all.
        let mut parts: Option<(u64, u64)> = None;
        let mut end: Option<Instant> = None;
        let answerer = answerer.stopping_with(stop.clone());
        let mut events = answerer.ask(question.clone());
        while parts.is_some() || !stop.is_cancelled() {
            let event = tokio::select! {
                biased;
                event = events.next() => event,
                () = stop.cancelled(), if end.is_none() => {
                    if parts.is_none() {
                        break;
                    }
                    end = Some(Instant::now() + DRAIN);
                    let said = "finishing what is in flight; Ctrl-C again ends at once";
                    match &bar {
                        Some(bar) => bar.suspend(|| output.note(said)),
                        None => output.note(said),
                    }
                    continue;
                }
                () = sleep_until(end.unwrap_or_else(Instant::now)), if end.is_some() => None,
            };
            let Some(event) = event else { break };
            parts = match &event {
                Ok(AnswerEvent::Estimate(estimate)) if estimate.reads => Some((0, estimate.parts)),
                Ok(AnswerEvent::Reading { read, of }) => Some((*read, *of)),
                _ => None,
            };
            match &event {
                // Where there is nothing to read, the answer says so.
                Ok(AnswerEvent::Estimate(estimate)) if !output.json && estimate.documents > 0 => {
                    if estimate.reads {
                        output.note(&output.paint(&format!("Reading {}: {estimate}.", all(estimate)), "2"));
                        bar = Some(progress(&output, estimate.parts));
                    } else if asks {
                        question.all = tokio::select! {
                            agreed = agreed(&output, estimate) => Some(agreed),
                            () = stop.cancelled() => break,
                        };
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
        drop(bar);
        if let Some((read, of)) = parts.filter(|_| stop.is_cancelled()) {
            output.note(&format!("stopped after {read} of {of} parts; what was read is kept: ask the same again to go on"));
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
