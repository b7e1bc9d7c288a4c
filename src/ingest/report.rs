//! What a run counts: for the progress that a person sees, and for the summary.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::clocks::{Clocks, EmbedTimes, Times};
pub use super::counters::{
    ChunkCounters, Chunks, ContextCounters, Contexts, Counter, DocumentCounters, Documents, EmbeddingCounters, Embeddings,
    LanguageCounters, Spent,
};
use super::limit::{Limit, Recent};
use super::quotas::Quotas;
pub use super::stage::Stage;
use super::whatif::Doubled;
use crate::source::SkipReason;
use crate::telemetry::Reading;

/// What a run has counted so far. Shared by all stages.
#[derive(Debug)]
pub struct Report {
    /// `None` while it waits for its turn.
    started: Mutex<Option<Instant>>,
    /// Documents.
    pub documents: DocumentCounters,
    /// Chunks.
    pub chunks: ChunkCounters,
    /// Contexts of chunks.
    pub contexts: ContextCounters,
    /// Embeddings.
    pub embeddings: EmbeddingCounters,
    /// Pages that are pictures without text, and were not read.
    pub unread_pages: Counter,
    /// What the documents are written in that the index did not have.
    pub languages: LanguageCounters,
    /// Where the time goes.
    pub clocks: Arc<Clocks>,
    /// What is known of the quotas that it may wait for.
    pub(super) quotas: Quotas,
    skipped: Mutex<BTreeMap<&'static str, (SkipReason, u64)>>,
    told: Mutex<Option<Limit>>,
    waits: Mutex<Option<String>>,
}

impl Default for Report {
    fn default() -> Self {
        Self {
            started: Mutex::new(Some(Instant::now())),
            documents: DocumentCounters::default(),
            chunks: ChunkCounters::default(),
            contexts: ContextCounters::default(),
            embeddings: EmbeddingCounters::default(),
            unread_pages: Counter::default(),
            languages: LanguageCounters::default(),
            clocks: Arc::default(),
            quotas: Quotas::default(),
            skipped: Mutex::default(),
            told: Mutex::default(),
            waits: Mutex::default(),
        }
    }
}

impl Report {
    /// Of a run that waits for its turn: its time begins with [`Self::begin`].
    pub fn not_begun() -> Self {
        let report = Self::default();
        report.wait();
        report
    }

    /// The run begins, and its time with it.
    pub fn begin(&self) {
        *self.started.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        self.clocks.open();
    }

    /// The run did not get its turn: what has passed so far is not its time.
    pub fn wait(&self) {
        *self.started.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.clocks.wait();
    }

    /// Since the run began.
    pub fn elapsed(&self) -> Duration {
        let started = *self.started.lock().unwrap_or_else(PoisonError::into_inner);
        started.map_or(Duration::ZERO, |started| started.elapsed())
    }

