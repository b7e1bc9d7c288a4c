//! What a run would do: the same stages up to the chunks, and then counting instead of paying.

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::StreamExt as _;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::diff::{ChunkTask, DocumentDiff};
use super::open::{Opened, open};
use super::prune::{Verdict, judge};
use super::report::{Documents, Report};
use super::run::{Mode, Run};
use super::setup::{Options, Setup};
use super::{coordinator, queue, worker};
use crate::cache::{self, Key};
use crate::error::Error;
use crate::providers::InputType;
use crate::source::SkipReason;

/// What `ingest` would do. Nothing was written and nothing paid for to know it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", rename = "plan")]
pub struct Forecast {
    /// The pipeline's name.
    pub pipeline: String,
    /// The embedding model, as `provider/model`.
    pub model: String,
    /// Documents by what would become of them.
    pub documents: Documents,
    /// Documents that seem gone and would be kept without `--prune`.
    pub kept_although_gone: u64,
    /// Chunks by what would become of them.
    pub chunks: ForecastChunks,
    /// Texts that are to be embedded: repeated ones once, cached ones not at all.
    pub embeddings: u64,
    /// Texts that the cache covers.
    pub cached: u64,
    /// Tokens of `embeddings`, estimated by the chunking tokenizer.
    pub tokens: u64,
    /// Requests that carry them in full batches.
    pub requests: u64,
    /// What they cost; `None` where the price is not known.
    pub cost_usd: Option<f64>,
    /// As of when the price is known; `None` where the pipeline file says it.
    pub prices_as_of: Option<&'static str>,
    /// How long the declared quota (tokens and requests a minute) makes it take; `None` where none is declared.
    pub minutes: Option<f64>,
    /// What is said of a change of the index's model, where the pipeline names another one than the index has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change: Option<ForecastChange>,
    /// Why items are passed over, with how many.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub skipped: Vec<(SkipReason, u64)>,
}

/// What an ingest would do about the index's model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ForecastChange {
    /// All documents are embedded with another model, and the old vectors answer until that is complete.
    Change {
        /// The model whose vectors answer until then.
        from: String,
        /// The one that the pipeline names.
        to: String,
        /// How far an earlier run has come with it, in percent of the passages.
        percent: u64,
    },
    /// A change that an earlier run began is not wanted any more: its vectors are removed.
    TakenBack {
        /// Of this model.
        to: String,
    },
}

/// Chunks by what would become of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct ForecastChunks {
    /// New to the index.
    pub new: u64,
    /// In the index, at another place of their document.
    pub moved: u64,
    /// In the index as they are (of documents that changed).
    pub kept: u64,
    /// To be deleted (of documents that changed).
    pub deleted: u64,
}

/// Tells what a run would do. Writes nothing and calls no API. `None`: it was stopped meanwhile.
///
/// # Errors
/// What would end the run before it has begun, and a failing ledger or cache.
pub async fn forecast(
    setup: Setup,
    options: Options,
    report: Arc<Report>,
    stop: CancellationToken,
) -> Result<Option<Forecast>, Error> {
    let Some(Opened { run, .. }) = open(setup, Mode::Look, options, &report, stop).await? else { return Ok(None) };
    let run = Arc::new(run);
    let (batches, claims) = queue::local();
    let counting = async {
        let mut diffs = std::pin::pin!(worker::diffs(&run, claims));
        let mut tally = Tally::default();
        while let Some(documents) = diffs.next().await {
            for diff in documents {
                tally.count(&run, &diff).await?;
            }
        }
        Ok::<_, Error>(tally)
    };
    let (scope, tally) = tokio::join!(coordinator::list(&run, batches), counting);
    let tally = tally?;
    let verdict = match scope {
        Ok(scope) => judge(&run, &scope, run.options.prune).await,
        Err(ended) => Err(ended),
    };
    if let Some(error) = run.take_fatal() {
        return Err(error);
    }
    let Ok(verdict) = verdict else { return Ok(None) };
    let (removed, kept_although_gone) = match verdict {
        Verdict::Remove(gone) => (gone, 0),
        Verdict::Keep(gone) => (0, gone),
    };
    Ok(Some(tally.forecast(&run, removed, kept_although_gone)))
}

/// What was counted so far.
#[derive(Debug, Default)]
struct Tally {
    added: u64,
    changed: u64,
    chunks: ForecastChunks,
    embeddings: u64,
    cached: u64,
    tokens: u64,
    /// 32 bytes a new text: what is needed to tell repeated ones, and nothing of the texts themselves.
    seen: HashSet<Key>,
}

impl Tally {
    async fn count(&mut self, run: &Run, diff: &Arc<DocumentDiff>) -> Result<(), Error> {
        match (diff.touched, diff.known) {
            (true, _) => run.report.documents.unchanged.add(1),
            (false, true) => self.changed += 1,
            (false, false) => self.added += 1,
        }
        let tasks = ChunkTask::of(diff);
        self.chunks.new += tasks.len() as u64;
        self.chunks.moved += diff.moved().count() as u64;
        self.chunks.kept += diff.kept() as u64;
        self.chunks.deleted += diff.stale.len() as u64;
        let fingerprint = run.setup.embedder.fingerprint();
        let (mut keys, mut costs) = (Vec::new(), Vec::new());
        for task in tasks {
            let text = task.text();
            let key = Key::new(fingerprint.as_str(), InputType::Passage, &text);
            if self.seen.insert(key) {
                keys.push(key);
                costs.push(run.estimate(&text, task.tokens()) as u64);
            }
        }
        let cached = match run.setup.cache.clone() {
            Some(folder) => {
                let look = tokio::task::spawn_blocking(move || cache::has(&folder, &keys));
                look.await.map_err(|source| Error::worker("look into the cache", source))?
            }
            None => vec![false; keys.len()],
        };
        for (cost, cached) in costs.into_iter().zip(cached) {
            if cached {
                self.cached += 1;
            } else {
                self.embeddings += 1;
                self.tokens += cost;
            }
        }
        Ok(())
    }

    fn forecast(self, run: &Run, removed: u64, kept_although_gone: u64) -> Forecast {
        let Self { added, changed, chunks, embeddings, cached, tokens, seen: _ } = self;
        let counted = &run.report.documents;
        let by_items = embeddings.div_ceil(run.batching.items.max(1) as u64);
        let requests = by_items.max(tokens.div_ceil(run.batching.tokens.max(1) as u64));
        let terms = &run.setup.terms;
        let minutes = |amount: u64, quota: Option<u32>| quota.map(|quota| amount as f64 / f64::from(quota.max(1)));
        let minutes = [minutes(tokens, terms.limits.tpm), minutes(requests, terms.limits.rpm)];
        Forecast {
            pipeline: run.setup.name.clone(),
            model: run.setup.embedder.model().to_owned(),
            documents: Documents {
                seen: counted.seen.get(),
                added,
                changed,
                unchanged: counted.unchanged.get(),
                removed,
                failed: counted.failed.get(),
                skipped: counted.skipped.get(),
            },
            kept_although_gone,
            chunks,
            embeddings,
            cached,
            tokens,
            requests,
            cost_usd: terms.price.and_then(|price| price.cost(tokens, 0)),
            prices_as_of: terms.prices_as_of,
            minutes: minutes.into_iter().flatten().reduce(f64::max),
            change: None,
            skipped: run.report.skipped(),
        }
    }
}
