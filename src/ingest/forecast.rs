//! What a run would do: the same stages up to the chunks, and then counting instead of paying.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use futures_util::StreamExt as _;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::batching::Filling;
use super::context::{Asked, Prefix, Situating, WRITTEN};
use super::diff::{ChunkTask, DocumentDiff};
use super::open::{Opened, open};
use super::prune::{Verdict, foretold, judge};
use super::report::{Documents, Report};
use super::run::{Mode, Run};
use super::setup::{Options, Setup};
use super::worker::within_room;
use super::{coordinator, queue, worker};
use crate::cache::{self, Key};
use crate::error::Error;
use crate::limits::{self, Limits};
use crate::providers::{ChatModel, InputType, PromptCache, Usage};
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
    /// What it would take to say where chunks stand, where a model does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contexts: Option<ForecastContexts>,
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
    /// What all of it costs, `contexts` included; `None` where a price is not known.
    pub total_cost_usd: Option<f64>,
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

/// What it would take to say where chunks stand.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ForecastContexts {
    /// The model, as `provider/model`.
    pub model: String,
    /// Requests, one for each chunk of which it is not known.
    pub requests: u64,
    /// Chunks of which the cache knows it.
    pub cached: u64,
    /// Tokens that the model reads, estimated by the chunking tokenizer.
    pub input_tokens: u64,
    /// Tokens that it writes, if it writes two sentences for each.
    pub output_tokens: u64,
    /// What of those read a provider keeps that is told to, and reads again. Others, which do so by themselves, are not counted on.
    #[serde(skip_serializing_if = "PromptCache::is_empty")]
    pub prompt_cache: PromptCache,
    /// What they cost; `None` where the price is not known. A provider that keeps the beginnings of prompts by itself asks for less.
    pub cost_usd: Option<f64>,
    /// As of when the price is known; `None` where the pipeline file says it.
    pub prices_as_of: Option<&'static str>,
    /// How long the declared quota (tokens and requests a minute) makes it take; `None` where none is declared.
    pub minutes: Option<f64>,
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
    /// To be deleted (of documents that changed or are gone).
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
    let gone = match scope {
        Ok(scope) => match judge(&run, &scope, run.options.prune).await {
            Ok(Verdict::Keep(kept)) => Ok(Gone { kept, ..Gone::default() }),
            Ok(Verdict::Remove(0)) => Ok(Gone::default()),
            Ok(Verdict::Remove(_)) => {
                foretold(&run, &scope).await.map(|(removed, chunks)| Gone { removed, chunks, ..Gone::default() })
            }
            Err(ended) => Err(ended),
        },
        Err(ended) => Err(ended),
    };
    if let Some(error) = run.take_fatal() {
        return Err(error);
    }
    let Ok(gone) = gone else { return Ok(None) };
    Ok(Some(tally.forecast(&run, gone)))
}

/// Documents that seem gone.
#[derive(Debug, Clone, Copy, Default)]
struct Gone {
    removed: u64,
    /// Of those that are removed.
    chunks: u64,
    kept: u64,
}

/// What was counted so far of contexts.
#[derive(Debug, Default)]
struct ContextTally {
    requests: u64,
    cached: u64,
    read: u64,
    prompt_cache: PromptCache,
    seen: HashSet<Key>,
}

/// What a model is asked of a chunk, without the request, which holds a window.
struct ToAsk {
    key: Key,
    read: u64,
    /// What the provider keeps of it, with its tokens.
    kept: Option<(Prefix, u64)>,
}

impl ToAsk {
    fn of(asked: Asked, model: Option<&dyn ChatModel>) -> Self {
        let Asked { key, request, read, prefix } = asked;
        let shared = request.shared.filter(|shared| model.is_some_and(|model| model.keeps(*shared)));
        Self { key, read, kept: prefix.zip(shared.map(|shared| shared.tokens)) }
    }
}

/// A text that is to be embedded, and its tokens. One whose context is not known yet is known by the key of that.
struct ToEmbed {
    key: Key,
    tokens: u64,
    known: bool,
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
    filling: Filling,
    contexts: ContextTally,
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
        let mut texts = self.contexts.count(run, tasks).await?;
        texts.retain(|text| self.seen.insert(text.key));
        let keys: Vec<Key> = texts.iter().filter(|text| text.known).map(|text| text.key).collect();
        let looked = keys.clone();
        let cached = in_cache(run, move |folder| cache::has(folder, &looked)).await?.unwrap_or_default();
        let cached: HashSet<Key> = keys.into_iter().zip(cached).filter(|(_, cached)| *cached).map(|(key, _)| key).collect();
        for text in texts {
            if cached.contains(&text.key) {
                self.cached += 1;
            } else {
                self.embeddings += 1;
                self.tokens += text.tokens;
                self.filling.add(text.tokens, &run.batching);
            }
        }
        Ok(())
    }

    fn forecast(self, run: &Run, gone: Gone) -> Forecast {
        let Self { added, changed, mut chunks, embeddings, cached, tokens, filling, contexts, seen: _ } = self;
        chunks.deleted += gone.chunks;
        let counted = &run.report.documents;
        let requests = filling.batches();
        let terms = &run.setup.terms;
        let cost_usd = terms.price.and_then(|price| price.cost(tokens, 0));
        let contexts = run.setup.context.as_ref().map(|situating| contexts.forecast(situating));
        let contexts_cost = contexts.as_ref().map_or(Some(0.0), |of| if of.requests == 0 { Some(0.0) } else { of.cost_usd });
        Forecast {
            pipeline: run.setup.name.clone(),
            model: run.setup.embedder.model().to_owned(),
            documents: Documents {
                seen: counted.seen.get(),
                added,
                changed,
                unchanged: counted.unchanged.get(),
                removed: gone.removed,
                failed: counted.failed.get(),
                skipped: counted.skipped.get(),
            },
            kept_although_gone: gone.kept,
            chunks,
            contexts,
            embeddings,
            cached,
            tokens,
            requests,
            cost_usd,
            total_cost_usd: cost_usd.zip(contexts_cost).map(|(embedding, contexts)| embedding + contexts),
            prices_as_of: terms.prices_as_of,
            minutes: minutes(tokens, requests, terms.limits),
            change: None,
            skipped: run.report.skipped(),
        }
    }
}

