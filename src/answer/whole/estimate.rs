//! What it takes to read all documents, before it is done and after.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What it takes to answer a question from all documents, as far as that is known before it is done. Displays as the requests, tokens,
/// dollars and minutes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct Estimate {
    /// They are read now; else the answer is written from the best passages, and this is what it would take.
    pub reads: bool,
    /// Documents that pass the filter.
    pub documents: u64,
    /// Their passages.
    pub passages: u64,
    /// Parts that they are read in.
    pub parts: u64,
    /// Requests to the model.
    pub requests: u64,
    /// Parts that were read for an earlier question of the same words, and are not paid for again: none of the above.
    pub kept: u64,
    /// Tokens that the model will read, as `o200k_base` counts them.
    pub input_tokens: u64,
    /// Tokens that it will write, about.
    pub output_tokens: u64,
    /// In US dollars; `None` where the price is not known.
    pub cost_usd: Option<f64>,
    /// The same, should every request write as much as it may.
    pub at_most_usd: Option<f64>,
    /// How long the quota makes it take, at least; `None` where that is not known.
    pub minutes: Option<f64>,
    /// All passages were counted; else some documents, which stand for all.
    pub exact: bool,
}

/// `812`, `13 thousand`, `1.2 million`.
fn about(n: u64) -> String {
    match n {
        0..10_000 => n.to_string(),
        10_000..1_000_000 => format!("{} thousand", n.div_ceil(1000)),
        _ => format!("{:.1} million", n as f64 / 1e6),
    }
}

fn counted(n: u64, one: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{n} {one}s") }
}

impl fmt::Display for Estimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { requests, kept, input_tokens, output_tokens, .. } = self;
        write!(f, "{}, about {} + {} tokens", counted(*requests, "request"), about(*input_tokens), about(*output_tokens))?;
        match (self.cost_usd, self.at_most_usd) {
            (Some(0.0), _) => write!(f, ", free")?,
            (Some(cost), Some(most)) => write!(f, ", about ${cost:.2}, at most ${most:.2}")?,
            _ => write!(f, ", price not known")?,
        }
        if let Some(minutes) = self.minutes.filter(|minutes| *minutes >= 0.1) {
            write!(f, ", {minutes:.1} minutes at the quota")?;
        }
        if *kept > 0 {
            write!(f, "; {} known already", if *kept == 1 { "1 part is".to_owned() } else { format!("{kept} parts are") })?;
        }
        Ok(())
    }
}

impl Estimate {
    /// What has all documents read, wherever nothing else is said.
    pub(in crate::answer) const HOW: &str = "--all, /all in a chat, \"all\": true over HTTP";

    /// The remark on an answer that is written from the best passages alone; `how`: what has all of them read, for whoever is told.
    pub(crate) fn remark(&self, how: &str) -> String {
        let all = match self.documents {
            1 => "the whole document".to_owned(),
            documents => format!("all {documents} documents"),
        };
        format!(
            "This question seems to be about all documents, and the passages found for it are not all. To have {all} read: {how} ({self})."
        )
    }
}

/// How all documents were read for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct WholeSummary {
    /// Documents that were read.
    pub documents: u64,
    /// Passages that were read.
    pub passages: u64,
    /// Parts that they were read in.
    pub parts: u64,
    /// Of these, the parts that could not be read.
    pub failed: u64,
    /// And those that were known from an earlier question of the same words.
    pub kept: u64,
    /// Requests to the model, the last one included.
    pub requests: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_what_a_person_decides_on() {
        let estimate = Estimate {
            reads: false,
            documents: 1204,
            passages: 4000,
            parts: 40,
            requests: 41,
            kept: 0,
            input_tokens: 1_234_567,
            output_tokens: 12_345,
            cost_usd: Some(0.987),
            at_most_usd: Some(1.5),
            minutes: Some(3.21),
            exact: true,
        };
        let shown = "41 requests, about 1.2 million + 13 thousand tokens, about $0.99, at most $1.50, 3.2 minutes at the quota";
        assert_eq!(estimate.to_string(), shown);
        let remark = estimate.remark(Estimate::HOW);
        assert!(
            remark.contains("To have all 1204 documents read: --all, /all in a chat, \"all\": true over HTTP (41 req"),
            "{remark}"
        );
        let unknown = Estimate { requests: 1, kept: 2, input_tokens: 812, cost_usd: None, minutes: None, ..estimate.clone() };
        assert_eq!(
            unknown.to_string(),
            "1 request, about 812 + 13 thousand tokens, price not known; 2 parts are known already"
        );
        let free = Estimate { cost_usd: Some(0.0), minutes: Some(0.01), ..estimate };
        assert!(free.to_string().ends_with(" tokens, free"));
    }
}
