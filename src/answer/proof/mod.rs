//! Whether sources say what a claim says of them, without a model.
//!
//! ```text
//! source ─▶ reading: lex (words, 字, digits, marks) ─▶ sentences, values (latex; number: notation, amount, power, unit, rate, share, sign, bound, column; date, quarter, clock, weekday), names
//! claim ──▶ the same ─▶ check: values, names, quotes, negation ─▶ doubts
//! ```
//!
//! What is checked, in English and in Chinese:
//! - Numbers, dates, times and versions must be in a source, in whatever form (`三十`, `30`, `thirty`), with their
//!   unit where both sides have one, and with what they are for each of (`per second`, `/kg`, `每分钟`) where both tell it, and with that of the head of a table: `90 ms` is not `90 s`, `1.5 GB` is `1500 MB`, `986.2` below
//!   `销售额（万元）` is no `986.2元`. A minus counts, unless words (`亏损`, `fell`) say the sign. One that is there, but elsewhere, is found out where
//!   what surrounds it in the claim surrounds another value in the source.
//! - Names: words with capitals and acronyms in English, and Latin ones in Chinese; in Chinese foreign names with a dot between
//!   their parts. Other Chinese names have no marks: a piece that replaces another in what is otherwise a source's own sentence, and
//!   looks like a name, or is longer than most words; not where both are made of common words.
//! - Quotes, titles and code must be there letter by letter, up to white space, case and punctuation.
//! - What the title and the headings name is said of what stands below them.
//! - Negation: nearly the same words, denied on one side only; what one forbids and the other allows, in either language.
//!
//! What is let pass: small numbers in words that the source lacks (the writer counted: "three ways"), sums and differences whose
//! parts the claim itself says, numbers rounded to millions or said to be "about" so many, labels (`Step 2:`, `第一，`), a century or
//! decade that holds the source's year, a share in words of which the source tells no other, and in a translation all but values and
//! Latin names. A number that the answer worked out otherwise is doubted: the bytes do not say it.
//!
//! Invariant: a sentence of a source, word for word, is never doubted against that source.

mod amount;
mod bound;
mod check;
mod clock;
mod column;
mod common;
mod date;
mod denial;
mod diff;
mod dotted;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice, reason = "a failed test panics")]
mod forms;
pub(super) mod function;
mod han;
mod heading;
mod joint;
mod known;
mod label;
mod latex;
mod latin;
pub(super) mod lex;
mod measure;
mod name;
mod negation;
mod notation;
#[cfg(test)]
mod notations;
mod number;
mod place;
mod power;
mod quarter;
mod quote;
mod rate;
mod reading;
#[cfg(test)]
mod reversals;
mod share;
mod sign;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice, reason = "a failed test panics")]
mod tests;
mod unit;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice, reason = "a failed test panics")]
mod units;
mod value;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice, reason = "a failed test panics")]
mod variants;
mod weekday;

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use check::Evidence;

use super::claim::Claim;
use super::decide::{Deciding, Support};
use super::otherwise::is_put_otherwise;
use super::source::Source;

/// What a doubt is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DoubtKind {
    /// A number, a time of day or a version.
    Number,
    /// A date or a year.
    Date,
    /// The number is there, of something else.
    Unit,
    /// A name, a title or a piece of code.
    Name,
    /// Words that are said to be the source's own.
    Quote,
    /// One denies what the other says.
    Negation,
    /// The whole of it, to a decision model.
    Support,
}

impl fmt::Display for DoubtKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Number => "number",
            Self::Date => "date",
            Self::Unit => "unit",
            Self::Name => "name",
            Self::Quote => "quote",
            Self::Negation => "the reverse",
            Self::Support => "not supported",
        })
    }
}

/// What a sentence ends with, and what is left before it where a mark stood.
const SENTENCE_ENDS: [char; 7] = ['.', '!', '?', '。', '！', '？', ' '];

/// Something that a claim says and the sources that it cites do not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Doubt {
    /// What it is about.
    pub kind: DoubtKind,
    /// In the claim's words.
    pub said: String,
    /// The sources that it cites.
    pub n: Vec<usize>,
}

/// What is doubtful in a claim that rests on these sources, in its order; of a part of it, in bytes. CPU work, some milliseconds.
pub fn check(claim: &str, part: Range<usize>, sources: &[&Evidence]) -> Vec<(DoubtKind, String)> {
    check::check(claim, &part, sources)
}

