//! What a pass will take, before anything is paid for.

use std::pin::pin;
use std::sync::Arc;

use futures_util::StreamExt as _;

use super::allowance::{Allowance, folds, more_requests};
use super::estimate::Estimate;
use super::notes::Shown;
use super::parts::Part;
use super::pass::Pass;
use super::prompts::{NOTE_TOKENS, concluding, reading, tokens};
use super::reading::{Counted, Documents};
use super::shelf::fold_tokens;
use crate::answer::prompt::Prompt;
use crate::answer::retrieve::off_runtime;
use crate::answer::source::Source;
use crate::error::Error;
use crate::limits::minutes;
use crate::providers::Price;

/// Tokens that a reader notes of a part, where nothing is known of what it finds: for the estimate.
const USUAL_NOTES: u64 = 200;

/// What is to be read.
#[derive(Debug, Clone, Copy, Default)]
struct Amount {
    parts: u64,
    /// Of these, the parts that are known.
    kept: u64,
    /// Tokens of all of them, and of those that are not known.
    tokens: u64,
    paid: u64,
    /// Requests for those that are not known, should each be read source by source.
    all_halves: u64,
    /// Tokens of a reader's instructions, and of those for the answer.
    each: u64,
    own: u64,
}

/// Requests and tokens.
struct Takes {
    requests: u64,
    input: u64,
    output: u64,
}

impl Pass {
    /// What it takes, and what it may take besides a request for each part. `all`: every part is looked at; else a sample of a large
    /// index stands for it.
    pub(super) async fn estimate(&self, all: bool) -> Result<(Estimate, Allowance), Error> {
        let documents = Documents::of(self.libraries.clone()).await?;
        let empty = Shown::default();
        let own =
            tokens(&concluding(self.instructions.as_deref(), None, &self.reader.question, &empty, true), &*self.count) as u64;
        let each = tokens(&reading_prompt(&self.reader.question), &*self.count) as u64;
        // Where nothing passes the filter, that is known exactly.
        let mut counted = Counted { exact: true, ..Counted::default() };
        let mut amount = Amount { each, own, ..Amount::default() };
        let sampled = if all { None } else { Some(documents.sampled(self.budget, &self.count).await?) };
        if let Some(sampled) = sampled.filter(|sampled| !sampled.exact) {
            counted = sampled;
            // Parts are three quarters full, as they end where it suits.
            amount.parts = (sampled.tokens * 4).div_ceil(self.budget as u64 * 3).max(1);
            amount.paid = sampled.tokens;
            amount.all_halves = sampled.passages.max(amount.parts) * 2 - amount.parts;
        } else {
            let mut stream = pin!(documents.parts(self.budget, Arc::clone(&self.count), false));
            while let Some((part, so_far)) = stream.next().await.transpose()? {
                counted = so_far;
                amount.parts += 1;
                let (tokens, sources) = (part.tokens as u64, part.sources.len() as u64);
                if self.is_known(part).await? {
                    amount.kept += 1;
                } else {
                    amount.paid += tokens;
                    amount.all_halves += sources * 2 - 1;
                }
            }
        }
        amount.tokens = counted.tokens;
        if amount.parts == 1 {
            // It is not read but answered from: what is kept of it is of no use.
            (amount.kept, amount.paid) = (0, counted.tokens);
        }
        let mut estimate = Estimate {
            reads: all,
            documents: counted.documents,
            passages: counted.passages,
            parts: amount.parts,
            requests: 0,
            kept: amount.kept,
            input_tokens: 0,
            output_tokens: 0,
            cost_usd: Some(0.0),
            at_most_usd: Some(0.0),
            minutes: None,
            exact: counted.exact,
        };
        let folds = folds(amount.parts, amount.tokens, self.fold() as u64);
        if amount.parts > 0 {
            self.add_up(&mut estimate, amount, folds);
        }
        Ok((estimate, Allowance::of(more_requests(amount.parts), folds)))
    }

    /// Whether a part was read before for this question. One that is alone is not read, but answered from.
    async fn is_known(&self, part: Part) -> Result<bool, Error> {
        let reader = self.reader.clone();
        off_runtime("look for notes of a part", move || {
            let prompt = reading(&reader.question, part.sources).ok();
            prompt.is_some_and(|(prompt, _)| reader.knows(&reader.request(prompt, NOTE_TOKENS)))
        })
        .await
    }

    fn add_up(&self, estimate: &mut Estimate, amount: Amount, folds: u64) {
        let usual = self.usual(amount);
        (estimate.requests, estimate.input_tokens, estimate.output_tokens) = (usual.requests, usual.input, usual.output);
        let most = self.most(amount, folds);
        let price = self.reader.models.first().and_then(|model| model.price());
        // To the microdollar: no price is known more exactly.
        let exactly = |cost: f64| (cost * 1e6).round() / 1e6;
        let cost = |takes: &Takes| price.and_then(|price: Price| price.cost(takes.input, takes.output)).map(exactly);
        estimate.cost_usd = cost(&usual);
        estimate.at_most_usd = cost(&most);
        estimate.minutes = minutes([(usual.requests, self.quota.rpm), (usual.input + usual.output, self.quota.tpm)]);
    }

    /// What it takes where a part holds as much for the answer as parts mostly do.
    fn usual(&self, amount: Amount) -> Takes {
        let Amount { parts, kept, paid, each, own, .. } = amount;
        let answer = u64::from(self.max_tokens).min(USUAL_NOTES * 2);
        if parts == 1 {
            return Takes { requests: 1, input: paid + own, output: answer };
        }
        let read = parts - kept;
        let mut takes = Takes { requests: read + 1, input: paid + read * each + own, output: read * USUAL_NOTES };
        // What comes of the notes at each level.
        let (mut level, fold, room) = (parts * USUAL_NOTES, self.fold() as u64, self.room as u64);
        let folded = fold / 4;
        while level > room {
            let folds = level.div_ceil(fold.max(1));
            takes.requests += folds;
            takes.input += level + folds * each;
            takes.output += folds * folded;
            if folds * folded >= level {
                break;
            }
            level = folds * folded;
        }
        takes.input += level.min(room);
        takes.output += answer;
        takes
    }

    /// The same, should every request write as much as it may, and all be made that may be.
    fn most(&self, amount: Amount, folds: u64) -> Takes {
        let Amount { parts, kept, paid, all_halves, each, own, .. } = amount;
        let answer = u64::from(self.max_tokens);
        if parts == 1 {
            return Takes { requests: 1, input: paid + own, output: answer };
        }
        let (read, budget, notes) = (parts - kept, self.budget as u64, u64::from(NOTE_TOKENS));
        let requests = all_halves.min(read + more_requests(parts));
        // A part that is read in halves is read again as a whole, which takes two of these requests.
        let again = (requests - read).div_ceil(2);
        let whole = again.min(read);
        let reread = (whole * budget).min(paid) + (again - whole) * budget;
        let folds = if (requests + kept) * notes > self.room as u64 { folds } else { 0 };
        Takes {
            requests: requests + folds + 1,
            input: paid + reread + requests * each + folds * ((self.fold() as u64).max(notes) + each) + self.room as u64 + own,
            output: requests * notes + folds * u64::from(fold_tokens(self.fold())) + answer,
        }
    }
}

/// The prompt of a reader without sources, to count its instructions.
fn reading_prompt(question: &str) -> Prompt {
    let nothing = Source { lines: (1, 1), ..Source::default() };
    reading(question, vec![nothing]).map_or(Prompt { system: String::new(), user: String::new() }, |(prompt, _)| prompt)
}
