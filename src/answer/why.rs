//! Why a document is, or is not, among the sources of an answer: the causes, each with a stable word, and where it stands.

mod words;

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::document::Passage;
use crate::ingest::report::Stage;
use crate::source::SkipReason;
use crate::vectordb::Standing;

/// Why a document is, or is not, among the sources. The words of `id` stay as they are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "id", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Cause {
    /// It is among them.
    Found {
        /// As which.
        source: usize,
    },
    /// It was found, and did not fit into the prompt.
    OverBudget {
        /// Tokens of the prompt, at most.
        tokens: usize,
    },
    /// It was found, and none of its sentences was kept when the passages were trimmed.
    Trimmed {
        /// Tokens that are kept of all passages, at most.
        tokens: usize,
    },
    /// The question is asked of other documents alone.
    Filtered {
        /// The terms of `where` that it does not meet.
        terms: Vec<String>,
    },
    /// It says nearly the same as a source, which stands for it.
    Duplicate {
        /// The source's passage.
        of: Spot,
    },
    /// The ranking had it among the best, and the reranker has not.
    Reranked {
        /// Its place before.
        before: u64,
    },
    /// It ranks below those that the reranker looks at.
    BeyondCandidates {
        /// How many these are.
        candidates: usize,
    },
    /// It ranks below those that are taken.
    BeyondLimit,
    /// It is ranked by words alone, and has none of the question's.
    NoSharedWords,
    /// The index has it as it was before it changed.
    Outdated,
    /// Its file is gone since, and the next ingest takes it out of the index.
    Removed,
    /// It could not be read, or not be indexed.
    Failed {
        /// Where it failed.
        stage: Stage,
        /// The failure.
        error: String,
    },
    /// The run that was about to index it has not ended.
    Interrupted,
    /// It has no text.
    NoText,
    /// It is recorded as indexed, and the index has lost it.
    Lost,
    /// It is left out on purpose.
    Skipped {
        /// Why.
        reason: SkipReason,
    },
    /// Another page of the site has the same content, and is the document.
    SameContent {
        /// That one.
        of: String,
        /// It is the address that the page calls its own.
        canonical: bool,
    },
    /// The page leads to another one of its site.
    Moved {
        /// That one.
        to: String,
    },
    /// The page leads out of its site.
    LeadsOut {
        /// Where to.
        to: String,
    },
    /// The page leads to itself in the end.
    RedirectLoop,
    /// The site has no such page.
    NotFound,
    /// The site has no such page any more.
    Gone,
    /// The site did not give the page when it was asked.
    NotGiven,
    /// Nothing led the last crawl of the site to the page.
    NotMet,
    /// It lies below none of the pipeline's sources.
    OutsideSources,
    /// It is in the index of another pipeline.
    OtherPipeline {
        /// Which.
        pipeline: String,
    },
    /// No run has indexed it so far.
    NotIngested,
    /// Neither the index has it, nor its sources do, as far as can be seen.
    Missing {
        /// Names that are like it.
        did_you_mean: Vec<String>,
    },
}

/// A part of a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Spot {
    /// The document.
    pub uri: String,
    /// Byte offset of the first byte in the extracted text.
    pub start: u64,
    /// Byte offset after the last byte.
    pub end: u64,
    /// First and last line, 1-based, both inclusive.
    pub lines: (u32, u32),
    /// The page that it begins on, where the document has pages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<u32>,
}

impl Spot {
    pub(super) fn of(passage: &Passage) -> Self {
        let Passage { uri, start, end, lines, page, .. } = passage;
        Self { uri: uri.clone(), start: *start, end: *end, lines: *lines, page: *page }
    }
}

/// A place in a ranking.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Place {
    /// From 1, among all passages that may be found.
    pub rank: u64,
    /// Higher is better; each ranking has its own scale.
    pub score: f32,
    /// The place is this one or one further down: the store does not count that far.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub at_least: bool,
}

impl From<Standing> for Place {
    fn from(Standing { id: _, rank, score, exact }: Standing) -> Self {
        Self { rank, score, at_least: !exact }
    }
}

/// Where the best passage of a document stands in each ranking; `None`: it is not in it, or there is none.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Places {
    /// By meaning. The score is the cosine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vector: Option<Place>,
    /// By words. The score is that of BM25.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub words: Option<Place>,
    /// By both. Near-copies count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fused: Option<Place>,
    /// By the reranker. The score is its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rerank: Option<Place>,
}

/// A document's way from the index to the sources of an answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Trace {
    /// Whose index it is in, where several are asked together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pipeline: Option<Arc<str>>,
    /// Where it is lost, or that it is found.
    pub cause: Cause,
    /// Passages that are taken, at most.
    pub limit: usize,
    /// Its place in the end, near-copies folded: with a limit of so many it would be taken. `None`: too far down to be told, or in no
    /// ranking.
    pub rank: Option<u64>,
    /// Where its best passage stands in each ranking.
    pub places: Places,
    /// Words alone rank it: the mode says so, or the model that embeds does not read the question's language.
    pub by_words_alone: bool,
    /// Its best passage.
    pub passage: Option<Spot>,
    /// A better passage that says nearly the same.
    pub copy_of: Option<Spot>,
    /// Passages of it in the index.
    pub passages: usize,
    /// Words of the question that it has nowhere.
    pub missing_words: Vec<String>,
    /// When it was modified is not known.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub undated: bool,
}

impl Trace {
    /// Of a document that is in no ranking, until it is found in one.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            pipeline: None,
            cause: Cause::NoSharedWords,
            limit,
            rank: None,
            places: Places::default(),
            by_words_alone: false,
            passage: None,
            copy_of: None,
            passages: 0,
            missing_words: Vec::new(),
            undated: false,
        }
    }
}