/// The sources of an answer, each of which is read when it is first cited.
#[derive(Debug, Clone, Default)]
pub struct Cited {
    sources: Arc<[Lazy]>,
    /// The answer was written from all documents: it counts them.
    of_all: bool,
    deciding: Option<Deciding>,
}

#[derive(Debug)]
struct Lazy {
    source: Source,
    read: OnceLock<Evidence>,
}

impl Cited {
    /// Those that the answer was given.
    pub fn new(sources: &[Source]) -> Self {
        let sources = sources.iter().map(|source| Lazy { source: source.clone(), read: OnceLock::new() }).collect();
        Self { sources, of_all: false, deciding: None }
    }

    /// The same of an answer from all documents, which may count what it lists: no source says how many there are.
    pub(super) fn of_all(self) -> Self {
        Self { of_all: true, ..self }
    }

    /// The same with a decision model that sharpens the check.
    pub(super) fn sharpened(self, deciding: Option<Deciding>) -> Self {
        Self { deciding, ..self }
    }

    /// The model that sharpens it.
    pub(super) fn deciding(&self) -> Option<&Deciding> {
        self.deciding.as_ref()
    }

    /// How many there are.
    pub fn given(&self) -> usize {
        self.sources.len()
    }

    /// What is doubtful in a claim. CPU work.
    pub fn doubts(&self, claim: &Claim) -> Vec<Doubt> {
        let named = self.named(claim);
        let evidence: Vec<&Evidence> = named.map(|lazy| lazy.read.get_or_init(|| Evidence::of(&lazy.source))).collect();
        if evidence.is_empty() {
            return Vec::new();
        }
        let mut doubts = check(&claim.text, claim.part.clone(), &evidence);
        if self.of_all {
            let is_count = |kind: DoubtKind, said: &str| {
                matches!(kind, DoubtKind::Number | DoubtKind::Unit) && value::count(said) == Some(claim.sources.len())
            };
            doubts.retain(|(kind, said)| !is_count(*kind, said));
        }
        doubts.into_iter().map(|(kind, said)| Doubt { kind, said, n: claim.sources.clone() }).collect()
    }

    fn named<'a>(&'a self, claim: &'a Claim) -> impl Iterator<Item = &'a Lazy> {
        self.sources.iter().filter(|lazy| claim.sources.contains(&lazy.source.n))
    }

    /// What is doubtful in a claim to a decision model as well, where one is set; what was found without it stands where it is late or
    /// fails.
    pub(super) async fn decided(&self, claim: &Claim, doubts: Vec<Doubt>) -> Vec<Doubt> {
        let Some(deciding) = &self.deciding else { return doubts };
        let passages: Vec<&str> = self.named(claim).map(|lazy| lazy.source.text.as_str()).collect();
        // Without the marks, which stood before its end.
        let said = claim.text.get(claim.part.clone()).unwrap_or(&claim.text).trim_end_matches(SENTENCE_ENDS).trim();
        if passages.is_empty() || said.is_empty() {
            return doubts;
        }
        match deciding.support(&claim.text, &passages).await {
            Some(support) => sharpened(doubts, support, (claim, said), &passages),
            None => doubts,
        }
    }
}

/// Doubts about names are taken away where the passages have them in other words, which a decision reads and the check of the bytes
/// cannot. Not what is looked up exactly: numbers, dates, quotes, denials, and names of which nothing is there. One is added where
/// nothing was doubted and the passages do not say so.
fn sharpened(mut doubts: Vec<Doubt>, support: Support, (claim, said): (&Claim, &str), passages: &[&str]) -> Vec<Doubt> {
    /// Not measured: a model whose probabilities are calibrated errs once in ten at most.
    const SURE: f64 = 0.9;
    if support.supported >= SURE {
        doubts.retain(|doubt| doubt.kind != DoubtKind::Name || !is_put_otherwise(&doubt.said, &claim.text, passages));
    } else if support.supported <= 1.0 - SURE && doubts.is_empty() {
        let kind = if support.contradicted > support.missing { DoubtKind::Negation } else { DoubtKind::Support };
        doubts.push(Doubt { kind, said: said.to_owned(), n: claim.sources.clone() });
    }
    doubts
}
