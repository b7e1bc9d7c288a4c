//! Why a document is, or is not, among the sources of an answer: its way through the index, and where there is none, its way to it.
//!
//! ```text
//! FILE ─▶ [name]: which document? ─▶ in the index?  yes ─▶ [Answerer::trace]: where is it lost?  ─▶ is the index's state of it today's?
//!                                                   no  ─▶ [absence]: what does the ledger say? what do its sources make of it?
//! ```

mod absence;
mod name;
mod records;
mod together;

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::name::Named;
use self::records::Records;
use super::Runtime;
use crate::answer::why::{Places, Spot};
use crate::answer::{Answerer, Cause, Question, Trace};
use crate::error::Error;
use crate::ingest::ledger::Recorded;
use crate::pipeline::MAX_BYTES;
use crate::source::SourcePlan;

/// Why a document is, or is not, among the sources.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename = "why")]
pub struct Why {
    /// The pipeline's name.
    pub pipeline: String,
    /// The document.
    pub uri: String,
    /// What is asked.
    pub question: String,
    /// Whether it is among the sources.
    pub found: bool,
    /// Why. The first of all causes on its way.
    pub cause: Cause,
    /// What is to be known of it besides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<Cause>,
    /// The cause in words.
    pub message: String,
    /// A remedy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Passages of it in the index.
    pub passages: usize,
    /// Passages that are taken, at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// See [`Trace::rank`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rank: Option<u64>,
    /// Where its best passage stands in each ranking.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub legs: Option<Places>,
    /// Words alone rank it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub by_words_alone: bool,
    /// Its best passage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passage: Option<Spot>,
    /// A better passage that says nearly the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copy_of: Option<Spot>,
    /// Words of the question that it has nowhere.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing_words: Vec<String>,
}

/// A document that is asked about.
struct Meant {
    records: Records,
    uri: String,
    /// Index, ledger or disk know it.
    known: bool,
    /// Documents that are called nearly so, where nobody knows it.
    like: Vec<String>,
}

impl Runtime {
    /// Why a document is, or is not, among the sources of an answer to a question (see [`Answerer::trace`]). `file` is its path, its
    /// uri, or a name of it that is no other document's. Relative paths are relative to `cwd`; without one, nothing on the disk is
    /// looked at but what lies below the sources. Nothing is changed.
    ///
    /// # Errors
    /// When several documents are called so, when it is a folder, and as [`Answerer::search`].
    pub async fn why(&self, answerer: &Answerer, file: &str, cwd: Option<&Path>, question: &Question) -> Result<Why, Error> {
        let meant = self.meant(file, cwd).await?;
        let trace = answerer.trace(question, &meant.uri).await?;
        self.explained(meant, question, trace).await
    }

    /// Which document is meant, and what is known of it.
    async fn meant(&self, file: &str, cwd: Option<&Path>) -> Result<Meant, Error> {
        let records = Records::open(self, cwd.is_some()).await?;
        Ok(match self.named(&records, file, cwd).await? {
            Named::Known(uri) => Meant { records, uri, known: true, like: Vec::new() },
            Named::Unknown { uri, like } => Meant { records, uri, known: false, like },
        })
    }

    /// `trace`: its way to the sources, where the index has it.
    async fn explained(&self, meant: Meant, question: &Question, trace: Option<Trace>) -> Result<Why, Error> {
        let Meant { records, uri, like, .. } = meant;
        let recorded = records.of(&uri).await?;
        let (cause, also) = match &trace {
            Some(trace) => weighed(trace, self.since(&records, &uri, recorded.as_ref()).await),
            None => self.absence(&records, &uri, recorded, like).await?,
        };
        Ok(self.told(uri, question, trace, cause, also))
    }

    /// What is different since the document was indexed.
    async fn since(&self, records: &Records, uri: &str, recorded: Option<&Recorded>) -> Vec<Cause> {
        let mut since = Vec::new();
        if let Some((stage, error)) = recorded.and_then(|recorded| recorded.failed.clone()) {
            since.push(Cause::Failed { stage, error });
        }
        let (Some(path), Some(hash)) = (records.path(uri), recorded.and_then(|recorded| recorded.hash)) else { return since };
        match self.read(&path).await {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => since.push(Cause::Removed),
            Ok(Some(bytes)) if *blake3::hash(&bytes).as_bytes() != hash => since.push(Cause::Outdated),
            _ => {}
        }
        since
    }

    /// A file's bytes; `None` where it is larger than any that is indexed.
    async fn read(&self, path: &Path) -> std::io::Result<Option<Vec<u8>>> {
        let most = self.plan.sources.iter().map(|source| match source {
            SourcePlan::Files(plan) => plan.max_bytes,
            _ => 0,
        });
        let most = most.fold(MAX_BYTES, u64::max);
        if tokio::fs::metadata(path).await?.len() > most {
            return Ok(None);
        }
        tokio::fs::read(path).await.map(Some)
    }

    fn told(&self, uri: String, question: &Question, trace: Option<Trace>, cause: Cause, also: Vec<Cause>) -> Why {
        let message = cause.message(trace.as_ref());
        let hint = cause.hint(trace.as_ref());
        let found = matches!(cause, Cause::Found { .. });
        let mut why = Why {
            pipeline: self.plan.name.clone(),
            uri,
            question: question.text.trim().to_owned(),
            found,
            cause,
            also,
            message,
            hint,
            passages: 0,
            limit: None,
            rank: None,
            legs: None,
            by_words_alone: false,
            passage: None,
            copy_of: None,
            missing_words: Vec::new(),
        };
        if let Some(trace) = trace {
            why.passages = trace.passages;
            (why.limit, why.rank, why.legs) = (Some(trace.limit), trace.rank, Some(trace.places));
            (why.by_words_alone, why.passage, why.copy_of) = (trace.by_words_alone, trace.passage, trace.copy_of);
            why.missing_words = trace.missing_words;
        }
        why
    }
}

/// What comes first: a filter leaves a document out whatever it says; what the ranking makes of what it said once explains less
/// than that it says something else by now.
fn weighed(trace: &Trace, mut since: Vec<Cause>) -> (Cause, Vec<Cause>) {
    let decides = |cause: &Cause| matches!(cause, Cause::Failed { .. } | Cause::Outdated);
    let is_open = !matches!(trace.cause, Cause::Found { .. } | Cause::Filtered { .. });
    match since.iter().position(decides).filter(|_| is_open) {
        Some(first) => {
            let cause = since.remove(first);
            since.push(trace.cause.clone());
            (cause, since)
        }
        None => (trace.cause.clone(), since),
    }
}
