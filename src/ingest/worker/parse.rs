//! Compares contents with what is recorded, and makes text of those that are new.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use futures_util::Stream;

use super::fetch::{FetchedBatch, FetchedItem};
use super::settle::settled;
use super::stage::stage;
use crate::document::Document;
use crate::error::reason;
use crate::ingest::clocks::{Step, Wanted};
use crate::ingest::diff::Parsed;
use crate::ingest::ledger::{Commit, Entry, FailedDocument};
use crate::ingest::report::Stage;
use crate::ingest::run::{Ended, Mode, Run};
use crate::parse::{self, Extracted, Format};
use crate::source::{Body, FetchError, SkipReason, SourceId};

/// What became of an item.
enum Outcome {
    /// Its content is new to the index.
    Parsed(Box<Parsed>),
    /// Touched, copied or restored: the same content under another version.
    Unchanged(Commit),
    /// The document is lost in this run.
    Failed { uri: String, stage: Stage, error: String },
    /// Nothing of it is to be indexed; why, where that is worth counting.
    NotIndexed { uri: String, reason: Option<SkipReason> },
    /// The run was stopped before it was looked at.
    Left,
}

/// Parses, a core's worth of batches at once.
pub(super) fn parse(run: &Arc<Run>, batches: impl Stream<Item = FetchedBatch> + Send + 'static) -> Wanted<Vec<Parsed>> {
    stage(run, Step::Parse, "parse documents", batches, |run, batch, _| async move { parse_batch(&run, batch).await })
}

async fn parse_batch(run: &Arc<Run>, batch: FetchedBatch) -> Result<Vec<Parsed>, Ended> {
    let FetchedBatch { source, items } = batch;
    let (worker, of) = (Arc::clone(run), source.clone());
    let outcomes = run
        .computed("parse documents", move || items.into_iter().map(|item| parse_one(&worker, &of, item)).collect::<Vec<_>>());
    let (mut parsed, mut unchanged, mut failed, mut not_indexed) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for outcome in outcomes.await? {
        match outcome {
            Outcome::Parsed(document) => parsed.push(*document),
            Outcome::Unchanged(commit) => unchanged.push(commit),
            Outcome::Failed { uri, stage, error } => {
                failed.push(FailedDocument { source: source.clone(), uri, stage, error });
            }
            Outcome::NotIndexed { uri, reason } => {
                if let Some(reason) = reason {
                    run.skip(&uri, reason);
                }
                not_indexed.push(uri);
            }
            Outcome::Left => {}
        }
    }
    run.fail(failed).await?;
    if !not_indexed.is_empty() {
        run.recorded(run.setup.ledger.unlist(run.id(), not_indexed).await)?;
    }
    let mut same = unchanged.len();
    if same > 0 && run.mode == Mode::Write {
        let uris: Vec<String> = unchanged.iter().map(|commit| commit.uri.clone()).collect();
        let fenced = run.recorded(run.setup.ledger.commit(unchanged).await)?;
        let done = uris.iter().filter(|uri| !fenced.uris.contains(uri));
        settled(run, done.map(|uri| (&source, uri.as_str()))).await;
        same = same.saturating_sub(fenced.uris.len());
    }
    run.report.documents.unchanged.add(same as u64);
    Ok(parsed)
}

/// Compares and parses one item. CPU work.
fn parse_one(run: &Run, source: &SourceId, item: FetchedItem) -> Outcome {
    if run.stop.is_cancelled() {
        return Outcome::Left;
    }
    let FetchedItem { uri, prior, fetched, memory } = item;
    let fetched = match fetched {
        Ok(fetched) => fetched,
        Err(FetchError::Gone) => return Outcome::NotIndexed { uri, reason: None },
        Err(FetchError::Skipped(reason)) => return Outcome::NotIndexed { uri, reason: Some(reason) },
        Err(FetchError::Failed(error)) => return Outcome::Failed { uri, stage: Stage::Read, error: reason(&error) },
    };
    run.report.documents.bytes.add(fetched.body.len() as u64);
    let (hash, version) = (run.hash(fetched.hash()), run.version(fetched.version));
    // The time in a payload is in seconds. Where that is another, the payloads are written anew; nothing is embedded for it.
    let modified = fetched.modified_ns.map(|ns| ns.div_euclid(1_000_000_000));
    let same = |entry: &&Entry| entry.source == *source && entry.hash == Some(hash) && entry.modified == modified;
    if let Some(entry) = prior.entry.as_ref().filter(same) {
        let (points, epoch) = (entry.points.clone(), prior.epoch);
        return Outcome::Unchanged(Commit { source: source.clone(), uri, epoch, version, hash, modified, points });
    }
    let span = run.told_of(&uri, fetched.body.len());
    let parsed = match catch_unwind(AssertUnwindSafe(|| extract(run, &uri, fetched.body))) {
        Ok(Ok(parsed)) => parsed,
        Ok(Err(error)) => match SkipReason::of(&error) {
            Some(skip) => return Outcome::NotIndexed { uri, reason: Some(skip) },
            None => return Outcome::Failed { uri, stage: Stage::Parse, error: reason(&error) },
        },
        Err(_) => return Outcome::Failed { uri, stage: Stage::Parse, error: "the parser broke".to_owned() },
    };
    let parse::Parsed { extracted: Extracted { title, markup, text }, pages, mut anchors, unread_pages } = parsed;
    if anchors.is_empty() {
        // Text that its source made, which found them.
        anchors = fetched.anchors;
    }
    if !unread_pages.is_empty() {
        run.report.unread_pages.add(unread_pages.len() as u64);
        tracing::warn!(document = uri, pages = %listed(&unread_pages), "pages without text need OCR (`parse: {{ ocr: {{}} }}`)");
    }
    let modified_ns = fetched.modified_ns.unwrap_or_default();
    let document =
        Document { uri, title, markup, text: Arc::from(text), pages, anchors, modified_ns, metadata: fetched.metadata };
    let source = source.clone();
    Outcome::Parsed(Box::new(Parsed { source, document, version, hash, modified, prior, memory, span }))
}

fn extract(run: &Run, uri: &str, body: Body) -> Result<parse::Parsed, parse::ParseError> {
    match body {
        Body::Bytes { bytes, hint } => parse::parse_with(hint.of(uri), bytes, &run.setup.parse),
        Body::Text { text, markup, title } => Extracted { title, markup, text }.checked(Format::Text).map(parse::Parsed::from),
    }
}

/// The first numbers of a list, in words.
fn listed(pages: &[u32]) -> String {
    let first: Vec<String> = pages.iter().take(10).map(ToString::to_string).collect();
    format!("{}{}", first.join(", "), if pages.len() > first.len() { " …" } else { "" })
}