impl ContextTally {
    /// Counts what it takes to situate chunks of one document, and tells what is to be embedded then.
    async fn count(&mut self, run: &Run, tasks: Vec<ChunkTask>) -> Result<Vec<ToEmbed>, Error> {
        let name = run.setup.context.as_ref().map(Situating::model).unwrap_or_default();
        let model = run.setup.context.as_ref().and_then(|context| context.models.first()).map(|model| &**model);
        let asked = tasks.into_iter().map(|task| (run.situated().and_then(|_| task.asked(name)), task));
        let asked: Vec<_> = asked.map(|(asked, task)| (asked.map(|asked| ToAsk::of(asked, model)), task)).collect();
        let keys: Vec<Key> = asked.iter().filter_map(|(asked, _)| asked.as_ref().map(|asked| asked.key)).collect();
        let known = in_cache(run, move |folder| cache::texts(folder, &keys)).await?.unwrap_or_default();
        let (mut known, mut to_embed) = (known.into_iter(), Vec::with_capacity(asked.len()));
        let fingerprint = run.setup.embedder.fingerprint();
        let mut kept = None;
        for (asked, task) in asked {
            let context = asked.as_ref().and_then(|_| known.next().flatten());
            let task = match &context {
                Some(context) => within_room(run, task, context),
                None => task,
            };
            let text = task.text();
            let tokens = run.estimate(&text, task.tokens()) as u64;
            to_embed.push(match (asked, context) {
                (Some(ToAsk { key, read, kept: prefix }), None) => {
                    if self.seen.insert(key) {
                        self.requests += 1;
                        self.read += read;
                        if let Some((prefix, tokens)) = prefix {
                            // Chunks of one stretch come one after the other.
                            let again = kept.as_ref() == Some(&prefix);
                            let PromptCache { read_tokens, written_tokens } = &mut self.prompt_cache;
                            *(if again { read_tokens } else { written_tokens }) += tokens;
                            kept = Some(prefix);
                        }
                    }
                    ToEmbed { key, tokens: tokens + WRITTEN, known: false }
                }
                (asked, _) => {
                    self.cached += u64::from(asked.is_some_and(|asked| self.seen.insert(asked.key)));
                    ToEmbed { key: Key::new(fingerprint.as_str(), InputType::Passage, &text), tokens, known: true }
                }
            });
        }
        Ok(to_embed)
    }

    fn forecast(&self, situating: &Situating) -> ForecastContexts {
        let (input_tokens, output_tokens) = (self.read, self.requests * WRITTEN);
        let prompt_cache = self.prompt_cache;
        // Quotas do not count what comes from a provider's cache.
        let counted = (input_tokens + output_tokens).saturating_sub(prompt_cache.read_tokens);
        let usage = Usage { prompt_cache, ..Usage::new(Some(input_tokens), Some(output_tokens)) };
        ForecastContexts {
            model: situating.model().to_owned(),
            requests: self.requests,
            cached: self.cached,
            input_tokens,
            output_tokens,
            prompt_cache,
            cost_usd: usage.cost(situating.models.first().and_then(|model| model.price())),
            prices_as_of: situating.prices_as_of,
            minutes: minutes(counted, self.requests, situating.limits),
        }
    }
}

/// What is found in the cache's folder; `None` where there is none.
async fn in_cache<T: Send + 'static>(run: &Run, look: impl FnOnce(&Path) -> T + Send + 'static) -> Result<Option<T>, Error> {
    let Some(folder) = run.setup.cache.clone() else { return Ok(None) };
    let look = tokio::task::spawn_blocking(move || look(&folder));
    look.await.map(Some).map_err(|source| Error::worker("look into the cache", source))
}

/// How long a declared quota makes it take.
fn minutes(tokens: u64, requests: u64, limits: Limits) -> Option<f64> {
    limits::minutes([(tokens, limits.tpm.map(u64::from)), (requests, limits.rpm.map(u64::from))])
}
