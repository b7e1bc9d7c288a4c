//! Sums a run up.

use super::clocks::Times;
use super::limit::Limit;
use super::report::{Contexts, IngestSummary, Outcome, Report};
use super::run::{Run, WRITERS};
use super::whatif::{Doubled, Recorded};
use super::worker::BATCH;
use crate::vectordb::OneByOne;

/// What a run has come to.
pub(super) fn summary(run: &Run, kept_although_gone: u64, one_by_one: Option<OneByOne>) -> IngestSummary {
    let contexts = run.setup.context.as_ref().map(|_| run.report.contexts.told());
    let times = run.report.clocks.times();
    let limit = Limit::of(&times).map(|limit| run.report.quotas.explained(limit));
    IngestSummary {
        pipeline: run.setup.name.clone(),
        outcome: if run.stop.is_cancelled() { Outcome::Interrupted } else { Outcome::Complete },
        seconds: run.report.elapsed().as_secs_f64(),
        documents: run.report.documents.told(),
        chunks: run.report.chunks.told(),
        contexts,
        embeddings: run.report.embeddings.told(),
        bottleneck: limit.and_then(|limit| limit.stage),
        limit,
        doubled: doubled(run, &times, one_by_one),
        time: Some(times),
        kept_although_gone,
        other_home: run.other_home.clone(),
        change: None,
        unread_pages: run.report.unread_pages.get(),
        skipped: run.report.skipped(),
    }
}

impl IngestSummary {
    /// Of a run that was given up before it could sum itself up: what it had counted by then.
    pub fn cut_short(pipeline: &str, report: &Report) -> Self {
        Self {
            documents: report.documents.told(),
            chunks: report.chunks.told(),
            contexts: Some(report.contexts.told()).filter(|contexts| *contexts != Contexts::default()),
            embeddings: report.embeddings.told(),
            time: Some(report.clocks.times()),
            skipped: report.skipped(),
            ..Self::interrupted(pipeline, report.elapsed())
        }
    }
}

/// What would have made it faster. Of a run that waits for contexts it is not known.
fn doubled(run: &Run, times: &Times, one_by_one: Option<OneByOne>) -> Option<Doubled> {
    let known = times.context.is_zero().then(|| recorded(run, times, one_by_one).doubled());
    known.filter(|doubled| *doubled != Doubled::default())
}

/// What is known of a run, to tell what would have made it faster.
fn recorded(run: &Run, times: &Times, one_by_one: Option<OneByOne>) -> Recorded {
    let (terms, embeddings, latencies) = (&run.setup.terms, &run.report.embeddings, run.report.clocks.latencies());
    let allowed = terms.allowed.as_ref().map(|allowed| allowed()).unwrap_or_default();
    let requests = latencies.seen();
    let each = |seconds: f64| seconds / requests.max(1) as f64;
    let before = times.list.working + times.read.working + times.parse.working + times.chunk.working;
    let after = times.embed.working + times.store.working + times.commit.working;
    let cores = times.cores.max(1) as f64;
    // Where cores are short, a step that asks for something waits for a core more than for what it asked for.
    let idle = (1.0 - times.cpu / (cores * times.running.max(f64::MIN_POSITIVE))).clamp(0.0, 1.0);
    let under_way = match requests {
        0 => (run.batching.texts + run.batching.waiting) / BATCH + WRITERS,
        _ => run.batching.texts / run.batching.items.max(1),
    };
    Recorded {
        around: times.opening + times.closing,
        running: times.running,
        margins: run.report.clocks.margins().unwrap_or_default(),
        cpu: times.cpu,
        before: before / (before + after).max(f64::MIN_POSITIVE),
        cores: times.cores,
        texts: embeddings.embedded.get(),
        requests,
        latencies: latencies.kept().to_vec(),
        places: allowed.concurrency as usize,
        declared: terms.limits.concurrency.is_some(),
        under_way,
        rpm: allowed.rpm.map(|rpm| rpm as f64),
        tpm: allowed.tpm.map(|tpm| tpm as f64),
        tokens: embeddings.tokens.get() as f64,
        items: run.batching.items,
        full_of_tokens: embeddings.batches_of_tokens.get() * 2 > embeddings.batches.get(),
        reading: each(times.list.working.max(times.read.working / cores)) * idle,
        storing: each(times.store.working / WRITERS as f64) * idle,
        one_by_one,
        stored: run.report.chunks.upserted.get().div_ceil(BATCH as u64),
        ..Recorded::default()
    }
}
