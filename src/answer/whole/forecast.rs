//! What a pass will take, before anything is paid for.

use std::pin::pin;
use std::sync::Arc;

use futures_util::StreamExt as _;

use super::estimate::Estimate;
use super::notes::Shown;
use super::parts::Part;
use super::pass::Pass;
use super::prompts::{NOTE_TOKENS, concluding, reading, tokens};
use super::reading::{Counted, Documents};
use crate::answer::prompt::Prompt;
use crate::answer::retrieve::off_runtime;
use crate::answer::source::Source;
use crate::error::Error;
use crate::providers::Price;

/// Tokens that a reader notes of a part, where nothing is known of what it finds: for the estimate.
const USUAL_NOTES: u64 = 200;

impl Pass {
    /// What it takes. `all`: every part is looked at; else a sample of a large index stands for it.
    pub(in crate::answer) async fn estimate(&self, all: bool) -> Result<Estimate, Error> {
        let documents = Documents::of(self.libraries.clone()).await?;
        let empty = Shown::default();
        let own =
            tokens(&concluding(self.instructions.as_deref(), None, &self.reader.question, &empty, true), &*self.count) as u64;
        let each = tokens(&reading_prompt(&self.reader.question), &*self.count) as u64;
        // Where nothing passes the filter, that is known exactly.
        let (mut counted, mut parts, mut kept, mut paid) = (Counted { exact: true, ..Counted::default() }, 0, 0, 0);
        let sampled = if all { None } else { Some(documents.sampled(self.budget, &self.count).await?) };
        if let Some(sampled) = sampled.filter(|sampled| !sampled.exact) {
            // Parts are three quarters full, as they end where it suits.
            (counted, parts) = (sampled, (sampled.tokens * 4).div_ceil(self.budget as u64 * 3).max(1));
            paid = sampled.tokens;
        } else {
            let mut stream = pin!(documents.parts(self.budget, Arc::clone(&self.count), false));
            while let Some((part, so_far)) = stream.next().await.transpose()? {
                counted = so_far;
                parts += 1;
                let tokens = part.tokens as u64;
                if self.is_known(part).await? {
                    kept += 1;
                } else {
                    paid += tokens;
                }
            }
        }
        if parts == 1 {
            // It is not read but answered from: what is kept of it is of no use.
            (kept, paid) = (0, counted.tokens);
        }
        let mut estimate = Estimate {
            reads: all,
            documents: counted.documents,
            passages: counted.passages,
            parts,
            requests: 0,
            kept,
            input_tokens: 0,
            output_tokens: 0,
            cost_usd: None,
            at_most_usd: None,
            minutes: None,
            exact: counted.exact,
        };
        if parts == 0 {
            estimate.cost_usd = Some(0.0);
            estimate.at_most_usd = Some(0.0);
            return Ok(estimate);
        }
        self.add_up(&mut estimate, parts, paid, each, own);
        Ok(estimate)
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

    /// `each` and `own`: tokens of a reader's instructions, and of those for the answer.
    fn add_up(&self, estimate: &mut Estimate, parts: u64, paid: u64, each: u64, own: u64) {
        let read = parts - estimate.kept;
        let alone = parts == 1;
        let answer = u64::from(self.max_tokens);
        // What is noted of each part, and what comes of it at each level.
        let of = |notes: u64, folded: u64| {
            if alone {
                return (1, paid + own, answer.min(USUAL_NOTES * 2));
            }
            let (mut requests, mut input, mut output) = (read + 1, paid + read * each + own, read * notes);
            let (mut level, fold, room) = (parts * notes, self.fold() as u64, self.room as u64);
            while level > room && folded < fold {
                let folds = level.div_ceil(fold);
                requests += folds;
                input += level + folds * each;
                output += folds * folded;
                if folds * folded >= level {
                    break;
                }
                level = folds * folded;
            }
            (requests, input + level.min(room), output + answer.min(USUAL_NOTES * 2))
        };
        let (requests, input, output) = of(USUAL_NOTES, self.fold() as u64 / 4);
        let (_, most_input, most_output) = of(u64::from(NOTE_TOKENS), self.fold() as u64 * 3 / 4);
        (estimate.requests, estimate.input_tokens, estimate.output_tokens) = (requests, input, output);
        let price = self.reader.models.first().and_then(|model| model.price());
        // To the microdollar: no price is known more exactly.
        let exactly = |cost: f64| (cost * 1e6).round() / 1e6;
        let cost = |input, output| price.and_then(|price: Price| price.cost(input, output)).map(exactly);
        estimate.cost_usd = cost(input, output);
        estimate.at_most_usd = cost(most_input, if alone { answer } else { most_output + answer });
        let minutes = |amount: u64, quota: Option<u64>| quota.map(|quota| amount as f64 / quota.max(1) as f64);
        let minutes = [minutes(requests, self.quota.rpm), minutes(input + output, self.quota.tpm)];
        estimate.minutes = minutes.into_iter().flatten().reduce(f64::max);
    }
}

/// The prompt of a reader without sources, to count its instructions.
fn reading_prompt(question: &str) -> Prompt {
    let nothing = Source { lines: (1, 1), ..Source::default() };
    reading(question, vec![nothing]).map_or(Prompt { system: String::new(), user: String::new() }, |(prompt, _)| prompt)
}
