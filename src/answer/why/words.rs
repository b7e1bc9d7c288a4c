//! Causes in words, and what to do about them.

use super::{Cause, Spot, Trace};
use crate::source::SkipReason;

impl Cause {
    /// The cause in a clause: "it ranks 23rd, and 8 passages are taken". `trace` is its way, where the index has it.
    pub fn message(&self, trace: Option<&Trace>) -> String {
        let rank = trace.and_then(|trace| trace.rank);
        let limit = trace.map_or(0, |trace| trace.limit);
        match self {
            Self::Found { source } => match rank {
                Some(rank) => format!("it is source [{source}], by the passage in place {rank} of {limit}"),
                None => format!("it is source [{source}]"),
            },
            Self::OverBudget { tokens } => {
                format!("it was found, and does not fit into the prompt of {tokens} tokens beside the better sources")
            }
            Self::Trimmed { tokens } => {
                let place = rank.map_or_else(String::new, |rank| format!(", by the passage in place {rank} of {limit}"));
                format!(
                    "it was found{place}, and none of its sentences is among the {tokens} tokens that passages are trimmed to"
                )
            }
            Self::Filtered { terms } => {
                let by_date = terms.iter().any(|term| term.trim_start().starts_with("modified"));
                let undated = by_date && trace.is_some_and(|trace| trace.undated);
                let why = if undated { ": when it was modified is not known" } else { "" };
                format!("`{}` leaves it out{why}", terms.join("` and `"))
            }
            Self::Duplicate { of } => format!("it says nearly the same as {}, which is a source", of.shown()),
            Self::Reranked { before } => match rank {
                Some(rank) => {
                    format!("the reranker put it from place {before} to place {rank}, and {limit} passages are taken")
                }
                None => format!("the reranker pushed it out from place {before}"),
            },
            Self::BeyondCandidates { candidates } => match rank {
                Some(rank) => format!("it is in place {rank}, and the reranker looks at the first {candidates}"),
                None => format!("it ranks far below the first {candidates}, which the reranker looks at"),
            },
            Self::BeyondLimit => match rank {
                Some(rank) => format!("it is in place {rank}, and {limit} passages are taken"),
                None => format!("it ranks far below the {limit} passages that are taken"),
            },
            Self::NoSharedWords if trace.is_some_and(|trace| trace.missing_words.is_empty()) => {
                "the question has no words that could be looked for".to_owned()
            }
            Self::NoSharedWords => "it has none of the question's words, and is looked for by words alone".to_owned(),
            Self::Outdated => "it has changed since it was indexed: the index knows what it said before".to_owned(),
            Self::Removed => "it is gone from the disk, and the next ingest takes it out of the index".to_owned(),
            Self::Failed { stage, error } => format!("it could not be indexed: {error} (at {stage})"),
            Self::Interrupted => "the ingest that was about to index it was interrupted".to_owned(),
            Self::NoText => "it was read, and there is no text in it".to_owned(),
            Self::Lost => "it was indexed, and the index has lost it since".to_owned(),
            Self::Skipped { reason } => format!("ingest leaves it out: {}", reason.said()),
            Self::SameContent { of, canonical: true } => {
                format!("it has the same content as {of}, which it calls its own address")
            }
            Self::SameContent { of, canonical: false } => format!("it has the same content as {of}, which is the document"),
            Self::Moved { to } => format!("it leads to {to}"),
            Self::LeadsOut { to } => format!("it leads to {to}, which does not belong to the site"),
            Self::RedirectLoop => "its redirects lead in a circle".to_owned(),
            Self::NotFound => "the site has no such page (404)".to_owned(),
            Self::Gone => "the site has no such page any more (410, or 404 twice)".to_owned(),
            Self::NotGiven => "the site did not give it when it was asked last".to_owned(),
            Self::NotMet => {
                "the last crawl of the site did not come to it: no link and no sitemap led there, or `max_pages` or \
                             `max_depth` ended it before"
                    .to_owned()
            }
            Self::OutsideSources => "it lies below none of the pipeline's sources".to_owned(),
            Self::OtherPipeline { pipeline } => format!("it is in the index of another pipeline, `{pipeline}`"),
            Self::NotIngested => "it has not been ingested".to_owned(),
            Self::Missing { .. } => "neither the index nor the sources have it".to_owned(),
        }
    }