    /// What is waited for that others do, if anything is.
    pub fn waiting(&self) -> Option<String> {
        self.waits.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Says what is waited for that others do.
    pub(crate) fn waits_for(&self, what: Option<String>) {
        *self.waits.lock().unwrap_or_else(PoisonError::into_inner) = what;
    }

    /// Counts an item that is passed over.
    pub fn skip(&self, reason: SkipReason) {
        self.documents.skipped.add(1);
        let mut skipped = self.skipped.lock().unwrap_or_else(PoisonError::into_inner);
        skipped.entry(reason.name()).or_insert((reason, 0)).1 += 1;
    }

    /// How much of each stage went on at once, on average over the run so far (1.5: one and a half calls).
    pub fn load(&self) -> [(Stage, f64); 6] {
        let times = self.clocks.times();
        let running = times.running.max(1e-9);
        let asked = |times: &EmbedTimes| times.working + times.wire + times.retry;
        let (context, embed) = (asked(&times.context), asked(&times.embed));
        let working = [times.read.working, times.parse.working, times.chunk.working, context, embed, times.store.working];
        let mut working = working.into_iter();
        Stage::ALL.map(|stage| (stage, working.next().unwrap_or_default() / running))
    }

    /// What limits it now is known elsewhere: the run goes on in a service.
    pub fn tell_limit(&self, limit: Limit) {
        *self.told.lock().unwrap_or_else(PoisonError::into_inner) = Some(limit);
    }

    /// What was paid for so far: a run that fails has no summary.
    pub fn spent(&self) -> Spent {
        Spent::of(&self.contexts, &self.embeddings)
    }

    /// What limits it now; to be asked now and then.
    pub fn limit(&self, recent: &mut Recent) -> Option<Limit> {
        self.told_limit().or_else(|| recent.look(&self.clocks).map(|limit| self.quotas.explained(limit)))
    }

    /// What limits it now, where that was told.
    pub fn told_limit(&self) -> Option<Limit> {
        *self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why items were passed over, with how many, by the names of the reasons.
    pub fn skipped(&self) -> Vec<(SkipReason, u64)> {
        self.skipped.lock().unwrap_or_else(PoisonError::into_inner).values().copied().collect()
    }

    /// What is counted, for metrics.
    pub fn readings(&self) -> Vec<Reading> {
        let (documents, chunks, embeddings) = (&self.documents, &self.chunks, &self.embeddings);
        let contexts = &self.contexts;
        let what = |name, help, of: &[(&str, &Counter)]| Reading {
            name,
            help,
            seconds: false,
            grows: true,
            labels: &["what"],
            series: of.iter().map(|(what, counter)| (vec![(*what).to_owned()], counter.get() as f64)).collect(),
        };
        let mut readings = vec![
            what(
                "ingest_documents",
                "Documents that the ingest has looked at",
                &[
                    ("added", &documents.added),
                    ("changed", &documents.changed),
                    ("unchanged", &documents.unchanged),
                    ("failed", &documents.failed),
                ],
            ),
            what(
                "ingest_chunks",
                "Chunks of the ingest",
                &[
                    ("made", &chunks.made),
                    ("upserted", &chunks.upserted),
                    ("embedded", &embeddings.embedded),
                    ("cached", &embeddings.cache_hits),
                ],
            ),
            self.clocks.times().reading(),
        ];
        if contexts.written.get() + contexts.cache_hits.get() > 0 {
            let of = [("written", &contexts.written), ("cached", &contexts.cache_hits)];
            readings.push(what("ingest_contexts", "Contexts of chunks", &of));
            let of = [("read", &contexts.input_tokens), ("written", &contexts.output_tokens)];
            readings.push(what("ingest_context_tokens", "Tokens that contexts of chunks took", &of));
        }
        readings
    }
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Everything was looked at.
    Complete,
    /// Stopped on request; what was in flight is stored.
    Interrupted,
}

/// The last line of `ingest --json`. The keys are the contract's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename = "summary")]
pub struct IngestSummary {
    /// The pipeline's name.
    pub pipeline: String,
    /// How it ended.
    pub outcome: Outcome,
    /// Wall time.
    pub seconds: f64,
    /// Documents.
    pub documents: Documents,
    /// Chunks.
    pub chunks: Chunks,
    /// What it took to say where chunks stand, where a model does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contexts: Option<Contexts>,
    /// Embeddings.
    pub embeddings: Embeddings,
    /// The stage that limited the run, if any did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bottleneck: Option<Stage>,
    /// What limited the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<Limit>,
    /// What would have made it faster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doubled: Option<Doubled>,
    /// Where the time has gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<Times>,
    /// Documents that seem gone and were kept, since they are more than half of the index and `--prune` was not given.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub kept_although_gone: u64,
    /// The home that wrote to the index last, where that is another one: what only its sources have was kept, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub other_home: Option<String>,
    /// What has become of a change of the index's model, where one was under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<ChangeOfModel>,
    /// Pages that are pictures without text, and were not read: they need OCR.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unread_pages: u64,
    /// Why items were passed over, with how many.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skipped: Vec<(SkipReason, u64)>,
}

impl IngestSummary {
    /// Of a run that was stopped before it had begun.
    pub fn interrupted(pipeline: &str, after: Duration) -> Self {
        Self {
            pipeline: pipeline.to_owned(),
            outcome: Outcome::Interrupted,
            seconds: after.as_secs_f64(),
            documents: Documents::default(),
            chunks: Chunks::default(),
            contexts: None,
            embeddings: Embeddings::default(),
            bottleneck: None,
            limit: None,
            doubled: None,
            time: None,
            kept_although_gone: 0,
            other_home: None,
            change: None,
            unread_pages: 0,
            skipped: Vec::new(),
        }
    }
}

/// How far a change of the index's model is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChangeOfModel {
    /// The model whose vectors answered until now.
    pub from: String,
    /// The one that the pipeline names.
    pub to: String,
    /// From now on its vectors answer, and the others are removed. Else they answer on.
    pub complete: bool,
    /// Documents of the old index that are still to come.
    pub waiting: u64,
    /// Of these, the documents that a run over all sources has not come to: their source is gone, or no longer among `sources`.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unlisted: u64,
    /// Documents of the old index that failed.
    pub failed: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_is_what_the_contract_says_byte_for_byte() {
        let report = Report::default();
        for reason in [SkipReason::UnsupportedFormat, SkipReason::TooLarge, SkipReason::Hidden, SkipReason::TooLarge] {
            report.skip(reason);
        }
        assert_eq!(report.documents.skipped.get(), 4);
        let mut summary = IngestSummary::interrupted("docs", Duration::from_millis(1500));
        let counted = "\"documents\":{\"seen\":0,\"added\":0,\"changed\":0,\"unchanged\":0,\"removed\":0,\"failed\":0,\"skipped\":0},\
             \"chunks\":{\"upserted\":0,\"deleted\":0,\"kept\":0},\
             \"embeddings\":{\"embedded\":0,\"cache_hits\":0,\"requests\":0,\"tokens\":0,\"retries\":0,\"throttled\":0,\"hedged\":0,\
             \"cost_usd\":null}";
        let begins = "{\"type\":\"summary\",\"pipeline\":\"docs\",\"outcome\":\"interrupted\",\"seconds\":1.5";
        let json = |summary: &IngestSummary| serde_json::to_string(summary).unwrap_or_default();
        assert_eq!(json(&summary), format!("{begins},{counted}}}"));
        summary.bottleneck = Some(Stage::Embed);
        summary.skipped = report.skipped();
        let ends = "\"bottleneck\":\"embed\",\"skipped\":[[\"hidden\",1],[\"too_large\",2],[\"unsupported_format\",1]]";
        assert_eq!(json(&summary), format!("{begins},{counted},{ends}}}"));
    }
}
