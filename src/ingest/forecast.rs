//! What a run would do: the same stages up to the chunks, and then counting instead of paying.

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::StreamExt as _;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::report::{Documents, Report};
use super::{Options, flow, gone, open_to_look};
use crate::cache::{self, Key};
use crate::error::Error;
use crate::providers::{InputType, prices};
use crate::runtime::Runtime;

/// What `ingest` would do. Nothing was written and nothing paid for to know it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Forecast {
    /// "plan", always.
    #[serde(rename = "type")]
    pub kind: &'static str,
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
    /// Why files are passed over, with how many.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub skipped: Vec<(String, u64)>,
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

/// Tells what a run of this pipeline would do. Writes nothing and calls no API.
pub async fn forecast(
    runtime: &Runtime,
    options: Options,
    report: Arc<Report>,
    stop: CancellationToken,
) -> Result<Forecast, Error> {
    let run = Arc::new(open_to_look(runtime, options, report, stop).await?);
    let fingerprint = run.embedder.fingerprint();
    let found = flow::walk(&run);
    let changed = flow::compare(&run, found);
    let documents = flow::parse(&run, changed);
    let mut jobs = std::pin::pin!(flow::jobs(&run, documents));

    let mut chunks = ForecastChunks::default();
    let (mut added, mut altered, mut embeddings, mut cached, mut tokens) = (0_u64, 0_u64, 0_u64, 0_u64, 0_u64);
    // 32 bytes a new text: what is needed to tell repeated ones, and nothing of the texts themselves.
    let mut seen = HashSet::new();
    while let Some(job) = jobs.next().await {
        match (job.touched, job.known) {
            (true, _) => run.report.documents.unchanged.add(1),
            (false, true) => altered += 1,
            (false, false) => added += 1,
        }
        chunks.new += job.new.len() as u64;
        chunks.moved += job.moved.len() as u64;
        chunks.kept += (job.chunks.len() - job.new.len() - job.moved.len()) as u64;
        chunks.deleted += job.stale.len() as u64;
        let mut wanted = Vec::new();
        for index in &job.new {
            let (Some(text), Some(chunk)) = (job.embedded_text(*index), job.chunks.get(*index)) else { continue };
            let key = Key::new(fingerprint.as_str(), InputType::Passage, &text);
            if seen.insert(key) {
                wanted.push((key, run.estimate(&text, chunk.tokens) as u64));
            }
        }
        let keys: Vec<Key> = wanted.iter().map(|(key, _)| *key).collect();
        let folder = runtime.settings.cache.clone();
        let look = tokio::task::spawn_blocking(move || cache::has(&folder, &keys));
        let covered = look.await.map_err(|source| Error::worker("look into the cache", source))?;
        for ((_, cost), covered) in wanted.into_iter().zip(covered) {
            if covered {
                cached += 1;
            } else {
                embeddings += 1;
                tokens += cost;
            }
        }
    }
    let (removed, kept_although_gone) = gone(&run).await.unwrap_or_default();
    if let Some(error) = run.take_fatal() {
        return Err(error);
    }

    let model = &runtime.plan.embed.model;
    let provider = runtime.plan.providers.get(&model.provider);
    let counted = &run.report.documents;
    let by_items = embeddings.div_ceil(run.batching.items.max(1) as u64);
    let requests = by_items.max(tokens.div_ceil(run.batching.tokens.max(1) as u64));
    let limits = provider.map(|provider| provider.limits).unwrap_or_default();
    let minutes = |amount: u64, quota: Option<u32>| quota.map(|quota| amount as f64 / f64::from(quota.max(1)));
    Ok(Forecast {
        kind: "plan",
        pipeline: runtime.plan.name.clone(),
        model: model.to_string(),
        documents: Documents {
            seen: counted.seen.get(),
            added,
            changed: altered,
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
        cost_usd: provider.and_then(|provider| prices::of(provider, &model.model)?.cost(tokens, 0)),
        prices_as_of: provider.is_none_or(|provider| !provider.prices.contains_key(&model.model)).then_some(prices::AS_OF),
        minutes: [minutes(tokens, limits.tpm), minutes(requests, limits.rpm)].into_iter().flatten().reduce(f64::max),
        skipped: run.skipped(),
    })
}