    /// What to do, if anything is to be done.
    pub fn hint(&self, trace: Option<&Trace>) -> Option<String> {
        let hint = match self {
            Self::Found { .. } | Self::RedirectLoop | Self::NotFound | Self::Gone => return None,
            Self::OverBudget { .. } => "ask with a smaller `-k`, or raise `query.answer.context_tokens`".to_owned(),
            Self::Trimmed { .. } => {
                "raise `query.retrieve.trim`, or leave it away; sentences count by the question's words, and those far behind the best are \
                 left out, the less far the smaller the budget"
                    .to_owned()
            }
            Self::Filtered { .. } => "ask without the term, or write it wider".to_owned(),
            Self::Duplicate { .. } => {
                "nothing, if either will do; `query: { retrieve: { duplicates: keep } }` keeps both".to_owned()
            }
            Self::Reranked { .. } => match trace.and_then(|trace| trace.rank) {
                Some(rank) => format!("`-k {rank}` takes it; `eval --compare` tells whether the reranker pays"),
                None => "`eval --compare` tells whether the reranker pays".to_owned(),
            },
            Self::BeyondCandidates { .. } => {
                "raise `query.retrieve.rerank.candidates`, or ask in words of the document".to_owned()
            }
            Self::BeyondLimit => match trace.and_then(|trace| trace.rank) {
                Some(rank) => format!("`-k {rank}` takes it; or ask in words of the document"),
                None => "ask in words of the document, or narrow the search by `--where`".to_owned(),
            },
            Self::NoSharedWords => "ask in words of the document".to_owned(),
            Self::Outdated | Self::NotIngested | Self::Removed | Self::Interrupted => "run `ingest`".to_owned(),
            Self::Failed { .. } => "mend what the error says, and run `ingest`".to_owned(),
            Self::NoText => "`ragstream read FILE` shows what is read of it; scans need `parse: { ocr: {} }`".to_owned(),
            Self::Lost => "run `ingest`, which looks through the index".to_owned(),
            Self::Skipped { reason } => return remedy(*reason).map(str::to_owned),
            Self::SameContent { of: other, .. } | Self::Moved { to: other } => {
                format!("ask about that one: `ragstream why {other} …`")
            }
            Self::LeadsOut { .. } => "add that one to `sources`, or name it to `ingest`".to_owned(),
            Self::NotGiven => "run `ingest`, which says why it cannot be had".to_owned(),
            Self::NotMet => "name it among the sources' `urls`, or to `ingest`".to_owned(),
            Self::OutsideSources => "add its folder to `sources`, or name it to `ingest`".to_owned(),
            Self::OtherPipeline { pipeline } => format!("ask that one: `-p {pipeline}`"),
            Self::Missing { did_you_mean } if did_you_mean.is_empty() => {
                "`ragstream search` shows how documents are called".to_owned()
            }
            Self::Missing { did_you_mean } => format!("did you mean `{}`?", did_you_mean.join("` or `")),
        };
        Some(hint)
    }
}

impl Spot {
    /// As a list of sources says it.
    pub fn shown(&self) -> String {
        match (self.page, self.lines) {
            (Some(page), _) => format!("{}, p. {page}", self.uri),
            (None, (first, last)) => format!("{}:{first}-{last}", self.uri),
        }
    }
}

fn remedy(reason: SkipReason) -> Option<&'static str> {
    match reason {
        SkipReason::Hidden | SkipReason::Gitignored | SkipReason::Ignored => Some("name the file itself among the sources"),
        SkipReason::Excluded => Some("change `include` or `exclude`, and run `ingest`"),
        SkipReason::TooLarge => Some("raise `max_bytes`, and run `ingest`"),
        SkipReason::SymbolicLink => Some("name what it points to among the sources"),
        SkipReason::Binary | SkipReason::UnsupportedFormat => Some("save it as text or in a format that is read"),
        _ => None,
    }
}
