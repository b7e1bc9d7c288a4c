//! `why`: says why a document is, or is not, among the sources of an answer.

use std::path::Path;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::args::{Common, WhyArgs};
use super::exit;
use super::models::open;
use super::output::Output;
use super::progress::downloads;
use super::style::{Paint, Style, harmless, one_line};
use crate::answer::why::Place;
use crate::answer::{Answerer, Question};
use crate::error::Error;
use crate::runtime::{Runtime, Why};
use crate::source::readable::readable;

pub(super) async fn run(args: WhyArgs, common: &Common, output: &Output, stop: CancellationToken) -> anyhow::Result<u8> {
    let (runtime, others) = args.pipelines.runtimes(common)?;
    let filter = args.filter.parse()?;
    let question = Question { text: args.question, limit: args.limit, filter, ..Question::default() };
    let _fetching = downloads(output, runtime.providers.downloads());
    let cwd = Some(&*runtime.settings.cwd);
    let asking = async {
        let answerer = open(&runtime, &others).await?;
        asked(&runtime, &others, &answerer, &args.file, cwd, &question).await
    };
    let why = tokio::select! {
        why = asking => why?,
        () = stop.cancelled() => return Ok(exit::INTERRUPTED),
    };
    if output.json {
        output.event(&why);
    } else {
        output.print(&shown(&why, &output.style()));
    }
    Ok(if why.found { exit::OK } else { exit::SOME_FAILED })
}

/// What one pipeline says, or several together.
pub(super) async fn asked(
    runtime: &Arc<Runtime>,
    others: &[Arc<Runtime>],
    answerer: &Answerer,
    file: &str,
    cwd: Option<&Path>,
    question: &Question,
) -> Result<Why, Error> {
    if others.is_empty() {
        return runtime.why(answerer, file, cwd, question).await;
    }
    Runtime::why_together((runtime, others), answerer, file, cwd, question).await
}

/// ```text
/// docs/keys.md is not among the sources: it is in place 23, and 8 passages are taken.
///
///              place  score
/// by meaning      31  0.412
/// by words        12  3.127
/// together        23  0.310
///
/// its best passage  docs/keys.md:10-31
/// not in it         signing, 轮换
/// to do             `-k 23` takes it; or ask in words of the document
/// ```
pub(super) fn shown(why: &Why, style: &Style) -> String {
    let is = if why.found { "is among the sources" } else { "is not among the sources" };
    let first = format!("{} {is}: {}.", why.uri, why.message);
    let first = one_line(&readable(&first));
    let mut text = format!("{}\n", style.paint(Paint::Bold, &first));
    let places = why.legs.unwrap_or_default();
    let rows =
        [("by meaning", places.vector), ("by words", places.words), ("together", places.fused), ("reranked", places.rerank)];
    let rows: Vec<(&str, Place)> = rows.into_iter().filter_map(|(name, place)| Some((name, place?))).collect();
    if !rows.is_empty() {
        text.push_str(&format!("\n{}\n", style.paint(Paint::Dim, &format!("{:<12}{:>10}{:>10}", "", "place", "score"))));
        for (name, Place { rank, score, at_least }) in rows {
            let rank = format!("{}{}", if at_least { "≥ " } else { "" }, super::output::grouped(rank));
            text.push_str(&format!("{name:<12}{rank:>10}{score:>10.3}\n"));
        }
    }
    let also = why.also.iter().map(|cause| ("besides", cause.message(None)));
    let words = (!why.missing_words.is_empty()).then(|| ("not in it", why.missing_words.join(", ")));
    let copy = why.copy_of.as_ref().map(|copy| ("the same as", copy.shown()));
    let passage = why.passage.as_ref().map(|passage| ("best passage", passage.shown()));
    let alone = why.by_words_alone.then(|| ("ranked", "by words alone".to_owned()));
    let hint = why.hint.clone().map(|hint| ("to do", hint));
    let facts: Vec<(&str, String)> =
        passage.into_iter().chain(copy).chain(alone).chain(words).chain(also).chain(hint).collect();
    if !facts.is_empty() {
        text.push('\n');
    }
    for (name, fact) in facts {
        text.push_str(&format!("{}{}\n", style.paint(Paint::Dim, &format!("{name:<14}")), harmless(&readable(&fact))));
    }
    text
}
