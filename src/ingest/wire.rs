//! The JSON of an ingest, an object a line: what `--json` prints while it goes on, and what a service sends. Its end is an
//! [`IngestSummary`](super::report::IngestSummary).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ledger::FailedDocument;
use super::limit::{Limit, Recent};
use super::report::{Report, Stage};
use crate::source::{SkipReason, SourceId};

/// A line. `type` says which.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Line<'a> {
    /// How far it is, about once a second.
    Progress(Progress),
    /// A document has failed, and the others go on.
    Failed {
        /// The document.
        uri: &'a str,
        /// Where it failed.
        stage: Stage,
        /// Why.
        error: &'a str,
    },
    /// An item is passed over; told to whoever asks for it.
    Skipped {
        /// The item.
        uri: &'a str,
        /// Why.
        reason: SkipReason,
    },
    /// What a source has to say to people.
    Notice {
        /// The source.
        source: &'a SourceId,
        /// Its words.
        message: &'a str,
    },
}

/// How far an ingest is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Progress {
    /// Since it began.
    pub seconds: f64,
    /// Documents.
    pub documents: ProgressDocuments,
    /// Chunks.
    pub chunks: ProgressChunks,
    /// Embeddings.
    pub embeddings: ProgressEmbeddings,
    /// What limits it, over the last seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<Limit>,
}

/// Documents by what became of them so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[expect(missing_docs, reason = "the names are the contract's")]
pub struct ProgressDocuments {
    pub seen: u64,
    pub added: u64,
    pub changed: u64,
    pub unchanged: u64,
    pub failed: u64,
}

/// Chunks by what became of them so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[expect(missing_docs, reason = "the names are the contract's")]
pub struct ProgressChunks {
    pub made: u64,
    pub upserted: u64,
}

/// What was embedded so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[expect(missing_docs, reason = "the names are the contract's")]
pub struct ProgressEmbeddings {
    pub embedded: u64,
    pub tokens: u64,
}

impl Progress {
    /// With what limits it now.
    pub fn limited(report: &Report, recent: &mut Recent) -> Self {
        Self { limit: report.limit(recent), ..Self::from(report) }
    }
}

impl From<&Report> for Progress {
    fn from(report: &Report) -> Self {
        let Report { documents, chunks, embeddings, .. } = report;
        Self {
            seconds: report.elapsed().as_secs_f64(),
            documents: ProgressDocuments {
                seen: documents.seen.get(),
                added: documents.added.get(),
                changed: documents.changed.get(),
                unchanged: documents.unchanged.get(),
                failed: documents.failed.get(),
            },
            chunks: ProgressChunks { made: chunks.made.get(), upserted: chunks.upserted.get() },
            embeddings: ProgressEmbeddings { embedded: embeddings.embedded.get(), tokens: embeddings.tokens.get() },
            limit: report.told_limit(),
        }
    }
}

impl<'a> From<&'a FailedDocument> for Line<'a> {
    fn from(failure: &'a FailedDocument) -> Self {
        Self::Failed { uri: &failure.uri, stage: failure.stage, error: &failure.error }
    }
}

impl From<&Report> for Line<'_> {
    fn from(report: &Report) -> Self {
        Self::Progress(report.into())
    }
}
